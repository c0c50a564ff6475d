"""The ensemble of 0.9 that asks a person about each of its predictions, and learns from the answers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from rasa_core.agent import Agent
from rasa_core.channels.channel import InputChannel
from rasa_core.commands.teach import Teacher, ask, teach
from rasa_core.domain import Domain
from rasa_core.events import ACTION_RESTART_NAME, ActionExecuted, Event
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.policy import Prediction
from rasa_core.teaching.corrections import correct_message, right_action, taught_stories
from rasa_core.teaching.learning import Learner
from rasa_core.teaching.questions import about_action
from rasa_core.trackers import DialogueStateTracker

__all__ = ["DEFAULT_FILE_EXPORT_PATH", "OnlinePolicyEnsemble", "TrainingFinishedException"]

DEFAULT_FILE_EXPORT_PATH = "stories.md"


class TrainingFinishedException(Exception):
    """An exception that programs for 0.9 catch; nothing raises it here."""


class OnlinePolicyEnsemble(PolicyEnsemble):
    """Asks a teacher about each prediction of another ensemble, whose policies learn from the corrections.

    Not to be shared between threads. `persist` writes the model of the other ensemble. New code can use
    `rasa_core.teaching.session.TeachingSession`, which keeps corrected conversations in a store.

    Parameters
    ----------
    training_trackers
        The conversations that `base_ensemble` was trained on.
    max_visual_history
        How many turns of the conversation are shown.
    use_visualization
        Accepted and ignored; `Agent.visualize` draws stories.
    teacher
        The teacher; by default the person at the terminal.
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
        # The same list, not a copy, so that a policy that is added to one ensemble is also in the other.
        self.policies = base_ensemble.policies
        self.action_fingerprints = base_ensemble.action_fingerprints
        self.training_trackers = training_trackers
        self.max_visual_history = max(1, max_visual_history)
        self.teacher = teacher or Teacher()
        self.learner = Learner(base_ensemble, training_trackers, self.teacher.show)
        # For each conversation the tracker, its version at the latest decision, and the chosen action, which may not be
        # logged yet.
        self._decided: dict[str, tuple[DialogueStateTracker, int, str]] = {}

    def run_online_training(
        self,
        domain: Domain,
        interpreter: NaturalLanguageInterpreter | str | None = None,
        input_channel: InputChannel | None = None,
    ) -> None:
        """Let the teacher talk to a bot with these policies until the messages end, as `Agent.train_online` does."""
        agent = Agent(domain, self.base_ensemble, interpreter)
        teach(agent, self.training_trackers, input_channel, self.max_visual_history, teacher=self.teacher)

    @property
    def window(self) -> int:  # noqa: D102
        return self.base_ensemble.window

    def _written_as(self) -> type[PolicyEnsemble]:
        return self.base_ensemble._written_as()

    @classmethod
    def load(cls, path: str | Path) -> PolicyEnsemble:
        """Read the policies of a model; a model has no teacher."""
        return PolicyEnsemble.load(path)

    def predict(self, tracker: DialogueStateTracker, domain: Domain) -> Prediction:
        """Return the prediction if the teacher agrees, or else the teacher's choice.

        If the intent of the latest message is wrong, the turn starts again with the right intent: the tracker
        gets events that take the message back and log it again.

        Raises
        ------
        TeachingEnded, ConversationAbandoned
            If the teacher ends the teaching, or this conversation.
        """
        while True:
            prediction = self.base_ensemble.predict(tracker, domain)
            answer = ask(self.teacher, about_action(tracker, prediction, domain, self.max_visual_history))
            if answer.kind == "correct_intent":
                correct_message(tracker, answer.text, answer.entities, domain)
                if answer.text == domain.restart_intent:
                    return right_action(ACTION_RESTART_NAME, domain)
                continue
            if answer.kind == "correct_action" and answer.text != prediction.action:
                self._decided[tracker.sender_id] = tracker, tracker.version, answer.text
                self.learner.learn(tracker, domain, answer.text, lambda: self.taught_stories(domain))
                return right_action(answer.text, domain)
            self._decided[tracker.sender_id] = tracker, tracker.version, prediction.action
            return prediction

    def taught_stories(self, domain: Domain) -> list[DialogueStateTracker]:
        """Return the conversations so far as stories, with the latest decision, even if its action has not run yet."""
        found: dict[str, DialogueStateTracker] = {}
        for tracker, version, action in self._decided.values():
            decided: list[Event] = [] if tracker.version > version else [ActionExecuted(action)]
            stories = taught_stories([*tracker.events, *decided], domain)
            found |= {story.sender_id: story for story in stories}
        return list(found.values())
