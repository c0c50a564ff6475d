"""Kills servers while clients talk, and checks that no turn is lost or doubled: ``python -m benchmarks.soak``.

Clients play turns (one ``parse``, one ``continue``) on conversations of their own. Every request has a key, and is
repeated until it is answered; now and then, an answered request is repeated, too, and must get the same answer.
Meanwhile, SIGKILL ends workers, now and then the whole server, and also the database server, if the store has one. At
the end, the log of each conversation must have each acknowledged turn exactly once, in order, and nothing else.

    python -m benchmarks.soak --seconds 1200 --store sqlite
    python -m benchmarks.soak --seconds 1200 --store postgresql --store redis --store mariadb
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.serving import ROOT, free_port, wait_for
from benchmarks.tables import print_table
from rasa_core import Agent, Domain
from rasa_core.events import SlotSet
from rasa_core.policies import MemoizationPolicy
from rasa_core.remote import RasaCoreClient

DOMAIN = """
intents: [{say: {use_entities: false}}]
entities: [number]
slots:
  number: {type: unfeaturized}
  done: {type: unfeaturized}
templates:
  utter_ok: [{text: ok}]
actions: [utter_ok]
action_factory: remote
"""
STORIES = "## ok\n* say\n    - utter_ok\n## ok again\n* say\n    - utter_ok\n* say\n    - utter_ok\n"
PATIENCE = 120.0


class Killable(Protocol):
    """The server of a database."""

    def kill(self) -> None:
        """End it as a crash does."""

    def start(self) -> None:
        """Start it again, on the same address and data."""


def counting_bot(folder: Path) -> Path:
    """Write a model that answers every message with one action."""
    (folder / "stories.md").write_text(STORIES)
    agent = Agent(Domain.from_yaml(DOMAIN), [MemoizationPolicy(max_history=1)])
    agent.train(agent.load_data(folder / "stories.md", augmentation_factor=0))
    agent.persist(folder / "dialogue")
    return folder / "dialogue"


class Server:
    """A server in processes of its own, which are killed and started again on the same port."""

    def __init__(self, model: Path, store: str, *, workers: int = 2, threads: int = 4) -> None:
        self.port = free_port()
        self.kills = self.worker_kills = 0
        self._command = [
            *(sys.executable, "-m", "rasa_core.server", "-d", str(model), "-p", str(self.port), "--store", store),
            *("--workers", str(workers), "--threads", str(threads), "-o", str(model.parent / f"{self.port}.log")),
        ]
        self._output = model.parent / f"{self.port}.out"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and return when it answers."""
        with self._output.open("ab") as output:
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output, env=environment)
        try:
            wait_for(self.port, self._process)
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {self._output.read_text(errors='replace')[-3000:]}") from None

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        assert self._process is not None
        pid = self._process.pid
        with contextlib.suppress(OSError):
            return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
        return []

    def kill_worker(self, rng: random.Random) -> None:
        """Kill one worker, if there is one now; the server starts another one."""
        workers = self.workers()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
                self.worker_kills += 1

    def kill(self) -> None:
        """Kill all of it."""
        assert self._process is not None
        workers = self.workers()
        for pid in (self._process.pid, *workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        for pid in workers:
            while Path(f"/proc/{pid}").exists() and "Z" not in _state_of(pid):
                time.sleep(0.005)
        self.kills += 1

    def check(self) -> None:
        """Raise `RuntimeError` if the server ended by itself, which it must not."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the server ended: {self._output.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        """Stop it as a service manager does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)


def _state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "Z"


