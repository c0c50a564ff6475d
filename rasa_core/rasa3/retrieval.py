"""Responses in Markdown, as Rasa 1 has them for the parts of an intent such as ``faq``.

## opening hours
* faq/ask_hours
- We open at nine.
- From nine to five.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rasa_core.support.places import Place
from rasa_core.support.text_files import read_text

_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_PART: Final = re.compile(r"[^\s{/]+/[^\s{]+")
_NAME: Final = re.compile(r"[^\s{]+(\s*\{.*\})?")
"""What stands behind a dash in a story: an action, or an event with its parameters."""


def holds_responses(text: str) -> bool:
    """Tell whether a text holds what the bot says to parts of intents, which looks like stories."""
    marks = {"*": True, "-": False}
    said = [line for line in map(str.strip, _COMMENT.sub("", text).splitlines()) if line[:1] in marks]
    heard = [line[1:].strip() for line in said if marks[line[0]]]
    if not heard or not all(map(_PART.fullmatch, heard)):
        return False
    # Stories may have such messages, too; what follows them there are names.
    return any(not _NAME.fullmatch(line[1:].strip()) for line in said if not marks[line[0]])


def responses_in(path: Path) -> dict[str, tuple[Place, list[dict[str, str]]]]:
    """Return the responses of a file, ``utter_faq/ask_hours`` and the like, with their places and variants.

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
