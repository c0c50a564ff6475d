"""What every policy is: something that learns from conversations and scores the next action."""

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
"""So many conversations are gone through without telling how far that is."""
_TOLD_EVERY: Final = 500
_KEPT_ELSEWHERE: Final = ("featurizer", "priority")
_NOTHING: Final = object()
DEFAULT_THRESHOLD: Final = 0.3
"""The confidence (probability) that a message has to have, where no fallback says another."""


class Prediction(NamedTuple):
    """The next action, and why.

    Parameters
    ----------
    action : str
        Name of the action with the highest score.
    confidence : float
        Its probability.
    policy : str or None
        Class name of the policy that decided; None where the action was fixed or nothing had been learnt.
    scores : dict of str to float
        Probability of every action of the domain, in the domain's order; they sum to 1.
    hide_rule_turn : bool
        Whether a rule that no story has decided, so that other policies are not to see the turn.
    events : tuple of Event
        What is to be logged before the action.
    """

    action: str
    confidence: float
    policy: str | None
    scores: dict[str, float]
    hide_rule_turn: bool = False
    events: tuple[Event, ...] = ()


class Opinion(NamedTuple):
    """What one policy of several says.

    Parameters
    ----------
    scores : list of float
        A score for each action.
    no_user : bool
        Whether it wins over all others, whatever their scores.
    hide_rule_turn, events
        The same as in `Prediction`.
    """

    scores: Sequence[float]
    no_user: bool = False
    hide_rule_turn: bool = False
    events: tuple[Event, ...] = ()


