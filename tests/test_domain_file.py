"""Reading domain.yml: what is accepted, what is refused, and what errors say."""

from __future__ import annotations

import logging
import os
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.domain import Domain
from rasa_core.domain.file import read_domain
from rasa_core.exceptions import DomainError
from rasa_core.slots import TextSlot
from rasa_core.support.problems import MOST_LOGGED, Problem

# -- accepted


def test_names_are_text_as_they_are_written() -> None:
    content = read_domain(
        """
        intents: [no, yes, 1.50, 2018-01-01, 0x10, '']
        """.replace(", ''", "")
        + """
        entities: [on, off]
        slots: {no: {type: text}, 7: {type: text}}
        actions: [no, utter_1]
        templates: {yes: [hi]}
        """
    )
    assert content.intents == ["no", "yes", "1.50", "2018-01-01", "0x10"]
    assert content.entities == ["on", "off"]
    assert list(content.slots) == ["no", "7"]
    assert content.actions == ["no", "utter_1"]
    assert list(content.templates) == ["yes"]


@pytest.mark.parametrize("key", ["intents", "entities", "slots", "templates", "actions", "config", "topics"])
def test_a_key_without_content_is_an_empty_one(key: str) -> None:
    assert read_domain(f"{key}:\n") == read_domain("intents: []")


def test_all_keys_may_be_missing_but_one() -> None:
    content = read_domain("actions: [utter_hi]")
    assert (content.intents, content.slots, content.templates, content.action_factory) == ([], {}, {}, None)


def test_intents_may_do_without_their_entities() -> None:
    content = read_domain("intents: [a, b: {use_entities: false}, c: {use_entities: true}, d: {use_entities: []}]")
    assert content.intents == ["a", "b", "c", "d"]
    assert content.intents_without_entities == ["b", "d"]


def test_actions_may_have_options() -> None:
    assert read_domain("actions: [a: {send_domain: true}, b]").actions == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ("hi", ["hi"]),
        ("[hi, ho]", ["hi", "ho"]),
        ("[{text: hi}]", ["hi"]),
        ("{text: hi}", ["hi"]),
        ("[Yes, 1.50, {text: No}, {text: 2018-01-01}]", ["Yes", "1.50", "No", "2018-01-01"]),
        ("''", [""]),
    ],
)
def test_a_template_is_one_text_or_several(written: str, texts: list[str]) -> None:
    content = read_domain(f"templates: {{utter_x: {written}}}")
    assert [variant["text"] for variant in content.templates["utter_x"]] == texts


def test_a_template_keeps_all_that_it_has() -> None:
    text = "[{text: hi, image: a.png, buttons: [{title: Yes, payload: 1}], elements: [{size: 3}], own: [2.5]}]"
    assert read_domain(f"templates: {{utter_x: {text}}}").templates["utter_x"] == [
        {
            "text": "hi",
            "image": "a.png",
            "buttons": [{"title": "Yes", "payload": "1"}],
            "elements": [{"size": 3}],
            "own": [2.5],
        }
    ]


def test_responses_are_templates() -> None:
    content = read_domain("{templates: {utter_a: a}, responses: {utter_b: [{text: b}]}}")
    assert content.templates == {"utter_a": [{"text": "a"}], "utter_b": [{"text": "b"}]}


def test_options_of_slots_are_plain_data() -> None:
    content = read_domain("slots: {s: {type: bot.Slot, initial_value: [1, 2.5, true, null], own: {a: b}, line: 3}}")
    assert content.slots["s"] == {
        "type": "bot.Slot",
        "initial_value": [1, 2.5, True, None],
        "own": {"a": "b"},
        "line": 3,
    }


def test_a_date_is_text_as_json_has_no_dates() -> None:
    assert (
        read_domain("slots: {s: {type: text, initial_value: 2018-01-01}}").slots["s"]["initial_value"] == "2018-01-01"
    )


