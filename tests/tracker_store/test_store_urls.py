"""Opening tracker stores by URL."""

from __future__ import annotations

import subprocess
import sys
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
            "mongodb://:secret@host",
            r"unknown tracker store 'mongodb://'\. Known: memory://, sqlite:///relative\.db",
        ),
        ("sqllite:///x.db", "Did you mean 'sqlite'"),
        ("conversations.db", r"a tracker store is named by a URL\. Did you mean sqlite:///conversations\.db\?"),
        ("", "a tracker store is named by a URL"),
        ("sqlite://[x", "a tracker store is named by a URL"),
        ("sqlite://x.db", "three slashes before a relative path"),
        ("sqlite://", "three slashes"),
        ("sqlite:///", "three slashes"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///\ud800.db", "sqlite:// has characters in it that are not UTF-8; write it in UTF-8"),
        ("postgresql://u:se\udce9cret@host/d", "postgresql:// has characters in it that are not UTF-8"),
        ("redis://:se\udce9cret@host", "redis:// has characters in it that are not UTF-8"),
        ("sqlite:///x#y.db", "write # in a file name or a password as %23"),
        ("redis://:se#cret@host", "write # in a file name or a password as %23"),
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
    assert "cret@" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "library", "command"),
    [
        ("postgresql://user:secret@host/db", "sqlalchemy", "pip install SQLAlchemy 'psycopg[binary]'"),
        ("mysql://user:secret@host/db", "pymysql", "pip install SQLAlchemy 'psycopg[binary]' PyMySQL"),
        ("redis://:secret@host", "redis", "pip install redis"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(
    url: str, library: str, command: str
) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from rasa_core.exceptions import StoreError\nfrom rasa_core.tracker_store import store_from_url\n"
        f"try: store_from_url({url!r})\nexcept StoreError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert f": {command}. (" in told
    assert "secret" not in told


def test_without_a_check_a_store_is_opened_when_it_is_used(tmp_path: Path) -> None:
    store = store_from_url(f"sqlite:///{tmp_path}/later/x.db", check=False)
    with pytest.raises(StoreError, match="does not exist; make it first"):
        store.sender_ids()
    (tmp_path / "later").mkdir()
    assert store.sender_ids() == []
    store.close()


def test_a_store_that_cannot_be_opened_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist; make it first"):
        store_from_url(f"sqlite:///{tmp_path}/missing/x.db")
