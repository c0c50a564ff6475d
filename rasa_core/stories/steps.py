"""Stories as data: steps, the checkpoints that join them, the graph of all steps, and its text in Markdown.

A *step* is the part of a story between two checkpoints. A story without checkpoints is one step, from
`STORY_START` to `STORY_END`. Writing is the inverse of reading: reading the text of a graph gives the same steps.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from rasa_core import _legacy
from rasa_core.events import ACTION_LISTEN_NAME, Event
from rasa_core.events.base import as_story
from rasa_core.exceptions import StoryParseError
from rasa_core.slots import Slot
from rasa_core.support.places import Place
from rasa_core.trackers.event_log import is_listening, story_lines, story_text

STORY_START: Final = "STORY_START"
STORY_END: Final = None
GENERATED_CHECKPOINT_PREFIX: Final = "GENR_"
CYCLE_PREFIX: Final = "CYCL_"

_LINE_ENDS = re.compile("[\r\n]+")
_OPENS_COMMENT = re.compile("<(?=!--)")


class HasSlots(Protocol):
    """The part of a `DialogueStateTracker` that the condition of a checkpoint needs: its slots."""

    slots: dict[str, Slot]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A named place where steps are joined.

    Parameters
    ----------
    name
        The name; a step that ends with it continues in all steps that start with it.
    conditions
        Slot values that a conversation needs to continue; only at the start of a step.
    """

    name: str
    conditions: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Replace missing conditions by an empty mapping."""
        object.__setattr__(self, "conditions", dict(self.conditions or {}))

    def __hash__(self) -> int:
        """Hash the name; conditions may hold anything."""
        return hash(self.name)

    def accepts(self, tracker: HasSlots) -> bool:
        """Tell whether the slots of `tracker` have the values of all conditions; an unset slot is None."""
        slots, conditions = tracker.slots, self.conditions or {}
        return all((slots[name].value if name in slots else None) == value for name, value in conditions.items())

    def as_story_string(self) -> str:
        """Return the line of a story."""
        return _LINE_ENDS.sub(" ", as_story(f"> {self.name}", self.conditions or {}))


@dataclass(frozen=True, slots=True)
class StoryStep:
    """The events between two checkpoints.

    Parameters
    ----------
    block_name
        Name of the story.
    start_checkpoints
        The checkpoints with which the step begins; `STORY_START` if none are given.
    end_checkpoints
        The checkpoints with which the step ends; none at the end of a story.
    events
        The events in the story, without the events that it implies.
    source, sources
        The place of the step, and the place of each event.
    """

    block_name: str = ""
    start_checkpoints: tuple[Checkpoint, ...] = ()
    end_checkpoints: tuple[Checkpoint, ...] = ()
    events: tuple[Event, ...] = ()
    source: Place | None = field(default=None, compare=False)
    sources: tuple[Place | None, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        """Accept any sequences, and None; complete the sources."""
        set_ = object.__setattr__
        set_(self, "start_checkpoints", tuple(self.start_checkpoints or ()) or (Checkpoint(STORY_START),))
        set_(self, "end_checkpoints", tuple(self.end_checkpoints or ()))
        set_(self, "events", tuple(self.events or ()))
        if len(self.sources) != len(self.events):
            set_(self, "sources", (None,) * len(self.events))

    def create_copy(self, use_new_id: bool = True) -> StoryStep:
        """Return an equal step, to which events can be added."""
        return replace(self)

    def add_event(self, event: Event) -> None:
        """Add an event at the end."""
        object.__setattr__(self, "events", (*self.events, event))
        object.__setattr__(self, "sources", (*self.sources, None))

    add_user_message = add_event

    def as_story_string(self, flat: bool = False) -> str:
        """Return the block of a story file that reads as this step; only its events if `flat`.

        Raises `StoryParseError` if the step has an end checkpoint but no events, for which a story has no words.
        """
        body = _event_lines(self.events)
        if flat:
            return "".join(f"{line}\n" for line in body)
        if self.end_checkpoints and not body:
            problem = "ends with a checkpoint but has no events, which no story can say; join the two checkpoints."
            file, line = (None, None) if self.source is None else (self.source.file, self.source.line)
            raise StoryParseError(f"the story step {self.block_name[:100]!r} {problem}", file, line)
        # Without a body, the checkpoint is all that makes the block a story.
        implied = body and self.start_checkpoints == (Checkpoint(STORY_START),)
        starts = [] if implied else [checkpoint.as_story_string() for checkpoint in self.start_checkpoints]
        # The reader would warn of conditions at an end, which count only where a step begins.
        ends = [replace(checkpoint, conditions=None).as_story_string() for checkpoint in self.end_checkpoints]
        heading = f"## {_in_heading(self.block_name)}".rstrip()
        return "".join(f"{line}\n" for line in (heading, *starts, *body, *ends))


class StoryGraph:
    """The graph of all steps, joined at checkpoints.

    Parameters
    ----------
    story_steps
        The steps, in the order of their files.
    """

    def __init__(self, story_steps: Iterable[StoryStep]) -> None:
        self.story_steps = list(story_steps)

    @cached_property
    def _order(self) -> tuple[list[str], frozenset[tuple[str, str]]]:
        leads: dict[str, dict[str, None]] = {STORY_START: {}}
        for step in self.story_steps:
            for start in step.start_checkpoints:
                onward = leads.setdefault(start.name, {})
                onward.update((end.name, None) for end in step.end_checkpoints)
        return order_checkpoints(leads)

    @property
    def checkpoint_names(self) -> list[str]:
        """All checkpoints, each behind the checkpoints that lead to it, except where a cycle leads back."""
        return self._order[0]

    def leads_back(self, start: str, end: str) -> bool:
        """Tell whether a step from checkpoint `start` to checkpoint `end` closes a cycle."""
        return (start, end) in self._order[1]

    def ordered_steps(self) -> list[StoryStep]:
        """Return the steps, each behind the steps that lead to it, except where a cycle leads back."""
        rank = {name: index for index, name in enumerate(self.checkpoint_names)}
        return sorted(self.story_steps, key=lambda step: max(rank[start.name] for start in step.start_checkpoints))

    @property
    def cyclic_edge_ids(self) -> set[tuple[str, str]]:
        """The checkpoints between which steps close a cycle, as ``(from, to)``; empty without cycles."""
        return set(self._order[1])

    def cyclic_edges(self) -> list[tuple[StoryStep, Checkpoint]]:
        """Return each step that closes a cycle, with the checkpoint by which it leads back."""
        return [
            (step, end)
            for step in self.story_steps
            for end in step.end_checkpoints
            if any(self.leads_back(start.name, end.name) for start in step.start_checkpoints)
        ]

    @staticmethod
    def topological_sort(graph: Mapping[str, Iterable[str]]) -> tuple[deque[str], set[tuple[str, str]]]:
        """Return the names of `graph`, each behind the names that lead to it, and the edges to cut for that."""
        # In 0.9 the search took the targets in their order, and `order_checkpoints` takes them from the last on.
        names, cut = order_checkpoints({name: list(onward)[::-1] for name, onward in graph.items()})
        return deque(names), set(cut)

    def with_cycles_removed(self) -> StoryGraph:
        """Return a graph in which steps that close a cycle end at checkpoints from which nothing goes on."""
        return StoryGraph(part for step in self.story_steps for part in self._without_cycles(step))

    def _without_cycles(self, step: StoryStep) -> list[StoryStep]:
        # A step with several starts may close a cycle from one of them only, and is then two steps.
        parts: dict[tuple[Checkpoint, ...], list[Checkpoint]] = {}
        for start in step.start_checkpoints:
            ends = tuple(
                Checkpoint(CYCLE_PREFIX + end.name) if self.leads_back(start.name, end.name) else end
                for end in step.end_checkpoints
            )
            parts.setdefault(ends, []).append(start)
        return [replace(step, start_checkpoints=tuple(starts), end_checkpoints=ends) for ends, starts in parts.items()]

    def as_story_string(self) -> str:
        """Return the text of a story file that reads as this graph."""
        return "\n".join(step.as_story_string() for step in self.story_steps)

    def visualize(self, output_file: str | Path = "story_blocks_connections.html") -> None:
        """Draw the steps and their checkpoints into a file."""
        _legacy.load("visualize_story_graph")(self, output_file)


class Story:
    """One story, as one or more steps.

    Parameters
    ----------
    story_steps
        The steps, in their order.
    story_name
        The name of the story; made from its events if not given.
    """

    def __init__(self, story_steps: Iterable[StoryStep] = (), story_name: str | None = None) -> None:
        self.story_steps = list(story_steps)
        self.story_name = story_name

    @classmethod
    def from_events(cls, events: Iterable[Event], story_name: str | None = None) -> Story:
        """Return a story of one step with the events of a conversation, without ``action_listen``, which it implies."""
        told = [event for event in events if not is_listening(event)]
        name = story_name if story_name is not None else story_text(told).partition("\n")[0].removeprefix("## ")
        return cls([StoryStep(name, events=tuple(told))], name)

    def as_story_string(self, flat: bool = False) -> str:
        """Return the text of the story; `flat` makes it one block without checkpoints."""
        if flat:
            name = None if self.story_name is None else _in_heading(self.story_name)
            return story_text((event for step in self.story_steps for event in step.events), name)
        return "\n".join(step.as_story_string() for step in self.story_steps)

    def dump_to_file(self, filename: str | Path, flat: bool = False) -> None:
        """Append the story to a file."""
        with open(filename, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(self.as_story_string(flat) + "\n")


def _in_heading(name: str) -> str:
    """Return a name on one line, changed so that it opens no comment and is no template variable."""
    return _OPENS_COMMENT.sub("< ", _LINE_ENDS.sub(" ", name)).replace("`", "'")


def _event_lines(events: Iterable[Event]) -> list[str]:
    """Return the story lines of events; an ``action_listen`` that a story does not imply is kept."""
    lines = []
    for event in events:
        if is_listening(event):
            lines.append(f"    - {ACTION_LISTEN_NAME}")
        else:
            lines += story_lines([event])
    return lines


def order_checkpoints(leads: Mapping[str, Iterable[str]]) -> tuple[list[str], frozenset[tuple[str, str]]]:
    """Sort checkpoints topologically, after cutting cycles.

    The function makes a depth-first search from each name in turn, with a stack of its own, because graphs may be deep.
    The result depends only on the order of the input.

    Parameters
    ----------
    leads
        The names that can be reached in one step from each checkpoint.

    Returns
    -------
    tuple
        All names, each after the names that lead to it; and the cut edges ``(from, to)``, which close a cycle.
    """
    finished: dict[str, None] = {}
    entered: set[str] = set()
    back: set[tuple[str, str]] = set()
    for root in leads:
        if root in entered:
            continue
        entered.add(root)
        # From the last on, so that the finished names, read backwards, keep the order of the stories.
        stack = [(root, iter(reversed(list(leads[root]))))]
        while stack:
            name, onward = stack[-1]
            for target in onward:
                if target not in entered:
                    entered.add(target)
                    stack.append((target, iter(reversed(list(leads.get(target, ()))))))
                    break
                # It is entered and not finished, so it is on the way to here: the edge closes a cycle.
                if target not in finished:
                    back.add((name, target))
            else:
                finished[name] = None
                stack.pop()
    return list(reversed(finished)), frozenset(back)
