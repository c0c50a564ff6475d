"""The agent: one bot, made of a domain, policies, an interpreter and a tracker store.

`Agent` is the class that programs which use this library work with.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from rasa_core import _legacy
from rasa_core.actions.nlg import NlgServer
from rasa_core.actions.webhook import ActionServer
from rasa_core.agent_turns import AgentTurns
from rasa_core.channels.channel import InputChannel, OutputChannel, UserMessage, handle_channels
from rasa_core.domain import Domain, check_domain_sanity
from rasa_core.events import Event
from rasa_core.exceptions import ModelError
from rasa_core.explanation.decisions import Explanation, explain
from rasa_core.interpreter import NaturalLanguageInterpreter
from rasa_core.model_folder import read_model, write_model
from rasa_core.policies.ensemble import PolicyEnsemble, SimplePolicyEnsemble
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.policy import Policy, Prediction, Stream, training_input
from rasa_core.processor import MessageProcessor, Preprocessor, RasaProcessor
from rasa_core.rasa_project.rasa1 import domain_of
from rasa_core.stories import load_data
from rasa_core.support.kept_versions import name_of_model
from rasa_core.support.strict_json import independent
from rasa_core.tracker_store.base import TrackerStore
from rasa_core.tracker_store.memory import InMemoryTrackerStore
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import story_text
from rasa_core.turn import State

_FOR_READING = ("augmentation_factor", "remove_duplicates", "tracker_limit", "use_story_concatenation")
"""Parameters of `load_data` that old scripts pass to `Agent.train` together with the path of a story file."""


class Agent(AgentTurns[MessageProcessor]):
    """A bot. Safe to share between threads once it is trained or loaded.

    Parameters
    ----------
    domain
        A `Domain`, or the path of a domain file.
    policies
        A list of policies, or a `PolicyEnsemble`. If several policies are equally certain, the first of the list wins.
    interpreter
        Turns text into intent and entities: an interpreter, the folder of a model, an ``http(s)://`` address,
        or None for messages such as ``/greet``.
    tracker_store
        Keeps the conversations, such as ``store_from_url("sqlite:///bot.db")``; in memory if not given.
    actions, action_endpoint
        The action server that runs the actions without a template: an `ActionServer`, its address, or its entry in
        endpoints.yml. Without an action server, `domain` says where these actions run.
    nlg
        The NLG server that generates the responses of a Rasa 3 bot: an `NlgServer`, its address, or its entry in
        endpoints.yml. Without an NLG server, the responses of the domain are used.

    Attributes
    ----------
    model_fingerprint : str or None
        A hash of the model that was loaded; None if the agent was trained here.
    model_file : str or None
        The name of the folder that the model was loaded from; for a project, the name of the model version.

    Examples
    --------
    >>> agent = Agent("domain.yml", policies=[MemoizationPolicy(), KerasPolicy()])  # doctest: +SKIP
    >>> agent.train(agent.load_data("stories.md"))  # doctest: +SKIP
    >>> agent.start_message_handling("/greet")["next_action"]  # doctest: +SKIP
    'utter_greet'
    """

    def __init__(
        self,
        domain: str | Path | Domain,
        policies: Iterable[Policy] | PolicyEnsemble | None = None,
        interpreter: str | NaturalLanguageInterpreter | None = None,
        tracker_store: TrackerStore | None = None,
        *,
        actions: str | Mapping[str, Any] | ActionServer | None = None,
        nlg: str | Mapping[str, Any] | NlgServer | None = None,
        action_endpoint: str | Mapping[str, Any] | ActionServer | None = None,
    ) -> None:
        actions = action_endpoint if actions is None else actions  # As Rasa Core 0.10 and later called it.
        self.actions = actions if isinstance(actions, ActionServer | None) else ActionServer.from_config(actions)
        self.nlg = nlg if isinstance(nlg, NlgServer | None) else NlgServer(nlg)
        self.domain = domain_of(domain, None if actions is None else "remote")
        self.policy_ensemble = (
            policies if isinstance(policies, PolicyEnsemble) else SimplePolicyEnsemble(policies or [])
        )
        self.interpreter = NaturalLanguageInterpreter.create(interpreter)
        self.tracker_store = self.create_tracker_store(tracker_store, self.domain)
        self.model_fingerprint: str | None = None
        self.model_file: str | None = None
        self._stories = ""
        self._bind_store()
        if type(self)._create_processor is Agent._create_processor:  # Else a subclass may not be ready yet.
            _ = self.processor

    @staticmethod
    def create_tracker_store(store: TrackerStore | None, domain: Domain) -> TrackerStore:
        """Return `store`, or one in memory, for the conversations of `domain`."""
        if store is None:
            return InMemoryTrackerStore(domain)
        if not isinstance(store, TrackerStore):
            example = 'tracker_store=store_from_url("sqlite:///bot.db"), of rasa_core.tracker_store'
            raise ValueError(f"tracker_store is a TrackerStore, not {type(store).__name__}: {example}.")
        store.domain = domain
        return store

    # -- training, writing, reading

    def load_data(
        self, resource_name: str | Path | Sequence[str | Path], *args: Any, **kwargs: Any
    ) -> list[DialogueStateTracker]:
        """Read stories from a file, several files or a folder, as conversations to train on.

        Parameters are those of `rasa_core.stories.load_data`, without the domain: ``remove_duplicates``,
        ``unique_last_num_states``, ``augmentation_factor``, ``tracker_limit`` ... If ``max_history`` is not given, the
        longest history of the policies is used.
        """
        kwargs.setdefault("max_history", self.policy_ensemble.longest_history)
        return list(load_data(resource_name, self.domain, *args, **kwargs))

    def train(self, training_trackers: Iterable[DialogueStateTracker] | str | Path, **kwargs: Any) -> None:
        """Train all policies.

        Parameters
        ----------
        training_trackers
            Conversations, as `load_data` returns them. If they do not fit into memory, give an object that makes them
            anew each time it is iterated over: each policy then iterates over the conversations once, one at a time,
            and the model is written without a copy of the stories.
        **kwargs
            Training parameters of the policies: ``epochs``, ``batch_size``, ``validation_split``, ``verbose`` ...

        Raises
        ------
        ValueError
            If there are no policies, or a keyword argument is one of a policy's constructor.
        """
        if "featurizer" in kwargs:
            raise ValueError("a featurizer is given to a policy, not to train: policies=[KerasPolicy(featurizer)].")
        if not self.policy_ensemble.policies:
            raise ValueError("there is nothing to train: give the Agent policies=[MemoizationPolicy(), KerasPolicy()].")
        if "max_history" in kwargs:
            given = "policies=[MemoizationPolicy(max_history=3), KerasPolicy()]"
            warnings.warn(f"max_history is given to policies: {given}.", DeprecationWarning, stacklevel=2)
            for policy in self.policy_ensemble.policies:
                policy.limit_history(kwargs["max_history"])
            del kwargs["max_history"]
        if isinstance(training_trackers, str | Path):
            warnings.warn("train takes trackers: agent.train(agent.load_data(path)).", DeprecationWarning, stacklevel=2)
            reading = {name: kwargs.pop(name) for name in _FOR_READING if name in kwargs}
            training_trackers = self.load_data(training_trackers, **reading)
        trackers = training_input(training_trackers)
        check_domain_sanity(self.domain)
        self.policy_ensemble.train(trackers, self.domain, **kwargs)
        self._stories = "" if isinstance(trackers, Stream) else _as_stories(trackers)
        self.model_fingerprint = None
        self.policy_ensemble.name_after(self.domain.fingerprint(), self._stories)
        self._bind_store()

    def train_online(
        self,
        training_trackers: Sequence[DialogueStateTracker],
        input_channel: InputChannel | None = None,
        max_visual_history: int = 3,
        **kwargs: Any,
    ) -> None:
        """Train the policies, and then let somebody talk to the bot on the terminal and correct what it does.

        In the end the user is asked whether to append the corrected conversations to a story file, and whether to
        train on them.

        Parameters
        ----------
        training_trackers
            Conversations, as `load_data` returns them. With an empty list the policies are trained neither
            before nor in the end; they only learn from each correction.
        input_channel
            The channel that messages come from, instead of the terminal. It must call its handler in this thread.
        max_visual_history
            How many turns of the conversation are shown with each question.
        **kwargs
            The keyword arguments of `train`.
        """
        teach = _legacy.load("teach")

        if training_trackers:
            self.train(training_trackers, **kwargs)
        if isinstance(training_trackers, str | Path):  # A path, as in 0.8; `train` has warned that it is deprecated.
            training_trackers = self.load_data(training_trackers)
        taught = teach(self, training_trackers, input_channel, max_visual_history, kwargs)
        if taught:
            self._stories = "\n".join(filter(None, [self._stories, _as_stories(taught)]))

    def persist(self, model_path: str | Path, fingerprints: Mapping[str, str] | None = None) -> None:
        """Write the model into a folder, whole or not at all; a model that is already in the folder is replaced.

        Parameters
        ----------
        fingerprints
            Further hashes of the training input, kept in the model's metadata.
        """
        # The same bytes as in `stories.md`: lone surrogates, which UTF-8 cannot encode, are escaped.
        content = self._stories.encode("utf-8", "backslashreplace")
        stories_print = hashlib.blake2b(content, digest_size=16).hexdigest()
        prints = {"stories": stories_print, **(fingerprints or {})}
        write_model(model_path, self.domain, self.policy_ensemble, self._stories, prints)

    @classmethod
    def load(
        cls,
        path: str | Path,
        interpreter: str | NaturalLanguageInterpreter | None = None,
        tracker_store: TrackerStore | None = None,
        action_factory: str | None = None,
        *,
        actions: str | Mapping[str, Any] | ActionServer | None = None,
        nlg: str | Mapping[str, Any] | NlgServer | None = None,
        action_endpoint: str | Mapping[str, Any] | ActionServer | None = None,
    ) -> Self:
        """Read a model that `persist` wrote; for `actions`, `nlg` and `action_endpoint`, see `Agent`.

        Raises
        ------
        ModelError
            If there is no model at `path`, or the model cannot be used.
        """
        # Scripts for 0.9 pass None where the option for the path was not given, and expect this message.
        if path is None:
            raise ModelError("No domain path specified.")
        actions = action_endpoint if actions is None else actions
        model = read_model(path, action_factory or (None if actions is None else "remote"))
        agent = cls(model.domain, model.ensemble, interpreter, tracker_store, actions=actions, nlg=nlg)
        agent._stories, agent.model_fingerprint = model.stories, model.fingerprint
        agent.model_file = name_of_model(path)
        return agent

    # -- conversations

    def _create_processor(self, preprocessor: Preprocessor | None = None) -> MessageProcessor:
        """Return a new processor. Subclasses may override this method, as in 0.9."""
        kind: Any = MessageProcessor if self.domain.rasa is None else partial(RasaProcessor, nlg=self.nlg)
        parts = (self.interpreter, self.policy_ensemble, self.domain, self.tracker_store)
        made: MessageProcessor = kind(*parts, message_preprocessor=preprocessor, server=self.actions)
        return made

    def start_message_handling(self, text_message: str, sender_id: str = UserMessage.DEFAULT_SENDER_ID) -> State:
        """Log a user's message, and return the action that the caller is to run next.

        Returns
        -------
        dict
            ``next_action``: name of the action to run, None while the bot is paused; ``confidence``,
            ``policy``, ``version``; ``tracker``: the state of the conversation; ``info``: a note to the caller, such as
            that the domain does not have the intent; missing if there is nothing to note.
        """
        return self.turns().start_message_handling(UserMessage(_text(text_message), None, sender_id))

    def continue_message_handling(
        self, sender_id: str, executed_action: str | None, events: Iterable[Event] = (), error: str | None = None
    ) -> State:
        """Log an action that the caller ran, its events, and its `error` if it failed; return the next action.

        Raises
        ------
        ValueError
            If the domain does not have the action, or a slot in `events`; then nothing is stored.
        """
        return self.turns().continue_message_handling(sender_id, executed_action, events or (), error)

    def handle_message(
        self,
        text_message: str,
        message_preprocessor: Preprocessor | None = None,
        output_channel: OutputChannel | None = None,
        sender_id: str = UserMessage.DEFAULT_SENDER_ID,
    ) -> list[dict[str, Any]] | None:
        """Log a user's message and run actions in this process until the bot listens.

        Returns
        -------
        list of dict, or None
            The bot's messages; None if they were sent to an `output_channel` that does not collect them.
        """
        processor = self.turns(message_preprocessor)
        return processor.handle_message(UserMessage(_text(text_message), output_channel, sender_id))

    handle_text = handle_message  # The name in Rasa Core 0.11, whose `handle_channels` is a method, too.
    handle_channels = handle_channels

    def handle_channel(self, input_channel: InputChannel, message_preprocessor: Preprocessor | None = None) -> None:
        """Handle the messages of a channel until it ends."""
        self.turns(message_preprocessor).handle_channel(input_channel)

    def predict(self, tracker: DialogueStateTracker) -> Prediction:
        """Return the next action of a conversation, which is not changed."""
        return self.turns().predict(tracker)

    def explain(self, tracker: DialogueStateTracker | str, at: int | None = None) -> Explanation:
        """Explain one decision of the bot: which policy chose the action, and why. Nothing is changed.

        Parameters
        ----------
        tracker
            A conversation, or its sender_id. An unknown sender_id stands for a conversation that is just starting.
        at
            Explain the decision that was made after the first `at` events, which led to the action at index `at` of
            ``tracker.events``. By default, the decision that is due now is explained; while the bot is listening, the
            decision to listen.

        Raises
        ------
        ValueError
            If the conversation does not have so many events.
        """
        found = self.read_tracker(tracker) if isinstance(tracker, str) else tracker
        return explain(self.turns(), found, at)

    def append_events(self, sender_id: str, events: Iterable[Event]) -> State:
        """Append events to a conversation, and return the state of the conversation."""
        state: State = independent(self.processor.append_events(sender_id, events).result)
        return state

    def replace_events(self, sender_id: str, events: Iterable[Event]) -> State:
        """Replace all events of a conversation, and return its state, which includes the new events."""
        state: State = independent(self.processor.replace_events(sender_id, events).result)
        return state

    def read_tracker(self, sender_id: str) -> DialogueStateTracker:
        """Return the tracker of a conversation; for an unknown sender_id, a new tracker that is not stored."""
        return self.tracker_store.peek(sender_id)

    def toggle_memoization(self, activate: bool) -> None:
        """Switch each `MemoizationPolicy` on or off; policies of its subclasses are left as they are."""
        for policy in self.policy_ensemble.policies:
            if type(policy) is MemoizationPolicy:
                policy.toggle(activate)

    def visualize(
        self,
        resource_name: str | Path,
        output_file: str | Path,
        max_history: int = 2,
        nlu_training_data: Any = None,
        should_merge_nodes: bool = True,
        fontsize: int = 12,
    ) -> None:
        """Draw stories as a graph into a file; its ending chooses the format: HTML, SVG or DOT."""
        visualize_stories = _legacy.load("visualize_stories")

        options = None, nlu_training_data, should_merge_nodes, fontsize
        visualize_stories(resource_name, self.domain, output_file, max_history, *options)


def _as_stories(trackers: Iterable[DialogueStateTracker]) -> str:
    """Return the text of the stories; conversations that augmentation made of several stories are left out."""
    own = [tracker for tracker in trackers if not getattr(tracker, "is_augmented", False)]
    return "\n".join(story_text(tracker.applied_events(), tracker.sender_id) for tracker in own)


def _text(message: object) -> str:
    """Return a message that is a text; raise `ValueError` for another value, before anything is logged."""
    if not isinstance(message, str):
        raise ValueError(f"a message is a text, not {message!r:.80}.")
    return message
