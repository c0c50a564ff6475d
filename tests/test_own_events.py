"""Custom event classes, written as for Rasa Core 0.9."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from rasa_core.actions.action import ActionListen
from rasa_core.domain import Domain
from rasa_core.events import (
    ActionExecuted,
    BotUttered,
    Event,
    SlotSet,
)
from rasa_core.exceptions import EventError
from rasa_core.slots import TextSlot
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph
from rasa_core.trackers import DialogueStateTracker


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo the registration of event classes that a test defines."""
    monkeypatch.setattr(Event, "_subclasses", dict(Event._subclasses))


@pytest.mark.usefixtures("registry")
def test_an_event_class_of_ones_own_works_as_in_rasa_core_0_9() -> None:
    class Rated(Event):
        type_name = "rated"

        def __init__(self, stars: int, timestamp: float | None = None) -> None:
            super(Rated, self).__init__(timestamp)  # noqa: UP008
            self.stars = stars

        def as_dict(self) -> dict[str, Any]:
            form = super(Rated, self).as_dict()  # noqa: UP008
            form.update({"stars": self.stars})
            return form

        @classmethod
        def _from_parameters(cls, parameters: Any) -> Event:
            return cls(parameters["stars"], parameters.get("timestamp"))

    found = Event.from_parameters({"event": "rated", "stars": 4, "timestamp": 7.5})
    assert isinstance(found, Rated)
    assert found.as_dict() == {"event": "rated", "timestamp": 7.5, "stars": 4}
    assert (found, hash(found)) == (Rated(4), hash(Rated(4)))
    assert found != Rated(5)
    with pytest.raises(EventError, match='"stars" of event "rated" is missing'):
        Event.from_parameters({"event": "rated"})


@pytest.mark.usefixtures("registry")
def test_an_event_that_says_how_its_story_line_is_read_is_read_from_json_too() -> None:
    class Noted(Event):
        type_name = "noted"

        def __init__(self, text: str, timestamp: float | None = None) -> None:
            super().__init__(timestamp)
            self.text = text

        @classmethod
        def _from_story_string(cls, parameters: Any) -> list[Event]:
            return [cls(parameters["text"])]

    found = Event.from_parameters({"event": "noted", "text": "x", "timestamp": 7.5})
    assert isinstance(found, Noted)
    assert (found.text, found.timestamp) == ("x", 7.5)


@pytest.mark.usefixtures("registry")
def test_a_class_without_a_type_name_of_its_own_registers_nothing() -> None:
    class Loud(BotUttered):
        pass

    assert Event.resolve_by_type("bot") is BotUttered
    assert Loud("HI").as_dict()["event"] == "bot"


def test_an_unknown_type_may_have_a_default() -> None:
    assert Event.resolve_by_type("utter_hi", ActionExecuted) is ActionExecuted


@pytest.mark.usefixtures("registry")
def test_an_event_changes_a_tracker_by_the_names_of_old() -> None:
    class RestartedButForName(Event):
        type_name = "restart_but_for_name"

        def apply_to(self, tracker: Any) -> None:
            name = tracker.get_slot("name")
            tracker._reset()
            tracker._set_slot("name", name)
            tracker.follow_up_action = ActionListen()

    class Emptied(Event):
        type_name = "emptied"

        def apply_to(self, tracker: Any) -> None:
            tracker._reset_slots()
            tracker._paused = True

    tracker = DialogueStateTracker("ada", [TextSlot("name"), TextSlot("city")])
    for event in (SlotSet("name", "Ada"), SlotSet("city", "Oslo"), RestartedButForName()):
        tracker.update(event)
    assert tracker.current_slot_values() == {"name": "Ada", "city": None}
    assert tracker.follow_up_action == "action_listen"
    tracker.update(Emptied())
    assert (tracker.get_slot("name"), tracker.is_paused()) == (None, True)


@pytest.mark.usefixtures("registry")
def test_an_event_of_a_story_changes_the_slots_of_no_other_conversation() -> None:
    class Emptied(Event):
        type_name = "emptied"

        def apply_to(self, tracker: Any) -> None:
            tracker._reset_slots()

    domain = Domain.from_yaml("intents: [go]\nslots: {city: {type: text}}\nactions: [a]\naction_factory: remote")
    text = '## s\n* go\n- slot{"city": "Oslo"}\n> c\n\n## x\n> c\n- emptied\n- a\n\n## y\n> c\n- a\n'
    graph = StoryGraph(StoryFileReader(domain).process_lines(text.split("\n")))
    trackers = TrainingDataGenerator(graph, domain, augmentation_factor=0).generate()
    assert sorted((len(one.events), one.get_slot("city")) for one in trackers) == [(5, "Oslo"), (6, None)]
    assert [one.last_states(2)[-2].get("slot_city_0") for one in sorted(trackers, key=lambda one: len(one.events))] == [
        1.0,
        None,
    ]


@pytest.mark.usefixtures("registry")
def test_an_event_class_that_is_derived_from_one_of_the_package_has_attributes_which_copies_keep() -> None:
    class Noted(SlotSet):
        type_name = "noted"

        def __init__(self, key: str, value: Any = None, timestamp: float = 0.0, note: str = "") -> None:
            super().__init__(key, value, timestamp)
            self.note = note
            self.metadata = {"by": "anna"}

    event = Noted("city", "Porto", note="twice")

    assert event.as_dict()["metadata"] == {"by": "anna"}
    for made in event, copy.copy(event), copy.deepcopy(event):
        assert (made.key, made.value, made.note, made.metadata) == ("city", "Porto", "twice", {"by": "anna"})
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'value'"):
        event.value = "Lisbon"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'note'"):
        SlotSet("city").note = "x"  # type: ignore[attr-defined]
