"""Checks of the server's answers."""

from __future__ import annotations

import json
import re

from werkzeug.test import TestResponse

_times = re.compile(r'"(timestamp|latest_event_time)":\d+(\.\d+)?(e[+-]\d+)?')


def exactly(value: object) -> str:
    """Return the text that the server sends for `value`."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":")) + "\n"


def text_without_times(response: TestResponse) -> str:
    """Return the body of an answer with 0 in the place of each moment."""
    return _times.sub(r'"\1":0', response.get_data(as_text=True))


def error_of(response: TestResponse) -> str:
    """Return the error message of an answer; fail if the answer is no JSON error."""
    assert response.headers["Content-Type"] == "application/json"
    content = json.loads(response.get_data())
    assert isinstance(content["error"], str)
    return content["error"]
