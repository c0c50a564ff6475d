"""Projects of Rasa 1: Markdown stories, forms that the action server runs, and no version in their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from answering_server import answering_server
from click.testing import CliRunner

from rasa_core.agent import Agent
from rasa_core.commands.check import command
from rasa_core.events import ActionExecuted
from rasa_core.project import Project, network_of
from rasa_core.rasa_project.config import read_rasa_config
from rasa_core.rasa_project.files import is_of_rasa_1, is_rasa
from rasa_core.support.problems import told

DOMAIN: Final = """
intents:
- hello: {triggers: action_hello}
- faq
- order
- tell
entities: [tea]
actions: [respond_faq, action_hello, utter_ask_tea, utter_done]
slots:
  tea: {type: unfeaturized}
  requested_slot: {type: unfeaturized}
forms:
- tea_form
templates:
  utter_ask_tea:
  - text: Which tea?
  utter_done:
  - text: Coming
"""
STORIES: Final = """
## order
* order
  - tea_form                   <!-- runs the form -->
  - form{"name": "tea_form"}
  - form{"name": null}
  - utter_done

## written by interactive learning
* order
    - tea_form
    - form{"name": "tea_form"}
    - slot{"requested_slot": "tea"}
* form: tell{"tea": "green"}
    - slot{"tea": "green"}
    - form: tea_form
    - slot{"tea": "green"}
    - form{"name": null}
    - slot{"requested_slot": null}
    - utter_done

## question
* faq
  - respond_faq
"""
RESPONSES: Final = """
## price
* faq/ask_price
  - Two coins <!-- of silver -->
"""
NLU: Final = """
## intent:hello
- hello
- hi
- hey

## intent: faq/ask_price
- what is the price
- how much is it
- what does it cost

## intent:order
- tea please
- a cup of [green](tea) tea
- some tea

## intent:tell
- [black](tea)
- [green](tea)
- [white](tea) tea
"""
CONFIG: Final = """
policies:
- name: MemoizationPolicy
- name: MappingPolicy
- name: FormPolicy
- name: TwoStageFallbackPolicy
  fallback_core_action_name: action_default_fallback
  deny_suggestion_intent_name: faq
"""
ENDPOINTS: Final = "action_endpoint: {url: http://localhost:5055/webhook}\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def bot(folder: Path, **files: str) -> Path:
    """Write a project; the files are those above, and others in their place."""
    parts = {"data/stories.md": STORIES, "data/responses.md": RESPONSES, "data/nlu.md": NLU, "config.yml": CONFIG}
    return write(folder, **{"domain.yml": DOMAIN, **parts, **files})


def tea_form(request: dict[str, Any]) -> dict[str, Any]:
    """Answer as a ``FormAction`` of rasa-sdk 1 does."""
    tracker = request["tracker"]
    begun = [] if tracker["active_loop"].get("name") else [{"event": "form", "name": "tea_form"}]
    if tracker["slots"]["tea"] is None:
        asked = {"event": "slot", "name": "requested_slot", "value": "tea"}
        return {"events": [*begun, asked], "responses": [{"response": "utter_ask_tea"}]}
    ended = [{"event": "form", "name": None}, {"event": "slot", "name": "requested_slot", "value": None}]
    return {"events": [*begun, *ended]}


HELLO: Final = {"events": [{"event": "rewind"}], "responses": [{"text": "Hello"}]}


def test_a_form_of_the_action_server_triggers_and_parts_of_an_intent_work_as_in_rasa(tmp_path: Path) -> None:
    said: list[str] = []
    Project(bot(tmp_path)).train_if_changed(nlu=False, say=said.append)
    with answering_server({"tea_form": tea_form, "action_hello": HELLO}) as (url, _):
        agent = Agent.load(tmp_path / "models" / "dialogue", actions=url)
        heard = ("/hello", "/order", '/tell{"tea": "green"}')
        answers = [[one["text"] for one in agent.handle_message(text) or ()] for text in heard]
    assert answers == [["Hello"], ["Which tea?"], ["Coming"]]
    file = tmp_path / "config.yml"
    assert f"{file}:5: FormPolicy: replaced by RulePolicy, which runs forms as it did." in said
    assert not [line for line in said if f"{file.name}:" in line and "MappingPolicy" in line]


def test_responses_in_markdown_are_said_and_are_no_stories(tmp_path: Path) -> None:
    files = Project(bot(tmp_path)).rasa
    assert files is not None
    assert files.markdown_files == [tmp_path / "data" / "stories.md"]
    assert files.domain.templates["utter_faq/ask_price"] == [{"text": "Two coins"}]


def test_check_tells_nothing_of_a_project_in_which_nothing_is_wrong(tmp_path: Path) -> None:
    config = CONFIG.replace("  deny_suggestion_intent_name: faq\n", "")
    code = "MAPPING = {'tea': ['tell']}\n"  # As `slot_mappings` of a FormAction names an intent.
    bot(tmp_path, **{"config.yml": config, "actions.py": code})
    result = CliRunner().invoke(command, [str(tmp_path)])
    assert (result.output, result.exit_code) == ("0 errors, 0 warnings.\n", 0)


def test_check_tells_what_is_wrong_with_nlu_data_in_markdown(tmp_path: Path) -> None:
    bot(tmp_path, **{"data/nlu.md": f"{NLU}## intent:order\n- a [green](tea\n"})
    lines = CliRunner().invoke(command, [str(tmp_path)]).output.splitlines()
    number = len(NLU.splitlines()) + 2
    assert any(line.startswith(f"{tmp_path}/data/nlu.md:{number}: warning: '(tea' is not closed") for line in lines)


PLAIN: Final = """
intents: [greet, weather]
actions: [utter_greet, action_weather]
templates:
  utter_greet: [{text: Hey}]
