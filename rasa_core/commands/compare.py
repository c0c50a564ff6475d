"""``rasa-core compare``: how the decisions of two models differ in recorded conversations and in stories."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import quoteattr

import click

from rasa_core.agent import Agent
from rasa_core.commands.common import CONTEXT, Command, import_option, load_own_modules, logged, model_at
from rasa_core.commands.store import check_url, open_store
from rasa_core.evaluation.changes import VERDICTS, Comparison
from rasa_core.evaluation.replay import compare_stories, replay_of, without_corrected
from rasa_core.evaluation.stories import evaluate_stories
from rasa_core.evaluation.tables import one_line
from rasa_core.evaluation.workers import compare_stored
from rasa_core.exceptions import counted
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.server.settings import STORE_VARIABLE
from rasa_core.stories import extract_story_graph
from rasa_core.support.folders import whole_file
from rasa_core.support.progress import Progress
from rasa_core.tracker_store.reviews import newest

logger = logging.getLogger(__name__)

_TOLD_EVERY: Final = 50

_EXAMPLES = """\b
Examples:
  # What would the second model do otherwise, in the last 1,000 conversations?
  rasa-core compare models/old models/new --store sqlite:///conversations.db
\b
  # In a build: stop before a model serves that breaks a story, or what the bot did right.
  rasa-core compare models/old models/new --store sqlite:///conversations.db -s test_stories.md
    --fail-on-worse --format junit -o compare.xml
\b
A change looks like this:
  greet: utter_hello -> utter_bye, 12 times (worse)
      anna (at 7), bert (at 3), ...
