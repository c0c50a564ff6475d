"""The training data of an interpreter: examples with intents and entities, synonyms, expressions and lookup tables."""

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
"""The key at the top of a JSON file of NLU data."""

_POSIX_CLASS: Final = re.compile(r"\[:\^?[a-z]+:\](?=.*\])")
_MOST_ABOVE: Final = 4  # Parent folders in which the file of a lookup table is looked for.


class NLUDataError(RasaCoreError, ValueError):
    """NLU data cannot be read.

    Parameters
    ----------
    problem
        The error, what was expected, and the remedy.
    place
        File and line of the problem; the message begins with them.
    others
        Further errors in the same data; the message shows the first few of them, one a line.
    """

    def __init__(self, problem: str, place: Place | None = None, others: Sequence[NLUDataError] = ()) -> None:
        self.problem = problem
        self.place = place
        self.others = tuple(others)
        super().__init__(listed([problem if place is None else f"{place}: {problem}", *self.others]))


@contextmanager
def data_errors() -> Iterator[None]:
    """Raise `NLUDataError` in place of a `TextFileError`, for a file that the block cannot read."""
    try:
        yield
    except TextFileError as error:
        raise NLUDataError(error.problem, error.place) from error


@dataclass(frozen=True, slots=True)
class NLUExample:
    """An example of a message, with its intent and entities.

    Attributes
    ----------
    text : str
        The message as a user would send it, without markup.
    intent : str or None
        The intent; None for an example of entities alone.
    entities : tuple of EntitySpan
        The entities, in the order of the text.
    place : Place
        File and line of the example; comparisons ignore it.
    """

    text: str
    intent: str | None
    entities: tuple[EntitySpan, ...] = ()
    place: Place = field(default=Place("data"), compare=False)


@dataclass(frozen=True, slots=True)
class Synonym:
    """A text that stands for a value of an entity; comparisons ignore `place`, its file and line."""

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
    """A lookup table: a list of texts, such as names of cities, that hint at an entity.

    With `extract`, every entry in a message is an entity, whatever the model says.
    """

    name: str
    entries: tuple[str, ...]
    extract: bool = field(default=False, compare=False)


