"""The views of the story map: the project's stories as a graph, with the paths of conversations through it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Response

from rasa_core.agent import Agent
from rasa_core.drawing.story_map import MappedStory, StoryMap
from rasa_core.evaluation.stories import whole_stories
from rasa_core.exceptions import RasaCoreError
from rasa_core.project import Project
from rasa_core.server import included_events
from rasa_core.server.inspector import inputs
from rasa_core.server.inspector.timeline import read_whole, snippet_of
from rasa_core.server.requests import HttpError, Request, json_response, without_folders
from rasa_core.server.served_model import Serves
from rasa_core.stories import extract_story_graph
from rasa_core.stories.steps import StoryGraph
from rasa_core.support.folders import stamp_of
from rasa_core.tracker_store.logs import each_readable
from rasa_core.tracker_store.reviews import newest


class Maps:
    """The map, made again when a file of stories has changed. Safe to share between threads."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        self._kept: tuple[object, StoryMap, dict[str, Any]] | None = None

    def _map(self, agent: Agent) -> tuple[StoryMap, dict[str, Any], Project]:
        if self._folder is None:
            raise HttpError(409, "this server has a model and no stories to show; serve the folder of a bot.")
        project = Project(self._folder)
        files = project.story_files
        # Read again when a file changes, since the map shows the present stories, not those that a model has learnt.
        stamp = (agent.domain.fingerprint(), *((path, stamp_of(path)) for path in files))
        with self._guard:  # Of several requests at once, one makes the map and the others wait.
            if self._kept is None or self._kept[0] != stamp:
                try:
                    made = StoryMap(_stories(project, agent))
                except RasaCoreError as error:
                    told = without_folders(str(error), self._folder)
                    raise HttpError(409, f"the stories cannot be read now: {told}") from error
                self._kept = stamp, made, made.as_dict()
            return self._kept[1], self._kept[2], project

    def show(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Return the map; ``conversation`` adds the path of one conversation, ``last`` how often paths are taken."""
        agent = app.model.agent()
        made, drawn, _ = self._map(agent)
        told = dict(drawn)  # A copy, since the drawing is cached, and paths belong to this request.
        name, last = inputs.CONVERSATION.of(request), inputs.LAST.of(request)
        if name is not None:
            told["way"] = made.way(list(read_whole(agent, name).events))
        if last is not None:
            names = list(newest(agent.tracker_store, last, list))
            read, number = each_readable(agent.tracker_store, names, included_events.MOST_READ), count()
            found = made.coverage(events for events, _ in zip(read, number, strict=False))
            told["coverage"] = {**found, "left_out": len(names) - next(number)}
        return json_response(told)

    def lines(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Return the lines of the story at a place of the map."""
        _, _, project = self._map(app.model.agent())
        return json_response(snippet_of(inputs.PLACE.of(request), project.story_files))


def _stories(project: Project, agent: Agent) -> Iterator[MappedStory]:
    if project.rasa is None:
        graph = extract_story_graph(project.stories, agent.domain, agent.interpreter)
    else:
        read = project.rasa.read_stories()
        graph = StoryGraph(step for steps in read.steps for step in steps)
        for rule in read.rules:  # Rules are kept apart from the graph of stories, since a rule may begin anywhere.
            yield [event for event, _ in rule.steps], [place for _, place in rule.steps]
    for tracker in whole_stories(graph, agent.domain):
        yield list(tracker.events), list(tracker.sources)
