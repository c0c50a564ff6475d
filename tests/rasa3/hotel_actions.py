"""The actions of a project for rasa-sdk, with which `test_whole_project` runs them.

Each order is a line of ``orders.txt`` in the folder ``HOTEL``. Where a file ``gate`` is there, which has the number of
a port, the next order waits until the connection that it makes to this port ends.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from rasa_sdk import Action, FormValidationAction

HOTEL = Path(os.environ["HOTEL"])


class ValidateHotelForm(FormValidationAction):  # type: ignore[misc]
    """Writes names of hotels in capitals."""

    def name(self) -> str:
        return "validate_hotel_form"

    def validate_name_hotel(self, value: str, dispatcher: Any, tracker: Any, domain: Any) -> dict[str, Any]:
        return {"name_hotel": value.upper()}


class Submit(Action):  # type: ignore[misc]
    """Takes an order, once for each message of the user's."""

    form = ""

    def name(self) -> str:
        return f"action_submit_{self.form}"

    def run(self, dispatcher: Any, tracker: Any, domain: Any) -> list[dict[str, Any]]:
        said = [event["timestamp"] for event in tracker.events if event["event"] == "user"]
        orders = HOTEL / "orders.txt"
        with orders.open("a", encoding="utf-8") as file:
            file.write(f"{tracker.sender_id} {said[-1]}\n")
        _wait_at_the_gate()
        number = len(set(orders.read_text(encoding="utf-8").splitlines()))
        what = f"{tracker.get_slot(f'name_{self.form}')} for {tracker.get_slot(f'count_{self.form}')}"
        dispatcher.utter_message(text=f"{what}, order {number}.")
        return [{"event": "slot", "name": "orders", "value": number}]


def _wait_at_the_gate() -> None:
    gate = HOTEL / "gate"
    if gate.exists():
        port = int(gate.read_text(encoding="utf-8"))
        gate.unlink()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as waiting:
            waiting.recv(1)


class SubmitHotel(Submit):
    form = "hotel"


class SubmitTable(Submit):
    form = "table"


class SubmitTaxi(Submit):
    form = "taxi"
