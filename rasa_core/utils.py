"""Helpers that programs for earlier versions import from here; nothing else in rasa_core uses them."""

from __future__ import annotations

import argparse
import builtins
import json
import logging
import random
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import numpy as np
import yaml
from numpy.typing import DTypeLike, NDArray

from rasa_core.compat import later
from rasa_core.rasa_project.rasa1 import server_in
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


class Topic(Protocol):
    """What has a name, as `rasa_core.conversation.Topic`."""

    @property
    def name(self) -> str: ...  # noqa: D102


class TopicStack:
    """Topics, the latest on top; programs of old may keep some, and nothing in rasa_core uses it.

    Parameters
    ----------
    topics
        Those that there are.
    iterable
        What is on the stack, the latest last.
    default
        What is on top of an empty stack.
    """

    def __init__(self, topics: Sequence[Topic], iterable: Iterable[Topic], default: Topic) -> None:
        self.topics, self.default = topics, default
        self._stack = list(iterable)

    @property
    def top(self) -> Topic:
        """The latest topic."""
        return self._stack[-1] if self._stack else self.default

    def __iter__(self) -> Iterator[Topic]:
        """Go through the topics, the latest last."""
        return iter(self._stack)

    def __len__(self) -> int:
        """Return how many topics there are."""
        return len(self._stack)

    def push(self, x: Topic | str) -> None:
        """Put a topic, or the one of that name, on top, wherever it was; raise `ValueError` if there is none."""
        named = {topic.name: topic for topic in self.topics}
        topic = named.get(x) if isinstance(x, str) else x
        if topic is None or topic not in self.topics:
            raise ValueError(f"there is no topic {x!r}; known are {', '.join(map(repr, sorted(named)))}.")
        self._stack = [other for other in self._stack if other != topic] + [topic]

    def pop(self) -> Topic | None:
        """Take the latest topic away, and return it; None if there is none."""
        return self._stack.pop() if self._stack else None


def is_training_data_empty(X: NDArray[Any]) -> bool:  # noqa: N803
    """Tell whether an array has no examples."""
    return len(X) == 0


def subsample_array(
    arr: list[Any], max_values: int, can_modify_incoming_array: bool = True, rand: random.Random | None = None
) -> list[Any]:
    """Return so many values of a list in a random order, or all; the list itself is shuffled if it may be."""
    values = arr if can_modify_incoming_array else list(arr)
    (rand or random).shuffle(values)
    return values[:max_values]


class HashableNDArray:
    """An array that can be in a set or be a key of a dictionary.

    Parameters
    ----------
    wrapped
        The array.
    tight
        Whether to keep a copy, which nobody else changes.
    """

    def __init__(self, wrapped: NDArray[Any], tight: bool = False) -> None:
        self._tight = tight
        self._wrapped = wrapped.copy() if tight else wrapped
        self._hash = hash((wrapped.shape, wrapped.dtype.str, wrapped.tobytes()))

    def __eq__(self, other: object) -> bool:
        """Tell whether the arrays are equal."""
        return isinstance(other, HashableNDArray) and bool(np.array_equal(self._wrapped, other._wrapped))

    def __hash__(self) -> int:
        """Return the same for equal arrays of one type."""
        return self._hash

    def unwrap(self) -> NDArray[Any]:
        """Return the array, or a copy if this is a copy."""
        return self._wrapped.copy() if self._tight else self._wrapped


lazyproperty = cached_property
"""A property that is computed once an object."""


def fix_yaml_loader() -> None:
    """Do nothing: every YAML file is read as text in Unicode."""


def all_subclasses(cls: type) -> list[type]:
    """Return the classes that are made from `cls`, and from these, and so on."""
    below: list[type] = cls.__subclasses__()
    return below + [one for child in below for one in all_subclasses(child)]


def str_range_list(start: int, end: int) -> list[str]:
    """Return the numbers from `start` up to `end`, which is not among them, as texts."""
    return list(map(str, range(start, end)))


def generate_id(prefix: str = "", max_chars: int | None = None) -> str:
    """Return a random name: `prefix`, and as many hexadecimal digits as are asked for, or 32."""
    return prefix + uuid.uuid4().hex[:max_chars]


def cap_length(s: str, char_limit: int = 20, append_ellipsis: bool = True) -> str:
    """Return a text that has no more than so many characters; dots stand for what is left out."""
    if len(s) <= char_limit:
        return s
    return s[: char_limit - 3] + "..." if append_ellipsis else s[:char_limit]


def extract_args(kwargs: dict[str, Any], keys_to_extract: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments of these names, and the others."""
    extracted = {name: value for name, value in kwargs.items() if name in keys_to_extract}
    return extracted, {name: value for name, value in kwargs.items() if name not in extracted}


def wait_for_threads(threads: Iterable[Thread]) -> None:
    """Return when all threads have ended."""
    for thread in threads:
        thread.join()


def input(prompt: str = "") -> str:  # noqa: A001
    """Return a line, as Python's own `input`, for `request_input`; a program may replace this one."""
    return builtins.input(prompt)


def request_input(valid_values: Sequence[str] | None = None, prompt: str | None = None, max_suggested: int = 3) -> str:
    """Return what somebody types, which is one of `valid_values` if there are any: others are asked for again."""
    while True:
        line = input(prompt or "")
        if valid_values is None or line in valid_values:
            return line
        more = ", ..." if len(valid_values) > max_suggested else ""
        print(f"Type one of: {', '.join(valid_values[:max_suggested])}{more}")


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


def dump_obj_as_str_to_file(filename: str | Path, text: str) -> None:
    """Write a text to a file."""
    Path(filename).write_text(text, encoding="utf-8")


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


class EndpointConfig(dict[str, Any]):
    """Where another server is, as programs for Rasa Core 0.10 and later say it; a mapping like one in endpoints.yml.

    Parameters
    ----------
    url
        Its address, ``http://localhost:5055/webhook`` for an action server.
    params, headers, basic_auth
        What is sent with each request; ``basic_auth`` has ``username`` and ``password``.
    token, token_name
        A parameter of the address, and its name.
    """

    def __init__(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        basic_auth: Mapping[str, Any] | None = None,
        token: str | None = None,
        token_name: str = "token",
        **kwargs: Any,
    ) -> None:
        given = {"url": url, "headers": headers, "basic_auth": basic_auth, "params": params, **kwargs}
        if token is not None:
            given |= {"token": token, "token_name": token_name}
        super().__init__({name: value for name, value in given.items() if value is not None})
        self.url, self.params, self.headers = url, dict(params or {}), dict(headers or {})
        self.basic_auth, self.token, self.token_name = basic_auth, token, token_name


def read_endpoint_config(filename: str | Path, endpoint_type: str) -> EndpointConfig | None:
    """Return what a file such as endpoints.yml says of ``action_endpoint``, or of another server; None if nothing.

    Raises
    ------
    ModelError
        If the file cannot be read, or says nothing of use; the message begins with file and line.
    """
    found = server_in(filename, endpoint_type)
    return None if found is None else EndpointConfig(**found)


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


__getattr__ = later.of_module(__name__)
