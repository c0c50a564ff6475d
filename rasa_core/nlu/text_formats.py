"""Readers of NLU data in Markdown (Rasa NLU) and in YAML (Rasa 2 and 3).

Both formats have one message a line, with its entities marked in the text; see `rasa_core.support.marked_text`.
Markdown has sections, whose items begin with ``-``, ``*`` or ``+``:

=========================  ===============================================================================
``## intent:greet``        each item is a message of this intent
``## synonym:Lisbon``      each item is a text that stands for this value
``## regex:zipcode``       each item is a regular expression that hints at this entity or intent
``## lookup:city``         each item is an entry of this lookup table; a line that is no item is the path of a
                           text file with one entry a line, relative to the Markdown file
``<!-- -->``               a comment of any number of lines
=========================  ===============================================================================

A heading without a colon is a title, and does not end a section. In YAML, sections are entries of ``nlu:``::

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

A lookup table with ``extract: true`` beside its examples needs no message with a marked entity: each entry in a text is
an entity. Instead of the examples, a lookup table may have the path of a text file. Examples may also be a list of
texts, or of mappings with the key ``text``. Metadata and other keys of the file, such as ``stories``, are ignored.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, NoReturn

import yaml

from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.spelling import INVISIBLE
from rasa_core.nlu.training_data import TrainingData, TrainingDataBuilder
from rasa_core.support.marked_text import MARK, MOST_SHOWN, EntitySpan, read_annotated
from rasa_core.support.text_files import lines_of
from rasa_core.support.yaml_limits import YamlLimitError, check_yaml, error_place, explained, merged_pairs

logger = logging.getLogger(__name__)

KINDS: Final = ("intent", "synonym", "regex", "lookup")

_ITEM: Final = re.compile(r"[-*+]\s*")
_RULE: Final = re.compile(r"([-*_])(\s*\1){2,}")
"""A horizontal rule of Markdown."""
_LEVEL: Final = 2  # Sections have headings of the second level.
_UNSEEN: Final = re.compile(rf"[\s{INVISIBLE}]*")
"""Invisible characters at the beginning of a line, such as a byte order mark where two files were joined."""
_COMMENT: Final = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_SECTION: Final = "## intent:greet, ## synonym:value, ## regex:name or ## lookup:name"

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_ENTRY_KEYS: Final = (*KINDS, "examples", "metadata", "extract")
_ENTRY: Final = "- intent: greet, with examples: | and below it a line like - hello for each"
# YAML 1.1 takes these characters for line ends. Texts that were copied from web pages have them as spaces.
_NO_LINE_ENDS: Final = dict.fromkeys((0x85, 0x2028, 0x2029), " ")
_NULL: Final = "tag:yaml.org,2002:null"


def _add_item(builder: TrainingDataBuilder, kind: str, name: str, item: str) -> None:
    """Add an item of the section with this kind and name; an item without text is left out and reported."""
    if not item.strip("-*_ "):
        builder.tell(f"an item of the {kind} {name[:MOST_SHOWN]!r} has no text, and is left out.", is_harmless=True)
        return
    if kind == "intent":
        text, entities = read_annotated(item, builder.fail, builder.tell)
        builder.add_example(text, name, [_unquoted(span, builder) for span in entities])
    elif kind == "synonym":
        builder.add_synonym(item, name)
    elif kind == "regex":
        builder.add_regex(name, item)
    else:
        builder.add_lookup(name, [item])


def _tell_of_none(builder: TrainingDataBuilder, kind: str, name: str) -> None:
    told = f"the {kind} {name[:MOST_SHOWN]!r} has no examples here, so that it says nothing; add some, or remove it."
    builder.tell(told, is_harmless=True)


def _unquoted(span: EntitySpan, builder: TrainingDataBuilder) -> EntitySpan:
    """Return an entity without quotation marks around its name."""
    name = span.entity.strip("\"'") or span.entity
    if name != span.entity:
        builder.tell(f"the name of the entity {span.entity[:MOST_SHOWN]!r} is taken without its quotation marks.")
    return replace(span, entity=name)


# -- Markdown


def read_markdown(text: str, builder: TrainingDataBuilder) -> TrainingData:
    """Return the data of a text in Markdown; raise `NLUDataError` with file and line if it is invalid."""
    reader = _MarkdownReader(builder)
    for number, line in enumerate(lines_of(without_comments(text, builder)), 1):
        if written := _UNSEEN.sub("", line, 1).rstrip():
            with builder.each(number):
                reader.read(written)
    reader.end_section()
    return builder.data()


def without_comments(text: str, builder: TrainingDataBuilder | None = None) -> str:
    """Return the text without its comments, but with the line ends in them, so that all lines keep their numbers.

    A comment that is not closed ends with its line, and is reported to the builder.
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
    """Reads Markdown line by line, and remembers the section in which the current line stands."""

    def __init__(self, builder: TrainingDataBuilder) -> None:
        self._builder = builder
        self._kind = ""
        self._name = ""
        self._title = ""
        self._is_broken = False
        self._line_if_empty: int | None = None

    def read(self, line: str) -> None:
        """Read the line whose number the builder has as its `line`."""
        item = _ITEM.match(line)
        if line.startswith("#"):
            self._is_broken = True  # If the heading is invalid, its items are skipped, rather than errors, too.
            self._begin(line)
            self._is_broken = False
        elif self._is_broken or _RULE.fullmatch(line):
            return
        else:
            self._line_if_empty = None
            self._read_item(line, item)

    def _read_item(self, line: str, item: re.Match[str] | None) -> None:
        if item is None and self._kind == "lookup":
            self._builder.add_lookup_file(self._name, line)
        elif item is None:
            self._builder.fail(f"{line[:MOST_SHOWN]!r} is neither a heading nor an item; write - before an item.")
        elif not self._kind:
            shown = line[item.end() :][:MOST_SHOWN]
            self._is_broken = True  # One error is enough: the following items belong to no section, either.
            self._builder.fail(f"{shown!r} belongs to no section; expected {_SECTION} before it.")
        else:
            self._tell_title()
            _add_item(self._builder, self._kind, self._name, line[item.end() :])

    def _begin(self, line: str) -> None:
        written = line.lstrip("#")
        is_section = len(line) - len(written) == _LEVEL
        kind, colon, name = (part.strip() for part in written.partition(":"))
        kind = kind.lower() if kind.lower() in KINDS else kind
        hint = did_you_mean(kind, KINDS)
        first = kind.partition(" ")[0]
        if (colon and kind in KINDS) or (not colon and is_section and first in KINDS):
            if not name:
                self._builder.fail(f"the name of the {first} is missing; expected {_SECTION}.")
            place = self._builder.line
            self.end_section()
            self._builder.line = self._line_if_empty = place
            self._kind, self._name, self._title = kind, name, ""
        elif colon and (is_section or hint):
            self._builder.fail(f"there are no sections {kind[:MOST_SHOWN]!r}.{hint} Expected {_SECTION}.")
        elif is_section:
            self._title = written.strip()  # Headings of other levels are ignored like comments.

    def end_section(self) -> None:
        """Report the section that ends here if it has no items."""
        if self._line_if_empty is not None:
            with self._builder.each(self._line_if_empty):
                _tell_of_none(self._builder, self._kind, self._name)
        self._line_if_empty = None

    def _tell_title(self) -> None:
        """Report a title before items, once, since its writer may have meant it as the beginning of a section."""
        title, self._title = self._title, ""
        if title:
            what = f"the heading {title[:MOST_SHOWN]!r} begins no section"
            self._builder.tell(f"{what}: what follows belongs to the {self._kind} {self._name[:MOST_SHOWN]!r}.")


