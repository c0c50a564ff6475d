"""The protocol by which a caller runs actions in its own code."""

from __future__ import annotations

import logging

import pytest
from callers import Caller, make_processor
from policy_bot import FOUND, ITALIAN, Script

from rasa_core.channels import UserMessage
from rasa_core.events import (
    ActionExecuted,
    ActionReverted,
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    FollowupAction,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
)
from rasa_core.exceptions import EventError, UnknownActionError, UnknownSlotError
from rasa_core.policies import PolicyEnsemble
from rasa_core.processor import (
    INFO_LISTENING,
    INFO_NO_MESSAGE,
    INFO_PAUSED,
    INFO_REPEATED,
    MessageProcessor,
)

ENDLESS = {("bye", "action_listen"): "utter_bye", ("bye", "utter_bye"): "utter_bye"}


@pytest.fixture
def caller() -> Caller:
    return Caller(make_processor())


class TestParse:
    def test_logs_the_message_and_says_what_to_do(self, caller) -> None:
        answer = caller.parse("/greet")
        assert (answer["next_action"], answer["policy"], answer["confidence"]) == (
            "utter_greet",
            "Script",
            1.0,
        )
        assert caller.log() == ["action_listen", "/greet"]

    def test_the_answer_tells_the_state(self, caller) -> None:
        answer = caller.parse(ITALIAN)
        assert set(answer) == {"next_action", "confidence", "policy", "understood", "version", "tracker"}
        assert answer["version"] == len(caller.events()) == 3
        tracker = answer["tracker"]
        assert set(tracker) == {
            "sender_id",
            "slots",
            "latest_message",
            "latest_event_time",
            "paused",
            "events",
        }
        assert (tracker["sender_id"], tracker["paused"], tracker["events"]) == ("anna", False, None)
        assert tracker["slots"] == {"cuisine": "italian", "price": "low", "tags": None, "found": None}
        assert tracker["latest_message"]["intent"]["name"] == "inform"

    def test_entities_set_the_slots_of_their_names(self, caller) -> None:
        caller.parse('/inform{"cuisine": ["thai", "greek"], "tags": ["quiet", "cheap"], "shoe": 1}')
        assert caller.log()[2:] == ["cuisine=greek", "tags=['quiet', 'cheap']"]

    def test_entities_leave_slots_alone_where_the_domain_says_so(self) -> None:
        processor = make_processor()
        processor.domain.store_entities_as_slots = False
        caller = Caller(processor)
        caller.parse(ITALIAN)
        assert caller.log() == ["action_listen", ITALIAN]

    def test_listening_is_logged_at_once(self, caller) -> None:
        answer = caller.parse("/thank")
        assert (answer["next_action"], answer["version"]) == ("action_listen", 3)
        listening = caller.events()[-1]
        assert listening == ActionExecuted("action_listen")
        assert (listening.policy, listening.confidence) == ("Script", 1.0)

    def test_two_messages_in_a_row_are_both_kept(self, caller) -> None:
        caller.parse("/greet")
        assert caller.parse("/bye")["next_action"] == "utter_bye"
        assert caller.log() == ["action_listen", "/greet", "/bye"]

    @pytest.mark.parametrize("text", ["/nope", '/nope{"cuisine": "thai"}', "/gret"])
    def test_an_intent_that_there_is_not_is_logged_and_explained(self, caller, text) -> None:
        answer = caller.parse(text)
        name = text[1:].partition("{")[0]
        assert answer["tracker"]["latest_message"]["intent"] == {"name": name, "confidence": 1.0}
        assert answer["info"].startswith(f"The domain has no intent {name!r}, which the message names.")
        assert ("Did you mean 'greet'" in answer["info"]) is (name == "gret")

    @pytest.mark.parametrize("text", ["/greet", "/restart", "hello there", "_greet", "/session_start", "/"])
    def test_other_messages_need_no_explanation(self, caller, text) -> None:
        assert "info" not in caller.parse(text)

    def test_buttons_of_old_are_read(self, caller) -> None:
        answer = caller.parse("_inform[cuisine=thai]")
        assert (answer["next_action"], answer["tracker"]["slots"]["cuisine"]) == ("action_search", "thai")

    def test_an_empty_message_has_no_intent(self, caller) -> None:
        answer = caller.parse("")
        assert answer["tracker"]["latest_message"]["intent"]["name"] is None
        assert answer["next_action"] == "action_listen"

    def test_conversations_are_apart(self, caller) -> None:
        other = Caller(caller.processor, "bert")
        caller.parse(ITALIAN)
        assert other.parse("/greet")["tracker"]["slots"]["cuisine"] is None


