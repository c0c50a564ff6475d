"""Policies and forms of Rasa 2 that later versions do not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from rasa3_bots import say, trained, types, write

from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.events import SlotSet
from rasa_core.exceptions import ModelError
from rasa_core.policies.policy import Policy
from rasa_core.policies.rasa2 import RasaFallbackPolicy, RasaMappingPolicy, RasaTwoStageFallbackPolicy
from rasa_core.policies.rules import RulePolicy
from rasa_core.rasa_project.config import read_rasa_config

DOMAIN: Final = """
    version: "2.0"
    intents: [hi, bye, book, inform, {chat: {triggers: utter_chat}}, "yes", out_of_scope]
    entities: [{size: {roles: [low]}}]
    slots:
      size: {type: text, influence_conversation: false}
      colour: {type: text, influence_conversation: false}
      sizes: {type: list, influence_conversation: false}
    forms:
      shirt_form:
        ignored_intents: [bye]
        required_slots:
          size: [{type: from_entity, entity: size}]
          colour: [{type: from_text, not_intent: book}, {type: from_trigger_intent, intent: hi, value: white}]
    responses:
      utter_hi: [{text: Hi}]
      utter_bye: [{text: "Bye {size}"}]
      utter_chat: [{text: Chat}]
      utter_sorry: [{text: Sorry}]
      utter_default: [{text: "?"}]
      utter_ask_size: [{text: Size?}]
      utter_ask_colour: [{text: Colour?}]
      utter_ask_rephrase: [{text: In other words?}]
      utter_done: [{text: "{size} {colour}"}]
"""
STORIES: Final = """
    stories:
    - story: hi
      steps: [{intent: hi}, {action: utter_hi}]
    - story: bye
      steps: [{intent: bye}, {action: utter_bye}]
    - story: shirt
      steps:
      - intent: book
      - action: shirt_form
      - active_loop: shirt_form
      - active_loop: null
      - action: utter_done
    - story: bye in the form
      steps:
      - intent: book
      - action: shirt_form
      - active_loop: shirt_form
      - intent: bye
      - action: utter_bye
      - action: shirt_form
      - active_loop: null
      - action: utter_done
"""
RULES: Final = """
    rules:
    - rule: start
      steps: [{intent: book}, {action: shirt_form}, {active_loop: shirt_form}]
    - rule: submit
      condition: [{active_loop: shirt_form}]
      steps: [{action: shirt_form}, {active_loop: null}, {action: utter_done}]
    - rule: bye
      steps: [{intent: bye}, {action: utter_bye}]
