"""The views that correct a conversation, and save the corrected conversation in the project's own files."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Response

from rasa_core.checks import Finding
from rasa_core.checks.checks import DEFAULT_MAX_HISTORY, check_stories
from rasa_core.checks.rasa3 import check_rasa
from rasa_core.exceptions import ModelError
from rasa_core.project import Project
from rasa_core.rasa_project.training import contradictions
from rasa_core.server.inspector import inputs
from rasa_core.server.inspector.saving import edits_for, new_findings, project_in, proposal
from rasa_core.server.inspector.timeline import read_whole
from rasa_core.server.requests import HttpError, Request, at_version, json_response, without_folders
from rasa_core.server.served_model import Serves
from rasa_core.support.folders import is_of_this_machine
from rasa_core.support.text_edits import Edit, EditError, NewerEditError, write_edits
from rasa_core.support.text_files import TextFileError, read_text
from rasa_core.teaching.continuation import correct
from rasa_core.teaching.corrections import Correction

logger = logging.getLogger(__name__)


class Correcting:
    """The views that correct and save conversations. Safe to share between threads.

    Parameters
    ----------
    folder
        The folder of the project; None if the server has no project.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writing = threading.Lock()

    # -- correcting

    def correct(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Correct one step of a conversation, in a draft that goes on from the corrected step."""
        agent = app.model.agent()
        right = _correction(inputs.CORRECT.of(request))
        answered = correct(agent.turns(), sender_id, list(read_whole(agent, sender_id).events), right)
        return at_version(answered.result, answered.version)

    # -- saving

    def offer(self, app: Serves, request: Request, sender_id: str) -> Response:
        """List the kinds (story, rule, test, examples) and files in which a conversation may be saved."""
        agent = app.model.agent()
        with self._told_plainly():
            return json_response(proposal(self._project(), read_whole(agent, sender_id), agent.domain))

    def save(self, app: Serves, request: Request, sender_id: str) -> Response:
        """Return the changes in files and the findings of `check`; with ``"write": true``, write the changes."""
        agent = app.model.agent()
        body = inputs.SAVE.of(request)
        wanted, stamps = body["save"], body.get("stamps")
        if not all(isinstance(one, dict) for one in wanted):
            raise HttpError(400, f'"save" must be {inputs.SAVE.fields["save"].what}.')
        project = self._project()
        with self._writing, self._told_plainly():
            edits = edits_for(project, read_whole(agent, sender_id), agent.domain, wanted)
            found = new_findings(project, edits, findings)
            told = {
                "edits": [self._told(project, edit) for edit in edits],
                "findings": [finding.as_dict() for finding in found],
                "written": False,
            }
            if body.get("write") is not True:
                return json_response(told)
            errors = [finding for finding in found if finding.severity == "error"]
            if errors and body.get("despite_errors") is not True:
                raise HttpError(422, f"not saved, since check finds a mistake: {errors[0].message}", details=told)
            self._check_stamps(project, edits, stamps, told)
            try:
                write_edits(edits)
            except NewerEditError as error:
                raise HttpError(409, self._plain(error), details=told) from error
        return json_response({**told, "written": True})

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        """Answer errors of files without the path of the folder: 400, or 503 for errors of the disk."""
        try:
            yield
        except EditError as error:
            if isinstance(error.__cause__, OSError) and is_of_this_machine(error.__cause__):
                logger.error("nothing is saved: %s", error)
                why = error.__cause__.strerror
                raise HttpError(503, f"the files cannot be written here: {why}; the log says where.") from error
            raise HttpError(400, self._plain(error)) from error

    def _project(self) -> Project:
        return project_in(self._folder, "save into", Project)

    def _plain(self, error: Exception) -> str:
        return without_folders(str(error), self._folder)

    @staticmethod
    def _told(project: Project, edit: Edit) -> dict[str, Any]:
        name = edit.path.relative_to(project.folder).as_posix()
        return {"file": name, "diff": edit.diff(name), "stamp": edit.stamp}

    @staticmethod
    def _check_stamps(project: Project, edits: list[Edit], stamps: dict[str, Any] | None, told: dict[str, Any]) -> None:
        """Raise `HttpError` 409 if a file has changed since the change was shown."""
        if stamps is None:
            return
        for edit in edits:
            name = edit.path.relative_to(project.folder).as_posix()
            if stamps.get(name) != edit.stamp:
                raise HttpError(
                    409, f"{name} was changed by somebody else meanwhile; look at the change once more.", details=told
                )


def _correction(body: dict[str, Any]) -> Correction:
    action, intent, entities = body.get("action"), body.get("intent"), body.get("entities")
    if (action is None) == (intent is None):
        raise HttpError(400, 'send either the right "action" of a step, or the right "intent" of a message.')
    return Correction(body["at"], action, intent, None if entities is None else tuple(entities))


def findings(folder: Path) -> list[Finding]:
    """Return the findings of `rasa-core check` in a project."""
    try:
        project = Project(folder)
        if project.rasa is not None:
            return check_rasa(project.rasa, contradictions)
        text = read_text(project.domain_file)
    except (ModelError, TextFileError) as error:
        raise EditError(f"the project cannot be checked: {error}") from error
    name = str(project.domain_file)
    return check_stories(text, project.stories, DEFAULT_MAX_HISTORY, domain_name=name, nlu_files=project.nlu_files)
