"""Uploaded models: a model is unpacked within limits, and checked before it is served.

Trust: whoever may upload a model decides what the bot does, and nothing else. The archive may only contain files of
known names in known folders; links and code are refused. The unpacked size is limited in proportion to the size of the
upload, and is checked before unpacking, so that a small request causes little work. The limits cover the files of the
archive, the arrays in them, which are compressed a second time, and the aliases in YAML
(`rasa_core.support.yaml_limits`). Only classes that this process has already imported are used
(`rasa_core.slots.without_imports`), so that no name in a model causes an import. Finally, the model has to make
predictions.
"""

from __future__ import annotations

import gc
import json
import math
import shutil
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, UserUttered
from rasa_core.exceptions import ModelError
from rasa_core.model_folder import DOMAIN_NAME, STORIES_NAME
from rasa_core.policies.ensemble import METADATA_NAME, PolicyEnsemble
from rasa_core.policies.policy import Policy
from rasa_core.server.requests import HttpError
from rasa_core.support.folders import is_of_this_machine
from rasa_core.support.stored_models import check_list, size_of_arrays
from rasa_core.trackers import DialogueStateTracker

MAX_ARCHIVE = 256 * 1024 * 1024
MAX_UNPACKED = 1024 * 1024 * 1024
MAX_FILES = 1000
MAX_TEXT = 32 * 1024 * 1024
"""Bytes of all JSON and stories together. Decoded, they take ten times as much memory, and while one file is decoded,
which takes half a second for this size, no other thread of this process runs."""
MAX_DOMAIN = 1024 * 1024
MAX_METADATA = 1024 * 1024
MAX_RATIO: Final = 20
"""How many times larger than the upload the unpacked model may be, beyond `LEAST_TEXT` and `LEAST_ARRAYS`; trained
models are 3 to 10 times as large."""
LEAST_TEXT: Final = 4 * 1024 * 1024
LEAST_ARRAYS: Final = 64 * 1024 * 1024
MAX_HISTORY: Final = 10_000
"""The largest number of states that each conversation has to keep for its next turn."""
MAX_POLICIES: Final = 100
MAX_REMEMBERED: Final = 20_000_000
"""The largest number of states in all suffixes of the histories in a memoization policy.

A history of 4 states has suffixes of 4, 3, 2 and 1 states, together 10."""

SWITCH_INTERVAL: Final = 0.0005
"""Python's thread switch interval while a model is read, in seconds."""

_BAD_ZIP: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
_OF_A_MODEL: Final = (DOMAIN_NAME, STORIES_NAME, METADATA_NAME)
_OF_A_POLICY: Final = frozenset(
    {
        *("memorized_turns.json", "ngrams.json", "keras_policy.json", "fallback_policy.json", "featurizer.json"),
        *("rules.json", "policy.json", "weights.npz", "training_turns.npz"),
    }
)
"""The files that the policies of this package write."""
_TURNS: Final = "memorized_turns.json"


@contextmanager
def others_first() -> Iterator[None]:
    """Shorten the thread switch interval and stop garbage collection while a block reads a model. Not reentrant.

    A request in another thread releases the interpreter lock several times, and waits for up to one interval each time
    to get it back. Garbage collection would scan the many new objects again and again, which takes four times as long
    as reading them, and finds no cycles.
    """
    interval, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if collects:
            gc.enable()


