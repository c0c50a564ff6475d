"""Courtesies that are skipped at the beginning and end of messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.nlu.courtesies import around, thanks
from rasa_core.nlu.messages import Read, clearer
from rasa_core.nlu.tokens import is_sign, keys_of, tokenize


def wanted(text: str) -> list[str]:
    keys = keys_of(text, tokenize(text))
    begin, end = around(keys)
    return keys[begin:end]


@pytest.mark.parametrize(
    "text",
    [
        "book it",
        "Heyyy, book it",
        "buenos dias book it",
        "guten Morgen! book it",
        "السلام عليكم book it",
        "good afternoon book it",
        "oh, hello ... um book it",
        "I mean book it",
        "book it please",
        "book it, pleeease!",
        "book it. Thank you very much!!! \U0001f64f",
        "book it - danke schon",
        "book it, gracias",
        "book it, s\u2019il vous plait",
        "book it asap pls, thanks",
        "so book it ok?",
        "ok, book it, lol",
        "hey bot, book it",
        "hola bot book it, perdón",
        "Entschuldigung, book it, herzlichen Dank",
        "book it. Have a nice day!",
        "book it, thanks, bye",
        "hahaha ok book it",
    ],
)
def test_what_people_want_is_found_between_greetings_and_thanks(text: str) -> None:
    assert wanted(text) == ["book", "it"]


@pytest.mark.parametrize(
    ("text", "found"), [("これをください", "これを"), ("请买", "买"), ("买吧", "买"), ("예약합니다", "예약합니다")]
)
def test_words_in_scripts_without_spaces_are_found(text: str, found: str) -> None:
    assert [key.split("\0")[1] for key in wanted(text)] == list(found)


@pytest.mark.parametrize("text", ["", "?!", "hello", "thank you!", "please", "thank them"])
def test_what_is_nothing_else_or_something_else_stays(text: str) -> None:
    assert wanted(text) == keys_of(text, tokenize(text))


@given(
    st.lists(st.sampled_from(["hello", "thanks", "please", "ok", "book", ",", "!", "so", "thank", "you"]), max_size=9)
)
def test_something_that_is_no_sign_is_left(words: list[str]) -> None:
    begin, end = around(words)
    assert 0 <= begin <= end <= len(words)
    assert (begin, end) == (0, len(words)) or not all(map(is_sign, words[begin:end]))
    passed_over = [*words[:begin], *words[end:]]
    assert "book" not in passed_over


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("book it, thank you!", ["thank", "you", "!"]),
        ("book it please, merci", ["please", ",", "merci"]),
        ("book it please!", []),
        ("book it, s'il vous plaît", []),
        ("book it", []),
        ("thanks", []),
    ],
)
def test_thanks_are_told_from_words_that_mean_nothing_by_themselves(text: str, said: list[str]) -> None:
    assert list(thanks(keys_of(text, tokenize(text)))) == said


def read(text: str) -> Read:
    spans = tokenize(text)
    return Read(text, text, range(len(text) + 1), spans, keys_of(text, spans), False)


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("thanks. book it", "thanks."),
        ("hello, so, book it", "hello, so,"),
        ("hello, book it, thanks!", "thanks!"),
        ("so book it", None),
        ("book it please", None),
        ("book it", None),
    ],
)
def test_thanks_at_the_end_and_words_before_a_sign_are_said_apart(text: str, apart: str | None) -> None:
    found = read(text).said_apart()
    assert (None if found is None else text[found.spans[0][0] : found.spans[-1][1]]) == apart


def answer(intent: str, confidence: float, *entities: str) -> dict[str, Any]:
    return {"intent": {"name": intent, "confidence": confidence}, "entities": list(entities)}


@pytest.mark.parametrize(
    ("whole", "rest", "tokens", "thanks", "intent"),
    [
        (answer("thank", 0.9), answer("inform", 0.4, "Porto"), 1, "thank", "inform"),
        (answer("thank", 0.9), answer("ask", 0.4), 4, "thank", "ask"),
        (answer("thank", 0.9), answer("ask", 0.2), 4, "thank", "thank"),
        (answer("thank", 0.9), answer("bye", 0.6), 1, "thank", "bye"),
        (answer("thank", 0.9), answer("bye", 0.5), 1, "thank", "thank"),
        (answer("thank", 0.9), answer("ask", 0.8), 4, "greet", "thank"),
        (answer("thank", 0.9), answer("ask", 0.8), 4, None, "thank"),
        (answer("ask", 0.5), answer("ask", 0.8), 4, None, "ask"),
    ],
)
def test_a_message_that_is_taken_for_the_thanks_in_it_means_what_is_beside_them(
    whole: dict[str, Any], rest: dict[str, Any], tokens: int, thanks: str | None, intent: str
) -> None:
    assert clearer(whole, rest, tokens, thanks)["intent"]["name"] == intent


@pytest.mark.parametrize(
    ("thanks", "is_cut", "entities"),
    [(None, False, ["Porto"]), ("greet", False, ["Porto"]), (None, True, ["hi Porto"]), ("ask", False, ["hi Porto"])],
)
def test_entities_are_those_of_the_rest_also_where_the_whole_is_surer(
    thanks: str | None, is_cut: bool, entities: list[str]
) -> None:
    found = clearer(answer("ask", 0.9, "hi Porto"), answer("ask", 0.1, "Porto"), 1, thanks, is_cut=is_cut)
    assert found["intent"]["confidence"] == 0.9
    assert found["entities"] == entities


@pytest.mark.parametrize(
    ("text", "start", "end", "is_cut"),
    [
        ("hello Kitty", 0, 11, True),
        ("hello, Kitty", 0, 12, False),
        ("hello Kitty", 6, 11, False),
        ("नमस्ते Kitty", 0, 12, True),
        ("Kitty thanks", 0, 12, True),
        ("Kitty. thanks", 0, 13, False),
        ("see Kitty thanks", 4, 9, False),
    ],
)
def test_an_entity_goes_on_into_courtesies_unless_a_sign_is_between(
    text: str, start: int, end: int, is_cut: bool
) -> None:
    rest = read(text).without_courtesies()
    assert rest is not None
    assert rest.cuts([{"start": start, "end": end}]) is is_cut
