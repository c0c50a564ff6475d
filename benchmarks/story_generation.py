"""Time and memory to read stories and generate conversations: ``python -m benchmarks.story_generation``.

``--stories 10000`` measures many stories without checkpoints, about 29 lines each, a little longer than those of bAbI.
``--graph`` measures a graph of checkpoints instead: ``--ways 20`` at each of ``--depth 6`` checkpoints, each with an OR
of two messages, so there are ``(2 * 20) ** 6`` paths. Stories are made by a seeded generator on a domain of their own,
and every row of the graph's table is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.tables import print_table
from rasa_core import Domain
from rasa_core.stories import extract_story_graph, load_data
from rasa_core.stories.generator import TrainingDataGenerator

SLOTS = ("cuisine", "people", "location", "price")
DOMAIN = f"""
action_factory: remote
intents: [greet, inform, deny, affirm, thank]
entities: [{", ".join(SLOTS)}]
slots: {{{", ".join(f"{name}: {{type: text}}" for name in SLOTS)}}}
actions: [help, on_it, ask, more, search, suggest, reserve, bye]
"""

INTENTS = [f"intent_{number}" for number in range(25)]
ACTIONS = [f"action_{number}" for number in range(40)]
GRAPH_DOMAIN = f"""
action_factory: remote
intents: [{", ".join(INTENTS)}]
actions: [{", ".join(ACTIONS)}]
"""
# States that policies look at (None: all), and the factor of augmentation.
GRAPH_SETTINGS = ((5, 20), (5, 0), (3, 20), (None, 20), (None, 0))

Row = list[str]


def story(number: int, draw: random.Random) -> str:
    """Return one dialogue: a few wishes in any order, some changed again, a search, and some refusals."""
    lines = [f"## story {number}", "* greet", "  - help"]
    for name in draw.sample(SLOTS, len(SLOTS)) + draw.choices(SLOTS, k=draw.randint(2, 5)):
        lines += [f'* inform{{"{name}": "{draw.randint(0, 999)}"}}', f"  - {draw.choice(('on_it', 'ask', 'more'))}"]
    lines += ["* deny", "  - search", "  - suggest"]
    lines += ["* deny", "  - suggest"] * draw.randint(0, 3)
    return "\n".join([*lines, "* affirm", "  - reserve", "* thank", "  - bye", ""])


def graph(ways: int, depth: int) -> str:
    """Return stories that go from checkpoint to checkpoint: one of two messages, and one or two actions."""
    draw = random.Random(0)
    lines = []
    for level in range(depth):
        for way in range(ways):
            lines += [f"## level {level} way {way}", *([f"> checkpoint_{level}"] if level else [])]
            lines += ["* " + " OR ".join(draw.sample(INTENTS, 2))]
            lines += [f"  - {action}" for action in draw.sample(ACTIONS, draw.randint(1, 2))]
            lines += [*([f"> checkpoint_{level + 1}"] if level + 1 < depth else []), ""]
    return "\n".join(lines)


def peak_memory() -> str:
    """Return the largest memory that this process has had."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"


def measure_stories(count: int) -> None:
    """Print the table of many stories."""
    draw = random.Random(0)
    text = "\n".join(story(number, draw) for number in range(count))
    domain = Domain.from_yaml(DOMAIN)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "stories.md")
        path.write_text(text, encoding="utf-8")
        started = time.perf_counter()
        stories = extract_story_graph(str(path), domain)
        read = time.perf_counter()
        trackers = TrainingDataGenerator(stories, domain, augmentation_factor=20).generate()
        generated = time.perf_counter()
    rows = [
        ["stories, lines", f"{count}, {text.count(chr(10))}"],
        ["read", f"{read - started:.1f} s"],
        ["generate, augmentation 20", f"{generated - read:.1f} s"],
        ["conversations, events", f"{len(trackers)}, {sum(len(tracker.events) for tracker in trackers)}"],
        ["peak memory", peak_memory()],
    ]
    print_table("Stories", ["what", "figure"], rows)


def measure_graph(ways: int, depth: int, max_history: int | None, augmentation: int) -> Row:
    """Return one row of the graph's table."""
    domain = Domain.from_yaml(GRAPH_DOMAIN)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "stories.md")
        path.write_text(graph(ways, depth), encoding="utf-8")
        before = peak_memory()
        started = time.perf_counter()
        trackers = load_data(path, domain, max_history=max_history, augmentation_factor=augmentation)
        took = time.perf_counter() - started
    peak = peak_memory()
    own = [tracker for tracker in trackers if not tracker.is_augmented]
    turns = {turn for tracker in own for turn, _ in tracker.turns(max_history or 5)} - {None}
    states = "all" if max_history is None else str(max_history)
    counts = [str(len(own)), str(len(trackers) - len(own)), str(len(turns))]
    return [states, str(augmentation), *counts, f"{took:.1f} s", f"{peak} (from {before})"]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=10_000)
    parser.add_argument("--graph", action="store_true")
    parser.add_argument("--ways", type=int, default=20)
    parser.add_argument("--depth", type=int, default=6)
    options = parser.parse_args()
    if not options.graph:
        measure_stories(options.stories)
        return
    settings = [(options.ways, options.depth, *setting) for setting in GRAPH_SETTINGS]
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rows = pool.starmap(measure_graph, settings, chunksize=1)
    heads = ["states", "augmentation", "conversations", "augmented", "distinct turns", "time", "peak memory"]
    print_table(f"{options.ways} ways at each of {options.depth} checkpoints, with OR", heads, rows)


if __name__ == "__main__":
    main()
