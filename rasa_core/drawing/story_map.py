"""A map of stories: a graph of actions with their places in the files, and the paths of conversations through it.

A node is an action together with the action before, and the intents between the two. So the paths of different stories
share a node where these are the same, and any conversation can be mapped to a path by the same rule. If there would be
more nodes than a page can show, a node is an action alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rasa_core.drawing.layout import Box, Link, lay_out
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, Restarted, UserUttered
from rasa_core.events.rasa3 import SessionStarted
from rasa_core.support.places import Place

MOST_NODES: Final = 2000
MOST_PLACES: Final = 20
MOST_WAYS: Final = 400
"""The most edges that are drawn if a node is an action alone, since then nearly every action may follow every other."""

_LETTER, _LINE, _PADDING = 7.2, 17.0, 22.0
_SKIPPED: Final = (ACTION_LISTEN_NAME, "action_session_start")
_START: Final = ("start",)

MappedStory = tuple[Sequence[Event], Sequence[Place | None]]


@dataclass(slots=True)
class _Node:
    name: str
    kind: str
    places: dict[Place, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Step:
    """An action on a path: the key of its node, its name, and the intents before it."""

    key: Hashable
    name: str
    said: tuple[str, ...]


class StoryMap:
    """The map of some stories.

    Parameters
    ----------
    stories
        For each story its events, and the place of each event in the files.
    """

    def __init__(self, stories: Iterable[MappedStory]) -> None:
        stories = list(stories)
        self.is_grouped = False
        self._read(stories)
        if len(self._nodes) > MOST_NODES:
            self.is_grouped = True
            self._read(stories)

    def _read(self, stories: Iterable[MappedStory]) -> None:
        self._numbers: dict[Hashable, int] = {_START: 0}
        self._nodes = [_Node("start", "start")]
        self._edges: dict[tuple[int, int], dict[str, None]] = {}
        self._taken: Counter[tuple[int, int]] = Counter()
        for events, sources in stories:
            before = 0
            for step, place in self._steps(events, sources):
                number = self._number(step)
                if place is not None:
                    self._nodes[number].places[place] = None
                self._edges.setdefault((before, number), {})[" + ".join(step.said)] = None
                self._taken[before, number] += 1
                before = number

    def _number(self, step: _Step) -> int:
        if step.key not in self._numbers:
            self._numbers[step.key] = len(self._nodes)
            self._nodes.append(_Node(step.name, "action"))
        return self._numbers[step.key]

    def _steps(
        self, events: Sequence[Event], sources: Sequence[Place | None] | None = None
    ) -> Iterable[tuple[_Step, Place | None]]:
        """Yield the actions of a path, except ``action_listen``; a restart starts a new path."""
        before, said = "start", list[str]()
        for position, event in enumerate(events):
            if isinstance(event, Restarted | SessionStarted):
                before, said = "start", list[str]()
            elif isinstance(event, UserUttered):
                said.append(str(event.intent.get("name") or "?"))
            elif isinstance(event, ActionExecuted) and event.action_name not in _SKIPPED:
                name = event.action_name
                key = name if self.is_grouped else (before, tuple(said), name)
                yield _Step(key, name, tuple(said)), None if sources is None else sources[position]
                before, said = name, []

    # -- conversations on it

    def way(self, events: Sequence[Event]) -> list[int | None]:
        """Return the nodes on the path of a conversation; None for an action that no story has there."""
        return [self._numbers.get(step.key) for step, _ in self._steps(events)]

    def coverage(self, conversations: Iterable[Sequence[Event]]) -> dict[str, Any]:
        """Return how often conversations pass each node, and how many of them never leave the stories."""
        visits: Counter[int] = Counter()
        count = inside = 0
        for events in conversations:
            way = self.way(events)
            if not way:
                continue
            count += 1
            inside += None not in way
            visits.update({number for number in way if number is not None})
        return {"conversations": count, "inside": inside, "visits": dict(visits)}

    # -- drawing

    def as_dict(self) -> dict[str, Any]:
        """Return nodes and edges with their positions on the map, as data for JSON."""
        boxes = [Box(len(node.name) * _LETTER + _PADDING, 2 * _LINE) for node in self._nodes]
        ways = self._ways()
        labels = {ends: _label(self._edges[ends]) for ends in ways}
        links = [
            Link(start, end, len(labels[start, end]) * _LETTER * 0.9, _LINE if labels[start, end] else 0.0)
            for start, end in ways
        ]
        width, height = lay_out(boxes, links)
        return {
            **{"width": round(width), "height": round(height), "grouped": self.is_grouped},
            "left_out": sum(start != end for start, end in self._edges) - len(ways),
            "nodes": [self._told(node, box) for node, box in zip(self._nodes, boxes, strict=True)],
            "edges": [
                {
                    **{"from": link.start, "to": link.end, "label": labels[link.start, link.end]},
                    **{"points": [_rounded(point) for point in link.points], "at": _rounded(link.label)},
                }
                for link in links
            ],
        }

    def _ways(self) -> list[tuple[int, int]]:
        """Return the edges: all, or the most frequent ones and at least one edge into each node."""
        ways = [(start, end) for start, end in self._edges if start != end]
        if not self.is_grouped or len(ways) <= MOST_WAYS:
            return ways
        often = sorted(ways, key=lambda ends: -self._taken[ends])  # Equally frequent edges stay in story order.
        first_into = {end: (start, end) for start, end in reversed(often)}
        kept = set(first_into.values())
        kept |= set([ends for ends in often if ends not in kept][: max(0, MOST_WAYS - len(kept))])
        return [ends for ends in ways if ends in kept]

    @staticmethod
    def _told(node: _Node, box: Box) -> dict[str, Any]:
        places = [str(place) for place in list(node.places)[:MOST_PLACES]]
        return {
            **{"name": node.name, "kind": node.kind, "places": places, "stories": len(node.places)},
            **{"x": round(box.x), "y": round(box.y), "width": round(box.width), "height": round(box.height)},
        }


def _label(said: Iterable[str]) -> str:
    found = [text for text in said if text]
    text = ", ".join(found[:3]) + (f" +{len(found) - 3}" if len(found) > 3 else "")
    return text if len(text) <= 40 else f"{text[:39]}\N{HORIZONTAL ELLIPSIS}"


def _rounded(point: tuple[float, float]) -> list[int]:
    return [round(point[0]), round(point[1])]
