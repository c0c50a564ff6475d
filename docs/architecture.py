"""Draws ``docs/architecture.svg``: the storeys and rooms of the package, from its present code.

    python docs/architecture.py

The storeys are those of ``tests/test_architecture.py``, which holds the code to them; files, lines and imports are
counted. The blue boxes, numbered, are the way of one ``parse`` over HTTP.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from test_architecture import STOREYS, modules, neighbours, path_of, room_of  # noqa: E402

WIDTH, HEIGHT, GAP, LEFT, ROW = 146, 46, 10, 40, 7
WAY = ["server", "agent", "processor", "tracker_store", "turn", "interpreter", "nlu", "policies", "trackers", "events"]
STYLE = """
text { font: 12px "DejaVu Sans", "Helvetica Neue", Arial, sans-serif; fill: #1b1f24; }
.small { font-size: 10px; fill: #57606a; } .number { font-weight: bold; fill: #0550ae; }
.storey { fill: #f6f8fa; } .room { fill: #ffffff; stroke: #8c959f; } .way { fill: #ddf4ff; stroke: #0969da; }
"""


def rooms() -> dict[str, tuple[int, int]]:
    """Return the number of files and of lines of each room."""
    found: dict[str, tuple[int, int]] = {}
    for module in modules():
        room = str(room_of(module))
        files, lines = found.get(room, (0, 0))
        found[room] = files + 1, lines + len(path_of(module).read_text(encoding="utf-8").splitlines())
    return found


def imported_by(room: str) -> int:
    """Return how many modules of other rooms import from `room`."""
    users = {module for module in modules() if room_of(module) != room}
    return sum(any(room_of(target) == room for target in neighbours(module)) for module in users)


def box(room: str, x: int, y: int, size: tuple[int, int]) -> list[str]:
    """Return the drawing of one room."""
    files, lines = size
    kind = "way" if room in WAY else "room"
    parts = [f'<rect class="{kind}" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>']
    shown = "rasa_core" if room == "__init__" else room
    parts.append(f'<text x="{x + 8}" y="{y + 18}">{escape(shown)}</text>')
    if room in WAY:
        right = f'x="{x + WIDTH - 8}" y="{y + 18}" text-anchor="end"'
        parts.append(f'<text class="number" {right}>{WAY.index(room) + 1}</text>')
    counted = f"{lines:,} lines" if files == 1 else f"{files} files, {lines:,} lines"
    parts.append(f'<text class="small" x="{x + 8}" y="{y + 36}">{counted}</text>')
    title = f"{shown}: imported by {imported_by(room)} modules of other rooms"
    return [f"<g><title>{escape(title)}</title>", *parts, "</g>"]


def drawing() -> str:
    """Return the SVG, with the uppermost storey first; further lines of a storey stand to the right."""
    sizes, parts, y = rooms(), [], GAP
    for number in range(len(STOREYS) - 1, -1, -1):
        names = [room for line in STOREYS[number] for room in line]
        rows = [names[start : start + ROW] for start in range(0, len(names), ROW)]
        height = len(rows) * (HEIGHT + GAP) + GAP
        width = ROW * (WIDTH + GAP) + GAP
        parts.append(f'<rect class="storey" x="{LEFT - 30}" y="{y}" width="{width + 30}" height="{height}" rx="8"/>')
        parts.append(f'<text x="{LEFT - 18}" y="{y + height / 2 + 4:.0f}">{number}</text>')
        for row, rooms_of_row in enumerate(rows):
            for place, room in enumerate(rooms_of_row):
                parts += box(room, LEFT + GAP + place * (WIDTH + GAP), y + GAP + row * (HEIGHT + GAP), sizes[room])
        y += height + GAP
    right = LEFT + ROW * (WIDTH + GAP) + 2 * GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{right}" height="{y}" viewBox="0 0 {right} {y}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