class TestContinue:
    def test_logs_the_action_and_its_events_and_says_what_is_next(self, caller) -> None:
        caller.parse(ITALIAN)
        answer = caller.next("action_search", FOUND, SlotSet("price", "high"))
        assert answer["next_action"] == "utter_found"
        assert "info" not in answer
        assert caller.log()[3:] == ["action_search", "found=Da Mario", "price=high"]

    def test_goes_on_until_the_bot_listens(self, caller) -> None:
        caller.parse("/greet")
        assert caller.next("utter_greet")["next_action"] == "utter_ask_cuisine"
        assert caller.next("utter_ask_cuisine")["next_action"] == "action_listen"
        assert caller.log() == [
            "action_listen",
            "/greet",
            "utter_greet",
            "utter_ask_cuisine",
            "action_listen",
        ]

    def test_an_endless_bot_is_the_callers_to_stop(self) -> None:
        processor = make_processor(max_number_of_predictions=3)
        processor.policy_ensemble = PolicyEnsemble(
            [Script({("bye", "action_listen"): "utter_bye", ("bye", "utter_bye"): "utter_bye"})]
        )
        caller = Caller(processor)
        caller.parse("/bye")
        assert [caller.next("utter_bye")["next_action"] for _ in range(6)] == ["utter_bye"] * 6

    def test_no_action_logs_the_events_alone(self, caller) -> None:
        caller.parse("/greet")
        answer = caller.next(None, SlotSet("price", "high"))
        assert answer["next_action"] == "utter_greet"
        assert caller.log() == ["action_listen", "/greet", "price=high"]

    def test_an_action_that_was_not_asked_for_is_logged_too(self, caller) -> None:
        caller.parse("/greet")
        assert caller.next("utter_welcome")["next_action"] == "action_listen"
        assert "utter_welcome" in caller.log()

    def test_a_fixed_next_action_wins(self, caller) -> None:
        caller.parse("/greet")
        answer = caller.next("utter_greet", FollowupAction("utter_bye"))
        assert (answer["next_action"], answer["confidence"], answer["policy"]) == ("utter_bye", 1.0, None)
        assert caller.next("utter_bye")["next_action"] == "action_listen"

    def test_taking_back_the_message_waits_for_another(self, caller) -> None:
        caller.parse("/greet")
        caller.next("utter_greet", UserUtteranceReverted())
        assert caller.processor.tracker_store.peek("anna").latest_message.text is None

    def test_a_retry_can_be_taken_back(self, caller) -> None:
        caller.parse("/greet")
        caller.next("utter_greet")
        caller.next("utter_greet")
        assert caller.next(None, ActionReverted())["next_action"] == "utter_ask_cuisine"


class TestInfo:
    def test_continue_after_listening_keeps_the_events_and_explains(self, caller) -> None:
        caller.parse("/thank")
        answer = caller.next("action_listen", SlotSet("price", "high"))
        assert (answer["next_action"], answer["info"]) == (None, INFO_LISTENING)
        assert answer["tracker"]["slots"]["price"] == "high"
        assert caller.log() == ["action_listen", "/thank", "action_listen", "price=high"]

    def test_the_texts_that_clients_know_are_unchanged(self) -> None:
        assert INFO_PAUSED == "Bot is currently paused and no restart was received yet."
        assert INFO_LISTENING == (
            "You do not need to call continue after action listen got returned for the previous continue "
            "call. You are expected to call 'parse' with the next user message."
        )

    @pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
    def test_continue_without_a_message_is_explained_and_logged(self, caller, known) -> None:
        if known:
            caller.parse("/thank")
        answer = caller.next("utter_greet")
        assert answer["info"] == INFO_NO_MESSAGE
        assert "utter_greet" in caller.log()

    def test_the_same_action_twice_is_explained_and_logged(self, caller) -> None:
        caller.parse("/greet")
        caller.next("utter_greet")
        answer = caller.next("utter_greet")
        assert answer["info"] == INFO_REPEATED
        assert caller.log().count("utter_greet") == 2

    def test_the_last_action_twice_is_explained_too(self, caller) -> None:
        caller.parse("/bye")
        caller.next("utter_bye")
        assert caller.next("utter_bye")["info"] == INFO_NO_MESSAGE

    def test_an_action_that_follows_itself_needs_no_explanation(self, caller) -> None:
        caller.processor.policy_ensemble = PolicyEnsemble([Script(ENDLESS)])
        caller.parse("/bye")
        caller.next("utter_bye")
        assert "info" not in caller.next("utter_bye")


