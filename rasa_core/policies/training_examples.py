"""What the network learns from: one example for each different moment of the training conversations.

Examples are rows of a sparse matrix (SciPy's format CSR), with the action that followed each. They are collected
conversation by conversation, so that these may come one at a time; what does not fit a buffer goes to temporary files,
and is read back in blocks.

Stories are dealt into groups by their names. Each perceptron of the network learns without one group, on which its
confidence is then measured. What an augmented conversation repeats of its stories is not learnt again.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.features.classic import DialogueTrainingData
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.features.single_states import PADDING
from rasa_core.policies.network import PERCEPTRONS
from rasa_core.policies.training_turns import FEATURE, TurnCollector, TurnTable, places_of, row_of

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.support.places import Place
    from rasa_core.trackers import DialogueStateTracker

Floats = NDArray[np.float32]

LAST_STATES: Final = 5
"""How many states are learnt from one by one where the featurizer gives whole dialogues."""

HELD_OUT_GROUPS: Final = PERCEPTRONS
IN_NO_GROUP: Final = HELD_OUT_GROUPS
# Three groups of 15 %: more than half of the stories is learnt by all perceptrons.
HELD_OUT_PERCENT: Final = 15
FEWEST_STORIES: Final = 40
"""With fewer, each matters too much to be held out; confidence is then found by networks of its own."""
MOST_FOLDS: Final = 10
"""Into so many parts few stories are shared out, each for one of these networks to leave out."""

AUGMENTED_WEIGHT: Final = 0.5
AUGMENTED_SHARE: Final = 0.1
"""Examples of augmented conversations, as a share of the others, at most; but `AUGMENTED_FREE` always."""
AUGMENTED_FREE: Final = 1000

BYTES_IN_MEMORY: Final = 64_000_000
ROWS_IN_BLOCK: Final = 65_536
ROWS_REMEMBERED: Final = 500_000
ROWS_WITH_PLACES: Final = 100_000
"""Of how many rows it is known where they stand, the first ones; among so many, a near one is found for any turn."""


class TrainingExample(NamedTuple):
    """What is to be learnt at one moment: which of the conversation's actions, the features before it, its name."""

    number: int
    row: bytes  # As of `row_of`.
    action: str


class Block(NamedTuple):
    """Some rows one after the other, as a SciPy matrix, and which of all rows the first of them is."""

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
        Index of the action that followed, ``(rows,)``.
    weights : NDArray of float32
        How much each row counts, ``(rows,)``; 1 on average.
    groups : NDArray of int8
        The group in which a row is held out, ``(rows,)``; `IN_NO_GROUP` for none.
    value_columns : NDArray of int32
        Which features are values, ``(values,)``; others may come that have not been seen.
    folds : NDArray of float32 or None
        Of few stories, how much of the weight of a row comes from each part of them, ``(rows, parts)``.
    """

    def __init__(
        self,
        rows: _Rows,
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
        rows = _Rows()
        for example in x:
            columns = np.flatnonzero(example)
            rows.add(row_of(columns, example[columns]))
        return cls(rows, x.shape[1], actions, np.ones(len(x), np.float32), np.full(len(x), IN_NO_GROUP, np.int8))

    def held_out(self, *, by_fold: bool) -> Floats:
        """Return how much of each row each perceptron has not seen, ``(rows, perceptrons)``.

        Parameters
        ----------
        by_fold
            Whether there is a perceptron for each part of few stories, and not one for each group.
        """
        if by_fold and self.folds is not None:
            return self.folds
        found: Floats = self.weights[:, None] * (self.groups[:, None] == np.arange(HELD_OUT_GROUPS))
        return found

    def block_ends(self) -> list[tuple[int, int]]:
        """Return the first row of each block, and the one after its last."""
        return [(first, min(first + ROWS_IN_BLOCK, len(self))) for first in range(0, len(self), ROWS_IN_BLOCK)]

    def blocks(self) -> Iterator[Block]:
        """Yield all rows, in blocks that fit into memory."""
        return (self.block(first) for first, _ in self.block_ends())

    def block(self, first: int) -> Block:
        """Return the block of rows that starts with row `first`."""
        starts, features = self._rows.read(first, min(first + ROWS_IN_BLOCK, len(self)))
        columns = features["column"] if self._new_columns is None else self._new_columns[features["column"]]
        from scipy.sparse import csr_matrix  # It comes with JAX, and only training has it.

        # One column more than there are features, for those that are not used.
        return Block(first, csr_matrix((features["value"], columns, starts), (len(starts) - 1, self.num_features + 1)))

    def dense(
        self,
        block: Block,
        rows: NDArray[np.int64] | None = None,
        dropout: float = 0.0,
        random: np.random.Generator | None = None,
    ) -> Floats:
        """Return rows of a block, all or some by their numbers among all rows, as ``(rows, features)``.

        Parameters
        ----------
        dropout
            Share of the numbers that `random` sets to zero; the others grow, so that sums stay the same on average.
        """
        chosen = block.matrix if rows is None else block.matrix[rows - block.first]
        if random is not None and dropout:
            kept = random.random(chosen.nnz, np.float32) >= dropout
            chosen.data = chosen.data * kept / np.float32(1.0 - dropout)
        x: Floats = chosen.toarray()[:, :-1]
        return x


class _Rows:
    """Rows of different lengths; in memory, and beyond some size in a temporary file."""

    def __init__(self) -> None:
        self._starts = array("q", [0])
        self._file = SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115 (closed with this object)

    def __del__(self) -> None:
        self._file.close()

    def add(self, row: bytes) -> None:
        """Append a row; not after the first was read."""
        self._file.write(row)
        self._starts.append(self._starts[-1] + len(row) // FEATURE.itemsize)

    def read(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return where each of these rows starts, and their features, one after the other."""
        starts = np.frombuffer(self._starts, np.int64)[first : last + 1]
        self._file.seek(FEATURE.itemsize * int(starts[0]))
        content = self._file.read(FEATURE.itemsize * int(starts[-1] - starts[0]))
        return starts - starts[0], np.frombuffer(content, FEATURE)

    def column_counts(self, num_columns: int) -> NDArray[np.int64]:
        """Return in how many rows each column is not empty, ``(columns,)``."""
        counts = np.zeros(num_columns, np.int64)
        count = len(self._starts) - 1
        for first in range(0, count, ROWS_IN_BLOCK):
            _, features = self.read(first, min(first + ROWS_IN_BLOCK, count))
            counts += np.bincount(features["column"], minlength=num_columns)
        return counts


