"""Actions that follow the same history in different stories, and very many actions in a row.

Notation: two actions have the same history if the last ``max_history`` states before them are equal, which is what
`MemoizationPolicy` compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from typing import Final, NamedTuple

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME
from rasa_core.history import State
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.steps import STORY_START, StoryGraph
from rasa_core.stories.training_tracker import TrainingTracker
from rasa_core.support.places import Place

# How far back it is looked for a difference.
LONGEST_HISTORY: Final = 50

# With more pairs than this, a history is reported once, as a whole.
_MOST_PAIRS: Final = 2_000

States = tuple[int, ...]
"""Numbers of the states before an action, the latest first, at most `LONGEST_HISTORY`."""
ActionAndPlace = tuple[str, Place]


class StoryAction(NamedTuple):
    """One action of a conversation: the states before it, its name, and its place or that of the line that implies it.

    Policies learn all actions except the first one of a story that starts with the bot.
    """

    states: States
    name: str
    place: Place
    is_learnt: bool


@dataclass(slots=True)
class Contradiction:
    """Different actions that follow the same history, with the places of each.

    `needed` is the smallest ``max_history`` that tells all these histories apart; None if there is none.
    """

    actions: list[ActionAndPlace]
    needed: int | None


def conversations_for(graph: StoryGraph, domain: Domain, max_history: int) -> list[TrainingTracker]:
    """Return the conversations of the stories, so that each place and each history occurs.

    Every story counts, even if another story is equal. If checkpoints allow too many paths, enough paths are
    included that no history of `max_history` states is missing.
    """
    found = TrainingDataGenerator(graph, domain, remove_duplicates=False, augmentation_factor=0).generate()
    if all(start.name == STORY_START for step in graph.story_steps for start in step.start_checkpoints):
        return found
    merged = TrainingDataGenerator(graph, domain, unique_last_num_states=max_history, augmentation_factor=0)
    return [*found, *merged.generate()]


def story_actions(trackers: Iterable[TrainingTracker]) -> list[list[StoryAction]]:
    """Return the actions of each conversation since its latest restart; equal states have one number in all of them."""
    numbers: dict[frozenset[tuple[str, float]], int] = {}
    seen: dict[int, tuple[State, int]] = {}  # Holds the states, so that no identity is used again.

    def number_of(state: State) -> int:
        known = seen.get(id(state))
        if known is None:
            known = seen[id(state)] = (state, numbers.setdefault(frozenset(state.items()), len(numbers)))
        return known[1]

    def actions_of(tracker: TrainingTracker) -> Iterator[StoryAction]:
        actions = tracker.actions_with_sources()
        # Numbers rather than states: each is compared with many others, and a tuple of numbers is compared at once.
        latest_first = [number_of(state) for state in tracker.last_states(None)[:-1]][::-1][: len(actions)]
        for left, (action, place) in zip(range(len(actions) - 1, -1, -1), actions, strict=True):
            if place is not None:
                states = tuple(latest_first[left : left + LONGEST_HISTORY])
                yield StoryAction(states, action.action_name, place, not action.unpredictable)

    return [list(actions_of(tracker)) for tracker in trackers]


def find_contradictions(conversations: Iterable[Sequence[StoryAction]], max_history: int) -> list[Contradiction]:
    """Return the contradictions of the stories.

    Each contradiction has a pair of places that no earlier one has, so that several histories which lead to the same
    places are reported once.
    """
    histories: dict[States, dict[tuple[States, str], None]] = {}
    following: dict[States, dict[ActionAndPlace, None]] = {}
    for action in (action for actions in conversations for action in actions if action.is_learnt):
        key = action.states[:max_history]
        histories.setdefault(key, {})[action.states, action.name] = None
        following.setdefault(key, {})[action.name, action.place] = None
    disputed = [key for key, found in following.items() if len({name for name, _ in found}) > 1]
    disputed.sort(key=lambda key: -len(following[key]))  # The largest first, which tells of the smaller ones too.
    contradictions: list[Contradiction] = []
    told: dict[frozenset[ActionAndPlace], Contradiction] = {}
    for key in disputed:
        actions, needed = list(following[key]), _needed(histories[key])
        pairs = [frozenset(actions)]  # With many places, there would be too many pairs.
        if len(actions) ** 2 <= _MOST_PAIRS:
            pairs = [frozenset((one, two)) for one, two in combinations(actions, 2) if one[0] != two[0]]
        for pair in pairs:
            if pair in told:
                known = told[pair]
                known.needed = None if needed is None or known.needed is None else max(known.needed, needed)
        new = [pair for pair in pairs if pair not in told]
        if new:
            taking_part = frozenset().union(*new)
            contradictions.append(Contradiction([action for action in actions if action in taking_part], needed))
            told.update(dict.fromkeys(new, contradictions[-1]))
    return contradictions


def _needed(histories: Iterable[tuple[States, str]]) -> int | None:
    """Return the number of states that tell apart all histories with different actions; None if no number does.

    In sorted histories, the longest common beginning of two histories with different actions is one of neighbours.
    """
    needed = 0
    for (one, action), (two, other) in pairwise(sorted(histories)):
        if action != other:
            if one == two:
                return None
            unlike = (index for index, (mine, yours) in enumerate(zip(one, two, strict=False)) if mine != yours)
            needed = max(needed, next(unlike, min(len(one), len(two))) + 1)
    return needed


def find_long_turns(conversations: Iterable[Sequence[StoryAction]], limit: int) -> dict[Place, int]:
    """Return the places of the `limit`-th action in a row without listening, and the length of each such row."""
    longest: dict[Place, int] = {}
    for actions in conversations:
        for listens, run in groupby(actions, lambda action: action.name == ACTION_LISTEN_NAME):
            turn = list(run)
            if not listens and len(turn) >= limit:
                place = turn[limit - 1].place
                longest[place] = max(longest.get(place, 0), len(turn))
    return longest
