"""The parts of a bot that stories evaluate: the prediction of actions, and the interpretation of messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from rasa_core.evaluation.nlu import MessageResult, message_result
from rasa_core.events import UserUttered
from rasa_core.events.rasa3 import ActionExecutionRejected
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX
from rasa_core.nlu.training_data import NLUDataError, NLUExample
from rasa_core.rasa3.history import RasaHistory
from rasa_core.support.marked_text import EntitySpan, read_annotated
from rasa_core.support.places import Place
from rasa_core.trackers import DialogueStateTracker

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.policies.policy import Prediction


class Policies(Protocol):
    """The policies of a bot, such as a `PolicyEnsemble`."""

    @property
    def window(self) -> int:
        """The number of states that a conversation has to keep for the next prediction."""

    @property
    def longest_history(self) -> int | None:
        """The largest number of last states that a policy sees; None if one sees all."""


class Predictor(Protocol):
    """A bot that can be evaluated, such as an `Agent`; the evaluation does not change its conversations."""

    @property
    def domain(self) -> Domain:
        """The domain whose actions it can take."""

    @property
    def policy_ensemble(self) -> Policies:
        """The policies that decide."""

    def predict(self, tracker: DialogueStateTracker) -> Prediction:
        """Return the next action of a conversation, and change nothing."""


def predicted(bot: Predictor, told: DialogueStateTracker, expected: str) -> Prediction:
    """Return the prediction of a bot for a conversation in which the story has the action `expected`.

    A story may leave a form for other talk. Then the form has rejected the message, which only running the form would
    show. So if the bot predicts the form, the rejection is added to the conversation, and the bot predicts again.
    """
    found = bot.predict(told)
    loop = told.history.loop if isinstance(told.history, RasaHistory) else None
    forms = bot.domain.rasa.forms if bot.domain.rasa is not None else {}
    if found.action != expected and loop is not None and loop.name == found.action and loop.name in forms:
        told.update(ActionExecutionRejected(loop.name))
        found = bot.predict(told)
    return found


class ParsesText(Protocol):
    """An interpreter of messages."""

    def parse(self, text: str) -> dict[str, Any]:
        """Return the parse of a text."""
        ...


def has_words(event: UserUttered) -> bool:
    """Tell whether the story has the text of a message, so that an interpreter can read it."""
    return bool(event.text) and not str(event.text).startswith(INTENT_MESSAGE_PREFIX)


def understood(event: UserUttered, source: Place | None, parser: ParsesText) -> tuple[UserUttered, MessageResult]:
    """Return a message of a story as the interpreter reads it, and its comparison with the story.

    The entities of the story are those that are marked in the text, as in ``in [Lisbon](city)``. If they are only
    listed beside the text, their places are unknown, and they are not compared.
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
    """Yield a text about each entity whose value differs from that of the marked text."""
    values = {(one["start"], one["end"], one["entity"]): str(one.get("value")) for one in found}
    for span in spans:
        value = values.get((span.start, span.end, span.entity), span.value)
        if value != span.value:
            yield f"found the value {value!r} of {span.entity} instead of {span.value!r}"
