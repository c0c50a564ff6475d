"""Replay with two bots of Rasa 3: the decisions in a batch are those of single predictions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from feature_groups import groups_of

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.evaluation.replay import compare, decisions
from rasa_core.events import (
    ActionExecuted,
    AllSlotsReset,
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    FollowupAction,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.events.rasa3 import ActionExecutionRejected, ActiveLoop, LoopInterrupted
from rasa_core.policies import AugmentedMemoizationPolicy, KerasPolicy, MemoizationPolicy, PolicyEnsemble
from rasa_core.policies.augmented_memoization import first_looked_at
from rasa_core.policies.batch_prediction import BatchPredictor
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.network import PolicyNetwork
from rasa_core.policies.policy import Opinion, Policy
from rasa_core.policies.rules import RulePolicy
from rasa_core.rasa3.history import LISTENED, RasaHistory, history_for
from rasa_core.rasa_project.files import RasaFiles
from rasa_core.rasa_project.training import train_rasa
from rasa_core.teaching.corrections import DRAFT_MARK
from rasa_core.trackers import DialogueStateTracker

DOMAIN = """
version: "3.1"
intents: [book, inform, chat, stop]
entities: [room, nights]
slots:
  room: {type: text, mappings: [{type: from_entity, entity: room}]}
  nights: {type: float, influence_conversation: false, mappings: [{type: from_entity, entity: nights}]}
  sure: {type: bool, mappings: [{type: custom}]}
forms:
  hotel_form: {required_slots: [room, nights]}
responses:
  utter_chat: [{text: "Yes."}]
  utter_done: [{text: Done.}]
  utter_sure: [{text: Sure?}]
  utter_ask_room: [{text: Which room?}]
  utter_ask_nights: [{text: How many nights?}]
"""
DATA = """
version: "3.1"
rules:
- rule: begin
  steps: [{intent: book}, {action: hotel_form}, {active_loop: hotel_form}]
- rule: end
  condition: [{active_loop: hotel_form}]
  steps: [{action: hotel_form}, {active_loop: null}, {action: utter_done}]
- rule: chat
  steps: [{intent: chat}, {action: ANSWER}]
stories:
- story: asked
  steps:
  - {intent: book}
  - {action: hotel_form}
  - {active_loop: hotel_form}
  - {intent: stop}
  - {action: utter_sure}
  - {intent: inform, entities: [{room: blue}]}
  - {action: hotel_form}
  - {active_loop: null}
  - {action: utter_done}
- story: stopped
  steps:
  - {intent: stop}
  - {action: utter_sure}
  - slot_was_set: [{sure: true}]
  - {intent: stop}
  - {action: utter_done}
