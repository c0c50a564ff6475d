"""Training turns: the examples that taught a policy its predictions, with their places in the stories.

A *training turn* is the input of a policy at one moment, and the action that followed, with all places in the stories
where both occur. A policy collects its turns during the training (`TurnCollector`) and writes them into its folder in
the model. A loaded policy only keeps the path of the file (`StoredTurns`), which is not read before somebody asks for
an explanation.

The input is kept as bytes, in one of two forms: as a `turn_key` for policies that compare for equality, or as the
`row_of` features for policies that compare by similarity.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.support.folders import stamp_of
from rasa_core.support.places import Place
from rasa_core.support.stored_models import read_arrays, reading, write_arrays

logger = logging.getLogger(__name__)

FILE_NAME: Final = "training_turns.npz"
FORMAT: Final = 1

MOST_PLACES: Final = 10
"""How many places of one training turn are listed; for further places, only their number is given."""

NO_PLACES: Final = "the training conversations were not read from story files, so it is not known where they stand."
NO_TURNS: Final = "the model does not tell where its training turns stand; train it again."
NEW_TURN: Final = "no story has this."
CONTRADICTORY: Final = "the stories contradict one another here, so that nothing is memorised."

StateItems = frozenset[tuple[str, float]]

FEATURE: Final = np.dtype([("column", np.int32), ("value", np.float32)])
"""One feature of a row; it has eight bytes, as the key of a turn."""


@dataclass(frozen=True, slots=True)
class TrainingTurn:
    """A training turn.

    Attributes
    ----------
    action : str
        The action that followed.
    places : tuple of str
        The places of the turn, as ``file:line "story"``, sorted by file and line; at most `MOST_PLACES`.
    more : int
        The number of further places.
    count : int
        How often the turn occurred in training.
    similarity : float
        Cosine of the angle between the features of the turn and the present features; 1.0 for equal ones.
    """

    action: str
    places: tuple[str, ...]
    more: int
    count: int
    similarity: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {**asdict(self), "places": list(self.places)}


@dataclass(frozen=True, slots=True)
class TrainingTurns:
    """The training turns that taught a prediction.

    Attributes
    ----------
    turns : tuple of TrainingTurn
        The training turns, the most important first.
    note : str or None
        A note, such as why there are no turns.
    """

    turns: tuple[TrainingTurn, ...] = ()
    note: str | None = None


def places_of(tracker: object) -> Sequence[Sequence[Place]] | None:
    """Return the places of each action of a tracker; None if its conversation was not made from stories.

    The actions are those in ``tracker.applied_events()``, including actions that are not to be learnt.
    """
    found: Sequence[Sequence[Place]] | None = getattr(tracker, "action_sources", lambda: None)()
    return found


def turn_key(states: Iterable[StateItems], known: dict[StateItems, bytes]) -> bytes:
    """Return eight bytes for a sequence of states, the same in every process.

    Parameters
    ----------
    states
        The items of each state, oldest first.
    known
        A cache of the results for single states, to which new ones are added.
    """
    whole = hashlib.blake2b(digest_size=8)
    for state in states:
        digest = known.get(state)
        if digest is None:
            text = repr(sorted(state)).encode("utf-8", "surrogatepass")
            digest = known[state] = hashlib.blake2b(text, digest_size=8).digest()
        whole.update(digest)
    return whole.digest()


def row_of(columns: NDArray[Any], values: NDArray[np.float32]) -> bytes:
    """Return sparse features as bytes: one `FEATURE` for each."""
    features = np.empty(len(columns), FEATURE)
    features["column"], features["value"] = columns, values
    return features.tobytes()


@dataclass(slots=True)
class _Collected:
    """How often a training turn occurred, and its places; a dict is used as an ordered set."""

    count: int = 0
    places: dict[Place, None] = field(default_factory=dict)


class TurnCollector:
    """Collects training turns; for one policy, the inputs are either all keys or all rows.

    Parameters
    ----------
    table
        Turns of an earlier training, to which new turns are added.
    """

    def __init__(self, table: TurnTable | None = None) -> None:
        self._turns: dict[tuple[bytes, str], _Collected] = {} if table is None else table.collected()

    def add(self, seen: bytes, action: str, places: Iterable[Place], times: int = 1) -> None:
        """Add a training turn with its places, and how often it occurred."""
        turn = self._turns.setdefault((seen, action), _Collected())
        turn.count += times
        turn.places.update(dict.fromkeys(places))

    def table(self) -> TurnTable:
        """Return the collected turns as a table; the same turns in the same order give the same table."""
        turns = self._turns.values()
        portable = _portable({place for turn in turns for place in turn.places})
        places = sorted(set(portable.values()), key=lambda one: (one.file or "", one.line or 0, one.name or ""))
        place_numbers = {place: number for number, place in enumerate(places)}
        numbers = [sorted({place_numbers[portable[place]] for place in turn.places}) for turn in turns]
        actions = sorted({action for _, action in self._turns})
        action_numbers = {action: number for number, action in enumerate(actions)}
        text = {"format": FORMAT, "actions": actions, "places": [[one.file, one.line, one.name] for one in places]}
        return TurnTable(
            {
                "text": np.frombuffer(json.dumps(text).encode(), np.uint8),
                "actions": np.array([action_numbers[action] for _, action in self._turns], np.int32),
                "counts": np.array([turn.count for turn in turns], np.int32),
                "place_starts": _starts_of(map(len, numbers)),
                "places": np.array([number for one in numbers for number in one], np.int32),
                # Keys and features have eight bytes each, so both fit into an array of 64-bit numbers.
                "starts": _starts_of(len(seen) // 8 for seen, _ in self._turns),
                "seen": np.frombuffer(b"".join(seen for seen, _ in self._turns), np.uint64),
            }
        )


class TurnTable:
    """Training turns, as arrays.

    Parameters
    ----------
    arrays
        ``text``: UTF-8 of a JSON object with ``format``, ``actions`` (names), and ``places`` (``[file, line,
        story]``, sorted). For each turn `i`, an item of ``actions`` and ``counts``; the numbers of its places,
        ``places[place_starts[i] : place_starts[i + 1]]``; and its input, ``seen[starts[i] : starts[i + 1]]``.

    Raises
    ------
    ModelError
        If the arrays do not have this form.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        with reading("the training turns in", FILE_NAME):
            text = json.loads(arrays["text"].tobytes())
            if text["format"] != FORMAT:
                raise ValueError(f"they have format {text['format']}, and this version reads {FORMAT}")
            self._names: list[str] = text["actions"]
            self._places = [Place(*place) for place in text["places"]]
            self._actions, self._counts = arrays["actions"], arrays["counts"]
            self._place_starts, self._place_numbers = arrays["place_starts"], arrays["places"]
            self._starts, self._seen = arrays["starts"], arrays["seen"]
            if not len(self._starts) - 1 == len(self._actions) or len(self._seen) != self._starts[-1]:
                raise ValueError("its parts do not fit together")

    def __len__(self) -> int:
        """Return the number of turns."""
        return len(self._actions)

    def has_places(self) -> bool:
        """Tell whether any turn has a place."""
        return bool(self._places)

    def of_keys(self, keys: Sequence[bytes]) -> list[TrainingTurn]:
        """Return the turns with any of these keys, one for each action, the most frequent first."""
        wanted = np.frombuffer(b"".join(keys), np.uint64)
        by_action: dict[int, list[int]] = {}
        # A key is a single number in `seen`, so the index of the number is the index of the turn.
        for number in np.flatnonzero(np.isin(self._seen, wanted)).tolist():
            by_action.setdefault(int(self._actions[number]), []).append(number)
        return sorted((self._turn(*numbers) for numbers in by_action.values()), key=lambda turn: -turn.count)

    def nearest(self, columns: Sequence[int], values: Sequence[float], limit: int) -> list[TrainingTurn]:
        """Return the turns whose rows are most similar to the row with `values` in `columns`.

        The similarity is the cosine of the angle between rows; of equally similar turns, the first comes first.
        """
        cosines = self.cosines(columns, values)
        order = np.argsort(-cosines, kind="stable")[:limit]
        return [self._turn(int(number), similarity=float(cosines[number])) for number in order]

    def cosines(self, columns: Sequence[int], values: Sequence[float]) -> NDArray[np.float64]:
        """Return the cosine between each row and the given row, ``(rows,)``; 0 if one of them is all zeros."""
        features, count = self._seen.view(FEATURE), len(self)
        row_of_feature = np.repeat(np.arange(count), np.diff(self._starts))
        # Long enough for all columns: the given row may have columns that no training turn has, and vice versa.
        wanted = np.zeros(max(int(features["column"].max(initial=-1)), *columns, -1) + 1)
        np.add.at(wanted, list(columns), list(values))
        products = np.bincount(row_of_feature, features["value"] * wanted[features["column"]], count)
        squares = np.bincount(row_of_feature, np.square(features["value"], dtype=np.float64), count)
        lengths = np.sqrt(squares) * np.sqrt(np.square(wanted).sum())
        cosines: NDArray[np.float64] = np.divide(products, lengths, out=np.zeros(count), where=lengths > 0)
        return cosines.clip(-1.0, 1.0)

    def _places_of(self, numbers: Sequence[int]) -> list[Place]:
        starts = self._place_starts
        found = {place for one in numbers for place in self._place_numbers[starts[one] : starts[one + 1]].tolist()}
        return [self._places[place] for place in sorted(found)]

    def _turn(self, *numbers: int, similarity: float = 1.0) -> TrainingTurn:
        """Return the turns with these numbers, which have the same action, joined into one."""
        places = self._places_of(numbers)
        told = tuple(str(replace(place, file=place.file or "story")) for place in places[:MOST_PLACES])
        action, count = self._names[self._actions[numbers[0]]], int(self._counts[list(numbers)].sum())
        return TrainingTurn(action, told, len(places) - len(told), count, similarity)

    def collected(self) -> dict[tuple[bytes, str], _Collected]:
        """Return the content in the form of a `TurnCollector`."""
        found = {}
        for number, action in enumerate(self._actions):
            seen = self._seen[self._starts[number] : self._starts[number + 1]].tobytes()
            places = dict.fromkeys(self._places_of([number]))
            found[seen, self._names[action]] = _Collected(int(self._counts[number]), places)
        return found

    def save(self, folder: str | Path) -> None:
        """Write the turns into a folder; the same turns give the same bytes."""
        write_arrays(Path(folder, FILE_NAME), self._arrays)


