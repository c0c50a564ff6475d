"""Training of the policy's network: an ensemble with held-out stories each, and labels that share their parts."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_bot import needs_keras

from rasa_core.policies import (
    example_rows,
    keras_network,
    keras_training,
    network_batches,
    network_calibration,
    network_training,
)
from rasa_core.policies.example_rows import IN_NO_GROUP, TrainingExamples
from rasa_core.policies.keras_network import DROPOUT, UNITS
from rasa_core.policies.network import PERCEPTRONS, PolicyNetwork
from rasa_core.policies.network_batches import Schedule
from rasa_core.policies.network_calibration import HeldOut
from rasa_core.policies.network_training import Trained
from rasa_core.support.probabilities import best_temperature, softmax
from rasa_core.support.progress import Progress

NAMES = ["action_listen", "utter_greet", "utter_bye", "action_search", "utter_rare_greet"]
RARE = NAMES.index("utter_rare_greet")
FEATURES = 12


def rows_of(
    x: np.ndarray, actions: np.ndarray, groups: np.ndarray, weights: np.ndarray | None = None
) -> TrainingExamples:
    rows = TrainingExamples.of_dense(x.astype(np.float32), actions.astype(np.int32))
    rows.groups = groups.astype(np.int8)
    if weights is not None:
        rows.weights = weights.astype(np.float32)
    return rows


def noisy_rows(count: int = 400) -> TrainingExamples:
    """Return rows in which four features tell the action, though not always; one action occurs in group 0 alone."""
    random = np.random.default_rng(0)
    x = (random.random((count, FEATURES)) < 0.3).astype(np.float32)
    actions = (2 * x[:, 0] + x[:, 1]).astype(int)
    wrong = random.random(count) < 0.25
    actions[wrong] = random.integers(0, 4, wrong.sum())
    groups = random.choice([0, 1, 2, IN_NO_GROUP], count)
    is_rare = (groups == 0) & (random.random(count) < 0.3)
    x[:, -1], actions[is_rare] = is_rare, RARE
    return rows_of(x, actions, groups)


@pytest.fixture(scope="module")
def rows() -> TrainingExamples:
    return noisy_rows()


@pytest.fixture(scope="module")
def trained(rows) -> Trained:
    """Return what was learnt from `noisy_rows`, too well for them."""
    needs_keras()
    with keras_training.seeded(1):
        return network_training.train(rows, NAMES, Schedule(30, 1, 64), seed=1, silent=True, title="epoch")


def uncalibrated(trained: Trained) -> PolicyNetwork:
    *layers, (kernel, bias) = trained.network.layers
    temperature = np.float32(trained.calibration["temperature"])
    return PolicyNetwork([*layers, (kernel * temperature, bias * temperature)])


class TestPerceptrons:
    def test_each_learns_without_its_group(self, rows, trained) -> None:
        [block] = rows.blocks()
        x = rows.dense(block)[rows.actions == RARE]
        rare = [
            softmax(network_calibration.perceptron_logits(trained.network, x, m))[:, RARE].mean()
            for m in range(PERCEPTRONS)
        ]
        assert rare[0] < 0.1
        assert min(rare[1:]) > 0.5

    def test_the_mean_of_their_logits_decides(self, rows, trained) -> None:
        x = rows.dense(rows.block(0))
        logits = [network_calibration.perceptron_logits(trained.network, x, number) for number in range(PERCEPTRONS)]
        assert trained.network.predict(x) == pytest.approx(softmax(np.mean(logits, axis=0)), abs=1e-5)

    def test_learn_what_there_is_to_learn(self, rows, trained) -> None:
        is_right = trained.network.predict(rows.dense(rows.block(0))).argmax(axis=1) == rows.actions
        assert is_right.mean() > 0.75


class TestCalibration:
    def test_makes_what_was_held_out_more_probable(self, rows, trained) -> None:
        logits, actions, weights = HeldOut.of(rows, uncalibrated(trained), rows.unseen)
        temperature = trained.calibration["temperature"]
        assert temperature != pytest.approx(1.0, abs=0.05)
        assert surprise(logits / temperature, actions, weights) < surprise(logits, actions, weights) - 1e-3

    def test_is_made_by_the_perceptron_that_has_not_seen_the_row(self, rows, trained) -> None:
        plain = uncalibrated(trained)
        x = rows.dense(rows.block(0))
        held_out = np.flatnonzero(rows.groups != IN_NO_GROUP)
        expected = {
            (number, *network_calibration.perceptron_logits(plain, x[[number]], int(rows.groups[number]))[0].round(2))
            for number in held_out
        }
        logits, actions, _ = HeldOut.of(rows, plain, rows.unseen)
        in_order = np.concatenate([np.flatnonzero(rows.groups == number) for number in range(PERCEPTRONS)])
        assert {(number, *row) for number, row in zip(in_order, logits.round(2), strict=True)} == expected
        assert actions.tolist() == rows.actions[in_order].tolist()

    def test_looks_at_a_bounded_number_of_rows(self, rows, trained, monkeypatch) -> None:
        monkeypatch.setattr(example_rows, "ROWS_IN_BLOCK", 100)
        monkeypatch.setattr(network_calibration, "MOST_HELD_OUT", 50)
        logits, actions, weights = HeldOut.of(rows, uncalibrated(trained), rows.unseen)
        assert 50 <= len(logits) == len(actions) == len(weights) <= 50 + 100
        assert len(logits) < (rows.groups != IN_NO_GROUP).sum()

    def test_tells_how_good_the_predictions_for_unseen_stories_are(self, rows, trained) -> None:
        found = trained.calibration
        assert set(found) == {"temperature", "examples", "accuracy", "calibration_error", "threshold"}
        assert found["examples"] == (rows.groups != IN_NO_GROUP).sum()
        logits, actions, _ = HeldOut.of(rows, uncalibrated(trained), rows.unseen)
        assert found["accuracy"] == pytest.approx((logits.argmax(axis=1) == actions).mean(), abs=1e-4)
        assert 0.4 < found["accuracy"] < 0.9
        assert 0.0 < found["calibration_error"] < 0.5

    def test_error_is_the_gap_between_confidence_and_accuracy(self) -> None:
        probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65], [1.0, 0.0]], np.float32)
        actions, weights = np.array([0, 1, 1, 0], np.int32), np.array([1, 1, 1, 3], np.float32)
        found = network_calibration.figures(probabilities, actions, weights)
        # One bin holds the certain rows: (0.95 + 0.95 + 3 * 1.0) / 5 against 4 / 5; the other 0.65 against 1.
        assert found == {
            "examples": 4,
            "accuracy": pytest.approx(5 / 6, abs=1e-4),
            "calibration_error": pytest.approx((abs(4.9 - 4) + abs(0.65 - 1)) / 6, abs=1e-4),
            "threshold": 0.64,  # Rounded down from the nearest number that a float has.
        }

    def test_the_threshold_hands_over_one_in_a_hundred_of_what_is_right(self) -> None:
        confidences, weights = np.array([0.955, 0.2, 0.455, 0.9], np.float32), np.array([97, 1, 1, 1], np.float32)
        assert network_calibration.threshold(confidences, weights) == 0.45
        assert network_calibration.threshold(confidences[:0], weights[:0]) == 0.0

    @settings(max_examples=30)
    @given(st.integers(0, 1000), st.sampled_from([0.05, 0.3, 1.0, 3.0, 20.0, 300.0]), st.floats(0, 1))
    def test_temperature_is_the_best_of_a_fine_grid(self, seed, scale, share_right) -> None:
        random = np.random.default_rng(seed)
        logits = (random.normal(size=(60, 4)) * scale).astype(np.float32)
        is_right = random.random(60) < share_right
        actions = np.where(is_right, logits.argmax(axis=1), random.integers(0, 4, 60))
        weights = random.random(60).astype(np.float32) + 0.1
        grid = np.exp(np.linspace(*np.log(network_calibration.TEMPERATURES), 400))
        scaled = logits.astype(float) / grid[:, None, None]
        every = np.logaddexp.reduce(scaled, axis=2) - scaled[:, np.arange(60), actions]
        least = (every @ weights.astype(float)).min() / weights.sum(dtype=float)
        found = best_temperature(logits, labels=actions, weights=weights, bounds=network_calibration.TEMPERATURES)
        assert grid[0] <= found <= grid[-1]
        assert surprise(logits / found, actions, weights) <= least * (1 + 1e-3) + 1e-6


def surprise(logits: np.ndarray, actions: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean negative log-likelihood, one row at a time, in double precision."""
    total = 0.0
    for row, action, weight in zip(logits.astype(float), actions, weights.astype(float), strict=True):
        most = row.max()
        total += weight * (most + math.log(sum(math.exp(one - most) for one in row)) - row[action])
    return total / float(weights.sum(dtype=float))


