"""Forms and default actions of Rasa 3 over parse and continue: the caller runs them, the server decides."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from rasa3_bots import fresh, say, trained, types, write

from rasa_core.actions.rasa_runner import RasaRunner
from rasa_core.agent import Agent
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, BotUttered, ConversationPaused, ConversationResumed, Event, SlotSet
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.exceptions import CallersActionError, DomainError
from rasa_core.teaching import continuation
from rasa_core.trackers import DialogueStateTracker

BOT = {
    "domain": """
        version: "3.1"
        action_factory: remote
        intents: [book, table, inform, chat, stop, ask, wait, "yes"]
        entities: [room, nights, seats]
        slots:
          room: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: room}]}
          nights:
            type: text
            influence_conversation: false
            mappings:
            - {type: from_entity, entity: nights}
            - {type: from_text, intent: inform, conditions: [{active_loop: hotel_form, requested_slot: nights}]}
          seats: {type: float, influence_conversation: false, mappings: [{type: from_entity, entity: seats}]}
        forms:
          hotel_form: {required_slots: [room, nights]}
          table_form: {required_slots: [seats], ignored_intents: [ask]}
        responses:
          utter_ask_hotel_form_room: [{text: Which room?}]
          utter_ask_seats: [{text: How many seats?, buttons: [{title: two, payload: '/inform{"seats": 2}'}]}]
          utter_ask_nights: [{text: "How many nights in {room}?"}]
          utter_booked: [{text: "{room} for {nights}."}]
          utter_reserved: [{text: "{seats} seats."}]
          utter_chat: [{text: Yes indeed.}]
          utter_stopped: [{text: As you like.}]
          utter_go_on: [{text: Shall we go on?}]
          utter_default: [{text: What?}]
          utter_restart: [{text: Anew.}]
        actions: [ACTIONS]
        """,
    "data__rules": """
        rules:
        - rule: book
          steps: [{intent: book}, {action: hotel_form}, {active_loop: hotel_form}]
        - rule: booked
          condition: [{active_loop: hotel_form}]
          steps: [{action: hotel_form}, {active_loop: null}, {action: utter_booked}]
        - rule: table
          steps: [{intent: table}, {action: table_form}, {active_loop: table_form}]
        - rule: reserved
          condition: [{active_loop: table_form}]
          steps: [{action: table_form}, {active_loop: null}, {action: utter_reserved}, {action: action_note}]
        - rule: chat
          steps: [{intent: chat}, {action: utter_chat}]
        - rule: stop
          steps: [{intent: stop}, {action: action_deactivate_loop}, {active_loop: null}, {action: utter_stopped}]
        """,
    "data__stories": """
        stories:
        - story: wait, and go on
          steps:
          - intent: book
          - action: hotel_form
          - active_loop: hotel_form
          - intent: wait
          - action: utter_go_on
          - intent: "yes"
          - action: hotel_form
          - active_loop: null
          - action: utter_booked
        """,
}
OWN = ("action_note", "validate_hotel_form", "action_validate_slot_mappings", "action_ask_nights")
MESSAGES = (
    *("/book", "/table", "/chat", "/stop", "/ask", "/inform", "/restart", "/back", '/book{"room": "blue"}'),
    *('/inform{"room": "red"}', '/inform{"room": "bad"}', '/inform{"nights": "3"}', '/inform{"nights": "9"}'),
    *("/wait", "/yes", '/inform{"seats": 4}', '/inform{"room": "green", "nights": "1"}'),
    '/inform{"seats": 4, "room": "grey"}',
)


def own_action(name: str, to_validate: dict[str, Any]) -> list[Event]:
    """Do what the bot's own actions do: refuse a room, want more nights, shout rooms."""
    if name == "action_validate_slot_mappings":
        return [SlotSet("nights", None)] if to_validate.get("nights") == "9" else []
    if name == "validate_hotel_form":
        room = to_validate.get("room")
        return [] if room is None else [SlotSet("room", None if room == "bad" else str(room).upper())]
    return [BotUttered(f"{name} says so.")]


class Here:
    """An action server in this process."""

    sends_domain = False

    def run(self, name: str, dispatcher: Any, tracker: DialogueStateTracker, domain: Any) -> list[Event]:
        return own_action(name, tracker.slots_since_message())


def bot(folder: Path, *own: str) -> Agent:
    return trained(write(folder, **{**BOT, "domain": BOT["domain"].replace("ACTIONS", ", ".join(own))}))


@pytest.fixture(scope="module")
def bots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agent]:
    """Bots with and without own actions that take part in forms."""
    plain = bot(tmp_path_factory.mktemp("plain"), "action_note")
    return {"plain": plain, "own": bot(tmp_path_factory.mktemp("own"), *OWN)}


