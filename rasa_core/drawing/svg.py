"""Draws a picture as SVG, and as an HTML page around it; both need nothing from elsewhere, and no scripts."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Final

from rasa_core.drawing.layout import PORT_GAP, Box, Layout, Link, Point, Route, lay_out
from rasa_core.drawing.picture import Kind, Node, Picture, clean, edge_lines, shorten, shown_lines

FONT: Final = "'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif"
LINE_HEIGHT: Final = 1.35
SMALL: Final = 0.88
LOOP_WIDTH: Final = 34.0
MOST_PORTS: Final = 24

# Colours: text on its background has a contrast of at least 4.5 to 1.
_STYLE: Final = """
text { font-family: %s; fill: #1c2733; text-anchor: middle; }
.node rect { fill: #e3edfa; stroke: #5b7fae; stroke-width: 1.2; }
.start rect { fill: #2f6f4f; stroke: #2f6f4f; } .start text { fill: #ffffff; }
.end rect { fill: #5f6673; stroke: #5f6673; } .end text { fill: #ffffff; }
.checkpoint rect { fill: #fff6dd; stroke: #a5812a; stroke-dasharray: 5 3; }
.step rect { fill: #f1f2f4; stroke: #8a93a0; }
.details text { fill: #4a5663; }
.edge path { fill: none; stroke: #77838f; stroke-width: 1.3; }
.edge polygon { fill: #77838f; }
.edge rect { fill: #ffffff; fill-opacity: 0.92; }
.back path { stroke: #b0561c; stroke-dasharray: 6 3; }
.back polygon { fill: #b0561c; }
.edge:hover path { stroke: #0b62c4; stroke-width: 2.4; } .edge:hover polygon { fill: #0b62c4; }
.edge:hover text { fill: #0b62c4; }
"""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0; font-family: {font}; color: #1c2733; background: #ffffff; }}
header {{ padding: 12px 16px; border-bottom: 1px solid #d5dae0; font-size: 14px; line-height: 1.6; }}
h1 {{ font-size: 18px; margin: 0; }}
.mark {{ display: inline-block; width: 22px; height: 11px; border-radius: 4px; margin: 0 4px 0 14px; }}
.picture {{ overflow: auto; padding: 8px; }}
#fit:checked ~ .picture svg {{ max-width: 100%; height: auto; }}
label, #fit {{ margin: 10px 0 0 16px; font-size: 14px; }} #fit ~ label {{ margin-left: 2px; }}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
{counts}{legend}
</header>
<input type="checkbox" id="fit"><label for="fit">fit to the window</label>
<div class="picture">
{svg}</div>
</body>
</html>
"""

_LEGEND: Final = {
    Kind.ACTION: ("#e3edfa", "#5b7fae", "solid", "action of the bot"),
    Kind.STEP: ("#f1f2f4", "#8a93a0", "solid", "part of a story"),
    Kind.CHECKPOINT: ("#fff6dd", "#a5812a", "dashed", "checkpoint"),
}


def as_svg(picture: Picture, fontsize: int) -> str:
    """Return an SVG document."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_svg(picture, fontsize)}'


def as_html(picture: Picture, fontsize: int) -> str:
    """Return an HTML page."""
    counts = f"{len(picture.nodes)} nodes, {len(picture.edges)} arrows"
    kinds = {node.kind for node in picture.nodes}
    legend = "".join(
        f'<span class="mark" style="background: {fill}; border: 1px {style} {stroke}"></span>{text}'
        for kind, (fill, stroke, style, text) in _LEGEND.items()
        if kind in kinds
    )
    title = _xml(picture.title)
    return _PAGE.format(title=title, font=FONT, counts=counts, legend=legend, svg=_svg(picture, fontsize))


def text_width(text: str, fontsize: float) -> float:
    """Return about how wide a text is; rather too wide than too narrow."""
    return fontsize * sum(map(_character_width, text))


def _character_width(character: str) -> float:
    if character in "iljtfrI.,:;'|!()[] /":
        return 0.4
    if character in "mwMW@%\u2026\u203a":
        return 0.98
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    return 0.72 if character.isupper() else 0.64


class _Sizes:
    """How large the parts of a picture are."""

    def __init__(self, fontsize: int) -> None:
        self.font = float(fontsize)
        self.small = fontsize * SMALL

    def of_node(self, node: Node, arrows: int, loop: Sequence[str] | None) -> Box:
        details = shown_lines(node.details)
        text = max([text_width(shorten(node.name), self.font), *(text_width(line, self.small) for line in details)])
        height = self.font * LINE_HEIGHT + self.small * LINE_HEIGHT * len(details) + 12
        aside = (0.0, 0.0)
        if loop is not None:
            loop_width, loop_height = self.of_lines(loop)
            aside = (LOOP_WIDTH + loop_width, loop_height)
        width = max(text + 22, 30.0, PORT_GAP * min(arrows, MOST_PORTS) + 4)
        return Box(width, height, *aside)

    def of_lines(self, lines: Sequence[str]) -> tuple[float, float]:
        if not lines:
            return 0.0, 0.0
        return max(text_width(line, self.small) for line in lines) + 8, self.small * LINE_HEIGHT * len(lines) + 4


def _svg(picture: Picture, fontsize: int) -> str:
    sizes = _Sizes(fontsize)
    loops = {edge.start: edge for edge in picture.edges if edge.start == edge.end}
    edges = [edge for edge in picture.edges if edge.start != edge.end]
    arrows = Counter((edge.start, "out") for edge in edges) + Counter((edge.end, "in") for edge in edges)
    boxes = [
        sizes.of_node(
            node,
            max(arrows[number, "out"], arrows[number, "in"]),
            edge_lines(loops[number]) if number in loops else None,
        )
        for number, node in enumerate(picture.nodes)
    ]
    layout = lay_out(boxes, [Link(edge.start, edge.end, *sizes.of_lines(edge_lines(edge))) for edge in edges])
    parts = [_opening(picture.title, layout)]
    # Labels come after all lines, so that no line runs over one.
    for edge, route in zip(edges, layout.routes, strict=True):
        css = "edge back" if route.is_turned else "edge"
        parts.append(f'<g class="{css}">{_line(route)}{_label(edge_lines(edge), route.label, edge.labels, sizes)}</g>')
    for number, edge in loops.items():
        parts.append(_loop(edge_lines(edge), edge.labels, layout.centres[number], boxes[number], sizes))
    for node, box, centre in zip(picture.nodes, boxes, layout.centres, strict=True):
        parts.append(_node(node, box, centre, sizes))
    return "\n".join([*parts, "</svg>", ""])


def _opening(title: str, layout: Layout) -> str:
    width, height = _number(layout.width), _number(layout.height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">\n<title>{_xml(title)}</title>\n'
        f'<style>{_STYLE % FONT}</style>\n<rect width="100%" height="100%" fill="#ffffff"/>'
    )


def _node(node: Node, box: Box, centre: Point, sizes: _Sizes) -> str:
    x, y = centre
    radius = box.height / 2 if node.kind in (Kind.START, Kind.END, Kind.CHECKPOINT) else 6
    details = shown_lines(node.details)
    first = y - box.height / 2 + 6 + sizes.font
    name = _text(shorten(node.name), x, first, sizes.font)
    below = first + sizes.font * (LINE_HEIGHT - 1) + sizes.small
    small = "".join(
        _text(line, x, below + index * sizes.small * LINE_HEIGHT, sizes.small) for index, line in enumerate(details)
    )
    tip = _tip([node.name, *node.details], [shorten(node.name), *details])
    frame = _rectangle(x, y, box.width, box.height, radius)
    return f'<g class="node {node.kind.value}">{tip}{frame}{name}<g class="details">{small}</g></g>'


def _rectangle(x: float, y: float, width: float, height: float, radius: float) -> str:
    corner = f'x="{_number(x - width / 2)}" y="{_number(y - height / 2)}"'
    return f'<rect {corner} width="{_number(width)}" height="{_number(height)}" rx="{_number(radius)}"/>'


def _line(route: Route) -> str:
    x, y = route.points[0]
    end_x, end_y = route.points[-1]
    direction = -1.0 if route.is_turned else 1.0
    path = [f"M{_pair(x, y)}"]
    for index, (to_x, to_y) in enumerate([*route.points[1:-1], (end_x, end_y - 6 * direction)]):
        if index % 2:
            path.append(f"L{_pair(to_x, to_y)}")
        else:
            middle = (y + to_y) / 2
            path.append(f"C{_pair(x, middle)} {_pair(to_x, middle)} {_pair(to_x, to_y)}")
        x, y = to_x, to_y
    back = end_y - 8 * direction
    tip = f"{_pair(end_x, end_y)} {_pair(end_x - 4, back)} {_pair(end_x + 4, back)}"
    return f'<path d="{"".join(path)}"/><polygon points="{tip}"/>'


def _loop(lines: Sequence[str], labels: Sequence[str], centre: Point, box: Box, sizes: _Sizes) -> str:
    x, y = centre[0] + box.width / 2, centre[1]
    reach = x + LOOP_WIDTH
    high, low = y - box.height / 4, y + box.height / 4
    start, end = _pair(x, high), _pair(x + 6, low)
    path = f"M{start}C{_pair(reach, high - 8)} {_pair(reach, low + 8)} {end}"
    tip = f"{_pair(x, low)} {_pair(x + 8, low - 4)} {_pair(x + 8, low + 4)}"
    width = sizes.of_lines(lines)[0]
    label = _label(lines, (reach - 6 + width / 2, y), labels, sizes)
    return f'<g class="edge back"><path d="{path}"/><polygon points="{tip}"/>{label}</g>'


def _label(lines: Sequence[str], centre: Point, labels: Sequence[str], sizes: _Sizes) -> str:
    if not lines:
        return ""
    x, y = centre
    width, height = sizes.of_lines(lines)
    first = y - height / 2 + 2 + sizes.small
    texts = "".join(
        _text(line, x, first + index * sizes.small * LINE_HEIGHT, sizes.small) for index, line in enumerate(lines)
    )
    return f"{_tip(labels, lines)}{_rectangle(x, y, width, height, 3)}{texts}"


def _tip(texts: Sequence[str], shown: Sequence[str]) -> str:
    """Return what is told when the pointer rests on something that is not shown whole."""
    return "" if list(texts) == list(shown) else f"<title>{_xml(chr(10).join(texts))}</title>"


def _text(text: str, x: float, y: float, size: float) -> str:
    return f'<text x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}">{_xml(text)}</text>'


def _pair(x: float, y: float) -> str:
    return f"{_number(x)},{_number(y)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _xml(text: str) -> str:
    return escape(clean(text))
