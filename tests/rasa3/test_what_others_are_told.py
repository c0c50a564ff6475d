"""The events, and their keys, that clients and action servers of Rasa 3 receive."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest
from answering_server import answering_server
from rasa3_bots import HOTEL, fresh, say, trained, write
from werkzeug.test import Client

from rasa_core.actions.webhook import ActionServer
from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.server import create_app, included_events

OWN = {
    "domain": """
        version: "3.1"
        intents: [go, chat]
        entities: [x]
        slots: {s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}}
        actions: [action_go]
        responses: {utter_chat: [{text: Chat}]}
        session_config: {session_expiration_time: 1, carry_over_slots_to_new_session: true}
        """,
    "data__rules": """
        version: "3.1"
        rules:
        - rule: go
          steps: [{intent: go}, {action: action_go}]
        - rule: chat
          steps: [{intent: chat}, {action: utter_chat}]
        """,
}
BEGUN = ["action_session_start", "session_started", "action_listen"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    return trained(write(tmp_path_factory.mktemp("own"), **OWN))


@pytest.fixture
def client(own: Agent) -> Client:
    return Client(create_app(fresh(own)))


def asked(
    own: Agent, *texts: str, events: Any = (), metadata: dict[str, Any] | None = None, **options: Any
) -> list[Any]:
    """Send messages to a bot whose action logs some events, and return the requests to its action server."""
    with answering_server({"action_go": {"events": list(events)}}) as (url, requests):
        agent = Agent(own.domain, own.policy_ensemble, actions=ActionServer(url, **options))
        for text in texts:
            agent.turns().respond(
                UserMessage(text, RestOutputChannel(), "ada", input_channel="rest", metadata=metadata)
            )
        logged = [event.type_name for event in agent.read_tracker("ada").events]
        return [*requests, logged]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event.get("name") or event.get("text") or event["event"] for event in events]


def test_an_action_server_is_told_what_was_predicted_before_its_action(own: Agent) -> None:
    request, logged = asked(own, '/go{"x": "1"}')
    events = request["tracker"]["events"]
    assert names(events) == [*BEGUN, '/go{"x": "1"}', "s", "user_featurization"]
    assert logged[:6] == [event["event"] for event in events]
    assert logged.count("user_featurization") == 1


def test_an_action_server_is_told_of_the_session_in_which_the_turn_began(
    own: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, _ = asked(own, "/chat", "/restart", "/go")
    assert names(request["tracker"]["events"]) == [*BEGUN, "/go", "user_featurization"]
    request, _ = asked(own, "/chat", "/restart", "/go", most_events=None)
    assert "/chat" in names(request["tracker"]["events"])
    first, _ = asked(own, "/go", metadata={"from": "web"})  # With what was set before the session of this turn.
    assert names(first["tracker"]["events"])[:3] == ["session_started_metadata", *BEGUN[:2]]
    # One that begins because the user was away is known only in the next turn.
    clock = itertools.count(time.time(), 100)  # Time flies: each message begins a session.
    monkeypatch.setattr(time, "time", lambda: next(clock))
    first, second, _ = asked(own, "/chat", "/go", "/go")
    assert names(first["tracker"]["events"])[:4] == [*BEGUN, "/chat"]
    assert names(second["tracker"]["events"]).count("/go") == 2
    assert "/chat" not in names(second["tracker"]["events"])


def test_events_of_an_action_server_are_logged_under_their_names_of_today(own: Agent) -> None:
    old = [{"event": "form", "name": None}, {"event": "form_validation", "validate": False}]
    _, logged = asked(own, "/go", events=old)
    assert [kind for kind in logged if "form" in kind or "loop" in kind] == ["active_loop", "loop_interrupted"]


@pytest.mark.parametrize("event", [{"event": "loop_interrupted"}, {"event": "form_validation", "validate": None}])
def test_a_loop_of_which_an_action_server_does_not_say_so_is_not_interrupted(own: Agent, event: dict[str, Any]) -> None:
    _, request, logged = asked(own, "/go", "/go", events=[event, {"event": "loop_interrupted", "is_interrupted": None}])
    assert logged.count("loop_interrupted") == 4
    told = [one["is_interrupted"] for one in request["tracker"]["events"] if one["event"] == "loop_interrupted"]
    assert told == [False, False]


def test_events_of_every_kind_keep_their_metadata(own: Agent) -> None:
    beside = {"metadata": {"k": "v"}}
    said = {"event": "user", "text": "hm", "parse_data": {"intent": {"name": "go"}, "entities": [], "text": "hm"}}
    sent = [{"event": "slot", "name": "s", "value": "1"}, {"event": "pause"}, {"event": "resume"}, said]
    _, request, _ = asked(own, "/go", "/go", events=[{**one, **beside} for one in sent])
    told = [event["event"] for event in request["tracker"]["events"] if event["metadata"] == {"k": "v"}]
    assert told == ["slot", "pause", "resume", "user"]
    (parsed,) = (one["parse_data"] for one in request["tracker"]["events"] if one.get("text") == "hm")
    assert parsed["metadata"] == {"k": "v"}


def test_the_message_that_began_a_loop_has_an_object_as_its_metadata(tmp_path: Path) -> None:
    bot = trained(write(tmp_path, **HOTEL, domain__own="actions: [validate_hotel_form]"))
    with answering_server({"validate_hotel_form": {}}) as (url, requests):
        say(Agent(bot.domain, bot.policy_ensemble, actions=ActionServer(url)), "/book")
    told = requests[-1]["tracker"]
    assert told["active_loop"]["trigger_message"]["metadata"] == {}
    assert names(told["events"])[3:6] == ["/book", "user_featurization", "hotel_form"]  # What began it comes first.


def test_entities_that_are_added_to_a_message_are_among_its_own(client: Client) -> None:
    client.post("/conversations/ada/messages", json={"text": "/chat", "sender": "user"})
    added = {"event": "entities", "entities": [{"entity": "x", "value": "1"}]}
    state = client.post("/conversations/ada/tracker/events", json=added).get_json()
    assert state["latest_message"]["entities"] == [{"entity": "x", "value": "1"}]
    client.post("/conversations/ada/execute", json={"name": "utter_chat"})
    assert client.post("/conversations/ada/tracker/events", json={**added, "entities": [{"entity": "y"}]}).get_json()[
        "latest_message"
    ]["entities"] == [{"entity": "x", "value": "1"}]


def test_an_event_has_the_keys_of_which_nothing_is_said(client: Client) -> None:
    client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": "/chat"})
    state = client.get("/conversations/ada/tracker").get_json()
    by_kind = {event["event"]: event for event in state["events"]}
    assert all(event["metadata"] == {} for event in state["events"] if event["event"] != "bot")
    listening = by_kind["action"]
    assert (listening["action_text"], listening["hide_rule_turn"], listening["policy"]) == (None, True, "RulePolicy")
    assert {"policy": None, "confidence": 1.0, "hide_rule_turn": False}.items() <= state["events"][0].items()
    said = by_kind["user"]
    assert len(said["message_id"]) == 32
    nothing_beside = ("elements", "quick_replies", "buttons", "attachment", "image", "custom")
    assert by_kind["bot"]["data"] == dict.fromkeys(nothing_beside)
    assert said["message_id"] == said["parse_data"]["message_id"] == state["latest_message"]["message_id"]


def test_a_conversation_that_nobody_has_begun_is_told_as_it_would_begin(client: Client) -> None:
    state = client.get("/conversations/ada/tracker").get_json()
    told = [(event["event"], event.get("name"), event.get("confidence")) for event in state["events"]]
    begun = ("action", "action_session_start", 1.0), ("session_started", None, None), ("action", "action_listen", None)
    assert told == list(begun)
    assert (state["followup_action"], state["latest_action_name"]) == (None, "action_listen")
    assert client.get("/conversations").get_json() == []


def test_messages_have_ids_of_their_own_and_what_was_appended_has_none(client: Client) -> None:
    for _ in range(2):
        client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": "/chat"})
    sent = {"event": "user", "text": "/chat", "parse_data": {"intent": {"name": "chat"}, "entities": []}}
    client.post("/conversations/ada/tracker/events", json=sent)
    client.post("/conversations/ada/trigger_intent", json={"name": "chat"})
    events = client.get("/conversations/ada/tracker").get_json()["events"]
    ids = [event["message_id"] for event in events if event["event"] == "user"]
    assert ids[2:] == [None, None]
    assert len({*ids[:2]}) == 2


def test_a_change_is_answered_with_the_latest_session(client: Client) -> None:
    for text in ("/chat", "/restart"):
        client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": text})
    added = client.post("/conversations/ada/tracker/events?include_events=all", json={"event": "pause"}).get_json()
    assert names(added["events"]) == [*BEGUN, "pause"]
    everything = client.get("/conversations/ada/tracker?include_events=All").get_json()["events"]
    assert "/chat" in names(everything)


def test_what_comes_next_is_told_where_nothing_or_a_restart_was_last(client: Client) -> None:
    before = client.get("/conversations/ada/tracker?until=1").get_json()
    assert (before["followup_action"], before["events"]) == ("action_listen", [])
    nothing = client.post("/model/predict", json=[]).get_json()
    assert (nothing["policy"], nothing["scores"][0]["action"]) == ("followup_action", "action_listen")
    assert nothing["tracker"]["followup_action"] is None  # The prediction has used it up.
    client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": "/chat"})
    restarted = client.post("/conversations/ada/tracker/events", json={"event": "restart"}).get_json()
    assert restarted["followup_action"] == "action_session_start"
    said = client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": "/chat"})
    assert [one["text"] for one in said.get_json()] == ["Chat"]


def test_a_change_is_answered_with_the_latest_session_however_long_the_others_were(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(included_events, "MOST_READ", 100)
    said = [{"event": "bot", "text": "hello"}] * 200
    for path, body in ("execute", {"name": "utter_chat"}), ("trigger_intent", {"name": "chat"}):
        client.post(f"/conversations/{path}/tracker/events", json=said)
        client.post("/webhooks/rest/webhook", json={"sender": path, "message": "/session_start"})
        answer = client.post(f"/conversations/{path}/{path}", json=body)
        assert answer.status_code == 200
        told = [event["event"] for event in answer.get_json()["tracker"]["events"]]
        assert told[:2] == ["action", "session_started"]
        assert told.count("bot") == 1
        assert client.post(f"/conversations/{path}/{path}?include_events=ALL", json=body).status_code == 400


def test_a_story_ends_with_the_latest_session_though_nothing_was_said_in_it(client: Client) -> None:
    for text in ('/chat{"x": "1"}', "/restart"):
        client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": text})
    assert client.get("/conversations/ada/story").get_data(as_text=True) == "version: '3.1'\n"
    every = client.get("/conversations/ada/story?all_sessions=true").get_data(as_text=True)
    assert "entities" not in every  # The text has them.


def test_a_message_that_was_made_sure_of_keeps_what_came_with_it(tmp_path: Path) -> None:
    rule = "{intent: nlu_fallback}, {action: action_two_stage_fallback}, {active_loop: action_two_stage_fallback}"
    bot = {**HOTEL, "data__fallback": f"rules: [{{rule: ask, steps: [{rule}]}}]"}
    bot["domain"] = bot["domain"].replace('"no"]', '"no", nlu_fallback]')
    agent = trained(write(tmp_path, **bot))
    parse = {"text": "hm", "intent": {"name": "nlu_fallback", "confidence": 0.3}, "entities": []}
    agent.turns().respond(UserMessage("hm", RestOutputChannel(), "ada", parse_data=parse))
    agent.turns().trigger_intent(UserMessage(None, RestOutputChannel(), "ada"), "chat")
    said = [event.as_dict() for event in agent.read_tracker("ada").events if event.type_name == "user"]
    assert [one.get("metadata") for one in said[-2:]] == [{"is_external": True}] * 2


@pytest.mark.parametrize("data", [[1], "x", 5, True], ids=repr)
def test_data_of_the_bot_that_are_no_object_are_told_as_they_came(client: Client, data: object) -> None:
    path = "/conversations/ada/tracker"
    said = client.post(f"{path}/events", json={"event": "bot", "text": "a", "data": data})
    assert said.status_code == 200
    assert client.get(path).get_json()["events"][-1]["data"] == data
    assert client.post("/conversations/ada/predict").status_code == 200
