"""``rasa-core check`` on projects of Rasa 3."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rasa3_bots import say, trained, write

from rasa_core.commands.check import command
from rasa_core.domain import Domain
from rasa_core.exceptions import DomainError, ModelError
from rasa_core.nlu.pipeline import pipeline_in
from rasa_core.policies import MemoizationPolicy, Policy
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.project import Project
from rasa_core.rasa_project.config import read_rasa_config
from rasa_core.rasa_project.files import RasaFiles

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
    assert (
        "domain.yml:6: warning: a mapping of the slot 'x' names the entity 'y', which the domain does not have."
        in output
    )
    assert "domain.yml:8: warning: nothing asks for the slot 'x' of the form 'x_form'" in output
    assert "domain.yml:12: warning: no story or rule says 'utter_c'" in output


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (
            "[{intent: b}, {action: utter_b}]",
            "[{intent: restart}, {action: utter_a}]",
            "rules contradict one another: this one says 'utter_a', but default says 'action_restart'.",
        ),
        (
            "[{intent: a}, {action: act}, {slot_was_set: [{x: b}]}, {action: utter_a}]",
            "[{intent: b}, {action: act}, {action: utter_b}]",
            "'act' is not followed by slot_was_set: x as it is at {first}.",
        ),
    ],
)
def test_rules_that_cannot_all_be_followed_are_told(tmp_path: Path, first: str, second: str, problem: str) -> None:
    rules = f"rules:\n- rule: one\n  steps: {first}\n- rule: two\n  steps: {second}\n"
    domain = DOMAIN.replace("[a, b]", "[a, b, restart]") + "actions: [act]\n"
    code, output = told(folder := write(tmp_path, domain=domain, data__all=rules))

    where = folder / "data" / "all.yml"
    said = problem.format(first=f'{where}:3 "one"')
    assert (code, f'{where}:5: error: in "two": {said}' in output) == (1, True), output


def test_slots_that_forms_and_responses_name_have_to_be_there(tmp_path: Path) -> None:
    domain = DOMAIN.replace("[x]}\nresponses", "[x, seats]}\nresponses").replace(
        "utter_c: [{text: C.}]",
        "utter_c: [{text: C., condition: [{type: slot, name: x}]}, {text: D., condition: [{name: xx, value: 1}]}]",
    )
    code, output = told(write(tmp_path, domain=domain, data__all=RULES))

    assert code == 1
    assert "domain.yml:8: error: the form 'x_form' asks for the slot 'seats', which the domain does not have." in output
    assert "a condition of the response 'utter_c' needs a name and a value; it is never said without." in output
    assert "a condition of 'utter_c' names the slot 'xx', which the domain does not have. Did you mean 'x'?" in output


def test_an_action_that_every_bot_has_is_told_with_its_own_line(tmp_path: Path) -> None:
    domain = DOMAIN.replace("[a, b]", "[a, b, action_restart]").replace("utter_c:", "Chat:\n  action_restart:")
    _, output = told(write(tmp_path, domain=domain.replace("Chat:", "Chat: [{text: C}]"), data__all=RULES))
    text = "is never said, as an action of this name runs in its place; call it"
    assert f"domain.yml:12: warning: the response 'Chat' {text} 'utter_chat'. [unused-response]" in output
    assert f"domain.yml:13: warning: the response 'action_restart' {text} 'utter_action_restart'." in output
    assert "no story or rule says" not in output


def test_a_rule_whose_alternatives_multiply_without_end_is_an_error(tmp_path: Path) -> None:
    choice = "  - or: [{intent: a}, {intent: b}]\n"
    rule = f"rules:\n- rule: all\n  steps:\n{choice * 64}  - action: utter_a\n"
    code, output = told(write(tmp_path, domain=DOMAIN, data__all=rule))
    assert code == 1
    assert "all.yml:4: error: the rule 'all' stands for 18,446,744,073,709,551,616 rules" in output
    assert "10,000 is the most" in output


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
    assert "config.yml:1: error: the domain has forms, and only RulePolicy runs them" in output
    assert "transformer_size" not in output  # `migrate` tells what replaces the policy.

    write(tmp_path, config="policies:\n- name: RulePolicy\n- name: mine.MyPolicy\n- name: KerasPolicy\n  depth: 3\n")
    code, output = told(tmp_path)
    assert "config.yml:3: error: the policy 'mine.MyPolicy' is none of Rasa's. A policy of your own" in output
    write(tmp_path, config="policies:\n- name: RulePolicy\n- name: KerasPolicy\n  depth: 3\n")
    assert "config.yml:3: warning: KerasPolicy: nothing is done with depth" in told(tmp_path)[1]


def test_nlu_data_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    code, output = told(write(tmp_path, domain=domain, data__all=rules, data__nlu="nlu: [{intent: a, examples: [\n"))
    assert (code, "nlu.yml:2:1: error: " in output) == (1, True)


WRONG = {
    "domain": """
        version: "3.1"
        intents: [a, b, faq, unused]
        entities: [x: {roles: [from]}]
        actions: [utter_silent, action_own]
        slots:
          x:
            type: text
            mappings:
            - {type: from_entity, entity: x, role: to, conditions: [{active_loop: y_form}]}
            - {type: from_text, not_intent: c}
        forms:
          x_form: {required_slots: [x], ignored_intents: [chat]}
        responses:
          utter_ask_x: [{text: X?}]
          utter_a:
          - {text: A., condition: [{type: slot, name: y, value: 1}], buttons: [{title: b, payload: '/bb{"x": 1}'}]}
          utter_ask_nothing: [{text: What?}]
          utter_code: [{text: From code.}]
          utter_faq/one: [{text: One.}]
        """,
    "data__all": """
        nlu:
        - intent: a
          examples: |
            - hello [there](z)
            - hi
            - hey
        - intent: b
          examples: |
            - hi
        - intent: faq/two
          examples: |
            - two
        rules:
        - rule: a
          steps: [{intent: a}, {action: utter_a}]
        stories:
        - story: one
          steps: [{intent: b}, {action: utter_a}]
        - story: two
          steps: [{intent: b}, {action: utter_code}]
        - story: by words
          steps: [{user: hello}, {action: utter_a}]
        """,
    "config": """
        pipeline: [{name: ResponseSelector, retrieval_intent: faqs}, {name: mine.Speller}]
        policies: [{name: MemoizationPolicy}]
        """,
    "endpoints": "tracker_store: {type: redis, password: '${NO_SUCH_VARIABLE}'}",
}
EXPECTED = [
    "config.yml:3: error: the domain has forms, and only RulePolicy runs them",
    "config.yml:2: error: the component 'mine.Speller' is one of your own",
    "endpoints.yml:1: warning: the environment has no variable NO_SUCH_VARIABLE",
    "domain.yml:3: warning: no story, rule or mapping names the intent 'unused'",
    "domain.yml:5: error: the action 'utter_silent' has no response",
    "domain.yml:7: warning: a mapping of the slot 'x' names the role or group 'to', which the domain does not have",
    "domain.yml:7: warning: a mapping of the slot 'x' names the form 'y_form', which the domain does "
    "not have. Did you mean 'x_form'",
    "domain.yml:7: warning: a mapping of the slot 'x' names the intent 'c', which the domain does not have",
    "domain.yml:13: warning: the form 'x_form' ignores the intent 'chat', which the domain does not have",
    "domain.yml:13: warning: no story or rule begins the form 'x_form'",
    "domain.yml:16: warning: a condition of 'utter_a' names the slot 'y', which the domain does not have",
    "domain.yml:16: warning: a button of the response 'utter_a' names the intent 'bb', which the domain "
    "does not have. Did you mean 'b'",
    "domain.yml:18: warning: no story or rule says 'utter_ask_nothing'",
    "domain.yml:20: warning: no story or rule says 'utter_faq/one'",
    "all.yml:5: warning: the domain has no entity 'z'",
    "is followed by utter_a or utter_code",
    "warning: 'hi' is an example of 'a' and 'b'",
    "all.yml:23: warning: the story 'by words' is left out",
]


def test_what_files_do_not_say_alike_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path, **WRONG)
    (folder / "actions.py").write_text("def run(): say('utter_code')\n", encoding="utf-8")

    code, output = told(folder)

    assert code == 1
    assert [one for one in EXPECTED if one not in output] == []


def test_a_response_that_an_intent_triggers_has_a_use_and_an_intent_without_examples_has_a_line(tmp_path: Path) -> None:
    domain = """
    version: "2.0"
    intents:
    - a
    - help: {triggers: utter_help}
    responses:
      utter_a: [{text: A}]
      utter_help: [{text: Help}]
    """
    data = """
    version: "2.0"
    stories: [{story: a, steps: [{intent: a}, {action: utter_a}]}]
    nlu:
    - intent: a
      examples: "- one\\n- two\\n- three"
    """
    code, output = told(write(tmp_path, domain=domain, data__all=data))
    assert code == 0
    assert "utter_help" not in output
    assert "domain.yml:5: warning: the NLU data has no examples of the intent 'help'" in output


def test_components_of_ones_own_can_be_left_out_of_the_check(tmp_path: Path) -> None:
    folder = write(tmp_path, **WRONG)

    result = CliRunner().invoke(command, [str(folder), "--ignore-components"])

    assert "mine.Speller" not in result.output
    assert (
        "config.yml: warning: a ResponseSelector is for the retrieval intent 'faqs', of which the NLU data has"
        in result.output
    )


@pytest.mark.parametrize("is_on", ["true", "false"])
def test_a_fallback_action_has_to_be_there(is_on: str, tmp_path: Path) -> None:
    options = f"core_fallback_action_name: utter_b, enable_fallback_prediction: {is_on}"
    config = f"policies: [{{name: RulePolicy, {options}}}]"
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"

    code, output = told(write(tmp_path, domain=domain, data__all=rules, config=config))

    assert code == 1
    assert (
        "config.yml:1: error: the domain has no action 'utter_b', the core_fallback_action_name: of RulePolicy. "
        "Did you mean 'utter_a'?"
    ) in output


def test_what_policies_name_has_to_be_there_and_is_told_where_it_stands(tmp_path: Path) -> None:
    """By training as by ``check``, under the names of the file."""
    config = """
    policies:
    - name: TwoStageFallbackPolicy
      fallback_core_action_name: utter_a
      fallback_nlu_action_name: utter_b
      deny_suggestion_intent_name: no_thanks
    - name: RulePolicy
      core_fallback_action_name: utter_c
    """
    domain = 'version: "2.0"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    folder = write(tmp_path, domain=domain, data__all=rules, config=config)
    wrong = [
        (6, "intent 'no_thanks', the deny_suggestion_intent_name: of TwoStageFallbackPolicy"),
        (5, "action 'utter_b', the fallback_nlu_action_name: of TwoStageFallbackPolicy"),
        (8, "action 'utter_c', the core_fallback_action_name: of RulePolicy"),
    ]
    _, output = told(folder)
    with pytest.raises(ModelError) as raised:
        Project(folder).train_if_changed(say=lambda _: None)
    for line, text in wrong:
        assert f"config.yml:{line}: error: the domain has no {text}." in output
        assert f"config.yml:{line}: the domain has no {text}." in str(raised.value)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("name: TEDPolicy\n  epoch: 5", "TEDPolicy has no option 'epoch'. Did you mean 'epochs'"),
        ("name: MemoizationPolicy\n  max_histroy: 5", "MemoizationPolicy has no option 'max_histroy'. Did you mean"),
        ("name: RulePolicy\n  core_fallback_treshold: 0.2", "RulePolicy has no option 'core_fallback_treshold'"),
        ("name: OwnRasaPolicy\n  word: 5", "OwnRasaPolicy cannot be made with these options"),
    ],
)
def test_a_mistyped_option_is_an_error_with_the_nearest(tmp_path: Path, policy: str, message: str) -> None:
    file = write(tmp_path, config=f"policies:\n- {policy}\n") / "config.yml"
    with pytest.raises(ModelError, match=f"config.yml:2: {re.escape(message)}"):
        read_rasa_config(file, lambda max_history: MemoizationPolicy())


class OwnRasaPolicy(Policy):
    """Of one's own, with an option."""

    def __init__(self, words: int = 1) -> None:
        super().__init__()
        self.words = words

    def predict_action_probabilities(self, tracker, domain):
        return [0.0] * domain.num_actions


