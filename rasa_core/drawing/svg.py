"""The one writer of pictures: elements of SVG as text, the drawing that holds them, and its file, SVG or PNG.

Lengths are in pixels, from the upper left corner; colours are ``#rrggbb``. What comes later covers what came before.
Only PNG needs a further package, resvg-py, which is imported when a PNG is asked for.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

from rasa_core.exceptions import RasaCoreError, did_you_mean
from rasa_core.support.folders import whole_file

INK: Final = "#1c2733"
FAINT_INK: Final = "#5a6672"
GRID: Final = "#e3e7ec"
PAPER: Final = "#ffffff"
# The first ones are wide, as `text_width` supposes; every usual system has one of the others.
FONT: Final = (
    "'DejaVu Sans', Verdana, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'Noto Sans', "
    "'Open Sans', Roboto, Ubuntu, Cantarell, sans-serif"
)
LONGEST_LINE: Final = 46
SCALE: Final = 2.0
"""Pixels of a PNG for each pixel of the drawing; fewer if there would be more than `MOST_PIXELS` in all."""
MOST_PIXELS: Final = 16_000_000

Point = tuple[float, float]
Value = str | float | None


class DrawingError(RasaCoreError, ValueError):
    """A picture cannot be drawn as it was asked for, or cannot be written."""


# -- elements


def element(name: str, *content: str, **attributes: Value) -> str:
    """Return an element with elements in it; ``_`` in the name of an attribute is ``-``, and None leaves it out."""
    given = [
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, str) else number(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inner = "".join(content)
    return f"<{name}{''.join(given)}>{inner}</{name}>" if inner else f"<{name}{''.join(given)}/>"


def text(
    x: float,
    y: float,
    content: str,
    size: float = 12.0,
    anchor: Literal["start", "middle", "end"] | None = None,
    fill: str | None = None,
    angle: float = 0.0,
    weight: str | None = None,
) -> str:
    """Return a line of text.

    Parameters
    ----------
    x, y
        Where its anchor is, on the line on which its letters stand.
    anchor
        What of it is there; None for what holds for the whole drawing, which is its start.
    angle
        How far it is turned around that point, in degrees, clockwise.
    """
    return element(
        "text",
        xml(content),
        x=x,
        y=y,
        font_size=size,
        text_anchor=anchor,
        fill=fill,
        font_weight=weight,
        transform=f"rotate({number(angle)} {number(x)} {number(y)})" if angle else None,
    )


def rectangle(x: float, y: float, width: float, height: float, fill: str | None = None, tip: str = "") -> str:
    """Return a rectangle; `tip` is told where the pointer rests on it."""
    return element("rect", title(tip), x=x, y=y, width=width, height=height, fill=fill)


def line(points: Iterable[Point], colour: str = GRID, width: float = 1.0, dashes: str | None = None) -> str:
    """Return straight lines from point to point."""
    ends = " ".join(map(pair, points))
    return element("polyline", points=ends, fill="none", stroke=colour, stroke_width=width, stroke_dasharray=dashes)


def title(tip: str) -> str:
    """Return what is told where the pointer rests on the element that this is in."""
    return element("title", xml(tip)) if tip else ""


def pair(point: Point) -> str:
    """Return a point as it stands in the path of a line."""
    return f"{number(point[0])},{number(point[1])}"


def number(value: float) -> str:
    """Return a length or an angle with two digits after the point, as far as they say anything."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def mix(colour: str, other: str, share: float) -> str:
    """Return the colour that lies between two, by the `share` of `other`, 0 to 1."""
    parts = [(int(colour[place : place + 2], 16), int(other[place : place + 2], 16)) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in parts)


# -- texts


