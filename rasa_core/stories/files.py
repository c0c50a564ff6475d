"""Which files of a folder hold stories, and how their text is read."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from rasa_core.exceptions import StoryParseError
from rasa_core.nlu.reading import holds_nlu_data

logger = logging.getLogger(__name__)

STORY_SUFFIXES: Final = (".md", ".markdown", ".txt")

_NLU_HEADING = re.compile(rb"\A\s*#+ *(intent|synonym|regex|lookup):")


def list_story_files(folder: Path) -> list[Path]:
    """Return the story files in a folder and those below it, in the order of their paths.

    Hidden files and folders, a README, NLU examples, and files with a suffix of something else are left out.

    Raises
    ------
    StoryParseError
        If there are none.
    """
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        if path.suffix.lower() in STORY_SUFFIXES and path.stem.lower() != "readme" and not _holds_nlu_examples(path):
            found.append(path)
        else:
            logger.info("%s: not a story file, skipped.", path)
    if not found:
        raise StoryParseError(f"the folder has no story files; their names end in {', '.join(STORY_SUFFIXES)}.", folder)
    return found


def _holds_nlu_examples(path: Path) -> bool:
    if path.suffix.lower() != ".txt":
        return holds_nlu_data(path)
    try:
        with path.open("rb") as file:
            return _NLU_HEADING.match(file.read(4096).removeprefix(b"\xef\xbb\xbf")) is not None
    except OSError:
        return False


def read_story_text(path: Path) -> list[str]:
    """Return the lines of a file in UTF-8, with or without a byte order mark, with any kind of line ends.

    Raises
    ------
    StoryParseError
        If the file cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoryParseError(f"cannot read the story file: {reason}.", path) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].replace(b"\r\n", b"\n").split(b"\n")
        column = len(before[-1].decode("utf-8", "replace")) + 1
        raise StoryParseError("not UTF-8; save the file in that encoding.", path, len(before), column) from error
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
