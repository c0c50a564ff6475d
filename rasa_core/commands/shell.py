"""``rasa-core shell``: talk to a bot on the terminal, ask for explanations, and report the results of own actions."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from rasa_core.agent import Agent
from rasa_core.channels.channel import OutputChannel, UserMessage
from rasa_core.channels.console import FAINT, RED, ConsoleInputChannel, ConsoleOutputChannel, coloured
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.commands.common import CONTEXT, Command, import_option, load_own_modules, model_at, nlu_option, start_log
from rasa_core.domain import Domain
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    BotUttered,
    Event,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import EventError, RasaCoreError
from rasa_core.explanation.decisions import Explanation, PolicyOpinion
from rasa_core.interpreter import RegexInterpreter
from rasa_core.responses import ResponseDispatcher
from rasa_core.stories.edits import with_story
from rasa_core.support.text_edits import Edit, content_of, write_edits
from rasa_core.teaching.continuation import act, say
from rasa_core.teaching.corrections import read_events, story_of

RESTART: Final = "/restart"
_MOST_ACTIONS: Final = 20  # The most actions in the user's own code for one message; then the bot seems to loop.
_MOST_INTENTS: Final = 12
_MOST_IN_TITLE: Final = 5
_MOST_PLACES: Final = 3
_FAILED: Final = "failed"
_COMMANDS: Final = {
    "/explain": "why the bot did what it did last",
    "/undo": "take the last message back",
    "/story": "show what was played as a story; /story FILE appends it to a file",
    "/slots": "what the bot remembers",
    RESTART: "start the conversation anew",
    "/help": "show this list",
    "/stop": "end the chat",
}


class Talk:
    """Talks to a bot on the terminal.

    Parameters
    ----------
    channel
        The channel that reads lines from the terminal.
    shows_steps
        Whether the intent, entities, slots and decisions of each step are shown, too.
    asks
        Whether to ask for the result of an action that runs in the user's own code; otherwise it counts as done.
    """

    def __init__(
        self, agent: Agent, channel: ConsoleInputChannel, *, shows_steps: bool = False, asks: bool = False
    ) -> None:
        self._agent, self._channel = agent, channel
        self._shows_steps, self._asks = shows_steps, asks
        self._sender_id = channel.sender_id
        self._has_told = False
        self._commands: Mapping[str, Callable[[str], None]] = {
            "/explain": self._explain,
            "/undo": self._undo,
            "/story": self._story,
            "/slots": self._slots,
            RESTART: self._restart,
            "/help": self._help,
        }

    def start(self) -> None:
        """Talk until ``/stop``, the end of the input or Ctrl+C; errors do not end the chat."""
        for line in how_to_talk(self._agent):
            click.echo(line)
        try:
            self._channel.start_sync_listening(self._handle)
        except KeyboardInterrupt:
            click.echo()

    def _handle(self, message: UserMessage) -> None:
        text = (message.text or "").strip()
        if not text:
            return
        try:
            command = self._command_in(text)
            if command is None:
                self._say(text)
            else:
                command(text.partition(" ")[2].strip())
        except (RasaCoreError, OSError) as error:
            sys.stdout.flush()
            click.echo(coloured(f"Error: {error}", RED, sys.stderr), err=True)
        except KeyboardInterrupt:
            if self._channel.editor is None:
                raise
            self._channel.editor.put_back(message.text or "")  # After Ctrl+C, the message need not be typed again.
            click.echo("\n(interrupted; your message stands there again)")

    def _command_in(self, text: str) -> Callable[[str], None] | None:
        """Return the chat's command in a line, such as ``/undo``; None if the line is a message for the bot."""
        # An intent of the bot goes before a command with the same name, since the intent could not be said otherwise.
        # Only /restart is always a command, which has the same effect as the intent.
        name = text.split(maxsplit=1)[0]
        intent = name[1:].partition("{")[0]
        if not name.startswith("/") or name == RESTART or intent in self._agent.domain.intents:
            return self._commands[RESTART] if name == RESTART else None
        if name in self._commands:
            return self._commands[name]
        near = difflib.get_close_matches(name, _COMMANDS, n=1, cutoff=0.75)
        is_known = intent == self._agent.domain.restart_intent or "{" in name
        return None if is_known or not near else lambda _: self._suggest(name, near[0])

    @staticmethod
    def _suggest(name: str, near: str) -> None:
        click.echo(f"There is no intent and no command {name!r}. Did you mean {near}? Nothing was sent.")

    # -- a message

    def _say(self, text: str) -> None:
        before = self._agent.read_tracker(self._sender_id).version
        # If steps are shown, the bot's messages are shown among them, in the order of the log.
        out: OutputChannel = CollectingOutputChannel() if self._shows_steps else ConsoleOutputChannel()
        info = self._play(text, out)
        if self._shows_steps:
            tracker = self._agent.read_tracker(self._sender_id)
            for event in tracker.latest_events(tracker.version - before):
                self._show(event)
        if info is not None:
            click.echo(coloured(f"({info})", FAINT))

    def _play(self, text: str, out: OutputChannel) -> str | None:
        """Take a turn, in which some actions may run in the user's own code; return a note for the user, if any."""
        turns = self._agent.turns()
        told = say(turns, self._sender_id, text, channel=out).result
        info: str | None = told.get("info")
        for _ in range(_MOST_ACTIONS):
            name = told["next_action"]
            if name is None:
                info = told.get("info") or info
                return info
            if turns.runner.runs_here(name):
                break
            events, error = self._came_of(name)
            told = act(turns, self._sender_id, name, events, error, channel=out).result
        return f"many actions ran for one message, the last of them {name}, and the bot still would not listen"

    def _came_of(self, name: str) -> tuple[list[Event], str | None]:
        if not self._asks:
            click.echo(coloured(f"({name} runs in your own code; it is taken as done)", FAINT))
            return [], None
        click.echo(f"{name} runs in your own code. What came of it?")
        if not self._has_told:
            self._has_told = True
            click.echo(
                '  Events, one a line, such as slot{"city": "Porto"}; failed WHY if it failed; then an empty line.'
            )
        events: list[Event] = []
        while line := (self._channel.ask(f"{name}> ") or "").strip():
            if line in _COMMANDS:  # A command is no event; while a result is asked for, commands are not possible.
                problem = f"Error: {line} is for the chat, which goes on after an empty line."
                click.echo(coloured(problem, RED, sys.stderr), err=True)
                continue
            if line.split(maxsplit=1)[0] == _FAILED:
                return events, line[len(_FAILED) :].strip()
            try:  # Each line is checked at once, so that a wrong line can be typed again and the others are kept.
                found = read_events(line)
                self._agent.turns().check(None, found)
                events += found
            except (EventError, ValueError) as error:
                click.echo(coloured(f"Error: {error}", RED, sys.stderr), err=True)
        return events, None

    # -- showing events

    def _show(self, event: Event) -> None:
        if isinstance(event, BotUttered):
            data = event.data if isinstance(event.data, dict) else {}
            # An image is also in "attachment", for channels that do not know images; it is shown once.
            said = {key: value for key, value in data.items() if key != "attachment" or value != data.get("image")}
            dispatcher = ResponseDispatcher(self._sender_id, ConsoleOutputChannel(), self._agent.domain)
            dispatcher.utter_response({"text": event.text, **said})
            return
        told = _told(event)
        if told is not None:
            click.echo(coloured(f"  {told[0]:<11}{told[1]}", FAINT))

    # -- commands

    def _restart(self, _: str) -> None:
        self._say(f"/{self._agent.domain.restart_intent}")
        click.echo("(the conversation starts anew)")

    def _undo(self, _: str) -> None:
        tracker = self._agent.read_tracker(self._sender_id)
        if not any(isinstance(event, UserUttered) for event in tracker.applied_events()):
            click.echo("There is nothing to take back.")
            return
        text = tracker.latest_message.text
        self._agent.append_events(self._sender_id, [UserUtteranceReverted()])
        click.echo(f"(taken back, with all that came of it: {text})")

    def _story(self, file: str) -> None:
        domain = self._agent.domain
        events = story_of(self._agent.read_tracker(self._sender_id), domain)
        if not events:
            click.echo("There is no story yet: say something that is answered first.")
            return
        said = [event.intent.get("name") or "?" for event in events if isinstance(event, UserUttered)]
        title = ", ".join(said[:_MOST_IN_TITLE])
        if not file:
            name = "stories.md" if domain.rasa is None else "stories.yml"
            click.echo(with_story(b"", name, title, events).decode().rstrip("\n"))
            return
        before = content_of(Path(file))
        write_edits([Edit(Path(file), before, with_story(before or b"", file, title, events))])
        click.echo(f"(added to {file}; train again to let the bot learn it)")

    def _slots(self, _: str) -> None:
        for name, value in self._agent.read_tracker(self._sender_id).current_slot_values().items():
            click.echo(f"  {name} = {json.dumps(value, ensure_ascii=False)}")

    def _explain(self, _: str) -> None:
        events = list(self._agent.read_tracker(self._sender_id).events)
        acted = [index for index, event in enumerate(events) if isinstance(event, ActionExecuted)]
        # The last action is always to listen; the question is about the action before.
        did = [index for index in acted if getattr(events[index], "action_name", "") != ACTION_LISTEN_NAME]
        if not did:
            click.echo("The bot has done nothing yet.")
            return
        for line in lines_of_explanation(self._agent.explain(self._sender_id, did[-1])):
            click.echo(line)

    def _help(self, _: str) -> None:
        for name, what in _COMMANDS.items():
            click.echo(f"  {name:<10}{what}")
        click.echo("A line that names an intent of the bot, such as /greet, is a message in any case.")


