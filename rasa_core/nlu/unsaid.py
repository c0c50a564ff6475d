"""Parts of a message that say nothing of what its sender wants: earlier messages, a signature, addresses, mentions.

A quotation of an earlier message and a signature are never read. An address (a URL or an e-mail address) and a mention,
such as ``@bot``, are read if examples have any: else, their parts would be so many unknown words.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from typing import Final

from rasa_core.nlu.tokens import Span, is_sign, word_of

_ADDRESS: Final = re.compile(r"(?:[a-z][a-z0-9+.-]+:/|www\.|[\w.+%-]+@)[^\s<>\"]*\w/?", re.IGNORECASE)
_URLS: Final = ("http", "https", "www")
_MENTION: Final = re.compile(r"(?<![^\s(])@(\w[\w.-]*)")
_FORWARDED: Final = re.compile(r"^-{3,}[^\n-]+-{3,}[ \t]*\n.*", re.MULTILINE | re.DOTALL)
_SIGNATURE: Final = re.compile(r"\n--[ \t]*\n.*", re.DOTALL)
_SENT_FROM: Final = re.compile(
    r"\n(?:sent (?:from|via)|get outlook for|von meinem|gesendet (?:von|mit)|enviado (?:desde|do|de)"
    r"|envoyé (?:de|depuis)|inviato da|verzonden vanaf|skickat från|отправлено (?:с|из))\b[^\n]*\s*\Z",
    re.IGNORECASE,
)

_CLOSINGS: Final = (
    *("(?:all the |with )?best(?: wishes)?", "(?:(?:with )?(?:best|kind|warm) )?regards", "cheers", r"yours \w+"),
    *(
        "sincerely",
        "(?:many )?thanks",
        "thank you",
        "(?:mit )?(?:freundlichen|besten|vielen|liebe|viele|beste) grüßen?",
    ),
    *("mfg", "vg", "lg", "gruß", "(?:un )?saludos?", "(?:muchas )?gracias", "atentamente", "(?:bien )?cordialement"),
    *("merci", "cordiali saluti", "grazie", "(?:met )?vriendelijke groet(?:en)?", "att", "abraços?", "trân trọng"),
    *("с уважением", "спасибо"),
)
_CLOSING: Final = re.compile(
    rf"\n[ \t]*(?:{'|'.join(_CLOSINGS)})[ \t]*[,.!-]?[ \t]*\n[^\n]{{1,40}}\s*\Z", re.IGNORECASE
)
"""Thanks or regards on a line of their own, and the name below."""


def is_address(text: str) -> bool:
    """Return whether a text has a URL or an e-mail address in it."""
    return _ADDRESS.search(text) is not None


def addresses_in(text: str) -> list[Span]:
    """Return start and end of each URL and e-mail address."""
    return [match.span() for match in _ADDRESS.finditer(text)] if _may_hold_address(text) else []


def what_is_said(text: str, spans: list[Span], words: Container[str], others: Sequence[Span] = ()) -> list[Span]:
    """Return the tokens of a message without those that are not read; all if it has no word beside them.

    Parameters
    ----------
    text, spans
        The text, and start and end of each of its tokens.
    words
        The words that examples have, signs among them.
    others
        Further parts of the text that are not read.
    """
    if not (others or "\n" in text or _may_hold_address(text)):  # Nearly always.
        return spans
    parts = [*others, *_earlier(text), *_unknown_addresses(text, words)]
    if not parts:
        return spans
    kept = [one for one in spans if not any(one[0] < end and one[1] > start for start, end in parts)]
    return spans if all(is_sign(text[slice(*one)]) for one in kept) else kept


def _may_hold_address(text: str) -> bool:
    return "@" in text or ":/" in text or "www." in text.lower()


def _unknown_addresses(text: str, words: Container[str]) -> Iterator[Span]:
    for start, end in addresses_in(text):
        if not any(sign in words for sign in (("@",) if "@" in text[start:end] else _URLS)):
            yield start, end
    if "@" in text and "@" not in words:
        for match in _MENTION.finditer(text):
            # At the beginning, it is somebody who is called; elsewhere, it may be a place.
            if not text[: match.start()].strip() or not any(word_of(one) in words for one in match[1].split("_")):
                yield match.span()


def _earlier(text: str) -> Iterator[Span]:
    """Yield start and end of each quotation of an earlier message, and of the signature."""
    at = begin = 0
    introduction = ""
    for line in text.splitlines(keepends=True):
        end = at + len(line)
        if line.lstrip().startswith(">"):
            # The line before may say who has written this, and when.
            has_date = introduction.endswith(":") and any(map(str.isdigit, introduction))
            yield begin if has_date else at, end
        elif line.strip():
            begin, introduction = at, line.rstrip()
        at = end
    for pattern in (_FORWARDED, _SIGNATURE, _SENT_FROM, _CLOSING):
        yield from (match.span() for match in pattern.finditer(text))
