"""Reading YAML of Rasa 2 and 3 as parts with their places in the file.

Only plain data is read: a tag such as ``!!python/object`` is an error. Scalars are read as in YAML 1.2, so that ``no``,
``on`` and ``12:30`` are texts; ``${NAME}`` stands for an environment variable in some files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from rasa_core.exceptions import ModelError, RasaCoreError, nearest
from rasa_core.support.places import Place
from rasa_core.support.text_files import TextFileError, read_text
from rasa_core.support.yaml_limits import (
    TAG,
    YamlLimitError,
    check_yaml,
    error_place,
    explained,
    foreign_tags,
    found_in,
)

_BASE: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_FLOAT: Final = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"


class YamlError(RasaCoreError, ValueError):
    """A file is not YAML of plain data.

    Parameters
    ----------
    place, problem
        The place and the mistake, which are both in the message.
    """

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place, self.problem = place, problem


class _Loader(_BASE):  # type: ignore[misc]
    """Composes nodes, with the plain scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (of the library)


# The core schema of YAML 1.2; PyYAML's own resolvers are for YAML 1.1, in which `no` is false and 12:30 is 750.
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", _FLOAT, None),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(TAG + _tag, re.compile(f"^(?:{_pattern})$"), list(_first or "-+0123456789."))


class Part:
    """One node of a YAML file.

    Attributes
    ----------
    place, key_place : Place
        The place of the node; for the value of a key, the place of the key, which may be some lines before the value.
    """

    __slots__ = ("_file", "_node", "key_place", "place")

    def __init__(self, node: yaml.Node, file: str) -> None:
        self._node, self._file = node, file
        self.place = self.key_place = _place(node, file)

    @property
    def is_mapping(self) -> bool:
        """Tell whether the node is a mapping."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        """Tell whether the node is a list."""
        return isinstance(self._node, yaml.SequenceNode)

    @property
    def is_null(self) -> bool:
        """Tell whether the node is null or empty."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == f"{TAG}null"

    @property
    def written(self) -> str:
        """The text of a scalar as it is written; an empty text for other nodes."""
        return str(self._node.value) if isinstance(self._node, yaml.ScalarNode) else ""

    @property
    def found(self) -> str:
        """What the node is, in the words of an error."""
        return found_in(self._node)

    @property
    def data(self) -> Any:
        """The plain data."""
        return _plain(self._node, self._file)

    @property
    def meant(self) -> Any:
        """The plain data, in which a number with an unusual notation, such as ``010``, is a text."""
        if self.is_mapping:
            return {key: part.meant for key, part in self.keys().items()}
        is_number = self._node.tag in (f"{TAG}int", f"{TAG}float")
        return self.written if is_number and not self._is_written_as_number() else self.data

    def _is_written_as_number(self) -> bool:
        try:
            return str(self.data) == self.written
        except YamlError:  # For a value such as .inf, which JSON does not have.
            return False

    def told(self, texts: Collection[str], inside: Collection[str] = (), meant: Collection[str] = ()) -> Any:
        """Return the plain data, in which some scalars are texts as they are written, such as ``010`` and ``1.50``.

        The values of the keys `texts` and the items of lists are such texts, here and below the keys `inside`. For the
        keys in `meant`, the value is that of the property `meant`.
        """
        if self.is_list:
            return [entry.told(texts, inside, meant) for entry in self.entries()]
        if self.is_mapping:
            return {key: part._told_of(key, texts, inside, meant) for key, part in self.keys().items()}
        return None if self.is_null else self.written

    def _told_of(self, key: str, texts: Collection[str], inside: Collection[str], meant: Collection[str]) -> Any:
        if key in meant:
            return self.meant
        is_text = key in texts and not self.is_mapping and not self.is_list
        is_around = key in inside and (self.is_mapping or self.is_list)
        return self.told(texts, inside, meant) if is_text or is_around else self.data

    def entries(self) -> list[Part]:
        """Return the items of a list; an empty list for other nodes."""
        return [Part(node, self._file) for node in self._node.value] if self.is_list else []

    def pairs(self) -> Iterator[tuple[Part, Part]]:
        """Yield the keys and values of a mapping; nothing for other nodes. A duplicate key is an error."""
        seen: dict[str, int] = {}
        for key, value in _pairs(self._node, self._file) if self.is_mapping else ():
            part = Part(key, self._file)
            if part.written in seen:
                first = seen[part.written]
                raise YamlError(part.place, f"the key {part.written!r} stands twice; the first is on line {first}.")
            seen[part.written] = part.place.line or 0
            valued = Part(value, self._file)
            valued.key_place = part.place
            yield part, valued

    def keys(self) -> dict[str, Part]:
        """Return the values of a mapping by their keys."""
        return {key.written: value for key, value in self.pairs()}

    def get(self, key: str) -> Part | None:
        """Return the value of a key; None if the key is missing or its value is null."""
        found = self.keys().get(key)
        return None if found is None or found.is_null else found


