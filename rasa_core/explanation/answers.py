"""What an explanation says: plain data, small, and JSON-able."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rasa_core.exceptions import RasaCoreError
from rasa_core.policies.training_turns import TrainingTurn

FixedBy = Literal["paused", "followup", "restart"]
Kind = Literal["slot", "entity", "intent", "action"]

_LONGEST_VALUE = 80


class ExplanationError(RasaCoreError, ValueError):
    """There is no such decision to explain."""


@dataclass(frozen=True, slots=True)
class PolicyOpinion:
    """What one policy says.

    Attributes
    ----------
    policy : str
        Its class name.
    action : str or None
        The action with its highest score, the first of equals; None if it has nothing to say.
    score : float
        That score.
    scores : dict of str to float
        Its score for every action of the domain, as the policy gives it.
    lessons : tuple of TrainingTurn or None
        The training turns that taught it this; None if the policy cannot tell.
    note : str or None
        What else it has to say, such as why there are no lessons.
    """

    policy: str
    action: str | None
    score: float
    scores: dict[str, float]
    lessons: tuple[TrainingTurn, ...] | None
    note: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {
            "policy": self.policy,
            "action": self.action,
            "score": self.score,
            "scores": dict(self.scores),
            "lessons": None if self.lessons is None else [lesson.as_dict() for lesson in self.lessons],
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that could have been otherwise.

    Attributes
    ----------
    kind : str
        ``"slot"``, ``"entity"``, ``"intent"`` (of the latest message) or ``"action"`` (the latest one in this turn).
    name : str
        Of the slot or the entity; of the intent or the action as it was.
    before, after : object
        Its value; None for a slot that is not set, an entity that is not there, an action that does not run.
    confidence : float
        How probable the action that came second is then.
    """

    kind: Kind
    name: str
    before: Any
    after: Any
    confidence: float

    @property
    def text(self) -> str:
        """The change in words."""
        if self.kind == "slot":
            is_now = "is not set" if self.before is None else f"is {_short(self.before)}"
            would_be = "were not set" if self.after is None else f"were {_short(self.after)}"
            return f"if the slot {self.name!r} {would_be} (it {is_now})"
        if self.kind == "entity":
            return f"if the message had {'no' if self.after is None else 'an'} entity {self.name!r}"
        if self.kind == "intent":
            return f"if the intent were {self.after!r} (it is {self.before!r})"
        return f"if {'nothing' if self.after is None else repr(self.after)} had run instead of {self.before!r}"

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able, and the change in words."""
        return {**asdict(self), "text": self.text}


@dataclass(frozen=True, slots=True)
class NearestMiss:
    """What would have led to the action that came second.

    Attributes
    ----------
    action : str
        That action.
    policy : str
        Whose second choice it is: that of the policy that decided, or the best choice of another.
    score : float
        What that policy gives it.
    is_enough : bool
        Whether each of `changes` alone leads to the action.
    changes : tuple of Change
        The smallest changes first; if none is enough, the one that makes the action most probable, if any does.
    tried : int
        How many changes were tried.
    """

    action: str
    policy: str
    score: float
    is_enough: bool
    changes: tuple[Change, ...]
    tried: int

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {**asdict(self), "changes": [change.as_dict() for change in self.changes]}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one decision is as it is.

    Attributes
    ----------
    at : int
        The decision was made with the first `at` events of the conversation.
    action : str or None
        What is decided; None while the bot is paused.
    confidence : float or None
        How probable that is.
    policy : str or None
        Class name of the policy that decides; None where nobody is asked, or nobody has anything to say.
    fixed_by : str or None
        What decides where the policies are not asked: ``"paused"``, ``"followup"`` (an event fixes the next
        action) or ``"restart"`` (the user wants to start anew).
    executed : str or None
        The action that follows in the conversation; another one if the model has changed since, or somebody has
        reported an action that was not asked for. None if none follows.
    policies : tuple of PolicyOpinion
        What each policy says, in their order, also where it is not asked.
    nearest_miss : NearestMiss or None
        What would have led to the action that came second; None if nothing came second, or no policy was asked.
    """

    at: int
    action: str | None
    confidence: float | None
    policy: str | None
    fixed_by: FixedBy | None
    executed: str | None
    policies: tuple[PolicyOpinion, ...]
    nearest_miss: NearestMiss | None

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {
            "at": self.at,
            "action": self.action,
            "confidence": self.confidence,
            "policy": self.policy,
            "fixed_by": self.fixed_by,
            "executed": self.executed,
            "policies": [opinion.as_dict() for opinion in self.policies],
            "nearest_miss": None if self.nearest_miss is None else self.nearest_miss.as_dict(),
        }


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
