"""A layered layout for directed graphs.

In the way of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures"
(1981):

1. edges that close a cycle are reversed;
2. a node is one rank below the lowest node with an edge to it; labels have ranks in between;
3. an edge over several ranks gets a point in each of them;
4. each rank is sorted by the mean position of its neighbours, sweeping down and up, and the order with the
   fewest crossings is kept;
5. horizontal positions are moved towards the mean of the neighbours as far as the order and the distances allow.

Connected components of the graph are placed side by side. The result depends on the input alone.
Lengths are in pixels; y grows downwards.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Final

RANK_GAP: Final = 20.0
PORT_GAP: Final = 16.0
MARGIN: Final = 16.0
GAP: Final = 28.0
POINT_GAP: Final = 14.0
MOST_SWEEPS: Final = 24
FEWEST_SWEEPS: Final = 2
WORK: Final = 200_000
FINAL_SWEEPS: Final = 4

Point = tuple[float, float]


@dataclass(slots=True)
class Box:
    """A node: its size, the size of the free room on its right, and its centre, which `lay_out` sets."""

    width: float
    height: float
    aside: float = 0.0
    aside_height: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass(slots=True)
class Link:
    """An edge between two different nodes, the size of its label (0 without a label), and its line, set by `lay_out`.

    Attributes
    ----------
    points : list of Point
        The points of the line from start to end; it is curved between the first and the second point, the third and
        the fourth and so on, and straight elsewhere.
    label : Point
        The centre of the label.
    is_turned : bool
        Whether the edge runs upwards, because it closes a cycle.
    """

    start: int
    end: int
    width: float = 0.0
    height: float = 0.0
    points: list[Point] = field(default_factory=list)
    label: Point = (0.0, 0.0)
    is_turned: bool = False


@dataclass(slots=True, eq=False)
class _Item:
    """A node, or a point of an edge, in the row of its rank; it extends from ``x - left`` to ``x + right``."""

    rank: int
    left: float
    right: float
    depth: float
    is_node: bool = False
    above: list[_Item] = field(default_factory=list)
    below: list[_Item] = field(default_factory=list)
    place: int = 0
    x: float = 0.0


_Rows = list[list[_Item]]


def lay_out(boxes: Sequence[Box], links: Sequence[Link]) -> tuple[float, float]:
    """Set the positions of boxes and the lines of links; return the width and the height of the drawing."""
    _turn_closing_links(len(boxes), links)
    items = [
        _Item(rank, box.width / 2, box.width / 2 + box.aside, max(box.height, box.aside_height), is_node=True)
        for rank, box in zip(_ranks(len(boxes), links), boxes, strict=True)
    ]
    chains = [_chain(items, link) for link in links]
    rows: _Rows = [[] for _ in range(max((item.rank for item in items), default=0) + 1)]
    right = MARGIN - GAP
    for part in _parts(items):
        own: _Rows = [[] for _ in rows]
        for item in part:
            own[item.rank].append(item)
        _sort_rows(own)
        _place_across(own)
        shift = right + GAP - min(item.x - item.left for item in part)
        for item in part:
            item.x += shift
            rows[item.rank].append(item)
        right = max(item.x + item.right for item in part)
    spans, height = _spans(rows)
    for item, box in zip(items, boxes, strict=True):
        box.x, box.y = item.x, spans[item.rank][0] + spans[item.rank][1] / 2
    _lead(links, chains, boxes, spans)
    return right + MARGIN, height


# -- ranks


def _turn_closing_links(count: int, links: Sequence[Link]) -> None:
    """Mark the links that lead back to a node from which they can be reached, by a depth-first search."""
    onward: list[list[Link]] = [[] for _ in range(count)]
    is_led_to = [False] * count
    for link in links:
        onward[link.start].append(link)
        is_led_to[link.end] = True
    open_, done = set[int](), set[int]()
    for root in sorted(range(count), key=is_led_to.__getitem__):
        if root in done:
            continue
        stack = [(root, iter(onward[root]))]
        open_.add(root)
        while stack:
            node, rest = stack[-1]
            for link in rest:
                if link.end in open_:
                    link.is_turned = True
                elif link.end not in done:
                    open_.add(link.end)
                    stack.append((link.end, iter(onward[link.end])))
                    break
            else:
                stack.pop()
                open_.remove(node)
                done.add(node)


def _downwards(link: Link) -> tuple[int, int]:
    """Return the upper and the lower end of a link."""
    return (link.end, link.start) if link.is_turned else (link.start, link.end)


def _ranks(count: int, links: Iterable[Link]) -> list[int]:
    """Return the row of each node, an even number; odd rows are for labels."""
    above: dict[int, list[int]] = {node: [] for node in range(count)}
    for top, bottom in map(_downwards, links):
        above[bottom].append(top)
    found: dict[int, int] = {}
    for node in TopologicalSorter(above).static_order():
        found[node] = max((found[other] + 2 for other in above[node]), default=0)
    nearest: dict[int, int] = {}
    for top, bottom in map(_downwards, links):
        if not above[top]:  # A node without incoming edges is moved to the row just above its first successor.
            nearest[top] = min(nearest.get(top, found[bottom]), found[bottom] - 2)
    return [nearest.get(node, found[node]) for node in range(count)]


def _chain(items: Sequence[_Item], link: Link) -> list[_Item]:
    """Return the items of a link from its upper to its lower node; the point next to its start has the label."""
    top, bottom = (items[end] for end in _downwards(link))
    chain = [top]
    labelled = bottom.rank - 1 if link.is_turned else top.rank + 1
    for rank in range(top.rank + 1, bottom.rank):
        half, height = (link.width / 2, link.height) if rank == labelled else (0.0, 0.0)
        chain.append(_Item(rank, half, half, height))
    chain.append(bottom)
    for upper, lower in pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
    return chain


def _parts(items: Iterable[_Item]) -> list[list[_Item]]:
    """Return the connected components; the items of each are in the order of a search from the top."""
    seen: set[_Item] = set()
    parts = []
    for root in items:
        if root not in seen:
            part = _search([root], lambda item: [*item.above, *item.below])
            seen |= part.keys()
            parts.append(list(_search(sorted(part, key=lambda item: item.rank), lambda item: item.below)))
    return parts


def _search(roots: Iterable[_Item], onward: Callable[[_Item], Sequence[_Item]]) -> dict[_Item, None]:
    """Return all items that can be reached from `roots`, in the order of a depth-first search."""
    found: dict[_Item, None] = {}
    for root in roots:
        stack = [root]
        while stack:
            item = stack.pop()
            if item not in found:
                found[item] = None
                stack.extend(reversed(onward(item)))
    return found


# -- order


def _sort_rows(rows: _Rows) -> None:
    """Sort each row so that few links cross."""
    _number(rows)
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(_sweeps(rows)):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        for row in rows[1:] if downwards else rows[-2::-1]:
            _sort_row(row, downwards, last_first=sweep % 4 >= 2)
        _swap_neighbours(rows)
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best
    _number(rows)


def _sweeps(rows: _Rows) -> int:
    """Return how many sweeps over all rows to make: the more items, the fewer sweeps."""
    count = sum(len(item.below) + 1 for row in rows for item in row)
    return min(MOST_SWEEPS, max(FEWEST_SWEEPS, WORK // count))


def _number(rows: _Rows) -> None:
    for row in rows:
        for place, item in enumerate(row):
            item.place = place


def _sort_row(row: list[_Item], downwards: bool, last_first: bool) -> None:
    def mean(item: _Item) -> float:
        others = item.above if downwards else item.below
        return sum(other.place for other in others) / len(others) if others else float(item.place)

    if last_first:  # Items with equal means are reversed, so that other orders are tried, too.
        row.reverse()
    row.sort(key=mean)
    _number([row])


def _swap_neighbours(rows: _Rows) -> None:
    """Swap neighbouring items where that reduces the crossings."""
    for row in rows:
        for index in range(len(row) - 1):
            one, two = row[index], row[index + 1]
            before = _pair_crossings(one.above, two.above) + _pair_crossings(one.below, two.below)
            after = _pair_crossings(two.above, one.above) + _pair_crossings(two.below, one.below)
            if after < before:
                row[index], row[index + 1] = two, one
                one.place, two.place = index + 1, index


def _pair_crossings(left: Iterable[_Item], right: Sequence[_Item]) -> int:
    return sum(one.place > other.place for one in left for other in right)


def _crossings(rows: _Rows) -> int:
    total = 0
    for row in rows:
        passed: list[int] = []
        for item in row:
            places = sorted(other.place for other in item.below)
            total += sum(len(passed) - bisect_right(passed, place) for place in places)
            for place in places:
                insort(passed, place)
    return total


# -- positions


def _place_across(rows: _Rows) -> None:
    """Set the ``x`` of each item; the order in the rows is kept."""
    for row in rows:
        for one, two in pairwise(row):
            two.x = one.x + _distance(one, two)
    ways: list[Callable[[_Item], list[_Item]]] = [lambda item: item.above, lambda item: item.below]
    sweeps = _sweeps(rows)
    for sweep in range(sweeps):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _place_row(row, ways[sweep % 2])
    for _ in range(min(sweeps, FINAL_SWEEPS)):
        for row in rows:
            _place_row(row, lambda item: [*item.above, *item.below])


def _distance(one: _Item, two: _Item) -> float:
    are_points = not (one.is_node or two.is_node)
    return one.right + two.left + (POINT_GAP if are_points else GAP)


def _place_row(row: Sequence[_Item], neighbours: Callable[[_Item], list[_Item]]) -> None:
    """Move the items of a row as near to the mean of their neighbours as their order and distances allow.

    That is an isotonic regression: with ``offset`` the least distance from the first item, ``x - offset``
    must not fall. Neighbouring items that want to overlap are pooled, and share one weighted mean.
    """
    pools: list[tuple[float, float, int]] = []  # sum of weight * wish, sum of weights, number of items
    offset = 0.0
    offsets = []
    for index, item in enumerate(row):
        if index:
            offset += _distance(row[index - 1], item)
        offsets.append(offset)
        wish, weight = _wish(item, neighbours(item))
        pool = ((wish - offset) * weight, weight, 1)
        while pools and pools[-1][0] / pools[-1][1] >= pool[0] / pool[1]:
            last = pools.pop()
            pool = (last[0] + pool[0], last[1] + pool[1], last[2] + pool[2])
        pools.append(pool)
    places = iter(zip(row, offsets, strict=True))
    for total, weight, count in pools:
        for _ in range(count):
            item, offset = next(places)
            item.x = total / weight + offset


def _wish(item: _Item, neighbours: Iterable[_Item]) -> tuple[float, float]:
    """Return the preferred ``x`` of an item, and its weight.

    The weight is greatest for long edges, which should be straight; a neighbour with many edges has less weight.
    """
    total, weights = 0.0, 0.0
    for other in neighbours:
        rivals = other.below if other.rank < item.rank else other.above
        weight = 8.0 if not (item.is_node or other.is_node) else 1.0 / len(rivals)
        total += weight * other.x
        weights += weight
    return (total / weights, weights) if weights else (item.x, 0.1)


# -- lines


def _spans(rows: _Rows) -> tuple[list[Point], float]:
    """Return the top and the depth of each row, and the total height; the wider the links, the deeper the rows."""
    y = MARGIN
    spans = []
    for row in rows:
        depth = max((item.depth for item in row), default=0.0)
        spans.append((y, depth))
        widest = max((abs(item.x - other.x) for item in row for other in item.below), default=0.0)
        y += depth + RANK_GAP + min(60.0, 0.08 * widest)
    return spans, sum(spans[-1]) + MARGIN


def _lead(links: Sequence[Link], chains: Sequence[list[_Item]], boxes: Sequence[Box], spans: Sequence[Point]) -> None:
    """Set the points of each link's line, and the position of its label."""
    starts = _ports([(chain[0], chain[1]) for chain in chains])
    ends = _ports([(chain[-1], chain[-2]) for chain in chains])
    for link, chain, start, end in zip(links, chains, starts, ends, strict=True):
        upper, lower = (boxes[node] for node in _downwards(link))
        link.points = [(upper.x + start, upper.y + upper.height / 2)]
        for item in chain[1:-1]:
            top, depth = spans[item.rank]
            if depth:  # In a row without depth there is nothing to avoid, and the line stays straight.
                link.points += [(item.x, top), (item.x, top + depth)]
        link.points.append((lower.x + end, lower.y - lower.height / 2))
        if link.is_turned:
            link.points.reverse()
        labelled = chain[-2 if link.is_turned else 1]
        top, depth = spans[labelled.rank]
        link.label = (labelled.x, top + depth / 2)


def _ports(ends: Sequence[tuple[_Item, _Item]]) -> list[float]:
    """Return the distance of each line's start from the middle of its node, so that lines of one node are apart.

    Parameters
    ----------
    ends
        For each line its node, and the next item on the line.
    """
    tied: dict[_Item, list[int]] = {}
    for index, (node, _) in enumerate(ends):
        tied.setdefault(node, []).append(index)
    ports = [0.0] * len(ends)
    for node, indices in tied.items():
        indices.sort(key=lambda index: ends[index][1].x)
        step = min(PORT_GAP, (2 * node.left - 20.0) / max(1, len(indices) - 1))
        for number, index in enumerate(indices):
            ports[index] = step * (number - (len(indices) - 1) / 2)
    return ports
