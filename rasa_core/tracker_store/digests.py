"""The digest of a conversation for searches: texts and names to find it by, and problems that may need a person."""

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
"""The kinds of problems in a conversation, the worst first; a low confidence counts less than any of them."""

# A low confidence adds at most 1 to the need of a conversation, less than any of these weights.
_WEIGHTS: Final = {"failed": 8.0, "paused": 5.0, "fallback": 3.0, "deviates": 2.0}
_LONGEST_TEXT: Final = 20_000
_LONGEST_PREVIEW: Final = 160


@dataclass(slots=True)
class Digest:
    """The content of one conversation, as far as people search for it.

    Attributes
    ----------
    started, updated : float
        Unix times of the first and the last event, in seconds.
    messages : int
        The number of messages of the user.
    first, last : str
        The beginning of the first and of the last message of the user.
    confidence, unsure_at : float, int or None
        The lowest confidence of a decision or of an intent, and the position of its event; 1.0 and None without any.
    problems : dict of str to int
        For each of `PROBLEMS` in the conversation, the position of its first event.
    length : int
        The number of characters of the texts in `said`.
    said, intents, actions, slots
        The texts of user and bot, and the names, to be found by a search.
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
        """How much the conversation needs a person: the sum of the weights of its problems, and of 1 - confidence."""
        return sum(_WEIGHTS[name] for name in self.problems) + (1.0 - self.confidence)


def digest_of(rows: Iterable[str], since: int = 0) -> Digest:
    """Return the digest of a conversation.

    Parameters
    ----------
    rows
        The rows of its log, JSON text.
    since
        A person knows the problems before this position, so that they do not count.
    """
    found = Digest()
    for position, row in enumerate(rows):
        with suppress(*NO_EVENT):  # A row may be invalid if other software wrote it, or the disk is damaged.
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
    # The person who resumed or restarted the conversation has dealt with the reason of the pause.
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
    """Return the name of an action; its text for an action that a story gives as a text (end-to-end)."""
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
    # An action that no policy predicted, such as a follow-up, has no confidence.
    elif kind == "action" and event.get("policy"):
        sure = event.get("confidence")
    else:
        return None
    return float(sure) if isinstance(sure, int | float) and not isinstance(sure, bool) else None
