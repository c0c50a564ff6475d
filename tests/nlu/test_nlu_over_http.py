"""Typed text over HTTP: odd text, and models that a message names."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from at_once import at_once
from nlu_bot import ACTIONS, TOKEN, folder, write_renamed
from small_nlu import small_model
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.interpreter import RasaNLUInterpreter
from rasa_core.nlu.model import MAX_CHARACTERS
from rasa_core.server import ServerApp, bot_job, create_app, nlu
from rasa_core.server.nlu import NLUModels

PARSE, RESPOND = "/conversations/x/parse", "/conversations/x/respond"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

ODD = {
    "empty": "",
    "spaces": " \t\r\n\u3000",
    "only emoji": "😀👍🏽👨‍👩‍👧",
    "right to left": "أريد طاولة في لشبونة",
    "right to left with vowels": "שָׁלוֹם עוֹלָם",
    "100 kB": "book a table in Lisbon " * 4500,
    "100 kB without a space": "x" * 100_000,
    "100 kB of emoji": "😀" * 25_000,
    "control characters": "hello\x00\x01\x1b[31m there\x7f\u202e\u2028",
    "marks alone": "\u0301\u0301\u200d\ufe0f",
    "no characters": "\ufffe\uffff",
}
HALVES = {
    "a high half": r"hello \ud800 there",
    "a low half": r"\udcff",
    "halves in the wrong order": r"\udc00\ud800",
}


def app_with(directory: Path | None = None) -> ServerApp:
    agent = Agent.load(folder() / "core", interpreter=str(folder() / "nlu"))
    options = {} if directory is None else {"enable_train": directory, "auth_token": TOKEN}
    return create_app(agent, **options)  # type: ignore[arg-type]


@pytest.fixture
def client() -> Client:
    return Client(app_with())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A directory with two models, which tell themselves by the names of their intents."""
    for name in ("one", "two"):
        write_renamed(tmp_path / "models" / name, f"{name} ")
    (tmp_path / "models" / "other").mkdir()
    return tmp_path / "models"


@pytest.fixture
def naming(models: Path) -> Client:
    """A client of a server whose messages may name a model."""
    return Client(app_with(models))


def intent_of(client: Client, given: dict[str, Any], query: str = "") -> str | None:
    response = client.post(PARSE + query, json=given, headers=BEARER)
    assert response.status_code == 200, response.text
    name: str | None = response.get_json()["tracker"]["latest_message"]["intent"]["name"]
    return name


# -- typed text


@pytest.mark.parametrize(("text", "intent"), [("good morning", "greet"), ("book a table in Porto please", "book")])
def test_typed_text_leads_to_an_action(client: Client, text: str, intent: str) -> None:
    answer = client.post(PARSE, json={"query": text}).get_json()

    assert (answer["next_action"], answer["policy"]) == (ACTIONS[intent], "MemoizationPolicy")
    assert answer["tracker"]["latest_message"] == json.loads(json.dumps(small_model().parse(text)))
    assert answer["tracker"]["slots"] == {"city": "Porto" if intent == "book" else None}


def test_a_message_that_names_its_intent_needs_no_model(client: Client) -> None:
    for text in ("/greet", "_greet"):
        assert client.post(RESPOND, json={"query": text}).get_json()[0]["text"] == "Hello!"
        state = client.get("/conversations/x/tracker").get_json()
        assert state["latest_message"]["intent"] == {"name": "greet", "confidence": 1.0}


@pytest.mark.parametrize("text", ODD.values(), ids=list(ODD))
def test_odd_text_is_taken_as_it_is(client: Client, text: str) -> None:
    parsed = client.post(PARSE, json={"query": text})
    responded = client.post(RESPOND, json={"query": text})

    assert (parsed.status_code, responded.status_code) == (200, 200)
    message = parsed.get_json()["tracker"]["latest_message"]
    assert message["text"] == text
    assert message.get("truncated", False) is (len(text) > MAX_CHARACTERS)
    assert isinstance(responded.get_json(), list)
    events = client.get("/conversations/x/tracker").get_json()["events"]
    assert [event["text"] for event in events if event["event"] == "user"] == [text, text]


@pytest.mark.parametrize("text", [text for text in ODD.values() if len(text) < 1000])
def test_odd_text_is_taken_from_the_url_too(client: Client, text: str) -> None:
    response = client.get(PARSE, query_string={"q": text})

    assert response.status_code == 200
    assert response.get_json()["tracker"]["latest_message"]["text"] == text


