"""Charts of an evaluation."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter

import pytest

from rasa_core.drawing.svg import Drawing, text_width
from rasa_core.evaluation.charts import calibration_chart, confusion_matrix, learning_curves, short_count
from rasa_core.evaluation.metrics import Pair, Spread, confidence_bins

PAIRS: list[Pair] = [
    *[("utter_a", "utter_a")] * 7,
    *[("utter_a", "utter_<b>")] * 3,
    *[("utter_<b>", "utter_<b>")] * 12345,
    ("action_listen", "action_listen"),
]
SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing: Drawing) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawing.svg()).iter(f"{SVG}text")]


def test_cells_hold_counts_and_only_actions_that_occur_have_a_row() -> None:
    found = Counter(texts(confusion_matrix(PAIRS)))
    assert (found["7"], found["3"], found["12k"], found["1"]) == (1, 1, 1, 2)
    assert (found["utter_a"], found["utter_<b>"], found["action_listen"]) == (2, 2, 2)


def test_the_title_tells_the_accuracy() -> None:
    assert confusion_matrix(PAIRS[:10]).name == "Accuracy 70.0%: 7 of 10 actions predicted right"


def test_cells_tell_more_where_the_pointer_rests() -> None:
    tips = [element.text for element in ET.fromstring(confusion_matrix(PAIRS).svg()).iter(f"{SVG}title")]
    assert "utter_a, predicted utter_<b>: 3 of 10 (30.0%)" in tips
    assert "utter_a, right: 7 of 10 (70.0%)" in tips


@pytest.mark.parametrize(
    ("name", "count"),
    [("a{}", 2), ("utter_an_action_with_a_rather_long_name_{}", 2), ("utter_{}", 40), ("utter_{}", 90)],
)
def test_everything_lies_inside_the_picture(name: str, count: int) -> None:
    names = [name.format(number) for number in range(count)]
    drawing = confusion_matrix([(name, name) for name in names])
    for element in ET.fromstring(drawing.svg()).iter(f"{SVG}text"):
        given = element.attrib
        size, is_bold = float(given["font-size"]), "font-weight" in given
        length = text_width(element.text or "", size) * (1.15 if is_bold else 1.0)
        turned = math.radians(float(given.get("transform", "rotate(0 ").removeprefix("rotate(").split()[0]))
        behind = {"start": 0.0, "middle": 0.5, "end": 1.0}[given.get("text-anchor", "start")]
        for reach in (-behind * length, (1 - behind) * length):
            assert 0 <= float(given["x"]) + reach * math.cos(turned) <= drawing.width
            assert 0 <= float(given["y"]) + reach * math.sin(turned) <= drawing.height


def test_the_same_predictions_give_the_same_bytes_in_any_order() -> None:
    assert confusion_matrix(PAIRS).document() == confusion_matrix(PAIRS[::-1]).document()


def test_nothing_predicted_is_drawn_too() -> None:
    assert "Accuracy 0.0%" in confusion_matrix([]).name
    assert texts(calibration_chart(confidence_bins([])))[0] == "Calibration error 0.0000"


@pytest.mark.parametrize(
    ("count", "written"), [(0, "0"), (9999, "9999"), (10_000, "10k"), (999_999, "999k"), (1_500_000, "1M")]
)
def test_large_counts_are_shortened(count: int, written: str) -> None:
    assert short_count(count) == written


def test_the_calibration_chart_has_its_bins_and_counts() -> None:
    found = texts(calibration_chart(confidence_bins([(0.95, True)] * 3 + [(0.95, False), (0.25, False)]), "stories.md"))
    assert found[0] == "Calibration error 0.2100"
    assert "stories.md: 5 predictions, sorted by their confidence" in found
    assert {"4", "1"} <= set(found)


def test_learning_curves_name_their_configurations_and_numbers_of_stories() -> None:
    curve = [(30, Spread.of([0.8, 0.9])), (60, Spread.of([0.95, 0.95]))]
    found = texts(learning_curves({"models/one": curve}, "Title", "accuracy"))
    assert {"models/one", "30", "60", "Title", "accuracy", "100%"} <= set(found)