def test_anchors_and_merged_keys_work() -> None:
    content = read_domain("slots:\n  a: &a {type: float, max_value: 8}\n  b: {<<: *a, initial_value: 1}\n  c: *a\n")
    assert content.slots["b"] == {"type": "float", "max_value": 8, "initial_value": 1}
    assert content.slots["c"] == content.slots["a"]


def test_the_config_is_read() -> None:
    content = read_domain("config: {store_entities_as_slots: false, restart_intent: no}")
    assert content.config == {"store_entities_as_slots": False, "restart_intent": "no"}


def test_an_unknown_key_is_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read_domain("version: '3.1'\nintent:\n  - a\n", "bot.yml") == read_domain("intents: []")
    assert caplog.messages == [
        "bot.yml:1: unknown key 'version' is ignored.",
        "bot.yml:2: unknown key 'intent' is ignored. Did you mean 'intents'?",
    ]


def test_very_many_unknown_keys_are_compared_with_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read_domain("".join(f"intent{number}: 1\n" for number in range(1000)), "bot.yml")
    assert len(caplog.messages) == MOST_LOGGED + 1
    assert caplog.messages[-1] == f"and {1000 - MOST_LOGGED} more warnings"
    assert "Did you mean" not in caplog.text


def test_an_intent_that_triggers_an_action_is_told_since_it_would_be_lost(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read_domain("intents:\n- a: {triggers: action_a}\n- b: {use_entities: false}\n", "bot.yml")
    told = "bot.yml:2:3: the intent 'a' triggers nothing here; write a story, * a and - action_a below it."
    assert caplog.messages == [told]


# -- refused


@pytest.mark.parametrize("text", ["", "\n# only a comment\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(DomainError, match=r"^bot.yml: the file is empty. A domain has at least intents: and"):
        read_domain(text, "bot.yml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("intents: [a", r"bot.yml:\d+:\d+: not valid YAML: "),
        ("intents:\n\t- a", r"bot.yml:2:1: not valid YAML: "),
        ("a: 1\n---\nb: 2", r"bot.yml:2:1: not valid YAML: "),
        ("intents: [*a]", r"bot.yml:1:11: not valid YAML: "),
        ("a: \x00", r"bot.yml.*: not valid YAML: "),
        ("- a", r"bot.yml:1:1: a domain has keys such as intents:, and is not a list"),
        ("hello", r"bot.yml:1:1: a domain has keys such as intents:, and is not 'hello'"),
        ("intents: a", r"bot.yml:1:10: intents: is a list, one name a line, each after a dash, not 'a'"),
        ("intents:\n - a\n - [b]", r"bot.yml:3:4: an entry of intents: is a name, not a list"),
        ("intents:\n - a\n -\n", r"bot.yml:3:3: an entry of intents: is a name"),
        ("intents:\n - ''", r"bot.yml:2:4: an entry of intents: is a name"),
        ("intents:\n - a: {}\n   b: {}", r"bot.yml:2:4: an entry of intents: is a name"),
        ("intents:\n - a\n - b\n - a", r"bot.yml:4:4: 'a' stands twice in intents:; the first is on line 2"),
        ("entities: [a, a]", r"bot.yml:1:15: 'a' stands twice in entities:"),
        (
            "actions:\n- utter_a\n- utter_a",
            r"bot.yml:3:3: 'utter_a' stands twice in actions:; the first is on line 2",
        ),
        ("intents:\n - a: 5", r"bot.yml:2:4: options of the intent 'a' are like {use_entities: false}"),
        (
            "entities: []\nentities: []",
            r"bot.yml:2:1: the key 'entities' stands twice; the first is on line 1",
        ),
        ("? [a]\n: b", r"bot.yml:1:3: a key of a domain is a plain name"),
        (
            "slots:\n  a:\n    initial_value: 1",
            r"bot.yml:2:3: the slot 'a' needs a type, such as type: text \(or bool",
        ),
        ("slots:\n  a: {type: [text]}", r"bot.yml:2:3: the slot 'a' needs a type"),
        ("slots:\n  a:\n", r"bot.yml:2:3: the slot 'a' needs a type"),
        ("slots:\n  a: text", r"bot.yml:2:6: the slot 'a' is a mapping"),
        ("slots: [a]", r"bot.yml:1:8: slots is a mapping"),
        ("slots:\n  a: {type: text, type: bool}", r"bot.yml:2:19: the key 'type' stands twice"),
        (
            "slots: {a: {type: x, initial_value: {[1]: 2}}}",
            r"bot.yml:1:12: cannot read this value: found unhashable key",
        ),
        ("slots: {a: {type: x, own: !!int x}}", r"bot.yml:1:12: cannot read this value: invalid literal"),
        ("templates: hi", r"bot.yml:1:12: templates is a mapping"),
        ("templates:\n  utter_a: []", r"bot.yml:2:3: the template 'utter_a' has no text"),
        (
            "templates:\n  utter_a:",
            r"bot.yml:2:11: the template 'utter_a' is a text, or a mapping with text:",
        ),
        ("templates: {utter_a: [[hi]]}", r"bot.yml:1:23: the template 'utter_a' is a text"),
        ("templates: {utter_a: [{text: }]}", r"bot.yml:1:23: the template 'utter_a' is a text"),
        ("templates: {utter_a: [{buttons: []}]}", r"bot.yml:1:23: the template 'utter_a' has no text:"),
        (
            "templates: {utter_a: [{text: a, buttons: [b]}]}",
            r"bot.yml:1:23: buttons: of the template 'utter_a' are like",
        ),
        ("templates: {utter_a: [{text: a, buttons: {title: b}}]}", r"bot.yml:1:23: buttons: of the template"),
        ("templates: {utter_a: [{text: a, buttons: 5}]}", r"bot.yml:1:23: buttons: of the template"),
        ("templates: {utter_a: [{elements: 5}]}", r"bot.yml:1:23: elements: of the template"),
        ("templates: {utter_a: [{elements: [card]}]}", r"bot.yml:1:23: elements: of the template"),
        (
            "config:\n  restart: a",
            r"bot.yml:2:3: config has no key 'restart'. Did you mean 'restart_intent'\? Known: store",
        ),
        (
            "config: {store_entities_as_slots: maybe}",
            r"bot.yml:1:35: store_entities_as_slots is true or false",
        ),
        ("config: {restart_intent: [a]}", r"bot.yml:1:26: an entry of restart_intent: is a name"),
        ("action_factory: [remote]", r"bot.yml:1:17: an entry of action_factory: is a name"),
    ],
)
def test_errors_say_file_line_and_column(text: str, problem: str) -> None:
    with pytest.raises(DomainError, match="^" + problem):
        read_domain(text, "bot.yml")


WRONG = """
intents: [a, [b], a]
slots:
  s: {initial_value: 1}
  t: text
actions: [utter_x, utter_x]
templates: {utter_x: [], utter_y: [{buttons: []}, hi]}
config: {restart: x, store_entities_as_slots: maybe}
action_factory: [remote]
intent: [c]
"""


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(DomainError, match=r"^bot.yml:2:14: an entry of intents: is a name") as caught:
        read_domain(WRONG, "bot.yml")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["2", "2", "4", "5", "6", "7", "7", "8", "8", "9"]


def test_of_very_many_errors_the_first_are_told() -> None:
    with pytest.raises(DomainError, match=r"(?s)^bot.yml:1:11: .*\nand 20 more errors$") as caught:
        read_domain("intents: [" + "[], " * 30 + "]", "bot.yml")
    assert len(str(caught.value).splitlines()) == 11


def test_what_is_wrong_is_left_out_where_problems_are_gathered(caplog: pytest.LogCaptureFixture) -> None:
    problems: list[Problem] = []
    content = read_domain(WRONG, "bot.yml", problems)

    assert (content.intents, content.actions, content.config) == (["a"], ["utter_x"], {})
    assert content.slots == {"s": {"type": "unfeaturized"}, "t": {"type": "unfeaturized"}}
    assert content.templates["utter_y"][1] == {"text": "hi"}
    assert sum(problem.severity == "error" for problem in problems) == 10
    assert [str(problem) for problem in problems if problem.severity == "warning"] == [
        "bot.yml:10: unknown key 'intent' is ignored. Did you mean 'intents'?"
    ]
    assert not caplog.records


EVIL = "!!python/object/apply:os.getcwd []"


@pytest.mark.parametrize(
    "text",
    [
        f"intents: {EVIL}",
        f"intents: [{EVIL}]",
        "intents: [!!python/name:os.getcwd greet]",
        "intents: [!own greet]",
        f"slots: {{a: {{type: text, initial_value: {EVIL}}}}}",
        f"templates: {{utter_a: [{{text: {EVIL}}}]}}",
        f"anything: {{else: [1, {EVIL}]}}",
        f"? {EVIL}\n: 1",
        f"config: {EVIL}",
        EVIL,
    ],
)
def test_tags_are_refused_wherever_they_stand_and_nothing_is_called(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getcwd", lambda: pytest.fail("a tag was executed"))
    with pytest.raises(DomainError, match=r"^bot.yml:1:\d+: the tag .* is not allowed. A domain holds plain data only"):
        read_domain(text, "bot.yml")


def test_deep_nesting_is_refused_not_followed() -> None:
    with pytest.raises(DomainError, match=r"^bot.yml:48: nested more than 50 deep"):
        read_domain("slots: {a: {type: text, initial_value: " + "[\n" * 50_000, "bot.yml")


def test_deep_nesting_in_one_line_is_refused_by_us_or_by_newer_libraries() -> None:
    with pytest.raises(DomainError, match=r"^bot.yml:1:.* (nested more than 50 deep|exceeded maximum nesting depth)"):
        read_domain("slots: {a: {type: text, initial_value: " + "[" * 50_000, "bot.yml")


LAUGHS = {
    "lists": ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30))],
    "merged keys": [
        "a0: &a0 {x: y}",
        *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)),
    ],
    "a long text": [f"a: &a {'x' * 300_000}", "b: [*a, *a, *a, *a]"],
}


