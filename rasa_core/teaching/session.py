"""Correcting a conversation step by step: a question out, an answer in.

The journal of a session is the conversation itself, in an ordinary store: what an answer does is stored before `answer`
returns, and where the session stands follows from what is stored. So a session goes on where it was after a crash, in
another process too, and several people may teach at once, each in a conversation of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard

from rasa_core.channels.channel import OutputChannel, UserMessage
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ACTION_RESTART_NAME,
    ActionExecuted,
    ActionReverted,
    Event,
    Restarted,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.exceptions import EventError, StoryParseError
from rasa_core.policies.policy import Prediction
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.teaching.corrections import corrected_message
from rasa_core.teaching.learning import Learner
from rasa_core.teaching.questions import Answer, Question, State, TeachingError, about_action
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import story_lines

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.processor import MessageProcessor


class TeachingSession:
    """Corrects one conversation of a store. Not to be shared between threads; the processor and the learner may be.

    Parameters
    ----------
    processor
        Understands messages, predicts and runs actions; its store has the conversation.
    learner
        Learns from corrections; its ensemble is that of the processor.
    sender_id
        A conversation that is there already goes on where it was, and what was corrected in it is learnt again.
    turns
        How many turns a question shows.
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
        """Return what the session waits for; changes nothing."""
        with self._store.conversation(self.sender_id) as conversation:
            tracker = conversation.tracker
            state = self._state(tracker)
            if state == "action":
                question = about_action(tracker, self._predict(tracker), self._domain, self._turns)
            else:
                action = tracker.latest_action_name if state == "events" else None
                question = Question(state, self.sender_id, tracker.version, action=action)
            return replace(question, can_undo=_has_message(tracker))

    def answer(self, answer: Answer, version: int | None = None, channel: OutputChannel | None = None) -> list[Event]:
        """Take an answer to the question that `next` returns, and store what follows from it.

        If the `version` of the question is given, and the conversation has gone on since, the answer is refused. All
        events that were added are returned, what the bot said among them, which it says into the channel too.

        Raises
        ------
        TeachingError, UnknownActionError, UnknownSlotError, EventError, InterpreterError
            If the answer does not fit the question, or something in it is not known or understood; nothing is changed.
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
                conversation.commit()  # What was decided is kept, though the action did not come to its end.
                raise
            added = list(tracker.pending_events)
            conversation.commit()
            return added[len(added) - (tracker.version - start) :]  # A conversation that is new begins by listening.

    def stories(self) -> list[DialogueStateTracker]:
        """Return what was taught, each story as a conversation whose sender_id is the story's name."""
        with self._store.conversation(self.sender_id) as conversation:
            return taught_stories(conversation.tracker.events, self._domain)

    # -- states

    def _state(self, tracker: DialogueStateTracker) -> State:
        latest = _latest(tracker)
        if isinstance(latest, ActionExecuted) and latest.action_name != ACTION_LISTEN_NAME:
            if self._runs_elsewhere(latest.action_name) and tracker.version != self._all_reported_at:
                return "events"
        elif not isinstance(latest, UserUttered):
            return "message"
        return "message" if tracker.is_paused() and not self._restarts(tracker) else "action"

    def _restarts(self, tracker: DialogueStateTracker) -> bool:
        return bool(tracker.latest_message.intent.get("name") == self._domain.restart_intent)

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
            correct_intent(tracker, answer, self._domain, self._processor)
        elif answer.kind == "report_event":
            events = read_events(answer.text)
            self._processor.check(None, events)
            for event in events:
                tracker.update(event)
        elif answer.kind == "no_more_events":
            self._all_reported_at = tracker.version
        else:
            self._run(tracker, self._decided(tracker, answer), channel)
        self._run_certain(tracker, channel)

    def _decided(self, tracker: DialogueStateTracker, answer: Answer) -> Prediction:
        prediction = self._predict(tracker)
        if answer.kind == "confirm" or answer.text == prediction.action:
            return prediction
        self._domain.index_for_action(answer.text)  # Raises if there is none of that name.
        self._learner.learn(tracker, self._domain, answer.text, lambda: taught_stories(tracker.events, self._domain))
        return prediction_of(answer.text, self._domain)

    def _run(self, tracker: DialogueStateTracker, prediction: Prediction, channel: OutputChannel | None) -> None:
        """Run an action and log it; one that runs elsewhere is taken as done."""
        name, start = prediction.action, tracker.version
        executed = ActionExecuted(name, policy=prediction.policy, confidence=prediction.confidence)
        if self._runs_elsewhere(name):
            tracker.update(executed)
            return
        dispatcher = self._processor.dispatcher_for(UserMessage("", channel, self.sender_id))
        try:
            self._processor.run_action(name, tracker, dispatcher, prediction)
        except KeyboardInterrupt:
            if tracker.version == start:
                tracker.update(replace(executed, error="interrupted"))
            raise

    def _run_certain(self, tracker: DialogueStateTracker, channel: OutputChannel | None) -> None:
        """Run what nobody has to be asked about: actions that events or the user have fixed, such as a restart."""
        for _ in range(self._processor.max_number_of_predictions):
            restarts = self._restarts(tracker)
            is_fixed = tracker.follow_up_action in self._domain.action_names and not tracker.is_paused()
            if not (restarts or is_fixed) or self._state(tracker) == "events":
                return
            self._run(tracker, self._predict(tracker), channel)

    def _undo(self, tracker: DialogueStateTracker) -> None:
        latest = _latest(tracker)
        if not _has_message(tracker):
            raise TeachingError("there is nothing to take back: the story has just begun.")
        if isinstance(latest, ActionExecuted):
            tracker.update(ActionReverted())
            if is_taught(latest, tracker):
                self._learner.unlearn(tracker)
        else:
            tracker.update(UserUtteranceReverted())
            tracker.update(ActionExecuted(ACTION_LISTEN_NAME))  # The bot listens again, as it did before the message.

    # -- going on

    def _learn_again(self, events: Iterable[Event]) -> None:
        """Learn what was corrected in a conversation, as far as the policies do not know it."""
        for story in _applied_parts(events, self._domain):
            tracker = DialogueStateTracker.from_events("", [], self._domain)
            for event in story:
                if is_taught(event, tracker) and self._predict(tracker).action != event.action_name:
                    self._learner.learn(tracker, self._domain, event.action_name, list)
                tracker.update(event)


