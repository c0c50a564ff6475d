"""Predicts the moments of many conversations as an ensemble does one by one, but sooner.

What memory and fallbacks decide depends on the last states and the latest message alone, so that it is found once for
each. Only where they leave the decision to a network is that asked, for many moments in a few products of matrices.
These are rounded in another way than the product for a single moment: where the difference could count, since actions
are almost equally probable, or one almost as probable as a threshold, the moment is left to be asked for alone.
"""

from __future__ import annotations

import copy
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from rasa_core.events import ActionExecuted, Event, Restarted, UserUttered
from rasa_core.history import History, State
from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.ensemble import PolicyEnsemble, SimplePolicyEnsemble
from rasa_core.policies.fallback import NOT_UNDERSTOOD_PRIORITY, OUT_OF_SCOPE, FallbackPolicy
from rasa_core.policies.features.conversations import ConversationFeaturizer, FeatureMatrix
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.network import PolicyNetwork
from rasa_core.policies.policy import Policy

if TYPE_CHECKING:
    from rasa_core.domain import Domain

Ints = NDArray[np.int64]
Names = Sequence[tuple[str, str]]

ALONE: Final = -1
"""In the place of an action: the bot has to be asked for this moment alone."""
NEAR: Final = 1e-4
"""Probabilities that differ by less may be in another order when they are rounded in another way."""
_BY_NETWORK: Final = -2
_NONE: Final = -1
_ENSEMBLES: Final = (PolicyEnsemble, SimplePolicyEnsemble)
_OTHERS: Final = (MemoizationPolicy, AugmentedMemoizationPolicy, FallbackPolicy)
_SIMPLE: Final = frozenset({"user", "action", "slot", "reset_slots", "bot", "agent", "followup", "pause", "resume"})
"""Types of events after which a conversation has all that was in it before."""


class _Part(NamedTuple):
    """What happened from one restart to the next, with all that features of finished conversations ask a tracker."""

    events: list[Event]
    history: History

    def applied_events(self) -> list[Event]:
        return self.events


class _Moment(NamedTuple):
    """All that memory and fallbacks ask a tracker."""

    states: list[State]
    latest_message: UserUttered
    latest_action_name: str | None
    history: History

    def last_states(self, count: int | None) -> list[State]:
        return self.states if count is None else self.states[-count:]


class Moments(NamedTuple):
    """The moments before the actions of some conversations, a row each.

    Attributes
    ----------
    rows : list of list of int, or None
        For each conversation, the row of each position that has an action; None if it has to be replayed.
    matrix : FeatureMatrix
        What networks see.
    kinds : NDArray of int64
        ``(rows,)``: equal where all policies but networks see the same.
    names : list of bytes
        What each kind is known by, in other batches too.
    example : callable
        Returns one moment of a kind, given its number.
    """

    rows: list[dict[int, int] | None]
    matrix: FeatureMatrix
    kinds: Ints
    names: list[bytes]
    example: Callable[[int], _Moment]


class MomentReader:
    """Reads finished conversations as bots see them whose domains have the same vocabulary and slots."""

    def __init__(self, domain: Domain, bots: Sequence[ManyMoments]) -> None:
        self._history = History(1, domain.vocabulary)
        self._window = max(bot.window for bot in bots)
        names = dict.fromkeys(name for bot in bots for name in bot.feature_names)
        self.columns = {name: column for column, name in enumerate(names)}
        latest = max(bot.max_history for bot in bots)
        self._featurizer = ConversationFeaturizer(latest, domain.slots, self.columns.get)
        self._thresholds = sorted({threshold for bot in bots for threshold in bot.nlu_thresholds})
        self._numbered = 0
        self._parts: object = None

    def read(self, conversations: Sequence[Sequence[Event]]) -> Moments:
        """Return the moments of some conversations."""
        featurizer, found = self._featurizer, list[dict[int, int] | None]()
        starts, messages = list[int](), list[UserUttered]()
        for events in conversations:
            parts = _parts(events)
            rows: dict[int, int] | None = None if parts is None else {}
            for start, part in parts or ():
                first = len(featurizer)
                featurizer.add(cast(Any, _Part(part, self._history)))
                for place, message in _before_actions(part):
                    rows[start + place] = len(messages)  # type: ignore[index]
                    messages.append(message)
                starts += [first] * (len(messages) - first)
            found.append(rows)
        return self._moments(found, np.array(starts, np.int64), messages)

    def _moments(self, rows: list[dict[int, int] | None], starts: Ints, messages: Sequence[UserUttered]) -> Moments:
        featurizer = self._featurizer
        if featurizer.parts is not self._parts:  # Numbers of before mean something else now.
            self._parts, self._numbered = featurizer.parts, self._numbered + 1
        states = featurizer.states()
        seen = self._seen(states, starts)
        heard = np.array([self._heard(message) for message in messages], np.int64)
        kinds, firsts = _numbered([*(_numbered(list(part.T))[0] for part in seen.swapaxes(0, 1)), heard])
        names = [b"%d %d %b" % (self._numbered, heard[first], seen[first].tobytes()) for first in firsts]

        def example(kind: int) -> _Moment:
            return self._example(seen[firsts[kind]], messages[firsts[kind]])

        return Moments(rows, featurizer.take(), kinds, names, example)

    def _seen(self, states: Ints, starts: Ints) -> Ints:
        """Return the last states before each row, ``(rows, window, parts of a state)``; none before the first."""
        places = np.arange(len(states))[:, None] - np.arange(self._window)[::-1]
        seen: Ints = states[np.maximum(places, 0)]
        seen[places < starts[:, None]] = _NONE
        return seen

    def _heard(self, message: UserUttered) -> int:
        """Return a number for all that fallbacks see in a message."""
        intent = message.intent
        sure = intent.get("confidence")
        place = len(self._thresholds) if sure is None else bisect_right(self._thresholds, sure)
        # Between two thresholds, all confidences are alike to a fallback; the name is the only other thing that it
        # looks at.
        return 2 * place + (intent.get("name") == OUT_OF_SCOPE)

    def _example(self, seen: Ints, message: UserUttered) -> _Moment:
        states = [self._featurizer.state_of(numbers) for numbers in seen.tolist() if numbers[0] != _NONE]
        action = next((name[5:] for name in states[-1] if name.startswith("prev_")), None)
        return _Moment(states, message, action, self._history)


