"""Reads NLU data from files, folders and texts; what format a text has is found from its content."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from rasa_core.nlu.data import NLUDataError, Source, TrainingData
from rasa_core.nlu.gathering import Gathering, read_text
from rasa_core.nlu.json_format import ROOT, read_json
from rasa_core.nlu.markdown import KINDS, read_markdown, without_comments
from rasa_core.nlu.yaml_format import read_yaml

__all__ = ["SUFFIXES", "NLUDataError", "holds_nlu_data", "list_data_files", "read_training_data", "read_training_text"]

logger = logging.getLogger(__name__)

SUFFIXES: Final = (".md", ".markdown", ".json", ".yml", ".yaml")

_YAML_KEY: Final = re.compile(r"^(nlu|\"nlu\"|'nlu')\s*:", re.MULTILINE)
_SECTION: Final = re.compile(rf"^[ \t]*#+[ \t]*({'|'.join(KINDS)})[ \t]*:", re.MULTILINE)
_ANY_SECTION: Final = re.compile(r"^[ \t]*##[^\n:]+:", re.MULTILINE)
_READERS: Final[Mapping[str, Callable[[str, Gathering], TrainingData]]] = {
    "JSON": read_json,
    "YAML": read_yaml,
    "Markdown": read_markdown,
}
_EXPECTED: Final = (
    "expected Markdown with sections like ## intent:greet, JSON with rasa_nlu_data, or YAML with nlu:, of examples"
)


def read_training_data(path: str | Path) -> TrainingData:
    """Read a file, or all files of a folder and those below it, in the order of their paths.

    In a folder, what is hidden, a README, and files that hold something else (stories, a domain) are left out.

    Raises
    ------
    NLUDataError
        If there is no NLU data, or something in it is wrong; the message begins with file and line.
    """
    path = Path(path)
    if not path.is_dir():
        return _read(read_text(path), Gathering(str(path), path.parent))
    parts = [_read(read_text(file), Gathering(str(file), file.parent)) for file in list_data_files(path)]
    if not parts:
        raise NLUDataError(f"the folder has no files of NLU data; {_EXPECTED}.", Source(str(path)))
    return TrainingData.joined(parts)


def read_training_text(text: str, name: str = "<body>") -> TrainingData:
    """Read a text that did not come from a file; it may name no files.

    Parameters
    ----------
    text
        JSON, Markdown or YAML.
    name
        What errors call it.

    Raises
    ------
    NLUDataError
        As from `read_training_data`.
    """
    return _read(text.removeprefix("\ufeff"), Gathering(name))


def _read(text: str, gathering: Gathering) -> TrainingData:
    kind = _format_of(text)
    if kind is None and text.lstrip()[:1] in ("{", "["):
        kind = "JSON"
    elif kind is None and _ANY_SECTION.search(without_comments(text)):
        kind = "Markdown"
    if kind is None:
        gathering.fail(None, f"this is no NLU data; {_EXPECTED}.")
    return _READERS[kind](text, gathering)


def _format_of(text: str) -> str | None:
    """Return the format of NLU data; None if the text holds none."""
    if text.lstrip()[:1] == "{":
        return "JSON" if f'"{ROOT}"' in text else None
    if _YAML_KEY.search(text):
        return "YAML"
    return "Markdown" if _SECTION.search(without_comments(text)) else None


def list_data_files(folder: Path) -> list[Path]:
    """Return the files of NLU data in a folder and those below it, in the order of their paths."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        if holds_nlu_data(path):
            found.append(path)
        else:
            logger.info("%s: no NLU data, skipped.", path)
    return found


def holds_nlu_data(path: Path) -> bool:
    """Whether a file in a folder is one of NLU data; hidden files and a README never are."""
    if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or path.stem.lower() == "readme":
        return False
    try:
        return _format_of(path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")) is not None
    except OSError:
        return False
