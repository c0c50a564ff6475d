"""A rule as data: its conditions, and its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rasa_core.events import Event
from rasa_core.support.places import Place


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; a rule with ``or`` becomes several.

    Attributes
    ----------
    name, place
        The name of the rule, and the place where it begins.
    conditions : sequence of Event
        The slots and the loop that it requires.
    steps : sequence of (Event, Place)
        The events of its steps, as in the file.
    at_start : bool
        Whether it applies only at the start of a conversation.
    waits : bool
        Whether the bot waits for the user at its end.
    """

    name: str
    place: Place
    conditions: Sequence[Event]
    steps: Sequence[tuple[Event, Place]]
    at_start: bool = False
    waits: bool = True
