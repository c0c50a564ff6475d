"""Policies side by side on dialogues that they have not seen: ``python -m benchmarks.policies [--data DIR]``.

Cross-validation by dialogue, each fold with each seed: an n-gram (`NGramPolicy`), a GRU and a transformer over the
states (as a `model_architecture` of one's own, trained on whole dialogues), the network of `KerasPolicy`, and that
network after `MemoizationPolicy`. Accuracy counts every action that is predicted, listening included; the weighted
F1 leaves listening out. No configuration depends on the data.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.serving import ROOT
from benchmarks.tables import print_table
from rasa_core import Agent, Domain
from rasa_core.evaluation.cross_validation import Dialogue, Setup, folds_of_stories
from rasa_core.evaluation.metrics import (
    accuracy,
    confidence_bins,
    expected_calibration_error,
    scores_by_label,
    weighted_f1,
)
from rasa_core.events import ACTION_LISTEN_NAME
from rasa_core.policies import KerasPolicy, MemoizationPolicy, NGramPolicy, Policy, PolicyEnsemble
from rasa_core.policies.features.classic import FullDialogueTrackerFeaturizer
from rasa_core.policies.keras_training import import_keras, predict
from rasa_core.stories import extract_story_graph
from rasa_core.stories.training_tracker import TrainingTracker

EPOCHS_OF_SEQUENCES = 30
Step = tuple[str, str, float]
Shape = tuple[int, ...]


class SequencePolicy(KerasPolicy):
    """A network of one's own over the states of a whole dialogue."""

    def __init__(self) -> None:
        super().__init__(FullDialogueTrackerFeaturizer())

    def model_architecture(self, input_shape: Shape, output_shape: Shape) -> Any:  # noqa: D102
        keras = import_keras()
        states = keras.Input((None, input_shape[-1]))
        # Padding, -1 everywhere, lies behind: it reaches no state before it, and has no action to learn.
        known = keras.layers.ReLU()(states)
        outputs = keras.layers.Dense(output_shape[-1], activation="softmax")(self.encoded(known))
        model = keras.Model(states, outputs)
        model.compile(keras.optimizers.AdamW(2e-3, weight_decay=0.05), loss=_masked_cross_entropy, metrics=["accuracy"])
        return model

    def encoded(self, states: Any) -> Any:
        """Return ``(dialogues, time, units)``."""
        raise NotImplementedError


class GruPolicy(SequencePolicy):
    """One GRU."""

    def encoded(self, states: Any) -> Any:  # noqa: D102
        layers = import_keras().layers
        return layers.Dropout(0.3)(layers.GRU(128, return_sequences=True)(layers.Dropout(0.2)(states)))


class TransformerPolicy(SequencePolicy):
    """Two blocks of causal attention, as in "Dialogue Transformers" (arXiv:1910.00486), which has one."""

    def encoded(self, states: Any) -> Any:  # noqa: D102
        layers = import_keras().layers
        h = layers.Dense(128)(layers.Dropout(0.2)(states))
        h = layers.Add()([h, _Positions()(h)])
        for _ in range(2):
            attended = layers.MultiHeadAttention(4, 32, dropout=0.1)
            normal = layers.LayerNormalization()(h)
            h = layers.Add()([h, layers.Dropout(0.3)(attended(normal, normal, use_causal_mask=True))])
            inner = layers.Dense(256, activation="relu")(layers.LayerNormalization()(h))
            h = layers.Add()([h, layers.Dropout(0.3)(layers.Dense(128)(inner))])
        return layers.LayerNormalization()(h)


def _Positions() -> Any:  # noqa: N802 (a layer, made where Keras may be imported)
    keras = import_keras()

    class Positions(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, h: Any) -> Any:
            ops = keras.ops
            count, units = ops.shape(h)[1], h.shape[-1]
            rates = ops.exp(-np.log(1000.0) * ops.arange(0, units, 2, dtype="float32") / units)
            angles = ops.arange(count, dtype="float32")[:, None] * rates[None]
            return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)[None] + ops.zeros_like(h)

    return Positions()


