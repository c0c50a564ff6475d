"""Words that are typed joined or divided, or with digits or letters of another script in place of letters."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from at_once import at_once

from rasa_core.nlu.spacing import Spacing
from rasa_core.nlu.tokens import TokenVocabulary, keys_of, tokenize

WORDS = (
    *("i", "need", "good", "morning", "password", "email", "hello", "dont", "universidad", "es", "ar", "you", "'t"),
    *("can", "\u6771", "wohn", "geld", "\u0441\u043f\u0430\u0441\u0438\u0431\u043e"),
)
RARE = "ar"


def read(text: str) -> list[str]:
    """Return the tokens of a text as they are read, each as it stands there, and its key where that is another."""
    weights = [9.0, *(9.0 if word == RARE else 2.0 for word in WORDS)]
    spacing = Spacing(TokenVocabulary(WORDS, [], []), np.square(np.array(weights, np.float32)))
    spans = tokenize(text)
    found, keys = spacing.of(text, spans, keys_of(text, spans))
    assert spacing.of(text, spans, keys_of(text, spans)) == (found, keys)
    parts = [text[slice(*span)] for span in found]
    return [part if part == key else f"{part}={key}" for part, key in zip(parts, keys, strict=True)]


@pytest.mark.parametrize(
    ("typed", "tokens"),
    [
        ("ineed you", "i need you"),
        ("GoodMorning you", "Good Morning you"),
        ("ineedhelp", "ineedhelp"),
        ("ineedyou, goodmorning", "i need you , good morning"),
        ("Wohngeld", "Wohn geld"),
        ("youcant", "youcant"),
        ("cant", "can t='t"),
    ],
)
def test_joined_words_are_divided(typed: str, tokens: str) -> None:
    assert " ".join(read(typed)) == tokens


@pytest.mark.parametrize("typed", ["universidades", "arhello", "youis", "need", "zorgle", "s", "2020", "\u6771\u4eac"])
def test_what_short_or_rare_words_would_make_stays_one_word(typed: str) -> None:
    assert len(read(typed)) == len(tokenize(typed))


@pytest.mark.parametrize(
    ("typed", "token"),
    [
        ("pass word", "pass word=password"),
        ("you pass Word good", "pass Word=passWord"),
        ("e-mail", "e-mail=email"),
        ("don't", "don't=dont"),
        ("h3llo you", "h3llo=hello"),
        ("HE110", "HE110=HELLO"),
        ("p@$$word", "p@$$word=password"),
    ],
)
def test_parts_of_a_known_word_are_joined(typed: str, token: str) -> None:
    assert token in read(typed)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("hell\u043e", "hello"),
        ("G\u043e\u043ed", "Good"),
        ("\u0441\u0430n", "can"),
        ("\u0435\u0455", "es"),
        ("zorgl\u0435", "zorgle"),
        ("c\u043fa\u0441\u0438\u0431o", "\u0441\u043f\u0430\u0441\u0438\u0431\u043e"),
    ],
)
def test_letters_that_look_like_those_of_another_script_are_these(typed: str, meant: str) -> None:
    assert read(f"you {typed}") == ["you", f"{typed}={meant}"]


@pytest.mark.parametrize("typed", ["\u0434\u0430", "\u043e\u0440", "zorgle", "Zorgl\u0434", "\u03c0\u03bf\u03cd"])
def test_words_of_other_letters_stay(typed: str) -> None:
    assert read(f"you {typed}") == ["you", typed]


@pytest.mark.parametrize("typed", ["good  morning", "pass, word", "pass\nword", "3mail", "b12", "can you", "1st"])
def test_what_is_set_apart_stays_apart(typed: str) -> None:
    assert len(read(typed)) == len(tokenize(typed))


def test_threads_may_read_texts_while_others_clear_what_was_made_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rasa_core.nlu.spacing._MOST_READ", 1)
    spacing = Spacing(TokenVocabulary(WORDS, [], []), np.full(len(WORDS) + 1, 4.0, np.float32))
    text = "ineed goodmorning"
    spans = tokenize(text)

    def read_often(number: int) -> list[list[str]]:
        return [spacing.of(text, spans, keys_of(text, spans))[1] for _ in range(500)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        read = at_once(read_often, range(4))
    finally:
        sys.setswitchinterval(interval)
    assert all(keys == ["i", "need", "good", "morning"] for found in read for keys in found)
