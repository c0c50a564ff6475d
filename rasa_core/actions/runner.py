"""Runners, which decide where an action runs (here, in the caller's code, or in an action server), and run it.

A turn asks the runner of its domain; no other code looks at the class of an action.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from rasa_core.actions.action import Action, ActionListen, ActionRestart, RemoteAction, UtterAction
from rasa_core.actions.webhook import ActionServer, domain_body
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import Event
from rasa_core.exceptions import EventError, RemoteActionError
from rasa_core.support.forks import end_child
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

_ONLY_SAYS = (UtterAction, ActionListen, ActionRestart)


class ActionRunner(ABC):
    """Runs the actions of a domain. Safe to share between threads."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._always_says: dict[str, list[dict[str, Any]]] = {}  # Responses with nothing to fill, and one wording.

    @abstractmethod
    def runs_here(self, action_name: str) -> bool:
        """Tell whether `run` runs this action."""

    def check_runs_here(self, action_name: str) -> None:
        """Raise `RemoteActionError` unless `run` runs this action, `UnknownActionError` if the domain has none such."""
        self.domain.index_for_action(action_name)
        if not self.runs_here(action_name):
            raise RemoteActionError(
                f"the action {action_name!r} runs in your own code, which respond cannot call. "
                "Send the message with parse, run each next_action, and report it with continue."
            )

    @property
    def runs_everything(self) -> bool:
        """Tell whether all actions run here, so that `respond` never ends at an action of the caller."""
        return all(map(self.runs_here, self.domain.action_names))

    @cached_property
    def shows_trackers(self) -> bool:
        """Tell whether custom code gets trackers in this process, and may keep or change them."""
        kinds = map(type, map(self.domain.action_for_name, self.domain.action_names))
        return not all(kind in (*_ONLY_SAYS, RemoteAction) for kind in kinds)

    def has_effects(self, action_name: str) -> bool:
        """Tell whether an action may do more than say something; then events before it must be stored first."""
        return not isinstance(self.domain.action_for_name(action_name), _ONLY_SAYS)

    def run(self, action_name: str, dispatcher: Dispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Run an action that runs here, with its messages going to `dispatcher`, and return its events.

        Raises
        ------
        EventError
            If the action returns anything other than events.
        Exception
            Any exception of the action.
        """
        action: Action = self.domain.action_for_name(action_name)
        process = os.getpid()
        try:
            return as_events(action.run(dispatcher, tracker, self.domain))
        finally:
            if os.getpid() != process:
                end_child(f"the action {action_name!r}")

    def messages_of(self, action_name: str, tracker: DialogueStateTracker) -> list[dict[str, Any]]:
        """Return the filled template of an action as messages, for a caller that does not word its own."""
        always = self._always_says.get(action_name)
        if always is not None:
            return [{**message, "recipient_id": tracker.sender_id} for message in always]
        channel, variants = CollectingOutputChannel(), self.domain.templates[action_name]
        try:
            Dispatcher(tracker.sender_id, channel, self.domain).utter_template(action_name, tracker)
        except EventError as error:  # The answer still names the action, and the caller can word its own message.
            logger.error("%r cannot be said in conversation %r: %s", action_name, tracker.sender_id, error)
        else:
            if len(variants) == 1 and _is_fixed(variants[0]):  # Kept when it is whole, since other threads read it.
                self._always_says[action_name] = list(channel.messages)
        return channel.messages


class LocalRunner(ActionRunner):
    """Runs every action here: Python classes, responses and the built-in ones."""

    def runs_here(self, action_name: str) -> bool:
        """Return True."""
        return True


class CallerRunner(ActionRunner):
    """Runs built-in actions and actions with a template; the caller's own code runs all others."""

    def runs_here(self, action_name: str) -> bool:
        """Tell whether the action is built in, or has a template."""
        return not isinstance(self.domain.action_for_name(action_name), RemoteAction)


class WebhookRunner(LocalRunner):
    """Runs custom actions in an action server, and all other actions here.

    Parameters
    ----------
    server
        The action server, for actions without a response and a class here.
    """

    def __init__(self, domain: Domain, server: ActionServer) -> None:
        super().__init__(domain)
        self.server = server
        self._domain_body = domain_body(domain)

    def run(self, action_name: str, dispatcher: Dispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Run an action here or in the action server; `ActionServer.run` lists the errors."""
        if isinstance(self.domain.action_for_name(action_name), RemoteAction):
            return self.server.run(action_name, dispatcher, tracker, self._domain_body)
        return super().run(action_name, dispatcher, tracker)


def runner_for(domain: Domain, server: ActionServer | None = None) -> ActionRunner:
    """Return the runner for an action server if one is given, otherwise for the ``action_factory`` of the domain."""
    if server is not None:
        return WebhookRunner(domain, server)
    return CallerRunner(domain) if domain.action_factory == "remote" else LocalRunner(domain)


def as_events(returned: Sequence[Event] | None) -> list[Event]:
    """Return the result of an action as a list; raise `EventError` if it has anything other than events."""
    if returned and (isinstance(returned, str | Mapping) or not isinstance(returned, Iterable)):
        raise EventError(
            f"an action returns a list of Event objects, such as [SlotSet(...)], and not {returned!r:.80}."
        )
    events = list(returned or [])
    for event in events:
        if not isinstance(event, Event):
            raise EventError(f"an action returns a list of Event objects, and this one has {event!r:.80}.")
    return events


def _is_fixed(content: Any) -> bool:
    """Tell whether a template has no names in braces to fill."""
    if isinstance(content, str):
        return "{" not in content
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return all(map(_is_fixed, inner))
