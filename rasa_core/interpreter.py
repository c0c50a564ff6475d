"""Interpreters turn the text of a message into an intent and entities.

The result of an interpreter is called a *parse*::

    {"text": "hi Anna", "intent": {"name": "greet", "confidence": 0.9},
     "intent_ranking": [{"name": "greet", "confidence": 0.9}],
     "entities": [{"entity": "name", "value": "Anna", "start": 3, "end": 7}]}

`RegexInterpreter` understands messages that name their intent, such as ``/greet{"name": "Anna"}``.
`RasaNLUInterpreter` understands typed text, with a model that ``rasa-core nlu train`` has written.
`RasaNLUHttpInterpreter` asks a running NLU server.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from rasa_core import _legacy
from rasa_core.compat.messages import PREFIXES, AsksOfOld, bracketed_entities
from rasa_core.events import check_parse_data
from rasa_core.events.base import EVENT_DEPTH, SHORT_FINGERPRINT, check_length_of
from rasa_core.exceptions import InterpreterError, ModelError, RasaCoreError
from rasa_core.support.outages import Outages
from rasa_core.support.strict_json import decode, plain

if TYPE_CHECKING:
    from rasa_core.support.http import HttpAnswer

logger = logging.getLogger(__name__)

Parse = dict[str, Any]

INTENT_MESSAGE_PREFIX = PREFIXES[0]
DEFAULT_INTENTS: Final = frozenset({"restart", "back", "out_of_scope", "session_start", "nlu_fallback"})
_OPENING = re.compile(r"[{\[]")
_COMMAND = re.compile(r"/\w[\w.+-]*(@[\d.]+)?\s*(\{.*)?\Z", re.DOTALL)
_BRACKETED = re.compile(r"[\w.+/-]+\s*\[[^\[\]=]*\w[^\[\]=]*=[^\[\]]*\]")
_OBJECT_DEPTH: Final = EVENT_DEPTH - 3  # An object is in the list of entities, which is in the parse.
_CONFIDENCE = re.compile(r"0|1|[01]?\.[0-9]+|[01]\.")
_ANSWER_LIMIT = 10_000_000
_RETRIES, _LONGEST_PAUSE = 2, 0.2  # Seconds.
_TRAIN = "Train a model from your NLU data with rasa-core nlu train -d nlu.md -o DIR"


def names_its_intent(text: str, intents: Collection[str] | None = None) -> bool:
    """Tell whether a message names its intent, as ``/greet`` does, so that no model is needed to interpret it.

    If the `intents` of a bot are given, the prefix must be followed by one of them, by a default intent, or by a single
    word, perhaps with a JSON object: ``/nope{"a": 1}`` is surely no sentence of a user, though the intent is unknown.
    """
    if intents is None or not text.startswith(PREFIXES):
        return text.startswith(PREFIXES)
    if text[1:] in intents:
        return True
    name = _OPENING.split(text, maxsplit=1)[0][1:].strip()
    names = {name, _split_confidence(name)[0], name.lower() if "[" in text else name}
    return any(one in intents or one in DEFAULT_INTENTS for one in names) or _COMMAND.match(text) is not None


def parsed_by(interpreter: NaturalLanguageInterpreter, text: str) -> Parse:
    """Return the interpreter's parse of a text, checked and completed; raise `InterpreterError` if it is no parse."""
    parsed = interpreter.parse(text)
    try:
        if type(interpreter) not in _GIVE_JSON:
            parsed = plain(parsed, EVENT_DEPTH - 1)
            check_length_of(parsed)
        if parsed.get("intent") is None or parsed.get("entities") is None:
            intent = parsed.get("intent") or {"name": None, "confidence": 0.0}
            parsed = {**parsed, "intent": intent, "entities": parsed.get("entities") or []}
        check_parse_data(parsed)
    except (AttributeError, ValueError) as error:
        raise InterpreterError(
            f"{type(interpreter).__name__} returned no parse: {str(error).rstrip('.')}. A parse is like "
            '{"text": "hi", "intent": {"name": "greet", "confidence": 0.9}, "entities": []}.'
        ) from error
    return parsed


