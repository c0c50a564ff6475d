"""Reads endpoints.yml and credentials.yml of Rasa 2 and 3: action server, NLG server and tracker store.

``${NAME}`` is replaced by a variable of the environment. Other keys are reported, and left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.support.http import server_address, without_secrets
from rasa_core.support.places import Place
from rasa_core.support.problems import UNKNOWN_KEY, Fate, Note, unread
from rasa_core.support.yaml_parts import Part, settings_in

ENDPOINTS: Final = "endpoints.yml"
CREDENTIALS: Final = "credentials.yml"
_EXAMPLE: Final = "rest: or action_endpoint:"
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SERVER_KEYS: Final = (
    *("url", "token", "token_name", "headers", "params", "basic_auth", "timeout", "compress"),
    *("enable_selective_domain", "tracker_events", "type", "kwargs"),
)
_DIALECTS: Final = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgresql+psycopg2": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mysql+pymysql": "mysql",
    "mariadb": "mysql",
}
_STORE_TYPES: Final = ("in_memory", "redis", "sql", "mongod", "dynamo")
_SQL_KEYS: Final = ("type", "dialect", "url", "port", "db", "username", "password", "query")
_REDIS_KEYS: Final = ("type", "url", "port", "db", "username", "password", "key_prefix", "record_exp", "use_ssl")
_TEXTS: Final = (
    *("url", "token", "token_name", "username", "password", "db", "key_prefix", "dialect"),
    *("headers", "params", "basic_auth", "query"),
)
_FILE_OF_RASA: Final = "rasa.db"  # Where Rasa keeps them if the file does not say.
_LEFT_OUT: Final = {
    "event_broker": "left out: read the events with rasa-core store export, or from the store",
    "models": "left out: the model is trained from this folder, or loaded with POST /load",
}
_UNNEEDED: Final = {"lock_store": "not needed, as each conversation is locked where it is kept"}
_CHANNELS: Final = ("rest",)  # All that needs no code for one service.


@dataclass(slots=True)
class Endpoints:
    """The settings of other servers in a project.

    Attributes
    ----------
    actions, nlg : dict or None
        The action server and the NLG server, as `rasa_core.support.endpoint.Endpoint.from_config` takes them.
    store : str or None
        The URL of the tracker store; None for the default one.
    notes : list of Note
        Notes that say what each key becomes.
    """

    actions: dict[str, Any] | None = None
    nlg: dict[str, Any] | None = None
    store: str | None = None
    notes: list[Note] = field(default_factory=list)


def read_endpoints(folder: Path) -> Endpoints:
    """Read endpoints.yml and credentials.yml of a project, if they exist.

    Raises
    ------
    ModelError
        If a file cannot be read, a variable is not set, or a store is unknown; the message begins with file and line.
    """
    found = Endpoints()
    for key, part in settings_in(folder / ENDPOINTS, _EXAMPLE).items():
        if part.is_null:  # As Rasa's own template has it, with all that could stand there as comments.
            continue
        if key in ("action_endpoint", "nlg"):
            _add_server(found, key, part)
        elif key == "tracker_store":
            _add_store(found, part)
        else:
            hint = did_you_mean(key, ("action_endpoint", "nlg", "tracker_store"))
            text = _LEFT_OUT.get(key, f"{UNKNOWN_KEY}.{hint}".rstrip("."))
            fate: Fate = "replaced" if key in _UNNEEDED else "left out"
            found.notes.append(Note(part.place, key, fate, _UNNEEDED.get(key, text)))
    for key, part in settings_in(folder / CREDENTIALS, _EXAMPLE).items():
        found.notes.append(_channel(key, part))
    return found


def _channel(name: str, part: Part) -> Note:
    if name in _CHANNELS:
        return Note(part.place, f"channel {name}", "same", "the same, at POST /webhooks/rest/webhook")
    if name == "rasa":
        return Note(part.place, f"channel {name}", "replaced", "not needed, as nothing here asks Rasa X")
    hint = did_you_mean(name, _CHANNELS)
    if hint:
        return Note(part.place, name, "left out", f"{UNKNOWN_KEY}.{hint}".rstrip("."))
    text = "left out; a small program of your own can pass its messages on to POST /webhooks/rest/webhook"
    return Note(part.place, f"channel {name}", "left out", text)


def _filled(part: Part, are_texts: bool = False) -> Any:
    """Return plain data with variables of the environment filled in; raise `ModelError` for a missing variable.

    With `are_texts`, values are texts as written: the password ``0123`` is no number.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ModelError(f"{part.place}: the environment has no variable {match[1]}; set it, or write its value.")
        return os.environ[match[1]]

    # Not in the whole file: keys that are left out may use variables that exist only on the machine of Rasa.
    if part.is_mapping:
        return {key.written: _filled(value, are_texts or key.written in _TEXTS) for key, value in part.pairs()}
    data = part.told(()) if are_texts else part.data
    return _VARIABLE.sub(value_of, data) if isinstance(data, str) else data


def _no_url(given: Any) -> str:
    """Return the error text for a server without an address, with the right notation."""
    line = "a line url: http://localhost:5055/webhook, with the address of yours"
    if isinstance(given, str):
        return f"write below it {line}, and not {given!r} behind it."
    url = given.get("url") if isinstance(given, dict) else None
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        return f"its url: has a host, and a port up to 65535 if any, as http://localhost:5055/webhook has; not {url!r}."
    if url is not None:
        return f"its url: begins with http:// or https://, such as http://localhost:5055/webhook, not {url!r}."
    odd = [str(name) for name in given if str(name) not in _SERVER_KEYS] if isinstance(given, dict) else []
    hint = did_you_mean("url", odd).replace("Did you mean", "Is it meant by")
    return f"it has no url:.{hint or f' Write below it {line}.'}"


