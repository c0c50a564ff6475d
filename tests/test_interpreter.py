from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.events import check_parse_data
from rasa_core.exceptions import InterpreterError
from rasa_core.interpreter import (
    INTENT_MESSAGE_PREFIX,
    NaturalLanguageInterpreter,
    RasaNLUHttpInterpreter,
    RasaNLUInterpreter,
    RegexInterpreter,
    names_its_intent,
)
from rasa_core.stories.messages import read_messages


def regex_parse(text: str) -> dict[str, Any]:
    return RegexInterpreter().parse(text)


# -- messages that name their intent


@pytest.mark.parametrize(
    ("text", "name", "confidence", "values"),
    [
        ("/greet", "greet", 1.0, []),
        ("_greet", "greet", 1.0, []),
        ("greet", "greet", 1.0, []),
        ("hello there", "hello there", 1.0, []),
        (" /greet ", "greet", 1.0, []),
        ("", None, 1.0, []),
        ("/", None, 1.0, []),
        ('{"a": 1}', None, 1.0, [("a", 1)]),
        ('/greet{"name": "Anna"}', "greet", 1.0, [("name", "Anna")]),
        ('/greet {"name": "Anna"} ', "greet", 1.0, [("name", "Anna")]),
        ('/a{"x": 1, "y": null}', "a", 1.0, [("x", 1), ("y", None)]),
        ('/a{"x": ["p", "q"], "y": {"z": 2}}', "a", 1.0, [("x", "p"), ("x", "q"), ("y", {"z": 2})]),
        ('/a{"x": []}', "a", 1.0, []),
        ("/a{}", "a", 1.0, []),
        ("/greet@0.7", "greet", 0.7, []),
        ('/greet@0.7{"name": "Anna"}', "greet", 0.7, [("name", "Anna")]),
        ("/greet@1", "greet", 1.0, []),
        ("/greet@.5", "greet", 0.5, []),
        ("/greet@1.5", "greet@1.5", 1.0, []),
        ("/greet@", "greet@", 1.0, []),
        ("anna@example.com", "anna@example.com", 1.0, []),
        ('/grüße{"stadt": "Köln 🎉"}', "grüße", 1.0, [("stadt", "Köln 🎉")]),
    ],
)
def test_a_message_names_its_intent_and_entities(
    text: str, name: str | None, confidence: float, values: list[tuple[str, Any]]
) -> None:
    parse = regex_parse(text)

    assert parse["text"] == text
    assert parse["intent"] == {"name": name, "confidence": confidence}
    assert parse["intent_ranking"] == [{"name": name, "confidence": confidence}]
    assert [(entity["entity"], entity["value"]) for entity in parse["entities"]] == values


def test_entities_span_the_json_object() -> None:
    text = '/greet {"name": "Anna", "n": [1, 2]} '
    spans = {text[entity["start"] : entity["end"]] for entity in regex_parse(text)["entities"]}

    assert spans == {'{"name": "Anna", "n": [1, 2]}'}


@pytest.mark.parametrize(
    "tail",
    [
        "{",
        "{]",
        '{"a": 1} and more',
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 10_000 + "}",
        '{"a": ' * 100_000,
        '{"a": ' + "[" * 110 + "]" * 110 + "}",
        "{" * 100_000,
    ],
    ids=lambda tail: tail[:20],
)
def test_what_is_no_json_gives_no_entities_but_a_warning(tail: str, caplog: pytest.LogCaptureFixture) -> None:
    parse = regex_parse("/greet" + tail)

    assert parse["intent"]["name"] == "greet"
    assert parse["entities"] == []
    assert "no entities in " in caplog.text
    assert len(caplog.text) < 1_000


@given(st.text() | st.text(alphabet='/_@{}[]":,.019aé \x00\n'))
def test_no_text_is_an_error(text: str) -> None:
    parse = regex_parse(text)

    check_parse_data(parse)
    assert parse["text"] == text
    json.dumps(parse, allow_nan=False)


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_VALUES = _LEAVES | st.dictionaries(st.text(), _LEAVES | st.lists(_LEAVES, max_size=3), max_size=3)


@given(st.dictionaries(st.text(), _VALUES, max_size=4))
def test_entities_are_the_values_of_the_json_object(values: dict[str, Any]) -> None:
    entities = regex_parse("/inform" + json.dumps(values))["entities"]

    assert {entity["entity"]: entity["value"] for entity in entities} == values


