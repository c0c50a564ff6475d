"""Threads for requests whose bodies do not come, so that a client that sends half of one keeps nobody else waiting.

Granian calls an application when the head of a request has come, in a thread that then reads the body, and must read it
before the call returns. So a body that does not come holds a thread for as long as its client likes. Here:

- Of `SEATS` threads a process, each takes in a request: it lets the application look at the head, answers what is
  refused at once, and waits for the body.
- A request whose body is there goes to the desks. There are as many as the server was told to have threads, since
  several that work wait for each other's interpreter lock. Where one is free, the thread that took the request in works
  on it, and then on all that have come meanwhile; where none is, it leaves the request to the working threads, and
  rests. What comes next waits with Granian until a thread that works is done and comes for it, so that requests are
  taken in one after the other too: two threads that take turns give away the interpreter lock at each row of a store,
  which cost a third of all turns with eight clients.
- Where nothing has been answered for `_TICK` seconds, whoever works may wait for something, such as a body, or there is
  nothing to do. Then one of the resting threads goes back to Granian, after the next such time two, then four, and so
  on, so that many bodies that do not come stop nobody for long.
- Where requests wait and none has been answered for `HELD_UP` seconds, whoever is at the desks waits for something
  too, such as an action that takes long. Then another desk is opened, as far as there are spare ones, and closed again
  `QUIET` seconds after that was last so.
- Each piece of a body has a time to come, a tenth of it while more than half of the seats are taken. Then its client
  is answered with 408, which closes the connection, and the thread is free again.

A body that is sent in chunks, or is long, is read by the application itself, piece by piece, at no desk.
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
"""Seconds that a piece of a body has to come."""

HELD_UP: Final = 0.02
QUIET: Final = 5.0
_TICK: Final = 0.005

_PIECE: Final = 64 * 1024  # A body up to this size is kept in memory until a desk is free.
_HURRY: Final = 0.1
_MOMENT: Final = 0.3  # At 0.05, some of fifty were closed unanswered on a machine with more to do than it could.
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

Answer = tuple[int, list[tuple[str, str]], bytes | Iterator[bytes]]


class Visit(Protocol):
    """A request that an application has looked at, but for its body."""

    is_brief: bool
    """Whether it needs neither its body nor a desk."""
    work: Work
    """What it is, for logs."""

    def answer(self) -> Answer:
        """Do what the request asks for; give status, headers and body."""
        ...


class WaitingRoom:
    """What a process shares between its requests: who waits, and who works.

    Parameters
    ----------
    desks
        How many requests are worked on at a time.
    spare
        How many more are where all of those are held up.
    patience
        Seconds that a piece of a body has to come.
    """

    def __init__(self, desks: int, spare: int = 0, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.waiting: dict[AwaitedBody, float] = {}
        self._desks = deque(range(desks))
        self._jobs: deque[Callable[[], None]] = deque()
        self._resting: deque[threading.Lock] = deque()
        self._coming = [(0, 0.0)] * (desks + spare)  # Who came last to each desk, and when it was done.
        self._open = desks
        self._done = 0  # Only whether it changes matters, so threads may add to it at the same time.
        self._left = threading.Event()
        threading.Thread(target=self._watch, name="bodies", daemon=True).start()
        threading.Thread(target=self._watch_desks, args=(spare,), name="desks", daemon=True).start()

    def calls(self, app: Any) -> Callable[[Any, Mapping[str, Any]], None]:
        """Return what Granian calls with its protocol, and its scope, for each request to a WSGI application.

        An application may have a method ``receive``, which takes an environ and gives a `Visit`.
        """
        receive: Callable[[dict[str, Any]], Visit] = getattr(app, "receive", None) or partial(_PlainVisit, app)

        def call(protocol: Any, scope: Mapping[str, Any]) -> None:
            if not (self._take_in(protocol, receive, {**_ENVIRON, **scope}) and self._goes_on()):
                self._rest()

        return call

    def _take_in(self, protocol: Any, receive: Callable[[dict[str, Any]], Visit], environ: dict[str, Any]) -> bool:
        """Take in one request, and work on it where there is a desk; return whether there was one, or no need of it."""
        length = _declared(environ)
        if length == 0:
            visit = receive(environ)
        else:
            body = environ["wsgi.input"] = AwaitedBody(self, environ["wsgi.input"].read, protocol.response_iter)
            visit = receive(environ)
            body.work = visit.work
            if not 0 < length <= _PIECE:  # It keeps this thread as long as it comes, and so must keep no desk.
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
        """Return whether this thread comes for the next request: not where as many as there are desks do so already."""
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
        """Hold this thread until it is called back; the watch begins where it does not watch, which calls it."""
        bell = threading.Lock()
        bell.acquire()
        self._resting.append(bell)
        if not self._left.is_set():  # To ask takes a tenth of the time of setting it.
            self._left.set()
        bell.acquire()
        self._work_off()

    def _work_off(self) -> bool:
        """Do the jobs that wait; return whether there was a desk for it, or nothing to do."""
        while self._jobs:  # Seen again after a desk is given back: whoever found none has left its job before.
            try:  # Without a lock: each of these steps is atomic by itself.
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
        """Call back who rests, and open spare desks, while nothing is done; close those desks later."""
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
                        with contextlib.suppress(RuntimeError):  # No more threads: whoever comes next works there.
                            threading.Thread(target=self._work_off, name="desk", daemon=True).start()
            else:
                many = 2 * many if all(self._call_back() for _ in range(many)) else 1
            if opened and now - last > QUIET:
                # Whoever gives back a desk that stays looks for jobs once more, so that none is left.
                with contextlib.suppress(IndexError):
                    self._desks.pop()
                    opened -= 1
                    self._open -= 1

    def _call_back(self) -> bool:
        """Send one thread that rests back to where requests come from; return whether there was one."""
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
            for body, since in waiting:  # One whose last byte came just now is answered late; `read` tells so then.
                if time.monotonic() - since > patience and not body.too_slow:
                    body.too_slow = True
                    # An answer takes `_MOMENT`, in which all that are late would wait for each other.
                    try:
                        threading.Thread(target=body.give_up, name="late", daemon=True).start()
                    except RuntimeError:  # No more threads.
                        body.give_up()


def _declared(environ: Mapping[str, Any]) -> int:
    """Return the length of a body; -1 if it is not known, or the body is one that applications refuse."""
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
    except Exception:  # The outermost edge of a thread: whatever happens, the client hears of it.
        with under_way(visit.work):
            logger.exception("a request failed:")
        protocol.response_bytes(500, [(HEADER, visit.work.request_id)], b"")


class _PlainVisit:
    """A request to an application that does not look at the head first."""

    def __init__(self, app: Callable[..., Any], environ: dict[str, Any]) -> None:
        self.is_brief = False
        self.work = Work(request_id(environ.get("HTTP_X_REQUEST_ID")))
        self._app = app
        self._environ = environ
        self._status = 500
        self._headers: list[tuple[str, str]] = []

    def answer(self) -> Answer:
        pieces = self._app(self._environ, self._start)
        try:
            content = b"".join(pieces)
        finally:  # As WSGI has it; an application may free there what it has opened for the answer.
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        return self._status, self._headers, content

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self._status, self._headers = int(status.partition(" ")[0]), headers


class AwaitedBody:
    """The body of a request, as Granian gives it, which has only so much time to come.

    Parameters
    ----------
    room
        Who looks at the clock.
    read
        Granian's reading of the body.
    answer
        Answers the request, if nobody has done so before.
    """

    def __init__(self, room: WaitingRoom, read: Callable[..., bytes], answer: Callable[..., None]) -> None:
        self._room = room
        self._read = read
        self._answer = answer
        self.work = Work("")
        self.too_slow = False
        self._ahead: bytes | None = None

    def read_ahead(self, length: int) -> None:
        """Read a body of this length, and keep it; what is wrong with it is told when it is asked for."""
        self._ahead = self._in_time(length)

    def read(self, size: int | None = None) -> bytes:
        """Return so many bytes, or all that come, as Granian does; raise `TimeoutError` if they do not come."""
        if self._ahead is None:
            if size is not None and size > _PIECE:
                return self._in_pieces(size)
            piece = self._in_time(size)
        elif size is None or size >= len(self._ahead):
            piece, self._ahead = self._ahead, b""
        else:
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
        if self.too_slow:  # The client was answered already, and must not be told that its change was made.
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
        """Answer the client that it is too slow, and let the server close the connection, so that the read ends.

        Nothing but an answer that lacks a byte makes it do so: after a whole one, it waits for the rest of the body.
        """
        problem = f"the body did not come within {self._room.patience:g} seconds; send all of it at once."
        content = encode({"error": problem}).encode("ascii")
        headers = [("content-type", "application/json"), ("content-length", str(len(content) + 1))]
        headers.append((HEADER.lower(), self.work.request_id))
        self._answer(408, headers, _CutShort(content))


class _CutShort:
    """What Granian asks for the pieces of an answer: all of it, and after a moment, in which it is sent, its end."""

    def __init__(self, content: bytes) -> None:
        self._content = [content]

    def __next__(self) -> bytes:
        if self._content:
            return self._content.pop()
        time.sleep(_MOMENT)
        raise StopIteration

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
