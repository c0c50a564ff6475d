"""Lists and clauses in messages, and what stands in a message that its sender does not say."""

from __future__ import annotations

import time

import pytest

from rasa_core.nlu.messages import Read, as_clause, of_clause, once
from rasa_core.nlu.tokens import is_sign, keys_of, tokenize, visible
from rasa_core.nlu.unsaid import what_is_said


def read(text: str) -> Read:
    """Return the tokens of a text for a model whose examples had no signs."""
    tokens = tokenize(text)
    keys = keys_of(text, tokens)
    words = [at for at, key in enumerate(keys) if not is_sign(key)]
    return Read(text, text, range(len(text) + 1), [tokens[at] for at in words], [keys[at] for at in words], False)


@pytest.mark.parametrize(
    ("text", "breaks"),
    [
        ("milk, bread and eggs", [1]),
        ("milk;bread", [1]),
        ("milk & bread + eggs", [1, 2]),
        ("milk\nbread", [1]),
        ("北京，上海", [2]),
        ("milk - bread", []),
        ("Saint-Denis (north)", []),
        ("1,5 or 1/2", []),
        ("1, 5", [1]),
        ("50 km/h by AT&T", []),
        ("milk bread", []),
        ("", []),
    ],
)
def test_signs_of_lists_stand_between_things(text: str, breaks: list[int]) -> None:
    assert read(text).breaks() == breaks


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("sorry to ask, where is it? I need it", ["sorry to ask", "where is it", "I need it"]),
        ("my order is late: 3.5 days\nwhere is it", ["my order is late", "3 5 days", "where is it"]),
        ("well, where is it", ["where is it"]),
        ("where is it?", []),
        ("at 3:30 p.m.today", []),
        ("مرحبا بك، أين هو الآن", ["مرحبا بك", "أين هو الآن"]),
        ("すみません。東京です", ["す み ま せ ん", "東 京 で す"]),
        ("a b, " * 20, ["a b"] * 8),
        ("", []),
    ],
)
def test_clauses_end_at_signs(text: str, clauses: list[str]) -> None:
    found = read(text).clauses()
    assert [" ".join(text[start:end] for start, end in one.spans) for one in found] == clauses
    assert all(len(one.spans) == len(one.keys) for one in found)


@pytest.mark.parametrize(("unknown", "expected"), [(0.0, [0.512, 0.064]), (0.5, [0.384, 0.048])])
def test_a_clause_is_less_sure_than_the_same_message(unknown: float, expected: list[float]) -> None:
    ranking = [{"name": "a", "confidence": 0.8}, {"name": "b", "confidence": 0.1}]
    answer = as_clause({"intent": dict(ranking[0]), "intent_ranking": ranking, "entities": []}, unknown)
    assert [one["confidence"] for one in answer["intent_ranking"]] == pytest.approx(expected)
    assert answer["intent"] == answer["intent_ranking"][0]


def test_an_answer_to_a_clause_keeps_the_entities_around_it() -> None:
    def at(start: int, end: int, entity: str) -> dict[str, object]:
        return {"start": start, "end": end, "entity": entity}

    whole = {"intent": "a", "entities": [at(0, 3, "x"), at(5, 9, "x"), at(12, 14, "x")]}
    assert of_clause(whole, {"intent": "b", "entities": [at(6, 8, "y")]}) == {
        "intent": "b",
        "entities": [at(0, 3, "x"), at(6, 8, "y"), at(12, 14, "x")],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("> how can I help?\nbook it", "book it"),
        ("> how\n> can I help?\n\nbook it", "book it"),
        ("book it\n\nOn 3 Feb 2020 at 10:12, Ann <a@b.org> wrote:\n> how can I help?\n> or not?", "book it"),
        ("book this:\n> a table", "book this :"),
        ("book it\n-----Original Message-----\nFrom: Ann\nhow can I help?", "book it"),
        ("book it\n-- \nAnn Lee\nAcme Inc.", "book it"),
        ("book it\nSent from my iPhone", "book it"),
        ("book it\n\nVon meinem iPad gesendet\n", "book it"),
        ("book it\n\nBest,\nAnn", "book it"),
        ("book it\nViele Grüße\nAnn Lee", "book it"),
        ("book it\nthanks!\nAnn\n", "book it"),
        ("book it\nthe best\n", "book it the best"),
        ("book it\nBest,\nAnn\nand a table", "book it Best , Ann and a table"),
        ("book a seat\nsent by train", "book a seat sent by train"),
        ("book it -- now", "book it -- now"),
        ("book it https://www.example.org/a?b=1", "book it"),
        ("www.example.org/x book it", "book it"),
        ("book it (ann.lee@example.org)", "book it ( )"),
        ("@ann_lee book it", "book it"),
        ("@book it", "it"),
        ("it @ann", "it"),
        ("it @book", "it @ book"),
        ("a > b", "a > b"),
        ("> book it", "> book it"),
        ("https://example.org", "https : // example . org"),
        ("", ""),
    ],
)
def test_quotations_signatures_and_unknown_addresses_say_nothing(text: str, said: str) -> None:
    found = what_is_said(text, tokenize(text), {"book", "it"})
    assert " ".join(text[start:end] for start, end in found) == said


@pytest.mark.parametrize("text", ["it https://x.org/a", "it www.x.org", "it ann@x.org", "@ann it"])
def test_addresses_are_read_where_examples_have_them(text: str) -> None:
    assert what_is_said(text, tokenize(text), {"it", "@", "https", "www"}) == tokenize(text)


def test_long_messages_of_any_sign_are_read_at_once() -> None:
    began = time.perf_counter()
    for sign in (">", "\n>", "1:\n", "-", "\n--", "@", "a@", "www.", "1", "<b ", "&a", "\n ", "\nbest", "\n\nthanks\n"):
        text = (sign * 1000)[:1000]
        assert visible(text)[1][-1] == 1000
        assert set(what_is_said(text, tokenize(text), set())) <= set(tokenize(text))
    assert time.perf_counter() - began < 0.25  # One expression that tries all lengths of a run takes as long.


@pytest.mark.parametrize(
    "text", ["1. book it", "2) book it", "(3) book it", "a) book it", "#4 book it", "12: book it", "1. please book it"]
)
def test_the_number_of_an_item_is_passed_over(text: str) -> None:
    rest = read(text).without_courtesies()
    assert rest is not None
    assert rest.keys == ["book", "it"]
    assert rest.is_behind_ordinal() is (text == "1. book it")


@pytest.mark.parametrize("text", ["1.5 l of milk", "12 seats", "a table", "1.", "123. it", "ab) it", "", "book 1. it"])
def test_other_numbers_are_read(text: str) -> None:
    assert read(text).without_courtesies() is None


def test_a_number_that_an_entity_begins_with_is_cut() -> None:
    rest = read("4. floor").without_courtesies()
    assert rest is not None
    assert rest.cuts([{"start": 0, "end": 8}])
    assert not rest.cuts([{"start": 3, "end": 8}])
    item = read("4) floor").without_courtesies()
    assert item is not None
    assert not item.cuts([{"start": 0, "end": 8}])


@pytest.mark.parametrize("gap", [" ", "\n", "\r\n", "\n\n"])
def test_a_message_that_was_pasted_twice_is_read_once(gap: str) -> None:
    assert once(f"book it now{gap}book it now") == "book it now"


@pytest.mark.parametrize(
    "text", ["book it now book it", "bye bye", "New York New York", "go on\tgo on", "", " ", "a  a"]
)
def test_other_messages_are_read_as_they_are(text: str) -> None:
    assert once(text) == text
