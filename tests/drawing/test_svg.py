"""Drawings in SVG, and writing them into files."""

from __future__ import annotations

import os
import resource
import struct
import sys
import xml.etree.ElementTree as ET
import zlib
from functools import partial
from pathlib import Path

import pytest
from programs import font

from rasa_core.drawing import svg
from rasa_core.drawing.svg import (
    Drawing,
    DrawingError,
    element,
    mix,
    number,
    rectangle,
    text,
    write_drawing,
    write_picture,
)


@pytest.fixture
def drawing() -> Drawing:
    found = Drawing("<a> & b", 120, 60)
    found.add(rectangle(10, 10.25, 20, 1 / 3, "#ff0000", "tip\x00 <"), text(60, 30, "“x” & <y>", 12.0, "middle"))
    return found


def pixels(png: bytes) -> tuple[tuple[int, int], bytes]:
    """Return the size of a PNG, and the bytes of its pixels."""
    size = struct.unpack(">II", png[16:24])
    place, content = 8, b""
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            content += png[place + 8 : place + 8 + length]
        place += length + 12
    return size, zlib.decompress(content)


def test_a_document_is_well_formed_and_tells_what_it_shows(drawing: Drawing) -> None:
    root = ET.fromstring(drawing.document())
    found = {one.tag.rpartition("}")[2]: one for one in root}
    assert (root.attrib["width"], root.attrib["viewBox"]) == ("120", "0 0 120 60")
    assert found["title"].text == "<a> & b"
    assert found["text"].text == "“x” & <y>"
    assert "tip\ufffd <" in [one.text for one in found["rect"]]


def test_elements_leave_out_what_is_not_given() -> None:
    assert element("path", d="M0,0", stroke_width=1.5, class_=None) == '<path d="M0,0" stroke-width="1.5"/>'


@pytest.mark.parametrize(("value", "written"), [(1.0, "1"), (0.126, "0.13"), (-2.5, "-2.5"), (100, "100")])
def test_numbers_have_no_more_digits_than_they_need(value: float, written: str) -> None:
    assert number(value) == written


def test_colours_mix() -> None:
    assert mix("#ffffff", "#000000", 0.0) == "#ffffff"
    assert mix("#ffffff", "#0000ff", 1.0) == "#0000ff"
    assert mix("#000000", "#ff0040", 0.5) == "#800020"


def test_a_png_has_twice_the_pixels_of_the_drawing_and_shows_its_text(drawing: Drawing, tmp_path: Path) -> None:
    font()
    write_drawing(drawing, tmp_path / "picture.PNG")
    size, content = pixels((tmp_path / "picture.PNG").read_bytes())
    empty = Drawing("", 120, 60)
    empty.add(rectangle(10, 10.25, 20, 1 / 3, "#ff0000"))
    assert size == (240, 120)
    assert content != pixels(empty.png())[1]


def test_a_large_picture_has_fewer_pixels(monkeypatch: pytest.MonkeyPatch, drawing: Drawing) -> None:
    font()
    monkeypatch.setattr(svg, "MOST_PIXELS", 120 * 60)
    assert pixels(drawing.png())[0] == (120, 60)


def test_png_without_resvg_is_an_error_that_tells_what_to_do(
    drawing: Drawing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(DrawingError, match=r"a PNG picture needs resvg-py: pip install resvg-py\. SVG needs nothing"):
        write_drawing(drawing, tmp_path / "picture.png")
    assert not (tmp_path / "picture.png").exists()


def test_png_without_any_font_is_an_error_that_tells_what_to_do(
    drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    resvg = pytest.importorskip("resvg_py")
    # As on a machine that has none, whatever is installed on this one.
    monkeypatch.setattr(resvg, "svg_to_bytes", partial(resvg.svg_to_bytes, skip_system_fonts=True))
    with pytest.raises(DrawingError, match=r"needs a font.*apt-get install fonts-dejavu-core"):
        drawing.png()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("picture.sv", r"its name must end in \.svg or \.png\. Did you mean '\.svg'\?"),
        ("picture", r"its name must end in \.svg or \.png\.$"),
        ("picture.pdf", r"its name must end in \.svg or \.png\. For a PDF, draw an SVG, and print it from a browser"),
    ],
)
def test_another_ending_is_an_error_that_names_those_that_can_be_drawn(
    drawing: Drawing, tmp_path: Path, name: str, problem: str
) -> None:
    with pytest.raises(DrawingError, match=problem):
        write_drawing(drawing, tmp_path / name)


def test_a_picture_that_cannot_be_written_is_an_error(drawing: Drawing, tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match=r"cannot write the picture .*picture\.svg"):
        write_drawing(drawing, tmp_path / "nowhere" / "picture.svg")


def test_a_picture_that_cannot_be_written_whole_leaves_that_of_before(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    write_picture(path, {".svg": lambda: b"the first"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(DrawingError, match=r"cannot write the picture .*picture\.svg.*File too large"):
            write_picture(path, {".svg": lambda: b"the second" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"the first"
    assert os.listdir(tmp_path) == ["picture.svg"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found
