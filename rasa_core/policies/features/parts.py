"""Tables for the features of many moments, so that each is computed once: parts and spans.

A part is a group of features that always appear together. A span is a range of rows over which a name had the same
count, and was last seen in the same turn.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from rasa_core.support.arrays import Floats, Ints

ColumnOf = Callable[[tuple[str, str]], int | None]
ColumnsOf = Callable[[str, str], Iterable[int | None]]
Group = tuple[str, Mapping[str, float]]
"""A block, and the values of its features by name."""
K = TypeVar("K")
V = TypeVar("V")

LEFT_OUT: Final = -1


class Memo(dict[K, V]):
    """A cache of a function's results, which is called once for each key."""

    def __init__(self, function: Callable[[K], V]) -> None:
        self._function = function

    def __missing__(self, key: K) -> V:
        value = self[key] = self._function(key)
        return value


class PartTable:
    """The features of all parts; each part has a number.

    Parameters
    ----------
    column_of
        A function that returns the column of a feature by block and name; None to leave the feature out.
    """

    def __init__(self, column_of: ColumnOf) -> None:
        self._column_of = column_of
        self._starts, self._columns, self._values = array("q", [0]), array("i"), array("f")

    def __len__(self) -> int:
        """Return the total number of features in all parts."""
        return len(self._columns)

    def _memo(self, groups_of: Callable[[K], Iterable[Group]]) -> Memo[K, int]:
        return Memo(lambda key: self._add(self._in_columns(groups_of(key))))

    def _in_columns(self, groups: Iterable[Group]) -> dict[int, float]:
        """Return the values of features by their columns; the features are given by block and name."""
        columns = ((self._column_of((block, name)), value) for block, found in groups for name, value in found.items())
        return {column: value for column, value in columns if column is not None}

    def _add(self, columns: dict[int, float]) -> int:
        """Add a part with values by column, and return its number."""
        self._columns.extend(columns)
        self._values.extend(columns.values())
        self._starts.append(len(self._columns))
        return len(self._starts) - 2

    def _add_each(self, parts: Iterable[Iterable[Group]]) -> int:
        """Add several parts, at least one, with consecutive numbers, and return the first number."""
        return min([self._add(self._in_columns(groups)) for groups in parts])

    def of(self, parts: Ints) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Return the number of features in each of `parts` ``(parts,)``, and the columns and values of all features."""
        starts = np.array(self._starts, np.int64)
        lengths = np.diff(starts)[parts]
        places = ranges(starts[parts], lengths)
        columns, values = np.array(self._columns, np.int32), np.array(self._values, np.float32)
        return lengths, columns[places], values[places]


class Spans:
    """The spans of rows over which the count of an intent, an entity or an action was the same."""

    def __init__(self, columns_of: ColumnsOf, left_each_turn: float) -> None:
        self._columns_of, self._left_each_turn = columns_of, left_each_turn
        self._columns: list[int] = []  # Three columns for each name.
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
        """Record that the name with this number was seen just before `row`."""
        self._seen += (name, row, turn, len(self._ends))

    def end(self, row: int) -> None:
        """Record that a conversation ends before `row`."""
        self._ends.append(row)

    def expanded(self, turn_of_row: Ints) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Return the number of features of each row, and their columns and values, given the rows' turns ``(rows,)``.

        In a row, the name that was seen first comes first.
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
    """Return the concatenated ranges with the given begins and lengths."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - ends + lengths, lengths)


def _table(function: Callable[[int], float], numbers: Ints) -> Floats:
    """Return the function of each of `numbers`, which are not negative, computed once for each different number."""
    return np.array(list(map(function, range(int(numbers.max(initial=-1)) + 1))), np.float32)[numbers]
