"""``rasa-core nlu`` as a user calls it."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small_nlu import small_model

from rasa_core.commands import nlu as nlu_commands
from rasa_core.commands.main import main
from rasa_core.evaluation.nlu import not_learnt
from rasa_core.evaluation.untidy import out_of_scope_figures, texts_in
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.reading import read_training_data, read_training_text
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.training_data import TrainingData
from rasa_core.project.training import told_not_learnt

pytestmark = pytest.mark.usefixtures("brief_trainings")

DATA = """\
## intent:greet
- hello
- hi
- good morning
- hey there
## intent:order
- a [pizza](dish) please
- bring me [pasta](dish)
- I want [soup](dish)
- [salad](dish) please
## synonym:pasta
- spaghetti
"""


def called(*arguments: str | Path, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["nlu", *map(str, arguments)], input=given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, and with the model that was trained from it."""
    folder = tmp_path_factory.mktemp("nlu")
    (folder / "nlu.md").write_text(DATA, encoding="utf-8")
    finished = called("train", "-d", folder / "nlu.md", "-o", folder / "model", "--epochs", "1", "--setting", "seed=7")
    assert finished.exit_code == 0, finished.output
    assert "nlu.md: 8 examples, read in 0." in finished.stderr
    assert "Learnt 2 intents and 1 kind of entities from 8 examples in " in finished.stdout
    assert finished.stdout.endswith(f"The model is in {folder / 'model'}.\n")
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for what commands write where they are called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- train


def test_findings_are_told_short_or_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repeated = "".join(f"- again {number}\n" * 2 for number in range(5))
    (tmp_path / "nlu.md").write_text(f"## intent:a\n{repeated}", encoding="utf-8")
    for is_verbose, told in (False, 3), (True, 5):
        nlu_commands._warn(read_training_data("nlu.md"), is_verbose=is_verbose)
        lines = capsys.readouterr().err.splitlines()
        assert sum("nlu.md:" in line and "[repeated-example]" in line for line in lines) == told
        assert ("and 2 more [repeated-example] (--verbose shows all)" in lines) is not is_verbose


def test_what_was_not_learnt_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "## intent:greet\n- hello [there](dish)\n- hello\n## intent:order\n- good morning\n"
    (tmp_path / "other.md").write_text(other, encoding="utf-8")
    nlu_commands._tell_not_learnt(NLUModel.load(folder / "model"), read_training_data("other.md"))
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "2 examples could not be learnt, as others say something else, or no words are marked:"
    assert re.fullmatch(r"  other\.md:5: good morning: found greet \(0\.\d\d\) instead of order", told[1])
    assert re.fullmatch(r'  other\.md:2: hello there: .*missed dish "there"', told[2])


