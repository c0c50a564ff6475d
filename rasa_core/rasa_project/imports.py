"""The other projects that ``imports:`` of config.yml names, which ``MultiProjectImporter`` makes parts of one bot.

The same key names modules of the user's own (`rasa_core.support.own_code`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rasa_core.exceptions import did_you_mean
from rasa_core.support.own_code import is_module
from rasa_core.support.problems import Note
from rasa_core.support.yaml_parts import Part, YamlError, keys_in

IMPORTER: Final = "MultiProjectImporter"
SETTINGS: Final = "config.yml"
_NO_DATA: Final = (SETTINGS, "endpoints.yml", "credentials.yml")
_NO_FOLDERS: Final = ("tests", "models")


def imported_files(config: Path) -> list[Path]:
    """Return the YAML files of all projects that a config.yml imports, directly or indirectly, each once.

    Paths are relative to the config.yml that names them. A missing project is skipped, as by Rasa;
    `notes_of_imports` reports it.
    """
    return list(dict.fromkeys(_imported(config, set(), []))) if _imports_projects(config) else []


def notes_of_imports(config: Path) -> Iterator[Note]:
    """Yield a note about each project that a config.yml imports, and about each missing one."""
    lost: list[tuple[Path, Part]] = []
    imports = _imports_projects(config)
    if imports:
        for _ in _imported(config, set(), lost):
            pass
    for part in _entries(config, "imports"):
        name = part.written
        if imports and (config.parent / name).exists():
            yield Note(part.place, name, "same", "the same, its files are parts of this bot")
        elif is_module(part.data):
            yield Note(part.place, name, "same", "the same, a module of one's own")
        elif not imports:
            is_there = name and (config.parent / name).exists()
            why = f"importers: does not name {IMPORTER}" if is_there else "it is neither a module nor a project"
            yield Note(part.place, name or "imports", "left out", f"left out, as {why}")
    for folder, part in lost:
        if folder == config.parent and is_module(part.data):
            continue
        hint = did_you_mean(part.written, _like(part.written, folder))
        text = f"left out, as there is no such folder or file beside {part.place.file}.{hint}".rstrip(".")
        yield Note(part.place, part.written or "imports", "left out", text)


def _like(name: str, folder: Path) -> list[str]:
    """Return the existing paths in a folder at the depth of a missing path, in the same notation."""
    parts = Path(name).parts
    up = parts.count("..")
    below = folder.joinpath(*parts[:up])
    deep = "/".join("*" * len(parts[up:]))
    found = below.glob(deep) if deep and not Path(name).is_absolute() else ()
    return sorted(os.path.relpath(one, folder) for one in found if not one.name.startswith("."))


def _imported(config: Path, seen: set[Path], lost: list[tuple[Path, Part]]) -> Iterator[Path]:
    """Yield the files; add to `lost` each entry that names nothing, with the folder of its config.yml."""
    if (known := config.resolve()) in seen:  # Two projects may import each other.
        return
    seen.add(known)
    for part in _entries(config, "imports"):
        path = config.parent / part.written
        if path.is_file():
            yield path
            continue
        if not part.written or not path.is_dir():
            lost.append((config.parent, part))
            continue
        for place, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NO_FOLDERS)
            found = [Path(place, name) for name in sorted(names) if name.endswith((".yml", ".yaml"))]
            yield from (file for file in found if file.name not in _NO_DATA and not file.name.startswith("."))
            yield from _imported(Path(place, SETTINGS), seen, lost)


def _imports_projects(config: Path) -> bool:
    named = [part.keys().get("name", part) if part.is_mapping else part for part in _entries(config, "importers")]
    return any(one.written.rpartition(".")[2] == IMPORTER for one in named)


def _entries(config: Path, key: str) -> list[Part]:
    try:  # The reader of the settings reports their mistakes.
        found = keys_in(config).get(key)
    except YamlError:
        return []
    if found is None or found.is_null:
        return []
    return list(found.entries()) if found.is_list else [found]  # One that is no list is an only entry.
