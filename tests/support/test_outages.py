"""The log of a failure that affects all requests: a line at first, some more meanwhile, and a line at its end."""

from __future__ import annotations

import logging

import pytest

from rasa_core.support import outages
from rasa_core.support.outages import Outages


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(outages, "time", made)
    return made


class Told:
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def take(self) -> list[tuple[str, str]]:
        found = [(record.levelname, record.getMessage()) for record in self._caplog.records]
        self._caplog.clear()
        return found


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    caplog.set_level(logging.INFO)
    return Told(caplog)


def test_each_failure_is_told_at_once_and_then_now_and_then(clock: Clock, told: Told) -> None:
    known = Outages(logging.getLogger("outages"))
    for tenth in range(205):
        clock.now = tenth / 10
        known.failed("no database", "parse")
    known.failed("no disk", "parse")
    assert told.take() == [
        ("ERROR", "no database"),
        ("ERROR", "no database (the same 99 more times before)"),
        ("ERROR", "no database (the same 99 more times before)"),
        ("ERROR", "no disk"),
    ]


def test_an_answer_where_it_failed_says_once_that_it_is_over(clock: Clock, told: Told) -> None:
    known = Outages(logging.getLogger("outages"))
    for _ in range(3):
        known.failed("no database", "parse")
    known.answered("health")  # Which needs no database.
    assert told.take() == [("ERROR", "no database")]
    known.answered("parse")
    known.answered("parse")
    assert told.take() == [("WARNING", "over, after it was the same 2 more times: no database")]


def test_what_comes_and_goes_is_told_no_more_often(clock: Clock, told: Told) -> None:
    known = Outages(logging.getLogger("outages"))
    for tenth in range(100):
        clock.now = tenth / 10
        known.failed("no database", "parse")
        known.answered("parse")
    assert told.take() == [("ERROR", "no database"), ("WARNING", "over: no database")]
    clock.now = 10.0
    known.failed("no database", "parse")
    assert told.take() == [("ERROR", "no database (the same 99 more times before)")]


def test_what_differs_each_time_is_not_kept(clock: Clock, told: Told) -> None:
    known = Outages(logging.getLogger("outages"))
    for number in range(10 * outages.MOST_KNOWN):
        known.failed(f"failure {number}", "parse")
    assert len(told.take()) == 10 * outages.MOST_KNOWN
    assert len(known._known) == outages.MOST_KNOWN