@dataclass
class Talker:
    """A client with conversations of its own; `acknowledged` has the turns that the server has answered."""

    name: str
    url: str
    conversations: int
    seed: int
    acknowledged: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    problems: list[str] = field(default_factory=list)

    def talk(self, until: Callable[[], bool], most_turns: int | None = None) -> None:
        """Play turns until told to stop, or `most_turns` of them, but the last one to its end."""
        rng = random.Random(self.seed)
        client = RasaCoreClient(
            self.url, retries=10_000, retry_time=PATIENCE, first_delay=0.02, longest_delay=0.3, rng=rng
        )
        turns = 0
        try:
            while not until() and turns != most_turns:
                self._turn(client, rng, f"{self.name}-{rng.randrange(self.conversations)}")
                turns += 1
        except Exception as error:  # It is reported with the other problems.
            self.problems.append(f"{self.name} gave up: {type(error).__name__}: {error}")
        finally:
            client.close()

    def _turn(self, client: RasaCoreClient, rng: random.Random, sender_id: str) -> None:
        number = self.acknowledged.get(sender_id, 0)
        key = f"{sender_id} {number}"

        def parse() -> dict[str, Any]:
            return client.parse(f'/say{{"number": {number}}}', sender_id, idempotency_key=f"{key} parse")

        done = [SlotSet("done", number)]  # Made once: a repeated request has the time of the first.

        def proceed() -> dict[str, Any]:
            return client.continue_core("utter_ok", done, sender_id, idempotency_key=f"{key} continue")

        for step, expected in ((parse, "utter_ok"), (proceed, "action_listen")):
            answer = step()
            if answer["next_action"] != expected:
                self.problems.append(f"{key}: {expected} was to come next, not {answer['next_action']}")
            if rng.random() < 0.05:
                self.repeats += 1
                if step() != answer:
                    self.problems.append(f"{key}: a repeated request got another answer")
        self.acknowledged[sender_id] = number + 1

    def check(self, client: RasaCoreClient) -> Iterator[str]:
        """Compare the logs with the acknowledged turns; yield the errors."""
        for sender_id, turns in self.acknowledged.items():
            found = [_described(event) for event in client.tracker_json(sender_id)["events"]]
            expected = ["action_listen"]
            for number in range(turns):
                expected += [f"say {number}", f"number={number}", "utter_ok", f"done={number}", "action_listen"]
            if found != expected:
                place = next((i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]), -1)
                yield (
                    f"{sender_id}: {len(found)} events instead of {len(expected)}; "
                    f"from {place}: {found[place : place + 6]} instead of {expected[place : place + 6]}"
                )


def _described(event: dict[str, Any]) -> str:
    if event["event"] == "user":
        return f"say {event['parse_data']['entities'][0]['value']}"
    if event["event"] == "slot":
        return f"{event['name']}={event['value']}"
    return str(event.get("name", event["event"]))


@dataclass(frozen=True)
class Result:
    """The counts of one run, and the errors."""

    store: str
    seconds: float
    conversations: int
    turns: int
    repeats: int
    worker_kills: int
    server_kills: int
    database_kills: int
    problems: list[str]


def soak(
    name: str,
    store: str,
    folder: Path,
    *,
    seconds: float,
    database: Killable | None = None,
    talkers: int = 8,
    conversations: int = 5,
    pause: tuple[float, float] = (0.3, 1.5),
    seed: int = 0,
) -> Result:
    """Let clients talk while servers are killed, and check the logs afterwards.

    Parameters
    ----------
    name, store
        The name of the store, and its URL.
    database
        The server of the store, which is killed and started again, too; None if there is none.
    conversations
        The number of conversations of each talker.
    pause
        Shortest and longest time between two kills, in seconds.
    """
    server = Server(counting_bot(folder), store)
    rng = random.Random(seed)
    database_kills = 0
    server.start()
    stop = threading.Event()
    crowd = [Talker(f"talker{number}", server.url, conversations, seed + number) for number in range(talkers)]
    threads = [threading.Thread(target=talker.talk, args=(stop.is_set,)) for talker in crowd]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        while time.monotonic() - started < seconds:
            time.sleep(rng.uniform(*pause))
            what = rng.random()
            if database is not None and what < 0.2:
                database.kill()
                time.sleep(rng.uniform(0.0, 0.5))
                database.start()
                database_kills += 1
            elif what < 0.3:
                server.kill()
                server.start()
            else:
                server.kill_worker(rng)
            server.check()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    elapsed = time.monotonic() - started
    client = RasaCoreClient(server.url, retries=100)
    problems = [problem for talker in crowd for problem in [*talker.problems, *talker.check(client)]]
    client.close()
    server.stop()
    return Result(
        name,
        elapsed,
        sum(len(talker.acknowledged) for talker in crowd),
        sum(sum(talker.acknowledged.values()) for talker in crowd),
        sum(talker.repeats for talker in crowd),
        server.worker_kills,
        server.kills,
        database_kills,
        problems,
    )


def main() -> None:
    """Soak each store in turn, and print the table."""
    from benchmarks.databases import STORES, opened_if_installed

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each store")
    parser.add_argument("--store", action="append", choices=sorted(STORES), help="one or several; all if not given")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows, problems = [], []
    for name in options.store or sorted(STORES):
        with tempfile.TemporaryDirectory() as folder, opened_if_installed(name, Path(folder)) as found:
            if found is None:
                continue
            url, database = found
            result = soak(name, url, Path(folder), seconds=options.seconds, database=database, seed=options.seed)
        problems += [f"{name}: {problem}" for problem in result.problems]
        rows.append(
            [
                *(name, f"{result.seconds:.0f} s", result.conversations, result.turns, result.repeats),
                *(result.worker_kills, result.server_kills, result.database_kills, len(result.problems)),
            ]
        )
    print_table(
        "Turns while servers are killed",
        ["store", "time", "conversations", "turns", "repeated", "workers", "servers", "databases", "violations"],
        rows,
    )
    for problem in problems[:20]:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
