"""Small projects of Rasa 3, each with one conversation, and the messages that Rasa sends in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from rasa3_bots import say, trained, write

from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.commands.check import command
from rasa_core.exceptions import DomainError, ModelError
from rasa_core.project import Project

HEAD: Final = """
version: "3.1"
intents: [a, b, c, d, go, chat, stop, "yes", "no", nlu_fallback]
entities: [x, y, {city: {roles: [from, to]}}]
responses:
  utter_a: [{text: A}]
  utter_b: [{text: B}]
  utter_c: [{text: C}]
  utter_chat: [{text: Chat}]
  utter_end: [{text: "{s} {t}"}]
  utter_ask_s: [{text: S?}]
  utter_ask_t: [{text: T?}]
  utter_continue: [{text: Go on?}]
  utter_stopped: [{text: Stopped}]
"""
FORM: Final = """
slots:
  s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}
  t: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: y}]}
forms: {f: {required_slots: [s, t]}}
"""
BEGIN: Final = """
rules:
- rule: begin
  steps: [{intent: go}, {action: f}, {active_loop: f}]
- rule: end
  condition: [{active_loop: f}]
  steps: [{action: f}, {active_loop: null}, {action: utter_end}]
- rule: chat
  steps: [{intent: chat}, {action: utter_chat}]
"""
ASKED: Final = """
stories:
- story: stopped, and went on
  steps: &begin
  - intent: go
  - action: f
  - active_loop: f
  - intent: stop
  - action: utter_continue
  - intent: "yes"
  - action: f
  - active_loop: null
  - action: utter_end
- story: stopped
  steps:
  - intent: go
  - action: f
  - active_loop: f
  - intent: stop
  - action: utter_continue
  - intent: "no"
  - action: action_deactivate_loop
  - active_loop: null
  - action: utter_stopped
""".replace(" &begin", "")

LONG: Final = """
stories:
- story: long
  steps: [{intent: a}, {action: utter_a}, {intent: chat}, {action: utter_chat}, {intent: chat},
    {action: utter_chat}, {intent: chat}, {action: utter_chat}, {intent: d}, {action: utter_b}]
- story: long, too
  steps: [{intent: b}, {action: utter_a}, {intent: chat}, {action: utter_chat}, {intent: chat},
    {action: utter_chat}, {intent: chat}, {action: utter_chat}, {intent: d}, {action: utter_c}]
