"""The components of a ``pipeline:``: the network, patterns, keywords, synonyms, Duckling, responses and the fallback.

Each component takes the unfinished answer, and the visible characters of the text, and changes the answer. All
components may be shared between threads.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, combinations
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from rasa_core.events.base import EVENT_DEPTH
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.patterns import Budget, Expression
from rasa_core.nlu.spelling import alike, with_common_signs
from rasa_core.nlu.tokens import clusters, divides
from rasa_core.support.strict_json import decode, plain

logger = logging.getLogger(__name__)

Answer = dict[str, Any]

NLU_FALLBACK: Final = "nlu_fallback"
DEFAULT_SELECTOR: Final = "default"
RETRIEVAL_KEY: Final = "full_retrieval_intent_name"
"""Where an intent names the part that is meant, as in Rasa: ``faq/opening`` of ``faq``."""
DUCKLING_VARIABLE: Final = "RASA_DUCKLING_HTTP_URL"
MOST_RANKED: Final = 10
_ANSWER_LIMIT: Final = 1_000_000  # The most bytes of an answer of Duckling.
_ODD_SPACE: Final = re.compile(r"\s\s|[^\S ]")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Component(Protocol):
    """One step of a pipeline."""

    def change(self, answer: Answer, seen: str) -> None:
        """Change an answer; `seen` has the visible characters of its text, to which positions of entities refer."""


class PhraseFinder:
    """Finds phrases in texts; of several phrases that begin at one position, the longest.

    A phrase also matches with another Unicode form of its letters, and with other spaces between its words.

    Parameters
    ----------
    phrases
        The phrases; the time of a search does not depend on their number.
    case_sensitive
        Whether capital letters, signs and digits must match exactly.
    whole_words
        Whether a match must begin and end at the edges of words. In scripts without spaces between words, a phrase of
        several characters may begin and end anywhere.
    """

    def __init__(self, phrases: Iterable[str], *, case_sensitive: bool, whole_words: bool) -> None:
        self._is_case_sensitive, self._whole_words = case_sensitive, whole_words
        self._number: dict[str, int] = {}
        for number, phrase in enumerate(phrases):
            if phrase.strip():  # Of equal phrases, as of an example of two intents, the first counts.
                self._number.setdefault(self._read(phrase.strip())[0], number)
        self._number.pop("", None)
        self._lengths: dict[str, list[int]] = {}
        for first, length in sorted({(phrase[0], len(phrase)) for phrase in self._number}):
            self._lengths.setdefault(first, []).insert(0, length)

    def find(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Yield start, end and phrase number of each match in a text; matches do not overlap."""
        (read, places), at = self._read(text), 0
        while at < len(read):
            end, number = self._longest(read, places, at)
            if number >= 0:
                yield places[at], places[end], number
            at = end

    def _longest(self, read: str, places: Sequence[int], at: int) -> tuple[int, int]:
        """Return end and number of the longest phrase at a position; the next position and -1 if there is none."""
        for length in self._lengths.get(read[at], ()):
            end = at + length
            number = self._number.get(read[at:end], -1)
            if number >= 0 and end <= len(read) and self._may_stand(read, places, at, end):
                return end, number
        return at + 1, -1

    def _may_stand(self, read: str, places: Sequence[int], at: int, end: int) -> bool:
        for place in (at, end):
            if not 0 < place < len(read):
                continue
            before, after = read[place - 1], read[place]
            # One character of the text may be several here, between which no phrase begins or ends.
            if places[place] == places[place - 1] or (self._whole_words and not divides(before, after)):
                return False
            if self._whole_words and end - at == 1 and before.isalnum() and after.isalnum():
                return False
        return True

    def _read(self, text: str) -> tuple[str, Sequence[int]]:
        """Return the normalised form of a text, and the positions of its characters and its end in the text."""
        if text.isascii() and not _ODD_SPACE.search(text):
            return text if self._is_case_sensitive else with_common_signs(text.lower()), range(len(text) + 1)
        compared = _composed if self._is_case_sensitive else _alike
        parts = clusters(text)
        read = list(map(compared, parts))
        if len(parts) == len(text) and set(map(len, read)) == {1}:  # Most texts keep all positions.
            return "".join(read), range(len(text) + 1)
        ends = accumulate(map(len, parts), initial=0)
        places = [at for at, one in zip(ends, read, strict=False) for _ in one]
        return "".join(read), [*places, len(text)]


