"""Slots: their features, and how they are made, written and kept apart."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import strategies
from hypothesis import given

from rasa_core.domain import Domain
from rasa_core.exceptions import DomainError
from rasa_core.slots import (
    BooleanSlot,
    CategoricalSlot,
    DataSlot,
    FloatSlot,
    ListSlot,
    Slot,
    TextSlot,
    UnfeaturizedSlot,
    class_from_path,
)

OWN_MODULE = """
from rasa_core.slots import Slot, TextSlot

class MoodSlot(Slot):
    def __init__(self, name, initial_value=None, value_reset_delay=None, scale=1):
        super(MoodSlot, self).__init__(name, initial_value, value_reset_delay)
        self.scale = scale

    def feature_dimensionality(self):
        return 2

    def as_feature(self):
        return [self.value == "good", self.scale]

    def persistence_info(self):
        info = super(MoodSlot, self).persistence_info()
        info["scale"] = self.scale
        return info

class LoudSlot(TextSlot):
    pass

class NamedSlot(Slot):
    type_name = "own_named"

class NoSlot:
    pass
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the name of an importable module with slot classes of a user's own."""
    (tmp_path / "own_slots.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(Slot, "_subclasses", dict(Slot._subclasses))
    yield "own_slots"
    sys.modules.pop("own_slots", None)


def features(slot: Slot, value: Any) -> list[float]:
    slot.value = value
    return slot.as_feature()


# -- features


@pytest.mark.parametrize("value", ["x", "", False, 0, [], {}], ids=repr)
def test_a_text_slot_tells_that_there_is_a_value(value: object) -> None:
    assert features(TextSlot("s"), value) == [1.0]


def test_a_text_slot_without_a_value_is_zero() -> None:
    assert TextSlot("s").as_feature() == [0.0]


@pytest.mark.parametrize("value", [True, 1, -3, 0.5, "1", "0.1", " 2 ", "inf"], ids=repr)
def test_a_boolean_slot_is_one_for_numbers_but_zero(value: object) -> None:
    assert features(BooleanSlot("s"), value) == [1.0]


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "0", "true", "", [], [1], {}, {"a": 1}], ids=repr)
def test_a_boolean_slot_is_zero_for_all_else(value: object) -> None:
    assert features(BooleanSlot("s"), value) == [0.0]


@pytest.mark.parametrize(
    ("value", "feature"),
    [
        (0, 0.0),
        (2, 0.25),
        ("4", 0.5),
        (8, 1.0),
        (80, 1.0),
        (-1, 0.0),
        (True, 0.125),
        ("inf", 1.0),
        (float("-inf"), 0.0),
        (float("nan"), 0.0),
        (10**400, 0.0),
        (None, 0.0),
        ("many", 0.0),
        ([3], 0.0),
    ],
    ids=lambda part: f"{part!r:.12}",
)
def test_a_float_slot_is_clipped_and_scaled(value: object, feature: float) -> None:
    assert features(FloatSlot("s", max_value=8, min_value=0), value) == [feature]


def test_a_float_slot_may_have_a_lower_end_other_than_zero() -> None:
    slot = FloatSlot("s", max_value=30.0, min_value=10.0)
    assert [features(slot, value) for value in (5, 10, 15, 30)] == [[0.0], [0.0], [0.25], [1.0]]


def test_a_float_slot_goes_from_0_to_1_by_default() -> None:
    assert features(FloatSlot("s"), 0.3) == [0.3]


@pytest.mark.parametrize("value", [["a"], [None], "text", {"a": 1}, ("a",)], ids=repr)
def test_a_list_slot_is_one_for_what_has_a_length(value: object) -> None:
    assert features(ListSlot("s"), value) == [1.0]


