"""Making actions from the names in a domain: actions that run here, or in the caller's code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rasa_core.actions.action import Action, ActionListen, UtterAction
from rasa_core.actions.factories import (
    RemoteAction,
    action_factory_by_name,
    conventional_name,
    ensure_action_name_uniqueness,
    local_action_factory,
    remote_action_factory,
)
from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.exceptions import DomainError, RemoteActionError
from rasa_core.policies import MemoizationPolicy

OWN_MODULE = """
from rasa_core.actions import Action

class ActionSearch(Action):
    def name(self):
        return "search"

class ActionWithOptions(ActionSearch):
    def __init__(self, url):
        self.url = url

class NoAction:
    pass

class ActionAlike:
    def name(self):
        return "alike"

    def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message("I am no subclass.")

class ActionHalf:
    name = "half"

    def run(self, dispatcher, tracker, domain):
        return []
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the name of a module with custom actions."""
    (tmp_path / "own_actions.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_actions"
    sys.modules.pop("own_actions", None)


def test_a_local_action_is_a_template_or_a_class(own_module: str) -> None:
    found = local_action_factory(["utter_hi", f"{own_module}.ActionSearch"], None, {"utter_hi"})
    assert isinstance(found[0], UtterAction)
    assert [action.name() for action in found] == ["utter_hi", "search"]


def test_a_class_that_has_a_name_and_runs_is_an_action(own_module: str, tmp_path: Path) -> None:
    text = "intents: [greet]\nactions: [own_actions.ActionAlike]\n"
    (tmp_path / "stories.md").write_text("## a\n* greet\n - alike\n")
    agent = Agent(Domain.from_yaml(text), [MemoizationPolicy()])
    agent.train(agent.load_data(tmp_path / "stories.md"))
    agent.persist(tmp_path / "model")

    said = Agent.load(tmp_path / "model").handle_message("/greet")
    assert [message["text"] for message in said or []] == ["I am no subclass."]


def test_a_template_may_have_a_dot_in_its_name() -> None:
    (found,) = local_action_factory(["utter.hi"], None, {"utter.hi"})
    assert isinstance(found, UtterAction)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "utter_h",
            r"action 'utter_h' is neither .* Did you mean 'utter_hi'\? Add a template",
        ),
        (
            "own_actions.NoAction",
            r"'own_actions.NoAction' is not a subclass of rasa_core.actions",
        ),
        (
            "own_actions.ActionHalf",
            r"'own_actions.ActionHalf' is not a subclass of rasa_core.actions",
        ),
        (
            "own_actions.Missing",
            r"cannot find the class .*Missing'.* write action_factory: remote",
        ),
        (
            "own_actions.ActionWithOptions",
            r"action '.*ActionWithOptions': .*missing 1 required .*'url'",
        ),
        (".ActionSearch", r"the path '.ActionSearch' must be absolute"),
    ],
)
def test_what_is_neither_is_refused(own_module: str, name: str, problem: str) -> None:
    with pytest.raises(DomainError, match=problem) as caught:
        local_action_factory([name], None, {"utter_hi"})
    assert caught.value.item == ("actions", name)


def test_a_remote_action_may_have_any_name() -> None:
    found = remote_action_factory(["default", "utter_hi", "tell me"], None, {"utter_hi"})
    assert [action.name() for action in found] == ["default", "utter_hi", "tell me"]
    assert [type(action) for action in found] == [RemoteAction, UtterAction, RemoteAction]


def test_names_win_over_classes_in_remote_mode() -> None:
    found = remote_action_factory(["bot.A", "bot.B"], ["a", "utter_b"], {"utter_b"})
    assert [(type(action), action.name()) for action in found] == [
        (RemoteAction, "a"),
        (UtterAction, "utter_b"),
    ]


def test_a_remote_action_does_not_run_here() -> None:
    nothing: Any = None
    with pytest.raises(RemoteActionError, match="'search' lives in your own code and cannot run here"):
        RemoteAction("search").run(nothing, nothing, nothing)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("bot.ActionSearch", "action_search"),
        ("bot.deep.ActionShowHTTPStatus", "action_show_http_status"),
        ("bot.Action2Go", "action2_go"),
        ("ActionSearch", "ActionSearch"),
        ("utter.hi", "utter.hi"),
        ("search", "search"),
        ("bot.", "bot."),
    ],
)
def test_a_class_path_stands_for_the_name_by_convention(path: str, name: str) -> None:
    assert conventional_name(path) == name


def test_factories_are_found_by_name() -> None:
    assert action_factory_by_name("remote") is remote_action_factory
    assert action_factory_by_name("local") is action_factory_by_name(None) is local_action_factory


def test_an_unknown_factory_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown action_factory 'locl'. Did you mean 'local'\? Known"):
        action_factory_by_name("locl")


def test_names_must_differ() -> None:
    actions: list[Action] = [UtterAction("a"), RemoteAction("b"), RemoteAction("a")]
    ensure_action_name_uniqueness(actions[:2])
    with pytest.raises(ValueError, match="the action 'a' stands twice in the domain; remove one"):
        ensure_action_name_uniqueness(actions)


def test_the_actions_of_a_domain_have_names_of_their_own() -> None:
    domain = Domain(["greet"], [], [], {}, ["search"], action_factory="remote")
    ensure_action_name_uniqueness(domain.actions)
    with pytest.raises(ValueError, match="the action 'search' stands twice in the domain; remove one"):
        ensure_action_name_uniqueness([*domain.actions, RemoteAction("search")])


def test_built_in_actions_need_not_be_listed() -> None:
    with pytest.raises(ValueError, match="every bot has the action 'action_listen'; remove it"):
        ensure_action_name_uniqueness([ActionListen()])