@lru_cache(maxsize=4096)  # Texts have few different characters, and to normalise one is slow.
def _alike(cluster: str) -> str:
    return " " if cluster.isspace() else alike(cluster)


def _composed(cluster: str) -> str:
    return " " if cluster.isspace() else unicodedata.normalize("NFC", cluster)


class Interpreter:
    """Copies the intents of the network, its entities, or both into the answer.

    If the step names the component that the network replaces, such as DIETClassifier, that name is the extractor of
    each entity, and the confidence is also under ``confidence_entity``, as programs for Rasa expect.
    """

    def __init__(self, step: Mapping[str, Any]) -> None:
        self._intents, self._entities, self._name = step["intents"], step["entities"], step.get("extractor")

    def change(self, answer: Answer, seen: str) -> None:
        """Set the intents, add the entities, or both."""
        network = answer["network"]
        if self._intents:
            answer["intent"], answer["intent_ranking"] = dict(network["intent"]), list(network["intent_ranking"])
            if "response_selector" in network:
                answer["response_selector"] = network["response_selector"]
        if self._entities:  # The value is the text, since the pipeline may have no component that applies synonyms.
            _add_entities(answer, (self._told(one, seen) for one in network["entities"]))

    def _told(self, entity: Answer, seen: str) -> Answer:
        told = {**entity, "value": seen[entity["start"] : entity["end"]]}
        if self._name is not None:
            told |= {"extractor": self._name, "confidence_entity": entity.get("confidence", 1.0)}
        return told


def keywords_among(named: Sequence[tuple[str, str]], *, case_sensitive: bool) -> list[list[str]]:
    """Return the keywords, as pairs of text and intent, among the examples.

    As in Rasa, an example is no keyword if it belongs to two intents, or stands within an example of another intent.
    """
    intents: dict[str, set[str]] = {}
    for text, intent in named:
        intents.setdefault(text, set()).add(intent)
    kept = [(text, one) for text, one in dict.fromkeys(named) if len(intents[text]) == 1]
    within: dict[str, set[str]] = {}
    for text, intent in kept:
        read = text if case_sensitive else text.lower()
        places = [match.start() for match in re.finditer(r"\b", read)]
        for start, end in combinations(places, 2):
            within.setdefault(read[start:end], set()).add(intent)
    return [
        [text, one] for text, one in kept if not within.get(text if case_sensitive else text.lower(), set()) - {one}
    ]


class KeywordIntents:
    """Gives a message the intent of the first training example that it contains word for word."""

    def __init__(self, keywords: Sequence[tuple[str, str]], *, case_sensitive: bool) -> None:
        self._intents = [intent for _, intent in keywords]
        self._finder = PhraseFinder((text for text, _ in keywords), case_sensitive=case_sensitive, whole_words=True)

    def change(self, answer: Answer, seen: str) -> None:
        """Set the intent, and rank it before all others, if the message contains an example."""
        number = min((number for _, _, number in self._finder.find(seen)), default=None)
        if number is None:
            return
        found = {"name": self._intents[number], "confidence": 1.0}
        others = [one for one in answer["intent_ranking"] if one["name"] != found["name"]]
        answer["intent"], answer["intent_ranking"] = found, [dict(found), *others][:MOST_RANKED]