def signature(interpreter: NaturalLanguageInterpreter) -> str:
    """Return the name of an interpreter in the log: its model's short fingerprint, or its class if it has no model."""
    return (interpreter.model_fingerprint or "")[:SHORT_FINGERPRINT] or type(interpreter).__name__


class NaturalLanguageInterpreter:
    """Base of all interpreters."""

    def parse(self, text: str) -> Parse:
        """Return the parse of `text`; see the top of this module for its shape."""
        raise NotImplementedError(f"{type(self).__name__} needs a method parse(text) that returns intent and entities.")

    @property
    def model_fingerprint(self) -> str | None:
        """A hash of the model in this process; None if the interpreter has no model or asks a server."""
        return None

    @staticmethod
    def create(obj: object) -> NaturalLanguageInterpreter:
        """Return the interpreter that `obj` describes; raise `ValueError` if it describes none.

        Parameters
        ----------
        obj
            None for `RegexInterpreter`, the ``http(s)://`` address of an NLU server, the directory of an NLU
            model, or an interpreter, which is returned as it is.
        """
        if isinstance(obj, NaturalLanguageInterpreter):
            return obj
        if obj is None:
            return RegexInterpreter()
        if isinstance(obj, str) and obj.lower().startswith(("http://", "https://")):
            return RasaNLUHttpInterpreter(server=obj)
        if isinstance(obj, str | Path):
            return RasaNLUInterpreter(str(obj))
        raise ValueError(
            "an interpreter is None, the http(s):// address of an NLU server, the directory of an NLU model, "
            f"or a NaturalLanguageInterpreter, not {type(obj).__name__}."
        )


class RegexInterpreter(AsksOfOld, NaturalLanguageInterpreter):
    """Reads messages of the form ``/intent@0.7{"entity": "value"}``.

    The prefix (``/`` or ``_``), the confidence and the JSON object may each be missing; the text before the
    object is the name of the intent. A list gives one entity for each item. After a prefix or a single word, entities
    may be written ``[entity=value,other=value]``, as in old stories, unless `intents` has the whole as a name.
    """

    def __init__(self, intents: Collection[str] = ()) -> None:
        self._intents = intents

    def parse(self, text: str) -> Parse:
        """Return the parse of `text`; no text raises an error, and a text without a name has the intent None."""
        opening = text.find("{")
        name, entities = (text if opening < 0 else text[:opening]).strip(), None
        if prefixed := name.startswith(PREFIXES):
            name = name[1:].strip()
        if "[" in name and name not in self._intents and (prefixed or _BRACKETED.fullmatch(name)):
            name, entities = _without_brackets(name, text)
            name = name if entities is None or name in self._intents else name.lower()  # As 0.9 read it.
        name, confidence = _split_confidence(name) if "@" in name else (name, 1.0)
        return {
            "text": text,
            "intent": {"name": name or None, "confidence": confidence},
            "intent_ranking": [{"name": name or None, "confidence": confidence}],
            "entities": entities or ([] if opening < 0 else _json_entities(text, opening)),
        }


def _split_confidence(name: str) -> tuple[str, float]:
    intent, _, written = name.rpartition("@")
    if _CONFIDENCE.fullmatch(written) and float(written) <= 1.0:
        return intent.strip(), float(written)
    return name, 1.0


def _without_brackets(name: str, text: str) -> tuple[str, list[Parse] | None]:
    """Return the name before ``[entity=value]`` and the entities; without such a name, `name` and None."""
    intent, _, written = name.partition("[")
    if not intent:
        return name, None
    try:  # Text after the closing bracket is ignored.
        values = bracketed_entities(written[: written.rindex("]")] if "]" in written else written)
    except ValueError as error:
        logger.warning("no entities in %.80r: an intent is followed by [entity=value] (%s).", text, error)
        values = []
    start, end = text.index("["), len(text.rstrip())
    return intent.strip(), [{"entity": key, "start": start, "end": end, "value": value} for key, value in values]


def _json_entities(text: str, start: int) -> list[Parse]:
    """Return the entities in the JSON object from `start` to the end of `text`."""
    try:
        found: Parse = plain(decode(text[start:]), _OBJECT_DEPTH)
    except ValueError as error:
        expected = 'an intent is followed by a JSON object such as {"name": "Anna"}'
        logger.warning("no entities in %.80r: %s (%s).", text, expected, error)
        return []
    end = len(text.rstrip())
    return [
        {"entity": name, "start": start, "end": end, "value": item}
        for name, value in found.items()
        for item in (value if isinstance(value, list) else (value,))
    ]


