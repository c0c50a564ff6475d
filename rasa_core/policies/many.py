"""Predicts the moments of many conversations as an ensemble does one by one, but sooner.

What memory and fallbacks decide depends on the last states alone, so that it is found once for each. What a network
says is found for all moments of many conversations in a few products of matrices. These are rounded in another way
than the product for a single moment: where the difference could count, since actions are almost equally probable, or
one almost as probable as a threshold, the network is asked for that moment alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from rasa_core.events import ActionExecuted, Event, Restarted
from rasa_core.history import History, State, with_best_intent_only
from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.ensemble import PolicyEnsemble, SimplePolicyEnsemble
from rasa_core.policies.fallback import NOT_UNDERSTOOD_PRIORITY, FallbackPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.network import PolicyNetwork
from rasa_core.policies.policy import Policy

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.policies.policy import Prediction
    from rasa_core.trackers import DialogueStateTracker

Rows = dict[int, NDArray[np.float32]]
"""What a network says before some of the events of a conversation, by their positions."""

NEAR: Final = 1e-4
"""Probabilities that differ by less may be in another order when they are rounded in another way."""
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


class ManyMoments:
    """What an ensemble decides at many moments. Not to be shared between threads.

    Attributes
    ----------
    row : NDArray or None
        What the network says at the moment that is asked for next, one of what `rows` returns; None to ask it then.
    """

    def __init__(self, ensemble: PolicyEnsemble, domain: Domain) -> None:
        self.row: NDArray[np.float32] | None = None
        self._domain = domain
        self._network: Any = next(filter(_is_network, ensemble.policies), None)
        self._fallbacks = [policy for policy in ensemble.policies if isinstance(policy, FallbackPolicy)]
        memories = [policy.max_history or 1 for policy in ensemble.policies if isinstance(policy, MemoizationPolicy)]
        self._window = max(memories, default=1)
        self._bounds = _bounds(ensemble.policies)
        self._is_asked = False
        self._ensemble = copy.copy(ensemble)
        self._ensemble.policies = [self._with_rows(policy) for policy in ensemble.policies]
        self._decided: dict[tuple[int, ...], Prediction] = {}
        self._numbers: dict[frozenset[tuple[str, float]], int] = {}
        self._number_of: dict[int, tuple[int, State]] = {}

    @classmethod
    def of(cls, ensemble: Any, domain: Domain) -> Self | None:
        """Return what predicts for an ensemble; None if policies of one's own, or of Rasa 3, may look at more."""
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

        def scores(tracker: DialogueStateTracker, domain: Domain) -> list[float]:
            self._is_asked = True
            row = self.row
            found: list[float] = policy.predict_action_probabilities(tracker, domain) if row is None else row.tolist()
            return found

        looking = copy.copy(policy)
        vars(looking)["predict_action_probabilities"] = scores
        return looking

    def rows(self, conversations: Sequence[Sequence[Event]]) -> list[Rows]:
        """Return what the network says in each of some conversations, where that is found at once."""
        self._number_of.clear()
        found: list[Rows] = [{} for _ in conversations]
        if self._network is None:
            return found
        parts = [(rows, *one) for rows, events in zip(found, conversations, strict=True) for one in _parts(events)]
        history = History(1, self._domain.vocabulary)
        told = self._network.predict_conversations(
            cast(Any, [_Part(events, history) for *_, events in parts]), self._domain
        )
        for (rows, start, events), probabilities in zip(parts, told, strict=True):
            for position, row, is_near in zip(
                _decided(start, events), probabilities, self._near(probabilities), strict=True
            ):
                if not is_near:
                    rows[position] = row
        return found

    def _near(self, probabilities: NDArray[np.float32]) -> list[bool]:
        """Tell for each row whether another rounding could lead to another decision."""
        if probabilities.shape[1] < 2:
            return [True] * len(probabilities)
        second, first = np.partition(probabilities, -2)[:, -2:].T
        place = np.searchsorted(self._bounds, first).clip(1, len(self._bounds) - 1)
        distance = np.minimum(np.abs(first - self._bounds[place - 1]), np.abs(first - self._bounds[place]))
        return [bool(one) for one in (first - second < NEAR) | (distance < NEAR)]

    def predict(self, tracker: DialogueStateTracker) -> Prediction:
        """Return what the ensemble would."""
        key = self._key(tracker)
        found = self._decided.get(key)
        if found is None:
            self._is_asked = False
            found = self._ensemble.predict(tracker, self._domain)
            if not self._is_asked:
                self._decided[key] = found
        return found

    def _key(self, tracker: DialogueStateTracker) -> tuple[int, ...]:
        """Return what all policies but the network look at."""
        numbers = self._number_of
        key = []
        for state in tracker.last_states(self._window):
            known = numbers.get(id(state))
            if known is None:  # The state is kept as well, so that no other gets its place in memory.
                content = frozenset(with_best_intent_only(state).items())
                known = numbers[id(state)] = self._numbers.setdefault(content, len(self._numbers)), state
            key.append(known[0])
        return (*key, *(policy.priority_for(tracker) for policy in self._fallbacks))


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


def _parts(events: Sequence[Event]) -> Iterator[tuple[int, list[Event]]]:
    """Yield what happened from one restart to the next, and where it begins; nothing if something was taken back."""
    if not all(event.type_name in _SIMPLE or isinstance(event, Restarted) for event in events):
        return
    starts = [0, *(place + 1 for place, event in enumerate(events) if isinstance(event, Restarted))]
    for start, end in zip(starts, [*starts[1:], len(events) + 1], strict=True):
        yield start, list(events[start : end - 1])


def _decided(start: int, events: Sequence[Event]) -> Iterator[int]:
    """Yield the positions of the actions that a network says something of."""
    return (
        start + place
        for place, event in enumerate(events)
        if isinstance(event, ActionExecuted) and not event.unpredictable
    )
