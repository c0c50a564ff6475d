"""The routes of the inspector's page, as scripts may use them, too."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from inspector_bot import app_of, write_project
from werkzeug.test import Client

from rasa_core.server.inspector import timeline

SEARCH = '/search{"city": "Porto"}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("bot") / "concerts")


@pytest.fixture
def client(folder: Path) -> Client:
    return Client(app_of(folder))


def events(client: Client, sender: str = "ada") -> list[dict]:
    return client.get(f"/conversations/{sender}/timeline").json["events"]


def names(client: Client, sender: str = "ada") -> list[str]:
    return [event.get("name") or event["event"] for event in events(client, sender)]


class TestThePage:
    def test_nothing_but_its_own_files_may_be_loaded(self, client: Client) -> None:
        answer = client.get("/")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "<script>" not in answer.text
        assert "style=" not in answer.text

    def test_its_files_are_small(self, client: Client) -> None:
        files = list((Path(__file__).parents[3] / "rasa_core/server/inspector/static").iterdir())
        sizes = [
            len(client.get("/" if path.name == "index.html" else f"/inspector/{path.name}").data) for path in files
        ]
        assert all(sizes)
        assert sum(sizes) < 150_000

    def test_a_browser_that_has_a_file_is_not_sent_it_again(self, client: Client) -> None:
        tag = client.get("/inspector/app.js").headers["ETag"]
        assert client.get("/inspector/app.js", headers={"If-None-Match": tag}).status_code == 304

    def test_a_server_without_it_has_none_of_it(self, folder: Path) -> None:
        plain = Client(app_of(folder).__class__(app_of(folder).model, _settings()))
        assert plain.get("/").text.startswith("hello from Rasa Core")
        assert plain.get("/inspector/bot").status_code == 404
        assert plain.post("/conversations/ada/say", json={"text": "/greet"}).status_code == 404

    def test_with_a_token_only_its_files_are_public(self, folder: Path) -> None:
        client = Client(app_of(folder, auth_token="secret"))
        assert client.get("/").status_code == client.get("/inspector/app.js").status_code == 200
        assert client.get("/inspector/bot").status_code == 401
        assert client.get("/inspector/bot", headers={"Authorization": "Bearer secret"}).status_code == 200

    def test_no_other_page_may_talk_through_it(self, client: Client) -> None:
        foreign = {"Origin": "https://evil.example", "Host": "localhost"}
        assert client.post("/conversations/ada/say", json={"text": "/greet"}, headers=foreign).status_code == 403


def _settings():
    from rasa_core.server.settings import ServerSettings

    return ServerSettings(model="")


class TestTalking:
    def test_the_bot_goes_on_until_an_action_runs_elsewhere(self, client: Client) -> None:
        assert client.post("/conversations/ada/say", json={"text": "/greet"}).json == {"next_action": None}
        assert names(client) == ["action_listen", "user", "utter_hello", "bot", "action_listen"]
        answer = client.post("/conversations/ada/say", json={"text": SEARCH})
        assert answer.json == {"next_action": "action_search"}
        told = client.get("/conversations/ada/timeline").json
        assert told["waits"]["for"] == "action"
        assert told["waits"]["action"] == "action_search"
        assert told["slots"]["city"] == "Porto"

    def test_such_an_action_is_answered_with_its_events(self, client: Client) -> None:
        client.post("/conversations/ada/say", json={"text": SEARCH})
        found = [{"event": "slot", "name": "concerts", "value": []}]
        client.post("/conversations/ada/act", json={"action": "action_search", "events": found})
        assert names(client)[-4:] == ["concerts", "utter_nothing", "bot", "action_listen"]
        assert events(client)[-2]["text"] == "Nothing in Porto."
        action = next(event for event in events(client) if event.get("name") == "action_search")
        assert action["policy"] == "MemoizationPolicy"
        assert action["confidence"] == 1.0

    def test_or_with_what_went_wrong(self, client: Client) -> None:
        client.post("/conversations/ada/say", json={"text": SEARCH})
        client.post("/conversations/ada/act", json={"action": "action_search", "error": "no network"})
        action = next(event for event in events(client) if event.get("name") == "action_search")
        assert action["error"] == "no network"

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            ({"action": "action_serch"}, "action_search"),
            ({"action": 1}, "name of an action"),
            ({"events": [{"event": "slot", "name": "no_such"}]}, "no_such"),
        ],
        ids=["unknown action", "no name", "unknown slot"],
    )
    def test_what_the_domain_does_not_have_changes_nothing(self, client: Client, body: dict, problem: str) -> None:
        client.post("/conversations/ada/say", json={"text": SEARCH})
        before = events(client)
        answer = client.post("/conversations/ada/act", json=body)
        assert answer.status_code == 400
        assert problem in answer.json["error"]
        assert events(client) == before

    def test_a_message_with_a_key_is_taken_once(self, client: Client) -> None:
        for _ in range(2):
            headers = {"Idempotency-Key": "k1"}
            assert client.post("/conversations/ada/say", json={"text": "/greet"}, headers=headers).status_code == 200
        assert names(client).count("utter_hello") == 1

    def test_a_fork_begins_with_what_had_happened(self, client: Client) -> None:
        client.post("/conversations/ada/say", json={"text": "/greet"})
        assert client.post("/conversations/ada/fork", json={"at": 2, "to": "a/b"}).status_code == 200
        told = client.get("/conversations/a%2Fb/timeline").json
        assert [event["event"] for event in told["events"]] == ["action", "user"]
        assert told["waits"] == {
            "for": "continue",
            "action": "utter_hello",
            "policy": "MemoizationPolicy",
            "confidence": 1.0,
        }
        client.post("/conversations/a%2Fb/act", json={})
        assert names(client, "a%2Fb")[2:] == ["utter_hello", "bot", "action_listen"]
        again = client.post("/conversations/ada/fork", json={"at": 2, "to": "a/b"})
        assert again.status_code == 409
        assert "choose another name" in again.json["error"]


class TestTimelines:
    def test_a_reader_gets_what_is_new_alone(self, client: Client) -> None:
        client.post("/conversations/ada/say", json={"text": "/greet"})
        told = client.get("/conversations/ada/timeline?from=4").json
        assert (told["count"], [event["name"] for event in told["events"]]) == (5, ["action_listen"])

    def test_an_unknown_conversation_is_not_created(self, client: Client) -> None:
        assert client.get("/conversations/nobody/timeline").json["version"] == 0
        assert client.get("/conversations").json == []

    def test_what_was_taken_back_is_marked(self, client: Client) -> None:
        client.post("/conversations/ada/say", json={"text": "/greet"})
        client.post("/conversations/ada/say", json={"text": "/bye"})
        client.post("/conversations/ada/tracker/events", json=[{"event": "rewind"}])
        told = client.get("/conversations/ada/timeline").json
        taken = [told["events"][index].get("name") or told["events"][index]["event"] for index in told["taken_back"]]
        assert taken == ["action_listen", "user", "utter_bye", "bot", "action_listen", "rewind"]
        assert told["waits"] == {"for": "message"}

    def test_somebody_who_waits_is_told_at_once(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        # Pages of earlier tests in this process may wait still, and ask again: there is room for all.
        monkeypatch.setattr(timeline, "_waiters", threading.BoundedSemaphore(100))
        client.post("/conversations/ada/say", json={"text": "/greet"})
        known = client.get("/conversations/ada/timeline").json["version"]
        found: list[dict] = []
        path = f"/conversations/ada/timeline?from=5&after={known}&wait=15"
        reader = threading.Thread(target=lambda: found.append(Client(client.application).get(path).json))
        reader.start()
        client.post("/conversations/ada/parse", json={"query": "/bye"})
        reader.join(12)
        assert found[0]["events"][0]["event"] == "user"

    def test_where_too_many_wait_the_next_is_answered_at_once(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        places = threading.BoundedSemaphore(1)
        monkeypatch.setattr(timeline, "_waiters", places)
        client.post("/conversations/ada/say", json={"text": "/greet"})
        known = client.get("/conversations/ada/timeline").json["version"]
        path = f"/conversations/ada/timeline?from=5&after={known}&wait=15"
        with places:
            started = time.monotonic()
            assert client.get(path).json["events"] == []
        assert time.monotonic() - started < 10


class TestSteps:
    def test_a_step_tells_why_and_shows_the_story(self, client: Client) -> None:
        client.post("/conversations/ada/say", json={"text": "/greet"})
        told = client.get("/conversations/ada/step?at=2").json
        assert told["why"]["executed"] == told["why"]["action"] == "utter_hello"
        snippet = told["why"]["policies"][0]["lessons"][0]["snippets"][0]
        assert (snippet["file"], snippet["line"], snippet["story"]) == ("stories.md", 3, "hello")
        assert snippet["lines"] == [[1, "## hello"], [2, "* greet"], [3, "  - utter_hello"]]

    def test_a_step_tells_what_it_changed(self, client: Client) -> None:
        client.post("/conversations/ada/say", json={"text": SEARCH})
        told = client.get("/conversations/ada/step?at=1").json
        assert told["changed"] == [{"slot": "city", "before": None, "after": "Porto"}]
        assert told["before"]["slots"]["city"] is None

    def test_a_step_that_there_is_not(self, client: Client) -> None:
        answer = client.get("/conversations/ada/step?at=99")
        assert answer.status_code == 400
        assert "from 0 to 1" in answer.json["error"]

    def test_a_story_that_was_changed_since_is_told(self, folder: Path) -> None:
        found = timeline.snippet_of('stories.md:3 "another story"', [folder / "stories.md"])
        assert found["note"] == "changed"

    @pytest.mark.parametrize("place", ["/etc/passwd:1", "../secret.md:1", "secret.md:1", "", "stories.md", "x" * 99])
    def test_no_other_file_is_read(self, folder: Path, place: str) -> None:
        (folder.parent / "secret.md").write_text("secret\n")
        assert timeline.snippet_of(place, [folder / "stories.md"])["lines"] == []

    @pytest.mark.parametrize(
        ("named", "shown"),
        [
            ("stories.md", "stories.md"),
            ("data/stories.md", "data/stories.md"),
            ("/built/elsewhere/data/stories.md", "data/stories.md"),
            ("bot/more.md", "data/more.md"),
            ("/built/elsewhere/stories.md", None),
        ],
    )
    def test_files_of_a_project_that_was_moved_are_shown(self, tmp_path: Path, named: str, shown: str | None) -> None:
        files = [tmp_path / name for name in ("stories.md", "data/stories.md", "data/more.md")]
        (tmp_path / "data").mkdir()
        for path in files:
            path.write_text(f"## of {path.relative_to(tmp_path)}\n* greet\n  - utter_greet\n", encoding="utf-8")
        found = timeline.snippet_of(f"{named}:3", files)
        assert [line for _, line in found["lines"][:1]] == ([] if shown is None else [f"## of {shown}"])
        assert found["note"] == ("not here" if shown is None else None)

    @pytest.mark.parametrize(("line", "shown"), [("0", "## hello"), ("9" * 9, "## leaving"), ("1" * 5000, None)])
    def test_a_line_that_no_file_has(self, folder: Path, line: str, shown: str | None) -> None:
        found = timeline.snippet_of(f"stories.md:{line}", [folder / "stories.md"])
        assert [text for _, text in found["lines"][:1]] == ([] if shown is None else [shown])

    def test_a_name_that_no_file_can_have(self, folder: Path) -> None:
        assert timeline.snippet_of("stories\0.md:1", [folder / "stories.md"])["lines"] == []
