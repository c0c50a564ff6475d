"""Compares two models on recorded conversations: replays the conversations, and runs no action.

At each action of a conversation, both models predict the next action from the events so far, and the action that was
run is the measure. If only the first model predicts it, the second one is worse; if only the second model predicts it,
it is better; if neither does and they differ, the prediction has changed. A corrected conversation is left out
(`without_corrected`), and its corrected draft counts instead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.evaluation.changes import (
    Comparison,
    Difference,
    Heard,
    Replayed,
    ReplayedConversations,
    StoriesCompared,
    Tally,
    Understand,
    verdict_on,
)
from rasa_core.evaluation.predictor import Predictor
from rasa_core.evaluation.stories import StoryEvaluation
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
from rasa_core.policies.batch_moments import MomentReader, RasaMomentReader
from rasa_core.policies.batch_prediction import ALONE, BatchPredictor
from rasa_core.policies.features.moments import Moments
from rasa_core.rasa3.history import history_for
from rasa_core.teaching.corrections import DRAFT_MARK
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.logs import each_of
from rasa_core.tracker_store.rows import TimelessEvents, event_in
from rasa_core.trackers import DialogueStateTracker

NamedEvents = tuple[str, Sequence[Event]]
Bot = TypeVar("Bot", bound=Predictor)

TOGETHER: Final = 500
"""The number of conversations that are replayed together."""

_OPENS: Final = ("action_session_start",)


@dataclass(frozen=True, slots=True)
class ReplayedAction:
    """The prediction of a model at one position of a conversation.

    Attributes
    ----------
    at : int
        Position of the action that was run.
    intent : str
        Intent of the message before it.
    executed : str
        The action that was run.
    model : str or None
        The model that was loaded then, if the log has it.
    action : str
        The action that the model predicts.
    confidence, policy
        The confidence of the prediction, and its policy.
    """

    at: int
    intent: str
    executed: str
    model: str | None
    action: str
    confidence: float
    policy: str | None


def decisions(bot: Predictor, sender_id: str, events: Sequence[Event]) -> Iterator[ReplayedAction]:
    """Yield the predictions of a bot for each action of a conversation that a policy could have chosen.

    In a draft, an action that somebody has fixed is the right one: the bot predicts as if it were not fixed.
    """
    for position, event, tracker in _moments(bot.domain, bot.policy_ensemble.window, sender_id, events):
        found = bot.predict(tracker)
        model = getattr(event, "model", None)
        intent = _intent(tracker)
        yield ReplayedAction(position, intent, event.action_name, model, found.action, found.confidence, found.policy)


def _moments(
    domain: Domain, window: int, sender_id: str, events: Sequence[Event]
) -> Iterator[tuple[int, ActionExecuted, DialogueStateTracker]]:
    """Yield the position of each such action, the action, and the conversation as it was before."""
    is_draft = DRAFT_MARK in sender_id
    tracker = DialogueStateTracker(sender_id, domain.slots, history=history_for(window, domain.vocabulary))
    for position, event in enumerate(events):
        if isinstance(event, ActionExecuted) and _is_decided(event, tracker, position):
            yield position, event, tracker
        # An export event would write its file again, and a fixed action would prevent a prediction.
        if not isinstance(event, StoryExported) and not (is_draft and isinstance(event, FollowupAction)):
            tracker.take(event)


def _intent(tracker: DialogueStateTracker) -> str:
    return str(tracker.latest_message.intent.get("name") or "")


def _is_decided(event: ActionExecuted, tracker: DialogueStateTracker, position: int) -> bool:
    if event.unpredictable or not position or event.action_name in _OPENS or tracker.is_paused():
        return False
    return tracker.follow_up_action is None and tracker.latest_message.text is not None


# -- two models


def compare(
    before: Predictor,
    after: Predictor,
    conversations: Iterable[NamedEvents],
    understand: tuple[Understand, Understand] | None = None,
    tell: Callable[[int], object] = lambda done: None,
) -> Comparison:
    """Replay conversations with two bots.

    Parameters
    ----------
    conversations
        The id of each conversation, and its events.
    understand
        Compares the intents and entities that the two bots find; None if they have the same interpreter.
    tell
        A function that is called with the number of conversations that are done.
    """
    replay, tally = Replay(before, after, understand), Tally()
    for some in _several(conversations):
        for (sender_id, _), found in zip(some, replay.of(some), strict=True):
            tally.add(sender_id, found)
            tell(tally.found.conversations)
    return tally.comparison()


def _several(conversations: Iterable[NamedEvents]) -> Iterator[list[NamedEvents]]:
    """Yield lists of conversations, each as long as a batch that is replayed together."""
    left = iter(conversations)
    while some := list(islice(left, TOGETHER)):
        yield some


class Replay(Generic[Bot]):
    """Replays conversations with two bots; the parameters are those of `compare`.

    Attributes
    ----------
    bots, understands
        The two bots; whether their intents and entities are compared too.
    """

    def __init__(self, before: Bot, after: Bot, understand: tuple[Understand, Understand] | None = None) -> None:
        self.bots, self.understands = (before, after), understand is not None
        self._pair = _Pair(before, after)
        self._heard = None if understand is None else Heard(understand)
        # Policies of users' own may look at times.
        self._read = TimelessEvents().read if self._pair.decides_at_once else event_in

    def of(self, conversations: Sequence[NamedEvents]) -> list[Replayed]:
        """Return the differences in each of some conversations."""
        found = []
        for (_, events), decided in zip(conversations, self._pair.decisions(conversations), strict=True):
            notes = [_noted(events[at], at, intent, old, new) for at, intent, old, new in decided if old != new]
            heard = () if self._heard is None else self._heard.notes(events)
            found.append(Replayed(len(decided), [*notes, *heard]))
        return found

    def of_stored(
        self: Replay[Agent], store: TrackerStore, names: Sequence[str], longest: int | None
    ) -> ReplayedConversations:
        """Return the result of `of` for stored conversations, leaving out those with more events than `longest`."""
        some = list(each_of(store, names, longest, self._read))
        return [(sender_id, one) for (sender_id, _), one in zip(some, self.of(some), strict=True)]


def replay_of(before: Agent, after: Agent) -> Replay[Agent]:
    """Return a replay with two agents, which also compares intents and entities if their NLU models differ."""
    # With one NLU model, no message can be understood in two ways.
    is_same = before.interpreter.model_fingerprint == after.interpreter.model_fingerprint
    return Replay(before, after, None if is_same else (before.turns().understand, after.turns().understand))


def _noted(event: Event, at: int, intent: str, old: str, new: str) -> Difference:
    executed = str(getattr(event, "action_name", ""))
    return Difference("action", intent, old, new, verdict_on(executed, old, new), at)


Decided = tuple[int, str, str, str]
"""The position of a prediction, the intent before it, and the predictions of both bots."""


class _Pair:
    """Two bots that predict at the same moments."""

    def __init__(self, before: Predictor, after: Predictor) -> None:
        self._bots = before, after
        self._windows = [bot.policy_ensemble.window for bot in self._bots]
        one, other = before.domain, after.domain
        slots = [domain.as_dict().get("slots") for domain in (one, other)]
        # Then one reading does for both, which is most of the work.
        self._see_the_same = one.vocabulary == other.vocabulary and slots[0] == slots[1]
        many = [BatchPredictor.of(bot.policy_ensemble, bot.domain) for bot in self._bots]
        self._many = [one for one in many if one is not None]
        self._readers: list[MomentReader | RasaMomentReader] = []
        # Two bots of which one only is of Rasa 3 have nothing in common that could be read for both.
        if len(self._many) == len(many) and (one.rasa is None) == (other.rasa is None):
            reader = MomentReader if one.rasa is None else RasaMomentReader
            together = [self._many] if self._see_the_same else [[many] for many in self._many]
            readers = [reader(domain, bots) for domain, bots in zip((one, other), together, strict=False)]
            self._readers = readers if len(readers) == 2 else readers * 2

    @property
    def decides_at_once(self) -> bool:
        """Whether both bots have only policies of this package, whose inputs are known."""
        return bool(self._readers)

    def decisions(self, conversations: Sequence[NamedEvents]) -> list[list[Decided]]:
        """Return the predictions of both bots in conversations: all at once if possible, otherwise one by one."""
        if not self._readers:
            return [self._replayed(*one) for one in conversations]
        first, second = self._readers
        if isinstance(first, MomentReader) and isinstance(second, MomentReader):
            return self._decided_by_reading(conversations, first, second)
        return self._decided_by_following(conversations, cast(RasaMomentReader, first), cast(RasaMomentReader, second))

    def _decided_by_following(
        self, conversations: Sequence[NamedEvents], first: RasaMomentReader, second: RasaMomentReader
    ) -> list[list[Decided]]:
        """Return the predictions of both bots in conversations of Rasa 3, which are replayed event by event."""
        found: list[list[Decided]] = [[] for _ in conversations]
        places: list[tuple[int, int, str]] = []
        rows: list[tuple[int, int]] = []
        for number, (sender_id, events) in enumerate(conversations):
            for position, before, after in self._moments(sender_id, events):
                places.append((number, position, _intent(before)))
                row = first.note(before)
                rows.append((row, row if second is first else second.note(after)))
        moments = first.take()
        both = [moments, moments if second is first else second.take()]
        self._decide(conversations, found, places, both, np.array(rows, np.int64).reshape(-1, 2))
        for reader in (first, second):
            reader.forget_many()
        return found

    def _decided_by_reading(
        self, conversations: Sequence[NamedEvents], first: MomentReader, second: MomentReader
    ) -> list[list[Decided]]:
        """Return the predictions of both bots in conversations; those without a rewind or undo are not replayed."""
        told = [events for _, events in conversations]
        read = first.read(told)
        moments = [read, read if second is first else second.read(told)]
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
        conversations: Sequence[NamedEvents],
        found: list[list[Decided]],
        places: Sequence[tuple[int, int, str]],
        moments: Sequence[Moments],
        rows: NDArray[np.int64],
    ) -> None:
        """Add the predictions of both bots at some positions of conversations to `found`."""
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
        """Return the predictions of both bots in a conversation, or at some positions, one by one."""
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


def compare_stories(name: str, before: StoryEvaluation, after: StoryEvaluation) -> StoriesCompared:
    """Return the stories that fail with only one of two bots."""
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
    """Return the ids of conversations, without those that have a corrected draft."""
    corrected = {name.rpartition(DRAFT_MARK)[0] for name in names if DRAFT_MARK in name}
    return [name for name in names if name not in corrected]
