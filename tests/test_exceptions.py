"""The errors of this package: their builtin base classes, and their messages."""

from __future__ import annotations

import inspect

import pytest

from rasa_core import exceptions
from rasa_core.exceptions import RasaCoreError, StoryParseError, counted, did_you_mean, enumerated, nearest


def test_every_error_has_one_root_and_is_a_fitting_builtin() -> None:
    classes = [found for _, found in inspect.getmembers(exceptions, inspect.isclass) if found is not RasaCoreError]
    errors = [found for found in classes if found.__module__ == exceptions.__name__]
    assert len(errors) > 10
    assert all(issubclass(found, RasaCoreError) for found in errors)
    assert all(issubclass(found, ValueError | RuntimeError | LookupError) for found in errors)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("stories.md", 3, 7), "stories.md:3:7: no such thing"),
        (("stories.md", 3), "stories.md:3: no such thing"),
        ((None, 3), "3: no such thing"),
        ((), "no such thing"),
    ],
)
def test_an_error_in_a_story_says_where(place: tuple[str | int | None, ...], text: str) -> None:
    error = StoryParseError("no such thing", *place)  # type: ignore[arg-type]
    assert str(error) == text
    assert error.message == "no such thing"


def test_numbers_are_told_with_their_nouns() -> None:
    told = [counted(number, noun) for number, noun in ((1, "story"), (0, "story"), (2000, "rule"))]
    assert told == ["1 story", "0 stories", "2,000 rules"]


def test_names_are_listed_as_in_a_sentence() -> None:
    assert [enumerated(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_near_names_are_the_best_first() -> None:
    assert nearest("utter_gret", {"goodbye", "utter_greet", "utter_regret"}) == ["utter_greet", "utter_regret"]


def test_names_in_another_case_are_near() -> None:
    assert nearest("GREET", ["greet", "Greet", "bye"]) == ["Greet", "greet"]


def test_no_more_names_than_asked_for_are_near() -> None:
    assert nearest("action_1", [f"action_{number}" for number in range(2, 9)], count=2) == ["action_8", "action_7"]


def test_a_hint_names_them_and_is_empty_where_there_are_none() -> None:
    assert did_you_mean("utter_gret", ["utter_greet"]) == " Did you mean 'utter_greet'?"
    assert did_you_mean("utter_gret", ["utter_greet", "utter_grey"]) == " Did you mean 'utter_greet' or 'utter_grey'?"
    three = ["utter_greet", "utter_grey", "utter_grem"]
    assert did_you_mean("utter_gret", three) == " Did you mean 'utter_greet', 'utter_grey' or 'utter_grem'?"
    assert did_you_mean("utter_gret", ["utter_greet", "utter_bye"]) == " Did you mean 'utter_greet'?"
    assert did_you_mean("quite other", ["utter_greet"]) == ""


def test_a_very_long_name_is_compared_by_its_beginning() -> None:
    assert nearest("x" * 10_000_000, ["x" * 200]) == ["x" * 200]


def test_names_are_not_alike_by_the_prefix_of_their_kind() -> None:
    known = ["utter_order", "utter_greet", "utter_ask_size"]
    assert nearest("utter_cheer_up", known) == []
    assert nearest("utter_goodbye", known) == []
    assert nearest("utter_great", known) == ["utter_greet"]
    assert nearest("utter_ask_sise", known) == ["utter_ask_size"]
    assert nearest("utter_b", ["utter_a"]) == ["utter_a"]
