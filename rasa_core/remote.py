"""The HTTP client: a bot that is served elsewhere, with actions that run here.

`RasaCoreClient` has one method for each route of the server. `RemoteAgent` plays whole turns: it sends the
user's message, runs each action that the server asks for, and reports what the action said and changed.

Each request opens a connection of its own and is sent once: a request that got no answer may have been
carried out, and sending it again could log an action twice.
"""

from __future__ import annotations

import http.client
import io
import json
import secrets
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, quote_plus, urlencode, urlsplit

from rasa_core.channels.channel import InputChannel, UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, BotUttered, Event
from rasa_core.exceptions import ClientError, ModelError
from rasa_core.trackers import DialogueStateTracker

Json = dict[str, Any]

MAX_ACTIONS = 100


class ServerAnswerError(ClientError):
    """The server answered with an error.

    Attributes
    ----------
    status : int
        The HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RasaCoreClient:
    """Talks to a running server.

    All methods raise `ClientError` if there is no answer, or none that can be read, and its subclass
    `ServerAnswerError` if the answer is an error.

    Parameters
    ----------
    host
        Address of the server, such as ``http://localhost:5005``, perhaps with a path at which it is mounted.
    token
        Sent as ``?token=``; never shown in errors.
    timeout
        How long the server may stay silent, in seconds.
    """

    def __init__(self, host: str, token: str | None = None, timeout: float = 30.0) -> None:
        self.host = host.rstrip("/") if "://" in host else f"http://{host.rstrip('/')}"
        self.token = token
        self.timeout = timeout
        self._url = urlsplit(self.host)
        self._prefix = quote(self._url.path, safe="/%:@!$&'()*+,;=~")
        if self._url.scheme not in ("http", "https") or not self._url.hostname or self._url.query:
            shown = host.partition("?")[0]
            raise ValueError(f"the address of a server is like http://localhost:5005, not {shown!r}.")

    def status(self) -> Json:
        """Return the version of the server: ``{"version": ...}``."""
        found: Json = self._request("GET", "/version")
        return found

    def clients(self) -> list[str]:
        """Return the ids of all conversations."""
        found: list[str] = self._request("GET", "/conversations")
        return found

    def parse(self, message: str, sender_id: str) -> Json:
        """Send a user message; return ``{"next_action": ..., "tracker": ...}``."""
        return self._turn(_path(sender_id, "parse"), {"query": message})

    def continue_core(self, action_name: str | None, events: Iterable[Event], sender_id: str) -> Json:
        """Report that an action was executed, and the events it caused; return as `parse` does."""
        body = {"executed_action": action_name, "events": [event.as_dict() for event in events]}
        return self._turn(_path(sender_id, "continue"), body)

    def append_events_to_tracker(self, sender_id: str, events: Iterable[Event]) -> Json:
        """Append events to a conversation, and return its state."""
        body = [event.as_dict() for event in events]
        found: Json = self._request("POST", _path(sender_id, "tracker/events"), _as_json(body))
        return found

    def tracker_json(
        self,
        sender_id: str,
        use_history: bool = True,
        include_events: bool = True,
        until: float | None = None,
    ) -> Json:
        """Return the state of a conversation.

        Parameters
        ----------
        sender_id
            Identifies the conversation.
        use_history
            Whether events before the latest restart are included.
        include_events
            Whether there are any events in the answer.
        until
            Return the state at this Unix time, in seconds.
        """
        query = {"ignore_restarts": str(use_history).lower(), "events": str(include_events).lower()}
        if until is not None:
            query["until"] = repr(float(until))
        found: Json = self._request("GET", _path(sender_id, "tracker"), query=query)
        return found

    def tracker(
        self, sender_id: str, domain: Domain, use_history: bool = True, until: float | None = None
    ) -> DialogueStateTracker:
        """Return a conversation as a tracker with the slots of `domain`; parameters as in `tracker_json`."""
        state = self.tracker_json(sender_id, use_history, until=until)
        return DialogueStateTracker.from_dict(sender_id, state.get("events") or [], domain)

    def upload_model(self, model_dir: str | Path, max_retries: int = 1) -> Json:
        """Make the server use the model in the directory `model_dir`.

        Parameters
        ----------
        model_dir
            The model.
        max_retries
            How often an upload that failed, other than by being refused, is tried again.

        Raises
        ------
        ModelError
            If there is no such directory.
        """
        content_type, body = _multipart("model", "model.zip", _zipped(Path(model_dir)))
        while True:
            try:
                answer: Json = self._request("POST", "/load", body, content_type)
            except ClientError as error:
                refused = isinstance(error, ServerAnswerError) and error.status < 500
                if refused or max_retries <= 0:
                    raise
                max_retries -= 1
            else:
                return answer

    def _turn(self, path: str, body: Json) -> Json:
        answer = self._request("POST", path, _as_json(body))
        if not isinstance(answer, dict) or "next_action" not in answer:
            raise ClientError(f"{self.host} answered without a next_action; is it a Rasa Core server?")
        return answer

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request, and return the JSON of the answer."""
        parameters = dict(query or {}) | ({} if self.token is None else {"token": self.token})
        target = f"{self._prefix}{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": content_type})
        secure = self._url.scheme == "https"
        connection_class = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = connection_class(self._url.hostname or "", self._url.port, timeout=self.timeout)
        what = f"{method} {self.host}{path}"
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            return self._read(what, response.status, response.read())
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise ClientError(f"{what} got no answer: {error or type(error).__name__}.") from error
        finally:
            connection.close()

    def _read(self, what: str, status: int, content: bytes) -> Any:
        """Return the JSON in an answer."""
        text = content.decode("utf-8", "replace")
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            if status < 300:
                shown = self._without_token(text)[:200]
                raise ClientError(f"{what} answered with something that is not JSON: {shown!r}.") from None
            answer = None
        if status < 300:
            return answer
        reason = answer.get("error") if isinstance(answer, dict) else None
        shown = self._without_token(str(reason or text))[:1000]
        raise ServerAnswerError(f"{what} answered {status}: {shown}", status)

    def _without_token(self, text: str) -> str:
        """Return `text` of a server, in which it may have repeated the token."""
        if not self.token:
            return text
        return text.replace(self.token, "<token>").replace(quote_plus(self.token), "<token>")


