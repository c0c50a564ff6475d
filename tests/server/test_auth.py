"""A server with a token answers only requests that have it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from server_answers import error_of
from werkzeug.test import Client

from rasa_core.server.log_lines import query_without_secrets

CONVERSATIONS = "/conversations"


@pytest.fixture
def guarded(client_with: Callable[..., Client]) -> Client:
    return client_with(auth_token="s3cret ü")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer s3cret \xc3\xbc"},
        {"Authorization": "bearer  s3cret \xc3\xbc"},
    ],
    ids=["bearer", "scheme in small letters"],
)
def test_bearer_is_served(guarded: Client, headers: dict[str, str]) -> None:
    assert guarded.get(CONVERSATIONS, headers=headers).status_code == 200


@pytest.mark.parametrize("query", ["token=s3cret%20%C3%BC", "token=s3cret+%C3%BC", "events=true&token=s3cret%20%C3%BC"])
def test_token_in_the_url_is_served(guarded: Client, query: str) -> None:
    assert guarded.get(CONVERSATIONS, query_string=query).status_code == 200


def test_wrong_header_does_not_spoil_a_right_url(guarded: Client) -> None:
    response = guarded.get(CONVERSATIONS, query_string={"token": "s3cret ü"}, headers={"Authorization": "Basic eDp5"})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("token=", {}),
        ("token=s3cret", {}),
        ("token=S3CRET%20%C3%BC", {}),
        ("", {"Authorization": "s3cret \xc3\xbc"}),
        ("", {"Authorization": "Basic s3cret \xc3\xbc"}),
        ("", {"Authorization": "Bearer"}),
        ("", {"Authorization": "Bearer wrong"}),
    ],
)
def test_nobody_else_is_served(guarded: Client, query: str, headers: dict[str, str]) -> None:
    response = guarded.get(CONVERSATIONS, query_string=query, headers=headers)

    assert response.status_code == 401
    assert error_of(response).startswith("the token is missing or wrong")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="rasa_core"'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/conversations/x/parse"),
        ("GET", "/respond"),
        ("POST", "/continue"),
        ("GET", "/conversations/x/tracker"),
        ("PUT", "/conversation/x/tracker"),
        ("POST", "/conversations/x/tracker/events"),
        ("DELETE", "/conversations/x"),
        ("POST", "/load"),
    ],
)
def test_token_is_asked_for_before_anything_is_read(guarded: Client, method: str, path: str) -> None:
    assert guarded.open(path, method=method, data=b"no JSON").status_code == 401


def test_token_is_asked_for_before_the_model(client_with: Callable[..., Client]) -> None:
    client = client_with(auth_token="t")
    client.application.model._agent = None

    assert client.get(CONVERSATIONS).status_code == 401


@pytest.mark.parametrize("path", ["/", "/version"])
def test_greeting_and_version_need_no_token(guarded: Client, path: str) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("token", ["", "  "])
def test_token_that_protects_nothing_is_refused(client_with: Callable[..., Client], token: str) -> None:
    with pytest.raises(ValueError, match="the token is empty"):
        client_with(auth_token=token)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("token=abc", "token=***"),
        ("q=hi&token=abc&token=def", "q=hi&token=***&token=***"),
        ("t%6Fken=abc", "t%6Fken=***"),
        ("mytoken=abc", "mytoken=***"),
        ("token2=abc&tone=abc", "token2=***&tone=abc"),
        ("token", "token=***"),
    ],
)
def test_token_is_left_out_of_a_url(query: str, shown: str) -> None:
    assert query_without_secrets(query) == shown
