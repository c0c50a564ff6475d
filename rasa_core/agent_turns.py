"""The part of an agent that makes the processor for its turns and keeps it up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.policies.ensemble import PolicyEnsemble
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.trackers import DialogueStateTracker
from rasa_core.turn import Preprocessor

Processor = TypeVar("Processor")


class AgentTurns(Generic[Processor]):
    """The base of `Agent` that makes its processor; a subclass may make a processor of its own, as in 0.9."""

    domain: Domain
    policy_ensemble: PolicyEnsemble
    interpreter: NaturalLanguageInterpreter
    tracker_store: TrackerStore
    on_commit: Callable[[DialogueStateTracker], object] | None = None  # Called with each conversation that was changed.
    _made: tuple[Processor, NaturalLanguageInterpreter, PolicyEnsemble, Domain, TrackerStore] | None = None

    def _bind_store(self) -> None:
        self.tracker_store.bind(self.domain, self.policy_ensemble.window, self.domain.fingerprint())

    @property
    def processor(self) -> Processor:
        """The processor that takes turns with the agent's present interpreter, ensemble, domain and store."""
        made = self._made
        # Programs for 0.9 replace these parts of an agent at any time; then a new processor is needed.
        if (
            made is not None
            and made[1] is self.interpreter
            and made[2] is self.policy_ensemble
            and made[3] is self.domain
            and made[4] is self.tracker_store
        ):
            return made[0]
        self._bind_store()
        found = self._new_processor()
        self._made = (found, self.interpreter, self.policy_ensemble, self.domain, self.tracker_store)
        return found

    @processor.setter
    def processor(self, value: Processor | None) -> None:
        """Keep a processor that a subclass made; one that is set before the agent has a store is not kept."""
        if value is not None and hasattr(self, "tracker_store"):
            self._made = (value, self.interpreter, self.policy_ensemble, self.domain, self.tracker_store)

    def _new_processor(
        self, message_preprocessor: Preprocessor | None = None, interpreter: NaturalLanguageInterpreter | None = None
    ) -> Processor:
        kept = self._made
        processor: Any = self._create_processor(message_preprocessor)
        # A subclass may have set `self.processor`; this processor is for one message and is not to be kept.
        self._made = kept
        if interpreter is not None:
            processor.interpreter = interpreter
        processor.on_commit = self.on_commit or processor.on_commit
        made: Processor = processor
        return made

    def _create_processor(self, preprocessor: Preprocessor | None = None) -> Processor:
        raise NotImplementedError

    def _ensure_agent_is_prepared(self) -> None:
        """Raise `ModelError` if the agent has no policies."""
        if not self.policy_ensemble.policies:
            raise ModelError(
                "this agent has no policies and cannot predict: give it policies and train it, or load a model."
            )

    def turns(
        self, message_preprocessor: Preprocessor | None = None, interpreter: NaturalLanguageInterpreter | None = None
    ) -> Processor:
        """Return the processor, or a new one if a parameter is given; raise `ModelError` if there are no policies.

        Parameters
        ----------
        message_preprocessor
            Changes the text of a message before it is interpreted.
        interpreter
            Understands the message in place of the agent's own interpreter.
        """
        self._ensure_agent_is_prepared()
        processor = self.processor
        if message_preprocessor is None and interpreter is None:
            return processor
        return self._new_processor(message_preprocessor, interpreter)
