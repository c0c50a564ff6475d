"""Features of many moments of conversations, each made once: parts, whose features come and go together, and spans.

A span is the moments over which something had been seen so often, in that turn for the last time.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
ColumnOf = Callable[[tuple[str, str]], int | None]
ColumnsOf = Callable[[str, str], Iterable[int | None]]
Group = tuple[str, Mapping[str, float]]
"""A block, and the values of its features by name."""
K = TypeVar("K")
V = TypeVar("V")

LEFT_OUT: Final = -1


class Memo(dict[K, V]):
    """What a function returns for each key; it is asked once."""

    def __init__(self, function: Callable[[K], V]) -> None:
        self._function = function

    def __missing__(self, key: K) -> V:
        value = self[key] = self._function(key)
        return value


class PartTable:
    """Features that come and go together, and the number of each part, by what it tells of.

    Parameters
    ----------
    column_of
        Returns the column of a feature, given block and name; None to leave it out.
    """

    def __init__(self, column_of: ColumnOf) -> None:
        self._column_of = column_of
        self._starts, self._columns, self._values = array("q", [0]), array("i"), array("f")

    def __len__(self) -> int:
        """Return how many numbers there are in all parts."""
        return len(self._columns)

    def _memo(self, groups_of: Callable[[K], Iterable[Group]]) -> Memo[K, int]:
        return Memo(lambda key: self._add(self._in_columns(groups_of(key))))

    def _in_columns(self, groups: Iterable[Group]) -> dict[int, float]:
        """Return the values of features, given by block and name, in their columns."""
        columns = ((self._column_of((block, name)), value) for block, found in groups for name, value in found.items())
        return {column: value for column, value in columns if column is not None}

    def _add(self, columns: dict[int, float]) -> int:
        """Take over values, by column, and return the number of the part that they are."""
        self._columns.extend(columns)
        self._values.extend(columns.values())
        self._starts.append(len(self._columns))
        return len(self._starts) - 2

    def _add_each(self, parts: Iterable[Iterable[Group]]) -> int:
        """Take over several parts, at least one, which get numbers in a row, and return the first of these."""
        return min([self._add(self._in_columns(groups)) for groups in parts])

    def of(self, parts: Ints) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Return how many features each of some `parts` ``(parts,)`` has, and columns and values of all."""
        starts = np.array(self._starts, np.int64)
        lengths = np.diff(starts)[parts]
        places = ranges(starts[parts], lengths)
        columns, values = np.array(self._columns, np.int32), np.array(self._values, np.float32)
        return lengths, columns[places], values[places]


class Spans:
    """Over which rows an intent, an entity or an action had been seen so often."""

    def __init__(self, columns_of: ColumnsOf, left_each_turn: float) -> None:
        self._columns_of, self._left_each_turn = columns_of, left_each_turn
        self._columns: list[int] = []  # Three of each name.
        self.names = Memo(self._new_name)
        self.clear()

    def clear(self) -> None:
        """Forget all spans, but not the numbers of the names."""
        self._seen: list[int] = []
        self._ends: list[int] = []

    def _new_name(self, key: tuple[str, str]) -> int:
        self._columns += [LEFT_OUT if column is None else column for column in self._columns_of(*key)]
        return len(self._columns) // 3 - 1

    def see(self, name: int, row: int, turn: int) -> None:
        """Take note that a name of this number in `names` was seen just before `row`."""
        self._seen += (name, row, turn, len(self._ends))

    def end(self, row: int) -> None:
        """Take note that a conversation ends before `row`."""
        self._ends.append(row)

    def expanded(self, turn_of_row: Ints) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Return how many features rows have, and columns and values of all, given the turn ``(rows,)`` of each row.

        What was seen first comes first in a row.
        """
        names, firsts, turns, lengths, times = self._spans()
        rows = ranges(firsts, lengths)
        by_row = np.argsort(rows, kind="stable")
        rows, span_of = rows[by_row], np.repeat(np.arange(len(names)), lengths)[by_row]
        columns = np.array(self._columns, np.int32).reshape(-1, 3)[names[span_of]]
        values = np.ones(columns.shape, np.float32)
        values[:, 1] = _table(math.log1p, times)[span_of]
        values[:, 2] = _table(lambda ago: self._left_each_turn**ago, turn_of_row[rows] - turns[span_of])
        used = columns != LEFT_OUT
        counts = np.bincount(rows, used.sum(axis=1), len(turn_of_row)).astype(np.int64)
        return counts, columns[used], values[used]

    def _spans(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Return name, first row, turn, length and count of each span, in the order in which names were first seen."""
        names, firsts, turns, conversations = np.array(self._seen, np.int64).reshape(-1, 4).T
        together = conversations * len(self.names) + names
        places = np.arange(len(names))
        _, first_seen, group = np.unique(together, return_index=True, return_inverse=True)
        order = np.argsort(first_seen[group], kind="stable")
        is_first = first_seen[group[order]] == order
        ends = np.array(self._ends, np.int64)[conversations[order]]
        is_last = np.append(is_first[1:], True)[: len(order)]
        ends[~is_last] = firsts[order[np.flatnonzero(~is_last) + 1]]
        times = places - np.maximum.accumulate(np.where(is_first, places, 0)) + 1
        return names[order], firsts[order], turns[order], ends - firsts[order], times


def ranges(begins: Ints, lengths: Ints) -> Ints:
    """Return the numbers of ranges of these lengths, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - ends + lengths, lengths)


def _table(function: Callable[[int], float], numbers: Ints) -> Floats:
    """Return a function of numbers from 0 on, computed once for each different one, as a prediction computes it."""
    return np.array(list(map(function, range(int(numbers.max(initial=-1)) + 1))), np.float32)[numbers]
