"""Correcting conversations, and saving the corrections in the project's own files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from inspector_bot import FORM_RULES, NLU, STORIES, agent_of, app_of, rasa_app_of, write_project
from werkzeug.test import Client

from rasa_core.checks import Finding
from rasa_core.server import create_app, included_events
from rasa_core.server.inspector import correcting
from rasa_core.teaching.learning import Learner
from rasa_core.teaching.questions import Answer
from rasa_core.teaching.session import TeachingSession
from rasa_core.tracker_store import store_from_url

SEARCH = '/search{"city": "Porto"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_project(tmp_path / "concerts")


@pytest.fixture
def client(folder: Path) -> Client:
    return Client(app_of(folder))


def at(sender: str, what: str) -> str:
    return f"/conversations/{quote(sender, safe='')}/{what}"


def say(client: Client, text: str, sender: str = "ada") -> None:
    assert client.post(at(sender, "say"), json={"text": text}).status_code == 200


def told(client: Client, sender: str = "ada") -> list[str]:
    events = client.get(at(sender, "timeline")).json["events"]
    return [event.get("name") or event.get("text") or event["event"] for event in events]


def correct(client: Client, **right: object) -> str:
    answer = client.post(at("ada", "correct"), json=right)
    assert answer.status_code == 200, answer.text
    return str(answer.json["sender_id"])


def saved(client: Client, sender: str) -> list[str]:
    """Return the lines that saving a conversation as a story would add to a file."""
    told = client.post(at(sender, "save"), json={"save": [{"as": "story", "title": sender}]}).json
    lines = [line for edit in told["edits"] for line in edit["diff"].splitlines()]
    return [line[1:] for line in lines if line.startswith("+") and line[1:].strip("+ ") and not line.startswith("+++")]


class TestCorrecting:
    def test_the_right_action_is_played_in_a_copy(self, client: Client) -> None:
        say(client, "/greet")
        before = told(client)
        draft = correct(client, at=2, action="utter_bye")
        assert told(client, draft)[2:] == ["utter_bye", "See you.", "action_listen"]
        assert told(client) == before

    def test_what_follows_a_message_that_no_story_knows_is_left_to_a_person(self, client: Client) -> None:
        say(client, "/greet")
        draft = correct(client, at=1, intent="search", entities=[])
        assert told(client, draft)[-1] == "/greet"
        waits = client.get(at(draft, "timeline")).json["waits"]
        assert (waits["for"], waits["action"], waits["policy"]) == ("continue", "action_listen", None)
        chosen = {"events": [{"event": "followup", "name": "utter_bye"}], "only_if_sure": True}
        client.post(at(draft, "act"), json=chosen)
        assert told(client, draft)[-3:] == ["utter_bye", "See you.", "action_listen"]
        assert client.get(at(draft, "timeline")).json["waits"] == {"for": "message"}

    def test_a_draft_ends_where_listening_is_right_and_where_the_bot_pauses(self, client: Client) -> None:
        say(client, "/greet")
        draft = correct(client, at=2, action="action_listen")
        assert told(client, draft)[1:] == ["/greet", "action_listen"]
        say(client, SEARCH)
        events = client.get(at("ada", "timeline")).json["events"]
        draft = correct(client, at=len(events), action="action_search")
        paused = {"action": "action_search", "events": [{"event": "pause"}], "only_if_sure": True}
        client.post(at(draft, "act"), json=paused)
        assert told(client, draft)[-2:] == ["action_search", "pause"]
        assert client.get(at(draft, "timeline")).json["waits"] == {"for": "resume"}

    def test_a_right_action_that_runs_elsewhere_is_waited_for(self, client: Client) -> None:
        say(client, SEARCH)
        client.post(at("ada", "act"), json={"action": "action_search"})
        draft = correct(client, at=3, action="action_search")
        waits = client.get(at(draft, "timeline")).json["waits"]
        assert (waits["for"], waits["action"]) == ("action", "action_search")

    def test_the_right_intent_is_gone_on_from(self, client: Client) -> None:
        say(client, "what is on in Paris")
        entity = {"entity": "city", "value": "Paris", "start": 14, "end": 19}
        draft = correct(client, at=1, intent="search", entities=[entity])
        state = client.get(at(draft, "timeline")).json
        assert state["slots"]["city"] == "Paris"
        assert state["waits"]["action"] == "action_search"

    @pytest.mark.parametrize(
        ("right", "problem"),
        [
            ({"at": 2, "action": "utter_by"}, "utter_bye"),
            ({"at": 1, "intent": "serch"}, "search"),
            ({"at": 2, "intent": "search"}, "no message of the user"),
            ({"at": 99, "action": "utter_bye"}, "no step 99"),
            ({"at": 2}, 'either the right "action"'),
            ({"at": -1, "action": "utter_bye"}, "number of events"),
            ({"at": 1, "intent": "search", "entities": [{"value": 1}]}, "entit"),
            ({"at": 1, "intent": "search", "entities": ["city"]}, "an entity is an object"),
        ],
    )
    def test_what_cannot_be_is_refused_and_makes_no_copy(self, client: Client, right: dict, problem: str) -> None:
        say(client, "/greet")
        answer = client.post(at("ada", "correct"), json=right)
        assert answer.status_code == 400
        assert problem in answer.json["error"]
        assert client.get("/conversations").json == ["ada"]

    def test_the_page_and_the_terminal_do_the_same(self, folder: Path) -> None:
        bot = agent_of(folder)
        client = Client(create_app(bot, inspect=folder))
        say(client, "/greet")
        played = told(client, correct(client, at=2, action="utter_bye"))
        terminal = TeachingSession(bot.processor, Learner(bot.policy_ensemble), "terminal")
        for answer in (Answer("say", "/greet"), Answer("correct_action", "utter_bye"), Answer("confirm")):
            terminal.answer(answer)
        assert told(client, "terminal") == played
        again = correct(client, at=1, intent="bye", entities=[])
        terminal.answer(Answer("say", "/greet"))
        terminal.answer(Answer("correct_intent", "bye", ()))
        messages = [client.get(at(name, "timeline")).json["events"] for name in (again, "terminal")]
        known = [[one["parse_data"] for one in events if one["event"] == "user"][-1] for events in messages]
        assert known[0] == known[1]

    def test_a_draft_is_gone_on_with_when_the_server_has_died(self, folder: Path, tmp_path: Path) -> None:
        with store_from_url(f"sqlite:///{tmp_path}/talks.db") as store:
            client = Client(app_of(folder, store))
            say(client, "what is on in Paris")
            entity = {"entity": "city", "value": "Paris", "start": 14, "end": 19}
            draft = correct(client, at=1, intent="search", entities=[entity])
        with store_from_url(f"sqlite:///{tmp_path}/talks.db") as store:
            client = Client(app_of(folder, store))
            assert client.get(at(draft, "timeline")).json["waits"]["action"] == "action_search"
            nothing = [{"event": "slot", "name": "concerts", "value": []}]
            client.post(at(draft, "act"), json={"action": "action_search", "events": nothing, "only_if_sure": True})
            assert told(client, draft)[-3:] == ["utter_nothing", "Nothing in Paris.", "action_listen"]
            assert client.get(at(draft, "save")).json["proposed"] == ["story", "nlu"]

    def test_two_people_correct_one_conversation(self, client: Client) -> None:
        say(client, "/greet")
        assert correct(client, at=2, action="utter_bye") != correct(client, at=2, action="utter_found")


class TestSaving:
    def test_story_and_example_are_shown_and_then_written(self, client: Client, folder: Path) -> None:
        say(client, "concerts in Porto")
        draft = correct(client, at=1, intent="bye", entities=[])
        offered = client.get(at(draft, "save")).json
        assert offered["proposed"] == ["story", "nlu"]
        wanted = {"save": [{"as": "story", "title": "new"}, {"as": "nlu"}]}
        shown = client.post(at(draft, "save"), json=wanted).json
        assert not shown["written"]
        assert (folder / "stories.md").read_text() == STORIES
        stamps = {edit["file"]: edit["stamp"] for edit in shown["edits"]}
        written = client.post(
            at(draft, "save"), json={**wanted, "write": True, "stamps": stamps, "despite_errors": True}
        )
        assert written.json["written"]
        assert (folder / "stories.md").read_text() == STORIES + "\n## new\n* bye\n  - utter_bye\n"
        assert (folder / "nlu.md").read_text() == NLU + "- concerts in Porto\n"

    def test_the_name_of_a_story_is_one_visible_line(self, client: Client) -> None:
        say(client, "/greet")
        named = {"save": [{"as": "story", "title": "a\x00b\u202ec\n## d"}]}
        added = client.post(at("ada", "save"), json=named).json["edits"][0]["diff"]
        assert "+## a b c ## d\n" in added
        refused = client.post(at("ada", "save"), json={"save": [{"as": "story", "title": "x" * 201}]})
        assert refused.status_code == 400
        assert "at most 200 characters" in refused.json["error"]

    def test_what_check_finds_stands_beside_the_change_and_stops_it(self, client: Client, folder: Path) -> None:
        say(client, "/greet")
        draft = correct(client, at=2, action="utter_bye")
        wanted = {"save": [{"as": "story", "title": "new"}]}
        found = client.post(at(draft, "save"), json=wanted).json["findings"]
        assert [one["kind"] for one in found] == ["contradiction"]
        assert {place["file"] for place in found[0]["places"]} == {"stories.md"}
        refused = client.post(at(draft, "save"), json={**wanted, "write": True})
        assert refused.status_code == 422
        assert (folder / "stories.md").read_text() == STORIES
        instead = {"save": [{"as": "story", "title": "new", "replace": "hello"}], "write": True}
        found = client.post(at(draft, "save"), json=instead).json["findings"]
        assert [one["kind"] for one in found] == ["unused-action"]  # Nothing says hello any more.
        assert (folder / "stories.md").read_text() == STORIES.replace(
            "## hello\n* greet\n  - utter_hello", "## new\n* greet\n  - utter_bye"
        )

    def test_a_newer_edit_is_not_written_over(self, client: Client, folder: Path) -> None:
        say(client, "/bye")
        wanted = {"save": [{"as": "story", "title": "new"}]}
        shown = client.post(at("ada", "save"), json=wanted).json
        stamps = {edit["file"]: edit["stamp"] for edit in shown["edits"]}
        (folder / "stories.md").write_text(STORIES + "\n<!-- newer -->\n")
        answer = client.post(at("ada", "save"), json={**wanted, "write": True, "stamps": stamps})
        assert answer.status_code == 409
        assert "look at the change once more" in answer.json["error"]
        assert "newer" in answer.json["edits"][0]["diff"]
        assert (folder / "stories.md").read_text() == STORIES + "\n<!-- newer -->\n"

    def test_an_edit_that_comes_while_the_change_is_checked_is_not_written_over(
        self, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def edit_meanwhile(project: Path) -> list[Finding]:
            (folder / "stories.md").write_text(STORIES + "\n<!-- newer -->\n")
            return findings(project)

        findings = correcting.findings
        monkeypatch.setattr(correcting, "findings", edit_meanwhile)
        say(client, "/bye")
        saved = {"save": [{"as": "story", "title": "new"}], "write": True}

        answer = client.post(at("ada", "save"), json=saved)

        assert answer.status_code == 409
        assert answer.json["error"].startswith("stories.md was changed by somebody else meanwhile")
        assert not answer.json["written"]
        assert (folder / "stories.md").read_text() == STORIES + "\n<!-- newer -->\n"

    def test_a_project_that_is_gone_is_told(self, client: Client, folder: Path) -> None:
        say(client, "/bye")
        folder.rename(folder.with_name("moved"))
        answer = client.get(at("ada", "save"))
        assert answer.status_code == 409
        assert "the project cannot be read now: the project folder" in answer.json["error"]
        assert str(folder.parent) not in answer.text

    @pytest.mark.parametrize(
        ("wanted", "problem"),
        [
            ([{"as": "story", "file": "../elsewhere.md"}], "none of the files"),
            ([{"as": "story", "file": "domain.yml"}], "none of the files"),
            ([{"as": "rule"}], "cannot be saved as 'rule'"),
            ([{"as": "nlu"}], "cannot be saved as 'nlu'"),
            ([], "must be a list"),
            ([{"as": "story", "title": "half \ud800"}], "half of a character"),
        ],
    )
    def test_what_cannot_be_saved_is_told(self, client: Client, wanted: list, problem: str) -> None:
        say(client, "/bye")
        answer = client.post(at("ada", "save"), json={"save": wanted})
        assert answer.status_code == 400
        assert problem in answer.json["error"]

    def test_a_test_has_a_file_of_its_own(self, client: Client, folder: Path) -> None:
        say(client, "/bye")
        client.post(at("ada", "save"), json={"save": [{"as": "test", "title": "t"}], "write": True})
        assert (folder / "test_stories.md").read_text() == "## t\n* bye\n  - utter_bye\n"

    def test_without_a_project_there_is_nothing_to_save_into(self, folder: Path) -> None:
        client = Client(app_of(folder, inspect_nothing=True))
        say(client, "/bye")
        assert client.get(at("ada", "save")).status_code == 409

    def test_a_conversation_is_told_as_a_story(self, client: Client) -> None:
        say(client, "/bye")
        say(client, "/greet")
        client.post(at("ada", "tracker/events"), json=[{"event": "rewind"}])
        assert saved(client, "ada") == ["## ada", "* bye", "  - utter_bye"]


class TestTheMap:
    def test_a_conversation_is_on_it_and_others_are_counted(self, client: Client) -> None:
        for sender in ("ada", "bert"):
            say(client, "/greet", sender)
        say(client, "/bye", "carl")
        client.post(
            at("dora", "tracker/events"),
            json=[{"event": "user", "text": "/greet"}, {"event": "action", "name": "utter_bye"}],
        )
        told = client.get("/inspector/map?conversation=ada&last=10").json
        names = [node["name"] for node in told["nodes"]]
        (number,) = told["way"]
        assert names[number] == "utter_hello"
        assert (
            told["nodes"][number]["places"] == ['stories.md:3 "hello"'] or "hello" in told["nodes"][number]["places"][0]
        )
        assert told["coverage"]["conversations"] == 4
        assert told["coverage"]["inside"] == 3
        assert told["coverage"]["visits"][str(number)] == 2

    def test_only_so_much_is_read_to_count_and_the_rest_is_told(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for sender in ("ada", "bert", "carl", "dora"):
            say(client, "/greet", sender)
        say(client, "/greet", "bert")
        lengths = [len(client.get(at(name, "timeline")).json["events"]) for name in ("bert", "dora")]
        monkeypatch.setattr(included_events, "MOST_READ", sum(lengths) + 1)

        coverage = client.get("/inspector/map?last=10").json["coverage"]

        assert (coverage["conversations"], coverage["left_out"]) == (2, 2)

    def test_a_step_of_it_has_lines(self, client: Client) -> None:
        told = client.get("/inspector/map").json
        place = next(node["places"][0] for node in told["nodes"] if node["name"] == "utter_bye")
        lines = client.get("/inspector/map/lines", query_string={"place": place}).json["lines"]
        assert lines[-1][1] == "  - utter_bye"


class TestABotOfRasa3:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        return tmp_path / "pizza"

    @pytest.fixture
    def client(self, project: Path) -> Client:
        return Client(rasa_app_of(project))

    def test_what_the_bot_falls_back_on_is_left_to_a_person_and_saved_as_a_rule(
        self, client: Client, project: Path
    ) -> None:
        for text in ("/order", '/inform{"size": "large"}', "/bye"):
            say(client, text)
        assert "A large one." in told(client)
        draft = correct(client, at=told(client).index("action_default_fallback"), action="utter_bye")
        waits = client.get(at(draft, "timeline")).json["waits"]
        assert (waits["for"], waits["action"]) == ("continue", "action_default_fallback")
        listen = {"events": [{"event": "followup", "name": "action_listen"}], "only_if_sure": True}
        client.post(at(draft, "act"), json=listen)
        offered = client.get(at(draft, "save")).json
        assert offered["proposed"] == ["rule"]
        saved = client.post(at(draft, "save"), json={"save": [{"as": "rule", "title": "bye"}], "write": True})
        assert saved.json["findings"] == []
        new = "- rule: bye\n  steps:\n  - intent: bye\n  - action: utter_bye\n"
        assert (project / "data/rules.yml").read_text() == FORM_RULES + new

    def test_what_is_no_action_cannot_be_chosen(self, client: Client) -> None:
        names = {one["name"] for one in client.get("/inspector/bot").json["actions"]}
        assert {"pizza_form", "utter_bye"} <= names
        assert "..." not in names

    def test_a_person_may_choose_to_fall_back(self, client: Client) -> None:
        say(client, "/bye")
        draft = correct(client, at=told(client).index("action_default_fallback"), action="utter_bye")
        chosen = {"events": [{"event": "followup", "name": "action_default_fallback"}], "only_if_sure": True}
        client.post(at(draft, "act"), json=chosen)
        events = client.get(at(draft, "timeline")).json["events"]
        assert ("action", "action_default_fallback") in [(event["event"], event.get("name")) for event in events]

    def test_a_corrected_answer_to_a_form_becomes_an_example(self, client: Client, project: Path) -> None:
        for text in ("/order", "/bye"):
            say(client, text)
        entities = [{"entity": "size", "value": "large", "start": 0, "end": 4}]
        draft = correct(client, at=told(client).index("/bye"), intent="inform", entities=entities)
        assert "A large one." in told(client, draft)
        assert "nlu" in client.get(at(draft, "save")).json["proposed"]
        client.post(at(draft, "save"), json={"save": [{"as": "nlu"}], "write": True})
        assert '- [/bye]{"entity": "size", "value": "large"}' in (project / "data/nlu.yml").read_text()

    def test_a_form_is_told_without_what_it_asks(self, client: Client) -> None:
        for text in ("/order", '/inform{"size": "large"}'):
            say(client, text)
        assert [line.strip() for line in saved(client, "ada")] == [
            *("- story: ada", "steps:", "- intent: order", "- action: pizza_form", "- active_loop: pizza_form"),
            *("- slot_was_set:", "- size: large", "- requested_slot: null", "- active_loop: null"),
            "- action: utter_done",
        ]
