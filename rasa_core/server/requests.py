"""Requests, errors and answers in JSON: Werkzeug's classes, with the rules of this server.

The content type of a body is ignored, since old clients send JSON as plain text, and curl sends it as a form. JSON that
`rasa_core.support.strict_json` refuses is answered with 400, so that views need not check it. After an error, the
unread rest of a body is not waited for, since a client that has stopped sending would block a thread; the server closes
such a connection. Lone surrogates (escapes of U+D800 to U+DFFF) are kept, and are escaped in answers.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from werkzeug.datastructures import FileStorage, ImmutableMultiDict, MultiDict
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_etags, quote_etag
from werkzeug.utils import cached_property
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response

from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.support.folders import is_of_this_machine
from rasa_core.support.strict_json import decode, encode, json_type
from rasa_core.support.threads import started
from rasa_core.tracker_store.idempotency import RequestConditions
from rasa_core.version import __version__

Headers = Iterable[tuple[str, str]]

_LARGER_CONVERSATION: Final = 16
_MAX_PARAMETERS: Final = 100

_tag = r'(?:(?:W/)?"[^"]*"|[0-9]+)'
TAGS: Final = rf"\*|[\s,]*{_tag}(?:\s*,[\s,]*{_tag})*[\s,]*"
"""The pattern of the header ``If-Match``."""
_if_match = re.compile(TAGS)
_folders = re.compile(r"(?<![\w./:*-])/(?:[^\s'\":,/]+/)+")
_version = re.compile(r"([0-9]{1,18})(?:[-;](?:gzip|br|deflate|zstd))?", re.ASCII)

_MAX_DISCARDED: Final = 32 * 1024 * 1024
_MAX_SHORT: Final = 512 * 1024
_CHUNK: Final = 64 * 1024
_PATIENCE: Final = 1.0  # seconds
_drains = threading.BoundedSemaphore(1)  # One at a time, since each such read also blocks a thread of Granian.

_REASONS: Final = {
    400: "BadRequest",
    401: "NotAuthenticated",
    403: "NotAuthorized",
    404: "NotFound",
    406: "NotAcceptable",
    409: "Conflict",
    500: "InternalError",
}
"""Rasa's name for the error of each status."""


class JsonResponse(Response):
    """An answer in JSON that creates the attributes of Werkzeug's class only when one is used, which is rare."""

    def __init__(self, body: bytes, status: int, pairs: list[tuple[str, str]]) -> None:
        self._whole = status, pairs, body

    if not TYPE_CHECKING:  # With `__getattr__`, a type checker would accept any attribute.

        def __getattr__(self, name: str) -> Any:
            """Return what Werkzeug's class has set, from now on."""
            if "response" in vars(self):
                raise AttributeError(name)
            status, pairs, body = self._whole
            super().__init__([body], status, pairs)
            return getattr(self, name)

    def whole(self) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Return status, headers and body; None if the attributes of Werkzeug's class exist and may have changed."""
        return None if "response" in vars(self) else self._whole


def json_response(data: object, status: int = 200, headers: Headers = ()) -> Response:
    """Answer with `data` as JSON: one line, keys sorted, ASCII only, a newline at the end."""
    body = (encode(data) + "\n").encode("ascii")
    described = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers]
    return JsonResponse(body, status, described)


def at_version(data: object, version: int) -> Response:
    """Answer with `data` about a conversation of this version."""
    return json_response(data, headers=[("ETag", quote_etag(str(version)))])


class HttpError(HTTPException):
    """A request that cannot be served.

    Parameters
    ----------
    status
        HTTP status, 400 to 599.
    message
        The mistake, what was expected, and the remedy; ``error`` in the answer.
    headers
        Further headers of the answer.
    details
        Further keys of the answer, for programs. The keys that clients of Rasa expect are added to them.
    """

    def __init__(
        self, status: int, message: str, headers: Headers = (), details: Mapping[str, Any] | None = None
    ) -> None:
        as_rasa = {"version": __version__, "status": "failure", "message": message, "code": status}
        reason = _REASONS.get(status, HTTPStatus(status).phrase)
        answer = json_response({**as_rasa, "reason": reason, **(details or {}), "error": message}, status, headers)
        super().__init__(message, answer)
        self.code = status

    def __str__(self) -> str:
        """Return the message."""
        return str(self.description)


def without_folders(text: str, *known: Path | None) -> str:
    """Return a text in which paths begin at their `known` folder; of any other path, only the last part is left."""
    for folder in filter(None, known):
        for written in (str(folder), str(folder.resolve())):
            text = text.replace(f"{written}/", "").replace(written, folder.name)
    return _folders.sub("", text)


