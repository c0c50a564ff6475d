"""Where training turns stand: collected, kept in a model, and found again."""

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
from rasa_core.policies.lesson_book import FILE_NAME, MOST_ROWS, LessonBook, LessonCollector, StoredLessons
from rasa_core.policies.lessons import sources_of, turn_key
from rasa_core.policies.sparse_rows import SparseRows, row_of, starts_of
from rasa_core.stories.steps import Source

_numbers = st.floats(-5, 5, width=32).map(lambda number: round(number, 2))
_rows = st.dictionaries(st.integers(0, 6), _numbers, max_size=5)


def place(line: int, story: str = "s") -> Source:
    return Source("stories.md", line, story)


def by_hand(one: dict[int, float], other: dict[int, float]) -> float:
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    return sum(value * other.get(column, 0.0) for column, value in one.items()) / lengths if lengths else 0.0


def rows_book(*rows: tuple[dict[int, float], str]) -> LessonBook:
    collector = LessonCollector()
    for line, (row, action) in enumerate(rows, 1):
        collector.add(row_of(list(row), list(row.values())), action, [place(line)])
    return collector.book()


class TestLessonsOfAKey:
    def test_places_are_told_in_the_order_of_files_and_lines(self) -> None:
        collector = LessonCollector()
        collector.add(7, "utter_a", [place(20), Source("a.md", 9, "x")])
        collector.add(7, "utter_a", [place(3, 'say "hi"'), place(20)])

        [lesson] = collector.book().of_key(7)

        assert lesson.places == ('a.md:9 "x"', 'stories.md:3 "say "hi""', 'stories.md:20 "s"')
        assert (lesson.action, lesson.count, lesson.more, lesson.similarity) == ("utter_a", 2, 0, 1.0)

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
        collector = LessonCollector()
        collector.add(7, "utter_a", [Source(file, 1, "s") for file in files])

        assert [one.partition(":")[0] for one in collector.book().of_key(7)[0].places] == told

    def test_of_many_places_some_are_told_and_the_others_counted(self) -> None:
        collector = LessonCollector()
        collector.add(7, "utter_a", map(place, range(30)))

        [lesson] = collector.book().of_key(7)

        assert (len(lesson.places), lesson.more) == (10, 20)

    def test_each_action_is_a_lesson_and_the_usual_one_comes_first(self) -> None:
        collector = LessonCollector()
        for action in ("utter_a", "utter_b", "utter_b"):
            collector.add(2**64 - 1, action, [place(1)])

        assert [lesson.action for lesson in collector.book().of_key(2**64 - 1)] == ["utter_b", "utter_a"]

    def test_an_unknown_key_has_no_lessons(self) -> None:
        collector = LessonCollector()
        collector.add(7, "utter_a", [place(1)])

        assert collector.book().of_key(8) == []
        assert LessonCollector().book().of_key(8) == []


