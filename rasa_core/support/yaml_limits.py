"""Checks of YAML before it is loaded: limits on its nesting and its aliases, its tags, and its merged keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import yaml
from yaml.reader import ReaderError

TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final = ("null", "bool", "int", "float", "str", "timestamp", "seq", "map", "merge", "value")
_ODD_SPACE: Final = re.compile(r"[ -]*([\t\u00a0\u2000-\u200b\u202f\u3000\ufeff])")
_NOT_ALLOWED: Final = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUOTED: Final = re.compile(r"[%@`*&!]")
_TEXT_AFTER: Final = re.compile(r"""(?:\s*-)*\s*(?:[^\s:"'\[{][^:]*:\s+)?([\[{"'])""")
"""Matches the beginning of a line up to the bracket or quote with which its text begins."""
_MARKDOWN: Final = re.compile(
    r"^##[ \t]*(?:\w.*\n(?:[ \t]*\n)*[ \t]*\*[ \t]*\w|(?:intent|synonym|regex|lookup):)", re.MULTILINE
)
_HALVES: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
"""Matches the escapes of the two halves of a character, behind an even number of backslashes."""
_MERGE: Final = f"{TAG}merge"
_PLAIN_TAGS: Final = frozenset(TAG + name for name in _PLAIN)

MAX_DEPTH: Final = 50
MAX_ALIASED: Final = 1_000_000
"""The most characters that all aliases together may stand for; with nested aliases, a few lines can mean a billion."""


class YamlLimitError(ValueError):
    """YAML exceeds a limit.

    Parameters
    ----------
    problem, line
        The message, and the line, counted from 1.
    """

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def check_yaml(text: str, loader: Any, what: str) -> str:
    """Return a text as the YAML library can read it, after a check of its depth and of what its aliases stand for.

    The depth is checked before the nodes are composed, as the YAML library would overflow the stack of the process.
    Programs that write JSON escape an emoji as two halves, which the library refuses; they are joined to one escape.

    Parameters
    ----------
    loader
        The loader class that reads the text afterwards.
    what
        The kind of content for messages, such as ``domain``.

    Raises
    ------
    YamlLimitError
        If a limit is exceeded; `yaml.YAMLError` if the text is not YAML.
    """
    try:
        _check(text, loader, what)
    except yaml.YAMLError:
        joined = _HALVES.sub(_joined, text)
        if joined == text:
            raise
        _check(joined, loader, what)
        return joined
    return text


def _joined(halves: re.Match[str]) -> str:
    high, low = (int(half, 16) for half in halves.group(2, 3))
    return f"{halves[1]}\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08x}"


def _check(text: str, loader: Any, what: str) -> None:
    waiting: list[tuple[str | None, int]] = []  # Open collections: their anchors, and the sizes of those around them.
    sizes: dict[str, int] = {}
    size = aliased = 0
    for event in yaml.parse(text, Loader=loader):
        line = getattr(event.start_mark, "line", 0) + 1
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in waiting):
                raise YamlLimitError(f"*{event.anchor} stands inside of what it names. Write it out.", line)
            meant = sizes.get(event.anchor or "", 0)
            aliased, size = aliased + meant, size + meant
        elif isinstance(event, yaml.CollectionStartEvent):
            waiting.append((event.anchor, size))
            size = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, around = waiting.pop()
            sizes.update({anchor: size} if anchor else {})
            size += around
        elif isinstance(event, yaml.ScalarEvent):
            size += 1 + len(event.value)
            sizes.update({event.anchor: 1 + len(event.value)} if event.anchor else {})
        if len(waiting) > MAX_DEPTH:
            raise YamlLimitError(f"nested more than {MAX_DEPTH} deep, as no {what} is.", line)
        if aliased > MAX_ALIASED:
            raise YamlLimitError(f"aliases stand for more than {MAX_ALIASED} characters, as in no {what}.", line)


def foreign_tags(root: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    """Yield each node with a tag that is not one of plain data, such as ``!!python/object``, and the tag."""
    # Each node is visited once, although aliases may repeat it: otherwise a few lines could mean a billion visits.
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if node.tag not in _PLAIN_TAGS:
            yield node, node.tag.replace(TAG, "!!")[:100]
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        for part in parts:
            for child in part if isinstance(part, tuple) else (part,):
                if id(child) not in seen:
                    seen.add(id(child))
                    waiting.append(child)


def line_of(node: yaml.Node) -> int:
    """Return the line on which a node begins, counted from 1."""
    return int(node.start_mark.line) + 1


def is_null(node: yaml.Node) -> bool:
    """Tell whether a node is null: nothing, ``~`` or ``null``."""
    return isinstance(node, yaml.ScalarNode) and node.tag == f"{TAG}null"


def found_in(node: yaml.Node) -> str:
    """Return what a node is in the words of an error: ``a list``, ``a mapping``, or a scalar as it is written."""
    if isinstance(node, yaml.CollectionNode):
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    return repr(str(node.value)[:40]) if node.value.strip() else "empty"


def error_place(error: yaml.YAMLError, text: str) -> tuple[int, int] | None:
    """Return the line and column of an error in a text, counted from 1; None if the error has no place."""
    mark = getattr(error, "context_mark" if _begins_wrongly(error) else "problem_mark", None)
    if mark is not None:
        return mark.line + 1, mark.column + 1
    found = _NOT_ALLOWED.search(text) if isinstance(error, ReaderError) else None
    return found and (text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start()))


def _begins_wrongly(error: yaml.YAMLError) -> str:
    """Return a message for a mistake that is reported at the start of a collection or quote; else an empty text."""
    context, problem = getattr(error, "context", "") or "", getattr(error, "problem", "") or ""
    if context == "while scanning a simple key":
        return " A key ends with a colon, and the one that begins here has none."
    if context == "while scanning a quoted scalar" and "end of stream" in problem:
        return " The quote that begins here has no end."
    if context.startswith("while parsing a flow") and error.context_mark.line < error.problem_mark.line:  # type: ignore[attr-defined]
        return " The bracket that opens here is not closed."
    return ""


def explained(error: yaml.YAMLError, text: str) -> str:
    """Return a sentence about an error in YAML, with its probable cause, if it is a frequent mistake."""
    if isinstance(error, ReaderError) and (control := _NOT_ALLOWED.search(text)):
        return f"the character U+{ord(control[0]):04X} is not allowed; remove it, which nobody sees."
    problem = f"{getattr(error, 'problem', error)}."
    mark = getattr(error, "problem_mark", None)
    lines = text.split("\n")[: mark.line + 1] if mark else []
    # If something is missing at the end, the line number is beyond the last line.
    at = lines[mark.line] if mark and mark.line < len(lines) else ""
    if _MARKDOWN.search(text):
        problem += " This looks like stories or NLU data in Markdown, and not like YAML."
    elif begun := _begins_wrongly(error):
        problem += begun
    elif found := _QUOTED.match(at, mark.column if mark else 0):
        problem += f" A text that begins with {found[0]} stands in quotes."
    elif problem.startswith("mapping values are not allowed"):
        problem += " A text with a colon and a space in it stands in quotes; keys of one mapping are indented alike."
    elif problem.startswith("found unknown escape character"):
        problem += " A text with a backslash stands in single quotes."
    elif problem.startswith(("did not find expected", "expected <block end>")):
        begin = _TEXT_AFTER.match(at[: mark.column]) if mark else None
        problem += (
            _after(begin[1])
            if begin
            else " What belongs together is indented alike, and each item of a list has a dash."
        )
    for number, line in enumerate(lines, 1):
        begin = _ODD_SPACE.match(line)
        if begin is not None:
            what = "a tab" if begin[1] == "\t" else f"a character (U+{ord(begin[1]):04X}) that looks like a space"
            return f"{problem} Line {number} has {what} before its text; YAML takes spaces alone there."
    return problem


def _after(begin: str) -> str:
    if begin in "[{":
        return f" A text that begins with {begin} stands in quotes."
    return f" Something stands behind the quote that ends here; a text with {begin} in it stands in the other quotes."


def merged_pairs(node: yaml.MappingNode, tell: Callable[[yaml.Node, str], object]) -> list[tuple[yaml.Node, yaml.Node]]:
    """Return the keys and values of a mapping, with those of ``<<: *base`` that the mapping does not have itself.

    `tell` is called for a base that is not a mapping.
    """
    found = [(key, value) for key, value in node.value if key.tag != _MERGE]
    merged = [(key, value) for key, value in node.value if key.tag == _MERGE]
    for key, base in ((key, one) for key, node in merged for one in _bases(node)):
        if isinstance(base, yaml.MappingNode):
            names = {key.value for key, _ in found if isinstance(key, yaml.ScalarNode)}
            found += [pair for pair in merged_pairs(base, tell) if pair[0].value not in names]
        else:
            tell(key, "<< takes over the keys of a mapping, such as *name, and this is none.")
    return found


def _bases(node: yaml.Node) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def number_in(value: Any) -> Any:
    """Return the number in a text such as ``1e4``, which YAML 1.1 reads as a text; other values unchanged."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
