"""The dispatcher sends the bot's messages: templates with their variables filled in, buttons, images and cards.

A dispatcher belongs to one turn of one conversation. It sends each message of an action to an output channel at once,
and keeps the message in `Dispatcher.latest_bot_messages` until it is logged.
"""

from __future__ import annotations

import json
import logging
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rasa_core.channels.channel import OutputChannel
from rasa_core.events.base import EVENT_DEPTH
from rasa_core.exceptions import EventError, did_you_mean
from rasa_core.support.strict_json import plain

logger = logging.getLogger(__name__)

T = TypeVar("T")
Content = dict[str, Any]

_SAYABLE = ("text", "buttons", "elements", "image", "attachment")
_BLANK_LINES = re.compile(r"\n(?:[ \t\r]*\n)+")
# A variable in a payload, such as {city}. Braces around quotes, colons or a leading space belong to a JSON object.
_PLACEHOLDER = re.compile(r"\{([^{}\"':\[\].\s][^{}\"':\[\].]*)\}")
_WIDE = re.compile(r"\d{5}")
_PLACE = re.compile(r"\[([^\[\]]+)\]")


class Responses(Protocol):
    """The part of a `Domain` with the templates, which a dispatcher uses."""

    templates: Any

    def random_template_for(  # noqa: D102
        self, utter_action: str, among: Sequence[Content] | None = None
    ) -> Content | None: ...


class HasSlotValues(Protocol):
    """The method of a `DialogueStateTracker` that a dispatcher uses to get the values for variables."""

    def current_slot_values(self) -> dict[str, Any]: ...  # noqa: D102


Values = Mapping[str, Any] | HasSlotValues | None
FillText = Callable[[str, str], str]
"""Takes a text of a template and its key, and returns the text with its variables filled in."""


class Button(Content):
    """A button: its ``title`` is shown, and its ``payload`` is the user's message when it is pressed."""


class Element(Content):
    """A card: ``title``, ``subtitle``, ``item_url``, ``image_url`` and ``buttons``."""


@dataclass(frozen=True, slots=True)
class BotMessage:
    """A message of the bot; ``data`` holds ``buttons``, ``elements``, ``attachment``; ``metadata`` all other keys."""

    text: str | None
    data: Content | None = None
    metadata: Content | None = None


class Dispatcher:
    """Sends the messages of actions to one user.

    Parameters
    ----------
    sender_id
        Identifies the conversation.
    output_channel
        The channel that messages are sent to.
    domain
        The domain with the templates.

    Attributes
    ----------
    latest_bot_messages : list of BotMessage
        The messages that are not logged yet, one entry for each call.
    send_messages : list of str
        The texts that were sent, one entry for each message.
    """

    def __init__(self, sender_id: str, output_channel: OutputChannel, domain: Responses) -> None:
        self.sender_id = sender_id
        self.output_channel = output_channel
        self.domain = domain
        self.latest_bot_messages: list[BotMessage] = []
        self.send_messages: list[str] = []

    def utter_message(self, text: str) -> None:
        """Send `text`; blank lines split it into several messages."""
        if not isinstance(text, str):
            raise EventError(f"what the bot says is text, not {type(text).__name__}.")
        parts = [part for part in _BLANK_LINES.split(text) if part.strip()]
        # A text of blank lines alone is sent unchanged; otherwise nothing would be sent.
        for part in parts or [text]:
            self.output_channel.send_text_message(self.sender_id, part)
            self.send_messages.append(part)
        self.latest_bot_messages.append(BotMessage(text))

    def utter_button_message(self, text: str, buttons: Iterable[Content] | None, **kwargs: Any) -> None:
        """Send `text` with `buttons` (None for no buttons); `kwargs` are passed to the output channel."""
        # The buttons are converted to JSON before they are sent, so that the log holds exactly what the user saw.
        shown = sayable(text, list(buttons or ()))
        self.output_channel.send_text_with_buttons(self.sender_id, text, shown, **kwargs)
        self.send_messages.append(text)
        self.latest_bot_messages.append(BotMessage(text, {"buttons": shown}))

    def utter_attachment(self, attachment: str) -> None:
        """Send the image at the address `attachment`."""
        attachment = sayable(None, attachment)
        self.output_channel.send_image_url(self.sender_id, attachment)
        self.latest_bot_messages.append(BotMessage(None, {"attachment": attachment}))

    def utter_custom_message(self, *elements: Content) -> None:
        """Send cards."""
        shown = sayable(None, list(elements))
        self.output_channel.send_custom_message(self.sender_id, shown)
        self.latest_bot_messages.append(BotMessage(None, {"elements": shown}))

    def report_failure(self, action_name: str, problem: str) -> None:
        """Tell the output channel that an action failed; the user gets no message."""
        self.output_channel.report_failure(self.sender_id, action_name, problem)

    def utter_response(self, message: Content) -> None:
        """Send a filled template: first its text and buttons, then its cards, then its image."""
        if not any(message.get(key) is not None for key in _SAYABLE):
            logger.warning("nothing is said: a message has none of %s, but %s.", _SAYABLE, sorted(message))
        if message.get("buttons"):
            self.utter_button_message(message.get("text") or "", message["buttons"])
        elif message.get("text") is not None:
            self.utter_message(message["text"])
        if message.get("elements"):
            self.utter_custom_message(*message["elements"])
        for key in ("image", "attachment"):
            if message.get(key):
                self.utter_attachment(message[key])

    def utter_template(self, template: str, filled_slots: Values = None, **kwargs: Any) -> None:
        """Send one of the variants of a template.

        Parameters
        ----------
        template
            Name of the template. If the domain does not have it, the bot sends a message that says so.
        filled_slots
            Values for variables such as ``{name}``, or the tracker whose slots give the values.
        kwargs
            Further values for variables; they go before the values of slots.
        """
        message = self.retrieve_template(template, filled_slots, **kwargs)
        if message is not None:
            self.utter_response(message)

    def utter_button_template(
        self, template: str, buttons: Iterable[Content] | None, filled_slots: Values = None, **kwargs: Any
    ) -> None:
        """Send one of the variants of a template; `buttons` are added after the buttons of the variant."""
        message = self.retrieve_template(template, filled_slots, **kwargs) or {}
        self.utter_response({**message, "buttons": [*(message.get("buttons") or []), *(buttons or ())]})

    def retrieve_template(self, template_name: str, filled_slots: Values = None, **kwargs: Any) -> Content | None:
        """Return a filled variant of a template; if the domain does not have the template, a text that says so."""
        chosen = self.domain.random_template_for(template_name)
        if chosen is None:
            hint = did_you_mean(template_name, self.domain.templates)
            logger.error("the domain has no template %r.%s", template_name, hint)
            # The message of 0.9. The turn goes on, and whoever tests the bot notices.
            return {"text": f"Undefined utter template <{template_name}>."}
        variables = variables_of(filled_slots, kwargs)

        def fill(text: str, key: str) -> str:
            return (_fill_payload if key == "payload" else _fill_text)(text, variables, template_name)

        return {key: filled(value, fill, key) for key, value in chosen.items()}


