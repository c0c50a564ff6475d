"""The header ``If-Match``: the versions at which a caller wants a conversation to be."""

from __future__ import annotations

import re

from rasa_core.server.errors import HttpError

_tag = re.compile(r'(W/)?"([^"]*)"|([0-9]+)')
_EXAMPLE = 'send the ETag of an earlier answer, such as "7"'


def matching_versions(header: str) -> frozenset[int] | None:
    """Return the versions that ``If-Match`` names, None if it allows any.

    A weak tag (``W/"7"``) and one that is no version match nothing, as RFC 9110 has it.

    Raises
    ------
    HttpError
        400 if it is no list of tags.
    """
    if header.strip() == "*":
        return None
    versions = set()
    for part in header.split(","):
        tag = _tag.fullmatch(part.strip())
        if tag is None:
            raise HttpError(400, f"If-Match is a list of tags, not {header[:80]!r}; {_EXAMPLE}.")
        text = tag[2] if tag[3] is None else tag[3]
        if not tag[1] and text.isascii() and text.isdigit() and len(text) < 19:
            versions.add(int(text))
    return frozenset(versions)