def test_a_policy_of_ones_own_is_known_by_its_name(tmp_path: Path) -> None:
    file = write(tmp_path, config="policies:\n- name: mine.OwnRasaPolicy\n  words: 3\n") / "config.yml"
    [policy] = read_rasa_config(file, lambda max_history: MemoizationPolicy()).policies
    assert isinstance(policy, OwnRasaPolicy)
    assert policy.words == 3


def test_a_text_in_a_story_that_repeats_its_action_is_told(tmp_path: Path) -> None:
    stories = """
    stories:
    - story: one
      steps:
      - intent: a
      - action: utter_a
      - bot: A.
      - intent: b
      - bot: B!
    """
    domain = 'version: "3.1"\nintents: [a, b]\nresponses: {utter_a: [{text: A.}]}'
    output = told(write(tmp_path, domain=domain, data__all=stories))[1]
    assert "all.yml:7: warning: in \"one\": the bot says 'A.' twice" in output
    assert "B!" not in output


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("config", "policies:\n  name: RulePolicy", "config.yml:1: error: policies: is a list"),
        (
            "config",
            "polices:\n- name: RulePolicy",
            "config.yml:1: error: config.yml has no key 'polices'. Did you mean",
        ),
        ("config", "policies:\n- nam: RulePolicy", "config.yml:2: error: what is listed here has a name, as in"),
        ("config", "pipeline:\n- nam: KeywordIntentClassifier", "config.yml:2: error: what is listed here has a name"),
        ("config", "pipeline: {name: x}", "config.yml:1: error: pipeline: is a list"),
        ("config", "- name: RulePolicy", "config.yml:1: error: settings are keys with values"),
        ("config", "policies: []\npolicies: []", "config.yml:2: error: the key 'policies' stands twice"),
        (
            "data__more",
            "stories: [{story: one, steps: [{intent: a, intent: a}, {bot: A.}]}]",
            "more.yml:1: error: the key 'intent' stands twice",
        ),
        (
            "config",
            "policies: [{name: MemoizationPolicy, max_history: five}]",
            "config.yml:1: error: max_history: of MemoizationPolicy is a number of states, or 0 for all, not 'five'.",
        ),
        (
            "config",
            "policies: [{name: RulePolicy, core_fallback_threshold: 3}]",
            "config.yml:1: error: core_fallback_threshold: of RulePolicy is a number from 0 to 1, not 3.",
        ),
        (
            "domain",
            "version: '3.1'\nslots:\n  b: {type: bool, mappings: [{type: custom}], influence_conversatio: true}",
            "slot 'b' of type 'bool': there is no option 'influence_conversatio'. Did you mean 'influence_",
        ),
        (
            "domain",
            "version: '3.1'\nslots:\n  b: {type: any, mappings: [{type: custom}], influence_conversation: true}",
            "slot 'b': a slot of type 'any' has no features",
        ),
        (
            "domain",
            "version: '3.1'\nforms:\n  f: {required_slots: city}",
            "domain.yml:3: error: required_slots: of the form 'f' is a list of slots, not 'city'.",
        ),
        ("endpoints", "- action_endpoint", "endpoints.yml:1: error: settings are keys with values"),
        ("domain", "intents: [a, {}]", "domain.yml:1: error: an entry of intents: is a name"),
        ("domain", "intents:\n- a\n- b:\n  use_entities: []", "domain.yml:3: error: an entry of intents: is a name"),
        ("domain", "version: 3\nactions:\n- a\n-", "domain.yml:4: error: an entry of actions: is a name"),
        (
            "domain",
            "responses: {utter_a: [{text: A, buttons: {title: x}}]}",
            "domain.yml:1: error: buttons: of the response 'utter_a' is a list",
        ),
        (
            "domain",
            "responses: {utter_a: [{text: A, condition: [x]}]}",
            "domain.yml:1: error: condition: of the response 'utter_a' is a list, each like {type: slot",
        ),
    ],
)
def test_what_has_a_wrong_shape_is_told_with_its_place(file: str, text: str, problem: str, tmp_path: Path) -> None:
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    domain = "version: '3.1'\nintents: [a]\nresponses: {utter_a: [{text: A}]}"
    code, output = told(write(tmp_path, **{"domain": domain, "data__all": rules, file: text}))
    assert (code, problem in output) == (1, True), output


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("intents: a", "intents: is a list, one name a line, each after a dash"),
        ("entities: [x, {x: {roles: [a]}}]", "'x' stands twice in entities:; the first is at bot:2"),
        ("session_config: {session_expiration_time: -1}", "is a number of minutes, 0 for ever, not -1"),
        ("responses: {utter_a: hello}", "the response 'utter_a' is a list of variants, each with text: or custom:."),
        ("responses: {utter_a: [{}]}", "each with text: or custom:; one has neither"),
        ("responses: {utter_a: [{text: a, attachment: a.png}]}", "attachment: of the response 'utter_a' is a mapping"),
        ("forms: {f: a}", "the form 'f' is a mapping with required_slots:"),
        ("forms: {f: {required_slots: {a: [{type: from_text}]}}}", "is a list of slots; their mappings stand under"),
        ("slots: {a: text}", "the slot 'a' is a mapping with type: and mappings:"),
        ("slots: {a: {type: text, mappings: {type: from_text}}}", "mappings: of the slot 'a' is a list; write a dash"),
        ("slots: {a: {type: text, mappings: [{type: from_entiti}]}}", "'from_entiti'. Did you mean 'from_entity'"),
        ("slots: {a: {type: text, mappings: [{type: from_intent}]}}", "of type from_intent needs value:"),
        ("slots: {a: {type: float, max_value: -1, mappings: []}}", "min_value (0.0) must be less than max_value (-1)"),
        ("slots: {a: {type: categorical, values: x, mappings: []}}", "values is a list such as [low, high], not 'x'"),
        (
            "slots: {a: {type: bool, initial_value: .inf, mappings: []}}",
            "'.inf' cannot be read as float;",
        ),
        ("forms: {action_listen: {required_slots: []}}", "every bot has the action 'action_listen'; remove it"),
        ("e2e_actions: [action_listen]", "every bot has the action 'action_listen'; remove it"),
        ("slots: {a: {type: rasa.core.slots.Txet, mappings: []}}", "unknown type 'rasa.core.slots.Txet'"),
    ],
)
def test_a_part_of_a_domain_that_has_a_wrong_shape_is_told_with_its_line(part: str, problem: str) -> None:
    with pytest.raises(DomainError, match=rf"^bot:2.*{re.escape(problem)}"):
        Domain.from_yaml(f"version: '3.1'\n{part}", name="bot")


