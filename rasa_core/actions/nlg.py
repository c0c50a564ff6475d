"""Gets responses from an NLG server by POST requests, as Rasa 2 and 3 do.

The request is ``{"response", "id", "arguments", "tracker", "channel": {"name"}}``, and the answer one response:
``{"text", "buttons", "image", "attachment", "custom", "elements"}``, or null for no message. If the server fails, the
action fails too, as in Rasa: the response in the domain may only be a placeholder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rasa_core.actions.webhook import MOST_EVENTS, tracker_body
from rasa_core.exceptions import RemoteActionError
from rasa_core.support.endpoint import Endpoint
from rasa_core.support.http import NoAnswerError
from rasa_core.support.strict_json import decode, plain
from rasa_core.trackers import DialogueStateTracker

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds; short, because a user waits for the answer."""

_NOTHING: Final = type(None)
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **{"text": (str,), "custom": (dict,), "id": (str, _NOTHING), "image": (str, _NOTHING)},
    **{"attachment": (dict, _NOTHING), "buttons": (list, _NOTHING), "elements": (list, _NOTHING)},
}
"""The types of the parts of a response, as in Rasa."""
_SHAPES: Final[Mapping[type, str]] = {str: "a text", dict: "an object", list: "a list of objects"}


class NlgServer:
    """A client of an NLG server; threads may share it.

    Parameters
    ----------
    given
        Its address, what stands below ``nlg:`` in endpoints.yml, or an `Endpoint`, whose errors it raises.
    """

    def __init__(self, given: str | Mapping[str, Any] | Endpoint) -> None:
        described: Any = {"url": given} if isinstance(given, str) else given
        is_made = isinstance(described, Endpoint)
        self._endpoint: Endpoint = described if is_made else Endpoint.from_config(described, DEFAULT_TIMEOUT)

    def words(
        self, response: str, variant: object, values: Mapping[str, Any], tracker: DialogueStateTracker, channel: str
    ) -> dict[str, Any] | None:
        """Return the message for a response; None for no message.

        Parameters
        ----------
        variant
            The ``id`` of the variant in the domain; None if it has no id.
        values
            Values for the response, in addition to slots.

        Raises
        ------
        RemoteActionError
            If the server fails, or its answer is not a response.
        """
        request = {
            "response": response,
            "id": variant,
            "arguments": plain(dict(values)),
            "tracker": tracker_body(tracker, MOST_EVENTS),
            "channel": {"name": channel},
        }
        place = self._endpoint.place
        try:
            answer = self._endpoint.post(request)
            if not 200 <= answer.status < 300:
                raise RemoteActionError(f"the NLG server {place} answered {answer.status} to {response!r}.")
            found = decode(answer.content.decode()) if answer.content.strip() else None
        except (NoAnswerError, ValueError) as error:
            raise RemoteActionError(f"the NLG server {place} does not word {response!r}: {error}") from error
        if isinstance(found, dict):
            self._check(found, response)
            return found
        if found in (None, ""):
            return None
        raise RemoteActionError(f"the NLG server {place} answered {response!r} with {found!r:.80}, and no response.")

    def _check(self, found: Mapping[str, Any], response: str) -> None:
        """Raise `RemoteActionError` for a response with a part that no channel could send."""
        for key, kinds in _KINDS.items():
            value = found.get(key)
            are_objects = all(isinstance(item, dict) for item in value) if isinstance(value, list) else True
            if key in found and not (isinstance(value, kinds) and are_objects):
                raise RemoteActionError(
                    f"the NLG server {self._endpoint.place} answered {response!r} with {key}: {value!r:.80}; "
                    f"that is {_SHAPES[kinds[0]]}."
                )
