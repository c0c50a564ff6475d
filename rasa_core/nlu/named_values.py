"""Values that a message names by their entity, as a form does: ``city: Lisbon, guests = 4``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from rasa_core.nlu.spelling import alike
from rasa_core.nlu.tokens import Span
from rasa_core.support.arrays import Floats

_NAMED: Final = re.compile(r"(?:^|(?<=[\n,;]))[ \t]*([^\W\d_][\w \t-]{0,40}?)[ \t]*[:=]+[ \t]+(?=[^\n,;])([^\n,;]+)")
_LIFT: Final = 12.0
"""What each tag of the entity scores more."""


class NamedValues:
    """Finds named values in messages.

    Parameters
    ----------
    labels
        Entity, role and group of each label; the name may be that of the entity, or of the role.
    """

    def __init__(self, labels: Iterable[Sequence[str]]) -> None:
        self._labels: dict[str, int] = {}
        for number, (entity, role, _) in enumerate(labels):
            for name in filter(None, (entity, role)):
                self._labels.setdefault(_said(name), number)

    def of(self, text: str) -> Sequence[tuple[Span, Span, int]]:
        """Return where each name stands in a text, with the sign behind it, where its value stands, and its label."""
        if not (":" in text or "=" in text):  # Nearly always.
            return ()
        named = ((match, self._labels.get(_said(match[1]))) for match in _NAMED.finditer(text))
        return [((one.start(1), one.start(2)), one.span(2), number) for one, number in named if number is not None]

    def lifted(self, tags: Floats, text: str, spans: Sequence[Span]) -> Floats:
        """Return the scores of tags of the tokens of a text, ``(tokens, tags)``, higher for those of named values."""
        for _, (start, end), number in self.of(text):
            inside = [at for at, (first, last) in enumerate(spans) if start <= first and last <= end]
            if inside:
                tags = tags.copy()
                tags[inside[0], 1 + 2 * number] += _LIFT
                tags[inside[1:], 2 + 2 * number] += _LIFT
        return tags


def _said(name: str) -> str:
    return alike(re.sub(r"[_-]|(?<=[a-z])(?=[A-Z])", " ", name))
