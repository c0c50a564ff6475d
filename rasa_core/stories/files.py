"""Find the story files in a folder, read them, and add stories to them."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rasa_core.rasa3.retrieval import holds_responses
from rasa_core.support.folders import files_below
from rasa_core.support.places import Place
from rasa_core.support.problems import Problem
from rasa_core.support.text_files import MissingTextFileError, TextFileError, lines_of, read_text

STORY_SUFFIXES: Final = (".md", ".markdown", ".txt")

_ABOUT: Final = ("readme", "license", "changelog", "changes", "contributing")
# A file with another ending counts as stories if it has one; code and data may hold such lines by chance.
_OTHER_SUFFIXES: Final = (
    *(".css", ".csv", ".html", ".ipynb", ".js", ".json", ".jsonl"),
    *(".py", ".sh", ".toml", ".tsv", ".xml", ".yaml", ".yml"),
)
_COMMENT = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_NLU_HEADING = re.compile(r"^[ \t]*#+[ \t]*(intent|synonym|regex|lookup)[ \t]*:", re.MULTILINE)
_STORY = [re.compile(rf"^[ \t]*{mark}", re.MULTILINE) for mark in ("#", "[*>]", "-")]
_DOMAIN = re.compile(r"^(intents|actions|slots|templates|responses)[ \t]*:", re.MULTILINE)
_YAML_STORIES = re.compile(r"^(stories|rules)[ \t]*:", re.MULTILINE)
_SUFFIX_OF_YAML: Final = (".yml", ".yaml")
LEFT_OUT: Final = "left-out"
"""The kind of notice, not a problem, about a file in a story folder that has no stories."""
MISSING: Final = "missing-file"
"""The kind of problem for a file that does not exist."""
NO_YAML: Final = "stories and rules in YAML, as Rasa 2 and 3 have them, are not read; write them in Markdown"


def read_story_files(
    resource: Path | Sequence[str | Path], problems: list[Problem]
) -> Iterator[tuple[Path, str, list[str]]]:
    """Yield path, label and lines of a story file, of several, or of the story files in a folder and below it.

    A label is a name for the file that is the same on every machine. Files that cannot be read are added to `problems`.
    """
    left_out: list[str] = []
    files = story_files(resource, left_out)
    if left_out:
        text = f"left out, as no stories: {', '.join(left_out)}."
        problems.append(Problem("warning", text, Place(str(resource)), LEFT_OUT))
    if not files:
        what = "the folder has" if isinstance(resource, Path) else "the list names"
        text = f"{what} no story files; a story is like: ## name, * greet, - utter_greet."
        problems.append(Problem("error", text, Place(str(resource))))
        return
    # A label is relative to the common folder of the files, so that it contains no folders of one machine.
    top = resource if isinstance(resource, Path) else Path(os.path.commonpath([path.parent for path in files]))
    for path in files:
        try:
            text = read_text(path)
        except TextFileError as error:
            kind = MISSING if isinstance(error, MissingTextFileError) else ""
            problems.append(Problem("error", error.problem, error.place, kind))
            continue
        if path.suffix.lower() in _SUFFIX_OF_YAML and _YAML_STORIES.search(text):
            problems.append(Problem("error", f"{NO_YAML}.", Place(str(path))))
            continue
        if other := _mistaken(path, text):
            problems.append(Problem("error", other, Place(str(path))))
            continue
        yield path, path.name if path == top else path.relative_to(top).as_posix(), lines_of(text)


def _mistaken(path: Path, text: str) -> str:
    """Return an error text if a file that was given as stories is another file of a bot; otherwise an empty text."""
    text = _COMMENT.sub("", text)
    expected = "stories are like ## name, * greet, - utter_greet"
    if _NLU_HEADING.search(text) and not _STORY[1].search(text):
        return f"this is NLU data, and no stories; {expected}."
    if path.suffix.lower() in _SUFFIX_OF_YAML and _DOMAIN.search(text) and not _STORY[1].search(text):
        return f"this is a domain, and no stories; {expected}."
    return ""


def story_files(resource: Path | Sequence[str | Path], left_out: list[str] | None = None) -> list[Path]:
    """Return `resource` itself, or the files of a folder and below it that may have stories, in their order.

    Hidden files, and files with other content, are left out of a folder; `left_out` gets the latter, each with a text
    that says what it is.
    """
    if not isinstance(resource, Path):
        return [Path(path) for path in resource]  # As `glob` gives them, too.
    if not resource.is_dir():
        return [resource]
    found = []
    for path in files_below(resource):
        if not (other := _what_else(path)):
            found.append(path)
        elif left_out is not None:
            left_out.append(f"{path.relative_to(resource)} ({other})")
    return found


def holds_stories(path: Path) -> bool:
    """Tell whether a file has a story in it: a line like ``## name``, a message and an action below it."""
    try:
        return not _what_else(path) and _has_story(_text_of(path) or "")
    except OSError:
        return False


def holds_yaml_stories(path: Path) -> bool:
    """Tell whether a file has stories or rules as Rasa 2 and 3 write them."""
    try:
        return path.suffix.lower() in _SUFFIX_OF_YAML and _YAML_STORIES.search(_text_of(path) or "") is not None
    except OSError:
        return False


def _has_story(text: str) -> bool:
    position: int | None = 0
    for mark in _STORY:
        found = None if position is None else mark.search(text, position)
        position = None if found is None else found.end()
    return position is not None


def _what_else(path: Path) -> str:
    """Return a text that says what a file is, if it is no story file; the reader reports files that it cannot read."""
    suffix = path.suffix.lower()
    # First, since only this text reports a mistake; the other texts say what a folder may contain.
    if holds_yaml_stories(path):
        return NO_YAML
    if path.stem.lower() in _ABOUT:
        return "about the project"
    try:
        text = _text_of(path)
    except OSError:
        return ""
    if suffix in _OTHER_SUFFIXES:
        return f"a {suffix} file"
    if text is None:
        return "not text"
    if _NLU_HEADING.search(text):
        return "NLU data"
    if holds_responses(text):
        return "responses of Rasa 1"
    return "" if suffix in STORY_SUFFIXES or _has_story(text) else "no stories"


def _text_of(path: Path) -> str | None:
    """Return the text of a file without comments; None if it is no text."""
    content = path.read_bytes()
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in content and not is_utf_16:
        return None
    text = content.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")
    return _COMMENT.sub("", text.replace("\r", "\n"))
