"""Responses that an NLG server words: asked for by POST, as Rasa 2 and 3 ask.

The request is ``{"response", "id", "arguments", "tracker", "channel": {"name"}}``, and the answer one response:
``{"text", "buttons", "image", "attachment", "custom", "elements"}``. Where the server fails, the domain's own response
is said, and a warning is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from rasa_core.actions.webhook import MOST_EVENTS, tracker_body
from rasa_core.support.endpoint import Endpoint
from rasa_core.support.http import NoAnswerError
from rasa_core.support.strict_json import decode, plain
from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT: Final = 10.0
"""Seconds; somebody waits for the words."""


class NlgServer:
    """Where an NLG server is. Safe to share between threads.

    Parameters
    ----------
    given
        Its address, what stands below ``nlg:`` in endpoints.yml, or an `Endpoint`.

    Raises
    ------
    ValueError
        If the address is not one.
    """

    def __init__(self, given: str | Mapping[str, Any] | Endpoint) -> None:
        described: Any = {"url": given} if isinstance(given, str) else given
        is_made = isinstance(described, Endpoint)
        self._endpoint: Endpoint = described if is_made else Endpoint.from_config(described, DEFAULT_TIMEOUT)

    def words(
        self, response: str, variant: object, values: Mapping[str, Any], tracker: DialogueStateTracker, channel: str
    ) -> dict[str, Any] | None:
        """Return what is said for a response; None if the server fails.

        Parameters
        ----------
        variant
            The ``id`` of the domain's own variant that would be said; None if it has none.
        values
            What came with the response, beside slots.
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
            found = decode(answer.content.decode()) if 200 <= answer.status < 300 else None
        except (NoAnswerError, ValueError) as error:
            logger.warning("the NLG server %s does not word %r: %s; the domain does.", place, response, error)
            return None
        if not isinstance(found, dict):
            logger.warning(
                "the NLG server %s answered %d to %r, with no response; the domain words it.",
                *(place, answer.status, response),
            )
            return None
        return found
