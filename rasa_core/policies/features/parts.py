"""Features that come and go together as one part, which is made and numbered once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.features.spans import Memo, ranges

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
ColumnOf = Callable[[tuple[str, str]], int | None]
Group = tuple[str, Mapping[str, float]]
"""A block, and the values of its features by name."""
K = TypeVar("K")


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