def test_the_training_of_a_project_names_the_first_of_what_was_not_learnt() -> None:
    other = read_training_text("## intent:order\n- good morning\n- hello\n- bye\n- hi there\n- [hello](dish) there\n")
    told = list(told_not_learnt(not_learnt(small_model(), other.examples)))
    for line, (number, text) in zip(told, [(2, "good morning"), (3, "hello"), (4, "bye")], strict=False):
        assert line.startswith(f"<body>:{number}: warning: {text!r} is not learnt: found ")
    assert told[3:] == ["and 2 more; rasa-core nlu evaluate with these data and this model shows all"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-d", "nowhere.md"], "nowhere.md: there is no such file; check the path"),
        (["-d", "wrong.md"], "wrong.md:1: there are no sections 'intnet'. Did you mean 'intent'?"),
        (["-d", "nlu.md", "--epochs", "many"], "setting 'epochs' is 'many', but must be a whole number"),
        (["-d", "nlu.md", "--setting", "epoch=3"], "unknown setting 'epoch'. Did you mean 'epochs'?"),
        (["-d", "synonyms.md"], "there is no example of an intent or an entity to learn"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(arguments: list[str], problem: str, elsewhere: Path) -> None:
    (elsewhere / "nlu.md").write_text(DATA, encoding="utf-8")
    (elsewhere / "wrong.md").write_text("## intnet:a\n- b\n", encoding="utf-8")
    (elsewhere / "synonyms.md").write_text("## synonym:a\n- b\n", encoding="utf-8")
    finished = called("train", *arguments, "-o", "model")
    assert finished.exit_code == 1
    assert f"Error: {problem}" in finished.stderr
    assert not (elsewhere / "model").exists()


def test_a_setting_has_a_name_and_a_value() -> None:
    finished = called("train", "-d", "nlu.md", "-o", "model", "--setting", "epochs")
    assert finished.exit_code == 2
    assert "--setting is like batch_size=64, not 'epochs'." in finished.stderr


# -- parse


def test_a_message_is_parsed_into_readable_json(folder: Path) -> None:
    finished = called("parse", folder / "model", "SPAGHETTI, bitte schön 🍝")
    assert finished.exit_code == 0
    assert finished.stdout.startswith('{\n  "text": "SPAGHETTI, bitte schön 🍝",\n  "intent": {\n')
    assert json.loads(finished.stdout) == NLUModel.load(folder / "model").parse("SPAGHETTI, bitte schön 🍝")


@pytest.mark.parametrize("inside", ["models/nlu", "nlu"])
def test_the_folder_of_a_bot_or_of_its_model_stands_for_the_interpreter_in_it(
    folder: Path, tmp_path: Path, inside: str
) -> None:
    (tmp_path / inside).parent.mkdir(exist_ok=True)
    (tmp_path / inside).symlink_to(folder / "model")
    assert json.loads(called("parse", tmp_path, "hello").stdout)["text"] == "hello"


def test_each_line_of_the_standard_input_is_parsed_into_a_line(folder: Path) -> None:
    finished = called("parse", folder / "model", given=b"hello\r\n\na pizza please\ncaf\xe9")
    answers = [json.loads(line) for line in finished.stdout.splitlines()]
    assert [answer["text"] for answer in answers] == ["hello", "", "a pizza please", "caf\ufffd"]
    assert answers[0]["intent"]["name"] == "greet"


def test_half_of_a_surrogate_pair_is_shown_as_an_escape(folder: Path) -> None:
    finished = called("parse", folder / "model", "hi \ud83d")
    assert json.loads(finished.stdout)["text"] == "hi \ud83d"


def test_a_model_that_is_not_there_is_told(elsewhere: Path) -> None:
    finished = called("parse", elsewhere / "model", "hi")
    assert finished.exit_code == 1
    assert finished.stderr.startswith("Error: ")
    assert str(elsewhere / "model") in finished.stderr


# -- evaluate


def test_a_model_is_measured_with_a_report_pictures_and_failed_messages(folder: Path, elsewhere: Path) -> None:
    (elsewhere / "test.md").write_text(f"{DATA}## intent:other\n- hello you\n", encoding="utf-8")
    pictures = ["-o", "matrix.svg", "--histogram", "histogram.svg"]
    finished = called("evaluate", "-d", "test.md", "-m", folder / "model", *pictures)
    assert finished.exit_code == 0, finished.output
    assert finished.stdout.startswith("Messages: 9\nIntents: ")
    assert "The misunderstood messages are in failed_messages.txt, with what was found." in finished.stderr
    assert "hello you" in [one.text for one in read_training_data("failed_messages.txt").examples]
    for name in ("matrix.svg", "histogram.svg"):
        ET.parse(elsewhere / name)


@pytest.mark.parametrize("none", ["none", "None", ""])
def test_no_file_is_written_where_none_is_asked_for(folder: Path, elsewhere: Path, none: str) -> None:
    finished = called("evaluate", "-d", folder / "nlu.md", "-m", folder / "model", "--failed", none)
    assert finished.exit_code == 0, finished.output
    assert finished.stderr == ""
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("option", ["--failed", "--output", "--histogram"])
def test_a_missing_folder_of_what_is_written_is_told_before_anything_is_measured(tmp_path: Path, option: str) -> None:
    finished = called("evaluate", "-d", "no.md", "-m", "no", option, tmp_path / "gone" / "x.svg")
    assert finished.exit_code == 1
    assert finished.stderr.endswith(f"there is no folder {str(tmp_path / 'gone')!r}; make it first.\n")


@pytest.mark.parametrize("option", ["--out-of-scope", "--compare"])
def test_what_a_model_is_measured_with_is_looked_for_before_it_is_measured(option: str) -> None:
    finished = called("evaluate", "-d", "no.md", "-m", "no", option, "gone")
    assert finished.exit_code == 1
    assert "gone" in finished.stderr


def test_the_report_as_json_is_all_of_the_output(folder: Path) -> None:
    finished = called("evaluate", "-d", folder / "nlu.md", "-m", folder / "model", "--format", "json")
    content = json.loads(finished.stdout)
    assert content["messages"] == 8
    assert [one["intent"] for one in content["intents"]] == ["greet", "order"]


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("--fail-under", "the intent accuracy"),
        ("--fail-under-entities", "the entity F1"),
        ("--fail-under-messages", "the share of whole messages"),
    ],
)
def test_less_than_was_asked_for_is_exit_status_1(folder: Path, elsewhere: Path, flag: str, problem: str) -> None:
    (elsewhere / "test.md").write_text("## intent:other\n- [hello](name)\n", encoding="utf-8")
    finished = called("evaluate", "-d", "test.md", "-m", folder / "model", flag, "0.9")
    assert finished.exit_code == 1
    assert f"Error: {problem} 0.0000 is below 0.9." in finished.stderr
    assert called("evaluate", "-d", "test.md", "-m", folder / "model", flag, "0").exit_code == 0


