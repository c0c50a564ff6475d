"""Cuts one story into steps, at its checkpoints and alternatives, whatever format it was written in."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

from rasa_core.events import Event, UserUttered
from rasa_core.stories.steps import GENERATED_CHECKPOINT_PREFIX, Checkpoint, Source, StoryStep

logger = logging.getLogger(__name__)


class StoryBuilder:
    """Collects what one story says, line by line, and gives its steps.

    Parameters
    ----------
    name
        Name of the story.
    source
        Where it begins.
    label
        Tells its file from others, the same on every machine; generated checkpoints are named after it.
    """

    def __init__(self, name: str, source: Source, label: str = "") -> None:
        self._name = name
        self._source = source
        self._label = label
        self._steps: list[StoryStep] = []
        self._generated = 0
        self._open((), source)

    def _open(self, starts: Sequence[Checkpoint], source: Source) -> None:
        self._starts = list(starts)
        self._begin = source
        self._events: list[Event] = []
        self._sources: list[Source] = []
        self._alternatives: list[UserUttered] = []
        self._ends: list[Checkpoint] = []

    def add_checkpoint(self, checkpoint: Checkpoint, source: Source) -> None:
        """Add a checkpoint: a start of the story if nothing stands before it, else an end of what does."""
        if not self._events and not self._alternatives:
            self._starts.append(checkpoint)
            return
        if checkpoint.conditions:
            logger.warning(
                "%s: the conditions of the checkpoint %.80r are ignored; only those at a start count.",
                source,
                checkpoint.name,
            )
        self._ends.append(Checkpoint(checkpoint.name))

    def add_events(self, events: Sequence[Event], source: Source) -> None:
        """Add what one line says."""
        self._go_on(source)
        self._events.extend(events)
        self._sources.extend([source] * len(events))

    def add_alternatives(self, messages: Sequence[UserUttered], source: Source) -> None:
        """Add a line that says that the user sends one of several messages."""
        self._go_on(source)
        if self._events:
            self._split(source)
        self._alternatives = list(messages)
        self._sources = [source]

    def _go_on(self, source: Source) -> None:
        """Begin a new step if the present one is complete."""
        if self._ends or self._alternatives:
            self._split(source)

    def _split(self, source: Source) -> None:
        self._ends = self._ends or [Checkpoint(self._generated_name(source))]
        self._close()
        self._open(self._ends, source)

    def _close(self) -> None:
        runs: list[list[Event]] = [[message] for message in self._alternatives] or [self._events]
        for events in runs:
            step = StoryStep(
                self._name,
                tuple(self._starts),
                tuple(self._ends),
                tuple(events),
                self._begin,
                tuple(self._sources),
            )
            self._steps.append(step)

    def _generated_name(self, source: Source) -> str:
        self._generated += 1
        place = f"{self._label}\0{self._name}\0{source.line}\0{self._generated}"
        words = [event.as_story_string() for event in (*self._alternatives, *self._events)]
        unique = f"{place}\0{words}"
        digest = hashlib.blake2b(unique.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return f"{GENERATED_CHECKPOINT_PREFIX}OR_{digest}"

    def finish(self) -> list[StoryStep]:
        """Return the steps; none, with a log entry, if the story says nothing."""
        if self._events or self._alternatives or self._starts:
            self._close()
        else:
            logger.warning("%s: the story has no lines and is skipped.", self._source)
        return self._steps
