"""A folder with named versions of a model, one of which is the current version.

    models/20261129-103508-3fa94c1e/dialogue   a version, with its parts
    models/current                             a file with the name of the current version; replaced in one step
    models/dialogue                            a link to this part of the current version, for programs that use this
    path

A name consists of the time in UTC and a fingerprint of the content. The last few versions and the current one are kept.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.support.folders import whole_file

CURRENT: Final = "current"
KEPT: Final = 5
_NAME: Final = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_TIME: Final = "%Y%m%d-%H%M%S"
_UNFINISHED: Final = ".new-"
_LEFT_AFTER: Final = 86_400.0  # Seconds; no training takes a day.


class KeptVersions:
    """The versions in a folder.

    Parameters
    ----------
    folder
        The folder with the versions; it need not exist.
    parts
        The names of the folders that a version may have, and of the links to them.
    """

    def __init__(self, folder: Path, parts: Iterable[str]) -> None:
        self.folder, self.parts = folder, tuple(parts)

    def names(self) -> list[str]:
        """Return the names of all versions, the oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())

    @property
    def current(self) -> str | None:
        """The name of the current version, or None."""
        return current_version(self.folder)

    def path(self, name: str) -> Path:
        """Return the folder of a version; raise `ModelError` for an unknown name."""
        known = self.names()
        if name not in known:
            listed = f" Versions: {', '.join(known)}." if known else ""
            raise ModelError(
                f"there is no version {name!r} in {str(self.folder)!r}.{did_you_mean(name, known)}{listed}"
            )
        return self.folder / name

    def add(self, fill: Callable[[Path], str], at: datetime | None = None, *, use: bool = True) -> str:
        """Add a version, and return its name; after an error, nothing is left of it.

        Parameters
        ----------
        fill
            A function that writes the parts into an empty folder, and returns their fingerprint in hexadecimal.
        at
            The time in the name; by default now, or a second after the last version.
        use
            Whether the new version becomes the current one.
        """
        moment = at or self._next_moment()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.clear_unfinished()
            workplace = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
            try:
                name = f"{moment:{_TIME}}-{fill(workplace)[:8]}"
                # Only the owner can read a temporary folder, but another user may serve the model.
                workplace.chmod(0o755)
                # A version with the same second and content is kept, since somebody may be reading it.
                if not (self.folder / name).exists():
                    workplace.rename(self.folder / name)
            finally:
                shutil.rmtree(workplace, ignore_errors=True)
        except OSError as error:
            raise ModelError(f"cannot write a model into {str(self.folder)!r}: {error.strerror or error}.") from error
        if use:
            self.use(name)
            self.prune()
        return name

    def clear_unfinished(self) -> None:
        """Remove folders of interrupted trainings; young folders are kept, as their training may still be running."""
        for left in self.folder.glob(f"{_UNFINISHED}*"):
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _LEFT_AFTER:
                    shutil.rmtree(left, ignore_errors=True)

    def _next_moment(self) -> datetime:
        # Names must sort by age, also for two versions in one second, and after the clock was set back.
        now, names = datetime.now(UTC), self.names()
        if not names:
            return now
        last = datetime.strptime(names[-1][:15], _TIME).replace(tzinfo=UTC)
        return max(now, last + timedelta(seconds=1))

    def use(self, name: str) -> None:
        """Make a version the current one; a reader sees the whole old version or the whole new version.

        Raises
        ------
        ModelError
            If this cannot be written; then the old version stays the current one.
        """
        version = self.path(name)
        try:
            with whole_file(self.folder / CURRENT) as file:
                # Everything that a full disk can refuse is done before any visible change.
                file.write(f"{name}\n")
                file.flush()
                os.chmod(file.fileno(), 0o644)
                present = [part for part in self.parts if (version / part).is_dir()]
                links = [_made_link(self.folder / part, Path(name, part)) for part in present]
                for made, link in links:
                    _put_in_place(made, link)
                for part in self.parts:
                    if not (version / part).is_dir() and (self.folder / part).is_symlink():
                        (self.folder / part).unlink()
        except OSError as error:
            raise ModelError(
                f"cannot use {name} in {str(self.folder)!r}: {error.strerror or error}. What was used before stays."
            ) from error

    def prune(self, keep: int = KEPT) -> None:
        """Remove all versions except the last `keep` and the current one."""
        for name in self.names()[:-keep]:
            if name != self.current:
                shutil.rmtree(self.folder / name, ignore_errors=True)


def current_version(folder: Path) -> str | None:
    """Return the name in the file ``current`` of a folder; None if it names no version in the folder."""
    try:
        name = (folder / CURRENT).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    # The pattern is checked, since another text could be a path that leads out of the folder.
    return name if _NAME.fullmatch(name) and (folder / name).is_dir() else None


def as_current(path: Path) -> Path:
    """Return the folder in the current version that the link `path` stands for, or `path` itself if there is none."""
    if not path.is_symlink():
        return path
    name = current_version(path.parent)
    return path if name is None or not (path.parent / name / path.name).is_dir() else path.parent / name / path.name


def name_of_model(path: str | Path) -> str:
    """Return the name of the version that a folder is a part of, or else the name of the folder."""
    folder = Path(path).absolute()
    return folder.parent.name if _NAME.fullmatch(folder.parent.name) else folder.name


def _made_link(link: Path, target: Path) -> tuple[Path, Path]:
    # A link cannot be overwritten, only replaced by renaming a new link.
    made = link.with_name(f".{link.name}-link")
    with suppress(FileNotFoundError):
        made.unlink()
    made.symlink_to(target, target_is_directory=True)
    return made, link


def _put_in_place(made: Path, link: Path) -> None:
    try:
        os.replace(made, link)
    except OSError as error:
        made.unlink()
        raise ModelError(f"{str(link)!r} is in the way of a link to the current model: move it elsewhere.") from error
