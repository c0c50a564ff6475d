"""``rasa-core nlu``: train, check, evaluate and try an NLU model, which interprets typed text."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Final

import click

from rasa_core.checks.nlu import check_data_files, check_training_data
from rasa_core.commands import nlu_examples
from rasa_core.commands.common import (
    CONTEXT,
    Group,
    ImportingCommand,
    form_option,
    least_option,
    logged,
    or_none,
)
from rasa_core.drawing.svg import check_picture_file, shorten
from rasa_core.evaluation.cross_validation import (
    all_messages,
    cross_validate,
    folds_of_messages,
    train_and_evaluate_messages,
)
from rasa_core.evaluation.nlu import MessageEvaluation, evaluate_messages, nlu_report, not_learnt
from rasa_core.evaluation.tables import LONGEST_NAME, Report, better_and_worse, fitted, in_blocks, width_of_terminal
from rasa_core.evaluation.untidy import out_of_scope_figures, out_of_scope_table, texts_in, untidy_figures, untidy_table
from rasa_core.exceptions import counted
from rasa_core.nlu.model import FILE_NAME, NLU_MODEL, NLUModel
from rasa_core.nlu.reading import data_files, read_training_data
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.training import train as train_model
from rasa_core.nlu.training_data import TrainingData
from rasa_core.support.folders import check_parent, check_place

DEFAULT_FAILED_FILE: Final = "failed_messages.txt"
MOST_OF_A_KIND: Final = 3
MOST_NOT_LEARNT: Final = 20
_ALL_BY: Final = "--verbose shows all"
_OTHER_SETTINGS: Final = [one.name for one in fields(NLUSettings) if one.name not in ("epochs", "seed")]


@click.group(cls=Group, epilog=nlu_examples.NLU, context_settings=CONTEXT)
def command() -> None:
    """Train, measure and try an interpreter of typed text."""


command.command_class = ImportingCommand


def _as_line(content: Any, indent: int | None = None) -> str:
    """Return JSON with readable non-ASCII text; only lone surrogates, which no terminal can show, are escaped."""
    return json.dumps(content, indent=indent, ensure_ascii=False).encode(errors="backslashreplace").decode()


# -- train


@command.command("train", epilog=nlu_examples.TRAIN)
@click.option("-d", "--data", required=True, metavar="DATA", help="NLU data: a file, or a folder.")
@click.option("-o", "--output", required=True, metavar="DIR", help="Directory for the model.")
@click.option(
    "--epochs",
    metavar="N",
    help="How often the training passes over all messages; small data are passed over more often.  [default: 20]",
)
@click.option(
    "--seed", metavar="N", help="Seed of random numbers: the same data and seed give the same model.  [default: 42]"
)
@click.option("--strict", is_flag=True, help="Stop at a mistake in the data, instead of leaving it out.")
@click.option(
    "--setting",
    "others",
    multiple=True,
    metavar="NAME=VALUE",
    help=f"Another setting of the training, one of {', '.join(_OTHER_SETTINGS)}; may be repeated.",
)
@partial(logged, lists_findings=True)
def train(
    data: str, output: str, epochs: str | None, seed: str | None, strict: bool, others: Sequence[str], verbose: bool
) -> None:
    """Train an interpreter from NLU data, and write it.

    Warnings about the data are shown first, and do not stop the training. The model is written as a whole or not at
    all, and needs no machine-learning framework to be used.
    """
    settings = _settings(epochs, seed, others)
    check_place(output, NLU_MODEL, "an NLU model")
    read = _read(data, is_strict=strict)
    _warn(read, is_verbose=verbose)  # Before the training, which the user may want to stop then.
    started = time.perf_counter()
    model = train_model(read, settings)
    model.persist(output)
    learnt = f"{counted(len(read.intents), 'intent')} and {counted(len(read.entities), 'kind')} of entities"
    seconds = time.perf_counter() - started
    click.echo(f"Learnt {learnt} from {counted(len(read.examples), 'example')} in {seconds:.1f} s.")
    if model.threshold:
        share = "keeps at least 95 % of what it understood right, of messages that it had not learnt"
        click.echo(f"An nlu_threshold of {model.threshold:.2f} {share}.")
    _tell_not_learnt(model, read)
    click.echo(f"The model is in {output}.")


def nlu_model_in(place: str | Path) -> Path:
    """Return the path of an NLU model; for the folder of a bot, or of one of its models, the NLU model in it."""
    found = [Path(place, *inside) for inside in ((), ("nlu",), ("models", "nlu"))]
    return next((path for path in found if (path / FILE_NAME).is_file()), found[0])


def _tell_not_learnt(model: NLUModel, data: TrainingData) -> None:
    """Show the first training examples that the model does not reproduce, intents before entities."""
    wrong = not_learnt(model.with_pipeline(None), data.examples)  # Without entities from lookup tables and the like.
    if wrong:
        why = "as others say something else, or no words are marked"
        click.echo(f"{counted(len(wrong), 'example')} could not be learnt, {why}:", err=True)
    for one in wrong[:MOST_NOT_LEARNT]:
        click.echo(f"  {one.example.place}: {shorten(one.example.text, LONGEST_NAME)}: {one.described()}", err=True)


def _settings(epochs: str | None, seed: str | None, others: Sequence[str] = ()) -> NLUSettings:
    values = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    for other in others:
        name, sign, value = other.partition("=")
        if not sign:
            raise click.UsageError(f"--setting is like batch_size=64, not {other!r}.")
        values[name.strip()] = value
    return NLUSettings.from_mapping(values)


def _read(data: str, *, is_strict: bool) -> TrainingData:
    started = time.perf_counter()
    read = read_training_data(data, strict=is_strict)
    seconds = time.perf_counter() - started
    click.echo(f"{data}: {counted(len(read.examples), 'example')}, read in {seconds:.1f} s", err=True)
    return read


def _warn(data: TrainingData, *, is_verbose: bool) -> None:
    """Show the warnings about the data: the first few of each kind, or all."""
    told: Counter[str] = Counter()
    for found in check_training_data(data):
        told[found.kind] += 1
        if is_verbose or told[found.kind] <= MOST_OF_A_KIND:
            for line in found.lines(None if is_verbose else _ALL_BY):
                click.echo(line, err=True)
    for kind, number in told.items():
        if not is_verbose and number > MOST_OF_A_KIND:
            click.echo(f"and {number - MOST_OF_A_KIND} more [{kind}] ({_ALL_BY})", err=True)


# -- check


@command.command("check", epilog=nlu_examples.CHECK, short_help="Find mistakes in NLU data, without training.")
@click.option("-d", "--data", required=True, metavar="DATA", help="NLU data: a file, or a folder.")
@click.option("--strict", is_flag=True, help="Exit status 1 if anything looks wrong.")
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="N",
    help="Also train N times, each time without a part of the examples, and tell which look like another intent then.",
)
@partial(logged, lists_findings=True)
def check(data: str, strict: bool, folds: int | None, verbose: bool) -> None:
    """Find mistakes in NLU data; nothing is trained unless --folds is given.

    Data that cannot be read are an error; data that are left out, or look wrong, are a warning.
    """
    read, findings = check_data_files(data_files(data))
    for line in (line for one in findings for line in one.lines(None if verbose else _ALL_BY)):
        click.echo(line, err=True)
    found = len(findings)
    if read is None:
        raise click.ClickException(f"{counted(found, 'finding')}, of which some keep data from being read.")
    if folds is not None:
        parts = _cross_validated(read, folds, NLUSettings())
        doubtful = all_messages(parts).doubtful
        for one in doubtful:
            said = f"{shorten(one.example.text, LONGEST_NAME)!r} is of {one.example.intent!r}, but all others say"
            line = f"{one.example.place}: warning: {said} {one.meant!r} ({one.confidence:.2f}) [doubtful-example]"
            click.echo(line, err=True)
        found += len(doubtful)
    click.echo(f"{counted(found, 'finding')} in {counted(len(read.examples), 'example')}.")
    if strict and found:
        raise click.ClickException("there are findings, and --strict takes them for errors.")


# -- evaluate


@command.command("evaluate", epilog=nlu_examples.EVALUATE, short_help="Measure how well messages are understood.")
@click.option("-d", "--data", required=True, metavar="DATA", help="NLU data: a file, or a folder.")
@click.option("-m", "--model", metavar="DIR", help="Directory of the trained model, or the project of a bot.")
@click.option("--folds", type=click.IntRange(min=2), help="Cross-validate: train on the other folds, for each fold.")
@click.option("-o", "--output", metavar="FILE", help="Draw the confusion matrix of the intents: .svg .png.")
@click.option("--histogram", metavar="FILE", help="Draw how often each confidence occurs: .svg .png.")
@click.option(
    "--failed",
    metavar="FILE",
    default=DEFAULT_FAILED_FILE,
    show_default=True,
    callback=or_none,
    help="NLU data of the misunderstood messages: Markdown, or JSON if it ends in .json; none for no file.",
)
@form_option
@click.option("--untidy", is_flag=True, help="With -m: measure the messages also as people type them.")
@click.option(
    "--out-of-scope", metavar="FILE", help="With -m: texts without a known intent: lines, a JSON list, or NLU data."
)
@click.option("--compare", metavar="DIR", help="With -m: what another model understands better, and worse.")
@least_option("--fail-under", "Exit status 1 below this accuracy.")
@least_option("--fail-under-entities", "Exit status 1 below this F1 of entities.", "F1")
@least_option("--fail-under-messages", "Exit status 1 if a smaller share of the messages is right as a whole.")
@click.option("--epochs", metavar="N", help="For --folds: how often every message is seen.")
@click.option("--seed", metavar="N", help="For --folds: decides on the folds, and on what is random in training.")
@logged
def evaluate(
    form: str,
    fail_under: float | None,
    fail_under_entities: float | None,
    fail_under_messages: float | None,
    **flags: Any,
) -> None:
    """Measure how well messages are understood: intents, entities, and messages as a whole.

    Give a model (-m) and messages that it was not trained on, or --folds for a cross-validation, in which each message
    is measured by a model that was trained without it. An entity counts as right if its name, role, group and exact
    place in the text are right.
    """
    _check_flags(flags)
    report = _measure(flags)
    _measure_further(flags, report)
    lines = "\n".join(fitted(report.lines, width_of_terminal()))
    click.echo(_as_line(report.content, 1) if form == "json" else lines)
    for line in report.write(flags):
        click.echo(line, err=True)
    limits = {
        "intent accuracy": fail_under,
        "entity F1": fail_under_entities,
        "share of whole messages": fail_under_messages,
    }
    if problems := report.below(limits):
        raise click.ClickException(" ".join(problems))


def _check_flags(flags: dict[str, Any]) -> None:
    """Raise `click.UsageError` for flags that exclude each other, before anything slow is done."""
    if (flags["model"] is None) == (flags["folds"] is None):
        raise click.UsageError("give either -m DIR, a trained model, or --folds 5, to train and measure by turns.")
    if flags["folds"] is None and (flags["epochs"] is not None or flags["seed"] is not None):
        raise click.UsageError("--epochs and --seed are for --folds; the model of -m is trained already.")
    if flags["folds"] is not None and (flags["untidy"] or flags["out_of_scope"] or flags["compare"]):
        raise click.UsageError("--untidy, --out-of-scope and --compare are for -m, a trained model.")
    for path in filter(None, (flags["output"], flags["histogram"])):
        check_picture_file(path)
    for path in filter(None, (flags["output"], flags["histogram"], flags["failed"])):
        check_parent(path)
    if flags["out_of_scope"]:
        flags["out_of_scope"] = texts_in(Path(flags["out_of_scope"]))
    if flags["compare"]:
        NLUModel.load(nlu_model_in(flags["compare"]))


def _measure_further(flags: dict[str, Any], report: Report) -> None:
    """Add the results of ``--untidy``, ``--out-of-scope`` and ``--compare`` to a report."""
    if not (flags["untidy"] or flags["out_of_scope"] or flags["compare"]):
        return
    model = NLUModel.load(nlu_model_in(flags["model"]))
    blocks = [report.lines]
    if flags["untidy"]:
        untidy = untidy_figures(model, read_training_data(flags["data"]).examples)
        report.content["untidy"] = untidy
        blocks.append(untidy_table(untidy))
    if flags["out_of_scope"]:
        outside = out_of_scope_figures(model, flags["out_of_scope"])
        report.content["out_of_scope"] = outside
        blocks.append(out_of_scope_table(outside))
    if flags["compare"]:
        better, worse = _compared(model, flags)
        report.content["compared"] = {"better": better, "worse": worse}
        blocks.append(better_and_worse(flags["compare"], flags["model"], better, worse))
    report.lines[:] = in_blocks(*blocks)


def _compared(model: NLUModel, flags: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return which messages another model understands better, and which worse."""
    examples = read_training_data(flags["data"]).examples
    before, after = (
        evaluate_messages(one, examples).messages for one in (model, NLUModel.load(nlu_model_in(flags["compare"])))
    )
    found: dict[bool, list[str]] = {True: [], False: []}
    for old, new in zip(before, after, strict=True):
        if old.is_right != new.is_right:
            found[new.is_right].append(f"{old.example.place}: {shorten(old.example.text, LONGEST_NAME)}")
    return found[True], found[False]


