"""The files of a model: ``nlu.json`` and ``nlu_weights.npz``, written whole or not at all, checked when read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.nlu.features import SHAPES
from rasa_core.nlu.network import ATTENTION, BLOCKS, INPUTS
from rasa_core.support.folders import replace_directory
from rasa_core.support.stored_models import read_arrays, write_arrays

Floats = NDArray[np.float32]

FILE_NAME = "nlu.json"
WEIGHTS_NAME = "nlu_weights.npz"
NLU_MODEL = frozenset({FILE_NAME})
"""Names of files by which such a model is known."""
FORMAT = 2

_KINDS: dict[str, type] = {
    "fingerprint": str,
    "settings": dict,
    "intents": list,
    "entities": list,
    "words": list,
    "pieces": list,
    "pairs": list,
    "synonyms": dict,
    "regexes": list,
    "lookups": list,
    "temperature": float,
}


def write(directory: Path, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> None:
    """Write a model; the same model gives the same bytes.

    Raises
    ------
    ModelError
        If the directory holds something else, or cannot be written.
    """

    def fill(folder: Path) -> None:
        text = json.dumps({"format": FORMAT, **description}, indent=0, sort_keys=True)
        (folder / FILE_NAME).write_text(text + "\n", encoding="ascii")
        write_arrays(folder / WEIGHTS_NAME, arrays)

    replace_directory(directory, fill, NLU_MODEL, "an NLU model")


def read(directory: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return description and weights of a model.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    path = directory / FILE_NAME
    description = _description(path)
    arrays = read_arrays(directory / WEIGHTS_NAME)
    _check(directory / WEIGHTS_NAME, arrays, description)
    return description, arrays


def _description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        raise ModelError(f"{str(path.parent)!r} holds no NLU model: there is no {path.name}. Train one.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {str(path)!r}: {error}. Train the model again.") from error
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise ModelError(f"{str(path)!r} has format {found!r}, but {FORMAT} is expected. Train the model again.")
    del description["format"]
    for name, kind in _KINDS.items():
        if not isinstance(description.get(name), kind):
            raise ModelError(f"{name!r} in {str(path)!r} is missing or damaged. Train the model again.")
    return dict(description)


def _check(path: Path, arrays: Mapping[str, Floats], description: Mapping[str, Any]) -> None:
    """Raise if the weights are not those of the description."""
    for name, shape in _shapes(arrays, description).items():
        array = arrays.get(name)
        if array is None or array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
            raise ModelError(f"{name!r} in {str(path)!r} is missing or damaged. Train the model again.")


def _shapes(arrays: Mapping[str, Floats], description: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape that each weight must have; how many units there are is what the arrays say."""

    def width(name: str) -> int:
        return arrays[name].shape[-1] if name in arrays and arrays[name].ndim else 0

    units, read = width("project_bias"), width("words") + width("pieces") + width("shapes")
    tags, intents = 1 + 2 * len(description["entities"]), len(description["intents"]) + 1
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
        "word_intents": (len(description["words"]) + 1, intents),
        "piece_intents": (len(description["pieces"]) + 1, intents),
        "pair_intents": (len(description["pairs"]) + 1, intents),
        "tags_kernel": (units, tags),
        "tags_bias": (tags,),
        "transitions": (tags, tags),
    }
    for number, kind in enumerate(BLOCKS):
        shapes |= {f"block_{number}_kernel": (INPUTS[kind] * units, units), f"block_{number}_bias": (units,)}
        if kind == ATTENTION:
            shapes |= {f"block_{number}_made_kernel": (units, 3 * units), f"block_{number}_made_bias": (3 * units,)}
    return shapes