"""
PLAIN_STORIES: Final = "## a\n* greet\n - utter_greet\n\n## b\n* weather\n - action_weather\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"endpoints.yml": ENDPOINTS}, True),
        ({"actions.py": "from rasa_core_sdk import Action\n"}, True),
        ({"actions.py": "from rasa_core.actions import Action\n"}, False),
        ({"policies.yml": "policies:\n- name: FormPolicy\n"}, True),
        ({"core_config.yml": "policies:\n- name: TwoStageFallbackPolicy\n"}, True),
        ({"config.yml": "policies:\n- name: KerasPolicy\n"}, False),
        ({"endpoints.yml": ENDPOINTS, "domain.yml": PLAIN + "action_factory: remote\n"}, False),
        ({"endpoints.yml": ENDPOINTS, "domain.yml": PLAIN.replace("action_w", "actions.W")}, False),
        ({"endpoints.yml": ENDPOINTS, "domain.yml": PLAIN.replace(", action_weather", "")}, False),
        ({"domain.yml": PLAIN + "session_config: {session_expiration_time: 60}\n"}, True),
        ({"domain.yml": PLAIN + "forms: [f]\n"}, True),
        ({"domain.yml": "version: '3.1'\n" + PLAIN + "forms: {}\n"}, False),
        ({"domain.yml": "intents: [\n", "endpoints.yml": ENDPOINTS}, False),
        ({"domain.yml": PLAIN.replace("[greet", "[{}, null, greet") + "forms: []\n"}, True),
        ({"domain.yml": PLAIN + "? {a: b}\n: forms\n", "endpoints.yml": ENDPOINTS}, False),
        ({"endpoints.yml": ENDPOINTS, "data/stories.md": "# nothing\n"}, False),
    ],
)
def test_a_project_of_rasa_1_is_known_by_what_0_9_did_not_have(
    tmp_path: Path, files: dict[str, str], expected: bool
) -> None:
    write(tmp_path, **{"domain.yml": PLAIN, "data/stories.md": PLAIN_STORIES, **files})
    assert is_of_rasa_1(tmp_path) is expected
    assert is_rasa(tmp_path) is expected


@pytest.mark.parametrize("place", ["stories.md", "stories/a.md", "data/core/stories.md"])
def test_its_stories_stand_where_rasa_core_had_them(tmp_path: Path, place: str) -> None:
    write(tmp_path, **{"domain.yml": PLAIN, place: PLAIN_STORIES, "endpoints.yml": ENDPOINTS})
    project = Project(tmp_path)
    assert project.rasa is not None
    assert project.story_files == [tmp_path / place]
    assert len(project.rasa.read_stories().steps) == 2


NETWORKS: Final = """
policies:
- name: rasa_core.policies.memoization.MemoizationPolicy
- name: KerasPolicy
  epochs: 7
  featurizer:
  - name: MaxHistoryTrackerFeaturizer
    max_history: 2
    state_featurizer: [{name: BinarySingleStateFeaturizer}]
