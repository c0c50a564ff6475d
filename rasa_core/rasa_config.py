"""config.yml of Rasa 2 and 3: which of our policies stands for which of theirs.

=============================  ======================================================================
Theirs                         Ours
=============================  ======================================================================
MemoizationPolicy, Augmented   the same
RulePolicy                     the same
TEDPolicy                      `KerasPolicy`, with its ``max_history`` and ``epochs``
FallbackPolicy (2.x)           `RulePolicy`, with its threshold and action
FormPolicy, MappingPolicy,     `RulePolicy`
TwoStageFallbackPolicy (2.x)
UnexpecTEDIntentPolicy         left out
=============================  ======================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.policy import Policy
from rasa_core.policies.rules import RulePolicy
from rasa_core.support.yaml_parts import Part, YamlError, read_yaml

DEFAULT_POLICIES: Final = ("MemoizationPolicy", "RulePolicy", "TEDPolicy")
MEMOIZATION_PRIORITY: Final = 3
RULE_OPTIONS: Final = (
    "core_fallback_threshold",
    "core_fallback_action_name",
    "enable_fallback_prediction",
    "restrict_rules",
    "check_for_contradictions",
)
RECIPES: Final = ("default.v1",)
_OLD_RULES: Final = ("FormPolicy", "MappingPolicy", "TwoStageFallbackPolicy", "FallbackPolicy")
_LEFT_OUT: Final = ("UnexpecTEDIntentPolicy",)
_KNOWN: Final = (
    *("MemoizationPolicy", "AugmentedMemoizationPolicy", "RulePolicy", "TEDPolicy"),
    *_OLD_RULES,
    *_LEFT_OUT,
)


MakesNetwork = Callable[[int | None], Policy]


@dataclass(slots=True)
class RasaConfig:
    """What stands in config.yml.

    Attributes
    ----------
    policies : list of Policy
        In their order, each one new.
    pipeline : list of dict
        The components that understand text, each with its name and options.
    learns, epochs : bool, int or None
        Whether one of the policies is a network, and how often it sees each example, where that is said.
    notes : list of str
        What was replaced, and what is left out.
    """

    policies: list[Policy] = field(default_factory=list)
    pipeline: list[dict[str, Any]] = field(default_factory=list)
    learns: bool = False
    epochs: int | None = None
    notes: list[str] = field(default_factory=list)

    def ensemble(self) -> PolicyEnsemble:
        """Return the policies as one, the rules first to be trained."""
        return PolicyEnsemble(self.policies, by_confidence=True)


def read_rasa_config(path: str | Path, network: MakesNetwork) -> RasaConfig:
    """Read config.yml; a missing file is as an empty one.

    Parameters
    ----------
    network
        Makes the network that stands for TEDPolicy, from its ``max_history``, which may be None.

    Raises
    ------
    ModelError
        If the file cannot be read, or names a policy that there is none for; the message begins with file and line.
    """
    config = RasaConfig()
    try:
        root = read_yaml(path) if Path(path).exists() else None
    except YamlError as error:
        raise ModelError(str(error)) from error
    keys = {} if root is None else root.keys()
    recipe = keys["recipe"].written if "recipe" in keys else ""
    if recipe and recipe not in RECIPES:
        raise ModelError(f"{keys['recipe'].place}: the recipe {recipe!r} is not known; write recipe: default.v1.")
    config.pipeline = [_described(part) for part in keys["pipeline"].entries()] if "pipeline" in keys else []
    parts = keys["policies"].entries() if "policies" in keys else []
    named = [(_described(part), str(part.place)) for part in parts] or [
        ({"name": name}, str(path)) for name in DEFAULT_POLICIES
    ]
    for described, place in named:
        _add(config, described, place, network)
    return config


def _described(part: Part) -> dict[str, Any]:
    data = part.data
    return {"name": str(data)} if not isinstance(data, dict) else {**data, "name": str(data.get("name"))}


def _add(config: RasaConfig, described: Mapping[str, Any], place: str, network: MakesNetwork) -> None:
    name = described["name"].rpartition(".")[2]
    if name in _LEFT_OUT:
        config.notes.append(f"{place}: {name} is left out: nothing stands for it.")
    elif name in _OLD_RULES:
        _add_rules(config, _options_of_fallback(described))
        config.notes.append(f"{place}: {name} is replaced by RulePolicy.")
    elif name == "RulePolicy":
        _add_rules(config, {key: described[key] for key in RULE_OPTIONS if key in described}, _priority(described))
    elif name in ("MemoizationPolicy", "AugmentedMemoizationPolicy"):
        kind = MemoizationPolicy if name == "MemoizationPolicy" else AugmentedMemoizationPolicy
        priority = _priority(described) or MEMOIZATION_PRIORITY
        config.policies.append(kind(max_history=described.get("max_history") or 5, priority=priority))
    elif name == "TEDPolicy":
        epochs, max_history = described.get("epochs"), described.get("max_history")
        config.policies.append(network(max_history if isinstance(max_history, int) else None))
        config.learns, config.epochs = True, epochs if isinstance(epochs, int) else None
        config.notes.append(f"{place}: TEDPolicy is replaced by KerasPolicy.")
    else:
        raise ModelError(
            f"{place}: the policy {described['name']!r} is none of Rasa's.{did_you_mean(name, _KNOWN)} "
            "A policy of your own has to be written for this package."
        )


def _priority(described: Mapping[str, Any]) -> int | None:
    priority = described.get("priority")
    return priority if isinstance(priority, int) and not isinstance(priority, bool) else None


def _options_of_fallback(described: Mapping[str, Any]) -> dict[str, Any]:
    names = {"core_threshold": "core_fallback_threshold", "fallback_action_name": "core_fallback_action_name"}
    return {ours: described[theirs] for theirs, ours in names.items() if theirs in described}


def _add_rules(config: RasaConfig, options: Mapping[str, Any], priority: int | None = None) -> None:
    """Add a `RulePolicy`, or give the one that there is more options."""
    for policy in config.policies:
        if isinstance(policy, RulePolicy):
            vars(policy).update(options)
            return
    config.policies.append(RulePolicy(**options, priority=priority))
