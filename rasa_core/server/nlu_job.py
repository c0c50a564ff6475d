"""The process of one training for `rasa_core.server.nlu`: ``python -m rasa_core.server.nlu_job``.

It reads the job as JSON from standard input, and writes the report as JSON to standard output. If standard input is
closed before the training has ended, nobody waits for the report any more, and the process ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
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
from rasa_core.server.settings import OUT_OF_MEMORY, OUT_OF_TIME

TrainingReport = dict[str, Any]

MOST_LISTED: Final = 100
BODY: Final = "body"
"""The name of the training data in error messages, in the place of a file name."""

_LOOK_EVERY: Final = 0.2  # seconds
_PRIORITY: Final = 10
_ONE_LINE: Final = (
    " All is in one line: did the client remove the others, as curl -d @FILE does? Use curl --data-binary."
)


def run(job: Mapping[str, Any]) -> TrainingReport:
    """Train a model and write it.

    Parameters
    ----------
    job
        ``text``, the training data; ``settings``; and ``path``, the directory for the model. ``max_seconds`` and
        ``max_memory`` are used by `main`.

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
        return _failure(501, str(error))
    try:
        model = train(data, NLUSettings(**job["settings"]), silent=True)
    except RasaCoreError as error:
        return _failure(400, f"{error}{_hint(job['text'])}")
    try:
        model.persist(job["path"])
    except ModelError as error:
        return _failure(503, str(error))
    return _success(data, model, time.perf_counter() - started)


def _success(data: TrainingData, model: NLUModel, seconds: float) -> TrainingReport:
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


def _failure(status: int, problem: str) -> TrainingReport:
    return {"status": status, "error": problem}


def _data_report(error: NLUDataError, text: str) -> TrainingReport:
    found = [{"line": one.place.line if one.place else None, "error": one.problem} for one in (error, *error.others)]
    more = f" ({len(error.others)} more errors)" if error.others else ""
    problem = f"{error.place}: {error.problem}{more}{_hint(text)}"
    return {**_failure(400, problem), **_listed("errors", found)}


def _hint(text: str) -> str:
    """Return a hint about a mistake that clients make when they send Markdown or YAML."""
    return _ONE_LINE if "\n" not in text.strip() and text.lstrip()[:1] != "{" else ""


def _listed(name: str, items: list[dict[str, Any]]) -> TrainingReport:
    """Return the first items under a name, and the number of items that are left out, if any."""
    more = {f"more_{name}": len(items) - MOST_LISTED} if len(items) > MOST_LISTED else {}
    return {name: items[:MOST_LISTED], **more}


def _end_with_the_server() -> None:
    os.read(0, 1)
    os._exit(1)


def _end_at_limits(seconds: float, memory: int) -> None:
    """Check every `_LOOK_EVERY` seconds, and end the process when it exceeds the time or the memory."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:  # Only Linux has this file.
            if int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") > memory:
                os._exit(OUT_OF_MEMORY)
        time.sleep(_LOOK_EVERY)
    os._exit(OUT_OF_TIME)


def main() -> None:
    """Run the job on standard input, and write the report."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())  # Signals that a server's worker blocks.
    report = os.dup(1)
    os.dup2(2, 1)  # Output of libraries goes to standard error, so that it does not get into the report.
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    limits = job["max_seconds"], job["max_memory"]
    threading.Thread(target=_end_at_limits, args=limits, daemon=True).start()
    os.nice(_PRIORITY)
    with os.fdopen(report, "wb") as output:
        output.write(json.dumps(run(job)).encode())


if __name__ == "__main__":
    main()
