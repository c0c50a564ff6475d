"""A client on a failing network or server: each request is carried out once."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIServer

import pytest
from at_once import at_once
from cutting_proxy import CARRIED_OUT, LOST, CuttingProxy
from programs import free_port
from remote_bot import DOMAIN, ActionSearch, QuietHandler, make_agent, served
from thread_servers import running, silent

from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import Event, SlotSet, UserUttered
from rasa_core.interpreter import NaturalLanguageInterpreter, Parse, RasaNLUHttpInterpreter
from rasa_core.remote import RasaCoreClient, RemoteAgent, RequestError, ServerAnswerError
from rasa_core.server import create_app
from rasa_core.trackers import DialogueStateTracker

TOKEN = "s3cret&"
App = Callable[[dict[str, Any], Any], Any]


def impatient(address: str, token: str | None = TOKEN, **options: Any) -> RasaCoreClient:
    """Return a client that makes hardly any pauses."""
    return RasaCoreClient(address, token, **{"first_delay": 0.001, "longest_delay": 0.001, **options})


@pytest.fixture
def agent() -> Agent:
    return make_agent()


@pytest.fixture
def proxy(agent: Agent) -> Iterator[CuttingProxy]:
    """A proxy before a server, which passes everything on until it is given faults."""
    with served(create_app(agent, auth_token=TOKEN)) as address, CuttingProxy(address) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: CuttingProxy) -> RasaCoreClient:
    """A client that has seen an answer of the server already."""
    client = impatient(proxy.address)
    client.tracker_json("somebody")
    proxy.arrived.clear()
    return client


class Scripted:
    """An application with a list of statuses; it then answers 200, like a server that keeps keys if `tag` is one."""

    def __init__(self, *statuses: int, tag: str | None = '"7"', headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.statuses = list(statuses)
        self.headers = headers
        self.tag = tag
        self.seen: list[tuple[str, str, str | None]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_IDEMPOTENCY_KEY")))
        status = self.statuses.pop(0) if self.statuses else 200
        body = b'{"next_action": null}' if status == 200 else b'{"error": "not now"}'
        headers = [("Content-Length", str(len(body))), *self.headers]
        if status == 200 and self.tag is not None:
            headers.append(("ETag", self.tag))
        start_response(f"{status} Scripted", headers)
        return [body]

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.seen]


@pytest.fixture
def serve() -> Iterator[Callable[[App], str]]:
    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(served(app))


Serve = Callable[[App], str]


class KeepingHandler(BaseHTTPRequestHandler):
    log_message = silent
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    app: App

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        length = self.headers.get("Content-Length") or "0"
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        environ |= {"REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query}
        body = io.BytesIO(self.rfile.read(int(length)))
        for part in type(self).app({**environ, "CONTENT_LENGTH": length, "wsgi.input": body}, self.start):
            self.wfile.write(part)

    do_POST = do_GET  # noqa: N815

    def start(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.send_response(int(status[:3]))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()


def keeping(app: App) -> AbstractContextManager[str]:
    """Serve an application over connections that are kept."""
    handler = type("Handler", (KeepingHandler,), {"app": staticmethod(app)})
    return running(ThreadingHTTPServer(("127.0.0.1", 0), handler))


def messages(agent: Agent, sender_id: str) -> list[str | None]:
    return [event.text for event in agent.read_tracker(sender_id).events if isinstance(event, UserUttered)]


# -- connections that break


@pytest.mark.parametrize("fault", [*LOST, *CARRIED_OUT])
def test_a_turn_is_taken_once_though_the_connection_breaks(
    client: RasaCoreClient, proxy: CuttingProxy, agent: Agent, fault: str
) -> None:
    proxy.faults.extend([fault, None, fault])
    parsed = client.parse("/search", "anna")
    continued = client.continue_core("action_search", [SlotSet("venue", "Arena")], "anna")
    client.append_events_to_tracker("anna", [SlotSet("venue", "Hall")])

    assert (parsed["next_action"], continued["next_action"]) == ("action_search", "utter_found")
    assert messages(agent, "anna") == ["/search"]
    slots = [event for event in agent.read_tracker("anna").events if isinstance(event, SlotSet)]
    assert slots == [SlotSet("venue", "Arena"), SlotSet("venue", "Hall")]
    assert len(proxy.arrived) == 5


@pytest.mark.parametrize("fault", [*LOST, *CARRIED_OUT])
def test_a_request_that_only_reads_is_repeated_without_a_key(
    client: RasaCoreClient, proxy: CuttingProxy, fault: str
) -> None:
    proxy.faults.append(fault)

    assert client.clients() == []
    assert [request.key for request in proxy.arrived] == [None, None]


def test_the_key_and_the_body_stay_the_same_over_all_attempts_and_differ_between_requests(
    client: RasaCoreClient, proxy: CuttingProxy
) -> None:
    proxy.faults.extend(["before", "after", "middle", None, "after"])
    client.parse("/search", "anna")
    client.parse("/search", "anna")

    keys = [request.key for request in proxy.arrived]
    assert len(keys) == 6
    assert len(set(keys[:4])) == len(set(keys[4:])) == 1
    assert len(set(keys)) == 2
    assert all(str(uuid.UUID(key)) == key for key in keys if key)
    assert len({request.body for request in proxy.arrived}) == 1


def test_a_repeated_request_waits_for_the_first_one(proxy: CuttingProxy, agent: Agent) -> None:
    repeated = threading.Event()

    class Slow(NaturalLanguageInterpreter):
        def parse(self, text: str) -> Parse:
            assert repeated.wait(10)
            return {"text": text, "intent": {"name": "search", "confidence": 1.0}, "entities": []}

    agent.interpreter = Slow()
    proxy.on_arrival = lambda request: repeated.set() if len(proxy.changing()) == 2 else None
    client = impatient(proxy.address, timeout=0.3)
    client.tracker_json("anna")
    answer = client.parse("find", "anna")

    assert answer["next_action"] == "action_search"
    assert messages(agent, "anna") == ["find"]
    assert len(proxy.changing()) >= 2


def test_threads_that_share_a_client_get_each_turn_once(proxy: CuttingProxy, agent: Agent) -> None:
    client = impatient(proxy.address, retries=100)  # All faults may hit one request.
    proxy.faults.extend(["after", None, "before", None, "middle", None, None] * 12)

    def talk(sender_id: str) -> None:
        for number in range(5):
            client.parse(f"/search{{{number}}}", sender_id)

    names = [f"guest {number}" for number in range(8)]
    at_once(talk, names)

    for name in names:
        assert messages(agent, name) == [f"/search{{{number}}}" for number in range(5)]
    assert len({request.key for request in proxy.changing()}) == 40


def test_a_server_that_starts_in_the_meantime_is_reached_whether_it_knows_keys_or_not() -> None:
    app = Scripted(tag=None)
    server = WSGIServer(("127.0.0.1", 0), QuietHandler, bind_and_activate=False)
    server.server_bind()
    server.set_app(app)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))

    class StartsTheServer(random.Random):
        def uniform(self, a: float, b: float) -> float:
            server.server_activate()
            thread.start()
            return 0.0

    impatient(f"http://127.0.0.1:{server.server_port}", rng=StartsTheServer()).parse("hi", "anna")
    server.shutdown()
    thread.join()
    server.server_close()

    assert app.methods() == ["POST"]


def test_a_connection_is_kept_for_requests_that_may_be_repeated(agent: Agent) -> None:
    with keeping(create_app(agent)) as address, CuttingProxy(address) as proxy:
        client = impatient(proxy.address, None)
        for _ in range(3):
            client.parse("/search", "anna")

        assert [request.connection for request in proxy.arrived] == [1, 2, 2]


def test_a_kept_connection_that_the_server_has_closed_costs_no_attempt(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    with keeping(create_app(agent)) as address:
        with CuttingProxy(address) as proxy:
            client = impatient(proxy.address, None, retries=1)
            client.parse("/search", "anna")
            client.parse("/search", "anna")
        with CuttingProxy(address, port=proxy.port) as successor:
            client.parse("/search", "anna")

    assert [request.connection for request in proxy.arrived] == [1, 2]
    assert len(successor.arrived) == 1
    assert "sent again" not in caplog.text


@pytest.mark.parametrize("options", [{"retries": 0}, {}], ids=["without retries", "without keys"])
def test_a_request_that_must_not_be_repeated_has_a_connection_of_its_own(options: dict[str, int]) -> None:
    with keeping(Scripted(tag=None)) as address, CuttingProxy(address) as proxy:
        client = impatient(proxy.address, None, **options)
        for _ in range(3):
            client.parse("/search", "anna")

        assert [request.connection for request in proxy.arrived] == [1, 2, 3]


# -- servers that do not keep keys


def test_a_server_without_keys_gets_a_turn_once_and_the_error_says_so() -> None:
    app = Scripted(tag=None)
    with served(app) as address, CuttingProxy(address, ["after"]) as proxy:
        with pytest.raises(
            RequestError, match="may or may not have been carried out; this server keeps no keys"
        ) as caught:
            impatient(proxy.address).parse("hi", "anna")

        assert app.seen[1:] == [("GET", "/conversations/anna/tracker", None)]
        assert app.methods() == ["POST", "GET"]
        assert caught.value.attempts == 1


def test_a_server_without_keys_is_remembered(serve: Serve) -> None:
    app = Scripted(200, 500, tag=None)
    client = impatient(serve(app))
    client.parse("hi", "anna")

    with pytest.raises(ServerAnswerError, match="answered 500: not now"):
        client.parse("hi", "anna")

    assert app.methods() == ["POST", "POST"]


@pytest.mark.parametrize("tag", ['"abc"', "7", '"5f3-1a"'])
def test_tags_that_are_no_versions_promise_nothing(serve: Serve, tag: str) -> None:
    app = Scripted(500, tag=tag)

    with pytest.raises(ServerAnswerError, match="this server keeps no keys"):
        impatient(serve(app)).parse("hi", "anna")

    assert app.methods() == ["POST", "GET"]


@pytest.mark.parametrize("tag", ['"7"', 'W/"7"'])
def test_the_first_request_of_a_client_is_repeated_once_the_server_has_shown_that_it_keeps_keys(
    serve: Serve, tag: str
) -> None:
    app = Scripted(500, 503, tag=tag)
    impatient(serve(app)).parse("hi", "anna")

    assert app.methods() == ["POST", "GET", "GET", "POST"]


# -- servers that fail


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_request_is_repeated_while_the_server_fails(serve: Serve, status: int) -> None:
    app = Scripted(200, status, status)
    client = impatient(serve(app))
    client.parse("hi", "anna")
    client.parse("hi", "anna")

    assert app.methods() == ["POST"] * 4
    assert len({key for _, _, key in app.seen[1:]}) == 1


def test_the_client_waits_as_long_as_the_server_says(serve: Serve) -> None:
    app = Scripted(200, 503, headers=(("Retry-After", "1"),))
    client = impatient(serve(app), first_delay=0.0, longest_delay=0.1)
    client.parse("hi", "anna")
    begun = time.monotonic()
    client.parse("hi", "anna")

    assert 0.1 <= time.monotonic() - begun < 1.0
    assert app.methods() == ["POST"] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 412, 413, 422, 429, 501])
def test_what_is_refused_is_not_repeated(serve: Serve, status: int) -> None:
    app = Scripted(200, status, headers=(("WWW-Authenticate", "Bearer"),))
    client = impatient(serve(app))
    client.parse("hi", "anna")

    with pytest.raises(ServerAnswerError, match=f"parse answered {status}: not now$") as caught:
        client.parse("hi", "anna")

    assert len(app.seen) == 2
    assert (caught.value.status, caught.value.attempts) == (status, 1)


def test_after_all_attempts_the_error_tells_what_to_do(serve: Serve) -> None:
    app = Scripted(200, *[503] * 10)
    client = impatient(serve(app), retries=3)
    client.parse("hi", "anna")

    with pytest.raises(ServerAnswerError, match="answered 503: not now") as caught:
        client.parse("hi", "anna")

    error = caught.value
    assert str(error).endswith(
        "not now. That was the last of 4 attempts. The request may or may not have been carried out; "
        f"to repeat it with idempotency_key={error.idempotency_key!r} is safe."
    )
    assert (error.status, error.attempts) == (503, 4)
    assert [key for _, _, key in app.seen[1:]] == [error.idempotency_key] * 4


def test_a_server_that_was_never_reached_has_carried_out_nothing() -> None:
    problem = (
        r"refused\. That was the last of 3 attempts\. Check that the server runs, and that its address is right\.$"
    )
    with pytest.raises(RequestError, match=problem) as caught:
        impatient(f"http://127.0.0.1:{free_port()}", retries=2).parse("hi", "anna")

    assert (caught.value.status, caught.value.attempts) == (None, 3)
    assert str(uuid.UUID(caught.value.idempotency_key)) == caught.value.idempotency_key


def test_no_attempt_begins_after_the_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = impatient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.1, retry_time=0.25, retries=1000)
        begun = time.monotonic()
        with pytest.raises(RequestError, match="timed out") as caught:
            client.status()

    assert time.monotonic() - begun < 2.0
    assert 2 <= caught.value.attempts <= 5


@pytest.mark.parametrize("fault", [*LOST, *CARRIED_OUT])
def test_without_retries_a_request_is_sent_once(proxy: CuttingProxy, fault: str) -> None:
    proxy.faults.append(fault)
    client = impatient(proxy.address, retries=0)

    with pytest.raises(RequestError, match="is safe if the server keeps keys") as caught:
        client.parse("/search", "anna")

    assert [request.key for request in proxy.arrived] == [caught.value.idempotency_key]


@pytest.mark.parametrize("name", ["retries", "retry_time", "first_delay", "longest_delay"])
def test_a_setting_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is a number from 0 on, not -1"):
        RasaCoreClient("http://localhost:5005", **{name: -1})


# -- keys and versions of the caller


def test_a_process_that_starts_again_repeats_its_request(proxy: CuttingProxy, agent: Agent) -> None:
    events = [SlotSet("venue", "Arena", timestamp=1000.0)]
    for _ in range(2):
        client = impatient(proxy.address)
        parsed = client.parse("/search", "anna", idempotency_key="turn 1")
        continued = client.continue_core("action_search", events, "anna", idempotency_key="turn 1, action 1")
        client.append_events_to_tracker("anna", events, idempotency_key="turn 1, done")
        answers = [parsed, continued]

    assert [answer["next_action"] for answer in answers] == ["action_search", "utter_found"]
    assert messages(agent, "anna") == ["/search"]
    assert [event for event in agent.read_tracker("anna").events if isinstance(event, SlotSet)] == events * 2


def test_a_key_of_another_request_is_refused(client: RasaCoreClient) -> None:
    client.parse("/search", "anna", idempotency_key="turn 1")

    with pytest.raises(ServerAnswerError, match="answered 422") as caught:
        client.parse("/endless", "anna", idempotency_key="turn 1")

    assert (caught.value.status, caught.value.idempotency_key) == (422, "turn 1")


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "a\r\nX-Other: b", "a\n"])
def test_a_key_that_no_server_could_keep_is_not_sent(client: RasaCoreClient, proxy: CuttingProxy, key: str) -> None:
    with pytest.raises(ValueError, match="an idempotency_key is 1 to 255 printable ASCII characters"):
        client.parse("/search", "anna", idempotency_key=key)

    assert proxy.arrived == []


@pytest.mark.parametrize("fault", [None, *LOST, *CARRIED_OUT])
def test_a_request_for_one_version_is_carried_out_on_that_alone(
    client: RasaCoreClient, proxy: CuttingProxy, agent: Agent, fault: str | None
) -> None:
    version = client.parse("/search", "anna")["version"]
    proxy.faults.append(fault)
    client.continue_core("action_search", [], "anna", expected_version=version)

    with pytest.raises(ServerAnswerError, match="answered 412") as caught:
        client.parse("/search", "anna", expected_version=version)
    with pytest.raises(ServerAnswerError, match="answered 412"):
        client.append_events_to_tracker("anna", [SlotSet("venue", "Arena")], expected_version=version)

    assert caught.value.status == 412
    assert agent.read_tracker("anna").version == version + 1


@pytest.mark.parametrize("asked", ["-1", "soon", "", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_wish_of_the_server_that_is_no_number_of_seconds_is_passed_over(serve: Serve, asked: str) -> None:
    app = Scripted(200, 503, headers=(("Retry-After", asked),))
    client = impatient(serve(app), first_delay=0.0, longest_delay=1000.0)
    client.parse("hi", "anna")
    client.parse("hi", "anna")

    assert app.methods() == ["POST"] * 3


# -- the token


def of_old(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer as a server of Rasa Core 0.9, which knows a token in the URL only."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    known = parse_qs(environ["QUERY_STRING"]).get("token") == [TOKEN]
    body = b'{"next_action": null}' if known else b"<title>401 Unauthorized</title>"
    start_response("200 OK" if known else "401 UNAUTHORIZED", [("Content-Length", str(len(body)))])
    return [body]


def test_the_token_is_sent_in_a_header(client: RasaCoreClient, proxy: CuttingProxy) -> None:
    client.parse("/search", "anna")
    client.clients()

    assert [request.header("Authorization") for request in proxy.arrived] == [f"Bearer {TOKEN}"] * 2
    assert [request.target for request in proxy.arrived] == ["/conversations/anna/parse", "/conversations"]


def test_a_server_of_old_gets_the_token_in_the_url_from_the_second_try_on() -> None:
    with served(of_old) as address, CuttingProxy(address) as proxy:
        client = impatient(proxy.address)
        for _ in range(3):
            assert client.parse("/search", "anna") == {"next_action": None}

    assert [request.target.partition("?")[2] for request in proxy.arrived] == ["", *["token=s3cret%26"] * 3]
    assert [request.header("Authorization") for request in proxy.arrived] == [f"Bearer {TOKEN}", None, None, None]
    assert len({request.key for request in proxy.arrived[:2]}) == 1


def test_a_wrong_token_is_tried_both_ways_and_then_refused() -> None:
    with (
        served(of_old) as address,
        CuttingProxy(address) as proxy,
        pytest.raises(ServerAnswerError, match="answered 401") as caught,
    ):
        impatient(proxy.address, "s3crit").parse("/search", "anna")

    assert len(proxy.arrived) == 2
    assert "s3crit" not in str(caught.value)


def test_a_server_that_says_how_to_send_a_token_is_not_sent_it_in_the_url(agent: Agent) -> None:
    with (
        served(create_app(agent, auth_token=TOKEN)) as address,
        CuttingProxy(address) as proxy,
        pytest.raises(ServerAnswerError, match="answered 401"),
    ):
        impatient(proxy.address, "s3crit").parse("/search", "anna")

    assert [request.target for request in proxy.arrived] == ["/conversations/anna/parse"]


@pytest.mark.parametrize("token", ["tökén 🎉", " at the ends ", "line\nbreak", "tab\t"])
def test_any_token_arrives(agent: Agent, token: str) -> None:
    with served(create_app(agent, auth_token=token)) as address:
        assert RasaCoreClient(address, token).clients() == []


@pytest.mark.parametrize("token", ["s3cret&", "plain"])
@pytest.mark.parametrize("app", [None, of_old], ids=["of this version", "of old"])
def test_the_token_is_in_no_error_and_no_log(
    agent: Agent, token: str, app: App | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with served(app or create_app(agent, auth_token=token)) as address, CuttingProxy(address) as proxy:
        client = impatient(proxy.address, token, retries=3)
        with contextlib.suppress(ServerAnswerError):
            client.tracker_json("anna")
        proxy.faults.extend(["before", "headers", "first line", "middle"])
        with pytest.raises(RequestError, match=r"broke off|no answer|carried out") as caught:
            client.parse("/search", "anna")

    assert any(record.name.startswith("urllib3") for record in caplog.records)
    for text in [str(caught.value), *map(logging.LogRecord.getMessage, caplog.records)]:
        assert token.rstrip("&") not in text


# -- whole turns


@pytest.mark.parametrize("fault", [*LOST, *CARRIED_OUT])
def test_an_action_runs_once_though_its_report_is_repeated(
    client: RasaCoreClient, proxy: CuttingProxy, agent: Agent, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def run(self: Any, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        runs.append(tracker.sender_id)
        proxy.faults.append(fault)
        return [SlotSet("venue", "Big Arena")]

    monkeypatch.setattr(ActionSearch, "run", run)
    said = RemoteAgent(Domain.from_yaml(DOMAIN), client).process_message(UserMessage("/search", None, "anna"))

    assert runs == ["anna"]
    assert said == [{"recipient_id": "anna", "text": "How about Big Arena?"}]
    assert [event.type_name for event in agent.read_tracker("anna").events][1:] == [
        "user", "action", "slot", "action", "bot", "action",
    ]  # fmt: skip
    assert len(proxy.changing()) == 4
    assert len({request.key for request in proxy.changing()}) == 3


# -- the interpreter, which has the same transport


class Understanding:
    """An application that understands every message, and counts them."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.asked += 1
        body = b'{"intent": {"name": "greet", "confidence": 1.0}}'
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


@pytest.mark.parametrize("fault", [*LOST, "after", "first line", "middle"])
def test_a_message_is_read_again_if_the_connection_breaks(serve: Serve, fault: str) -> None:
    with CuttingProxy(serve(Understanding()), [fault, fault]) as proxy:
        parse = RasaNLUHttpInterpreter(server=proxy.address).parse("hi")

    assert parse["intent"]["name"] == "greet"
    assert len(proxy.arrived) == 3


def test_a_message_is_read_again_twice_at_most(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    app = Understanding()
    with CuttingProxy(serve(app), ["after"] * 4) as proxy:
        parse = RasaNLUHttpInterpreter(server=proxy.address).parse("hi")

    assert parse["intent"]["name"] == ""
    assert app.asked == 3
    assert "without response" in caplog.text
