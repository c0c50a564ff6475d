"""A request with a key is carried out once; a request with a version, only at that version."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from at_once import at_once
from callers import Caller, make_processor
from policy_bot import ITALIAN, local_domain

from rasa_core import processor as processor_module
from rasa_core.actions.action import Action
from rasa_core.actions.runner import runner_for
from rasa_core.channels import OutputChannel, UserMessage
from rasa_core.events import ActionExecuted, ActionReverted, Event, SlotSet, UserUttered
from rasa_core.exceptions import IdempotencyKeyError, KeyReusedError, PreconditionError, StoreUnavailableError
from rasa_core.processor import MessageProcessor
from rasa_core.tracker_store import (
    EventLogStore,
    InMemoryTrackerStore,
    RequestConditions,
    SqliteTrackerStore,
    TrackerStore,
)
from rasa_core.tracker_store.idempotency import RequestResult
from rasa_core.trackers import DialogueStateTracker

PRICE = SlotSet("price", "high")


class Unlocked(InMemoryTrackerStore):
    """A store without locks, so that only versions protect conversations."""

    def lock(self, sender_id: str) -> AbstractContextManager[None]:
        return nullcontext()


class Simple(TrackerStore):
    """A store as users write them."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: dict[str, str] = {}

    def save(self, tracker: DialogueStateTracker) -> None:
        self.saved[tracker.sender_id] = self.serialise_tracker(tracker)

    def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
        found = self.saved.get(sender_id)
        return None if found is None else self.deserialise_tracker(sender_id, found)


