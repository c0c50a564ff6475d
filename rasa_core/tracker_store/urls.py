"""Opens the tracker store that a URL names.

=============================================  ===============================================
``memory://``                                  the memory of this process
``sqlite:///conversations.db``                 a SQLite file, relative to the current folder
``sqlite:////var/lib/bot/talks.db``            a SQLite file, absolute
``sqlite:///x.db?synchronous=full``            survives a power cut, for a slower commit
``postgresql://user:password@host/database``   PostgreSQL; ``cockroachdb://`` for CockroachDB
``mysql://user:password@host/database``        MySQL or MariaDB
``redis://:password@host:6379/0``              Redis; ``rediss://`` over TLS
``...?timeout=5``                              seconds to wait for a busy conversation; the default is 30
=============================================  ===============================================
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from rasa_core.domain import Domain
from rasa_core.exceptions import StoreError, did_you_mean
from rasa_core.support.extras import installing
from rasa_core.tracker_store.base import url_options
from rasa_core.tracker_store.locks import timeout_from
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.memory import InMemoryTrackerStore
from rasa_core.tracker_store.sqlite import SqliteTrackerStore

_FORMS = (
    "memory://, sqlite:///relative.db, sqlite:////absolute.db, postgresql://user:password@host/database, "
    "mysql://user:password@host/database, redis://host:6379/0"
)
NEEDING_PACKAGES = {"RedisTrackerStore": "redis", "SqlTrackerStore": "sql"}
"""The stores that are imported only on use, with the name of their module, which is also that of their extra."""


def imported_store(name: str) -> Any:
    """Return one of `NEEDING_PACKAGES`; raise `ImportError` if its packages are missing."""
    extra = NEEDING_PACKAGES[name]
    try:
        return getattr(import_module(f"rasa_core.tracker_store.{extra}"), name)
    except ImportError as error:
        raise ImportError(f"{name} needs more packages: {installing(extra)}. ({error})") from error


def store_from_url(url: str, domain: Domain | None = None, *, check: bool = True) -> EventLogStore:
    """Return the tracker store that `url` names.

    Parameters
    ----------
    check
        Whether the store is opened at once, so that a wrong address fails here rather than at the first use.

    Raises
    ------
    StoreError
        If the scheme, the address or an option is unknown, or the store cannot be opened.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StoreError(f"a tracker store is named by a URL: {error}. Known: {_FORMS}.") from error
    opener = _OPENERS.get(parts.scheme)
    if opener is None:
        # The message does not quote the rest of the URL, which may have a password.
        what = (
            f"unknown tracker store {parts.scheme + '://'!r}." if parts.scheme else "a tracker store is named by a URL."
        )
        if not parts.scheme and "@" not in url and url.strip("/"):
            what += f" Did you mean sqlite:///{url}?"
        raise StoreError(f"{what}{did_you_mean(parts.scheme, _OPENERS)} Known: {_FORMS}.")
    if parts.fragment:
        raise StoreError(f"{parts.scheme}://: write # in a file name or a password as %23.")
    try:
        # For text that is not UTF-8, drivers would fail later, and quote it in the error, even a password.
        _ = os.fsencode(url) if parts.scheme == "sqlite" else url.encode()
    except UnicodeEncodeError:
        raise StoreError(f"{parts.scheme}:// has characters in it that are not UTF-8; write it in UTF-8.") from None
    store = opener(parts, domain)
    store.url = store.url if parts.scheme in ("memory", "sqlite") else url
    if not check:
        return store
    try:
        # The cheapest query that needs the file or server, its tables, and the permission to read them.
        store.sender_ids(limit=1)
    except StoreError:
        store.close()
        raise
    return store


def _memory(parts: SplitResult, domain: Domain | None) -> EventLogStore:
    options = url_options(parts, ("timeout",))
    if parts.netloc or parts.path.strip("/"):
        raise StoreError(f"memory:// has no address, such as {parts.netloc + parts.path!r}. Known: {_FORMS}.")
    return InMemoryTrackerStore(domain, timeout=timeout_from(options))


def _sqlite(parts: SplitResult, domain: Domain | None) -> EventLogStore:
    options = url_options(parts, ("synchronous", "timeout"))
    if parts.netloc or len(parts.path) < 2:
        raise StoreError(
            f"{parts.geturl()!r} names no file: write three slashes before a relative path, four before an "
            f"absolute one. Known: {_FORMS}."
        )
    return SqliteTrackerStore(
        domain,
        path=unquote(parts.path[1:]),
        synchronous=options.get("synchronous", "normal"),
        timeout=timeout_from(options),
    )


def _imported(name: str) -> Callable[[SplitResult, Domain | None], EventLogStore]:
    def opened(parts: SplitResult, domain: Domain | None) -> EventLogStore:
        try:
            store = imported_store(name)
        except ImportError as error:
            raise StoreError(f"{parts.scheme}://: {error}") from error
        return store.from_url(parts.geturl(), domain)  # type: ignore[no-any-return]

    return opened


_OPENERS: dict[str, Callable[[SplitResult, Domain | None], EventLogStore]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    **dict.fromkeys(("postgresql", "postgres", "cockroachdb", "mysql", "mariadb"), _imported("SqlTrackerStore")),
    **dict.fromkeys(("redis", "rediss"), _imported("RedisTrackerStore")),
}