# -- YAML


def read_yaml(text: str, builder: TrainingDataBuilder) -> TrainingData:
    """Return the data of a text in YAML; raise `NLUDataError` with file and line if it is invalid."""
    text = text.translate(_NO_LINE_ENDS)
    try:
        text = check_yaml(text, _Loader, "NLU data")
        root = yaml.compose(text, Loader=_Loader)
    except YamlLimitError as error:
        builder.line = error.line
        builder.fail(error.problem)
    except UnicodeEncodeError as error:
        builder.line = text.count("\n", 0, error.start) + 1
        builder.fail("half of a surrogate pair, which is no character; remove it.")
    except yaml.YAMLError as error:
        place = error_place(error, text)
        builder.line = place and place[0]
        builder.fail(f"not valid YAML: {explained(error, text)}")
    _YamlReader(builder, text).read(root)
    return builder.data()


class _YamlReader:
    """Reads the nodes of a YAML document; every scalar is used as it is written, without YAML's types."""

    def __init__(self, builder: TrainingDataBuilder, text: str) -> None:
        self._builder, self._lines = builder, text.split("\n")

    def _fail(self, node: yaml.Node, problem: str) -> NoReturn:
        self._builder.line = _line(node)
        self._builder.fail(problem)

    def read(self, root: yaml.Node | None) -> None:
        """Read the entries of ``nlu:`` in the document; other keys are ignored."""
        pairs = merged_pairs(root, self._fail) if isinstance(root, yaml.MappingNode) else []
        found = [(key, value) for key, value in pairs if isinstance(key, yaml.ScalarNode) and key.value == "nlu"]
        if not found:
            self._builder.line = 1
            self._builder.fail(f"the YAML has no key nlu:; expected nlu: and below it {_ENTRY}.")
        for number, (key, nlu) in enumerate(found):
            self._builder.line = _line(key)
            if number:
                self._builder.tell("the key nlu: stands once more, and both are read; join the two.")
            for entry in self._sequence(nlu, "nlu:"):
                with self._builder.each(_line(entry)):
                    self._read_entry(entry)

    def _read_entry(self, entry: yaml.Node) -> None:
        parts = self._mapping(entry, "an entry of nlu:")
        kinds = [kind for kind in KINDS if kind in parts]
        unknown = {key: did_you_mean(key, _ENTRY_KEYS) for key in parts if key not in _ENTRY_KEYS}
        if len(kinds) != 1:
            hint = "".join(unknown.values())
            found = f"the keys {' and '.join(kinds)}" if kinds else f"none of the keys {', '.join(KINDS)}"
            self._fail(entry, f"an entry of nlu: has {found}, and needs one of them.{hint} Expected {_ENTRY}.")
        for key, hint in unknown.items():
            logger.warning("%s: the key %r is ignored.%s", self._builder.place, key[:MOST_SHOWN], hint)
        name = self._scalar(parts[kinds[0]], f"the name of the {kinds[0]}")
        if "examples" not in parts:
            self._fail(entry, f"the {kinds[0]} {name[:MOST_SHOWN]!r} has no examples; expected {_ENTRY}.")
        if kinds[0] == "lookup" and "extract" in parts and self._is_true(parts["extract"]):
            self._builder.extract_by(name)
        examples = parts["examples"]
        path = examples.value.strip() if isinstance(examples, yaml.ScalarNode) and examples.style != "|" else ""
        if kinds[0] == "lookup" and path and path[0] != "-" and not _is_null(examples):
            self._builder.add_lookup_file(name, path)
            return
        is_empty = True
        for items, line in self._items(examples):
            is_empty = False
            with self._builder.each(line):
                for item in items():
                    _add_item(self._builder, kinds[0], name, item)
        if is_empty:
            self._builder.line = _line(entry)
            _tell_of_none(self._builder, kinds[0], name)

    def _is_true(self, node: yaml.Node) -> bool:
        written = self._scalar(node, "extract:").lower()
        if written not in ("true", "false"):
            self._fail(node, f"extract: of a lookup table is true or false, not {written[:MOST_SHOWN]!r}.")
        return written == "true"

    def _items(self, node: yaml.Node) -> Iterator[tuple[Callable[[], list[str]], int]]:
        """Yield, for each item of an entry, a function that returns its examples or fails, and the item's line."""
        if isinstance(node, yaml.ScalarNode):
            for written, line in self._lines_of(node):
                yield partial(self._item, written), line
            return
        for entry in self._sequence(node, "examples:"):
            yield partial(self._listed, entry), _line(entry)

    def _listed(self, entry: yaml.Node) -> list[str]:
        """Return the examples in an item of a YAML list: its text, or, if each line of it begins with -, each line."""
        text: yaml.Node | None = entry
        if isinstance(entry, yaml.MappingNode):
            parts = self._mapping(entry, "an example")
            text = parts.get("text")
            for key in sorted(parts.keys() - {"text", "metadata"}) if text is not None else ():
                self._builder.tell(f"the key {key[:MOST_SHOWN]!r} of an example is ignored; entities are like {MARK}.")
        if not isinstance(text, yaml.ScalarNode):
            quote = "a text with a colon in it, or a bracket before it, stands in quotes"
            self._fail(entry, f"an example is a text, or a mapping with text: and perhaps metadata:; {quote}.")
        lines = [line.strip() for line in str(text.value).strip().split("\n")]
        if all(line.startswith("- ") for line in lines):
            return [line.removeprefix("- ") for line in lines]
        return [str(text.value).strip()]

    def _lines_of(self, node: yaml.ScalarNode) -> Iterator[tuple[str, int]]:
        """Yield the lines of a scalar with their numbers, without empty lines and comments; ``>`` is read as ``|``."""
        first = _line(node)
        lines = node.value.split("\n")
        if node.style == ">":
            with self._builder.each(first):
                self._builder.fail("examples: > joins lines into one; write examples: |, as which it is read.")
            lines = self._lines[first : node.end_mark.line + (node.end_mark.column > 0)]
        for number, written in enumerate(lines, 1):
            if written.strip() and not written.lstrip().startswith("#"):
                yield written.strip(), first + number if node.style in ("|", ">") else first

    def _item(self, written: str) -> list[str]:
        """Return the example in a line, which begins with -, as the only item of a list."""
        if not written.startswith("-"):
            shown = written[:MOST_SHOWN]
            self._builder.fail(f"{shown!r} is no item; write - before each example, and | after examples:.")
        return [written[1:].strip()]

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
