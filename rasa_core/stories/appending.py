"""Adds stories to a file, all of them or none."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from rasa_core.stories.files import read_story_text


def append_stories(path: str | Path, text: str) -> None:
    """Add `text`, whole stories, to the end of a file, which is made if it does not exist.

    The file is replaced by a longer one in one step, so that a crash or a full disk leaves it as it was.

    Raises
    ------
    OSError
        If the file cannot be read or written.
    StoryParseError
        If it is there, but is not in UTF-8.
    """
    target = Path(os.path.realpath(Path(path).expanduser()))
    if target.exists() and not target.is_file():
        raise OSError("it is not a file")
    before = b""
    if target.exists():
        read_story_text(target)
        before = target.read_bytes()
    gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
    workpiece = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with workpiece.open("xb") as file:
            file.write(before + gap + text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        if before:
            shutil.copymode(target, workpiece)
        workpiece.replace(target)
    finally:
        workpiece.unlink(missing_ok=True)
