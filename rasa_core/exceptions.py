"""Every error that this package raises on purpose, all derived from `RasaCoreError`.

Each class is derived from the fitting builtin, too, so that code which catches ``ValueError`` keeps working.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final


class RasaCoreError(Exception):
    """Root of all errors raised by rasa_core."""


class DomainError(RasaCoreError, ValueError):
    """A domain is malformed, or is asked for something that it does not have.

    Parameters
    ----------
    message
        What is wrong, what was expected, and the remedy.
    item
        The part of the domain that is wrong, such as ``("actions", "utter_greet")``, so that its line can be found.
    """

    def __init__(self, message: str, item: tuple[str, str] | None = None) -> None:
        self.item = item
        super().__init__(message)


class UnknownActionError(DomainError, LookupError):
    """An action is not in the domain."""


class UnknownSlotError(DomainError, LookupError):
    """A slot is not in the domain."""


class EventError(RasaCoreError, ValueError):
    """An event is of an unknown type, or its parameters are wrong."""


class StoryParseError(RasaCoreError, ValueError):
    """A story file breaks the grammar.

    Parameters
    ----------
    message
        What is wrong, what was expected, and the remedy.
    file, line, column
        The place of the mistake; lines and columns count from 1. Each is None where it is not known.
    """

    def __init__(
        self, message: str, file: str | Path | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        self.message = message
        self.file = None if file is None else str(file)
        self.line = line
        self.column = column
        place = ":".join(str(part) for part in (self.file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)


class MissingStoriesError(StoryParseError, FileNotFoundError):
    """There is no file or folder of stories at the given path."""


class ModelError(RasaCoreError, ValueError):
    """A model cannot be written, read, or used with this domain."""


class MissingModelError(ModelError, FileNotFoundError):
    """There is no model at the given path. Programs may catch this error and train a model."""


class UnsupportedDialogueModelError(ModelError):
    """A model was written by a version of this package whose models this version cannot read."""


class StoreError(RasaCoreError, RuntimeError):
    """A tracker store was configured or used wrongly, or its data cannot be read."""


class VersionConflictError(StoreError):
    """A conversation was changed by somebody else between reading it and writing to it."""


class PreconditionError(StoreError, ValueError):
    """A conversation is at another version than the one that the caller requires."""


class IdempotencyKeyError(StoreError, ValueError):
    """The idempotency key of a request cannot be stored."""


class KeyReusedError(IdempotencyKeyError):
    """An idempotency key that belongs to an earlier request came with a different request."""


class LogTooLongError(StoreError, ValueError):
    """Reading the log of a conversation would exceed the limit on its length."""


class StoreUnavailableError(StoreError):
    """The storage cannot be reached now; trying again later may work."""


class InterpreterError(RasaCoreError, RuntimeError):
    """Text could not be turned into an intent and entities."""


class RemoteActionError(RasaCoreError, RuntimeError):
    """An action that the caller has to run was to be run in this process."""


class CallersActionError(RemoteActionError):
    """A turn in this process reached an action that the caller has to run; nothing of the turn is stored."""


class ActionRejectedError(RasaCoreError, RuntimeError):
    """An action refused to run in the present state of the conversation; another action may run in its place."""

    def __init__(self, action_name: str, reason: str = "") -> None:
        self.action_name = action_name
        super().__init__(f"the action {action_name!r} does not run now{f': {reason}' if reason else '.'}")


class ClientError(RasaCoreError, RuntimeError):
    """A server answered a client call with an error, or not at all."""


def brief(error: object, longest: int = 1000) -> str:
    """Return the class and the message of an exception as a text of at most `longest` characters that can be stored."""
    try:
        said = str(error)
    except Exception:  # `__str__` of an exception class that a user wrote may itself raise anything.
        said = ""
    return f"{type(error).__name__}: {said}".rstrip(": ").encode("utf-8", "replace").decode()[:longest]


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, as in ``1 story``, ``2 stories`` and ``0 errors``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def enumerated(names: Sequence[str]) -> str:
    """Return some names, at least one, as a sentence lists them: ``A``, ``A and B`` and ``A, B and C``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


_MOST_UNLIKE: Final = 0.15
_PREFIX: Final = re.compile("(utter|action|validate)_(ask_)?")
_LEAST_ALIKE: Final = 0.55
_FEWEST_LETTERS: Final = 4
"""Of shorter names, each letter counts too much."""
"""How much less similar than the best match another name may be, as the ratio of `difflib`."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` known names that look like `name`, the best first; case matters little.

    Names that are much less like it than the best one are left out.
    """
    names = sorted(set(known))
    lower: dict[str, list[str]] = {}
    for one in names:
        lower.setdefault(one.lower(), []).append(one)
    written = name[:200].lower()
    found = lower.get(written) or difflib.get_close_matches(name[:200], names, n=count, cutoff=0.6)
    # Without regard to case more names look alike, so such matches are used only where there are no others.
    alike = [] if found else difflib.get_close_matches(written, lower, n=count, cutoff=0.6)
    matches = [*found, *(one for match in alike for one in lower[match])][:count]
    likeness = [difflib.SequenceMatcher(None, one.lower(), written).ratio() for one in matches]
    best = [one for one, like in zip(matches, likeness, strict=True) if like >= max(likeness) - _MOST_UNLIKE]
    return [one for one in best if _are_alike_after_prefix(one.lower(), written)]


def _are_alike_after_prefix(one: str, other: str) -> bool:
    """Tell whether two names are alike without ``utter_`` and the like, by which all names of a kind are alike."""
    prefixes = [found[0] for found in map(_PREFIX.match, (one, other)) if found]
    rests = [name.removeprefix(prefixes[0]) for name in (one, other)] if prefixes else []
    if not rests or prefixes[0] != prefixes[-1] or min(map(len, rests)) < _FEWEST_LETTERS:
        return True
    return difflib.SequenceMatcher(None, rests[0], rests[1]).ratio() >= _LEAST_ALIKE


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'a', 'b' or 'c'?`` for the names nearest to `name`, or an empty string."""
    *before, last = [repr(match) for match in nearest(name, known)] or [""]
    names = f"{', '.join(before)} or {last}" if before else last
    return f" Did you mean {names}?" if names else ""
