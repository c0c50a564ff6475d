"""What the network learns from: one sparse row of features for each different moment of the training conversations.

What does not fit a buffer goes to a temporary file, and is read back in blocks.
"""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HELD_OUT_GROUPS: Final = 3
IN_NO_GROUP: Final = HELD_OUT_GROUPS
NUMBERS_IN_MEMORY: Final = 16_000_000
ROWS_IN_BLOCK: Final = 65_536


class Block(NamedTuple):
    """Some rows one after the other, and which of all rows the first of them is."""

    first: int
    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    values: Floats


class TrainingRows:
    """Rows of features, with the action that followed each.

    Attributes
    ----------
    num_features : int
        Length of a row when it is written out.
    actions : NDArray of int32
        Index of the action that followed, ``(rows,)``.
    weights : NDArray of float32
        How much each row counts, ``(rows,)``; 1 on average.
    groups : NDArray of int8
        The group in which a row is held out, ``(rows,)``; `IN_NO_GROUP` for none.
    value_columns : NDArray of int32
        Which features are values, ``(values,)``; others may come that have not been seen.
    """

    def __init__(
        self,
        numbers: Numbers,
        num_features: int,
        actions: NDArray[np.int32],
        weights: Floats,
        groups: NDArray[np.int8],
        new_columns: NDArray[np.int32] | None = None,
        value_columns: NDArray[np.int32] | None = None,
    ) -> None:
        self._numbers = numbers
        self.value_columns = np.zeros(0, np.int32) if value_columns is None else value_columns
        self._new_columns = new_columns
        self.num_features = num_features
        self.actions = actions
        self.weights = weights / weights.mean(dtype=np.float64).astype(np.float32) if len(weights) else weights
        self.groups = groups

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.actions)

    @classmethod
    def of_dense(cls, x: Floats, actions: NDArray[np.int32]) -> TrainingRows:
        """Return rows for inputs ``(examples, features)``, none of them held out."""
        found, columns = np.nonzero(x)
        numbers = Numbers()
        numbers.extend(np.bincount(found, minlength=len(x)), columns.astype(np.int32), x[found, columns])
        weights, groups = np.ones(len(x), np.float32), np.full(len(x), IN_NO_GROUP, np.int8)
        return cls(numbers, x.shape[1], actions, weights, groups)

    def block_starts(self) -> list[tuple[int, int]]:
        """Return the first row of each block, and the one after its last."""
        return [(first, min(first + ROWS_IN_BLOCK, len(self))) for first in range(0, len(self), ROWS_IN_BLOCK)]

    def blocks(self) -> Iterator[Block]:
        """Yield all rows, in blocks that fit into memory."""
        return (self.block(first) for first, _ in self.block_starts())

    def block(self, first: int) -> Block:
        """Return the block of rows that starts with row `first`."""
        starts, columns, values = self._numbers.read(first, min(first + ROWS_IN_BLOCK, len(self)))
        if self._new_columns is not None:
            columns = self._new_columns[columns]
        return Block(first, starts, columns, values)

    def all_dense(self, block: Block) -> Floats:
        """Return all rows of a block, as ``(rows, features)``."""
        return self.dense(block, np.arange(block.first, block.first + len(block.starts) - 1))

    def dense(
        self,
        block: Block,
        rows: NDArray[np.int64],
        dropout: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> Floats:
        """Return some rows of a block, by their numbers among all, as ``(rows, features)``.

        Parameters
        ----------
        dropout
            Share of the numbers that `random` sets to zero; the others grow, so that sums stay the same on average.
        """
        local = rows - block.first
        starts = block.starts[local]
        lengths = block.starts[local + 1] - starts
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
        # One column more than there are features, for those that are not used.
        x = np.zeros((len(rows), self.num_features + 1), np.float32)
        values = block.values[places]
        if random is not None and dropout:
            values = values * (random.random(len(values), np.float32) >= dropout) / np.float32(1.0 - dropout)
        x[np.repeat(np.arange(len(rows)), lengths), block.columns[places]] = values
        return x[:, :-1]


class Numbers:
    """Columns and values of rows of different lengths; in memory, and beyond some size in temporary files."""

    def __init__(self) -> None:
        self._starts = array("q", [0])
        self._columns, self._values = array("i"), array("f")
        self._files: tuple[IO[bytes], IO[bytes]] | None = None

    def __del__(self) -> None:
        for file in self._files or ():
            file.close()

    def add(self, columns: Sequence[int], values: Sequence[float]) -> None:
        """Append a row."""
        self._columns.extend(columns)
        self._values.extend(values)
        self._starts.append(self._starts[-1] + len(columns))
        if len(self._columns) >= NUMBERS_IN_MEMORY:
            self._spill()

    def extend(self, lengths: NDArray[Any], columns: NDArray[np.int32], values: Floats) -> None:
        """Append rows of these lengths, all in memory."""
        self._starts.frombytes(np.cumsum(lengths, dtype=np.int64).tobytes())
        self._columns.frombytes(columns.tobytes())
        self._values.frombytes(values.astype(np.float32).tobytes())

    def _spill(self) -> None:
        if self._files is None:
            self._files = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
        for file in self._files:
            file.seek(0, os.SEEK_END)
        self._columns.tofile(self._files[0])
        self._values.tofile(self._files[1])
        del self._columns[:], self._values[:]

    def read(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
        """Return where each of these rows starts, their columns, and their values."""
        starts = np.frombuffer(self._starts, np.int64)[first : last + 1].copy()
        begin, count = int(starts[0]), int(starts[-1] - starts[0])
        starts -= begin
        if self._files is None:
            columns = np.frombuffer(self._columns, np.int32)[begin : begin + count]
            return starts, columns, np.frombuffer(self._values, np.float32)[begin : begin + count]
        if self._columns:
            self._spill()
        for file in self._files:
            file.seek(4 * begin)
        return starts, np.fromfile(self._files[0], np.int32, count), np.fromfile(self._files[1], np.float32, count)
