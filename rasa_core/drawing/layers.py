"""Steps of the layout in `rasa_core.drawing.layout`: in which row things stand, in which order, and where.

A row holds items: nodes, and the points of edges that pass through.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

MOST_SWEEPS: Final = 24
FEWEST_SWEEPS: Final = 2
WORK: Final = 200_000
FINAL_SWEEPS: Final = 4
GAP: Final = 28.0
POINT_GAP: Final = 14.0

Ends = tuple[int, int]


class Item:
    """A node, or a point of an edge, in its row; it reaches from ``x - left`` to ``x + right``.

    `height` is that of the node itself, `depth` that of all that belongs to it.
    """

    __slots__ = ("above", "below", "depth", "height", "is_node", "left", "place", "rank", "right", "x")

    def __init__(self, rank: int, left: float, right: float, height: float, depth: float, is_node: bool) -> None:
        self.rank, self.left, self.right, self.height, self.depth = rank, left, right, height, depth
        self.is_node = is_node
        self.above: list[Item] = []
        self.below: list[Item] = []
        self.place = 0
        self.x = 0.0


# -- ranks


def closing_links(count: int, links: Sequence[Ends]) -> frozenset[int]:
    """Return the links that lead back to a node from which they can be reached, by a depth-first search."""
    onward: list[list[int]] = [[] for _ in range(count)]
    is_led_to = [False] * count
    for index, (start, end) in enumerate(links):
        onward[start].append(index)
        is_led_to[end] = True
    open_, done = set[int](), set[int]()
    closing = set[int]()
    for root in sorted(range(count), key=is_led_to.__getitem__):
        if root in done:
            continue
        stack = [(root, iter(onward[root]))]
        open_.add(root)
        while stack:
            node, rest = stack[-1]
            for index in rest:
                target = links[index][1]
                if target in open_:
                    closing.add(index)
                elif target not in done:
                    open_.add(target)
                    stack.append((target, iter(onward[target])))
                    break
            else:
                stack.pop()
                open_.remove(node)
                done.add(node)
    return frozenset(closing)


def ranks(count: int, links: Iterable[Ends]) -> list[int]:
    """Return the row of each node, an even number; `links` close no cycle, and odd rows are for labels."""
    below: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for top, bottom in links:
        below[top].append(bottom)
        missing[bottom] += 1
    found = [0] * count
    first = [node for node in range(count) if not missing[node]]
    ready = list(first)
    while ready:
        node = ready.pop()
        for other in below[node]:
            found[other] = max(found[other], found[node] + 2)
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    for node in first:  # what nothing leads to stands right above what it leads to
        found[node] = max(0, min((found[other] for other in below[node]), default=2) - 2)
    return found


# -- order


def by_discovery(items: Sequence[Item]) -> Iterable[Item]:
    """Return all items in the order in which a depth-first search from the top meets them."""
    found: dict[int, Item] = {}
    for root in sorted(items, key=lambda item: item.rank):
        stack = [root]
        while stack:
            item = stack.pop()
            if id(item) not in found:
                found[id(item)] = item
                stack.extend(reversed(item.below))
    return found.values()


def sort_rows(rows: list[list[Item]]) -> None:
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


def _sweeps(rows: Iterable[Iterable[Item]]) -> int:
    """Return how often to go over all rows: less often the more there is in them."""
    count = sum(len(item.below) + 1 for row in rows for item in row)
    return min(MOST_SWEEPS, max(FEWEST_SWEEPS, WORK // count))


def _number(rows: Iterable[list[Item]]) -> None:
    for row in rows:
        for place, item in enumerate(row):
            item.place = place


def _sort_row(row: list[Item], downwards: bool, last_first: bool) -> None:
    def mean(item: Item) -> float:
        others = item.above if downwards else item.below
        return sum(other.place for other in others) / len(others) if others else float(item.place)

    if last_first:  # of equal means the last goes first, or some orders would never be tried
        row.reverse()
    row.sort(key=mean)
    _number([row])


def _swap_neighbours(rows: Iterable[list[Item]]) -> None:
    """Swap items that stand side by side where that saves crossings."""
    for row in rows:
        for index in range(len(row) - 1):
            one, two = row[index], row[index + 1]
            before = _pair_crossings(one.above, two.above) + _pair_crossings(one.below, two.below)
            after = _pair_crossings(two.above, one.above) + _pair_crossings(two.below, one.below)
            if after < before:
                row[index], row[index + 1] = two, one
                one.place, two.place = index + 1, index


def _pair_crossings(left: Iterable[Item], right: Sequence[Item]) -> int:
    return sum(one.place > other.place for one in left for other in right)


def _crossings(rows: Sequence[Sequence[Item]]) -> int:
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


def place_across(rows: Sequence[Sequence[Item]]) -> None:
    """Give each item its ``x``; the order of the rows stays."""
    for row in rows:
        for one, two in pairwise(row):
            two.x = one.x + _distance(one, two)
    ways: list[Callable[[Item], list[Item]]] = [lambda item: item.above, lambda item: item.below]
    sweeps = _sweeps(rows)
    for sweep in range(sweeps):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _place_row(row, ways[sweep % 2])
    for _ in range(min(sweeps, FINAL_SWEEPS)):
        for row in rows:
            _place_row(row, lambda item: [*item.above, *item.below])
    _close_ranks(rows)


def _close_ranks(rows: Sequence[Sequence[Item]]) -> None:
    """Move parts of the graph that nothing links to each other to the left, as far as they can."""
    parts = sorted(_parts(rows), key=lambda part: min(item.x - item.left for item in part))
    if len(parts) == 1:
        return
    border = min(item.x - item.left for part in parts for item in part)
    for part in parts:
        own = set(map(id, part))
        room = []
        for item in part:
            before = rows[item.rank][item.place - 1] if item.place else None
            if before is None:
                room.append(item.x - item.left - border)
            elif id(before) not in own:
                room.append(item.x - before.x - _distance(before, item))
        shift = max(0.0, min(room))
        for item in part:
            item.x -= shift


def _parts(rows: Sequence[Sequence[Item]]) -> list[list[Item]]:
    """Return the items, each with those to which there is a way."""
    seen: set[int] = set()
    parts = []
    for root in (item for row in rows for item in row):
        part, stack = [], [root]
        while stack:
            item = stack.pop()
            if id(item) not in seen:
                seen.add(id(item))
                part.append(item)
                stack.extend([*item.above, *item.below])
        if part:
            parts.append(part)
    return parts


def _distance(one: Item, two: Item) -> float:
    are_points = not (one.is_node or two.is_node)
    return one.right + two.left + (POINT_GAP if are_points else GAP)


def _place_row(row: Sequence[Item], neighbours: Callable[[Item], list[Item]]) -> None:
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


def _wish(item: Item, neighbours: Iterable[Item]) -> tuple[float, float]:
    """Return where an item wants to be, and how much.

    Long edges most of all want to be straight; a neighbour that many want to be near of counts less for each.
    """
    total, weights = 0.0, 0.0
    for other in neighbours:
        rivals = other.below if other.rank < item.rank else other.above
        weight = 8.0 if not (item.is_node or other.is_node) else 1.0 / len(rivals)
        total += weight * other.x
        weights += weight
    return (total / weights, weights) if weights else (item.x, 0.1)
