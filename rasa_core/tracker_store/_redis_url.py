"""From a ``redis://`` URL to the parameters of the Redis store."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from rasa_core.exceptions import StoreError, did_you_mean

_OPTIONS = ("cluster", "key_prefix", "timeout")
_FORM = "redis://user:password@host:6379/0; write /, ?, #, @ and % of a password as %2F, %3F, %23, %40 and %25"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """What a URL says; None where it says nothing. No message quotes what may be part of a password."""

    host: str | None
    port: int | None
    db: int
    username: str | None
    password: str | None
    ssl: bool
    cluster: bool
    key_prefix: str | None
    timeout: float | None

    @classmethod
    def parse(cls, url: str) -> RedisUrl:
        """Return the parts of `url`, or raise `StoreError`."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise StoreError(f"the address of Redis has no valid port. Write {_FORM}.") from None
        if parts.scheme not in ("redis", "rediss") or "@" in parts.path + parts.query or parts.fragment:
            raise StoreError(f"this is no address of Redis. Write {_FORM}.")
        options = _options(parts)
        return cls(
            host=parts.hostname or None,
            port=port,
            db=_database(parts),
            username=unquote(parts.username or "") or None,
            password=unquote(parts.password or "") or None,
            ssl=parts.scheme == "rediss",
            cluster=_flag(options.get("cluster", "false")),
            key_prefix=options.get("key_prefix"),
            timeout=_seconds(options["timeout"]) if "timeout" in options else None,
        )


def _options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            hint = did_you_mean(name, _OPTIONS)
            raise StoreError(f"{parts.scheme}:// has no option {name!r}.{hint} Known: {', '.join(_OPTIONS)}.")
    return options


def _database(parts: SplitResult) -> int:
    text = parts.path.strip("/")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise StoreError(f"the database of Redis is a number. Write {_FORM}.")
    return int(text)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise StoreError(f"cluster is true or false, not {text!r}.")
    return text.lower() == "true"


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise StoreError(f"timeout is a number of seconds, not {text!r}.") from None
