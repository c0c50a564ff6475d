"""From one state to a vector: a feature for each name of the domain, or for the words in the names.

Features follow the order of the domain; a state that is missing becomes a vector of `PADDING`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.history import State

if TYPE_CHECKING:
    from rasa_core.domain import Domain

Floats = NDArray[np.float32]
PADDING = -1.0
INTENT_PREFIX = "intent_"


def with_best_intent_only(state: State) -> State:
    """Return the state of a tracker, where intents come first, with 1.0 for its best intent and without the others.

    The best intent is the most probable one, the first of equals.
    """
    names = iter(state)
    first, second = next(names, ""), next(names, "")
    if second[:7] != INTENT_PREFIX and (first[:7] != INTENT_PREFIX or state[first] == 1.0):
        return state  # By far the most frequent case, at every prediction.
    intents = list(takewhile(lambda name: name.startswith(INTENT_PREFIX), state))
    kept = {max(intents, key=state.__getitem__): 1.0}
    kept.update(islice(state.items(), len(intents), None))
    return kept


class SingleStateFeaturizer(ABC):
    """Turns one state into a vector.

    A subclass is known by its class name as soon as it is defined, for models that were trained with it. Its
    options, if it has any, are what `as_dict` returns and its constructor takes.
    """

    registry: ClassVar[dict[str, type[SingleStateFeaturizer]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under its name; the class defined last wins."""
        super().__init_subclass__(**kwargs)
        SingleStateFeaturizer.registry[cls.__name__] = cls

    @abstractmethod
    def prepare_from_domain(self, domain: Domain) -> None:
        """Learn the names of the features; called before the first `encode`."""

    @abstractmethod
    def encode(self, state: State | None) -> Floats:
        """Return a vector, shape ``(features,)``; all `PADDING` if there is no state."""

    def action_as_one_hot(self, action: str | None, domain: Domain) -> Floats:
        """Return a vector, shape ``(actions,)``, with 1.0 at the action; all `PADDING` for None."""
        if action is None:
            return np.full(domain.num_actions, PADDING, np.float32)
        one_hot = np.zeros(domain.num_actions, np.float32)
        one_hot[domain.index_for_action(action)] = 1.0
        return one_hot

    def as_dict(self) -> dict[str, Any]:
        """Return the options, JSON-able."""
        return {}

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> SingleStateFeaturizer:
        """Build a featurizer from its options."""
        return cls(**options)


class BinarySingleStateFeaturizer(SingleStateFeaturizer):
    """One feature for each feature name of the domain."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}

    def prepare_from_domain(self, domain: Domain) -> None:  # noqa: D102
        self._index = domain.input_state_map

    def encode(self, state: State | None) -> Floats:
        """Return the values of the state; names that the domain does not have are left out."""
        if state is None:
            return np.full(len(self._index), PADDING, np.float32)
        vector = np.zeros(len(self._index), np.float32)
        for name, value in state.items():
            index = self._index.get(name)
            if index is not None:
                vector[index] = value
        return vector


class LabelTokenizerSingleStateFeaturizer(SingleStateFeaturizer):
    """Counts the words of intent and action names, so that names which share words share features.

    Parameters
    ----------
    use_shared_vocab
        Whether words of intents and of actions share their features.
    split_symbol
        Where names are split into words.
    """

    def __init__(self, use_shared_vocab: bool = False, split_symbol: str = "_") -> None:
        self.use_shared_vocab = use_shared_vocab
        self.split_symbol = split_symbol
        self._layout = _LabelLayout({}, {}, 0)

    def as_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"use_shared_vocab": self.use_shared_vocab, "split_symbol": self.split_symbol}

    def prepare_from_domain(self, domain: Domain) -> None:  # noqa: D102
        intents = sorted({word for name in domain.intents for word in name.split(self.split_symbol)})
        actions = sorted({word for name in domain.action_names for word in name.split(self.split_symbol)})
        if self.use_shared_vocab:
            intents = actions = sorted({*intents, *actions})
        start = 0 if self.use_shared_vocab else len(intents)
        words = {
            "intent": {word: index for index, word in enumerate(intents)},
            "prev": {word: start + index for index, word in enumerate(actions)},
        }
        start += len(actions)
        others = domain.entity_states + domain.slot_states
        self._layout = _LabelLayout(
            words, {name: start + index for index, name in enumerate(others)}, start + len(others)
        )

    def encode(self, state: State | None) -> Floats:  # noqa: D102
        layout = self._layout
        if state is None:
            return np.full(layout.size, PADDING, np.float32)
        vector = np.zeros(layout.size, np.float32)
        for name, value in state.items():
            if name in layout.others:
                vector[layout.others[name]] = value
                continue
            kind, _, label = name.partition("_")
            for word in label.split(self.split_symbol):
                index = layout.words.get(kind, {}).get(word)
                if index is not None:
                    vector[index] += value
        return vector


class _LabelLayout(NamedTuple):
    """Where the features of a `LabelTokenizerSingleStateFeaturizer` stand; replaced as a whole."""

    words: dict[str, dict[str, int]]
    others: dict[str, int]
    size: int
