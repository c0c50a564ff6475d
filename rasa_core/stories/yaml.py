"""Reads stories and rules from the YAML of Rasa 2 and 3.

===================  ================================================================================
Step                 Meaning
===================  ================================================================================
``intent:``          the user says something; ``entities:`` beside it, with roles and groups
``action:``          the bot does something
``slot_was_set:``    slots with values; the name alone means "is set" (text and list) or "is not set"
``active_loop:``     a form begins; ``null`` ends the active form
``checkpoint:``      stories that start with this name continue here; conditions in ``slot_was_set:``
``or:``              one of several messages or slots
``user:``            the text of the message, in test stories; without ``intent:`` the story is left out
``bot:``             an action that says this text; in test stories, the text of the previous action
===================  ================================================================================
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, Event, SlotSet
from rasa_core.events.base import FAILED_IN_STORY
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.exceptions import did_you_mean
from rasa_core.rasa3.domain_parts import SNIPPET
from rasa_core.rasa3.rule import Rule
from rasa_core.rasa3.slots import RasaCategoricalSlot, RasaSlot, RasaTextSlot
from rasa_core.slots import CategoricalSlot, Slot, TextSlot
from rasa_core.stories.builder import LOST, NameCheck, StoryBuilder, report
from rasa_core.stories.steps import Checkpoint, StoryStep
from rasa_core.stories.yaml_messages import message_in, name_in
from rasa_core.support.folders import files_below
from rasa_core.support.places import Place
from rasa_core.support.problems import Problem
from rasa_core.support.yaml_parts import Part, YamlError, keys_in, read_yaml

logger = logging.getLogger(__name__)

MOST_CHOICES: Final = 10_000
"""The largest number of rules that one rule with several ``or:`` may stand for."""

_MESSAGE_KEYS: Final = frozenset({"intent", "user", "entities", "metadata"})
_STEP_KEYS: Final = (*_MESSAGE_KEYS, "action", "failed", "bot", "slot_was_set", "active_loop", "checkpoint", "or")
_RULE_KEYS: Final = ("rule", "steps", "condition", "conversation_start", "wait_for_user_input", "metadata")
_STORY_KEYS: Final = ("story", "steps", "metadata")
_OF_TEXTS: Final = (TextSlot, CategoricalSlot, RasaTextSlot, RasaCategoricalSlot)

YAML_SUFFIXES: Final = (".yml", ".yaml")
Alternatives = Sequence[Event]


@dataclass(slots=True)
class ReadStories:
    """The content of story files.

    Attributes
    ----------
    steps : list of list of StoryStep
        The steps of each story.
    rules : list of Rule
        All rules.
    """

    steps: list[list[StoryStep]] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)


class YamlStoryReader:
    """Reads story files, and goes on after a mistake, so that it reports all mistakes at once.

    Parameters
    ----------
    domain
        The domain; names that it does not have are reported. None checks no names.
    problems
        A list to which mistakes are added; a story with a mistake is left out then. Without the list, mistakes raise
        a `StoryParseError`.
    """

    def __init__(self, domain: Domain | None = None, problems: list[Problem] | None = None) -> None:
        self._are_gathered = problems is not None
        self._problems: list[Problem] = [] if problems is None else problems
        self._domain = domain
        self._names = NameCheck(domain, self._problems)
        self._texts = frozenset(domain.rasa.texts if domain is not None and domain.rasa is not None else ())
        self._read = ReadStories()

    def read_files(self, files: Sequence[str | Path]) -> ReadStories:
        """Return the stories and rules in files; see the class for errors."""
        for file in files:
            try:
                root = read_yaml(file)
                if root is not None:
                    self._read_root(root, Path(file).name)
            except YamlError as error:
                self._problems.append(Problem("error", error.problem, error.place))
        if not self._are_gathered:
            report(self._problems)
        return self._read

    def _read_root(self, root: Part, label: str) -> None:
        keys = root.keys()
        for name in ("stories", "rules"):
            if name in keys and not keys[name].is_list and not keys[name].is_null:
                self._error(keys[name], f"{name}: is a list, each of its entries after a dash.")
        for part in keys["stories"].entries() if "stories" in keys else ():
            self._read_story(part, label)
        for part in keys["rules"].entries() if "rules" in keys else ():
            self._read_rule(part)

    def _error(self, part: Part, text: str) -> None:
        self._problems.append(Problem("error", text, part.place))

    def _warning(self, part: Part, text: str, kind: str = "") -> None:
        self._problems.append(Problem("warning", text, part.place, kind))

    def _head(self, part: Part, key: str, known: Sequence[str]) -> tuple[str, dict[str, Part]] | None:
        """Return name and keys of a story or rule; report one that cannot be read, and return None."""
        keys = part.keys()
        if key not in keys and not keys.keys().isdisjoint(_STEP_KEYS):
            self._error(part, f"a step stands in the place of a {key}; indent it below the steps: of its {key}.")
            return None
        if key not in keys:
            self._warning(part, f"an entry without {key}: is skipped; every {key} needs a name.", LOST)
            return None
        for name, value in keys.items():
            if name not in known:
                self._error(value, f"a {key} has no key {name!r}.{did_you_mean(name, known)}")
        if "steps" in keys and not keys["steps"].is_list and not keys["steps"].is_null:
            self._error(keys["steps"], f"steps: of the {key} {keys[key].written!r} is a list, each step after a dash.")
            return None
        if "steps" not in keys or not keys["steps"].entries():
            self._warning(part, f"the {key} {keys[key].written!r} has no steps and is skipped.", LOST)
            return None
        return keys[key].written, keys

    # -- stories

    def _read_story(self, part: Part, label: str) -> None:
        before = len(self._problems)
        head = self._head(part, "story", _STORY_KEYS)
        if head is None:
            return
        name, keys = head
        builder = StoryBuilder(name, Place(part.place.file, part.place.line, name), label, self._problems)
        for step in keys["steps"].entries():
            place = Place(step.place.file, step.place.line, name)
            if self._is_untold(step, name):
                return
            if (checkpoint := self._checkpoint(step)) is not None:
                builder.add_checkpoint(checkpoint, place)
                continue
            for alternatives in self._events(step, place):
                if len(alternatives) == 1:
                    builder.add_events(alternatives, place)
                elif alternatives:
                    builder.add_alternatives(alternatives, place)
        if not any(problem.severity == "error" for problem in self._problems[before:]):
            self._read.steps.append(builder.finish())

    def _is_untold(self, step: Part, name: str) -> bool:
        """Tell whether a step has words without an intent, and warn that its story is left out."""
        keys = step.keys()
        if "user" in keys and "intent" not in keys and set(_STEP_KEYS).issuperset(keys):
            text = f"the story {name!r} is left out: a user: step without intent: cannot be learnt."
            self._warning(step, text, LOST)
            return True
        return False

    def _checkpoint(self, step: Part) -> Checkpoint | None:
        keys = step.keys()
        if "checkpoint" not in keys:
            return None
        conditions: dict[str, Any] = {}
        if "slot_was_set" in keys:
            conditions = {event.key: event.value for event in self._slots(keys["slot_was_set"])}
        return Checkpoint(name_in(keys["checkpoint"], "checkpoint", self._error), conditions)

    # -- rules

    def _read_rule(self, part: Part) -> None:
        before = len(self._problems)
        head = self._head(part, "rule", _RULE_KEYS)
        if head is None:
            return
        name, keys = head
        place = Place(part.place.file, part.place.line, name)
        conditions = [event for entry in self._condition_entries(keys) for event in self._condition(entry)]
        steps: list[tuple[Alternatives, Place]] = []
        for step in keys["steps"].entries():
            here = Place(step.place.file, step.place.line, name)
            if "checkpoint" in step.keys():  # noqa: SIM118 (no dict)
                self._error(step, f"the rule {name!r} has a checkpoint, which only stories may have.")
            steps += [(alternatives, here) for alternatives in self._events(step, here) if alternatives]
        if any(problem.severity == "error" for problem in self._problems[before:]):
            return
        count = prod(len(alternatives) for alternatives, _ in steps)
        if count > MOST_CHOICES:
            problem = f"the rule {name!r:.80} stands for {count:,} rules, since each of its or: multiplies them"
            self._error(keys["steps"], f"{problem}; {MOST_CHOICES:,} is the most. Write several rules instead.")
            return
        at_start, waits = self._flag(keys, "conversation_start", False), self._flag(keys, "wait_for_user_input", True)
        # A rule has no checkpoints to join alternatives: each choice is a rule of its own.
        for chosen in product(*(alternatives for alternatives, _ in steps)):
            told = [(event, here) for event, (_, here) in zip(chosen, steps, strict=True)]
            self._read.rules.append(Rule(name, place, tuple(conditions), tuple(told), at_start, waits))

    @staticmethod
    def _condition_entries(keys: Mapping[str, Part]) -> list[Part]:
        found = keys.get("condition")
        return [] if found is None else [found] if found.is_mapping else found.entries()

    def _condition(self, entry: Part) -> list[Event]:
        found: list[Event] = []
        for key, value in entry.pairs():
            if key.written == "slot_was_set":
                found += self._slots(value)
            elif key.written == "active_loop":
                found.append(self._loop(value))
            else:
                hint = did_you_mean(key.written, ("slot_was_set", "active_loop"))
                self._error(key, f"a condition has no key {key.written!r}.{hint} Known: slot_was_set, active_loop.")
        return found

    def _flag(self, keys: Mapping[str, Part], key: str, default: bool) -> bool:
        value = keys[key].data if key in keys else default
        if not isinstance(value, bool) and value is not None:
            self._error(keys[key], f"{key}: is true or false, not {value!r:.40}.")
        return value if isinstance(value, bool) else default

    # -- steps

    def _events(self, step: Part, place: Place) -> Iterator[Alternatives]:
        """Yield the events of a step in order; for an ``or``, all its alternatives."""
        keys = step.keys()
        # `user:`, `entities:` and `metadata:` only describe the message, which `intent:` names.
        kinds = [key for key in keys if key not in (*_MESSAGE_KEYS, "failed") or key == "intent"]
        for key in keys:
            if key not in _STEP_KEYS:
                self._error(step, f"a step has no key {key!r}.{did_you_mean(key, _STEP_KEYS)}")
                return
        if len(kinds) > 1:
            self._error(step, f"a step says one thing, and this one has {' and '.join(kinds)}. Make it several steps.")
        elif "failed" in keys and "action" not in keys:
            self._error(keys["failed"], "failed: belongs to an action, as in {action: action_search, failed: true}.")
        elif not step.is_mapping:
            self._step_of_name(step)
        elif "or" in keys:
            yield self._alternatives(keys["or"], place)
        elif "slot_was_set" in keys:
            yield from ([event] for event in self._slots(keys["slot_was_set"]))
        else:
            yield from ([event] for event in self._single(keys, place))

    def _step_of_name(self, step: Part) -> None:
        if step.written != SNIPPET:
            self._error(step, f"a step is like {{intent: greet}} or {{action: utter_greet}}, not {step.written!r}.")

    def _single(self, keys: Mapping[str, Part], place: Place) -> Iterator[Event]:
        event: Event | None = None
        if "intent" in keys:
            event = message_in(keys, self._error)
        elif "action" in keys and keys["action"].is_null:
            self._warning(keys["action"], "action: names no action, and is passed over.", LOST)
        elif "action" in keys and keys["action"].written != SNIPPET:
            name, error = name_in(keys["action"], "action", self._error), self._failure(keys)
            event = ActionExecuted(name, error=error) if name else None
        elif "bot" in keys and keys["bot"].written.strip() in self._texts:
            event = ActionExecuted(keys["bot"].written.strip())
        elif "active_loop" in keys:
            event = self._loop(keys["active_loop"])
        if event is not None:
            self._names.check_event(event, place)
            yield event

    def _failure(self, keys: Mapping[str, Part]) -> str | None:
        """Return the error of an action that fails in the story."""
        part = keys.get("failed")
        if part is not None and not isinstance(part.data, bool):
            self._error(part, f"failed: is true or false, not {part.written!r:.40}.")
        return FAILED_IN_STORY if part is not None and part.data is True else None

    def _alternatives(self, part: Part, place: Place) -> list[Event]:
        found: list[Event] = []
        if not part.is_list:
            self._error(part, "or: is a list of messages or slots, each after a dash.")
        for entry in part.entries():
            keys = entry.keys()
            if "intent" in keys:
                found.append(message_in(keys, self._error))
            elif "slot_was_set" in keys:
                found += self._slots(keys["slot_was_set"])
            else:
                self._error(entry, "or: takes messages (intent:) or slots (slot_was_set:), nothing else.")
        for event in found:
            self._names.check_event(event, place)
        return found

    def _slots(self, part: Part) -> list[SlotSet]:
        if not part.is_list and not part.is_mapping:
            self._error(part, "slot_was_set: is a list such as [city: Rome], or [city] for any value.")
        found: list[SlotSet] = []
        for entry in part.entries() or [part]:
            if entry.is_mapping:
                found += [SlotSet(name, self._value(name, value)) for name, value in entry.keys().items()]
            elif entry.written:
                found.append(SlotSet(entry.written, self._value_meant(entry.written)))
        for event in found:
            self._names.check_event(event, part.place)
        return found

    def _slot(self, name: str) -> Slot | None:
        return None if self._domain is None else next((slot for slot in self._domain.slots if slot.name == name), None)

    def _value(self, slot_name: str, part: Part) -> Any:
        """Return the value of a slot; for a slot with texts, the text as written."""
        return part.told(()) if isinstance(self._slot(slot_name), _OF_TEXTS) else part.data

    def _value_meant(self, slot_name: str) -> Any:
        slot = self._slot(slot_name)
        # Without a domain, anything that is not None: a story file can be read and drawn on its own.
        return slot.condition_value() if isinstance(slot, RasaSlot) else "set"

    def _loop(self, part: Part) -> ActiveLoop:
        return ActiveLoop((not part.is_null and name_in(part, "active_loop", self._error)) or None)


def read_yaml_stories(resource: str | Path | Sequence[str | Path], domain: Domain) -> ReadStories:
    """Return the stories and rules in a file, in several files, or in a folder and below it.

    Raises
    ------
    StoryParseError
        If the files have a mistake, or no stories and rules.
    """
    given = [Path(one) for one in ([resource] if isinstance(resource, str | Path) else resource)]
    files = [file for path in given for file in (_yaml_files(path) if path.is_dir() else [path])]
    if not files:
        where = ", ".join(map(str, given))
        report([Problem("error", "the folder has no stories or rules in YAML.", Place(where))])
    return YamlStoryReader(domain).read_files(files)


def _yaml_files(folder: Path) -> list[Path]:
    found = (path for path in files_below(folder) if path.suffix.lower() in YAML_SUFFIXES)
    return [path for path in found if holds_yaml_stories(path)]


def rules_as_steps(rules: Iterable[Rule]) -> list[StoryStep]:
    """Return rules as stories that begin with the rule's conditions, to be drawn."""
    steps = []
    for rule in rules:
        events = (*rule.conditions, *(event for event, _ in rule.steps))
        places = (*(rule.place for _ in rule.conditions), *(place for _, place in rule.steps))
        steps.append(StoryStep(rule.name, events=events, source=rule.place, sources=places))
    return steps


def holds_yaml_stories(path: Path) -> bool:
    """Tell whether a YAML file has stories or rules."""
    try:
        return bool({"stories", "rules"} & keys_in(path).keys())
    except YamlError:
        return True  # The reader then reports its mistakes together with all others.