def _measure(flags: dict[str, Any]) -> Report:
    what = PurePath(flags["data"]).name
    if flags["folds"] is None:
        model = NLUModel.load(nlu_model_in(flags["model"]))
        return nlu_report(evaluate_messages(model, read_training_data(flags["data"]).examples), what)
    data = read_training_data(flags["data"])
    folds = _cross_validated(data, flags["folds"], _settings(flags["epochs"], flags["seed"]))
    return nlu_report(all_messages(folds), what, folds)


def _cross_validated(data: TrainingData, folds: int, settings: NLUSettings) -> list[MessageEvaluation]:
    """Return for each fold the evaluation of its messages by a model that was trained on the other folds."""
    train = partial(train_model, settings=settings, silent=True)
    parts = folds_of_messages(data, folds, settings.seed)
    return cross_validate(parts, partial(train_and_evaluate_messages, data, train))


# -- parse


@command.command("parse", epilog=nlu_examples.PARSE, short_help="Print the intent and the entities of a text.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("text", required=False)
@logged
def parse(model: Path, text: str | None) -> None:
    """Parse TEXT, or each line of standard input, with MODEL, the directory of a model or the project of a bot."""
    interpreter = NLUModel.load(nlu_model_in(model))
    if text is not None:
        click.echo(_as_line(interpreter.parse(text), 2))
        return
    lines = () if sys.stdin is None else sys.stdin.buffer  # As bytes, so that a line that is not UTF-8 stops no others.
    for line in lines:
        click.echo(_as_line(interpreter.parse(line.decode(errors="replace").rstrip("\r\n"))))