"""

# Each has a domain, stories and rules, and a line for each message: what is said, and what the answer is.
PROJECTS: Final[dict[str, tuple[str, str, str]]] = {
    "stories that contradict each other leave the others certain": (
        "",
        """
        stories:
        - story: a then a
          steps: [{intent: a}, {action: utter_a}]
        - story: a then b
          steps: [{intent: a}, {action: utter_b}]
        - story: b
          steps: [{intent: b}, {action: utter_b}]
        """,
        "/a => | /b => B | /b =>",
    ),
    "a rule for the beginning beside one for always": (
        "",
        """
        rules:
        - rule: first
          conversation_start: true
          steps: [{intent: a}, {action: utter_b}]
        - rule: always
          steps: [{intent: a}, {action: utter_a}]
        """,
        "/a => B | /a => A | /restart => | /a => B",
    ),
    "a rule that does not wait": (
        "",
        """
        rules:
        - rule: and more
          wait_for_user_input: false
          steps: [{intent: a}, {action: utter_a}]
        - rule: more
          steps: [{action: utter_a}, {action: utter_c}]
        """,
        "/a => A, C | /a => A, C",
    ),
    "a form is asked whether it is to go on, and goes on": (
        FORM,
        BEGIN + ASKED,
        '/go => S? | /stop => Go on? | /yes => S? | /b{"x": "1"} => T? | /b{"y": "2"} => 1 2',
    ),
    "a form is asked whether it is to go on, and stops": (
        FORM,
        BEGIN + ASKED,
        "/go => S? | /stop => Go on? | /no => Stopped | /chat => Chat | /go => S?",
    ),
    "a form is asked whether it is to go on, and is answered": (
        FORM,
        BEGIN + ASKED,
        '/go => S? | /stop => Go on? | /b{"x": "1"} =>',
    ),
    "a rule inside of a form that does not name it": (
        FORM,
        BEGIN + "- rule: inside\n  condition: [{active_loop: f}]\n  steps: [{intent: c}, {action: utter_c}]\n",
        '/go => S? | /c => C | /b{"x": "1"} =>',
    ),
    "a rule inside of a form that names it": (
        FORM,
        BEGIN
        + "- rule: inside\n  condition: [{active_loop: f}]\n"
        + "  steps: [{intent: c}, {action: utter_c}, {action: f}, {active_loop: f}]\n",
        '/go => S? | /c => C, S? | /b{"x": "1"} => T?',
    ),
    "a rule outside of forms": (
        FORM,
        BEGIN
        + "- rule: outside\n  condition: [{active_loop: null}]\n  steps: [{intent: c}, {action: utter_c}]\n"
        + "- rule: stop\n  condition: [{active_loop: f}]\n"
        + "  steps: [{intent: stop}, {action: action_deactivate_loop}, {active_loop: null}]\n",
        '/c => C | /go => S? | /c => | /b{"x": "1"} => T? | /stop => | /c => C | /go => T?',
    ),
    "going back inside of a form ends it": (
        FORM,
        BEGIN,
        '/go => S? | /b{"x": "1"} => T? | /back => | /b{"y": "1"} => | /go{"x": "2"} => T?',
    ),
    "the intent that began a form, and what it never takes": (
        """
        slots:
          s: {type: text, influence_conversation: false, mappings: [
            {type: from_trigger_intent, intent: go, value: went}, {type: from_trigger_intent, intent: a, value: first}]}
          t: {type: text, influence_conversation: false, mappings: [
            {type: from_entity, entity: x, not_intent: [c]}, {type: from_intent, intent: "no", value: none,
             conditions: [{active_loop: f, requested_slot: t}]}]}
        forms: {f: {required_slots: [s, t], ignored_intents: [chat]}}
        """,
        BEGIN + "- rule: other\n  steps: [{intent: a}, {action: f}, {active_loop: f}]\n",
        '/no => | /a => T? | /c{"x": "1"} => | /chat{"x": "1"} => Chat, T? | /no => first none',
    ),
    "conditions on the loop and on what it asks": (
        """
        slots:
          s: {type: text, influence_conversation: false, mappings: [
            {type: from_text, conditions: [{active_loop: f, requested_slot: s}]}]}
          t: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x,
            conditions: [{active_loop: null}, {active_loop: f, requested_slot: t}]}]}
        forms: {f: {required_slots: [s, t]}}
        """,
        BEGIN,
        '/go => S? | /b{"x": "1"} => T? | /chat => Chat, T? | /b{"x": "2"} => /b{"x": "1"} 2',
    ),
    "roles in mappings and stories": (
        """
        slots:
          s: {type: text, mappings: [{type: from_entity, entity: city, role: from}]}
          t: {type: text, mappings: [{type: from_entity, entity: city}]}
        """,
        """
        stories:
        - story: with a role
          steps:
          - intent: a
            entities: [{city: Rome, role: from}]
          - slot_was_set: [s]
          - action: utter_end
        - story: without
          steps:
          - intent: a
            entities: [{city: Rome}]
          - slot_was_set: [t]
          - action: utter_b
        """,
        '/a{"city": "Oslo"} => B',
    ),
    "or of slots, and checkpoints": (
        "slots: {s: {type: categorical, values: [one, two, three], mappings: [{type: from_entity, entity: x}]}}",
        """
        stories:
        - story: one or two
          steps:
          - intent: a
            entities: [x]
          - or: [{slot_was_set: [{s: one}]}, {slot_was_set: [{s: two}]}]
          - action: utter_a
          - checkpoint: after
        - story: three
          steps:
          - intent: a
            entities: [x]
          - slot_was_set: [{s: three}]
          - action: utter_b
          - checkpoint: after
        - story: then
          steps: [{checkpoint: after}, {or: [{intent: b}, {intent: c}]}, {action: utter_c}]
        """,
        '/a{"x": "TWO"} => A | /c => C',
    ),
    "one entity for two slots of a form": (
        """
        slots:
          s: {type: text, influence_conversation: false, mappings: [
            {type: from_entity, entity: city, role: from}, {type: from_entity, entity: city}]}
          t: {type: text, influence_conversation: false, mappings: [
            {type: from_entity, entity: city, role: to}, {type: from_entity, entity: city}]}
        forms: {f: {required_slots: [s, t]}}
        """,
        BEGIN,
        '/go => S? | /b{"city": "Oslo"} => T? | /b{"city": "Rome"} => Oslo Rome',
    ),
    "what stories say without an action": (
        "{e2e_actions: [{text}]}".replace("{text}", '"Hello {s}!"'),
        """
        stories:
        - story: said as it stands
          steps: [{intent: a}, {bot: "Hello {s}!"}, {intent: b}, {bot: Well?}, {action: utter_b}]
        rules:
        - rule: also in rules
          steps: [{intent: c}, {bot: Well?}]
        """,
        "/a => Hello {s}! | /b => Well?, B | /c => Well?",
    ),
    "forms of Rasa 2 take an entity before its slot is asked for, unless two slots do": (
        """
        version: "2.0"
        slots: {s: {type: text, auto_fill: false}, t: {type: text, auto_fill: false}, u: {type: text}}
        forms:
          f:
            s: [{type: from_entity, entity: x}]
            t: [{type: from_entity, entity: y, intent: [go, b]}]
          g: {u: [{type: from_entity, entity: x}], s: [{type: from_entity, entity: x}]}
        responses: {utter_ask_u: [{text: U?}]}
        """,
        BEGIN + "- rule: g\n  steps: [{intent: d}, {action: g}, {active_loop: g}]\n",
        '/go{"y": "2"} => S? | /b{"x": "1"} => 1 2 | /d => U? | /b{"x": "3"} =>',
    ),
    "what influences a story": (
        """
        slots:
          s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}
          t: {type: text, mappings: [{type: from_entity, entity: y}]}
        """,
        """
        stories:
        - story: x
          steps: [{intent: a, entities: [x]}, {action: utter_a}, {intent: b}, {action: utter_b}]
        """,
        '/a{"x": "1"} => A | /b{"y": "1"} => | /b => B',
    ),
    "conditions of responses, and channels": (
        """
        slots: {s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}}
        responses:
          utter_level:
          - {text: Hello.}
          - {text: "Hello, gold!", condition: [{type: slot, name: s, value: gold}]}
          - {text: Hello in Slack., channel: slack}
          utter_secret: [{text: Open sesame., condition: [{type: intent, name: a}]}]
        """,
        """
        rules:
        - rule: level
          steps: [{intent: a}, {action: utter_level}]
        - rule: no value
          steps: [{intent: b}, {action: utter_secret}]
        """,
        '/a => Hello. | /a{"x": "GOLD"} => Hello, gold! | /a{"x": "silver"} => Hello. | /b => | /a => Hello.',
    ),
    "what was not understood is asked twice": (
        'responses: {utter_ask_rephrase: [{text: "Again?"}], utter_default: [{text: Sorry.}]}',
        """
        rules:
        - rule: ask
          steps: [{intent: nlu_fallback}, {action: action_two_stage_fallback}, {active_loop: action_two_stage_fallback}]
        - rule: a
          steps: [{intent: a}, {action: utter_a}]
        """,
        "/nlu_fallback => Did you mean 'nlu_fallback'? | /out_of_scope => Again? | /a => A | /nlu_fallback => "
        "Did you mean 'nlu_fallback'? | /nlu_fallback => Sorry. | /b => Sorry. | /nlu_fallback => Did you mean "
        "'nlu_fallback'? | /out_of_scope => Again? | /out_of_scope => Again?",
    ),
    "what a form ignores, and what begins it, for all slots": (
        """
        slots:
          s: {type: text, influence_conversation: false, mappings: [
            {type: from_trigger_intent, intent: go, value: went, conditions: [{active_loop: f, requested_slot: s}]}]}
          t: {type: text, influence_conversation: false, mappings: [
            {type: from_entity, entity: x, conditions: [{active_loop: f}]}, {type: from_intent, intent: d, value: d}]}
          u: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}
          v: {type: text, influence_conversation: false, mappings: [
            {type: from_text, conditions: [{requested_slot: t}]}]}
        forms: {f: {required_slots: [t], ignored_intents: [chat, d]}}
        responses: {utter_all: [{text: "{s} {t} {u} {v}"}]}
        """,
        BEGIN.replace("utter_end", "utter_all"),
        '/b => | /go => T? | /chat{"x": "1"} => Chat, T? | /d{"x": "2"} => went d None /go',
    ),
    "null from one mapping lets the next one fill a slot": (
        """
        slots:
          s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}, {type: from_text}]}
          t: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: y}]}
        """,
        "rules: [{rule: a, steps: [{intent: a}, {action: utter_end}]}]",
        '/a{"x": null} => /a{"x": null} None | /a{"x": null} => None None',
    ),
    "a domain of Rasa 2": (
        """
        version: "2.0"
        slots: {s: {type: text}, x: {type: text}, t: {type: text, auto_fill: false, influence_conversation: false}}
        forms:
          f:
            s: [{type: from_entity, entity: y}, {type: from_text, intent: chat}]
            t: [{type: from_text, not_intent: [chat]}]
        """,
        BEGIN,
        '/go => S? | /chat => T? | /b{"x": "1"} => /chat /b{"x": "1"}',
    ),
}


def project(folder: Path, name: str) -> Agent:
    domain, data, _ = PROJECTS[name]
    head = HEAD.replace('version: "3.1"', "") if "version:" in domain else HEAD
    return trained(write(folder, domain__head=head, domain__own=domain or "{}", data__all=data))


@pytest.mark.parametrize("name", PROJECTS)
def test_what_is_said(name: str, tmp_path: Path) -> None:
    agent, turns = project(tmp_path, name), PROJECTS[name][2].split(" | ")

    for turn in turns:
        message = turn.split(" =>")[0]
        assert f"{message} => {', '.join(say(agent, message))}".strip() == turn


@pytest.mark.parametrize(("kind", "again"), [("MemoizationPolicy", []), ("AugmentedMemoizationPolicy", ["A"])])
def test_a_memory_without_a_limit_knows_whole_conversations(kind: str, again: list[str], tmp_path: Path) -> None:
    config = f"policies: [{{name: {kind}}}, {{name: RulePolicy}}]"
    agent = trained(write(tmp_path, config=config, domain=HEAD, data__all=LONG))
    agent.persist(tmp_path / "model")
    for bot, sender in ((agent, "ada"), (Agent.load(tmp_path / "model"), "bob")):
        told = [say(bot, text, sender=sender) for text in ("/a", *["/chat"] * 3, "/d", "/a")]
        assert told == [["A"], *[["Chat"]] * 3, ["B"], again]
        told = [say(bot, text, sender=f"{sender} 2") for text in ("/b", *["/chat"] * 3, "/d")]
        assert told == [["A"], *[["Chat"]] * 3, ["C"]]


@pytest.mark.parametrize(("kind", "chat"), [("MemoizationPolicy", []), ("AugmentedMemoizationPolicy", ["Chat"])])
def test_an_augmented_memory_forgets_that_a_form_is_going_on(kind: str, chat: list[str], tmp_path: Path) -> None:
    story = """
    stories:
    - story: chat
      steps: [{intent: chat}, {action: utter_chat}]
    - story: a form that not only rules name
      steps: [{intent: d}, {action: f}, {active_loop: f}]
    """
    rules = BEGIN.partition("- rule: chat")[0]
    config = f"policies: [{{name: {kind}, max_history: 5}}, {{name: RulePolicy}}]"
    agent = trained(write(tmp_path, config=config, domain__head=HEAD, domain__own=FORM, data__s=story, data__r=rules))
    assert [say(agent, text) for text in ("/go", "/chat")] == [["S?"], chat]


@pytest.mark.parametrize(("limit", "code"), [("", 0), (", max_history: 5", 1), (", max_history: 12", 0)])
def test_a_check_compares_as_much_as_the_memory_does(limit: str, code: int, tmp_path: Path) -> None:
    config = f"policies: [{{name: MemoizationPolicy{limit}}}, {{name: RulePolicy}}]"
    result = CliRunner().invoke(command, [str(write(tmp_path, config=config, domain=HEAD, data__all=LONG))])
    assert (result.exit_code, "[contradiction]" in result.output) == (code, bool(code)), result.output


OLD: Final = """
version: "2.0"
intents: [{hi: {triggers: utter_a}}, {bye: {triggers: utter_b}}, {chat: {triggers: utter_c}}]
responses: {utter_a: [{text: A}], utter_b: [{text: B}], utter_c: [{text: C}]}
"""


def test_what_policies_of_rasa_2_did_is_done_by_rules(tmp_path: Path) -> None:
    config = """
    pipeline: [{name: KeywordIntentClassifier}]
    policies:
    - name: MemoizationPolicy
    - name: MappingPolicy
    - {name: FallbackPolicy, nlu_threshold: 0.6, fallback_action_name: utter_b}
    """
    stories = "stories: [{story: chat, steps: [{intent: chat}, {action: utter_b}]}]"
    agent = trained(write(tmp_path, config=config, domain=OLD, data__all=stories))
    # The story wins over the trigger where it fits, which is at the beginning.
    assert [say(agent, text) for text in ("/hi", "/chat", "/nlu_fallback", "/bye")] == [["A"], ["C"], ["B"], ["B"]]
    assert say(agent, "/chat", sender="bob") == ["B"]
    assert "unused-intent" not in CliRunner().invoke(command, [str(tmp_path)]).output


MARKDOWN: Final = """
## happy path
* hi
  - ask_form
  - form{"name": "ask_form"}
  - slot{"requested_slot": null}
  - form{"name": null}
  - utter_a

