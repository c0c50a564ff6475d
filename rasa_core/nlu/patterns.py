r"""Regular expressions and lookup tables of the training data, as features of the tokens that they match.

The expressions have Python's syntax, and match what Python's `re` would match. But some expressions take exponential
time in `re` on some texts, and both may come from strangers. So RE2, which takes linear time, searches where it means
the same: it has no look-around and no backreferences, and its ``\w``, ``\d``, ``\s`` and ``\b`` know ASCII alone. The
package `regex` searches for the other expressions. It has a timeout, after which an expression has no matches.
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
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
"""The time that all searches with a timeout may take for one text, together."""
_OF_UNICODE: Final = re.compile(r"\\[bBdDsSwW]")
_QUIET: Final = re2.Options()
_QUIET.log_errors = False  # No message on standard error for an expression that `regex` takes instead of RE2.


class Budget:
    """The time that is left for the searches in one text."""

    def __init__(self) -> None:
        self._end = time.perf_counter() + _SECONDS

    @property
    def left(self) -> float:
        """The time that is left, in seconds; more than 0, as `regex` requires."""
        return max(self._end - time.perf_counter(), 1e-6)


class Expression:
    """A compiled regular expression.

    Parameters
    ----------
    pattern
        The expression in Python's syntax.

    Raises
    ------
    ValueError
        If the pattern is malformed; the message says where.
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
        # Python's `$` also matches before a line end at the end of the text; that of RE2 does not.
        if self._linear is not None and (text.isascii() or not self._is_of_unicode) and not text.endswith("\n"):
            with suppress(UnicodeEncodeError):  # RE2 takes UTF-8, which has no half of a surrogate pair.
                return [match.span() for match in self._linear.finditer(text)]
        left = budget.left
        try:
            return [match.span() for match in self._limited.finditer(text, timeout=left)]
        except TimeoutError:
            # One warning for an expression, or senders could fill the log. None if other expressions took the time.
            if not self._has_told and left > _SECONDS / 2:
                self._has_told = True
                shown = self._pattern[:200]
                logger.warning(f"the expression {shown!r} takes too long on some texts, and is not used there.")
            return []


def check(pattern: str) -> None:
    """Raise `ValueError` if a pattern is malformed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # Python warns of a [ in a set, as in [[a].
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error


def _linear(pattern: str) -> Any:
    """Return the expression as compiled by RE2; None if RE2 does not support it, or means something else by it."""
    if "{," in pattern or "[:" in pattern:  # RE2 takes {,3} literally, and [: as the beginning of a POSIX class.
        return None
    try:
        return re2.compile(pattern, _QUIET)
    except (re2.error, UnicodeEncodeError):
        return None


class Patterns:
    """Tells which regular expressions and lookup tables match each token; expressions of one name share one feature.

    Parameters
    ----------
    regexes, lookups
        The regular expressions and lookup tables of the training data.

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
        # Lengths of entries by first word, the longest first: so the time of a search does not depend on their number.
        for first, size in sorted({(phrase[0], len(phrase)) for phrase in self._phrases}):
            self._lengths.setdefault(first, []).insert(0, size)

    def __len__(self) -> int:
        return len(self.names)

    def extras(self, text: str, spans: Sequence[Span]) -> NDArray[np.float32]:
        """Return the features of tokens that depend on the text around them, ``(tokens, 1 + patterns)``.

        The first column says whether no space stands between a token and the token before; the others are `matches`.
        """
        extras = np.zeros((len(spans), 1 + len(self)), np.float32)
        extras[1:, 0] = [before[1] == span[0] for before, span in pairwise(spans)]
        if len(self):
            extras[:, 1:] = self.matches(text, spans)
        return extras

    def matches(self, text: str, spans: Sequence[Span]) -> NDArray[np.float32]:
        """Return which patterns match which tokens of a text, as 1 and 0, ``(tokens, patterns)``."""
        found = np.zeros((len(spans), len(self.names)), np.float32)
        starts, ends = [start for start, _ in spans], [end for _, end in spans]
        budget = Budget()
        for index, expression in self._compiled:
            for start, end in expression.spans(text, budget):
                if start < end:  # An empty match, as of `a*`, has no tokens.
                    found[bisect_left(ends, start + 1) : bisect_left(starts, end), index] = 1.0
        if self._phrases:
            self._look_up(_words(text, spans), found)
        return found

    def _look_up(self, words: Sequence[str], found: NDArray[np.float32]) -> None:
        """Set the features of the tokens of the longest entry that begins at each token."""
        for at, word in enumerate(words):
            for size in self._lengths.get(word, ()):
                tables = self._phrases.get(tuple(words[at : at + size]))
                if tables:
                    found[at : at + size, list(tables)] = 1.0
                    break

    def as_json(self) -> dict[str, Any]:
        """Return the patterns as plain data for JSON, which `from_json` reads."""
        return {
            "regexes": [[one.name, one.pattern] for one in self.regexes],
            "lookups": [[lookup.name, list(lookup.entries)] for lookup in self.lookups],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Patterns:
        """Return the patterns from the data that `as_json` returned."""
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
