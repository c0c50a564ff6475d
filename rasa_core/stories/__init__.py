"""Read stories, and make the training conversations from which policies learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted
from rasa_core.exceptions import StoryParseError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.stories.builder import hint_for_action
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph
from rasa_core.stories.training_tracker import TrainingTracker
from rasa_core.stories.yaml import read_yaml_stories
from rasa_core.support.folders import whole_file
from rasa_core.support.problems import listed
from rasa_core.trackers import DialogueStateTracker

__all__ = ["TrainingTracker", "extract_story_graph", "load_data", "persist_data"]


def extract_story_graph(
    resource_name: str | Path | Sequence[str | Path],
    domain: Domain,
    interpreter: NaturalLanguageInterpreter | None = None,
) -> StoryGraph:
    """Return the stories in a file, in several files, or in a folder and below it.

    Raises `StoryParseError` if the stories have a mistake.

    The stories of a bot of Rasa 2 or 3 are in YAML, unless they are named as files of Markdown.
    """
    named = [resource_name] if isinstance(resource_name, str | Path) else resource_name
    if domain.rasa is not None and not all(str(path).lower().endswith((".md", ".markdown")) for path in named):
        return StoryGraph(step for steps in read_yaml_stories(resource_name, domain).steps for step in steps)
    return StoryGraph(StoryFileReader.read_from_file(resource_name, domain, interpreter))


def load_data(
    resource_name: str | Path | Sequence[str | Path],
    domain: Domain,
    remove_duplicates: bool = True,
    unique_last_num_states: int | None = None,
    augmentation_factor: int = 20,
    max_number_of_trackers: int | None = None,
    tracker_limit: int | None = None,
    use_story_concatenation: bool = True,
    debug_plots: bool = False,
    max_history: int | None = None,
    lenient: bool = False,
) -> list[TrainingTracker]:
    """Read stories, and return the training conversations.

    Parameters
    ----------
    resource_name
        A story file, several files, or a folder.
    max_number_of_trackers
        Old name of `tracker_limit`; all other parameters are those of `TrainingDataGenerator`.
    lenient
        Whether to leave out actions that the domain does not have.

    Raises
    ------
    StoryParseError
        If the stories cannot be read, or name actions that the domain does not have.
    """
    if max_number_of_trackers is not None:
        warnings.warn("max_number_of_trackers is called tracker_limit now.", DeprecationWarning, stacklevel=2)
    graph = extract_story_graph(resource_name, domain)
    return TrainingDataGenerator(
        _with_known_actions(graph, domain, lenient),
        domain,
        remove_duplicates,
        unique_last_num_states,
        augmentation_factor,
        tracker_limit=max_number_of_trackers if tracker_limit is None else tracker_limit,
        use_story_concatenation=use_story_concatenation,
        debug_plots=debug_plots,
        max_history=max_history,
    ).generate()


def _with_known_actions(graph: StoryGraph, domain: Domain, lenient: bool) -> StoryGraph:
    """Return the stories without unknown actions if `lenient`; otherwise unknown actions are an error."""
    known = frozenset(domain.action_names)
    unknown: list[str] = []
    steps = []
    for step in graph.story_steps:
        kept = []
        for event, source in zip(step.events, step.sources, strict=True):
            if isinstance(event, ActionExecuted) and event.action_name not in known:
                hint = hint_for_action(event.action_name, known, domain.intents)
                unknown.append(f"{source}: the domain has no action {event.action_name[:100]!r}.{hint}")
            else:
                kept.append((event, source))
        events, sources = tuple(event for event, _ in kept), tuple(source for _, source in kept)
        steps.append(step if len(kept) == len(step.events) else replace(step, events=events, sources=sources))
    # An intent or a slot that the domain lacks is a warning; an action that it lacks could never be chosen.
    if unknown and not lenient:
        raise StoryParseError(listed(unknown))
    return StoryGraph(steps) if unknown else graph


def persist_data(trackers: Iterable[DialogueStateTracker], path: str | Path) -> None:
    """Write conversations as a story file."""
    text = "\n".join(tracker.export_stories() for tracker in trackers)
    with whole_file(path, permissions=0o666) as file:
        file.buffer.write(text.encode("utf-8", "backslashreplace"))
