"""The text of problems in files."""

from __future__ import annotations

import logging

import pytest

from rasa_core.support.places import Place
from rasa_core.support.problems import MOST_LOGGED, Problem, log_warnings


def test_half_a_character_of_a_file_is_told_escaped() -> None:
    assert str(Problem("warning", "what is \ud800?", Place("s.md", 2))) == "s.md:2: what is \\ud800?"


def test_of_very_many_warnings_the_first_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    problems = [Problem("warning", f"{number} is odd.", Place("d.yml", number)) for number in range(1, 1000)]

    assert log_warnings(problems, logging.getLogger("rasa_core.test")) == []

    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "d.yml:1: 1 is odd."
    assert told[MOST_LOGGED:] == ["and 899 more warnings"]
