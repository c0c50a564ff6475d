"""``POST /load``: a zipped model takes the place of the served one. Off unless the server is told to.

Trust: a model is data, and loading one runs no code of it, but whoever may upload decides what the bot
does. So this wants a token. The archive itself is not trusted: names that lead outside, links, and archives
that unpack to far more than a model ever needs are refused, and the served model stays until the new one is
unpacked, loaded and checked.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, Any

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import parse_form_data

from rasa_core.server.errors import HttpError
from rasa_core.server.serving import LOAD_ERRORS, ServedModel

MAX_ARCHIVE = 256 * 1024 * 1024
MAX_UNPACKED = 1024 * 1024 * 1024
MAX_FILES = 10_000
_CHUNK = 1024 * 1024
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


def replace_model(model: ServedModel, environ: dict[str, Any]) -> None:
    """Unpack, load and check the model in a request, and serve it from now on.

    Raises
    ------
    HttpError
        403 if uploads are off, or the request comes from a web page; 400 if there is no sound model in the
        request; 413 if it is too large.
    """
    if not model.replaceable:
        raise HttpError(403, "loading models is off; start the server with -d MODEL and --enable-load to allow it.")
    if "HTTP_ORIGIN" in environ:  # Any page that its user visits could send a form to a server on the same machine.
        raise HttpError(403, "web pages may not load models; use a program, such as curl -F model=@model.zip.")
    with _uploaded(environ) as archive:
        try:
            model.replace(lambda directory: _unpack(archive, directory))
        except HttpError:
            raise
        except LOAD_ERRORS as error:
            problem = str(error) or type(error).__name__
            raise HttpError(400, f"the uploaded model is not loaded, and the old one stays: {problem}") from error


def _uploaded(environ: dict[str, Any]) -> IO[bytes]:
    try:
        _, _, files = parse_form_data(environ, max_content_length=MAX_ARCHIVE, silent=False)
    except RequestEntityTooLarge:
        raise HttpError(413, f"an uploaded model has at most {MAX_ARCHIVE} bytes.") from None
    except (ValueError, OSError) as error:
        raise HttpError(400, f"the body is not sound multipart/form-data: {error}") from None
    sent = [file for of_one_field in files.listvalues() for file in of_one_field]
    for file in sent:
        if file is not files.get("model"):
            file.close()
    if "model" not in files:
        raise HttpError(400, 'send the model as a zip file in the field "model" of multipart/form-data.')
    return files["model"].stream


def _unpack(archive: IO[bytes], directory: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [member for member in zipped.infolist() if not member.is_dir()]
            if len(members) > MAX_FILES:
                raise HttpError(400, f"the zip file holds {len(members)} files; a model has at most {MAX_FILES}.")
            names = _below_root([_safe_name(member) for member in members])
            room = MAX_UNPACKED
            for member, name in zip(members, names, strict=True):
                target = directory / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as source, target.open("xb") as written:
                    room -= _copy(source, written, room)
    except _BAD_ZIP as error:
        raise HttpError(400, f"the uploaded file is not a sound zip file: {error}") from error


def _safe_name(member: zipfile.ZipInfo) -> PurePosixPath:
    """Return the path of a member below the directory that it is unpacked to."""
    name = PurePosixPath(member.filename)
    outside = name.is_absolute() or ".." in name.parts or not name.parts
    if outside or "\\" in member.filename or ":" in member.filename or stat.S_ISLNK(member.external_attr >> 16):
        raise HttpError(400, f"the zip file holds {member.filename[:80]!r}, which is a link or leads outside.")
    return name


def _below_root(names: list[PurePosixPath]) -> Iterable[PurePosixPath]:
    """Return the names without the folder that all of them are in, where there is one."""
    if len({name.parts[0] for name in names}) == 1 and all(len(name.parts) > 1 for name in names):
        return [PurePosixPath(*name.parts[1:]) for name in names]
    return names


def _copy(source: IO[bytes], target: IO[bytes], room: int) -> int:
    """Copy at most `room` bytes, whatever size the archive claims; return how many."""
    copied = 0
    while chunk := source.read(_CHUNK):
        copied += len(chunk)
        if copied > room:
            raise HttpError(413, f"the zip file unpacks to more than {MAX_UNPACKED} bytes.")
        target.write(chunk)
    return copied
