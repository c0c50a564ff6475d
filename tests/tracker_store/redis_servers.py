"""Real Redis servers for tests: single servers, a cluster, and a proxy that drops or delays data."""

from __future__ import annotations

import atexit
import functools
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import redis
from programs import free_port, server_program
from real_servers import server_folder, wait_until


class RedisServer:
    """A ``redis-server`` on a port of its own, which stays its own when it is started again.

    Parameters
    ----------
    folder
        Where its files go.
    options
        Further arguments, such as ``--maxmemory``.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._program = server_program("redis-server", "redis-server")
        self.port = free_port()
        self.folder = folder
        self._log = folder / "redis.log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and return when it has loaded its data."""
        settings = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", ""]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([self._program, *settings, *self._options], stdout=log, stderr=log)
        wait_until(self.is_ready, self._process, self._log)

    def is_ready(self) -> bool:
        with socket.socket() as probe, suppress(OSError):
            probe.settimeout(5)
            probe.connect(("127.0.0.1", self.port))
            probe.sendall(b"PING\r\n")
            return probe.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        return False

    def wait_for_cluster(self) -> None:
        """Return when this node knows of all others."""
        assert self._process is not None
        with self.client() as client:
            wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok", self._process, self._log)

    def stop(self) -> None:
        """End it as a service manager does."""
        self._end("terminate")

    def kill(self) -> None:
        """End it as a crash does."""
        self._end("kill")

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, how: str) -> None:
        process, self._process = self._process, None
        if process is not None:
            getattr(process, how)()
            process.wait()

    @contextmanager
    def client(self, **options: object) -> Iterator[redis.Redis]:
        """Yield a client of its own, to look at what the store wrote, or to change the server's settings."""
        client = redis.Redis(port=self.port, protocol=2, **options)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def running(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Run a server."""
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def durable(folder: Path) -> RedisServer:
    """Return a server, not yet started, that loses no acknowledged commit when it is killed."""
    return RedisServer(folder, "--appendonly", "yes", "--appendfsync", "always")


def _folder() -> Path:
    folder = server_folder("redis")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def shared_server() -> RedisServer:
    """Return the server that all tests share; empty it before use."""
    server = RedisServer(_folder())
    server.start()
    atexit.register(server.kill)
    return server


@functools.cache
def shared_cluster() -> list[RedisServer]:
    """Return three servers that make up a Redis Cluster; empty them before use."""
    redis_cli = server_program("redis-cli", "redis-tools")
    nodes = []
    for _ in range(3):
        cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", str(free_port()))
        nodes.append(RedisServer(_folder(), *cluster))
        atexit.register(nodes[-1].kill)
        nodes[-1].start()
    buses = [f"127.0.0.1:{node.port}@{node._options[-1]}" for node in nodes]
    subprocess.run(
        [redis_cli, "--cluster", "create", *buses, "--cluster-yes"],
        check=True,
        stdout=subprocess.PIPE,
        timeout=60,
    )
    for node in nodes:
        node.wait_for_cluster()
    return nodes


def emptied(nodes: str) -> str:
    """Empty the ``single`` server or the ``cluster`` that all tests share; return its URL, open for more options."""
    servers = shared_cluster() if nodes == "cluster" else [shared_server()]
    for server in servers:
        with server.client() as client:
            client.flushall()
    return f"{servers[0].url}?{'cluster=true&' if nodes == 'cluster' else ''}"


class Proxy:
    """Stands between stores and a server, on the port `port`, until the block is left.

    Attributes
    ----------
    drop_replies
        How many more replies to swallow; each time, the connection is dropped.
    """

    def __init__(self, server: RedisServer) -> None:
        self.drop_replies = 0
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close; all connections have to be closed already."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with self._listener, suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._pass_on, args=(near,)))
                self._threads[-1].start()

    def _pass_on(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._server.port)) as far, suppress(OSError):
            while True:
                for source in select.select([near, far], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is near:
                        far.sendall(data)
                    elif self.drop_replies:
                        self.drop_replies -= 1
                        return
                    else:
                        near.sendall(data)
