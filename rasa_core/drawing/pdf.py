"""Writes a drawing as PDF: one page, set in Helvetica, which every reader has."""

from __future__ import annotations

import math
import zlib
from typing import Final

from rasa_core.drawing.shapes import Drawing, Line, Rectangle, Shape, Text, fractions

POINTS_PER_PIXEL: Final = 0.75

# Advance widths of Helvetica for the characters 32 to 126, in thousandths of the size (Adobe Font Metrics).
_WIDTHS: Final = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)
_OTHER_WIDTH: Final = 600
_START: Final = {"start": 0.0, "middle": 0.5, "end": 1.0}


def as_pdf(drawing: Drawing) -> bytes:
    """Return a PDF document; characters that its encoding, Windows-1252, lacks are question marks."""
    size = [drawing.width * POINTS_PER_PIXEL, drawing.height * POINTS_PER_PIXEL]
    # From here on y points down and lengths are pixels; the letters of texts are turned upright again.
    commands = [f"{POINTS_PER_PIXEL} 0 0 -{POINTS_PER_PIXEL} 0 {_number(size[1])} cm"]
    commands += [_command(shape) for shape in drawing.shapes]
    content = zlib.compress("\n".join(commands).encode("cp1252", "replace"), 9)
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica{} /Encoding /WinAnsiEncoding >>"
    fonts = "<< /Font << /F1 5 0 R /F2 6 0 R >> >>"
    box = " ".join(map(_number, size))
    return _document(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {box}] /Contents 4 0 R /Resources {fonts} >>".encode(),
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(content), content),
            font.format("").encode(),
            font.format("-Bold").encode(),
        ]
    )


def _document(objects: list[bytes]) -> bytes:
    written = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    return bytes(written) + head.encode() + end.encode()


def _command(shape: Shape) -> str:
    if isinstance(shape, Rectangle):
        place = " ".join(map(_number, (shape.x, shape.y, shape.width, shape.height)))
        return f"{_colour(shape.fill)} rg {place} re f"
    if isinstance(shape, Line):
        first, *others = (f"{_number(x)} {_number(y)}" for x, y in shape.points)
        dashes = "[5 3] 0 d" if shape.is_dashed else "[] 0 d"
        path = " ".join([f"{first} m", *(f"{point} l" for point in others)])
        return f"{_colour(shape.colour)} RG {_number(shape.width)} w {dashes} {path} S"
    return _text(shape)


def _text(shape: Text) -> str:
    turned = math.radians(shape.angle)
    across, down = math.cos(turned), math.sin(turned)
    back = _width(shape.text) * shape.size / 1000 * _START[shape.anchor]
    x, y = shape.x - across * back, shape.y - down * back
    matrix = " ".join(map(_number, (across, down, down, -across, x, y)))
    written = shape.text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    font = "/F2" if shape.is_bold else "/F1"
    return f"BT {_colour(shape.colour)} rg {font} {_number(shape.size)} Tf {matrix} Tm ({written}) Tj ET"


def _width(text: str) -> int:
    return sum(_WIDTHS[ord(one) - 32] if " " <= one <= "~" else _OTHER_WIDTH for one in text)


def _colour(colour: str) -> str:
    return " ".join(map(_number, fractions(colour)))


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
