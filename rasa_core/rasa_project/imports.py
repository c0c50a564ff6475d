"""The other projects that ``imports:`` of config.yml names, which ``MultiProjectImporter`` makes parts of one bot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rasa_core.support.yaml_parts import Part, YamlError, read_yaml

IMPORTER: Final = "MultiProjectImporter"
SETTINGS: Final = "config.yml"
_NO_DATA: Final = (SETTINGS, "endpoints.yml", "credentials.yml")
_NO_FOLDERS: Final = ("tests", "models")


def imported_files(config: Path) -> list[Path]:
    """Return the YAML files of the projects that a config.yml imports, and of those that theirs import, each once.

    Paths are relative to the config.yml that names them. What is not there is passed over, as by Rasa.
    """
    return list(dict.fromkeys(_imported(config, set()))) if _imports_projects(config) else []


def _imported(config: Path, seen: set[Path]) -> Iterator[Path]:
    if (known := config.resolve()) in seen:  # Two projects may import each other.
        return
    seen.add(known)
    for part in _entries(config, "imports"):
        path = config.parent / part.written
        if path.is_file():
            yield path
            continue
        for place, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _NO_FOLDERS)
            found = [Path(place, name) for name in sorted(names) if name.endswith((".yml", ".yaml"))]
            yield from (file for file in found if file.name not in _NO_DATA and not file.name.startswith("."))
            yield from _imported(Path(place, SETTINGS), seen)


def _imports_projects(config: Path) -> bool:
    named = [part.keys().get("name", part) if part.is_mapping else part for part in _entries(config, "importers")]
    return any(one.written.rpartition(".")[2] == IMPORTER for one in named)


def _entries(config: Path, key: str) -> list[Part]:
    try:  # Whoever reads the settings tells what is wrong with them.
        root = read_yaml(config) if config.is_file() else None
        keys = {} if root is None else root.keys()
    except YamlError:
        return []
    return list(keys[key].entries()) if key in keys else []
