"""Writes messages as NLU data that reads as the same messages, each with a note: as Markdown, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from rasa_core.nlu.reading import ROOT, read_training_text
from rasa_core.nlu.training_data import EntitySpan, NLUDataError, NLUExample

NOTE_KEY: Final = "predicted"

Noted = tuple[NLUExample, str]


def as_markdown(messages: Iterable[Noted]) -> tuple[str, list[NLUExample]]:
    """Return messages as Markdown, each below a comment with its note.

    Returns
    -------
    text : str
        A section for each intent, in the order of the first messages.
    left_out : list of Example
        Those that Markdown cannot hold: without an intent, with line ends, comments or marks in the text, or with
        entities that overlap.
    """
    sections: dict[str, list[str]] = {}
    left_out: list[NLUExample] = []
    for example, note in messages:
        line = f"- {_marked(example)}"
        if example.intent is None or not _reads_as(example, f"## intent:{example.intent}\n{line}\n"):
            left_out.append(example)
        else:
            sections.setdefault(example.intent, []).extend((f"<!-- {_in_comment(note)} -->", line))
    texts = ["\n".join((f"## intent:{intent}", *lines, "")) for intent, lines in sections.items()]
    return "\n".join(texts), left_out


def as_json(messages: Iterable[Noted]) -> str:
    """Return messages as JSON, with their notes under a key that readers leave alone."""
    found = [_json_example(example) | {NOTE_KEY: note} for example, note in messages]
    return json.dumps({ROOT: {"common_examples": found}}, indent=1) + "\n"


def _json_example(example: NLUExample) -> dict[str, Any]:
    intent = {} if example.intent is None else {"intent": example.intent}
    return {"text": example.text, **intent, "entities": [asdict(span) for span in example.entities]}


def _marked(example: NLUExample) -> str:
    """Return a message with its entities marked."""
    pieces: list[str] = []
    position = 0
    for span in example.entities:
        pieces += example.text[position : span.start], _mark(example.text[span.start : span.end], span)
        position = span.end
    return "".join(pieces) + example.text[position:]


def _mark(covered: str, span: EntitySpan) -> str:
    value = "" if span.value == covered else span.value
    if not any(sign in span.entity + value for sign in ":()") and value == value.strip():
        return f"[{covered}]({span.entity}{':' if value else ''}{value})"
    mark = {"entity": span.entity} | ({"value": value} if value else {})
    return f"[{covered}]{json.dumps(mark)}"


def _reads_as(example: NLUExample, text: str) -> bool:
    try:
        read: Sequence[NLUExample] = read_training_text(text).examples
    except NLUDataError:
        return False
    return len(read) == 1 and read[0] == example and _is_storable(text)


def _is_storable(text: str) -> bool:
    """Whether a text is valid Unicode: half of a surrogate pair cannot be written into a file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _in_comment(note: str) -> str:
    flat = " ".join(note.split()).encode(errors="backslashreplace").decode()
    return flat.replace("-->", "-- >")
