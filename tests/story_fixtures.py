"""Fixtures of the tests about stories: a domain, a reader of stories from text, and the corpora beside the project."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rasa_core.domain import Domain
from rasa_core.events import Event, UserUttered
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph, StoryStep
from rasa_core.stories.training_tracker import TrainingTracker

Read = Callable[..., list[StoryStep]]
Generate = Callable[..., list[TrainingTracker]]

DOMAIN = """
intents: [greet, inform, affirm, deny, goodbye]
entities: [name, city]
slots:
  name: {type: text}
  city: {type: text}
  tags: {type: list}
  note: {type: unfeaturized}
actions: [utter_greet, utter_ask, utter_ok, utter_sorry, utter_bye, action_search]
action_factory: remote
"""


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain.from_yaml(DOMAIN)


@pytest.fixture(scope="session")
def read(domain: Domain) -> Read:
    """Read stories from text, as from the file ``stories.md``."""

    def read_text(text: str, **options: object) -> list[StoryStep]:
        return StoryFileReader(domain, **options).process_lines(text.split("\n"), "stories.md")

    return read_text


@pytest.fixture(scope="session")
def generate(domain: Domain, read: Read) -> Generate:
    """Make up conversations from stories in text; not augmented unless asked for."""

    def generate_from(text: str, **options: object) -> list[TrainingTracker]:
        return TrainingDataGenerator(StoryGraph(read(text)), domain, **{"augmentation_factor": 0, **options}).generate()

    return generate_from


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Return the folder of public corpora, which is no part of the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RASA_CORE_DATA", beside))
    if not (folder / "babi").is_dir():
        pytest.skip("the sample data are not here; name their folder in RASA_CORE_DATA.")
    return folder


def names_and_values(message: Event) -> list[tuple[str, object]]:
    assert isinstance(message, UserUttered)
    return [(entity["entity"], entity["value"]) for entity in message.entities]
