"""Reads config.yml of Rasa 2 and 3, and replaces the policies of Rasa by those of this package.

`rasa_core.nlu.pipeline` reads the components.

=============================  ======================================================================
Policy of Rasa                 Policy of this package
=============================  ======================================================================
MemoizationPolicy, Augmented   the same
RulePolicy                     the same
TEDPolicy; of Rasa 1 the       `KerasPolicy`, with its ``max_history``, and its ``epochs`` at most
Keras-, Embedding-,
SklearnPolicy
FallbackPolicy (2.x),          the same, as `rasa_core.policies.rasa2` has them
TwoStageFallbackPolicy (2.x),
MappingPolicy (2.x)
FormPolicy (2.x)               `RulePolicy` with ``old_forms``, unless config.yml names one
UnexpecTEDIntentPolicy         left out
a custom policy                an error, or left out with ``ignores_own``
=============================  ======================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.nlu.pipeline import PipelineConfig, default_pipeline, keys_of, pipeline_in
from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.policy import Policy
from rasa_core.policies.rasa2 import (
    FORM_PRIORITY,
    RULE_PRIORITY,
    RasaFallbackPolicy,
    RasaMappingPolicy,
    RasaTwoStageFallbackPolicy,
)
from rasa_core.policies.rules import RulePolicy, unfit_policies
from rasa_core.rasa_project.imports import IMPORTER, notes_of_imports
from rasa_core.support.places import Place
from rasa_core.support.problems import UNKNOWN_KEY, Note, Problem
from rasa_core.support.yaml_parts import Part, entries_of

DEFAULT_POLICIES: Final = ("MemoizationPolicy", "RulePolicy", "TEDPolicy")
MEMOIZATION_PRIORITY: Final = 3  # As in Rasa: below the rules, above a network.
RULE_OPTIONS: Final = (
    "core_fallback_threshold",
    "core_fallback_action_name",
    "enable_fallback_prediction",
    "restrict_rules",
    "check_for_contradictions",
    "use_nlu_confidence_as_score",
)
_OF_TED: Final = (
    *("hidden_layers_sizes", "dense_dimension", "concat_dimension", "encoding_dimension", "transformer_size"),
    *("number_of_transformer_layers", "number_of_attention_heads", "max_relative_position", "unidirectional_encoder"),
    *("batch_size", "batch_strategy", "random_seed", "learning_rate", "embedding_dimension", "model_confidence"),
    *("evaluate_every_number_of_epochs", "evaluate_on_number_of_examples", "constrain_similarities", "featurizer"),
)
_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "MemoizationPolicy": ("max_history", "use_nlu_confidence_as_score"),
    "AugmentedMemoizationPolicy": ("max_history", "use_nlu_confidence_as_score"),
    "TEDPolicy": ("max_history", "epochs", *_OF_TED),
    "RulePolicy": RULE_OPTIONS,
}
"""The known options, which are compared with misspelt ones."""
_THRESHOLDS: Final = ("core_fallback_threshold", "core_threshold", "nlu_threshold", "ambiguity_threshold")
_NAMES: Final = (
    *("core_fallback_action_name", "fallback_action_name", "fallback_core_action_name", "fallback_nlu_action_name"),
    "deny_suggestion_intent_name",
)
_TYPES: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "max_history": ("a number of states, or 0 for all", lambda value: type(value) is int and value >= 0),
    "priority": ("a whole number", lambda value: type(value) is int),
    **{
        name: ("a number from 0 to 1", lambda value: type(value) in (int, float) and 0 <= value <= 1)
        for name in _THRESHOLDS
    },
    **{name: ("the name of an action", lambda value: isinstance(value, str)) for name in _NAMES},
    **{name: ("true or false", lambda value: isinstance(value, bool)) for name in RULE_OPTIONS[2:]},
}
RECIPES: Final = ("default.v1",)
_NETWORKS: Final = ("TEDPolicy", "KerasPolicy", "EmbeddingPolicy", "SklearnPolicy")
_FALLBACKS: Final[Mapping[str, tuple[type[RasaFallbackPolicy], Mapping[str, str]]]] = {
    name: (kind, {option: option for option in options} | {"fallback_core_action_name": "fallback_action_name"})
    for name, kind, options in (
        ("FallbackPolicy", RasaFallbackPolicy, (*_THRESHOLDS[1:], "fallback_action_name")),
        ("TwoStageFallbackPolicy", RasaTwoStageFallbackPolicy, (*_THRESHOLDS[1:], *_NAMES[1:])),
    )
}
"""The fallback policies of Rasa 2: the class, and the parameter of each option."""
_OLD_RULES: Final = ("FormPolicy", "MappingPolicy", *_FALLBACKS)
_LEFT_OUT: Final = ("UnexpecTEDIntentPolicy",)
_PACKAGES: Final = ("rasa", "rasa_core")
"""Packages with which the names of policies may begin; before Rasa 1, the package was ``rasa_core``."""
_IMPORTERS: Final = ("RasaFileImporter", IMPORTER)
_IMPORTED: Final = "what is in data/, domain/ and domain.yml is read, and no other place"
_UNUSED: Final = ("recipe", "language", "assistant_id", "version")
_READ: Final = ("pipeline", "policies", "importers", "imports")
_KNOWN: Final = (
    *("MemoizationPolicy", "AugmentedMemoizationPolicy", "RulePolicy"),
    *_NETWORKS,
    *_OLD_RULES,
    *_LEFT_OUT,
)


MakesNetwork = Callable[[int | None], Policy]


class _Written(NamedTuple):
    """A policy in config.yml: its options, including ``name``, and the place of each option."""

    options: Mapping[str, Any]
    place: Place
    places: Mapping[str, Place] = MappingProxyType({})


@dataclass(slots=True)
class RasaConfig:
    """The content of config.yml.

    Attributes
    ----------
    policies : list of Policy
        The policies in their order, untrained.
    pipeline : PipelineConfig
        The components of the NLU pipeline.
    learns, epochs : bool, int or None
        Whether one of the policies is a network, and its ``epochs`` if the file has them.
    notes : list of Note
        Notes that say what each policy and each other key becomes.
    place : Place
        The place of the policies.
    written : list of tuple
        The policies, each with its options and places as written in the file.
    """

    policies: list[Policy] = field(default_factory=list)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    learns: bool = False
    epochs: int | None = None
    notes: list[Note] = field(default_factory=list)
    place: Place = field(default_factory=lambda: Place("config.yml"))
    written: list[tuple[Policy, _Written]] = field(default_factory=list)

    def ensemble(self) -> PolicyEnsemble:
        """Return the ensemble of the policies, which trains the rules first."""
        return PolicyEnsemble(self.policies, by_confidence=True)

    def unfit(self, domain: Domain) -> list[Problem]:
        """Return the names in options of policies that a domain does not have, with their places."""
        found = []
        for one in unfit_policies(domain, self.policies):
            written = next((written for policy, written in self.written if policy is one.policy), None)
            place = self.place if written is None else written.places.get(one.option, written.place)
            name = None if written is None else written.options["name"].rpartition(".")[2]
            found.append(Problem("error", one.told(name), place))
        return found


def read_rasa_config(path: str | Path, network: MakesNetwork, *, ignores_own: bool = False) -> RasaConfig:
    """Read config.yml; a missing file counts as an empty one.

    Parameters
    ----------
    network
        A function that makes the network which replaces TEDPolicy, from its ``max_history``, which may be None.
    ignores_own
        Whether custom policies and components are left out instead of being an error.

    Raises
    ------
    ModelError
        If the file cannot be read, or names an unknown policy; the message begins with file and line.
    """
    config, keys = RasaConfig(), keys_of(path)
    recipe = keys["recipe"].written if "recipe" in keys else ""
    if recipe and recipe not in RECIPES:
        raise ModelError(f"{keys['recipe'].place}: the recipe {recipe!r} is not known; write recipe: default.v1.")
    config.pipeline = pipeline_in(path, ignores_own=ignores_own) or default_pipeline()
    config.notes += [*_other_keys(keys), *notes_of_imports(Path(path))]
    parts = entries_of(keys, "policies")
    if "policies" in keys and keys["policies"].is_list and not parts:
        text = f"is empty; {' and '.join(DEFAULT_POLICIES)} decide, as without the key"
        config.notes.append(Note(keys["policies"].key_place, "policies", "left out", text))
    config.place = keys["policies"].key_place if "policies" in keys else Place(str(path))
    named = [*map(_written, parts)] or [_Written({"name": name}, config.place) for name in DEFAULT_POLICIES]
    wrong = []
    config.policies += _beside_old_rules(one.options for one in named)
    for one in named:
        count = len(config.policies)
        try:
            _add(config, one.options, one.place, network)
        except LookupError as error:  # All errors are reported together.
            wrong.append(f"{one.place}: {error.args[0]}")
            config.notes.append(Note(one.place, one.options["name"], "left out", "left out, as it is one's own"))
        config.written += [(policy, one) for policy in config.policies[count:]]
    if not Path(path).exists():
        text = "as the file is not there, MemoizationPolicy, RulePolicy and KerasPolicy decide"
        config.notes = [Note(config.place, "policies", "replaced", text)]
    if wrong and not ignores_own:
        raise ModelError("\n".join(wrong))
    has_old = any(isinstance(policy, RasaFallbackPolicy | RasaMappingPolicy) for policy in config.policies)
    for policy in config.policies:
        if has_old and isinstance(policy, RulePolicy) and "priority" not in vars(policy):
            policy.priority = RULE_PRIORITY
    return config


def _other_keys(keys: Mapping[str, Part]) -> Iterator[Note]:
    """Yield notes about the keys other than policies and pipeline."""
    for key, part in keys.items():
        if key == "importers":
            for one in part.entries():
                name = _described(one)["name"].rpartition(".")[2]
                is_known = name in _IMPORTERS
                text = "the same" if is_known else f"left out: {_IMPORTED}"
                yield Note(one.place, name, "same" if is_known else "left out", text)
        elif key in _UNUSED:
            yield Note(part.place, key, "same", "nothing depends on it")
        elif key not in _READ:
            if hint := did_you_mean(key, (*_READ, *_UNUSED)):
                raise ModelError(f"{part.key_place}: config.yml has no key {key!r}.{hint}")
            yield Note(part.key_place, key, "left out", UNKNOWN_KEY)


def written_policies(path: str | Path) -> Any:
    """Return the value of ``policies:`` in a config.yml, as plain data."""
    found = keys_of(path).get("policies")
    return None if found is None else found.data


def _written(part: Part) -> _Written:
    places = {key: value.key_place for key, value in part.keys().items()} if part.is_mapping else {}
    return _Written(_described(part), part.place, places)


def _described(part: Part) -> dict[str, Any]:
    data = part.data
    return {"name": str(data)} if not isinstance(data, dict) else {**data, "name": str(data.get("name"))}


def _add(config: RasaConfig, described: Mapping[str, Any], place: Place, network: MakesNetwork) -> None:
    """Add a policy and a note about it; raise `LookupError` for an unknown policy."""
    module, _, name = described["name"].rpartition(".")
    note = Note(place, described["name"], "same", "the same")
    # A class of the user's own is known by its name, once its module is imported; it cannot take one of Rasa's.
    if name not in _KNOWN and name in Policy.registry:
        config.policies.append(_own(Policy.registry[name], described, place))
        config.notes.append(note)
        return
    is_own = bool(module) and module.split(".")[0] not in _PACKAGES
    if name not in _KNOWN or is_own:
        hint = "" if is_own else did_you_mean(name, _KNOWN)
        raise LookupError(
            f"the policy {described['name']!r} is none of Rasa's.{hint} A policy of your own has "
            "to be written for this package, and its module imported: with --import, or below imports: in this file; "
            "--ignore-components goes on without it."
        )
    _check_options(name, described, place)
    if name in _LEFT_OUT:
        note = replace(note, fate="left out", message="left out, as nothing stands for it")
    elif name in _OLD_RULES:
        note = replace(note, unused=_add_old_rules(config, name, described))
        if name == "FormPolicy":
            note = replace(note, fate="replaced", message="replaced by RulePolicy, which runs forms as it did")
    elif name == "RulePolicy":
        options = {key: described[key] for key in RULE_OPTIONS if described.get(key) is not None}
        config.policies.append(RulePolicy(**options, priority=_priority(described)))
    elif name in _NETWORKS:
        epochs, of_featurizer = described.get("epochs"), _history_of_featurizer(described)
        config.policies.append(network(described.get("max_history", of_featurizer) or None))
        config.learns, config.epochs = True, epochs if isinstance(epochs, int) else None
        read = ("name", "epochs", "max_history", "priority", *(("featurizer",) if of_featurizer is not None else ()))
        unused = tuple(key for key in described if key not in read)
        note = replace(note, unused=unused)
        if name != "KerasPolicy":
            note = replace(note, fate="replaced", message="replaced by KerasPolicy")
    else:
        kind = MemoizationPolicy if name == "MemoizationPolicy" else AugmentedMemoizationPolicy
        # Without max_history, and with 0, Rasa compares whole conversations.
        priority, most = _priority(described) or MEMOIZATION_PRIORITY, described.get("max_history")
        policy = kind(max_history=most or None, priority=priority, knows_whole=not most)
        policy.USE_NLU_CONFIDENCE_AS_SCORE |= described.get("use_nlu_confidence_as_score") is True
        config.policies.append(policy)
    config.notes.append(note)


def _history_of_featurizer(described: Mapping[str, Any]) -> Any:
    """Return the ``max_history`` of the featurizer of a policy, where Rasa 1 may have it."""
    found = described.get("featurizer")
    first = found[0] if isinstance(found, list) and found else None
    most = first.get("max_history") if isinstance(first, dict) else None
    return most if type(most) is int and most >= 0 else None


def _check_options(name: str, described: Mapping[str, Any], place: Place) -> None:
    """Raise `ModelError` for a misspelt option; options that only Rasa has are reported elsewhere."""
    known = {"name", "priority", *_OPTIONS.get(name, ())}
    for key in described:
        hint = did_you_mean(key, known) if _OPTIONS.get(name) and key not in known else ""
        if hint:
            raise ModelError(f"{place}: {name} has no option {key!r}.{hint}")
        wanted = _TYPES.get(key) if name in _KNOWN else None
        if wanted is not None and described[key] is not None and not wanted[1](described[key]):
            raise ModelError(f"{place}: {key}: of {name} is {wanted[0]}, not {described[key]!r}.")


def _own(kind: type[Policy], described: Mapping[str, Any], place: Place) -> Policy:
    """Return a policy of the user's own; its options are the parameters of its class."""
    try:
        return kind(**{key: value for key, value in described.items() if key != "name"})
    except (TypeError, ValueError) as error:
        raise ModelError(f"{place}: {kind.__name__} cannot be made with these options: {error}") from error


