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


def test_parts_of_one_intent_have_the_name_that_dialogflow_tells(tmp_path: Path) -> None:
    files = {
        "intents/faq_hours.json": {"name": "faq/hours", "webhookUsed": False},
        "intents/faq_hours_usersays_en.json": [{"id": "1"}, {"data": []}, {"data": [{"text": "when"}]}],
    }
    assert read_training_data(written(tmp_path, files)).examples == (NLUExample("when", "faq/hours"),)


PARTS: list[Any] = [{"text": "in "}, {"text": "Lisbon", "alias": "city", "meta": "@place", "parameterId": "city"}]
OLD_AGENT = {
    "intents/inform.json": {"name": "inform", "webhookUsed": False, "userSays": [{"data": PARTS, "isTemplate": False}]},
    "entities/city.json": {"name": "city", "isOverridable": True, "entries": ENTRIES[:1]},
}
CX_AGENT = {
    "intents/inform/inform.json": {"displayName": "inform"},
    "intents/inform/trainingPhrases/en.json": {"trainingPhrases": [{"id": "1", "parts": PARTS}]},
    "entityTypes/city/entities/en.json": {"entities": ENTRIES[:1]},
}
WIT_APP = {
    "utterances/utterances-1.json": WIT,
    "entities/city.json": {"name": "city", "keywords": [{"keyword": "Lisbon", "synonyms": ["Lisbon", "Lisboa"]}]},
}
OLD_WIT_APP = {
    "expressions.json": OLD_WIT,
    "entities/city.json": {"data": {"id": "city", "values": [{"value": "Lisbon", "expressions": ["Lisboa"]}]}},
}


@pytest.mark.parametrize(
    "files", [OLD_AGENT, CX_AGENT, WIT_APP, OLD_WIT_APP], ids=["dialogflow, old", "dialogflow cx", "wit", "wit, old"]
)
def test_folders_of_other_times_are_read_with_their_values(files: dict[str, Any], tmp_path: Path) -> None:
    data = read_training_data(written(tmp_path, files))
    assert data.examples == (IN_LISBON,)
    assert data.synonyms == {"lisboa": "Lisbon"}
    assert data.lookups == (Lookup("city", ("Lisbon", "Lisboa")),)
    assert not data.problems


CLU = {
    "projectFileVersion": "2022-05-01",
    "assets": {
        "utterances": [
            {"text": "in Lisbon", "intent": "inform", "entities": [{"category": "city", "offset": 3, "length": 6}]}
        ],
        "entities": [
            {
                "category": "city",
                "list": {"sublists": [{"listKey": "Lisbon", "synonyms": [{"language": "en", "values": ["Lisboa"]}]}]},
            }
        ],
    },
}


@pytest.mark.parametrize("export", [CLU, {"workspace": WATSON, "type": "action"}], ids=["clu", "watson"])
def test_newer_exports_are_read_as_the_older_ones(export: Any) -> None:
    data = read_training_text(json.dumps(export))
    assert (data.examples, data.synonyms) == ((IN_LISBON,), {"lisboa": "Lisbon"})


EMOJI = "\U0001f600"


@pytest.mark.parametrize(
    "export",
    [
        {"luis_schema_version": "7", "utterances": [{"entities": [{"entity": "city", "startPos": 3, "endPos": 8}]}]},
        {"utterances": [{"entities": [{"entity": "city", "start": 3, "end": 9, "body": "Lisbon"}]}]},
        {"intents": [{"intent": "inform", "examples": [{"mentions": [{"entity": "city", "location": [3, 9]}]}]}]},
        {"rasa_nlu_data": {"common_examples": [{"entities": [{"entity": "city", "start": 3, "end": 9}]}]}},
        {"rasa_nlu_data": {"common_examples": [{"entities": [{"entity": "city", "start": "3", "end": "9"}]}]}},
    ],
    ids=["luis", "wit", "watson", "rasa", "texts"],
)
@pytest.mark.parametrize("rest", ["", " now"])
def test_places_in_units_of_utf_16_are_known_by_the_words_that_they_cover(export: Any, rest: str) -> None:
    text = json.dumps(export).replace('"entities": [{', f'"text": "{EMOJI} Lisbon{rest}", "entities": [{{')
    text = text.replace('"mentions"', f'"text": "{EMOJI} Lisbon{rest}", "mentions"')
    (example,) = read_training_text(text).examples
    assert example.entities == (EntitySpan(2, 8, "city", "Lisbon"),)


@pytest.mark.parametrize(
    ("export", "told"),
    [
        (
            {**LUIS, "patterns": [{"pattern": "to {city}", "intent": "inform"}]},
            'a pattern of messages is left out: "to {city}"',
        ),
        (
            {
                "utterances": [
                    *WIT["utterances"],
                    {
                        "text": "to Porto",
                        "intent": "inform",
                        "entities": [
                            {"entity": "way", "start": 0, "end": 8, "entities": [{"entity": "city", "start": 3}]}
                        ],
                    },
                ]
            },
            'the entity "city" is left out, since it is a part of another',
        ),
        (
            {**WATSON, "intents": [*WATSON["intents"], {"intent": 5, "examples": [{"text": "five"}]}]},
            "the intent 5 of 'five' is no text",
        ),
        (
            {"utterances": [*WIT["utterances"], {"text": 5, "intent": "inform", "entities": []}]},
            "the message 5 is no text",
        ),
    ],
    ids=["pattern", "part", "intent", "text"],
)
def test_what_is_not_read_of_an_export_is_told(export: Any, told: str, tmp_path: Path) -> None:
    data = read_training_data(written(tmp_path, {"export.json": export}))
    assert IN_LISBON in data.examples
    assert [told in one.problem and one.place.line > 1 for one in data.problems if one.place] == [True]


def test_wit_says_with_no_intent_that_a_message_is_out_of_scope() -> None:
    one = {"text": "blah", "entities": [], "traits": []}
    (example,) = read_training_text(json.dumps({"utterances": [one]})).examples
    assert example.intent == "out_of_scope"


def test_what_is_named_by_an_object_in_an_export_has_its_name() -> None:
    marked = {"entity": {"name": "city"}, "start": 3, "end": 9}
    one = {"text": "in Lisbon", "intent": {"name": "inform", "id": 1}, "entities": [marked], "traits": []}
    assert read_training_text(json.dumps({"utterances": [one]})).examples == (IN_LISBON,)


@pytest.mark.parametrize(
    ("export", "name"),
    [
        ({"interactionModel": {"languageModel": {}}}, "an Alexa skill"),
        ({"resource": {"intents": [{"sampleUtterances": ["hi"]}]}}, "Amazon Lex"),
    ],
    ids=["alexa", "lex"],
)
def test_exports_that_are_not_read_are_called_what_they_are(export: Any, name: str) -> None:
    with pytest.raises(NLUDataError, match=rf"this is an export of {name}, of which nothing is read"):
        read_training_text(json.dumps(export))


def test_what_services_have_beside_messages_is_no_error() -> None:
    export = {**LUIS, "patterns": [{"pattern": "to {city}", "intent": "inform"}]}
    assert read_training_text(json.dumps(export)).examples == (IN_LISBON,)
