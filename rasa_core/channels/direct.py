"""Output channels that collect the bot's messages, for callers that need them as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rasa_core.channels.channel import OutputChannel

ACTION_FAILED: Final = "the action failed; the conversation and the log of the bot say why"


class CollectingOutputChannel(OutputChannel):
    """Collects all messages in a list.

    Attributes
    ----------
    messages : list of dict
        ``{"recipient_id": ..., "text": ...}``, and ``"data"`` with the list of buttons, if there are any. For a failed
        action, ``{"recipient_id": ..., "text": ..., "action": ..., "error": ...}`` without the exception, which a user
        should not see; it is in the conversation and in the log.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def stored(self) -> None:
        """Handle that all messages so far are stored; a subclass may pass them on before the turn ends."""

    def latest_output(self) -> dict[str, Any] | None:
        """Return the last message, or None."""
        return self.messages[-1] if self.messages else None

    def send_text_message(self, recipient_id: str, message: str) -> None:  # noqa: D102
        self.messages.append({"recipient_id": recipient_id, "text": message})

    def send_text_with_buttons(  # noqa: D102
        self, recipient_id: str, message: str, buttons: Iterable[Mapping[str, Any]], **kwargs: Any
    ) -> None:
        self.messages.append({"recipient_id": recipient_id, "text": message, "data": list(buttons)})

    def report_failure(self, recipient_id: str, action_name: str, problem: str) -> None:  # noqa: D102
        said = {"text": f"The action {action_name} failed.", "action": action_name, "error": ACTION_FAILED}
        self.messages.append({"recipient_id": recipient_id, **said})


class RestOutputChannel(CollectingOutputChannel):
    """Collects all messages in the format of Rasa's REST channel.

    Parameters
    ----------
    name
        The name of the channel whose variants of responses are chosen.

    Attributes
    ----------
    messages : list of dict
        ``recipient_id``, and ``text`` with ``buttons``, if there are any, or one of ``custom``, ``image`` and
        ``attachment``. A failed action adds no message.
    """

    name = "collector"

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        if name:
            vars(self)["name"] = name

    def send_text_with_buttons(  # noqa: D102
        self, recipient_id: str, message: str, buttons: Iterable[Mapping[str, Any]], **kwargs: Any
    ) -> None:
        self.messages.append({"recipient_id": recipient_id, "text": message, "buttons": list(buttons)})

    def send_buttons(self, recipient_id: str, buttons: Iterable[Mapping[str, Any]]) -> None:  # noqa: D102
        self.messages.append({"recipient_id": recipient_id, "buttons": list(buttons)})

    def send_image_url(self, recipient_id: str, image_url: str) -> None:  # noqa: D102
        self.messages.append({"recipient_id": recipient_id, "image": image_url})

    def send_custom_json(self, recipient_id: str, content: Any) -> None:  # noqa: D102
        self.messages.append({"recipient_id": recipient_id, "custom": content})

    def send_attachment(self, recipient_id: str, attachment: Any) -> None:  # noqa: D102
        self.messages.append({"recipient_id": recipient_id, "attachment": attachment})

    def send_custom_message(self, recipient_id: str, elements: Iterable[Mapping[str, Any]]) -> None:
        """Send cards as Rasa does: each as a text of its title and subtitle, with its buttons; any may be empty."""
        for element in elements:
            shown = f"{element.get('title', '')} : {element.get('subtitle', '')}"
            self.send_text_with_buttons(recipient_id, shown, element.get("buttons") or ())

    def report_failure(self, recipient_id: str, action_name: str, problem: str) -> None:
        """Do nothing; the error is in the log of the conversation."""
