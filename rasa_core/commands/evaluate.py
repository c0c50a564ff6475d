"""``rasa-core evaluate``: how often models predict the actions of stories. No action is run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import click

from rasa_core.agent import Agent
from rasa_core.commands.common import (
    CONTEXT,
    Command,
    form_option,
    import_option,
    is_project,
    least_option,
    load_own_modules,
    logged,
    model_at,
    or_none,
)
from rasa_core.domain import Domain
from rasa_core.drawing.svg import check_picture_file
from rasa_core.evaluation.cross_validation import (
    Setup,
    all_stories,
    cross_validate,
    folds_of_stories,
    learning_curve,
    train_and_evaluate,
)
from rasa_core.evaluation.stories import StoryEvaluation, StoryResult, evaluate_stories
from rasa_core.evaluation.story_report import curve_report, models_report, story_report
from rasa_core.evaluation.tables import Report, fitted, width_of_terminal
from rasa_core.exceptions import RasaCoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.model_folder import read_model
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.project import Project, network_of
from rasa_core.rasa3.rule import Rule
from rasa_core.rasa_project.config import read_rasa_config
from rasa_core.rasa_project.files import RasaFiles, is_rasa
from rasa_core.stories import extract_story_graph
from rasa_core.stories.files import story_files
from rasa_core.stories.steps import StoryGraph
from rasa_core.stories.yaml import YAML_SUFFIXES
from rasa_core.support.folders import check_parent
from rasa_core.trackers import DialogueStateTracker

__all__ = ["collect_story_predictions", "command", "run_story_evaluation"]

DEFAULT_MAX_STORIES = 100
DEFAULT_FOLDS = 5
DEFAULT_FAILED_FILE = "failed_stories.txt"
DEFAULT_FAILED_YAML = "failed_test_stories.yml"

_EXAMPLES = """\b
Examples:
  # Does a bot do what its test stories (tests/) say, and does it understand their messages?
  rasa-core evaluate PROJECT
\b
  # How many actions of the stories does a model get right, and which not?
  rasa-core evaluate -d models/dialogue -s test_stories.md
\b
  # With pictures: what is taken for what, and how far confidence can be trusted.
  rasa-core evaluate -d models/dialogue -s test_stories.md -o confusion.svg --calibration calibration.svg
\b
  # In a build: exit status 1 if less than 95 % of the actions are right.
  rasa-core evaluate -d models/dialogue -s test_stories.md --fail-under 0.95
\b
  # How well are stories followed that were not learnt? Train five times, each time without a fifth of them.
  rasa-core evaluate -D domain.yml -s stories.md --folds 5
\b
  # Which of these models is the best?
  rasa-core evaluate --compare models/one models/two -s test_stories.md
\b
  # Would more stories help? Train on all, 75 %, 50 % and 25 % of them, three times each.
  rasa-core evaluate -D domain.yml -s stories.md --exclude 0,25,50,75 --runs 3 -o curve.svg