@pytest.mark.parametrize(
    ("value", "features"),
    [
        ("1", [1.0, 1.0]),
        ("True ", [1.0, 1.0]),
        ("7", [1.0, 0.0]),
        (0.5, [1.0, 0.0]),
        ("0.5", []),
        ("-1", []),
        ("no", []),
    ],
)
def test_a_truth_that_is_a_text_is_read_as_rasa_reads_it(value: object, features: list[float]) -> None:
    slot = Domain.from_yaml("version: '3.1'\nslots: {a: {type: bool, mappings: []}}").slots[0]
    slot.value = value
    assert slot.as_feature() == features


def test_a_slot_may_name_its_class_as_in_rasa() -> None:
    slots = "slots: {a: {type: rasa.shared.core.slots.FloatSlot, mappings: []}}"
    slot = Domain.from_yaml(f"version: '3.1'\n{slots}").slots[0]
    slot.value = 0.25
    assert slot.as_feature() == [1.0, 0.25]
    slot.value = float("nan")  # Which would make a number of every score.
    assert slot.as_feature() == []


def test_a_pipeline_that_is_called_by_its_name_is_that_of_the_network(tmp_path: Path) -> None:
    assert pipeline_in(write(tmp_path, config="pipeline: supervised_embeddings") / "config.yml") is None


