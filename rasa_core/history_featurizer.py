"""The features that the network learns from by default: the last states, and a summary of everything before.

One prediction's features are a vector with these blocks, each in the order of the domain:

==========================  =====================  ==================================================
block                       size                   value
==========================  =====================  ==================================================
states                      max_history x states   the last states, the present one first
seen                        I + E + A              1.0 for what occurred since the restart
counts                      I + E + A              log(1 + count)
this turn                   A                      1.0 for actions since the latest user message
turn                        1                      log(1 + number of user messages)
==========================  =====================  ==================================================

(I intents, E entities, A actions.) The vector is sparse, and is built from a `History` alone, so a prediction
costs the same however long the conversation is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.events import ActionExecuted, UserUttered
from rasa_core.featurizers import with_best_intent_only
from rasa_core.history import History, State

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

Sparse = tuple[list[int], list[float]]


class _Layout(NamedTuple):
    """Where each feature stands; replaced as a whole, so that other threads never see half of a new one."""

    states: Mapping[str, int]
    intents: Mapping[str, int]
    entities: Mapping[str, int]
    actions: Mapping[str, int]
    counts_offset: int
    turn_actions: Mapping[str, int]
    num_features: int


class HistoryFeaturizer:
    """Turns conversations into vectors of history features.

    Parameters
    ----------
    max_history
        How many states are features in full.
    """

    def __init__(self, max_history: int = 5) -> None:
        if not isinstance(max_history, int) or max_history < 1:
            raise ValueError(f"max_history is a number of states, at least 1, not {max_history!r}.")
        self.max_history = max_history
        self._layout = _Layout({}, {}, {}, {}, 0, {}, 0)

    @property
    def num_features(self) -> int:
        """Length of the vectors; 0 before `prepare_from_domain`."""
        return self._layout.num_features

    def prepare_from_domain(self, domain: Domain) -> None:
        """Lay out the features for the names of `domain`; safe while other threads featurise."""
        intents = self.max_history * domain.num_states
        entities = intents + len(domain.intents)
        actions = entities + len(domain.entities)
        counts = actions + domain.num_actions
        counts_offset = counts - intents
        turn_actions = counts + counts_offset
        self._layout = _Layout(
            domain.input_state_map,
            _numbered(domain.intents, intents),
            _numbered(domain.entities, entities),
            _numbered(domain.action_names, actions),
            counts_offset,
            _numbered(domain.action_names, turn_actions),
            turn_actions + domain.num_actions + 1,
        )

    def features(self, states: Sequence[State], history: History) -> Sparse:
        """Return the features of one prediction.

        Parameters
        ----------
        states
            The last states, the present one last; those before the last `max_history` are left out.
        history
            The summary of the conversation.

        Returns
        -------
        indices, values
            Sparse vector of length `num_features`.
        """
        layout = self._layout
        indices: list[int] = []
        values: list[float] = []
        self._add_states(states, indices, values)
        for counts, known in (
            (history.intents, layout.intents),
            (history.entities, layout.entities),
            (history.actions, layout.actions),
        ):
            for name, count in counts.items():
                index = known.get(name)
                if index is not None:
                    indices += (index, index + layout.counts_offset)
                    values += (1.0, math.log1p(count))
        for name in dict.fromkeys(history.turn_actions):
            index = layout.turn_actions.get(name)
            if index is not None:
                indices.append(index)
                values.append(1.0)
        if history.turns:
            indices.append(layout.num_features - 1)
            values.append(math.log1p(history.turns))
        return indices, values

    def _add_states(self, states: Sequence[State], indices: list[int], values: list[float]) -> None:
        known, offset = self._layout.states, 0
        for state in states[: -self.max_history - 1 : -1]:
            for name, value in with_best_intent_only(state).items():
                index = known.get(name)
                if index is not None:
                    indices.append(offset + index)
                    values.append(value)
            offset += len(known)

    def present(self, tracker: DialogueStateTracker) -> Sparse:
        """Return the features from which the next action of a conversation is predicted."""
        return self.features(tracker.last_states(self.max_history), tracker.history)

    def examples(self, tracker: DialogueStateTracker) -> list[tuple[Sparse, str]]:
        """Return the features before each action of a conversation that is to be learnt, and its name."""
        states = tracker.last_states(None)
        history = History(window=1, vocabulary=tracker.history.vocabulary)
        found: list[tuple[Sparse, str]] = []
        done = 0
        for event in tracker.applied_events():
            if isinstance(event, UserUttered):
                history.record_user(event.intent.get("name"), (str(entity["entity"]) for entity in event.entities))
            elif isinstance(event, ActionExecuted):
                recent = states[max(0, done + 1 - self.max_history) : done + 1]
                if not event.unpredictable:
                    found.append((self.features(recent, history), event.action_name))
                history.record_action(states[done], event.action_name)
                done += 1
        return found

    def training_arrays(
        self, trackers: Iterable[DialogueStateTracker], domain: Domain
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
        """Return the distinct examples of conversations.

        Returns
        -------
        x
            Features, ``(examples, features)``.
        y
            Indices of the actions that followed, ``(examples,)``.
        weights
            How often each example occurs, divided by the mean, ``(examples,)``.
        """
        self.prepare_from_domain(domain)
        counts: dict[tuple[tuple[int, ...], tuple[float, ...], int], int] = {}
        for tracker in trackers:
            for (indices, values), name in self.examples(tracker):
                example = (tuple(indices), tuple(values), domain.index_for_action(name))
                counts[example] = counts.get(example, 0) + 1
        x = np.zeros((len(counts), self.num_features), np.float32)
        for row, (columns, values_of_row, _) in enumerate(counts):
            x[row, list(columns)] = values_of_row
        y = np.fromiter((action for _, _, action in counts), np.int32, len(counts))
        weights = np.fromiter(counts.values(), np.float32, len(counts))
        return x, y, weights / weights.mean() if len(weights) else weights

    def as_dict(self) -> dict[str, Any]:
        """Return the options, JSON-able."""
        return {"max_history": self.max_history}


def _numbered(names: Iterable[str], start: int) -> dict[str, int]:
    return {name: index for index, name in enumerate(names, start)}
