"""Who may call a server that asks for no token: programs, and the web pages that were named; no other page.

A browser sends requests for any page that somebody visits, also to servers on their own machine. It does so without
asking first if the request is one that a form can send, and JSON in plain text is. Two headers, which no page can
change, tell what is behind a request:

``Host``
    The name under which the server was called. A page whose own name leads to this machine (DNS rebinding) counts for
    the browser as a page of this server, and may read everything; but the name in its requests is not ours.
``Origin``, or ``Sec-Fetch-Site`` where a browser sends no origin
    The page that sends a request. What changes a conversation must come from a program, which sends neither, from a
    page of this server, or from one that ``--cors`` names. Reading needs no such check: a browser shows no answer to
    pages that `Cors` does not name.
``Referer``
    The page behind a link, a picture or a frame. For those, browsers send neither of the two above to a server that is
    called by a plain ``http`` address of a network, and a page may keep them from sending this one too. So a GET that
    talks to the bot is refused to what is by its other headers a browser, unless this names a page as above.

A page is one of this server if its origin has the host and the port of the ``Host`` header; a port that is not there
is that of the scheme of the page, so that this holds behind a proxy that ends TLS too. A proxy has to hand on the
``Host`` that it was called with; where it does not, name its address with ``--cors``. ``X-Forwarded-Host`` is not
looked at.

With a token, none of this is checked: a page that does not know it can do nothing (`rasa_core.server.guards`).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from rasa_core.server.requests import HttpError

ANY: Final = "*"
ALL_ADDRESSES: Final = ("0.0.0.0", "::")
"""To listen on these is to listen on each address of this machine."""

_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
# Of all that a browser says, only these mean no other page: one of another port of this machine is of the same site.
_OWN_PAGES: Final = ("none", "same-origin")
_end_of_host = re.compile(r"[/?#]")
_host = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@?#\s]+)(?::([0-9]{1,5}))?")


class Address(NamedTuple):
    """A host, such as ``example.org`` or ``::1``, and a port, None if there is none."""

    host: str
    port: int | None

    @classmethod
    def of(cls, text: str) -> Address | None:
        """Read the content of a ``Host`` header; None for what is none."""
        found = _host.fullmatch(text.strip().lower())
        return None if found is None else cls(plain_host(found[1]), int(found[2]) if found[2] else None)


def plain_host(text: str) -> str:
    """Return a host as it is compared: in lower case, an address in its shortest form, without brackets or a dot.

    ``::ffff:127.0.0.1`` is how an address of IPv4 is written for a server that listens to both kinds.
    """
    host = text.strip().lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host
    return str(getattr(address, "ipv4_mapped", None) or address)


def canonical_origin(text: str) -> str:
    """Return an origin as it is compared: ``https://a.b`` for ``HTTPS://A.b:443/``; ``null`` and ``*`` as they are."""
    scheme, _, rest = text.strip().lower().rstrip("/").partition("://")
    address = Address.of(rest)
    if address is None:
        return text.strip().lower()
    host = f"[{address.host}]" if ":" in address.host else address.host
    is_default = address.port in (None, _DEFAULT_PORTS.get(scheme))
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{address.port}"


def hosts_of(listening_on: str) -> tuple[str, ...]:
    """Return the names of a server that listens on an address: that, this machine, and `localhost`."""
    # Only who listens on all addresses can be called by the name of the machine from another one.
    own = (socket.gethostname(),) if listening_on in ALL_ADDRESSES else ()
    return ("localhost", listening_on, *own)


_READ_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-ID"
_NAME: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_LONGEST_NAMES: Final = 2000  # Characters.


