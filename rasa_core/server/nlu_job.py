"""The process of one training for `rasa_core.server.nlu`: ``python -m rasa_core.server.nlu_job``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from rasa_core.checks import Finding, finding
from rasa_core.checks.nlu import check_training_data
from rasa_core.drawing.svg import shorten
from rasa_core.evaluation.nlu import MessageResult, not_learnt
from rasa_core.evaluation.tables import LONGEST_NAME
from rasa_core.exceptions import ModelError, RasaCoreError
from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.reading import read_training_text
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.training import train
from rasa_core.nlu.training_data import NLUDataError, TrainingData
from rasa_core.policies.keras_training import import_keras
from rasa_core.server.job_process import Report, carry_out, failure

MOST_LISTED: Final = 100
BODY: Final = "body"
"""The name of the training data in error messages, in the place of a file name."""

_ONE_LINE: Final = (
    " All is in one line: did the client remove the others, as curl -d @FILE does? Use curl --data-binary."
)


def run(job: Mapping[str, Any]) -> Report:
    """Train a model and write it.

    Parameters
    ----------
    job
        ``text``, the training data; ``settings``; and ``path``, the directory for the model.

    Returns
    -------
    dict
        ``status``, the HTTP status, and the other keys of the answer.
    """
    started = time.perf_counter()
    try:
        data = read_training_text(job["text"], BODY)
    except NLUDataError as error:
        return _data_report(error, job["text"])
    try:
        import_keras()
    except ModelError as error:
        return failure(501, str(error))
    try:
        model = train(data, NLUSettings(**job["settings"]), silent=True)
    except RasaCoreError as error:
        return failure(400, f"{error}{_hint(job['text'])}")
    try:
        model.persist(job["path"])
    except ModelError as error:
        return failure(503, str(error))
    return _success(data, model, time.perf_counter() - started)


def _success(data: TrainingData, model: NLUModel, seconds: float) -> Report:
    warnings = [found.as_dict() for found in check_training_data(data)]
    wrong = [_not_learnt(one).as_dict() for one in not_learnt(model.with_pipeline(None), data.examples)]
    return {
        "status": 200,
        "fingerprint": model.fingerprint,
        "intents": data.intents,
        "entities": data.entities,
        "examples": len(data.examples),
        "seconds": round(seconds, 3),
        **_listed("warnings", warnings),
        **_listed("not_learnt", wrong),
    }


def _not_learnt(one: MessageResult) -> Finding:
    message = f"{shorten(one.example.text, LONGEST_NAME)!r} is not learnt: {one.described()}"
    return finding("not-learnt", "warning", message, [one.example.place])


def _data_report(error: NLUDataError, text: str) -> Report:
    found = [{"line": one.place.line if one.place else None, "error": one.problem} for one in (error, *error.others)]
    more = f" ({len(error.others)} more errors)" if error.others else ""
    problem = f"{error.place}: {error.problem}{more}{_hint(text)}"
    return {**failure(400, problem), **_listed("errors", found)}


def _hint(text: str) -> str:
    """Return a hint about a mistake that clients make when they send Markdown or YAML."""
    return _ONE_LINE if "\n" not in text.strip() and text.lstrip()[:1] != "{" else ""


def _listed(name: str, items: list[dict[str, Any]]) -> Report:
    """Return the first items under a name, and the number of items that are left out, if any."""
    more = {f"more_{name}": len(items) - MOST_LISTED} if len(items) > MOST_LISTED else {}
    return {name: items[:MOST_LISTED], **more}


if __name__ == "__main__":
    carry_out(run)
