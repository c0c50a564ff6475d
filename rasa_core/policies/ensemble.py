"""Several policies as one: the most certain decides."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, SlotSet
from rasa_core.exceptions import ModelError, UnsupportedDialogueModelError, did_you_mean
from rasa_core.policies.policy import Policy, Prediction
from rasa_core.version import __version__

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

METADATA_NAME = "metadata.json"
MODEL_FORMAT = 1
DEFAULT_WINDOW = 5


class PolicyEnsemble:
    """Policies in the order in which they win where they are equally certain.

    Parameters
    ----------
    policies
        At least one.
    action_fingerprints
        Name of an action to ``{"slots": [...]}``: the slots that it set in the stories.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        action_fingerprints: Mapping[str, Mapping[str, list[str]]] | None = None,
    ) -> None:
        if isinstance(policies, Policy):
            raise ValueError("policies is a list: write policies=[...] around a single policy.")
        self.policies = list(policies)
        for policy in self.policies:
            if not isinstance(policy, Policy):
                raise ValueError(f"{policy!r} is not a Policy.")
        self.action_fingerprints: dict[str, Mapping[str, list[str]]] = dict(action_fingerprints or {})

    @property
    def window(self) -> int:
        """How many states a conversation has to keep for its next turn."""
        return max([policy.max_history or 0 for policy in self.policies], default=0) or DEFAULT_WINDOW

    @property
    def longest_history(self) -> int | None:
        """How many of the last states any policy looks at; None if one looks at all, or there is none."""
        histories = [policy.max_history for policy in self.policies]
        return None if None in histories else max([history or 0 for history in histories], default=None)

    def train(self, training_trackers: Iterable[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Train each policy."""
        for policy in self.policies:
            policy.train(training_trackers, domain, **kwargs)
        self.action_fingerprints = dict(slots_set_by_actions(training_trackers))

    def continue_training(
        self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any
    ) -> None:
        """Let each policy learn from more conversations."""
        for policy in self.policies:
            policy.continue_training(training_trackers, domain, **kwargs)
        for name, found in slots_set_by_actions(training_trackers).items():
            known = self.action_fingerprints.get(name, {}).get("slots", [])
            self.action_fingerprints[name] = {"slots": sorted({*known, *found["slots"]})}

    def predict(self, tracker: DialogueStateTracker, domain: Domain) -> Prediction:
        """Return the prediction of the policy whose best score is highest; the first of equals wins.

        Where no policy has anything to say, the bot listens, and all actions are equally probable.
        """
        best_score, best, winner = 0.0, None, None
        for policy in self.policies:
            if best_score >= policy.HIGHEST_SCORE:
                continue
            given = policy.predict_action_probabilities(tracker, domain)
            scores = [float(score) if score > 0.0 else 0.0 for score in given]
            top = max(scores, default=0.0)
            if top > best_score:
                best_score, best, winner = top, scores, type(policy).__name__
        names = domain.action_names
        if best is None:
            share = 1.0 / len(names)
            return Prediction(ACTION_LISTEN_NAME, share, None, dict.fromkeys(names, share))
        if len(best) != len(names):
            raise ModelError(
                f"{winner} gave {len(best)} scores for the {len(names)} actions of the domain. "
                "A policy returns one score an action; train it again if the domain has changed."
            )
        total = sum(best)
        if total != 1.0:
            best_score, best = best_score / total, [score / total for score in best]
        probabilities = dict(zip(names, best, strict=True))
        action = names[best.index(best_score)]
        return Prediction(action, probabilities[action], winner, probabilities)

    def predict_next_action(self, tracker: DialogueStateTracker, domain: Domain) -> int:
        """Return the index of the next action."""
        return domain.index_for_action(self.predict(tracker, domain).action)

    def probabilities_using_best_policy(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return the probability of each action, in the order of the domain."""
        return list(self.predict(tracker, domain).scores.values())

    def persist(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write each policy into a folder of its own below `path`, and ``metadata.json`` beside them."""
        described = []
        for index, policy in enumerate(self.policies):
            name = f"policy_{index}_{type(policy).__name__}"
            Path(path, name).mkdir(parents=True, exist_ok=True)
            policy.persist(Path(path, name))
            described.append({"class": type(policy).__name__, "module": type(policy).__module__, "folder": name})
        content = {
            "format": MODEL_FORMAT,
            "rasa_core": __version__,
            "policies": described,
            "max_histories": [policy.max_history for policy in self.policies],
            "action_fingerprints": self.action_fingerprints,
            **(metadata or {}),
        }
        Path(path, METADATA_NAME).write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def load_metadata(cls, path: str | Path) -> dict[str, Any]:
        """Read ``metadata.json`` in the folder `path` and check that this version can read the model."""
        file = Path(path, METADATA_NAME)
        if not file.is_file():
            if Path(path, "policy_metadata.json").is_file():
                raise UnsupportedDialogueModelError(
                    f"the model in {str(path)!r} was written by Rasa Core 0.x. Its files hold code, which is "
                    "not read: train a new model from the same domain and stories."
                )
            raise ModelError(f"there is no model in {str(path)!r}: no {METADATA_NAME}. Train one, or check the path.")
        try:
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            newer = content["format"] > MODEL_FORMAT
            content.setdefault("fingerprints", {}).get("domain")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"cannot read {str(file)!r}: {error!r}. Train the model again.") from error
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
        try:
            described = [(_policy_class(one), Path(path, one["folder"])) for one in content["policies"]]
        except (KeyError, TypeError) as error:
            raise ModelError(f"cannot read {str(file)!r}: {error!r}. Train the model again.") from error
        policies = [policy_class.load(folder) for policy_class, folder in described]
        return cls(policies, content.get("action_fingerprints"))


class SimplePolicyEnsemble(PolicyEnsemble):
    """The ensemble under its old name."""


def _policy_class(described: Mapping[str, str]) -> type[Policy]:
    name = described["class"]
    found = Policy.registry.get(name)
    if found is None:
        raise ModelError(
            f"the model has a policy of the class {name!r}, which is not known here."
            f"{did_you_mean(name, Policy.registry)} "
            f"Import the module that defines it ({described.get('module')}) before you load the model."
        )
    return found


def slots_set_by_actions(trackers: Iterable[DialogueStateTracker]) -> dict[str, dict[str, list[str]]]:
    """Return, for each action of the conversations, the sorted names of the slots set right after it."""
    found: dict[str, set[str]] = {}
    for tracker in trackers:
        current: set[str] | None = None
        for event in tracker.applied_events():
            if isinstance(event, ActionExecuted):
                current = found.setdefault(event.action_name, set())
            elif isinstance(event, SlotSet) and current is not None:
                current.add(event.key)
            else:
                current = None
    return {name: {"slots": sorted(slots)} for name, slots in sorted(found.items())}
