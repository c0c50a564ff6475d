"""What another model would have decided in conversations that have taken place: replays them, and runs no action.

At each action of a conversation both models are asked what comes next, with all that had happened by then. What was
run there is what they are measured by: a decision that the first model shares with the conversation, and the second
does not, is worse; the other way round it is better; where neither does, it has changed. What somebody has corrected is
no measure any more: the conversation that was corrected is left out (`without_corrected`), and its draft counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from rasa_core.evaluation.stories import Predictor, StoryEvaluation
from rasa_core.events import ActionExecuted, Event, FollowupAction, StoryExported, UserUttered
from rasa_core.rasa3.history import history_for
from rasa_core.trackers import DialogueStateTracker

Verdict = Literal["worse", "better", "changed"]

VERDICTS: Final[tuple[Verdict, ...]] = ("worse", "better", "changed")
DRAFT_MARK: Final = " \N{RIGHTWARDS ARROW} "
"""Stands in the name of a draft, between that of the conversation that was corrected and a number."""
MOST_EXAMPLES: Final = 20
"""How many conversations are told of each kind of change."""

_OPENS: Final = ("action_session_start",)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a model would do at one place of a conversation.

    Attributes
    ----------
    at : int
        Position of the action that was run.
    intent : str
        Of the message before it.
    executed : str
        The action that was run.
    model : str or None
        Under which model that was decided, where the log tells it.
    action : str
        What the model would do.
    confidence, policy
        How sure it is, and who decided.
    """

    at: int
    intent: str
    executed: str
    model: str | None
    action: str
    confidence: float
    policy: str | None


def decisions(bot: Predictor, sender_id: str, events: Sequence[Event]) -> Iterator[Decision]:
    """Yield what a bot would decide at each action of a conversation that a policy could have chosen.

    In a draft, an action that somebody has fixed is what is right: the bot is asked as if it were not fixed.
    """
    is_draft = DRAFT_MARK in sender_id
    domain = bot.domain
    history = history_for(bot.policy_ensemble.window, domain.vocabulary)
    tracker = DialogueStateTracker(sender_id, domain.slots, history=history)
    for position, event in enumerate(events):
        if isinstance(event, ActionExecuted) and _is_decided(event, tracker, position):
            found = bot.predict(tracker)
            intent = str(tracker.latest_message.intent.get("name") or "")
            model = getattr(event, "model", None)
            yield Decision(position, intent, event.action_name, model, found.action, found.confidence, found.policy)
        if not isinstance(event, StoryExported) and not (is_draft and isinstance(event, FollowupAction)):
            tracker.update(event)


def _is_decided(event: ActionExecuted, tracker: DialogueStateTracker, position: int) -> bool:
    if event.unpredictable or not position or event.action_name in _OPENS or tracker.is_paused():
        return False
    return tracker.follow_up_action is None and tracker.latest_message.text is not None


# -- two models


