"""The example bots, trained once for all tests here, and served once in each process of tests."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
def trainings() -> Path:
    """Return the folder in which trained models are kept for the other test processes."""
    return Path(os.environ["RASA_CORE_TEST_TRAININGS"])


@contextmanager
def trained(name: str, checkout: Path, trainings: Path) -> Iterator[Served]:
    """Serve an example, with what the server said when it was trained, which may have been in another process."""
    models, kept = checkout / "examples" / name / "models", trainings / name
    with open(trainings / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.is_dir():
            with serving(checkout, f"examples/{name}") as first:
                (trainings / f"{name}.txt").write_text(first.said, encoding="utf-8")
            shutil.copytree(models, kept, symlinks=True)
        elif not models.is_dir():
            shutil.copytree(kept, models, symlinks=True)
    with serving(checkout, f"examples/{name}") as served:
        said = (trainings / f"{name}.txt").read_text(encoding="utf-8")
        yield replace(served, said=said + served.said)


@pytest.fixture(scope="session")
def hotel(checkout: Path, trainings: Path) -> Iterator[Served]:
    """The example of a form."""
    with trained("hotel", checkout, trainings) as served:
        yield served


@pytest.fixture(scope="session")
def bot(checkout: Path, trainings: Path) -> Iterator[Served]:
    """The README's main job."""
    with trained("remote", checkout, trainings) as served:
        yield served
