"""Any number of dialogues from a seeded generator, for `benchmarks.streaming`.

A user has a task with slots to fill. The bot asks for what is missing, in an order of the task's own; the user
answers, gives more than was asked for, changes their mind, chats, or goes on to another task.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import yaml

from rasa_core import DialogueStateTracker, Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, SlotSet, UserUttered

TASKS = {
    "hotel": ["area", "stars", "price", "nights", "people"],
    "restaurant": ["food", "area", "price", "time", "people"],
    "train": ["origin", "destination", "day", "time"],
    "taxi": ["origin", "destination", "time"],
    "museum": ["area", "kind"],
}
VALUES = [f"value {number}" for number in range(30)]
CHITCHAT = ["greet", "thank", "joke", "weather", "insult"]


def domain() -> Domain:
    """Return the domain of the dialogues."""
    names = [f"{task}_{slot}" for task, slots in TASKS.items() for slot in slots]
    actions = [f"utter_ask_{name}" for name in names] + [f"utter_noted_{name}" for name in names]
    actions += [f"action_search_{task}" for task in TASKS] + [f"utter_offer_{task}" for task in TASKS]
    actions += [f"utter_{intent}" for intent in CHITCHAT] + ["utter_bye", "utter_anything_else"]
    intents = [f"request_{task}" for task in TASKS] + [*CHITCHAT, "inform", "correct", "affirm", "deny", "bye"]
    content = {
        "intents": intents,
        "entities": names,
        "slots": {name: {"type": "text"} for name in names},
        "actions": actions,
        "action_factory": "remote",
    }
    return Domain.from_yaml(yaml.safe_dump(content))


class Corpus:
    """An iterable of dialogues, which are made one after the other; each iteration yields the same dialogues.

    Parameters
    ----------
    count
        Number of dialogues.
    seed
        The seed of the generator.
    """

    def __init__(self, count: int, seed: int = 42) -> None:
        self.count, self.seed, self.domain = count, seed, domain()

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[DialogueStateTracker]:
        for number in range(self.count):
            yield _Dialogue(self.domain, random.Random(f"{self.seed} {number}"), number).tracker


class _Dialogue:
    """One dialogue while it is generated."""

    def __init__(self, domain: Domain, rng: random.Random, number: int) -> None:
        self.domain, self.rng = domain, rng
        self.tracker = DialogueStateTracker.from_events(f"dialogue {number}", [], domain, None)
        self._act(ACTION_LISTEN_NAME)
        if rng.random() < 0.5:
            self._say("greet")
            self._act("utter_greet", ACTION_LISTEN_NAME)
        for task in rng.sample(sorted(TASKS), rng.choice([1, 1, 2, 3])):
            self._task(task)
        self._say("bye")
        self._act("utter_bye", ACTION_LISTEN_NAME)

    def _act(self, *names: str) -> None:
        for name in names:
            self.tracker.update(ActionExecuted(name, timestamp=1.0))

    def _say(self, intent: str, *slots: str) -> None:
        entities = [{"entity": slot, "value": self.rng.choice(VALUES)} for slot in slots]
        parse = {"intent": {"name": intent, "confidence": 1.0}, "entities": entities}
        self.tracker.update(UserUttered(intent, parse_data=parse, timestamp=1.0))
        for entity in entities:
            self.tracker.update(SlotSet(entity["entity"], entity["value"], timestamp=1.0))

    def _task(self, task: str) -> None:
        names = [f"{task}_{slot}" for slot in TASKS[task]]
        missing = [name for name in names if self.tracker.get_slot(name) is None]
        given = self.rng.sample(missing, self.rng.choice([0, 0, 1, 2]) % (len(missing) + 1))
        self._say(f"request_{task}", *given)
        while asked := next((name for name in names if self.tracker.get_slot(name) is None), None):
            self._act(f"utter_ask_{asked}", ACTION_LISTEN_NAME)
            self._answer(asked, names)
        self._act(f"action_search_{task}", f"utter_offer_{task}", ACTION_LISTEN_NAME)
        self._say(self.rng.choice(["affirm", "affirm", "deny"]))
        self._act("utter_anything_else", ACTION_LISTEN_NAME)

    def _answer(self, asked: str, names: list[str]) -> None:
        filled = [name for name in names if self.tracker.get_slot(name) is not None]
        whim = self.rng.random()
        if whim < 0.1:
            intent = self.rng.choice(CHITCHAT)
            self._say(intent)
            self._act(f"utter_{intent}")
        elif whim < 0.2 and filled:
            changed = self.rng.choice(filled)
            self._say("correct", changed)
            self._act(f"utter_noted_{changed}")
        else:
            more = [name for name in names if name not in (asked, *filled)]
            self._say("inform", asked, *self.rng.sample(more, min(len(more), self.rng.choice([0, 0, 0, 1]))))