class _NetworkAskedError(Exception):
    """The network is asked, and what it says is not known yet."""


class ManyMoments:
    """What an ensemble decides at many moments. Not to be shared between threads.

    Attributes
    ----------
    window, max_history : int
        How many states memory looks at, and how many events a network has features of in full.
    feature_names : sequence of (str, str)
        Those of the network.
    nlu_thresholds : list of float
        Those of the fallbacks.
    """

    def __init__(self, ensemble: PolicyEnsemble, domain: Domain) -> None:
        self._domain = domain
        network: Any = next(filter(_is_network, ensemble.policies), None)
        history = None if network is None else network._history
        self._network: Any = network
        self.max_history: int = 1 if history is None else history.max_history
        self.feature_names: Names = () if history is None else history.names
        self.nlu_thresholds = [one.nlu_threshold for one in ensemble.policies if isinstance(one, FallbackPolicy)]
        memories = [policy.max_history or 1 for policy in ensemble.policies if isinstance(policy, MemoizationPolicy)]
        self.window: int = max(memories, default=1)
        self._bounds = _bounds(ensemble.policies)
        self._row: list[float] | None = None
        self._ensemble = copy.copy(ensemble)
        self._ensemble.policies = [self._with_rows(policy) for policy in ensemble.policies]
        self._by_kind: dict[bytes, int] = {}
        self._with_network: dict[tuple[bytes, int], int] = {}

    @classmethod
    def of(cls, ensemble: Any, domain: Domain) -> Self | None:
        """Return what predicts for an ensemble; None if policies of one's own, or of Rasa 3, may look at more."""
        # By exact types: a subclass may decide by anything, and then what was decided before says nothing.
        if type(ensemble) not in _ENSEMBLES or ensemble.by_confidence or domain.rasa is not None:
            return None
        networks = list(filter(_is_network, ensemble.policies))
        others = [policy for policy in ensemble.policies if policy not in networks]
        is_usual = (
            len(networks) < 2
            and all(type(policy) in _OTHERS for policy in others)
            and not any(vars(one.featurizer).get("use_intent_probabilities") for one in others)
            and not any(one.priority == NOT_UNDERSTOOD_PRIORITY for one in ensemble.policies)
        )
        return cls(ensemble, domain) if is_usual else None

    def _with_rows(self, policy: Any) -> Any:
        """Return a policy; a network as one that looks at its row."""
        if not _is_network(policy):
            return policy

        def scores(tracker: object, domain: Domain) -> list[float]:
            if self._row is None:
                raise _NetworkAskedError
            return self._row

        looking = copy.copy(policy)
        # On the copy alone: the policy itself goes on as it is, also for other threads.
        vars(looking)["predict_action_probabilities"] = scores
        return looking

    def actions(self, moments: Moments, rows: Ints, reader: MomentReader) -> Ints:
        """Return the index of the action that is decided on in each of some rows, or `ALONE`."""
        there, kinds = np.unique(moments.kinds[rows], return_inverse=True)
        found = np.array([self._of_kind(moments, kind) for kind in there.tolist()], np.int64)[kinds]
        asked = np.flatnonzero(found == _BY_NETWORK)
        if len(asked):
            told = self._told_by_network(moments.matrix, rows[asked], reader)
            best, places = told.argmax(axis=1).tolist(), self._places(told).tolist()
            some = zip(moments.kinds[rows[asked]].tolist(), best, places, told, strict=True)
            found[asked] = [self._of_network(moments, *one) for one in some]
        return found

    def _of_kind(self, moments: Moments, kind: int) -> int:
        name = moments.names[kind]
        if name not in self._by_kind:
            self._by_kind[name] = self._decided(moments.example(kind), None)
        return self._by_kind[name]

    def _of_network(self, moments: Moments, kind: int, best: int, place: int, row: NDArray[np.float32]) -> int:
        """Return what is decided where the network is surest of one action, and that so sure."""
        if place == ALONE:
            return ALONE
        key = moments.names[kind], place
        if key not in self._with_network:
            self._with_network[key] = self._decided(moments.example(kind), row.tolist())
        found = self._with_network[key]
        return best if found == _BY_NETWORK else found

    def _decided(self, moment: _Moment, row: list[float] | None) -> int:
        """Return the index of an action, or that the network decides, which must be asked if there is no row of it."""
        self._row = row
        try:
            found = self._ensemble.predict(cast(Any, moment), self._domain)
        except _NetworkAskedError:
            return _BY_NETWORK
        is_by_network = self._network is not None and found.policy == type(self._network).__name__
        return _BY_NETWORK if is_by_network else self._domain.index_for_action(found.action)

    def _told_by_network(self, matrix: FeatureMatrix, rows: Ints, reader: MomentReader) -> NDArray[np.float32]:
        """Return what the network says in some rows, ``(rows, actions)``."""
        begins, lengths = matrix.starts[rows], np.diff(matrix.starts)[rows]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) + np.repeat(begins - ends + lengths, lengths)
        # The columns of this network for those of the reader, which reads for several.
        own = np.full(len(reader.columns), _NONE, np.int32)
        own[[reader.columns[name] for name in self.feature_names]] = np.arange(len(self.feature_names))
        columns, values = own[matrix.columns[places]], matrix.values[places]
        is_known = columns != _NONE
        starts = np.concatenate([[0], np.cumsum(is_known)])[np.concatenate([[0], ends])]
        told = self._network.model.predict_matrix(starts, columns[is_known], values[is_known])
        return np.concatenate([one.copy() for one in told])

    def _places(self, probabilities: NDArray[np.float32]) -> Ints:
        """Return between which bounds the best score of each row is; `ALONE` if another rounding could count."""
        if probabilities.shape[1] < 2:
            return np.full(len(probabilities), ALONE)
        second, first = np.partition(probabilities, -2)[:, -2:].T
        place = np.searchsorted(self._bounds, first).clip(1, len(self._bounds) - 1)
        distance = np.minimum(np.abs(first - self._bounds[place - 1]), np.abs(first - self._bounds[place]))
        return np.where((first - second < NEAR) | (distance < NEAR), ALONE, place)


