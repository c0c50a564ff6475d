"""Collects what the network learns from, conversation by conversation, so that these may come one at a time.

Stories are dealt into groups by their names. Each member of the network learns without one group, on which its
confidence is then measured. What an augmented conversation repeats of its stories is not learnt again.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from rasa_core.policies.feature_cache import ExampleMaker, FeatureCache
from rasa_core.policies.features.history_features import HistoryFeaturizer
from rasa_core.policies.lesson_book import MOST_ROWS, LessonBook, LessonCollector
from rasa_core.policies.lessons import sources_of
from rasa_core.policies.sparse_rows import row_of
from rasa_core.policies.training_rows import IN_NO_GROUP, Numbers, TrainingRows

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.stories.steps import Source
    from rasa_core.trackers import DialogueStateTracker

HELD_OUT_PERCENT: Final = 15
FEWEST_STORIES: Final = 40
"""With fewer, each matters too much to be held out."""

AUGMENTED_WEIGHT: Final = 0.5
AUGMENTED_SHARE: Final = 0.1
"""Rows of augmented conversations, as a share of the others, at most; but `AUGMENTED_FREE` always."""
AUGMENTED_FREE: Final = 1000

ROWS_REMEMBERED: Final = 500_000


class RowCollector:
    """Collects rows from conversations, one after the other.

    Parameters
    ----------
    featurizer
        Its features; it learns from all conversations what features there are.
    domain
        Of the conversations.
    learn_names
        Whether the featurizer is to learn; False to use the features that it has.
    cache
        Features of an earlier training.
    """

    def __init__(
        self,
        featurizer: HistoryFeaturizer,
        domain: Domain,
        learn_names: bool = True,
        cache: FeatureCache | None = None,
    ) -> None:
        self._learn_names = learn_names
        self._featurizer = featurizer
        self._domain = domain
        self._maker = ExampleMaker(featurizer, domain, {}) if cache is None else cache
        self._names = self._maker.names
        self._counts = array("q")
        self._numbers = Numbers()
        self._actions, self._weights, self._groups = array("i"), array("f"), array("b")
        self._known: dict[bytes, int] = {}
        self._places: list[dict[Source, None]] = []
        self._times = array("i")
        self._stories: Counter[int] = Counter()
        self._conversations = 0
        self._augmented = 0

    def add(self, tracker: DialogueStateTracker) -> None:
        """Add what a conversation teaches."""
        is_augmented = bool(getattr(tracker, "is_augmented", False))
        if is_augmented and not self._has_room():
            return
        sources = sources_of(tracker)
        self._conversations += 1
        for number, columns, values, action in self._maker.examples(tracker):
            places = sources[number] if sources is not None else ()
            story = places[0].name or "" if places else f"conversation {self._conversations}"
            self._add(columns, values, self._domain.index_for_action(action), story, places, is_augmented)

    def _add(
        self,
        columns: array[int],
        values: array[float],
        action: int,
        story: str,
        places: Sequence[Source],
        is_augmented: bool,
    ) -> None:
        group = self._group(story)
        content = array("i", [action, group]).tobytes() + columns.tobytes() + values.tobytes()
        key = hashlib.blake2b(content, digest_size=16).digest()
        row = self._known.get(key)
        if row is None:
            self._augmented += is_augmented
            row = self._new_row(key, columns, values, action, group)
            self._weights.append(AUGMENTED_WEIGHT if is_augmented else 1.0)
            self._count(columns)
        elif not is_augmented:
            self._weights[row] += 1.0
        if row < len(self._places) and not is_augmented:
            self._places[row].update(dict.fromkeys(places))
            self._times[row] += 1

    def _has_room(self) -> bool:
        own = len(self._actions) - self._augmented
        return self._augmented < max(AUGMENTED_FREE, AUGMENTED_SHARE * own)

    def _new_row(self, key: bytes, columns: array[int], values: array[float], action: int, group: int) -> int:
        row = len(self._actions)
        if len(self._known) >= ROWS_REMEMBERED:
            self._known.clear()
        self._known[key] = row
        self._numbers.add(columns, values)
        self._actions.append(action)
        self._groups.append(group)
        if row < MOST_ROWS:
            self._places.append({})
            self._times.append(0)
        return row

    def _count(self, columns: array[int]) -> None:
        missing = len(self._names) - len(self._counts)
        if missing:
            self._counts.extend([0] * missing)
        for column in columns:
            self._counts[column] += 1

    def _group(self, story: str) -> int:
        digest = hashlib.blake2b(story.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        self._stories[int.from_bytes(digest, "little")] += 1
        group = int.from_bytes(digest, "little") % 100 // HELD_OUT_PERCENT
        return min(group, IN_NO_GROUP)

    def rows(self, limit: int | None = None) -> TrainingRows:
        """Return the rows, the first `limit` of them; the featurizer knows the features from now on."""
        if self._learn_names:
            counted = zip(self._names, self._counts, strict=False)
            self._featurizer.learn_names({name: count for name, count in counted if count})
        indices = map(self._featurizer.index_of, self._names)
        unused = self._featurizer.num_features
        new_columns = np.array([unused if index is None else index for index in indices], np.int32)
        groups = np.array(self._groups, np.int8)
        if len(self._stories) < FEWEST_STORIES:
            groups[:] = IN_NO_GROUP
        actions, weights = np.array(self._actions, np.int32), np.array(self._weights, np.float32)
        return TrainingRows(
            self._numbers,
            unused,
            actions[:limit],
            weights[:limit],
            groups[:limit],
            new_columns,
            self._featurizer.value_columns,
        )

    def lessons(self, rows: TrainingRows) -> LessonBook:
        """Return where the rows stand in the stories, for those that stand in any."""
        collected = LessonCollector()
        names = self._domain.action_names
        for block in rows.blocks():
            for local, (begin, end) in enumerate(zip(block.starts[:-1], block.starts[1:], strict=True)):
                row = block.first + local
                if row >= len(self._places):
                    return collected.book()
                used = block.columns[begin:end] < rows.num_features
                if self._places[row]:
                    seen = row_of(block.columns[begin:end][used].tolist(), block.values[begin:end][used].tolist())
                    collected.add(seen, names[rows.actions[row]], self._places[row], self._times[row])
        return collected.book()
