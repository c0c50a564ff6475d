"""Many stories, and stories with very many combinations."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, UserUttered
from rasa_core.stories import generator
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.sampling import CONTINUATIONS_PER_CHECKPOINT, sample, share_evenly, share_histories
from rasa_core.stories.steps import STORY_START, StoryGraph, StoryStep
from rasa_core.trackers import DialogueStateTracker

DOMAIN = Domain.from_yaml(
    """
intents: [a, b, c]
entities: [e]
slots: {e: {type: text}, s: {type: text}}
actions: [x, y, z]
action_factory: remote
"""
)
Prediction = tuple[tuple[frozenset[tuple[str, float]], ...], str]


def _predictions(events: list[Event], window: int | None) -> set[Prediction]:
    """Replay a conversation and return what can be learnt: the last states, and the action that follows."""
    tracker = DialogueStateTracker("oracle", DOMAIN.slots)
    states, found = [], set()
    for event in events:
        if isinstance(event, ActionExecuted):
            states.append(frozenset(tracker.active_state().items()))
            if not event.unpredictable:
                found.add((tuple(states if window is None else states[-window:]), event.action_name))
        tracker.update(event)
    return found


def _every_path(graph: StoryGraph) -> list[list[Event]]:
    """Return the events of every path through a graph without cycles, in the plainest way."""

    def spelt_out(steps: tuple[StoryStep, ...]) -> list[Event]:
        events: list[Event] = []
        for event in itertools.chain.from_iterable(step.events for step in steps):
            last = [one for one in events if isinstance(one, ActionExecuted | UserUttered)][-1:]
            if isinstance(event, UserUttered) and last != [ActionExecuted(ACTION_LISTEN_NAME)]:
                events.append(ActionExecuted(ACTION_LISTEN_NAME))
            opens = not any(isinstance(one, ActionExecuted | UserUttered) for one in events)
            if isinstance(event, ActionExecuted) and opens and event in steps[0].events:
                event = ActionExecuted(event.action_name, unpredictable=True)
            events.append(event)
            if isinstance(event, UserUttered):
                events.extend(DOMAIN.slots_for_entities(event.entities))
        return events

    def go_on(steps: tuple[StoryStep, ...], name: str | None) -> list[list[Event]]:
        if name is None:
            return [[*spelt_out(steps), ActionExecuted(ACTION_LISTEN_NAME)]]
        slots = DialogueStateTracker.from_events("oracle", spelt_out(steps), DOMAIN).current_slot_values()
        paths = []
        for step in graph.story_steps:
            for start in step.start_checkpoints:
                if start.name == name and all(slots.get(key) == value for key, value in start.conditions.items()):
                    for end in [end.name for end in step.end_checkpoints] or [None]:
                        paths += go_on((*steps, step), end)
        return paths or [spelt_out(steps)]

    return go_on((), STORY_START)


_events = st.sampled_from(["* a", "* b", '* c{"e": 1}', '* c{"e": 2}', "- x", "- y", "- z", '- slot{"s": 1}'])


@st.composite
def _forward_graphs(draw: st.DrawFn) -> StoryGraph:
    """Draw stories between checkpoints in layers, each with a message in front so that listening is plain."""
    text = []
    for number in range(draw(st.integers(2, 7))):
        layer = draw(st.integers(0, 2))
        starts = (
            [f"> k{layer}" + draw(st.sampled_from(["", "", '{"s": 1}', '{"e": 2}', '{"s": null}']))] if layer else []
        )
        body = [draw(st.sampled_from(["* a", "* b", '* c{"e": 2}'])), *draw(st.lists(_events, max_size=3))]
        end = draw(st.integers(layer, 3))
        text += [f"## s{number}", *starts, *body, *([f"> k{end}"] if end > layer else [])]
    return StoryGraph(StoryFileReader(DOMAIN).process_lines(text))


@settings(max_examples=60, deadline=None)
@given(_forward_graphs(), st.sampled_from([None, 1, 2, 3]))
def test_merging_loses_nothing_that_policies_could_learn(graph, window):
    found = TrainingDataGenerator(graph, DOMAIN, True, window, augmentation_factor=0).generate()

    expected = set().union(*(_predictions(events, window) for events in _every_path(graph)))
    assert set().union(*(_predictions(list(tracker.events), window) for tracker in found)) == expected


@settings(max_examples=60, deadline=None)
@given(_forward_graphs(), st.sampled_from([1, 2, 3, 5]), st.booleans())
def test_no_turn_is_lost_where_paths_are_too_many_to_be_listed(graph, window, merge_always):
    options = {"unique_last_num_states": window} if merge_always else {"max_history": window}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generator, "CONTINUATIONS_PER_CHECKPOINT", 1)
        found = TrainingDataGenerator(graph, DOMAIN, augmentation_factor=0, **options).generate()

    expected = set().union(*(_predictions(events, window) for events in _every_path(graph)))
    assert set().union(*(_predictions(list(tracker.events), window) for tracker in found)) == expected


def _ways_with_alternatives(layers: int, width: int) -> StoryGraph:
    text = []
    for layer, number in itertools.product(range(layers), range(width)):
        text += [f"## s{layer}_{number}", *([f"> k{layer}"] if layer else [])]
        text += [f'* {"abc"[number % 3]} OR c{{"e": {number}}}', f"- {'xyz'[number % 3]}"]
        text += ["- x"] * (number % 2) + ([f"> k{layer + 1}"] if layer + 1 < layers else [])
    return StoryGraph(StoryFileReader(DOMAIN).process_lines(text))


@pytest.mark.parametrize("window", [2, 3, 5])
def test_turns_of_a_graph_with_alternatives_are_those_of_all_its_paths(window, monkeypatch):
    monkeypatch.setattr(generator, "CONTINUATIONS_PER_CHECKPOINT", 5)
    graph = _ways_with_alternatives(layers=3, width=3)
    paths = _every_path(graph)

    found = TrainingDataGenerator(graph, DOMAIN, augmentation_factor=0, max_history=window).generate()

    expected = set().union(*(_predictions(events, window) for events in paths))
    assert set().union(*(_predictions(list(tracker.events), window) for tracker in found)) == expected
    assert len(paths) == 6**3
    assert len(found) < 6**3


def test_conversations_grow_with_what_policies_tell_apart_and_not_with_paths():
    made = [
        TrainingDataGenerator(_ways_with_alternatives(layers, 20), DOMAIN, augmentation_factor=0, max_history=3)
        for layers in (4, 8)
    ]

    shorter, longer = (one.generate() for one in made)

    assert len(longer) < 2 * len(shorter)
    turns = [
        len({turn for tracker in trackers for turn, _ in tracker.turns(3)} - {None}) for trackers in (shorter, longer)
    ]
    assert turns[1] <= 2 * turns[0]


def test_what_was_long_ago_does_not_seem_to_decide_what_comes_next(monkeypatch):
    monkeypatch.setattr(generator, "CONTINUATIONS_PER_CHECKPOINT", 5)
    graph = _ways_with_alternatives(layers=4, width=9)

    found = TrainingDataGenerator(graph, DOMAIN, augmentation_factor=0, max_history=2).generate()

    ways = [[source.name for source in tracker.sources] for tracker in found]
    onward: dict[str, set[str]] = {}
    for names in ways:
        onward.setdefault(names[0], set()).update(name for name in names if name.startswith("s3"))
    assert min(map(len, onward.values())) > 1


def test_a_limit_that_is_given_holds_although_histories_are_lost(monkeypatch):
    graph = _ways_with_alternatives(layers=3, width=9)
    options = {"augmentation_factor": 0, "max_history": 5}

    limited = TrainingDataGenerator(graph, DOMAIN, tracker_limit=20, **options).generate()

    assert len([tracker for tracker in limited if tracker.sender_id.count(">") == 2]) <= 20


def test_where_even_different_histories_are_too_many_that_is_said(monkeypatch, caplog):
    monkeypatch.setattr(generator, "CONTINUATIONS_PER_CHECKPOINT", 5)
    monkeypatch.setattr(generator, "HISTORIES_PER_CHECKPOINT", 20)
    graph = _ways_with_alternatives(layers=3, width=9)

    found = TrainingDataGenerator(graph, DOMAIN, augmentation_factor=0, max_history=5).generate()

    assert "is reached in so many ways that not every history of 5 states goes on" in caplog.text
    assert _lines(found) == {source.line for step in graph.story_steps for source in step.sources}


def test_a_conversation_that_is_left_out_lends_its_places(generate):
    text = '## a\n* inform{"city": "Rome"}\n- utter_ok\n\n## b\n* inform{"city": "Bonn"}\n- utter_ok'

    [tracker] = generate(text)

    assert [sorted(source.line for source in sources) for sources in tracker.action_sources()] == [
        [2, 6],
        [3, 7],
        [3, 7],
    ]


def test_turns_merged_at_a_checkpoint_keep_the_places_of_all(generate):
    twice = "* affirm\n- utter_ok\n* deny\n- utter_ok\n"
    text = f"## a\n* greet\n- utter_ok\n* deny\n- utter_ok\n> x\n## b\n{twice}> x\n## c\n{twice}"
    text += "## d\n> x\n* goodbye\n- utter_bye"

    found = generate(text, unique_last_num_states=2)

    told = [[source.name for source in sources] for tracker in found for sources in tracker.action_sources()]
    assert "b" not in {tracker.sender_id for tracker in found}
    assert ["c", "b"] in told


def _chain(layers: int, width: int) -> StoryGraph:
    text = []
    for layer, number in itertools.product(range(layers), range(width)):
        text += [f"## s{layer}_{number}", *([f"> k{layer}"] if layer else [])]
        text += [f"* {'abc'[number % 3]}", *("- " + "xyz"[number // 3**digit % 3] for digit in range(3))]
        text += [f"> k{layer + 1}"] if layer + 1 < layers else []
    return StoryGraph(StoryFileReader(DOMAIN).process_lines(text))


def _lines(trackers) -> set[int]:
    return {source.line for tracker in trackers for source in tracker.sources}


@pytest.mark.parametrize("window", [None, 4], ids=["all states", "four states"])
def test_very_many_paths_give_few_conversations_and_no_story_is_left_out(window):
    graph = _chain(layers=12, width=20)
    began = time.process_time()

    found = TrainingDataGenerator(graph, DOMAIN, True, window, augmentation_factor=0).generate()

    assert len(found) <= CONTINUATIONS_PER_CHECKPOINT * 2
    if window is None:
        assert _lines(found) == {source.line for step in graph.story_steps for source in step.sources}
    assert time.process_time() - began < 10


def test_what_few_states_tell_is_complete_even_among_very_many_paths():
    window = 3
    graph = _chain(layers=5, width=9)
    found = TrainingDataGenerator(graph, DOMAIN, True, window, augmentation_factor=0).generate()

    expected = set().union(*(_predictions(events, window) for events in _every_path(_chain(layers=3, width=9))))
    assert set().union(*(_predictions(list(tracker.events), window) for tracker in found)) == expected
    assert len(found) < 9**3


def test_the_limit_is_kept(generate):
    text = "\n".join(f"## a{n}\n* greet\n" + "- utter_ok\n" * n + "> x" for n in range(10))
    text += "\n" + "\n".join(f"## b{n}\n> x\n* deny\n" + "- utter_ask\n" * n for n in range(5))

    found = generate(text, tracker_limit=10)

    complete = [tracker for tracker in found if tracker.sender_id.count(">") == 1]
    assert len(complete) == len(found) == 10
    assert {tracker.sender_id.split(" > ")[0] for tracker in found} == {f"a{n}" for n in range(10)}
    assert {tracker.sender_id.split(" > ")[1] for tracker in found} == {f"b{n}" for n in range(5)}


def test_conditions_are_kept_where_there_is_a_limit(generate):
    text = "\n".join(f'## a{n}\n* inform{{"city": {n}}}\n> x' for n in range(10))
    text += "\n" + "\n".join(f'## b{n}\n> x{{"city": {n}}}\n* deny' for n in range(10))

    found = generate(text, tracker_limit=2, remove_duplicates=False)

    assert [tracker.sender_id for tracker in found] == [f"a{n} > b{n}" for n in range(10)]


def test_a_deal_below_the_limit_is_all():
    arrivals = [DialogueStateTracker(str(n), []) for n in range(3)]

    assert share_evenly([arrivals] * 2, 6, random.Random(0)) == [arrivals, arrivals]
    assert share_evenly([], 6, random.Random(0)) == []


@pytest.mark.parametrize("seed", range(3))
def test_steps_that_wait_for_the_user_share_out_whole_histories_and_each_gets_every_shorter_one(seed: int) -> None:
    arrivals = ["xa", "xb", "xc", "ya"]  # The first letter is what is seen without the oldest state.
    *waiting, other = share_histories(
        [arrivals] * 3, [True, True, False], whole=str, shorter=lambda one: one[0], rng=random.Random(seed)
    )
    assert sorted(other) == arrivals
    assert sorted({one for share in waiting for one in share}) == arrivals
    assert [sorted({one[0] for one in share}) for share in waiting] == [["x", "y"]] * 2
    assert sum(map(len, waiting)) == 5


def test_a_sample_keeps_the_order():
    chosen = sample(range(100), 10, random.Random(0))

    assert chosen == sorted(chosen)
    assert len(set(chosen)) == 10
    assert sample([3, 1], 5, random.Random(0)) == [3, 1]


def test_a_long_chain_of_checkpoints_is_walked(generate):
    text = "\n".join(f"## s{n}\n> k{n}\n* greet\n- utter_ok\n> k{n + 1}" for n in range(1, 1500))

    [tracker] = generate("## s0\n* greet\n> k1\n" + text)

    assert len(tracker.events) == 1500 * 2 + 1499


def test_two_thousand_real_stories_are_made_in_seconds(sample_data):
    domain = Domain.load(sample_data / "babi" / "domain_0.9.yml", action_factory="remote")
    lines = (sample_data / "babi" / "stories_train.md").read_text(encoding="utf-8").split("\n")
    began = time.process_time()

    graph = StoryGraph(StoryFileReader(domain).process_lines(lines * 3))
    trackers = TrainingDataGenerator(graph, domain).generate()

    assert len(graph.story_steps) == 2400
    assert len(trackers) > 1000
    assert time.process_time() - began < 10