class StoredTurns:
    """The training turns of a policy, in memory or in the folder of a model; there may be none.

    Parameters
    ----------
    table
        The turns, if they are in memory.
    folder
        Otherwise, the folder from which the policy is loaded; the file in it is only read by `read`.
    """

    def __init__(self, table: TurnTable | None = None, folder: str | Path | None = None) -> None:
        self._table = table
        self._file = None if folder is None else Path(folder, FILE_NAME)
        self._stamp = None if self._file is None else stamp_of(self._file)

    def read(self) -> TurnTable | None:
        """Return the turns, or None if there are none.

        Raises
        ------
        ModelError
            If the file cannot be read, or another training has replaced it.
        """
        if self._table is None and self._file is not None and self._stamp is not None:
            # Compared before and after reading, since another training may replace the folder in between.
            arrays = read_arrays(self._file) if stamp_of(self._file) == self._stamp else {}
            if stamp_of(self._file) != self._stamp:
                raise ModelError(f"{str(self._file)!r} was replaced after the model was loaded; load the model again.")
            self._table = TurnTable(arrays)
        return self._table

    def save(self, folder: str | Path) -> None:
        """Write the turns into another folder, if there are any; they are only needed for explanations."""
        try:
            table = self.read()
        except ModelError as error:
            logger.warning("the model is written without the places of its training turns: %s", error)
        else:
            if table is not None:
                table.save(folder)


def _starts_of(lengths: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _portable(places: Iterable[Place]) -> dict[Place, Place]:
    """Map each place to its form in a model, with paths relative to their common folder.

    So the same files give the same model wherever the files are, and the model does not contain the folder's path.
    """
    found = {place: place for place in places}
    named = {place: os.path.normpath(place.file) for place in found if place.file is not None}
    for group in (True, False):  # First absolute paths, then relative ones.
        paths = {place: path for place, path in named.items() if os.path.isabs(path) is group}
        try:
            common = os.path.commonpath({os.path.dirname(path) for path in paths.values()})
        except ValueError:  # There are no such paths, or they are on different drives.
            continue
        for place, path in paths.items():
            found[place] = replace(place, file=Path(path).relative_to(common).as_posix())
    return found
