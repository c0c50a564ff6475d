"""Diagrams, made of boxes with names and arrows with labels, and their output as SVG, HTML, DOT and Mermaid.

SVG and HTML load no other files, and contain no scripts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from rasa_core.drawing.layout import PORT_GAP, Box, Link, lay_out
from rasa_core.drawing.svg import FONT, INK, PAPER, Drawing, clean, element, pair, shorten, text, text_width, title, xml

LINE_HEIGHT: Final = 1.35
SMALL: Final = 0.88
LOOP_WIDTH: Final = 34.0
MOST_PORTS: Final = 24  # A node gets wider for up to so many arrows.
MOST_LINES: Final = 5


@dataclass(frozen=True, slots=True)
class _Look:
    """The colours and shape of a kind of node; text on its fill has a contrast of at least 4.5 to 1."""

    fill: str
    stroke: str
    ink: str = INK
    is_round: bool = False
    is_dashed: bool = False
    brackets: tuple[str, str] = ("[", "]")
    legend: str = ""


class Kind(Enum):
    """The kinds of nodes."""

    START = _Look("#2f6f4f", "#2f6f4f", PAPER, is_round=True, brackets=("([", "])"))
    END = _Look("#5f6673", "#5f6673", PAPER, is_round=True, brackets=("([", "])"))
    ACTION = _Look("#e3edfa", "#5b7fae", legend="action of the bot")
    STEP = _Look("#f1f2f4", "#8a93a0", legend="part of a story")
    CHECKPOINT = _Look("#fff6dd", "#a5812a", is_round=True, is_dashed=True, brackets=("{{", "}}"), legend="checkpoint")


@dataclass(frozen=True, slots=True)
class Node:
    """A box: its kind, its first line, and the lines below in smaller letters."""

    kind: Kind
    name: str
    details: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the lines that are drawn in the box."""
        return [shorten(self.name), *_shown(self.details)]


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow between two nodes, given by their indices.

    Each label is a message that leads along the arrow; ``""`` means that no message is needed.
    """

    start: int
    end: int
    labels: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the lines that are drawn at the arrow."""
        several = len(self.labels) > 1
        return _shown([label or ("(directly)" if several else "") for label in self.labels])


