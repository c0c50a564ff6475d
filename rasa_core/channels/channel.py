"""The base classes of channels, and the message that an input channel passes to the bot."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Any, ClassVar

from rasa_core.compat import later

MessageHandler = Callable[["UserMessage"], object]


class UserMessage:
    """A message of a user.

    Parameters
    ----------
    text
        The text of the message; None is the same as an empty text.
    output_channel
        The channel for the bot's answers.
    sender_id
        The id of the conversation, a text or a whole number; None stands for ``"default"``.
    input_channel, metadata
        The name of the channel that the message came from, and further data that came with it.
    parse_data
        The parse of the message, if it is known already.
    """

    DEFAULT_SENDER_ID: ClassVar[str] = "default"

    def __init__(
        self,
        text: str | None,
        output_channel: OutputChannel | None = None,
        sender_id: str | None = None,
        *,
        input_channel: str | None = None,
        metadata: dict[str, Any] | None = None,
        parse_data: dict[str, Any] | None = None,
    ) -> None:
        self.input_channel, self.metadata, self.parse_data = input_channel, metadata, parse_data
        self.text = "" if text is None else text
        self.output_channel = output_channel
        self.sender_id = self.DEFAULT_SENDER_ID if sender_id is None else sender_id

    def to(self, output_channel: OutputChannel) -> UserMessage:
        """Return the same message with another output channel for the answers."""
        twin = UserMessage(self.text, output_channel, self.sender_id)
        twin.input_channel, twin.metadata, twin.parse_data = self.input_channel, self.metadata, self.parse_data
        return twin

    def __repr__(self) -> str:
        """Return sender and text."""
        return f"{type(self).__name__}({self.text!r}, sender_id={self.sender_id!r})"


class InputChannel:
    """The base of all input channels, which deliver users' messages."""

    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        """Call `message_handler` with each `UserMessage`, one after another, until there are no more."""
        raise NotImplementedError(f"{type(self).__name__} needs a method start_sync_listening(message_handler).")

    def start_async_listening(self, message_queue: Any) -> None:
        """Put each `UserMessage` on a queue that has a method ``enqueue`` or ``put``."""
        # Queues of 0.9 have `enqueue`, and Python's queues have `put`.
        self.start_sync_listening(getattr(message_queue, "enqueue", None) or message_queue.put)


class OutputChannel:
    """The base of all output channels, which send the bot's messages.

    A subclass needs `send_text_message`; the other methods send their content as text, and may be overridden.

    Attributes
    ----------
    name : str
        The name of the channel in responses that are only for one channel.
    """

    name: ClassVar[str] = "default"

    def send_text_message(self, recipient_id: str, message: str) -> None:
        """Send `message` to the user `recipient_id`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method send_text_message(recipient_id, message).")

    def send_image_url(self, recipient_id: str, image_url: str) -> None:
        """Send the image at `image_url`."""
        self.send_text_message(recipient_id, f"Image: {image_url}")

    def send_text_with_buttons(
        self, recipient_id: str, message: str, buttons: Iterable[Mapping[str, Any]], **kwargs: Any
    ) -> None:
        """Send `message`, and then a line for each button with its number, title and payload."""
        self.send_text_message(recipient_id, message)
        for number, button in enumerate(buttons, start=1):
            target = button.get("payload") or button.get("url")
            title = button.get("title", "")
            self.send_text_message(recipient_id, f"{number}: {title}" + (f" ({target})" if target else ""))

    def send_buttons(self, recipient_id: str, buttons: Iterable[Mapping[str, Any]]) -> None:
        """Send buttons without a text."""
        self.send_text_with_buttons(recipient_id, "", buttons)

    def send_custom_json(self, recipient_id: str, content: Any) -> None:
        """Send custom content, which only some channels can show, as JSON text."""
        self.send_text_message(recipient_id, json.dumps(content, ensure_ascii=False))

    def send_attachment(self, recipient_id: str, attachment: Any) -> None:
        """Send an attachment: an address, or an object with its type."""
        shown = attachment if isinstance(attachment, str) else json.dumps(attachment, ensure_ascii=False)
        self.send_text_message(recipient_id, f"Attachment: {shown}")

    def report_failure(self, recipient_id: str, action_name: str, problem: str) -> None:
        """Handle the failure of an action, about which the user gets no message; by default, do nothing."""

    def send_custom_message(self, recipient_id: str, elements: Iterable[Mapping[str, Any]]) -> None:
        """Send cards: the title, the subtitle and the buttons of each."""
        for element in elements:
            shown = " : ".join(str(element[key]) for key in ("title", "subtitle") if element.get(key))
            # Also for a card without buttons, since old channels only override this method for cards.
            self.send_text_with_buttons(recipient_id, shown, element.get("buttons") or [])


class HttpInputComponent:
    """The base of channels that receive messages over HTTP; `HttpInputChannel` serves them."""

    def blueprint(self, on_new_message: MessageHandler) -> Any:
        """Return a ``flask.Blueprint`` whose views call `on_new_message` with each `UserMessage`."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method blueprint(on_new_message) that returns a flask.Blueprint."
        )


