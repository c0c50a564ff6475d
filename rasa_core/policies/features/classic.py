"""From states to arrays, in the two ways of old: the last few states of a conversation, or all of them.

A *single-state featurizer* turns one state into a vector; a *tracker featurizer* turns conversations into
arrays of such vectors and the actions that followed. Shapes: ``examples`` counts predictions, ``time`` counts
states, oldest first, ``features`` and ``actions`` follow the order of the domain.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from rasa_core.events import ActionExecuted
from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.history import State
from rasa_core.policies.features.states import (
    PADDING,
    BinarySingleStateFeaturizer,
    Floats,
    LabelTokenizerSingleStateFeaturizer,
    SingleStateFeaturizer,
    with_best_intent_only,
)

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

__all__ = [
    "PADDING",
    "BinarySingleStateFeaturizer",
    "DialogueTrainingData",
    "Floats",
    "FullDialogueTrackerFeaturizer",
    "LabelTokenizerSingleStateFeaturizer",
    "MaxHistoryTrackerFeaturizer",
    "SingleStateFeaturizer",
    "TrackerFeaturizer",
    "with_best_intent_only",
]

T = TypeVar("T")
FILE_NAME = "featurizer.json"


class DialogueTrainingData:
    """Arrays to learn from.

    Attributes
    ----------
    X : NDArray
        Shape ``(examples, time, features)``.
    y : NDArray
        One-hot actions, shape ``(examples, actions)`` or ``(examples, time, actions)``.
    true_length : list of int or None
        How many of the states of each example are not padding.
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

    def is_empty(self) -> bool:
        """Tell whether there is nothing to learn from."""
        return self.num_examples() == 0

    def num_examples(self) -> int:
        """Return the number of examples."""
        return len(self.y)


