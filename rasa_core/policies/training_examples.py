"""What the network learns from: one example for each different moment of the training conversations.

Examples are collected conversation by conversation, so that these may come one at a time.

Stories are dealt into groups by their names. Each perceptron of the network learns without one group, on which its
confidence is then measured. What an augmented conversation repeats of its stories is not learnt again.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.policies.example_rows import FOLDS, IN_NO_GROUP, Rows, TrainingExamples
from rasa_core.policies.features.classic import DialogueTrainingData
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.features.single_states import PADDING
from rasa_core.policies.training_turns import TurnCollector, TurnTable, places_of, row_of
from rasa_core.support.arrays import Floats

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.support.places import Place
    from rasa_core.trackers import DialogueStateTracker


LAST_STATES: Final = 5
"""How many states are learnt from one by one where the featurizer gives whole dialogues."""

# Three groups of 15 %: more than half of the stories is learnt by all perceptrons.
HELD_OUT_PERCENT: Final = 15
FEWEST_STORIES: Final = 40
"""With fewer, each matters too much to be held out; confidence is then found by a network of its own."""

AUGMENTED_WEIGHT: Final = 0.5
AUGMENTED_SHARE: Final = 0.1
"""Examples of augmented conversations, as a share of the others, at most; but `AUGMENTED_FREE` always."""
AUGMENTED_FREE: Final = 1000

ROWS_REMEMBERED: Final = 500_000
ROWS_WITH_PLACES: Final = 100_000
"""Of how many rows it is known where they stand, the first ones; among so many, a near one is found for any turn."""


class TrainingExample(NamedTuple):
    """What is to be learnt at one moment: which of the conversation's actions, the features before it, its name."""

    number: int
    row: bytes  # As of `row_of`.
    action: str


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
        self._rows = Rows()
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
        numbers = {story: place % FOLDS for place, story in enumerate(self._stories)}
        folds = np.zeros((len(self._of_stories), FOLDS), np.float32)
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
                    seen = row_of(matrix.indices[begin:end], matrix.data[begin:end])
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