def sayable(text: object, content: T) -> T:
    """Return `content`, which is sent beside `text`, as plain JSON data that channels can send and the log can hold.

    Raises
    ------
    EventError
        If `text` is neither a string nor None, or something in `content` cannot be written as JSON.
    """
    if text is not None and not isinstance(text, str):
        raise EventError(f"what the bot says is text, not {type(text).__name__}.")
    try:
        said: T = plain(content, EVENT_DEPTH - 2)
    except (ValueError, RecursionError) as error:
        raise EventError(f"what the bot says cannot be stored as JSON: {error}.") from error
    return said


def variables_of(source: Values, values: Content) -> Content:
    """Return the values for variables: the slots, overridden by `values`, in which ``tracker`` may give the slots."""
    if source is None and hasattr(values.get("tracker"), "current_slot_values"):
        source = values["tracker"]
    if source is None:
        return values
    slots = source.current_slot_values() if hasattr(source, "current_slot_values") else source
    return {**slots, **values}


def filled(value: Any, fill: FillText, key: str) -> Any:
    """Return the `value` under `key` of a template, with the variables in all its texts filled in."""
    if isinstance(value, str):
        return fill(value, key)
    if isinstance(value, Mapping):
        return {name: filled(inner, fill, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, fill, key) for inner in value]
    return value


def _fill_text(text: str, variables: Content, template: str) -> str:
    """Return `text` with ``{name}`` filled in as `str.format` does, but without ``{name.attribute}``.

    If any variable cannot be filled, the text is returned unchanged.
    """
    if "{" not in text and "}" not in text:
        return text
    try:
        return "".join(_fill_fields(text, variables))
    except KeyError as error:
        logger.warning("template %r is not filled: there is no value for %s.", template, error)
    except (ValueError, TypeError, OverflowError) as error:
        logger.warning("template %r is not filled: %s.", template, error)
    return text


def _fill_fields(text: str, variables: Content) -> Iterable[str]:
    formatter = string.Formatter()
    for literal, field, spec, conversion in formatter.parse(text):
        yield literal
        if field is None:
            continue
        # Attributes are refused: a template could read private data of any object that is in a slot.
        name, *places = _PLACE.split(field) if "[" in field else (field,)
        if "." in name or any(places[1::2]) or "{" in (spec or ""):
            raise ValueError(f"{{{field}}} is not the plain name of a slot")
        spec = spec or ""
        if _WIDE.search(spec):  # A width of five digits or more could make a text that fills the memory.
            raise ValueError(f"{{{field}:{spec[:20]}}} is wider than any message")
        value = formatter.convert_field(_inside(variables[name], places[::2]), conversion)
        yield format(value, spec)


def _inside(value: Any, places: Iterable[str]) -> Any:
    """Return the part of a value that indices such as ``[0][name]`` lead to, in lists, texts and objects."""
    for place in places:
        if isinstance(value, dict):
            value = value[place]
        elif isinstance(value, list | tuple | str) and place.isdecimal() and int(place) < len(value):
            value = value[int(place)]
        else:
            raise KeyError(f"[{place}]")
    return value


def _fill_payload(payload: str, variables: Content, template: str) -> str:
    """Return `payload` with ``{name}`` filled in where `name` has a value; other braces are JSON and stay.

    In a payload that names an intent (``/inform{"city": "{city}"}``), the values are escaped for JSON.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in variables:
            return match[0]
        value = str(variables[match[1]])
        return json.dumps(value, ensure_ascii=False)[1:-1] if payload.startswith("/") else value

    return _PLACEHOLDER.sub(value_of, payload)
