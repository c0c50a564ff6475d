"""Replay of recordings of real Rasa 3, if they are there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
RECORDED = ROOT.parent / "shared" / "data" / "rasa3"


def replay_module() -> ModuleType:
    path = ROOT / "benchmarks" / "rasa3_replay.py"
    spec = importlib.util.spec_from_file_location("rasa3_replay", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings are not here")
def test_recorded_conversations_go_the_same_way() -> None:
    replay = replay_module()
    figures = replay.Figures()

    for case in sorted((RECORDED / "cases").iterdir()):
        replay.replay(case, figures)

    differences = "\n".join(figures.differences)
    assert figures.same_steps >= 0.97 * figures.steps > 0, differences
    assert figures.same_conversations >= 0.95 * figures.conversations > 0, differences