def _masked_cross_entropy(wanted: Any, probabilities: Any) -> Any:
    ops = import_keras().ops
    return -ops.sum(ops.maximum(wanted, 0.0) * ops.log(probabilities + 1e-9), axis=-1)


# -- data


def inferred_domain(stories: Path, folder: Path) -> Domain:
    """Return a domain of all that stories name: intents, entities, text slots and actions."""
    found: dict[str, dict[str, None]] = {"intents": {}, "entities": {}, "slots": {}, "actions": {}}
    for file in sorted(stories.glob("*.md")):
        for line in map(str.strip, file.read_text(encoding="utf-8").splitlines()):
            match = re.match(r"([*-])\s*([\w]+)\s*(\{.*\})?", line)
            if match is None:
                continue
            values = json.loads(match[3] or "{}")
            if match[1] == "*":
                found["intents"][match[2]] = None
                found["entities"].update(dict.fromkeys(values))
                found["slots"].update(dict.fromkeys(values))
            elif match[2] == "slot":
                found["slots"].update(dict.fromkeys(values))
            elif match[2] not in (ACTION_LISTEN_NAME, "restart"):
                found["actions"][match[2]] = None
    content: dict[str, Any] = {key: sorted(names) for key, names in found.items()}
    content["slots"] = {name: {"type": "text"} for name in content["slots"]}
    path = folder / "domain.yml"
    path.write_text(yaml.safe_dump({**content, "action_factory": "remote"}), encoding="utf-8")
    return Domain.load(path)


def data_sets(data: Path) -> Iterator[tuple[str, Domain, Path]]:
    """Yield name, domain and stories of each data set that is there."""
    remote = ROOT / "examples" / "remote"
    yield "examples/remote", Domain.load(remote / "domain.yml"), remote / "stories.md"
    for name, domain in (("babi", "domain_0.9.yml"), ("multiwoz", "domain.yml"), ("multiwoz_status", "domain.yml")):
        if (data / name).is_dir():
            yield name, Domain.load(data / name / domain, "remote"), data / name / "stories_train.md"
    if (data / "subdialogues").is_dir():
        with tempfile.TemporaryDirectory() as folder:
            domain = inferred_domain(data / "subdialogues", Path(folder))
        yield "subdialogues", domain, data / "subdialogues"


# -- measuring


def steps_of(policies: list[Policy], trackers: list[TrainingTracker], domain: Domain) -> list[list[Step]]:
    """Return expected action, predicted action and confidence of each step of each conversation."""
    if isinstance(policies[-1], SequencePolicy):
        return _steps_of_sequences(policies[-1], trackers, domain)
    ensemble = PolicyEnsemble(policies)
    return [list(_steps_of_one(ensemble, tracker, domain)) for tracker in trackers]


def _steps_of_one(ensemble: PolicyEnsemble, tracker: TrainingTracker, domain: Domain) -> Iterator[Step]:
    for prior, action in zip(tracker.generate_all_prior_trackers(), _actions(tracker), strict=False):
        if not action.unpredictable and prior.version:
            prediction = ensemble.predict(prior, domain)
            yield action.action_name, prediction.action, prediction.confidence


def _actions(tracker: TrainingTracker) -> Iterable[Any]:
    return [event for event in tracker.applied_events() if event.type_name == "action"]


def _steps_of_sequences(policy: SequencePolicy, trackers: list[TrainingTracker], domain: Domain) -> list[list[Step]]:
    data = policy.featurizer.featurize_trackers(trackers, domain)
    names = domain.action_names
    found = []
    for states, wanted, length in zip(data.X, data.y, data.true_length, strict=True):
        longest = max(len(states), 1)
        y = predict(policy.model, states[None, :longest])[0]
        found.append(
            [
                (names[int(wanted[step].argmax())], names[int(y[step].argmax())], float(y[step].max()))
                for step in range(1 if names[int(wanted[0].argmax())] == ACTION_LISTEN_NAME else 0, length)
            ]
        )
    return found


