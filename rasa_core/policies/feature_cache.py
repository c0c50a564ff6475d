"""A cache of the features of training conversations, in a file beside a model, for the next training.

Unchanged conversations are not featurised again. The trained model is the same with and without the cache, to the byte,
so the file may be deleted. A file that is damaged or belongs to another domain is ignored.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.events import Event
from rasa_core.exceptions import ModelError
from rasa_core.policies.features.conversations import ConversationFeaturizer
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.training_examples import TrainingExample
from rasa_core.policies.training_turns import FEATURE, row_of
from rasa_core.support.stored_models import read_arrays, reading, write_arrays
from rasa_core.version import __version__

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

FORMAT: Final = 5
DIGEST_SIZE: Final = 16

Names = dict[tuple[str, str], int]


class ExampleMaker:
    """Makes the training examples of conversations.

    Parameters
    ----------
    featurizer, domain
        The featurizer, and the domain whose features it makes.

    Attributes
    ----------
    names : dict of (str, str) to int
        The column of each feature, by block and name; new features are added.
    """

    def __init__(self, featurizer: HistoryFeaturizer, domain: Domain) -> None:
        self.names: Names = {}
        self._features = ConversationFeaturizer(
            featurizer.max_history, domain.slots, lambda name: self.names.setdefault(name, len(self.names))
        )

    def examples(self, tracker: DialogueStateTracker) -> list[TrainingExample]:
        """Return the examples of a conversation."""
        self._features.add(tracker)
        matrix = self._features.take()
        rows, starts = row_of(matrix.columns, matrix.values), (FEATURE.itemsize * matrix.starts).tolist()
        return [
            TrainingExample(number, rows[begin:end], action)
            for number, action, begin, end in zip(matrix.numbers, matrix.actions, starts, starts[1:], strict=False)
        ]


class FeatureCache(ExampleMaker):
    """A cache of the training examples of conversations, by a digest of their events.

    Parameters
    ----------
    file
        The file of the cache; it need not exist.
    featurizer, domain
        The featurizer and the domain. A file that was written with others is ignored.

    Attributes
    ----------
    reused : int
        How many conversations were not featurised again.
    """

    def __init__(self, file: str | Path, featurizer: HistoryFeaturizer, domain: Domain) -> None:
        super().__init__(featurizer, domain)
        self._file = Path(file)
        # Everything on which the features depend; a file with another value is ignored.
        self._made_by = json.dumps([FORMAT, __version__, featurizer.max_history, domain.fingerprint()])
        self._earlier = self._read()
        self._kept: dict[bytes, list[TrainingExample]] = {}
        self._of_events: dict[int, tuple[Event, bytes]] = {}
        self.reused = 0

    def examples(self, tracker: DialogueStateTracker) -> list[TrainingExample]:  # noqa: D102
        digest = self._digest(tracker)
        found = self._earlier.get(digest)
        if found is None:
            found = super().examples(tracker)
        else:
            self.reused += 1
        return self._kept.setdefault(digest, found)

    def _digest(self, tracker: DialogueStateTracker) -> bytes:
        whole = hashlib.blake2b(digest_size=DIGEST_SIZE)
        for event in tracker.applied_events():
            known = self._of_events.get(id(event))
            if known is None:
                content = {key: value for key, value in event.as_dict().items() if key != "timestamp"}
                content["unpredictable"] = getattr(event, "unpredictable", False)
                text = json.dumps(content, sort_keys=True, default=repr).encode("utf-8", "surrogatepass")
                # The event is kept, so that no other object gets the same id.
                known = self._of_events[id(event)] = event, hashlib.blake2b(text, digest_size=8).digest()
            whole.update(known[1])
        return whole.digest()

    def save(self) -> None:
        """Write the examples of this training, whole or not at all; an error is only logged."""
        # Another training may write the same file at the same time, so each writes a temporary file of its own first.
        part = self._file.with_name(f"{self._file.stem}.{secrets.token_hex(8)}.part.npz")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            write_arrays(part, self._arrays())
            os.replace(part, self._file)
        except OSError as error:
            logger.warning("the features for the next training cannot be kept in %s: %s", self._file, error)
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        rows: dict[bytes, int] = {}
        actions: dict[str, int] = {}
        examples = [
            (one.number, rows.setdefault(one.row, len(rows)), actions.setdefault(one.action, len(actions)))
            for found in self._kept.values()
            for one in found
        ]
        text = {"made_by": self._made_by, "names": list(self.names), "actions": list(actions)}
        return {
            "text": np.frombuffer(json.dumps(text).encode("utf-8"), np.uint8),
            "digests": np.frombuffer(b"".join(self._kept), np.uint8),
            "counts": np.array(list(map(len, self._kept.values())), np.int32),
            "examples": np.array(examples, np.int32).reshape(-1, 3),
            "lengths": np.array(list(map(len, rows)), np.int32),
            "rows": np.frombuffer(b"".join(rows), np.uint8),
        }

    def _read(self) -> dict[bytes, list[TrainingExample]]:
        """Return the examples in the file, and take over its names; none if it is missing, damaged, or does not fit."""
        if not self._file.is_file():
            return {}
        try:
            with reading("the features in", self._file):
                arrays = read_arrays(self._file)
                text = json.loads(arrays["text"].tobytes())
                if text["made_by"] != self._made_by:
                    return {}
                names = {(block, name): number for number, (block, name) in enumerate(text["names"])}
                found = _examples_of(arrays, text["actions"], len(names))
        except ModelError as error:
            logger.warning("the features of the last training in %s are not used: %s", self._file, error)
            return {}
        self.names.update(names)
        return found


def _examples_of(
    arrays: dict[str, NDArray[Any]], actions: list[str], num_features: int
) -> dict[bytes, list[TrainingExample]]:
    """Return examples from the arrays of a file; raise `ValueError` or `IndexError` if the arrays do not fit."""
    content, digests = arrays["rows"].tobytes(), arrays["digests"].tobytes()
    row_ends, ends = np.cumsum(arrays["lengths"], dtype=np.int64), np.cumsum(arrays["counts"], dtype=np.int64)
    sizes = len(content), len(arrays["examples"]), len(digests)
    if sizes != (max(row_ends, default=0), max(ends, default=0), DIGEST_SIZE * len(ends)):
        raise ValueError("its parts do not fit together")
    columns = np.frombuffer(content, FEATURE)["column"]
    if min(columns.min(initial=0), arrays["examples"].min(initial=0)) < 0 or columns.max(initial=-1) >= num_features:
        raise ValueError("it has features without names")
    rows = [content[end - size : end] for end, size in zip(row_ends.tolist(), arrays["lengths"].tolist(), strict=True)]
    examples = [
        TrainingExample(number, rows[row], actions[action]) for number, row, action in arrays["examples"].tolist()
    ]
    return {
        digests[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE]: examples[end - count : end]
        for number, (count, end) in enumerate(zip(arrays["counts"].tolist(), ends.tolist(), strict=True))
    }
