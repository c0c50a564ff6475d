"""Training on a stream of generated dialogues: ``python -m benchmarks.streaming [--dialogues 100000]``.

Each policy reads the stream once; only a part of the network's rows is in memory. Afterwards, new dialogues of another
seed are predicted, a thousandth of the number in training.
"""

from __future__ import annotations

import argparse
import logging
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.tables import print_table
from benchmarks.training import accuracy
from rasa_core import Agent
from rasa_core.policies import KerasPolicy, MemoizationPolicy


def main() -> None:
    """Train, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogues", type=int, default=100_000)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rows = []
    for label, policies in (("Keras", [KerasPolicy()]), ("Memoization", [MemoizationPolicy()])):
        corpus = Corpus(options.dialogues)
        agent = Agent(corpus.domain, policies)
        started = time.perf_counter()
        agent.train(corpus)
        took = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        tested = list(Corpus(max(20, options.dialogues // 1000), seed=7))
        right, total, whole = accuracy(agent, tested)
        with tempfile.TemporaryDirectory() as folder:
            agent.persist(Path(folder, "model"))
            size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) / 1e6
        rows.append(
            [label, len(corpus), f"{took:.0f}", peak, f"{size:.0f}", f"{right / total:.4f}", f"{whole}/{len(tested)}"]
        )
    heads = ["policy", "dialogues", "train [s]", "peak so far [MB]", "model [MB]", "accuracy", "whole dialogues"]
    print_table("Streaming", heads, rows)


if __name__ == "__main__":
    main()
