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
    """The settings of a training of the interpreter, all with defaults.

    Attributes
    ----------
    epochs : int
        How often the training passes over all messages; small data have more epochs.
    seed : int
        The seed of random numbers. The same data, settings and seed give the same model.
    batch_size : int
        The number of messages in one step; small data have smaller batches.
    learning_rate : float
        The highest learning rate; it rises to this value at first, and falls to zero at the end.
    validation_split : float
        The share of large data that is held out for the calibration of confidences; 0 for no calibration.
    dropout : float
        The share of the activations that each step sets to zero.
    """

    epochs: int = _within(1, 10_000, 20)
    seed: int = _within(0, 2**31 - 1, 42)
    batch_size: int = _within(1, 4096, 64)
    learning_rate: float = _within(1e-6, 1.0, 2e-3)
    validation_split: float = _within(0.0, 0.5, 0.05)
    dropout: float = _within(0.0, 0.9, 0.2)

    def __post_init__(self) -> None:
        """Raise `SettingsError` if a value is not in its range."""
        for known in fields(self):
            value = getattr(self, known.name)
            kinds = (int, type(known.default))  # A float may be given as an int.
            low, high = known.metadata["range"]
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:  # A bool is an int.
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
