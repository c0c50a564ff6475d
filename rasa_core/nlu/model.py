"""The trained model of intents and entities, which needs only NumPy to understand messages.

Its files are ``nlu.json`` and ``nlu_weights.npz``. They are replaced in one step, and checked when they are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from rasa_core.exceptions import ModelError
from rasa_core.nlu.crf import Tagger
from rasa_core.nlu.extents import Extents
from rasa_core.nlu.messages import MAX_APART, UNSURE, Read, as_clause, clearer, nothing, of_both, of_clause, once
from rasa_core.nlu.named_values import NamedValues
from rasa_core.nlu.network import NLUNetwork
from rasa_core.nlu.patterns import Patterns
from rasa_core.nlu.pipeline import Pipeline
from rasa_core.nlu.spacing import Spacing
from rasa_core.nlu.spelling import alike
from rasa_core.nlu.tokens import (
    MAX_CHARACTERS,
    MAX_TOKENS,
    EndSigns,
    TokenVocabulary,
    is_sign,
    keys_of,
    phrase_of,
    shape_of,
    tokenize,
    visible,
)
from rasa_core.nlu.unsaid import what_is_said
from rasa_core.nlu.values import KnownValues
from rasa_core.nlu.weights import check_weights
from rasa_core.support.arrays import Floats
from rasa_core.support.folders import replace_directory
from rasa_core.support.probabilities import softmax
from rasa_core.support.stored_models import read_arrays, write_arrays

EXTRACTOR = "rasa_core.nlu"
MAX_RANKING = 10
_CACHED_KEYS = 10_000  # Largest number of tokens whose rows are cached.
_BATCH = 64

FILE_NAME = "nlu.json"
WEIGHTS_NAME = "nlu_weights.npz"
NLU_MODEL = frozenset({FILE_NAME})
"""Names of the files by which the folder of such a model is recognized."""
FORMAT = 7

_KINDS: dict[str, type] = {
    "fingerprint": str,
    "settings": dict,
    "intents": list,
    "entities": list,
    "labels": list,
    "words": list,
    "pieces": list,
    "letters": list,
    "first_signs": list,
    "last_signs": list,
    "by_heart": dict,
    "synonyms": dict,
    "regexes": list,
    "lookups": list,
    "temperature": float,
    "threshold": float,
}


class NLUModel:
    """Turns text into an intent and entities; safe to share between threads.

    Of a message longer than `MAX_CHARACTERS` or `MAX_TOKENS`, only the beginning is read, and the answer has
    ``"truncated": True``. A message that begins with a greeting, or ends with thanks, is read with and without it, and
    the reading with the higher confidence counts. Unknown words are replaced by known ones; see `Spacing` and
    `TokenVocabulary`. The confidences of all intents, and of no intent, sum to 1; the last is not in the answer.

    Parameters
    ----------
    description
        The content of ``nlu.json``: names, vocabulary, patterns, settings; see `_KINDS`.
    arrays
        The weights of ``nlu_weights.npz``.
    """

    def __init__(self, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> None:
        self._description, self._arrays = description, arrays
        self.fingerprint: str = description["fingerprint"]
        self.intents: list[str] = description["intents"]
        self.entities: list[str] = description["entities"]
        synonyms = {alike(text): value for text, value in description["synonyms"].items()}
        self._synonyms = {alike(value): value for value in synonyms.values()} | synonyms
        self._labels: list[list[str]] = description["labels"]
        self._vocabulary = TokenVocabulary(description["words"], description["pieces"], description["letters"])
        self._spacing = Spacing(self._vocabulary, arrays["word_scales"])
        self._patterns = Patterns.from_json(description)
        self._values = KnownValues(description.get("values", {}), self._labels, self._vocabulary)
        self._named = NamedValues(self._labels)
        self._signs = EndSigns(*map(frozenset, (description["first_signs"], description["last_signs"])))
        self._by_heart = {phrase_of(said.split(" ")): number for said, number in description["by_heart"].items()}
        self._network = NLUNetwork(arrays)
        self._tagger = Tagger(arrays["transitions"], arrays.get("entity_lifts"))
        self._extents = Extents(arrays.get("sides"))
        self.temperature: float = description["temperature"]
        self.threshold: float = description["threshold"]
        self._known: dict[str, Floats] = {}
        self._apart: dict[str, str | None] = {}
        self._names: dict[str, list[int]] = {}
        for number, intent in enumerate(self.intents):
            self._names.setdefault(intent.partition("/")[0], []).append(number)
        # The parts of a retrieval intent are learnt as intents; the answer has their sum as one intent.
        parts = {name: [at for at in own if "/" in self.intents[at]] for name, own in self._names.items()}
        self._faqs = {name: own for name, own in parts.items() if own}
        self.pipeline: list[dict[str, Any]] | None = description.get("pipeline")
        self._pipeline = None if self.pipeline is None else Pipeline(self.pipeline, description)

    def parse(self, text: str) -> dict[str, Any]:
        """Return the intent and the entities of a message.

        Returns
        -------
        dict
            ``text``; ``intent`` with ``name`` and ``confidence``; ``intent_ranking``, at most `MAX_RANKING` intents,
            the best first; ``entities``, each with ``start``, ``end``, ``value``, ``entity``, ``confidence``,
            ``extractor``, and ``role`` and ``group`` if it has any; ``response_selector`` if there are intents such as
            ``faq/opening``, which are parts of one; ``truncated`` if only the beginning was read.
        """
        said = once(text)
        answer = self._understood(self._read(said))
        if len(said) < len(text):
            answer = of_both(answer, text)
        return answer if self._pipeline is None else self._pipeline.finish(answer)

    def _understood(self, read: Read) -> dict[str, Any]:
        # The rest without greeting and thanks is read, too, since few examples have them.
        answer, rest = self._one_answer(read), self._rest(read)
        if rest is not None:
            answer = self._clearer(read, answer, rest, self._one_answer(rest))
        return self._by_clause(rest or read, answer)

    def _by_clause(self, read: Read, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a message, or that to its surest clause if the model is unsure of the message.

        A message that is an example word for word means what the example does, whatever its clauses mean.
        """
        if answer["intent"]["confidence"] >= UNSURE or not self.intents:
            return answer
        clauses = read.clauses()
        if not clauses or phrase_of(read.keys) in self._by_heart:
            return answer
        answers = [as_clause(self._one_answer(one), self._network.unknown(self._embedded(one))) for one in clauses]
        best = max(answers, key=lambda one: float(one["intent"]["confidence"]))
        return of_clause(answer, best) if best["intent"]["confidence"] > answer["intent"]["confidence"] else answer

    def _clearer(self, read: Read, whole: dict[str, Any], rest: Read, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a whole message, or the answer to its rest without courtesies if that is clearer."""
        meant = None
        if whole["intent"]["name"] != answer["intent"]["name"] and (apart := read.said_apart()) is not None:
            said = phrase_of(apart.keys)
            if (meant := self._apart.get(said)) is None:
                if len(self._apart) >= MAX_APART:
                    self._apart.clear()
                meant = self._apart[said] = self._one_answer(apart)["intent"]["name"]
        is_cut = rest.cuts(whole["entities"])
        if is_cut and rest.is_behind_ordinal() and whole["intent"]["confidence"] >= UNSURE:
            return whole  # The number is meant.
        return clearer(whole, answer, len(rest.keys), meant, is_cut=is_cut)

    def _one_answer(self, read: Read) -> dict[str, Any]:
        if not read.spans:
            return nothing(read)
        known = self._embedded(read)
        extras = self._patterns.extras(read.visible, read.spans)
        tags, intents = self._network.read(known[None], extras[None])
        return self._answer(read, tags[0], softmax(intents[0] / self.temperature))

    def parse_many(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return the answer of `parse` to each text; messages with equal numbers of tokens are computed together."""
        found = [self._read(once(text)) for text in texts]
        rests = {at: rest for at, rest in enumerate(map(self._rest, found)) if rest is not None}
        answers = self._answers([*found, *rests.values()])
        for (at, rest), answer in zip(rests.items(), answers[len(found) :], strict=True):
            answers[at] = self._clearer(found[at], answers[at], rest, answer)
        answers = [self._by_clause(rests.get(at, read), answers[at]) for at, read in enumerate(found)]
        answers = [one if one["text"] == text else of_both(one, text) for one, text in zip(answers, texts, strict=True)]
        return answers if self._pipeline is None else list(map(self._pipeline.finish, answers))

    def _answers(self, found: Sequence[Read]) -> list[dict[str, Any]]:
        answers = [nothing(read) for read in found]
        for batch, tags, intents in self._scores(found):
            chances = softmax(intents / self.temperature)
            for at, scores, chance in zip(batch, tags, chances, strict=True):
                answers[at] = self._answer(found[at], scores, chance)
        return answers

    def _rest(self, read: Read) -> Read | None:
        rest = read.without_courtesies()
        return None if rest is None or phrase_of(read.keys) in self._by_heart else rest

    def with_pipeline(self, pipeline: list[dict[str, Any]] | None) -> Self:
        """Return the same model with other components before and after it; see `stored_steps`."""
        description = {key: value for key, value in self._description.items() if key != "pipeline"}
        return type(self)(description if pipeline is None else {**description, "pipeline": pipeline}, self._arrays)

    def scores(self, texts: Sequence[str]) -> tuple[list[Floats], Floats]:
        """Return the scores of the tags of each text, ``(tokens, tags)``, and of the intents, ``(texts, intents + 1)``.

        The softmax of the scores of intents are confidences; the last is for no intent. The texts are read as they are
        typed: no tokens are joined or divided.
        """
        tags = [self._arrays["tags_bias"][:0]] * len(texts)
        intents = np.zeros((len(texts), len(self.intents) + 1), np.float32)
        for batch, found, own in self._scores([self._read(text, as_typed=True) for text in texts]):
            intents[batch] = own
            for at, scores in zip(batch, found, strict=True):
                tags[at] = scores
        return tags, intents

    def said(self, text: str) -> str:
        """Return the phrase of a message, by which it is found among the examples that are known by heart."""
        return phrase_of(self._read(text).keys)

    def _read(self, text: str, *, as_typed: bool = False) -> Read:
        seen, places = visible(text[:MAX_CHARACTERS])
        spans = tokenize(seen)
        kept = spans[:MAX_TOKENS]
        if not as_typed:
            kept = what_is_said(seen, kept, self._vocabulary.words, [name for name, *_ in self._named.of(seen)])
        found = kept, keys_of(seen, kept)
        read, keys = self._signs.without_others(*(found if as_typed else self._spacing.of(seen, *found)))
        told, is_cut = self._vocabulary.telling(keys), len(text) > MAX_CHARACTERS or len(spans) > MAX_TOKENS
        if len(told) < len(keys):
            read, keys = [read[at] for at in told], [keys[at] for at in told]
        return Read(text, seen, places, read, keys, is_cut)

    def _scores(self, found: Sequence[Read]) -> Iterator[tuple[list[int], Floats, Floats]]:
        """Yield the indices of some messages with equal numbers of tokens, and the network's scores for them."""
        same_length: dict[int, list[int]] = {}
        for at, read in enumerate(found):
            same_length.setdefault(len(read.spans), []).append(at)
        same_length.pop(0, None)  # These messages have no tokens to score.
        for numbers in same_length.values():
            for begin in range(0, len(numbers), _BATCH):
                batch = numbers[begin : begin + _BATCH]
                known = [self._embedded(found[at]) for at in batch]
                extras = [self._patterns.extras(found[at].visible, found[at].spans) for at in batch]
                yield batch, *self._network.read(np.stack(known), np.stack(extras))

    def _embedded(self, read: Read) -> Floats:
        """Return the embedding of each token; see `NLUNetwork.read`."""
        known, rows = self._known, []
        for key in read.keys:
            row = known.get(key)
            rows.append(self._learn(key) if row is None else row)
        return np.array(rows)

    def _learn(self, key: str) -> Floats:
        """Return the embedding of a token, and cache it."""
        words = self._vocabulary
        known, guess = (words.word(key), words.pieces_in(key), words.letters_in(key)), words.guess(key)
        row = self._network.embed(*known, shape_of(key), guess=words.words.get(guess or "", 0))
        if len(self._known) >= _CACHED_KEYS:
            self._known.clear()  # A full cache is rare, and is filled again within a thousand messages.
        self._known[key] = row
        return row

    def _answer(self, read: Read, tags: Floats, chances: Floats) -> dict[str, Any]:
        # A message that is an example word for word has its intent, whatever the network learnt from other examples.
        if self._by_heart and (number := self._by_heart.get(phrase_of(read.keys))) is not None:
            chances = 0.5 * chances
            chances[number] += 0.5
        ranking = self._ranked(chances)
        entities = []
        tags = self._named.lifted(self._values.lifted(tags, read.keys), read.visible, read.spans)
        found = self._tagger.entities(tags, chances, self._breaks(read)) if self.entities else ()
        known = partial(self._is_known, read.keys)
        for start, end, number, chance in self._extents.of(read.visible, read.spans, found, known):
            value = read.visible[start:end]
            name, role, group = self._labels[number]
            entity = {
                "start": read.places[start],
                "end": read.places[end - 1] + 1,
                "value": self._synonyms.get(alike(value), value) if self._synonyms else value,
                "entity": name,
                "confidence": chance,
                "extractor": EXTRACTOR,
            }
            if role or group:
                entity |= {key: told for key, told in (("role", role), ("group", group)) if told}
            entities.append(entity)
        best = dict(ranking[0]) if ranking else {"name": None, "confidence": 0.0}
        answer = {"text": read.text, "intent": best, "intent_ranking": ranking, "entities": entities}
        if self._faqs:
            answer["response_selector"] = self._selected(chances)
        return {**answer, "truncated": True} if read.is_truncated else answer

    def _breaks(self, read: Read) -> list[int]:
        """Return where new items of lists begin, but not within a known value, whose line may have been full."""
        breaks = read.breaks()
        inner = self._values.inner(read.keys) if breaks else ()
        return [at for at in breaks if at not in inner]

    def _is_known(self, keys: Sequence[str], at: int) -> bool:
        return is_sign(keys[at]) or self._vocabulary.word(keys[at]) > 0

    def _ranked(self, chances: Floats) -> list[dict[str, Any]]:
        """Return the best intents; the parts of a retrieval intent, with a slash in their names, are summed."""
        known = chances[: len(self.intents)]
        if len(self._names) < len(known):
            known = np.array([known[numbers].sum() for numbers in self._names.values()])
        names = list(self._names)
        best = (
            (-known).argsort(kind="stable")[:MAX_RANKING].tolist()
        )  # The sort is stable, so that the order of equal confidences is always the same.
        return [{"name": names[number], "confidence": float(known[number])} for number in best]

    def _selected(self, chances: Floats) -> dict[str, Any]:
        """Return for each retrieval intent the probabilities of its parts, which sum to 1."""
        found: dict[str, Any] = {"all_retrieval_intents": list(self._faqs)}
        for name, numbers in self._faqs.items():
            shares = chances[numbers] / max(float(chances[numbers].sum()), 1e-30)
            order = (-shares).argsort(kind="stable")[:MAX_RANKING].tolist()
            ranking = [
                {"intent_response_key": self.intents[numbers[at]], "confidence": float(shares[at])} for at in order
            ]
            response = {"responses": None, "utter_action": f"utter_{ranking[0]['intent_response_key']}", **ranking[0]}
            found[name] = {"response": response, "ranking": ranking}
        return found

    def persist(self, directory: str | Path) -> None:
        """Write the model to a directory, replacing the model there, if any; the same model gives the same bytes.

        Raises
        ------
        ModelError
            If the directory holds something else, or cannot be written.
        """

        def fill(folder: Path) -> None:
            text = json.dumps({"format": FORMAT, **self._description}, indent=0, sort_keys=True)
            (folder / FILE_NAME).write_text(text + "\n", encoding="ascii")
            write_arrays(folder / WEIGHTS_NAME, self._arrays)

        replace_directory(Path(directory), fill, NLU_MODEL, "an NLU model")

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a model.

        Raises
        ------
        ModelError
            If there is no model, or it is damaged; the message names the file and the remedy.
        """
        folder = Path(directory)
        description = _read_description(folder / FILE_NAME)
        arrays = read_arrays(folder / WEIGHTS_NAME)
        check_weights(folder / WEIGHTS_NAME, arrays, description)
        return cls(description, arrays)


def fingerprint_of(data: str, settings: Mapping[str, int | float]) -> str:
    """Return a hash, in hexadecimal, of the input of a training: the fingerprint of the data, and the settings."""
    content = json.dumps([FORMAT, data, dict(settings)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        raise ModelError(f"{str(path.parent)!r} holds no NLU model: there is no {path.name}. Train one.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {str(path)!r}: {error}. Train the model again.") from error
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise ModelError(f"{str(path)!r} has format {found!r}, but {FORMAT} is expected. Train the model again.")
    del description["format"]
    for name, kind in _KINDS.items():
        if not isinstance(description.get(name), kind):
            raise ModelError(f"{name!r} in {str(path)!r} is missing or damaged. Train the model again.")
    values, labels = description.get("values", {}), range(len(description["labels"]))
    if not isinstance(values, dict) or not all(type(label) is int and label in labels for label in values.values()):
        raise ModelError(f"'values' in {str(path)!r} is damaged. Train the model again.")
    return dict(description)
