"""The ensemble of policies: of the policies above their thresholds, the one with the highest priority decides.

Of policies with the same priority, the most certain one decides.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet
from rasa_core.events.base import SHORT_FINGERPRINT
from rasa_core.exceptions import MissingModelError, ModelError, UnsupportedDialogueModelError
from rasa_core.policies.policy import Opinion, Policy, Prediction, Stream, Trackers
from rasa_core.support.stored_models import KnownByName, reading
from rasa_core.trackers import DialogueStateTracker
from rasa_core.version import __version__

logger = logging.getLogger(__name__)

METADATA_NAME = "metadata.json"
MODEL_FORMAT = 1
# For custom policies without a `max_history`: as many states as in 0.9.
DEFAULT_WINDOW = 5
CHOSEN = ("priority", "threshold")
PROBABLE = 1.0001
"""A score above this is not a probability, even with rounding errors."""


class PolicyEnsemble(KnownByName):
    """Several policies that predict as one; of policies with equal priority and score, the first decides.

    A subclass may decide in another way: in ``probabilities_using_best_policy(tracker, domain)``, which returns a score
    for each action, or in ``predict_next_action``, which returns the index of an action. A subclass is registered by
    its name, so that a model that was trained with it can be loaded once its module is imported.

    Parameters
    ----------
    action_fingerprints
        For each action ``{"slots": [...]}``, the slots that it set in the stories.
    by_confidence
        Whether the most certain policy decides, and the priority only between equally certain policies, as in Rasa 3.

    Attributes
    ----------
    fingerprint : str or None
        A short hash of the model for logs; None before training.
    """

    fingerprint: str | None = None

    def __init__(
        self,
        policies: Iterable[Policy],
        action_fingerprints: Mapping[str, Mapping[str, list[str]]] | None = None,
        *,
        by_confidence: bool = False,
    ) -> None:
        self.by_confidence = by_confidence
        if isinstance(policies, Policy):
            raise ValueError("policies is a list: write policies=[...] around a single policy.")
        self.policies = list(policies)
        for policy in self.policies:
            if not isinstance(policy, Policy):
                raise ValueError(f"policies are objects such as MemoizationPolicy(), and {policy!r} is not a Policy.")
            if type(self).predict is PolicyEnsemble._predict_as_of_old:
                policy.outdo()
        self.action_fingerprints: dict[str, Mapping[str, list[str]]] = dict(action_fingerprints or {})

    @property
    def window(self) -> int:
        """How many states a conversation has to keep for its next turn."""
        return max([policy.max_history or 0 for policy in self.policies], default=0) or DEFAULT_WINDOW

    @property
    def longest_history(self) -> int | None:
        """The most states that any policy looks at; None if a policy looks at all states, or there are no policies."""
        histories = [policy.max_history for policy in self.policies]
        return None if None in histories else max([history or 0 for history in histories], default=None)

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Train each policy; without conversations and rules, the policies keep what they have learnt before."""
        if isinstance(training_trackers, Sequence) and not training_trackers and "rules" not in kwargs:
            logger.warning("nothing is trained, as there are no conversations to learn from.")
            return
        found = SlotsSetByActions()
        if isinstance(training_trackers, Stream):  # Making the conversations once more would take too long.
            training_trackers = Stream(training_trackers, found.look)
        for policy in self.policies:
            policy.train(training_trackers, domain, **kwargs)
        self.action_fingerprints = found.of(training_trackers)

    def name_after(self, *content: str) -> None:
        """Set the fingerprint of a model that was just trained, from its training input (`content`)."""
        kinds = [type(policy).__name__ for policy in self.policies]
        text = json.dumps([content, kinds, self.action_fingerprints])
        self.fingerprint = hashlib.blake2b(text.encode(), digest_size=SHORT_FINGERPRINT // 2).hexdigest()

    def continue_training(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Let each policy learn from more conversations."""
        for policy in self.policies:
            policy.continue_training(training_trackers, domain, **kwargs)
        for name, found in SlotsSetByActions().of(training_trackers).items():
            known = self.action_fingerprints.get(name, {}).get("slots", [])
            self.action_fingerprints[name] = {"slots": sorted({*known, *found["slots"]})}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let `predict` call a method of 0.9 that the subclass defines, unless the subclass defines `predict`."""
        super().__init_subclass__(**kwargs)
        old = {"probabilities_using_best_policy", "predict_next_action"} & vars(cls).keys()
        if old and "predict" not in vars(cls):
            cls.predict = PolicyEnsemble._predict_as_of_old  # type: ignore[method-assign]

    def _predict_as_of_old(self, tracker: DialogueStateTracker, domain: Domain) -> Prediction:
        """Return the prediction of a subclass that was written for 0.9."""
        names, decider = domain.action_names, type(self).__name__
        given = self.probabilities_using_best_policy(tracker, domain)
        scores = _numbers([] if given is None else given, decider)
        prediction = _prediction(scores, names, decider) if any(scores) else _undecided(names)
        if type(self).predict_next_action is PolicyEnsemble.predict_next_action:
            return prediction
        action = names[self.predict_next_action(tracker, domain)]
        return Prediction(action, prediction.scores[action], decider, prediction.scores)

    def predict(self, tracker: DialogueStateTracker, domain: Domain) -> Prediction:
        """Return the prediction of the policy that decides.

        A policy is sure enough if its best score is above zero, and not below its threshold. Of these policies, the one
        with the highest priority decides, then the one with the highest score, then the first. A score above 1 goes
        before every priority: policies written for Rasa Core 0.9 use it to overrule all others. If no policy is sure
        enough, the bot listens, and all actions are equally probable.
        """
        if self.by_confidence:
            return most_confident(self.policies, tracker, domain)
        best_rank, best, winner = (-math.inf, 0.0), None, ""
        for policy in self.policies:
            priority = policy.priority_for(tracker)
            # This policy cannot win any more and is not asked, such as a network if memoization is certain.
            if best is not None and best_rank >= _rank(priority, policy.HIGHEST_SCORE):
                continue
            given = policy.predict_action_probabilities(tracker, domain)
            scores = _numbers(given, type(policy).__name__)
            top = max(scores, default=0.0)
            if top > 0.0 and top >= policy.threshold and (rank := _rank(priority, top)) > best_rank:
                best_rank, best, winner = rank, scores, type(policy).__name__
        return _undecided(domain.action_names) if best is None else _prediction(best, domain.action_names, winner)

    def predict_next_action(self, tracker: DialogueStateTracker, domain: Domain) -> int:
        """Return the index of the next action."""
        scores = list(self.probabilities_using_best_policy(tracker, domain))
        return scores.index(max(scores))

    def probabilities_using_best_policy(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return the probability of each action, in the order of the domain."""
        own = type(self).predict
        # A subclass written for 0.9 is called by `predict`, and may itself call this method of its base class.
        decide = PolicyEnsemble.predict if own is PolicyEnsemble._predict_as_of_old else own
        return list(decide(self, tracker, domain).scores.values())

    def persist(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write each policy into a folder of its own below `path`, and ``metadata.json`` beside them."""
        described = []
        for index, policy in enumerate(self.policies):
            folder = f"policy_{index}_{type(policy).__name__}"
            Path(path, folder).mkdir(parents=True, exist_ok=True)
            policy.persist(str(Path(path, folder)))  # A string, since custom policies may append a file name to it.
            # Priority and threshold are only written if they were set on this object; otherwise the class has them.
            chosen = {name: value for name, value in vars(policy).items() if name in CHOSEN}
            kind = type(policy)
            # A policy with the default options writes none, so only this can tell that a file of them is lost.
            chosen |= {"has_options": True} if Path(path, folder, kind.OPTIONS_FILE).is_file() else {}
            described.append({"class": kind.__name__, "module": kind.__module__, "folder": folder, **chosen})
        content = {
            "format": MODEL_FORMAT,
            "rasa_core": __version__,
            "policies": described,
            "max_histories": [policy.max_history for policy in self.policies],
            "action_fingerprints": self.action_fingerprints,
            **({"by_confidence": True} if self.by_confidence else {}),
            **(metadata or {}),
        }
        own = self._written_as()
        if own not in (PolicyEnsemble, SimplePolicyEnsemble):
            content["ensemble"] = {"class": own.__name__, "module": own.__module__}
        Path(path, METADATA_NAME).write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")

    def _written_as(self) -> type[PolicyEnsemble]:
        """Return the class that can read the written model."""
        return type(self)

    @classmethod
    def load_metadata(cls, path: str | Path) -> dict[str, Any]:
        """Read ``metadata.json`` in the folder `path` and check that this version can read the model."""
        file = Path(path, METADATA_NAME)
        if not file.is_file():
            # Only models of 0.x have this file.
            if Path(path, "policy_metadata.json").is_file():
                raise UnsupportedDialogueModelError(
                    f"the model in {str(path)!r} was written by Rasa Core 0.x. Its files hold code, which is "
                    "not read: train a new model from the same domain and stories."
                )
            problem = f"no {METADATA_NAME}. Train one, or check the path."
            if (Path(path) / "models" / "dialogue" / METADATA_NAME).is_file():
                problem = f"no {METADATA_NAME}. It is the folder of a bot, whose model is in models/dialogue."
            raise MissingModelError(f"there is no model in {str(path)!r}: {problem}")
        with reading("the model", file):
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            newer = content["format"] > MODEL_FORMAT
            # Accessed here, so that a file with another structure is reported as damaged.
            content.setdefault("fingerprints", {}).get("domain")
        if newer:
            raise UnsupportedDialogueModelError(
                f"{file}: the model has format {content['format']}, and rasa_core {__version__} reads up to "
                f"{MODEL_FORMAT}. Install rasa_core {content.get('rasa_core')} or newer, or train again."
            )
        return content

    @classmethod
    def load(cls, path: str | Path) -> PolicyEnsemble:
        """Read the policies of the model in the folder `path`."""
        content = cls.load_metadata(path)
        file = Path(path, METADATA_NAME)
        with reading("the model", file):
            found = [(_policy_class(one, file), Path(path, _folder(one))) for one in content["policies"]]
            own = content.get("ensemble")
            usual = SimplePolicyEnsemble if cls is PolicyEnsemble else cls
            kind = usual if own is None else cls.named(own["class"], file, own.get("module"))
        for described, (policy_class, folder) in zip(content["policies"], found, strict=True):
            if described.get("has_options") and not (folder / policy_class.OPTIONS_FILE).exists():
                problem = f"the model in {str(path)!r} lacks the file {folder.name}/{policy_class.OPTIONS_FILE}"
                raise ModelError(f"{problem}. Copy the whole folder of the model, or train again.")
        policies = [policy_class.load(str(folder)) for policy_class, folder in found]
        for policy, described in zip(policies, content["policies"], strict=True):
            vars(policy).update({name: described[name] for name in CHOSEN if name in described})
        options = {"by_confidence": True} if content.get("by_confidence") else {}
        with reading("the ensemble", file):
            made: PolicyEnsemble = kind(policies, content.get("action_fingerprints"), **options)
        return made


class SimplePolicyEnsemble(PolicyEnsemble):
    """The ensemble that an agent makes from a list of policies; also that of a model that names no other ensemble."""


def _folder(described: Mapping[str, Any]) -> str:
    """Return the folder of a policy; raise `ValueError` for a path outside the model, and for invalid numbers."""
    folder: str = described["folder"]
    if Path(folder).name != folder or folder in ("", ".."):
        raise ValueError(f"the folder {folder[:80]!r} is not one of the model")
    for name in CHOSEN:
        if name in described and not math.isfinite(described[name]):
            raise ValueError(f"{name} is a number, not {described[name]}")
    return folder


def _policy_class(described: Mapping[str, str], file: Path) -> type[Policy]:
    package = sys.modules[__package__]
    # Accessing a name of the package imports and registers its policy.
    getattr(package, described["class"], None)
    own = [name for name in package.__all__ if name.endswith("Policy")]
    found: type[Policy] = Policy.named(described["class"], file, described.get("module"), others=own)
    return found


def _undecided(names: list[str]) -> Prediction:
    share = 1.0 / len(names)
    return Prediction(ACTION_LISTEN_NAME, share, None, dict.fromkeys(names, share))


def _numbers(given: Any, decider: str) -> list[float]:
    """Return scores as finite floats of zero or above; raise `ModelError` if `given` are no scores.

    Custom policies may return NumPy numbers, NaN, infinity, or negative scores.
    """
    try:
        return [float(score) if 0.0 < score < math.inf else 0.0 for score in given]
    except (TypeError, ValueError) as error:
        problem = f"{decider} gave {given!r:.80}, and no list with one score for each action of the domain"
        raise ModelError(f"{problem} ({error}).") from error


def _prediction(scores: list[float], names: list[str], decider: str) -> Prediction:
    """Return the prediction of the action with the highest score; scores are normalised to probabilities.

    Raises
    ------
    ModelError
        If there are more or fewer scores than actions.
    """
    if len(scores) != len(names):
        raise ModelError(
            f"{decider} gave {len(scores)} scores for the {len(names)} actions of the domain. "
            "A policy returns one score an action; train it again if the domain has changed."
        )
    action, total = names[scores.index(max(scores))], sum(scores)
    if total != 1.0:
        scores = [score / total for score in scores]
    probabilities = dict(zip(names, scores, strict=True))
    return Prediction(action, probabilities[action], decider, probabilities)


def _rank(priority: float, score: float) -> tuple[float, float]:
    return priority if score <= PROBABLE else math.inf, score


def most_confident(policies: Iterable[Policy], tracker: DialogueStateTracker, domain: Domain) -> Prediction:
    """Return the prediction of the most certain policy, as in Rasa 3; an active loop goes before everything else.

    The events of all policies are collected: the rules' event that a loop is to take no answer is also needed if
    another policy predicts the loop.
    """
    rejected = tracker.history.rejected
    names, best, winner = domain.action_names, None, None
    events: list[Event] = []
    best_rank = way_rank = (False, -1.0, -math.inf)
    giving_way: tuple[Policy, tuple[Opinion, Sequence[float]]] | None = None
    for policy in policies:
        # A policy with nothing but scores that cannot win any more is not asked, such as a network if rules decide.
        has_scores_alone = type(policy).opinion is Policy.opinion
        if has_scores_alone and best_rank >= (False, policy.HIGHEST_SCORE, policy.priority_for(tracker)):
            continue
        opinion = policy.opinion(tracker, domain)
        events += opinion.events
        scores = opinion.scores
        if rejected is not None and rejected in domain.action_indices:
            # An action that has just refused to run is not chosen again.
            scores = [0.0 if name == rejected else score for name, score in zip(names, scores, strict=True)]
        top = max(scores, default=0.0)
        rank = (opinion.no_user, top, policy.priority_for(tracker))
        if policy.gives_way:
            way_rank, giving_way = rank, (policy, (opinion, scores))
        elif top >= policy.threshold and rank > best_rank:
            best_rank, winner, best = rank, policy, (opinion, scores)
    is_passed = winner is not None and winner.PASSES_FORMS and best_rank[1] > 0.0
    if giving_way is not None and way_rank > best_rank and not is_passed:
        best_rank, (winner, best) = way_rank, giving_way
    if best is None:
        return Prediction(ACTION_LISTEN_NAME, 0.0, None, dict.fromkeys(names, 0.0))
    (opinion, scores), top = best, best_rank[1]
    found = dict(zip(names, scores, strict=True))
    action = names[list(scores).index(top)]
    return Prediction(action, top, type(winner).__name__, found, opinion.hide_rule_turn, tuple(events))


class SlotsSetByActions:
    """Collects the slots that are set right after each action in conversations."""

    def __init__(self) -> None:
        self._found: dict[str, set[str]] = {}

    def look(self, tracker: DialogueStateTracker) -> None:
        """Add the slots of one conversation."""
        current: set[str] | None = None
        for event in tracker.applied_events():
            if isinstance(event, ActionExecuted):
                current = self._found.setdefault(event.action_name, set())
            elif isinstance(event, SlotSet) and current is not None:
                current.add(event.key)
            else:
                current = None

    def of(self, trackers: Trackers) -> dict[str, Mapping[str, list[str]]]:
        """Return the sorted names of the slots by action, after adding conversations that were not seen yet."""
        if not isinstance(trackers, Stream) or trackers.look is not None:
            for tracker in trackers:
                self.look(tracker)
        # Sorted, since this is written into the model, and the same training has to give the same bytes.
        return {name: {"slots": sorted(slots)} for name, slots in sorted(self._found.items())}
