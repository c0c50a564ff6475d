"""The store that endpoints.yml of a project of Rasa 3 names, on real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engines import NO_REDIS

from rasa_core.domain import Domain
from rasa_core.events import SlotSet
from rasa_core.rasa3.endpoints import read_endpoints
from rasa_core.tracker_store import store_from_url


def talk(folder: Path, domain: Domain, **described: Any) -> list[str]:
    """Keep a conversation in a store that endpoints.yml names, and return what stands there for who comes later."""
    (folder / "endpoints.yml").write_text(json.dumps({"tracker_store": described}), encoding="utf-8")
    url = read_endpoints(folder).store
    assert url is not None
    with store_from_url(url, domain) as store:
        store.bind(domain, 3, "model-1")
        with store.conversation("ada") as conversation:
            conversation.tracker.update(SlotSet("name", "Ada"))
            conversation.commit()
    with store_from_url(url, domain) as again:
        assert again.sender_ids() == ["ada"]
        return again.read_events("ada", 1, 2)


def test_a_sqlite_file(domain: Domain, tmp_path: Path) -> None:
    db = str(tmp_path / "talks.db")
    assert len(talk(tmp_path, domain, type="sql", dialect="sqlite", db=db)) == 1
    assert Path(db).is_file()


@pytest.mark.parametrize(("dialect", "server"), [("postgresql", "postgresql"), ("mysql+pymysql", "mariadb")])
def test_a_database_with_a_password(domain: Domain, tmp_path: Path, dialect: str, server: str) -> None:
    import sql_servers

    address = {"url": "127.0.0.1", "port": sql_servers.emptied(server).port, "db": "rasa"}
    login = {"username": sql_servers.USER, "password": sql_servers.PASSWORD}
    assert len(talk(tmp_path, domain, type="sql", dialect=dialect, **address, **login)) == 1


def test_a_redis_server_with_a_password_and_a_prefix(domain: Domain, tmp_path: Path) -> None:
    pytest.importorskip("redis", reason=NO_REDIS)
    import redis_servers

    redis_servers.emptied("single")
    server = redis_servers.shared_server()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "ada", "on", ">p@ss:w/rd", "~mine:*", "+@all")
        address = {"url": "127.0.0.1", "port": server.port, "username": "ada", "password": "p@ss:w/rd"}
        assert len(talk(tmp_path, domain, type="redis", key_prefix="mine", **address)) == 1
        assert client.keys("mine:*")
        client.execute_command("ACL", "DELUSER", "ada")
        client.flushall()
