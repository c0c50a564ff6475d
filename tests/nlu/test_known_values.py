"""Values of entities in examples are found in other messages."""

from __future__ import annotations

import numpy as np
import pytest

from rasa_core.nlu.named_values import NamedValues
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.reading import read_training_text
from rasa_core.nlu.tokens import TokenVocabulary, keys_of, tokenize
from rasa_core.nlu.values import KnownValues, known_synonyms, known_values
from rasa_core.nlu.variation import TaggedMessage, tagged


def messages_of(*items: str) -> list[TaggedMessage]:
    data = read_training_text("## intent:a\n" + "".join(f"- {item}\n" for item in items))
    found = (tagged(one, data.intents, data.labels, Patterns()) for one in data.examples)
    return [one for one in found if one is not None]


@pytest.mark.parametrize(
    ("items", "values"),
    [
        (("[Fado](genre) please", "some [fado](genre)"), {"fado": 0}),
        (("[fado](genre) please", "some rock"), {}),
        (("[May](name) is here", "call [May](name)", "may I go"), {}),
        (
            ("to [New York](city)", "in [New York](city)", "in [York](city)", "by [York](city)"),
            {"new york": 0, "york": 0},
        ),
        (("to [York](city)", "in [York](city)", "a [York ham](dish)"), {}),
        (("to [York](a_city)", "in [York](a_city)", "by [Leeds](b)", "at [Leeds](b)"), {"leeds": 1, "york": 0}),
        (("for [12](count)", "and [12](count)"), {}),
        (("in [मुंबई](city)", "to [मुंबई](city)"), {"मुंबई": 0}),
    ],
)
def test_a_value_is_known_by_two_messages_if_it_is_nothing_else(items: tuple[str, ...], values: dict[str, int]) -> None:
    assert known_values((one.keys, one.tags) for one in messages_of(*items)) == values


@pytest.mark.parametrize(
    ("synonyms", "values"),
    [
        ({"Big Apple": "New York", "NYC": "New York"}, {"big apple": 0}),
        ({"gotham": "Big Apple", "new york": "Big Apple"}, {"big apple": 0, "gotham": 0}),
        ({"please": "New York", "to please": "New York"}, {}),
        ({"gotham": "Boston"}, {}),
        ({"12345": "New York"}, {}),
        ({"gotham": "New York", "fado": "New York"}, {}),
    ],
    ids=["unknown words", "of a synonym", "known words", "of no message", "a number", "of two entities"],
)
def test_synonyms_of_a_value_that_messages_have_are_known(synonyms: dict[str, str], values: dict[str, int]) -> None:
    messages = messages_of("to [New York](city) please", "some [fado](genre)")
    labels = [["city", "", ""], ["genre", "", ""]]
    assert known_synonyms(synonyms, [(one.keys, one.tags) for one in messages], labels) == values


def known() -> KnownValues:
    vocabulary = TokenVocabulary(["in", "lisbon", "new", "street", "york"], [], [])
    return KnownValues({"lisbon": 0, "new york": 0, "new": 1}, [["city", "", ""], ["word", "", ""]], vocabulary)


def lifted(text: str) -> list[list[float]]:
    values = known()
    keys = keys_of(text, tokenize(text))
    tags = np.zeros((len(keys), 5), np.float32)
    found = values.lifted(tags, keys).tolist()
    assert not tags.any()
    return found


def test_the_tags_of_a_known_value_are_lifted_the_longest_first() -> None:
    assert lifted("in NEW York") == [[0, 0, 0, 0, 0], [0, 5, 0, 0, 0], [0, 0, 5, 0, 0]]
    assert lifted("in new") == [[0, 0, 0, 0, 0], [0, 0, 0, 5, 0]]


@pytest.mark.parametrize(
    ("text", "inner"), [("in new\nYork", {2}), ("lisbon\nnew", set()), ("new york\nnew york", {1, 3}), ("", set())]
)
def test_the_words_within_a_known_value_are_told(text: str, inner: set[int]) -> None:
    assert known().inner(keys_of(text, tokenize(text))) == inner


def test_a_known_value_may_be_spelt_with_accents_and_drawn_out() -> None:
    assert lifted("in Lisbónnn") == lifted("in Lisbon")
    assert lifted("in neww york") == lifted("in new york")
    assert lifted("in streeet") == lifted("in street")


def test_a_known_value_may_have_a_typing_error() -> None:
    assert lifted("in Lsibon") == lifted("in Lisbon")
    assert lifted("in nwe york") == [[0] * 5] * 3  # Of so few letters, it may be anything.


def test_a_word_that_is_not_known_ends_a_known_value() -> None:
    assert lifted("Lisbon zorgle") == [[0, 5, 0, 0, 0], [0, 0, -8, 0, 0]]
    assert lifted("Lisbon street") == [[0, 5, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert lifted("in street") == [[0] * 5] * 2


def test_a_value_says_nothing_of_the_role_that_it_has() -> None:
    labels = [["city", "from", ""], ["city", "to", ""], ["land", "", ""]]
    values = KnownValues({"rome": 1}, labels, TokenVocabulary(["rome"], [], []))
    assert values.lifted(np.zeros((1, 7), np.float32), ["Rome"]).tolist() == [[0, 5, 0, 5, 0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("city: Lisbon", [("city: ", "Lisbon", 0)]),
        ("CITY = New York, arrival day: Monday", [("CITY = ", "New York", 0), ("arrival day: ", "Monday", 1)]),
        ("please\narrivalDay: Monday\ncity: Porto", [("arrivalDay: ", "Monday", 1), ("city: ", "Porto", 0)]),
        ("to: Porto", [("to: ", "Porto", 2)]),
        ("which city: Lisbon", []),
        ("day: Monday", []),
        ("city:", []),
        ("city: , Porto", []),
        ("city 10:30", []),
        ("city Lisbon", []),
    ],
)
def test_values_are_named_by_their_entity_or_role(text: str, named: list[tuple[str, str, int]]) -> None:
    values = NamedValues([["city", "", ""], ["arrival_day", "", ""], ["city", "to", ""]])
    assert [(text[slice(*name)], text[slice(*value)], number) for name, value, number in values.of(text)] == named


def test_a_named_value_is_that_entity_from_end_to_end() -> None:
    text, values = "day: New York", NamedValues([["city", "", ""], ["day", "", ""]])
    tags = np.zeros((2, 5), np.float32)
    found = values.lifted(tags, text, [(5, 8), (9, 13)])
    assert found.nonzero()[1].tolist() == [3, 4]
    assert not tags.any()
    assert values.lifted(tags, "New York", [(0, 3), (4, 8)]) is tags
