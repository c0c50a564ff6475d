"""Draws figures as charts: how far confidence can be trusted, and how models learn from more and more stories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rasa_core.drawing.picture import shorten
from rasa_core.drawing.shapes import FAINT_INK, GRID, INK, Drawing, Line, Point, Rectangle, Text
from rasa_core.drawing.svg import text_width
from rasa_core.evaluation.calibration import ConfidenceBin, expected_calibration_error
from rasa_core.evaluation.metrics import Spread

TOO_SURE: Final = "#d9776f"
NOT_SURE_ENOUGH: Final = "#e5b567"
RIGHT: Final = "#4f7caa"
COLOURS: Final = ("#14508c", "#c25a00", "#2e7d4f", "#7b3fa0", "#8a6d00", "#b3261e", "#00747a", "#5f6673")
MARGIN: Final = 20.0
SIZE: Final = 12.0


@dataclass(frozen=True, slots=True)
class _Panel:
    """A part of a drawing in which values are at places: x from 0 to 1, y from `lowest` to `highest`."""

    left: float
    top: float
    width: float
    height: float
    lowest: float = 0.0
    highest: float = 1.0

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def right(self) -> float:
        return self.left + self.width

    def at(self, x: float, y: float) -> Point:
        share = (y - self.lowest) / (self.highest - self.lowest)
        return self.left + x * self.width, self.bottom - share * self.height

    def draw_scale(self, drawing: Drawing, steps: int, written: Callable[[float], str]) -> None:
        for number in range(steps + 1):
            value = self.lowest + (self.highest - self.lowest) * number / steps
            y = self.at(0, value)[1]
            drawing.add(Line(((self.left, y), (self.right, y)), GRID))
            drawing.add(Text(self.left - 8, y + 4, written(value), SIZE - 1, "end", FAINT_INK))

    def name_axes(self, drawing: Drawing, across: str, up: str) -> None:
        middle = self.left + self.width / 2
        drawing.add(Text(middle, self.bottom + 38, across, SIZE, "middle"))
        drawing.add(Text(self.left - 52, self.top + self.height / 2, up, SIZE, "middle", INK, -90.0))


def _share(value: float) -> str:
    return f"{value:.0%}"


def calibration_chart(bins: Sequence[ConfidenceBin], what: str = "") -> Drawing:
    """Draw accuracy against confidence, and below it how often each confidence occurs.

    The ends of the upper part of a bar are accuracy and mean confidence: without that part, both are the same.
    """
    title = f"Calibration error {expected_calibration_error(bins):.4f}"
    drawing = Drawing(title, 560.0, 692.0)
    drawing.add(Text(MARGIN, MARGIN + 18, title, 20.0, is_bold=True))
    count = sum(one.count for one in bins)
    below = f"{count:,} predictions, sorted by their confidence"
    drawing.add(Text(MARGIN, MARGIN + 40, f"{shorten(what, 44)}: {below}" if what else below, SIZE, colour=FAINT_INK))
    _draw_key(drawing, MARGIN + 62)
    above = _Panel(MARGIN + 70, MARGIN + 90, 430.0, 330.0)
    above.draw_scale(drawing, 5, _share)
    for one in bins:
        _draw_accuracy(drawing, above, one)
    drawing.add(Line((above.at(0, 0), above.at(1, 1)), FAINT_INK, 1.5, is_dashed=True))
    _name_bins(drawing, above, bins)
    above.name_axes(drawing, "confidence", "accuracy")
    _draw_counts(drawing, _Panel(above.left, above.bottom + 66, above.width, 110.0), bins, count)
    return drawing


def _draw_key(drawing: Drawing, y: float) -> None:
    x = MARGIN
    for colour, name in (
        (RIGHT, "right"),
        (TOO_SURE, "claimed, but not right"),
        (NOT_SURE_ENOUGH, "right, not claimed"),
    ):
        drawing.add(Rectangle(x, y - 9, 14, 10, colour), Text(x + 20, y, name, SIZE - 1, colour=FAINT_INK))
        x += 40 + text_width(name, SIZE - 1)


def _draw_accuracy(drawing: Drawing, panel: _Panel, one: ConfidenceBin) -> None:
    if not one.count:
        return
    tip = f"{one.count:,} predictions, mean confidence {one.confidence:.3f}, accuracy {one.accuracy:.3f}"
    left, base = panel.at(one.low, 0)
    width = panel.at(one.high, 0)[0] - left
    accurate, confident = panel.at(0, one.accuracy)[1], panel.at(0, one.confidence)[1]
    drawing.add(Rectangle(left + 2, accurate, width - 4, base - accurate, RIGHT, tip))
    higher, lower = min(accurate, confident), max(accurate, confident)
    shade = TOO_SURE if confident < accurate else NOT_SURE_ENOUGH
    drawing.add(Rectangle(left + 2, higher, width - 4, lower - higher, shade, tip))


def _name_bins(drawing: Drawing, panel: _Panel, bins: Sequence[ConfidenceBin]) -> None:
    for value in (0.0, *(one.high for one in bins)):
        drawing.add(Text(panel.at(value, 0)[0], panel.bottom + 18, f"{value:.1f}", SIZE - 1, "middle", FAINT_INK))


def _draw_counts(drawing: Drawing, panel: _Panel, bins: Sequence[ConfidenceBin], count: int) -> None:
    panel.draw_scale(drawing, 2, _share)
    for one in bins:
        share = one.count / count if count else 0.0
        left, y = panel.at(one.low, share)
        width = panel.at(one.high, 0)[0] - left
        tip = f"{one.count:,} of {count:,} ({share:.1%})"
        drawing.add(Rectangle(left + 2, y, width - 4, panel.bottom - y, "#95aec9", tip))
        if one.count:
            drawing.add(Text(left + width / 2, y - 4, f"{one.count:,}", SIZE - 2, "middle", FAINT_INK))
    _name_bins(drawing, panel, bins)
    panel.name_axes(drawing, "confidence", "share")


@dataclass(frozen=True, slots=True)
class Curve:
    """The figures of one configuration: for each number of stories that it was trained on, their spread."""

    name: str
    points: tuple[tuple[float, Spread], ...]


def learning_curves(curves: Sequence[Curve], title: str, figure: str) -> Drawing:
    """Draw a figure against the number of stories that models were trained on, with one standard deviation."""
    most = max(stories for curve in curves for stories, _ in curve.points)
    low = min(spread.mean - spread.deviation for curve in curves for _, spread in curve.points)
    panel = _Panel(MARGIN + 70, MARGIN + 44, 520.0, 330.0, lowest=max(0.0, min(9, int(low * 10)) / 10))
    names = [shorten(curve.name, 46) for curve in curves]
    key = max(text_width(name, SIZE) for name in names) + 40
    drawing = Drawing(title, panel.right + 20 + key + MARGIN, panel.bottom + 50 + MARGIN)
    drawing.add(Text(MARGIN, MARGIN + 18, title, 20.0, is_bold=True))
    panel.draw_scale(drawing, 5, _share)
    panel.name_axes(drawing, "stories learnt from", figure)
    for stories in sorted({stories for curve in curves for stories, _ in curve.points}):
        x = panel.at(stories / most, panel.lowest)[0]
        drawing.add(Line(((x, panel.bottom), (x, panel.bottom + 5)), FAINT_INK))
        drawing.add(Text(x, panel.bottom + 18, f"{stories:.0f}", SIZE - 1, "middle", FAINT_INK))
    for number, (curve, name) in enumerate(zip(curves, names, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        _draw_curve(drawing, panel, curve, colour, most, 2.0 + 1.5 * min(3, len(curves) - 1 - number))
        y = panel.top + 12 + number * 22
        drawing.add(Line(((panel.right + 20, y - 4), (panel.right + 44, y - 4)), colour, 2.5))
        drawing.add(Text(panel.right + 52, y, name, SIZE))
    return drawing


def _draw_curve(drawing: Drawing, panel: _Panel, curve: Curve, colour: str, most: float, width: float) -> None:
    """Draw one curve; where several are the same, the wider ones below show beside the narrow."""
    points = [(panel.at(stories / most, spread.mean), spread) for stories, spread in sorted(curve.points)]
    drawing.add(Line(tuple(point for point, _ in points), colour, width))
    for (x, y), spread in points:
        reach = spread.deviation / (panel.highest - panel.lowest) * panel.height
        low, high = min(y + reach, panel.bottom), max(y - reach, panel.top)
        drawing.add(Line(((x, high), (x, low)), colour, 1.2))
        drawing.add(*(Line(((x - 4, end), (x + 4, end)), colour, 1.2) for end in (high, low)))
        drawing.add(Rectangle(x - 3, y - 3, 6, 6, colour, f"{curve.name}: {spread.mean:.4f}"))
