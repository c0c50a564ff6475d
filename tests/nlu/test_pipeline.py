"""The components of the ``pipeline:`` in config.yml beside the network."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from duckling_server import duckling, found
from hypothesis import given
from hypothesis import strategies as st
from small_nlu import small_model

from rasa_core.exceptions import ModelError
from rasa_core.nlu.components import DUCKLING_VARIABLE, PhraseFinder, keywords_among
from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.pipeline import Pipeline, around_network, default_pipeline, pipeline_in, stored_steps
from rasa_core.nlu.reading import read_training_text
from rasa_core.nlu.training_data import TrainingData
from rasa_core.support.problems import told

DATA = r"""
version: "3.1"
nlu:
- intent: greet
  examples: |
    - hello
    - good day
- intent: book
  examples: |
    - a table in [Porto](city)
    - a room for [12345](zip)
- intent: faq/opening
  examples: |
    - when do you open
- intent: faq/price
  examples: |
    - what does it cost
- synonym: New York
  examples: |
    - NYC
- regex: zip
  examples: |
    - \b\d{5}\b
- regex: greet
  examples: |
    - ^hel+o
- lookup: city
  examples: |
    - Lisbon
    - New York
    - New York City
    - York
- lookup: colour
  examples: |
    - red
"""


def data() -> TrainingData:
    return read_training_text(DATA, "nlu.yml")


def written(folder: Path, pipeline: str) -> Path:
    path = folder / "config.yml"
    path.write_text("pipeline:\n" + pipeline, encoding="utf-8")
    return path


def network(text: str, **sure: float) -> dict[str, Any]:
    """Return an answer of the network with these intents, and nothing else."""
    ranking = [{"name": name, "confidence": value} for name, value in sorted(sure.items(), key=lambda one: -one[1])]
    best = dict(ranking[0]) if ranking else {"name": None, "confidence": 0.0}
    return {"text": text, "intent": best, "intent_ranking": ranking, "entities": []}


def answer(folder: Path, pipeline: str, text: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a pipeline makes of a text, and of what the network has understood of it."""
    steps = stored_steps(pipeline_in(written(folder, pipeline)), data())
    assert steps is not None
    description = {
        "synonyms": dict(data().synonyms),
        "lookups": [[one.name, list(one.entries)] for one in data().lookups],
        "regexes": [[one.name, one.pattern] for one in data().regexes],
    }
    kept = json.loads(json.dumps(steps))
    return Pipeline(kept, description).finish(network(text, greet=0.7, book=0.2) if given is None else given)


def entities(parse: dict[str, Any]) -> list[tuple[str, Any, int, int]]:
    return [(one["entity"], one["value"], one["start"], one["end"]) for one in parse["entities"]]


# -- entities


def test_lookup_tables_and_expressions_find_entities_of_their_names(tmp_path: Path) -> None:
    parse = answer(tmp_path, "- name: RegexEntityExtractor", "hello, red or lisbon 10115 or new york city")

    assert entities(parse) == [
        ("city", "lisbon", 14, 20),
        ("city", "new york city", 30, 43),
        ("zip", "10115", 21, 26),
    ]
    assert {one["extractor"] for one in parse["entities"]} == {"RegexEntityExtractor"}


def test_a_table_of_an_entity_that_no_example_has_finds_nothing(tmp_path: Path) -> None:
    assert entities(answer(tmp_path, "- name: RegexEntityExtractor", "a red one")) == []


def test_a_keyword_within_one_of_another_intent_tells_none(tmp_path: Path) -> None:
    named = [
        ("no", "deny"),
        ("no way", "deny"),
        ("no sugar", "order"),
        ("tea", "order"),
        ("NO", "shout"),
        ("now", "now"),
    ]

    assert keywords_among(named, case_sensitive=True) == [["no way", "deny"], *map(list, named[2:])]
    assert keywords_among(named, case_sensitive=False) == [["no way", "deny"], *map(list, named[2:4]), ["now", "now"]]


