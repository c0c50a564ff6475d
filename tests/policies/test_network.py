from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.exceptions import ModelError
from rasa_core.policies.network import PolicyNetwork
from rasa_core.support.stored_models import read_arrays, write_arrays

ONE = np.array(1)


def network(*sizes: int, seed: int = 0) -> PolicyNetwork:
    random = np.random.default_rng(seed)
    return PolicyNetwork(
        [
            (
                random.normal(size=(inputs, units)).astype(np.float32),
                random.normal(size=units).astype(np.float32),
            )
            for inputs, units in itertools.pairwise(sizes)
        ]
    )


def side_by_side(*sizes: int, perceptrons: int = 3, seed: int = 0) -> PolicyNetwork:
    """Return perceptrons side by side: `sizes` are the sizes of one of them; all share the first and the last."""
    random = np.random.default_rng(seed)
    inputs, first, *between, actions = sizes
    shapes: list[tuple[int, ...]] = [(inputs, perceptrons * first)]
    shapes += [(perceptrons, one, other) for one, other in itertools.pairwise([first, *between])]
    shapes.append((perceptrons * [first, *between][-1], actions))
    return PolicyNetwork(
        [
            (random.normal(size=shape).astype(np.float32), random.normal(size=(*shape[:-2], shape[-1])))
            for shape in shapes
        ]
    )


def slow(found: PolicyNetwork, x: list[float]) -> np.ndarray:
    """Compute the output one number at a time, in double precision."""
    h = [float(value) for value in x]
    for number, (kernel, bias) in enumerate(found.layers):
        if number:
            h = [max(0.0, value) for value in h]
        kernels, biases = (kernel, bias) if kernel.ndim == 3 else (kernel[None], bias[None])
        share = len(h) // len(kernels)
        h = [
            float(biases[number, unit])
            + sum(h[number * share + i] * float(kernels[number, i, unit]) for i in range(share))
            for number in range(len(kernels))
            for unit in range(kernels.shape[2])
        ]
    e = np.exp(np.array(h) - max(h))
    return e / e.sum()


NETWORKS = {
    "one layer": network(5, 3),
    "two layers": network(5, 7, 3),
    "three layers": network(5, 7, 6, 2),
    "perceptrons": side_by_side(5, 4, 3, 2),
    "perceptrons of one layer": side_by_side(5, 4, 2),
    "perceptrons of four layers": side_by_side(5, 4, 6, 3, 2, perceptrons=2),
}


@given(
    st.sampled_from(sorted(NETWORKS)),
    st.lists(st.sampled_from([0.0, 0.0, 1.0, -1.5, 0.25]), min_size=5, max_size=5),
)
def test_sparse_dense_and_slow_agree(name, x) -> None:
    found = NETWORKS[name]
    indices = [index for index, value in enumerate(x) if value]
    expected = slow(found, x)
    assert found.predict(np.array([x, x], np.float32)) == pytest.approx(np.array([expected, expected]), abs=1e-5)
    sparse = found.predict_sparse(indices, [x[index] for index in indices])
    assert sparse.shape == expected.shape == (found.num_actions,)
    assert sparse == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_of_no_inputs_there_are_no_predictions(name) -> None:
    assert NETWORKS[name].predict(np.zeros((0, 5), np.float32)).shape == (0, NETWORKS[name].num_actions)


def test_large_outputs_do_not_overflow() -> None:
    found = PolicyNetwork([(np.array([[1e4, -1e4]], np.float32), np.zeros(2, np.float32))])
    assert found.predict_sparse([0], [1.0]).tolist() == [1.0, 0.0]


def layers_of(shapes: list[tuple[int, ...]]) -> dict[str, np.ndarray]:
    arrays = {"layers": np.array(len(shapes))}
    for number, shape in enumerate(shapes):
        arrays[f"kernel_{number}"] = np.zeros(shape, np.float32)
        arrays[f"bias_{number}"] = np.zeros((*shape[:-2], shape[-1]), np.float32)
    return arrays


