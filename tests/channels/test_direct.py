from __future__ import annotations

from rasa_core.channels.direct import CollectingOutputChannel

BUTTONS = [{"title": "Yes", "payload": "/affirm"}]


def test_messages_are_kept_in_order() -> None:
    channel = CollectingOutputChannel()
    channel.send_text_message("anna", "one")
    channel.send_text_message("bea", "two")

    assert channel.messages == [
        {"recipient_id": "anna", "text": "one"},
        {"recipient_id": "bea", "text": "two"},
    ]


def test_buttons_are_kept_as_data() -> None:
    channel = CollectingOutputChannel()
    channel.send_text_with_buttons("anna", "Sure?", BUTTONS, quick_replies=True)

    assert channel.messages == [{"recipient_id": "anna", "text": "Sure?", "data": BUTTONS}]


def test_an_image_is_kept_as_text() -> None:
    channel = CollectingOutputChannel()
    channel.send_image_url("anna", "http://example.com/a.png")

    assert channel.messages == [{"recipient_id": "anna", "text": "Image: http://example.com/a.png"}]


def test_cards_are_kept_with_their_buttons() -> None:
    channel = CollectingOutputChannel()
    channel.send_custom_message("anna", [{"title": "A", "subtitle": "b", "buttons": BUTTONS}, {"title": "C"}])

    assert channel.messages == [
        {"recipient_id": "anna", "text": "A : b", "data": BUTTONS},
        {"recipient_id": "anna", "text": "C", "data": []},
    ]


def test_the_latest_output_is_the_last_message() -> None:
    channel = CollectingOutputChannel()
    assert channel.latest_output() is None

    channel.send_text_message("anna", "one")
    channel.send_text_message("anna", "two")

    assert channel.latest_output() == {"recipient_id": "anna", "text": "two"}
