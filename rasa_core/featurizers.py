"""The old import path of `rasa_core.policies.features.classic` and of ``single_states`` beside it."""

from __future__ import annotations

from rasa_core.policies.features.classic import (
    DialogueTrainingData,
    FullDialogueTrackerFeaturizer,
    MaxHistoryTrackerFeaturizer,
    TrackerFeaturizer,
)
from rasa_core.policies.features.single_states import (
    PADDING,
    BinarySingleStateFeaturizer,
    LabelTokenizerSingleStateFeaturizer,
    SingleStateFeaturizer,
)

__all__ = [
    "PADDING",
    "BinarySingleStateFeaturizer",
    "DialogueTrainingData",
    "FullDialogueTrackerFeaturizer",
    "LabelTokenizerSingleStateFeaturizer",
    "MaxHistoryTrackerFeaturizer",
    "SingleStateFeaturizer",
    "TrackerFeaturizer",
]
