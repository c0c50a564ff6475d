"""The linear tagger of entities beside the network: a conditional random field on words and parts of words.

Its features are the words, n-grams, letters and shapes of each token and of its two neighbours, the patterns that match
the token, and the tag before; see `rasa_core.nlu.crf` for the notation. Each of the n-grams of a token weighs
``1 / sqrt(their number)``, and so does each of its letters. The weights W minimise ``|W|^2 / 2 + C sum of losses``,
which has a single minimum, so that few messages are enough. Some variants of the messages take part with a lower
weight: in upper or lower case, without accents, with another sign at their end, and with the values of other roles.
Training takes a second or two. It is left out for large data, from which the network alone learns as much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.nlu.crf import first, forbidden, spans_of, tags_of
from rasa_core.nlu.extents import sides_of
from rasa_core.nlu.linear import minimum, scipy
from rasa_core.nlu.spelling import plain
from rasa_core.nlu.tokens import SHAPES, TokenVocabulary, shape_of
from rasa_core.nlu.variation import TaggedMessage, exchanged, with_other_end
from rasa_core.support.arrays import Floats

SEEN: Final = 3
"""How many tokens the tagger looks at for one tag: the token itself, the token before it, and the token after it."""
_STRENGTH: Final = 40.0  # The C above.
_DOUBT: Final = 5  # Pseudo-counts: so many messages with average entities are added to each intent.
_RESPELT, _ENDED, _EXCHANGED = 0.3, 0.1, 0.3
"""Weights of variants: in other case or without accents; with another end; with values of other roles."""
_TOGETHER: Final = 64  # Messages in one computation; BLAS does not split such small matrices among threads.


class LinearTagger:
    """Fits a tagger on what a vocabulary knows of messages.

    Attributes
    ----------
    weights : array
        The learnt weights, ``(features, tags)``; `arrays` returns their parts by name.
    """

    weights: Floats

    def __init__(self, vocabulary: TokenVocabulary, entities: int) -> None:
        self._vocabulary, self._tags = vocabulary, tags_of(entities)
        self._sparse = scipy("sparse")
        self._cuts = np.cumsum([len(vocabulary.words) + 1, len(vocabulary.pieces), len(vocabulary.letters)])
        self._forbidden, self._first = forbidden(entities), first(entities)

    def fit(self, messages: Sequence[TaggedMessage], signs: Sequence[str]) -> None:
        """Learn from messages; `signs` are the signs that may stand at the end of a message."""
        others = [new for new, old in zip(exchanged(messages), messages, strict=True) if new is not old]
        kinds = (
            (messages, 1.0),
            (respelt(messages), _RESPELT),
            (ended(messages, signs), _ENDED),
            (others, _EXCHANGED),
        )
        weighed = [(message, weight) for kind, weight in kinds for message in kind]
        weighed.sort(key=lambda pair: len(pair[0].keys))  # Little is lost where messages are filled up to one length.
        ordered = [message for message, _ in weighed]
        keys = sorted({key for message in ordered for key in message.keys})
        self._known = self._features(keys)
        self._places = self._places_of(ordered, {key: number for number, key in enumerate(keys)})
        self._extras = np.concatenate([message.extras for message in ordered])
        self._chains = chains_of(weighed, self._tags)
        rows = [SEEN * self._known.shape[1], self._extras.shape[1], 1, self._tags]
        self._parts = np.cumsum(rows)[:-1]
        self._sides = sides_of(((one.keys, one.tags, one.extras[:, 0].tolist()) for one in messages), self._tags // 2)
        self.weights = minimum(self._loss, np.zeros((sum(rows), self._tags), np.float32))

    def arrays(self) -> Mapping[str, Floats]:
        """Return the learnt weights by name: `transitions`, `sides`, and those that `rasa_core.nlu.network` reads."""
        table, extras, bias, transitions = np.split(self.weights, self._parts)
        kinds = np.split(table.reshape(-1, SEEN * self._tags), self._cuts)
        names = ("word_tags", "piece_tags", "letter_tags", "shape_tags")
        return {
            **dict(zip(names, kinds, strict=True)),
            "extra_tags": extras,
            "tags_bias": bias[0],
            "transitions": transitions,
            "sides": self._sides,
        }

    def _features(self, keys: Sequence[str]) -> Any:
        """Return the features of each key, ``(keys + 1, features)``, sparse; the last row stands for no token."""
        vocabulary, (words, pieces, letters) = self._vocabulary, self._cuts.tolist()
        columns: list[int] = []
        values: list[float] = []
        ends = [0]
        for key in keys:
            columns += [vocabulary.word(key), letters + shape_of(key)]
            values += [1.0, 1.0]
            for begin, known in ((words, vocabulary.pieces_in(key)), (pieces, vocabulary.letters_in(key))):
                columns += (begin + number for number in known)
                values += [max(len(known), 1) ** -0.5] * len(known)
            ends.append(len(columns))
        shape = len(keys) + 1, letters + len(SHAPES)
        return self._sparse.csr_matrix((np.array(values, np.float32), columns, [*ends, ends[-1]]), shape=shape)

    def _places_of(self, messages: Sequence[TaggedMessage], numbers: Mapping[str, int]) -> Any:
        """Return the keys of each token and of its two neighbours, one-hot, ``(tokens, SEEN keys)``, sparse."""
        none, columns = len(numbers), []
        for message in messages:
            own = np.array([none, *map(numbers.__getitem__, message.keys), none])
            columns.append(np.stack([own[1:-1], own[:-2], own[2:]], axis=-1) * SEEN + np.arange(SEEN))
        found = np.concatenate(columns)
        ones = np.ones(found.size, np.float32)
        ends = np.arange(0, found.size + 1, SEEN)
        return self._sparse.csr_matrix((ones, found.ravel(), ends), shape=(len(found), SEEN * (none + 1)))

    def scores(self, weights: Floats) -> Floats:
        """Return the scores of tags of the training tokens under some weights; the shortest messages come first."""
        table, extras, bias, _ = np.split(weights, self._parts)
        by_key = self._known @ table.reshape(-1, SEEN * self._tags)
        scores: Floats = self._places @ by_key.reshape(-1, self._tags) + self._extras @ extras + bias
        return scores

    def _loss(self, weights: Floats) -> tuple[float, Floats]:
        """Return the loss and its gradient."""
        scores, transitions = self.scores(weights), weights[self._parts[-1] :]
        value, slopes, moved = 0.0, np.empty_like(scores), np.zeros_like(transitions)
        for chain in self._chains:
            own = slice(chain.begin, chain.begin + chain.count)
            loss, slopes[own], moves = chain.loss(scores[own], transitions + self._forbidden, self._first)
            value, moved = value + loss, moved + moves
        by_key = (self._places.T @ slopes).reshape(-1, SEEN * self._tags)
        table = (self._known.T @ by_key).reshape(-1, self._tags)
        slope: Floats = np.concatenate([table, self._extras.T @ slopes, slopes.sum(axis=0)[None], moved])
        square = float((weights * weights).sum(dtype=np.float32))
        return 0.5 * square + _STRENGTH * value, (weights + _STRENGTH * slope).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Chains:
    """A batch of messages of about the same length.

    Attributes
    ----------
    begin, count
        The first token of these messages among all tokens, and how many tokens they have.
    inside
        Whether a message has a token at a place, ``(messages, tokens)``.
    gold
        1 for the true tag of each token, else 0, ``(messages, tokens, tags)``.
    moves
        How often each tag follows each other tag, weighted, ``(tags, tags)``.
    weights
        How much each message counts, ``(messages,)``.
    """

    begin: int
    count: int
    inside: NDArray[np.bool_]
    gold: Floats
    moves: Floats
    weights: Floats

    def loss(self, own: Floats, transitions: Floats, first_scores: Floats) -> tuple[float, Floats, Floats]:
        """Return the sum of the losses, and its gradients by scores ``(tokens, tags)`` and by transitions."""
        scores = np.zeros(self.gold.shape, np.float32)
        scores[self.inside] = own
        moves = np.exp(transitions)
        top = scores.max(axis=2, keepdims=True)
        emitted = np.exp(scores - top)
        reached, shares = self._forward(emitted, moves, first_scores)
        chances, moved = self._backward(emitted, moves, reached, shares)
        lost = np.log(shares) + top[..., 0] * self.inside - (scores * self.gold).sum(axis=2)
        path = (np.where(self.moves > 0, transitions, 0.0) * self.moves).sum()
        slopes = (chances - self.gold) * self.weights[:, None, None]
        return float((lost.sum(axis=1) * self.weights).sum() - path), slopes[self.inside], moved - self.moves

    def _forward(self, emitted: Floats, moves: Floats, first_scores: Floats) -> tuple[Floats, Floats]:
        """Return the forward probabilities of the tags, and the sums by which these were divided (scaling)."""
        reached, shares = np.empty_like(emitted), np.ones(emitted.shape[:2], np.float32)
        now = emitted[:, 0] * np.exp(first_scores)
        for at in range(emitted.shape[1]):
            if at:
                goes_on = self.inside[:, at, None]
                now = np.where(goes_on, (now @ moves) * emitted[:, at], now)
            shares[:, at] = now.sum(axis=1)
            now = now / shares[:, at, None]  # Without scaling, products of many probabilities would be rounded to 0.
            reached[:, at] = now
        return reached, shares

    def _backward(self, emitted: Floats, moves: Floats, reached: Floats, shares: Floats) -> tuple[Floats, Floats]:
        """Return the marginal probability of each tag, and how often each tag is expected to follow each other tag."""
        chances, moved = np.empty_like(reached), np.zeros_like(moves)
        later = np.ones_like(reached[:, 0])
        for at in range(reached.shape[1] - 1, -1, -1):
            chances[:, at] = reached[:, at] * later
            if at:
                goes_on = self.inside[:, at, None]
                into = np.where(goes_on, emitted[:, at] * later / shares[:, at, None], 0.0).astype(np.float32)
                moved += (reached[:, at - 1] * self.weights[:, None]).T @ into
                later = np.where(goes_on, into @ moves.T, later)
        return chances, moved * moves


def respelt(messages: Sequence[TaggedMessage]) -> Iterator[TaggedMessage]:
    """Yield messages in upper and lower case, and without accents, where that changes anything."""
    for change in (str.upper, str.lower, plain):
        for message in messages:
            if (keys := tuple(map(change, message.keys))) != message.keys:
                yield replace(message, keys=keys)


def ended(messages: Sequence[TaggedMessage], signs: Sequence[str]) -> Iterator[TaggedMessage]:
    """Yield each message that ends with a sign without it, and each other message with one of the signs, in turn."""
    for number, message in enumerate(messages):
        other = with_other_end(message, signs[number % len(signs)] if signs else "")
        if other.keys != message.keys:
            yield other


def chains_of(weighed: Sequence[tuple[TaggedMessage, float]], tags: int) -> list[Chains]:
    """Return messages, which are sorted by length and come with their weights, in batches."""
    found, begin = [], 0
    for at in range(0, len(weighed), _TOGETHER):
        some, weights = zip(*weighed[at : at + _TOGETHER], strict=True)
        lengths = np.array([len(message.keys) for message in some])
        inside = np.arange(lengths.max()) < lengths[:, None]
        gold = np.zeros((*inside.shape, tags), np.float32)
        gold[inside, np.concatenate([message.tags for message in some])] = 1.0
        counts = np.array(weights, np.float32)
        moves = np.einsum("mtj,mtk->jk", gold[:, :-1] * counts[:, None, None], gold[:, 1:])
        found.append(Chains(begin, int(lengths.sum()), inside, gold, moves, counts))
        begin += int(lengths.sum())
    return found


def entity_lifts(messages: Sequence[TaggedMessage], intents: int, entities: int) -> Floats:
    """Return how many times more often messages of each intent hold each entity than all do, ``(intents, entities)``.

    An entity that no message of an intent holds may still occur there. So each intent gets `_DOUBT` messages more, in
    which every entity is as frequent as in all messages. The last intent is none; its lifts are 1.
    """
    held, counts = np.zeros((intents, entities)), np.zeros((intents, 1))
    for message in messages:
        if message.intent >= 0:
            counts[message.intent] += 1
            held[message.intent, sorted({(message.tags[begin] - 1) // 2 for begin, _ in spans_of(message.tags)})] += 1
    often = held.sum(axis=0) / max(counts.sum(), 1.0)
    # An entity that occurs only where the intent is not known has a lift of 1 for all intents.
    known = np.where(often > 0, often, 1.0)
    lifts = np.where(often > 0, (held + _DOUBT * often) / ((counts + _DOUBT) * known), 1.0)
    return lifts.astype(np.float32)