@pytest.fixture(params=["memory", "sqlite", "custom"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TrackerStore]:
    if request.param == "sqlite":
        with SqliteTrackerStore(path=tmp_path / "log.db") as sqlite:
            yield sqlite
    else:
        # A class of its own, since stores of one class count as views of one storage.
        yield InMemoryTrackerStore() if request.param == "memory" else type("Custom", (Simple,), {})()


@pytest.fixture
def caller(store: TrackerStore) -> Caller:
    return Caller(make_processor(store))


CHANGES: dict[str, Callable[[MessageProcessor, RequestConditions | None], RequestResult]] = {
    "parse": lambda made, conditions: made.parse(UserMessage("/greet", None, "anna"), conditions),
    "continue": lambda made, conditions: made.continue_("anna", "utter_greet", [PRICE], conditions),
    "respond": lambda made, conditions: made.respond(UserMessage("/bye", None, "anna"), conditions),
    "append": lambda made, conditions: made.append_events("anna", [PRICE], conditions),
    "replace": lambda made, conditions: made.replace_events("anna", [PRICE], conditions),
}


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Callable[[MessageProcessor, RequestConditions | None], RequestResult]:
    return CHANGES[request.param]


class TestKeys:
    def test_a_repeated_request_gets_its_answer_and_adds_nothing(self, caller, change) -> None:
        caller.parse("/greet")
        first = change(caller.processor, RequestConditions("k", "digest"))
        log = caller.log()
        assert change(caller.processor, RequestConditions("k", "digest")) == first
        assert caller.log() == log

    def test_it_gets_that_answer_also_when_the_conversation_has_gone_on(self, caller, change) -> None:
        caller.parse("/greet")
        first = change(caller.processor, RequestConditions("k", "digest"))
        caller.next("utter_greet")
        log = caller.log()
        assert change(caller.processor, RequestConditions("k", "digest")) == first
        assert caller.log() == log

    def test_another_key_is_another_request(self, caller) -> None:
        for key in ("k", "K"):
            caller.processor.append_events("anna", [PRICE], RequestConditions(key, "digest"))
        assert caller.log().count("price=high") == 2

    def test_a_key_belongs_to_its_conversation(self, caller) -> None:
        for sender_id in ("anna", "bert"):
            caller.processor.append_events(sender_id, [PRICE], RequestConditions("k", "digest"))
        assert Caller(caller.processor, "bert").log() == caller.log() == ["action_listen", "price=high"]

    def test_a_key_that_comes_with_another_request_is_refused(self, caller, change) -> None:
        caller.parse("/greet")
        change(caller.processor, RequestConditions("k", "digest"))
        log = caller.log()
        with pytest.raises(KeyReusedError, match="'k' came with another request in conversation 'anna'"):
            change(caller.processor, RequestConditions("k", "another"))
        assert caller.log() == log

    def test_a_request_that_failed_may_come_again_under_its_key(self, caller) -> None:
        conditions = RequestConditions("k", "digest")
        with pytest.raises(ValueError, match="utter_gret"):
            caller.processor.continue_("anna", "utter_gret", [], conditions)
        assert caller.processor.continue_("anna", "utter_greet", [], conditions).version == 3

    def test_a_request_that_changes_nothing_keeps_its_answer_too(self, caller) -> None:
        caller.parse("/greet")
        first = caller.processor.continue_("anna", None, [], RequestConditions("k"))
        caller.next("utter_greet")
        assert caller.processor.continue_("anna", None, [], RequestConditions("k")) == first

    @pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\nb", "\x00"], ids=repr)
    def test_a_key_that_cannot_be_kept_is_refused(self, key) -> None:
        with pytest.raises(IdempotencyKeyError, match="1 to 255 printable ASCII characters"):
            RequestConditions(key)

    def test_an_expired_answer_is_forgotten(self, caller) -> None:
        caller.processor.append_events("anna", [PRICE], RequestConditions("k"))
        caller.processor.tracker_store.expire_answers(2e10)
        caller.processor.append_events("anna", [PRICE], RequestConditions("k"))
        assert caller.log().count("price=high") == 2

    @pytest.mark.parametrize("make", [InMemoryTrackerStore, Unlocked])
    def test_of_many_at_once_one_counts_and_all_get_its_answer(self, make, monkeypatch) -> None:
        monkeypatch.setattr(processor_module, "CONFLICT_WAITS", (0.001,) * 50)
        processor = make_processor(make())
        message, conditions = UserMessage("/greet", None, "anna"), RequestConditions("k", "digest")
        answers = at_once(lambda _: processor.parse(message, conditions), range(8))
        assert answers == answers[:1] * 8
        assert Caller(processor).log() == ["action_listen", "/greet"]


class TestVersions:
    def test_a_change_on_the_version_that_was_read_is_made(self, caller, change) -> None:
        version = caller.parse("/greet")["version"]
        assert change(caller.processor, RequestConditions(versions=frozenset({version, 99}))).version != version

    def test_a_change_on_another_version_is_refused_and_changes_nothing(self, caller, change) -> None:
        version = caller.parse("/greet")["version"]
        caller.next("utter_greet")
        log = caller.log()
        with pytest.raises(PreconditionError, match=f"conversation 'anna' is at version {len(log)}, not {version}"):
            change(caller.processor, RequestConditions(versions=frozenset({version})))
        assert caller.log() == log

    def test_no_version_at_all_matches_nothing(self, caller) -> None:
        with pytest.raises(PreconditionError, match="is at version 1, not none"):
            caller.processor.append_events("anna", [PRICE], RequestConditions(versions=frozenset()))

    def test_the_version_of_an_unknown_conversation_is_the_one_that_it_is_shown_with(self, caller) -> None:
        version = caller.processor.tracker_store.peek("anna").version
        caller.processor.append_events("anna", [PRICE], RequestConditions(versions=frozenset({version})))
        assert caller.log() == ["action_listen", "price=high"]

    def test_a_repeated_request_gets_its_answer_though_it_changed_the_version_itself(self, caller, change) -> None:
        version = caller.parse("/greet")["version"]
        conditions = RequestConditions("k", "digest", frozenset({version}))
        assert change(caller.processor, conditions) == change(caller.processor, conditions)


class _Interrupted(BaseException):
    """An exception that stands for the end of the process in the middle of an action."""


class TestTurnsThatAreCutOff:
    """Of turns whose actions run here, every executed action is on record before the next one starts."""

    @pytest.fixture
    def processor(self, store: TrackerStore) -> MessageProcessor:
        processor = make_processor(store)
        processor.domain = local_domain()
        processor.runner = runner_for(processor.domain)
        store.bind(processor.domain, 5, "local")
        return processor

    @staticmethod
    def replace(processor: MessageProcessor, name: str, run: Callable[..., list[Event]]) -> None:
        class Replaced(Action):
            def name(self) -> str:
                return name

            def run(self, dispatcher, tracker, domain):
                return run(dispatcher, tracker)

        index = processor.domain.index_for_action(name)
        processor.domain.actions[index] = Replaced()

    def interrupted(self, processor: MessageProcessor, name: str, times: int = 1) -> None:
        """Let an action raise `_Interrupted` a number of times; after that it runs normally."""
        action, left = processor.domain.action_for_name(name), [times]

        def run(dispatcher, tracker):
            if left[0]:
                left[0] -= 1
                raise _Interrupted
            return action.run(dispatcher, tracker, processor.domain)

        self.replace(processor, name, run)

    def said(self, answered: RequestResult) -> list[str]:
        return [message["text"] for message in answered.result]

    def test_the_message_is_on_record_before_the_first_action_starts(self, processor) -> None:
        self.interrupted(processor, "action_search")
        with pytest.raises(_Interrupted):
            processor.respond(UserMessage(ITALIAN, None, "anna"))
        assert Caller(processor).log()[-2:] == [ITALIAN, "cuisine=italian"]

    def test_a_repeated_request_goes_on_where_it_was_cut_off(self, processor) -> None:
        runs = []
        search = processor.domain.action_for_name("action_search")
        self.replace(
            processor,
            "action_search",
            lambda dispatcher, tracker: runs.append(1) or search.run(dispatcher, tracker, processor.domain),
        )
        self.interrupted(processor, "utter_found")
        conditions = RequestConditions("k", "digest")
        with pytest.raises(_Interrupted):
            processor.respond(UserMessage(ITALIAN, None, "anna"), conditions)
        answered = processor.respond(UserMessage(ITALIAN, None, "anna"), conditions)
        assert len(runs) == 1
        log = Caller(processor).log()
        assert log[1:] == [
            ITALIAN,
            "cuisine=italian",
            "action_search",
            *log[4:-3],
            "utter_found",
            "bot",
            "action_listen",
        ]
        assert log.count(ITALIAN) == 1
        assert "try Da Mario" in self.said(answered)
        assert processor.respond(UserMessage(ITALIAN, None, "anna"), conditions) == answered

    def test_what_was_said_before_the_cut_is_in_the_answer_once(self, processor) -> None:
        whole = self.said(processor.respond(UserMessage("/greet", None, "bert")))
        assert len(whole) == 2
        self.interrupted(processor, "utter_ask_cuisine", times=2)
        conditions = RequestConditions("k", "digest")
        for _ in range(2):
            with pytest.raises(_Interrupted):
                processor.respond(UserMessage("/greet", None, "anna"), conditions)
        assert self.said(processor.respond(UserMessage("/greet", None, "anna"), conditions)) == whole
        assert Caller(processor).log() == Caller(processor, "bert").log()

    def test_a_turn_is_not_taken_up_when_the_conversation_has_gone_on(self, processor) -> None:
        self.interrupted(processor, "utter_ask_cuisine")
        conditions = RequestConditions("k", "digest")
        with pytest.raises(_Interrupted):
            processor.respond(UserMessage("/greet", None, "anna"), conditions)
        processor.respond(UserMessage("/bye", None, "anna"))
        log = Caller(processor).log()
        assert self.said(processor.respond(UserMessage("/greet", None, "anna"), conditions)) == ["hello"]
        assert Caller(processor).log() == log

    def test_an_action_that_fails_loses_nothing_that_was_stored_before(self, processor) -> None:
        def fail(dispatcher, tracker):
            raise OSError("no network")

        self.replace(processor, "action_search", fail)
        answered = processor.respond(UserMessage(ITALIAN, None, "anna"))
        told = answered.result[0]
        assert (told["action"], told["text"]) == ("action_search", "The action action_search failed.")
        assert "no network" not in str(answered.result)
        events = Caller(processor).events()
        assert [event.error for event in events if isinstance(event, ActionExecuted) and event.error] == [
            "OSError: no network"
        ]
        assert any(isinstance(event, UserUttered) for event in events)
        assert self.said(processor.respond(UserMessage("/bye", None, "anna"))) == ["bye"]

    def test_an_output_channel_is_not_used_again_for_a_repeated_request(self, processor) -> None:
        class Phone(OutputChannel):
            sent: list[str] = []  # noqa: RUF012

            def send_text_message(self, recipient_id: str, message: str) -> None:
                self.sent.append(message)

        for _ in range(2):
            answered = processor.respond(UserMessage("/bye", Phone(), "anna"), RequestConditions("k"))
        assert answered.result is None
        assert Phone.sent == ["bye"]

    def test_nobody_else_changes_the_conversation_while_an_action_runs(self, processor) -> None:
        running, go_on = threading.Event(), threading.Event()

        def wait(dispatcher, tracker):
            running.set()
            assert go_on.wait(20)
            return [SlotSet("found", "Da Mario")]

        self.replace(processor, "action_search", wait)
        first = threading.Thread(target=processor.respond, args=(UserMessage(ITALIAN, None, "anna"),))
        second = threading.Thread(target=processor.append_events, args=("anna", [PRICE, ActionReverted()]))
        first.start()
        assert running.wait(20)
        second.start()
        second.join(0.2)
        assert second.is_alive()
        go_on.set()
        for thread in (first, second):
            thread.join(20)
        assert Caller(processor).log()[-3:] == ["action_listen", "price=high", "undo"]


def test_a_commit_whose_outcome_is_unknown_is_made_once(tmp_path: Path) -> None:
    """The connection to a database may break after it has stored a commit, and before it says so."""

    class Broken(SqliteTrackerStore):
        breaks = 1

        def commit(self, *arguments: object) -> None:
            super().commit(*arguments)
            if self.breaks:
                self.breaks -= 1
                raise StoreUnavailableError("the connection is gone")

    with Broken(path=tmp_path / "log.db") as store:
        processor = make_processor(store)
        with pytest.raises(StoreUnavailableError, match="the connection is gone"):
            processor.parse(UserMessage("/greet", None, "anna"), RequestConditions("k"))
        answered = processor.parse(UserMessage("/greet", None, "anna"), RequestConditions("k"))
        assert answered.result["next_action"] == "utter_greet"
        assert Caller(processor).log() == ["action_listen", "/greet"]


def test_every_store_of_a_log_can_keep_answers() -> None:
    assert {"read_answer", "expire_answers"} <= EventLogStore.__abstractmethods__