def here(agent: Agent) -> Agent:
    """Return an agent whose own actions run in this process."""
    other = fresh(agent)
    other.processor.runner = RasaRunner(agent.domain, Here())  # type: ignore[arg-type]
    return other


def play(agent: Agent, text: str) -> list[str]:
    """Send a message, carry out each next action, and return all that is said."""
    said = []
    answer = agent.start_message_handling(text, "ada")
    while answer["next_action"] != "action_listen":
        name = answer["next_action"]
        is_own = name in OWN
        events = own_action(name, answer.get("slots_to_validate", {})) if is_own else []
        said += [event.text for event in events if isinstance(event, BotUttered)] if is_own else []
        said += [message["text"] for message in answer.get("messages", [])]
        answer = agent.continue_message_handling("ada", name, events)
    return [text for text in said if text]


def play_here(agent: Agent, text: str) -> list[str]:
    """Send a message as the page and the chat do, which carry out what runs here, and return all that is said."""
    turns, channel, said = agent.turns(), RestOutputChannel(), []
    told = continuation.say(turns, "ada", text, channel=channel).result
    while (name := told["next_action"]) is not None:
        assert continuation.awaited(turns, agent.read_tracker("ada")).next.action == name in OWN
        to_validate = agent.continue_message_handling("ada", None).get("slots_to_validate", {})
        events = own_action(name, to_validate)
        said += [(len(channel.messages), event.text) for event in events if isinstance(event, BotUttered)]
        told = continuation.act(turns, "ada", name, events, channel=channel).result
    texts = [message["text"] for message in channel.messages]
    for position, text in reversed(said):
        texts.insert(position, text)
    return texts


def course(agent: Agent) -> list[Any]:
    """Return what has happened, but for what was said, the slots on the way, and who ran what."""
    left_out = ("bot", "slot", "caller_action")
    events = agent.read_tracker("ada").events
    kept = [event.as_dict() for event in events if event.type_name not in left_out]
    return [{key: value for key, value in event.items() if key not in ("timestamp", "metadata")} for event in kept]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["plain", "own"])
def test_a_caller_comes_to_the_same_as_a_bot_that_runs_here(kind: str, seed: int, bots: dict[str, Agent]) -> None:
    choice, caller, local = random.Random(seed), fresh(bots[kind]), here(bots[kind])
    for _ in range(30):
        text = choice.choice(MESSAGES)
        assert play(caller, text) == say(local, text), text
        mine, theirs = caller.read_tracker("ada"), local.read_tracker("ada")
        assert mine.current_slot_values() == theirs.current_slot_values(), text
        assert mine.history.loop == theirs.history.loop
    assert course(caller) == course(local)
    tracker = caller.read_tracker("ada")
    again = DialogueStateTracker.from_events("ada", tracker.events, caller.domain, tracker.history.window)
    assert again.history.snapshot() == tracker.history.snapshot()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["plain", "own"])
def test_the_page_and_the_chat_come_to_the_same_as_a_caller(kind: str, seed: int, bots: dict[str, Agent]) -> None:
    choice, talk, caller = random.Random(seed), fresh(bots[kind]), fresh(bots[kind])
    for _ in range(20):
        text = choice.choice(MESSAGES)
        assert play_here(talk, text) == play(caller, text), text
        assert talk.read_tracker("ada").current_slot_values() == caller.read_tracker("ada").current_slot_values()
    assert course(talk) == course(caller)


@pytest.mark.parametrize("kind", ["plain", "own"])
def test_a_form_that_was_interrupted_asks_again_whatever_was_said(kind: str, bots: dict[str, Agent]) -> None:
    caller, local = fresh(bots[kind]), here(bots[kind])
    for text, said in (("/book", "Which room?"), ("/wait", "Shall we go on?"), ("/yes", "Which room?")):
        assert play(caller, text) == say(local, text) == [said]
    for agent in (caller, local):
        types = [event.type_name for event in agent.read_tracker("ada").events]
        assert (types.count("loop_interrupted"), types.count("action_execution_rejected")) == (1, 1)


def test_a_form_asks_and_is_reported(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["plain"])
    asked = agent.start_message_handling("/table", "ada")
    assert (asked["next_action"], asked["requested_slot"]) == ("table_form", "seats")
    assert asked["messages"] == [{
        "recipient_id": "ada", "text": "How many seats?",
        "buttons": [{"title": "two", "payload": '/inform{"seats": 2}'}],
    }]  # fmt: skip
    listening = agent.continue_message_handling("ada", "table_form")
    assert listening["next_action"] == "action_listen"
    assert listening["tracker"]["slots"]["requested_slot"] == "seats"
    assert agent.read_tracker("ada").history.loop.name == "table_form"

    done = agent.start_message_handling('/inform{"seats": 3}', "ada")
    assert (done["next_action"], done["requested_slot"], done["messages"]) == ("table_form", None, [])
    assert agent.continue_message_handling("ada", "table_form")["messages"][0]["text"] == "3 seats."