@pytest.mark.parametrize("lines", LAUGHS.values(), ids=LAUGHS)
def test_anchors_that_multiply_are_refused(lines: list[str]) -> None:
    with pytest.raises(DomainError, match=r"^bot.yml:\d+: aliases stand for more than 1000000 characters"):
        read_domain("\n".join([*lines, "intents: [greet]"]), "bot.yml")


def test_anchor_that_holds_itself_is_refused() -> None:
    with pytest.raises(DomainError, match=r"^bot.yml:2: \*a stands inside of what it names"):
        read_domain("intents: [greet]\nslots: &a {x: *a}", "bot.yml")


def test_anchors_save_writing() -> None:
    text = "intents: &names [greet, bye]\nentities: *names\nslots: {a: &s {type: text}, b: {<<: *s, initial_value: x}}"
    found = read_domain(text)
    assert (found.entities, found.slots["b"]) == (["greet", "bye"], {"type": "text", "initial_value": "x"})


@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["intents", "slots", "templates", "config", "type", "text", "a"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_data_is_read_or_refused_with_a_domain_error(content: Any) -> None:
    try:
        read_domain(yaml.safe_dump(content), "bot.yml")
    except DomainError as error:
        assert str(error).startswith("bot.yml:")  # noqa: PT017


WRITTEN = ["yes", "no", "on", "12:30", "010", "0x1f", "1.50", "~", "null", "1e3", "2020-01-01", "1_000", "=", ".5"]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_value_of_a_slot_is_the_text_as_written(text: str) -> None:
    domain = Domain.from_yaml(f"slots:\n  s: {{type: categorical, values: [{text}, 'Other'], initial_value: other}}")

    assert domain.slots[0].values == [text, "other"]  # type: ignore[attr-defined]
    again = Domain.from_yaml(domain.as_yaml())
    assert again.as_dict() == domain.as_dict()


@pytest.mark.parametrize("text", [text for text in WRITTEN if text not in ("~", "null")])
@pytest.mark.parametrize("options", ["type: text", "type: categorical, values: [a]"])
def test_the_initial_value_of_a_text_is_as_written(text: str, options: str) -> None:
    domain = Domain.from_yaml(f"slots:\n  s: {{{options}, initial_value: {text}}}")

    assert domain.slots[0].value == text
    assert Domain.from_yaml(domain.as_yaml()).slots[0].value == text


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        ("type: text, initial_value: ~", None),
        ("type: text, initial_value: 'null'", "null"),
        ("type: bool, initial_value: yes", True),
        ("type: float, max_value: 20, initial_value: 12", 12),
        ("type: unfeaturized, initial_value: 12:30", "12:30"),
        ("type: unfeaturized, initial_value: 1:30:00.5", "1:30:00.5"),
        ("type: unfeaturized, initial_value: 12", 12),
        ("type: list, initial_value: [a, 12:30, 3]", ["a", "12:30", 3]),
    ],
)
def test_other_initial_values_keep_their_type(slot: str, value: object) -> None:
    found = Domain.from_yaml(f"slots:\n  s: {{{slot}}}").slots[0].value

    assert (found, type(found)) == (value, type(value))


