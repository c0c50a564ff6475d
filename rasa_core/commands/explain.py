"""``rasa-core explain``: why a bot chooses its action after some messages."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from rasa_core.agent import Agent
from rasa_core.commands.common import CONTEXT, Command, form_option, import_option, load_own_modules, logged, model_at
from rasa_core.commands.shell import lines_of_explanation
from rasa_core.events import ACTION_LISTEN_NAME

MOST_ACTIONS = 10  # The most actions for one message: since no action is really run, a bot may never listen.
_SENDER = "explained"

_EXAMPLES = """\b
Examples:
  # What would the bot in this folder do now, and which lines of the stories taught it that?
  rasa-core explain . "hello" "which concerts are there in Lisbon?"
\b
  # Messages may name their intent.
  rasa-core explain models/dialogue '/greet' '/find_concerts{"city": "Lisbon"}'
"""


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("place", metavar="MODEL|PROJECT")
@click.argument("messages", nargs=-1, required=True, metavar="MESSAGE...")
@click.option("-u", "--nlu", metavar="NLU", help="NLU model or server for typed text; by default that of a PROJECT.")
@form_option
@import_option
@logged
def command(place: str, messages: Sequence[str], nlu: str | None, form: str, imports: tuple[str, ...]) -> None:
    """Explain why a bot chooses its action after the last of some MESSAGES.

    The actions after the earlier messages count as done, without any events that they may cause.
    """
    load_own_modules(imports, place)
    model, nlu = model_at(place, nlu)
    agent = Agent.load(model, interpreter=nlu, action_factory="remote")
    for message in messages[:-1]:
        _play(agent, message)
    agent.start_message_handling(messages[-1], _SENDER)
    found = agent.explain(_SENDER)
    click.echo(json.dumps(found.as_dict(), indent=1) if form == "json" else "\n".join(lines_of_explanation(found)))


def _play(agent: Agent, message: str) -> None:
    action = agent.start_message_handling(message, _SENDER)["next_action"]
    for _ in range(MOST_ACTIONS):
        if action in (None, ACTION_LISTEN_NAME):
            return
        action = agent.continue_message_handling(_SENDER, action)["next_action"]
