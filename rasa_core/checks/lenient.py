"""Reads a domain and stories so that one mistake does not hide the others: each becomes a finding.

What the readers of domains and stories only log, such as a line that is skipped, is a finding as well.
"""

from __future__ import annotations

import logging
import re
import threading
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import yaml

from rasa_core.actions.action import Action
from rasa_core.actions.factories import (
    RemoteAction,
    action_factory_by_name,
    conventional_name,
    ensure_action_name_uniqueness,
)
from rasa_core.checks.findings import Finding, Place, finding, place_of
from rasa_core.domain import Domain
from rasa_core.domain_file import DomainFile, read_domain
from rasa_core.exceptions import DomainError, StoryParseError
from rasa_core.slots import Slot
from rasa_core.stories.files import list_story_files, read_story_text
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import Source, StoryStep
from rasa_core.support.problems import Problem, errors_in

# A file is read again without each story that breaks the grammar, so there is an end to that.
MOST_ERRORS_IN_A_FILE: Final = 20

_STORY_READERS = ("rasa_core.stories.markdown", "rasa_core.stories.builder")
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@contextmanager
def listen_to_readers(into: list[Finding]) -> Iterator[None]:
    """Collect what the readers of this thread log, whatever the settings of the log are."""
    logger = logging.getLogger("rasa_core")
    heard = _Heard(logging.WARNING)
    before = logger.level
    logger.addHandler(heard)
    if logger.getEffectiveLevel() > logging.WARNING:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(heard)
        logger.setLevel(before)
    into.extend(heard.findings)


