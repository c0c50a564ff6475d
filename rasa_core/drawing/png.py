"""Writes a drawing as PNG, with Pillow, which is imported only for that."""

from __future__ import annotations

import importlib
import io
import math
from typing import Any, Final

from rasa_core.drawing.shapes import PAPER, Drawing, Line, Rectangle, Text
from rasa_core.exceptions import RasaCoreError

SCALE: Final = 2
"""Pixels of the file for each pixel of the drawing."""
_ANCHORS: Final = {"start": "ls", "middle": "ms", "end": "rs"}
_DASH: Final = 8.0


def import_pillow() -> tuple[Any, Any, Any]:
    """Return the modules of Pillow that draw.

    Raises
    ------
    RasaCoreError
        If Pillow is not installed.
    """
    try:
        return tuple(importlib.import_module(f"PIL.{name}") for name in ("Image", "ImageDraw", "ImageFont"))  # type: ignore[return-value]
    except ImportError as error:
        raise RasaCoreError(
            "a PNG picture needs Pillow 10.1 or newer: pip install 'rasa-core[plot]'. SVG and PDF need nothing."
        ) from error


def as_png(drawing: Drawing) -> bytes:
    """Return a PNG image.

    Raises
    ------
    RasaCoreError
        If Pillow is not installed.
    """
    return _Painter(drawing).paint()


class _Painter:
    def __init__(self, drawing: Drawing) -> None:
        self._image_module, draw_module, self._font_module = import_pillow()
        self._drawing = drawing
        size = (math.ceil(drawing.width * SCALE), math.ceil(drawing.height * SCALE))
        self._image = self._image_module.new("RGB", size, PAPER)
        self._draw = draw_module.Draw(self._image)
        self._draw_module = draw_module
        self._fonts: dict[float, Any] = {}

    def paint(self) -> bytes:
        for shape in self._drawing.shapes:
            if isinstance(shape, Rectangle):
                self._rectangle(shape)
            elif isinstance(shape, Line):
                self._line(shape)
            else:
                self._text(shape)
        written = io.BytesIO()
        self._image.save(written, "PNG", optimize=True)
        return written.getvalue()

    def _rectangle(self, shape: Rectangle) -> None:
        left, top = round(shape.x * SCALE), round(shape.y * SCALE)
        right, bottom = round((shape.x + shape.width) * SCALE) - 1, round((shape.y + shape.height) * SCALE) - 1
        if right >= left and bottom >= top:
            self._draw.rectangle((left, top, right, bottom), fill=shape.fill)

    def _line(self, shape: Line) -> None:
        width = max(1, round(shape.width * SCALE))
        for start, end in zip(shape.points, shape.points[1:], strict=False):
            parts = _dashes(start, end) if shape.is_dashed else [(start, end)]
            for one, other in parts:
                ends = [tuple(round(place * SCALE) for place in point) for point in (one, other)]
                self._draw.line(ends, fill=shape.colour, width=width)

    def _text(self, shape: Text) -> None:
        text = shape.text.replace("…", "...")  # The font that comes with Pillow has no such character.
        font = self._font(shape.size)
        stroke = {"stroke_width": 0.5, "stroke_fill": shape.colour} if shape.is_bold else {}
        place = (shape.x * SCALE, shape.y * SCALE)
        if not shape.angle:
            self._draw.text(place, text, fill=shape.colour, font=font, anchor=_ANCHORS[shape.anchor], **stroke)
            return
        # Pillow cannot write at an angle: the text is written on a mask of its own, which is turned.
        reach = math.ceil(font.getlength(text)) + 2 * math.ceil(shape.size * SCALE)
        mask = self._image_module.new("L", (2 * reach, 2 * reach), 0)
        self._draw_module.Draw(mask).text((reach, reach), text, fill=255, font=font, anchor=_ANCHORS[shape.anchor])
        turned = mask.rotate(-shape.angle, resample=self._image_module.Resampling.BICUBIC)
        self._image.paste(shape.colour, (round(place[0]) - reach, round(place[1]) - reach), turned)

    def _font(self, size: float) -> Any:
        if size not in self._fonts:
            self._fonts[size] = self._font_module.load_default(size * SCALE)
        return self._fonts[size]


def _dashes(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[Any, Any]]:
    length = math.dist(start, end)
    count = max(1, round(length / _DASH))

    def at(share: float) -> tuple[float, float]:
        return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share

    return [(at(number / count), at((number + 0.6) / count)) for number in range(count)]
