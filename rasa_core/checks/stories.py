"""Finds mistakes in stories, and differences between stories and their domain.

In the stories: checkpoints that join nothing, loops without a user message, and the same story twice. Compared with the
domain: names and values that only the stories or only the domain has.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from rasa_core.checks import Finding, finding
from rasa_core.checks.responses import check_responses, check_template_keys
from rasa_core.domain import Domain
from rasa_core.events import (
    ActionReverted,
    ConversationPaused,
    Event,
    Restarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import did_you_mean
from rasa_core.slots import CategoricalSlot
from rasa_core.stories.builder import hint_for_action, names_in
from rasa_core.stories.steps import GENERATED_CHECKPOINT_PREFIX, STORY_START, StoryStep, order_checkpoints
from rasa_core.support.places import Place
from rasa_core.trackers.event_log import is_listening

Steps = Sequence[StoryStep]
Edges = dict[str, dict[str, StoryStep]]
"""For each checkpoint, the checkpoints to which a step leads, each with the first such step."""
Places = dict[Place | None, None]

SECTIONS: Final = {"intent": "intents", "entity": "entities", "slot": "slots", "action": "actions"}

_LETS_THE_USER_SPEAK = (UserUttered, Restarted, UserUtteranceReverted, ActionReverted, ConversationPaused)
_REMEDIES: Final = {
    "intent": "Write a story with it, or remove it",
    "entity": "Write a story with it, or remove it",
    "slot": "Set it in a story, make it unfeaturized, or remove it",
    "action": "Write a story with it, or remove it, unless a policy of your own or a reminder runs it",
}
_SAID: Final = ("utter_restart", "utter_default")
_VARIABLE = re.compile(r"\{(\w+)")
_PAYLOAD = re.compile(r'"payload": "[/_]([^"{\[\\]+)')


# -- checkpoints


def check_checkpoints(steps: Steps) -> Iterator[Finding]:
    """Find checkpoints that no conversation reaches, and checkpoints at which no story begins."""
    starts: dict[str, list[StoryStep]] = {}
    ends: dict[str, list[StoryStep]] = {}
    for step in steps:
        for start in step.start_checkpoints:
            starts.setdefault(start.name, []).append(step)
        for end in step.end_checkpoints:
            ends.setdefault(end.name, []).append(step)
    reached = _reached(_edges(steps), STORY_START)
    for name, there in starts.items():
        # A checkpoint that was generated for `or` lies inside a story, so the beginning of the story is reported.
        if name == STORY_START or name in reached or name.startswith(GENERATED_CHECKPOINT_PREFIX):
            continue
        if name in ends:
            problem = f"the checkpoint {name[:100]!r} is reached only from stories that are not reached themselves"
            remedy = "Let one begin without a checkpoint."
        else:
            problem = f"no story ends with the checkpoint {name[:100]!r}"
            remedy = f"End one with it, or remove it.{did_you_mean(name, ends)}"
        text = f"{problem}, so what begins there is not learnt. {remedy}"
        yield finding("unreached-checkpoint", "error", text, [step.source for step in there])
    for name, there in ends.items():
        if name not in starts:
            hint = did_you_mean(name, [start for start in starts if start != STORY_START])
            text = f"no story goes on from the checkpoint {name[:100]!r}.{hint} Begin one with it, or remove it."
            last = [step.sources[-1] if step.sources else step.source for step in there]
            yield finding("dead-end", "warning", text, last)


def _edges(steps: Iterable[StoryStep]) -> Edges:
    edges: Edges = {}
    for step in steps:
        for start in step.start_checkpoints:
            onward = edges.setdefault(start.name, {})
            for end in step.end_checkpoints:
                onward.setdefault(end.name, step)
    return edges


def _reached(edges: Edges, start: str) -> dict[str, tuple[str, StoryStep] | None]:
    """Return the checkpoints that can be reached from `start`, each with its predecessor on a shortest path."""
    reached: dict[str, tuple[str, StoryStep] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        name = waiting.popleft()
        for onward, step in edges.get(name, {}).items():
            if onward not in reached:
                reached[onward] = (name, step)
                waiting.append(onward)
    return reached


def check_loops(steps: Steps) -> Iterator[Finding]:
    """Find cycles of checkpoints without a message of the user."""
    # Steps in which the user speaks are left out: any circle of those that stay is one without a word.
    edges = _edges(step for step in steps if not any(map(_ends_turn, step.events)))
    _, back = order_checkpoints(edges)
    for start, end in sorted(back):
        loop = [edges[start][end]]
        reached = _reached(edges, end)
        before = reached[start]
        while before is not None:
            loop.append(before[1])
            before = reached[before[0]]
        text = (
            f"the stories lead from the checkpoint {end[:100]!r} back to it without a word of the user, so the bot "
            "may act for ever. Let the user speak on the way, or end a story there."
        )
        yield finding("endless-loop", "error", text, [step.source for step in loop])


def _ends_turn(event: Event) -> bool:
    return is_listening(event) or isinstance(event, _LETS_THE_USER_SPEAK)


# -- the same twice


def check_repeated_stories(stories: Iterable[Steps]) -> Iterator[Finding]:
    """Find stories with the same content, whatever their names."""
    alike: dict[tuple[object, ...], list[Steps]] = {}
    for story in stories:
        alike.setdefault(_content(story), []).append(story)
    for same in alike.values():
        if len(same) > 1:
            times = "twice" if len(same) == 2 else f"{len(same)} times"
            text = f"the same story stands here {times}. Remove all but one."
            yield finding("repeated-story", "warning", text, [story[0].source for story in same])


def _content(story: Steps) -> tuple[object, ...]:
    """Return the content of a story as a key; its generated checkpoints are numbered instead of named."""
    numbers: dict[str, int] = {}

    def name_of(name: str) -> str | int:
        return numbers.setdefault(name, len(numbers)) if name.startswith(GENERATED_CHECKPOINT_PREFIX) else name

    content: list[object] = []
    for step in story:
        for start in step.start_checkpoints:
            content.append((name_of(start.name), repr(sorted((start.conditions or {}).items()))))
        content += [step.as_story_string(flat=True), tuple(name_of(end.name) for end in step.end_checkpoints)]
    return tuple(content)


# -- names and values


class UsedNames:
    """The names in stories, with all places, and the values that slots get, also from entities."""

    def __init__(self, steps: Iterable[StoryStep], domain: Domain) -> None:
        self.places: dict[str, dict[str, Places]] = {kind: {} for kind in SECTIONS}
        self.values: dict[str, dict[str, tuple[Any, Places]]] = {}
        for step in steps:
            for checkpoint in step.start_checkpoints:
                for slot in checkpoint.conditions or ():
                    self.places["slot"].setdefault(slot, {})[step.source] = None
            for event, place in zip(step.events, step.sources, strict=True):
                self._read(event, place)
                if isinstance(event, UserUttered):
                    for slot_set in domain.slots_in_story(event.entities):
                        self._read(slot_set, place)

    def _read(self, event: Event, place: Place | None) -> None:
        for kind, name in names_in(event):
            if kind in self.places:  # Loops, which Rasa has, are checked where stories are read.
                self.places[kind].setdefault(name, {})[place] = None
        if isinstance(event, SlotSet):
            self.values.setdefault(event.key, {}).setdefault(repr(event.value), (event.value, {}))[1][place] = None


def check_names(
    domain: Domain,
    file: str,
    lines: Mapping[tuple[str, str], int],
    steps: Steps,
    words: Collection[str] = (),
    *,
    is_complete: bool,
) -> Iterator[Finding]:
    """Compare stories with a domain.

    Parameters
    ----------
    file, lines
        The path of the domain, and the lines of the names in its sections.
    words
        Names that code or settings use.
    is_complete
        Whether these are all stories, so that a name which they do not have is unused.
    """

    def place(kind: str, name: str) -> Place:
        return Place(file, lines.get((SECTIONS.get(kind, kind), name)))

    used = UsedNames(steps, domain)
    declared = {
        "intent": domain.intents,
        "entity": domain.entities,
        "slot": [slot.name for slot in domain.slots],
        "action": domain.action_names,
    }
    for kind, names in declared.items():
        # /restart works whether the domain lists it or not.
        known = {*names, domain.restart_intent} if kind == "intent" else set(names)
        for name, places in used.places[kind].items():
            if name not in known:
                remedy = f" Correct the stories, or declare it under {SECTIONS[kind]}: in {file}."
                if kind != "action":
                    hint = did_you_mean(name, known)
                elif name in domain.templates:
                    hint = " There is a template of that name."
                else:
                    hint = hint_for_action(name, known, domain.intents)
                    remedy = "" if name in domain.intents else remedy
                text = f"the domain has no {kind} {name[:100]!r}.{hint}{remedy}"
                yield finding(f"undeclared-{kind}", "error", text, places)
    yield from _unknown_values(domain, used)
    yield from _unseen_values(domain, used)
    intents = {*domain.intents, domain.restart_intent}
    yield from check_responses(
        domain.templates, intents, declared["slot"], lambda name: place("templates", name), words
    )
    yield from check_template_keys(domain.templates, lambda name: place("templates", name))
    actions = set(domain.action_names)
    said = _said_by_themselves(domain)
    for name in domain.templates:
        if name not in actions and name not in said and name not in words:
            remedy = "List it under actions:, or remove it, unless code of your own says it."
            text = f"no action says the template {name!r}.{did_you_mean(name, actions)} {remedy}"
            yield finding("template-not-action", "warning", text, [place("templates", name)])
    if is_complete:
        for kind, names in declared.items():
            known = _used_elsewhere(kind, domain)
            for name in names:
                if name not in used.places[kind] and name not in known and name not in words:
                    text = f"no story uses the {kind} {name!r}. {_REMEDIES[kind]}."
                    yield finding(f"unused-{kind}", "warning", text, [place(kind, name)])
        yield from _impossible_conditions(domain, used, steps)


def _used_elsewhere(kind: str, domain: Domain) -> set[str]:
    """Return the names that no story has to use."""
    if kind == "slot":
        # A slot that is said needs no story, nor does one that policies never see.
        spoken = _VARIABLE.findall(json.dumps(domain.templates, ensure_ascii=False, default=str))
        return {*spoken, *(slot.name for slot in domain.slots if not slot.has_features())}
    if kind == "action":
        return {action.name() for action in domain.DEFAULT_ACTIONS} | _said_by_themselves(domain)
    if kind == "intent":  # One that a button sends is answered by whatever asked, such as a form.
        return {domain.restart_intent, *_PAYLOAD.findall(json.dumps(domain.templates, ensure_ascii=False, default=str))}
    return set()


def _said_by_themselves(domain: Domain) -> set[str]:
    """Return the responses that no story has to name: for a restart, for questions of forms, and for a fallback."""
    asked = tuple(f"_{slot.name}" for slot in domain.slots)
    names = {*domain.templates, *domain.action_names}
    return {name for name in names if name in _SAID or (name.startswith("utter_ask_") and name.endswith(asked))}


def _unknown_values(domain: Domain, used: UsedNames) -> Iterator[Finding]:
    for slot in domain.slots:
        if isinstance(slot, CategoricalSlot):
            known = ", ".join(slot.values)
            none = f"which is none of {known}" if known else "and no values: are listed for it in the domain"
            for value, places in used.values.get(slot.name, {}).values():
                if value is not None and str(value).lower() not in slot.values:
                    text = (
                        f"the slot {slot.name!r} has the value {str(value)[:100]!r}, {none}; policies do not see it."
                        f"{did_you_mean(str(value).lower(), slot.values)} Correct it, or list it under values:."
                    )
                    yield finding("unknown-value", "warning", text, places)


def _unseen_values(domain: Domain, used: UsedNames) -> Iterator[Finding]:
    """Find values, such as false, that policies cannot tell from a slot that is not set, but could with ``unset:``."""
    for slot in domain.slots:
        # Slots with `unset: true`, and slots of Rasa 3, tell false from not set; an initial value makes "not set" rare.
        if getattr(slot, "unset", None) is not False or slot.initial_value is not None:
            continue
        tried, unset = slot.fresh(), slot.fresh().as_feature()
        for value, places in used.values.get(slot.name, {}).values():
            tried.value = value
            is_known = not isinstance(slot, CategoricalSlot) or str(value).lower() in slot.values
            if value is not None and is_known and tried.as_feature() == unset:
                text = (
                    f"the slot {slot.name!r} gets {json.dumps(value)[:100]}, which policies take for not being set. If "
                    "the bot is to do something else then, write unset: true below the slot in the domain."
                )
                yield finding("unseen-value", "warning", text, places)


def _impossible_conditions(domain: Domain, used: UsedNames, steps: Steps) -> Iterator[Finding]:
    slots = {slot.name: slot for slot in domain.slots}
    places: dict[tuple[str, str, str], Places | None] = {}
    for step in steps:
        for start in step.start_checkpoints:
            for slot, value in (start.conditions or {}).items():
                key = (start.name, slot, repr(value))
                if key not in places:  # Another check reports slots that the domain does not have.
                    values = [value for value, _ in used.values.get(slot, {}).values()]
                    can_be = slot not in slots or value in [slots[slot].initial_value, *values]
                    places[key] = None if can_be else {}
                if (found := places[key]) is not None:
                    found[step.source] = None
    for (name, slot, value), found in places.items():
        if found is not None:
            text = (
                f"the checkpoint {name[:100]!r} asks for the slot {slot!r} to be {value[:100]}, which no story sets, "
                "so what begins there is not learnt. Set it in a story before, or correct the condition."
            )
            yield finding("impossible-condition", "error", text, found)
