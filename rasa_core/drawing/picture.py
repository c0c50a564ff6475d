"""A graph as it is drawn, boxes with names and arrows with labels; and its text forms, DOT and Mermaid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

LONGEST_LINE: Final = 46
MOST_LINES: Final = 5


class Kind(Enum):
    """What a node stands for."""

    START = "start"
    END = "end"
    ACTION = "action"
    CHECKPOINT = "checkpoint"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Node:
    """A box.

    Attributes
    ----------
    kind : Kind
        What it stands for.
    name : str
        Its first line.
    details : tuple of str
        What stands below, in smaller letters.
    """

    kind: Kind
    name: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow between two nodes, given by their positions.

    Each label is one way to take it, ``""`` one without words.
    """

    start: int
    end: int
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """Nodes and edges under a title; at most one edge from one node to another."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def shorten(text: str, longest: int = LONGEST_LINE) -> str:
    """Return `text` in one line of at most `longest` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def shown_lines(texts: Sequence[str], most: int = MOST_LINES) -> list[str]:
    """Return what is drawn of several texts: a line each, and how many more there are."""
    lines = list(dict.fromkeys(shorten(text) for text in texts if text.strip()))
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], f"… and {len(lines) - most + 1} more"]


def edge_lines(edge: Edge) -> list[str]:
    """Return what is drawn at an edge."""
    several = len(edge.labels) > 1
    return shown_lines([label or ("(directly)" if several else "") for label in edge.labels])


# -- DOT

_DOT_STYLES: Final = {
    Kind.START: 'shape=oval, style=filled, fillcolor="#2f6f4f", fontcolor=white',
    Kind.END: 'shape=oval, style=filled, fillcolor="#5f6673", fontcolor=white',
    Kind.ACTION: 'shape=box, style="rounded,filled", fillcolor="#e3edfa"',
    Kind.CHECKPOINT: 'shape=oval, style="dashed,filled", fillcolor="#fff6dd"',
    Kind.STEP: 'shape=box, style="rounded,filled", fillcolor="#eeeeee"',
}


def as_dot(picture: Picture, fontsize: int) -> str:
    """Return the source of a DOT graph."""
    lines = [
        "digraph stories {",
        f"  graph [label={_dot_text([picture.title])}, labelloc=t];",
        f"  graph [fontname=Helvetica, fontsize={fontsize + 2}];",
        f"  node [fontname=Helvetica, fontsize={fontsize}];",
        f"  edge [fontname=Helvetica, fontsize={fontsize - 1}];",
    ]
    for number, node in enumerate(picture.nodes):
        text = _dot_text([shorten(node.name), *shown_lines(node.details)])
        lines.append(f"  n{number} [label={text}, {_DOT_STYLES[node.kind]}];")
    for edge in picture.edges:
        shown = edge_lines(edge)
        label = f" [label={_dot_text(shown)}]" if shown else ""
        lines.append(f"  n{edge.start} -> n{edge.end}{label};")
    return "\n".join([*lines, "}", ""])


def _dot_text(lines: Sequence[str]) -> str:
    escaped = (clean(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


# -- Mermaid

_MERMAID_SHAPES: Final = {
    Kind.START: ("([", "])"),
    Kind.END: ("([", "])"),
    Kind.ACTION: ("[", "]"),
    Kind.CHECKPOINT: ("{{", "}}"),
    Kind.STEP: ("[", "]"),
}
_MERMAID_ESCAPES: Final = str.maketrans({character: f"#{ord(character)};" for character in '#"<>&`\\'})


def as_mermaid(picture: Picture) -> str:
    """Return the source of a Mermaid flowchart."""
    lines = ["flowchart TD"]
    for number, node in enumerate(picture.nodes):
        opening, closing = _MERMAID_SHAPES[node.kind]
        text = _mermaid_text([shorten(node.name), *shown_lines(node.details)])
        lines.append(f"  n{number}{opening}{text}{closing}")
    for edge in picture.edges:
        shown = edge_lines(edge)
        label = f"|{_mermaid_text(shown)}|" if shown else ""
        lines.append(f"  n{edge.start} -->{label} n{edge.end}")
    return "\n".join([*lines, ""])


def _mermaid_text(lines: Sequence[str]) -> str:
    return '"' + "<br/>".join(clean(line).translate(_MERMAID_ESCAPES) for line in lines) + '"'


def clean(text: str) -> str:
    """Return `text` with a replacement for what cannot stand in a file of UTF-8 text, or in XML."""
    return "".join(character if _is_drawable(ord(character)) else "\ufffd" for character in text)


def _is_drawable(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or (
        code >= 0x20 and not 0x7F <= code < 0xA0 and not 0xD800 <= code < 0xE000 and code not in (0xFFFE, 0xFFFF)
    )