class TestPause:
    @pytest.fixture
    def paused(self, caller) -> Caller:
        caller.parse("/greet")
        caller.next("utter_greet", ConversationPaused())
        return caller

    def test_pausing_ends_the_turn(self, caller) -> None:
        caller.parse("/greet")
        answer = caller.next("utter_greet", ConversationPaused())
        assert (answer["next_action"], answer["info"]) == ("action_listen", INFO_PAUSED)
        assert (answer["confidence"], answer["policy"]) == (1.0, None)
        assert answer["tracker"]["paused"] is True
        assert caller.log()[-3:] == ["utter_greet", "pause", "action_listen"]

    def test_listening_is_not_logged_twice(self, caller) -> None:
        caller.parse("/thank")
        answer = caller.next(None, ConversationPaused())
        assert (answer["next_action"], answer["info"]) == ("action_listen", INFO_PAUSED)
        assert caller.log()[-2:] == ["action_listen", "pause"]

    def test_messages_are_kept(self, paused) -> None:
        before = len(paused.events())
        answer = paused.parse(ITALIAN)
        assert (answer["next_action"], answer["info"]) == (None, INFO_PAUSED)
        assert answer["tracker"]["slots"]["cuisine"] == "italian"
        assert len(paused.events()) == before + 2

    def test_resuming_goes_on(self, paused) -> None:
        paused.parse(ITALIAN)
        paused.next(None, ConversationResumed())
        assert paused.parse("/bye")["next_action"] == "utter_bye"

    def test_a_restart_wakes_the_bot(self, paused) -> None:
        assert paused.parse("/restart")["next_action"] == "action_restart"
        assert paused.next("action_restart", Restarted())["tracker"]["paused"] is False
        assert paused.parse("/greet")["next_action"] == "utter_greet"


class TestRestart:
    def test_the_intent_asks_no_policy(self, caller) -> None:
        answer = caller.parse("/restart")
        assert (answer["next_action"], answer["confidence"], answer["policy"]) == (
            "action_restart",
            1.0,
            None,
        )

    def test_the_domain_names_the_intent(self, caller) -> None:
        caller.processor.domain.restart_intent = "bye"
        assert caller.parse("/bye")["next_action"] == "action_restart"

    @pytest.mark.parametrize("events", [[Restarted()], []], ids=["sent", "missing"])
    def test_the_conversation_starts_anew_and_listens(self, caller, events) -> None:
        caller.parse(ITALIAN)
        caller.parse("/restart")
        answer = caller.next("action_restart", *events)
        assert answer["next_action"] == "action_listen"
        assert answer["tracker"]["slots"]["cuisine"] is None
        assert answer["tracker"]["latest_message"]["intent"] == {}
        assert caller.log()[-3:] == ["action_restart", "restart", "action_listen"]
        assert caller.parse("/greet")["next_action"] == "utter_greet"

    def test_any_action_may_restart(self, caller) -> None:
        caller.parse("/bye")
        assert caller.next("utter_bye", Restarted())["next_action"] == "action_listen"


