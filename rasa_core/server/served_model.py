"""The agent that answers requests: how it is loaded, how another takes its place, and what is forgotten in time.

A request asks once for the agent and keeps it to its end, so a new model never shows up in the middle of a turn. Old
and new agent work on the same conversations: each has its own view of the one store, because a store remembers for
which model it computes states.

Uploads (``POST /load``) are off unless the server is told to, and want a token: whoever may upload decides what the bot
does. The served model stays until the new one is unpacked, loaded and checked, as `rasa_core.server.uploads` tells.

The model of a project is the current one of its versions (`rasa_core.support.kept_versions`). When another takes its
place, that one is loaded, with its interpreter, while other threads go on with the one before.
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

# What a damaged model, or a policy or slot class of a user's own, raises when it is loaded.
_LOAD_ERRORS: Final = (
    *(RasaCoreError, OSError, ImportError, LookupError, TypeError, ValueError, AttributeError),
    *(ArithmeticError, MemoryError, RuntimeError),
)
_NO_AGENT: Final = "No agent loaded. To continue processing, a model of a trained agent needs to be loaded."
_LOOK_EVERY = 1.0  # seconds
_WATCH_EVERY = 10.0  # seconds


class Serves(Protocol):
    """What views are given: an application, which has a model."""

    @property
    def model(self) -> ServedModel: ...  # noqa: D102


class ServedModel:
    """An agent, or the reason why there is none.

    Parameters
    ----------
    path
        Directory of the model, None if `agent` was given instead.
    agent
        An agent that is ready.
    interpreter, action_factory
        The same as for `Agent.load`.
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
        if (self.replaceable or self._follows) and time.monotonic() >= self._next_look:
            self._look()
        if self._agent is None:
            raise HttpError(503, _NO_AGENT, details={"reason": without_folders(self._problem)})
        return self._agent

    def agent_or_none(self) -> Agent | None:
        """Return the agent, None if there is none."""
        try:
            return self.agent()
        except HttpError:
            return None

    def look_again(self) -> None:
        """Look whether another model is to serve, and return when it does."""
        if self.path is not None:
            self._look(waits=True)

    def watch_store(self, watch: CommitWatch) -> None:
        """Tell of what the store commits from now on, also under models to come."""
        self._store_watch = watch
        for store in (self._store, None if self._agent is None else self._agent.tracker_store):
            if isinstance(store, EventLogStore):
                store.watch = watch

    def replace(self, request: Request) -> None:
        """Unpack, load and check the model in a request, and put it in the place of the served one, on disk and here.

        Raises
        ------
        HttpError
            403 if uploads are off, or the request comes from a web page; 400 if there is no sound model in the
            request; 413 if it is too large. Then nothing changes.
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
                for folder in folders:  # Where a model is on this machine is nothing to whoever sent it.
                    problem = problem.replace(folder, "")
                problem = f"the uploaded model is not loaded, and the old one stays: {without_folders(problem)}"
                raise HttpError(400, problem) from error

    def _load_or_explain(self, path: Path) -> None:
        stamp = _stamps(path)
        try:
            # What is there when the server starts is the owner's own; later, another process may have been sent it.
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
        """Show each conversation that was changed and may have reminders, by whatever agent serves then."""
        self._on_commit = on_commit
        if self._agent is not None:
            self._watch(self._agent)

    def _watch(self, agent: Agent) -> None:
        if self._on_commit is not None and agent.domain.rasa is not None:  # No other bot has reminders.
            agent.on_commit = agent.processor.on_commit = self._on_commit

    def _followed_interpreter(self) -> Path | None:
        """Return where each version of a project has its interpreter, None if something else understands typed text."""
        if not self._follows or self.path is None:
            return None
        if isinstance(self._interpreter, RasaNLUInterpreter):
            return Path(self._interpreter.model_directory)
        place = self.path.parent / "nlu"  # Where the project has none yet, one of its next versions may bring it.
        return place if isinstance(self._interpreter, RegexInterpreter) and not place.is_dir() else None

    def _present_interpreter(self) -> NaturalLanguageInterpreter | None:
        """Return the interpreter; one of a project, that of the version which serves."""
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
        """Load the model anew if another process has replaced it; other threads go on with the old one."""
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
    """Return what changes when another model takes the place of the one at `path`."""
    return stamp_of(as_current(path) / METADATA_NAME), stamp_of(path.parent / CURRENT)


def open_default_store(model: Path) -> SqliteTrackerStore:
    """Return the store of a model for which none is named; raise `StoreError` if it cannot be used."""
    store = SqliteTrackerStore(path=default_store_path(model))
    try:
        store.sender_ids(limit=1)
    except StoreError as error:
        store.close()
        raise StoreError(f"{error} Or name another store with --store, such as sqlite:///conversations.db.") from error
    return store


# -- what is forgotten


class Housekeeper:
    """Forgets, at regular times, answers that nobody will ask for again and conversations past their time; reminds.

    Each process does this in a thread of its own, which starts with the first request, also behind servers that fork.

    Parameters
    ----------
    model
        Knows the store.
    retention
        Conversations that have not changed for so long are deleted, in seconds; None to keep all.
    owner
        Returns None once nobody needs this any more, such as a weak reference to the application; None for ever.
    first, every
        When it is done first, and then again, in seconds.

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
        """Begin in this process, unless that was done already."""
        thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        # One step that no other thread can come between, without a lock that a fork would copy while it is held.
        if self.threads.setdefault(os.getpid(), thread) is thread:
            try:
                thread.start()
            except RuntimeError:  # No more threads now; the next request tries again.
                del self.threads[os.getpid()]

    def _remind(self) -> None:
        self._reminding = started(self.clock.run, "reminders", self._is_needed)

    def _before(self, kept: float) -> float:
        """Return before which time that changed which is older than `kept` seconds."""
        return time.time() - kept - self._set.too_old(kept)

    def _run(self) -> None:
        self._remind()  # Here, and never in the thread of a request, so that no two can begin it.
        time.sleep(self._first)
        while self._is_needed():
            try:
                self.clean()
            except Exception:  # The outermost edge of this thread: what failed once must not end it for good.
                logger.exception("old conversations and answers are kept for now, because of an unexpected error:")
            until = time.monotonic() + self._every
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(left, _WATCH_EVERY))
                self._set.look()
                if self._reminding is None:  # There was no room for one more thread.
                    self._remind()

    def clean(self) -> None:
        """Forget what is old now; a store that cannot be reached is left for the next time.

        What the clock makes seem older than it is, since it was set meanwhile, is kept.
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
