r"""Regular expressions that other people wrote, searched for in texts that yet others wrote, so that nothing freezes.

They are in Python's syntax, and mean what Python's `re` makes of them. An engine in linear time, RE2, searches where it
means the same: it has no look-around and no references back, and ``\w``, ``\d``, ``\s`` and ``\b`` know ASCII alone.
What is left is searched by the package `regex`, which gives up after a time limit; what it found counts for nothing
then.
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from contextlib import suppress
from typing import Any, Final

import re2
import regex

Spans = list[tuple[int, int]]

logger = logging.getLogger(__name__)

_SECONDS: Final = 0.05
"""What all expressions that need a time limit may take of one text, together."""
_OF_UNICODE: Final = re.compile(r"\\[bBdDsSwW]")
_QUIET: Final = re2.Options()
_QUIET.log_errors = False  # RE2 writes to standard error what it refuses; here, the other engine takes it.


class Budget:
    """How much time is left for one text."""

    def __init__(self) -> None:
        self._end = time.perf_counter() + _SECONDS

    @property
    def left(self) -> float:
        """Seconds, more than 0."""
        return max(self._end - time.perf_counter(), 1e-6)


class Expression:
    """A compiled regular expression.

    Parameters
    ----------
    pattern
        In Python's syntax.

    Raises
    ------
    ValueError
        If it is malformed; the message says where.
    """

    def __init__(self, pattern: str) -> None:
        check(pattern)
        self._pattern = pattern
        self._has_told = False
        self._linear = _linear(pattern)
        self._is_of_unicode = _OF_UNICODE.search(pattern) is not None
        try:
            self._limited = regex.compile(pattern, regex.VERSION0)
        except (regex.error, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from error

    def spans(self, text: str, budget: Budget) -> Spans:
        """Return start and end of each match in a text, in characters."""
        # At the end of a text with a line end, `$` means another place to RE2.
        if self._linear is not None and (text.isascii() or not self._is_of_unicode) and not text.endswith("\n"):
            with suppress(UnicodeEncodeError):  # Half of a surrogate pair, which RE2 does not know.
                return [match.span() for match in self._linear.finditer(text)]
        left = budget.left
        try:
            return [match.span() for match in self._limited.finditer(text, timeout=left)]
        except TimeoutError:
            # Whoever sends such texts must not fill the log with them; and others may have taken most of the time.
            if not self._has_told and left > _SECONDS / 2:
                self._has_told = True
                shown = self._pattern[:200]
                logger.warning(f"the expression {shown!r} takes too long on some texts, and is not used there.")
            return []


def check(pattern: str) -> None:
    """Raise `ValueError` if a pattern is malformed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # Of a set that may be meant to be within another.
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _linear(pattern: str) -> Any:
    """Return the expression as RE2 compiles it; None if it has what RE2 has not, or reads otherwise."""
    if "{," in pattern or "[:" in pattern:  # No repetition for RE2; a class of ASCII alone.
        return None
    try:
        return re2.compile(pattern, _QUIET)
    except (re2.error, UnicodeEncodeError):
        return None
