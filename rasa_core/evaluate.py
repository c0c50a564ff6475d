"""``python -m rasa_core.evaluate``: how well a model follows stories. Predicts only; no action is run."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path

import click

from rasa_core._commands import CONTEXT, Command, log_options, start_log
from rasa_core.agent import Agent
from rasa_core.events import ActionExecuted, UserUttered
from rasa_core.exceptions import RasaCoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.trackers import DialogueStateTracker
from rasa_core.training.evaluation import Evaluation, StoryResult, evaluate_stories

__all__ = [
    "actions_since_last_utterance",
    "align_lists",
    "collect_story_predictions",
    "command",
    "run_story_evaluation",
]

DEFAULT_MAX_STORIES = 100
NO_ACTION = "None"
DEFAULT_FAILED_FILE = "failed_stories.txt"
SHOWN_FAILURES = 10

_EXAMPLES = """\b
Examples:
  # How many actions of the stories does the model get right?
  python -m rasa_core.evaluate -d models/dialogue -s test_stories.md
\b
  # End with exit status 1 if less than 90 % are right.
  python -m rasa_core.evaluate -d models/dialogue -s test_stories.md --fail-under 0.9
"""


def run_story_evaluation(
    resource_name: str | Path,
    policy_model_path: str | Path,
    nlu_model_path: str | None = None,
    max_stories: int | None = None,
    out_file_stories: str | Path | None = None,
    out_file_plot: str | Path | None = None,
) -> Evaluation:
    """Compare a model with stories, print the result, and write the stories that failed into a file.

    Parameters
    ----------
    resource_name
        A story file, or a folder.
    policy_model_path
        The trained model.
    nlu_model_path
        Parses the messages in the stories that do not name an intent: a model, or the address of a server.
    max_stories
        How many stories are looked at, a sample that is the same in each run; None for all.
    out_file_stories
        A story file for the failed stories, which is empty if there are none; None to write none.
    out_file_plot
        Accepted for older programs; nothing is drawn.

    Returns
    -------
    Evaluation
        All predictions.
    """
    if out_file_plot is not None:
        warnings.warn(f"no picture is drawn into {str(out_file_plot)!r}; the numbers are printed.", stacklevel=2)
    interpreter = NaturalLanguageInterpreter.create(nlu_model_path) if nlu_model_path is not None else None
    agent = _load(policy_model_path, interpreter)
    evaluation = evaluate_stories(agent, resource_name, max_stories, interpreter=interpreter)
    for line in summary(evaluation):
        click.echo(line)
    if out_file_stories is not None:
        write_failed_stories(evaluation.failed, out_file_stories)
        if evaluation.failed:
            click.echo(f"The failed stories are in {out_file_stories}, with what was predicted.")
    return evaluation


def collect_story_predictions(
    resource_name: str | Path,
    policy_model_path_or_agent: str | Path | Agent,
    nlu_model_path: str | None = None,
    max_stories: int | None = None,
    shuffle_stories: bool = True,
) -> tuple[list[str], list[str], list[StoryResult]]:
    """Return the actions of stories, what was predicted in their place, and the stories that failed.

    Parameters
    ----------
    policy_model_path_or_agent
        A trained model, or an agent.
    shuffle_stories
        Which stories are looked at if there are more than `max_stories`: a sample, or the first if false.

    Returns
    -------
    actual, predicted, failed
        Two lists of names, equally long; and a list of `StoryResult`.
    """
    interpreter = NaturalLanguageInterpreter.create(nlu_model_path) if nlu_model_path is not None else None
    given = policy_model_path_or_agent
    agent = given if isinstance(given, Agent) else _load(given, interpreter)
    evaluation = evaluate_stories(agent, resource_name, max_stories, shuffle_stories, interpreter)
    actual = [result.expected for result in evaluation.actions]
    predicted = [result.prediction.action for result in evaluation.actions]
    return actual, predicted, evaluation.failed


def align_lists(pred: Sequence[str], actual: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return both lists, equally long by ``"None"`` put in where items of one have no match in the other."""
    left, right = [], []
    for _, start, end, other_start, other_end in difflib.SequenceMatcher(
        a=pred, b=actual, autojunk=False
    ).get_opcodes():
        length = max(end - start, other_end - other_start)
        left += [*pred[start:end], *[NO_ACTION] * (length - end + start)]
        right += [*actual[other_start:other_end], *[NO_ACTION] * (length - other_end + other_start)]
    return left, right


