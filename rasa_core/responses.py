"""The dispatcher of Rasa 2 and 3 bots: responses with variants by condition and channel, and with more than text.

A response is a list of variants. The slots and the channel decide which variants fit. Variants for the channel go
before variants for every channel, and among both, variants with a condition go before variants without one. One of the
variants that are left is drawn at random, in a sequence that is the same in every process.
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
    """The method of `rasa_core.actions.nlg.NlgServer` that generates the text of a response."""

    def words(  # noqa: D102
        self, response: str, variant: object, values: Mapping[str, Any], tracker: Any, channel: str
    ) -> Content | None: ...


class ResponseDispatcher(Dispatcher):
    """Sends messages as Rasa 3 does; a response is logged as one `BotMessage`, also if it is sent as several messages.

    Parameters
    ----------
    nlg
        The NLG server that generates the responses, if there is one.
    """

    def __init__(
        self, sender_id: str, output_channel: OutputChannel, domain: Responses, nlg: WordsResponses | None = None
    ) -> None:
        super().__init__(sender_id, output_channel, domain)
        self.nlg = nlg
        self._held: list[Content] | None = None

    @contextmanager
    def holding(self) -> Iterator[list[Content]]:
        """Hold back the messages of a block and send them when it ends.

        The block gets the list of messages and may remove some. If it raises an exception, none is sent.
        """
        before, held = self._held, list[Content]()
        self._held = held
        try:
            yield held
        finally:
            self._held = before
        for said in held:
            self._send(said)

    def utter_message(self, text: str) -> None:
        """Send `text`; empty lines split it into several messages."""
        self.utter_response({"text": text})

    def utter_response(self, message: Content) -> None:
        """Send a filled response: its text with buttons, custom content, image, attachment and cards."""
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
        """Send one of the variants of a response, or nothing if no variant fits.

        Raises
        ------
        DomainError
            If the condition of a variant lacks its name or value.
        RemoteActionError
            If the NLG server does not return the response.
        """
        message = self.retrieve_template(template, filled_slots, **kwargs)
        if message is not None:
            self.utter_response({**message, **kwargs, "utter_action": template})

    def retrieve_template(self, template_name: str, filled_slots: Values = None, **kwargs: Any) -> Content | None:
        """Return a fitting variant of a response, filled; None if no variant fits."""
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
    """Return the fitting variants of a response that go before all others; see the top of this module."""
    kinds: dict[tuple[bool, bool], list[Content]] = {}
    for variant in variants:
        condition, wanted = variant.get("condition"), variant.get("channel")
        if (not wanted or wanted == channel) and all(_holds(name, part, slots) for part in condition or ()):
            kinds.setdefault((bool(wanted), bool(condition)), []).append(variant)
    return kinds[max(kinds)] if kinds else []


def _holds(response: str, condition: Mapping[str, Any], slots: Mapping[str, Any]) -> bool:
    """Tell whether a slot has the value of a condition; texts are compared without regard to case."""
    # An incomplete condition raises: the variant must not be sent to users that the condition was to exclude.
    if "name" not in condition or "value" not in condition:
        problem = f"a condition of the response {response!r} is {condition!r:.100}"
        raise DomainError(f"{problem}; it is like {{type: slot, name: city, value: Berlin}}.", ("responses", response))
    found, wanted = slots.get(condition["name"]), condition["value"]
    if isinstance(found, str) and isinstance(wanted, str):
        return found.casefold() == wanted.casefold()
    return bool(found == wanted)


def _fill_text(text: str, values: Content, template: str) -> str:
    """Return `text` with ``{name}`` filled in; ``{{`` and ``}}`` become single braces.

    If one name is unknown, the text is returned unchanged. As in Rasa, the text is unchanged, too, if it has names in
    single as well as in double braces, or a JSON object in single braces, as the payload of a button.
    """

    def value_of(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else str(values[match[1]])

    has_names = any(match[1] is not None for match in _PLACEHOLDER.finditer(text))
    if has_names and (_DOUBLED.search(text) or _OBJECT.search(_PLACEHOLDER.sub("", text))):
        return text
    try:
        return _PLACEHOLDER.sub(value_of, text)
    except KeyError as error:
        if '"' not in error.args[0]:  # Braces around quotes are a JSON object in a payload and no mistake.
            logger.warning("response %r is not filled: there is no value for %s.", template, error)
        return text
