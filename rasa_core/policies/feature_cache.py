"""Features of training conversations, kept in a file beside a model, for the next training.

Conversations that have not changed are not featurised again. What is trained is the same with and without the file,
to the byte; so it may be deleted, and one that is damaged or of another domain is not used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from array import array
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.events import Event
from rasa_core.exceptions import ModelError
from rasa_core.policies.features.conversations import ConversationRows
from rasa_core.policies.features.history_features import HistoryFeaturizer
from rasa_core.policies.network import read_arrays, write_arrays
from rasa_core.version import __version__

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

FORMAT: Final = 4
DIGEST_SIZE: Final = 16

Names = dict[tuple[str, str], int]


class Example(NamedTuple):
    """What is to be learnt at one moment: which of the conversation's actions, the features before it, its name."""

    number: int
    columns: array[int]
    values: array[float]
    action: str


class ExampleMaker:
    """Makes the examples of conversations.

    Parameters
    ----------
    featurizer, domain
        What the features are.
    names
        The number of each feature, by block and name; those that are new are added.
    """

    def __init__(self, featurizer: HistoryFeaturizer, domain: Domain, names: Names) -> None:
        self.names = names
        self._rows = ConversationRows(featurizer.max_history, domain.slots, self._number_of)

    def _number_of(self, name: tuple[str, str]) -> int:
        return self.names.setdefault(name, len(self.names))

    def examples(self, tracker: DialogueStateTracker) -> list[Example]:
        """Return the examples of a conversation."""
        self._rows.add(tracker)
        rows = self._rows.take()
        columns, values = array("i", rows.columns.tobytes()), array("f", rows.values.tobytes())
        starts = rows.starts.tolist()
        return [
            Example(number, columns[begin:end], values[begin:end], action)
            for number, action, begin, end in zip(rows.numbers, rows.actions, starts, starts[1:], strict=False)
        ]


class FeatureCache:
    """The examples of conversations, by a digest of their events.

    Parameters
    ----------
    file
        Where they are kept; it need not exist.
    featurizer, domain
        What makes the features. Of others, nothing in the file is used.

    Attributes
    ----------
    names : dict of (str, str) to int
        The number of each feature, by block and name.
    reused : int
        How many conversations were not featurised again.
    """

    def __init__(self, file: str | Path, featurizer: HistoryFeaturizer, domain: Domain) -> None:
        self._file = Path(file)
        made_by = [FORMAT, __version__, featurizer.max_history, domain.fingerprint()]
        self._made_by = json.dumps(made_by)
        self._earlier = _Stored.read(self._file, self._made_by)
        self._new = _Growing()
        self._of_events: dict[int, tuple[Event, bytes]] = {}
        self.names: Names = dict(self._earlier.names)
        self._maker = ExampleMaker(featurizer, domain, self.names)
        self.reused = 0

    def examples(self, tracker: DialogueStateTracker) -> list[Example]:
        """Return the examples of a conversation."""
        digest = self._digest(tracker)
        found = self._earlier.get(digest)
        if found is None:
            found = self._maker.examples(tracker)
        else:
            self.reused += 1
        self._new.add(digest, found)
        return found

    def _digest(self, tracker: DialogueStateTracker) -> bytes:
        whole = hashlib.blake2b(digest_size=DIGEST_SIZE)
        for event in tracker.applied_events():
            known = self._of_events.get(id(event))
            if known is None:
                content = {key: value for key, value in event.as_dict().items() if key != "timestamp"}
                content["unpredictable"] = getattr(event, "unpredictable", False)
                text = json.dumps(content, sort_keys=True, default=repr).encode("utf-8", "surrogatepass")
                # The event is kept, so that no other one gets its identity.
                known = self._of_events[id(event)] = event, hashlib.blake2b(text, digest_size=8).digest()
            whole.update(known[1])
        return whole.digest()

    def save(self) -> None:
        """Write the conversations of this training, whole or not at all; that fails without harm."""
        part = self._file.with_name(f"{self._file.stem}.part.npz")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            write_arrays(part, self._new.arrays(self._made_by, self.names))
            os.replace(part, self._file)
        except OSError as error:
            logger.warning("the features for the next training cannot be kept in %s: %s", self._file, error)
            with suppress(OSError):
                part.unlink(missing_ok=True)