class EntityPatterns:
    """Finds entities by lookup tables and regular expressions alone."""

    name: Final = "RegexEntityExtractor"

    def __init__(
        self,
        lookups: Iterable[tuple[str, Sequence[str]]],
        regexes: Iterable[tuple[str, str]],
        *,
        case_sensitive: bool,
        whole_words: bool,
    ) -> None:
        how = {"case_sensitive": case_sensitive, "whole_words": whole_words}
        self._lookups = [(name, PhraseFinder(entries, **how)) for name, entries in lookups]
        prefix = "" if case_sensitive else "(?i)"
        self._regexes = [(name, Expression(prefix + pattern)) for name, pattern in regexes]

    def change(self, answer: Answer, seen: str) -> None:
        """Add an entity for each match of a lookup table or regular expression."""
        found = [(name, start, end) for name, finder in self._lookups for start, end, _ in finder.find(seen)]
        budget = Budget()
        for name, expression in self._regexes:
            found += [(name, start, end) for start, end in expression.spans(seen, budget) if start < end]
        _add_entities(
            answer,
            [
                {"entity": name, "start": start, "end": end, "value": seen[start:end], "extractor": self.name}
                for name, start, end in found
            ],
        )


def _add_entities(answer: Answer, found: Iterable[Answer]) -> None:
    """Add entities to an answer, unless it has them already, since two components may find the same entity.

    An entity in the answer without role and group takes over role and group of the same entity in `found`.
    """
    known = {(one["entity"], one["start"], one["end"]): one for one in answer["entities"]}
    for one in found:
        before = known.get((one["entity"], one["start"], one["end"]))
        if before is None:
            answer["entities"].append(dict(one))
        elif not ("role" in before or "group" in before):
            before |= {key: one[key] for key in ("role", "group") if key in one}


class Synonyms:
    """Replaces values of entities that are synonyms.

    `values` are the values in the examples: a value that differs from one of them in case alone is replaced, too.
    """

    def __init__(self, synonyms: Mapping[str, str], values: Iterable[str] = ()) -> None:
        # A value is a synonym of itself, so that "lisbon" becomes "Lisbon"; an explicit synonym wins.
        own = {alike(value): value for value in reversed([*synonyms.values(), *values])}
        self._synonyms = own | {alike(text): value for text, value in synonyms.items()}

    def change(self, answer: Answer, seen: str) -> None:
        """Replace the values of the entities that were found so far."""
        for one in answer["entities"]:
            if isinstance(one["value"], str):
                one["value"] = self._synonyms.get(alike(one["value"]), one["value"])


class Duckling:
    """Adds the entities that a Duckling server finds: times, numbers, amounts of money and others.

    While the server does not answer, no entities are added, and one warning is logged.

    Parameters
    ----------
    options
        ``url``, ``dimensions``, ``locale``, ``timezone`` and ``timeout`` in seconds, each of which may be None. The
        environment variable `DUCKLING_VARIABLE` overrides ``url``.
    """

    name: Final = "DucklingEntityExtractor"

    def __init__(self, options: Mapping[str, Any]) -> None:
        # It imports urllib3, which bots without Duckling do not need.
        from rasa_core.support.http import HttpTransport, server_address

        self._options = options
        self._dimensions = options.get("dimensions")
        self._timeout = float(options.get("timeout") or 3)
        self._is_down = False
        written = os.environ.get(DUCKLING_VARIABLE) or str(options.get("url") or "")
        self._url = _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), written)
        parts = server_address(self._url)
        self._transport = None if parts is None else HttpTransport(parts, _ANSWER_LIMIT)
        if self._transport is None:
            logger.warning(
                "%s has no url: that is an address such as http://localhost:8000, in config.yml or in %s, not %r; "
                "it finds nothing.",
                *(self.name, DUCKLING_VARIABLE, self._url),
            )

    def change(self, answer: Answer, seen: str) -> None:
        """Add the entities that the server finds."""
        if self._transport is None or not seen.strip():
            return
        try:
            found = [self._entity(one, len(seen)) for one in self._asked(self._transport, seen)]
        except (RasaCoreError, ValueError, LookupError, TypeError, AttributeError) as error:  # Keep the other entities.
            if not self._is_down:
                logger.warning("the Duckling server %s finds nothing: %s; messages go on without it.", self._url, error)
            self._is_down = True
            return
        if self._is_down:
            logger.warning("the Duckling server %s answers again.", self._url)
        self._is_down = False
        wanted = self._dimensions
        _add_entities(answer, (one for one in found if not wanted or one["entity"] in wanted))

    def _asked(self, transport: Any, text: str) -> list[Any]:
        wanted, options = self._dimensions, self._options
        form = {
            "text": text,
            "locale": options.get("locale"),
            "tz": options.get("timezone"),
            "dims": json.dumps(wanted) if wanted else None,
            "reftime": str(int(time.time()) * 1000),
        }
        body = urlencode({key: value for key, value in form.items() if value is not None}, errors="replace")
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", "Accept": "application/json"}
        told = transport.exchange("POST", "/parse", headers=headers, body=body.encode(), timeout=self._timeout)
        if told.status != 200:
            raise ValueError(f"it answered {told.status}")
        found = plain(decode(told.content.decode()), EVENT_DEPTH - 3)  # An event holds entities three levels deep.
        if not isinstance(found, list):
            raise ValueError("its answer is no list")
        return found

    def _entity(self, found: Mapping[str, Any], length: int) -> Answer:
        """Return an item of Duckling's answer as an entity; `length` is that of the text."""
        about, start, end = found["value"], found["start"], found["end"]
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= length):
            raise ValueError(f"it found something from {start!r} to {end!r}, outside of the text")
        value = about.get("value")
        if about.get("type") == "interval":
            value = {end: (about.get(end) or {}).get("value") for end in ("to", "from")}  # None where it is open.
        return {
            **{"start": start, "end": end, "text": found.get("body"), "value": value, "confidence": 1.0},
            **{"additional_info": about, "entity": str(found["dim"]), "extractor": self.name},
        }


