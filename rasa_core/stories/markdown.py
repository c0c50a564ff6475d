"""Reads stories from Markdown.

===========================  ===========================================================================
Line                         Meaning
===========================  ===========================================================================
``## name``                  a story begins
``* intent{"entity": 1}``    the user says something; a list gives several entities of one name
``* a OR b{"x": 1}``         the user says one of several things
``- action``                 the bot does something
``- slot{"name": value}``    an event; also restart, reset_slots, rewind, undo, pause, resume, reminder
``> name{"slot": value}``    at the start of a story: continues stories that end with this name, if the slots
                             have these values
``> name``                   at the end of a story: stories that start with this name continue it
`` `name` ``                 replaced by the value of a template variable, anywhere
``<!-- -->``                 a comment, over any number of lines
===========================  ===========================================================================

The reader reports and skips any other line. A line that begins with a character which only looks like one of these
marks is an error. The old form ``* _intent[entity=value]`` is read too, with or without its first character.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, UserUttered, check_parse_data
from rasa_core.exceptions import EventError, did_you_mean
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.stories.builder import DOUBTFUL, LOST, NameCheck, StoryBuilder, report
from rasa_core.stories.files import read_story_files
from rasa_core.stories.messages import Doubt, LineError, Wording, read_messages, read_name_and_object, story_message
from rasa_core.stories.steps import Checkpoint, StoryStep
from rasa_core.support.places import Place
from rasa_core.support.problems import Problem

# Events without a story line: a line with such a name is an action.
_NAMELESS: Final = ("-", ">")
_IN_FORM: Final = "form: "
"""Rasa's mark of a line inside of a form: the form decides it, so policies do not learn it."""
_MARKS_OF_LISTS: Final = re.compile(r"^[\W\d]+")  # As in "+ greet", "1. greet" and "[ ] greet".
_OLD_END, _END = "action_deactivate_form", "action_deactivate_loop"  # Of Rasa 1, and of later versions.
_NOT_IN_STORIES: Final = frozenset(["user", "bot", "agent", "action", "topic"])
# Characters that cannot be seen, dashes, bullets, stars, quotes and others that are taken for the marks of lines.
_LOOKALIKES: Final = (
    "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u2500\uff0d\ufe58\ufe63"
    "\u2022\u2023\u25cf\u25aa\u25e6\u00b7\u2219\u22c5\u2217\uff0a\u204e\u2731"
    "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\uff03\ufe5f\uff1e\u203a"
)


