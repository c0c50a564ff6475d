"""Rows of numbers that are mostly zero, and which of them point in the same direction.

Notation: ``starts`` is ``(rows + 1,)``, int64; row `i` has its numbers at ``starts[i]`` up to ``starts[i + 1]`` of the
other arrays, which hold those of all rows one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Starts = NDArray[np.int64]
Row = tuple[bytes, bytes]


def row_of(columns: Sequence[int], values: Sequence[float]) -> Row:
    """Return a sparse row in a small, hashable form: bytes of int32 and of float32."""
    return np.asarray(columns, np.int32).tobytes(), np.asarray(values, np.float32).tobytes()


def starts_of(lengths: Iterable[int]) -> Starts:
    """Return where rows of these lengths begin, and where the last ends."""
    return np.cumsum([0, *lengths], dtype=np.int64)


class SparseRows:
    """Rows that are zero except in some columns.

    Parameters
    ----------
    starts
        Where each row begins.
    columns
        int32, shape ``(numbers,)``.
    values
        float32, shape ``(numbers,)``.
    """

    def __init__(self, starts: Starts, columns: NDArray[np.int32], values: NDArray[np.float32]) -> None:
        self.starts, self.columns, self.values = starts, columns, values
        if not len(columns) == len(values) == starts[-1]:
            raise ValueError("the rows are damaged")
        lengths = np.diff(starts)
        self._row_of = np.repeat(np.arange(len(lengths)), lengths)
        self._norms = np.sqrt(np.bincount(self._row_of, np.square(values, dtype=np.float64), len(lengths)))
        self._width = int(columns.max(initial=-1)) + 1

    @classmethod
    def of(cls, rows: Sequence[Row]) -> SparseRows:
        """Put rows together."""
        columns = np.frombuffer(b"".join(row[0] for row in rows), np.int32)
        values = np.frombuffer(b"".join(row[1] for row in rows), np.float32)
        return cls(starts_of(len(row[0]) // 4 for row in rows), columns, values)

    def __getitem__(self, number: int) -> Row:
        """Return one row."""
        part = slice(self.starts[number], self.starts[number + 1])
        return self.columns[part].tobytes(), self.values[part].tobytes()

    def cosines(self, columns: Sequence[int], values: Sequence[float]) -> NDArray[np.float64]:
        """Return the cosine of the angle between each row and one that has `values` in `columns`.

        Returns
        -------
        NDArray
            Shape ``(rows,)``; 0 where one of both rows is all zeros.
        """
        wanted = np.zeros(max([self._width, *(column + 1 for column in columns)]))
        np.add.at(wanted, list(columns), list(values))
        products = np.bincount(self._row_of, self.values * wanted[self.columns], len(self._norms))
        lengths = self._norms * np.sqrt(np.square(wanted).sum())
        cosines: NDArray[np.float64] = np.divide(products, lengths, out=np.zeros(len(products)), where=lengths > 0)
        return cosines.clip(-1.0, 1.0)
