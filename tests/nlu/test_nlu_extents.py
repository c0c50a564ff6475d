"""Start and end of entities: whole brackets, whole addresses, and parts that become one entity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

from rasa_core.nlu import extents, unsaid
from rasa_core.nlu.extents import Extents, sides_of, with_whole_brackets
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.reading import read_training_text
from rasa_core.nlu.tokens import tokenize
from rasa_core.nlu.variation import tagged


@pytest.mark.parametrize(
    ("text", "found", "whole"),
    [
        ("book hall (north) now", "hall (north", "hall (north)"),
        ("book hall (north", "hall (north", "hall (north"),
        ("in (Lisbon) now", "Lisbon)", "Lisbon"),
        ("in (Lisbon) now", "(Lisbon", "(Lisbon)"),
        ("in (Lisbon now", "(Lisbon", "Lisbon"),
        ("in (Lisbon )", "Lisbon )", "Lisbon"),
        ("in Lisbon", "Lisbon", "Lisbon"),
        ('room "Porto" now', 'room "Porto', 'room "Porto"'),
        ('in "Porto" now', 'Porto"', "Porto"),
        ("Saal „Nord“ bitte", "Saal „Nord", "Saal „Nord“"),
        ("[a] [b]", "a] [b", "a] [b"),
        ("会場（北）で", "会場（北", "会場（北）"),
        ("call (030) 1234", "030) 1234", "(030) 1234"),
        ("call 030) 1234", "030) 1234", "030) 1234"),
        (")", ")", ")"),
    ],
)
def test_a_part_of_a_text_has_both_halves_of_a_bracket_or_none(text: str, found: str, whole: str) -> None:
    start, end = with_whole_brackets(text, text.index(found), text.index(found) + len(found))
    assert text[start:end] == whole


def sides(*items: str) -> list[list[float]]:
    """Return the result of `sides_of` for marked messages."""
    data = read_training_text("## intent:a\n" + "".join(f"- {item}\n" for item in items))
    messages = [tagged(one, data.intents, data.labels, Patterns()) for one in data.examples]
    told = ((one.keys, one.tags, one.extras[:, 0].tolist()) for one in messages if one is not None)
    return sides_of(told, len(data.labels)).tolist()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("in [Rome](city)", 0.0),
        ("in [Rome](city) [Oslo](city)", 1.0),
        ("in [Rome](city), [Oslo](city)", 0.0),
        ("in [Rome](city)-[Oslo](city)", 1.0),
        ("in [Rome](city) [Italy](land)", 0.0),
    ],
)
def test_examples_tell_whether_two_of_a_kind_stand_side_by_side(item: str, expected: float) -> None:
    assert sides(item)[0][0] == expected


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (("see [https://a.example/b?c=1](a)",), 1.0),
        (("see [www.a.example](a)!",), 1.0),
        (("write to [ann@a.example](a).",), 1.0),
        (("write to ann@[a.example](a)", "see [www.b.example](a)"), 0.0),
        (("in [Rome](a)",), 0.0),
    ],
)
def test_examples_tell_whether_entities_are_whole_addresses(items: tuple[str, ...], expected: float) -> None:
    assert sides(*items)[1] == [expected]


def found_in(text: str, *parts: str, sides: tuple[float, ...] = (0, 0, 0, 0), known: str = "") -> list[str]:
    """Return the corrected entities for some parts of a text, all with one label."""
    spans, found, at = tokenize(text), [], 0
    for part in parts:
        start = text.index(part, at)
        at = start + len(part)
        inside = [number for number, (begin, _) in enumerate(spans) if start <= begin < at]
        found.append((inside[0], inside[-1], 0, 0.9))
    words = known.split()
    made = Extents(np.array(sides, np.float32)[:, None]).of(
        text, spans, found, lambda number: text[slice(*spans[number])] in words
    )
    return [text[start:end] for start, end, _, _ in made]


@pytest.mark.parametrize(
    ("text", "parts", "known", "whole"),
    [
        ("to Buenos Aires", ("Buenos", "Aires"), "", ["Buenos Aires"]),
        ("to New Delhi", ("New", "Delhi"), "New", ["New Delhi"]),
        ("from Saint-Denis", ("Saint", "Denis"), "", ["Saint-Denis"]),
        ("at O'Hare", ("O", "Hare"), "", ["O'Hare"]),
        ("in St. Louis", ("St", "Louis"), "", ["St. Louis"]),
        ("on 12.5. at 8", ("12", "5"), "", ["12.5"]),
        ("to Rio Grande Sul", ("Rio", "Grande", "Sul"), "", ["Rio Grande Sul"]),
        ("to Rome Oslo", ("Rome", "Oslo"), "Rome Oslo", ["Rome", "Oslo"]),
        ("to Rome, Oslo", ("Rome", "Oslo"), "", ["Rome", "Oslo"]),
        ("to Rome. Oslo", ("Rome", "Oslo"), "", ["Rome", "Oslo"]),
        ("to Rome/Oslo", ("Rome", "Oslo"), "", ["Rome", "Oslo"]),
        ("to Rome or Oslo", ("Rome", "Oslo"), "", ["Rome", "Oslo"]),
    ],
)
def test_parts_of_one_kind_with_nothing_between_them_are_one_thing(
    text: str, parts: tuple[str, ...], known: str, whole: list[str]
) -> None:
    assert found_in(text, *parts, known=known) == whole


def test_what_stands_side_by_side_in_examples_stays_apart() -> None:
    assert found_in("to Buenos Aires", "Buenos", "Aires", sides=(1, 0, 0, 0)) == ["Buenos", "Aires"]


@pytest.mark.parametrize(
    ("text", "parts", "whole"),
    [
        ("at http://foo.example/b?x=1&y=2.", ("http://foo.example/b",), ["http://foo.example/b?x=1&y=2"]),
        ("at http://foo.example/b?x=1, ok", ("foo", "b"), ["http://foo.example/b?x=1"]),
        ("is <ann.b+c@d-e.example> right", ("ann.b", "example"), ["ann.b+c@d-e.example"]),
        ("www.a.example/x/ and www.b.example", ("a.example", "b.example"), ["www.a.example/x/", "www.b.example"]),
        ("in Rome or www.a.example", ("Rome",), ["Rome"]),
        ("at 5 @ home", ("5",), ["5"]),
    ],
)
def test_an_address_is_one_thing_where_examples_mark_whole_ones(
    text: str, parts: tuple[str, ...], whole: list[str]
) -> None:
    assert found_in(text, *parts, sides=(0, 1, 0, 0)) == whole
    assert found_in(text, parts[0], sides=(0, 0, 0, 0)) == [parts[0]]


@pytest.mark.parametrize(("room", "name"), [(unsaid, "_ADDRESS"), (extents, "_HYPHENATED")])
def test_a_text_is_searched_once_for_all_entities(monkeypatch: pytest.MonkeyPatch, room: ModuleType, name: str) -> None:
    searched, expression = list[str](), getattr(room, name)

    class Watched:
        def finditer(self, text: str) -> Iterator[re.Match[str]]:
            searched.append(text)
            return iter(expression.finditer(text))

    monkeypatch.setattr(room, name, Watched())
    text = "to www.a.example, Aix-les-Bains, Rome"
    assert found_in(text, "a.example", "Aix", "Rome", sides=(0, 1, 0, 0)) == text.removeprefix("to ").split(", ")
    assert searched == [text]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("pay [$5](a)", [1.0, 0.0]),
        ("in [C++](a)", [0.0, 1.0]),
        ("say [👍](a)", [1.0, 1.0]),
        ("in [Rome](a)!", [0.0, 0.0]),
    ],
)
def test_examples_tell_whether_signs_begin_and_end_entities(item: str, expected: list[float]) -> None:
    begins, ends = sides(item)[2:]
    assert begins + ends == expected


@pytest.mark.parametrize(
    ("text", "part", "ends", "found"),
    [
        ("to Oslo… now", "Oslo…", (0, 0), ["Oslo"]),
        ("to _Oslo_ now", "_Oslo_", (0, 0), ["Oslo"]),
        ("to _Oslo_ now", "_Oslo_", (1, 1), ["_Oslo_"]),
        ("in C++ now", "C++", (0, 1), ["C++"]),
        ("in $5. now", "$5.", (1, 0), ["$5"]),
        ("to _ now", "_", (0, 0), []),
        ("say 👍 now", "👍", (1, 1), ["👍"]),
        ("मुझे दिल्ली।", "दिल्ली।", (0, 0), ["दिल्ली"]),
        ("to Malmo\u0308!", "Malmo\u0308!", (0, 0), ["Malmo\u0308"]),
        ("hall (north) now", "hall (north)", (0, 0), ["hall (north)"]),
    ],
)
def test_a_sign_belongs_to_an_entity_where_one_does_in_examples(
    text: str, part: str, ends: tuple[float, float], found: list[str]
) -> None:
    assert found_in(text, part, sides=(0, 0, *ends)) == found


@pytest.mark.parametrize(
    ("text", "part", "known", "found"),
    [
        ("buy Coca-Cola now", "Coca", "", "Coca-Cola"),
        ("to Aix-en-Provence", "Aix", "en", "Aix-en-Provence"),
        ("to Aix-en-Provence", "Provence", "en", "Aix-en-Provence"),
        ("a Lisbon-bound train", "Lisbon", "Lisbon", "Lisbon"),
        ("buy oat-milk", "milk", "milk", "milk"),
        ("from Rome - Oslo", "Rome", "", "Rome"),
        ("from Rome--Oslo", "Rome", "", "Rome"),
        ("buy Coca-Cola", "Coca-Cola", "", "Coca-Cola"),
    ],
)
def test_a_new_word_with_a_hyphen_is_an_entity_as_a_whole(text: str, part: str, known: str, found: str) -> None:
    assert found_in(text, part, known=known) == [found]
