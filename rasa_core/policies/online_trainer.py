"""The old import path of `rasa_core.teaching.ensemble`."""

from __future__ import annotations

from rasa_core.teaching.ensemble import OnlinePolicyEnsemble

__all__ = ["OnlinePolicyEnsemble"]
