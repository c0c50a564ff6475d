"""The models of a project: the kept versions, their descriptions, and the check for models of others.

A version is a folder with ``dialogue``, ``nlu`` if the bot has an NLU model, and ``about.json``: when the version was
made, from which files, and how good it is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rasa_core.exceptions import ModelError, RasaCoreError
from rasa_core.model_folder import fingerprint_of_files
from rasa_core.nlu.model import FILE_NAME as NLU_FILE
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.support.folders import copy_folder
from rasa_core.support.kept_versions import KeptVersions

FINGERPRINT: Final = "training_input"
"""The name in a model's metadata of the hash of what a project was trained from."""
ABOUT: Final = "about.json"
DIALOGUE, NLU = "dialogue", "nlu"
_UNKNOWN = "something that is no model of this version"
FORMAT: Final = 1

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class About:
    """The description of a version.

    Attributes
    ----------
    name : str
        The name of the version.
    made : str
        The time of its training, in UTC.
    figures : dict of str to float
        The numbers of stories and examples, and the accuracy.
    files : dict of str to str
        The paths of its files in the project, each with a hash.
    is_current : bool
        Whether it is the current version.
    changed : list of str
        The files that differ from those of the previous version, with ``+`` for a new and ``-`` for a removed file.
    """

    name: str
    made: str
    figures: Figures
    files: dict[str, str]
    is_current: bool
    changed: list[str] = field(default_factory=list)


class ProjectModels:
    """The folder ``models`` of a project.

    Parameters
    ----------
    folder
        Path of the folder; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.versions = KeptVersions(folder, (DIALOGUE, NLU))
        self.dialogue, self.nlu = folder / DIALOGUE, folder / NLU

    def check_own(self, *, replaces_nlu: bool) -> None:
        """Raise `ModelError` if training would replace a model that the project did not make."""
        found = []
        if self.dialogue.is_dir() and not self.dialogue.is_symlink() and not self._made_here(self.dialogue):
            what = _described(self.dialogue)
            found.append(_foreign(self.dialogue, what or _UNKNOWN, is_served=what is not None))
        if replaces_nlu and _is_filled(self.nlu) and (found or not self.has_own_nlu()):
            what = "an interpreter of typed text" if self.nlu_is_readable() else _UNKNOWN
            # Only beside a dialogue model can an interpreter be served as it is.
            found.append(_foreign(self.nlu, what, is_served=not found and self.dialogue.is_dir()))
        if found:
            raise ModelError("\n".join(found))

    def nlu_is_readable(self) -> bool:
        """Tell whether the NLU model here can be read by this version of the package, whoever trained it."""
        return (self.nlu / NLU_FILE).is_file()

    def has_own_nlu(self) -> bool:
        """Tell whether the project made the NLU model here, if the dialogue model is its own."""
        # One beside a dialogue model was made together with it, before versions.
        is_beside = self.dialogue.is_dir() and not self.dialogue.is_symlink()
        return self.nlu.is_dir() and (self.nlu.is_symlink() or is_beside)

    @staticmethod
    def _made_here(model: Path) -> bool:
        if not any(model.iterdir()):  # As a container makes it, for a volume; there is nothing to lose.
            return True
        try:
            return FINGERPRINT in PolicyEnsemble.load_metadata(model)["fingerprints"]
        except RasaCoreError:
            return False

    def adopt(self) -> None:
        """Make a version of models that the project trained before it had versions, so that they are kept."""
        old = [part for part in (self.dialogue, self.nlu) if part.is_dir() and not part.is_symlink()]
        old = [part for part in old if any(part.iterdir())]
        if not old:
            for part in (self.dialogue, self.nlu):
                if part.is_dir() and not part.is_symlink():
                    part.rmdir()
            return
        at = datetime.fromtimestamp(max(part.stat().st_mtime for part in old), UTC)

        def fill(workplace: Path) -> str:
            for part in old:
                copy_folder(part, workplace / part.name)
            return _write_about(workplace, at, {}, {})

        # In this order: whatever breaks it off, the models are in one place at least, in full.
        name = self.versions.add(fill, at, use=False)
        for part in old:
            shutil.rmtree(part)
        self.versions.use(name)

    def add(self, fill: Callable[[Path], Figures], files: Mapping[str, str]) -> str:
        """Make a version, and return its name.

        Parameters
        ----------
        fill
            A function that gets a folder with a copy of the current models, trains them, and returns figures.
        files
            The files of the version, as in `About`.
        """
        now = datetime.now(UTC)  # When it was begun, from the files as they were then.

        def make(workplace: Path) -> str:
            for part in (self.dialogue, self.nlu):
                if part.is_dir():
                    copy_folder(part, workplace / part.name)
            return _write_about(workplace, now, fill(workplace), files)

        return self.versions.add(make)

    def list(self) -> list[About]:
        """Return the description of each version, the oldest first."""
        found: list[About] = []
        current, before = self.versions.current, None
        for name in self.versions.names():
            content = _read_about(self.versions.path(name) / ABOUT)
            files = content.get("files", {})
            changed: list[str] = [] if before is None else _differences(before, files)
            about = About(name, content.get("made", ""), content.get("figures", {}), files, name == current, changed)
            found.append(about)
            before = files
        return found

    def differences(self, name: str, folder: Path) -> Sequence[str]:
        """Return the files of a project that have changed since this version was trained, without new files."""
        files = _read_about(self.versions.path(name) / ABOUT).get("files", {})
        now = hashes_of((path for path in (folder / file for file in files) if path.is_file()), folder)
        return _differences(files, now)


def hashes_of(files: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the paths of files in a folder, each with a hash."""
    found = {}
    for path in sorted(files):
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        found[name] = hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
    return found


def _differences(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    changed = [name for name in now if name in before and now[name] != before[name]]
    new, gone = sorted(now.keys() - before.keys()), sorted(before.keys() - now.keys())
    return [*changed, *(f"+{name}" for name in new), *(f"-{name}" for name in gone)]


def _write_about(workplace: Path, made: datetime, figures: Figures, files: Mapping[str, str]) -> str:
    content = {"format": FORMAT, "made": f"{made:%Y-%m-%d %H:%M:%S}", "figures": figures, "files": dict(files)}
    # Without about.json, whose time would make two versions of the same files differ.
    fingerprint = fingerprint_of_files((path for path in workplace.rglob("*") if path.is_file()), workplace)
    (workplace / ABOUT).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return fingerprint


def _read_about(path: Path) -> dict[str, Any]:
    try:  # A version that was copied there by hand has no about.json, and can be served too.
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_filled(model: Path) -> bool:
    """Tell whether a folder that is no version has content; a container may have made an empty one for a volume."""
    return model.is_dir() and not model.is_symlink() and any(model.iterdir())


def _described(model: Path) -> str | None:
    """Return a description of a model; None if this version cannot read it, as a model of 0.9."""
    try:
        policies = PolicyEnsemble.load_metadata(model)["policies"]
        return f"a model of {', '.join(str(one['class']) for one in policies)}"
    except (RasaCoreError, LookupError, TypeError):
        return None


def _foreign(path: Path, what: str, *, is_served: bool = True) -> str:
    serve = f"Serve it as it is with -d {path.parent / DIALOGUE}; or move" if is_served else "Move"
    return (
        f"{path} holds {what}, which this project did not make; it is left alone. {serve} it elsewhere, as with: "
        f"mv {path} {path}-by-hand, and train again."
    )
