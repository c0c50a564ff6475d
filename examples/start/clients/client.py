"""Talks to the bot on the terminal, and runs its actions here.

rasa-core serve .
python client.py [address of the server]
"""

from __future__ import annotations

import sys
import uuid
from typing import Any

from rasa_core.events import Event, SlotSet
from rasa_core.exceptions import RasaCoreError
from rasa_core.remote import RasaCoreClient

FULL = ("Monday",)  # The calendar that this bot knows; put your own in its place.


def book_repair(slots: dict[str, Any]) -> list[Event]:
    """Book a repair, and return what has become of it; a Sunday stands for a calendar that cannot be reached."""
    try:
        if slots["day"] == "Sunday":
            raise ConnectionError("the calendar does not answer")
        return [SlotSet("outcome", "full" if slots["day"] in FULL else "booked")]
    except ConnectionError as error:
        print(f"     ({error})", file=sys.stderr)
        return [SlotSet("outcome", "failed")]


ACTIONS = {"book_repair": book_repair}


def main() -> None:
    """Talk until the input ends."""
    client = RasaCoreClient(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:5005", None)
    conversation = uuid.uuid4().hex
    for line in iter(lambda: input("you: "), ""):
        answer = client.parse(line, conversation)
        while answer["next_action"] not in (None, "action_listen"):
            for message in answer.get("messages", ()):
                print(f"bot: {message['text']}")
            action = answer["next_action"]
            events = ACTIONS[action](answer["tracker"]["slots"]) if action in ACTIONS else []
            answer = client.continue_core(action, events, conversation)


if __name__ == "__main__":
    try:
        main()
    except (EOFError, KeyboardInterrupt):
        print()
    except RasaCoreError as error:
        sys.exit(f"{error} Is the server running? rasa-core serve .")
