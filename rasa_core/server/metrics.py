"""Metrics of a server for Prometheus: requests, turns, predictions, failures, and the time that the store takes.

A request only appends a note, and the notes are added up later. The processes of one server share a folder. Each writes
its sums into it every `WRITTEN_EVERY` seconds, if they have changed. The process that is asked for the metrics waits
twice as long and then adds up all files, so that the sums include every request that was answered before, whichever
process answered it. Labels have few values: paths have no sender_ids, and the names of policies come from the model.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from rasa_core.events import ActionExecuted, Event, UserUttered
from rasa_core.support.threads import started

logger = logging.getLogger(__name__)

WRITTEN_EVERY: Final = 0.2
"""Seconds between two writes of the sums."""
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds, in seconds, of the histograms of requests and commits."""

_MOST_NOTES: Final = 1000  # More notes are added up at once, since nobody may ever ask for /metrics.
_MOST_POLICIES: Final = 50  # Prometheus keeps a series for each value of a label for good.
_OTHER: Final = "other"
_FALLBACK_ACTION: Final = "action_default_fallback"
_COUNTERS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "requests": ("Requests that were answered.", ("route", "method", "status")),
    "turns": ("Messages of users.", ()),
    "predictions": ("Actions that ran, by the policy that chose them.", ("policy",)),
    "fallbacks": ("Actions that ran since the bot was unsure.", ()),
    "failed_actions": ("Actions that failed.", ()),
}
_HISTOGRAMS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "request_seconds": ("How long requests took.", ("route",)),
    "store_seconds": ("How long the store took to commit.", ()),
}

Key = tuple[str, ...]
"""The name of a sum, and the values of its labels."""


def can_be_read() -> bool:
    """Tell whether prometheus_client is installed."""
    return find_spec("prometheus_client") is not None


class Sums:
    """Counters and histograms; a histogram has a count for each of `BUCKETS`, one above all buckets, and a sum."""

    def __init__(self) -> None:
        self.counts: dict[Key, float] = {}
        self.times: dict[Key, list[float]] = {}

    def count(self, *key: str) -> None:
        """Add 1 to a counter."""
        self.counts[key] = self.counts.get(key, 0) + 1

    def time(self, seconds: float, *key: str) -> None:
        """Add a time to a histogram."""
        buckets = self.times.setdefault(key, [0.0] * (len(BUCKETS) + 2))
        buckets[bisect_left(BUCKETS, seconds)] += 1
        buckets[-1] += seconds

    def add(self, written: Mapping[str, Sequence[tuple[Sequence[str], Any]]]) -> None:
        """Add the sums that another process has written."""
        for key, value in written["counts"]:
            self.counts[tuple(key)] = self.counts.get(tuple(key), 0) + value
        for key, values in written["times"]:
            old = self.times.get(tuple(key), [0.0] * len(values))
            self.times[tuple(key)] = [a + b for a, b in zip(old, values, strict=True)]

    def as_json(self) -> str:
        """Return the sums as JSON, which `add` reads."""
        return json.dumps({"counts": list(self.counts.items()), "times": list(self.times.items())})