## chat in the form
* hi
  - ask_form
  - form{"name": "ask_form"}
* chat
  - utter_c
  - ask_form
  - form{"name": null}
  - utter_a
"""


def test_a_project_of_rasa_2_may_have_stories_in_markdown(tmp_path: Path) -> None:
    domain = """
        version: "2.0"
        intents: [hi, bye, chat]
        entities: [name]
        slots: {name: {type: text, influence_conversation: false}}
        forms: {ask_form: {required_slots: {name: [{type: from_entity, entity: name}]}}}
        responses:
          utter_a: [{text: "A {name}"}]
          utter_b: [{text: B}]
          utter_c: [{text: C}]
          utter_ask_name: [{text: "Name?"}]
        """
    rules = "rules: [{rule: bye, steps: [{intent: bye}, {action: utter_b}]}]"
    folder = write(tmp_path, config="policies: [MemoizationPolicy, RulePolicy]", domain=domain, data__rules=rules)
    (folder / "data" / "core").mkdir()
    (folder / "data" / "core" / "stories.md").write_text(MARKDOWN, encoding="utf-8")
    (folder / "data" / "stories.md").write_text(
        "## greeted\n* hi\n  - utter_b\n".replace("hi", "chat"), encoding="utf-8"
    )
    project = Project(folder)
    project.train_if_changed(say=lambda line: None)

    agent = Agent.load(project.model)
    assert [say(agent, text) for text in ("/bye", "/hi", "/chat", '/bye{"name": "Bo"}')] == [
        ["B"], ["Name?"], ["C", "Name?"], ["A Bo"],
    ]  # fmt: skip
    assert say(agent, "/chat", sender="eve") == ["B"]
    assert "error" not in CliRunner().invoke(command, [str(folder)]).output.replace("0 errors", "")
    (folder / "data" / "stories.md").unlink()
    assert not Project(folder).dialogue_is_current()


@pytest.mark.parametrize(
    ("others", "answer"), [((), []), (("FormPolicy",), []), (("FallbackPolicy",), ["?"]), (("RulePolicy",), ["?"])]
)
@pytest.mark.parametrize("first", [True, False])
def test_mapped_intents_alone_bring_no_fallback(
    others: tuple[str, ...], answer: list[str], first: bool, tmp_path: Path
) -> None:
    names = ["MappingPolicy", *others] if first else [*others, "MappingPolicy"]
    config = f"policies: [{', '.join(names)}]"
    domain = OLD.replace("{utter_a", "{utter_default: [{text: '?'}], utter_a")
    agent = trained(write(tmp_path, config=config, domain=domain, data__all="stories: []"))
    assert [say(agent, text) for text in ("/hi", "what", "/bye")] == [["A"], answer, ["B"]]


@pytest.mark.parametrize(
    ("version", "name", "data"),
    [
        pytest.param("3.1", "all.yml", "nlu: [{intent: club/fee, examples: '- the fee'}]", id="YAML"),
        pytest.param("2.0", "nlu.md", "## intent:club/fee\n- the fee\n", id="Markdown"),
    ],
)
def test_an_intent_that_messages_ask_in_parts_need_not_be_listed(
    version: str, name: str, data: str, tmp_path: Path
) -> None:
    rules = "rules: [{rule: club, steps: [{intent: club}, {action: utter_a}]}]"
    folder = write(tmp_path, domain=HEAD.replace("3.1", version), data__rules=rules)
    (folder / "data" / name).write_text(data, encoding="utf-8")
    assert say(trained(folder), "/club") == ["A"]


def test_the_fallback_of_rasa_2_is_said_once(tmp_path: Path) -> None:
    config = "policies: [MemoizationPolicy, {name: FallbackPolicy, fallback_action_name: utter_b}]"
    stories = "stories: [{story: hi, steps: [{intent: hi}, {action: utter_a}]}]"
    domain = OLD.replace("{triggers: utter_a}", "{}").replace("{triggers: utter_b}", "{}")
    agent = trained(write(tmp_path, config=config, domain=domain, data__all=stories))
    agent.persist(tmp_path / "model")
    for bot in (agent, Agent.load(tmp_path / "model")):
        assert [say(bot, text, sender="bob") for text in ("/bye", "/bye")] == [["B"], ["B"]]
        assert say(bot, "/hi", sender="eve") == ["A"]


def test_what_mapped_intents_do_is_in_the_history_of_stories(tmp_path: Path) -> None:
    """Rasa 2 hides nothing from the memory of stories, and neither is anything hidden here."""
    stories = "stories: [{story: chat, steps: [{intent: chat}, {action: utter_c}, {intent: chat}, {action: utter_b}]}]"
    config = "policies: [{name: MemoizationPolicy, max_history: 5}, {name: MappingPolicy}]"
    domain = OLD.replace("{triggers: utter_c}", "{}")
    agent = trained(write(tmp_path, config=config, domain=domain, data__all=stories))
    assert [say(agent, text) for text in ("/chat", "/hi", "/chat")] == [["C"], ["A"], []]
    assert [say(agent, text, sender="bob") for text in ("/chat", "/chat")] == [["C"], ["B"]]


def test_rules_beside_mapped_intents_are_checked_for_contradictions(tmp_path: Path) -> None:
    step = "{rule: hi, steps: [{intent: hi}, {action: utter_%s}]}"
    rules = f"rules: [{step % 'a'}, {step % 'b'}]"
    with pytest.raises(ModelError, match="rules contradict one another: this one says 'utter_b', but that at"):
        trained(write(tmp_path, config="policies: [MappingPolicy, RulePolicy]", domain=OLD, data__all=rules))


@pytest.mark.parametrize(
    ("entities", "value"),
    [
        ([{"entity": "city", "role": "to", "value": "Rome"}], "Rome"),
        (
            [{"entity": "city", "role": "to", "value": "Rome"}, {"entity": "city", "group": "1", "value": "Oslo"}],
            "Oslo",
        ),
        ([{"entity": "city", "value": "Rome"}], "Rome"),
    ],
)
def test_an_entity_of_rasa_2_fills_the_slot_of_its_name_whatever_its_role(
    entities: list[dict[str, str]], value: str, tmp_path: Path
) -> None:
    domain = """
    version: "2.0"
    intents: [hi]
    entities: [{city: {roles: [to, to], groups: ["1"]}}]
    slots: {city: {type: text}}
    responses: {utter_a: [{text: "{city}"}]}
    """
    rules = "rules: [{rule: hi, steps: [{intent: hi}, {action: utter_a}]}]"
    agent = trained(write(tmp_path, domain=domain, data__all=rules))
    agent.persist(tmp_path / "model")
    parse = {"text": "x", "intent": {"name": "hi", "confidence": 1.0}, "entities": entities}
    for bot in (agent, Agent.load(tmp_path / "model")):
        channel = RestOutputChannel()
        bot.turns().respond(UserMessage("x", channel, "ada", parse_data=parse))
        assert bot.read_tracker("ada").get_slot("city") == value
        assert [event.value for event in bot.domain.slots_in_story(entities)] == [value]


def test_a_response_that_is_not_called_utter_names_an_action_of_a_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Training takes it, and other rules answer."""
    domain = HEAD.replace("  utter_a:", "  said_a: [{text: Said}]\n  utter_a:")
    rules = "rules:\n" + "".join(
        f"- {{rule: {intent}, steps: [{{intent: {intent}}}, {{action: {action}}}]}}\n"
        for intent, action in (("a", "said_a"), ("b", "utter_b"))
    )
    agent = trained(write(tmp_path, domain=domain, data__rules=rules))
    assert [say(agent, text) for text in ("/a", "/b")] == [[], ["B"]]
    assert "the action 'said_a' is the bot's own, and there is nowhere to run it" in caplog.text


