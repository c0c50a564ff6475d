"""Regular expressions and lookup tables of the training data, as features of the tokens that they match."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.expressions import Budget, Expression
from rasa_core.nlu.spelling import plain
from rasa_core.nlu.tokens import Span, tokenize, visible
from rasa_core.nlu.training_data import Lookup, NLUDataError, Regex


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
        self._compiled = [(number[f"regex:{regex.name}"], _compiled(regex)) for regex in self.regexes]
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
            "regexes": [[regex.name, regex.pattern] for regex in self.regexes],
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


def _compiled(regex: Regex) -> Expression:
    try:
        return Expression(regex.pattern)
    except ValueError as error:
        raise NLUDataError(f"regex {regex.name!r}: {regex.pattern[:200]!r} is malformed: {error}.") from error