@dataclass(frozen=True, slots=True)
class Diagram:
    """Nodes and edges under a title; at most one edge from one node to another."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def _shown(texts: Iterable[str]) -> list[str]:
    """Return the lines for several texts: one line each, and a line with the number of texts that are left out."""
    lines = list(dict.fromkeys(shorten(text) for text in texts if text.strip()))
    if len(lines) <= MOST_LINES:
        return lines
    return [*lines[: MOST_LINES - 1], f"… and {len(lines) - MOST_LINES + 1} more"]


# -- DOT and Mermaid


def as_dot(diagram: Diagram, fontsize: int) -> str:
    """Return the source of a DOT graph."""
    lines = [
        "digraph stories {",
        f"  graph [label={_dot_text([diagram.title])}, labelloc=t];",
        f"  graph [fontname=Helvetica, fontsize={fontsize + 2}];",
        f"  node [fontname=Helvetica, fontsize={fontsize}];",
        f"  edge [fontname=Helvetica, fontsize={fontsize - 1}];",
    ]
    for number, node in enumerate(diagram.nodes):
        look = node.kind.value
        shape = "shape=oval" if look.is_round else "shape=box"
        style = "dashed,filled" if look.is_dashed else "filled" if look.is_round else "rounded,filled"
        colours = f'fillcolor="{look.fill}"' + (", fontcolor=white" if look.ink == PAPER else "")
        lines.append(f'  n{number} [label={_dot_text(node.lines())}, {shape}, style="{style}", {colours}];')
    for edge in diagram.edges:
        shown = edge.lines()
        label = f" [label={_dot_text(shown)}]" if shown else ""
        lines.append(f"  n{edge.start} -> n{edge.end}{label};")
    return "\n".join([*lines, "}", ""])


def _dot_text(lines: Sequence[str]) -> str:
    # Backslashes are escaped first, since escaping the quotes adds backslashes.
    escaped = (clean(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


_MERMAID_ESCAPES: Final = str.maketrans({character: f"#{ord(character)};" for character in '#"<>&`\\'})


def as_mermaid(diagram: Diagram) -> str:
    """Return the source of a Mermaid flowchart."""
    lines = ["flowchart TD"]
    for number, node in enumerate(diagram.nodes):
        opening, closing = node.kind.value.brackets
        lines.append(f"  n{number}{opening}{_mermaid_text(node.lines())}{closing}")
    for edge in diagram.edges:
        shown = edge.lines()
        label = f"|{_mermaid_text(shown)}|" if shown else ""
        lines.append(f"  n{edge.start} -->{label} n{edge.end}")
    return "\n".join([*lines, ""])


def _mermaid_text(lines: Sequence[str]) -> str:
    return '"' + "<br/>".join(clean(line).translate(_MERMAID_ESCAPES) for line in lines) + '"'


# -- SVG

_STYLE: Final = """
text { text-anchor: middle; }
.edge path { fill: none; stroke: #77838f; stroke-width: 1.3; }
.edge polygon { fill: #77838f; }
.edge rect { fill: #ffffff; fill-opacity: 0.92; }
.back path { stroke: #b0561c; stroke-dasharray: 6 3; }
.back polygon { fill: #b0561c; }
.edge:hover path { stroke: #0b62c4; stroke-width: 2.4; } .edge:hover polygon { fill: #0b62c4; }
.edge:hover text { fill: #0b62c4; }
"""


def as_drawing(diagram: Diagram, fontsize: int) -> Drawing:
    """Compute the layout of a diagram, and draw it."""
    draw = _Painter(fontsize)
    loops = {edge.start: edge for edge in diagram.edges if edge.start == edge.end}
    edges = [edge for edge in diagram.edges if edge.start != edge.end]
    arrows = Counter((edge.start, "out") for edge in edges) + Counter((edge.end, "in") for edge in edges)
    boxes = [
        draw.box(node, max(arrows[number, "out"], arrows[number, "in"]), loops.get(number))
        for number, node in enumerate(diagram.nodes)
    ]
    links = [Link(edge.start, edge.end, *draw.size_of(edge.lines())) for edge in edges]
    drawing = Drawing(diagram.title, *lay_out(boxes, links), _STYLE)
    # The order matters, as later elements cover earlier ones: nodes are drawn after all edges.
    drawing.add(*(draw.edge(edge, link) for edge, link in zip(edges, links, strict=True)))
    drawing.add(*(draw.loop(edge, boxes[number]) for number, edge in loops.items()))
    drawing.add(*(draw.node(node, box) for node, box in zip(diagram.nodes, boxes, strict=True)))
    return drawing


class _Painter:
    """Draws the parts of a diagram with a font size."""

    def __init__(self, fontsize: int) -> None:
        self.font = float(fontsize)
        self.small = fontsize * SMALL

    def size_of(self, lines: Sequence[str]) -> tuple[float, float]:
        """Return width and height of a label."""
        if not lines:
            return 0.0, 0.0
        return max(text_width(line, self.small) for line in lines) + 8, self.small * LINE_HEIGHT * len(lines) + 4

    def box(self, node: Node, arrows: int, loop: Edge | None) -> Box:
        """Return the box of a node, with room for its arrows, and on its right for an arrow from it to itself."""
        name, *details = node.lines()
        widest = max([text_width(name, self.font), *(text_width(line, self.small) for line in details)])
        height = self.font * LINE_HEIGHT + self.small * LINE_HEIGHT * len(details) + 12
        box = Box(max(widest + 22, 30.0, PORT_GAP * min(arrows, MOST_PORTS) + 4), height)
        if loop is not None:
            width, box.aside_height = self.size_of(loop.lines())
            box.aside = LOOP_WIDTH + width
        return box

    def node(self, node: Node, box: Box) -> str:
        """Draw a node."""
        look, (name, *details) = node.kind.value, node.lines()
        top = box.y - box.height / 2
        frame = element(
            "rect",
            x=box.x - box.width / 2,
            y=top,
            width=box.width,
            height=box.height,
            rx=box.height / 2 if look.is_round else 6.0,
            fill=look.fill,
            stroke=look.stroke,
            stroke_width=1.2,
            stroke_dasharray="5 3" if look.is_dashed else None,
        )
        first = top + 6 + self.font
        below = self._lines(details, box.x, first + self.font * (LINE_HEIGHT - 1))
        tip = _tip([node.name, *node.details], [name, *details])
        return element("g", tip, frame, text(box.x, first, name, self.font), *below, fill=look.ink)

    def edge(self, edge: Edge, link: Link) -> str:
        """Draw an arrow between two nodes: bent between two rows, straight through a row."""
        x, y = link.points[0]
        end_x, end_y = link.points[-1]
        down = -1 if link.is_turned else 1
        path = [f"M{pair((x, y))}"]
        for index, (to_x, to_y) in enumerate([*link.points[1:-1], (end_x, end_y - 6 * down)]):
            middle = (y + to_y) / 2
            bent = f"C{pair((x, middle))} {pair((to_x, middle))} {pair((to_x, to_y))}"
            path.append(f"L{pair((to_x, to_y))}" if index % 2 else bent)
            x, y = to_x, to_y
        head = [(end_x, end_y), (end_x - 4, end_y - 8 * down), (end_x + 4, end_y - 8 * down)]
        return self._arrow(edge, "".join(path), head, link.label, is_back=link.is_turned)

    def loop(self, edge: Edge, box: Box) -> str:
        """Draw an arrow from a node to itself, on its right."""
        x, high, low = box.x + box.width / 2, box.y - box.height / 4, box.y + box.height / 4
        reach = x + LOOP_WIDTH
        path = f"M{pair((x, high))}C{pair((reach, high - 8))} {pair((reach, low + 8))} {pair((x + 6, low))}"
        label = (reach - 6 + self.size_of(edge.lines())[0] / 2, box.y)
        return self._arrow(edge, path, [(x, low), (x + 8, low - 4), (x + 8, low + 4)], label, is_back=True)

    def _arrow(
        self, edge: Edge, path: str, head: Sequence[tuple[float, float]], label: tuple[float, float], *, is_back: bool
    ) -> str:
        parts = [element("path", d=path), element("polygon", points=" ".join(map(pair, head)))]
        if lines := edge.lines():
            (x, y), (width, height) = label, self.size_of(lines)
            paper = element("rect", x=x - width / 2, y=y - height / 2, width=width, height=height, rx=3.0)
            parts += [_tip(edge.labels, lines), paper, *self._lines(lines, x, y - height / 2 + 2)]
        return element("g", *parts, class_="edge back" if is_back else "edge")

    def _lines(self, lines: Sequence[str], x: float, top: float) -> list[str]:
        """Draw lines of small letters, one below the other."""
        step = self.small * LINE_HEIGHT
        return [text(x, top + self.small + place * step, line, self.small) for place, line in enumerate(lines)]


def _tip(texts: Sequence[str], shown: Sequence[str]) -> str:
    """Return the tooltip with all `texts`, if not all of them are shown."""
    return "" if list(texts) == list(shown) else title("\n".join(texts))


# -- HTML

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
@media (prefers-color-scheme: dark) {{
  body, header {{ color: #e7eaf2; background: #14171f; border-color: #353b4a; }} .picture {{ background: #ffffff; }}
}}
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


def as_html(diagram: Diagram, fontsize: int) -> str:
    """Return an HTML page."""
    shown = {node.kind for node in diagram.nodes}
    legend = "".join(
        f'<span class="mark" style="background: {look.fill}; border: 1px '
        f'{"dashed" if look.is_dashed else "solid"} {look.stroke}"></span>{look.legend}'
        for kind in Kind
        for look in [kind.value]
        if kind in shown and look.legend
    )
    return _PAGE.format(
        title=xml(diagram.title),
        font=FONT,
        counts=f"{len(diagram.nodes)} nodes, {len(diagram.edges)} arrows",
        legend=legend,
        svg=as_drawing(diagram, fontsize).svg(),
    )
