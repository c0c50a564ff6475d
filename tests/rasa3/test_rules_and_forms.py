"""Bots of Rasa 3: rules, stories beside them, slots, forms and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from rasa3_bots import HOTEL, say, trained, types, write

from rasa_core.actions import default_actions
from rasa_core.actions.default_actions import carried_slots
from rasa_core.agent import Agent
from rasa_core.events import Event, SlotSet
from rasa_core.exceptions import DomainError, ModelError, StoryParseError
from rasa_core.project import Project
from rasa_core.rasa3.domain_parts import rasa_domain_from_text
from rasa_core.rasa3.slots import rasa_slot
from rasa_core.rasa_project.files import RasaFiles
from rasa_core.slots import Slot
from rasa_core.support.work import Work, under_way
from rasa_core.teaching.corrections import corrected_messages
from rasa_core.teaching.learning import Learner
from rasa_core.teaching.questions import Answer
from rasa_core.teaching.session import TeachingSession
from rasa_core.trackers.event_log import EventLog


@pytest.fixture
def hotel(tmp_path: Path) -> Agent:
    return trained(write(tmp_path, **HOTEL))


def test_a_form_asks_for_one_slot_after_the_other(hotel: Agent) -> None:
    assert say(hotel, "/book") == ["Which room?"]
    assert say(hotel, '/inform{"room": "blue"}') == ["How many nights in blue?"]
    assert say(hotel, '/inform{"nights": 2}') == ["blue for 2."]
    assert hotel.read_tracker("ada").history.loop is None


def test_a_form_goes_on_after_other_talk(hotel: Agent) -> None:
    say(hotel, "/book")

    assert say(hotel, "/chat") == ["Yes indeed.", "Which room?"]
    assert "action_execution_rejected" in types(hotel)


def test_what_a_form_cannot_use_is_taken_back(hotel: Agent) -> None:
    say(hotel, "/book")

    assert say(hotel, "/inform") == []
    assert types(hotel)[-2:] == ["rewind", "action"]
    assert say(hotel, '/inform{"room": "red"}') == ["How many nights in red?"]


def test_the_first_message_begins_a_session(hotel: Agent) -> None:
    say(hotel, "/chat")

    assert types(hotel)[:4] == ["action", "session_started", "action", "user"]
    assert types(hotel).count("session_started") == 1


def test_of_a_very_long_session_the_values_of_slots_are_carried_over(
    hotel: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(hotel, "/book", '/inform{"room": "red"}', "/chat", '/inform{"room": "blue"}', "/chat", "/chat", "/chat")
    tracker = hotel.read_tracker("ada")
    whole = {event.key: event.value for event in carried_slots(tracker)}
    monkeypatch.setattr(default_actions, "LONGEST_READ", 6)

    short = carried_slots(hotel.read_tracker("ada"))
    assert {event.key: event.value for event in short} == whole
    assert len(short) == len(whole)
    assert whole["room"] == "blue"
    with under_way(Work("x", most_read=100)):  # Not even these events may be read.
        assert {event.key: event.value for event in carried_slots(hotel.read_tracker("ada"))} == {
            key: value for key, value in whole.items() if value is not None
        }


def test_restart_forgets_the_form_and_its_slots(hotel: Agent) -> None:
    say(hotel, "/book", '/inform{"room": "blue"}', "/restart")

    tracker = hotel.read_tracker("ada")
    assert tracker.history.loop is None
    assert tracker.get_slot("room") is None
    assert say(hotel, "/book") == ["Which room?"]


def test_each_action_says_who_chose_it_and_each_message_who_read_it(hotel: Agent) -> None:
    say(hotel, "/chat")

    told = [event.as_dict() for event in hotel.read_tracker("ada").events]
    chosen = [event for event in told if event.get("policy")]
    assert [event["name"] for event in chosen] == ["utter_chat", "action_listen"]
    assert {event["model"] for event in chosen} == {hotel.policy_ensemble.fingerprint}
    assert [event["interpreter"] for event in told if event["event"] == "user"] == ["RegexInterpreter"]


def test_a_model_is_written_and_read_again(hotel: Agent, tmp_path: Path) -> None:
    hotel.persist(tmp_path / "model")

    again = Agent.load(tmp_path / "model")

    assert say(again, "/book") == ["Which room?"]
    assert say(again, '/inform{"room": "blue", "nights": 3}') == ["blue for 3."]


def test_a_conversation_goes_on_in_another_process(hotel: Agent) -> None:
    say(hotel, "/book", "/chat")

    tracker = hotel.read_tracker("ada")
    again = type(tracker).from_events("ada", tracker.events, hotel.domain, tracker.history.window)

    assert again.history.snapshot() == tracker.history.snapshot()


@pytest.mark.parametrize(("checks", "said"), [("true", ["B."]), ("false", [])])
def test_a_story_goes_on_after_turns_that_only_rules_know_unless_nothing_is_checked(
    tmp_path: Path, checks: str, said: list[str]
) -> None:
    agent = trained(
        write(
            tmp_path,
            config=f"policies: [{{name: MemoizationPolicy}}, {{name: RulePolicy, check_for_contradictions: {checks}}}]",
            domain="""
                version: "3.1"
                intents: [a, b, chat]
                responses: {utter_a: [{text: A.}], utter_b: [{text: B.}], utter_chat: [{text: Chat.}]}
                """,
            data__all="""
                stories:
                - story: ab
                  steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]
                rules:
                - rule: chat
                  steps: [{intent: chat}, {action: utter_chat}]
                """,
        )
    )

    assert say(agent, "/a", "/chat", "/chat", "/b") == said


def test_rules_that_contradict_one_another_are_told_with_their_places(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        domain="""
            version: "3.1"
            intents: [a]
            responses: {utter_a: [{text: A.}], utter_b: [{text: B.}]}
            """,
        data__rules="""
            rules:
            - rule: one
              steps: [{intent: a}, {action: utter_a}]
            - rule: two
              steps:
              - intent: a
              - action: utter_b
            """,
    )

    with pytest.raises(ModelError, match=r"rules\.yml:8 .*'utter_b', but that at .*rules\.yml:4 .*'utter_a'"):
        trained(folder)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("rules: [{rule: r, steps: [{intent: a}, {actoin: utter_a}]}]", r"rules\.yml:1: a step has no key 'actoin'"),
        ("rules: [{rule: r, steps: [{checkpoint: c}]}]", "a checkpoint, which only stories may have"),
        ("stories: [{story: s, steps: [{intent: a, action: utter_a}]}]", "a step says one thing"),
        ("rules: [{rule: r, steps: {intent: a}}]", r"rules\.yml:1: steps: of the rule 'r' is a list"),
        ("rules:\n  rule: r", r"rules\.yml:2: rules: is a list"),
        ("stories: none", r"rules\.yml:1: stories: is a list"),
        ("stories: [{story: s, steps: [{intent: a, entities: [{}]}]}]", "an entity is like - city, or - city: Rome"),
        (
            "rules:\n- rule: r\n  wait_for_user_input: no\n  steps: [{intent: a}]",
            r"rules\.yml:3: wait_for_user_input: is true or false, not 'no'",
        ),
    ],
    ids=[
        *("unknown key", "checkpoint in a rule", "two things", "steps without dashes", "rules without dashes"),
        *("stories that are a text", "an entity without a name", "a flag that is a text"),
    ],
)
def test_a_wrong_step_is_told_with_its_place(rules: str, problem: str, tmp_path: Path) -> None:
    folder = write(tmp_path, domain='version: "3.1"\nintents: [a]', data__rules=rules)

    with pytest.raises(StoryParseError, match=problem):
        RasaFiles(folder).read_stories()


def test_domain_files_that_disagree_are_both_named(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        domain__one='version: "3.1"\nresponses:\n  utter_a: [{text: A.}]',
        domain__two='version: "3.1"\nresponses:\n  utter_a: [{text: B.}]',
    )

    with pytest.raises(DomainError, match=r"two\.yml:3: 'utter_a' .* than that at .*one\.yml:3"):
        _ = RasaFiles(folder).domain


def test_no_is_a_name_and_not_false(hotel: Agent) -> None:
    assert "no" in hotel.domain.intents


def test_a_project_is_known_by_its_layout_and_trained_once(tmp_path: Path) -> None:
    project = Project(write(tmp_path, **HOTEL))
    said: list[str] = []

    project.train_if_changed(say=said.append)
    project.train_if_changed(say=said.append)

    assert "4 intents, 2 entities, 2 slots, " in said[0]  # Without those that every bot has.
    assert any("0 stories and 3 rules" in line for line in said)
    assert said[-1].endswith("the model is up to date")
    assert say(Agent.load(project.model), "/book") == ["Which room?"]


def test_new_words_need_no_training(tmp_path: Path) -> None:
    folder = write(tmp_path, **HOTEL)
    Project(folder).train_if_changed(say=str)
    write(tmp_path, **{**HOTEL, "domain": HOTEL["domain"].replace("Which room?", "What room?")})
    said: list[str] = []

    Project(folder).train_if_changed(say=said.append)

    assert any("without training" in line for line in said)
    assert say(Agent.load(Project(folder).model), "/book") == ["What room?"]


def test_the_action_server_stands_in_endpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONS_AT", "localhost:5055")
    endpoints = 'action_endpoint: {url: "http://${ACTIONS_AT}/webhook"}'

    project = Project(write(tmp_path, **HOTEL, endpoints=endpoints))

    assert project.endpoints().actions == {"url": "http://localhost:5055/webhook"}


def test_a_slot_that_only_rules_name_keeps_no_story_from_going_on(tmp_path: Path) -> None:
    agent = trained(
        write(
            tmp_path,
            domain="""
                version: "3.1"
                intents: [a, b, pay]
                entities: [paid]
                slots: {paid: {type: text, mappings: [{type: from_entity, entity: paid}]}}
                responses: {utter_a: [{text: A.}], utter_b: [{text: B.}], utter_paid: [{text: Thanks.}]}
                """,
            data__all="""
                stories:
                - story: ab
                  steps: [{intent: a}, {action: utter_a}, {intent: b}, {action: utter_b}]
                rules:
                - rule: paid
                  condition: [{slot_was_set: [paid]}]
                  steps: [{intent: pay}, {action: utter_paid}]
                """,
        )
    )

    assert say(agent, "/a", '/pay{"paid": "yes"}') == ["Thanks."]
    assert say(agent, "/b") == ["B."]


@pytest.mark.parametrize(
    "form",
    [
        "{required_slots: {room: [{type: from_text}], nights: [{type: from_entity, entity: nights}]}}",
        "{room: [{type: from_text}], nights: [{type: from_entity, entity: nights}]}",
    ],
    ids=["2.6", "2.0"],
)
def test_a_form_of_rasa_2_has_its_mappings_itself(form: str, tmp_path: Path) -> None:
    domain = f"""
        version: "2.0"
        intents: [book, inform]
        entities: [nights]
        slots:
          room: {{type: text, influence_conversation: false}}
          nights: {{type: text, influence_conversation: false}}
        forms: {{hotel_form: {form}}}
        responses:
          utter_ask_room: [{{text: Which room?}}]
          utter_ask_nights: [{{text: "How many nights in {{room}}?"}}]
          utter_submit: [{{text: "{{room}} for {{nights}}."}}]
          utter_chat: [{{text: Yes indeed.}}]
        """
    agent = trained(write(tmp_path, **{**HOTEL, "domain": domain}))

    assert say(agent, "/book") == ["Which room?"]
    assert say(agent, "the blue one") == ["How many nights in the blue one?"]
    assert say(agent, '/inform{"nights": "2"}') == ["the blue one for 2."]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: &a [*a]", r"rules\.yml:1: \*a stands inside of what it names"),
        ("rules:\n- rule: [a", r"rules\.yml:2.*: not valid YAML: .* The bracket that opens here is not closed"),
        ("rules: []\nrules: []", r"rules\.yml:2: the key 'rules' stands twice; the first is on line 1"),
    ],
    ids=["circle", "no YAML", "key twice"],
)
def test_what_is_no_plain_yaml_is_told_with_its_place(text: str, problem: str, tmp_path: Path) -> None:
    folder = write(tmp_path, domain='version: "3.1"\nintents: [a]', data__rules=text)

    with pytest.raises(StoryParseError, match=problem):
        RasaFiles(folder).read_stories()


def test_a_tag_is_no_plain_data(tmp_path: Path) -> None:
    folder = write(tmp_path, domain='version: "3.1"\nintents:\n- a\n- !!python/name:os.system x')

    with pytest.raises(DomainError, match=r"domain\.yml:4: the tag .*python.* is not allowed"):
        _ = RasaFiles(folder).domain


def test_forms_need_the_policy_that_runs_them(tmp_path: Path) -> None:
    folder = write(tmp_path, **HOTEL, config="policies: [{name: MemoizationPolicy}]")

    with pytest.raises(ModelError, match="only RulePolicy runs them"):
        trained(folder)


FAILING = {
    "domain": """
        version: "3.1"
        intents: [search]
        actions: [action_search]
        responses:
          utter_found: [{text: Found it.}]
          utter_sorry: [{text: Sorry!}]
        """,
    "data__rules": """
        version: "3.1"
        rules:
        - rule: search
          steps: [{intent: search}, {action: action_search}, {action: utter_found}]
        - rule: it fails
          steps: [{intent: search}, {action: action_search, failed: true}, {action: utter_sorry}]
        """,
}


@pytest.mark.parametrize("policy", ["RulePolicy", "MemoizationPolicy"])
def test_rules_and_stories_say_how_it_goes_on_when_an_action_fails(tmp_path: Path, policy: str) -> None:
    files = dict(FAILING)
    if policy == "MemoizationPolicy":
        files["data__rules"] = files["data__rules"].replace("rules:", "stories:").replace("rule:", "story:")
    agent = trained(write(tmp_path, **files))

    assert say(agent, "/search")[-1] == "Sorry!"  # There is no action server.
    assert [event.policy for event in agent.read_tracker("ada").events if event.type_name == "action"][-2] == policy


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [("action: action_search, failed: maybe", "is true or false"), ("intent: search, failed: true", "belongs to")],
    ids=["no boolean", "no action"],
)
def test_what_fails_and_how_is_checked(tmp_path: Path, wrong: str, problem: str) -> None:
    rules = FAILING["data__rules"].replace("action: action_search, failed: true", wrong)

    with pytest.raises(StoryParseError, match=rf"rules.yml:7.*failed: {problem}"):
        RasaFiles(write(tmp_path, domain=FAILING["domain"], data__rules=rules)).read_stories()


def test_a_form_reads_no_more_of_a_long_log_than_of_a_short_one(hotel: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    decode = EventLog._log

    def counted(log: EventLog, start: int, stop: int) -> Sequence[Event]:
        events = decode(log, start, stop)
        read.append(len(events))
        return events

    monkeypatch.setattr(EventLog, "_log", counted)
    turns = ("/book", '/inform{"room": "blue"}', '/inform{"nights": 2}', "/restart")
    for _ in range(12):
        say(hotel, *turns[:3])
        hotel.append_events("ada", [SlotSet("room", None), SlotSet("nights", None)])
    most = max(read)
    read.clear()
    say(hotel, *turns[:3])
    assert max(read) == most
    assert most < 40


def test_what_is_ahead_has_the_events_of_the_log(hotel: Agent) -> None:
    say(hotel, "/book", '/inform{"room": "blue"}')
    tracker = hotel.read_tracker("ada")
    more: list[Event] = [SlotSet("room", "red")]
    before = list(hotel.read_tracker("ada").events)
    for number in range(len(before) + 1):
        assert tracker.events_between(number, len(before)) == before[number:]
        assert tracker.events_between(0, number) == before[:number]
    assert list(tracker.ahead(more, hotel.domain).events) == [*before, *more]
    tracker.update(more[0])
    fresh = hotel.read_tracker("ada")
    fresh.update(more[0])
    assert fresh.events_between(len(before) - 1, len(before) + 1) == [before[-1], *more]


def test_a_message_that_is_corrected_on_the_terminal_fills_slots_and_is_known_as_corrected(hotel: Agent) -> None:
    session = TeachingSession(hotel.processor, Learner(hotel.policy_ensemble), "ada")
    session.answer(Answer("say", "/chat"))
    session.answer(Answer("correct_intent", "inform", ({"entity": "room", "value": "blue"},)))

    tracker = hotel.read_tracker("ada")
    assert tracker.get_slot("room") == "blue"
    corrected = corrected_messages(tracker)
    assert [message.intent["name"] for message in corrected] == ["inform"]


def test_a_condition_that_is_none_is_an_error_and_no_mapping_that_always_works() -> None:
    slot = "slots:\n  x:\n    type: text\n    mappings:\n    - {type: from_text, conditions: [active_loop]}\n"
    with pytest.raises(DomainError, match=r"^bot.yml:3: a condition of the slot 'x' is like active_loop: "):
        rasa_domain_from_text(f"version: '3.1'\n{slot}", "bot.yml")


@pytest.mark.parametrize("keys", [("stories", "rules"), ("rules", "stories")])
def test_texts_that_are_said_are_actions_in_the_order_of_the_file(tmp_path: Path, keys: tuple[str, str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "domain.yml").write_text("version: '3.1'\nintents: [greet]\n")
    told = [f"{key}:\n- {key[:-1]}: a\n  steps:\n  - intent: greet\n  - bot: I am of {key}.\n" for key in keys]
    (tmp_path / "data" / "all.yml").write_text("version: '3.1'\n" + "".join(told).replace("- storie:", "- story:"))
    parts = RasaFiles(tmp_path).domain.rasa
    assert parts is not None
    assert parts.texts == [f"I am of {key}." for key in keys]


class Steps(Slot):
    """A slot as users write one: more than its limit, or not."""

    def __init__(self, name: str, initial_value: object = None, limit: int = 3) -> None:
        super().__init__(name, initial_value)
        self.limit = limit

    def as_feature(self) -> list[float]:
        return [float(self.value > self.limit)]


def test_a_slot_of_ones_own_has_its_options_and_influences_as_the_domain_says() -> None:
    described = {"type": f"{__name__}.Steps", "mappings": [{"type": "custom"}], "limit": 7}
    seen, unseen = rasa_slot("s", described), rasa_slot("s", {**described, "influence_conversation": False})
    seen.value = unseen.value = 8
    assert (seen.as_feature(), seen.has_features()) == ([1.0], True)
    assert (unseen.as_feature(), unseen.has_features(), unseen.fresh().as_feature()) == ([], False, [])
    with pytest.raises(DomainError, match="it has no option 'limits'"):
        rasa_slot("s", {**described, "limits": 7})


@pytest.mark.parametrize("response", ["utter_chat", "utter_default"])
def test_a_fallback_that_has_nothing_to_say_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, response: str
) -> None:
    domain = f'version: "3.1"\nintents: [a, b]\nresponses: {{{response}: [{{text: What?}}]}}\n'
    agent = trained(
        write(tmp_path, domain=domain, data__rules="rules: [{rule: a, steps: [{intent: a}, {action: action_back}]}]")
    )

    assert say(agent, "/b") == (["What?"] if response == "utter_default" else [])
    warning = "where no policy was sure: the domain has no response 'utter_default'; add it."
    assert (warning in caplog.text) == (response == "utter_chat")
