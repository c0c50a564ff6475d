"""The times at which a failed request is repeated."""

from __future__ import annotations

import random
import time

import pytest

from rasa_core.support.http_calls import Attempts


class Chance(random.Random):
    """A random source that records the limits of each call, and returns the lower one."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.asked.append((a, b))
        return a


def test_pauses_are_spread_from_nothing_to_a_limit_that_doubles_and_stays_finite() -> None:
    chance = Chance()
    attempts = Attempts(2000, first_delay=0.5, longest_delay=3.0, rng=chance)
    for _ in range(2000):
        assert attempts.again()

    assert chance.asked[:4] == [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0), (0.0, 3.0)]
    assert set(chance.asked[4:]) == {(0.0, 3.0)}


@pytest.mark.parametrize("name", ["retries", "within", "first_delay", "longest_delay"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_a_setting_that_makes_no_sense_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is a number from 0 on"):
        Attempts(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("retries", [0, 1, 5])
def test_there_are_as_many_attempts_as_allowed(retries: int) -> None:
    attempts = Attempts(retries, first_delay=0.0)

    assert [attempts.again() for _ in range(retries + 1)] == [True] * retries + [False]
    assert attempts.number == retries + 1


def test_no_pause_begins_that_ends_after_the_time() -> None:
    attempts = Attempts(5, within=5.0, first_delay=0.0, longest_delay=10.0)
    begun = time.monotonic()

    assert not attempts.again(asked=6.0)
    assert time.monotonic() - begun < 4.0


def test_what_the_server_asks_for_is_waited_for_up_to_the_longest_pause() -> None:
    attempts = Attempts(5, first_delay=0.0, longest_delay=0.05)
    begun = time.monotonic()

    assert attempts.again(asked=30.0)
    assert 0.05 <= time.monotonic() - begun < 10.0


def test_later_attempts_wait_for_what_is_left_of_the_time() -> None:
    attempts = Attempts(5, within=20.0, first_delay=0.0)

    assert attempts.timeout(30.0) == 30.0
    assert attempts.again()
    assert 10.0 < attempts.timeout(30.0) <= 20.0
    assert attempts.timeout(5.0) == 5.0
