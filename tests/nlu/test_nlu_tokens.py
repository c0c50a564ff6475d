"""Tokens and their features; patterns, tags and settings."""

from __future__ import annotations

import itertools
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.nlu.crf import Tagger, best_path, first, forbidden, spans_of
from rasa_core.nlu.patterns import Budget, Expression, Patterns
from rasa_core.nlu.settings import NLUSettings, SettingsError
from rasa_core.nlu.spelling import alike
from rasa_core.nlu.tokens import (
    MAX_PIECES,
    SHAPES,
    EndSigns,
    TokenVocabulary,
    keys_of,
    pieces_of,
    shape_of,
    tokenize,
    visible,
    word_of,
)
from rasa_core.nlu.training_data import Lookup, NLUDataError, Regex


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in tokenize(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Gate B12, please!", ["Gate", "B", "12", ",", "please", "!"]),
        ("what's don't o'clock", ["what", "'s", "don", "'t", "o", "'", "clock"]),
        ("what\u02bcs don\u2032t o\u02bcclock", ["what", "\u02bcs", "don", "\u2032t", "o", "\u02bc", "clock"]),
        ("me@mail.org a_b", ["me", "@", "mail", ".", "org", "a", "_", "b"]),
        ("Cita Roma\u0301ntica", ["Cita", "Roma\u0301ntica"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("東京へ", ["東", "京", "へ"]),
        ("서울에서 봐", ["서", "울", "에", "서", "봐"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("iPhoneで買う", ["iPhone", "で", "買", "う"]),
        ("👍🏽ok", ["👍🏽", "ok"]),
        ("hello!!! C++", ["hello", "!!!", "C", "++"]),
        ("مرحبا بك", ["مرحبا", "بك"]),
        ("ครับบบบ ๑๐๐๐", ["ค", "รั", "บบบบ", "๑", "๐", "๐", "๐"]),
        ("哈哈 哈哈哈", ["哈", "哈", "哈哈哈"]),
        ("\u1109\u1165\u110b\u116e\u11af\u110b\u1166", ["\u1109\u1165", "\u110b\u116e\u11af", "\u110b\u1166"]),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text(st.characters() | st.sampled_from(" a1'\u0301\ud800京ก한")))
def test_tokens_hold_every_character_but_spaces_in_order(text: str) -> None:
    spans = tokenize(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(spans))
    assert "".join(words(text)).split() == "".join(text.split()).split()
    assert len(keys_of(text, spans)) == len(spans)


@given(st.text(min_size=1, max_size=60))
def test_anything_has_a_shape_a_word_and_few_pieces(key: str) -> None:
    assert 0 <= shape_of(key) < len(SHAPES)
    assert isinstance(word_of(key), str)
    assert len(pieces_of(key)) == len(set(pieces_of(key))) <= MAX_PIECES


def test_what_a_token_is_does_not_depend_on_case() -> None:
    assert word_of("ROMÁNTICA") == word_of("romántica") == word_of("roma\u0301ntica") == "romántica"
    assert word_of("İSTANBUL") == word_of("istanbul")
    assert {"<ca", "afe", "fe>"} < set(pieces_of("cafe")) < set(pieces_of("Café"))
    assert SHAPES[shape_of("McDonald")] == "mixed"
    assert SHAPES[shape_of("A")] == "initial"


@pytest.mark.parametrize("words", ["papa papá", "schon schön", "bán bàn bạn", "zelo żelo", "か が"])
def test_words_keep_their_accents(words: str) -> None:
    assert len({word_of(word) for word in words.split()}) == len(words.split())


@pytest.mark.parametrize(("one", "other"), [("שָׁלוֹם", "שלום"), ("مُحَمَّد", "محمد")])
def test_vowel_points_may_be_left_out(one: str, other: str) -> None:
    assert word_of(one) == word_of(other)
    assert pieces_of(one) == pieces_of(other)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("manana", "mañana"), ("goood", "good"), ("helllooo", "hello"), ("dat", "đất"), ("BAN", "bàn"), ("ban", None)],
)
def test_a_word_that_is_not_known_is_the_only_one_that_looks_so(typed: str, meant: str | None) -> None:
    words = ["mañana", "good", "hello", "đất", "bàn", *(["bán"] if meant is None else [])]
    vocabulary = TokenVocabulary(words, [], [])
    assert vocabulary.word(typed) == (0 if meant is None else 1 + words.index(meant))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("bookng", "booking"), ("bokoing", "booking"), ("boooking", None), ("bpoking", "booking")),
        *(("bookingg", None), ("nooking", "booking"), ("obok", "book"), ("bok", None), ("hook", None)),
        *(("boking", None), ("boojinf", None), ("cooking", None), ("b0oking", None), ("booking", None)),
    ],
)
def test_a_word_with_a_typing_error_may_be_the_only_one_that_is_near(typed: str, meant: str | None) -> None:
    words = ["booking", "book", *(["cooling"] if typed == "cooking" else [])]
    vocabulary = TokenVocabulary(words, [], [])
    assert vocabulary.guess(typed) == meant
    assert meant is None or vocabulary.word(typed) == 0
    assert vocabulary.unknown([typed]) == (vocabulary.word(typed) == 0)


