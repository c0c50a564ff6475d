"""YAML of Rasa 2 and 3 as parts that know where they stand.

Plain data only: a tag such as ``!!python/object`` is an error. Texts are read as YAML 1.2 reads them, so that ``no``,
``on`` and ``12:30`` stay what was written; ``${NAME}`` stands for a variable of the environment, where wanted.
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
from rasa_core.support.yaml_limits import TAG, YamlLimitError, check_yaml, error_place, explained, foreign_tags

_BASE: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_FLOAT: Final = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"


class YamlError(RasaCoreError, ValueError):
    """A file is no YAML of plain data.

    Parameters
    ----------
    place, problem
        Where, and what is wrong; the message has both.
    """

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place, self.problem = place, problem


class _Loader(_BASE):  # type: ignore[misc]
    """Composes nodes, with the plain scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (of the library)


# The core schema of YAML 1.2; PyYAML's own resolvers are those of 1.1, in which `no` is false and 12:30 is 750.
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
        Where it stands; of the value of a key, where the key stands, which may be lines before it.
    """

    __slots__ = ("_file", "_node", "key_place", "place")

    def __init__(self, node: yaml.Node, file: str) -> None:
        self._node, self._file = node, file
        self.place = self.key_place = _place(node, file)

    @property
    def is_mapping(self) -> bool:
        """Tell whether it has keys."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        """Tell whether it is a list."""
        return isinstance(self._node, yaml.SequenceNode)

    @property
    def is_null(self) -> bool:
        """Tell whether nothing stands there."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == f"{TAG}null"

    @property
    def written(self) -> str:
        """The text of a scalar as it was written; an empty one for anything else."""
        return str(self._node.value) if isinstance(self._node, yaml.ScalarNode) else ""

    @property
    def data(self) -> Any:
        """The plain data."""
        return _plain(self._node, self._file)

    @property
    def meant(self) -> Any:
        """The plain data; a number that is not written as numbers are, such as ``010``, is a text, also as a value."""
        if self.is_mapping:
            return {key: part.meant for key, part in self.keys().items()}
        is_number = self._node.tag in (f"{TAG}int", f"{TAG}float")
        return self.written if is_number and not self._is_written_as_number() else self.data

    def _is_written_as_number(self) -> bool:
        try:
            return str(self.data) == self.written
        except YamlError:  # Such as .inf, which is no number in JSON.
            return False

    def told(self, texts: Collection[str], inside: Collection[str] = (), meant: Collection[str] = ()) -> Any:
        """Return the plain data with texts as they are written, ``010`` and ``1.50`` included.

        Texts are the values of the keys `texts` and what lists have, here and below the keys `inside`. Of the keys
        `meant`, the value is what `meant` returns.
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
        """Return the items of a list; none of anything else."""
        return [Part(node, self._file) for node in self._node.value] if self.is_list else []

    def pairs(self) -> Iterator[tuple[Part, Part]]:
        """Yield keys and values of a mapping; none of anything else. A key that stands twice is an error."""
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
        """Return the value of a key, None if it is not there or null."""
        found = self.keys().get(key)
        return None if found is None or found.is_null else found


def keys_in(path: str | Path) -> dict[str, Part]:
    """Return what the keys of a file have; nothing of a file that is not there, or that has no keys.

    Raises
    ------
    YamlError
        If it cannot be read, or is no YAML of plain data.
    """
    root = read_yaml(path) if Path(path).is_file() else None
    return {} if root is None else root.keys()


def settings_in(path: str | Path, example: str) -> dict[str, Part]:
    """Return what `keys_in` does of a file that may have nothing but keys, such as the `example`; else `ModelError`."""
    try:
        root = read_yaml(path) if Path(path).exists() else None
        keys = {} if root is None else root.keys()
    except YamlError as error:
        raise ModelError(str(error)) from error
    if root is not None and not root.is_mapping and not root.is_null:
        raise ModelError(f"{root.place}: settings are keys with values, such as {example}.")
    return keys


def entries_of(keys: Mapping[str, Part], key: str) -> list[Part]:
    """Return what stands below a key of config.yml, one a dash; `ModelError` if there is something else."""
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
    """Say what is wrong with an entry that does not say what it is; nothing of one that does."""
    keys = entry.keys()
    if "name" in keys if entry.is_mapping else entry.written:
        return ""
    hint = next((f" Did you mean 'name' instead of {key!r}?" for key in keys if nearest(key, ["name"])), "")
    return f"{entry.place}: what is listed here has a name, as in - name: ...{hint}"


def read_yaml(path: str | Path) -> Part | None:
    """Read a file; None if there is nothing in it.

    Raises
    ------
    YamlError
        If it cannot be read, or is no YAML of plain data.
    """
    try:
        text = read_text(path)
    except TextFileError as error:
        raise YamlError(error.place, error.problem) from error
    return yaml_part(text, str(path))


def yaml_part(text: str, name: str) -> Part | None:
    """Return the only document of a text; None if there is nothing in it."""
    try:
        check_yaml(text, _Loader, "file of a bot")
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
    """Yield the pairs of a mapping, those of merged mappings (``<<: *base``) first and only where not overridden."""
    own = [(key, value) for key, value in node.value if key.tag != f"{TAG}merge"]
    # As YAML has it, an own key wins over a merged one, and of two merged ones the earlier; own ones are not dropped,
    # so that a key that stands twice is found.
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
    """Return the value of a scalar, whose tag may have been written by hand; raise `ValueError` if it is none of it."""
    kind, text = node.tag.removeprefix(TAG), str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return ("false", "true").index(text.lower()) == 1
    if kind == "int":
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if kind == "float":
        number = float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
        if not math.isfinite(number):  # It could be neither stored nor sent.
            raise ValueError
        return number
    return text
