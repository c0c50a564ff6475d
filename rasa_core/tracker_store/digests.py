"""What a conversation is found by, and what in it may need a person: made of the rows of its log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from rasa_core.tracker_store.rows import NO_EVENT

FALLBACKS: Final = frozenset({"action_default_fallback", "action_two_stage_fallback", "action_default_ask_rephrase"})
_NLU_FALLBACK: Final = "nlu_fallback"
PROBLEMS: Final = ("failed", "paused", "fallback", "deviates")
"""What may be wrong in a conversation, the worst first; less than all of them is that the bot was unsure."""

# To be unsure counts at most 1, less than any of these.
_WEIGHTS: Final = {"failed": 8.0, "paused": 5.0, "fallback": 3.0, "deviates": 2.0}
_LONGEST_TEXT: Final = 20_000
_LONGEST_PREVIEW: Final = 160


@dataclass(slots=True)
class Digest:
    """The content of one conversation, as far as people look for it.

    Attributes
    ----------
    started, updated : float
        Unix times of the first and the last event, in seconds.
    messages : int
        How many the user has sent.
    first, last : str
        The beginning of the first and of the last of them.
    confidence, unsure_at : float, int or None
        The lowest confidence of a decision or of an intent, and the position of that event; 1.0 and None if none has.
    problems : dict of str to int
        For each of `PROBLEMS` that there is, the position of the first event that has it.
    length : int
        Characters of what was said, as far as that is looked through.
    said, intents, actions, slots
        What to look for.
    """

    started: float = 0.0
    updated: float = 0.0
    messages: int = 0
    first: str = ""
    last: str = ""
    confidence: float = 1.0
    unsure_at: int | None = None
    problems: dict[str, int] = field(default_factory=dict)
    length: int = 0
    said: list[str] = field(default_factory=list)
    intents: dict[str, None] = field(default_factory=dict)
    actions: dict[str, None] = field(default_factory=dict)
    slots: dict[tuple[str, str], None] = field(default_factory=dict)

    @property
    def need(self) -> float:
        """How much the conversation needs a person: what is wrong in it, and how unsure the bot was."""
        return sum(_WEIGHTS[name] for name in self.problems) + (1.0 - self.confidence)


def digest_of(rows: Iterable[str], since: int = 0) -> Digest:
    """Return the digest of a conversation.

    Parameters
    ----------
    rows
        Its events, JSON text.
    since
        Problems before this position are known to a person, and do not count.
    """
    found = Digest()
    for position, row in enumerate(rows):
        with suppress(*NO_EVENT):  # As only a program that writes logs by itself, or a damaged disk, could have it.
            _take(found, json.loads(row), position, since)
    return found


def _take(found: Digest, event: Mapping[str, Any], position: int, since: int) -> None:
    kind, moment = str(event.get("event")), event.get("timestamp")
    if isinstance(moment, int | float) and moment:
        found.updated = moment
    found.started = found.started or found.updated
    _TAKE.get(kind, _ignore)(found, event)
    text = event.get("text")
    if isinstance(text, str) and found.length < _LONGEST_TEXT:
        found.said.append(text[: _LONGEST_TEXT - found.length])
        found.length += len(text)
    for name in _problems_in(event):
        if position >= since:
            found.problems.setdefault(name, position)
    # Who gave the conversation back to the bot has dealt with why it was paused.
    if kind in ("resume", "restart"):
        found.problems.pop("paused", None)
    sure = _confidence_of(event)
    if sure is not None and sure < found.confidence and position >= since:
        found.confidence, found.unsure_at = sure, position


def _ignore(found: Digest, event: Mapping[str, Any]) -> None:
    pass


def _take_message(found: Digest, event: Mapping[str, Any]) -> None:
    text = str(event.get("text") or "")[:_LONGEST_PREVIEW]
    found.messages += 1
    found.first = found.first or text
    found.last = text
    intent = _intent(event).get("name")
    if isinstance(intent, str):
        found.intents[intent] = None


def _take_action(found: Digest, event: Mapping[str, Any]) -> None:
    found.actions[str(_name_of(event))] = None


def _name_of(event: Mapping[str, Any]) -> Any:
    """Return the name of an action, which one that is a text of a story does not have."""
    return event.get("name") or event.get("action_text")


def _take_slot(found: Digest, event: Mapping[str, Any]) -> None:
    value = event.get("value")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    found.slots[str(event.get("name")), text[:_LONGEST_PREVIEW]] = None


_TAKE: Final = {"user": _take_message, "action": _take_action, "slot": _take_slot}


def _intent(event: Mapping[str, Any]) -> Mapping[str, Any]:
    intent = (event.get("parse_data") or {}).get("intent")
    return intent if isinstance(intent, dict) else {}


def _problems_in(event: Mapping[str, Any]) -> Iterator[str]:
    kind, name = event.get("event"), _name_of(event)
    if kind == "pause":
        yield "paused"
    if kind == "user" and _intent(event).get("name") == _NLU_FALLBACK:
        yield "fallback"
    if kind != "action":
        return
    if event.get("error"):
        yield "failed"
    if name in FALLBACKS or str(event.get("policy")).endswith(("FallbackPolicy", "TwoStageFallbackPolicy")):
        yield "fallback"
    if event.get("predicted") not in (None, name):
        yield "deviates"


def _confidence_of(event: Mapping[str, Any]) -> float | None:
    kind = event.get("event")
    if kind == "user":
        sure = _intent(event).get("confidence")
    # An action that no policy chose, such as a follow-up, was not unsure of anything.
    elif kind == "action" and event.get("policy"):
        sure = event.get("confidence")
    else:
        return None
    return float(sure) if isinstance(sure, int | float) and not isinstance(sure, bool) else None
