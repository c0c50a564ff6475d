"""Reads stories from Markdown.

===========================  ===========================================================================
Line                         Meaning
===========================  ===========================================================================
``## name``                  a story begins
``* intent{"entity": 1}``    the user says something; a list gives several entities of one name
``* a OR b{"x": 1}``         the user says one of several things
``- action``                 the bot does something
``- slot{"name": value}``    an event; also restart, reset_slots, rewind, undo, pause, resume, reminder
``> name{"slot": value}``    first in a story: it goes on from there, if the slots have these values
``> name``                   later: stories that start with this name go on from here
`` `name` ``                 replaced by the value of a template variable, anywhere
``<!-- -->``                 a comment, over any number of lines
===========================  ===========================================================================

Any other line is logged and skipped. ``* _intent[entity=value]``, of old, is read too.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rasa_core.events import ActionExecuted, Event, UserUttered, check_parse_data
from rasa_core.exceptions import EventError, StoryParseError
from rasa_core.stories.builder import StoryBuilder
from rasa_core.stories.files import list_story_files, read_story_text
from rasa_core.stories.lines import Line, LineReader
from rasa_core.stories.messages import LineError, Wording, decode_object, read_messages, story_message
from rasa_core.stories.names import NameCheck
from rasa_core.stories.steps import Checkpoint, Source, StoryStep

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.interpreter import NaturalLanguageInterpreter

logger = logging.getLogger(__name__)

# Events that no story line stands for; such a name is the name of an action.
_NOT_IN_STORIES: Final = frozenset(["user", "bot", "agent", "action", "topic"])


class StoryFileReader:
    """Reads story files.

    Parameters
    ----------
    domain
        Names that it does not have are logged; None checks nothing.
    interpreter
        Parses messages that are neither an intent of the domain nor followed by a JSON object; None takes
        every message for an intent.
    template_vars
        Values of template variables.
    """

    def __init__(
        self,
        domain: Domain | None = None,
        interpreter: NaturalLanguageInterpreter | None = None,
        template_vars: Mapping[str, Any] | None = None,
    ) -> None:
        self._names = NameCheck(domain)
        self._interpreter = interpreter
        self._variables = template_vars or {}
        self._events_before: dict[str, tuple[Event, ...]] = {}
        self._messages_before: dict[str, tuple[UserUttered, ...]] = {}
        self._file: str | None = None
        self._label = ""
        self._story: StoryBuilder | None = None
        self._story_name = ""
        self._told_of_old_format = False

    @staticmethod
    def read_from_file(
        filename: str | Path,
        domain: Domain | None,
        interpreter: NaturalLanguageInterpreter | None = None,
        template_variables: Mapping[str, Any] | None = None,
    ) -> list[StoryStep]:
        """Return the steps of one file; raise `StoryParseError` if it cannot be read."""
        path = Path(filename)
        reader = StoryFileReader(domain, interpreter, template_variables)
        return reader.process_lines(read_story_text(path), str(path), label=path.name)

    @staticmethod
    def read_from_folder(
        resource_name: str | Path,
        domain: Domain | None,
        interpreter: NaturalLanguageInterpreter | None = None,
        template_variables: Mapping[str, Any] | None = None,
    ) -> list[StoryStep]:
        """Return the steps of all story files in a folder and those below it, in the order of their paths."""
        folder = Path(resource_name)
        reader = StoryFileReader(domain, interpreter, template_variables)
        steps: list[StoryStep] = []
        for path in list_story_files(folder):
            label = path.relative_to(folder).as_posix()
            steps.extend(reader.process_lines(read_story_text(path), str(path), label=label))
        return steps

    def process_lines(self, lines: Iterable[str], file: str | None = None, *, label: str = "") -> list[StoryStep]:
        """Return the steps of one file, given as lines.

        Parameters
        ----------
        lines
            With or without their ends.
        file
            What sources, errors and log entries call it.
        label
            Tells it from other files, the same on every machine.

        Raises
        ------
        StoryParseError
            With file, line and column.
        """
        self._file, self._label, self._story, self._told_of_old_format = file, label, None, False
        steps: list[StoryStep] = []
        for line in LineReader(file, self._variables).read(lines):
            if line.text[0] == "#":
                steps.extend(self._finish_story())
                self._begin_story(line)
            else:
                self._read(line)
        steps.extend(self._finish_story())
        return steps

    def _begin_story(self, line: Line) -> None:
        self._story_name = line.text.lstrip("#").strip()
        self._story = StoryBuilder(self._story_name, self._source(line), self._label)

    def _finish_story(self) -> list[StoryStep]:
        return [] if self._story is None else self._story.finish()

    def _source(self, line: Line) -> Source:
        return Source(self._file, line.number, self._story_name)

    def _error(self, line: Line, position: int, problem: str) -> StoryParseError:
        return StoryParseError(problem, self._file, line.number, line.column(position))

    def _read(self, line: Line) -> None:
        mark = line.text[0]
        if mark not in "*->" or (len(line.text) > 2 and not line.text.strip(mark)):
            expected = "a line starts with ##, *, - or >"
            logger.warning("%s: skipped %.80r: %s.", self._source(line), line.text, expected)
            return
        if self._story is None:
            problem = f"{line.text[:80]!r} belongs to no story; begin one with a line like ## name."
            raise self._error(line, 0, problem)
        try:
            if mark == "*":
                self._read_messages(line, self._story)
            elif mark == "-":
                self._read_event(line, self._story)
            else:
                self._read_checkpoint(line, self._story)
        except LineError as error:
            raise self._error(line, error.position, str(error)) from error

    def _read_checkpoint(self, line: Line, story: StoryBuilder) -> None:
        name, conditions = _name_and_object(line.text, "a checkpoint", '> name or > name{"slot": "value"}')
        source = self._source(line)
        for slot in conditions:
            self._names.check("slot", slot, source)
        story.add_checkpoint(Checkpoint(name, conditions), source)

    def _read_event(self, line: Line, story: StoryBuilder) -> None:
        source = self._source(line)
        events = self._events_before.get(line.text)
        if events is None:
            events = self._events_before[line.text] = self._events(line)
            for event in events:
                self._names.check_event(event, source)
        story.add_events(events, source)

    def _events(self, line: Line) -> tuple[Event, ...]:
        example = '- utter_greet or - slot{"name": "value"}'
        name, parameters = _name_and_object(line.text, "an action or event", example)
        if name in _NOT_IN_STORIES:
            return (ActionExecuted(name),)
        try:
            events = Event.from_story_string(name, parameters, ActionExecuted)
        except EventError as error:
            raise LineError(str(error), line.text.index(name)) from error
        if events is None:
            return ()
        return tuple(events) if isinstance(events, list) else (events,)

    def _read_messages(self, line: Line, story: StoryBuilder) -> None:
        source = self._source(line)
        messages = self._messages_before.get(line.text)
        if messages is None:
            wordings = read_messages(line.text, 1, self._names.known("intent"))
            messages = tuple(map(self._message, wordings))
            for message in messages:
                self._names.check_event(message, source)
            if any(wording.is_old_format for wording in wordings):
                self._tell_of_old_format(source)
            else:
                self._messages_before[line.text] = messages
        if len(messages) == 1:
            story.add_events(messages, source)
        else:
            story.add_alternatives(messages, source)

    def _message(self, wording: Wording) -> UserUttered:
        is_intent = wording.has_object or wording.is_old_format or wording.name in self._names.known("intent")
        if is_intent or self._interpreter is None:
            return story_message(wording)
        parse = self._interpreter.parse(wording.name)
        try:
            check_parse_data(parse)
        except EventError as error:
            problem = f"the interpreter gave no valid parse of {wording.name[:80]!r}: {error}"
            raise LineError(problem, 1) from error
        return UserUttered(wording.name, parse["intent"], parse["entities"], parse)

    def _tell_of_old_format(self, source: Source) -> None:
        if not self._told_of_old_format:
            self._told_of_old_format = True
            old, new = "* _intent[entity=value]", '* intent{"entity": "value"}'
            message = f"{source}: messages like {old} are of an old format; write {new}."
            warnings.warn(message, DeprecationWarning, stacklevel=2)


def _name_and_object(text: str, what: str, example: str) -> tuple[str, dict[str, Any]]:
    """Return name and parameters of ``mark name{parameters}``."""
    opening = text.find("{")
    name = (text[1:] if opening < 0 else text[1:opening]).strip()
    if not name:
        raise LineError(f"the name of {what} is missing; write {example}.", min(1, len(text) - 1))
    if opening < 0:
        return name, {}
    parameters, end = decode_object(text, opening)
    if text[end:].strip():
        rest = text[end:].strip()[:80]
        raise LineError(f"{rest!r} stands after the JSON object; nothing was expected there.", end)
    return name, parameters
