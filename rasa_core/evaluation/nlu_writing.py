"""Writes messages as NLU data in Markdown or JSON, each with a note; reading the data gives the same messages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from rasa_core.evaluation import tables
from rasa_core.nlu.text_formats import read_markdown
from rasa_core.nlu.training_data import ROOT, NLUDataError, NLUExample, TrainingDataBuilder
from rasa_core.support.marked_text import EntitySpan


def as_markdown(messages: Iterable[tuple[NLUExample, str]]) -> tuple[str, list[NLUExample]]:
    """Return messages as Markdown, each below a comment with its note.

    Returns
    -------
    text : str
        A section for each intent, in the order of the first messages.
    left_out : list of NLUExample
        The messages that Markdown cannot represent: without an intent, with line ends, comments or marks in the text,
        or with overlapping entities.
    """
    sections: dict[str, list[str]] = {}
    left_out: list[NLUExample] = []
    for example, note in messages:
        line = f"- {_marked(example)}"
        if example.intent is None or not _reads_as(example, f"## intent:{example.intent}\n{line}\n"):
            left_out.append(example)
        else:
            flat = " ".join(note.split()).encode(errors="backslashreplace").decode()
            sections.setdefault(example.intent, []).extend((f"<!-- {tables.in_comment(flat)} -->", line))
    texts = ["\n".join((f"## intent:{intent}", *lines, "")) for intent, lines in sections.items()]
    return "\n".join(texts), left_out


def as_json(messages: Iterable[tuple[NLUExample, str]]) -> str:
    """Return messages as JSON, with their notes under a key that readers ignore."""
    found = [
        {
            "text": example.text,
            **({} if example.intent is None else {"intent": example.intent}),
            "entities": [asdict(span) for span in example.entities],
            "predicted": note,
        }
        for example, note in messages
    ]
    return json.dumps({ROOT: {"common_examples": found}}, indent=1) + "\n"


def _marked(example: NLUExample) -> str:
    """Return a message with its entities marked."""
    pieces: list[str] = []
    position = 0
    for span in example.entities:
        pieces += example.text[position : span.start], _mark(example.text[span.start : span.end], span)
        position = span.end
    return "".join(pieces) + example.text[position:]


def _mark(covered: str, span: EntitySpan) -> str:
    # The short form wherever it can be read back: people know it, and edit it.
    value = "" if span.value == covered else span.value
    others = {key: told for key, told in (("role", span.role), ("group", span.group)) if told}
    if not others and not any(sign in span.entity + value for sign in ":()") and value == value.strip():
        return f"[{covered}]({span.entity}{':' if value else ''}{value})"
    mark = {"entity": span.entity} | ({"value": value} if value else {}) | others
    return f"[{covered}]{json.dumps(mark)}"


def _reads_as(example: NLUExample, text: str) -> bool:
    """Tell whether a text can be written into a file, and reading it gives the message."""
    try:
        text.encode()  # Half of a surrogate pair cannot be written.
        read = read_markdown(text, TrainingDataBuilder("<messages>")).examples
    except (NLUDataError, UnicodeEncodeError):
        return False
    return len(read) == 1 and read[0] == example
