"""The thread pool of a worker: clients that send only half of a body do not keep other requests waiting.

Granian calls an application when the head of a request has come, in a thread that then has to read the body before the
call returns. So a client that does not send its body would block a thread for as long as it likes. Here:

- A process has `SEATS` threads. Each of them takes in a request: it lets the application check the head, answers a
  refused request at once, and otherwise waits for the body.
- A request whose body has come is worked on at a *desk*. There are as many desks as the server's option for threads
  says, since several working threads wait for each other's interpreter lock. If a desk is free, the thread that took in
  the request works on it, and then on the requests that have come meanwhile. If no desk is free, the thread leaves the
  request to the threads at the desks, and rests. New requests wait in Granian until a working thread is done and takes
  them in, so that requests are taken in one after the other: with two threads in turns, the interpreter lock changes
  hands at each row of a store, which cost a third of all turns with eight clients.
- If no request has been answered for `_TICK` seconds, either all working threads wait for something, such as a body, or
  there is nothing to do. Then one resting thread goes back to Granian for new requests, after the next `_TICK` seconds
  two, then four, and so on, so that many missing bodies do not block others for long.
- If requests are waiting and none has been answered for `HELD_UP` seconds, the threads at the desks are blocked, such
as
  by a slow action. Then a spare desk is opened, if there is one, and closed `QUIET` seconds after this was last needed.
- Each piece of a body has a timeout, a tenth of it while more than half of the seats are taken. Then the client is
  answered with 408, which closes the connection, and the thread is free again.

A chunked or long body is read by the application itself, piece by piece, and takes no desk meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Protocol

from rasa_core.support.strict_json import encode
from rasa_core.support.work import HEADER, Work, request_id, under_way

logger = logging.getLogger(__name__)

SEATS: Final = 200
PATIENCE: Final = 10.0
"""Timeout for a piece of a body, in seconds."""

HELD_UP: Final = 0.02
QUIET: Final = 5.0
_TICK: Final = 0.005

_PIECE: Final = 64 * 1024  # A body up to this size is kept in memory until a desk is free.
_HURRY: Final = 0.1
_MOMENT: Final = 0.3  # With 0.05, some of fifty connections were closed without an answer on an overloaded machine.
_ENVIRON: Final[dict[str, Any]] = {
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}

WsgiAnswer = tuple[int, list[tuple[str, str]], bytes | Iterator[bytes]]
"""Status, headers and body; the body is an iterator if it is streamed."""


class Visit(Protocol):
    """A request whose head an application has checked."""

    is_brief: bool
    """Whether the request needs neither its body nor a desk."""
    work: Work
    """The description of the request for logs."""

    def answer(self) -> WsgiAnswer:
        """Carry out the request, and return status, headers and body."""
        ...


class WaitingRoom:
    """The desks of a process, its resting threads, and the requests that wait for a desk.

    Parameters
    ----------
    desks
        How many requests are worked on at a time.
    spare
        How many more requests are worked on while all desks are blocked.
    patience
        Timeout for a piece of a body, in seconds.
    """

    def __init__(self, desks: int, spare: int = 0, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.waiting: dict[AwaitedBody, float] = {}
        self._desks = deque(range(desks))
        self._jobs: deque[Callable[[], None]] = deque()
        self._resting: deque[threading.Lock] = deque()
        self._coming = [(0, 0.0)] * (desks + spare)  # The thread that took in requests for each desk last, and when.
        self._open = desks
        self._done = 0  # Only changes matter, so it does no harm if two threads add to it at the same time.
        self._left = threading.Event()
        threading.Thread(target=self._watch, name="bodies", daemon=True).start()
        threading.Thread(target=self._watch_desks, args=(spare,), name="desks", daemon=True).start()

    def calls(self, app: Any) -> Callable[[Any, Mapping[str, Any]], None]:
        """Return the function that Granian calls with its protocol and scope for each request to a WSGI application.

        The application may have a method ``receive``, which takes an environ and returns a `Visit`.
        """
        receive: Callable[[dict[str, Any]], Visit] = getattr(app, "receive", None) or partial(_PlainVisit, app)

        def call(protocol: Any, scope: Mapping[str, Any]) -> None:
            if not (self._take_in(protocol, receive, {**_ENVIRON, **scope}) and self._goes_on()):
                self._rest()

        return call

    def _take_in(self, protocol: Any, receive: Callable[[dict[str, Any]], Visit], environ: dict[str, Any]) -> bool:
        """Take in one request, and work on it if a desk is free; return False if the request was left to others."""
        length = _declared(environ)
        if length == 0:
            visit = receive(environ)
        else:
            body = environ["wsgi.input"] = AwaitedBody(self, environ["wsgi.input"].read, protocol.response_iter)
            visit = receive(environ)
            body.work = visit.work
            if not 0 < length <= _PIECE:  # Reading the body may block this thread, which so must not take a desk.
                _answer(protocol, visit)
                return True
            if not visit.is_brief:
                body.read_ahead(length)
        if visit.is_brief:
            _answer(protocol, visit)
            return True
        self._jobs.append(partial(_answer, protocol, visit))
        return self._work_off()

    def _goes_on(self) -> bool:
        """Return whether this thread takes in the next request; False if as many threads as desks already do so."""
        this, now = threading.get_ident(), time.monotonic()
        coming = self._coming[: self._open]
        place = next((place for place, (thread, _) in enumerate(coming) if thread == this), None)
        if place is None:
            place = min(range(len(coming)), key=lambda place: coming[place][1])
            if now - coming[place][1] < _TICK:
                return False
        self._coming[place] = this, now
        return True

    def _rest(self) -> None:
        """Block this thread until `_watch_desks` calls it back."""
        bell = threading.Lock()
        bell.acquire()
        self._resting.append(bell)
        if not self._left.is_set():  # The check takes a tenth of the time of `set`.
            self._left.set()
        bell.acquire()
        self._work_off()

    def _work_off(self) -> bool:
        """Do the waiting jobs; return False if there are jobs and no desk is free."""
        while self._jobs:  # Checked again after a desk is given back, as another thread may have left a job meanwhile.
            try:  # No lock is needed, since each of these steps is atomic.
                desk = self._desks.pop()
            except IndexError:
                return False
            try:
                while self._jobs:
                    try:
                        job = self._jobs.popleft()
                    except IndexError:
                        break
                    job()
                    self._done += 1
            finally:
                self._desks.append(desk)
        return True

    def _watch_desks(self, spare: int) -> None:
        """Call back resting threads and open spare desks while no job gets done; close the spare desks later."""
        opened, last, done, since, many = 0, 0.0, -1, 0.0, 1
        while True:
            if not opened and not self._resting and not self._jobs:
                self._left.wait()
            self._left.clear()
            time.sleep(_TICK)
            now = time.monotonic()
            if self._done != done:
                done, since, many = self._done, now, 1
            elif self._jobs and now - since >= HELD_UP:
                since = last = now
                if opened < spare:
                    opened += 1
                    self._open += 1
                    self._desks.append(self._open)
                    if not self._call_back():
                        with contextlib.suppress(RuntimeError):  # No free thread: the next request uses the desk.
                            threading.Thread(target=self._work_off, name="desk", daemon=True).start()
            else:
                many = 2 * many if all(self._call_back() for _ in range(many)) else 1
            if opened and now - last > QUIET:
                # No job is left over: a thread that gives back one of the other desks looks for jobs once more.
                with contextlib.suppress(IndexError):
                    self._desks.pop()
                    opened -= 1
                    self._open -= 1

    def _call_back(self) -> bool:
        """Wake one resting thread, which then takes in requests; return False if no thread is resting."""
        try:
            self._resting.pop().release()
        except IndexError:
            return False
        return True

    def _watch(self) -> None:
        while True:
            time.sleep(self.patience * _HURRY / 2)
            waiting = list(self.waiting.items())
            patience = self.patience if len(waiting) <= SEATS / 2 else self.patience * _HURRY
            for body, since in waiting:  # If the last byte comes just now, `read` raises `TimeoutError` nevertheless.
                if time.monotonic() - since > patience and not body.too_slow:
                    body.too_slow = True
                    # In a thread each, since an answer takes `_MOMENT`, and the late bodies would wait for each other.
                    try:
                        threading.Thread(target=body.give_up, name="late", daemon=True).start()
                    except RuntimeError:  # The system has no free thread.
                        body.give_up()


def _declared(environ: Mapping[str, Any]) -> int:
    """Return the length of a body; -1 if it is unknown, or the body has an encoding, which applications refuse."""
    length = environ.get("CONTENT_LENGTH", "0")
    is_length = length.isascii() and length.isdigit() and len(length) < 16
    if not is_length or "HTTP_TRANSFER_ENCODING" in environ or "HTTP_CONTENT_ENCODING" in environ:
        return -1
    return int(length)


def _answer(protocol: Any, visit: Visit) -> None:
    try:
        status, headers, content = visit.answer()
        if isinstance(content, bytes):
            protocol.response_bytes(status, headers, content)
        else:
            protocol.response_iter(status, headers, content)
    except Exception:  # The outermost level of a thread: the client must get an answer.
        with under_way(visit.work):
            logger.exception("a request failed:")
        protocol.response_bytes(500, [(HEADER, visit.work.request_id)], b"")


class _PlainVisit:
    """A request to an application without a method ``receive``."""

    def __init__(self, app: Callable[..., Any], environ: dict[str, Any]) -> None:
        self.is_brief = False
        self.work = Work(request_id(environ.get("HTTP_X_REQUEST_ID")))
        self._app = app
        self._environ = environ
        self._status = 500
        self._headers: list[tuple[str, str]] = []

    def answer(self) -> WsgiAnswer:
        pieces = self._app(self._environ, self._start)
        try:
            content = b"".join(pieces)
        finally:  # WSGI requires this call, in which an application may close files of the answer.
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        return self._status, self._headers, content

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self._status, self._headers = int(status.partition(" ")[0]), headers


class AwaitedBody:
    """The body of a request, with a timeout for each of its pieces.

    Parameters
    ----------
    room
        The waiting room, which watches the timeout.
    read
        Granian's function that reads the body.
    answer
        Granian's function that answers the request, unless it was answered already.
    """

    def __init__(self, room: WaitingRoom, read: Callable[..., bytes], answer: Callable[..., None]) -> None:
        self._room = room
        self._read = read
        self._answer = answer
        self.work = Work("")
        self.too_slow = False
        self._ahead: bytes | None = None

    def read_ahead(self, length: int) -> None:
        """Read a body of this length, and keep it; `read` raises the error if it came too slowly."""
        self._ahead = self._in_time(length)

    def read(self, size: int | None = None) -> bytes:
        """Return `size` bytes, or the whole body, as Granian does; raise `TimeoutError` if they come too slowly."""
        if self._ahead is None:
            if size is not None and size > _PIECE:
                return self._in_pieces(size)
            piece = self._in_time(size)
        elif size is None or size >= len(self._ahead):
            piece, self._ahead = self._ahead, b""
        else:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
        if self.too_slow:  # The client was already told that the request failed, so it must not be carried out.
            raise TimeoutError(f"it did not come within {self._room.patience:g} seconds")
        return piece

    def _in_pieces(self, size: int) -> bytes:
        pieces = []
        while size > 0 and (piece := self.read(min(size, _PIECE))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _in_time(self, size: int | None) -> bytes:
        self._room.waiting[self] = time.monotonic()
        try:
            return self._read() if size is None else self._read(size)
        finally:
            del self._room.waiting[self]

    def give_up(self) -> None:
        """Answer the client with 408, and make Granian close the connection, so that the read ends.

        The answer lacks its last byte, since Granian only closes the connection after an incomplete answer: after a
        complete one, it waits for the rest of the body.
        """
        problem = f"the body did not come within {self._room.patience:g} seconds; send all of it at once."
        content = encode({"error": problem}).encode("ascii")
        headers = [("content-type", "application/json"), ("content-length", str(len(content) + 1))]
        headers.append((HEADER.lower(), self.work.request_id))
        self._answer(408, headers, _CutShort(content))


class _CutShort:
    """The iterator of an answer's pieces: it yields the whole answer, and ends `_MOMENT` later, when that is sent."""

    def __init__(self, content: bytes) -> None:
        self._content = [content]

    def __next__(self) -> bytes:
        if self._content:
            return self._content.pop()
        time.sleep(_MOMENT)
        raise StopIteration

    def close(self) -> None:
        """Do nothing; Granian calls this method."""
