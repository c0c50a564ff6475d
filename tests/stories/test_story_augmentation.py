"""Augmentation: complete conversations are continued with other stories."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, SlotSet
from rasa_core.stories import load_data

THREE = "## a\n* greet\n- utter_greet\n\n## b\n* deny\n- utter_ok\n\n## c\n* goodbye\n- utter_bye"


def _many(count: int) -> str:
    intents = ["greet", "affirm", "deny", "goodbye"]
    actions = ["utter_greet", "utter_ask", "utter_ok", "utter_sorry", "utter_bye"]
    return "\n".join(
        f"## s{n}\n* {intents[n % 4]}\n" + "".join(f"- {actions[n // divisor % 5]}\n" for divisor in (4, 20, 100))
        for n in range(count)
    )


def _split(trackers):
    return [t for t in trackers if not t.is_augmented], [t for t in trackers if t.is_augmented]


@pytest.mark.parametrize("options", [{"augmentation_factor": 0}, {"use_story_concatenation": False}], ids=str)
def test_without_augmentation_there_are_as_many_conversations_as_stories(generate, options):
    assert len(generate(THREE, **{"augmentation_factor": 20, **options})) == 3


def test_the_first_round_joins_each_story_with_each(generate):
    _, augmented = _split(generate(THREE, augmentation_factor=20))

    pairs = {tracker.sender_id for tracker in augmented if tracker.sender_id.count(">") <= 1}
    assert pairs == {f"{head} > {tail}" for head in "abc" for tail in "abc"}


def test_augmented_conversations_come_last_and_leave_the_others_as_they_are(generate):
    plain = generate(THREE)
    own, augmented = _split(both := generate(THREE, augmentation_factor=20))

    assert both == own + augmented
    assert [list(tracker.events) for tracker in own] == [list(tracker.events) for tracker in plain]
    assert len(augmented) > 30


@pytest.mark.parametrize("factor", [1, 2, 5, 20])
@pytest.mark.parametrize("stories", [1, 3, 50, 400])
def test_augmentation_is_bounded(generate, stories, factor):
    own, augmented = _split(generate(_many(stories), augmentation_factor=factor))

    assert len(own) == stories
    assert 0 < len(augmented) <= 3 * 10 * factor


def test_a_story_that_only_goes_round_is_learnt_behind_others_too(generate):
    stories = "## a\n* deny\n- utter_ok\n\n## b\n* greet\n- utter_greet\n> round\n\n"
    stories += "## c\n> round\n* affirm\n- utter_ask\n> round"
    _, augmented = _split(generate(stories, augmentation_factor=20))

    [events] = [list(tracker.events) for tracker in augmented if tracker.sender_id.startswith("a > b")]
    actions = [event.action_name for event in events if isinstance(event, ActionExecuted)]
    told = ["utter_ok", "action_listen", "utter_greet", "action_listen", "utter_ask", "action_listen", "utter_ask"]
    assert actions[1:] == told


def test_no_conversation_is_made_twice(generate):
    trackers = generate(THREE, augmentation_factor=20)

    assert len({tuple(tracker.events) for tracker in trackers}) == len(trackers)


def test_the_bot_listens_once_between_stories(generate):
    for tracker in generate(THREE, augmentation_factor=20):
        actions = [event.action_name for event in tracker.events if isinstance(event, ActionExecuted)]
        assert all(pair != ("action_listen", "action_listen") for pair in itertools.pairwise(actions))


def test_slots_are_kept_from_story_to_story(generate):
    trackers = generate(
        '## a\n* inform{"city": "Rome"}\n- utter_ok\n\n## b\n* deny\n- utter_bye', augmentation_factor=20
    )

    [joined] = [tracker for tracker in trackers if tracker.sender_id == "a > b"]
    assert joined.get_slot("city") == "Rome"
    assert "slot_city_0" in joined.active_state()


def test_a_story_that_starts_with_an_action_goes_on_behind_the_listening(generate):
    trackers = generate("## a\n* greet\n- utter_greet\n\n## b\n- utter_ask", augmentation_factor=20)

    [joined] = [tracker for tracker in trackers if tracker.sender_id == "a > b"]
    actions = [event for event in joined.events if isinstance(event, ActionExecuted)]
    assert [(action.action_name, action.unpredictable) for action in actions] == [
        ("action_listen", False),
        ("utter_greet", False),
        ("action_listen", False),
        ("utter_ask", True),
        ("action_listen", False),
    ]


def test_sources_of_joined_stories_are_kept(generate):
    trackers = generate(THREE, augmentation_factor=20)

    [joined] = [tracker for tracker in trackers if tracker.sender_id == "a > c"]
    assert [source.line for source in joined.sources] == [2, 2, 3, 3, 10, 11, 11]


@pytest.mark.parametrize("folder", ["concertbot/concert_domain.yml", "moodbot/domain.yml", "babi/domain_0.9.yml"])
def test_sample_stories_are_augmented(sample_data, folder):
    domain = Domain.load(sample_data / folder, action_factory="remote")
    [stories] = (sample_data / folder).parent.glob("stories*.md")

    own = load_data(stories, domain, augmentation_factor=0)
    _, augmented = _split(load_data(stories, domain))

    assert len(own) == len({tuple(frozenset(state.items()) for state in tracker.last_states(None)) for tracker in own})
    assert 0 < len(augmented) <= 600


_PRINT = """
import sys, logging
from rasa_core.domain import Domain
from rasa_core.stories import load_data
domain = Domain.load(sys.argv[1])
window = int(sys.argv[3]) or None
for tracker in load_data(sys.argv[2], domain, tracker_limit=7, unique_last_num_states=window):
    words = [repr(event) + str(source) for event, source in zip(tracker.events, tracker.sources)]
    print(tracker.sender_id, tracker.is_augmented, *words)
