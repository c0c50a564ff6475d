"""NLU data in JSON, as Rasa NLU wrote it.

::

    {"rasa_nlu_data": {
        "common_examples": [
            {"text": "in Lisboa", "intent": "inform",
             "entities": [{"start": 3, "end": 9, "entity": "city", "value": "Lisbon"}]}],
        "entity_synonyms": [{"value": "Lisbon", "synonyms": ["Lisboa"]}],
        "regex_features": [{"name": "zipcode", "pattern": "[0-9]{5}"}],
        "lookup_tables": [{"name": "city", "elements": ["Lisbon", "Porto"]}]}}

Older files have ``intent_examples`` and ``entity_examples`` in place of, or beside, ``common_examples``. The
elements of a lookup table may be the path of a text file, relative to the JSON file.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.annotations import as_value
from rasa_core.nlu.data import EntitySpan, TrainingData
from rasa_core.nlu.gathering import MOST_SHOWN, Gathering

logger = logging.getLogger(__name__)

ROOT: Final = "rasa_nlu_data"

_EXAMPLE: Final = '{"text": "in Lisbon", "intent": "inform", "entities": [...]}'
_ENTITY: Final = '{"start": 3, "end": 9, "entity": "city", "value": "Lisbon"}'
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_decoder: Final = json.JSONDecoder()


def read_json(text: str, gathering: Gathering) -> TrainingData:
    """Return the data in a text.

    Raises
    ------
    NLUDataError
        With file and line.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        gathering.fail(error.lineno, f"not valid JSON, at column {error.colno}: {error.msg}.")
    except (ValueError, RecursionError) as error:
        gathering.fail(None, f"not valid JSON: {error}.")
    _Reader(text, gathering).read(content)
    return gathering.data()