class Metrics:
    """The metrics of this process. Safe to share between threads.

    Parameters
    ----------
    folder
        The folder in which the processes of a server write their sums; None for a single process.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._notes: deque[tuple[Any, ...]] = deque()
        self._sums = Sums()
        self._lock = threading.Lock()
        self._policies: set[str] = set()
        self._most_notes = _MOST_NOTES
        self._catching_up = threading.Lock()
        self._is_behind = False
        if self._folder is not None:
            # The sums of a process that has died are kept. The time is in the name, as process ids are used again.
            self._file = self._folder / f"{os.getpid()}-{time.time_ns()}.json"
            self._start_writing()

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Note a request that was answered."""
        self._notes.append((route, method, status, seconds))  # Atomic, so that requests need no lock.
        if len(self._notes) > self._most_notes:
            self._catch_up()

    def committed(self, events: Sequence[Event], seconds: float) -> None:
        """Note a commit: its events, and how long the store took."""
        self._notes.append((events, seconds))

    def _add_up(self) -> int:
        """Add the notes to the sums; return how many there were."""
        done = 0
        with self._lock, suppress(IndexError):  # Until the list is empty, as other threads add notes meanwhile.
            while True:
                note = self._notes.popleft()
                done += 1
                if len(note) == 4:
                    route, method, status, seconds = note
                    self._sums.count("requests", route, method, str(status))
                    self._sums.time(seconds, "request_seconds", route)
                else:
                    self._sums.time(note[1], "store_seconds")
                    self._count_events(note[0])
        return done

    def _count_events(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, UserUttered):
                self._sums.count("turns")
            elif isinstance(event, ActionExecuted):
                if event.policy is not None:
                    self._sums.count("predictions", self._label(event.policy))
                if "Fallback" in (event.policy or "") or event.action_name == _FALLBACK_ACTION:
                    self._sums.count("fallbacks")
                if event.error is not None:
                    self._sums.count("failed_actions")

    def _label(self, policy: str) -> str:
        if policy not in self._policies and len(self._policies) >= _MOST_POLICIES:
            return _OTHER
        self._policies.add(policy)
        return policy

    def _start_writing(self) -> None:
        """Start the thread that writes the sums; if no thread can be started, requests write until one can."""
        self._most_notes = 0 if started(self._write_regularly, "metrics") is None else _MOST_NOTES

    def _catch_up(self) -> None:
        if self._most_notes:
            self._add_up()
            return
        with self._catching_up:
            if not self._most_notes:  # Of several requests that wait for the lock, only the first starts the thread.
                self._start_writing()
            if not self._most_notes:
                self._is_behind = self.write_if_changed(self._is_behind)

    def _write_regularly(self) -> None:
        while True:
            time.sleep(WRITTEN_EVERY)
            self._is_behind = self.write_if_changed(self._is_behind)

    def write_if_changed(self, was_behind: bool = False) -> bool:
        """Write the sums if they have changed or `was_behind`; return whether writing failed."""
        try:
            if self._add_up() or was_behind:
                self._write()
        except Exception as error:  # The outermost level of a thread, which must go on after a full disk.
            if not was_behind:
                said = "metrics cannot be written into %s, and stay behind until they can: %s"
                logger.error(said, self._folder, error, exc_info=not isinstance(error, OSError))
            return True
        return False

    def _write(self) -> None:
        with self._lock:
            text = self._sums.as_json()
        written = self._file.with_suffix(".new")  # Renamed when complete, since another process may read at any moment.
        try:
            written.write_text(text, encoding="ascii")
            written.replace(self._file)
        except OSError:
            with suppress(OSError):
                written.unlink(missing_ok=True)
            raise

    def _all_sums(self) -> Sums:
        """Return the sums of all processes."""
        sums = Sums()
        if self._folder is None:
            self._add_up()
            with self._lock:
                sums.add(json.loads(self._sums.as_json()))
            return sums
        time.sleep(2 * WRITTEN_EVERY)  # Twice, since another process may have begun to write just before.
        for file in sorted(self._folder.glob("*.json")):
            sums.add(json.loads(file.read_bytes()))
        return sums

    def as_text(self, info: Mapping[str, str]) -> tuple[bytes, str]:
        """Return the metrics in the format of Prometheus, and its content type; `info` has labels about the server."""
        # A new registry for each answer: the library's own registry also has metrics of this one process.
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry = CollectorRegistry()
        registry.register(_Collector(self._all_sums(), info))
        return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    """A collector of prometheus_client that yields the sums."""

    def __init__(self, sums: Sums, info: Mapping[str, str]) -> None:
        self._sums = sums
        self._info = info

    def collect(self) -> Iterator[Any]:
        """Yield each metric with its values."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        about = GaugeMetricFamily("rasa_core_info", "What serves.", labels=list(self._info))
        about.add_metric(list(self._info.values()), 1)
        yield about
        for name, (said, labels) in _COUNTERS.items():
            counter = CounterMetricFamily(f"rasa_core_{name}", said, labels=labels)
            for key, value in sorted(self._of(self._sums.counts, name, labels, 0.0)):
                counter.add_metric(key, value)
            yield counter
        for name, (said, labels) in _HISTOGRAMS.items():
            histogram = HistogramMetricFamily(f"rasa_core_{name}", said, labels=labels)
            for key, values in sorted(self._of(self._sums.times, name, labels, [0.0] * (len(BUCKETS) + 2))):
                bounds = [*map(str, BUCKETS), "+Inf"]
                histogram.add_metric(key, list(zip(bounds, accumulate(values[:-1]), strict=True)), values[-1])
            yield histogram

    @staticmethod
    def _of(sums: Mapping[Key, Any], name: str, labels: Sequence[str], nothing: Any) -> list[tuple[list[str], Any]]:
        """Return the values of a metric; a metric without labels has the value `nothing` from the start."""
        found = [(list(key[1:]), value) for key, value in sums.items() if key[0] == name]
        return found or ([] if labels else [([], nothing)])
