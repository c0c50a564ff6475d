"""Slots: the values that a bot remembers, and how each type of slot becomes features for policies.

A new type of slot is a subclass of `Slot`; a domain names it by its ``type_name``, or by its dotted class path.
"""

from __future__ import annotations

import copy
import inspect
import logging
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar, Final, Self, TypeVar

from rasa_core.exceptions import DomainError, did_you_mean
from rasa_core.support.own_code import import_module, module_with

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONGEST_FEATURE_TEXT: Final = 60
# A context variable, since one thread may read a foreign model while another thread loads a trusted one.
_may_import: ContextVar[bool] = ContextVar("may_import", default=True)
_CHANGEABLE = (list, dict, set)
_WARNINGS = 20  # At most so many values are logged for a slot, since users can say anything.


def short_text(value: Any) -> str | None:
    """Return a text or number as text if it has at most `LONGEST_FEATURE_TEXT` characters; None for other values."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST_FEATURE_TEXT:
        return None  # `str` raises an error for numbers of thousands of digits.
    text = value if isinstance(value, str) else str(value) if isinstance(value, int | float) else None
    return text if text is not None and len(text) <= LONGEST_FEATURE_TEXT else None


class Slot:
    """One value that the bot remembers during a conversation.

    Parameters
    ----------
    name
        Name of the slot.
    initial_value
        Value at the start of a conversation and after a reset.
    value_reset_delay
        Accepted for old files; has no effect.
    """

    type_name: ClassVar[str | None] = None
    _value_reset_delay: int | None = None
    _subclasses: ClassVar[dict[str, type[Slot]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under its ``type_name``; of several classes with the same name, the last is used."""
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("type_name")
        if own is not None:
            Slot._subclasses[own] = cls

    def __init__(self, name: str, initial_value: Any = None, value_reset_delay: int | None = None) -> None:
        if value_reset_delay is not None:
            message = f"value_reset_delay of slot {name!r} has no effect; remove it."
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            self._value_reset_delay = value_reset_delay
        self.name = name
        self.initial_value = initial_value
        self.value = self.initial()

    def feature_dimensionality(self) -> int:
        """Return the length of `as_feature`, which is the same for every value."""
        return 1

    def value_reset_delay(self) -> int | None:
        """Return the value that the constructor got; it has no effect."""
        return self._value_reset_delay

    def has_features(self) -> bool:
        """Tell whether the slot has features, so that its value can influence predictions."""
        return self.feature_dimensionality() != 0

    def as_feature(self) -> list[float]:
        """Return the value as floats, shape ``(feature_dimensionality(),)``."""
        raise NotImplementedError(
            f"slot {self.name!r} is of type {type(self).__name__}, which has no features of its own; "
            "override as_feature(), or use the type unfeaturized."
        )

    def feature_text(self) -> str | None:
        """Return the value as text if it is short and `as_feature` is the same for different values; else None."""
        return None

    def initial(self) -> Any:
        """Return the initial value; of a list, dict or set, a copy, so that conversations do not share it."""
        value = self.initial_value
        return copy.deepcopy(value) if isinstance(value, _CHANGEABLE) else value

    def reset(self) -> None:
        """Go back to the initial value."""
        self.value = self.initial()

    def fresh(self) -> Self:
        """Return an independent slot of the same kind, at its initial value."""
        # The constructor is not called: a custom class may have any parameters, and this is done in every turn.
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.reset()
        return twin

    def persistence_info(self) -> dict[str, Any]:
        """Return the slot's entry for domain.yml: the type, the initial value and the options of the type."""
        return {"type": type_of(self), "initial_value": self.initial_value}

    def __repr__(self) -> str:
        """Return class, name and value."""
        return f"{type(self).__name__}({self.name}: {self.value!r})"

    @classmethod
    def check_options(cls, options: Iterable[object]) -> None:
        """Raise `DomainError` for an option that the constructor does not take, and suggest the nearest option."""
        parameters = list(inspect.signature(cls).parameters.values())
        known = [one.name for one in parameters[1:] if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        unknown = [name for name in options if name not in known]
        if unknown and not any(one.kind is one.VAR_KEYWORD for one in parameters):
            hint = did_you_mean(str(unknown[0]), known)
            raise DomainError(f"it has no option {unknown[0]!r}.{hint} Its options are {', '.join(known)}.")

    @staticmethod
    def resolve_by_type(type_name: str) -> type[Slot]:
        """Return the slot class for a type name or a dotted class path.

        Raises
        ------
        DomainError
            If there is no such type, or the path does not lead to a `Slot` class.
        """
        found = Slot._subclasses.get(type_name)
        if found is not None:
            return found
        if "." in str(type_name):
            return class_from_path(type_name, Slot)
        known = ", ".join(sorted(Slot._subclasses))
        raise DomainError(
            f"unknown slot type {type_name!r}.{did_you_mean(str(type_name), Slot._subclasses)} "
            f"Known types: {known}, or the dotted path of your own Slot class."
        )


class TextSlot(Slot):
    """A text or any other value; classic featurizers only see whether there is a value."""

    type_name = "text"

    def as_feature(self) -> list[float]:
        """Return 1.0 if there is a value, even an empty one."""
        return [0.0 if self.value is None else 1.0]

    def feature_text(self) -> str | None:
        """Return the value as `short_text` does."""
        return short_text(self.value)


class _MayBeUnset(Slot):
    """A slot that can have one more feature, the last, which says that the slot is not set.

    Parameters
    ----------
    unset
        Whether it has that feature. Without it, policies cannot tell a slot that is not set from a false boolean slot,
        from the number 0, or from a value that a categorical slot does not have.
    """

    def __init__(
        self, name: str, initial_value: Any = None, value_reset_delay: int | None = None, *, unset: bool = False
    ) -> None:
        super().__init__(name, initial_value, value_reset_delay)
        if not isinstance(unset, bool):
            raise DomainError(f"slot {name!r}: unset is true or false, not {unset!r}.")
        self.unset = unset

    def feature_dimensionality(self) -> int:
        return 1 + self.unset

    def _with_unset(self, features: list[float]) -> list[float]:
        return [*features, 1.0 if self.value is None else 0.0] if self.unset else features

    def persistence_info(self) -> dict[str, Any]:
        return {**super().persistence_info(), **({"unset": True} if self.unset else {})}


class BooleanSlot(_MayBeUnset):
    """True or false."""

    type_name = "bool"

    def as_feature(self) -> list[float]:
        """Return 1.0 if the value is a number other than 0, or true."""
        number = _number(self.value)
        return self._with_unset([1.0 if number is not None and number != 0.0 else 0.0])


class FloatSlot(_MayBeUnset):
    """A number, scaled from ``min_value..max_value`` to 0..1."""

    type_name = "float"

    def __init__(
        self,
        name: str,
        initial_value: Any = None,
        value_reset_delay: int | None = None,
        max_value: float = 1.0,
        min_value: float = 0.0,
        *,
        unset: bool = False,
    ) -> None:
        super().__init__(name, initial_value, value_reset_delay, unset=unset)
        if not all(_is_bound(bound) for bound in (min_value, max_value)):
            raise DomainError(f"slot {name!r}: min_value and max_value are numbers, not {min_value!r}, {max_value!r}.")
        if not min_value < max_value:
            raise DomainError(f"slot {name!r}: min_value ({min_value}) must be less than max_value ({max_value}).")
        self.max_value = max_value
        self.min_value = min_value

    def as_feature(self) -> list[float]:
        """Return the clipped and scaled value; 0.0 if it is not set or not a number."""
        number = _number(self.value)
        if number is None:
            return self._with_unset([0.0])
        clipped = min(max(number, self.min_value), self.max_value)
        return self._with_unset([(clipped - self.min_value) / (self.max_value - self.min_value)])

    def persistence_info(self) -> dict[str, Any]:  # noqa: D102
        return {**super().persistence_info(), "max_value": self.max_value, "min_value": self.min_value}


class ListSlot(Slot):
    """A list of values; its feature only says whether the list has any values."""

    type_name = "list"

    def as_feature(self) -> list[float]:
        """Return 1.0 if there is at least one value."""
        try:
            return [1.0 if len(self.value) > 0 else 0.0]
        except TypeError:
            return [0.0]


class CategoricalSlot(_MayBeUnset):
    """One of a few known values.

    Parameters
    ----------
    values
        The known values; they are compared as lower-case text, and None as ``none``. A string is split at its commas.
    """

    type_name = "categorical"

    def __init__(
        self,
        name: str,
        values: Sequence[Any] | str | None = None,
        initial_value: Any = None,
        value_reset_delay: int | None = None,
        *,
        unset: bool = False,
    ) -> None:
        super().__init__(name, initial_value, value_reset_delay, unset=unset)
        if isinstance(values, str):
            values = [part.strip() for part in values.split(",") if part.strip()]
        if values is not None and not isinstance(values, list | tuple):
            raise DomainError(f"slot {name!r}: values is a list such as [low, high], not {values!r}.")
        self.values = [str(value).lower() for value in values or []]
        # All copies of the slot (`fresh`) share this set, so that a value is logged once, not in every conversation.
        self._warned: set[str] = set()

    def as_feature(self) -> list[float]:
        """Return a one-hot vector, shape ``(len(values),)``; zeros if the value is not among them."""
        text = str(self.value).lower()
        is_new = self.value is not None and text not in self.values and text not in self._warned
        if is_new and len(self._warned) < _WARNINGS:
            self._warned.add(text)
            message = "slot %r has the value %.80r, which is none of %s; it has no features."
            logger.warning(message, self.name, text, self.values)
        return self._with_unset([1.0 if value == text else 0.0 for value in self.values])

    def feature_dimensionality(self) -> int:  # noqa: D102
        return len(self.values) + self.unset

    def persistence_info(self) -> dict[str, Any]:  # noqa: D102
        return {**super().persistence_info(), "values": self.values}


class UnfeaturizedSlot(Slot):
    """Any value; it does not influence predictions."""

    type_name = "unfeaturized"

    def as_feature(self) -> list[float]:
        """Return no features."""
        return []

    def feature_dimensionality(self) -> int:  # noqa: D102
        return 0


class DataSlot(Slot):
    """The base class that old code derives slots with features of their own from; new code can derive from `Slot`."""


def unfit_option(error: TypeError) -> str:
    """Return a message about the options of a slot, from the error that its constructor raised."""
    _, _, option = str(error).partition("unexpected keyword argument ")
    return f"it has no option {option}." if option else str(error)


def class_from_path(path: str, base: type[T]) -> type[T]:
    """Import the class at the dotted `path` and check that it is a subclass of `base`."""
    module_name, _, class_name = path.rpartition(".")
    if path.startswith("."):
        raise DomainError(f"the path {path!r} must be absolute, such as {(path.lstrip('.') or 'bot.Class')!r}.")
    if module_name == "__main__" and not hasattr(sys.modules["__main__"], class_name):
        # The class was defined in a script that was the main module at that time, and now is imported.
        module_name = module_with(class_name) or module_name
    try:
        if _may_import.get():
            found = getattr(import_module(module_name), class_name)
        else:
            found = _imported(module_name, class_name)
    except (ImportError, AttributeError, ValueError) as error:
        near = did_you_mean(class_name, _classes_in(module_name)) if isinstance(error, AttributeError) else ""
        raise DomainError(f"cannot find the class {path!r}: {error}{near and '.'}{near}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise DomainError(f"{path!r} is not a subclass of {base.__module__}.{base.__name__}.")
    return found


def _classes_in(module_name: str) -> list[str]:
    return [name for name, found in vars(sys.modules[module_name]).items() if isinstance(found, type)]


def _imported(module_name: str, class_name: str) -> Any:
    # `vars` and not `getattr`, which would call a `__getattr__` of the module, and that might import something.
    found = vars(sys.modules[module_name]).get(class_name) if module_name in sys.modules else None
    if found is None:
        raise ImportError(f"this process has not imported {module_name}, and a model that is sent to it may not")
    return found


@contextmanager
def without_imports() -> Iterator[None]:
    """Within the block, let `class_from_path` return only classes of imported modules, as foreign files are read."""
    before = _may_import.set(False)
    try:
        yield
    finally:
        _may_import.reset(before)


def type_of(slot: Slot) -> str:
    """Return the ``type:`` of a slot in domain.yml; for a custom class, its dotted path."""
    found = type(slot)
    own = found.__dict__.get("type_name")  # Not an inherited `type_name`, which stands for the base class.
    importable = getattr(sys.modules.get(found.__module__), found.__name__, None) is found
    # Any process that can import a path finds the class; a type name is known only where the class was defined.
    if own is not None and (found.__module__ in (__name__, "__main__") or not importable):
        return str(own)
    return dotted_path(found)


def dotted_path(found: type) -> str:
    """Return the dotted path under which a class can be imported."""
    return f"{found.__module__}.{found.__qualname__}"


def _is_bound(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number
