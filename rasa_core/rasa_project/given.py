"""A domain as programs name it: a `Domain`, or a file of 0.9, of Rasa 1, or of Rasa 2 and 3."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rasa_core.domain import Domain
from rasa_core.exceptions import DomainError, ModelError
from rasa_core.rasa3.domain_parts import read_rasa_domain
from rasa_core.rasa_project.signs import has_parts_of_rasa_1, is_run_by_server
from rasa_core.support.yaml_parts import YamlError, read_yaml

logger = logging.getLogger(__name__)


def domain_of_rasa_1(file: str | Path) -> Domain:
    """Return the domain in a file that is known to be of Rasa 1; raise `DomainError` if something is wrong in it."""
    return Domain.from_rasa(read_rasa_domain([file], of_rasa_1={}))


def domain_of(domain: str | Path | Domain, action_factory: str | None) -> Domain:
    """Return the domain that a program gives, or the one in the file that it names.

    A file that has what 0.9 did not, such as a list of forms, is one of Rasa 1. Actions that are named without a
    class run in the action server where ``endpoints.yml`` beside it has one, or code there is written for one.

    Raises
    ------
    DomainError
        If something is wrong in the file.
    ValueError
        If `domain` is nothing of these.
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


def action_server_in(endpoints: str | Path | None) -> dict[str, Any] | None:
    """Return what a file such as endpoints.yml says of the action server, None if nothing.

    Raises
    ------
    ModelError
        If the file cannot be read, or says nothing of use; the message begins with file and line.
    """
    try:
        read = None if endpoints is None else read_yaml(endpoints)
    except YamlError as error:
        raise ModelError(str(error)) from error
    found = read.keys().get("action_endpoint") if read is not None and read.is_mapping else None
    if found is None or found.is_null:
        return None
    if not found.is_mapping or "url" not in found.data:
        raise ModelError(f"{found.place}: action_endpoint: has the url: of the action server.")
    return dict(found.data)
