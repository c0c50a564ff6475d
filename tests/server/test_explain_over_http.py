"""``GET /conversations/<id>/explain``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from server_answers import error_of
from werkzeug.test import Client


@pytest.fixture
def greeted(client: Client) -> Client:
    client.post("/conversations/x/parse", json={"query": "/greet"})
    return client


@pytest.mark.parametrize("path", ["/conversations/x/explain", "/conversation/x/explain"])
def test_the_next_decision_is_explained(greeted: Client, path: str) -> None:
    response = greeted.get(path)

    told = response.get_json()
    assert response.status_code == 200
    assert (told["at"], told["action"], told["policy"], told["confidence"]) == (
        2,
        "utter_greet",
        "AnswersByIntent",
        1.0,
    )
    assert [(one["policy"], one["score"], one["lessons"]) for one in told["policies"]] == [
        ("AnswersByIntent", 1.0, None)
    ]
    assert response.headers["ETag"] == '"2"' == greeted.get("/conversations/x/tracker").headers["ETag"]


def test_an_earlier_decision_is_explained(greeted: Client) -> None:
    told = greeted.get("/conversations/x/explain?at=0").get_json()

    assert (told["at"], told["action"], told["executed"]) == (0, "action_listen", "action_listen")


@pytest.mark.parametrize("at", ["3", "-1", "x", "1.0", "9" * 5000])
def test_a_position_that_is_none_names_the_range(greeted: Client, at: str) -> None:
    response = greeted.get("/conversations/x/explain", query_string={"at": at})

    assert response.status_code == 400
    assert error_of(response).startswith('"at" is a number of events of this conversation, from 0 to 2, not ')


def test_reading_an_unknown_conversation_creates_nothing(client: Client) -> None:
    assert client.get("/conversations/nobody/explain").get_json()["action"] == "action_listen"
    assert client.get("/conversations").get_json() == []


def test_only_reading_is_possible(client: Client) -> None:
    assert client.post("/conversations/x/explain").status_code == 405
    assert client.head("/conversations/x/explain").status_code == 200


def test_the_token_is_needed(client_with: Callable[..., Client]) -> None:
    guarded = client_with(auth_token="s3cret")

    assert guarded.get("/conversations/x/explain").status_code == 401
    assert guarded.get("/conversations/x/explain?at=0&token=s3cret").status_code == 200
