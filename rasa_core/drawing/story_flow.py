"""Makes the diagram of the flow of stories: actions as nodes, the user's messages as labels between them.

The diagram is made from the graph of stories and checkpoints, not from a list of conversations, so that
checkpoints that lead back become loops, and stories are not multiplied. Two places in the stories become one node
if the last ``max_history`` actions are the same, with messages of the same intents and entities between them. After
that, nodes of one name that continue in the same ways are merged, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rasa_core.drawing.diagrams import Diagram, Edge, Kind, Node
from rasa_core.drawing.svg import DrawingError
from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.stories.steps import GENERATED_CHECKPOINT_PREFIX, STORY_START, Checkpoint, StoryGraph, StoryStep

SayMessage = Callable[[UserUttered], str]

MOST_NODES: Final = 20_000
MOST_WAYS_TO_ONE_END: Final = 4


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the stories that the walk has reached.

    Attributes
    ----------
    node : int
        The node of the latest action.
    history : tuple
        The last actions, and the messages between them: two places with the same history are one node.
    keys, texts : tuple
        The messages and events since the latest action, for comparisons and as they are shown.
    entered : frozenset of int
        The steps that the walk has entered since the latest action.
    """

    node: int
    history: tuple[Hashable, ...]
    keys: tuple[Hashable, ...] = ()
    texts: tuple[str, ...] = ()
    entered: frozenset[int] = frozenset()

    def after(self, key: Hashable, text: str) -> _Place:
        return replace(self, keys=(*self.keys, key), texts=(*self.texts, text))


class StoryFlow:
    """Walks through all stories, and makes the diagram.

    Parameters
    ----------
    max_history
        How many actions in a row must be equal for two places to be one node; None to draw every action of every story.
    say
        A function that returns the text for a message.
    """

    def __init__(self, graph: StoryGraph, max_history: int | None, say: SayMessage) -> None:
        self._steps = graph.story_steps
        self._max_history = max_history
        self._say = say
        self._nodes: list[Node] = []
        self._numbers: dict[Hashable, int] = {}
        self._edges: dict[tuple[int, int], dict[Hashable, dict[str, None]]] = {}
        self._waiting: deque[tuple[_Place, int]] = deque()
        self._seen: set[Hashable] = set()
        self._entries: dict[str, list[tuple[int, Checkpoint]]] = {}
        for index, step in enumerate(self._steps):
            for start in step.start_checkpoints:
                self._entries.setdefault(start.name, []).append((index, start))

    def diagram(self, title: str) -> Diagram:
        """Return the diagram; raise `DrawingError` if it would have more than `MOST_NODES` nodes."""
        begin = self._node("start", Node(Kind.START, "start"))
        self._arrive(STORY_START, _Place(begin, ("start",)))
        for name in self._loose_starts():
            number = self._node(("from", name), Node(Kind.CHECKPOINT, name))
            self._arrive(name, _Place(number, (("from", name),)))
        while self._waiting:
            self._walk(*self._waiting.popleft())
        merged = range(len(self._nodes)) if self._max_history is None else self._equal_futures()
        return self._drawn(title, merged)

    def _loose_starts(self) -> list[str]:
        ends = {end.name for step in self._steps for end in step.end_checkpoints}
        return [name for name in self._entries if name != STORY_START and name not in ends]

    def _node(self, key: Hashable, node: Node) -> int:
        if key not in self._numbers:
            if len(self._nodes) >= MOST_NODES:
                raise DrawingError(
                    f"the stories have more than {MOST_NODES} different histories, too many to be shown: "
                    "give a smaller max_history, or fewer stories."
                )
            self._numbers[key] = len(self._nodes)
            self._nodes.append(node)
        return self._numbers[key]

    def _arrive(self, name: str, place: _Place) -> None:
        """Continue from a checkpoint with all steps that start there."""
        for index, start in self._entries.get(name, []):
            onward = place
            if start.conditions:
                line = start.as_story_string().removeprefix("> ").removeprefix(start.name)
                onward = place.after(("if", line), f"if {line}")
            # A walk that returns to a step without an action in between adds nothing.
            key = (index, place.node, place.history, onward.keys, onward.texts)
            if index not in place.entered and key not in self._seen:
                self._seen.add(key)
                self._waiting.append((onward, index))
        if name not in self._entries and name != STORY_START:
            number = self._node(("to", name), Node(Kind.CHECKPOINT, name))
            self._connect(place, number)

    def _walk(self, place: _Place, index: int) -> None:
        step = self._steps[index]
        place = replace(place, entered=place.entered | {index})
        for position, (event, results) in enumerate(_with_results(step.events)):
            if isinstance(event, ActionExecuted):
                place = self._act(place, event.action_name, results, (index, position))
            elif isinstance(event, UserUttered):
                names = tuple(sorted({str(entity.get("entity")) for entity in event.entities}))
                place = place.after(("user", event.intent.get("name"), names), self._say(event))
            else:
                line = event.as_story_string() or ""
                place = place.after(("event", line), line)
        for end in step.end_checkpoints:
            self._arrive(end.name, place)
        if not step.end_checkpoints:
            self._connect(place, self._node("end", Node(Kind.END, "end")))

    def _act(self, place: _Place, name: str, results: tuple[str, ...], where: Hashable) -> _Place:
        if self._max_history is None:
            history: tuple[Hashable, ...] = (where,)
        else:
            longer = (*place.history, place.keys, (name, results))
            # The last `max_history` actions, and the messages between them, without those before the first action.
            history = longer[-(2 * max(1, self._max_history) - 1) :]
        number = self._node(("action", history), Node(Kind.ACTION, name, results))
        self._connect(place, number)
        return _Place(number, history)

    def _connect(self, place: _Place, target: int) -> None:
        ways = self._edges.setdefault((place.node, target), {})
        ways.setdefault(place.keys, {})[" \u203a ".join(place.texts)] = None

    def _equal_futures(self) -> list[int]:
        """Return a class for each node; nodes with the same name and the same continuations have the same class."""
        onward: list[list[tuple[Hashable, int]]] = [[] for _ in self._nodes]
        for (start, end), ways in self._edges.items():
            onward[start].extend((keys, end) for keys in ways)
        # At first all nodes are one class; each round splits classes whose nodes lead to different classes.
        classes, count = [0] * len(self._nodes), 0
        while True:
            known: dict[Hashable, int] = {}
            classes = [
                known.setdefault((node, frozenset((keys, classes[end]) for keys, end in onward[number])), len(known))
                for number, node in enumerate(self._nodes)
            ]
            if len(known) == count:
                return classes
            count = len(known)

    def _drawn(self, title: str, classes: Sequence[int]) -> Diagram:
        found = dict(zip(reversed(classes), reversed(self._nodes), strict=True))  # Of each class, its first node stays.
        nodes = [found[number] for number in range(len(found))]
        labels: dict[tuple[int, int], dict[str, None]] = {}
        for (start, end), ways in self._edges.items():
            shown = labels.setdefault((classes[start], classes[end]), {})
            for texts in ways.values():
                shown.update(texts)
        ends = [end for _, end in labels if nodes[end].kind is Kind.END]
        edges: list[Edge] = []
        for (start, end), said in labels.items():
            # If many stories end, each gets an end node of its own, to avoid arrows across the whole diagram.
            if end in ends and len(ends) > MOST_WAYS_TO_ONE_END and any(end == other.end for other in edges):
                nodes.append(nodes[end])
                end = len(nodes) - 1
            edges.append(Edge(start, end, tuple(said)))
        return Diagram(title, tuple(nodes), tuple(edges))