def test_rules_alone_need_no_network(tmp_path: Path) -> None:
    """The default settings name one, and have nothing for it to learn."""
    rules = "rules: [{rule: chat, steps: [{intent: chat}, {action: utter_c}]}]"
    project = Project(write(tmp_path, config="recipe: default.v1", domain=OLD, data__all=rules))
    told: list[str] = []
    project.train_if_changed(say=told.append)
    assert "there are no stories for TEDPolicy to learn from; the rules alone decide." in told
    assert say(Agent.load(project.model), "/chat") == ["C"]


def test_projects_that_config_imports_are_parts_of_the_bot(tmp_path: Path) -> None:
    """The imports of imported projects are read, each once; a project that nobody imports is not read."""
    importer = "importers: [{name: MultiProjectImporter}]\n"
    folder = write(
        tmp_path,
        config=f"{importer}imports: [skills/one, skills/none]\npolicies: [{{name: RulePolicy}}]",
        domain='version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}',
        data__all="rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]",
    )
    for place, intent, settings in (
        ("one", "b", "imports: [../two]\npolicies: [{name: mine.Policy}]"),
        ("two", "c", "imports: [../one]"),
        ("three", "d", ""),
    ):
        skill = folder / "skills" / place
        (skill / "data").mkdir(parents=True)
        (skill / "config.yml").write_text(settings)
        (skill / "domain.yml").write_text(f"intents: [{intent}]\nresponses: {{utter_{intent}: [{{text: {intent}.}}]}}")
        rule = f"rules: [{{rule: {intent}, steps: [{{intent: {intent}}}, {{action: utter_{intent}}}]}}]"
        (skill / "data" / "rules.yml").write_text(rule)
    agent = trained(folder)
    assert [say(agent, f"/{intent}") for intent in "abcd"] == [["A."], ["b."], ["c."], []]
    (folder / "config.yml").write_text((folder / "config.yml").read_text().replace(importer, ""))
    assert "b" not in trained(folder).domain.intents