class TestLabelsWithParts:
    def test_a_part_counts_where_several_names_have_it(self) -> None:
        assert network_training.label_parts(NAMES).tolist() == [
            [1, 0, 0, 1, 0],  # action
            [0, 1, 0, 0, 1],  # greet
            [0, 1, 1, 0, 1],  # utter
        ]

    def test_names_may_have_nothing_in_common(self) -> None:
        assert network_training.label_parts(["a", "b"]).shape == (0, 2)


class TestKerasAndNumpy:
    @pytest.mark.parametrize("names", [NAMES, ["a", "b", "c"]], ids=["parts", "no parts"])
    def test_agree(self, names) -> None:
        parts, model = random_model(names)
        x = noisy_rows(50).dense(noisy_rows(50).block(0))
        logits = logits_of(model, x)
        network = keras_network.as_network(model, parts)
        assert logits.shape == (50, PERCEPTRONS, len(names))
        assert network.predict(x) == pytest.approx(softmax(logits.mean(axis=1)), abs=1e-5)
        for row, expected in zip(x[:5], softmax(logits.mean(axis=1)), strict=False):
            used = np.flatnonzero(row)
            assert network.predict_sparse(used.tolist(), row[used].tolist()) == pytest.approx(expected, abs=1e-5)
        for number in range(PERCEPTRONS):
            found = network_calibration.perceptron_logits(network, x, number) - logits[:, number]
            # Softmax does not see a shift; the biases of the perceptrons are put together.
            assert found - found[:, :1] == pytest.approx(bias_shift(model, number), abs=1e-4)

    def test_units_are_multiplied_with_what_is_kept_of_them(self) -> None:
        _, model = random_model(NAMES)
        x = np.ones((1, FEATURES), np.float32)
        assert logits_of(model, x, 0.0)[0] == pytest.approx(action_bias(model), abs=1e-6)
        assert logits_of(model, x, 2.0) != pytest.approx(logits_of(model, x), abs=1e-3)

    def test_temperature_divides_the_logits(self) -> None:
        parts, model = random_model(NAMES)
        x = noisy_rows(50).dense(noisy_rows(50).block(0))
        logits = logits_of(model, x).mean(axis=1)
        warm = keras_network.as_network(model, parts).at_temperature(2.5)
        assert warm.predict(x) == pytest.approx(softmax(logits / 2.5), abs=1e-5)

    def test_weights_come_back_as_they_were(self) -> None:
        parts, model = random_model(NAMES)
        network = keras_network.as_network(model, parts)
        twin = keras_network.build(FEATURES, len(NAMES))
        keras_network.set_weights(twin, network)
        again = keras_network.as_network(twin)
        for one, other in zip(network.layers, again.layers, strict=True):
            assert one[0] == pytest.approx(other[0], rel=1e-5, abs=1e-7)
            assert one[1] == pytest.approx(other[1], rel=1e-5, abs=1e-6)
        assert keras_network.is_trainable(network)
        assert not keras_network.is_trainable(PolicyNetwork(network.layers[-1:]))

    def test_initial_weights_keep_what_they_get_as_large_as_it_is(self) -> None:
        _, model = random_model(NAMES)
        for layer in model.layers:
            if layer.name in ("first", "hidden_0"):
                kernel = keras_training.weights_of(layer)[0]
                assert kernel.std() == pytest.approx(math.sqrt(2 / kernel.shape[-2]), rel=0.05)


