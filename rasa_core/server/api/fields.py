"""The parameters of a URL and the keys of a body, as objects that check requests and describe themselves.

A view asks a `Parameter` or a `Body` for the value in a request. A wrong value raises `FieldError`, which is answered
with 400 and names the value, the mistake, and what was expected. `rasa_core.server.api.document` describes the same
objects, so that the description always fits the check. The keywords of JSON Schema that are checked are in `_BOUNDS`;
other parts of a schema depend on the domain or on the conversation, and are checked by the view.

The check of a body takes 0.6 to 1.0 microseconds, where a check written by hand takes 0.14, and a turn 200 or more. So
the routes of every turn use these objects, too.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, Protocol

from rasa_core.exceptions import RasaCoreError, did_you_mean
from rasa_core.support.strict_json import json_type

Schema = Mapping[str, Any]

_NAMES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
_BOUNDS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "minimum": operator.ge,
    "maximum": operator.le,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
    "minLength": lambda value, length: len(value) >= length,
    "maxLength": lambda value, length: len(value) <= length,
    "minItems": lambda value, length: len(value) >= length,
    "maxItems": lambda value, length: len(value) <= length,
    "pattern": lambda value, pattern: re.search(pattern, value),
    "enum": lambda value, known: value in known,
}
_WHOLE: Final = (int,)
_MOST_DIGITS: Final = 18  # Fits in the 64 bits of a database; also, `int` raises its own error for 5,000 digits.
_SHOWN: Final = 40  # Characters of a wrong value in an error.


class FieldError(RasaCoreError, ValueError):
    """A parameter or key of a request is missing, unknown, or has a wrong value."""


class HasInputs(Protocol):
    """The part of `rasa_core.server.requests.Request` from which parameters and bodies are read."""

    query_string: bytes

    @property
    def args(self) -> Mapping[str, str]:
        """Return the query parameters of the URL."""
        ...

    def json_object(self) -> dict[str, Any]:
        """Read the body, and return it as a JSON object."""
        ...


class _Described:
    """A value with a name, its types in JSON, a phrase for errors (`what`), and a sentence of description (`text`)."""

    def __init__(self, name: str, types: tuple[type, ...], what: str, text: str, schema: Schema) -> None:
        self.name = name
        self.types = types
        self.what = what
        self.text = text
        self.schema = schema
        self._bounds = [(test, schema[word]) for word, test in _BOUNDS.items() if word in schema]

    def _fits(self, value: Any) -> bool:
        # Whether null is allowed, the types of a field say; comparing it with bounds would raise an error.
        return value is None or all(test(value, bound) for test, bound in self._bounds)

    def described(self) -> dict[str, Any]:
        """Return the schema."""
        if not self.types or "$ref" in self.schema or "anyOf" in self.schema:
            return dict(self.schema)
        names = [_NAMES[kind] for kind in self.types if kind is not NoneType and not (kind is int and self._is_number)]
        names += ["null"] * (NoneType in self.types)
        return {"type": names[0] if len(names) == 1 else names, **self.schema}

    @property
    def _is_number(self) -> bool:
        return float in self.types


class Parameter(_Described):
    """A query parameter of a URL; the first of several with one name is used, and a parameter without a value ignored.

    Parameters
    ----------
    name, what, text
        The name of the parameter, a phrase for errors that says what it must be, and a sentence of description.
    kind
        `str`, `int` (0 or more), `float`, or `bool`, for which any value other than ``true`` means no.
    default
        The value if the parameter is not sent.
    is_required
        Whether the parameter must be sent.
    schema
        Bounds and examples.
    """

    def __init__(
        self, name: str, kind: type, what: str, text: str, default: Any = None, is_required: bool = False, **schema: Any
    ) -> None:
        super().__init__(name, (str,) if kind is bool else (kind,), what, text, schema)
        self.kind = kind
        self.default = default
        self.is_required = is_required

    def of(self, request: HasInputs, most: int | None = None) -> Any:
        """Return the value in a request; raise `FieldError` for a wrong value.

        Parameters
        ----------
        most
            The largest allowed number, if it differs between requests; ``{most}`` in `what` is replaced by it.
        """
        text = request.args.get(self.name) if request.query_string else None  # Most requests have no parameters.
        if not text and (text is None or self.kind is not bool):  # As in Rasa, an empty value counts as not sent.
            if self.is_required:
                raise FieldError(f'"{self.name}" is missing in the URL; it is {self.what.format(most=most)}.')
            return self.default
        value = self._read(text)
        if value is None or not self._fits(value) or (most is not None and value > most):
            raise FieldError(f'"{self.name}" is {self.what.format(most=most)}, not {text[:_SHOWN]!r}.')
        return value

    def _read(self, text: str) -> Any:
        """Return the value that a text stands for; None if the text is invalid."""
        if self.kind is bool:
            return text.lower() == "true"
        if self.kind is str:  # The values of an enumeration are compared without regard to case, as in Rasa.
            return text.upper() if text.upper() in self.schema.get("enum", ()) else text
        if self.kind is int:
            return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None
        try:
            number = float(text)
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def described(self) -> dict[str, Any]:  # noqa: D102
        default = str(self.default).lower() if self.kind is bool else self.default
        shown = {} if default is None else {"default": default}
        bounds = {"minimum": 0, "maximum": 10**_MOST_DIGITS - 1} if self.kind is int else {}
        return {**bounds, **super().described(), **shown}


class Field(_Described):
    """A key of a body.

    Parameters
    ----------
    name, what, text
        The name of the key, a phrase for errors that says what it must be, and a sentence of description.
    types
        The allowed types of the value in JSON; empty if a view checks it, or any value is allowed.
    missing
        The error message if the key is missing; empty for a message made from `what`, None if the key is optional.
    unless
        Another key, in whose presence this key is ignored.
    schema
        Bounds and examples, and conditions that a view checks.
    """

    def __init__(
        self,
        name: str,
        types: tuple[type, ...],
        what: str,
        text: str,
        *,
        missing: str | None = None,
        unless: str | None = None,
        **schema: Any,
    ) -> None:
        super().__init__(name, types, what, text, schema)
        self.missing = f'"{name}" is missing; it is {what}.' if missing == "" else missing
        self.unless = unless

    def described(self) -> dict[str, Any]:
        """Return the schema; it is empty if the type depends on other keys."""
        return {} if self.unless else super().described()

    def problem(self, value: Any) -> str | None:
        """Return the error message for a wrong value; None if the value is right."""
        if type(value) not in self.types:  # Not `isinstance`, for which true and false are integers.
            return f'"{self.name}" must be {self.what}, not {json_type(value)}.' if self.types else None
        if not self._bounds or self._fits(value):
            return None
        return f'"{self.name}" must be {self.what}, not {value!r:.{_SHOWN}}.'


class Body:
    """A JSON object in a body.

    Parameters
    ----------
    fields
        The keys of the object.
    is_closed
        Whether any other key is an error.
    schema
        Conditions on several keys together, which `one_of` or a view checks; and examples.
    one_of, or_else
        Keys of which at least one must be present, and the error message if none is.
    """

    def __init__(
        self, *fields: Field, is_closed: bool = False, one_of: tuple[str, ...] = (), or_else: str = "", **schema: Any
    ) -> None:
        self.fields = {field.name: field for field in fields}
        self.is_closed = is_closed
        self.schema = schema
        self._needed: list[tuple[tuple[str, ...], str]] = [
            ((field.name,), field.missing) for field in fields if field.missing is not None
        ]
        if one_of:
            self._needed.append((one_of, or_else))
        self._get = self.fields.get  # Looked up once: each key of each body asks for it.

    def of(self, request: HasInputs) -> dict[str, Any]:
        """Read the body of a request, and return it; raise `FieldError` if it does not fit this description."""
        body = request.json_object()
        self.check(body)
        return body

    def check(self, body: dict[str, Any]) -> None:
        """Raise `FieldError` if an object does not fit this description."""
        for name, value in body.items():
            field = self._get(name)
            if field is None:  # Old clients send other keys, which are ignored.
                if self.is_closed:
                    raise self._unknown(name)
                continue
            if type(value) is float and field.types == _WHOLE and value.is_integer():
                body[name] = value = int(value)  # JSON does not distinguish 3 and 3.0.
            if field.unless not in body and (problem := field.problem(value)) is not None:
                raise FieldError(problem)
        for names, problem in self._needed:
            if body.keys().isdisjoint(names):
                raise FieldError(problem)

    def _unknown(self, name: str) -> FieldError:
        known = ", ".join(f'"{each}"' for each in self.fields)
        hint = did_you_mean(name, self.fields)
        return FieldError(f"the body has a key {name[:80]!r}, which means nothing here.{hint} Keys are: {known}.")

    def described(self) -> dict[str, Any]:
        """Return the schema."""
        keys = {name: {**field.described(), "description": field.text} for name, field in self.fields.items()}
        needed = [field.name for field in self.fields.values() if field.missing is not None]
        closed = {"additionalProperties": False} if self.is_closed else {}
        required = {"required": needed} if needed else {}
        return {"type": "object", "properties": keys, **required, **closed, **self.schema}