MAKERS: dict[str, Any] = {
    "n-gram": lambda: [NGramPolicy()],
    "GRU": lambda: [GruPolicy()],
    "transformer": lambda: [TransformerPolicy()],
    "KerasPolicy": lambda: [KerasPolicy()],
    "Memoization + Keras": lambda: [MemoizationPolicy(), KerasPolicy()],
}

Trained = dict[tuple[str, int, int], KerasPolicy]


def measure(
    setup: Setup, label: str, folds: list[list[Dialogue]], number: int, seed: int, trained: Trained
) -> list[float]:
    """Train without a fold and predict it: accuracy without and with listening, F1, whole dialogues, error, time.

    The network that stands alone is the one that stands beside a memory, too, and is trained once.
    """
    learnt = [tracker for other, fold in enumerate(folds) if other != number for one in fold for tracker in one]
    held_out = [tracker for one in folds[number] for tracker in one]
    policies = MAKERS[label]()
    started = time.perf_counter()
    for place, policy in enumerate(policies):
        key = (type(policy).__name__, number, seed)
        if key in trained:
            policies[place] = trained[key]
            continue
        options = {"epochs": EPOCHS_OF_SEQUENCES, "batch_size": 32} if isinstance(policy, SequencePolicy) else {}
        policy.train(learnt, setup.domain, seed=seed, verbose=0, **options)
        if isinstance(policy, KerasPolicy):
            trained[key] = policy
    took = time.perf_counter() - started
    dialogues = steps_of(policies, held_out, setup.domain)
    pairs = [(expected, predicted) for steps in dialogues for expected, predicted, _ in steps]
    sure = [(confidence, expected == predicted) for steps in dialogues for expected, predicted, confidence in steps]
    whole = sum(all(expected == predicted for expected, predicted, _ in steps) for steps in dialogues)
    return [
        accuracy(pairs),
        accuracy([pair for pair in pairs if pair[0] != ACTION_LISTEN_NAME]),
        weighted_f1(scores_by_label(pairs)),
        whole / len(dialogues),
        expected_calibration_error(confidence_bins(sure)),
        took,
    ]


def main() -> None:
    """Measure, and print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", help="a data set; may be repeated")
    parser.add_argument("--policy", action="append", choices=list(MAKERS), help="a policy; may be repeated")
    options = parser.parse_args()
    rows = []
    for name, domain, stories in data_sets(options.data):
        if options.only and name not in options.only:
            continue
        setup = Setup(extract_story_graph(stories, domain), domain, partial(Agent, domain), seed=42)
        folds = folds_of_stories(setup, options.folds)
        trained: Trained = {}
        for label in MAKERS:
            if options.policy and label not in options.policy:
                continue
            seeds = range(1 if label == "n-gram" else options.seeds)
            runs = [
                measure(setup, label, folds, fold, seed, trained) for seed in seeds for fold in range(options.folds)
            ]
            # The spread is that between seeds, of the mean over the folds.
            means = [
                [statistics.mean(column) for column in zip(*_of_seed(runs, seed, options.folds), strict=True)]
                for seed in seeds
            ]
            rows.append([name, label, *_written(means)])
            print(*rows[-1], flush=True)
    heads = ["data", "policy", "accuracy", "without listen", "weighted F1", "whole dialogues", "ECE", "train [s]"]
    print_table(f"{options.folds} folds, {options.seeds} seeds", heads, rows)


def _of_seed(runs: list[list[float]], seed: int, folds: int) -> list[list[float]]:
    return runs[seed * folds : (seed + 1) * folds]


def _written(means: list[list[float]]) -> list[str]:
    cells = []
    for number, column in enumerate(zip(*means, strict=True)):
        spread = f" ±{statistics.stdev(column):.3f}" if len(column) > 1 and number < 4 else ""
        cells.append(f"{statistics.mean(column):.{1 if number == 5 else 3}f}{spread}")
    return cells


if __name__ == "__main__":
    main()