class _Reader:
    """Reads the lists of the file element by element, to know the line of each."""

    def __init__(self, text: str, gathering: Gathering) -> None:
        self._text = text
        self._gathering = gathering
        self._line = 1
        self._counted = 0
        self._sections: Mapping[str, Callable[[Any], None]] = {
            "common_examples": self._add_example,
            "intent_examples": self._add_example,
            "entity_examples": self._add_example,
            "entity_synonyms": self._add_synonyms,
            "regex_features": self._add_regex,
            "lookup_tables": self._add_lookup,
        }

    def read(self, content: Any) -> None:
        """Read a text that is known to be JSON, and to have this content."""
        if not isinstance(content, dict) or not isinstance(content.get(ROOT), dict):
            expected = f'{{"{ROOT}": {{"common_examples": [{_EXAMPLE}]}}}}'
            self._gathering.fail(1, f"the JSON has no object {ROOT}; expected {expected}.")
        starts = self._members(self._members(0)[ROOT])
        for key in starts:
            if key not in self._sections:
                hint = did_you_mean(key, self._sections)
                logger.warning("%s: the key %r of %s is ignored.%s", self._gathering.name, key[:MOST_SHOWN], ROOT, hint)
        for key, start in starts.items():
            if key in self._sections and content[ROOT][key] is not None:
                with self._gathering.each():
                    self._read_section(key, start)

    def _read_section(self, key: str, start: int) -> None:
        if self._text[start] != "[":
            self._at(start)
            self._fail(f"{key} is a list.")
        for element in self._elements(start):
            with self._gathering.each():
                if not isinstance(element, dict):
                    self._fail(f"{_shown(element)} in {key} is no object.")
                self._sections[key](element)

    def _fail(self, problem: str) -> NoReturn:
        self._gathering.fail(self._line, problem)

    def _at(self, position: int) -> None:
        """Make the line of a position the line of what follows; sections may stand in any order."""
        if position < self._counted:
            self._line, self._counted = 1, 0
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self._text, position)
        return position if match is None else match.end()

    def _members(self, start: int) -> dict[str, int]:
        """Return the keys of the object at `start`, and where their values stand."""
        found: dict[str, int] = {}
        position = self._skip(self._skip(start) + 1)
        while self._text[position] != "}":
            key, after = _decoder.raw_decode(self._text, position)
            if key in found:
                self._at(position)
                self._fail(f"the key {key[:MOST_SHOWN]!r} stands twice; join the two.")
            found[key] = self._skip(self._skip(after) + 1)
            position = self._after(_decoder.raw_decode(self._text, found[key])[1])
        return found

    def _elements(self, start: int) -> Iterator[Any]:
        """Yield the elements of the list at `start`, each with the line set to its own."""
        position = self._skip(start + 1)
        while self._text[position] != "]":
            element, after = _decoder.raw_decode(self._text, position)
            self._at(position)
            yield element
            position = self._after(after)

    def _after(self, position: int) -> int:
        """Return where the next part begins: after a comma, or at the closing bracket."""
        position = self._skip(position)
        return self._skip(position + 1) if self._text[position] == "," else position

    def _add_example(self, example: Any) -> None:
        text, intent = example.get("text"), example.get("intent")
        if not isinstance(text, str):
            self._fail(f"the example {_shown(example)} has no text; expected {_EXAMPLE}.")
        if intent is not None and not isinstance(intent, str):
            self._fail(f"the intent {_shown(intent)} of {text[:MOST_SHOWN]!r} is no text; expected {_EXAMPLE}.")
        entities = [] if example.get("entities") is None else example["entities"]
        if not isinstance(entities, list):
            self._fail(f"the entities of {text[:MOST_SHOWN]!r} are no list; expected {_EXAMPLE}.")
        spans = [self._span(entity, text) for entity in entities]
        self._gathering.add_example(text, intent.strip() or None if intent else None, spans, self._line)

    def _span(self, entity: Any, text: str) -> EntitySpan:
        if not isinstance(entity, dict):
            self._fail(f"the entity {_shown(entity)} is no object; expected {_ENTITY}.")
        start, end, name = entity.get("start"), entity.get("end"), entity.get("entity")
        if type(start) is not int or type(end) is not int:
            self._fail(f"the entity {_shown(entity)} has no numbers start and end; expected {_ENTITY}.")
        if not 0 <= start <= end <= len(text):
            where = f"from {start} to {end}, outside of {text[:MOST_SHOWN]!r}, which has {len(text)} characters"
            self._fail(f"the entity {_shown(name)} goes {where}; count from 0, and let end be the place after it.")
        if not isinstance(name, str) or not name.strip():
            self._fail(f"the entity {_shown(entity)} has no name; expected {_ENTITY}.")
        value = as_value(entity.get("value"))
        if value is None:
            self._fail(f"the value of the entity {_shown(entity)} is no text; expected {_ENTITY}.")
        return EntitySpan(start, end, name.strip(), value or text[start:end])

    def _add_synonyms(self, entry: Any) -> None:
        value, synonyms = as_value(entry.get("value")), entry.get("synonyms")
        if not value or not isinstance(synonyms, list) or not all(isinstance(text, str) for text in synonyms):
            self._fail(f'the synonyms {_shown(entry)} are not like {{"value": "Lisbon", "synonyms": ["Lisboa"]}}.')
        for text in synonyms:
            self._gathering.add_synonym(text, value, self._line)

    def _add_regex(self, entry: Any) -> None:
        name, pattern = entry.get("name"), entry.get("pattern")
        if not isinstance(name, str) or not isinstance(pattern, str):
            self._fail(
                f'the regular expression {_shown(entry)} is not like {{"name": "zip", "pattern": "[0-9]{{5}}"}}.'
            )
        self._gathering.add_regex(name, pattern, self._line)

    def _add_lookup(self, entry: Any) -> None:
        name, elements = entry.get("name"), entry.get("elements")
        if isinstance(name, str) and isinstance(elements, str):
            self._gathering.add_lookup_file(name, elements, self._line)
        elif isinstance(name, str) and isinstance(elements, list) and all(isinstance(one, str) for one in elements):
            self._gathering.add_lookup(name, elements)
        else:
            self._fail(f'the lookup table {_shown(entry)} is not like {{"name": "city", "elements": ["Lisbon"]}}.')


def _shown(value: Any) -> str:
    """Return the beginning of a value as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
