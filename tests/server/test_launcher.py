"""The launcher, as real processes: it serves, replaces dead workers, stops on signals, and reports failed starts."""

from __future__ import annotations

import http.client
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from programs import free_port, until

from rasa_core.server.launcher import launch
from rasa_core.server.ports import LaunchError

APP = Path(__file__).with_name("launched_app.py")
PATIENCE = 20.0
SLACK = 3.0  # On a machine that does much else.
IDLE = 2000


class Server:
    """A launched server, and what a test wants of it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.port = options.pop("port", None) or free_port()
        settings = {"folder": str(folder), **options.pop("settings", {})}
        arguments = json.dumps({"settings": settings, "port": self.port, **options})
        self.process = subprocess.Popen(
            [sys.executable, str(APP), arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])},
            start_new_session=True,
        )

    def wait_until_listening(self) -> Server:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "listening\n", self.process.communicate()[1]
        return self

    def get(self, path: str = "/") -> dict[str, int]:
        """Send a request on a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            answer: dict[str, int] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return answer

    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sent)
        return self.process.wait(PATIENCE)

    def outcome(self) -> tuple[int, str]:
        """Wait for the end of the process; return its exit code and its standard error."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


class Waiting(threading.Thread):
    """A request that the server answers only when the test says so."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self.answer: dict[str, int] | None = None

    def run(self) -> None:
        with suppress(ConnectionError, http.client.HTTPException):  # Of a server that was killed.
            self.answer = self._server.get("/wait")

    def begin(self) -> Waiting:
        self.start()
        until(self.worker)
        return self

    def worker(self) -> int | None:
        """Give the process that works on the request, None if it has not begun."""
        started = self._server.folder / "started"
        return int(started.read_text() or 0) or None if started.exists() else None

    def finish(self) -> dict[str, int] | None:
        (self._server.folder / "go").touch()
        self.join(PATIENCE)
        return self.answer


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def undeaf(start: Callable[[], Server]) -> Server:
    """Start a server that receives SIGHUP, even if the process that started the tests ignores it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        return start()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(**options: Any) -> Server:
        servers.append(Server(tmp_path, **options))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
        server.process.communicate()


def test_announces_itself_once_and_only_when_it_can_answer(serve: Callable[..., Server]) -> None:
    server = serve(workers=2).wait_until_listening()
    assert server.get()["pid"] in server.workers()
    server.process.send_signal(signal.SIGTERM)
    announced_again, errors = server.process.communicate(timeout=PATIENCE)
    assert (announced_again, errors, server.process.returncode) == ("", "", 0)


def test_answers_on_one_connection_do_not_wait_for_acknowledgements(serve: Callable[..., Server]) -> None:
    server = serve().wait_until_listening()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    times = []
    for _ in range(25):
        started = time.perf_counter()
        connection.request("POST", "/", b"{}")
        connection.getresponse().read()
        times.append(time.perf_counter() - started)
    connection.close()
    assert statistics.median(times) < 0.03


def test_half_a_request_keeps_nobody_else_waiting(serve: Callable[..., Server]) -> None:
    server = serve().wait_until_listening()
    with socket.create_connection(("127.0.0.1", server.port)) as stalled:
        stalled.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        assert server.get()["read"] == 0


def test_requests_that_take_long_keep_nobody_else_waiting(serve: Callable[..., Server]) -> None:
    server = serve().wait_until_listening()
    waiting = [Waiting(server).begin() for _ in range(4)]
    until(lambda: server.folder.joinpath("count").stat().st_size == len(waiting))
    assert server.get()["read"] == 0
    assert [one.finish() for one in waiting] == [server.get()] * len(waiting)


def test_no_more_requests_are_worked_on_than_there_are_threads(serve: Callable[..., Server]) -> None:
    server = serve(threads=1, spare_threads=1).wait_until_listening()
    waiting = [Waiting(server).begin() for _ in range(3)]
    until(lambda: server.folder.joinpath("count").stat().st_size == 2)
    waiting[2].join(0.3)
    assert server.folder.joinpath("count").stat().st_size == 2
    assert None not in [one.finish() for one in waiting]
    assert server.folder.joinpath("count").stat().st_size == 3


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda sent: sent.name)
def test_a_signal_lets_the_request_under_way_finish(serve: Callable[..., Server], sent: signal.Signals) -> None:
    server = undeaf(lambda: serve(workers=2)).wait_until_listening()
    waiting = Waiting(server).begin()
    server.process.send_signal(sent)
    until(lambda: refuses(server.port))
    assert waiting.finish() is not None
    assert server.outcome() == (0, "")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda sent: sent.name)
@pytest.mark.parametrize("spawn", [False, True], ids=["forked", "spawned"])
def test_a_signal_that_another_thread_takes_stops_it_too(
    serve: Callable[..., Server], sent: signal.Signals, spawn: bool
) -> None:
    server = undeaf(lambda: serve(settings={"stray": True, "spawn": spawn})).wait_until_listening()
    waiting = Waiting(server).begin()
    server.process.send_signal(sent)
    until(lambda: refuses(server.port))
    assert waiting.finish() is not None
    assert server.outcome() == (0, "")


def test_a_signal_to_a_worker_ends_that_worker_alone(serve: Callable[..., Server]) -> None:
    server = serve(settings={"stray": True}).wait_until_listening()
    (worker,) = server.workers()
    os.kill(worker, signal.SIGTERM)
    until(lambda: server.workers() - {worker})
    assert server.get()["pid"] != worker
    assert server.stop() == 0


def test_ctrl_c_reaches_the_workers_too_and_stops_everything(serve: Callable[..., Server]) -> None:
    server = serve(workers=2).wait_until_listening()
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.outcome() == (0, "")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
def test_who_tells_it_twice_lets_it_stop_as_who_tells_it_once(
    serve: Callable[..., Server], sent: signal.Signals
) -> None:
    server = serve().wait_until_listening()
    waiting = Waiting(server).begin()
    os.killpg(server.process.pid, sent)
    until(lambda: refuses(server.port))
    os.killpg(server.process.pid, sent)
    assert waiting.finish() is not None
    assert server.outcome() == (0, "")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_tells_it_again_in_the_last_moment_does_not_fail_it(
    serve: Callable[..., Server], sent: signal.Signals
) -> None:
    server = undeaf(lambda: serve(is_last=True)).wait_until_listening()
    server.process.send_signal(sent)
    assert server.process.stdout is not None
    assert server.process.stdout.readline() == "ended\n"
    assert server.stop(sent) == 0


def test_a_request_without_end_is_killed_after_the_timeout(serve: Callable[..., Server]) -> None:
    server = serve(stop_timeout=1).wait_until_listening()
    with socket.create_connection(("127.0.0.1", server.port)) as endless:
        endless.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        until((server.folder / "started").exists)
        assert server.stop() == 0
        assert endless.recv(100) == b""


def test_a_signal_while_the_application_is_made_stops_at_once(serve: Callable[..., Server]) -> None:
    server = serve(settings={"failure": "hang"})
    until((server.folder / "making").exists)
    assert server.stop() == 0


def test_a_request_waits_for_the_successor_of_a_killed_worker(serve: Callable[..., Server]) -> None:
    server = serve(workers=1).wait_until_listening()
    killed = []
    for _ in range(3):
        killed.append(server.get()["pid"])
        os.kill(killed[-1], signal.SIGKILL)
    assert server.get()["pid"] not in killed
    assert len(set(killed)) == 3


def test_a_killed_worker_takes_no_request_of_another_with_it(serve: Callable[..., Server]) -> None:
    server = serve(workers=2).wait_until_listening()
    until(lambda: len(server.workers()) == 2)
    first = server.workers()
    waiting = Waiting(server).begin()
    (killed,) = first - {waiting.worker()}
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(server.workers() - first) == 1)
    assert all(server.get()["pid"] != killed for _ in range(20))
    assert waiting.finish() == {"pid": waiting.worker(), "read": 0}


@pytest.mark.parametrize("sent", [signal.SIGHUP, signal.SIGINT], ids=["as nohup does", "as a script with & does"])
def test_signal_that_was_ignored_stays_ignored(serve: Callable[..., Server], sent: signal.Signals) -> None:
    before = signal.signal(sent, signal.SIG_IGN)  # Programs that are started inherit it.
    try:
        server = serve(workers=2)
    finally:
        signal.signal(sent, before)
    server.wait_until_listening()
    until(lambda: len(server.workers()) == 2)
    workers = server.workers()

    for process in (server.process.pid, *workers):
        os.kill(process, sent)

    assert server.get()["pid"] in workers
    assert server.workers() == workers
    assert server.stop() == 0


def test_thousands_of_idle_connections_keep_nobody_waiting(serve: Callable[..., Server]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * IDLE:
        pytest.skip(f"this system lets a process open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # As most systems set it.
    try:
        server = serve().wait_until_listening()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * IDLE, hard))
    try:
        with ExitStack() as idle:
            for _ in range(IDLE):
                idle.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            started = time.monotonic()
            server.get()
            assert time.monotonic() - started < SLACK
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in the middle of a request"])
def test_server_that_was_killed_can_be_started_again_at_once(
    serve: Callable[..., Server], tmp_path: Path, busy: bool
) -> None:
    server = serve(workers=2).wait_until_listening()
    until(lambda: len(server.workers()) == 2)
    workers = server.workers()
    waiting = Waiting(server).begin() if busy else None
    os.kill(server.process.pid, signal.SIGKILL)
    killed = time.monotonic()

    again = serve(port=server.port).wait_until_listening()

    assert again.get()["pid"] not in workers
    until(lambda: not any(is_alive(pid) for pid in workers))
    assert time.monotonic() - killed < 2.0 + SLACK
    if waiting is not None:
        waiting.join(PATIENCE)
        assert waiting.answer is None


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and that nobody has asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_of_an_action_does_not_keep_the_port(serve: Callable[..., Server]) -> None:
    server = serve().wait_until_listening()
    child = server.get("/fork")["child"]
    try:
        assert server.stop() == 0
        os.kill(child, 0)
        assert serve(port=server.port).wait_until_listening().get()["read"] == 0
    finally:
        os.kill(child, signal.SIGKILL)


def test_processes_that_an_action_starts_end_well(serve: Callable[..., Server]) -> None:
    server = serve().wait_until_listening()
    assert [server.get("/process")["code"] for _ in range(6)] == [0] * 6


def test_workers_end_when_the_main_process_is_killed(serve: Callable[..., Server]) -> None:
    server = serve(workers=2).wait_until_listening()
    until(lambda: len(server.workers()) == 2)
    server.process.kill()
    until(lambda: refuses(server.port))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"failure": "known"}, "error: There is no model in 'bot': train one with rasa-core train.\n"),
        ({"failure": "bug"}, "TypeError: long and unexpected"),
        ({"failure": "bug", "times": 1000}, "long and unexpected"),
    ],
    ids=["known error", "bug", "bug with a long message"],
)
def test_an_application_that_cannot_be_made_is_reported_once(
    serve: Callable[..., Server], settings: dict[str, Any], expected: str
) -> None:
    code, errors = serve(workers=2, settings=settings).outcome()
    assert code == 1
    assert expected in errors
    assert errors.count("error: ") == 1
    assert len(errors) < 5000


def test_workers_that_die_before_they_serve_end_the_server(serve: Callable[..., Server]) -> None:
    code, errors = serve(settings={"failure": "death"}).outcome()
    assert code == 1
    assert "died before they could serve" in errors


@pytest.mark.usefixtures("impatient")
def test_a_port_in_use_names_the_port_and_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError, match=rf"port {port} of 127.0.0.1: Address already in use.*--port"):
            launch({}, port=port)


@pytest.mark.usefixtures("impatient")
def test_a_second_server_cannot_share_the_port_of_the_first(serve: Callable[..., Server]) -> None:
    server = serve().wait_until_listening()
    with pytest.raises(LaunchError, match="already in use"):
        launch({}, port=server.port)


def test_too_few_files_name_the_limit_and_the_remedy() -> None:
    options = json.dumps({"settings": {"folder": "."}, "port": free_port()})
    limited = f"import resource, runpy, sys; sys.argv[1:] = [{options!r}]\n"
    limited += "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
    limited += f"runpy.run_path({str(APP)!r}, run_name='__main__')"

    found = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, timeout=60, check=False)

    assert found.returncode == 1
    assert found.stderr == (
        "error: This process may have 20 files open, and a server needs 64: raise the limit, as with `ulimit -n 1024` "
        "in the shell that starts it, or LimitNOFILE= for systemd.\n"
    )


def test_workers_that_may_start_no_thread_say_so(serve: Callable[..., Server]) -> None:
    code, errors = serve(settings={"failure": "threads"}).outcome()
    assert code == 1
    assert "ulimit -u" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(LaunchError, match=f"Port {port} cannot be served.*--port"):
        launch({}, port=port)


def test_a_host_that_is_not_this_machine_is_refused() -> None:
    with pytest.raises(LaunchError, match=r"203\.0\.113\.9.*--host"):
        launch({}, host="203.0.113.9", port=free_port())


@pytest.mark.parametrize("host", ["", " ", "[]"])
def test_an_empty_host_is_refused_and_opens_nothing(host: str) -> None:
    with pytest.raises(LaunchError, match=r"address to listen on is empty.*--host"):
        launch({}, host=host, port=free_port())


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("host", "reached"), [("::", ["127.0.0.1", "::1"]), ("[::1]", ["::1"]), ("0.0.0.0", ["127.0.0.1"])]
)
def test_a_host_is_reached_by_all_that_it_means(serve: Callable[..., Server], host: str, reached: list[str]) -> None:
    server = serve(host=host).wait_until_listening()
    found = []
    for address in ("127.0.0.1", "::1"):
        with suppress(ConnectionRefusedError):
            socket.create_connection((address, server.port), timeout=PATIENCE).close()
            found.append(address)
    assert found == reached


@pytest.mark.parametrize(("name", "least"), [("workers", 1), ("threads", 1), ("spare_threads", 0), ("stop_timeout", 1)])
def test_numbers_that_are_too_low_are_refused(name: str, least: int) -> None:
    options: dict[str, Any] = {name: least - 1}
    with pytest.raises(LaunchError, match=f"{name} is {least - 1}, but must be {least} or more"):
        launch({}, port=free_port(), **options)