def random_model(names: list[str]):
    """Return label parts, and a model with random weights, biases too."""
    needs_keras()
    parts = network_training.label_parts(names)
    model = keras_network.build(FEATURES, len(names), parts)
    with keras_training.seeded(3):
        keras_network.initial_weights(model)
        for layer in model.layers:
            weights = keras_training.weights_of(layer)
            if len(weights) == 2:
                layer.set_weights([weights[0], np.random.normal(size=weights[1].shape)])
    return parts, model


def logits_of(model, x: np.ndarray, kept: float = 1.0) -> np.ndarray:
    return np.asarray(model({"features": x, "kept": np.full((len(x), UNITS), kept, np.float32)}))


def action_bias(model) -> np.ndarray:
    """Return the bias of each perceptron and action, that of the parts of names included."""
    _, bias = keras_training.weights_of(model.get_layer("actions"))
    parts = network_training.label_parts(NAMES)
    return (
        bias[:, 0] if bias.shape[-1] < sum(parts.shape) else bias[:, 0, : len(NAMES)] + bias[:, 0, len(NAMES) :] @ parts
    )


def bias_shift(model, number: int) -> np.ndarray:
    bias = action_bias(model)
    shift = bias.mean(axis=0) - bias[number]
    return np.tile(shift - shift[0], (50, 1))


