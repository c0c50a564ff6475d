"""``rasa-core migrate`` as a user calls it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rasa3_bots import write

from rasa_core.commands.check import command as check
from rasa_core.commands.main import main
from rasa_core.commands.train import command as train

DOMAIN = """
version: "3.1"
intents: [a]
actions: [action_own]
responses:
  utter_a: [{text: A.}]
e2e_actions: ["Hello there"]
respones: {}
"""
RULES = """
rules:
- rule: one
  steps: [{intent: a}, {action: utter_a}]
stories:
- story: by words
  steps:
  - user: hello
  - action: utter_a
- story: nothing
"""
NLU = "nlu:\n- intent: a\n  examples: |\n    - hello\n    - hi\n"
CONFIG = """
language: en
importers: [{name: mine.Importer}, {name: MultiProjectImporter}]
pipeline:
- name: KeywordIntentClassifier
- name: mine.Speller
policies:
- name: RulePolicy
- name: TEDPolicy
  epochs: 5
  constrain_similarities: true
- name: mine.Policy
"""
CLEAN = """
pipeline: [{name: KeywordIntentClassifier}, {name: FallbackClassifier}]
policies: [{name: MemoizationPolicy}, {name: RulePolicy}]
"""


def migrate(folder: Path, *flags: str) -> Result:
    return CliRunner().invoke(main, ["migrate", str(folder), *flags])


def of(result: Result, fate: str) -> set[str]:
    """Return file, line and name of what has a fate."""
    return {found[1] for found in re.finditer(rf"^(?:\S*/)?(\S+:\d+: {fate}: [^:]*)", result.output, re.MULTILINE)}


def test_each_part_is_told_with_its_place_and_what_becomes_of_it(tmp_path: Path) -> None:
    folder = write(tmp_path, domain=DOMAIN, data__rules=RULES, data__nlu=NLU, config=CONFIG, tests__test_a=RULES)
    (folder / "credentials.yml").write_text("rest:\nslack: {slack_token: x}\n", encoding="utf-8")
    (folder / "actions.py").write_text("import rasa_sdk\n", encoding="utf-8")

    result = migrate(folder)

    assert result.exit_code == 2
    assert of(result, "same") == {
        *("actions.py:1: same: actions", "config.yml:2: same: language", "config.yml:5: same: KeywordIntentClassifier"),
        *(
            "config.yml:3: same: MultiProjectImporter",
            "config.yml:8: same: RulePolicy",
            "credentials.yml:1: same: channel rest",
            "nlu.yml:1: same: nlu",
        ),
        *("rules.yml:2: same: rules", "domain.yml:3: same: intents", "domain.yml:4: same: actions"),
        *("domain.yml:5: same: responses", "test_a.yml:1: same: test stories"),
        "domain.yml:7: same: e2e_actions",
    }
    assert of(result, "replaced") == {
        "config.yml:9: replaced: TEDPolicy",
        "domain.yml:4: replaced: action action_own",
    }
    assert of(result, "left out") == {
        *("config.yml:3: left out: Importer", "config.yml:6: left out: mine.Speller"),
        *("config.yml:12: left out: mine.Policy", "credentials.yml:2: left out: channel slack"),
        "domain.yml:8: left out: respones",
        *("rules.yml:8: left out: rule or story", "rules.yml:10: left out: rule or story"),
    }
    assert "Did you mean 'responses'" in result.output
    assert "what is in data/, domain/ and domain.yml is read, and no other place." in result.output
    assert result.output.endswith(" left out.\n")


def test_a_project_that_is_all_the_same_ends_with_0_and_one_that_differs_with_1(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    same = migrate(write(tmp_path / "same", domain=domain, data__r=rules, data__nlu=NLU, config=CLEAN), "--brief")
    other = migrate(
        write(tmp_path / "other", domain=domain, data__r=rules, config="policies: [TEDPolicy, RulePolicy]"), "--brief"
    )

    assert same.output == "8 the same, 0 replaced, 0 left out.\n"
    assert (same.exit_code, other.exit_code) == (0, 1)
    assert "replaced: TEDPolicy: replaced by KerasPolicy" in other.output


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("", "replaced: action search: needs a server that runs it: name one as action_endpoint: in endpoints.yml."),
        ("action_factory: remote\n", "same: action search: your own code runs it, over parse and continue."),
    ],
)
def test_where_an_action_without_a_server_runs_is_told(tmp_path: Path, factory: str, told: str) -> None:
    domain = f'version: "3.1"\n{factory}intents: [a]\nactions: [search]'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: search}]}]"
    assert (
        f"domain.yml:{4 if factory else 3}: {told}"
        in migrate(write(tmp_path, domain=domain, data__r=rules, config=CLEAN)).output
    )


def test_rules_that_no_policy_follows_are_left_out(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    told = migrate(write(tmp_path, domain=domain, data__r=rules, config="policies: [MemoizationPolicy]"), "--brief")
    assert "r.yml:1: left out: rules: left out: no policy follows rules" in told.output
    assert told.exit_code == 2


def test_programs_get_json(tmp_path: Path) -> None:
    folder = write(tmp_path, domain=DOMAIN, data__rules=RULES, config=CONFIG)

    found = json.loads(migrate(folder, "--format", "json").output)

    policy = next(note for note in found["notes"] if note["what"] == "TEDPolicy")
    assert policy == {
        **{"file": str(folder / "config.yml"), "line": 9, "what": "TEDPolicy", "fate": "replaced"},
        **{"message": "replaced by KerasPolicy", "unused": ["constrain_similarities"]},
    }
    assert found["left_out"] == sum(note["fate"] == "left out" for note in found["notes"])


def test_files_that_cannot_be_read_are_told_and_nothing_is_changed(tmp_path: Path) -> None:
    domain = DOMAIN + "slots: {x: {type: text}}\n"
    folder = write(tmp_path, domain=domain, data__rules=RULES, config="pipeline: [")
    before = sorted((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file())

    result = migrate(folder)

    assert result.exit_code == 2
    assert "domain.yml:9: left out: domain: has to be changed first: the slot 'x' has no mappings:" in result.output
    assert "config.yml:2: left out: config.yml: has to be changed first: not valid YAML" in result.output
    assert before == sorted((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file())


def test_nlu_data_of_every_format_is_told_and_what_is_wrong_in_a_file_at_its_place(tmp_path: Path) -> None:
    folder = write(tmp_path, domain=DOMAIN, data__rules=RULES, data__nlu=NLU, config=CLEAN)
    (folder / "data" / "more.md").write_text("## intent:a\n- hello [there](\n- good day\n", encoding="utf-8")
    entity = {"start": 0, "end": 9, "entity": "city", "value": "x"}
    example = {"text": "ciao", "intent": "a", "entities": [entity]}
    (folder / "data" / "old.json").write_text(json.dumps({"rasa_nlu_data": {"common_examples": [example]}}))
    (folder / "endpoints.yml").write_text("action_endpoint: {url: localhost}", encoding="utf-8")
    (folder / "models").mkdir()
    (folder / "models" / "one.tar.gz").touch()

    result = migrate(folder)

    told = [line.split("/")[-1] for line in result.output.splitlines()]
    assert "more.md:1: same: nlu: the same, 1 message of 1 intent." in told
    assert "more.md:2: replaced: nlu: '(' is not closed;" in result.output
    assert "old.json:1: left out: nlu: has to be changed first: the entity" in result.output
    assert "endpoints.yml:1: left out: endpoints.yml: has to be changed first: action_endpoint:" in result.output
    assert "one.tar.gz: replaced: model: not read; a new one is trained from these files." in told


def test_a_folder_that_is_called_like_a_module_is_no_code(tmp_path: Path) -> None:
    folder = write(tmp_path, domain=DOMAIN, data__rules=RULES, config=CONFIG)
    (folder / "actions" / "old.py").mkdir(parents=True)

    checked = CliRunner().invoke(check, [str(folder)])

    assert migrate(folder).exit_code in (1, 2)
    assert checked.output.endswith("warnings.\n")


def test_another_folder_is_told_with_3(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text("intents: [a]\nactions: [b]\n", encoding="utf-8")
    (tmp_path / "stories.md").write_text("## a\n* a\n  - b\n", encoding="utf-8")

    assert migrate(tmp_path).exit_code == 3
    assert migrate(tmp_path / "data").exit_code == 2  # As any command that is called wrongly.


def test_training_tells_the_same(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    config = "policies: [RulePolicy, UnexpecTEDIntentPolicy, FormPolicy]"
    folder = write(tmp_path, domain=domain, data__r=rules, config=config)

    lines = [line for line in migrate(folder, "--brief").output.splitlines()[:-1] if "config.yml" in line]
    trained = CliRunner().invoke(train, [str(folder)]).output.splitlines()

    assert len(lines) == 2
    for line in lines:
        assert re.sub(r": (replaced|left out): ", ": ", line, count=1) in trained


def test_a_project_without_a_config_is_told_what_decides(tmp_path: Path) -> None:
    (tmp_path / "nlu.md").write_text("## intent:a\n- hello\n- good day\n- hi\n", encoding="utf-8")

    told = [line.split("/")[-1] for line in migrate(tmp_path).output.splitlines()]

    decides = "as the file is not there, MemoizationPolicy, RulePolicy and KerasPolicy decide."
    assert [line for line in told if line.startswith("config.yml")] == [f"config.yml: replaced: policies: {decides}"]


def test_a_domain_beside_the_domain_and_test_stories_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nforms: {f: {required_slots: []}}\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    beside = "forms: {f: {required_slots: [x]}}"
    tests = "stories: []\nstory: a\n  b:\n"
    result = migrate(write(tmp_path, domain=domain, data__all=rules, data__forms=beside, tests__test_s=tests))

    output = result.output
    assert "domain: as in Rasa: 'f' in forms: is another one than that at" in output
    assert "test stories: has to be changed first: not valid YAML" in output
    assert result.exit_code == 2
