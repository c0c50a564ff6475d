"""The SQLite store on a damaged, foreign or unwritable file."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from at_once import at_once
from processes import run

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import Head, SqliteTrackerStore, StoredAnswer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "conversations.db"


def fill(path: Path) -> None:
    with SqliteTrackerStore(path=path) as store:
        store.commit("a", 0, ["0"], Head(1, 0, "model", 5.0, "{}"))


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_conversations_survive_reopening(path: Path) -> None:
    fill(path)
    with SqliteTrackerStore(path=path) as store:
        assert store.read_head("a") == Head(1, 0, "model", 5.0, "{}")
        assert store.read_events("a", 0, 9) == ["0"]


def test_nothing_is_written_before_the_first_use(path: Path) -> None:
    with SqliteTrackerStore(path=path):
        assert not path.exists()


def test_a_relative_path_stays_where_it_was_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SqliteTrackerStore(path="x.db") as store:
        monkeypatch.chdir("/")
        store.sender_ids()
    assert (tmp_path / "x.db").exists()


def test_the_file_is_kept_in_write_ahead_mode(path: Path) -> None:
    fill(path)
    change(path, "PRAGMA journal_mode = DELETE")
    fill_again = SqliteTrackerStore(path=path)
    with fill_again:
        fill_again.sender_ids()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_full_synchronisation_is_an_option(path: Path) -> None:
    with (
        SqliteTrackerStore(path=path, synchronous="FULL") as store,
        store._connections.reading() as connection,
    ):
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_an_unknown_synchronisation_is_refused(path: Path) -> None:
    with pytest.raises(StoreError, match=r"not 'ful'\. Did you mean 'full'"):
        SqliteTrackerStore(path=path, synchronous="ful")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_a_timeout_is_a_number_of_seconds(path: Path, timeout: float) -> None:
    with pytest.raises(StoreError, match="timeout is a number of seconds above 0"):
        SqliteTrackerStore(path=path, timeout=timeout)


@pytest.mark.parametrize("name", ["", ":memory:", "folder/", "a\0b"])
def test_what_is_no_file_is_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(StoreError, match="memory://"):
        SqliteTrackerStore(path=name)


def test_a_layout_of_another_version_is_left_alone(path: Path) -> None:
    fill(path)
    change(path, "UPDATE meta SET value = '99' WHERE key = 'version'")
    with (
        SqliteTrackerStore(path=path) as store,
        pytest.raises(StoreError, match=r"layout 99, .* another version of rasa_core"),
    ):
        store.read_head("a")


def test_a_database_of_other_software_is_left_alone(path: Path) -> None:
    change(path, "CREATE TABLE recipes (name TEXT)")
    with (
        SqliteTrackerStore(path=path) as store,
        pytest.raises(StoreError, match=r"other software: .* recipes"),
    ):
        store.read_head("a")


def test_other_software_with_tables_of_the_same_names_is_left_alone(path: Path) -> None:
    change(path, *(f"CREATE TABLE {name} (x TEXT)" for name in ("meta", "heads", "events")))
    with SqliteTrackerStore(path=path) as store, pytest.raises(StoreError, match="other software"):
        store.read_head("a")


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.write_bytes(b"dear diary, " * 100)
    with (
        SqliteTrackerStore(path=path) as store,
        pytest.raises(StoreError, match=r"not a database\. Name another file"),
    ):
        store.read_head("a")
    assert path.read_bytes().startswith(b"dear diary")


def test_a_missing_folder_is_named(path: Path) -> None:
    store = SqliteTrackerStore(path=path.parent / "missing" / "x.db")
    with store, pytest.raises(StoreError, match=r"The folder .*missing does not exist; make it first"):
        store.read_head("a")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with (
        SqliteTrackerStore(path=tmp_path) as store,
        pytest.raises(StoreError, match="unable to open database file"),
    ):
        store.read_head("a")


def test_a_connection_that_may_not_write_is_told_the_remedy(path: Path) -> None:
    fill(path)
    with SqliteTrackerStore(path=path) as store:
        with store._connections.reading() as connection:
            connection.execute("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match=r"readonly database\. Make the file and its folder writable"):
            store.commit("a", 1, ["1"], Head(2, 0, "model", 5.0, "{}"))


def test_a_full_disk_is_a_passing_trouble_that_loses_nothing(path: Path) -> None:
    fill(path)
    with SqliteTrackerStore(path=path) as store:
        with store._connections.reading() as connection:
            connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StoreUnavailableError, match="Make room on that disk"):
            store.commit("a", 1, ["1" * 100_000], Head(2, 0, "model", 5.0, "{}"))
        store.commit("a", 1, ["1"], Head(2, 0, "model", 5.0, "{}"))
        assert store.read_events("a", 0, 9) == ["0", "1"]


def test_a_file_that_others_keep_writing_to_is_a_passing_trouble(path: Path) -> None:
    fill(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with SqliteTrackerStore(path=path, timeout=0.01) as store:
        with pytest.raises(StoreUnavailableError, match=r"locked\. Another process is writing"):
            store.commit("a", 1, ["1"], Head(2, 0, "model", 5.0, "{}"))
        assert store.read_events("a", 0, 9) == ["0"]
        other.close()
        store.commit("a", 1, ["1"], Head(2, 0, "model", 5.0, "{}"))


def test_readers_do_not_wait_for_a_writer(path: Path) -> None:
    fill(path)
    with SqliteTrackerStore(path=path, timeout=0.01) as store, store._connections.writing():
        assert store.read_events("a", 0, 9) == ["0"]


def delete_and_interrupt(store: SqliteTrackerStore) -> None:
    with store._connections.writing() as connection:
        connection.execute("DELETE FROM events")
        raise KeyboardInterrupt


def test_a_transaction_that_is_interrupted_leaves_nothing(path: Path) -> None:
    fill(path)
    with SqliteTrackerStore(path=path) as store:
        with pytest.raises(KeyboardInterrupt):
            delete_and_interrupt(store)
        assert store.read_events("a", 0, 9) == ["0"]
        assert store.delete("a")


def test_connections_are_shared_by_threads_that_come_and_go(path: Path) -> None:
    with SqliteTrackerStore(path=path) as store:
        for _ in range(5):
            thread = threading.Thread(target=store.sender_ids)
            thread.start()
            thread.join()
        assert len(store._connections.idle) == 1


FORKING = """
import os, sys
from rasa_core.tracker_store import Head, SqliteTrackerStore, StoredAnswer

