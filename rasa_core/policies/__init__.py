"""Policies, which predict the next action, and the ensemble that chooses among them; imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rasa_core import _legacy

if TYPE_CHECKING:
    from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
    from rasa_core.policies.ensemble import PolicyEnsemble, SimplePolicyEnsemble
    from rasa_core.policies.fallback import FallbackPolicy
    from rasa_core.policies.keras_policy import KerasPolicy
    from rasa_core.policies.memoization import MemoizationPolicy
    from rasa_core.policies.ngram import NGramPolicy
    from rasa_core.policies.policy import Policy, Prediction
    from rasa_core.policies.rules import RulePolicy

__all__ = [
    "AugmentedMemoizationPolicy",
    "FallbackPolicy",
    "KerasPolicy",
    "MemoizationPolicy",
    "NGramPolicy",
    "OnlinePolicyEnsemble",
    "Policy",
    "PolicyEnsemble",
    "Prediction",
    "RulePolicy",
    "SimplePolicyEnsemble",
]

# Each policy is imported only when it is used, so that a server without a network does not import its modules.
_MODULES = {
    "AugmentedMemoizationPolicy": "augmented_memoization",
    "EmbeddingPolicy": "embedding_policy",
    "FallbackPolicy": "fallback",
    "FormPolicy": "form_policy",
    "KerasPolicy": "keras_policy",
    "MappingPolicy": "mapping_policy",
    "MemoizationPolicy": "memoization",
    "NGramPolicy": "ngram",
    "Policy": "policy",
    "PolicyEnsemble": "ensemble",
    "Prediction": "policy",
    "RasaFallbackPolicy": "rasa2",
    "RasaMappingPolicy": "rasa2",
    "RasaTwoStageFallbackPolicy": "rasa2",
    "RulePolicy": "rules",
    "SimplePolicyEnsemble": "ensemble",
    "TwoStageFallbackPolicy": "two_stage_fallback",
}


def __getattr__(name: str) -> Any:
    """Import a name from its module; `OnlinePolicyEnsemble` needs the teaching, which is on a higher storey."""
    if name == "OnlinePolicyEnsemble":
        return _legacy.load(name)
    if name == "SklearnPolicy":
        raise ImportError("SklearnPolicy is left out, as scikit-learn keeps its models as pickles; use KerasPolicy.")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