def batches_of(
    rows: TrainingExamples, size: int, *, repeats: int = 1, seed: int = 0, devices: int = 1, used=None, learning=False
):
    needs_keras()
    used = np.ones(len(rows), bool) if used is None else used
    schedule, options = Schedule(1, repeats, size), {"seed": seed, "devices": devices, "learning": learning}
    return network_batches.batches(rows, used, len(NAMES), schedule, left_out=rows.unseen, **options)


def numbers_in(batches) -> list[int]:
    """Return which rows a pass over all batches takes, where each row has its number as its only feature."""
    taken = []
    for index in range(len(batches)):
        inputs, wanted = batches[index]
        x = inputs["features"]
        taken += x[wanted.any(axis=(1, 2)), 0].astype(int).tolist()
    return taken


@pytest.fixture
def counted() -> TrainingExamples:
    """Return 23 rows that say which they are, from 1 on."""
    weights = np.linspace(0.5, 1.5, 23)
    groups = np.arange(23) % 5
    return rows_of(np.arange(1, 24)[:, None], np.arange(23) % 5, np.minimum(groups, IN_NO_GROUP), weights)


class TestBatches:
    @pytest.mark.parametrize("in_block", [1000, 4])
    @pytest.mark.parametrize("repeats", [1, 3])
    def test_take_each_row_as_often_as_wanted(self, counted, monkeypatch, in_block, repeats) -> None:
        monkeypatch.setattr(example_rows, "ROWS_IN_BLOCK", in_block)
        batches = batches_of(counted, 8, repeats=repeats)
        assert sorted(numbers_in(batches)) == sorted(list(range(1, 24)) * repeats)

    @pytest.mark.parametrize(("size", "devices", "made"), [(8, 1, 8), (8, 3, 9), (1, 4, 4), (100, 1, 100)])
    def test_are_all_of_one_size_for_all_devices(self, counted, size, devices, made) -> None:
        batches = batches_of(counted, size, devices=devices)
        for index in range(len(batches)):
            inputs, wanted = batches[index]
            found = {name: (array.shape, array.dtype) for name, array in inputs.items()}
            assert found == {"features": ((made, 1), np.float32), "kept": ((made, UNITS), np.float32)}
            assert (wanted.shape, wanted.dtype) == ((made, PERCEPTRONS, len(NAMES)), np.float32)

    def test_say_what_each_perceptron_is_to_learn_and_how_much_it_counts(self, counted) -> None:
        inputs, wanted = batches_of(counted, 64)[0]
        for row, targets in zip(inputs["features"], wanted, strict=True):
            expected = np.zeros((PERCEPTRONS, len(NAMES)), np.float32)
            if row[0]:
                number = int(row[0]) - 1
                expected[:, counted.actions[number]] = counted.weights[number]
                if counted.groups[number] < PERCEPTRONS:
                    expected[counted.groups[number]] = 0.0
            assert targets.tolist() == expected.tolist()

    def test_come_in_another_order_each_time_and_in_the_same_for_the_same_seed(self, counted) -> None:
        orders = []
        for seed in (0, 0, 1):
            batches = batches_of(counted, 8, seed=seed)
            orders.append([])
            for _ in range(2):
                orders[-1].append(numbers_in(batches))
                batches.on_epoch_end()
        assert orders[0] == orders[1]
        assert len({tuple(order) for order in (*orders[0], *orders[2])}) == 4

    def test_leave_out_features_and_units_but_no_wanted_actions_when_learning(self) -> None:
        random = np.random.default_rng(0)
        x, actions = random.random((100, 20)) + 1, np.arange(100) % 5
        rows = rows_of(x, actions, np.zeros(100))
        (inputs, wanted), (learnt, wanted_then) = (
            batches_of(rows, 100, learning=learning)[0] for learning in (False, True)
        )
        assert wanted_then.tolist() == wanted.tolist()
        whole, dropped = inputs["features"], learnt["features"]
        is_kept = dropped != 0
        assert is_kept.mean() == pytest.approx(1 - network_batches.INPUT_DROPOUT, abs=0.03)
        grown = whole[is_kept] / np.float32(1 - network_batches.INPUT_DROPOUT)
        assert dropped[is_kept] == pytest.approx(grown)
        assert (inputs["kept"] == 1).all()
        assert (learnt["kept"] == 0).mean() == pytest.approx(DROPOUT, abs=0.01)
        assert learnt["kept"].mean() == pytest.approx(1, abs=0.01)
        assert len(np.unique(learnt["kept"])) == 2

    def test_leave_out_all_values_of_some_rows_when_learning(self, monkeypatch) -> None:
        monkeypatch.setattr(network_batches, "INPUT_DROPOUT", 0.0)
        rows = rows_of(np.ones((400, 5)), np.zeros(400), np.zeros(400))
        rows.value_columns = np.array([1, 4], np.int32)
        found = batches_of(rows, 400, learning=True)[0][0]["features"]
        assert (found[:, [0, 2, 3]] == 1).all()
        assert (found[:, 1] == found[:, 4]).all()
        assert (found[:, 1] == 0).mean() == pytest.approx(network_batches.VALUES_UNSEEN, abs=0.07)
        assert (batches_of(rows, 400)[0][0]["features"] == 1).all()

    def test_leave_out_what_is_not_used(self, counted) -> None:
        used = np.arange(23) % 2 == 0
        assert sorted(numbers_in(batches_of(counted, 8, used=used))) == list(range(1, 24, 2))


