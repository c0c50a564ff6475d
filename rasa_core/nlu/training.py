"""Training of the interpreter: a network, a linear classifier and a linear tagger, and their calibration.

Keras fits the network, and SciPy the linear models. Their confidences are calibrated on held-out messages. For small
data, the network is trained on all messages first, and then again without one third of them, and so on with the other
thirds, until enough messages have been held out. For large data, some messages are held out in a single training, and
take part in its last epochs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError
from rasa_core.nlu.batches import FEW, Batch, MessageBatches, Rows
from rasa_core.nlu.calibration import UNMEASURED, Calibration, Tagged, best_tag_share, calibrated, parts_of
from rasa_core.nlu.linear import LinearClassifier, Taught
from rasa_core.nlu.linear_tags import LinearTagger, entity_lifts
from rasa_core.nlu.model import NLUModel, fingerprint_of
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.pipeline import stored_steps
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.spelling import plain
from rasa_core.nlu.tokens import SHAPES, TokenVocabulary, word_of
from rasa_core.nlu.training_data import NLUExample, TrainingData
from rasa_core.nlu.training_network import (
    LossRates,
    NetworkSizes,
    adam,
    arrays_of,
    begin_again,
    begin_with,
    build,
    numbers_to_draw,
)
from rasa_core.nlu.values import known_synonyms, known_values
from rasa_core.nlu.variation import TaggedMessage, final_signs, named, tagged
from rasa_core.policies.keras_training import import_keras, seeded, weights_of
from rasa_core.support.arrays import Floats
from rasa_core.support.progress import Progress

_FEWEST_STEPS = 400
_STEPS = 7  # The fewest steps for each intent of small data, if these are no more than `_LONGER` times the epochs.
_LONGER = 2
_PART_SHARE = 0.4  # The share of the epochs that a training without a third takes; more for many intents.
_PART_STEPS = 4  # The fewest steps of such a training, for each intent; after fewer, it resembles no finished network.
_FEW_STEPS = 10  # For each intent; with fewer steps, the network begins with the weights of the linear classifier.
_LAST_EPOCHS = 2  # Epochs with all messages of large data, after the calibration.
_PARTS = 3
_ENOUGH_HELD_OUT = 150
_ENOUGH_TO_CALIBRATE = 20
_MOST_HELD_OUT = 500
_MARGIN = 0.02  # Training messages that lead the ranking by less are kept word for word, with their intents.
_INTENTS = ("intents_kernel", "intents_bias", "word_intents", "piece_intents", "letter_intents", "wide_bias")
_MADE_UP = 0.6  # The weight of a generated variant of a message in the linear classifier.
_NAMED = 0.5  # The weight of the name of an intent, which is a message of this intent there.


def train(data: TrainingData, settings: NLUSettings | None = None, *, silent: bool = False) -> NLUModel:
    """Return a trained model of the intents and entities of the data.

    Parameters
    ----------
    data
        The examples, synonyms, lookup tables and regular expressions.
    settings
        The settings of the training; None for the defaults.
    silent
        Whether no progress is shown.

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
        model = NLUTraining(data, patterns, settings).run(silent)
    return model.with_pipeline(stored_steps(None, data)) if any(lookup.extract for lookup in data.lookups) else model


