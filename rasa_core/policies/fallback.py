"""Does something safe where nobody knows what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasa_core.events import ACTION_LISTEN_NAME
from rasa_core.exceptions import ModelError
from rasa_core.policies.lessons import Lessons
from rasa_core.policies.policy import Policy

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

FILE_NAME = "fallback_policy.json"

CERTAIN = 1.1
"""A score above every probability, so that no other policy wins."""


class FallbackPolicy(Policy):
    """Runs one action when the message was not understood, or no other policy is sure.

    Parameters
    ----------
    nlu_threshold
        Confidence of the intent (probability) below which the message counts as not understood.
    core_threshold
        Score (probability) that another policy has to exceed.
    fallback_action_name
        The action to run.
    """

    def __init__(
        self,
        nlu_threshold: float = 0.3,
        core_threshold: float = 0.3,
        fallback_action_name: str = ACTION_LISTEN_NAME,
    ) -> None:
        super().__init__()
        self.nlu_threshold = nlu_threshold
        self.core_threshold = core_threshold
        self.fallback_action_name = fallback_action_name

    @property
    def max_history(self) -> int:
        """One state: only the latest message and action matter."""
        return 1

    def train(self, training_trackers: Iterable[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Learn nothing; raise `UnknownActionError` if the domain does not have the action."""
        domain.index_for_action(self.fallback_action_name)

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return a certain score where the message was not understood, else `core_threshold`, for the action.

        Once the action has run, the score is that of listening, so that it does not run again and again.
        """
        result = [0.0] * domain.num_actions
        chosen = domain.index_for_action(ACTION_LISTEN_NAME if self._has_run(tracker) else self.fallback_action_name)
        result[chosen] = CERTAIN if self._confidence_if_low(tracker) is not None else self.core_threshold
        return result

    def _has_run(self, tracker: DialogueStateTracker) -> bool:
        return tracker.latest_action_name == self.fallback_action_name

    def _confidence_if_low(self, tracker: DialogueStateTracker) -> float | None:
        """Return the confidence of the intent if that is too low, else None."""
        confidence: float | None = tracker.latest_message.intent.get("confidence")
        return confidence if confidence is not None and confidence < self.nlu_threshold else None

    def lessons(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> Lessons:
        """Return which threshold decides."""
        confidence = self._confidence_if_low(tracker)
        if confidence is None:
            note = f"another policy wins if its score exceeds the core_threshold, {self.core_threshold}."
        else:
            note = f"the confidence of the intent, {confidence:.3f}, is below the nlu_threshold, {self.nlu_threshold}."
        if self._has_run(tracker):
            note += f" {self.fallback_action_name} has just run, so the bot listens."
        return Lessons(note=note)

    def persist(self, path: str | Path) -> None:  # noqa: D102
        options = {
            "nlu_threshold": self.nlu_threshold,
            "core_threshold": self.core_threshold,
            "fallback_action_name": self.fallback_action_name,
        }
        Path(path, FILE_NAME).write_text(json.dumps(options, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> FallbackPolicy:  # noqa: D102
        file = Path(path, FILE_NAME)
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(
                f"cannot read the fallback policy {str(file)!r}: {error}. Train the model again."
            ) from error
