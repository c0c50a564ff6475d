"""One evaluated story: what was predicted at each of its actions; and how that is written as a story file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.exceptions import RasaCoreError
from rasa_core.stories.steps import Source, StoryStep

if TYPE_CHECKING:
    from rasa_core.policies.policy import Prediction

NONE_FAILED: Final = "<!-- No story failed. -->\n"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """One action of a story, and what was predicted in its place.

    Attributes
    ----------
    expected : str
        What the story does.
    prediction : Prediction
        What the model would do.
    """

    expected: str
    prediction: Prediction

    @property
    def is_right(self) -> bool:
        """Whether the model would do what the story does."""
        return self.expected == self.prediction.action


@dataclass(frozen=True, slots=True)
class StoryResult:
    """One story.

    Attributes
    ----------
    name : str
        Its name; those of all stories that it goes through, if it has checkpoints.
    events : tuple of Event
        All that happens in it.
    sources : tuple of (Source or None)
        For each event, where it stands, or the line that implies it.
    results : tuple of (ActionResult or None)
        For each event, its result if it is an action that counts.
    """

    name: str
    events: tuple[Event, ...]
    sources: tuple[Source | None, ...]
    results: tuple[ActionResult | None, ...]

    @property
    def source(self) -> Source | None:
        """Where the story begins; None if it was not read from a file."""
        return next((source for source in self.sources if source is not None), None)

    @property
    def actions(self) -> list[ActionResult]:
        """The results of all actions that count."""
        return [result for result in self.results if result is not None]

    @property
    def right(self) -> int:
        """Number of actions that were predicted right."""
        return sum(result.is_right for result in self.actions)

    @property
    def is_right(self) -> bool:
        """Whether all actions were predicted right."""
        return all(result.is_right for result in self.actions)

    def first_wrong(self) -> tuple[ActionResult, Source | None]:
        """Return the first action that was predicted wrong, and where it stands.

        Raises
        ------
        LookupError
            If there is none.
        """
        for result, source in zip(self.results, self.sources, strict=True):
            if result is not None and not result.is_right:
                return result, source
        raise LookupError(f"every action of the story {self.name!r} was predicted right.")

    def export_stories(self) -> str:
        """Return the story as text that can be read again, and what was predicted instead as comments."""
        lines = [f"## {self.name.replace('`', chr(39))}"]
        if self.source is not None and self.source.file is not None:
            lines.append(f"<!-- {_in_comment(f'{self.source.file}:{self.source.line}')} -->")
        implied = _implied(self.events, self.sources)
        for index, (event, result) in enumerate(zip(self.events, self.results, strict=True)):
            text = "" if index in implied else StoryStep(events=(event,)).as_story_string(flat=True).rstrip("\n")
            if result is not None and not result.is_right:
                text = f"{text or '   '} {_comment(result, is_told=bool(text))}"
            if text:
                lines.append(text)
        return "\n".join(lines) + "\n"


def told_events(events: Iterable[Event], sources: Iterable[Source | None]) -> list[tuple[Event, Source | None]]:
    """Return the events that a story tells: all but listening before a message, and slots from entities."""
    events, sources = tuple(events), tuple(sources)
    implied = _implied(events, sources)
    return [pair for place, pair in enumerate(zip(events, sources, strict=True)) if place not in implied]


def _implied(events: Sequence[Event], sources: Sequence[Source | None]) -> set[int]:
    """Return the positions of the events that a story leaves out."""
    found = set()
    said_at: Source | None = None
    for place, (event, source) in enumerate(zip(events, sources, strict=True)):
        following = events[place + 1] if place + 1 < len(events) else None
        if isinstance(event, UserUttered):
            said_at = source
            continue
        if isinstance(event, SlotSet):
            is_implied = source is not None and source is said_at
        else:
            is_implied = _is_listening(event) and (following is None or isinstance(following, UserUttered))
        if is_implied:
            found.add(place)
    return found


def _is_listening(event: Event) -> bool:
    return isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME


def write_failed_stories(failed: Iterable[StoryResult], path: str | Path) -> None:
    """Write stories into a story file, with comments where something else was predicted.

    Raises
    ------
    RasaCoreError
        If the file cannot be written.
    """
    text = "\n".join(story.export_stories() for story in failed) or NONE_FAILED
    try:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RasaCoreError(f"cannot write the failed stories to {str(path)!r}: {error.strerror or error}.") from error


def _comment(result: ActionResult, is_told: bool) -> str:
    found = result.prediction
    by = f", {found.policy}" if found.policy is not None else ""
    instead = "" if is_told else f" instead of {result.expected}"
    return f"<!-- predicted: {_in_comment(found.action)}{instead} ({found.confidence:.2f}{by}) -->"


def _in_comment(text: str) -> str:
    return text.replace("-->", "-- >").replace("\n", " ")
