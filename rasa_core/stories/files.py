"""Files of stories: which of a folder hold some, how they are read, and how stories are added to one."""

from __future__ import annotations

import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rasa_core.exceptions import StoryParseError
from rasa_core.support.places import Place
from rasa_core.support.problems import Problem
from rasa_core.support.text_files import TextFileError, decoded, read_lines

logger = logging.getLogger(__name__)

STORY_SUFFIXES: Final = (".md", ".markdown", ".txt")

_COMMENT = re.compile(rb"<!--.*?(-->|\Z)", re.DOTALL)
_NLU_HEADING = re.compile(rb"^[ \t]*#+[ \t]*(intent|synonym|regex|lookup)[ \t]*:", re.MULTILINE)


def read_story_files(resource: Path, problems: list[Problem]) -> Iterator[tuple[Path, str, list[str]]]:
    """Yield the lines of a story file, or of those in a folder and the folders below it, in the order of their paths.

    Hidden files and folders, a README, NLU examples, and files with a suffix of something else are left out.

    Parameters
    ----------
    problems
        Takes what cannot be read.

    Yields
    ------
    tuple
        Path; a label that tells the file from others and is the same on every machine; and lines.
    """
    is_folder = resource.is_dir()
    files = list(_story_files_in(resource)) if is_folder else [resource]
    if not files:
        text = f"the folder has no story files; their names end in {', '.join(STORY_SUFFIXES)}."
        problems.append(Problem("error", text, Place(str(resource))))
    for path in files:
        try:
            lines = read_lines(path)
        except TextFileError as error:
            problems.append(Problem("error", error.problem, error.place))
        else:
            yield path, path.relative_to(resource).as_posix() if is_folder else path.name, lines


def _story_files_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts):
        if any(part.startswith(".") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        if path.suffix.lower() in STORY_SUFFIXES and path.stem.lower() != "readme" and not _holds_nlu_examples(path):
            yield path
        else:
            logger.info("%s: not a story file, skipped.", path)


def _holds_nlu_examples(path: Path) -> bool:
    """Tell whether a file has a heading of NLU data; one that cannot be read is left to the reader to tell of."""
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError:
        return False
    return _NLU_HEADING.search(_COMMENT.sub(b"", content)) is not None


def append_stories(path: str | Path, text: str) -> None:
    """Add `text`, whole stories, to the end of a file, which is made if it does not exist.

    The file is replaced by a longer one in one step, so that a crash or a full disk leaves it as it was.

    Raises
    ------
    OSError
        If the file cannot be read or written.
    StoryParseError
        If it is there, but is not in UTF-8.
    """
    target = Path(os.path.realpath(Path(path).expanduser()))
    if target.exists() and not target.is_file():
        raise OSError("it is not a file")
    before = target.read_bytes() if target.exists() else b""
    try:
        decoded(before, str(target))
    except TextFileError as error:
        raise StoryParseError(error.problem, error.place.file, error.place.line, error.place.column) from error
    gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
    workpiece = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with workpiece.open("xb") as file:
            file.write(before + gap + text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        if before:
            shutil.copymode(target, workpiece)
        workpiece.replace(target)
    finally:
        workpiece.unlink(missing_ok=True)
