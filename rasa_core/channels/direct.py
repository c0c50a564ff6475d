"""A channel that keeps what the bot says, for callers that want it as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rasa_core.channels.channel import OutputChannel

ACTION_FAILED: Final = "the action failed; the conversation and the log of the bot say why"


class CollectingOutputChannel(OutputChannel):
    """Keeps all messages in a list.

    Attributes
    ----------
    messages : list of dict
        ``{"recipient_id": ..., "text": ...}``, and ``"data"`` with the list of buttons where there are any. An
        action that failed leaves ``{"recipient_id": ..., "text": ..., "action": ..., "error": ...}``, which do not tell
        what it raised: the reader may be anybody. The conversation and the log do.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def stored(self) -> None:
        """Take note that all messages so far are stored; whoever wants them early may have them."""

    def latest_output(self) -> dict[str, Any] | None:
        """Return the last message, None if there is none."""
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
    """Keeps all messages in the shape of Rasa's REST channel.

    Parameters
    ----------
    name
        The channel that responses are to be worded for.

    Attributes
    ----------
    messages : list of dict
        ``recipient_id``, and ``text`` with ``buttons`` where there are any, or one of ``custom``, ``image`` and
        ``attachment``. An action that failed leaves nothing.
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
        """Send cards as Rasa does: each as a text with both its parts and its buttons, be they there or not."""
        for element in elements:
            shown = f"{element.get('title', '')} : {element.get('subtitle', '')}"
            self.send_text_with_buttons(recipient_id, shown, element.get("buttons") or ())

    def report_failure(self, recipient_id: str, action_name: str, problem: str) -> None:
        """Say nothing: what failed is in the log of the conversation."""