"""


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("before", metavar="MODEL", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("after", metavar="MODEL", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--store",
    metavar="URL",
    default=lambda: os.environ.get(STORE_VARIABLE),
    callback=lambda ctx, param, value: None if value is None else check_url(ctx, param, value),
    help=f"The store of the conversations.  [default: {STORE_VARIABLE}, or none]",
)
@click.option(
    "--last",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    metavar="N",
    help="Compare the newest N conversations.",
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of processes that compare; one needs the least memory.  [default: the number of processors]",
)
@click.option("-s", "--stories", multiple=True, metavar="STORIES", help="Story file or folder, or tests; repeatable.")
@click.option("--fail-on-worse", is_flag=True, help="Exit with 1 if a story fails now, or a decision is worse.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "junit"]),
    default="text",
    show_default=True,
    help="Text, one JSON object, or JUnit's XML for build servers.",
)
@click.option("-o", "--output", metavar="FILE", help="Write into this file.  [default: the terminal]")
@import_option
@logged
def command(
    before: Path,
    after: Path,
    store: str | None,
    last: int,
    processes: int | None,
    stories: tuple[str, ...],
    fail_on_worse: bool,
    form: str,
    output: str | None,
    imports: tuple[str, ...],
) -> None:
    """List the decisions in which the second MODEL differs from the first.

    A MODEL is the folder of a dialogue model, a folder with dialogue/ and nlu/, or the project of a bot. No action is
    run. A decision is worse if the first model predicts the action that was run in the conversation, and the second
    does not; it is better the other way round. If somebody has made a corrected draft of a conversation, the draft is
    compared in its place.
    """
    if store is None and not stories:
        raise click.UsageError("give --store URL, the conversations, or -s STORIES, or both.")
    load_own_modules(imports, before, after)
    bots = [_bot(path) for path in (before, after)]
    found = Comparison()
    if store is not None:
        found = _conversations(bots, store, last, processes)
    for name in stories:
        graph = extract_story_graph(name, bots[0].domain, bots[0].interpreter)  # Both models get the same stories.
        old, new = (evaluate_stories(bot, graph) for bot in bots)
        found.stories.append(compare_stories(name, old, new))
    _write(output, _WRITTEN[form](found))
    if fail_on_worse and found.is_worse:
        raise click.exceptions.Exit(1)


def _bot(path: Path) -> Agent:
    """Return the bot of a model or a project, with its interpreter if there is one."""
    inner = path / "dialogue"
    found = (str(inner), str(path / "nlu")) if inner.is_dir() else model_at(str(path))
    nlu = found[1] if found[1] is not None and Path(found[1]).is_dir() else None
    return Agent.load(found[0], interpreter=NaturalLanguageInterpreter.create(nlu))


def _conversations(bots: Sequence[Agent], url: str, last: int, processes: int | None) -> Comparison:
    with open_store(url) as store:
        store.domain = bots[0].domain  # Slots are read with the first model, which served the conversations.
        names = list(newest(store, last, without_corrected))
        with Progress("comparing, conversation", len(names)) as progress:

            def tell(done: int) -> None:
                if done % _TOLD_EVERY == 0:
                    progress.step(done)

            found = compare_stored(replay_of(bots[0], bots[1]), store, names, tell, processes=processes)
    # Otherwise `--fail-on-worse` would pass without a message although nothing was compared.
    if not names:
        logger.warning("the store has no conversation to compare: check --store.")
    elif found.conversations < len(names):
        gone = len(names) - found.conversations
        logger.warning("%d of %d conversations were deleted before they were compared.", gone, len(names))
    return found


# -- formats of the output


def _write(output: str | None, text: str) -> None:
    if output is None:
        click.echo(text)
        return
    try:
        with whole_file(output, encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise click.ClickException(f"cannot write {output}: {error.strerror or error}.") from error


def _as_text(found: Comparison) -> str:
    lines = []
    for stories in found.stories:
        lines.append(f"{stories.name}: {stories.total} stories, {stories.failing} fail with the second model.")
        lines += [f"  fails now: {one_line(name)}" for name in stories.broken]
        lines += [f"  passes now: {one_line(name)}" for name in stories.mended]
    if found.conversations:
        told = f"{counted(found.conversations, 'conversation')}, {counted(found.decisions, 'decision')}"
        counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in VERDICTS)
        lines.append(f"{told}: {counts}.")
    changes = [*found.changes, *found.understood, *found.entities]
    for change in changes:
        lines.append(one_line(str(change)))
        shown = ", ".join(f"{one_line(name)} (at {at})" for name, at in change.examples[:3])
        lines.append(f"    {shown}{', ...' if change.count > 3 else ''}")
    if not changes and not any(one.broken or one.mended for one in found.stories):
        lines.append("Both models do the same.")
    return "\n".join(lines)


def _as_json(found: Comparison) -> str:
    return json.dumps(found.as_dict(), indent=2)


def _as_junit(found: Comparison) -> str:
    cases: list[tuple[str, str | None]] = []
    for stories in found.stories:
        passing = stories.total - len(stories.broken)
        cases.append((f"{stories.name}: {passing} of {stories.total} stories do not fail anew", None))
        cases += [(f"{stories.name}: {name}", "fails with the second model alone") for name in stories.broken]
    if found.conversations:
        cases.append((f"{found.conversations} conversations are replayed", None))
    for change in [*found.changes, *found.understood, *found.entities]:
        examples = ", ".join(f"{name} (at {at})" for name, at in change.examples)
        # Only worse decisions are failures, which stop a build; other differences count as passed.
        cases.append((str(change), f"{change}: {examples}" if change.verdict == "worse" else None))
    failures = sum(problem is not None for _, problem in cases)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuite name="rasa-core compare" tests="{len(cases)}" failures="{failures}">')
    for name, problem in cases:
        failure = "" if problem is None else f"<failure message={_attribute(problem)}/>"
        lines.append(f'  <testcase classname="compare" name={_attribute(name)}>{failure}</testcase>')
    return "\n".join([*lines, "</testsuite>"])


def _attribute(text: str) -> str:
    """Return a text as the value of an XML attribute, without control characters, which XML forbids."""
    return quoteattr("".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text))


_WRITTEN: Final = {"text": _as_text, "json": _as_json, "junit": _as_junit}
