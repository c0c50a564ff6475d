"""What another model would have decided in conversations that have taken place: replays them, and runs no action.

At each action of a conversation both models are asked what comes next, with all that had happened by then. What was
run there is what they are measured by: a decision that the first model shares with the conversation, and the second
does not, is worse; the other way round it is better; where neither does, it has changed. What somebody has corrected is
no measure any more: the conversation that was corrected is left out (`without_corrected`), and its draft counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

from rasa_core.domain import Domain
from rasa_core.evaluation.stories import Predictor, StoryEvaluation
from rasa_core.events import ActionExecuted, Event, FollowupAction, StoryExported, UserUttered
from rasa_core.policies.many import ManyMoments, Rows
from rasa_core.rasa3.history import history_for
from rasa_core.trackers import DialogueStateTracker

Verdict = Literal["worse", "better", "changed"]

Kind = tuple[str, str, str, Verdict]
Conversation = tuple[str, Sequence[Event]]

VERDICTS: Final[tuple[Verdict, ...]] = ("worse", "better", "changed")
DRAFT_MARK: Final = " \N{RIGHTWARDS ARROW} "
"""Stands in the name of a draft, between that of the conversation that was corrected and a number."""
MOST_EXAMPLES: Final = 20
"""How many conversations are told of each kind of change."""
TOGETHER: Final = 500
"""So many conversations are replayed together."""

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
    for position, event, tracker in _moments(bot.domain, bot.policy_ensemble.window, sender_id, events):
        found = bot.predict(tracker)
        model = getattr(event, "model", None)
        intent = _intent(tracker)
        yield Decision(position, intent, event.action_name, model, found.action, found.confidence, found.policy)


def _moments(
    domain: Domain, window: int, sender_id: str, events: Sequence[Event]
) -> Iterator[tuple[int, ActionExecuted, DialogueStateTracker]]:
    """Yield the position of each such action, the action, and the conversation as it was before."""
    is_draft = DRAFT_MARK in sender_id
    tracker = DialogueStateTracker(sender_id, domain.slots, history=history_for(window, domain.vocabulary))
    for position, event in enumerate(events):
        if isinstance(event, ActionExecuted) and _is_decided(event, tracker, position):
            yield position, event, tracker
        # An export would be written anew, and a fixed action would keep the bot from being asked.
        if not isinstance(event, StoryExported) and not (is_draft and isinstance(event, FollowupAction)):
            tracker.take(event)


def _intent(tracker: DialogueStateTracker) -> str:
    return str(tracker.latest_message.intent.get("name") or "")


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
    conversations: Iterable[Conversation],
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
    groups: dict[Kind, Change] = {}
    texts: dict[str, tuple[str, str]] = {}
    heard: dict[tuple[str, str], Change] = {}
    pair = _Pair(before, after)
    for some in _several(conversations):
        for (sender_id, events), rows in zip(some, pair.rows([events for _, events in some]), strict=True):
            found.conversations += 1
            found.decisions += pair.replay(sender_id, events, rows, groups)
            if understand is not None:
                _compare_texts(understand, sender_id, events, texts, heard)
            tell(found.conversations)
    found.changes = sorted(groups.values(), key=_order)
    found.understood = sorted(heard.values(), key=_order)
    return found


def _several(conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    """Yield conversations, as many at a time as are replayed together."""
    left = iter(conversations)
    while some := list(islice(left, TOGETHER)):
        yield some


def _order(change: Change) -> tuple[int, int, str]:
    return VERDICTS.index(change.verdict), -change.count, str(change)


class _Pair:
    """Two bots that decide at the same moments."""

    def __init__(self, before: Predictor, after: Predictor) -> None:
        self._bots = before, after
        self._many = [ManyMoments.of(bot.policy_ensemble, bot.domain) for bot in self._bots]
        self._windows = [bot.policy_ensemble.window for bot in self._bots]
        one, other = before.domain, after.domain
        slots = [domain.as_dict().get("slots") for domain in (one, other)]
        # Then one tracker does for both, which is most of the work.
        self._see_the_same = one.vocabulary == other.vocabulary and slots[0] == slots[1]

    def rows(self, conversations: Sequence[Sequence[Event]]) -> list[tuple[Rows, ...]]:
        """Return what is known at once of some conversations, for both bots."""
        none: list[Rows] = [{}] * len(conversations)
        return list(zip(*(none if many is None else many.rows(conversations) for many in self._many), strict=True))

    def replay(
        self, sender_id: str, events: Sequence[Event], rows: tuple[Rows, ...], groups: dict[Kind, Change]
    ) -> int:
        """Note in which decisions of a conversation both differ, and return how many there are."""
        count = 0
        for position, event, *trackers in self._moments(sender_id, events):
            count += 1
            old, new = (self._decide(number, trackers[number], rows[number], position) for number in (0, 1))
            if old != new:
                _note(groups, _intent(trackers[0]), event.action_name, old, new, sender_id, position)
        return count

    def _moments(self, sender_id: str, events: Sequence[Event]) -> Iterator[Any]:
        domains = [bot.domain for bot in self._bots]
        if self._see_the_same:
            for position, event, tracker in _moments(domains[0], max(self._windows), sender_id, events):
                yield position, event, tracker, tracker
            return
        each = (_moments(*own, sender_id, events) for own in zip(domains, self._windows, strict=True))
        for (position, event, tracker), (_, _, other) in zip(*each, strict=True):
            yield position, event, tracker, other

    def _decide(self, number: int, tracker: DialogueStateTracker, rows: Rows, position: int) -> str:
        many, bot = self._many[number], self._bots[number]
        if many is None or tracker.must_listen or _intent(tracker) == bot.domain.restart_intent:  # No policy is asked.
            return bot.predict(tracker).action
        many.row = rows.get(position)
        return many.predict(tracker).action


def _note(
    groups: dict[Kind, Change], intent: str, executed: str, old: str, new: str, sender_id: str, position: int
) -> None:
    verdict: Verdict = "worse" if old == executed else "better" if new == executed else "changed"
    key = intent, old, new, verdict
    _count(groups.setdefault(key, Change(*key)), sender_id, position)


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
        if not isinstance(event, UserUttered) or not event.text or event.text.startswith("/"):  # It names its intent.
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