class _Heard(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.findings: list[Finding] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        source = record.args[0] if isinstance(record.args, tuple) and record.args else None
        if record.thread != self._thread:
            return
        if record.name in _STORY_READERS and isinstance(source, Source):
            text = record.getMessage().removeprefix(f"{source}: ")
            self.findings.append(finding("ignored-line", "warning", text, [place_of(source)]))


# -- the domain


@dataclass(frozen=True, slots=True)
class CheckedDomain:
    """A domain, as far as it can be read.

    Attributes
    ----------
    name : str
        Path of its file.
    content : DomainFile
        What stands in it; nothing if it is not a domain.
    domain : Domain or None
        What is right in it, with remote actions; None if it is not a domain.
    template_lines : dict of str to int
        Where each template stands.
    """

    name: str
    content: DomainFile = field(default_factory=DomainFile)
    domain: Domain | None = None
    template_lines: dict[str, int] = field(default_factory=dict)

    def place(self, section: str, name: str) -> Place:
        """Return where a name is declared."""
        lines: dict[str, int | None] = {"templates": self.template_lines.get(name)}
        return Place(self.name, lines.get(section, self.content.lines.get((section, name))))


def read_domain_leniently(text: str, name: str, found: list[Finding]) -> CheckedDomain:
    """Read the text of a domain; what is wrong with it is appended to `found`."""
    problems: list[Problem] = []
    try:
        content = read_domain(text, name, problems)
    except DomainError as error:
        found.append(_domain_finding(error, name))
        return CheckedDomain(name)
    for problem in problems:
        kind = "domain" if problem.severity == "error" else "unknown-key"
        found.append(finding(kind, problem.severity, problem.message, [Place(name, problem.place.line)]))
    if errors_in(problems):  # What the stories name may stand in what could not be read.
        return CheckedDomain(name)
    actions = [action.name() for action in _actions(content, name, found)]
    domain = Domain(
        content.intents,
        content.entities,
        _slots(content, name, found),
        content.templates,
        actions,
        actions,
        "remote",
        intents_without_entities=content.intents_without_entities,
        **content.config,
    )
    return CheckedDomain(name, content, domain, _template_lines(text))


def _slots(content: DomainFile, name: str, found: list[Finding]) -> list[Slot]:
    slots: list[Slot] = []
    for slot, options in content.slots.items():
        try:
            slots += Domain.collect_slots({slot: options})
        except DomainError as error:
            found.append(_domain_finding(error, name, content))
            slots.append(Slot.resolve_by_type("unfeaturized")(slot))
    return slots


def _actions(content: DomainFile, name: str, found: list[Finding]) -> list[Action]:
    """Build the actions, one by one; of those that cannot be built, the name counts."""
    try:
        factory = action_factory_by_name(content.action_factory)
    except DomainError as error:
        found.append(finding("domain", "error", str(error), [Place(name)]))
        factory = action_factory_by_name("remote")
    is_remote = factory is action_factory_by_name("remote")
    section = "action_names" if is_remote and content.action_names else "actions"
    actions: list[Action] = []
    for written in (content.action_names or []) if section == "action_names" else content.actions:
        try:
            built = factory([written], None, content.templates)
        except DomainError as error:
            found.append(_domain_finding(error, name, content))
            built = [RemoteAction(conventional_name(written))]
        try:
            ensure_action_name_uniqueness([*actions, *built])
            actions += built
            line = content.lines[section, written]
            content.lines.setdefault(("actions", built[0].name()), line)  # A class is written in another way.
        except DomainError as error:
            found.append(_domain_finding(error, name, content))
    return actions


def _domain_finding(error: DomainError, name: str, content: DomainFile | None = None) -> Finding:
    text = str(error)
    place = re.match(rf"{re.escape(name)}(?::(\d+))?(?::\d+)?: ", text)
    line = int(place[1]) if place and place[1] else None
    if line is None and content is not None and error.item is not None:
        line = content.lines.get(error.item)
    return finding("domain", "error", text[place.end() :] if place else text, [Place(name, line)])


def _template_lines(text: str) -> dict[str, int]:
    root: Any = yaml.compose(text, Loader=_Loader)  # A mapping, or the domain could not be read.
    sections = [value for key, value in root.value if key.value in ("templates", "responses")]
    keys = [key for section in sections if isinstance(section, yaml.MappingNode) for key, _ in section.value]
    return {key.value: key.start_mark.line + 1 for key in keys}


# -- the stories


@dataclass(frozen=True, slots=True)
class CheckedStories:
    """The stories that could be read, each as its steps, and whether these are all."""

    stories: list[list[StoryStep]]
    is_complete: bool

    @property
    def steps(self) -> list[StoryStep]:
        """The steps of all stories."""
        return [step for story in self.stories for step in story]


def read_stories_leniently(resource: Path, domain: Domain | None, found: list[Finding]) -> CheckedStories:
    """Read a story file, or a folder; what breaks the grammar is appended to `found`, and the rest is read."""
    reader = StoryFileReader(domain)
    before = len(found)
    stories: list[list[StoryStep]] = []
    try:
        files = list_story_files(resource) if resource.is_dir() else [resource]
    except StoryParseError as error:
        found.append(_story_finding(error, resource))
        files = []
    for path in files:
        label = path.relative_to(resource).as_posix() if resource.is_dir() else path.name
        try:
            lines = read_story_text(path)
        except StoryParseError as error:
            found.append(_story_finding(error, path))
        else:
            stories += _read_file(reader, lines, path, label, found)
    return CheckedStories(stories, is_complete=len(found) == before)


def _read_file(
    reader: StoryFileReader, lines: list[str], path: Path, label: str, found: list[Finding]
) -> list[list[StoryStep]]:
    headings = [number for number, line in enumerate(lines, 1) if line.lstrip().startswith("#")]
    for _ in range(MOST_ERRORS_IN_A_FILE):
        try:
            steps = reader.process_lines(lines, str(path), label=label)
        except StoryParseError as error:
            found.append(_story_finding(error, path))
            lines = _without_story(lines, headings, error.line or 1)
        else:
            return [list(group) for _, group in groupby(steps, lambda step: _story_of(step, headings))]
    problem = f"more than {MOST_ERRORS_IN_A_FILE} stories cannot be read; the file is not checked any further."
    found.append(finding("grammar", "error", problem, [Place(str(path))]))
    return []


def _without_story(lines: list[str], headings: list[int], number: int) -> list[str]:
    """Blank the story around a line; the others keep their lines."""
    index = bisect_right(headings, number)
    first = headings[index - 1] if index else 1
    last = headings[index] if index < len(headings) else len(lines) + 1
    return [*lines[: first - 1], *[""] * (last - first), *lines[last - 1 :]]


def _story_of(step: StoryStep, headings: list[int]) -> tuple[int, str]:
    return bisect_right(headings, step.source.line if step.source else 0), step.block_name


def _story_finding(error: StoryParseError, path: Path) -> Finding:
    return finding("grammar", "error", error.message, [Place(error.file or str(path), error.line)])
