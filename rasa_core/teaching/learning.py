"""Lets policies learn a correction at once.

A memoization policy memorises the correction, which wins over the stories. A network is trained for a second or two,
only if its prediction would be wrong again otherwise. It is trained on the corrected conversation together with some
of the other conversations, which it would forget otherwise.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from rasa_core.events import ActionExecuted
from rasa_core.history import with_best_intent_only
from rasa_core.policies.memoization import Key, MemoizationPolicy
from rasa_core.policies.policy import Policy, Prediction

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.policies.ensemble import PolicyEnsemble
    from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

ROUNDS: Final = 3
"""The largest number of trainings of a network for one correction."""
EPOCHS: Final = 30
EMPHASIS: Final = 5
"""The number of copies of the corrected conversation among the training conversations."""
REMEMBERED: Final = 20
"""The number of other conversations on which a network is trained again."""


class Learner:
    """Lets the policies of an ensemble learn from corrections; several sessions may share one.

    Parameters
    ----------
    ensemble
        The policies that learn; they were trained on `training_trackers`.
    tell
        A function that is called with each line about the learning; by default, the lines are logged.

    Attributes
    ----------
    lock
        A lock that must be held while the ensemble predicts, since learning changes its policies.
    """

    def __init__(
        self,
        ensemble: PolicyEnsemble,
        training_trackers: Sequence[DialogueStateTracker] = (),
        tell: Callable[[str], object] = logger.info,
    ) -> None:
        self.ensemble = ensemble
        self.lock = threading.RLock()
        self._training_trackers = list(training_trackers)
        self._tell = tell
        # For the position of each memoization policy: the taught action, and the action memorised before.
        self._corrections: dict[int, dict[Key, tuple[str, str | None]]] = {}

    def learn(
        self,
        tracker: DialogueStateTracker,
        domain: Domain,
        action: str,
        taught: Callable[[], Sequence[DialogueStateTracker]],
    ) -> None:
        """Learn the right next action of a conversation; networks must also keep the corrections in `taught`."""
        with self.lock:
            corrected = tracker.copy()
            corrected.update(ActionExecuted(action))
            self._tell_of_contradiction(tracker, self.ensemble.predict(tracker, domain))
            memorised = [(index, _key(memory, tracker), memory.lookup) for index, memory in self._memories()]
            # For `unlearn`, before the policy overwrites it.
            before = [lookup.get(key) for _, key, lookup in memorised]
            for policy in self.ensemble.policies:
                if policy.SUPPORTS_ONLINE_TRAINING and not _is_network(policy):
                    policy.continue_training([corrected], domain)
            for (index, key, _), known in zip(memorised, before, strict=True):
                corrections = self._corrections.setdefault(index, {})
                # Even after two corrections, `unlearn` restores the action of the stories.
                corrections[key] = action, corrections[key][1] if key in corrections else known
            self.apply_corrections()
            for _ in range(ROUNDS):
                if self.ensemble.predict(tracker, domain).action == action:
                    break
                if not self._train_networks(corrected, domain, [*self._training_trackers, *taught()]):
                    break
            self._tell_of_learning(self.ensemble.predict(tracker, domain), action)

    def unlearn(self, tracker: DialogueStateTracker) -> None:
        """Undo a correction in memoization policies; networks keep what they have learnt."""
        with self.lock:
            for index, memory in self._memories():
                key = _key(memory, tracker)
                _, before = self._corrections.get(index, {}).pop(key, (None, memory.lookup.get(key)))
                memory.lookup.pop(key, None)
                if before is not None:
                    memory.lookup[key] = before

    def apply_corrections(self) -> None:
        """Memorise all corrections again, after the policies were trained anew."""
        with self.lock:
            for index, memory in self._memories():
                memory.lookup.update({key: action for key, (action, _) in self._corrections.get(index, {}).items()})

    def _memories(self) -> list[tuple[int, MemoizationPolicy]]:
        policies = enumerate(self.ensemble.policies)
        return [(index, policy) for index, policy in policies if isinstance(policy, MemoizationPolicy)]

    def _train_networks(
        self, corrected: DialogueStateTracker, domain: Domain, others: Sequence[DialogueStateTracker]
    ) -> bool:
        networks = [policy for policy in self.ensemble.policies if _is_network(policy)]
        if networks:
            self._tell("(learning ...)")
        # Drawn by a generator of its own, so that the same answers give the same model.
        chosen = random.Random(len(others)).sample(others, min(REMEMBERED, len(others)))
        for network in networks:
            network.continue_training([*[corrected] * EMPHASIS, *chosen], domain, epochs=EPOCHS, verbose=0)
        return bool(networks)

    def _tell_of_contradiction(self, tracker: DialogueStateTracker, wrong: Prediction) -> None:
        known = [self._corrections.get(index, {}).get(_key(memory, tracker)) for index, memory in self._memories()]
        if wrong.action in [correction[0] for correction in known if correction is not None]:
            self._tell(f"Before, you taught {wrong.action} here. What you say now counts.")
        elif issubclass(Policy.registry.get(wrong.policy or "", Policy), MemoizationPolicy):
            self._tell(f"The stories say {wrong.action} here: change them, or they contradict what you teach.")

    def _tell_of_learning(self, now: Prediction, action: str) -> None:
        by = now.policy or "no policy knows better, and the bot"
        still = f"But {by} still says {now.action} here ({now.confidence:.2f})."
        self._tell(f"Learnt: {action}." if now.action == action else f"Noted: {action}. {still}")


def _is_network(policy: Policy) -> bool:
    """Tell whether a policy has a network, by a class that need not be loaded where no policy is of it."""
    network = Policy.registry.get("KerasPolicy")
    return network is not None and isinstance(policy, network)


def _key(policy: MemoizationPolicy, tracker: DialogueStateTracker) -> Key:
    """Return the key under which the policy memorises the next action."""
    states = tracker.last_states(policy.max_history)
    if not policy.featurizer.use_intent_probabilities:
        states = [with_best_intent_only(state) for state in states]
    return tuple(frozenset(state.items()) for state in states)
