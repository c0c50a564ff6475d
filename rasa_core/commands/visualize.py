"""``python -m rasa_core.visualize``: draw stories as a graph."""

from __future__ import annotations

import click

from rasa_core.commands.common import CONTEXT, Command, import_option, load_own_modules, logged
from rasa_core.domain import Domain
from rasa_core.drawing.stories import visualize_stories
from rasa_core.exceptions import DomainError
from rasa_core.project import Project
from rasa_core.stories import extract_story_graph
from rasa_core.stories.steps import StoryStep
from rasa_core.stories.yaml import rules_as_steps

_EXAMPLES = """\b
Examples:
  # The bot in a folder, with its rules, as a page.
  rasa-core visualize PROJECT -o stories.html
\b
  # A page for the browser.
  rasa-core visualize -d domain.yml -s stories.md -o stories.html
\b
  # The stories of a bot, wherever they stand in its folder.
  rasa-core visualize examples/remote -o stories.html
\b
  # One node for each action, and examples of what users say on the arrows.
  rasa-core visualize -d domain.yml -s stories.md -o stories.svg -m 1 -nlu nlu.md
"""


def _load_domain(path: str) -> Domain:
    """Read a domain; if the code of its actions cannot be imported, without it, since a picture does not need it."""
    try:
        return Domain.load(path)
    except DomainError:  # Any other mistake in the domain raises the error again.
        return Domain.load(path, action_factory="remote")


def _steps_of(bot: Project, domain: Domain) -> list[StoryStep]:
    """Return all stories of a bot, and its rules as stories."""
    if bot.rasa is None:
        return extract_story_graph(bot.stories, domain).story_steps
    read = bot.rasa.read_stories()
    return [*(step for story in read.steps for step in story), *rules_as_steps(read.rules)]


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("project", required=False, type=click.Path(exists=True, file_okay=False))
@click.option(
    "-s", "--stories", metavar="STORIES", help="Stories: a file, or a folder.  [default: the stories of PROJECT]"
)
@click.option("-d", "--domain", metavar="FILE", help="Domain file, if not that of PROJECT.")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="Picture to write: .html, .svg, .png, .dot or .mmd (Mermaid)."
)
@click.option(
    "-m",
    "--max_history",
    "--max-history",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="How many actions in a row are the same where stories are drawn as one.",
)
@click.option("-c", "--config", metavar="FILE", hidden=True, expose_value=False)  # Of policies, in later versions.
@click.option("-nlu", "--nlu_data", "--nlu-data", metavar="FILE", help="NLU examples, shown in place of intents.")
@import_option
@logged
def command(
    project: str | None,
    stories: str | None,
    domain: str | None,
    output: str,
    max_history: int,
    nlu_data: str | None,
    imports: tuple[str, ...],
) -> None:
    """Draw stories as a graph of actions and of the user's messages between them.

    Give the folder PROJECT of a bot, or its domain and its stories. For a bot of Rasa 2 or 3, rules are drawn, too.
    """
    if project is None and (stories is None or domain is None):
        raise click.UsageError("give the folder of a bot, or its stories (-s) and its domain (-d).")
    load_own_modules(imports, project or str(domain))
    if project is None:
        visualize_stories(str(stories), _load_domain(str(domain)), output, max_history, nlu_training_data=nlu_data)
    else:
        bot = Project(project)
        given = bot.rasa.domain if bot.rasa is not None else _load_domain(str(domain or bot.domain_file))
        visualize_stories(stories or _steps_of(bot, given), given, output, max_history, nlu_training_data=nlu_data)
    click.echo(f"The stories are drawn in {output}.")