path = sys.argv[1]
ready, go = os.pipe(), os.pipe()
with SqliteTrackerStore(path=path) as store:
    store.commit("a", 0, ["0"], Head(1, 0, "model", 5.0, "{}"))
    if not os.fork():
        store.read_head("a")
        os.write(ready[1], b"!")
        os.read(go[0], 1)
        store.commit("a", 1, ["1"], Head(2, 0, "model", 5.0, "{}"))
        os._exit(0)
    os.read(ready[0], 1)
os.write(go[1], b"!")
os.wait()
with SqliteTrackerStore(path=path) as store:
    print(store.read_events("a", 0, 9))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_what_a_forked_child_commits_is_kept_when_its_parent_closes_the_file_first(path: Path) -> None:
    """A child that went on beside connections of its parent would write into a log that the parent removes."""
    run = subprocess.run([sys.executable, "-c", FORKING, str(path)], capture_output=True, text=True, check=True)
    assert run.stdout == "['0', '1']\n"


BEFORE = """
CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE heads (sender_id TEXT PRIMARY KEY NOT NULL, version INTEGER NOT NULL, origin INTEGER NOT NULL,
    fingerprint TEXT NOT NULL, updated REAL NOT NULL, state TEXT NOT NULL);
CREATE TABLE events (sender_id TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (sender_id, seq)) WITHOUT ROWID;
CREATE TABLE answers (sender_id TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, version INTEGER NOT NULL,
    complete INTEGER NOT NULL, created REAL NOT NULL, text TEXT NOT NULL, PRIMARY KEY (sender_id, key)) WITHOUT ROWID;
CREATE INDEX answers_created ON answers (created);
INSERT INTO meta VALUES ('format', 'rasa_core tracker store'), ('version', '2');
INSERT INTO heads VALUES ('b', 2, 1, 'model', 5.5, '{}'), ('a', 1, 0, 'model', 6.5, '[]'), ('', 0, 0, '', 1.5, '{}');
INSERT INTO events VALUES ('b', 0, 'b0'), ('b', 1, 'b1'), ('a', 0, 'a0');
INSERT INTO answers VALUES ('b', 'k', 'digest', 2, 1, 3.5, '{"said": "all"}'), ('a', 'k', 'digest', 1, 0, 4.5, '[]');
"""


