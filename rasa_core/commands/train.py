"""``python -m rasa_core.train``: train a dialogue model from a domain and stories; for a project, an NLU model, too."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import yaml
from click.core import ParameterSource

from rasa_core import _legacy
from rasa_core.agent import Agent
from rasa_core.checks.checks import refuse_unusable
from rasa_core.commands.common import CONTEXT, Command, ignore_option, import_option, load_own_modules, logged
from rasa_core.domain import Domain
from rasa_core.model_folder import DIALOGUE_MODEL
from rasa_core.nlu.pipeline import keys_of
from rasa_core.policies.configured import configured_policies
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.policy import Policy
from rasa_core.project import Project, network_of
from rasa_core.rasa_project.config import read_rasa_config
from rasa_core.rasa_project.rasa1 import domain_of, domain_of_rasa_1, names_policies_of_rasa, server_in
from rasa_core.support.folders import check_place
from rasa_core.support.forks import end_with_parent
from rasa_core.support.own_code import CONFIG_NAME, NO_YAML, imports_in
from rasa_core.support.problems import told
from rasa_core.support.text_edits import Edit, EditError, content_of, inserted, lines_in, replaced, write_edits

DEFAULT_MAX_HISTORY = 3
DEFAULT_AUGMENTATION = 50  # Both are the defaults of 0.9's command; its function has other defaults, 5 and 20.
READING = (
    *("augmentation_factor", "debug_plots", "lenient", "remove_duplicates", "tracker_limit"),
    *("unique_last_num_states", "use_story_concatenation"),
)

_EXAMPLES = """\b
Examples:
  # Train a project folder (domain.yml, stories and NLU data), as far as anything in it has changed.
  rasa-core train examples/remote
\b
  # Name each part.
  rasa-core train -d domain.yml -s stories.md -o models/dialogue
\b
  # Talk to the bot after training, and teach it what it does wrong.
  rasa-core train -d domain.yml -s stories.md -o models/dialogue --online
