"""Draws stories: how conversations go, or how the parts of stories are joined at checkpoints.

The ending of the output file decides what is written: an HTML page, SVG, DOT or Mermaid text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rasa_core.drawing.messages import ExampleMessages
from rasa_core.drawing.picture import Picture, as_dot, as_mermaid
from rasa_core.drawing.story_flow import StoryFlow, VisualizationError, picture_of_steps
from rasa_core.drawing.svg import as_html, as_svg
from rasa_core.events import UserUttered
from rasa_core.exceptions import did_you_mean
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX
from rasa_core.stories import extract_story_graph
from rasa_core.stories.steps import StoryGraph, StoryStep

if TYPE_CHECKING:
    from rasa_core.domain import Domain

__all__ = ["ENDINGS", "VisualizationError", "check_output_file", "visualize_stories", "visualize_story_graph"]

_WRITERS: Final[Mapping[str, Callable[[Picture, int], str]]] = {
    ".html": as_html,
    ".svg": as_svg,
    ".dot": as_dot,
    ".mmd": lambda picture, fontsize: as_mermaid(picture),
}
ENDINGS: Final = tuple(_WRITERS)

Stories = str | Path | StoryGraph | Iterable[StoryStep]
Examples = str | Path | Mapping[str, Iterable[str]]


def visualize_stories(
    story_steps: Stories,
    domain: Domain,
    output_file: str | Path,
    max_history: int = 2,
    nlu_training_data: Examples | None = None,
    should_merge_nodes: bool = True,
    fontsize: int = 12,
) -> None:
    """Draw how conversations go: actions as nodes, and what the user says on the arrows between them.

    Parameters
    ----------
    story_steps
        A story file or a folder; or a graph of stories, or steps, that were read before.
    domain
        Whose stories these are.
    output_file
        Its ending is one of `ENDINGS`.
    max_history
        Two places in the stories are one node if the last `max_history` actions, with the messages between
        them, are the same. 1 gives a node for each action; large numbers keep the stories apart.
    nlu_training_data
        Examples of messages, shown in place of intents: an NLU file or folder, or intent to messages.
    should_merge_nodes
        False draws each action of each story.
    fontsize
        In pixels.

    Raises
    ------
    VisualizationError
        If the ending is another, the file cannot be written, or the picture would be too large.
    StoryParseError
        If the stories cannot be read.
    """
    check_output_file(output_file)
    if max_history < 1:
        raise VisualizationError(f"max_history is at least 1, not {max_history}.")
    if isinstance(story_steps, str | Path):
        title = f"Stories in {Path(story_steps).name}"
        graph = extract_story_graph(story_steps, domain)
    else:
        title = "Stories"
        graph = story_steps if isinstance(story_steps, StoryGraph) else StoryGraph(story_steps)
    examples = None if nlu_training_data is None else ExampleMessages.read(nlu_training_data)

    def say(message: UserUttered) -> str:
        example = examples.for_message(message) if examples is not None else None
        return _as_in_story(message) if example is None else f"“{example}”"

    picture = StoryFlow(graph, max_history if should_merge_nodes else None, say).picture(title)
    _write(picture, output_file, fontsize)


def visualize_story_graph(
    story_graph: StoryGraph, output_file: str | Path = "story_blocks_connections.html", fontsize: int = 12
) -> None:
    """Draw the parts of stories and the checkpoints at which they are joined.

    Raises
    ------
    VisualizationError
        If the ending is none of `ENDINGS`, or the file cannot be written.
    """
    check_output_file(output_file)
    _write(picture_of_steps(story_graph, "Stories and their checkpoints"), output_file, fontsize)


def check_output_file(output_file: str | Path) -> None:
    """Raise `VisualizationError` if nothing can be written into a file of this name."""
    ending = Path(output_file).suffix.lower()
    if ending in _WRITERS:
        return
    known = ", ".join(ENDINGS[:-1]) + f" or {ENDINGS[-1]}"
    instead = "An SVG file opens in every browser and prints as PDF. " if ending in (".png", ".pdf", ".jpg") else ""
    problem = f"cannot draw into {str(output_file)!r}: its name must end in {known}.{did_you_mean(ending, ENDINGS)}"
    raise VisualizationError(f"{problem} {instead}".rstrip())


def _write(picture: Picture, output_file: str | Path, fontsize: int) -> None:
    path = Path(output_file)
    content = _WRITERS[path.suffix.lower()](picture, fontsize)
    try:
        path.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise VisualizationError(f"cannot write {str(path)!r}: {error.strerror or error}.") from error


def _as_in_story(message: UserUttered) -> str:
    """Return the message as its story says it: an intent with entities, or text."""
    if message.text and not message.text.startswith(INTENT_MESSAGE_PREFIX):
        return f"“{message.text}”"
    return message.as_story_string()
