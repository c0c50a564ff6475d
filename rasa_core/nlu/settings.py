"""How an interpreter is trained: few settings, none of which needs to be touched."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from rasa_core.exceptions import RasaCoreError, did_you_mean


class SettingsError(RasaCoreError, ValueError):
    """A setting is unknown, or its value is out of range."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a training.

    Attributes
    ----------
    epochs : int
        How often every message is seen; small data are seen more often.
    seed : int
        The same data, settings and seed give the same model.
    batch_size : int
        Messages in one step; fewer for small data.
    learning_rate : float
        The highest one; it rises at first, and falls to zero at the end.
    validation_split : float
        Share of the messages by which confidences are calibrated.
    dropout : float
        Share of the activations that each step leaves out.
    """

    epochs: int = 20
    seed: int = 42
    batch_size: int = 64
    learning_rate: float = 2e-3
    validation_split: float = 0.05
    dropout: float = 0.2

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, (kind, low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind | int) or not low <= value <= high:
                raise SettingsError(f"setting {name!r} is {value!r}, but must be {_expected(name)}.")

    @classmethod
    def from_mapping(cls, values: Mapping[str, str]) -> Settings:
        """Return settings from texts, such as the query of a URL.

        Raises
        ------
        SettingsError
            If a name is unknown, or a text is not a number in its range.
        """
        parsed: dict[str, Any] = {}
        for name, text in values.items():
            if name not in _RANGES:
                raise SettingsError(
                    f"unknown setting {name!r}.{did_you_mean(name, _RANGES)} There are: {', '.join(_RANGES)}."
                )
            parsed[name] = _number(name, text)
        return cls(**parsed)

    def as_json(self) -> dict[str, int | float]:
        """Return all settings by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


_RANGES: dict[str, tuple[type[int] | type[float], float, float]] = {
    "epochs": (int, 1, 10_000),
    "seed": (int, 0, 2**31 - 1),
    "batch_size": (int, 1, 4096),
    "learning_rate": (float, 1e-6, 1.0),
    "validation_split": (float, 0.0, 0.5),
    "dropout": (float, 0.0, 0.9),
}


def _expected(name: str) -> str:
    kind, low, high = _RANGES[name]
    return f"{'a whole number' if kind is int else 'a number'} from {low:g} to {high:g}"


def _number(name: str, text: str) -> int | float:
    convert: Callable[[str], int | float] = _RANGES[name][0]
    try:
        value = convert(str(text).strip())
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise SettingsError(f"setting {name!r} is {str(text)[:100]!r}, but must be {_expected(name)}.")
    return value