class _Model(Protocol):
    """The part of `rasa_core.nlu.model.NLUModel` that is used here; this module may not import its higher storey."""

    fingerprint: str

    def parse(self, text: str) -> Parse: ...


class RasaNLUInterpreter(NaturalLanguageInterpreter):
    """Understands typed text with a model of this package; needs nothing but NumPy. Safe to share between threads.

    Parameters
    ----------
    model_directory
        The folder that ``rasa-core nlu train`` wrote the model into.
    config_file
        Accepted and ignored.
    lazy_init
        Whether to load the model when the first message comes, instead of now.

    Raises
    ------
    InterpreterError
        If the model cannot be read; the message names the remedy. With `lazy_init`, `parse` raises this error.
    """

    def __init__(
        self, model_directory: str | Path, config_file: str | Path | None = None, lazy_init: bool = False
    ) -> None:
        self.model_directory = str(model_directory)
        self._loading = threading.Lock()
        self._model = None if lazy_init else _read_nlu_model(self.model_directory)

    @property
    def model(self) -> _Model:
        """The `rasa_core.nlu.model.NLUModel`, which can also parse many messages at once."""
        if self._model is None:
            with self._loading:
                if self._model is None:
                    self._model = _read_nlu_model(self.model_directory)
        return self._model

    @property
    def model_fingerprint(self) -> str | None:
        """A hash of the data and settings that the model was trained with; None before the model is loaded."""
        return None if self._model is None else self._model.fingerprint

    def parse(self, text: str) -> Parse:
        """Return the model's parse of `text`; see `rasa_core.nlu.model.NLUModel.parse`."""
        return self.model.parse(text)


def _read_nlu_model(directory: str) -> _Model:
    try:
        return cast(_Model, _legacy.load("NLUModel").load(directory))
    except ModelError as error:
        problem = str(error)
        if not Path(directory).is_dir():
            hint = f" Did you mean http://{directory}?" if re.fullmatch(r"[\w.-]+:\d+(?:/.*)?", directory) else ""
            problem = f"there is no such directory. {_TRAIN}, or give the address of an NLU server.{hint}"
        elif Path(directory, "metadata.json").is_file():
            problem = f"what is there is a dialogue model, or a model of Rasa NLU, which is not read. {_TRAIN}."
        raise InterpreterError(f"cannot read an NLU model at {directory!r}: {problem}") from error


_GIVE_JSON: Final = (RegexInterpreter, RasaNLUInterpreter)  # Their parses are always valid JSON and need no check.


class _NotSpokenError(InterpreterError):
    """The server does not know this kind of request, so that the other kind is tried."""