def test_what_imports_names_and_is_not_there_is_told(tmp_path: Path) -> None:
    """An entry that names no folder or file is told with similar names, in training and in check."""
    importer = "importers: [{name: MultiProjectImporter}]\n"
    folder = write(
        tmp_path,
        config=f"{importer}imports:\n- skills/one\n- skils/one\n- 5\npolicies: [{{name: RulePolicy}}]",
        domain='version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}',
        data__all="rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]",
    )
    (folder / "skills" / "one").mkdir(parents=True)
    file = folder / "config.yml"
    told: list[str] = []
    Project(folder).train_if_changed(say=told.append)
    nowhere = f"left out, as there is no such folder or file beside {file}"
    assert f"{file}:4: skils/one: {nowhere}. Did you mean 'skills/one'?" in told
    assert f"{file}:5: 5: {nowhere}." in told
    result = CliRunner().invoke(command, [str(folder)])
    assert (
        f"config.yml:4: warning: 'skils/one' is {nowhere}. Did you mean 'skills/one'? [unread-import]" in result.output
    )
    assert result.output.count("[unread-import]") == 2
    file.write_text(f"{importer}imports: skils/one\npolicies: [{{name: RulePolicy}}]")  # Where a list is expected.
    result = CliRunner().invoke(command, [str(folder)])
    assert (
        f"config.yml:2: warning: 'skils/one' is {nowhere}. Did you mean 'skills/one'? [unread-import]" in result.output
    )
    file.write_text(f"{importer}imports:\n- skills/one\npolicies: [{{name: RulePolicy}}]")

    file.write_text(file.read_text().replace(importer, ""))
    result = CliRunner().invoke(command, [str(folder)])
    assert (
        "config.yml:2: warning: 'skills/one' is left out, as importers: does not name MultiProjectImporter."
        in result.output
    )
    file.write_text("imports: [no_such_module_of_mine]\npolicies: [{name: RulePolicy}]")
    result = CliRunner().invoke(command, [str(folder)])
    assert f"{file}:1: imports: there is no module 'no_such_module_of_mine'" in result.output


