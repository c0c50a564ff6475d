"""Reading NLU data from Markdown, JSON and YAML: the same data, and errors with their line."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_core.nlu.offsets import count_utf16
from rasa_core.nlu.reading import list_data_files, read_training_data, read_training_text
from rasa_core.nlu.training_data import Lookup, NLUDataError, NLUExample, Regex, Synonym, TrainingData
from rasa_core.support.marked_text import EntitySpan

CORPORA = Path(os.environ.get("RASA_CORE_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")

MARKDOWN = """\
# Data of a concert bot

<!-- comments may
stand on several lines -->
## intent:greet
- hello<!-- in a line -->
* hi there
+ hey

## intent: inform
- in [Lisbon](city)
- in [Lisboa](city:Lisbon) or [Rome]{"entity": "city"}
## synonym:Porto
- Oporto
## regex:zipcode
- [0-9]{5}
## lookup:genre
- jazz
- fado
"""

JSON = """\
{"rasa_nlu_data": {
  "regex_features": [{"name": "zipcode", "pattern": "[0-9]{5}"}],
  "intent_examples": [
    {"text": "hello", "intent": "greet"},
    {"text": "hi there", "intent": "greet", "entities": []}, {"text": "hey", "intent": "greet", "entities": null}],
  "common_examples": [
    {"text": "in Lisbon", "intent": "inform",
     "entities": [{"start": 3, "end": 9, "entity": "city", "value": "Lisbon"}]},
    {"text": "in Lisboa or Rome", "intent": "inform",
     "entities": [{"start": 13, "end": 17, "entity": "city"},
                  {"start": 3, "end": 9, "entity": "city", "value": "Lisbon"}]}
  ],
  "entity_synonyms": [{"value": "Porto", "synonyms": ["Oporto"]}],
  "lookup_tables": [{"name": "genre", "elements": ["jazz", "fado"]}]
}}
"""

YAML = """\
version: "3.1"
nlu:
- intent: greet
  examples: |
    - hello
    - hi there

    - hey
- intent: inform
  metadata: {sentiment: neutral}
  examples:
  - text: |
      in [Lisbon](city)
    metadata: {}
  - in [Lisboa](city:Lisbon) or [Rome]{"entity":"city"}
- synonym: Porto
  examples: |
    - Oporto
- regex: zipcode
  examples: |
    - [0-9]{5}
- lookup: genre
  examples: |
    - jazz
    - fado
