"""Responses of Rasa 2 and 3: the choice of a variant, its slots, and the answer of the REST channel."""

from __future__ import annotations

from typing import Any

import pytest

from rasa_core import Domain
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.responses import ResponseDispatcher

Said = list[dict[str, Any]]


def say(variants: Any, slots: dict[str, Any] | None = None, **values: Any) -> tuple[Said, ResponseDispatcher]:
    domain = Domain([], [], [], {"utter_x": variants}, ["utter_x"])
    channel = RestOutputChannel()
    dispatcher = ResponseDispatcher("anna", channel, domain)
    dispatcher.utter_template("utter_x", slots or {}, **values)
    for message in channel.messages:
        assert message.pop("recipient_id") == "anna"
    return channel.messages, dispatcher


def when(value: Any, name: str = "level") -> list[dict[str, Any]]:
    return [{"type": "slot", "name": name, "value": value}]


LEVELS = [{"text": "g", "condition": when("gold")}, {"text": "5", "condition": when(5)}, {"text": "none"}]


@pytest.mark.parametrize(
    ("value", "text"),
    [("gold", "g"), ("GOLD", "g"), ("goldx", "none"), (5, "5"), (5.0, "5"), ("5", "none"), (None, "none")],
)
def test_a_condition_compares_texts_without_case_and_other_values_as_they_are(value: Any, text: str) -> None:
    assert say(LEVELS, {"level": value})[0] == [{"text": text}]


def test_all_conditions_of_a_variant_have_to_hold() -> None:
    both = [{"text": "both", "condition": [*when("gold"), *when(True, "flag")]}, {"text": "else"}]
    assert say(both, {"level": "gold", "flag": False})[0] == [{"text": "else"}]
    assert say(both, {"level": "gold", "flag": True})[0] == [{"text": "both"}]


def test_the_channel_counts_before_the_condition_and_both_before_either() -> None:
    kinds = [
        {"text": "default"},
        {"text": "condition", "condition": when("gold")},
        {"text": "channel", "channel": "collector"},
        {"text": "both", "channel": "collector", "condition": when("silver")},
        {"text": "elsewhere", "channel": "kiosk", "condition": when("gold")},
    ]
    assert say(kinds, {"level": "gold"})[0] == [{"text": "channel"}]
    assert say(kinds, {"level": "silver"})[0] == [{"text": "both"}]
    assert say(kinds[:2], {"level": "gold"})[0] == [{"text": "condition"}]


def test_where_no_variant_fits_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    messages, dispatcher = say([{"text": "g", "condition": when("gold")}])
    assert (messages, dispatcher.latest_bot_messages) == ([], [])
    assert "no variant of the response 'utter_x' fits now" in caplog.text


def test_the_object_of_a_payload_is_no_name_that_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    buttons = [{"title": "{city}", "payload": '/inform{"city": "Bonn"}'}]
    messages, _ = say([{"text": "x", "buttons": buttons}], {"city": "Bonn"})
    assert messages[0]["buttons"] == [{"title": "Bonn", "payload": '/inform{"city": "Bonn"}'}]
    assert caplog.text == ""


def test_an_unknown_response_is_not_said(caplog: pytest.LogCaptureFixture) -> None:
    dispatcher = ResponseDispatcher("anna", RestOutputChannel(), Domain([], [], [], {"utter_x": [{"text": "x"}]}))
    dispatcher.utter_template("utter_y")
    assert dispatcher.latest_bot_messages == []
    assert "Did you mean 'utter_x'?" in caplog.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to {city}", "to Bonn"),
        ("{n} {nothing} {many}", "5 None [1, 2]"),
        ("{{city}}", "{city}"),
        ("{{city}} {city}", "{{city}} {city}"),
        ("{{{city}}}", "{Bonn}"),
        ('/go{{"city": "{city}"}}', '/go{"city": "Bonn"}'),
        ('/go{"city": "{city}"}', '/go{"city": "{city}"}'),
        ("{city} {unknown}", "{city} {unknown}"),
        ("{n:.2f}", "{n:.2f}"),
        ("{city.upper}", "{city.upper}"),
        ("open {city and {city}", "open {city and Bonn"),
    ],
)
def test_variables_are_filled_all_or_none(text: str, shown: str) -> None:
    slots = {"city": "Bonn", "n": 5, "nothing": None, "many": [1, 2]}
    assert say([{"text": text}], slots)[0] == [{"text": shown}]


def test_values_given_by_name_win_over_slots() -> None:
    assert say([{"text": "{city}"}], {"city": "Bonn"}, city="Rome")[0] == [{"text": "Rome"}]


def test_a_message_is_sent_in_parts_and_logged_as_one() -> None:
    whole = {
        "text": "all",
        "image": "a.png",
        "attachment": {"type": "file"},
        "custom": {"to": "{city}"},
        "buttons": [{"title": "{city}", "payload": '/go{{"city": "{city}"}}'}],
        "id": "7",
    }
    messages, dispatcher = say([whole], {"city": "Bonn"})
    buttons = [{"title": "Bonn", "payload": '/go{"city": "Bonn"}'}]
    assert messages == [
        {"text": "all", "buttons": buttons},
        {"custom": {"to": "Bonn"}},
        {"image": "a.png"},
        {"attachment": {"type": "file"}},
    ]
    (logged,) = dispatcher.latest_bot_messages
    assert logged.data == {
        "buttons": buttons,
        "attachment": {"type": "file"},
        "image": "a.png",
        "custom": {"to": "Bonn"},
    }
    assert logged.metadata == {"id": "7", "utter_action": "utter_x"}


def test_quick_replies_take_the_place_of_buttons() -> None:
    both = [{"text": "q", "quick_replies": [{"title": "Q"}], "buttons": [{"title": "B"}]}]
    assert say(both)[0] == [{"text": "q", "buttons": [{"title": "Q"}]}]


def test_an_image_alone_is_also_the_attachment_in_the_log() -> None:
    messages, dispatcher = say([{"text": "", "image": "a.png"}])
    assert messages == [{"image": "a.png"}]
    assert dispatcher.latest_bot_messages[0].data == {"image": "a.png", "attachment": "a.png"}


def test_cards_become_text_with_buttons() -> None:
    card = {"title": "First {city}", "subtitle": "Sub", "buttons": [{"title": "Go", "url": "u"}]}
    assert say([{"text": "{city}", "elements": [card]}], {"city": "Bonn"})[0] == [
        {"text": "Bonn"},
        {"text": "First {city} : Sub", "buttons": [{"title": "Go", "url": "u"}]},  # Rasa fills no cards.
    ]


def test_a_card_without_a_subtitle_or_buttons_has_empty_ones_as_in_rasa() -> None:
    assert say([{"text": "", "elements": [{"title": "First"}, {"subtitle": "Sub"}]}])[0] == [
        {"text": "First : ", "buttons": []},
        {"text": " : Sub", "buttons": []},
    ]


def test_buttons_without_a_text_have_none() -> None:
    content = {"custom": {"k": 1}, "buttons": [{"title": "Go", "payload": "/go"}]}
    assert say([content])[0] == [{"buttons": content["buttons"]}, {"custom": {"k": 1}}]


def test_empty_lines_part_a_text_into_messages() -> None:
    assert say([{"text": "a\nb\n\nc\n\n\nd\n"}])[0] == [{"text": "a\nb"}, {"text": "c"}, {"text": "\nd"}]


def test_an_empty_text_is_logged_but_not_sent() -> None:
    messages, dispatcher = say([{"text": ""}])
    assert messages == []
    assert [message.text for message in dispatcher.latest_bot_messages] == [""]
