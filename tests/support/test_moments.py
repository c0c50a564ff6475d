"""Changes of the system clock are noticed and remembered."""

from __future__ import annotations

import time

import pytest

from rasa_core.support.moments import ClockWatch

DAY = 86_400.0


class Clocks:
    """The system clock and the monotonic clock of a machine."""

    def __init__(self) -> None:
        self.passed = 1_000_000.0
        self.ahead = 0.0

    def set(self, seconds: float, watch: ClockWatch, after: float = 60.0) -> None:
        """Set the clock by so much, after some time, and let the watch see it."""
        self.passed += after
        self.ahead += seconds
        watch.look()


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(time, "monotonic", lambda: made.passed)
    monkeypatch.setattr(time, "time", lambda: 1.7e9 + made.passed + made.ahead)
    return made


def test_a_clock_that_nobody_sets_makes_nothing_older(clocks: Clocks) -> None:
    watch = ClockWatch()
    for _ in range(100):
        clocks.set(0.01, watch, after=36.0)  # As much as clocks drift in an hour.
    assert watch.too_old(DAY) == 0.0


@pytest.mark.parametrize(
    ("steps", "older"),
    [
        pytest.param([DAY], DAY, id="forward"),
        pytest.param([-DAY], 0.0, id="back"),
        pytest.param([DAY, -DAY], 0.0, id="forward by mistake"),
        pytest.param([-DAY, DAY], DAY, id="back by mistake"),
        pytest.param([-3 * DAY, DAY, DAY, -DAY], DAY, id="back, forward twice, and back"),
    ],
)
def test_what_seems_older_is_what_was_stamped_by_an_earlier_clock(
    clocks: Clocks, steps: list[float], older: float
) -> None:
    watch = ClockWatch()
    for step in steps:
        clocks.set(step, watch)
    assert watch.too_old(DAY) == pytest.approx(older)


def test_it_counts_for_as_long_as_anything_may_have_a_stamp_from_before(clocks: Clocks) -> None:
    watch = ClockWatch()
    clocks.set(DAY, watch)
    clocks.passed += 3600.0
    assert watch.too_old(3601.0) == DAY
    assert watch.too_old(3599.0) == 0.0


def test_what_was_set_is_told_once(clocks: Clocks) -> None:
    watch = ClockWatch()
    clocks.passed, clocks.ahead = clocks.passed + 10.0, -100.0
    assert watch.look() == pytest.approx(-100.0)
    assert watch.look() == 0.0
