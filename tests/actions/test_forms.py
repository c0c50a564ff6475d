from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rasa_core.actions.forms import (
    BooleanFormField,
    EntityFormField,
    FormAction,
    FormField,
    FreeTextFormField,
)
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.exceptions import DomainError
from rasa_core.trackers import DialogueStateTracker

SLOTS = {
    "city": "text",
    "people": "unfeaturized",
    "outdoors": "bool",
    "wishes": "text",
    "requested_slot": "text",
}
QUESTIONS = {
    "utter_ask_city": "Which city?",
    "utter_ask_people": "How many in {city}?",
    "utter_ask_outdoors": "Outdoors?",
    "utter_ask_wishes": "Any wishes?",
}


def make_domain(without: str = "") -> Domain:
    slots = Domain.collect_slots({name: {"type": kind} for name, kind in SLOTS.items() if name != without})
    templates = {name: [{"text": text}] for name, text in QUESTIONS.items() if name != without}
    return Domain(["inform"], ["place", "number"], slots, templates)


class Number(EntityFormField):
    def validate(self, value: Any) -> Any:
        return int(value) if str(value).isdigit() else None


class BookTable(FormAction):
    @staticmethod
    def required_fields() -> Sequence[FormField]:
        return [
            EntityFormField("place", "city"),
            Number("number", "people"),
            BooleanFormField("outdoors", "affirm", "deny"),
            FreeTextFormField("wishes"),
        ]

    def name(self) -> str:
        return "action_book_table"

    def submit(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        dispatcher.utter_message(f"Booked for {tracker.get_slot('people')} in {tracker.get_slot('city')}.")
        return [SlotSet("city", None)]


def play(
    tracker: DialogueStateTracker, intent: str, text: str = "", domain: Domain | None = None, **entities: Any
) -> tuple[list[Event], list[str]]:
    """Send a message, run the form, and return its events and messages."""
    domain = domain or make_domain()
    found = [{"entity": name, "value": value} for name, value in entities.items()]
    tracker.update(UserUttered(text, {"name": intent, "confidence": 1.0}, found))
    channel = CollectingOutputChannel()
    events = BookTable().run(Dispatcher("anna", channel, domain), tracker, domain)
    return events, [message["text"] for message in channel.messages]


@pytest.fixture
def tracker() -> DialogueStateTracker:
    return DialogueStateTracker("anna", make_domain().slots)


def with_slots(tracker: DialogueStateTracker, **slots: Any) -> DialogueStateTracker:
    for name, value in slots.items():
        tracker.update(SlotSet(name, value))
    return tracker


def test_the_first_empty_slot_is_asked_for(tracker: DialogueStateTracker) -> None:
    events, said = play(tracker, "book")

    assert events == [SlotSet("requested_slot", "city")]
    assert said == ["Which city?"]


def test_slots_filled_from_entities_are_not_asked_for(tracker: DialogueStateTracker) -> None:
    events, said = play(tracker, "book", place="Rome")

    assert events == [SlotSet("city", "Rome"), SlotSet("requested_slot", "people")]
    assert said == ["How many in Rome?"]


def test_the_slot_that_was_asked_for_is_filled_first(tracker: DialogueStateTracker) -> None:
    events, _ = play(with_slots(tracker, requested_slot="people"), "inform", place="Rome", number="2")

    assert events[:2] == [SlotSet("people", 2), SlotSet("city", "Rome")]


def test_a_rejected_value_is_asked_for_again(tracker: DialogueStateTracker) -> None:
    events, said = play(with_slots(tracker, city="Rome", requested_slot="people"), "inform", number="many")

    assert events == [SlotSet("requested_slot", "people")]
    assert said == ["How many in Rome?"]


def test_a_validated_value_of_zero_counts(tracker: DialogueStateTracker) -> None:
    events, _ = play(with_slots(tracker, city="Rome", requested_slot="people"), "inform", number="0")

    assert events[0] == SlotSet("people", 0)


@pytest.mark.parametrize("kind", [EntityFormField, FreeTextFormField], ids=["entity", "text"])
def test_a_field_may_have_a_value_for_a_message_that_has_none(kind: type[FormField]) -> None:
    class Field(kind):  # type: ignore[valid-type, misc]
        def validate(self, value: Any) -> Any:
            return value or "any"

    field = Field("place", "city") if kind is EntityFormField else Field("city")

    assert field.extract(DialogueStateTracker("ada", make_domain().slots)) == [SlotSet("city", "any")]


def test_yes_and_no_are_not_validated(tracker: DialogueStateTracker) -> None:
    class Field(BooleanFormField):
        def validate(self, value: Any) -> Any:
            return None

    play(tracker, "affirm")

    assert Field("outdoors", "affirm", "deny").extract(tracker) == [SlotSet("outdoors", True)]


@pytest.mark.parametrize(("intent", "value"), [("affirm", True), ("deny", False)])
def test_intents_fill_a_boolean_field(tracker: DialogueStateTracker, intent: str, value: bool) -> None:
    with_slots(tracker, city="Rome", people=2, requested_slot="outdoors")
    events, said = play(tracker, intent)

    assert events == [SlotSet("outdoors", value), SlotSet("requested_slot", "wishes")]
    assert said == ["Any wishes?"]


def test_another_intent_leaves_a_boolean_field_empty(tracker: DialogueStateTracker) -> None:
    events, _ = play(with_slots(tracker, city="Rome", people=2, requested_slot="outdoors"), "inform")

    assert events == [SlotSet("requested_slot", "outdoors")]


def test_boolean_and_free_text_fields_are_filled_only_when_asked_for(tracker: DialogueStateTracker) -> None:
    events, _ = play(with_slots(tracker, city="Rome", people=2), "affirm", "yes please")

    assert events == [SlotSet("requested_slot", "outdoors")]


def test_a_filled_form_is_submitted_with_all_slots(tracker: DialogueStateTracker) -> None:
    with_slots(tracker, city="Rome", people=2, outdoors=True, requested_slot="wishes")
    events, said = play(tracker, "inform", "a quiet corner", place="Paris")

    assert events == [SlotSet("wishes", "a quiet corner"), SlotSet("city", "Paris"), SlotSet("city", None)]
    assert said == ["Booked for 2 in Paris."]


def test_running_a_form_does_not_change_the_tracker(tracker: DialogueStateTracker) -> None:
    play(with_slots(tracker, requested_slot="city"), "inform", place="Rome")

    assert tracker.get_slot("city") is None
    assert len(tracker.events) == 2


def test_submit_may_return_nothing(tracker: DialogueStateTracker) -> None:
    class Silent(BookTable):
        def submit(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> None:  # type: ignore[override]
            return None

    with_slots(tracker, city="Rome", people=2, outdoors=True, wishes="none")
    domain = make_domain()

    assert Silent().run(Dispatcher("anna", CollectingOutputChannel(), domain), tracker, domain) == []


def test_a_form_may_decide_for_itself_what_to_ask_for(tracker: DialogueStateTracker) -> None:
    class OnlyPeople(BookTable):
        def should_request_slot(self, tracker: DialogueStateTracker, slot_name: str) -> bool:
            return slot_name == "people"

    domain = make_domain()

    events = OnlyPeople().run(Dispatcher("anna", CollectingOutputChannel(), domain), tracker, domain)

    assert events == [SlotSet("requested_slot", "people")]


def test_a_form_sees_the_past_without_the_log_being_read_for_its_slots() -> None:
    domain = make_domain()
    whole = DialogueStateTracker.from_events("anna", [ActionExecuted("action_listen")] * 3, domain, 2)
    reads: list[tuple[int, int]] = []

    def read_events(start: int, stop: int) -> list[Event]:
        reads.append((start, stop))
        return list(whole.events)[start:stop]

    tracker = DialogueStateTracker.from_snapshot(
        "anna", domain, whole.snapshot(), version=3, origin=0, window=2, read_events=read_events
    )
    seen = []

    class Curious(BookTable):
        def should_request_slot(self, tracker: DialogueStateTracker, slot_name: str) -> bool:
            seen.append(tracker)
            return super().should_request_slot(tracker, slot_name)

    tracker.update(UserUttered("Rome", {"name": "inform"}, [{"entity": "place", "value": "Rome"}]))
    Curious().run(Dispatcher("anna", CollectingOutputChannel(), domain), tracker, domain)

    assert reads == []
    assert [event.type_name for event in seen[0].events] == ["action", "action", "action", "user", "slot"]


def test_a_form_names_the_slot_that_the_domain_lacks(tracker: DialogueStateTracker) -> None:
    with pytest.raises(DomainError, match=r"'action_book_table' needs the slot 'people'.*Add it to the domain"):
        play(tracker, "book", domain=make_domain(without="people"), place="Rome")


def test_a_question_without_a_template_is_said_to_lack_it(tracker: DialogueStateTracker) -> None:
    events, said = play(tracker, "book", domain=make_domain(without="utter_ask_people"), place="Rome")

    assert events == [SlotSet("city", "Rome"), SlotSet("requested_slot", "people")]
    assert said == ["Undefined utter template <utter_ask_people>."]


def test_a_form_that_cannot_remember_what_it_asked_for_is_filled_from_entities(
    caplog: pytest.LogCaptureFixture,
) -> None:
    domain = make_domain(without="requested_slot")
    tracker = DialogueStateTracker("anna", domain.slots)
    events, said = play(tracker, "book", domain=domain, place="Rome")

    assert events == [SlotSet("city", "Rome")]
    assert said == ["How many in Rome?"]
    assert "cannot remember what it asked for" in caplog.text


def test_a_question_that_is_never_asked_needs_no_template(tracker: DialogueStateTracker) -> None:
    domain = make_domain(without="utter_ask_city")
    events, said = play(tracker, "book", domain=domain, place="Rome")

    assert events == [SlotSet("city", "Rome"), SlotSet("requested_slot", "people")]
    assert said == ["How many in Rome?"]


class Travel(BookTable):
    @staticmethod
    def required_fields() -> Sequence[FormField]:
        return [EntityFormField("place", "city"), EntityFormField("place", "wishes"), Number("place", "people")]

    def submit(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        return []


@pytest.mark.parametrize(
    ("requested", "places", "filled"),
    [
        (None, ["Rome"], {"city": "Rome"}),
        (None, ["Rome", "Oslo"], {"city": "Rome"}),
        ("wishes", ["Rome"], {"wishes": "Rome"}),
        ("wishes", ["Rome", "Oslo"], {"wishes": "Rome"}),
        ("people", ["3", "4"], {"people": 3}),
        ("people", ["Rome"], {}),
    ],
)
def test_entities_of_one_name_fill_one_slot(
    tracker: DialogueStateTracker, requested: str | None, places: list[str], filled: dict[str, Any]
) -> None:
    tracker.update(SlotSet("requested_slot", requested))
    tracker.update(UserUttered("", {"name": "inform"}, [{"entity": "place", "value": place} for place in places]))
    domain = make_domain()

    events = Travel().run(Dispatcher("anna", CollectingOutputChannel(), domain), tracker, domain)

    slots = {event.key: event.value for event in events if isinstance(event, SlotSet)}
    assert {key: value for key, value in slots.items() if key != "requested_slot"} == filled


def test_a_form_without_its_methods_says_so() -> None:
    domain = make_domain()
    dispatcher = Dispatcher("anna", CollectingOutputChannel(), domain)
    tracker = DialogueStateTracker("anna", domain.slots)

    assert FormAction.required_fields() == []
    with pytest.raises(NotImplementedError, match=r"FormAction needs a method submit"):
        FormAction().submit(dispatcher, tracker, domain)
    with pytest.raises(NotImplementedError, match=r"FormField needs a method extract"):
        FormField().extract(tracker)
    assert FormAction.RANDOMIZE is True