class HttpInputChannel(InputChannel):
    """Serves components over HTTP; needs Flask.

    Parameters
    ----------
    url_prefix
        Path below which the components are served, such as ``"/app"``; may be None.
    host
        Address to listen on; ``"0.0.0.0"`` makes the components reachable from other machines.
    """

    def __init__(
        self, http_port: int, url_prefix: str | None, *http_components: HttpInputComponent, host: str = "127.0.0.1"
    ) -> None:
        self.http_port = http_port
        self.url_prefix = url_prefix
        self.http_components = http_components
        self.host = host

    def create_app(self, message_handler: MessageHandler) -> Any:
        """Return the ``flask.Flask`` application with all components, for a server of your own."""
        app = import_flask().Flask("rasa_core.channels")
        for component in self.http_components:
            app.register_blueprint(component.blueprint(message_handler), url_prefix=self.url_prefix)
        return app

    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        """Serve the components until the process is stopped."""
        # With threads, a slow answer does not delay other users; the store locks each conversation.
        self.create_app(message_handler).run(self.host, self.http_port, threaded=True)


class _NamedPages(HttpInputChannel):
    """Serves channels of Rasa Core 0.10 and later, each of which has a blueprint and a name."""

    def create_app(self, message_handler: MessageHandler) -> Any:
        app = import_flask().Flask("rasa_core.channels")
        for channel in self.http_components:
            name = getattr(channel, "name", type(channel).__name__.lower())
            page = f"{self.url_prefix}{name() if callable(name) else name}"
            app.register_blueprint(channel.blueprint(message_handler), url_prefix=page)
        return app


def handle_channels(
    agent: Any,
    channels: Iterable[InputChannel] | InputChannel,
    http_port: int = 5005,
    serve_forever: bool = True,
    route: str = "/webhooks/",
) -> list[Thread]:
    """Handle the messages of several channels; the method `handle_channels` of agents in Rasa Core 0.10 and later.

    Parameters
    ----------
    agent
        An agent, or another object with a method ``handle_channel``.
    channels
        The channels. Channels with a method ``blueprint`` are served by Flask at `http_port`, each below `route` and
        its name; the others run in a thread each.
    serve_forever
        Whether to wait until all channels have ended.
    """
    given: list[Any] = [channels] if isinstance(channels, InputChannel) else list(channels)
    over_http = [one for one in given if hasattr(one, "blueprint")]
    ways = [one for one in given if one not in over_http]
    if over_http:
        ways.append(_NamedPages(http_port, route, *over_http))
    if serve_forever and len(ways) == 1:
        agent.handle_channel(ways.pop())
    threads = [Thread(target=agent.handle_channel, args=[way], daemon=True) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads if serve_forever else ():
        thread.join()
    return threads


def import_flask() -> Any:
    """Return the module ``flask``.

    Raises
    ------
    ImportError
        If Flask is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module("flask")
    except ImportError as error:
        raise ImportError(f"HTTP input channels need Flask ({error}). Install it with: pip install flask") from error


def connector_left_out(connector: str) -> ImportError:
    """Return the error for a connector of 0.9 or later versions that does not exist here."""
    return ImportError(
        f"rasa_core.channels.{connector}: the connector is left out. Write an InputChannel or HttpInputComponent of "
        "your own, or let a program that talks to the service send messages to POST /conversations/<id>/respond of "
        "rasa-core serve; docs/migration.rst has more."
    )


def __getattr__(name: str) -> Any:
    """Return the error for names that this module had in later versions."""
    if name == "CollectingOutputChannel":
        return importlib.import_module("rasa_core.channels.direct").CollectingOutputChannel
    return later.of_module(__name__)(name)
