"""Rasa's YAML: the plain scalars of YAML 1.2, merge keys, and errors with their line."""

from __future__ import annotations

import pytest

from rasa_core.domain import Domain
from rasa_core.nlu.reading import read_training_text
from rasa_core.support.yaml_parts import YamlError, yaml_part


def read(text: str) -> tuple[object, object]:
    part = yaml_part(text, "bot.yml")
    assert part is not None
    return part.keys(), part.data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("[12e03, 0o17, 0x1F]", [12_000.0, 15, 31]),
        ("[no, on, 12:30, 2024-01-01, 0o9]", ["no", "on", "12:30", "2024-01-01", "0o9"]),
        ("[&a {k: 1, z: 3}, &b {k: 2}, {<<: [*a, *b]}]", [{"k": 1, "z": 3}, {"k": 2}, {"k": 1, "z": 3}]),
        ("[&a {k: 1}, {<<: *a, k: 2}, {k: 3, <<: *a}]", [{"k": 1}, {"k": 2}, {"k": 3}]),
        ("[&a {<<: {k: 1}, k: 2}, {<<: *a}]", [{"k": 2}, {"k": 2}]),
    ],
    ids=["numbers", "texts", "the first of two merged keys", "own keys", "merged twice"],
)
def test_data_is_what_yaml_says(text: str, data: object) -> None:
    part = yaml_part(text, "bot.yml")
    assert part is not None
    assert part.data == data
    assert [{key.written: value.data for key, value in item.pairs()} for item in part.entries() if item.is_mapping] == [
        item for item in part.data if isinstance(item, dict)
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: " + "9" * 5000, "'9{40}' cannot be read as int; quote it"),
        ("a: 1\nb: .INF", "'.INF' cannot be read as float; write a number that JSON has, or quote it"),
        ("a: 1\nb: [-.inf]", "'-.inf' cannot be read as float"),
        ("a: 1\nb: .nan", "'.nan' cannot be read as float"),
        ("a: 1\nb: 1e400", "'1e400' cannot be read as float"),
        ("a: 1\nb: !!int abc", "'abc' cannot be read as int"),
        ("a: 1\nb: !!bool abc", "'abc' cannot be read as bool"),
        ("a: 1\n<<: text", "<< takes over the keys of a mapping, such as .name, and this is none"),
        ("a: 1\n? [b]\n: 1", "a key is a plain name"),
        ("a: 1\na: 2", "the key 'a' stands twice; the first is on line 1"),
        ("a: 1\nb: !!python/object:os.system {x: 1}", "the tag !!python/object:os.system is not allowed"),
        ("a: 1\nb: {c: !own d}", "the tag !own is not allowed"),
    ],
)
def test_anything_else_is_an_error_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(YamlError, match=rf"^bot.yml:2: .*{problem}"):
        read(text)


def test_the_escaped_halves_of_an_emoji_are_one_character_in_every_file() -> None:
    text = r'{"version": "3.1", "intents": ["greet"], "responses": {"utter_greet": [{"text": "\ud83d\uDE00 \\ud83d"}]}}'
    part = yaml_part(text, "bot.yml")
    assert part is not None
    assert part.data["responses"]["utter_greet"] == [{"text": "\U0001f600 \\ud83d"}]
    assert Domain.from_yaml(text).templates["utter_greet"] == [{"text": "\U0001f600 \\ud83d"}]
    (example,) = read_training_text(r'nlu: [{intent: greet, examples: ["hi \ud83d\ude00"]}]').examples
    assert example.text == "hi \U0001f600"


@pytest.mark.parametrize("text", [r"\ud83d", r"\ude00\ud83d", r"\\ud83d\ude00"])
def test_half_of_an_escaped_character_is_an_error(text: str) -> None:
    with pytest.raises(YamlError, match=r"bot.yml:1:.* invalid Unicode character escape"):
        yaml_part(f'a: "{text}"', "bot.yml")
