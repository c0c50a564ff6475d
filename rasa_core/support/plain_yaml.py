"""Reading and writing domains as YAML of plain data: only values that JSON has, and texts as they are written.

Python tags and deep nesting, which no domain needs, are refused before any object is built.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from rasa_core.exceptions import DomainError
from rasa_core.support.places import Place
from rasa_core.support.yaml_limits import TAG, YamlLimitError, check_yaml, foreign_tags

# libyaml gives the same results faster; PyYAML may be built without it.
Loader: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TEXT_TYPES: Final = ("text", "categorical")
"""The types of slots whose initial value is a text."""

_RARE_BREAKS: Final = re.compile("[\x85\u2028\u2029]")


def check_depth(text: str, name: str) -> str:
    """Return the result of `check_yaml`; raise `DomainError` for nesting or aliases beyond the limits."""
    try:
        return check_yaml(text, Loader, "domain")
    except YamlLimitError as error:
        raise DomainError(f"{name}:{error.line}: {error.problem}") from error


def check_tags(root: yaml.Node, name: str) -> None:
    """Raise `DomainError` for tags such as ``!!python/object``."""
    for node, tag in foreign_tags(root):
        remedy = "A domain holds plain data only; remove the tag."
        raise DomainError(f"{place_of(name, node)}: the tag {tag} is not allowed. {remedy}")


def place_of(name: str, node: yaml.Node) -> Place:
    """Return the place of a node in the file `name`."""
    return Place(name, node.start_mark.line + 1, column=node.start_mark.column + 1)


class PlainData(yaml.constructor.SafeConstructor):
    """Constructs only data that JSON has; dates and times stay texts (YAML 1.1 reads ``12:30`` as a number)."""


def written(node: yaml.Node, read: Any) -> Any:
    """Return a scalar without quotes as it is written; for any other node, `read`, which is its data."""
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
    """Return YAML that reads as the given plain data; text outside ASCII is not escaped."""
    slots = content.get("slots")
    if isinstance(slots, dict):
        content = {**content, "slots": {name: _typed(options) for name, options in slots.items()}}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _typed(options: Any) -> Any:
    """Mark a number that is the initial value of a text slot, as it would otherwise be read as a text."""
    if not isinstance(options, dict) or options.get("type") not in TEXT_TYPES:
        return options
    value = options.get("initial_value")
    return {**options, "initial_value": _Number(value)} if isinstance(value, int | float) else options


class _Number:
    """A number or boolean that is written with a YAML tag."""

    def __init__(self, value: float) -> None:
        self.value = value


class _Dumper(yaml.SafeDumper):
    """A dumper that escapes Unicode line breaks, which would otherwise be read as spaces."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = '"' if _RARE_BREAKS.search(text) else None
    return dumper.represent_scalar(f"{TAG}str", text, style)


def _represent_number(dumper: yaml.SafeDumper, number: _Number) -> yaml.Node:
    node = dumper.represent_data(number.value)
    return dumper.represent_scalar(node.tag, node.value, '"')


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Number, _represent_number)