def test_the_validation_is_an_action_before_the_form_and_decides(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["own"])
    agent.start_message_handling('/book{"room": "bad"}', "ada")
    asked = agent.continue_message_handling("ada", "action_validate_slot_mappings")
    assert (asked["next_action"], asked["slots_to_validate"]) == ("validate_hotel_form", {"room": "bad"})
    again = agent.continue_message_handling("ada", None)
    assert (again["next_action"], again["slots_to_validate"]) == ("validate_hotel_form", {"room": "bad"})

    form = agent.continue_message_handling("ada", "validate_hotel_form", [SlotSet("room", None)])
    assert (form["next_action"], form["requested_slot"]) == ("hotel_form", "room")
    assert form["messages"][0]["text"] == "Which room?"


def test_the_validation_sees_what_was_filled_before_the_form_began(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["own"])
    play(agent, '/chat{"room": "bad"}')
    agent.start_message_handling("/book", "ada")
    asked = agent.continue_message_handling("ada", "action_validate_slot_mappings")
    assert (asked["next_action"], asked["slots_to_validate"]) == ("validate_hotel_form", {"room": "bad"})


def test_the_validation_may_say_what_is_asked_for_next(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["own"])
    agent.start_message_handling("/book", "ada")
    agent.continue_message_handling("ada", "action_validate_slot_mappings")
    form = agent.continue_message_handling("ada", "validate_hotel_form", [SlotSet("requested_slot", "nights")])
    assert (form["next_action"], form["requested_slot"]) == ("hotel_form", "nights")

    asks = agent.continue_message_handling("ada", "hotel_form")
    assert (asks["next_action"], asks["requested_slot"]) == ("action_ask_nights", "nights")
    assert agent.continue_message_handling("ada", "action_ask_nights")["next_action"] == "action_listen"


def test_a_form_that_was_not_validated_takes_the_slots_as_they_are(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["own"])
    agent.start_message_handling('/book{"room": "bad"}', "ada")
    agent.continue_message_handling("ada", "hotel_form")
    assert agent.read_tracker("ada").get_slot("requested_slot") == "nights"


def test_what_the_caller_reports_itself_is_not_logged_twice(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["plain"])
    agent.start_message_handling("/table", "ada")
    events: list[Event] = [ActiveLoop("table_form"), SlotSet("requested_slot", "seats")]
    agent.continue_message_handling("ada", "table_form", events)
    assert [event.type_name for event in agent.read_tracker("ada").events].count("active_loop") == 1


def test_a_caller_may_run_another_action_than_it_was_told(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["plain"])
    assert agent.start_message_handling("/chat", "ada")["next_action"] == "utter_chat"
    agent.continue_message_handling("ada", "utter_stopped")
    actions = [event for event in agent.read_tracker("ada").events if isinstance(event, ActionExecuted)]
    found = next(event for event in actions if event.action_name == "utter_stopped")
    assert (found.predicted, found.hide_rule_turn) == ("utter_chat", None)


def test_a_message_in_the_middle_of_a_turn_ends_the_turn(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["own"])
    agent.start_message_handling("/book", "ada")
    agent.continue_message_handling("ada", "action_validate_slot_mappings")
    assert agent.start_message_handling("/chat", "ada")["next_action"] == "action_validate_slot_mappings"
    assert agent.continue_message_handling("ada", "action_validate_slot_mappings")["next_action"] == "utter_chat"


def test_a_turn_that_would_need_the_caller_is_refused_and_not_stored(bots: dict[str, Agent]) -> None:
    agent = fresh(bots["plain"])
    say(agent, "/table")
    before = agent.read_tracker("ada").version
    with pytest.raises(CallersActionError, match="'action_note' runs in your own code"):
        say(agent, '/inform{"seats": 3}')
    assert agent.read_tracker("ada").version == before


def test_a_model_says_where_its_actions_run(bots: dict[str, Agent], tmp_path: Path) -> None:
    bots["plain"].persist(tmp_path / "model")
    assert Agent.load(tmp_path / "model").domain.action_factory == "remote"
    assert Agent.load(tmp_path / "model", action_factory="local").domain.action_factory == "local"
    with pytest.raises(DomainError, match=r"unknown action_factory 'remot'.*Did you mean 'remote'"):
        Domain.from_yaml('version: "3.1"\naction_factory: remot')


CUSTOM = """
version: "3.1"
action_factory: remote
intents: [begin, tell]
entities: [n]
actions: [action_count, action_words, action_query_knowledge_base]
slots:
  n: {type: any, mappings: [{type: from_entity, entity: n}, {type: custom, action: action_count}]}
  words: {type: any, mappings: [{type: custom, action: action_words, intent: tell, conditions: [{active_loop: null}]}]}
responses: {utter_yes: [{text: "Yes, {n}."}]}
"""


