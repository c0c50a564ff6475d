"""Runs actions in an action server by POST requests, as Rasa 2 and 3 do, so that rasa-sdk works unchanged.

Protocol
--------
The request is ``{"next_action", "sender_id", "version", "tracker", "domain"}``. The tracker has the state of the
conversation and at most the latest `ActionServer.most_events` events of its session: with all events, each call of a
long conversation would be slower than the one before. A call that is repeated after a crash has the same
``Idempotency-Key``, and every other call has another one, so that an action server can recognise a repeated call.

The answer is ``{"events": [...], "responses": [...]}``. Status 400 with ``{"action_name", "error"}`` rejects the
action. After any other failure, the action is logged as failed, with its error, and the turn goes on.

Trust: the answer decides the bot's messages and slots, so the server at this address is part of the bot.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import BotUttered, Event
from rasa_core.events.rasa3 import under_its_name
from rasa_core.exceptions import ActionRejectedError, RemoteActionError
from rasa_core.rasa3.mappings import as_written, is_of_rasa_2, slot_of_rasa_2
from rasa_core.support.endpoint import Endpoint
from rasa_core.support.http import HttpAnswer, NoAnswerError
from rasa_core.support.strict_json import decode
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.rasa_log import rasa_state, session_known, told_as_in_rasa

PROTOCOL_VERSION = "3.6.21"
"""The version of Rasa in requests; rasa-sdk compares it with its own, and warns if they differ."""

MOST_EVENTS = 500
DEFAULT_TIMEOUT = 300.0  # Seconds, as Rasa waits; an action may book a flight.
COMPRESS_VARIABLE = "COMPRESS_ACTION_SERVER_REQUEST"
"""If it is true in the environment, requests are compressed, as in Rasa."""

_Json = dict[str, Any]


class ActionServer:
    """A client of an action server, with the parameters and errors of `Endpoint`; threads may share it.

    Parameters
    ----------
    most_events
        The largest number of events in a request, the latest of the session; None for all.
    sends_domain
        Whether each request has the domain; otherwise, only requests for actions that ask for it.
    """

    def __init__(
        self,
        url: str | Endpoint,
        timeout: float = DEFAULT_TIMEOUT,
        most_events: int | None = MOST_EVENTS,
        headers: Mapping[str, str] | None = None,
        compress: bool = False,
        sends_domain: bool = True,
    ) -> None:
        self._endpoint = Endpoint(url, timeout, headers, compress=compress) if isinstance(url, str) else url
        self.url, self.timeout = self._endpoint.url, self._endpoint.timeout
        self.most_events, self.sends_domain = most_events, sends_domain

    @classmethod
    def from_config(cls, given: Mapping[str, Any] | str) -> ActionServer:
        """Return the server at an address, or that of ``action_endpoint:`` in endpoints.yml.

        Beside the keys of Rasa, ``tracker_events`` is ``all`` or the largest number of events in a request, and
        ``timeout`` is a number of seconds. A wrong value raises `ValueError`.
        """
        if isinstance(given, str):
            return cls(given)
        told, most = given.get("tracker_events", MOST_EVENTS), None
        if told != "all":
            if isinstance(told, bool) or not isinstance(told, int) or told < 1:
                raise ValueError(f"tracker_events: is all, or a number of events, not {told!r}.")
            most = told
        compress = os.environ.get(COMPRESS_VARIABLE, "").lower() in ("true", "1")
        endpoint = Endpoint.from_config({"compress": compress, **given}, DEFAULT_TIMEOUT)
        return cls(endpoint, most_events=most, sends_domain=given.get("enable_selective_domain") is not True)

    def run(
        self, action_name: str, dispatcher: Dispatcher, tracker: DialogueStateTracker, domain: Mapping[str, Any] | None
    ) -> list[Event]:
        """Run an action in the server, send its messages to `dispatcher`, and return its events.

        Parameters
        ----------
        domain
            The result of `domain_body`; None if this action does not ask for the domain.

        Raises
        ------
        ActionRejectedError
            If the server rejects the action.
        RemoteActionError
            If the server fails; then its answer is not used.
        """
        request = {
            "next_action": action_name,
            "sender_id": tracker.sender_id,
            "tracker": tracker_body(tracker, self.most_events),
            **({} if domain is None else {"domain": domain}),
            "version": PROTOCOL_VERSION,
        }
        answer = self._call(request, _key(action_name, tracker))
        # The events first: if one is wrong, the action has failed, and nothing of it may have been said.
        events = [_event(item, action_name) for item in _objects(answer, "events", action_name)]
        for event in events:
            _check_said(event, action_name)
        for response in _objects(answer, "responses", action_name):
            _say(response, dispatcher, tracker)
        return events

    def _call(self, request: _Json, key: str) -> _Json:
        name, place = request["next_action"], self._endpoint.place
        try:
            answer = self._endpoint.post(request, {"Idempotency-Key": key})
        except NoAnswerError as error:
            hint = " Is it running?" if error.passing or not error.sent else ""
            raise RemoteActionError(
                f"the action server at {place} gave no answer to {name!r}: {error}.{hint}"
            ) from error
        return _content(answer, name, place)


def _content(answer: HttpAnswer, name: str, place: str) -> _Json:
    """Return the JSON object of an answer, or raise the error for its status."""
    try:
        content = decode(answer.content.decode())
    except ValueError:
        content = None
    # The only 400 that rasa-sdk gives for a reason of the conversation; any other is a mistake in the request.
    if answer.status == 400 and isinstance(content, dict) and "action_name" in content:
        raise ActionRejectedError(name, str(content.get("error", "it says no reason")))
    if not 200 <= answer.status < 300:
        told = content.get("error") if isinstance(content, dict) else None
        reason = f": {str(told).rstrip('.')}" if told else ""
        raise RemoteActionError(f"the action server at {place} answered {answer.status} to {name!r}{reason}.")
    if not isinstance(content, dict):
        raise RemoteActionError(
            f"the action server at {place} answered {name!r} with something that is no JSON object."
        )
    return content


def _key(action_name: str, tracker: DialogueStateTracker) -> str:
    """Return the ``Idempotency-Key`` of a call, which is the same for the same action at the same point of the log."""
    # With the time: a conversation that was deleted and begun again has the same versions.
    parts = [tracker.sender_id, tracker.version, tracker.latest_event_time, action_name]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def tracker_body(tracker: DialogueStateTracker, most_events: int | None) -> _Json:
    """Return a conversation as Rasa 3 writes it, with the latest events of its session, or all for None.

    The events that will be logged before the action are included already.
    """
    latest, began = tracker.latest_events(most_events), tracker.turn_began
    turn = None if began is None else len(latest) - (tracker.version - began)
    chosen = latest if most_events is None else latest[session_known(latest, turn) :]
    events = [told_as_in_rasa(event, tracker.sender_id) for event in [*chosen, *tracker.foretold]]
    state = {**tracker.current_state(), **rasa_state(tracker), "events": events}
    if state["active_loop"]:
        trigger = state["active_loop"]["trigger_message"]
        trigger["metadata"] = trigger["metadata"] or {}  # As Rasa tells it here, and null elsewhere.
    return state


def domain_body(domain: Domain) -> _Json:
    """Return a domain as Rasa 3 writes it."""
    content = domain.as_dict()
    if domain.rasa is not None:  # Rasa sorts intents, and has no keys of which nothing is said.
        intents = sorted(
            map(_intent_body, content["intents"]), key=lambda one: one if isinstance(one, str) else min(one)
        )
        forms = {name: as_written(form or {}) for name, form in content["forms"].items()}
        session = {"session_expiration_time": 60, "carry_over_slots_to_new_session": True}
        session |= content.get("session_config") or {}
        told = {**content, "intents": intents, "forms": forms, "session_config": session}
        if is_of_rasa_2(content):  # The keys that rasa-sdk 2, and actions for it, read.
            slots = {name: slot_of_rasa_2(slot) for name, slot in content["slots"].items()}
            return {**told, "intents": list(map(_intent_of_rasa_2, intents)), "slots": slots}
        return {key: value for key, value in told.items() if value}
    return {
        "version": "3.1",
        "intents": content["intents"],
        "entities": content["entities"],
        "slots": content["slots"],
        "responses": content["templates"],
        "actions": content["action_names"],
        "forms": {},
        "session_config": {"session_expiration_time": 0, "carry_over_slots_to_new_session": True},
    }


def _intent_body(intent: Any) -> Any:
    """Return an intent of a domain as Rasa 3 writes it, with an empty list for ``use_entities: false``."""
    if not isinstance(intent, dict):
        return intent
    return {
        name: {**options, "use_entities": []} if options and options.get("use_entities") is False else options
        for name, options in intent.items()
    }


def _intent_of_rasa_2(intent: Any) -> Any:
    """Return an intent as Rasa 2 writes it, which always has all its options."""
    name, options = next(iter(intent.items())) if isinstance(intent, dict) else (intent, None)
    given = options or {}
    return {name: given if {"use_entities", "ignore_entities"} & given.keys() else {**given, "use_entities": True}}


def _objects(answer: _Json, name: str, action_name: str) -> list[_Json]:
    items = answer.get(name, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise RemoteActionError(
            f'"{name}" in the answer of the action server to {action_name!r} is no list of objects.'
        )
    return items


def _event(item: _Json, action_name: str) -> Event:
    needed = ("event", "name", "value") if item.get("event") == "slot" else ("event",)
    for key in needed:  # As Rasa asks for them; rasa-sdk leaves out what is no event, and names all of a slot.
        if key not in item:
            raise RemoteActionError(f'the action server answered {action_name!r} with an event without "{key}".')
    item = dict(under_its_name(item))
    try:  # rasa-sdk writes null for what is not given; for the value of a slot alone, null says something.
        return Event.from_parameters({key: value for key, value in item.items() if value is not None or key == "value"})
    except ValueError as error:
        raise RemoteActionError(f"the action server answered {action_name!r} with a wrong event: {error}") from error


def _check_said(event: Event, action_name: str) -> None:
    """Raise `RemoteActionError` for an event of the bot whose data cannot be said."""
    if not isinstance(event, BotUttered) or not event.data:
        return
    if not isinstance(event.data, dict):
        raise RemoteActionError(f'the action server answered {action_name!r} with a "bot" whose "data" are no object.')
    _check_lists({key: value for key, value in event.data.items() if value is not None}, action_name)


def _check_lists(said: _Json, action_name: str) -> None:
    for key in ("buttons", "elements", "quick_replies"):
        _objects(said, key, action_name)


def _say(response: _Json, dispatcher: Dispatcher, tracker: DialogueStateTracker) -> None:
    """Say one response of an answer: a text as it is, or a response of the domain by its name."""
    name = response.get("response")
    said = {key: value for key, value in response.items() if value is not None and (value or key != "text")}
    if not isinstance(said.get("text"), str | None):
        raise RemoteActionError(f'"text" in a message of the action server is {said["text"]!r:.80}, which is no text.')
    if name:
        _say_response(str(name), response, dispatcher, tracker)
        return
    _check_lists(said, "an action")
    dispatcher.utter_response(said)


def _say_response(name: str, response: _Json, dispatcher: Dispatcher, tracker: DialogueStateTracker) -> None:
    """Say a response of the domain, with the text, buttons, image and so on that the answer adds to it."""
    values = {key: value for key, value in response.items() if key not in (*_PARTS_OF_A_RESPONSE, *_OUR_NAMES)}
    parts = {key: response[key] for key in (*_PARTS_BESIDE_A_NAME, "template") if response.get(key)}
    _check_lists(parts, name)
    message = dispatcher.retrieve_template(name, tracker, **values)
    if message:  # An NLG server says by an empty one that there is nothing to say.
        if "buttons" in parts:  # The buttons of the domain come first.
            parts["buttons"] = [*(message.get("buttons") or []), *parts["buttons"]]
        dispatcher.utter_response({**message, **values, **parts, "utter_action": name})


_PARTS_BESIDE_A_NAME = ("text", "buttons", "quick_replies", "elements", "image", "attachment", "custom")
_PARTS_OF_A_RESPONSE = frozenset({*_PARTS_BESIDE_A_NAME, "response", "template"})
_OUR_NAMES = frozenset({"self", "filled_slots", "template_name", "tracker"})
"""Names of our own parameters, which values of a response must not have."""