class StoryFileReader:
    """Reads story files, and goes on after a wrong line, so that it reports all mistakes at once.

    Parameters
    ----------
    domain
        The domain; names that it does not have are reported. None checks no names.
    interpreter
        Parses messages that are neither an intent of the domain nor followed by a JSON object; None takes
        every message for an intent.
    template_vars
        Values of template variables.
    problems
        A list to which mistakes are added; stories with a wrong line are left out then. Without the list, mistakes
        raise an error, and harmless ones are logged.
    """

    def __init__(
        self,
        domain: Domain | None = None,
        interpreter: NaturalLanguageInterpreter | None = None,
        template_vars: Mapping[str, Any] | None = None,
        problems: list[Problem] | None = None,
    ) -> None:
        self._are_gathered = problems is not None
        self._problems: list[Problem] = [] if problems is None else problems
        self._names = NameCheck(domain, self._problems)
        self._interpreter = interpreter
        self._variables = template_vars or {}
        # Equal lines, which are frequent, share one object; training trackers compare messages by identity.
        self._events_before: dict[str, tuple[Event, ...]] = {}
        self._messages_before: dict[str, tuple[UserUttered, ...]] = {}
        self._file: str | None = None
        self._label = ""
        self._story: StoryBuilder | None = None
        self._story_name = ""
        self._is_broken = False
        self._told_of_old_format = False
        self._readers = {"*": self._read_messages, "-": self._read_event, ">": self._read_checkpoint}

    @staticmethod
    def read_from_file(
        filename: str | Path | Sequence[str | Path],
        domain: Domain | None,
        interpreter: NaturalLanguageInterpreter | None = None,
        template_variables: Mapping[str, Any] | None = None,
    ) -> list[StoryStep]:
        """Return the steps of one file, of several, or of a folder; raise `StoryParseError` if it cannot be read."""
        stories = StoryFileReader(domain, interpreter, template_variables).read_stories(filename)
        return [step for story in stories for step in story]

    @staticmethod
    def read_from_folder(
        resource_name: str | Path,
        domain: Domain | None,
        interpreter: NaturalLanguageInterpreter | None = None,
        template_variables: Mapping[str, Any] | None = None,
    ) -> list[StoryStep]:
        """Return the steps of all story files in a folder and below it; see `read_from_file`."""
        return StoryFileReader.read_from_file(resource_name, domain, interpreter, template_variables)

    def read_stories(self, resource: str | Path | Sequence[str | Path]) -> list[list[StoryStep]]:
        """Return the steps of each story in a file, in several, or in all story files of a folder and below it.

        Raises `StoryParseError`, which lists what is wrong in all files, unless problems are gathered.
        """
        stories: list[list[StoryStep]] = []
        where = Path(resource) if isinstance(resource, str) else resource
        for path, label, lines in read_story_files(where, self._problems):
            stories += self._read_file(lines, str(path), label)
        self._report()
        return stories

    def process_lines(self, lines: Iterable[str], file: str | None = None, *, label: str = "") -> list[StoryStep]:
        """Return the steps of one file, given as lines; see `read_stories` for the errors.

        Parameters
        ----------
        lines
            The lines, with or without line ends.
        file
            The name of the file in places, errors and log entries.
        label
            A name for the file that is the same on every machine.
        """
        stories = self._read_file(lines, file, label)
        self._report()
        return [step for story in stories for step in story]

    def _report(self) -> None:
        if not self._are_gathered:
            found = self._problems[:]
            self._problems.clear()
            report(found)

    def _fail(self, number: int, column: int, problem: str) -> None:
        self._is_broken = True
        self._problems.append(Problem("error", problem, Place(self._file, number, column=column)))

    def _read_file(self, lines: Iterable[str], file: str | None, label: str) -> list[list[StoryStep]]:
        self._file, self._label, self._told_of_old_format = file, label, False
        self._story, self._story_name, self._is_broken = None, "", False
        stories: list[list[StoryStep]] = []
        read = list(lines)
        comment = _open_comment(read)
        if comment is not None:  # As in 0.9, lines below an unclosed comment are read; else they would be lost.
            read[comment[0] - 1] = read[comment[0] - 1][: comment[1]]
        for line in _LineReader(self._variables).read(read):
            if comment is not None and line.number >= comment[0]:
                self._tell_of_comment(*comment)
                comment = None
            if line.text[0] == "#":
                stories += self._finish_story()
                self._begin_story(line)
            elif line.error is None:
                self._read(line)
            if line.error is not None:
                self._fail(line.number, line.error.position + 1, str(line.error))
        if comment is not None:
            self._tell_of_comment(*comment)
        stories += self._finish_story()
        return stories

    def _tell_of_comment(self, number: int, position: int) -> None:
        problem = "this comment is not closed, and is taken to end with its line; write --> where it ends."
        self._problems.append(Problem("warning", problem, Place(self._file, number, column=position + 1), DOUBTFUL))

    def _begin_story(self, line: _StoryLine) -> None:
        self._story_name, self._is_broken = line.text.lstrip("#").strip(), False
        place = Place(self._file, line.number, self._story_name)
        tells = not self._names.is_of_rasa
        self._story = StoryBuilder(self._story_name, place, self._label, self._problems, tells_listening=tells)

    def _finish_story(self) -> list[list[StoryStep]]:
        steps = [] if self._story is None or self._is_broken else self._story.finish()
        return [steps] if steps else []

    def _read(self, line: _StoryLine) -> None:
        mark, place = line.text[0], Place(self._file, line.number, self._story_name)
        is_drawn = len(line.text) > 2 and not line.text.strip(mark)
        if mark not in self._readers or is_drawn or line.text in _NAMELESS:
            self._skip(line, place)
        elif line.text[1:].lstrip().startswith(_IN_FORM):
            return
        elif self._story is not None:
            try:
                self._readers[mark](line.text, place, self._story)
            except LineError as error:
                self._fail(line.number, line.column(error.position), str(error))
        elif not self._is_broken:  # Of all lines before the first story, only one is reported.
            problem = f"{line.text[:80]!r} belongs to no story; begin one with a line like ## name."
            self._fail(line.number, line.column(0), problem)

    def _skip(self, line: _StoryLine, place: Place) -> None:
        """Report a line that does not belong to a story, and whether some of the story is lost with it."""
        expected = "a line starts with ##, *, - or >."
        if (first := line.text[0]) in _LOOKALIKES:
            known = f"{unicodedata.name(first, 'a character').lower()} (U+{ord(first):04X})"
            self._fail(line.number, line.column(0), f"the line begins with {known}, which only looks right; {expected}")
            return
        if line.text in _NAMELESS:
            expected = "the name of an action or a checkpoint is missing behind it."
        said = _MARKS_OF_LISTS.sub("", line.text.partition("{")[0]).strip()
        is_lost = first == "+" or any(said in self._names.known(kind) for kind in ("intent", "action"))
        text = f"skipped {line.text!r:.80}: {expected}"
        self._problems.append(Problem("warning", text, place, LOST if is_lost else ""))

    def _doubt(self, doubt: Doubt | None, place: Place) -> None:
        if doubt is not None:
            self._problems.append(Problem("warning", doubt.message, place, LOST if doubt.is_lost else DOUBTFUL))

    def _read_checkpoint(self, text: str, place: Place, story: StoryBuilder) -> None:
        name, conditions, doubt = read_name_and_object(text, "a checkpoint", '> name or > name{"slot": "value"}')
        self._doubt(doubt, place)
        for slot in conditions:
            self._names.check("slot", slot, place)
        story.add_checkpoint(Checkpoint(name, conditions), place)

    def _read_event(self, text: str, place: Place, story: StoryBuilder) -> None:
        events = self._events_before.get(text)
        if events is None:
            events, doubt = _events_of(text)
            if text[1:].strip() == _OLD_END and _END in self._names.known("action"):
                events = (ActionExecuted(_END),)
            self._doubt(doubt, place)
            if doubt is None:  # A doubtful line is reported at each place.
                self._events_before[text] = events
            for event in events:
                self._names.check_event(event, place)
        story.add_events(events, place)

    def _read_messages(self, text: str, place: Place, story: StoryBuilder) -> None:
        messages = self._messages_before.get(text)
        if messages is None:
            wordings = read_messages(text, 1, self._names.known("intent"))
            messages = tuple(map(self._message, wordings))
            for message, wording in zip(messages, wordings, strict=True):
                self._names.check_event(message, place)
                self._doubt(wording.doubt, place)
            # Doubtful lines are not cached, so that each place is reported.
            if any(wording.is_old_format for wording in wordings):
                self._tell_of_old_format(place)
            elif not any(wording.doubt for wording in wordings):
                self._messages_before[text] = messages
        if len(messages) == 1:
            story.add_events(messages, place)
        else:
            story.add_alternatives(messages, place)

    def _message(self, wording: Wording) -> UserUttered:
        is_intent = wording.has_object or wording.is_old_format or wording.name in self._names.known("intent")
        if is_intent or not wording.name or self._interpreter is None:
            return story_message(wording)
        parse = self._interpreter.parse(wording.name)
        try:
            check_parse_data(parse)
        except EventError as error:
            problem = f"the interpreter gave no valid parse of {wording.name[:80]!r}: {error}"
            raise LineError(problem, 1) from error
        return UserUttered(wording.name, parse["intent"], parse["entities"], parse)

    def _tell_of_old_format(self, place: Place) -> None:
        if not self._told_of_old_format:
            self._told_of_old_format = True
            old, new = "* _intent[entity=value]", '* intent{"entity": "value"}'
            message = f"{place}: messages like {old} are of an old format; write {new}."
            warnings.warn(message, DeprecationWarning, stacklevel=2)