class TestPersistence:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_a_loaded_network_is_the_same(self, tmp_path, name) -> None:
        found = NETWORKS[name]
        found.save(tmp_path / "weights.npz")
        loaded = PolicyNetwork.load(tmp_path / "weights.npz")
        assert loaded.input_size == 5
        assert loaded.predict_sparse([1, 2], [1.0, 2.0]).tolist() == found.predict_sparse([1, 2], [1.0, 2.0]).tolist()

    def test_the_same_weights_give_the_same_bytes(self, tmp_path) -> None:
        for name in ("a.npz", "b.npz"):
            side_by_side(5, 4, 3, 2).save(tmp_path / name)
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()

    @pytest.mark.parametrize("found", [network(2, 3, 2), side_by_side(2, 2, 2, 2, perceptrons=2)], ids=["1", "2"])
    def test_damage_is_noticed_wherever_it_is(self, tmp_path, found) -> None:
        file = tmp_path / "weights.npz"
        found.save(file)
        whole, expected = file.read_bytes(), found.predict_sparse([0, 1], [1.0, 2.0]).tolist()
        for position in range(0, len(whole), 5):
            file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x81]) + whole[position + 1 :])
            with contextlib.suppress(ModelError):
                assert PolicyNetwork.load(file).predict_sparse([0, 1], [1.0, 2.0]).tolist() == expected

    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
    def test_a_file_that_was_cut_off_is_named(self, tmp_path, share) -> None:
        file = tmp_path / "weights.npz"
        network(2, 3, 2).save(file)
        whole = file.read_bytes()
        file.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError, match=r"cannot read the arrays in .*weights.npz.*again"):
            PolicyNetwork.load(file)

    def test_a_missing_file_is_named(self, tmp_path) -> None:
        with pytest.raises(ModelError, match=r"weights.npz.*No such file"):
            PolicyNetwork.load(tmp_path / "weights.npz")

    def test_objects_are_never_read(self, tmp_path) -> None:
        np.savez(tmp_path / "weights.npz", kernel_0=np.array([{}], object), bias_0=np.array([{}], object))
        with pytest.raises(ModelError, match=r"weights.npz"):
            PolicyNetwork.load(tmp_path / "weights.npz")

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
            ({"layers": np.array("1"), "kernel_0": ONE, "bias_0": ONE}, "not hold a whole network"),
            (layers_of([(3, 2, 4)]), "layer 0"),
            (layers_of([(2, 6), (3, 2, 4)]), "layer 1"),
            (layers_of([(2, 6), (3, 3, 4), (12, 2)]), "layer 1"),
            (layers_of([(2, 6), (3, 2, 4), (11, 2)]), "layer 2"),
            (layers_of([(2, 6), (1, 3, 2, 4), (12, 2)]), "layer 1"),
        ],
        ids=[
            *("empty", "no-layers", "no-number", "half", "no-bias", "wrong-bias", "text", "layers-apart", "text-count"),
            *("only-perceptrons", "perceptrons-to-the-end", "wrong-perceptrons", "wrong-end", "too-many-axes"),
        ],
    )
    def test_arrays_that_make_no_network_are_refused(self, tmp_path, arrays, problem) -> None:
        write_arrays(tmp_path / "weights.npz", arrays)
        with pytest.raises(ModelError, match=rf"{problem}.*again"):
            PolicyNetwork.load(tmp_path / "weights.npz")

    def test_any_names_of_arrays_can_be_written(self, tmp_path) -> None:
        arrays = {"allow_flags": np.arange(3), "weight_0": np.eye(2)}
        write_arrays(tmp_path / "a.npz", arrays)
        assert {name: array.tolist() for name, array in read_arrays(tmp_path / "a.npz").items()} == {
            name: array.tolist() for name, array in arrays.items()
        }