def test_a_text_of_100_kb_is_parsed() -> None:
    text = "x" * 100_000

    assert regex_parse("/" + text)["intent"]["name"] == text


def test_results_share_nothing() -> None:
    interpreter = RegexInterpreter()
    interpreter.parse("/a")["entities"].append("changed")
    interpreter.parse("/a")["intent"]["name"] = "changed"

    assert interpreter.parse("/a")["entities"] == []
    assert interpreter.parse("/a")["intent_ranking"] == [{"name": "a", "confidence": 1.0}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(text, True) for text in ("/greet", "_greet", "/ greet ", '_greet{"a": 1}', "/greet@0.5", "/faq/ask{}")],
        *[(text, True) for text in ("_greet[a=1]", "/greet[a=1]", "/greet{oops", "/restart", "_back")],
        *[(text, True) for text in ("/nope", '/nope{"a": 1}', "/nope@0.3", "/nope {}", "/a.b-c")],
        *[(text, False) for text in ("/home/user", "_hello there_", "_nope", "/greet me", "/", "_", "//", "/nope/{}")],
        *[(text, False) for text in ("hello", "", "/:)", "/ nope", "_nope[a=1]", "__init__", "/nope[1]")],
    ],
)
def test_only_an_intent_that_there_is_or_a_single_word_may_follow_the_prefix(text: str, expected: bool) -> None:
    assert names_its_intent(text, {"greet", "faq/ask"}) is expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("_inform[cuisine=thai]", [("cuisine", "thai")]),
        ("/inform[cuisine=thai, people = 2 ]", [("cuisine", "thai"), ("people", "2")]),
        ("_inform[city=\"New York\",note='a']", [("city", "New York"), ("note", "a")]),
        ("_inform[]", []),
        ("inform[cuisine=thai]", [("cuisine", "thai")]),
        ("Inform [cuisine=thai, people=2] ", [("cuisine", "thai"), ("people", "2")]),
    ],
)
def test_brackets_are_read_as_old_stories_have_them(text: str, values: list[tuple[str, str]]) -> None:
    parse = regex_parse(text)
    assert parse["intent"] == {"name": "inform", "confidence": 1.0}
    assert [(entity["entity"], entity["value"]) for entity in parse["entities"]] == values
    assert {text[entity["start"] : entity["end"]][0] for entity in parse["entities"]} <= {"["}
    story = read_messages(text.replace("/", "_"), 0, [])[0]
    assert (story.name, story.entities) == ("inform", values)


def test_a_comma_with_no_entity_behind_it_belongs_to_the_value() -> None:
    entities = regex_parse("_inform[note=a, b,city=Rome]")["entities"]
    assert [(entity["entity"], entity["value"]) for entity in entities] == [("note", "a, b"), ("city", "Rome")]


@pytest.mark.parametrize(
    ("text", "intents", "intent"),
    [
        ("_Inform[city=Rome]", {"inform"}, "inform"),
        ("_INFORM[city=Rome]", (), "inform"),
        ("_Inform[city=Rome]", {"Inform", "inform"}, "Inform"),
        ("/Search-Hotel[city=Rome]", {"Search-Hotel"}, "Search-Hotel"),
        ("_Inform", {"inform"}, "Inform"),
        ('_Inform{"city": "Rome"}', {"inform"}, "Inform"),
    ],
)
def test_before_brackets_an_intent_may_be_written_in_any_case(text: str, intents: Collection[str], intent: str) -> None:
    assert RegexInterpreter(intents).parse(text)["intent"]["name"] == intent
    assert names_its_intent(text, intents) == (intent in intents)


@pytest.mark.parametrize("text", ["_inform[oops]", "/inform[thai](cuisine)", "/inform[ =1]"])
def test_brackets_with_no_entities_are_left_out_with_a_warning(text: str, caplog: pytest.LogCaptureFixture) -> None:
    parse = regex_parse(text)
    assert (parse["intent"]["name"], parse["entities"]) == ("inform", [])
    assert "no entities in " in caplog.text


def test_a_bracket_that_is_not_closed_ends_with_the_message() -> None:
    (entity,) = regex_parse("_inform[a=1 ")["entities"]
    assert (entity["entity"], entity["value"], entity["start"], entity["end"]) == ("a", "1", 7, 11)


@pytest.mark.parametrize("behind", ['{"people": 2}', " {}", " please", "x"])
def test_what_stands_behind_a_bracket_is_no_value(behind: str) -> None:
    parse = regex_parse(f"_inform[city=Rome]{behind}")
    assert parse["intent"]["name"] == "inform"
    assert [(entity["entity"], entity["value"]) for entity in parse["entities"]] == [("city", "Rome")]


