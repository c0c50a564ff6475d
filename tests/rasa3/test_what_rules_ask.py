"""Conditions of rules and stories on slots, entities and loops, where Rasa 3.6 differs from what their text says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from rasa3_bots import say, trained, write

from rasa_core.agent import Agent
from rasa_core.exceptions import ModelError

HEAD: Final = """
version: "3.1"
intents: [a, b, c, go, chat]
entities: [x, y, {city: {roles: [from, to]}}]
responses:
  utter_a: [{text: A}]
  utter_b: [{text: B}]
  utter_c: [{text: C}]
  utter_chat: [{text: Chat}]
  utter_default: [{text: "?"}]
  utter_ask_s: [{text: "S?"}]
"""

# Each has slots and forms, stories and rules, config.yml, and a line of messages with what is said.
SET_LONG_AGO = (
    """
    slots:
      s: {type: text, mappings: [{type: from_intent, intent: go, value: set}]}
      t: {type: bool, mappings: [{type: from_intent, intent: c, value: true}]}
    """,
    """
    stories:
    - story: one
      steps: [{intent: c}, {slot_was_set: [{t: true}]}, {action: utter_c}, {intent: a}, {action: utter_a},
        {intent: b}, {action: utter_b}]
    rules: [{rule: go, steps: [{intent: go}, {action: utter_chat}]}]
    """,
)

BOTS: Final[dict[str, tuple[str, str, str, str]]] = {
    "an entity of a story fills the slot that it is mapped to, whatever this is called": (
        "slots: {s: {type: text, mappings: [{type: from_entity, entity: x}]}}",
        "stories: [{story: s, steps: [{intent: a, entities: [x]}, {action: utter_a}, {intent: b}, {action: utter_b}]}]",
        "",
        '/a{"x": "1"} => A | /b => B',
    ),
    "an entity of a story fills no slot that it is not mapped to": (
        "slots: {x: {type: text, mappings: [{type: from_text, intent: c}]}}",
        "stories: [{story: one, steps: [{intent: a, entities: [{x: 1}]}, {action: utter_a}]}]",
        "",
        '/a{"x": "1"} => A',
    ),
    "a story takes mappings of an entity without their intents": (
        "slots: {s: {type: text, mappings: [{type: from_entity, entity: x, intent: b}]}}",
        "stories: [{story: one, steps: [{intent: a, entities: [x]}, {action: utter_a}]}]",
        "",
        '/a{"x": "1"} => ?',
    ),
    "an entity of a rule fills its slot, too": (
        "slots: {s: {type: text, mappings: [{type: from_entity, entity: x, intent: b}]}}",
        "rules: [{rule: one, steps: [{intent: a, entities: [x]}, {action: utter_a}]}]",
        "",
        '/a{"x": "1"} => ? | /b{"x": "1"} => ? | /a{"x": "2"} => ?',
    ),
    "no message fills a slot with an empty list of mappings": (
        "slots: {x: {type: text, mappings: []}}",
        "stories: [{story: one, steps: [{intent: a}, {action: utter_a}]}]",
        "",
        "/a => A | /b => ?",
    ),
    "a history of 0 is the whole conversation": (
        "{}",
        """
        stories:
        - story: long
          steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}, {intent: c}, {action: utter_c}]
        - story: other
          steps: [{intent: b}, {action: utter_chat}, {intent: b}, {action: utter_b}, {intent: c}, {action: utter_a}]
        """,
        "policies: [{name: MemoizationPolicy, max_history: 0}, {name: RulePolicy}]",
        "/a => A | /b => B | /c => C | /c => ?",
    ),
    "a condition of a list that is null asks for one that is not set": (
        "slots: {s: {type: list, mappings: [{type: from_entity, entity: x}]}}",
        "rules: [{rule: one, condition: [{slot_was_set: [{s: null}]}], steps: [{intent: a}, {action: utter_a}]}]",
        "",
        '/a => A | /a{"x": "1"} => ?',
    ),
    "a response without variants says nothing": (
        "responses: {utter_later: []}",
        "rules: [{rule: one, steps: [{intent: a}, {action: utter_later}, {action: utter_a}]}]",
        "",
        "/a => A",
    ),
    "a rule that names entities allows no others": (
        "{}",
        """
        rules:
        - rule: x
          steps: [{intent: a, entities: [{x: 1}]}, {action: utter_a}]
        - rule: none
          steps: [{intent: b}, {action: utter_b}]
        """,
        "",
        '/a{"x": "1"} => A | /a{"x": "1", "y": "2"} => ? | /b{"x": "1", "y": "2"} => B',
    ),
    "a value without a feature asks nothing of a slot, and none asks that it is not set": (
        "slots: {s: {type: bool, mappings: [{type: from_entity, entity: x}]}}",
        """
        rules:
        - rule: neither
          condition: [{slot_was_set: [{s: perhaps}]}]
          steps: [{intent: a}, {action: utter_a}]
        - rule: none
          condition: [{slot_was_set: [{s: null}]}]
          steps: [{intent: b}, {action: utter_b}]
        """,
        "",
        '/a => A | /b{"x": true} => ? | /a{"x": true} => A',
    ),
    "the rule for the beginning wins over one for always, which is as long": (
        "{}",
        """
        rules:
        - rule: always
          steps: [{intent: a}, {action: utter_a}]
        - rule: first
          conversation_start: true
          steps: [{intent: a}, {action: utter_b}]
        """,
        "",
        "/a => B | /a => A",
    ),
    "a loop that only rules name keeps a story from going on, unless rules are checked": (
        """
        slots: {s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}}
        forms: {f: {required_slots: [s]}}
        """,
        """
        stories: [{story: one, steps: [{intent: a}, {action: utter_a}]}]
        rules: [{rule: go, steps: [{intent: go}, {action: f}, {active_loop: f}]}]
        """,
        "policies: [{name: MemoizationPolicy, max_history: 1}, {name: RulePolicy, check_for_contradictions: false}]",
        "/go => S? | /a => ?",
    ),
    "a loop that begins and ends in one turn of a story is one that only rules name": (
        """
        slots: {s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}}
        forms: {f: {required_slots: [s]}}
        """,
        """
        stories:
        - story: one
          steps: [{intent: a}, {action: utter_a}]
        - story: form
          steps: [{intent: go}, {action: f}, {active_loop: f}, {active_loop: null}, {action: utter_b}]
        rules: [{rule: go, steps: [{intent: go}, {action: f}, {active_loop: f}]}]
        """,
        "policies: [{name: MemoizationPolicy, max_history: 1}, {name: RulePolicy}]",
        "/go => S? | /a => A",
    ),
    "a slot with a value from the beginning is one that stories know": (
        "slots: {s: {type: text, initial_value: one, mappings: [{type: from_entity, entity: x}]}}",
        """
        stories: [{story: one, steps: [{intent: a}, {action: utter_a}]}]
        rules:
        - rule: unset
          condition: [{slot_was_set: [{s: null}]}]
          steps: [{intent: b}, {action: utter_b}]
        """,
        "policies: [{name: MemoizationPolicy, max_history: 1}, {name: RulePolicy}]",
        '/a => A | /b{"x": null} => B | /a => ?',
    ),
    "an augmented memory begins at no message that a hidden turn has answered": (
        """
        slots: {s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}}
        forms: {f: {required_slots: [s]}}
        """,
        """
        stories:
        - story: form
          steps: [{intent: go}, {action: f}, {active_loop: f}, {active_loop: null}, {action: utter_b}]
        - story: form with other talk
          steps: [{intent: go}, {action: f}, {active_loop: f}, {intent: c}, {action: utter_c}, {action: f},
            {active_loop: null}, {action: utter_b}]
        rules: [{rule: chat, steps: [{intent: chat}, {action: utter_chat}]}]
        """,
        "policies: [{name: AugmentedMemoizationPolicy}, {name: RulePolicy}]",
        '/go => S? | /chat => Chat, S? | /b{"x": "1"} => ?',
    ),
    "an augmented memory of 2 states forgets what was set before two more": (
        *SET_LONG_AGO,
        "policies: [{name: AugmentedMemoizationPolicy, max_history: 2}, {name: RulePolicy}]",
        "/go => Chat | /c => C | /a => A | /b => ?",
    ),
    "an augmented memory of 4 states forgets what was set before two more": (
        *SET_LONG_AGO,
        "policies: [{name: AugmentedMemoizationPolicy, max_history: 4}, {name: RulePolicy}]",
        "/go => Chat | /c => C | /a => A | /b => B",
    ),
    "an augmented memory that forgets what was set looks at no more states than it remembers": (
        "slots: {s: {type: text, mappings: [{type: from_entity, entity: x}]}}",
        """
        stories: [{story: one, steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]}]
        rules: [{rule: chat, steps: [{intent: chat}, {action: utter_chat}]}]
        """,
        "policies: [{name: AugmentedMemoizationPolicy, max_history: 2}, {name: RulePolicy}]",
        '/chat{"x": "1"} => Chat | /c => ? | /a => A',
    ),
}


@pytest.mark.parametrize("name", BOTS)
def test_what_is_said(name: str, tmp_path: Path) -> None:
    domain, data, config, talk = BOTS[name]
    agent = trained(
        write(
            tmp_path,
            domain__head=HEAD,
            domain__own=domain,
            data__all=data,
            **({"config": config} if config else {}),
        )
    )

    for turn in talk.split(" | "):
        message = turn.split(" =>")[0]
        assert f"{message} => {', '.join(say(agent, message))}".strip() == turn


def test_a_rule_in_whose_place_another_decides_hides_no_turn(tmp_path: Path) -> None:
    rules = """
    rules:
    - rule: outside
      condition: [{active_loop: null}]
      steps: [{intent: a}, {action: utter_a}]
    - rule: always
      steps: [{intent: a}, {action: utter_a}]
    - rule: go
      steps: [{intent: go}, {action: f}, {active_loop: f}]
    """
    form = """
    slots: {s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}}
    forms: {f: {required_slots: [s]}}
    """
    agent: Agent = trained(write(tmp_path, domain__head=HEAD, domain__own=form, data__all=rules))
    say(agent, "/a", "/go", "/a")

    actions = [event.as_dict() for event in agent.read_tracker("ada").events if event.type_name == "action"]
    hidden = [(action["name"], action.get("hide_rule_turn", False)) for action in actions]
    assert hidden[2:4] == [("utter_a", True), ("action_listen", True)]
    assert hidden[6:7] == [("utter_a", False)]


def hidden_of(agent: Agent, *texts: str) -> list[tuple[str, bool]]:
    """Send messages, and return the actions since the first, each with whether its turn is hidden."""
    say(agent, *texts)
    actions = [event.as_dict() for event in agent.read_tracker("ada").events if event.type_name == "action"]
    return [(action["name"], action.get("hide_rule_turn", False)) for action in actions][2:]


def test_a_rule_with_several_messages_is_hidden_where_it_waits_for_one_too(tmp_path: Path) -> None:
    rules = """
    rules:
    - rule: long
      steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]
    """
    config = "policies: [{name: RulePolicy, restrict_rules: false}]"
    agent = trained(write(tmp_path, domain__head=HEAD, data__all=rules, config=config))
    waits = [("utter_a", True), ("action_listen", True), ("utter_b", True), ("action_listen", True)]
    assert hidden_of(agent, "/a", "/b") == waits


SURE: Final = "policies: [{name: MemoizationPolicy}, {name: RulePolicy, core_fallback_threshold: 1.0}]"
FORM: Final = """
    slots: {s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}}
    forms: {f: {required_slots: [s]}}
