"""What decides: policies, one a file, and the ensemble that chooses among them."""

from __future__ import annotations

from rasa_core.policies.augmented_memoization import AugmentedMemoizationPolicy
from rasa_core.policies.ensemble import PolicyEnsemble, SimplePolicyEnsemble
from rasa_core.policies.fallback import FallbackPolicy
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.ngram import NGramPolicy
from rasa_core.policies.online_trainer import OnlinePolicyEnsemble
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
