"""Saving a corrected conversation in the project's files: the proposal, the check, and the edits of the files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast

from rasa_core.checks import Finding
from rasa_core.domain import Domain
from rasa_core.events import Event
from rasa_core.exceptions import ModelError, RasaCoreError
from rasa_core.nlu.edits import with_example
from rasa_core.rasa_project.files import RasaFiles
from rasa_core.server.requests import HttpError, without_folders
from rasa_core.stories.edits import Kind, annotated, is_yaml, titles_in, with_story
from rasa_core.support.folders import copy_folder
from rasa_core.support.text_edits import Edit, EditError, content_of
from rasa_core.teaching.corrections import corrected_messages, is_alone, latest_turn, story_of
from rasa_core.trackers import DialogueStateTracker

LONGEST_TITLE: Final = 200

_MADE_BY_TOOLS: Final = ("__pycache__", "node_modules")
_ENVIRONMENT: Final = ("pyvenv.cfg", "conda-meta")
_CONVERSATIONS: Final = re.compile(r"\.db(-\w+)*$")

P = TypeVar("P")
Check = Callable[[Path], list[Finding]]


class BotFiles(Protocol):
    """The part of `rasa_core.project.Project` that gives the files of a bot."""

    @property
    def folder(self) -> Path: ...  # noqa: D102
    @property
    def rasa(self) -> RasaFiles | None: ...  # noqa: D102
    @property
    def story_files(self) -> list[Path]: ...  # noqa: D102
    @property
    def nlu_files(self) -> list[Path]: ...  # noqa: D102


def there(folder: Path | None, do: str) -> Path:
    """Return the folder of the project; raise `HttpError` 409 if the server has none, `do` being what it is for."""
    if folder is None:
        raise HttpError(409, f"this server has a model and no project to {do}; serve the folder of a bot.")
    return folder


def project_in(folder: Path | None, do: str, open_project: Callable[[Path], P]) -> P:
    """Return the project as its files are now; raise `HttpError` 409 if there is none, or it cannot be read."""
    try:
        return open_project(there(folder, do))
    except ModelError as error:
        raise HttpError(409, f"the project cannot be read now: {without_folders(str(error), folder)}") from error


def copy_project(project: Path, to: Path) -> None:
    """Copy the files that a bot is made from, for a check or a training.

    Models, conversations, hidden files, virtual environments and caches of tools are left out, since they are large,
    private, or of no use. Any other folder is copied.
    """

    def left_out(folder: str, names: list[str]) -> set[str]:
        here = Path(folder)
        return {name for name in names if _is_left_out(here / name, here == project)}

    copy_folder(project, to, ignore=left_out)


def _is_left_out(path: Path, is_at_top: bool) -> bool:
    name = path.name
    if not path.is_dir():
        return name.startswith(".") or _CONVERSATIONS.search(name) is not None
    made = name.startswith(".") or name in _MADE_BY_TOOLS or (is_at_top and name == "models")
    return made or any((path / mark).exists() for mark in _ENVIRONMENT)


def proposal(project: BotFiles, tracker: DialogueStateTracker, domain: Domain) -> dict[str, Any]:
    """Return the kinds and files in which a conversation may be saved."""
    events = story_of(tracker, domain)
    turn = latest_turn(events)
    stories = _files_with(project, b"stories:")
    # A turn may become a rule if all stories answer its intent in the same way, since a rule applies everywhere.
    fits = bool(events) and project.rasa is not None and is_alone(turn, _stories_of(project))
    kinds = ["story", *(["rule"] if project.rasa is not None else []), "test"] if events else []
    messages = corrected_messages(tracker)
    return {
        "kinds": [*kinds, *(["nlu"] if messages else [])],
        "proposed": [*(["rule" if fits else "story"] if events else []), *(["nlu"] if messages else [])],
        "files": {
            **{"story": stories, "rule": _files_with(project, b"rules:") or ["data/rules.yml"]},
            **{"test": [test_file_of(project)], "nlu": _nlu_names(project)},
        },
        "title": _title(turn or events),
        "stories": {_name(project, path): titles_in(content_of(path), path.name) for path in project.story_files},
    }


def _stories_of(project: BotFiles) -> Iterable[Sequence[Event]]:
    """Yield the stories of a Rasa 3 project; none if they cannot be read."""
    if project.rasa is None:
        return
    try:
        read = project.rasa.read_stories()
    except RasaCoreError:
        return
    yield from ([event for step in steps for event in step.events] for steps in read.steps)


def _title(events: Sequence[Event]) -> str:
    """Return a name for a story, made from its intents and actions."""
    names = [
        getattr(event, "action_name", None) or getattr(event, "intent", {}).get("name")
        for event in events[:4]
        if event.type_name in ("user", "action")
    ]
    return ", then ".join(name for name in names if name)[:80] or "corrected"


def _name(project: BotFiles, path: Path) -> str:
    return path.relative_to(project.folder).as_posix()


def _files_with(project: BotFiles, section: bytes) -> list[str]:
    """Return the story files; the files with a given section of YAML come first."""
    files = sorted(project.story_files, key=lambda path: section not in content_of(path))
    return [_name(project, path) for path in files]


def _nlu_files(project: BotFiles) -> list[Path]:
    return project.nlu_files if project.rasa is None else project.rasa.nlu_files


def _nlu_names(project: BotFiles) -> list[str]:
    names = [_name(project, path) for path in _nlu_files(project)]
    return names or ["nlu.md" if project.rasa is None else "data/nlu.yml"]


def test_file_of(project: BotFiles) -> str:
    """Return the name of the file with the tests of a project."""
    return "test_stories.md" if project.rasa is None else "tests/test_stories.yml"


def edits_for(
    project: BotFiles, tracker: DialogueStateTracker, domain: Domain, wanted: Sequence[dict[str, Any]]
) -> list[Edit]:
    """Return the edits of files that save a conversation; several changes in one file are one edit.

    Parameters
    ----------
    wanted
        For each kind: ``{"as": "story", "file": ..., "title": ..., "replace": ...}``. The file must be one that
        `proposal` lists; all keys but ``"as"`` are optional.

    Raises
    ------
    EditError
        If there is nothing to save, or the conversation cannot be saved in this way.
    """
    offered = proposal(project, tracker, domain)
    events = story_of(tracker, domain)
    contents: dict[str, tuple[bytes, bytes]] = {}
    for one in wanted:
        kind = one.get("as")
        if kind not in offered["kinds"]:
            known = ", ".join(offered["kinds"]) or "nothing yet: let the bot answer first"
            raise EditError(f"this conversation cannot be saved as {kind!r:.40}; it can be as: {known}.")
        files = offered["files"][kind]
        name = one.get("file") or files[0]
        if name not in files:  # Nothing outside the project is written, whatever a request says.
            raise EditError(f"{name!r:.200} is none of the files for this: {', '.join(files)}.")
        before, now = contents.get(name) or ((content_of(project.folder / name),) * 2)
        title = str(one.get("title") or offered["title"])
        if len(title) > LONGEST_TITLE:
            raise EditError(f"the name of a story has at most {LONGEST_TITLE} characters here, not {len(title)}.")
        if kind == "nlu":
            now = _with_examples(now, name, tracker)
        else:
            part = latest_turn(events) if kind == "rule" else events
            now = with_story(now, name, title, part, cast(Kind, kind), one.get("replace"))
        contents[name] = before, now  # By file, so that a story and a rule in one file become one edit.
    changed = [(name, before, now) for name, (before, now) in contents.items() if before != now]
    if not changed:
        raise EditError("there is nothing to save: the files have all of it already.")
    return [Edit(project.folder / name, before, now) for name, before, now in changed]


def _with_examples(content: bytes, name: str, tracker: DialogueStateTracker) -> bytes:
    for message in corrected_messages(tracker):
        text = annotated(message.text or "", message.entities, as_json=is_yaml(name))
        content = with_example(content, name, str(message.intent.get("name")), text)
    return content


# -- findings of the check


def new_findings(project: BotFiles, edits: Sequence[Edit], findings: Check) -> list[Finding]:
    """Return the findings that the edits cause, by a check of the project without and with them; nothing is written."""
    # Findings that were there before must not keep anybody from saving a correct story.
    before = {_known_by(found) for found in findings(project.folder)}
    with tempfile.TemporaryDirectory(prefix="rasa_core-check-") as folder:
        copied = Path(folder) / project.folder.resolve().name
        copy_project(project.folder, copied)
        for edit in edits:
            target = copied / edit.path.relative_to(project.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(edit.after)
        after = findings(copied)
        return [_below(found, copied) for found in after if _known_by(found) not in before]


def _known_by(found: Finding) -> tuple[object, ...]:
    """Return the identity of a finding, which does not depend on line numbers."""
    return found.kind, found.severity, len(found.places), tuple(place.name for place in found.places)


def _below(found: Finding, folder: Path) -> Finding:
    """Return a finding with paths relative to the project."""
    prefix = f"{folder}/"
    places = tuple(
        replace(place, file=place.file.removeprefix(prefix)) if place.file else place for place in found.places
    )
    return replace(found, places=places, message=found.message.replace(prefix, ""))
