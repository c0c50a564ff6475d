"""The flags of ``rasa-core evaluate``: how some are read, and which go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from rasa_core.drawing.files import check_drawing_file

DEFAULT_FOLDS: Final = 5


def read_shares(context: click.Context, option: click.Parameter, value: str | None) -> list[int] | None:
    """Read ``0,25,50``."""
    if value is None:
        return None
    try:
        shares = sorted({int(part) for part in value.split(",")})
    except ValueError:
        shares = [-1]
    if shares[0] < 0 or shares[-1] > 99:
        raise click.BadParameter(f"expected numbers from 0 to 99 such as 0,25,50,75, not {value!r}.")
    return shares


def check_flags(flags: Mapping[str, Any]) -> None:
    """Find out what does not go together before anything takes time."""
    models, compares, domain = bool(flags["models"]), flags["compare"], flags["domain"] is not None
    folds, curve = flags["folds"] is not None, flags["exclude"] is not None
    wrong = {
        "--compare and MODELS go together; a single model is given with -d MODEL.": models != compares,
        "give one of these: -d MODEL, --compare MODELS, or -D DOMAIN with --folds or --exclude.": (
            models + domain + (flags["core"] is not None) != 1
        ),
        "-D is for training: give --folds 5 or --exclude 0,25,50,75 too, or -d MODEL instead.": (
            domain and not (folds or curve)
        ),
        "--folds measures one configuration: give one model with -d, or --exclude 0 too.": (
            compares and folds and not curve
        ),
        "-m is for models that are trained; --folds and --exclude use all stories.": (
            (folds or curve) and flags["max_stories"] is not None
        ),
        "--calibration is for one model, or --folds.": flags["calibration"] is not None and (compares or curve),
        "-o draws one model, or a learning curve; --compare alone prints a table.": (
            flags["output"] is not None and compares and not curve
        ),
        "each of the --runs holds out another fold: give no more --runs than --folds.": (
            curve and flags["runs"] > (flags["folds"] or DEFAULT_FOLDS)
        ),
    }
    for problem, is_so in wrong.items():
        if is_so:
            raise click.UsageError(problem)
    for path in filter(None, (flags["output"], flags["calibration"])):
        check_drawing_file(path)
