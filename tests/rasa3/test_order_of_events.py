"""The order of logged events and of messages in Rasa 3.6, where several rules of order meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from answering_server import Answers, answering_server
from rasa3_bots import say, trained, types, write

from rasa_core.actions.webhook import ActionServer
from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.events import ActionExecuted, Event, SlotSet, UserUtteranceReverted
from rasa_core.events.rasa3 import ActionExecutionRejected
from rasa_core.policies.augmented_memoization import first_looked_at
from rasa_core.rasa3.history import POSITION, RasaHistory
from rasa_core.trackers import DialogueStateTracker

HEAD = """
version: "3.1"
intents: [a, b, c, go, second, chat, stop, "yes"]
entities: [x, y]
responses:
  utter_a: [{text: A}]
  utter_b: [{text: B}]
  utter_c: [{text: C}]
  utter_chat: [{text: Chat}]
  utter_end: [{text: End}]
  utter_go_on: [{text: "Go on?"}]
  utter_ask_s: [{text: "S? {requested_slot}"}]
  utter_ask_t: [{text: "T? {requested_slot}"}]
"""
SLOTS = """
slots:
  s: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}
  t: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: y}]}
forms: {f: {required_slots: [s]}, g: {required_slots: [t]}}
"""
RULES = """
rules:
- rule: f
  steps: [{intent: go}, {action: f}, {active_loop: f}]
- rule: end of f
  condition: [{active_loop: f}]
  steps: [{action: f}, {active_loop: null}, {action: utter_end}]
- rule: g
  steps: [{intent: second}, {action: g}, {active_loop: g}]
- rule: chat
  steps: [{intent: chat}, {action: utter_chat}]
