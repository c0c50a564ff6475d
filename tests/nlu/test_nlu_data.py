"""The training data of an interpreter."""

from __future__ import annotations

import pytest

from rasa_core.nlu.spelling import alike
from rasa_core.nlu.training_data import Lookup, NLUExample, Regex, Synonym, TrainingData
from rasa_core.support.marked_text import EntitySpan
from rasa_core.support.places import Place


def example(text: str, intent: str | None = "inform", *spans: EntitySpan, file: str = "a.md") -> NLUExample:
    return NLUExample(text, intent, spans, Place(file, 1))


def data_of(*examples: NLUExample, **synonyms: str) -> TrainingData:
    return TrainingData.build(examples, [Synonym(text, value) for text, value in synonyms.items()])


def test_a_source_reads_as_file_and_line() -> None:
    assert (str(Place("a.md", 3)), str(Place("a.md"))) == ("a.md:3", "a.md")


def test_names_are_listed_sorted_and_once() -> None:
    city, genre = EntitySpan(0, 1, "city", "x"), EntitySpan(0, 1, "artist", "x")
    data = data_of(example("x", "greet", city), example("x", None, genre), example("x", "bye", city))
    assert (data.intents, data.entities) == (["bye", "greet"], ["artist", "city"])


def test_synonyms_replace_values_that_are_the_text_alone_whatever_its_case() -> None:
    data = data_of(
        example("Lisboa", "inform", EntitySpan(0, 6, "city", "Lisboa")),
        example("Lisboa", "inform", EntitySpan(0, 6, "city", "somewhere else")),
        lisboa="Lisbon",
    )
    assert [one.entities[0].value for one in data.examples] == ["Lisbon", "somewhere else"]
    assert data.synonyms == {"lisboa": "Lisbon"}


@pytest.mark.parametrize("typed", ["IĞDIR", "ığdır", "Iğdır", "ıg\u0306dır", "  Iğdır "])
def test_a_synonym_is_found_whatever_i_it_is_typed_with(typed: str) -> None:
    assert TrainingData.build((), [Synonym("Iğdır", "76")]).synonyms[alike(typed)] == "76"


def test_the_later_of_two_synonyms_holds_and_both_are_remembered() -> None:
    data = TrainingData.build((), [Synonym("NYC", "New York"), Synonym("nyc", "Big Apple")])
    assert data.synonyms == {"nyc": "Big Apple"}
    assert [definition.value for definition in data.definitions] == ["New York", "Big Apple"]


def test_merged_data_has_both_parts_and_the_synonyms_of_each_hold_in_both() -> None:
    span = EntitySpan(0, 3, "city", "NYC")
    first = data_of(example("NYC", "inform", span))
    second = TrainingData.build([], [Synonym("nyc", "New York")], [Regex("zip", "[0-9]+")], [Lookup("city", ("Rome",))])
    merged = TrainingData.joined([first, second])
    assert merged.examples[0].entities[0].value == "New York"
    assert (merged.regexes, merged.lookups, merged.synonyms) == (second.regexes, second.lookups, second.synonyms)
    assert merged == TrainingData.joined([second, first])


def test_a_fingerprint_is_that_of_the_content_and_not_of_files() -> None:
    assert data_of(example("hi", file="a.md")).fingerprint() == data_of(example("hi", file="b.md")).fingerprint()


@pytest.mark.parametrize(
    "other",
    [
        data_of(example("ho")),
        data_of(example("hi", "greet")),
        data_of(example("hi", None)),
        data_of(example("hi", "inform", EntitySpan(0, 2, "city", "hi"))),
        data_of(example("hi"), nyc="New York"),
        TrainingData.build([example("hi")], regexes=[Regex("zip", "a")]),
        TrainingData.build([example("hi")], lookups=[Lookup("city", ("Rome",))]),
        data_of(example("hi"), example("hi")),
    ],
    ids=["text", "intent", "no-intent", "entity", "synonym", "regex", "lookup", "twice"],
)
def test_another_content_has_another_fingerprint(other: TrainingData) -> None:
    assert other.fingerprint() != data_of(example("hi")).fingerprint()


def test_a_text_that_is_no_valid_unicode_has_a_fingerprint() -> None:
    assert data_of(example("\ud83d")).fingerprint() != data_of(example("\ud83e")).fingerprint()
