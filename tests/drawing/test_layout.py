"""The positions of nodes, arrows and labels in a picture."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.drawing.layout import Box, Link, lay_out

SIZES = st.floats(10, 300)
GRAPHS = st.integers(1, 14).flatmap(
    lambda count: st.tuples(
        st.lists(
            st.builds(Box, SIZES, SIZES, st.sampled_from([0.0, 80.0]), st.sampled_from([0.0, 400.0])),
            min_size=count,
            max_size=count,
        ),
        st.sets(
            st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda ends: ends[0] != ends[1])
        ),
        st.lists(st.tuples(st.sampled_from([0.0, 40.0, 200.0]), st.sampled_from([12.0, 60.0])), min_size=1),
    )
)


@given(GRAPHS)
def test_nothing_overlaps_and_all_is_inside(
    graph: tuple[list[Box], set[tuple[int, int]], Sequence[tuple[float, float]]],
) -> None:
    boxes, ends, sizes = graph
    links = []
    for number, (start, end) in enumerate(sorted(ends)):
        width, height = sizes[number % len(sizes)]
        links.append(Link(start, end, width, height if width else 0.0))
    full_width, full_height = lay_out(boxes, links)
    areas = []
    for box in boxes:
        half = max(box.height, box.aside_height) / 2
        areas.append((box.x - box.width / 2, box.y - half, box.x + box.width / 2 + box.aside, box.y + half))
    for link in links:
        if link.width:
            x, y = link.label
            areas.append((x - link.width / 2, y - link.height / 2, x + link.width / 2, y + link.height / 2))
    for left, top, right, bottom in areas:
        assert left >= 0
        assert top >= 0
        assert right <= full_width
        assert bottom <= full_height
    for index, one in enumerate(areas):
        for other in areas[:index]:
            is_apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert is_apart, (one, other)


@given(GRAPHS)
def test_lines_run_from_box_to_box_and_only_those_that_close_a_cycle_upwards(
    graph: tuple[list[Box], set[tuple[int, int]], Sequence[tuple[float, float]]],
) -> None:
    boxes, ends, _ = graph
    links = [Link(start, end) for start, end in sorted(ends)]
    lay_out(boxes, links)
    for link in links:
        for node, (x, y), is_lower_edge in (
            (link.start, link.points[0], not link.is_turned),
            (link.end, link.points[-1], link.is_turned),
        ):
            box = boxes[node]
            assert abs(x - box.x) <= box.width / 2
            assert y == pytest.approx(box.y + box.height / 2 * (1 if is_lower_edge else -1))
        heights = [y for _, y in link.points]
        assert heights == sorted(heights, reverse=link.is_turned)


def test_a_tree_has_no_crossings_and_its_parents_stand_above_their_children() -> None:
    boxes = [Box(50, 20) for _ in range(5)]
    lay_out(boxes, [Link(0, 1), Link(0, 2), Link(1, 4), Link(2, 3)])
    assert (boxes[1].x < boxes[2].x) == (boxes[4].x < boxes[3].x)
    assert boxes[0].x == pytest.approx((boxes[1].x + boxes[2].x) / 2, abs=1)


def test_parts_that_nothing_links_to_each_other_stand_side_by_side() -> None:
    boxes = [Box(50, 20) for _ in range(4)]
    lay_out(boxes, [Link(0, 2), Link(1, 3)])
    assert boxes[0].x == boxes[2].x < boxes[1].x - 50
    assert boxes[1].x == boxes[3].x
