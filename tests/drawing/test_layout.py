"""Where the nodes, arrows and labels of a picture are placed."""

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
    layout = lay_out(boxes, links)
    areas = []
    for box, (x, y) in zip(boxes, layout.centres, strict=True):
        half = max(box.height, box.aside_height) / 2
        areas.append((x - box.width / 2, y - half, x + box.width / 2 + box.aside, y + half))
    for link, route in zip(links, layout.routes, strict=True):
        if link.width:
            x, y = route.label
            areas.append((x - link.width / 2, y - link.height / 2, x + link.width / 2, y + link.height / 2))
    for left, top, right, bottom in areas:
        assert left >= 0
        assert top >= 0
        assert right <= layout.width
        assert bottom <= layout.height
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
    layout = lay_out(boxes, links)
    for link, route in zip(links, layout.routes, strict=True):
        for node, (x, y), is_lower_edge in (
            (link.start, route.points[0], not route.is_turned),
            (link.end, route.points[-1], route.is_turned),
        ):
            centre_x, centre_y = layout.centres[node]
            assert abs(x - centre_x) <= boxes[node].width / 2
            assert y == pytest.approx(centre_y + boxes[node].height / 2 * (1 if is_lower_edge else -1))
        heights = [y for _, y in route.points]
        assert heights == sorted(heights, reverse=route.is_turned)


def test_a_tree_has_no_crossings_and_its_parents_stand_above_their_children() -> None:
    links = [Link(0, 1), Link(0, 2), Link(1, 4), Link(2, 3)]
    centres = lay_out([Box(50, 20)] * 5, links).centres
    assert (centres[1][0] < centres[2][0]) == (centres[4][0] < centres[3][0])
    assert centres[0][0] == pytest.approx((centres[1][0] + centres[2][0]) / 2, abs=1)