def test_an_entity_is_written_as_in_the_first_example_of_its_value(tmp_path: Path) -> None:
    text = """
        version: "3.1"
        nlu:
        - intent: book
          examples: |
            - a table in [Porto](city)
            - a table in [PORTO](city)
        - lookup: city
          examples: |
            - porto
        """
    pipeline = "- name: RegexEntityExtractor\n- name: EntitySynonymMapper"
    steps = stored_steps(pipeline_in(written(tmp_path, pipeline)), read_training_text(dedent(text), "nlu.yml"))
    made = Pipeline(steps or (), {"synonyms": {}, "lookups": [["city", ["porto"]]], "regexes": []})

    assert [one["value"] for one in made.finish(network("to porto"))["entities"]] == ["Porto"]


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("case_sensitive: true", "lisbon or Lisbon", [("city", "Lisbon")]),
        ("use_lookup_tables: false", "Lisbon 10115", [("zip", "10115")]),
        ("use_regexes: false", "Lisbon 10115", [("city", "Lisbon")]),
        ("use_word_boundaries: false", "inLisbonor", [("city", "Lisbon")]),
        ("use_word_boundaries: true", "inLisbonor", []),
    ],
)
def test_each_option_of_the_extractor_counts(
    tmp_path: Path, option: str, text: str, expected: list[tuple[str, str]]
) -> None:
    parse = answer(tmp_path, f"- name: RegexEntityExtractor\n  {option}", text)

    assert [one[:2] for one in entities(parse)] == expected


def test_what_nobody_sees_is_no_part_of_an_entity(tmp_path: Path) -> None:
    parse = answer(tmp_path, "- name: RegexEntityExtractor", "in\u200b Lis\u00adbon\u200b")

    assert entities(parse) == [("city", "Lisbon", 4, 11)]


def test_what_the_network_has_found_is_not_found_twice(tmp_path: Path) -> None:
    given = network("in Lisbon", book=1.0)
    given["entities"] = [{"entity": "city", "value": "Lisbon", "start": 3, "end": 9, "extractor": "rasa_core.nlu"}]
    parse = answer(tmp_path, "- name: DIETClassifier\n- name: RegexEntityExtractor", "", given)

    assert [one["extractor"] for one in parse["entities"]] == ["DIETClassifier"]


@pytest.mark.parametrize("named", ["CRFEntityExtractor", "rasa.nlu.extractors.crf_entity_extractor.CRFEntityExtractor"])
def test_an_entity_names_the_component_that_would_have_found_it_and_its_confidence(tmp_path: Path, named: str) -> None:
    given = network("in Rome", book=1.0)
    where = {"entity": "city", "value": "Rome", "start": 3, "end": 7, "extractor": "rasa_core.nlu"}
    given["entities"] = [{**where, "confidence": 0.9}]
    (found,) = answer(tmp_path, f"- name: {named}", "", given)["entities"]
    assert found == {**where, "confidence": 0.9, "extractor": "CRFEntityExtractor", "confidence_entity": 0.9}


def test_what_a_table_has_found_takes_over_the_role_that_the_network_tells(tmp_path: Path) -> None:
    given = network("in Lisbon", book=1.0)
    where = {"entity": "city", "value": "Lisbon", "start": 3, "end": 9, "extractor": "rasa_core.nlu"}
    given["entities"] = [{**where, "role": "to", "group": "1"}]
    parse = answer(tmp_path, "- name: RegexEntityExtractor\n- name: DIETClassifier", "", given)

    assert [(one["extractor"], one["role"], one["group"]) for one in parse["entities"]] == [
        ("RegexEntityExtractor", "to", "1")
    ]


@pytest.mark.parametrize("mapper", [True, False])
def test_synonyms_are_replaced_where_the_mapper_stands_behind(tmp_path: Path, mapper: bool) -> None:
    given = network("in nyc", book=1.0)
    given["entities"] = [{"entity": "city", "value": "New York", "start": 3, "end": 6, "extractor": "rasa_core.nlu"}]
    pipeline = "- name: DIETClassifier\n" + "- name: EntitySynonymMapper\n" * mapper

    assert entities(answer(tmp_path, pipeline, "", given))[0][1] == ("New York" if mapper else "nyc")


def test_entities_of_a_classifier_of_intents_alone_do_not_count(tmp_path: Path) -> None:
    given = network("in Rome", book=1.0)
    given["entities"] = [{"entity": "city", "value": "Rome", "start": 3, "end": 7, "extractor": "rasa_core.nlu"}]

    alone = answer(tmp_path, "- name: DIETClassifier\n  entity_recognition: false", "", given)
    other = answer(tmp_path, "- name: CRFEntityExtractor", "", given)

    assert (alone["intent"]["name"], alone["entities"]) == ("book", [])
    assert (other["intent"]["name"], entities(other)) == (None, [("city", "Rome", 3, 7)])


