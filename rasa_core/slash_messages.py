"""Messages that name their intent, as Rasa 2 and 3 read ``/greet@0.7{"name": "Anna"}``, and what is wrong with them."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from typing import Any, Final

from rasa_core.events import UserUttered
from rasa_core.exceptions import did_you_mean
from rasa_core.interpreter import DEFAULT_INTENTS, INTENT_MESSAGE_PREFIX
from rasa_core.support.strict_json import decode

logger = logging.getLogger(__name__)

Parse = dict[str, Any]

NOT_UNDERSTOOD: Final = {"intent": {"name": None, "confidence": 0.0}, "entities": []}
_MESSAGE: Final = re.compile(r"/(?P<name>[^@{]*)(?:@(?P<confidence>[0-9.]+))?[^{]*(?P<content>\{.*\})?", re.DOTALL)


def parse_slash_message(text: str, intents: Collection[str], entities: Collection[str]) -> Parse:
    """Return the parse of a message; one whose intent is unknown is not understood, and other entities are left out."""
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
            if entity in entities
        ],
    }


def info_about(message: UserUttered, intents: Collection[str]) -> str | None:
    """Return what the caller should know about a message that names an intent which there is not."""
    name: str = message.intent.get("name") or ""
    if name in intents or name in DEFAULT_INTENTS or not name:
        return None
    if not (message.text or "").startswith(INTENT_MESSAGE_PREFIX):
        return None
    hint = did_you_mean(name, intents)
    return f"The domain has no intent {name[:100]!r}, which the message names.{hint} It is logged all the same."


def _confidence(written: str | None) -> float:
    try:
        return 1.0 if written is None else min(1.0, float(written))
    except ValueError:
        return 1.0


def _entities(content: str) -> list[tuple[str, Any]]:
    """Return names and values in a JSON object; a list gives several values."""
    try:
        found = decode(content)
    except ValueError as error:
        logger.warning('no entities in %.80r: they are a JSON object such as {"name": "Anna"} (%s).', content, error)
        return []
    items = found.items() if isinstance(found, dict) else ()
    return [(name, one) for name, value in items for one in (value if isinstance(value, list) else [value])]