def _events_of(text: str) -> tuple[tuple[Event, ...], Doubt | None]:
    """Return the events of a line that begins with a dash, and the doubt about how it was read, if there is one."""
    example = '- utter_greet or - slot{"name": "value"}'
    name, parameters, doubt = read_name_and_object(text, "an action or event", example)
    if name in _NOT_IN_STORIES:
        return (ActionExecuted(name),), doubt
    try:
        # A name that is no event is an action.
        events = Event.from_story_string(name, parameters, ActionExecuted)
    except EventError as error:
        raise LineError(str(error), text.index(name)) from error
    if events is None:
        return (), doubt
    return (tuple(events) if isinstance(events, list) else (events,)), doubt


# -- lines, without comments and with template variables filled in


def _open_comment(lines: Sequence[str]) -> tuple[int, int] | None:
    """Return the line, counted from 1, and the position at which an unclosed comment begins; None without one."""
    opened: tuple[int, int] | None = None
    for number, line in enumerate(lines, 1):
        at = 0
        while (found := line.find("<!--" if opened is None else "-->", at)) >= 0:
            at = found + (4 if opened is None else 3)
            opened = (number, found) if opened is None else None
    return opened


_MARK: Final = re.compile(r"<!--.*?(?P<end>-->|\Z)|`(?P<variable>(?:(?!<!--)[^`])+)`", re.DOTALL)


