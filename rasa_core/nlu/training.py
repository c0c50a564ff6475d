"""Training of the interpreter: Keras fits the network, and messages that it has not seen set how sure it may be."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.nlu.batches import Batch, MessageBatches, Rows, tagged
from rasa_core.nlu.model import NLUModel, fingerprint_of
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.tokens import SHAPES, TokenVocabulary
from rasa_core.nlu.training_data import NLUExample, NLUSettings, TrainingData
from rasa_core.nlu.training_network import LossRates, NetworkSizes, arrays_of, build, numbers_to_draw
from rasa_core.policies.keras_training import import_keras, seeded
from rasa_core.support.probabilities import best_temperature
from rasa_core.support.progress import Progress

Floats = NDArray[np.float32]

_FEWEST_STEPS = 400
_LAST_EPOCHS = 2  # With all messages, after the confidences are calibrated.
_LAST_RATE = 0.05  # Of the highest learning rate.
_FEW = 500  # Messages; below, words, pairs and n-grams that occur once are learnt too.
_ENOUGH_TO_CALIBRATE = 200
_MOST_HELD_OUT = 500
_TEMPERATURES = (0.3, 3.0)  # What few messages say beyond these is chance.


def train(data: TrainingData, settings: NLUSettings | None = None, *, silent: bool = False) -> NLUModel:
    """Return a model of the intents and entities of the data.

    Parameters
    ----------
    data
        What people may say.
    settings
        The defaults if not given.
    silent
        Whether to tell no progress.

    Raises
    ------
    ModelError
        If no example has an intent and text, or Keras is not installed.
    NLUDataError
        If a regular expression is malformed.
    """
    settings = settings or NLUSettings()
    patterns = Patterns(data.regexes, data.lookups)
    with seeded(settings.seed):
        return NLUTraining(data, patterns, settings).run(silent)


class NLUTraining:
    """One training: the messages, the network, and the optimizer that goes on from where it was."""

    def __init__(self, data: TrainingData, patterns: Patterns, settings: NLUSettings) -> None:
        self._data, self._patterns, self._settings = data, patterns, settings
        self._intents, self._entities = data.intents, data.entities
        found = (tagged(example, self._intents, self._entities, patterns) for example in data.examples)
        pairs = list(zip(data.examples, found, strict=True))
        messages = [message for _, message in pairs if message is not None]
        self._examples: list[NLUExample] = [example for example, message in pairs if message is not None]
        if not any(message.intent >= 0 for message in messages):
            raise ModelError("there is no example of an intent to learn from. Add some below '## intent:name'.")
        self._vocabulary = TokenVocabulary.of([message.keys for message in messages], 1 if len(messages) < _FEW else 2)
        self.batches = MessageBatches(
            messages,
            self._vocabulary,
            len(self._intents),
            settings,
            partial(numbers_to_draw, self._sizes()),
        )
        self.network = build(self._sizes(), LossRates(dropout=settings.dropout))

    def _sizes(self) -> NetworkSizes:
        return NetworkSizes(
            words=len(self._vocabulary.words) + 1,
            pieces=len(self._vocabulary.pieces),
            pairs=len(self._vocabulary.pairs) + 1,
            shapes=len(SHAPES),
            extras=1 + len(self._patterns),
            tags=1 + 2 * len(self._entities),
            intents=len(self._intents) + 1,
        )

    def run(self, silent: bool) -> NLUModel:
        """Train, calibrate, and train a little more with what was held out."""
        held_out = self._held_out()
        steps = len(self.batches.plan(held_out))
        epochs = max(self._settings.epochs, math.ceil(_FEWEST_STEPS / steps))
        last = _LAST_EPOCHS if len(held_out) else 0
        self.network.compile(optimizer=_optimizer(self._settings.learning_rate, steps * epochs))
        with Progress("epoch", epochs + last, silent=silent) as progress:
            self._fit(held_out, 0, epochs, progress)
            if not last:
                return self._model(1.0)
            examples = [self._examples[number] for number in held_out]
            intents = np.array([self._intents.index(str(example.intent)) for example in examples])
            scores = self._model(1.0).intent_scores([example.text for example in examples])
            self._fit(held_out[:0], epochs, last, progress)
            return self._model(best_temperature(scores, labels=intents, bounds=_TEMPERATURES))

    def _held_out(self) -> Rows:
        """Return the numbers of the messages by which confidences are calibrated; none if there are but few."""
        known = np.array([number for number, example in enumerate(self._examples) if example.intent is not None])
        if len(known) < _ENOUGH_TO_CALIBRATE or not self._settings.validation_split:
            return known[:0]
        count = min(round(self._settings.validation_split * len(known)), _MOST_HELD_OUT)
        return np.random.default_rng(self._settings.seed).permutation(known)[:count]

    def _fit(self, left_out: Rows, done: int, epochs: int, progress: Progress) -> None:
        keras = import_keras()

        def tell(epoch: int, logs: dict[str, float] | None = None) -> None:
            progress.step(done + epoch + 1, {"loss": float((logs or {})["loss"])})

        self.network.fit(
            _dataset(keras, self.batches, left_out),
            epochs=epochs,
            verbose=0,
            shuffle=False,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tell)],
        )

    def _model(self, temperature: float) -> NLUModel:
        data = self._data
        description = {
            "fingerprint": fingerprint_of(data.fingerprint(), self._settings.as_json()),
            "settings": self._settings.as_json(),
            "intents": self._intents,
            "entities": self._entities,
            "synonyms": dict(data.synonyms),
            "temperature": temperature,
            **self._vocabulary.as_json(),
            **self._patterns.as_json(),
        }
        return NLUModel(description, arrays_of(self.network))


def _optimizer(learning_rate: float, steps: int) -> Any:
    """Return Adam, whose learning rate rises for a tenth of the steps, and falls to `_LAST_RATE` of its highest."""
    optimizers = import_keras().optimizers
    warm = min(200, steps // 10)
    rate = optimizers.schedules.CosineDecay(
        learning_rate / 10, steps - warm, alpha=_LAST_RATE, warmup_target=learning_rate, warmup_steps=warm
    )
    return optimizers.Adam(rate, beta_2=0.99)


def _dataset(keras: Any, batches: MessageBatches, left_out: Rows) -> Any:
    """Return the batches of one epoch after another as Keras takes them."""

    class Dataset(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.plan = batches.plan(left_out)
            self._count = len(self.plan)

        def __len__(self) -> int:
            return len(self.plan)

        def __getitem__(self, number: int) -> tuple[Batch, Floats]:
            inputs = batches.batch(*self.plan[number])
            return inputs, np.zeros(len(inputs["intent"]), np.float32)  # Keras asks for a target; ours are inputs.

        def on_epoch_end(self) -> None:
            plan = batches.plan(left_out)
            self.plan = [*plan, *plan][: self._count]  # Keras counts once, but varied ones differ.

    return Dataset()