class RemoteAgent:
    """Plays the turns of a bot that is served elsewhere; the actions of `domain` run here.

    Parameters
    ----------
    domain
        Has the actions, by name.
    core_client
        Knows the server.
    """

    def __init__(self, domain: Domain, core_client: RasaCoreClient) -> None:
        self.domain = domain
        self.core_client = core_client

    @classmethod
    def load(
        cls,
        path: str | Path,
        core_host: str,
        auth_token: str | None = None,
        action_factory: str | None = None,
    ) -> Self:
        """Read the domain from the model directory `path`, for the server at `core_host`."""
        domain = Domain.load(Path(path, "domain.yml"), action_factory)
        return cls(domain, RasaCoreClient(core_host, auth_token))

    def handle_channel(self, input_channel: InputChannel) -> None:
        """Process each message of a channel until there are no more."""
        input_channel.start_sync_listening(self.process_message)

    def process_message(self, message: UserMessage) -> list[Json] | None:
        """Play one turn, up to the point where the bot listens.

        Returns
        -------
        list of dict or None
            What the bot said, if the message has no output channel or a `CollectingOutputChannel`.

        Raises
        ------
        ClientError
            If the server fails, or asks for more than `MAX_ACTIONS` actions.
        """
        channel = CollectingOutputChannel() if message.output_channel is None else message.output_channel
        next_action = self.core_client.parse(message.text, message.sender_id)["next_action"]
        tracker = None
        executed = 0
        while next_action is not None and next_action != ACTION_LISTEN_NAME:
            if executed == MAX_ACTIONS:
                raise ClientError(
                    f"conversation {message.sender_id!r}: {MAX_ACTIONS} actions ran for one message, and "
                    f"{next_action!r} is to be the next. Is there a story that lets the bot listen then?"
                )
            if tracker is None:
                tracker = self.core_client.tracker(message.sender_id, self.domain)
            dispatcher = Dispatcher(message.sender_id, channel, self.domain)
            events = self._run(next_action, dispatcher, tracker)
            for event in (ActionExecuted(next_action), *events):
                tracker.update(event)
            answer = self.core_client.continue_core(next_action, events, message.sender_id)
            next_action = answer["next_action"]
            executed += 1
        return channel.messages if isinstance(channel, CollectingOutputChannel) else None

    def _run(self, action_name: str, dispatcher: Dispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Run an action; return what it said, and then what it changed."""
        events = self.domain.action_for_name(action_name).run(dispatcher, tracker, self.domain) or []
        return [*(BotUttered(said.text, said.data) for said in dispatcher.latest_bot_messages), *events]


def _path(sender_id: str, what: str) -> str:
    return f"/conversations/{quote(sender_id, safe='')}/{what}"


def _as_json(body: object) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ClientError(f"what is to be sent is not JSON: {error}. Look at the values in the events.") from error


def _zipped(directory: Path) -> bytes:
    if not directory.is_dir():
        raise ModelError(f"there is no model directory {str(directory)!r}.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(directory).as_posix())
    return buffer.getvalue()


def _multipart(field: str, filename: str, content: bytes) -> tuple[str, bytes]:
    """Return content type and body of a form with one file."""
    boundary = secrets.token_hex(16)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n'
        "Content-Type: application/zip\r\n\r\n"
    )
    return (
        f"multipart/form-data; boundary={boundary}",
        head.encode() + content + f"\r\n--{boundary}--\r\n".encode(),
    )
