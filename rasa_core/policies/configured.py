"""Reads the policies and their options from config.yml, for a project with Markdown stories.

    policies:
      - name: MemoizationPolicy
        max_history: 4
      - name: KerasPolicy
        epochs: 50
      - name: FallbackPolicy
        fallback_action_name: utter_default
      - name: mine.MyPolicy            # a custom policy: its module is imported with --import, or below imports:

The action and the thresholds of a FallbackPolicy that are not given are chosen when the bot is trained.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rasa_core.events import ACTION_LISTEN_NAME
from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.fallback import OF_RASA, FallbackPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.ngram import NGramPolicy
from rasa_core.policies.policy import Policy
from rasa_core.support.places import Place
from rasa_core.support.yaml_parts import Part, entries_of

# Keys of Rasa without effect here are accepted, too, since people use their old files.
KEYS: Final = ("policies", "pipeline", "imports", "language", "recipe", "version", "assistant_id", "importers")
FALLBACK_ACTIONS: Final = ("action_default_fallback", "utter_default", "utter_fallback")
"""The first of these actions that a domain lists is the fallback action; if it lists none, the bot listens."""
_SLIP: Final = 0.8
"""The similarity to one of `KEYS`, from 0 to 1, from which on an unknown key is taken for a misspelling."""
THRESHOLDS: Final = ("nlu_threshold", "core_threshold")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# The required kind of an option: in words for the error message, and as a check.
_COUNT = ("a whole number from 1 on", lambda value: _is_whole(value) and value >= 1)
_WHOLE = ("a whole number", _is_whole)
_SHARE = ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
_NAME = ("the name of an action", lambda value: isinstance(value, str) and bool(value))
Kind = tuple[str, Callable[[Any], bool]]

MakesNetwork = Callable[[int | None, int | None], Policy]

_MEMORY: Final[Mapping[str, Kind]] = {"max_history": _COUNT, "priority": _WHOLE}
_TRAINING: Final[Mapping[str, Kind]] = {
    **{"epochs": _COUNT, "batch_size": _COUNT, "max_training_samples": _COUNT, "rnn_size": _COUNT},
    **{"validation_split": _SHARE, "seed": _WHOLE},
}
_OPTIONS: Final[Mapping[str, Mapping[str, Kind]]] = {
    "MemoizationPolicy": _MEMORY,
    "AugmentedMemoizationPolicy": _MEMORY,
    "NGramPolicy": _MEMORY,
    "KerasPolicy": {**_MEMORY, **_TRAINING},
    "FallbackPolicy": {**dict.fromkeys(THRESHOLDS, _SHARE), "fallback_action_name": _NAME, "priority": _WHOLE},
}
# Rasa's networks, which this package does not have; a `KerasPolicy` is trained in their place.
_STANDS_FOR: Final = {"TEDPolicy": "KerasPolicy", "EmbeddingPolicy": "KerasPolicy", "SklearnPolicy": "KerasPolicy"}
# Only known for a better error message.
_NEEDS_RULES: Final = ("RulePolicy", "FormPolicy", "MappingPolicy", "TwoStageFallbackPolicy", "UnexpecTEDIntentPolicy")
_CLASSES: Final[Mapping[str, type[Policy]]] = {
    "MemoizationPolicy": MemoizationPolicy,
    "AugmentedMemoizationPolicy": AugmentedMemoizationPolicy,
    "NGramPolicy": NGramPolicy,
    "FallbackPolicy": FallbackPolicy,
}


@dataclass(slots=True)
class ConfiguredPolicies:
    """The policies in config.yml, and how to train them.

    Attributes
    ----------
    make_network, learns : callable, bool
        Makes the network; whether there is a network.
    policies : list of Policy
        New policies, in the order of the file.
    training : dict
        Parameters of the training, for `rasa_core.agent.Agent.train`.
    unsaid : list of (FallbackPolicy, set of str)
        The fallbacks, with the names of the options that are still to be chosen.
    notes, passed_over : list of str
        Notes on replaced policies; keys that have no effect here.
    actions : dict of str to Place
        The actions that fallbacks name, with their places in the file.
    """

    make_network: MakesNetwork
    learns: bool = False
    policies: list[Policy] = field(default_factory=list)
    training: dict[str, Any] = field(default_factory=dict)
    unsaid: list[tuple[FallbackPolicy, set[str]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    actions: dict[str, Place] = field(default_factory=dict)

    def choose_action(self, action_names: Iterable[str]) -> None:
        """Give each fallback without an action the first of `FALLBACK_ACTIONS` in the domain, or ``action_listen``.

        Raises
        ------
        ModelError
            If a fallback names an unknown action; the message begins with file and line.
        """
        known = set(action_names)
        for name, place in self.actions.items():
            if name not in known and name != OF_RASA:  # Without `OF_RASA`, the policy uses another action.
                hint = did_you_mean(name, known)
                raise ModelError(f"{place}: the domain has no action {name!r} for the fallback.{hint}")
        chosen = next((name for name in FALLBACK_ACTIONS if name in known), ACTION_LISTEN_NAME)
        for policy, unsaid in self.unsaid:
            if "fallback_action_name" in unsaid:
                policy.fallback_action_name = chosen


def configured_policies(keys: Mapping[str, Part], network: MakesNetwork) -> ConfiguredPolicies:
    """Return the policies in config.yml; by default, memoization, the network and a fallback.

    Parameters
    ----------
    network
        A function that makes the network from its ``max_history`` and its priority, each of which may be None.

    Raises
    ------
    ModelError
        If a policy or an option is unknown, or a value has the wrong type; the message begins with file and line.
    """
    found = ConfiguredPolicies(network)
    # All mistakes are reported together.
    wrong = []
    for key, part in keys.items():
        if key not in KEYS:
            problem = f"{part.key_place}: config.yml has no key {key!r}"
            # In 0.9, config.yml belonged to Rasa NLU or to anybody. So only a key that is similar to a known key is an
            # error; any other unknown key is ignored.
            if difflib.get_close_matches(key, KEYS, cutoff=_SLIP):
                wrong.append(f"{problem}.{did_you_mean(key, KEYS)}")
            else:
                found.passed_over.append(f"{problem} that says anything here; it is passed over.")
    for part in entries_of(keys, "policies"):
        try:
            _add(found, part)
        except ModelError as error:
            wrong.append(str(error))
    if wrong:
        raise ModelError("\n".join(wrong))
    if not found.policies:
        for name in ("MemoizationPolicy", "KerasPolicy", "FallbackPolicy"):
            _make(found, name, {})
    return found


def _add(found: ConfiguredPolicies, part: Part) -> None:
    keys = part.keys() if part.is_mapping else {"name": part}
    written = keys["name"].written
    # As in a model, a class is found by its name; the rest of a dotted path, which Rasa allows, is ignored.
    name = written.rpartition(".")[2]
    if name in _STANDS_FOR:
        found.notes.append(f"{part.place}: {_STANDS_FOR[name]} stands for {name}.")
    name = _STANDS_FOR.get(name, name)
    options = {key: value for key, value in keys.items() if key != "name"}
    if name in _NEEDS_RULES:
        raise ModelError(
            f"{part.place}: {name} belongs to projects of Rasa 1 to 3; with Markdown stories there is nothing for it "
            "to do. Remove it; for what is not understood, there is FallbackPolicy."
        )
    if name in _OPTIONS:
        _check(name, options, _OPTIONS[name])
        _make(found, name, {key: value.data for key, value in options.items()})
        if "fallback_action_name" in options:
            found.actions[options["fallback_action_name"].data] = options["fallback_action_name"].place
    # A custom class is registered when its module is imported; a name in the file causes no import.
    elif name in Policy.registry:
        found.policies.append(_own(part, Policy.registry[name], options))
    else:
        raise ModelError(
            f"{part.place}: there is no policy {written!r}.{did_you_mean(name, _known())} If it is your own, import "
            "the module that defines it: with --import, or below imports: in this file."
        )


def _known() -> Sequence[str]:
    return sorted({*_OPTIONS, *_STANDS_FOR, *Policy.registry})


def _check(name: str, options: Mapping[str, Part], kinds: Mapping[str, Kind]) -> None:
    for key, value in options.items():
        if key not in kinds:
            hint = did_you_mean(key, kinds)
            raise ModelError(f"{value.key_place}: {name} has no option {key!r}.{hint} It has {', '.join(kinds)}.")
        what, is_so = kinds[key]
        if not is_so(value.data):
            raise ModelError(f"{value.place}: {key} of {name} is {what}, not {value.data!r}.")


def _make(found: ConfiguredPolicies, name: str, options: dict[str, Any]) -> None:
    if name == "KerasPolicy":
        found.training.update({key: value for key, value in options.items() if key in _TRAINING})
        found.policies.append(found.make_network(options.get("max_history"), options.get("priority")))
        found.learns = True
        return
    policy = _CLASSES[name](**options)
    found.policies.append(policy)
    if isinstance(policy, FallbackPolicy):
        found.unsaid.append((policy, {*THRESHOLDS, "fallback_action_name"} - options.keys()))


def _own(part: Part, kind: type[Policy], options: Mapping[str, Part]) -> Policy:
    """Return a custom policy; its options are the parameters of its class."""
    parameters = inspect.signature(kind).parameters.values()
    names = [one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    for key, value in options.items():
        if key not in names and not takes_all:
            has = f" It has {', '.join(names)}." if names else " It has none."
            raise ModelError(
                f"{value.key_place}: {kind.__name__} has no option {key!r}.{did_you_mean(key, names)}{has}"
            )
    try:
        return kind(**{key: value.data for key, value in options.items()})
    except (TypeError, ValueError) as error:
        raise ModelError(f"{part.place}: {kind.__name__} cannot be made with these options: {error}") from error
