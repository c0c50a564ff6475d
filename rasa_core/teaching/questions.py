"""The questions and answers of interactive training, as plain data with a JSON form, for any user interface."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from rasa_core.events import ActionExecuted, Event, UserUttered
from rasa_core.exceptions import RasaCoreError, did_you_mean
from rasa_core.trackers.event_log import is_listening

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.policies.policy import Prediction
    from rasa_core.trackers import DialogueStateTracker

SessionState = Literal["message", "action", "events"]
"""What a session waits for: a message, a verdict on the next action, or the events of an action that runs elsewhere."""

FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    "message": ("say", "undo", "restart"),
    "action": ("confirm", "correct_action", "correct_intent", "undo", "restart"),
    "events": ("report_event", "no_more_events", "undo", "restart"),
}
"""The kinds of answers that fit each state."""
_KINDS: Final = tuple(dict.fromkeys(kind for kinds in FITTING.values() for kind in kinds))


class TeachingError(RasaCoreError, ValueError):
    """An answer is invalid, or does not fit the question."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question.

    Attributes
    ----------
    kind : str
        ``say`` something as the user; ``confirm`` the predicted action; ``correct_action`` or ``correct_intent``;
        ``report_event`` or ``no_more_events`` of an action that runs elsewhere; ``undo`` the last action, or the
        message if none followed it; ``restart``, which begins another story.
    text : str
        What the user says; the right action or intent; the event as a story has it, such as ``slot{"city": "Porto"}``.
    entities : tuple of mappings or None
        The entities of a message whose intent is corrected; without them, the message keeps its entities.
    """

    kind: str
    text: str = ""
    entities: tuple[Mapping[str, Any], ...] | None = None

    @classmethod
    def from_json(cls, content: object) -> Answer:
        """Return the answer in an object such as ``{"kind": "correct_action", "text": "utter_greet"}``.

        Raises
        ------
        TeachingError
            If `content` is not an answer; the message says what is expected.
        """
        given = dict(content) if isinstance(content, Mapping) else {}  # Without a kind, which is reported below.
        kind, text, entities = (given.pop(name, None) for name in ("kind", "text", "entities"))
        if given or not isinstance(text, str | None) or not isinstance(entities, list | None):
            raise TeachingError('an answer has "kind", perhaps a text "text", and perhaps a list "entities".')
        if kind not in _KINDS:
            hint = did_you_mean(str(kind), _KINDS)
            raise TeachingError(f'"kind" of an answer is {kind!r:.80}; expected one of {", ".join(_KINDS)}.{hint}')
        return cls(kind, text or "", None if entities is None else tuple(entities))

    def check_fits(self, state: SessionState) -> None:
        """Raise `TeachingError`, which says what is expected, if the session waits for something else."""
        if self.kind not in FITTING[state]:
            waits = {"message": "a message of the user", "action": "a verdict on the predicted action"}
            awaited = waits.get(state, "the events of an action that runs elsewhere")
            expected = ", ".join(FITTING[state])
            raise TeachingError(
                f"{self.kind!r:.80} does not fit: the session waits for {awaited}. Expected: {expected}."
            )


@dataclass(frozen=True, slots=True)
class Choice:
    """A name that may be chosen, and its probability."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Question:
    """The question for which a session waits, with the information that is needed to answer.

    Attributes
    ----------
    version : int
        The number of events of the conversation; an answer with this version is refused if there are new events.
    turns, slots
        The last turns, one line an event, and the slots; empty in other states than ``action``.
    action, policy, confidence
        The predicted action, its policy and its confidence; in the state ``events``, the action that runs elsewhere.
    intent : str or None
        The intent of the latest message.
    actions, intents : tuple of Choice
        All actions and intents of the domain, the most probable first.
    can_undo : bool
        Whether there is a step to take back.
    """

    state: SessionState
    sender_id: str
    version: int
    turns: tuple[str, ...] = ()
    slots: Mapping[str, Any] = field(default_factory=dict)
    action: str | None = None
    policy: str | None = None
    confidence: float | None = None
    actions: tuple[Choice, ...] = ()
    intent: str | None = None
    intents: tuple[Choice, ...] = ()
    can_undo: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the content as JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the last turns, the slots, and the predicted action as lines of text."""
        lines = ["-" * 40, *self.turns]
        if self.slots:
            slots = (f"{name}={json.dumps(slot, ensure_ascii=False, default=str)}" for name, slot in self.slots.items())
            lines.append(f"slots: {', '.join(slots)}")
        if self.state == "action":
            if not self.intent:
                lines.append("The message has no intent, and no story can tell of it: choose its intent.")
            by = self.policy or "nothing that was learnt"
            lines.append(f"next action: {self.action} ({self.confidence:.2f}, {by})")
        return lines


# -- what a question tells


def about_action(tracker: DialogueStateTracker, prediction: Prediction, domain: Domain, turns: int) -> Question:
    """Return the question whether a prediction is right, with the last so many turns."""
    return Question(
        "action",
        tracker.sender_id,
        tracker.version,
        tuple(map(_line, last_turns(tracker.applied_events(), turns))),
        tracker.current_slot_values(),
        prediction.action,
        prediction.policy,
        prediction.confidence,
        _ranked(prediction.scores.items()),
        tracker.latest_message.intent.get("name"),
        _ranked(_intents(tracker.latest_message, domain)),
    )


def last_turns(events: Sequence[Event], turns: int) -> list[Event]:
    """Return the messages of the last `turns` and the events after them, without ``action_listen``."""
    starts = [index for index, event in enumerate(events) if isinstance(event, UserUttered)]
    first = starts[-turns] if len(starts) >= turns else 0
    return [event for event in events[first:] if event.as_story_string() is not None and not is_listening(event)]


def _line(event: Event) -> str:
    if isinstance(event, UserUttered):
        confidence = event.intent.get("confidence")
        certainty = "" if confidence is None else f", {float(confidence):.2f}"
        return f"user: {event.text or ''}  ({event.as_story_string() or 'no intent'}{certainty})"
    if isinstance(event, ActionExecuted):
        return f"bot:  {event.as_story_string()}"
    return f"      {event.as_story_string()}"


def _intents(message: UserUttered, domain: Domain) -> Iterable[tuple[str, float]]:
    """Return the intents of a domain, each with its confidence."""
    ranked = [message.intent, *(message.parse_data.get("intent_ranking") or [])]
    # Backwards, so that of one that stands twice, the intent of the message itself counts.
    scores = {intent.get("name"): float(intent.get("confidence") or 0.0) for intent in reversed(ranked)}
    return [(name, scores.get(name, 0.0)) for name in domain.intents]


def _ranked(scores: Iterable[tuple[str, float]]) -> tuple[Choice, ...]:
    return tuple(Choice(name, score) for name, score in sorted(scores, key=lambda one: -one[1]))