def test_folds_train_with_the_settings_that_are_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, learnt = NLUModel.load(folder / "model"), []

    def train(data: TrainingData, settings: NLUSettings, *, silent: bool) -> NLUModel:
        learnt.append((len(data.examples), settings.epochs, settings.seed))
        return model

    monkeypatch.setattr(nlu_commands, "train_model", train)
    finished = called("evaluate", "-d", folder / "nlu.md", "--folds", "2", "--epochs", "3", "--seed", "5")
    assert finished.exit_code == 0, finished.output
    assert learnt == [(4, 3, 5), (4, 3, 5)]
    assert "\nFold " in finished.stdout


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ([], "give either -m DIR, a trained model, or --folds 5"),
        (["-m", "model", "--folds", "5"], "give either -m DIR, a trained model, or --folds 5"),
        (["-m", "model", "--seed", "5"], "--epochs and --seed are for --folds"),
    ],
)
def test_a_wrong_call_is_told(flags: list[str], problem: str) -> None:
    finished = called("evaluate", "-d", "nlu.md", *flags)
    assert finished.exit_code == 2
    assert problem in finished.stderr


def test_a_picture_of_an_unknown_kind_is_refused_before_anything_is_done() -> None:
    finished = called("evaluate", "-d", "nlu.md", "-m", "model", "-o", "matrix.gif")
    assert finished.exit_code == 1
    assert "its name must end in .svg or .png" in finished.stderr


@pytest.mark.parametrize("name", ["train", "evaluate", "parse"])
def test_help_shows_examples(name: str) -> None:
    text = called(name, "--help").output
    assert "Examples:" in text
    assert f"rasa-core nlu {name} " in text


def test_a_limit_for_entities_does_not_count_where_the_data_marks_none(folder: Path, elsewhere: Path) -> None:
    (elsewhere / "test.md").write_text("## intent:greet\n- hello\n", encoding="utf-8")
    finished = called("evaluate", "-d", "test.md", "-m", folder / "model", "--fail-under-entities", "0.9")
    assert finished.exit_code == 0, finished.output


# -- check, and messages as people type them


def test_check_tells_all_that_looks_wrong(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_text("## intent:a\n- x\n- [y](city\n", encoding="utf-8")
    for strict, status in (((), 0), (("--strict",), 1)):
        finished = called("check", "-d", tmp_path / "bad.md", *strict)
        assert finished.exit_code == status
        assert "bad.md:3: warning: '(city' is not closed" in finished.stderr
        assert "2 findings in 1 example." in finished.stdout
    assert called("check", "-d", folder / "nlu.md", "--strict").exit_code == 0


def test_check_names_examples_that_all_others_take_for_another_intent(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, learnt = NLUModel.load(folder / "model"), []

    def train(data: TrainingData, settings: NLUSettings, *, silent: bool) -> NLUModel:
        learnt.append([example.text for example in data.examples])
        return model

    monkeypatch.setattr(nlu_commands, "train_model", train)
    (tmp_path / "nlu.md").write_text(f"{DATA}## intent:order\n- hey there!\n", encoding="utf-8")
    said = r"'hey there!' is of 'order', but all others say 'greet' \([01]\.\d\d\)"
    doubtful = rf"nlu\.md:14: warning: {said} \[doubtful-example\]"
    for strict, status in (((), 0), (("--strict",), 1)):
        finished = called("check", "-d", tmp_path / "nlu.md", "--folds", "3", *strict)
        assert finished.exit_code == status
        (line,) = (line for line in finished.stderr.splitlines() if "[doubtful-example]" in line)
        assert re.search(doubtful, line)
        assert "1 finding in 9 examples." in finished.stdout
    assert sorted(map(len, learnt)) == [6] * 6
    assert called("check", "-d", tmp_path / "nlu.md", "--folds", "1").exit_code == 2


def test_train_stops_at_what_is_wrong_if_asked_to(tmp_path: Path) -> None:
    (tmp_path / "bad.md").write_text("## intent:a\n- x\n- [y](city\n", encoding="utf-8")
    finished = called("train", "-d", tmp_path / "bad.md", "-o", tmp_path / "model", "--strict")
    assert finished.exit_code == 1
    assert "bad.md:3: '(city' is not closed" in finished.stderr


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("one, two\n\n three\n", ["one, two", " three"]),
        ('["one", "two"]', ["one", "two"]),
        ("[one] and\ntwo\n", ["[one] and", "two"]),
        ("## intent:none\n- [one](x)\n- two\n", ["one", "two"]),
    ],
)
def test_texts_that_mean_nothing_may_be_lines_a_list_or_nlu_data(
    content: str, texts: list[str], tmp_path: Path
) -> None:
    (tmp_path / "other.md").write_text(content, encoding="utf-8")
    assert texts_in(tmp_path / "other.md") == texts


