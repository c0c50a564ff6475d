"""The error messages on the troubleshooting page are those of the package."""

from __future__ import annotations

import re

import pytest
from example_bot import ROOT

from rasa_core.support.extras import PACKAGES, installing

PAGE = ROOT / "docs/troubleshooting.rst"
LEAST = 12
"""Characters in a row that count as words of the package."""
SHARE = 0.6
"""How much of a quoted text has to be its words, names and places not counted."""
_names = re.compile(r"'[^']*'|\([^)]*\)|\S+://\S+|\S+\.(?:md|yml|db):[\d:]*|/\S+|^\S+\.(?:md|yml|db)|\d+")
OF_OTHERS = (
    "found a tab character that violates indentation",
    "Expecting property name enclosed in double quotes: line 1 column 2",
    "unable to open database file",
    "No registered action found for name",
    "Address already in use",
    "Connection refused",
)
"""What Python, SQLite and rasa-sdk say, and the package hands on."""
_joined = re.compile(r'"\s*\n\s*f?"')  # Strings that stand below one another are one.
_strings = (re.compile(r'"((?:[^"\\\n]|\\.)*)"'), re.compile(r"'([^'\n]*\"[^'\n]*)'"))


def quoted() -> list[str]:
    """Return the texts of the page, one for each block."""
    return re.findall(r"^\.\. code-block:: text\n\n   (.+)\n(?!   )", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def strings() -> str:
    """Return the texts of all strings in the package, and the commands of errors about missing packages."""
    code = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "rasa_core").rglob("*.py")))
    found = (pattern.findall(_joined.sub("", text)) for text in code for pattern in _strings)
    texts = [text for texts in found for text in texts if len(text) >= LEAST]
    return "\n".join([*texts, *(installing(extra).replace("'", "") for extra in PACKAGES)])


def share(text: str, strings: str) -> float:
    """Return how much of a text, without names and places, stands in strings."""
    for words_of_others in OF_OTHERS:
        text = text.replace(words_of_others, "''")
    words = [part.strip() for part in _names.split(text)]
    found = 0
    for part in words:
        start = 0
        while start < len(part):
            end = next((end for end in range(len(part), start + LEAST - 1, -1) if part[start:end] in strings), start)
            found += end - start
            start = end if end > start else start + 1
    return found / sum(map(len, words))


def test_the_page_has_many_errors_of_each_kind() -> None:
    assert len(quoted()) >= 35
    assert PAGE.read_text(encoding="utf-8").count("code-block:: text") == len(quoted())


@pytest.mark.parametrize("text", quoted(), ids=lambda text: text[:40])
def test_what_the_page_quotes_is_what_the_package_says(text: str, strings: str) -> None:
    assert share(text, strings) >= SHARE


@pytest.mark.parametrize(
    "text", ["the weather is 'fine' today. Take a hat.", "there is no such policy here at all, sorry."]
)
def test_what_the_package_does_not_say_is_noticed(text: str, strings: str) -> None:
    assert share(text, strings) < SHARE
