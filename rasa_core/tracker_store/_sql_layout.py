"""Making the tables at the first use, by one of many processes, and refusing those of somebody else."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy.schema import CreateIndex, CreateTable

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store._sql_database import Database
from rasa_core.tracker_store._sql_tables import ANSWERS, EVENTS, HEADS, META, METADATA

_LAYOUT = "1"
_LOCK = b"\xff rasa_core layout"  # No sender_id, since it is not UTF-8.
_NAMES = ", ".join(f"'{name}'" for name in METADATA.tables)
_READ_VERSION = "SELECT value FROM rasa_core_meta WHERE name = 'version'"
_WRITE_VERSION = (
    f"INSERT INTO rasa_core_meta (name, value) VALUES ('format', 'rasa_core tracker store'), ('version', '{_LAYOUT}')"
)


def prepare(database: Database, connection: Any, timeout: float) -> None:
    """Make the tables unless they are there; raise `StoreError` if those that are there are not ours to use."""
    if _has_layout(database, connection):
        return
    if not database.lock(connection, _LOCK, timeout):
        raise StoreUnavailableError(
            f"cannot use the tracker store {database.address}: another process makes its tables for {timeout:g} s. "
            "Try again."
        )
    try:
        if not _has_layout(database, connection):  # Another process may have been first.
            _create(database, connection)
    finally:
        database.unlock(connection, _LOCK)


def _has_layout(database: Database, connection: Any) -> bool:
    """Return False if the tables are missing, or if whoever was making them died."""
    found = _columns(database, connection)
    for name, columns in found.items():
        if META.name not in found or not columns >= set(METADATA.tables[name].c.keys()):
            raise StoreError(
                f"{database.address} has a table {name} of other software: it has the columns "
                f"{', '.join(sorted(columns))}. Use another database or schema."
            )
    versions = database.rows(connection, _READ_VERSION) if found else []
    if versions and versions[0][0] != _LAYOUT:
        raise StoreError(
            f"the tracker store {database.address} has layout {versions[0][0]}, and this rasa_core reads layout "
            f"{_LAYOUT}: it was written by another version of rasa_core. Use that version, or another database."
        )
    return bool(versions)


def _columns(database: Database, connection: Any) -> dict[str, set[str]]:
    rows = database.rows(
        connection,
        "SELECT table_name AS t, column_name AS c FROM information_schema.columns "
        f"WHERE table_schema = {database.schema} AND table_name IN ({_NAMES})",
    )
    columns: dict[str, set[str]] = defaultdict(set)
    for table, column in rows:
        columns[table].add(column)
    return columns


def _create(database: Database, connection: Any) -> None:
    # First the table that says whose they are, last its rows: MySQL cannot make tables in a transaction.
    for table in (META, HEADS, EVENTS, ANSWERS):
        database.define(connection, CreateTable(table, if_not_exists=True))
    for index in ANSWERS.indexes:
        database.define(connection, CreateIndex(index, if_not_exists=database.index_if_not_exists))
    for statement in (*database.storage, _WRITE_VERSION):
        database.change(connection, statement)
