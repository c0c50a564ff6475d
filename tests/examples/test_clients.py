"""The three clients of the example bot play the same conversation against the running server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from example_bot import ROOT, Served

CLIENTS = {
    "python": [sys.executable, "client.py"],
    "shell": ["bash", "client.sh"],
    "node": ["node", "client.mjs"],
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


@pytest.fixture(scope="module", params=CLIENTS)
def played(request: pytest.FixtureRequest, bot: Served) -> tuple[str, str]:
    """The id of a conversation, and what the client printed while it played it."""
    program, script = CLIENTS[request.param]
    if shutil.which(program) is None:
        message = f"{program} is not installed: apt-get install nodejs"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    path = str(Path("examples", "remote", script))
    finished = subprocess.run(
        [program, path, bot.url, request.param],
        cwd=bot.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
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
