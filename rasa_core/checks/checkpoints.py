"""Checkpoints that join nothing, stories that stand there twice, and loops in which the bot never listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from rasa_core.checks.findings import Finding, finding, place_of
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ActionReverted,
    ConversationPaused,
    Event,
    Restarted,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import did_you_mean
from rasa_core.stories.ordering import order_checkpoints
from rasa_core.stories.steps import GENERATED_CHECKPOINT_PREFIX, STORY_START, Source, StoryStep

Steps = Sequence[StoryStep]
Leads = dict[str, dict[str, StoryStep]]

_LETS_THE_USER_SPEAK = (UserUttered, Restarted, UserUtteranceReverted, ActionReverted, ConversationPaused)


# -- checkpoints


def check_checkpoints(steps: Steps) -> Iterator[Finding]:
    """Find checkpoints that no conversation comes to, and those from which none goes on."""
    starts, ends = _by_checkpoint(steps, at_start=True), _by_checkpoint(steps, at_start=False)
    reached = _reached(steps)
    for name, there in starts.items():
        if name == STORY_START or name in reached or name.startswith(GENERATED_CHECKPOINT_PREFIX):
            continue
        if name in ends:
            problem = f"the checkpoint {name[:100]!r} is reached only from stories that are not reached themselves"
            remedy = "Let one begin without a checkpoint."
        else:
            problem = f"no story ends with the checkpoint {name[:100]!r}"
            remedy = f"End one with it, or remove it.{did_you_mean(name, ends)}"
        text = f"{problem}, so what begins there is not learnt. {remedy}"
        yield finding("unreached-checkpoint", "error", text, [place_of(step.source) for step in there])
    for name, there in ends.items():
        if name not in starts:
            hint = did_you_mean(name, [start for start in starts if start != STORY_START])
            text = f"no story goes on from the checkpoint {name[:100]!r}.{hint} Begin one with it, or remove it."
            yield finding("dead-end", "warning", text, [place_of(_last(step)) for step in there])


def _last(step: StoryStep) -> Source | None:
    return step.sources[-1] if step.sources else step.source


def _by_checkpoint(steps: Steps, *, at_start: bool) -> dict[str, list[StoryStep]]:
    found: dict[str, list[StoryStep]] = {}
    for step in steps:
        for checkpoint in step.start_checkpoints if at_start else step.end_checkpoints:
            found.setdefault(checkpoint.name, []).append(step)
    return found


def _reached(steps: Steps) -> set[str]:
    """Return the checkpoints to which a way leads from the start of a story, conditions aside."""
    leads = _leads(steps)
    reached, waiting = {STORY_START}, [STORY_START]
    while waiting:
        for name in leads.get(waiting.pop(), ()):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached


def _leads(steps: Iterable[StoryStep]) -> Leads:
    """Return from which checkpoint a step leads to which, with the first such step."""
    leads: Leads = {}
    for step in steps:
        for start in step.start_checkpoints:
            onward = leads.setdefault(start.name, {})
            for end in step.end_checkpoints:
                onward.setdefault(end.name, step)
    return leads


# -- loops


def check_loops(steps: Steps) -> Iterator[Finding]:
    """Find ways from a checkpoint back to it on which the user never speaks."""
    leads = _leads(step for step in steps if not any(map(_ends_turn, step.events)))
    _, back = order_checkpoints(leads)
    for start, end in sorted(back):
        round_trip = [*_way(leads, end, start), leads[start][end]]
        text = (
            f"the stories lead from the checkpoint {end[:100]!r} back to it without a word of the user, so the bot "
            "may act for ever. Let the user speak on the way, or end a story there."
        )
        yield finding("endless-loop", "error", text, [place_of(step.source) for step in round_trip])


def _ends_turn(event: Event) -> bool:
    is_listening = isinstance(event, ActionExecuted) and event.action_name == ACTION_LISTEN_NAME
    return is_listening or isinstance(event, _LETS_THE_USER_SPEAK)


def _way(leads: Leads, start: str, goal: str) -> list[StoryStep]:
    """Return the steps of a shortest way from one checkpoint to another; there is one."""
    came: dict[str, tuple[str, StoryStep] | None] = {start: None}
    waiting = deque([start])
    while goal not in came:
        name = waiting.popleft()
        for onward, step in leads.get(name, {}).items():
            if onward not in came:
                came[onward] = (name, step)
                waiting.append(onward)
    way = []
    before = came[goal]
    while before is not None:
        way.append(before[1])
        before = came[before[0]]
    return way[::-1]


# -- the same twice


def check_repeated_stories(stories: Iterable[Steps]) -> Iterator[Finding]:
    """Find stories that say the same, whatever their names."""
    alike: dict[tuple[object, ...], list[Steps]] = {}
    for story in stories:
        alike.setdefault(_content(story), []).append(story)
    for same in alike.values():
        if len(same) > 1:
            text = f"the same story stands here {_times(len(same))}. Remove all but one."
            yield finding("repeated-story", "warning", text, [place_of(story[0].source) for story in same])


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _content(story: Steps) -> tuple[object, ...]:
    """Return what a story says; checkpoints that were generated in it are numbered instead of named."""
    numbers: dict[str, int] = {}

    def name_of(name: str) -> str:
        if not name.startswith(GENERATED_CHECKPOINT_PREFIX):
            return name
        return f"{GENERATED_CHECKPOINT_PREFIX}{numbers.setdefault(name, len(numbers))}"

    return tuple(
        (
            tuple(
                (name_of(start.name), repr(sorted((start.conditions or {}).items())))
                for start in step.start_checkpoints
            ),
            step.as_story_string(flat=True),
            tuple(name_of(end.name) for end in step.end_checkpoints),
        )
        for step in story
    )