PHRASES = st.lists(st.text("ab c.B", min_size=1, max_size=4).filter(str.strip), max_size=6)


@given(PHRASES, st.text("ab c.B_", max_size=20), st.booleans(), st.booleans())
def test_phrases_are_found_as_by_an_expression(phrases: list[str], text: str, case: bool, whole: bool) -> None:
    finder = PhraseFinder(phrases, case_sensitive=case, whole_words=whole)
    # Between the words of a phrase, there may be other spaces.
    longest = sorted({" ".join(phrase.split()) for phrase in phrases}, key=len, reverse=True)
    inside = r"(?<=\w)(?=\w)"
    edge = f"(?!{inside})" if whole else ""
    spaced = [r"\s+".join(map(re.escape, phrase.split())) for phrase in longest]
    pattern = "|".join(f"{edge}{phrase}{edge}" for phrase in spaced) or "(?!)"
    expected = [match.span() for match in re.finditer(pattern, text, 0 if case else re.IGNORECASE)]

    assert [(start, end) for start, end, _ in finder.find(text)] == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("DARK\u00a0 Blue", ["DARK\u00a0 Blue"]),
        ("ISTANBUL'da", ["ISTANBUL"]),
        ("IĞDIR, Strasse", ["IĞDIR", "Strasse"]),
        ("a cafe\u0301", ["cafe\u0301"]),
        ("a cafe", []),
        ("st john’s", ["st john’s"]),
        ("東京へ, 大学, 大", ["東京", "大"]),
        ("\u1109\u1165\u110b\u116e\u11af\u110b\u1166 가", ["\u1109\u1165\u110b\u116e\u11af"]),
        ("दिल्लीवाला", []),
        ("ßss", []),
    ],
)
def test_phrases_are_found_as_people_type_them(text: str, found: list[str]) -> None:
    phrases = ["dark blue", "İstanbul", "Iğdır", "straße", "café", "St John's", "東京", "大", "서울", "दिल्ली", "s"]
    finder = PhraseFinder(phrases, case_sensitive=False, whole_words=True)
    assert [text[start:end] for start, end, _ in finder.find(text)] == found


# -- intents


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("", "well hello there", "greet"),
        ("", "well Hello there", "book"),
        ("case_sensitive: false", "well Hello there", "greet"),
        ("", "othello", "book"),
        ("", "what does it cost?", "faq"),
    ],
)
def test_a_message_with_an_example_in_it_has_its_intent(tmp_path: Path, option: str, text: str, expected: str) -> None:
    pipeline = f"- name: DIETClassifier\n- name: KeywordIntentClassifier\n  {option}"
    parse = answer(tmp_path, pipeline, "", network(text, book=0.6, greet=0.3))

    assert parse["intent"]["name"] == parse["intent_ranking"][0]["name"] == expected
    assert len({one["name"] for one in parse["intent_ranking"]}) == len(parse["intent_ranking"])


def test_keywords_alone_know_no_other_message(tmp_path: Path) -> None:
    parse = answer(tmp_path, "- name: KeywordIntentClassifier", "what now")

    assert parse["intent"] == {"name": None, "confidence": 0.0}
    assert parse["intent_ranking"] == []


def test_a_classifier_behind_overrules_keywords_and_that_is_told(tmp_path: Path) -> None:
    pipeline = "- name: KeywordIntentClassifier\n- name: DIETClassifier\n"

    assert answer(tmp_path, pipeline, "", network("hello", book=0.9))["intent"]["name"] == "book"
    config = pipeline_in(written(tmp_path, pipeline))
    assert config is not None
    assert "config.yml:2: KeywordIntentClassifier: does nothing here" in "\n".join(told(config.notes))


@pytest.mark.parametrize(
    ("sure", "is_clear"),
    [
        ({"greet": 0.8, "book": 0.1}, True),
        ({"greet": 0.5, "book": 0.1}, True),
        ({"greet": 0.49, "book": 0.1}, False),
        ({"greet": 0.6, "book": 0.45}, False),
        ({"greet": 0.6, "book": 0.4}, True),
        ({}, False),
    ],
)
def test_what_is_not_clear_is_the_fallback_with_the_threshold_as_its_confidence(
    tmp_path: Path, sure: dict[str, float], is_clear: bool
) -> None:
    pipeline = "- name: DIETClassifier\n- name: FallbackClassifier\n  threshold: 0.5\n  ambiguity_threshold: 0.19"
    parse = answer(tmp_path, pipeline, "", network("hm", **sure))

    if is_clear:
        assert parse["intent"]["name"] == "greet"
    else:
        assert parse["intent"] == {"name": "nlu_fallback", "confidence": 0.5}
        assert [one["name"] for one in parse["intent_ranking"]] == ["nlu_fallback", *sure]