class Cors:
    """Which web pages may call the server from a browser: those of the given origins, and no others.

    The headers go on every answer, also on errors, because a browser hides an answer without them from the page.

    Parameters
    ----------
    origins
        Such as ``https://example.org``; ``*`` stands for all.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(map(canonical_origin, origins))
        self._open = ANY in self._origins
        self.active = bool(self._origins)

    def admits(self, origin: str) -> bool:
        """Tell whether a page may call, by its origin; of an unknown page, by an empty text."""
        return self._open or (bool(origin) and canonical_origin(origin) in self._origins)

    def headers(self, environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Return the headers for any answer to this request."""
        if not self._open:  # Or a cache would give the answer for one page to another.
            yield "Vary", "Origin"
        if self.admits(environ.get("HTTP_ORIGIN", "")):
            yield "Access-Control-Allow-Origin", "*" if self._open else environ["HTTP_ORIGIN"]
            yield "Access-Control-Expose-Headers", "Allow, ETag, Retry-After, X-Request-ID"

    def preflight_headers(self, environ: dict[str, Any], methods: str) -> Iterator[tuple[str, str]]:
        """Return the further headers for a browser that asks, before a request, whether it may send it."""
        if self.admits(environ.get("HTTP_ORIGIN", "")) and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            yield "Access-Control-Allow-Methods", methods
            # Pages send headers of their own, such as X-Requested-With, which the server does not look at.
            asked = _NAME.findall(environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")[:_LONGEST_NAMES])
            more = [name for name in asked if name.lower() not in _READ_HEADERS.lower().split(", ")]
            yield "Access-Control-Allow-Headers", ", ".join([_READ_HEADERS, *more])
            yield "Access-Control-Max-Age", "600"  # Seconds that a browser need not ask again.


def host_check(allowed: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether a ``Host`` header names this server.

    Parameters
    ----------
    allowed
        Names and addresses, without a port: it may be another one in front of a proxy. ``localhost`` stands for each
        address of it too, ``0.0.0.0`` and ``::`` for any address, ``*.example.org`` for all names that end so, and
        ``*`` for all. What names no host is sent by no browser, and let in. No page has an address in the place of a
        name unless the server of that address sent it.
    """
    names = frozenset(map(plain_host, allowed))
    endings = tuple(name[1:] for name in names if name.startswith("*."))
    takes_addresses = not names.isdisjoint(ALL_ADDRESSES)

    @lru_cache(maxsize=256)  # Each request asks, mostly with one of few names; made-up ones must not fill memory.
    def is_known(header: str) -> bool:
        address = Address.of(header)
        if not header or ANY in names or (address is not None and address.host in names):  # HTTP/1.0 sends no host.
            return True
        if address is None:
            return False
        try:
            number = ipaddress.ip_address(address.host)
        except ValueError:
            return bool(endings) and address.host.endswith(endings)
        return takes_addresses or (number.is_loopback and "localhost" in names)

    return is_known


def unknown_host(header: str) -> HttpError:
    """Return the answer to a request for another host."""
    return HttpError(
        403,
        f"this server is not known as {header[:100]!r}, which a page of that name could use to read conversations. If "
        "it is yours, start the server with --allowed-hosts NAME, or with a token.",
    )


def is_from_a_page(environ: dict[str, Any]) -> bool:
    """Tell whether a web page sent the request, as far as its browser says so."""
    return bool(environ.get("HTTP_ORIGIN")) or environ.get("HTTP_SEC_FETCH_SITE", "none").strip().lower() != "none"


def check_page(cors: Cors, environ: dict[str, Any]) -> None:
    """Raise `HttpError` 403 if the request comes from a web page that is neither this server's own nor in `cors`."""
    origin: str = environ.get("HTTP_ORIGIN", "")
    if not origin and environ.get("HTTP_SEC_FETCH_SITE", "none").strip().lower() in _OWN_PAGES:
        return
    if cors.admits(origin) or (origin and _is_own(origin, environ.get("HTTP_HOST", ""))):
        return
    raise _refused(origin)


def check_link(cors: Cors, environ: dict[str, Any]) -> None:
    """Raise `HttpError` 403 if a browser asks with GET, without saying that a page may, as `check_page` has it."""
    # Both are in each request of each browser, and no page can leave one out; hardly any program sends both.
    if "HTTP_ACCEPT_LANGUAGE" not in environ or not environ.get("HTTP_USER_AGENT", "").startswith("Mozilla/"):
        return
    scheme, separator, rest = environ.get("HTTP_REFERER", "").partition("://")
    origin = f"{scheme}://{_end_of_host.split(rest, 1)[0]}" if separator else ""
    if cors.admits(origin) or (origin and _is_own(origin, environ.get("HTTP_HOST", ""))):
        return
    if origin:
        raise _refused(origin)
    raise HttpError(
        403,
        "a browser may not talk to the bot with GET here, since it does not say which page asks for it. Send a POST, "
        "or start the server with a token.",
    )


def _refused(origin: str) -> HttpError:
    page = repr(origin[:100]) if origin else "another site"
    return HttpError(
        403,
        f"a page of {page} may not change conversations here. If it is yours, start the server with "
        "--cors ORIGIN, such as --cors https://example.org, or with a token.",
    )


def _is_own(origin: str, host_header: str) -> bool:
    scheme, _, rest = origin.strip().lower().partition("://")
    page, here, default = Address.of(rest), Address.of(host_header), _DEFAULT_PORTS.get(scheme)
    if page is None or here is None or default is None:
        return False
    return page.host == here.host and (page.port or default) == (here.port or default)