def test_a_key_that_nothing_reads_is_told_of_in_every_file(tmp_path: Path) -> None:
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]\nblubb: 1"
    domain = "version: '3.1'\nintents: [a]\nresponses: {utter_a: [{text: A}]}\nsession: {}"
    files = {"config": "frobnicate: 2", "endpoints": "action_endpont: {url: x}", "data__nlu": "nlu: []\nlookups: []"}
    code, output = told(write(tmp_path, domain=domain, data__all=rules, **files))
    assert code == 0
    places = re.findall(r"([\w.]+:\d+): warning: nothing reads the key '(\w+)'\.(.*) \[unknown-key\]", output)
    assert [place[:2] for place in places] == [
        ("config.yml:1", "frobnicate"),
        ("all.yml:2", "blubb"),
        ("nlu.yml:2", "lookups"),
        ("domain.yml:4", "session"),
        ("endpoints.yml:1", "action_endpont"),
    ]
    assert "Did you mean 'action_endpoint'?" in places[-1][2]


def test_an_option_of_a_server_that_is_nearly_one_is_told_of(tmp_path: Path) -> None:
    endpoints = "action_endpoint: {url: 'http://a', tokn: x, mine: 1}\ntracker_store: {type: redis, usernam: x}"
    _, output = told(write(tmp_path, domain=DOMAIN, data__all=RULES, endpoints=endpoints))

    assert "endpoints.yml:1: warning: action_endpoint has no option tokn (Did you mean 'token'?), mine" in output
    assert "endpoints.yml:2: warning: tracker_store redis has no option usernam (Did you mean 'username'?)" in output


def test_a_name_that_is_empty_is_passed_over(tmp_path: Path) -> None:
    domain = """
    version: "3.1"
    intents: [a, ""]
    entities: [" "]
    responses: {utter_a: [{text: A.}]}
    actions:
    - ""
    """
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    code, output = told(write(tmp_path, domain=domain, data__all=rules))
    lines = re.findall(r"domain.yml:(\d+): warning: an entry of (\w+): has no name, and is passed over", output)
    assert (code, lines) == (0, [("3", "intents"), ("4", "entities"), ("7", "actions")])
    parts = Project(tmp_path).load_domain().rasa
    assert parts is not None
    assert ([*parts.content["intents"]], parts.content["entities"], parts.own_actions()) == (["a"], [], ["utter_a"])


PARTS = """
version: "3.1"
nlu:
- {intent: a, examples: "- hi\\n- hello\\n- good day"}
- {intent: club/fee, examples: "- what is the fee\\n- the fee please\\n- do I pay"}
rules:
- rule: one
  steps: [{intent: a}, {action: utter_a}]
- rule: club
  steps: [{intent: club}, {action: %s}]
"""


@pytest.mark.parametrize(
    ("action", "code"), [pytest.param("utter_club", 1, id="which says them"), pytest.param("utter_a", 0, id="another")]
)
def test_the_parts_of_an_intent_want_responses_where_an_action_says_them(
    action: str, code: int, tmp_path: Path
) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}], utter_club/hours: [{text: Nine.}]}'
    ended, output = told(write(tmp_path, domain=domain, data__all=PARTS % action))
    assert (ended, "all.yml:5: error: the intent 'club/fee' has no response" in output) == (code, code == 1)
    assert "the domain has no intent" not in output


def test_a_domain_may_list_the_parts_of_an_intent_that_rules_name(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a, club/fee]\nresponses: {utter_a: [{text: A.}], utter_club/fee: [{text: B.}]}'
    rules = PARTS.replace("intent: club}", "intent: club/fee}") % "utter_club/fee"
    assert told(write(tmp_path, domain=domain, data__all=rules)) == (0, "0 errors, 0 warnings.\n")