class ResponseSelector:
    """Selects the response key of a retrieval intent: ``faq/opening`` of ``faq``."""

    def __init__(self, retrieval_intents: Sequence[str], is_for_all: bool) -> None:
        self._names, self._is_for_all = retrieval_intents, is_for_all

    def change(self, answer: Answer, seen: str) -> None:
        """Add the network's ranking of response keys under the intent, or of all intents under ``default``."""
        told = answer["network"].get("response_selector", {})
        chosen = answer.setdefault("selected", {"all_retrieval_intents": told.get("all_retrieval_intents", [])})
        if not self._is_for_all:
            chosen |= {name: told[name] for name in self._names if name in told}
            return
        sure = {one["name"]: one["confidence"] for one in answer["network"]["intent_ranking"]}
        ranking = [
            {**one, "confidence": one["confidence"] * sure.get(name, 0.0)}
            for name in told.get("all_retrieval_intents", ())
            for one in told[name]["ranking"]
        ]
        # Rasa's selector for all intents ranks the response keys of all retrieval intents together.
        total = max(sum(one["confidence"] for one in ranking), 1e-30)
        ranking = [{**one, "confidence": one["confidence"] / total} for one in ranking]
        ranking.sort(key=lambda one: -one["confidence"])
        if ranking:
            chosen[DEFAULT_SELECTOR] = {"response": selected(ranking[0]), "ranking": ranking[:MOST_RANKED]}


def selected(best: Mapping[str, Any]) -> Answer:
    """Return the ``response`` of a selector in a parse, for the best response key."""
    return {"responses": None, "utter_action": f"utter_{best['intent_response_key']}", **best}


class Fallback:
    """Gives an unclear message the intent ``nlu_fallback``, with the threshold as its confidence.

    Parameters
    ----------
    threshold
        The least confidence of the best intent of a clear message.
    ambiguity
        The least difference between the confidences of the best two intents of a clear message.
    """

    def __init__(self, threshold: float, ambiguity: float) -> None:
        self._threshold, self._ambiguity = threshold, ambiguity

    def change(self, answer: Answer, seen: str) -> None:
        """Set the intent ``nlu_fallback``, and rank it before all others, if the message is unclear."""
        sure = [one["confidence"] for one in answer["intent_ranking"][:2]]
        is_clear = answer["intent"]["confidence"] >= self._threshold
        if is_clear and not (len(sure) > 1 and sure[0] - sure[1] < self._ambiguity):
            return
        found = {"name": NLU_FALLBACK, "confidence": self._threshold}
        answer["intent"], answer["intent_ranking"] = found, [dict(found), *answer["intent_ranking"]]
