"""The model directory: written whole or not at all, and checked when it is read.

A model holds ``domain.yml``, ``metadata.json``, ``stories.md`` and one folder a policy. Nothing in it is
code: it is JSON, YAML of plain data, and arrays without pickled objects. The same input and seed give the same
bytes.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError, RasaCoreError
from rasa_core.policies.ensemble import METADATA_NAME, PolicyEnsemble

DOMAIN_NAME = "domain.yml"
STORIES_NAME = "stories.md"

_OLD = ".old"
_READS_TRIED = 5
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # As in Linux's <fcntl.h> and <linux/fs.h>.


def write_model(
    path: str | Path,
    domain: Domain,
    ensemble: PolicyEnsemble,
    stories: str = "",
    fingerprints: Mapping[str, str] | None = None,
) -> None:
    """Write a model, replacing the one at `path`.

    Parameters
    ----------
    path
        A new folder, an empty one, or one that holds a model.
    stories
        The stories that it was trained on, as text.
    fingerprints
        Hashes of the training input.

    Raises
    ------
    ModelError
        If `path` is something else, or cannot be written.
    """

    def fill(folder: Path) -> None:
        domain.persist(folder / DOMAIN_NAME)
        (folder / STORIES_NAME).write_text(stories, encoding="utf-8", errors="surrogatepass")
        prints = {"domain": domain.fingerprint(), **(fingerprints or {})}
        ensemble.persist(folder, {"fingerprints": prints})

    replace_directory(Path(path), fill)


def replace_directory(path: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder `path` anew through `fill`, which gets an empty folder; readers see the old or the new.

    Raises
    ------
    ModelError
        If `path` is something other than a model, or cannot be written; what was there is unchanged.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not _is_replaceable(path):
        raise ModelError(
            f"{str(path)!r} exists and is not a model; it is left alone. Choose another path, or remove it."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.new-", dir=path.parent))
    except OSError as error:
        raise ModelError(f"cannot write a model to {str(path)!r}: {error}.") from error
    try:
        folder = workplace / path.name
        folder.mkdir()
        fill(folder)
        _swap(folder, path)
    except OSError as error:
        raise ModelError(f"cannot write a model to {str(path)!r}: {error}. What was there is unchanged.") from error
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _is_replaceable(path: Path) -> bool:
    if not path.is_dir():
        return False
    names = os.listdir(path)
    return not names or METADATA_NAME in names or "policy_metadata.json" in names


def _swap(folder: Path, path: Path) -> None:
    """Put `folder` in the place of `path`; what was there, if anything, is left in the folder of `folder`."""
    try:
        folder.rename(path)
    except OSError:
        if not path.exists():
            raise
        if not _exchange(folder, path):
            _swap_in_two_steps(folder, path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, which only Linux can; return whether that was done."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    done: int = renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return done == 0


def _swap_in_two_steps(folder: Path, path: Path) -> None:
    old = folder.with_name(folder.name + _OLD)
    path.rename(old)
    try:
        folder.rename(path)
    except OSError:
        old.rename(path)
        raise


def read_model(path: str | Path, action_factory: str | None = None) -> tuple[Domain, PolicyEnsemble, dict[str, Any]]:
    """Read a model.

    Returns
    -------
    domain, ensemble, metadata

    Raises
    ------
    ModelError
        If there is no model at `path`, or it cannot be read, or its parts do not fit.
    """
    folder = Path(path)
    for _ in range(_READS_TRIED):
        before = _identity(folder)
        try:
            found = _read(folder, action_factory)
        except RasaCoreError:
            if _identity(folder) == before:
                raise
        else:
            if _identity(folder) == before:
                return found
    raise ModelError(f"the model {str(path)!r} was replaced again and again while it was read. Try again.")


def read_stories(path: str | Path) -> str:
    """Return the stories that the model at `path` was trained on; an empty string if they were removed."""
    try:
        return Path(path, STORIES_NAME).read_text(encoding="utf-8", errors="surrogatepass")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {str(Path(path, STORIES_NAME))!r}: {error}. Train again.") from error


def _identity(folder: Path) -> object:
    """Return what changes when another folder takes the place of this one."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _read(folder: Path, action_factory: str | None) -> tuple[Domain, PolicyEnsemble, dict[str, Any]]:
    if not folder.is_dir():
        raise ModelError(f"the model {str(folder)!r} {_what_is_wrong(folder)}")
    metadata = PolicyEnsemble.load_metadata(folder)
    if not (folder / DOMAIN_NAME).is_file():
        raise ModelError(f"the model {str(folder)!r} has no {DOMAIN_NAME}. Copy your domain there, or train again.")
    domain = Domain.load(folder / DOMAIN_NAME, action_factory)
    if metadata["fingerprints"].get("domain") != domain.fingerprint():
        raise ModelError(
            f"the domain of the model {str(folder)!r} has changed since it was trained: you MUST retrain the "
            "policies. Only the texts of templates may change without training."
        )
    return domain, PolicyEnsemble.load(folder), metadata


def _what_is_wrong(path: Path) -> str:
    if path.exists():
        return "is a file, not a model directory. Train one, or check the path."
    left = sorted(path.parent.glob(f".{glob.escape(path.name)}.new-*/{glob.escape(path.name)}{_OLD}"))
    if left:
        return f"is missing: writing it was interrupted. The one before is {str(left[-1])!r}; move it back."
    return "does not exist. Train one, or check the path."