"""


def bot(folder: Path, *policies: str, **files: str) -> Agent:
    parts = {"domain": DOMAIN, "data__all": STORIES, **files}
    return trained(write(folder, config=f"policies: [{', '.join(policies)}]", **parts))


def heard(agent: Agent, intent: str, confidence: float = 1.0, *entities: dict[str, Any], **parse: Any) -> list[str]:
    """Send a message that was understood, and return the texts of the answer."""
    channel = RestOutputChannel()
    found = {"text": "words", "intent": {"name": intent, "confidence": confidence}, "entities": list(entities), **parse}
    agent.turns().respond(UserMessage("words", channel, "ada", parse_data=found))
    return [message["text"] for message in channel.messages]


def slots(agent: Agent) -> dict[str, Any]:
    return {name: value for name, value in agent.read_tracker("ada").current_slot_values().items() if value is not None}


def decided(agent: Agent) -> list[tuple[str, str]]:
    events = [event.as_dict() for event in agent.read_tracker("ada").events]
    return [(event["name"], event["policy"]) for event in events if event["event"] == "action" and event.get("policy")]


@pytest.fixture
def unsure(tmp_path: Path) -> Agent:
    return bot(tmp_path, "MemoizationPolicy", "{name: FallbackPolicy, fallback_action_name: utter_sorry}")


@pytest.mark.parametrize(
    ("confidence", "second", "answer"),
    [(1.0, 0.8, "Hi"), (0.29, 0.0, "Sorry"), (0.31, 0.0, "Hi"), (0.5, 0.45, "Sorry")],
)
def test_the_fallback_looks_at_the_parse_of_each_message(
    unsure: Agent, confidence: float, second: float, answer: str
) -> None:
    ranking = [{"name": "hi", "confidence": confidence}, {"name": "bye", "confidence": second}]
    assert heard(unsure, "hi", confidence, intent_ranking=ranking) == [answer]
    if answer == "Sorry":
        assert decided(unsure) == [("utter_sorry", "RasaFallbackPolicy"), ("action_listen", "RasaFallbackPolicy")]


def test_why_the_old_policies_decide_is_told(tmp_path: Path) -> None:
    agent = bot(tmp_path, "MappingPolicy", "MemoizationPolicy", "{name: FallbackPolicy, nlu_threshold: 0.4}")
    told = {}
    for intent, confidence in (("hi", 0.2), ("chat", 1.0), ("inform", 0.9)):
        heard(agent, intent, confidence)
        at = max(place for place, one in enumerate(agent.read_tracker("ada").events, 1) if one.type_name == "user")
        told[intent] = {one.policy: one.note for one in agent.explain("ada", at).policies}
    assert told["hi"]["RasaFallbackPolicy"] == "the message has a confidence of 0.200, and the nlu_threshold is 0.4."
    assert told["hi"]["RasaMappingPolicy"] == "the intent triggers nothing."
    assert told["chat"]["RasaMappingPolicy"] == "the intent 'chat' leads to utter_chat."
    assert told["inform"]["RasaFallbackPolicy"] == ("another policy wins if its score exceeds the core_threshold, 0.3.")


def test_what_memory_does_not_know_is_the_core_fallback_and_stays_in_the_history(unsure: Agent) -> None:
    assert heard(unsure, "yes") == ["Sorry"]
    assert heard(unsure, "hi") == ["Sorry"]


def test_a_form_alone_brings_no_fallback_and_goes_on_after_what_it_refused(tmp_path: Path) -> None:
    agent = bot(tmp_path, "MemoizationPolicy", "FormPolicy")
    assert (say(agent, "/yes", sender="bob"), say(agent, "/book")) == ([], ["Size?"])
    assert say(agent, "/yes") == []
    assert say(agent, '/inform{"size": "m"}') == ["Colour?"]
    assert slots(agent) == {"size": "m", "requested_slot": "colour"}


def test_other_talk_that_stories_tell_of_interrupts_a_form(tmp_path: Path) -> None:
    agent = bot(tmp_path, "MemoizationPolicy", "FormPolicy")
    assert say(agent, "/book", "/bye") == ["Bye None", "Size?"]
    assert "loop_interrupted" in types(agent)


def test_talk_that_is_not_quite_as_in_stories_leaves_a_form_as_it_is(tmp_path: Path) -> None:
    """Here it has an entity more, which the form takes no notice of, since it ignores the intent."""
    agent = bot(tmp_path, "MemoizationPolicy", "FormPolicy")
    assert say(agent, "/book", '/bye{"size": "m"}') == []
    assert "action_execution_rejected" in types(agent)
    assert "loop_interrupted" not in types(agent)


def test_a_form_gives_way_to_what_an_intent_triggers(tmp_path: Path) -> None:
    agent = bot(tmp_path, "MemoizationPolicy", "FormPolicy", "MappingPolicy", "FallbackPolicy")
    agent.persist(tmp_path / "model")
    agent = Agent.load(tmp_path / "model")
    assert say(agent, "/book", "/chat") == ["Chat"]
    assert say(agent, '/inform{"size": "m"}') == ["Colour?"]
    assert decided(agent)[2:4] == [("utter_chat", "RasaMappingPolicy"), ("action_listen", "RasaMappingPolicy")]
    assert say(agent, "/restart", "/hi") == ["Hi"]


def test_the_two_stages_ask_and_take_back_what_they_asked(tmp_path: Path) -> None:
    last = "{name: TwoStageFallbackPolicy, fallback_nlu_action_name: utter_sorry}"
    agent = bot(tmp_path, "MemoizationPolicy", last)
    agent.persist(tmp_path / "model")
    agent = Agent.load(tmp_path / "model")
    asked = ["Did you mean 'hi'?"]
    assert (heard(agent, "hi", 0.1), heard(agent, "hi")) == (asked, ["Hi"])
    assert heard(agent, "bye") == ["?"]  # The story of bye begins with it, and the history has hi.
    say(agent, "/restart")
    assert (heard(agent, "hi", 0.1), heard(agent, "out_of_scope")) == (asked, ["In other words?"])
    assert heard(agent, "bye", 0.9) == ["Bye None"]
    say(agent, "/restart")
    assert (heard(agent, "hi", 0.1), heard(agent, "out_of_scope")) == (asked, ["In other words?"])
    assert (heard(agent, "bye", 0.1), heard(agent, "out_of_scope")[:1]) == (["Did you mean 'bye'?"], ["Sorry"])
    say(agent, "/restart")
    assert (heard(agent, "hi", 0.1), heard(agent, "yes", 0.1)[:1]) == (asked, ["Sorry"])


def test_options_of_fallbacks_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'utter_sory', the fallback_action_name: of RasaFallback.*utter_sorry"):
        bot(tmp_path, "MemoizationPolicy", "{name: FallbackPolicy, fallback_action_name: utter_sory}")
    with pytest.raises(ModelError, match=r"ambiguity_threshold: of FallbackPolicy is a number from 0 to 1, not 2"):
        bot(tmp_path, "{name: FallbackPolicy, ambiguity_threshold: 2}")
    domain = DOMAIN.replace("triggers: utter_chat", "triggers: utter_chatt")
    with pytest.raises(ModelError, match=r"domain\.yml:3: the intent 'chat' triggers 'utter_chatt', .*'utter_chat'"):
        bot(tmp_path, "MemoizationPolicy", "FormPolicy", "MappingPolicy", domain=domain)


@pytest.mark.parametrize("option", ["nlu_threshold", "ambiguity_threshold", "core_threshold", "fallback_action_name"])
@pytest.mark.parametrize("name", ["FallbackPolicy", "TwoStageFallbackPolicy"])
def test_an_option_without_a_value_is_as_if_it_were_not_there(tmp_path: Path, name: str, option: str) -> None:
    write(tmp_path, config=f"policies: [{{name: {name}, {option}: }}, {{name: RulePolicy, core_fallback_threshold: }}]")
    config = read_rasa_config(tmp_path / "config.yml", lambda history: RasaMappingPolicy())
    fallback, rules = config.policies
    assert vars(fallback) == vars(type(fallback)())
    assert isinstance(rules, RulePolicy)
    assert rules.core_fallback_threshold == RulePolicy().core_fallback_threshold


def test_each_old_policy_stands_where_rasa_2_has_it(tmp_path: Path) -> None:
    names = "[TwoStageFallbackPolicy, MappingPolicy, FallbackPolicy, RulePolicy, {name: FormPolicy, priority: 9}]"
    write(tmp_path, config=f"policies: {names}")
    config = read_rasa_config(tmp_path / "config.yml", lambda history: RasaMappingPolicy())
    assert [type(one) for one in config.policies[:3]] == [
        RasaTwoStageFallbackPolicy, RasaMappingPolicy, RasaFallbackPolicy,
    ]  # fmt: skip
    assert [one.priority for one in config.policies] == [4, 2, 4, 6]
    write(tmp_path, config="policies: [{name: FormPolicy, priority: 9}]")
    config = read_rasa_config(tmp_path / "config.yml", lambda history: RasaMappingPolicy())
    assert [(type(one).__name__, one.priority) for one in config.policies] == [
        ("RulePolicy", 9), ("RasaMappingPolicy", 2),
    ]  # fmt: skip


# -- forms whose mappings stand under them

Entity = dict[str, str]
SIZE: Final[Entity] = {"entity": "size", "value": "m"}
LOW: Final[Entity] = {"entity": "size", "value": "s", "role": "low"}


@pytest.fixture
def shirts(tmp_path: Path) -> Agent:
    return bot(tmp_path, "RulePolicy", data__all=RULES)


def test_what_fills_a_slot_by_its_name_is_no_answer_to_a_form(shirts: Agent) -> None:
    assert heard(shirts, "book") == ["Size?"]
    assert heard(shirts, "bye", 1.0, SIZE) == ["Bye m", "Colour?"]  # The form ignores the intent.
    assert types(shirts).count("action_execution_rejected") == 1


def test_an_entity_with_a_role_that_no_mapping_names_does_not_answer(shirts: Agent) -> None:
    assert heard(shirts, "book") == ["Size?"]
    assert heard(shirts, "inform", 1.0, LOW) == ["?"]
    assert slots(shirts) == {"requested_slot": "size"}  # The fallback has taken the message back.


def test_several_entities_fill_a_slot_of_a_form_together(shirts: Agent) -> None:
    heard(shirts, "book")
    heard(shirts, "inform", 1.0, SIZE, {**SIZE, "value": "l"})
    assert slots(shirts)["size"] == ["m", "l"]


def test_what_was_asked_for_before_is_not_asked_for_where_a_form_begins(shirts: Agent) -> None:
    assert heard(shirts, "book", 1.0, SIZE) == ["Colour?"]
    assert heard(shirts, "session_start") == []
    assert heard(shirts, "book") == ["Colour?"]
    assert "colour" not in slots(shirts)


def test_an_entity_fills_a_slot_also_where_the_domain_does_not_list_it(shirts: Agent) -> None:
    heard(shirts, "bye", 1.0, {"entity": "sizes", "value": "m"}, {"entity": "sizes", "value": "l"})
    assert slots(shirts) == {"sizes": ["m", "l"]}


def test_no_entity_fills_a_slot_by_its_name_where_the_domain_says_so(tmp_path: Path) -> None:
    domain = DOMAIN + "    config: {store_entities_as_slots: false}\n"
    agent = bot(tmp_path, "RulePolicy", domain=domain, data__all=RULES)
    assert (heard(agent, "bye", 1.0, SIZE), slots(agent)) == (["Bye None"], {})
    assert heard(agent, "book", 1.0, SIZE) == ["Colour?"]


def test_a_form_takes_nothing_from_a_message_that_it_does_not_answer(shirts: Agent) -> None:
    heard(shirts, "book", 1.0, SIZE)
    say(shirts, "/back")
    assert "colour" not in slots(shirts)


def test_the_intent_that_begins_a_form_counts_only_then(tmp_path: Path) -> None:
    rules = RULES.replace("{intent: book}", "{or: [{intent: book}, {intent: hi}]}")
    agent = bot(tmp_path, "RulePolicy", data__all=rules)
    assert (heard(agent, "hi"), slots(agent)["colour"]) == (["Size?"], "white")
    assert heard(agent, "hi", 1.0, SIZE) == ["m white"]
    assert (heard(agent, "restart"), heard(agent, "book"), heard(agent, "hi", 1.0, SIZE)) == (
        [],
        ["Size?"],
        ["Colour?"],
    )


def test_a_caller_validates_what_a_form_of_rasa_2_takes(tmp_path: Path) -> None:
    domain = DOMAIN + "    action_factory: remote\n    actions: [validate_shirt_form]\n"
    agent = bot(tmp_path, "RulePolicy", domain=domain, data__all=RULES)
    agent.start_message_handling("/book", "ada")
    agent.continue_message_handling("ada", "validate_shirt_form", [])
    agent.continue_message_handling("ada", "shirt_form", [])
    answer = agent.start_message_handling('/inform{"size": "m"}', "ada")
    assert answer["slots_to_validate"] == {"size": "m"}
    answer = agent.continue_message_handling("ada", "validate_shirt_form", [])
    assert (answer["next_action"], answer["requested_slot"], slots(agent)["size"]) == ("shirt_form", "colour", "m")
    agent.continue_message_handling("ada", "shirt_form", [])
    answer = agent.start_message_handling("red", "ada")
    assert answer["slots_to_validate"] == {"colour": "red"}
    answer = agent.continue_message_handling("ada", "validate_shirt_form", [SlotSet("colour", "blue")])
    assert (answer["next_action"], answer["requested_slot"], slots(agent)["colour"]) == ("shirt_form", None, "blue")


def test_the_intent_that_begins_a_form_is_no_answer_to_its_question(tmp_path: Path) -> None:
    domain = DOMAIN.replace("not_intent: book}", "intent: inform}")
    agent = bot(tmp_path, "MemoizationPolicy", "FormPolicy", domain=domain)
    assert (say(agent, "/book"), heard(agent, "inform", 1.0, SIZE)) == (["Size?"], ["Colour?"])
    assert (heard(agent, "hi"), "colour" in slots(agent)) == ([], False)


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        (RasaMappingPolicy, {"triggers": {"chat": "utter_chat"}}),
        (RasaFallbackPolicy, {"nlu_threshold": 0.7, "ambiguity_threshold": 0.2, "core_threshold": 0.4}),
        (RasaTwoStageFallbackPolicy, {"nlu_threshold": 0.7, "deny_suggestion_intent_name": "no"}),
    ],
)
def test_options_are_those_of_a_model_whenever_it_was_trained(
    policy: type[Policy], options: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(options), encoding="utf-8")

    loaded = policy.load(tmp_path)
    (tmp_path / "again").mkdir()
    loaded.persist(tmp_path / "again")

    for found in (loaded, policy.load(tmp_path / "again")):
        assert {name: getattr(found, name) for name in options} == options
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["policy.json"]


def test_options_that_a_policy_does_not_have_are_those_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text('{"nope": 1}', encoding="utf-8")
    with pytest.raises(ModelError, match=r"with the options nope .*: train the model again"):
        RasaMappingPolicy.load(tmp_path)
