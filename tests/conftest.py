"""What all tests share: this folder on the import path (`strategies`), and the settings of Hypothesis."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from story_fixtures import domain as domain
from story_fixtures import generate as generate
from story_fixtures import read as read
from story_fixtures import sample_data as sample_data

settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "local")
