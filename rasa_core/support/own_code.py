"""Custom code of users: finding, importing and calling it, with errors that name the place and the remedy.

A command looks for modules in its working folder, as ``python -m`` does, and beside the bot. Modules with classes that
a model names, such as policies and slots, are given with ``--import`` or in the environment variable `VARIABLE`;
training writes them under ``imports:`` into the ``config.yml`` of the bot.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

VARIABLE: Final = "RASA_CORE_IMPORT"
CONFIG_NAME: Final = "config.yml"

NO_YAML: Final = (ValueError, AttributeError, LookupError, TypeError, RecursionError, yaml.YAMLError)
"""The errors of PyYAML for invalid YAML, or for tags that do not fit their values."""
_MODULE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*|.*\.py")  # In Rasa 3, the same key has paths of folders.
_folders: dict[str, None] = {}
"""The folders in which custom modules are looked for; a dict as an ordered set."""


def _here() -> list[str]:
    """Return a list of the working folder; it is empty if the folder was removed."""
    with suppress(FileNotFoundError):
        return [os.getcwd()]
    return []


def look_in(*folders: str | Path) -> None:
    """Look for modules first in the given folders, in their order."""
    for folder in reversed(folders):
        path = os.path.abspath(folder)
        _folders[path] = None
        if path not in sys.path:
            sys.path.insert(0, path)


def import_module(name: str) -> Any:
    """Import and return a custom module, given by its dotted name or the path of its file.

    Raises
    ------
    ImportError
        If there is no such module, or it raises an error; the message has the line, and the missing package, if any.
    """
    if name.endswith(".py"):
        look_in(Path(name).parent)
        name = Path(name).stem
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        # Otherwise the module exists, and another module that it imports is missing.
        if name == missing or name.startswith(f"{missing}."):
            known = ", ".join(_folders or _here()) or "no folder"
            problem = f"there is no module {missing!r}; looked in {known} and on the Python path.{_hint(name)}"
            raise ImportError(problem) from error
        package = missing.partition(".")[0]
        problem = f"the package {package!r}, which is not installed; install it, as with: pip install {package}"
        raise ImportError(f"{_place(error, name)} needs {problem}.") from error
    except (Exception, SystemExit) as error:  # Custom code may raise anything.
        raise ImportError(f"{_place(error, name)} fails: {type(error).__name__}: {error}.") from error


def _hint(name: str) -> str:
    """Return a hint for an unknown module name: the module of a class, a file, or a similar name."""
    parts = re.split(r"[.:/\\]", name)
    known = {".".join(path.relative_to(folder).with_suffix("").parts) for folder, path in _own_modules()}
    for end in range(len(parts), 0, -1):
        if (module := ".".join(parts[:end])) in known:
            inner = f", since {parts[-1]!r} is something in it" if end < len(parts) else ""
            return f" Name the module, {module!r}{inner}."
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _place(error: BaseException, name: str) -> str:
    """Return the module and the line in which an import failed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"the module {name!r} ({error.filename}:{error.lineno})"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return f"the module {name!r}" + (f" ({own[-1].filename}:{own[-1].lineno})" if own else "")


def module_with(class_name: str) -> str | None:
    """Return the name of a module beside the bot that defines a class of this name, or None."""
    # The files are searched as text, since importing a module would run its code.
    definition = re.compile(rf"^class[ \t]+{re.escape(class_name)}\b", re.MULTILINE)
    for folder, path in _own_modules():
        try:
            found = definition.search(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if found:
            return ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
    return None


def _own_modules() -> Iterator[tuple[str, Path]]:
    """Yield each folder for custom modules with each Python file in it, and in its direct subfolders."""
    for folder in _folders or _here():
        for path in sorted([*Path(folder).glob("*.py"), *Path(folder).glob("*/*.py")]):
            yield folder, path


def load_modules(given: Iterable[str], *places: str | Path) -> list[str]:
    """Import the given modules, the modules in `VARIABLE`, and the modules in bots' config.yml; return their names.

    Parameters
    ----------
    places
        The bots: each the folder, the domain file or the model of a bot. Their folders are searched for modules, too.
    """
    folders = [folder for place in places for folder in _beside(Path(place))]
    look_in(*_here(), *folders)
    from_variable = re.split(r"[\s,;]+", os.environ.get(VARIABLE, ""))
    named: dict[str, str | None] = dict.fromkeys([*given, *filter(None, from_variable)])
    for folder in dict.fromkeys([*_here(), *map(os.path.abspath, folders)]):
        for name in remembered(folder):
            named.setdefault(name, folder)
    for name, place in named.items():
        try:
            import_module(name)
        except ImportError as error:
            raise ImportError(f"{_written(place, name)}{error}") from error
    return list(named)


def _written(folder: str | None, name: str) -> str:
    """Return the place in config.yml that names a module, as the prefix of an error; empty if it was not from there."""
    if folder is None:
        return ""
    file = Path(folder, CONFIG_NAME)
    entry = re.compile(rf"(^\s*-|^imports:|[\[,])\s*[\"']?{re.escape(name)}[\"']?\s*([,\]#]|$)")
    lines = enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1)
    line = next((number for number, text in lines if entry.search(text)), 1)
    return f"{file}:{line}: imports: "


def _beside(place: Path) -> list[Path]:
    """Return the folders that may contain the code of a bot: its own folder, and the parent folders of a model."""
    if place.is_file():
        return [place.parent]
    if place.is_dir() and not (place / "metadata.json").exists():
        return [place]
    # A model's path may be a link to its current version, and a version is one folder deeper.
    above = [*Path(os.path.abspath(place)).parents[:2], *place.resolve().parents[:2]]
    deeper = [folder.parent.parent for folder in above[::2] if (folder.parent / "current").is_file()]
    return list(dict.fromkeys([*above, *deeper]))


def remembered(folder: str | Path) -> list[str]:
    """Return the modules that the ``config.yml`` in a folder names; none if it cannot be read."""
    return [name for name in imports_in(folder) if is_module(name)]


def is_module(name: object) -> bool:
    """Tell whether an entry under ``imports:`` is the name or the file of a module."""
    return isinstance(name, str) and _MODULE.fullmatch(name) is not None


def imports_in(folder: str | Path) -> list[str]:
    """Return the texts under ``imports:`` in the ``config.yml`` of a folder; none if it cannot be read."""
    try:
        content = yaml.safe_load(Path(folder, CONFIG_NAME).read_text(encoding="utf-8-sig"))
    except (OSError, *NO_YAML):
        return []
    found = content.get("imports") if isinstance(content, dict) else None
    return [name for name in (found if isinstance(found, list) else [found]) if isinstance(name, str)]


def call_either(function: Callable[..., object], arguments: tuple[Any, ...], others: tuple[Any, ...]) -> object:
    """Call a custom function with `arguments`, or with `others` if its parameters do not fit `arguments`."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return function(*others)
    except ValueError:  # A function that is not written in Python may have no signature.
        pass
    return function(*arguments)
