"""Marks, the index and drafts when the disk is full, or the store cannot be reached."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from inspector_bot import app_of, write_project
from small_disk import SmallDisk
from werkzeug.test import Client

from rasa_core.server import ServerApp
from rasa_core.tracker_store import SqliteTrackerStore

LONG = "x" * 9000


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with SqliteTrackerStore(path=str(tmp_path / "talks.db")) as store:
        yield store


@pytest.fixture
def app(tmp_path: Path, store: SqliteTrackerStore) -> ServerApp:
    app = app_of(write_project(tmp_path / "concerts"), store)
    client = Client(app)
    for sender in ("ada", "bert"):
        assert client.post(f"/conversations/{sender}/say", json={"text": "/greet"}).status_code == 200
        client.put(f"/conversations/{sender}/review", json={"note": "first"})
    assert client.get("/inspector/queue").json["count"] == 2
    return app


def fill_disk(store: SqliteTrackerStore) -> None:
    """Limit the store's file to its present size."""
    with store._connections.writing() as connection:
        connection.execute("PRAGMA max_page_count = 1")


def test_on_a_full_disk_what_is_not_kept_is_told_and_what_was_kept_stays(
    app: ServerApp, store: SqliteTrackerStore
) -> None:
    client = Client(app)
    fill_disk(store)
    refused = client.put("/conversations/ada/review", json={"note": LONG, "tags": ["later"]})
    assert refused.status_code == 503, refused.text
    assert client.get("/conversations/ada/review").json["note"] == "first"
    assert client.get("/inspector/queue").json["count"] == 2


def test_a_draft_that_cannot_be_kept_is_told_and_not_begun(app: ServerApp, store: SqliteTrackerStore) -> None:
    client = Client(app)
    fill_disk(store)
    entity = {"entity": "city", "value": LONG}
    refused = client.post("/conversations/ada/correct", json={"at": 1, "intent": "search", "entities": [entity]})
    assert refused.status_code == 503, refused.text
    assert client.get("/conversations").json == ["ada", "bert"]
    assert client.get("/conversations/ada/timeline").status_code == 200


def test_an_index_that_is_damaged_is_made_again(app: ServerApp, store: SqliteTrackerStore, tmp_path: Path) -> None:
    for path in tmp_path.glob("talks.db-index*"):
        path.unlink()
    (tmp_path / "talks.db-index").write_bytes(b"no database" * 1000)
    again = app_of(tmp_path / "concerts", store)
    assert Client(again).get("/inspector/queue").json["count"] == 2


@pytest.mark.parametrize("first", ["list", "mark"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_an_index_whose_pages_are_damaged_is_made_again(
    app: ServerApp, store: SqliteTrackerStore, tmp_path: Path, first: str, is_restarted: bool
) -> None:
    path = tmp_path / "talks.db-index"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x55" * (len(whole) - 4096))  # The format is in the first page, and still read.
    client = Client(app_of(tmp_path / "concerts", store) if is_restarted else app)

    if first == "mark":
        assert client.put("/conversations/ada/review", json={"note": "second"}).status_code == 200
    found = client.get("/inspector/queue")

    assert found.status_code == 200
    assert client.put("/conversations/ada/review", json={"note": "second"}).status_code == 200
    notes = {one["sender_id"]: one["note"] for one in client.get("/inspector/queue").json["conversations"]}
    assert notes == {"ada": "second", "bert": "first"}


def test_a_story_that_a_full_disk_does_not_take_is_told_as_such(small_disk: SmallDisk) -> None:
    folder = write_project(small_disk.path / "my concerts")
    client = Client(app_of(folder))
    client.post("/conversations/ada/say", json={"text": "/greet"})
    saved = {"save": [{"as": "story", "title": "x"}], "write": True}
    small_disk.fill()

    refused = client.post("/conversations/ada/save", json=saved)

    assert refused.status_code == 503
    assert "cannot be written here: No space left on device; the log says where" in refused.json["error"]
    assert "my concerts" not in refused.text
    small_disk.empty()
    assert client.post("/conversations/ada/save", json=saved).json["written"]


@pytest.mark.parametrize("damaged", ["stories.md", "domain.yml"])
def test_what_is_wrong_with_a_project_is_told_without_its_folder(tmp_path: Path, damaged: str) -> None:
    folder = write_project(tmp_path / "my concerts")
    client = Client(app_of(folder))
    client.post("/conversations/ada/say", json={"text": "/greet"})
    (folder / damaged).write_bytes(b"\xff\xfe\x00x")

    asked = [
        client.get("/conversations/ada/save"),
        client.post("/conversations/ada/save", json={"save": [{"as": "story", "title": "x"}]}),
        client.post("/inspector/models", json={"name": "none"}),
        client.get("/inspector/map"),
        client.get("/inspector/map/lines?place=stories.md:1"),
    ]

    assert [answer.status_code for answer in asked if answer.status_code >= 500] == []
    refused = [answer.text for answer in asked if answer.status_code >= 400]
    assert [told for told in refused if str(tmp_path) in told] == []
    assert any(damaged in told for told in refused)
