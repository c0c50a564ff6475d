"""``GET /openapi.json`` describes each route of the server, and no other, with the checks of its requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from server_answers import error_of
from server_bot import DOMAIN, AnswersByIntent, make_agent, make_app
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.server import ServerApp, create_app
from rasa_core.server.api.fields import Body, Field, Parameter
from rasa_core.server.requests import Request

JWT_SECRET = "a secret of more than thirty-two bytes"
PUBLIC = {"/", "/version", "/health", "/ready", "/docs", "/docs/docs.js", "/docs/docs.css", "/docs/icon.svg"}
GUARDED = {"token": ["token", "bearer"], "jwt": ["jwt"]}


def described(app: ServerApp, **options: Any) -> dict[str, Any]:
    response = Client(app).get("/openapi.json", **options)
    assert response.status_code == 200, response.get_data()
    content: dict[str, Any] = response.get_json()
    return content


def routes_of(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(path, method.upper()) for path, item in document["paths"].items() for method in item}


def operations_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from item.values()


def references_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from references_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from references_in(part)


@pytest.fixture(scope="module", params=["plain", "inspector"])
def app(request: pytest.FixtureRequest) -> ServerApp:
    return make_app(**({"inspect": ""} if request.param == "inspector" else {}))


@pytest.fixture(scope="module")
def document(app: ServerApp) -> dict[str, Any]:
    return described(app)


def test_the_paths_and_the_document_are_the_same(app: ServerApp, document: dict[str, Any]) -> None:
    paths = app.paths
    routed = {(path, method) for path, end in paths.all() for method in paths.views[end] if method != "HEAD"}
    assert routes_of(document) == routed
    for path, end in paths.all():
        sender_id = "ada" if "{" in path else "default"
        assert paths.match(path.format(sender_id="ada"), True, True) == (end, sender_id)
    assert {end for _, end in paths.all()} == set(paths.views)


def test_everything_that_is_described_is_routed(app: ServerApp, document: dict[str, Any]) -> None:
    """Every operation of the tables is in the document; without the inspector, its operations are missing."""
    from rasa_core.server.api.operations import OPERATIONS
    from rasa_core.server.inspector.operations import OPERATIONS as OF_THE_PAGE

    answered = {(endpoint, method) for endpoint, views in app.paths.views.items() for method in views}
    assert set(OPERATIONS) <= answered
    assert (set(OF_THE_PAGE) <= answered) == (app.inspector is not None)


def test_what_reads_can_be_asked_without_the_content(app: ServerApp) -> None:
    talks = {"/parse", "/respond"}  # Which GET does, too.
    reading = {endpoint for endpoint, views in app.paths.views.items() if "GET" in views} - talks
    assert {endpoint for endpoint in reading if "HEAD" not in app.paths.views[endpoint]} == set()


def test_the_document_is_sound(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    for reference in references_in(document):
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    identifiers = [operation["operationId"] for operation in operations_of(document)]
    assert len(set(identifiers)) == len(identifiers)
    declared = {tag["name"] for tag in document["tags"]}
    assert {tag for operation in operations_of(document) for tag in operation["tags"]} == declared


def test_every_route_is_explained(document: dict[str, Any]) -> None:
    for operation in operations_of(document):
        assert operation["summary"].endswith("."), operation
        for parameter in operation.get("parameters", ()):
            assert "$ref" in parameter or parameter["description"].endswith("."), parameter


def test_the_page_has_a_tag_of_its_own(app: ServerApp, document: dict[str, Any]) -> None:
    of_the_page = {
        path for path, item in document["paths"].items() for one in item.values() if "inspector" in one["tags"]
    }
    assert bool(of_the_page) == (app.inspector is not None)
    assert ("/conversations/{sender_id}/say" in of_the_page) == (app.inspector is not None)


def test_aliases_are_told_from_what_they_stand_for(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        aliases = {operation.get("x-alias-of") for operation in item.values()}
        is_alias = path.startswith("/conversation/")
        assert aliases == {path.replace("/conversation/", "/conversations/") if is_alias else None}


def test_names_are_those_of_the_domain() -> None:
    app = create_app(make_agent())
    schemas = described(app)["components"]["schemas"]
    assert schemas["Slot"]["enum"] == ["cuisine", "name"]
    assert "utter_greet" in schemas["Action"]["enum"]
    assert schemas["Intent"]["enum"] == ["greet", "search", "bye", "restart"]

    tag = Client(app).get("/openapi.json").headers["ETag"]
    assert Client(app).get("/openapi.json", headers={"If-None-Match": tag}).status_code == 304
    agent = app.model.agent()
    agent.domain = Domain.from_yaml("intents: [other]\nactions: [utter_x]\ntemplates: {utter_x: [{text: x}]}")
    assert described(app)["components"]["schemas"]["Intent"]["enum"] == ["other"]


RASA3 = """
version: "3.1"
intents: [greet]
slots: {city: {type: text, mappings: [{type: custom}]}}
responses: {utter_greet: [{text: hey}]}
"""
NAMING: list[dict[str, Any]] = [
    {"event": "slot", "name": "ctiy", "value": "Porto"},
    {"event": "action", "name": "utter_gone"},
    {"event": "action", "name": None, "action_text": "Hello!"},
    {"event": "followup", "name": "utter_gone"},
    {"event": "reminder", "action": "utter_gone", "date_time": "2030-01-01T12:00:00Z"},
]


@pytest.mark.parametrize(("domain", "takes_any"), [(DOMAIN, False), (RASA3, True)], ids=["0.9", "Rasa 3"])
@pytest.mark.parametrize("event", NAMING, ids=lambda event: event["event"] + "_text" * ("action_text" in event))
def test_names_in_logs_are_described_as_they_are_checked(domain: str, takes_any: bool, event: dict[str, Any]) -> None:
    """Events of another bot of Rasa 3 may have names that this bot does not have; an action that just ran may not."""
    app = create_app(Agent(Domain.from_yaml(domain), [AnswersByIntent()]))
    client, document = Client(app), described(app)
    sent = {
        ("/continue", "post"): {"events": [event]},
        ("/conversations/{sender_id}/tracker/events", "post"): event,
        ("/conversations/{sender_id}/tracker", "put"): [event],
        ("/model/predict", "post"): [event],
    }
    for (path, method), body in sent.items():
        (content,) = document["paths"][path][method]["requestBody"]["content"].values()
        schema = {**content["schema"], "components": document["components"]}
        response = client.open(path.format(sender_id="ada"), method=method.upper(), json=body)
        assert (jsonschema_rs.is_valid(schema, body), response.status_code) == (
            (True, 200) if takes_any and path != "/continue" else (False, 400)
        ), (path, response.get_data(as_text=True))


def test_without_a_model_any_name_is_described(tmp_path: Path) -> None:
    document = described(create_app(tmp_path / "none"))
    assert "enum" not in document["components"]["schemas"]["Action"]
    assert "model" not in {one.get("name") for one in document["paths"]["/parse"]["post"]["parameters"]}


def test_models_with_names_are_listed(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "nlu").mkdir()
    app = create_app(trained, enable_train=tmp_path / "nlu", auth_token="t")
    app.nlu_models.names = lambda: ["music"]  # type: ignore[union-attr,method-assign]
    document = described(app, query_string="token=t")
    assert document["components"]["schemas"]["NLUModel"]["enum"] == ["music"]
    assert "model" in {one.get("name") for one in document["paths"]["/parse"]["get"]["parameters"]}


@pytest.mark.parametrize("way", GUARDED)
def test_who_is_asked_for_what_is_described(way: str) -> None:
    app = make_app(**({"auth_token": "s3cret"} if way == "token" else {"jwt_secret": JWT_SECRET}))
    client = Client(app)
    assert client.get("/openapi.json").status_code == 401
    assert client.get("/docs").status_code == 200

    app.guard.admit = lambda request, sender_id: None  # type: ignore[method-assign]
    document = described(app)
    assert list(document["components"]["securitySchemes"]) == GUARDED[way]
    assert document["security"] == [{name: []} for name in GUARDED[way]]
    public = {path for path, item in document["paths"].items() for one in item.values() if one.get("security") == []}
    assert public == PUBLIC
    for path, item in document["paths"].items():
        assert all(("401" in one["responses"]) == (path not in public) for one in item.values()), path


@pytest.mark.parametrize(
    ("method", "path"),
    [pytest.param(method, path, id=f"{method} {path}") for path, method in sorted(routes_of(described(make_app())))],
)
def test_a_route_with_a_token_lets_nobody_in_without_it(guarded: Client, method: str, path: str) -> None:
    response = guarded.open(path.replace("{sender_id}", "x"), method=method)
    assert (response.status_code == 401) != (path in PUBLIC)


@pytest.fixture(scope="module")
def guarded() -> Client:
    return Client(make_app(auth_token="s3cret"))


def test_it_knows_below_which_path_it_stands() -> None:
    response = Client(make_app()).get("/openapi.json", environ_overrides={"SCRIPT_NAME": "/bot"})
    assert response.get_json()["servers"] == [{"url": "/bot"}]


# -- what checks

THINGS = Body(
    Field("name", (str,), "a name as a string", "A name.", missing="", minLength=2),
    Field("count", (int,), "a number of things", "How many.", minimum=0),
    is_closed=True,
)


def refused(body: dict[str, Any]) -> str:
    client = Client(make_app(inspect=""))
    return error_of(client.post("/conversations/x/fork", data=json.dumps(body)))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, '"at" is missing; it is a number of events.'),
        ({"at": "1", "to": "y"}, '"at" must be a number of events, not a string.'),
        ({"at": True, "to": "y"}, '"at" must be a number of events, not a boolean.'),
        ({"at": -1, "to": "y"}, '"at" must be a number of events, not -1.'),
        ({"at": 1.5, "to": "y"}, '"at" must be a number of events, not a number.'),
        ({"at": 1, "to": ""}, '"to" must be the name of the new conversation'),
        ({"at": 1, "too": "y"}, "the body has a key 'too', which means nothing here. Did you mean 'to'?"),
    ],
)
def test_a_body_of_the_page_is_checked_by_its_description(body: dict[str, Any], problem: str) -> None:
    assert problem in refused(body)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    client = Client(make_app(inspect=""))
    assert client.post("/conversations/x/fork", data=b'{"at": 0.0, "to": "y"}').status_code == 200


def test_what_is_described_is_what_is_checked() -> None:
    assert THINGS.described() == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2, "description": "A name."},
            "count": {"type": "integer", "minimum": 0, "description": "How many."},
        },
        "required": ["name"],
        "additionalProperties": False,
    }


@pytest.fixture
def asked() -> Callable[[str], Request]:
    def make(query: str) -> Request:
        return Request({"QUERY_STRING": query, "REQUEST_METHOD": "GET"}, 1000, lambda name: make_agent().interpreter)

    return make


@pytest.mark.parametrize(
    ("kind", "query", "value"),
    [
        (int, "n=7", 7),
        (int, "", 5),
        (float, "n=0.5", 0.5),
        (bool, "n=TRUE", True),
        (bool, "n=yes", False),
        (str, "n=x&n=", "x"),
        (str, "n=&n=x", 5),
        (float, "n=", 5),
        (bool, "n=", False),
    ],
)
def test_a_parameter_is_read(asked: Callable[[str], Request], kind: type, query: str, value: object) -> None:
    assert Parameter("n", kind, "a value", "A value.", 5).of(asked(query)) == value


def test_the_bounds_of_a_number_are_described(asked: Callable[[str], Request]) -> None:
    number = Parameter("n", int, "a value", "A value.")
    bounds = number.described()
    assert (bounds["minimum"], bounds["maximum"]) == (0, 999_999_999_999_999_999)
    assert number.of(asked(f"n={bounds['maximum']}")) == bounds["maximum"]
    with pytest.raises(ValueError, match='"n" is a value, not '):
        number.of(asked(f"n={bounds['maximum'] + 1}"))


def test_a_parameter_that_is_missing_is_told_with_its_bound(asked: Callable[[str], Request]) -> None:
    with pytest.raises(ValueError, match=r'"n" is missing in the URL; it is a number from 0 to 7\.'):
        Parameter("n", int, "a number from 0 to {most}", "A value.", is_required=True).of(asked(""), 7)


@pytest.mark.parametrize(
    ("kind", "text"), [(int, "-1"), (int, "1.0"), (int, "%C2%B2"), (int, "9" * 19), (float, "nan")]
)
def test_a_parameter_that_is_none_is_refused(asked: Callable[[str], Request], kind: type, text: str) -> None:
    with pytest.raises(ValueError, match='"n" is a value, not '):
        Parameter("n", kind, "a value", "A value.").of(asked(f"n={text}"))
