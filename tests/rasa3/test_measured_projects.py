"""``evaluate``, ``visualize`` and explanations of projects of Rasa 3, with rules and stories in YAML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rasa3_bots import say, trained, write

from rasa_core.agent import Agent
from rasa_core.commands.main import main
from rasa_core.evaluation.stories import evaluate_stories
from rasa_core.evaluation.story_report import story_report
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.stories import extract_story_graph

BOT = {
    "domain": """
        version: "3.1"
        intents: [greet, inform, bye]
        entities: [city]
        slots:
          city: {type: text, mappings: [{type: from_entity, entity: city}]}
        responses: {utter_greet: [{text: Hi.}], utter_city: [{text: In.}], utter_bye: [{text: Bye.}]}
        """,
    "data__all": """
        rules:
        - rule: bye
          steps: [{intent: bye}, {action: utter_bye}]
        stories:
        - story: first
          steps: [{intent: greet}, {action: utter_greet}]
        - story: second
          steps: [{intent: greet}, {action: utter_greet}, {intent: greet}, {action: utter_greet}]
        """,
    "tests__test_all": """
        stories:
        - story: well
          steps:
          - user: |
              hello
            intent: greet
          - action: utter_greet
          - user: bye [Lisbon](city)
            intent: bye
            entities: [{city: Lisbon}]
          - slot_was_set: [{city: Lisbon}]
          - action: utter_bye
        - story: badly
          steps:
          - user: hello there
            intent: bye
          - action: utter_bye
        """,
}


class Words(NaturalLanguageInterpreter):
    """Understands the first word of a message, and cities."""

    def parse(self, text: str) -> dict[str, object]:
        name = {"hello": "greet", "bye": "bye"}.get(text.split()[0])
        at = text.find("Lisbon")
        found = [] if at < 0 else [{"entity": "city", "value": "Lisbon", "start": at, "end": at + 6}]
        return {"text": text, "intent": {"name": name, "confidence": 0.9}, "entities": found}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("bot"), **BOT)
    trained(folder).persist(folder / "models" / "dialogue")
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_the_stories_in_tests_are_measured(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("evaluate", project, "--format", "json")

    written = Path("failed_test_stories.yml").read_text(encoding="utf-8")
    assert written == 'version: "3.1"\n# No story failed.\nstories: []\n'

    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert (found["stories"], found["stories_right"]) == (2, 2)


def test_messages_of_test_stories_are_read_as_they_were_typed(project: Path) -> None:
    agent = Agent.load(project / "models" / "dialogue")
    graph = extract_story_graph(project / "tests", agent.domain)

    found = evaluate_stories(agent, graph, parser=Words())

    well, badly = found.stories
    assert well.is_right
    assert [message.is_right for message in well.messages] == [True, True]
    assert well.messages[1].found == {(4, 10, "city")}
    assert badly.messages[0].described() == "found greet (0.90) instead of bye"
    assert not badly.is_right
    first, place = badly.first_wrong()
    assert (first.expected, first.prediction.action) == ("utter_bye", "utter_greet")
    assert place is not None
    assert (Path(str(place.file)).name, place.line) == ("test_all.yml", 18)


def test_what_fails_is_written_as_test_stories(project: Path, tmp_path: Path) -> None:
    agent = Agent.load(project / "models" / "dialogue")
    found = evaluate_stories(agent, extract_story_graph(project / "tests", agent.domain), parser=Words())
    file = tmp_path / "failed_test_stories.yml"

    report = story_report(found, "tests")
    assert list(report.write({"failed": file})) == [f"The failed stories are in {file}, with what was predicted."]

    text = file.read_text(encoding="utf-8")
    assert "intent: bye  # found greet (0.90) instead of bye\n" in text
    assert "- action: utter_bye  # predicted: utter_greet (1.00, MemoizationPolicy)\n" in text
    again = evaluate_stories(agent, extract_story_graph(file, agent.domain), parser=Words())
    assert [(story.name, story.is_right) for story in again.stories] == [("badly", False)]
    assert again.stories[0].events == found.stories[1].events


def test_a_misunderstood_message_counts_though_every_action_is_right(project: Path, tmp_path: Path) -> None:
    agent = Agent.load(project / "models" / "dialogue")
    stories = tmp_path / "test_one.yml"
    stories.write_text(
        "stories:\n- story: one\n  steps:\n  - user: hello [there](city)\n    intent: greet\n  - action: utter_greet\n",
        encoding="utf-8",
    )
    found = evaluate_stories(agent, extract_story_graph(stories, agent.domain), parser=Words())
    report = story_report(found, "stories")

    assert (found.right, found.total, found.whole_stories) == (2, 2, 0.0)
    assert [line for line in report.lines if "Messages" in line] == [
        "Messages: 0 of 1 understood, accuracy of actions and messages 0.6667"
    ]
    assert report.below({"accuracy": 0.7, "share of whole stories": 1.0}) == [
        "the accuracy 0.6667 is below 0.7.",
        "the share of whole stories 0.0000 is below 1.",
    ]
    assert report.content["failed_stories"][0]["line"] == 4
    assert '- user: hello [there](city)\n    intent: greet  # missed city "there"' in found.failed[0].export_yaml()


def test_a_model_of_rasa_follows_stories_that_are_named(project: Path) -> None:
    model, stories = project / "models" / "dialogue", project / "data" / "all.yml"

    result = run("evaluate", "-d", model, "-s", stories, "--failed", "none")

    assert "Whole stories: 2 of 2 right" in result.output


def test_policies_are_cross_validated_with_all_rules(project: Path) -> None:
    result = run("evaluate", project, "--folds", 2, "--failed", "none", "--augmentation", 0)

    assert result.exit_code == 0, result.output
    assert "Stories: 2" in result.output


def test_rules_are_drawn_beside_stories(project: Path, tmp_path: Path) -> None:
    result = run("visualize", project, "-o", tmp_path / "all.mmd")

    assert result.exit_code == 0, result.output
    drawn = (tmp_path / "all.mmd").read_text(encoding="utf-8")
    assert "utter_bye" in drawn
    assert "utter_greet" in drawn
    assert run("visualize", "-o", tmp_path / "all.mmd").exit_code == 2


def test_without_stories_the_option_is_named(project: Path) -> None:
    result = run("evaluate", "-d", project / "models" / "dialogue")

    assert result.exit_code == 2
    assert "-s" in result.output


def test_an_explanation_names_the_rule_or_the_story_that_taught_a_decision(project: Path) -> None:
    agent = Agent.load(project / "models" / "dialogue")
    say(agent, "/bye", sender="a")
    say(agent, "/greet", sender="b")

    by_sender = {}
    for sender in ("a", "b"):
        events = [getattr(event, "action_name", None) for event in agent.read_tracker(sender).events]
        at = next(number for number, name in enumerate(events) if str(name).startswith("utter_"))
        by_sender[sender] = json.dumps(agent.explain(sender, at).as_dict())

    assert f"{project}/data/all.yml:4" in by_sender["a"]
    assert 'all.yml:7 \\"first' in by_sender["b"]


def test_a_message_with_a_slash_that_names_no_intent_is_understood_like_another(project: Path) -> None:
    turns = Agent.load(project / "models" / "dialogue", interpreter=SlashWords()).turns()

    assert turns.understand("/hello there")["intent"]["name"] == "greet"
    assert turns.understand("/bye")["intent"] == {"name": "bye", "confidence": 1.0}
    bare = Agent.load(project / "models" / "dialogue").turns()
    assert bare.understand("/hello there")["intent"]["name"] is None


class SlashWords(Words):
    """Understands words behind a slash as well."""

    def parse(self, text: str) -> dict[str, object]:
        return super().parse(text.lstrip("/"))
