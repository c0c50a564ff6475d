"""Fixtures of the tests of the server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from server_bot import make_agent
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.server import create_app, ports
from rasa_core.server.logs import access_logger

DOMAIN = """
intents: [greet]
templates:
  utter_greet: [{text: hey}]
actions: [utter_greet]
"""
STORIES = "## greet\n* greet\n    - utter_greet\n"


@pytest.fixture(autouse=True)
def _package_logging_as_before() -> Iterator[None]:
    logger = logging.getLogger("rasa_core")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    access_level = access_logger.level
    yield
    access_logger.setLevel(access_level)
    for handler in set(logger.handlers) - set(handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)
    logger.propagate = propagate


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for a port that a server which was killed might still have."""
    monkeypatch.setattr(ports, "ORPHAN_SECONDS", -0.5)


@pytest.fixture
def agent() -> Agent:
    return make_agent()


@pytest.fixture
def client(agent: Agent) -> Client:
    """Return a client of a server that keeps conversations in memory."""
    return Client(create_app(agent))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the directory of a model of the bot."""
    make_agent().persist(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def client_with(agent: Agent) -> Callable[..., Client]:
    """Return a function that makes a client of a server with the given options."""

    def make(**options: Any) -> Client:
        return Client(create_app(agent, **options))

    return make


@pytest.fixture(scope="session")
def model_maker() -> Callable[[Path], Path]:
    """Return a function that trains a small model in a folder, and returns its directory there."""
    return train_a_model


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Return the directory of a model with a policy of this package."""
    return train_a_model(tmp_path)


def train_a_model(folder: Path) -> Path:
    """Train a small model in a folder, and return its directory there."""
    (folder / "stories.md").write_text(STORIES)
    agent = Agent(Domain.from_yaml(DOMAIN), [MemoizationPolicy()])
    agent.train(agent.load_data(folder / "stories.md"))
    agent.persist(folder / "model")
    return folder / "model"