@pytest.mark.parametrize(
    ("typed", "meant"), [("bkng", "booking"), ("cncl", "cancel"), ("bnk", None), ("ordr", "order"), ("ts", None)]
)
def test_a_word_without_its_vowels_is_the_only_one_with_these_consonants(typed: str, meant: str | None) -> None:
    words = ["booking", "cancel", "bank", "bunk", "order", "toes"]
    vocabulary = TokenVocabulary(words, sorted({piece for word in words for piece in pieces_of(word)}), [])
    assert vocabulary.word(typed) == (0 if meant is None else 1 + words.index(meant))
    assert meant is None or vocabulary.pieces_in(typed) == vocabulary.pieces_in(meant)


@pytest.mark.parametrize(
    ("typed", "written"),
    [("नमस्तेेेे", "नमस्ते"), ("हाँँँ", "हाँ"), ("\u1109\u1165\u110b\u116e\u11af", "서울"), ("哈哈哈哈", "哈")],
)
def test_letters_that_are_drawn_out_or_encoded_otherwise_are_those_that_are_known(typed: str, written: str) -> None:
    vocabulary = TokenVocabulary([word_of(key) for key in keys_of(written, tokenize(written))], [], [])
    assert all(vocabulary.word(key) for key in keys_of(typed, tokenize(typed)))


def test_long_words_are_told_apart_at_both_ends_and_between() -> None:
    stem = "donaudampfschifffahrts"
    words = [f"{stem}kapitän", f"{stem}gesellschaft", f"alt{stem}kapitän", f"{stem}obergesellschaft"]
    assert len({frozenset(pieces_of(word)) for word in words}) == len(words)
    assert all({f"<{word[:2]}", f"{word[-2:]}>"} <= set(pieces_of(word)) for word in words)


def test_marks_that_nobody_sees_are_no_part_of_a_text() -> None:
    text, places = visible("\u200eLis\u00adbon\ufeff now\u200b")
    assert text == "Lisbon now"
    assert [places[at] for at in (0, 3, 6, 10)] == [1, 5, 9, 14]
    text, places = visible("a &amp; <b>Lisbon</b>&#39;s<br/>&foo; <c>\u200b")
    assert text == "a &  Lisbon 's &foo; <c>"
    assert [places[at] for at in (2, 4, 5, 11, 12, 24)] == [2, 8, 11, 17, 21, 42]
    text, _ = visible("❤️ ❤ ??")
    assert keys_of(text, tokenize(text)) == ["❤", "❤", "?"]


@pytest.mark.parametrize("mark", "\ufe0f\u200d\u200c\u034f\u3164\u2060\U000e0067")
def test_marks_at_the_end_of_a_word_are_no_part_of_it(mark: str) -> None:
    assert visible(f"Lisbon{mark} now")[0] == "Lisbon now"


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("I don\u2019t", "I don't"),
        ("I don`t", "I don't"),
        ("I don\u00b4t", "I don't"),
        ("\u201eis it\u201c", '"is it"'),
        ("is it\uff1f", "is it?"),
        ("is it\u061f", "is it?"),
        ("it is\u3002", "it is."),
        ("it is\u2026", "it is..."),
        ("Rio \u2013 Lisbon", "Rio - Lisbon"),
        ("\uff08it\uff09", "(it)"),
    ],
)
def test_signs_that_mean_the_same_are_the_same(typed: str, written: str) -> None:
    assert keys_of(typed, tokenize(typed)) == keys_of(written, tokenize(written))


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("می\u200cروم", "میروم"),
        ("كـــتاب", "كتاب"),
        ("علی", "علي"),
        ("کتاب", "كتاب"),
        ("٣٤", "34"),
        ("۳۴", "34"),
        ("१२", "12"),
        ("O\u2019Brien", "O'Brien"),
    ],
)
def test_a_word_is_the_same_from_any_keyboard(typed: str, written: str) -> None:
    assert word_of(typed) == word_of(written)
    assert alike(typed) == alike(written)


