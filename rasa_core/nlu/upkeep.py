"""Whether the interpreter of a bot is of its data and its pipeline, and how it is made so."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rasa_core.exceptions import ModelError
from rasa_core.nlu.model import NLUModel, fingerprint_of
from rasa_core.nlu.pipeline import Step
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.training_data import TrainingData

State = Literal["current", "configured", "changed"]


def state_of(directory: Path, data: TrainingData, steps: list[Step] | None) -> State:
    """Return ``current``, ``configured`` (only what is around the network has changed), or ``changed``."""
    if not data.intents:
        return "current"
    try:
        found = NLUModel.load(directory)
    except ModelError:
        return "changed"
    if found.fingerprint != fingerprint_of(data.fingerprint(), NLUSettings().as_json()):  # A project has no settings.
        return "changed"
    return "current" if found.pipeline == steps else "configured"


def bring_up(
    directory: Path, data: TrainingData, steps: list[Step] | None, state: State, say: Callable[[str], object]
) -> None:
    """Make the interpreter of some data and a pipeline, as far as `state` asks for it, and say what is done.

    Raises
    ------
    ModelError
        If the data cannot be learnt, or what training needs is not installed.
    """
    if state == "configured":
        NLUModel.load(directory).with_pipeline(steps).persist(directory)
        say(f"{directory}: only the pipeline has changed; the interpreter has it without training")
        return
    if state == "current":
        say(f"{directory}: the interpreter of typed text is up to date")
        return
    from rasa_core.nlu.training import train  # Not loaded by a process that only serves.

    say("training the interpreter of typed text ...")
    started = time.perf_counter()
    model = train(data).with_pipeline(steps)
    say(f"trained in {time.perf_counter() - started:.1f} s")
    model.persist(directory)
    say(f"{directory}: the interpreter is written")
