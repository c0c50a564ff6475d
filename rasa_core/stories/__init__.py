"""From stories to the conversations that policies learn from."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

from rasa_core.domain import Domain
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph
from rasa_core.stories.training_tracker import TrainingTracker
from rasa_core.trackers import DialogueStateTracker

__all__ = ["TrainingTracker", "extract_story_graph", "load_data", "persist_data"]


def extract_story_graph(
    resource_name: str | Path, domain: Domain, interpreter: NaturalLanguageInterpreter | None = None
) -> StoryGraph:
    """Read the stories in a file, or in a folder and those below it; raise `StoryParseError` if that is impossible."""
    return StoryGraph(StoryFileReader.read_from_file(resource_name, domain, interpreter))


def load_data(
    resource_name: str | Path,
    domain: Domain,
    remove_duplicates: bool = True,
    unique_last_num_states: int | None = None,
    augmentation_factor: int = 20,
    max_number_of_trackers: int | None = None,
    tracker_limit: int | None = None,
    use_story_concatenation: bool = True,
    debug_plots: bool = False,
    max_history: int | None = None,
) -> list[TrainingTracker]:
    """Read stories and make up the conversations to learn from; raise `StoryParseError` if they cannot be read.

    Parameters
    ----------
    resource_name
        A story file, or a folder.
    domain
        Whose stories these are.
    max_number_of_trackers
        Old name of `tracker_limit`; all other parameters are those of `TrainingDataGenerator`.
    """
    if max_number_of_trackers is not None:
        warnings.warn("max_number_of_trackers is called tracker_limit now.", DeprecationWarning, stacklevel=2)
    return TrainingDataGenerator(
        extract_story_graph(resource_name, domain),
        domain,
        remove_duplicates,
        unique_last_num_states,
        augmentation_factor,
        max_number_of_trackers if tracker_limit is None else tracker_limit,
        use_story_concatenation,
        debug_plots,
        max_history=max_history,
    ).generate()


def persist_data(trackers: Iterable[DialogueStateTracker], path: str | Path) -> None:
    """Write conversations as a story file."""
    text = "\n".join(tracker.export_stories() for tracker in trackers)
    Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
