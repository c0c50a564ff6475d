"""Messages such as ``/greet``, which name their intent, read as in Rasa 2 and 3."""

from __future__ import annotations

import pytest

from rasa_core.slash_messages import parse_slash_message


@pytest.mark.parametrize(
    ("text", "confidence", "values"),
    [
        ('/a{"x": 1}', 1.0, [1]),
        ('/a {"x": 1} tail', 1.0, [1]),
        ('/a@0.5{"x": 1} tail', 0.5, [1]),
        ('/a@0.5 {"x": 1}', 0.5, []),
        ('/a@{"x": 1}', 1.0, []),
        ('/a@b{"x": 1}', 1.0, []),
        ('/a@0.7.3{"x": 1}', 0.0, [1]),
        ("/a@.", 0.0, []),
        ("/a{}", 1.0, []),
    ],
)
def test_entities_stand_right_behind_the_intent_or_its_confidence(
    text: str, confidence: float, values: list[int]
) -> None:
    parse = parse_slash_message(text, ["a"], ["x"])

    assert parse["intent"] == {"name": "a", "confidence": confidence}
    assert [entity["value"] for entity in parse["entities"]] == values
