from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import BotMessage, Button, Dispatcher, Element
from rasa_core.domain import Domain
from rasa_core.events import SlotSet
from rasa_core.exceptions import EventError
from rasa_core.trackers import DialogueStateTracker

DOMAIN = r"""
intents: [greet]
slots:
  name: {type: text}
  price: {type: float}
actions: [utter_greet]
templates:
  utter_greet: "Hello {name}!"
  utter_paragraphs: "One.\n\nTwo\nlines."
  utter_choose:
    text: "Which, {name}?"
    buttons:
    - {title: "{name}'s", payload: '/choose{"whose": "{name}"}'}
    - {title: "Escaped {{}}", payload: '/choose{{"whose": "{nobody}"}}'}
    - {title: Site, url: "http://example.com/{name}"}
  utter_image: {text: "Look!", image: "http://example.com/{name}.png"}
  utter_cards:
    text: "Cards:"
    elements:
    - {title: "For {name}", subtitle: "a card", buttons: [{title: Yes, payload: /yes}]}
  utter_only_cards: {elements: [{title: "A card"}]}
  utter_attachment: {attachment: "http://example.com/a.pdf"}
  utter_custom: {custom: {template: 5}}
  utter_price: "{price:.2f} for {name!r}, {{literally}} {name:>5}"
  utter_missing: "Hello {nobody}, {{}}"
"""


@pytest.fixture
def domain() -> Domain:
    return Domain.from_yaml(DOMAIN)


@pytest.fixture
def channel() -> CollectingOutputChannel:
    return CollectingOutputChannel()


@pytest.fixture
def dispatcher(domain: Domain, channel: CollectingOutputChannel) -> Dispatcher:
    return Dispatcher("anna", channel, domain)


def texts(channel: CollectingOutputChannel) -> list[str]:
    return [message["text"] for message in channel.messages]


def filled(template: str, **values: Any) -> str:
    domain = Domain([], [], [], {"utter_it": [{"text": template}]})
    message = Dispatcher("anna", CollectingOutputChannel(), domain).retrieve_template("utter_it", values)
    assert message is not None
    return str(message["text"])


# -- messages


def test_a_message_goes_to_the_user(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    dispatcher.utter_message("Hi!")

    assert channel.messages == [{"recipient_id": "anna", "text": "Hi!"}]
    assert dispatcher.latest_bot_messages == [BotMessage("Hi!", None)]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("a\n\nb", ["a", "b"]),
        ("a\n \t\n\n\nb\nc", ["a", "b\nc"]),
        ("\n\na\n\n", ["a"]),
        ("a\r\n\r\nb", ["a\r", "b"]),
        ("a\nb", ["a\nb"]),
        ("", [""]),
        ("\n\n", ["\n\n"]),
    ],
)
def test_blank_lines_separate_messages(
    dispatcher: Dispatcher, channel: CollectingOutputChannel, text: str, messages: list[str]
) -> None:
    dispatcher.utter_message(text)

    assert texts(channel) == dispatcher.send_messages == messages


@pytest.mark.parametrize("text", [5, None, ["hello"]])
def test_what_is_no_text_is_not_said(dispatcher: Dispatcher, channel: CollectingOutputChannel, text: Any) -> None:
    with pytest.raises(EventError, match="what the bot says is text, not "):
        dispatcher.utter_message(text)
    assert (channel.messages, dispatcher.latest_bot_messages) == ([], [])


def test_what_is_said_in_one_call_is_one_bot_message(dispatcher: Dispatcher) -> None:
    dispatcher.utter_template("utter_paragraphs")

    assert dispatcher.latest_bot_messages == [BotMessage("One.\n\nTwo\nlines.")]


