"""Trains the dialogue model of a project with stories of 0.9, and the NLU model of any project; prints the steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from rasa_core.checks import Finding
from rasa_core.domain import Domain
from rasa_core.drawing.svg import shorten
from rasa_core.evaluation.nlu import MessageResult, not_learnt
from rasa_core.evaluation.tables import LONGEST_NAME
from rasa_core.exceptions import ModelError, counted, enumerated
from rasa_core.nlu.model import NLUModel, fingerprint_of
from rasa_core.nlu.pipeline import Step
from rasa_core.nlu.settings import NLUSettings
from rasa_core.nlu.training_data import TrainingData
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.policies.fallback import FallbackPolicy
from rasa_core.policies.keras_training import import_keras
from rasa_core.policies.policy import DEFAULT_THRESHOLD, Policy

Say = Callable[[str], object]
NLUState = Literal["current", "configured", "changed"]


class Configured(Protocol):
    """The policies in config.yml: a `rasa_core.policies.configured.ConfiguredPolicies`."""

    learns: bool
    policies: list[Policy]
    training: dict[str, Any]
    unsaid: list[tuple[FallbackPolicy, set[str]]]
    notes: list[str]
    passed_over: list[str]

    def choose_action(self, action_names: Iterable[str]) -> None: ...  # noqa: D102


class Trains(Protocol):
    """The object that is trained: a `rasa_core.agent.Agent`."""

    domain: Domain

    def load_data(self, resource_name: Path | list[Path], **kwargs: Any) -> list[Any]: ...  # noqa: D102
    def train(self, training_trackers: list[Any], **kwargs: Any) -> None: ...  # noqa: D102
    def persist(self, model_path: Path, fingerprints: Mapping[str, str]) -> None: ...  # noqa: D102


MOST_WARNINGS: Final = 3
MARGIN: Final = 1e-6
"""Thresholds that differ by less are the same."""


def train_dialogue(
    agent: Trains,
    stories: Path | list[Path],
    config: Configured,
    model: Path,
    features: Path,
    fingerprints: Mapping[str, str],
    say: Say,
    *,
    lenient: bool,
) -> None:
    """Train the policies of an agent, and write its model.

    Raises
    ------
    RasaCoreError
        If the stories have mistakes, or the extra for training is not installed.
    """
    for note in (*config.passed_over, *config.notes):
        say(note)
    config.choose_action(agent.domain.action_names)
    started = time.perf_counter()
    with importing_keras() if config.learns else nullcontext():
        trackers = agent.load_data(stories, lenient=lenient)
    own = sum(not getattr(tracker, "is_augmented", False) for tracker in trackers)  # Without augmented conversations.
    told = ", ".join(map(str, stories if isinstance(stories, list) else [stories]))
    say(f"{told}: {counted(own, 'story')}, read in {time.perf_counter() - started:.1f} s")
    say(f"training {enumerated([type(policy).__name__ for policy in config.policies])} ...")
    started = time.perf_counter()
    agent.train(trackers, feature_cache=features, **config.training)
    say(f"trained in {time.perf_counter() - started:.1f} s")
    agent.persist(model, fingerprints)
    for line in told_calibration(config.policies):
        say(line)


def calibration_of(policies: Iterable[Policy]) -> dict[str, float]:
    """Return the figures of the network among some policies on held-out stories; {} without a network."""
    found: Iterator[dict[str, float]] = (vars(policy).get("calibration") or {} for policy in policies)
    return next(filter(None, found), {})


def told_calibration(policies: Iterable[Policy]) -> Iterator[str]:
    """Yield a line about the accuracy and calibration of a network on held-out stories."""
    found = calibration_of(policies)
    if "accuracy" in found:
        yield (
            f"on stories that it had not seen, KerasPolicy was right in {found['accuracy']:.1%} of "
            f"{found['examples']:,} turns; its confidence was off by {found['calibration_error']:.3f} on average"
        )


def thresholds_for(policies: Iterable[Policy], nlu_model: Path | None) -> dict[str, float]:
    """Return thresholds with which a fallback takes over at most one in twenty right decisions.

    Because of `nlu_threshold`, it takes over at most one in twenty-five rightly understood messages, as measured on
    held-out messages, and those with less than the confidence of chance; because of `core_threshold`, one in a hundred
    right predictions of the network.
    """
    nlu, core = 0.0, calibration_of(policies).get("threshold", 0.0)
    if nlu_model is not None and nlu_model.is_dir():
        with suppress(ModelError):  # The code that loads a damaged model reports it.
            nlu = NLUModel.load(nlu_model).threshold
    return {"nlu_threshold": nlu or DEFAULT_THRESHOLD, "core_threshold": core or DEFAULT_THRESHOLD}


def set_thresholds(config: Configured, ensemble: PolicyEnsemble, nlu_model: Path | None) -> bool:
    """Set the thresholds of a model's fallbacks that config.yml does not set; tell whether one has changed."""
    chosen = thresholds_for(ensemble.policies, nlu_model)
    trained = [policy for policy in ensemble.policies if isinstance(policy, FallbackPolicy)]
    is_new = False
    # A model of before may have fewer fallbacks than config.yml by now, and is trained again then.
    for policy, (_, unsaid) in zip(trained, config.unsaid, strict=False):
        for name in unsaid & chosen.keys():
            is_new |= abs(getattr(policy, name) - chosen[name]) > MARGIN
            setattr(policy, name, chosen[name])
    return is_new


