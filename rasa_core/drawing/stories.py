"""Draws stories: the flow of their actions, or how the parts of stories are joined at checkpoints.

The ending of the output file decides the format: an HTML page, SVG, PNG, DOT or Mermaid text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from rasa_core.domain import Domain
from rasa_core.drawing.diagrams import Diagram, as_dot, as_drawing, as_html, as_mermaid
from rasa_core.drawing.story_flow import StoryFlow, diagram_of_steps
from rasa_core.drawing.svg import DrawingError, check_picture_file, write_picture
from rasa_core.events import UserUttered
from rasa_core.interpreter import INTENT_MESSAGE_PREFIX
from rasa_core.nlu.reading import read_training_data
from rasa_core.nlu.training_data import NLUDataError, NLUExample
from rasa_core.stories import extract_story_graph
from rasa_core.stories.steps import StoryGraph, StoryStep
from rasa_core.stories.yaml import read_yaml_stories, rules_as_steps
from rasa_core.support.marked_text import read_annotated
from rasa_core.support.places import Place

ENDINGS: Final = (".html", ".svg", ".png", ".dot", ".mmd")

Stories = str | Path | StoryGraph | Iterable[StoryStep]
Examples = str | Path | Mapping[str, Iterable[str]]


def visualize_stories(
    story_steps: Stories,
    domain: Domain,
    output_file: str | Path | None = None,
    max_history: int = 2,
    interpreter: object = None,
    nlu_training_data: Examples | None = None,
    should_merge_nodes: bool = True,
    fontsize: int = 12,
    silent: bool = False,
    *,
    training_data: Examples | None = None,
) -> Diagram:
    """Draw the flow of stories: actions as nodes, and the user's messages on the arrows between them.

    Parameters
    ----------
    story_steps
        A story file or a folder, or a graph of stories or story steps.
    output_file
        Name of the file, which ends in one of `ENDINGS`; None to write none.
    max_history
        Two places in the stories are one node if the last `max_history` actions, with the messages between
        them, are the same. 1 gives a node for each action; large numbers keep the stories apart.
    interpreter, silent
        Accepted for older programs, without effect.
    nlu_training_data
        Examples of messages, shown in place of intents: an NLU file or folder, or intent to messages.
    should_merge_nodes
        False draws each action of each story.
    fontsize
        In pixels.
    training_data
        Older name of `nlu_training_data`.

    Raises
    ------
    DrawingError
        If the ending is unknown, the file cannot be written, or the picture would be too large.
    StoryParseError
        If the stories cannot be read.
    """
    if output_file is not None:  # The ending is checked before the stories are read, which may take long.
        check_picture_file(output_file, ENDINGS)
    if max_history < 1:
        raise DrawingError(f"max_history is at least 1, not {max_history}.")
    if isinstance(story_steps, str | Path):
        title = f"Stories in {Path(story_steps).name}"
        graph = _read(story_steps, domain)
    else:
        title = "Stories"
        graph = story_steps if isinstance(story_steps, StoryGraph) else StoryGraph(story_steps)
    source = training_data if nlu_training_data is None else nlu_training_data
    examples = {} if source is None else examples_by_intent(source)
    flow = StoryFlow(graph, max_history if should_merge_nodes else None, partial(_as_said, examples))
    diagram = flow.diagram(title)
    if output_file is not None:
        _write(diagram, output_file, fontsize)
    return diagram


def visualize_story_graph(
    story_graph: StoryGraph, output_file: str | Path = "story_blocks_connections.html", fontsize: int = 12
) -> None:
    """Draw the parts of stories and the checkpoints at which they are joined; see `visualize_stories` for errors."""
    check_picture_file(output_file, ENDINGS)
    _write(diagram_of_steps(story_graph, "Stories and their checkpoints"), output_file, fontsize)


def _read(resource: str | Path, domain: Domain) -> StoryGraph:
    """Return the stories in a file or a folder; rules of a bot of Rasa 2 or 3 are added as stories."""
    if domain.rasa is None:
        return extract_story_graph(resource, domain)
    read = read_yaml_stories(resource, domain)
    return StoryGraph([*(step for story in read.steps for step in story), *rules_as_steps(read.rules)])


def _write(diagram: Diagram, output_file: str | Path, fontsize: int) -> None:
    forms: dict[str, Callable[[], bytes]] = {
        ".html": lambda: as_html(diagram, fontsize).encode(),
        ".svg": lambda: as_drawing(diagram, fontsize).document(),
        ".png": lambda: as_drawing(diagram, fontsize).png(),
        ".dot": lambda: as_dot(diagram, fontsize).encode(),
        ".mmd": lambda: as_mermaid(diagram).encode(),
    }
    write_picture(output_file, forms)


# -- the user's messages


def examples_by_intent(source: Examples) -> dict[str, list[NLUExample]]:
    """Return the messages of an NLU file or folder, or of a mapping of intents to messages, by their intent.

    Raise `NLUDataError` if a file cannot be read, or there are no examples.
    """
    is_mapping = isinstance(source, Mapping)
    if isinstance(source, Mapping):
        examples = [_example(text, intent) for intent, texts in source.items() for text in texts]
    else:
        examples = list(read_training_data(source).examples)
    found: dict[str, list[NLUExample]] = {}
    for example in examples:
        if example.intent is not None:
            found.setdefault(example.intent, []).append(example)
    if not found:
        problem = "there are no examples of intents; expected ## intent:greet and - hello."
        raise NLUDataError(problem, Place("the mapping" if is_mapping else str(source)))
    return found


def _example(annotated: str, intent: str) -> NLUExample:
    def fail(problem: str) -> NoReturn:
        raise NLUDataError(problem, Place(f"the examples of {intent!r}"))

    text, entities = read_annotated(annotated, fail)
    return NLUExample(text, intent, tuple(entities))


def _as_said(examples: Mapping[str, list[NLUExample]], message: UserUttered) -> str:
    """Return an example of a message's intent, if possible with the same entities; otherwise its form in stories."""
    found = examples.get(message.intent.get("name") or "", [])
    wanted = {str(entity.get("entity")) for entity in message.entities}
    with_same_entities = (one for one in found if {span.entity for span in one.entities} == wanted)
    example = next(with_same_entities, found[0] if found else None)  # The first, so that the picture is deterministic.
    if example is not None:
        return f"“{example.text}”"
    if message.text and not message.text.startswith(INTENT_MESSAGE_PREFIX):
        return f"“{message.text}”"
    return message.as_story_string()
