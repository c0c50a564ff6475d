"""Draws charts: confusion matrices, calibration, histograms of confidence, and learning curves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rasa_core.drawing.svg import FAINT_INK, INK, PAPER, Drawing, Point, line, mix, rectangle, shorten, text, text_width
from rasa_core.evaluation import metrics
from rasa_core.evaluation.metrics import LISTENING, ConfidenceBin, LabelScores, Pair, Spread, ratio
from rasa_core.evaluation.tables import in_percent, rounded

RIGHT: Final = "#14508c"
WRONG: Final = "#b3261e"
ACCURATE: Final = "#4f7caa"
TOO_SURE: Final = "#d9776f"
NOT_SURE_ENOUGH: Final = "#e5b567"
COUNTED: Final = "#95aec9"
COLOURS: Final = (RIGHT, "#c25a00", "#2e7d4f", "#7b3fa0", "#8a6d00", WRONG, "#00747a", "#5f6673")
FAINTEST: Final = 0.10
DARK_FROM: Final = 0.55
LONGEST_LABEL: Final = 40
ANGLE: Final = -50.0
MARGIN: Final = 20.0
SIZE: Final = 12.0
BOLD: Final = 1.15
SIDE_COLUMN: Final = 58.0


def _drawing(title: str, below: str, width: float, height: float) -> Drawing:
    """Return a drawing with a title and a line below it; it is wider than `width` if their texts are."""
    needed = max(BOLD * text_width(title, 20.0), text_width(below, SIZE)) + 2 * MARGIN
    drawing = Drawing(title, max(width, needed), height)
    drawing.add(text(MARGIN, MARGIN + 18, title, 20.0, weight="bold"))
    if below:
        drawing.add(text(MARGIN, MARGIN + 40, below, SIZE, fill=FAINT_INK))
    return drawing


@dataclass(frozen=True, slots=True)
class _Panel:
    """A part of a drawing with a coordinate system: x from 0 to 1, y from `lowest` to `highest`."""

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

    def draw_scale(self, drawing: Drawing, steps: int, label: Callable[[float], str] = "{:.0%}".format) -> None:
        for number in range(steps + 1):
            value = self.lowest + (self.highest - self.lowest) * number / steps
            y = self.at(0, value)[1]
            drawing.add(line(((self.left, y), (self.right, y))))
            drawing.add(text(self.left - 8, y + 4, label(value), SIZE - 1, "end", FAINT_INK))

    def draw_bar(self, drawing: Drawing, one: ConfidenceBin, low: float, high: float, fill: str, tip: str) -> None:
        (left, top), right = self.at(one.low, high), self.at(one.high, high)[0]
        drawing.add(rectangle(left + 2, top, right - left - 4, self.at(0, low)[1] - top, fill, tip))

    def draw_counts(self, drawing: Drawing, bins: Sequence[ConfidenceBin], fill: str, tip: str) -> None:
        """Draw a bar for each bin that is as high as its count, with the count above it."""
        for one in bins:
            if one.count:
                told = tip.format(one, count=f"{one.count:,}")
                self.draw_bar(drawing, one, 0, one.count, fill, told)
                x, y = self.at((one.low + one.high) / 2, one.count)
                drawing.add(text(x, y - 4, f"{one.count:,}", SIZE - 2, "middle", FAINT_INK))
        self.name_bins(drawing, bins)

    def name_bins(self, drawing: Drawing, bins: Sequence[ConfidenceBin]) -> None:
        for value in (0.0, *(one.high for one in bins)):
            x = self.at(value, 0)[0]
            drawing.add(text(x, self.bottom + 18, f"{value:.1f}", SIZE - 1, "middle", FAINT_INK))

    def name_axes(self, drawing: Drawing, across: str, up: str = "") -> None:
        drawing.add(text(self.left + self.width / 2, self.bottom + 38, across, SIZE, "middle"))
        if up:
            drawing.add(text(self.left - 52, self.top + self.height / 2, up, SIZE, "middle", angle=-90.0))


# -- the confusion matrix


def confusion_matrix(
    pairs: Sequence[Pair], what: str = "", *, labels: str = "actions", without: Container[str] = LISTENING
) -> Drawing:
    """Draw a confusion matrix, with a row for each expected label and a column for each predicted one.

    A cell counts how often the label of its column was predicted when the label of its row was expected. The deeper
    its colour, the larger its share of the row: blue on the diagonal, where the prediction is right, red elsewhere.

    Parameters
    ----------
    pairs
        Expected and predicted labels.
    what
        The name of the evaluated data, for the line below the title.
    labels
        The kind of the labels, such as intents.
    without
        The labels that the figures in that line leave out.
    """
    rows = metrics.scores_by_label(pairs)
    names = [shorten(one.label, LONGEST_LABEL) for one in rows]
    # Cells get smaller the more there are, but hold four characters.
    side = 38.0 if len(rows) <= 15 else 30.0 if len(rows) <= 30 else 26.0
    longest = max((text_width(name, SIZE) for name in names), default=0.0)
    turned = math.radians(-ANGLE)
    left, top = (
        MARGIN + 22 + max(longest, text_width("precision", SIZE)) + 10,
        MARGIN + 84 + longest * math.sin(turned) + SIZE,
    )
    matrix = _Panel(left, top, side * len(rows), side * len(rows))
    hits = sum(expected == predicted for expected, predicted in pairs)
    title = f"Accuracy {in_percent(metrics.accuracy(pairs))}: {hits:,} of {len(pairs):,} {labels} predicted right"
    f1, share = rounded(metrics.weighted_f1(rows, without)), in_percent(metrics.accuracy(pairs, without))
    figures = f"eighted F1 {f1} and accuracy {share}{' without listening' if without else ''}"
    below = f"{shorten(what, 80)}: w{figures}" if what else f"W{figures}"
    # Names lean to the right, the more the longer they are.
    overhang = max(
        (side * (place + 0.5) + text_width(name, SIZE) * math.cos(turned) for place, name in enumerate(names)),
        default=0.0,
    )
    width = max(matrix.right + 2 * SIDE_COLUMN, matrix.left + overhang, matrix.left + 400) + MARGIN
    drawing = _drawing(title, below, width, matrix.bottom + 78 + MARGIN)
    _draw_cells(drawing, matrix, rows, Counter(pairs))
    _draw_margins(drawing, matrix, rows, names)
    _draw_legend(drawing, matrix.left, matrix.bottom + 44)
    return drawing


def _draw_cells(drawing: Drawing, matrix: _Panel, rows: Sequence[LabelScores], counts: Counter[Pair]) -> None:
    side = matrix.width / max(1, len(rows))
    for place in range(len(rows) + 1):
        x, y = matrix.left + place * side, matrix.top + place * side
        drawing.add(line(((matrix.left, y), (matrix.right, y))), line(((x, matrix.top), (x, matrix.bottom))))
    for row, expected in enumerate(rows):
        for column, predicted in enumerate(rows):
            x, y = matrix.left + column * side, matrix.top + row * side
            count = counts[expected.label, predicted.label]
            if count:
                drawing.add(*_cell(x, y, side, count, expected, predicted.label))
            elif row == column:
                drawing.add(rectangle(x + 1, y + 1, side - 2, side - 2, "#f3f5f8"))


def _cell(x: float, y: float, side: float, count: int, expected: LabelScores, predicted: str) -> tuple[str, str]:
    share = ratio(count, expected.support)
    is_right = expected.label == predicted
    fill = mix(PAPER, RIGHT if is_right else WRONG, FAINTEST + (1 - FAINTEST) * share)
    outcome = "right" if is_right else f"predicted {predicted}"
    tip = f"{expected.label}, {outcome}: {count} of {expected.support} ({in_percent(share)})"
    shown = short_count(count)
    size = min(SIZE, (side - 4) / text_width(shown, 1.0))
    ink = PAPER if share >= DARK_FROM else INK
    number = text(x + side / 2, y + side / 2 + size * 0.36, shown, size, "middle", ink)
    return rectangle(x + 0.5, y + 0.5, side - 1, side - 1, fill, tip), number


def short_count(count: int) -> str:
    """Return a number in at most four characters, below a thousand millions."""
    for least, sign in ((1_000_000, "M"), (1_000, "k")):
        if count >= 10 * least or (least > 1_000 and count >= least):
            return f"{count // least}{sign}"
    return str(count)


def _draw_margins(drawing: Drawing, matrix: _Panel, rows: Sequence[LabelScores], names: Sequence[str]) -> None:
    """Write the names on the left and above, recall and number on the right, and precision below."""
    small, below = SIZE - 1, matrix.bottom + 20
    recalls, counts = (matrix.right + place * SIDE_COLUMN - 6 for place in (1, 2))
    drawing.add(
        text(MARGIN + 12, (matrix.top + matrix.bottom) / 2, "expected", SIZE, "middle", FAINT_INK, -90.0),
        text(matrix.left, MARGIN + 68, "predicted", SIZE, fill=FAINT_INK),
        text(recalls, below, "recall", small, "end", FAINT_INK),
        text(counts, below, "count", small, "end", FAINT_INK),
        text(matrix.left - 10, below, "precision", small, "end", FAINT_INK),
    )
    side = matrix.width / max(1, len(rows))
    for place, (one, name) in enumerate(zip(rows, names, strict=True)):
        x, y = matrix.left + (place + 0.5) * side, matrix.top + (place + 0.5) * side + SIZE * 0.35
        recall = rounded(one.recall, 2) if one.support else "-"
        precision = rounded(one.precision, 2) if one.predicted else "-"
        drawing.add(
            text(matrix.left - 10, y, name, SIZE, "end"),
            text(x + 3, matrix.top - 8, name, SIZE, angle=ANGLE),
            text(recalls, y, recall, small, "end", FAINT_INK),
            text(counts, y, f"{one.support:,}", small, "end", FAINT_INK),
            text(x, below, precision, min(small, (side - 3) / text_width("0.00", 1.0)), "middle", FAINT_INK),
        )


def _draw_legend(drawing: Drawing, x: float, y: float) -> None:
    width, height, steps = 110.0, 10.0, 22
    for colour, name in ((RIGHT, "right"), (WRONG, "wrong")):
        for step in range(steps):
            shade = mix(PAPER, colour, FAINTEST + (1 - FAINTEST) * step / (steps - 1))
            drawing.add(rectangle(x + step * width / steps, y, width / steps + (step < steps - 1), height, shade))
        drawing.add(
            text(x, y + height + 14, "0 %", SIZE - 2, fill=FAINT_INK),
            text(x + width, y + height + 14, "100 %", SIZE - 2, "end", FAINT_INK),
            text(x + width / 2, y + height + 14, name, SIZE - 2, "middle", FAINT_INK),
        )
        x += width + 30
    drawing.add(text(x - 14, y + height - 1, "share of the row", SIZE - 1, fill=FAINT_INK))


# -- charts


def calibration_chart(bins: Sequence[ConfidenceBin], what: str = "") -> Drawing:
    """Draw accuracy against confidence, and below it how often each confidence occurs.

    The upper part of a bar spans the difference between accuracy and mean confidence.
    """
    count = sum(one.count for one in bins)
    below = f"{count:,} predictions, sorted by their confidence"
    below = f"{shorten(what, 44)}: {below}" if what else below
    drawing = _drawing(f"Calibration error {metrics.expected_calibration_error(bins):.4f}", below, 560.0, 692.0)
    key = ((ACCURATE, "right"), (TOO_SURE, "claimed, but not right"), (NOT_SURE_ENOUGH, "right, not claimed"))
    x, y = MARGIN, MARGIN + 62
    for colour, name in key:
        drawing.add(rectangle(x, y - 9, 14, 10, colour), text(x + 20, y, name, SIZE - 1, fill=FAINT_INK))
        x += 40 + text_width(name, SIZE - 1)
    panel = _Panel(MARGIN + 70, MARGIN + 90, 430.0, 330.0)
    panel.draw_scale(drawing, 5)
    for one in bins:
        if one.count:
            tip = f"{one.count:,} predictions, mean confidence {one.confidence:.3f}, accuracy {one.accuracy:.3f}"
            low, high = sorted((one.accuracy, one.confidence))
            shade = TOO_SURE if one.confidence > one.accuracy else NOT_SURE_ENOUGH
            panel.draw_bar(drawing, one, 0, one.accuracy, ACCURATE, tip)
            panel.draw_bar(drawing, one, low, high, shade, tip)
    drawing.add(line((panel.at(0, 0), panel.at(1, 1)), FAINT_INK, 1.5, "5 3"))
    panel.name_bins(drawing, bins)
    panel.name_axes(drawing, "confidence", "accuracy")
    counts = _Panel(panel.left, panel.bottom + 66, panel.width, 110.0, highest=max(1, count))
    counts.draw_scale(drawing, 2, lambda value: f"{value / counts.highest:.0%}")
    counts.draw_counts(drawing, bins, COUNTED, f"{{count}} of {count:,}")
    counts.name_axes(drawing, "confidence", "share")
    return drawing


def confidence_histogram(confidences: Sequence[tuple[float, bool]], what: str = "") -> Drawing:
    """Draw how often each confidence occurs, above where the intent is right, and below where it is wrong.

    The two parts have scales of their own: otherwise the few wrong intents would not be visible.
    """
    below = f"{len(confidences):,} messages, sorted by the confidence in their intent"
    below = f"{shorten(what, 30)}: {below}" if what else below
    drawing = _drawing("How sure of right and of wrong intents", below, 576.0, 556.0)
    for top, is_right, name, colour in ((112.0, True, "right", RIGHT), (338.0, False, "wrong", WRONG)):
        bins = metrics.confidence_bins(pair for pair in confidences if pair[1] == is_right)
        panel = _Panel(MARGIN + 56, top, 460.0, 150.0, highest=max(1, *(one.count for one in bins)))
        total = f"{sum(one.count for one in bins):,}"
        drawing.add(text(panel.left, top - 22, f"{name}: {total}", SIZE))
        drawing.add(line(((panel.left, panel.bottom), (panel.right, panel.bottom))))
        tip = f"{name}, confidence {{0.low:.1f}} to {{0.high:.1f}}: {{count}} of {total}"
        panel.draw_counts(drawing, bins, colour, tip)
    panel.name_axes(drawing, "confidence")
    return drawing


Curves = Mapping[str, Sequence[tuple[float, Spread]]]
"""The name of a configuration, and for each number of training stories the spread of the figure."""


def learning_curves(curves: Curves, title: str, figure: str) -> Drawing:
    """Draw a figure against the number of stories that models were trained on, with one standard deviation."""
    points = [point for curve in curves.values() for point in curve]
    most = max(stories for stories, _ in points)
    low = min(spread.mean - spread.deviation for _, spread in points)
    panel = _Panel(MARGIN + 70, MARGIN + 44, 520.0, 330.0, lowest=max(0.0, min(9, int(low * 10)) / 10))
    names = [shorten(name, 46) for name in curves]
    key = max(text_width(name, SIZE) for name in names) + 40
    drawing = _drawing(title, "", panel.right + 20 + key + MARGIN, panel.bottom + 50 + MARGIN)
    panel.draw_scale(drawing, 5)
    panel.name_axes(drawing, "stories learnt from", figure)
    for stories in sorted({stories for stories, _ in points}):
        x = panel.at(stories / most, panel.lowest)[0]
        drawing.add(line(((x, panel.bottom), (x, panel.bottom + 5)), FAINT_INK))
        drawing.add(text(x, panel.bottom + 18, f"{stories:.0f}", SIZE - 1, "middle", FAINT_INK))
    for number, (name, curve) in enumerate(zip(names, curves.values(), strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        # Where several are the same, the wider ones below show beside the narrow.
        width = 2.0 + 1.5 * min(3, len(curves) - 1 - number)
        placed = [(panel.at(stories / most, spread.mean), spread) for stories, spread in curve]
        _draw_curve(drawing, panel, name, placed, colour, width)
        y = panel.top + 12 + number * 22
        drawing.add(line(((panel.right + 20, y - 4), (panel.right + 44, y - 4)), colour, 2.5))
        drawing.add(text(panel.right + 52, y, name, SIZE))
    return drawing


def _draw_curve(
    drawing: Drawing, panel: _Panel, name: str, points: Sequence[tuple[Point, Spread]], colour: str, width: float
) -> None:
    drawing.add(line(sorted(point for point, _ in points), colour, width))
    for (x, y), spread in points:
        reach = spread.deviation / (panel.highest - panel.lowest) * panel.height
        low, high = min(y + reach, panel.bottom), max(y - reach, panel.top)
        drawing.add(line(((x, high), (x, low)), colour, 1.2))
        drawing.add(*(line(((x - 4, end), (x + 4, end)), colour, 1.2) for end in (high, low)))
        drawing.add(rectangle(x - 3, y - 3, 6, 6, colour, f"{name}: {spread.mean:.4f}"))
