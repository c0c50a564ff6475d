"""The old import path of `rasa_core.policies.features.classic`."""

from __future__ import annotations

from rasa_core.policies.features.classic import (
    PADDING,
    BinarySingleStateFeaturizer,
    DialogueTrainingData,
    FullDialogueTrackerFeaturizer,
    LabelTokenizerSingleStateFeaturizer,
    MaxHistoryTrackerFeaturizer,
    SingleStateFeaturizer,
    TrackerFeaturizer,
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