"""


class MakesBots(Protocol):
    def __call__(self, domain: str, data: str, answers: Answers = ..., **files: str) -> Agent: ...


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakesBots]:
    """Make a bot whose own actions give these answers."""
    with ExitStack() as stack:

        def bot(domain: str, data: str, answers: Answers = {}, **files: str) -> Agent:  # noqa: B006 - never changed
            more = f"actions: [{', '.join(answers)}]" if answers else "{}"
            parts = {"domain__head": HEAD, "domain__own": domain, "domain__actions": more, "data__all": data}
            agent = trained(write(tmp_path, **parts, **files))
            url, _ = stack.enter_context(answering_server(answers))
            return Agent(agent.domain, agent.policy_ensemble, actions=ActionServer(url))

        yield bot


def told(agent: Agent, text: str) -> list[str]:
    """Send a message, and return the events that it logs, each in a few words."""
    before = agent.read_tracker("ada").version
    say(agent, text)
    return [line for event in list(agent.read_tracker("ada").events)[before:] if (line := _short(event))]


def _short(event: Event) -> str:
    content = event.as_dict()
    kind, name = content["event"], content.get("name")
    if kind == "slot":
        return f"{name}={content['value']}"
    if kind == "bot":
        return f"says {content['text']}"
    kinds = {"user": "", "session_started": "", "user_featurization": "seen", "active_loop": f"loop {name}"}
    return kinds.get(kind, str(name or kind))


def slot(name: str, value: Any) -> dict[str, Any]:
    return {"event": "slot", "name": name, "value": value}


def text(said: str) -> dict[str, Any]:
    return {"text": said}


def test_what_an_action_maps_comes_where_its_slot_stands_and_is_not_said(make: MakesBots) -> None:
    agent = make(
        """
        slots:
          s: {type: text, influence_conversation: false, mappings: [{type: from_text}]}
          t: {type: text, influence_conversation: false, mappings: [{type: custom, action: act}]}
          u: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: x}]}
        """,
        "rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]",
        {"act": {"events": [slot("t", 1), slot("s", "its")], "responses": [text("mapped")]}},
    )

    assert told(agent, '/a{"x": "2"}')[2:6] == ['s=/a{"x": "2"}', "t=1", "s=its", "u=2"]
    assert say(agent, "/a") == ["A"]


def test_a_list_takes_a_text_and_the_value_of_an_intent_as_one_of_several(make: MakesBots) -> None:
    agent = make(
        """
        slots:
          s: {type: list, influence_conversation: false, mappings: [{type: from_text, intent: a}]}
          t: {type: list, influence_conversation: false, mappings: [{type: from_intent, intent: b, value: 1}]}
        """,
        "rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}, "
        "{rule: b, steps: [{intent: b}, {action: utter_b}]}]",
    )

    assert told(agent, "/a")[2] == "s=['/a']"
    assert told(agent, "/b")[0] == "t=[1]"


def test_a_form_that_has_refused_and_not_asked_again_takes_no_answer_by_a_condition(make: MakesBots) -> None:
    agent = make(
        SLOTS.replace("entity: x", "entity: x, conditions: [{active_loop: f}]"),
        RULES + "- rule: inside\n  condition: [{active_loop: f}]\n  steps: [{intent: c}, {action: utter_c}]\n",
    )
    say(agent, "/go", "/c")

    assert "s=1" not in told(agent, '/b{"x": "1"}')


def test_a_form_asks_without_what_another_form_has_asked_for(make: MakesBots) -> None:
    agent = make(SLOTS, RULES)

    assert say(agent, "/go") == ["S? None"]
    assert say(agent, "/second") == ["T? None"]
    assert say(agent, "/chat") == ["Chat", "T? t"]


def test_what_a_form_finds_at_first_comes_after_its_validation(make: MakesBots) -> None:
    validated = {"events": [slot("s", "1!")], "responses": [text("checked")]}
    agent = make(SLOTS, RULES, {"validate_f": validated})

    events = told(agent, '/go{"x": "1", "y": "2"}')

    assert events[events.index("f") :][:7] == [
        *("f", "loop f", "says checked", "s=1!", "t=2", "requested_slot=None", "loop None"),
    ]


def test_a_validation_that_ends_a_form_at_once_says_so_once(make: MakesBots) -> None:
    agent = make(SLOTS, RULES, {"validate_f": {"events": [slot("requested_slot", None)]}})

    assert told(agent, "/go")[3:7] == ["f", "loop f", "requested_slot=None", "loop None"]


def test_a_form_that_is_refused_as_it_begins_has_asked_all_the_same(make: MakesBots) -> None:
    refused = {"event": "action_execution_rejected", "name": "f"}
    agent = make(SLOTS, RULES, {"validate_f": {"events": [refused]}})

    events = told(agent, "/go")
    assert events[events.index("loop f") :][:4] == ["loop f", "f", "requested_slot=s", "says S? None"]


def test_nothing_is_said_by_a_form_whose_question_fails(make: MakesBots) -> None:
    answers: Answers = {"validate_f": {"responses": [text("checked")]}, "action_ask_s": {"status": 500}}
    agent = make(SLOTS, RULES, answers)

    assert say(agent, "/go") == ["End"]


def test_an_interruption_is_logged_before_the_message_counts(make: MakesBots) -> None:
    story = """
    stories:
    - story: goes on
      steps: [{intent: go}, {action: f}, {active_loop: f}, {intent: stop}, {action: utter_go_on}, {intent: "yes"},
        {action: f}, {active_loop: null}, {action: utter_end}]
    """
    agent = make(SLOTS, RULES, data__stories=story)
    say(agent, "/go", "/stop")

    assert told(agent, "/yes") == ["loop_interrupted", "seen", "f", "requested_slot=s", "says S? s", "action_listen"]


def test_what_refused_is_tried_again_after_going_back(make: MakesBots) -> None:
    config = "policies: [{name: RulePolicy, enable_fallback_prediction: false}]"
    agent = make(SLOTS, RULES, config=config)
    say(agent, "/go", "/go", "/go")

    assert told(agent, "/back")[1:] == ["action_back", "rewind", "rewind", "f", "seen", "action_listen"]


def test_what_refused_out_of_turn_is_not_chosen_by_the_next_message(make: MakesBots) -> None:
    agent = make(SLOTS, RULES)
    say(agent, "/go")
    agent.turns().append_events("ada", [ActionExecutionRejected("f")])

    assert say(agent, '/go{"x": "1"}') == []
    assert told(agent, '/b{"x": "1"}')[:4] == ["s=1", "seen", "f", "requested_slot=None"]


def test_ten_actions_may_run_beside_those_that_refuse(make: MakesBots) -> None:
    config = "policies: [{name: RulePolicy, core_fallback_action_name: utter_c}]"
    agent = make(SLOTS, RULES, config=config)
    say(agent, "/go")

    assert say(agent, "/a") == ["C"] * 10


def test_a_response_is_logged_with_what_rasa_sdk_tells_beside_its_name(make: MakesBots) -> None:
    said = {"responses": [{"text": None, "response": "utter_c", "template": "utter_c", "custom": {}}]}
    agent = make("{}", "rules: [{rule: a, steps: [{intent: a}, {action: act}]}]", {"act": said})
    say(agent, "/a")

    [bot] = [event for event in agent.read_tracker("ada").events if event.type_name == "bot"]
    assert bot.as_dict()["metadata"] == {"template": "utter_c", "utter_action": "utter_c"}


def test_metadata_of_a_message_stays_in_a_new_session_only_where_slots_are_carried_over(make: MakesBots) -> None:
    rules = "rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]"
    for carries, sets in ((True, 2), (False, 1)):
        agent = make(f"session_config: {{carry_over_slots_to_new_session: {str(carries).lower()}}}", rules)
        message = UserMessage("/a", RestOutputChannel(), "ada", metadata={"from": "web"})
        agent.turns().respond(message)
        logged = [event for event in agent.read_tracker("ada").events if isinstance(event, SlotSet)]
        assert [event.key for event in logged] == ["session_started_metadata"] * sets


def test_a_conversation_that_was_taken_back_to_its_beginning_begins_anew(make: MakesBots) -> None:
    agent = make("", "rules: [{rule: a, steps: [{intent: a}, {action: utter_a}]}]")
    say(agent, "/a")
    agent.append_events("ada", [UserUtteranceReverted()])

    assert say(agent, "/a") == ["A"]
    assert types(agent).count("session_started") == 2


def test_an_augmented_memory_does_not_take_a_message_that_was_taken_back_for_the_one_before(make: MakesBots) -> None:
    stories = "stories: [{story: s, steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]}]"
    policies = "policies: [{name: AugmentedMemoizationPolicy, max_history: 4}, {name: RulePolicy}]"
    bot = make("{}", stories, config=policies)
    told(bot, "/a")
    bot.turns().execute(UserMessage(None, RestOutputChannel(), "ada"), "utter_c")  # It listens to nobody after that.
    assert "utter_a" not in told(bot, "/b")


def test_an_augmented_memory_forgets_a_loop_that_began_before_what_it_looks_back_to(make: MakesBots) -> None:
    kept = "  k: {type: text, mappings: [{type: from_entity, entity: y}]}\n"
    begins, goes_on = "{intent: go}, {action: f}, {active_loop: f}", "{intent: stop}, {action: utter_go_on}"
    ends = "{intent: b}, {action: utter_b}"
    for remembered, answer in ((2, []), (3, ["B"])):
        policies = f"policies: [{{name: AugmentedMemoizationPolicy, max_history: {remembered}}}, {{name: RulePolicy}}]"
        domain = SLOTS.replace("forms:", f"{kept}forms:")
        bot = make(domain, f"{RULES}stories: [{{story: s, steps: [{begins}, {goes_on}, {ends}]}}]", config=policies)
        assert [say(bot, text) for text in ('/chat{"y": "1"}', "/go", "/stop")][-1] == ["Go on?"]
        assert say(bot, "/b") == answer


def test_an_augmented_memory_counts_hidden_turns_for_what_it_looks_back_to(make: MakesBots) -> None:
    kept = "  k: {type: text, mappings: [{type: from_entity, entity: y}]}\n"
    story = "{intent: go}, {action: f}, {active_loop: f}, {intent: stop}, {action: utter_go_on}"
    for remembered, answer in ((1, []), (3, []), (5, ["Go on?"])):
        policies = f"policies: [{{name: AugmentedMemoizationPolicy, max_history: {remembered}}}, {{name: RulePolicy}}]"
        bot = make(
            SLOTS.replace("forms:", f"{kept}forms:"),
            f"{RULES}stories: [{{story: s, steps: [{story}]}}]",
            config=policies,
        )
        assert [say(bot, text) for text in ('/chat{"y": "1"}', "/go", "/chat", "/stop")][-1] == answer


def test_an_augmented_memory_knows_a_story_that_begins_with_an_action_after_any_message(make: MakesBots) -> None:
    begun = "{story: s, steps: [{action: utter_a}, {intent: b}, {action: utter_b}]}"
    stories = f"stories: [{{story: t, steps: [{{intent: a}}, {{action: utter_a}}]}}, {begun}]"
    bot = make(
        "{}", stories, config="policies: [{name: AugmentedMemoizationPolicy, max_history: 5}, {name: RulePolicy}]"
    )
    assert [say(bot, text) for text in ("/a", "/b")] == [["A"], ["B"]]


def test_a_head_that_does_not_say_when_its_message_came_does_not_make_it_too_old(make: MakesBots) -> None:
    chat = "stories: [{story: chat, steps: [{intent: chat}, {action: utter_chat}]}]"
    bot = make("{}", chat, config="policies: [{name: AugmentedMemoizationPolicy, max_history: 2}, {name: RulePolicy}]")
    assert [say(bot, "/chat") for _ in range(5)] == [["Chat"]] * 5
    kept = bot.read_tracker("ada").history.snapshot()
    of_before = {**kept, "seen": {name: one for name, one in kept["seen"].items() if name != "shown_at"}}
    for content in kept, of_before:
        history = RasaHistory(2, bot.domain.vocabulary)
        history.restore(content)
        assert history.slots_set_before(1)[0][POSITION] >= first_looked_at(history, 2)


@pytest.mark.parametrize("window", [3, None])
def test_what_is_kept_of_when_the_bot_listened_does_not_grow(make: MakesBots, window: int | None) -> None:
    domain = make("{}", "rules: [{rule: chat, steps: [{intent: chat}, {action: utter_chat}]}]").domain
    sizes = []
    for turns in (200, 400):
        tracker = DialogueStateTracker.from_events("ada", [ActionExecuted("action_listen")] * turns, domain, window)
        assert isinstance(tracker.history, RasaHistory)
        sizes.append(len(tracker.history.listens))
    assert sizes[0] == sizes[1] > (window or 0)


def test_an_augmented_memory_tells_of_the_story_that_it_follows_and_of_no_other(make: MakesBots) -> None:
    slots = "slots: {k: {type: text, mappings: [{type: from_entity, entity: y}]}}"
    story = "stories: [{story: s, steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]}]"
    chat = "rules: [{rule: chat, steps: [{intent: chat}, {action: utter_chat}]}]"
    policies = "policies: [{name: AugmentedMemoizationPolicy, max_history: 4}, {name: RulePolicy}]"
    bot = make(slots, f"{chat}\n{story}", config=policies)
    for sender, texts, known in (("ada", ['/chat{"y": "1"}', "/a", "/b"], "utter_b"), ("bob", ["/b"], None)):
        for text in texts:
            say(bot, text, sender=sender)
        at = max(index for index, event in enumerate(bot.read_tracker(sender).events) if event.type_name == "user") + 1
        [memory, _] = bot.explain(sender, at).policies
        assert [turn.action for turn in memory.lessons or ()] == [known] * (known is not None)
        assert memory.note == (None if known else "no story has this.")


def test_a_single_false_value_stays_as_it_is_in_a_list_and_counts_as_none(make: MakesBots) -> None:
    agent = make(
        "slots: {s: {type: list, mappings: [{type: custom}]}}",
        "stories:\n"
        "- {story: none, steps: [{intent: a}, {action: utter_a}]}\n"
        "- {story: some, steps: [{intent: a}, {slot_was_set: [{s: [x]}]}, {action: utter_b}]}\n",
    )
    for value, stored, answer in (("", "", "A"), (0, 0, "A"), ([], [], "A"), ("x", ["x"], "B"), ([0], [0], "B")):
        sender = repr(value)
        agent.append_events(sender, [SlotSet("s", value)])
        assert say(agent, "/a", sender=sender) == [answer], value
        assert agent.read_tracker(sender).get_slot("s") == stored


BEGINNING = """
stories: [{story: b, steps: [{intent: b}, {action: utter_b}]}]
rules:
- rule: first
  conversation_start: true
  steps: [{intent: a}, {action: utter_a}]
