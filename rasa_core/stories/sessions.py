"""Writes conversations as test stories of Rasa 3 in YAML: the typed messages, their intents and the bot's actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from rasa_core.domain.file import write_yaml
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.events.rasa3 import ActiveLoop, SessionStarted
from rasa_core.exceptions import RasaCoreError
from rasa_core.support.marked_text import has_marks, with_marks
from rasa_core.support.strict_json import encode
from rasa_core.trackers.rasa_log import rasa_positions

_NO_STEPS: Final = (ACTION_LISTEN_NAME, "action_session_start")


class LongStoryError(RasaCoreError, ValueError):
    """A conversation is too long for a story."""


def sessions_as_stories(
    events: Iterable[Event], name: str, *, all_sessions: bool = False, longest: int | None = None
) -> str:
    """Return the latest session of a conversation, or all of them, as a file of test stories.

    Events that were rewound or undone are left out. Turns that answer a form are included, so that the story
    can be played.

    Parameters
    ----------
    longest
        Limit of the events' characters as JSON, where each value counts ten more characters; None for no limit.

    Raises
    ------
    LongStoryError
        If the conversation is longer.
    """
    sessions = list(map(_steps, _sessions(list(events))))
    chosen = [steps for steps in (sessions if all_sessions else sessions[-1:]) if steps]
    titles = [name] if len(chosen) == 1 else [f"{name}, story {number}" for number in range(1, len(chosen) + 1)]
    stories = [{"story": title, "steps": steps} for title, steps in zip(titles, chosen, strict=True)]
    if longest is not None and (length := _length(stories)) > longest:
        raise LongStoryError(
            f"the story of {name!r} has a length of {length}, and at most {longest} is written in one request. "
            "Ask for the events of its tracker, or read them with rasa-core store export."
        )
    return write_yaml({"version": "3.1", **({"stories": stories} if stories else {})})


def _length(stories: object) -> int:
    written = encode(stories)
    return len(written) + 10 * (written.count(",") + written.count(":"))


def story_in_yaml(name: str, told: Iterable[tuple[Event | None, str]], source: str = "") -> str:
    """Return a story of these events, as an item of ``stories:``, each event with a comment at its end if it has one.

    Parameters
    ----------
    told
        The events with their comments; None for an event that stories leave out, so that only its comment stays.
    source
        Where the story was read.
    """
    lines = [f"- {write_yaml({'story': name}).rstrip()}", "  steps:"]
    if source:
        lines.insert(0, f"# {_on_one_line(source)}")
    for event, comment in told:
        steps = [] if event is None else _steps([event], is_begun=True)
        step = [f"  {line}" for line in write_yaml({"steps": steps}).splitlines()[1:]] if steps else []
        if comment:
            step = [*step[:-1], f"{step[-1] if step else '  '}  # {_on_one_line(comment)}"]
        lines += step
    return "\n".join(lines) + "\n"


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


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


def _steps(events: Iterable[Event], *, is_begun: bool = False) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    heard = is_begun
    for event in events:
        if isinstance(event, UserUttered):
            heard = True
            steps += filter(None, [_message(event)])
        elif isinstance(event, SlotSet):
            if not (steps and "slot_was_set" in steps[-1]):
                steps.append({"slot_was_set": []})
            steps[-1]["slot_was_set"].append({event.key: event.value})
        elif isinstance(event, ActiveLoop):
            steps.append({"active_loop": event.loop_name})
        elif isinstance(event, ActionExecuted) and event.action_name not in _NO_STEPS:
            said = {"bot": event.action_text} if event.action_text else {"action": event.action_name}
            steps.append({**said, **({"failed": True} if event.error is not None else {})})
    # A session without a user message, such as one that has only begun, makes no story.
    return steps if heard else []


def _message(message: UserUttered) -> dict[str, Any]:
    """Return the step of a message; it is empty for one without a text and an intent, as in Rasa."""
    text, name = message.text or "", message.intent.get("full_retrieval_intent_name") or message.intent.get("name")
    intent = {"intent": name} if name else {}  # A message that nothing has interpreted has none.
    if text.startswith("/"):  # It has its entities in it already.
        return {"user": text, **intent}
    annotated, marked = with_marks(text, message.entities)
    step: dict[str, Any] = {"user": annotated, **intent} if text else intent
    if step and not has_marks(text):  # Otherwise the text marks its entities already.
        told, every = ([_described(one) for one in entities] for entities in (marked, message.entities))
        # All entities are listed: if some are, the marks in the text do not count.
        if any(one not in told for one in every):
            step["entities"] = [one for number, one in enumerate(every) if one not in every[:number]]
    return step


def _described(entity: Mapping[str, Any]) -> dict[str, Any]:
    return {entity["entity"]: entity.get("value"), **{key: entity[key] for key in ("role", "group") if entity.get(key)}}