class TestSettings:
    @pytest.mark.parametrize(
        ("num_rows", "passes", "batch_size"),
        [(10, 790, 16), (400, 125, 32), (2500, 50, 160), (10_000, 25, 256), (60_000, 10, 256)],
    )
    def test_few_rows_are_seen_often_and_a_few_at_a_time(self, num_rows, passes, batch_size) -> None:
        settings = Schedule.of(num_rows, None, None)
        assert settings.batch_size == batch_size
        assert settings.epochs * settings.repeats == pytest.approx(passes, rel=0.05)

    @pytest.mark.parametrize(("most", "passes"), [(5, 5), (100, 100), (500, 125)])
    def test_a_bound_shortens_what_would_be_longer(self, most, passes) -> None:
        settings = Schedule.of(400, None, None, most)
        assert settings.epochs * settings.repeats == pytest.approx(passes, rel=0.05)

    def test_epochs_that_are_given_are_not_bounded(self) -> None:
        assert Schedule.of(400, 30, None, 5).epochs == 30

    def test_very_many_rows_are_seen_once(self) -> None:
        most = network_batches.MOST_SEEN
        assert Schedule.of(most, None, None) == Schedule(1, 1, 256)
        assert Schedule.of(10 * most, None, None).epochs == 1

    @pytest.mark.parametrize("num_rows", [1, 15, 100, 1000, 10_000, 100_000, 10**6, 10**8])
    def test_progress_is_told_often_but_not_all_the_time(self, num_rows) -> None:
        settings = Schedule.of(num_rows, None, None)
        assert settings.epochs <= 2 * network_batches.EPOCHS_TOLD
        assert settings.repeats == 1 or settings.epochs >= network_batches.EPOCHS_TOLD
        assert settings.epochs * settings.repeats * num_rows <= max(num_rows, network_batches.MOST_SEEN)

    def test_what_is_asked_for_is_done(self) -> None:
        assert Schedule.of(10, 7, 3) == Schedule(7, 1, 3)
        assert Schedule.of(10, 7, None) == Schedule(7, 1, 16)
        assert Schedule.of(1000, None, 10).batch_size == 10
        assert Schedule.of(1000, 5, 10) == Schedule(5, 1, 10)


@pytest.mark.parametrize(("share", "held_out"), [(0.25, 2), (0.0, 0), (0.01, 0), (1.0, 0)])
def test_a_share_is_held_out_at_random(share, held_out) -> None:
    found = set()
    for seed in range(5):
        np.random.seed(seed)
        chosen = keras_training.held_out(8, share)
        assert (chosen.shape, chosen.sum()) == ((8,), held_out)
        found.add(chosen.tobytes())
    assert (len(found) > 1) == (held_out > 0)


def test_one_row_and_one_action_are_enough() -> None:
    needs_keras()
    rows = TrainingExamples.of_dense(np.ones((1, 1), np.float32), np.zeros(1, np.int32))
    with keras_training.seeded(0):
        settings = Schedule(2, 1, 16)
        found = network_training.train(rows, ["a"], settings, seed=0, silent=True, title="epoch", validation_split=0.5)
    assert found.network.predict_sparse([0], [1.0]).tolist() == [1.0]
    assert found.calibration == {}


