"""Searches for conversations, as people type them: words, and fields such as ``intent:greet``."""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rasa_core.exceptions import StoreError, did_you_mean
from rasa_core.tracker_store.digests import PROBLEMS

UNSURE_BELOW: Final = 0.5
FIELDS: Final = ("id", "text", "intent", "action", "slot", "tag", "after", "before", "only", "reviewed")
ONLY: Final = ("unsure", *PROBLEMS)
MOST_PARTS: Final = 100


_word = re.compile(r"\w+")


class SearchError(StoreError, ValueError):
    """The text of a search is invalid."""


@dataclass(frozen=True, slots=True)
class Search:
    """The conditions of a search; a conversation is found if it meets all of them.

    Attributes
    ----------
    words : tuple of (str, str)
        Pairs of a column and a text in it. The column is ``id``, ``text``, ``intent``, ``action``, ``slot`` or ``tag``,
        or empty for any of them.
    after, before : float or None
        Unix times between which the conversation changed last, in seconds.
    only : tuple of str
        Kinds of problems, of `ONLY`; the conversation has at least one of them.
    reviewed : bool or None
        Whether the conversation was reviewed since its last change; None for both.
    below : float
        The confidence below which the bot counts as unsure.
    """

    words: tuple[tuple[str, str], ...] = ()
    after: float | None = None
    before: float | None = None
    only: tuple[str, ...] = ()
    reviewed: bool | None = None
    below: float = UNSURE_BELOW

    @classmethod
    def from_text(cls, text: str, below: float = UNSURE_BELOW) -> Search:
        """Read a search as people type it: words, and ``intent:greet action:utter_greet slot:city=Porto only:unsure``.

        Raises
        ------
        SearchError
            If the text has an unknown field, or a value that the field does not take.
        """
        try:
            parts = shlex.split(text)
        except ValueError:
            # A quotation mark is not closed yet, while a person is typing.
            parts = text.split()
        if len(parts) > MOST_PARTS:
            raise SearchError(f"a search has at most {MOST_PARTS} words, not {len(parts)}.")
        words, moments, only, reviewed = [], {}, [], None
        for part in parts:
            name, colon, value = part.partition(":")
            if not colon or name not in FIELDS:
                # A misspelt field is an error; but a time such as 10:30, or a URL, is a word to search for.
                if colon and name.isalpha() and value and "/" not in value:
                    raise SearchError(f"there is no field {name!r}.{did_you_mean(name, FIELDS)} {_explained()}")
                words.append(("", part))
            elif name in ("after", "before"):
                moments[name] = moment_of(value)
            elif name == "only":
                only += [_one_of(one, ONLY, "only") for one in value.split(",")]
            elif name == "reviewed":
                reviewed = {"yes": True, "no": False, "all": None}[_one_of(value, ("yes", "no", "all"), "reviewed")]
            else:
                words.append((name, value))
        once = tuple(dict.fromkeys(only))  # Each value is a condition in SQL, whose number SQLite limits.
        return cls(tuple(words), moments.get("after"), moments.get("before"), once, reviewed, below)

    def matched(self) -> str:
        """Return the words as a query of SQLite's full-text search; empty if there are none."""
        found = []
        for column, text in self.words:
            # A slot and its value are one token, a hash, whatever characters they have.
            tokens = [slot_word(*text.partition("=")[::2])] if column == "slot" else _word.findall(text)
            if tokens:
                phrase = '"' + " ".join(tokens) + '"' + ("*" if column in ("", "id", "text") else "")
                found.append(f"{column} : {phrase}" if column else phrase)
        return " AND ".join(found)

    def condition(self) -> tuple[str, list[Any]]:
        """Return the other conditions as SQL, and its parameters."""
        parts: list[str] = []
        values: list[Any] = []
        for sign, moment in ((">=", self.after), ("<", self.before)):
            if moment is not None:
                parts.append(f"updated {sign} ?")
                values.append(moment)
        if self.only:
            tests = ("confidence < ?" if one == "unsure" else f"{one} IS NOT NULL" for one in self.only)
            parts.append(f"({' OR '.join(tests)})")
            values += [self.below] * self.only.count("unsure")
        if self.reviewed is not None:
            parts.append("reviewed = ?")
            values.append(int(self.reviewed))
        return " AND ".join(parts) or "TRUE", values


def _explained() -> str:
    return f"Fields are {', '.join(FIELDS)}; write a word with a colon in quotes."


def _one_of(value: str, known: Sequence[str], name: str) -> str:
    if value not in known:
        raise SearchError(f"{name}: is one of {', '.join(known)}, not {value!r:.60}.{did_you_mean(value, known)}")
    return value


def moment_of(text: str) -> float:
    """Return the Unix time of a date such as ``2026-11-29``, of a date and time, or of a number of seconds."""
    with suppress(ValueError):
        if math.isfinite(moment := float(text)):
            return moment
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SearchError(f"{text!r:.60} is no date; write 2026-11-29, or 2026-11-29T10:30.") from None
    # A time without a zone is in UTC, as all times that this package shows, not in the zone of the server.
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def slot_word(name: str, value: str = "") -> str:
    """Return the token of a slot, or of a slot with a value, in the full-text index."""
    content = f"{name}\0{value.strip().lower()}".encode("utf-8", "replace")
    return f"s{hashlib.blake2b(content, digest_size=8).hexdigest()}"
