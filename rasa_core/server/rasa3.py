"""The views for clients of Rasa 2 and 3: the REST channel, and the paths of Rasa's HTTP API that 0.9 does not have.

As everywhere, a conversation is changed by one request at a time, and a request with an idempotency key is carried out
once. These differences from Rasa are on purpose: a sender_id in a path is percent-decoded, reading a conversation
creates nothing, and an invalid body is answered with 400 where Rasa answers 500.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from werkzeug.wrappers import Response

from rasa_core.actions.webhook import domain_body
from rasa_core.channels.channel import UserMessage
from rasa_core.channels.direct import RestOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain.file import write_yaml
from rasa_core.events import UserUttered
from rasa_core.events.rasa3 import entities_in
from rasa_core.exceptions import did_you_mean
from rasa_core.processor import RasaProcessor
from rasa_core.server.api import inputs
from rasa_core.server.included_events import check_length, check_told, unknown_conversation, with_events_if_short
from rasa_core.server.paths import check_id_in_path
from rasa_core.server.requests import HttpError, Request, at_version, json_response
from rasa_core.stories.sessions import sessions_as_stories
from rasa_core.support.strict_json import encode
from rasa_core.support.threads import started
from rasa_core.tracker_store.idempotency import RequestResult
from rasa_core.trackers import DialogueStateTracker

if TYPE_CHECKING:
    from rasa_core.agent import Agent

logger = logging.getLogger(__name__)

LONGEST_STORY: Final = 10_000_000
"""The longest story that is written, in the measure of `sessions_as_stories`; it takes about ten seconds."""

_YAML_TYPES: Final = ("application/x-yaml", "application/yaml", "text/yaml")


# -- the REST channel


def channel_status(request: Request, agent: Agent, sender_id: str) -> Response:
    """Tell that the REST channel is available."""
    return json_response({"status": "ok"})


def webhook(request: Request, agent: Agent, sender_id: str) -> Response:
    """Log a user's message, run the actions, and return the bot's messages; without a text, nothing happens.

    For a bot of Rasa 3, an empty text is a message that it does not understand.
    """
    body = inputs.SAID_TO_CHANNEL.of(request)
    text, sender, conditions = body.get("message"), body.get("sender"), request.conditions("webhook")
    if not isinstance(text, str) or (not text and agent.domain.rasa is None):
        return json_response([])
    sender_id = UserMessage.DEFAULT_SENDER_ID if sender in (None, "") else str(sender)
    check_id_in_path(sender_id)  # As in a path, or the conversation could be read and deleted at none.
    request.environ["rasa_core.work"].sender = sender_id
    if request.only_sender not in (None, sender_id):
        raise HttpError(403, f'this JWT may speak as the sender {request.only_sender!r} alone; send it as "sender".')
    metadata, named = body.get("metadata"), body.get("input_channel")
    message = UserMessage(
        text,
        None,
        sender_id,
        input_channel=named if named and isinstance(named, str) else "rest",
        metadata=metadata if isinstance(metadata, dict) and metadata else None,
    )
    turns = agent.turns()
    if inputs.STREAM.of(request):
        return _streamed(lambda channel: turns.respond(message.to(channel), conditions))
    answered = turns.respond(message.to(RestOutputChannel()), conditions)
    return at_version(answered.result, answered.version)


class _EarlyOutputChannel(RestOutputChannel):
    """An output channel that passes on messages as soon as they are stored."""

    def __init__(self, give: Callable[[list[dict[str, Any]]], None]) -> None:
        super().__init__()
        self._give, self._given = give, 0

    @property
    def has_given(self) -> bool:
        """Whether any message was passed on."""
        return self._given > 0

    def stored(self) -> None:
        """Pass on the messages that are new."""
        self.give(self.messages)

    def give(self, messages: list[dict[str, Any]]) -> None:
        """Pass on the new messages among all `messages` of a turn."""
        new, self._given = messages[self._given :], len(messages)
        if new:
            self._give(new)


def _streamed(take: Callable[[RestOutputChannel], RequestResult]) -> Response:
    """Answer with one line for each message, sent as soon as the action of the message is stored.

    The turn runs in a thread of its own, and goes on to its end even if the client hangs up. An error before the first
    message is answered as usual. After a later error the answer breaks off; if the client repeats the request with the
    same idempotency key, it gets all messages.
    """
    given: SimpleQueue[list[dict[str, Any]] | Exception | None] = SimpleQueue()
    channel = _EarlyOutputChannel(given.put)

    def work() -> None:
        try:
            channel.give(take(channel).result)
            given.put(None)
        except Exception as error:  # The outermost level of a thread; the error is passed on to the client.
            if channel.has_given:  # The answer only breaks off, so the error must be logged here.
                logger.exception("a turn failed after a part of its answer was sent:")
            given.put(error)

    if started(copy_context().run, "stream", work) is None:
        work()  # No thread could be started, so the answer is sent when the turn has ended.
    first = given.get()
    if isinstance(first, Exception):
        raise first

    def lines() -> Iterator[str]:
        messages: list[dict[str, Any]] | Exception | None = first
        while messages is not None:
            if isinstance(messages, Exception):
                raise messages
            for message in messages:
                yield encode(message) + "\n"
            messages = given.get()

    return Response(lines(), mimetype="text/event-stream")


# -- the model


def status(request: Request, agent: Agent, sender_id: str) -> Response:
    """Return which model is served."""
    told = {"model_file": agent.model_file, "model_id": agent.model_fingerprint, "num_active_training_jobs": 0}
    return json_response(told)


def domain(request: Request, agent: Agent, sender_id: str) -> Response:
    """Return the domain, as JSON or YAML."""
    content = agent.domain.as_dict() if agent.domain.rasa is None else domain_body(agent.domain)
    chosen = request.accept_mimetypes.best_match(("application/json", *_YAML_TYPES), "application/json")
    if request.accept_mimetypes and not request.accept_mimetypes[str(chosen)]:
        raise HttpError(406, "the domain comes as application/json or application/x-yaml; accept one of them.")
    if chosen in _YAML_TYPES:
        return Response(write_yaml(content), mimetype="application/x-yaml")
    return json_response(content)


def parse_text(request: Request, agent: Agent, sender_id: str) -> Response:
    """Parse a text into an intent and entities."""
    if request.args.get("emulation_mode"):
        raise HttpError(400, "there is no emulation_mode here; leave it out, and the answer is as Rasa's own.")
    parse = agent.turns().understand(inputs.TEXT_BODY.of(request)["text"])
    for told in parse.get("response_selector", {}).values():
        if isinstance(told, dict) and told["response"].get("responses") is None:
            told["response"]["responses"] = agent.domain.templates.get(told["response"].get("utter_action"))
    return json_response(parse)


# -- a conversation


def execute(request: Request, agent: Agent, sender_id: str) -> Response:
    """Run one action, and return the conversation's state and the bot's messages."""
    body, told = inputs.EXECUTE.of(request), inputs.INCLUDE_EVENTS.of(request)  # Refused before anything changes.
    name = body["name"]
    agent.domain.index_for_action(name)
    tracker = agent.tracker_store.retrieve(sender_id)
    if tracker is None:
        raise unknown_conversation(sender_id)
    check_told(tracker, told)
    check_length(tracker.count(since_restart=True))
    turns, conditions = agent.turns(), request.conditions("execute")
    message = UserMessage(None, _channel(request, tracker), sender_id)
    if isinstance(turns, RasaProcessor):
        answered = turns.execute(message, name, body.get("policy"), body.get("confidence"), conditions)
    else:
        answered = turns.act(message, lambda tracker, talk: turns.run_action(name, tracker, talk), conditions)
    return _said(request, agent, sender_id, answered, tracker.version)


def trigger_intent(request: Request, agent: Agent, sender_id: str) -> Response:
    """Act as after a message with the given intent, and return the conversation's state and the bot's messages."""
    body, told = inputs.TRIGGER.of(request), inputs.INCLUDE_EVENTS.of(request)  # Refused before anything changes.
    name = body["name"]
    if name not in agent.domain.intents:
        hint = f"{did_you_mean(name, agent.domain.intents)} Intents stand under intents: in domain.yml."
        raise HttpError(404, f"the domain has no intent {name[:100]!r}.{hint}")
    entities = entities_in(body.get("entities"))
    tracker = agent.read_tracker(sender_id)
    check_told(tracker, told)
    check_length(tracker.count(since_restart=True))
    turns, conditions = agent.turns(), request.conditions("trigger_intent")
    message = UserMessage(None, _channel(request, tracker), sender_id)
    if isinstance(turns, RasaProcessor):
        return _said(
            request, agent, sender_id, turns.trigger_intent(message, name, entities, conditions), tracker.version
        )
    said = UserUttered(f"EXTERNAL: {name}", {"name": name, "confidence": 1.0}, entities)

    def take(tracker: DialogueStateTracker, talk: Dispatcher) -> None:
        turns.take_message(tracker, said)
        turns.run_until_listening(tracker, talk, lambda: None)

    return _said(request, agent, sender_id, turns.act(message, take, conditions), tracker.version)


def _channel(request: Request, tracker: DialogueStateTracker) -> RestOutputChannel:
    """Return a channel that collects messages; its name is that of the channel whose responses are wanted."""
    wanted = inputs.OUTPUT_CHANNEL.of(request)
    return RestOutputChannel(tracker.latest_input_channel if wanted == "latest" else wanted)


def _said(request: Request, agent: Agent, sender_id: str, answered: RequestResult, began: int) -> Response:
    """Answer with the state and what was said, and with the events that were asked for.

    `began` is how many events there were before.
    """
    result, wanted = answered.result, inputs.INCLUDE_EVENTS.of(request)
    # A repeated request with an idempotency key gets the same bytes, whatever has happened since.
    if wanted is None and agent.domain.rasa is not None and "Idempotency-Key" not in request.headers:
        wanted = "AFTER_RESTART"
    if wanted is not None:
        now = agent.read_tracker(sender_id)
        result = {**result, "tracker": with_events_if_short(now, wanted, latest_session=True, began=began)}
    return at_version(result, answered.version)


def story(request: Request, agent: Agent, sender_id: str) -> Response:
    """Return a conversation as a test story in YAML: its latest session, or all sessions."""
    if agent.tracker_store.retrieve(sender_id) is None:
        raise unknown_conversation(sender_id)
    tracker = agent.read_tracker(sender_id)
    check_length(tracker.count())
    until = inputs.UNTIL.of(request)
    if until is not None:
        tracker = tracker.travel_back_in_time(until)
    all_sessions = inputs.ALL_SESSIONS.of(request)
    written = sessions_as_stories(tracker.events, sender_id, all_sessions=all_sessions, longest=LONGEST_STORY)
    return Response(written, mimetype="text/plain")


REST_CHANNEL: Final = ("/webhooks/rest/", "/webhooks/rest/webhook")
"""Paths of the REST channel, where the body names the sender."""

OF_A_CONVERSATION: Final = {
    "/story": {"GET": story, "HEAD": story},
    "/execute": {"POST": execute},
    "/trigger_intent": {"POST": trigger_intent},
}
"""Views of the paths below a conversation, by path and method."""

GENERAL: Final = {
    "/webhooks/rest/": {"GET": channel_status, "HEAD": channel_status},
    "/webhooks/rest/webhook": {"POST": webhook},
    "/status": {"GET": status, "HEAD": status},
    "/domain": {"GET": domain, "HEAD": domain},
    "/model/parse": {"POST": parse_text},
}
"""Views of other paths, by path and method."""
