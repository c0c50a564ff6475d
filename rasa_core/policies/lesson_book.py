"""Where training turns stand in the stories: collected in training, kept with the model, read only when asked for.

A policy collects its lessons while it trains (`LessonCollector`) and writes them into its folder of the model. When
it is loaded, it only notes where they are (`StoredLessons`): a process that answers users never reads them, until
somebody wants an explanation.

What the policy saw is kept in one of two forms: a 64-bit *key*, for policies that look for equal turns, or a sparse
*row* of features, for policies to which turns are near or far.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.policies.lessons import MOST_PLACES, Lesson
from rasa_core.policies.network import read_arrays, write_arrays
from rasa_core.policies.sparse_rows import Row, SparseRows, starts_of
from rasa_core.stories.steps import Source

logger = logging.getLogger(__name__)

FILE_NAME: Final = "lessons.npz"
FORMAT: Final = 1

MOST_ROWS: Final = 100_000
"""How many different rows are kept, the first ones; among so many, a near one is found for any turn."""

Seen = int | Row


class _Entry:
    """How often a lesson was seen, and where."""

    __slots__ = ("count", "sources")

    def __init__(self, count: int = 0, sources: Iterable[Source] = ()) -> None:
        self.count = count
        self.sources = dict.fromkeys(sources)


Entries = dict[tuple[Seen, str], _Entry]


class LessonCollector:
    """Collects lessons; what the policy saw is always a key, or always a row (`sparse_rows.row_of`).

    Parameters
    ----------
    book
        Lessons of an earlier training, to go on with.
    """

    def __init__(self, book: LessonBook | None = None) -> None:
        self._entries: Entries = {} if book is None else book.entries()

    def add(self, seen: Seen, action: str, sources: Iterable[Source], times: int = 1) -> None:
        """Add a training turn with the places where it stands, and how often it was seen."""
        entry = self._entries.get((seen, action))
        if entry is None:
            if len(self._entries) >= MOST_ROWS and not isinstance(seen, int):
                return
            entry = self._entries[seen, action] = _Entry()
        entry.count += times
        for source in sources:
            entry.sources[source] = None

    def book(self) -> LessonBook:
        """Return what was collected; the same lessons in the same order give the same book."""
        return LessonBook(_arrays_of(self._entries))


class LessonBook:
    """Lessons, as arrays.

    Parameters
    ----------
    arrays
        ``text``: UTF-8 of a JSON object with ``format``, ``actions`` (names), and ``places`` (``[file, line,
        story]``, sorted). For each lesson, an item of ``lesson_actions`` and ``counts``; in ``place_starts`` and
        ``places``, the numbers of its places; and either an item of ``keys`` (uint64, sorted), or a row of
        ``row_starts``, ``columns`` and ``values``, as of `SparseRows`.

    Raises
    ------
    ModelError
        If these are not such arrays.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        try:
            text = json.loads(arrays["text"].tobytes())
            if text["format"] != FORMAT:
                raise ValueError(f"they have format {text['format']}, and this version reads {FORMAT}")
            self._names: list[str] = text["actions"]
            self._places = [Source(*place) for place in text["places"]]
            self._actions, self._counts = arrays["lesson_actions"], arrays["counts"]
            self._place_starts, self._place_numbers = arrays["place_starts"], arrays["places"]
            self._keys = arrays.get("keys")
            self._rows: SparseRows | None = None
            if self._keys is None:
                self._rows = SparseRows(arrays["row_starts"], arrays["columns"], arrays["values"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise ModelError(f"the lessons of the model cannot be read: {error!r}. Train it again.") from error

    def __len__(self) -> int:
        """Return the number of lessons."""
        return len(self._actions)

    def has_places(self) -> bool:
        """Tell whether it is known where anything stands."""
        return bool(self._places)

    def of_key(self, key: int) -> list[Lesson]:
        """Return the lessons of a key, one for each action, that seen most often first."""
        if self._keys is None:
            return []
        start, stop = (int(np.searchsorted(self._keys, np.uint64(key), side)) for side in ("left", "right"))
        return sorted((self._lesson(number) for number in range(start, stop)), key=lambda lesson: -lesson.count)

    def nearest(self, columns: Sequence[int], values: Sequence[float], limit: int) -> list[Lesson]:
        """Return the lessons whose rows are most like the one that has `values` in `columns`.

        Likeness is the cosine of the angle between rows; of equally near ones, that seen first comes first.
        """
        if self._rows is None:
            return []
        cosines = self._rows.cosines(columns, values)
        order = np.argsort(-cosines, kind="stable")[:limit]
        return [self._lesson(int(number), float(cosines[number])) for number in order]

    def _sources(self, number: int) -> list[Source]:
        numbers = self._place_numbers[self._place_starts[number] : self._place_starts[number + 1]]
        return [self._places[place] for place in numbers]

    def _lesson(self, number: int, similarity: float = 1.0) -> Lesson:
        sources = self._sources(number)
        told = tuple(str(source) for source in sources[:MOST_PLACES])
        action = self._names[self._actions[number]]
        return Lesson(action, told, len(sources) - len(told), int(self._counts[number]), similarity)

    def entries(self) -> Entries:
        """Return the content as it was collected."""
        found: Entries = {}
        for number, action in enumerate(self._actions):
            seen: Seen = int(self._arrays["keys"][number]) if self._rows is None else self._rows[number]
            found[seen, self._names[action]] = _Entry(int(self._counts[number]), self._sources(number))
        return found

    def save(self, folder: str | Path) -> None:
        """Write the lessons into a folder; the same lessons give the same bytes."""
        write_arrays(Path(folder, FILE_NAME), self._arrays)


def _arrays_of(entries: Entries) -> dict[str, NDArray[Any]]:
    lessons: list[tuple[Any, str, _Entry]] = [(seen, action, entry) for (seen, action), entry in entries.items()]
    by_key = all(isinstance(seen, int) for seen, _, _ in lessons)
    if by_key:
        lessons.sort(key=lambda lesson: lesson[:2])
    names = sorted({action for _, action, _ in lessons})
    portable = _portable({source for *_, entry in lessons for source in entry.sources})
    places = sorted(set(portable.values()), key=_in_order)
    action_numbers = {name: number for number, name in enumerate(names)}
    place_numbers = {source: number for number, source in enumerate(places)}
    numbers = [sorted({place_numbers[portable[source]] for source in entry.sources}) for *_, entry in lessons]
    text = {"format": FORMAT, "actions": names, "places": [[one.file, one.line, one.name] for one in places]}
    arrays: dict[str, NDArray[Any]] = {
        "text": np.frombuffer(json.dumps(text).encode(), np.uint8),
        "lesson_actions": np.array([action_numbers[action] for _, action, _ in lessons], np.int32),
        "counts": np.array([entry.count for *_, entry in lessons], np.int32),
        "place_starts": starts_of(map(len, numbers)),
        "places": np.array([number for one in numbers for number in one], np.int32),
    }
    if by_key:
        return {**arrays, "keys": np.array([seen for seen, _, _ in lessons], np.uint64)}
    rows = SparseRows.of([seen for seen, _, _ in lessons])
    return {**arrays, "row_starts": rows.starts, "columns": rows.columns, "values": rows.values}


def _portable(sources: Iterable[Source]) -> dict[Source, Source]:
    """Return each place as a model may tell it: absolute paths are cut to the part below their common folder.

    So the same files give the same model wherever they are, and it does not tell where that was.
    """
    found = {source: source for source in sources}
    absolute = [source for source in found if source.file is not None and os.path.isabs(source.file)]
    try:
        common = os.path.commonpath({os.path.dirname(source.file or "") for source in absolute})
    except ValueError:  # There are none, or they are on different drives.
        return found
    for source in absolute:
        file = Path(source.file or "").relative_to(common).as_posix()
        found[source] = Source(file, source.line, source.name)
    return found


def _in_order(source: Source) -> tuple[str, int, str]:
    return source.file or "", source.line or 0, source.name or ""


class StoredLessons:
    """Lessons that are in memory, or in the folder of a model, or nowhere.

    Parameters
    ----------
    book
        The lessons, if they are in memory.
    folder
        Otherwise, the folder from which the policy is loaded; nothing in it is read now.
    """

    def __init__(self, book: LessonBook | None = None, folder: str | Path | None = None) -> None:
        self._book = book
        self._file = None if folder is None else Path(folder, FILE_NAME)
        self._identity = self._current_identity()

    def _current_identity(self) -> object:
        """Return what changes when another file takes the place of this one; None if there is none."""
        if self._file is None:
            return None
        try:
            status = os.stat(self._file)
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def read(self) -> LessonBook | None:
        """Return the lessons, None if there never were any.

        Raises
        ------
        ModelError
            If they cannot be read, or are those of another model by now.
        """
        if self._book is None and self._file is not None and self._identity is not None:
            arrays = read_arrays(self._file) if self._current_identity() == self._identity else {}
            if self._current_identity() != self._identity:
                raise ModelError(f"{str(self._file)!r} was replaced after the model was loaded; load the model again.")
            self._book = LessonBook(arrays)
        return self._book

    def save(self, folder: str | Path) -> None:
        """Write the lessons into another folder, if there are any; a policy is as good without them."""
        try:
            book = self.read()
        except ModelError as error:
            logger.warning("the model is written without the places of its training turns: %s", error)
        else:
            if book is not None:
                book.save(folder)
