"""NLU data in Markdown.

=========================  ===============================================================================
``## intent:greet``        the messages that follow have this intent
``## synonym:Lisbon``      the texts that follow stand for this value
``## regex:zipcode``       the regular expressions that follow hint at this entity or intent
``## lookup:city``         the texts that follow are such things; a line that is no item names a text file
                           of them, one a line, relative to the Markdown file
``- text``                 an item; ``*`` and ``+`` too
``[Lisbon](city)``         an entity in a message; see `rasa_core.nlu.annotations`
``<!-- -->``               a comment, over any number of lines
=========================  ===============================================================================

A heading without a colon is a title; what follows has to wait for the next heading of a kind.
"""

from __future__ import annotations

import re
from typing import Final

from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.annotations import read_annotated
from rasa_core.nlu.data import TrainingData
from rasa_core.nlu.gathering import MOST_SHOWN, Gathering, lines_of

KINDS: Final = ("intent", "synonym", "regex", "lookup")

_ITEM: Final = re.compile(r"[-*+](?:\s+|$)")
_COMMENT: Final = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_EXPECTED: Final = "## intent:greet, ## synonym:value, ## regex:name or ## lookup:name"


def read_markdown(text: str, gathering: Gathering) -> TrainingData:
    """Return the data in a text.

    Raises
    ------
    NLUDataError
        With file and line.
    """
    reader = _Reader(gathering)
    for number, line in enumerate(lines_of(without_comments(text, gathering)), 1):
        if line.strip():
            with gathering.each():
                reader.read(line.strip(), number)
    return gathering.data()


def without_comments(text: str, gathering: Gathering | None = None) -> str:
    """Return the text with its comments cut out, but for the ends of lines in them; fail if one is not closed."""

    def cut(match: re.Match[str]) -> str:
        if not match[1] and gathering is not None:
            line = len(lines_of(text[: match.start()]))
            gathering.fail(line, "this comment is not closed; write --> where it ends.")
        return "\n" * (len(lines_of(match[0])) - 1)

    return _COMMENT.sub(cut, text)


class _Reader:
    """Reads line by line; knows the section in which a line stands."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self._kind = ""
        self._name = ""
        self._is_broken = False

    def read(self, line: str, number: int) -> None:
        item = _ITEM.match(line)
        if line.startswith("#"):
            self._is_broken = True  # Until it is read: what is below a heading with an error is no error too.
            self._begin(line, number)
            self._is_broken = False
        elif self._is_broken:
            return
        elif item is not None:
            self._read_item(line[item.end() :], number)
        elif self._kind == "lookup":
            self._gathering.add_lookup_file(self._name, line, number)
        else:
            self._gathering.fail(
                number, f"{line[:MOST_SHOWN]!r} is neither a heading nor an item; write - before an item."
            )

    def _begin(self, line: str, number: int) -> None:
        kind, colon, name = (part.strip() for part in line.lstrip("#").partition(":"))
        if colon and kind not in KINDS:
            hint = did_you_mean(kind, KINDS)
            self._gathering.fail(number, f"there are no sections {kind[:MOST_SHOWN]!r}.{hint} Expected {_EXPECTED}.")
        if colon and not name:
            self._gathering.fail(number, f"the name of the {kind} is missing; expected {_EXPECTED}.")
        self._kind, self._name = (kind, name) if colon else ("", "")

    def _read_item(self, item: str, number: int) -> None:
        if not self._kind:
            self._gathering.fail(
                number, f"{item[:MOST_SHOWN]!r} belongs to no section; expected {_EXPECTED} before it."
            )
        add_item(self._gathering, self._kind, self._name, item, number)


def add_item(gathering: Gathering, kind: str, name: str, item: str, line: int) -> None:
    """Add what an item of a section says; an empty item says nothing.

    Parameters
    ----------
    kind, name
        Of the section: one of `KINDS`, and what stands after the colon.
    item
        A message with its marks, a text that stands for a value, a pattern, or an entry of a table.
    """
    if not item:
        return
    if kind == "intent":
        text, entities = read_annotated(item, lambda problem: gathering.fail(line, problem))
        gathering.add_example(text, name, entities, line)
    elif kind == "synonym":
        gathering.add_synonym(item, name, line)
    elif kind == "regex":
        gathering.add_regex(name, item, line)
    else:
        gathering.add_lookup(name, [item])
