"""Fixtures of the tests of policies; one policy is trained for all tests, because Keras compiles slowly."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from own_policies import LinearPolicy, LstmPolicy
from policy_bot import QUICK, needs_keras
from policy_bot import domain as domain
from policy_bot import trackers as trackers
from policy_bot import trained as trained

from rasa_core.policies import keras_network, keras_training, network_training
from rasa_core.policies.network import PERCEPTRONS, PolicyNetwork
from rasa_core.policies.network_training import Trained

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a program in a process of its own and returns what it wrote."""

    def run(program: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"import sys; sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]\n"
        return subprocess.run(
            [sys.executable, "-c", path + program, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | environment,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def linear(domain, trackers) -> LinearPolicy:
    """Return a policy with a quick network of its own; tests may train it further."""
    needs_keras()
    policy = LinearPolicy()
    policy.train(trackers, domain, **QUICK)
    return policy


@pytest.fixture(scope="session")
def lstm(domain, trackers) -> LstmPolicy:
    needs_keras()
    policy = LstmPolicy()
    policy.train(trackers, domain, rnn_size=8, **QUICK)
    return policy


@pytest.fixture
def fitted(monkeypatch) -> list[dict]:
    """Return a list that gets what each call of `keras_training.fit` was given, instead of training."""
    needs_keras()
    calls: list[dict] = []

    def fit(model, x, y, **options) -> None:
        random.random()
        np.random.random()
        calls.append({"model": model, "x": x, "y": y, **options})

    monkeypatch.setattr(keras_training, "fit", fit)
    return calls


@pytest.fixture
def network_trained(monkeypatch) -> list[dict]:
    """Return a list that gets what each call of `network_training.train` was given, instead of training."""
    needs_keras()
    calls: list[dict] = []

    def train(examples, action_names, schedule, **options) -> Trained:
        random.random()
        units = PERCEPTRONS * keras_network.HIDDEN[0]
        between = zip(keras_network.HIDDEN, keras_network.HIDDEN[1:], strict=False)
        shapes = [(examples.num_features, units), *((PERCEPTRONS, *pair) for pair in between)]
        shapes.append((PERCEPTRONS * keras_network.HIDDEN[-1], len(action_names)))
        kernels = [np.random.standard_normal(shape).astype(np.float32) for shape in shapes]
        calls.append({"examples": examples, "names": action_names, "schedule": schedule, **options})
        network = options["start"] or PolicyNetwork([(kernel, kernel[..., 0, :]) for kernel in kernels])
        return Trained(network, {"temperature": 2.0})

    monkeypatch.setattr(network_training, "train", train)
    return calls
