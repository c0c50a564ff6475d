"""What the SQLite store says and does when its file is not as it should be."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from rasa_core.exceptions import StoreError, StoreUnavailableError
from rasa_core.tracker_store import Head, SqliteTrackerStore


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


@pytest.mark.parametrize(
    "call", [lambda store: store.read_head("a"), lambda store: store.lock("a")], ids=["read", "lock"]
)
def test_a_closed_store_says_so(path: Path, call) -> None:
    store = SqliteTrackerStore(path=path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match=r"conversations\.db is closed"):
        call(store)