def test_a_file_without_texts_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(RasaCoreError, match=r"other\.txt: there are no texts; write one on each line"):
        texts_in(tmp_path / "other.txt")


class Knows:
    """An interpreter that takes each text as the name of its intent."""

    def parse_many(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [{"intent": {"name": text or None, "confidence": 0.9}, "intent_ranking": []} for text in texts]


@pytest.mark.parametrize("content", ["[1, null]", '{"texts": ["a"]}', '[["a"]]'])
def test_json_that_is_no_list_of_texts_is_no_text_either(tmp_path: Path, content: str) -> None:
    (tmp_path / "other.json").write_text(content, encoding="utf-8")
    with pytest.raises(RasaCoreError, match=r"other\.json: this JSON is no list of texts"):
        texts_in(tmp_path / "other.json")
    (tmp_path / "other.txt").write_text("[1] what\n{a} that\n", encoding="utf-8")
    assert texts_in(tmp_path / "other.txt") == ["[1] what", "{a} that"]


def test_what_is_taken_for_out_of_scope_or_for_the_fallback_is_taken_for_nothing() -> None:
    found = out_of_scope_figures(Knows(), ["greet", "out_of_scope", "nlu_fallback", ""])
    assert {(one["taken"], one["share"]) for one in found} == {(1, 0.25)}


def test_check_shows_all_places_of_a_finding_where_it_is_asked_to(tmp_path: Path) -> None:
    data = tmp_path / "nlu.md"
    data.write_text("## intent:a\n" + 7 * "- hello there\n" + "## intent:b\n- bye\n- go away\n- leave me\n")
    brief, whole = (called("check", "-d", data, *flags).stderr for flags in ((), ("--verbose",)))
    assert brief.count("\n    ") == 6
    assert "and 2 more (--verbose shows all)" in brief
    assert whole.count("\n    ") == 7
    assert f"    {data}:8\n" in whole


def test_check_tells_of_all_files_and_so_does_train(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("nlu:\n- intent: a\n  examples: [\n", encoding="utf-8")
    (tmp_path / "b.md").write_bytes(b"## intent:b\n- caf\xe9\n")
    (tmp_path / "c.md").write_text("## intent:c\n- x\n", encoding="utf-8")
    checked = called("check", "-d", tmp_path)
    assert checked.exit_code == 1
    for name, kind in (("a.yml", "nlu-data"), ("b.md", "nlu-data"), ("c.md", "few-examples")):
        assert any(line.startswith(f"{tmp_path / name}:") and kind in line for line in checked.stderr.splitlines())
    trained = called("train", "-d", tmp_path, "-o", tmp_path / "model")
    assert {"a.yml", "b.md"} == {name for name in ("a.yml", "b.md", "c.md") if f"{name}:" in trained.stderr}


def test_evaluate_tells_what_another_model_understands_better_and_worse(folder: Path, tmp_path: Path) -> None:
    small_model().persist(tmp_path / "other")  # Which has learnt other intents.
    data, own, other = folder / "nlu.md", folder / "model", tmp_path / "other"
    told = called("evaluate", "-d", data, "-m", own, "--compare", other, "--failed", tmp_path / "failed.txt").stdout
    assert f"{other}, against {own}: 0 better, " in " ".join(told.split())
    assert f"worse: {data}:9: I want soup" in told
    flags = ("--failed", tmp_path / "failed.txt", "--format", "json")
    back = json.loads(called("evaluate", "-d", data, "-m", other, "--compare", own, *flags).stdout)["compared"]
    assert (len(back["better"]), back["worse"]) == (told.count("worse: "), [])


def test_evaluate_measures_untidy_messages_and_texts_that_mean_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("xqzt wvvk\n\nplgh\n", encoding="utf-8")
    more = ("--untidy", "--out-of-scope", tmp_path / "other.txt")
    told = called("evaluate", "-d", folder / "nlu.md", "-m", folder / "model", *more).stdout
    assert "as they are" in told
    assert "invisible marks" in told
    assert "Right and 0.3 sure" in told
    assert "taken for something" in told
    content = json.loads(
        called("evaluate", "-d", folder / "nlu.md", "-m", folder / "model", *more, "--format", "json").stdout
    )
    assert content["untidy"]["as they are"]["intent_accuracy"] == content["intent_accuracy"]
    assert [one["threshold"] for one in content["out_of_scope"]] == [one["threshold"] for one in content["thresholds"]]
    assert called("evaluate", "-d", folder / "nlu.md", "--folds", "2", "--untidy").exit_code == 2
