"""Runs the actions of a Rasa 3 bot: responses, forms and default actions here, custom actions in an action server."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from rasa_core.actions.default_actions import DEFAULT_ACTIONS
from rasa_core.actions.loops import FormRun
from rasa_core.actions.running import NotValidatedError, log_failure, take_said, with_unnamed
from rasa_core.actions.slot_mappings import VALIDATE_SLOTS, SlotFiller
from rasa_core.actions.webhook import ActionServer, domain_body
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import BotUttered, Event, SlotSet
from rasa_core.exceptions import CallersActionError, RasaCoreError, RemoteActionError
from rasa_core.rasa3.domain_parts import EXTRACT_SLOTS, SESSION_START
from rasa_core.rasa3.history import VALIDATION, Loop
from rasa_core.rasa3.mappings import Form, options_in
from rasa_core.responses import ResponseDispatcher
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)


class RasaRunner:
    """Runs the actions of a Rasa 3 domain, as an `ActionRunner` does; safe to share between threads.

    Parameters
    ----------
    server
        The action server for custom actions; without it, each custom action fails.
    """

    shows_trackers = False
    """Whether custom code gets trackers in this process; no, since it runs in an action server."""

    def __init__(self, domain: Domain, server: ActionServer | None = None) -> None:
        assert domain.rasa is not None
        self.domain = domain
        self._parts = domain.rasa
        self._server = server
        self._domain_body = domain_body(domain)  # Once: it is large, and goes with each request.
        self._filler = SlotFiller(domain)
        self._own = set(domain.rasa.custom_defaults)
        self._texts = frozenset(domain.rasa.texts)
        actions = options_in(domain.rasa.content["actions"])
        self._wants_domain = {name for name, options in actions.items() if options.get("send_domain") is True}
        self._retrieved = {f"{name.partition('/')[0]}/" for name in domain.templates if "/" in name}
        self.runs_everything = server is not None or domain.action_factory != "remote"

    def runs_here(self, action_name: str) -> bool:
        """Tell whether a turn can go on after this action without the caller."""
        return self.runs_everything or not self._is_custom(action_name)

    def check_runs_here(self, action_name: str) -> None:
        """Raise `CallersActionError` unless `run` runs this action; `UnknownActionError` if there is none such."""
        self.domain.index_for_action(action_name)
        self._check_not_left(action_name)

    def _check_not_left(self, action_name: str) -> None:
        if not self.runs_here(action_name):
            raise CallersActionError(
                f"the action {action_name!r} runs in your own code, as action_factory: remote in the domain says. "
                "Send the message with parse, run each next_action, and report it with continue."
            )

    def has_effects(self, action_name: str) -> bool:
        """Tell whether the action is a custom action, or a form, which may run one."""
        return self._is_custom(action_name) or action_name in self._parts.forms

    def is_text(self, action_name: str) -> bool:
        """Tell whether the action is a text of a story."""
        return action_name in self._texts

    def _is_custom(self, name: str) -> bool:
        if name in self._own or name in self._texts:
            return name in self._own
        is_said = name.startswith("utter_")
        if f"{_response_of(name)}/" in self._retrieved:
            return False
        listed = name in self._parts.forms and self._parts.is_listed(name)
        return listed or not (is_said or name in DEFAULT_ACTIONS or name in self._parts.forms)

    def run(self, action_name: str, dispatcher: Dispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Run an action, and return its events: changes first, then messages.

        Raises
        ------
        ActionRejectedError
            If the action rejects its execution.
        Exception
            Any exception of the action.
        """
        assert isinstance(dispatcher, ResponseDispatcher)
        if self._is_custom(action_name):
            return self.run_custom(action_name, dispatcher, tracker)
        if action_name in self._parts.forms:
            return FormRun(self._parts.forms[action_name], self, dispatcher, tracker).run()
        if action_name in DEFAULT_ACTIONS:
            return DEFAULT_ACTIONS[action_name](self, dispatcher, tracker)
        if action_name in self._texts:
            dispatcher.utter_response({"text": action_name})
            return take_said(dispatcher)
        return self.say(action_name, dispatcher, tracker)

    def say(self, response: str, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Say a response, and return its messages as events; an empty list for an unknown response."""
        response = _response_of(response)
        if f"{response}/" in self._retrieved:
            response = _chosen(response, tracker.latest_message.parse_data) or response
        if response in self.domain.templates or dispatcher.nlg is not None:
            dispatcher.utter_template(response, tracker)
        return take_said(dispatcher)

    def run_custom(self, name: str, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Run a custom action, and return its events: messages first, then changes."""
        self._check_not_left(name)
        if self._server is None:
            raise RemoteActionError(
                f"the action {name!r} is the bot's own, and there is nowhere to run it: name the action server, "
                "as action_endpoint: in endpoints.yml."
            )
        domain = self._domain_body if self._server.sends_domain or name in self._wants_domain else None
        events = self._server.run(name, dispatcher, tracker, domain)
        said = take_said(dispatcher)
        for event in events:  # A "bot" event among them is said too, and is in the log as the server gave it.
            if isinstance(event, BotUttered):
                dispatcher.utter_response({"text": event.text, **(event.data or {})})
        take_said(dispatcher)
        return [*said, *events]

    def validated(
        self, form: str, candidates: Sequence[Event], dispatcher: ResponseDispatcher, tracker: DialogueStateTracker
    ) -> list[Event]:
        """Return the events of a form's validation for slots from a message, which are already set in `tracker`."""
        return self.run_custom(VALIDATION + form, dispatcher, tracker)

    def for_caller(self, validated: Sequence[Event] | None = None, *, is_reported: bool = False) -> CallerRun:
        """Return a `CallerRun`, which runs one action for a caller, with these parameters."""
        return CallerRun(self, validated, is_reported=is_reported)

    def extract_slots(self, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Return the events that set slots from the latest message: by mappings, custom actions and validation.

        A custom ``action_extract_slots`` replaces all of this, and may return any events.
        """
        return self.filled(dispatcher, tracker, tracker.history.loop)

    def taken(
        self, form: Form, tracker: DialogueStateTracker, requested: str | None, *, begins: bool
    ) -> dict[str, Any]:
        """Return the slots that a form of Rasa 2 fills from the latest message; see `SlotFiller.take`."""
        return self._filler.take(form, tracker, requested, begins=begins)

    def filled(self, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker, loop: Loop | None) -> list[Event]:
        """Return the slots that mappings and custom actions fill while a loop is active that has just begun."""
        if EXTRACT_SLOTS in self._own:
            return self._tried(EXTRACT_SLOTS, dispatcher, tracker)
        filling = self._filler.fill(tracker, loop)
        found: list[SlotSet] = []
        for step in filling.steps:
            if isinstance(step, SlotSet):
                found.append(step)
                continue
            with dispatcher.holding() as said:
                events = _of_slots(self._tried(step, dispatcher, tracker))
                said.clear()  # As in Rasa, the messages of such an action are not sent.
            found += [event for event in events if isinstance(event, SlotSet)]
        if VALIDATE_SLOTS not in self.domain.action_indices:
            return list(found)
        answered = _of_slots(self._tried(VALIDATE_SLOTS, dispatcher, tracker.ahead(found, self.domain)))
        return with_unnamed(answered, found)

    def _tried(self, name: str, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Run an action that fills slots; if it fails, it fills none, and the turn goes on."""
        try:
            with dispatcher.holding():
                return self.run_custom(name, dispatcher, tracker)
        except CallersActionError:
            raise
        except RasaCoreError as error:
            log_failure(logger, name, tracker.sender_id, error)
            take_said(dispatcher)
            return []


def _of_slots(events: Sequence[Event]) -> list[Event]:
    """Return what an action that fills slots may do: nothing else that it asks for is done."""
    return [event for event in events if isinstance(event, SlotSet | BotUttered)]


def _response_of(action: str) -> str:
    """Return ``utter_faq`` for ``respond_faq``, as Rasa 1 calls it."""
    return action.replace("respond_", "utter_", 1) if action.startswith("respond_") else action


def _chosen(action: str, parse: Mapping[str, Any]) -> str | None:
    """Return the response for a message: for ``utter_faq``, the response of the likeliest part of ``faq``."""
    intent, told = action.removeprefix("utter_"), parse.get("response_selector") or {}
    ranking = (told.get(intent) or told.get("default") or {}).get("ranking") or ()
    for key in (str(one.get("intent_response_key")) for one in ranking):
        if key.startswith(f"{intent}/"):
            return f"utter_{key}"
    logger.error("%r says nothing: the message does not tell which part of the intent %r is meant.", action, intent)
    return None


class CallerRun(RasaRunner):
    """Runs one action for a caller, except for its custom parts, which the caller runs.

    The caller runs the validation of a form before the form, and other custom actions, such as an action that asks for
    a slot, after it.

    Parameters
    ----------
    validated
        The events of the form's validation; None if it has not run.
    is_reported
        Whether the caller has run the action, so that it is too late to validate.

    Attributes
    ----------
    left : list of str
        The actions that the caller is to run after this one, as parts of it.
    """

    def __init__(
        self, runner: RasaRunner, validated: Sequence[Event] | None = None, *, is_reported: bool = False
    ) -> None:
        vars(self).update(vars(runner))  # Nothing in it changes, and to make it anew takes long.
        self._validated, self._is_reported = validated, is_reported
        self.left: list[str] = []

    def fillers(self, tracker: DialogueStateTracker) -> list[str]:
        """Return the names of the custom actions that fill and validate slots after the latest message."""
        if EXTRACT_SLOTS in self._own:
            return [EXTRACT_SLOTS]
        last = [VALIDATE_SLOTS] if VALIDATE_SLOTS in self.domain.action_indices else []
        asked = self._filler.fill(tracker, tracker.history.loop).actions
        return [*(name for name in asked if name in self.domain.action_indices), *last]

    def run(self, action_name: str, dispatcher: Any, tracker: DialogueStateTracker) -> list[Event]:
        """Return the events of an action; none for a custom action.

        Raises
        ------
        ActionRejectedError
            If a form rejects its execution.
        NotValidatedError
            If the caller has to validate an answer first.
        """
        if action_name == SESSION_START:
            return DEFAULT_ACTIONS[action_name](self, dispatcher, tracker)
        if tracker.history.validated == action_name:
            return FormRun(self._parts.forms[action_name], self, dispatcher, tracker).run_validated()
        return super().run(action_name, dispatcher, tracker)

    def say(self, response: str, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Say a response; a response that cannot be said is not an error here, since it is not the caller's."""
        try:
            return super().say(response, dispatcher, tracker)
        except RasaCoreError:
            logger.exception("the response %r cannot be said in conversation %r.", response, tracker.sender_id)
            return take_said(dispatcher)

    def run_custom(self, name: str, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker) -> list[Event]:
        """Leave an action to the caller."""
        self.left.append(name)
        return []

    def validated(
        self, form: str, candidates: Sequence[Event], dispatcher: ResponseDispatcher, tracker: DialogueStateTracker
    ) -> list[Event]:
        """Return the events of the caller's validation, or the slots unchanged without one."""
        if self._validated is None and not self._is_reported:
            raise NotValidatedError(form, candidates)
        return list(candidates if self._validated is None else self._validated)

    def filled(self, dispatcher: ResponseDispatcher, tracker: DialogueStateTracker, loop: Loop | None) -> list[Event]:
        """Return the slots that mappings fill from the latest message; none if an action of the caller fills them."""
        return [] if EXTRACT_SLOTS in self._own else list(self._filler.fill(tracker, loop).slots)