@pytest.mark.parametrize("path", [PARSE, RESPOND])
@pytest.mark.parametrize("query", HALVES.values(), ids=list(HALVES))
def test_half_a_character_is_kept(client: Client, path: str, query: str) -> None:
    response = client.post(path, data=f'{{"query": "{query}"}}'.encode())

    assert response.status_code == 200
    assert f'"text":"{query}"' in client.get("/conversations/x/tracker").get_data(as_text=True)


def test_the_version_tells_the_models(client: Client, tmp_path: Path) -> None:
    told = client.get("/version").get_json()

    assert told["nlu_model"] == small_model().fingerprint
    assert len(told["core_model"]) == 32
    assert told == Client(app_with()).get("/version").get_json()
    regex = Client(create_app(folder() / "core", tracker_store="memory://")).get("/version").get_json()
    assert regex == {**told, "nlu_model": None}
    missing = Client(create_app(tmp_path / "nowhere", tracker_store="memory://")).get("/version")
    assert (missing.status_code, missing.get_json()["core_model"]) == (200, None)


def test_another_model_has_another_fingerprint(tmp_path: Path) -> None:
    agent = Agent.load(folder() / "core")
    before = agent.model_fingerprint
    agent.persist(tmp_path / "same")
    agent.domain.templates["utter_greet"][0]["text"] = "Good day!"
    agent.persist(tmp_path / "other")

    assert Agent.load(tmp_path / "same").model_fingerprint == before
    assert Agent.load(tmp_path / "other").model_fingerprint != before


# -- models that are named


@pytest.mark.parametrize(
    ("given", "query", "prefix"),
    [
        ({"query": "hello", "model": "one"}, "", "one "),
        ({"query": "hello"}, "?model=two", "two "),
        ({"query": "hello", "model": "one"}, "?model=two", "one "),
        ({"query": "hello", "model": None}, "", ""),
        ({"query": "hello"}, "", ""),
    ],
    ids=["in the body", "in the URL", "in both", "null", "not at all"],
)
def test_a_message_is_understood_by_the_model_it_names(
    naming: Client, given: dict[str, Any], query: str, prefix: str
) -> None:
    assert intent_of(naming, given, query) == f"{prefix}greet"


def test_a_model_is_named_in_a_get_and_in_respond(naming: Client) -> None:
    query = {"q": "hello", "model": "two"}
    answer = naming.get(PARSE, query_string=query, headers=BEARER).get_json()
    assert answer["tracker"]["latest_message"]["intent"]["name"] == "two greet"

    assert naming.post(RESPOND, json={"query": "hello", "model": "one"}, headers=BEARER).status_code == 200
    state = naming.get("/conversations/x/tracker", headers=BEARER).get_json()
    assert state["latest_message"]["intent"]["name"] == "one greet"


def test_a_message_that_names_its_intent_does_not_ask_the_model(naming: Client) -> None:
    assert intent_of(naming, {"query": "/greet", "model": "one"}) == "greet"


@pytest.mark.parametrize("path", [PARSE, RESPOND])
def test_an_unknown_model_is_told_with_the_nearest(naming: Client, path: str) -> None:
    response = naming.post(path, json={"query": "hello", "model": "tow"}, headers=BEARER)

    assert response.status_code == 400
    assert "there is no model 'tow'. Did you mean 'two'?" in response.get_json()["error"]
    assert response.get_json()["nearest"] == ["two"]
    assert naming.get("/conversations", headers=BEARER).get_json() == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../one", "one/", "/etc", ".one", "-x", "a b", "ü", "a\n", "a" * 101, 5, ["one"], "other"],
)
def test_what_cannot_be_a_model_is_refused(naming: Client, name: object) -> None:
    response = naming.post(PARSE, json={"query": "hello", "model": name}, headers=BEARER)

    assert response.status_code == 400
    assert "model" in response.get_json()["error"]


def test_a_server_without_such_models_says_how_to_have_some(client: Client) -> None:
    response = client.post(PARSE, json={"query": "hello", "model": "one"})

    assert response.status_code == 400
    assert "--enable-train DIR" in response.get_json()["error"]


def test_a_replaced_model_is_loaded_again(naming: Client, models: Path) -> None:
    assert intent_of(naming, {"query": "hello", "model": "one"}) == "one greet"
    write_renamed(models / "one", "a new ")

    assert intent_of(naming, {"query": "hello", "model": "one"}) == "a new greet"


