"""Reading and writing domains, and telling a changed one from an unchanged one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import strategies
from hypothesis import example, given
from hypothesis import strategies as st
from small_bots import DOMAIN_OF_EVERY_KIND as BOT

from rasa_core.actions.action import Action, UtterAction
from rasa_core.actions.factories import RemoteAction
from rasa_core.domain import Domain, TemplateDomain, check_domain_sanity
from rasa_core.exceptions import DomainError
from rasa_core.slots import TextSlot

DATA = Path(os.environ.get("RASA_CORE_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture
def domain() -> Domain:
    return Domain.from_yaml(BOT)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the name of a module with an action and a slot of a user's own."""
    code = """
from rasa_core.actions import Action
from rasa_core.slots import Slot

class ActionSearch(Action):
    def name(self):
        return "action_search"

    def run(self, dispatcher, tracker, domain):
        return []

class MoodSlot(Slot):
    def as_feature(self):
        return [1.0 if self.value == "good" else 0.0]
"""
    (tmp_path / "own_bot.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "own_bot"
    sys.modules.pop("own_bot", None)


# -- reading


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "domain.yml").write_text(BOT, encoding=encoding)
        assert Domain.load(tmp_path / "domain.yml").as_dict() == Domain.from_yaml(BOT).as_dict()


def test_defaults_are_those_of_the_format() -> None:
    domain = Domain.from_yaml("intents: [a]")
    assert (domain.store_entities_as_slots, domain.restart_intent) == (True, "restart")
    assert (domain.entities, domain.slots, domain.templates, domain.topics, domain.default_topic) == (
        [],
        [],
        {},
        [],
        None,
    )


def test_template_domain_is_the_same_class() -> None:
    assert TemplateDomain is Domain


def test_a_domain_is_made_from_parts_as_in_rasa_core_0_9() -> None:
    domain = TemplateDomain(["greet"], [], [], {"utter_hi": [{"text": "hi"}]}, ["utter_hi"], ["utter_hi"], "local", [])
    assert domain.action_names[2:] == ["utter_hi"]
    with pytest.raises(TypeError, match="unexpected keyword argument 'restart'"):
        TemplateDomain([], [], [], {}, restart="x")  # type: ignore[call-arg]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DomainError, match=r"cannot read the domain '.*no\.yml': .*there is no such file"):
        Domain.load(tmp_path / "no.yml")


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_bytes("intents: [Grüße]".encode("latin-1"))
    with pytest.raises(DomainError, match=r"cannot read the domain '.*domain\.yml:\d+:\d+': this is not UTF-8"):
        Domain.load(tmp_path / "domain.yml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "slots:\n  a: {type: text}\n  b: {type: txt}",
            r"bot.yml:3: slot 'b' of type 'txt': unknown slot type 'txt'. Did",
        ),
        (
            "slots:\n  b: {type: categorical, valuess: [a]}",
            r"bot.yml:2: slot 'b' of type 'categorical': it has no option 'valuess'. Did you mean 'values'\? Its",
        ),
        ("slots:\n  b: {type: text, 5: a}", r"bot.yml:2: slot 'b' of type 'text': it has no option 5. Its options are"),
        ("slots:\n  b: {type: float, max_value: 0}", r"bot.yml:2: slot 'b' of type 'float': .*must be less"),
        (
            "actions:\n- a\n",
            r"bot.yml:2: action 'a' is neither a template nor the dotted path of an Action class",
        ),
        (
            "actions:\n- no_module.A\n",
            r"bot.yml:2: action 'no_module.A': cannot find the class .*write action_factory: remote",
        ),
        (
            "actions:\n- json.JSONDecoder\n",
            r"bot.yml:2: action 'json.JSONDecoder': .* is not a subclass of .*Action",
        ),
        (
            "action_factory: remote\nactions:\n- a\n- action_listen",
            r"bot.yml:4: every bot has the action 'action_listen'; rem",
        ),
        (
            "action_factory: remot",
            r"bot.yml:1: unknown action_factory 'remot'. Did you mean 'remote'\? Known: local, remote",
        ),
        (
            "{templates: {utter_hi: hi}, actions: [utter_hii]}",
            r"bot.yml:1: action 'utter_hii' .*Did you mean 'utter_hi'\?",
        ),
    ],
)
def test_errors_name_the_file_and_the_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="^" + problem):
        Domain.from_yaml(text, name="bot.yml")


