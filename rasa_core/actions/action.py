"""The base class of actions, and the actions that every bot has."""

from __future__ import annotations

from rasa_core.compat import later
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ACTION_RESTART_NAME, Event, Restarted
from rasa_core.exceptions import RemoteActionError
from rasa_core.trackers import DialogueStateTracker

ACTION_DEFAULT_FALLBACK_NAME = "action_default_fallback"
"""The fallback action of Rasa Core 0.11 and later; here, any action may be the fallback of `FallbackPolicy`."""

__all__ = [
    "ACTION_DEFAULT_FALLBACK_NAME",
    "ACTION_LISTEN_NAME",
    "ACTION_RESTART_NAME",
    "Action",
    "ActionListen",
    "ActionRestart",
    "RemoteAction",
    "UtterAction",
]


class Action:
    """An action of the bot, which runs when a policy predicts it."""

    def name(self) -> str:
        """Return the name under which stories and policies know the action."""
        raise NotImplementedError(f"{type(self).__name__} needs a method name() that returns the action's name.")

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event] | None:
        """Run the action, and return its events.

        Parameters
        ----------
        dispatcher
            Sends messages to the user.
        tracker
            The conversation so far; do not change it.

        Returns
        -------
        list of Event or None
            The events that change the conversation; None is the same as an empty list.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method run(dispatcher, tracker, domain).")

    def resets_topic(self) -> bool:
        """Return False: topics are gone."""
        return False

    def __str__(self) -> str:
        """Return the name, as ``Action('action_listen')``."""
        return f"Action({self.name()!r})"


class UtterAction(Action):
    """Says the template of its own name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:  # noqa: D102
        return self._name

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:  # noqa: D102
        dispatcher.utter_template(self._name, tracker.current_slot_values())
        return []

    def __str__(self) -> str:
        """Return the name, as ``UtterAction('utter_greet')``."""
        return f"UtterAction({self._name!r})"


class ActionListen(Action):
    """Waits for the user; always the first action of a domain."""

    def name(self) -> str:  # noqa: D102
        return ACTION_LISTEN_NAME

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:  # noqa: D102
        return []


class ActionRestart(Action):
    """Starts the conversation anew, and says ``utter_restart`` if there is one; always the second action."""

    def name(self) -> str:  # noqa: D102
        return ACTION_RESTART_NAME

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:  # noqa: D102
        if "utter_restart" in domain.templates:
            dispatcher.utter_template("utter_restart", tracker.current_slot_values())
        return [Restarted()]


class RemoteAction(Action):
    """An action that only the caller's code can run; the server only names it as the next action."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:  # noqa: D102
        return self._name

    def run(self, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Domain) -> list[Event]:
        """Raise `RemoteActionError`: there is nothing here to run."""
        raise RemoteActionError(
            f"the action {self._name!r} lives in your own code and cannot run here: "
            "send the message with parse, run the action, and report it with continue."
        )


__getattr__ = later.of_module(__name__)
