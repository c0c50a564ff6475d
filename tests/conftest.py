"""What all tests share: this folder on the import path (`strategies`), and the settings of Hypothesis.

With the environment variable ``RASA_CORE_TEST_SKIPPED``, the ids of skipped tests go into the file that it names, so
that they can be run where nothing is missing.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from story_fixtures import domain as domain
from story_fixtures import generate as generate
from story_fixtures import read as read
from story_fixtures import sample_data as sample_data

# Whoever distributes the tests tells the width of a terminal that none of them has.
os.environ.pop("COLUMNS", None)

settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a skipped test, in the process that gathers the results of all others."""
    path = os.environ.get("RASA_CORE_TEST_SKIPPED")
    if path and report.skipped and "PYTEST_XDIST_WORKER" not in os.environ:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{report.nodeid}\n")
