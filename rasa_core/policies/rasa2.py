"""Policies of Rasa 1 and 2 that Rasa 3 no longer has, for projects of these versions.

``FormPolicy`` is a `rasa_core.policies.rules.RulePolicy` with ``old_forms``. Of equally certain policies, the one with
the highest priority decides: forms, then fallbacks, then memoization, then ``triggers:``. A form only gives way to a
trigger that goes before all other policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ACTION_RESTART_NAME, ActionExecuted
from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.policies.policy import DEFAULT_THRESHOLD, Policy, Trackers, confidence_scores_for
from rasa_core.policies.rules import DEFAULT_ACTION_OF
from rasa_core.policies.training_turns import TrainingTurns
from rasa_core.rasa3.history import RasaHistory
from rasa_core.rasa3.mappings import options_in
from rasa_core.trackers import DialogueStateTracker

MAPPING_PRIORITY: Final = 2
FALLBACK_PRIORITY: Final = 4
FORM_PRIORITY: Final = 5
RULE_PRIORITY: Final = 6
"""The priority of `RulePolicy` beside policies of Rasa 2."""

AMBIGUOUS: Final = 0.1
FALLBACK_ACTION: Final = "action_default_fallback"
DENIAL: Final = "out_of_scope"
_OPTIONS_FILE: Final = "policy.json"  # The name in models of earlier versions, in which these policies wrote it.
_ASKS: Final = "action_default_ask_affirmation"
_ASKS_AGAIN: Final = "action_default_ask_rephrase"
_TAKES_BACK: Final = "action_revert_fallback_events"
_RECENT: Final = 20  # How many events are searched for the last action; if it is not found, it counts as its own.


class RasaMappingPolicy(Policy):
    """Predicts the actions in ``triggers:`` of intents and of the restart and back intents, and then listens.

    Attributes
    ----------
    triggers : dict of str to str
        The action of each intent that has one.
    """

    HIGHEST_SCORE: ClassVar[float] = 1.0
    OPTIONS_FILE: ClassVar[str] = _OPTIONS_FILE
    PASSES_FORMS: ClassVar[bool] = True

    priority: int = MAPPING_PRIORITY
    max_history: int = 1  # Only the latest message and action matter.

    def __init__(self, triggers: Mapping[str, str] | None = None, *, priority: int | None = None) -> None:
        super().__init__(priority=priority)
        self.triggers = dict(triggers or {})

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Read the triggers of the domain.

        Raises
        ------
        ModelError
            If a trigger names an unknown action; the message begins with file and line.
        """
        assert domain.rasa is not None
        options = options_in(domain.rasa.content["intents"])
        self.triggers = {name: str(one["triggers"]) for name, one in options.items() if one.get("triggers")}
        for intent, action in self.triggers.items():
            if action not in domain.action_indices:
                place = domain.rasa.lines.get(("intents", intent))
                hint = did_you_mean(action, domain.action_indices)
                raise ModelError(f"{place}: the intent {intent!r} triggers {action!r}, which is no action.{hint}")

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return 1.0 for the action of the intent, or for listening after it."""
        action = self._chosen(tracker)
        return confidence_scores_for(action if action in domain.action_indices else None, 1.0, domain)

    def _chosen(self, tracker: DialogueStateTracker) -> str | None:
        intent = str(tracker.latest_message.intent.get("name"))
        action = DEFAULT_ACTION_OF.get(intent, self.triggers.get(intent))
        heard = isinstance(tracker.history, RasaHistory) and tracker.history.heard
        if tracker.latest_action_name == ACTION_LISTEN_NAME:
            return action if heard or intent not in DEFAULT_ACTION_OF else None
        if action is not None and tracker.latest_action_name == action:
            return ACTION_LISTEN_NAME if self._has_chosen(action, tracker) else None
        return action if action == ACTION_RESTART_NAME else None

    def _has_chosen(self, action: str, tracker: DialogueStateTracker) -> bool:
        """Tell whether this policy chose the latest action; otherwise the policy that chose it decides what follows."""
        latest = (one for one in reversed(tracker.latest_events(_RECENT)) if isinstance(one, ActionExecuted))
        return next((one.policy == type(self).__name__ for one in latest if one.action_name == action), True)

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns:
        """Return no turns, and a note about the action that the intent triggers."""
        intent = tracker.latest_message.intent.get("name")
        action = self._chosen(tracker)
        return TrainingTurns(
            note=f"the intent {intent!r} leads to {action}." if action else "the intent triggers nothing."
        )


class RasaFallbackPolicy(Policy):
    """Runs one action if a message was not understood, or no other policy is sure; ``FallbackPolicy`` of Rasa 2.

    Parameters
    ----------
    nlu_threshold, ambiguity_threshold
        A message counts as not understood if the confidence of its intent, or the difference to the confidence of the
        next intent, is below these thresholds (probabilities).
    core_threshold
        The score of the action if the message was understood.
    fallback_action_name
        The action. After it has run, the bot listens.
    """

    HIGHEST_SCORE: ClassVar[float] = 1.0
    OPTIONS_FILE: ClassVar[str] = _OPTIONS_FILE

    priority: int = FALLBACK_PRIORITY
    max_history: int = 1  # Only the latest message and action matter.

    def __init__(
        self,
        nlu_threshold: float = DEFAULT_THRESHOLD,
        ambiguity_threshold: float = AMBIGUOUS,
        core_threshold: float = DEFAULT_THRESHOLD,
        fallback_action_name: str = FALLBACK_ACTION,
        *,
        priority: int | None = None,
    ) -> None:
        super().__init__(priority=priority)
        self.nlu_threshold, self.ambiguity_threshold = nlu_threshold, ambiguity_threshold
        self.core_threshold, self.fallback_action_name = core_threshold, fallback_action_name

    @property
    def named_actions(self) -> dict[str, str]:  # noqa: D102
        return {"fallback_action_name": self.fallback_action_name}

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return 1.0 for the action that has to follow now, or else `core_threshold` for the fallback action."""
        chosen = self._chosen(tracker)
        if chosen is None:
            return confidence_scores_for(self.fallback_action_name, self.core_threshold, domain)
        return confidence_scores_for(chosen, 1.0, domain)

    def _chosen(self, tracker: DialogueStateTracker) -> str | None:
        """Return the action that goes before policies of a lower priority, or None."""
        if tracker.latest_action_name == self.fallback_action_name != ACTION_LISTEN_NAME:
            return ACTION_LISTEN_NAME
        return self.fallback_action_name if self._is_unsure(tracker) else None

    def _is_unsure(self, tracker: DialogueStateTracker) -> bool:
        """Tell whether the message was not understood, and no action has run since."""
        if tracker.latest_action_name != ACTION_LISTEN_NAME:
            return False
        parse = tracker.latest_message.parse_data
        ranking = parse.get("intent_ranking") or []
        first, second = [*(_confidence(one) for one in ranking[:2]), 1.0, 1.0][:2]
        is_ambiguous = len(ranking) > 1 and first - second < self.ambiguity_threshold
        return _confidence(tracker.latest_message.intent) < self.nlu_threshold or is_ambiguous

    def reason(self, tracker: DialogueStateTracker) -> str | None:  # noqa: D102
        if self._is_unsure(tracker):
            sure, name = _confidence(tracker.latest_message.intent), tracker.latest_message.intent.get("name")
            return f"The message was not understood: it may mean {name!r} with a confidence of {sure:.3f}."
        if self._chosen(tracker) is None:
            return f"No policy is sure what comes next: none exceeds the core_threshold, {self.core_threshold}."
        return None

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns:
        """Return no turns, and a note which threshold decides."""
        if self._chosen(tracker) is None:
            note = f"another policy wins if its score exceeds the core_threshold, {self.core_threshold}."
        else:
            sure = _confidence(tracker.latest_message.intent)
            note = f"the message has a confidence of {sure:.3f}, and the nlu_threshold is {self.nlu_threshold}."
        return TrainingTurns(note=note)


