"""The data, findings and limits in docs/nlu.rst are those of the code."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from rasa_core.checks import nlu as checks
from rasa_core.nlu import model
from rasa_core.nlu.reading import read_training_data

DOCUMENT = (Path(__file__).parents[2] / "docs" / "nlu.rst").read_text(encoding="utf-8")


def sample(heading: str) -> str:
    """Return the block of text below a line."""
    found = re.search(rf"^{heading}:\n\n\.\. code-block:: text\n\n((?:   .*\n|\n)+)", DOCUMENT, re.MULTILINE)
    assert found is not None
    return textwrap.dedent(found[1])


@pytest.mark.parametrize("heading", ["Markdown", "YAML", "JSON"])
def test_the_samples_of_data_can_be_read(heading: str, tmp_path: Path) -> None:
    (tmp_path / "genres.txt").write_text("fado\njazz\n", encoding="utf-8")
    (tmp_path / "data").write_text(sample(heading), encoding="utf-8")
    data = read_training_data(tmp_path / "data")
    assert data.intents == ["find_concerts"]
    assert data.synonyms["oporto"] == "Porto"
    assert all(lookup.entries == ("fado", "jazz") for lookup in data.lookups)


def test_the_table_of_findings_is_that_of_the_code() -> None:
    assert checks.__doc__ is not None
    rows = re.findall(r"^``.*$", checks.__doc__, re.MULTILINE)
    assert len(rows) > 10
    assert re.findall(r"^``[a-z-]+``  +.*$", DOCUMENT, re.MULTILINE) == rows


def test_the_limits_are_those_of_the_model() -> None:
    told = f"{model.MAX_CHARACTERS:,} characters, or {model.MAX_TOKENS} words and signs"
    assert told in " ".join(DOCUMENT.split())