def test_buttons_go_with_the_text(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    buttons = [Button({"title": "Yes", "payload": "/affirm"})]
    dispatcher.utter_button_message("Sure?", buttons, quick=True)

    assert channel.messages == [{"recipient_id": "anna", "text": "Sure?", "data": buttons}]
    assert dispatcher.latest_bot_messages == [BotMessage("Sure?", {"buttons": buttons})]


def test_no_buttons_may_be_none(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    dispatcher.utter_button_message("Sure?", None)
    dispatcher.utter_button_template("utter_choose", None)

    assert [len(message["data"]) for message in channel.messages] == [0, 3]


def test_an_attachment_is_sent_as_an_image(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    dispatcher.utter_attachment("http://example.com/a.png")

    assert texts(channel) == ["Image: http://example.com/a.png"]
    assert dispatcher.latest_bot_messages == [BotMessage(None, {"attachment": "http://example.com/a.png"})]


def test_cards_are_sent(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    cards = [
        Element(title="A", subtitle="first"),
        Element(title="B", buttons=[{"title": "Yes", "payload": "/y"}]),
    ]
    dispatcher.utter_custom_message(*cards)

    assert channel.messages == [
        {"recipient_id": "anna", "text": "A : first", "data": []},
        {"recipient_id": "anna", "text": "B", "data": [{"title": "Yes", "payload": "/y"}]},
    ]
    assert dispatcher.latest_bot_messages == [BotMessage(None, {"elements": cards})]


# -- templates


def test_a_template_is_filled_from_a_mapping(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    dispatcher.utter_template("utter_greet", {"name": "Anna"})

    assert texts(channel) == ["Hello Anna!"]


def test_a_template_is_filled_from_arguments_before_slots(
    dispatcher: Dispatcher, channel: CollectingOutputChannel
) -> None:
    dispatcher.utter_template("utter_greet", {"name": "Anna"}, name="Bea")

    assert texts(channel) == ["Hello Bea!"]


@pytest.mark.parametrize("by_name", [False, True])
def test_a_template_is_filled_from_a_tracker(
    dispatcher: Dispatcher, channel: CollectingOutputChannel, domain: Domain, by_name: bool
) -> None:
    tracker = DialogueStateTracker("anna", domain.slots)
    tracker.update(SlotSet("name", "Anna"))

    if by_name:
        dispatcher.utter_template("utter_greet", tracker=tracker)
    else:
        dispatcher.utter_template("utter_greet", tracker)

    assert texts(channel) == ["Hello Anna!"]


def test_an_unknown_template_is_said_to_be_undefined(
    dispatcher: Dispatcher, channel: CollectingOutputChannel, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher.utter_template("utter_great")

    assert texts(channel) == ["Undefined utter template <utter_great>."]
    assert "no template 'utter_great'. Did you mean 'utter_greet'" in caplog.text


def test_buttons_of_a_template_are_filled(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    dispatcher.utter_template("utter_choose", {"name": 'Anna "A"'})

    (message,) = channel.messages
    assert message["text"] == 'Which, Anna "A"?'
    assert message["data"] == [
        {"title": 'Anna "A"\'s', "payload": '/choose{"whose": "Anna \\"A\\""}'},
        {"title": "Escaped {}", "payload": '/choose{{"whose": "{nobody}"}}'},
        {"title": "Site", "url": 'http://example.com/Anna "A"'},
    ]


def test_filling_leaves_the_domain_as_it_is(dispatcher: Dispatcher, domain: Domain) -> None:
    dispatcher.utter_button_template("utter_choose", [{"title": "More", "payload": "/more"}], name="Anna")

    assert domain.templates == Domain.from_yaml(DOMAIN).templates


def test_buttons_are_added_to_those_of_a_template(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    dispatcher.utter_button_template("utter_choose", [{"title": "More", "payload": "/more"}], {"name": "A"})

    assert [button["title"] for button in channel.messages[0]["data"]] == [
        "A's",
        "Escaped {}",
        "Site",
        "More",
    ]


def test_buttons_are_added_to_a_template_without_any(dispatcher: Dispatcher, channel: CollectingOutputChannel) -> None:
    dispatcher.utter_button_template("utter_greet", [{"title": "Hi", "payload": "/greet"}], name="Anna")

    expected = {"recipient_id": "anna", "text": "Hello Anna!", "data": [{"title": "Hi", "payload": "/greet"}]}
    assert channel.messages == [expected]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("utter_image", ["Look!", "Image: http://example.com/Anna.png"]),
        ("utter_cards", ["Cards:", "For Anna : a card"]),
        ("utter_only_cards", ["A card"]),
        ("utter_attachment", ["Image: http://example.com/a.pdf"]),
    ],
)
def test_all_parts_of_a_template_are_said(
    dispatcher: Dispatcher, channel: CollectingOutputChannel, template: str, expected: list[str]
) -> None:
    dispatcher.utter_template(template, {"name": "Anna"})

    assert texts(channel) == expected


def test_a_template_with_nothing_to_say_is_logged(
    dispatcher: Dispatcher, channel: CollectingOutputChannel, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher.utter_template("utter_custom")

    assert channel.messages == []
    assert "nothing is said" in caplog.text


def test_templates_are_retrieved_without_saying_them(dispatcher: Dispatcher) -> None:
    assert dispatcher.retrieve_template("utter_greet", name="Anna") == {"text": "Hello Anna!"}
    assert dispatcher.retrieve_template("utter_nothing") == {"text": "Undefined utter template <utter_nothing>."}
    assert dispatcher.latest_bot_messages == []


# -- filling


def test_formats_and_conversions_are_those_of_str_format(dispatcher: Dispatcher) -> None:
    message = dispatcher.retrieve_template("utter_price", {"name": "Bo", "price": 3})

    assert message == {"text": "3.00 for 'Bo', {literally}    Bo"}


@pytest.mark.parametrize("value", [None, 0, False, "", "{name}", ["x"]])
def test_any_value_is_filled_as_str_format_does(value: object) -> None:
    assert filled("<{name}>", name=value) == f"<{value}>"


def test_a_missing_value_leaves_the_whole_text_unfilled(
    dispatcher: Dispatcher, channel: CollectingOutputChannel, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher.utter_template("utter_missing", {"name": "Anna"})

    assert texts(channel) == ["Hello {nobody}, {{}}"]
    assert "template 'utter_missing' is not filled: there is no value for 'nobody'" in caplog.text


@pytest.mark.parametrize(
    "template",
    [
        "{name.__class__}",
        "{name[__class__]}",
        "{name[0].__class__}",
        "{name[9]}",
        "{name[0}",
        "{found[2]}",
        "{found[0][price]}",
        "{found[0][name][first]}",
        "{price[0]}",
        "{0.__class__}",
        "{name:{price}}",
        "{name!x}",
        "{name:d}",
        "{price:c}",
        "{name:>99999}",
        "{price:.2000000000f}",
        "{",
        "}",
        "{name",
        "{}",
        "{0}",
    ],
)
def test_what_is_no_plain_name_is_refused(template: str, caplog: pytest.LogCaptureFixture) -> None:
    assert filled(template, name="Anna", price=10**9, found=[{"name": "Da Mario"}, []]) == template
    assert "template 'utter_it' is not filled" in caplog.text


@pytest.mark.parametrize(
    ("template", "text"),
    [("{found[0][name]}!", "Da Mario!"), ("{found[1]}", "5"), ("{one[price]:>3}", "  7"), ("{name[0]}.", "A.")],
)
def test_what_is_inside_of_a_value_is_filled_in(template: str, text: str) -> None:
    assert filled(template, found=[{"name": "Da Mario"}, 5], one={"price": 7}, name="Anna") == text


@given(st.text(alphabet="{}ab:!.[]0 "), st.dictionaries(st.sampled_from(["a", "b", "ab"]), st.text()))
def test_plain_templates_are_filled_as_by_str_format(template: str, values: dict[str, str]) -> None:
    try:
        expected = template.format(**values)
    except (KeyError, ValueError, IndexError, AttributeError, TypeError):
        expected = template
    if "." not in template and "[" not in template:
        assert filled(template, **values) == expected
    else:
        assert filled(template, **values) in (expected, template)


@given(st.text())
def test_payloads_stay_json_whatever_the_value(value: str) -> None:
    domain = Domain([], [], [], {"utter_it": [{"text": "", "buttons": [{"title": "T", "payload": '/a{"b": "{v}"}'}]}]})
    message = Dispatcher("anna", CollectingOutputChannel(), domain).retrieve_template("utter_it", v=value)

    assert message is not None
    assert json.loads(message["buttons"][0]["payload"][2:]) == {"b": value}


def test_a_payload_of_plain_text_takes_the_value_as_it_is() -> None:
    buttons = [{"title": "T", "payload": 'I am "{v}"'}]
    dispatcher = Dispatcher("a", CollectingOutputChannel(), Domain([], [], [], {"utter_it": [{"buttons": buttons}]}))

    assert dispatcher.retrieve_template("utter_it", v='x"y') == {"buttons": [{"title": "T", "payload": 'I am "x"y"'}]}