@pytest.mark.parametrize("value", [None, [], "", {}, 5, True], ids=repr)
def test_a_list_slot_is_zero_for_all_else(value: object) -> None:
    assert features(ListSlot("s"), value) == [0.0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("low", [1.0, 0.0, 0.0]),
        ("HIGH", [0.0, 1.0, 0.0]),
        (3, [0.0, 0.0, 1.0]),
        (None, [0.0, 0.0, 0.0]),
        ("medium", [0.0, 0.0, 0.0]),
        (["low"], [0.0, 0.0, 0.0]),
    ],
    ids=repr,
)
def test_a_categorical_slot_is_one_hot_over_lower_case_text(value: object, expected: list[float]) -> None:
    assert features(CategoricalSlot("s", values=["low", "High", 3]), value) == expected


def test_the_values_of_a_categorical_slot_stand_behind_its_name() -> None:
    slot = CategoricalSlot("s", ["low", "high"], "low")
    assert (slot.values, slot.value) == (["low", "high"], "low")


def test_a_categorical_slot_may_have_a_category_for_no_value(caplog: pytest.LogCaptureFixture) -> None:
    slot = CategoricalSlot("s", ["low", None], "low")
    assert slot.value == "low"
    assert [features(slot, value) for value in (None, "low", "none")] == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    assert not caplog.messages


def test_a_categorical_slot_warns_once_of_an_unknown_value(caplog: pytest.LogCaptureFixture) -> None:
    slot = CategoricalSlot("price", values=["low", "high"])
    with caplog.at_level(logging.WARNING):
        assert [features(slot, "medium") for _ in range(3)] == [[0.0, 0.0]] * 3
    assert caplog.messages == [
        "slot 'price' has the value 'medium', which is none of ['low', 'high']; it has no features."
    ]


def test_a_categorical_slot_does_not_warn_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    slot = CategoricalSlot("price", values=["low", "high"])
    with caplog.at_level(logging.WARNING):
        for number in range(100):
            features(slot.fresh(), f"about {number}")
    assert len(caplog.messages) == 20


def test_a_categorical_slot_without_values_has_no_features() -> None:
    slot = CategoricalSlot("s")
    assert (slot.feature_dimensionality(), slot.has_features(), features(slot, "x")) == (0, False, [])


@pytest.mark.parametrize("text", ["low, medium, high", "low,medium ,high,"])
def test_values_in_one_string_are_split_at_commas(text: str) -> None:
    assert CategoricalSlot("s", values=text).values == ["low", "medium", "high"]


def test_an_unfeaturized_slot_has_no_features() -> None:
    slot = UnfeaturizedSlot("s", "x")
    assert (slot.as_feature(), slot.feature_dimensionality(), slot.has_features()) == ([], 0, False)


@given(value=strategies.json_values())
def test_features_of_any_value_are_finite_and_of_the_right_number(value: object) -> None:
    for slot in strategies.small_domain().slots:
        found = features(slot, value)
        assert len(found) == slot.feature_dimensionality()
        assert all(0.0 <= feature <= 1.0 for feature in found)


def test_a_slot_without_features_of_its_own_says_what_to_do() -> None:
    with pytest.raises(NotImplementedError, match=r"override as_feature.*or use the type unfeaturized"):
        DataSlot("s").as_feature()


# -- values


def test_a_slot_starts_and_resets_to_its_initial_value() -> None:
    slot = TextSlot("s", "fine")
    assert slot.value == "fine"
    slot.value = "bad"
    slot.reset()
    assert slot.value == "fine"


@pytest.mark.parametrize("initial", [[1], {"a": [1]}, {1}], ids=["list", "dict", "set"])
def test_an_initial_value_that_can_be_changed_is_not_shared(initial: Any) -> None:
    prototype = UnfeaturizedSlot("s", initial)
    first, second = prototype.fresh(), prototype.fresh()
    first.value.clear()
    assert second.value == prototype.value == prototype.initial_value == initial != first.value
    first.reset()
    assert first.value == initial


def test_a_fresh_slot_is_of_the_same_kind_with_the_same_options() -> None:
    slot = FloatSlot("s", 2, max_value=8)
    slot.value = 5
    twin = slot.fresh()
    assert (type(twin), twin.name, twin.value, twin.max_value) == (FloatSlot, "s", 2, 8)
    assert slot.value == 5


