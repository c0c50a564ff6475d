"""The answers of a trained model, which needs only NumPy."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from at_once import at_once
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from small_nlu import CITIES, FRAMES, booking, messages, small_model

from rasa_core.evaluation.nlu import evaluate_messages
from rasa_core.evaluation.untidy import CHANGES
from rasa_core.nlu import training
from rasa_core.nlu.messages import UNSURE
from rasa_core.nlu.model import EXTRACTOR, NLUModel
from rasa_core.nlu.reading import read_training_text
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.spelling import alike
from rasa_core.nlu.tokens import MAX_CHARACTERS, visible
from rasa_core.nlu.training_data import NLUExample, TrainingData

ODD = {
    "nothing": "",
    "spaces": " \t\n\u3000",
    "only emoji": "😀👍🏽👨‍👩‍👧",
    "right to left": "أريد طاولة في لشبونة",
    "hebrew with vowels": "שָׁלוֹם עוֹלָם",
    "100 kB": "book a table in Lisbon " * 4500,
    "100 kB without a space": "x" * 100_000,
    "100 kB of signs": "?" * 100_000,
    "control characters": "hello\x00\x01\x1b[31m there\x7f\u202e",
    "unpaired surrogates": "hello \ud800 there \udfff",
    "only a surrogate": "\udcff",
    "marks alone": "\u0301\u0301\u200d\ufe0f",
    "chinese": "我想在里斯本订一张桌子",
    "thai": "จองโต๊ะในลิสบอน",
    "capital that grows": "İSTANBUL ẞ ŉ",
}


@pytest.fixture(scope="module")
def model() -> NLUModel:
    return small_model()


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "intent_ranking": [each["confidence"] for each in answer["intent_ranking"]]}


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose confidences, which NumPy rounds by the size of a batch, compare as nearly equal."""
    near = {
        **answer,
        "intent": {**answer["intent"], "confidence": pytest.approx(answer["intent"]["confidence"], abs=1e-5)},
    }
    near["intent_ranking"] = pytest.approx([each["confidence"] for each in answer["intent_ranking"]], abs=1e-5)
    near["entities"] = [{**e, "confidence": pytest.approx(e["confidence"], abs=1e-5)} for e in answer["entities"]]
    return near


def test_understands_what_it_was_taught(model) -> None:
    for example, answer in zip(
        messages().examples, model.parse_many([e.text for e in messages().examples]), strict=True
    ):
        assert example.intent in (answer["intent"]["name"], None)
        assert answer["intent"]["confidence"] > 0.5 or example.intent is None
        spans = [(e["start"], e["end"], e["entity"]) for e in answer["entities"]]
        assert spans == [(e.start, e.end, e.entity) for e in example.entities], example.text


@pytest.mark.parametrize(
    ("text", "intent", "entities"),
    [
        ("is there a table in Porto", "book", ["Porto"]),
        ("book a tabel in porto", "book", ["porto"]),
        ("HELLO", "greet", []),
        ("  hi  there\n", "greet", []),
        ("good morning, is there a table in Porto?", "book", ["Porto"]),
        ("Guten Tag! a table in Lisbon please", "book", ["Lisbon"]),
        ("hi, good night", "bye", []),
        ("hello my dear friend", "greet", []),
    ],
)
def test_understands_what_is_near(model, text: str, intent: str, entities: list[str]) -> None:
    answer = model.parse(text)
    assert answer["intent"]["name"] == intent
    assert [text[entity["start"] : entity["end"]] for entity in answer["entities"]] == entities


def test_the_answer_has_the_shape_of_a_parse(model) -> None:
    answer = model.parse("a table in Lisbon")
    assert list(answer) == ["text", "intent", "intent_ranking", "entities"]
    assert answer["intent"] == answer["intent_ranking"][0]
    (entity,) = answer["entities"]
    chance = entity.pop("confidence")
    assert entity == {"start": 11, "end": 17, "value": "Lisbon", "entity": "city", "extractor": EXTRACTOR}
    assert 0.5 < chance <= 1.0
    assert json.loads(json.dumps(answer)) == answer


