"""Calibration of the confidences of a model, on the scores of held-out messages.

Notation: before the scores of the network and those of the linear classifier are added, they are multiplied by a and b.
The shares are a / (a + b) and b / (a + b), and T = 1 / (a + b) is the temperature (Guo et al. 2017). The estimates from
n held-out messages are shrunk towards typical values:

- The shares: the logarithm of the ratio a / b that minimises the loss has the weight ``n / (n + D)``, and the rest of
  the weight is on the typical shares 0.4 and 0.6. D is 60 for large data. It is 200 for small data, whose held-out
  messages are scored by networks with a shorter training, which underestimate the share of the network.
- The temperature: at these shares, the logarithm of the T that minimises the loss has the weight ``n / (n + 60)``, and
  the rest of the weight is on the typical T = 0.8. The two are separate, since few messages determine the sum of a and
  b far better than either of them. For small data, T is then divided by 1.05: the final network learns from more
  messages than the networks that score the held-out ones, and may be surer than they are.
- The doubt d: T is the temperature of a message with an average number of unknown words. Each unknown word above this
  average multiplies it by ``exp(d)``, and each one below divides it, because messages that mean something else have
  many unknown words. The score of none, the last intent, is not divided by them. d minimises the sum of the losses
  among the other intents and ``((d - 0.18) / 0.025)^2 / 2``. The held-out messages all mean an intent, and so speak for
  a lower d than all that users write; therefore the second term is large.
- The offset c of the score of none: it is negative, since held-out messages, with their new words, seem to mean none
  more often than they do. c minimises the sum of the losses and ``5 (c + 2)^2``.
- The share of the network's scores of tags, beside those of the linear tagger: the one with the highest F1 of entities.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.crf import best_path, first, spans_of
from rasa_core.nlu.linear import scipy
from rasa_core.nlu.training_data import NLUExample
from rasa_core.support.arrays import Floats
from rasa_core.support.probabilities import log_loss, softmax

_BOUNDS: Final = ((0.05, 3.0), (0.33, 3.3))  # Of a and b; estimates beyond these bounds were due to few messages.
_BOUNDS_OF_SUM: Final = (0.25, 6.0)
_DOUBT: Final = 60
_DOUBT_OF_BRIEF: Final = 200  # The D above for networks with a shorter training.
_TYPICAL: Final = (0.4, 0.6)  # a and b without held-out messages.
_TYPICAL_TEMPERATURE: Final = 0.8  # The one that few held-out messages leave nearly unchanged.
_TYPICAL_NONE: Final = -2.0  # The c that few held-out messages leave nearly unchanged.
_DOUBT_OF_NONE: Final = 10.0  # Twice the 5 above.
_MOST_OF_NONE: Final = 6.0  # c is within so much of 0.
_TYPICAL_DOUBT: Final = 0.18  # d without held-out messages.
_SPREAD_OF_DOUBT: Final = 0.025  # The standard deviation of d in the formula above.
_BOUNDS_OF_DOUBT: Final = (0.0, 0.4)
_SURER: Final = 1.05  # The divisor of T where the final network learns from half as many messages again.
_KEPT: Final = 0.97
"""The share of the rightly understood messages whose confidence is above the proposed threshold."""
_TAG_SHARES: Final = (0.7, 1.0, 0.5, 0.3, 0.2, 0.1)
"""The shares of the network that are tried beside a linear tagger; the first one of the best is taken."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The parameters of the calibration of a model.

    Attributes
    ----------
    deep, wide : float
        The factors of the scores of the network and of the linear classifier: their shares, which sum to 1; or 1 each
        before a calibration.
    temperature : float
        The divisor T of the sum of both, for a message without unknown words.
    threshold : float
        The proposed least confidence of an answer (probability); 0 if no message was held out.
    tag_share : float
        The factor of the network's scores of tags beside a linear tagger.
    none : float
        The offset c of the score of the intent "none", after the division by the temperature.
    doubt : float
        The logarithm d of the factor of the temperature for each unknown word; the score of "none" has no such factor.
    """

    deep: float = 1.0
    wide: float = 1.0
    temperature: float = 1.0
    threshold: float = 0.0
    tag_share: float = _TAG_SHARES[0]
    none: float = 0.0
    doubt: float = 0.0


UNMEASURED: Final = Calibration(*_TYPICAL, _TYPICAL_TEMPERATURE, none=_TYPICAL_NONE, doubt=_TYPICAL_DOUBT)
"""The calibration without held-out messages."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """The true tags of held-out messages, and the scores that network and tagger give them.

    Attributes
    ----------
    tags
        The true tags of the tokens of each message.
    deep, wide
        The scores of tags of each message by the network and by the linear tagger, ``(tokens, tags)``.
    deep_moves, wide_moves
        The transition scores of both, ``(tags, tags)``; see `rasa_core.nlu.crf`.
    """

    tags: Sequence[Sequence[int]]
    deep: Sequence[Floats]
    wide: Sequence[Floats]
    deep_moves: Floats
    wide_moves: Floats

    def found(self, share: float) -> NDArray[np.int_]:
        """Return the number of right entities at a share of the network, and the sum of found and true entities."""
        own, moves = np.float32(share), self.deep_moves * np.float32(share) + self.wide_moves
        begins, counts = first(len(moves) // 2), np.zeros(2, np.int_)
        for tags, deep, wide in zip(self.tags, self.deep, self.wide, strict=True):
            path = best_path(own * deep + wide, moves, begins)
            told, true = ({(*span, kinds[span[0]]) for span in spans_of(kinds)} for kinds in (path, tags))
            counts += len(told & true), len(told) + len(true)
        return counts


def best_tag_share(parts: Sequence[Tagged]) -> float:
    """Return the share of the network at which network and tagger together have the highest F1 of entities."""

    def figure(share: float) -> float:
        right, both = sum((part.found(share) for part in parts), np.zeros(2, np.int_))
        return float(right / max(both, 1))

    return max(_TAG_SHARES, key=figure)


def parts_of(examples: Sequence[NLUExample], known: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    """Split examples into `count` parts, stratified by intent, with equal texts in the same part.

    `known` has the numbers of the examples to split. The parts depend on the texts alone, and so are the same for every
    seed.
    """
    groups: dict[str, list[int]] = {}
    for number in known.tolist():
        groups.setdefault(_same(examples[number].text), []).append(number)
    order = sorted(groups, key=lambda text: (examples[groups[text][0]].intent or "", _drawn(text)))
    parts = [[number for text in order[part::count] for number in groups[text]] for part in range(count)]
    return [np.array(sorted(part), np.intp) for part in parts if part]


def _same(text: str) -> str:
    """Return a text without case, spaces and signs; texts that differ only in these count as equal."""
    return "".join(character for character in text.casefold() if character.isalnum()) or text


def _drawn(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def calibrated(
    deep: Floats,
    wide: Floats,
    intents: NDArray[np.int_],
    unknown: Floats | None = None,
    *,
    is_brief: bool = False,
) -> Calibration:
    """Return the calibration that fits the scores and true intents of held-out messages.

    The loss is convex in a and b, so that it has a single minimum.

    Parameters
    ----------
    deep, wide
        The scores of the network and of the linear classifier, ``(messages, intents + 1)``.
    intents
        The numbers of the true intents, ``(messages,)``.
    unknown
        The number of unknown words of each message, ``(messages,)``; None for none in all messages.
    is_brief
        Whether the network that gave the scores had a shorter training, with fewer messages, than the final one.
    """
    if not len(intents):
        return UNMEASURED
    typical = np.log(_TYPICAL)

    def loss(a: float, b: float) -> float:
        return log_loss((a * deep + b * wide).astype(np.float32), labels=intents, temperature=1.0)

    bounds = [(math.log(least), math.log(most)) for least, most in _BOUNDS]
    # In logarithms, since then doubling is as far as halving, and neither factor can become negative.
    optimize, count = scipy("optimize"), len(intents)
    found = optimize.minimize(
        lambda x: loss(*np.exp(x)), typical, method="L-BFGS-B", bounds=bounds, options={"eps": 1e-3}
    )
    counted = count / (count + (_DOUBT_OF_BRIEF if is_brief else _DOUBT))
    ratio = math.exp(np.diff(typical + (found.x - typical) * counted)[0])  # b / a
    share = 1.0 / (1.0 + ratio)
    logarithm = optimize.minimize_scalar(
        lambda x: loss(math.exp(x) * share, math.exp(x) * (1.0 - share)),
        bounds=[math.log(end) for end in _BOUNDS_OF_SUM],
        method="bounded",
        options={"xatol": 1e-3},
    ).x
    typical_sum = -math.log(_TYPICAL_TEMPERATURE)
    shrunk = typical_sum + (logarithm - typical_sum) * count / (count + _DOUBT)
    both = math.exp(shrunk) * (_SURER if is_brief else 1.0)
    scores = (both * (share * deep + (1.0 - share) * wide)).astype(np.float32)
    more = np.zeros(count, np.float32) if unknown is None else unknown - unknown.mean()
    usual = 0.0 if unknown is None else float(unknown.mean())
    doubt = _best_doubt(scores[:, :-1], intents, more)
    scores[:, :-1] *= np.exp(-doubt * more)[:, None]
    scores[:, -1] *= np.float32(math.exp(doubt * usual))
    none = _best_of_none(scores, intents)
    scores[:, -1] += none
    chances = softmax(scores)[:, :-1]
    # 3 % of the rightly understood messages fall below the threshold; it is rounded down, so that no more do.
    right = np.sort(chances.max(axis=1)[chances.argmax(axis=1) == intents])
    threshold = float(right[int((1.0 - _KEPT) * len(right))]) if len(right) else 0.0
    # Some of few messages are right by chance. A confidence below that of a uniform distribution says nothing.
    threshold = max(threshold, 1.0 / deep.shape[1])
    temperature = math.exp(-doubt * usual) / both
    return Calibration(share, 1.0 - share, temperature, int(threshold * 100) / 100, none=none, doubt=doubt)


def _best_doubt(scores: Floats, intents: NDArray[np.int_], more: Floats) -> float:
    """Return the best d for some scores; `more` is how many more unknown words than average each message has."""

    def loss(doubt: float) -> float:
        doubted = scores * np.exp(-doubt * more)[:, None]
        far = (doubt - _TYPICAL_DOUBT) / _SPREAD_OF_DOUBT
        return log_loss(doubted, labels=intents, temperature=1.0) * len(intents) + 0.5 * far**2

    options = {"xatol": 1e-3}
    optimize = scipy("optimize")
    return float(optimize.minimize_scalar(loss, bounds=_BOUNDS_OF_DOUBT, method="bounded", options=options).x)


def _best_of_none(scores: Floats, intents: NDArray[np.int_]) -> float:
    """Return the best offset c of the last score."""

    def loss(more: float) -> float:
        moved = scores.copy()
        moved[:, -1] += more
        far = more - _TYPICAL_NONE
        return log_loss(moved, labels=intents, temperature=1.0) * len(intents) + 0.5 * _DOUBT_OF_NONE * far**2

    bounds = (-_MOST_OF_NONE, _MOST_OF_NONE)
    options = {"xatol": 1e-3}
    return float(scipy("optimize").minimize_scalar(loss, bounds=bounds, method="bounded", options=options).x)
