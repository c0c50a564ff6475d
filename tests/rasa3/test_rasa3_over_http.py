"""The HTTP routes that clients of Rasa 3 use, with a bot of Rasa 3."""

from __future__ import annotations

import base64
import hmac
import json
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from rasa3_bots import HOTEL, fresh, trained, write
from werkzeug.test import Client, TestResponse

from rasa_core.actions.webhook import domain_body, tracker_body
from rasa_core.agent import Agent
from rasa_core.exceptions import ModelError
from rasa_core.project import Project
from rasa_core.server import create_app
from rasa_core.server.guards import jwt_reader

SECRET = "a secret that is long enough for a digest of 256 bits"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    return trained(write(tmp_path_factory.mktemp("bot"), **HOTEL))


@pytest.fixture
def agent(model: Agent) -> Agent:
    return fresh(model)


@pytest.fixture
def client(agent: Agent) -> Client:
    return Client(create_app(agent))


def ok(response: TestResponse) -> Any:
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def say(client: Client, *texts: str, sender: str = "ada", **options: Any) -> list[str]:
    said: list[str] = []
    for text in texts:
        body = {"sender": sender, "message": text}
        said = [one["text"] for one in ok(client.post("/webhooks/rest/webhook", json=body, **options))]
    return said


def types(client: Client, **query: str) -> list[str]:
    events = ok(client.get("/conversations/ada/tracker", query_string=query))["events"]
    return [event["event"] for event in events or ()]


def test_a_state_tells_of_the_loop(client: Client) -> None:
    say(client, "/book")
    state = ok(client.get("/conversations/ada/tracker"))
    loop = state["active_loop"]
    assert (loop["name"], loop["is_interrupted"], loop["rejected"]) == ("hotel_form", False, False)
    assert loop["trigger_message"]["text"] == "/book"
    assert loop["trigger_message"]["intent"]["name"] == "book"
    say(client, "/inform")
    assert ok(client.get("/conversations/ada/tracker"))["active_loop"]["trigger_message"] == loop["trigger_message"]
    assert (state["latest_action_name"], state["latest_input_channel"]) == ("action_listen", "rest")
    assert state["followup_action"] is None


@pytest.mark.parametrize("text", ["/restart", "gibberish", "/back"])
def test_where_a_user_writes_is_known_also_after_the_message_was_taken_back(client: Client, text: str) -> None:
    say(client, "/chat", text)
    state = ok(client.get("/conversations/ada/tracker"))
    assert (state["latest_message"]["text"], state["latest_input_channel"]) != (text, None)
    assert state["latest_input_channel"] == "rest"
    triggered = ok(client.post("/conversations/ada/trigger_intent", json={"name": "chat"}))["tracker"]
    assert triggered["latest_input_channel"] == "rest"