@pytest.mark.parametrize(("typed", "written"), [("coeur", "cœur"), ("مدرسه", "مدرسة"), ("على", "علي")])
def test_what_is_often_typed_for_a_letter_is_known_where_the_word_is_not(typed: str, written: str) -> None:
    assert word_of(typed) != word_of(written)
    assert TokenVocabulary([word_of(written)], [], []).word(typed) == 1


def test_a_word_with_an_umlaut_may_be_typed_in_two_letters_and_the_other_way_round() -> None:
    vocabulary = TokenVocabulary.of([["für", "Muenchen", "neue", "schön", "schoen"]], 1)
    assert vocabulary.word("fuer") == vocabulary.word("für") != 0
    assert vocabulary.pieces_in("FUER") == vocabulary.pieces_in("für")
    assert vocabulary.word("München") == vocabulary.word("muenchen") != 0
    assert vocabulary.word("neue") != 0
    assert vocabulary.word("schoen") != vocabulary.word("schön")


def test_a_character_between_others_is_known_by_itself_and_by_them() -> None:
    text = "東京都"
    key = keys_of(text, tokenize(text))[1]
    assert word_of(key) == "京"
    assert "東京都" in pieces_of(key)


def test_expressions_and_tables_mark_the_tokens_that_they_match() -> None:
    patterns = Patterns(
        [Regex("zip", r"\b\d{5}\b"), Regex("zip", r"[A-Z]\d [A-Z]"), Regex("end", "$|(?=x)")],
        [Lookup("city", ("new york", "York", "São Paulo")), Lookup("sign", ("new york", ""))],
    )
    text = "from New York 12345 to sao paulo York"
    found = patterns.matches(text, tokenize(text))
    assert patterns.names == ["lookup:city", "lookup:sign", "regex:end", "regex:zip"]
    assert found.tolist() == [
        [0, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
    ]


SLOW = ("(a+)+$", "(?:x*y?)*z", r"([a-z]+ ?)+!", r"(?=(\w+\s?)+$)(\w+\s?)+!", r"(\w+\s?)*\1!", r"[\w.]+@[\w.]+\.\w+")


@pytest.mark.parametrize("pattern", SLOW)
@pytest.mark.parametrize("text", ["a" * 150_000 + " !", "a " * 500 + "é", "é" * 1000], ids=["ascii", "mixed", "other"])
def test_no_expression_freezes_anything(pattern: str, text: str) -> None:
    expression = Expression(pattern)
    started = time.thread_time()
    expression.spans(text, Budget())
    assert time.thread_time() - started < 1.0


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b\d{5}\b",
        "(?i)straße",
        r"[^\W\d_]+",
        r"(\w)\1",
        "a{,3}b",
        r"^\d+$",
        r"(?<!\d)\d\d(?!\d)",
        "(a|b)+",
        r"\u00e9",
    ],
)
def test_an_expression_finds_what_python_finds(pattern: str) -> None:
    for text in ("12345 é", "zip 12345.", "ab12 34", "Ünter 12 straße STRASSE", "aab aaaab", "12\n", "٣٣", ""):
        found = [span for span in Expression(pattern).spans(text, Budget()) if span[0] < span[1]]
        assert found == [match.span() for match in re.finditer(pattern, text) if match[0]], text


def test_a_class_of_characters_of_other_engines_is_read_as_one() -> None:
    assert Expression("[[:alpha:]]+").spans("où 1", Budget()) == [(0, 2)]


def test_an_expression_searches_what_is_no_text_in_any_encoding() -> None:
    assert Expression("[0-9]+").spans("\ud83d 12", Budget()) == [(2, 4)]


