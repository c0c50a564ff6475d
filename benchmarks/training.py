"""Training time, and accuracy on the last fifth of the dialogues: ``python -m benchmarks.training [--data DIR]``.

The example bot is trained and measured on all its stories; babi is trained on the first 80 % of its dialogues and
measured on the others. Accuracy counts every action, ``action_listen`` included, but for the one that starts a
conversation.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from benchmarks.serving import ROOT
from benchmarks.tables import print_table
from rasa_core import ActionExecuted, Agent, DialogueStateTracker, Domain
from rasa_core.policies import KerasPolicy, MemoizationPolicy


def accuracy(agent: Agent, dialogues: list[DialogueStateTracker]) -> tuple[int, int, int]:
    """Return right actions, actions, and dialogues with nothing but right actions."""
    right = total = whole = 0
    for dialogue in dialogues:
        tracker = dialogue.init_copy()
        mistakes = 0
        for number, event in enumerate(dialogue.applied_events()):
            if isinstance(event, ActionExecuted) and number:
                total += 1
                mistakes += agent.predict(tracker).action != event.action_name
            tracker.update(event)
        whole += not mistakes
        right -= mistakes
    return right + total, total, whole


def measure(name: str, domain: Domain, stories: Path, share: float) -> list[list[object]]:
    """Train on the first `share` of the dialogues, once with each choice of policies."""
    rows: list[list[object]] = []
    for label, policies in (
        ("Memoization + Keras", [MemoizationPolicy(), KerasPolicy()]),
        ("Keras alone", [KerasPolicy()]),
    ):
        agent = Agent(domain, policies)
        started = time.perf_counter()
        dialogues = agent.load_data(stories, augmentation_factor=0)
        cut = round(share * len(dialogues))
        augmented = agent.load_data(stories) if share == 1.0 else dialogues[:cut]
        loaded = time.perf_counter()
        agent.train(augmented, verbose=0)
        trained = time.perf_counter()
        test = dialogues[cut:] if share < 1.0 else dialogues
        right, total, whole = accuracy(agent, test)
        rows.append(
            [
                name,
                label,
                cut,
                f"{loaded - started:.1f}",
                f"{trained - loaded:.1f}",
                f"{right}/{total}",
                f"{100 * right / total:.2f} %",
                f"{whole}/{len(test)}",
            ]
        )
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder that holds babi/")
    options = parser.parse_args()
    project = ROOT / "examples" / "remote"
    rows = measure("examples/remote", Domain.load(project / "domain.yml"), project / "stories.md", 1.0)
    babi = options.data / "babi"
    if babi.is_dir():
        rows += measure("babi", Domain.load(babi / "domain_0.9.yml", "remote"), babi / "stories_train.md", 0.8)
    heads = ["bot", "policies", "dialogues", "load [s]", "train [s]", "right", "accuracy", "whole dialogues"]
    print_table("Training", heads, rows)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
