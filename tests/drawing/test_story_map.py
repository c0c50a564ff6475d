"""The map of stories that are too many to show each step."""

from __future__ import annotations

import random

import pytest

from rasa_core.drawing import story_map
from rasa_core.drawing.story_map import StoryMap
from rasa_core.events import ActionExecuted, Event, UserUttered


def stories(count: int, actions: int) -> list[list[Event]]:
    """Return stories in which nearly every action may follow every other; the first way is taken most."""
    chance = random.Random(3)
    made = []
    for _ in range(count):
        names = ["hello", "usual", *(f"action {chance.randrange(actions)}" for _ in range(4))]
        said = (UserUttered("said", {"name": f"intent {chance.randrange(50)}"}) for _ in names)
        made.append([event for one, name in zip(said, names, strict=True) for event in (one, ActionExecuted(name))])
    return made


def test_of_very_many_steps_equal_actions_are_one_and_the_usual_ways_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story_map, "MOST_NODES", 100)
    monkeypatch.setattr(story_map, "MOST_WAYS", 30)
    told = stories(60, 12)
    made = StoryMap((events, [None] * len(events)) for events in told)
    drawn = made.as_dict()
    assert made.is_grouped
    assert len(drawn["nodes"]) == 15
    assert len(drawn["edges"]) == 30
    followed = {
        (before, after)
        for events in told
        for before, after in zip(["start", *_actions(events)], _actions(events), strict=False)
        if before != after
    }
    assert drawn["left_out"] == len(followed) - 30 > 0
    names = [node["name"] for node in drawn["nodes"]]
    ends = {(names[edge["from"]], names[edge["to"]]) for edge in drawn["edges"]}
    assert ("hello", "usual") in ends
    assert ends <= followed
    assert {after for _, after in ends} == set(names) - {"start"}


def test_of_few_steps_each_way_is_drawn() -> None:
    drawn = StoryMap((events, [None] * len(events)) for events in stories(5, 60)).as_dict()
    assert (drawn["grouped"], drawn["left_out"]) == (False, 0)


def _actions(events: list[Event]) -> list[str]:
    return [event.action_name for event in events if isinstance(event, ActionExecuted)]
