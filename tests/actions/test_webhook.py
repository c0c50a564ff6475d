"""Actions in an action server: a real rasa-sdk, and a bare server that gives invalid answers."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from programs import free_port
from sdk_server import sdk_server
from thread_servers import running, silent

from rasa_core import Agent, Domain
from rasa_core.actions.webhook import ActionServer
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.events import ActionExecuted, FollowupAction, SlotSet
from rasa_core.exceptions import ActionRejectedError
from rasa_core.policies import MemoizationPolicy
from rasa_core.support.endpoint import LONGEST_ANSWER
from rasa_core.tracker_store.sqlite import SqliteTrackerStore
from rasa_core.trackers import DialogueStateTracker

DOMAIN = """
intents: [look, say, reject, fail, odd, hello]
slots:
  city: {type: unfeaturized}
templates:
  utter_city: ["{city} is {mood}"]
  utter_hello: ["hello"]
  utter_pick: [{text: pick, buttons: [{title: first, payload: /a}]}]
actions: [utter_city, utter_hello, utter_pick, action_look, action_say_all, action_reject, action_fail, action_odd]
action_factory: remote
"""
STORIES = """
## look
* look
    - action_look
## say
* say
    - action_say_all
    - utter_city
## reject
* reject
    - action_reject
## fail
* fail
    - action_fail
## odd
* odd
    - action_odd
## hello
* hello
    - utter_hello