def test_a_domain_is_checked_without_building_it(tmp_path: Path) -> None:
    path = tmp_path / "domain.yml"
    path.write_text("actions: [no_module.A]")
    Domain.validate_domain_yaml(path)
    path.write_text("actions: no_module.A")
    with pytest.raises(DomainError, match=r"domain\.yml:1:10: actions: is a list"):
        Domain.validate_domain_yaml(path)


def test_topics_are_ignored_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="topics have no effect"):
        assert Domain.from_yaml("topics: [weather]").topics == []


def test_collect_slots_sorts_by_name() -> None:
    slots = Domain.collect_slots({"b": {"type": "text"}, "a": {"type": "bool", "initial_value": True}})
    assert [(slot.name, slot.type_name, slot.value) for slot in slots] == [
        ("a", "bool", True),
        ("b", "text", None),
    ]


def test_collect_slots_needs_a_type() -> None:
    with pytest.raises(DomainError, match="slot 'a' of type None: unknown slot type None"):
        Domain.collect_slots({"a": {}})


def test_collect_templates_gives_the_long_form() -> None:
    assert Domain.collect_templates({"utter_a": "a", "utter_b": [{"text": "b"}]}) == {
        "utter_a": [{"text": "a"}],
        "utter_b": [{"text": "b"}],
    }


# -- actions of one's own, and remote ones


def test_classes_of_ones_own_are_found(own_module: str) -> None:
    domain = Domain.from_yaml(
        f"{{slots: {{mood: {{type: {own_module}.MoodSlot}}}}, actions: [{own_module}.ActionSearch]}}"
    )
    assert domain.action_names[2:] == ["action_search"]
    assert domain.slot_states == ["slot_mood_0"]
    assert Domain.from_yaml(domain.as_yaml()).as_dict() == domain.as_dict()


def test_remote_actions_need_no_classes() -> None:
    domain = Domain.from_yaml("{actions: [default, bot.ActionSearch, utter_hi], templates: {utter_hi: hi}}", "remote")
    assert domain.action_names[2:] == ["default", "action_search", "utter_hi"]
    kinds = [type(action) for action in domain.actions[2:]]
    assert kinds == [RemoteAction, RemoteAction, UtterAction]


def test_remote_actions_go_by_their_names_where_these_are_given() -> None:
    domain = Domain.from_yaml("{actions: [bot.A, bot.B], action_names: [a, b], action_factory: remote}")
    assert domain.action_names[2:] == ["a", "b"]


def test_the_argument_wins_over_the_file() -> None:
    domain = Domain.from_yaml("{actions: [utter_hi], templates: {utter_hi: hi}, action_factory: remote}", "local")
    assert isinstance(domain.actions[2], UtterAction)


# -- writing


def test_all_is_written_and_read_back(domain: Domain, tmp_path: Path) -> None:
    domain.persist(tmp_path / "domain.yml")
    again = Domain.load(tmp_path / "domain.yml")
    assert again.as_dict() == domain.as_dict()
    assert again.restart_intent == "begin_again"
    assert again.store_entities_as_slots is False
    assert again.intents_without_entities == ["chitchat"]
    assert again.templates == domain.templates
    assert again.input_states == domain.input_states
    assert [slot.persistence_info() for slot in again.slots] == [slot.persistence_info() for slot in domain.slots]
    assert again.fingerprint() == domain.fingerprint()


def test_what_is_written_is_the_same_every_time(domain: Domain) -> None:
    assert domain.as_yaml() == Domain.from_yaml(domain.as_yaml()).as_yaml()
    assert "Zürich" in domain.as_yaml()


