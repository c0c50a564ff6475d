"""A plain HTTP channel: messages come in at ``/webhook``, answers are posted to an address of yours.

Protocol
--------
``POST <prefix>/webhook`` with ``{"sender": "anna", "message": "hi"}``; other keys are ignored. The answer is
``success`` when the bot has sent all its messages, and 400 with ``{"error": ...}`` for an invalid body.
``GET <prefix>/`` answers ``{"status": "ok"}``.

Each answer of the bot is posted as ``{"recipient_id": "anna", "text": ..., "data": [buttons]}`` to the
address given to `CustomInput`, with ``Authorization: Bearer <access_token>`` if there is a token. The webhook
asks for no token: whoever can reach it can talk to the bot in anybody's name, so let only your own front end
reach it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from rasa_core.channels.channel import HttpInputComponent, MessageHandler, OutputChannel, UserMessage, import_flask
from rasa_core.exceptions import ClientError
from rasa_core.support.http import HttpTransport, NoAnswerError, server_address, without_secrets

_ANSWER_LIMIT: Final = 1_000  # Bytes; only the status of an answer is used.


class CustomOutput(OutputChannel):
    """Posts the bot's messages to an address; redirects are not followed.

    Parameters
    ----------
    url
        An ``http://`` or ``https://`` address.
    access_token
        Sent as a bearer token, if given.
    timeout
        Timeout for the answer of the receiver, in seconds.
    """

    def __init__(self, url: str, access_token: str | None = None, timeout: float = 10.0) -> None:
        parts = server_address(url)
        if parts is None:
            raise ValueError(f"answers are posted to an http:// or https:// address, not to {url!r}.")
        self.url = url
        self.access_token = access_token
        self.timeout = timeout
        self._path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        self._transport = HttpTransport(parts._replace(path=""), _ANSWER_LIMIT, parts.query)

    def send_text_message(self, recipient_id: str, message: str) -> None:  # noqa: D102
        self._post({"recipient_id": recipient_id, "text": message})

    def send_text_with_buttons(  # noqa: D102
        self, recipient_id: str, message: str, buttons: Iterable[Mapping[str, Any]], **kwargs: Any
    ) -> None:
        self._post({"recipient_id": recipient_id, "text": message, "data": list(buttons)})

    def _post(self, message: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json"}
        if self.access_token is not None:
            headers["Authorization"] = f"Bearer {self.access_token}"
        body = json.dumps(message).encode()
        place = without_secrets(self.url)
        try:
            # A new connection, since a kept connection may have been closed, and a message must not be sent twice.
            answer = self._transport.exchange(
                "POST", self._path, headers=headers, body=body, timeout=self.timeout, reuse=False
            )
        except NoAnswerError as error:
            raise ClientError(f"{place} could not be given a message of the bot: {error}.") from error
        if 300 <= answer.status < 400:
            target = without_secrets(answer.headers.get("Location", "nowhere"))
            raise ClientError(
                f"{place} answered {answer.status}, a redirect to {target}, to a message of the bot. Redirects are not "
                "followed, since the message and the token are for this address alone; give the address itself."
            )
        if answer.status >= 400:
            raise ClientError(f"{place} answered {answer.status} to a message of the bot.")


class CustomInput(HttpInputComponent):
    """Receives messages at ``/webhook`` and posts the answers to `url`; see the top of this module.

    Parameters
    ----------
    url
        The address that the answers are posted to.
    access_token
        Sent with the answers as a bearer token, if given.
    """

    def __init__(self, url: str, access_token: str | None = None) -> None:
        self.output_channel = CustomOutput(url, access_token)

    def blueprint(self, on_new_message: MessageHandler) -> Any:
        """Return the ``flask.Blueprint`` with both routes."""
        flask = import_flask()

        def health() -> Any:
            return {"status": "ok"}

        def receive() -> Any:
            body = flask.request.get_json(force=True, silent=True)  # Old clients do not send the content type of JSON.
            fields = body if isinstance(body, dict) else {}
            sender, message = fields.get("sender"), fields.get("message")
            if not isinstance(sender, str | None) or not isinstance(message, str):
                return {"error": 'send {"sender": "an id", "message": "text"} as JSON.'}, 400
            on_new_message(UserMessage(message, self.output_channel, sender))
            return "success"

        blueprint = flask.Blueprint("custom_webhook", __name__)
        blueprint.add_url_rule("/", view_func=health, methods=["GET"])
        blueprint.add_url_rule("/webhook", view_func=receive, methods=["POST"])
        return blueprint
