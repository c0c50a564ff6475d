"""The agent that answers requests, how it is loaded, and how another model takes its place meanwhile.

A request asks once for the agent and keeps it to its end, so a new model never shows up in the middle of a
turn. Old and new agent work on the same conversations: each has its own view of the one store, because a
store remembers for which model it computes states.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rasa_core.agent import Agent
from rasa_core.exceptions import ModelError, RasaCoreError, StoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.model_folder import DIALOGUE_MODEL
from rasa_core.policies.ensemble import METADATA_NAME
from rasa_core.server.errors import HttpError
from rasa_core.support.folders import replace_directory
from rasa_core.tracker_store import SqliteTrackerStore, TrackerStore

logger = logging.getLogger(__name__)

# What a damaged model, or a policy or slot class of a user's own, raises when it is loaded.
LOAD_ERRORS = (RasaCoreError, OSError, ImportError, LookupError, TypeError, ValueError, AttributeError)

_NO_AGENT = "No agent loaded. To continue processing, a model of a trained agent needs to be loaded."
_LOOK_EVERY = 1.0  # seconds

Stamp = tuple[int, int, int]


class ServedModel:
    """An agent, or the reason why there is none.

    Parameters
    ----------
    path
        Directory of the model, None if `agent` was given instead.
    agent
        An agent that is ready.
    interpreter, action_factory
        As for `Agent.load`.
    tracker_store
        Where conversations are kept; None for the file `default_store_path`.
    replaceable
        Whether `replace` may be used, and models that other processes put in place are noticed.

    Raises
    ------
    StoreError
        If the file beside the model cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        agent: Agent | None = None,
        interpreter: NaturalLanguageInterpreter | None = None,
        action_factory: str | None = None,
        tracker_store: TrackerStore | None = None,
        replaceable: bool = False,
    ) -> None:
        self.path = None if path is None else Path(os.path.abspath(os.fsdecode(path)))
        self.replaceable = replaceable and self.path is not None
        self._interpreter = interpreter
        self._action_factory = action_factory
        self._store = tracker_store
        self._agent = agent
        self._problem = ""
        self._changing = threading.Lock()
        self._next_look = 0.0
        self._stamp: Stamp | None = None
        if self.path is not None:
            if self._store is None and self.path.is_dir():
                self._store = open_default_store(self.path)
            self._load_or_explain(self.path)

    def agent(self) -> Agent:
        """Return the agent; raise `HttpError` 503 if there is none."""
        if self.replaceable and time.monotonic() >= self._next_look:
            self._look()
        if self._agent is None:
            raise HttpError(503, _NO_AGENT, details={"reason": self._problem})
        return self._agent

    def agent_or_none(self) -> Agent | None:
        """Return the agent, None if there is none."""
        try:
            return self.agent()
        except HttpError:
            return None

    def replace(self, fill: Callable[[Path], None]) -> None:
        """Put another model in the place of the served one, on disk and here.

        Parameters
        ----------
        fill
            Writes the model into the empty directory that it is given.

        Raises
        ------
        Exception
            What `fill` raises, or one of `LOAD_ERRORS` if it is not a sound model; then nothing changes.
        """
        path = self._required_path()
        loaded: list[Agent] = []

        def fill_and_load(directory: Path) -> None:
            fill(directory)
            loaded.append(self._load(directory))

        with self._changing:
            replace_directory(path, fill_and_load, DIALOGUE_MODEL)
            self._agent, self._stamp = loaded[0], _stamp(path)

    def _load_or_explain(self, path: Path) -> None:
        stamp = _stamp(path)
        try:
            self._agent = self._load(path)
        except LOAD_ERRORS as error:
            self._problem = str(error) or type(error).__name__
            logger.error("cannot load the model %s: %s", path, self._problem)
        self._stamp = stamp  # Also if loading failed: the same files would fail again.

    def _load(self, directory: Path) -> Agent:
        if not directory.is_dir():
            raise ModelError(f"there is no model at {str(directory)!r}: train one first, or name another directory.")
        if self._store is None:
            self._store = open_default_store(self._required_path())
        return Agent.load(
            str(directory),
            interpreter=self._interpreter,
            tracker_store=self._store if self._agent is None else copy.copy(self._store),
            action_factory=self._action_factory,
        )

    def _look(self) -> None:
        """Load the model anew if another process has replaced it; other threads go on with the old one."""
        if not self._changing.acquire(blocking=False):
            return
        try:
            self._next_look = time.monotonic() + _LOOK_EVERY
            path = self._required_path()
            if _stamp(path) not in (None, self._stamp):
                self._load_or_explain(path)
        finally:
            self._changing.release()

    def _required_path(self) -> Path:
        if self.path is None:
            raise ModelError("this server was given an agent, not the directory of a model.")
        return self.path


def default_store_path(model: str | os.PathLike[str]) -> str:
    """Return the SQLite file beside a model: ``<model>.conversations.db``."""
    return f"{os.path.abspath(os.fsdecode(model))}.conversations.db"


def open_default_store(model: Path) -> SqliteTrackerStore:
    """Return the store of a model for which none is named; raise `StoreError` if it cannot be used."""
    store = SqliteTrackerStore(path=default_store_path(model))
    try:
        store.sender_ids(limit=1)
    except StoreError as error:
        store.close()
        raise StoreError(f"{error} Or name another store with --store, such as sqlite:///conversations.db.") from error
    return store


def _stamp(model: Path) -> Stamp | None:
    """Return what changes when a model is replaced, None if there is none."""
    try:
        found = (model / METADATA_NAME).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
