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
    """Tell whether `value` is a whole number, as an int or as a float."""
    try:
        # As in 0.9, a float such as 3.0 counts as a whole number.
        return bool(value == int(value))
    except (TypeError, ValueError, OverflowError):
        return False


class Topic(Protocol):
    """An object with a name, such as `rasa_core.conversation.Topic`."""

    @property
    def name(self) -> str: ...  # noqa: D102


class TopicStack:
    """A stack of topics, the latest on top. Old programs may use it; nothing in rasa_core does.

    Parameters
    ----------
    topics
        All known topics.
    iterable
        The topics on the stack, the latest last.
    default
        The topic that `top` returns for an empty stack.
    """

    def __init__(self, topics: Sequence[Topic], iterable: Iterable[Topic], default: Topic) -> None:
        self.topics, self.default = topics, default
        self._stack = list(iterable)

    @property
    def top(self) -> Topic:
        """The latest topic."""
        return self._stack[-1] if self._stack else self.default

    def __iter__(self) -> Iterator[Topic]:
        """Iterate over the topics, the latest last."""
        return iter(self._stack)

    def __len__(self) -> int:
        """Return how many topics there are."""
        return len(self._stack)

    def push(self, x: Topic | str) -> None:
        """Move a topic, or the topic with the given name, to the top; raise `ValueError` for an unknown topic."""
        named = {topic.name: topic for topic in self.topics}
        topic = named.get(x) if isinstance(x, str) else x
        if topic is None or topic not in self.topics:
            raise ValueError(f"there is no topic {x!r}; known are {', '.join(map(repr, sorted(named)))}.")
        self._stack = [other for other in self._stack if other != topic] + [topic]

    def pop(self) -> Topic | None:
        """Remove the latest topic and return it; None if the stack is empty."""
        return self._stack.pop() if self._stack else None


def is_training_data_empty(X: NDArray[Any]) -> bool:  # noqa: N803
    """Tell whether an array has no examples."""
    return len(X) == 0


def subsample_array(
    arr: list[Any], max_values: int, can_modify_incoming_array: bool = True, rand: random.Random | None = None
) -> list[Any]:
    """Return up to `max_values` values of a list in a random order.

    The list itself is shuffled, unless `can_modify_incoming_array` is false.
    """
    values = arr if can_modify_incoming_array else list(arr)
    (rand or random).shuffle(values)
    return values[:max_values]


class HashableNDArray:
    """A wrapper that makes an array hashable, for sets and for keys of a dictionary.

    Parameters
    ----------
    wrapped
        The array.
    tight
        Whether to keep a copy, so that later changes to the array have no effect.
    """

    def __init__(self, wrapped: NDArray[Any], tight: bool = False) -> None:
        self._tight = tight
        self._wrapped = wrapped.copy() if tight else wrapped
        self._hash = hash((wrapped.shape, wrapped.dtype.str, wrapped.tobytes()))

    def __eq__(self, other: object) -> bool:
        """Tell whether the arrays are equal."""
        return isinstance(other, HashableNDArray) and bool(np.array_equal(self._wrapped, other._wrapped))

    def __hash__(self) -> int:
        """Return a hash that is the same for equal arrays of one dtype."""
        return self._hash

    def unwrap(self) -> NDArray[Any]:
        """Return the array; of a `tight` wrapper, a copy of it."""
        return self._wrapped.copy() if self._tight else self._wrapped


lazyproperty = cached_property
"""A property that is computed once for each object."""


def fix_yaml_loader() -> None:
    """Do nothing; YAML files are read as Unicode text anyway."""


def all_subclasses(cls: type) -> list[type]:
    """Return all direct and indirect subclasses of `cls`."""
    below: list[type] = cls.__subclasses__()
    return below + [one for child in below for one in all_subclasses(child)]


def str_range_list(start: int, end: int) -> list[str]:
    """Return the numbers from `start` up to, but not including, `end` as texts."""
    return list(map(str, range(start, end)))


