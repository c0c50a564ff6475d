"""The SQL stores alone: their URLs, tables and limits, and the number of their queries."""

from __future__ import annotations

import gc
import glob
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
import pymysql
import pytest
from at_once import at_once
from programs import free_port, program
from small_commits import head
from sql_servers import PASSWORD, SERVERS, USER, SqlServer, empty_store, shared

from rasa_core.exceptions import StoreError, StoreUnavailableError, VersionConflictError
from rasa_core.support.extras import installing
from rasa_core.tracker_store import Head, SenderIdError, StoredAnswer, store_from_url
from rasa_core.tracker_store.sql import MAX_ID, SqlTrackerStore


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> SqlServer:
    return shared(request.param)


@pytest.fixture
def store(server: SqlServer) -> Iterator[SqlTrackerStore]:
    with empty_store(server.scheme) as store:
        yield store


# -- addresses


def test_options_reach_the_store_and_the_driver(server: SqlServer) -> None:
    option = {"postgresql": ("application_name", "bot"), "mariadb": ("program_name", "bot")}[server.scheme]
    with store_from_url(server.url(timeout=2.5, **dict([option]))) as store:
        assert isinstance(store, SqlTrackerStore)
        assert store._timeout == 2.5
        assert store._database.options[option[0]] == "bot"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://user:secret@host/db?timeout=soon", "timeout is a number of seconds, not 'soon'"),
        ("postgresql://user:secret@host/db?timeout=", "timeout is a number of seconds, not ''"),
        ("mysql://user:secret@host/db?read_timeout=x", "an option in the URL of the tracker store is wrong"),
        ("mysql://user:secret@host/db?timeout=0", "timeout is a number of seconds above 0"),
        ("postgresql://user:sec/ret:secret@host:port/db", "cannot be read: write postgresql://user:password@host"),
        ("postgresqll://user:secret@host/db", "no SQL store for 'postgresqll://'.* Did you mean 'postgresql'"),
        ("mysql://user:secret@host", "names no database"),
        ("postgresql://user:secret@127.0.0.1:1/db?colour=red", 'invalid connection option "colour".*Check the options'),
        ("mysql://user:secret@127.0.0.1:1/db?colour=red", "'colour'.*Check the options"),
    ],
)
def test_a_wrong_url_is_refused_with_the_remedy_and_without_the_password(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as raised, SqlTrackerStore.from_url(url) as store:
        store.keys()
    assert "secret" not in str(raised.value)


def test_a_url_without_a_host_is_read_as_it_comes_out_of_urllib() -> None:
    with SqlTrackerStore.from_url("postgresql:/talks?host=/nowhere") as store:
        assert store.address == "postgresql:///talks"
        with pytest.raises(StoreUnavailableError, match="/nowhere"):
            store.keys()


@pytest.mark.parametrize(
    ("scheme", "driver", "extra"), [("mysql", "pymysql", "mysql"), ("postgresql", "psycopg", "sql")]
)
def test_a_missing_driver_is_named_with_its_extra(
    scheme: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("mysql", "postgres"):
        monkeypatch.delitem(sys.modules, f"rasa_core.tracker_store.{module}", raising=False)
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(StoreError, match=re.escape(installing(extra))):
        SqlTrackerStore(url=f"{scheme}://host/db")


def test_sqlalchemy_is_imported_by_sql_stores_alone() -> None:
    code = "import sys, rasa_core.tracker_store; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ)).returncode == 0


def test_nothing_that_is_shown_has_the_password(server: SqlServer) -> None:
    with SqlTrackerStore(url=server.url()) as store:
        shown = [repr(store), store.address, repr(store._database)]
    assert shown[1] == f"{server.scheme}://rasa@127.0.0.1:{server.port}/rasa"
    assert not [one for one in shown if "p@ss" in one or "p%40ss" in one]


# -- tables


def test_tables_of_another_layout_are_refused(server: SqlServer) -> None:
    database = server.new_database()
    SqlTrackerStore(url=server.url(database)).keys()
    server.execute("UPDATE rasa_core_meta SET value = '99' WHERE name = 'version'", database=database)
    with (
        SqlTrackerStore(url=server.url(database)) as store,
        pytest.raises(StoreError, match="has layout 99, and this rasa_core reads layout 1: it was written by another"),
    ):
        store.keys()


@pytest.mark.parametrize("table", ["rasa_core_meta", "rasa_core_heads"])
def test_tables_of_other_software_are_refused(server: SqlServer, table: str) -> None:
    database = server.new_database()
    server.execute(f"CREATE TABLE {table} (id INTEGER, colour INTEGER)", database=database)
    with (
        SqlTrackerStore(url=server.url(database)) as store,
        pytest.raises(StoreError, match=f"has a table {table} of other software: it has the columns colour, id"),
    ):
        store.keys()
    assert server.execute(f"SELECT * FROM {table}", database=database) == []


@pytest.mark.parametrize("made", [1, 2, 3])
def test_tables_that_a_dying_process_left_unfinished_are_finished(server: SqlServer, made: int) -> None:
    database = server.new_database()
    SqlTrackerStore(url=server.url(database)).keys()
    names = ["rasa_core_heads", "rasa_core_events", "rasa_core_answers"]
    server.execute(
        "DELETE FROM rasa_core_meta", *(f"DROP TABLE {name} CASCADE" for name in names[made:]), database=database
    )
    with SqlTrackerStore(url=server.url(database)) as store:
        store.commit("a", 0, ["0"], head(1), StoredAnswer("k", "digest", 1, True, 1.5, "{}"))
        assert store.keys() == ["a"]


def test_tables_that_disappear_are_missed(server: SqlServer) -> None:
    database = server.new_database()
    with SqlTrackerStore(url=server.url(database)) as store:
        store.keys()
        server.execute("DROP TABLE rasa_core_heads CASCADE", database=database)
        with pytest.raises(StoreError, match=r"rasa_core_heads.* exist.*Its tables were changed or removed"):
            store.keys()


# -- views, for people

ODD_IDS = ["anna", "é😀", "+351 910", "a\x00b"]
SHOWN = "SELECT sender_id, seq, event FROM rasa_core_log ORDER BY seq"


def filled(server: SqlServer) -> str:
    """Return a new database in which each odd id has as many events as its place in the list."""
    database = server.new_database()
    with SqlTrackerStore(url=server.url(database)) as store:
        for number, sender_id in enumerate(ODD_IDS, 1):
            store.commit(sender_id, 0, [f'"{n}"' for n in range(number)], head(number))
    return database


def test_views_show_ids_as_text(server: SqlServer) -> None:
    database = filled(server)
    shown = dict(server.execute("SELECT sender_id, version FROM rasa_core_conversations", database=database))
    assert list(map(shown.get, ODD_IDS[:3])) == [1, 2, 3]
    assert {*shown} - {*ODD_IDS[:3]} <= {"a\x00b", "a\\000b"}
    assert len(shown) == 4
    of_one = server.execute(SHOWN.replace(" ORDER", " WHERE sender_id = '+351 910' ORDER"), database=database)
    assert of_one == [("+351 910", 0, '"0"'), ("+351 910", 1, '"1"'), ("+351 910", 2, '"2"')]


def test_views_are_made_in_an_older_database_once(server: SqlServer) -> None:
    database = filled(server)
    views = ("rasa_core_conversations", "rasa_core_log")
    before = server.execute(SHOWN, database=database)
    server.execute(*(f"DROP VIEW {name}" for name in views), database=database)

    def open_it(_: int) -> list[str]:
        with SqlTrackerStore(url=server.url(database)) as store:
            return store.sender_ids()

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(open_it, range(3))) == [sorted(ODD_IDS)] * 3
    assert sorted(map(str, server.execute(SHOWN, database=database))) == sorted(map(str, before))


def user(server: SqlServer, database: str, *rights: str) -> str:
    """Make a user with these rights alone, and return the address of the database for it."""
    is_postgres = server.scheme == "postgresql"
    host = "" if is_postgres else "@'127.0.0.1'"
    server.execute(
        f"CREATE {'ROLE' if is_postgres else 'USER'} reader_{database}{host} "
        + ("LOGIN PASSWORD 'pw'" if is_postgres else "IDENTIFIED BY 'pw'"),
        *(f"{right} TO reader_{database}{host}" for right in rights),
        database=database,
    )
    return f"{server.scheme}://reader_{database}:pw@127.0.0.1:{server.port}/{database}"


def test_whoever_may_read_the_views_alone_sees_no_table(server: SqlServer) -> None:
    database = filled(server)
    url = user(server, database, *(f"GRANT SELECT ON {name}" for name in ("rasa_core_conversations", "rasa_core_log")))
    names = ("rasa_core_log", "rasa_core_heads")
    if server.scheme == "postgresql":
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(f"SELECT count(*) FROM {names[0]}").fetchone()
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match=names[1]):
                connection.execute(f"SELECT count(*) FROM {names[1]}")
    else:
        named = {"user": f"reader_{database}", "password": "pw", "host": "127.0.0.1", "port": server.port}
        with pymysql.connect(**named, database=database) as mysql, mysql.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {names[0]}")
            found = cursor.fetchone()
            with pytest.raises(pymysql.err.OperationalError, match=names[1]):
                cursor.execute(f"SELECT count(*) FROM {names[1]}")
    assert found == (10,)


