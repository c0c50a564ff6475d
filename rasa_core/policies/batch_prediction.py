"""Predicts the moments of many conversations as an ensemble does one by one, but sooner.

What memory and fallbacks decide depends on the last states and the latest message alone, so that it is found once for
each. Only where they leave the decision to a network is that asked, for many moments in a few products of matrices.
These are rounded in another way than the product for a single moment: where the difference could count, since actions
are almost equally probable, or one almost as probable as a threshold, the moment is left to be asked for alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.ensemble import PolicyEnsemble, SimplePolicyEnsemble
from rasa_core.policies.fallback import NOT_UNDERSTOOD_PRIORITY, FallbackPolicy
from rasa_core.policies.features.conversations import FeatureMatrix
from rasa_core.policies.features.moments import Moments, Names
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.network import PolicyNetwork
from rasa_core.policies.policy import Opinion, Policy
from rasa_core.policies.rules import RulePolicy

if TYPE_CHECKING:
    from rasa_core.domain import Domain

Ints = NDArray[np.int64]

ALONE: Final = -1
"""In the place of an action: the bot has to be asked for this moment alone."""
NEAR: Final = 1e-4
"""Probabilities that differ by less may be in another order when they are rounded in another way."""
_BY_NETWORK: Final = -2
"""And each number below: the network decides, or is asked, since all others say one of several things."""
_NONE: Final = -1
_ENSEMBLES: Final = (PolicyEnsemble, SimplePolicyEnsemble)
_OTHERS: Final = (MemoizationPolicy, AugmentedMemoizationPolicy, FallbackPolicy)
_OTHERS_OF_RASA: Final = (MemoizationPolicy, AugmentedMemoizationPolicy, RulePolicy)


class _NetworkAskedError(Exception):
    """The network is asked, and what it says is not known yet."""


class Columns(Protocol):
    """What has put features into columns: a `MomentReader` or `RasaMomentReader`."""

    @property
    def columns(self) -> Mapping[tuple[str, str], int]: ...  # noqa: D102


class BatchPredictor:
    """What an ensemble decides at many moments. Not to be shared between threads.

    Attributes
    ----------
    window, max_history : int
        How many states memory looks at, and how many events a network has features of in full.
    feature_names : sequence of (str, str)
        Those of the network.
    nlu_thresholds : list of float
        Those of the fallbacks.
    rule_window : int
        How many states rules look at.
    forgetting : set of int or None
        How many states each memory looks at that forgets more and more of them; None for all.
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
        rules = [policy.max_history for policy in ensemble.policies if isinstance(policy, RulePolicy)]
        self.rule_window: int = max(rules, default=1)
        augmented = [policy for policy in ensemble.policies if isinstance(policy, AugmentedMemoizationPolicy)]
        self.forgetting = {None if policy.knows_whole else policy.max_history for policy in augmented}
        self._bounds = _bounds(ensemble)
        self._row: list[float] | None = None
        self._known: list[dict[int, Opinion]] = []
        self._ensemble = copy.copy(ensemble)
        self._ensemble.policies = [self._with_rows(policy) for policy in ensemble.policies]
        self._others = [policy for policy in self._ensemble.policies if not _is_network(policy)]
        self._by_kind: dict[bytes, int] = {}
        self._left: dict[Any, int] = {}
        self._with_network: dict[tuple[int, int], int] = {}

    @classmethod
    def of(cls, ensemble: Any, domain: Domain) -> Self | None:
        """Return what predicts for an ensemble; None if policies of one's own, or of Rasa 3, may look at more."""
        # By exact types: a subclass may decide by anything, and then what was decided before says nothing.
        if type(ensemble) not in _ENSEMBLES or ensemble.by_confidence != (domain.rasa is not None):
            return None
        known = _OTHERS if domain.rasa is None else _OTHERS_OF_RASA
        networks = list(filter(_is_network, ensemble.policies))
        others = [policy for policy in ensemble.policies if policy not in networks]
        is_usual = (
            len(networks) < 2
            and all(type(policy) in known for policy in others)
            and not any(getattr(policy, "USE_NLU_CONFIDENCE_AS_SCORE", False) for policy in others)
            and not any(vars(one.featurizer).get("use_intent_probabilities") for one in others)
            and not any(one.priority == NOT_UNDERSTOOD_PRIORITY for one in ensemble.policies)
        )
        return cls(ensemble, domain) if is_usual else None

    def _with_rows(self, policy: Any) -> Any:
        """Return a policy; a network as one that looks at its row, and one of Rasa 3 as one that remembers."""

        def scores(tracker: object, domain: Domain) -> list[float]:
            if self._row is None:
                raise _NetworkAskedError
            return self._row

        looking = copy.copy(policy)
        # On the copy alone: the policy itself goes on as it is, also for other threads.
        if _is_network(policy):
            vars(looking)["predict_action_probabilities"] = scores
        elif self._domain.rasa is not None:
            is_rules = isinstance(policy, RulePolicy)
            vars(looking)["opinion"] = self._remembered(policy, "by_rules" if is_rules else "by_memory")
        else:
            vars(looking)["predict_action_probabilities"] = _asked_once(policy)
        return looking

    def _remembered(self, policy: Policy, seen: str) -> Callable[[Any, Domain], Opinion]:
        """Return what asks a policy once for all moments in which it sees the same."""
        known: dict[int, Opinion] = {}
        self._known.append(known)

        def opinion(moment: Any, domain: Domain) -> Opinion:
            number = getattr(moment, seen)
            if number not in known:
                known[number] = policy.opinion(moment.tracker, domain)
            return known[number]

        return opinion

    def forget(self) -> None:
        """Forget what was decided: moments of Rasa 3 are numbered anew."""
        for known in (self._by_kind, self._left, self._with_network, *self._known):
            cast(dict[Any, Any], known).clear()

    def actions(self, moments: Moments, rows: Ints, reader: Columns) -> Ints:
        """Return the index of the action that is decided on in each of some rows, or `ALONE`."""
        there, kinds = np.unique(moments.kinds[rows], return_inverse=True)
        found = np.array([self._of_kind(moments, kind) for kind in there.tolist()], np.int64)[kinds]
        asked = np.flatnonzero(found <= _BY_NETWORK)
        if len(asked):
            told = self._told_by_network(moments.matrix, rows[asked], reader)
            self._leave_out_rejected(told, moments, rows[asked])
            best, places = told.argmax(axis=1).tolist(), self._places(told).tolist()
            some = zip(found[asked].tolist(), moments.kinds[rows[asked]].tolist(), best, places, told, strict=True)
            found[asked] = [self._of_network(moments, *one) for one in some]
        return found

    def _leave_out_rejected(self, told: NDArray[np.float32], moments: Moments, rows: Ints) -> None:
        """Let no action be predicted that has just refused to run, which only those of Rasa 3 do."""
        if self._domain.rasa is None:
            return
        for place, kind in enumerate(moments.kinds[rows].tolist()):
            rejected = moments.example(kind).history.rejected
            if rejected in self._domain.action_map:
                told[place, self._domain.action_map[rejected]] = 0.0

    def _of_kind(self, moments: Moments, kind: int) -> int:
        name = moments.names[kind]
        if name not in self._by_kind:
            self._by_kind[name] = self._decided(moments.example(kind), None)
        return self._by_kind[name]

    def asks_network(self, name: bytes, example: Any) -> bool:
        """Tell whether rules and memory leave moments of a kind to the network; the kind is known by `name` then."""
        if self._known:  # Also those that need not be asked now: the conversation goes on, and is here no more.
            for policy in self._others:
                policy.opinion(example, self._domain)
        self._by_kind[name] = self._decided(example, None)
        return self._by_kind[name] <= _BY_NETWORK

    def _of_network(
        self, moments: Moments, left: int, kind: int, best: int, place: int, row: NDArray[np.float32]
    ) -> int:
        """Return what is decided where the network is surest of one action, and that so sure.

        `left` is the number of what all others say.
        """
        if place == ALONE:
            return ALONE
        if (left, place) not in self._with_network:
            self._with_network[left, place] = self._decided(moments.example(kind), row.tolist())
        found = self._with_network[left, place]
        return best if found <= _BY_NETWORK else found

    def _decided(self, moment: Any, row: list[float] | None) -> int:
        """Return the index of an action, or a number below for what others say where the network decides.

        The network must be asked if there is no row of it.
        """
        self._row = row
        try:
            found = self._ensemble.predict(cast(Any, moment), self._domain)
        except _NetworkAskedError:
            said = [(one.priority_for(moment), *one.opinion(moment, self._domain)[:2]) for one in self._others]
            key = moment.history.rejected, *((priority, *scores, no_user) for priority, scores, no_user in said)
            return _BY_NETWORK - self._left.setdefault(key, len(self._left))
        is_by_network = self._network is not None and found.policy == type(self._network).__name__
        return _BY_NETWORK if is_by_network else self._domain.index_for_action(found.action)

    def _told_by_network(self, matrix: FeatureMatrix, rows: Ints, reader: Columns) -> NDArray[np.float32]:
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
        second, first = np.partition(probabilities, -2)[:, -2:].T
        place = np.searchsorted(self._bounds, first).clip(1, len(self._bounds) - 1)
        distance = np.minimum(np.abs(first - self._bounds[place - 1]), np.abs(first - self._bounds[place]))
        return np.where((first - second < NEAR) | (distance < NEAR), ALONE, place)