class ExampleCollector:
    """Collects examples from conversations, one after the other.

    Parameters
    ----------
    featurizer
        Its features; it learns from all conversations what features there are.
    domain
        Of the conversations.
    examples_of, names
        Makes the examples of a conversation; the column of each feature in these, by block and name.
    learn_names
        Whether the featurizer is to learn; False to use the features that it has.
    """

    def __init__(
        self,
        featurizer: HistoryFeaturizer,
        domain: Domain,
        examples_of: Callable[[DialogueStateTracker], Sequence[TrainingExample]],
        names: Mapping[tuple[str, str], int],
        learn_names: bool = True,
    ) -> None:
        self._featurizer, self._domain = featurizer, domain
        self._examples_of, self._names, self._learn_names = examples_of, names, learn_names
        self._rows = _Rows()
        self._actions, self._weights, self._groups = array("i"), array("f"), array("b")
        self._known: dict[bytes, int] = {}
        self._places: list[dict[Place, None]] = []
        self._times = array("i")
        self._stories: Counter[int] = Counter()
        self._of_stories: list[dict[int, float]] = []  # Of each row, its weight by the number of a story; while few.
        self._conversations = 0
        self._augmented = 0

    def add(self, tracker: DialogueStateTracker) -> None:
        """Add what a conversation teaches."""
        is_augmented = bool(getattr(tracker, "is_augmented", False))
        own = len(self._actions) - self._augmented
        if is_augmented and self._augmented >= max(AUGMENTED_FREE, AUGMENTED_SHARE * own):
            return
        places = places_of(tracker)
        self._conversations += 1
        for example in self._examples_of(tracker):
            here = places[example.number] if places is not None else ()
            story = here[0].name if here else None
            group, story_number = self._group(story or f"conversation {self._conversations}")
            self._add(example, group, here, is_augmented, story_number)

    def _add(
        self, example: TrainingExample, group: int, places: Sequence[Place], is_augmented: bool, story: int
    ) -> None:
        action = self._domain.index_for_action(example.action)
        # The group is part of it: a moment that stories of two groups share must be held out in each of them.
        key = hashlib.blake2b(array("i", [action, group]).tobytes() + example.row, digest_size=16).digest()
        number = self._known.get(key)
        if number is None:
            self._augmented += is_augmented
            number = self._new_row(key, example.row, action, group)
            self._weights.append(AUGMENTED_WEIGHT if is_augmented else 1.0)
        elif not is_augmented:
            self._weights[number] += 1.0
        if number < len(self._of_stories) and len(self._stories) < FEWEST_STORIES:
            own = self._of_stories[number]
            own[story] = own.get(story, 0.0) + self._weights[number] - sum(own.values())
        if number < len(self._places) and not is_augmented:
            self._places[number].update(dict.fromkeys(places))
            self._times[number] += 1

    def _new_row(self, key: bytes, row: bytes, action: int, group: int) -> int:
        number = len(self._actions)
        # Forgotten rows only come again as rows of their own, so that memory is bounded and no weight is lost.
        if len(self._known) >= ROWS_REMEMBERED:
            self._known.clear()
        self._known[key] = number
        self._rows.add(row)
        self._actions.append(action)
        self._groups.append(group)
        if len(self._stories) < FEWEST_STORIES:
            self._of_stories.append({})
        if number < ROWS_WITH_PLACES:
            self._places.append({})
            self._times.append(0)
        return number

    def _group(self, story: str) -> tuple[int, int]:
        """Return the group of a story, and a number by which it is known."""
        # By name, not in turn: a story that is added leaves the others in their groups.
        digest = hashlib.blake2b(story.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        number = int.from_bytes(digest, "little")
        self._stories[number] += 1
        return min(number % 100 // HELD_OUT_PERCENT, IN_NO_GROUP), number

    def _folds(self) -> Floats | None:
        """Share few stories out into parts, as they come; one story alone has none to be left out of."""
        if not 1 < len(self._stories) < FEWEST_STORIES:
            return None
        numbers = {story: place % MOST_FOLDS for place, story in enumerate(self._stories)}
        folds = np.zeros((len(self._of_stories), min(MOST_FOLDS, len(numbers))), np.float32)
        for row, own in enumerate(self._of_stories):
            for story, weight in own.items():
                folds[row, numbers[story]] += weight
        return folds

    def examples(self, limit: int | None = None) -> TrainingExamples:
        """Return the examples, the first `limit` of them; the featurizer knows the features from now on."""
        names = self._names
        if self._learn_names:
            counted = zip(names, self._rows.column_counts(len(names)).tolist(), strict=True)
            self._featurizer.learn_names({name: count for name, count in counted if count})
        unused = self._featurizer.num_features
        indices = map(self._featurizer.index_of, names)
        new_columns = np.array([unused if index is None else index for index in indices], np.int32)
        groups, folds = np.array(self._groups, np.int8), self._folds()
        if len(self._stories) < FEWEST_STORIES:
            groups[:] = IN_NO_GROUP
        actions, weights = np.array(self._actions, np.int32)[:limit], np.array(self._weights, np.float32)[:limit]
        values = self._featurizer.value_columns
        folds = None if folds is None else folds[:limit]
        return TrainingExamples(self._rows, unused, actions, weights, groups[:limit], new_columns, values, folds)

    def training_turns(self, examples: TrainingExamples) -> TurnTable:
        """Return where the examples stand in the stories, for those that stand in any."""
        collected = TurnCollector()
        names = self._domain.action_names
        for block in examples.blocks():
            matrix = block.matrix
            for row, begin, end in zip(block.numbers, matrix.indptr, matrix.indptr[1:], strict=False):
                if row >= len(self._places):
                    return collected.table()
                if self._places[row]:
                    columns, values = matrix.indices[begin:end], matrix.data[begin:end]
                    used = columns < examples.num_features
                    seen = row_of(columns[used], values[used])
                    collected.add(seen, names[examples.actions[row]], self._places[row], self._times[row])
        return collected.table()


def rows_and_actions(data: DialogueTrainingData) -> tuple[Floats, NDArray[np.int32]]:
    """Return what a perceptron learns from a classic featurizer: ``(examples, features)``, and actions ``(examples,)``.

    Of examples with one action, it is the states in a row; of whole dialogues, what `_moments` says for each action.
    """
    if data.y.ndim == 2:
        return _in_a_row(data.X), data.y.argmax(axis=-1).astype(np.int32)
    is_known = (data.y != PADDING).any(axis=-1)
    return _moments(data.X)[is_known], data.y[is_known].argmax(axis=-1).astype(np.int32)


def latest_row(x: Floats, max_history: int | None) -> Floats:
    """Return the row ``(1, features)`` for the latest state of one conversation, ``(1, time, features)``."""
    return _in_a_row(x) if max_history is not None else _moments(x)[:, -1]


def _in_a_row(x: Floats) -> Floats:
    return _without_padding(x).reshape(len(x), x.shape[1] * x.shape[2])


def _moments(x: Floats) -> Floats:
    """Return for each state, ``(examples, time)``, the last ones, latest first, and the most that each feature was."""
    x = _without_padding(x)
    lasts = [np.pad(x, ((0, 0), (lag, 0), (0, 0)))[:, : x.shape[1]] for lag in range(LAST_STATES)]
    return np.concatenate([*lasts, np.maximum.accumulate(x, axis=1)], axis=2)


def _without_padding(x: Floats) -> Floats:
    return np.where((x == PADDING).all(axis=2, keepdims=True), np.float32(0.0), x)
