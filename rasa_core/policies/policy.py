"""What every policy is: something that learns from conversations and scores the next action."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rasa_core.policies.features.classic import DialogueTrainingData, MaxHistoryTrackerFeaturizer, TrackerFeaturizer
from rasa_core.policies.lessons import Lessons

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker


@dataclass(frozen=True, slots=True)
class Prediction:
    """The next action, and why.

    Attributes
    ----------
    action : str
        Name of the action with the highest score.
    confidence : float
        Its probability.
    policy : str or None
        Class name of the policy that decided; None where the action was fixed or nothing had been learnt.
    scores : dict of str to float
        Probability of every action of the domain, in the domain's order; they sum to 1.
    """

    action: str
    confidence: float
    policy: str | None
    scores: dict[str, float]


class Policy(ABC):
    """Base of all policies.

    A subclass is known by its class name as soon as it is defined; a model that was trained with it can be
    loaded once the module that defines it has been imported.

    Parameters
    ----------
    featurizer
        Turns conversations into arrays, for policies that want that.
    """

    SUPPORTS_ONLINE_TRAINING: ClassVar[bool] = False
    _featurizer: TrackerFeaturizer | None = None  # For subclasses whose constructor does not call this one.
    HIGHEST_SCORE: ClassVar[float] = math.inf
    """No score of this policy is above this; it is not asked where another policy has reached it already."""
    registry: ClassVar[dict[str, type[Policy]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under its name; the class defined last wins."""
        super().__init_subclass__(**kwargs)
        Policy.registry[cls.__name__] = cls

    def __init__(self, featurizer: TrackerFeaturizer | None = None) -> None:
        self._featurizer = featurizer

    @property
    def featurizer(self) -> TrackerFeaturizer:
        """Turns conversations into arrays."""
        if self._featurizer is None:
            self._featurizer = MaxHistoryTrackerFeaturizer()
        return self._featurizer

    @property
    def max_history(self) -> int | None:
        """How many states a prediction looks at; None for all."""
        return self.featurizer.max_history

    def featurize_for_training(
        self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any
    ) -> DialogueTrainingData:
        """Return the arrays to learn from, at most ``max_training_samples`` examples if that is given."""
        data = self.featurizer.featurize_trackers(training_trackers, domain)
        limit = kwargs.get("max_training_samples")
        if limit is not None:
            data.limit_training_data_to(limit)
        return data

    @abstractmethod
    def train(self, training_trackers: Iterable[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Learn from conversations; unknown keyword arguments are for other policies and are ignored."""

    def continue_training(  # noqa: B027
        self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any
    ) -> None:
        """Learn from more conversations, where the policy can."""

    @abstractmethod
    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> Sequence[float]:
        """Return a score for each action, shape ``(domain.num_actions,)``; zeros for no opinion."""

    def lessons(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> Lessons | None:
        """Return what taught the policy its present prediction, at most `limit` training turns; None if it cannot tell.

        Only asked for explanations; may read files.

        Raises
        ------
        ModelError
            If a file cannot be read.
        """
        return None

    def persist(self, path: str | Path) -> None:
        """Write what was learnt into the folder `path`, which exists."""
        raise NotImplementedError(f"{type(self).__name__} needs a method persist(path).")

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy from the folder `path`."""
        raise NotImplementedError(f"{cls.__name__} needs a class method load(path).")
