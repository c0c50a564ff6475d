"""Turns whose actions run in this process."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from callers import described
from policy_bot import ITALIAN, Script, conversation, local_domain, remote_domain

from rasa_core.actions.action import Action
from rasa_core.actions.runner import runner_for
from rasa_core.channels import OutputChannel, UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.domain import Domain
from rasa_core.events import BotUttered, ConversationPaused, Restarted, SlotSet
from rasa_core.exceptions import InterpreterError, RemoteActionError
from rasa_core.interpreter import NaturalLanguageInterpreter, RegexInterpreter
from rasa_core.policies import PolicyEnsemble
from rasa_core.processor import MessageProcessor, TurnProcessor
from rasa_core.tracker_store import InMemoryTrackerStore
from rasa_core.trackers import DialogueStateTracker

FOLLOWING = {
    ("greet", "action_listen"): "utter_greet",
    ("inform", "action_listen"): "action_search",
    ("inform", "action_search"): "utter_found",
    ("thank", "action_listen"): "utter_welcome",
    ("thank", "utter_welcome"): "utter_welcome",
    ("bye", "action_listen"): "utter_bye",
    ("bye", "utter_bye"): "action_search",
}


def make(domain: Domain | None = None, interpreter: Any = None, **options: Any) -> MessageProcessor:
    domain = local_domain() if domain is None else domain
    store = InMemoryTrackerStore(domain)
    ensemble = PolicyEnsemble([Script(FOLLOWING)])
    return MessageProcessor(interpreter or RegexInterpreter(), ensemble, domain, store, **options)


def log(processor: MessageProcessor) -> list[str]:
    return [described(event) for event in processor.tracker_store.peek("default").events]


def texts(answer: list[dict[str, Any]] | None) -> list[str]:
    assert answer is not None
    return [message["text"] for message in answer]


def replace_search(processor: MessageProcessor, run) -> None:
    """Put an action in the place of ``action_search``."""
    index = processor.domain.index_for_action("action_search")

    class Replaced(Action):
        def name(self) -> str:
            return "action_search"

        def run(self, dispatcher, tracker, domain):
            return run(dispatcher, tracker)

    processor.domain.actions[index] = Replaced()


class TestActions:
    def test_run_until_the_bot_listens(self) -> None:
        processor = make()
        answer = processor.handle_message(UserMessage(ITALIAN))
        assert texts(answer) == ["searching ...", "try Da Mario"]
        assert answer[1]["data"] == [{"title": "Thanks", "payload": "/thank"}]
        assert answer[1]["recipient_id"] == "default"

    def test_what_was_said_is_logged_after_the_action_that_said_it(self) -> None:
        processor = make()
        processor.handle_message(UserMessage(ITALIAN))
        assert log(processor) == [
            "action_listen",
            ITALIAN,
            "cuisine=italian",
            "action_search",
            "bot",
            "found=Da Mario",
            "utter_found",
            "bot",
            "action_listen",
        ]
        bot = [event for event in processor.tracker_store.peek("default").events if isinstance(event, BotUttered)]
        assert bot[-1] == BotUttered("try Da Mario", {"buttons": [{"title": "Thanks", "payload": "/thank"}]})

    def test_what_an_action_fixes_itself_comes_next(self) -> None:
        processor = make()

        def run(dispatcher, tracker):
            tracker.trigger_follow_up_action(processor.domain.action_for_name("utter_bye"))
            tracker.update(SlotSet("found", "by the action"))

        replace_search(processor, run)
        assert texts(processor.handle_message(UserMessage(ITALIAN))) == ["bye"]
        told = log(processor)
        assert told[told.index("action_search") + 2] == "utter_bye"
        assert told[-1] == "action_listen"
        replayed = DialogueStateTracker.from_events(
            "default", processor.tracker_store.peek("default").events, processor.domain
        )
        assert replayed == processor.tracker_store.peek("default")

    def test_an_action_that_restarts_by_itself_is_followed_by_listening(self) -> None:
        processor = make()
        processor.policy_ensemble = PolicyEnsemble([Script({**FOLLOWING, (None, "action_search"): "utter_bye"})])
        replace_search(processor, lambda dispatcher, tracker: tracker.update(Restarted()))
        assert processor.handle_message(UserMessage(ITALIAN)) == []
        assert processor.tracker_store.peek("default").latest_action_name == "action_listen"
        assert log(processor)[-1] == "action_listen"
        assert log(processor).count("action_search") == 1

    def test_what_was_fixed_before_an_action_is_not_fixed_by_it(self) -> None:
        processor = make()
        replace_search(processor, lambda dispatcher, tracker: dispatcher.utter_message("once"))
        tracker = processor.tracker_store.get_or_create_tracker("default")
        tracker.trigger_follow_up_action("action_search")
        processor.tracker_store.save(tracker)
        assert texts(processor.handle_message(UserMessage("/greet"))).count("once") == 1

    def test_each_is_logged_with_the_policy_that_chose_it(self) -> None:
        processor = make()
        processor.handle_message(UserMessage("/greet"))
        action = processor.tracker_store.peek("default").events[2]
        assert (action.action_name, action.policy, action.confidence) == ("utter_greet", "Script", 1.0)

    def test_go_to_the_channel_of_the_message(self) -> None:
        class Shouting(OutputChannel):
            said: list[str] = []  # noqa: RUF012

            def send_text_message(self, recipient_id: str, message: str) -> None:
                self.said.append(f"{recipient_id}: {message.upper()}")

        assert make().handle_message(UserMessage("/greet", Shouting(), "anna")) is None
        assert Shouting.said == ["anna: HELLO"]

    def test_may_return_nothing(self) -> None:
        processor = make()
        replace_search(processor, lambda dispatcher, tracker: None)
        processor.handle_message(UserMessage(ITALIAN))
        assert log(processor)[3:] == ["action_search", "utter_found", "bot", "action_listen"]

    def test_may_restart(self) -> None:
        processor = make()
        replace_search(processor, lambda dispatcher, tracker: [Restarted()])
        processor.handle_message(UserMessage(ITALIAN))
        assert log(processor)[-3:] == ["action_search", "restart", "action_listen"]

    def test_may_pause_the_bot(self) -> None:
        processor = make()
        replace_search(processor, lambda dispatcher, tracker: [ConversationPaused()])
        assert processor.handle_message(UserMessage(ITALIAN)) == []
        assert log(processor)[-3:] == ["action_search", "pause", "action_listen"]
        assert processor.handle_message(UserMessage("/greet")) == []
        assert log(processor)[-1] == "/greet"

    def test_the_restart_intent_restarts(self) -> None:
        processor = make()
        processor.handle_message(UserMessage(ITALIAN))
        assert processor.handle_message(UserMessage("/restart")) == []
        assert log(processor)[-4:] == ["/restart", "action_restart", "restart", "action_listen"]


class TestFailingActions:
    @pytest.mark.parametrize("error", [ValueError("no network"), RecursionError(), KeyError("x")])
    def test_what_an_action_raises_is_logged_and_the_turn_goes_on(self, error, caplog) -> None:
        def fail(dispatcher, tracker):
            dispatcher.utter_message("one moment")
            raise error

        processor = make()
        replace_search(processor, fail)
        answer = processor.handle_message(UserMessage(ITALIAN))
        problem = f"{type(error).__name__}: {error}".rstrip(": ")
        assert (len(answer), answer[0]["text"]) == (3, "one moment")
        assert answer[1] == {
            "recipient_id": "default",
            "text": "The action action_search failed.",
            "action": "action_search",
            "error": "the action failed; the conversation and the log of the bot say why",
        }
        (event,) = [event for event in processor.tracker_store.peek("default").events if "error" in event.as_dict()]
        assert (event.action_name, event.error) == ("action_search", problem)
        assert log(processor)[3:] == ["action_search", "bot", "utter_found", "bot", "action_listen"]
        (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert record.getMessage() == "the action 'action_search' failed in conversation 'default'."
        assert record.exc_info[1] is error

    @pytest.mark.parametrize("returned", [["restart"], "restart", [None], 3])
    def test_anything_but_events_is_a_failure(self, returned, caplog) -> None:
        processor = make()
        replace_search(processor, lambda dispatcher, tracker: returned)
        processor.handle_message(UserMessage(ITALIAN))
        assert "the action 'action_search' failed" in caplog.text
        assert log(processor)[-1] == "action_listen"

    def test_a_slot_that_the_domain_does_not_have_is_logged_and_not_set(self, caplog) -> None:
        processor = make()
        replace_search(processor, lambda dispatcher, tracker: [SlotSet("prize", 1)])
        processor.handle_message(UserMessage(ITALIAN))
        assert "prize=1" in log(processor)
        assert "prize" not in processor.tracker_store.peek("default").slots


class TestCircuitBreaker:
    def test_ten_actions_run_for_one_message_and_then_the_bot_listens(self, caplog) -> None:
        processor = make()
        assert texts(processor.handle_message(UserMessage("/thank"))) == ["welcome"] * 10
        assert log(processor)[-1] == "action_listen"
        assert log(processor).count("utter_welcome") == 10
        assert "10 actions ran for one message" in caplog.text
        assert "'utter_welcome' follow itself" in caplog.text

    def test_the_next_message_is_answered_as_ever(self) -> None:
        processor = make(max_number_of_predictions=2)
        processor.handle_message(UserMessage("/thank"))
        assert texts(processor.handle_message(UserMessage("/greet"))) == ["hello"]

    def test_the_callback_may_say_something(self) -> None:
        def apologise(tracker, output_channel, dispatcher) -> None:
            assert isinstance(output_channel, CollectingOutputChannel)
            assert tracker.latest_action_name == "utter_welcome"
            dispatcher.utter_message("sorry")

        processor = make(max_number_of_predictions=1, on_circuit_break=apologise)
        assert texts(processor.handle_message(UserMessage("/thank"))) == ["welcome", "sorry"]
        assert log(processor)[-3:] == ["bot", "bot", "action_listen"]

    def test_the_callback_may_be_of_old_and_take_no_channel(self) -> None:
        def apologise(tracker, dispatcher) -> None:
            dispatcher.utter_message(f"sorry, {tracker.sender_id}")

        processor = make(max_number_of_predictions=1, on_circuit_break=apologise)
        assert texts(processor.handle_message(UserMessage("/thank"))) == ["welcome", "sorry, default"]

    def test_listening_in_time_breaks_nothing(self, caplog) -> None:
        make(max_number_of_predictions=2).handle_message(UserMessage("/greet"))
        assert caplog.records == []


class TestRemoteActions:
    def test_cannot_run_here_and_nothing_is_stored(self) -> None:
        processor = make(remote_domain())
        with pytest.raises(RemoteActionError, match=r"'action_search' runs in your own code.*parse.*continue"):
            processor.handle_message(UserMessage(ITALIAN))
        assert processor.tracker_store.keys() == []

    def test_store_nothing_either_if_they_come_after_something_that_was_said(self) -> None:
        processor = make(remote_domain())
        with pytest.raises(RemoteActionError, match="'action_search' runs in your own code"):
            processor.handle_message(UserMessage("/bye"))
        assert processor.tracker_store.keys() == []

    def test_templates_are_said_here_all_the_same(self) -> None:
        assert texts(make(remote_domain()).handle_message(UserMessage("/greet"))) == ["hello"]


class TestCommits:
    def test_an_action_with_effects_is_on_record_before_the_next_runs(self) -> None:
        domain, commits = local_domain(), []
        turn = TurnProcessor(RegexInterpreter(), PolicyEnsemble([Script(FOLLOWING)]), domain, runner_for(domain))
        tracker = conversation(domain, "action_listen")
        turn.run_turn(tracker, UserMessage(ITALIAN), lambda: commits.append(tracker.latest_action_name))
        assert commits == ["action_listen", "action_search"]

    def test_an_action_that_only_says_something_needs_no_record_before_it(self) -> None:
        domain, commits = local_domain(), []
        turn = TurnProcessor(RegexInterpreter(), PolicyEnsemble([Script(FOLLOWING)]), domain, runner_for(domain))
        tracker = conversation(domain, "action_listen")
        turn.run_turn(tracker, UserMessage("/greet"), lambda: commits.append(tracker.latest_action_name))
        assert commits == []

    def test_nothing_is_on_record_of_a_turn_that_ends_at_an_action_of_the_caller(self) -> None:
        domain, commits = remote_domain(), []
        turn = TurnProcessor(RegexInterpreter(), PolicyEnsemble([Script(FOLLOWING)]), domain, runner_for(domain))
        with pytest.raises(RemoteActionError, match="action_search"):
            turn.run_turn(conversation(domain, "action_listen"), UserMessage(ITALIAN), lambda: commits.append(1))
        assert commits == []

    def test_a_crash_keeps_what_ran_before(self) -> None:
        processor = make()
        following = processor.policy_ensemble.policies[0].following
        following["inform", "action_search"] = "utter_bye"

        def interrupt(*arguments: object) -> None:
            raise KeyboardInterrupt

        processor.domain.action_for_name("utter_bye").run = interrupt
        with pytest.raises(KeyboardInterrupt):
            processor.handle_message(UserMessage(ITALIAN))
        assert log(processor)[-1] == "found=Da Mario"


class TestUnderstanding:
    class Fixed(NaturalLanguageInterpreter):
        def __init__(self, parse: Any) -> None:
            self.answer = parse

        def parse(self, text: str) -> Any:
            return self.answer

    def test_the_interpreter_gets_what_does_not_name_its_intent(self) -> None:
        greet = {"text": "hi", "intent": {"name": "greet", "confidence": 0.9}, "entities": []}
        processor = make(interpreter=self.Fixed(greet))
        assert processor.understand("hi") is greet
        for text in ("/bye", "_bye"):
            assert processor.understand(text)["intent"] == {"name": "bye", "confidence": 1.0}

    def test_the_interpreter_gets_what_only_looks_like_an_intent(self) -> None:
        greet = {"text": "hi", "intent": {"name": "greet", "confidence": 0.9}, "entities": []}
        processor = make(interpreter=self.Fixed(greet))
        for text in ("/home/user", "_hello there_", "/ or _", "__init__", "_nope"):
            assert processor.understand(text) is greet
        assert processor.understand("_inform[cuisine=thai]")["entities"][0]["value"] == "thai"
        assert processor.understand("/nope")["intent"] == {"name": "nope", "confidence": 1.0}

    def test_the_preprocessor_comes_first(self) -> None:
        processor = make(message_preprocessor=lambda text: f"/{text.lower()}")
        assert texts(processor.handle_message(UserMessage("GREET"))) == ["hello"]
        assert log(processor)[1] == "/greet"

    def test_a_message_is_logged_as_it_was_typed_though_another_text_was_read(self) -> None:
        read = {"text": "hi anna", "intent": {"name": "greet", "confidence": 0.9}, "entities": []}
        processor = make(interpreter=self.Fixed(read), message_preprocessor=str.strip)
        message = processor.start_message_handling(UserMessage(" Hi ANNA "))["tracker"]["latest_message"]
        assert message["text"] == "hi anna"
        assert processor.tracker_store.peek("default").latest_message.text == "Hi ANNA"

    def test_what_the_interpreter_adds_is_kept(self) -> None:
        parse = {"text": "hi", "intent": {"name": "greet"}, "entities": [], "sentiment": 0.5}
        processor = make(interpreter=self.Fixed(parse))
        answer = processor.start_message_handling(UserMessage("hi"))
        assert answer["tracker"]["latest_message"] == parse

    @pytest.mark.parametrize("parse", [{"intent": None}, {"entities": None}, {}], ids=str)
    def test_nothing_understood_is_no_error(self, parse) -> None:
        processor = make(interpreter=self.Fixed(parse))
        answer = processor.start_message_handling(UserMessage("hm"))
        message = answer["tracker"]["latest_message"]
        assert (message["intent"], message["entities"]) == ({"name": None, "confidence": 0.0}, [])
        assert answer["next_action"] == "action_listen"

    @pytest.mark.parametrize(
        "parse",
        [
            *(None, "greet", {"intent": "greet"}, {"intent": {"name": 3}}, {"entities": [{"value": 1}]}),
            {"entities": [{"entity": "city"}] * 10_001},
        ],
        ids=lambda parse: str(parse)[:50],
    )
    def test_what_is_no_parse_is_explained_and_nothing_is_stored(self, parse) -> None:
        processor = make(interpreter=self.Fixed(parse))
        with pytest.raises(InterpreterError, match=r"Fixed returned no parse: .*A parse is like"):
            processor.start_message_handling(UserMessage("hm"))
        assert processor.tracker_store.keys() == []


class TestPrediction:
    def test_changes_nothing(self) -> None:
        processor = make()
        tracker = conversation(processor.domain, "/greet")
        before = tracker.version
        assert processor.predict(tracker).action == "utter_greet"
        assert tracker.version == before

    def test_gives_each_action_a_probability(self) -> None:
        processor = make()
        for text in ("/greet", "/restart"):
            scores = processor.predict(conversation(processor.domain, text)).scores
            assert list(scores) == processor.domain.action_names
            assert sum(scores.values()) == 1.0