def test_an_expression_for_which_others_left_no_time_is_not_called_slow(caplog) -> None:
    budget, text = Budget(), "a" * 900 + "!"
    Expression("(?=(a*)*b)").spans(text, budget)
    assert Expression("(?<=a)(?=(a*)*b)").spans(text, budget) == []
    assert [one.getMessage() for one in caplog.records] == [
        "the expression '(?=(a*)*b)' takes too long on some texts, and is not used there."
    ]


def test_a_malformed_expression_is_named() -> None:
    with pytest.raises(NLUDataError, match=r"regex 'zip': '\(' is malformed: missing \)"):
        Patterns([Regex("zip", "(")])


@pytest.mark.parametrize("seed", range(5))
def test_the_best_path_and_its_chances_are_those_of_every_path_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, size=(4, 5)).astype(np.float32)
    transitions = rng.normal(0, 1, size=(5, 5)).astype(np.float32) + forbidden(2)

    def score(path: tuple[int, ...]) -> float:
        own = sum(float(scores[at, tag]) for at, tag in enumerate(path)) + float(first(2)[path[0]])
        return own + sum(float(transitions[pair]) for pair in itertools.pairwise(path))

    paths = list(np.ndindex(5, 5, 5, 5))
    chances = np.exp([score(path) for path in paths])
    chances /= chances.sum()
    best = paths[int(np.argmax(chances))]
    assert tuple(best_path(scores, transitions, first(2))) == best

    def entities(path: tuple[int, ...]) -> set[tuple[int, int, int]]:
        starts = [at for at, tag in enumerate(path) if tag % 2]
        ends = [next((at for at in range(s + 1, 4) if path[at] != path[s] + 1), 4) - 1 for s in starts]
        return {(s, e, (path[s] - 1) // 2) for s, e in zip(starts, ends, strict=True)}

    found = Tagger(transitions).entities(scores, np.zeros(0, np.float32))
    assert {entity[:3] for entity in found} == entities(best)
    for start, end, number, chance in found:
        total = sum(c for path, c in zip(paths, chances, strict=True) if (start, end, number) in entities(path))
        assert chance == pytest.approx(total, abs=1e-4)


def test_entities_with_a_break_between_them_are_not_side_by_side() -> None:
    transitions = forbidden(1)
    transitions[1, 1] -= 9.0  # As where no example has two of them side by side.
    scores = np.array([[0.0, 5.0, 0.0], [0.0, 4.0, 1.0], [3.0, 0.0, 0.0]], np.float32)
    tagger = Tagger(transitions)
    none = np.zeros(0, np.float32)
    assert [one[:3] for one in tagger.entities(scores, none)] == [(0, 1, 0)]
    assert [one[:3] for one in tagger.entities(scores, none, [1])] == [(0, 0, 0), (1, 1, 0)]
    assert [one[:3] for one in tagger.entities(scores[::-1].copy(), none, [1, 2])] == [(1, 1, 0), (2, 2, 0)]
    assert all(one[3] > 0.9 for one in tagger.entities(scores, none, [1]))


def test_the_same_word_is_the_entity_that_goes_with_what_the_message_means() -> None:
    scores = np.array([[0.0, 2.0, -9.0, 2.1, -9.0]], np.float32)
    tagger = Tagger(forbidden(2), np.array([[1.9, 0.1], [0.1, 1.9], [1.0, 1.0]], np.float32))
    found = [tagger.entities(scores, np.eye(3, dtype=np.float32)[intent])[0][2] for intent in range(3)]
    assert found == [0, 1, 1]
    assert scores[0, 1] == 2.0
    doubtful = tagger.entities(scores, np.array([0.6, 0.4, 0.0], np.float32))[0]
    assert doubtful[2] == 0
    assert doubtful[3] < tagger.entities(scores, np.array([0.9, 0.1, 0.0], np.float32))[0][3]


@pytest.mark.parametrize("seed", range(30))
def test_a_message_without_an_entity_on_its_best_path_has_none(seed: int) -> None:
    # The scores of entities are about those of being outside, where leaving out the search for a path could matter.
    rng = np.random.default_rng(seed)
    scores = rng.normal(-seed / 6, 1, size=(1 + seed % 4, 5)).astype(np.float32)
    transitions = rng.normal(0, 0.5, size=(5, 5)).astype(np.float32) + forbidden(2)
    lifts, intents = rng.uniform(0.1, 3, size=(3, 2)).astype(np.float32), np.float32([0.5, 0.3, 0.2])
    lifted = scores.copy()
    lifted[:, 1::2] += np.log(intents @ lifts)
    expected = spans_of(best_path(lifted, transitions, first(2)))
    found = Tagger(transitions, lifts).entities(scores, intents)
    assert [one[:2] for one in found] == expected


def test_no_path_is_sought_where_no_token_can_gain_by_an_entity(monkeypatch) -> None:
    monkeypatch.delattr("rasa_core.nlu.crf.best_path")
    tagger, intents = Tagger(forbidden(2), np.array([[2.0, 0.5], [0.1, 1.0]], np.float32)), np.float32([0.5, 0.5])
    assert tagger.entities(np.array([[0.0, -3, -3, -3, -3]] * 3, np.float32), intents) == []
    with pytest.raises(NameError, match="best_path"):
        tagger.entities(np.array([[0.0, -3, -3, -3, -3], [0.0, -0.5, -3, -3, -3]], np.float32), intents)


@given(st.integers(1, 3), st.integers(1, 8), st.integers(0, 2**31))
def test_an_entity_never_goes_on_from_nothing_or_another(count: int, length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, size=(length, 1 + 2 * count)).astype(np.float32)
    path = best_path(scores, forbidden(count), first(count))
    for before, tag in zip([0, *path], path, strict=False):
        assert tag % 2 or tag == 0 or before in (tag, tag - 1)


def test_settings_are_read_from_text() -> None:
    settings = NLUSettings.from_mapping({"epochs": "12", "learning_rate": " 1e-3 ", "seed": "0"})
    assert (settings.epochs, settings.learning_rate, settings.seed) == (12, 0.001, 0)
    assert NLUSettings(**settings.as_json()) == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": "3"}, r"unknown setting 'epoch'\. Did you mean 'epochs'\? There are: epochs, seed"),
        ({"epochs": "many"}, "setting 'epochs' is 'many', but must be a whole number from 1 to 10000"),
        ({"epochs": "2.5"}, "setting 'epochs' is '2.5', but must be a whole number"),
        ({"epochs": "0"}, "setting 'epochs' is 0, but must be a whole number from 1"),
        ({"learning_rate": "nan"}, "setting 'learning_rate' is nan, but must be a number from 1e-06 to 1"),
        ({"learning_rate": "inf"}, "setting 'learning_rate' is inf, but"),
        ({"dropout": "1"}, "setting 'dropout' is 1.0, but must be a number from 0 to 0.9"),
    ],
)
def test_settings_that_are_wrong_are_named(values: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        NLUSettings.from_mapping(values)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('"is it open?"', ["is", "it", "open", "?"]),
        ("\u00abis it open\u00bb.", ["is", "it", "open"]),
        ("is it open \u2764\ufe0f\U0001f600", ["is", "it", "open"]),
        ("is it open?!", ["is", "it", "open", "?"]),
        ("\u00bfis it open?", ["\u00bf", "is", "it", "open", "?"]),
        ("!!! ...", ["!", "."]),
        ("rated 5*", ["rated", "5", "*"]),
    ],
)
def test_signs_at_an_end_where_no_example_has_them_are_not_read(text: str, kept: list[str]) -> None:
    signs = EndSigns(frozenset("\u00bf"), frozenset("?*"))
    spans = tokenize(text)
    spans, keys = signs.without_others(spans, keys_of(text, spans))
    assert keys == kept
    assert len(spans) == len(keys)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('in "Lisbon" tonight', ["in", "Lisbon", "tonight"]),
        ("in (*Lisbon*) tonight", ["in", "Lisbon", "tonight"]),
        ("in Lisbon \U0001f600 tonight", ["in", "Lisbon", "tonight"]),
        ("in Lisbon, Porto", ["in", "Lisbon", ",", "Porto"]),
        ("Jill's 10:30", ["Jill", "'s", "10", "30"]),
        (",!,!", [",", "!", ",", "!"]),
    ],
)
def test_signs_that_no_example_has_are_not_read_wherever_they_stand(text: str, kept: list[str]) -> None:
    words = TokenVocabulary([",", "in", "lisbon"], [], [])
    keys = keys_of(text, tokenize(text))
    assert [keys[at] for at in words.telling(keys)] == kept
