"""The featurizers of Rasa Core 0.9: one vector for each state, and arrays of the last states of a conversation, or all.

A *single-state featurizer* turns one state into a vector, with a feature for each name of the domain, or for the words
in the names. A *tracker featurizer* turns conversations into arrays of such vectors, and of the actions that followed.
Shapes: ``examples`` counts predictions, ``time`` counts states, oldest first, ``features`` and ``actions`` follow the
order of the domain. A missing state becomes a vector of `PADDING`.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import numpy as np

from rasa_core.events import ActionExecuted, Event
from rasa_core.history import State, with_best_intent_only
from rasa_core.policies.features.single_states import PADDING, BinarySingleStateFeaturizer, Names, SingleStateFeaturizer
from rasa_core.support.arrays import Floats
from rasa_core.support.stored_models import KnownByName, reading

StateSequences = list[list[State | None]]
StatesAndActions = tuple[StateSequences, list[list[str]]]
FILE_NAME = "featurizer.json"
_NOT_KEPT: Final = frozenset(
    {"state_featurizer", "input_state_map", "num_features", "user_feature_len", "slot_feature_len"}
    | {"user_labels", "slot_labels", "bot_labels", "user_vocab", "bot_vocab"}
)
"""Attributes that are not written, since they are computed from the domain again, or are written elsewhere."""

logger = logging.getLogger(__name__)


class Conversation(Protocol):
    """The part of `DialogueStateTracker` that featurizers use; the methods are documented there."""

    def applied_events(self) -> list[Event]: ...  # noqa: D102
    def last_states(self, count: int | None) -> list[State]: ...  # noqa: D102


Conversations = Iterable[Conversation]


class DialogueTrainingData:
    """The arrays of a training.

    Attributes
    ----------
    X : NDArray
        Shape ``(examples, time, features)``.
    y : NDArray
        One-hot actions, shape ``(examples, actions)`` or ``(examples, time, actions)``.
    true_length : list of int or None
        The number of states in each example, without the padding at its end.
    """

    def __init__(self, X: Floats, y: Floats, true_length: Sequence[int] | None = None) -> None:  # noqa: N803
        self.X = X
        self.y = y
        self.true_length = None if true_length is None else list(true_length)

    def limit_training_data_to(self, max_samples: int) -> None:
        """Keep the first `max_samples` examples."""
        self.X, self.y = self.X[:max_samples], self.y[:max_samples]
        if self.true_length is not None:
            self.true_length = self.true_length[:max_samples]

    def append(self, X: Floats, y: Floats) -> None:  # noqa: N803
        """Append examples."""
        self.X, self.y = np.concatenate([self.X, X]), np.concatenate([self.y, y])
        if self.true_length is not None:
            self.true_length += [int((states != PADDING).any(axis=-1).sum()) for states in X]

    def shuffled_X_y(self) -> tuple[Floats, Floats]:  # noqa: N802
        """Return X and y in a random order by NumPy's global random state."""
        return self.random_samples(self.num_examples())

    def random_samples(self, num_samples: int) -> tuple[Floats, Floats]:
        """Return X and y of up to `num_samples` examples in a random order."""
        chosen = np.random.permutation(self.num_examples())[:num_samples]
        return self.X[chosen], self.y[chosen]

    def max_history(self) -> int:
        """Return the number of states in an example."""
        return int(self.X.shape[1])

    def is_empty(self) -> bool:
        """Tell whether there are no examples."""
        return self.num_examples() == 0

    def num_examples(self) -> int:
        """Return the number of examples."""
        return len(self.y)


