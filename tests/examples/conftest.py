"""The example bot, trained and served once for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from example_bot import ROOT, Served, serving


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples in a folder of their own, so that nothing is written into the project."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("models"))
    return folder


@pytest.fixture(scope="session")
def hotel(checkout: Path) -> Iterator[Served]:
    """The example of a form."""
    with serving(checkout, "examples/hotel") as served:
        yield served


@pytest.fixture(scope="session")
def bot(checkout: Path) -> Iterator[Served]:
    """The README's main job."""
    with serving(checkout, "examples/remote") as served:
        yield served
