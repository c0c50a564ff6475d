"""Replays recorded conversations of Rasa 3, and counts the steps with equal answers, and the equal logs.

Usage: ``python benchmarks/rasa3_replay.py FOLDER [CASE ...] [--show]``, where the folder has ``cases/<name>/`` with a
project, and ``expected.json`` with the recording of Rasa.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rasa_core.actions.nlg import NlgServer
from rasa_core.actions.webhook import ActionServer
from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.events import ReminderScheduled, deserialise_events
from rasa_core.exceptions import RasaCoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.rasa3.endpoints import read_endpoints
from rasa_core.rasa_project.config import read_rasa_config
from rasa_core.rasa_project.files import RasaFiles
from rasa_core.rasa_project.training import train_rasa
from rasa_core.support.endpoint import Endpoint
from rasa_core.support.http import HttpAnswer, NoAnswerError

Json = dict[str, Any]

_OF_EVENT = {
    "action": ("name", "action_text", "policy", "confidence", "hide_rule_turn"),
    "slot": ("name", "value"),
    "user": ("text", "input_channel", "metadata"),
    "bot": ("text", "data", "metadata"),
    "followup": ("name",),
    "active_loop": ("name",),
    "loop_interrupted": ("is_interrupted",),
    "action_execution_rejected": ("name", "policy", "confidence"),
    "user_featurization": ("use_text_for_featurization",),
    "entities": ("entities",),
    "reminder": ("intent", "entities", "name", "kill_on_user_msg"),
}
_SOON = "2030-01-01T00:00:00.000000"
"""What stands for times, which the recording leaves out."""
_MAY_BE_NULL = {"slot": ("value",), "active_loop": ("name",)}


@dataclass
class Figures:
    """The numbers of compared steps and conversations, and of differences."""

    steps: int = 0
    same_steps: int = 0
    conversations: int = 0
    same_conversations: int = 0
    differences: list[str] = field(default_factory=list)


class RecordedServer(Endpoint):
    """A stand-in for an action server or an NLG server that gives the recorded answers."""

    def __init__(self) -> None:
        super().__init__("http://localhost/webhook", 1.0)
        self.calls: list[Json] = []

    def post(self, request: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Answer a request as it was answered in the recording."""
        name = request.get("next_action") or request["response"]
        call = next((one for one in self.calls if one["name"] == name), None)
        if call is None or call.get("status") is None:
            raise NoAnswerError("nothing was recorded")
        self.calls.remove(call)
        content = json.dumps(call.get("answer")).replace('"date_time": "T"', f'"date_time": "{_SOON}"')
        return HttpAnswer(call["status"], {}, content.encode(), whole=True)


class RecordedInterpreter(NaturalLanguageInterpreter):
    """An interpreter that gives the recorded parses of Rasa."""

    def __init__(self) -> None:
        self.parses: dict[str, Json] = {}

    def parse(self, text: str) -> Json:
        """Return the recorded parse."""
        found = self.parses.get(text, {"intent": {"name": None, "confidence": 0.0}, "entities": []})
        return {"text": text, **found}


class Bot:
    """A recorded project, trained here."""

    def __init__(self, folder: Path) -> None:
        self.server, self.interpreter = RecordedServer(), RecordedInterpreter()
        files, endpoints = RasaFiles(folder), read_endpoints(folder)
        agent = Agent(
            files.domain,
            read_rasa_config(files.config_file, lambda max_history: KerasPolicy()).ensemble(),
            self.interpreter,
            actions=ActionServer(self.server) if endpoints.actions else None,
            nlg=NlgServer(self.server) if endpoints.nlg else None,
        )
        train_rasa(agent, files.read_stories())
        self.agent = agent
        self._reminded: set[tuple[str, int]] = set()

    def take(self, sender_id: str, step: Mapping[str, Any]) -> tuple[list[Json], list[Json]]:
        """Replay one recorded step, and return the messages of the bot and the new events."""
        self.server.calls = list(step.get("action_server") or [])
        before = self.agent.read_tracker(sender_id).version
        channel = RestOutputChannel()
        turns = self.agent.turns()
        if "append_events" in step:
            events = step["append_events"]
            self.agent.append_events(sender_id, deserialise_events(events if isinstance(events, list) else [events]))
        elif "trigger_intent" in step:
            turns.trigger_intent(UserMessage(None, channel, sender_id), step["trigger_intent"], step.get("entities"))
        elif "execute" in step:
            policy, confidence = step.get("policy"), step.get("confidence")
            turns.execute(UserMessage(None, channel, sender_id), step["execute"], policy, confidence)
        elif "wait_seconds" in step:
            self._remind(sender_id, channel)
        elif step.get("user") is not None:  # Without a text, the REST channel does nothing.
            turns.respond(self._message(sender_id, step, channel))
        events = [event.as_dict() for event in self.agent.read_tracker(sender_id).events][before:]
        return channel.messages, events

    def _remind(self, sender_id: str, channel: RestOutputChannel) -> None:
        """Send each reminder that is due to the bot, once, as a scheduler does."""
        for number, event in enumerate(self.agent.read_tracker(sender_id).events):
            if isinstance(event, ReminderScheduled) and (sender_id, number) not in self._reminded:
                self._reminded.add((sender_id, number))
                turns = self.agent.turns()
                turns.handle_reminder(event, turns.dispatcher_for(UserMessage(None, channel, sender_id)))

    def _message(self, sender_id: str, step: Mapping[str, Any], channel: RestOutputChannel) -> UserMessage:
        text, parse = step["user"], None
        recorded = next((one for one in step.get("events") or [] if one["event"] == "user"), None)
        if "intent" in step:
            intent = step["intent"] if isinstance(step["intent"], dict) else {"name": step["intent"], "confidence": 1.0}
            parse = {"text": text, "intent": intent, "entities": step.get("entities") or []}
            if recorded is not None:
                parse.update(recorded["parse_data"])
        elif recorded is not None and text and not text.startswith("/"):
            self.interpreter.parses[text] = recorded["parse_data"]
        return UserMessage(
            text,
            channel,
            sender_id,
            input_channel=step.get("input_channel", "rest"),
            metadata=step.get("metadata"),
            parse_data=parse,
        )


