"""Predicts the next action at many moments of conversations, with the same results as an ensemble, but faster.

Memoization, rules and fallbacks only depend on a few last states and the latest message, so they predict once for each
kind of moment. If they leave the decision to a network, it predicts many moments in a few products of matrices. Such a
product is rounded differently from the product for a single moment. Where the difference could change the result, as
two actions are almost equally probable, or one is very near to a threshold, the moment is predicted by the ensemble
itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from rasa_core.domain import Domain
from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.ensemble import PolicyEnsemble, SimplePolicyEnsemble
from rasa_core.policies.fallback import NOT_UNDERSTOOD_PRIORITY, FallbackPolicy
from rasa_core.policies.features.conversations import FeatureMatrix
from rasa_core.policies.features.moments import Moments, Names
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.network import PolicyNetwork
from rasa_core.policies.policy import Opinion, Policy
from rasa_core.policies.rules import RulePolicy
from rasa_core.support.arrays import Ints

ALONE: Final = -1
"""Stands for an action: the ensemble itself has to predict this moment."""
NEAR: Final = 1e-4
"""Probabilities that differ by less may change their order when they are rounded differently."""
_BY_NETWORK: Final = -2
"""This and each lower number stand for a moment that the network decides; each stands for other policies' opinions."""
_NONE: Final = -1
_ENSEMBLES: Final = (PolicyEnsemble, SimplePolicyEnsemble)
_OTHERS: Final = (MemoizationPolicy, AugmentedMemoizationPolicy, FallbackPolicy)
_OTHERS_OF_RASA: Final = (MemoizationPolicy, AugmentedMemoizationPolicy, RulePolicy)


class _NetworkAskedError(Exception):
    """The ensemble asks the network, whose prediction is not known yet."""


class Columns(Protocol):
    """The part of `MomentReader` and `RasaMomentReader` that gives the column of each feature."""

    @property
    def columns(self) -> Mapping[tuple[str, str], int]: ...  # noqa: D102


