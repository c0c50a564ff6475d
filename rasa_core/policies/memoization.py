"""The memoization policy: predicts the actions of stories exactly, and nothing for other histories."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

from rasa_core import _legacy
from rasa_core.domain import Domain
from rasa_core.events.base import Event
from rasa_core.history import FAILED, State
from rasa_core.policies import training_turns
from rasa_core.policies.doubt import Doubts
from rasa_core.policies.features.classic import MaxHistoryTrackerFeaturizer, TrackerFeaturizer
from rasa_core.policies.policy import Policy, Trackers, confidence_of_nlu
from rasa_core.policies.training_turns import StoredTurns, TrainingTurns, TurnCollector, places_of, turn_key
from rasa_core.slots import Slot
from rasa_core.support.places import Place
from rasa_core.support.stored_models import reading
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

FILE_NAME = "memorized_turns.json"
FORMAT = 1

StateKey = frozenset[tuple[str, float]]
Key = tuple[StateKey, ...]


def __getattr__(name: str) -> Any:
    """Import `AugmentedMemoizationPolicy`, which programs import from here, too, although its module needs this one."""
    if name != "AugmentedMemoizationPolicy":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _legacy.load(name)


class MemoizationPolicy(Policy):
    """Predicts the action that followed the last `max_history` states in the stories.

    States that are followed by different actions in different stories are not predicted, so that another policy has to
    decide. Augmented conversations, which are joined from several stories, are memorised, too, unless the stories
    themselves contain the same states.

    If the stories never contradict one another, every prediction is certain (1.0). Otherwise each history has a
    confidence, which `rasa_core.policies.doubt` estimates. For Rasa 3, every prediction is certain, as in Rasa.

    Parameters
    ----------
    featurizer
        A `MaxHistoryTrackerFeaturizer`; only its ``max_history`` and ``use_intent_probabilities`` are used.
    max_history
        How many states have to be equal; 5 if neither this nor `featurizer` is given.
    lookup
        Known histories: tuples of states, each a frozenset of its items, mapped to the name of the action.
    knows_whole
        Whether conversations have to be equal from their beginning, however long they are, as in Rasa 3 without a
        ``max_history``.
    """

    ENABLE_FEATURE_STRING_COMPRESSION: ClassVar[bool] = True
    SUPPORTS_ONLINE_TRAINING: ClassVar[bool] = True
    HIGHEST_SCORE: ClassVar[float] = 1.0
    USE_NLU_CONFIDENCE_AS_SCORE: bool = False

    def __init__(
        self,
        featurizer: TrackerFeaturizer | None = None,
        max_history: int | None = None,
        lookup: Mapping[Key, str] | None = None,
        *,
        priority: int | None = None,
        knows_whole: bool = False,
    ) -> None:
        if featurizer is None:
            featurizer = MaxHistoryTrackerFeaturizer(max_history=max_history)
        super().__init__(featurizer, priority=priority)
        if self.featurizer.max_history is None:
            raise ValueError(
                "a MemoizationPolicy needs a featurizer with a max_history: a MaxHistoryTrackerFeaturizer."
            )
        self._max_history: int = self.featurizer.max_history
        self.knows_whole = knows_whole
        self._longest = self._max_history  # The states of the longest conversation, known after training.
        self.lookup: dict[Key, str] = dict(lookup or {})
        self._ambiguous: dict[Key, None] = {}  # A dict as an ordered set, as the order is the same in every process.
        self._glued: set[Key] = set()  # Keys of `lookup` and `_ambiguous` that only augmented conversations have.
        self._confidences: dict[Key, float] = {}  # The confidence of memorised turns that are not certain.
        self._share = 1.0  # The confidence if only a part of the states is memorised.
        self._training_turns = StoredTurns()
        self._failing = failing_in(chain.from_iterable(self.lookup))
        self._unseen: frozenset[str] = frozenset()  # Slots and loops that only rules name, and stories do not.
        self.is_enabled = True

    @property
    def max_history(self) -> int:
        """How many states a prediction looks at."""
        return self._longest if self.knows_whole else self._max_history

    def toggle(self, activate: bool) -> None:
        """Switch the policy on or off."""
        self.is_enabled = activate

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Memorise the conversations; earlier ones are forgotten."""
        self.lookup, self._ambiguous, self._glued, self._failing, self._longest = {}, {}, set(), set(), 1
        rules = kwargs.get("rules") if kwargs.get("hides_rules", True) else None
        self._unseen = named_in_rules_only(rules or (), training_trackers, domain)
        doubts: Doubts[Key] = Doubts()
        self._training_turns = StoredTurns(self._memorise(training_trackers, TurnCollector(), doubts).table())
        self._confidences, self._share = doubts.confidences(self.lookup), doubts.share()
        logger.info("memorised %d turns; %d more are ambiguous.", len(self.lookup), len(self._ambiguous))

    def continue_training(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Memorise more conversations, as certain."""
        trackers = list(training_trackers)
        if all(places_of(tracker) is None for tracker in trackers):
            # The places of earlier turns are in a large file, which need not be read here.
            self._memorise(trackers, TurnCollector())
        else:
            turns = self._memorise(trackers, TurnCollector(self._training_turns.read()))
            self._training_turns = StoredTurns(turns.table())

    def _memorise(self, trackers: Trackers, turns: TurnCollector, doubts: Doubts[Key] | None = None) -> TurnCollector:
        """Memorise conversations; add their places to `turns`, which is returned, and their turns to `doubts`."""
        digests: dict[StateKey, bytes] = {}
        known: dict[StateKey, StateKey] = {}
        last: dict[StateKey, None] = {}
        for number, tracker in enumerate(trackers):
            is_glued, is_rasa = getattr(tracker, "is_augmented", False), tracker.history.loops is not None
            if is_glued and is_rasa:
                continue  # For Rasa 3, only the stories themselves are memorised, not augmented conversations.
            for key, action_name, places in self._turns_of(tracker, known):
                self._longest = max(self._longest, len(key))
                last[key[-1]] = None
                if doubts is None:
                    self._confidences.pop(key, None)
                elif not is_glued and not is_rasa:
                    doubts.add(key, action_name, [(place.file, place.name) for place in places] or [number])
                if self._counts(key, is_glued):
                    if self.lookup.setdefault(key, action_name) != action_name:
                        self._ambiguous[key] = None
                    turns.add(turn_key(key, digests), action_name, places)
        self._failing |= failing_in(last)
        for key in self._ambiguous:
            self.lookup.pop(key, None)
        return turns

    def _counts(self, key: Key, is_glued: bool) -> bool:
        """Tell whether a turn is to be memorised; False for an augmented one if the stories themselves have `key`."""
        if not is_glued:
            if key in self._glued:
                self._glued.remove(key)
                self.lookup.pop(key, None)
                self._ambiguous.pop(key, None)
        elif key not in self._glued:
            if key in self.lookup or key in self._ambiguous:
                return False
            self._glued.add(key)
        return True

    def _turns_of(
        self, tracker: DialogueStateTracker, known: dict[StateKey, StateKey]
    ) -> Iterator[tuple[Key, str, Sequence[Place]]]:
        """Yield for each action the key of the last states before it, the action, and its places in the stories.

        Equal states are replaced by one object, kept in `known`, since identical objects are compared much faster.
        """
        states, actions = self.featurizer.predictions_of(tracker)
        states = self._seen(states)
        places = places_of(tracker) or [()] * len(actions)
        keys = [known.setdefault(key, key) for key in map(frozenset, map(dict.items, states))]
        for index, action in enumerate(actions):
            if not action.unpredictable:
                key = tuple(keys[0 if self.knows_whole else max(0, index + 1 - self._max_history) : index + 1])
                yield key, action.action_name, places[index]

    def recall(self, states: Sequence[State | None], tracker: DialogueStateTracker, domain: Domain) -> int | None:
        """Return the index of the action that followed these states in the stories; None for unknown states.

        The states are given oldest first; None among them is padding. A subclass may return the name of an action.
        """
        name = self._recalled([state for state in states if state is not None], tracker, domain)
        return None if name is None else domain.action_indices.get(name)

    def _recalled(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> str | None:
        return self._recall_states(states)

    def _recall_states(self, states: Sequence[State]) -> str | None:
        if self.knows_whole and not begins(states):
            return None  # The conversation is longer than every memorised one.
        return self.lookup.get(key_of(states))

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return the confidence of the memorised action, 1.0 if it is certain; zeros if there is none."""
        result = [0.0] * domain.num_actions
        if not self.is_enabled:
            return result
        states = self._states_of(tracker)
        known: int | str | None = self.recall(states, tracker, domain)
        index = domain.action_indices.get(known) if isinstance(known, str) else known
        if index is not None:
            result[index] = self._score(tracker) * self._confidence(states)
        return result

    def _confidence(self, states: Sequence[State]) -> float:
        if not self._confidences:
            return 1.0
        key = key_of(states)
        return self._confidences.get(key, 1.0) if key in self.lookup else self._share

    def uncertain_scores(self) -> set[float]:
        """Return the scores other than 1.0 that a memorised action may have."""
        return {*self._confidences.values(), self._share} - {1.0}

    def _states_of(self, tracker: DialogueStateTracker) -> list[State]:
        states = self._seen(self.featurizer.cleaned(tracker.last_states(self.max_history)))
        for state in states:
            if FAILED in state:
                return list(map(self._as_told, states))
        return states

    def _as_told(self, state: State) -> State:
        """Return a state without the failure of its action, unless the action fails in a story."""
        if FAILED not in state or not self._failing.isdisjoint(state):
            return state
        return {name: value for name, value in state.items() if name != FAILED}

    def _seen(self, states: list[State]) -> list[State]:
        """Return the states without slots and loops that only rules name, so that they do not make states unknown."""
        if not self._unseen:
            return states
        unseen = self._unseen
        return [
            {
                name: value
                for name, value in state.items()
                if name not in unseen and name.rpartition("_")[0] not in unseen
            }
            for state in states
        ]

    def _score(self, tracker: DialogueStateTracker) -> float:
        return confidence_of_nlu(tracker) if self.USE_NLU_CONFIDENCE_AS_SCORE else 1.0

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns:
        """Return the turns of the stories with the same states, with the actions that follow."""
        if not self.is_enabled:
            return TrainingTurns(note="the policy is switched off.")
        found = self._known(self._states_of(tracker), tracker, domain)
        if found is None:
            return TrainingTurns(note=training_turns.NEW_TURN)
        key, is_memorised = found
        table = self._training_turns.read()
        if table is None:
            return TrainingTurns(note=training_turns.NO_TURNS)
        digests: dict[StateKey, bytes] = {}
        turns = tuple(table.of_keys([turn_key(one, digests) for one in self._memories_of(key)])[:limit])
        if not turns:
            return TrainingTurns(note="this was taught without a story.")
        note = None if table.has_places() else training_turns.NO_PLACES
        if key in self._confidences:
            note = f"stories with histories like this contradict one another: confidence {self._confidences[key]:.2f}."
        return TrainingTurns(turns, note if is_memorised else training_turns.CONTRADICTORY)

    def _known(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> tuple[Key, bool] | None:
        """Return the known key for these states, and whether it is memorised (else contradictory); None if unknown."""
        contradictory: Key | None = None
        for key in self._endings(states, tracker, domain):
            if self._find(key) is not None:
                return key, True
            if contradictory is None and self._is_contradictory(key):
                contradictory = key
        return None if contradictory is None else (contradictory, False)

    def _endings(self, states: Sequence[State], tracker: DialogueStateTracker, domain: Domain) -> Iterator[Key]:
        """Yield the keys to look up for these states, in order."""
        yield key_of(states)

    def _find(self, key: Key) -> str | None:
        return self.lookup.get(key)

    def _is_contradictory(self, key: Key) -> bool:
        return key in self._ambiguous

    def _memories_of(self, key: Key) -> Iterable[Key]:
        """Return the keys of the memorised or contradictory turns that contain a known key."""
        return (key,)

    def persist(self, path: str | Path) -> None:
        """Write each state once, each turn as numbers of states, and the places of the turns into another file."""
        numbers: dict[StateKey, int] = {}

        def numbered(key: Key) -> list[int]:
            return [numbers.setdefault(state, len(numbers)) for state in key]

        turns = [[numbered(key), action_name] for key, action_name in self.lookup.items()]
        ambiguous = [numbered(key) for key in self._ambiguous]
        glued = [
            [index for index, key in enumerate(keys) if key in self._glued] for keys in (self.lookup, self._ambiguous)
        ]
        content = {
            "format": FORMAT,
            "max_history": self._max_history,
            "use_intent_probabilities": self.featurizer.use_intent_probabilities,
            "states": [dict(sorted(state)) for state in numbers],
            "turns": turns,
            "ambiguous": ambiguous,
            "augmented": glued,
            **({"unseen": sorted(self._unseen)} if self._unseen else {}),
            **({"longest": self._longest} if self.knows_whole else {}),
            **({"nlu_confidence": True} if self.USE_NLU_CONFIDENCE_AS_SCORE else {}),
            **(self._doubts_as_json() if self._confidences else {}),
        }
        Path(path, FILE_NAME).write_text(json.dumps(content), encoding="utf-8")
        self._training_turns.save(path)

    def _doubts_as_json(self) -> dict[str, Any]:
        return {"confidences": [self._confidences.get(key, 1.0) for key in self.lookup], "share": self._share}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a policy from the folder `path`."""
        file = Path(path, FILE_NAME)
        with reading("the memorised turns", file):
            content = json.loads(file.read_text(encoding="utf-8"))
            states = [frozenset(state.items()) for state in content["states"]]
            lookup = {tuple(states[number] for number in key): str(name) for key, name in content["turns"]}
            ambiguous = [tuple(states[number] for number in key) for key in content["ambiguous"]]
            known = list(lookup), ambiguous
            augmented = content.get("augmented", ([], []))  # Older models have none.
            glued = {keys[index] for keys, indices in zip(known, augmented, strict=True) for index in indices}
            options = {name: content[name] for name in ("max_history", "use_intent_probabilities")}
            policy = cls(MaxHistoryTrackerFeaturizer(**options), lookup=lookup)
            if "confidences" in content:
                known_by = zip(lookup, map(float, content["confidences"]), strict=True)
                policy._confidences = {key: confidence for key, confidence in known_by if confidence != 1.0}
                policy._share = float(content["share"])
        policy._ambiguous, policy._glued = dict.fromkeys(ambiguous), glued
        policy._failing |= failing_in(chain.from_iterable(ambiguous))
        policy._unseen = frozenset(content.get("unseen", ()))
        policy.knows_whole, policy._longest = "longest" in content, int(content.get("longest", 1))
        policy.USE_NLU_CONFIDENCE_AS_SCORE |= "nlu_confidence" in content
        policy._training_turns = StoredTurns(folder=path)
        return policy


def named_in_rules_only(rules: Iterable[Any], stories: Trackers, domain: Domain) -> frozenset[str]:
    """Return the slots and loops that rules name and stories never show, as features name them, without an index."""
    slots = {slot.name: slot for slot in domain.slots}
    in_rules = {name for rule in rules for event in _events_of(rule, domain) for name in _asked(event, slots)}
    if not in_rules:
        return frozenset()
    # Taken from the states, in which a loop that begins and ends in one turn does not appear, as in Rasa.
    own = (tracker for tracker in stories if not getattr(tracker, "is_augmented", False))
    shown = {name for tracker in own for state in tracker.last_states(None) for name in state}
    return frozenset(in_rules) - shown - {name.rpartition("_")[0] for name in shown if name.startswith("slot_")}


def _events_of(rule: Any, domain: Domain) -> Iterator[Event]:
    yield from rule.conditions
    for event, _ in rule.steps:
        yield event
        if event.type_name == "user":
            yield from domain.slots_in_story(event.entities)


def _asked(event: Any, slots: Mapping[str, Slot]) -> tuple[str, ...]:
    if event.type_name == "active_loop":
        return (f"active_loop_{event.loop_name}",) if event.loop_name is not None else ()
    if event.type_name != "slot" or event.key not in slots:
        return ()
    slot = slots[event.key].fresh()
    slot.value = event.value
    is_asked = slot.has_features() and (slot.value is None or any(slot.as_feature()))
    return (f"slot_{event.key}",) if is_asked else ()


def begins(states: Sequence[State]) -> bool:
    """Tell whether the first of these states is the one before any action."""
    return not any(name.startswith("prev_") for state in states[:1] for name in state)


def failing_in(states: Iterable[StateKey]) -> set[str]:
    """Return the features of actions that had failed before one of these states."""
    failed = [state for state in states if (FAILED, 1.0) in state]
    return {name for state in failed for name, _ in state if name.startswith("prev_")}


def key_of(states: Iterable[State | None]) -> Key:
    """Return the key by which states are looked up; None stands for padding before the first state."""
    return tuple(frozenset((state or {}).items()) for state in states)
