"""The policy that generalises from stories: a small network, trained with Keras, served with NumPy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError
from rasa_core.policies import keras_network, keras_training, network_training
from rasa_core.policies.example_rows import TrainingExamples
from rasa_core.policies.feature_cache import ExampleMaker, FeatureCache
from rasa_core.policies.features.classic import MaxHistoryTrackerFeaturizer, TrackerFeaturizer
from rasa_core.policies.features.conversations import ConversationFeaturizer
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.network import PolicyNetwork
from rasa_core.policies.network_batches import Schedule
from rasa_core.policies.policy import Policy, Trackers, with_progress
from rasa_core.policies.training_examples import ExampleCollector, latest_row, rows_and_actions
from rasa_core.policies.training_turns import NO_PLACES, NO_TURNS, StoredTurns, TrainingTurns, TurnTable
from rasa_core.support.arrays import Floats
from rasa_core.support.stored_models import read_arrays, reading, write_arrays
from rasa_core.trackers import DialogueStateTracker

FILE_NAME = "keras_policy.json"
WEIGHTS_NAME = "weights.npz"
FORMAT = 2

ROWS_AT_ONCE = 8192
OWN_EPOCHS = 40
OWN_BATCH_SIZE = 64
DEFAULT_SEED = 42
TITLE = "training KerasPolicy"

NOTHING_TO_LEARN = "there is nothing to learn from: the stories hold no action. Add stories with actions."

Shape = tuple[int, ...]
Options = Mapping[str, Any]


class KerasPolicy(Policy):
    """Learns the next action from features of the conversation.

    By default it learns from a `HistoryFeaturizer`, with the network of `rasa_core.policies.network_training`, whose
    confidence is calibrated on held-out stories. With a classic featurizer, the same network learns from the
    concatenated states, or, with a `FullDialogueTrackerFeaturizer`, from the last states and the maximum of all states.
    A subclass may override `model_architecture`; its Keras model, like a Keras model that is given, is served by Keras,
    too.

    Parameters
    ----------
    featurizer
        `HistoryFeaturizer`, or a classic `TrackerFeaturizer`.
    model
        A trained `PolicyNetwork` to go on from, or a Keras model, which is trained as it is.
    graph, current_epoch
        Accepted and ignored; how many epochs `model` has been trained for.
    max_history, **training
        As in Rasa Core 0.12: the number of states to look back at, and options of `train` for all trainings.

    Attributes
    ----------
    rnn_size : int
        For a custom `model_architecture`; set by ``train(rnn_size=...)``.
    calibration : dict of str to float
        ``temperature``; the number of held-out ``examples`` with which it was found, and the ``accuracy`` and
        ``calibration_error`` on them. Empty if there were too few stories to hold any out.
    """

    SUPPORTS_ONLINE_TRAINING: ClassVar[bool] = True
    NEEDS_STORIES: ClassVar[bool] = True
    HIGHEST_SCORE: ClassVar[float] = 1.0
    defaults: ClassVar[dict[str, Any]] = {"rnn_size": 32}
    """Default values for options of `train`; a subclass may have others."""

    def __init__(
        self,
        featurizer: TrackerFeaturizer | HistoryFeaturizer | None = None,
        model: Any = None,
        graph: object = None,
        current_epoch: int = 0,
        *,
        priority: int | None = None,
        max_history: int | None = None,
        **training: Any,
    ) -> None:
        self.model, self._given = model, keras_training.options_in(training)
        if featurizer is None:
            usual = MaxHistoryTrackerFeaturizer if self._is_served_by_keras() else HistoryFeaturizer
            made = getattr(self, "_standard_featurizer", usual)
            featurizer = made() if max_history is None else made(max_history=max_history)
        if model is not None and not isinstance(model, PolicyNetwork) and not hasattr(model, "predict_on_batch"):
            raise ValueError(f"model is a PolicyNetwork or a Keras model, not {type(model).__name__}.")
        super().__init__(None if isinstance(featurizer, HistoryFeaturizer) else featurizer, priority=priority)
        self._history = featurizer if isinstance(featurizer, HistoryFeaturizer) else None
        self.current_epoch, self.rnn_size = current_epoch, int(self.defaults.get("rnn_size", 32))
        self.calibration: dict[str, float] = {}
        self._shapes: tuple[Shape, Shape] | None = None
        self._actions: list[str] | None = None
        # The domain object for which `_check` was done, so that it is not repeated at each prediction.
        self._fits: Domain | None = None
        self._training_turns = StoredTurns()

    @classmethod
    def _has_own_architecture(cls) -> bool:
        return cls.model_architecture is not KerasPolicy.model_architecture

    def _is_served_by_keras(self) -> bool:
        is_given = self.model is not None and not isinstance(self.model, PolicyNetwork)
        return is_given or self._has_own_architecture()

    @property
    def max_history(self) -> int | None:  # noqa: D102
        return self._history.max_history if self._history is not None else self.featurizer.max_history

    def model_architecture(self, input_shape: Shape, output_shape: Shape) -> Any:
        """Return a Keras model; override this method for a custom network.

        Parameters
        ----------
        input_shape
            ``(time, features)`` with a classic featurizer, ``(features,)`` with a `HistoryFeaturizer`.
        output_shape
            ``(actions,)``, or ``(time, actions)`` with a `FullDialogueTrackerFeaturizer`.
        """
        return keras_training.perceptron(tuple(input_shape), tuple(output_shape))

    # -- training

    def train(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Train a network from scratch.

        Parameters
        ----------
        training_trackers
            The conversations; with a `HistoryFeaturizer`, they are iterated over once, one at a time.
        **kwargs
            ``epochs`` and ``batch_size`` (by default chosen by the number of examples; 40 and 64 for a custom
            `model_architecture`), ``most_epochs`` (a limit on the chosen epochs), ``validation_split`` (0),
            ``max_training_samples``, ``seed`` (42), ``verbose`` (0 is silent), ``rnn_size``; ``feature_cache``: a
            file with the features for the next training (`FeatureCache`). Other options are ignored.
        """
        options = self._options(kwargs)
        self.rnn_size = options["rnn_size"]
        self._learn(training_trackers, domain, options, start=None)
        self._actions, self._fits = list(domain.action_names), None

    def continue_training(self, training_trackers: Trackers, domain: Domain, **kwargs: Any) -> None:
        """Train the present network for more epochs (by default 1)."""
        if self.model is None:
            self.train(training_trackers, domain, **kwargs)
        else:
            self._check(domain)
            options = {**self._options(kwargs), "epochs": kwargs.get("epochs") or 1}
            self._learn(training_trackers, domain, options, start=self.model)

    def _options(self, given: Options) -> dict[str, Any]:
        """Return the options, with defaults for those that are missing or None; ``rnn_size`` is the present one."""
        known = {name: value for name, value in given.items() if value is not None}
        return {**self.defaults, "rnn_size": self.rnn_size, **self._given, **known}

    def _learn(self, trackers: Trackers, domain: Domain, options: Options, start: Any) -> None:
        """Train the network `start`, or a new network if it is None."""
        keras_training.import_keras()  # Raises an error before the features are made if Keras is not installed.
        learn = self._learn_own if self._is_served_by_keras() else self._learn_perceptrons
        epochs = learn(trackers, domain, options, start)
        self.current_epoch = epochs + (0 if start is None else self.current_epoch)

    def _learn_perceptrons(self, trackers: Trackers, domain: Domain, options: Options, start: Any) -> int:
        """Train the default network, and return the number of epochs."""
        examples, turns = self._examples(trackers, domain, options, is_new=start is None)
        if not len(examples):
            raise ModelError(NOTHING_TO_LEARN)
        if start is not None:
            self._check_size(examples.num_features)
            if not keras_network.is_trainable(start):
                raise ModelError("the network has other layers than those that are trained now. Train the model again.")
        schedule = Schedule.of(len(examples), *map(options.get, ("epochs", "batch_size", "most_epochs")))
        split, seed = options.get("validation_split", 0.0), options.get("seed", DEFAULT_SEED)
        told: dict[str, Any] = {"silent": _is_silent(options), "title": TITLE}
        with keras_training.seeded(seed):
            trained = network_training.train(
                examples, domain.action_names, schedule, seed=seed, validation_split=split, start=start, **told
            )
        self.model = trained.network
        if start is None:
            self.calibration = trained.calibration
            self._training_turns = StoredTurns(turns)
        return schedule.epochs

    def _learn_own(self, trackers: Trackers, domain: Domain, options: Options, start: Any) -> int:
        """Train a network of a custom architecture, and return the number of epochs."""
        x, y, weights = self._arrays(trackers, domain, options, is_new=start is None)
        epochs: int = options.get("epochs", OWN_EPOCHS)
        seed = options.get("seed", DEFAULT_SEED)
        if start is None:
            self._shapes = tuple(x.shape[1:]), tuple(y.shape[1:])
            if self._has_own_architecture():
                with keras_training.seeded(seed):
                    self.model = self.model_architecture(*self._shapes)
        size, split = options.get("batch_size", OWN_BATCH_SIZE), options.get("validation_split", 0.0)
        told: dict[str, Any] = {"silent": _is_silent(options), "title": f"{TITLE}, epoch"}
        with keras_training.seeded(seed):
            keras_training.fit(
                self.model, x, y, weights=weights, epochs=epochs, batch_size=size, validation_split=split, **told
            )
        return epochs

    def _examples(
        self, trackers: Trackers, domain: Domain, options: Options, *, is_new: bool
    ) -> tuple[TrainingExamples, TurnTable | None]:
        """Return the training examples, and the table of their places in the stories."""
        if self._history is None:
            data = self.featurize_for_training(list(trackers), domain, **options)
            return TrainingExamples.of_dense(*rows_and_actions(data)), None
        file = options.get("feature_cache")
        cache = None if file is None else FeatureCache(file, self._history, domain)
        maker = cache or ExampleMaker(self._history, domain)
        collector = ExampleCollector(self._history, domain, maker.examples, maker.names, learn_names=is_new)
        for tracker in with_progress("reading for KerasPolicy, conversation", trackers, silent=_is_silent(options)):
            collector.add(tracker)
        if cache is not None:
            cache.save()
        examples = collector.examples(options.get("max_training_samples"))
        return examples, collector.training_turns(examples)

    def _arrays(
        self, trackers: Trackers, domain: Domain, options: Options, *, is_new: bool
    ) -> tuple[Floats, Floats, Floats | None]:
        """Return inputs ``(examples, ...)``, one-hot actions ``(examples, ..., actions)``, and weights."""
        weights: Floats | None = None
        if self._history is not None:
            rows, _ = self._examples(trackers, domain, options, is_new=is_new)
            x = np.concatenate([rows.dense(block) for block in rows.blocks()] or [np.zeros((0, 0), np.float32)])
            y, weights = np.eye(domain.num_actions, dtype=np.float32)[rows.actions], rows.weights
        else:
            data = self.featurize_for_training(list(trackers), domain, **options)
            x, y = data.X, data.y
        if not len(y) or not y.shape[1]:
            raise ModelError(NOTHING_TO_LEARN)
        return x, y, weights

    # -- serving

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return probabilities ``(domain.num_actions,)``; zeros before training."""
        model, history = self.model, self._history
        if model is None:
            return [0.0] * domain.num_actions
        self._check(domain)
        if isinstance(model, PolicyNetwork) and history is not None:
            y = model.predict_sparse(*history.present(tracker))
        elif isinstance(model, PolicyNetwork):
            x = latest_row(self.featurizer.create_X([tracker], domain), self.max_history)
            self._check_size(x.shape[1])
            y = model.predict(x)[0]
        elif history is not None:
            indices, values = history.present(tracker)
            x = np.zeros((1, history.num_features), np.float32)
            x[0, indices] = values
            y = keras_training.predict(model, x)[0]
        else:
            y = keras_training.predict(model, self.featurizer.create_X([tracker], domain))[0]
        found: list[float] = (y[-1] if y.ndim == 2 else y).tolist()
        return found

    def predict_conversations(self, trackers: Trackers, domain: Domain) -> list[Floats]:
        """Predict in a batch before each action of finished conversations that training would learn.

        Only for a network that was trained on a `HistoryFeaturizer`, without a custom `model_architecture`.

        Returns
        -------
        list of NDArray
            For each conversation, probabilities ``(actions, domain.num_actions)``, float32.
        """
        history, network = self._history, self.model
        if history is None or not isinstance(network, PolicyNetwork):
            raise ModelError("only a network of history features predicts conversations at once. Train one.")
        self._check(domain)
        featurizer = ConversationFeaturizer(history.max_history, domain.slots, history.index_of)
        probabilities, ends = [np.zeros((0, network.num_actions), np.float32)], [0]
        for tracker in trackers:
            before = len(featurizer)
            featurizer.add(tracker)
            ends.append(ends[-1] + len(featurizer) - before)
            if len(featurizer) >= ROWS_AT_ONCE:
                probabilities += network.predict_matrix(*featurizer.take()[:3])
        probabilities += network.predict_matrix(*featurizer.take()[:3])
        return np.split(np.concatenate(probabilities), ends[1:-1])[: len(ends) - 1]

    def _check(self, domain: Domain) -> None:
        if self._fits is domain:
            return
        known, model = self._actions, self.model
        count = model.num_actions if isinstance(model, PolicyNetwork) else len(known or domain.action_names)
        if known not in (None, domain.action_names) or count != domain.num_actions:
            raise ModelError(
                f"the network was trained for {count} actions, and this domain has "
                f"{domain.num_actions}, or others. Train the model again."
            )
        if self._history is not None and isinstance(model, PolicyNetwork):
            self._check_size(self._history.num_features)
        self._fits = domain

    def _check_size(self, num_features: int) -> None:
        if num_features != self.model.input_size:
            raise ModelError(
                f"the network was trained on {self.model.input_size} features, and there are {num_features} now. "
                "Train the model again."
            )

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns | None:
        """Return the training turns with the most similar features; None with a classic featurizer."""
        if self._history is None or self.model is None:
            return None
        table = self._training_turns.read()
        if table is None:
            return TrainingTurns(note=NO_TURNS)
        turns = tuple(table.nearest(*self._history.present(tracker), limit))
        return TrainingTurns(turns, None if table.has_places() else NO_PLACES)

    # -- writing and reading

    def persist(self, path: str | Path) -> None:
        """Write options and weights into the folder `path`."""
        options: dict[str, Any] = {
            "format": FORMAT,
            "epochs": self.current_epoch,
            "rnn_size": self.rnn_size,
            "trained": self.model is not None,
            "actions": self._actions,
            "calibration": self.calibration,
        }
        if self._history is not None:
            options["history_featurizer"] = self._history.as_dict()
        else:
            self.featurizer.persist(path)
        if isinstance(self.model, PolicyNetwork):
            self.model.save(Path(path, WEIGHTS_NAME))
        elif self.model is not None:
            options["shapes"] = self._shapes or (self.model.input_shape[1:], self.model.output_shape[1:])
            if not self._has_own_architecture():
                options["architecture"] = keras_training.architecture_of(self.model)
            # Only the weights are written, never a whole Keras model, which may contain code.
            weights = keras_training.weights_of(self.model)
            write_arrays(Path(path, WEIGHTS_NAME), {f"weight_{i}": w for i, w in enumerate(weights)})
        Path(path, FILE_NAME).write_text(json.dumps(options, sort_keys=True), encoding="utf-8")
        self._training_turns.save(path)

    @classmethod
    def load(cls, path: str | Path) -> KerasPolicy:
        """Read a policy from the folder `path`; needs no Keras unless `model_architecture` is overridden."""
        file = Path(path, FILE_NAME)
        with reading("the policy", file):
            options = json.loads(file.read_text(encoding="utf-8"))
            if options["format"] != FORMAT:
                raise ValueError(f"it has format {options['format']!r}, and this version reads {FORMAT}")
            history = options.get("history_featurizer")
            featurizer = TrackerFeaturizer.load(path) if history is None else HistoryFeaturizer(**history)
            policy = cls(featurizer, current_epoch=options["epochs"])
            policy.rnn_size, policy._actions = options["rnn_size"], options["actions"]
            policy.calibration = options["calibration"]
            policy._training_turns = StoredTurns(folder=path)
            if options["trained"]:
                policy._load_model(Path(path, WEIGHTS_NAME), options.get("shapes"), options.get("architecture"))
        return policy

    def _load_model(self, file: Path, shapes: Sequence[Sequence[int]] | None, architecture: str | None) -> None:
        if shapes is None:
            self.model = PolicyNetwork.load(file)
            if self._history is not None:
                self._check_size(self._history.num_features)
        elif architecture is None and not self._has_own_architecture():
            raise ModelError(
                f"the network {str(file)!r} is of an architecture that {type(self).__name__} does not have."
            )
        else:
            self._shapes = tuple(shapes[0]), tuple(shapes[1])
            keras_training.import_keras()
            if architecture is None:
                self.model = self.model_architecture(*self._shapes)
            else:
                self.model = keras_training.model_of(architecture)
            arrays = read_arrays(file)
            self.model.set_weights([arrays[f"weight_{index}"] for index in range(len(arrays))])


def _is_silent(options: Options) -> bool:
    return bool(options.get("verbose", 1) == 0)
