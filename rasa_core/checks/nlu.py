"""Looks for mistakes in NLU data. Only a file that cannot be read keeps a model from being trained.

===========================  ==================================================================================
Kind                         Meaning
===========================  ==================================================================================
``nlu-data``                 a file cannot be read (an error; all others are warnings)
``left-out``                 an item is not as it should be; it is left out, or read as it is meant
``two-intents``              the same text is an example of two intents
``repeated-example``         the same text is an example of an intent more than once
``two-markings``             the same text has other entities in another example of its intent
``few-examples``             an intent has fewer than 3 examples
``empty-example``            an example has no text
``long-example``             an example has more characters or words than are learnt, and read of a message
``overlapping-entities``     two entities share a part of a text
``misaligned-entity``        an entity begins or ends inside a word, or has punctuation at its edge
``no-mark``                  a text looks like a mark of an entity, and is none: ``[Lisbon] (city)``
``empty-entity``             an entity has no text
``two-values``               a text is a synonym of two values
``intent-not-in-domain``     an intent has examples, but the domain does not have it
``entity-not-in-domain``     an entity is marked in examples, but the domain does not have it
``intent-without-examples``  the domain has an intent that no message can be understood as
===========================  ==================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rasa_core.checks import Finding, finding, in_order
from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.reading import read_training_data
from rasa_core.nlu.spelling import alike, folded
from rasa_core.nlu.tokens import MAX_CHARACTERS, MAX_TOKENS, keys_of, tokenize, visible
from rasa_core.nlu.training_data import NLUDataError, NLUExample, TrainingData
from rasa_core.policies.fallback import OUT_OF_SCOPE
from rasa_core.support.marked_text import MARK, EntitySpan
from rasa_core.support.places import Place

__all__ = ["FEWEST_EXAMPLES", "Finding", "check_data_files", "check_domain_names", "check_training_data"]

FEWEST_EXAMPLES: Final = 3

_SHOWN: Final = 60
# Signs that are rare in names; full stops and brackets are not: "St. John's Co.", "(500) Days of Summer".
_PUNCTUATION: Final = frozenset(",;:!?\u3001\u3002\uff0c\uff01\uff1f\u061f\u060c")

_NEARLY_MARKED: Final = re.compile(r"\[[^\[\]()]+(?:\]\s+)?\((\w[^()\s]*)\)")
"""``[Lisbon] (city)`` and ``[Lisbon(city)``."""


def check_training_data(data: TrainingData) -> list[Finding]:
    """Return the mistakes in the data, all of them warnings, in the order of file and line."""
    found = [
        *(_warning("left-out", one.problem, one.place or Place("data")) for one in data.problems),
        *_check_texts(data.examples),
        *_check_numbers(data.examples),
        *(one for example in data.examples for one in _check_entities(example)),
        *_check_near_marks(data),
        *_check_synonyms(data),
    ]
    return in_order(found, "")


def check_data_files(files: Iterable[Path]) -> tuple[TrainingData | None, list[Finding]]:
    """Return the data in files, None if one of them cannot be read, and the mistakes in the readable ones."""
    parts, found = [], []
    for file in files:
        try:
            parts.append(read_training_data(file))
        except NLUDataError as error:
            for one in (error, *error.others):
                place = _place(one.place or Place(str(file)))
                found.append(finding("nlu-data", "error", one.problem, [place]))
    data = TrainingData.joined(parts)
    # Names missing from the data may be in an unreadable file, so the data are not compared with a domain.
    return (None if found else data), [*found, *check_training_data(data)]


def check_domain_names(
    data: TrainingData,
    intents: Iterable[str],
    entities: Iterable[str],
    domain_name: str,
    lines: Mapping[str, Place] = MappingProxyType({}),
    needless: Collection[str] = (),
) -> list[Finding]:
    """Return the differences between the names in all NLU data of a bot and in its domain.

    Findings call the domain `domain_name`. `lines` has the lines of intents in the domain, if they are known. The
    intents in `needless` need no examples.
    """
    declared = {"intent": set(intents), "entity": set(entities)}
    places: dict[str, dict[str, list[Place]]] = {"intent": {}, "entity": {}}
    for example in data.examples:
        if example.intent is not None:
            # For a retrieval intent, faq/hours, the domain lists only faq.
            base = example.intent.partition("/")[0]
            # One that lists faq/hours itself means these examples, too.
            for name in {base, example.intent} & declared["intent"] or {base}:
                places["intent"].setdefault(name, []).append(_place(example.place))
        for span in example.entities:
            places["entity"].setdefault(span.entity, []).append(_place(example.place))
    found = []
    for what, known in declared.items():
        for name in sorted(places[what].keys() - known - {OUT_OF_SCOPE}):
            text = f"the domain has no {what} {name!r}.{did_you_mean(name, known)}"
            remedy = "Add it to the domain, or rename it here."
            found.append(finding(f"{what}-not-in-domain", "warning", f"{text} {remedy}", places[what][name]))
    for name in sorted(declared["intent"] - places["intent"].keys() - set(needless)):
        text = f"the NLU data has no examples of the intent {name!r}: no message will be understood as it. "
        remedy = "Write some, unless it only comes from buttons or from your own code."
        hint = did_you_mean(name, places["intent"].keys() - declared["intent"])
        place = lines.get(name, Place(domain_name))
        found.append(finding("intent-without-examples", "warning", f"{text}{remedy}{hint}", [place]))
    return in_order(found, domain_name)


def _place(source: Place, note: str | None = None) -> Place:
    return Place(source.file or "data", source.line, note=note)


def _warning(kind: str, message: str, *sources: Place) -> Finding:
    return finding(kind, "warning", message, map(_place, sources))


def _check_texts(examples: Iterable[NLUExample]) -> Iterator[Finding]:
    by_text: dict[str, dict[str, list[NLUExample]]] = {}
    for example in examples:
        if not example.text.strip():
            yield _warning("empty-example", "this example has no text; remove it.", example.place)
            continue
        if len(example.text) > MAX_CHARACTERS or len(tokenize(example.text)) > MAX_TOKENS:
            limit = f"{MAX_CHARACTERS:,} characters, or {MAX_TOKENS} words and signs"
            yield _warning("long-example", f"only {limit} of {example.text[:_SHOWN]!r} are learnt.", example.place)
        if example.intent is not None:
            by_text.setdefault(_seen(example.text), {}).setdefault(example.intent, []).append(example)
    for by_intent in by_text.values():
        text = next(iter(by_intent.values()))[0].text
        if len(by_intent) > 1:
            places = [_place(one.place, intent) for intent, found in by_intent.items() for one in found]
            message = f"{text[:_SHOWN]!r} is an example of {_listed(by_intent)}; keep it under one of them."
            yield finding("two-intents", "warning", message, places)
        for intent, found in by_intent.items():
            if len(found) > 1:
                yield _repetition(found[0].text, intent, found)


def _seen(text: str) -> str:
    """Return what a model sees of a text."""
    shown, _ = visible(text)
    return " ".join(folded(key) for key in keys_of(shown, tokenize(shown))) or text


def _repetition(text: str, intent: str, examples: list[NLUExample]) -> Finding:
    marks = {one: ", ".join(_named(one, span) for span in one.entities) or "no entity" for one in examples}
    meant = {tuple((span.label, alike(one.text[span.start : span.end])) for span in one.entities) for one in examples}
    if len(meant) > 1:
        message = f"{text[:_SHOWN]!r} is marked in different ways; mark the same text alike."
        return finding("two-markings", "warning", message, (_place(one.place, marks[one]) for one in examples))
    message = f"{text[:_SHOWN]!r} is {len(examples)} times an example of {intent!r}; once is enough."
    return _warning("repeated-example", message, *(one.place for one in examples))


def _check_numbers(examples: Iterable[NLUExample]) -> Iterator[Finding]:
    by_intent: dict[str, list[Place]] = {}
    for example in examples:
        if example.intent is not None:
            by_intent.setdefault(example.intent, []).append(example.place)
    for intent, sources in by_intent.items():
        if len(sources) < FEWEST_EXAMPLES:
            number = "one example" if len(sources) == 1 else f"{len(sources)} examples"
            message = f"the intent {intent!r} has only {number}; write {FEWEST_EXAMPLES} or more, each in other words."
            yield _warning("few-examples", message, *sources)


def _check_entities(example: NLUExample) -> Iterator[Finding]:
    if not example.entities:
        return
    tokens = tokenize(example.text)
    starts, ends = {start for start, _ in tokens}, {end for _, end in tokens}
    for span in example.entities:
        covered = example.text[span.start : span.end]
        if not covered.strip():
            yield _warning("empty-entity", f"the entity {span.entity!r} has no text; remove its mark.", example.place)
            continue
        problem = _misalignment(covered, span.start in starts, span.end in ends)
        if problem is not None:
            message = (
                f"the entity {span.entity!r} {problem}: {covered[:_SHOWN]!r}. Mark whole words, and nothing around."
            )
            yield _warning("misaligned-entity", message, example.place)
    for first, second in pairwise(sorted(example.entities)):
        if second.start < first.end:
            message = f"{_named(example, first)} and {_named(example, second)} overlap; mark each part of a text once."
            yield _warning("overlapping-entities", message, example.place)


def _named(example: NLUExample, span: EntitySpan) -> str:
    parts = (f"the entity {span.entity!r}", span.role and f"role {span.role!r}", span.group and f"group {span.group!r}")
    return f"{', '.join(filter(None, parts))} ({example.text[span.start : span.end][:_SHOWN]!r})"


def _misalignment(covered: str, starts_word: bool, ends_word: bool) -> str | None:
    if not starts_word or not ends_word:
        return f"{'ends' if starts_word else 'begins'} inside a word"
    if len(covered) > 1 and (covered[0] in _PUNCTUATION or covered[-1] in _PUNCTUATION):
        return "has punctuation at its edge"
    return None


def _check_near_marks(data: TrainingData) -> Iterator[Finding]:
    """Find marks with a wrong space or bracket; only if they name an entity, since other text may have brackets."""
    known = data.entities
    for example in data.examples:
        for match in _NEARLY_MARKED.finditer(example.text) if "[" in example.text else ():
            if match[1].partition(":")[0] in known:
                message = f"{match[0][:_SHOWN]!r} marks no entity, and is read as text; write it like {MARK}."
                yield _warning("no-mark", message, example.place)


def _check_synonyms(data: TrainingData) -> Iterator[Finding]:
    values: dict[str, dict[str, list[Place]]] = {}
    written: dict[str, str] = {}
    for definition in data.definitions:
        text = alike(definition.text)
        written.setdefault(text, definition.text)
        values.setdefault(text, {}).setdefault(definition.value, []).append(definition.place)
    for text, by_value in values.items():
        if len(by_value) > 1:
            places = [_place(source, value) for value, sources in by_value.items() for source in sources]
            held = data.synonyms.get(text, "")
            message = f"{written[text][:_SHOWN]!r} stands for {_listed(by_value)}; {held[:_SHOWN]!r}, the last, holds."
            yield finding("two-values", "warning", message, places)


def _listed(names: Iterable[str]) -> str:
    """Return ``'a', 'b' and 'c'``."""
    *most, last = (repr(name[:_SHOWN]) for name in names)
    return f"{', '.join(most)} and {last}"