def test_an_intent_that_only_the_nlu_data_has_parts_of_is_told_of_there(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    data = PARTS.partition("- rule: club")[0]
    _, output = told(write(tmp_path, domain=domain, data__all=data))
    assert "all.yml:5: warning: no story, rule or mapping names the intent 'club'" in output


@pytest.mark.parametrize("rules", ["rules:", "stories: []", "# nothing"])
def test_a_bot_with_nothing_to_do_is_told_as_training_refuses_it(rules: str, tmp_path: Path) -> None:
    folder = write(tmp_path, domain=DOMAIN, data__all=rules)
    code, output = told(folder)
    assert (code, f"{folder}: error: the project has neither stories nor rules" in output) == (1, True)
    with pytest.raises(ModelError, match="neither stories nor rules"):
        Project(folder).train_if_changed()
    (folder / "data" / "nlu.yml").write_text("nlu: [{intent: a, examples: '- one'}]", encoding="utf-8")
    assert "no-stories" not in told(folder)[1]


def test_rules_that_no_policy_follows_are_told(tmp_path: Path) -> None:
    """Nothing contradicts them, either."""
    write(tmp_path, domain=DOMAIN.replace("  x_form: {required_slots: [x]}", "  {}"), data__all=RULES)
    write(tmp_path, config="policies: [{name: MemoizationPolicy}]")
    text = "no policy follows rules, since config.yml names no RulePolicy; add it, or remove the rules."

    code, output = told(tmp_path)
    assert (code, f'all.yml:3: warning: in "one": {text} [unused-rules]' in output) == (0, True)
    assert "contradiction" not in output
    said: list[str] = []
    Project(tmp_path).train_if_changed(say=said.append)
    assert f'{tmp_path}/data/all.yml:3 "one": warning: {text}' in said


@pytest.mark.parametrize(
    ("option", "rules", "severity"),
    [
        pytest.param("check_for_contradictions", RULES, "warning", id="contradictions"),
        pytest.param(
            "restrict_rules",
            "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]}]",
            "",
            id="several messages",
        ),
    ],
)
def test_what_training_is_told_to_let_pass_is_no_error(option: str, rules: str, severity: str, tmp_path: Path) -> None:
    config = f"policies: [{{name: RulePolicy, {option}: false}}]"
    code, output = told(write(tmp_path, domain=DOMAIN, data__all=rules, config=config))
    assert (code, "[contradiction]" in output) == (0, bool(severity))


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        pytest.param(
            "[{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]", "contradiction", id="several messages"
        ),
        pytest.param(
            "[{intent: a}, {slot_was_set: [{nothing: 1}]}, {action: utter_a}]", "unknown-name", id="an unknown slot"
        ),
    ],
)
def test_rules_that_cannot_be_are_refused_also_where_nothing_is_compared(rule: str, kind: str, tmp_path: Path) -> None:
    config = "policies: [{name: RulePolicy, check_for_contradictions: false}]"
    folder = write(tmp_path, domain=DOMAIN, data__all=f"rules: [{{rule: one, steps: {rule}}}]", config=config)
    code, output = told(folder)
    assert (code, "error: in " in output, f"[{kind}]" in output) == (1, True, True)
    with pytest.raises(ModelError, match=r"all\.yml:1"):
        Project(folder).train_if_changed()


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("condition: [{active_loop: none}], steps: [{intent: a}, {action: utter_a}]", "no form 'none'."),
        ("condition: [{slot_was_set: [{none: 1}]}], steps: [{intent: a}, {action: utter_a}]", "no slot 'none'."),
        ("steps: [{intent: a}, {action: utter_a}, {active_loop: none}]", "no form 'none'."),
        ("steps: [{intent: a}, {action: nothing}]", "no action 'nothing'."),
    ],
)
def test_a_name_in_a_rule_that_ends_training_is_told_of_once(rule: str, problem: str, tmp_path: Path) -> None:
    folder = write(tmp_path, domain=DOMAIN, data__all=f"rules: [{{rule: one, {rule}}}]")
    code, output = told(folder)
    lines = [line.partition(": ")[2] for line in output.splitlines() if line.startswith(str(folder / "data"))]
    assert (code, lines) == (1, [f'error: in "one": the domain has {problem} [unknown-name]'])
    with pytest.raises(ModelError, match=problem[:-1]):
        Project(folder).train_if_changed()


def test_what_training_passes_over_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    domain = """
    version: "3.1"
    intents: [a]
    forms:
      city_form: {required_slots: [], ignored_intent: [a]}
    responses: {utter_a: [{text: A., chanel: sms, theme: 1}]}
    """
    stories = """
    stories:
    - story: one
      steps:
      - intent: a
      - action: city_form
      - active_loop: city_from
    """
    trained(write(tmp_path, domain=domain, data__all=stories))

    said = " ".join(record.getMessage() for record in caplog.records)
    assert "domain.yml:5: unknown key 'ignored_intent' of the form 'city_form' is ignored. Did you mean" in said
    assert "domain.yml:6: unknown key 'chanel' of the response 'utter_a' is ignored. Did you mean 'channel'?" in said
    assert "theme" not in said
    assert "all.yml:7" in said
    assert "the domain has no form 'city_from'. Did you mean 'city_form'?" in said


def test_an_empty_list_of_policies_is_told(tmp_path: Path) -> None:
    notes = read_rasa_config(write(tmp_path, config="policies: []") / "config.yml", lambda _: KerasPolicy()).notes
    assert [(note.what, str(note.place).rpartition("/")[2]) for note in notes][:1] == [("policies", "config.yml:1")]


