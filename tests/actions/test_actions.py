"""The base class of actions, and the actions that every bot has."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from rasa_core import actions as package
from rasa_core.actions.action import (
    ACTION_LISTEN_NAME,
    ACTION_RESTART_NAME,
    Action,
    ActionListen,
    ActionRestart,
    UtterAction,
)
from rasa_core.actions.runner import runner_for
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Restarted, SlotSet
from rasa_core.trackers import DialogueStateTracker

if TYPE_CHECKING:
    from rasa_core.dispatcher import Dispatcher

DOMAIN = Domain.from_yaml("{slots: {name: {type: text}}, templates: {utter_hi: 'hi {name}'}, actions: [utter_hi]}")


class Said:
    """A stand-in for a dispatcher that records its messages."""

    def __init__(self) -> None:
        self.templates: list[tuple[str, object]] = []

    def utter_template(self, template: str, filled_slots: object = None) -> None:
        self.templates.append((template, filled_slots))


def run(action: Action, domain: Domain = DOMAIN) -> tuple[object, list[tuple[str, object]]]:
    """Return the events and messages of an action in a conversation with Zoë."""
    said = Said()
    tracker = DialogueStateTracker.from_events("a", [SlotSet("name", "Zoë")], domain)
    return action.run(cast("Dispatcher", said), tracker, domain), said.templates


def test_the_names_of_the_built_in_actions_are_fixed() -> None:
    assert (ACTION_LISTEN_NAME, ACTION_RESTART_NAME) == ("action_listen", "action_restart")
    assert (ActionListen().name(), ActionRestart().name()) == ("action_listen", "action_restart")


def test_listening_does_nothing() -> None:
    assert run(ActionListen()) == ([], [])


def test_an_utter_action_says_the_template_of_its_name_with_the_slots() -> None:
    action = UtterAction("utter_hi")
    assert action.name() == "utter_hi"
    assert run(action) == ([], [("utter_hi", {"name": "Zoë"})])


def test_restarting_returns_the_event() -> None:
    assert run(ActionRestart()) == ([Restarted()], [])


def test_restarting_says_so_where_there_is_a_template() -> None:
    domain = Domain.from_yaml("templates: {utter_restart: again}")
    assert run(ActionRestart(), domain) == ([Restarted()], [("utter_restart", {})])


def test_an_action_of_ones_own_needs_a_name_and_a_run() -> None:
    class Nothing(Action):
        pass

    with pytest.raises(NotImplementedError, match=r"Nothing needs a method name\(\)"):
        Nothing().name()
    with pytest.raises(NotImplementedError, match=r"Nothing needs a method run\(dispatcher, tracker"):
        run(Nothing())


def test_an_action_shows_its_kind_and_name() -> None:
    assert str(UtterAction("utter_hi")) == "UtterAction('utter_hi')"
    assert [str(ActionListen()), str(ActionRestart())] == ["Action('action_listen')", "Action('action_restart')"]


def test_no_action_resets_a_topic() -> None:
    assert ActionListen().resets_topic() is False


def test_an_action_is_logged_by_its_name() -> None:
    assert ActionExecuted(ActionListen().name()) == ActionExecuted("action_listen")


def test_the_base_class_can_be_imported_from_the_package() -> None:
    assert package.Action is Action


def test_what_a_caller_does_with_messages_changes_no_later_answer() -> None:
    domain = Domain.from_yaml("{templates: {utter_hi: hi}, actions: [utter_hi], action_factory: remote}")
    runner = runner_for(domain)
    for sender in ("anna", "bert"):
        messages = runner.messages_of("utter_hi", DialogueStateTracker(sender, domain.slots))
        assert messages == [{"recipient_id": sender, "text": "hi"}]
        messages.clear()
