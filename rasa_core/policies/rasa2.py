"""Policies of Rasa 1 and 2 that later versions have no more, as they are in the folder of such a bot.

``FormPolicy`` is a `rasa_core.policies.rules.RulePolicy` with ``old_forms``. Of equally certain policies, that with the
highest priority decides: forms, then fallbacks, then memory, then ``triggers:``. Only to a trigger that wins over all
others does a form give way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rasa_core.events import ACTION_LISTEN_NAME, ACTION_RESTART_NAME, ActionExecuted
from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.policies.policy import DEFAULT_THRESHOLD, Policy, Trackers
from rasa_core.policies.rules import DEFAULT_ACTION_OF
from rasa_core.policies.training_turns import TrainingTurns
from rasa_core.rasa3.history import RasaHistory
from rasa_core.rasa3.mappings import options_in

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

MAPPING_PRIORITY: Final = 2
FALLBACK_PRIORITY: Final = 4
FORM_PRIORITY: Final = 5
RULE_PRIORITY: Final = 6
"""Of `RulePolicy`, beside policies of Rasa 2."""

AMBIGUOUS: Final = 0.1
FALLBACK_ACTION: Final = "action_default_fallback"
DENIAL: Final = "out_of_scope"
_OPTIONS_FILE: Final = "policy.json"  # As in models that were trained when these policies wrote their own.
_ASKS: Final = "action_default_ask_affirmation"
_ASKS_AGAIN: Final = "action_default_ask_rephrase"
_TAKES_BACK: Final = "action_revert_fallback_events"
_RECENT: Final = 20  # Events that are looked through for the last action; one that is longer ago is taken for its own.


class RasaMappingPolicy(Policy):
    """Does what ``triggers:`` of intents name, and what restarts and goes back, and listens then.

    Attributes
    ----------
    triggers : dict of str to str
        The action of each intent that has one.
    """

    HIGHEST_SCORE: ClassVar[float] = 1.0
    OPTIONS_FILE: ClassVar[str] = _OPTIONS_FILE
    PASSES_FORMS: ClassVar[bool] = True

    priority: int = MAPPING_PRIORITY

    def __init__(self, triggers: Mapping[str, str] | None = None, *, priority: int | None = None) -> None:
        super().__init__(priority=priority)
        self.triggers = dict(triggers or {})

    @property
    def max_history(self) -> int:
        """One state: only the latest message and action matter."""
        return 1

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Read the triggers of the domain.

        Raises
        ------
        ModelError
            If one names no action; the message begins with file and line.
        """
        assert domain.rasa is not None
        options = options_in(domain.rasa.content["intents"])
        self.triggers = {name: str(one["triggers"]) for name, one in options.items() if one.get("triggers")}
        for intent, action in self.triggers.items():
            if action not in domain.action_map:
                place = domain.rasa.lines.get(("intents", intent))
                hint = did_you_mean(action, domain.action_map)
                raise ModelError(f"{place}: the intent {intent!r} triggers {action!r}, which is no action.{hint}")

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return 1.0 for the action of the intent, or for listening after it."""
        scores = [0.0] * domain.num_actions
        action = self._chosen(tracker)
        if action in domain.action_map:
            scores[domain.action_map[str(action)]] = 1.0
        return scores

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
        """Tell whether this policy chose the latest action; what follows the choice of another one, that one knows."""
        latest = (one for one in reversed(tracker.latest_events(_RECENT)) if isinstance(one, ActionExecuted))
        return next((one.policy == type(self).__name__ for one in latest if one.action_name == action), True)

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns:
        """Return what the intent triggers."""
        intent = tracker.latest_message.intent.get("name")
        action = self._chosen(tracker)
        return TrainingTurns(
            note=f"the intent {intent!r} leads to {action}." if action else "the intent triggers nothing."
        )


class RasaFallbackPolicy(Policy):
    """Runs one action where a message was not understood, or no other policy is sure; ``FallbackPolicy`` of Rasa 2.

    Parameters
    ----------
    nlu_threshold, ambiguity_threshold
        The confidence of the intent, and how much more that is than that of the next one, below which a message counts
        as not understood (probabilities).
    core_threshold
        The score of the action where the message was understood.
    fallback_action_name
        The action. Once it has run, the bot listens.
    priority
        Takes the place of that of the class.
    """

    HIGHEST_SCORE: ClassVar[float] = 1.0
    OPTIONS_FILE: ClassVar[str] = _OPTIONS_FILE

    priority: int = FALLBACK_PRIORITY

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
    def max_history(self) -> int:
        """One state: only the latest message and action matter."""
        return 1

    @property
    def named_actions(self) -> dict[str, str]:  # noqa: D102
        return {"fallback_action_name": self.fallback_action_name}

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return 1.0 for what is to be done now, or `core_threshold` for the action."""
        scores = [0.0] * domain.num_actions
        chosen = self._chosen(tracker)
        if chosen is None:
            scores[domain.index_for_action(self.fallback_action_name)] = self.core_threshold
        else:
            scores[domain.index_for_action(chosen)] = 1.0
        return scores

    def _chosen(self, tracker: DialogueStateTracker) -> str | None:
        """Return what is to be done whatever other policies of a lower priority say, None for nothing."""
        if tracker.latest_action_name == self.fallback_action_name != ACTION_LISTEN_NAME:
            return ACTION_LISTEN_NAME
        return self.fallback_action_name if self._is_unsure(tracker) else None

    def _is_unsure(self, tracker: DialogueStateTracker) -> bool:
        """Tell whether the message was not understood, and nothing has been done about it yet."""
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
        """Return which threshold decides."""
        if self._chosen(tracker) is None:
            note = f"another policy wins if its score exceeds the core_threshold, {self.core_threshold}."
        else:
            sure = _confidence(tracker.latest_message.intent)
            note = f"the message has a confidence of {sure:.3f}, and the nlu_threshold is {self.nlu_threshold}."
        return TrainingTurns(note=note)


class RasaTwoStageFallbackPolicy(RasaFallbackPolicy):
    """Asks what a message meant that was not understood; ``TwoStageFallbackPolicy`` of Rasa 2.

    If the user affirms, it is as if the message had been understood. If not, the bot asks for other words; where these
    are not understood either, it asks once more, and then runs its last action.

    Parameters
    ----------
    fallback_nlu_action_name
        What comes where the user was not understood in the end.
    deny_suggestion_intent_name
        The intent by which the user says that something else was meant.
    """

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
    def max_history(self) -> int:
        """As many states as the two questions and the answers to them have."""
        return 6

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
    """Return how sure an intent is; where nobody says it, nobody doubts it."""
    sure = intent.get("confidence")
    return 1.0 if sure is None else float(sure)


def is_triggered(policies: Iterable[Policy]) -> bool:
    """Tell whether a bot does something without stories and rules: what its intents trigger."""
    return any(isinstance(policy, RasaMappingPolicy) for policy in policies)