def test_a_domain_beside_the_domain_is_told(tmp_path: Path) -> None:
    """Nothing reads it, as in Rasa; where there is no other, it is named."""
    folder = write(
        tmp_path,
        config="policies: [{name: RulePolicy}]",
        domain='version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}',
        data__all="rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]",
    )
    other = folder / "domain_de.yml"
    other.write_text("intents: [b]")
    told: list[str] = []
    Project(folder).train_if_changed(say=told.append)
    why = "it holds a part of a domain, and only domain.yml, domain/ and data/ are read; move it there."
    assert f"{other}: warning: {why}" in told
    assert f"{other}: warning: {why} [not-read]" in CliRunner().invoke(command, [str(folder)]).output
    (folder / "domain.yml").unlink()
    with pytest.raises(ModelError, match=r"has no domain: .* Name .*domain_de.yml domain.yml, or move it into domain/"):
        Project(folder)


def test_a_project_is_the_same_where_its_files_are_named(tmp_path: Path) -> None:
    """The options of ``rasa train`` name the files; other options are reported, rather than taken for a bot of 0.9."""
    folder = write(
        tmp_path,
        config="policies: [{name: RulePolicy}]",
        domain='version: "3.1"\nintents: [a]\nresponses: {utter_a: [{text: A.}]}',
        data__rules="rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]",
        data__more="stories: [{story: a, steps: [{intent: a}, {action: utter_a}]}]",
        other__domain="intents: [b]",
    )
    for named in ({"domain": "domain.yml", "stories": "data"}, {"domain": folder / "domain.yml"}, {"stories": "data"}):
        assert Project(folder, **named).rasa is not None
    for named in ({"domain": "other/domain.yml"}, {"stories": "data/rules.yml"}, {"stories": "other"}):
        with pytest.raises(ModelError, match=r"a bot of Rasa 2 or 3 is read from domain.yml, domain/ and data/"):
            Project(folder, **named)


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("TEDPolicy", "all policies learn from stories, and there are none; write some, or add RulePolicy"),
        ("UnexpecTEDIntentPolicy", "none of the policies decides here; add RulePolicy for rules"),
    ],
)
def test_policies_that_learn_nothing_are_an_error_with_their_place(tmp_path: Path, policy: str, told: str) -> None:
    rules = "rules: [{rule: r, steps: [{intent: a}, {action: utter_a}]}]"
    project = write(tmp_path, domain=HEAD, data__rules=rules, config=f"policies:\n- name: {policy}\n")

    with pytest.raises(ModelError, match=rf"config\.yml:\d+: {told}"):
        Project(project).train_if_changed(say=lambda line: None)


@pytest.mark.parametrize("factory", ["remot", "{a: 1}", "[a]", "5"])
def test_a_factory_of_actions_that_there_is_none_of_is_an_error_with_its_place(tmp_path: Path, factory: str) -> None:
    domain = f"{HEAD}action_factory: {factory}\n"
    with pytest.raises(DomainError, match=r"domain\.yml:15: unknown action_factory"):
        Project(write(tmp_path, domain=domain)).load_domain()
