"""The threads that work on requests, the threads that rest, and the order of waiting requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from programs import until

from rasa_core.server import waiting
from rasa_core.server.waiting import WaitingRoom

LONG = 20.0


class Client(threading.Thread):
    """One request, in a thread of its own, as the server under it would call the room."""

    def __init__(self, call: Callable[[Any, dict[str, Any]], None], path: str = "/") -> None:
        super().__init__(daemon=True)
        self._call = call
        self._path = path
        self.answered = threading.Event()

    def begin(self) -> Client:
        self.start()
        return self

    def run(self) -> None:
        self._call(self, {"PATH_INFO": self._path})

    def response_bytes(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        """Take the answer, as the protocol of the server does."""
        self.answered.set()


class App:
    """An application that notes which threads work, and is held up by one path."""

    def __init__(self) -> None:
        self.workers: list[int] = []
        self.go = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.workers.append(threading.get_ident())
        if environ["PATH_INFO"] == "/held":
            assert self.go.wait(LONG)
        start_response("200 OK", [])
        return [b"ok"]


def test_one_thread_comes_for_all_requests_and_others_rest_until_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "_TICK", 0.5)
    app = App()
    call = WaitingRoom(1).calls(app)
    Client(call).run()  # In this thread, which lives on: the number of one that has ended may be given to the next.
    second = Client(call).begin()
    assert second.answered.wait(LONG)
    began = time.monotonic()
    assert second.is_alive()
    second.join(LONG)
    assert time.monotonic() - began >= 0.4
    assert app.workers == [threading.get_ident(), second.ident]


def test_what_is_left_is_done_by_who_works_already() -> None:
    app = App()
    call = WaitingRoom(1).calls(app)
    busy = Client(call, "/held").begin()
    until(lambda: bool(app.workers))
    left = [Client(call).begin() for _ in range(5)]
    app.go.set()
    assert all(client.answered.wait(LONG) for client in left)
    assert app.workers == [busy.ident] * 6


@pytest.mark.parametrize(("spare", "workers"), [(0, 1), (1, 2)])
def test_as_many_are_worked_on_as_there_are_spare_desks_where_all_are_held_up(spare: int, workers: int) -> None:
    app = App()
    call = WaitingRoom(1, spare).calls(app)
    clients = [Client(call, "/held").begin() for _ in range(2)]
    until(lambda: len(app.workers) == workers)
    time.sleep(5 * waiting.HELD_UP)
    assert len(app.workers) == workers
    app.go.set()
    assert all(client.answered.wait(LONG) for client in clients)


def test_with_spare_desks_open_as_many_threads_come_for_requests() -> None:
    app = App()
    call = WaitingRoom(1, 3).calls(app)
    clients = [Client(call, "/held").begin() for _ in range(4)]
    until(lambda: len(app.workers) == 4)
    app.go.set()
    for client in clients:
        client.join(waiting.QUIET)
        assert not client.is_alive()


def test_all_who_rest_are_called_back_when_nothing_is_left_to_do() -> None:
    app = App()
    call = WaitingRoom(1).calls(app)
    clients = [Client(call, "/held").begin(), *[Client(call).begin() for _ in range(40)]]
    app.go.set()
    for client in clients:
        client.join(LONG)
        assert not client.is_alive()