def _priority(described: Mapping[str, Any]) -> int | None:
    priority = described.get("priority")
    return priority if isinstance(priority, int) and not isinstance(priority, bool) else None


def _beside_old_rules(described: Iterable[Mapping[str, Any]]) -> list[Policy]:
    """Return policies that the policies of Rasa 2 need, and config.yml does not name."""
    names = [one["name"].rpartition(".")[2] for one in described]
    if "RulePolicy" in names or not set(names) & set(_OLD_RULES):
        return []
    # Restarting and going back is known to every bot, here; in Rasa 2, only with MappingPolicy or RulePolicy.
    found: list[Policy] = [] if "MappingPolicy" in names else [RasaMappingPolicy()]
    # Its turns are in the history of all policies, so none is hidden.
    forms = RulePolicy(
        enable_fallback_prediction=False, check_for_contradictions=False, old_forms=True, priority=FORM_PRIORITY
    )
    return [forms, *found]


def _add_old_rules(config: RasaConfig, name: str, described: Mapping[str, Any]) -> tuple[str, ...]:
    """Add a policy of Rasa 2, and return its options that have no effect."""
    known, priority = {"name", "priority"}, _priority(described)
    if name == "MappingPolicy":
        config.policies.append(RasaMappingPolicy(priority=priority))
    elif name == "FormPolicy":
        forms = next((one for one in config.policies if isinstance(one, RulePolicy) and one.old_forms), None)
        if forms is not None and priority is not None:
            forms.priority = priority
    else:
        kind, options = _FALLBACKS[name]
        known |= set(options)
        given = {options[key]: value for key, value in described.items() if key in options and value is not None}
        config.policies.append(kind(**given, priority=priority))
    return tuple(key for key in described if key not in known)