@dataclass(slots=True)
class Change:
    """Decisions that differ in the same way.

    Attributes
    ----------
    intent, before, after : str
        Of the message before, and what the two models do.
    verdict : str
        ``worse``, ``better`` or ``changed``.
    count : int
        How many there are.
    examples : list of (str, int)
        The first of them: a conversation, and the position.
    """

    intent: str
    before: str
    after: str
    verdict: Verdict
    count: int = 0
    examples: list[tuple[str, int]] = field(default_factory=list)

    def __str__(self) -> str:
        """Return ``greet: utter_a -> utter_b, 12 times (worse)``."""
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"{self.intent or 'no intent'}: {self.before} -> {self.after}, {times} ({self.verdict})"

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able, and in words."""
        examples = [{"sender_id": sender_id, "at": at} for sender_id, at in self.examples]
        about = {"intent": self.intent, "before": self.before, "after": self.after, "verdict": self.verdict}
        return {**about, "count": self.count, "examples": examples, "text": str(self)}


@dataclass(slots=True)
class StoriesCompared:
    """Stories that fail with one of two models alone, by their names, and how many there are."""

    name: str
    total: int = 0
    broken: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    failing: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {
            **{"name": self.name, "total": self.total, "failing": self.failing},
            **{"broken": self.broken, "mended": self.mended},
        }


@dataclass(slots=True)
class Comparison:
    """What differs between two models.

    Attributes
    ----------
    conversations, decisions : int
        How many were compared.
    changes : list of Change
        Of decisions, the worst and most frequent first.
    understood : list of Change
        Of the intents of messages that were typed; ``changed``, since nobody has said what was meant.
    stories : list of StoriesCompared
        Stories and tests.
    """

    conversations: int = 0
    decisions: int = 0
    changes: list[Change] = field(default_factory=list)
    understood: list[Change] = field(default_factory=list)
    stories: list[StoriesCompared] = field(default_factory=list)

    def count(self, verdict: Verdict) -> int:
        """Return how many decisions are better, worse, or changed."""
        return sum(change.count for change in self.changes if change.verdict == verdict)

    @property
    def is_worse(self) -> bool:
        """Whether any story fails now that did not, or any decision is worse."""
        return any(found.broken for found in self.stories) or self.count("worse") > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {
            **{"conversations": self.conversations, "decisions": self.decisions, "is_worse": self.is_worse},
            **{verdict: self.count(verdict) for verdict in VERDICTS},
            "changes": [change.as_dict() for change in self.changes],
            "understood": [change.as_dict() for change in self.understood],
            "stories": [found.as_dict() for found in self.stories],
        }


Understand = Callable[[str], Mapping[str, Any]]


def compare(
    before: Predictor,
    after: Predictor,
    conversations: Iterable[tuple[str, Sequence[Event]]],
    understand: tuple[Understand, Understand] | None = None,
    tell: Callable[[int], object] = lambda done: None,
) -> Comparison:
    """Replay conversations with two bots.

    Parameters
    ----------
    conversations
        The name of each, and its events.
    understand
        What the two bots take a typed text for; None if that is the same.
    tell
        Is called with the number of conversations that are done.
    """
    found = Comparison()
    groups: dict[tuple[str, str, str, Verdict], Change] = {}
    texts: dict[str, tuple[str, str]] = {}
    heard: dict[tuple[str, str], Change] = {}
    for sender_id, events in conversations:
        found.conversations += 1
        pairs = zip(decisions(before, sender_id, events), decisions(after, sender_id, events), strict=True)
        for old, new in pairs:
            found.decisions += 1
            if old.action != new.action:
                _note(groups, old, new, sender_id)
        if understand is not None:
            _compare_texts(understand, sender_id, events, texts, heard)
        tell(found.conversations)
    found.changes = sorted(groups.values(), key=_order)
    found.understood = sorted(heard.values(), key=_order)
    return found


def _order(change: Change) -> tuple[int, int, str]:
    return VERDICTS.index(change.verdict), -change.count, str(change)


def _note(groups: dict[tuple[str, str, str, Verdict], Change], old: Decision, new: Decision, sender_id: str) -> None:
    verdict: Verdict = "changed"
    if old.action == old.executed:
        verdict = "worse"
    elif new.action == new.executed:
        verdict = "better"
    key = old.intent, old.action, new.action, verdict
    _count(groups.setdefault(key, Change(*key)), sender_id, old.at)


def _count(change: Change, sender_id: str, at: int) -> None:
    change.count += 1
    if len(change.examples) < MOST_EXAMPLES:
        change.examples.append((sender_id, at))


def _compare_texts(
    understand: tuple[Understand, Understand],
    sender_id: str,
    events: Sequence[Event],
    known: dict[str, tuple[str, str]],
    heard: dict[tuple[str, str], Change],
) -> None:
    for position, event in enumerate(events):
        if not isinstance(event, UserUttered) or not event.text or event.text.startswith("/"):
            continue
        if event.text not in known:
            old, new = (str((one(event.text).get("intent") or {}).get("name") or "") for one in understand)
            known[event.text] = old, new
        pair = known[event.text]
        if pair[0] != pair[1]:
            _count(heard.setdefault(pair, Change("understood", *pair, "changed")), sender_id, position)


def compare_stories(name: str, before: StoryEvaluation, after: StoryEvaluation) -> StoriesCompared:
    """Return which stories fail with one of two bots alone."""
    found = StoriesCompared(name, len(after.stories))
    for old, new in zip(before.stories, after.stories, strict=True):
        if old.is_right and not new.is_right:
            found.broken.append(_told(new))
        elif new.is_right and not old.is_right:
            found.mended.append(_told(new))
        found.failing += not new.is_right
    return found


def _told(story: Any) -> str:
    return f"{story.source}" if story.source is not None else str(story.name)


# -- which conversations


def without_corrected(names: Sequence[str]) -> list[str]:
    """Return the names of conversations without those of which there is a corrected draft."""
    corrected = {name.rpartition(DRAFT_MARK)[0] for name in names if DRAFT_MARK in name}
    return [name for name in names if name not in corrected]
