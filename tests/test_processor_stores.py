"""Turns on stored conversations: several writers at once, and reminders."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from at_once import at_once
from callers import Caller, make_processor
from policy_bot import FOUND, local_domain

from rasa_core import processor as processor_module
from rasa_core.channels import UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.events import ReminderScheduled, Restarted, UserUttered
from rasa_core.exceptions import StoreError, VersionConflictError
from rasa_core.processor import MessageProcessor
from rasa_core.tracker_store import InMemoryTrackerStore, SqliteTrackerStore
from rasa_core.tracker_store.base import StoredAnswer
from rasa_core.tracker_store.heads import Head


class Conflicting(InMemoryTrackerStore):
    """Finds another version than the expected one, a few times."""

    def __init__(self, conflicts: int) -> None:
        super().__init__()
        self.conflicts = conflicts

    def commit(
        self,
        sender_id: str,
        expected_version: int,
        events: Sequence[str],
        head: Head,
        answer: StoredAnswer | None = None,
    ) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise VersionConflictError("somebody was faster")
        super().commit(sender_id, expected_version, events, head, answer)


class Unlocked(InMemoryTrackerStore):
    """A store without locks, so that only versions protect conversations."""

    def lock(self, sender_id: str) -> AbstractContextManager[None]:
        return nullcontext()


class TestWritersAtOnce:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch) -> None:
        monkeypatch.setattr(processor_module, "CONFLICT_WAITS", (0.001,) * 30)

    def test_a_conflict_repeats_the_turn_from_a_fresh_read(self) -> None:
        caller = Caller(make_processor(Conflicting(2)))
        assert caller.parse("/greet")["next_action"] == "utter_greet"
        assert caller.log() == ["action_listen", "/greet"]

    @pytest.mark.parametrize(
        "change",
        [
            lambda caller: caller.next("utter_greet"),
            lambda caller: caller.processor.append_events("anna", [FOUND]),
            lambda caller: caller.processor.replace_events("anna", [FOUND]),
        ],
        ids=["continue", "append", "replace"],
    )
    def test_every_change_is_repeated(self, change) -> None:
        store = Conflicting(0)
        caller = Caller(make_processor(store))
        caller.parse("/greet")
        store.conflicts = 2
        change(caller)
        assert len({"utter_greet", "found=Da Mario"} & set(caller.log())) == 1

    def test_a_conflict_that_never_ends_is_an_error(self) -> None:
        caller = Caller(make_processor(Conflicting(1000)))
        with pytest.raises(StoreError, match="somebody was faster"):
            caller.parse("/greet")

    def test_actions_that_ran_are_not_repeated(self) -> None:
        processor = make_processor(Conflicting(1))
        channel = CollectingOutputChannel()
        with pytest.raises(VersionConflictError, match="somebody was faster"):
            processor.handle_message(UserMessage("/greet", channel))
        assert len(channel.messages) == 2

    @pytest.mark.parametrize("store", [InMemoryTrackerStore, Unlocked])
    def test_turns_of_one_conversation_never_mix(self, store) -> None:
        processor = make_processor(store())
        names = [f"caller{number}" for number in range(3)]

        def talk(name: str) -> None:
            for number in range(10):
                Caller(processor).parse('/inform{"cuisine": "%s %d"}' % (name, number))  # noqa: UP031

        at_once(talk, names)
        events = Caller(processor).events()[1:]
        assert len(events) == 60
        for message, slot in zip(events[::2], events[1::2], strict=True):
            assert message.entities[0]["value"] == slot.value
        for name in names:
            said = [slot.value for slot in events[1::2] if slot.value.startswith(name)]
            assert said == [f"{name} {number}" for number in range(10)]

    def test_two_stores_on_one_file_see_each_others_turns(self, tmp_path: Path) -> None:
        stores = [SqliteTrackerStore(path=tmp_path / "log.db") for _ in range(2)]
        processors = [make_processor(store) for store in stores]

        def talk(processor: MessageProcessor) -> None:
            for _ in range(10):
                Caller(processor).parse("/greet")
                Caller(processor).next("utter_greet")

        at_once(talk, processors)
        log = Caller(processors[0]).log()
        assert (log.count("/greet"), log.count("utter_greet")) == (20, 20)
        for store in stores:
            store.close()


class TestReminders:
    MOMENT = datetime(2030, 1, 1)

    def remind(self, processor: MessageProcessor, reminder: ReminderScheduled) -> list[dict[str, Any]]:
        channel = CollectingOutputChannel()
        processor.handle_reminder(reminder, Dispatcher("anna", channel, processor.domain))
        return channel.messages

    def make(self) -> MessageProcessor:
        processor = make_processor()
        processor.domain = local_domain()
        return processor

    def test_the_action_runs_and_then_what_follows(self) -> None:
        processor = self.make()
        reminder = ReminderScheduled("utter_greet", self.MOMENT)
        processor.append_events("anna", [*Caller(processor).processor.domain.slots_for_entities([]), reminder])
        processor.append_events("anna", [UserUttered("/greet", {"name": "greet"})])
        kept = ReminderScheduled("utter_greet", self.MOMENT, kill_on_user_message=False)
        texts = [message["text"] for message in self.remind(processor, kept)]
        assert texts == ["hello"]
        assert Caller(processor).log()[-4:] == ["None", "utter_greet", "bot", "action_listen"]

    @pytest.mark.parametrize(
        ("events", "kill", "texts"),
        [
            pytest.param([], False, ["hello"], id="set elsewhere"),
            pytest.param([], True, [], id="set elsewhere, cancelled by messages"),
            pytest.param([ReminderScheduled("utter_greet", MOMENT), Restarted()], False, [], id="restarted since"),
        ],
    )
    def test_one_that_no_message_cancels_needs_no_log(self, events, kill, texts) -> None:
        processor = self.make()
        processor.append_events("anna", [*events, UserUttered("/bye", {"name": "bye"})])
        reminder = ReminderScheduled("utter_greet", self.MOMENT, kill_on_user_message=kill)
        assert [message["text"] for message in self.remind(processor, reminder)] == texts

    def test_what_the_user_said_before_is_answered_no_more(self) -> None:
        processor = self.make()
        reminder = ReminderScheduled("utter_greet", self.MOMENT, kill_on_user_message=False)
        processor.append_events("anna", [reminder, UserUttered("/bye", {"name": "bye"})])
        self.remind(processor, reminder)
        tracker = processor.tracker_store.get_or_create_tracker("anna")
        assert tracker.latest_message == UserUttered.empty()
        assert tracker.latest_action_name == "action_listen"

    def test_a_message_cancels_it_unless_told_otherwise(self) -> None:
        processor = self.make()
        reminder = ReminderScheduled("utter_greet", self.MOMENT)
        processor.append_events("anna", [reminder, UserUttered("/bye", {"name": "bye"})])
        assert self.remind(processor, reminder) == []

    def test_a_restart_cancels_it(self) -> None:
        processor = self.make()
        reminder = ReminderScheduled("utter_greet", self.MOMENT)
        processor.append_events("anna", [reminder, Restarted()])
        assert self.remind(processor, reminder) == []

    def test_one_that_is_not_in_the_conversation_does_not_run(self) -> None:
        assert self.remind(self.make(), ReminderScheduled("utter_greet", self.MOMENT)) == []