@pytest.fixture
def before(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(BEFORE)
    connection.close()
    return path


def test_a_file_of_the_layout_before_keeps_its_conversations_and_answers(before: Path) -> None:
    with SqliteTrackerStore(path=before) as store:
        assert store.sender_ids() == ["", "a", "b"]
        assert store.read_head("b") == Head(2, 1, "model", 5.5, "{}")
        assert [store.read_events(one, 0, 9) for one in ("", "a", "b")] == [[], ["a0"], ["b0", "b1"]]
        assert store.read_answer("b", "k") == StoredAnswer("k", "digest", 2, True, 3.5, '{"said": "all"}')
        assert store.read_answer("a", "k") == StoredAnswer("k", "digest", 1, False, 4.5, "[]")
        store.commit("b", 2, ["b2"], Head(3, 1, "model", 7.5, "{}"))
        assert store.expire_answers(4.0) == 1
    with SqliteTrackerStore(path=before) as store:
        assert store.read_events("b", 0, 9) == ["b0", "b1", "b2"]


def test_of_several_that_open_a_file_of_the_layout_before_one_changes_it(before: Path) -> None:
    def read(number: int) -> list[str]:
        with SqliteTrackerStore(path=before) as store:
            return store.read_events("b", 0, 9)

    assert at_once(read, range(4)) == [["b0", "b1"]] * 4


def test_a_change_of_the_layout_that_fails_leaves_the_file_as_it_was(before: Path) -> None:
    change(before, "ALTER TABLE answers DROP COLUMN complete")
    with SqliteTrackerStore(path=before) as store, pytest.raises(StoreError, match="complete"):
        store.read_head("a")
    with closing(sqlite3.connect(before)) as connection:
        assert connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone() == ("2",)
        assert connection.execute("SELECT count(*) FROM events WHERE sender_id = 'b'").fetchone() == (2,)


SHOWN = "SELECT sender_id, seq, event FROM rasa_core_log ORDER BY sender_id, seq"


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_views_show_each_event_beside_the_id_of_its_conversation(path: Path) -> None:
    fill(path)
    with SqliteTrackerStore(path=path) as store:
        store.commit("é", 0, ["0", "1"], Head(2, 0, "model", 6.0, "{}"))
    assert rows(path, SHOWN) == [("a", 0, "0"), ("é", 0, "0"), ("é", 1, "1")]
    assert rows(path, "SELECT sender_id, version, updated FROM rasa_core_conversations ORDER BY 1") == [
        ("a", 1, 5.0),
        ("é", 2, 6.0),
    ]
    plan = rows(path, "EXPLAIN QUERY PLAN SELECT event FROM rasa_core_log WHERE sender_id = 'a'")
    assert not any("SCAN" in str(row[-1]) for row in plan)


def test_older_files_get_the_views(path: Path, before: Path) -> None:
    with SqliteTrackerStore(path=before) as store:
        store.keys()
    shown = rows(before, SHOWN)
    change(before, "DROP VIEW rasa_core_log", "DROP VIEW rasa_core_conversations")
    for _ in range(2):
        with SqliteTrackerStore(path=before) as store:
            store.keys()
        assert rows(before, SHOWN) == shown == [("a", 0, "a0"), ("b", 0, "b0"), ("b", 1, "b1")]


def test_rows_of_some_hundred_bytes_share_their_pages(path: Path) -> None:
    with SqliteTrackerStore(path=path) as store:
        for number in range(300):
            answer = StoredAnswer(f"key {number}", "digest", number + 1, True, 1.5, "x" * 1100)
            store.commit("a", number, ["y" * 1100], Head(number + 1, 0, "model", 5.0, "{}"), answer)
    assert path.stat().st_size < 300 * 2 * 1100 * 1.4


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_nobody_else_can_read_the_files(path: Path) -> None:
    with SqliteTrackerStore(path=path) as store:
        store.commit("a", 0, ["0"], Head(1, 0, "model", 5.0, "{}"))
        with store.lock("a"):
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    names = [f"conversations.db{ending}" for ending in ("", "-lock", "-shm", "-wal")]
    assert modes == dict.fromkeys(names, 0o600)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_file_that_is_shared_stays_shared(path: Path) -> None:
    path.touch()
    path.chmod(0o660)
    with SqliteTrackerStore(path=path) as store, store.lock("a"):
        store.commit("a", 0, ["0"], Head(1, 0, "model", 5.0, "{}"))
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o660}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX locks")
def test_closing_a_store_keeps_the_locks_that_another_store_of_the_process_holds(path: Path) -> None:
    with SqliteTrackerStore(path=path) as store, store.lock("a"):
        with SqliteTrackerStore(path=path) as other, other.lock("b"):
            pass
        assert run("try_lock", f"sqlite:///{path}?timeout=0.05", "a") == ["busy"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs users of POSIX")
def test_a_read_only_file_is_refused_with_the_remedy() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        (message,) = run("read_only", f"sqlite:///{folder}/x.db")
    assert "x.db: attempt to write a readonly database. Make the file and its folder writable" in message
