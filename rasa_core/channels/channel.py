"""The base classes of channels, and the message that a channel hands to the bot."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Mapping
from threading import Thread
from typing import Any, ClassVar

from rasa_core.compat import later

MessageHandler = Callable[["UserMessage"], object]


class UserMessage:
    """What a user sent.

    Parameters
    ----------
    text
        The message; None is the same as an empty one.
    output_channel
        Where the answers go.
    sender_id
        Identifies the conversation, as text or a whole number; None is ``"default"``.
    input_channel, metadata
        Where the message came from, and what came with it.
    parse_data
        What the message means, where that is known already.
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
        """Return the same message, with answers that go to `output_channel`."""
        twin = UserMessage(self.text, output_channel, self.sender_id)
        twin.input_channel, twin.metadata, twin.parse_data = self.input_channel, self.metadata, self.parse_data
        return twin

    def __repr__(self) -> str:
        """Return sender and text."""
        return f"{type(self).__name__}({self.text!r}, sender_id={self.sender_id!r})"


class InputChannel:
    """Where messages come from."""

    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        """Call `message_handler` with each `UserMessage`, one after another, until there are no more."""
        raise NotImplementedError(f"{type(self).__name__} needs a method start_sync_listening(message_handler).")

    def start_async_listening(self, message_queue: Any) -> None:
        """Put each `UserMessage` on a queue that has a method ``enqueue`` or ``put``."""
        # Queues of 0.9 have `enqueue`, those of Python have `put`.
        self.start_sync_listening(getattr(message_queue, "enqueue", None) or message_queue.put)


class OutputChannel:
    """Where answers go.

    A channel needs `send_text_message`; the other methods turn what they get into text and may be overridden.

    Attributes
    ----------
    name : str
        What responses that are for one channel alone call it.
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
        """Send `message`, and then one line for each button: its number, title and payload."""
        self.send_text_message(recipient_id, message)
        for number, button in enumerate(buttons, start=1):
            target = button.get("payload") or button.get("url")
            title = button.get("title", "")
            self.send_text_message(recipient_id, f"{number}: {title}" + (f" ({target})" if target else ""))

    def send_buttons(self, recipient_id: str, buttons: Iterable[Mapping[str, Any]]) -> None:
        """Send buttons that have no text above them."""
        self.send_text_with_buttons(recipient_id, "", buttons)

    def send_custom_json(self, recipient_id: str, content: Any) -> None:
        """Send what only some channels understand, as JSON text."""
        self.send_text_message(recipient_id, json.dumps(content, ensure_ascii=False))

    def send_attachment(self, recipient_id: str, attachment: Any) -> None:
        """Send an attachment: an address, or an object that tells its kind."""
        shown = attachment if isinstance(attachment, str) else json.dumps(attachment, ensure_ascii=False)
        self.send_text_message(recipient_id, f"Attachment: {shown}")

    def report_failure(self, recipient_id: str, action_name: str, problem: str) -> None:
        """Take note that an action failed, in a way that the user does not see; by default, nothing happens."""

    def send_custom_message(self, recipient_id: str, elements: Iterable[Mapping[str, Any]]) -> None:
        """Send cards: for each one its title and subtitle, with its buttons."""
        for element in elements:
            shown = " : ".join(str(element[key]) for key in ("title", "subtitle") if element.get(key))
            # Cards without buttons as well: channels and callers of old count on one way for all.
            self.send_text_with_buttons(recipient_id, shown, element.get("buttons") or [])


class HttpInputComponent:
    """A part of an HTTP server that receives messages; served by `HttpInputChannel`."""

    def blueprint(self, on_new_message: MessageHandler) -> Any:
        """Return a ``flask.Blueprint`` whose views call `on_new_message` with each `UserMessage`."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method blueprint(on_new_message) that returns a flask.Blueprint."
        )


class HttpInputChannel(InputChannel):
    """Serves components over HTTP; needs Flask.

    Parameters
    ----------
    http_port
        Where to listen.
    url_prefix
        Path below which the components are served, such as ``"/app"``; may be None.
    http_components
        What to serve.
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
        # With threads, one slow answer keeps no other user waiting; the store locks each conversation.
        self.create_app(message_handler).run(self.host, self.http_port, threaded=True)


class _NamedPages(HttpInputChannel):
    """Channels of Rasa Core 0.10 and later, each of which has a blueprint and a name."""

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
    """Handle the messages of channels, as programs for Rasa Core 0.10 and later ask an agent to.

    Parameters
    ----------
    agent
        What has ``handle_channel``.
    channels
        Those with a method ``blueprint`` are served with Flask at `http_port`, each below `route` and its name.
    serve_forever
        Whether to return when all have ended, and not at once.
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
    """Return the error for one of the connectors that 0.9 had built in."""
    return ImportError(
        f"rasa_core.channels.{connector}: the connector is left out. Write an InputChannel or HttpInputComponent of "
        "your own, or let a program that talks to the service send messages to POST /conversations/<id>/respond of "
        "rasa-core serve; docs/migration.rst has more."
    )


def __getattr__(name: str) -> Any:
    """Return what later versions had here."""
    if name == "CollectingOutputChannel":
        return importlib.import_module("rasa_core.channels.direct").CollectingOutputChannel
    return later.of_module(__name__)(name)
