"""Explains one decision in a conversation: scores, the stories that taught it, and changes that would alter it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rasa_core.domain import Domain
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ActionReverted,
    Event,
    Restarted,
    StoryExported,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import ModelError, RasaCoreError
from rasa_core.explanation.nearest_miss import NearestMiss, find_nearest_miss
from rasa_core.policies.policy import Policy
from rasa_core.policies.training_turns import TrainingTurn, TrainingTurns
from rasa_core.trackers import DialogueStateTracker
from rasa_core.turn import TurnProcessor

FixedBy = Literal["paused", "followup", "restart"]


class ExplanationError(RasaCoreError, ValueError):
    """There is no such decision to explain."""


@dataclass(frozen=True, slots=True)
class PolicyOpinion:
    """The prediction of one policy, with the training turns that taught it.

    Attributes
    ----------
    policy : str
        Class name of the policy.
    action : str or None
        The action with the highest score, the first of equals; None if the policy gives no action a score above 0.
    score : float
        The score of `action`.
    scores : dict of str to float
        The policy's score of every action of the domain.
    lessons : tuple of TrainingTurn or None
        The training turns that taught the prediction; None if the policy cannot tell them.
    note : str or None
        A note, such as why there are no lessons.
    """

    policy: str
    action: str | None
    score: float
    scores: dict[str, float]
    lessons: tuple[TrainingTurn, ...] | None
    note: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        lessons = None if self.lessons is None else [lesson.as_dict() for lesson in self.lessons]
        return {**asdict(self), "lessons": lessons}


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one decision.

    Attributes
    ----------
    at : int
        The decision was made after the first `at` events of the conversation.
    action : str or None
        The chosen action; None while the bot is paused.
    confidence : float or None
        The confidence of the choice, a probability.
    policy : str or None
        Class name of the policy that decides; None if the policies are not asked, or none gives a score above 0.
    fixed_by : str or None
        The reason why the policies are not asked: ``"paused"``, ``"followup"`` (an event fixes the next
        action) or ``"restart"`` (the user asks for a restart).
    executed : str or None
        The action that was run next in the conversation. It differs from `action` if the model has changed since, or
        a caller has reported another action. None if no action follows.
    understood : float or None
        The confidence of the latest message's intent, or None.
    failed : str or None
        The error of the action before, if it failed; policies see that it failed.
    policies : tuple of PolicyOpinion
        The prediction of each policy, in their order, also if the policies are not asked.
    nearest_miss : NearestMiss or None
        Changes that would have led to the second-best action; None if there is none, or no policy was asked.
    """

    at: int
    action: str | None
    confidence: float | None
    policy: str | None
    fixed_by: FixedBy | None
    executed: str | None
    understood: float | None
    failed: str | None
    policies: tuple[PolicyOpinion, ...]
    nearest_miss: NearestMiss | None

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        missed = None if self.nearest_miss is None else self.nearest_miss.as_dict()
        return {**asdict(self), "policies": [one.as_dict() for one in self.policies], "nearest_miss": missed}


def explain(turns: TurnProcessor, tracker: DialogueStateTracker, at: int | None = None) -> Explanation:
    """Explain the decision that was, or would be, made after the first `at` events of a conversation.

    Parameters
    ----------
    turns
        The processor that makes the decision again; if its model is newer than the decision, the result may differ.
    tracker
        The conversation; it is not changed.
    at
        A number of events; the decision led to the action at the index `at` of ``tracker.events``. By default, the
        decision that is due now; while the bot listens, the decision to listen.

    Raises
    ------
    ExplanationError
        If the conversation does not have so many events.
    """
    events = list(tracker.events)
    if at is None:
        at = decision_position(events)
    if not 0 <= at <= len(events):
        raise ExplanationError(f"at is a number of events from 0 to {len(events)}, and not {at}.")
    ensemble, domain = turns.policy_ensemble, turns.domain
    # Replaying an export event would write its file again.
    past = [event for event in events[:at] if not isinstance(event, StoryExported)]
    # Without a window, a conversation of 20,000 events would be kept as 20,000 states.
    window = None if ensemble.longest_history is None else ensemble.window
    then = DialogueStateTracker.from_events(tracker.sender_id, past, domain, window)
    fixed_by = _fixed_by(turns, then)
    prediction = None if fixed_by == "paused" else turns.predict(then)
    opinions = tuple(_opinion(policy, then, domain) for policy in ensemble.policies)
    following = events[at] if at < len(events) else None
    executed = following.action_name if isinstance(following, ActionExecuted) else None
    understood = then.latest_message.intent.get("confidence")
    failed = next((event.error for event in reversed(then.applied_events()) if isinstance(event, ActionExecuted)), None)
    if prediction is None:
        return Explanation(at, None, None, None, fixed_by, executed, understood, failed, opinions, None)
    said = [(opinion.policy, opinion.scores) for opinion in opinions]
    missed = find_nearest_miss(then, domain, ensemble, prediction, said) if fixed_by is None else None
    decided = prediction.action, prediction.confidence, prediction.policy
    return Explanation(at, *decided, fixed_by, executed, understood, failed, opinions, missed)


def decision_position(events: Sequence[Event]) -> int:
    """Return the number of events before the decision that is due now, or, if the bot listens, before the last one."""
    for index in range(len(events) - 1, -1, -1):
        event = events[index]
        if isinstance(event, ActionExecuted):
            return index if event.action_name == ACTION_LISTEN_NAME else len(events)
        if isinstance(event, UserUttered | Restarted | UserUtteranceReverted | ActionReverted):
            break
    return len(events)


def _fixed_by(turns: TurnProcessor, tracker: DialogueStateTracker) -> FixedBy | None:
    """Return the reason why the policies are not asked, as in `TurnProcessor`; None if they are asked."""
    wants_restart = turns.wants_restart(tracker)  # A restart goes before a pause, since it ends the pause.
    if tracker.is_paused() and not wants_restart:
        return "paused"
    if tracker.follow_up_action is not None and tracker.follow_up_action in turns.domain.action_indices:
        return "followup"
    return "restart" if wants_restart else None


def _opinion(policy: Policy, tracker: DialogueStateTracker, domain: Domain) -> PolicyOpinion:
    # As in the ensemble, scores that are not above 0 count as 0, also NaN and negative scores of a custom policy.
    given = [float(score) if score > 0.0 else 0.0 for score in policy.predict_action_probabilities(tracker, domain)]
    scores = dict(zip(domain.action_names, given, strict=False))
    top = max(given, default=0.0)
    action = domain.action_names[given.index(top)] if top > 0.0 else None
    lessons, problem = _lessons(policy, tracker, domain)
    if lessons is None:
        return PolicyOpinion(type(policy).__name__, action, top, scores, None, problem)
    return PolicyOpinion(type(policy).__name__, action, top, scores, lessons.turns, lessons.note)


def _lessons(policy: Policy, tracker: DialogueStateTracker, domain: Domain) -> tuple[TrainingTurns | None, str | None]:
    """Return the training turns that taught a policy's prediction, or a note why they are not known."""
    try:
        return policy.training_turns(tracker, domain), None
    except ModelError as error:
        return None, str(error)
