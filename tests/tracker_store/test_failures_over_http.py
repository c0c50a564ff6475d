"""The answers of the server while its storage fails, and its recovery afterwards."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis_servers
import sql_servers
from policy_bot import Script, remote_domain
from werkzeug.test import Client, TestResponse

from rasa_core.agent import Agent
from rasa_core.server import create_app
from rasa_core.tracker_store import store_from_url

FOLLOWING = {("greet", "action_listen"): "utter_greet"}
TIMEOUT = 2.0


def client_on(url: str) -> Client:
    """Return a client of a server whose store may not be reachable yet."""
    store = store_from_url(url, check=False)
    return Client(create_app(Agent(remote_domain(), [Script(FOLLOWING)], tracker_store=store)))


def greet(client: Client, key: str, sender_id: str = "anna", text: str = "/greet") -> TestResponse:
    return client.post(
        f"/conversations/{sender_id}/parse", data=json.dumps({"query": text}), headers={"Idempotency-Key": key}
    )


def log(client: Client, sender_id: str = "anna") -> list[str]:
    answer = client.get(f"/conversations/{sender_id}/tracker")
    assert answer.status_code == 200, answer.get_json()
    return [event["event"] for event in answer.get_json()["events"]]


def assert_unavailable(answer: TestResponse) -> None:
    assert answer.status_code == 503, answer.get_data()
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.get_json()["error"]


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[str], None]]:
    """Mount a disk of 1 MB at `folder`; yield a function that mounts it anew with other options."""

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("only root may mount a small disk")

    folder.mkdir()
    mount("size=1m")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    with small_disk(tmp_path / "disk") as remount:
        yield tmp_path / "disk", remount


def test_a_full_disk_is_told_loses_nothing_and_heals_by_itself(disk: tuple[Path, Callable[[str], None]]) -> None:
    folder, remount = disk
    client = client_on(f"sqlite:///{folder}/talks.db")
    acknowledged = 0
    ballast = "x" * 20_000
    while (answer := greet(client, f"k{acknowledged}", text=f'/greet{{"note": "{ballast}"}}')).status_code == 200:
        acknowledged += 1
    assert_unavailable(answer)
    assert acknowledged > 2
    assert log(client).count("user") == acknowledged
    remount("size=8m")
    again = greet(client, f"k{acknowledged}", text=f'/greet{{"note": "{ballast}"}}')
    assert again.status_code == 200
    assert log(client).count("user") == acknowledged + 1
    client.application.model.agent().tracker_store.close()


def test_a_disk_that_may_only_be_read_is_told_and_heals_by_itself(disk: tuple[Path, Callable[[str], None]]) -> None:
    folder, remount = disk
    client = client_on(f"sqlite:///{folder}/talks.db")
    assert greet(client, "k0").status_code == 200
    client.application.model.agent().tracker_store.close()
    remount("ro,size=1m")
    client = client_on(f"sqlite:///{folder}/talks.db")
    assert_unavailable(greet(client, "k1"))
    remount("rw,size=1m")
    assert greet(client, "k1").status_code == 200
    assert greet(client, "k0").status_code == 200
    assert log(client).count("user") == 2
    client.application.model.agent().tracker_store.close()


def sql(name: str) -> tuple[str, sql_servers.SqlServer]:
    """Return the URL of an empty database, and its server, which may be killed."""
    server = sql_servers.shared(name, "mortal")
    return server.url(server.new_database(), timeout=TIMEOUT), server


@pytest.fixture(params=["postgresql", "mariadb", "redis"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the URL of an empty database, and its server, which may be killed."""
    if request.param != "redis":
        yield sql(request.param)
        return
    server = redis_servers.durable(tmp_path)
    server.start()
    yield f"{server.url}?timeout={TIMEOUT}", server
    server.kill()


def test_a_database_that_is_away_is_told_and_used_again_when_it_is_back(
    database: tuple[str, Any],
) -> None:
    url, server = database
    server.kill()
    client = client_on(url)
    assert_unavailable(greet(client, "k0"))
    server.start()
    assert greet(client, "k0").status_code == 200
    server.kill()
    assert_unavailable(greet(client, "k1"))
    assert_unavailable(client.get("/conversations/anna/tracker"))
    server.start()
    assert greet(client, "k1").status_code == 200
    assert greet(client, "k1").status_code == 200
    assert log(client) == ["action", "user", "user"]
    client.application.model.agent().tracker_store.close()


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_a_slow_database_is_given_up_after_the_timeout_and_used_again(name: str) -> None:
    url, server = sql(name)
    client = client_on(url)
    assert greet(client, "k0").status_code == 200
    with server.paused():
        started = time.monotonic()
        assert_unavailable(greet(client, "k1"))
        assert time.monotonic() - started < 4 * TIMEOUT
    assert greet(client, "k1").status_code == 200
    assert log(client) == ["action", "user", "user"]
    client.application.model.agent().tracker_store.close()


@pytest.mark.parametrize("moment", [0, 2, 5])
def test_a_connection_that_breaks_in_the_middle_of_a_turn_leaves_no_half_of_it(moment: int) -> None:
    """The server of the database dies at some moment of the turns of two callers; each repeats its request."""
    url, server = sql("postgresql")
    client = client_on(url)
    assert greet(client, "first", "anna").status_code == greet(client, "first", "bert").status_code == 200
    stop, acknowledged = threading.Event(), {"anna": 1, "bert": 1}

    def talk(sender_id: str) -> None:
        caller = Client(client.application)
        while not stop.is_set():
            key = f"k{acknowledged[sender_id]}"
            limit = time.monotonic() + 60
            while greet(caller, key, sender_id).status_code != 200:
                assert time.monotonic() < limit
            acknowledged[sender_id] += 1

    threads = [threading.Thread(target=talk, args=(sender_id,)) for sender_id in acknowledged]
    for thread in threads:
        thread.start()
    time.sleep(0.02 * moment)  # The moment is what varies; nothing is waited for.
    server.kill()
    server.start()
    stop.set()
    for thread in threads:
        thread.join(90)
    for sender_id, turns in acknowledged.items():
        assert log(client, sender_id) == ["action", *["user"] * turns]
    client.application.model.agent().tracker_store.close()