class Policy(KnownByName, ABC):
    """Base of all policies.

    A subclass needs `predict_action_probabilities` alone. It is known by its class name as soon as it is defined; a
    model that was trained with it can be loaded once the module that defines it has been imported.

    Parameters
    ----------
    featurizer
        Turns conversations into arrays, for policies that want that.
    priority
        Takes the place of the class attribute.

    Attributes
    ----------
    priority : int
        Of the policies that are sure enough, those with the highest priority decide, then the most certain of them.
    threshold : float
        A policy whose highest score is below this is not sure enough, whatever its priority.
    """

    SUPPORTS_ONLINE_TRAINING: ClassVar[bool] = False
    NEEDS_STORIES: ClassVar[bool] = False
    """Whether it cannot be trained without stories."""
    HIGHEST_SCORE: ClassVar[float] = math.inf
    """No score of this policy is above this; it is not asked where it cannot win any more."""

    OPTIONS_FILE: ClassVar[str] = "options.json"
    """What `persist` writes the options into."""

    PASSES_FORMS: ClassVar[bool] = False
    """Whether a policy that `gives_way` does so to this one."""

    priority: int = 1
    threshold: float = 0.0
    _featurizer: TrackerFeaturizer | None = None  # For subclasses whose constructor does not call this one.

    def __init__(self, featurizer: TrackerFeaturizer | None = None, *, priority: int | None = None) -> None:
        if not isinstance(featurizer, TrackerFeaturizer | None):
            raise ValueError(f"a featurizer is a TrackerFeaturizer, not {type(featurizer).__name__}.")
        self._featurizer = featurizer
        if priority is not None:
            self.priority = priority

    @property
    def featurizer(self) -> TrackerFeaturizer:
        """Turns conversations into arrays."""
        if self._featurizer is None:
            # What policies of users' own overrode in 0.9, to have another one by default.
            standard = getattr(self, "_standard_featurizer", MaxHistoryTrackerFeaturizer)
            self._featurizer = standard()
        return self._featurizer

    def limit_history(self, max_history: int) -> None:
        """Look at so many of the last states from the next training on; a policy that looks at all still does."""
        if not isinstance(max_history, int) or max_history < 1:
            raise ValueError(f"max_history is a number of states, at least 1, not {max_history!r}.")
        # Where memoization and n-grams keep it; other policies ask their featurizer.
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
        """Return the arrays to learn from, at most ``max_training_samples`` examples if that is given."""
        data = self.featurizer.featurize_trackers(training_trackers, domain)
        limit = kwargs.get("max_training_samples")
        if limit is not None:
            data.limit_training_data_to(limit)
        return data

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Learn from conversations, which not every policy does; keyword arguments may be for other policies."""

    def continue_training(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Learn from more conversations, where the policy can."""

    @abstractmethod
    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> Sequence[float]:
        """Return a score for each action, shape ``(domain.num_actions,)``; zeros for no opinion."""

    def opinion(self, tracker: DialogueStateTracker, domain: Domain) -> Opinion:
        """Return the scores, and what else there is to know of them."""
        return Opinion(self.predict_action_probabilities(tracker, domain))

    def priority_for(self, tracker: DialogueStateTracker) -> int:
        """Return the priority of the present prediction, which may differ from that of others."""
        return self.priority

    def outdo(self) -> None:
        """Tell by the scores alone what the priority tells, from now on: the ensemble knows no priorities."""

    @property
    def named_actions(self) -> Mapping[str, str]:
        """The actions that its options name, by option; the domain has to have them."""
        return {}

    @property
    def named_intents(self) -> Mapping[str, str]:
        """The intents that its options name, by option; the domain has to have them."""
        return {}

    @property
    def gives_way(self) -> bool:
        """Whether it decides only where the best of the others is none that passes forms."""
        return False

    def reason(self, tracker: DialogueStateTracker) -> str | None:
        """Return what the caller should know about a decision of this policy, in a sentence; None for nothing."""
        return None

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns | None:
        """Return what taught the policy its present prediction, at most `limit` training turns; None if it cannot tell.

        Only asked for explanations; may read files.

        Raises
        ------
        ModelError
            If a file cannot be read.
        """
        return self.lessons(tracker, domain, limit)

    def lessons(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns | None:
        """Return the same; an older name, under which policies may still define it."""
        return None

    def persist(self, path: str | Path) -> None:
        """Write what was learnt into the folder `path`, which exists; here, its featurizer and options.

        The options are the parameters of the class, as far as an attribute of the same name has plain data.
        """
        if self._featurizer is not None:
            self._featurizer.persist(path)
        options = _changed_options(self)
        if options:
            text = json.dumps(options, indent=1, sort_keys=True)
            Path(path, self.OPTIONS_FILE).write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Read a policy from the folder `path`; here, one that is made of its options alone, and its featurizer."""
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
    """Return the parameters of a policy that have not their defaults; of those that cannot be kept, warn."""
    if type(policy).load.__func__ is not Policy.load.__func__:  # type: ignore[attr-defined]
        return {}  # It reads what it needs itself.
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


# -- what is asked of policies together


def surely_means(message: UserUttered, intent: str, policies: Iterable[Policy] = ()) -> bool:
    """Tell whether a message means an intent, and is as sure of it as a fallback among the policies asks for.

    What an intent leads to without the policies, such as a restart, is not to happen because of a guess.
    """
    if message.intent.get("name") != intent:
        return False
    # Whatever the class is called: a fallback of a user's own counts as well.
    thresholds = [vars(policy)["nlu_threshold"] for policy in policies if "nlu_threshold" in vars(policy)]
    confidence = message.intent.get("confidence")
    return confidence is None or confidence >= min(thresholds, default=DEFAULT_THRESHOLD)


def reason_of(prediction: Prediction, policies: Iterable[Policy], tracker: DialogueStateTracker) -> str | None:
    """Return what the policy that has decided says to the caller, None for nothing."""
    decided = (policy for policy in policies if type(policy).__name__ == prediction.policy)
    return next((policy.reason(tracker) for policy in decided), None)


# -- conversations to learn from


class Stream:
    """Conversations that are made one after the other, so that they never are in memory all at once.

    Parameters
    ----------
    trackers
        Gives the same conversations each time it is iterated over.
    look
        Is called with each of them, until all were gone through once; None from then on.
    """

    def __init__(self, trackers: Trackers, look: Callable[[DialogueStateTracker], object] | None = None) -> None:
        self._trackers = trackers
        self.look = look

    def __len__(self) -> int:
        """Return the number of conversations, 0 if that is not known."""
        return len(self._trackers) if isinstance(self._trackers, Sized) else 0

    def __iter__(self) -> Iterator[DialogueStateTracker]:
        """Yield each conversation; raise `ValueError` for what is none."""
        look = self.look
        for tracker in self._trackers:
            if look is not None:
                look(_checked(tracker))
            yield _checked(tracker)
        self.look = None


def training_input(trackers: Trackers) -> Collection[DialogueStateTracker] | Stream:
    """Return conversations that can be gone through several times, once for each policy.

    Raises
    ------
    ValueError
        If something is no conversation; for those that are made one after the other, when it is come to.
    """
    if not isinstance(trackers, Iterable):
        _checked(trackers)
    if isinstance(trackers, Sequence) or iter(trackers) is trackers:
        return [_checked(tracker) for tracker in trackers]
    return Stream(trackers)


def with_progress(title: str, trackers: Trackers, *, silent: bool) -> Iterator[DialogueStateTracker]:
    """Yield the conversations, and tell how far that is if there are many."""
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


def confidence_scores_for(action_name: str, value: float, domain: Domain) -> list[float]:
    """Return what a policy predicts that is sure of one action, as Rasa Core 0.12 has it for policies of one's own."""
    scores = [0.0] * domain.num_actions
    scores[domain.index_for_action(action_name)] = value
    return scores


def confidence_of_nlu(tracker: DialogueStateTracker) -> float:
    """Return how sure the interpreter was of the intent of the latest message; 1.0 where it does not say."""
    confidence = tracker.latest_message.intent.get("confidence")
    return 1.0 if confidence is None else float(confidence)
