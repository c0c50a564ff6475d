"""What an interpreter is trained from: messages with intents and entities, synonyms, patterns, tables; and settings."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NoReturn

from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.spelling import alike
from rasa_core.support.marked_text import MOST_SHOWN, EntitySpan
from rasa_core.support.places import Place
from rasa_core.support.problems import listed
from rasa_core.support.text_files import TextFileError, read_lines, read_text

ROOT: Final = "rasa_nlu_data"
"""The key of all that is in a file of JSON."""

_POSIX_CLASS: Final = re.compile(r"\[:\^?[a-z]+:\](?=.*\])")
_MOST_ABOVE: Final = 4


class NLUDataError(RasaCoreError, ValueError):
    """NLU data cannot be read.

    Parameters
    ----------
    problem
        What is wrong, what was expected, and the remedy.
    place
        Where; the message begins with it.
    others
        What else is wrong in the same text; the message has the first few of them too, a line each.
    """

    def __init__(self, problem: str, place: Place | None = None, others: Sequence[NLUDataError] = ()) -> None:
        self.problem = problem
        self.place = place
        self.others = tuple(others)
        super().__init__(listed([problem if place is None else f"{place}: {problem}", *self.others]))


@contextmanager
def data_errors() -> Iterator[None]:
    """Turn what the block raises because a file cannot be read into an `NLUDataError`."""
    try:
        yield
    except TextFileError as error:
        raise NLUDataError(error.problem, error.place) from error


@dataclass(frozen=True, slots=True)
class NLUExample:
    """A message that people may send.

    Attributes
    ----------
    text : str
        As it was written, without markup.
    intent : str or None
        None for an example of entities alone.
    entities : tuple of EntitySpan
        In the order of the text.
    place : Place
        Where the example was read; two examples that differ in it alone are equal.
    """

    text: str
    intent: str | None
    entities: tuple[EntitySpan, ...] = ()
    place: Place = field(default=Place("data"), compare=False)


@dataclass(frozen=True, slots=True)
class Synonym:
    """Says that a text stands for a value; `place` does not take part in comparisons."""

    text: str
    value: str
    place: Place = field(default=Place("data"), compare=False)


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression, in the syntax of Python, that hints at an intent or entity."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """A list of texts, such as the names of cities, that hints at an entity; or is enough for one, with `extract`."""

    name: str
    entries: tuple[str, ...]
    extract: bool = field(default=False, compare=False)


_COLUMNS = ("examples", "definitions", "regexes", "lookups")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All that an interpreter learns from.

    Attributes
    ----------
    examples : tuple of NLUExample
        In the order of files and lines.
    synonyms : mapping
        Text, as `rasa_core.nlu.spelling.alike` returns it, to the value that it stands for; of two values, the later.
    regexes : tuple of Regex
    lookups : tuple of Lookup
    definitions : tuple of Synonym
        Where each synonym was read, with those that a later one overruled.
    problems : tuple of NLUDataError
        What was wrong in what was read, and left out.
    """

    examples: tuple[NLUExample, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)
    regexes: tuple[Regex, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    definitions: tuple[Synonym, ...] = field(default=(), compare=False)
    problems: tuple[NLUDataError, ...] = field(default=(), compare=False)

    @classmethod
    def build(
        cls,
        examples: Iterable[NLUExample] = (),
        definitions: Iterable[Synonym] = (),
        regexes: Iterable[Regex] = (),
        lookups: Iterable[Lookup] = (),
    ) -> TrainingData:
        """Return the data with its synonyms applied to the values of entities."""
        definitions = tuple(definitions)
        # Known only when all files are read: a synonym may stand behind the example that it is for.
        synonyms = {alike(definition.text): definition.value for definition in definitions}
        mapped = tuple(_with_synonyms(example, synonyms) for example in examples)
        return cls(mapped, synonyms, tuple(regexes), tuple(lookups), definitions)

    @property
    def intents(self) -> list[str]:
        """Names of the intents that have examples, sorted."""
        return sorted({example.intent for example in self.examples if example.intent is not None})

    @property
    def entities(self) -> list[str]:
        """Names of the entities that stand in examples, sorted."""
        return sorted({span.entity for example in self.examples for span in example.entities})

    @property
    def labels(self) -> list[tuple[str, str, str]]:
        """Entity, role and group of all that stands in examples, sorted."""
        return sorted({span.label for example in self.examples for span in example.entities})

    @classmethod
    def joined(cls, parts: Iterable[TrainingData]) -> TrainingData:
        """Return several pieces of data as one, in their order; the synonyms of each hold in all."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        columns = ([one for part in parts for one in getattr(part, name)] for name in _COLUMNS)
        return replace(cls.build(*columns), problems=tuple(one for part in parts for one in part.problems))

    def fingerprint(self) -> str:
        """Return a hash, in hexadecimal, of all that is learnt from: the same for the same content in other files."""
        # Without places and definitions, so that moving an example from file to file trains nothing anew.
        content = [
            [[e.text, e.intent, [[s.start, s.end, *s.label, s.value] for s in e.entities]] for e in self.examples],
            sorted(self.synonyms.items()),
            [[regex.name, regex.pattern] for regex in self.regexes],
            [[lookup.name, lookup.entries] for lookup in self.lookups],
        ]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _with_synonyms(example: NLUExample, synonyms: Mapping[str, str]) -> NLUExample:
    """Return the example with the values of its entities replaced, where they are but the text itself."""
    if not synonyms or not example.entities:
        return example
    spans = tuple(
        replace(span, value=synonyms[alike(span.value)])
        # A value that somebody has written for this example wins over a synonym.
        if alike(span.value) in synonyms and span.value == example.text[span.start : span.end]
        else span
        for span in example.entities
    )
    return example if spans == example.entities else replace(example, entities=spans)


class TrainingDataBuilder:
    """Collects what the reader of any format finds in one file, or in one text that came without a file.

    Parameters
    ----------
    name
        What errors and places call the file.
    folder
        Where the paths of lookup tables begin; None for a text that came without a file, which may name none.
    is_strict
        Whether anything that is wrong is an error, rather than left out.

    Attributes
    ----------
    line : int or None
        What is added, or fails, stands there.
    """

    def __init__(self, name: str, folder: Path | None = None, *, is_strict: bool = True) -> None:
        self.name = name
        self._is_strict = is_strict
        self.line: int | None = None
        self._folder = folder
        self._examples: list[NLUExample] = []
        self._definitions: list[Synonym] = []
        self._regexes: list[Regex] = []
        self._lookups: dict[str, list[str]] = {}
        self._extracted: set[str] = set()
        self._errors: list[NLUDataError] = []
        self._harmless: list[NLUDataError] = []

    @property
    def place(self) -> Place:
        """The file, and the line that is read."""
        return Place(self.name, self.line)

    def fail(self, problem: str) -> NoReturn:
        """Raise `NLUDataError` for the line that is read."""
        raise NLUDataError(problem, self.place)

    @contextmanager
    def each(self, line: int | None) -> Iterator[None]:
        """Read what stands on a line; keep an error until `data` is asked for, and go on with what is behind it."""
        self.line = line
        try:
            yield
        except NLUDataError as error:
            self._errors.append(error)

    def tell(self, problem: str, *, is_harmless: bool = False) -> None:
        """Note something on the line that is read that is not as it should be, but is clear.

        What is harmless is no error, even where nothing may be left out.
        """
        (self._harmless if is_harmless else self._errors).append(NLUDataError(problem, self.place))

    def add_example(self, text: str, intent: str | None, entities: Iterable[EntitySpan]) -> None:
        """Add a message; an entity has no space at its edges, and one whose value is not its text makes a synonym.

        Fail if its intent is a part of another, as of ``faq`` is ``faq/hours``, and one of the two has no name.
        """
        if intent is not None and not all(map(str.strip, intent.split("/"))):
            self.fail(f"the intent {intent[:MOST_SHOWN]!r} has no name on one side of a slash; expected faq/hours.")
        spans = tuple(sorted(_trimmed(span, text) for span in entities))
        for span in spans:
            covered = text[span.start : span.end]
            if covered and span.value != covered:
                self.add_synonym(covered, span.value)
        self._examples.append(NLUExample(text, intent, spans, self.place))

    def add_synonym(self, text: str, value: str) -> None:
        """Say that `text` stands for `value`."""
        self._definitions.append(Synonym(text, value, self.place))

    def add_regex(self, name: str, pattern: str) -> None:
        """Add a regular expression; fail if it is none."""
        if found := _POSIX_CLASS.search(pattern):
            remedy = "is no class of characters in Python, and is read as one; write a-z, 0-9 or the like"
            self.tell(f"{found[0]!r} in {pattern[:MOST_SHOWN]!r} {remedy}.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # Of a set that may be meant to be within another.
                re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            remedy = "put a backslash before a character meant as such"
            if "extension ?<" in str(error):
                remedy = "a group with a name is (?P<name>...) in Python"
            self.fail(f"{pattern[:MOST_SHOWN]!r} is no regular expression: {error}; {remedy}.")
        self._regexes.append(Regex(name, pattern))

    def add_lookup(self, name: str, entries: Iterable[str]) -> None:
        """Add entries to a lookup table."""
        self._lookups.setdefault(name, []).extend(entries)

    def extract_by(self, lookup: str) -> None:
        """Say that the entries of a lookup table are entities wherever they stand."""
        self._extracted.add(lookup)

    def add_lookup_file(self, name: str, path: str) -> None:
        """Add the lines of a text file to a lookup table.

        Its path is relative to the file that names it, to a folder above that, as that of the project, or to the
        current one.
        """
        if self._folder is None:  # It may have been sent by anybody, who is not to read files of a server.
            shown = path[:MOST_SHOWN]
            self.fail(f"the lookup table {name!r} names the file {shown!r}; expected its entries, one an item.")
        above = list(self._folder.absolute().parents)[:_MOST_ABOVE]
        candidates = [self._folder / path, Path(path), *(parent / path for parent in above)]
        found = next((candidate for candidate in candidates if candidate.is_file()), None)
        if found is None:
            looked = " and ".join(repr(str(candidate)) for candidate in dict.fromkeys(candidates[:2]))
            self.fail(f"the lookup table {name!r} names a file that is not there; looked for {looked}.")
        with data_errors():
            self.add_lookup(name, filter(None, map(str.strip, read_lines(found))))

    def beside(self, name: str) -> str:
        """Return the text of another file in the folder; nothing if there is none, or the text came without a file."""
        found = None if self._folder is None else self._folder / name
        with data_errors():
            return read_text(found) if found is not None and found.is_file() else ""

    @property
    def _has_anything(self) -> bool:
        return bool(self._examples or self._definitions or self._regexes or self._lookups)

    def data(self) -> TrainingData:
        """Return all that was added; raise `NLUDataError` if nothing may be left out, or nothing is left."""
        if self._errors and (self._is_strict or not self._has_anything):
            first = self._errors[0]
            raise NLUDataError(first.problem, first.place, self._errors[1:])
        lookups = [
            Lookup(name, tuple(dict.fromkeys(entries)), name in self._extracted)
            for name, entries in self._lookups.items()
        ]
        found = TrainingData.build(self._examples, self._definitions, self._regexes, lookups)
        told = sorted((*self._errors, *self._harmless), key=lambda one: (one.place and one.place.line) or 0)
        return replace(found, problems=tuple(told))


def _trimmed(span: EntitySpan, text: str) -> EntitySpan:
    covered = text[span.start : span.end]
    if covered == covered.strip() or not covered.strip():
        return span
    start = span.start + len(covered) - len(covered.lstrip())
    value = covered.strip() if span.value == covered else span.value.strip()
    return replace(span, start=start, end=start + len(covered.strip()), value=value)
