"""The old import path of `rasa_core.commands.evaluate`; ``python -m rasa_core.evaluate`` runs that command."""

from __future__ import annotations

from rasa_core.commands import console_module
from rasa_core.compat import later

if __name__ == "__main__":
    console_module("evaluate")

import difflib
from collections.abc import Sequence
from functools import partial

from rasa_core.commands.common import argument_parser
from rasa_core.commands.evaluate import collect_story_predictions, command, run_story_evaluation
from rasa_core.events import ActionExecuted, UserUttered
from rasa_core.trackers import DialogueStateTracker

__all__ = [
    "actions_since_last_utterance",
    "align_lists",
    "collect_story_predictions",
    "create_argument_parser",
    "run_story_evaluation",
]

NO_ACTION = "None"


def align_lists(pred: Sequence[str], actual: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return both lists, made equally long by ``"None"`` where an item has no match in the other list."""
    left, right = [], []
    for _, start, end, other_start, other_end in difflib.SequenceMatcher(
        a=pred, b=actual, autojunk=False
    ).get_opcodes():
        length = max(end - start, other_end - other_start)
        left += [*pred[start:end], *[NO_ACTION] * (length - end + start)]
        right += [*actual[other_start:other_end], *[NO_ACTION] * (length - other_end + other_start)]
    return left, right


def actions_since_last_utterance(tracker: DialogueStateTracker) -> list[str]:
    """Return the names of the actions since the last message of the user, oldest first."""
    names: list[str] = []
    for event in reversed(tracker.applied_events()):
        if isinstance(event, UserUttered):
            break
        if isinstance(event, ActionExecuted):
            names.append(event.action_name)
    return names[::-1]


create_argument_parser = partial(argument_parser, command)
"""Returns a parser for the flags of the command, for a program that adds its own."""

__getattr__ = later.of_module(__name__)