def _latest(tracker: DialogueStateTracker) -> Event | None:
    """Return the last message or action that nothing has taken back; None where a story begins."""
    applied = reversed(tracker.applied_events())
    return next((event for event in applied if isinstance(event, ActionExecuted | UserUttered)), None)


def _has_message(tracker: DialogueStateTracker) -> bool:
    return any(isinstance(event, UserUttered) for event in tracker.applied_events())


def is_taught(event: Event, tracker: DialogueStateTracker) -> TypeGuard[ActionExecuted]:
    """Tell whether somebody, and no policy and no event, has chosen the action that follows in a conversation."""
    if not isinstance(event, ActionExecuted) or event.policy is not None or event.confidence != 1.0:
        return False
    return event.action_name != ACTION_RESTART_NAME and tracker.follow_up_action is None


def prediction_of(action: str, domain: Domain) -> Prediction:
    """Return the prediction of somebody who knows: the action is certain."""
    return Prediction(action, 1.0, None, {name: float(name == action) for name in domain.action_names})


def correct_intent(
    tracker: DialogueStateTracker, answer: Answer, domain: Domain, turns: MessageProcessor | None = None
) -> None:
    """Take the latest message back, with all that came of it, and log it again with what the user meant.

    `TeachingError` or `EventError` is raised first if the domain does not have the intent, or the entities are none.
    """
    again = corrected_message(tracker.latest_message, answer.text, answer.entities, domain)
    tracker.update(UserUtteranceReverted())
    tracker.update(ActionExecuted(ACTION_LISTEN_NAME))
    if turns is not None:
        turns.take_message(tracker, again)
        return
    tracker.update(again)
    for event in domain.slots_for_entities(again.entities):
        tracker.update(event)


def read_events(line: str) -> list[Event]:
    """Read events as they stand in a story line, with or without its bullet; raise `EventError` for anything else."""
    text = line.strip().removeprefix("-").strip()
    try:
        steps = StoryFileReader().process_lines(["## typed", f"- {text}"])
    except StoryParseError as error:
        raise EventError(error.message) from error
    events = [event for step in steps for event in step.events]
    for event in events:
        if isinstance(event, ActionExecuted | UserUttered):
            raise EventError(f'{text[:80]!r} is no event. An event is like slot{{"city": "Porto"}} or reset_slots.')
    return events


# -- what was taught, as stories


def taught_stories(events: Iterable[Event], domain: Domain) -> list[DialogueStateTracker]:
    """Return a conversation as stories, one between two restarts; the name of each comes from its content.

    Left out are messages without an intent, those that restart the bot, and a last one that got no answer.
    """
    found = {}
    for part in _applied_parts(events, domain):
        beginning, *turns = _split(part, UserUttered)
        while turns and not any(isinstance(event, ActionExecuted) for event in turns[-1]):
            turns.pop()
        told = [turn for turn in turns if _intent(turn[0]) not in (None, "", domain.restart_intent)]
        if told:
            story = [*beginning, *(event for turn in told for event in turn)]
            lines = "\n".join(story_lines(story)).encode("utf-8", "surrogatepass")
            name = f"taught {hashlib.blake2b(lines, digest_size=6).hexdigest()}"
            found[name] = DialogueStateTracker.from_events(name, story, domain)
    return list(found.values())


def _applied_parts(events: Iterable[Event], domain: Domain) -> Iterator[list[Event]]:
    """Yield what was not taken back, from one restart to the next."""
    for part in _split(events, Restarted):
        yield DialogueStateTracker.from_events("", part, domain).applied_events()


def _split(events: Iterable[Event], kind: type[Event]) -> list[list[Event]]:
    """Return events in parts, of which each but the first begins with an event of the kind."""
    parts: list[list[Event]] = [[]]
    for event in events:
        if isinstance(event, kind):
            parts.append([])
        parts[-1].append(event)
    return parts


def _intent(event: Event) -> str | None:
    return event.intent.get("name") if isinstance(event, UserUttered) else None
