"""The HTTP paths that clients of Rasa 2 and 3 use."""

from __future__ import annotations

import json
from typing import Any

import pytest
from server_answers import error_of
from server_bot import make_agent
from werkzeug.test import Client

from rasa_core.server import create_app

BUTTONS = [{"title": "Bye", "payload": "/bye"}]


def say(client: Client, **body: Any) -> Any:
    response = client.post("/webhooks/rest/webhook", json=body)
    assert response.status_code == 200, response.get_data()
    return response.get_json()


def names(client: Client, sender_id: str) -> list[str]:
    state = client.get(f"/conversations/{sender_id}/tracker").get_json()
    return [event.get("name") or event.get("text") or event["event"] for event in state["events"]]


def test_the_rest_channel_answers_in_its_own_shape(client: Client) -> None:
    assert client.get("/webhooks/rest/").get_json() == {"status": "ok"}
    assert say(client, sender="anna", message="/greet") == [{"recipient_id": "anna", "text": "hey", "buttons": BUTTONS}]
    assert say(client, sender=7, message="/bye") == [{"recipient_id": "7", "text": "bye"}]
    for nobody in None, "":
        assert say(client, sender=nobody, message="/bye") == [{"recipient_id": "default", "text": "bye"}]


@pytest.mark.parametrize("body", [{}, {"sender": "anna"}, {"message": ""}, {"message": 5}])
def test_without_a_text_nothing_is_said_and_nothing_stored(client: Client, body: dict[str, Any]) -> None:
    assert say(client, **body) == []
    assert client.get("/conversations").get_json() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{broken"])
def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    response = client.post("/webhooks/rest/webhook", data=body)
    assert response.status_code == 400
    assert "the body" in error_of(response)


@pytest.mark.parametrize("sender", ["a\nb", "x" * 1001], ids=["control character", "too long"])
def test_a_sender_that_no_path_can_name_is_refused(client: Client, sender: str) -> None:
    response = client.post("/webhooks/rest/webhook", json={"sender": sender, "message": "/bye"})
    assert response.status_code == 400
    assert "the sender_id" in error_of(response)
    assert client.get("/conversations").get_json() == []


CHANGES: dict[str, Any] = {
    "execute": {"name": "utter_greet"},
    "trigger_intent": {"name": "greet"},
    "messages": {"text": "/greet", "sender": "user"},
    "tracker/events": [{"event": "pause"}],
    "tracker": [],
}


@pytest.mark.parametrize("path", CHANGES)
def test_an_unknown_kind_of_events_is_refused_before_anything_changes(client: Client, path: str) -> None:
    say(client, sender="anna", message="/greet")
    before = names(client, "anna")
    for method in ("PUT",) if path == "tracker" else ("POST", "PUT") if path == "tracker/events" else ("POST",):
        response = client.open(f"/conversations/anna/{path}?include_events=x", method=method, json=CHANGES[path])
        assert response.status_code == 400
        assert '"include_events" is one of' in error_of(response)
        assert names(client, "anna") == before


def test_messages_can_come_one_a_line(client: Client) -> None:
    response = client.post("/webhooks/rest/webhook?stream=true", json={"sender": "anna", "message": "/bye"})
    assert response.mimetype == "text/event-stream"
    assert [json.loads(line) for line in response.get_data(as_text=True).splitlines()] == [
        {"recipient_id": "anna", "text": "bye"}
    ]


def test_what_fails_before_the_first_line_is_an_error_as_always(client: Client) -> None:
    body, headers = {"sender": "anna", "message": "/bye"}, {"If-Match": '"7"'}
    response = client.post("/webhooks/rest/webhook?stream=true", json=body, headers=headers)
    assert response.status_code == 412
    assert names(client, "anna") == ["action_listen"]


def test_a_message_with_a_key_is_taken_once(client: Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    body = {"sender": "anna", "message": "/bye"}
    first = client.post("/webhooks/rest/webhook", json=body, headers=headers)
    again = client.post("/webhooks/rest/webhook", json=body, headers=headers)
    assert first.get_data() == again.get_data()
    assert names(client, "anna").count("/bye") == 1


def test_the_model_and_its_domain_are_told(client: Client) -> None:
    assert client.get("/status").get_json() == {
        "model_file": None, "model_id": None, "num_active_training_jobs": 0,
    }  # fmt: skip
    assert client.get("/domain").get_json()["intents"] == ["greet", "search", "bye", "restart"]
    yaml = client.get("/domain", headers={"Accept": "application/x-yaml"})
    assert yaml.mimetype == "application/x-yaml"
    assert "utter_greet" in yaml.get_data(as_text=True)
    assert client.get("/domain", headers={"Accept": "text/html"}).status_code == 406


def test_a_text_is_understood_without_a_conversation(client: Client) -> None:
    assert client.post("/model/parse", json={"text": "/greet"}).get_json()["intent"]["name"] == "greet"
    assert client.post("/model/parse", json={"text": None}).status_code == 400
    assert client.get("/conversations").get_json() == []


def test_predictions_change_nothing(client: Client) -> None:
    assert client.post("/conversations/anna/predict").status_code == 404
    logged = client.post("/conversations/anna/messages", json={"text": "/greet", "sender": "user"}).get_json()
    assert logged["latest_message"]["intent"]["name"] == "greet"
    told = client.post("/conversations/anna/predict").get_json()
    assert told["scores"][0] == {"action": "utter_greet", "score": 1.0}
    assert (told["policy"], told["confidence"]) == ("AnswersByIntent", 1.0)
    assert names(client, "anna") == ["action_listen", "/greet"]


def test_a_prediction_from_events_stores_nothing(client: Client) -> None:
    user = {"event": "user", "text": "/bye"}
    told = client.post("/model/predict", json=[{"event": "action", "name": "action_listen"}, user]).get_json()
    assert max(told["scores"], key=lambda one: one["score"])["action"] == "utter_bye"
    assert told["scores"][0]["action"] == "action_listen"  # In the order of the domain.
    assert client.get("/conversations").get_json() == []


def test_a_message_that_was_understood_elsewhere_sets_its_slots(client: Client) -> None:
    parsed = {"intent": {"name": "greet", "confidence": 0.5}, "entities": [{"entity": "name", "value": "Bo"}]}
    body = {"text": "I am Bo", "sender": "user", "parse_data": parsed}
    state = client.post("/conversations/anna/messages", json=body).get_json()
    assert state["slots"]["name"] == "Bo"
    assert state["latest_message"]["intent"]["confidence"] == 0.5


@pytest.mark.parametrize("body", [{"text": "hi"}, {"text": "hi", "sender": "bot"}, {"sender": "user"}])
def test_only_messages_of_the_user_are_logged(client: Client, body: dict[str, str]) -> None:
    assert client.post("/conversations/anna/messages", json=body).status_code == 400


def test_one_action_can_be_run(client: Client) -> None:
    assert client.post("/conversations/anna/execute", json={"name": "utter_bye"}).status_code == 404
    say(client, sender="anna", message="/greet")
    answer = client.post("/conversations/anna/execute", json={"name": "utter_bye"}).get_json()
    assert answer["messages"] == [{"recipient_id": "anna", "text": "bye"}]
    assert names(client, "anna")[-2:] == ["utter_bye", "bye"]
    assert client.post("/conversations/anna/execute", json={}).status_code == 400
    unknown = client.post("/conversations/anna/execute", json={"name": "utter_by"})
    assert unknown.status_code == 400
    assert "utter_bye" in error_of(unknown)


@pytest.mark.parametrize("entities", [{"name": "Bo"}, [{"entity": "name", "value": "Bo"}]])
def test_an_intent_can_be_triggered(client: Client, entities: Any) -> None:
    body = {"name": "greet", "entities": entities}
    answer = client.post("/conversations/anna/trigger_intent", json=body).get_json()
    assert answer["messages"][0]["text"] == "hey"
    assert answer["tracker"]["slots"]["name"] == "Bo"
    assert "EXTERNAL: greet" in names(client, "anna")
    assert client.post("/conversations/anna/trigger_intent", json={"name": "gret"}).status_code == 404


def test_events_can_be_put_in_place_of_a_conversation(client: Client) -> None:
    say(client, sender="anna", message="/greet")
    client.put("/conversations/anna/tracker/events", json=[{"event": "action", "name": "action_listen"}])
    assert names(client, "anna") == ["action_listen"]


def test_the_channel_asks_for_the_token_too() -> None:
    client = Client(create_app(make_agent(), auth_token="secret"))
    assert client.post("/webhooks/rest/webhook", json={"message": "/bye"}).status_code == 401
    answer = client.post("/webhooks/rest/webhook?token=secret", json={"message": "/bye"})
    assert answer.get_json() == [{"recipient_id": "default", "text": "bye"}]


def test_for_a_channel_of_rasa_is_told_what_stands_for_it(client: Client) -> None:
    response = client.post("/webhooks/facebook/webhook", json={})
    assert response.status_code == 404
    assert "of the channels of Rasa, rest is here" in error_of(response)
