"""Which reminders of a conversation still stand."""

from __future__ import annotations

from collections.abc import Iterable

from rasa_core.events import Event, ReminderScheduled, UserUttered


def is_cancelled(reminder: ReminderScheduled, events: Iterable[Event]) -> bool:
    """Tell whether a reminder of 0.9 no longer stands, after the events since the latest restart."""
    found = False
    for event in events:
        if isinstance(event, ReminderScheduled) and event.name == reminder.name:
            found = True
        elif isinstance(event, UserUttered) and reminder.kill_on_user_message:
            found = False
    return not found
