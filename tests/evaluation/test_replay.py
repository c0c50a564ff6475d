"""Replay of stored conversations with another model, and the decisions that differ."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from feature_groups import groups_of
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_agent

from rasa_core.agent import Agent
from rasa_core.evaluation.changes import Comparison
from rasa_core.evaluation.replay import compare, compare_stories, decisions, without_corrected
from rasa_core.evaluation.stories import evaluate_stories, whole_stories
from rasa_core.events import (
    ActionExecuted,
    AllSlotsReset,
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    FollowupAction,
    Restarted,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.policies import FallbackPolicy, KerasPolicy, PolicyEnsemble
from rasa_core.policies.batch_moments import MomentReader
from rasa_core.policies.batch_prediction import ALONE, BatchPredictor
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.network import PolicyNetwork
from rasa_core.stories import extract_story_graph
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph
from rasa_core.teaching.corrections import DRAFT_MARK
from rasa_core.tracker_store.log_store import EventLogStore
from rasa_core.tracker_store.logs import each_of
from rasa_core.tracker_store.reviews import newest
from rasa_core.trackers import DialogueStateTracker

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


def heard(bots: tuple[Agent, Agent], message: UserUttered, *found: list[dict[str, object]]) -> Comparison:
    """Return the report on a message for which both have the same intent, but different entities."""
    hears = [lambda text, one=one: {"intent": {"name": "greet"}, "entities": one} for one in found]
    return compare(*bots, [("typed", [ActionExecuted("action_listen"), message])], (hears[0], hears[1]))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ([], [("city", "Porto")], "none -> city"),
        ([("city", "Porto"), ("day", "today")], [("day", "today")], "city -> none"),
        ([("city", "Porto"), ("day", "today")], [("day", "now"), ("city", "Porto")], 'day "today" -> day "now"'),
        ([("city", "Porto")], [("city", "Porto"), ("city", "Faro")], "none -> city"),
    ],
)
def test_entities_that_differ_are_a_kind_of_their_own(
    bots: tuple[Agent, Agent], old: list[tuple[str, str]], new: list[tuple[str, str]], told: str
) -> None:
    found = [[{"entity": name, "value": value} for name, value in one] for one in (old, new)]
    compared = heard(bots, UserUttered("hello in Porto", {"name": "greet"}), *found)
    assert [str(one) for one in compared.entities] == [f"entities of greet: {told}, once (changed)"]
    assert (compared.understood, compared.is_worse) == ([], False)
    assert compared.as_dict()["entities"][0]["kind"] == "entities"


def test_equal_entities_in_another_order_are_the_same(bots: tuple[Agent, Agent]) -> None:
    found = [{"entity": "city", "value": "Porto"}, {"entity": "day", "value": "today", "role": "until"}]
    compared = heard(bots, UserUttered("hello", {"name": "greet"}), found, found[::-1])
    assert compared.entities == []
    compared = heard(bots, UserUttered("hello", {"name": "greet"}), found, [found[0], {**found[1], "role": "since"}])
    assert str(compared.entities[0]) == "entities of greet: day (until) -> day (since), once (changed)"


def test_what_somebody_said_was_meant_is_what_is_right(bots: tuple[Agent, Agent]) -> None:
    right = [{"entity": "city", "value": "Porto"}]
    parsed = {"intent": {"name": "greet", "confidence": 1.0}, "entities": right}
    corrected = UserUttered("in Porto", parsed["intent"], right, parsed, metadata={"corrected": True})
    assert heard(bots, corrected, right, []).is_worse
    assert [one.verdict for one in heard(bots, corrected, [], right).entities] == ["better"]


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


def test_conversations_are_read_without_a_tracker_and_those_deleted_meanwhile_are_left_out(
    talked: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = talked.tracker_store
    assert isinstance(store, EventLogStore)
    monkeypatch.setattr(EventLogStore, "_load", None)
    read_events, gone = type(store).read_events, ["user 1"]

    def deleting(self: EventLogStore, sender_id: str, start: int, stop: int) -> list[str]:
        return [] if gone == [sender_id] and gone.pop() else read_events(self, sender_id, start, stop)

    monkeypatch.setattr(type(store), "read_events", deleting)
    heads, found = store.read_head, dict(each_of(store, ["user 0", "nobody", "user 1"]))
    assert list(found) == ["user 0", "user 1"]  # It was read again: it had begun anew.
    assert found["user 0"] == found["user 1"]
    gone.append("user 1")
    monkeypatch.setattr(store, "read_head", lambda name: heads(name) if name != "user 1" or gone else None)
    assert list(dict(each_of(store, ["user 0", "nobody", "user 1"]))) == ["user 0"]
    lengths = [len(list(each_of(store, ["user 0"], longest=len(found["user 0"]) - less))) for less in (0, 1)]
    assert lengths == [1, 0]


# -- many conversations at once


def network_of(bot: Agent, seed: int) -> KerasPolicy:
    """Return an untrained network, whose decisions serve the tests as well as trained ones."""
    lines = MOOD_STORIES.splitlines()
    told = whole_stories(StoryGraph(StoryFileReader(bot.domain).process_lines(lines)), bot.domain)
    seen = HistoryFeaturizer(3)
    before = [one for tracker in told for one in tracker.generate_all_prior_trackers()]
    groups = [group for one in before for group in groups_of(seen, one)]
    names = sorted({(block, name) for block, features in groups for name in features})
    chance = np.random.default_rng(seed)
    sizes = len(names), 16, bot.domain.num_actions
    layers = [
        (chance.normal(0, 0.7, pair).astype(np.float32), np.zeros(pair[1], np.float32)) for pair in pairwise(sizes)
    ]
    return KerasPolicy(HistoryFeaturizer(3, names), PolicyNetwork(layers))


@pytest.fixture(scope="module")
def with_networks(bots: tuple[Agent, Agent]) -> list[Agent]:
    """Return bots whose networks, memories and fallbacks decide differently."""
    made = []
    for number, bot in enumerate(bots):
        memory = bot.policy_ensemble.policies[0]
        policies = [network_of(bot, number), memory, FallbackPolicy(core_threshold=0.4)]
        made.append(Agent(bot.domain, PolicyEnsemble(policies[:: 1 - 2 * number])))
    return made


def random_conversations(bot: Agent, count: int) -> list[tuple[str, list[Event]]]:
    """Return random conversations with restarts, undone turns, failures and messages of low confidence."""
    chance = random.Random(7)
    in_between = [
        ConversationPaused(),
        ConversationResumed(),
        BotUttered("Hm."),
        ActionExecuted("utter_bye", unpredictable=True),
    ]
    found = []
    for number in range(count):
        events: list[Event] = [ActionExecuted("action_listen")]
        for _ in range(chance.randint(1, 6)):
            intent = chance.choice([*bot.domain.intents, "unknown", "restart"])
            confidence = chance.choice([1.0, 0.8, 0.2])
            events.append(UserUttered(f"/{intent}", {"name": intent, "confidence": confidence}))
            if chance.random() < 0.2:
                others = [FollowupAction(chance.choice(["utter_bye", "action_listen", None])), *in_between]
                events.append(chance.choice(others))
            for _ in range(chance.randint(0, 2)):
                name = chance.choice([one for one in bot.domain.action_names if one != "action_listen"])
                events.append(ActionExecuted(name, error=chance.choice([None, None, "broken"])))
            events.append(ActionExecuted("action_listen"))
            if chance.random() < 0.2:
                events.append(chance.choice([Restarted(), UserUtteranceReverted(), AllSlotsReset()]))
                events.append(ActionExecuted("action_listen"))
        found.append((f"user {number}{DRAFT_MARK}1" if chance.random() < 0.1 else f"user {number}", events))
    return found


def test_many_at_once_are_decided_as_one_by_one(with_networks: list[Agent], monkeypatch: pytest.MonkeyPatch) -> None:
    many = random_conversations(with_networks[0], 150)
    found = compare(*with_networks, many)
    assert all(BatchPredictor.of(bot.policy_ensemble, bot.domain) is not None for bot in with_networks)
    monkeypatch.setattr(BatchPredictor, "of", lambda ensemble, domain: None)
    assert found.as_dict() == compare(*with_networks, many).as_dict()
    policies = {one.policy for bot in with_networks for name, events in many for one in decisions(bot, name, events)}
    assert {"KerasPolicy", "MemoizationPolicy", "FallbackPolicy"} <= policies
    assert found.decisions > 500


@pytest.mark.parametrize("number", [0, 1])
def test_each_decision_at_once_is_that_of_the_policies(with_networks: list[Agent], number: int) -> None:
    bot = with_networks[number]
    quick = BatchPredictor.of(bot.policy_ensemble, bot.domain)
    assert quick is not None
    reader = MomentReader(bot.domain, [quick])
    talked = [events for _, events in random_conversations(bot, 80)]
    moments = reader.read(talked)
    at_once = quick.actions(moments, np.arange(len(moments.kinds)), reader)
    known = 0
    for events, rows in zip(talked, moments.rows, strict=True):
        tracker = DialogueStateTracker("ada", bot.domain.slots)
        for position, event in enumerate(events):
            if isinstance(event, ActionExecuted) and rows is not None and at_once[rows[position]] != ALONE:
                known += 1
                decided = bot.policy_ensemble.predict(tracker, bot.domain)
                assert bot.domain.action_names[at_once[rows[position]]] == decided.action
            tracker.update(event)
    assert known > 200
