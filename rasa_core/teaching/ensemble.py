"""Interactive training: an ensemble that asks somebody about each of its predictions, and learns from the answers.

A correction is learnt at once. Memorising takes no time, and what was taught wins over what the stories say. A
network takes a second or two, and learns only if the prediction would be wrong again otherwise; it sees the
corrected conversation together with some of the others, which it would forget if it saw the new one alone.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ACTION_RESTART_NAME,
    ActionExecuted,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.history import with_best_intent_only
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.memoization import Key, MemoizationPolicy
from rasa_core.policies.policy import Policy, Prediction
from rasa_core.teaching.conversations import TaughtStories
from rasa_core.teaching.questions import Teacher, WrongAction, WrongIntent, ask_verdict, describe
from rasa_core.teaching.terminal import Terminal

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

ROUNDS: Final = 3
"""How often a network is trained for one correction at most."""
EPOCHS: Final = 30
EMPHASIS: Final = 5
"""How many times the corrected conversation stands beside the others."""
REMEMBERED: Final = 20
"""How many of the other conversations a network sees again."""


class OnlinePolicyEnsemble(PolicyEnsemble):
    """Asks a teacher about each prediction of another ensemble, whose policies learn from what is corrected.

    Not to be shared between threads. A model that it writes is that of the other ensemble.

    Parameters
    ----------
    base_ensemble
        Predicts.
    training_trackers
        The conversations that it was trained on.
    max_visual_history
        How many turns of the conversation are shown.
    use_visualization
        Accepted and ignored; `Agent.visualize` draws stories.
    teacher
        Who is asked; somebody at the terminal if not given.

    Attributes
    ----------
    taught : TaughtStories
        What has been decided so far.
    """

    def __init__(
        self,
        base_ensemble: PolicyEnsemble,
        training_trackers: Sequence[DialogueStateTracker],
        max_visual_history: int = 3,
        use_visualization: bool = False,
        *,
        teacher: Teacher | None = None,
    ) -> None:
        if use_visualization:
            warnings.warn("use_visualization is ignored: use Agent.visualize.", DeprecationWarning, stacklevel=2)
        super().__init__(base_ensemble.policies)
        self.base_ensemble = base_ensemble
        self.policies = base_ensemble.policies
        self.action_fingerprints = base_ensemble.action_fingerprints
        self.training_trackers = list(training_trackers)
        self.max_visual_history = max(1, max_visual_history)
        self.teacher: Teacher = Terminal() if teacher is None else teacher
        self.taught = TaughtStories()
        self._corrections: dict[int, dict[Key, str]] = {}  # By the position of a policy that memorises.

    @property
    def window(self) -> int:
        """How many states a conversation has to keep for its next turn."""
        return self.base_ensemble.window

    @classmethod
    def load(cls, path: str | Path) -> PolicyEnsemble:
        """Read the policies of a model; there is no teacher in it."""
        return PolicyEnsemble.load(path)

    def predict(self, tracker: DialogueStateTracker, domain: Domain) -> Prediction:
        """Return the prediction if the teacher agrees, and what the teacher says otherwise.

        If the intent of the latest message was wrong, the turn begins anew with the right one: the tracker
        gets events that take the message back and log it again.

        Raises
        ------
        TeachingEnded, ConversationAbandoned
            If the teacher wants no more of this.
        """
        while True:
            prediction = self.base_ensemble.predict(tracker, domain)
            self.teacher.show(describe(tracker, prediction, self.max_visual_history))
            verdict = ask_verdict(self.teacher, tracker, prediction, domain)
            if isinstance(verdict, WrongIntent):
                correct_intent(tracker, verdict.name, domain)
                if verdict.name == domain.restart_intent:
                    return _certain(ACTION_RESTART_NAME, domain)
                continue
            if isinstance(verdict, WrongAction):
                self.taught.decide(tracker, verdict.name)
                self._learn(tracker, domain, prediction, verdict.name)
                return _certain(verdict.name, domain)
            self.taught.decide(tracker, prediction.action)
            return prediction

    # -- learning

    def _learn(self, tracker: DialogueStateTracker, domain: Domain, wrong: Prediction, action: str) -> None:
        corrected = tracker.copy()
        corrected.update(ActionExecuted(action))
        self._tell_of_contradiction(tracker, wrong)
        for policy in self.policies:
            if policy.SUPPORTS_ONLINE_TRAINING and not isinstance(policy, KerasPolicy):
                policy.continue_training([corrected], domain)
        for index, memory in self._memories():
            self._corrections.setdefault(index, {})[_key(memory, tracker)] = action
        self.apply_corrections()
        for _ in range(ROUNDS):
            if self.base_ensemble.predict(tracker, domain).action == action:
                break
            if not self._train_networks(corrected, domain):
                break
        self._tell_of_learning(self.base_ensemble.predict(tracker, domain), action)

    def apply_corrections(self) -> None:
        """Let what was corrected win over what the policies have memorised; also to be called after training."""
        for index, memory in self._memories():
            memory.lookup.update(self._corrections.get(index, {}))

    def _memories(self) -> list[tuple[int, MemoizationPolicy]]:
        return [(index, policy) for index, policy in enumerate(self.policies) if isinstance(policy, MemoizationPolicy)]

    def _train_networks(self, corrected: DialogueStateTracker, domain: Domain) -> bool:
        networks = [policy for policy in self.policies if isinstance(policy, KerasPolicy)]
        if networks:
            self.teacher.show("(learning ...)")
        others = [*self.training_trackers, *self.taught.trackers(domain)]
        # Drawn by a generator of its own, so that the same answers give the same model.
        chosen = random.Random(len(others)).sample(others, min(REMEMBERED, len(others)))
        for network in networks:
            network.continue_training([*[corrected] * EMPHASIS, *chosen], domain, epochs=EPOCHS, verbose=0)
        return bool(networks)

    def _tell_of_contradiction(self, tracker: DialogueStateTracker, wrong: Prediction) -> None:
        known = [self._corrections.get(index, {}).get(_key(memory, tracker)) for index, memory in self._memories()]
        if wrong.action in known:
            self.teacher.show(f"Before, you taught {wrong.action} here. What you say now counts.")
        elif issubclass(Policy.registry.get(wrong.policy or "", Policy), MemoizationPolicy):
            self.teacher.show(f"The stories say {wrong.action} here: change them, or they contradict what you teach.")

    def _tell_of_learning(self, now: Prediction, action: str) -> None:
        if now.action == action:
            self.teacher.show(f"Learnt: {action}.")
        else:
            by = now.policy or "no policy knows better, and the bot"
            self.teacher.show(f"Noted: {action}. But {by} still says {now.action} here ({now.confidence:.2f}).")


def correct_intent(tracker: DialogueStateTracker, name: str, domain: Domain) -> None:
    """Take the latest message back, with all that came of it, and log it again with another intent."""
    message = tracker.latest_message
    intent = {"name": name, "confidence": 1.0}
    parse_data = {**message.parse_data, "intent": intent, "intent_ranking": [dict(intent)]}
    tracker.update(UserUtteranceReverted())
    tracker.update(ActionExecuted(ACTION_LISTEN_NAME))
    tracker.update(UserUttered(message.text, parse_data=parse_data))
    for event in domain.slots_for_entities(message.entities):
        tracker.update(event)


def _key(policy: MemoizationPolicy, tracker: DialogueStateTracker) -> Key:
    """Return what the policy looks up to predict the next action."""
    states = tracker.last_states(policy.max_history)
    if not policy.featurizer.use_intent_probabilities:
        states = [with_best_intent_only(state) for state in states]
    return tuple(frozenset(state.items()) for state in states)


def _certain(action: str, domain: Domain) -> Prediction:
    return Prediction(action, 1.0, None, {name: float(name == action) for name in domain.action_names})
