"""The policy that generalises: a small network, trained with Keras, served with NumPy."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rasa_core.exceptions import ModelError
from rasa_core.featurizers import PADDING, Floats, MaxHistoryTrackerFeaturizer, TrackerFeaturizer
from rasa_core.history_featurizer import HistoryFeaturizer
from rasa_core.policies import keras_training
from rasa_core.policies.network import Network, read_arrays, write_arrays
from rasa_core.policies.policy import Policy

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

FILE_NAME = "keras_policy.json"
WEIGHTS_NAME = "weights.npz"
FORMAT = 1

DEFAULT_EPOCHS = 40
DEFAULT_BATCH_SIZE = 64
DEFAULT_SEED = 42

Shape = tuple[int, ...]


class KerasPolicy(Policy):
    """Learns the next action from features of the conversation.

    By default it learns from a `HistoryFeaturizer`. With a classic featurizer, the same network learns from
    its states in a row. A subclass may override `model_architecture`; its model is then served by Keras too.

    Parameters
    ----------
    featurizer
        `HistoryFeaturizer`, or a classic `TrackerFeaturizer`.
    model
        A trained `Network` to go on from, or a Keras model where `model_architecture` is overridden.
    graph
        Accepted and ignored.
    current_epoch
        How many epochs `model` has been trained for.

    Attributes
    ----------
    rnn_size : int
        For a `model_architecture` of your own; set by ``train(rnn_size=...)``.
    """

    SUPPORTS_ONLINE_TRAINING: ClassVar[bool] = True
    HIGHEST_SCORE: ClassVar[float] = 1.0

    def __init__(
        self,
        featurizer: TrackerFeaturizer | HistoryFeaturizer | None = None,
        model: Any = None,
        graph: object = None,
        current_epoch: int = 0,
    ) -> None:
        if featurizer is None:
            own = self._has_own_architecture()
            featurizer = MaxHistoryTrackerFeaturizer() if own else HistoryFeaturizer()
        if model is not None and not isinstance(model, Network) and not self._has_own_architecture():
            raise ValueError(
                f"model is a rasa_core.policies.network.Network, not {type(model).__name__}: for a Keras "
                "model of your own, override model_architecture in a subclass."
            )
        super().__init__(featurizer if isinstance(featurizer, TrackerFeaturizer) else None)
        self._history = featurizer if isinstance(featurizer, HistoryFeaturizer) else None
        self.model = model
        self.current_epoch = current_epoch
        self.rnn_size = 32
        self._shapes: tuple[Shape, Shape] | None = None
        self._prepared_for: Domain | None = None

    @classmethod
    def _has_own_architecture(cls) -> bool:
        return cls.model_architecture is not KerasPolicy.model_architecture

    @property
    def max_history(self) -> int | None:  # noqa: D102
        return self._history.max_history if self._history is not None else self.featurizer.max_history

    def model_architecture(self, input_shape: Shape, output_shape: Shape) -> Any:
        """Return a Keras model; override it for a network of your own.

        Parameters
        ----------
        input_shape
            ``(time, features)`` with a classic featurizer, ``(features,)`` with a `HistoryFeaturizer`, and
            with the network that this method returns by default.
        output_shape
            ``(actions,)``, or ``(time, actions)`` with a `FullDialogueTrackerFeaturizer`.
        """
        return keras_training.perceptron(math.prod(input_shape), output_shape[-1])

    # -- training

    def train(self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Train a network from scratch.

        Parameters
        ----------
        training_trackers
            The conversations.
        domain
            The bot's domain.
        **kwargs
            ``epochs`` (40), ``batch_size`` (64), ``validation_split`` (0), ``max_training_samples``, ``seed``
            (42), ``verbose`` (0 is silent), ``rnn_size``. Others are for other policies.
        """
        if kwargs.get("rnn_size") is not None:
            self.rnn_size = kwargs["rnn_size"]
        x, y, weights = self._training_arrays(training_trackers, domain, kwargs)
        epochs = kwargs.get("epochs", DEFAULT_EPOCHS)
        self._shapes = tuple(x.shape[1:]), tuple(y.shape[1:])
        with keras_training.seeded(kwargs.get("seed", DEFAULT_SEED)):
            model = self.model_architecture(*self._shapes)
            self._fit(model, x, y, weights, epochs, kwargs)
        self.model = model if self._has_own_architecture() else keras_training.as_network(model)
        self.current_epoch = epochs

    def continue_training(
        self, training_trackers: Sequence[DialogueStateTracker], domain: Domain, **kwargs: Any
    ) -> None:
        """Train the network that is there for more epochs (1 if not given)."""
        if self.model is None:
            self.train(training_trackers, domain, **kwargs)
            return
        x, y, weights = self._training_arrays(training_trackers, domain, kwargs)
        epochs = kwargs.get("epochs", 1)
        with keras_training.seeded(kwargs.get("seed", DEFAULT_SEED)):
            model = self.model
            if isinstance(model, Network):
                model = self.model_architecture(tuple(x.shape[1:]), tuple(y.shape[1:]))
                model.set_weights([array for layer in self.model.layers for array in layer])
            self._fit(model, x, y, weights, epochs, kwargs)
        self.model = model if self._has_own_architecture() else keras_training.as_network(model)
        self.current_epoch += epochs

    @staticmethod
    def _fit(model: Any, x: Floats, y: Floats, weights: Floats | None, epochs: int, options: Mapping[str, Any]) -> None:
        keras_training.fit(
            model,
            x,
            y,
            weights=weights,
            epochs=epochs,
            batch_size=options.get("batch_size", DEFAULT_BATCH_SIZE),
            validation_split=options.get("validation_split", 0.0),
            silent=options.get("verbose", 1) == 0,
            title="training KerasPolicy, epoch",
        )

    def _training_arrays(
        self, trackers: Sequence[DialogueStateTracker], domain: Domain, options: Mapping[str, Any]
    ) -> tuple[Floats, Floats, Floats | None]:
        """Return inputs ``(examples, ...)``, one-hot actions ``(examples, ..., actions)``, and weights."""
        weights: Floats | None = None
        if self._history is not None:
            limit = options.get("max_training_samples")
            x, actions, weights = self._history.training_arrays(trackers, domain)
            x, weights = x[:limit], weights[:limit]
            y = np.eye(domain.num_actions, dtype=np.float32)[actions[:limit]]
        else:
            data = self.featurize_for_training(trackers, domain, **options)
            x, y = data.X, data.y
            if not self._has_own_architecture():
                x = self._flat(x)
        if not len(y) or not y.shape[1]:
            raise ModelError("there is nothing to learn from: the stories hold no action. Add stories with actions.")
        return x, y, weights

    def _flat(self, x: Floats) -> Floats:
        """Return states in a row, ``(examples, time * features)``, padding as zeros."""
        if self.max_history is None:
            raise ModelError(
                "the default network learns from a MaxHistoryTrackerFeaturizer or a HistoryFeaturizer; "
                "with a FullDialogueTrackerFeaturizer, override model_architecture."
            )
        is_padding = (x == PADDING).all(axis=2, keepdims=True)
        return np.where(is_padding, np.float32(0.0), x).reshape(len(x), x.shape[1] * x.shape[2])

    # -- serving

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return probabilities ``(domain.num_actions,)``; zeros before training."""
        model = self.model
        if model is None:
            return [0.0] * domain.num_actions
        y: list[float]
        if isinstance(model, Network):
            if self._history is None:
                y = model.predict(self._flat(self.featurizer.create_X([tracker], domain)))[0].tolist()
            else:
                self._prepare(self._history, domain, model)
                y = model.predict_sparse(*self._history.present(tracker)).tolist()
            return y
        outputs = keras_training.predict(model, self._present_array(tracker, domain))[0]
        y = (outputs[-1] if outputs.ndim == 2 else outputs).tolist()
        return y

    def _prepare(self, history: HistoryFeaturizer, domain: Domain, network: Network | None) -> None:
        if self._prepared_for is domain:
            return
        history.prepare_from_domain(domain)
        if network is not None and network.input_size != history.num_features:
            raise ModelError(
                f"the network was trained on {network.input_size} features, and this domain has "
                f"{history.num_features}. Train the model again."
            )
        self._prepared_for = domain

    def _present_array(self, tracker: DialogueStateTracker, domain: Domain) -> Floats:
        if self._history is None:
            return self.featurizer.create_X([tracker], domain)
        self._prepare(self._history, domain, None)
        x = np.zeros((1, self._history.num_features), np.float32)
        indices, values = self._history.present(tracker)
        x[0, indices] = values
        return x

    # -- writing and reading

    def persist(self, path: str | Path) -> None:
        """Write options and weights into the folder `path`."""
        options: dict[str, Any] = {
            "format": FORMAT,
            "epochs": self.current_epoch,
            "rnn_size": self.rnn_size,
            "trained": self.model is not None,
        }
        if self._history is not None:
            options["history_featurizer"] = self._history.as_dict()
        else:
            self.featurizer.persist(path)
        if isinstance(self.model, Network):
            self.model.save(Path(path, WEIGHTS_NAME))
        elif self.model is not None:
            options["shapes"] = self._shapes or (self.model.input_shape[1:], self.model.output_shape[1:])
            weights = keras_training.weights_of(self.model)
            write_arrays(Path(path, WEIGHTS_NAME), {f"weight_{i}": w for i, w in enumerate(weights)})
        Path(path, FILE_NAME).write_text(json.dumps(options, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> KerasPolicy:
        """Read a policy from the folder `path`; needs no Keras unless `model_architecture` is overridden."""
        file = Path(path, FILE_NAME)
        try:
            options = json.loads(file.read_text(encoding="utf-8"))
            epochs, history = options["epochs"], options.get("history_featurizer")
            featurizer = TrackerFeaturizer.load(path) if history is None else HistoryFeaturizer(**history)
            policy = cls(featurizer, current_epoch=epochs)
            policy.rnn_size = options["rnn_size"]
            if options["trained"]:
                policy.model = policy._load_model(Path(path, WEIGHTS_NAME), options)
        except ModelError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"cannot read the policy {str(file)!r}: {error!r}. Train the model again.") from error
        return policy

    def _load_model(self, file: Path, options: dict[str, Any]) -> Any:
        if "shapes" not in options:
            return Network.load(file)
        input_shape, output_shape = options["shapes"]
        self._shapes = tuple(input_shape), tuple(output_shape)
        keras_training.import_keras()
        model = self.model_architecture(*self._shapes)
        arrays = read_arrays(file)
        model.set_weights([arrays[f"weight_{index}"] for index in range(len(arrays))])
        return model
