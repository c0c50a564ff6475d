"""A small load generator: clients that keep their connections open and send their requests in turn.

All clients run in one thread over non-blocking sockets: threads of one Python process would wait for the interpreter
lock, and the figures would include that wait. A client sends its next request when the answer to the last request is
complete, so there are never more requests in progress than clients.

The clock of a request starts before its bytes are sent and stops when the last byte of its answer is read.

Command line: ``python benchmarks/load.py HOST PORT --clients 8 --path /version``.
"""

from __future__ import annotations

import argparse
import json
import math
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_RECEIVE_BYTES = 65536


class LoadError(RuntimeError):
    """The server closed a connection, or answered with another status than was expected."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one run measured; times in seconds.

    A turn is one pass through a client's list of requests: with ``parse`` and ``continue`` in the list,
    one turn is two requests.
    """

    clients: int
    requests: int
    seconds: float
    turns_per_second: float
    requests_per_second: float
    p50: float
    p99: float
    slowest: float

    def __str__(self) -> str:
        return (
            f"{self.clients} clients: {self.turns_per_second:.0f} turns/s, {self.requests_per_second:.0f} requests/s, "
            f"p50 {1e3 * self.p50:.2f} ms, p99 {1e3 * self.p99:.2f} ms, slowest {1e3 * self.slowest:.1f} ms"
        )


@dataclass(slots=True)
class _Client:
    """One connection, with its position in its list of requests, and the received part of the current answer."""

    connection: socket.socket
    requests: Sequence[bytes]
    position: int = 0
    sent_at: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    latencies: list[float] = field(default_factory=list)

    def send(self) -> None:
        """Send the next request; requests are small, so a blocking send never waits for long."""
        request = self.requests[self.position]
        self.position = (self.position + 1) % len(self.requests)
        self.received.clear()
        self.sent_at = time.perf_counter()
        self.connection.sendall(request)

    def receive(self, expected_status: int) -> bool:
        """Read what has arrived; true when the answer is complete."""
        chunk = self.connection.recv(_RECEIVE_BYTES)
        if not chunk:
            raise LoadError("The server closed a connection before its answer was complete; see the server's log.")
        self.received += chunk
        if not _is_complete(self.received):
            return False
        self.latencies.append(time.perf_counter() - self.sent_at)
        status = int(self.received[9:12])
        if status != expected_status:
            answer = self.received.decode("latin-1")[:500]
            raise LoadError(f"The server answered {status}, expected {expected_status}:\n{answer}")
        return True


def build_request(method: str, path: str, body: object = None, *, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """Give the bytes of one HTTP/1.1 request; `body`, unless None, is sent as JSON."""
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers)]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def run_load(
    host: str,
    port: int,
    scripts: Sequence[Sequence[bytes]],
    *,
    seconds: float,
    warmup: float = 0.5,
    expected_status: int = 200,
) -> LoadResult:
    """Let one client for each of `scripts` send its requests over and over, and measure.

    Parameters
    ----------
    scripts : the requests of each client, sent in turn; see `build_request`
    seconds : how long to measure
    warmup : how long to send requests, with the same clients, before the measurement starts

    Raises
    ------
    LoadError
        if an answer has another status than `expected_status`, or none comes.
    """
    clients = [_Client(socket.create_connection((host, port), timeout=30), script) for script in scripts]
    try:
        for client in clients:
            client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if warmup > 0:
            _drive(clients, warmup, expected_status)
        for client in clients:
            client.latencies.clear()
        elapsed = _drive(clients, seconds, expected_status)
    finally:
        for client in clients:
            client.connection.close()
    return _summarise(clients, elapsed)


def _drive(clients: Sequence[_Client], seconds: float, expected_status: int) -> float:
    """Run every client for `seconds`, let the last requests finish, and return the time of all in seconds."""
    with selectors.DefaultSelector() as selector:
        started = time.perf_counter()
        for client in clients:
            selector.register(client.connection, selectors.EVENT_READ, client)
            client.send()
        waiting = len(clients)
        while waiting:
            ready = selector.select(timeout=60)
            if not ready:
                raise LoadError("No answer came for 60 seconds; is the server stuck?")
            for key, _ in ready:
                client = key.data
                if not client.receive(expected_status):
                    continue
                if time.perf_counter() - started < seconds:
                    client.send()
                else:
                    waiting -= 1
        return time.perf_counter() - started


def _is_complete(answer: bytearray) -> bool:
    """Return whether the head and the whole body of an answer have arrived."""
    head_end = answer.find(b"\r\n\r\n")
    if head_end < 0:
        return False
    for line in answer[:head_end].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return len(answer) >= head_end + 4 + int(value)
    raise LoadError(f"The answer has no Content-Length header: {bytes(answer[:head_end])!r}")


def _summarise(clients: Sequence[_Client], elapsed: float) -> LoadResult:
    latencies = sorted(latency for client in clients for latency in client.latencies)
    turns = sum(len(client.latencies) / len(client.requests) for client in clients)
    return LoadResult(
        clients=len(clients),
        requests=len(latencies),
        seconds=elapsed,
        turns_per_second=turns / elapsed,
        requests_per_second=len(latencies) / elapsed,
        p50=_quantile(latencies, 0.50),
        p99=_quantile(latencies, 0.99),
        slowest=latencies[-1],
    )


def _quantile(ordered: Sequence[float], fraction: float) -> float:
    """Return the smallest value that at least `fraction` of the `ordered` values do not exceed."""
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def main() -> None:
    """Measure one path of a running server."""
    parser = argparse.ArgumentParser(description="Send the same request from several clients and print the rate.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--path", default="/version")
    parser.add_argument("--body", help="JSON to POST; without it the request is a GET")
    arguments = parser.parse_args()
    body = None if arguments.body is None else json.loads(arguments.body)
    request = build_request("GET" if body is None else "POST", arguments.path, body)
    print(run_load(arguments.host, arguments.port, [[request]] * arguments.clients, seconds=arguments.seconds))


if __name__ == "__main__":
    main()
