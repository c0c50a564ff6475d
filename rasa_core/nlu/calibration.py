"""How sure a model may be: what scores of messages that it has not seen say of the confidences that it should give.

Notation: a and b are what the scores of the network and those of the linear classifier are multiplied by before they
are added and become confidences. The shares of both are a / (a + b) and b / (a + b), and T = 1 / (a + b) is the
temperature: what one of them gets more the other gets less, so that of few messages, the sum is far more certain than
either. What n messages say of the logarithm of a / b counts ``n / (n + D)``, and the rest says what is typical, the
shares 0.4 and 0.6; then, at these shares, what they say of that of T counts ``n / (n + 60)``, and the rest says that
T = 1. D is 60, or 200 where they were left out by networks that have learnt for less long than the one that serves,
which count for too little there. These have learnt from fewer messages, too, so that the one that serves may be surer
than they: T is divided by 1.05.

This T is that of a message that has as many words as usual that are not known. Each such word more multiplies it by
``exp(d)``, since what means something else has many of them, and each less divides it: d makes the sum of the losses
and ``((d - 0.1) / 0.05)^2 / 2`` least. Then, the score of the last intent, which is none, gets c more, which is below 0
where messages with new words seem to mean none more often than they do: c makes the sum of the losses and ``5 c^2``
least, so that few messages say little of it. The scores of tags of the network are multiplied by a share of their own,
with which it and the linear tagger find most entities.
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
from rasa_core.support.probabilities import log_loss, softmax

Floats = NDArray[np.float32]

_BOUNDS: Final = ((0.05, 3.0), (0.33, 3.3))  # Of a and b; what few messages say beyond these is chance.
_BOUNDS_OF_SUM: Final = (0.25, 6.0)
_DOUBT: Final = 60
_DOUBT_OF_BRIEF: Final = 200  # The D above, of networks that have learnt less.
_TYPICAL: Final = (0.4, 0.6)  # a and b where nothing is known of them.
_DOUBT_OF_NONE: Final = 10.0  # Twice the 5 above.
_MOST_OF_NONE: Final = 4.0  # c is within so much of 0.
_TYPICAL_DOUBT: Final = 0.1  # d where nothing is known of it.
_SPREAD_OF_DOUBT: Final = 0.05  # What d is divided by above.
_BOUNDS_OF_DOUBT: Final = (0.0, 0.3)
_SURER: Final = 1.05  # What T is divided by where the model that serves has learnt from half as many messages again.
_KEPT: Final = 0.965
"""Share of the messages understood right that the proposed threshold keeps."""
_TAG_SHARES: Final = (0.7, 1.0, 0.5, 0.3, 0.2, 0.1)
"""What the network may count beside a linear tagger; of those as good, the first."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a model is calibrated by.

    Attributes
    ----------
    deep, wide : float
        What the scores of network and classifier are multiplied by: their shares, which sum to 1, or 1 each for the
        scores as they are.
    temperature : float
        What the sum of both is divided by, T, in a message of which all words are known.
    threshold : float
        The least confidence that an answer should have; 0 if nothing is known of it.
    tag_share : float
        What the network's scores of tags are multiplied by beside those of a linear tagger.
    none : float
        What the score of no intent gets more, after the division, c.
    doubt : float
        The logarithm of what each word that is not known multiplies the temperature by, d.
    """

    deep: float = 1.0
    wide: float = 1.0
    temperature: float = 1.0
    threshold: float = 0.0
    tag_share: float = _TAG_SHARES[0]
    none: float = 0.0
    doubt: float = 0.0


UNMEASURED: Final = Calibration(*_TYPICAL, doubt=_TYPICAL_DOUBT)
"""What holds where no messages are held out."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """Messages of which neither network nor tagger has seen any, and the tags that each should have.

    `deep` and `wide` are scores of the tags of each message by network and tagger, ``(tokens, tags)``; `deep_moves` and
    `wide_moves` those of one tag after another, ``(tags, tags)``; see `rasa_core.nlu.crf`.
    """

    tags: Sequence[Sequence[int]]
    deep: Sequence[Floats]
    wide: Sequence[Floats]
    deep_moves: Floats
    wide_moves: Floats

    def found(self, share: float) -> NDArray[np.int_]:
        """Return how many entities are right if the network counts so much, and twice of how many that is F1."""
        own, moves = np.float32(share), self.deep_moves * np.float32(share) + self.wide_moves
        begins, counts = first(len(moves) // 2), np.zeros(2, np.int_)
        for tags, deep, wide in zip(self.tags, self.deep, self.wide, strict=True):
            path = best_path(own * deep + wide, moves, begins)
            told, true = ({(*span, kinds[span[0]]) for span in spans_of(kinds)} for kinds in (path, tags))
            counts += len(told & true), len(told) + len(true)
        return counts


def best_tag_share(parts: Sequence[Tagged]) -> float:
    """Return what the network should count beside the tagger, so that they find most entities (F1)."""

    def figure(share: float) -> float:
        right, both = sum((part.found(share) for part in parts), np.zeros(2, np.int_))
        return float(right / max(both, 1))

    return max(_TAG_SHARES, key=figure)


def parts_of(examples: Sequence[NLUExample], known: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    """Share some examples out by their numbers, each intent as evenly as possible, the same texts together.

    What is where depends on the texts alone, so that it is the same for every seed.
    """
    groups: dict[str, list[int]] = {}
    for number in known.tolist():
        groups.setdefault(_same(examples[number].text), []).append(number)
    order = sorted(groups, key=lambda text: (examples[groups[text][0]].intent or "", _drawn(text)))
    parts = [[number for text in order[part::count] for number in groups[text]] for part in range(count)]
    return [np.array(sorted(part), np.intp) for part in parts if part]


def _same(text: str) -> str:
    """Return what two texts have in common that are as good as the same."""
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
    """Return what the scores of network and classifier, ``(messages, intents + 1)``, say beside the true intents.

    The loss is convex in a and b, so that there is one answer.

    Parameters
    ----------
    deep, wide
        The scores.
    intents
        The numbers of the true intents, ``(messages,)``.
    unknown
        How many words of each message were not known, ``(messages,)``; none of them if it is not given.
    is_brief
        Whether the network that scored them has learnt for less long, and from fewer messages, than the one that
        serves.
    """
    if not len(intents):
        return UNMEASURED
    typical = np.log(_TYPICAL)

    def loss(a: float, b: float) -> float:
        return log_loss((a * deep + b * wide).astype(np.float32), labels=intents, temperature=1.0)

    bounds = [(math.log(least), math.log(most)) for least, most in _BOUNDS]
    # As logarithms: twice as much is as far as half as much, and neither can become negative.
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
    both = math.exp(logarithm * count / (count + _DOUBT)) * (_SURER if is_brief else 1.0)
    scores = (both * (share * deep + (1.0 - share) * wide)).astype(np.float32)
    more = np.zeros(count, np.float32) if unknown is None else unknown - unknown.mean()
    doubt = _best_doubt(scores, intents, more)
    scores *= np.exp(-doubt * more)[:, None]
    none = _best_of_none(scores, intents)
    scores[:, -1] += none
    chances = softmax(scores)[:, :-1]
    # Of the messages understood right, the 3.5 % with the least confidence fall below; rounded down, to keep no fewer.
    right = np.sort(chances.max(axis=1)[chances.argmax(axis=1) == intents])
    threshold = float(right[int((1.0 - _KEPT) * len(right))]) if len(right) else 0.0
    # Of few messages some are right by chance; below it, nothing that is known is as likely as that none is meant.
    threshold = max(threshold, 1.0 / deep.shape[1])
    usual = 0.0 if unknown is None else float(unknown.mean())
    temperature = math.exp(-doubt * usual) / both
    return Calibration(share, 1.0 - share, temperature, int(threshold * 100) / 100, none=none, doubt=doubt)


def _best_doubt(scores: Floats, intents: NDArray[np.int_], more: Floats) -> float:
    """Return how much less sure each unknown word should make of some scores, `more` being how many there are more."""

    def loss(doubt: float) -> float:
        doubted = scores * np.exp(-doubt * more)[:, None]
        far = (doubt - _TYPICAL_DOUBT) / _SPREAD_OF_DOUBT
        return log_loss(doubted, labels=intents, temperature=1.0) * len(intents) + 0.5 * far**2

    options = {"xatol": 1e-3}
    optimize = scipy("optimize")
    return float(optimize.minimize_scalar(loss, bounds=_BOUNDS_OF_DOUBT, method="bounded", options=options).x)


def _best_of_none(scores: Floats, intents: NDArray[np.int_]) -> float:
    """Return what the last of some scores should get more."""

    def loss(more: float) -> float:
        moved = scores.copy()
        moved[:, -1] += more
        return log_loss(moved, labels=intents, temperature=1.0) * len(intents) + 0.5 * _DOUBT_OF_NONE * more**2

    bounds = (-_MOST_OF_NONE, _MOST_OF_NONE)
    options = {"xatol": 1e-3}
    return float(scipy("optimize").minimize_scalar(loss, bounds=bounds, method="bounded", options=options).x)
