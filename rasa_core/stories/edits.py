"""Add stories and rules to a story file, in the style of the file: Markdown, or YAML of Rasa 2 and 3."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.support.marked_text import with_marks
from rasa_core.support.text_edits import EditError, end_of_section, inserted, lines_in, replaced
from rasa_core.trackers.event_log import story_lines

Kind = Literal["story", "rule", "test"]

_HEADING: Final = re.compile(r"##\s*(?P<name>.*?)\s*$")
_ITEM: Final = re.compile(r"(?P<indent>\s*)-\s*(?P<kind>story|rule)\s*:\s*(?P<name>.*?)\s*$")
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_BULLET: Final = re.compile(r"(\s*[-*+]\s+)\S")
_PLAIN: Final = re.compile(r"[A-Za-z_][\w ./-]*", re.ASCII)
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_SKIPPED: Final = ("action_session_start", ACTION_LISTEN_NAME)


def is_yaml(name: str) -> bool:
    """Tell whether a file of this name has stories in YAML."""
    return name.lower().endswith((".yml", ".yaml"))


def with_story(
    content: bytes, name: str, title: str, events: Sequence[Event], kind: Kind = "story", replace: str | None = None
) -> bytes:
    """Return the content of a story file with a story added, or with the story in place of another one.

    Parameters
    ----------
    content, name
        The content and the name of the file; empty content for a new file.
    title
        The name of the story; if the file has a story of this name, a new name is made from it.
    kind
        Whether it is a story, a rule, or a test story, which has the typed messages of the user.
    replace
        The name of the story to replace.

    Raises
    ------
    EditError
        If there is no story to replace, or Markdown is to hold a rule.
    """
    if not is_yaml(name) and kind == "rule":
        raise EditError(f"{name}: rules are written in YAML; save a story instead.")
    lines = lines_in(content)
    blocks = list(_blocks(lines, name))
    taken = {title for title, *_ in blocks if title != replace}
    title = _free(_visible(title) or kind, taken)
    write = _yaml_story if is_yaml(name) else _markdown_story
    new = write(lines, title, events, kind)
    if replace is not None:
        found = next(((first, last) for title, first, last in blocks if title == replace), None)
        if found is None:
            raise EditError(f"{name}: there is no story {replace!r:.80} to replace.")
        return replaced(content, *found, [line for line in new if line.strip()])
    if is_yaml(name):
        return _into_yaml(content, lines, new, "rules" if kind == "rule" else "stories")
    gap = [""] if lines and lines[-1].strip() else []
    return inserted(content, len(lines), [*gap, *new])


def titles_in(content: bytes, name: str) -> list[str]:
    """Return the names of the stories in a file."""
    return [title for title, *_ in _blocks(lines_in(content), name)]


def _visible(title: str) -> str:
    """Return a title on one line, without invisible characters: control characters, and changes of direction."""
    return " ".join(_UNSEEN.sub(" ", title).split())


def _free(title: str, taken: set[str]) -> str:
    number, found = 2, title
    while found in taken:
        found, number = f"{title} {number}", number + 1
    return found


def _blocks(lines: Sequence[str], name: str) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each story, and its first and last line, counted from 1, without empty lines at its end."""
    pattern = _ITEM if is_yaml(name) else _HEADING
    starts = [(number, found) for number, line in enumerate(lines, 1) if (found := pattern.match(line))]
    for index, (first, found) in enumerate(starts):
        last = starts[index + 1][0] - 1 if index + 1 < len(starts) else len(lines)
        if is_yaml(name):
            # The last item of a section ends where the next key of the file begins.
            keys = (number for number in range(first + 1, last + 1) if re.match(r"\w+\s*:", lines[number - 1]))
            last = next(keys, last + 1) - 1
        while last > first and (not lines[last - 1].strip() or lines[last - 1].lstrip().startswith("#")):
            last -= 1
        yield found["name"].strip("'\""), first, last


# -- Markdown


def _markdown_story(lines: Sequence[str], title: str, events: Sequence[Event], kind: Kind) -> list[str]:
    """Return a story with the most frequent bullet of the file."""
    found = Counter(match[1] for line in lines if (match := _BULLET.match(line)) and "-" in match[1])
    bullet = found.most_common(1)[0][0] if found else "  - "
    users = Counter(match[1] for line in lines if (match := re.match(r"(\s*\*\s*)\S", line)))
    user = users.most_common(1)[0][0] if users else "* "
    body = [
        f"{user}{line[2:]}" if line.startswith("* ") else f"{bullet}{line.strip().removeprefix('- ')}"
        for line in story_lines(event for event in events if getattr(event, "action_name", "") not in _SKIPPED)
    ]
    return [f"## {title}", *body]