_COLUMNS = ("examples", "definitions", "regexes", "lookups")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The training data of an interpreter.

    Attributes
    ----------
    examples : tuple of NLUExample
        The examples, in the order of files and lines.
    synonyms : mapping
        The value for each text, whose spelling is normalised by `rasa_core.nlu.spelling.alike`. If a text is defined
        twice, the later value counts.
    regexes : tuple of Regex
    lookups : tuple of Lookup
    definitions : tuple of Synonym
        All definitions of synonyms with their places, including the ones that a later definition overrules.
    problems : tuple of NLUDataError
        The errors in items that were left out, and reports on items that were read.
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
        # Synonyms are applied after all files are read: the definition may stand behind the example.
        synonyms = {alike(definition.text): definition.value for definition in definitions}
        mapped = tuple(_with_synonyms(example, synonyms) for example in examples)
        return cls(mapped, synonyms, tuple(regexes), tuple(lookups), definitions)

    @property
    def intents(self) -> list[str]:
        """Names of the intents that have examples, sorted."""
        return sorted({example.intent for example in self.examples if example.intent is not None})

    @property
    def entities(self) -> list[str]:
        """Names of the entities in the examples, sorted."""
        return sorted({span.entity for example in self.examples for span in example.entities})

    @property
    def labels(self) -> list[tuple[str, str, str]]:
        """Entity, role and group of all entities in the examples, sorted, each once."""
        return sorted({span.label for example in self.examples for span in example.entities})

    @classmethod
    def joined(cls, parts: Iterable[TrainingData]) -> TrainingData:
        """Return several pieces of training data as one, in their order; the synonyms of each apply to all."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        columns = ([one for part in parts for one in getattr(part, name)] for name in _COLUMNS)
        return replace(cls.build(*columns), problems=tuple(one for part in parts for one in part.problems))

    def fingerprint(self) -> str:
        """Return a hash, in hexadecimal, of the content that a model learns from."""
        # Places and definitions are no part of the hash, so that moving an example to another file causes no training.
        content = [
            [[e.text, e.intent, [[s.start, s.end, *s.label, s.value] for s in e.entities]] for e in self.examples],
            sorted(self.synonyms.items()),
            [[regex.name, regex.pattern] for regex in self.regexes],
            [[lookup.name, lookup.entries] for lookup in self.lookups],
        ]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _with_synonyms(example: NLUExample, synonyms: Mapping[str, str]) -> NLUExample:
    """Return the example with synonyms in place of those values of its entities that equal the text of the entity."""
    if not synonyms or not example.entities:
        return example
    spans = tuple(
        replace(span, value=synonyms[alike(span.value)])
        # A value that the example itself gives wins over a synonym.
        if alike(span.value) in synonyms and span.value == example.text[span.start : span.end]
        else span
        for span in example.entities
    )
    return example if spans == example.entities else replace(example, entities=spans)


class TrainingDataBuilder:
    """Collects the items of one file, or of one text without a file, for the readers of all formats.

    Parameters
    ----------
    name
        The name of the file in errors and places.
    folder
        The folder of the file, to which the paths of lookup tables are relative. None for a text without a file, such
        as the body of a request, which may not name files.
    is_strict
        Whether an invalid item is an error; otherwise it is left out, and reported in the data's ``problems``.

    Attributes
    ----------
    line : int or None
        The line that the reader is at: the place of items that are added, and of errors.
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
        """The file, and the line that the reader is at."""
        return Place(self.name, self.line)

    def fail(self, problem: str) -> NoReturn:
        """Raise `NLUDataError` with the place of the current line."""
        raise NLUDataError(problem, self.place)

    @contextmanager
    def each(self, line: int | None) -> Iterator[None]:
        """Read the item on a line in the block; keep an error for `data`, so that the reader goes on with the next."""
        self.line = line
        try:
            yield
        except NLUDataError as error:
            self._errors.append(error)

    def tell(self, problem: str, *, is_harmless: bool = False) -> None:
        """Report a problem on the current line without leaving out the item.

        With `is_strict`, the problem is an error, unless it `is_harmless`.
        """
        (self._harmless if is_harmless else self._errors).append(NLUDataError(problem, self.place))

    def add_example(self, text: str, intent: str | None, entities: Iterable[EntitySpan]) -> None:
        """Add an example; a value of an entity that differs from its text is added as a synonym.

        Spaces at the edges of an entity are cut off. Fail if a side of the slash in an intent, as in ``faq/hours``, is
        empty.
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
        """Add a synonym: `text` stands for `value`."""
        self._definitions.append(Synonym(text, value, self.place))

    def add_regex(self, name: str, pattern: str) -> None:
        """Add a regular expression; fail if Python cannot compile it."""
        if found := _POSIX_CLASS.search(pattern):
            remedy = "is no class of characters in Python, and is read as one; write a-z, 0-9 or the like"
            self.tell(f"{found[0]!r} in {pattern[:MOST_SHOWN]!r} {remedy}.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # Python warns of a [ in a set, as in [[a].
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
        """Mark a lookup table with `extract`: each of its entries in a message is an entity."""
        self._extracted.add(lookup)

    def add_lookup_file(self, name: str, path: str) -> None:
        """Add the lines of a text file to a lookup table.

        Its path is relative to the folder of the NLU file, to the current folder, or to one of the parents of the NLU
        file's folder, such as the project's.
        """
        if self._folder is None:  # The text may come from a request, which must not read files of the server.
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
        """Return the text of another file in the same folder; empty if there is no such file, or no folder."""
        found = None if self._folder is None else self._folder / name
        with data_errors():
            return read_text(found) if found is not None and found.is_file() else ""

    @property
    def _has_anything(self) -> bool:
        return bool(self._examples or self._definitions or self._regexes or self._lookups)

    def data(self) -> TrainingData:
        """Return all items as training data.

        Raise `NLUDataError` with all errors if there are some and `is_strict` is set or no valid item is left.
        """
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
