"""Parsing of messages that name their intent, such as ``/greet@0.7{"name": "Anna"}``, and notes on mistakes in them.

`parse_slash_message` reads the messages as Rasa 2 and 3 do. `info_about` and `values_info` write the notes for callers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import Event, SlotSet, UserUttered
from rasa_core.exceptions import did_you_mean
from rasa_core.interpreter import DEFAULT_INTENTS, INTENT_MESSAGE_PREFIX, RegexInterpreter
from rasa_core.slots import CategoricalSlot, Slot
from rasa_core.support.strict_json import decode

logger = logging.getLogger(__name__)

Parse = dict[str, Any]

INFO_PAUSED = "Bot is currently paused and no restart was received yet."
INFO_LISTENING = (
    "You do not need to call continue after action listen got returned for the previous continue call. "
    "You are expected to call 'parse' with the next user message."
)
INFO_NO_MESSAGE = (
    "The conversation was waiting for the user when this action was reported; it is logged all the same. "
    "Call 'parse' with the user's message first, then 'continue' for each next_action."
)
INFO_REPEATED = (
    "This action was also the last one reported, and it was not the one to run next; it is logged a second "
    "time. If this was a retry, send the event 'undo' to take it back."
)

NOT_UNDERSTOOD: Final = {"intent": {"name": None, "confidence": 0.0}, "entities": []}
_MOST_TOLD: Final = 10
_MESSAGE: Final = re.compile(r"/(?P<name>[^@{]+)(?:@(?P<confidence>[0-9.]+))?(?P<content>\{.+\})?", re.DOTALL)


def parse_slash_message(text: str, intents: Collection[str], entities: Collection[str]) -> Parse:
    """Return the parse of a message; an unknown intent gives the intent None, and unknown entities are left out."""
    text = text.strip()
    found = _MESSAGE.match(text)
    name = "" if found is None else found["name"].strip()
    if found is None or name not in intents:
        logger.warning("the message %.80r names no intent of the domain.", text)
        return {"text": text, **NOT_UNDERSTOOD, "entities": []}
    confidence = _confidence(found["confidence"])
    start, end = found.span("content")
    named = [] if start < 0 else _entities(text[start:end])
    return {
        "text": text,
        "intent": {"name": name, "confidence": confidence},
        "intent_ranking": [{"name": name, "confidence": confidence}],
        "entities": [
            {"entity": entity, "value": value, "start": start, "end": end, "extractor": "RegexMessageHandler"}
            for entity, value in named
            if entity in entities  # `info_about` tells the caller which entities are unknown.
        ],
    }


def info_about(message: UserUttered, domain: Domain, slots: Mapping[str, Slot]) -> str | None:
    """Return a note about the names and values in a message that the domain does not have; None if there are none.

    The text of the message is parsed again for a Rasa 3 bot, whose own parse leaves out unknown names.
    """
    text = message.text or ""
    values = values_info(domain.slots_for_entities(message.entities), slots) if message.entities else None
    if not text.startswith(INTENT_MESSAGE_PREFIX):
        return values
    named = message if domain.rasa is None else UserUttered(text, parse_data=RegexInterpreter().parse(text))
    # Unknown names are no error: 0.9 accepts any name, and clients may send names of another version of the bot.
    known, found = domain.vocabulary, []
    intent: str = named.intent.get("name") or ""
    if intent and intent not in known.intents and intent not in DEFAULT_INTENTS and intent != domain.restart_intent:
        hint = did_you_mean(intent, {*known.intents, domain.restart_intent})
        found.append(f"The domain has no intent {intent[:100]!r}, which the message names.{hint}")
    for entity in named.entities:
        name = str(entity["entity"])
        if name not in known.entities and name not in slots and len(found) < _MOST_TOLD:
            found.append(f"The domain has no entity {name[:100]!r}.{did_you_mean(name, {*known.entities, *slots})}")
    content = text[text.index("{") :] if "{" in text and not named.entities else "{}"
    try:
        decode(content)
    except ValueError as error:
        found.append(f'No entities are read of {content!r:.80}, which is no JSON such as {{"name": "Anna"}}: {error}.')
    if found:
        found.append("It is logged all the same.")
    return joined(*dict.fromkeys(found), values)


def values_info(events: Iterable[Event], slots: Mapping[str, Slot]) -> str | None:
    """Return a note about values that categorical slots do not have, which policies do not see; None without any."""
    found = []
    for event in events:
        if not isinstance(event, SlotSet) or event.value is None:
            continue
        slot = slots.get(event.key)
        if isinstance(slot, CategoricalSlot) and str(event.value).lower() not in slot.values:
            hint = did_you_mean(str(event.value).lower(), slot.values)
            known = ", ".join(slot.values[:_MOST_TOLD])
            told = f"The slot {slot.name!r} has no value {event.value!r:.80}.{hint} It has {known}."
            found.append(f"{told} What you sent is kept, and no policy sees it.")
    return joined(*found[:_MOST_TOLD])


def joined(*infos: str | None) -> str | None:
    """Join several notes for the caller into one; None if there are none."""
    told = list(filter(None, infos))
    return " ".join(told) if told else None


def _confidence(written: str | None) -> float:
    try:
        return 1.0 if written is None else min(1.0, float(written))
    except ValueError:  # For a text such as "0.7.3", which the expression accepts. Rasa also takes it for 0.
        return 0.0


def _entities(content: str) -> list[tuple[str, Any]]:
    """Return the names and values of entities in a JSON object; a list gives several values of one name."""
    try:
        found = decode(content)
    except ValueError as error:
        logger.warning('no entities in %.80r: they are a JSON object such as {"name": "Anna"} (%s).', content, error)
        return []
    items = found.items() if isinstance(found, dict) else ()
    return [(name, one) for name, value in items for one in (value if isinstance(value, list) else [value])]
