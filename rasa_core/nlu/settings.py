"""The settings of a training of the interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NoReturn

from rasa_core.exceptions import RasaCoreError, did_you_mean


class SettingsError(RasaCoreError, ValueError):
    """A setting is unknown, or its value is out of range."""


def _within(low: float, high: float, default: float) -> Any:
    return field(default=default, metadata={"range": (low, high)})


@dataclass(frozen=True, slots=True)
class NLUSettings:
    """How an interpreter is trained: few settings, none of which needs to be touched.

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

    epochs: int = _within(1, 10_000, 20)
    seed: int = _within(0, 2**31 - 1, 42)
    batch_size: int = _within(1, 4096, 64)
    learning_rate: float = _within(1e-6, 1.0, 2e-3)
    validation_split: float = _within(0.0, 0.5, 0.05)
    dropout: float = _within(0.0, 0.9, 0.2)

    def __post_init__(self) -> None:
        """Check the ranges."""
        for known in fields(self):
            value = getattr(self, known.name)
            kinds = (int, type(known.default))  # A whole number is a float, too.
            low, high = known.metadata["range"]
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:  # True is an int.
                self._fail(known, value)

    @classmethod
    def from_mapping(cls, values: Mapping[str, str]) -> NLUSettings:
        """Return settings from texts, such as the query of a URL.

        Raises
        ------
        SettingsError
            If a name is unknown, or a text is not a number in its range.
        """
        known = {each.name: each for each in fields(cls)}
        parsed: dict[str, Any] = {}
        for name, text in values.items():
            if name not in known:
                raise SettingsError(
                    f"unknown setting {name!r}.{did_you_mean(name, known)} There are: {', '.join(known)}."
                )
            try:
                parsed[name] = (int if known[name].type == "int" else float)(str(text).strip())
            except ValueError:
                cls._fail(known[name], str(text)[:100])
        return cls(**parsed)

    @staticmethod
    def _fail(known: Any, value: object) -> NoReturn:
        kind = "a whole number" if isinstance(known.default, int) else "a number"
        low, high = known.metadata["range"]
        raise SettingsError(f"setting {known.name!r} is {value!r}, but must be {kind} from {low:g} to {high:g}.")

    def as_json(self) -> dict[str, int | float]:
        """Return all settings by name."""
        return asdict(self)