def test_long_epochs_are_told_by_step(monkeypatch, caplog) -> None:
    needs_keras()
    caplog.set_level(logging.INFO, "rasa_core.support.progress")
    monkeypatch.setattr(network_training, "MANY_STEPS", 4)
    monkeypatch.setattr(network_training, "STEPS_BETWEEN_REPORTS", 2)
    rows = TrainingExamples.of_dense(np.ones((5, 1), np.float32), np.zeros(5, np.int32))
    with keras_training.seeded(0):
        network_training.train(rows, ["a"], Schedule(2, 1, 1), seed=0, silent=False, title="training")
    *_, told = [record.getMessage() for record in caplog.records if "training" in record.getMessage()]
    assert told.startswith("training, step 10/10")


@pytest.mark.parametrize("by_step", [False, True], ids=["by epoch", "by step"])
def test_progress_reads_no_figures_of_single_steps(by_step) -> None:
    needs_keras()
    model = keras_network.build(1, 1)
    progress = Progress("learning", 3, silent=True)
    callbacks = network_training._callbacks(model, progress, 1, 3, by_step=by_step)
    callbacks.on_train_batch_begin(0, object())
    for batch in range(3):
        callbacks.on_train_batch_end(batch, object())  # Figures are a mapping, which Keras would wait for.


def four_stories() -> TrainingExamples:
    """Return the turns of four stories, of which each has two that all have, and two that no other has."""
    own = np.repeat(np.arange(4), 2)
    actions = np.concatenate([np.zeros(8, int), own + 1])
    rows = rows_of(np.eye(5)[actions], actions, np.full(16, IN_NO_GROUP))
    rows.folds = np.eye(PERCEPTRONS, dtype=np.float32)[np.concatenate([own, own]) % PERCEPTRONS]
    return rows


def learnt(rows: TrainingExamples, epochs: int) -> Trained:
    needs_keras()
    names = ["shared", "one", "two", "three", "four"]
    with keras_training.seeded(0):
        return network_training.train(rows, names, Schedule(epochs, 1, 16), seed=0, silent=True, title="epoch")


class TestFewStories:
    def test_are_calibrated_by_what_is_known_of_each_without_it(self) -> None:
        found = learnt(four_stories(), 200)
        assert found.calibration["examples"] == 16
        assert found.calibration["accuracy"] == 0.5
        assert found.calibration["temperature"] > 1.0
        x = np.eye(5, dtype=np.float32)
        assert found.network.predict(x).argmax(axis=1).tolist() == [0, 1, 2, 3, 4]

    def test_calibration_changes_nothing_but_the_temperature(self) -> None:
        rows = four_stories()
        calibrated, rows.folds = learnt(rows, 20), None
        alone = learnt(rows, 20).network.at_temperature(calibrated.calibration["temperature"])
        for one, other in zip(calibrated.network.layers, alone.layers, strict=True):
            assert [array.tolist() for array in one] == [array.tolist() for array in other]

    def test_calibration_compiles_nothing(self, monkeypatch) -> None:
        traced = []
        loss = keras_network._cross_entropy
        monkeypatch.setattr(keras_network, "_cross_entropy", lambda *given: traced.append(1) or loss(*given))
        rows = four_stories()
        learnt(rows, 2)
        with_parts, rows.folds = len(traced), None
        learnt(rows, 2)
        assert len(traced) == 2 * with_parts > 0


@pytest.mark.parametrize("steps", [1, 5, 40, 400])
def test_the_rate_rises_in_a_tenth_of_the_steps_and_falls_along_a_cosine(steps) -> None:
    needs_keras()
    model = keras_network.build(FEATURES, len(NAMES))
    keras_network.compile_model(model, 0.1)
    rates = {}
    for number in (7, steps):  # What was begun before makes no difference.
        keras_network.begin(model, number)
        for step in range(number + 2):
            model.optimizer.iterations.assign(step)
            rates[step] = float(model.optimizer.learning_rate)
    warm = max(1, steps // 10)
    rising = [0.1 * (1 + (warm - 1) * step / warm) / warm for step in range(warm)]
    falling = [0.05 * (1 + math.cos(math.pi * part / max(1, steps - warm))) for part in range(steps - warm)]
    assert [rates[step] for step in range(steps)] == pytest.approx([*rising, *falling], abs=1e-6)
    assert rates[steps + 1] == pytest.approx(0.0, abs=1e-6)