stories: []
"""

CITY = EntitySpan(3, 9, "city", "Lisbon")
EXPECTED = TrainingData.build(
    [
        NLUExample("hello", "greet"),
        NLUExample("hi there", "greet"),
        NLUExample("hey", "greet"),
        NLUExample("in Lisbon", "inform", (CITY,)),
        NLUExample("in Lisboa or Rome", "inform", (CITY, EntitySpan(13, 17, "city", "Rome"))),
    ],
    [Synonym("lisboa", "Lisbon"), Synonym("oporto", "Porto")],
    [Regex("zipcode", "[0-9]{5}")],
    [Lookup("genre", ("jazz", "fado"))],
)

FORMATS = pytest.mark.parametrize("text", [MARKDOWN, JSON, YAML], ids=["markdown", "json", "yaml"])


# -- the formats


@FORMATS
def test_each_format_says_the_same(text: str) -> None:
    assert read_training_text(text) == EXPECTED


@FORMATS
@pytest.mark.parametrize("line_end", ["\r\n", "\r"], ids=["of Windows", "of old Macs"])
def test_a_byte_order_mark_and_the_line_ends_of_other_systems_change_nothing(
    text: str, line_end: str, tmp_path: Path
) -> None:
    name = f"data.{'json' if text is JSON else 'yml' if text is YAML else 'md'}"
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", line_end).encode())
    assert list_data_files(tmp_path) == [tmp_path / name]  # As a project finds it, by its content.
    assert read_training_data(tmp_path / name) == EXPECTED
    assert read_training_text("\ufeff" + text) == EXPECTED


@pytest.mark.parametrize(
    ("text", "lines"),
    [(MARKDOWN, [6, 7, 8, 11, 12]), (JSON, [4, 5, 5, 7, 9]), (YAML, [5, 6, 8, 12, 15])],
    ids=["markdown", "json", "yaml"],
)
def test_each_example_knows_its_line(text: str, lines: list[int]) -> None:
    assert [example.place.line for example in read_training_text(text).examples] == lines


def test_an_example_of_entities_alone_has_no_intent() -> None:
    entities = [{"start": 0, "end": 1, "entity": "x", "value": 3}]
    data = read_training_text(json.dumps({"rasa_nlu_data": {"entity_examples": [{"text": "x", "entities": entities}]}}))
    assert data.examples == (NLUExample("x", None, (EntitySpan(0, 1, "x", "3"),)),)
    assert data.synonyms == {"x": "3"}


def test_a_part_of_a_text_can_be_several_entities() -> None:
    data = read_training_text('## intent:a\n- go to [Rome][{"entity": "city"}, {"entity": "target", "value": "R"}]')
    assert [(span.start, span.end, span.entity) for span in data.examples[0].entities] == [
        (6, 10, "city"),
        (6, 10, "target"),
    ]


@pytest.mark.parametrize("text", ["call [me] (maybe)", "a [b] c", "x](y)", "[", "list[0]"])
def test_other_brackets_are_text(text: str) -> None:
    assert read_training_text(f"## intent:a\n- {text}").examples[0].text == text


def test_brackets_beside_a_mark_are_text() -> None:
    (example,) = read_training_text("## intent:a\n- [[Rome](city)] [x]").examples
    assert (example.text, example.entities) == ("[Rome] [x]", (EntitySpan(1, 5, "city", "Rome"),))


def test_a_later_synonym_changes_the_values_of_earlier_examples() -> None:
    data = read_training_text("## intent:a\n- to [NYC](city)\n## synonym:New York\n- nyc\n")
    assert data.examples[0].entities[0].value == "New York"


def test_folded_and_plain_text_of_yaml_is_read_too() -> None:
    data = read_training_text(
        "nlu:\n- intent: a\n  examples: \"- hello\"\n- intent: b\n  examples: ['- x', y]\n- intent: c\n  examples:\n"
    )
    assert [(one.text, one.intent) for one in data.examples] == [("hello", "a"), ("x", "b"), ("y", "b")]


# -- lookup tables in files


def test_lookup_tables_are_read_from_files_beside_the_data(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "cities.txt").write_text("Rome\r\n\nPorto\nRome\n", encoding="utf-8-sig")
    (tmp_path / "a.md").write_text("## lookup:city\ntables/cities.txt\n- Lisbon\n", encoding="utf-8")
    table = {"name": "city", "elements": "tables/cities.txt"}
    (tmp_path / "a.json").write_text(json.dumps({"rasa_nlu_data": {"lookup_tables": [table]}}), encoding="utf-8")
    assert read_training_data(tmp_path / "a.md").lookups == (Lookup("city", ("Rome", "Porto", "Lisbon")),)
    assert read_training_data(tmp_path / "a.json").lookups == (Lookup("city", ("Rome", "Porto")),)


def test_a_text_without_a_file_may_not_name_files(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    with pytest.raises(
        NLUDataError, match=r"^<body>:2: the lookup table 'city' names the file .*; expected its entries"
    ):
        read_training_text(f"## lookup:city\n{tmp_path / 'secret.txt'}\n")


# -- folders


def test_a_folder_is_read_in_the_order_of_its_paths_with_all_formats(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "nlu.yml").write_text("nlu:\n- intent: c\n  examples: |\n    - three\n", encoding="utf-8")
    (tmp_path / "a.json").write_text('{"rasa_nlu_data": {"common_examples": [{"text": "one"}]}}', encoding="utf-8")
    (tmp_path / "c.md").write_text("## synonym:3\n- three\n## intent:c\n- four\n", encoding="utf-8")
    data = read_training_data(tmp_path)
    assert [example.text for example in data.examples] == ["one", "three", "four"]
    assert [Path(example.place.file).name for example in data.examples] == ["a.json", "nlu.yml", "c.md"]


def test_what_is_no_nlu_data_is_left_out_of_a_folder_with_a_log_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others = {
        "stories.md": "## greeting\n* greet\n  - utter_greet\n",
        "domain.yml": "intents: [greet]\n",
        "package.json": '{"name": "nlu"}',
        "broken.json": "{",
        "README.md": "Write\n\n## intent:greet\n",
        "latin.md": b"\xe9",
        "words.txt": "## intent:greet\n- hello\n",
        ".hidden.md": "## intent:greet\n- hello\n",
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "nlu.md").write_text("## intent:greet\n- hello\n", encoding="utf-8")
    with caplog.at_level(logging.INFO, "rasa_core"):
        assert len(read_training_data(tmp_path).examples) == 1
    assert sorted(Path(line.split(": no NLU data")[0]).name for line in caplog.messages) == sorted(
        set(others) - {".hidden.md"}
    )


def test_a_folder_without_nlu_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NLUDataError, match="the folder has no files of NLU data; expected Markdown with sections"):
        read_training_data(tmp_path)


# -- mistakes

SEVERAL = {
    "Markdown": ("## intent:a\n- [x](\n- ok\n## intnet:b\n- y\n- z\n## regex:c\n- (\n", [2, 4, 8]),
    "JSON": (
        '{"rasa_nlu_data": {\n"common_examples": [\n1,\n{"text": "ok"},\n{}],\n"entity_synonyms": 5}}',
        [3, 5, 6],
    ),
    "JSON with a key twice": (
        '{"rasa_nlu_data": {\n"common_examples": [\n1],\n"common_examples": [\n{}]},\n"version": 1}',
        [3, 4, 5],
    ),
    "YAML": ("nlu:\n- intnet: a\n- intent: b\n  examples: |\n    - [x](\n    - ok\n    - [y](\n- c\n", [2, 5, 7, 8]),
}


@pytest.mark.parametrize(("text", "lines"), SEVERAL.values(), ids=list(SEVERAL))
def test_all_mistakes_are_told_at_once(text: str, lines: list[int]) -> None:
    with pytest.raises(NLUDataError) as raised:
        read_training_text(text, "data")

    found = [raised.value, *raised.value.others]
    assert [one.place.line for one in found if one.place is not None] == lines
    told = str(raised.value).splitlines()
    assert [line.partition(": ")[0] for line in told] == [f"data:{line}" for line in lines]


def test_of_many_mistakes_the_first_ten_are_told() -> None:
    with pytest.raises(NLUDataError) as raised:
        read_training_text("## intent:a\n" + "- [x](\n" * 12, "data")

    told = str(raised.value).splitlines()
    assert (len(told), told[-1]) == (11, "and 2 more errors")


NOT_MARKDOWN = {
    "misspelt-section": ("## intnet:greet\n- x", 1, "there are no sections 'intnet'. Did you mean 'intent'"),
    "no-name": ("## intent:\n- x", 1, "the name of the intent is missing"),
    "no-section": ("\n- x\n## intent:a", 2, "'x' belongs to no section"),
    "no-colon": ("## intent:b\n## intent a\n- x", 2, "the name of the intent is missing; expected"),
    "under-a-title": (
        "## intent:a\n## more\n- x",
        3,
        "'more' begins no section: what follows belongs to the intent 'a'",
    ),
    "half-a-name": ("## intent:faq/\n- x", 2, "the intent 'faq/' has no name on one side of a slash"),
    "no-item": ("## intent:a\nx", 2, "'x' is neither a heading nor an item; write - before"),
    "open-comment": ("## intent:a\n- x\n<!-- why\n- y", 3, "this comment is not closed; write -->"),
    "open-mark": ("## intent:a\n- [x](y", 2, "'(y' is not closed"),
    "unnamed-mark": ("## intent:a\n- [x]( :z)", 2, "the mark '( :z)' has no name of an entity"),
    "bad-json-mark": ("## intent:a\n- [x]{y}", 2, "'{y}' is no JSON; an entity is marked like"),
    "unnamed-json-mark": ('## intent:a\n- [x]{"value": "y"}', 2, "names no entity"),
    "misspelt-key": ('## intent:a\n- [x]{"entity": "a", "vlaue": "y"}', 2, "no key 'vlaue'. Did you mean 'value'?"),
    "value-no-text": ('## intent:a\n- [x]{"entity": "a", "value": []}', 2, "the value of the entity 'a' is []"),
    "bad-pattern": ("## regex:a\n- x(", 2, "'x(' is no regular expression: missing )"),
    "no-file": ("## lookup:a\nnowhere.txt", 2, "names a file that is not there; looked for"),
}


def example_json(**parts: object) -> str:
    return json.dumps({"rasa_nlu_data": {"common_examples": [{"text": "ok"}, parts]}}, indent=1)


def entity_json(**parts: object) -> str:
    return example_json(text="hello", entities=[{"start": 0, "end": 5, "entity": "x"} | parts])


NOT_JSON = {
    "syntax": ('{"rasa_nlu_data":\n {"common_examples": [}}', 2, "not valid JSON, at column 23: Expecting value"),
    "deep": ('{"rasa_nlu_data": ' + "[" * 100_000, None, "not valid JSON"),
    "nested": ('{"rasa_nlu_data": {"x": ' + "[" * 200 + "]" * 200 + "}}", None, "nested deeper than 100 levels"),
    "no number": ('{"rasa_nlu_data": {"x": NaN}}', None, "not valid JSON: NaN is not a JSON number"),
    "root": ('{"rasa_nlu_data": []}', 1, "the JSON has no object rasa_nlu_data; expected"),
    "luis": ('{"luis_schema_version": "2"}', 1, "the export of LUIS has no messages; expected them in utterances"),
    "dialogflow": ('[{"data": [], "isTemplate": false}]', 1, "a part of an export of Dialogflow; give the folder"),
    "agent": ('{"name": "greet", "webhookUsed": false}', 1, "a part of an export of Dialogflow; give the folder"),
    "watson": ('{"intents": [], "dialog_nodes": []}', 1, "the export of Watson Assistant has no messages"),
    "list": ("[1]", 1, "the JSON has no object rasa_nlu_data; expected"),
    "twice": ('{"rasa_nlu_data": {"common_examples": [],\n"common_examples": []}}', 2, "stands twice"),
    "twice-in-example": (
        '{"rasa_nlu_data": {"common_examples": [\n{"text": "x", "intent": "y",\n"intent": "z"}]}}',
        2,
        "the key 'intent' stands twice in an object of common_examples; the last counts",
    ),
    "twice-in-entity": (
        '{"rasa_nlu_data": {"common_examples": [\n{"text": "x", "entities": [{"start": 0, "end": 1, "end": 1}]}]}}',
        2,
        "the key 'end' stands twice in an object of common_examples",
    ),
    "no-list": ('{"rasa_nlu_data": {\n"common_examples": {}}}', 2, "common_examples is a list"),
    "no-object": ('{"rasa_nlu_data": {"common_examples": [\n\n"x"]}}', 3, '"x" in common_examples is no object'),
    "no-text": (example_json(intent="x"), 7, "has no text; expected"),
    "intent": (example_json(text="x", intent=[1]), 7, "the intent [1] of 'x' is no text"),
    "entities": (example_json(text="x", entities={}), 7, "the entities of 'x' are no list"),
    "entity": (example_json(text="x", entities=[1]), 7, "the entity 1 is no object"),
    "no-start": (entity_json(start=None), 7, "has no numbers start and end"),
    "out-of-range": (entity_json(end=6), 7, "from 0 to 6, outside of 'hello', which has 5 characters; count from 0"),
    "backwards": (entity_json(start=3, end=2), 7, "goes from 3 to 2, outside of 'hello'"),
    "before": (entity_json(start=-1), 7, "goes from -1 to 5, outside of 'hello'"),
    "no-name": (entity_json(entity=" "), 7, "has no name"),
    "value": (entity_json(value=["x"]), 7, "is no text"),
    "synonyms": ('{"rasa_nlu_data": {"entity_synonyms": [{"value": "x"}]}}', 1, "are not like"),
    "regex": ('{"rasa_nlu_data": {"regex_features": [{"name": "x"}]}}', 1, "is not like"),
    "pattern": ('{"rasa_nlu_data": {"regex_features": [{"name": "x", "pattern": "["}]}}', 1, "no regular expression"),
    "lookup": ('{"rasa_nlu_data": {"lookup_tables": [{"name": "x"}]}}', 1, "is not like"),
}

NOT_YAML = {
    "syntax": ("nlu:\n- intent: [", 3, "not valid YAML"),
    "character": ("nlu:\n- x\x00", 2, "not valid YAML: the character U+0000 is not allowed; remove it"),
    "colon-in-list": ("nlu:\n- intent: x\n  examples:\n  - a: b", 4, "stands in quotes"),
    "entities-in-list": (
        "nlu:\n- intent: x\n  examples:\n  - text: b\n    entities: []",
        4,
        "'entities' of an example",
    ),
    "deep": ("nlu:\n" + "- " * 5000 + "x", 2, "nested more than 50 deep"),
    "root": ("nlu: x", 1, "nlu: is a list"),
    "entry": ("nlu:\n- x", 2, "an entry of nlu: is a mapping"),
    "no-kind": ("nlu:\n- intnet: x\n  examples: ''", 2, "has none of the keys intent, .* Did you mean 'intent'"),
    "two-kinds": ("nlu:\n- intent: x\n  regex: y\n  examples: ''", 2, "has the keys intent and regex, and needs one"),
    "twice": ("nlu:\n- intent: x\n  intent: y", 3, "the key 'intent' stands twice"),
    "no-name": ("nlu:\n- intent:\n  examples: ''", 2, "the name of the intent is a plain name"),
    "no-examples": ("nlu:\n- intent: x", 2, "the intent 'x' has no examples"),
    "no-item": ("nlu:\n- intent: x\n  examples: |\n    - a\n\n    b", 6, "'b' is no item"),
    "mark": ("nlu:\n- intent: x\n  examples: |\n    - a\n    - [b](", 5, "is not closed"),
    "item-in-list": ("nlu:\n- intent: x\n  examples:\n  - a\n  - [b]", 5, "an example is a text"),
    "no-text-in-list": ("nlu:\n- intent: x\n  examples:\n  - metadata: {}", 4, "an example is a text"),
    "tag": ("nlu: !!python/object:os.system []\nx: [", 3, "not valid YAML"),
}

NOTHING = {
    "empty": ("", None, "this is no NLU data; expected Markdown with"),
    "story": ("## greeting\n* greet\n  - utter_greet\n", None, "this is no NLU data"),
}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        pytest.param(*case, id=f"{kind}-{name}")
        for kind, cases in {"md": NOT_MARKDOWN, "json": NOT_JSON, "yaml": NOT_YAML, "no": NOTHING}.items()
        for name, case in cases.items()
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, line: int | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NLUDataError) as told:
        read_training_data(path, strict=True)
    place = f"{path}: " if line is None else f"{path}:{line}: "
    assert str(told.value).startswith(place)
    first, _, rest = problem.partition(".* ")
    assert first in str(told.value)
    assert rest in str(told.value)


def read_file(folder: Path, name: str, text: str) -> TrainingData:
    (folder / name).write_text(text, encoding="utf-8")
    return read_training_data(folder / name)


def told(data: TrainingData) -> list[int | None]:
    return [problem.place.line for problem in data.problems if problem.place]


@pytest.mark.parametrize(
    ("name", "text", "kept", "lines"),
    [
        ("a.md", "## intent:a\n-x\n*y\n--\n---\n- \n- z\n", ["x", "y", "z"], [4, 6]),
        (
            "a.yml",
            "nlu:\n- intent: a\n  examples: |\n    - x\n    --\n    ---\n    -\n    - --y\n",
            ["x", "--y"],
            [5, 6, 7],
        ),
        ("a.json", entity_json(rolle="x"), ["ok", "hello"], [7]),
    ],
    ids=["markdown", "yaml", "json"],
)
def test_what_is_told_and_does_no_harm_is_no_error(
    name: str, text: str, kept: list[str], lines: list[int], tmp_path: Path
) -> None:
    data = read_file(tmp_path, name, text)
    assert [example.text for example in data.examples] == kept
    assert told(data) == lines
    assert read_training_data(tmp_path / name, strict=True).examples == data.examples


@pytest.mark.parametrize(
    ("name", "text", "kept", "lines"),
    [
        ("a.md", "## intent:a\n- x\n- [y](city\n- [z]{q}\nprose\n- ok\n", ["x", "ok"], [3, 4, 5]),
        ("a.md", "## intent:a\n- x\n\ufeff## intent:b\n\u200b- y\n", ["x", "y"], []),
        ("a.md", "## intent:a\n- x\n***\n* * *\n- z\n", ["x", "z"], []),
        ("a.md", "## Intent:a\n- x\n## SYNONYM:b\n- c\n", ["x"], []),
        ("a.yml", "nlu:\n- &a\n  intent: a\n  examples: |\n    - x\n- <<: *a\n  intent: b\n", ["x", "x"], []),
        ("a.md", "## intent:a\n### more\n- x\n# - y\n#- z: z\n- ok\n", ["x", "ok"], []),
        ("a.md", "## intent:a\n- x\n## more\n- y\n- z\n## even more\n## intent:b\n- ok\n", ["x", "y", "z", "ok"], [4]),
        ("a.md", '## intent:a\n- [x]{"entity": "e", "start": 3}\n', ["x"], [2]),
        ("a.md", "- x\n- y\n## intent:a\n- z\n", ["z"], [1]),
        ("a.md", "## intent:a\n- z\n## regex:r\n- [[:alpha:]]+\n- [:a]\n", ["z"], [4]),
        (
            "a.yml",
            "nlu:\n- intent: a\n  examples: |\n    - x\nnlu:\n- intent: b\n  examples: |\n    - y\n",
            ["x", "y"],
            [5],
        ),
        ("a.yml", "nlu:\n- intent: a\n  examples: |\n    - x\u2028y\n    - z\n    q\n", ["x y", "z"], [6]),
        (
            "a.yml",
            "nlu:\n- intent: a\n  examples:\n  - text: |\n      - x\n      - y\n  - |\n    z\n    - q\n",
            ["x", "y", "z\n- q"],
            [],
        ),
        ("a.yml", "nlu:\n- <<: x\n  intent: b\n- intent: a\n  examples: |\n    - x\n", ["x"], [2]),
        ("a.json", entity_json(start="3", end="5"), ["ok", "hello"], []),
        ("a.json", entity_json(start=3.0, end=5.0), ["ok", "hello"], []),
        ("a.json", entity_json(start="3", end="x"), ["ok"], [7]),
        ("a.md", "- none\n## synonym:\n- b\n## intent:a\n- x\n## nothing:b\n- y\n", ["x"], [1, 2, 6]),
        ("a.md", "## regex:r\n- (\n## lookup:l\nnowhere.txt\n## intent:a\n- x\n", ["x"], [2, 4]),
        ("a.md", "## intent:a\n- x\n<!-- open\n- y\n", ["x", "y"], [3]),
        ("a.md", '## intent:a\n- [x]("city")\n', ["x"], [2]),
        ("a.yml", "nlu:\n- intent: a\n  examples: |\n    # why\n    - x\n    --\n    -y\n    z\n", ["x", "y"], [6, 8]),
        ("a.yml", "nlu:\n- intent: b\n- synonym:\n  examples: x\n- intent: a\n  examples: |\n    - x\n", ["x"], [2, 3]),
        ("a.yml", "nlu:\n- intent: a\n  examples: >\n    - x\n    - y\n- intent: b\n", ["x", "y"], [3, 6]),
        ("a.yml", "nlu:\n- intent: a\n  examples:\n  - [x]\n  - text: y\n  - metadata: {}\n", ["y"], [4, 6]),
        ("a.json", entity_json(start=3, end=99), ["ok"], [7]),
        (
            "a.json",
            '{"rasa_nlu_data": {"common_examples": [1,\n{"text": "x"}], "entity_synonyms": [{}]}}',
            ["x"],
            [1, 2],
        ),
    ],
)
def test_what_is_wrong_is_left_out_and_told_and_the_rest_is_read(
    name: str, text: str, kept: list[str], lines: list[int], tmp_path: Path
) -> None:
    data = read_file(tmp_path, name, text)
    assert [example.text for example in data.examples] == kept
    assert told(data) == lines
    if lines:
        with pytest.raises(NLUDataError, match=rf"{re.escape(name)}:({'|'.join(map(str, lines))})\b"):
            read_training_data(tmp_path / name, strict=True)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        (
            "nlu.md",
            "## intent:a\n\n## intent:b\n<!-- - x -->\n## regex:c\n## intent:d\n- ok\n## lookup:e\n",
            [1, 3, 5, 8],
        ),
        ("nlu.md", "## intent:a\n-\n## lookup:b\nnone.txt\n## intent:c\ntext\n- ok\n", [2, 4, 6]),
        (
            "nlu.yml",
            "nlu:\n- intent: a\n  examples:\n- intent: b\n  examples: []\n- intent: c\n  examples: ''\n",
            [2, 4, 6],
        ),
        ("nlu.yml", "nlu:\n- synonym: a\n  examples: |\n    # - x\n- intent: b\n  examples: |\n    - ok\n", [2]),
    ],
)
def test_what_has_no_examples_is_told(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    data = read_file(tmp_path, name, text)
    assert told(data) == lines
    empty = [one.problem for one in data.problems if "has no examples here" in one.problem]
    assert len(empty) == (len(lines) if "none.txt" not in text else 0)


def test_a_group_with_a_name_of_another_language_is_told_with_its_name_here(tmp_path: Path) -> None:
    (problem,) = read_file(tmp_path, "nlu.md", "## regex:a\n- (?<x>b)\n- (?P<x>b)\n").problems
    assert "a group with a name is (?P<name>...) in Python" in problem.problem


def test_of_a_table_and_of_synonyms_what_is_no_text_is_left_out(tmp_path: Path) -> None:
    content = {
        "common_examples": [{"text": "x", "intent": 5}],
        "entity_synonyms": [{"value": "five", "synonyms": [5, None, "V"]}],
        "lookup_tables": [{"name": "size", "elements": ["small", 42, []]}],
    }
    data = read_file(tmp_path, "a.json", json.dumps({"rasa_nlu_data": content}, indent=0))
    assert data.intents == ["5"]
    assert data.synonyms == {"5": "five", "v": "five"}
    assert data.lookups == (Lookup("size", ("small", "42")),)
    assert len(data.problems) == 2


def test_the_part_of_a_retrieval_intent_may_stand_in_a_key_of_its_own() -> None:
    examples = [
        {"text": "x", "intent": "faq", "intent_response_key": "faq/x"},
        {"text": "y", "intent": "faq", "response_key": "y"},
    ]
    data = read_training_text(json.dumps({"rasa_nlu_data": {"common_examples": examples}}))
    assert data.intents == ["faq/x", "faq/y"]


def test_the_name_of_an_entity_has_no_quotation_marks(tmp_path: Path) -> None:
    assert read_file(tmp_path, "a.md", '## intent:a\n- [x]("city")\n').entities == ["city"]


def test_of_a_key_that_stands_twice_in_an_example_of_json_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "nlu.json"
    examples = '{"text": "x", "intent": "y", "intent": "z"}, {"text": "a", "intent": "b"}'
    path.write_text(f'{{"rasa_nlu_data": {{"common_examples": [{examples}]}}}}', encoding="utf-8")
    data = read_training_data(path)
    assert [one.intent for one in data.examples] == ["z", "b"]
    assert len(data.problems) == 1


def test_roles_and_groups_are_read_from_marks_and_json() -> None:
    mark = '{"entity": "city", "role": "to", "group": "2"}'
    expected = (EntitySpan(3, 7, "city", "Rome", "to", "2"),)
    entity = {"start": 3, "end": 7, **json.loads(mark)}
    common = [{"text": "to Rome", "intent": "a", "entities": [entity]}]
    for text in (f"## intent:a\n- to [Rome]{mark}", json.dumps({"rasa_nlu_data": {"common_examples": common}})):
        data = read_training_text(text)
        assert data.examples == (NLUExample("to Rome", "a", expected),)
        assert data.labels == [("city", "to", "2")]


def test_space_at_the_edge_of_an_entity_is_no_part_of_it() -> None:
    (example,) = read_training_text("## intent:a\n- to[ Lisbon ](city) now\n").examples
    assert example.entities == (EntitySpan(3, 9, "city", "Lisbon"),)
    assert read_training_text("## intent:a\n- to[ NYC ](city:New York) now\n").synonyms == {"nyc": "New York"}


def test_offsets_that_count_the_units_of_utf_16_are_recognised(tmp_path: Path) -> None:
    def data(*starts: int) -> TrainingData:
        texts = ("\U0001f600 to Lisbon \U0001f600", "to Lisbon")
        examples = [
            {"text": text, "entities": [{"start": at, "end": at + 6, "entity": "city", "value": "Lisbon"}]}
            for text, at in zip(texts, starts, strict=True)
        ]
        return read_file(tmp_path, "a.json", json.dumps({"rasa_nlu_data": {"common_examples": examples}}))

    for first in (6, 5):
        found = data(first, 3)
        assert [example.text[e.start : e.end] for example in found.examples for e in example.entities] == ["Lisbon"] * 2
        assert not found.synonyms


def test_offsets_of_which_one_ends_inside_of_a_character_count_characters(tmp_path: Path) -> None:
    spans = [
        {"start": 1, "end": 2, "entity": "sign", "value": "v"},
        {"start": 4, "end": 5, "entity": "x", "value": "A"},
    ]
    example = {"text": "x\U00010000.A\u00b2.", "intent": "a", "entities": spans}
    data = read_file(tmp_path, "a.json", json.dumps({"rasa_nlu_data": {"common_examples": [example]}}))
    assert [(one.start, one.end) for one in data.examples[0].entities] == [(1, 2), (4, 5)]


def test_a_lookup_table_may_be_named_from_the_folder_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "data" / "nlu").mkdir(parents=True)
    (tmp_path / "data" / "cities.txt").write_text("Rome\n", encoding="utf-8")
    data = read_file(tmp_path / "data" / "nlu", "a.md", "## intent:a\n- x\n## lookup:city\ndata/cities.txt\n")
    assert data.lookups == (Lookup("city", ("Rome",)),)


def test_a_lookup_table_in_yaml_may_name_a_file(tmp_path: Path) -> None:
    (tmp_path / "cities.txt").write_text("Rome\n", encoding="utf-8")
    data = read_file(tmp_path, "a.yml", "nlu:\n- lookup: city\n  examples: cities.txt\n")
    assert data.lookups == (Lookup("city", ("Rome",)),)


def test_half_of_a_surrogate_pair_is_text_except_in_yaml() -> None:
    assert read_training_text("## intent:a\n- \ud83d").examples[0].text == "\ud83d"
    with pytest.raises(NLUDataError, match=r"^<body>:2: half of a surrogate pair"):
        read_training_text("nlu:\n- \ud83d")


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "nlu.md").write_bytes(b"## intent:a\n- x\n- caf\xe9\n")
    for path in (tmp_path, tmp_path / "nlu.md"):
        with pytest.raises(NLUDataError, match=r"nlu\.md:3:6: this is not UTF-8; save the file in that encoding\."):
            read_training_data(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NLUDataError, match=r"nowhere\.md: there is no such file; check the path"):
        read_training_data(tmp_path / "nowhere.md")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '{"rasa_nlu_data": {"common_example": []}}',
            "the key 'common_example' of rasa_nlu_data is ignored. Did you mean",
        ),
        (
            "nlu:\n- intent: a\n  exampels: x\n  examples: ''\n",
            ":2: the key 'exampels' is ignored. Did you mean 'examples'",
        ),
    ],
)
def test_unknown_keys_are_logged(text: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    read_training_text(text)
    assert told in caplog.text


@pytest.mark.parametrize("text", ["#" * 200_000, "[" * 200_000, "<!--" * 50_000, " " * 200_000, '{"a":' * 50_000])
def test_a_long_text_that_is_no_data_is_refused_at_once(text: str) -> None:
    started = time.process_time()
    for body in (text, f"## intent:a\n- {text}"):
        with contextlib.suppress(NLUDataError):
            read_training_text(body)
    assert time.process_time() - started < 2  # Far above what it takes, for machines that are busy.


# -- any data, written by an independent writer

ODD = "aB.9 ä東😀\u0301'\"\\{:#-*"
# Only what can be printed, since little is left of other texts that are drawn and then thrown away.
PRINTABLE = st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="[]()<>")
TEXT = st.text(st.sampled_from(ODD) | PRINTABLE, max_size=8)
CLEAN = TEXT.map(str.strip).filter(bool)
NAME = st.from_regex(r"[a-z_]{1,5}", fullmatch=True)


@st.composite
def messages(draw: st.DrawFn) -> NLUExample:
    text, spans = draw(st.sampled_from(["x", "东", "a b"])), []
    for _ in range(draw(st.integers(0, 2))):
        part, value = draw(CLEAN), draw(CLEAN)
        spans.append(EntitySpan(len(text), len(text) + len(part), draw(NAME), draw(st.sampled_from([part, value]))))
        text += part + draw(TEXT) + "."
    return NLUExample(text, draw(NAME), tuple(spans))


def marked(example: NLUExample) -> str:
    pieces, position = [], 0
    for span in example.entities:
        covered = example.text[span.start : span.end]
        mark = json.dumps({"entity": span.entity} | ({"value": span.value} if span.value != covered else {}))
        pieces.append(f"{example.text[position : span.start]}[{covered}]{mark}")
        position = span.end
    return "".join(pieces) + example.text[position:]


def as_markdown(examples: list[NLUExample]) -> str:
    return "".join(f"## intent:{one.intent}\n- {marked(one)}\n" for one in examples)


def as_json(examples: list[NLUExample]) -> str:
    found = [
        {
            "text": one.text,
            "intent": one.intent,
            "entities": [
                {"start": span.start, "end": span.end, "entity": span.entity, "value": span.value}
                for span in one.entities
            ],
        }
        for one in examples
    ]
    return json.dumps({"rasa_nlu_data": {"common_examples": found}})


def as_yaml_blocks(examples: list[NLUExample]) -> str:
    return "nlu:\n" + "".join(f"- intent: '{one.intent}'\n  examples: |\n    - {marked(one)}\n" for one in examples)


def as_yaml_list(examples: list[NLUExample]) -> str:
    return yaml.safe_dump({"nlu": [{"intent": one.intent, "examples": [{"text": marked(one)}]} for one in examples]})


@settings(max_examples=50)
@given(examples=st.lists(messages(), min_size=1, max_size=4))
def test_whatever_is_written_is_read_again_in_every_format(examples: list[NLUExample]) -> None:
    definitions = [
        Synonym(one.text[span.start : span.end], span.value)
        for one in examples
        for span in one.entities
        if span.value != one.text[span.start : span.end]
    ]
    expected = TrainingData.build(examples, definitions)
    places = [(one.text, span.start, span.end, span.value) for one in examples for span in one.entities]
    for write in (as_markdown, as_json, as_yaml_blocks, as_yaml_list):
        if write is as_json and count_utf16(places):  # By chance, one fits the words of its text as units alone.
            continue
        assert read_training_text(write(examples)) == expected, write.__name__


# -- corpora


@pytest.mark.parametrize(
    ("name", "examples", "intents", "entities"),
    [
        ("snips", 13_784, 7, 39),
        ("hwu64", 9_960, 64, 54),
        ("babi", 1_563, 6, 5),
        ("moodbot", 63, 6, 0),
        ("remotebot", 31, 6, 0),
    ],
)
def test_corpora_are_read_at_once(name: str, examples: int, intents: int, entities: int) -> None:
    folder = CORPORA / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    started = time.process_time()
    data = read_training_data(folder)
    assert time.process_time() - started < 3  # Far above what it takes, for machines that are busy.
    assert (len(data.examples), len(data.intents), len(data.entities)) == (examples, intents, entities)


@pytest.mark.parametrize(
    ("name", "text", "is_data"),
    [
        ("endpoints.yml", "nlu:\n  url: http://localhost:5000\n", False),
        ("endpoints.yml", "nlu: http://localhost:5000\n", False),
        ("config.yml", "nlu:\nlanguage: en\n", False),
        ("domain.yml", "intents:\n- greet\n# intent: x\n## intent:greet\nactions: []\n", False),
        ("domain.yaml", "## intent:greet\n# - hello\nintents: [greet]\n", False),
        ("README.md", "## intent:greet\n- hello\n", False),
        ("nlu.yml", "nlu:\n- intent: greet\n  examples: |\n    - hi\n", True),
        ("nlu.yml", "version: '2.0'\nnlu: # what people say\n\n  # greetings\n  - intent: greet\n", True),
        ("nlu.yml", 'nlu: [{intent: greet, examples: "- hi"}]', True),
        ("nlu.md", "## intent:greet\n- hello\n", True),
        ("nlu.json", '{"rasa_nlu_data": {"common_examples": []}}', True),
    ],
)
def test_only_nlu_data_is_taken_for_it(tmp_path: Path, name: str, text: str, is_data: bool) -> None:
    (tmp_path / name).write_text(text)

    assert list_data_files(tmp_path) == ([tmp_path / name] if is_data else [])
