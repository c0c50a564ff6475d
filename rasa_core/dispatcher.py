"""What the bot says: templates with their variables filled in, buttons, images and cards.

A dispatcher belongs to one turn of one conversation. It sends what actions say to an output channel at once,
and keeps it in `Dispatcher.latest_bot_messages` for the log.
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
# What may be a name in a payload; braces around anything with quotes, colons or spaces in front are JSON.
_PLACEHOLDER = re.compile(r"\{([^{}\"':\[\].\s][^{}\"':\[\].]*)\}")
_WIDE = re.compile(r"\d{5}")
_PLACE = re.compile(r"\[([^\[\]]+)\]")


class Responses(Protocol):
    """What a dispatcher takes texts from: a `Domain`."""

    templates: Any

    def random_template_for(  # noqa: D102
        self, utter_action: str, among: Sequence[Content] | None = None
    ) -> Content | None: ...


class HasSlots(Protocol):
    """What has values for the variables of a text: a `DialogueStateTracker`."""

    def current_slot_values(self) -> dict[str, Any]: ...  # noqa: D102


Values = Mapping[str, Any] | HasSlots | None
FillText = Callable[[str, str], str]
"""Fills a text that stands under a key."""


class Button(Content):
    """Something to press: ``title`` is shown, ``payload`` is what the user says by pressing it."""


class Element(Content):
    """A card: ``title``, ``subtitle``, ``item_url``, ``image_url`` and ``buttons``."""


@dataclass(frozen=True, slots=True)
class BotMessage:
    """One thing that the bot said; ``data`` holds ``buttons``, ``elements``, ``attachment``; ``metadata`` the rest."""

    text: str | None
    data: Content | None = None
    metadata: Content | None = None


class Dispatcher:
    """Sends what actions say to one user.

    Parameters
    ----------
    sender_id
        Identifies the conversation.
    output_channel
        Where messages go.
    domain
        Holds the templates.

    Attributes
    ----------
    latest_bot_messages : list of BotMessage
        What was said, one entry for each call.
    send_messages : list of str
        The texts that went out, one entry for each message.
    """

    def __init__(self, sender_id: str, output_channel: OutputChannel, domain: Responses) -> None:
        self.sender_id = sender_id
        self.output_channel = output_channel
        self.domain = domain
        self.latest_bot_messages: list[BotMessage] = []
        self.send_messages: list[str] = []

    def utter_message(self, text: str) -> None:
        """Say `text`; each part between blank lines becomes a message."""
        if not isinstance(text, str):
            raise EventError(f"what the bot says is text, not {type(text).__name__}.")
        parts = [part for part in _BLANK_LINES.split(text) if part.strip()]
        # A text of nothing but blank lines is said as it is, rather than not at all.
        for part in parts or [text]:
            self.output_channel.send_text_message(self.sender_id, part)
            self.send_messages.append(part)
        self.latest_bot_messages.append(BotMessage(text))

    def utter_button_message(self, text: str, buttons: Iterable[Content] | None, **kwargs: Any) -> None:
        """Say `text` with `buttons`, of which None is none; `kwargs` go to the output channel."""
        # Made JSON before it is sent: what the user saw and what the log says are the same.
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
        """Tell the output channel that an action failed; this is not said to the user."""
        self.output_channel.report_failure(self.sender_id, action_name, problem)

    def utter_response(self, message: Content) -> None:
        """Say a template that is already filled: text and buttons, then cards, then the image."""
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
        """Say one of the texts of a template.

        Parameters
        ----------
        template
            Name of the template; if there is none of that name, the bot says so.
        filled_slots
            Values for ``{name}`` in the texts, or the tracker whose slots have them.
        kwargs
            More such values; they win over slots.
        """
        message = self.retrieve_template(template, filled_slots, **kwargs)
        if message is not None:
            self.utter_response(message)

    def utter_button_template(
        self, template: str, buttons: Iterable[Content] | None, filled_slots: Values = None, **kwargs: Any
    ) -> None:
        """Say one of the texts of a template with its own buttons and then `buttons`."""
        message = self.retrieve_template(template, filled_slots, **kwargs) or {}
        self.utter_response({**message, "buttons": [*(message.get("buttons") or []), *(buttons or ())]})

    def retrieve_template(self, template_name: str, filled_slots: Values = None, **kwargs: Any) -> Content | None:
        """Return one of the variants of a template, filled; if there is no such template, a text that says so."""
        chosen = self.domain.random_template_for(template_name)
        if chosen is None:
            hint = did_you_mean(template_name, self.domain.templates)
            logger.error("the domain has no template %r.%s", template_name, hint)
            # The words of 0.9: the turn goes on, and somebody notices.
            return {"text": f"Undefined utter template <{template_name}>."}
        variables = variables_of(filled_slots, kwargs)

        def fill(text: str, key: str) -> str:
            return (_fill_payload if key == "payload" else _fill_text)(text, variables, template_name)

        return {key: filled(value, fill, key) for key, value in chosen.items()}


def sayable(text: object, content: T) -> T:
    """Return what is to be said beside `text` as JSON, so that channels can send it and the log can hold it.

    Raises
    ------
    EventError
        If `text` is no text, or something in `content` stands for nothing in JSON.
    """
    if text is not None and not isinstance(text, str):
        raise EventError(f"what the bot says is text, not {type(text).__name__}.")
    try:
        said: T = plain(content, EVENT_DEPTH - 2)
    except (ValueError, RecursionError) as error:
        raise EventError(f"what the bot says cannot be stored as JSON: {error}.") from error
    return said


def variables_of(source: Values, values: Content) -> Content:
    """Join the values of slots and those given by name; a tracker may also be given as ``tracker=``."""
    if source is None and hasattr(values.get("tracker"), "current_slot_values"):
        source = values["tracker"]
    if source is None:
        return values
    slots = source.current_slot_values() if hasattr(source, "current_slot_values") else source
    return {**slots, **values}


def filled(value: Any, fill: FillText, key: str) -> Any:
    """Return what stands under `key` of a template, with all texts in it filled."""
    if isinstance(value, str):
        return fill(value, key)
    if isinstance(value, Mapping):
        return {name: filled(inner, fill, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, fill, key) for inner in value]
    return value


def _fill_text(text: str, variables: Content, template: str) -> str:
    """Fill ``{name}`` as `str.format` does, though without ``{name.attribute}``.

    Text in which anything cannot be filled is returned as it is.
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
        # Attributes could read anything of the objects in slots, which texts come from users for.
        name, *places = _PLACE.split(field) if "[" in field else (field,)
        if "." in name or any(places[1::2]) or "{" in (spec or ""):
            raise ValueError(f"{{{field}}} is not the plain name of a slot")
        spec = spec or ""
        if _WIDE.search(spec):  # It would fill the memory, with a text that nobody can say.
            raise ValueError(f"{{{field}:{spec[:20]}}} is wider than any message")
        value = formatter.convert_field(_inside(variables[name], places[::2]), conversion)
        yield format(value, spec)


def _inside(value: Any, places: Iterable[str]) -> Any:
    """Return what stands at places of a value, such as ``[0][name]``, each of a list, a text or an object."""
    for place in places:
        if isinstance(value, dict):
            value = value[place]
        elif isinstance(value, list | tuple | str) and place.isdecimal() and int(place) < len(value):
            value = value[int(place)]
        else:
            raise KeyError(f"[{place}]")
    return value


def _fill_payload(payload: str, variables: Content, template: str) -> str:
    """Fill ``{name}`` where `name` has a value, and leave all else as it is: payloads contain JSON.

    In a payload with an intent of its own (``/inform{"city": "{city}"}``), text is escaped as JSON needs it.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in variables:
            return match[0]
        value = str(variables[match[1]])
        return json.dumps(value, ensure_ascii=False)[1:-1] if payload.startswith("/") else value

    return _PLACEHOLDER.sub(value_of, payload)
