"""Tracker stores by URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import InMemoryTrackerStore, SqliteTrackerStore, store_from_url


def test_memory() -> None:
    assert isinstance(store_from_url("memory://"), InMemoryTrackerStore)


def test_an_absolute_path_has_four_slashes(tmp_path: Path) -> None:
    with store_from_url(f"sqlite:///{tmp_path}/x.db") as store:
        assert isinstance(store, SqliteTrackerStore)
        assert store.path == str(tmp_path / "x.db")


def test_a_relative_path_has_three_slashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with store_from_url("sqlite:///x.db"):
        assert (tmp_path / "x.db").exists()


def test_marks_in_a_file_name_are_escaped(tmp_path: Path) -> None:
    with store_from_url(f"sqlite:///{tmp_path}/a%23b%3F%20.db"):
        assert (tmp_path / "a#b? .db").exists()


def test_options_reach_the_store(tmp_path: Path) -> None:
    with store_from_url(f"sqlite:///{tmp_path}/x.db?synchronous=full&timeout=2.5") as store:
        assert isinstance(store, SqliteTrackerStore)
        assert store._timeout == 2.5
        with store._connections.reading() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "redis://:secret@host",
            r"unknown tracker store 'redis://'\. Known: memory://, sqlite:///relative\.db",
        ),
        ("sqllite:///x.db", "Did you mean 'sqlite'"),
        ("conversations.db", "a tracker store is named by a URL"),
        ("", "a tracker store is named by a URL"),
        ("sqlite://[x", "a tracker store is named by a URL"),
        ("sqlite://x.db", "three slashes before a relative path"),
        ("sqlite://", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///x#y.db", "write # in a file name as %23"),
        ("sqlite:///x.db?synchronus=full", "no option 'synchronus'. Did you mean 'synchronous'"),
        ("sqlite:///x.db?synchronous=off", 'synchronous is "normal" or "full", not \'off\''),
        ("sqlite:///x.db?timeout=soon", "timeout is a number of seconds, not 'soon'"),
        ("sqlite:///x.db?timeout=", "timeout is a number of seconds, not ''"),
        ("memory://host", "memory:// has no address, such as 'host'"),
        ("memory://?synchronous=full", "memory:// has no option 'synchronous'"),
        ("memory://?timeout=0", "timeout is a number of seconds above 0"),
    ],
)
def test_a_wrong_url_is_refused_with_the_remedy(
    url: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=message) as raised:
        store_from_url(url)
    assert "secret" not in str(raised.value)


def test_a_store_that_cannot_be_opened_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist; make it first"):
        store_from_url(f"sqlite:///{tmp_path}/missing/x.db")
