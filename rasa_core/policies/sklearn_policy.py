"""``SklearnPolicy`` of Rasa Core 0.9, which is left out; to import it says what to do."""

from __future__ import annotations

raise ImportError(
    "rasa_core.policies.sklearn_policy: SklearnPolicy is left out, since scikit-learn keeps its models as pickles. "
    "Train a KerasPolicy or an NGramPolicy in its place."
)