def normalised(events: Sequence[Json]) -> list[Json]:
    """Return events as the recording has them: without times, ids and null values."""
    found = []
    for event in events:
        kind = event["event"]
        keys = _OF_EVENT.get(kind, ())
        kept = {key: event.get(key) for key in keys}
        null = _MAY_BE_NULL.get(kind, ())
        one = {key: value for key, value in kept.items() if key in null or value not in (None, {}, False)}
        if kind == "user_featurization":
            one = kept
        if kind == "user":
            parse = event.get("parse_data") or {}
            one["intent"] = {key: value for key, value in (parse.get("intent") or {}).items() if value is not None}
            one["entities"] = parse.get("entities") or []
        if kind == "bot" and "data" in one:
            one["data"] = {key: value for key, value in one["data"].items() if value} or None
        if kind == "action_execution_rejected" or kind == "action":
            one.setdefault("confidence", 0.0)
        found.append({"event": kind, **{key: value for key, value in one.items() if value is not None or key in null}})
    return found


class _Clock:
    """A clock that jumps at the recorded moments."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._real = time.time

    def __call__(self) -> float:
        return self._real() + self.ahead


def replay(case: Path, figures: Figures, *, show: bool = False) -> None:
    """Replay the conversations of one case."""
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    conversations = expected.get("conversations") or []
    try:
        bot = Bot(case) if conversations else None
    except (RasaCoreError, NotImplementedError) as error:
        bot = None
        figures.differences.append(f"{case.name}: not trained: {str(error)[:200]}")
    for conversation in conversations:
        figures.conversations += 1
        told = list(_differences(bot, case.name, conversation, figures))
        figures.same_conversations += not told
        figures.differences += told if show else told[:1]


def _differences(bot: Bot | None, case: str, conversation: Json, figures: Figures) -> Iterator[str]:
    name, clock = conversation["name"], _Clock()
    real, time.time = time.time, clock
    try:
        for number, step in enumerate(conversation["steps"]):
            clock.ahead += step.get("shift_seconds", 0) + step.get("wait_seconds", 0)
            is_user = "user" in step
            figures.steps += is_user
            if bot is None:
                yield f"{case} / {name}: not trained"
                continue
            try:
                said, events = bot.take(name, step)
            except (RasaCoreError, AttributeError, TypeError, KeyError, ValueError) as error:
                if "exception" not in step:
                    yield f"{case} / {name} [{number}] {step.get('user')}: {type(error).__name__}: {error}"
                continue
            wanted_said = step.get("bot") or []
            got_said = [{key: value for key, value in one.items() if key != "recipient_id"} for one in said]
            figures.same_steps += is_user and got_said == wanted_said
            wanted, got = normalised(step.get("events") or []), normalised(events)
            if got_said != wanted_said and "wait_seconds" not in step:  # A reminder speaks to another channel.
                yield f"{case} / {name} [{number}] {step.get('user')}: says {got_said}, not {wanted_said}"
            elif got != wanted:
                at = next(
                    (i for i, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), min(len(got), len(wanted))
                )
                where = f"{case} / {name} [{number}] {step.get('user')}"
                yield f"{where}: logs {got[at : at + 2]}, not {wanted[at : at + 2]}"
    finally:
        time.time = real


def main() -> None:
    """Replay cases and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("case", nargs="*")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    figures = Figures()
    for case in sorted((options.folder / "cases").iterdir()):
        if not options.case or any(case.name.startswith(name) for name in options.case):
            replay(case, figures, show=options.show)
    print("\n".join(figures.differences))
    print(f"steps: {figures.same_steps} of {figures.steps} = {figures.same_steps / max(1, figures.steps):.1%}")
    share = figures.same_conversations / max(1, figures.conversations)
    print(f"conversations: {figures.same_conversations} of {figures.conversations} = {share:.1%}")


if __name__ == "__main__":
    main()
