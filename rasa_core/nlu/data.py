"""Training data of an interpreter: messages with their intents and entities, synonyms, patterns and lookup tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rasa_core.exceptions import RasaCoreError

_MOST_TOLD = 9


@dataclass(frozen=True, slots=True)
class Source:
    """Where something stands: a file, and a line counted from 1; None for the whole file."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        """Return ``file:line``."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


class NLUDataError(RasaCoreError, ValueError):
    """NLU data cannot be read.

    Parameters
    ----------
    problem
        What is wrong, what was expected, and the remedy.
    source
        Where; the message begins with it.
    others
        What else is wrong in the same text; the message has the first few of them too, a line each.
    """

    def __init__(self, problem: str, source: Source | None = None, others: Sequence[NLUDataError] = ()) -> None:
        self.problem = problem
        self.source = source
        self.others = tuple(others)
        lines = [problem if source is None else f"{source}: {problem}", *map(str, self.others[:_MOST_TOLD])]
        if len(self.others) > _MOST_TOLD:
            lines.append(f"and {len(self.others) - _MOST_TOLD} more errors")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True, order=True)
class EntitySpan:
    """A part of a text that names something.

    Attributes
    ----------
    start, end : int
        The part is ``text[start:end]``, in characters. In data that people wrote it may be empty, and says nothing.
    entity : str
        What kind of thing: ``city``.
    value : str
        What is named, after synonyms: ``New York`` for ``NYC``.
    """

    start: int
    end: int
    entity: str
    value: str


@dataclass(frozen=True, slots=True)
class Example:
    """A message that people may send.

    Attributes
    ----------
    text : str
        As it was written, without markup.
    intent : str or None
        None for an example of entities alone.
    entities : tuple of EntitySpan
        In the order of the text.
    source : Source
        Where the example was read; two examples that differ in it alone are equal.
    """

    text: str
    intent: str | None
    entities: tuple[EntitySpan, ...] = ()
    source: Source = field(default=Source("data"), compare=False)


@dataclass(frozen=True, slots=True)
class Synonym:
    """Says that a text stands for a value; `source` does not take part in comparisons."""

    text: str
    value: str
    source: Source = field(default=Source("data"), compare=False)


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression, in the syntax of Python, that hints at an intent or entity."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Lookup:
    """A list of texts, such as the names of cities, that hints at an entity."""

    name: str
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All that an interpreter learns from.

    Attributes
    ----------
    examples : tuple of Example
        In the order of files and lines.
    synonyms : mapping
        Lower-cased text to the value that it stands for; of two values for one text, the later.
    regexes : tuple of Regex
    lookups : tuple of Lookup
    definitions : tuple of Synonym
        Where each synonym was read, with those that a later one overruled.
    """

    examples: tuple[Example, ...] = ()
    synonyms: Mapping[str, str] = field(default_factory=dict)
    regexes: tuple[Regex, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    definitions: tuple[Synonym, ...] = field(default=(), compare=False)

    @classmethod
    def build(
        cls,
        examples: Iterable[Example] = (),
        definitions: Iterable[Synonym] = (),
        regexes: Iterable[Regex] = (),
        lookups: Iterable[Lookup] = (),
    ) -> TrainingData:
        """Return the data with its synonyms applied to the values of entities."""
        definitions = tuple(definitions)
        synonyms = {definition.text.lower(): definition.value for definition in definitions}
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

    @classmethod
    def joined(cls, parts: Iterable[TrainingData]) -> TrainingData:
        """Return several pieces of data as one, in their order; the synonyms of each hold in all."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0]
        synonyms = {text: value for part in parts for text, value in part.synonyms.items()}
        return cls(
            tuple(_with_synonyms(example, synonyms) for part in parts for example in part.examples),
            synonyms,
            tuple(regex for part in parts for regex in part.regexes),
            tuple(lookup for part in parts for lookup in part.lookups),
            tuple(definition for part in parts for definition in part.definitions),
        )

    def merged(self, other: TrainingData) -> TrainingData:
        """Return this data followed by `other`; the synonyms of each hold in both."""
        return TrainingData.joined([self, other])

    def fingerprint(self) -> str:
        """Return a hash, in hexadecimal, of all that is learnt from: the same for the same content in other files."""
        content = [
            [[e.text, e.intent, [[s.start, s.end, s.entity, s.value] for s in e.entities]] for e in self.examples],
            sorted(self.synonyms.items()),
            [[regex.name, regex.pattern] for regex in self.regexes],
            [[lookup.name, lookup.entries] for lookup in self.lookups],
        ]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _with_synonyms(example: Example, synonyms: Mapping[str, str]) -> Example:
    """Return the example with the values of its entities replaced, where they are but the text itself."""
    if not synonyms or not example.entities:
        return example
    spans = tuple(
        replace(span, value=synonyms[span.value.lower()])
        if span.value.lower() in synonyms and span.value == example.text[span.start : span.end]
        else span
        for span in example.entities
    )
    return example if spans == example.entities else replace(example, entities=spans)
