"""Checks the weights of a model when they are read, since the file may come from somebody else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rasa_core.exceptions import ModelError
from rasa_core.nlu.extents import SIDES
from rasa_core.nlu.network import ATTENTION, BLOCKS, INPUTS
from rasa_core.nlu.tokens import SHAPES
from rasa_core.support.arrays import Floats


def check_weights(path: Path, arrays: Mapping[str, Floats], description: Mapping[str, Any]) -> None:
    """Raise if the weights do not fit the description of the model.

    Raises
    ------
    ModelError
        If an array is missing, has another shape or type, or holds a value that is not finite; the message names the
        file and the array.
    """
    for name, shape in _shapes(arrays, description).items():
        array = arrays.get(name)
        # With a wrong shape, the model would fail only later, in the middle of a message.
        if array is None or array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
            raise ModelError(f"{name!r} in {str(path)!r} is missing or damaged. Train the model again.")


def _shapes(arrays: Mapping[str, Floats], description: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape that each array must have; only the numbers of units are taken from the arrays themselves."""

    def width(name: str) -> int:
        return arrays[name].shape[-1] if name in arrays and arrays[name].ndim else 0

    units, read = width("project_bias"), width("words") + width("pieces") + width("shapes")
    tags, intents = 1 + 2 * len(description["labels"]), len(description["intents"]) + 1
    patterns = {("r", name) for name, _ in description["regexes"]} | {("l", name) for name, _ in description["lookups"]}
    shapes = {
        "words": (len(description["words"]) + 1, width("words")),
        "pieces": (len(description["pieces"]) + 1, width("pieces")),
        "shapes": (len(SHAPES), width("shapes")),
        "project_kernel": (read, units),
        "project_bias": (units,),
        "extra_kernel": (1 + len(patterns), units),
        "attention_kernel": (units, 1),
        "hidden_kernel": (4 * units, units),
        "hidden_bias": (units,),
        "intents_kernel": (units, intents),
        "intents_bias": (intents,),
        "wide_bias": (intents,),
        "tags_kernel": (units, tags),
        "tags_bias": (tags,),
        "transitions": (tags, tags),
    }
    for name, count in (("word", 1), ("piece", 0), ("letter", 0)):
        rows = len(description[f"{name}s"]) + count
        shapes |= {f"{name}_intents": (rows, intents), f"{name}_scales": (rows,)}
    if "word_tags" in arrays:
        kinds = {kind: (shapes[f"{kind}_scales"][0], 3 * tags) for kind in ("word", "piece", "letter")}
        shapes |= {f"{kind}_tags": shape for kind, shape in kinds.items()}
        shapes |= {"shape_tags": (len(SHAPES), 3 * tags), "extra_tags": (1 + len(patterns), tags)}
    labels = len(description["labels"])
    optional = {"sides": (SIDES, labels), "doubt": (2,), "entity_lifts": (intents, labels)}
    shapes |= {name: shape for name, shape in optional.items() if name in arrays}
    for number, kind in enumerate(BLOCKS):
        shapes |= {f"block_{number}_kernel": (INPUTS[kind] * units, units), f"block_{number}_bias": (units,)}
        if kind == ATTENTION:
            shapes |= {f"block_{number}_made_kernel": (units, 3 * units), f"block_{number}_made_bias": (3 * units,)}
    return shapes
