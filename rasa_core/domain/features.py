"""The features of a domain, in their order, and the specification of them that models keep."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from rasa_core.exceptions import ModelError
from rasa_core.slots import Slot
from rasa_core.support.text_files import read_text

PREV_PREFIX = "prev_"

State = dict[str, float]


class _Conversation(Protocol):
    """The parts of a tracker that a domain needs; `DialogueStateTracker` is in a higher room."""

    latest_action_name: str | None

    def active_state(self) -> State: ...
    def generate_all_prior_trackers(self) -> Iterable[_Conversation]: ...


class DomainFeatures:
    """The features of a `rasa_core.domain.Domain`, which policies see.

    Attributes
    ----------
    intents, entities, slots, action_names : list
        The parts of the domain that have features.
    """

    intents: list[str]
    entities: list[str]
    slots: list[Slot]
    action_names: list[str]

    @cached_property
    def num_actions(self) -> int:
        """Number of actions, the built-in ones included."""
        return len(self.action_names)

    @cached_property
    def action_indices(self) -> dict[str, int]:
        """Name of an action to its index."""
        return {name: index for index, name in enumerate(self.action_names)}

    @cached_property
    def intent_states(self) -> list[str]:
        """Feature names of intents."""
        return [f"intent_{name}" for name in self.intents]

    @cached_property
    def entity_states(self) -> list[str]:
        """Feature names of entities."""
        return [f"entity_{name}" for name in self.entities]

    @cached_property
    def slot_states(self) -> list[str]:
        """Feature names of slots."""
        return [f"slot_{slot.name}_{index}" for slot in self.slots for index in range(slot.feature_dimensionality())]

    @cached_property
    def prev_action_states(self) -> list[str]:
        """Feature names of the previous action."""
        return [PREV_PREFIX + name for name in self.action_names]

    @cached_property
    def input_states(self) -> list[str]:
        """Names of all features, in their order."""
        # The order of 0.9, which its featurizers and their models rely on.
        return self.intent_states + self.entity_states + self.slot_states + self.prev_action_states

    @cached_property
    def input_state_map(self) -> dict[str, int]:
        """Feature name to its index."""
        return {name: index for index, name in enumerate(self.input_states)}

    @property
    def num_states(self) -> int:
        """Number of features of one state."""
        return len(self.input_states)

    def index_of_state(self, state_name: str) -> int | None:
        """Return the index of a feature, None if there is none."""
        return self.input_state_map.get(state_name)

    def get_parsing_states(self, tracker: _Conversation) -> State:
        """Return the features of the latest message and the slots."""
        state = tracker.active_state()
        return {name: value for name, value in state.items() if not name.startswith(PREV_PREFIX)}

    def get_prev_action_states(self, tracker: _Conversation) -> State:
        """Return the feature of the latest action."""
        return {} if tracker.latest_action_name is None else {PREV_PREFIX + tracker.latest_action_name: 1.0}

    def get_active_states(self, tracker: _Conversation) -> State:
        """Return all features of the present moment, names that the domain does not have included."""
        return dict(tracker.active_state())

    def states_for_tracker_history(self, tracker: _Conversation) -> list[State]:
        """Return the features before each action since the latest restart, and the present ones."""
        return [self.get_active_states(prior) for prior in tracker.generate_all_prior_trackers()]

    # -- specifications, as kept beside a model

    def persist_specification(self, model_path: str | Path) -> None:
        """Write the names of the features to ``domain.json`` in the folder `model_path`, which is made if need be."""
        Path(model_path).mkdir(parents=True, exist_ok=True)
        Path(model_path, "domain.json").write_text(
            json.dumps({"states": self.input_states}, indent=1), encoding="utf-8"
        )

    @classmethod
    def load_specification(cls, path: str | Path) -> dict[str, Any]:
        """Read ``domain.json`` from the folder `path`; a model has a ``domain.yml`` that says the same."""
        own = Path(path, "domain.yml")
        if own.is_file() and not Path(path, "domain.json").exists():
            domain: Any = cls
            return {"states": domain.load(own).input_states}
        return dict(json.loads(read_text(Path(path, "domain.json"))))

    def compare_with_specification(self, path: str | Path) -> bool:
        """Return True if the features are those of `load_specification`; raise `ModelError` otherwise."""
        states = self.load_specification(path)["states"]
        if states == self.input_states:
            return True
        old, now = set(states), set(self.input_states)
        differ = f"missing {sorted(old - now)[:5]}, new {sorted(now - old)[:5]}"
        # A network knows features by their positions, so that another order is as wrong as another name.
        how = "the names are in another order" if old == now else differ
        raise ModelError(f"Domain specification has changed since the model was trained: {how}. Train it again.")
