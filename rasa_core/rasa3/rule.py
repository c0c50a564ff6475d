"""A rule as data: what must hold, and what the bot does then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rasa_core.events import Event
from rasa_core.support.places import Place


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; one with ``or`` is several.

    Attributes
    ----------
    name, place
        What it is called, and where it begins.
    conditions : sequence of Event
        The slots and the loop that it asks for.
    steps : sequence of (Event, Place)
        What happens, as it stands in the file.
    at_start : bool
        Whether it holds only where a conversation begins.
    waits : bool
        Whether the bot waits for the user in the end.
    """

    name: str
    place: Place
    conditions: Sequence[Event]
    steps: Sequence[tuple[Event, Place]]
    at_start: bool = False
    waits: bool = True