def test_what_is_taken_over_from_a_mapping_is_there_unless_it_is_given_again() -> None:
    domain = Domain.from_yaml(
        """
slots: &slots
  size: &size {type: categorical, values: [010, big], initial_value: big}
  mood: {<<: *size, values: [yes, no, ~]}
  name: {type: text}
templates: {<<: &said {utter_hi: [hi], utter_bye: [bye]}, utter_hi: [yes]}
actions: [utter_hi]
"""
    )
    assert [(slot.name, slot.value, getattr(slot, "values", None)) for slot in domain.slots] == [
        ("mood", "big", ["yes", "no", "~"]),
        ("name", None, None),
        ("size", "big", ["010", "big"]),
    ]
    assert domain.templates == {"utter_hi": [{"text": "yes"}], "utter_bye": [{"text": "bye"}]}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("intents:\n\t- a", "bot.yml:2:1: .* Line 2 has a tab before its text; YAML takes spaces alone there"),
        ("intents:\n-\u00a0a\nactions: []", r"Line 2 has a character \(U\+00A0\) that looks like a space"),
        ("intents: [%a]", "bot.yml:1:11: .* A text that begins with % stands in quotes"),
        ("intents: [*a]", r"A text that begins with \* stands in quotes"),
        ("templates:\n  a:\n  - text: Note: this", "A text with a colon and a space in it stands in quotes"),
        ("templates:\n  a:\n  - {name}, hello", "bot.yml:3:11: .* A text that begins with { stands in quotes"),
        ("templates:\n  a:\n  - text: [x] is it", r"bot.yml:3:15: .* A text that begins with \[ stands in quotes"),
        (
            "templates:\n  a:\n  - 'it's me'",
            "bot.yml:3:9: .* behind the quote that ends here; a text with ' in it stands in the other",
        ),
        ('templates:\n  a:\n  - "Hello\n  - Bye\n', "bot.yml:3:5: .* The quote that begins here has no end"),
        ('templates:\n  a:\n  - "C:\\d"', "A text with a backslash stands in single quotes"),
        (
            "intents: [a]\nentities\n  - b\nslots:\n",
            "bot.yml:2:1: .* A key ends with a colon, and the one that begins here has none",
        ),
        ("intents: [a, b\nentities: [c]\n", "bot.yml:1:10: .* The bracket that opens here is not closed"),
        ("## hello\n* greet\n  - utter_greet", "This looks like stories or NLU data in Markdown"),
        ("slots:\n  - a\n  b:\n    type: text", "bot.yml:3:3: .* What belongs together is indented alike"),
    ],
)
@pytest.mark.parametrize("version", ["", "\nversion: '3.1'"], ids=["0.9", "3"])
def test_what_makes_a_text_no_yaml_is_told_where_it_can_be_seen(text: str, hint: str, version: str) -> None:
    with pytest.raises(DomainError, match=hint):
        Domain.from_yaml(text + version, name="bot.yml")