def test_the_ranking_is_sorted_and_holds_every_intent(model) -> None:
    ranking = model.parse("good night")["intent_ranking"]
    confidences = [each["confidence"] for each in ranking]
    assert confidences == sorted(confidences, reverse=True)
    assert sorted(each["name"] for each in ranking) == model.intents
    assert 0.99 < sum(confidences) <= 1.0 + 1e-6 or ranking[0]["confidence"] < 1.0


@pytest.mark.parametrize("text", ["a table in NYC", "a table in nyc"])
def test_a_value_is_what_the_text_is_a_synonym_of(model, text: str) -> None:
    (entity,) = model.parse(text)["entities"]
    assert (text[entity["start"] : entity["end"]].lower(), entity["value"]) == ("nyc", "New York")


@pytest.mark.parametrize("text", ODD.values(), ids=list(ODD))
def test_odd_text_is_answered(model, text: str) -> None:
    answer = model.parse(text)
    assert answer["text"] == text
    assert answer.get("truncated", False) is (len(text) > MAX_CHARACTERS)
    assert [plain(each) for each in model.parse_many([text, text])] == [told(answer)] * 2


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_empty_text_has_no_intent(model, text: str) -> None:
    assert model.parse(text) == {
        "text": text,
        "intent": {"name": None, "confidence": 0.0},
        "intent_ranking": [],
        "entities": [],
    }


@given(text=st.text(st.characters() | st.sampled_from(" \u0301\u200d\ud800A1-京ก한é'"), max_size=40))
@given_settings(max_examples=100)
def test_offsets_are_those_of_the_original_text(text: str) -> None:
    model = small_model()
    for words in (text, f"a table in {text}", f"{text} book a table in Lisbon{text} please"):
        for entity in model.parse(words)["entities"]:
            part, _ = visible(words[entity["start"] : entity["end"]])
            assert part
            assert part == part.strip()
            assert entity["value"] == {"nyc": "New York", "the big apple": "New York"}.get(alike(part), part)


def test_offsets_count_characters_before_an_entity_of_any_width(model) -> None:
    text = "é\u0301 😀 book a table in Lisbon please"
    (entity,) = model.parse(text)["entities"]
    assert text[entity["start"] : entity["end"]] == entity["value"] == "Lisbon"


def test_a_batch_is_answered_as_each_message_alone(model) -> None:
    texts = [*(example.text for example in messages().examples), *ODD.values(), "hello", "hello"]
    for one, other in zip(model.parse_many(texts), map(model.parse, texts), strict=True):
        assert plain(one) == told(other)
    assert model.parse_many([]) == []


@pytest.mark.parametrize(
    "text",
    [
        "xqzt wvvk pfffg",
        "zxcvbnm",
        "😀😀😀",
        "?!?!",
        "Wczoraj kupiliśmy chleb",
        "мы вчера купили хлеб",
        "昨日はパンを買いました",
        "lkjh qwer mnbv asdf",
    ],
)
def test_text_far_from_everything_gets_low_confidence(model, text: str) -> None:
    answer = model.parse(text)
    assert answer["intent"]["confidence"] < 0.3
    assert sum(each["confidence"] for each in answer["intent_ranking"]) < 0.6


def _seconds(model: NLUModel, text: str) -> float:
    started = time.thread_time()
    model.parse(text)
    return time.thread_time() - started


def test_a_long_message_is_cut_and_takes_no_longer_than_a_short_one_may(model) -> None:
    text = "book a table in Lisbon and then say hello to me there, " * 182
    answer = model.parse(text)
    assert answer["truncated"] is True
    assert max(entity["end"] for entity in answer["entities"]) <= MAX_CHARACTERS

    # Seconds of this thread, since others may have the processor; beside the longest message that is read as a whole.
    pairs = [(_seconds(model, text[:MAX_CHARACTERS]), _seconds(model, text)) for _ in range(20)]
    whole, cut = map(min, zip(*pairs, strict=True))
    assert cut < 4 * whole  # If it were read to its end, it would be ten times.


