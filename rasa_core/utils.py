"""Helpers that programs for earlier versions import from here; nothing else in rasa_core uses them."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import DTypeLike, NDArray

from rasa_core.slots import class_from_path, dotted_path
from rasa_core.support.folders import make_private


def one_hot(hot_idx: int, length: int, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return a vector of shape ``(length,)`` with 1 at `hot_idx` and 0 elsewhere."""
    if not 0 <= hot_idx < length:
        raise ValueError(f"the index {hot_idx} is outside a vector of length {length}.")
    vector = np.zeros(length, dtype)
    vector[hot_idx] = 1
    return vector


def is_int(value: Any) -> bool:
    """Tell whether `value` is a whole number, be it an int or a float."""
    try:
        # A float such as 3.0 is one as well, as in 0.9.
        return bool(value == int(value))
    except (TypeError, ValueError, OverflowError):
        return False


def create_dir_for_file(file_path: str | Path) -> None:
    """Create the folder that `file_path` stands in, with those above it."""
    Path(file_path).parent.mkdir(parents=True, exist_ok=True)


def read_file(filename: str | Path, encoding: str = "utf-8-sig") -> str:
    """Return the text of a file."""
    return Path(filename).read_text(encoding=encoding)


def read_yaml_file(filename: str | Path) -> Any:
    """Return the plain data in a YAML file."""
    # Plain data alone: a tag that would make an object is an error.
    return yaml.safe_load(read_file(filename))


def dump_obj_as_json_to_file(filename: str | Path, obj: Any) -> None:
    """Write `obj` to a file as JSON."""
    Path(filename).write_text(json.dumps(obj, indent=2), encoding="utf-8")


def zip_folder(folder: str | Path) -> str:
    """Pack a folder into a zip file in the folder for temporary files, and return its path."""
    # The caller moves or removes it; nobody else knows where it is.
    target = Path(tempfile.mkdtemp(), "archive")
    return shutil.make_archive(str(target), "zip", folder)


def class_from_module_path(module_path: str) -> type:
    """Return the class at a dotted path."""
    return class_from_path(module_path, object)


def module_path_from_instance(inst: object) -> str:
    """Return the dotted path of the class of `inst`."""
    return dotted_path(type(inst))


class bcolors:  # noqa: N801
    """Escape codes for colours on a terminal."""

    HEADER = "\033[95m"
    OKBLUE = "\033[94m"
    OKGREEN = "\033[92m"
    WARNING = "\033[93m"
    FAIL = "\033[91m"
    ENDC = "\033[0m"
    BOLD = "\033[1m"
    UNDERLINE = "\033[4m"


def wrap_with_color(text: str, color: str) -> str:
    """Return `text` in a colour of `bcolors`."""
    return f"{color}{text}{bcolors.ENDC}"


def print_color(text: str, color: str) -> None:
    """Print `text` in a colour of `bcolors`."""
    print(wrap_with_color(text, color))


def add_logging_option_arguments(parser: argparse.ArgumentParser, default: int = logging.WARNING) -> None:
    """Add ``--debug`` and ``--verbose``, which set ``loglevel``."""
    parser.set_defaults(loglevel=default)
    for flags, level in ((("--debug",), logging.DEBUG), (("-v", "--verbose"), logging.INFO)):
        text = f"log at the level {logging.getLevelName(level)}"
        parser.add_argument(*flags, dest="loglevel", action="store_const", const=level, default=default, help=text)


def configure_colored_logging(loglevel: int | str) -> None:
    """Log to the standard error output, in colour on a terminal."""
    stamp = "%(asctime)s %(levelname)-8s %(name)s"
    shown = wrap_with_color(stamp, bcolors.OKBLUE) if sys.stderr.isatty() else stamp
    logging.basicConfig(level=loglevel, format=f"{shown}  %(message)s")


def configure_file_logging(loglevel: int | str, logfile: str | Path | None) -> None:
    """Log to a file as well, if one is given."""
    if logfile:
        # Logs hold what users have said.
        make_private(logfile)
        handler = logging.FileHandler(logfile, encoding="utf-8")
        handler.setLevel(loglevel)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(name)s  %(message)s"))
        logging.getLogger().addHandler(handler)
