"""Conversations as test stories of Rasa 3, in YAML: what the user typed, what was understood, and what the bot did."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from rasa_core.domain_file import write_yaml
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.events.rasa3 import ActiveLoop, SessionStarted
from rasa_core.trackers.rasa_log import rasa_positions

_NO_STEPS: Final = (ACTION_LISTEN_NAME, "action_session_start")


def sessions_as_stories(events: Iterable[Event], name: str, *, all_sessions: bool = False) -> str:
    """Return the latest session of a conversation, or all of them, as a file of test stories.

    What was rewound or undone is left out. Turns in which a form got its answer stand there, so that the story
    can be played.
    """
    sessions = [steps for steps in map(_steps, _sessions(list(events))) if steps]
    chosen = sessions if all_sessions else sessions[-1:]
    titles = [name] if len(chosen) == 1 else [f"{name}, story {number}" for number in range(1, len(chosen) + 1)]
    stories = [{"story": title, "steps": steps} for title, steps in zip(titles, chosen, strict=True)]
    return write_yaml({"version": "3.1", "stories": stories})


def _sessions(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield the events of each session that counts."""
    session: list[Event] = []
    for event in events:
        if isinstance(event, SessionStarted) or event.type_name == "restart":
            yield _left(session)
            session = []
        else:
            session.append(event)
    yield _left(session)


def _left(events: Sequence[Event]) -> list[Event]:
    return [events[position] for position in rasa_positions(events, ())]


def _steps(events: Iterable[Event]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    heard = False
    for event in events:
        if isinstance(event, UserUttered):
            heard = True
            steps.append(_message(event))
        elif isinstance(event, SlotSet):
            if not (steps and "slot_was_set" in steps[-1]):
                steps.append({"slot_was_set": []})
            steps[-1]["slot_was_set"].append({event.key: event.value})
        elif isinstance(event, ActiveLoop):
            steps.append({"active_loop": event.loop_name})
        elif isinstance(event, ActionExecuted) and event.action_name not in _NO_STEPS:
            steps.append({"action": event.action_name})
    return steps if heard else []


def _message(message: UserUttered) -> dict[str, Any]:
    step: dict[str, Any] = {"user": _annotated(message), "intent": message.intent.get("name")}
    if message.entities:
        step["entities"] = [{entity["entity"]: entity.get("value"), **_marks(entity)} for entity in message.entities]
    return step


def _marks(entity: dict[str, Any]) -> dict[str, Any]:
    return {key: entity[key] for key in ("role", "group") if entity.get(key)}


def _annotated(message: UserUttered) -> str:
    """Return the text, each entity whose place in it is known as ``[word]{"entity": ...}``."""
    text = message.text or ""
    if text.startswith("/"):
        return text
    placed = [one for one in message.entities if isinstance(one.get("start"), int) and isinstance(one.get("end"), int)]
    for entity in sorted(placed, key=lambda one: -int(one["start"])):
        start, end = entity["start"], entity["end"]
        word = text[start:end]
        plain = {"entity": entity["entity"], **_marks(entity)}
        if entity.get("value") != word:
            plain["value"] = entity.get("value")
        said = f"({plain['entity']})" if len(plain) == 1 else json.dumps(plain, ensure_ascii=False)
        text = f"{text[:start]}[{word}]{said}{text[end:]}"
    return text
