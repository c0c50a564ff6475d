"""The models of a bot over HTTP, as clients of Rasa train, choose and test them.

Trust: whoever may train or choose a model decides what the bot does. So `train` needs ``--enable-train`` and a token,
as the training of NLU models does, and `use` needs ``--enable-load``, as an upload does, and chooses only among the
models that the project has made. What is trained cannot name other files, nor code of this machine.

A training or a test runs in a process of its own (`bot_job`), as `rasa_core.server.jobs` tells. The model that is
trained becomes a version of the project in one step, and serves only when it is chosen.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from werkzeug.wrappers import Response

from rasa_core.exceptions import InterpreterError, ModelError
from rasa_core.interpreter import RasaNLUInterpreter
from rasa_core.model_folder import read_model
from rasa_core.project.models import DIALOGUE, NLU, ProjectModels
from rasa_core.server import uploads
from rasa_core.server.api import inputs
from rasa_core.server.callers import is_from_a_page
from rasa_core.server.failures import as_http_error
from rasa_core.server.jobs import hung_up, locked, run_job
from rasa_core.server.requests import HttpError, Request, json_response, without_folders
from rasa_core.server.settings import MAX_TRAINING_MEMORY, MAX_TRAINING_SECONDS
from rasa_core.support.http import HttpTransport, NoAnswerError, server_address, without_secrets
from rasa_core.support.kept_versions import KeptVersions, as_current
from rasa_core.support.threads import started

if TYPE_CHECKING:
    from rasa_core.server.app import ServerApp

logger = logging.getLogger(__name__)

SUFFIX: Final = ".tar.gz"
ARCHIVE: Final = f"model{SUFFIX}"
MAX_TEST_SECONDS: Final = 600
LOCK_NAME: Final = ".testing.lock"

_JOB: Final = "rasa_core.server.bot_job"
_WORKPLACE: Final = ".new-"  # As of `KeptVersions`, which knows by it the folders of interrupted trainings.
_TIMEOUT: Final = 60.0  # seconds


def use(app: ServerApp, request: Request, sender_id: str) -> Response:
    """Serve another model of the project."""
    if not app.model.replaceable:
        raise HttpError(403, "choosing a model is off; start the server with --enable-load to allow it.")
    if is_from_a_page(request.environ):
        raise HttpError(403, "web pages may not choose models; use a program, such as curl.")
    body = inputs.MODEL_FILE.of(request)
    for name in ("model_server", "remote_storage"):
        if body.get(name) is not None:
            raise HttpError(
                400, f'models come from no "{name}" here; put them into models/, and name the "model_file".'
            )
    if body.get("model_file") is None:
        raise HttpError(
            400, 'the model is missing; send it as {"model_file": "models/NAME"}; /status names the present.'
        )
    versions = _versions(app)
    try:
        version = _found(versions, body["model_file"])
        with uploads.others_first():  # Read as a whole first, so that a damaged model never becomes the current one.
            read_model(version / DIALOGUE)
            if (version / NLU).is_dir():
                RasaNLUInterpreter(version / NLU)
        versions.use(version.name)
    except (ModelError, InterpreterError) as error:
        problem = f"the model is not loaded, and the present one stays: {without_folders(str(error), versions.folder)}"
        raise HttpError(400, problem) from error
    app.model.look_again()
    return _done()


def _versions(app: ServerApp, otherwise: str = "") -> KeptVersions:
    versions = None if app.model.path is None else ProjectModels(app.model.path.parent).versions
    if versions is None or versions.current is None:
        problem = f"this server has a model and no project; serve the folder of a bot, with its models{otherwise}."
        raise HttpError(409, problem)
    return versions


def _found(versions: KeptVersions, given: str) -> Path:
    """Return the version that a path or a name stands for; that of the folder of all versions is the last one.

    Raises
    ------
    HttpError
        400 if there is no such version.
    """
    folder, known = versions.folder.resolve(), versions.names()
    path = Path(given.removesuffix(SUFFIX))
    # A path is one in the project, or of this machine; a name alone is that of a version.
    where = Path(os.path.normpath((folder if path.name in known and len(path.parts) == 1 else folder.parent) / path))
    try:
        return versions.path(
            known[-1] if known and where == folder else where.name if where.parent == folder else given
        )
    except ModelError as error:
        raise HttpError(400, without_folders(str(error), folder)) from None


# -- training


def train(app: ServerApp, request: Request, sender_id: str) -> Response:
    """Train a bot from the data in the body, and answer with its model as a file; it does not serve yet."""
    if app.nlu_models is None:
        raise HttpError(403, "training is off; start the server with --enable-train DIR and a token to allow it.")
    text, lock_in = _text_of(request, "the files of a bot in one document"), app.nlu_models.directory
    saves, forces = inputs.SAVES.of(request), inputs.FORCES.of(request)
    versions = _versions(app, "; or send save_to_default_model_directory=false") if saves else None

    def work(has_gone: Callable[[], bool]) -> Response:
        with locked(lock_in, "a bot") as lock, _workplace(versions) as folder:
            before = None if versions is None or forces else versions.path(versions.names()[-1])
            job = {
                **{"do": "train", "text": text, "folder": folder, "archive": ARCHIVE},
                "before": None if before is None else str(before),
                **{"max_seconds": MAX_TRAINING_SECONDS, "max_memory": MAX_TRAINING_MEMORY},
            }
            name = run_job(_JOB, job, lock, has_gone)["version"]
            made = Path(folder, "bot", "models", name)
            if versions is not None and made.is_dir():
                made.rename(versions.folder / name)
                versions.prune()
            packed = Path(folder, ARCHIVE).read_bytes()
        file = f"{name}{SUFFIX}"
        headers = [("filename", file), ("Content-Disposition", f'attachment; filename="{file}"')]
        return Response(packed, mimetype="application/x-tar", headers=headers)

    return _answer(app, request, work)


def _done() -> Response:
    answer = Response(status=204)
    del answer.headers["Content-Type"]  # The answer has no content.
    return answer


def _text_of(request: Request, what: str) -> str:
    try:
        text = request.body().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HttpError(400, f"the body is not UTF-8: {error.reason} at byte {error.start}.") from None
    if not text.strip():
        raise HttpError(400, f"the body is empty; send {what} in YAML: curl --data-binary @FILE.")
    return text


@contextmanager
def _workplace(versions: KeptVersions | None) -> Iterator[str]:
    """Make a folder, beside the versions of the project if a version is to be made; it is removed at the end."""
    parent = None if versions is None else versions.folder
    if versions is not None:
        versions.clear_unfinished()
    try:
        made = tempfile.TemporaryDirectory(prefix=_WORKPLACE, dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        logger.error("cannot write to %s: %s", parent or tempfile.gettempdir(), error)
        raise HttpError(503, f"nothing can be written here: {error.strerror}; the log says where.") from error
    with made as folder:
        yield folder


def _answer(app: ServerApp, request: Request, work: Callable[[Callable[[], bool]], Response]) -> Response:
    """Return the answer of a long work; with ``callback_url``, send it to that address later, and answer at once."""
    url = inputs.CALLBACK.of(request)
    if not url:
        return work(hung_up(request.environ))
    if not app.guard.asks:  # Else anybody could let this server send requests to machines that only it can reach.
        raise HttpError(403, 'a "callback_url" needs a server with a token; without one, wait for the answer.')
    address = server_address(url)
    if address is None:
        raise HttpError(400, f'"callback_url" is an address that begins with http:// or https://, not {url[:200]!r}.')

    def call_back() -> None:
        try:
            answer = work(lambda: False)
        except HttpError as error:
            answer = error.get_response()
        except Exception as error:  # the receiver would wait for ever
            logger.exception("what was asked for failed")
            answer = as_http_error(error).get_response()
        kind = {"Content-Type": str(answer.content_type)}
        try:
            sent = HttpTransport(address).exchange("POST", "", headers=kind, body=answer.get_data(), timeout=_TIMEOUT)
            logger.info("what was asked for was sent to %s, which answered %s", without_secrets(url), sent.status)
        except NoAnswerError as error:
            logger.error("what was asked for could not be sent to %s: %s", without_secrets(url), error)

    if started(copy_context().run, "callback", call_back) is None:
        raise HttpError(503, "no thread could be started; try again later, or leave out the callback_url.")
    return _done()


# -- testing


def test_stories(app: ServerApp, request: Request, sender_id: str) -> Response:
    """Tell how well the served model does what test stories say."""
    return _tested(app, request, "stories", e2e=inputs.END_TO_END.of(request))


def test_intents(app: ServerApp, request: Request, sender_id: str) -> Response:
    """Tell how well the served model understands examples."""
    if inputs.FOLDS.of(request) is not None:
        raise HttpError(400, "there is no cross-validation here: use rasa-core nlu evaluate DATA --folds 5.")
    return _tested(app, request, "intents")


def _tested(app: ServerApp, request: Request, do: str, **more: Any) -> Response:
    path, agent = app.model.path, app.model.agent()
    if path is None:
        raise HttpError(409, "this server was given an agent, and not the folder of a model, which a test needs.")
    text, named = _text_of(request, "what to test with"), inputs.MODEL_TESTED.of(request)
    model, nlu = as_current(path), getattr(agent.interpreter, "model_directory", None)
    if named is not None:
        versions = _versions(app)
        version = _found(versions, named)
        model, nlu = version / DIALOGUE, str(version / NLU) if (version / NLU).is_dir() else None
    if nlu is None and do == "intents":
        raise HttpError(409, "this bot has no NLU model of its own that could be tested.")

    def work(has_gone: Callable[[], bool]) -> Response:
        with _workplace(None) as folder, locked(path.parent, "a test", LOCK_NAME) as lock:
            job = {
                **{"do": do, "text": text, "folder": folder, "model": str(model), "nlu": nlu, **more},
                **{"max_seconds": MAX_TEST_SECONDS, "max_memory": MAX_TRAINING_MEMORY},
            }
            return json_response(run_job(_JOB, job, lock, has_gone))

    return _answer(app, request, work)