def unpack(archive: IO[bytes], directory: Path) -> None:
    """Unpack the zip file of a model; raise `HttpError` 400 or 413 if the archive cannot be one of a model."""
    try:
        check_list(archive, MAX_FILES)
        with zipfile.ZipFile(archive) as zipped:
            members = [member for member in zipped.infolist() if not member.is_dir()]
            if len(members) > MAX_FILES:
                raise HttpError(400, f"the zip file holds {len(members)} files; a model has at most {MAX_FILES}.")
            names = list(_below_root([_safe_name(member) for member in members]))
            _check_sizes(dict(zip(names, members, strict=True)), archive.seek(0, 2))
            for member, name in zip(members, names, strict=True):
                target = directory / name
                target.parent.mkdir(parents=True, exist_ok=True)
                # Mode "x", since a second file of the same name would replace the first, whose size was checked.
                with zipped.open(member) as source, target.open("xb") as written:
                    shutil.copyfileobj(source, written)
    except _BAD_ZIP as error:
        if isinstance(error, OSError) and is_of_this_machine(error):  # Such as a full disk; not the client's mistake.
            raise
        problem = "two files have one name" if isinstance(error, OSError) else error
        raise HttpError(400, f"the uploaded file is not a sound zip file: {problem}") from error


def _check_sizes(members: Mapping[PurePosixPath, zipfile.ZipInfo], sent: int) -> None:
    """Raise `HttpError` if the files claim to unpack to more than a model of this size; reading stops at that claim."""
    if sum(member.file_size for member in members.values()) > MAX_UNPACKED:
        raise HttpError(413, f"the zip file unpacks to more than {MAX_UNPACKED} bytes.")
    texts = 0
    for name, member in members.items():
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # Others may need much memory.
            raise HttpError(400, f"{str(name)[:80]!r} is packed in a way that is not read here; use plain zip.")
        most = {DOMAIN_NAME: MAX_DOMAIN, METADATA_NAME: MAX_METADATA}.get(str(name), MAX_UNPACKED)
        if member.file_size > most:
            raise HttpError(400, f"{str(name)!r} has {member.file_size} bytes; at most {most} are read.")
        texts += 0 if name.suffix == ".npz" else member.file_size
    most = min(MAX_TEXT, LEAST_TEXT + MAX_RATIO * sent)
    if texts > most:
        raise HttpError(400, f"it has {texts} bytes of text; of a zip file of {sent} bytes, at most {most} are read.")


def _safe_name(member: zipfile.ZipInfo) -> PurePosixPath:
    """Return the path of a member below the directory that it is unpacked to."""
    name = PurePosixPath(member.filename)
    outside = name.is_absolute() or ".." in name.parts or not name.parts
    kind = stat.S_IFMT(member.external_attr >> 16)  # The file type on Unix; 0 if it was zipped on another system.
    if outside or "\\" in member.filename or ":" in member.filename or kind not in (0, stat.S_IFREG):
        raise HttpError(400, f"the zip file holds {member.filename[:80]!r}, which is a link or leads outside.")
    if len(name.parts) > 3:
        raise HttpError(400, f"the zip file holds {member.filename[:80]!r}; no file of a model is so deep in folders.")
    return name


def _below_root(names: list[PurePosixPath]) -> Iterable[PurePosixPath]:
    """Return the names without their common top folder, if they have one."""
    if len({name.parts[0] for name in names}) == 1 and all(len(name.parts) > 1 for name in names):
        return [PurePosixPath(*name.parts[1:]) for name in names]
    return names


def check_files(directory: Path, sent: int) -> None:
    """Raise `ModelError` if a folder has files that no model has, or files that would need too much memory.

    Parameters
    ----------
    sent
        Size of the uploaded archive, in bytes.
    """
    if not (directory / METADATA_NAME).is_file():
        return  # Not a model, or a model of 0.9; loading it raises the fitting error.
    _check_folders([described.get("folder") for described in _described(directory)])
    known = _files_of_policies(directory)
    arrays = remembered = 0
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = file.relative_to(directory)
        if len(name.parts) == 1:
            is_known = name.name in _OF_A_MODEL
        else:
            allowed = known.get(str(name.parent), frozenset())
            is_known = allowed is None or name.name in allowed
        if not is_known:
            raise ModelError(f"{str(name)[:80]!r} is no file of a model. Zip what was trained, and nothing else.")
        if file.suffix == ".npz":
            arrays += _claimed(file, name)
        if name.name == _TURNS:
            remembered += _remembered(file)
    if remembered > MAX_REMEMBERED:
        problem = f"the endings of what it remembers have {remembered} states; at most {MAX_REMEMBERED} are kept."
        raise ModelError(f"{problem} Give the memory a smaller max_history.")
    most = min(MAX_UNPACKED, LEAST_ARRAYS + MAX_RATIO * sent)
    if arrays > most:
        raise ModelError(f"it has {arrays} bytes of arrays; of a zip file of {sent} bytes, at most {most} are read.")


