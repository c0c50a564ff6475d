"""``EmbeddingPolicy`` of Rasa Core 0.11 and Rasa 1: a `KerasPolicy`, the network of this package."""

from __future__ import annotations

from typing import Any

from rasa_core.policies.keras_policy import KerasPolicy

_TAKEN = ("epochs", "max_history", "random_seed", "priority")


def EmbeddingPolicy(featurizer: object = None, **options: Any) -> KerasPolicy:  # noqa: N802
    """Return a `KerasPolicy` in the place of an ``EmbeddingPolicy``; options that it does not have are ignored."""
    return KerasPolicy(**{name: value for name, value in options.items() if name in _TAKEN})