class NLUTraining:
    """One training: the messages, the network and the classifier beside it."""

    def __init__(self, data: TrainingData, patterns: Patterns, settings: NLUSettings) -> None:
        self._data, self._patterns, self._settings = data, patterns, settings
        self._intents, self._labels = data.intents, data.labels
        found = (tagged(example, self._intents, self._labels, patterns) for example in data.examples)
        pairs = list(zip(data.examples, found, strict=True))
        self._messages: list[TaggedMessage] = [message for _, message in pairs if message is not None]
        self._examples: list[NLUExample] = [example for example, message in pairs if message is not None]
        if not any(message.intent >= 0 or any(message.tags) for message in self._messages):
            raise ModelError("there is no example of an intent or an entity to learn. Add some below '## intent:name'.")
        self._is_small = len(self._messages) < FEW
        self._vocabulary = self._vocabulary_of(self._messages)
        self.batches = MessageBatches(self._messages, self._vocabulary, len(self._intents), settings)
        self.sizes = NetworkSizes(
            words=len(self._vocabulary.words) + 1,
            pieces=len(self._vocabulary.pieces),
            grams=self.batches.grams,
            shapes=len(SHAPES),
            extras=1 + len(patterns),
            tags=1 + 2 * len(self._labels),
            intents=len(self._intents) + 1,
        )
        self.network = build(self.sizes, LossRates(dropout=settings.dropout))
        self.classifier = LinearClassifier(self._vocabulary, len(self._intents) + 1)
        self._taught, self._sources = self._lessons()

    def _vocabulary_of(self, messages: Sequence[TaggedMessage]) -> TokenVocabulary:
        return TokenVocabulary.of([message.keys for message in messages], 1 if self._is_small else 2)

    def _lessons(self) -> tuple[Taught, NDArray[np.int_]]:
        """Return the messages for the classifier, and the number of the original of each variant (-1 for noise)."""
        count = len(self._messages)
        bare = [replace(one, keys=tuple(map(plain, one.keys))) for one in self._messages]
        others = [number for number, one in enumerate(bare) if any(not key.isascii() for key in self._keys(number))]
        made = [*self.batches.made, *self.batches.variants[:: len(self.batches.variants) // count]]
        names = named(self._intents, 0)
        messages = [*self._messages, *made, *(bare[number] for number in others), *names]
        sources = np.array([*range(count), *[-1] * len(self.batches.made), *range(count), *others, *[-1] * len(names)])
        weights = np.where(np.arange(len(messages)) < count + len(self.batches.made), 1.0, _MADE_UP)
        weights[len(messages) - len(names) :] = _NAMED
        intents = np.array([message.intent for message in messages])
        counts = self.classifier.counts([message.keys for message in messages])
        return Taught(counts, intents, weights), sources

    def _keys(self, number: int) -> tuple[str, ...]:
        return self._messages[number].keys

    def run(self, silent: bool) -> NLUModel:
        """Train with all messages, calibrate, and return the model."""
        parts = self._held_out()
        runs = list(self._runs(parts))
        steps = [epochs * len(self.batches.plan(left_out, again)) for left_out, again, epochs in runs]
        is_hurried = steps[0] < _FEW_STEPS * len(self._intents)
        self.network.compile(optimizer=adam(self._settings.learning_rate, steps))
        seen: list[_Seen] = []
        done = 0
        with Progress("epoch", sum(epochs for _, _, epochs in runs), silent=silent) as progress:
            for number, (left_out, again, epochs) in enumerate(runs):
                if not len(again):
                    self._begin(left_out, again=number > 0, is_hurried=is_hurried)
                self._fit(left_out, again, done, epochs, progress)
                done += epochs
                if len(left_out):
                    seen.append(self._seen(left_out))
                else:
                    weights = weights_of(self.network)
        self.network.set_weights(weights)
        calibration = self._calibration(seen)
        self._teach(np.array([], np.intp))
        tagger = self._tagger(self._vocabulary, self._messages)
        # With the tagger, since a part of a message with an entity may decide on the intent (`clearer`).
        by_heart = self._by_heart(self._model(self._vocabulary, calibration, None, tagger))
        return self._model(self._vocabulary, calibration, by_heart, tagger)

    def _begin(self, left_out: Rows, *, again: bool, is_hurried: bool) -> None:
        """Fit the classifier; if the network has few steps for its intents, initialise it from the classifier."""
        if again:
            begin_again(self.network)
        if len(left_out) or is_hurried:
            self._teach(left_out)
        if is_hurried:
            begin_with(self.network, self.classifier.directions(self.sizes.word_units))

    def _tagger(self, vocabulary: TokenVocabulary, messages: Sequence[TaggedMessage]) -> Mapping[str, Floats]:
        """Return the weights of a linear tagger; none for data without entities, and for large data."""
        if not (self._is_small and self._labels):
            return {}
        tagger = LinearTagger(vocabulary, len(self._labels))
        tagger.fit(messages, final_signs(messages))
        return tagger.arrays()

    def _held_out(self) -> list[Rows]:
        """Return the numbers of the messages to be held out, a list for each training that holds some out."""
        known = np.array([number for number, message in enumerate(self._messages) if message.intent >= 0])
        if len(known) < _ENOUGH_TO_CALIBRATE or not self._settings.validation_split:
            return []
        if self._is_small:
            parts = parts_of(self._examples, known, _PARTS)
            return parts[: math.ceil(_PARTS * _ENOUGH_HELD_OUT / len(known))]
        count = min(round(self._settings.validation_split * len(known)), _MOST_HELD_OUT)
        return parts_of(self._examples, known, len(known) // max(count, 1))[:1]

    def _runs(self, parts: Sequence[Rows]) -> Iterator[tuple[Rows, Rows, int]]:
        """Yield, for each training, the messages that it leaves out, those it repeats, and its epochs."""
        none = np.array([], np.intp)
        steps = len(self.batches.plan(none, none))
        epochs = max(self._settings.epochs, math.ceil(_FEWEST_STEPS / steps))
        if not self._is_small:
            yield parts[0] if parts else none, none, epochs
            if parts:
                yield none, parts[0], _LAST_EPOCHS
            return
        # The networks that score the held-out messages need no longer training, since it is shorter anyway.
        longer = min(math.ceil(_STEPS * len(self._intents) / steps), _LONGER * self._settings.epochs)
        yield none, none, max(epochs, longer)
        for part in parts:
            own = max(1.0, steps * (1.0 - len(part) / len(self._messages)))
            least = math.ceil(_PART_STEPS * len(self._intents) / own)
            yield part, none, max(1, round(_PART_SHARE * epochs), min(least, epochs))

    def _fit(self, left_out: Rows, again: Rows, done: int, epochs: int, progress: Progress) -> None:
        keras = import_keras()

        def tell(epoch: int, logs: dict[str, float] | None = None) -> None:
            progress.step(done + epoch + 1, {"loss": float((logs or {})["loss"])})

        self.network.fit(
            _dataset(keras, self.batches, partial(self.batches.plan, left_out, again), self.sizes),
            epochs=epochs,
            verbose=0,
            shuffle=False,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=tell)],
        )

    def _teach(self, left_out: Rows) -> None:
        """Fit the classifier on all messages and their variants, except for the messages left out."""
        taught, written = self._taught, len(self._messages)
        keep = np.flatnonzero((taught.intents >= 0) & ~np.isin(self._sources, left_out))
        kept = Taught(taught.counts[keep], taught.intents[keep], taught.weights[keep])
        self.classifier.fit(kept, int((keep < written).sum()))

    def _seen(self, left_out: Rows) -> _Seen:
        """Return the scores of messages left out; words that only these messages have are unknown words here."""
        kept = [self._messages[number] for number in np.delete(np.arange(len(self._messages)), left_out)]
        vocabulary = self._vocabulary_of(kept)
        texts = [self._examples[number].text for number in left_out]
        deep = self._model(vocabulary, Calibration())
        tags, scores = deep.scores(texts)
        wide = self.classifier.scores(self._taught.counts[left_out])
        unknown = np.array([vocabulary.unknown(self._keys(number)) for number in left_out], np.float32)
        tagger = self._tagger(vocabulary, kept)
        if not tagger:
            return _Seen(left_out, scores - wide, wide, unknown, None)
        both, _ = self._model(vocabulary, Calibration(tag_share=1.0), None, tagger).scores(texts)
        tagged = Tagged(
            [self._messages[number].tags for number in left_out],
            tags,
            [one - own for one, own in zip(both, tags, strict=True)],
            arrays_of(self.network)["transitions"],
            tagger["transitions"],
        )
        return _Seen(left_out, scores - wide, wide, unknown, tagged)

    def _calibration(self, seen: Sequence[_Seen]) -> Calibration:
        """Calibrate on the held-out messages whose intent has other messages, too."""
        if not seen:
            return UNMEASURED
        intents = np.array([message.intent for message in self._messages])
        known = np.concatenate([np.isin(intents[one.rows], np.delete(intents, one.rows)) for one in seen])
        both = zip(*(one[:4] for one in seen), strict=True)
        rows, deep, wide, unknown = (np.concatenate(part)[known] for part in both)
        found = calibrated(deep, wide, intents[rows], unknown, is_brief=self._is_small)
        tags = [one.tags for one in seen if one.tags is not None]
        return replace(found, tag_share=best_tag_share(tags)) if tags else found

    def _by_heart(self, model: NLUModel) -> dict[str, int]:
        """Return the unambiguous training messages that a model gets wrong, or nearly, with their intents."""
        words = [tuple(map(word_of, message.keys)) for message in self._messages]
        meant: dict[tuple[str, ...], set[int]] = {}
        for key, message in zip(words, self._messages, strict=True):
            meant.setdefault(key, set()).add(message.intent)
        clear = [
            number
            for number, message in enumerate(self._messages)
            if message.intent >= 0 and len(meant[words[number]] - {-1}) == 1
        ]
        texts = [self._examples[number].text for number in clear]
        known = zip(texts, (self._messages[number].intent for number in clear), model.parse_many(texts), strict=True)
        return {model.said(text): own for text, own, answer in known if not _is_clear(answer, self._intents[own])}

    def _model(
        self,
        vocabulary: TokenVocabulary,
        calibration: Calibration,
        by_heart: Mapping[str, int] | None = None,
        tagger: Mapping[str, Floats] | None = None,
    ) -> NLUModel:
        data = self._data
        description = {
            "fingerprint": fingerprint_of(data.fingerprint(), self._settings.as_json()),
            "settings": self._settings.as_json(),
            "intents": self._intents,
            "entities": data.entities,
            "labels": [list(label) for label in self._labels],
            "synonyms": dict(data.synonyms),
            "temperature": calibration.temperature,
            "threshold": calibration.threshold,
            "first_signs": sorted(self.batches.signs.first),
            "last_signs": sorted(self.batches.signs.last),
            "by_heart": dict(by_heart or {}),
            **vocabulary.as_json(),
            **self._patterns.as_json(),
        }
        arrays = {**arrays_of(self.network), **self.classifier.arrays()}
        for name in _INTENTS:
            share = calibration.deep if name in ("intents_kernel", "intents_bias") else calibration.wide
            arrays[name] = arrays[name] * np.float32(share)
        if calibration.doubt or calibration.none:
            arrays["doubt"] = np.array([calibration.doubt, calibration.none * calibration.temperature], np.float32)
        if tagger:
            for name in ("tags_kernel", "tags_bias", "transitions"):
                arrays[name] = arrays[name] * np.float32(calibration.tag_share)
            arrays |= {name: arrays.get(name, 0.0) + array for name, array in tagger.items()}
            told = [(one.keys, one.tags) for one in self._messages]
            description["values"] = known_synonyms(data.synonyms, told, self._labels) | known_values(told)
            arrays["entity_lifts"] = entity_lifts(self._messages, len(self._intents) + 1, len(self._labels))
        if vocabulary is not self._vocabulary:
            arrays = _only(arrays, self._vocabulary, vocabulary)
        return NLUModel(description, dict(sorted(arrays.items())))


class _Seen(NamedTuple):
    """The scores that models without these messages give them.

    Attributes
    ----------
    rows
        The numbers of the messages.
    deep, wide
        The scores of intents by the network and by the linear classifier, ``(messages, intents + 1)``.
    unknown
        The number of unknown words in each message, ``(messages,)``.
    tags
        The scores of tags by the network and by the linear tagger; None without a tagger.
    """

    rows: Rows
    deep: Floats
    wide: Floats
    unknown: Floats
    tags: Tagged | None


def _is_clear(answer: Mapping[str, Any], intent: str) -> bool:
    """Tell whether an answer has the right intent, by a margin that no rounding of confidences can undo."""
    name = intent.partition("/")[0]
    rankings = [(name, answer["intent_ranking"], "name")]
    if name != intent:
        rankings.append((intent, answer["response_selector"][name]["ranking"], "intent_response_key"))
    for wanted, (first, *others), key in rankings:
        if first[key] != wanted or (others and others[0]["confidence"] > first["confidence"] - _MARGIN):
            return False
    return True


def _only(arrays: Mapping[str, Floats], known: TokenVocabulary, kept: TokenVocabulary) -> dict[str, Floats]:
    """Return the arrays of a model, restricted to the part `kept` of the vocabulary `known`."""
    pieces = [known.pieces[piece] for piece in kept.pieces]
    words = [0, *(known.words[word] for word in kept.words)]
    letters = [known.letters[letter] for letter in kept.letters]
    rows = {"words": words, "pieces": [*pieces, len(known.pieces)]}
    for name, numbers in (("word", words), ("piece", pieces), ("letter", letters)):
        rows |= {f"{name}_intents": numbers, f"{name}_scales": numbers}
    return {name: array[rows[name]] if name in rows else array for name, array in arrays.items()}


def _dataset(keras: Any, batches: MessageBatches, plan: Any, sizes: NetworkSizes) -> Any:
    """Return the batches of all epochs, as a dataset for Keras; `plan` plans the batches of an epoch."""

    class Dataset(keras.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.plan = plan()
            self._count = len(self.plan)

        def __len__(self) -> int:
            return len(self.plan)

        def __getitem__(self, number: int) -> tuple[Batch, Floats]:
            tokens, rows = self.plan[number]
            inputs = batches.batch(tokens, rows, numbers_to_draw(sizes, tokens))
            return inputs, np.zeros(len(rows), np.float32)  # Keras asks for a target; ours are inputs.

        def on_epoch_end(self) -> None:
            again = plan()
            self.plan = [*again, *again][: self._count]  # Keras counts once, but varied ones differ.

    return Dataset()
