"""The types of arrays that several rooms pass to one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
"""Features, weights, scores and probabilities."""
Ints = NDArray[np.int64]
"""Indices and counts."""
