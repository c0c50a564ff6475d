"""The places in stories of training turns: collected, stored in a model, and found again."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_bot import local_domain, stories

from rasa_core.exceptions import ModelError
from rasa_core.policies.training_examples import ROWS_WITH_PLACES
from rasa_core.policies.training_turns import (
    FILE_NAME,
    StoredTurns,
    TurnCollector,
    TurnTable,
    places_of,
    row_of,
    turn_key,
)
from rasa_core.support.places import Place
from rasa_core.support.stored_models import read_arrays

_numbers = st.floats(-5, 5, width=32).map(lambda number: round(number, 2))
_rows = st.dictionaries(st.integers(0, 6), _numbers, max_size=5)


KEY, OTHER_KEY = b"12345678", b"\xff" * 8


def place(line: int, story: str = "s") -> Place:
    return Place("stories.md", line, story)


def by_hand(one: dict[int, float], other: dict[int, float]) -> float:
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    return sum(value * other.get(column, 0.0) for column, value in one.items()) / lengths if lengths else 0.0


def table_of(*rows: tuple[dict[int, float], str]) -> TurnTable:
    collector = TurnCollector()
    for line, (row, action) in enumerate(rows, 1):
        collector.add(row_of(list(row), list(row.values())), action, [place(line)])
    return collector.table()


class TestTurnsOfAKey:
    def test_places_are_told_in_the_order_of_files_and_lines(self) -> None:
        collector = TurnCollector()
        collector.add(KEY, "utter_a", [place(20), Place("a.md", 9, "x")])
        collector.add(KEY, "utter_a", [place(3, 'say "hi"'), place(20)])

        [turn] = collector.table().of_keys([KEY])

        assert turn.places == ('a.md:9 "x"', 'stories.md:3 "say "hi""', 'stories.md:20 "s"')
        assert (turn.action, turn.count, turn.more, turn.similarity) == ("utter_a", 2, 0, 1.0)

    @pytest.mark.parametrize(
        ("files", "told"),
        [
            (["bot/stories.md", "../b.md"], ["../b.md", "bot/stories.md"]),
            (["/home/me/bot/stories.md"], ["stories.md"]),
            (["/home/me/bot/b/x.md", "/home/me/bot/a.md"], ["a.md", "b/x.md"]),
            (["/home/me/bot/a.md", "more.md", None], ["story", "a.md", "more.md"]),
        ],
        ids=["relative", "absolute", "a folder", "mixed"],
    )
    def test_paths_are_those_given_but_tell_no_absolute_folder(self, files: list[str], told: list[str]) -> None:
        collector = TurnCollector()
        collector.add(KEY, "utter_a", [Place(file, 1, "s") for file in files])

        assert [one.partition(":")[0] for one in collector.table().of_keys([KEY])[0].places] == told

    def test_of_many_places_some_are_told_and_the_others_counted(self) -> None:
        collector = TurnCollector()
        collector.add(KEY, "utter_a", map(place, range(30)))

        [turn] = collector.table().of_keys([KEY])

        assert (len(turn.places), turn.more) == (10, 20)

    def test_each_action_is_a_turn_and_the_usual_one_comes_first(self) -> None:
        collector = TurnCollector()
        for action in ("utter_a", "utter_b", "utter_b"):
            collector.add(OTHER_KEY, action, [place(1)])

        assert [turn.action for turn in collector.table().of_keys([OTHER_KEY])] == ["utter_b", "utter_a"]

    def test_an_unknown_key_has_no_turns(self) -> None:
        collector = TurnCollector()
        collector.add(KEY, "utter_a", [place(1)])

        assert collector.table().of_keys([OTHER_KEY]) == []
        assert TurnCollector().table().of_keys([OTHER_KEY]) == []


class TestNearestRows:
    @given(st.lists(_rows, min_size=1, max_size=8), _rows)
    def test_likeness_is_the_cosine_of_the_angle(self, rows: list[dict[int, float]], wanted: dict[int, float]) -> None:
        table = table_of(*((row, f"action {number}") for number, row in enumerate(rows)))

        found = table.cosines(list(wanted), list(wanted.values()))

        assert found == pytest.approx([by_hand(row, wanted) for row in rows], abs=1e-5)

    def test_the_nearest_come_first_and_of_equals_the_first(self) -> None:
        table = table_of(({0: 1.0}, "far"), ({1: 1.0, 2: 1.0}, "near"), ({1: 2.0}, "same"), ({1: 1.0}, "same too"))

        found = table.nearest([1], [3.0], 3)

        assert [turn.action for turn in found] == ["same", "same too", "near"]
        assert [turn.similarity for turn in found] == pytest.approx([1.0, 1.0, 0.5**0.5])
        assert found[0].places == ('stories.md:3 "s"',)

    def test_features_that_no_row_has_only_make_rows_less_near(self) -> None:
        assert table_of(({1: 1.0}, "a")).nearest([1, 900], [1.0, 1.0], 1)[0].similarity == pytest.approx(0.5**0.5)

    def test_a_hundred_thousand_rows_are_searched_in_less_than_a_second(self, tmp_path: Path) -> None:
        table_of(({0: 1.0}, "a")).save(tmp_path)
        columns = np.random.default_rng(0).integers(0, 500, 40 * ROWS_WITH_PLACES, np.int32)
        arrays = read_arrays(tmp_path / FILE_NAME)
        arrays["seen"] = np.frombuffer(row_of(columns, np.ones(len(columns), np.float32)), np.uint64)
        arrays["starts"] = np.arange(0, len(columns) + 1, 40)
        arrays["actions"] = np.zeros(ROWS_WITH_PLACES, np.int32)
        table = TurnTable(arrays)
        began = time.process_time()

        table.cosines(list(range(40)), [1.0] * 40)

        assert time.process_time() - began < 1


class TestKeeping:
    @pytest.mark.parametrize(
        "seen",
        [[KEY, OTHER_KEY, bytes(8)], [row_of([1], [0.5]), row_of([], []), row_of([0, 9], [1, 1])]],
        ids=["keys", "rows"],
    )
    def test_what_is_collected_again_is_the_same_table(self, seen, tmp_path: Path) -> None:
        collector = TurnCollector()
        for line, one in enumerate(seen):
            collector.add(one, f"utter_{line}", [place(line)])
        table = collector.table()
        table.save(tmp_path)
        written = (tmp_path / FILE_NAME).read_bytes()

        read = StoredTurns(folder=tmp_path).read()
        assert read is not None
        TurnCollector(read).table().save(tmp_path)

        assert (tmp_path / FILE_NAME).read_bytes() == written
        assert len(read) == len(table) == 3

    def test_nothing_is_read_before_somebody_asks(self, tmp_path: Path) -> None:
        (tmp_path / FILE_NAME).write_bytes(b"damaged")

        stored = StoredTurns(folder=tmp_path)

        with pytest.raises(ModelError, match=r"cannot read the arrays in .*training_turns\.npz"):
            stored.read()

    def test_turns_of_another_model_are_not_taken_for_those_of_this_one(self, tmp_path: Path) -> None:
        table_of(({1: 1.0}, "a")).save(tmp_path)
        stored = StoredTurns(folder=tmp_path)
        (tmp_path / "other").mkdir()
        table_of(({1: 1.0}, "b")).save(tmp_path / "other")
        (tmp_path / "other" / FILE_NAME).rename(tmp_path / FILE_NAME)

        with pytest.raises(ModelError, match="was replaced after the model was loaded; load the model again"):
            stored.read()

    def test_a_policy_without_its_turns_can_still_be_written(self, tmp_path: Path, caplog) -> None:
        table_of(({1: 1.0}, "a")).save(tmp_path)
        stored = StoredTurns(folder=tmp_path)
        (tmp_path / FILE_NAME).unlink()
        (tmp_path / "new").mkdir()

        stored.save(tmp_path / "new")

        assert list((tmp_path / "new").iterdir()) == []
        assert "written without the places of its training turns" in caplog.text

    @pytest.mark.parametrize(
        "text", [b"", b"[]", b'{"format": 99}', b'{"format": 1, "actions": [], "places": [1]}'], ids=str
    )
    def test_a_damaged_file_says_so(self, text: bytes, tmp_path: Path) -> None:
        np.savez(tmp_path / FILE_NAME, text=np.frombuffer(text, np.uint8))

        with pytest.raises(ModelError, match=r"cannot read the training turns in .*Train the model again"):
            StoredTurns(folder=tmp_path).read()

    def test_where_there_are_no_turns_none_are_read(self, tmp_path: Path) -> None:
        assert StoredTurns(folder=tmp_path).read() is None
        assert StoredTurns().read() is None


def test_a_turn_has_the_same_key_whatever_the_order_of_its_features() -> None:
    items = [("a", 1.0), ("b", 0.5), ("c", 1.0)]
    mixed = random.Random(0).sample(items, 3)

    assert turn_key([frozenset(items)], {}) == turn_key([frozenset(mixed)], {})
    assert turn_key([frozenset(items[:1]), frozenset(items)], {}) != turn_key([frozenset(items)], {})


def test_conversations_that_are_no_stories_have_no_places() -> None:
    [first, *_] = stories(local_domain())

    assert places_of(first) is None