def test_a_damaged_model_is_told_and_the_others_serve(
    naming: Client, models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (models / "one" / "nlu_weights.npz").write_bytes(b"PK")

    response = naming.post(PARSE, json={"query": "hello", "model": "one"}, headers=BEARER)

    assert response.status_code == 503
    assert "the server's log says why" in response.get_json()["error"]
    assert "nlu_weights.npz" in caplog.text
    assert intent_of(naming, {"query": "hello", "model": "two"}) == "two greet"


def test_a_key_belongs_to_the_model_too(naming: Client) -> None:
    def send(query: str, model: str | None = None) -> Any:
        given = {"query": "hello"} if model is None else {"query": "hello", "model": model}
        return naming.post(PARSE + query, json=given, headers={**BEARER, "Idempotency-Key": "1"})

    first = send("?model=one")
    assert (first.status_code, send("?model=one").data) == (200, first.data)
    for other in (send("?model=two"), send(""), send("", "one")):
        assert other.status_code == 422


def test_only_so_many_models_stay_loaded(models: Path) -> None:
    write_renamed(models / "three", "three ")
    held = NLUModels(models, max_loaded=2)
    one, two = held.interpreter("one"), held.interpreter("two")
    assert held.interpreter("one") is one

    held.interpreter("three")

    assert held.interpreter("one") is one
    assert held.interpreter("two") is not two
    assert held.names() == ["one", "three", "two"]


def test_a_model_that_is_read_keeps_nobody_else_waiting(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, reading, done = NLUModels(models), threading.Event(), threading.Event()
    two, found = held.interpreter("two"), []

    def slowly(path: Path) -> RasaNLUInterpreter:
        reading.set()
        assert done.wait(20)
        return RasaNLUInterpreter(path)

    monkeypatch.setattr(nlu, "RasaNLUInterpreter", slowly)
    one, other = (
        threading.Thread(target=lambda name=name: found.append(held.interpreter(name))) for name in ("one", "two")
    )
    one.start()
    assert reading.wait(20)
    other.start()
    other.join(10)
    assert found == [two]

    done.set()
    one.join(20)
    assert found == [two, held.interpreter("one")]


def test_threads_share_the_models(models: Path) -> None:
    held = NLUModels(models, max_loaded=1)
    wrong: list[object] = []

    def ask(name: str) -> None:
        for _ in range(20):
            found = held.interpreter(name).parse("hello")["intent"]["name"]
            if found != f"{name} greet":
                wrong.append(found)

    at_once(ask, ("one", "two") * 2)
    assert wrong == []


# -- the interpreter itself


@pytest.mark.parametrize("lazy", [False, True])
def test_an_interpreter_is_made_from_a_directory(lazy: bool) -> None:
    interpreter = RasaNLUInterpreter(str(folder() / "nlu"), "config.yml", lazy_init=lazy)

    assert (interpreter.model_fingerprint is None) is lazy
    assert interpreter.parse("hello") == small_model().parse("hello")
    assert interpreter.model_fingerprint == small_model().fingerprint


def test_threads_load_a_lazy_interpreter_once() -> None:
    interpreter = RasaNLUInterpreter(folder() / "nlu", lazy_init=True)
    found = at_once(lambda _: interpreter.model, range(8))
    assert len(set(map(id, found))) == 1


# -- tests over HTTP


EXAMPLES = """
nlu:
- intent: greet
  examples: |
    - good morning
    - a table in [Lisbon](city)
"""


def test_examples_are_understood(tmp_path: Path) -> None:
    small_model().persist(tmp_path / "nlu")
    job = {"do": "intents", "text": EXAMPLES, "folder": str(tmp_path), "nlu": str(tmp_path / "nlu")}

    told = bot_job.run(job)

    of_intents, of_entities = told["intent_evaluation"], told["entity_evaluation"]["all"]
    assert [(one["text"], one["intent"], one["predicted"]) for one in of_intents["predictions"]] == [
        ("good morning", "greet", "greet"),
        ("a table in Lisbon", "greet", "book"),
    ]
    assert of_intents["errors"][0]["intent_prediction"]["name"] == "book"
    assert of_intents["report"]["greet"] == {
        **{"precision": 1.0, "recall": 0.5, "f1-score": 2 / 3, "support": 2},
        "confused_with": {"book": 1},
    }
    assert (of_intents["accuracy"], of_intents["precision"], of_entities["f1_score"]) == (0.5, 1.0, 1.0)