@pytest.mark.parametrize(
    ("domain", "line", "told"),
    [
        ("intents: [a, 5]", 3, "warning: an entry of intents: is a name; 5 is taken for '5'. [doubtful-line]"),
        ("actions: [5]", 3, "warning: an entry of actions: is a name; 5 is taken for '5'. [doubtful-line]"),
        (
            "intents:\n- a: {use_entitie: []}",
            4,
            "warning: nothing reads the key 'use_entitie' of 'a' in intents:. Did you mean 'use_entities'? "
            "[unknown-key]",
        ),
        (
            "intents:\n- a: {use_entities: [x, y], ignore_entities: [x]}\nentities: [x, y]",
            4,
            "warning: 'a' uses and ignores x, which is ignored. Remove it from one of both. [doubtful-line]",
        ),
        ("intents:\n- a: b", 4, "error: an entry of intents: is a name, or a name with its options"),
        (
            "actions:\n- action_a: {send_domains: true}",
            4,
            "warning: nothing reads the key 'send_domains' of 'action_a' in actions:. Did you mean 'send_domain'?",
        ),
        ("responses: {utter_a: []}", 3, "warning: the response 'utter_a' has no variant, and nothing is said."),
        ("responses:\n  utter_a: [hello]", 4, "warning: a variant of the response 'utter_a' is like - text: hello"),
        ("responses:\n  utter_a: [{text: 5}]", 4, "warning: text: of the response 'utter_a' is a text; it is taken"),
        ("responses:\n  utter_a: [{text: A, channel: 5}]", 4, "warning: channel: of the response 'utter_a' is a text"),
        ("responses:\n  utter_a: [{custom: A}]", 4, "error: text: of the response 'utter_a' is a text, in"),
        (
            "responses:\n  utter_a: [{text: A, butons: []}]",
            4,
            "warning: nothing reads the key 'butons' of the response 'utter_a'. Did you mean 'buttons'? [unknown-key]",
        ),
        (
            "responses:\n  utter_a:\n  - {text: A, condition: [{type: entity, name: x, value: 1}]}",
            5,
            "warning: a condition of the response 'utter_a' has type: slot; 'entity' is taken for it.",
        ),
        (
            "forms:\n  a_form: {ignored_intent: [a], required_slots: []}",
            4,
            "warning: nothing reads the key 'ignored_intent' of the form 'a_form'. Did you mean 'ignored_intents'?",
        ),
        ("forms:\n  a_form:", 4, "warning: the form 'a_form' has no required_slots:, and ends where it begins."),
        (
            "slots:\n  x: {type: text, mappings: [{type: from_text, intents: a}]}",
            4,
            "warning: nothing reads the key 'intents' of a mapping of the slot 'x'. Did you mean 'intent'",
        ),
        (
            "slots:\n  x: {type: text, mappings: [{type: from_text, conditions: [{active_form: f}]}]}",
            4,
            "error: a condition of the slot 'x' has no key 'active_form'. Did you mean 'active_loop'?",
        ),
        (
            "slots:\n  x: {type: text, mappings: [{type: from_text, conditions: [{active_loop: f}]}]}\n"
            "  y: {type: text, mappings: [{type: custom}]}\nforms: {f: {required_slots: [y]}}",
            4,
            "warning: a mapping of the slot 'x' is for the form 'f', which does not ask for it. Add it to",
        ),
        (
            "templates: {utter_a: [{text: A}]}",
            3,
            "warning: templates: is of Rasa 2; it is read as responses:. [doubtful-line]",
        ),
        (
            "slots:\n  x: {type: text, auto_fill: false, mappings: [{type: custom}]}",
            4,
            "warning: auto_fill: of the slot 'x' is of Rasa 2; in Rasa 3, mappings: say what fills it.",
        ),
        (
            "slots:\n  x: {type: unfeaturized, mappings: [{type: custom}]}",
            4,
            "warning: the slot 'x' has a type of Rasa 2, which is any:",
        ),
        ("intents:\n- a: {triggers: utter_a}", 4, "warning: triggers: of the intent 'a' is of Rasa 2; write a rule in"),
        (
            "slots:\n  x: {type: text, expire: 5, mappings: [{type: custom}]}",
            4,
            "warning: nothing reads the key 'expire' of the slot 'x'. [unknown-key]",
        ),
        (
            "slots:\n  x: {type: text, influence_conversation: 'no', mappings: [{type: custom}]}",
            4,
            "error: influence_conversation: of the slot 'x' is true or false, not 'no'.",
        ),
        (
            "slots:\n  x: {type: float, initial_value: many, mappings: [{type: custom}]}",
            4,
            "error: slot 'x': initial_value is a number, not 'many'.",
        ),
        ("responses:\n  utter_a: [{text: [A]}]", 4, "error: text: of the response 'utter_a' is a text, in"),
        (
            "slots:\n  x: {type: float, initial_value: 5, mappings: [{type: custom}]}",
            4,
            "warning: initial_value: of the slot 'x' is no number from min_value: to max_value:, 0 to 1.",
        ),
        (
            "slots:\n  x: {type: categorical, values: [a, null], mappings: [{type: custom}]}",
            4,
            "warning: a value of the slot 'x' is null, which is the slot that is not set.",
        ),
        (
            "slots:\n  session_started_metadata: {type: any, mappings: [{type: custom}]}",
            4,
            "warning: the slot 'session_started_metadata' is one that every bot has; remove it here.",
        ),
        (
            "responses:\n  utter_a: []\n  utter_a: []",
            5,
            "error: the key 'utter_a' stands twice; the first is on line 4.",
        ),
        ("session_config:\n  session_expiration: 5", 4, "warning: nothing reads the key 'session_expiration'"),
        (
            "session_config:\n  carry_over_slots_to_new_session: maybe",
            4,
            "error: carry_over_slots_to_new_session is true or false, not 'maybe'.",
        ),
    ],
)
def test_entries_of_a_domain_that_are_not_as_they_should_be_are_told(
    tmp_path: Path, domain: str, line: int, told: str
) -> None:
    _, output = _told(write(tmp_path, domain=f'\nversion: "3.1"\n{domain}\n', data__all=RULES))
    assert f"domain.yml:{line}: {told}" in output


def _told(folder: Path) -> tuple[int, str]:
    code, output = told(folder)
    return code, " ".join(output.split())


def test_rules_that_contradict_one_another_are_told_at_one_of_them(tmp_path: Path) -> None:
    rules = "rules:\n" + "".join(
        f"- rule: {name}\n  steps:\n  - intent: a\n  - action: utter_{name}\n" for name in ("a", "b")
    )
    _, output = _told(write(tmp_path, domain=DOMAIN, data__all=rules))
    assert "all.yml:9: error: in \"b\": rules contradict one another: this one says 'utter_b', but that at " in output


@pytest.mark.parametrize("version", ["3.1", "'9.0'", "'abc'"])
def test_a_version_that_there_is_not_is_told(tmp_path: Path, version: str) -> None:
    _, output = told(write(tmp_path, domain=f"version: {version}\nintents: [a]\n", data__all=RULES))
    assert "domain.yml:1: warning: version: is a text, such as '3.1'" in output


def test_domains_of_rasa_2_may_have_what_is_of_rasa_2(tmp_path: Path) -> None:
    domain = "version: '2.0'\nintents: [a: {triggers: utter_a}]\ntemplates: {utter_a: [{text: A}]}\n"
    assert "of Rasa 2" not in told(write(tmp_path, domain=domain, data__all=RULES))[1]


def test_what_a_response_says_and_the_domain_does_not_have_is_told(tmp_path: Path) -> None:
    domain = """
version: "3.1"
intents: [a]
slots:
  day: {type: text, mappings: [{type: custom}]}
responses:
  utter_a:
  - text: "On {dya}, {weather}."
    buttons: [{title: b, payload: '/aa{"day": "x"}'}]
"""
    output = told(write(tmp_path, domain=domain))[1]
    assert (
        "domain.yml:7: warning: the response 'utter_a' says {dya}, and the domain has no slot 'dya'. Did you" in output
    )
    assert "a button of the response 'utter_a' names the intent 'aa', which the domain does not have." in output
    assert "weather" not in output


def test_synonyms_that_nothing_looks_at_and_options_that_are_nearly_one_are_told(tmp_path: Path) -> None:
    nlu = "nlu:\n- intent: a\n  examples: |\n    - one\n- synonym: x\n  examples: |\n    - y\n"
    config = "pipeline:\n- name: DIETClassifier\n- name: FallbackClassifier\n  treshold: 0.4\n"
    output = told(write(tmp_path / "a", domain=DOMAIN, data__nlu=nlu, config=config))[1]
    assert "nlu.yml:7: warning: config.yml names no EntitySynonymMapper, so this synonym and others change no" in output
    assert "config.yml:3: warning: FallbackClassifier has no option treshold (Did you mean 'threshold'?)." in output

    config += "- name: EntitySynonymMapper\n"
    assert (
        "names no EntitySynonymMapper"
        not in told(write(tmp_path / "b", domain=DOMAIN, data__nlu=nlu, config=config))[1]
    )


