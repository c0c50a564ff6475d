"""Recognises bots of Rasa 1, and of Rasa Core 0.10 and later, and reads their domain.

Their files name no version, so they are recognised by keys of the domain and the settings, and by other files.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rasa_core.domain import Domain
from rasa_core.exceptions import DomainError, ModelError
from rasa_core.rasa3.domain_parts import read_rasa_domain
from rasa_core.rasa3.mappings import options_in
from rasa_core.support.yaml_parts import Part, YamlError, keys_in, read_yaml

logger = logging.getLogger(__name__)

_ACTION_FACTORY: Final = "action_factory"
_ONLY_OF_RASA: Final = frozenset(["FormPolicy", "MappingPolicy", "TwoStageFallbackPolicy", "RulePolicy"])
_PARTS: Final = re.compile(rb"session_config|forms|triggers")
_OF_OTHERS: Final = re.compile(rb"^(version|action_factory)[ \t]*:", re.MULTILINE)
_SDKS: Final = (b"rasa_core_sdk", b"rasa_sdk")


def names_policies_of_rasa(file: Path) -> bool:
    """Tell whether a file of settings names a policy of rules, which 0.9 did not have."""
    policies = policies_in(file)
    described = [] if policies is None else policies.data
    return not _ONLY_OF_RASA.isdisjoint(str(one.get("name") if isinstance(one, dict) else one) for one in described)


def has_parts_of_rasa_1(file: Path) -> bool:
    """Tell whether a domain without a version has keys that 0.9 did not have, or ignored."""
    if not _holds(file, _PARTS):  # Before the file is parsed, which takes long where it is large.
        return False
    content = unversioned(file)
    if content is None or has_classes(content):
        return False
    intents = content["intents"]
    options = options_in(one for one in intents if one) if isinstance(intents, list) else {}
    return "session_config" in content or "forms" in content or any("triggers" in one for one in options.values())


def is_run_by_server(file: Path) -> bool:
    """Tell whether an action server runs the custom actions of a domain, by the files beside it."""
    content = unversioned(file)
    if content is None or has_classes(content):
        return False
    said = [content.get(key) for key in ("templates", "responses")]
    own = _actions_in(content).difference(*(one for one in said if isinstance(one, dict)))
    if all(name.startswith(("utter_", "action_listen", "action_restart")) for name in own):
        return False
    return _has_action_server(file.parent / "endpoints.yml") or _uses_sdk(file.parent)


def unversioned(file: Path) -> dict[str, object] | None:
    """Return the content of a domain without ``version:`` and ``action_factory:``; None for any other file."""
    if _holds(file, _OF_OTHERS):
        return None
    try:
        keys = keys_in(file)
        is_other = "intents" not in keys or not keys.keys().isdisjoint(("version", _ACTION_FACTORY))
        return None if is_other else {key: part.data for key, part in keys.items()}
    except YamlError:  # Whoever reads the domain tells of it.
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
        return "action_endpoint" in keys_in(file)
    except YamlError:
        return False


def _uses_sdk(folder: Path) -> bool:
    """Tell whether code of the bot is for an action server."""
    files = [*folder.glob("*.py"), *folder.glob("actions/*.py")]
    return any(name in path.read_bytes() for path in files if path.is_file() for name in _SDKS)


def policies_in(path: Path) -> Part | None:
    """Return the ``policies:`` of a file such as config.yml; None if there are none, or the file cannot be read."""
    try:
        found = keys_in(path).get("policies")
    except YamlError:  # Whoever reads the settings tells of it.
        return None
    return found if found is not None and found.is_list else None


def domain_of_rasa_1(file: str | Path) -> Domain:
    """Return the domain in a file of Rasa 1; raise `DomainError` if it has a mistake."""
    return Domain.from_rasa(read_rasa_domain([file], of_rasa_1={}))


def domain_of(domain: str | Path | Domain, action_factory: str | None) -> Domain:
    """Return the domain that a program gives, or the one in the file that it names.

    A file with keys that 0.9 did not have, such as a list of forms, is of Rasa 1. Actions without a class run in the
    action server if ``endpoints.yml`` beside the file names one, or code beside it is written for one.

    Raises
    ------
    DomainError
        If the file has a mistake.
    ValueError
        If `domain` is neither a Domain nor a path.
    """
    if isinstance(domain, Domain):
        return domain
    if not isinstance(domain, str | Path):
        raise ValueError(f"domain is a Domain or the path of a domain file, not {type(domain).__name__}.")
    if has_parts_of_rasa_1(Path(domain)):
        return domain_of_rasa_1(domain)
    try:
        return Domain.load(domain, action_factory)
    except DomainError:
        if action_factory is not None or not is_run_by_server(Path(domain)):
            raise
        logger.info("%s: its actions run in the action server, which action_endpoint= or endpoints.yml names.", domain)
        return Domain.load(domain, "remote")


def server_in(endpoints: str | Path | None, kind: str = "action_endpoint") -> dict[str, Any] | None:
    """Return the settings of the action server, or of another server, in a file such as endpoints.yml; None without.

    Raises
    ------
    ModelError
        If the file cannot be read, or its settings are invalid; the message begins with file and line.
    """
    try:
        read = read_yaml(endpoints) if endpoints else None
        found = None if read is None else read.get(kind)
    except YamlError as error:
        raise ModelError(str(error)) from error
    if found is None:
        return None
    if not found.is_mapping or "url" not in found.data:
        raise ModelError(f"{found.place}: {kind}: has the url: of the server.")
    return dict(found.data)
