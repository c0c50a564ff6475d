"""The served agent: how it is loaded and replaced, and how old conversations and answers are deleted.

A request gets the agent once and uses it to its end, so the model never changes in the middle of a turn. The old and
the new agent work on the same conversations, but each has its own copy of the store object, since a store object is
bound to the model for which it computes states.

Uploads (``POST /load``) are off by default and need a token, since whoever may upload a model decides what the bot
does. The old model is served until the new model is unpacked, loaded and checked, as `rasa_core.server.uploads`
describes.

The model of a project is the current one of its versions (`rasa_core.support.kept_versions`). When another version
becomes current, it is loaded together with its interpreter, while other threads still use the old version.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from rasa_core.actions.nlg import NlgServer
from rasa_core.actions.webhook import ActionServer
from rasa_core.agent import Agent
from rasa_core.exceptions import ModelError, RasaCoreError, StoreError
from rasa_core.interpreter import NaturalLanguageInterpreter, RasaNLUInterpreter, RegexInterpreter
from rasa_core.model_folder import DIALOGUE_MODEL
from rasa_core.policies.ensemble import METADATA_NAME
from rasa_core.server import uploads
from rasa_core.server.callers import is_from_a_page
from rasa_core.server.reminders import ReminderClock
from rasa_core.server.requests import HttpError, Request, without_folders
from rasa_core.server.settings import default_store_path
from rasa_core.slots import without_imports
from rasa_core.support.folders import Stamp, is_of_this_machine, replace_directory, stamp_of
from rasa_core.support.kept_versions import CURRENT, as_current, current_version, name_of_model
from rasa_core.support.moments import ClockWatch
from rasa_core.support.threads import started
from rasa_core.tracker_store.base import ANSWERS_KEPT, TrackerStore
from rasa_core.tracker_store.log_store import CommitWatch, EventLogStore
from rasa_core.tracker_store.retention import expire_conversations
from rasa_core.tracker_store.sqlite import SqliteTrackerStore
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

# The errors that a damaged model, or a custom policy or slot class, may raise when it is loaded.
_LOAD_ERRORS: Final = (
    *(RasaCoreError, OSError, ImportError, LookupError, TypeError, ValueError, AttributeError),
    *(ArithmeticError, MemoryError, RuntimeError),
)
_NO_AGENT: Final = "No agent loaded. To continue processing, a model of a trained agent needs to be loaded."
_LOOK_EVERY = 1.0  # seconds
_WATCH_EVERY = 10.0  # seconds


class Serves(Protocol):
    """The part of an application that views of a model need."""

    @property
    def model(self) -> ServedModel: ...  # noqa: D102


class ServedModel:
    """The served agent, or the reason why no model could be loaded.

    Parameters
    ----------
    path
        Directory of the model; None if `agent` is given.
    interpreter, action_factory
        The same as for `Agent.load`.
    tracker_store
        The store of the conversations; None for the file `default_store_path`.
    replaceable
        Whether `replace` is allowed, and a model that another process has put in place is loaded.

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
        actions: str | Mapping[str, Any] | ActionServer | None = None,
        nlg: str | Mapping[str, Any] | NlgServer | None = None,
    ) -> None:
        self.path = None if path is None else Path(os.path.abspath(os.fsdecode(path)))
        self.replaceable = replaceable and self.path is not None
        self._follows = self.path is not None and current_version(self.path.parent) is not None
        self._interpreter = interpreter
        self._nlu = self._followed_interpreter()
        self._action_factory = action_factory
        self._servers: dict[str, Any] = {"actions": actions, "nlg": nlg}
        self._store = tracker_store
        self._agent = agent
        self._on_commit: Callable[[DialogueStateTracker], object] | None = None
        self._problem = ""
        self._store_watch: CommitWatch | None = None
        self._changing = threading.Lock()
        self._next_look = 0.0
        self._stamp: tuple[Stamp | None, Stamp | None] | None = None
        if self.path is not None:
            if self._store is None and self.path.is_dir():
                self._store = open_default_store(self.path)
            self._load_or_explain(self.path)

    def agent(self) -> Agent:
        """Return the agent; raise `HttpError` 503 if there is none."""
        is_watched = self.replaceable or self._follows or (self._agent is None and self.path is not None)
        if is_watched and time.monotonic() >= self._next_look:
            self._look()
        if self._agent is None:
            raise HttpError(503, _NO_AGENT, details={"reason": without_folders(self._problem)})
        return self._agent

    def agent_or_none(self) -> Agent | None:
        """Return the agent, or None."""
        try:
            return self.agent()
        except HttpError:
            return None

    def look_again(self) -> None:
        """Check for a new model; if there is one, return when it is loaded."""
        if self.path is not None:
            self._look(waits=True)

    def watch_store(self, watch: CommitWatch) -> None:
        """Call `watch` for every commit of the store from now on, also with later models."""
        self._store_watch = watch
        for store in (self._store, None if self._agent is None else self._agent.tracker_store):
            if isinstance(store, EventLogStore):
                store.watch = watch

    def replace(self, request: Request) -> None:
        """Unpack, load and check the model in a request; then replace the served model by it, also on disk.

        Raises
        ------
        HttpError
            403 if uploads are off, or the request comes from a web page; 400 if the request has no valid model; 413 if
            the model is too large. In these cases nothing changes.
        """
        if not self.replaceable:
            raise HttpError(403, "loading models is off; start the server with -d MODEL and --enable-load to allow it.")
        # Any page that somebody visits could send a form to a server on their machine.
        if is_from_a_page(request.environ):
            raise HttpError(403, "web pages may not load models; use a program, such as curl -F model=@model.zip.")
        loaded: list[Agent] = []
        with request:
            sent = request.uploaded_file("model", uploads.MAX_ARCHIVE)
            if sent is None:
                raise HttpError(400, 'send the model as a zip file in the field "model" of multipart/form-data.')

            path = self._required_path()
            folders = [f"{path.parent}/"]

            def unpack_and_load(directory: Path) -> None:
                folders.insert(0, f"{directory}/")
                uploads.unpack(sent.stream, directory)
                uploads.check_files(directory, sent.stream.seek(0, os.SEEK_END))
                agent = self._load_foreign(directory)
                uploads.check_predictions(agent.policy_ensemble, agent.domain)
                loaded.append(agent)

            try:
                with self._changing, uploads.others_first():
                    replace_directory(path, unpack_and_load, DIALOGUE_MODEL)
                    loaded[0].model_file = name_of_model(path)
                    self._agent, self._stamp = loaded[0], _stamps(path)
            except _LOAD_ERRORS as error:
                problem = str(error) or type(error).__name__
                failed = error if isinstance(error, OSError) else error.__cause__
                if isinstance(failed, OSError) and is_of_this_machine(failed):
                    logger.error("the uploaded model is not loaded: %s", problem)
                    told = f"models cannot be written here: {failed.strerror}; the log says where."
                    raise HttpError(503, f"{told} The old one stays.") from error
                for folder in folders:  # Clients are not told the folders of this machine.
                    problem = problem.replace(folder, "")
                problem = f"the uploaded model is not loaded, and the old one stays: {without_folders(problem)}"
                raise HttpError(400, problem) from error

    def _load_or_explain(self, path: Path) -> None:
        stamp = _stamps(path)
        try:
            # The model at the start of the server is trusted; a later one may have been uploaded to another process.
            is_own = self._stamp is None or not self.replaceable
            self._agent = self._load(path) if is_own else self._load_foreign(path)
        except _LOAD_ERRORS as error:
            self._problem = str(error) or type(error).__name__
            logger.error("cannot load the model %s: %s", path, self._problem)
        self._stamp = stamp  # Also if loading failed: the same files would fail again.

    def _load(self, directory: Path) -> Agent:
        if not directory.is_dir():
            raise ModelError(f"there is no model at {str(directory)!r}: train one first, or name another directory.")
        if self._store is None:
            self._store = open_default_store(self._required_path())
            self._store.watch = self._store_watch
        agent = Agent.load(
            str(as_current(directory)),
            interpreter=self._present_interpreter(),
            tracker_store=self._store if self._agent is None else copy.copy(self._store),
            action_factory=self._action_factory,
            **self._servers,
        )
        self._watch(agent)
        return agent

    def watch_reminders(self, on_commit: Callable[[DialogueStateTracker], object]) -> None:
        """Call `on_commit` with each changed conversation that may have reminders, also with later agents."""
        self._on_commit = on_commit
        if self._agent is not None:
            self._watch(self._agent)

    def _watch(self, agent: Agent) -> None:
        if self._on_commit is not None and agent.domain.rasa is not None:  # Only bots of Rasa 3 have such reminders.
            agent.on_commit = agent.processor.on_commit = self._on_commit

    def _followed_interpreter(self) -> Path | None:
        """Return the path of the project's current NLU model; None if the interpreter is not the project's."""
        if not self._follows or self.path is None:
            return None
        if isinstance(self._interpreter, RasaNLUInterpreter):
            return Path(self._interpreter.model_directory)
        place = self.path.parent / "nlu"  # The project may have no NLU model yet; a later version may have one.
        return place if isinstance(self._interpreter, RegexInterpreter) and not place.is_dir() else None

    def _present_interpreter(self) -> NaturalLanguageInterpreter | None:
        """Return the interpreter; for a project, the interpreter of the present version."""
        if self._agent is None or self._nlu is None:
            return self._interpreter
        place = as_current(self._nlu)
        if place != self._nlu:
            return RasaNLUInterpreter(place)
        return self._interpreter if self._nlu.is_dir() else RegexInterpreter()

    def _load_foreign(self, directory: Path) -> Agent:
        with without_imports():
            return self._load(directory)

    def _look(self, *, waits: bool = False) -> None:
        """Load the model again if another process has replaced it; other threads go on with the old model."""
        if not self._changing.acquire(blocking=waits):
            return
        try:
            self._next_look = time.monotonic() + _LOOK_EVERY
            path = self._required_path()
            stamps = _stamps(path)
            if stamps[0] is not None and stamps != self._stamp:
                with uploads.others_first():
                    self._load_or_explain(path)
        finally:
            self._changing.release()

    def _required_path(self) -> Path:
        if self.path is None:
            raise ModelError("this server was given an agent, not the directory of a model.")
        return self.path


