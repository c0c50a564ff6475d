"""What a teacher is asked about a prediction, and what the answers mean.

How to ask and to show is up to a `Teacher`: a terminal, or whatever else can do both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, UserUttered
from rasa_core.exceptions import did_you_mean

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.policies.policy import Prediction
    from rasa_core.trackers import DialogueStateTracker

RESTART: Final = "/restart"
STOP: Final = "/stop"

_QUESTION: Final = """\
  1  this is right
  2  wrong: choose the action
  3  the message was understood wrongly: choose the intent
  0  stop, and write down what was taught"""

Option = tuple[str, float]


class TeachingEnded(Exception):
    """The teacher wants to stop, or cannot be asked any more."""


class ConversationAbandoned(Exception):
    """The teacher wants to begin another conversation."""


class Teacher(Protocol):
    """Somebody who can be asked."""

    def show(self, text: str) -> None:
        """Show one or more lines."""

    def ask(self, question: str) -> str:
        """Return the answer, a line; raise `TeachingEnded` if there are no more answers."""


@dataclass(frozen=True, slots=True)
class Right:
    """The prediction was right."""


@dataclass(frozen=True, slots=True)
class WrongAction:
    """Another action is right: `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class WrongIntent:
    """The user meant something else: the intent `name`."""

    name: str


Verdict = Right | WrongAction | WrongIntent


def ask(teacher: Teacher, question: str) -> str:
    """Return the answer without space around it.

    Raises
    ------
    TeachingEnded, ConversationAbandoned
        If the answer is ``/stop`` or ``/restart``.
    """
    answer = teacher.ask(question).strip()
    if answer == STOP:
        raise TeachingEnded
    if answer == RESTART:
        raise ConversationAbandoned
    return answer


def ask_verdict(teacher: Teacher, tracker: DialogueStateTracker, prediction: Prediction, domain: Domain) -> Verdict:
    """Ask whether a prediction is right, until the answer is one."""
    teacher.show(_QUESTION)
    while True:
        verdict = _verdict(teacher, ask(teacher, "1, 2, 3 or 0? "), tracker, prediction, domain)
        if verdict is not None:
            return verdict


def _verdict(
    teacher: Teacher, answer: str, tracker: DialogueStateTracker, prediction: Prediction, domain: Domain
) -> Verdict | None:
    if answer == "0":
        raise TeachingEnded
    if answer == "1":
        return Right()
    if answer == "2":
        action = choose(teacher, "action", _most_probable_first(list(prediction.scores.items())))
        if action is None:
            return None
        return Right() if action == prediction.action else WrongAction(action)
    if answer == "3":
        intent = choose(teacher, "intent", intents(tracker.latest_message, domain))
        return None if intent is None else WrongIntent(intent)
    teacher.show(f"{answer[:80]!r} is none of 1, 2, 3 and 0.")
    return None


def choose(teacher: Teacher, what: str, options: Sequence[Option]) -> str | None:
    """Let the teacher choose by number or name; None for an empty answer, which is to go back.

    Parameters
    ----------
    what
        What is chosen, such as ``"action"``.
    options
        Names with probabilities.
    """
    width = max((len(name) for name, _ in options), default=0)
    rows = [f"  {number:3}  {name:{width}}  {score:.2f}" for number, (name, score) in enumerate(options, 1)]
    teacher.show("\n".join(rows))
    names = [name for name, _ in options]
    while True:
        answer = ask(teacher, f"Which {what}, by number or name (Enter: back)? ")
        if not answer:
            return None
        if answer in names:
            return answer
        if answer.isdecimal() and 1 <= int(answer[:9]) <= len(names):
            return names[int(answer[:9]) - 1]
        teacher.show(f"There is no {what} {answer[:80]!r} in the domain.{did_you_mean(answer, names)}")


def intents(message: UserUttered, domain: Domain) -> list[Option]:
    """Return the intents of a domain, with what the interpreter thought of each."""
    ranked = [message.intent, *(message.parse_data.get("intent_ranking") or [])]
    scores = {intent.get("name"): float(intent.get("confidence") or 0.0) for intent in reversed(ranked)}
    return _most_probable_first([(name, scores.get(name, 0.0)) for name in domain.intents])


def _most_probable_first(options: Sequence[Option]) -> list[Option]:
    return sorted(options, key=lambda option: -option[1])


# -- what is shown


def describe(tracker: DialogueStateTracker, prediction: Prediction, turns: int) -> str:
    """Return the last turns of a conversation, the slots, and the action that is predicted."""
    lines = ["-" * 40, *map(_line, _last_turns(tracker.applied_events(), turns))]
    slots = [f"{name}={_json(value)}" for name, value in tracker.current_slot_values().items()]
    if slots:
        lines.append(f"slots: {', '.join(slots)}")
    if not tracker.latest_message.intent.get("name"):
        lines.append("The message has no intent, and no story can tell of it: choose its intent with 3.")
    by = prediction.policy or "nothing that was learnt"
    lines.append(f"next action: {prediction.action} ({prediction.confidence:.2f}, {by})")
    return "\n".join(lines)


def _last_turns(events: Sequence[Event], turns: int) -> list[Event]:
    """Return what the user said in the last `turns`, and what came of it; listening goes without saying."""
    starts = [index for index, event in enumerate(events) if isinstance(event, UserUttered)]
    first = starts[-turns] if len(starts) >= turns else 0
    return [
        event
        for event in events[first:]
        if event.as_story_string() is not None
        and not (isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME)
    ]


def _line(event: Event) -> str:
    if isinstance(event, UserUttered):
        confidence = event.intent.get("confidence")
        certainty = "" if confidence is None else f", {float(confidence):.2f}"
        return f"user: {event.text or ''}  ({event.as_story_string() or 'no intent'}{certainty})"
    if isinstance(event, ActionExecuted):
        return f"bot:  {event.as_story_string()}"
    return f"      {event.as_story_string()}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
