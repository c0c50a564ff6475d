"""NLU data in YAML, as Rasa 3 has it.

::

    version: "3.1"
    nlu:
    - intent: inform
      examples: |
        - in [Lisbon](city)
        - in [Lisboa]{"entity": "city", "value": "Lisbon"}
    - synonym: Lisbon
      examples: |
        - Lisboa
    - regex: zipcode
      examples: |
        - [0-9]{5}
    - lookup: city
      examples: |
        - Lisbon
        - Porto

Examples may also be a list of texts, or of mappings with ``text``. Metadata is ignored, and so is what else
stands in the file, such as stories and responses.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import yaml

from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.data import TrainingData
from rasa_core.nlu.gathering import MOST_SHOWN, Gathering
from rasa_core.nlu.markdown import KINDS, add_item

logger = logging.getLogger(__name__)

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH: Final = 50
_KEYS: Final = (*KINDS, "examples", "metadata")
_EXPECTED: Final = "- intent: greet, with examples: | and below it a line like - hello for each"
_NULL: Final = "tag:yaml.org,2002:null"


def read_yaml(text: str, gathering: Gathering) -> TrainingData:
    """Return the data in a text.

    Raises
    ------
    NLUDataError
        With file and line.
    """
    try:
        _check_depth(text, gathering)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        gathering.fail(line, f"not valid YAML: {error.problem}.")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        gathering.fail(line, "half of a surrogate pair, which is no character; remove it.")
    except yaml.YAMLError as error:
        gathering.fail(None, f"not valid YAML: {' '.join(str(error).split())}.")
    _Reader(gathering).read(root)
    return gathering.data()


def _check_depth(text: str, gathering: Gathering) -> None:
    """Refuse deep nesting, with which the YAML library overflows the stack of the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            line = getattr(event.start_mark, "line", 0) + 1
            gathering.fail(line, f"nested more than {_MAX_DEPTH} deep, as no NLU data is.")


class _Reader:
    """Reads the nodes of a document; nothing but the texts in them is used."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering

    def fail(self, node: yaml.Node, problem: str) -> NoReturn:
        self._gathering.fail(_line(node), problem)

    def read(self, root: yaml.Node | None) -> None:
        """Read the document, as far as it is NLU data."""
        nlu = None if root is None else self._mapping(root, "NLU data").get("nlu")
        if nlu is None:
            self._gathering.fail(1, f"the YAML has no key nlu:; expected nlu: and below it {_EXPECTED}.")
        for entry in self._sequence(nlu, "nlu:"):
            with self._gathering.each():
                self._read_entry(entry)

    def _read_entry(self, entry: yaml.Node) -> None:
        parts = self._mapping(entry, "an entry of nlu:")
        kinds = [kind for kind in KINDS if kind in parts]
        unknown = [key for key in parts if key not in _KEYS]
        hint = "".join(did_you_mean(key, _KEYS) for key in unknown)
        if len(kinds) != 1:
            self.fail(entry, f"an entry of nlu: has one of the keys {', '.join(KINDS)}.{hint} Expected {_EXPECTED}.")
        for key in unknown:
            where = f"{self._gathering.name}:{_line(entry)}"
            logger.warning("%s: the key %r is ignored.%s", where, key[:MOST_SHOWN], did_you_mean(key, _KEYS))
        name = self._scalar(parts[kinds[0]], f"the name of the {kinds[0]}")
        if "examples" not in parts:
            self.fail(entry, f"the {kinds[0]} {name[:MOST_SHOWN]!r} has no examples; expected {_EXPECTED}.")
        for item, line in self._items(parts["examples"]):
            with self._gathering.each():
                add_item(self._gathering, kinds[0], name, item, line)

    def _items(self, node: yaml.Node) -> Iterator[tuple[str, int]]:
        """Yield the examples of an entry, and their lines."""
        if isinstance(node, yaml.ScalarNode):
            yield from self._items_of_text(node)
            return
        for entry in self._sequence(node, "examples:"):
            text: yaml.Node | None = entry
            if isinstance(entry, yaml.MappingNode):
                text = self._mapping(entry, "an example").get("text")
            if not isinstance(text, yaml.ScalarNode):
                self.fail(entry, "an example is a text, or a mapping with text: and perhaps metadata:.")
            yield text.value.strip().removeprefix("- "), _line(text)

    def _items_of_text(self, node: yaml.ScalarNode) -> Iterator[tuple[str, int]]:
        """Yield the items of a text; only those of ``|`` stand on the lines on which they were written."""
        for number, written in enumerate(node.value.split("\n"), 1):
            line = _line(node) + number if node.style == "|" else _line(node)
            item = written.strip()
            if item and not (item + " ").startswith("- "):
                shown = item[:MOST_SHOWN]
                self._gathering.fail(line, f"{shown!r} is no item; write - before each example, and | after examples:.")
            if item:
                yield item[1:].strip(), line

    def _mapping(self, node: yaml.Node, what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.fail(node, f"{what} is a mapping of keys to values; expected {_EXPECTED}.")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._scalar(key, f"a key of {what}")
            if name in found:
                self.fail(key, f"the key {name[:MOST_SHOWN]!r} stands twice in {what}; join the two.")
            found[name] = value
        return found

    def _sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if _is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.fail(node, f"{what} is a list; expected {_EXPECTED}.")
        return list(node.value)

    def _scalar(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or _is_null(node) or not node.value.strip():
            self.fail(node, f"{what} is a plain name.")
        return str(node.value).strip()


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