def test_whoever_may_not_make_views_goes_on_without(server: SqlServer) -> None:
    database = filled(server)
    tables = ("rasa_core_meta", "rasa_core_heads", "rasa_core_events", "rasa_core_answers")
    server.execute("DROP VIEW rasa_core_log", database=database)
    url = user(server, database, *(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}" for name in tables))
    with SqlTrackerStore(url=url) as store:
        store.commit("anna", 1, ['"1"'], head(2))
        assert store.read_events("anna", 0, 9) == ['"0"', '"1"']
    with pytest.raises((psycopg.Error, pymysql.err.Error), match="rasa_core_log"):
        server.execute(SHOWN, database=database)


# -- limits


def test_a_commit_of_many_events_is_stored(store: SqlTrackerStore) -> None:
    rows = [str(number) for number in range(5000)]
    store.commit("a", 0, rows, head(5000))
    assert store.read_events("a", 0, 9999) == rows


def test_the_longest_id_and_key_fit(store: SqlTrackerStore) -> None:
    sender_id = os.urandom(MAX_ID // 2).hex()
    given = StoredAnswer("k" * 255, "digest", 1, True, 1.5, "{}")
    with store.lock(sender_id):
        store.commit(sender_id, 0, ["0"], head(1), given)
    assert store.keys() == [sender_id]
    assert store.read_answer(sender_id, given.key) == given


def test_an_id_that_is_too_long_is_refused_with_the_limit(store: SqlTrackerStore) -> None:
    with pytest.raises(SenderIdError, match=f"'éééé.*' has {MAX_ID + 2} bytes in UTF-8.* up to {MAX_ID}"):
        store.lock("é" * (MAX_ID // 2 + 1))


def test_a_value_beyond_the_packets_of_the_server_is_refused_with_the_setting() -> None:
    server = shared("mariadb")
    ((usual,),) = server.execute("SELECT @@global.max_allowed_packet")
    server.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        with empty_store("mariadb") as store:
            with pytest.raises(
                StoreError, match=r"event or state of 1000000 bytes does not fit.*Raise max_allowed_packet"
            ):
                store.commit("a", 0, ['"' * 1_000_000], head(1))
            assert store.read_head("a") is None
            store.commit("a", 0, ["x" * 1_000_000], head(1))
    finally:
        server.execute(f"SET GLOBAL max_allowed_packet = {usual}")


def test_times_are_exact(store: SqlTrackerStore) -> None:
    times = [0.1 + 0.2, 1763769600.123456, 1e-300, 4e18]
    for number, updated in enumerate(times):
        store.commit(str(number), 0, [], Head(0, 0, "model", updated, "{}"))
    heads = [store.read_head(str(number)) for number in range(len(times))]
    assert [one.updated for one in heads if one is not None] == times


# -- economy


def test_a_turn_asks_the_server_a_few_times(store: SqlTrackerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lock, read, commit, unlock; in MariaDB, a commit is a transaction of three, or four with an answer."""
    store.commit("a", 0, ["0"], head(1))
    asked: list[str] = []
    cursor_type = {"postgresql": psycopg.Cursor, "mysql": pymysql.cursors.Cursor}[
        store._database.driver.partition("+")[0]
    ]
    execute = cursor_type.execute

    def counting(cursor: object, sql: str, *parameters: object, **options: object) -> object:
        asked.append(sql)
        return execute(cursor, sql, *parameters, **options)

    monkeypatch.setattr(cursor_type, "execute", counting)
    with store.lock("a"):
        store.read_head("a")
        store.commit("a", 1, ["1", "2"], head(3), StoredAnswer("k", "digest", 3, True, 1.5, "{}"))
    assert len(asked) == {psycopg.Cursor: 4, pymysql.cursors.Cursor: 8}[cursor_type]


def test_a_thread_needs_one_connection_for_all_that_it_does(server: SqlServer) -> None:
    empty_store(server.scheme).close()
    with (
        SqlTrackerStore(url=server.url(), timeout=5, connections=1) as store,
        store.lock("a"),
        store.lock("b"),
    ):
        store.commit("a", 0, ["0"], head(1))
        store.commit("c", 0, ["0"], head(1))
        assert store.keys() == ["a", "c"]


def test_many_threads_share_a_few_connections(server: SqlServer) -> None:
    empty_store(server.scheme).close()
    with SqlTrackerStore(url=server.url(), connections=2) as store:

        def turn(number: int) -> None:
            with store.lock(str(number)):
                store.commit(str(number), 0, ["0"], head(1))

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(turn, range(48)))
        assert len(store.keys()) == 48
        assert len(store._database._opened) <= 2


def test_waiting_for_a_connection_ends_with_the_remedy(server: SqlServer) -> None:
    with SqlTrackerStore(url=server.url(), timeout=0.2, connections=1) as store, held(store, "a"):
        with pytest.raises(
            StoreUnavailableError, match=r"all of its 1 connections are busy for 0\.2 s.*more connections"
        ):
            store.keys()
        with pytest.raises(StoreUnavailableError, match="connections are busy"), store.lock("b"):
            pass


def test_a_thread_that_ends_while_it_takes_a_lock_leaves_no_session(
    server: SqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqlTrackerStore(url=server.url(), timeout=2, connections=1) as store:
        lock = store._database.lock

        def end(cursor: object, name: bytes, seconds: float) -> bool:
            lock(cursor, name, seconds)
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(store._database, "lock", end)
            with ThreadPoolExecutor(1) as pool, pytest.raises(SystemExit):
                pool.submit(store.lock("a").__enter__).result()
        with SqlTrackerStore(url=server.url(), timeout=2) as other, other.lock("a"):
            pass
        with store.lock("a"):
            assert store._database._engine.pool.checkedout() == 1


def test_a_block_that_is_never_left_ends_with_its_thread(server: SqlServer) -> None:
    with SqlTrackerStore(url=server.url(), timeout=2, connections=2) as store:
        with store.lock("b"):
            thread = threading.Thread(target=lambda: store.lock("a").__enter__())
            thread.start()
            thread.join()
            gc.collect()
            with SqlTrackerStore(url=server.url(), timeout=2) as other, other.lock("a"):
                assert store.read_head("b") is None  # On the connection of this thread, still.
            assert store._database._engine.pool.checkedout() == 1
        assert store._database._engine.pool.checkedout() == 0


def test_a_request_waits_for_a_server_that_accepts_no_more_connections(server: SqlServer) -> None:
    empty_store(server.scheme).close()
    role = {"postgresql": "single", "mariadb": "single@'127.0.0.1'"}[server.scheme]
    if server.scheme == "postgresql":
        make = f"CREATE USER {role} PASSWORD 'open' CONNECTION LIMIT 1"
        rights, revoke = f"GRANT pg_read_all_data TO {role}", f"REVOKE pg_read_all_data FROM {role}"
    else:
        make = f"CREATE USER {role} IDENTIFIED BY 'open' WITH MAX_USER_CONNECTIONS 1"
        rights, revoke = f"GRANT ALL ON rasa.* TO {role}", f"REVOKE ALL ON rasa.* FROM {role}"
    server.execute(f"DROP USER IF EXISTS {role}", make, rights)
    url = server.url().replace(server.url().partition("://")[2].partition("@127")[0], "single:open")
    try:
        with (
            SqlTrackerStore(url=url) as one,
            SqlTrackerStore(url=url, timeout=0.2) as two,
            SqlTrackerStore(url=url, timeout=20) as three,
            ThreadPoolExecutor(1) as pool,
        ):
            with one.lock("a"):
                with pytest.raises(
                    StoreUnavailableError, match=r"(too many connections|max_user_connections).*\?connections=N"
                ):
                    two.keys()
                waiting = pool.submit(three.keys)
            one.close()
            assert waiting.result(20) == []
    finally:
        server.execute(revoke, f"DROP USER {role}")


def test_of_several_hosts_the_first_that_answers_is_used() -> None:
    server = shared("postgresql")
    dead, credentials = free_port(), server.url().partition("@127")[0]
    url = f"{credentials}@/rasa?host=127.0.0.1:{dead}&host=127.0.0.1:{server.port}"
    with SqlTrackerStore.from_url(url) as store, store.lock("a"):
        assert store.read_head("nobody") is None


# -- order


class held:  # noqa: N801
    """Hold a conversation in another thread while the block runs."""

    def __init__(self, store: SqlTrackerStore, sender_id: str) -> None:
        self._store, self._sender_id = store, sender_id
        self._holds, self._let_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        with self._store.lock(self._sender_id):
            self._holds.set()
            self._let_go.wait()

    def __enter__(self) -> None:
        self._thread.start()
        self._holds.wait()

    def __exit__(self, *exc_info: object) -> None:
        self._let_go.set()
        self._thread.join()


@pytest.mark.parametrize("same", [True, False], ids=["threads", "stores"])
def test_a_busy_conversation_is_waited_for_no_longer_than_asked(server: SqlServer, same: bool) -> None:
    with SqlTrackerStore(url=server.url(), timeout=0.2) as store, SqlTrackerStore(url=server.url()) as other:
        with held(store if same else other, "a"):
            with pytest.raises(StoreUnavailableError, match=r"conversation 'a' was busy for 0\.2 s"), store.lock("a"):
                pass
            with store.lock("b"):
                assert store.read_head("b") is None
        with store.lock("a"):
            pass


def test_two_threads_that_wait_for_each_other_are_parted(server: SqlServer) -> None:
    with SqlTrackerStore(url=server.url(), timeout=2) as one, SqlTrackerStore(url=server.url(), timeout=2) as two:
        barrier = threading.Barrier(2)

        def cross(store: SqlTrackerStore, first: str, second: str) -> bool:
            with store.lock(first):
                barrier.wait()
                try:
                    with store.lock(second):
                        return True
                except StoreUnavailableError:
                    return False

        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(cross, one, "a", "b"), pool.submit(cross, two, "b", "a")]
            assert sorted(job.result() for job in jobs) in ([False, False], [False, True])
        with one.lock("a"), one.lock("b"):
            pass


def test_databases_of_one_server_do_not_share_locks(server: SqlServer) -> None:
    database = server.new_database()
    with (
        SqlTrackerStore(url=server.url(), timeout=5) as one,
        SqlTrackerStore(url=server.url(database), timeout=0.2) as two,
        held(one, "a"),
        two.lock("a"),
    ):
        assert two.keys() == []


def test_deleting_beside_commits_without_a_lock_leaves_no_row_behind(server: SqlServer) -> None:
    def repeat(work: Callable[[], object]) -> None:
        for _ in range(60):
            with suppress(VersionConflictError, StoreUnavailableError):  # The second where the server undid a deadlock.
                work()

    def extend() -> None:
        stored = store.read_head("a")
        version = 0 if stored is None else stored.version
        given = StoredAnswer(f"k{version}", "digest", 1, True, 1.5, "{}")
        store.commit("a", version, ["x", "y"], head(version + 2), given)

    with empty_store(server.scheme) as store:
        at_once(repeat, [extend, extend, extend, lambda: store.delete("a")])
        stored = store.read_head("a")
        assert len(store.read_events("a", 0, 999)) == (0 if stored is None else stored.version)
        store.delete("a")
    for table in ("rasa_core_events", "rasa_core_answers"):
        assert server.execute(f"SELECT * FROM {table}", database="rasa") == []


def test_a_commit_beside_the_deletion_of_nothing_keeps_its_events(
    server: SqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with empty_store(server.scheme) as store, SqlTrackerStore(url=server.url()) as other:
        write = store._database.write

        class Interrupted:
            def __init__(self, cursor: Any) -> None:
                self._cursor = cursor

            def execute(self, sql: str, *parameters: object) -> None:
                self._cursor.execute(sql, *parameters)
                if "heads" in sql:
                    self.rowcount = self._cursor.rowcount
                    other.commit("a", 0, ["0"], head(1))

        monkeypatch.setattr(store._database, "write", lambda work: write(lambda cursor: work(Interrupted(cursor))))
        assert not store.delete("a")
        assert (other.read_head("a"), other.read_events("a", 0, 9)) == (head(1), ["0"])


def test_without_locks_of_the_server_versions_keep_conversations_whole() -> None:
    """CockroachDB has none; what this package does for it runs here on PostgreSQL."""
    empty_store("postgresql").close()
    url = shared("postgresql").url().replace("postgresql:", "cockroachdb:")
    with SqlTrackerStore.from_url(url) as one, SqlTrackerStore.from_url(url) as two:
        with one.lock("a"), two.lock("a"):
            one.commit("a", 0, ["0"], head(1))
            with pytest.raises(VersionConflictError, match="'a' is at version 1, not 0"):
                two.commit("a", 0, ["x"], head(1))
        assert two.read_events("a", 0, 9) == ["0"]


# -- copies, as the page about operation makes them


def copied(server: SqlServer, database: str, into: str) -> None:
    """Copy a database as its server's own programs do."""
    address = {"host": "127.0.0.1", "port": str(server.port), "user": USER}
    options = [f"--{name}={value}" for name, value in address.items()]
    if server.scheme == "postgresql":
        folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
        dump, load = (program(name, "postgresql-client", *folders) for name in ("pg_dump", "psql"))
        options = [option.replace("--user=", "--username=") for option in options]
        commands, secret = (
            ([dump, *options, database], [load, "-q", "-v", "ON_ERROR_STOP=1", *options, into]),
            "PGPASSWORD",
        )
    else:
        dump, load = (program(name, "mariadb-client") for name in ("mysqldump", "mysql"))
        commands, secret = ([dump, "--single-transaction", *options, database], [load, *options, into]), "MYSQL_PWD"
    environ = {**os.environ, secret: PASSWORD}
    made = subprocess.run(commands[0], env=environ, capture_output=True, check=True)
    subprocess.run(commands[1], env=environ, input=made.stdout, capture_output=True, check=True)


def test_a_copy_that_is_brought_back_has_every_conversation(server: SqlServer) -> None:
    database, other = filled(server), server.new_database()
    with SqlTrackerStore(url=server.url(database)) as store:  # Open, as a running server has it.
        copied(server, database, other)
        with SqlTrackerStore(url=server.url(other)) as copy:
            assert copy.sender_ids() == store.sender_ids() == sorted(ODD_IDS)
            for sender_id in ODD_IDS:
                assert copy.read_head(sender_id) == store.read_head(sender_id)
                assert copy.read_events(sender_id, 0, 9) == store.read_events(sender_id, 0, 9)
            copy.commit("anna", 1, ['"1"'], head(2))
    assert server.execute(SHOWN, database=other)