"""


def trained(folder: Path, answer: str, policies: Sequence[Policy], domain: str = DOMAIN) -> Agent:
    folder.joinpath("data").mkdir(parents=True)
    folder.joinpath("domain.yml").write_text(domain, encoding="utf-8")
    folder.joinpath("data", "all.yml").write_text(DATA.replace("ANSWER", answer), encoding="utf-8")
    files = RasaFiles(folder)
    agent = Agent(files.domain, PolicyEnsemble(policies, by_confidence=True))
    train_rasa(agent, files.read_stories())
    return agent


def network_of(bot: Agent, seed: int, talked: Sequence[tuple[str, list[Event]]], scale: float) -> KerasPolicy:
    """Return an untrained network; its confidences grow with the scale of its weights."""
    seen = HistoryFeaturizer(4)
    names: set[tuple[str, str]] = set()
    for _, events in talked[:20]:
        tracker = bot.read_tracker("nobody")
        for event in events:
            tracker.update(event)
            if tracker.last_states(4):
                names |= {(block, name) for block, features in groups_of(seen, tracker) for name in features}
    chance, sizes = np.random.default_rng(seed), (len(names), 16, bot.domain.num_actions)
    layers = [
        (chance.normal(0, scale, pair).astype(np.float32), np.zeros(pair[1], np.float32)) for pair in pairwise(sizes)
    ]
    return KerasPolicy(HistoryFeaturizer(4, sorted(names)), PolicyNetwork(layers))


def random_conversations(bot: Agent, count: int) -> list[tuple[str, list[Event]]]:
    """Return random conversations with all kinds of events, in any order."""
    chance = random.Random(3)
    now_and_then = [
        *(ConversationPaused(), ConversationResumed(), BotUttered("Hm."), FollowupAction("utter_done")),
        *(ActionExecutionRejected(name) for name in ("hotel_form", "utter_chat", "utter_done", "utter_sure")),
        *(LoopInterrupted(True), ActiveLoop(None), ActiveLoop("hotel_form")),
        *(Restarted(), UserUtteranceReverted(), AllSlotsReset(), SlotSet("requested_slot", "room")),
        *(SlotSet("sure", False), SlotSet("room", "green"), SlotSet("nights", 2.0)),
    ]
    found = []
    for number in range(count):
        events: list[Event] = [ActionExecuted("action_listen")]
        for _ in range(chance.randint(2, 9)):
            name = chance.choice([*bot.domain.intents, "back", "unknown"])
            entities = [{"entity": "room", "value": "blue"}] if name == "inform" and chance.random() < 0.7 else []
            parsed = {"intent": {"name": name, "confidence": chance.choice([1.0, 0.2])}, "entities": entities}
            events.append(UserUttered(f"/{name}", parse_data=parsed))
            for _ in range(chance.randint(0, 3)):
                action = chance.choice(["hotel_form", "utter_chat", "utter_done", "utter_sure"])
                failed = "broken" if chance.random() < 0.1 else None
                events.append(ActionExecuted(action, error=failed, hide_rule_turn=chance.random() < 0.3))
                if action == "hotel_form":
                    events += [ActiveLoop("hotel_form"), SlotSet("requested_slot", chance.choice(["room", "nights"]))]
                if chance.random() < 0.3:
                    events.append(chance.choice(now_and_then))
            events += [ActionExecuted("action_listen", hide_rule_turn=chance.random() < 0.3)] * chance.choice([1, 1, 2])
        found.append((f"user {number}{DRAFT_MARK}1" if chance.random() < 0.1 else f"user {number}", events))
    return found


MADE = {
    "as Rasa has them": lambda network: [MemoizationPolicy(max_history=4), RulePolicy(), network],
    "network first": lambda network: [network, RulePolicy(), AugmentedMemoizationPolicy(max_history=3)],
    "network above all": lambda network: [MemoizationPolicy(), RulePolicy(core_fallback_threshold=0.6), network],
    "no network": lambda network: [AugmentedMemoizationPolicy(), RulePolicy()],
}


def pair_of(folder: Path, kind: str, other_domain: str) -> tuple[list[Agent], list[tuple[str, list[Event]]]]:
    """Return two bots of a kind, and conversations with them."""
    bots, talked = [], list[tuple[str, list[Event]]]()
    for number, (answer, domain) in enumerate([("utter_chat", DOMAIN), ("utter_done", other_domain)]):
        taught = [one for one in MADE[kind](KerasPolicy()) if not isinstance(one, KerasPolicy)]
        bot = trained(folder / str(number), answer, taught, domain)
        talked = talked or random_conversations(bot, 60)
        network = network_of(bot, number, talked, 0.3 + number)
        network.priority = 9 if kind == "network above all" else network.priority
        learnt = iter(taught)
        policies = [one if one is network else next(learnt) for one in MADE[kind](network)]
        bots.append(Agent(bot.domain, PolicyEnsemble(policies, by_confidence=True)))
    return bots, talked


@pytest.mark.parametrize(("kind", "is_same"), [*((kind, True) for kind in MADE), ("as Rasa has them", False)])
def test_many_at_once_are_decided_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_same: bool
) -> None:
    domain = DOMAIN if is_same else DOMAIN.replace("sure: {type: bool", "sure: {type: text")
    bots, talked = pair_of(tmp_path, kind, domain)
    assert all(BatchPredictor.of(bot.policy_ensemble, bot.domain) is not None for bot in bots)
    found = compare(*bots, talked)
    monkeypatch.setattr(BatchPredictor, "of", lambda ensemble, domain: None)
    assert found.as_dict() == compare(*bots, talked).as_dict()
    policies = {one.policy for bot in bots for name, events in talked for one in decisions(bot, name, events)}
    assert {type(policy).__name__ for policy in bots[0].policy_ensemble.policies} <= policies
    assert found.decisions > 300
    assert len(found.changes) > 3


def test_memory_is_asked_once_for_moments_that_differ_in_how_long_the_conversation_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bots, _ = pair_of(tmp_path, "no network", DOMAIN)
    asked, opinion = list[str](), AugmentedMemoizationPolicy.opinion

    def counted(policy: AugmentedMemoizationPolicy, tracker: DialogueStateTracker, domain: Domain) -> Opinion:
        asked.append(tracker.sender_id)
        return opinion(policy, tracker, domain)

    monkeypatch.setattr(AugmentedMemoizationPolicy, "opinion", counted)
    turn = [UserUttered("/chat", {"name": "chat"}), ActionExecuted("utter_chat"), ActionExecuted("action_listen")]
    found = compare(*bots, [("ada", [ActionExecuted("action_listen"), *turn * 100])])
    assert found.decisions > 100
    assert len(asked) < 50


@pytest.mark.parametrize("count", [1, 3, 5])
def test_how_far_a_memory_looks_back_is_the_same_whether_all_states_are_kept_or_few(tmp_path: Path, count: int) -> None:
    bot, looked = trained(tmp_path, "utter_chat", [RulePolicy()]), set[bool]()
    for _, events in random_conversations(bot, 40):
        few, whole = (history_for(window, bot.domain.vocabulary) for window in (count, 1000))
        trackers = [DialogueStateTracker("ada", bot.domain.slots, history=history) for history in (few, whole)]
        for event in events:
            for tracker in trackers:
                tracker.update(event)
            past = cast(RasaHistory, whole).states_for_rules({})[:-1]
            listened = [back for back in range(count, len(past) + 1) if LISTENED in past[-back]]
            acted = cast(RasaHistory, whole).acted
            assert first_looked_at(cast(RasaHistory, few), count) == (acted - listened[0] if listened else -1)
            looked.add(bool(listened) and listened[0] > count)
    assert looked == {True, False}
