from __future__ import annotations

from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.support.marked_text import read_annotated, with_marks

TEXT = "from New York to NYC"


def entity(start: int, end: int, name: str, value: object = None, **marks: str) -> dict[str, Any]:
    return {"entity": name, "value": TEXT[start:end] if value is None else value, "start": start, "end": end, **marks}


def fail(problem: str) -> NoReturn:
    raise AssertionError(problem)


@pytest.mark.parametrize(
    ("entities", "written"),
    [
        pytest.param([entity(5, 13, "city")], "from [New York](city) to NYC", id="a word"),
        pytest.param(
            [entity(17, 20, "city", "New York"), entity(5, 13, "city", role="from")],
            'from [New York]{"entity": "city", "role": "from"} to [NYC]{"entity": "city", "value": "New York"}',
            id="value and role",
        ),
        pytest.param([entity(5, 13, "city")] * 2, "from [New York](city) to NYC", id="found twice"),
        pytest.param(
            [entity(17, 20, "city", "New York"), entity(17, 20, "code")],
            'from New York to [NYC][{"entity": "city", "value": "New York"}, {"entity": "code"}]',
            id="two of one text",
        ),
        pytest.param(
            [entity(9, 13, "county"), entity(5, 13, "city"), entity(5, 8, "age")],
            "from [New York](city) to NYC",
            id="one inside of another",
        ),
        pytest.param([entity(17, 99, "city"), entity(8, 5, "city"), {"entity": "city", "value": "x"}], TEXT, id="none"),
    ],
)
def test_entities_are_marked_where_they_stand(entities: list[dict[str, Any]], written: str) -> None:
    text, marked = with_marks(TEXT, entities)
    assert text == written
    assert all(one in entities for one in marked)
    assert len(marked) == sum(1 for one in entities if written != TEXT and one["entity"] not in ("county", "age"))


def test_in_markdown_a_value_stands_behind_a_colon_unless_there_is_more_to_tell() -> None:
    assert with_marks(TEXT, [entity(17, 20, "city", "New York")], as_json=False)[0].endswith("[NYC](city:New York)")
    told = with_marks(TEXT, [entity(17, 20, "city", "York", role="to")], as_json=False)[0]
    assert told.endswith('[NYC]{"entity": "city", "value": "York", "role": "to"}')


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from("ab"), st.sampled_from(["", "x"]))))
def test_what_is_marked_is_read_again(spans: list[tuple[int, int, str, str]]) -> None:
    written, marked = with_marks(TEXT, [entity(start, end, name, role=role) for start, end, name, role in spans])
    text, read = read_annotated(written, fail)
    assert text == TEXT
    assert {(one.start, one.end, one.entity, one.role) for one in read} == {
        (one["start"], one["end"], one["entity"], one["role"]) for one in marked
    }


def test_a_second_mark_of_an_entity_is_text_and_told() -> None:
    told: list[str] = []
    text, spans = read_annotated('to [Lisboa](city){"entity": "city", "value": "Lisbon"}', fail, told.append)
    assert text == 'to Lisboa{"entity": "city", "value": "Lisbon"}'
    assert [(span.start, span.end, span.value) for span in spans] == [(3, 9, "Lisboa")]
    assert len(told) == 1
    assert "an entity has one mark" in told[0]
