"""The policies in a file, as Rasa Core 0.11 to 0.14 read them from ``policies.yml``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from rasa_core.exceptions import ModelError
from rasa_core.policies.fallback import FallbackPolicy
from rasa_core.policies.form_policy import FormPolicy
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.policy import Policy
from rasa_core.policies.rasa2 import RasaFallbackPolicy, RasaMappingPolicy
from rasa_core.policies.rules import RulePolicy
from rasa_core.project import network_of
from rasa_core.rasa_project.config import read_rasa_config
from rasa_core.support.problems import told

logger = logging.getLogger(__name__)


def load(
    config_file: str | Path | None = None, fallback_args: object = None, max_history: int | None = None
) -> list[Policy]:
    """Return new policies as a file lists them; without a file, memoization and the network.

    Parameters
    ----------
    config_file
        YAML with ``policies:``.
    fallback_args
        Ignored; the file says what a fallback does.
    max_history
        How many states memoization compares, if no file is given.

    Raises
    ------
    ModelError
        If the file is missing, cannot be read, or names an unknown policy; the message begins with the file and, where
        there is one, the line.
    """
    if config_file is None:
        return [MemoizationPolicy(max_history=max_history), KerasPolicy()]
    if not Path(config_file).is_file():  # `read_rasa_config` takes a missing file for an empty one, as in a project.
        raise ModelError(f"{config_file}: there is no such file of policies.")
    config = read_rasa_config(config_file, network_of)
    for line in told(config.notes):
        logger.info("%s", line)
    return [*_in_programs(config.policies)]


def _in_programs(policies: Iterable[Policy]) -> Iterator[Policy]:
    """Yield the policies, where `RasaFallbackPolicy` and other classes for projects become the classes for programs."""
    forms = False
    for policy in policies:
        if isinstance(policy, RasaFallbackPolicy):
            yield FallbackPolicy(policy.nlu_threshold, policy.core_threshold, policy.fallback_action_name)
        elif isinstance(policy, RasaMappingPolicy) or (isinstance(policy, RulePolicy) and policy.old_forms):
            forms = True
        else:
            yield policy
    if forms:
        yield FormPolicy()
