"""The time of a prediction of `KerasPolicy`: ``python -m benchmarks.prediction [--data DIR]``.

For each data set, single predictions are measured first, as in serving, from a tracker to probabilities: the median and
the 99th percentile of the elapsed time. Then whole conversations are predicted at once. The table shows the processor
time per step (a prediction) of making the features, of the network alone on finished rows, and of
``KerasPolicy.predict_conversations``, which does both; the best of some runs. The network is trained for one epoch, as
its speed does not depend on the training. Set ``OPENBLAS_NUM_THREADS=1`` to measure one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.policies import data_sets
from benchmarks.serving import ROOT
from benchmarks.tables import print_table, quantile
from rasa_core import Domain
from rasa_core.evaluation.stories import whole_stories
from rasa_core.policies import KerasPolicy
from rasa_core.policies.features.conversations import ConversationFeaturizer
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.network import ROWS_IN_PRODUCT, written_out
from rasa_core.stories import extract_story_graph
from rasa_core.stories.training_tracker import TrainingTracker

CONVERSATIONS_ALONE = 100


def best_time(work: Callable[[], object], runs: int) -> float:
    """Return the processor time of the fastest run, in seconds."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def make_features(trackers: list[TrainingTracker], domain: Domain, featurizer: HistoryFeaturizer) -> None:
    """Make the rows of all conversations, and write them out."""
    rows = ConversationFeaturizer(featurizer.max_history, domain.slots, featurizer.index_of)
    for tracker in trackers:
        rows.add(tracker)
    for _ in written_out(*rows.take()[:3], featurizer.num_features):
        pass


def measure(trackers: list[TrainingTracker], domain: Domain, runs: int) -> list[object]:
    """Return the number of steps, microseconds of a single step, and for each part microseconds and steps a second."""
    featurizer = HistoryFeaturizer()
    policy = KerasPolicy(featurizer)
    policy.train(trackers, domain, epochs=1, verbose=0)
    steps = sum(map(len, policy.predict_conversations(trackers, domain)))
    x = np.zeros((ROWS_IN_PRODUCT, featurizer.num_features), np.float32)
    network = policy.model
    times = [
        best_time(lambda: make_features(trackers, domain, featurizer), runs) / steps,
        best_time(lambda: network.predict(x), 10 * runs) / ROWS_IN_PRODUCT,
        best_time(lambda: policy.predict_conversations(trackers, domain), runs) / steps,
    ]
    alone = [1e6 * quantile(one_at_a_time(policy, trackers, domain), fraction) for fraction in (0.5, 0.99)]
    return [steps, *(f"{each:.0f}" for each in alone), *(f"{1e6 * each:.1f} / {1 / each:,.0f}" for each in times)]


def one_at_a_time(policy: KerasPolicy, trackers: list[TrainingTracker], domain: Domain) -> list[float]:
    """Return the time of each prediction in some conversations, in seconds."""
    took = []
    for tracker in trackers[:CONVERSATIONS_ALONE]:
        for before in tracker.generate_all_prior_trackers():
            started = time.perf_counter()
            policy.predict_action_probabilities(before, domain)
            took.append(time.perf_counter() - started)
    return took


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the data sets")
    parser.add_argument("--only", action="append", help="a data set; may be repeated")
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    rows = []
    for name, domain, stories in data_sets(options.data):
        if not options.only or name in options.only:
            trackers = whole_stories(extract_story_graph(stories, domain), domain)
            rows.append([name, *measure(trackers, domain, options.runs)])
    heads = ["data", "steps", "alone p50 [us]", "p99 [us]", "features [us / 1/s]", "network [us / 1/s]"]
    print_table("Predictions", [*heads, "all at once [us / 1/s]"], rows)


if __name__ == "__main__":
    main()