class Request(WerkzeugRequest):
    """One request.

    Parameters
    ----------
    max_body
        Largest body that is read, in bytes.
    interpreter_named
        A function that returns the NLU model with a given name.
    """

    form_data_parser_class = staticmethod(partial(FormDataParser, silent=False))  # type: ignore[assignment]
    max_form_memory_size = None

    def __init__(
        self, environ: dict[str, Any], max_body: int, interpreter_named: Callable[[str], NaturalLanguageInterpreter]
    ) -> None:
        # The attributes that every request needs; `__getattr__` calls Werkzeug's constructor for all others.
        self.environ = environ
        self.method = environ["REQUEST_METHOD"].upper()
        self.query_string = environ.get("QUERY_STRING", "").encode("latin1")
        self.interpreter_named = interpreter_named
        self.only_sender: str | None = None
        self._max_body = max_body
        self._body = b""
        self.body_keys: Iterable[str] = ()
        if "HTTP_TRANSFER_ENCODING" in environ:  # A chunked body ends by itself; not all servers set this key.
            environ["wsgi.input_terminated"] = True

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return what Werkzeug's class has set, from now on."""
            if "headers" in vars(self):
                raise AttributeError(name)
            super().__init__(self.environ, populate_request=False)
            return getattr(self, name)

    # -- the URL and the headers

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """Return the query parameters of the URL; of several parameters with one name, the first is used."""
        try:
            text = self.query_string.decode()
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
        except UnicodeError:
            raise HttpError(400, "the parameters of the URL are not UTF-8; percent-encode them as UTF-8.") from None
        except ValueError:
            raise HttpError(400, f"the URL has more than {_MAX_PARAMETERS} parameters.") from None
        return ImmutableMultiDict(pairs)

    def conditions(self, operation: str, message: str = "") -> RequestConditions | None:
        """Return the conditions in ``Idempotency-Key`` and ``If-Match``, or None; call this when the body was read.

        Parameters
        ----------
        operation
            The name of the operation: to use one key for another operation, or with another body, is an error.
        message
            The message of a GET request, which has no body.
        """
        key = self.environ.get("HTTP_IDEMPOTENCY_KEY")
        versions = self.environ.get("HTTP_IF_MATCH")
        if key is None and versions is None:
            return None
        content = message.encode("utf-8", "surrogatepass") if self.method == "GET" else self._body
        if "model" in self.args:
            content += b"\0model=" + self.args["model"].encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(operation.encode() + b"\0" + content).hexdigest()
        return RequestConditions(key, digest, None if versions is None else matching_versions(versions))

    # -- the body

    def body(self) -> bytes:
        """Read the body, and return it.

        Raises
        ------
        HttpError
            413 if the body is too large, before it is read; 400 if it is incomplete; 415 if it is compressed.
        """
        encoding = self.environ.get("HTTP_CONTENT_ENCODING")
        if encoding and encoding.lower() != "identity":
            problem = f"the body is sent as {encoding[:40]!r}; send it uncompressed."
            raise HttpError(415, problem, [("Accept-Encoding", "identity")])
        declared = self.environ.get("CONTENT_LENGTH") or ""
        if declared and not (declared.isascii() and declared.isdigit()):
            raise HttpError(400, f"Content-Length is a number of bytes, not {declared[:40]!r}.")
        if len(declared) > 15 or (declared and int(declared) > self._max_body):
            raise self._too_large()
        try:
            self._body = self._read_declared(int(declared)) if declared else self._read_chunks()
        except TimeoutError as error:
            raise HttpError(408, f"the body was not waited for: {error}; send all of it at once.") from error
        except OSError as error:  # Servers raise it if the client breaks off, or the chunks are malformed.
            raise HttpError(400, f"the body cannot be read to its end: {error}.") from error
        return self._body

    def _read_declared(self, length: int) -> bytes:
        """Read a body of a known length, without Werkzeug's `stream`, which is slow (see `rasa_core.server.app`)."""
        body = self.input_stream.read(length)
        while len(body) < length:
            chunk = self.input_stream.read(length - len(body))
            if not chunk:
                raise HttpError(
                    400, f"the body ends after {len(body)} of the {length} bytes that Content-Length names."
                )
            body += chunk
        return body

    def _read_chunks(self) -> bytes:
        """Read a chunked body; return an empty one if the server does not tell where the body ends.

        If a body breaks off, Granian's ``read(size)`` returns the bytes so far, as at the end of a complete body, but
        ``read()`` returns nothing. So ``read()`` is called, by which an incomplete body is noticed.
        """
        if self.environ.get("SERVER_SOFTWARE") == "Granian" and "HTTP_TRANSFER_ENCODING" in self.environ:
            body = self.input_stream.read()
            if not body:
                raise HttpError(400, "the body in chunks is empty, or breaks off before its end; send all of it.")
            if len(body) > self._max_body:
                raise self._too_large()
            return bytes(body)
        self.max_content_length = self._max_body + 1  # Werkzeug cuts off a longer body.
        try:
            body = self.get_data()
        except ClientDisconnected as error:
            raise (error.__context__ or error) from None
        if len(body) > self._max_body:
            raise self._too_large()
        return body

    def _too_large(self) -> HttpError:
        return HttpError(
            413,
            f"the body is larger than {self._max_body} bytes; send less, or start the server with a larger --max-body.",
        )

    def has_more(self) -> bool:
        """Tell whether the request has a long body that no view has read, as views that need no body do not."""
        return not self._body and len(self.environ.get("CONTENT_LENGTH") or "") > 5

    def discard_body(self) -> None:
        """Discard an unread body, so that a client that is still sending it gets the answer; wait `_PATIENCE` at most.

        Granian itself discards a short body when it closes the connection. A long body is read by another thread, for
        which the answer waits up to `_PATIENCE` seconds; only one body is read at a time. Other servers close the
        connection as soon as the answer is sent, and have their own timeouts for bodies.
        """
        if self._body:
            return
        if self.environ.get("SERVER_SOFTWARE") != "Granian":
            if "stream" not in vars(self):
                self.max_content_length = _MAX_DISCARDED
            with suppress(HTTPException):
                while self.stream.read(_CHUNK):
                    pass
        elif _MAX_SHORT < (self.content_length or 0) <= _MAX_DISCARDED and _drains.acquire(blocking=False):
            reader = started(_read_to_its_end, "discards", self.input_stream)
            if reader is None:
                _drains.release()
            else:
                reader.join(_PATIENCE)

    def json(self) -> Any:
        """Read the body, and return it as a JSON value; raise `HttpError` 400 if it is not valid JSON."""
        return self._decoded(self.body())

    @staticmethod
    def _decoded(body: bytes) -> Any:
        if not body.strip():
            raise HttpError(400, "the body is empty; send JSON.")
        try:
            return decode(body.decode().removeprefix("\ufeff"))
        except UnicodeDecodeError as error:
            raise HttpError(400, f"the body is not UTF-8: {error.reason} at byte {error.start}.") from None
        except ValueError as error:
            problem = f"not JSON: {error}".removeprefix("not JSON: it is ")  # "it is nested deeper than ..."
            raise HttpError(400, f"the body is {problem}.") from None

    def conversation(self) -> Any:
        """Read the body with a whole conversation, and return it as a JSON value; raise `HttpError` as `json` does.

        The body may be larger than other bodies, since a conversation that this server has sent contains each message
        several times, and escapes. But it may not contain more values, since values take the memory.
        """
        most = self._max_body
        self._max_body *= _LARGER_CONVERSATION
        body = self.body()
        if sum(map(body.count, (b",", b"[", b"{"))) > most:
            raise HttpError(413, f"the conversation has more than {most} values; send less, or raise --max-body.")
        return self._decoded(body)

    def json_object(self) -> dict[str, Any]:
        """Read the body, and return it as a JSON object."""
        body = self.json()
        if isinstance(body, dict):
            self.body_keys = body.keys()
            return body
        raise HttpError(400, f"the body must be a JSON object, not {json_type(body)}.")

    def uploaded_file(self, field: str, max_length: int) -> FileStorage | None:
        """Return the file in a field of a form, or None.

        Raises
        ------
        HttpError
            413 if the body is larger than `max_length` bytes; 400 if it is not a valid form.
        """
        self.max_content_length = max_length
        try:
            return self.files.get(field)
        except RequestEntityTooLarge:
            raise HttpError(413, f"an uploaded model has at most {max_length} bytes.") from None
        except (ValueError, OSError, ClientDisconnected) as error:
            # Errors of the temporary file in which Werkzeug stores a large upload are not the client's.
            if isinstance(error, OSError) and (is_of_this_machine(error) or isinstance(error, FileNotFoundError)):
                raise
            raise HttpError(400, f"the body is not sound multipart/form-data: {error}") from None


def _read_to_its_end(body: IO[bytes]) -> None:
    try:
        with suppress(OSError):
            while body.read(_CHUNK):
                pass
    finally:
        _drains.release()


def matching_versions(header: str) -> frozenset[int] | None:
    """Return the versions of a conversation that ``If-Match`` names; None if the header allows any version.

    A tag that is not a version matches nothing. Weak tags (``W/"7"``) and tags with the name of a compression
    (``"7-gzip"``) do match, unlike in RFC 9110: proxies that compress answers change tags in these ways, and such a tag
    still identifies the version.

    Raises
    ------
    HttpError
        400 if the header is not a list of tags.
    """
    if not _if_match.fullmatch(header.strip()):
        example = 'send the ETag of an earlier answer, such as "7"'
        raise HttpError(400, f"If-Match is a list of tags, not {header[:80]!r}; {example}.")
    tags = parse_etags(header.strip())
    if tags.star_tag:
        return None
    return frozenset(
        int(found[1]) for tag in tags.as_set(include_weak=True) if (found := _version.fullmatch(tag or ""))
    )
