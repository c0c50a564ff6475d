"""The tables of the SQL stores and the statements on them, in SQLAlchemy Core; compiled once for each server.

Ids and keys are bytes, in UTF-8: so no collation folds their case, drops their trailing spaces, or refuses a
NUL, and they sort by code point. Events, states and answers are ASCII JSON of any length.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ClauseElement,
    Column,
    Dialect,
    Double,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import mysql

MAX_ID = 2000
"""Most bytes of a sender_id: with a key of 255 beside it, an index entry fits both PostgreSQL and InnoDB."""

_ID = LargeBinary().with_variant(mysql.VARBINARY(MAX_ID), "mysql")
_KEY = LargeBinary().with_variant(mysql.VARBINARY(255), "mysql")
_TEXT = Text().with_variant(mysql.LONGTEXT(), "mysql")

METADATA = MetaData()
_STORAGE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}

META = Table(
    "rasa_core_meta",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", String(255), nullable=False),
    **_STORAGE,
)
HEADS = Table(
    "rasa_core_heads",
    METADATA,
    Column("sender_id", _ID, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("origin", BigInteger, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("updated", Double, nullable=False),
    Column("state", _TEXT, nullable=False),
    **_STORAGE,
)
EVENTS = Table(
    "rasa_core_events",
    METADATA,
    Column("sender_id", _ID, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event", _TEXT, nullable=False),
    **_STORAGE,
)
ANSWERS = Table(
    "rasa_core_answers",
    METADATA,
    Column("sender_id", _ID, primary_key=True),
    Column("request_key", _KEY, primary_key=True),
    Column("request", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("complete", SmallInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("answer", _TEXT, nullable=False),
    Index("rasa_core_answers_created", "created"),
    **_STORAGE,
)

_id: BindParameter[bytes] = bindparam("id")
_h, _e, _a = HEADS.c, EVENTS.c, ANSWERS.c

READ_HEAD = select(_h.version, _h.origin, _h.fingerprint, _h.updated, _h.state).where(_h.sender_id == _id)
READ_EVENTS = (
    select(_e.event)
    .where(_e.sender_id == _id, _e.seq >= bindparam("start"), _e.seq < bindparam("stop"))
    .order_by(_e.seq)
)
READ_ANSWER = select(_a.request, _a.version, _a.complete, _a.created, _a.answer).where(
    _a.sender_id == _id, _a.request_key == bindparam("key")
)
EXPIRED_AT_ONCE = 1000
# The youngest of the oldest answers, which go together: a few at a time, so that no statement takes long.
OLDEST_ANSWERS = (
    select(_a.created)
    .where(_a.created < bindparam("before"))
    .order_by(_a.created)
    .limit(literal_column("1"))
    .offset(literal_column(str(EXPIRED_AT_ONCE - 1)))
)
EXPIRE_ANSWERS = delete(ANSWERS).where(_a.created < bindparam("before"))
EXPIRE_OLDEST_ANSWERS = delete(ANSWERS).where(_a.created <= bindparam("until"))
NEXT_HEAD = (
    update(HEADS)
    .values({column.name: bindparam(column.name) for column in _h if not column.primary_key})
    .where(_h.sender_id == _id, _h.version == bindparam("expected"))
)
FIRST_HEAD = insert(HEADS)
ADD_EVENT = insert(EVENTS)
# In this order: deleting the head waits for a commit under way, and only then are that commit's rows visible.
REMOVE = (
    delete(HEADS).where(_h.sender_id == _id),
    delete(EVENTS).where(_e.sender_id == _id),
    delete(ANSWERS).where(_a.sender_id == _id),
)


def sender_ids(*, after: bool, limit: bool, idle_since: bool) -> ClauseElement:
    """Return the statement that lists ids, with the parameters of those names where they are asked for."""
    statement = select(_h.sender_id).order_by(_h.sender_id)
    if after:
        statement = statement.where(_h.sender_id > bindparam("after"))
    if idle_since:
        statement = statement.where(_h.updated < bindparam("idle_since"))
    return statement.limit(bindparam("limit", type_=BigInteger)) if limit else statement


def compiled(statement: ClauseElement, dialect: Dialect) -> str:
    """Return `statement` as the text that a driver takes, with parameters by name."""
    return str(statement.compile(dialect=dialect))
