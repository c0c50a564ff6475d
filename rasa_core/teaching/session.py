"""Correcting a conversation step by step: a question out, an answer in.

A session keeps its state in the conversation, in an ordinary store: the events of an answer are stored before `answer`
returns, and the state of the session follows from the events. So a session can be continued after a crash, also in
another process, and several people may teach at once, each in a conversation of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeGuard

from rasa_core.channels.channel import OutputChannel
from rasa_core.events import ACTION_RESTART_NAME, ActionExecuted, Event
from rasa_core.policies.policy import Prediction
from rasa_core.processor import MessageProcessor
from rasa_core.teaching.continuation import Awaited, awaited, go_on, leave_everything, run_here
from rasa_core.teaching.corrections import (
    correct_message,
    go_back,
    has_message,
    latest_step,
    read_events,
    right_action,
    stories_between_restarts,
    taught_stories,
)
from rasa_core.teaching.learning import Learner
from rasa_core.teaching.questions import Answer, Question, SessionState, TeachingError, about_action
from rasa_core.trackers import DialogueStateTracker


class TeachingSession:
    """Corrects one conversation of a store. Threads must not share a session, but may share processor and learner.

    Parameters
    ----------
    processor
        The processor, which interprets messages, predicts and runs actions; its store has the conversation.
    learner
        The learner, whose ensemble is that of the processor.
    sender_id
        The id of the conversation. An existing conversation is continued, and its corrections are learnt again.
    turns
        The number of turns in a question.
    """

    def __init__(self, processor: MessageProcessor, learner: Learner, sender_id: str, *, turns: int = 3) -> None:
        self.sender_id = sender_id
        self._processor, self._learner = processor, learner
        self._domain, self._store = processor.domain, processor.tracker_store
        self._turns = max(1, turns)
        self._all_reported_at = -1  # The version of the conversation at which an action had no more events to report.
        with self._store.conversation(sender_id) as conversation:
            self._learn_again(conversation.tracker.events)

    # -- question and answer

    def next(self) -> Question:
        """Return the question for which the session waits, without changing anything."""
        with self._store.conversation(self.sender_id) as conversation:
            tracker = conversation.tracker
            if self._is_asked_for_events(tracker):
                question = Question("events", self.sender_id, tracker.version, action=tracker.latest_action_name)
            elif (predicted := self._awaited(tracker).next) is not None:
                question = about_action(tracker, predicted, self._domain, self._turns)
            else:
                question = Question("message", self.sender_id, tracker.version)
            return replace(question, can_undo=has_message(tracker))

    def answer(self, answer: Answer, version: int | None = None, channel: OutputChannel | None = None) -> list[Event]:
        """Take an answer to the question that `next` returns, store its events, and return them.

        The events include messages of the bot, which are also sent to the channel. If the `version` of the question is
        given, and the conversation has new events since then, the answer is refused.

        Raises
        ------
        TeachingError, UnknownActionError, UnknownSlotError, EventError, InterpreterError
            If the answer does not fit the question, has an unknown name, or cannot be read; nothing is changed.
        """
        with self._store.conversation(self.sender_id) as conversation:
            tracker = conversation.tracker
            if version is not None and version != tracker.version:
                raise TeachingError(
                    f"the question was asked at version {version} of {self.sender_id!r}, which is at {tracker.version} "
                    "now. Ask for the next question, and answer that."
                )
            answer.check_fits(self._state(tracker))
            start = tracker.version
            try:
                self._take(answer, tracker, channel)
            except KeyboardInterrupt:
                conversation.commit()  # The decision is stored even if the action was interrupted.
                raise
            added = list(tracker.pending_events)
            conversation.commit()
            return added[len(added) - (tracker.version - start) :]  # A conversation that is new begins by listening.

    def stories(self) -> list[DialogueStateTracker]:
        """Return the stories of the session, each as a conversation whose sender_id is the name of the story."""
        with self._store.conversation(self.sender_id) as conversation:
            return taught_stories(conversation.tracker.events, self._domain)

    # -- states

    def _state(self, tracker: DialogueStateTracker) -> SessionState:
        if self._is_asked_for_events(tracker):
            return "events"
        return "message" if self._awaited(tracker).next is None else "action"

    def _is_asked_for_events(self, tracker: DialogueStateTracker) -> bool:
        """Tell whether the session waits for events of an action that runs elsewhere, and counts as done."""
        latest = latest_step(tracker)
        runs_elsewhere = isinstance(latest, ActionExecuted) and self._runs_elsewhere(latest.action_name)
        return runs_elsewhere and tracker.version != self._all_reported_at

    def _awaited(self, tracker: DialogueStateTracker) -> Awaited:
        with self._learner.lock:
            return awaited(self._processor, tracker, leave_everything)

    def _runs_elsewhere(self, action: str) -> bool:
        return action in self._domain.action_names and not self._processor.runner.runs_here(action)

    def _predict(self, tracker: DialogueStateTracker) -> Prediction:
        with self._learner.lock:
            return self._processor.predict(tracker)

    # -- transitions

    def _take(self, answer: Answer, tracker: DialogueStateTracker, channel: OutputChannel | None) -> None:
        if answer.kind == "undo":
            self._undo(tracker)
            return
        if answer.kind in ("say", "restart"):
            text = answer.text if answer.kind == "say" else f"/{self._domain.restart_intent}"
            self._processor.log_message(tracker, text)
        elif answer.kind == "correct_intent":
            correct_message(tracker, answer.text, answer.entities, self._domain, self._processor)
        elif answer.kind == "report_event":
            events = read_events(answer.text)
            self._processor.check(None, events)
            for event in events:
                tracker.update(event)
        elif answer.kind == "no_more_events":
            self._all_reported_at = tracker.version
        else:
            self._run(tracker, self._decided(tracker, answer), channel)
        self._go_on(tracker, channel)

    def _decided(self, tracker: DialogueStateTracker, answer: Answer) -> Prediction:
        prediction = self._predict(tracker)
        if answer.kind == "confirm" or answer.text == prediction.action:
            return prediction
        self._domain.index_for_action(answer.text)  # Raises if there is none of that name.
        self._learner.learn(tracker, self._domain, answer.text, lambda: taught_stories(tracker.events, self._domain))
        return right_action(answer.text, self._domain)

    def _run(self, tracker: DialogueStateTracker, prediction: Prediction, channel: OutputChannel | None) -> None:
        """Run an action and log it; an action that runs elsewhere is only logged."""
        if not self._runs_elsewhere(prediction.action):
            run_here(self._processor, tracker, prediction, channel)
            return
        tracker.expected = self._processor.expected(prediction, prediction.action)
        self._processor.take_report(tracker, prediction.action, [], None)

    def _go_on(self, tracker: DialogueStateTracker, channel: OutputChannel | None) -> None:
        """Run actions that need no confirmation, because events or the user have fixed them, such as a restart."""
        if self._is_asked_for_events(tracker):
            return
        with self._learner.lock:
            found = go_on(self._processor, tracker, leave_everything, channel)
        if found.what == "action" and found.next is not None:
            self._run(tracker, found.next, channel)

    def _undo(self, tracker: DialogueStateTracker) -> None:
        undone = go_back(tracker)
        if undone is not None and is_taught(undone, tracker):
            self._learner.unlearn(tracker)

    # -- going on

    def _learn_again(self, events: Iterable[Event]) -> None:
        """Learn the corrections in a conversation that the policies do not know yet."""
        for story in stories_between_restarts(events, self._domain):
            tracker = DialogueStateTracker.from_events("", [], self._domain)
            for event in story:
                if is_taught(event, tracker) and self._predict(tracker).action != event.action_name:
                    self._learner.learn(tracker, self._domain, event.action_name, list)
                tracker.update(event)


def is_taught(event: Event, tracker: DialogueStateTracker) -> TypeGuard[ActionExecuted]:
    """Tell whether a person, not a policy or an event, has chosen the action that follows in a conversation."""
    if not isinstance(event, ActionExecuted) or event.policy is not None or event.confidence != 1.0:
        return False
    return event.action_name != ACTION_RESTART_NAME and tracker.follow_up_action is None