"""

_TANGLED = (
    "\n".join(f'## a{n}\n* inform{{"city": {n}}} OR greet\n- utter_ask\n> x' for n in range(6))
    + "\n"
    + "\n".join(f"## b{n}\n> x\n* affirm OR deny\n- utter_ok\n> {'x' if n % 2 else 'y'}" for n in range(6))
    + '\n## c\n> y{"city": 3}\n* goodbye\n## d\n> y\n* deny\n- utter_bye'
)


def test_load_data_augments_unless_told_otherwise(tmp_path: Path) -> None:
    domain = Domain.from_yaml("intents: [a, b]\nactions: [utter_a]\ntemplates: {utter_a: [A]}\n")
    file = tmp_path / "stories.md"
    file.write_text("## a\n* a\n - utter_a\n\n## b\n* b\n - utter_a\n", encoding="utf-8")
    assert len(load_data(file, domain)) > 2
    assert len(load_data(file, domain, True, None, 20, None, None, True, False)) > 2
    assert len(load_data(file, domain, use_story_concatenation=False)) == 2
    assert len(load_data(file, domain, augmentation_factor=0)) == 2


@pytest.mark.parametrize("window", ["0", "3"], ids=["all states", "three states"])
def test_every_process_makes_the_same_conversations(tmp_path, domain, window):
    domain.persist(tmp_path / "domain.yml")
    (tmp_path / "stories.md").write_text(_TANGLED)
    root = Path(__file__).resolve().parents[2]

    def run(seed: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", _PRINT, "domain.yml", "stories.md", window],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first = run("1")

    assert len(first.splitlines()) > 20
    assert run("2") == first


def test_another_seed_makes_other_augmented_conversations(generate):
    def names(seed: int) -> list[str]:
        return [tracker.sender_id for tracker in generate(_many(50), augmentation_factor=5, seed=seed)]

    assert names(1) == names(1)
    assert names(1) != names(2)


def test_slots_set_by_a_story_reach_the_next(generate):
    trackers = generate('## a\n* greet\n- slot{"tags": ["x"]}\n- utter_ok\n\n## b\n* deny', augmentation_factor=20)

    [joined] = [tracker for tracker in trackers if tracker.sender_id == "a > b"]
    assert SlotSet("tags", ["x"]) in joined.events
    assert joined.active_state()["slot_tags_0"] == 1.0