@pytest.mark.parametrize(
    ("pattern", "option", "text", "found"),
    [
        ("lookup: x", "", "one", "the lookup table 'x', as no example marks an entity of that name; mark one in an"),
        ("regex: x", "", "one", "the regular expression 'x', as no example marks an entity of that name; mark one in"),
        ("lookup: x", "", "[one](x)", None),
        ("lookup: x\n  extract: true", "", "one", None),
        ("regex: x", "  use_regexes: false\n", "one", None),
        ("lookup: of_features", "", "one", None),
    ],
)
def test_patterns_of_an_entity_that_no_example_marks_are_told(
    tmp_path: Path, pattern: str, option: str, text: str, found: str | None
) -> None:
    nlu = f"nlu:\n- intent: a\n  examples: |\n    - {text}\n- {pattern}\n  examples: |\n    - y\n"
    config = f"pipeline:\n- name: DIETClassifier\n- name: RegexEntityExtractor\n{option}"
    output = told(write(tmp_path, domain=DOMAIN, data__nlu=nlu, config=config))[1]
    assert (f"warning: RegexEntityExtractor does not look for {found}" in output) is (found is not None)
    assert ("unused-patterns" in output) is (found is not None)


def test_test_stories_are_looked_through_too(tmp_path: Path) -> None:
    tests = """
stories:
- story: as it is
  steps: [{user: hello, intent: a}, {action: utter_a}]
- story: nearly
  steps:
  - {user: hello, intent: aa}
  - {action: utter_aa}
- story: not a step
  steps:
  - user hello
- story: not a key
  steps:
  - {user: hello, intnt: a}
"""
    domain = "intents: [a]\nresponses: {utter_a: [{text: A.}]}\n"
    folder = write(tmp_path, domain=domain, data__all="rules:\n- {rule: a, steps: [{intent: a}, {action: utter_a}]}\n")
    (folder / "tests").mkdir()
    (folder / "tests/test_stories.yml").write_text(tests, encoding="utf-8")

    code, output = told(folder)

    lines = [line.partition("test_stories.yml:")[2] for line in output.splitlines()[:-1]]
    assert code == 1
    assert lines == [
        "7: warning: in \"nearly\": the domain has no intent 'aa'. Did you mean 'a'? [unknown-name]",
        "8: warning: in \"nearly\": the domain has no action 'utter_aa'. Did you mean 'utter_a'? [unknown-name]",
        "11: error: a step is like {intent: greet} or {action: utter_greet}, not 'user hello'. [grammar]",
        "14: error: a step has no key 'intnt'. Did you mean 'intent'? [grammar]",
    ]


def test_what_a_rule_names_and_is_not_there_is_told_once_with_the_nearest(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}'
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_b}]}]"
    folder = write(tmp_path, domain=domain, data__all=rules, config="policies: [{name: RulePolicy}]")
    _, output = told(folder)
    assert output.count("the domain has no action 'utter_b'. Did you mean 'utter_a'?") == 1
    assert "[contradiction]" not in output
    with pytest.raises(
        ModelError, match=r'all.yml:1 "one": the domain has no action .utter_b.\. Did you mean .utter_a'
    ):
        Project(folder).train_if_changed(say=lambda _: None)


def test_an_intent_that_answers_a_form_needs_no_story(tmp_path: Path) -> None:
    domain = DOMAIN.replace("entity: y", "entity: x").replace("[a, b]", "[a, b, tell, muse]")
    nlu = "nlu:\n- intent: tell\n  examples: |\n    - it is [red](x)\n- intent: muse\n  examples: |\n    - it is red\n"
    _, output = told(write(tmp_path, domain=domain, data__all=RULES, data__nlu=nlu))

    assert "names the intent 'tell'" not in output
    assert "names the intent 'muse'" in output


@pytest.mark.parametrize(("entity", "is_told"), [("x", False), ("y", True)], ids=["asked for", "not asked for"])
def test_without_examples_any_intent_may_answer_a_form(tmp_path: Path, entity: str, is_told: bool) -> None:
    mapping = "from_entity, entity: x" if entity == "x" else "from_text"
    domain = (
        'version: "3.1"\nintents: [a, tell]\nentities: [x]\n'
        f"slots: {{x: {{type: text, mappings: [{{type: {mapping}}}]}}}}\n"
        "forms: {f: {required_slots: [x]}}\nresponses: {utter_ask_x: [{text: X?}]}\n"
    )
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: f}, {active_loop: f}]}]"
    _, output = told(write(tmp_path, domain=domain, data__all=rules))
    assert ("names the intent 'tell'" in output) == is_told


def test_a_response_with_the_name_of_a_default_action_leaves_that_action_as_it_is(tmp_path: Path) -> None:
    """In Rasa such a bot repeats the action until it is stopped, with each message."""
    domain = DOMAIN.replace("utter_c:", "action_default_fallback:") + "  utter_default: [{text: What?}]\n"
    agent = trained(
        write(tmp_path, domain=domain, data__all="rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]")
    )

    assert [message["text"] for text in ("/b", "/a") for message in agent.handle_message(text)] == ["What?", "A."]


def test_what_a_file_that_was_not_read_may_name_is_not_told_as_unused(tmp_path: Path) -> None:
    domain = DOMAIN.replace("{required_slots: [x]}", "{required_slots: [x, z]}")
    _, output = told(write(tmp_path, domain=domain, data__all="rules:\n- rule:\n  one\n  steps: []\n"))

    assert "could not find expected ':'" in output
    assert "asks for the slot 'z', which the domain does not have." in output
    assert "nothing asks for the slot 'z'" not in output
    assert "unused" not in output


def test_an_unused_intent_without_examples_is_told_once(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a, b, c]\nresponses: {utter_a: [{text: A.}]}'
    nlu = "nlu: [{intent: a, examples: '- hi\n\n  - hello\n\n  - good day'}]"
    rules = "rules: [{rule: one, steps: [{or: [{intent: a}, {intent: c}]}, {action: utter_a}]}]"
    _, output = told(write(tmp_path, domain=domain, data__all=rules, data__nlu=nlu))

    assert "no story, rule or mapping names the intent 'b'" in output
    assert "no examples of the intent 'b'" not in output
    assert "no examples of the intent 'c'" in output


