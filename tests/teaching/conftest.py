"""Fixtures of the tests of teaching; one policy is trained for all tests, because Keras compiles slowly."""

from __future__ import annotations

from typing import Any

import pytest
from policy_bot import domain as domain
from policy_bot import trackers as trackers
from policy_bot import trained as trained

from rasa_core.domain import Domain
from rasa_core.policies import KerasPolicy, MemoizationPolicy
from rasa_core.trackers import DialogueStateTracker


@pytest.fixture
def memory(domain: Domain, trackers: list[DialogueStateTracker]) -> MemoizationPolicy:
    policy = MemoizationPolicy()
    policy.train(trackers, domain)
    return policy


@pytest.fixture
def networks_trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, dict[str, Any]]]:
    """Return how many conversations networks were trained on, and how, while the test runs."""
    calls: list[tuple[int, dict[str, Any]]] = []
    train = KerasPolicy.continue_training

    def counted(self: KerasPolicy, trackers: list[DialogueStateTracker], domain: Domain, **options: Any) -> None:
        calls.append((len(trackers), options))
        train(self, trackers, domain, **options)

    monkeypatch.setattr(KerasPolicy, "continue_training", counted)
    return calls