def keys_in(path: str | Path) -> dict[str, Part]:
    """Return the values of a file's top-level keys; an empty dictionary if the file is missing or has no keys.

    Raises
    ------
    YamlError
        If the file cannot be read, or is not YAML of plain data.
    """
    root = read_yaml(path) if Path(path).is_file() else None
    return {} if root is None else root.keys()


def settings_in(path: str | Path, example: str) -> dict[str, Part]:
    """Return the same as `keys_in`; raise `ModelError` if the file has other content than keys, such as `example`."""
    try:
        root = read_yaml(path) if Path(path).exists() else None
        keys = {} if root is None else root.keys()
    except YamlError as error:
        raise ModelError(str(error)) from error
    if root is not None and not root.is_mapping and not root.is_null:
        raise ModelError(f"{root.place}: settings are keys with values, such as {example}.")
    return keys


def entries_of(keys: Mapping[str, Part], key: str) -> list[Part]:
    """Return the items of the list below a key of config.yml; raise `ModelError` for any other value."""
    part = keys.get(key)
    if part is None or part.is_null:
        return []
    if not part.is_list:
        raise ModelError(f"{part.key_place}: {key}: is a list, each of its parts after a dash, as in - name: ...")
    wrong = [unnamed for entry in part.entries() if (unnamed := _unnamed(entry))]
    if wrong:
        raise ModelError("\n".join(wrong))
    return part.entries()


def _unnamed(entry: Part) -> str:
    """Return an error message for an entry without a name; an empty text if it has a name."""
    keys = entry.keys()
    if "name" in keys if entry.is_mapping else entry.written:
        return ""
    hint = next((f" Did you mean 'name' instead of {key!r}?" for key in keys if nearest(key, ["name"])), "")
    return f"{entry.place}: what is listed here has a name, as in - name: ...{hint}"


def read_yaml(path: str | Path) -> Part | None:
    """Return the content of a YAML file; None if it is empty.

    Raises
    ------
    YamlError
        If the file cannot be read, or is not YAML of plain data.
    """
    try:
        text = read_text(path)
    except TextFileError as error:
        raise YamlError(error.place, error.problem) from error
    return yaml_part(text, str(path))


def yaml_part(text: str, name: str) -> Part | None:
    """Return the only document in a text; None if the text is empty."""
    try:
        text = check_yaml(text, _Loader, "file of a bot")
        root = yaml.compose(text, Loader=_Loader)
    except YamlLimitError as error:
        raise YamlError(Place(name, error.line), error.problem) from error
    except yaml.YAMLError as error:
        found = error_place(error, text)
        place = Place(name, found[0], column=found[1]) if found else Place(name)
        raise YamlError(place, f"not valid YAML: {explained(error, text)}") from error
    for node, tag in () if root is None else foreign_tags(root):
        raise YamlError(_place(node, name), f"the tag {tag} is not allowed; remove it.")
    return None if root is None else Part(root, name)


def _pairs(node: yaml.Node, file: str) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Yield the pairs of a mapping; pairs of merged mappings (``<<: *base``) come first, unless they are overridden."""
    own = [(key, value) for key, value in node.value if key.tag != f"{TAG}merge"]
    # As in YAML, the mapping's own key goes before a merged key, and an earlier merged key before a later one. No own
    # key is dropped, so that duplicate keys are found.
    names = {_key(key, file) for key, _ in own}
    for base in (base for key, value in node.value if key.tag == f"{TAG}merge" for base in _bases(value, file)):
        merged = [(key, value) for key, value in _pairs(base, file) if _key(key, file) not in names]
        names.update(_key(key, file) for key, _ in merged)
        yield from merged
    yield from own


def _bases(node: yaml.Node, file: str) -> list[yaml.Node]:
    bases = node.value if isinstance(node, yaml.SequenceNode) else [node]
    for base in bases:
        if not isinstance(base, yaml.MappingNode):
            raise YamlError(_place(base, file), "<< takes over the keys of a mapping, such as *name, and this is none.")
    return list(bases)


def _place(node: yaml.Node, file: str) -> Place:
    return Place(file, int(node.start_mark.line) + 1)


def _plain(node: yaml.Node, file: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {_key(key, file): _plain(value, file) for key, value in _pairs(node, file)}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, file) for item in node.value]
    try:
        return _scalar(node)
    except ValueError as error:
        kind = node.tag.removeprefix(TAG)
        problem = f"{str(node.value)[:40]!r} cannot be read as {kind}; "
        problem += "write a number that JSON has, or quote it to have a text." if kind == "float" else "quote it."
        raise YamlError(_place(node, file), problem) from error


def _key(node: yaml.Node, file: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise YamlError(_place(node, file), "a key is a plain name.")
    return str(node.value)


def _scalar(node: yaml.Node) -> Any:
    """Return the value of a scalar; raise `ValueError` if its text does not fit a tag that is written in the file."""
    kind, text = node.tag.removeprefix(TAG), str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return ("false", "true").index(text.lower()) == 1
    if kind == "int":
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if kind == "float":
        number = float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
        if not math.isfinite(number):  # JSON does not have infinity and NaN, so they could not be stored or sent.
            raise ValueError
        return number
    return text
