"""What another model would have decided in conversations that have taken place: replays them, and runs no action.

At each action of a conversation both models are asked what comes next, with all that had happened by then. What was
run there is what they are measured by: a decision that the first model shares with the conversation, and the second
does not, is worse; the other way round it is better; where neither does, it has changed. What somebody has corrected is
no measure any more: the conversation that was corrected is left out (`without_corrected`), and its draft counts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.domain import Domain
from rasa_core.evaluation.changes import Change, Comparison, Kind, StoriesCompared, count, order, verdict_on
from rasa_core.evaluation.stories import Predictor, StoryEvaluation
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ConversationPaused,
    ConversationResumed,
    Event,
    FollowupAction,
    Restarted,
    StoryExported,
    UserUttered,
)
from rasa_core.policies.many import ALONE, ManyMoments, MomentReader, Moments
from rasa_core.rasa3.history import history_for
from rasa_core.teaching.corrections import CORRECTED, DRAFT_MARK
from rasa_core.trackers import DialogueStateTracker

Conversation = tuple[str, Sequence[Event]]

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
        Intent of the message before it.
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
    heard = None if understand is None else _Heard(understand)
    pair = _Pair(before, after)
    for some in _several(conversations):
        for (sender_id, events), decided in zip(some, pair.decisions(some), strict=True):
            found.conversations += 1
            found.decisions += len(decided)
            for position, intent, old, new in decided:
                if old != new:
                    _note(
                        groups, intent, str(getattr(events[position], "action_name", "")), old, new, sender_id, position
                    )
            if heard is not None:
                heard.compare(sender_id, events)
            tell(found.conversations)
    found.changes = sorted(groups.values(), key=order)
    if heard is not None:
        found.understood, found.entities = (sorted(groups.values(), key=order) for groups in heard.groups)
    return found


def _several(conversations: Iterable[Conversation]) -> Iterator[list[Conversation]]:
    """Yield conversations, as many at a time as are replayed together."""
    left = iter(conversations)
    while some := list(islice(left, TOGETHER)):
        yield some


Decided = tuple[int, str, str, str]
"""The position of a decision, the intent before it, and what both bots decide."""


class _Pair:
    """Two bots that decide at the same moments."""

    def __init__(self, before: Predictor, after: Predictor) -> None:
        self._bots = before, after
        self._windows = [bot.policy_ensemble.window for bot in self._bots]
        one, other = before.domain, after.domain
        slots = [domain.as_dict().get("slots") for domain in (one, other)]
        # Then one reading does for both, which is most of the work.
        self._see_the_same = one.vocabulary == other.vocabulary and slots[0] == slots[1]
        many = [ManyMoments.of(bot.policy_ensemble, bot.domain) for bot in self._bots]
        self._many = [one for one in many if one is not None]
        self._readers: list[MomentReader] = []
        if len(self._many) == len(many):
            apart = [[one] for one in self._many]
            shared = [MomentReader(one, self._many)] * 2 if self._see_the_same else []
            self._readers = shared or [MomentReader(*pair) for pair in zip((one, other), apart, strict=True)]

    def decisions(self, conversations: Sequence[Conversation]) -> list[list[Decided]]:
        """Return what both decide in each of some conversations: at once where that can be, else one by one."""
        if not self._readers:
            return [self._replayed(*one) for one in conversations]
        told = [events for _, events in conversations]
        first = self._readers[0].read(told)
        moments = [first, first if self._see_the_same else self._readers[1].read(told)]
        found: list[list[Decided]] = []
        places: list[tuple[int, int, str]] = []
        rows: list[tuple[int, int]] = []
        for number, ((sender_id, events), *known) in enumerate(
            zip(conversations, *(one.rows for one in moments), strict=True)
        ):
            found.append([])
            if None in known:
                found[-1] = self._replayed(sender_id, events)
                continue
            for position, intent in _decided_positions(sender_id, events):
                places.append((number, position, intent))
                rows.append((known[0][position], known[1][position]))
        self._decide(conversations, found, places, moments, np.array(rows, np.int64).reshape(-1, 2))
        return found

    def _decide(
        self,
        conversations: Sequence[Conversation],
        found: list[list[Decided]],
        places: Sequence[tuple[int, int, str]],
        moments: Sequence[Moments],
        rows: NDArray[np.int64],
    ) -> None:
        """Put what both decide at some places of conversations into `found`."""
        some = zip(self._many, moments, rows.T, self._readers, strict=True)
        decided = [many.actions(moment, row, reader).tolist() for many, moment, row, reader in some]
        restarts = {bot.domain.restart_intent for bot in self._bots}
        names = [bot.domain.action_names for bot in self._bots]
        left: dict[int, set[int]] = {}
        for (number, position, intent), old, new in zip(places, *decided, strict=True):
            if ALONE in (old, new) or intent in restarts:
                left.setdefault(number, set()).add(position)
            else:
                found[number].append((position, intent, names[0][old], names[1][new]))
        for number, positions in left.items():
            found[number] += self._replayed(*conversations[number], positions)
            found[number].sort()

    def _replayed(self, sender_id: str, events: Sequence[Event], only: Collection[int] | None = None) -> list[Decided]:
        """Return what both decide in a conversation, or at some of its positions, asked for each moment alone."""
        one, other = self._bots
        return [
            (position, _intent(before), one.predict(before).action, other.predict(after).action)
            for position, before, after in self._moments(sender_id, events)
            if only is None or position in only
        ]

    def _moments(
        self, sender_id: str, events: Sequence[Event]
    ) -> Iterator[tuple[int, DialogueStateTracker, DialogueStateTracker]]:
        domains = [bot.domain for bot in self._bots]
        if self._see_the_same:
            for position, _, tracker in _moments(domains[0], max(self._windows), sender_id, events):
                yield position, tracker, tracker
            return
        each = (_moments(*own, sender_id, events) for own in zip(domains, self._windows, strict=True))
        for (position, _, tracker), (_, _, other) in zip(*each, strict=True):
            yield position, tracker, other


def _decided_positions(sender_id: str, events: Sequence[Event]) -> Iterator[tuple[int, str]]:
    """Yield the positions that `_moments` yields, and the intents before, where a conversation has `Moments`."""
    is_draft, is_paused, is_due = DRAFT_MARK in sender_id, False, False
    fixed: str | None = None
    message = UserUttered.empty()
    for position, event in enumerate(events):
        if isinstance(event, ActionExecuted):
            is_free = fixed is None and not is_paused and message.text is not None
            if is_free and position and event.action_name not in _OPENS:
                yield position, str(message.intent.get("name") or "")
            if not is_due or event.action_name != ACTION_LISTEN_NAME or fixed == ACTION_LISTEN_NAME:
                fixed = None
            is_due = False
        elif isinstance(event, UserUttered):
            message, is_due, fixed = event, False, None if fixed == ACTION_LISTEN_NAME else fixed
        elif isinstance(event, FollowupAction):
            if not is_draft:
                fixed, is_due = event.action_name, False
        elif isinstance(event, Restarted):
            message, is_paused, fixed, is_due = UserUttered.empty(), False, ACTION_LISTEN_NAME, True
        elif isinstance(event, ConversationPaused | ConversationResumed):
            is_paused = isinstance(event, ConversationPaused)


def _note(
    groups: dict[Kind, Change], intent: str, executed: str, old: str, new: str, sender_id: str, position: int
) -> None:
    key = intent, old, new, verdict_on(executed, old, new)
    count(groups.setdefault(key, Change(*key)), sender_id, position)


class _Heard:
    """What two bots take typed messages for; each text is parsed once."""

    def __init__(self, understand: tuple[Understand, Understand]) -> None:
        self._understand = understand
        self._known: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
        self.groups: tuple[dict[Kind, Change], dict[Kind, Change]] = {}, {}

    def compare(self, sender_id: str, events: Sequence[Event]) -> None:
        """Note how the messages of a conversation are taken otherwise."""
        for position, event in enumerate(events):
            if isinstance(event, UserUttered) and event.text and not event.text.startswith("/"):  # It names its intent.
                self._compare(sender_id, position, event, event.text)

    def _compare(self, sender_id: str, position: int, event: UserUttered, text: str) -> None:
        if text not in self._known:
            self._known[text] = (self._understand[0](text), self._understand[1](text))
        old, new = self._known[text]
        is_right = bool((event.metadata or {}).get(CORRECTED))
        meant = (_named(event.parse_data), _found(event.parse_data)) if is_right else (None, None)
        if _named(old) != _named(new):
            key = "understood", _named(old), _named(new), verdict_on(meant[0], _named(old), _named(new))
            count(self.groups[0].setdefault(key, Change(*key, "intent")), sender_id, position)
        if _found(old) != _found(new):
            told = _told_apart(_found(old), _found(new))
            key = _named(old), *told, verdict_on(meant[1], _found(old), _found(new))
            count(self.groups[1].setdefault(key, Change(*key, "entities")), sender_id, position)


Entities = tuple[tuple[str, str], ...]


def _named(parsed: Mapping[str, Any]) -> str:
    return str((parsed.get("intent") or {}).get("name") or "")


def _found(parsed: Mapping[str, Any]) -> Entities:
    """Return the entities of a message, with roles and groups, and their values, in the order of their names."""
    found = parsed.get("entities") or ()
    return tuple(sorted((_kind_of(one), json.dumps(one.get("value"), ensure_ascii=False)) for one in found))


def _kind_of(entity: Mapping[str, Any]) -> str:
    parts = (entity.get("role"), entity.get("group"))
    return " ".join([str(entity.get("entity")), *(f"({part})" for part in parts if part)])


def _told_apart(old: Entities, new: Entities) -> tuple[str, str]:
    """Return what only one of both has: the names of the entities; their values too where the names are the same."""
    one, other = (Counter(name for name, _ in found) for found in (old, new))
    if one == other:
        one, other = (Counter(map(" ".join, found)) for found in (old, new))
    return _listed(one - other), _listed(other - one)


def _listed(names: Counter[str]) -> str:
    return ", ".join(sorted(names.elements())) or "none"


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