def test_threads_share_a_model(model) -> None:
    texts = [f"book a table in Lisbon{number} hello word{number}" for number in range(60)]
    expected = [model.parse(text) for text in texts]
    fresh = NLUModel(model._description, model._arrays)  # Which knows no words yet.
    assert at_once(lambda _: [fresh.parse(text) for text in texts], range(4)) == [expected] * 4


@pytest.mark.parametrize(
    ("text", "entity", "unused"),
    [
        ("and Ulaanbaatar", "city", {"lookups": [["city", []]]}),
        ("my order Q-8042", "number", {"regexes": [["number", "(?!)"]]}),
    ],
)
def test_lookup_tables_and_expressions_tell_what_words_do_not(model, text: str, entity: str, unused: Any) -> None:
    without = NLUModel({**model._description, **unused}, model._arrays)
    assert [found["entity"] for found in model.parse(text)["entities"]] == [entity]
    assert [found["entity"] for found in without.parse(text)["entities"]] == []


ROLES = """
## intent:fly
- from [Rome]{"entity": "city", "role": "from"} to [Oslo]{"entity": "city", "role": "to"}
- from [Oslo]{"entity": "city", "role": "from"} to [Paris]{"entity": "city", "role": "to"}
- fly from [Paris]{"entity": "city", "role": "from"} to [Rome]{"entity": "city", "role": "to"}
## intent:faq/opening
- when do you open
- when are you open
## intent:faq/price
- what does it cost
- how much is it
## synonym:Roma
- Rome
"""


@pytest.fixture(scope="module")
def answering() -> NLUModel:
    return briefly_trained(read_training_text(ROLES))