# -- YAML


def _into_yaml(content: bytes, lines: Sequence[str], new: Sequence[str], section: str) -> bytes:
    """Insert a story at the end of its section; a file without the section gets one."""
    starts = [number for number, line in enumerate(lines, 1) if re.match(rf"{section}\s*:", line)]
    if not starts:
        head = [] if any(re.match(r"version\s*:", line) for line in lines) or lines else ['version: "3.1"', ""]
        gap = [""] if lines and lines[-1].strip() else []
        return inserted(content, len(lines), [*gap, *head, f"{section}:", *new])
    first = starts[-1]
    # Lines cannot be put into a list in brackets without writing all of it anew.
    if lines[first - 1].partition(":")[2].split("#")[0].strip() not in ("", "[]"):
        raise EditError(f"{section}: of the file is written in one line; write its items below each other.")
    if "[]" in lines[first - 1]:
        return replaced(content, first, first, [f"{section}:", *new])
    last = end_of_section(lines, first)
    items = [number for number in range(first + 1, last + 1) if _ITEM.match(lines[number - 1])]
    gaps = any(not lines[number - 2].strip() for number in items[1:])
    return inserted(content, last, [*([""] if gaps else []), *new])


def _yaml_story(lines: Sequence[str], title: str, events: Sequence[Event], kind: Kind) -> list[str]:
    """Return a story, indented as most of the file is."""
    items = Counter(match["indent"] for line in lines if (match := _ITEM.match(line)))
    indent = items.most_common(1)[0][0] if items else ""
    steps = [len(line) - len(line.lstrip()) for line in lines if re.match(r"\s*-\s*(intent|action)\s*:", line)]
    step = " " * (Counter(steps).most_common(1)[0][0] if steps else len(indent) + 2)
    word = "rule" if kind == "rule" else "story"
    body = [f"{step}{line}" for line in _steps(events, kind)]
    return [f"{indent}- {word}: {_scalar(title)}", f"{indent}  steps:", *body]


def _steps(events: Iterable[Event], kind: Kind) -> Iterator[str]:
    slots: list[SlotSet] = []
    for event in events:
        if isinstance(event, SlotSet):
            slots.append(event)
            continue
        yield from _slot_step(slots)
        slots = []
        if isinstance(event, UserUttered):
            yield from _user_step(event, kind)
        elif isinstance(event, ActionExecuted) and event.action_name not in _SKIPPED:
            yield f"- action: {_scalar(event.action_name)}"
            if event.error is not None:
                yield "  failed: true"
        elif event.type_name == "active_loop":
            yield f"- active_loop: {_scalar(getattr(event, 'loop_name', None))}"
    yield from _slot_step(slots)


def _slot_step(slots: Sequence[SlotSet]) -> Iterator[str]:
    if slots:
        yield "- slot_was_set:"
        for event in slots:
            yield f"  - {_scalar(event.key)}: {_scalar(event.value)}"


def _user_step(event: UserUttered, kind: Kind) -> Iterator[str]:
    if kind == "test":
        yield "- user: |"
        yield f"    {annotated(event.text or '', event.entities, as_json=True)}"
        yield f"  intent: {_scalar(event.intent.get('name'))}"
        return
    yield f"- intent: {_scalar(event.intent.get('name'))}"
    if event.entities:
        yield "  entities:"
        for entity in event.entities:
            yield f"  - {_scalar(entity.get('entity'))}: {_scalar(entity.get('value'))}"


def _scalar(value: Any) -> str:
    """Return a value as YAML, in quotes if YAML would read it as another type."""
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value) and value.strip().lower() not in _WORDS
    return str(value) if is_plain and value == value.strip() else json.dumps(value, ensure_ascii=False)


def annotated(text: str, entities: Iterable[Any], *, as_json: bool) -> str:
    """Return a message with its entities marked, on one line, as NLU data and tests have it.

    Raises
    ------
    EditError
        If the message has brackets that would be read as an entity.
    """
    if re.search(r"\[[^\]]*\][({\[]", text):
        raise EditError(f"the message {text!r:.80} has brackets that would be read as an entity; write it by hand.")
    return " ".join(with_marks(text, entities, as_json=as_json)[0].split())