"""


def test_no_story_shares_a_rule_that_the_fallback_beats(tmp_path: Path) -> None:
    data = """
    stories: [{story: one, steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]}]
    rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]
    """
    agent = trained(write(tmp_path, domain__head=HEAD, data__all=data, config=SURE))
    assert hidden_of(agent, "/a")[0] == ("action_default_fallback", True)


def test_a_form_that_the_fallback_beats_contradicts_no_story(tmp_path: Path) -> None:
    data = """
    stories:
    - story: form
      steps: [{intent: go}, {action: f}, {active_loop: f}, {intent: b}, {action: utter_b}, {intent: a}, {action: f},
        {active_loop: null}, {action: utter_c}]
    rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]
    """
    parts = {"domain__head": HEAD, "domain__own": FORM, "data__all": data}
    trained(write(tmp_path / "sure", **parts, config=SURE))
    with pytest.raises(ModelError, match="the story says 'f', but the rule"):
        trained(write(tmp_path / "as_always", **parts))


@pytest.mark.parametrize(
    ("policy", "sure"),
    [
        ("RulePolicy", "/a@0.2 => ? | /a@0.4 => A"),
        ("RulePolicy, use_nlu_confidence_as_score: false", "/a@0.2 => A | /a@0.4 => A"),
        ("RulePolicy, use_nlu_confidence_as_score: true, core_fallback_threshold: 0.5", "/a@0.4 => ? | /a@0.6 => A"),
    ],
)
def test_rules_are_as_sure_as_the_interpreter_where_that_is_wanted(policy: str, sure: str, tmp_path: Path) -> None:
    wanted = policy if "," in policy else f"{policy}, use_nlu_confidence_as_score: true"
    rules = "rules: [{rule: one, steps: [{intent: a}, {action: utter_a}]}]"
    agent = trained(write(tmp_path, domain__head=HEAD, data__all=rules, config=f"policies: [{{name: {wanted}}}]"))
    for turn in sure.split(" | "):
        message = turn.split(" =>")[0]
        assert f"{message} => {', '.join(say(agent, message))}" == turn


@pytest.mark.parametrize("memory", ["MemoizationPolicy", "AugmentedMemoizationPolicy"])
def test_a_memory_is_as_sure_as_the_interpreter_where_that_is_wanted(memory: str, tmp_path: Path) -> None:
    stories = "stories: [{story: one, steps: [{intent: a}, {action: utter_a}]}]"
    config = f"policies: [{{name: {memory}, use_nlu_confidence_as_score: true}}, {{name: RulePolicy}}]"
    agent = trained(write(tmp_path, domain__head=HEAD, data__all=stories, config=config))
    said = {message: say(agent, message, sender=message) for message in ("/a@0.2", "/a@0.4")}
    assert said == {"/a@0.2": ["?"], "/a@0.4": ["A"]}
