"""What of a message is a list is read as one, also where no example has its signs."""

from __future__ import annotations

import pytest

from rasa_core.nlu.messages import Read
from rasa_core.nlu.tokens import is_sign, keys_of, tokenize


def read(text: str) -> Read:
    """Return what is read of a text by a model that knows no sign."""
    tokens = tokenize(text)
    keys = keys_of(text, tokens)
    words = [at for at, key in enumerate(keys) if not is_sign(key)]
    return Read(text, text, range(len(text) + 1), [tokens[at] for at in words], [keys[at] for at in words], False)


@pytest.mark.parametrize(
    ("text", "breaks"),
    [
        ("milk, bread and eggs", [1]),
        ("milk;bread", [1]),
        ("milk & bread + eggs", [1, 2]),
        ("milk\nbread", [1]),
        ("北京，上海", [2]),
        ("milk - bread", []),
        ("Saint-Denis (north)", []),
        ("1,5 or 1/2", []),
        ("1, 5", [1]),
        ("50 km/h by AT&T", []),
        ("milk bread", []),
        ("", []),
    ],
)
def test_signs_of_lists_stand_between_things(text: str, breaks: list[int]) -> None:
    assert read(text).breaks() == breaks
