"""Draws which actions a model takes for which: a row for each action that is expected, a column for each prediction.

A cell counts how often the action of its column was predicted where that of its row was expected. The deeper
its colour, the larger its share of the row: blue on the diagonal, where the prediction is right, red elsewhere.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rasa_core.drawing.picture import shorten
from rasa_core.drawing.shapes import FAINT_INK, GRID, INK, PAPER, Drawing, Line, Rectangle, Text, mix
from rasa_core.drawing.svg import text_width
from rasa_core.evaluation.metrics import (
    LISTENING,
    ActionScores,
    Pair,
    accuracy,
    in_percent,
    ratio,
    scores_by_action,
    weighted_f1,
    written,
)

RIGHT: Final = "#14508c"
WRONG: Final = "#b3261e"
FAINTEST: Final = 0.10
LONGEST_LABEL: Final = 40
MARGIN: Final = 20.0
ANGLE: Final = -50.0
SIZE: Final = 12.0
SIDE_COLUMN: Final = 58.0
DARK_FROM: Final = 0.55


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the cells are: `left` and `top` of the first, their `side`, and the scores of each row."""

    left: float
    top: float
    side: float
    actions: Sequence[ActionScores]

    @property
    def right(self) -> float:
        return self.left + self.side * len(self.actions)

    @property
    def bottom(self) -> float:
        return self.top + self.side * len(self.actions)


def confusion_matrix(pairs: Sequence[Pair], what: str = "") -> Drawing:
    """Draw the matrix of the actions that are expected or predicted.

    Parameters
    ----------
    pairs
        Expected and predicted actions.
    what
        What was evaluated, for the line below the title.
    """
    actions = scores_by_action(pairs)
    labels = [shorten(one.action, LONGEST_LABEL) for one in actions]
    side = 38.0 if len(actions) <= 15 else 30.0 if len(actions) <= 30 else 26.0
    longest = max((text_width(label, SIZE) for label in labels), default=0.0)
    turned = math.radians(-ANGLE)
    frame = _Frame(MARGIN + 22 + longest + 10, MARGIN + 84 + longest * math.sin(turned) + SIZE, side, actions)
    title, below = _headlines(pairs, actions, what)
    # Labels lean to the right, the more the longer they are.
    overhang = max(
        (side * (place + 0.5) + text_width(label, SIZE) * math.cos(turned) for place, label in enumerate(labels)),
        default=0.0,
    )
    needed = (
        frame.right + 2 * SIDE_COLUMN,
        frame.left + overhang,
        frame.left + 400,
        *(MARGIN + text_width(*line) for line in ((title, 20.0), (below, SIZE))),
    )
    drawing = Drawing(title, max(needed) + MARGIN, frame.bottom + 78 + MARGIN)
    drawing.add(Text(MARGIN, MARGIN + 18, title, 20.0, is_bold=True))
    drawing.add(Text(MARGIN, MARGIN + 40, below, SIZE, colour=FAINT_INK))
    _draw_labels(drawing, frame, labels)
    _draw_cells(drawing, frame, Counter(pairs))
    _draw_margins(drawing, frame)
    _draw_legend(drawing, frame)
    return drawing


def _headlines(pairs: Sequence[Pair], actions: Sequence[ActionScores], what: str) -> tuple[str, str]:
    hits = sum(expected == predicted for expected, predicted in pairs)
    acting = in_percent(accuracy(pairs, LISTENING))
    figures = f"weighted F1 {written(weighted_f1(actions))} and accuracy {acting} without listening"
    title = f"Accuracy {in_percent(accuracy(pairs))}: {hits:,} of {len(pairs):,} actions predicted right"
    return title, f"{shorten(what, 80)}: {figures}" if what else figures[:1].upper() + figures[1:]


def _draw_labels(drawing: Drawing, frame: _Frame, labels: Sequence[str]) -> None:
    middle = (frame.top + frame.bottom) / 2
    drawing.add(Text(MARGIN + 12, middle, "expected", SIZE, "middle", FAINT_INK, -90.0))
    drawing.add(Text(frame.left, MARGIN + 68, "predicted", SIZE, "start", FAINT_INK))
    for place, label in enumerate(labels):
        centre = (place + 0.5) * frame.side
        drawing.add(Text(frame.left - 10, frame.top + centre + SIZE * 0.35, label, SIZE, "end"))
        drawing.add(Text(frame.left + centre + 3, frame.top - 8, label, SIZE, "start", INK, ANGLE))