def test_an_intent_with_a_colon_and_no_options_has_none() -> None:
    assert Domain.from_yaml("intents:\n- a:\n- b: {use_entities: true}").intents == ["a", "b"]


def test_built_in_actions_are_told_as_such_where_classes_run_here() -> None:
    with pytest.raises(DomainError, match="every bot has the action 'action_listen'; remove it"):
        Domain.from_yaml("actions: [action_listen]")


def test_templates_of_rasa_2_are_its_responses() -> None:
    domain = Domain.from_yaml("version: '2.0'\ntemplates: {utter_a: [{text: a}]}\nresponses: {utter_b: [{text: b}]}")
    assert sorted(domain.templates) == ["utter_a", "utter_b"]


def test_what_is_taken_over_and_has_no_keys_is_an_error() -> None:
    with pytest.raises(DomainError, match=r"bot.yml:2:9: << takes over the keys of a mapping"):
        Domain.from_yaml("actions: &a [x]\nslots: {<<: *a}", name="bot.yml")


@pytest.mark.parametrize(("written", "value"), [("1e3", 1000.0), ("1_000", 1000), ("'5'", 5.0)])
def test_a_bound_is_a_number_however_it_is_written(written: str, value: float) -> None:
    slot = Domain.from_yaml(f"slots:\n  s: {{type: float, max_value: {written}}}").slots[0]
    assert slot.max_value == value  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [12, True, 1.5, "12", "yes", "12:30", None])
