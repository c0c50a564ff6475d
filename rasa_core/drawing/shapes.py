"""What a drawing is made of. Lengths are in pixels, from the upper left corner; colours are ``#rrggbb``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

INK: Final = "#1c2733"
FAINT_INK: Final = "#5a6672"
GRID: Final = "#e3e7ec"
PAPER: Final = "#ffffff"

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A filled rectangle; `tip` is shown where the pointer rests on it, if the form of the file can do that."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Straight lines from point to point."""

    points: tuple[Point, ...]
    colour: str = GRID
    width: float = 1.0
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text.

    Attributes
    ----------
    x, y : float
        Where its start, middle or end is, on the line on which its letters stand.
    size : float
        Of the letters.
    anchor : str
        What is at (`x`, `y`).
    angle : float
        How far it is turned around that point, in degrees, clockwise.
    """

    x: float
    y: float
    text: str
    size: float = 12.0
    anchor: Anchor = "start"
    colour: str = INK
    angle: float = 0.0
    is_bold: bool = False


Shape = Rectangle | Line | Text


@dataclass(slots=True)
class Drawing:
    """Shapes on white paper; what comes later covers what came before."""

    title: str
    width: float
    height: float
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Draw over what is there."""
        self.shapes.extend(shapes)


def mix(colour: str, other: str, share: float) -> str:
    """Return the colour that lies between two, by the `share` of `other`, 0 to 1."""
    parts = zip(_parts(colour), _parts(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in parts)


def _parts(colour: str) -> Sequence[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def fractions(colour: str) -> tuple[float, float, float]:
    """Return red, green and blue, each from 0 to 1."""
    red, green, blue = (part / 255 for part in _parts(colour))
    return red, green, blue
