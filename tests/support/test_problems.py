"""Problems of files, as they are told."""

from __future__ import annotations

from rasa_core.support.places import Place
from rasa_core.support.problems import Problem


def test_half_a_character_of_a_file_is_told_escaped() -> None:
    assert str(Problem("warning", "what is \ud800?", Place("s.md", 2))) == "s.md:2: what is \\ud800?"