def test_a_local_domain_that_was_written_serves_as_a_remote_one(own_module: str, tmp_path: Path) -> None:
    Domain.from_yaml(f"actions: [{own_module}.ActionSearch]").persist(tmp_path / "domain.yml")
    sys.modules.pop(own_module)
    domain = Domain.load(tmp_path / "domain.yml", action_factory="remote")
    assert domain.action_names[2:] == ["action_search"]
    assert own_module not in sys.modules


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(str.strip)


@given(
    intents=st.lists(
        names | st.sampled_from(["no", "yes", "null", "1.0", "~", "a: b", "- c"]), unique=True, max_size=5
    ),
    restart=names,
    initial=strategies.json_values(),
    text=strategies.texts(),
)
@example(["a\x85b"], "a\u2028b", {"\u2029": "a\x85 b"}, " \x85\n\u2028")
def test_any_names_and_texts_survive_the_file(intents: list[str], restart: str, initial: Any, text: str) -> None:
    slot = TextSlot("s", initial)
    templates = {"utter_a": [{"text": text, "buttons": [{"title": text, "payload": text}]}]}
    domain = Domain(intents, intents, [slot], templates, ["utter_a"], restart_intent=restart)
    again = Domain.from_yaml(domain.as_yaml())
    assert again.as_dict() == domain.as_dict()


# -- fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[hi, ", "[good day, "),
        ("  utter_unused: never\n", ""),
        ("payload: /affirm", "payload: /deny"),
    ],
)
def test_the_fingerprint_does_not_depend_on_what_the_bot_says(old: str, new: str) -> None:
    assert Domain.from_yaml(BOT.replace(old, new)).fingerprint() == Domain.from_yaml(BOT).fingerprint()


def test_the_fingerprint_does_not_depend_on_where_actions_run() -> None:
    assert Domain.from_yaml(BOT, "remote").fingerprint() == Domain.from_yaml(BOT).fingerprint()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[greet, bye,", "[bye, greet,"),
        ("use_entities: false", "use_entities: true"),
        ("entities: [name, age]", "entities: [name]"),
        ("values: [low, high]", "values: [low, mid, high]"),
        ("initial_value: low", "initial_value: high"),
        ("max_value: 100", "max_value: 50"),
        ("{type: bool}", "{type: text}"),
        ("actions: [utter_hi, utter_ask]", "actions: [utter_ask, utter_hi]"),
        ("begin_again", "start_over"),
        ("store_entities_as_slots: false", "store_entities_as_slots: true"),
    ],
)
def test_the_fingerprint_depends_on_what_predictions_depend_on(old: str, new: str) -> None:
    assert old in BOT
    assert Domain.from_yaml(BOT.replace(old, new)).fingerprint() != Domain.from_yaml(BOT).fingerprint()


def test_the_fingerprint_is_the_same_in_another_process(domain: Domain, tmp_path: Path) -> None:
    domain.persist(tmp_path / "domain.yml")
    code = "import sys; from rasa_core.domain import Domain; print(Domain.load(sys.argv[1]).fingerprint())"
    command = [sys.executable, "-c", code, str(tmp_path / "domain.yml")]
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    assert output.strip() == domain.fingerprint()


# -- domains that people have


@pytest.mark.parametrize(
    ("path", "factory", "states"),
    [
        ("moodbot/domain.yml", None, 6 + 7),
        ("remotebot/concert_domain_remote.yml", None, 6 + 1 + 2 + 10),
        ("concertbot/concert_domain.yml", "remote", 6 + 1 + 2 + 10),
        ("babi/domain_0.9.yml", "remote", None),
        ("multiwoz/domain.yml", "remote", None),
        ("multiwoz_status/domain.yml", "remote", None),
    ],
)
def test_domains_in_use_are_read_without_complaint(
    path: str, factory: str | None, states: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    if not (DATA / path).exists():
        pytest.skip(f"{path} is not there")
    with caplog.at_level(logging.WARNING):
        domain = Domain.load(DATA / path, action_factory=factory)
    check_domain_sanity(domain)
    assert caplog.messages == []
    assert states in (None, domain.num_states)
    assert all(isinstance(action, Action) for action in domain.actions)
    assert Domain.from_yaml(domain.as_yaml()).as_dict() == domain.as_dict()