class TrackerFeaturizer(KnownByName, ABC):
    """Turns conversations into arrays; subclasses are registered by name, like those of `SingleStateFeaturizer`.

    Parameters
    ----------
    state_featurizer
        Turns single states into vectors.
    use_intent_probabilities
        Whether the feature of each ranked intent is its confidence; otherwise the best intent gets 1.0, the others 0.
    """

    max_history: int | None = None

    def __init__(
        self, state_featurizer: SingleStateFeaturizer | None = None, use_intent_probabilities: bool = False
    ) -> None:
        self.state_featurizer = state_featurizer if state_featurizer is not None else BinarySingleStateFeaturizer()
        self.use_intent_probabilities = use_intent_probabilities

    def cleaned(self, states: Iterable[State]) -> list[State]:
        """Return the states with only their best intent, unless `use_intent_probabilities`."""
        if self.use_intent_probabilities:
            return list(states)
        return [with_best_intent_only(state) for state in states]

    def _create_states(
        self, tracker: Conversation, domain: Names, is_binary_training: bool = False
    ) -> list[State]:  # A method of 0.9, which custom featurizers call.
        states = tracker.last_states(None)
        return [dict(state) for state in states] if is_binary_training else self.cleaned(states)

    def predictions_of(self, tracker: Conversation) -> tuple[list[State], list[ActionExecuted]]:
        """Return the states before the actions of a conversation, and all its actions."""
        actions = [event for event in tracker.applied_events() if isinstance(event, ActionExecuted)]
        before_actions = tracker.last_states(None)[:-1]
        return self.cleaned(before_actions[len(before_actions) - len(actions) :]), actions

    @abstractmethod
    def training_states_and_actions(self, trackers: Conversations, domain: Names) -> StatesAndActions:
        """Return the states before each prediction, and the names of the actions that followed."""

    @abstractmethod
    def prediction_states(self, trackers: Conversations, domain: Names) -> StateSequences:
        """Return for each conversation the states for its next prediction."""

    def featurize_trackers(self, trackers: Conversations, domain: Names) -> DialogueTrainingData:
        """Return the training arrays.

        y has the shape ``(examples, time, actions)``, or ``(examples, actions)`` if each example has one action.
        """
        self.state_featurizer.prepare_from_domain(domain)
        states, actions = self.training_states_and_actions(trackers, domain)
        y = np.full((len(actions), max(map(len, actions), default=0), domain.num_actions), PADDING, np.float32)
        for example, names in enumerate(actions):
            for step, name in enumerate(names):
                y[example, step] = self.state_featurizer.action_as_one_hot(name, domain)
        x = self._encode_all(states)
        if y.shape[1] == 1 != x.shape[1]:
            y = y[:, 0]
        return DialogueTrainingData(x, y, [len(one) - one.count(None) for one in states])

    def create_X(self, trackers: Conversations, domain: Names) -> Floats:  # noqa: N802
        """Return the array for predictions, shape ``(conversations, time, features)``."""
        self.state_featurizer.prepare_from_domain(domain)
        return self._encode_all(self.prediction_states(trackers, domain))

    def _encode_all(self, sequences: Sequence[Sequence[State | None]]) -> Floats:
        """Encode sequences of states, padded at the end to equal length: shape ``(examples, time, features)``."""
        padding = self.state_featurizer.encode(None)
        x = np.empty((len(sequences), max(map(len, sequences), default=0), len(padding)), np.float32)
        x[:] = padding
        for example, states in enumerate(sequences):
            for step, state in enumerate(states):
                if state is not None:
                    x[example, step] = self.state_featurizer.encode(state)
        return x

    def as_dict(self) -> dict[str, Any]:
        """Return the class and the options as data for JSON."""
        return {
            "featurizer": type(self).__name__,
            "use_intent_probabilities": self.use_intent_probabilities,
            "state_featurizer": type(self.state_featurizer).__name__,
            "state_featurizer_options": self.state_featurizer.as_dict(),
        }

    def persist(self, path: str | Path) -> None:
        """Write the options into the folder `path`; for custom classes, also their modules and attributes."""
        own = {type(one).__name__: _told_of_own(one) for one in (self, self.state_featurizer) if _is_own(type(one))}
        content = {**self.as_dict(), **({"own": own} if own else {})}
        Path(path, FILE_NAME).write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> TrackerFeaturizer:
        """Read a featurizer from the folder `path`; raise `ModelError` for a damaged file or an unknown class."""
        file = Path(path, FILE_NAME)
        with reading("the featurizer", file):
            options = json.loads(file.read_text(encoding="utf-8"))
            own, name = options.pop("own", {}), options.pop("featurizer")
            tracker_class = TrackerFeaturizer.named(name, file, own.get(name, {}).get("module"))
            state_name = options.pop("state_featurizer")
            state_class = SingleStateFeaturizer.named(state_name, file, own.get(state_name, {}).get("module"))
            state_options = options.pop("state_featurizer_options")
            state_featurizer = _made(state_class, partial(state_class.from_dict, state_options), state_options, own)
            given = {"state_featurizer": state_featurizer, **options}
            built: TrackerFeaturizer = _made(tracker_class, lambda: tracker_class(**given), given, own)
        return built


class FullDialogueTrackerFeaturizer(TrackerFeaturizer):
    """Makes one example of each conversation, with all its states, padded at the end.

    A prediction reads the whole conversation, so its time grows with the conversation.
    """

    def training_states_and_actions(self, trackers: Conversations, domain: Names) -> StatesAndActions:  # noqa: D102
        all_states: StateSequences = []
        all_actions = []
        for tracker in trackers:
            states, actions = self.predictions_of(tracker)
            skip = 1 if actions and actions[0].unpredictable else 0
            all_states.append(list(states[skip:]))
            all_actions.append([action.action_name for action in actions[skip:]])
        return all_states, all_actions

    def prediction_states(self, trackers: Conversations, domain: Names) -> StateSequences:  # noqa: D102
        return [list(self.cleaned(tracker.last_states(None))) for tracker in trackers]


