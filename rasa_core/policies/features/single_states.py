"""The single-state featurizers of Rasa Core 0.9: a vector for each state, with features for names or their words.

Vectors are ``int32`` if all values are whole numbers, otherwise ``float64``; training arrays are always ``float32``. A
missing state becomes a vector of `PADDING`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rasa_core.events import ACTION_LISTEN_NAME
from rasa_core.history import State
from rasa_core.support.arrays import Floats
from rasa_core.support.stored_models import KnownByName

Vector = NDArray[np.int32] | NDArray[np.float64]
PADDING = -1.0
_LISTENED = f"prev_{ACTION_LISTEN_NAME}"


class Names(Protocol):
    """The part of `Domain` that featurizers use; the methods are documented there."""

    intents: list[str]
    action_names: list[str]

    @property
    def num_actions(self) -> int: ...  # noqa: D102
    @property
    def entity_states(self) -> list[str]: ...  # noqa: D102
    @property
    def slot_states(self) -> list[str]: ...  # noqa: D102
    @property
    def input_state_map(self) -> dict[str, int]: ...  # noqa: D102
    def index_for_action(self, action_name: str) -> int: ...  # noqa: D102


class SingleStateFeaturizer(KnownByName, ABC):
    """Turns one state into a vector.

    A subclass is registered by its class name, for models that were trained with it. Its options, if any, are the
    result of `as_dict` and the parameters of its constructor.

    Attributes
    ----------
    user_feature_len, slot_feature_len : int or None
        The number of features of the user's message, which come first, and of the slots, which come next. None before
        `prepare_from_domain`, or if that method does not set them.
    """

    user_feature_len: int | None = None
    slot_feature_len: int | None = None

    @property
    def num_features(self) -> int:
        """Length of the vectors; custom featurizers may set it."""
        return vars(self).get("num_features") or len(self.encode(None))

    @num_features.setter
    def num_features(self, length: int) -> None:
        vars(self)["num_features"] = length

    @abstractmethod
    def prepare_from_domain(self, domain: Names) -> None:
        """Learn the names of the features; called before the first `encode`."""

    @abstractmethod
    def encode(self, state: State | None) -> Vector | Floats:
        """Return a vector, shape ``(features,)``; all `PADDING` if there is no state."""

    def create_encoded_all_actions(self, domain: Names) -> NDArray[Any] | None:
        """Return a row of features for each action; None if the featurizer has none."""
        return None

    @staticmethod
    def action_as_one_hot(action: str | None, domain: Names) -> Floats:
        """Return a vector, shape ``(actions,)``, with 1.0 at the action; all `PADDING` for None."""
        if action is None:
            return np.full(domain.num_actions, PADDING, np.float32)
        one_hot = np.zeros(domain.num_actions, np.float32)
        one_hot[domain.index_for_action(action)] = 1.0
        return one_hot

    def as_dict(self) -> dict[str, Any]:
        """Return the options as data for JSON."""
        return {}

    @classmethod
    def from_dict(cls, options: dict[str, Any]) -> SingleStateFeaturizer:
        """Build a featurizer from its options."""
        return cls(**options)


class BinarySingleStateFeaturizer(SingleStateFeaturizer):
    """Makes a vector with one feature for each feature name of the domain.

    Attributes
    ----------
    input_state_map : dict of str to int
        The index of each feature name; empty before `prepare_from_domain`. It may also be set directly.
    """

    def __init__(self) -> None:
        self.input_state_map: dict[str, int] = {}

    def prepare_from_domain(self, domain: Names) -> None:  # noqa: D102
        self.input_state_map = domain.input_state_map
        self.user_feature_len = len(domain.intents) + len(domain.entity_states)
        self.slot_feature_len = len(domain.slot_states)

    def create_encoded_all_actions(self, domain: Names) -> NDArray[Any]:  # noqa: D102
        return np.eye(domain.num_actions)

    def encode(self, state: State | None) -> Vector:
        """Return the values of the state; names that the domain does not have are left out."""
        if state is None:
            return _padding(len(self.input_state_map))
        vector = np.zeros(len(self.input_state_map))
        for name in state.keys() & self.input_state_map.keys():
            vector[self.input_state_map[name]] = state[name]
        return _whole_if_possible(vector)


class LabelTokenizerSingleStateFeaturizer(SingleStateFeaturizer):
    """Counts the words in names, so that names with common words have common features.

    Intents and entities are counted if the bot has just listened; later in a turn, its last action is counted.

    Parameters
    ----------
    use_shared_vocab
        Whether intents, entities and actions share one vocabulary, so that a word has the same index in both.
    split_symbol
        The character at which names are split into words.

    Attributes
    ----------
    user_labels, slot_labels, bot_labels : list of str
        Feature names of intents and entities, of slots, and of actions; `prepare_from_domain` sets them.
    user_vocab, bot_vocab : dict of str to int
        The index of each word in `user_labels` and `bot_labels`. A vector has the words of `user_labels` first, then a
        feature for each of `slot_labels`, then the words of `bot_labels`.
    """

    def __init__(self, use_shared_vocab: bool = False, split_symbol: str = "_") -> None:
        self.use_shared_vocab = use_shared_vocab
        self.split_symbol = split_symbol
        self.user_labels: list[str] = []
        self.slot_labels: list[str] = []
        self.bot_labels: list[str] = []
        self.user_vocab: dict[str, int] = {}
        self.bot_vocab: dict[str, int] = {}

    def as_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"use_shared_vocab": self.use_shared_vocab, "split_symbol": self.split_symbol}

    def prepare_from_domain(self, domain: Names) -> None:  # noqa: D102
        self.user_labels = [*(f"intent_{name}" for name in domain.intents), *domain.entity_states]
        self.slot_labels, self.bot_labels = list(domain.slot_states), list(domain.action_names)
        users, bots = self._words_of(self.user_labels), self._words_of(self.bot_labels)
        if self.use_shared_vocab:
            users = bots = users | bots
        self.user_vocab, self.bot_vocab = _numbered(users), _numbered(bots)
        self.user_feature_len, self.slot_feature_len = len(users), len(self.slot_labels)

    def create_encoded_all_actions(self, domain: Names) -> NDArray[Any]:  # noqa: D102
        encoded = np.zeros((domain.num_actions, len(self.bot_vocab)), np.int32)
        for row, name in zip(encoded, domain.action_names, strict=True):
            row[[self.bot_vocab[word] for word in self._split(name)]] = 1
        return encoded

    def encode(self, state: State | None) -> Vector:  # noqa: D102
        slots_at = len(self.user_vocab)
        bots_at = slots_at + len(self.slot_labels)
        if state is None:
            return _padding(bots_at + len(self.bot_vocab))
        vector = np.zeros(bots_at + len(self.bot_vocab))
        for name, value in state.items():
            action_name = name.removeprefix("prev_")
            if name in self.user_labels:
                if _LISTENED in state:
                    for word in self._split(name):
                        vector[self.user_vocab[word]] += value
            elif name in self.slot_labels:
                vector[slots_at + self.slot_labels.index(name)] += value
            elif action_name != name and action_name in self.bot_labels:
                for word in self._split(action_name):
                    vector[bots_at + self.bot_vocab[word]] += value
        return _whole_if_possible(vector)

    def _split(self, name: str) -> list[str]:
        return name.split(self.split_symbol)

    def _words_of(self, names: list[str]) -> set[str]:
        return {word for name in names for word in self._split(name)}


def _numbered(words: set[str]) -> dict[str, int]:
    return {word: index for index, word in enumerate(sorted(words))}


def _padding(length: int) -> Vector:
    return np.full(length, PADDING, np.int32)


def _whole_if_possible(vector: NDArray[np.float64]) -> Vector:
    whole = vector.astype(np.int32)
    return whole if np.array_equal(whole, vector) else vector
