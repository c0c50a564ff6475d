"""``python -m rasa_core.restore``: go on with a conversation that was saved as JSON.

The conversation is restored as it was saved: no action is run again, and slots get the saved values. At each
step the model predicts the action, and a prediction that differs from the saved action is logged.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click

from rasa_core.agent import Agent
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.console import ConsoleInputChannel
from rasa_core.commands.common import (
    CONTEXT,
    Command,
    import_option,
    load_own_modules,
    logged,
    model_at,
    model_option,
    nlu_option,
)
from rasa_core.commands.shell import Talk
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, BotUttered, Event, UserUttered
from rasa_core.exceptions import EventError, counted
from rasa_core.interpreter import RegexInterpreter
from rasa_core.rasa3.history import history_for
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

_HOW_TO_SAVE = "Save the answer of GET /conversations/<id>/tracker?ignore_restarts=true, which has the events."

_EXAMPLES = """\b
Examples:
  # Save a conversation of a running server, and go on with it here.
  curl 'localhost:5005/conversations/default/tracker?ignore_restarts=true' > dump.json
  rasa-core restore -d models/dialogue dump.json
"""


def load_tracker_from_json(tracker_dump: str | Path, domain: Domain) -> DialogueStateTracker:
    """Read a conversation from the JSON that a server gives for it.

    Parameters
    ----------
    tracker_dump
        A file with an object that has ``"events"``, and ``"sender_id"`` if it is not ``"default"``.
    domain
        The domain with the slots.

    Raises
    ------
    EventError
        If the file cannot be read, or has no events, or an event is malformed.
    """
    file = str(tracker_dump)
    try:
        content = json.loads(Path(tracker_dump).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise EventError(f"cannot read the conversation {file!r}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise EventError(f"{file}: this is not JSON: {error}. {_HOW_TO_SAVE}") from error
    if not isinstance(content, dict) or not isinstance(content.get("events"), list):
        raise EventError(f'{file}: expected an object with a list "events". {_HOW_TO_SAVE}')
    sender_id = content.get("sender_id") or UserMessage.DEFAULT_SENDER_ID
    if not isinstance(sender_id, str):
        raise EventError(f'{file}: "sender_id" is a string, not {type(sender_id).__name__}.')
    events = []
    for number, event in enumerate(content["events"], 1):
        try:
            events.append(Event.from_parameters(event))
        except EventError as error:
            raise EventError(f"{file}: event {number}: {error}") from error
    return DialogueStateTracker.from_events(sender_id, events, domain)


def replay_events(tracker: DialogueStateTracker, agent: Agent) -> list[str]:
    """Let `agent` continue the conversation of `tracker`, and return where its predictions differ from the events.

    The agent's conversation with the same sender_id is replaced by the events of the tracker. The messages of the
    conversation are printed.

    Returns
    -------
    list of str
        The differences, each of which is also logged as a warning: other actions and, if the agent has an interpreter
        for typed text, other intents of the messages.
    """
    agent.replace_events(tracker.sender_id, tracker.events)
    # Built event by event, since each prediction is made from the events before it.
    so_far = DialogueStateTracker(
        tracker.sender_id,
        agent.domain.slots,
        history=history_for(agent.policy_ensemble.window, agent.domain.vocabulary),
    )
    differences = []
    for event in tracker.events:
        found = _difference(event, so_far, agent)
        if found is not None:
            differences.append(found)
            logger.warning(found)
        if isinstance(event, UserUttered):
            click.echo(f"user: {event.text}")
        elif isinstance(event, BotUttered):
            click.echo(f"bot: {json.dumps(event.data, ensure_ascii=False) if event.text is None else event.text}")
        so_far.update(event)
    return differences


def _difference(event: Event, so_far: DialogueStateTracker, agent: Agent) -> str | None:
    place = f"event {so_far.version + 1}"
    # The first action is always to listen, and a paused bot predicts nothing.
    if isinstance(event, ActionExecuted) and so_far.version and not so_far.is_paused():
        prediction = agent.predict(so_far)
        if prediction.action != event.action_name:
            by = f"{prediction.policy}, {prediction.confidence:.2f}"
            return f"{place}: the bot did {event.action_name}; this model would do {prediction.action} ({by})."
    if isinstance(event, UserUttered) and event.text and not isinstance(agent.interpreter, RegexInterpreter):
        before, now = event.intent.get("name"), agent.processor.understand(event.text)["intent"].get("name")
        if before != now:
            return f"{place}: the message {event.text!r} was understood as {before}; now it would be as {now}."
    return None


def recreate_agent(
    model_directory: str | Path, nlu_model: str | None = None, tracker_dump: str | Path | None = None
) -> tuple[Agent, DialogueStateTracker | None]:
    """Load a model, and let it continue a conversation, if one is given, as `replay_events` does.

    Returns
    -------
    agent, tracker
        The tracker is None without `tracker_dump`.
    """
    agent = Agent.load(model_directory, interpreter=nlu_model)
    if tracker_dump is None:
        return agent, None
    tracker = load_tracker_from_json(tracker_dump, agent.domain)
    replay_events(tracker, agent)
    return agent, tracker


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("tracker_dump")
@model_option
@nlu_option
@import_option
@logged
def command(tracker_dump: str, core: str, nlu: str | None, imports: tuple[str, ...]) -> None:
    """Continue the conversation in the file TRACKER_DUMP, which has the JSON of a server.

    Shows where the model predicts another action, and then lets you talk to the bot.
    """
    load_own_modules(imports, core)
    agent, _ = recreate_agent(*model_at(core, nlu))
    tracker = load_tracker_from_json(tracker_dump, agent.domain)
    differences = replay_events(tracker, agent)
    found = counted(len(differences), "difference")
    click.echo(f"{len(tracker.events)} events, {found}; the conversation goes on.")
    Talk(agent, ConsoleInputChannel(tracker.sender_id)).start()
