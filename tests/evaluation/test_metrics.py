"""The figures of an evaluation, against oracles that follow their definitions step by step."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rasa_core.evaluation.metrics import (
    BINS,
    LISTENING,
    Pair,
    Spread,
    accuracy,
    confidence_bins,
    expected_calibration_error,
    scores_by_label,
    weighted_f1,
)
from rasa_core.evaluation.tables import in_percent, rounded
from rasa_core.events import ACTION_LISTEN_NAME

ACTIONS = [ACTION_LISTEN_NAME, "utter_a", "utter_b", "utter_c"]
PAIRS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(ACTIONS)), max_size=30)
CONFIDENCES = st.one_of(st.floats(0.0, 1.0), st.integers(0, 10).map(lambda tenth: tenth / 10))
PREDICTIONS = st.lists(st.tuples(CONFIDENCES, st.booleans()), max_size=40)


def divided(part: int, whole: int) -> Fraction:
    return Fraction(part, whole) if whole else Fraction(0)


def f1_by_definition(pairs: list[Pair], action: str) -> Fraction:
    """Return the harmonic mean of precision and recall, from the outcomes one by one."""
    hits = sum(1 for expected, predicted in pairs if expected == action and predicted == action)
    false_alarms = sum(1 for expected, predicted in pairs if expected != action and predicted == action)
    misses = sum(1 for expected, predicted in pairs if expected == action and predicted != action)
    precision, recall = divided(hits, hits + false_alarms), divided(hits, hits + misses)
    return 2 * precision * recall / (precision + recall) if precision + recall else Fraction(0)


@given(PAIRS)
def test_scores_of_actions_follow_their_definitions(pairs: list[Pair]) -> None:
    found = {one.label: one for one in scores_by_label(pairs)}
    assert set(found) == {action for pair in pairs for action in pair}
    for action, one in found.items():
        of_expected = [predicted == action for expected, predicted in pairs if expected == action]
        of_predicted = [expected == action for expected, predicted in pairs if predicted == action]
        assert (one.support, one.predicted) == (len(of_expected), len(of_predicted))
        assert one.recall == pytest.approx(float(divided(sum(of_expected), len(of_expected))))
        assert one.precision == pytest.approx(float(divided(sum(of_predicted), len(of_predicted))))
        assert one.f1 == pytest.approx(float(f1_by_definition(pairs, action)))


@given(PAIRS)
def test_weighted_f1_follows_its_definition(pairs: list[Pair]) -> None:
    """Each step that expects another action than listening contributes the F1 of that action; their mean counts."""
    each = [f1_by_definition(pairs, expected) for expected, _ in pairs if expected != ACTION_LISTEN_NAME]
    expected = sum(each, Fraction(0)) / len(each) if each else Fraction(0)
    assert weighted_f1(scores_by_label(pairs)) == pytest.approx(float(expected))


@given(PAIRS)
def test_accuracy_is_the_share_of_equal_pairs(pairs: list[Pair]) -> None:
    equal = sum(expected == predicted for expected, predicted in pairs)
    assert accuracy(pairs) == pytest.approx(float(divided(equal, len(pairs))))
    acting = [(expected, predicted) for expected, predicted in pairs if expected != ACTION_LISTEN_NAME]
    assert accuracy(pairs, LISTENING) == accuracy(acting)


def test_an_action_predicted_in_place_of_listening_counts_against_its_f1() -> None:
    pairs = [("utter_a", "utter_a"), (ACTION_LISTEN_NAME, "utter_a")]
    assert weighted_f1(scores_by_label(pairs)) == pytest.approx(2 / 3)
    assert accuracy(pairs, LISTENING) == 1.0


def test_the_most_expected_action_is_first_and_listening_last() -> None:
    pairs = [(ACTION_LISTEN_NAME, "utter_c")] * 3 + [("utter_b", "utter_b")] * 2 + [("utter_a", "utter_a")] * 2
    names = [one.label for one in scores_by_label(pairs)]
    assert names == ["utter_a", "utter_b", "utter_c", ACTION_LISTEN_NAME]


def bin_by_definition(confidence: float) -> int:
    """Return which of the intervals ((m - 1) / 10, m / 10] holds a confidence; the first holds 0 too."""
    for number in range(1, BINS + 1):
        if (number - 1) / BINS < confidence <= number / BINS:
            return number - 1
    return 0


@given(PREDICTIONS)
@example([(0.1, True), (0.3, False), (0.7, True), (1.0, True), (0.0, False)])
def test_bins_and_their_error_follow_the_definition_of_guo_and_others(predictions: list[tuple[float, bool]]) -> None:
    bins = confidence_bins(predictions)
    assert [one.count for one in bins] == [
        sum(bin_by_definition(confidence) == number for confidence, _ in predictions) for number in range(BINS)
    ]
    error = 0.0
    for number, one in enumerate(bins):
        members = [each for each in predictions if bin_by_definition(each[0]) == number]
        if members:
            mean = sum(confidence for confidence, _ in members) / len(members)
            right = sum(is_right for _, is_right in members) / len(members)
            assert (one.confidence, one.accuracy) == (pytest.approx(mean), pytest.approx(right))
            error += len(members) / len(predictions) * abs(right - mean)
    assert expected_calibration_error(bins) == pytest.approx(error, abs=1e-12)


def test_confidence_that_means_what_it_says_has_no_error() -> None:
    predictions = [(0.75, number < 75) for number in range(100)]
    assert expected_calibration_error(confidence_bins(predictions)) == 0.0


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=10))
def test_spread_follows_its_definition(values: list[float]) -> None:
    spread = Spread.of(values)
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    squares = sum((value - mean) ** 2 for value in exact)
    assert spread.mean == pytest.approx(float(mean))
    assert spread.deviation**2 == pytest.approx(float(squares / max(1, len(values) - 1)), abs=1e-12)
    assert (spread.lowest, spread.highest) == (min(values), max(values))


@pytest.mark.parametrize(
    ("share", "figure", "percentage"),
    [(1.0, "1.0000", "100.0%"), (0.99999, "0.9999", "99.9%"), (0.25, "0.2500", "25.0%"), (0.0, "0.0000", "0.0%")],
)
def test_what_is_almost_all_is_not_written_as_all(share: float, figure: str, percentage: str) -> None:
    assert (rounded(share), in_percent(share)) == (figure, percentage)