def _told(event: Event) -> tuple[str, str] | None:
    """Return the text and the kind of a step that shows an event; None if the event is not shown."""
    if isinstance(event, UserUttered):
        intent = event.intent
        confidence = intent.get("confidence")
        sure = "" if confidence is None else f" {confidence:.2f}"
        entities = {str(entity["entity"]): entity.get("value") for entity in event.entities}
        named = f" {json.dumps(entities, ensure_ascii=False)}" if entities else ""
        return "understood", f"{intent.get('name')}{sure}{named}"
    if isinstance(event, SlotSet):
        return "slot", f"{event.key} = {json.dumps(event.value, ensure_ascii=False)}"
    if isinstance(event, ActionExecuted):
        if event.action_name == ACTION_LISTEN_NAME and event.confidence is None:
            return None  # An ``action_listen`` that no policy predicted is not shown.
        by = "" if event.policy is None else f" by {event.policy}"
        sure = "" if event.confidence is None else f" {event.confidence:.2f}"
        instead = "" if event.predicted is None else f" instead of {event.predicted}"
        failed = "" if event.error is None else f", failed: {event.error}"
        return "action", f"{event.action_name}{by}{sure}{instead}{failed}"
    line = event.as_story_string()
    return None if line is None else ("event", line)


def lines_of_explanation(found: Explanation) -> Iterator[str]:
    """Yield the lines of an explanation for the terminal."""
    decided = f"by {found.policy}" if found.fixed_by is None else f"fixed: {found.fixed_by}"
    yield f"{found.action}: {found.confidence or 0:.2f}, {decided}"
    if found.understood is not None:
        yield f"the message was understood with {found.understood:.2f}"
    if found.failed is not None:
        yield f"the action before had failed: {found.failed}"
    for opinion in found.policies:
        yield from _of(opinion)
    if (second := found.nearest_miss) is not None:
        how = "it would have been chosen" if second.is_enough else "no single change would have led to it; nearest was"
        yield f"{second.action} came second{f'; {how}' if second.changes else ''}"
        yield from (f"    {change.text}" for change in second.changes)


