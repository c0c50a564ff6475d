"""Compares the conversations of a store in several processes, with the same result as in one process.

This process works too. Each worker process loads both models, reads its conversations from the store, and ends when
the connection is closed. A worker takes about a second to start, so workers are started only if the first conversations
show that they save time. If a worker cannot load something, such as a policy that is defined in a program, or the
store, the other processes do its work; so only this process reports the problem, if it has it too. If a worker is
killed, the comparison ends.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Protocol, Self, cast

from rasa_core.agent import Agent
from rasa_core.evaluation.changes import Comparison, Difference, Replayed, ReplayedConversations, Tally
from rasa_core.events import Event
from rasa_core.exceptions import RasaCoreError, StoreError
from rasa_core.interpreter import RasaNLUInterpreter, RegexInterpreter
from rasa_core.nlu.model import NLUModel
from rasa_core.policies.policy import Policy
from rasa_core.slots import Slot
from rasa_core.support.stored_models import KnownByName
from rasa_core.tracker_store.base import TrackerStore

logger = logging.getLogger(__name__)

TOGETHER: Final = 100
"""The number of conversations that a process gets at a time."""
WORTH: Final = 2.0
"""Seconds of remaining work from which workers are started: twice the time of their start."""

_MODULE: Final = "rasa_core.evaluation.worker"  # The module that each worker runs.


class WorkerError(RasaCoreError, RuntimeError):
    """A process that compared conversations has ended too early."""


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Replays(Protocol):
    """An object that replays conversations with two bots: a `rasa_core.evaluation.replay.Replay`."""

    @property
    def bots(self) -> tuple[Agent, Agent]: ...  # noqa: D102
    @property
    def understands(self) -> bool: ...  # noqa: D102
    def of_stored(self, store: TrackerStore, names: Sequence[str], longest: int | None) -> ReplayedConversations: ...  # noqa: D102


def compare_stored(
    replay: Replays,
    store: TrackerStore,
    names: Sequence[str],
    tell: Callable[[int], object] = lambda done: None,
    *,
    longest: int | None = None,
    processes: int | None = None,
    worth: float = WORTH,
) -> Comparison:
    """Replay conversations of a store with two bots.

    Parameters
    ----------
    names
        The ids of the conversations; one with more events than `longest` is left out.
    tell
        A function that is called with the number of conversations that are done.
    processes
        The largest number of processes; the number of processors if not given.
    worth
        The seconds of remaining work from which workers are started.

    Raises
    ------
    WorkerError
        If a worker is killed.
    """
    tally, file = Tally(), _file_of(store)
    work = _Work([list(names[at : at + TOGETHER]) for at in range(0, len(names), TOGETHER)])
    others = (processors() if processes is None else processes) - 1
    with ExitStack() as stack:
        for found in work.done_here(lambda some: replay.of_stored(store, some, longest)):
            for sender_id, one in found:
                tally.add(sender_id, one)
                tell(tally.found.conversations)
            if others > 0 and work.seconds_left() > worth:
                job = stack.enter_context(_Job(replay, store, longest, file))
                for _ in range(min(others, work.left()) if job.content else 0):
                    stack.enter_context(_Worker(job.content, work))
                others = 0
    for problem in work.missing_help:
        logger.warning("a process more cannot compare the models: %s", problem)
    return tally.comparison()


def _file_of(store: TrackerStore) -> list[Any] | None:
    """Return the path of a store in a file, and the numbers that identify the file."""
    path = getattr(store, "path", None)
    return None if path is None else [path, *_identity(path)]


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def check_same_file(file: Sequence[Any] | None) -> None:
    """Raise `StoreError` if the file of a store is missing or another one, instead of opening a new, empty file."""
    if file is not None and list(file) != [file[0], *_identity(file[0])]:
        raise StoreError(f"the file {file[0]!r} was removed or replaced while its conversations were compared.")


class _Work:
    """The ids of conversations in batches, which several threads take, and the results of each batch.

    Attributes
    ----------
    missing_help : list of str
        Why workers failed.
    """

    def __init__(self, portions: Sequence[list[str]]) -> None:
        self._portions = portions
        self._taken = 0
        self._given_back: list[int] = []
        self.missing_help: list[str] = []
        self._began = time.monotonic()
        self._done: dict[int, ReplayedConversations] = {}
        self._problem: WorkerError | None = None
        self._news = threading.Condition()

    def take(self) -> int | None:
        """Return the number of a batch that no thread has taken; None if there is none."""
        with self._news:
            if self._given_back:
                return self._given_back.pop()
            if self._taken == len(self._portions):
                return None
            self._taken += 1
            return self._taken - 1

    def names(self, number: int) -> list[str]:
        """Return the ids in a batch."""
        return self._portions[number]

    def put(self, number: int, found: ReplayedConversations | WorkerError) -> None:
        """Store the results of a batch, or the error of its worker."""
        with self._news:
            if isinstance(found, WorkerError):
                self._problem = found
            else:
                self._done[number] = found
            self._news.notify_all()

    def go_without(self, problem: str, number: int | None) -> None:
        """Note why a worker failed, and give back the batch that it has not done."""
        with self._news:
            self.missing_help.append(problem)
            self._given_back += [] if number is None else [number]
            self._news.notify_all()

    def left(self) -> int:
        """Return the number of batches that no thread has taken."""
        return len(self._portions) - self._taken + len(self._given_back)

    def seconds_left(self) -> float:
        """Return how long this process would take for the rest alone."""
        return (time.monotonic() - self._began) / max(1, self._taken) * self.left()

    def done_here(self, do: Callable[[Sequence[str]], ReplayedConversations]) -> Iterator[ReplayedConversations]:
        """Take batches and do them, and yield the results of all batches in their order."""
        for number in range(len(self._portions)):
            while number not in self._done:
                mine = self.take()
                if mine is None:
                    self._wait_for(number)
                else:
                    self.put(mine, do(self._portions[mine]))
                if self._problem is not None:
                    raise self._problem
            yield self._done.pop(number)

    def _wait_for(self, number: int) -> None:
        with self._news:
            self._news.wait_for(lambda: number in self._done or self._given_back or self._problem is not None)


class _Job:
    """The first message to each worker: two models in a folder, and the URL of the store.

    Attributes
    ----------
    content : bytes
        The message; empty if workers cannot load some part of it.
    """

    def __init__(self, replay: Replays, store: TrackerStore, longest: int | None, file: Sequence[Any] | None) -> None:
        self._bots, self._understands, self._longest = replay.bots, replay.understands, longest
        self._file = file
        self._url = getattr(store, "url", None)
        self._folder = tempfile.TemporaryDirectory(prefix="rasa_core-compare-")
        self.content = b""

    def __enter__(self) -> Self:
        kinds = (RasaNLUInterpreter, RegexInterpreter)
        if self._url is None or (self._understands and any(type(bot.interpreter) not in kinds for bot in self._bots)):
            return self
        try:
            models = [self._written(bot, Path(self._folder.name, f"{place}")) for place, bot in enumerate(self._bots)]
        except (RasaCoreError, OSError) as error:
            logger.info("one process compares the models, since others cannot be given them: %s", error)
            return self
        about = {"models": models, "url": self._url, "longest": self._longest, "file": self._file}
        about["folder"] = self._folder.name
        self.content = json.dumps({**about, "modules": _own_modules()}).encode("ascii")
        return self

    def _written(self, bot: Agent, folder: Path) -> list[str | None]:
        bot.persist(folder / "dialogue")
        nlu = bot.interpreter.model if isinstance(bot.interpreter, RasaNLUInterpreter) and self._understands else None
        if nlu is not None:
            cast(NLUModel, nlu).persist(folder / "nlu")
        return [str(folder / "dialogue"), None if nlu is None else str(folder / "nlu")]

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _own_modules() -> list[str]:
    """Return the names of the modules in which users have defined policies and events of their own."""
    bases: tuple[type[Any], ...] = (Policy, Event, Slot, KnownByName)
    modules = {kind.__module__ for base in bases for kind in _below(base)}
    return sorted(module for module in modules if module.partition(".")[0] != "rasa_core")


def _below(base: type[Any]) -> Iterator[type[Any]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _below(kind)


class _Worker:
    """A worker process, and the thread that gives it batches."""

    def __init__(self, job: bytes, work: _Work) -> None:
        self._work = work
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl+C goes only to the starting process, which ends this one.
                env={
                    # One thread for arithmetic in each process; several would only wait for each other.
                    **{"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
            )
        self._link = Connection(ours.detach())
        self._link.send_bytes(job)
        self._thread = threading.Thread(target=self._follow, name="comparing", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        self._link.close()

    def _follow(self) -> None:
        number = None
        try:
            problem = json.loads(self._link.recv_bytes())
            while problem is None and (number := self._work.take()) is not None:
                self._link.send_bytes(json.dumps(self._work.names(number)).encode("ascii"))
                content = self._link.recv_bytes()
                if content.startswith(b'"'):
                    problem = json.loads(content)
                else:
                    self._work.put(number, _read(content))
            if problem is not None:
                self._work.go_without(problem, number)
        except (EOFError, OSError):
            code = self._process.wait()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with the code {code}, as told above"
            told = f"a process that compared conversations {how}. Compare again; one process alone needs less memory."
            self._work.put(number or 0, WorkerError(told))


def _read(content: bytes) -> ReplayedConversations:
    return [
        (name, Replayed(count, [Difference(*note) for note in notes])) for name, (count, notes) in json.loads(content)
    ]
