"""NLU models that a request can name: those in the directory of ``--enable-train``, where ``POST /train`` puts them.

A model is loaded when it is named first, and again when its files have changed, whichever process has changed them.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

from rasa_core.exceptions import InterpreterError, did_you_mean, nearest
from rasa_core.interpreter import RasaNLUInterpreter
from rasa_core.nlu.model import FILE_NAME
from rasa_core.server.errors import HttpError

MAX_NAME: Final = 100
MAX_LOADED: Final = 8
DISABLED: Final = "start the server with --enable-train DIR and a token to allow it."

_READS_TRIED: Final = 5
_name = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Stamp = tuple[int, int, int]


class NLUModels:
    """The NLU models in a directory. Safe to share between threads.

    Parameters
    ----------
    directory
        Has a directory for each model; need not exist yet.
    max_loaded
        How many models stay loaded, those that were used last.
    """

    def __init__(self, directory: str | os.PathLike[str], max_loaded: int = MAX_LOADED) -> None:
        self.directory = Path(os.path.abspath(directory))
        self._max_loaded = max_loaded
        self._loaded: OrderedDict[str, tuple[Stamp, RasaNLUInterpreter]] = OrderedDict()
        self._changing = threading.Lock()

    def names(self) -> list[str]:
        """Return the names of all models, sorted."""
        try:
            found = sorted(path.name for path in self.directory.iterdir() if _stamp(path) is not None)
        except OSError:
            return []
        return [name for name in found if _name.fullmatch(name)]

    def path(self, name: str) -> Path:
        """Return the directory of the model `name`; raise `HttpError` 400 if no model can be called so."""
        if len(name) > MAX_NAME or not _name.fullmatch(name):
            raise HttpError(
                400,
                f"a model cannot be called {name[: MAX_NAME + 1]!r}: a name has 1 to {MAX_NAME} characters, which are "
                "letters (A to Z), digits, _, - and ., and does not begin with one of the last two.",
            )
        return self.directory / name

    def interpreter(self, name: str) -> RasaNLUInterpreter:
        """Return the model `name`, as its files are now.

        Raises
        ------
        HttpError
            400 if there is none, with ``nearest``, the existing names that look like it.
        InterpreterError
            If it is damaged.
        """
        path = self.path(name)
        with self._changing:
            known = self._loaded.pop(name, None)
            if known is None or known[0] != _stamp(path):
                known = self._read(name, path)
            self._loaded[name] = known  # Behind the others, which were used before.
            while len(self._loaded) > self._max_loaded:
                self._loaded.popitem(last=False)
        return known[1]

    def _read(self, name: str, path: Path) -> tuple[Stamp, RasaNLUInterpreter]:
        for _ in range(_READS_TRIED):
            stamp = _stamp(path)
            if stamp is None:
                raise self._unknown(name)
            try:
                read = RasaNLUInterpreter(path)
            except InterpreterError:
                if _stamp(path) == stamp:
                    raise
            else:
                if _stamp(path) == stamp:
                    return stamp, read
        raise InterpreterError(f"the model {name!r} was replaced again and again while it was read. Try again.")

    def _unknown(self, name: str) -> HttpError:
        known = self.names()
        problem = f"there is no model {name!r}.{did_you_mean(name, known)} Train one with POST /train?name={name}."
        return HttpError(400, problem, details={"nearest": nearest(name, known)})


def _stamp(model: Path) -> Stamp | None:
    """Return what changes when a model is replaced, None if there is none."""
    try:
        found = (model / FILE_NAME).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
