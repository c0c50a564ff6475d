"""Talks to the bot on the terminal, and runs its actions here.

rasa-core serve .
python client.py [address of the server]

If the server has a token, set it for the client too, in the environment variable RASA_CORE_TOKEN.
"""

from __future__ import annotations

import os
import sys
import uuid
from typing import Any

from rasa_core.events import Event, SlotSet
from rasa_core.exceptions import RasaCoreError
from rasa_core.remote import RasaCoreClient

FULL = ("Monday",)  # The calendar that this bot knows; put your own in its place.


def book_repair(slots: dict[str, Any]) -> list[Event]:
    """Book a repair, and return what has become of it; a Sunday stands for a calendar that cannot be reached."""
    if slots["day"] == "Sunday":
        raise ConnectionError("the calendar does not answer")
    return [SlotSet("outcome", "full" if slots["day"] in FULL else "booked")]


ACTIONS = {"book_repair": book_repair}


def run(action: str, slots: dict[str, Any]) -> tuple[list[Event], str | None]:
    """Run an action; return what it changes, and the error if it fails: the stories tell what the bot does then."""
    try:
        return (ACTIONS[action](slots) if action in ACTIONS else []), None
    except Exception as error:  # Whatever it is that fails, the conversation goes on.
        print(f"     ({action}: {error})", file=sys.stderr)
        return [], str(error)


def main() -> None:
    """Talk until the input ends."""
    server = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:5005"
    client = RasaCoreClient(server, os.environ.get("RASA_CORE_TOKEN"))
    conversation = uuid.uuid4().hex
    for line in iter(lambda: input("you: "), ""):
        answer = client.parse(line, conversation)
        while answer["next_action"] not in (None, "action_listen"):
            for message in answer.get("messages", ()):
                print(f"bot: {message['text']}")
            events, error = run(answer["next_action"], answer["tracker"]["slots"])
            answer = client.continue_core(answer["next_action"], events, conversation, error=error)


if __name__ == "__main__":
    try:
        main()
    except (EOFError, KeyboardInterrupt):
        print()
    except RasaCoreError as error:
        sys.exit(f"{error} Is the server running? rasa-core serve .")
