"""Writing and reading a dialogue model's folder, which is written whole or not at all and checked when it is read.

A model holds ``domain.yml``, ``metadata.json``, ``stories.md`` and one folder for each policy. It contains no code,
only JSON, YAML of plain data, and arrays without pickled objects. The same input and seed give the same bytes.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rasa_core.domain import Domain
from rasa_core.events.base import SHORT_FINGERPRINT
from rasa_core.exceptions import MissingModelError, ModelError, RasaCoreError
from rasa_core.policies.ensemble import METADATA_NAME, PolicyEnsemble
from rasa_core.support.folders import OLD, replace_directory

DOMAIN_NAME = "domain.yml"
STORIES_NAME = "stories.md"

DIALOGUE_MODEL = frozenset({METADATA_NAME, "policy_metadata.json"})
"""File names of metadata, one of which is in every dialogue model."""

_READS_TRIED = 30  # A reader may be slower than a process that keeps replacing the model.


def write_model(
    path: str | Path,
    domain: Domain,
    ensemble: PolicyEnsemble,
    stories: str = "",
    fingerprints: Mapping[str, str] | None = None,
) -> None:
    """Write a model into the folder `path`; a model that is already there is replaced.

    Parameters
    ----------
    path
        A new folder, an empty one, or one that holds a model.
    stories
        The text of the stories that the model was trained on.
    fingerprints
        Hashes of the training input.

    Raises
    ------
    ModelError
        If `path` is none of these, or cannot be written.
    """

    def fill(folder: Path) -> None:
        domain.persist(folder / DOMAIN_NAME)
        (folder / STORIES_NAME).write_text(stories, encoding="utf-8", errors="backslashreplace")
        prints = {"domain": domain.fingerprint(), **(fingerprints or {})}
        ensemble.persist(str(folder))
        _add_fingerprints(folder, prints)

    replace_directory(path, fill, DIALOGUE_MODEL)


def _add_fingerprints(folder: Path, of_input: Mapping[str, str]) -> None:
    """Add the hashes of the training input to the metadata, and a hash of all files for `_fingerprint`."""
    metadata = folder / METADATA_NAME
    content = json.loads(metadata.read_text(encoding="utf-8")) | {"fingerprints": dict(of_input)}
    files = (file for file in folder.rglob("*") if file.is_file() and file != metadata)
    content["content"] = fingerprint_of_files(files, folder)
    metadata.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")


class Model(NamedTuple):
    """A model that was read; all its parts were written together.

    Attributes
    ----------
    metadata : dict
        The content of ``metadata.json``.
    stories : str
        The text of the stories that the model was trained on; empty if the file was removed.
    fingerprint : str
        A hash of the model; equal models have equal hashes.
    """

    domain: Domain
    ensemble: PolicyEnsemble
    metadata: dict[str, Any]
    stories: str
    fingerprint: str


def read_model(path: str | Path, action_factory: str | None = None) -> Model:
    """Read a model. While it is being replaced, the old or the new model is read, never parts of both.

    Raises
    ------
    ModelError
        If there is no model at `path`, or it cannot be read, or its domain was changed after training.
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


def fingerprint_of_files(files: Iterable[Path], folder: Path, settings: Any = None) -> str:
    """Return a hash of the content of files, their paths relative to `folder`, and `settings`, which are JSON data.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(settings).encode())
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(json.dumps([path.relative_to(folder).as_posix(), len(content)]).encode() + content)
    return digest.hexdigest()


def _fingerprint(folder: Path) -> str:
    """Return a hash of the model in `folder`: of its domain, and of the hashes that its metadata has of all files.

    The domain file itself is hashed, since the texts of templates may be edited in it by hand. The other files are not
    read here: the file with the places of the training turns, above all, is large, and only explanations need it.
    """
    return fingerprint_of_files([folder / METADATA_NAME, folder / DOMAIN_NAME], folder)


def _read_stories(folder: Path) -> str:
    try:
        return (folder / STORIES_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"cannot read {str(folder / STORIES_NAME)!r}: {error}. Train again.") from error


def _identity(folder: Path) -> object:
    """Return values that change when another folder takes this folder's place; None if there is no folder."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _read(folder: Path, action_factory: str | None) -> Model:
    if not folder.is_dir():
        kind = ModelError if folder.exists() else MissingModelError
        raise kind(f"the model {str(folder)!r} {_what_is_wrong(folder)}")
    metadata = PolicyEnsemble.load_metadata(folder)
    if not (folder / DOMAIN_NAME).is_file():
        raise ModelError(f"the model {str(folder)!r} has no {DOMAIN_NAME}. Copy your domain there, or train again.")
    domain = Domain.load(folder / DOMAIN_NAME, action_factory)
    if metadata["fingerprints"].get("domain") != domain.fingerprint():
        raise ModelError(
            f"the domain of the model {str(folder)!r} has changed since it was trained: you MUST retrain the "
            "policies. Only the texts of templates may change without training."
        )
    model = Model(domain, PolicyEnsemble.load(str(folder)), metadata, _read_stories(folder), _fingerprint(folder))
    model.ensemble.fingerprint = model.fingerprint[:SHORT_FINGERPRINT]
    return model


def _what_is_wrong(path: Path) -> str:
    if path.exists():
        return "is a file, not a model directory. Train one, or check the path."
    left = sorted(path.parent.glob(f".{glob.escape(path.name)}.new-*/{glob.escape(path.name)}{OLD}"))
    if left:
        return f"is missing: writing it was interrupted. The one before is {str(left[-1])!r}; move it back."
    return "does not exist. Train one, or check the path."
