"""Mistakes in NLU data are found, each with all of its places."""

from __future__ import annotations

import pytest

from rasa_core.checks import Finding
from rasa_core.checks.nlu import check_domain_names, check_training_data
from rasa_core.nlu.reading import read_training_text
from rasa_core.nlu.training_data import NLUExample, TrainingData
from rasa_core.support.marked_text import EntitySpan
from rasa_core.support.places import Place

GOOD = "## intent:a\n- one\n- two [x](y)\n- three\n"


def found_in(text: str) -> list[Finding]:
    return check_training_data(read_training_text(GOOD + text, "nlu.md"))


def told(text: str) -> list[tuple[str, list[str]]]:
    return [(found.kind, [str(place) for place in found.places]) for found in found_in(text)]


def test_good_data_has_no_findings() -> None:
    assert found_in("## intent:b\n- four\n- 12 [東](c)京\n- [O'Brien's](c) [C++](d) [St.](e)\n") == []


def test_the_same_text_under_two_intents_is_found_whatever_its_case_and_spaces() -> None:
    assert told("## intent:b\n- ONE\n- four\n- two  x\n") == [
        ("two-intents", ["nlu.md:2: a", "nlu.md:6: b"]),
        ("two-intents", ["nlu.md:3: a", "nlu.md:8: b"]),
    ]


def test_repeated_examples_are_found() -> None:
    assert told("- one\n- Two [x](y)\n- One\n") == [
        ("repeated-example", ["nlu.md:2", "nlu.md:5", "nlu.md:7"]),
        ("repeated-example", ["nlu.md:3", "nlu.md:6"]),
    ]


def test_the_same_text_with_other_entities_is_found() -> None:
    assert told("- two x\n") == [("two-markings", ["nlu.md:3: the entity 'y' ('x')", "nlu.md:5: no entity"])]


def test_the_same_entity_typed_on_another_keyboard_is_no_other() -> None:
    assert told("- [１](year)年生\n- [1](year)年生\n") == [("repeated-example", ["nlu.md:5", "nlu.md:6"])]


def test_the_same_text_in_another_role_is_marked_otherwise() -> None:
    mark = '{"entity": "c", "role": "to"}'
    assert told(f"- [x]{mark} now\n- [x](c) now\n") == [
        ("two-markings", ["nlu.md:5: the entity 'c', role 'to' ('x')", "nlu.md:6: the entity 'c' ('x')"])
    ]


def test_a_finding_shows_a_text_as_it_was_written() -> None:
    (found,) = found_in("- 東京へ\n- 東京へ\n")
    assert found.message == "'東京へ' is 2 times an example of 'a'; once is enough."


def test_intents_with_few_examples_are_found() -> None:
    assert told("## intent:b\n- b\n- bb\n## intent:c\n- c\n") == [
        ("few-examples", ["nlu.md:6", "nlu.md:7"]),
        ("few-examples", ["nlu.md:9"]),
    ]


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ("to [Lis](city)bon", "ends inside a word: 'Lis'"),
        ("to Lis[bon](city)", "begins inside a word: 'bon'"),
        ("to [Lisbon,](city) now", "has punctuation at its edge: 'Lisbon,'"),
    ],
)
def test_misaligned_entities_are_found(item: str, problem: str) -> None:
    (found,) = found_in(f"- {item}\n")
    assert (found.kind, str(found.places[0])) == ("misaligned-entity", "nlu.md:5")
    assert f"the entity 'city' {problem}. Mark whole words" in found.message


@pytest.mark.parametrize("near", ["[Lisbon] (city)", "[Lisbon(city)", "[Lisbon](city) and [Porto(city:Oporto)"])
def test_what_looks_like_a_mark_of_an_entity_that_there_is_is_found(near: str) -> None:
    (found,) = found_in(f"- from [Faro](city)\n- to {near}\n")
    assert (found.kind, str(found.places[0])) == ("no-mark", "nlu.md:6")
    assert "marks no entity, and is read as text; write it like [Lisbon](city)" in found.message


def test_other_text_in_brackets_is_no_mark() -> None:
    assert found_in("- from [Faro](city)\n- call [me] (maybe)\n- call [the] (maybe) or [it\n") == []


def test_a_space_at_the_edge_of_an_entity_does_not_belong_to_it() -> None:
    assert found_in("- to [Lisbon ](city)now\n") == []


def test_entities_and_examples_without_text_are_found() -> None:
    assert told("- to [](city)\n- [](city)\n") == [
        ("empty-entity", ["nlu.md:5"]),
        ("empty-entity", ["nlu.md:6"]),
        ("empty-example", ["nlu.md:6"]),
    ]


def test_overlapping_entities_are_found() -> None:
    spans = (EntitySpan(0, 8, "city", "New York"), EntitySpan(4, 8, "town", "York"), EntitySpan(9, 12, "day", "now"))
    data = TrainingData.build([NLUExample("New York now", None, spans, Place("a.json", 3))])
    (found,) = check_training_data(data)
    assert (found.kind, str(found.places[0])) == ("overlapping-entities", "a.json:3")
    assert "the entity 'city' ('New York') and the entity 'town' ('York') overlap" in found.message


def test_synonyms_of_two_values_are_found() -> None:
    text = "- go to [NYC](city:New York)\n## synonym:Big Apple\n- nyc\n"
    assert told(text) == [("two-values", ["nlu.md:5: New York", "nlu.md:7: Big Apple"])]
    assert "'NYC' stands for 'New York' and 'Big Apple'; 'Big Apple', the last, holds." in found_in(text)[0].message


def test_names_that_only_the_data_or_only_the_domain_has_are_found() -> None:
    data = read_training_text(GOOD, "nlu.md")
    found = check_domain_names(data, ["aa", "c"], ["y"], "domain.yml")
    assert [(one.kind, str(one.places[0])) for one in found] == [
        ("intent-without-examples", "domain.yml"),
        ("intent-without-examples", "domain.yml"),
        ("intent-not-in-domain", "nlu.md:2"),
    ]
    assert [str(place) for place in found[2].places] == ["nlu.md:2", "nlu.md:3", "nlu.md:4"]
    assert [one.kind for one in check_domain_names(data, ["a"], [], "domain.yml")] == ["entity-not-in-domain"]
    assert check_domain_names(data, ["a"], ["y"], "domain.yml") == []


def test_all_findings_are_warnings_in_the_order_of_the_lines() -> None:
    found = found_in("## intent:b\n- one\n- [x ](c)y\n")
    assert {one.severity for one in found} == {"warning"}
    assert [one.places[0].line for one in found] == sorted(one.places[0].line or 0 for one in found)
