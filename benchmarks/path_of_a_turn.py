"""Which files of this package one ``parse`` over HTTP enters, and how often: ``python -m benchmarks.path_of_a_turn``.

A turn of the example bot is traced through the WSGI application, on a store in memory, after some turns without
tracing. A visit of a file begins with a call into the file while no other call into it is in progress; calls from there
into other files belong to the visit. Files of other packages are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from werkzeug.test import Client

import rasa_core
from benchmarks.tables import print_table
from rasa_core import Agent
from rasa_core.policies import MemoizationPolicy
from rasa_core.server import create_app

ROOT = Path(__file__).parents[1]
PACKAGE = os.path.dirname(os.path.abspath(rasa_core.__file__)) + os.sep
PARSE = "/conversations/me/parse"
CONTINUE = "/conversations/me/continue"


@dataclass
class Visits:
    """The visits of one file."""

    stays: int = 0
    calls: int = 0
    functions: set[str] = field(default_factory=set)


def traced(work: Callable[[], object]) -> dict[str, Visits]:
    """Return the visits of our files during `work`, in order of the first visit."""
    found: dict[str, Visits] = {}
    under_way: dict[str, int] = {}

    def note(frame: FrameType, event: str, argument: Any) -> None:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE):
            return
        file = name.removeprefix(PACKAGE)
        if event == "call":
            visits = found.setdefault(file, Visits())
            visits.calls += 1
            visits.functions.add(frame.f_code.co_qualname)
            visits.stays += not under_way.get(file)
            under_way[file] = under_way.get(file, 0) + 1
        elif event == "return":
            under_way[file] -= 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def path_of_a_parse(model: Path) -> dict[str, Visits]:
    """Return the visits of our files during one ``parse``, on a server with `model` that has answered before."""
    client = Client(create_app(model, tracker_store="memory://"))
    for _ in range(3):
        send(client, PARSE, {"query": "/greet"})
        send(client, CONTINUE, {"executed_action": "utter_greet", "events": []})
    return traced(lambda: send(client, PARSE, {"query": "/compare"}))


def send(client: Client, path: str, body: dict[str, Any]) -> None:
    """Post a body; the answer must be 200."""
    response = client.post(path, data=json.dumps(body))
    if response.status_code != 200:
        raise RuntimeError(response.get_data(as_text=True))


def train(folder: Path) -> Path:
    """Train the example bot with memoization alone into `folder`."""
    project = ROOT / "examples" / "remote"
    agent = Agent(project / "domain.yml", [MemoizationPolicy()])
    agent.train(agent.load_data(project / "stories.md"), verbose=0)
    agent.persist(folder / "model")
    return folder / "model"


def main() -> None:
    """Trace, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="directory of a model; trained, if not given")
    parser.add_argument("--functions", action="store_true", help="list the functions, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = path_of_a_parse(options.model or train(Path(name)))
    rows = [[file, visits.stays, visits.calls, len(visits.functions)] for file, visits in found.items()]
    rows.append(["all", sum(v.stays for v in found.values()), sum(v.calls for v in found.values()), ""])
    print_table(f"One parse: {len(found)} files", ["file", "stays", "calls", "functions"], rows)
    if options.functions:
        for file, visits in found.items():
            print(f"{file}: {', '.join(sorted(visits.functions))}")


if __name__ == "__main__":
    main()
