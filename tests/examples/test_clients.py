"""The three clients of the example bot play the same conversation against the running server."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cutting_proxy import Arrived, CuttingProxy
from example_bot import ROOT, START_LIMIT, Served
from programs import free_port, program

from rasa_core.remote import RasaCoreClient

# What runs each client, and what else it needs: programs, and the packages that hold them.
CLIENTS = {
    "python": (sys.executable, "client.py", {}),
    "shell": ("bash", "client.sh", {"bash": "bash", "curl": "curl"}),
    "node": ("node", "client.mjs", {"node": "nodejs"}),
}

CONVERSATION = """\
you: /greet
bot: [utter_greet] Hello! Concerts or venues?
you: /find_concerts{"city": "Atlantis"}
bot: [search_concerts] 0 concerts in Atlantis.
bot: [utter_nothing_found] I found nothing there. Another city?
you: /inform{"city": "Lisbon"}
bot: [search_concerts] 2 concerts in Lisbon.
bot: [utter_found] Shall I compare them?
you: /compare
bot: [compare_concerts] Carminho has 5 stars. Maria Joao has 4 stars.
you: /start_over
bot: [forget_search] Done.
bot: [utter_started_over] Forgotten. What now?
you: /find_venues{"city": "Porto"}
bot: [search_venues] 1 venues in Porto.
bot: [utter_found] Shall I compare them?
you: /compare
bot: [compare_venues] Casa da Musica has 5 stars.
you: /restart
bot: [action_restart] A new conversation.
you: /compare
bot: [utter_ask_what_to_compare] Tell me first what to look for.
you: /goodbye
bot: [utter_goodbye] Enjoy the music!
"""


def start(client: str, url: str, sender_id: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a client until it has played the conversation."""
    name, script, needed = CLIENTS[client]
    for each, package in needed.items():
        program(each, package)
    return subprocess.run(
        [name, str(Path("examples", "remote", script)), url, sender_id],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def log(url: str, sender_id: str) -> list[tuple[str, str]]:
    """Return the events of a conversation from its start: types, and names or texts."""
    with urllib.request.urlopen(f"{url}/conversations/{sender_id}/tracker?ignore_restarts=true") as response:
        events = json.load(response)["events"]
    return [(event["event"], str(event.get("name") or event.get("text"))) for event in events]


@pytest.fixture(scope="module", params=CLIENTS)
def played(request: pytest.FixtureRequest, bot: Served) -> tuple[str, str]:
    """The id of a conversation, and what the client printed while it played it."""
    finished = start(request.param, bot.url, request.param, bot.folder)
    assert finished.returncode == 0, finished.stderr
    return request.param, finished.stdout


def test_client_plays_the_conversation(played: tuple[str, str]) -> None:
    assert played[1] == CONVERSATION


def test_restart_leaves_a_new_conversation(played: tuple[str, str], bot: Served) -> None:
    with urllib.request.urlopen(f"{bot.url}/conversations/{played[0]}/tracker") as response:
        state = json.load(response)
    assert state["slots"] == {"city": None, "concerts": None, "genre": None, "venues": None}
    actions = [event["name"] for event in state["events"] if event["event"] == "action"]
    assert actions == [
        "action_listen",
        "utter_ask_what_to_compare",
        "action_listen",
        "utter_goodbye",
        "action_listen",
    ]


def test_reset_is_kept_in_the_log(played: tuple[str, str], bot: Served) -> None:
    with urllib.request.urlopen(f"{bot.url}/conversations/{played[0]}/tracker?ignore_restarts=true") as response:
        events = [event["event"] for event in json.load(response)["events"]]
    assert events.count("reset_slots") == 1
    assert events.count("restart") == 1


def test_each_turn_is_logged_once_though_connections_break(played: tuple[str, str], bot: Served) -> None:
    sender_id = f"{played[0]}-behind-a-bad-line"
    with CuttingProxy(bot.url, ["after", None, None, "before", None, "middle"]) as proxy:
        finished = start(played[0], proxy.address, sender_id, bot.folder)

    assert (finished.returncode, finished.stdout) == (0, CONVERSATION), finished.stderr
    assert log(bot.url, sender_id) == log(bot.url, played[0])
    keys = [request.key for request in proxy.changing()]
    assert len(keys) - len(set(keys)) == 3


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_server_refuses_is_not_repeated(client: str, bot: Served) -> None:
    with CuttingProxy(bot.url) as proxy:
        finished = start(client, proxy.address, "x" * 1001, bot.folder)  # One more than a name may have.

    assert finished.returncode == 1
    assert "1001 characters" in finished.stderr
    assert len(proxy.arrived) == 1


class Mortal:
    """A server on SQLite that can be killed with all its processes, and started again on the same port."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            *(
                sys.executable,
                "-c",
                "from rasa_core.commands.main import serve; serve()",
                str(checkout / "examples" / "remote"),
            ),
            *("-p", str(self.port), "--store", f"sqlite:///{folder / 'conversations.db'}"),
        ]
        self._said = (folder / "server.txt").open("w")
        self.lives = 0
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            self._command, stdout=self._said, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        self.lives += 1

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def start_again(self) -> None:
        self.kill()
        self.start()

    def close(self) -> None:
        self.kill()
        self._said.close()


@pytest.fixture
def mortal(bot: Served, tmp_path: Path) -> Iterator[Mortal]:
    """A server with the model of `bot`, which is trained by now."""
    server = Mortal(tmp_path, bot.folder)
    yield server
    server.close()


def patient_of(url: str) -> RasaCoreClient:
    """Return a client that waits for as long as a server may need to start."""
    return RasaCoreClient(url, retries=10_000, longest_delay=0.2, retry_time=START_LIMIT)


def talk(client: RasaCoreClient, sender_id: str) -> None:
    """Play the conversation of the Python client."""
    example = runpy.run_path(str(ROOT / "examples" / "remote" / "client.py"))
    run: Callable[[str, dict[str, Any]], Any] = example["run"]
    for message in example["CONVERSATION"]:
        answer = client.parse(message, sender_id)
        while answer["next_action"] not in ("action_listen", None):
            _, events = run(answer["next_action"], answer["tracker"]["slots"])
            answer = client.continue_core(answer["next_action"], events, sender_id)


def test_each_turn_is_logged_once_though_the_server_is_killed_and_started_again(mortal: Mortal) -> None:
    keys: list[str | None] = []
    racing = threading.Thread(target=mortal.start_again)

    def strike(request: Arrived) -> None:
        keys.append(request.key)
        match (len(set(keys)), keys.count(request.key)):
            case (3, 1):  # Before the server gets the request.
                mortal.start_again()
            case (8, 1):  # The request is carried out, but its answer is lost ...
                proxy.faults.append("after")
            case (8, 2):  # ... and it is another server that is asked again.
                mortal.start_again()
            case (14, 1):  # Somewhere in the middle of the request.
                racing.start()

    with CuttingProxy(mortal.url) as proxy:
        patient = patient_of(proxy.address)
        patient.status()
        proxy.on_arrival = strike
        talk(patient, "anna")
    racing.join()
    talk(patient_of(mortal.url), "undisturbed")

    assert mortal.lives == 4
    assert len(set(keys)) > 14
    assert log(mortal.url, "anna") == log(mortal.url, "undisturbed")
