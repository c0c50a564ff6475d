"""The n-gram policy: counts which actions followed the last events in the stories; it is trained within a second.

The probability of an action is an interpolation of the counts after the last `n` events, the last `n - 1`, and so on
down to none:

*p_n(a) = (c_n(a) + k d_n p_(n-1)(a)) / (c_n + k d_n)*

where *c_n(a)* is how often action *a* followed these `n` events, *c_n* how often any action did, *d_n* how many
different actions did, *k* is a constant, and *p_(-1)* is equal for all actions. With *k = 1* this is method C of Witten
and Bell,
"The Zero-Frequency Problem" (IEEE Transactions on Information Theory 37(4), 1991).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from rasa_core.domain import Domain
from rasa_core.history import State
from rasa_core.policies.features.history import recent_events
from rasa_core.policies.policy import Policy, Trackers
from rasa_core.support.stored_models import reading
from rasa_core.trackers import DialogueStateTracker

FILE_NAME: Final = "ngrams.json"
FORMAT: Final = 1
CAUTION: Final = 2.0
"""The constant *k*: the weight of shorter contexts, in which it grows with the number of different actions."""

Counts = dict[str, int]


class NGramPolicy(Policy):
    """Predicts the action that followed the last events most often.

    An event is an action, or a message (its intent and the names of its entities). Slots and older events are ignored.
    The scores are probabilities; they are seldom near 1.

    Parameters
    ----------
    max_history
        The largest number of events in a context.
    """

    SUPPORTS_ONLINE_TRAINING: ClassVar[bool] = True
    HIGHEST_SCORE: ClassVar[float] = 1.0

    def __init__(self, max_history: int = 4, *, priority: int | None = None) -> None:
        super().__init__(priority=priority)
        if not isinstance(max_history, int) or max_history < 1:
            raise ValueError(f"max_history is a number of events, at least 1, not {max_history!r}.")
        self._max_history = max_history
        self._counts: dict[str, Counts] = {}

    @property
    def max_history(self) -> int:  # noqa: D102
        return self._max_history

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Count the actions after each context; earlier counts are forgotten."""
        self._counts = {}
        self.continue_training(training_trackers, domain, **kwargs)

    def continue_training(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Count more conversations; augmented ones are skipped, since they repeat the stories in them."""
        for tracker in training_trackers:
            if not getattr(tracker, "is_augmented", False):
                for contexts, action in self._turns(tracker):
                    for context in contexts:
                        counts = self._counts.setdefault(context, {})
                        counts[action] = counts.get(action, 0) + 1

    def _turns(self, tracker: DialogueStateTracker) -> Iterator[tuple[list[str], str]]:
        states, actions = self.featurizer.predictions_of(tracker)
        for number, action in enumerate(actions):
            if not action.unpredictable:
                recent = states[max(0, number + 1 - self._max_history) : number + 1]
                yield self._contexts(recent), action.action_name

    def _contexts(self, states: Sequence[State]) -> list[str]:
        """Return the contexts of the last 0, 1, 2 ... events."""
        # Sorted, since the order of the entities in a message does not matter.
        events = [" ".join(sorted(event)) for event in recent_events(states, self._max_history)]
        return ["\n".join(events[:length]) for length in range(len(events) + 1)]

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return probabilities ``(domain.num_actions,)``; zeros before training."""
        indices = domain.action_indices
        if not self._counts:
            return [0.0] * len(indices)
        result = [1.0 / len(indices)] * len(indices)
        for context in self._contexts(tracker.last_states(self._max_history)):
            counts = self._counts.get(context)
            # Longer contexts were never seen either.
            if counts is None:
                break
            # The formula of the module, from no event to the last `n`; `result` is *p_(n-1)*.
            caution = CAUTION * len(counts)
            total = sum(counts.values()) + caution
            result = [caution / total * probability for probability in result]
            for name, count in counts.items():
                # An action may have been removed from the domain since; its counts are then ignored.
                if name in indices:
                    result[indices[name]] += count / total
        return result

    def persist(self, path: str | Path) -> None:
        """Write the counts into the folder `path`."""
        content = {"format": FORMAT, "max_history": self._max_history, "counts": self._counts}
        Path(path, FILE_NAME).write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> NGramPolicy:
        """Read a policy from the folder `path`."""
        file = Path(path, FILE_NAME)
        with reading("the counted turns", file):
            content = json.loads(file.read_text(encoding="utf-8"))
            policy = cls(content["max_history"])
            for context, counts in content["counts"].items():
                policy._counts[context] = {name: int(count) for name, count in counts.items()}
                # With empty counts, the formula would divide by zero.
                if min(policy._counts[context].values(), default=0) < 1:
                    raise ValueError(f"nothing was counted for {context[:80]!r}")
        return policy