class TrackerFeaturizer(ABC):
    """Turns conversations into arrays; subclasses are known by name, as those of `SingleStateFeaturizer`.

    Parameters
    ----------
    state_featurizer
        Turns single states into vectors.
    use_intent_probabilities
        Whether every intent of a ranking counts by its confidence; otherwise the best counts 1.0 and the
        others 0.
    """

    registry: ClassVar[dict[str, type[TrackerFeaturizer]]] = {}
    max_history: int | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under its name; the class defined last wins."""
        super().__init_subclass__(**kwargs)
        TrackerFeaturizer.registry[cls.__name__] = cls

    def __init__(
        self, state_featurizer: SingleStateFeaturizer | None = None, use_intent_probabilities: bool = False
    ) -> None:
        self.state_featurizer = state_featurizer if state_featurizer is not None else BinarySingleStateFeaturizer()
        self.use_intent_probabilities = use_intent_probabilities

    def _clean(self, states: Iterable[State]) -> list[State]:
        if self.use_intent_probabilities:
            return list(states)
        return [with_best_intent_only(state) for state in states]

    def predictions_of(self, tracker: DialogueStateTracker) -> tuple[list[State], list[ActionExecuted]]:
        """Return the states before the actions of a conversation, and all its actions."""
        actions = [event for event in tracker.applied_events() if isinstance(event, ActionExecuted)]
        before_actions = tracker.last_states(None)[:-1]
        return self._clean(before_actions[len(before_actions) - len(actions) :]), actions

    @abstractmethod
    def training_states_and_actions(
        self, trackers: Iterable[DialogueStateTracker], domain: Domain
    ) -> tuple[list[list[State | None]], list[list[str]]]:
        """Return the states before each prediction, and the names of the actions that followed."""

    @abstractmethod
    def prediction_states(self, trackers: Iterable[DialogueStateTracker], domain: Domain) -> list[list[State | None]]:
        """Return, for each conversation, the states that its next prediction is made from."""

    @abstractmethod
    def featurize_trackers(self, trackers: Iterable[DialogueStateTracker], domain: Domain) -> DialogueTrainingData:
        """Return the arrays to learn from."""

    def create_X(self, trackers: Iterable[DialogueStateTracker], domain: Domain) -> Floats:  # noqa: N802
        """Return the array to predict from, shape ``(conversations, time, features)``."""
        self.state_featurizer.prepare_from_domain(domain)
        return self._encode_all(self.prediction_states(trackers, domain))

    def _encode_all(self, sequences: Sequence[Sequence[State | None]]) -> Floats:
        """Encode sequences of states, padded behind to the longest: shape ``(examples, time, features)``."""
        longest = max((len(states) for states in sequences), default=0)
        padding = self.state_featurizer.encode(None)
        x = np.empty((len(sequences), longest, len(padding)), np.float32)
        for row, states in enumerate(sequences):
            for step in range(longest):
                state = states[step] if step < len(states) else None
                x[row, step] = padding if state is None else self.state_featurizer.encode(state)
        return x

    def as_dict(self) -> dict[str, Any]:
        """Return class and options, JSON-able."""
        return {
            "featurizer": type(self).__name__,
            "use_intent_probabilities": self.use_intent_probabilities,
            "state_featurizer": type(self.state_featurizer).__name__,
            "state_featurizer_options": self.state_featurizer.as_dict(),
        }

    def persist(self, path: str | Path) -> None:
        """Write the options into the folder `path`."""
        Path(path, FILE_NAME).write_text(json.dumps(self.as_dict(), indent=1, sort_keys=True), encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> TrackerFeaturizer:
        """Read a featurizer from the folder `path`."""
        file = Path(path, FILE_NAME)
        try:
            options = json.loads(file.read_text(encoding="utf-8"))
            featurizer_class: Any = _known(TrackerFeaturizer.registry, options.pop("featurizer"))
            state_class = _known(SingleStateFeaturizer.registry, options.pop("state_featurizer"))
            state_featurizer = state_class.from_dict(options.pop("state_featurizer_options"))
            built: TrackerFeaturizer = featurizer_class(state_featurizer, **options)
        except ModelError as error:
            raise ModelError(f"{file}: {error}") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"cannot read the featurizer {str(file)!r}: {error!r}. Train the model again.") from error
        return built


class FullDialogueTrackerFeaturizer(TrackerFeaturizer):
    """One example a conversation, with all its states, padded behind.

    A prediction reads the whole conversation, at a cost that grows with it.
    """

    def training_states_and_actions(  # noqa: D102
        self, trackers: Iterable[DialogueStateTracker], domain: Domain
    ) -> tuple[list[list[State | None]], list[list[str]]]:
        all_states: list[list[State | None]] = []
        all_actions = []
        for tracker in trackers:
            states, actions = self.predictions_of(tracker)
            skip = 1 if actions and actions[0].unpredictable else 0
            all_states.append(list(states[skip:]))
            all_actions.append([action.action_name for action in actions[skip:]])
        return all_states, all_actions

    def prediction_states(  # noqa: D102
        self, trackers: Iterable[DialogueStateTracker], domain: Domain
    ) -> list[list[State | None]]:
        return [list(self._clean(tracker.last_states(None))) for tracker in trackers]

    def featurize_trackers(self, trackers: Iterable[DialogueStateTracker], domain: Domain) -> DialogueTrainingData:
        """Return X ``(conversations, time, features)`` and y ``(conversations, time, actions)``."""
        self.state_featurizer.prepare_from_domain(domain)
        states, actions = self.training_states_and_actions(trackers, domain)
        longest = max((len(names) for names in actions), default=0)
        y = np.full((len(actions), longest, domain.num_actions), PADDING, np.float32)
        for row, names in enumerate(actions):
            for step, name in enumerate(names):
                y[row, step] = self.state_featurizer.action_as_one_hot(name, domain)
        return DialogueTrainingData(self._encode_all(states), y, [len(names) for names in actions])


class MaxHistoryTrackerFeaturizer(TrackerFeaturizer):
    """One example a prediction, with the last `max_history` states, padded in front.

    Parameters
    ----------
    max_history
        Number of states; 5 if not given.
    remove_duplicates
        Whether equal examples are learnt from once.
    """

    def __init__(
        self,
        state_featurizer: SingleStateFeaturizer | None = None,
        max_history: int | None = None,
        remove_duplicates: bool = True,
        use_intent_probabilities: bool = False,
    ) -> None:
        super().__init__(state_featurizer, use_intent_probabilities)
        self.max_history: int = 5 if max_history is None else max_history
        if not isinstance(self.max_history, int) or self.max_history < 1:
            raise ValueError(f"max_history is a number of states, at least 1, not {max_history!r}.")
        self.remove_duplicates = remove_duplicates

    def as_dict(self) -> dict[str, Any]:  # noqa: D102
        return {
            **super().as_dict(),
            "max_history": self.max_history,
            "remove_duplicates": self.remove_duplicates,
        }

    def _padded(self, states: Sequence[State]) -> list[State | None]:
        return [*[None] * (self.max_history - len(states)), *states[-self.max_history :]]

    def training_states_and_actions(  # noqa: D102
        self, trackers: Iterable[DialogueStateTracker], domain: Domain
    ) -> tuple[list[list[State | None]], list[list[str]]]:
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

    def prediction_states(  # noqa: D102
        self, trackers: Iterable[DialogueStateTracker], domain: Domain
    ) -> list[list[State | None]]:
        return [self._padded(self._clean(tracker.last_states(self.max_history))) for tracker in trackers]

    def featurize_trackers(self, trackers: Iterable[DialogueStateTracker], domain: Domain) -> DialogueTrainingData:
        """Return X ``(examples, max_history, features)`` and y ``(examples, actions)``."""
        self.state_featurizer.prepare_from_domain(domain)
        states, actions = self.training_states_and_actions(trackers, domain)
        y = np.zeros((len(actions), domain.num_actions), np.float32)
        for row, (name,) in enumerate(actions):
            y[row, domain.index_for_action(name)] = 1.0
        return DialogueTrainingData(self._encode_all(states), y)


def _known(registry: Mapping[str, type[T]], name: str) -> type[T]:
    if name not in registry:
        raise ModelError(
            f"the class {name!r} is not known here.{did_you_mean(name, registry)} If it is your own, import "
            "the module that defines it before you load the model."
        )
    return registry[name]
