"""How fast two models are compared: ``python -m benchmarks.comparing [--conversations N] [--processes 1,2] [--rasa]``.

The conversations are made of the stories of `examples/remote`; some have messages that no story has at their place.
They are written into a SQLite file. With ``--rasa``, they are conversations with a bot of Rasa 3
(`benchmarks.asking_bot`). Both models belong to the same bot. The table shows predictions a second (two for each
decision), including reading the conversations and starting processes: the fastest of three runs, which alternate. CPU
seconds are those of all processes. Set ``OPENBLAS_NUM_THREADS=1``, as each process works on one core.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import asking_bot
from benchmarks.serving import ROOT
from benchmarks.tables import print_table
from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.evaluation.replay import replay_of
from rasa_core.evaluation.stories import whole_stories
from rasa_core.evaluation.workers import compare_stored
from rasa_core.events import Event, UserUttered
from rasa_core.policies import FallbackPolicy, KerasPolicy, MemoizationPolicy
from rasa_core.stories import extract_story_graph
from rasa_core.tracker_store import TrackerStore, store_from_url

BOT = ROOT / "examples/remote"
RUNS = 3


def talks(domain: Domain, count: int) -> Iterator[list[Event]]:
    """Yield conversations of two stories each; two of five stories have messages of another intent."""
    draw = random.Random(5)
    whole = whole_stories(extract_story_graph(BOT / "stories.md", domain), domain)
    intents = list(domain.intents)
    for _ in range(count):
        events: list[Event] = []
        for place in range(2):
            told = list(draw.choice(whole).events)[place and 1 :]
            strays = 0.4 if draw.random() < 0.4 else 0.0
            events += [_strayed(event, draw, intents) if draw.random() < strays else event for event in told]
        yield events


def _strayed(event: Event, draw: random.Random, intents: Sequence[str]) -> Event:
    if not isinstance(event, UserUttered):
        return event
    name = draw.choice(intents)
    return UserUttered(f"/{name}", {"name": name, "confidence": 1.0})


def measure(
    bots: tuple[Agent, Agent], store: TrackerStore, names: Sequence[str], processes: int
) -> tuple[int, float, float]:
    """Return the number of predictions, their time in seconds, and the processor time of all processes."""
    started, used = time.perf_counter(), _cpu_seconds()
    found = compare_stored(replay_of(*bots), store, names, processes=processes)
    return 2 * found.decisions, time.perf_counter() - started, _cpu_seconds() - used


def _cpu_seconds() -> float:
    own, others = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def write_remote(folder: Path, names: Sequence[str]) -> tuple[Path, str]:
    """Train the bot with stories, write its conversations, and return the model and their store."""
    domain = Domain.load(BOT / "domain.yml")
    agent = Agent(domain, [MemoizationPolicy(max_history=5), KerasPolicy(), FallbackPolicy()])
    agent.train(agent.load_data(BOT / "stories.md"), epochs=8, verbose=0)
    agent.persist(folder / "model")
    url = f"sqlite:///{folder}/talks.db"
    with store_from_url(url, domain) as store:
        for name, events in zip(names, talks(domain, len(names)), strict=True):
            with store.conversation(name) as conversation:
                conversation.replace(events)
                conversation.commit()
    return folder / "model", url


def write_asking(folder: Path, names: Sequence[str]) -> tuple[Path, str]:
    """Train the bot of Rasa 3, hold conversations with it, and return the model and their store."""
    model, url = asking_bot.trained(folder / "bot"), f"sqlite:///{folder}/talks.db"
    with store_from_url(url, Agent.load(model).domain) as store:
        asking_bot.talk(model, store, names)
    return model, url


def main() -> None:
    """Train, write the conversations, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--processes", default="1,2")
    parser.add_argument("--rasa", action="store_true")
    options = parser.parse_args()
    names = [f"user {number}" for number in range(options.conversations)]
    with tempfile.TemporaryDirectory() as folder:
        model, url = (write_asking if options.rasa else write_remote)(Path(folder), names)
        bots = Agent.load(model), Agent.load(model)
        with store_from_url(url, bots[0].domain) as store:
            wanted = [int(one) for one in options.processes.split(",")]
            runs = [{number: measure(bots, store, names, number) for number in wanted} for _ in range(RUNS)]
    best = {number: min((run[number] for run in runs), key=lambda one: one[1]) for number in wanted}
    rows = [
        [f"{one}", f"{made:,}", f"{took:.2f}", f"{made / took:,.0f}", f"{used:.2f}", f"{made / used:,.0f}"]
        for one, (made, took, used) in best.items()
    ]
    about = "a bot of Rasa 3" if options.rasa else BOT.name
    columns = ["processes", "predictions", "seconds", "predictions a second", "CPU seconds", "a CPU second"]
    print_table(f"{options.conversations:,} conversations of {about}, compared", columns, rows)


if __name__ == "__main__":
    main()