def _of(opinion: PolicyOpinion) -> Iterator[str]:
    says = "nothing" if opinion.action is None else f"{opinion.action} ({opinion.score:.2f})"
    yield f"{opinion.policy} says {says}{f': {opinion.note}' if opinion.note else ''}"
    for lesson in opinion.lessons or ():
        more = f", and {lesson.more} more" if lesson.more else ""
        yield f"    {lesson.action}, from {', '.join(lesson.places[:_MOST_PLACES]) or 'no story'}{more}"


def how_to_talk(agent: Agent) -> list[str]:
    """Return the lines that are shown at the start of a chat."""
    lines = []
    if isinstance(agent.interpreter, RegexInterpreter):
        lines.append(f"Messages name their intent: {' or '.join(_examples(agent.domain))}.")
        lines.append(f"Intents: {_shown(agent.domain.intents)}.")
    if not agent.processor.runner.runs_everything:
        lines.append("Some actions of this bot run in your own code, which this chat cannot call.")
    lines.append(f"{RESTART} starts the conversation anew, /help shows what else there is.")
    return lines


def _examples(domain: Domain) -> list[str]:
    intents = domain.intents or ["intent"]
    parameters = json.dumps({(domain.entities or ["entity"])[0]: "value"})
    return [f"/{intents[0]}", f"/{intents[-1]}{parameters}"]


def _shown(names: Iterable[str]) -> str:
    known = list(names)
    more = len(known) - _MOST_INTENTS
    return ", ".join(known[:_MOST_INTENTS]) + (f" and {more} more" if more > 0 else "")


# -- the command

_EXAMPLES = """\b
Examples:
  # The bot of this folder, as it was trained last; with what it understood and decided.
  rasa-core shell -v
\b
  # Its actions run in an action server.
  rasa-core shell examples/remote --actions http://localhost:5055/webhook
\b
  # Its actions run in your own code: say what came of them, or take them as done.
  rasa-core shell examples/remote
  rasa-core shell examples/remote --done
"""


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("project", default=".", metavar="[PROJECT]")
@nlu_option
@click.option("-v", "--verbose", is_flag=True, help="Show intent, entities, slots, policy and score of each step.")
@click.option("--actions", metavar="URL", help="Action server that runs the actions without a response.")
@click.option("--done", is_flag=True, help="Take actions that run in your own code as done, without asking.")
@click.option("--sender", default="default", show_default=True, metavar="ID", help="Id of the conversation.")
@click.option("--debug", is_flag=True, help="Show everything that is logged.")
@import_option
def command(
    project: str,
    nlu: str | None,
    verbose: bool,
    actions: str | None,
    done: bool,
    sender: str,
    debug: bool,
    imports: tuple[str, ...],
) -> None:
    """Talk to the bot of PROJECT, which is this folder if not given, or to a model.

    /help describes the commands of the chat: /explain, /undo, /story, /slots, /restart and /stop.
    """
    start_log(False, debug)
    load_own_modules(imports, project)
    core, nlu = model_at(project, nlu)
    agent = Agent.load(core, interpreter=nlu, actions=actions)
    # If messages come from a file, nothing is asked: the next message would be taken for the result of an action.
    asks = not done and sys.stdin is not None and sys.stdin.isatty()
    Talk(agent, ConsoleInputChannel(sender), shows_steps=verbose, asks=asks).start()
