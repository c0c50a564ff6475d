"""Pictures of an evaluation, and the files that they are written into."""

from __future__ import annotations

import math
import re
import struct
import sys
import xml.etree.ElementTree as ET
import zlib
from collections import Counter
from pathlib import Path

import pytest

from rasa_core.drawing.files import as_svg, write_drawing
from rasa_core.drawing.pdf import as_pdf
from rasa_core.drawing.shapes import Drawing, Text, fractions, mix
from rasa_core.drawing.svg import text_width
from rasa_core.evaluation.calibration import confidence_bins
from rasa_core.evaluation.charts import Curve, calibration_chart, learning_curves
from rasa_core.evaluation.confusion import confusion_matrix, short_count
from rasa_core.evaluation.metrics import Pair, Spread
from rasa_core.exceptions import RasaCoreError

PAIRS: list[Pair] = [
    *[("utter_a", "utter_a")] * 7,
    *[("utter_a", "utter_<b>")] * 3,
    *[("utter_<b>", "utter_<b>")] * 12345,
    ("action_listen", "action_listen"),
]
SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing: Drawing) -> list[str]:
    return [element.text or "" for element in ET.fromstring(as_svg(drawing)).iter(f"{SVG}text")]


def test_cells_hold_counts_and_only_actions_that_occur_have_a_row() -> None:
    found = Counter(texts(confusion_matrix(PAIRS)))
    assert (found["7"], found["3"], found["12k"], found["1"]) == (1, 1, 1, 2)
    assert (found["utter_a"], found["utter_<b>"], found["action_listen"]) == (2, 2, 2)


def test_the_title_tells_the_accuracy() -> None:
    assert confusion_matrix(PAIRS[:10]).title == "Accuracy 70.0%: 7 of 10 actions predicted right"


def test_cells_tell_more_where_the_pointer_rests() -> None:
    tips = [element.text for element in ET.fromstring(as_svg(confusion_matrix(PAIRS))).iter(f"{SVG}title")]
    assert "utter_a, predicted utter_<b>: 3 of 10 (30.0%)" in tips
    assert "utter_a, right: 7 of 10 (70.0%)" in tips


@pytest.mark.parametrize("count", [2, 40, 90])
def test_everything_lies_inside_the_picture(count: int) -> None:
    names = [f"utter_an_action_with_a_rather_long_name_{number}" for number in range(count)]
    drawing = confusion_matrix([(name, name) for name in names])
    for shape in drawing.shapes:
        if isinstance(shape, Text):
            length = text_width(shape.text, shape.size) * {"start": 1, "middle": 0.5, "end": -1}[shape.anchor]
            turned = math.radians(shape.angle)
            for reach in (0.0, length):
                assert 0 <= shape.x + reach * math.cos(turned) <= drawing.width
                assert 0 <= shape.y + reach * math.sin(turned) <= drawing.height


def test_the_same_predictions_give_the_same_bytes_in_any_order() -> None:
    assert as_svg(confusion_matrix(PAIRS)) == as_svg(confusion_matrix(PAIRS[::-1]))


def test_nothing_predicted_is_drawn_too() -> None:
    assert "Accuracy 0.0%" in confusion_matrix([]).title
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
    curve = Curve("models/one", ((30, Spread.of([0.8, 0.9])), (60, Spread.of([0.95, 0.95]))))
    found = texts(learning_curves([curve], "Title", "accuracy"))
    assert {"models/one", "30", "60", "Title", "accuracy", "100%"} <= set(found)


def test_a_pdf_has_a_table_of_its_objects_and_a_page_with_the_text() -> None:
    written = as_pdf(confusion_matrix([("utter_(a)", "utter_(a)")]))
    start = int(written.rpartition(b"startxref\n")[2].split()[0])
    places = re.findall(rb"(\d{10}) 00000 n ", written[start:])
    assert len(places) == 6
    for number, place in enumerate(places, 1):
        assert written[int(place) :].startswith(b"%d 0 obj\n" % number)
    content = zlib.decompress(re.search(rb"stream\n(.*)\nendstream", written, re.DOTALL)[1])  # type: ignore[index]
    assert rb"(utter_\(a\)) Tj" in content


def test_png_without_pillow_is_an_error_that_tells_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIL", "PIL.Image", "PIL.ImageDraw", "PIL.ImageFont"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(RasaCoreError, match=r"rasa-core\[plot\]'\. SVG and PDF need nothing"):
        write_drawing(confusion_matrix(PAIRS), tmp_path / "picture.png")
    assert not (tmp_path / "picture.png").exists()


def test_a_png_has_twice_the_pixels_of_the_drawing(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    drawing = confusion_matrix(PAIRS)
    write_drawing(drawing, tmp_path / "picture.png")
    written = (tmp_path / "picture.png").read_bytes()
    assert written.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", written[16:24])
    assert abs(width - 2 * drawing.width) < 2
    assert abs(height - 2 * drawing.height) < 2


def test_another_ending_is_an_error_that_names_those_that_can_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(RasaCoreError, match=r"must end in \.svg, \.pdf or \.png\. Did you mean '\.svg'\?"):
        write_drawing(confusion_matrix(PAIRS), tmp_path / "picture.sv")


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RasaCoreError, match=r"cannot write the picture .*picture\.svg"):
        write_drawing(confusion_matrix(PAIRS), tmp_path / "nowhere" / "picture.svg")


def test_colours_mix() -> None:
    assert mix("#ffffff", "#000000", 0.0) == "#ffffff"
    assert mix("#ffffff", "#0000ff", 1.0) == "#0000ff"
    assert fractions("#ff0000") == (1.0, 0.0, 0.0)
