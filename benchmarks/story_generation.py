"""Time and memory to read and generate many stories: ``python -m benchmarks.story_generation [--stories 10000]``.

The stories are made by a seeded generator on a domain of its own: about 29 lines each, a little longer than those of
bAbI.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.tables import print_table
from rasa_core import Domain
from rasa_core.training import extract_story_graph
from rasa_core.training.generator import TrainingDataGenerator

SLOTS = ("cuisine", "people", "location", "price")
DOMAIN = f"""
action_factory: remote
intents: [greet, inform, deny, affirm, thank]
entities: [{", ".join(SLOTS)}]
slots: {{{", ".join(f"{name}: {{type: text}}" for name in SLOTS)}}}
actions: [help, on_it, ask, more, search, suggest, reserve, bye]
"""


def story(number: int, draw: random.Random) -> str:
    """Return one dialogue: a few wishes in any order, some changed again, a search, and some refusals."""
    lines = [f"## story {number}", "* greet", "  - help"]
    for name in draw.sample(SLOTS, len(SLOTS)) + draw.choices(SLOTS, k=draw.randint(2, 5)):
        lines += [f'* inform{{"{name}": "{draw.randint(0, 999)}"}}', f"  - {draw.choice(('on_it', 'ask', 'more'))}"]
    lines += ["* deny", "  - search", "  - suggest"]
    lines += ["* deny", "  - suggest"] * draw.randint(0, 3)
    return "\n".join([*lines, "* affirm", "  - reserve", "* thank", "  - bye", ""])


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stories", type=int, default=10_000)
    options = parser.parse_args()
    draw = random.Random(0)
    text = "\n".join(story(number, draw) for number in range(options.stories))
    domain = Domain.from_yaml(DOMAIN)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "stories.md")
        path.write_text(text, encoding="utf-8")
        started = time.perf_counter()
        graph = extract_story_graph(str(path), domain)
        read = time.perf_counter()
        trackers = TrainingDataGenerator(graph, domain, augmentation_factor=20).generate()
        generated = time.perf_counter()
    rows = [
        ["stories, lines", f"{options.stories}, {text.count(chr(10))}"],
        ["read", f"{read - started:.1f} s"],
        ["generate, augmentation 20", f"{generated - read:.1f} s"],
        ["conversations, events", f"{len(trackers)}, {sum(len(tracker.events) for tracker in trackers)}"],
        ["peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"],
    ]
    print_table("Stories", ["what", "figure"], rows)


if __name__ == "__main__":
    main()