def _with_results(events: Sequence[Event]) -> Iterator[tuple[Event, tuple[str, ...]]]:
    """Yield the events of a step; the events after an action come with the action, as story lines."""
    index = 0
    while index < len(events):
        event = events[index]
        index += 1
        if isinstance(event, ActionExecuted):
            first = index
            while index < len(events) and not isinstance(events[index], ActionExecuted | UserUttered):
                index += 1
            if event.action_name != ACTION_LISTEN_NAME:
                lines = (result.as_story_string() for result in events[first:index])
                yield event, tuple(line for line in lines if line)
        elif isinstance(event, UserUttered):
            yield event, ()
            filled = {(entity.get("entity"), repr(entity.get("value"))) for entity in event.entities}
            while index < len(events) and _repeats(events[index], filled):
                index += 1
        else:
            yield event, ()


def _repeats(event: Event, filled: set[tuple[object, str]]) -> bool:
    """Tell whether an event sets a slot to the value that an entity of the message has already set."""
    return isinstance(event, SlotSet) and (event.key, repr(event.value)) in filled


def diagram_of_steps(graph: StoryGraph, title: str) -> Diagram:
    """Return the diagram of story steps and the checkpoints that join them."""
    nodes = [Node(Kind.START, "start")]
    checkpoints: dict[str, int] = {STORY_START: 0}
    edges: dict[tuple[int, int], dict[str, None]] = {}

    def checkpoint_node(name: str) -> int:
        if name not in checkpoints:
            checkpoints[name] = len(nodes)
            nodes.append(Node(Kind.CHECKPOINT, "" if name.startswith(GENERATED_CHECKPOINT_PREFIX) else name))
        return checkpoints[name]

    for step in graph.ordered_steps():
        starts = [(checkpoint_node(start.name), start.conditions) for start in step.start_checkpoints]
        number = len(nodes)
        nodes.append(Node(Kind.STEP, step.block_name, tuple(_lines_of(step))))
        for checkpoint, conditions in starts:
            label = ", ".join(f"{slot} = {value!r}" for slot, value in (conditions or {}).items())
            edges.setdefault((checkpoint, number), {})[label] = None
        for end in step.end_checkpoints:
            edges.setdefault((number, checkpoint_node(end.name)), {})[""] = None
    return Diagram(title, tuple(nodes), tuple(Edge(*ends, tuple(labels)) for ends, labels in edges.items()))


def _lines_of(step: StoryStep) -> list[str]:
    return [line.strip() for line in step.as_story_string(flat=True).splitlines()]