def test_value_reset_delay_is_accepted_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="value_reset_delay of slot 's' has no effect"):
        assert Slot("s", "x", 3).value == "x"


def test_the_repr_shows_name_and_value() -> None:
    assert repr(TextSlot("s", "x")) == "TextSlot(s: 'x')"


# -- wrong options


@pytest.mark.parametrize(
    ("bounds", "problem"),
    [
        ({"min_value": 1}, r"slot 's': min_value \(1\) must be less than max_value \(1.0\)"),
        ({"min_value": 5, "max_value": 2}, "must be less than"),
        ({"max_value": "8"}, "min_value and max_value are numbers, not 0.0, '8'"),
        ({"min_value": None}, "are numbers, not None"),
        ({"max_value": True}, "are numbers"),
        ({"max_value": float("inf")}, "are numbers, not 0.0, inf"),
        ({"max_value": float("nan")}, "are numbers"),
    ],
)
def test_bounds_of_a_float_slot_are_checked(bounds: dict[str, Any], problem: str) -> None:
    with pytest.raises(DomainError, match=problem):
        FloatSlot("s", **bounds)


def test_a_wrong_option_in_a_domain_names_the_slot_once() -> None:
    with pytest.raises(DomainError, match=r"bot.yml:1: slot 's' of type 'float': min_value and max_value are numbers"):
        Domain.from_yaml("slots: {s: {type: float, max_value: x}}", name="bot.yml")


def test_values_of_a_categorical_slot_are_checked() -> None:
    with pytest.raises(DomainError, match=r"slot 's': values is a list such as \[low, high\], not 5"):
        CategoricalSlot("s", values=5)  # type: ignore[arg-type]


# -- types


@pytest.mark.parametrize(
    ("type_name", "kind"),
    [
        ("text", TextSlot),
        ("bool", BooleanSlot),
        ("float", FloatSlot),
        ("list", ListSlot),
        ("categorical", CategoricalSlot),
        ("unfeaturized", UnfeaturizedSlot),
        ("rasa_core.slots.TextSlot", TextSlot),
    ],
)
def test_types_are_found(type_name: str, kind: type[Slot]) -> None:
    assert Slot.resolve_by_type(type_name) is kind