class MaxHistoryTrackerFeaturizer(TrackerFeaturizer):
    """Makes one example for each prediction, with the last `max_history` states, padded at the start.

    Parameters
    ----------
    max_history
        Number of states; `MAX_HISTORY_DEFAULT` if not given.
    remove_duplicates
        Whether equal examples are used only once.
    """

    MAX_HISTORY_DEFAULT: ClassVar[int] = 5

    def __init__(
        self,
        state_featurizer: SingleStateFeaturizer | None = None,
        max_history: int | None = None,
        remove_duplicates: bool = True,
        use_intent_probabilities: bool = False,
    ) -> None:
        super().__init__(state_featurizer, use_intent_probabilities)
        self.max_history: int = self.MAX_HISTORY_DEFAULT if max_history is None else max_history
        if not isinstance(self.max_history, int) or self.max_history < 1:
            raise ValueError(f"max_history is a number of states, at least 1, not {max_history!r}.")
        self.remove_duplicates = remove_duplicates

    def as_dict(self) -> dict[str, Any]:  # noqa: D102
        return {**super().as_dict(), "max_history": self.max_history, "remove_duplicates": self.remove_duplicates}

    @staticmethod
    def slice_state_history(states: Sequence[State], slice_length: int | None) -> list[State | None]:
        """Return the last `slice_length` states, padded with None at the start; all states if that is None."""
        if not slice_length:
            return list(states)
        return [*[None] * (slice_length - len(states)), *states[-slice_length:]]

    def _padded(self, states: Sequence[State]) -> list[State | None]:
        return self.slice_state_history(states, self.max_history)

    def training_states_and_actions(self, trackers: Conversations, domain: Names) -> StatesAndActions:  # noqa: D102
        all_states, all_actions, seen = [], [], set()
        for tracker in trackers:
            states, actions = self.predictions_of(tracker)
            keys = [frozenset(state.items()) for state in states]
            for index, action in enumerate(actions):
                if action.unpredictable:
                    continue
                start = max(0, index + 1 - self.max_history)
                key = (tuple(keys[start : index + 1]), action.action_name)
                if self.remove_duplicates and key in seen:
                    continue
                seen.add(key)
                all_states.append(self._padded(states[start : index + 1]))
                all_actions.append([action.action_name])
        return all_states, all_actions

    def prediction_states(self, trackers: Conversations, domain: Names) -> StateSequences:  # noqa: D102
        return [self._padded(self.cleaned(tracker.last_states(self.max_history))) for tracker in trackers]

    def featurize_trackers(self, trackers: Conversations, domain: Names) -> DialogueTrainingData:
        """Return X ``(examples, max_history, features)`` and y ``(examples, actions)``.

        All examples have the same length; as in 0.9, `true_length` includes the padding of a short history.
        """
        data = super().featurize_trackers(trackers, domain)
        lengths = [self.max_history] * len(data.y)
        return DialogueTrainingData(data.X, data.y.reshape(len(data.y), domain.num_actions), lengths)


def _is_own(kind: type) -> bool:
    return not kind.__module__.startswith("rasa_core.")


def _told_of_own(featurizer: TrackerFeaturizer | SingleStateFeaturizer) -> dict[str, Any]:
    """Return the module of a custom featurizer's class, and its attributes besides the options, as data for JSON.

    In 0.9, all attributes of a featurizer were written; a class that defines `as_dict` chooses them itself.
    """
    kind = type(featurizer)
    told: dict[str, Any] = {"module": kind.__module__}
    if kind.as_dict.__module__.startswith("rasa_core."):
        told["attributes"] = kept = {}
        for name, value in vars(featurizer).items():
            if name in _NOT_KEPT or name in featurizer.as_dict():
                continue
            try:
                kept[name] = json.loads(json.dumps(value, allow_nan=False))
            except (TypeError, ValueError):
                problem = "a model does not keep %s of a %s, as JSON does not have it: define as_dict and from_dict."
                logger.warning(problem, name, kind.__name__)
    return told


def _made(kind: type[Any], build: Callable[[], Any], options: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    """Build a featurizer and restore its attributes, also if its constructor has other parameters than the options."""
    attributes = own.get(kind.__name__, {}).get("attributes", {}) if _is_own(kind) else {}
    try:
        made = build()
    except TypeError:
        if not _is_own(kind):
            raise
        made = object.__new__(kind)
        vars(made).update(options)
    vars(made).update(attributes)
    return made
