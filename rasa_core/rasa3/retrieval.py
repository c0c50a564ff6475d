"""Retrieval intents, such as ``faq`` with its parts, and their responses in Markdown, as in Rasa 1.

## opening hours
* faq/ask_hours
- We open at nine.
- From nine to five.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from rasa_core.support.places import Place
from rasa_core.support.text_files import TextFileError, read_text
from rasa_core.support.yaml_parts import YamlError, yaml_part

_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_PART: Final = re.compile(r"[^\s{/]+/[^\s{]+")
_NAME: Final = re.compile(r"[^\s{]+(\s*\{.*\})?")
"""The text after a dash in a story: an action, or an event with its parameters."""
_MARKDOWN: Final = ".md"
_HEADING: Final = re.compile(r"^##[ \t]*intent:[ \t]*([^\s/]+)/", re.MULTILINE)
_ENTRY: Final = re.compile(r"intent:[ \t]*[\"']?[^\s/\"'#]+/")
"""A retrieval intent in YAML; most files have none, so this search saves parsing them."""


def asked_in_parts(files: Iterable[Path]) -> dict[str, Place]:
    """Return the retrieval intents in NLU data, such as ``faq`` of ``faq/ask_hours``, each with its first place."""
    found: dict[str, Place] = {}
    for path in files:
        with suppress(TextFileError, YamlError):  # Whoever reads the examples tells of it.
            text = read_text(path)
            is_markdown = path.suffix.lower() == _MARKDOWN
            for name, place in _headings_in(text, path) if is_markdown else _intents_in(text, path):
                found.setdefault(name, place)
    return found


def _headings_in(text: str, path: Path) -> Iterator[tuple[str, Place]]:
    for match in _HEADING.finditer(text):
        yield match[1], Place(str(path), text.count("\n", 0, match.start()) + 1)


def _intents_in(text: str, path: Path) -> Iterator[tuple[str, Place]]:
    root = yaml_part(text, str(path)) if _ENTRY.search(text) else None
    keys = {} if root is None or not root.is_mapping else root.keys()
    for entry in keys["nlu"].entries() if "nlu" in keys else ():
        named = entry.keys().get("intent")
        base, slash, _ = ("", "", "") if named is None else named.written.partition("/")
        if slash and base.strip():
            yield base.strip(), entry.place


def holds_responses(text: str) -> bool:
    """Tell whether a text has responses for parts of retrieval intents, which look like stories."""
    marks = {"*": True, "-": False}
    said = [line for line in map(str.strip, _COMMENT.sub("", text).splitlines()) if line[:1] in marks]
    heard = [line[1:].strip() for line in said if marks[line[0]]]
    if not heard or not all(map(_PART.fullmatch, heard)):
        return False
    # Stories may have such messages, too; what follows them there are names.
    return any(not _NAME.fullmatch(line[1:].strip()) for line in said if not marks[line[0]])


def responses_in(path: Path) -> dict[str, tuple[Place, list[dict[str, str]]]]:
    """Return the responses of a file, such as ``utter_faq/ask_hours``, with their places and variants.

    Raises
    ------
    TextFileError
        If the file is no text.
    """
    found: dict[str, tuple[Place, list[dict[str, str]]]] = {}
    name = ""
    for number, line in _lines(read_text(path)):
        if line.startswith("*"):
            name = f"utter_{line[1:].strip()}"
            found.setdefault(name, (Place(str(path), number), []))
        elif line.startswith("-") and name and (text := line[1:].strip()):
            found[name][1].append({"text": text.replace("\\n", "\n")})
    return {name: one for name, one in found.items() if one[1]}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # A comment keeps its line breaks, so that the numbers of lines stay.
    plain = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    return ((number, line.strip()) for number, line in enumerate(plain.split("\n"), 1))