def test_a_channel_without_a_name_is_that_of_the_request(client: Client) -> None:
    ok(client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": "/chat", "input_channel": ""}))
    assert ok(client.get("/conversations/ada/tracker"))["latest_input_channel"] == "rest"


def test_a_head_of_before_tells_the_channel_of_its_message(client: Client, agent: Agent) -> None:
    say(client, "/chat")
    tracker = agent.read_tracker("ada")
    snapshot = tracker.snapshot()
    del snapshot["channel"]
    again = type(tracker).from_snapshot(
        "ada",
        agent.domain,
        snapshot,
        version=tracker.version,
        origin=0,
        window=tracker.history.window,
        read_events=tracker.events_between,
    )
    assert again.latest_input_channel == "rest"


def test_the_events_of_a_state_are_chosen_as_in_rasa(client: Client) -> None:
    say(client, "/chat", "/restart", "/book", "/inform")
    everything = types(client, include_events="ALL")
    assert "restart" in everything
    assert everything.count("user") == 4
    after = types(client, include_events="AFTER_RESTART")
    assert ("restart" in after, "rewind" in after, after[:2]) == (False, True, ["action", "session_started"])
    applied = types(client, include_events="APPLIED")
    assert ("rewind" in applied, applied.count("user")) == (False, 1)
    assert ok(client.get("/conversations/ada/tracker?include_events=NONE"))["events"] is None
    wrong = client.get("/conversations/ada/tracker?include_events=SOME")
    assert wrong.status_code == 400
    assert "AFTER_RESTART" in wrong.get_json()["error"]
    added = client.post("/conversations/ada/tracker/events?include_events=ALL", json={"event": "pause"})
    assert ok(added)["events"][-1]["event"] == "pause"


def test_a_parameter_without_a_value_is_one_that_is_not_sent(client: Client) -> None:
    say(client, "/book")
    whole = ok(client.get("/conversations/ada/tracker"))

    assert ok(client.get("/conversations/ada/tracker?include_events=&until=")) == whole
    for path, body in ("messages", {"text": "/book", "sender": "user"}), ("execute", {"name": "utter_chat"}):
        ok(client.post(f"/conversations/ada/{path}?include_events=&output_channel=", json=body))


def test_a_conversation_in_which_nothing_was_done_begins_with_listening(client: Client) -> None:
    slots = [{"event": "slot", "name": "room", "value": "red"}]
    assert ok(client.put("/conversations/ada/tracker/events", json=slots))["followup_action"] == "action_listen"

    said = [*slots, {"event": "action", "name": "action_listen"}]
    assert ok(client.put("/conversations/ada/tracker/events", json=said))["followup_action"] is None


def test_a_prediction_for_events_has_those_that_are_asked_for(client: Client) -> None:
    events = [{"event": "action", "name": "action_listen"}, {"event": "restart"}]
    told = {
        wanted: ok(client.post(f"/model/predict?include_events={wanted}", json=events))["tracker"].get("events")
        for wanted in ("ALL", "", "NONE")
    }
    assert [event["event"] for event in told["ALL"]] == ["action", "restart"]
    assert (told[""], told["NONE"]) == ([], None)


def test_the_status_names_the_folder_of_the_model(model: Agent, tmp_path: Path) -> None:
    version = "20261129-103508-3fa94c1e"
    for place, name in (tmp_path / "bot", "bot"), (tmp_path / version / "dialogue", version):
        place.parent.mkdir(exist_ok=True)
        model.persist(place)
        assert ok(Client(create_app(str(place))).get("/status"))["model_file"] == name


def test_a_log_may_name_what_the_domain_does_not_have(client: Client) -> None:
    sent = [{"event": "slot", "name": "nowhere", "value": 1}, {"event": "action", "name": "action_of_old"}]
    state = ok(client.post("/conversations/ada/tracker/events?include_events=ALL", json=sent))
    assert [event["name"] for event in state["events"][-2:]] == ["nowhere", "action_of_old"]
    assert "nowhere" not in state["slots"]
    assert ok(client.put("/conversations/ada/tracker/events", json=sent))["latest_action_name"] == "action_of_old"
    refused = client.post("/conversations/ada/continue", json={"events": sent})
    assert refused.status_code == 400


def test_a_state_can_be_asked_for_as_it_was(client: Client) -> None:
    say(client, "/chat")
    until = ok(client.get("/conversations/ada/tracker"))["latest_event_time"]
    say(client, "/book")
    state = ok(client.get(f"/conversations/ada/tracker?include_events=ALL&until={until!r}"))
    assert state["active_loop"] == {}
    assert [event["event"] for event in state["events"]].count("user") == 1


def test_a_conversation_is_told_as_a_test_story(client: Client, agent: Agent) -> None:
    parsed = {
        "text": "the blue room", "intent": {"name": "inform", "confidence": 1.0},
        "entities": [{"entity": "room", "value": "blue", "start": 4, "end": 8}],
    }  # fmt: skip
    assert client.get("/conversations/ada/story").status_code == 404
    say(client, "/chat", "/restart", "/book")
    body = {"text": "the blue room", "sender": "user", "parse_data": parsed}
    ok(client.post("/conversations/ada/messages", json=body))

    told = client.get("/conversations/ada/story")
    assert told.mimetype == "text/plain"
    assert yaml.safe_load(told.get_data(as_text=True)) == {
        "version": "3.1",
        "stories": [{"story": "ada", "steps": [
            {"user": "/book", "intent": "book"},
            {"action": "hotel_form"},
            {"active_loop": "hotel_form"},
            {"slot_was_set": [{"requested_slot": "room"}]},
            {"user": "the [blue](room) room", "intent": "inform"},
            {"slot_was_set": [{"room": "blue"}]},
        ]}],
    }  # fmt: skip
    every = yaml.safe_load(client.get("/conversations/ada/story?all_sessions=true").get_data(as_text=True))
    assert [story["story"] for story in every["stories"]] == ["ada, story 1", "ada, story 2"]
    assert every["stories"][0]["steps"][1] == {"action": "utter_chat"}


def test_the_page_of_the_inspector_changes_no_answer(agent: Agent, client: Client) -> None:
    say(client, "/chat", "/restart", "/chat")
    with_page = Client(create_app(agent, inspect=""))
    for path in ("/conversations/ada/story?all_sessions=true", "/conversations/ada/tracker", "/domain"):
        assert with_page.get(path).data == client.get(path).data


def test_a_message_begins_a_session_and_fills_slots(client: Client) -> None:
    parsed = {"intent": {"name": "inform"}, "entities": [{"entity": "room", "value": "red"}], "text": "red"}
    body = {"text": "red", "sender": "user", "parse_data": parsed}
    state = ok(client.post("/conversations/ada/messages?include_events=ALL", json=body))
    assert state["slots"]["room"] == "red"
    assert [event["event"] for event in state["events"]] == ["action", "session_started", "action", "user", "slot"]


@pytest.mark.parametrize("depth", range(92, 101))
def test_what_a_log_has_can_be_put_back_however_deep_it_is(client: Client, depth: int) -> None:
    text = '/inform{"room": ' + "[" * depth + "]" * depth + "}"
    said = client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": text})
    assert said.status_code in (200, 400)
    state = ok(client.get("/conversations/ada/tracker?include_events=ALL"))
    again = client.put("/conversations/ada/tracker/events", data=json.dumps(state["events"]))
    assert ok(again)["events"] == state["events"]


def test_an_intent_is_triggered_once_for_a_key(client: Client) -> None:
    sent = {"json": {"name": "book"}, "headers": {"Idempotency-Key": "k"}}
    first = client.post("/conversations/ada/trigger_intent", **sent)
    assert ok(first)["messages"] == [{"recipient_id": "ada", "text": "Which room?"}]
    assert first.get_json()["tracker"]["active_loop"]["name"] == "hotel_form"
    again = client.post("/conversations/ada/trigger_intent", **sent)
    assert again.get_data() == first.get_data()
    assert types(client).count("user") == 1


def test_changes_are_answered_with_the_events_that_are_asked_for(client: Client) -> None:
    say(client, "/book")
    slot = {"event": "slot", "name": "room", "value": "red"}
    since_restart = types(client, include_events="AFTER_RESTART")
    for path, body in (
        ("tracker/events", slot),
        ("messages", {"text": "/chat", "sender": "user"}),
        ("execute", {"name": "utter_chat"}),
        ("trigger_intent", {"name": "chat"}),
    ):
        answers = [
            ok(client.post(f"/conversations/ada/{path}", json=body, query_string=query))
            for query in ({}, {"include_events": "NONE"})
        ]
        plain, without = (answer.get("tracker", answer)["events"] for answer in answers)
        assert [event["event"] for event in plain][: len(since_restart)] == since_restart
        assert without is None
    assert client.post("/model/parse?emulation_mode=LUIS", json={"text": "a"}).status_code == 400


def test_what_a_message_tells_of_its_user_reaches_actions(client: Client, agent: Agent) -> None:
    ok(client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": "/chat", "metadata": {"user": 7}}))
    told = tracker_body(agent.read_tracker("ada"), None)
    assert told["latest_message"]["metadata"] == {"user": 7}
    said = next(event for event in told["events"] if event["event"] == "user")
    assert (said["metadata"], said["parse_data"]["metadata"]) == ({"user": 7}, {"user": 7})
    say(client, "/chat")
    assert tracker_body(agent.read_tracker("ada"), None)["latest_message"]["metadata"] == {}


def test_actions_are_worded_for_a_channel(client: Client) -> None:
    say(client, "/chat")
    body = {"name": "utter_chat", "policy": "mine", "confidence": 0.5}
    assert ok(client.post("/conversations/ada/execute", json=body))["messages"][0]["text"] == "Yes indeed."
    done = ok(client.post("/conversations/ada/execute?output_channel=sms", json=body))
    assert done["messages"][0]["text"] == "Yes."
    action = [event for event in done["tracker"]["events"] if event["event"] == "action"][-1]
    assert (action["policy"], action["confidence"]) == ("mine", 0.5)


@pytest.mark.parametrize("required", ["required_slots: ", ""], ids=["with its key", "right under the form"])
def test_an_action_server_is_told_a_form_of_rasa_2_with_its_mappings(required: str, tmp_path: Path) -> None:
    mappings = {
        "tea": [{"type": "from_entity", "entity": "tea", "not_intent": "bye"}, {"type": "from_text"}],
        "hot": [{"type": "from_intent", "intent": "yes", "value": True}],
    }
    written = json.dumps(mappings)
    form = f"{{required_slots: {written}, ignored_intents: bye}}" if required else written
    domain = f"""
        version: "2.0"
        intents: [order, "yes", bye]
        entities: [tea]
        slots: {{tea: {{type: text}}, hot: {{type: bool}}}}
        forms: {{tea_form: {form}}}
        """
    files = write(
        tmp_path, domain=domain, data__rules="rules: [{rule: r, steps: [{intent: order}, {action: tea_form}]}]"
    )
    trained(files).persist(tmp_path / "model")
    told = domain_body(Agent.load(tmp_path / "model").domain)["forms"]["tea_form"]
    assert told == {"required_slots": mappings, **({"ignored_intents": "bye"} if required else {})}


def test_an_action_server_is_told_a_domain_of_rasa_2_as_there(tmp_path: Path) -> None:
    """Actions look for values of slots and names of intents in it."""
    domain = """
        version: "2.0"
        intents: [order, {bye: {use_entities: false}}]
        slots:
          size: {type: categorical, values: [small, large]}
          cups: {type: float, auto_fill: false, influence_conversation: false}
          note: {type: any, initial_value: none}
        """
    agent = trained(
        write(tmp_path, domain=domain, data__rules="rules: [{rule: r, steps: [{intent: bye}, {action: action_back}]}]")
    )
    told = domain_body(agent.domain)
    assert told["intents"] == [{"bye": {"use_entities": []}}, {"order": {"use_entities": True}}]
    assert (told["forms"], told["entities"]) == ({}, [])
    known = "rasa.shared.core.slots."
    common = {"initial_value": None, "auto_fill": True, "influence_conversation": True}
    quiet = {**common, "influence_conversation": False}
    assert told["slots"] == {
        "size": {**common, "type": f"{known}CategoricalSlot", "values": ["small", "large"]},
        "cups": {**quiet, "type": f"{known}FloatSlot", "auto_fill": False, "max_value": 1.0, "min_value": 0.0},
        "note": {**quiet, "type": f"{known}AnySlot", "initial_value": "none"},
    }


def test_action_servers_are_told_slots_in_the_order_of_the_domain(agent: Agent) -> None:
    told = list(tracker_body(agent.read_tracker("ada"), None)["slots"])
    assert told == ["room", "nights", "requested_slot", "session_started_metadata"]


def test_action_servers_are_told_all_keys_of_events(client: Client, agent: Agent) -> None:
    say(client, "/chat", '/book{"room": "red"}')
    told = {event["event"]: event for event in tracker_body(agent.read_tracker("ada"), None)["events"]}
    assert all(event["metadata"] == {} for kind, event in told.items() if kind != "bot")
    assert told["bot"]["metadata"]["utter_action"] == "utter_ask_nights"
    assert {"policy", "confidence", "action_text", "hide_rule_turn"} <= told["action"].keys()
    assert {"input_channel", "message_id", "parse_data", "text"} <= told["user"].keys()
    assert told["slot"].keys() == {"event", "timestamp", "name", "value", "metadata"}


def test_an_empty_text_is_a_message_that_is_not_understood(client: Client) -> None:
    assert say(client, "") == []
    assert types(client, include_events="ALL")[-4:] == ["user_featurization", "action", "rewind", "action"]


def test_a_domain_is_told_as_rasa_tells_it(tmp_path: Path) -> None:
    domain = """
        version: "3.1"
        intents: [order, {bye: {use_entities: false}}, {again: {use_entities: [tea]}}]
        entities: [tea]
        responses:
          utter_bye: [{text: Bye.}]
        """
    agent = trained(
        write(tmp_path, domain=domain, data__rules="rules: [{rule: r, steps: [{intent: bye}, {action: utter_bye}]}]")
    )
    told = ok(Client(create_app(agent)).get("/domain"))
    assert told["intents"] == [{"again": {"use_entities": ["tea"]}}, {"bye": {"use_entities": []}}, "order"]
    assert told.keys() == {"version", "intents", "entities", "responses", "session_config"}
    assert domain_body(agent.domain) == told


def test_errors_have_the_shape_of_rasa_too(client: Client) -> None:
    found = client.post("/conversations/nobody/predict").get_json()
    assert (found["status"], found["code"], found["reason"]) == ("failure", 404, "Not found")
    assert found["message"] == found["error"]


def signed(username: str, role: str, secret: str = SECRET, **claims: Any) -> dict[str, str]:
    token = jwt.encode({"user": {"username": username, "role": role}, **claims}, secret, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


def test_a_json_web_token_opens_the_conversation_of_its_user(agent: Agent) -> None:
    client = Client(create_app(agent, jwt_secret=SECRET))
    tracker = "/conversations/ada/tracker"
    assert client.get(tracker).status_code == 401
    assert client.get(tracker, headers=signed("ada", "user")).status_code == 200
    assert client.get(tracker, headers=signed("eve", "user")).status_code == 403
    assert client.get("/conversations", headers=signed("ada", "user")).status_code == 403
    assert client.get("/conversations", headers=signed("eve", "admin")).status_code == 200
    assert (
        client.get(tracker, headers=signed("ada", "user", "another secret that is long enough, too")).status_code == 401
    )
    assert client.get(tracker, headers=signed("ada", "user", exp=1)).status_code == 401
    unsigned = jwt.encode({"user": {"username": "ada", "role": "admin"}}, "", algorithm="none")
    assert client.get(tracker, headers={"Authorization": f"Bearer {unsigned}"}).status_code == 401


def test_a_public_key_opens_what_its_private_key_has_signed(agent: Agent) -> None:
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
    public = (
        keys[0].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    client = Client(create_app(agent, jwt_secret=public.decode(), jwt_method="RS256"))
    claims = {"user": {"username": "ada", "role": "user"}}
    sent = [jwt.encode(claims, key, algorithm="RS256") for key in keys]
    sent.append(signed("ada", "user", "a" * 32)["Authorization"].removeprefix("Bearer "))
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256"}, claims)]
    digest = hmac.digest(public, b".".join(parts), "sha256")  # Whoever knows the public key, can do this.
    sent.append(b".".join([*parts, base64.urlsafe_b64encode(digest).rstrip(b"=")]).decode())

    statuses = [
        client.get("/conversations/ada/tracker", headers={"Authorization": f"Bearer {token}"}).status_code
        for token in sent
    ]

    assert statuses == [200, 401, 401, 401]
    with pytest.raises(ValueError, match="is no key for RS256"):
        jwt_reader(SECRET, "RS256")


def test_a_user_speaks_on_the_rest_channel_as_nobody_else(agent: Agent) -> None:
    client = Client(create_app(agent, jwt_secret=SECRET, auth_token="token"))
    assert say(client, "/chat", headers=signed("ada", "user")) == ["Yes indeed."]
    assert say(client, "/chat", query_string={"token": "token"}) == ["Yes indeed."]
    other = client.post(
        "/webhooks/rest/webhook", json={"sender": "eve", "message": "/chat"}, headers=signed("ada", "user")
    )
    assert other.status_code == 403


def test_the_rest_channel_is_open_where_credentials_list_it(agent: Agent, tmp_path: Path) -> None:
    write(tmp_path, **HOTEL)
    assert not Project(tmp_path).has_open_rest_channel
    write(tmp_path, credentials="rest:\n")
    assert Project(tmp_path).has_open_rest_channel
    client = Client(create_app(agent, auth_token="token", open_rest_channel=True))
    assert say(client, "/chat") == ["Yes indeed."]
    assert client.get("/conversations/ada/tracker").status_code == 401


def test_settings_that_protect_nothing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no method 'none'"):
        jwt_reader(SECRET, "none")
    with pytest.raises(ValueError, match="is empty"):
        jwt_reader(" ", "HS256")
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ModelError, match="pip install PyJWT"):
        jwt_reader(SECRET, "HS256")