def retrieved() -> dict[str, Any]:
    """Return an answer of the network about parts of two intents."""
    parts = {"faq": {"faq/opening": 0.9, "faq/price": 0.1}, "chat": {"chat/joke": 1.0}}
    selector: dict[str, Any] = {"all_retrieval_intents": list(parts)}
    for name, shares in parts.items():
        ranking = [{"intent_response_key": key, "confidence": value} for key, value in shares.items()]
        response = {"responses": None, "utter_action": f"utter_{ranking[0]['intent_response_key']}", **ranking[0]}
        selector[name] = {"response": response, "ranking": ranking}
    return {**network("open?", faq=0.5, chat=0.46), "response_selector": selector}


def test_a_selector_for_one_intent_stands_under_its_name(tmp_path: Path) -> None:
    pipeline = "- name: DIETClassifier\n- name: ResponseSelector\n  retrieval_intent: faq"
    selector = answer(tmp_path, pipeline, "", retrieved())["response_selector"]

    assert list(selector) == ["all_retrieval_intents", "faq"]
    assert selector["faq"]["response"]["utter_action"] == "utter_faq/opening"
    assert selector["all_retrieval_intents"] == ["faq", "chat"]


@pytest.mark.parametrize("options", ["", "\n  retrieval_intent: faq"], ids=["for all", "for one"])
def test_an_intent_names_its_part(tmp_path: Path, options: str) -> None:
    pipeline = f"- name: DIETClassifier\n- name: ResponseSelector{options}"
    intent = answer(tmp_path, pipeline, "", retrieved())["intent"]
    assert intent == {"name": "faq", "confidence": 0.5, "full_retrieval_intent_name": "faq/opening"}


def test_a_fallback_has_no_part(tmp_path: Path) -> None:
    pipeline = "- name: DIETClassifier\n- name: ResponseSelector\n- name: FallbackClassifier\n  threshold: 0.9"
    assert list(answer(tmp_path, pipeline, "", retrieved())["intent"]) == ["name", "confidence"]


def test_a_selector_for_all_intents_ranks_their_parts_together(tmp_path: Path) -> None:
    selector = answer(tmp_path, "- name: DIETClassifier\n- name: ResponseSelector", "", retrieved())[
        "response_selector"
    ]

    ranking = selector["default"]["ranking"]
    assert [one["intent_response_key"] for one in ranking] == ["chat/joke", "faq/opening", "faq/price"]
    assert sum(one["confidence"] for one in ranking) == pytest.approx(1.0)
    assert selector["default"]["response"]["utter_action"] == "utter_chat/joke"


# -- Duckling

CLOCK = "tomorrow at five or 20 euros"


def test_duckling_is_asked_for_what_the_configuration_says(tmp_path: Path) -> None:
    with duckling() as server:
        server.answer = [
            found("time", CLOCK, "tomorrow at five", type="value", value="2026-01-02T05:00:00", grain="hour"),
            found("amount-of-money", CLOCK, "20 euros", type="value", value=20, unit="EUR"),
        ]
        pipeline = f"""- name: DucklingEntityExtractor
  url: {server.url}
  dimensions: [time]
  locale: en_GB
  timezone: Europe/Lisbon
"""
        parse = answer(tmp_path, pipeline, CLOCK)

    asked = server.asked[0]
    assert asked.pop("reftime").endswith("000")
    assert asked == {"text": CLOCK, "locale": "en_GB", "tz": "Europe/Lisbon", "dims": '["time"]'}
    assert parse["entities"] == [
        {
            **{"start": 0, "end": 16, "text": "tomorrow at five", "value": "2026-01-02T05:00:00", "confidence": 1.0},
            "additional_info": {"type": "value", "value": "2026-01-02T05:00:00", "grain": "hour"},
            **{"entity": "time", "extractor": "DucklingEntityExtractor"},
        }
    ]


