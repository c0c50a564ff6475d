"""How messages whose words stand in stories are understood, beside what the stories say of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NoReturn, Protocol

from rasa_core.evaluation.nlu import MessageResult, message_result
from rasa_core.events import UserUttered
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX
from rasa_core.nlu.training_data import NLUDataError, NLUExample
from rasa_core.support.marked_text import EntitySpan, read_annotated
from rasa_core.support.places import Place


class ParsesText(Protocol):
    """What understands messages: an interpreter."""

    def parse(self, text: str) -> dict[str, Any]:
        """Return the parse of a text."""
        ...


def has_words(event: UserUttered) -> bool:
    """Tell whether the words of a message stand in the story, so that they can be understood."""
    return bool(event.text) and not str(event.text).startswith(INTENT_MESSAGE_PREFIX)


def understood(event: UserUttered, source: Place | None, parser: ParsesText) -> tuple[UserUttered, MessageResult]:
    """Return a message of a story as it is understood, and how that differs from what the story says.

    Entities are those that are marked in the words, as in ``in [Lisbon](city)``; where they are listed beside them
    instead, nothing says which words they are, and they are not compared.
    """
    place = source or Place("story")

    def fail(problem: str) -> NoReturn:
        raise NLUDataError(problem, place)

    text, spans = read_annotated(str(event.text).strip(), fail)
    parse = parser.parse(text)
    intent = event.intent.get("full_retrieval_intent_name") or event.intent.get("name")
    found = message_result(NLUExample(text, intent, tuple(spans), place), parse)
    if "/" not in str(intent):  # Stories may name a retrieval intent as a whole.
        found = replace(found, intent=found.intent.partition("/")[0])
    if event.entities and not spans:
        found = replace(found, found=frozenset())
    found = replace(found, misread=tuple(_misread(spans, parse["entities"])))
    return UserUttered(text, parse["intent"], parse["entities"], parse), found


def _misread(spans: Iterable[EntitySpan], found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield what is told of the values that differ from those of the marked words."""
    values = {(one["start"], one["end"], one["entity"]): str(one.get("value")) for one in found}
    for span in spans:
        value = values.get((span.start, span.end, span.entity), span.value)
        if value != span.value:
            yield f"found the value {value!r} of {span.entity} instead of {span.value!r}"
