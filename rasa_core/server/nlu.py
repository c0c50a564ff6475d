"""Named NLU models: a request can name the model that parses its message, and ``POST /train`` trains a named model.

All models are in the directory of ``--enable-train``; without this option there are none. A model is loaded when a
request first names it, and again when any process has changed its files.

Trust: the training data are parsed and never executed, but whoever may train decides how messages are understood, fills
the disk and uses the processor for as long as the settings allow. So training needs a token.

A training is a process of its own (`nlu_job`), as `rasa_core.server.jobs` tells.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from rasa_core.exceptions import InterpreterError, did_you_mean, nearest
from rasa_core.interpreter import RasaNLUInterpreter
from rasa_core.nlu.model import FILE_NAME, NLU_MODEL
from rasa_core.nlu.settings import NLUSettings
from rasa_core.server.jobs import hung_up, locked, run_job
from rasa_core.server.requests import HttpError
from rasa_core.server.settings import MAX_TRAINING_MEMORY, MAX_TRAINING_SECONDS
from rasa_core.support.folders import is_replaceable, stamp_of

MAX_NAME: Final = 100
MAX_LOADED: Final = 8

_READS_TRIED: Final = 5
_JOB: Final = "rasa_core.server.nlu_job"
_NO_SETTINGS: Final = ("name", "token")
_name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class NLUModels:
    """The NLU models in a directory. Safe to share between threads.

    Parameters
    ----------
    directory
        The folder with one directory for each model; need not exist yet.
    max_loaded
        How many models stay loaded: the ones that were used last.

    Attributes
    ----------
    max_seconds, max_memory
        What a training may take: time in seconds, and bytes.
    """

    def __init__(self, directory: str | os.PathLike[str], max_loaded: int = MAX_LOADED) -> None:
        self.directory = Path(os.path.abspath(directory))
        self.max_seconds: float = MAX_TRAINING_SECONDS
        self.max_memory = MAX_TRAINING_MEMORY
        # No lock is held while a model is read, so threads that use other models do not wait.
        self._read = lru_cache(max_loaded)(lambda path, stamp: RasaNLUInterpreter(path))

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""
        try:
            found = sorted(path.name for path in self.directory.iterdir() if stamp_of(path / FILE_NAME) is not None)
        except OSError:
            return []
        return [name for name in found if _name.fullmatch(name)]

    def path(self, name: str) -> Path:
        """Return the directory of the model `name`; raise `HttpError` 400 if the name is invalid."""
        if len(name) > MAX_NAME or not _name.fullmatch(name):
            raise HttpError(
                400,
                f"a model cannot be called {name[: MAX_NAME + 1]!r}: a name has 1 to {MAX_NAME} characters, which are "
                "letters (A to Z), digits, _, - and ., and does not begin with one of the last two.",
            )
        return self.directory / name

    def interpreter(self, name: str) -> RasaNLUInterpreter:
        """Return an interpreter with the present files of the model `name`.

        Raises
        ------
        HttpError
            400 if there is no such model, with ``nearest``, the existing names that look like `name`.
        InterpreterError
            If the model is damaged.
        """
        path = self.path(name)
        for _ in range(_READS_TRIED):
            stamp = stamp_of(path / FILE_NAME)
            if stamp is None:
                raise self._unknown(name)
            try:
                found = self._read(path, stamp)
            except InterpreterError:
                if stamp_of(path / FILE_NAME) == stamp:
                    raise
            else:
                if stamp_of(path / FILE_NAME) == stamp:
                    return found
        raise InterpreterError(f"the model {name!r} was replaced again and again while it was read. Try again.")

    def train(
        self, parameters: Mapping[str, str], body: bytes, has_gone: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Train a model, and return a report on it.

        Parameters
        ----------
        parameters
            Query parameters: ``name``, by default made from the time; ``token``, ignored here; and settings.
        has_gone
            Tells whether the client has hung up; then the training ends.

        Raises
        ------
        HttpError
            400 if the request is invalid, 409 if another training is running, 501 if the system has no file locks,
            500 if the training broke off.
        """
        name = parameters.get("name") or f"model_{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        path = self.path(name)
        if path.exists() and not is_replaceable(path, NLU_MODEL):
            raise HttpError(400, f"{name!r} is something other than an NLU model; choose another name.")
        job = {
            **{"path": str(path), "settings": _settings(parameters).as_json(), "text": _text(body)},
            **{"max_seconds": self.max_seconds, "max_memory": self.max_memory},
        }
        with locked(self.directory, name) as lock:
            report = run_job(_JOB, job, lock, has_gone)
        return {"name": name, **report}

    hung_up = staticmethod(hung_up)

    def _unknown(self, name: str) -> HttpError:
        known = self.names()
        problem = f"there is no model {name!r}.{did_you_mean(name, known)} Train one with POST /train?name={name}."
        return HttpError(400, problem, details={"nearest": nearest(name, known)})


def _settings(parameters: Mapping[str, str]) -> NLUSettings:
    """Return the settings among the parameters of a request."""
    known = [*_NO_SETTINGS[:1], *(field.name for field in fields(NLUSettings))]
    for name in parameters:
        if name not in known and name not in _NO_SETTINGS:
            problem = f"there is no setting {name[:80]!r}.{did_you_mean(name, known)} There are: {', '.join(known)}."
            raise HttpError(400, problem, details={"nearest": nearest(name, known)})
    return NLUSettings.from_mapping({name: value for name, value in parameters.items() if name not in _NO_SETTINGS})


def _text(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise HttpError(400, f"line {line} of the training data is not UTF-8; send it in that encoding.") from None
    if not text.strip():
        raise HttpError(400, "the body is empty; send training data: curl --data-binary @nlu.md.")
    return text
