"""Build story steps from the lines of a story in any format, and compare its names with those of a domain."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Container, Iterable, Sequence
from typing import Final

from rasa_core.domain import Domain
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    Event,
    FollowupAction,
    ReminderScheduled,
    SlotSet,
    UserUttered,
)
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.exceptions import MissingStoriesError, StoryParseError, did_you_mean
from rasa_core.stories.files import MISSING
from rasa_core.stories.steps import GENERATED_CHECKPOINT_PREFIX, Checkpoint, StoryStep
from rasa_core.support.places import Place
from rasa_core.support.problems import Problem, listed, log_warnings

logger = logging.getLogger(__name__)

NO_ACTION: Final = "the domain has no action "
UNKNOWN_NAME: Final = "unknown-name"
"""The kind of problem for a name that the domain does not have."""

LOST: Final = "lost-turn"
"""The kind of problem for a turn that cannot be used; 0.9 only warned about it."""

DOUBTFUL: Final = "doubtful-line"
"""The kind of problem for a line that breaks the grammar, and was read as it was meant."""


def hint_for_action(name: str, actions: Iterable[str], intents: Container[str]) -> str:
    """Return what an error about an unknown action adds: that it is an intent, or the nearest actions."""
    if name in intents:  # As where an editor has made all bullets of a file the same.
        return f" It is an intent; a message is written '* {name[:100]}', and '- intent: {name[:100]}' in YAML."
    return did_you_mean(name, actions)


class StoryBuilder:
    """Collects the lines of one story, and returns its steps.

    Parameters
    ----------
    place
        The file and line at which the story begins.
    label
        A name for its file that is the same on every machine; names of generated checkpoints contain it.
    problems
        The list to which problems are added.
    tells_listening
        Whether ``action_listen`` before an action is reported as a line without effect, as it was in 0.9.
    """

    def __init__(
        self, name: str, place: Place, label: str, problems: list[Problem], *, tells_listening: bool = False
    ) -> None:
        self._tells_listening = tells_listening
        self._listened: Place | None = None
        self._name = name
        self._place = place
        self._label = label
        self._problems = problems
        self._steps: list[StoryStep] = []
        self._generated = 0
        self._open((), place)

    def _open(self, starts: Sequence[Checkpoint], place: Place) -> None:
        self._starts = list(starts)
        self._begin = place
        self._events: list[Event] = []
        self._places: list[Place] = []
        self._alternatives: list[Event] = []
        self._ends: list[Checkpoint] = []

    def add_checkpoint(self, checkpoint: Checkpoint, place: Place) -> None:
        """Add a checkpoint: as a start of the story if it is first, otherwise as an end of the lines before it."""
        if not self._events and not self._alternatives:
            self._starts.append(checkpoint)
            return
        # As in 0.9, where only the steps that begin at a checkpoint ask for slots.
        if checkpoint.conditions:
            name = f"{checkpoint.name!r:.80}"
            text = f"the conditions of the checkpoint {name} are ignored; only those at a start count."
            self._problems.append(Problem("warning", text, place))
        self._ends.append(Checkpoint(checkpoint.name))

    def add_events(self, events: Sequence[Event], place: Place) -> None:
        """Add the events of one line."""
        self._go_on(place)
        if self._tells_listening:
            self._tell_of_listening(events, place)
        self._events.extend(events)
        self._places.extend([place] * len(events))

    def _tell_of_listening(self, events: Sequence[Event], place: Place) -> None:
        for event in events:
            if isinstance(event, UserUttered):
                self._listened = None
            elif isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME:
                self._listened = self._listened or place
            elif isinstance(event, ActionExecuted) and self._listened is not None:
                text = f"the bot listens before messages of the user alone; {event.action_name!r:.80} follows at once."
                self._problems.append(Problem("warning", text, self._listened))
                self._listened = None

    def add_alternatives(self, messages: Sequence[Event], place: Place) -> None:
        """Add a line with alternatives, mostly user messages, of which one happens."""
        self._go_on(place)
        if self._events:
            self._split(place)
        self._listened = None
        self._alternatives = list(messages)
        self._places = [place]

    def _go_on(self, place: Place) -> None:
        """Begin a new step if the current step is complete."""
        if self._ends or self._alternatives:
            self._split(place)

    def _split(self, place: Place) -> None:
        # Alternatives become parallel steps, joined by a generated checkpoint.
        self._ends = self._ends or [Checkpoint(self._generated_name(place))]
        self._close()
        self._open(self._ends, place)

    def _close(self) -> None:
        runs: list[list[Event]] = [[message] for message in self._alternatives] or [self._events]
        starts, ends, places = tuple(self._starts), tuple(self._ends), tuple(self._places)
        self._steps += [StoryStep(self._name, starts, ends, tuple(events), self._begin, places) for events in runs]

    def _generated_name(self, place: Place) -> str:
        self._generated += 1
        words = [event.as_story_string() for event in (*self._alternatives, *self._events)]
        # The label and the content, not the path of the file, so that all machines give the same name.
        unique = f"{self._label}\0{self._name}\0{place.line}\0{self._generated}\0{words}"
        digest = hashlib.blake2b(unique.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return f"{GENERATED_CHECKPOINT_PREFIX}OR_{digest}"

    def finish(self) -> list[StoryStep]:
        """Return the steps; an empty list, with a problem, if the story has no content."""
        if self._events or self._alternatives or self._starts:
            self._close()
        else:
            self._problems.append(Problem("warning", "the story has no lines and is skipped.", self._place))
        return self._steps


class NameCheck:
    """Compares names with a domain; without one, every name is fine.

    A name that the domain does not have is reported once, at its first place, with the nearest names of the domain.
    """

    def __init__(self, domain: Domain | None, problems: list[Problem]) -> None:
        self._problems = problems
        self._told: set[tuple[str, str]] = set()
        self._known: dict[str, frozenset[str]] = {}
        if domain is not None:
            self._known = {
                # A domain need not list the intent that restarts a conversation, which stories may still say.
                "intent": frozenset([*domain.intents, domain.restart_intent]),
                "entity": frozenset(domain.entities),
                "slot": frozenset(slot.name for slot in domain.slots),
                "action": frozenset(domain.action_names),
            }
            if domain.rasa is not None:
                # An action of one's own may be a loop, too.
                self._known["form"] = frozenset([*domain.rasa.loops, *domain.action_names])

    @property
    def is_of_rasa(self) -> bool:
        """Whether the domain is one of Rasa 2 or 3."""
        return "form" in self._known

    def known(self, kind: str) -> Collection[str]:
        """Return the names of one kind in the domain."""
        return self._known.get(kind, frozenset())

    def check(self, kind: str, name: str, place: Place) -> None:
        """Report, once for each name, an intent, entity, slot, form or action that the domain does not have."""
        known = self._known.get(kind)
        if known is None or name in known or (kind, name) in self._told:
            return
        self._told.add((kind, name))
        is_action = kind == "action"
        begin = NO_ACTION if is_action else f"the domain has no {kind} "
        hint = hint_for_action(name, known, self._known["intent"]) if is_action else did_you_mean(name, known)
        text = f"{begin}{name[:100]!r}.{hint}"
        self._problems.append(Problem("warning", text, place, UNKNOWN_NAME))

    def check_event(self, event: Event, place: Place) -> None:
        """Check all names in an event."""
        for kind, name in names_in(event):
            self.check(kind, name, place)


def names_in(event: Event) -> list[tuple[str, str]]:
    """Return the names of the domain in an event, each with its kind: intent, entity, slot, form or action."""
    if isinstance(event, UserUttered):
        entities = [("entity", str(entity["entity"])) for entity in event.entities]
        intent = event.intent.get("name")
        return [("intent", intent), *entities] if intent else entities
    if isinstance(event, SlotSet):
        return [("slot", event.key)]
    if isinstance(event, ActiveLoop):
        return [("form", event.loop_name)] if event.loop_name is not None else []
    if isinstance(event, ActionExecuted | FollowupAction | ReminderScheduled) and event.action_name is not None:
        return [("action", event.action_name)]
    return []


def report(problems: Sequence[Problem]) -> None:
    """Log the warnings; raise one `StoryParseError` that lists the errors, at the place of the first."""
    if errors := log_warnings(problems, logger):
        place = errors[0].place
        kind = MissingStoriesError if errors[0].kind == MISSING else StoryParseError
        raise kind(listed([errors[0].message, *errors[1:]]), place.file, place.line, place.column)