- rule: later
  steps: [{intent: a}, {action: utter_c}]
"""
ONLY_BEGINS: Answers = {"action_session_start": {"events": [{"event": "session_started"}]}}
"""A session without the listening at its end."""


def test_before_anything_is_done_a_rule_of_the_beginning_listens(make: MakesBots) -> None:
    agent = make("{}", BEGINNING, ONLY_BEGINS)
    assert told(agent, "/a") == ["action_session_start", "action_listen"]
    [listened] = [one for one in agent.read_tracker("ada").events if getattr(one, "policy", None) == "RulePolicy"]
    assert not listened.as_dict().get("hide_rule_turn")
    assert [say(agent, "/a") for _ in range(2)] == [["A"], ["C"]]


def test_a_rule_of_the_beginning_tells_why_it_listens(make: MakesBots) -> None:
    agent = make("{}", BEGINNING)
    found = agent.policy_ensemble.policies[1].training_turns(agent.read_tracker("new"), agent.domain)
    assert found.note == "nothing has been done yet, and a rule says how a conversation begins."


def test_an_intent_that_is_triggered_begins_one_session(make: MakesBots) -> None:
    """Also where nothing is done in it yet."""
    agent = make("{}", BEGINNING, ONLY_BEGINS)
    agent.turns().trigger_intent(UserMessage(None, RestOutputChannel(), "ada"), "a")
    assert types(agent) == ["action", "session_started", "user", "action"]


def test_an_own_action_that_extracts_slots_stands_for_the_mappings(make: MakesBots) -> None:
    extracts = {"events": [slot("t", "its"), {"event": "followup", "name": "utter_c"}], "responses": [text("found")]}
    rules = RULES + "- rule: c\n  steps: [{action: utter_c}, {action: utter_end}]\n"
    agent = make(SLOTS, rules, {"action_extract_slots": extracts})

    assert told(agent, '/chat{"x": "1"}')[2:6] == ["says found", "t=its", "utter_c", "utter_c"]
    assert agent.read_tracker("ada").get_slot("s") is None


def test_a_form_begins_with_what_an_own_action_extracts_and_a_failure_sets_nothing(make: MakesBots) -> None:
    answers: Answers = {
        "action_extract_slots": lambda asked: (
            {"status": 500} if asked["tracker"]["latest_message"]["text"] == "/chat" else {"events": [slot("s", "its")]}
        )
    }
    agent = make(SLOTS, RULES, answers)

    assert told(agent, "/go")[2:7] == ["s=its", "seen", "f", "loop f", "s=its"]
    assert say(agent, "/chat") == ["Chat"]
