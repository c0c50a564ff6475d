"""The modules that a process imports: a server must not import what only training or other stores need."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "keras",
    "jax",
    "jaxlib",
    "tensorflow",
    "torch",
    "scipy",
    "pandas",
    "sqlalchemy",
    "redis",
    "flask",
    "django",
    "h5py",
}
NOT_FOR_THE_LIBRARY = {"werkzeug", "granian", "click", "asyncio"}


def modules_after(code: str) -> set[str]:
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(finished.stdout.splitlines()[-1].split())


def loaded_after(code: str) -> set[str]:
    return {name.split(".")[0] for name in modules_after(code)}


@pytest.mark.parametrize(
    "code",
    [
        "import rasa_core",
        "import rasa_core.policies",
        "from rasa_core.server import create_app",
        "from rasa_core.nlu.model import NLUModel",
        "from rasa_core.commands.main import serve",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert loaded_after(code) & HEAVY == set()


def test_a_server_loads_nothing_of_a_page_that_nobody_asked_for() -> None:
    loaded = modules_after("from rasa_core.server import create_app")
    assert "rasa_core.server.app" in loaded
    assert not any(name.startswith("rasa_core.server.inspector") for name in loaded)
    assert not loaded & {f"rasa_core.server.api.{name}" for name in ("document", "operations", "schemas")}


def test_the_library_loads_no_server() -> None:
    assert loaded_after("import rasa_core") & NOT_FOR_THE_LIBRARY == set()


def test_a_tracker_store_loads_its_own_engine_alone() -> None:
    code = "from rasa_core.tracker_store import store_from_url; store_from_url('memory://')"
    assert "sqlite3" in loaded_after("import sqlite3")
    assert loaded_after(code) & {"sqlalchemy", "redis", "psycopg"} == set()


def test_a_domain_needs_little() -> None:
    loaded = modules_after("import rasa_core.domain")
    assert "numpy" not in loaded
    assert not any(name.startswith("rasa_core.policies") for name in loaded)
    assert len([name for name in loaded if name.startswith("rasa_core")]) <= 25


def test_the_package_loads_its_names_when_they_are_asked_for() -> None:
    assert "rasa_core.agent" not in modules_after("import rasa_core")
    assert "rasa_core.agent" in modules_after("from rasa_core import Agent")
