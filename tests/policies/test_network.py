from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.exceptions import ModelError
from rasa_core.policies.network import Network, read_arrays, write_arrays

ONE = np.array(1)


def network(*sizes: int, seed: int = 0) -> Network:
    random = np.random.default_rng(seed)
    return Network(
        [
            (
                random.normal(size=(inputs, units)).astype(np.float32),
                random.normal(size=units).astype(np.float32),
            )
            for inputs, units in itertools.pairwise(sizes)
        ]
    )


def slow(found: Network, x: list[float]) -> np.ndarray:
    """Compute the output one number at a time, in double precision."""
    h = [float(value) for value in x]
    for number, (kernel, bias) in enumerate(found.layers):
        if number:
            h = [max(0.0, value) for value in h]
        h = [
            float(bias[unit]) + sum(value * float(kernel[i, unit]) for i, value in enumerate(h))
            for unit in range(len(bias))
        ]
    e = np.exp(np.array(h) - max(h))
    return e / e.sum()


@given(
    st.sampled_from([(5, 3), (5, 7, 3), (5, 7, 6, 2)]),
    st.lists(st.sampled_from([0.0, 0.0, 1.0, -1.5, 0.25]), min_size=5, max_size=5),
)
def test_sparse_dense_and_slow_agree(sizes, x) -> None:
    found = network(*sizes)
    indices = [index for index, value in enumerate(x) if value]
    expected = slow(found, x)
    assert found.predict(np.array([x, x], np.float32)) == pytest.approx(np.array([expected, expected]), abs=1e-5)
    sparse = found.predict_sparse(indices, [x[index] for index in indices])
    assert sparse.shape == expected.shape
    assert sparse == pytest.approx(expected, abs=1e-5)


def test_large_outputs_do_not_overflow() -> None:
    found = Network([(np.array([[1e4, -1e4]], np.float32), np.zeros(2, np.float32))])
    assert found.predict_sparse([0], [1.0]).tolist() == [1.0, 0.0]


def test_keras_and_numpy_agree(trained, domain, trackers) -> None:
    from rasa_core.policies import keras_training

    x, _, _ = trained._history.training_arrays(trackers, domain)
    keras_model = keras_training.perceptron(trained.model.input_size, domain.num_actions)
    keras_model.set_weights([array for layer in trained.model.layers for array in layer])
    assert trained.model.predict(x) == pytest.approx(keras_training.predict(keras_model, x), abs=1e-5)
    assert len(keras_training.as_network(keras_model).layers) == len(trained.model.layers)


class TestPersistence:
    def test_a_loaded_network_is_the_same(self, tmp_path) -> None:
        found = network(5, 7, 3)
        found.save(tmp_path / "weights.npz")
        loaded = Network.load(tmp_path / "weights.npz")
        assert loaded.input_size == 5
        assert loaded.predict_sparse([1, 2], [1.0, 2.0]).tolist() == found.predict_sparse([1, 2], [1.0, 2.0]).tolist()

    def test_the_same_weights_give_the_same_bytes(self, tmp_path) -> None:
        for name in ("a.npz", "b.npz"):
            network(5, 7, 3).save(tmp_path / name)
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()

    def test_damage_is_noticed_wherever_it_is(self, tmp_path) -> None:
        file = tmp_path / "weights.npz"
        found = network(2, 3, 2)
        found.save(file)
        whole, expected = file.read_bytes(), found.predict_sparse([0, 1], [1.0, 2.0]).tolist()
        for position in range(0, len(whole), 3):
            file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x81]) + whole[position + 1 :])
            with contextlib.suppress(ModelError):
                assert Network.load(file).predict_sparse([0, 1], [1.0, 2.0]).tolist() == expected

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
    def test_a_file_that_was_cut_off_is_named(self, tmp_path, share) -> None:
        file = tmp_path / "weights.npz"
        network(2, 3, 2).save(file)
        whole = file.read_bytes()
        file.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError, match=r"cannot read the arrays in .*weights.npz.*again"):
            Network.load(file)

    def test_a_missing_file_is_named(self, tmp_path) -> None:
        with pytest.raises(ModelError, match=r"weights.npz.*No such file"):
            Network.load(tmp_path / "weights.npz")

    def test_objects_are_never_read(self, tmp_path) -> None:
        np.savez(tmp_path / "weights.npz", kernel_0=np.array([{}], object), bias_0=np.array([{}], object))
        with pytest.raises(ModelError, match=r"weights.npz"):
            Network.load(tmp_path / "weights.npz")

    @pytest.mark.parametrize(
        ("arrays", "problem"),
        [
            ({}, "not hold a whole network"),
            ({"layers": np.array(0)}, "not hold a whole network"),
            ({"layers": np.zeros(2)}, "not hold a whole network"),
            ({"layers": ONE, "kernel_0": np.zeros((2, 3), np.float32)}, "not hold a whole network"),
            ({"layers": ONE, "kernel_0": np.zeros((2, 3), np.float32), "bias": ONE}, "layer 0"),
            ({"layers": ONE, "kernel_0": np.zeros((2, 3), np.float32), "bias_0": ONE}, "layer 0"),
            ({"layers": ONE, "kernel_0": np.zeros((2, 3), "U1"), "bias_0": np.zeros(3, "U1")}, "layer 0"),
            (
                {
                    "layers": np.array(2),
                    "kernel_0": np.zeros((2, 3), np.float32),
                    "bias_0": np.zeros(3, np.float32),
                    "kernel_1": np.zeros((4, 2), np.float32),
                    "bias_1": np.zeros(2, np.float32),
                },
                "layer 1",
            ),
        ],
        ids=["empty", "no-layers", "no-number", "half", "no-bias", "wrong-bias", "text", "layers-apart"],
    )
    def test_arrays_that_make_no_network_are_refused(self, tmp_path, arrays, problem) -> None:
        write_arrays(tmp_path / "weights.npz", arrays)
        with pytest.raises(ModelError, match=rf"{problem}.*again"):
            Network.load(tmp_path / "weights.npz")

    def test_any_names_of_arrays_can_be_written(self, tmp_path) -> None:
        arrays = {"allow_flags": np.arange(3), "weight_0": np.eye(2)}
        write_arrays(tmp_path / "a.npz", arrays)
        assert {name: array.tolist() for name, array in read_arrays(tmp_path / "a.npz").items()} == {
            name: array.tolist() for name, array in arrays.items()
        }
