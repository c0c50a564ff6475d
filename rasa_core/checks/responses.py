"""Finds unknown names in the responses of a bot: intents in buttons, and slots in braces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from rasa_core.checks import Finding, finding
from rasa_core.exceptions import did_you_mean
from rasa_core.support.places import Place

_KEYS: Final = (
    *("text", "buttons", "quick_replies", "image", "elements", "attachment", "custom"),
    *("channel", "condition", "id", "metadata", "button_type"),
)
_BUTTON: Final = re.compile(r"/([^{@\s]+)")
_NAME: Final = re.compile(r"\{(\w[\w.-]*)\}")


def check_responses(
    responses: Mapping[str, Iterable[Mapping[str, Any]]],
    intents: Collection[str],
    slots: Collection[str],
    place: Callable[[str], Place | None],
    words: Collection[str] = (),
) -> Iterator[Finding]:
    """Find intents in buttons that the domain does not have, and misspelt slots in braces.

    Parameters
    ----------
    responses
        The variants of each response.
    place
        A function that returns the place of a response.
    words
        Names in the code of the bot, which may fill the braces.
    """
    for name, variants in responses.items():
        for variant in variants:
            for intent in _intents_of_buttons(variant):
                if intent not in intents:
                    text = (
                        f"a button of the response {name!r} names the intent {intent!r}, which the domain does not have"
                    )
                    yield finding("unknown-name", "warning", f"{text}.{did_you_mean(intent, intents)}", [place(name)])
            said = _NAME.findall(json.dumps(variant, ensure_ascii=False, default=str))
            for slot in dict.fromkeys(said):
                # A name that is like no slot may be one that an action gives.
                if slot not in slots and slot not in words and (hint := did_you_mean(slot, slots)):
                    text = f"the response {name!r} says {{{slot}}}, and the domain has no slot {slot!r}.{hint}"
                    yield finding("unknown-name", "warning", text, [place(name)])


def intents_of_buttons(responses: Mapping[str, Iterable[Mapping[str, Any]]]) -> set[str]:
    """Return the intents that buttons of responses send; they need no examples."""
    return {intent for variants in responses.values() for one in variants for intent in _intents_of_buttons(one)}


def check_template_keys(
    templates: Mapping[str, Iterable[Mapping[str, Any]]], place: Callable[[str], Place | None]
) -> Iterator[Finding]:
    """Find misspelt keys in templates of 0.9; other unknown keys may be for a channel."""
    for name, variants in templates.items():
        for key in (key for variant in variants for key in variant if key not in _KEYS):
            if hint := did_you_mean(str(key), _KEYS):
                text = f"nothing reads the key {key!r} of the template {name!r}.{hint}"
                yield finding("unknown-key", "warning", text, [place(name)])


def _intents_of_buttons(variant: Mapping[str, Any]) -> Iterator[str]:
    for button in [*(variant.get("buttons") or ()), *(variant.get("quick_replies") or ())]:
        payload = button.get("payload") if isinstance(button, dict) else None
        match = _BUTTON.match(payload) if isinstance(payload, str) else None
        if match is not None:
            yield match[1]