@dataclass(slots=True)
class _StoryLine:
    """A line with content: its number, counted from 1, and its text without comments and surrounding space.

    Attributes
    ----------
    origins : list of (int, int)
        Positions in `text`, ascending, and the positions in the line as it was written from which they came.
    error : LineError or None
        What is wrong with a variable, at a position in the line as it was written.
    """

    number: int
    text: str
    origins: list[tuple[int, int]]
    error: LineError | None = None

    def column(self, position: int) -> int:
        """Return the column, counted from 1, at which the character at `position` of the text was written."""
        index = bisect_right(self.origins, position, key=itemgetter(0)) - 1
        start, origin = self.origins[max(0, index)]
        return origin + position - start + 1


class _LineReader:
    """Reads the lines of one file; `comment` is the line and position of a comment that has not ended yet."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._error: LineError | None = None
        self.comment: tuple[int, int] | None = None

    def read(self, lines: Iterable[str]) -> Iterator[_StoryLine]:
        """Yield the lines with content."""
        for number, raw in enumerate(lines, 1):
            if self.comment is None and "<!--" not in raw and "`" not in raw:
                text = raw.strip()
                if text:
                    yield _StoryLine(number, text, [(0, raw.index(text[0]))])
                continue
            self._error = None
            pieces = list(self._pieces(number, raw))
            whole = "".join(text for _, text in pieces)
            if text := whole.strip():
                starts = accumulate((len(text) for _, text in pieces), initial=len(whole.lstrip()) - len(whole))
                origins = [(start, origin) for start, (origin, _) in zip(starts, pieces, strict=False)]
                yield _StoryLine(number, text, origins, self._error)

    def _pieces(self, number: int, raw: str) -> Iterator[tuple[int, str]]:
        """Yield the text outside of comments, in pieces, each with the position at which it was written."""
        position = 0
        if self.comment is not None:
            end = raw.find("-->")
            if end < 0:
                return
            self.comment, position = None, end + len("-->")
        for found in _MARK.finditer(raw, position):
            yield position, raw[position : found.start()]
            position = found.end()
            if found["variable"] is not None:
                yield found.start(), self._value(found["variable"], found.start())
            elif not found["end"]:
                self.comment = number, found.start()
        yield position, raw[position:]

    def _value(self, name: str, position: int) -> str:
        if name not in self._variables and self._error is None:
            known = ", ".join(sorted(self._variables)) or "none"
            hint = did_you_mean(name, self._variables)
            problem = f"the template variable {name[:100]!r} is not defined.{hint} Known: {known}."
            self._error = LineError(problem, position)
        return str(self._variables.get(name, name))
