"""What decides: policies, one a file, and the ensemble that chooses among them."""

from __future__ import annotations

from typing import Any

from rasa_core import _legacy
from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.ensemble import PolicyEnsemble, SimplePolicyEnsemble
from rasa_core.policies.fallback import FallbackPolicy
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.ngram import NGramPolicy
from rasa_core.policies.policy import Policy, Prediction

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
    "SimplePolicyEnsemble",
]


def __getattr__(name: str) -> Any:
    """Load `OnlinePolicyEnsemble`, which teaches and so stands above all policies, when it is asked for."""
    if name == "OnlinePolicyEnsemble":
        return _legacy.load(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
