"""Evaluation of an interpreter, with an interpreter whose answers are scripted."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.evaluation.cross_validation import (
    all_messages,
    cross_validate,
    folds_of_messages,
    train_and_evaluate_messages,
)
from rasa_core.evaluation.nlu import MessageEvaluation, evaluate_messages, message_result, nlu_report
from rasa_core.evaluation.nlu_writing import as_markdown
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.reading import read_training_data, read_training_text
from rasa_core.nlu.training_data import NLUExample, TrainingData
from rasa_core.support.marked_text import EntitySpan
from rasa_core.support.places import Place

Answer = tuple[str | None, float, list[tuple[int, int, str]]]


class Scripted:
    """An interpreter with a scripted answer for each text."""

    def __init__(self, script: Mapping[str, Answer]) -> None:
        self.script = script

    def parse_many(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {
                "text": text,
                "intent": {"name": self.script[text][0], "confidence": self.script[text][1]},
                "entities": [
                    {"start": start, "end": end, "entity": entity} for start, end, entity in self.script[text][2]
                ],
            }
            for text in texts
        ]


DATA = read_training_text(
    """\
## intent:greet
- hi
- hello
- good [morning](time)
## intent:order
- a [pizza](dish) for [two](count)
- [soup](dish)
""",
    "test.md",
)
SCRIPT: dict[str, Answer] = {
    "hi": ("greet", 0.95, []),
    "hello": ("order", 0.35, [(0, 5, "dish")]),
    "good morning": ("greet", 0.55, [(5, 12, "time")]),
    "a pizza for two": ("order", 0.85, [(2, 7, "dish"), (12, 15, "dish")]),
    "soup": ("order", 1.0, [(0, 4, "dish")]),
}


@pytest.fixture
def evaluation() -> MessageEvaluation:
    return evaluate_messages(Scripted(SCRIPT), DATA.examples, silent=True)


SVG = "{http://www.w3.org/2000/svg}"


def texts_of(picture: Path) -> list[str]:
    return [element.text or "" for element in ET.parse(picture).iter(f"{SVG}text")]


def drawn(evaluation: MessageEvaluation, option: str, path: Path) -> Path:
    """Draw what an option of the command asks for."""
    list(nlu_report(evaluation, "test.md").write({option: path}))
    return path


# -- figures


def test_figures_are_those_counted_by_hand(evaluation: MessageEvaluation) -> None:
    figures = evaluation.figures
    assert figures["intent_accuracy"] == pytest.approx(4 / 5)
    # greet: precision 1, recall 2/3, F1 4/5; order: precision 2/3, recall 1, F1 4/5.
    assert figures["intent_f1"] == pytest.approx(4 / 5)
    # 4 expected, 5 found, 3 right.
    assert figures["entity_f1"] == pytest.approx(6 / 9)
    # dish: 2 expected, 4 found, 2 right; time: all right; count: not found.
    assert figures["entity_macro_f1"] == pytest.approx((4 / 6 + 1 + 0) / 3)
    assert figures["whole_messages"] == pytest.approx(3 / 5)
    assert figures["calibration_error"] == pytest.approx((0.05 + 0.35 + 0.45 + 0.15 + 0) / 5)


def test_each_intent_and_entity_has_its_scores(evaluation: MessageEvaluation) -> None:
    content = nlu_report(evaluation, "").content
    assert content["intents"][0] == {
        "intent": "greet",
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "support": 3,
        "predicted": 2,
    }
    found = {one["entity"]: (one["precision"], one["recall"], one["support"]) for one in content["entities"]}
    assert found == {"dish": (0.5, 1.0, 2), "time": (1.0, 1.0, 1), "count": (0.0, 0.0, 1)}


def test_an_entity_is_right_only_at_its_exact_place_whatever_its_value() -> None:
    example = NLUExample("to NYC now", "go", (EntitySpan(3, 6, "city", "New York"),))
    for found, is_right in ((3, 6), True), ((3, 7), False), ((2, 6), False):
        parser = Scripted({"to NYC now": ("go", 1.0, [(*found, "city")])})
        assert evaluate_messages(parser, [example], silent=True).figures["whole_messages"] == is_right


def test_examples_without_an_intent_count_for_entities_alone() -> None:
    examples = [NLUExample("x", None, (EntitySpan(0, 1, "a", "x"),)), NLUExample("y", "b")]
    script: dict[str, Answer] = {"x": ("b", 0.4, [(0, 1, "a")]), "y": ("b", 0.9, [])}
    found = evaluate_messages(Scripted(script), examples, silent=True)
    assert (found.pairs, found.figures["whole_messages"], found.figures["entity_f1"]) == ([("b", "b")], 1.0, 1.0)


def test_messages_for_entities_alone_have_no_accuracy_of_intents_and_no_limit_of_it() -> None:
    examples = [NLUExample("x", None, (EntitySpan(0, 1, "a", "x"),))]
    report = nlu_report(evaluate_messages(Scripted({"x": (None, 0.0, [(0, 1, "a")])}), examples, silent=True), "")
    text = "\n".join(report.lines)
    assert text.startswith("Messages: 1\nIntents: none of the messages has one\nEntities: 1 expected, 1 found")
    assert "calibration" not in text
    assert report.below({"intent accuracy": 0.9, "entity F1": 0.9}) == []


def test_an_entity_without_text_is_not_expected() -> None:
    example = NLUExample("x", "a", (EntitySpan(0, 0, "b", ""),))
    found = evaluate_messages(Scripted({"x": ("a", 1.0, [])}), [example], silent=True)
    assert (found.entities, found.failed) == ([], [])


def test_no_intent_at_all_is_a_mistake(tmp_path: Path) -> None:
    found = evaluate_messages(Scripted({"x": (None, 0.0, [])}), [NLUExample("x", "a")], silent=True)
    assert found.accuracy == 0
    assert nlu_report(found, "").content["mistakes"] == [{"expected": "a", "found": None, "count": 1}]
    assert "found (none) (0.00) instead of a" in "\n".join(nlu_report(found, "").lines)
    assert "(none)" in texts_of(drawn(found, "output", tmp_path / "matrix.svg"))


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(RasaCoreError, match="there are no examples to measure with; give NLU data"):
        evaluate_messages(Scripted({}), [])


def test_thresholds_tell_what_a_fallback_would_do(evaluation: MessageEvaluation) -> None:
    found = {one["threshold"]: (one["right"], one["wrong"]) for one in evaluation.thresholds}
    assert (found[0.3], found[0.4], found[0.6], found[0.9]) == ((0.0, 0.0), (0.0, 1.0), (0.25, 1.0), (0.5, 1.0))


def test_thresholds_count_whose_users_would_be_asked_again(evaluation: MessageEvaluation) -> None:
    found = {one["threshold"]: (one["asked_again"], one["asked_again_though_right"]) for one in evaluation.thresholds}
    assert (found[0.3], found[0.4], found[0.6], found[0.9]) == ((0, 0), (1, 0), (2, 1), (3, 2))


def test_an_entity_with_another_role_or_group_is_another() -> None:
    spans = (EntitySpan(0, 4, "city", "Rome", "to"), EntitySpan(5, 8, "size", "big", "", "1"))
    found = [
        {"start": 0, "end": 4, "entity": "city", "value": "Rome", "role": "from"},
        {"start": 5, "end": 8, "entity": "size", "value": "big", "group": "1"},
    ]
    parse = {"intent": {"name": "go", "confidence": 1.0}, "intent_ranking": [], "entities": found}
    result = message_result(NLUExample("Rome big", "go", spans), parse)

    assert result.described() == 'missed city (to) "Rome"; found city (from) "Rome"'


def test_a_fallback_counts_as_what_it_stands_for() -> None:
    parse = {
        **{"text": "hi", "intent": {"name": "nlu_fallback", "confidence": 0.7}, "entities": []},
        "intent_ranking": [{"name": "nlu_fallback", "confidence": 0.7}, {"name": "greet", "confidence": 0.6}],
    }
    found = message_result(NLUExample("hi", "greet"), parse)

    assert (found.intent, found.meant, found.confidence) == ("nlu_fallback", "greet", 0.6)
    assert MessageEvaluation((found,)).thresholds[6]["asked_again_though_right"] == 1


def test_examples_that_all_others_take_for_another_intent_are_listed_the_surest_first() -> None:
    script: dict[str, Answer] = {"hi": ("order", 0.75, []), "hello": ("order", 0.9, []), "soup": ("greet", 0.6, [])}
    examples = [one for one in DATA.examples if one.text in script]
    found = evaluate_messages(Scripted(script), examples, silent=True)

    assert [one.example.text for one in found.doubtful] == ["hello", "hi"]
    report = nlu_report(found, "", [found])
    assert [one["text"] for one in report.content["review"]] == ["hello", "hi"]
    text = "\n".join(report.lines)
    assert text.index("Examples that look wrong") < text.rindex("test.md:3: hello") < text.rindex("test.md:2: hi")
    assert "review" not in nlu_report(found, "").content


@pytest.mark.parametrize(
    ("limits", "problems"),
    [
        ((0.8, 0.6, 0.6), []),
        ((0.81, None, None), ["the intent accuracy 0.8000 is below 0.81."]),
        ((None, 0.7, 0.7), ["the entity F1 0.6667 is below 0.7.", "the share of whole messages 0.6000 is below 0.7."]),
    ],
)
def test_what_is_below_its_limit_is_told(
    evaluation: MessageEvaluation, limits: tuple[float | None, float | None, float | None], problems: list[str]
) -> None:
    names = ("intent accuracy", "entity F1", "share of whole messages")
    assert nlu_report(evaluation, "").below(dict(zip(names, limits, strict=True))) == problems


# -- the report


def test_the_text_has_all_parts(evaluation: MessageEvaluation) -> None:
    text = "\n".join(nlu_report(evaluation, "").lines)
    assert text.startswith("Messages: 5\nIntents: 4 of 5 right, accuracy 0.8000, weighted F1 0.8000\n")
    assert "Entities: 4 expected, 5 found, precision 0.6000, recall 0.7500, F1 0.6667 (macro 0.5556)" in text
    assert "Whole messages: 3 of 5 right, 0.6000" in text
    assert '  test.md:3: hello\n    found order (0.35) instead of greet; found dish "hello"' in text
    assert '  test.md:6: a pizza for two\n    missed count "two"; found dish "two"' in text


def test_failed_messages_are_told_with_what_was_expected_and_found(evaluation: MessageEvaluation) -> None:
    assert json.loads(json.dumps(nlu_report(evaluation, "").content))["failed_messages"][0] == {
        "text": "hello",
        "file": "test.md",
        "line": 3,
        "expected": {"intent": "greet", "entities": []},
        "found": {"intent": "order", "confidence": 0.35, "entities": [{"start": 0, "end": 5, "entity": "dish"}]},
    }


# -- failed messages as data


@pytest.mark.parametrize("name", ["failed.txt", "failed.md", "failed.json"])
def test_failed_messages_can_be_read_again(evaluation: MessageEvaluation, tmp_path: Path, name: str) -> None:
    told = list(nlu_report(evaluation, "").write({"failed": tmp_path / name}))
    assert told == [f"The misunderstood messages are in {tmp_path / name}, with what was found."]
    read = read_training_data(tmp_path / name)
    assert list(read.examples) == [one.example for one in evaluation.failed]
    assert "found order (0.35) instead of greet" in (tmp_path / name).read_text(encoding="utf-8")


def test_a_file_without_failed_messages_says_so(tmp_path: Path) -> None:
    found = evaluate_messages(Scripted(SCRIPT), DATA.examples[:1], silent=True)
    assert list(nlu_report(found, "").write({"failed": tmp_path / "failed.txt"})) == []
    assert (tmp_path / "failed.txt").read_text(encoding="utf-8") == "<!-- No message failed. -->\n"


def test_a_file_that_cannot_be_written_is_an_error(evaluation: MessageEvaluation, tmp_path: Path) -> None:
    with pytest.raises(RasaCoreError, match=r"cannot write the failed messages to .*: No such file"):
        list(nlu_report(evaluation, "").write({"failed": tmp_path / "nowhere" / "failed.txt"}))


def test_what_markdown_cannot_hold_is_left_out_and_json_holds_it(tmp_path: Path) -> None:
    odd = ["two\nlines", "<!-- x", "[x](y)", " edge", "\ud83d"]
    overlapping = NLUExample("ab", "a", (EntitySpan(0, 2, "x", "ab"), EntitySpan(1, 2, "y", "b")))
    examples = [
        *(NLUExample(text, "a") for text in odd),
        NLUExample("x", None, (EntitySpan(0, 1, "y", "x"),)),
        overlapping,
    ]
    assert as_markdown([(one, "") for one in examples]) == ("", examples)
    script: dict[str, Answer] = {one.text: ("other", 0.5, []) for one in examples}
    found = evaluate_messages(Scripted(script), examples, silent=True)
    assert len(list(nlu_report(found, "").write({"failed": tmp_path / "failed.json"}))) == 1
    assert list(read_training_data(tmp_path / "failed.json").examples) == examples


@given(
    text=st.text(min_size=1, max_size=12),
    place=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    names=st.tuples(st.text(min_size=1, max_size=4), st.text(min_size=1, max_size=4), st.text(min_size=1, max_size=4)),
    note=st.text(max_size=8),
)
def test_whatever_is_written_as_markdown_is_read_as_the_same(
    text: str, place: tuple[int, int], names: tuple[str, str, str], note: str
) -> None:
    intent, entity, value = names
    start, end = sorted(min(one, len(text)) for one in place)
    examples = [
        NLUExample(text, intent, (EntitySpan(start, end, entity, value),) * (start < end)),
        NLUExample("plain", "b"),
    ]
    written, left_out = as_markdown([(one, note) for one in examples])
    written.encode()
    kept = [one for one in examples if one not in left_out]
    assert NLUExample("plain", "b") in kept
    assert Counter(read_training_text(written).examples) == Counter(kept)


# -- cross-validation


def many(number: int) -> TrainingData:
    texts = [NLUExample(f"{intent} {index}", intent) for intent in "abc" for index in range(number)]
    return TrainingData.build(texts)


def test_folds_hold_each_example_once_and_share_each_intent_evenly() -> None:
    data = many(10)
    folds = folds_of_messages(data, 5, seed=1)
    assert Counter(one for fold in folds for one in fold) == Counter(data.examples)
    assert [Counter(one.intent for one in fold) for fold in folds] == [Counter(a=2, b=2, c=2)] * 5
    assert folds == folds_of_messages(data, 5, seed=1) != folds_of_messages(data, 5, seed=2)


def test_the_same_text_is_never_in_two_folds() -> None:
    examples = [NLUExample(text, intent) for text in ("One x", "one  X", "two") for intent in "ab"]
    folds = folds_of_messages(TrainingData.build(examples), 2, seed=1)
    assert sorted(len({one.text.lower().split()[0] for one in fold}) for fold in folds) == [1, 1]


def test_more_folds_than_messages_are_refused() -> None:
    with pytest.raises(RasaCoreError, match=r"3 different messages cannot be split into 4 folds\. Give fewer"):
        folds_of_messages(many(1), 4, seed=1)


def test_what_is_measured_was_never_learnt() -> None:
    data, learnt_by = many(4), []

    def train(learnt: TrainingData) -> Scripted:
        learnt_by.append(learnt)
        texts = {one.text: one.intent for one in data.examples if one not in learnt.examples}
        return Scripted({text: (intent, 1.0, []) for text, intent in texts.items()})  # Knows the others alone.

    measure = partial(train_and_evaluate_messages, data, train)
    found = cross_validate(folds_of_messages(data, 3, seed=42), measure)
    whole = all_messages(found)
    assert [len(learnt.examples) for learnt in learnt_by] == [8, 8, 8]
    assert (whole.figures["whole_messages"], len(whole.messages)) == (1.0, 12)
    report = nlu_report(whole, "", found)
    assert any(line.split()[:2] == ["mean", "1.0000"] for line in report.lines)
    assert len(report.content["folds"]) == 3


# -- pictures


def test_the_matrix_speaks_of_intents(evaluation: MessageEvaluation, tmp_path: Path) -> None:
    found = texts_of(drawn(evaluation, "output", tmp_path / "matrix.svg"))
    title = "Accuracy 80.0%: 4 of 5 intents predicted right"
    assert found[:2] == [title, "test.md: weighted F1 0.8000 and accuracy 80.0%"]
    assert found.count("greet") == found.count("order") == 2


def test_the_histogram_counts_right_and_wrong_apart(evaluation: MessageEvaluation, tmp_path: Path) -> None:
    picture = drawn(evaluation, "histogram", tmp_path / "histogram.svg")
    assert {"right: 4", "wrong: 1"} < set(texts_of(picture))
    tips = [element.text for element in ET.parse(picture).iter(f"{SVG}title")]
    assert tips[1:] == [
        "right, confidence 0.5 to 0.6: 1 of 4",
        "right, confidence 0.8 to 0.9: 1 of 4",
        "right, confidence 0.9 to 1.0: 2 of 4",
        "wrong, confidence 0.3 to 0.4: 1 of 1",
    ]


@pytest.mark.parametrize("option", ["output", "histogram"])
def test_pictures_of_nothing_can_be_drawn(tmp_path: Path, option: str) -> None:
    found = evaluate_messages(Scripted({"x": ("a", 1.0, [])}), [NLUExample("x", None, (), Place("a"))], silent=True)
    assert texts_of(drawn(found, option, tmp_path / "picture.svg"))
