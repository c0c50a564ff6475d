"""Example messages of intents, to be shown in a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from rasa_core.events import UserUttered
from rasa_core.nlu.reading import read_training_data
from rasa_core.nlu.text_formats import read_annotated
from rasa_core.nlu.training_data import NLUDataError, NLUExample
from rasa_core.support.places import Place


class ExampleMessages:
    """Messages that people might send for an intent.

    Parameters
    ----------
    examples
        The best of each intent first.
    """

    def __init__(self, examples: Iterable[NLUExample]) -> None:
        self._examples: dict[str, list[NLUExample]] = {}
        for example in examples:
            if example.intent is not None:
                self._examples.setdefault(example.intent, []).append(example)

    @classmethod
    def read(cls, source: str | Path | Mapping[str, Iterable[str]]) -> ExampleMessages:
        """Read an NLU file or folder, or take a mapping of intents to messages.

        Raises
        ------
        NLUDataError
            If a file cannot be read, or there is no example of an intent in any.
        """
        if isinstance(source, Mapping):
            messages = cls(_example(text, intent) for intent, texts in source.items() for text in texts)
        else:
            messages = cls(read_training_data(source).examples)
        if not messages._examples:
            place = "the mapping" if isinstance(source, Mapping) else str(source)
            problem = "there are no examples of intents; expected ## intent:greet and - hello."
            raise NLUDataError(problem, Place(place))
        return messages

    def for_message(self, message: UserUttered) -> str | None:
        """Return the first example of the intent, with the same entities if possible; None without any."""
        found = self._examples.get(message.intent.get("name") or "", [])
        wanted = {str(entity.get("entity")) for entity in message.entities}
        return next(
            (example.text for example in found if {span.entity for span in example.entities} == wanted),
            found[0].text if found else None,
        )


def _example(annotated: str, intent: str) -> NLUExample:
    text, entities = read_annotated(annotated, partial(_fail, intent))
    return NLUExample(text, intent, tuple(entities))


def _fail(intent: str, problem: str) -> NoReturn:
    raise NLUDataError(problem, Place(f"the examples of {intent!r}"))
