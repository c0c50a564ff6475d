"""``rasa-core check`` on projects of Rasa 3."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from rasa3_bots import write

from rasa_core.commands.check import command

DOMAIN = """
version: "3.1"
intents: [a, b]
entities: [x]
slots:
  x: {type: text, mappings: [{type: from_entity, entity: y}]}
forms:
  x_form: {required_slots: [x]}
responses:
  utter_a: [{text: A.}]
  utter_b: [{text: B.}]
  utter_c: [{text: C.}]
"""
RULES = """
rules:
- rule: one
  steps: [{intent: a}, {action: utter_a}]
stories:
- story: two
  steps:
  - intent: a
  - action: utter_b
"""


def told(folder: Path) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(folder)])
    return result.exit_code, result.output


def test_mistakes_are_told_with_file_and_line(tmp_path: Path) -> None:
    code, output = told(write(tmp_path, domain=DOMAIN, data__all=RULES))

    assert code == 1
    assert "all.yml:9" in output
    assert "the story says 'utter_b', but the rule at" in output
    assert "domain.yml:6: warning: a mapping of the slot 'x' names no entity of the domain: 'y'." in output
    assert "domain.yml:8: warning: nothing asks for the slot 'x' of the form 'x_form'" in output
    assert "domain.yml:12: warning: no story or rule says 'utter_c'" in output


def test_a_clean_project_has_no_findings(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"

    assert told(write(tmp_path, domain=domain, data__all=rules)) == (0, "0 errors, 0 warnings.\n")


def test_what_training_would_refuse_is_told(tmp_path: Path) -> None:
    config = "policies:\n- name: MemoizationPolicy\n- name: MemorizationPolicy\n"
    code, output = told(write(tmp_path, domain=DOMAIN, data__all=RULES, config=config))
    assert (code, "config.yml:3: error: the policy 'MemorizationPolicy'" in output) == (1, True)

    write(tmp_path, config="policies:\n- name: MemoizationPolicy\n- name: TEDPolicy\n  transformer_size: 3\n")
    code, output = told(tmp_path)
    assert "config.yml: error: the domain has forms, and only RulePolicy runs them" in output
    assert "config.yml:3: warning: TEDPolicy: nothing is done with transformer_size" in output


def test_nlu_data_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    code, output = told(write(tmp_path, domain=domain, data__all=rules, data__nlu="nlu: [{intent: a, examples: [\n"))
    assert (code, "nlu.yml:2: error: " in output) == (1, True)