class TestNearestRows:
    @given(st.lists(_rows, min_size=1, max_size=8), _rows)
    def test_likeness_is_the_cosine_of_the_angle(self, rows: list[dict[int, float]], wanted: dict[int, float]) -> None:
        sparse = SparseRows.of([row_of(list(row), list(row.values())) for row in rows])

        found = sparse.cosines(list(wanted), list(wanted.values()))

        assert found == pytest.approx([by_hand(row, wanted) for row in rows], abs=1e-5)

    def test_the_nearest_come_first_and_of_equals_the_first(self) -> None:
        book = rows_book(({0: 1.0}, "far"), ({1: 1.0, 2: 1.0}, "near"), ({1: 2.0}, "same"), ({1: 1.0}, "same too"))

        found = book.nearest([1], [3.0], 3)

        assert [lesson.action for lesson in found] == ["same", "same too", "near"]
        assert [lesson.similarity for lesson in found] == pytest.approx([1.0, 1.0, 0.5**0.5])
        assert found[0].places == ('stories.md:3 "s"',)

    def test_features_that_no_row_has_only_make_rows_less_near(self) -> None:
        assert rows_book(({1: 1.0}, "a")).nearest([1, 900], [1.0, 1.0], 1)[0].similarity == pytest.approx(0.5**0.5)

    def test_a_hundred_thousand_rows_are_searched_in_less_than_a_second(self) -> None:
        draw = np.random.default_rng(0)
        columns = draw.integers(0, 500, 40 * MOST_ROWS, np.int32)
        rows = SparseRows(starts_of([40] * MOST_ROWS), columns, np.ones(len(columns), np.float32))
        began = time.process_time()

        rows.cosines(list(range(40)), [1.0] * 40)

        assert time.process_time() - began < 1

    def test_no_more_rows_are_kept_than_can_be_searched(self, monkeypatch) -> None:
        monkeypatch.setattr("rasa_core.policies.lesson_book.MOST_ROWS", 2)

        book = rows_book(({0: 1.0}, "a"), ({1: 1.0}, "b"), ({2: 1.0}, "c"), ({1: 1.0}, "b"))

        assert [lesson.count for lesson in book.nearest([0, 1, 2], [1.0] * 3, 9)] == [1, 2]


class TestKeeping:
    @pytest.mark.parametrize("seen", [[3, 2**64 - 1, 5], [row_of([1], [0.5]), row_of([], []), row_of([0, 9], [1, 1])]])
    def test_what_is_collected_again_is_the_same_book(self, seen, tmp_path: Path) -> None:
        collector = LessonCollector()
        for line, one in enumerate(seen):
            collector.add(one, f"utter_{line}", [place(line)])
        book = collector.book()
        book.save(tmp_path)
        written = (tmp_path / FILE_NAME).read_bytes()

        read = StoredLessons(folder=tmp_path).read()
        assert read is not None
        LessonCollector(read).book().save(tmp_path)

        assert (tmp_path / FILE_NAME).read_bytes() == written
        assert len(read) == len(book) == 3

    def test_nothing_is_read_before_somebody_asks(self, tmp_path: Path) -> None:
        (tmp_path / FILE_NAME).write_bytes(b"damaged")

        stored = StoredLessons(folder=tmp_path)

        with pytest.raises(ModelError, match=r"cannot read the arrays in .*lessons\.npz"):
            stored.read()

    def test_lessons_of_another_model_are_not_taken_for_those_of_this_one(self, tmp_path: Path) -> None:
        rows_book(({1: 1.0}, "a")).save(tmp_path)
        stored = StoredLessons(folder=tmp_path)
        (tmp_path / "other").mkdir()
        rows_book(({1: 1.0}, "b")).save(tmp_path / "other")
        (tmp_path / "other" / FILE_NAME).rename(tmp_path / FILE_NAME)

        with pytest.raises(ModelError, match="was replaced after the model was loaded; load the model again"):
            stored.read()

    def test_a_policy_without_its_lessons_can_still_be_written(self, tmp_path: Path, caplog) -> None:
        rows_book(({1: 1.0}, "a")).save(tmp_path)
        stored = StoredLessons(folder=tmp_path)
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

        with pytest.raises(ModelError, match=r"lessons of the model cannot be read.*Train it again"):
            StoredLessons(folder=tmp_path).read()

    def test_where_there_are_no_lessons_none_are_read(self, tmp_path: Path) -> None:
        assert StoredLessons(folder=tmp_path).read() is None
        assert StoredLessons().read() is None


def test_a_turn_has_the_same_key_whatever_the_order_of_its_features() -> None:
    items = [("a", 1.0), ("b", 0.5), ("c", 1.0)]
    mixed = random.Random(0).sample(items, 3)

    assert turn_key([frozenset(items)], {}) == turn_key([frozenset(mixed)], {})
    assert turn_key([frozenset(items[:1]), frozenset(items)], {}) != turn_key([frozenset(items)], {})


def test_conversations_that_are_no_stories_have_no_places() -> None:
    [first, *_] = stories(local_domain())

    assert sources_of(first) is None
