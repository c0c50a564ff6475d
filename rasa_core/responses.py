"""What a bot of Rasa 2 or 3 says: variants by condition and channel, and messages with more than text.

A response is a list of variants. Which of them may be said depends on the slots and on the channel. Variants for this
channel go before variants for every channel, and of these, variants with a condition before variants without one. Among
equals chance decides, in an order that is the same in every process.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rasa_core.channels.channel import OutputChannel
from rasa_core.dispatcher import BotMessage, Content, Dispatcher, Responses, Values, filled, sayable, variables_of
from rasa_core.exceptions import DomainError, did_you_mean

logger = logging.getLogger(__name__)

_DATA_KEYS = ("elements", "quick_replies", "buttons", "attachment", "image", "custom")
_FILLED_KEYS = ("text", "quick_replies", "buttons", "attachment", "image", "custom")
_DOUBLED = re.compile(r"(?<!\{)\{\{[^\n{}]+\}\}(?!\})")
_OBJECT = re.compile(r"\{[^{}]*[:!][^{}]*\}")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^\n{}]+?)\}")


class WordsResponses(Protocol):
    """What words responses: a `rasa_core.actions.nlg.NlgServer`, which tells what it returns."""

    def words(  # noqa: D102
        self, response: str, variant: object, values: Mapping[str, Any], tracker: Any, channel: str
    ) -> Content | None: ...


class ResponseDispatcher(Dispatcher):
    """Says things as Rasa 3 says them; each response is one `BotMessage`, of however many messages it consists.

    Parameters
    ----------
    nlg
        Words responses, if there is such a server.
    """

    def __init__(
        self, sender_id: str, output_channel: OutputChannel, domain: Responses, nlg: WordsResponses | None = None
    ) -> None:
        super().__init__(sender_id, output_channel, domain)
        self.nlg = nlg
        self._held: list[Content] | None = None

    @contextmanager
    def holding(self) -> Iterator[list[Content]]:
        """Send what is said within this when it ends, as far as it is still in the list; nothing if it raises."""
        before, held = self._held, list[Content]()
        self._held = held
        try:
            yield held
        finally:
            self._held = before
        for said in held:
            self._send(said)

    def utter_message(self, text: str) -> None:
        """Say `text`; each part between empty lines becomes a message."""
        self.utter_response({"text": text})

    def utter_response(self, message: Content) -> None:
        """Say a response that is already filled: text with buttons, custom content, image, attachment, cards."""
        message = sayable(message.get("text"), message)
        said = {key: value for key, value in message.items() if value or key in ("text", "metadata")}
        data = {key: said[key] for key in _DATA_KEYS if key in said}
        if "image" in data:
            data.setdefault("attachment", data["image"])
        about = {key: said[key] for key in said if key not in (*_DATA_KEYS, "text")}
        self.latest_bot_messages.append(BotMessage(message.get("text"), data or None, about or None))
        self._send(said)

    def _send(self, said: Content) -> None:
        if self._held is not None:
            self._held.append(said)
            return
        channel, text = self.output_channel, said.get("text") or ""
        buttons = said.get("quick_replies") or said.get("buttons")
        if buttons and said.get("text") is None:
            channel.send_buttons(self.sender_id, buttons)
        elif buttons:
            channel.send_text_with_buttons(self.sender_id, text, buttons)
            self.send_messages.append(text)
        else:
            for part in text.strip().split("\n\n") if text else ():
                channel.send_text_message(self.sender_id, part)
                self.send_messages.append(part)
        if "custom" in said:
            channel.send_custom_json(self.sender_id, said["custom"])
        if "image" in said:
            channel.send_image_url(self.sender_id, said["image"])
        if "attachment" in said:
            channel.send_attachment(self.sender_id, said["attachment"])
        if "elements" in said:
            channel.send_custom_message(self.sender_id, said["elements"])

    def utter_template(self, template: str, filled_slots: Values = None, **kwargs: Any) -> None:
        """Say one of the variants of a response, or nothing if none of them fits now.

        Raises
        ------
        DomainError
            If a condition of a variant has no name or no value.
        RemoteActionError
            If an NLG server does not word it.
        """
        message = self.retrieve_template(template, filled_slots, **kwargs)
        if message is not None:
            self.utter_response({**message, **kwargs, "utter_action": template})

    def retrieve_template(self, template_name: str, filled_slots: Values = None, **kwargs: Any) -> Content | None:
        """Return the variant of a response that is to be said now, filled; None if none is."""
        variants = self.domain.templates.get(template_name)
        values = variables_of(filled_slots, kwargs)
        fitting = _best(template_name, variants or (), values, self.output_channel.name)
        if self.nlg is not None and not isinstance(filled_slots, Mapping | None):
            variant = fitting[0].get("id") if fitting else None
            return self.nlg.words(template_name, variant, kwargs, filled_slots, self.output_channel.name)
        if variants is None:
            hint = did_you_mean(template_name, self.domain.templates)
            logger.error("the domain has no response %r.%s", template_name, hint)
            return None
        chosen = self.domain.random_template_for(template_name, fitting)
        if chosen is None:
            logger.error("no variant of the response %r fits now, and nothing is said.", template_name)
            return None

        def fill(text: str, key: str) -> str:
            return _fill_text(text, values, template_name)

        return {key: filled(value, fill, key) if key in _FILLED_KEYS else value for key, value in chosen.items()}


def _best(name: str, variants: Sequence[Content], slots: Mapping[str, Any], channel: str) -> list[Content]:
    """Return the variants of a response that may be said, of the best kind there is."""
    kinds: dict[tuple[bool, bool], list[Content]] = {}
    for variant in variants:
        condition, wanted = variant.get("condition"), variant.get("channel")
        if (not wanted or wanted == channel) and all(_holds(name, part, slots) for part in condition or ()):
            kinds.setdefault((bool(wanted), bool(condition)), []).append(variant)
    return kinds[max(kinds)] if kinds else []


def _holds(response: str, condition: Mapping[str, Any], slots: Mapping[str, Any]) -> bool:
    """Tell whether a slot has the value of a condition; texts are equal whatever their case, others as in Python."""
    if "name" not in condition or "value" not in condition:  # What it was to keep back must not be said.
        problem = f"a condition of the response {response!r} is {condition!r:.100}"
        raise DomainError(f"{problem}; it is like {{type: slot, name: city, value: Berlin}}.", ("responses", response))
    found, wanted = slots.get(condition["name"]), condition["value"]
    if isinstance(found, str) and isinstance(wanted, str):
        return found.casefold() == wanted.casefold()
    return bool(found == wanted)


def _fill_text(text: str, values: Content, template: str) -> str:
    """Fill ``{name}``; ``{{`` and ``}}`` become single braces. With one unknown name, all stays as it is.

    As in Rasa, all stays also where names stand in single and in double braces, or in an object with single braces, as
    that of a payload.
    """

    def value_of(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else str(values[match[1]])

    has_names = any(match[1] is not None for match in _PLACEHOLDER.finditer(text))
    if has_names and (_DOUBLED.search(text) or _OBJECT.search(_PLACEHOLDER.sub("", text))):
        return text
    try:
        return _PLACEHOLDER.sub(value_of, text)
    except KeyError as error:
        if '"' not in error.args[0]:  # Braces around quotes are the object of a payload.
            logger.warning("response %r is not filled: there is no value for %s.", template, error)
        return text