def test_an_interval_has_two_ends_and_the_variable_of_the_environment_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckling() as server:
        server.answer = [found("time", CLOCK, "tomorrow", type="interval", **{"from": {"value": "a"}, "to": None})]
        monkeypatch.setenv(DUCKLING_VARIABLE, server.url)
        parse = answer(tmp_path, "- name: DucklingHTTPExtractor\n  url: http://127.0.0.1:9", CLOCK)

    assert parse["entities"][0]["value"] == {"to": None, "from": "a"}


def test_a_server_that_is_down_finds_nothing_and_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with duckling() as server:
        port = server.server_address[1]
    pipeline = f"- name: DucklingEntityExtractor\n  url: http://127.0.0.1:{port}"
    steps = stored_steps(pipeline_in(written(tmp_path, pipeline)), data())
    assert steps is not None
    made = Pipeline(steps, {})
    with caplog.at_level(logging.WARNING, "rasa_core"):
        assert [made.finish(network(CLOCK))["entities"] for _ in range(3)] == [[]] * 3
        assert len(caplog.records) == 1
        with duckling(port) as server:
            server.answer = [found("number", CLOCK, "five", type="value", value=5)]
            assert entities(made.finish(network(CLOCK))) == [("number", 5, 12, 16)]
            server.status = 500
            assert made.finish(network(CLOCK))["entities"] == []

    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert "answers again" in caplog.records[1].getMessage()
    assert "answered 500" in caplog.records[2].getMessage()


def test_a_silent_server_is_waited_for_as_long_as_was_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with duckling() as server:
        server.may_answer.clear()
        pipeline = f"- name: DucklingEntityExtractor\n  url: {server.url}\n  timeout: 0.05"
        parse = answer(tmp_path, pipeline, CLOCK)

    assert parse["entities"] == []
    assert "timed out" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        *(b"<html>", {"a": 1}, [5], [{"dim": "x"}], [{"dim": "x", "start": 3, "end": 99, "value": {}}], b"[NaN]"),
        *([{"dim": "x", "start": 0, "end": 2, "value": value}] for value in ("8", None, ["8"])),
        [{"dim": "x", "start": 0, "end": 2, "value": {"type": "interval", "from": "8"}}],
    ],
)
def test_an_answer_that_makes_no_sense_finds_nothing(tmp_path: Path, wrong: Any) -> None:
    with duckling() as server:
        server.answer = wrong
        parse = answer(tmp_path, f"- name: DucklingEntityExtractor\n  url: {server.url}", CLOCK)

    assert parse["entities"] == []


# -- what is read, and told


def test_components_of_ones_own_are_all_named_with_their_places(tmp_path: Path) -> None:
    path = written(tmp_path, "- name: DIETClassifier\n- name: mine.Speller\n- name: DIETClasifier\n- other.Thing\n")

    with pytest.raises(ModelError, match=r"config\.yml:3: the component 'mine\.Speller' is one of your own") as caught:
        pipeline_in(path)

    lines = str(caught.value).splitlines()
    assert "config.yml:4: the component 'DIETClasifier'" in lines[1]
    assert "Did you mean 'DIETClassifier'?" in lines[1]
    assert "config.yml:5" in lines[2]
    config = pipeline_in(path, ignores_own=True)
    assert config is not None
    assert [note.fate for note in config.notes] == ["replaced", "left out", "left out", "left out"]


@pytest.mark.parametrize(
    ("component", "words"),
    [
        (
            "- name: FallbackClassifier\n  threshold: 3",
            "threshold: of FallbackClassifier is a number from 0 to 1, not 3",
        ),
        ("- name: FallbackClassifier\n  threshold: high", "not 'high'"),
        ("- name: RegexEntityExtractor\n  case_sensitive: maybe", "is true or false, not 'maybe'"),
        ("- name: DucklingEntityExtractor\n  dimensions: time", "is a list such as"),
        ("- name: DucklingEntityExtractor\n  timeout: 0", "seconds above 0"),
    ],
)
def test_an_option_that_cannot_be_is_an_error_with_its_place(tmp_path: Path, component: str, words: str) -> None:
    with pytest.raises(ModelError, match=re.escape(words)) as caught:
        pipeline_in(written(tmp_path, component))

    assert "config.yml:2: " in str(caught.value)