def told_fallback(ensemble: PolicyEnsemble) -> Iterator[str]:
    """Yield lines about the action and the thresholds of each fallback."""
    policy = next((policy for policy in ensemble.policies if isinstance(policy, FallbackPolicy)), None)
    if policy is not None:
        yield (
            f"FallbackPolicy runs {policy.fallback_action_name} where a message is understood with less than "
            f"{policy.nlu_threshold:.2f}, or no policy is surer than {policy.core_threshold:.2f}"
        )


@contextmanager
def importing_keras() -> Iterator[None]:
    """Import Keras in a thread, since that takes longer than reading stories; training reports its errors.

    The thread is joined even if the stories have a mistake: a process that ends in the middle of the import crashes.
    """
    importing = threading.Thread(target=_import_quietly, name="import of Keras", daemon=True)
    importing.start()
    try:
        yield
    finally:
        importing.join()


def _import_quietly() -> None:
    with suppress(ModelError):
        import_keras()


def first_findings(findings: Sequence[Finding], folder: Path) -> Iterator[str]:
    """Yield the first findings, one a line, and the number of further findings."""
    for found in findings[:MOST_WARNINGS]:
        yield f"{found.places[0]}: {found.severity}: {found.message} [{found.kind}]"
    if len(findings) > MOST_WARNINGS:
        yield f"and {len(findings) - MOST_WARNINGS} more warnings; rasa-core check {folder} shows all"


def nlu_state_of(directory: Path, data: TrainingData, steps: list[Step] | None) -> NLUState:
    """Return ``current``, ``configured`` (only components other than the network have changed), or ``changed``."""
    if not data.intents:
        return "current"
    try:
        found = NLUModel.load(directory)
    except ModelError:
        return "changed"
    if found.fingerprint != fingerprint_of(data.fingerprint(), NLUSettings().as_json()):  # A project has no settings.
        return "changed"
    return "current" if found.pipeline == steps else "configured"


def bring_up_nlu(directory: Path, data: TrainingData, steps: list[Step] | None, state: NLUState, say: Say) -> None:
    """Train the NLU model from data and a pipeline, as far as its `state` requires, and print the steps.

    Raises
    ------
    ModelError
        If the data cannot be learnt, or the extra for training is not installed.
    """
    if state == "configured":
        NLUModel.load(directory).with_pipeline(steps).persist(directory)
        say(f"{directory}: only the pipeline has changed; the interpreter has it without training")
        return
    if state == "current":
        say(f"{directory}: the interpreter of typed text is up to date")
        return
    from rasa_core.nlu.training import train  # Not loaded by a process that only serves.

    say("training the interpreter of typed text ...")
    started = time.perf_counter()
    model = train(data).with_pipeline(None)
    say(f"trained in {time.perf_counter() - started:.1f} s")
    model.with_pipeline(steps).persist(directory)
    say(f"{directory}: the interpreter is written")
    for line in told_not_learnt(not_learnt(model, data.examples)):
        say(line)


def told_not_learnt(wrong: Sequence[MessageResult]) -> Iterator[str]:
    """Yield the first examples that an NLU model could not learn, one a line, and the number of further ones."""
    for one in wrong[:MOST_WARNINGS]:
        text = shorten(one.example.text, LONGEST_NAME)
        yield f"{one.example.place}: warning: {text!r} is not learnt: {one.described()} [not-learnt]"
    if len(wrong) > MOST_WARNINGS:
        yield f"and {len(wrong) - MOST_WARNINGS} more; rasa-core nlu evaluate with these data and this model shows all"
