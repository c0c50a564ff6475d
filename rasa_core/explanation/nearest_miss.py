"""Which single difference would have led to the action that came second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from rasa_core.explanation.answers import Change, NearestMiss, PolicyOpinion
from rasa_core.explanation.changes import LatestTurn, Variant
from rasa_core.policies.policy import Prediction

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.policies.ensemble import PolicyEnsemble
    from rasa_core.trackers import DialogueStateTracker

MOST_TRIED: Final = 400
MOST_TOLD: Final = 3


class _Second(NamedTuple):
    action: str
    policy: str
    score: float


class _Outcome(NamedTuple):
    """What a difference leads to; `size` counts the features of the present state in which it differs."""

    size: int
    variant: Variant
    prediction: Prediction

    def as_change(self, action: str) -> Change:
        variant = self.variant
        return Change(
            variant.kind, variant.name, variant.before, variant.after, self.prediction.scores.get(action, 0.0)
        )


def find_nearest_miss(
    tracker: DialogueStateTracker,
    domain: Domain,
    ensemble: PolicyEnsemble,
    prediction: Prediction,
    opinions: Sequence[PolicyOpinion],
) -> NearestMiss | None:
    """Play the latest turn with up to `MOST_TRIED` single differences; None if no action came second.

    Parameters
    ----------
    tracker
        The conversation in which the decision was made.
    prediction, opinions
        What was decided, and what each policy said.
    """
    second = _second_of(prediction, opinions)
    if second is None:
        return None
    turn = LatestTurn(tracker, domain, ensemble.longest_history)
    present = set(tracker.active_state().items())
    outcomes = []
    for variant in islice(turn.variants(), MOST_TRIED):
        played = turn.played(variant.events)
        size = len(present.symmetric_difference(played.active_state().items()))
        outcomes.append(_Outcome(size, variant, ensemble.predict(played, domain)))
    enough = _smallest((outcome for outcome in outcomes if outcome.prediction.action == second.action), second.action)
    told = enough or _most_helpful(outcomes, second.action, prediction.scores.get(second.action, 0.0))
    changes = tuple(outcome.as_change(second.action) for outcome in told)
    return NearestMiss(second.action, second.policy, second.score, bool(enough), changes, len(outcomes))


def _second_of(prediction: Prediction, opinions: Sequence[PolicyOpinion]) -> _Second | None:
    """Return the second choice of the policy that decided, or else the best choice of another."""
    deciding = [opinion for opinion in opinions if opinion.policy == prediction.policy]
    for asked in (deciding, opinions):
        choices = [
            _Second(action, opinion.policy, score)
            for opinion in asked
            for action, score in opinion.scores.items()
            if action != prediction.action and score > 0.0
        ]
        if choices and prediction.policy is not None:
            return max(choices, key=lambda choice: choice.score)
    return None


def _smallest(outcomes: Iterable[_Outcome], action: str) -> list[_Outcome]:
    """Return the smallest differences, each value once; of equally small ones, the most convincing first."""
    ordered = sorted(outcomes, key=lambda outcome: (outcome.size, -outcome.prediction.scores.get(action, 0.0)))
    found: dict[object, _Outcome] = {}
    for outcome in ordered:
        variant = outcome.variant
        found.setdefault((variant.kind, variant.name, repr(variant.after)), outcome)
    return list(found.values())[:MOST_TOLD]


def _most_helpful(outcomes: Sequence[_Outcome], action: str, before: float) -> list[_Outcome]:
    """Return the difference with which the action is most probable, if it is more probable than `before`."""
    best = max(outcomes, key=lambda outcome: outcome.prediction.scores.get(action, 0.0), default=None)
    return [best] if best is not None and best.prediction.scores.get(action, 0.0) > before else []