def test_options_that_do_nothing_here_are_told(tmp_path: Path) -> None:
    pipeline = """- name: WhitespaceTokenizer
- name: "rasa.nlu.classifiers.diet_classifier.DIETClassifier"
  epochs: 100
- name: FallbackClassifier
  threshhold: 0.7
- name: SpacyEntityExtractor
"""
    config = pipeline_in(written(tmp_path, pipeline))
    assert config is not None
    lines = told(config.notes)

    assert "config.yml:2: WhitespaceTokenizer, rasa.nlu" in lines[0]
    assert "not used: epochs" in lines[0]
    assert "threshhold (Did you mean 'threshold'" in lines[1]
    assert "SpacyEntityExtractor: left out" in lines[2]


def test_without_a_pipeline_there_is_none_or_that_which_rasa_would_choose(tmp_path: Path) -> None:
    assert pipeline_in(tmp_path / "config.yml") is None
    assert stored_steps(None, data()) is None
    kinds = [step["kind"] for step in default_pipeline().steps]
    assert kinds == ["Interpreter", "EntitySynonymMapper", "ResponseSelector", "FallbackClassifier"]


def test_a_bot_of_old_names_only_what_stands_around_the_network(tmp_path: Path) -> None:
    config = pipeline_in(written(tmp_path, "- name: RegexEntityExtractor"))
    assert config is not None
    assert [step["kind"] for step in around_network(config).steps] == [
        *("Interpreter", "RegexEntityExtractor", "EntitySynonymMapper"),
    ]


# -- with a model


def test_a_table_that_extracts_needs_no_configuration() -> None:
    text = DATA.replace("- lookup: colour", "- lookup: colour\n  extract: true")
    steps = stored_steps(None, read_training_text(text, "nlu.yml"))
    assert steps is not None

    made = Pipeline(steps, {"synonyms": {}, "lookups": [["colour", ["red"]], ["city", ["Rome"]]], "regexes": []})

    assert entities(made.finish(network("a red one in Rome"))) == [("colour", "red", 2, 5)]
    assert entities(made.finish(network("a  RED one"))) == [("colour", "red", 3, 6)]


def test_a_model_keeps_its_pipeline_and_can_have_another(tmp_path: Path) -> None:
    model = small_model()
    steps = stored_steps(pipeline_in(written(tmp_path, "- name: RegexEntityExtractor\n")), data())

    model.with_pipeline(steps).persist(tmp_path / "nlu")
    again = NLUModel.load(tmp_path / "nlu")

    assert again.pipeline == steps
    assert again.fingerprint == model.fingerprint
    text = "from Ulaanbaatar"
    assert entities(again.parse(text)) == [("city", "Ulaanbaatar", 5, 16)]
    assert again.parse_many([text]) == [again.parse(text)]
    assert again.with_pipeline(None).parse(text) == model.parse(text)


def test_a_damaged_pipeline_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="damaged"):
        small_model().with_pipeline([{"kind": "FallbackClassifier"}])


# -- of Rasa NLU 0.12

OLD_NAMES = """
- name: nlp_spacy
  model: en
- nlp_mitie
- tokenizer_whitespace
- tokenizer_jieba
- tokenizer_mitie
- tokenizer_spacy
- intent_entity_featurizer_regex
- intent_featurizer_count_vectors
- intent_featurizer_mitie
- intent_featurizer_ngrams
- intent_featurizer_spacy
- name: ner_crf
  BILOU_flag: true
- ner_mitie
- ner_spacy
- ner_synonyms
- name: ner_duckling
  dimensions: [time]
- intent_classifier_keyword
- intent_classifier_mitie
- intent_classifier_sklearn
- intent_classifier_tensorflow_embedding
"""


def test_the_names_of_old_are_those_of_today(tmp_path: Path) -> None:
    found = pipeline_in(written(tmp_path, OLD_NAMES))
    assert found is not None
    assert [step["kind"] for step in found.steps] == [
        *("Interpreter", "Interpreter", "EntitySynonymMapper", "DucklingEntityExtractor", "KeywordIntentClassifier"),
        *("Interpreter", "Interpreter", "Interpreter"),
    ]
    assert [(note.what, note.fate) for note in found.notes if note.fate != "replaced"] == [
        ("ner_spacy", "left out"),
        ("ner_synonyms", "same"),
    ]


def test_what_a_bot_of_old_names_asks_duckling_and_replaces_synonyms(tmp_path: Path) -> None:
    with duckling() as server:
        server.answer = [found("time", CLOCK, "tomorrow", value="NYC")]
        parse = answer(tmp_path, f"- name: ner_duckling_http\n  url: {server.url}\n- name: ner_synonyms", CLOCK)

    assert [one["value"] for one in parse["entities"]] == ["New York"]
