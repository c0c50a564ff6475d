"""HTML in messages, as rich text fields and copied pages leave it: tags, and references to characters."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Final

# Elements that stand in text; anything else in angle brackets may be meant.
_ELEMENTS: Final = (
    "a|b|blockquote|br|code|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|s|span|strong|sub|sup|table|tbody|td|th|tr|u|ul"
)
_MARKUP: Final = re.compile(
    rf"</?(?:{_ELEMENTS})(?:\s[^<>]*)?/?>|&(?:#\d{{1,6}}|#x[0-9a-f]{{1,5}}|[a-z]{{2,8}});", re.IGNORECASE
)


def markup_in(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start and end of each tag and character reference, and the character that a reader sees there.

    Of a tag, this is a space.
    """
    for match in _MARKUP.finditer(text):
        seen = " " if match[0][0] == "<" else html.unescape(match[0])
        if len(seen) == 1:  # Any other reference is unknown.
            yield *match.span(), seen