class RasaNLUHttpInterpreter(NaturalLanguageInterpreter):
    """Asks a running Rasa NLU 0.12 (``GET /parse``) or Rasa 1 to 3 (``POST /model/parse``).

    The first message is sent in one form and then in the other, and the form that works is remembered. Connections are
    kept open. If a connection breaks, the message is sent again up to two times, since it is harmless to parse a
    message twice. An interpreter is safe to share between threads and with forked processes.

    Parameters
    ----------
    model_name, project_name
        The model and the project that a Rasa NLU 0.12 server is to use. None for the project's default model.
    token
        Sent as ``?token=``; never logged.
    server
        ``http://host:port`` or ``https://host:port``, perhaps with the path that the server is mounted at.
        A query in the address (``?token=...``) is added to every request.
    timeout
        Timeout for an answer of the server, in seconds; after this time, a message is not sent again.

    Raises
    ------
    ValueError
        If `server` is not such an address.
    """

    def __init__(
        self,
        model_name: str | None = None,
        token: str | None = None,
        server: str = "http://localhost:5000",
        project_name: str = "default",
        timeout: float = 5.0,
    ) -> None:
        from rasa_core.support.http import HttpTransport  # Imported here, as it loads urllib3, which few need.

        url = _checked_address(server)
        self.server = f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"
        self.model_name, self.token, self.project_name = model_name, token, project_name
        self.timeout = timeout
        self._outages = Outages(logger)
        query = parse_qsl(url.query, keep_blank_values=True) + ([] if token is None else [("token", token)])
        self._tokens = [value for name, value in query if name == "token"]
        self._spoken = 0
        self._transport = HttpTransport(url, _ANSWER_LIMIT, hidden_query=urlencode(query, errors="replace"))

    def parse(self, text: str) -> Parse:
        """Return the server's parse of `text`.

        If the server fails, an error is logged now and then until it works again, and the parse has the intent ``""``
        with confidence 0.0, so that the bot can fall back.
        """
        try:
            parse = self._ask(text)
            self._outages.answered(self.server)
            return parse
        except (RasaCoreError, UnicodeError) as error:
            self._outages.failed(f"the NLU server {self.server} did not parse a message: {error}", self.server)
        return {"text": text, "intent": {"name": "", "confidence": 0.0}, "intent_ranking": [], "entities": []}

    def close(self) -> None:
        """Close the idle connections; the next message opens a new one."""
        self._transport.close()

    def _ask(self, text: str) -> Parse:
        model = {} if self.model_name is None else {"model": self.model_name}
        requests: tuple[tuple[str, str, dict[str, str], bytes | None], ...] = (
            ("GET", "/parse", {"q": text, "project": self.project_name, **model}, None),
            ("POST", "/model/parse", {}, json.dumps({"text": text}).encode()),
        )
        reasons = []
        for index in (self._spoken, 1 - self._spoken):
            request = requests[index]
            try:
                parse = self._read_answer(" ".join(request[:2]), self._exchange(*request), text)
            except _NotSpokenError as error:
                reasons.append(str(error))
            else:
                self._spoken = index
                return parse
        raise InterpreterError("; ".join(reasons))

    def _read_answer(self, request: str, answer: HttpAnswer, text: str) -> Parse:
        """Return the parse in an answer, with missing keys added."""
        status, content = answer.status, answer.content
        if status in (404, 405):
            raise _NotSpokenError(f"{request} answered {status}: {self._excerpt(content)}")
        if status != 200:
            raise InterpreterError(f"{request} answered {status}: {self._excerpt(content)}")
        try:
            found = decode(content.decode("utf-8"))
            if not isinstance(found, dict) or "intent" not in found:
                raise ValueError('an object with "intent" was expected')
            parse: Parse = plain(_completed(found, text), EVENT_DEPTH - 1)
            check_parse_data(parse)
            check_length_of(parse)
        except ValueError as error:
            raise _NotSpokenError(f"{request} answered with no parse ({error}): {self._excerpt(content)}") from error
        return parse

    def _excerpt(self, content: bytes) -> str:
        """Return the start of an answer for an error message, without the token, which a server may repeat in it."""
        from rasa_core.support.http import without_token

        shown = content[:2000].decode("utf-8", "replace")
        for token in self._tokens:
            shown = without_token(shown, token)
        return repr(shown[:200])

    def _exchange(self, method: str, path: str, query: dict[str, str], body: bytes | None) -> HttpAnswer:
        from rasa_core.support.http_calls import Attempts, exchange_again

        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body else {})
        attempts = Attempts(_RETRIES, self.timeout, _LONGEST_PAUSE / 2, _LONGEST_PAUSE)
        request = {"method": method, "path": path, "headers": headers, "query": query.items(), "body": body}
        return exchange_again(self._transport, request, attempts, self.timeout)


def _checked_address(server: str) -> SplitResult:
    with suppress(ValueError):
        url = urlsplit(server)
        if url.scheme in ("http", "https") and url.hostname and url.username is None and url.port != 0:
            return url
    shown = server.partition("?")[0].rpartition("@")[2]
    raise ValueError(f"the address of an NLU server is like http://localhost:5000, without a user name, not {shown!r}.")


def _completed(answer: Parse, text: str) -> Parse:
    intent = {"name": None, "confidence": 0.0} if answer["intent"] is None else answer["intent"]
    return {
        **answer,
        "text": answer["text"] if isinstance(answer.get("text"), str) else text,
        "intent": intent,
        "intent_ranking": [intent] if answer.get("intent_ranking") is None else answer["intent_ranking"],
        "entities": answer["entities"] if answer.get("entities") is not None else [],
    }
