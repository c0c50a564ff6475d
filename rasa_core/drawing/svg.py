"""Writing of pictures: functions for SVG elements, the drawing that holds them, and files in SVG or PNG.

Lengths are in pixels from the upper left corner; colours are ``#rrggbb``. Later elements cover earlier ones. Only PNG
needs a further package, resvg-py, which is imported when a PNG is written.
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
from rasa_core.support.extras import installing
from rasa_core.support.folders import whole_file

INK: Final = "#1c2733"
FAINT_INK: Final = "#5a6672"
GRID: Final = "#e3e7ec"
PAPER: Final = "#ffffff"
# The first fonts are wide, as `text_width` assumes; every usual system has one of the later fonts.
FONT: Final = (
    "'DejaVu Sans', Verdana, 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'Noto Sans', "
    "'Open Sans', Roboto, Ubuntu, Cantarell, sans-serif"
)
LONGEST_LINE: Final = 46
SCALE: Final = 2.0
"""Pixels of a PNG for each pixel of the drawing; reduced if the PNG would have more than `MOST_PIXELS`."""
MOST_PIXELS: Final = 16_000_000

Point = tuple[float, float]
Value = str | float | None


class DrawingError(RasaCoreError, ValueError):
    """A picture cannot be drawn in the given way, or cannot be written."""


# -- elements


def element(name: str, *content: str, **attributes: Value) -> str:
    """Return an element with content; ``_`` in the name of an attribute becomes ``-``, and None omits the attribute."""
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
        The position of the anchor on the baseline of the text.
    anchor
        The part of the text at that position; None for the default of the drawing, the start of the text.
    angle
        Rotation of the text around that position, in degrees, clockwise.
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
    """Return a rectangle with the tooltip `tip`."""
    return element("rect", title(tip), x=x, y=y, width=width, height=height, fill=fill)


def line(points: Iterable[Point], colour: str = GRID, width: float = 1.0, dashes: str | None = None) -> str:
    """Return straight lines from point to point."""
    ends = " ".join(map(pair, points))
    return element("polyline", points=ends, fill="none", stroke=colour, stroke_width=width, stroke_dasharray=dashes)


def title(tip: str) -> str:
    """Return a ``title`` element, the tooltip of the element that contains it."""
    return element("title", xml(tip)) if tip else ""


def pair(point: Point) -> str:
    """Return a point in the notation of an SVG path."""
    return f"{number(point[0])},{number(point[1])}"


def number(value: float) -> str:
    """Return a length or an angle with up to two decimals, without trailing zeros."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def mix(colour: str, other: str, share: float) -> str:
    """Return a mixture of two colours, with a `share` of `other` from 0 to 1."""
    parts = [(int(colour[place : place + 2], 16), int(other[place : place + 2], 16)) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in parts)


# -- texts


def shorten(text: str, longest: int = LONGEST_LINE) -> str:
    """Return `text` in one line of at most `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def text_width(text: str, size: float) -> float:
    """Return an estimate of the width of a text, rather too large than too small."""
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
    """Return `text` escaped for XML."""
    return escape(clean(text))


def clean(text: str) -> str:
    """Return `text` with replacements for characters that UTF-8 or XML cannot contain."""
    return "".join(character if _is_drawable(ord(character)) else "\ufffd" for character in text)


def _is_drawable(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or (
        code >= 0x20 and not 0x7F <= code < 0xA0 and not 0xD800 <= code < 0xE000 and code not in (0xFFFE, 0xFFFF)
    )


# -- drawings


class Drawing:
    """A picture: elements on a white background; `name` is the title of the picture, `style` its CSS."""

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
        """Return the picture as an SVG element, which can be part of a page or a document of its own."""
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
        # If no font of the list is installed, resvg leaves out all texts without an error.
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
        raise DrawingError(f"a PNG picture needs resvg-py: {installing('plot')}. SVG needs nothing.") from error
    return resvg_py


# -- files


def check_picture_file(path: str | Path, endings: Sequence[str] = (".svg", ".png")) -> str:
    """Return the ending of a picture's name, in lower case.

    Raise `DrawingError` if it is none of `endings`, or a package that it needs is not installed. Call this before any
    slow work.
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

    Raise `DrawingError` if the ending is unknown, a package is missing, or the file cannot be written.
    """
    content = forms[check_picture_file(path, tuple(forms))]()
    try:
        with whole_file(path, permissions=0o666) as file:
            file.buffer.write(content)
    except OSError as error:
        raise DrawingError(
            f"cannot write the picture {str(path)!r}: {error.strerror or error}. Check the folder."
        ) from error


def write_drawing(drawing: Drawing, path: str | Path) -> None:
    """Write a drawing into a file, SVG or PNG; see `write_picture` for the errors."""
    write_picture(path, {".svg": drawing.document, ".png": drawing.png})
