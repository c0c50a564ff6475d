"""Parts of a message keep the halves of their brackets and quotation marks together."""

from __future__ import annotations

import pytest

from rasa_core.nlu.messages import with_whole_brackets


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
        (")", ")", ")"),
    ],
)
def test_a_part_of_a_text_has_both_halves_of_a_bracket_or_none(text: str, found: str, whole: str) -> None:
    start, end = with_whole_brackets(text, text.index(found), text.index(found) + len(found))
    assert text[start:end] == whole
