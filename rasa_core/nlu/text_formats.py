"""NLU data as people write them: Markdown of Rasa NLU, and YAML of Rasa 3.

Both have messages line by line, with their entities marked in the text:

===================================================  ======================================================
``in [Lisbon](city)``                                the entity ``city``
``in [Lisboa](city:Lisbon)``                         its value, if it is not the text
``in [Lisboa]{"entity": "city", "value": "Lisbon"}`` the same as a JSON object
``[a][{"entity": "b"}, {"entity": "c"}]``            several entities of the same text
===================================================  ======================================================

Other brackets are text. Markdown has sections, whose items begin with ``-``, ``*`` or ``+``:

=========================  ===============================================================================
``## intent:greet``        the messages that follow have this intent
``## synonym:Lisbon``      the texts that follow stand for this value
``## regex:zipcode``       the regular expressions that follow hint at this entity or intent
``## lookup:city``         the texts that follow are such things; a line that is no item names a text file
                           of them, one a line, relative to the Markdown file
``<!-- -->``               a comment, over any number of lines
=========================  ===============================================================================

A heading without a colon is a title; what follows has to wait for the next heading of a kind. In YAML::

    version: "3.1"
    nlu:
    - intent: inform
      examples: |
        - in [Lisbon](city)
    - synonym: Lisbon
      examples: |
        - Lisboa
    - regex: zipcode
      examples: |
        - [0-9]{5}
    - lookup: city
      examples: |
        - Lisbon

A lookup table with ``extract: true`` beside its examples finds its entity wherever one of them stands, without any
marked example. Examples may also be a list of texts, or of mappings with ``text``. Metadata is ignored, and so is
what else stands in the file, such as stories and responses.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, NoReturn

import yaml

from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.training_data import MOST_SHOWN, EntitySpan, TrainingData, TrainingDataBuilder, as_value
from rasa_core.support.strict_json import decode_prefix
from rasa_core.support.text_files import lines_of
from rasa_core.support.yaml_limits import YamlLimitError, check_yaml, explained, merged_pairs

logger = logging.getLogger(__name__)

KINDS: Final = ("intent", "synonym", "regex", "lookup")

_MARKED: Final = re.compile(r"\[([^\[\]]*)\](?=\(|\{|\[\s*\{)")
_MARK_KEYS: Final = ("entity", "value", "role", "group")
_MARK: Final = '[Lisbon](city), [Lisboa](city:Lisbon) or [Lisboa]{"entity": "city", "value": "Lisbon"}'

_ITEM: Final = re.compile(r"[-*+]\s*")
_COMMENT: Final = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_SECTION: Final = "## intent:greet, ## synonym:value, ## regex:name or ## lookup:name"

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ENTRY_KEYS: Final = (*KINDS, "examples", "metadata", "extract")
_ENTRY: Final = "- intent: greet, with examples: | and below it a line like - hello for each"
_NULL: Final = "tag:yaml.org,2002:null"

Fail = Callable[[str], NoReturn]
Mark = tuple[str, str, str, str]
"""Name, value, role and group of an entity."""

# -- messages with marks


def read_annotated(annotated: str, fail: Fail) -> tuple[str, list[EntitySpan]]:
    """Return the plain text of a message and the entities that were marked in it; `fail` gets what is wrong."""
    pieces: list[str] = []
    spans: list[EntitySpan] = []
    position = length = 0
    while (match := _MARKED.search(annotated, position)) is not None:
        pieces += annotated[position : match.start()], match[1]
        length += match.start() - position
        marks, position = _read_marks(annotated, match.end(), fail)
        end = length + len(match[1])
        spans += (EntitySpan(length, end, name, value or match[1], *others) for name, value, *others in marks)
        length = end
    return "".join(pieces) + annotated[position:], spans


def _read_marks(text: str, position: int, fail: Fail) -> tuple[list[Mark], int]:
    """Return the entities that a mark at `position` tells, and where it ends."""
    if text[position] != "(":
        return _read_json_marks(text, position, fail)
    closing = text.find(")", position)
    if closing < 0:
        fail(f"{text[position : position + 40]!r} is not closed; an entity is marked like {_MARK}.")
    name, _, value = text[position + 1 : closing].partition(":")
    if not name.strip():
        fail(f"the mark {text[position : closing + 1]!r} has no name of an entity; expected {_MARK}.")
    return [(name.strip(), value.strip(), "", "")], closing + 1


def _read_json_marks(text: str, position: int, fail: Fail) -> tuple[list[Mark], int]:
    try:
        decoded, end = decode_prefix(text, position)
    except ValueError:
        fail(f"{text[position : position + 40]!r} is no JSON; an entity is marked like {_MARK}.")
    return [_read_json_mark(mark, fail) for mark in (decoded if isinstance(decoded, list) else [decoded])], end


def _read_json_mark(mark: Any, fail: Fail) -> Mark:
    name = mark.get("entity") if isinstance(mark, dict) else None
    if not isinstance(name, str) or not name.strip():
        fail(f"the mark {json.dumps(mark)[:80]} names no entity; expected {_MARK}.")
    for key in mark:
        if key not in _MARK_KEYS:
            fail(f"a mark has no key {key[:80]!r}.{did_you_mean(key, _MARK_KEYS)} Known: {', '.join(_MARK_KEYS)}.")
    value = as_value(mark.get("value"))
    if value is None:
        fail(f"the value of the entity {name[:80]!r} is {json.dumps(mark['value'])[:80]}; expected a text.")
    return name.strip(), value, str(mark.get("role") or ""), str(mark.get("group") or "")


def _add_item(builder: TrainingDataBuilder, kind: str, name: str, item: str) -> None:
    """Add what an item says of the `name` of its section; one that is empty, or a line across, says nothing."""
    if not item.strip("-*_ "):
        return
    if kind == "intent":
        text, entities = read_annotated(item, builder.fail)
        builder.add_example(text, name, [_unquoted(span, builder) for span in entities])
    elif kind == "synonym":
        builder.add_synonym(item, name)
    elif kind == "regex":
        builder.add_regex(name, item)
    else:
        builder.add_lookup(name, [item])


def _unquoted(span: EntitySpan, builder: TrainingDataBuilder) -> EntitySpan:
    """Return an entity without quotation marks around its name."""
    name = span.entity.strip("\"'") or span.entity
    if name != span.entity:
        builder.tell(f"the name of the entity {span.entity[:MOST_SHOWN]!r} is taken without its quotation marks.")
    return replace(span, entity=name)


# -- Markdown


def read_markdown(text: str, builder: TrainingDataBuilder) -> TrainingData:
    """Return the data in a text; raise `NLUDataError` with file and line."""
    reader = _MarkdownReader(builder)
    for number, line in enumerate(lines_of(without_comments(text, builder)), 1):
        if line.strip():
            with builder.each(number):
                reader.read(line.strip())
    return builder.data()


def without_comments(text: str, builder: TrainingDataBuilder | None = None) -> str:
    """Return the text with its comments cut out, but for the ends of lines in them.

    One that is not closed ends with its line, which is told.
    """

    def cut(match: re.Match[str]) -> str:
        if match[1]:
            return "\n" * (len(lines_of(match[0])) - 1)
        if builder is not None:
            with builder.each(len(lines_of(text[: match.start()]))):
                builder.fail("this comment is not closed; write --> where it ends.")
        _, end, rest = match[0].partition("\n")
        return end + rest

    return _COMMENT.sub(cut, text)


class _MarkdownReader:
    """Reads line by line; knows the section in which a line stands."""

    def __init__(self, builder: TrainingDataBuilder) -> None:
        self._builder = builder
        self._kind = ""
        self._name = ""
        self._is_broken = False

    def read(self, line: str) -> None:
        item = _ITEM.match(line)
        if line.startswith("#"):
            self._is_broken = True  # Until it is read: what is below a heading with an error is no error too.
            self._begin(line)
            self._is_broken = False
        elif self._is_broken:
            return
        elif item is None and self._kind == "lookup":
            self._builder.add_lookup_file(self._name, line)
        elif item is None:
            self._builder.fail(f"{line[:MOST_SHOWN]!r} is neither a heading nor an item; write - before an item.")
        elif not self._kind:
            shown = line[item.end() :][:MOST_SHOWN]
            self._builder.fail(f"{shown!r} belongs to no section; expected {_SECTION} before it.")
        else:
            _add_item(self._builder, self._kind, self._name, line[item.end() :])

    def _begin(self, line: str) -> None:
        kind, colon, name = (part.strip() for part in line.lstrip("#").partition(":"))
        kind = kind.lower() if kind.lower() in KINDS else kind
        if colon and kind not in KINDS:
            hint = did_you_mean(kind, KINDS)
            self._builder.fail(f"there are no sections {kind[:MOST_SHOWN]!r}.{hint} Expected {_SECTION}.")
        if colon and not name:
            self._builder.fail(f"the name of the {kind} is missing; expected {_SECTION}.")
        self._kind, self._name = (kind, name) if colon else ("", "")


# -- YAML


def read_yaml(text: str, builder: TrainingDataBuilder) -> TrainingData:
    """Return the data in a text; raise `NLUDataError` with file and line."""
    try:
        check_yaml(text, _Loader, "NLU data")
        root = yaml.compose(text, Loader=_Loader)
    except YamlLimitError as error:
        builder.line = error.line
        builder.fail(error.problem)
    except yaml.MarkedYAMLError as error:
        builder.line = error.problem_mark.line + 1 if error.problem_mark else None
        builder.fail(f"not valid YAML: {explained(error, text)}")
    except UnicodeEncodeError as error:
        builder.line = text.count("\n", 0, error.start) + 1
        builder.fail("half of a surrogate pair, which is no character; remove it.")
    except yaml.YAMLError as error:
        builder.fail(f"not valid YAML: {' '.join(str(error).split())}.")
    _YamlReader(builder, text).read(root)
    return builder.data()


class _YamlReader:
    """Reads the nodes of a document; nothing but the texts in them is used."""

    def __init__(self, builder: TrainingDataBuilder, text: str) -> None:
        self._builder, self._lines = builder, text.split("\n")

    def _fail(self, node: yaml.Node, problem: str) -> NoReturn:
        self._builder.line = _line(node)
        self._builder.fail(problem)

    def read(self, root: yaml.Node | None) -> None:
        """Read the document, as far as it is NLU data."""
        nlu = None if root is None else self._mapping(root, "NLU data").get("nlu")
        if nlu is None:
            self._builder.line = 1
            self._builder.fail(f"the YAML has no key nlu:; expected nlu: and below it {_ENTRY}.")
        for entry in self._sequence(nlu, "nlu:"):
            with self._builder.each(_line(entry)):
                self._read_entry(entry)

    def _read_entry(self, entry: yaml.Node) -> None:
        parts = self._mapping(entry, "an entry of nlu:")
        kinds = [kind for kind in KINDS if kind in parts]
        unknown = {key: did_you_mean(key, _ENTRY_KEYS) for key in parts if key not in _ENTRY_KEYS}
        if len(kinds) != 1:
            hint = "".join(unknown.values())
            self._fail(entry, f"an entry of nlu: has one of the keys {', '.join(KINDS)}.{hint} Expected {_ENTRY}.")
        for key, hint in unknown.items():
            logger.warning("%s: the key %r is ignored.%s", self._builder.place, key[:MOST_SHOWN], hint)
        name = self._scalar(parts[kinds[0]], f"the name of the {kinds[0]}")
        if "examples" not in parts:
            self._fail(entry, f"the {kinds[0]} {name[:MOST_SHOWN]!r} has no examples; expected {_ENTRY}.")
        if kinds[0] == "lookup" and "extract" in parts and self._is_true(parts["extract"]):
            self._builder.extract_by(name)
        for item, line in self._items(parts["examples"]):
            with self._builder.each(line):
                _add_item(self._builder, kinds[0], name, item() if callable(item) else item)

    def _is_true(self, node: yaml.Node) -> bool:
        written = self._scalar(node, "extract:").lower()
        if written not in ("true", "false"):
            self._fail(node, f"extract: of a lookup table is true or false, not {written[:MOST_SHOWN]!r}.")
        return written == "true"

    def _items(self, node: yaml.Node) -> Iterator[tuple[str | Callable[[], str], int]]:
        """Yield the examples of an entry, or what returns one or fails, and their lines."""
        if isinstance(node, yaml.ScalarNode):
            for written, line in self._lines_of(node):
                yield partial(self._item, written), line
            return
        for entry in self._sequence(node, "examples:"):
            yield partial(self._listed, entry), _line(entry)

    def _listed(self, entry: yaml.Node) -> str:
        text: yaml.Node | None = entry
        if isinstance(entry, yaml.MappingNode):
            text = self._mapping(entry, "an example").get("text")
        if not isinstance(text, yaml.ScalarNode):
            self._fail(entry, "an example is a text, or a mapping with text: and perhaps metadata:.")
        return str(text.value).strip().removeprefix("- ")

    def _lines_of(self, node: yaml.ScalarNode) -> Iterator[tuple[str, int]]:
        """Yield the lines of a text, but for empty ones and comments; those of ``>`` as they were written."""
        first = _line(node)
        lines = node.value.split("\n")
        if node.style == ">":
            with self._builder.each(first):
                self._builder.fail("examples: > joins lines into one; write examples: |, as which it is read.")
            lines = self._lines[first : node.end_mark.line + (node.end_mark.column > 0)]
        for number, written in enumerate(lines, 1):
            if written.strip() and not written.lstrip().startswith("#"):
                yield written.strip(), first + number if node.style in ("|", ">") else first

    def _item(self, written: str) -> str:
        """Return the item in a line."""
        if not written.startswith("-"):
            shown = written[:MOST_SHOWN]
            self._builder.fail(f"{shown!r} is no item; write - before each example, and | after examples:.")
        return written[1:].strip()

    def _mapping(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"{what} is a mapping of keys to values; expected {_ENTRY}.")
        found: dict[str, yaml.Node] = {}
        for key, value in merged_pairs(node, self._fail):
            name = self._scalar(key, f"a key of {what}")
            if name in found:
                self._fail(key, f"the key {name[:MOST_SHOWN]!r} stands twice in {what}; join the two.")
            found[name] = value
        return found

    def _sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if _is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, f"{what} is a list; expected {_ENTRY}.")
        return list(node.value)

    def _scalar(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or _is_null(node) or not node.value.strip():
            self._fail(node, f"{what} is a plain name.")
        return str(node.value).strip()


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
