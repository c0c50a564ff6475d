"""The candidate: a model that is trained beside the served model, by a process of its own on a copy of the project.

All files of the candidate are in one folder, ``models/.candidate``, so that every process of a server sees them, and
the project's own files are not touched: a copy of the project with the models trained from it, the log, and the result.
The training goes on if the server ends; it ends if somebody discards the candidate.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rasa_core.exceptions import ModelError
from rasa_core.server.inspector.saving import copy_project
from rasa_core.support.folders import copy_folder

FOLDER: Final = ".candidate"
MOST_LINES: Final = 500
_PATIENCE: Final = 5.0  # seconds
_JOB, _LOG, _RESULT, _COMPARISON = "job.json", "log.txt", "result.json", "comparison.json"
_EPOCH: Final = re.compile(r"epoch (\d+)/(\d+) .*?loss (\d[\d.]*)")  # The progress of a network in a training's log.


class Candidate:
    """A model that is being trained or was trained, and is not served yet.

    Parameters
    ----------
    open_project
        A function that reads a folder as a `rasa_core.project.Project`.
    """

    def __init__(self, project: Path, open_project: Callable[[Path], Any]) -> None:
        self.project = project
        self._open = open_project
        self.folder = project / "models" / FOLDER
        # The copy has the name of the project, since messages and models may contain this name.
        self.work = self.folder / "work" / (project.resolve().name or "bot")
        self._compared: dict[str, Any] | None = None

    # -- training

    def start(self) -> None:
        """Start a training; raise `ModelError` if a training is running."""
        if self.state()["state"] == "training":
            raise ModelError("a model is being trained now; wait for it, or discard it.")
        shutil.rmtree(self.folder, ignore_errors=True)
        process: subprocess.Popen[bytes] | None = None
        try:
            self.folder.mkdir(parents=True)
            copy_project(self.project, self.work)
            self._take_models_along()
            process = self._begin()
            job = {"pid": process.pid, "began": _began(process.pid), "started": time.monotonic()}
            self._write(_JOB, job)
        except OSError:  # Such as a full disk: the incomplete copy is removed.
            if process is not None:  # Without its files, nobody could see its progress, or end it.
                process.kill()
                process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        threading.Thread(target=self._wait, args=(process, job), name="training", daemon=True).start()

    def _begin(self) -> subprocess.Popen[bytes]:
        with open(self.folder / _LOG, "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "rasa_core.train", "-v", str(self.work)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def _take_models_along(self) -> None:
        """Copy the trained models, so that only the changed parts are trained again."""
        models, target = self.project / "models", self.work / "models"
        for name in ("dialogue", "nlu"):
            if (models / name).is_dir():
                copy_folder((models / name).resolve(), target / name)
        if (models / "features.npz").is_file():
            target.mkdir(exist_ok=True)
            shutil.copy2(models / "features.npz", target)

    def _wait(self, process: subprocess.Popen[bytes], job: Mapping[str, Any]) -> None:
        code = process.wait()
        self._write_of(job, _RESULT, {"code": code, "ended": time.monotonic()})

    # -- its state

    def state(self, first: int = 0) -> dict[str, Any]:
        """Return the state ``none``, ``training``, ``failed`` or ``trained``, and the log from the line `first` on.

        While a network is trained, ``progress`` has the epoch, the number of epochs, and the loss.
        """
        job, result = self._read(_JOB), self._read(_RESULT)
        if job is None:
            return {"state": "none", "log": [], "lines": 0, "seconds": None, "comparison": None, "progress": None}
        lines = self._lines()
        if result is None:
            state = "training" if _is_alive(job) else "failed"
        else:
            state = "trained" if result["code"] == 0 else "failed"
        ended = time.monotonic() if result is None else result["ended"]
        return {
            **{"state": state, "log": lines[first : first + MOST_LINES], "lines": len(lines)},
            **{"seconds": round(max(ended - job["started"], 0.0), 1), "comparison": self._read(_COMPARISON)},
            "progress": _progress(lines[-1]) if lines and state == "training" else None,
        }

    def _lines(self) -> list[str]:
        try:
            text = (self.folder / _LOG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        # A progress line overwrites itself with carriage returns; only its last state is kept.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.splitlines() if line.strip()]
        told = (line.replace(f"{self.work}/", "").replace(str(self.work), ".") for line in lines)
        return [line.removeprefix("INFO: ") for line in told]

    def check_trained(self) -> None:
        """Raise `ModelError` unless the training has ended with success."""
        state = self.state()["state"]
        if state != "trained":
            told = {"none": "no model has been trained; train one", "training": "the model is still being trained"}
            raise ModelError(f"{told.get(state, 'the training failed, as its log tells')}.")
        self._compared = self._read(_JOB)

    def keep_comparison(self, content: Mapping[str, Any]) -> None:
        """Store the result or progress of a comparison of the model that `check_trained` has seen."""
        if self._compared is not None:
            self._write_of(self._compared, _COMPARISON, content)

    # -- its end

    def discard(self) -> None:
        """End the training, if it is running, and remove the candidate."""
        job = self._read(_JOB)
        if job is not None and self._read(_RESULT) is None and _is_alive(job):
            with suppress(OSError):
                os.killpg(job["pid"], signal.SIGTERM)
            until = time.monotonic() + _PATIENCE
            while _is_alive(job) and time.monotonic() < until:
                time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)

    def serve(self) -> str:
        """Make the candidate the project's current model, and return the name of its version."""
        self.check_trained()
        trained, models = self._open(self.work), self._open(self.project).models
        models.adopt()
        made = trained.models.list()
        if not made:  # Nothing had changed, so no new model was made.
            self.discard()
            return str(models.versions.current)
        about = made[-1]
        parts = {part.name: part.resolve() for part in (trained.models.dialogue, trained.models.nlu) if part.is_dir()}

        def fill(folder: Path) -> dict[str, float]:
            for name in ("dialogue", "nlu"):
                shutil.rmtree(folder / name, ignore_errors=True)
                if name in parts:
                    copy_folder(parts[name], folder / name)
            return dict(about.figures)

        name: str = models.add(fill, about.files)
        self.discard()
        return name

    # -- its files

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            content = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _write_of(self, job: Mapping[str, Any], name: str, content: Mapping[str, Any]) -> None:
        """Write a file of the training `job`, unless it was discarded meanwhile, and perhaps another one started."""
        if self._read(_JOB) == job:
            with suppress(OSError):
                self._write(name, content)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        part = self.folder / f"{name}.{os.getpid()}.{threading.get_ident()}"
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(self.folder / name)


def _progress(line: str) -> dict[str, float] | None:
    found = _EPOCH.search(line)
    return None if found is None else {"epoch": int(found[1]), "epochs": int(found[2]), "loss": float(found[3])}


def _is_alive(job: Mapping[str, Any]) -> bool:
    """Tell whether the process of a training is running, and not another process that has got its process id."""
    return job["began"] is not None and _began(job["pid"]) == job["began"]


def _began(pid: int) -> str | None:
    """Return the start time of a process, as far as the system provides it; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        try:  # A system without /proc.
            os.kill(pid, 0)
        except OSError:
            return None
        return "unknown"
    fields = stat.rpartition(")")[2].split()  # The program's name, in parentheses, may itself contain parentheses.
    return None if fields[0] == "Z" else fields[19]