"""


def run_story_evaluation(
    resource_name: str | Path,
    policy_model_path: str | Path,
    nlu_model_path: str | None = None,
    max_stories: int | None = None,
    out_file_stories: str | Path | None = None,
    out_file_plot: str | Path | None = None,
) -> StoryEvaluation:
    """Compare a model with stories, print the result, and write the stories that failed into a file.

    Parameters
    ----------
    resource_name
        A story file, or a folder.
    policy_model_path
        Folder of the trained model.
    nlu_model_path
        An NLU model, or the address of an NLU server, for the messages in stories that do not name an intent.
    max_stories
        How many stories are evaluated, as a sample that is the same in each run; None for all.
    out_file_stories
        A story file for the failed stories; if no story fails, it only has a comment. None to write no file.
    out_file_plot
        A file for the confusion matrix, .svg or .png; None to draw none.
    """
    if out_file_plot is not None:
        check_picture_file(out_file_plot)
    found = _evaluated(policy_model_path, resource_name, nlu_model_path, max_stories)
    report = story_report(found, PurePath(resource_name).name)
    _tell(report, "text", {"failed": out_file_stories, "output": out_file_plot})
    return found


def collect_story_predictions(
    resource_name: str | Path,
    policy_model_path: str | Path | Agent,
    nlu_model_path: str | None = None,
    max_stories: int | None = None,
    shuffle_stories: bool = True,
) -> tuple[list[str], list[str], list[StoryResult]]:
    """Return the actions of stories, the predicted actions, and the stories that failed.

    Parameters
    ----------
    policy_model_path
        A trained model, or an agent.
    shuffle_stories
        Whether a random sample is evaluated if there are more than `max_stories` stories, instead of the first ones.

    Returns
    -------
    actual, predicted, failed
        Two lists of names, equally long; and a list of `StoryResult`.
    """
    found = _evaluated(policy_model_path, resource_name, nlu_model_path, max_stories, shuffle_stories)
    return [expected for expected, _ in found.pairs], [predicted for _, predicted in found.pairs], found.failed


def _interpreter(nlu: str | None) -> NaturalLanguageInterpreter | None:
    return None if nlu is None else NaturalLanguageInterpreter.create(nlu)


def _evaluated(
    model: str | Path | Agent,
    stories: str | Path | Sequence[Path],
    nlu: str | None,
    max_stories: int | None,
    shuffle_stories: bool = True,
) -> StoryEvaluation:
    """Evaluate an agent, or a model; a model is loaded without the code of its actions, since none is run."""
    interpreter = _interpreter(nlu)
    agent = model if isinstance(model, Agent) else Agent.load(model, interpreter, action_factory="remote")
    graph = _read(stories, agent.domain, interpreter)
    parser = None if agent.domain.rasa is None else interpreter  # The texts in tests of Rasa 3 are parsed again.
    found = evaluate_stories(agent, graph, max_stories, shuffle_stories, parser)
    if not found.actions:
        raise RasaCoreError("the stories have no action that could be measured.")
    return found


def _read(
    stories: str | Path | Sequence[Path], domain: Domain, interpreter: NaturalLanguageInterpreter | None
) -> StoryGraph:
    """Return the stories in a file or folder; raise `RasaCoreError` if there are none."""
    graph = extract_story_graph(stories, domain, interpreter)
    if not graph.story_steps:
        raise RasaCoreError("there are no stories in what is given, so that nothing can be measured.")
    return graph


def _tell(report: Report, form: str, paths: Mapping[str, Any]) -> None:
    """Print a report, write its files, and list the files on standard error, so that standard output is the report."""
    if form == "json":
        click.echo(json.dumps(report.content, indent=1))
    else:
        click.echo("\n".join(fitted(report.lines, width_of_terminal())))
    for line in report.write(paths):
        click.echo(line, err=True)


# -- the command


def _read_shares(context: click.Context, option: click.Parameter, value: str | None) -> list[int] | None:
    """Read ``0,25,50``."""
    if value is None:
        return None
    try:
        shares = sorted({int(part) for part in value.split(",")})
    except ValueError:
        shares = [-1]  # An invalid share, which is refused below.
    if shares[0] < 0 or shares[-1] > 99:
        raise click.BadParameter(f"expected numbers from 0 to 99 such as 0,25,50,75, not {value!r}.")
    return shares


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("models", nargs=-1, type=click.Path(exists=True, file_okay=False))
@click.option("-s", "--stories", metavar="STORIES", help="Story file, or folder of stories.")
@click.option("-d", "--core", metavar="MODEL", help="Directory of a trained model, or the project of a bot.")
@click.option("-D", "--domain", metavar="FILE", help="Domain, to train the default policies without a model.")
@click.option(
    "-u",
    "--nlu",
    metavar="NLU",
    help="Address (http://...) of an NLU server, or directory of an NLU model: parses the messages in the "
    "stories that do not name an intent.",
)
@click.option(
    *("-m", "--max_stories", "--max-stories"),
    type=click.IntRange(min=1),
    help="Number of stories to look at; a sample if there are more, the same in each run.  "
    f"[default: {DEFAULT_MAX_STORIES}; where policies are trained, all]",
)
@click.option(
    *("-o", "--output"),
    metavar="FILE",
    callback=or_none,
    help="Draw the confusion matrix, or the learning curve: .svg .png.",
)
@click.option("--calibration", metavar="FILE", help="Draw accuracy against confidence: .svg .png.")
@click.option(
    "--failed",
    metavar="FILE",
    help="Story file for stories in which something else was predicted, or a message misunderstood; none for no file.  "
    f"[default: {DEFAULT_FAILED_FILE}; where stories are in YAML, {DEFAULT_FAILED_YAML}]",
)
@form_option
@least_option("--fail-under", "Exit status 1 below this accuracy.")
@least_option("--fail-under-stories", "Exit status 1 if a smaller share of the stories is right as a whole.")
@click.option("--folds", type=click.IntRange(min=2), help="Cross-validate: train on the other folds, for each fold.")
@click.option("--compare", is_flag=True, help="Compare the MODELS side by side.")
@click.option("--exclude", callback=_read_shares, metavar="0,25,...", help="Learning curve: leave out so many percent.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Runs of a learning curve.")
@click.option("--seed", default=42, show_default=True, help="Decides on the folds, and on what is random in training.")
@click.option("--augmentation", default=20, show_default=True, help="Stories glued together, as in training.")
@import_option
@logged
def command(
    form: str, fail_under: float | None, fail_under_stories: float | None, imports: tuple[str, ...], **flags: Any
) -> None:
    """Measure how often a model predicts the actions of stories; no action is run.

    Give a trained model (-d), or several (--compare MODELS). With --folds or --exclude, give a domain (-D), or a model
    whose policies are trained again.

    Or give the folder of a trained bot: its stories in tests/ are measured, or the stories of -s; if there are none,
    the stories that it was trained on. The texts in Rasa's test stories are parsed. With --folds, the policies of the
    bot are trained again from its stories and rules.
    """
    flags["project"] = _take_project(flags)
    _check_flags(flags)
    flags["failed"] = or_none(None, None, flags["failed"] or _failed_file(flags["stories"]))
    load_own_modules(imports, *(place for place in (flags["core"], flags["domain"], *flags["models"]) if place))
    if flags["core"] is not None:
        flags["core"], flags["nlu"] = model_at(flags["core"], flags["nlu"])
    flags["models"] = tuple(model_at(model)[0] for model in flags["models"])
    _tell(report := _measure(flags), form, flags)
    if problems := report.below({"accuracy": fail_under, "share of whole stories": fail_under_stories}):
        raise click.ClickException(" ".join(problems))


def _failed_file(stories: str | Sequence[Path]) -> str:
    """Return the default file for failed stories, in the format of the stories that are read."""
    files = story_files(Path(stories)) if isinstance(stories, str) else stories
    return DEFAULT_FAILED_YAML if any(file.suffix in YAML_SUFFIXES for file in files) else DEFAULT_FAILED_FILE


def _take_project(flags: dict[str, Any]) -> Project | None:
    """If the folder of a bot is given, set the flags for its stories, model and NLU model; return the project."""
    core, trains = flags["core"], flags["folds"] is not None or flags["exclude"] is not None
    is_bot = core is not None and flags["stories"] is None and is_project(core)
    named: Sequence[str] = flags["models"] or ((core,) if is_bot else ())
    project = None
    if len(named) == 1 and not flags["compare"] and (is_rasa(Path(named[0])) or is_project(named[0])):
        project = Project(named[0])
        flags.update(models=(), core=str(project.model))
        # Policies that are trained again come from config.yml, or, for 0.9, from a trained model.
        if not (trains and project.rasa is not None):
            flags["core"], flags["nlu"] = model_at(named[0], flags["nlu"])
        flags["stories"] = flags["stories"] or ([] if trains else project.test_files) or project.story_files
    if not flags["stories"]:
        understands = [place for place in named if Path(place).is_dir() and Project(place).nlu_files]
        other = f" Of NLU data: rasa-core nlu evaluate -d {understands[0]!r} --folds 5" if understands else ""
        raise click.UsageError(f"Missing option '-s' / '--stories', or the folder of a bot.{other}")
    return project


def _check_flags(flags: Mapping[str, Any]) -> None:
    """Raise `click.UsageError` for flags that exclude each other, before anything slow is done."""
    models, compares, domain = bool(flags["models"]), flags["compare"], flags["domain"] is not None
    folds, curve, sampled = (flags[name] is not None for name in ("folds", "exclude", "max_stories"))
    wrong = {  # The first problem, in this order, is reported.
        "--compare and MODELS go together; a single model is given with -d MODEL.": models != compares,
        "give one of these: -d MODEL, --compare MODELS, or -D DOMAIN with --folds or --exclude.": (
            models + domain + (flags["core"] is not None) != 1
        ),
        "-D is for training: give --folds 5 or --exclude 0,25,50,75 too, or -d MODEL instead.": (
            domain and not (folds or curve)
        ),
        "--folds measures one configuration: give one model with -d, or --exclude 0 too.": (
            compares and folds and not curve
        ),
        "-m is for models that are trained; --folds and --exclude use all stories.": sampled and (folds or curve),
        "--calibration is for one model, or --folds.": flags["calibration"] is not None and (compares or curve),
        "-o draws one model, or a learning curve; --compare alone prints a table.": (
            flags["output"] is not None and compares and not curve
        ),
        "each of the --runs holds out another fold: give no more --runs than --folds.": (
            curve and flags["runs"] > (flags["folds"] or DEFAULT_FOLDS)
        ),
    }
    if problem := next((text for text, is_so in wrong.items() if is_so), None):
        raise click.UsageError(problem)
    for path in filter(None, (flags["output"], flags["calibration"])):
        check_picture_file(path)
    for path in filter(None, (flags["output"], flags["calibration"], flags["failed"])):
        check_parent(path)


def _measure(flags: Mapping[str, Any]) -> Report:
    stories, most = flags["stories"], flags["max_stories"] or DEFAULT_MAX_STORIES
    what = PurePath(stories).name if isinstance(stories, str) else "stories"
    trained = flags["core"] or flags["domain"]
    if flags["exclude"] is not None:
        setups = {name: _setup(name, flags) for name in flags["models"] or [trained]}
        folds = flags["folds"] or DEFAULT_FOLDS
        return curve_report(learning_curve(setups, excluded=flags["exclude"], runs=flags["runs"], folds=folds), what)
    if flags["folds"] is not None:
        setup = _setup(trained, flags)
        parts = cross_validate(folds_of_stories(setup, flags["folds"]), partial(train_and_evaluate, setup))
        return story_report(all_stories(parts), f"{what}, {flags['folds']} folds", parts)
    if flags["compare"]:
        return models_report({model: _evaluated(model, stories, flags["nlu"], most) for model in flags["models"]})
    return story_report(_evaluated(trained, stories, flags["nlu"], most), what)


def default_policies() -> list[MemoizationPolicy | KerasPolicy]:
    """Return new policies, the same as ``rasa-core train`` trains by default."""
    return [MemoizationPolicy(max_history=3), KerasPolicy()]


def _setup(name: str, flags: Mapping[str, Any]) -> Setup:
    """Return the setup of a training: the policies of a model or a project, or the default policies for a domain."""
    if flags["project"] is not None and flags["project"].rasa is not None:
        return _setup_of_project(flags["project"].rasa, flags)
    is_new = flags["domain"] is not None
    domain = Domain.load(name, "remote") if is_new else read_model(name, "remote")[0]

    def make_agent() -> Agent:
        return Agent(domain, default_policies() if is_new else PolicyEnsemble.load(name))

    graph = _read(flags["stories"], domain, _interpreter(flags["nlu"]))
    return Setup(graph, domain, make_agent, flags["augmentation"], flags["seed"])


class _RuledAgent(Agent):
    """An agent that is always trained on its rules, too; only stories are left out in cross-validation."""

    rules: Sequence[Rule] = ()

    def train(self, training_trackers: Iterable[DialogueStateTracker] | str | Path, **kwargs: Any) -> None:
        """Train on conversations and the rules."""
        super().train(training_trackers, rules=self.rules, **kwargs)


def _setup_of_project(files: RasaFiles, flags: Mapping[str, Any]) -> Setup:
    graph = extract_story_graph(flags["stories"], files.domain)
    rules = files.read_stories().rules

    def make_agent() -> Agent:
        agent = _RuledAgent(files.domain, read_rasa_config(files.config_file, network_of).ensemble())
        agent.rules = rules
        return agent

    return Setup(graph, files.domain, make_agent, flags["augmentation"], flags["seed"])
