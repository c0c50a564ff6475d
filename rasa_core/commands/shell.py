"""``rasa-core shell``: talk to the bot of a project on the terminal, and see what it makes of it."""

from __future__ import annotations

import sys

import click

from rasa_core.agent import Agent
from rasa_core.channels.console import ConsoleInputChannel
from rasa_core.commands.common import CONTEXT, Command, import_option, load_modules, model_at, nlu_option, start_log
from rasa_core.commands.talk import Talk

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

    /help tells what else can be typed: /explain, /undo, /story, /slots, /restart and /stop.
    """
    start_log(False, debug)
    load_modules(imports, project)
    core, nlu = model_at(project, nlu)
    agent = Agent.load(core, interpreter=nlu, actions=actions)
    # A file of messages is not asked, or its next line would be taken for what came of an action.
    asks = not done and sys.stdin is not None and sys.stdin.isatty()
    Talk(agent, ConsoleInputChannel(sender), shows_steps=verbose, asks=asks).start()
