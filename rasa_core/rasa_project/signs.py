"""By what a bot of Rasa 1, or of Rasa Core 0.10 and later, is known: its domain, its settings, and what is beside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rasa_core.rasa3.mappings import options_in
from rasa_core.support.text_files import TextFileError
from rasa_core.support.yaml_parts import Part, YamlError, read_yaml

_ACTION_FACTORY: Final = "action_factory"
_ONLY_OF_RASA: Final = frozenset(["FormPolicy", "MappingPolicy", "TwoStageFallbackPolicy", "RulePolicy"])
_PARTS: Final = re.compile(rb"session_config|forms|triggers")
_OF_OTHERS: Final = re.compile(rb"^(version|action_factory)[ \t]*:", re.MULTILINE)
_SDKS: Final = (b"rasa_core_sdk", b"rasa_sdk")


def names_policies_of_rasa(file: Path) -> bool:
    """Tell whether a file of settings names a policy that 0.9 did not have, and that stands for rules."""
    policies = policies_in(file)
    described = [] if policies is None else policies.data
    return not _ONLY_OF_RASA.isdisjoint(str(one.get("name") if isinstance(one, dict) else one) for one in described)


def has_parts_of_rasa_1(file: Path) -> bool:
    """Tell whether a domain that names no version has what 0.9 did not, or if so, what it did not heed."""
    if not _holds(file, _PARTS):  # Before the file is parsed, which takes long where it is large.
        return False
    content = unversioned(file)
    if content is None or has_classes(content):
        return False
    intents = content["intents"]
    options = options_in(one for one in intents if one) if isinstance(intents, list) else {}
    return "session_config" in content or "forms" in content or any("triggers" in one for one in options.values())


def is_run_by_server(file: Path) -> bool:
    """Tell whether a domain has actions of its own that an action server runs, by what stands beside it."""
    content = unversioned(file)
    if content is None or has_classes(content):
        return False
    said = [content.get(key) for key in ("templates", "responses")]
    own = _actions_in(content).difference(*(one for one in said if isinstance(one, dict)))
    if all(name.startswith(("utter_", "action_listen", "action_restart")) for name in own):
        return False
    return _has_action_server(file.parent / "endpoints.yml") or _uses_sdk(file.parent)


def unversioned(file: Path) -> dict[str, object] | None:
    """Return the content of a domain that says neither its version nor where actions run; None of any other file."""
    if _holds(file, _OF_OTHERS):
        return None
    try:
        root = read_yaml(file) if file.is_file() else None
        keys = {} if root is None or not root.is_mapping else root.keys()
        is_other = "intents" not in keys or not keys.keys().isdisjoint(("version", _ACTION_FACTORY))
        return None if is_other else {key: part.data for key, part in keys.items()}
    except (YamlError, TextFileError):  # Whoever reads the domain tells of it.
        return None


def _holds(file: Path, marks: re.Pattern[bytes]) -> bool:
    return file.is_file() and marks.search(file.read_bytes()) is not None


def _actions_in(content: Mapping[str, object]) -> set[str]:
    named = content.get("actions")
    return {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()


def has_classes(content: Mapping[str, object]) -> bool:
    """Tell whether actions are named as classes, as in 0.9."""
    return any("." in name for name in _actions_in(content))


def _has_action_server(file: Path) -> bool:
    try:
        root = read_yaml(file) if file.is_file() else None
        return root is not None and root.is_mapping and "action_endpoint" in root.keys()  # noqa: SIM118
    except (YamlError, TextFileError):
        return False


def _uses_sdk(folder: Path) -> bool:
    """Tell whether code of the bot is for an action server."""
    files = [*folder.glob("*.py"), *folder.glob("actions/*.py")]
    return any(name in path.read_bytes() for path in files if path.is_file() for name in _SDKS)


def policies_in(path: Path) -> Part | None:
    """Return the ``policies:`` of a file such as config.yml; None if there are none, or the file cannot be read."""
    try:
        root = read_yaml(path) if path.is_file() else None
        found = None if root is None or not root.is_mapping else root.keys().get("policies")
    except YamlError:  # Whoever reads the settings tells of it.
        return None
    return found if found is not None and found.is_list else None
