"""Tells of names in stories that the domain does not have, each name once."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from rasa_core.events import ActionExecuted, Event, FollowupAction, ReminderScheduled, SlotSet, UserUttered
from rasa_core.exceptions import did_you_mean
from rasa_core.stories.steps import Source

if TYPE_CHECKING:
    from rasa_core.domain import Domain

logger = logging.getLogger(__name__)


class NameCheck:
    """Compares names with a domain; without one, every name is fine.

    A name that is not in the domain is logged where it occurs first, with the nearest names that are.
    """

    def __init__(self, domain: Domain | None) -> None:
        self._known: dict[str, frozenset[str]] = {}
        self._told: set[tuple[str, str]] = set()
        if domain is not None:
            self._known = {
                "intent": frozenset([*domain.intents, domain.restart_intent]),
                "entity": frozenset(domain.entities),
                "slot": frozenset(slot.name for slot in domain.slots),
                "action": frozenset(domain.action_names),
            }

    def known(self, kind: str) -> Collection[str]:
        """Return the names of one kind in the domain."""
        return self._known.get(kind, frozenset())

    def check(self, kind: str, name: str, source: Source) -> None:
        """Log that the domain has no such intent, entity, slot or action, if so, and once for each name."""
        known = self._known.get(kind)
        if known is None or name in known or (kind, name) in self._told:
            return
        self._told.add((kind, name))
        logger.warning("%s: the domain has no %s %r.%s", source, kind, name[:100], did_you_mean(name, known))

    def check_event(self, event: Event, source: Source) -> None:
        """Check all names in an event."""
        if isinstance(event, UserUttered):
            self.check("intent", event.intent.get("name") or "", source)
            for entity in event.entities:
                self.check("entity", str(entity["entity"]), source)
        elif isinstance(event, SlotSet):
            self.check("slot", event.key, source)
        elif isinstance(event, ActionExecuted | FollowupAction | ReminderScheduled) and event.action_name is not None:
            self.check("action", event.action_name, source)
