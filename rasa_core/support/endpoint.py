"""The client of a server that gets requests by POST with JSON, such as an action server.

Redirects are followed: 307 and 308 with the same request, 301, 302 and 303 by GET, as other clients do. The secrets
in a request (``Authorization``, the query of the address) are only sent to the configured server.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from threading import TIMEOUT_MAX
from typing import Any, Final, Self
from urllib.parse import SplitResult, quote, urlencode, urljoin, urlsplit

from rasa_core.support.http import HttpAnswer, HttpTransport, NoAnswerError, server_address, without_secrets

# The limit on redirects; after a circle of redirects, the caller gets the last answer.
_MOST_HOPS: Final = 5
LONGEST_ANSWER: Final = 16 * 1024 * 1024
"""The largest answer in bytes, after decompression."""
_REPEATED: Final = (307, 308)
_FETCHED: Final = (301, 302, 303)
_SECRET: Final = ("authorization", "cookie")
# "%" is among the safe characters, so that parts of an address that are encoded already are not encoded twice.
_SAFE: Final = "/%:@!$&'()*+,;=~"


class Endpoint:
    """A server at an address. Safe to share between threads.

    Parameters
    ----------
    url
        An ``http://`` or ``https://`` address.
    timeout
        Timeout for an answer, in seconds.
    headers
        Headers of each request, such as ``{"Authorization": "Bearer ..."}``.
    compress
        Whether requests are compressed with gzip.

    Raises
    ------
    ValueError
        If the address is invalid, or the timeout is not a number above 0.
    """

    def __init__(
        self, url: str, timeout: float, headers: Mapping[str, str] | None = None, *, compress: bool = False
    ) -> None:
        parts = server_address(url)
        if parts is None:
            raise ValueError(f"a server has an address such as http://localhost:5055/webhook, not {url!r}.")
        self.url, self.timeout, self.headers, self.compress = url, _seconds(timeout), dict(headers or {}), compress
        self.place = without_secrets(url)  # For error messages, which are stored in conversations.
        self._parts = parts
        self._transport = _transport(parts, parts.query)

    @classmethod
    def from_config(cls, given: Mapping[str, Any], timeout: float) -> Self:
        """Return the server of an entry in endpoints.yml: ``url``, ``token``, ``headers``, ``basic_auth`` ..."""
        for name in ("headers", "params", "basic_auth"):
            if not isinstance(given.get(name) or {}, Mapping):
                raise ValueError(f"{name}: of a server is a mapping of names to values, not {given[name]!r:.80}.")
        url, headers = str(given.get("url")), {str(k): str(v) for k, v in (given.get("headers") or {}).items()}
        query = {str(key): str(value) for key, value in (given.get("params") or {}).items()}
        if given.get("token"):
            query[str(given.get("token_name") or "token")] = str(given["token"])
        basic = given.get("basic_auth") or {}
        if basic:
            pair = f"{basic.get('username', '')}:{basic.get('password', '')}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        joint = "&" if "?" in url else "?"
        return cls(
            url + (joint + urlencode(query) if query else ""),
            given.get("timeout") or timeout,
            headers,
            compress=given.get("compress") is True,
        )

    def post(self, request: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Send a JSON object and return the answer; raise `NoAnswerError` without a complete answer."""
        body: bytes | None = json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass")
        # The configured headers come last, so that they override the others.
        sent = {"Content-Type": "application/json", "Accept": "*/*", **(headers or {}), **self.headers}
        if self.compress and body:
            body, sent["Content-Encoding"] = gzip.compress(body, 1), "gzip"
        method, at, transport = "POST", self._parts, self._transport
        for _ in range(_MOST_HOPS):
            path = quote(at.path, safe=_SAFE) or "/"
            answer = transport.exchange(method, path, headers=sent, body=body, timeout=self.timeout)
            if len(answer.content) > LONGEST_ANSWER:
                raise NoAnswerError(ValueError(f"what it sends is longer than {LONGEST_ANSWER} bytes"))
            target = answer.headers.get("Location")
            if target is None or answer.status not in (*_REPEATED, *_FETCHED):
                return answer
            there = _target(at, target)
            if there is None:
                return answer
            if answer.status in _FETCHED:
                method, body = "GET", None
                sent = {name: value for name, value in sent.items() if not name.startswith("Content-")}
            if _server(there) != _server(self._parts):
                sent = {name: value for name, value in sent.items() if name.lower() not in _SECRET}
            # A new connection for each redirect; it is not kept, since the next request starts at `url` again.
            transport = _transport(there, self._query_for(there))
            at = there
        return answer

    def _query_for(self, there: SplitResult) -> str:
        """Return the query for a redirect: its own query and, for the configured server, the query of each request."""
        own = self._parts.query if _server(there) == _server(self._parts) else ""
        # Without duplicates, since the redirect may itself contain the query.
        return "&".join(filter(None, dict.fromkeys((there.query, own))))


def _transport(parts: SplitResult, hidden_query: str) -> HttpTransport:
    return HttpTransport(parts._replace(path=""), LONGEST_ANSWER + 1, hidden_query)


def _seconds(given: object) -> float:
    """Return a timeout in seconds; raise `ValueError` for an invalid one."""
    try:
        seconds = 0.0 if isinstance(given, bool) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        seconds = 0.0
    if not 0.0 < seconds <= TIMEOUT_MAX:
        raise ValueError(f"timeout: of a server is a number of seconds above 0, not {given!r:.80}.")
    return seconds


def _target(at: SplitResult, location: str) -> SplitResult | None:
    """Return the target of a redirect; None if it is not the address of a server."""
    try:
        there = urlsplit(urljoin(at._replace(query="").geturl(), location))
        return there if there.scheme in ("http", "https") and there.hostname and _server(there) else None
    except ValueError:  # The port is not a number, or an IPv6 address is incomplete.
        return None


def _server(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