class BatchPredictor:
    """Predicts many moments as one ensemble does. Not to be shared between threads.

    Attributes
    ----------
    window, max_history : int
        How many states memoization compares, and for how many events the network has all features.
    feature_names : sequence of (str, str)
        The features of the network.
    nlu_thresholds : list of float
        The NLU thresholds of the fallbacks.
    rule_window : int
        How many states rules look at.
    forgetting : set of int or None
        How many states each `AugmentedMemoizationPolicy` looks at; None for all.
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
        """Return the predictor for an ensemble; None if its policies may depend on more than is numbered here."""
        # Exact types are required, since the predictions of a subclass may depend on anything in the conversation.
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
        """Return a copy of a policy: a network returns the row `_row`, other policies predict each kind once."""

        def scores(tracker: object, domain: Domain) -> list[float]:
            if self._row is None:
                raise _NetworkAskedError
            return self._row

        looking = copy.copy(policy)
        # Only the copy is changed; other threads may use the policy itself.
        if _is_network(policy):
            vars(looking)["predict_action_probabilities"] = scores
        elif self._domain.rasa is not None:
            is_rules = isinstance(policy, RulePolicy)
            vars(looking)["opinion"] = self._remembered(policy, "by_rules" if is_rules else "by_memory")
        else:
            vars(looking)["predict_action_probabilities"] = _asked_once(policy)
        return looking

    def _remembered(self, policy: Policy, seen: str) -> Callable[[Any, Domain], Opinion]:
        """Return a function that gets a policy's opinion once for all moments that look the same to it."""
        known: dict[int, Opinion] = {}
        self._known.append(known)

        def opinion(moment: Any, domain: Domain) -> Opinion:
            number = getattr(moment, seen)
            if number not in known:
                known[number] = policy.opinion(moment.tracker, domain)
            return known[number]

        return opinion

    def forget(self) -> None:
        """Forget all predictions, since the moments of Rasa 3 get new numbers."""
        for known in (self._by_kind, self._left, self._with_network, *self._known):
            cast(dict[Any, Any], known).clear()

    def actions(self, moments: Moments, rows: Ints, reader: Columns) -> Ints:
        """Return the index of the predicted action for each of `rows`, or `ALONE`."""
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
        """Set the scores of actions to 0 that have just refused to run; only actions of Rasa 3 do so."""
        if self._domain.rasa is None:
            return
        for place, kind in enumerate(moments.kinds[rows].tolist()):
            rejected = moments.example(kind).history.rejected
            if rejected in self._domain.action_indices:
                told[place, self._domain.action_indices[rejected]] = 0.0

    def _of_kind(self, moments: Moments, kind: int) -> int:
        name = moments.names[kind]
        if name not in self._by_kind:
            self._by_kind[name] = self._decided(moments.example(kind), None)
        return self._by_kind[name]

    def asks_network(self, name: bytes, example: Any) -> bool:
        """Tell whether rules and memoization leave moments of this kind to the network; keep the result by `name`."""
        if self._known:  # All opinions are taken now, since the tracker is changed afterwards.
            for policy in self._others:
                policy.opinion(example, self._domain)
        self._by_kind[name] = self._decided(example, None)
        return self._by_kind[name] <= _BY_NETWORK

    def _of_network(
        self, moments: Moments, left: int, kind: int, best: int, place: int, row: NDArray[np.float32]
    ) -> int:
        """Return the action if the network's best action is `best`, with a score between the bounds at `place`.

        `left` is the number of the other policies' opinions.
        """
        if place == ALONE:
            return ALONE
        if (left, place) not in self._with_network:
            self._with_network[left, place] = self._decided(moments.example(kind), row.tolist())
        found = self._with_network[left, place]
        return best if found <= _BY_NETWORK else found

    def _decided(self, moment: Any, row: list[float] | None) -> int:
        """Return the index of the predicted action, or a number from `_BY_NETWORK` down if the network decides.

        `row` has the network's scores; with None, a moment for which the network is asked gets such a number.
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
        """Return the network's probabilities for `rows`, ``(rows, actions)``."""
        begins, lengths = matrix.starts[rows], np.diff(matrix.starts)[rows]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) + np.repeat(begins - ends + lengths, lengths)
        # Maps the columns of the reader, which serves several networks, to the columns of this network.
        own = np.full(len(reader.columns), _NONE, np.int32)
        own[[reader.columns[name] for name in self.feature_names]] = np.arange(len(self.feature_names))
        columns, values = own[matrix.columns[places]], matrix.values[places]
        is_known = columns != _NONE
        starts = np.concatenate([[0], np.cumsum(is_known)])[np.concatenate([[0], ends])]
        told = self._network.model.predict_matrix(starts, columns[is_known], values[is_known])
        return np.concatenate([one.copy() for one in told])

    def _places(self, probabilities: NDArray[np.float32]) -> Ints:
        """Return the index of the bounds around each row's best score; `ALONE` if rounding could change the result."""
        second, first = np.partition(probabilities, -2)[:, -2:].T
        place = np.searchsorted(self._bounds, first).clip(1, len(self._bounds) - 1)
        distance = np.minimum(np.abs(first - self._bounds[place - 1]), np.abs(first - self._bounds[place]))
        return np.where((first - second < NEAR) | (distance < NEAR), ALONE, place)


def _asked_once(policy: Policy) -> Callable[[Any, Domain], Sequence[float]]:
    """Return a function that gets a policy's scores, and caches the scores of the latest moment."""
    known: tuple[object, Sequence[float]] = None, ()

    def scores(moment: Any, domain: Domain) -> Sequence[float]:
        nonlocal known
        if known[0] is not moment:
            known = moment, policy.predict_action_probabilities(moment, domain)
        return known[1]

    return scores


def _is_network(policy: Policy) -> bool:
    """Tell whether a policy is a network that can predict in batches, without importing its class."""
    if type(policy) is not Policy.registry.get("KerasPolicy"):
        return False
    return isinstance(vars(policy).get("model"), PolicyNetwork) and vars(policy).get("_history") is not None


def _bounds(ensemble: PolicyEnsemble) -> NDArray[np.float64]:
    """Return the scores and thresholds with which the network's score is compared, ascending."""
    policies = ensemble.policies
    network = next(filter(_is_network, policies), None)
    found = {policy.threshold for policy in policies} if ensemble.by_confidence else set()
    found |= {policy.threshold for policy in policies if _is_network(policy)}
    is_first = False
    for policy in policies:
        is_first |= policy is network
        # If memoization or a rule comes first and is certain, the network is not asked, and 1.0 is no bound.
        is_asked = is_first or (ensemble.by_confidence and network is not None and policy.priority < network.priority)
        if isinstance(policy, FallbackPolicy):
            found.add(policy.core_threshold)
        elif isinstance(policy, RulePolicy):
            is_compared = is_asked or policy.listens_after_fallback
            found |= {policy.core_fallback_threshold} | ({1.0} if is_compared else set())
        elif isinstance(policy, MemoizationPolicy):
            found |= policy.uncertain_scores() | ({1.0} if is_asked else set())
    return np.array([-1.0, *sorted(found), 2.0])
