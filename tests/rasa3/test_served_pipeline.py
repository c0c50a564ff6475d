"""A project of Rasa 3 with a ``pipeline:``, from its files to its answers over HTTP and in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from duckling_server import duckling, found
from rasa3_bots import say, write
from werkzeug.test import Client

from rasa_core.agent import Agent
from rasa_core.commands.train import command
from rasa_core.nlu.components import DUCKLING_VARIABLE
from rasa_core.project import Project
from rasa_core.server import create_app

pytestmark = pytest.mark.usefixtures("brief_trainings")

CONFIG = """
language: en
pipeline:
- name: WhitespaceTokenizer
- name: CountVectorsFeaturizer
- name: DIETClassifier
  epochs: 100
- name: RegexEntityExtractor
- name: EntitySynonymMapper
- name: DucklingEntityExtractor
  dimensions: [time]
- name: ResponseSelector
  retrieval_intent: faq
- name: KeywordIntentClassifier
- name: FallbackClassifier
  threshold: 0.7
policies:
- name: RulePolicy
"""
BOT = {
    "domain": """
        version: "3.1"
        intents: [greet, inform, faq]
        entities: [city, time]
        slots:
          when: {type: any, mappings: [{type: from_entity, entity: time}]}
          city: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: city}]}
        responses:
          utter_greet: [{text: Hello.}]
          utter_city: [{text: "In {city}."}]
          utter_again: [{text: Say that again.}]
          utter_faq/opening: [{text: From nine to five.}]
          utter_faq/price: [{text: Ten euros.}]
        """,
    "data__nlu": """
        version: "3.1"
        nlu:
        - intent: greet
          examples: |
            - hello
            - good morning
            - hey there
        - intent: inform
          examples: |
            - a table in [Lisbon](city)
            - something in [Porto](city)
            - book in [Rome](city)
        - intent: faq/opening
          examples: |
            - when do you open
            - what are your opening hours
            - until when are you open
        - intent: faq/price
          examples: |
            - what does it cost
            - how much is it
            - what is the price
        - lookup: city
          examples: |
            - Ulaanbaatar
            - NYC
        - synonym: New York
          examples: |
            - NYC
        """,
    "data__rules": """
        version: "3.1"
        rules:
        - rule: greet
          steps: [{intent: greet}, {action: utter_greet}]
        - rule: city
          steps: [{intent: inform}, {action: utter_city}]
        - rule: faq
          steps: [{intent: faq}, {action: utter_faq}]
        - rule: again
          steps: [{intent: nlu_fallback}, {action: utter_again}]
        """,
}


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of the bot, trained by the command, and what that said."""
    folder = write(tmp_path_factory.mktemp("bot"), **BOT, config=CONFIG)
    result = CliRunner().invoke(command, [str(folder)])
    assert result.exit_code == 0, result.output
    return folder, result.output


@pytest.fixture
def client(bot: tuple[Path, str], tmp_path: Path) -> Client:
    return client_of(bot, tmp_path)


def client_of(bot: tuple[Path, str], tmp_path: Path) -> Client:
    project = Project(bot[0])
    return Client(create_app(project.model, str(project.nlu_model), tracker_store=f"sqlite:///{tmp_path / 'c.db'}"))


def parse(client: Client, text: str) -> Any:
    return client.post("/model/parse", json={"text": text}).get_json()


