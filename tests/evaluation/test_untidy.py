"""Changes of messages as people make them, such as typing errors: each changes only what it should."""

from __future__ import annotations

import pytest

from rasa_core.evaluation.untidy import (
    CHANGES,
    ERRORS,
    with_divided_word,
    with_joined_words,
    with_two_typing_errors,
    without_accents,
    without_vowels,
)
from rasa_core.nlu.training_data import EntitySpan, NLUExample


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Caf\u00e9 \u0110\u00e0 N\u1eb5ng", "Cafe Da Nang"),
        ("\u0398\u03ad\u03bb\u03c9", "\u0398\u03b5\u03bb\u03c9"),
        ("\u0623\u0631\u064a\u062f", "\u0627\u0631\u064a\u062f"),
        # Without their marks, these are other words.
        ("\u3067\u3059", "\u3067\u3059"),
        ("\uc11c\uc6b8", "\uc11c\uc6b8"),
        ("\u0926\u093f\u0932\u094d\u0932\u0940", "\u0926\u093f\u0932\u094d\u0932\u0940"),
        ("\u0e01\u0e23\u0e38\u0e07\u0e40\u0e17\u0e1e", "\u0e01\u0e23\u0e38\u0e07\u0e40\u0e17\u0e1e"),
    ],
    ids=["latin", "greek", "arabic", "japanese", "korean", "hindi", "thai"],
)
def test_accents_are_left_out_where_people_leave_them_out(text: str, typed: str) -> None:
    assert without_accents(NLUExample(text, "a")).text == typed


@pytest.mark.parametrize("change", [*CHANGES.values(), with_joined_words, without_vowels])
def test_entities_stay_where_they_are_meant(change) -> None:
    example = NLUExample("is there fado in Lisboa tonight", "a", (EntitySpan(17, 23, "city", "Lisboa"),))
    made = change(example)
    (span,) = made.entities
    covered = made.text[span.start : span.end]
    assert "".join(sorted(set(covered.lower()) & set("lisboa"))) == "abilos"
    assert len(covered) <= len("Lisboa") + 2


@pytest.mark.parametrize(
    "text", ["where is my parcel", "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440", "\u6771\u4eac", "", "a b"]
)
@pytest.mark.parametrize("change", ERRORS.values(), ids=list(ERRORS))
def test_errors_are_few_and_the_same_each_time(change, text: str) -> None:
    made = change(NLUExample(text, "a"))
    assert made == change(NLUExample(text, "a"))
    assert abs(len(made.text) - len(text)) <= 4


def test_errors_are_those_that_their_names_say() -> None:
    example = NLUExample("is there fado in Lisboa tonight", "a", (EntitySpan(17, 23, "city", "Lisboa"),))
    joined, divided, bare = (change(example).text for change in (with_joined_words, with_divided_word, without_vowels))
    assert (joined.count(" "), joined.replace(" ", "")) == (4, example.text.replace(" ", ""))
    assert (divided.count(" "), divided.replace(" ", "")) == (6, example.text.replace(" ", ""))
    assert bare in ("is thr fado in Lisboa tnght", "is thr fado in Lisboa tonight", "is there fado in Lisboa tnght")
    assert with_two_typing_errors(example).text != example.text
    assert "in Lisboa" in joined