def _numbered(columns: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Return a number for each row of some columns, equal for equal rows, and the first row of each number."""
    found = np.zeros(len(columns[0]), np.int64)
    firsts = found
    for column in columns:
        _, low = np.unique(column, return_inverse=True)
        # Two numbers as one, and numbered anew after each column, so that they stay small.
        _, firsts, found = np.unique(found * (len(low) + 1) + low, return_index=True, return_inverse=True)
    return found, firsts


def _is_network(policy: Policy) -> bool:
    """Tell whether a policy is a network that predicts many conversations at once, without loading its class."""
    if type(policy) is not Policy.registry.get("KerasPolicy"):
        return False
    return isinstance(vars(policy).get("model"), PolicyNetwork) and vars(policy).get("_history") is not None


def _bounds(policies: Sequence[Policy]) -> NDArray[np.float64]:
    """Return what the score of a network is compared with, ascending."""
    found = {policy.threshold for policy in policies if _is_network(policy)}
    is_first = False
    for policy in policies:
        is_first |= _is_network(policy)
        if isinstance(policy, FallbackPolicy):
            found.add(policy.core_threshold)
        elif isinstance(policy, MemoizationPolicy):  # Where memory is certain and is asked first, no network is asked.
            found |= policy.uncertain_scores() | ({1.0} if is_first else set())
    return np.array([-1.0, *sorted(found), 2.0])


def _parts(events: Sequence[Event]) -> list[tuple[int, list[Event]]] | None:
    """Return what happened from one restart to the next, and where it begins; None if something was taken back."""
    if not all(event.type_name in _SIMPLE or isinstance(event, Restarted) for event in events):
        return None
    if any(isinstance(event, ActionExecuted) and event.unpredictable for event in events):
        return None
    starts = [0, *(place + 1 for place, event in enumerate(events) if isinstance(event, Restarted))]
    return [
        (start, list(events[start : end - 1]))
        for start, end in zip(starts, [*starts[1:], len(events) + 1], strict=True)
    ]


def _before_actions(events: Sequence[Event]) -> Iterator[tuple[int, UserUttered]]:
    """Yield the positions of actions, and the message before each."""
    message = UserUttered.empty()
    for place, event in enumerate(events):
        if isinstance(event, ActionExecuted):
            yield place, message
        elif isinstance(event, UserUttered):
            message = event
