"""The base class of policies, which learn from conversations and give each possible next action a score."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from rasa_core.domain import Domain
from rasa_core.events import Event, UserUttered
from rasa_core.exceptions import ModelError
from rasa_core.policies.features.classic import FILE_NAME as FEATURIZER_NAME
from rasa_core.policies.features.classic import DialogueTrainingData, MaxHistoryTrackerFeaturizer, TrackerFeaturizer
from rasa_core.policies.training_turns import TrainingTurns
from rasa_core.support.progress import Progress
from rasa_core.support.stored_models import KnownByName, reading
from rasa_core.support.strict_json import decode
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

Trackers = Iterable[DialogueStateTracker]

FEW: Final = 2000
"""For up to so many conversations, no progress is shown."""
_TOLD_EVERY: Final = 500
_KEPT_ELSEWHERE: Final = ("featurizer", "priority")
_NOTHING: Final = object()
DEFAULT_THRESHOLD: Final = 0.3
"""The default threshold for the confidence of a message (probability)."""


class Prediction(NamedTuple):
    """The predicted next action, with its scores.

    Parameters
    ----------
    action : str
        Name of the action with the highest score.
    confidence : float
        The probability of the action.
    policy : str or None
        Class name of the policy that decided; None if the action was fixed or no policy has a score.
    scores : dict of str to float
        Probability of every action of the domain, in the domain's order; they sum to 1.
    hide_rule_turn : bool
        Whether a rule decided that is not in the stories, so that the turn is hidden from other policies.
    events : tuple of Event
        Events to be logged before the action.
    """

    action: str
    confidence: float
    policy: str | None
    scores: dict[str, float]
    hide_rule_turn: bool = False
    events: tuple[Event, ...] = ()


class Opinion(NamedTuple):
    """The prediction of one policy in an ensemble.

    Parameters
    ----------
    scores : list of float
        A score for each action.
    no_user : bool
        Whether it goes before all other policies, whatever their scores.
    hide_rule_turn, events
        The same as in `Prediction`.
    """

    scores: Sequence[float]
    no_user: bool = False
    hide_rule_turn: bool = False
    events: tuple[Event, ...] = ()


class Policy(KnownByName, ABC):
    """Base of all policies.

    A subclass only needs `predict_action_probabilities`. It is registered by its class name, so that a model that was
    trained with it can be loaded once its module is imported.

    Parameters
    ----------
    featurizer
        Turns conversations into arrays, for policies that learn from arrays.
    priority
        Overrides the class attribute.

    Attributes
    ----------
    priority : int
        Of the policies that are sure enough, the policy with the highest priority decides, then the most certain one.
    threshold : float
        A policy whose highest score is below this is not sure enough, whatever its priority.
    """

    SUPPORTS_ONLINE_TRAINING: ClassVar[bool] = False
    NEEDS_STORIES: ClassVar[bool] = False
    """Whether the policy cannot be trained without stories."""
    HIGHEST_SCORE: ClassVar[float] = math.inf
    """Upper bound of this policy's scores; the ensemble does not ask a policy that cannot win any more."""

    OPTIONS_FILE: ClassVar[str] = "options.json"
    """The file into which `persist` writes the options."""

    PASSES_FORMS: ClassVar[bool] = False
    """Whether a policy that `gives_way` leaves the decision to this one."""

    gives_way: bool = False
    """Whether the policy only decides if the best of the other policies does not have `PASSES_FORMS`."""

    priority: int = 1
    threshold: float = 0.0
    _featurizer: TrackerFeaturizer | None = None  # For subclasses that do not call the base constructor.

    def __init__(self, featurizer: TrackerFeaturizer | None = None, *, priority: int | None = None) -> None:
        if not isinstance(featurizer, TrackerFeaturizer | None):
            raise ValueError(f"a featurizer is a TrackerFeaturizer, not {type(featurizer).__name__}.")
        self._featurizer = featurizer
        if priority is not None:
            self.priority = priority

    @property
    def featurizer(self) -> TrackerFeaturizer:
        """The featurizer, which turns conversations into arrays."""
        if self._featurizer is None:
            # A method of 0.9 that custom policies override, to have another default featurizer.
            standard = getattr(self, "_standard_featurizer", MaxHistoryTrackerFeaturizer)
            self._featurizer = standard()
        return self._featurizer

    def limit_history(self, max_history: int) -> None:
        """Set `max_history` for the next training; a policy that looks at all states is not changed."""
        if not isinstance(max_history, int) or max_history < 1:
            raise ValueError(f"max_history is a number of states, at least 1, not {max_history!r}.")
        # An attribute of memoization and n-grams; other policies use that of their featurizer.
        if "_max_history" in vars(self):
            vars(self)["_max_history"] = max_history
        # A copy, since policies may share one featurizer.
        featurizer = copy.copy(self.featurizer)
        if featurizer.max_history is not None:
            featurizer.max_history = max_history
            self._featurizer = featurizer

    @property
    def max_history(self) -> int | None:
        """How many states a prediction looks at; None for all."""
        return self.featurizer.max_history

    def featurize_for_training(
        self, training_trackers: Trackers, domain: Domain, **kwargs: Any
    ) -> DialogueTrainingData:
        """Return the training arrays, with at most ``max_training_samples`` examples if this is given."""
        data = self.featurizer.featurize_trackers(training_trackers, domain)
        limit = kwargs.get("max_training_samples")
        if limit is not None:
            data.limit_training_data_to(limit)
        return data

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Learn from conversations; by default, do nothing. Keyword arguments may be for other policies."""

    def continue_training(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Learn from more conversations, if the policy supports it."""

    @abstractmethod
    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> Sequence[float]:
        """Return a score for each action, shape ``(domain.num_actions,)``; zeros for no opinion."""

    def opinion(self, tracker: DialogueStateTracker, domain: Domain) -> Opinion:
        """Return the scores, and how the ensemble has to treat them."""
        return Opinion(self.predict_action_probabilities(tracker, domain))

    def priority_for(self, tracker: DialogueStateTracker) -> int:
        """Return the priority of the present prediction; it may depend on the conversation."""
        return self.priority

    def outdo(self) -> None:
        """From now on, express the priority by the scores, for a custom ensemble that ignores priorities."""

    @property
    def named_actions(self) -> Mapping[str, str]:
        """The actions that the policy's options name, by option; the domain must have them."""
        return {}

    @property
    def named_intents(self) -> Mapping[str, str]:
        """The intents that the policy's options name, by option; the domain must have them."""
        return {}

    def reason(self, tracker: DialogueStateTracker) -> str | None:
        """Return a sentence for the caller about a decision of this policy, or None."""
        return None

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns | None:
        """Return up to `limit` training turns that taught the present prediction; None if the policy cannot tell them.

        This is only called for explanations, and may read files.

        Raises
        ------
        ModelError
            If a file cannot be read.
        """
        return self.lessons(tracker, domain, limit)

    def lessons(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns | None:
        """Return the same as `training_turns`; an older name, which custom policies may override."""
        return None

    def persist(self, path: str | Path) -> None:
        """Write the trained policy into the existing folder `path`; by default, its featurizer and options.

        The options are the parameters of the class for which an attribute of the same name has plain data.
        """
        if self._featurizer is not None:
            self._featurizer.persist(path)
        options = _changed_options(self)
        if options:
            text = json.dumps(options, indent=1, sort_keys=True)
            Path(path, self.OPTIONS_FILE).write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy from the folder `path`; by default, make it from its options and its featurizer."""
        file = Path(path, cls.OPTIONS_FILE)
        options: dict[str, Any] = {}
        if file.is_file():
            with reading("the options of a policy", file):
                options = dict(decode(file.read_text(encoding="utf-8")).items())
        try:
            policy = cls(**options)
        except (TypeError, ValueError) as error:
            how = f"with the options {', '.join(sorted(options))}" if options else "without arguments"
            remedy = "give it a class method load(path), and persist(path) to write what that needs."
            remedy = f"train the model again, or {remedy}" if options else remedy
            raise ModelError(f"{cls.__name__} cannot be made {how} ({error}): {remedy}") from error
        if Path(path, FEATURIZER_NAME).is_file():
            policy._featurizer = TrackerFeaturizer.load(path)
        return policy


def _changed_options(policy: Policy) -> dict[str, Any]:
    """Return the parameters of a policy that differ from their defaults; warn of parameters that cannot be written."""
    if type(policy).load.__func__ is not Policy.load.__func__:  # type: ignore[attr-defined]
        return {}  # The policy's own `load` reads its options.
    found, kept = {}, vars(policy)
    for name, parameter in inspect.signature(type(policy)).parameters.items():
        if name in _KEPT_ELSEWHERE or parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        value = kept.get(name, kept.get(f"_{name}", _NOTHING))
        try:
            if value is not _NOTHING and value == parameter.default:
                continue
            found[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            logger.warning(
                "a model does not keep the option %r of %s, so that it has its default when it is loaded: keep plain "
                "data in an attribute of that name, or write persist and load.",
                name,
                type(policy).__name__,
            )
    return found


# -- several policies together


def surely_means(message: UserUttered, intent: str, policies: Iterable[Policy] = ()) -> bool:
    """Tell whether a message has an intent with a confidence above the thresholds of all fallback policies.

    Used for intents that act without the policies, such as a restart, which must not happen because of a guess.
    """
    if message.intent.get("name") != intent:
        return False
    # Recognised by the attribute, so that custom fallback policies count, too.
    thresholds = [vars(policy)["nlu_threshold"] for policy in policies if "nlu_threshold" in vars(policy)]
    confidence = message.intent.get("confidence")
    return confidence is None or confidence >= min(thresholds, default=DEFAULT_THRESHOLD)


def reason_of(prediction: Prediction, policies: Iterable[Policy], tracker: DialogueStateTracker) -> str | None:
    """Return the sentence for the caller by the policy that has decided, or None."""
    decided = (policy for policy in policies if type(policy).__name__ == prediction.policy)
    return next((policy.reason(tracker) for policy in decided), None)


# -- training conversations


class Stream:
    """Conversations that are made one after the other, so that they are never in memory all at once.

    Parameters
    ----------
    trackers
        An object that gives the same conversations each time it is iterated over.
    look
        A function that is called with each conversation during the first complete iteration.
    """

    def __init__(self, trackers: Trackers, look: Callable[[DialogueStateTracker], object] | None = None) -> None:
        self._trackers = trackers
        self.look = look

    def __len__(self) -> int:
        """Return the number of conversations; 0 if it is unknown."""
        return len(self._trackers) if isinstance(self._trackers, Sized) else 0

    def __iter__(self) -> Iterator[DialogueStateTracker]:
        """Yield each conversation; raise `ValueError` for an object that is not a tracker."""
        look = self.look
        for tracker in self._trackers:
            if look is not None:
                look(_checked(tracker))
            yield _checked(tracker)
        self.look = None


def training_input(trackers: Trackers) -> Collection[DialogueStateTracker] | Stream:
    """Return conversations that can be iterated over several times, once for each policy.

    Raises
    ------
    ValueError
        If an object is not a tracker; a `Stream` raises it during the iteration.
    """
    if not isinstance(trackers, Iterable):
        _checked(trackers)
    if isinstance(trackers, Sequence) or iter(trackers) is trackers:
        return [_checked(tracker) for tracker in trackers]
    return Stream(trackers)


def with_progress(title: str, trackers: Trackers, *, silent: bool) -> Iterator[DialogueStateTracker]:
    """Yield the conversations, and show the progress if there are many."""
    total = len(trackers) if isinstance(trackers, Sized) else 0
    with Progress(title, total, silent=silent or total <= FEW) as progress:
        for number, tracker in enumerate(trackers, 1):
            yield tracker
            if number % _TOLD_EVERY == 0 or number == total:
                progress.step(number)


def _checked(tracker: object) -> DialogueStateTracker:
    if not isinstance(tracker, DialogueStateTracker):
        raise ValueError(f"train takes trackers, not {type(tracker).__name__}: agent.train(agent.load_data(path)).")
    return tracker


def confidence_scores_for(action_name: str | None, value: float, domain: Domain) -> list[float]:
    """Return scores with `value` for one action, or none, and 0 for others; custom policies call it as in 0.12."""
    scores = [0.0] * domain.num_actions
    if action_name is not None:
        scores[domain.index_for_action(action_name)] = value
    return scores


def confidence_of_nlu(tracker: DialogueStateTracker) -> float:
    """Return the confidence of the latest message's intent; 1.0 if the interpreter does not give one."""
    confidence = tracker.latest_message.intent.get("confidence")
    return 1.0 if confidence is None else float(confidence)
