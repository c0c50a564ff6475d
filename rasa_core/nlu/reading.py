"""Reads NLU data from files, folders and texts: detects the format of a text, and reads the JSON format of Rasa NLU.

::

    {"rasa_nlu_data": {
        "common_examples": [
            {"text": "in Lisboa", "intent": "inform",
             "entities": [{"start": 3, "end": 9, "entity": "city", "value": "Lisbon"}]}],
        "entity_synonyms": [{"value": "Lisbon", "synonyms": ["Lisboa"]}],
        "regex_features": [{"name": "zipcode", "pattern": "[0-9]{5}"}],
        "lookup_tables": [{"name": "city", "elements": ["Lisbon", "Porto"]}]}}

Older files have ``intent_examples`` and ``entity_examples`` in place of, or beside, ``common_examples``. The
elements of a lookup table may be the path of a text file, relative to the JSON file. JSON in another format is read if
it was exported from a service that `rasa_core.nlu.exports` knows.
"""

from __future__ import annotations

import codecs
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rasa_core.exceptions import did_you_mean
from rasa_core.nlu.exports import may_be_export, read_export, service_of, what_else
from rasa_core.nlu.offsets import characters, count_utf16, whole
from rasa_core.nlu.spelling import INVISIBLE
from rasa_core.nlu.text_formats import KINDS, read_markdown, read_yaml, without_comments
from rasa_core.nlu.training_data import ROOT, NLUDataError, TrainingData, TrainingDataBuilder, data_errors
from rasa_core.support.folders import files_below
from rasa_core.support.marked_text import MOST_SHOWN, EntitySpan, as_value
from rasa_core.support.places import Place
from rasa_core.support.strict_json import decode
from rasa_core.support.text_files import read_text

logger = logging.getLogger(__name__)

SUFFIXES: Final = (".md", ".markdown", ".json", ".yml", ".yaml")

_YAML_KEY: Final = re.compile(r"^(nlu|\"nlu\"|'nlu')\s*:", re.MULTILINE)
_YAML_LIST: Final = re.compile(rf"{_YAML_KEY.pattern}[ \t]*(#.*)?(\n[ \t]*(#.*)?)*(\n[ \t]*-|\[)", re.MULTILINE)
_YAML_SUFFIXES: Final = (".yml", ".yaml")
_SECTION: Final = re.compile(rf"^[ \t{INVISIBLE}]*#+[ \t]*({'|'.join(KINDS)})[ \t]*:", re.MULTILINE | re.IGNORECASE)
_ANY_SECTION: Final = re.compile(r"^[ \t]*##[^\n:]+:", re.MULTILINE)
_EXPECTED: Final = (
    "expected Markdown with sections like ## intent:greet, JSON with rasa_nlu_data, or YAML with nlu:, of examples"
)
_EXAMPLE: Final = '{"text": "in Lisbon", "intent": "inform", "entities": [...]}'
_ENTITY: Final = '{"start": 3, "end": 9, "entity": "city", "value": "Lisbon"}'
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_EXAMPLES: Final = ("common_examples", "intent_examples", "entity_examples")
_ENDS: Final = ("start", "end")
_EXAMPLE_KEYS: Final = ("text", "intent", "entities", "intent_response_key", "response_key", "response", "metadata")
_ENTITY_KEYS: Final = (
    *("start", "end", "entity", "value", "role", "group", "extractor", "confidence", "confidence_entity", "processors"),
)
_decoder: Final = json.JSONDecoder()


def read_training_data(path: str | Path, *, strict: bool = False) -> TrainingData:
    """Return the NLU data of a file, or of all files in a folder and its subfolders, in the order of their paths.

    In a folder, hidden files, a README, and files without NLU data (stories, a domain) are left out.

    Parameters
    ----------
    path
        The file or folder.
    strict
        Whether an invalid item, such as an entity outside of its text, is an error. Otherwise it is left out, and
        reported in the ``problems`` of the data.

    Raises
    ------
    NLUDataError
        If there is no NLU data, a file does not follow its format, or, with `strict`, an item is invalid. The message
        begins with file and line, and also reports errors in other files.
    """
    parts: list[TrainingData] = []
    errors: list[NLUDataError] = []
    for file in data_files(path):
        try:
            parts.append(_read_file(file, strict))
        except NLUDataError as error:
            errors += NLUDataError(error.problem, error.place), *error.others
    if errors:
        raise NLUDataError(errors[0].problem, errors[0].place, errors[1:])
    return TrainingData.joined(parts)


