"""The policy that generalises: a small network, trained with Keras, served with NumPy."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rasa_core.exceptions import ModelError
from rasa_core.policies import keras_training, member_training, members
from rasa_core.policies.feature_cache import FeatureCache
from rasa_core.policies.features.classic import PADDING, Floats, MaxHistoryTrackerFeaturizer, TrackerFeaturizer
from rasa_core.policies.features.conversations import ConversationRows
from rasa_core.policies.features.history_features import HistoryFeaturizer, Sparse
from rasa_core.policies.features.parts import Rows
from rasa_core.policies.lesson_book import LessonBook, StoredLessons
from rasa_core.policies.lessons import NO_LESSONS, NO_PLACES, Lessons
from rasa_core.policies.member_training import Settings
from rasa_core.policies.network import Network, read_arrays, write_arrays
from rasa_core.policies.policy import Policy
from rasa_core.policies.row_collector import RowCollector
from rasa_core.policies.training_input import with_progress
from rasa_core.policies.training_rows import TrainingRows

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

logger = logging.getLogger(__name__)

FILE_NAME = "keras_policy.json"
WEIGHTS_NAME = "weights.npz"
FORMAT = 2

ROWS_AT_ONCE = 8192
ROWS_IN_PRODUCT = 512
"""So few that they stay in the cache of the processor while they are written out and multiplied."""
OWN_EPOCHS = 40
OWN_BATCH_SIZE = 64
DEFAULT_SEED = 42
TITLE = "training KerasPolicy"

NOTHING_TO_LEARN = "there is nothing to learn from: the stories hold no action. Add stories with actions."

Shape = tuple[int, ...]


class KerasPolicy(Policy):
    """Learns the next action from features of the conversation.

    By default it learns from a `HistoryFeaturizer`, with the network of `rasa_core.policies.member_training`, whose
    confidence is calibrated on stories that it has not seen. With a classic featurizer, the same network learns
    from its states in a row. A subclass may override `model_architecture`; its model is then served by Keras too.

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
    calibration : dict of str to float
        ``temperature``; and ``examples``, how many were held out to find it, ``accuracy`` and ``calibration_error``
        on these; empty where there were too few stories to hold any out.
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
        self.calibration: dict[str, float] = {}
        self._shapes: tuple[Shape, Shape] | None = None
        self._actions: list[str] | None = None
        self._fits: Domain | None = None
        self._lessons = StoredLessons()

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

    def train(self, training_trackers: Iterable[DialogueStateTracker], domain: Domain, **kwargs: Any) -> None:
        """Train a network from scratch.

        Parameters
        ----------
        training_trackers
            The conversations; looked at once, one after the other, if a `HistoryFeaturizer` makes the features.
        domain
            The bot's domain.
        **kwargs
            ``epochs`` and ``batch_size`` (chosen by the number of examples; 40 and 64 for a `model_architecture` of
            your own), ``validation_split`` (0), ``max_training_samples``, ``seed`` (42), ``verbose`` (0 is silent),
            ``rnn_size``; ``feature_cache``: a file that keeps the features for the next training, which then makes
            only those of conversations that are new. Others are for other policies.
        """
        options = {name: value for name, value in kwargs.items() if value is not None}
        self.rnn_size = options.get("rnn_size", self.rnn_size)
        if self._has_own_architecture():
            self._train_own(training_trackers, domain, options)
        else:
            self._train_members(training_trackers, domain, options, None)
        self._actions, self._fits = list(domain.action_names), None

    def continue_training(
        self, training_trackers: Iterable[DialogueStateTracker], domain: Domain, **kwargs: Any
    ) -> None:
        """Train the network that is there for more epochs (1 if not given)."""
        if self.model is None:
            self.train(training_trackers, domain, **kwargs)
            return
        self._check(domain)
        options = {"epochs": 1, **kwargs}
        if self._has_own_architecture():
            x, y, weights = self._arrays(training_trackers, domain, options, is_new=False)
            self._fit_own(self.model, x, y, weights, options)
            self.current_epoch += options["epochs"]
        else:
            self._train_members(training_trackers, domain, options, self.model)

    def _train_members(
        self,
        trackers: Iterable[DialogueStateTracker],
        domain: Domain,
        options: Mapping[str, Any],
        start: Network | None,
    ) -> None:
        rows, lessons = self._rows(trackers, domain, options, is_new=start is None)
        if not len(rows):
            raise ModelError(NOTHING_TO_LEARN)
        if start is not None:
            self._check_size(rows.num_features)
            if not members.is_of_members(start):
                raise ModelError("the network has other layers than those that are trained now. Train the model again.")
        settings = Settings.of(len(rows), options.get("epochs"), options.get("batch_size"))
        seed = options.get("seed", DEFAULT_SEED)
        with keras_training.seeded(seed):
            trained = member_training.train(
                rows,
                domain.action_names,
                settings,
                seed=seed,
                silent=options.get("verbose", 1) == 0,
                title=TITLE,
                validation_split=options.get("validation_split", 0.0),
                start=start,
            )
        self.model = trained.network
        self.current_epoch = settings.epochs + (0 if start is None else self.current_epoch)
        if start is None:
            self.calibration = trained.calibration
            self._lessons = StoredLessons(lessons)

    def _rows(
        self, trackers: Iterable[DialogueStateTracker], domain: Domain, options: Mapping[str, Any], *, is_new: bool
    ) -> tuple[TrainingRows, LessonBook | None]:
        """Return what to learn from, and where it stands in the stories."""
        limit = options.get("max_training_samples")
        if self._history is None:
            data = self.featurize_for_training(list(trackers), domain, **options)
            return TrainingRows.of_dense(self._flat(data.X), data.y.argmax(axis=-1).astype(np.int32)), None
        cache = None
        if options.get("feature_cache") is not None:
            cache = FeatureCache(options["feature_cache"], self._history, domain)
        collector = RowCollector(self._history, domain, learn_names=is_new, cache=cache)
        silent = options.get("verbose", 1) == 0
        for tracker in with_progress("reading for KerasPolicy, conversation", trackers, silent=silent):
            collector.add(tracker)
        if cache is not None:
            cache.save()
        rows = collector.rows(limit)
        return rows, collector.lessons(rows)

    def _train_own(self, trackers: Iterable[DialogueStateTracker], domain: Domain, options: Mapping[str, Any]) -> None:
        x, y, weights = self._arrays(trackers, domain, options, is_new=True)
        self._shapes = tuple(x.shape[1:]), tuple(y.shape[1:])
        with keras_training.seeded(options.get("seed", DEFAULT_SEED)):
            self.model = self.model_architecture(*self._shapes)
            self._fit_own(self.model, x, y, weights, options)
        self.current_epoch = options.get("epochs", OWN_EPOCHS)

    @staticmethod
    def _fit_own(model: Any, x: Floats, y: Floats, weights: Floats | None, options: Mapping[str, Any]) -> None:
        with keras_training.seeded(options.get("seed", DEFAULT_SEED)):
            keras_training.fit(
                model,
                x,
                y,
                weights=weights,
                epochs=options.get("epochs", OWN_EPOCHS),
                batch_size=options.get("batch_size", OWN_BATCH_SIZE),
                validation_split=options.get("validation_split", 0.0),
                silent=options.get("verbose", 1) == 0,
                title=f"{TITLE}, epoch",
            )

    def _arrays(
        self, trackers: Iterable[DialogueStateTracker], domain: Domain, options: Mapping[str, Any], *, is_new: bool
    ) -> tuple[Floats, Floats, Floats | None]:
        """Return inputs ``(examples, ...)``, one-hot actions ``(examples, ..., actions)``, and weights."""
        weights: Floats | None = None
        if self._history is not None:
            rows, _ = self._rows(trackers, domain, options, is_new=is_new)
            x = np.concatenate([rows.all_dense(block) for block in rows.blocks()] or [np.zeros((0, 0), np.float32)])
            y, weights = np.eye(domain.num_actions, dtype=np.float32)[rows.actions], rows.weights
        else:
            data = self.featurize_for_training(list(trackers), domain, **options)
            x, y = data.X, data.y
        if not len(y) or not y.shape[1]:
            raise ModelError(NOTHING_TO_LEARN)
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
        self._check(domain)
        if isinstance(model, Network):
            if self._history is None:
                x = self._flat(self.featurizer.create_X([tracker], domain))
                self._check_size(x.shape[1])
                y = model.predict(x)[0].tolist()
            else:
                y = model.predict_sparse(*self._history.present(tracker)).tolist()
            return y
        outputs = keras_training.predict(model, self._present_array(tracker, domain))[0]
        y = (outputs[-1] if outputs.ndim == 2 else outputs).tolist()
        return y

    def predict_conversations(self, trackers: Iterable[DialogueStateTracker], domain: Domain) -> list[Floats]:
        """Predict many moments at once: before each action of finished conversations that is to be learnt.

        Only for a network that was trained on a `HistoryFeaturizer`, and is not of your own `model_architecture`.

        Returns
        -------
        list of NDArray
            For each conversation, probabilities ``(actions, domain.num_actions)``, float32.
        """
        history, network = self._history, self.model
        if history is None or not isinstance(network, Network):
            raise ModelError("only a network of history features predicts conversations at once. Train one.")
        self._check(domain)
        rows = ConversationRows(history.max_history, domain.slots, history.index_of)
        probabilities, ends = [np.zeros((0, network.num_actions), np.float32)], [0]
        for tracker in trackers:
            before = len(rows)
            rows.add(tracker)
            ends.append(ends[-1] + len(rows) - before)
            if len(rows) >= ROWS_AT_ONCE:
                probabilities += _predicted(network, rows.take())
        probabilities += _predicted(network, rows.take())
        return np.split(np.concatenate(probabilities), ends[1:-1])[: len(ends) - 1]

    def _check(self, domain: Domain) -> None:
        if self._fits is domain:
            return
        known, model = self._actions, self.model
        count = model.num_actions if isinstance(model, Network) else len(known or domain.action_names)
        if known not in (None, domain.action_names) or count != domain.num_actions:
            raise ModelError(
                f"the network was trained for {count} actions, and this domain has "
                f"{domain.num_actions}, or others. Train the model again."
            )
        if self._history is not None and isinstance(model, Network):
            self._check_size(self._history.num_features)
        self._fits = domain

    def _check_size(self, num_features: int) -> None:
        if num_features != self.model.input_size:
            raise ModelError(
                f"the network was trained on {self.model.input_size} features, and there are {num_features} now. "
                "Train the model again."
            )

    def _present_array(self, tracker: DialogueStateTracker, domain: Domain) -> Floats:
        if self._history is None:
            return self.featurizer.create_X([tracker], domain)
        return _dense([self._history.present(tracker)], self._history.num_features)

    def lessons(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> Lessons | None:
        """Return the training turns that are most like the present one; None with a classic featurizer."""
        if self._history is None or self.model is None:
            return None
        book = self._lessons.read()
        if book is None:
            return Lessons(note=NO_LESSONS)
        return Lessons(
            tuple(book.nearest(*self._history.present(tracker), limit)), None if book.has_places() else NO_PLACES
        )

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
        if isinstance(self.model, Network):
            self.model.save(Path(path, WEIGHTS_NAME))
        elif self.model is not None:
            options["shapes"] = self._shapes or (self.model.input_shape[1:], self.model.output_shape[1:])
            weights = keras_training.weights_of(self.model)
            write_arrays(Path(path, WEIGHTS_NAME), {f"weight_{i}": w for i, w in enumerate(weights)})
        Path(path, FILE_NAME).write_text(json.dumps(options, sort_keys=True), encoding="utf-8")
        self._lessons.save(path)

    @classmethod
    def load(cls, path: str | Path) -> KerasPolicy:
        """Read a policy from the folder `path`; needs no Keras unless `model_architecture` is overridden."""
        file = Path(path, FILE_NAME)
        try:
            options = json.loads(file.read_text(encoding="utf-8"))
            if options["format"] != FORMAT:
                raise ValueError(f"it has format {options['format']!r}, and this version reads {FORMAT}")
            epochs, history = options["epochs"], options.get("history_featurizer")
            featurizer = TrackerFeaturizer.load(path) if history is None else HistoryFeaturizer(**history)
            policy = cls(featurizer, current_epoch=epochs)
            policy.rnn_size, policy._actions = options["rnn_size"], options["actions"]
            policy.calibration = options["calibration"]
            policy._lessons = StoredLessons(folder=path)
            if options["trained"]:
                policy.model = policy._load_model(Path(path, WEIGHTS_NAME), options)
            if isinstance(policy.model, Network) and policy._history is not None:
                policy._check_size(policy._history.num_features)
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


def _predicted(network: Network, rows: Rows) -> Iterator[Floats]:
    """Yield probabilities ``(some of the rows, actions)``."""
    (kernel, bias), *others = network.layers
    for columns, x in rows.dense(len(kernel), ROWS_IN_PRODUCT):
        # What is empty in all of these rows need not be multiplied.
        yield Network([(kernel[columns], bias), *others]).predict(x)


def _dense(rows: Sequence[Sparse], num_features: int) -> Floats:
    x = np.zeros((len(rows), num_features), np.float32)
    lengths = [len(indices) for indices, _ in rows]
    columns = [index for indices, _ in rows for index in indices]
    x[np.repeat(np.arange(len(rows)), lengths), columns] = [value for _, values in rows for value in values]
    return x
