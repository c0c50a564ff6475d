"""Servers that are killed during turns, and servers that share a store: no turn is lost, doubled or mixed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from at_once import at_once

from benchmarks.databases import STORES, opened
from benchmarks.soak import Server, counting_bot, soak
from rasa_core.remote import RasaCoreClient

SECONDS = 6.0
ROUNDS = 8
CONVERSATIONS = [f"shared-{number}" for number in range(5)]
THREADS = 8
MESSAGES = 3


@pytest.mark.parametrize("name", sorted(STORES))
def test_each_acknowledged_turn_is_in_the_log_once_though_servers_are_killed(name: str, tmp_path: Path) -> None:
    turns = repeats = worker_kills = server_kills = database_kills = 0
    for number in range(ROUNDS):  # Where the machine has other work, more than one, until enough has happened.
        (folder := tmp_path / str(number)).mkdir()
        with opened(name, folder) as (url, database):
            # Short pauses, so that both kinds of servers die several times.
            result = soak(name, url, folder, seconds=SECONDS, database=database, pause=(0.1, 0.6), seed=7 + number)
        assert result.problems == []
        turns += result.turns
        repeats += result.repeats
        worker_kills += result.worker_kills
        server_kills += result.server_kills
        database_kills += result.database_kills
        if turns > 40 and repeats and worker_kills >= 3 and server_kills and (database_kills or database is None):
            return
    pytest.fail(f"too little happened: {turns} turns, {repeats} repeats, {worker_kills} + {server_kills} kills")


@pytest.fixture(params=["memory", *sorted(STORES)])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Server]]:
    """Run two servers on one store; one where the store cannot be shared by processes."""
    model = counting_bot(tmp_path)
    with ExitStack() as stack:
        url, count = "memory://", 1
        if request.param != "memory":
            url, _ = stack.enter_context(opened(request.param, tmp_path))
            count = 2
        running = [Server(model, url, workers=1, threads=THREADS) for _ in range(count)]
        for server in running:
            stack.callback(server.stop)
            server.start()
        yield running


def test_messages_to_one_conversation_through_several_servers_do_not_mix(servers: list[Server]) -> None:
    def talk(server: Server, name: str) -> None:
        with closing(RasaCoreClient(server.url)) as client:
            for number in range(MESSAGES):
                for sender_id in CONVERSATIONS:
                    client.parse(f'/say{{"number": "{name} {number}"}}', sender_id)

    names = [(server, f"{index}-{number}") for index, server in enumerate(servers) for number in range(THREADS)]
    at_once(lambda pair: talk(*pair), names)
    client = RasaCoreClient(servers[0].url)
    for sender_id in CONVERSATIONS:
        events = client.tracker_json(sender_id)["events"][1:]
        said = [event["parse_data"]["entities"][0]["value"] for event in events[::2]]
        assert [event["value"] for event in events[1::2]] == said
        assert sorted(said) == sorted(f"{name} {number}" for _, name in names for number in range(MESSAGES))
        for _, name in names:
            assert [text for text in said if text.startswith(f"{name} ")] == [f"{name} {n}" for n in range(MESSAGES)]
    client.close()