"""


def train_dialogue_model(
    domain_file: str | Path,
    stories_file: str | Path,
    output_path: str | Path,
    use_online_learning: bool = False,
    nlu_model_path: str | None = None,
    max_history: int | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    policy_config: str | Path | None = None,
    endpoints: str | Path | None = None,
) -> Agent:
    """Train a model with memoization and a network, or with the policies in a file, and write the model.

    Parameters
    ----------
    domain_file, stories_file
        The domain, and a file or folder of stories.
    output_path
        Folder for the model.
    use_online_learning
        Whether a person talks to the bot on the terminal and corrects it, between training and writing.
    nlu_model_path
        NLU model for interactive training; without it, messages name their intent. Otherwise it is ignored.
    max_history
        How many states memoization compares; by default 5, although the command's default is 3.
    kwargs
        The parameters of `Agent.load_data`: ``augmentation_factor``, also called ``augmentation``,
        ``unique_last_num_states``, ``debug_plots`` ... All others are for the policies: ``epochs``, ``batch_size``,
        ``validation_split``, ``verbose`` ...
    policy_config
        YAML file with ``policies:`` to train.
    endpoints
        YAML file with the entry ``action_endpoint:`` for the action server, as in Rasa Core 0.10 and later.
    """
    domain = _domain_for(domain_file, policy_config)
    trained, found = (policies(max_history), {}) if policy_config is None else _policies_in(policy_config, domain)
    options = {**found, **(kwargs or {})}  # A copy, since keys are removed from it below.
    if "augmentation" in options:
        options["augmentation_factor"] = options.pop("augmentation")
    reading = {name: options.pop(name) for name in READING if name in options}
    understood_by = nlu_model_path if use_online_learning else None
    agent = Agent(domain, trained, interpreter=understood_by, actions=server_in(endpoints))
    trackers = agent.load_data(stories_file, **reading)
    if use_online_learning:
        agent.train_online(trackers, **options)
    else:
        agent.train(trackers, **options)
    agent.persist(output_path)
    return agent


def _domain_for(domain: str | Path, file: str | Path | None) -> Domain:
    """Return the domain in a file, with the changes that the policies in another file require."""
    is_old = file is not None and names_policies_of_rasa(Path(file))
    return domain_of_rasa_1(domain) if is_old else domain_of(domain, None)


def _policies_in(file: str | Path, domain: Domain) -> tuple[Sequence[Policy] | PolicyEnsemble, dict[str, Any]]:
    """Return the policies and training options in a file; log which parts differ from the original."""
    if domain.rasa is not None:
        config = read_rasa_config(file, network_of)
        for line in told(config.notes):
            click.echo(line)
        return config.ensemble(), {} if config.epochs is None else {"most_epochs": config.epochs}
    found = configured_policies(keys_of(file), network_of)
    found.choose_action(domain.action_names)
    for line in (*found.notes, *found.passed_over):
        click.echo(line)
    return found.policies, found.training


def policies(max_history: int | None = DEFAULT_MAX_HISTORY) -> list[MemoizationPolicy | KerasPolicy]:
    """Return the policies that the commands train."""
    return [MemoizationPolicy(max_history=max_history), KerasPolicy()]


_WAYS = ("default", "interactive")  # The names of the two ways of training in Rasa Core 0.13.
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(cls=Command, epilog=_EXAMPLES, context_settings=CONTEXT)
@click.argument("project", required=False, type=click.Path(path_type=Path))
@click.option("-s", "--stories", type=click.Path(path_type=Path), help="File or folder of stories.")
@click.option("-d", "--domain", type=click.Path(path_type=Path), help="Domain file.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for the model.")
@click.option(
    "-u",
    "--nlu",
    help="Folder of an NLU model, or address of an NLU server: for --online, or in place of a PROJECT's NLU data.",
)
@click.option(
    "--history",
    type=click.IntRange(min=1),
    default=DEFAULT_MAX_HISTORY,
    show_default=True,
    help="States that memoization compares.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="How often the network sees each example; if not given, by how many there are.",
)
@click.option(
    "--validation_split",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of examples that is only measured on.",
)
@click.option(
    "--batch_size",
    type=click.IntRange(min=1),
    help="Examples in one step of training; if not given, by how many there are.",
)
@click.option(
    "--augmentation",
    type=click.IntRange(min=0),
    default=DEFAULT_AUGMENTATION,
    show_default=True,
    help="Stories glued together.",
)
@click.option("-c", "--config", type=_FILE, help="YAML file with the policies: to train.")
@click.option("--endpoints", type=_FILE, help="YAML in which action_endpoint: is the action server, for --online.")
@click.option("--online", is_flag=True, help="After training, talk to the bot, and correct what it does.")
@click.option("--debug_plots", is_flag=True, help="Draw the checkpoints into story_blocks_connections.html.")
@click.option("--force", is_flag=True, help="Train a project though nothing has changed.")
@click.option("--lenient", is_flag=True, help="Train in spite of mistakes in the stories, and warn of them.")
@ignore_option
@import_option
@logged
def command(project: Path | None, force: bool, imports: tuple[str, ...], **options: Any) -> None:
    """Train a model: give a PROJECT folder, or --domain, --stories and --out.

    In a project with NLU data (nlu.md, data/ or nlu/), an NLU model for typed text is trained, too. Each of the two
    models is only trained if its files have changed. The training settings (--history to --debug_plots) go with the
    second form, since a project has its own settings.
    """
    end_with_parent()
    if project is not None and str(project) in _WAYS and options["domain"] and not project.exists():
        options["online"], project = options["online"] or str(project) == "interactive", None
    if project is not None:
        _train_project(project, force, imports, options)
    else:
        _train_files(imports, options)


_OF_FILES: Final = ("history", "epochs", "validation_split", "batch_size", "augmentation", "endpoints", "debug_plots")
"""Options that cannot be used with a project."""


def _train_project(folder: Path, force: bool, imports: Sequence[str], options: Mapping[str, Any]) -> None:
    if options["out"] is not None:
        raise click.UsageError("--out does not go with a project folder, whose models have a fixed place.")
    if options["config"] is not None:
        raise click.UsageError("--config does not go with a project folder, which has a config.yml of its own.")
    source = click.get_current_context().get_parameter_source
    for name in _OF_FILES:
        if source(name) is ParameterSource.COMMANDLINE:
            remedy = "write such settings into its config.yml, or give --domain, --stories and --out"
            raise click.UsageError(f"--{name} does not go with a project folder: {remedy}.")
    project = Project(folder, options["domain"], options["stories"])
    load_own_modules(imports, folder, project.domain_file)
    nlu, lenient = options["nlu"] is None, options["lenient"]
    ignore = options["ignore_components"]
    how: dict[str, Any] = {"nlu": nlu, "say": click.echo, "lenient": lenient, "ignore_components": ignore}
    project.train_if_changed(force=force, **how)
    _remember(folder, imports)
    if options["online"]:  # The taught stories are appended to the project's stories, and trained from there.
        understood_by = options["nlu"] or project.interpreter
        agent = Agent.load(project.model, interpreter=None if understood_by is None else str(understood_by))
        _legacy.load("teach")(agent, [], file=str(_story_file(project)))
        Project(folder, options["domain"], options["stories"]).train_if_changed(**how)


def _story_file(project: Project) -> Path:
    """Return the story file of a project to which taught stories are appended."""
    files = sorted(project.story_files, key=lambda path: b"stories:" not in content_of(path))  # Files of rules last.
    return files[0] if files else project.folder / "data" / "stories.yml"


def _remember(folder: Path, imports: Sequence[str]) -> None:
    """Write the imported modules into config.yml, since they are needed to load the model, too."""
    try:
        file = remember(folder, imports)
    except EditError as error:
        click.echo(f"cannot note --import: {error}", err=True)
    else:
        if file is not None:
            click.echo(f"{file}: notes what is imported for this bot, so that other commands do so too")


def remember(folder: str | Path, names: Iterable[str]) -> Path | None:
    """Add modules to ``imports:`` in a folder's ``config.yml``; return its path if it has changed.

    Raises
    ------
    EditError
        If the file cannot be written, or its layout does not allow to add the modules.
    """
    file, known = Path(folder, CONFIG_NAME), imports_in(folder)
    new = [name for name in dict.fromkeys(names) if name not in known]
    if not new:
        return None
    before = content_of(file)
    after = _with_imports(before, known, new)
    if after is None:
        raise EditError(f"{file}: nothing can be added to it; write under imports: yourself {', '.join(new)}.")
    write_edits([Edit(file, before, after)])
    return file


def _with_imports(before: bytes, known: Sequence[str], new: Sequence[str]) -> bytes | None:
    """Return the content of a ``config.yml`` with the new modules; None if they cannot be inserted."""
    try:
        root = yaml.compose(before)
        content = yaml.safe_load(before) or {}
        after = _inserted(before, root, known, new)
        # The rest of the file must have the same meaning as before, whatever its layout.
        is_right = yaml.safe_load(after) == {**content, "imports": [*known, *new]}
    except NO_YAML:
        return None
    return after if is_right else None


def _inserted(before: bytes, root: yaml.Node | None, known: Sequence[str], new: Sequence[str]) -> bytes:
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = next((pair for pair in pairs if pair[0].value == "imports"), None)
    if found is None:
        return inserted(before, len(lines_in(before)), ["imports:", *_items(new)])
    key, value = found
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        indent = " " * value.start_mark.column
        return inserted(before, value.value[-1].end_mark.line + 1, [indent + line for line in _items(new)])
    lines = ["imports:", *_items([*known, *new])]
    return replaced(before, key.start_mark.line + 1, value.end_mark.line + 1, lines)


def _items(names: Sequence[str]) -> list[str]:
    """Return names as the items of a YAML list, one line each, quoted where needed."""
    return yaml.safe_dump(list(names), width=10_000, allow_unicode=True).splitlines()


def _train_files(imports: Sequence[str], options: dict[str, Any]) -> None:
    for name in ("domain", "stories", "out"):
        if options[name] is None:
            raise click.UsageError(f"--{name} is missing; or give a project folder that holds domain.yml and stories.")
    load_own_modules(imports, options["domain"])
    check_place(options["out"], DIALOGUE_MODEL)  # Before the training, which may take minutes.
    if not options["lenient"]:
        refuse_unusable(_domain_for(options["domain"], options["config"]), options["stories"], str(options["domain"]))
    if options["nlu"] is not None and not options["online"]:
        click.echo("Nobody talks to the bot without --online; -u is ignored.", err=True)
    started = time.perf_counter()
    wanted = ("epochs", "validation_split", "batch_size", "augmentation", "debug_plots", "lenient")
    train_dialogue_model(
        options["domain"],
        options["stories"],
        options["out"],
        options["online"],
        options["nlu"],
        options["history"],
        {name: options[name] for name in wanted if options[name] is not None},
        policy_config=options["config"],
        endpoints=options["endpoints"],
    )
    # With interactive training, the time includes the person's, and is not shown.
    duration = "" if options["online"] else f"trained in {time.perf_counter() - started:.1f} s; "
    click.echo(f"{duration}the model is in {options['out']}.")
    _remember(options["domain"].parent, imports)
