"""Examples as rows of a sparse matrix (SciPy's format CSR), with the action that followed each.

Rows beyond the size of a buffer are written to a temporary file, and read back in blocks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.network import PERCEPTRONS
from rasa_core.policies.training_turns import FEATURE, row_of
from rasa_core.support.arrays import Floats

HELD_OUT_GROUPS: Final = PERCEPTRONS
IN_NO_GROUP: Final = HELD_OUT_GROUPS
FOLDS: Final = PERCEPTRONS
"""Number of parts into which few stories are divided; each perceptron of the second network leaves one part out."""

BYTES_IN_MEMORY: Final = 64_000_000
ROWS_IN_BLOCK: Final = 65_536


class Block(NamedTuple):
    """Consecutive rows as a SciPy matrix, and the number of the first of them among all rows."""

    first: int
    matrix: Any

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The numbers of the rows among all."""
        return np.arange(self.first, self.first + self.matrix.shape[0])


class TrainingExamples:
    """Rows of features, with the action that followed each.

    Attributes
    ----------
    num_features : int
        Length of a row when it is written out.
    actions : NDArray of int32
        Index of the action that followed each row, ``(rows,)``.
    weights : NDArray of float32
        Weight of each row, ``(rows,)``; the mean is 1.
    groups : NDArray of int8
        The group with which a row is held out, ``(rows,)``; `IN_NO_GROUP` for none.
    value_columns : NDArray of int32
        Columns of features that stand for values, such as of slots, ``(values,)``; conversations may have other values.
    folds : NDArray of float32 or None
        If there are few stories: the part of the weight of a row from each part of them, ``(rows, perceptrons)``.
    """

    def __init__(
        self,
        rows: Rows,
        num_features: int,
        actions: NDArray[np.int32],
        weights: Floats,
        groups: NDArray[np.int8],
        new_columns: NDArray[np.int32] | None = None,
        value_columns: NDArray[np.int32] | None = None,
        folds: Floats | None = None,
    ) -> None:
        self._rows = rows
        self.value_columns = np.zeros(0, np.int32) if value_columns is None else value_columns
        self._new_columns = new_columns
        self.num_features = num_features
        self.actions = actions
        scale = weights.mean(dtype=np.float64).astype(np.float32) if len(weights) else np.float32(1.0)
        self.weights = weights / scale
        self.folds = None if folds is None else folds / scale
        self.groups = groups

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.actions)

    @classmethod
    def of_dense(cls, x: Floats, actions: NDArray[np.int32]) -> TrainingExamples:
        """Return rows for inputs ``(examples, features)``, none of them held out."""
        rows = Rows()
        for example in x:
            columns = np.flatnonzero(example)
            rows.add(row_of(columns, example[columns]))
        return cls(rows, x.shape[1], actions, np.ones(len(x), np.float32), np.full(len(x), IN_NO_GROUP, np.int8))

    @property
    def unseen(self) -> Floats:
        """The weight of the rows that a perceptron does not learn from, its group, ``(rows, perceptrons)``."""
        found: Floats = self.weights[:, None] * (self.groups[:, None] == np.arange(HELD_OUT_GROUPS))
        return found

    def block_ends(self) -> list[tuple[int, int]]:
        """Return the number of the first row of each block, and of the row after its last."""
        return [(first, min(first + ROWS_IN_BLOCK, len(self))) for first in range(0, len(self), ROWS_IN_BLOCK)]

    def blocks(self) -> Iterator[Block]:
        """Yield all rows, in blocks that fit into memory."""
        return (self.block(first) for first, _ in self.block_ends())

    def block(self, first: int) -> Block:
        """Return the block of rows that starts with row `first`."""
        starts, features = self._rows.read(first, min(first + ROWS_IN_BLOCK, len(self)))
        columns = features["column"] if self._new_columns is None else self._new_columns[features["column"]]
        from scipy.sparse import csr_matrix  # SciPy comes with JAX, and is installed only for training.

        # The column after the last feature takes the features that are not used.
        shape = (len(starts) - 1, self.num_features + 1)
        return Block(first, csr_matrix((features["value"], columns, starts), shape)[:, :-1])

    def dense(
        self,
        block: Block,
        rows: NDArray[np.int64] | None = None,
        dropout: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> Floats:
        """Return all rows of a block, or the rows with these numbers among all rows, as ``(rows, features)``.

        Parameters
        ----------
        dropout
            Share of the values that are set to zero, drawn with `random`; the others grow, so that the mean sum stays.
        """
        chosen = block.matrix if rows is None else block.matrix[rows - block.first]
        if random is not None and dropout:
            kept = random.random(chosen.nnz, np.float32) >= dropout
            chosen.data = chosen.data * kept / np.float32(1.0 - dropout)
        x: Floats = chosen.toarray()
        return x


class Rows:
    """Rows of different lengths, in memory or, beyond `BYTES_IN_MEMORY`, in a temporary file."""

    def __init__(self) -> None:
        self._starts = array("q", [0])
        self._file = SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115 (closed with this object)

    def __del__(self) -> None:
        self._file.close()

    def add(self, row: bytes) -> None:
        """Append a row; this is not possible any more after a row was read."""
        self._file.write(row)
        self._starts.append(self._starts[-1] + len(row) // FEATURE.itemsize)

    def read(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the offset at which each of these rows starts, and the features of all of them in one array."""
        starts = np.frombuffer(self._starts, np.int64)[first : last + 1]
        self._file.seek(FEATURE.itemsize * int(starts[0]))
        content = self._file.read(FEATURE.itemsize * int(starts[-1] - starts[0]))
        return starts - starts[0], np.frombuffer(content, FEATURE)

    def column_counts(self, num_columns: int) -> NDArray[np.int64]:
        """Return the number of rows in which each column is not empty, ``(columns,)``."""
        counts = np.zeros(num_columns, np.int64)
        count = len(self._starts) - 1
        for first in range(0, count, ROWS_IN_BLOCK):
            _, features = self.read(first, min(first + ROWS_IN_BLOCK, count))
            counts += np.bincount(features["column"], minlength=num_columns)
        return counts