def test_a_retrieval_intent_that_no_story_names_is_in_the_domain(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a, faq]\nresponses: {utter_a: [{text: A.}]}'
    nlu = "nlu: [{intent: a, examples: '- hi'}, {intent: faq/b, examples: '- bee'}]"
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    _, output = told(write(tmp_path, domain=domain, data__all=rules, data__nlu=nlu))

    assert "no story, rule or mapping names the intent 'faq'" in output
    assert "the domain has no intent" not in output


def test_an_intent_that_a_button_sends_needs_no_examples(tmp_path: Path) -> None:
    buttons = "buttons: [{title: B, payload: '/b{}'}, {title: C, payload: c}]"
    domain = f'version: "3.1"\nintents: [a, b, c]\nresponses: {{utter_a: [{{text: A., {buttons}}}]}}'
    nlu = "nlu: [{intent: a, examples: '- hi\n\n  - hello\n\n  - good day'}]"
    rules = "".join(f"- rule: {one}\n  steps: [{{intent: {one}}}, {{action: utter_a}}]\n" for one in "abc")
    folder = write(tmp_path, domain=domain, data__all=f"rules:\n{rules}", data__nlu=nlu)

    assert "no examples of the intent 'c'" in told(folder)[1]
    assert "no examples of the intent 'b'" not in told(folder)[1]
    said: list[str] = []
    Project(folder).train_if_changed(say=said.append)
    assert ["'b'" in line for line in said if "no examples" in line] == [False]


def test_all_slots_without_mappings_are_told(tmp_path: Path) -> None:
    domain = 'version: "3.1"\nintents: [a]\nslots:\n  x: {type: text}\n  y: {type: bool}\n  z:\n    type: text\n'
    code, output = told(write(tmp_path, domain=f"{domain}    mappings: [{{type: from_llm}}]\n", data__all=RULES))

    assert code == 1
    assert "domain.yml:4: error: the slot 'x' has no mappings:" in output
    assert "domain.yml:5: error: the slot 'y' has no mappings:" in output
    assert "domain.yml:6: error: a mapping of the slot 'z' has type 'from_llm'. It is of Rasa Pro" in output


def test_a_mapping_without_a_type_is_told(tmp_path: Path) -> None:
    domain = "version: '3.1'\nintents: [a]\nslots:\n  z:\n    type: text\n    mappings:\n    - from_text\n"
    _, output = told(write(tmp_path, domain=domain, data__all=RULES))
    assert "error: a mapping of the slot 'z' has no type:. Known: from_entity" in output


BESIDE = """
version: "2.0"
forms:
  x_form:
    x: [{type: from_text}]
  y_form: {required_slots: [x]}
responses:
  utter_a: [{text: Other.}]
  utter_more: [{text: More.}]
"""


def test_a_domain_beside_the_domain_counts_as_far_as_it_does_not_contradict_it(tmp_path: Path) -> None:
    folder = write(tmp_path, domain=DOMAIN, data__all=RULES, data__forms=BESIDE)
    domain = RasaFiles(folder).domain
    _, output = told(folder)

    assert domain.rasa is not None
    assert domain.templates["utter_a"][0]["text"] == "Other."
    assert domain.templates["utter_more"][0]["text"] == "More."
    assert domain.rasa.forms["x_form"].required_slots == domain.rasa.forms["y_form"].required_slots == ("x",)
    assert not domain.rasa.forms["x_form"].of_rasa_2
    counts = ", which counts. Remove the other. [not-read]"
    assert (
        f"forms.yml:4: warning: 'x_form' in forms: is another one than that at {folder}/domain.yml:8{counts}" in output
    )
    assert f"'utter_a' in responses: is another one than that at {folder}/domain.yml:10, and this one counts." in output


def test_responses_in_training_data_are_said_as_in_each_rasa(tmp_path: Path) -> None:
    """Rasa 3 says the responses in the training data, and Rasa 2 the responses in the domain."""
    said = {}
    for version in ("3.1", "2.0"):
        domain = f'version: "{version}"\nintents: [a]\nresponses: {{utter_a: [{{text: domain}}]}}'
        folder = write(tmp_path / version, domain=domain, data__more=BESIDE.replace("2.0", version))
        said[version] = RasaFiles(folder).domain.templates["utter_a"][0]["text"]
    assert said == {"3.1": "Other.", "2.0": "domain"}


def test_a_wrong_domain_beside_the_domain_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    beside = BESIDE.replace('"2.0"', '"3.1"').replace(
        "y_form: {required_slots: [x]}", "y_form: {required_slots: {x: []}}"
    )
    folder = write(tmp_path, domain=DOMAIN, data__all=RULES, data__forms=beside)
    domain = RasaFiles(folder).domain

    assert caplog.text.count("The domain does without it.") == 1
    assert domain.templates["utter_more"][0]["text"] == "More."
    assert domain.rasa is not None
    assert "y_form" not in domain.rasa.forms
    _, output = told(folder)
    assert "forms.yml:6: warning: required_slots: of the form 'y_form' is a list of slots" in output
    assert "The domain does without it. [not-read]" in output


def test_two_domain_files_that_disagree_stay_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path, domain=DOMAIN, domain__more=BESIDE.replace('"2.0"', '"3.1"'), data__all=RULES)
    with pytest.raises(DomainError, match=r"more\.yml:4: 'x_form' in forms: is another one than that at"):
        _ = RasaFiles(folder).domain


def test_a_domain_without_a_version_whose_slots_have_no_mappings_is_one_of_rasa_2(tmp_path: Path) -> None:
    domain = "intents: [a]\nentities: [x]\nslots: {x: {type: text}}\nresponses: {utter_a: [{text: '{x}'}]}\n"
    folder = write(tmp_path, domain=domain, data__all="rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]")

    assert say(trained(folder), '/a{"x": "1"}') == ["1"]
    assert told(folder) == (0, "0 errors, 0 warnings.\n")


def test_an_empty_list_of_slots_is_told_unless_it_is_written(tmp_path: Path) -> None:
    for written, count in (("", 1), (" []", 0)):
        domain = DOMAIN.replace("{required_slots: [x]}", f"\n    required_slots:{written}")
        _, output = told(write(tmp_path, domain=domain, data__all=RULES))
        assert output.count("domain.yml:9: warning: required_slots: of the form 'x_form' is empty") == count


def test_a_response_beside_responses_is_told_to_be_indented(tmp_path: Path) -> None:
    _, output = told(write(tmp_path, domain=DOMAIN + "utter_d: [{text: D.}]\n", data__all=RULES))
    assert "domain.yml:13: warning: nothing reads the key 'utter_d'. Indent it below responses:, to be said." in output
