"""Memoization that also recognises parts of stories in the middle of a conversation, after other turns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, UserUttered
from rasa_core.history import HEARD, State, compute_state
from rasa_core.policies.memoization import Key, MemoizationPolicy, StateKey, begins, key_of
from rasa_core.policies.policy import Trackers
from rasa_core.rasa3.history import EARLIER, LISTENED, LOOP_PREFIX, POSITION, RasaHistory, user_part
from rasa_core.trackers import DialogueStateTracker


class AugmentedMemoizationPolicy(MemoizationPolicy):
    """If the last states are unknown, drops the oldest states until the rest is a known part of a story.

    A *stretch* is a sequence of states somewhere in a story. It is known if it is followed by the same action
    everywhere in the stories. If no stretch is known, the states are also looked up as if the conversation had begun
    with them: without the slots that were set before them, and without a message before their first message. They may
    then be the beginning of a story, or a stretch. Parameters are those of `MemoizationPolicy`.
    """

    _slots: _Slots | None = None
    # Not stored, since it follows from `lookup`.
    _stretches: dict[Key, str | None] | None = None
    _second_states: frozenset[StateKey] | None = None

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Memorise the conversations, and every stretch of them."""
        super().train(training_trackers, domain, **kwargs)
        self._stretches, self._second_states = self._made_stretches(), None

    def continue_training(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Memorise more conversations, and every stretch of them."""
        super().continue_training(training_trackers, domain, **kwargs)
        self._stretches, self._second_states = self._made_stretches(), None

    @classmethod
    def load(cls, path: str | Path) -> Self:  # noqa: D102
        policy = super().load(path)
        policy._stretches = policy._made_stretches()
        return policy

    def _made_stretches(self) -> dict[Key, str | None]:
        """Return the action after each suffix of the memorised histories; None if different actions follow."""
        made: dict[Key, str | None] = {}
        if self.knows_whole:
            return made
        # Contradictory turns come first, since each of their suffixes is followed by several actions.
        contradictory = ((key, None) for key in self._ambiguous)
        for key, action_name in chain(contradictory, self.lookup.items()):
            for start in range(1, len(key)):
                stretch = key[start:]
                if made.setdefault(stretch, action_name) != action_name:
                    made[stretch] = None
        return made

    def _recalled(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> str | None:
        """Return the action for the longest known suffix of the states, or None."""
        # In Rasa 3, the states that are left must be the beginning of a story, never a stretch from its middle.
        if tracker.history.loops is not None:
            known = super()._recalled(states, tracker, domain)
            return known or next(filter(None, map(self.lookup.get, self._beginnings(states, tracker, domain))), None)
        return next(filter(None, map(self._find, self._endings(states, tracker, domain))), None)

    def _beginnings(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> Iterator[Key]:
        """Yield the states that are left after dropping more and more of the oldest and of hidden turns, as in Rasa 3.

        The states are changed as if the conversation had begun with them: slots that were set before them have their
        initial values, and no loop is active.
        """
        slots = self._slots_of(domain)
        history = cast(RasaHistory, tracker.history)
        fresh = history.slots_set_before(len(states))
        looked_at = first_looked_at(history, None if self.knows_whole else self._max_history)
        if len(fresh) == len(states):
            yield from self._without_the_oldest(states, fresh, history, slots, looked_at)
        # After an undo, a prediction may be made while the bot listens; its state then has the message before.
        has_heard = tracker.latest_action_name == ACTION_LISTEN_NAME and not tracker.is_listening()
        heard = [*(LISTENED in names for names in fresh[:-1]), has_heard]
        for start in range(len(states) if len(fresh) == len(states) else 0):
            if fresh[start].get(POSITION, looked_at) < looked_at:
                continue
            if heard[start]:  # The actions of a hidden turn before the message are dropped.
                rest = [_after_listening(states[start]), *states[start + 1 :]]
            else:
                rest = _without_message(states[start:], heard[start:])
            if not start:
                yield from self._from_the_oldest(states, rest if heard[0] else None, fresh, slots)
            # Slots that were set in hidden turns before are tried with their values and without.
            own = [name for name in fresh[start] if not name.startswith(EARLIER)]
            latest = [name for name in own if fresh[start][name]]
            for names in [own] if latest == own else [own, latest]:
                # Checked first, since most states cannot be the second state of a story, and this is quick.
                [first] = key_of(_with_news_since(rest[:1], [names], slots))
                if first in self._seconds:
                    told = _with_news_since(rest, [names, *fresh[start + 1 :]], slots)
                    key = slots.initial_key, *key_of(told)
                    yield key if self.knows_whole else key[-self._max_history :]

    def _from_the_oldest(
        self, states: Sequence[State], begun: Sequence[State] | None, fresh: Sequence[State], slots: _Slots
    ) -> Iterator[Key]:
        """Yield all states without the slots set before them; also `begun`, which begins with the oldest's message."""
        if begun is not None:
            yield key_of(_with_news_since(states, fresh, slots))
            yield key_of(_with_news_since(begun, fresh, slots))
            return
        # The oldest state is in the middle of a turn: the turn is kept, with and without slots of hidden turns before.
        for least in (0.0, 1.0):
            names = [name.removeprefix(EARLIER) for name, mark in fresh[0].items() if mark >= least]
            yield key_of(_with_news_since(states, [names, *fresh[1:]], slots))

    def _without_the_oldest(
        self, states: Sequence[State], fresh: Sequence[State], history: RasaHistory, slots: _Slots, first: int
    ) -> Iterator[Key]:
        """Yield the states without the slots that were set before one of several earlier actions.

        The actions are those at which Rasa 3 may cut the conversation: from the action number `first` to the last
        action before the message that the oldest state shows.
        """
        later = {name for names in fresh[1:] for name in names}
        # Slots that were set since the action before the message, and in no hidden turn, are kept with the message.
        own = [name.removeprefix(EARLIER) for name, mark in fresh[0].items() if mark]
        older = {name: at for name, at in history.set_at.items() if name not in later and name not in own}
        last = fresh[0].get(POSITION, history.acted)
        for cut in sorted(cut for cut in {first, *(at + 1 for at in older.values())} if first <= cut <= last):
            names = [*own, *(name for name, at in older.items() if at >= cut)]
            yield key_of(_with_news_since(states, [names, *fresh[1:]], slots))

    @property
    def _seconds(self) -> frozenset[StateKey]:
        """The second states of all memorised histories."""
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
            return  # With a single state, there is no older state to drop.
        slots = self._slots_of(domain)
        for start, state in enumerate(states):
            if not any(name.startswith("prev_") for name in state):
                continue  # The conversation began with this state.
            begun = key_of(_as_begun(states[start:], news[start:], slots))
            rest = (*begun, *whole[start + len(begun) :])
            if len(rest) < self._max_history:
                yield (slots.initial_key, *rest)
            for first in range(len(begun)):  # Later suffixes are unchanged, and were looked up above.
                yield rest[first:]

    def _slots_of(self, domain: Domain) -> _Slots:
        slots = self._slots
        # The policy may be used with another domain, whose slots may have other initial values.
        if slots is None or slots.domain is not domain:
            slots = self._slots = _Slots.of(domain)
        return slots


class _Slots(NamedTuple):
    """The feature names of each slot, and the state of a conversation that is just starting."""

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
        """Return the features of slots that do not have their initial values, except the slots in `kept`."""
        return {
            name
            for slot, names in self.features.items()
            if slot not in kept and not _same(names, state, self.initial)
            for name in names
        }


def first_looked_at(history: RasaHistory, count: int | None) -> int:
    """Return the number of the action at which a memoization of `count` states begins to look back, as in Rasa 3.

    It is the last ``action_listen`` before the last `count` actions, hidden actions included; 0 if `count` is None.
    """
    if count is None:
        return 0
    return next((at for at in reversed(history.listens) if at <= history.acted - count), -1)


def _as_begun(states: Sequence[State], news: Sequence[Collection[str]], slots: _Slots) -> Iterator[State]:
    """Yield the states changed as if the conversation had begun with the action before the first state.

    Unchanged states at the end are left out.
    """
    kept: set[str] = set()
    for state, fresh in zip(states, news, strict=True):
        kept.update(fresh)
        forgotten = slots.to_forget(state, kept)
        if HEARD not in kept:
            forgotten.update(user_part(state))
        elif not forgotten:
            return  # The states after it have nothing to change either.
        left = {name: value for name, value in state.items() if name not in forgotten}
        yield left | {name: value for name, value in slots.initial.items() if name in forgotten}


def _after_listening(state: State) -> State:
    return {name: value for name, value in state.items() if not name.startswith("prev_")} | {LISTENED: 1.0}


def _without_message(states: Sequence[State], heard: Sequence[bool]) -> list[State]:
    """Return the states without the message before the first new message, as if the conversation began after it."""
    until = next((index for index, is_new in enumerate(heard) if is_new), len(states))
    said = [user_part(state) for state in states[:until]]
    silent = [
        {name: state[name] for name in state if name not in part} for state, part in zip(states, said, strict=False)
    ]
    return [*silent, *states[until:]]


def _with_news_since(states: Sequence[State], fresh: Sequence[Collection[str]], slots: _Slots) -> list[State]:
    """Return the states with initial slots and no loop, except for slots and loops in `fresh`, which are set later."""
    kept: set[str] = set()
    found = []
    for state, names in zip(states, fresh, strict=True):
        kept |= {name if name == LOOP_PREFIX else f"slot_{name}_" for name in names}
        here = {name: value for name, value in state.items() if _is_kept(name, kept)}
        here.update({name: value for name, value in slots.initial.items() if not _is_kept(name, kept)})
        found.append(here)
    return found


def _is_kept(name: str, news: Collection[str]) -> bool:
    if name.startswith("slot_"):  # A slot feature ends in its index; the slot's name may contain underscores.
        return name[: name.rindex("_") + 1] in news
    return not name.startswith(LOOP_PREFIX) or LOOP_PREFIX in news


def _same(names: Sequence[str], one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return all(one.get(name) == other.get(name) for name in names)
