"""Exports of other services are read as NLU data, alone and in a folder with other files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rasa_core.nlu.reading import read_training_data, read_training_text
from rasa_core.nlu.training_data import Lookup, NLUDataError, NLUExample, Regex
from rasa_core.support.marked_text import EntitySpan

LISBON = EntitySpan(3, 9, "city", "Lisbon")
IN_LISBON = NLUExample("in Lisbon", "inform", (LISBON,))

LUIS = {
    "luis_schema_version": "7.0.0",
    "intents": [{"name": "inform"}],
    "closedLists": [{"name": "city", "subLists": [{"canonicalForm": "Lisbon", "list": ["Lisboa"]}]}],
    "regex_features": [
        {"name": "zip", "pattern": "[0-9]{5}", "activated": True},
        {"name": "old", "pattern": "x", "activated": False},
    ],
    "utterances": [
        {"text": "in Lisbon", "intent": "inform", "entities": [{"entity": "city", "startPos": 3, "endPos": 8}]}
    ],
}
OLD_WIT = {
    "data": [
        {
            "text": "in Lisbon",
            "entities": [
                {"entity": "intent", "value": '"inform"'},
                {"entity": "city", "value": '"Lisbon"', "start": 3, "end": 9},
            ],
        }
    ]
}
WIT = {
    "utterances": [
        {
            "text": "in Lisbon",
            "intent": "inform",
            "entities": [{"entity": "city:city", "start": 3, "end": 9, "body": "Lisbon", "entities": []}],
            "traits": [],
        }
    ]
}
WATSON = {
    "intents": [
        {
            "intent": "inform",
            "examples": [{"text": "in Lisbon", "mentions": [{"entity": "city", "location": [3, 9]}]}],
        }
    ],
    "entities": [
        {"entity": "city", "values": [{"type": "synonyms", "value": "Lisbon", "synonyms": ["Lisboa"]}]},
        {"entity": "zip", "values": [{"type": "patterns", "value": "five", "patterns": ["[0-9]{5}"]}]},
    ],
    "dialog_nodes": [],
}
SAYS: list[Any] = [
    {"id": "1", "data": [{"text": "in "}, {"text": "Lisbon", "alias": "city", "meta": "@place"}], "isTemplate": False},
    {"id": "2", "data": [{"text": "@city:city"}], "isTemplate": True},
]
ENTRIES = [{"value": "Lisbon", "synonyms": ["Lisbon", "Lisboa"]}, {"value": "@city @zip", "synonyms": []}]


@pytest.mark.parametrize("export", [LUIS, OLD_WIT, WIT, WIT["utterances"], WATSON], ids=range(5))
def test_messages_of_an_export_are_examples(export: Any) -> None:
    assert read_training_text(json.dumps(export)).examples == (IN_LISBON,)


@pytest.mark.parametrize("export", [LUIS, WATSON], ids=["luis", "watson"])
def test_values_and_patterns_of_an_export_are_synonyms_lookups_and_expressions(export: Any) -> None:
    data = read_training_text(json.dumps(export))
    assert data.synonyms == {"lisboa": "Lisbon"}
    assert data.lookups == (Lookup("city", ("Lisbon", "Lisboa")),)
    assert data.regexes == (Regex("zip", "[0-9]{5}"),)


def written(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return folder


def test_a_folder_of_dialogflow_is_read_by_the_names_of_its_files(tmp_path: Path) -> None:
    files = {
        "agent.json": {"description": "", "language": "en"},
        "intents/inform.json": {"name": "inform", "webhookUsed": False},
        "intents/inform_usersays_en.json": SAYS,
        "entities/city.json": {"name": "city", "isOverridable": True},
        "entities/city_entries_pt-br.json": ENTRIES,
    }
    data = read_training_data(written(tmp_path, files))
    assert data.examples == (IN_LISBON,)
    assert str(data.examples[0].place) == f"{tmp_path / 'intents/inform_usersays_en.json'}:6"
    assert data.synonyms == {"lisboa": "Lisbon"}
    assert data.lookups == (Lookup("city", ("Lisbon", "Lisboa")),)


def test_an_entity_of_dialogflow_may_be_of_regular_expressions(tmp_path: Path) -> None:
    files = {
        "entities/zip.json": {"name": "zip", "isOverridable": True, "isRegexp": True},
        "entities/zip_entries_en.json": [{"value": "[0-9]{5}", "synonyms": []}],
    }
    data = read_training_data(written(tmp_path, files))
    assert (data.regexes, data.lookups) == ((Regex("zip", "[0-9]{5}"),), ())


def test_an_export_beside_other_data_is_not_passed_over(tmp_path: Path) -> None:
    files = {"luis.json": LUIS, "nlu.md": "## intent:greet\n- hi\n", "package.json": {"data": [], "examples": {}}}
    assert {one.intent for one in read_training_data(written(tmp_path, files)).examples} == {"greet", "inform"}


def test_what_is_wrong_in_an_export_is_left_out_and_told_with_its_line(tmp_path: Path) -> None:
    wrong = {"text": "to Porto", "intent": "inform", "entities": [{"entity": "city", "startPos": 3, "endPos": 99}]}
    files = {"luis.json": {**LUIS, "utterances": [*LUIS["utterances"], wrong]}}
    data = read_training_data(written(tmp_path, files))
    line = (tmp_path / "luis.json").read_text(encoding="utf-8").splitlines().index('   "text": "to Porto",') + 1
    assert data.examples == (IN_LISBON,)
    assert [str(one) for one in data.problems] == [
        f"{tmp_path / 'luis.json'}:{line}: the entity 'city' stands outside of 'to Porto'."
    ]
    with pytest.raises(NLUDataError, match="stands outside of 'to Porto'"):
        read_training_data(tmp_path, strict=True)


def test_roles_in_an_export_are_kept() -> None:
    one = {"text": "in Lisbon", "entities": [{"entity": "wit$city:from", "start": 3, "end": 9}]}
    (example,) = read_training_text(json.dumps({"utterances": [one]})).examples
    assert example.entities == (EntitySpan(3, 9, "wit$city", "Lisbon", "from"),)