def _stamps(path: Path) -> tuple[Stamp | None, Stamp | None]:
    """Return values that change when another model takes the place of the model at `path`."""
    return stamp_of(as_current(path) / METADATA_NAME), stamp_of(path.parent / CURRENT)


def open_default_store(model: Path) -> SqliteTrackerStore:
    """Return the SQLite store beside a model, used if no store is named; raise `StoreError` if it cannot be used."""
    store = SqliteTrackerStore(path=default_store_path(model))
    try:
        store.sender_ids(limit=1)
    except StoreError as error:
        store.close()
        raise StoreError(f"{error} Or name another store with --store, such as sqlite:///conversations.db.") from error
    return store


# -- deleting old conversations and answers


class Housekeeper:
    """Deletes expired answers of idempotency keys and idle conversations at regular times, and runs the reminders.

    Each process does this in a thread of its own, which starts with the first request, also behind servers that fork.

    Parameters
    ----------
    model
        The served model, whose store is cleaned.
    retention
        Seconds after which an unchanged conversation is deleted; None to keep all.
    owner
        A function that returns None when the thread may end, such as a weak reference to the application. None for a
        thread that never ends.
    first, every
        Seconds until the first cleaning, and between the following ones.

    Attributes
    ----------
    threads : dict
        The thread of each process that has one, by the id of the process.
    """

    def __init__(
        self,
        model: ServedModel,
        retention: float | None = None,
        owner: Callable[[], object] | None = None,
        *,
        first: float = 10.0,
        every: float = 3600.0,
    ) -> None:
        self._model = model
        self._retention = retention
        self._is_needed: Callable[[], bool] = lambda: owner is None or owner() is not None
        self._first = first
        self._every = every
        self.threads: dict[int, threading.Thread] = {}
        self.clock = ReminderClock(model.agent)
        self._reminding: threading.Thread | None = None
        self._set = ClockWatch()
        model.watch_reminders(self.clock.note)

    def start(self) -> None:
        """Start the thread of this process, unless it is running."""
        thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        # `setdefault` is atomic. A lock could be copied by a fork while it is held, and would never be released.
        if self.threads.setdefault(os.getpid(), thread) is thread:
            try:
                thread.start()
            except RuntimeError:  # The system has no free thread; the next request tries again.
                del self.threads[os.getpid()]

    def _remind(self) -> None:
        self._reminding = started(self.clock.run, "reminders", self._is_needed)

    def _before(self, kept: float) -> float:
        """Return the time `kept` seconds ago, or earlier if the machine's clock was set forward meanwhile."""
        return time.time() - kept - self._set.too_old(kept)

    def _run(self) -> None:
        self._remind()  # Only called in this thread, so that the clock is never started twice.
        time.sleep(self._first)
        while self._is_needed():
            try:
                self.clean()
            except Exception:  # The outermost level of this thread, which must go on after any error.
                logger.exception("old conversations and answers are kept for now, because of an unexpected error:")
            until = time.monotonic() + self._every
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(left, _WATCH_EVERY))
                self._set.look()
                if self._reminding is None:  # The system had no free thread before.
                    self._remind()

    def clean(self) -> None:
        """Delete expired answers and idle conversations; if the store cannot be reached, log that and do nothing.

        If the machine's clock was set forward, conversations that only seem old for that reason are kept.
        """
        self._set.look()
        try:
            store = self._model.agent().tracker_store
            store.expire_answers(self._before(ANSWERS_KEPT))
            if self._retention is None:
                return
            if isinstance(store, EventLogStore):
                deleted = expire_conversations(store, self._before(self._retention))
                logger.info("%d conversations that were idle for too long were deleted.", deleted)
            else:
                logger.warning("%s cannot tell which conversations are idle: none is deleted.", type(store).__name__)
        except (StoreError, HttpError) as error:
            logger.warning("old conversations and answers are kept for now: %s", error)
