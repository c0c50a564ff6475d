"""A layered layout for directed graphs.

In the way of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures"
(1981):

1. edges that close a cycle are turned round;
2. a node stands one rank below the lowest of those that lead to it; labels have ranks in between;
3. an edge over several ranks is led through a point in each of them;
4. each rank is sorted by the mean position of its neighbours, sweeping down and up, and the order with the
   fewest crossings is kept;
5. positions across are moved towards the mean of the neighbours as far as the order and the distances allow.

The result depends on the input alone. Lengths are in pixels; y grows downwards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from rasa_core.drawing.layers import Item, by_discovery, closing_links, place_across, ranks, sort_rows

RANK_GAP: Final = 20.0
PORT_GAP: Final = 16.0
MARGIN: Final = 16.0

Point = tuple[float, float]
_Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """The size of a node, and of the room that it needs beside it, on its right."""

    width: float
    height: float
    aside: float = 0.0
    aside_height: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """An edge between two different nodes, and the size of its label, 0 if it has none."""

    start: int
    end: int
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where an edge runs.

    Attributes
    ----------
    points : tuple of Point
        From its start to its end; it bends between the first and the second point, the third and the fourth
        and so on, and is straight elsewhere.
    label : Point
        The centre of its label.
    is_turned : bool
        Whether it runs upwards, because it closes a cycle.
    """

    points: tuple[Point, ...]
    label: Point
    is_turned: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands: the centres of the nodes, and the routes of the links, in their order."""

    width: float
    height: float
    centres: tuple[Point, ...]
    routes: tuple[Route, ...]


def lay_out(boxes: Sequence[Box], links: Sequence[Link]) -> Layout:
    """Place boxes and lead links between them."""
    turned = closing_links(len(boxes), [(link.start, link.end) for link in links])
    ends = [(link.end, link.start) if index in turned else (link.start, link.end) for index, link in enumerate(links)]
    items = [
        Item(
            rank,
            box.width / 2,
            box.width / 2 + box.aside,
            box.height,
            max(box.height, box.aside_height),
            True,
        )
        for rank, box in zip(ranks(len(boxes), ends), boxes, strict=True)
    ]
    chains = [
        _chain(items[top], items[bottom], link, index in turned)
        for index, (link, (top, bottom)) in enumerate(zip(links, ends, strict=True))
    ]
    rows: list[list[Item]] = [[] for _ in range(max((item.rank for item in items), default=0) + 1)]
    for item in by_discovery(items):
        rows[item.rank].append(item)
    sort_rows(rows)
    place_across(rows)
    width = _shift(rows)
    tops, height = _tops(rows)
    routes = _routes(chains, tops, turned)
    return Layout(width, height, tuple((item.x, _middle(tops[item.rank])) for item in items), routes)


def _chain(top: Item, bottom: Item, link: Link, is_turned: bool) -> list[Item]:
    """Lead a link down to another node; of its points, the one next to its start has the label."""
    chain = [top]
    labelled = bottom.rank - 1 if is_turned else top.rank + 1
    for rank in range(top.rank + 1, bottom.rank):
        half, height = (link.width / 2, link.height) if rank == labelled else (0.0, 0.0)
        chain.append(Item(rank, half, half, height, height, False))
    chain.append(bottom)
    for upper, lower in pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
    return chain


def _shift(rows: Iterable[Iterable[Item]]) -> float:
    """Let everything begin at the margin, and return the width."""
    items = [item for row in rows for item in row]
    shift = MARGIN - min((item.x - item.left for item in items), default=0.0)
    for item in items:
        item.x += shift
    return max((item.x + item.right for item in items), default=0.0) + MARGIN


def _tops(rows: Sequence[Sequence[Item]]) -> tuple[list[_Span], float]:
    """Return where each row is, and the height of all; the wider links run, the more room they get."""
    y = MARGIN
    tops = []
    for row in rows:
        depth = max((item.depth for item in row), default=0.0)
        tops.append((y, depth))
        widest = max((abs(item.x - other.x) for item in row for other in item.below), default=0.0)
        y += depth + RANK_GAP + min(60.0, 0.08 * widest)
    last_top, last_depth = tops[-1]
    return tops, last_top + last_depth + MARGIN


def _middle(span: _Span) -> float:
    top, depth = span
    return top + depth / 2


def _routes(chains: Sequence[Sequence[Item]], tops: Sequence[_Span], turned: Collection[int]) -> tuple[Route, ...]:
    downwards = _ports(chains, lambda chain: chain[0], lambda chain: chain[1])
    upwards = _ports(chains, lambda chain: chain[-1], lambda chain: chain[-2])
    routes = []
    for index, chain in enumerate(chains):
        upper, lower = chain[0], chain[-1]
        points = [(upper.x + downwards[index], _middle(tops[upper.rank]) + upper.height / 2)]
        for item in chain[1:-1]:
            top, depth = tops[item.rank]
            if depth:  # nothing else stands in a row without depth, so there the line need not bend
                points.extend([(item.x, top), (item.x, top + depth)])
        points.append((lower.x + upwards[index], _middle(tops[lower.rank]) - lower.height / 2))
        if index in turned:
            points.reverse()
        labelled = chain[-2 if index in turned else 1]
        routes.append(Route(tuple(points), (labelled.x, _middle(tops[labelled.rank])), index in turned))
    return tuple(routes)


def _ports(
    chains: Sequence[Sequence[Item]],
    node_of: Callable[[Sequence[Item]], Item],
    next_of: Callable[[Sequence[Item]], Item],
) -> list[float]:
    """Return for each chain how far from the middle of its node it begins, so that lines stay apart."""
    tied: dict[int, list[int]] = {}
    for index, chain in enumerate(chains):
        tied.setdefault(id(node_of(chain)), []).append(index)
    ports = [0.0] * len(chains)
    for indices in tied.values():
        indices.sort(key=lambda index: next_of(chains[index]).x)
        room = 2 * node_of(chains[indices[0]]).left - 20.0
        step = min(PORT_GAP, room / max(1, len(indices) - 1))
        for number, index in enumerate(indices):
            ports[index] = step * (number - (len(indices) - 1) / 2)
    return ports
