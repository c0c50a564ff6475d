"""Writes drawings into files: SVG, PDF or PNG, as the ending of the name says. Only PNG needs a further package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Final

from rasa_core.drawing.pdf import as_pdf
from rasa_core.drawing.picture import clean
from rasa_core.drawing.png import as_png, import_pillow
from rasa_core.drawing.shapes import PAPER, Drawing, Line, Rectangle, Shape, Text
from rasa_core.drawing.svg import FONT
from rasa_core.exceptions import RasaCoreError, did_you_mean


def as_svg(drawing: Drawing) -> bytes:
    """Return an SVG document."""
    width, height = _number(drawing.width), _number(drawing.height)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="{FONT}">',
        f"<title>{_xml(drawing.title)}</title>",
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        *map(_element, drawing.shapes),
        "</svg>",
        "",
    ]
    return "\n".join(lines).encode()


def _element(shape: Shape) -> str:
    if isinstance(shape, Rectangle):
        names = ("x", "y", "width", "height")
        place = " ".join(f'{name}="{_number(getattr(shape, name))}"' for name in names)
        tip = f"<title>{_xml(shape.tip)}</title>" if shape.tip else ""
        return f'<rect {place} fill="{shape.fill}">{tip}</rect>'
    if isinstance(shape, Line):
        points = " ".join(f"{_number(x)},{_number(y)}" for x, y in shape.points)
        dashes = ' stroke-dasharray="5 3"' if shape.is_dashed else ""
        return (
            f'<polyline points="{points}" fill="none" stroke="{shape.colour}" '
            f'stroke-width="{_number(shape.width)}"{dashes}/>'
        )
    return _text_element(shape)


def _text_element(shape: Text) -> str:
    x, y = _number(shape.x), _number(shape.y)
    turned = f' transform="rotate({_number(shape.angle)} {x} {y})"' if shape.angle else ""
    bold = ' font-weight="bold"' if shape.is_bold else ""
    look = f'font-size="{_number(shape.size)}" text-anchor="{shape.anchor}" fill="{shape.colour}"'
    # Pointers go through it, so that what lies below can tell more.
    return f'<text x="{x}" y="{y}" {look}{bold}{turned} pointer-events="none">{_xml(shape.text)}</text>'


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _xml(text: str) -> str:
    return escape(clean(text))


_WRITERS: Final[Mapping[str, Callable[[Drawing], bytes]]] = {".svg": as_svg, ".pdf": as_pdf, ".png": as_png}
ENDINGS: Final = tuple(_WRITERS)


def check_drawing_file(path: str | Path) -> None:
    """Find out early whether something can be drawn into a file of this name.

    Raises
    ------
    RasaCoreError
        If its ending is another, or what that needs is not installed.
    """
    ending = Path(path).suffix.lower()
    if ending not in _WRITERS:
        known = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        near = did_you_mean(ending, ENDINGS)
        raise RasaCoreError(f"cannot draw into {str(path)!r}: its name must end in {known}.{near}")
    if ending == ".png":
        import_pillow()


def write_drawing(drawing: Drawing, path: str | Path) -> None:
    """Write a drawing into a file.

    Raises
    ------
    RasaCoreError
        If the ending of its name is another, what that needs is not installed, or it cannot be written.
    """
    check_drawing_file(path)
    content = _WRITERS[Path(path).suffix.lower()](drawing)
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise RasaCoreError(f"cannot write the picture {str(path)!r}: {error.strerror or error}.") from error