def actions_since_last_utterance(tracker: DialogueStateTracker) -> list[str]:
    """Return the names of the actions since the last message of the user, oldest first."""
    names: list[str] = []
    for event in reversed(tracker.applied_events()):
        if isinstance(event, UserUttered):
            break
        if isinstance(event, ActionExecuted):
            names.append(event.action_name)
    return names[::-1]


def _load(model: str | Path, interpreter: NaturalLanguageInterpreter | None) -> Agent:
    """Load a model without the code of its actions, of which only the names matter here."""
    return Agent.load(model, interpreter, action_factory="remote")


def summary(evaluation: Evaluation) -> list[str]:
    """Return the result as lines of text."""
    count, failed = len(evaluation.stories), evaluation.failed
    lines = [
        f"Stories: {count}" + (f" (a sample of {evaluation.available})" if count < evaluation.available else ""),
        f"Actions: {evaluation.right} of {evaluation.total} right, accuracy {evaluation.accuracy:.4f}",
        f"Whole stories: {count - len(failed)} of {count} right",
        "By policy:",
    ]
    for policy, (made, right) in evaluation.by_policy().items():
        name = "(none: fixed, or nothing learnt)" if policy is None else policy
        share = f"{made} of {evaluation.total} predictions ({made / evaluation.total:.1%})"
        lines.append(f"  {name}: {share}, {right} right")
    if failed:
        lines.append("Failed stories:")
        lines.extend(f"  {_told(story)}" for story in failed[:SHOWN_FAILURES])
    if len(failed) > SHOWN_FAILURES:
        lines.append(f"  and {len(failed) - SHOWN_FAILURES} more")
    return lines


def _told(story: StoryResult) -> str:
    first, source = story.first_wrong()
    where = str(source) if source is not None else f'"{story.name}"'
    wrong = len(story.actions) - story.right
    instead = f"{first.expected}, predicted {first.prediction.action}"
    return f"{where}: {wrong} of {len(story.actions)} wrong; first {instead}"


def write_failed_stories(failed: Sequence[StoryResult], path: str | Path) -> None:
    """Write stories into a story file, with comments where something else was predicted.

    Raises
    ------
    RasaCoreError
        If the file cannot be written.
    """
    text = "\n".join(story.export_stories() for story in failed) or "<!-- No story failed. -->\n"
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RasaCoreError(f"cannot write the failed stories to {str(path)!r}: {error.strerror or error}.") from error


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.option("-s", "--stories", required=True, metavar="STORIES", help="Story file, or folder of stories.")
@click.option("-d", "--core", required=True, metavar="MODEL", help="Directory of the trained model.")
@click.option(
    "-u",
    "--nlu",
    metavar="NLU",
    help="Address (http://...) of an NLU server, or directory of an NLU model: parses the messages in the "
    "stories that do not name an intent.",
)
@click.option(
    "-m",
    "--max_stories",
    "--max-stories",
    type=click.IntRange(min=1),
    default=DEFAULT_MAX_STORIES,
    show_default=True,
    help="Number of stories to look at; a sample if there are more, the same in each run.",
)
@click.option("-o", "--output", metavar="FILE", help="Accepted for older scripts; no picture is drawn.")
@click.option(
    "--failed",
    metavar="FILE",
    default=DEFAULT_FAILED_FILE,
    show_default=True,
    help="Story file for the stories in which something else was predicted.",
)
@click.option(
    "--fail-under",
    type=click.FloatRange(0.0, 1.0),
    metavar="SHARE",
    help="End with exit status 1 if the accuracy is below this share of the actions, 0 to 1.",
)
@log_options
def command(
    stories: str,
    core: str,
    nlu: str | None,
    max_stories: int,
    output: str | None,
    failed: str,
    fail_under: float | None,
    verbose: bool,
    debug: bool,
) -> None:
    """Measure how often a model does what stories say; its actions are predicted, never run."""
    start_log(verbose, debug)
    if output is not None:
        click.echo(f"No picture is drawn into {output}; the numbers are printed.", err=True)
    evaluation = run_story_evaluation(stories, core, nlu, max_stories, failed)
    if fail_under is not None and evaluation.accuracy < fail_under:
        raise click.ClickException(f"the accuracy {evaluation.accuracy:.4f} is below {fail_under:g}.")


if __name__ == "__main__":
    command(prog_name="python -m rasa_core.evaluate")
