"""YAML of plain data, as domains have it: what JSON has too, and texts as they are written where texts are meant.

What a domain never holds, tags of Python and deep nesting, is refused before anything is built from it.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from rasa_core.exceptions import DomainError
from rasa_core.support.places import Place
from rasa_core.support.yaml_limits import TAG, YamlLimitError, check_yaml, foreign_tags

# libyaml reads the same, only faster; PyYAML may be built without it.
Loader: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TEXT_TYPES: Final = ("text", "categorical")
"""Types of slots whose initial value is a text."""

_RARE_BREAKS: Final = re.compile("[\x85\u2028\u2029]")


def check_depth(text: str, name: str) -> None:
    """Refuse nesting and aliases beyond what a domain has."""
    try:
        check_yaml(text, Loader, "domain")
    except YamlLimitError as error:
        raise DomainError(f"{name}:{error.line}: {error.problem}") from error


def check_tags(root: yaml.Node, name: str) -> None:
    """Refuse tags such as ``!!python/object`` wherever they stand."""
    for node, tag in foreign_tags(root):
        remedy = "A domain holds plain data only; remove the tag."
        raise DomainError(f"{place_of(name, node)}: the tag {tag} is not allowed. {remedy}")


def place_of(name: str, node: yaml.Node) -> Place:
    """Return where a node begins, in the file that is called `name`."""
    return Place(name, node.start_mark.line + 1, column=node.start_mark.column + 1)


class PlainData(yaml.constructor.SafeConstructor):
    """Plain data that JSON has too: a date stays text, and so does a time, which is no number to the base of 60."""


def written(node: yaml.Node, read: Any) -> Any:
    """Return what stands without quotes as it is written; `read`, its data, of anything else."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) and not node.style else read


def _as_written(constructor: Any, node: yaml.Node) -> str:
    return str(node.value)


def _whole_number(constructor: Any, node: yaml.ScalarNode) -> Any:
    return node.value if ":" in node.value else yaml.SafeLoader.construct_yaml_int(constructor, node)


def _number(constructor: Any, node: yaml.ScalarNode) -> Any:
    return node.value if ":" in node.value else yaml.SafeLoader.construct_yaml_float(constructor, node)


for _name, _construct in (
    ("timestamp", _as_written),
    ("value", _as_written),
    ("int", _whole_number),
    ("float", _number),
):
    PlainData.add_constructor(TAG + _name, _construct)


def write_yaml(content: dict[str, Any]) -> str:
    """Return the plain data of a domain as YAML that reads as the same data; text outside ASCII stays readable."""
    slots = content.get("slots")
    if isinstance(slots, dict):
        content = {**content, "slots": {name: _typed(options) for name, options in slots.items()}}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _typed(options: Any) -> Any:
    """Mark a number that is the initial value of a text slot, which would be read as a text."""
    if not isinstance(options, dict) or options.get("type") not in TEXT_TYPES:
        return options
    value = options.get("initial_value")
    return {**options, "initial_value": _Number(value)} if isinstance(value, int | float) else options


class _Number:
    """A number, or true or false, that is written with its type."""

    def __init__(self, value: float) -> None:
        self.value = value


class _Dumper(yaml.SafeDumper):
    """Escapes the line breaks of Unicode, which other styles of text would turn into spaces."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = '"' if _RARE_BREAKS.search(text) else None
    return dumper.represent_scalar(f"{TAG}str", text, style)


def _represent_number(dumper: yaml.SafeDumper, number: _Number) -> yaml.Node:
    node = dumper.represent_data(number.value)
    return dumper.represent_scalar(node.tag, node.value, '"')


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Number, _represent_number)