def data_files(path: str | Path) -> list[Path]:
    """Return a file itself, or all NLU files in a folder and its subfolders; raise `NLUDataError` if there are none."""
    path = Path(path)
    files = list_data_files(path) if path.is_dir() else [path]
    if not files:
        raise NLUDataError(f"the folder has no files of NLU data; {_EXPECTED}.", Place(str(path)))
    return files


def _read_file(file: Path, strict: bool) -> TrainingData:
    with data_errors():
        text = read_text(file)
    return _read(text, TrainingDataBuilder(str(file), file.parent, is_strict=strict))


def read_training_text(text: str, name: str = "<body>") -> TrainingData:
    """Return the NLU data of a text without a file, such as the body of a request; errors call the text `name`.

    Such a text may not name files, as those of lookup tables.
    """
    return _read(text.removeprefix("\ufeff"), TrainingDataBuilder(name))


def _with_plain_line_ends(text: str) -> str:
    """Return a text with the line ends of Unix in place of those of Windows and of old Macs."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read(text: str, builder: TrainingDataBuilder) -> TrainingData:
    text = _with_plain_line_ends(text)
    read = _reader_of(text, builder.name)
    # A text that only looks like a format is read in that format, so that the error says what is wrong in the text.
    if read is None and text.lstrip()[:1] in ("{", "["):
        read = read_json
    elif read is None and _ANY_SECTION.search(without_comments(text)):
        read = read_markdown
    if read is None:
        builder.fail(f"this is no NLU data; {_EXPECTED}.")
    return read(text, builder)


def _reader_of(text: str, name: str) -> Callable[[str, TrainingDataBuilder], TrainingData] | None:
    """Return the reader of the format of a text; None if the text has no NLU data."""
    if text.lstrip()[:1] in ("{", "["):
        return read_json if f'"{ROOT}"' in text or _is_export(text, name) else None
    if _YAML_KEY.search(text):
        return read_yaml
    return read_markdown if _SECTION.search(without_comments(text)) else None


def _is_export(text: str, name: str) -> bool:
    try:
        return may_be_export(text) and service_of(decode(text), name) is not None
    except ValueError:
        return False


def list_data_files(folder: Path) -> list[Path]:
    """Return the files of NLU data in a folder and its subfolders, in the order of their paths."""
    found = []
    for path in files_below(folder):
        if holds_nlu_data(path):
            found.append(path)
        else:
            logger.info("%s: no NLU data, skipped.", path)
    return found


def holds_nlu_data(path: Path) -> bool:
    """Return whether a file in a folder has NLU data; hidden files and a README count as files without."""
    if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or path.stem.lower() == "readme":
        return False
    try:
        content = path.read_bytes()
    except OSError:
        return False
    # A file in a wrong encoding counts as NLU data, too, so that the reader reports the encoding.
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")
    text = _with_plain_line_ends(text)
    if path.suffix.lower() in _YAML_SUFFIXES and text.lstrip()[:1] != "{":
        # A domain may have comments that look like headings of Markdown; other files may use a key nlu: differently.
        return _YAML_LIST.search(text) is not None
    return _reader_of(text, str(path)) is not None


# -- JSON


def read_json(text: str, builder: TrainingDataBuilder) -> TrainingData:
    """Return the data of a text in JSON; raise `NLUDataError` with file and line if it is invalid."""
    try:
        content = decode(text)
    except json.JSONDecodeError as error:
        builder.line = error.lineno
        builder.fail(f"not valid JSON, at column {error.colno}: {error.msg}.")
    except ValueError as error:
        builder.fail(f"not valid JSON: {error}.")
    if service_of(content, builder.name) is not None:
        return read_export(content, text, builder)
    _JsonReader(text, builder).read(content)
    return builder.data()


class _JsonReader:
    """Reads a text of valid JSON element by element, since the decoder of the standard library reports no lines."""

    def __init__(self, text: str, builder: TrainingDataBuilder) -> None:
        self._text = text
        self._builder, self._fail = builder, builder.fail
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object)
        self._twice: dict[str, None] = {}
        self._line, self._counted = 1, 0
        self._are_utf16 = False
        self._sections: Mapping[str, Callable[[Any], None]] = {
            "common_examples": self._add_example,
            "intent_examples": self._add_example,
            "entity_examples": self._add_example,
            "entity_synonyms": self._add_synonyms,
            "regex_features": self._add_regex,
            "lookup_tables": self._add_lookup,
        }

    def read(self, content: Any) -> None:
        """Read the text; `content` is what it decodes to."""
        if not isinstance(content, dict) or not isinstance(content.get(ROOT), dict):
            expected = f'{{"{ROOT}": {{"common_examples": [{_EXAMPLE}]}}}}'
            self._builder.line = 1
            if (found := what_else(content, self._text)) is not None:
                self._fail(f"this is {found}.")
            self._fail(f"the JSON has no object {ROOT}; expected {expected}.")
        examples = [one for name in _EXAMPLES for one in _list(content[ROOT].get(name)) if isinstance(one, dict)]
        self._are_utf16 = count_utf16(
            (one.get("text"), each.get("start"), each.get("end"), each.get("value"))
            for one in examples
            for each in _list(one.get("entities"))
            if isinstance(each, dict)
        )
        self._read_object(self._skip(0), self._read_root)

    def _read_object(self, start: int, read: Callable[[str, int], int]) -> int:
        """Read the object at `start`, and return the position behind it.

        `read` takes each key, and the position of its value, and returns the position behind the value.
        """
        seen: set[str] = set()
        position = self._skip(start + 1)
        while self._text[position] != "}":
            key, after = _decoder.raw_decode(self._text, position)
            with self._builder.each(self._line_at(position)):
                if key in seen:
                    self._fail(f"the key {key[:MOST_SHOWN]!r} stands twice; join the two.")
            seen.add(key)
            position = self._next(read(key, self._skip(self._skip(after) + 1)))
        return position + 1

    def _read_root(self, key: str, start: int) -> int:
        return self._read_object(start, self._read_section) if key == ROOT else self._end(start)

    def _read_section(self, key: str, start: int) -> int:
        add = self._sections.get(key)
        if add is None:
            hint = did_you_mean(key, self._sections)
            logger.warning("%s: the key %r of %s is ignored.%s", self._builder.name, key[:MOST_SHOWN], ROOT, hint)
            return self._end(start)
        if self._text[start] != "[":
            with self._builder.each(self._line_at(start)):
                if not self._text.startswith("null", start):
                    self._fail(f"{key} is a list.")
            return self._end(start)
        position = self._skip(start + 1)
        while self._text[position] != "]":
            element, end = self._decoder.raw_decode(self._text, position)
            with self._builder.each(self._line_at(position)):
                self._tell_of_twice(key)
                if not isinstance(element, dict):
                    self._fail(f"{_shown(element)} in {key} is no object.")
                add(element)
            position = self._next(end)
        return position + 1

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return an object, and remember the keys that it has twice."""
        made: dict[str, Any] = {}
        for key, value in pairs:
            if key in made:
                self._twice[key] = None
            made[key] = value
        return made

    def _tell_of_twice(self, section: str) -> None:
        for key in self._twice:
            self._builder.tell(f"the key {key[:MOST_SHOWN]!r} stands twice in an object of {section}; the last counts.")
        self._twice.clear()

    def _line_at(self, position: int) -> int:
        """Return the line of a position; positions must not decrease, since the line of the last call is counted on."""
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line

    def _end(self, start: int) -> int:
        return int(_decoder.raw_decode(self._text, start)[1])

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self._text, position)
        return position if match is None else match.end()

    def _next(self, position: int) -> int:
        """Return the position of the next element, behind a comma, or of the closing bracket."""
        position = self._skip(position)
        return self._skip(position + 1) if self._text[position] == "," else position

    def _add_example(self, example: Any) -> None:
        text, intent = example.get("text"), as_value(example.get("intent"))
        if not isinstance(text, str):
            self._fail(f"the example {_shown(example)} has no text; expected {_EXAMPLE}.")
        if intent is None:
            shown = _shown(example["intent"])
            self._fail(f"the intent {shown} of {text[:MOST_SHOWN]!r} is no text; expected {_EXAMPLE}.")
        entities = [] if example.get("entities") is None else example["entities"]
        if not isinstance(entities, list):
            self._fail(f"the entities of {text[:MOST_SHOWN]!r} are no list; expected {_EXAMPLE}.")
        spans = [self._span(entity, text) for entity in entities]
        self._tell_of_keys(example, _EXAMPLE_KEYS, "an example")
        self._builder.add_example(text, _whole_intent(example, intent.strip()) or None, spans)

    def _span(self, entity: Any, text: str) -> EntitySpan:
        if not isinstance(entity, dict):
            self._fail(f"the entity {_shown(entity)} is no object; expected {_ENTITY}.")
        start, end, name = *(whole(entity.get(key)) for key in _ENDS), entity.get("entity")
        if type(start) is not int or type(end) is not int:
            self._fail(f"the entity {_shown(entity)} has no numbers start and end; expected {_ENTITY}.")
        if self._are_utf16:
            start, end = characters(text, start), characters(text, end)
        if not 0 <= start <= end <= len(text):
            where = f"from {start} to {end}, outside of {text[:MOST_SHOWN]!r}, which has {len(text)} characters"
            self._fail(f"the entity {_shown(name)} goes {where}; count from 0, and let end be the place after it.")
        if not isinstance(name, str) or not name.strip():
            self._fail(f"the entity {_shown(entity)} has no name; expected {_ENTITY}.")
        value = as_value(entity.get("value"))
        if value is None:
            self._fail(f"the value of the entity {_shown(entity)} is no text; expected {_ENTITY}.")
        self._tell_of_keys(entity, _ENTITY_KEYS, "an entity")
        role, group = (str(entity.get(key) or "") for key in ("role", "group"))
        return EntitySpan(start, end, name.strip(), value or text[start:end], role, group)

    def _tell_of_keys(self, written: Mapping[str, Any], known: Sequence[str], what: str) -> None:
        """Report keys that look like misspellings of known ones; any other unknown key may be for another program."""
        for key in written:
            if key not in known and (hint := did_you_mean(key, known)):
                self._builder.tell(f"the key {key[:MOST_SHOWN]!r} of {what} is ignored.{hint}", is_harmless=True)

    def _add_synonyms(self, entry: Any) -> None:
        value, texts = as_value(entry.get("value")), _texts(entry.get("synonyms"))
        for text in texts if value else ():
            self._builder.add_synonym(text, value or "")
        if not value or len(texts) != len(_list(entry.get("synonyms"))) or not isinstance(entry.get("synonyms"), list):
            self._fail(f'the synonyms {_shown(entry)} are not like {{"value": "Lisbon", "synonyms": ["Lisboa"]}}.')

    def _add_regex(self, entry: Any) -> None:
        name, pattern = entry.get("name"), entry.get("pattern")
        if not isinstance(name, str) or not isinstance(pattern, str):
            expected = '{"name": "zip", "pattern": "[0-9]{5}"}'
            self._fail(f"the regular expression {_shown(entry)} is not like {expected}.")
        self._builder.add_regex(name, pattern)

    def _add_lookup(self, entry: Any) -> None:
        name, elements = entry.get("name"), entry.get("elements")
        if isinstance(name, str) and entry.get("extract") is True:
            self._builder.extract_by(name)
        if isinstance(name, str) and isinstance(elements, str):
            self._builder.add_lookup_file(name, elements)
            return
        texts = _texts(elements)
        if isinstance(name, str) and texts:
            self._builder.add_lookup(name, texts)
        if not isinstance(name, str) or not isinstance(elements, list) or len(texts) != len(elements):
            self._fail(f'the lookup table {_shown(entry)} is not like {{"name": "city", "elements": ["Lisbon"]}}.')


def _texts(values: Any) -> list[str]:
    """Return the texts and numbers in a list, as texts."""
    return [text for value in _list(values) if (text := as_value(value))]


def _whole_intent(example: Mapping[str, Any], intent: str) -> str:
    """Return the intent of an example in full, such as ``faq/hours``; files of Rasa 1 and 2 have ``hours`` apart."""
    whole, part = example.get("intent_response_key"), example.get("response_key")
    if isinstance(whole, str) and whole.startswith(f"{intent}/"):
        return whole
    return f"{intent}/{part}" if intent and isinstance(part, str) and part and "/" not in intent else intent


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _shown(value: Any) -> str:
    """Return the beginning of a value as JSON."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