"""


def bot(tmp_path: Path, url: str, **options: Any) -> Agent:
    (tmp_path / "stories.md").write_text(STORIES, encoding="utf-8")
    server = ActionServer(url, **options)
    agent = Agent(Domain.from_yaml(DOMAIN), policies=[MemoizationPolicy(max_history=1)], actions=server)
    agent.train(agent.load_data(tmp_path / "stories.md", augmentation_factor=0))
    return agent


@pytest.fixture(scope="module")
def sdk_url() -> Iterator[str]:
    with sdk_server(Path(__file__).with_name("action_server.py")) as url:
        yield url


def texts(messages: list[dict[str, Any]] | None) -> list[str]:
    return [message["text"] for message in messages or []]


def test_an_action_sees_the_conversation_and_changes_it(tmp_path: Path, sdk_url: str) -> None:
    agent = bot(tmp_path, sdk_url)
    assert texts(agent.handle_message("/look", sender_id="anna")) == [
        "/look|anna|None|look|2|action_listen",
        "None is sunny",
    ]
    assert agent.read_tracker("anna").get_slot("city") == "Oslo"
    assert texts(agent.handle_message("/look", sender_id="anna"))[1] == "Oslo is sunny"


def test_buttons_images_and_a_follow_up_action_come_back(tmp_path: Path, sdk_url: str) -> None:
    agent = bot(tmp_path, sdk_url)
    said = agent.handle_message("/say") or []
    assert said[0]["text"] == "pick"
    assert said[0]["data"] == [{"title": "yes", "payload": "/yes"}]
    assert "https://example.org/a.png" in said[1]["text"]
    assert any(isinstance(event, FollowupAction) for event in agent.read_tracker("default").events)


@pytest.mark.parametrize(("intent", "words"), [("reject", "not now"), ("fail", "500")])
def test_an_action_that_rejects_or_fails_is_logged_and_the_turn_goes_on(
    tmp_path: Path, sdk_url: str, intent: str, words: str
) -> None:
    agent = bot(tmp_path, sdk_url)
    agent.handle_message(f"/{intent}")
    failed = [e for e in agent.read_tracker("default").events if isinstance(e, ActionExecuted) and e.error]
    assert len(failed) == 1
    assert words in str(failed[0].error)
    assert texts(agent.handle_message("/hello")) == ["hello"]


# -- a server that answers what it is told, and keeps what it was asked


class _Answers(BaseHTTPRequestHandler):
    log_message = silent
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.asked.append((dict(self.headers), json.loads(body), self.client_address))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[dict[str, str], dict[str, Any], Any]] = []
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.headers: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/webhook"


@pytest.fixture
def bare() -> Iterator[_Server]:
    with running(server := _Server()):
        yield server


WRONG_ANSWERS = {
    "a status of failure": (500, b"{}", "answered 500"),
    "bad request without a reason": (400, b"{}", "answered 400"),
    "no JSON": (200, b"<html>", "no JSON object"),
    "too much": (200, b" " * (LONGEST_ANSWER + 1), f"longer than {LONGEST_ANSWER} bytes."),
    "a list": (200, b"[]", "no JSON object"),
    "not UTF-8": (200, b"\xff{}", "no JSON object"),
    "events of null": (200, b'{"events": null}', "no list of objects"),
    "responses of text": (200, b'{"responses": ["hi"]}', "no list of objects"),
    "a text that is none": (200, b'{"responses": [{"text": 5}]}', "no text"),
    "a bot event without an object": (200, b'{"events": [{"event": "bot", "data": [1]}]}', "no object"),
    "a bot event with wrong cards": (
        *(200, b'{"events": [{"event": "bot", "data": {"elements": 5}}]}'),
        "no list of objects",
    ),
    "buttons that are none": (200, b'{"responses": [{"text": "a", "buttons": 5}]}', "no list of objects"),
    "an unknown event": (200, b'{"events": [{"event": "slott"}]}', "slott"),
    "an event without a name": (200, b'{"events": [{"event": "slot", "value": 1}]}', "name"),
    "a slot without a value": (200, b'{"events": [{"event": "slot", "name": "city"}]}', 'without "value"'),
    "an event of no kind": (
        200,
        b'{"events": [{"event": "slot", "name": "city", "value": 1}, {"name": "city"}]}',
        'without "event"',
    ),
    "a number that JSON does not have": (
        200,
        b'{"events": [{"event": "slot", "name": "city", "value": NaN}]}',
        "no JSON",
    ),
}


@pytest.mark.parametrize(("status", "body", "words"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS.keys())
def test_nothing_of_a_wrong_answer_is_used(tmp_path: Path, bare: _Server, status: int, body: bytes, words: str) -> None:
    agent = bot(tmp_path, bare.url)
    bare.answer = status, body
    agent.handle_message("/odd")
    events = agent.read_tracker("default").events
    errors = [
        event.error for event in events if isinstance(event, ActionExecuted) and event.action_name == "action_odd"
    ]
    assert len(errors) == 1
    assert words in str(errors[0])
    assert not any(isinstance(event, SlotSet) for event in events)
    assert events[-1].as_dict()["name"] == "action_listen"


def test_an_answer_that_unpacks_to_very_much_fails_the_action(tmp_path: Path, bare: _Server) -> None:
    agent = bot(tmp_path, bare.url)
    packer = zlib.compressobj(1, wbits=31)
    bare.answer = 200, b"".join(packer.compress(bytes(2**20)) for _ in range(20)) + packer.flush()
    bare.headers = {"Content-Encoding": "gzip"}
    agent.handle_message("/odd")
    events = agent.read_tracker("default").events
    errors = [event.error for event in events if isinstance(event, ActionExecuted) and event.error]
    assert [f"longer than {LONGEST_ANSWER} bytes" in str(error) for error in errors] == [True]


def test_a_server_that_is_not_there_fails_the_action_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agent = bot(tmp_path, f"http://127.0.0.1:{free_port()}/webhook")
    agent.handle_message("/odd")
    failed = [
        event for event in agent.read_tracker("default").events if isinstance(event, ActionExecuted) and event.error
    ]
    assert "Is it running?" in str(failed[0].error)
    [told] = [record for record in caplog.records if "'action_odd' failed" in record.getMessage()]
    assert (told.exc_info, told.getMessage().endswith("Connection refused. Is it running?")) == (None, True)


def test_a_silent_server_is_waited_for_as_long_as_was_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        agent = bot(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/webhook", timeout=0.2)
        agent.handle_message("/odd")
    failed = [
        event for event in agent.read_tracker("default").events if isinstance(event, ActionExecuted) and event.error
    ]
    assert "gave no answer" in str(failed[0].error)


def test_calls_share_a_connection_and_each_has_a_key_of_its_own(tmp_path: Path, bare: _Server) -> None:
    agent = bot(tmp_path, bare.url)
    for sender_id in ("anna", "bert", "anna"):
        agent.handle_message("/odd", sender_id=sender_id)
    assert len({address for _, _, address in bare.asked}) == 1
    assert len({headers["Idempotency-Key"] for headers, _, _ in bare.asked}) == 3


def test_a_call_that_is_made_again_at_the_same_point_has_the_same_key(tmp_path: Path, bare: _Server) -> None:
    agent = bot(tmp_path, bare.url)
    agent.tracker_store = SqliteTrackerStore(path=tmp_path / "c.db")
    runner = agent.processor.runner
    agent.start_message_handling("/odd", "anna")
    for _ in range(2):  # As two processes would, of which the first was killed while the action ran.
        tracker = agent.read_tracker("anna")
        runner.run("action_odd", agent.processor.dispatcher_for(_message()), tracker)
    first, second = (headers["Idempotency-Key"] for headers, _, _ in bare.asked)
    assert first == second


def _message() -> Any:
    from rasa_core.channels import UserMessage

    return UserMessage("/odd", None, "anna")


def test_requests_stay_small_in_a_long_conversation(tmp_path: Path, bare: _Server) -> None:
    agent = bot(tmp_path, bare.url, most_events=20)
    agent.tracker_store = SqliteTrackerStore(path=tmp_path / "c.db")
    for _ in range(12):
        agent.handle_message("/odd", sender_id="anna")
    sent = [body["tracker"]["events"] for _, body, _ in bare.asked]
    assert [len(events) for events in sent] == [min(2 + 3 * number, 20) for number in range(12)]
    logged = [event.as_dict() for event in list(agent.read_tracker("anna").events)[:-2]][-20:]
    for told, event in zip(sent[-1], logged, strict=True):
        assert event.pop("parse_data", {}).items() <= told.get("parse_data", {}).items()
        assert event.items() <= told.items()


def test_all_events_are_sent_where_that_is_asked_for(tmp_path: Path, bare: _Server) -> None:
    agent = bot(tmp_path, bare.url, most_events=None)
    for _ in range(8):
        agent.handle_message("/odd", sender_id="anna")
    assert len(bare.asked[-1][1]["tracker"]["events"]) == 23


def test_a_request_has_the_keys_of_the_protocol(tmp_path: Path, bare: _Server) -> None:
    agent = bot(tmp_path, bare.url, compress=True, headers={"X-Mine": "1"})
    agent.append_events("anna", [SlotSet("city", "Bonn")])
    agent.handle_message("/odd", sender_id="anna")
    headers, body, _ = bare.asked[0]
    assert headers["X-Mine"] == "1"
    assert body.keys() == {"next_action", "sender_id", "tracker", "domain", "version"}
    assert (body["next_action"], body["sender_id"]) == ("action_odd", "anna")
    assert body["tracker"].keys() >= {
        "sender_id", "slots", "latest_message", "latest_event_time", "followup_action", "paused", "events",
        "latest_input_channel", "active_loop", "latest_action", "latest_action_name",
    }  # fmt: skip
    assert body["tracker"]["slots"] == {"city": "Bonn"}
    assert body["domain"].keys() >= {"intents", "entities", "slots", "responses", "actions", "forms", "session_config"}


@pytest.mark.parametrize("url", ["localhost:5055", "ftp://localhost/webhook", "http://", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a server has an address such as"):
        ActionServer(url)


def test_values_of_any_name_can_come_with_a_response(tmp_path: Path, bare: _Server) -> None:
    agent = bot(tmp_path, bare.url)
    answer = {"responses": [{"response": "utter_city", "mood": "wet", "self": 1, "filled_slots": 2, "tracker": 3}]}
    bare.answer = 200, json.dumps(answer).encode()
    assert texts(agent.handle_message("/odd")) == ["None is wet"]


def test_a_text_beside_a_response_replaces_its_text_alone(tmp_path: Path, bare: _Server) -> None:
    agent = bot(tmp_path, bare.url)
    response = {"response": "utter_pick", "text": "own", "buttons": [{"title": "second", "payload": "/b"}]}
    bare.answer = 200, json.dumps({"responses": [response]}).encode()
    (message,) = agent.handle_message("/odd") or []
    assert message["text"] == "own"
    assert [button["title"] for button in message["data"]] == ["first", "second"]


def test_a_server_may_reject_an_action_without_a_reason(tmp_path: Path, bare: _Server) -> None:
    bare.answer = 400, b'{"action_name": "action_odd"}'
    with pytest.raises(ActionRejectedError, match="'action_odd' does not run now: it says no reason"):
        ActionServer(bare.url).run(
            "action_odd",
            Dispatcher("a", RestOutputChannel(), Domain.from_yaml(DOMAIN)),
            DialogueStateTracker("a", []),
            None,
        )
