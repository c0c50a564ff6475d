"""Memoization that also recognises what it knows in the middle of another conversation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from rasa_core.events import ACTION_LISTEN_NAME, UserUttered
from rasa_core.history import HEARD, State, compute_state
from rasa_core.policies.memoization import Key, MemoizationPolicy, StateKey, begins, key_of
from rasa_core.policies.policy import Trackers
from rasa_core.rasa3.history import EARLIER, LISTENED, LOOP_PREFIX, POSITION, RasaHistory, user_part

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker


class AugmentedMemoizationPolicy(MemoizationPolicy):
    """Where the last states are new, forgets the oldest, until the rest is a stretch of a story.

    A stretch is known if, wherever it stands in the stories, the same action follows. If none is, what happened before
    the oldest states is forgotten too: the rest is looked up as if the conversation had begun with it, with only those
    slots that were set in it, to whatever value, and with no message before the first that came in it; as the beginning
    of a story, or as a stretch. Parameters are those of `MemoizationPolicy`.
    """

    _slots: _Slots | None = None
    # Not stored, since it follows from `lookup`.
    _stretches: dict[Key, str | None] | None = None
    _second_states: frozenset[StateKey] | None = None

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Remember the conversations, and every stretch of them."""
        super().train(training_trackers, domain, **kwargs)
        self._stretches, self._second_states = self._made_stretches(), None

    def continue_training(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Remember more conversations, and every stretch of them."""
        super().continue_training(training_trackers, domain, **kwargs)
        self._stretches, self._second_states = self._made_stretches(), None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a policy from the folder `path`."""
        policy = super().load(path)
        policy._stretches = policy._made_stretches()
        return policy

    def _made_stretches(self) -> dict[Key, str | None]:
        """Return the ends of all turns, each to the action that follows; None where several do."""
        made: dict[Key, str | None] = {}
        if self.knows_whole:
            return made
        # Contradictory turns first: what ends one of them is followed by several actions, whatever else ends the same.
        contradictory = ((key, None) for key in self._ambiguous)
        for key, action_name in chain(contradictory, self.lookup.items()):
            for start in range(1, len(key)):
                stretch = key[start:]
                if made.setdefault(stretch, action_name) != action_name:
                    made[stretch] = None
        return made

    def _recalled(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> str | None:
        """Return the action for the longest known end of these states, None if there is none."""
        # Rasa 3 forgets in another way: it knows only what begins like a story, never a stretch from the middle of one.
        if tracker.history.loops is not None:
            known = super()._recalled(states, tracker, domain)
            return known or next(filter(None, map(self.lookup.get, self._beginnings(states, tracker, domain))), None)
        return next(filter(None, map(self._find, self._endings(states, tracker, domain))), None)

    def _beginnings(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> Iterator[Key]:
        """Yield what is left if more and more is forgotten, turns that are hidden included, as Rasa 3 does.

        Each is the beginning of a story; what was set before it is as it was at first, and no loop goes on.
        """
        slots = self._slots_of(domain)
        history = cast(RasaHistory, tracker.history)
        fresh = history.slots_set_before(len(states))
        looked_at = first_looked_at(history, None if self.knows_whole else self._max_history)
        if len(fresh) == len(states):
            yield from self._without_the_oldest(states, fresh, history, slots, looked_at)
        # Where a message was taken back, the bot may be asked while it listens, with the one before in its state.
        has_heard = tracker.latest_action_name == ACTION_LISTEN_NAME and not tracker.is_listening()
        heard = [*(LISTENED in names for names in fresh[:-1]), has_heard]
        for start in range(len(states) if len(fresh) == len(states) else 0):
            if fresh[start].get(POSITION, looked_at) < looked_at:
                continue
            if heard[start]:  # What a hidden turn did before the message is forgotten.
                rest = [_after_listening(states[start]), *states[start + 1 :]]
            else:
                rest = _without_message(states[start:], heard[start:])
            if not start:
                yield from self._from_the_oldest(states, rest if heard[0] else None, fresh, slots)
            # What was set in hidden turns before may be forgotten, too.
            own = [name for name in fresh[start] if not name.startswith(EARLIER)]
            latest = [name for name in own if fresh[start][name]]
            for names in [own] if latest == own else [own, latest]:
                # Most states follow the beginning of no story, which their first one tells.
                [first] = key_of(_with_news_since(rest[:1], [names], slots))
                if first in self._seconds:
                    told = _with_news_since(rest, [names, *fresh[start + 1 :]], slots)
                    key = slots.initial_key, *key_of(told)
                    yield key if self.knows_whole else key[-self._max_history :]

    def _from_the_oldest(
        self, states: Sequence[State], begun: Sequence[State] | None, fresh: Sequence[State], slots: _Slots
    ) -> Iterator[Key]:
        """Yield all states, without what was set before them; and what has `begun` with the message of the oldest."""
        if begun is not None:
            yield key_of(_with_news_since(states, fresh, slots))
            yield key_of(_with_news_since(begun, fresh, slots))
            return
        # In the middle of a turn, all of which is kept, if not what hidden turns before it did.
        for least in (0.0, 1.0):
            names = [name.removeprefix(EARLIER) for name, mark in fresh[0].items() if mark >= least]
            yield key_of(_with_news_since(states, [names, *fresh[1:]], slots))

    def _without_the_oldest(
        self, states: Sequence[State], fresh: Sequence[State], history: RasaHistory, slots: _Slots, first: int
    ) -> Iterator[Key]:
        """Yield the states without the slots that were set before an action before them, of which a few are looked at.

        As Rasa 3 looks at them: from the `first` that it looks at to the last before the message that is shown.
        """
        later = {name for names in fresh[1:] for name in names}
        # What stays as long as the message does: set since the action before it, and in no hidden turn.
        own = [name.removeprefix(EARLIER) for name, mark in fresh[0].items() if mark]
        older = {name: at for name, at in history.set_at.items() if name not in later and name not in own}
        last = fresh[0].get(POSITION, history.acted)
        for cut in sorted(cut for cut in {first, *(at + 1 for at in older.values())} if first <= cut <= last):
            names = [*own, *(name for name, at in older.items() if at >= cut)]
            yield key_of(_with_news_since(states, [names, *fresh[1:]], slots))

    @property
    def _seconds(self) -> frozenset[StateKey]:
        """The states that follow the first one of what is known."""
        if self._second_states is None:
            self._second_states = frozenset(key[1] for key in self.lookup if len(key) > 1)
        return self._second_states

    def _find(self, key: Key) -> str | None:
        if self._stretches is None:
            self._stretches = self._made_stretches()
        found = self.lookup.get(key)
        return self._stretches.get(key) if found is None else found

    def _is_contradictory(self, key: Key) -> bool:
        return key in self._ambiguous or key in (self._stretches or ())

    def _memories_of(self, key: Key) -> Iterable[Key]:
        if key in self.lookup or key in self._ambiguous:
            return (key,)
        return (one for one in chain(self.lookup, self._ambiguous) if one[-len(key) :] == key)

    def _known(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> tuple[Key, bool] | None:
        if tracker.history.loops is None:
            return super()._known(states, tracker, domain)
        keys = [] if self.knows_whole and not begins(states) else [key_of(states)]
        keys += self._beginnings(states, tracker, domain)
        memorised = next(((key, True) for key in keys if key in self.lookup), None)
        return memorised or next(((key, False) for key in keys if key in self._ambiguous), None)

    def _endings(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> Iterator[Key]:
        whole = key_of(states)
        for start in range(len(whole)):
            yield whole[start:]
        news = tracker.history.slots_set_before(len(states))
        if len(news) < len(states) or self._max_history == 1:
            return  # Where policies look at one state alone, none is older than the others.
        slots = self._slots_of(domain)
        for start, state in enumerate(states):
            if not any(name.startswith("prev_") for name in state):
                continue  # Nothing happened before it.
            begun = key_of(_as_begun(states[start:], news[start:], slots))
            rest = (*begun, *whole[start + len(begun) :])
            if len(rest) < self._max_history:
                yield (slots.initial_key, *rest)
            for first in range(len(begun)):  # The others have been looked up.
                yield rest[first:]

    def _slots_of(self, domain: Domain) -> _Slots:
        slots = self._slots
        # A model that was loaded anew has another domain, whose slots may have other initial values.
        if slots is None or slots.domain is not domain:
            slots = self._slots = _Slots.of(domain)
        return slots


class _Slots(NamedTuple):
    """The names of the features of each slot, and the state of a conversation in which nothing has happened yet."""

    domain: Domain
    features: dict[str, list[str]]
    initial: State
    initial_key: frozenset[tuple[str, float]]

    @classmethod
    def of(cls, domain: Domain) -> _Slots:
        features = {
            slot.name: [f"slot_{slot.name}_{index}" for index in range(slot.feature_dimensionality())]
            for slot in domain.slots
        }
        initial = compute_state(UserUttered.empty(), [slot.fresh() for slot in domain.slots], None, None)
        return cls(domain, features, initial, frozenset(initial.items()))

    def to_forget(self, state: State, kept: Collection[str]) -> set[str]:
        """Return the features of the slots that are not as they were at first, but for those to be kept."""
        return {
            name
            for slot, names in self.features.items()
            if slot not in kept and not _same(names, state, self.initial)
            for name in names
        }


def first_looked_at(history: RasaHistory, count: int | None) -> int:
    """Return how many actions there had been where a memory of so many states begins to look back, as in Rasa 3.

    That is where the bot listened before so many actions, whether they are hidden or not; 0 for all states, None.
    """
    if count is None:
        return 0
    return next((at for at in reversed(history.listens) if at <= history.acted - count), -1)


def _as_begun(states: Sequence[State], news: Sequence[Collection[str]], slots: _Slots) -> Iterator[State]:
    """Yield the states as they were if nothing had happened before the action before the first.

    The last ones, in which nothing is otherwise, are left out.
    """
    kept: set[str] = set()
    for state, fresh in zip(states, news, strict=True):
        kept.update(fresh)
        forgotten = slots.to_forget(state, kept)
        if HEARD not in kept:
            forgotten.update(user_part(state))
        elif not forgotten:
            return  # Nor is anything to forget in the states after it.
        left = {name: value for name, value in state.items() if name not in forgotten}
        yield left | {name: value for name, value in slots.initial.items() if name in forgotten}


def _after_listening(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("prev_")} | {LISTENED: 1.0}


def _without_message(states: Sequence[State], heard: Sequence[bool]) -> list[State]:
    """Return the states as they were if the conversation had begun with an action, after the message that they show."""
    until = next((index for index, is_new in enumerate(heard) if is_new), len(states))
    said = [user_part(state) for state in states[:until]]
    silent = [
        {name: state[name] for name in state if name not in part} for state, part in zip(states, said, strict=False)
    ]
    return [*silent, *states[until:]]


def _with_news_since(states: Sequence[State], fresh: Sequence[Collection[str]], slots: _Slots) -> list[State]:
    """Return the states with the slots and loops of a beginning, but for what is new since the action before them."""
    kept: set[str] = set()
    found = []
    for state, names in zip(states, fresh, strict=True):
        kept |= {name if name == LOOP_PREFIX else f"slot_{name}_" for name in names}
        here = {name: value for name, value in state.items() if _is_kept(name, kept)}
        here.update({name: value for name, value in slots.initial.items() if not _is_kept(name, kept)})
        found.append(here)
    return found


def _is_kept(name: str, news: Collection[str]) -> bool:
    if name.startswith("slot_"):  # A feature of a slot ends in its number, and names may hold underscores themselves.
        return name[: name.rindex("_") + 1] in news
    return not name.startswith(LOOP_PREFIX) or LOOP_PREFIX in news


def _same(names: Sequence[str], one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return all(one.get(name) == other.get(name) for name in names)
