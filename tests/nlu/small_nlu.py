"""A few made-up messages, and a model of them that is trained once for all tests."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.training import NLUTraining
from rasa_core.nlu.training_data import Lookup, NLUExample, Regex, Synonym, TrainingData
from rasa_core.policies.keras_training import seeded
from rasa_core.support.marked_text import EntitySpan

CITIES = ("Lisbon", "Porto", "Berlin", "New York")
FRAMES = ("a table in {}", "book a table in {} please", "is there a table in {}?", "find me somewhere to eat in {}")
GREETINGS = ("hello", "hello there", "hi", "good morning", "hey you", "good evening", "hi there", "hey")
FAREWELLS = ("bye", "goodbye", "see you later", "good night", "bye bye", "see you", "until tomorrow")
ORDERS = ("where is order A-1234", "order B-5678 is late", "my order C-9012 please", "has D-3456 been sent")

SYNONYMS = (Synonym("nyc", "New York"), Synonym("the big apple", "New York"))
SETTINGS = NLUSettings(epochs=1, seed=7)


def booking(frame: str, city: str) -> NLUExample:
    start = frame.index("{}")
    return NLUExample(frame.format(city), "book", (EntitySpan(start, start + len(city), "city", city),))


def order(text: str) -> NLUExample:
    start = text.index("-") - 1
    return NLUExample(text, "track", (EntitySpan(start, start + 6, "number", text[start : start + 6]),))


def messages() -> TrainingData:
    """Return about forty messages with entities, synonyms, an expression and a lookup table."""
    examples = [
        *(booking(frame, city) for frame in FRAMES for city in CITIES),
        booking("a table in {} please", "NYC"),
        *(NLUExample(text, "greet") for text in GREETINGS),
        *(NLUExample(text, "bye") for text in FAREWELLS),
        *(order(text) for text in ORDERS),
        NLUExample("Lisbon or Porto", None, (EntitySpan(0, 6, "city", "Lisbon"), EntitySpan(10, 15, "city", "Porto"))),
    ]
    return TrainingData.build(
        examples, SYNONYMS, [Regex("number", r"[A-Z]-\d{4}")], [Lookup("city", ("Lisbon", "Porto", "Ulaanbaatar"))]
    )


@contextmanager
def _alone() -> Iterator[Path]:
    """Let one process of the tests train after the other: the next need not compile again. Gives a folder of all."""
    folder = Path(os.environ["RASA_CORE_TEST_TRAININGS"])
    with open(folder / "small_nlu.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@cache
def _trained() -> tuple[NLUTraining, NLUModel]:
    with seeded(SETTINGS.seed):
        training = NLUTraining(messages(), Patterns(messages().regexes, messages().lookups), SETTINGS)
        return training, training.run(silent=True)


def _written(folder: Path) -> Path:
    written = folder / "small_nlu"
    if not written.exists():
        _trained()[1].persist(written)
    return written


def trained() -> tuple[NLUTraining, NLUModel]:
    """Return a training on `messages` in this process, and its model."""
    with _alone() as folder:
        _trained()
        _written(folder)
    return _trained()


@cache
def small_model() -> NLUModel:
    """Return a model of `messages`, read from its files; one process of the tests writes them for all."""
    with _alone() as folder:
        return NLUModel.load(_written(folder))
