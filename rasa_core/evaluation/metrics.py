"""Figures for predicted actions, from pairs of what was expected and what was predicted.

Notation, for a list of pairs *(expected, predicted)* and an action *a*:

- *TP(a)*: number of pairs in which both are *a*;
- *FP(a)*: number of pairs in which only the predicted one is *a*;
- *FN(a)*: number of pairs in which only the expected one is *a*.

Where a formula divides by zero, the figure is 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rasa_core.events import ACTION_LISTEN_NAME

Pair = tuple[str, str]
LISTENING: Final = frozenset({ACTION_LISTEN_NAME})


@dataclass(frozen=True, slots=True)
class ActionScores:
    """How well one action is predicted.

    Attributes
    ----------
    action : str
        Its name.
    precision : float
        *TP / (TP + FP)*: how often it is right to predict it.
    recall : float
        *TP / (TP + FN)*: how often it is predicted where it is expected.
    f1 : float
        *2 TP / (2 TP + FP + FN)*, the harmonic mean of both.
    support : int
        *TP + FN*: how often it is expected.
    predicted : int
        *TP + FP*: how often it is predicted.
    """

    action: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def accuracy(pairs: Iterable[Pair], without: Container[str] = ()) -> float:
    """Return the share of the pairs in which both actions are the same.

    Parameters
    ----------
    pairs
        Expected and predicted actions.
    without
        Pairs that expect one of these are left out.
    """
    hits = [expected == predicted for expected, predicted in pairs if expected not in without]
    return ratio(sum(hits), len(hits))


def scores_by_action(pairs: Sequence[Pair]) -> list[ActionScores]:
    """Return the scores of each action that is expected or predicted.

    The most often expected come first, equals by name; `action_listen` is the last.
    """
    expected = Counter(pair[0] for pair in pairs)
    predicted = Counter(pair[1] for pair in pairs)
    hits = Counter(pair[0] for pair in pairs if pair[0] == pair[1])
    names = sorted(expected | predicted, key=lambda name: (name in LISTENING, -expected[name], name))
    return [
        ActionScores(
            name,
            precision=ratio(hits[name], predicted[name]),
            recall=ratio(hits[name], expected[name]),
            f1=ratio(2 * hits[name], expected[name] + predicted[name]),
            support=expected[name],
            predicted=predicted[name],
        )
        for name in names
    ]


def weighted_f1(scores: Iterable[ActionScores], without: Container[str] = LISTENING) -> float:
    """Return the mean F1 of the actions, each weighted by how often it is expected.

    *sum of support(a) F1(a) / sum of support(a)*, over all actions *a* that are not in `without`. A pair that
    expects one of those and predicts *a* still counts as an error of *a*. So is the figure defined that Vlasov,
    Mosig and Nichol report in "Dialogue Transformers" (arXiv:1910.00486), with `action_listen` left out.
    """
    kept = [one for one in scores if one.action not in without]
    return ratio(math.fsum(one.support * one.f1 for one in kept), sum(one.support for one in kept))


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure differs from run to run.

    Attributes
    ----------
    mean : float
        Arithmetic mean.
    deviation : float
        Sample standard deviation, *sqrt(sum of (x - mean)^2 / (n - 1))*; 0 for a single value.
    lowest, highest : float
        The extremes.
    """

    mean: float
    deviation: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        mean = math.fsum(values) / len(values)
        squares = math.fsum((value - mean) ** 2 for value in values)
        return cls(mean, math.sqrt(squares / max(1, len(values) - 1)), min(values), max(values))


def ratio(part: float, whole: float) -> float:
    """Return `part` divided by `whole`, 0 if that cannot be divided by."""
    return part / whole if whole else 0.0


def written(share: float, digits: int = 4) -> str:
    """Return a share as text; one that is almost 1 is not rounded up to it, so that 1 means all."""
    return f"{min(share, 1 - 10**-digits) if share < 1.0 else share:.{digits}f}"


def in_percent(share: float) -> str:
    """Return a share as a percentage; one that is almost 100 % is not rounded up to it."""
    return f"{min(share, 0.999) if share < 1.0 else share:.1%}"
