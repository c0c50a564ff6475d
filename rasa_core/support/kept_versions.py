"""A folder of versions, each with a name, one of which is the current one; going back is one step.

    models/20261129-103508-3fa94c1e/dialogue   a version, and in it its parts
    models/current                             names the version that counts; replaced in one step
    models/dialogue                            a link to that part of the current version, for whoever knows this path

A name is the time, in UTC, and a fingerprint of the content. Only the last few versions are kept, and the current one.
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
        Where they are; it need not exist.
    parts
        What a version may consist of, each a folder, to which links lead.
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
        """The name of the version that counts; None if there is none."""
        return current_version(self.folder)

    def path(self, name: str) -> Path:
        """Return the folder of a version; raise `ModelError` if there is none of this name."""
        known = self.names()
        if name not in known:
            listed = f" Versions: {', '.join(known)}." if known else ""
            raise ModelError(
                f"there is no version {name!r} in {str(self.folder)!r}.{did_you_mean(name, known)}{listed}"
            )
        return self.folder / name

    def add(self, fill: Callable[[Path], str], at: datetime | None = None, *, use: bool = True) -> str:
        """Make a version, and return its name; one that cannot be made whole leaves nothing.

        Parameters
        ----------
        fill
            Writes the parts into an empty folder, and returns a fingerprint of them in hexadecimal.
        at
            When it was made; if not given, now, or a second after the last one.
        use
            Whether it is the current one from then on.
        """
        moment = at or self._next_moment()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._clear_unfinished()
            workplace = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.folder))
            try:
                name = f"{moment:{_TIME}}-{fill(workplace)[:8]}"
                # A temporary folder is its owner's alone; who serves the model may be another user.
                workplace.chmod(0o755)
                # The same second and the same content: somebody may be reading that version already.
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

    def _clear_unfinished(self) -> None:
        """Remove what trainings that were broken off have left; a younger folder may belong to one that still runs."""
        for left in self.folder.glob(f"{_UNFINISHED}*"):
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _LEFT_AFTER:
                    shutil.rmtree(left, ignore_errors=True)

    def _next_moment(self) -> datetime:
        # Names in order tell the ages, also of two versions in one second, and after a clock was set back.
        now, names = datetime.now(UTC), self.names()
        if not names:
            return now
        last = datetime.strptime(names[-1][:15], _TIME).replace(tzinfo=UTC)
        return max(now, last + timedelta(seconds=1))

    def use(self, name: str) -> None:
        """Make a version the current one; who reads meanwhile sees the one before, or this one, as a whole.

        Raises
        ------
        ModelError
            If that cannot be written; then the version before stays the current one.
        """
        version = self.path(name)
        try:
            with whole_file(self.folder / CURRENT) as file:
                # All that a full disk can refuse comes before anything that is seen.
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
        """Remove all versions but the last few, and the current one."""
        for name in self.names()[:-keep]:
            if name != self.current:
                shutil.rmtree(self.folder / name, ignore_errors=True)


def current_version(folder: Path) -> str | None:
    """Return the name that ``current`` in a folder gives, None if it names no version there."""
    try:
        name = (folder / CURRENT).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    # Anything else than a name could lead out of the folder.
    return name if _NAME.fullmatch(name) and (folder / name).is_dir() else None


def as_current(path: Path) -> Path:
    """Return the part of the current version to which `path` leads; `path` itself if it leads to none."""
    if not path.is_symlink():
        return path
    name = current_version(path.parent)
    return path if name is None or not (path.parent / name / path.name).is_dir() else path.parent / name / path.name


def name_of_model(path: str | Path) -> str:
    """Return the name of the version of which a folder is a part, or of the folder itself."""
    folder = Path(path).absolute()
    return folder.parent.name if _NAME.fullmatch(folder.parent.name) else folder.name


def _made_link(link: Path, target: Path) -> tuple[Path, Path]:
    # A link cannot be overwritten, only replaced by another that is renamed.
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
