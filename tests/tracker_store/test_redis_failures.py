"""The errors of the Redis store when its server fails, and its recovery."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from at_once import at_once
from small_commits import head

pytest.importorskip("redis", reason="install it with: pip install redis")

from programs import free_port, program, until
from redis_engines import empty_store
from redis_servers import Proxy, RedisServer, durable, running, shared_cluster, shared_server

from rasa_core.exceptions import StoreError, StoreUnavailableError, VersionConflictError
from rasa_core.rasa3.endpoints import read_endpoints
from rasa_core.tracker_store import StoredAnswer, store_from_url
from rasa_core.tracker_store.redis import RedisTrackerStore

ANSWER = StoredAnswer("k", "digest", 1, True, 1.5, "{}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running(tmp_path) as started:
        yield started


@contextmanager
def store_on(port: int, **options: object) -> Iterator[RedisTrackerStore]:
    with RedisTrackerStore(host="127.0.0.1", port=port, **{"timeout": 5, **options}) as store:
        yield store


def append(store: RedisTrackerStore, *events: str) -> None:
    stored = store.read_head("a")
    version = 0 if stored is None else stored.version
    store.commit("a", version, events, head(version + len(events)), ANSWER)


def is_plain(error: pytest.ExceptionInfo[StoreError]) -> bool:
    """Tell whether an error is one that no later attempt can help."""
    return not isinstance(error.value, StoreUnavailableError)


CALLS: dict[str, Callable[[RedisTrackerStore], object]] = {
    "read_head": lambda store: store.read_head("a"),
    "read_events": lambda store: store.read_events("a", 0, 1),
    "read_answer": lambda store: store.read_answer("a", "k"),
    "sender_ids": lambda store: store.sender_ids(),
    "commit": lambda store: store.commit("a", 0, ["0"], head(1)),
    "delete": lambda store: store.delete("a"),
    "expire_answers": lambda store: store.expire_answers(1.0),
    "lock": lambda store: store.lock("a").__enter__(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("cluster", [False, True], ids=["single", "cluster"])
def test_a_server_that_is_not_there_is_unavailable(call: Callable[[RedisTrackerStore], object], cluster: bool) -> None:
    port = free_port()
    with (
        store_on(port, password="secret", cluster=cluster) as store,
        pytest.raises(StoreUnavailableError, match=r"Start .*, or correct the address\.$") as raised,
    ):
        call(store)
    assert str(port) in str(raised.value)
    assert "secret" not in str(raised.value)


# -- logging in, and what the server allows


def test_a_missing_or_wrong_password_is_named_but_not_shown(tmp_path: Path) -> None:
    with running(tmp_path, "--requirepass", "correct") as server:
        for password in (None, "secret"):
            with (
                store_on(server.port, password=password) as store,
                pytest.raises(StoreError, match="Give the right user and password") as raised,
            ):
                store.sender_ids()
            assert is_plain(raised)
            assert "secret" not in str(raised.value)
        with store_on(server.port, password="correct") as store:
            append(store, "0")
            assert store.sender_ids() == ["a"]


def test_a_password_that_the_server_does_not_ask_for_is_named_but_not_shown(server: RedisServer) -> None:
    with (
        store_on(server.port, username="bot", password="secret") as store,
        pytest.raises(StoreError, match="Give the right user and password") as raised,
    ):
        store.sender_ids()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("command", ["rpush", "hset", "persist", "zadd", "expire", "zrem", "time"])
def test_a_user_who_may_not_run_all_that_a_commit_needs_leaves_no_half_of_it(server: RedisServer, command: str) -> None:
    with server.client() as client, store_on(server.port, username="bot", password="pw") as store:
        client.execute_command("ACL", "SETUSER", "bot", "on", ">pw", "~rasa_core:*", "+@all")
        append(store, "0")
        before = client.dump("rasa_core:{a}:events"), client.hgetall("rasa_core:{a}:head")
        client.execute_command("ACL", "SETUSER", "bot", f"-{command}")
        with pytest.raises(StoreError, match=r"Grant its user \+@read \+@write") as raised:
            append(store, "1")
        assert is_plain(raised)
        assert (client.dump("rasa_core:{a}:events"), client.hgetall("rasa_core:{a}:head")) == before
        client.execute_command("ACL", "SETUSER", "bot", "+@all")
        append(store, "1")


def test_a_user_of_the_rights_that_are_asked_for_can_do_everything(server: RedisServer) -> None:
    rights = ["-@all", "+@read", "+@write", "+@scripting", "+@connection", "+time"]
    with server.client() as client, store_on(server.port, username="bot", password="pw") as store:
        client.execute_command("ACL", "SETUSER", "bot", "on", ">pw", "~rasa_core:*", *rights)
        with store.lock("a"):
            append(store, "0")
            assert store.read_events("a", 0, 9) == ["0"]
            assert store.read_answer("a", "k") == ANSWER
            assert store.expire_answers(2.0) == 1
            assert store.delete("a")


def test_a_certificate_has_to_be_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate, port = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem"), free_port()
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    openssl = [program("openssl", "openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    subprocess.run([*openssl, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True)
    tls = ["--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no"]
    with running(tmp_path, *tls, "--tls-ca-cert-file", certificate):
        with store_on(port, ssl=True) as store, pytest.raises(StoreError, match="SSL_CERT_FILE") as raised:
            store.sender_ids()
        assert is_plain(raised)
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        with store_on(port, ssl=True) as store, store.lock("a"):
            append(store, "0")
            assert store.read_events("a", 0, 9) == ["0"]
        options = f"type: redis, url: 127.0.0.1, port: {port}, use_ssl: true, key_prefix: bot, db: 1"
        (tmp_path / "endpoints.yml").write_text(f"tracker_store: {{{options}}}", encoding="utf-8")
        with store_from_url(str(read_endpoints(tmp_path).store)) as store, store.lock("a"):
            append(store, "1")
        with RedisTrackerStore(port=port, ssl=True, db=1, key_prefix="bot") as store:
            assert store.read_events("a", 0, 9) == ["1"]


# -- the server refuses to write


def test_when_memory_is_full_nothing_is_half_written_and_reading_goes_on(server: RedisServer) -> None:
    with server.client() as client, store_on(server.port) as store:
        append(store, "0")
        client.config_set("maxmemory", "1")
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match=r"memory.* raise its maxmemory, or delete conversations"):
                store.commit("a", 1, ["1", "2"], head(3), ANSWER)
            with pytest.raises(StoreUnavailableError, match="raise its maxmemory"):
                store.commit("b", 0, ["1", "2"], head(2))
            client.script_flush()  # Refused under EVAL as well.
        assert store.read_events("a", 0, 9) == ["0"]
        assert store.read_head("a") == head(1)
        assert store.sender_ids() == ["a"]
        assert store.delete("a")
        client.config_set("maxmemory", "0")
        append(store, "1", "2")


def test_a_commit_that_fills_the_memory_is_whole(server: RedisServer) -> None:
    with server.client() as client, store_on(server.port) as store:
        append(store, "0")
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 200_000)
        refused = 0
        for number in range(40):
            stored = store.read_head("a")
            assert stored is not None
            assert len(store.read_events("a", 0, 10**6)) == stored.version
            try:
                append(store, *[f"{number} {'x' * 1000}"] * 50)
            except StoreUnavailableError:
                refused += 1
        assert refused


def test_a_replica_takes_no_commit(server: RedisServer) -> None:
    with server.client() as client, store_on(server.port) as store:
        append(store, "0")
        client.replicaof("127.0.0.1", free_port())
        with pytest.raises(StoreUnavailableError, match="It is a replica, which takes no writes: name the primary"):
            store.commit("a", 1, ["1"], head(2), ANSWER)
        assert store.read_events("a", 0, 9) == ["0"]
        client.replicaof("NO", "ONE")
        append(store, "1")


def test_a_server_that_cannot_save_takes_no_commit(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--save", "3600 1000", "--dbfilename", "folder") as server,
        server.client() as client,
        store_on(server.port) as store,
    ):
        append(store, "0")
        (tmp_path / "folder").mkdir()
        client.bgsave()
        until(lambda: client.info("persistence")["rdb_last_bgsave_status"] != "ok")
        with pytest.raises(StoreUnavailableError, match="It cannot save to its disk: make room there"):
            store.commit("a", 1, ["1"], head(2), ANSWER)
        assert store.read_events("a", 0, 9) == ["0"]
        assert store.read_head("a") == head(1)
        client.config_set("stop-writes-on-bgsave-error", "no")
        append(store, "1")


# -- other software, and other kinds of servers


@pytest.mark.parametrize(
    "key", ["{a}:head", "{a}:events", "{a}:answers", "{a}:answers:created", "{a}:answers:stored", "ids"]
)
def test_a_key_of_other_software_is_left_alone(server: RedisServer, key: str) -> None:
    with server.client() as client, store_on(server.port) as store:
        client.set(f"rasa_core:{key}", "not ours")
        with pytest.raises(StoreError, match="choose another key_prefix, or another database") as raised:
            store.commit("a", 0, ["0"], head(1), ANSWER)
        assert is_plain(raised)
        assert client.get(f"rasa_core:{key}") == b"not ours"
        assert set(client.keys("*")) <= {b"rasa_core:layout", b"rasa_core:ids", f"rasa_core:{key}".encode()}


def test_a_database_that_does_not_exist_is_refused(server: RedisServer) -> None:
    with store_on(server.port, db=99) as store, pytest.raises(StoreError, match="Choose a lower number") as raised:
        store.sender_ids()
    assert is_plain(raised)


def test_a_single_server_is_no_cluster(server: RedisServer) -> None:
    with (
        store_on(server.port, cluster=True) as store,
        pytest.raises(StoreError, match=r"It is a single server: leave out \?cluster=true") as raised,
    ):
        store.sender_ids()
    assert is_plain(raised)


def test_a_cluster_is_no_single_server() -> None:
    messages = []
    for node in shared_cluster():
        with store_on(node.port) as store:
            try:
                store.sender_ids()
            except StoreError as error:
                messages.append(str(error))
    # One of the nodes has the keys that are for all; the others say where they are.
    assert len(messages) >= 2
    assert all("It is part of a Redis Cluster: add ?cluster=true" in message for message in messages)


# -- time and connections


def test_a_server_that_hangs_is_unavailable_and_comes_back(server: RedisServer) -> None:
    with store_on(server.port, socket_timeout=0.2) as store:
        append(store, "0")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailableError, match="It takes too long to answer") as raised:
                store.read_head("a")
            assert "It may have stored" not in str(raised.value)
            with pytest.raises(StoreUnavailableError, match="It takes too long to answer"):
                store.commit("a", 1, ["1"], head(2))
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert store.read_events("a", 0, 1) == ["0"]


def test_a_read_is_repeated_once_when_its_connection_drops() -> None:
    empty_store().close()
    with Proxy(shared_server()) as proxy, store_on(proxy.port) as store:
        append(store, "0")
        proxy.drop_replies = 1
        assert store.read_head("a") == head(1)
        proxy.drop_replies = 1
        assert store.sender_ids() == ["a"]
        proxy.drop_replies = 1
        with store.lock("a"):
            pass
        proxy.drop_replies = 2
        with pytest.raises(StoreUnavailableError, match="Start Redis there"):
            store.read_head("a")
        assert store.read_head("a") == head(1)


def test_a_commit_whose_reply_was_lost_is_in_doubt_and_never_made_twice() -> None:
    empty_store().close()
    with Proxy(shared_server()) as proxy, store_on(proxy.port) as store:
        append(store, "0")
        proxy.drop_replies = 1
        with pytest.raises(StoreUnavailableError, match="It may have stored the change, or not"):
            store.commit("a", 1, ["1"], head(2))
        assert store.read_events("a", 0, 9) == ["0", "1"]
        with pytest.raises(VersionConflictError, match="at version 2, not 1"):
            store.commit("a", 1, ["1"], head(2))


def test_scripts_are_sent_again_to_a_server_that_forgot_them(server: RedisServer) -> None:
    with server.client() as client, store_on(server.port) as store:
        append(store, "0")
        client.script_flush()
        append(store, "1")
        client.script_flush()
        with store.lock("a"):
            assert store.delete("a")


def test_more_threads_than_connections_wait_their_turn(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rasa_core.tracker_store.redis.MOST_CONNECTIONS", 3)
    threads = 16
    with server.client() as client, store_on(server.port) as store:
        append(store, "0")

        def read(_: int) -> None:
            for _ in range(20):
                assert store.read_head("a") == head(1)

        at_once(read, range(threads))
        assert len(client.client_list()) <= 1 + 3


# -- death of the server


def commit_until_it_fails(store: RedisTrackerStore, acknowledged: list[int], enough: threading.Event) -> None:
    """Commit three events at a time until the server is gone; set `enough` after a hundred."""
    while True:
        number = len(acknowledged)
        try:
            with store.lock("a"):
                append(store, *(f"{number}.{part}" for part in range(3)))
        except StoreUnavailableError:
            return
        acknowledged.append(number)
        if number == 100:
            enough.set()


def test_a_killed_server_loses_nothing_with_aof_and_the_store_goes_on_when_it_is_back(tmp_path: Path) -> None:
    server = durable(tmp_path)
    server.start()
    with store_on(server.port) as store:
        acknowledged: list[int] = []
        enough = threading.Event()
        writer = threading.Thread(target=commit_until_it_fails, args=(store, acknowledged, enough))
        writer.start()
        assert enough.wait(60)
        server.kill()
        writer.join()
        with pytest.raises(StoreUnavailableError, match="Start Redis there"):
            store.read_head("a")
        server.start()
        log = store.read_events("a", 0, 10**6)
        commits = len(log) // 3
        assert commits in (len(acknowledged), len(acknowledged) + 1)
        assert log == [f"{number}.{part}" for number in range(commits) for part in range(3)]
        assert store.read_head("a") == head(len(log))
        append(store, "after")
        assert store.read_events("a", len(log), len(log) + 9) == ["after"]
    server.kill()


def test_a_lock_that_is_held_while_the_server_restarts_costs_no_event(tmp_path: Path) -> None:
    server = durable(tmp_path)
    server.start()
    with store_on(server.port) as store:
        with store.lock("a"):
            append(store, "0")
            server.kill()
            with pytest.raises(StoreUnavailableError, match="Start Redis there"):
                store.commit("a", 1, ["1"], head(2))
            server.start()
            store.commit("a", 1, ["1"], head(2))
        with store.lock("a"):
            assert store.read_events("a", 0, 9) == ["0", "1"]
    server.kill()


def test_leaving_a_block_while_the_server_is_gone_raises_nothing_more(tmp_path: Path) -> None:
    with running(tmp_path) as server, store_on(server.port) as store, store.lock("a"):
        append(store, "0")
        server.kill()
