"""An agent whose bot is served elsewhere while its actions run in this process; it uses `RasaCoreClient`.

`RemoteAgent` sends the user's message, runs each action that the server returns, and reports the action's messages and
events, or its error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from rasa_core.actions.runner import as_events
from rasa_core.actions.running import log_failure, take_said
from rasa_core.channels.channel import InputChannel, UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, StoryExported
from rasa_core.exceptions import ClientError, RasaCoreError, UnknownActionError, UnknownSlotError, brief
from rasa_core.remote.client import RasaCoreClient
from rasa_core.support.http_calls import ServerAnswerError
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

Json = dict[str, Any]
Preprocessor = Callable[[str], str]

MAX_ACTIONS = 100
LOAD_RETRIES = 5
LONGEST_PROBLEM = 1000


class RemoteAgent:
    """Takes the turns of a bot that is served elsewhere; the actions of `domain` run in this process.

    An action runs once, even if its report has to be sent several times until it is answered.
    """

    def __init__(self, domain: Domain, core_client: RasaCoreClient) -> None:
        self.domain = domain
        self.core_client = core_client

    @classmethod
    def load(
        cls, path: str | Path, core_host: str, auth_token: str | None = None, action_factory: str | None = None
    ) -> Self:
        """Upload the model in the directory `path` to the server at `core_host`, and return an agent for it.

        A server that does not accept models, which is the default, keeps its own model; that is logged.

        Raises
        ------
        ClientError
            If the server cannot be reached, or the model is invalid.
        """
        domain = Domain.load(Path(path, "domain.yml"), action_factory)
        client = RasaCoreClient(core_host, auth_token)
        try:
            client.upload_model(path, LOAD_RETRIES)
        except ServerAnswerError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            logger.warning("the server keeps its own model: %s", error)
        return cls(domain, client)

    def handle_channel(self, input_channel: InputChannel, message_preprocessor: Preprocessor | None = None) -> None:
        """Process each message of a channel until the channel ends; see `process_message`.

        If a message cannot be processed, such as while the server is down, the error is logged, and the next message
        is processed.
        """

        def handle(message: UserMessage) -> None:
            try:
                self.process_message(message, message_preprocessor)
            except RasaCoreError:
                logger.exception("a message in conversation %r was not processed to its end.", message.sender_id)

        input_channel.start_sync_listening(handle)

    def process_message(
        self, message: UserMessage, message_preprocessor: Preprocessor | None = None
    ) -> list[Json] | None:
        """Take one turn until the bot listens.

        `message_preprocessor` changes the text before it is sent. If an action raises an exception, it is logged and
        reported as failed, together with the messages that it has sent; the turn goes on.

        Returns
        -------
        list of dict or None
            The bot's messages, if the message has no output channel or a `CollectingOutputChannel`.

        Raises
        ------
        ClientError
            If the server fails, or asks for more than `MAX_ACTIONS` actions.
        UnknownActionError
            If the server returns an action that the domain does not have.
        """
        channel = CollectingOutputChannel() if message.output_channel is None else message.output_channel
        text = message.text if message_preprocessor is None else message_preprocessor(message.text)
        next_action = self.core_client.parse(text, message.sender_id)["next_action"]
        tracker, executed = None, 0
        while next_action is not None and next_action != ACTION_LISTEN_NAME:
            if executed == MAX_ACTIONS:
                raise ClientError(
                    f"conversation {message.sender_id!r}: {MAX_ACTIONS} actions ran for one message, and "
                    f"{next_action!r} is to be the next. Is there a story that lets the bot listen then?"
                )
            if tracker is None:  # Only fetched if an action runs, as it contains the whole log.
                tracker = self.core_client.tracker(message.sender_id, self.domain)
            answer = self._act(next_action, Dispatcher(message.sender_id, channel, self.domain), tracker)
            if answer.get("version") != len(tracker.events):  # Somebody else may have changed the conversation.
                tracker = None
            next_action = answer["next_action"]
            executed += 1
        return channel.messages if isinstance(channel, CollectingOutputChannel) else None

    def explain(self, sender_id: str, at: int | None = None) -> Json:
        """Return the explanation of a decision; see `RasaCoreClient.explain`."""
        return self.core_client.explain(sender_id, at)

    def _act(self, action_name: str, dispatcher: Dispatcher, tracker: DialogueStateTracker) -> Json:
        """Run an action, append it and its events to the tracker, and report it; return the server's answer."""
        action, problem = self.domain.action_for_name(action_name), None
        try:
            events = [event.storable() for event in as_events(action.run(dispatcher, tracker, self.domain))]
        except Exception as error:  # No exception of a custom action may end the conversation.
            log_failure(logger, action_name, tracker.sender_id, error)
            events, problem = [], _problem(error)
            dispatcher.report_failure(action_name, problem)
        said, events = take_said(dispatcher), [event for event in events if self._is_known(action_name, event)]
        for event in (ActionExecuted(action_name), *said, *events):
            tracker.update(event)
        # An export event has already written its file on this machine, and a server refuses such events.
        events = [event for event in events if not isinstance(event, StoryExported)]
        return self._report(action_name, said, events, tracker.sender_id, problem)

    def _is_known(self, action_name: str, event: Event) -> bool:
        """Tell whether the domain has the names in an event; the server would refuse a report with unknown names."""
        try:
            self.domain.check_event(event)
        except (UnknownSlotError, UnknownActionError) as error:
            logger.error("an event of the action %r is not reported: %s", action_name, error)
            return False
        return True

    def _report(
        self, action_name: str, said: list[Event], events: list[Event], sender_id: str, problem: str | None
    ) -> Json:
        """Report an action; if the server refuses its events, report it as failed, with its messages."""
        try:
            return self.core_client.continue_core(action_name, [*said, *events], sender_id, error=problem)
        except ServerAnswerError as error:
            if error.status != HTTPStatus.BAD_REQUEST or not events:
                raise
            logger.error("the events of the action %r are lost: %s", action_name, error)
            return self.core_client.continue_core(action_name, said, sender_id, error=_problem(error))


def _problem(error: Exception) -> str:
    return brief(error, LONGEST_PROBLEM)
