"""How well messages are understood: ``python -m benchmarks.nlu [--data DIR] [--sets snips hwu64 babi] [--seeds 3]``.

With ``--small``, small data are measured instead: see `benchmarks.nlu_small`.

A random tenth of each data set is held out. For each seed, a process trains a model on the other messages, and measures
it on the tenth: the accuracy of intents, the micro-F1 of entities that are right in start, end and name, and the share
of messages without any mistake. The tenth is measured again with a typing error in each message, in upper case, and
without punctuation.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.serving import ROOT
from benchmarks.tables import print_table, quantile
from rasa_core.evaluation.untidy import edited, in_upper_case, with_typing_error
from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.reading import read_training_data
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.training import train
from rasa_core.nlu.training_data import NLUExample, TrainingData

HELD_OUT = 0.1
SETS = ("snips", "hwu64", "babi")

Figures = dict[str, float]


def parts(data: TrainingData) -> tuple[TrainingData, list[NLUExample]]:
    """Return the data without the held-out examples, and the held-out examples, independent of the training's seed."""
    order = random.Random(0).sample(range(len(data.examples)), len(data.examples))
    cut = round(HELD_OUT * len(order))
    held_out = [data.examples[number] for number in order[:cut]]
    return replace(data, examples=tuple(data.examples[number] for number in order[cut:])), held_out


def scores(model: NLUModel, examples: Sequence[NLUExample]) -> tuple[float, float, float]:
    """Return accuracy of intents, micro-F1 of entities, and share of messages without a mistake, in percent."""
    intents = whole = right = found = wanted = 0
    for example, answer in zip(examples, model.parse_many([example.text for example in examples]), strict=True):
        told = {(entity["start"], entity["end"], entity["entity"]) for entity in answer["entities"]}
        true = {(entity.start, entity.end, entity.entity) for entity in example.entities}
        same = answer["intent"]["name"] == example.intent
        intents, whole = intents + same, whole + (same and told == true)
        right, found, wanted = right + len(told & true), found + len(told), wanted + len(true)
    f1 = 2 * right / (found + wanted) if found + wanted else 1.0
    return 100 * intents / len(examples), 100 * f1, 100 * whole / len(examples)


def without_punctuation(example: NLUExample) -> NLUExample:
    """Return an example with nothing but letters, digits and spaces."""
    for at in reversed(range(len(example.text))):
        if not (example.text[at].isalnum() or example.text[at].isspace()):
            example = edited(example, at, 1, "")
    return example


CHANGES: dict[str, Callable[[NLUExample], NLUExample]] = {
    "typing error": with_typing_error,
    "upper case": in_upper_case,
    "no punctuation": without_punctuation,
}


def measure(name: str, data: Path, seed: int) -> Figures:
    """Train on a set with a seed, and return the figures of the model."""
    training, held_out = parts(read_training_data(data / name))
    started = time.perf_counter()
    model = train(training, NLUSettings(seed=seed), silent=True)
    figures: Figures = {"train [s]": time.perf_counter() - started}
    figures["peak [MB]"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory() as folder:
        model.persist(Path(folder, "model"))
        figures["size [MB]"] = sum(file.stat().st_size for file in Path(folder, "model").iterdir()) / 1e6
        started = time.perf_counter()
        model = NLUModel.load(Path(folder, "model"))
        figures["load [ms]"] = 1000 * (time.perf_counter() - started)
    figures["intent"], figures["entity F1"], figures["whole"] = scores(model, held_out)
    for label, change in CHANGES.items():
        for part, score in zip(
            ("intent", "entity F1", "whole"), scores(model, [change(e) for e in held_out]), strict=True
        ):
            figures[f"{label}: {part}"] = score
    return figures | speed(model, [example.text for example in held_out])


def speed(model: NLUModel, texts: Sequence[str]) -> Figures:
    """Return the time of one message alone, and the number of messages a second in batches of 256."""
    took = []
    for text in texts:
        started = time.perf_counter()
        model.parse(text)
        took.append(1000 * (time.perf_counter() - started))
    started = time.perf_counter()
    for begin in range(0, len(texts), 256):
        model.parse_many(texts[begin : begin + 256])
    return {
        "p50 [ms]": quantile(took, 0.5),
        "p99 [ms]": quantile(took, 0.99),
        "batch [1/s]": len(texts) / (time.perf_counter() - started),
    }


def measured_apart(name: str, data: Path, seed: int) -> Figures:
    """Return the result of `measure` in a new process, whose peak memory is that of one training."""
    command = [sys.executable, "-m", "benchmarks.nlu", "--data", str(data), "--only", name, str(seed)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def spread(figures: Sequence[Figures], head: str) -> str:
    """Return the mean over the seeds, and the largest distance of a seed from it."""
    values = [each[head] for each in figures]
    mean = statistics.fmean(values)
    return f"{mean:.2f}" if len(values) < 2 else f"{mean:.2f} ±{max(abs(value - mean) for value in values):.2f}"


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder that holds the sets")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs=2, metavar=("SET", "SEED"), help="print the figures of one training as JSON")
    parser.add_argument("--small", action="store_true", help="measure small data, with scikit-learn's baselines")
    parser.add_argument("--small-sets", nargs="+", default=(), help="names in nlu_small, or clinc")
    parser.add_argument("--folds", type=int, default=5, help="of five, how many are measured of small data")
    options = parser.parse_args()
    if options.small:
        small = importlib.import_module("benchmarks.nlu_small")  # Its baselines need scikit-learn.
        small.main(options.data / "nlu_small", options.small_sets, options.folds, options.seeds)
        return
    if options.only:
        print(json.dumps(measure(options.only[0], options.data, int(options.only[1]))))
        return
    found = {name: [measured_apart(name, options.data, seed) for seed in range(options.seeds)] for name in options.sets}
    heads = ["intent", "entity F1", "whole", "train [s]", "peak [MB]", "size [MB]", "load [ms]"]
    heads += ["p50 [ms]", "p99 [ms]", "batch [1/s]"]
    title = f"Messages held out, mean of {options.seeds} seeds and farthest from it"
    print_table(
        title, ["set", *heads], [[name, *(spread(each, head) for head in heads)] for name, each in found.items()]
    )
    robust = [
        [name, label, *(spread(each, f"{label}: {part}") for part in ("intent", "entity F1", "whole"))]
        for name, each in found.items()
        for label in CHANGES
    ]
    print_table("The same messages, changed", ["set", "change", "intent", "entity F1", "whole"], robust)


if __name__ == "__main__":
    main()