def generate_id(prefix: str = "", max_chars: int | None = None) -> str:
    """Return `prefix` followed by `max_chars` random hexadecimal digits, by default 32."""
    return prefix + uuid.uuid4().hex[:max_chars]


def cap_length(s: str, char_limit: int = 20, append_ellipsis: bool = True) -> str:
    """Return a text cut off to `char_limit` characters; it then ends with three dots if `append_ellipsis`."""
    if len(s) <= char_limit:
        return s
    return s[: char_limit - 3] + "..." if append_ellipsis else s[:char_limit]


def extract_args(kwargs: dict[str, Any], keys_to_extract: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split `kwargs` in two: the arguments named in `keys_to_extract`, and all others."""
    extracted = {name: value for name, value in kwargs.items() if name in keys_to_extract}
    return extracted, {name: value for name, value in kwargs.items() if name not in extracted}


def wait_for_threads(threads: Iterable[Thread]) -> None:
    """Wait until all threads have ended."""
    for thread in threads:
        thread.join()


def input(prompt: str = "") -> str:  # noqa: A001
    """Return a line that the user types, as Python's own `input`; programs may replace it for `request_input`."""
    return builtins.input(prompt)


def request_input(valid_values: Sequence[str] | None = None, prompt: str | None = None, max_suggested: int = 3) -> str:
    """Return a line that the user types; if there are `valid_values`, ask until the line is one of them."""
    while True:
        line = input(prompt or "")
        if valid_values is None or line in valid_values:
            return line
        more = ", ..." if len(valid_values) > max_suggested else ""
        print(f"Type one of: {', '.join(valid_values[:max_suggested])}{more}")


def create_dir_for_file(file_path: str | Path) -> None:
    """Create the folder of `file_path`, and its parent folders."""
    Path(file_path).parent.mkdir(parents=True, exist_ok=True)


def read_file(filename: str | Path, encoding: str = "utf-8-sig") -> str:
    """Return the text of a file."""
    return Path(filename).read_text(encoding=encoding)


def read_yaml_file(filename: str | Path) -> Any:
    """Return the plain data in a YAML file."""
    # Only plain data is read: a tag that would make a Python object is an error.
    return yaml.safe_load(read_file(filename))


def dump_obj_as_json_to_file(filename: str | Path, obj: Any) -> None:
    """Write `obj` to a file as JSON."""
    Path(filename).write_text(json.dumps(obj, indent=2), encoding="utf-8")


def dump_obj_as_str_to_file(filename: str | Path, text: str) -> None:
    """Write a text to a file."""
    Path(filename).write_text(text, encoding="utf-8")


def zip_folder(folder: str | Path) -> str:
    """Pack a folder into a zip file in the folder for temporary files, and return the path of the zip file."""
    # The caller has to move or remove the zip file.
    target = Path(tempfile.mkdtemp(), "archive")
    return shutil.make_archive(str(target), "zip", folder)


def class_from_module_path(module_path: str) -> type:
    """Return the class at a dotted path."""
    return class_from_path(module_path, object)


def module_path_from_instance(inst: object) -> str:
    """Return the dotted path of the class of `inst`."""
    return dotted_path(type(inst))


class EndpointConfig(dict[str, Any]):
    """The address of another server and its options, as in Rasa Core 0.10 and later; a mapping as in endpoints.yml.

    Parameters
    ----------
    url
        The address, such as ``http://localhost:5055/webhook`` of an action server.
    params, headers, basic_auth
        Query parameters, headers and credentials (``username`` and ``password``) that are sent with each request.
    token, token_name
        The token that is sent as a query parameter, and the name of this parameter.
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
    """Return the entry ``action_endpoint``, or of another `endpoint_type`, in a file such as endpoints.yml, or None.

    Raises
    ------
    ModelError
        If the file cannot be read, or the entry is invalid; the message begins with file and line.
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
        # Logs hold messages of users, so other users of the machine must not read them.
        make_private(logfile)
        handler = logging.FileHandler(logfile, encoding="utf-8")
        handler.setLevel(loglevel)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(name)s  %(message)s"))
        logging.getLogger().addHandler(handler)


__getattr__ = later.of_module(__name__)