def shorten(text: str, longest: int = LONGEST_LINE) -> str:
    """Return `text` in one line of at most `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def text_width(text: str, size: float) -> float:
    """Return about how wide a text is; rather too wide than too narrow."""
    return size * sum(map(_character_width, text))


def _character_width(character: str) -> float:
    if character in "iljtfrI.,:;'|!()[] /":
        return 0.4
    if character in "mwMW@%\u2026\u203a":
        return 0.98
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    return 0.72 if character.isupper() else 0.64


def xml(text: str) -> str:
    """Return `text` as it stands in XML."""
    return escape(clean(text))


def clean(text: str) -> str:
    """Return `text` with a replacement for what cannot stand in a file of UTF-8 text, or in XML."""
    return "".join(character if _is_drawable(ord(character)) else "\ufffd" for character in text)


def _is_drawable(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or (
        code >= 0x20 and not 0x7F <= code < 0xA0 and not 0xD800 <= code < 0xE000 and code not in (0xFFFE, 0xFFFF)
    )


# -- drawings


class Drawing:
    """Elements on white paper of some size; `name` is what they show, `style` is CSS for them."""

    def __init__(self, name: str, width: float, height: float, style: str = "") -> None:
        self.name = name
        self.width = width
        self.height = height
        self._elements = [element("style", style)] if style else []
        self.add(rectangle(0, 0, width, height, PAPER))

    def add(self, *elements: str) -> None:
        """Append an element, which is drawn over all earlier ones."""
        self._elements.extend(elements)

    def svg(self) -> str:
        """Return the picture as an element, which can stand in a page, or be a document of its own."""
        size = {"width": self.width, "height": self.height}
        return element(
            "svg",
            "\n".join([title(self.name), *self._elements, ""]),
            xmlns="http://www.w3.org/2000/svg",
            **size,
            viewBox=" ".join(map(number, (0, 0, *size.values()))),
            role="img",
            font_family=FONT,
            fill=INK,
        )

    def document(self) -> bytes:
        """Return the picture as the content of an SVG file."""
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{self.svg()}\n'.encode()

    def png(self) -> bytes:
        """Return the picture as the content of a PNG file; raise `DrawingError` without resvg-py, or any font."""
        resvg = _import_resvg()
        empty, written = (Drawing("", 40, 20) for _ in range(2))
        written.add(text(2, 15, "a"))
        # Where no font of the list is installed, resvg leaves all texts out and says nothing.
        if resvg.svg_to_bytes(svg_string=empty.svg()) == resvg.svg_to_bytes(svg_string=written.svg()):
            raise DrawingError(
                "a PNG picture needs a font, and none of the usual ones is installed: install one, such as DejaVu Sans "
                "(apt-get install fonts-dejavu-core), or draw into a file named .svg."
            )
        scale = min(SCALE, math.sqrt(MOST_PIXELS / (self.width * self.height)))
        return bytes(resvg.svg_to_bytes(svg_string=self.svg(), zoom=scale))


def _import_resvg() -> ModuleType:
    try:
        import resvg_py
    except ImportError as error:
        raise DrawingError("a PNG picture needs resvg-py: pip install resvg-py. SVG needs nothing.") from error
    return resvg_py


# -- files


def check_picture_file(path: str | Path, endings: Sequence[str] = (".svg", ".png")) -> str:
    """Return the ending of a picture's name, in lower case.

    Raise `DrawingError` if it is none of `endings`, or what it needs is not installed: before anything takes time.
    """
    ending = Path(path).suffix.lower()
    if ending not in endings:
        known = f"{', '.join(endings[:-1])} or {endings[-1]}"
        hint = did_you_mean(ending, endings)
        if ending == ".pdf":
            hint = " For a PDF, draw an SVG, and print it from a browser or convert it (rsvg-convert -f pdf)."
        raise DrawingError(f"cannot draw into {str(path)!r}: its name must end in {known}.{hint}")
    if ending == ".png":
        _import_resvg()
    return ending


def write_picture(path: str | Path, forms: Mapping[str, Callable[[], bytes]]) -> None:
    """Write a picture into a file; `forms` makes the content for each ending.

    Raise `DrawingError` if the ending is another, what it needs is not installed, or the file cannot be written.
    """
    content = forms[check_picture_file(path, tuple(forms))]()
    try:
        with whole_file(path, permissions=0o666) as file:
            file.buffer.write(content)
    except OSError as error:
        raise DrawingError(f"cannot write the picture {str(path)!r}: {error.strerror or error}.") from error


def write_drawing(drawing: Drawing, path: str | Path) -> None:
    """Write a drawing into a file, SVG or PNG; see `write_picture` for the errors."""
    write_picture(path, {".svg": drawing.document, ".png": drawing.png})
