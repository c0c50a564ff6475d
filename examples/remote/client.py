"""Talks to the bot, and runs its actions here, in Python.

rasa-core-serve examples/remote
python examples/remote/client.py [address of the server]
"""

from __future__ import annotations

import sys
from typing import Any

from rasa_core.events import AllSlotsReset, Event, Restarted, SlotSet
from rasa_core.remote import RasaCoreClient

CONCERTS = {"Lisbon": [{"artist": "Carminho", "stars": 5}, {"artist": "Maria Joao", "stars": 4}]}
VENUES = {"Lisbon": [{"name": "Hot Clube", "stars": 4}], "Porto": [{"name": "Casa da Musica", "stars": 5}]}

CONVERSATION = [
    "/greet",
    '/find_concerts{"city": "Atlantis"}',
    '/inform{"city": "Lisbon"}',
    "/compare",
    "/start_over",
    '/find_venues{"city": "Porto"}',
    "/compare",
    "/restart",
    "/compare",
    "/goodbye",
]

WORDS = {
    "utter_greet": "Hello! Concerts or venues?",
    "utter_ask_city": "In which city?",
    "utter_nothing_found": "I found nothing there. Another city?",
    "utter_search_failed": "I cannot search just now.",
    "utter_found": "Shall I compare them?",
    "utter_ask_what_to_compare": "Tell me first what to look for.",
    "utter_started_over": "Forgotten. What now?",
    "utter_welcome": "You are welcome.",
    "utter_goodbye": "Enjoy the music!",
    "utter_default": "Sorry, I look for concerts and venues only.",
}


def run_or_fail(action: str, slots: dict[str, Any]) -> tuple[str, list[Event], str | None]:
    """Run one action; return the message, the changes, and the error if it failed: then stories say how to go on."""
    try:
        return *run(action, slots), None
    except (OSError, ValueError) as error:  # What your catalogue raises when it cannot be reached.
        return "", [], str(error)


def run(action: str, slots: dict[str, Any]) -> tuple[str, list[Event]]:
    """Run one action; return the message to the user, and the changes of the conversation."""
    if action == "search_concerts":
        found = CONCERTS.get(slots["city"], [])
        return f"{len(found)} concerts in {slots['city']}.", [SlotSet("concerts", found)]
    if action == "search_venues":
        found = VENUES.get(slots["city"], [])
        return f"{len(found)} venues in {slots['city']}.", [SlotSet("venues", found)]
    if action == "compare_concerts":
        return " ".join(f"{one['artist']} has {one['stars']} stars." for one in slots["concerts"]), []
    if action == "compare_venues":
        return " ".join(f"{one['name']} has {one['stars']} stars." for one in slots["venues"]), []
    if action == "forget_search":
        return "Done.", [AllSlotsReset()]
    if action == "action_restart":
        return "A new conversation.", [Restarted()]
    return WORDS[action], []


def main() -> None:
    """Play the conversation."""
    # Each request gets a key, and is repeated with it until there is an answer. So a turn is taken once, and an
    # action runs once, though the network or the server fail in between.
    client = RasaCoreClient(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:5005", None)
    sender_id = sys.argv[2] if len(sys.argv) > 2 else "python-client"
    for message in CONVERSATION:
        print(f"you: {message}")
        answer = client.parse(message, sender_id)
        while answer["next_action"] not in ("action_listen", None):
            action = answer["next_action"]
            said, events, error = run_or_fail(action, answer["tracker"]["slots"])
            print(f"bot: [{action}] {said}")
            answer = client.continue_core(action, events, sender_id, error=error)


if __name__ == "__main__":
    main()
