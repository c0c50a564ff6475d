"""What another model would have decided in conversations that have taken place."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_agent

from rasa_core.agent import Agent
from rasa_core.evaluation.replay import compare, compare_stories, decisions, without_corrected
from rasa_core.evaluation.stories import evaluate_stories
from rasa_core.events import ActionExecuted, FollowupAction, UserUttered
from rasa_core.stories import extract_story_graph
from rasa_core.tracker_store.reviews import each_of, newest

OTHER = MOOD_STORIES.replace("* greet\n  - utter_hello", "* greet\n  - utter_bye")


def agent(folder: Path, stories: str) -> Agent:
    folder.mkdir()
    return trained_agent(folder, MOOD_DOMAIN, stories)


@pytest.fixture(scope="module")
def bots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Agent, Agent]:
    folder = tmp_path_factory.mktemp("bots")
    return agent(folder / "old", MOOD_STORIES), agent(folder / "new", OTHER)


@pytest.fixture(scope="module")
def talked(bots: tuple[Agent, Agent]) -> Agent:
    for number in range(3):
        bots[0].handle_message("/greet", sender_id=f"user {number}")
    bots[0].handle_message("/bye", sender_id="short")
    return bots[0]


def conversations(bot: Agent) -> list:
    return list(each_of(bot.tracker_store, list(newest(bot.tracker_store, 100, without_corrected))))


def test_a_model_decides_again_what_it_has_decided(talked: Agent) -> None:
    for sender_id, events in conversations(talked):
        found = list(decisions(talked, sender_id, events))
        assert found
        assert [one.action for one in found] == [one.executed for one in found]


def test_changes_are_grouped_with_the_conversations_behind_them(talked: Agent, bots: tuple[Agent, Agent]) -> None:
    found = compare(*bots, conversations(talked))
    assert (found.conversations, found.decisions) == (4, 8)
    worse = [change for change in found.changes if change.verdict == "worse"]
    assert str(worse[0]) == "greet: utter_hello -> utter_bye, 3 times (worse)"
    assert sorted(worse[0].examples) == [("user 0", 2), ("user 1", 2), ("user 2", 2)]
    assert found.is_worse


def test_the_same_model_is_not_worse(talked: Agent, bots: tuple[Agent, Agent]) -> None:
    found = compare(bots[0], bots[0], conversations(talked))
    assert (found.changes, found.is_worse) == ([], False)


def test_the_other_way_round_it_is_better(talked: Agent, bots: tuple[Agent, Agent]) -> None:
    found = compare(bots[1], bots[0], conversations(talked))
    assert (found.count("better"), found.count("worse")) == (3, 0) or found.count("better") >= 3
    assert not found.is_worse


def test_messages_that_are_understood_otherwise_are_grouped(bots: tuple[Agent, Agent]) -> None:
    bots[0].handle_message("/greet", sender_id="typed")
    (events,) = [events for name, events in conversations(bots[0]) if name == "typed"]
    object.__setattr__(events[1], "text", "hello there")
    hears = (lambda text: {"intent": {"name": "greet"}}, lambda text: {"intent": {"name": "bye"}})
    found = compare(*bots, [("typed", events)], hears)
    assert [(one.before, one.after, one.count) for one in found.understood] == [("greet", "bye", 1)]


def test_a_corrected_conversation_is_left_out_and_its_draft_counts() -> None:
    assert without_corrected(["a", "a \u2192 1", "b", "c \u2192 2"]) == ["a \u2192 1", "b", "c \u2192 2"]


def test_what_somebody_has_put_right_in_a_draft_is_what_is_right(bots: tuple[Agent, Agent]) -> None:
    log = [
        ActionExecuted("action_listen"),
        UserUttered("/greet", {"name": "greet", "confidence": 1.0}),
        FollowupAction("utter_bye"),
        ActionExecuted("utter_bye"),
    ]
    drafted = compare(*bots, [("anna \u2192 1", log)])
    assert [str(change) for change in drafted.changes] == ["greet: utter_hello -> utter_bye, once (better)"]
    assert compare(*bots, [("anna", log)]).changes == []


def test_stories_that_fail_with_one_of_two_alone(bots: tuple[Agent, Agent], tmp_path: Path) -> None:
    file = tmp_path / "stories.md"
    file.write_text(MOOD_STORIES, encoding="utf-8")
    graph = extract_story_graph(file, bots[0].domain)
    found = compare_stories("stories", *(evaluate_stories(bot, graph) for bot in bots))
    assert found.broken == [f'{file}:3 "happy"', f'{file}:9 "sad"']
    assert (found.total, found.failing, found.mended) == (3, 2, [])
