"""Requests with unknown names are carried out, and reported in ``info``, with similar names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_bots import trained_agent
from werkzeug.test import Client

from rasa_core.server import create_app

DOMAIN = """
action_factory: remote
intents: [greet, book]
entities: [day, size]
slots:
  size: {type: categorical, values: [small, huge]}
  note: {type: text}
actions: [utter_greet, book_room]
"""
STORIES = "## a\n* greet\n  - utter_greet\n## b\n* book\n  - book_room\n"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    made: Client = create_app(trained_agent(tmp_path_factory.mktemp("bot"), DOMAIN, STORIES)).test_client()
    return made


def asked(client: Client, path: str, body: dict[str, Any], sender_id: str = "a") -> dict[str, Any]:
    answer = client.post(f"/conversations/{sender_id}/{path}", json=body)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.get_json()
    return found


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("/gret", "no intent 'gret', which the message names. Did you mean 'greet'? It is logged all the same."),
        ('/book{"dya": 1}', "no entity 'dya'. Did you mean 'day'? It is logged all the same."),
        ('/bok{"dya": 1, "x": 2}', "no entity 'x'. It is logged all the same."),
        ('/book{"size": "hgue"}', "The slot 'size' has no value 'hgue'. Did you mean 'huge'? It has small, huge."),
        ("/book{day}", 'No entities are read of \'{day}\', which is no JSON such as {"name": "Anna"}: Expecting '),
    ],
    ids=["an intent", "an entity", "several", "a value", "no JSON"],
)
def test_a_message_with_unknown_names_is_taken_and_told_of(client: Client, query: str, told: str) -> None:
    client.delete("/conversations/a")
    assert told in asked(client, "parse", {"query": query})["info"]
    events = client.get("/conversations/a/tracker").get_json()["events"]
    assert [event["text"] for event in events if event["event"] == "user"] == [query]


@pytest.mark.parametrize("query", ["/greet", '/book{"day": 1}', '/book{"size": "HUGE", "note": "x"}', "/restart", "hm"])
def test_one_that_is_right_is_answered_without_info(client: Client, query: str) -> None:
    assert "info" not in asked(client, "parse", {"query": query}, "right")


def test_a_value_in_an_event_is_told_of_too(client: Client) -> None:
    asked(client, "parse", {"query": "/book"}, "b")
    events = [{"event": "slot", "name": "size", "value": "smal"}]
    answer = asked(client, "continue", {"executed_action": "book_room", "events": events}, "b")
    assert "The slot 'size' has no value 'smal'. Did you mean 'small'?" in answer["info"]
    assert answer["tracker"]["slots"]["size"] == "smal"


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("parse", {"query": "/greet", "qery": "x"}, "a key 'qery', which means nothing here. Did you mean 'query'?"),
        (
            "continue",
            {"executed_actoin": "utter_greet"},
            "'executed_actoin', which means nothing here. Did you mean 'ex",
        ),
        (
            "continue",
            {"executed_action": None, "evnts": []},
            "'evnts', which means nothing here. Did you mean 'events'?",
        ),
    ],
    ids=["parse", "the action", "the events"],
)
def test_an_unknown_key_of_the_body_is_told_of(client: Client, path: str, body: dict[str, Any], told: str) -> None:
    assert told in asked(client, path, body, "c")["info"]


def test_what_was_told_before_stays_in_front(client: Client) -> None:
    asked(client, "parse", {"query": "/greet"}, "d")
    asked(client, "continue", {"executed_action": "utter_greet"}, "d")
    answer = asked(client, "continue", {"executed_action": "action_listen", "event": []}, "d")
    assert answer["info"].startswith("You do not need to call continue")
    assert answer["info"].endswith("a key 'event', which means nothing here. Did you mean 'events'?")


def test_a_request_that_is_repeated_gets_the_same_bytes(client: Client) -> None:
    request = {"json": {"query": "/gret", "qurey": 1}, "headers": {"Idempotency-Key": "k"}}
    first, second = (client.post("/conversations/e/parse", **request) for _ in range(2))  # type: ignore[arg-type]
    assert first.get_data() == second.get_data()
    assert "qurey" in first.get_json()["info"]


def test_a_message_in_the_url_has_no_body(client: Client) -> None:
    assert "info" not in client.get("/conversations/f/parse?q=/greet&nope=1").get_json()


def test_a_bot_of_rasa_3_tells_the_same(tmp_path: Path) -> None:
    domain = 'version: "3.1"\n' + DOMAIN.replace("action_factory: remote\n", "")
    domain = domain.replace(
        "values: [small, huge]", "values: [small, huge], mappings: [{type: from_entity, entity: size}]"
    )
    domain = domain.replace("{type: text}", "{type: text, mappings: [{type: custom}]}")
    client: Client = create_app(trained_agent(tmp_path, domain, STORIES)).test_client()
    answer = asked(client, "parse", {"query": '/gret{"dya": 1}'})
    assert "no intent 'gret', which the message names. Did you mean 'greet'?" in answer["info"]
    assert "no entity 'dya'. Did you mean 'day'?" in answer["info"]