class RasaTwoStageFallbackPolicy(RasaFallbackPolicy):
    """Asks the user to confirm the intent of a message that was not understood; ``TwoStageFallbackPolicy`` of Rasa 2.

    If the user affirms, the message counts as understood. Otherwise the bot asks the user to rephrase the message; if
    that is not understood either, the bot asks once more, and then runs `fallback_nlu_action_name`.

    Parameters
    ----------
    fallback_nlu_action_name
        The action if the user was not understood in the end.
    deny_suggestion_intent_name
        The intent by which the user denies the suggested intent.
    """

    max_history: int = 6  # The states of both questions with their answers.

    def __init__(
        self,
        nlu_threshold: float = DEFAULT_THRESHOLD,
        ambiguity_threshold: float = AMBIGUOUS,
        core_threshold: float = DEFAULT_THRESHOLD,
        fallback_action_name: str = FALLBACK_ACTION,
        fallback_nlu_action_name: str = FALLBACK_ACTION,
        deny_suggestion_intent_name: str = DENIAL,
        *,
        priority: int | None = None,
    ) -> None:
        super().__init__(nlu_threshold, ambiguity_threshold, core_threshold, fallback_action_name, priority=priority)
        self.fallback_nlu_action_name = fallback_nlu_action_name
        self.deny_suggestion_intent_name = deny_suggestion_intent_name

    @property
    def named_actions(self) -> dict[str, str]:  # noqa: D102
        return {
            "fallback_core_action_name": self.fallback_action_name,
            "fallback_nlu_action_name": self.fallback_nlu_action_name,
        }

    @property
    def named_intents(self) -> dict[str, str]:  # noqa: D102
        name = self.deny_suggestion_intent_name
        return {} if name == DENIAL else {"deny_suggestion_intent_name": name}

    def _chosen(self, tracker: DialogueStateTracker) -> str | None:
        if tracker.latest_action_name in (_ASKS, _ASKS_AGAIN, self.fallback_action_name):
            return ACTION_LISTEN_NAME
        if not isinstance(tracker.history, RasaHistory):
            raise ModelError("a TwoStageFallbackPolicy needs a domain of Rasa 2 or 3, with version: in it.")
        before, last = ["", "", *tracker.history.actions_before(tracker.active_state())][-2:]
        is_unsure = self._is_unsure(tracker)
        if last == _ASKS and tracker.latest_message.intent.get("name") == self.deny_suggestion_intent_name:
            return self.fallback_nlu_action_name if before == _ASKS_AGAIN else _ASKS_AGAIN
        if last == _ASKS_AGAIN:
            return _ASKS if is_unsure else _TAKES_BACK
        if last == _ASKS:
            return self.fallback_nlu_action_name if is_unsure else _TAKES_BACK
        return _ASKS if is_unsure else None


def _confidence(intent: Mapping[str, Any]) -> float:
    """Return the confidence of an intent; 1.0 if it has none."""
    sure = intent.get("confidence")
    return 1.0 if sure is None else float(sure)


def is_triggered(policies: Iterable[Policy]) -> bool:
    """Tell whether a bot has triggers of intents, and so can act without stories and rules."""
    return any(isinstance(policy, RasaMappingPolicy) for policy in policies)