def _check_folders(folders: Sequence[Any]) -> None:
    """Raise `ModelError` for too many policies, or for a folder that several policies share."""
    if len(folders) > MAX_POLICIES:
        raise ModelError(f"it has {len(folders)} policies, each of which is asked; at most {MAX_POLICIES} are.")
    if any(folders.count(folder) > 1 for folder in folders):
        raise ModelError("two policies have one folder. Each policy has a folder of its own; train the model again.")


def _remembered(file: Path) -> int:
    """Return the number of states in all suffixes of the histories in a file of a memoization policy."""
    try:
        content = json.loads(file.read_bytes())
        lengths = [len(key) for key in (*(key for key, _ in content["turns"]), *content["ambiguous"])]
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0  # Loading the policy raises the fitting error.
    return sum(length * (length - 1) // 2 for length in lengths)


def _claimed(file: Path, name: Path) -> int:
    try:
        with file.open("rb") as content:
            return size_of_arrays(content)
    except _BAD_ZIP as error:
        raise ModelError(f"the arrays in {str(name)!r} are damaged: {error}.") from error


def _files_of_policies(directory: Path) -> dict[str, frozenset[str] | None]:
    """Return the allowed files of each policy's folder; None for a custom policy, which may have any files."""
    found: dict[str, frozenset[str] | None] = {}
    for described in _described(directory):
        folder, name = described.get("folder"), described.get("class")
        kind = Policy.registry.get(name) if isinstance(name, str) else None
        if isinstance(folder, str):
            # A class that this process has not imported is refused when the model is loaded.
            is_own = kind is not None and not kind.__module__.startswith("rasa_core.")
            found[folder] = None if is_own else _OF_A_POLICY
    return found


def _described(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the entry of each policy in the metadata; invalid entries are left to the code that loads the model."""
    try:
        policies = json.loads((directory / METADATA_NAME).read_bytes())["policies"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return
    if isinstance(policies, list):
        yield from (described for described in policies if isinstance(described, dict))


def check_predictions(ensemble: PolicyEnsemble, domain: Domain) -> None:
    """Raise `ModelError` unless each policy of a model scores the actions of its domain."""
    if not ensemble.policies:
        raise ModelError("it has no policies, and cannot predict. Train it with at least one.")
    if ensemble.window > MAX_HISTORY:
        raise ModelError(f"a policy looks at {ensemble.window} states; at most {MAX_HISTORY} are kept.")
    # The arrays of a policy may have the wrong size for the domain, which only a prediction shows.
    for tracker in _beginnings(domain):
        for policy in ensemble.policies:
            scores = [float(score) for score in policy.predict_action_probabilities(tracker, domain)]
            if len(scores) != domain.num_actions or not all(map(math.isfinite, scores)):
                raise ModelError(f"{type(policy).__name__} gives no score for each action. Train the model again.")
        ensemble.predict(tracker, domain)


def _beginnings(domain: Domain) -> Iterator[DialogueStateTracker]:
    """Yield an empty conversation, and conversations with one message."""
    yield DialogueStateTracker.from_events("", [], domain)
    for confidence in (0.0, 1.0):  # With 0.0 a fallback policy decides, with 1.0 a trained policy.
        said = UserUttered("", {"name": next(iter(domain.intents), None), "confidence": confidence})
        yield DialogueStateTracker.from_events("", [ActionExecuted(ACTION_LISTEN_NAME), said], domain)
