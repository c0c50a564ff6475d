"""The views that train a candidate model, compare it with the served model, serve it, and go back to an older one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from werkzeug.wrappers import Response

from rasa_core.agent import Agent
from rasa_core.evaluation.changes import Comparison, StoriesCompared
from rasa_core.evaluation.replay import compare_stories, replay_of, without_corrected
from rasa_core.evaluation.stories import StoryEvaluation, evaluate_conversations, whole_stories
from rasa_core.evaluation.workers import compare_stored
from rasa_core.exceptions import ModelError, RasaCoreError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.project import Project
from rasa_core.server import included_events
from rasa_core.server.inspector import inputs
from rasa_core.server.inspector.candidate import Candidate
from rasa_core.server.inspector.saving import project_in, test_file_of, there
from rasa_core.server.requests import HttpError, Request, json_response, without_folders
from rasa_core.server.served_model import Serves
from rasa_core.stories import extract_story_graph
from rasa_core.stories.steps import StoryGraph
from rasa_core.stories.yaml import YamlStoryReader
from rasa_core.tracker_store.reviews import newest

logger = logging.getLogger(__name__)

_TOLD_EVERY: Final = 25


class Proving:
    """The views that train, compare and serve models. Safe to share between threads.

    Parameters
    ----------
    folder
        The folder of the project; None if the server has no project.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        self._comparing: threading.Thread | None = None

    def _candidate(self) -> Candidate:
        return Candidate(there(self._folder, "train"), Project)

    def _project(self) -> Project:
        return project_in(self._folder, "train", Project)

    # -- the served model and older models

    def models(self, app: Serves, request: Request, sender_id: str) -> Response:
        """List the models of the project, the newest first."""
        found = self._project().models.list()
        agent = app.model.agent_or_none()
        listed = [
            {
                **{"name": one.name, "made": one.made, "current": one.is_current},
                **{"figures": one.figures, "changed": one.changed},
            }
            for one in reversed(found)
        ]
        return json_response({"models": listed, "serves": None if agent is None else agent.model_fingerprint})

    def use(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Serve another model of the project."""
        name = inputs.USE.of(request)["name"]
        with self._guard:
            _refused(lambda: self._project().models.versions.use(name), self._folder)
        app.model.look_again()
        return json_response({"serves": name})

    # -- the candidate

    def state(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Return the state of the training, and its log from the line ``from`` on."""
        return json_response(self._candidate().state(inputs.FROM.of(request)))

    def train(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Train a model from the project's present files."""
        request.body()  # The body is ignored, but a body that is too large or incomplete is refused, as everywhere.
        with self._guard:
            _refused(self._candidate().start, self._folder)
        return json_response(self._candidate().state(), 202)

    def discard(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Discard the trained model."""
        with self._guard:
            self._candidate().discard()
        return json_response({"state": "none"})

    def serve(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Serve the trained model."""
        request.body()
        with self._guard:
            name = _refused(self._candidate().serve, self._folder)
        app.model.look_again()
        return json_response({"serves": name})

    # -- proving

    def compare(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Start a comparison of the trained model with the served model; its result becomes a part of the state."""
        last = inputs.COMPARE.of(request).get("last", inputs.DEFAULT_LAST)
        candidate, agent = self._candidate(), app.model.agent()
        _refused(candidate.check_trained, self._folder)
        with self._guard:
            if self._comparing is not None and self._comparing.is_alive():
                raise HttpError(409, "the models are being compared now; wait for it.")
            candidate.keep_comparison({"state": "comparing", "done": 0, "last": last})
            self._comparing = threading.Thread(target=_compare, args=(candidate, agent, last), daemon=True)
            self._comparing.start()
        return json_response(candidate.state(), 202)


def _refused(do: Any, folder: Path | None) -> Any:
    """Call `do`, and turn its errors into answers 409 or 503, without the path of the bot's folder."""
    try:
        return do()
    except ModelError as error:
        raise HttpError(409, without_folders(str(error), folder)) from error
    except OSError as error:
        logger.exception("a model could not be handled:")
        raise HttpError(503, f"the models cannot be written here: {error.strerror}; the log says where.") from error


def _compare(candidate: Candidate, agent: Agent, last: int) -> None:
    """Compare two models, and store the result in the candidate's folder; runs in a thread of its own."""
    try:
        found = compare_with(candidate, agent, last)
        candidate.keep_comparison({"state": "compared", "last": last, **found.as_dict()})
    except Exception as error:  # A custom policy may raise anything, and the page has to show it.
        logger.exception("the models could not be compared:")
        told = without_folders(f"{type(error).__name__}: {error}", candidate.work, candidate.project)
        candidate.keep_comparison({"state": "failed", "last": last, "error": told})


def compare_with(candidate: Candidate, agent: Agent, last: int) -> Comparison:
    """Compare the candidate with the served agent on stories, tests, and the latest conversations."""
    trained = Project(candidate.work)
    own = trained.interpreter
    new = Agent.load(
        trained.models.dialogue.resolve(),
        interpreter=agent.interpreter if own is None else NaturalLanguageInterpreter.create(str(own.resolve())),
    )
    store = agent.tracker_store
    names = list(newest(store, last, without_corrected))

    def tell(done: int) -> None:
        if done % _TOLD_EVERY == 0:
            candidate.keep_comparison({"state": "comparing", "done": done, "count": len(names), "last": last})

    found = compare_stored(replay_of(agent, new), store, names, tell, longest=included_events.MOST_READ)
    found.stories = list(_stories(trained, agent, new))
    return found


def _stories(project: Project, old: Agent, new: Agent) -> Iterator[StoriesCompared]:
    """Yield the results of stories and tests with both models."""
    for name, graph in _graphs(project, new):
        whole = whole_stories(graph, new.domain)
        results = [StoryEvaluation(evaluate_conversations(bot, whole, silent=True), len(whole)) for bot in (old, new)]
        found = compare_stories(name, *results)
        for names in (found.broken, found.mended):  # The folder of the candidate's copy is of no use to people.
            names[:] = [told.replace(f"{project.folder}/", "") for told in names]
        yield found


def _graphs(project: Project, agent: Agent) -> Iterator[tuple[str, StoryGraph]]:
    test = project.folder / test_file_of(project)
    try:
        if project.rasa is None:
            yield "stories", extract_story_graph(project.stories, agent.domain, agent.interpreter)
            if test.is_file():
                yield "tests", extract_story_graph(test, agent.domain, agent.interpreter)
            return
        steps = project.rasa.read_stories().steps
        yield "stories", StoryGraph(step for story in steps for step in story)
        if test.is_file():
            read = YamlStoryReader(agent.domain).read_files([test])
            yield "tests", StoryGraph(step for story in read.steps for step in story)
    except RasaCoreError as error:
        logger.warning("some stories are not compared: %s", error)
