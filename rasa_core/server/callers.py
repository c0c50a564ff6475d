"""The check of requests to a server without a token: programs and named web pages may call it, other pages may not.

A browser sends requests for any page that somebody visits, also to servers on the visitor's own machine. It does not
ask the server first if a form could send the request, and a form can send JSON as plain text. These headers, the first
two of which no page can change, tell where a request comes from:

``Host``
    The name under which the server was called. If the domain name of a foreign page is made to resolve to this machine
    (DNS rebinding), the browser takes the page for one of this server and lets it read every answer; but then the
    ``Host`` header has the foreign name, by which the request is refused.
``Origin``, or ``Sec-Fetch-Site`` where a browser sends no origin
    The page that sends a request. A request that changes a conversation must come from a program, which sends neither
    header, from a page of this server, or from a page that ``--cors`` names. A request that only reads needs no such
    check, since a browser shows the answer only to pages that `Cors` admits.
``Referer``
    The page with the link, picture or frame that causes a request. For such requests, browsers send neither ``Origin``
    nor ``Sec-Fetch-Site`` to a server at a plain ``http`` address in a network, and a page may suppress ``Referer``,
    too. So a GET that talks to the bot is refused if its other headers are those of a browser, unless ``Referer`` names
    an admitted page.

A page is one of this server if its origin has the host and the port of the ``Host`` header. A missing port is the
default port of the page's scheme, so that the check also works behind a proxy that ends TLS. A proxy must pass on the
``Host`` header that it received; if it does not, name its address with ``--cors``. ``X-Forwarded-Host`` is ignored.

With a token, none of this is checked: a page that does not know the token can do nothing (`rasa_core.server.guards`).
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
"""Addresses that stand for all addresses of this machine when a server listens on them."""

_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
# The values of Sec-Fetch-Site that exclude other pages; "same-site" includes pages of other ports of this machine.
_OWN_PAGES: Final = ("none", "same-origin")
_end_of_host = re.compile(r"[/?#]")
_host = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:/@?#\s]+)(?::([0-9]{1,5}))?")


class Address(NamedTuple):
    """A host, such as ``example.org`` or ``::1``, and a port or None."""

    host: str
    port: int | None

    @classmethod
    def of(cls, text: str) -> Address | None:
        """Parse the content of a ``Host`` header; return None if it is invalid."""
        found = _host.fullmatch(text.strip().lower())
        return None if found is None else cls(plain_host(found[1]), int(found[2]) if found[2] else None)


def plain_host(text: str) -> str:
    """Return a host in the form for comparisons: in lower case, without brackets or a final dot, addresses shortened.

    ``::ffff:127.0.0.1`` becomes ``127.0.0.1``: a server that listens to IPv6 and IPv4 gets IPv4 addresses in this form.
    """
    host = text.strip().lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host
    return str(getattr(address, "ipv4_mapped", None) or address)


def canonical_origin(text: str) -> str:
    """Return an origin in the form for comparisons: ``https://a.b`` for ``HTTPS://A.b:443/``; ``*`` stays ``*``."""
    scheme, _, rest = text.strip().lower().rstrip("/").partition("://")
    address = Address.of(rest)
    if address is None:
        return text.strip().lower()
    host = f"[{address.host}]" if ":" in address.host else address.host
    is_default = address.port in (None, _DEFAULT_PORTS.get(scheme))
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{address.port}"


def hosts_of(listening_on: str) -> tuple[str, ...]:
    """Return the host names of a server that listens on an address: the address and ``localhost``."""
    # Only a server that listens on all addresses can be called from other machines by this machine's name.
    own = (socket.gethostname(),) if listening_on in ALL_ADDRESSES else ()
    return ("localhost", listening_on, *own)


_READ_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-ID"
_NAME: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_LONGEST_NAMES: Final = 2000  # Characters.


class Cors:
    """The CORS headers that let web pages of the given origins call the server from a browser.

    The headers are added to every answer, also to errors, since a browser hides an answer without them from the page.

    Parameters
    ----------
    origins
        Origins such as ``https://example.org``; ``*`` stands for all.
    """

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(map(canonical_origin, origins))
        self._open = ANY in self._origins
        self.active = bool(self._origins)

    def admits(self, origin: str) -> bool:
        """Tell whether a page with this origin may call the server; an empty text stands for an unknown page."""
        return self._open or (bool(origin) and canonical_origin(origin) in self._origins)

    def headers(self, environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the headers for any answer to this request."""
        if not self._open:  # Without Vary, a cache would give the answer for one page to another page.
            yield "Vary", "Origin"
        if self.admits(environ.get("HTTP_ORIGIN", "")):
            yield "Access-Control-Allow-Origin", "*" if self._open else environ["HTTP_ORIGIN"]
            yield "Access-Control-Expose-Headers", "Allow, ETag, filename, Retry-After, X-Request-ID"

    def preflight_headers(self, environ: dict[str, Any], methods: str) -> Iterator[tuple[str, str]]:
        """Yield the further headers for a preflight, by which a browser asks whether it may send a request."""
        if self.admits(environ.get("HTTP_ORIGIN", "")) and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            yield "Access-Control-Allow-Methods", methods
            # Other headers that pages send, such as X-Requested-With, are allowed and ignored.
            asked = _NAME.findall(environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")[:_LONGEST_NAMES])
            more = [name for name in asked if name.lower() not in _READ_HEADERS.lower().split(", ")]
            yield "Access-Control-Allow-Headers", ", ".join([_READ_HEADERS, *more])
            yield "Access-Control-Max-Age", "600"  # Seconds for which a browser may cache this answer.


def host_check(allowed: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a ``Host`` header names this server.

    A header without a host is accepted, since no browser sends it. Accepting addresses is safe: a page whose host is an
    address comes from the server at that address.

    Parameters
    ----------
    allowed
        Names and addresses, without ports, since a proxy may listen on another port. ``localhost`` also stands for its
        addresses, ``0.0.0.0`` and ``::`` for any address, ``*.example.org`` for all names with this ending, and
        ``*`` for all hosts.
    """
    names = frozenset(map(plain_host, allowed))
    endings = tuple(name[1:] for name in names if name.startswith("*."))
    takes_addresses = not names.isdisjoint(ALL_ADDRESSES)

    @lru_cache(maxsize=256)  # Most requests have one of few names; the limit is for clients that invent names.
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
    """Return the error for a request with an unknown ``Host``."""
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
    """Raise `HttpError` 403 for a browser's GET whose ``Referer`` does not name a page that `check_page` admits."""
    # Every browser sends both headers, and no page can remove one; hardly any program sends both.
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