def test_an_action_is_asked_for_a_slot_where_no_mapping_before_it_finds_one(tmp_path: Path) -> None:
    rules = "rules: [{rule: tell, steps: [{or: [{intent: tell}, {intent: begin}]}, {action: utter_yes}]}]"
    agent = trained(write(tmp_path, domain=CUSTOM, data__all=rules))
    for text, asked in (
        ("/begin", ["action_count"]),
        ('/begin{"n": 1}', []),
        ('/tell{"n": 1}', ["action_words"]),
        ("/tell", ["action_count", "action_words"]),
    ):
        named = agent.start_message_handling(text, "ada")["next_action"]
        for action in [*asked, "utter_yes"]:
            assert named == action, text
            named = agent.continue_message_handling("ada", action)["next_action"]


def test_null_for_a_slot_that_is_not_set_changes_nothing(bots: dict[str, Agent]) -> None:
    local = here(bots["plain"])
    assert say(local, '/chat{"room": null}') == ["Yes indeed."]
    assert "slot" not in types(local)
    say(local, '/chat{"room": "red"}')
    say(local, '/chat{"room": null}')
    assert types(local).count("slot") == 2


def test_the_slots_of_a_knowledge_base_are_there_where_its_action_is(tmp_path: Path) -> None:
    slots = {slot.name for slot in Domain.load(write(tmp_path, domain=CUSTOM) / "domain.yml").slots}
    assert {"knowledge_base_listed_objects", "knowledge_base_last_object", "knowledge_base_last_object_type"} <= slots


def test_an_own_action_that_extracts_slots_is_left_to_the_caller(tmp_path: Path) -> None:
    agent = fresh(bot(tmp_path, "action_note", "action_extract_slots"))
    assert agent.start_message_handling('/book{"room": "red"}', "ada")["next_action"] == "action_extract_slots"
    form = agent.continue_message_handling("ada", "action_extract_slots", [SlotSet("nights", "2")])
    assert (form["next_action"], form["requested_slot"]) == ("hotel_form", "room")
    assert agent.read_tracker("ada").get_slot("nights") == "2"


@pytest.fixture
def restarting(tmp_path: Path) -> Agent:
    domain = """
        version: "3.1"
        action_factory: remote
        intents: [chat, restart]
        responses: {utter_chat: [{text: Yes.}]}
        actions: [action_restart, action_session_start, action_note]
    """
    rules = "rules: [{rule: chat, steps: [{intent: chat}, {action: utter_chat}]}]"
    return trained(write(tmp_path, domain=domain, data__rules=rules, config="policies: [RulePolicy]"))


def test_what_a_restart_of_the_callers_own_means_is_logged_though_it_does_not_say_so(restarting: Agent) -> None:
    restarting.start_message_handling("/restart", "ada")
    assert restarting.continue_message_handling("ada", "action_restart", [])["next_action"] == "action_session_start"
    assert restarting.continue_message_handling("ada", "action_session_start", [])["next_action"] == "action_listen"
    assert [(one["event"], one.get("name")) for one in map(Event.as_dict, restarting.read_tracker("ada").events)][
        -5:
    ] == [
        *[("action", "action_restart"), ("restart", None)],
        *[("action", "action_session_start"), ("session_started", None), ("action", "action_listen")],
    ]


def test_a_bot_that_is_paused_decides_nothing_for_the_caller(restarting: Agent) -> None:
    restarting.start_message_handling("/chat", "ada")
    paused = restarting.continue_message_handling("ada", "utter_chat", [ConversationPaused()])
    assert (paused["next_action"], paused["tracker"]["paused"]) == ("action_listen", True)
    assert restarting.start_message_handling("/chat", "ada")["next_action"] is None
    assert restarting.continue_message_handling("ada", "action_note", [])["next_action"] == "action_listen"
    assert restarting.continue_message_handling("ada", None, [ConversationResumed()])["next_action"] == "action_listen"
    assert restarting.start_message_handling("/chat", "ada")["next_action"] == "utter_chat"


def test_a_turn_that_the_caller_broke_off_ends_where_the_user_goes_on(restarting: Agent) -> None:
    restarting.start_message_handling("/chat", "ada")
    restarting.continue_message_handling("ada", "action_note", [])
    assert restarting.start_message_handling("/chat", "ada")["next_action"] == "utter_chat"
    log = [(one["event"], one.get("name")) for one in map(Event.as_dict, restarting.read_tracker("ada").events)]
    assert log[-3:] == [("action", "action_note"), ("action", "action_listen"), ("user", None)]
