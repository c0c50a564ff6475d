"""SQL servers that are missing, refuse, hang, die, or are full: the errors, and the recovery."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import quote

import psycopg
import pymysql
import pytest
from programs import free_port, until
from small_commits import head
from sql_servers import PASSWORD, SERVERS, USER, SqlServer, empty_store, shared

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store.sql import SqlTrackerStore
from rasa_core.tracker_store.sql_connections import ClashError

LIMIT = 30.0


@pytest.fixture(params=SERVERS, scope="module")
def mortal(request: pytest.FixtureRequest) -> SqlServer:
    """Return a server that tests may kill; each leaves it running."""
    return shared(request.param, "mortal")


@pytest.fixture
def store(mortal: SqlServer) -> Iterator[SqlTrackerStore]:
    """Yield a store with the conversation "a" of one event, whose connections are open."""
    with SqlTrackerStore(url=mortal.url(), timeout=10) as store:
        store.delete("a")
        store.commit("a", 0, ["0"], head(1))
        yield store


# -- servers that cannot be reached, or refuse


@pytest.mark.parametrize("scheme", SERVERS)
def test_a_server_that_is_not_there_may_be_there_later(scheme: str) -> None:
    url = f"{scheme}://{USER}:secret@127.0.0.1:{free_port()}/rasa"
    with SqlTrackerStore(url=url, timeout=5) as store:
        for call in (store.keys, lambda: store.commit("a", 0, [], head(0)), lambda: store.lock("a").__enter__()):
            with pytest.raises(StoreUnavailableError, match=r"[Rr]efused.*try again when it runs") as raised:
                call()
            assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"password": "s3cret"}, r"(authentication failed|Access denied) for user.*Check user, password"),
        ({"database": "nowhere"}, r"([Uu]nknown database|database) .nowhere..*Check user, password, database"),
    ],
    ids=["password", "database"],
)
def test_what_the_server_refuses_for_good_is_a_mistake(name: str, change: dict[str, str], message: str) -> None:
    url = shared(name).url(**change)
    with SqlTrackerStore(url=url) as store, pytest.raises(StoreError, match=message) as raised:
        store.keys()
    assert not isinstance(raised.value, StoreUnavailableError)
    assert not [secret for secret in ("s3cret", PASSWORD) if secret in str(raised.value)]


@pytest.mark.parametrize("name", SERVERS)
def test_missing_rights_are_named(name: str) -> None:
    server, role = shared(name), {"postgresql": "reader", "mariadb": "reader@'127.0.0.1'"}[name]
    empty_store(name).close()
    password = {"postgresql": "PASSWORD", "mariadb": "IDENTIFIED BY"}[name]
    grant = f"GRANT SELECT ON {'' if name == 'postgresql' else 'rasa.'}rasa_core_meta TO {role}"
    server.execute(f"DROP USER IF EXISTS {role}", f"CREATE USER {role} {password} 'open'")
    server.execute(grant, database="rasa")
    url = server.url().replace(server.url().partition("://")[2].partition("@127")[0], "reader:open")
    try:
        with SqlTrackerStore(url=url) as store, pytest.raises(StoreError, match=r"denied.*Check user, password"):
            store.commit("a", 0, ["0"], head(1))
    finally:
        server.execute(f"REVOKE ALL ON rasa_core_meta FROM {role}" if name == "postgresql" else "DO 0", database="rasa")
        server.execute(f"DROP USER {role}")


def test_a_database_that_may_only_be_read_is_named_and_usable_again_when_it_may_be_written() -> None:
    server = shared("postgresql")
    with empty_store("postgresql") as store:
        store.commit("a", 0, ["0"], head(1))
    server.execute("ALTER DATABASE rasa SET default_transaction_read_only = on")
    try:
        with SqlTrackerStore(url=server.url()) as store:
            with pytest.raises(StoreUnavailableError, match=r"read-only transaction.*Connect to the primary server"):
                store.commit("a", 1, ["1"], head(2))
            assert store.read_events("a", 0, 9) == ["0"]
    finally:
        server.execute("ALTER DATABASE rasa RESET default_transaction_read_only")
    with SqlTrackerStore(url=server.url()) as store:
        store.commit("a", 1, ["1"], head(2))


# -- servers that die


def test_a_restart_between_calls_is_not_noticed(mortal: SqlServer, store: SqlTrackerStore) -> None:
    mortal.restart()
    store.commit("a", 1, ["next"], head(2))
    assert store.read_head("a") == head(2)


def test_a_dead_server_is_unavailable_until_it_runs_again_and_hides_nothing_that_a_block_raised(
    mortal: SqlServer, store: SqlTrackerStore
) -> None:
    def turn() -> None:
        with store.lock("a"):
            mortal.kill()
            raise KeyError("oops")

    try:
        with pytest.raises(KeyError, match="oops"):
            turn()
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="try again when it runs"):
                store.read_head("a")
            with pytest.raises(StoreUnavailableError, match="try again when it runs"):
                store.commit("a", 1, ["1"], head(2))
            with pytest.raises(StoreUnavailableError, match="try again when it runs"), store.lock("a"):
                pass
    finally:
        mortal.start()
    with store.lock("a"):
        assert store.read_events("a", 0, 9) == ["0"]
        store.commit("a", 1, ["1"], head(2))


def test_a_restart_within_a_turn_does_not_fail_it_before_it_has_written(
    mortal: SqlServer, store: SqlTrackerStore
) -> None:
    with store.lock("a"), store.lock("b"):
        mortal.kill()
        mortal.start()
        assert store.read_head("a") == head(1)
        store.commit("a", 1, ["1"], head(2))
        with SqlTrackerStore(url=mortal.url(), timeout=0.2) as other:
            for sender_id in ("a", "b"):
                with pytest.raises(StoreUnavailableError, match="was busy"), other.lock(sender_id):
                    pass
    assert store.read_events("a", 0, 9) == ["0", "1"]
    with SqlTrackerStore(url=mortal.url(), timeout=10) as other, other.lock("a"), other.lock("b"):
        pass


def test_a_turn_whose_lock_another_one_got_meanwhile_ends_as_busy(mortal: SqlServer) -> None:
    with SqlTrackerStore(url=mortal.url(), timeout=1) as store, SqlTrackerStore(url=mortal.url()) as other:
        store.delete("a")
        with contextlib.ExitStack() as theirs:
            with store.lock("a"):
                mortal.restart()
                theirs.enter_context(other.lock("a"))
                with pytest.raises(StoreUnavailableError, match="'a' was busy for 1 s"):
                    store.commit("a", 0, ["late"], head(1))
            other.commit("a", 0, ["theirs"], head(1))
        with store.lock("a"):
            assert store.read_events("a", 0, 9) == ["theirs"]


@contextlib.contextmanager
def commit_under_way(server: SqlServer, store: SqlTrackerStore) -> Iterator[Future[None]]:
    """Yield a commit that the server works on: it waits for another transaction, which holds the row of the head."""
    if server.scheme == "postgresql":
        blocker = psycopg.connect(server.url())
        active = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    else:
        blocker = pymysql.connect(host="127.0.0.1", port=server.port, user=USER, password=PASSWORD, database="rasa")
        active = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    with contextlib.closing(blocker), ThreadPoolExecutor(1) as pool:
        blocker.cursor().execute("SELECT version FROM rasa_core_heads FOR UPDATE")
        done = pool.submit(store.commit, "a", 1, ["1", "2"], head(3))
        until(lambda: server.execute(active) == [(1,)])
        yield done


def test_a_commit_that_is_cut_off_stores_all_or_nothing_and_says_so(mortal: SqlServer, store: SqlTrackerStore) -> None:
    with commit_under_way(mortal, store) as done:
        mortal.kill()
        try:
            with pytest.raises(StoreUnavailableError, match="cannot use the tracker store"):
                done.result(LIMIT)
        finally:
            mortal.start()
    assert store.read_head("a") == head(1)
    assert store.read_events("a", 0, 9) == ["0"]
    store.commit("a", 1, ["1", "2"], head(3))
    assert store.read_events("a", 0, 9) == ["0", "1", "2"]


def test_a_connection_that_is_ended_in_the_middle_of_a_commit_stores_nothing(
    mortal: SqlServer, store: SqlTrackerStore
) -> None:
    if mortal.scheme == "postgresql":
        end = ["SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"]
    else:
        waiting = "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        end = []
    with commit_under_way(mortal, store) as done:
        if not end:
            ((thread,),) = mortal.execute(waiting)
            end = [f"KILL {thread}"]
        mortal.execute(*end)
        with pytest.raises(StoreUnavailableError, match="cannot use the tracker store"):
            done.result(LIMIT)
    assert store.read_head("a") == head(1)
    with store.lock("a"):
        store.commit("a", 1, ["1"], head(2))


# -- servers that are slow, or hang


def test_a_commit_that_the_server_does_not_finish_ends_after_the_timeout(mortal: SqlServer) -> None:
    with SqlTrackerStore(url=mortal.url(), timeout=1) as store:
        store.delete("a")
        store.commit("a", 0, ["0"], head(1))
        failed = pytest.raises(StoreUnavailableError, match="cannot use the tracker store")
        with commit_under_way(mortal, store) as done, failed:
            done.result(LIMIT)
        assert store.read_events("a", 0, 9) == ["0"]
        store.commit("a", 1, ["1"], head(2))


def test_a_server_that_hangs_is_given_up_after_about_the_timeout(mortal: SqlServer) -> None:
    with SqlTrackerStore(url=mortal.url(), timeout=0.5) as store:
        store.delete("a")
        with mortal.paused():
            for call in (
                lambda: store.read_head("a"),  # On an open connection.
                lambda: store.commit("a", 0, ["0"], head(1)),  # On one that is to be opened.
                lambda: store.lock("a").__enter__(),
            ):
                begin = time.monotonic()
                with pytest.raises(StoreUnavailableError, match="cannot use the tracker store"):
                    call()
                assert time.monotonic() - begin < 5
        until(mortal.is_ready)
        with store.lock("a"):
            assert store.read_head("a") is None
            store.commit("a", 0, ["0"], head(1))


def test_a_hanging_server_in_the_middle_of_a_turn_ends_the_turn(mortal: SqlServer) -> None:
    with SqlTrackerStore(url=mortal.url(), timeout=0.5) as store:
        store.delete("a")

        def turn() -> None:
            with store.lock("a"), mortal.paused():
                store.commit("a", 0, ["0"], head(1))

        with pytest.raises(StoreUnavailableError, match="cannot use the tracker store"):
            turn()
        # Nobody knows whether the commit that was sent was applied; it was applied as a whole, if it was.
        with SqlTrackerStore(url=mortal.url(), timeout=10) as other, other.lock("a"):
            stored = other.read_head("a")
            assert (stored, other.read_events("a", 0, 9)) in [(None, []), (head(1), ["0"])]


def test_threads_that_meet_a_restart_go_on_by_trying_again(mortal: SqlServer) -> None:
    """A turn is repeated until it was acknowledged, or is found in the log: so nothing is lost or doubled."""
    with SqlTrackerStore(url=mortal.url(), timeout=10) as store:
        for number in range(4):
            store.delete(f"talk {number}")
        started, killed = threading.Semaphore(0), threading.Event()

        def work(number: int) -> list[str]:
            sender_id, log = f"talk {number}", []
            for turn in range(30):
                if turn == 5:
                    started.release()
                if turn == 25:
                    assert killed.wait(LIMIT)
                log.append(f"{number}.{turn}")
                until(lambda: done(sender_id, log))
            return log

        def done(sender_id: str, log: list[str]) -> bool:
            try:
                with store.lock(sender_id):
                    if store.read_events(sender_id, 0, 99) != log:
                        store.commit(sender_id, len(log) - 1, log[-1:], head(len(log)))
            except StoreUnavailableError:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            logs = [pool.submit(work, number) for number in range(4)]
            for _ in logs:
                assert started.acquire(timeout=LIMIT)
            mortal.kill()
            mortal.start()
            killed.set()
            for number, log in enumerate([job.result() for job in logs]):
                assert store.read_events(f"talk {number}", 0, 99) == log


# -- errors that no test can bring about here


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (psycopg.errors.DiskFull("No space left"), StoreUnavailableError, "Make room on the disk"),
        (psycopg.errors.TooManyConnections("too many clients"), StoreUnavailableError, r"\?connections=N"),
        (psycopg.errors.CannotConnectNow("starting up"), StoreUnavailableError, "try again when it runs"),
        (psycopg.errors.SerializationFailure("could not serialize"), ClashError, "Try again"),
        (psycopg.errors.DataCorrupted("invalid page"), StoreError, "damaged"),
        (psycopg.errors.DivisionByZero("division by zero"), StoreError, r"SQLSTATE 22012.*log of the server"),
        (psycopg.DataError("p@ss:w/rd has no place here"), StoreError, r"\*\*\* has no place here"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_postgresql_reports_is_told_with_the_remedy(error: Exception, kind: type, remedy: str) -> None:
    with SqlTrackerStore(url=f"postgresql://u:{quote(PASSWORD, safe='')}@host/db") as store:
        translated = store._database.translated(error)
    assert type(translated) is kind
    assert re.search(remedy, str(translated))


@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        (1021, StoreUnavailableError, "disk of the server is full"),
        (1114, StoreUnavailableError, "disk of the server is full"),
        (1040, StoreUnavailableError, r"\?connections=N"),
        (1290, StoreUnavailableError, "make the server writable"),
        (1205, StoreUnavailableError, "longer timeout"),
        (1213, ClashError, "Try again"),
        (1153, StoreError, "Raise max_allowed_packet"),
        (1365, StoreError, r"error 1365\).*log of the server"),
    ],
)
def test_what_mysql_reports_is_told_with_the_remedy(code: int, kind: type, remedy: str) -> None:
    with SqlTrackerStore(url="mysql://u:secret@host/db") as store:
        translated = store._database.translated(pymysql.err.OperationalError(code, "it failed"))
    assert type(translated) is kind
    assert re.search(f"it failed.*{remedy}", str(translated))