- name: EmbeddingPolicy
  max_history: 4
  attn_shift_range: 5
- name: SklearnPolicy
- name: rasa.core.policies.mapping_policy.MappingPolicy
"""


def test_networks_of_rasa_1_are_stood_for(tmp_path: Path) -> None:
    write(tmp_path, **{"config.yml": NETWORKS})
    config = read_rasa_config(tmp_path / "config.yml", network_of)
    assert [type(policy).__name__ for policy in config.policies] == [
        *("RulePolicy", "MemoizationPolicy", "KerasPolicy", "KerasPolicy", "KerasPolicy", "RasaMappingPolicy"),
    ]
    assert [policy.max_history for policy in config.policies[2:4]] == [2, 4]
    assert [line.partition("config.yml:")[2] for line in told(config.notes)] == [
        "10: EmbeddingPolicy, SklearnPolicy: replaced by KerasPolicy; not used: attn_shift_range.",
    ]


def test_it_is_the_same_where_its_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, **{"domain.yml": PLAIN, "data/stories.md": PLAIN_STORIES, "endpoints.yml": ENDPOINTS})
    write(tmp_path, **{"mine.md": PLAIN_STORIES, "mine.yml": PLAIN})
    assert Project(tmp_path, "domain.yml", "data/stories.md").rasa is not None
    assert Project(tmp_path, stories=tmp_path / "data").rasa is not None
    assert Project(tmp_path, "mine.yml").rasa is None
    assert Project(tmp_path, stories="mine.md").rasa is None


def test_its_domain_may_have_any_name(tmp_path: Path) -> None:
    write(tmp_path, **{"tea_domain.yml": PLAIN, "data/stories.md": PLAIN_STORIES, "endpoints.yml": ENDPOINTS})
    project = Project(tmp_path)
    assert project.rasa is not None
    assert project.domain_file == tmp_path / "tea_domain.yml"
    assert "action_weather" in project.load_domain().action_names
    write(tmp_path, **{"other.yml": PLAIN})
    assert not is_rasa(tmp_path)


def test_the_end_of_a_form_has_the_name_of_later_versions(tmp_path: Path) -> None:
    stories = (
        '## a\n* order\n - tea_form\n - form{"name": "tea_form"}\n - action_deactivate_form\n - form{"name": null}\n'
    )
    files = Project(bot(tmp_path, **{"data/stories.md": stories})).rasa
    assert files is not None
    names = [
        event.action_name for event in files.read_stories().steps[0][0].events if isinstance(event, ActionExecuted)
    ]
    assert names == ["tea_form", "action_deactivate_loop"]


def test_a_list_of_forms_is_no_form_of_rasa_3(tmp_path: Path) -> None:
    write(tmp_path, **{"domain.yml": "version: '3.1'\nintents: [a]\nforms: [f]\n", "data/a.yml": "stories: []\n"})
    result = CliRunner().invoke(command, [str(tmp_path)])
    assert f"{tmp_path / 'domain.yml'}:3: error: forms: is a mapping of names" in result.output


def test_an_action_that_training_would_end_with_is_an_error(tmp_path: Path) -> None:
    stories = PLAIN_STORIES + "\n## c\n* greet\n - utter_greet\n* storm\n - utter_lost\n"
    write(tmp_path, **{"domain.yml": PLAIN, "data/stories.md": stories, "endpoints.yml": ENDPOINTS})
    result = CliRunner().invoke(command, [str(tmp_path)])
    file = tmp_path / "data" / "stories.md"
    lost = "the domain has no action 'utter_lost'."
    assert f'{file}:13: error: in "c": {lost} [unknown-name]' in result.output
    assert f"{file}:12: warning: in \"c\": the domain has no intent 'storm'. [unknown-name]" in result.output
    assert result.exit_code == 1


def test_test_stories_in_markdown_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tests = "## a\n* greet: hey\n - utter_greet\n"
    bot(tmp_path, **{"tests/conversation_tests.md": tests, "tests/more.yml": "stories: []\n"})
    assert Project(tmp_path).test_files == [tmp_path / "tests" / "more.yml"]
    file = tmp_path / "tests" / "conversation_tests.md"
    assert f"{file}: test stories in Markdown are not read; write them in YAML." in caplog.text