@pytest.mark.parametrize("text", ["please take [a=1]", "is x[1] = 2", "inform[a]", "inform[=1]", "see a[a=1] there"])
def test_without_a_prefix_brackets_in_a_sentence_or_without_entities_belong_to_the_text(text: str) -> None:
    assert (regex_parse(text)["intent"]["name"], regex_parse(text)["entities"]) == (text, [])


def test_brackets_in_the_name_of_an_intent_belong_to_the_name() -> None:
    assert RegexInterpreter({"inform[a=1]"}).parse("inform[a=1]")["intent"]["name"] == "inform[a=1]"
    assert RegexInterpreter({"faq[1]"}).parse("/faq[1]")["intent"]["name"] == "faq[1]"


@pytest.mark.parametrize(("text", "expected"), [("/a", True), ("_a", True), ("a/", False), ("", False), (" /a", False)])
def test_messages_with_a_prefix_name_their_intent(text: str, expected: bool) -> None:
    assert names_its_intent(text) is expected
    assert names_its_intent(INTENT_MESSAGE_PREFIX + text)


# -- which interpreter


class OwnInterpreter(NaturalLanguageInterpreter):
    def parse(self, text: str) -> dict[str, Any]:
        return {"text": text, "intent": {"name": "own", "confidence": 1.0}, "entities": []}


def test_create_returns_an_interpreter_as_it_is() -> None:
    own = OwnInterpreter()

    assert NaturalLanguageInterpreter.create(own) is own


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (None, RegexInterpreter),
        ("http://localhost:5000", RasaNLUHttpInterpreter),
        ("HTTPS://nlu.example.com/bot", RasaNLUHttpInterpreter),
    ],
)
def test_create_makes_the_interpreter_that_is_meant(given_: str | None, expected: type) -> None:
    assert type(NaturalLanguageInterpreter.create(given_)) is expected


@pytest.mark.parametrize("directory", ["models/nlu", Path("models/nlu")])
def test_create_says_that_there_is_no_model(directory: str | Path) -> None:
    with pytest.raises(InterpreterError, match=r"models.nlu.*no such directory.*rasa-core nlu train.*NLU server"):
        NaturalLanguageInterpreter.create(directory)


def test_an_address_without_its_beginning_is_told() -> None:
    with pytest.raises(InterpreterError, match=r"Did you mean http://localhost:5000/x\?"):
        RasaNLUInterpreter("localhost:5000/x")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("metadata.json", "a dialogue model, or a model of Rasa NLU, which is not read. Train a model"),
        ("other.txt", "there is no nlu.json. Train one"),
        ("nlu.json", "cannot read .*nlu.json.* Train the model again"),
    ],
)
def test_a_directory_without_a_model_says_what_is_there(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text("{", encoding="utf-8")
    with pytest.raises(InterpreterError, match=message):
        RasaNLUInterpreter(tmp_path)


@pytest.mark.parametrize("wrong", [5, object(), ["models"], RegexInterpreter])
def test_create_refuses_anything_else(wrong: object) -> None:
    with pytest.raises(ValueError, match="an interpreter is None, the http"):
        NaturalLanguageInterpreter.create(wrong)


def test_a_lazy_interpreter_says_with_the_first_message_that_there_is_no_model() -> None:
    interpreter = RasaNLUInterpreter("models/nlu", None, lazy_init=True)

    assert interpreter.model_fingerprint is None
    with pytest.raises(InterpreterError, match="no such directory"):
        interpreter.parse("hello")


def test_an_interpreter_without_parse_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"NaturalLanguageInterpreter needs a method parse"):
        NaturalLanguageInterpreter().parse("hi")


def test_processors_of_old_ask_how_a_message_is_written() -> None:
    assert RegexInterpreter.allowed_prefixes() == "/_"
    assert [RegexInterpreter.is_using_deprecated_format(text) for text in ("_a[b=c]", '/a{"b": "[c]"}', "/a")] == [
        True,
        False,
        False,
    ]
    name, entities = RegexInterpreter.extract_intent_and_entities('/inform{"city": "Rome"}')
    assert (name, [entity["value"] for entity in entities]) == ("inform", ["Rome"])
    assert RegexInterpreter.deprecated_extraction("_Inform[city=Rome]")[0] == "inform"
