r"""Regular expressions and lookup tables of the training data, as features of the tokens that they match.

Expressions that other people wrote are searched for in texts that yet others wrote, so that nothing freezes:
they are in Python's syntax, and mean what Python's `re` makes of them. An engine in linear time, RE2, searches where it
means the same: it has no look-around and no references back, and ``\w``, ``\d``, ``\s`` and ``\b`` know ASCII alone.
What is left is searched by the package `regex`, which gives up after a time limit; what it found counts for nothing
then.
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
import re2
import regex
from numpy.typing import NDArray

from rasa_core.nlu.spelling import plain
from rasa_core.nlu.tokens import Span, tokenize, visible
from rasa_core.nlu.training_data import Lookup, NLUDataError, Regex

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

    def spans(self, text: str, budget: Budget) -> list[tuple[int, int]]:
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


class Patterns:
    """Finds what regular expressions and lookup tables match; expressions of one name share one feature.

    Parameters
    ----------
    regexes, lookups
        As they stand in the training data.

    Raises
    ------
    NLUDataError
        If a regular expression is malformed.
    """

    def __init__(self, regexes: Iterable[Regex] = (), lookups: Iterable[Lookup] = ()) -> None:
        self.regexes, self.lookups = tuple(regexes), tuple(lookups)
        self.names = sorted({f"regex:{r.name}" for r in self.regexes} | {f"lookup:{t.name}" for t in self.lookups})
        number = {name: index for index, name in enumerate(self.names)}
        self._compiled = [(number[f"regex:{one.name}"], _compiled(one)) for one in self.regexes]
        self._phrases: dict[tuple[str, ...], set[int]] = {}
        for lookup in self.lookups:
            for entry in lookup.entries:
                seen, _ = visible(entry)
                if phrase := _words(seen, tokenize(seen)):
                    self._phrases.setdefault(phrase, set()).add(number[f"lookup:{lookup.name}"])
        self._lengths: dict[str, list[int]] = {}
        # By first word, the longest first: what a text costs does not depend on how many entries there are.
        for first, size in sorted({(phrase[0], len(phrase)) for phrase in self._phrases}):
            self._lengths.setdefault(first, []).insert(0, size)

    def __len__(self) -> int:
        return len(self.names)

    def extras(self, text: str, spans: Sequence[Span]) -> NDArray[np.float32]:
        """Return what a token does not tell by itself, ``(tokens, 1 + patterns)``.

        The first says whether the token touches the one before; the others are `matches`.
        """
        extras = np.zeros((len(spans), 1 + len(self)), np.float32)
        extras[:, 0] = [number > 0 and spans[number - 1][1] == span[0] for number, span in enumerate(spans)]
        if len(self):
            extras[:, 1:] = self.matches(text, spans)
        return extras

    def matches(self, text: str, spans: Sequence[Span]) -> NDArray[np.float32]:
        """Return which pattern matches which token of a text, ``(tokens, patterns)``: 1 where one does."""
        found = np.zeros((len(spans), len(self.names)), np.float32)
        starts, ends = [start for start, _ in spans], [end for _, end in spans]
        budget = Budget()
        for index, expression in self._compiled:
            for start, end in expression.spans(text, budget):
                if start < end:  # A match of nothing, as of `a*`, is at no token.
                    found[bisect_left(ends, start + 1) : bisect_left(starts, end), index] = 1.0
        if self._phrases:
            self._look_up(_words(text, spans), found)
        return found

    def _look_up(self, words: Sequence[str], found: NDArray[np.float32]) -> None:
        """Mark the longest entry that begins at each token."""
        for at, word in enumerate(words):
            for size in self._lengths.get(word, ()):
                tables = self._phrases.get(tuple(words[at : at + size]))
                if tables:
                    found[at : at + size, list(tables)] = 1.0
                    break

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return {
            "regexes": [[one.name, one.pattern] for one in self.regexes],
            "lookups": [[lookup.name, list(lookup.entries)] for lookup in self.lookups],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Patterns:
        """Return the patterns that `as_json` told."""
        return cls(
            [Regex(name, pattern) for name, pattern in stored["regexes"]],
            [Lookup(name, tuple(entries)) for name, entries in stored["lookups"]],
        )


def _words(text: str, spans: Sequence[Span]) -> tuple[str, ...]:
    return tuple(plain(text[start:end]) for start, end in spans)


def _compiled(named: Regex) -> Expression:
    try:
        return Expression(named.pattern)
    except ValueError as error:
        raise NLUDataError(f"regex {named.name!r}: {named.pattern[:200]!r} is malformed: {error}.") from error
