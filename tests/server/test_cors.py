"""CORS: the pages of the given origins, and no others, may read answers, including errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from werkzeug.test import Client, TestResponse

PAGE = "https://bot.example"
ANSWERS = [("/version", 200), ("/nope", 404), ("/parse", 400), ("/conversations?token=wrong", 401)]


def ask(client: Client, path: str, origin: str | None) -> TestResponse:
    return client.get(path, headers={"Origin": origin} if origin else {})


@pytest.mark.parametrize(("path", "status"), ANSWERS)
def test_page_of_a_given_origin_may_read(client_with: Callable[..., Client], path: str, status: int) -> None:
    client = client_with(cors_origins=["http://localhost:3000", PAGE], auth_token="t" if status == 401 else None)

    response = ask(client, path, PAGE)

    assert response.status_code == status
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(("path", "status"), ANSWERS)
@pytest.mark.parametrize("origin", ["https://evil.example", "https://bot.example.evil", "null", None])
def test_other_pages_may_not(client_with: Callable[..., Client], path: str, status: int, origin: str | None) -> None:
    client = client_with(cors_origins=[PAGE], auth_token="t" if status == 401 else None)

    response = ask(client, path, origin)

    assert response.status_code == (403 if origin and path == "/parse" else status)
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", [PAGE, None])
@pytest.mark.parametrize(("path", "status"), ANSWERS[:3])
def test_star_lets_all_pages_read(
    client_with: Callable[..., Client], path: str, status: int, origin: str | None
) -> None:
    response = ask(client_with(cors_origins="*"), path, origin)

    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_without_origins_no_page_may_read(client: Client) -> None:
    response = ask(client, "/nope", PAGE)

    assert not [name for name in dict(response.headers) if name.startswith("Access-Control")]


def preflight(client: Client, origin: str) -> TestResponse:
    return client.options(
        "/conversations/x/parse",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )


@pytest.mark.parametrize("origins", [[PAGE], [PAGE.upper() + "/"], "*"])
def test_browser_is_told_what_a_page_may_send(client_with: Callable[..., Client], origins: object) -> None:
    response = preflight(client_with(cors_origins=origins, auth_token="t"), PAGE)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"
    assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("x-requested-with, cache-control,content-type", ["x-requested-with", "cache-control"]),
        ("X-App\u00e9 (bad), *", ["X-App", "bad", "*"]),
        ("key, AUTHORIZATION", ["key"]),
        ("", []),
    ],
)
def test_a_page_may_send_headers_of_its_own(client_with: Callable[..., Client], asked: str, told: list[str]) -> None:
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    response = client_with(cors_origins=[PAGE]).options("/conversations/x/parse", headers=headers)

    assert response.headers["Access-Control-Allow-Headers"].split(", ")[5:] == told


def test_browser_is_told_nothing_for_another_page(client_with: Callable[..., Client]) -> None:
    response = preflight(client_with(cors_origins=[PAGE]), "https://evil.example")

    assert not [name for name in dict(response.headers) if name.startswith("Access-Control")]
