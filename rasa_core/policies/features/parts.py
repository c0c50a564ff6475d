"""What the rows of features of conversations are put together from, until they are written out together.

Features that come and go together are a *part*. What is summed up over a whole conversation is kept as *spans*: over
which rows something had been seen so often, in that turn for the last time. `Memo` numbers parts.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.features.history_features import AGO, COUNTS, LEFT_EACH_TURN

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
ColumnOf = Callable[[tuple[str, str]], int | None]

LEFT_OUT: Final = -1

K = TypeVar("K")
V = TypeVar("V")


class Rows(NamedTuple):
    """Features of moments, one after the other.

    Attributes
    ----------
    starts : NDArray of int64
        Where each row begins, ``(rows + 1,)``.
    columns : NDArray of int32
        ``(numbers,)``; a row has no column twice.
    values : NDArray of float32
        ``(numbers,)``.
    numbers : list of int
        Which of its conversation's actions each row stands before, counted from 0.
    actions : list of str
        Their names.
    """

    starts: Ints
    columns: NDArray[np.int32]
    values: Floats
    numbers: list[int]
    actions: list[str]

    def dense(self, num_features: int, rows: int) -> Iterator[tuple[Ints, Floats]]:
        """Yield so many `rows` at a time, written out in those columns in which any of them is not empty.

        Yields
        ------
        columns : NDArray of int64
            The columns, ascending.
        x : NDArray of float32
            ``(rows, columns)``; changed when the next is made.
        """
        flat = np.zeros(rows * num_features, np.float32)
        lengths = np.diff(self.starts)
        for first in range(0, len(lengths), rows):
            some = lengths[first : first + rows]
            part = slice(self.starts[first], self.starts[first + len(some)])
            is_used = np.zeros(num_features, np.bool_)
            is_used[self.columns[part]] = True
            used = np.flatnonzero(is_used)
            place_of = np.cumsum(is_used) - 1
            places = np.repeat(np.arange(len(some)) * len(used), some) + place_of[self.columns[part]]
            flat[places] = self.values[part]
            yield used, flat[: len(some) * len(used)].reshape(len(some), len(used))
            flat[places] = 0.0


class Memo(dict[K, V]):
    """What a function returns for each key; it is asked once."""

    def __init__(self, function: Callable[[K], V]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: K) -> V:
        """Ask the function."""
        value = self[key] = self._function(key)
        return value


class Parts:
    """Features that come and go together.

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

    def columns(self, groups: Iterable[tuple[str, Mapping[str, float]]]) -> dict[int, float]:
        """Return the values of features, given by block and name, in their columns."""
        columns = ((self._column_of((block, name)), value) for block, found in groups for name, value in found.items())
        return {column: value for column, value in columns if column is not None}

    def add(self, columns: Mapping[int, float]) -> int:
        """Take over values, by column, and return the number of the part that they are."""
        self._columns.extend(columns)
        self._values.extend(columns.values())
        self._starts.append(len(self._columns))
        return len(self._starts) - 2

    def of(self, groups: Iterable[tuple[str, Mapping[str, float]]]) -> int:
        """Take over features, by block and name, and return the number of the part that they are."""
        return self.add(self.columns(groups))

    def of_each(self, parts: Iterable[Iterable[tuple[str, Mapping[str, float]]]]) -> int:
        """Take over several parts, at least one, which get numbers in a row, and return the first of these."""
        return min([self.of(groups) for groups in parts])

    def expanded(self, parts: Ints) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Return what rows hold, given the numbers of their `parts`, ``(rows, parts)``.

        Returns
        -------
        lengths : NDArray of int64
            How many features each row has, ``(rows,)``.
        columns, values : NDArray
            Those of all rows one after the other, int32 and float32, ``(numbers,)``.
        """
        starts = np.array(self._starts, np.int64)
        lengths = np.diff(starts)[parts]
        places = ranges(starts[parts].ravel(), lengths.ravel())
        columns, values = np.array(self._columns, np.int32), np.array(self._values, np.float32)
        return lengths.sum(axis=1), columns[places], values[places]


class Spans:
    """Over which rows an intent, an entity or an action had been seen so often.

    Parameters
    ----------
    column_of
        Returns the column of a feature, given block and name; None to leave it out.
    """

    def __init__(self, column_of: ColumnOf) -> None:
        self._column_of = column_of
        self._columns: list[int] = []  # Three of each name.
        self.names = Memo(self._new_name)
        self.clear()

    def clear(self) -> None:
        """Forget all spans, but not the numbers of the names."""
        self._seen: list[int] = []
        self._ends: list[int] = []

    def _new_name(self, key: tuple[str, str]) -> int:
        kind, name = key
        for block in (kind, COUNTS[kind], AGO[kind]):
            column = self._column_of((block, name))
            self._columns.append(LEFT_OUT if column is None else column)
        return len(self._columns) // 3 - 1

    def see(self, name: int, row: int, turn: int) -> None:
        """Take note that a name of this number in `names` was seen just before `row`."""
        self._seen += (name, row, turn, len(self._ends))

    def end(self, row: int) -> None:
        """Take note that a conversation ends before `row`."""
        self._ends.append(row)

    def expanded(self, turn_of_row: Ints) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Return what rows hold, given the turn ``(rows,)`` in which each of them is.

        What was seen first comes first in a row.

        Returns
        -------
        lengths : NDArray of int64
            How many features each row has, ``(rows,)``.
        columns, values : NDArray
            Those of all rows one after the other, int32 and float32, ``(numbers,)``.
        """
        names, firsts, turns, lengths, times = self._spans()
        rows = ranges(firsts, lengths)
        by_row = np.argsort(rows, kind="stable")
        rows, span_of = rows[by_row], np.repeat(np.arange(len(names)), lengths)[by_row]
        columns = np.array(self._columns, np.int32).reshape(-1, 3)[names[span_of]]
        values = np.ones(columns.shape, np.float32)
        values[:, 1] = _table(math.log1p, times)[span_of]
        values[:, 2] = _table(lambda ago: LEFT_EACH_TURN**ago, turn_of_row[rows] - turns[span_of])
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


def side_by_side(left: Ints, right: Ints) -> tuple[Ints, Ints, Ints]:
    """Return where rows start that have so many numbers from the left and from the right, and where these stand."""
    starts = np.concatenate([[0], np.cumsum(left + right)])
    return starts, ranges(starts[:-1], left), ranges(starts[:-1] + left, right)


def _table(function: Callable[[int], float], numbers: Ints) -> Floats:
    """Return a function of numbers from 0 on, computed once for each different one, as a prediction computes it."""
    values = [function(number) for number in range(int(numbers.max(initial=-1)) + 1)]
    return np.array(values, np.float32)[numbers]
