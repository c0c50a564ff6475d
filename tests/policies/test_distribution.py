"""Training on several devices; here, two devices share one processor."""

from __future__ import annotations

import json

import pytest
from policy_bot import STORIES, chosen

from rasa_core.policies import KerasPolicy

PROGRAM = """
import json, keras, policy_bot
from rasa_core.policies import KerasPolicy, keras_network, keras_training

told, build = {}, keras_network.build

def observed_build(*arguments):
    model = build(*arguments)
    told["while training"] = type(keras.distribution.distribution()).__name__
    told["devices of a weight"] = len(model.weights[0].value.sharding.device_set)
    return model

keras_network.build = observed_build
domain = policy_bot.local_domain()
policy = KerasPolicy()
policy.train(policy_bot.stories(domain), domain, epochs=60, verbose=0)
policy.persist(sys.argv[1])
told["after training"] = keras.distribution.distribution()
own = keras.distribution.DataParallel(devices=keras.distribution.list_devices())
keras.distribution.set_distribution(own)
with keras_training.distributed() as count:
    told["of one's own"] = count, keras.distribution.distribution() is own
told["of one's own afterwards"] = keras.distribution.distribution() is own
print(json.dumps(told))
"""


def test_two_devices_learn_the_same_as_one(trained, domain, tmp_path, run_python) -> None:
    done = run_python(PROGRAM, tmp_path, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "while training": "DataParallel",
        "devices of a weight": 2,
        "after training": None,
        "of one's own": [2, True],
        "of one's own afterwards": True,
    }
    found = KerasPolicy.load(tmp_path)
    for story in STORIES:
        for index, step in enumerate(story):
            if isinstance(step, str) and not step.startswith("/"):
                assert chosen(found, domain, *story[:index]) == step
    for one, other in zip(found.model.layers, trained.model.layers, strict=True):
        for array, expected in zip(one, other, strict=True):
            assert array == pytest.approx(expected, abs=1e-4)
