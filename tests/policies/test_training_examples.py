"""The network's training examples: each distinct one once, with its weight, and who does not learn it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import islice

import numpy as np
import pytest
from policy_bot import ITALIAN, collector_of, conversation

from rasa_core.events import ActionExecuted, Event
from rasa_core.policies import example_rows, training_examples
from rasa_core.policies.example_rows import HELD_OUT_GROUPS, IN_NO_GROUP, TrainingExamples
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.network import PERCEPTRONS
from rasa_core.policies.training_examples import ExampleCollector
from rasa_core.support.places import Place
from rasa_core.trackers import DialogueStateTracker

GREETED = ("/greet", "utter_greet", "action_listen")
BYE = ("/bye", "utter_bye", "action_listen")
BOTH = (*GREETED[:2], *BYE)


class Story(DialogueStateTracker):
    """A conversation that stands in a story, one line for each action."""

    def __init__(self, steps: Iterable[Event], domain, name: str, is_augmented: bool = False) -> None:
        super().__init__(name, domain.slots)
        self.history.vocabulary = domain.vocabulary
        self.is_augmented = is_augmented
        for event in steps:
            self.update(event)

    def init_copy(self) -> DialogueStateTracker:
        return DialogueStateTracker(self.sender_id, self.slots.values())

    def action_sources(self) -> list[list[Place]]:
        actions = [event for event in self.applied_events() if isinstance(event, ActionExecuted)]
        return [[Place("stories.md", line, self.sender_id)] for line, _ in enumerate(actions, 1)]


@pytest.fixture
def story(domain):
    """Return a function that makes a conversation from a story."""
    return lambda name, *steps, is_augmented=False: Story(
        conversation(domain, *steps).events, domain, name, is_augmented
    )


@pytest.fixture
def collect(domain):
    """Return a function that collects the rows of conversations."""

    def collected(*trackers: DialogueStateTracker, **options) -> tuple[ExampleCollector, TrainingExamples]:
        featurizer = HistoryFeaturizer(2)
        collector = collector_of(featurizer, domain)
        for tracker in trackers:
            collector.add(tracker)
        return collector, collector.examples(**options)

    return collected


def arrays(rows: TrainingExamples) -> tuple[list, ...]:
    x = [row for block in rows.blocks() for row in rows.dense(block).tolist()]
    return x, rows.actions.tolist(), rows.weights.tolist(), rows.groups.tolist()


def names(rows: TrainingExamples, domain) -> list[str]:
    return [domain.action_names[index] for index in rows.actions]


def different_stories(story, count: int = 12) -> list[Story]:
    """Return stories of different lengths that have some turns in common."""
    draw = random.Random(0)
    turns = [("/greet", "utter_greet"), (ITALIAN, "action_search", "utter_found"), ("/thank", "utter_welcome"), BYE]
    return [
        story(f"story {number}", *(step for _ in range(draw.randint(1, 3)) for step in draw.choice(turns)))
        for number in range(count)
    ]


class TestRows:
    def test_are_the_features_before_each_action(self, domain, story, collect) -> None:
        featurizer = HistoryFeaturizer(2)
        collector = collector_of(featurizer, domain)
        tracker = story("s", *BOTH, ITALIAN, "action_search")
        collector.add(tracker)
        rows = collector.examples()
        expected = []
        for before in islice(tracker.generate_all_prior_trackers(), len(rows)):
            x = np.zeros(featurizer.num_features, np.float32)
            indices, values = featurizer.present(before)
            x[indices] = values
            expected.append(x.tolist())
        assert {("value", "cuisine=italian")}.isdisjoint(featurizer.names)
        assert rows.num_features == featurizer.num_features > 50
        assert arrays(rows)[0] == expected
        assert names(rows, domain) == [event.action_name for event in tracker.events if hasattr(event, "action_name")]

    def test_each_stands_there_once_with_its_weight(self, story, collect, domain) -> None:
        tracker = story("a", *GREETED[:2])
        _, rows = collect(tracker, tracker, story("a", "/bye"))
        assert names(rows, domain) == ["action_listen", "utter_greet"]
        assert rows.weights.tolist() == pytest.approx([3 / 2.5, 2 / 2.5])

    def test_the_same_moment_with_another_action_is_another_row(self, story, collect, domain) -> None:
        _, rows = collect(story("a", "/greet", "utter_greet"), story("a", "/greet", "utter_bye"))
        assert names(rows, domain) == ["action_listen", "utter_greet", "utter_bye"]

    def test_weigh_one_on_average(self, story, collect) -> None:
        _, rows = collect(*different_stories(story) * 2)
        assert rows.weights.mean() == pytest.approx(1.0)
        assert rows.weights.dtype == np.float32

    def test_no_conversations_give_none(self, collect) -> None:
        collector, rows = collect()
        assert (len(rows), list(rows.blocks()), rows.num_features) == (0, [], 0)
        assert not collector.training_turns(rows).has_places()

    def test_can_be_limited(self, story, collect) -> None:
        stories = different_stories(story)
        x, actions, _, groups = arrays(collect(*stories)[1])
        collector, limited = collect(*stories, limit=5)
        assert arrays(limited)[:2] == (x[:5], actions[:5])
        assert limited.groups.tolist() == groups[:5]
        assert limited.weights.mean() == pytest.approx(1.0)
        assert len(collector.training_turns(limited)) == 5

    def test_that_were_forgotten_come_again(self, story, collect, monkeypatch) -> None:
        monkeypatch.setattr(training_examples, "ROWS_REMEMBERED", 2)
        tracker = story("a", *BOTH)
        _, rows = collect(tracker, tracker)
        assert len(rows) == 10
        assert set(rows.weights) == {1.0}

    def test_of_features_that_were_learnt_before(self, story, collect, domain) -> None:
        featurizer = HistoryFeaturizer(2)
        first = collector_of(featurizer, domain)
        first.add(story("a", *GREETED))
        first.examples()
        before = list(featurizer.names)
        more = collector_of(featurizer, domain, learn_names=False)
        tracker = story("b", *BOTH)
        more.add(tracker)
        rows = more.examples()
        assert featurizer.names == before
        [last] = [arrays(rows)[0][-1]]
        x = np.zeros(len(before), np.float32)
        indices, values = featurizer.features(
            tracker.last_states(3)[:-1], without_last_action(tracker, domain).history, tracker.slots.values()
        )
        x[indices] = values
        assert last == x.tolist()

    def test_of_arrays_are_those_arrays(self) -> None:
        x = np.array([[0, 1, 0.5], [0, 0, 0], [2, 0, 0]], np.float32)
        rows = TrainingExamples.of_dense(x, np.array([2, 0, 1], np.int32))
        assert arrays(rows) == (x.tolist(), [2, 0, 1], [1.0] * 3, [IN_NO_GROUP] * 3)

    def test_of_nothing_but_zeros(self) -> None:
        rows = TrainingExamples.of_dense(np.zeros((2, 3), np.float32), np.zeros(2, np.int32))
        assert arrays(rows)[0] == [[0.0] * 3] * 2


def without_last_action(tracker: Story, domain) -> DialogueStateTracker:
    return DialogueStateTracker.from_events("x", list(tracker.events)[:-1], domain)


class TestAugmentedConversations:
    def test_weigh_less(self, story, collect, domain) -> None:
        _, rows = collect(story("a", *GREETED[:2]), story("a", *BOTH[:4], is_augmented=True))
        weights = dict(zip(names(rows, domain), (rows.weights / rows.weights.max()).tolist(), strict=True))
        less = training_examples.AUGMENTED_WEIGHT
        assert weights == {"action_listen": less, "utter_greet": 1.0, "utter_bye": less}

    def test_add_nothing_to_the_rows_of_their_stories(self, story, collect) -> None:
        own, glued = story("a", *GREETED), story("a", *GREETED, is_augmented=True)
        collector, rows = collect(own, glued, glued)
        expected, alone = collect(own)
        assert arrays(rows) == arrays(alone)
        assert turns_of(collector, rows) == turns_of(expected, alone)

    def test_stand_nowhere(self, story, collect) -> None:
        collector, rows = collect(story("a", *GREETED), story("a > b", *BOTH, is_augmented=True))
        assert {place for _, places, _ in turns_of(collector, rows) for place in places} == {
            f'stories.md:{line} "a"' for line in (1, 2, 3)
        }

    def test_are_left_out_where_there_are_many(self, story, collect, monkeypatch) -> None:
        monkeypatch.setattr(training_examples, "AUGMENTED_FREE", 0)
        monkeypatch.setattr(training_examples, "AUGMENTED_SHARE", 0.5)
        stories = different_stories(story)
        own = len(collect(*stories)[1])
        glued = [story("glued", *["/thank", "utter_bye"] * turns, is_augmented=True) for turns in range(1, own)]
        _, rows = collect(*stories, *glued)
        assert len(rows) - own == pytest.approx(own / 2, abs=2)

    def test_some_are_learnt_from_however_few_stories_there_are(self, story, collect) -> None:
        glued = [story("glued", *["/thank", "utter_bye"] * turns, is_augmented=True) for turns in range(1, 30)]
        assert len(collect(story("a", *GREETED), *glued)[1]) > 50


def turns_of(collector: ExampleCollector, rows: TrainingExamples) -> list[tuple[str, tuple[str, ...], int]]:
    table = collector.training_turns(rows)
    return sorted((turn.action, turn.places, turn.count) for turn in table.nearest([0], [1.0], 1000))


class TestGroups:
    def test_few_stories_are_never_held_out(self, story, collect) -> None:
        _, few = collect(*(story(f"s{number}", *GREETED) for number in range(training_examples.FEWEST_STORIES - 1)))
        _, enough = collect(*(story(f"s{number}", *GREETED) for number in range(training_examples.FEWEST_STORIES)))
        assert set(few.groups) == {IN_NO_GROUP}
        assert len(set(enough.groups)) > 1

    @pytest.mark.parametrize(("stories", "parts"), [(1, 0), (2, 2), (3, 3), (39, 3), (40, 0)])
    def test_few_stories_are_shared_out_so_that_each_can_be_left_out(self, story, collect, stories, parts) -> None:
        _, rows = collect(*(story(f"s{number}", "/bye") for number in range(stories)))
        assert (rows.folds is None) == (not parts)
        if rows.folds is not None:
            assert rows.folds.shape == (len(rows), PERCEPTRONS)
            assert rows.folds.sum(axis=1) == pytest.approx(rows.weights, rel=1e-5)
            assert (rows.folds.sum(axis=0) > 0).sum() == parts

    def test_each_holds_out_some_of_the_stories(self, story, collect) -> None:
        _, rows = collect(*(story(f"story {number}", "/bye") for number in range(300)))
        weight = np.bincount(rows.groups, rows.weights, HELD_OUT_GROUPS + 1)
        shares = weight / weight.sum()
        assert shares[:HELD_OUT_GROUPS] == pytest.approx(np.full(HELD_OUT_GROUPS, 0.15), abs=0.06)

    def test_a_story_is_in_one_group_wherever_it_comes(self, story, domain) -> None:
        numbers = list(range(60))
        found = []
        for order in (numbers, random.Random(1).sample(numbers, 60)):
            featurizer = HistoryFeaturizer(2)
            collector = collector_of(featurizer, domain)
            groups = {}
            for number in order:
                before = Counter(zip(collector._groups, collector._weights, strict=True))
                collector.add(story(f"story {number}", *BOTH))
                changed = Counter(zip(collector._groups, collector._weights, strict=True)) - before
                groups[number] = {group for group, _ in changed}
            found.append(groups)
            assert all(len(group) == 1 for group in groups.values())
        assert found[0] == found[1]

    def test_the_same_moment_is_held_out_for_one_story_and_learnt_from_another(self, story, collect) -> None:
        _, rows = collect(*(story(f"s{number}", "/bye") for number in range(60)))
        x, actions, _, groups = arrays(rows)
        assert len(rows) == len(set(groups)) == HELD_OUT_GROUPS + 1
        assert len({tuple(row) for row in x}) == len(set(actions)) == 1

    def test_conversations_that_are_no_stories_are_held_out_too(self, collect, domain) -> None:
        _, rows = collect(*(conversation(domain, *GREETED) for _ in range(60)))
        assert len(set(rows.groups)) > 1


class TestManyRows:
    @pytest.mark.parametrize(("size", "in_block"), [(7, 1000), (10**9, 3), (100, 3), (1, 1)])
    def test_in_files_and_in_blocks_are_the_same(self, story, collect, monkeypatch, size, in_block) -> None:
        stories = different_stories(story, 45)
        expected, whole = collect(*stories)
        assert len(whole.block_ends()) == 1
        monkeypatch.setattr(example_rows, "BYTES_IN_MEMORY", size)
        monkeypatch.setattr(example_rows, "ROWS_IN_BLOCK", in_block)
        collector, rows = collect(*stories)
        assert arrays(rows) == arrays(whole)
        assert arrays(rows) == arrays(whole)
        assert turns_of(collector, rows) == turns_of(expected, whole)
        assert len(rows.block_ends()) == -(-len(rows) // in_block)

    def test_of_a_block_some_can_be_had_in_any_order(self, story, collect, monkeypatch) -> None:
        monkeypatch.setattr(example_rows, "ROWS_IN_BLOCK", 6)
        _, rows = collect(*different_stories(story))
        x = arrays(rows)[0]
        assert rows.dense(rows.block(6), np.array([9, 6, 9])).tolist() == [x[9], x[6], x[9]]
        assert rows.dense(rows.block(6), np.array([], np.int64)).shape == (0, rows.num_features)


class TestDropout:
    def test_drops_a_share_of_the_numbers_and_keeps_the_sum(self) -> None:
        x = np.ones((200, 100), np.float32)
        rows = TrainingExamples.of_dense(x, np.zeros(200, np.int32))
        found = rows.dense(rows.block(0), np.arange(200), 0.2, np.random.default_rng(0))
        assert set(found.flat) == {np.float32(0.0), np.float32(1.25)}
        assert found.mean() == pytest.approx(1.0, abs=0.02)

    def test_needs_somebody_who_draws(self) -> None:
        rows = TrainingExamples.of_dense(np.ones((2, 3), np.float32), np.zeros(2, np.int32))
        assert rows.dense(rows.block(0), np.arange(2), 0.5).tolist() == np.ones((2, 3)).tolist()
        assert rows.dense(rows.block(0)).tolist() == np.ones((2, 3)).tolist()


class TestTrainingTurns:
    def test_tell_all_places_of_a_row(self, story, collect) -> None:
        collector, rows = collect(story("a", *GREETED), story("b", *BOTH))
        found = {action: places for action, places, _ in turns_of(collector, rows) if action != "action_listen"}
        assert found == {
            "utter_greet": ('stories.md:2 "a"', 'stories.md:2 "b"'),
            "utter_bye": ('stories.md:4 "b"',),
        }

    def test_of_conversations_that_are_no_stories_there_are_none(self, collect, domain) -> None:
        collector, rows = collect(conversation(domain, *GREETED))
        table = collector.training_turns(rows)
        assert (len(table), table.has_places()) == (0, False)

    def test_are_kept_of_the_first_rows(self, story, collect, monkeypatch) -> None:
        monkeypatch.setattr(training_examples, "ROWS_WITH_PLACES", 3)
        collector, rows = collect(*different_stories(story))
        assert len(collector.training_turns(rows)) == 3
