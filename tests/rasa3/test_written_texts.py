"""Scalars in YAML files of a bot that must be texts or names are read as written, such as ``no`` and ``1.10``."""

from __future__ import annotations

from pathlib import Path

import pytest

from rasa_core.domain import Domain
from rasa_core.events import SlotSet, UserUttered
from rasa_core.rasa3.endpoints import read_endpoints
from rasa_core.stories.yaml import YamlStoryReader

WRITTEN = ["010", "1.50", "1e3", "0x1F", "0o17", "+5", "yes", "true", "2020-01-01", "12:30", ".inf", "1_000"]


def domain_of(text: str) -> Domain:
    return Domain.from_yaml(f"version: '3.1'\n{text}")


@pytest.mark.parametrize("text", WRITTEN)
def test_slots_of_texts_hold_what_is_written(text: str) -> None:
    domain = domain_of(
        f"""
slots:
  named: {{type: text, initial_value: {text}, mappings: [{{type: from_intent, value: {text}, intent: {text}}}]}}
  chosen: {{type: categorical, values: [{text}, other], mappings: [{{type: from_entity, entity: {text}}}]}}
"""
    )
    slots = {slot.name: slot for slot in domain.slots}
    assert slots["named"].value == (True if text == "true" else text)
    assert slots["chosen"].values[0] == text.lower()  # type: ignore[attr-defined]
    assert domain.rasa is not None
    (from_intent,), (from_entity,) = domain.rasa.mappings["named"], domain.rasa.mappings["chosen"]
    assert from_intent.value == slots["named"].value
    assert (from_intent.intents, from_entity.entity) == ({text}, text)


@pytest.mark.parametrize("kind", ["text", "categorical, values: [5, 1.5, 'true', other]"])
@pytest.mark.parametrize(
    ("written", "value"),
    [("5", 5), ("'5'", "5"), ("1.5", 1.5), ("-3", -3), ("true", True), ("'true'", "true"), ("[5, a]", [5, "a"])],
)
def test_a_slot_of_texts_is_given_the_number_that_stands_there(kind: str, written: str, value: object) -> None:
    slot = f"type: {kind}, initial_value: {written}, mappings: [{{type: from_intent, intent: a, value: {written}}}]"
    domain = domain_of(f"slots: {{s: {{{slot}}}}}")
    assert domain.rasa is not None
    for given in (domain.slots[0].value, domain.rasa.mappings["s"][0].value):
        assert (given, type(given)) == (value, type(value))
    again = Domain.from_yaml(domain.as_yaml())
    assert (again.slots[0].value, again.fingerprint()) == (value, domain.fingerprint())


@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_said_is_what_is_written(text: str) -> None:
    domain = domain_of(
        f"responses: {{utter_a: [{{text: {text}, buttons: [{{title: {text}, payload: {text}}}]}}], utter_b: [{text}]}}"
    )
    assert domain.templates["utter_a"] == [{"text": text, "buttons": [{"title": text, "payload": text}]}]
    assert domain.templates["utter_b"] == [{"text": text}]


def test_names_in_lists_are_what_is_written() -> None:
    domain = domain_of(
        """
intents: [{010: {use_entities: [0x1F]}}]
entities: [0x1F, {size: {roles: [01]}}]
slots: {007: {type: text, mappings: [{type: from_entity, entity: size, role: 01}]}}
forms: {1e3: {required_slots: [007], ignored_intents: 010}}
"""
    )
    assert domain.rasa is not None
    assert domain.rasa.forms["1e3"].required_slots == ("007",)
    assert domain.rasa.forms["1e3"].ignored_intents == {"010"}
    assert domain.rasa.entities == ("0x1F", "size", "size#01")
    assert domain.rasa.entity_features["010"] == {"0x1F"}
    assert domain.rasa.mappings["007"][0].role == "01"


def test_other_data_keeps_its_type() -> None:
    domain = domain_of(
        """
slots:
  number: {type: float, max_value: 1e3, initial_value: 2, mappings: [{type: from_intent, value: 3, intent: a}]}
  truth: {type: bool, initial_value: true, mappings: [{type: custom}]}
responses: {utter_a: [{custom: {text: 5, price: 1.50}}]}
"""
    )
    assert [slot.value for slot in domain.slots if slot.name in ("number", "truth")] == [2, True]
    assert domain.rasa is not None
    assert domain.rasa.mappings["number"][0].value == 3
    assert domain.templates["utter_a"] == [{"custom": {"text": 5, "price": 1.5}}]


@pytest.mark.parametrize("text", WRITTEN)
def test_stories_set_slots_of_texts_to_what_is_written(tmp_path: Path, text: str) -> None:
    domain = domain_of(
        """
intents: [a]
entities: [size]
slots:
  named: {type: text, mappings: [{type: custom}]}
  number: {type: float, max_value: 9, mappings: [{type: custom}]}
"""
    )
    steps = f"[{{intent: a, entities: [{{size: {text}, role: b}}]}}, {{slot_was_set: [named: {text}, number: 2]}}]"
    (tmp_path / "stories.yml").write_text(f"stories: [{{story: s, steps: {steps}}}]", encoding="utf-8")
    ((step,),) = YamlStoryReader(domain).read_files([tmp_path / "stories.yml"]).steps
    assert [(event.key, event.value) for event in step.events if isinstance(event, SlotSet)] == [
        ("named", text),
        ("number", 2),
    ]
    (said,) = (event for event in step.events if isinstance(event, UserUttered))
    assert said.entities[0]["value"] == (True if text == "true" else text)


@pytest.mark.parametrize("text", [text for text in WRITTEN if text != "12:30"])
def test_passwords_and_tokens_are_what_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "endpoints.yml").write_text(
        f"""
action_endpoint: {{url: "http://a.example", token: {text}, headers: {{X-Key: {text}}}, timeout: 1e1}}
tracker_store: {{type: redis, password: {text}, db: 3, key_prefix: {text}}}
""",
        encoding="utf-8",
    )
    found = read_endpoints(tmp_path)
    assert found.actions == {"url": "http://a.example", "token": text, "headers": {"X-Key": text}, "timeout": 10.0}
    assert found.store is not None
    quoted = text.replace("+", "%2B")
    assert found.store == f"redis://:{quoted}@localhost:6379/3?key_prefix={quoted}"
