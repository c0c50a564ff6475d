"""The fallback policy: runs a safe action if the message was not understood, or no policy is sure."""

from __future__ import annotations

import json
import logging
from numbers import Real
from pathlib import Path
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME
from rasa_core.policies.policy import DEFAULT_THRESHOLD, Policy, Trackers, confidence_scores_for
from rasa_core.policies.training_turns import TrainingTurns
from rasa_core.support.stored_models import reading
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

FILE_NAME = "fallback_policy.json"
OF_RASA: Final = "action_default_fallback"
"""An action that every bot of later versions of Rasa Core has: it sends the template `SAYS_SO`, if any, and listens."""
SAYS_SO: Final = "utter_default"
NOT_UNDERSTOOD_PRIORITY: Final = 100
"""Above the priority of any other policy, since a message that was not understood tells them nothing."""


OUT_OF_SCOPE: Final = "out_of_scope"
"""The intent of messages outside the bot's topics; if the domain does not list it, they count as not understood."""


class FallbackPolicy(Policy):
    """Runs one action if the message was not understood, or no other policy is sure.

    Parameters
    ----------
    nlu_threshold
        Confidence of the intent (probability) below which the message counts as not understood.
    core_threshold
        Score (probability) that another policy of the same priority has to exceed.
    fallback_action_name
        The action to run.
    priority
        The priority if the message was understood; otherwise, and after the action has run, it is
        `NOT_UNDERSTOOD_PRIORITY`.
    """

    max_history: int = 1  # Only the latest message and action matter.

    def __init__(
        self,
        nlu_threshold: float = DEFAULT_THRESHOLD,
        core_threshold: float = DEFAULT_THRESHOLD,
        fallback_action_name: str = ACTION_LISTEN_NAME,
        *,
        priority: int | None = None,
    ) -> None:
        super().__init__(priority=priority)
        for name, share in (("nlu_threshold", nlu_threshold), ("core_threshold", core_threshold)):
            if not isinstance(share, Real) or isinstance(share, bool) or not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} is a probability from 0 to 1, not {share!r:.60}.")
        self.nlu_threshold = nlu_threshold
        self.core_threshold = core_threshold
        self.fallback_action_name = fallback_action_name
        self._out_of_scope: str | None = None
        self._certain = 1.0

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Learn nothing; raise `UnknownActionError` if the domain does not have the action."""
        if self.fallback_action_name == OF_RASA and OF_RASA not in domain.action_names:
            self.fallback_action_name = SAYS_SO if SAYS_SO in domain.action_names else ACTION_LISTEN_NAME
            logger.warning("the domain does not list %r; the fallback runs %r.", OF_RASA, self.fallback_action_name)
        domain.index_for_action(self.fallback_action_name)
        # If the domain lists the intent, its stories decide what to do.
        self._out_of_scope = None if OUT_OF_SCOPE in domain.intents else OUT_OF_SCOPE

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return 1.0 for the action if the message was not understood, else `core_threshold`.

        In a custom ensemble, which may compare only scores, it is 1.1 instead of 1.0, more than memoization has. After
        the action has run, ``action_listen`` gets the same score, so that neither this action nor another one runs
        next.
        """
        score = self._certain if self._knows_better(tracker) else self.core_threshold
        if not self._has_run(tracker):
            return self.fallback_scores(domain, score)
        return confidence_scores_for(ACTION_LISTEN_NAME, score, domain)

    def outdo(self) -> None:  # noqa: D102
        self._certain = 1.1

    def priority_for(self, tracker: DialogueStateTracker) -> int:  # noqa: D102
        return NOT_UNDERSTOOD_PRIORITY if self._knows_better(tracker) else self.priority

    def _knows_better(self, tracker: DialogueStateTracker) -> bool:
        return self._has_run(tracker) or self._is_out_of_scope(tracker) or self._confidence_if_low(tracker) is not None

    def _is_out_of_scope(self, tracker: DialogueStateTracker) -> bool:
        return self._out_of_scope is not None and tracker.latest_message.intent.get("name") == self._out_of_scope

    def should_fallback(self, nlu_confidence: float, last_action_name: str | None) -> bool:
        """Tell whether a message of this confidence is not understood, and the action has not just run.

        A subclass may override this method.
        """
        return nlu_confidence < self.nlu_threshold and last_action_name != self.fallback_action_name

    def fallback_scores(self, domain: Domain, fallback_score: float = 1.0) -> list[float]:
        """Return a score for each action, shape ``(num_actions,)``: `fallback_score` for the fallback, 0 for others."""
        return confidence_scores_for(self.fallback_action_name, fallback_score, domain)

    def _has_run(self, tracker: DialogueStateTracker) -> bool:
        """Tell whether the action has just run; False for ``action_listen``, which precedes every prediction."""
        name = self.fallback_action_name
        return name != ACTION_LISTEN_NAME and tracker.latest_action_name == name

    def _confidence_if_low(self, tracker: DialogueStateTracker) -> float | None:
        """Return the confidence of the intent if it is too low, else None."""
        # An intent without a confidence counts as certain.
        confidence: float | None = tracker.latest_message.intent.get("confidence")
        if confidence is None:
            return None
        # `_has_run` checks whether the action has just run, since that is always so for ``action_listen``.
        latest = tracker.latest_action_name if tracker.latest_action_name != self.fallback_action_name else None
        return confidence if self.should_fallback(confidence, latest) else None

    def reason(self, tracker: DialogueStateTracker) -> str | None:  # noqa: D102
        confidence = self._confidence_if_low(tracker)
        if self._has_run(tracker):
            return None
        if self._is_out_of_scope(tracker):
            return "The message means nothing that this bot does: it is like the examples of out_of_scope."
        if confidence is None:
            return f"No policy is sure what comes next: none exceeds the core_threshold, {self.core_threshold}."
        name = tracker.latest_message.intent.get("name")
        meant = f"{name!r} with a confidence of {confidence:.3f}" if name else "nothing that is known"
        return f"The message was not understood: it may mean {meant}, and {self.nlu_threshold} is asked for."

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns:
        """Return no turns, and a note which threshold decides."""
        confidence = self._confidence_if_low(tracker)
        if self._is_out_of_scope(tracker):
            note = "the message is out_of_scope, an intent that the domain does not list."
        elif confidence is None:
            note = f"another policy wins if its score exceeds the core_threshold, {self.core_threshold}."
        else:
            note = f"the confidence of the intent, {confidence:.3f}, is below the nlu_threshold, {self.nlu_threshold}."
        if self._has_run(tracker):
            note += f" {self.fallback_action_name} has just run, so the bot listens."
        return TrainingTurns(note=note)

    def persist(self, path: str | Path) -> None:  # noqa: D102
        names = "nlu_threshold", "core_threshold", "fallback_action_name"
        options = {name: getattr(self, name) for name in names}
        if self._out_of_scope is not None:
            options["out_of_scope"] = self._out_of_scope
        Path(path, FILE_NAME).write_text(json.dumps(options, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> FallbackPolicy:  # noqa: D102
        file = Path(path, FILE_NAME)
        with reading("the fallback policy", file):
            options = json.loads(file.read_text(encoding="utf-8"))
            out_of_scope = options.pop("out_of_scope", None)  # Older models have none.
            policy = cls(**options)
            policy._out_of_scope = out_of_scope
            return policy
