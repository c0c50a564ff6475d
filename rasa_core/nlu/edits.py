"""Adds examples to a file of NLU data, in the style of the file: Markdown, or YAML of Rasa 3."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.reading import read_training_text
from rasa_core.support.text_edits import EditError, end_of_section, inserted, lines_in


def with_example(content: bytes, name: str, intent: str, message: str) -> bytes:
    """Return the content of a file with one more example, behind the other examples of its intent.

    Parameters
    ----------
    content, name
        Content and name of the file; the content is empty if there is no such file yet.
    intent
        The intent of the example.
    message
        The text with its entities marked, on one line.

    Raises
    ------
    EditError
        If the file has another format, or reading the new content would not give one more example.
    """
    lines = lines_in(content)
    if content.lstrip()[:1] in (b"{", b"["):
        raise EditError(f"{name}: examples in JSON are not added here; write {message!r:.80} into the file by hand.")
    put = _yaml if name.lower().endswith((".yml", ".yaml")) else _markdown
    after = put(content, lines, intent, message)
    if after == content:
        return after
    # The new content is read before it is written, since a file may be laid out in a way that this edit does not know.
    try:
        before = len(read_training_text(content.decode("utf-8-sig")).examples) if content.strip() else 0
        examples = read_training_text(after.decode("utf-8-sig")).examples
    except RasaCoreError as error:
        raise EditError(f"{name}: the file could not be read any more with {message!r:.80}: {error}") from error
    if len(examples) != before + 1:
        raise EditError(f"{name}: {message!r:.80} would not be read as one more example; write it by hand.")
    return after


def _markdown(content: bytes, lines: Sequence[str], intent: str, message: str) -> bytes:
    heading = re.compile(rf"\s*##\s*intent\s*:\s*{re.escape(intent)}\s*$")
    first = next((number for number, line in enumerate(lines, 1) if heading.match(line)), None)
    if first is None:
        gap = [""] if lines and lines[-1].strip() else []
        return inserted(content, len(lines), [*gap, f"## intent:{intent}", f"- {message}"])
    last, bullet = first, "- "
    for number in range(first + 1, len(lines) + 1):
        line = lines[number - 1]
        if re.match(r"\s*#", line):
            break
        if found := re.match(r"(\s*[-*+]\s+)(.*)", line):
            last, bullet = number, found[1]
            if found[2].strip() == message:
                return content
    return inserted(content, last, [f"{bullet}{message}"])


def _yaml(content: bytes, lines: Sequence[str], intent: str, message: str) -> bytes:
    entry = re.compile(rf"(\s*)-\s*intent\s*:\s*[\"']?{re.escape(intent)}[\"']?\s*(#.*)?$")
    inside = False
    for number, line in enumerate(lines, 1):
        if re.match(r"[\w\"']", line):
            inside = line.startswith("nlu")
        if inside and (found := entry.match(line)):
            return _into_entry(content, lines, number, len(found[1]), message)
    return _new_entry(content, lines, intent, message)


def _into_entry(content: bytes, lines: Sequence[str], first: int, indent: int, message: str) -> bytes:
    """Put an example behind the last one of an entry."""
    last, bullet = 0, ""
    for number in range(first + 1, len(lines) + 1):
        line = lines[number - 1]
        if line.strip() and len(line) - len(line.lstrip()) <= indent and not line.lstrip().startswith("#"):
            break
        found = re.match(r"(\s*-\s+)(.*)", line)
        if found and len(found[1]) - len(found[1].lstrip()) > indent:
            last, bullet = number, found[1]
            if found[2].strip() == message:
                return content
    if not last:
        raise EditError(f"the examples of the entry in line {first} are written in a way that nothing can be added to.")
    # In a block, `examples: |`, the text is not quoted. In a YAML list it always is, since it may have special signs.
    is_block = any(re.match(r"\s*examples\s*:\s*[|>]", lines[number - 1]) for number in range(first, last))
    return inserted(content, last, [f"{bullet}{message if is_block else json.dumps(message, ensure_ascii=False)}"])


def _new_entry(content: bytes, lines: Sequence[str], intent: str, message: str) -> bytes:
    starts = [number for number, line in enumerate(lines, 1) if re.match(r"nlu\s*:\s*$", line)]
    items = [match[1] for line in lines if (match := re.match(r"(\s*)-\s*intent\s*:", line))]
    indent = items[0] if items else ""  # In YAML, all entries of a list have the same indentation.
    entry = [f"{indent}- intent: {intent}", f"{indent}  examples: |", f"{indent}    - {message}"]
    if not starts:
        head = [] if lines else ['version: "3.1"']
        return inserted(content, len(lines), [*head, "nlu:", *entry])
    return inserted(content, end_of_section(lines, starts[-1]), entry)
