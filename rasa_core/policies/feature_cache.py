"""Features of training conversations, kept in a file beside a model, for the next training.

Conversations that have not changed are not featurised again. What is trained is the same with and without the file,
to the byte; so it may be deleted, and one that is damaged or of another domain is not used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from array import array
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
    """Makes the examples of conversations.

    Parameters
    ----------
    featurizer, domain
        What the features are.

    Attributes
    ----------
    names : dict of (str, str) to int
        The column of each feature, by block and name; those that are new are added.
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
        columns, values = array("i", matrix.columns.tobytes()), array("f", matrix.values.tobytes())
        starts = matrix.starts.tolist()
        return [
            TrainingExample(number, columns[begin:end], values[begin:end], action)
            for number, action, begin, end in zip(matrix.numbers, matrix.actions, starts, starts[1:], strict=False)
        ]


class FeatureCache(ExampleMaker):
    """The examples of conversations, by a digest of their events.

    Parameters
    ----------
    file
        Where they are kept; it need not exist.
    featurizer, domain
        What makes the features. Of others, nothing in the file is used.

    Attributes
    ----------
    reused : int
        How many conversations were not featurised again.
    """

    def __init__(self, file: str | Path, featurizer: HistoryFeaturizer, domain: Domain) -> None:
        super().__init__(featurizer, domain)
        self._file = Path(file)
        self._made_by = json.dumps([FORMAT, __version__, featurizer.max_history, domain.fingerprint()])
        self._earlier = self._read()
        self._kept: dict[bytes, list[TrainingExample]] = {}
        self._of_events: dict[int, tuple[Event, bytes]] = {}
        self.reused = 0

    def examples(self, tracker: DialogueStateTracker) -> list[TrainingExample]:
        """Return the examples of a conversation."""
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
                # The event is kept, so that no other one gets its identity.
                known = self._of_events[id(event)] = event, hashlib.blake2b(text, digest_size=8).digest()
            whole.update(known[1])
        return whole.digest()

    def save(self) -> None:
        """Write the conversations of this training, whole or not at all; that fails without harm."""
        # Another training may write the same file at the same time; each has a part of its own until it is whole.
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
        examples = [example for found in self._kept.values() for example in found]
        actions = {action: number for number, action in enumerate(dict.fromkeys(one.action for one in examples))}
        text = {"made_by": self._made_by, "names": list(self.names), "actions": list(actions)}
        return {
            "text": np.frombuffer(json.dumps(text).encode("utf-8"), np.uint8),
            "digests": np.frombuffer(b"".join(self._kept), np.uint8),
            "counts": np.array(list(map(len, self._kept.values())), np.int32),
            "numbers": np.array([one.number for one in examples], np.int32),
            "actions": np.array([actions[one.action] for one in examples], np.int32),
            "lengths": np.array([len(one.columns) for one in examples], np.int32),
            "columns": np.frombuffer(b"".join(one.columns for one in examples), np.int32),
            "values": np.frombuffer(b"".join(one.values for one in examples), np.float32),
        }

    def _read(self) -> dict[bytes, list[TrainingExample]]:
        """Return the examples in the file, and take over its names; none if it is missing, damaged, or of others."""
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
    """Return examples from the arrays of a file; raise `ValueError` if these contradict one another."""
    columns, values = array("i", arrays["columns"].tobytes()), array("f", arrays["values"].tobytes())
    row_ends, ends = np.cumsum(arrays["lengths"], dtype=np.int64), np.cumsum(arrays["counts"], dtype=np.int64)
    digests = arrays["digests"].tobytes()
    limits = (arrays["columns"], num_features), (arrays["actions"], len(actions))
    is_whole = (
        all(not len(found) or (found.min() >= 0 and found.max() < limit) for found, limit in limits)
        and len(columns) == len(values) == max(row_ends, default=0)
        and len(row_ends) == len(arrays["actions"]) == len(arrays["numbers"]) == max(ends, default=0)
        and len(digests) == DIGEST_SIZE * len(ends)
    )
    if not is_whole:
        raise ValueError("its parts do not fit together")
    examples = [
        TrainingExample(number, columns[end - length : end], values[end - length : end], actions[action])
        for number, length, end, action in zip(
            *(found.tolist() for found in (arrays["numbers"], arrays["lengths"], row_ends, arrays["actions"])),
            strict=True,
        )
    ]
    return {
        digests[number * DIGEST_SIZE : (number + 1) * DIGEST_SIZE]: examples[end - count : end]
        for number, (count, end) in enumerate(zip(arrays["counts"].tolist(), ends.tolist(), strict=True))
    }