@pytest.mark.parametrize(
    ("type_name", "problem"),
    [
        ("data", "unknown slot type 'data'"),
        ("txt", "unknown slot type 'txt'. Did you mean 'text'.* Known types: bool, categorical"),
        (None, "unknown slot type None"),
        (
            "no_such_module.MySlot",
            "cannot find the class 'no_such_module.MySlot': there is no module 'no_such_module'; looked in",
        ),
        ("rasa_core.slots.NoSlot", "cannot find the class 'rasa_core.slots.NoSlot'"),
        ("json.JSONDecoder", "'json.JSONDecoder' is not a subclass of rasa_core.slots.Slot"),
        (".slots.TextSlot", "the path '.slots.TextSlot' must be absolute"),
        (".", "must be absolute"),
    ],
)
def test_an_unknown_type_is_a_value_error(type_name: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Slot.resolve_by_type(type_name)


def test_a_class_of_ones_own_works_by_its_dotted_path(own_module: str) -> None:
    domain = Domain.from_yaml(f"slots: {{mood: {{type: {own_module}.MoodSlot, initial_value: good, scale: 0.5}}}}")
    (slot,) = domain.slots
    assert slot.as_feature() == [True, 0.5]
    assert domain.slot_states == ["slot_mood_0", "slot_mood_1"]


def test_a_class_of_ones_own_works_by_its_type_name_once_it_is_defined(own_module: str) -> None:
    __import__(own_module)
    assert Slot.resolve_by_type("own_named").__name__ == "NamedSlot"


@pytest.mark.parametrize("name", ["MoodSlot", "LoudSlot", "NamedSlot"])
def test_a_class_of_ones_own_is_written_down_by_its_dotted_path(own_module: str, name: str) -> None:
    kind = Slot.resolve_by_type(f"{own_module}.{name}")
    assert kind("s").persistence_info()["type"] == f"{own_module}.{name}"


def test_a_class_that_cannot_be_imported_is_written_down_by_its_type_name(own_module: str) -> None:
    class LocalSlot(Slot):
        type_name = "own_local"

    assert LocalSlot("s").persistence_info() == {"type": "own_local", "initial_value": None}


def test_another_class_at_a_dotted_path_is_refused(own_module: str) -> None:
    with pytest.raises(DomainError, match=r"own_slots.NoSlot' is not a subclass of rasa_core.slots.Slot"):
        Slot.resolve_by_type(f"{own_module}.NoSlot")


@pytest.mark.parametrize(
    ("slot", "info"),
    [
        (TextSlot("s", "x"), {"type": "text", "initial_value": "x"}),
        (BooleanSlot("s"), {"type": "bool", "initial_value": None}),
        (
            FloatSlot("s", 1, max_value=8),
            {"type": "float", "initial_value": 1, "max_value": 8, "min_value": 0.0},
        ),
        (ListSlot("s"), {"type": "list", "initial_value": None}),
        (CategoricalSlot("s", values=["A"]), {"type": "categorical", "initial_value": None, "values": ["a"]}),
        (UnfeaturizedSlot("s"), {"type": "unfeaturized", "initial_value": None}),
    ],
    ids=lambda part: getattr(part, "type_name", ""),
)
def test_persistence_info_is_what_stands_in_a_domain(slot: Slot, info: dict[str, Any]) -> None:
    assert slot.persistence_info() == info


@pytest.mark.parametrize(
    ("value", "text"),
    [("rome", "rome"), ("", ""), (3, "3"), (True, "True"), ("n" * 60, "n" * 60)]
    + [(value, None) for value in ("n" * 61, 10**60, -(10**59), 10**5000, ["rome"], {"city": "rome"}, None)],
    ids=lambda value: "huge" if isinstance(value, int) and value > 10**99 else repr(value)[:20],
)
def test_a_text_slot_tells_short_values_from_each_other(value, text) -> None:
    slot = TextSlot("city")
    slot.value = value
    assert slot.feature_text() == text


def test_a_class_that_a_module_does_not_have_is_told_with_the_nearest() -> None:
    with pytest.raises(DomainError, match=r"'rasa_core.slots.TextSlt': .* Did you mean 'TextSlot'"):
        class_from_path("rasa_core.slots.TextSlt", Slot)


@pytest.mark.parametrize("kind", [BooleanSlot, FloatSlot, ListSlot, UnfeaturizedSlot])
def test_of_other_slots_nothing_is_told_but_their_features(kind) -> None:
    slot = kind("x")
    slot.value = 1.0
    assert slot.feature_text() is None


@pytest.mark.parametrize(
    ("kind", "options", "values"),
    [
        (BooleanSlot, {}, {None: [0.0, 1.0], False: [0.0, 0.0], True: [1.0, 0.0]}),
        (FloatSlot, {"max_value": 10}, {None: [0.0, 1.0], 0: [0.0, 0.0], 5: [0.5, 0.0]}),
        (CategoricalSlot, {"values": ["a"]}, {None: [0.0, 1.0], "a": [1.0, 0.0], "b": [0.0, 0.0]}),
    ],
)
def test_a_slot_may_tell_that_it_is_not_set(kind, options, values) -> None:
    slot = kind("s", **options, unset=True)
    for value, features in values.items():
        slot.value = value
        assert slot.as_feature() == features
    assert slot.feature_dimensionality() == 2
    assert slot.persistence_info()["unset"] is True
    plain = kind("s", **options)
    assert (plain.feature_dimensionality(), "unset" in plain.persistence_info()) == (1, False)


def test_unset_is_true_or_false() -> None:
    with pytest.raises(DomainError, match="unset is true or false, not 'yes'"):
        BooleanSlot("s", unset="yes")