def _add_server(found: Endpoints, key: str, part: Part) -> None:
    given = _filled(part)
    url = given.get("url") if isinstance(given, dict) else None
    if key == "nlg" and url is None and isinstance(given, dict) and given.get("type") == "response":
        found.notes.append(Note(part.place, key, "same", "the same: the domain's responses are said"))
        return
    if not isinstance(url, str) or server_address(url) is None:
        raise ModelError(f"{part.place}: {key}: {_no_url(given)}")
    for name in ("headers", "params", "basic_auth"):
        if not isinstance(given.get(name) or {}, dict):
            raise ModelError(f"{part.place}: {name}: of {key}: is a mapping of names to values, not {given[name]!r}.")
    if key == "nlg" and str(given.get("type") or "callback") not in ("callback", "response"):
        text = "left out, as it is a class of one's own; the domain's responses are said"
        found.notes.append(Note(part.place, key, "left out", text))
        return
    if key == "nlg":
        found.nlg = given
    else:
        found.actions = given
    unused = unread(given, _SERVER_KEYS)
    fate: Fate = "replaced" if unused else "same"
    found.notes.append(Note(part.place, key, fate, f"the same, at {without_secrets(url)}", unused))


def _add_store(found: Endpoints, part: Part) -> None:
    given = _filled(part)
    if not isinstance(given, dict):
        raise ModelError(f"{part.place}: tracker_store: is a mapping with type:.")
    if "store_type" in given:  # The name of Rasa 1, which all later versions take, too.
        given = {**given, "type": given["store_type"]}
        del given["store_type"]
    kind, place = str(given.get("type") or "in_memory"), part.place
    what = f"tracker_store {kind}"
    if kind.lower() == "in_memory":
        found.store = "memory://"
        text = "conversations are kept in the memory of one process, until it ends"
        found.notes.append(Note(place, what, "same", text))
    elif kind.lower() == "sql":
        _add_sql(found, given, place)
    elif kind.lower() == "redis":
        _add_redis(found, given, place)
    elif kind.lower() in _STORE_TYPES or "." in kind:
        text = "left out: conversations are kept in a file beside the model; name another store with --store"
        found.notes.append(Note(place, what, "left out", text))
    else:
        hint = did_you_mean(kind, _STORE_TYPES)
        raise ModelError(
            f"{place}: there is no tracker_store of type {kind!r}.{hint} Known: {', '.join(_STORE_TYPES)}."
        )


def _add_sql(found: Endpoints, given: Mapping[str, Any], place: Place) -> None:
    written, separator, rest = str(given.get("url") or "").partition("://")
    dialect = written if separator else str(given.get("dialect") or "sqlite")
    scheme = _DIALECTS.get(dialect)  # The driver behind the + is Rasa's; here, each database has one.
    if scheme is None:
        hint = did_you_mean(dialect, _DIALECTS)
        known = "sqlite, postgresql, mysql"
        raise ModelError(f"{place}: conversations cannot be kept in dialect: {dialect}.{hint} Known: {known}.")
    unused = unread(given, _SQL_KEYS)
    text = "conversations are kept there, in tables of their own; those of Rasa are not read"
    if separator:
        found.store = f"{scheme}://{rest}"
    elif scheme == "sqlite":
        path = _beside(str(given.get("db") or _FILE_OF_RASA))
        found.store = f"sqlite:///{quote(path)}"
        text = f"conversations are kept in {path}; those of Rasa are not read"
    else:
        found.store = f"{scheme}://{_address(given, 'localhost')}/{quote(str(given.get('db') or 'rasa'), safe='')}"
        query = given.get("query")
        found.store += f"?{urlencode(query)}" if isinstance(query, dict) and query else ""
    found.notes.append(Note(place, f"tracker_store sql, {dialect}", "replaced", text, unused))


def _beside(path: str) -> str:
    """Return the file of a store, or another name beside it if a store of Rasa has this name."""
    try:
        with Path(path).open("rb") as file:
            is_of_rasa = b"intent_name" in file.read(1 << 16)
    except OSError:
        is_of_rasa = False
    # The file of Rasa stays as it is, for the way back.
    return str(Path(path).with_suffix(".rasa_core.db")) if is_of_rasa else path


def _add_redis(found: Endpoints, given: Mapping[str, Any], place: Place) -> None:
    scheme = "rediss" if given.get("use_ssl") is True else "redis"
    database = given.get("db") or 0
    prefix = given.get("key_prefix")
    found.store = f"{scheme}://{_address(given, 'localhost', 6379)}/{database}"
    found.store += f"?{urlencode({'key_prefix': prefix})}" if prefix else ""
    # Conversations end by --retention here, and not by the clock of Redis; to keep them for ever needs nothing.
    unused = (*unread(given, _REDIS_KEYS), *(key for key in ("record_exp",) if given.get(key)))
    text = "conversations are kept there, under keys of their own; those of Rasa are not read"
    found.notes.append(Note(place, "tracker_store redis", "replaced", text, unused))


def _address(given: Mapping[str, Any], host: str, port: int | None = None) -> str:
    """Return ``user:password@host:port`` of a URL, with the parts that are known."""
    user, password = given.get("username"), given.get("password")
    secret = f":{quote(str(password), safe='')}" if password not in (None, "") else ""
    named = f"{quote(str(user or ''), safe='')}{secret}"
    at = given.get("port") or port
    return f"{named}@" * bool(named) + str(given.get("url") or host) + (f":{at}" if at else "")