class TestRefusals:
    def test_an_unknown_action_is_an_error_and_nothing_is_stored(self, caller) -> None:
        caller.parse("/greet")
        with pytest.raises(UnknownActionError, match=r"no action 'utter_gret'. Did you mean 'utter_greet'"):
            caller.next("utter_gret", SlotSet("price", "high"))
        assert caller.log() == ["action_listen", "/greet"]

    @pytest.mark.parametrize("action", ["utter_greet", "action_listen", None])
    def test_an_unknown_slot_is_an_error_and_nothing_is_stored(self, caller, action) -> None:
        caller.parse("/greet")
        with pytest.raises(UnknownSlotError, match=r"no slot 'prize'. Did you mean 'price'"):
            caller.next(action, SlotSet("price", "high"), SlotSet("prize", "high"))
        assert caller.log() == ["action_listen", "/greet"]

    @pytest.mark.parametrize("event", [ActionExecuted("x"), FollowupAction("x")])
    def test_events_that_name_an_unknown_action_are_errors(self, caller, event) -> None:
        with pytest.raises(ValueError, match="no action 'x'"):
            caller.next(None, event)
        assert caller.processor.tracker_store.keys() == []

    def test_what_is_no_event_is_an_error(self, caller) -> None:
        with pytest.raises(ValueError, match="updated with an Event"):
            caller.next(None, {"event": "restart"})
        assert caller.processor.tracker_store.keys() == []

    def test_what_json_cannot_express_is_an_error(self, caller) -> None:
        with pytest.raises(EventError, match="cannot be stored as JSON"):
            caller.next(None, SlotSet("price", object()))
        assert caller.processor.tracker_store.keys() == []


class TestOtherChanges:
    def test_events_are_appended_without_a_prediction(self, caller) -> None:
        state, version = caller.processor.append_events("anna", [SlotSet("price", "high")])
        assert (state["slots"]["price"], state["events"], version) == ("high", None, 2)
        assert caller.log() == ["action_listen", "price=high"]

    def test_events_replace_a_conversation(self, caller) -> None:
        caller.parse("/greet")
        state, version = caller.processor.replace_events("anna", [SlotSet("price", "high")])
        assert (state["slots"]["price"], len(state["events"]), version) == ("high", 1, 3)
        assert caller.log() == ["price=high"]

    def test_a_conversation_that_was_replaced_is_told_from_its_latest_restart_on(self, caller) -> None:
        events = [SlotSet("price", "high"), Restarted(), SlotSet("price", "low")]
        state, _ = caller.processor.replace_events("anna", events)
        assert [event["value"] for event in state["events"]] == ["low"]

    @pytest.mark.parametrize("change", ["append_events", "replace_events"])
    def test_unknown_names_change_nothing(self, caller, change) -> None:
        caller.parse("/greet")
        with pytest.raises(UnknownSlotError, match="no slot 'x'"):
            getattr(caller.processor, change)("anna", [SlotSet("price", "high"), SlotSet("x", 1)])
        assert caller.log() == ["action_listen", "/greet"]

    @pytest.mark.parametrize("change", ["append", "continue"])
    def test_a_conversation_begins_no_later_than_its_first_event(self, caller, change) -> None:
        events = [SlotSet("price", "high", 7.0), SlotSet("price", "low", 5.0)]
        if change == "append":
            caller.processor.append_events("anna", events)
        else:
            caller.next(None, *events)
        assert [event.timestamp for event in caller.events()[:3]] == [5.0, 7.0, 5.0]
        then = caller.processor.tracker_store.peek("anna").travel_back_in_time(7.0)
        assert (then.latest_action_name, then.get_slot("price")) == ("action_listen", "low")

    def test_a_conversation_that_goes_on_keeps_its_times(self, caller) -> None:
        caller.parse("/greet")
        began = caller.events()[0].timestamp
        caller.processor.append_events("anna", [SlotSet("price", "high", 5.0)])
        assert caller.events()[0].timestamp == began

    def test_a_new_slot_of_an_action_is_warned_about_once(self, caller, caplog) -> None:
        caller.processor.policy_ensemble.action_fingerprints = {"utter_greet": {"slots": ["price"]}}
        caller.parse("/greet")
        for _ in range(2):
            caller.next("utter_greet", SlotSet("price", "low"), SlotSet("found", "x"))
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "'utter_greet' set the slot 'found', which it does in no story" in caplog.text


def test_bot_utterances_are_logged_once() -> None:
    processor = make_processor()
    dispatcher = processor.dispatcher_for(UserMessage("/greet", None, "anna"))
    dispatcher.utter_message("hello")
    tracker = processor.tracker_store.peek("anna")
    for _ in range(2):
        MessageProcessor.log_bot_utterances_on_tracker(tracker, dispatcher)
    assert list(tracker.events)[1:] == [BotUttered("hello")]
