"""``python -m rasa_core.visualize``: draw stories as a graph."""

from __future__ import annotations

import click

from rasa_core.commands.common import CONTEXT, Command, import_option, load_modules, log_options, start_log
from rasa_core.domain import Domain
from rasa_core.drawing.stories import visualize_stories
from rasa_core.exceptions import DomainError
from rasa_core.project import Project
from rasa_core.stories import extract_story_graph

_EXAMPLES = """\b
Examples:
  # A page for the browser.
  python -m rasa_core.visualize -d domain.yml -s stories.md -o stories.html
\b
  # The stories of a bot, wherever they stand in its folder.
  rasa-core visualize examples/remote -o stories.html

  # One node for each action, and examples of what users say on the arrows.
  python -m rasa_core.visualize -d domain.yml -s stories.md -o stories.svg -m 1 -nlu nlu.md
"""


def _load_domain(path: str) -> Domain:
    """Read a domain, with or without the code of its actions, which a picture does not need."""
    try:
        return Domain.load(path)
    except DomainError:
        return Domain.load(path, action_factory="remote")


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("project", required=False, type=click.Path(exists=True, file_okay=False))
@click.option("-s", "--stories", metavar="STORIES", help="Story file, or folder of stories.")
@click.option("-d", "--domain", metavar="FILE", help="Domain file.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="Picture to write: .html, .svg, .png, .dot or .mmd (Mermaid).",
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
@click.option("-nlu", "--nlu_data", "--nlu-data", metavar="FILE", help="NLU examples, shown in place of intents.")
@import_option
@log_options
def command(
    project: str | None,
    stories: str | None,
    domain: str | None,
    output: str,
    max_history: int,
    nlu_data: str | None,
    imports: tuple[str, ...],
    verbose: bool,
    debug: bool,
) -> None:
    """Draw how conversations go: actions, and what the user says between them.

    Give the folder of a bot as PROJECT, or --domain and --stories.
    """
    start_log(verbose, debug)
    if project is None and (domain is None or stories is None):
        raise click.UsageError("give PROJECT, the folder of a bot, or both --domain and --stories.")
    load_modules(imports, project or str(domain))
    bot = None if project is None else Project(project, domain, stories)
    if bot is None:
        visualize_stories(str(stories), _load_domain(str(domain)), output, max_history, nlu_data)
    elif bot.rasa is not None:
        read = bot.rasa.read_stories()
        steps = [step for steps in read.steps for step in steps]
        visualize_stories(steps, bot.load_domain(), output, max_history, nlu_data)
    else:
        own = _load_domain(str(bot.domain_file))
        visualize_stories(extract_story_graph(bot.stories, own), own, output, max_history, nlu_data)
    click.echo(f"The stories are drawn in {output}.")
