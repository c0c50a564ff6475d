"""The HTTP client of a server, with a method for each kind of request.

A request without an answer is repeated, but carried out only once: see `rasa_core.support.http_calls`.
"""

from __future__ import annotations

import io
import json
import random
import uuid
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from urllib3 import encode_multipart_formdata

from rasa_core.domain import Domain
from rasa_core.events import Event
from rasa_core.exceptions import ClientError, ModelError
from rasa_core.support.http_calls import Call, JsonCaller
from rasa_core.trackers import DialogueStateTracker

Json = dict[str, Any]

MAX_KEY = 255


class RasaCoreClient(JsonCaller):
    """A client of a running server. Safe to share between threads, and with forked processes.

    A request that gets no answer, or an answer of status 500 or above (except 501), is sent again after a random,
    growing pause. Each request that changes something has an idempotency key, the same in all attempts, so that it is
    carried out once. Servers of Rasa Core 0.9 do not know such keys, which the client notices: with such a server, it
    only repeats requests that cannot have arrived.

    All methods raise `RequestError` if there is no valid answer, and its subclass `ServerAnswerError` if the answer is
    an error. Both are a `ClientError`; a mistake that is found before a request is sent raises `ClientError`, too.

    Parameters
    ----------
    host
        Address of the server, such as ``http://localhost:5005``, perhaps with a path at which it is mounted.
    token
        Sent as ``Authorization: Bearer``, and to a server of Rasa Core 0.9 as ``?token=``; never shown in errors or
        logs.
    timeout
        Timeout while the server sends nothing, in seconds.
    retries
        How often a request is sent again at most; 0 to send each request once, on a new connection.
    retry_time
        Total timeout of all attempts of a request, in seconds.
    first_delay, longest_delay
        Upper limit of the first pause, which doubles each time, and of all pauses, in seconds. If the server sends
        ``Retry-After``, the client waits for that time, too, but for at most `longest_delay`.
    rng
        The random numbers for the pauses, which may be seeded; by default those of the system.

    Notes
    -----
    The methods that change a conversation take two more parameters.

    ``idempotency_key``: a unique name for the request, 1 to 255 printable ASCII characters. If you store the key
    before you send the request, you can send the same request again after a crash. A request is the same if its message
    or its events, including their timestamps, are the same. Servers keep a key for a day.

    ``expected_version``: the ``version`` of an earlier answer. If the conversation has changed since, nothing is
    done, and the error has the status 412.
    """

    def __init__(
        self,
        host: str,
        token: str | None = None,
        timeout: float = 30.0,
        *,
        retries: int = 5,
        retry_time: float = 60.0,
        first_delay: float = 0.25,
        longest_delay: float = 10.0,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(
            host,
            token,
            timeout,
            retries=retries,
            within=retry_time,
            first_delay=first_delay,
            longest_delay=longest_delay,
            rng=rng,
        )

    def status(self) -> Json:
        """Return the version of the server, and the fingerprints of its models.

        Servers of this version answer ``{"version": ..., "core_model": ..., "nlu_model": ...}``.
        """
        return self.call(Call("GET", "/version"))

    def clients(self) -> list[str]:
        """Return the ids of all conversations."""
        return list(self.call(Call("GET", "/conversations")))

    def parse(
        self,
        message: str,
        sender_id: str,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
    ) -> Json:
        """Send a user message; return ``{"next_action": ..., "version": ..., "tracker": ...}``.

        Parameters
        ----------
        message, sender_id
            The user's message, and the id of the conversation.
        model
            The name of an NLU model that was trained with `train`, to parse the message; by default the server's own
            interpreter.
        """
        body = {"query": message} if model is None else {"query": message, "model": model}
        return self._turn(_change(sender_id, "parse", body, idempotency_key, expected_version))

    def continue_core(
        self,
        action_name: str | None,
        events: Iterable[Event],
        sender_id: str,
        *,
        error: str | None = None,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
    ) -> Json:
        """Report an action that was run, its events, and its `error` if it failed; return the same as `parse`."""
        body: Json = {"executed_action": action_name, "events": [event.as_dict() for event in events]}
        body.update({} if error is None else {"error": error})
        return self._turn(_change(sender_id, "continue", body, idempotency_key, expected_version))

    def append_events_to_tracker(
        self,
        sender_id: str,
        events: Iterable[Event],
        *,
        idempotency_key: str | None = None,
        expected_version: int | None = None,
    ) -> Json:
        """Append events to a conversation, and return its state."""
        body = [event.as_dict() for event in events]
        return self.call(_change(sender_id, "tracker/events", body, idempotency_key, expected_version))

    def tracker_json(
        self, sender_id: str, use_history: bool = True, include_events: bool = True, until: float | None = None
    ) -> Json:
        """Return the state of a conversation.

        Parameters
        ----------
        use_history
            Whether events before the latest restart are included.
        include_events
            Whether the answer contains any events.
        until
            Return the state at this Unix time, in seconds.
        """
        query = {"ignore_restarts": str(use_history).lower(), "events": str(include_events).lower()}
        if until is not None:
            query["until"] = repr(float(until))
        return self.call(Call("GET", _path(sender_id, "tracker"), query=query))

    def tracker(
        self,
        sender_id: str,
        domain: Domain,
        only_events_after_latest_restart: bool = False,
        include_events: bool = True,
        until: float | None = None,
    ) -> DialogueStateTracker:
        """Return a conversation as a tracker with the slots of `domain`; see `tracker_json`.

        With `include_events` False, the tracker only has the sender_id.
        """
        state = self.tracker_json(sender_id, not only_events_after_latest_restart, include_events, until)
        return DialogueStateTracker.from_dict(sender_id, state.get("events") or [], domain)

    def explain(self, sender_id: str, at: int | None = None) -> Json:
        """Return the explanation of a decision, in the format of `rasa_core.explanation.Explanation.as_dict`.

        Parameters
        ----------
        sender_id
            The id of the conversation; an unknown conversation is not created.
        at
            Explain the decision that was made after the first `at` events; by default, the decision that is due now,
            or, while the bot listens, the decision to listen.
        """
        query = {} if at is None else {"at": str(at)}
        return self.call(Call("GET", _path(sender_id, "explain"), query=query))

    def upload_model(self, model_dir: str | Path, max_retries: int = 1) -> Json:
        """Upload the model in the directory `model_dir`, which the server then serves; raise `ModelError` without one.

        If an upload fails, but is not refused, it is tried again up to `max_retries` times.
        """
        archive = ("model.zip", _zipped(Path(model_dir)), "application/zip")
        body, content_type = encode_multipart_formdata({"model": archive})
        return self.call(Call("POST", "/load", body, {"Content-Type": content_type}), retries=max(max_retries, 0))

    def train(
        self,
        training_data: str | bytes | Path,
        name: str | None = None,
        *,
        timeout: float = 3600.0,
        **settings: int | float,
    ) -> Json:
        """Let the server train an NLU model, and wait for it.

        Parameters
        ----------
        training_data
            A file, or its content: Markdown, JSON or YAML.
        name
            The name of the model; an existing model of this name is replaced. By default, the server makes a name.
        timeout
            Timeout for the training, in seconds.
        **settings
            ``epochs``, ``seed`` ...; see `rasa_core.nlu.settings.NLUSettings`.

        Returns
        -------
        dict
            ``name``, ``fingerprint``, ``intents``, ``entities``, ``examples``, ``seconds``, ``warnings``,
            ``not_learnt``.
        """
        content = training_data.read_bytes() if isinstance(training_data, Path) else training_data
        body = content.encode() if isinstance(content, str) else content
        query = {key: str(value) for key, value in settings.items()} | ({} if name is None else {"name": name})
        headers = {"Content-Type": "text/plain"}
        return self.call(Call("POST", "/train", body, headers, query, timeout=timeout), retries=0)  # It has no key.

    def _turn(self, call: Call) -> Json:
        answer = self.call(call)
        if not isinstance(answer, dict) or "next_action" not in answer:  # The host may be another kind of server.
            raise ClientError(f"{self.host} answered without a next_action; is it a Rasa Core server?")
        return answer


def _path(sender_id: object, what: str) -> str:
    quoted = quote(str(sender_id), safe="")  # The ids of some messengers are numbers.
    # Percent-encoded, since clients and proxies would resolve "." and ".." as parts of a path.
    return f"/conversations/{quoted if quoted.strip('.') else quoted.replace('.', '%2E')}/{what}"


def _change(sender_id: str, what: str, body: object, key: str | None, expected_version: int | None) -> Call:
    """Return a call that changes a conversation, with a new idempotency key if none is given."""
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise ValueError(
            f"an idempotency_key is 1 to {MAX_KEY} printable ASCII characters, not {key[:80]!r}; use a UUID."
        )
    headers = {"Content-Type": "application/json"}
    if expected_version is not None:
        headers["If-Match"] = f'"{expected_version}"'
    own = str(uuid.uuid4()) if key is None else key  # uuid4 uses the system's random numbers, which differ in forks.
    return Call("POST", _path(sender_id, what), _as_json(body), headers, key=own, probe=_path(sender_id, "tracker"))


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
