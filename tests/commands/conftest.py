"""Fixtures of the tests of commands."""

from __future__ import annotations

import pytest
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of a model that talks about moods."""
    return trained_model(tmp_path_factory.mktemp("mood"), MOOD_DOMAIN, MOOD_STORIES)
