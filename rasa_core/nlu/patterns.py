"""Regular expressions and lookup tables of the training data, as features of the tokens that they match."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.tokens import Span, folded, tokenize
from rasa_core.nlu.training_data import Lookup, NLUDataError, Regex

logger = logging.getLogger(__name__)

_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_MANY = 64  # As often as this, or without limit, is a repetition that must not hold another.


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
        compiled = ((number[f"regex:{regex.name}"], _compiled(regex)) for regex in self.regexes)
        self._compiled = [(index, pattern) for index, pattern in compiled if pattern is not None]
        self._phrases: dict[tuple[str, ...], set[int]] = {}
        for lookup in self.lookups:
            for entry in lookup.entries:
                if phrase := _words(entry, tokenize(entry)):
                    self._phrases.setdefault(phrase, set()).add(number[f"lookup:{lookup.name}"])
        self._lengths: dict[str, list[int]] = {}
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
        for index, pattern in self._compiled:
            for match in pattern.finditer(text):
                start, end = match.span()
                if start < end:
                    found[[at for at, span in enumerate(spans) if span[0] < end and span[1] > start], index] = 1.0
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
    return tuple(folded(text[start:end]) for start, end in spans)


def _compiled(regex: Regex) -> re.Pattern[str] | None:
    """Return the compiled expression; None, and a warning, if it may take forever on some text."""
    try:
        pattern = re.compile(regex.pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise NLUDataError(f"regex {regex.name!r}: {regex.pattern[:200]!r} is malformed: {error}.") from error
    if _repeats_of_repeats(_parser.parse(regex.pattern)):
        logger.warning(
            f"regex {regex.name!r}: {regex.pattern[:200]!r} is not used, for it repeats what is itself repeated, which "
            "can take forever on some texts. Write it without a repetition inside another."
        )
        return None
    return pattern


def _repeats_of_repeats(parsed: Any, inside: bool = False) -> bool:
    """Return whether an unlimited repetition stands inside another in a parsed expression, or a part of one."""
    if not isinstance(parsed, _parser.SubPattern | list | tuple):
        return False
    if isinstance(parsed, tuple) and any(parsed[:1] and parsed[0] is repeat for repeat in _REPEATS):
        unlimited = parsed[1][1] >= _MANY
        return (unlimited and inside) or _repeats_of_repeats(parsed[1][2], inside or unlimited)
    return any(_repeats_of_repeats(part, inside) for part in parsed)
