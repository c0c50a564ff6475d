"""Differences between two models in predictions, intents, entities and stories; equal differences are one group."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from rasa_core.events import Event, UserUttered
from rasa_core.teaching.corrections import CORRECTED

Verdict = Literal["worse", "better", "changed"]

Kind = Literal["action", "intent", "entities"]
VERDICTS: Final[tuple[Verdict, ...]] = ("worse", "better", "changed")
MOST_EXAMPLES: Final = 20
"""The largest number of example conversations of each change."""


@dataclass(slots=True)
class Change:
    """A group of predictions that differ in the same way.

    Attributes
    ----------
    intent, before, after : str
        The intent of the message before, and the predictions of the two models.
    kind : str
        What differs: the ``action``, or the ``intent`` or ``entities`` of a message.
    verdict : str
        ``worse``, ``better`` or ``changed``.
    count : int
        The number of predictions.
    examples : list of (str, int)
        The first predictions of the group: a conversation, and the position.
    """

    intent: str
    before: str
    after: str
    verdict: Verdict
    kind: Kind = "action"
    count: int = 0
    examples: list[tuple[str, int]] = field(default_factory=list)

    def __str__(self) -> str:
        """Return ``greet: utter_a -> utter_b, 12 times (worse)``."""
        times = "once" if self.count == 1 else f"{self.count} times"
        what = {"action": self.intent or "no intent", "intent": "understood", "entities": f"entities of {self.intent}"}
        return f"{what[self.kind]}: {self.before} -> {self.after}, {times} ({self.verdict})"

    def as_dict(self) -> dict[str, Any]:
        """Return the content as JSON, with its text."""
        examples = [{"sender_id": sender_id, "at": at} for sender_id, at in self.examples]
        about = {"intent": self.intent, "before": self.before, "after": self.after, "verdict": self.verdict}
        return {**about, "kind": self.kind, "count": self.count, "examples": examples, "text": str(self)}


@dataclass(slots=True)
class StoriesCompared:
    """The names of the stories that fail with only one of two models, and the number of stories."""

    name: str
    total: int = 0
    broken: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    failing: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {
            **{"name": self.name, "total": self.total, "failing": self.failing},
            **{"broken": self.broken, "mended": self.mended},
        }


@dataclass(slots=True)
class Comparison:
    """The differences between two models.

    Attributes
    ----------
    conversations, decisions : int
        The numbers of conversations and predictions that were compared.
    changes : list of Change
        The predictions that differ, the worst and most frequent first.
    understood, entities : list of Change
        The differences in the intents, and in the entities, of typed messages; their verdict is ``changed``, unless
        somebody has corrected the message.
    stories : list of StoriesCompared
        Stories and tests.
    """

    conversations: int = 0
    decisions: int = 0
    changes: list[Change] = field(default_factory=list)
    understood: list[Change] = field(default_factory=list)
    entities: list[Change] = field(default_factory=list)
    stories: list[StoriesCompared] = field(default_factory=list)

    def count(self, verdict: Verdict) -> int:
        """Return the number of predictions that are better, worse, or changed."""
        return sum(change.count for change in self.changes if change.verdict == verdict)

    @property
    def is_worse(self) -> bool:
        """Whether a story fails only with the second model, or a prediction, intent or entity is worse."""
        changes = (*self.changes, *self.understood, *self.entities)
        return any(found.broken for found in self.stories) or any(change.verdict == "worse" for change in changes)

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {
            **{"conversations": self.conversations, "decisions": self.decisions, "is_worse": self.is_worse},
            **{verdict: self.count(verdict) for verdict in VERDICTS},
            "changes": [change.as_dict() for change in self.changes],
            "understood": [change.as_dict() for change in self.understood],
            "entities": [change.as_dict() for change in self.entities],
            "stories": [found.as_dict() for found in self.stories],
        }


class Difference(NamedTuple):
    """One prediction that differs, at a position of a conversation; the other fields are as in `Change`."""

    kind: Kind
    intent: str
    before: str
    after: str
    verdict: Verdict
    at: int


class Replayed(NamedTuple):
    """The result for one conversation: the number of its predictions, and the differences."""

    decisions: int
    notes: list[Difference]


ReplayedConversations = list[tuple[str, Replayed]]
"""The ids of conversations with their results."""


class Tally:
    """Adds up the results for conversations, in their order.

    Attributes
    ----------
    found : Comparison
        The counts so far, without the changes, which `comparison` adds.
    """

    def __init__(self) -> None:
        self.found = Comparison()
        self._groups: dict[tuple[str, ...], Change] = {}

    def add(self, sender_id: str, one: Replayed) -> None:
        """Add the result for a conversation."""
        self.found.conversations += 1
        self.found.decisions += one.decisions
        for kind, intent, before, after, verdict, at in one.notes:
            key = kind, intent, before, after, verdict
            change = self._groups.setdefault(key, Change(intent, before, after, verdict, kind))
            change.count += 1
            if len(change.examples) < MOST_EXAMPLES:
                change.examples.append((sender_id, at))

    def comparison(self) -> Comparison:
        """Return the whole comparison, the worst and most frequent changes first."""
        changes = sorted(self._groups.values(), key=_order)
        kinds: dict[Kind, list[Change]] = {"action": [], "intent": [], "entities": []}
        for change in changes:
            kinds[change.kind].append(change)
        self.found.changes, self.found.understood, self.found.entities = kinds.values()
        return self.found


def _order(change: Change) -> tuple[int, int, str]:
    return VERDICTS.index(change.verdict), -change.count, str(change)


def verdict_on(right: object, old: object, new: object) -> Verdict:
    """Return the verdict on two predictions; without a known `right` one, neither is right."""
    return "worse" if old == right else "better" if new == right else "changed"


Understand = Callable[[str], Mapping[str, Any]]


class Heard:
    """The intents and entities that two bots find in typed messages; each text is parsed once."""

    def __init__(self, understand: tuple[Understand, Understand]) -> None:
        self._understand = understand
        self._known: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}

    def notes(self, events: Sequence[Event]) -> Iterator[Difference]:
        """Yield the differences in the intents and entities of a conversation's messages."""
        for position, event in enumerate(events):
            if isinstance(event, UserUttered) and event.text and not event.text.startswith("/"):  # It names its intent.
                yield from self._notes(position, event, event.text)

    def _notes(self, position: int, event: UserUttered, text: str) -> Iterator[Difference]:
        if text not in self._known:
            self._known[text] = (self._understand[0](text), self._understand[1](text))
        old, new = self._known[text]
        is_right = bool((event.metadata or {}).get(CORRECTED))
        meant = (_named(event.parse_data), _found(event.parse_data)) if is_right else (None, None)
        if _named(old) != _named(new):
            verdict = verdict_on(meant[0], _named(old), _named(new))
            yield Difference("intent", "understood", _named(old), _named(new), verdict, position)
        if _found(old) != _found(new):
            told = _told_apart(_found(old), _found(new))
            yield Difference("entities", _named(old), *told, verdict_on(meant[1], _found(old), _found(new)), position)


Entities = tuple[tuple[str, str], ...]


def _named(parsed: Mapping[str, Any]) -> str:
    return str((parsed.get("intent") or {}).get("name") or "")


def _found(parsed: Mapping[str, Any]) -> Entities:
    """Return the entities of a message, with roles and groups, and their values, in the order of their names."""
    found = parsed.get("entities") or ()
    return tuple(sorted((_kind_of(one), json.dumps(one.get("value"), ensure_ascii=False)) for one in found))


def _kind_of(entity: Mapping[str, Any]) -> str:
    parts = (entity.get("role"), entity.get("group"))
    return " ".join([str(entity.get("entity")), *(f"({part})" for part in parts if part)])


def _told_apart(old: Entities, new: Entities) -> tuple[str, str]:
    """Return the entities that only one of two lists has: their names, or also their values if the names are equal."""
    one, other = (Counter(name for name, _ in found) for found in (old, new))
    if one == other:
        one, other = (Counter(map(" ".join, found)) for found in (old, new))
    return _listed(one - other), _listed(other - one)


def _listed(names: Counter[str]) -> str:
    return ", ".join(sorted(names.elements())) or "none"
