"""URLs of the Redis store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("redis", reason="install it with: pip install redis")

from redis_engines import empty_cluster_store, empty_store
from redis_servers import running, shared_cluster, shared_server

from rasa_core.exceptions import StoreError
from rasa_core.tracker_store import store_from_url
from rasa_core.tracker_store.redis import RedisTrackerStore


def test_a_url_names_a_store() -> None:
    empty_store().close()
    with store_from_url(f"{shared_server().url}?timeout=2.5&key_prefix=bot") as store:
        assert isinstance(store, RedisTrackerStore)
        assert store._timeout == 2.5
        with store.lock("a"), shared_server().client() as client:
            assert client.keys("*:lease") == [b"bot:{a}:lease"]


def test_a_url_names_a_database() -> None:
    empty_store().close()
    with store_from_url(shared_server().url[:-1] + "3") as store, store.lock("a"):
        with shared_server().client(db=3) as client:
            assert client.exists("rasa_core:{a}:lease")
        with shared_server().client(db=0) as client:
            assert not client.exists("rasa_core:{a}:lease")


def test_a_url_names_a_cluster() -> None:
    empty_cluster_store().close()
    with store_from_url(f"redis://127.0.0.1:{shared_cluster()[1].port}?cluster=true") as store:
        assert store.sender_ids() == []


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", "redis://localhost:6379/0"),
        ("redis://host/", "redis://host:6379/0"),
        ("rediss://b%40t:p%2F%3F%23%40%25ss@[::1]:7000/2", "rediss://[::1]:7000/2"),
    ],
)
def test_what_a_url_leaves_out_is_as_usual(url: str, address: str) -> None:
    with RedisTrackerStore.from_url(url) as store:
        assert store._address == address


def test_user_and_password_may_hold_any_character(tmp_path: Path) -> None:
    with running(tmp_path) as server, server.client() as client:
        client.execute_command("ACL", "SETUSER", "b@t", "on", ">p/?#@%ss", "~*", "+@all")
        with store_from_url(f"redis://b%40t:p%2F%3F%23%40%25ss@127.0.0.1:{server.port}") as store:
            assert store.sender_ids() == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://:secret@host?tiemout=5", "no option 'tiemout'. Did you mean 'timeout'"),
        ("redis://:secret@host?timeout=soon", "timeout is a number of seconds, not 'soon'"),
        ("redis://:secret@host?timeout=0", "timeout is a number of seconds above 0, not 0.0"),
        ("redis://:secret@host?cluster=maybe", "cluster is true or false, not 'maybe'"),
        ("redis://:secret@host/3?cluster=true", "a Redis Cluster has database 0 alone, not 3"),
        ("redis://:secret@host?key_prefix=%7Bx", "key_prefix is printable ASCII"),
        ("redis://:secret@host/first", "the database of Redis is a number"),
        ("redis://:secret@host:port", "no valid port"),
        ("redis://:12/secret@host", "no address of Redis. Write .*as %2F"),
        ("redis://:12?secret@host", "no address of Redis. Write .*as %2F"),
        ("redis://:se/cret@host", "no valid port. Write .*as %2F"),
        ("redis://:se?cret@host", "no valid port. Write .*as %2F"),
    ],
)
def test_a_wrong_url_is_refused_with_the_remedy_and_without_the_password(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as raised:
        RedisTrackerStore.from_url(url)
    for secret in ("secret", "se/cret", "se?cret", "'se'", "cret@"):
        assert secret not in str(raised.value)


def test_nothing_shows_the_password() -> None:
    with RedisTrackerStore.from_url("redis://bot:secret@host") as store:
        assert "secret" not in repr(store) + store._address


def test_importing_the_stores_does_not_import_redis() -> None:
    code = "import sys, rasa_core.tracker_store; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
