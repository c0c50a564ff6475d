"""Opening the port of a server; a port that cannot be opened raises `LaunchError` with the reason."""

from __future__ import annotations

import errno
import os
import socket
import time

from rasa_core.exceptions import RasaCoreError

BACKLOG = 1024
ORPHAN_SECONDS = 1.5
"""Seconds for which the workers of a server that was killed may still hold its port."""

_OTHER_HOST = "Give an address of this machine with --host, such as 127.0.0.1, or 0.0.0.0 for all."
_REMEDIES = {
    errno.EADDRINUSE: "Stop the program that uses the port, or choose another with --port.",
    errno.EACCES: "Choose a port above 1023 with --port.",
}


class LaunchError(RasaCoreError, RuntimeError):
    """The server could not start, or its workers kept dying."""


def listen(host: str, port: int) -> socket.socket:
    """Open the port and return the listening socket; no other server can open the port at the same time."""
    if not 1 <= port <= 65535:
        raise LaunchError(f"Port {port} cannot be served: choose one from 1 to 65535 with --port.")
    host = address_of(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = _opened(host, port, family)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, _OTHER_HOST)
        # `strerror` of the number, since Python's own message would repeat the address.
        problem = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise LaunchError(f"Cannot listen on port {port} of {host}: {problem}. {remedy}") from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Without it, answers wait 40 ms for an ACK.
    listener.setblocking(False)
    return listener


def address_of(host: str) -> str:
    """Return an address to listen on without the brackets of IPv6; raise `LaunchError` for an empty address.

    An empty address, such as that of an environment variable that is not set, would open the server to everybody.
    """
    host = host.strip().removeprefix("[").removesuffix("]")
    if not host:
        raise LaunchError(f"The address to listen on is empty. {_OTHER_HOST}")
    return host


def check_port(host: str, port: int) -> None:
    """Raise `LaunchError` if the port cannot be opened; commands that train before they serve call this first."""
    listen(host, port).close()


def _opened(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """Open the port; retry for as long as the workers of a server that was killed may still hold it."""
    patience = time.monotonic() + ORPHAN_SECONDS + 0.5
    while True:
        try:  # `create_server` reuses an address whose connections were just closed.
            is_dual = host == "::" and socket.has_dualstack_ipv6()  # "::" includes all addresses of IPv4.
            return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=is_dual)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > patience:
                raise
        time.sleep(0.05)
