"""Turns that stories teach in two ways: the same history, but another action follows.

Notation: a *turn* is an action of a conversation with the states before it; two turns have the same history
if their last ``max_history`` states are equal, which is what `MemoizationPolicy` compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from typing import TYPE_CHECKING, Final

from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
)
from rasa_core.history import State
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.steps import STORY_START, Source, StoryGraph
from rasa_core.stories.tracker import TrainingTracker

if TYPE_CHECKING:
    from rasa_core.domain import Domain

# How far back it is looked for a difference.
LONGEST_HISTORY: Final = 50

# Of more pairs than that, one history is told as a whole, once.
_MOST_PAIRS: Final = 2_000

Path = tuple[int, ...]
Way = tuple[str, Source]


@dataclass(frozen=True, slots=True)
class Turn:
    """One action of a conversation.

    Attributes
    ----------
    path : tuple of int
        Numbers of the states before it, the latest first, at most `LONGEST_HISTORY`.
    action : str
        Its name.
    source : Source
        Where it stands, or the line that implies it.
    is_taught : bool
        Whether policies learn it; the first action of a story that starts with the bot is not.
    """

    path: Path
    action: str
    source: Source
    is_taught: bool


@dataclass(slots=True)
class Contradiction:
    """Places at which the stories go on with different actions after the same history.

    Attributes
    ----------
    ways : list of (str, Source)
        Actions, and where each follows.
    needed : int or None
        The least ``max_history`` that tells all of them apart; None if none does.
    """

    ways: list[Way]
    needed: int | None


def conversations_for(graph: StoryGraph, domain: Domain, max_history: int) -> list[TrainingTracker]:
    """Return the conversations of the stories, so that each place and each history occurs.

    Every story counts, also one that is like another. Where checkpoints allow too many ways, those are added
    that merging leaves, so that no history of `max_history` states is missing.
    """
    found = TrainingDataGenerator(graph, domain, remove_duplicates=False, augmentation_factor=0).generate()
    if all(start.name == STORY_START for step in graph.story_steps for start in step.start_checkpoints):
        return found
    merged = TrainingDataGenerator(graph, domain, unique_last_num_states=max_history, augmentation_factor=0)
    return [*found, *merged.generate()]


class TurnReader:
    """Gives equal states of all conversations that it reads one number."""

    def __init__(self) -> None:
        self._numbers: dict[frozenset[tuple[str, float]], int] = {}
        self._seen: dict[int, tuple[State, int]] = {}  # Holds the states, so that no identity is used again.

    def turns_of(self, tracker: TrainingTracker) -> list[Turn]:
        """Return the turns of a conversation since its latest restart."""
        numbers = [self._number(state) for state in tracker.last_states(None)[:-1]]
        applied = tracker.applied_with_sources()
        actions = [(event, source) for event, source in applied if isinstance(event, ActionExecuted)]
        latest_first = numbers[len(numbers) - len(actions) :][::-1]
        found = []
        for left, (action, source) in zip(range(len(actions) - 1, -1, -1), actions, strict=True):
            if source is not None:
                path = tuple(latest_first[left : left + LONGEST_HISTORY])
                found.append(Turn(path, action.action_name, source, not action.unpredictable))
        return found

    def _number(self, state: State) -> int:
        known = self._seen.get(id(state))
        if known is None:
            number = self._numbers.setdefault(frozenset(state.items()), len(self._numbers))
            known = self._seen[id(state)] = (state, number)
        return known[1]


def read_turns(trackers: Iterable[TrainingTracker]) -> list[list[Turn]]:
    """Return the turns of each conversation."""
    reader = TurnReader()
    return [reader.turns_of(tracker) for tracker in trackers]


# -- contradictions


def find_contradictions(conversations: Iterable[Sequence[Turn]], max_history: int) -> list[Contradiction]:
    """Return where the stories contradict each other.

    What different histories lead to is told once: each contradiction has a pair of places that none before it has.
    """
    entries: dict[Path, dict[tuple[Path, str], None]] = {}
    ways: dict[Path, dict[Way, None]] = {}
    for turn in (turn for turns in conversations for turn in turns if turn.is_taught):
        key = turn.path[:max_history]
        entries.setdefault(key, {})[turn.path, turn.action] = None
        ways.setdefault(key, {})[turn.action, turn.source] = None
    disputed = [key for key, found in ways.items() if len({action for action, _ in found}) > 1]
    disputed.sort(key=lambda key: -len(ways[key]))
    collected = _Pairs()
    for key in disputed:
        collected.add(list(ways[key]), _needed(entries[key]))
    return collected.contradictions


class _Pairs:
    """Tells each pair of places once, though different histories may lead to it."""

    def __init__(self) -> None:
        self.contradictions: list[Contradiction] = []
        self._told: dict[frozenset[Way], Contradiction] = {}

    def add(self, ways: list[Way], needed: int | None) -> None:
        """Add what follows one history."""
        pairs = [frozenset(ways)]
        if len(ways) ** 2 <= _MOST_PAIRS:
            pairs = [frozenset((one, two)) for one, two in combinations(ways, 2) if one[0] != two[0]]
        new = [pair for pair in pairs if pair not in self._told]
        for pair in pairs:
            if pair in self._told:
                known = self._told[pair]
                known.needed = None if needed is None or known.needed is None else max(known.needed, needed)
        if new:
            taking_part = frozenset().union(*new)
            contradiction = Contradiction([way for way in ways if way in taking_part], needed)
            self.contradictions.append(contradiction)
            self._told.update(dict.fromkeys(new, contradiction))


def _needed(entries: Iterable[tuple[Path, str]]) -> int | None:
    """Return how many states tell apart all histories that different actions follow; None if none do.

    Of sorted histories, the longest beginning that two of different actions share is shared by neighbours.
    """
    needed = 0
    for (one, action), (two, other) in pairwise(sorted(entries)):
        if action != other:
            if one == two:
                return None
            needed = max(needed, _alike(one, two) + 1)
    return needed


def _alike(one: Path, two: Path) -> int:
    """Return how many states two paths share at their beginning."""
    unlike = (index for index, (state, other) in enumerate(zip(one, two, strict=False)) if state != other)
    return next(unlike, min(len(one), len(two)))


# -- long turns


def find_long_runs(conversations: Iterable[Sequence[Turn]], limit: int) -> dict[Source, int]:
    """Return where the bot does its `limit`-th action without listening, and how many actions it does there."""
    longest: dict[Source, int] = {}
    for turns in conversations:
        for listens, run in groupby(turns, lambda turn: turn.action == ACTION_LISTEN_NAME):
            actions = list(run)
            if not listens and len(actions) >= limit:
                source = actions[limit - 1].source
                longest[source] = max(longest.get(source, 0), len(actions))
    return longest