class _Growing:
    """Examples as they are collected: rows of different lengths, each different one once."""

    def __init__(self) -> None:
        self._actions: dict[str, int] = {}
        self._rows: dict[bytes, int] = {}
        self._known: dict[bytes, None] = {}
        self._columns, self._values, self._lengths = array("i"), array("f"), array("i")
        self._examples = array("i")  # Number, row and action of each.
        self._counts = array("i")  # Of the examples of each conversation.

    def add(self, digest: bytes, examples: list[Example]) -> None:
        if digest in self._known:
            return
        self._known[digest] = None
        for number, columns, values, action in examples:
            row = self._rows.setdefault(columns.tobytes() + values.tobytes(), len(self._lengths))
            if row == len(self._lengths):
                self._columns.extend(columns)
                self._values.extend(values)
                self._lengths.append(len(columns))
            self._examples.extend([number, row, self._actions.setdefault(action, len(self._actions))])
        self._counts.append(len(examples))

    def arrays(self, made_by: str, names: Names) -> dict[str, NDArray[Any]]:
        text = {"made_by": made_by, "names": list(names), "actions": list(self._actions)}
        return {
            "text": np.frombuffer(json.dumps(text).encode("utf-8"), np.uint8),
            "digests": np.frombuffer(b"".join(self._known), np.uint8),
            "counts": np.array(self._counts, np.int32),
            "examples": np.array(self._examples, np.int32),
            "lengths": np.array(self._lengths, np.int32),
            "columns": np.array(self._columns, np.int32),
            "values": np.array(self._values, np.float32),
        }


class _Stored:
    """Examples of an earlier training."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        text = json.loads(arrays["text"].tobytes())
        self.made_by: str = text["made_by"]
        self.names: Names = {(block, name): number for number, (block, name) in enumerate(text["names"])}
        self._actions: list[str] = text["actions"]
        self._examples = arrays["examples"].reshape(-1, 3)
        self._columns, self._values = arrays["columns"].tobytes(), arrays["values"].tobytes()
        self._row_ends = np.cumsum(arrays["lengths"], dtype=np.int64).tolist()
        ends = np.cumsum(arrays["counts"], dtype=np.int64)
        digests = arrays["digests"].tobytes()
        self._places = {
            digests[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE]: (int(end - count), int(end))
            for number, (end, count) in enumerate(zip(ends, arrays["counts"], strict=True))
        }
        self._rows: dict[int, tuple[array[int], array[float]]] = {}
        self._check(arrays, ends)

    def _check(self, arrays: dict[str, NDArray[Any]], ends: NDArray[np.int64]) -> None:
        """Raise `ValueError` if the arrays contradict one another."""
        counted = int(ends[-1]) if len(ends) else 0
        numbers = self._row_ends[-1] if self._row_ends else 0
        limits = [(self._examples[:, 1], len(self._row_ends)), (self._examples[:, 2], len(self._actions))]
        limits.append((arrays["columns"], len(self.names)))
        fitting = len(self._examples) == counted and len(self._columns) == len(self._values) == 4 * numbers
        inside = all(not len(found) or (found.min() >= 0 and found.max() < limit) for found, limit in limits)
        if not (fitting and inside and arrays["digests"].size == DIGEST_SIZE * len(ends)):
            raise ValueError("its parts do not fit together")

    @classmethod
    def read(cls, file: Path, made_by: str) -> _Stored:
        """Return what is in a file; nothing if it is missing, damaged, or made by something else."""
        nothing = _Growing().arrays(made_by, {})
        if not file.is_file():
            return cls(nothing)
        try:
            stored = cls(read_arrays(file))
        except (ModelError, ValueError, KeyError, TypeError, IndexError) as error:
            logger.warning("the features of the last training in %s are not used: %s", file, error)
            return cls(nothing)
        return stored if stored.made_by == made_by else cls(nothing)

    def get(self, digest: bytes) -> list[Example] | None:
        place = self._places.get(digest)
        if place is None:
            return None
        return [
            Example(number, *self._row(row), self._actions[action])
            for number, row, action in self._examples[place[0] : place[1]].tolist()
        ]

    def _row(self, row: int) -> tuple[array[int], array[float]]:
        known = self._rows.get(row)
        if known is None:
            part = slice(4 * self._row_ends[row - 1] if row else 0, 4 * self._row_ends[row])
            known = self._rows[row] = array("i", self._columns[part]), array("f", self._values[part])
        return known