def _draw_cells(drawing: Drawing, frame: _Frame, counts: Counter[Pair]) -> None:
    side = frame.side
    for place in range(len(frame.actions) + 1):
        x, y = frame.left + place * side, frame.top + place * side
        drawing.add(Line(((frame.left, y), (frame.right, y)), GRID), Line(((x, frame.top), (x, frame.bottom)), GRID))
    for row, expected in enumerate(frame.actions):
        for column, predicted in enumerate(frame.actions):
            x, y = frame.left + column * side, frame.top + row * side
            count = counts[expected.action, predicted.action]
            if count:
                _draw_cell(drawing, (x, y, side), count, expected, predicted.action)
            elif row == column:
                drawing.add(Rectangle(x + 1, y + 1, side - 2, side - 2, "#f3f5f8"))


def _draw_cell(
    drawing: Drawing, square: tuple[float, float, float], count: int, expected: ActionScores, predicted: str
) -> None:
    x, y, side = square
    share = ratio(count, expected.support)
    colour = RIGHT if expected.action == predicted else WRONG
    fill = mix(PAPER, colour, FAINTEST + (1 - FAINTEST) * share)
    outcome = "right" if expected.action == predicted else f"predicted {predicted}"
    tip = f"{expected.action}, {outcome}: {count} of {expected.support} ({in_percent(share)})"
    drawing.add(Rectangle(x + 0.5, y + 0.5, side - 1, side - 1, fill, tip))
    number = short_count(count)
    size = min(SIZE, (side - 4) / text_width(number, 1.0))
    ink = PAPER if share >= DARK_FROM else INK
    drawing.add(Text(x + side / 2, y + side / 2 + size * 0.36, number, size, "middle", ink))


def short_count(count: int) -> str:
    """Return a number in at most four characters, below a thousand millions."""
    for least, sign in ((1_000_000, "M"), (1_000, "k")):
        if count >= 10 * least or (least > 1_000 and count >= least):
            return f"{count // least}{sign}"
    return str(count)


def _draw_margins(drawing: Drawing, frame: _Frame) -> None:
    for place, heading in enumerate(("recall", "count")):
        x = frame.right + (place + 1) * SIDE_COLUMN - 6
        drawing.add(Text(x, frame.bottom + 20, heading, SIZE - 1, "end", FAINT_INK))
    drawing.add(Text(frame.left - 10, frame.bottom + 20, "precision", SIZE - 1, "end", FAINT_INK))
    for place, one in enumerate(frame.actions):
        centre = (place + 0.5) * frame.side
        y = frame.top + centre + SIZE * 0.35
        x = frame.left + centre
        recall = written(one.recall, 2) if one.support else "-"
        drawing.add(Text(frame.right + SIDE_COLUMN - 6, y, recall, SIZE - 1, "end", FAINT_INK))
        drawing.add(Text(frame.right + 2 * SIDE_COLUMN - 6, y, f"{one.support:,}", SIZE - 1, "end", FAINT_INK))
        precision = written(one.precision, 2) if one.predicted else "-"
        size = min(SIZE - 1, (frame.side - 3) / text_width("0.00", 1.0))
        drawing.add(Text(x, frame.bottom + 20, precision, size, "middle", FAINT_INK))


def _draw_legend(drawing: Drawing, frame: _Frame) -> None:
    width, height = 110.0, 10.0
    steps = 22
    x, y = frame.left, frame.bottom + 44
    for colour, name in ((RIGHT, "right"), (WRONG, "wrong")):
        for step in range(steps):
            shade = mix(PAPER, colour, FAINTEST + (1 - FAINTEST) * step / (steps - 1))
            drawing.add(Rectangle(x + step * width / steps, y, width / steps + (step < steps - 1), height, shade))
        drawing.add(Text(x, y + height + 14, "0 %", SIZE - 2, "start", FAINT_INK))
        drawing.add(Text(x + width, y + height + 14, "100 %", SIZE - 2, "end", FAINT_INK))
        drawing.add(Text(x + width / 2, y + height + 14, name, SIZE - 2, "middle", FAINT_INK))
        x += width + 30
    drawing.add(Text(x - 14, y + height - 1, "share of the row", SIZE - 1, "start", FAINT_INK))
