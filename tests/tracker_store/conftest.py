"""Fixtures of the tests that hold for all engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import ENGINES

from rasa_core.domain import Domain
from rasa_core.tracker_store import EventLogStore

DOMAIN = """
intents: [greet, bye]
entities: [name]
slots:
  name: {type: text}
  mood: {type: unfeaturized, initial_value: fine}
templates:
  utter_hi: [{text: hi}]
actions: [utter_hi]
"""


@pytest.fixture
def domain() -> Domain:
    return Domain.from_yaml(DOMAIN)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventLogStore]:
    """Yield an empty store that knows no domain."""
    with ENGINES[request.param](tmp_path) as store:
        yield store


@pytest.fixture
def store(engine: EventLogStore, domain: Domain) -> EventLogStore:
    """Return an empty store that an agent has bound."""
    engine.bind(domain, 3, "model-1")
    return engine