def test_a_span_of_time_comes_from_duckling_into_a_slot(
    bot: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, five, six = "a table in Lisbon from five to six", "2026-01-02T17:00:00", "2026-01-02T18:00:00"
    with duckling() as server:
        server.answer = [
            found("time", text, "from five to six", type="interval", **{"from": {"value": five}, "to": {"value": six}})
        ]
        monkeypatch.setenv(DUCKLING_VARIABLE, server.url)
        client = client_of(bot, tmp_path)
        answer = client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": text}).get_json()

    assert [message["text"] for message in answer] == ["In Lisbon."]
    assert server.asked[0]["dims"] == '["time"]'
    slots = client.get("/conversations/ada/tracker").get_json()["slots"]
    assert slots["when"] == {"from": five, "to": six}


def test_training_tells_what_stands_for_what(bot: tuple[Path, str]) -> None:
    words = "WhitespaceTokenizer, CountVectorsFeaturizer, DIETClassifier: the interpreter of this package stands for it"
    assert f"config.yml:4: {words}; not used: epochs." in bot[1]


@pytest.mark.parametrize(
    ("text", "intent", "said"),
    [
        ("hello", "greet", ["Hello."]),
        ("what are your opening hours?", "faq", ["From nine to five."]),
        ("how much is it", "faq", ["Ten euros."]),
        ("xyzzy plugh", "nlu_fallback", ["Say that again."]),
        ("", "nlu_fallback", ["Say that again."]),
    ],
)
def test_messages_are_understood_and_answered_as_the_pipeline_says(
    client: Client, text: str, intent: str, said: list[str]
) -> None:
    assert parse(client, text)["intent"]["name"] == intent
    answer = client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": text}).get_json()

    assert [message["text"] for message in answer] == said


def test_a_fallback_has_the_threshold_and_is_ranked_first(client: Client) -> None:
    found = parse(client, "xyzzy plugh")

    assert found["intent"] == found["intent_ranking"][0] == {"name": "nlu_fallback", "confidence": 0.7}
    assert [one["name"] for one in found["intent_ranking"]].count("nlu_fallback") == 1


def test_entities_of_tables_fill_slots_with_what_they_are_synonyms_of(client: Client) -> None:
    found = parse(client, "a table in nyc")
    answer = client.post("/webhooks/rest/webhook", json={"sender": "ada", "message": "a table in nyc"}).get_json()

    by_table = [one for one in found["entities"] if one["extractor"] == "RegexEntityExtractor"]
    assert [(one["value"], one["start"], one["end"]) for one in by_table or found["entities"]] == [("New York", 11, 14)]
    assert answer[0]["text"] == "In New York."


def test_a_parse_tells_which_response_is_meant(client: Client) -> None:
    selector = parse(client, "when do you open")["response_selector"]

    assert selector["all_retrieval_intents"] == ["faq"]
    response = selector["faq"]["response"]
    assert response["utter_action"] == "utter_faq/opening"
    assert response["responses"] == [{"text": "From nine to five."}]
    assert selector["faq"]["ranking"][0]["intent_response_key"] == "faq/opening"


def test_the_fallback_is_an_intent_over_parse_and_continue(client: Client) -> None:
    answer = client.post("/conversations/ada/parse", json={"query": "xyzzy plugh"}).get_json()

    assert answer["next_action"] == "utter_again"
    assert answer["tracker"]["latest_message"]["intent"]["name"] == "nlu_fallback"


def test_an_agent_in_python_understands_the_same(bot: tuple[Path, str]) -> None:
    project = Project(bot[0])
    agent = Agent.load(project.model, interpreter=str(project.nlu_model))

    assert say(agent, "what is the price") == ["Ten euros."]
    assert say(agent, "xyzzy plugh") == ["Say that again."]


def test_a_changed_threshold_needs_no_training(bot: tuple[Path, str], tmp_path: Path) -> None:
    folder, said = bot[0], list[str]()
    config = folder / "config.yml"
    before = config.read_text(encoding="utf-8")
    try:
        config.write_text(before.replace("0.7", "1.0"), encoding="utf-8")
        Project(folder).train_if_changed(say=said.append)
        agent = Agent.load(Project(folder).model, interpreter=str(Project(folder).nlu_model))

        assert any("only the pipeline has changed" in line for line in said)
        assert not any(line.startswith("training") for line in said)
        assert say(agent, "some food in Porto please") == ["Say that again."]
    finally:
        config.write_text(before, encoding="utf-8")
        Project(folder).train_if_changed(say=said.append)
    assert Project(folder).is_current()


def test_a_component_of_ones_own_stops_the_training_unless_it_is_left_out(bot: tuple[Path, str]) -> None:
    folder = bot[0]
    config = folder / "config.yml"
    before = config.read_text(encoding="utf-8")
    try:
        config.write_text(before.replace("- name: DIETC", "- name: mine.Speller\n- name: DIETC"), encoding="utf-8")
        refused = CliRunner().invoke(command, [str(folder)])
        taken = CliRunner().invoke(command, [str(folder), "--ignore-components"])
    finally:
        config.write_text(before, encoding="utf-8")

    assert refused.exit_code == 1
    assert "config.yml:6: the component 'mine.Speller' is one of your own" in refused.output
    assert taken.exit_code == 0, taken.output
