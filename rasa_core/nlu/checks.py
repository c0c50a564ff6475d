"""An earlier import path of `rasa_core.checks.nlu`."""

from __future__ import annotations

from rasa_core.checks.nlu import check_training_data

__all__ = ["check_training_data"]
