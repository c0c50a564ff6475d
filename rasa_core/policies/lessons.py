"""What taught a policy to decide as it does: training turns, and where they stand in the stories.

A *lesson* is a training turn: what the policy saw, and the action that followed, with all the places where that
stands. `rasa_core.policies.lesson_book` keeps them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rasa_core.stories.steps import Source
    from rasa_core.trackers import DialogueStateTracker

MOST_PLACES: Final = 10
"""How many places of one lesson are told; of the others, only how many there are."""

NO_PLACES: Final = "the training conversations were not read from story files, so it is not known where they stand."
NO_LESSONS: Final = "the model does not tell where its training turns stand; train it again."
NEW_TURN: Final = "no story has this."
CONTRADICTORY: Final = "the stories contradict one another here, so that nothing is memorised."

StateItems = frozenset[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A training turn.

    Attributes
    ----------
    action : str
        The action that followed.
    places : tuple of str
        Where it stands, as ``file:line "story"``, in the order of files and lines; at most `MOST_PLACES`.
    more : int
        How many further places there are.
    count : int
        How often it was seen in training.
    similarity : float
        Cosine of the angle between what was seen then and now; 1.0 for the same.
    """

    action: str
    places: tuple[str, ...]
    more: int
    count: int
    similarity: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return the content, JSON-able."""
        return {**asdict(self), "places": list(self.places)}


@dataclass(frozen=True, slots=True)
class Lessons:
    """What taught a policy.

    Attributes
    ----------
    turns : tuple of Lesson
        The training turns, those that matter most first.
    note : str or None
        What else there is to know, such as why there are no turns.
    """

    turns: tuple[Lesson, ...] = ()
    note: str | None = None


def sources_of(tracker: DialogueStateTracker) -> Sequence[Sequence[Source]] | None:
    """Return where each action of a conversation stands, None if the conversation was not made from stories.

    The actions are those among ``tracker.applied_events()``, those that are not to be learnt included.
    """
    found: Sequence[Sequence[Source]] | None = getattr(tracker, "action_sources", lambda: None)()
    return found


def turn_key(states: Iterable[StateItems], known: dict[StateItems, bytes]) -> int:
    """Return a 64-bit number for a sequence of states, the same in every process.

    Parameters
    ----------
    states
        The items of each state, oldest first.
    known
        What was computed for single states before; gets more.
    """
    whole = hashlib.blake2b(digest_size=8)
    for state in states:
        digest = known.get(state)
        if digest is None:
            text = repr(sorted(state)).encode("utf-8", "surrogatepass")
            digest = known[state] = hashlib.blake2b(text, digest_size=8).digest()
        whole.update(digest)
    return int.from_bytes(whole.digest(), "little")