def _asked_once(policy: Policy) -> Callable[[Any, Domain], Sequence[float]]:
    """Return what asks a policy, but not again for the same moment."""
    known: tuple[object, Sequence[float]] = None, ()

    def scores(moment: Any, domain: Domain) -> Sequence[float]:
        nonlocal known
        if known[0] is not moment:
            known = moment, policy.predict_action_probabilities(moment, domain)
        return known[1]

    return scores


def _is_network(policy: Policy) -> bool:
    """Tell whether a policy is a network that predicts many conversations at once, without loading its class."""
    if type(policy) is not Policy.registry.get("KerasPolicy"):
        return False
    return isinstance(vars(policy).get("model"), PolicyNetwork) and vars(policy).get("_history") is not None


def _bounds(ensemble: PolicyEnsemble) -> NDArray[np.float64]:
    """Return what the score of a network is compared with, ascending."""
    policies = ensemble.policies
    network = next(filter(_is_network, policies), None)
    found = {policy.threshold for policy in policies} if ensemble.by_confidence else set()
    found |= {policy.threshold for policy in policies if _is_network(policy)}
    is_first = False
    for policy in policies:
        is_first |= policy is network
        # Where memory or a rule is certain and is asked first, no network is asked.
        is_asked = is_first or (ensemble.by_confidence and network is not None and policy.priority < network.priority)
        if isinstance(policy, FallbackPolicy):
            found.add(policy.core_threshold)
        elif isinstance(policy, RulePolicy):
            is_compared = is_asked or policy.listens_after_fallback
            found |= {policy.core_fallback_threshold} | ({1.0} if is_compared else set())
        elif isinstance(policy, MemoizationPolicy):
            found |= policy.uncertain_scores() | ({1.0} if is_asked else set())
    return np.array([-1.0, *sorted(found), 2.0])
