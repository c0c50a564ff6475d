"""How sure a model may be: what scores of messages that it has not seen say of the confidences that it should give.

Notation: T is the temperature by which scores are divided before they become confidences; see
`rasa_core.support.probabilities`. What n messages say of it counts ``n / (n + 40)``; the rest says that it is 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.training_data import NLUExample
from rasa_core.support.probabilities import best_temperature, softmax

Floats = NDArray[np.float32]

_TEMPERATURES: Final = (0.3, 3.0)  # What few messages say beyond these is chance.
_DOUBT: Final = 40
_KEPT: Final = 0.96
"""Share of the messages understood right that the proposed threshold keeps."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The temperature of a model, and the least confidence that an answer should have; 0 if nothing is known of it."""

    temperature: float = 1.0
    threshold: float = 0.0


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


def calibrated(scores: Floats, intents: NDArray[np.int_]) -> Calibration:
    """Return the calibration that scores of messages ``(messages, intents + 1)`` and their true intents tell."""
    if not len(scores):
        return Calibration()
    found = best_temperature(scores, labels=intents, bounds=_TEMPERATURES)
    temperature = float(found ** (len(scores) / (len(scores) + _DOUBT)))
    chances = softmax(scores / np.float32(temperature))[:, :-1]
    right = np.sort(chances.max(axis=1)[chances.argmax(axis=1) == intents])
    if not len(right):
        return Calibration(temperature)
    threshold = float(right[int((1.0 - _KEPT) * len(right))])
    return Calibration(temperature, int(threshold * 100) / 100)