def test_a_domain_reads_back_the_initial_value_that_code_gave(value: object) -> None:
    domain = Domain([], [], [TextSlot("s", value)], {})
    again = Domain.from_yaml(domain.as_yaml())

    assert (again.slots[0].value, type(again.slots[0].value)) == (value, type(value))
    assert again.fingerprint() == domain.fingerprint()


@pytest.mark.parametrize(("written", "intent"), [("010", "010"), ("no", "no"), ("~", "restart"), ("", "restart")])
def test_the_name_of_the_restart_intent_is_as_written(written: str, intent: str) -> None:
    assert Domain.from_yaml(f"config:\n  restart_intent: {written}").restart_intent == intent


def test_all_slots_and_actions_that_cannot_be_built_are_told_with_their_lines() -> None:
    text = (
        "slots:\n  a: {type: txt}\n  b: {type: float, min_value: 2}\n  c: {type: text}\n"
        "actions:\n- utter_x\n- no.such.Action\n- utter_y\ntemplates: {utter_y: [y]}\n"
    )

    with pytest.raises(DomainError) as told:
        Domain.from_yaml(text, name="bot.yml")

    lines = str(told.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["bot.yml:2", "bot.yml:3", "bot.yml:6", "bot.yml:7"]
    assert "'txt'" in lines[0]
    assert "there is no module 'no'" in lines[3]


def test_of_a_template_or_a_slot_that_stands_twice_the_last_counts(caplog: pytest.LogCaptureFixture) -> None:
    text = """
intents: [greet]
slots:
  name: {type: bool}
  name: {type: text}
templates:
  utter_hi: [Hello!]
  utter_bye: [Bye.]
  utter_hi: [Hi!, Hey!]
actions: [utter_hi, utter_bye]
"""
    domain = Domain.from_yaml(text, name="bot.yml")
    assert [type(slot) for slot in domain.slots] == [TextSlot]
    assert domain.templates == {"utter_hi": [{"text": "Hi!"}, {"text": "Hey!"}], "utter_bye": [{"text": "Bye."}]}
    said = "the key {!r} stands twice; the first is on line {}, and is passed over. Remove one."
    assert [line for line in caplog.messages if "twice" in line] == [
        f"bot.yml:5:3: {said.format('name', 4)}",
        f"bot.yml:9:3: {said.format('utter_hi', 7)}",
    ]


def test_a_text_in_braces_without_quotes_is_told_to_be_no_text() -> None:
    with pytest.raises(
        DomainError,
        match=r"bot.yml:3:5: the template .* a mapping with text: \(in quotes if it begins with a bracket\)",
    ):
        read_domain("templates:\n  utter_a:\n  - text: {name}\n", "bot.yml")