def briefly_trained(data: TrainingData) -> NLUModel:
    """Return a model of few messages, trained with fewer steps than real data need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_FEWEST_STEPS", 150)
        return training.train(data, NLUSettings(epochs=1), silent=True)


def test_roles_of_entities_are_told(answering) -> None:
    found = answering.parse("from Paris to Oslo")["entities"]
    assert [(one["value"], one["entity"], one["role"]) for one in found] == [
        ("Paris", "city", "from"),
        ("Oslo", "city", "to"),
    ]
    assert "group" not in found[0]


def test_parts_of_a_retrieval_intent_are_one_intent_in_the_ranking(answering) -> None:
    answer = answering.parse("how much does it cost")
    assert sorted(one["name"] for one in answer["intent_ranking"]) == ["faq", "fly"]
    assert answer["intent"]["name"] == "faq"
    selected = answer["response_selector"]
    assert selected["all_retrieval_intents"] == ["faq"]
    assert selected["faq"]["response"]["intent_response_key"] == "faq/price"
    assert selected["faq"]["response"]["utter_action"] == "utter_faq/price"
    assert sum(one["confidence"] for one in selected["faq"]["ranking"]) == pytest.approx(1.0)
    assert json.loads(json.dumps(answer)) == answer
    (result,) = evaluate_messages(answering, [NLUExample("how much is it", "faq/price")], silent=True).messages
    assert result.is_right


def test_a_part_of_an_intent_that_is_one_itself_counts_for_it(model) -> None:
    named = NLUModel({**model._description, "intents": ["book", "book/one", "greet", "track"]}, model._arrays)
    for text, intent in ("see you later", "book"), ("a table in Porto", "book"), ("hello there", "greet"):
        answer = named.parse(text)
        assert answer["intent_ranking"][0]["name"] == intent
        assert [one["intent_response_key"] for one in answer["response_selector"]["book"]["ranking"]] == ["book/one"]
        (result,) = evaluate_messages(named, [NLUExample(text, intent)], silent=True).messages
        assert result.is_intent_right
        assert sorted(one["name"] for one in answer["intent_ranking"]) == ["book", "greet", "track"]


@pytest.mark.parametrize("city", ["Rome", "ROMA", "roma", "Ro\u00adme"])
def test_a_value_is_the_canonical_one_however_it_is_written(answering, city: str) -> None:
    text = f"from {city} to Oslo"
    first = answering.parse(text)["entities"][0]
    assert (first["value"], text[first["start"] : first["end"]]) == ("Roma", text.split()[1])


def test_entities_alone_can_be_learnt() -> None:
    examples = [booking(frame, city) for frame in FRAMES for city in CITIES]
    data = TrainingData.build(replace(example, intent=None) for example in examples)
    answer = briefly_trained(data).parse("a table in Porto")
    assert (answer["intent"], answer["intent_ranking"]) == ({"name": None, "confidence": 0.0}, [])
    assert [one["value"] for one in answer["entities"]] == ["Porto"]


def test_what_is_learnt_by_heart_changes_nothing_else(model) -> None:
    known = {"a table in porto": model.intents.index("bye"), "hello a table in lisbon": model.intents.index("track")}
    odd = NLUModel({**model._description, "by_heart": known}, model._arrays)
    for text, intent in ("A  table in Porto!", "bye"), ("hello, a table in Lisbon", "track"), ("hello, see you", "bye"):
        answer, (same,) = odd.parse(text), odd.parse_many([text])
        assert (answer["intent"]["name"], same["intent"]["name"]) == (intent, intent)
        assert answer["intent"]["confidence"] >= 0.5
        assert [one["value"] for one in answer["entities"]] == [city for city in CITIES if city in text]
    for text in ("a table in Lisbon", "a table in Porto tonight"):
        assert odd.parse(text) == model.parse(text)


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_untidy_messages_are_understood(model, change) -> None:
    """Nearly all of them: what matters is measured on more data by ``benchmarks.nlu``."""
    examples = [change(example) for example in messages().examples]
    results = evaluate_messages(model, examples, silent=True).messages
    assert sum(one.is_right for one in results) >= 0.85 * len(results)


@pytest.mark.parametrize(
    ("typed", "written", "value"),
    [
        ("a tablein Lisbon", "a table in Lisbon", "Lisbon"),
        ("a ta ble in Lisbon", "a table in Lisbon", "Lisbon"),
        ("a t4ble in Lisbon", "a table in Lisbon", "Lisbon"),
        ("find me smwhr to eat in Porto", "find me somewhere to eat in Porto", "Porto"),
    ],
)
def test_words_are_read_as_they_are_meant(model, typed: str, written: str, value: str) -> None:
    answer, meant = model.parse(typed), model.parse(written)
    assert answer["intent"] == {"name": "book", "confidence": pytest.approx(meant["intent"]["confidence"], abs=0.1)}
    assert [(typed[one["start"] : one["end"]], one["value"]) for one in answer["entities"]] == [(value, value)]


@pytest.mark.parametrize(
    "typed",
    [
        "<p>find me somewhere to eat in <b>Porto</b><br></p>",
        "find me somewhere&nbsp;to eat in Porto",
        "find me somewhere to eat in Porto https://www.example.org/a?b=1",
        "@support_bot find me somewhere to eat in Porto",
        "> Which city is it?\n\nfind me somewhere to eat in Porto\n-- \nAnn Lee",
    ],
)
def test_what_is_not_said_changes_nothing(model, typed: str) -> None:
    answer, (same,) = model.parse(typed), model.parse_many([typed])
    meant = model.parse("find me somewhere to eat in Porto")
    assert plain(same) == told(answer)
    assert answer["intent"] == {"name": "book", "confidence": pytest.approx(meant["intent"]["confidence"], abs=0.01)}
    assert [(typed[one["start"] : one["end"]], one["value"]) for one in answer["entities"]] == [("Porto", "Porto")]


@pytest.mark.parametrize("text", ["city: Zorgle Blimp", "CITY = Zorgle Blimp"])
def test_a_value_may_be_named_by_its_entity(model, text: str) -> None:
    answer, (same,) = model.parse(text), model.parse_many([text])
    assert plain(same) == told(answer)
    found = [(one["entity"], one["value"], text[one["start"] : one["end"]]) for one in answer["entities"]]
    assert found == [("city", "Zorgle Blimp", "Zorgle Blimp")]


def test_a_message_that_was_pasted_twice_has_the_entities_of_both(model) -> None:
    text = "find me somewhere to eat in Porto"
    answer, one = model.parse(f"{text}\n{text}"), model.parse(text)
    (same,) = model.parse_many([f"{text}\n{text}"])
    assert plain(same) == told(answer)
    assert (answer["text"], answer["intent"]) == (f"{text}\n{text}", one["intent"])
    assert [(each["start"], each["end"]) for each in answer["entities"]] == [(28, 33), (62, 67)]


def test_a_known_value_goes_on_in_the_next_line(model) -> None:
    answer = model.parse("find me somewhere to eat in New\nYork")
    assert [(one["start"], one["end"], one["value"]) for one in answer["entities"]] == [(28, 36, "New York")]


def test_an_unsure_message_is_understood_by_its_surest_clause(model) -> None:
    clause = "find me somewhere to eat in Porto"
    text = f"zorgle blimp frumious wabe gimble, mome rath outgrabe vorpal {clause.split()[0]}er, {clause}"
    answer, (same,) = model.parse(text), model.parse_many([text])
    assert plain(same) == told(answer)
    assert (answer["text"], answer["intent"]["name"]) == (text, "book")
    assert answer["intent"]["confidence"] == pytest.approx(model.parse(clause)["intent"]["confidence"] ** 3, abs=1e-5)
    assert answer["intent"] == answer["intent_ranking"][0]
    assert sum(one["confidence"] for one in answer["intent_ranking"]) <= 1.0
    assert [(text[one["start"] : one["end"]], one["value"]) for one in answer["entities"]] == [("Porto", "Porto")]
    whole = model.parse(text.replace(",", ""))
    assert whole["intent"]["confidence"] < UNSURE <= answer["intent"]["confidence"]


def test_a_message_of_which_no_clause_is_sure_stays_unsure(model) -> None:
    answer = model.parse("zorgle blimp frumious, wabe gimble mome")
    assert answer["intent"]["confidence"] < UNSURE


def test_an_example_means_what_it_does_whatever_its_clauses_mean(model, monkeypatch) -> None:
    text = "zorgle blimp frumious, find me somewhere to eat"
    other = next(name for name in model.intents if name != model.parse(text)["intent"]["name"])
    monkeypatch.setitem(model._by_heart, model.said(text), model.intents.index(other))
    assert model.parse(text)["intent"]["name"] == other


def test_a_word_with_a_typing_error_counts_half_and_is_not_known(model) -> None:
    vocabulary, network = model._vocabulary, model._network
    row, none, word = model._learn("tabel"), *(network.embed(at, [], [], 0) for at in (0, vocabulary.words["table"]))
    assert row[network._wide_end - 1] == 1.0
    own = slice(len(model._arrays["project_bias"]), len(model._arrays["project_bias"]) + len(model.intents))
    np.testing.assert_allclose(row[own], 0.5 * (none[own] + word[own]), rtol=1e-6)


def test_texts_are_scored_as_they_are_typed(model) -> None:
    """What calibrates a model compares them with tags of their tokens."""
    assert [len(tags) for tags in model.scores(["a tablein Lisbon", "a ta ble"])[0]] == [3, 3]


def test_a_sign_that_no_example_has_there_changes_nothing(model) -> None:
    told = model.parse("a table in Lisbon")
    for text, shift in (
        ("a table in Lisbon.", 0),
        ('"a table in Lisbon"', 1),
        ("a table in Lisbon \U0001f44d\U0001f3fd", 0),
        ("a table in (Lisbon)", 1),
        ('a "table" in Lisbon', 2),
        ("a *table* in \u201cLisbon\u201d!", 3),
    ):
        answer = model.parse(text)
        assert answer["intent"] == told["intent"]
        assert [(one["start"] - shift, one["value"]) for one in answer["entities"]] == [(11, "Lisbon")]
