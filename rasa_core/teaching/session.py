"""A session of interactive training: somebody talks to the bot, is asked at each step, and keeps what was taught."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rasa_core.channels.console import ConsoleInputChannel
from rasa_core.events import ActionExecuted, Event, UserUttered
from rasa_core.exceptions import EventError, RasaCoreError, StoryParseError
from rasa_core.processor import MessageProcessor
from rasa_core.stories.appending import append_stories
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.teaching.ensemble import OnlinePolicyEnsemble
from rasa_core.teaching.questions import RESTART, ConversationAbandoned, Teacher, TeachingEnded, ask
from rasa_core.teaching.terminal import Terminal
from rasa_core.trackers.event_log import story_text

if TYPE_CHECKING:
    from rasa_core.agent import Agent
    from rasa_core.channels.channel import InputChannel, UserMessage
    from rasa_core.dispatcher import Dispatcher
    from rasa_core.policies.policy import Prediction
    from rasa_core.trackers import DialogueStateTracker

DEFAULT_FILE: Final = "stories.md"
NO_FILE: Final = "-"

_WELCOME: Final = f"""\
Talk to the bot. Before each of its actions you are asked whether it is the right one.
{RESTART} begins another conversation. /stop, Ctrl+D and Ctrl+C end the training; nothing that was taught is lost."""


def teach(
    agent: Agent,
    training_trackers: Sequence[DialogueStateTracker],
    input_channel: InputChannel | None = None,
    max_visual_history: int = 3,
    options: Mapping[str, Any] | None = None,
    *,
    teacher: Teacher | None = None,
) -> list[DialogueStateTracker]:
    """Let somebody talk to a trained agent and correct it, and write down what was taught.

    Parameters
    ----------
    training_trackers
        What the agent was trained on; without it, there is no training in the end.
    input_channel
        Where messages come from; it calls its handler in this thread. The terminal if not given.
    options
        For `Agent.train`, if the teacher wants to train on all conversations in the end.
    teacher
        Who is asked; somebody at the terminal if not given.

    Returns
    -------
    list of DialogueStateTracker
        What was taught and not trained on in the end; corrections have been learnt all the same.
    """
    agent.turns()  # Raises if there is nothing that could predict.
    teacher = Terminal() if teacher is None else teacher
    base = agent.policy_ensemble
    online = OnlinePolicyEnsemble(base, training_trackers, max_visual_history, teacher=teacher)
    # A conversation of its own, lest one that the store has from before becomes part of the stories.
    channel = input_channel or ConsoleInputChannel(f"online-{uuid.uuid4().hex}")
    agent.policy_ensemble = online
    try:
        teacher.show(_WELCOME)
        channel.start_sync_listening(_Lesson(agent, online, teacher).handle)
    except (TeachingEnded, KeyboardInterrupt):
        pass
    except BaseException:
        offer_file(teacher, online.taught.trackers(agent.domain))
        raise
    finally:
        agent.policy_ensemble = base
    taught = online.taught.trackers(agent.domain)
    # To train on nothing but what was taught would be to forget all the rest.
    if not offer_file(teacher, taught) or not training_trackers or not _wants_training(teacher):
        return taught
    teacher.show("Training ...")
    agent.train([*training_trackers, *taught], **(options or {}))
    online.apply_corrections()
    return []


class _Lesson:
    """Handles the messages of a session."""

    def __init__(self, agent: Agent, online: OnlinePolicyEnsemble, teacher: Teacher) -> None:
        self._restart = f"/{agent.domain.restart_intent}"
        self._online = online
        self._teacher = teacher
        self._processor = TeachingProcessor(agent.interpreter, online, agent.domain, agent.tracker_store)
        self._processor.teacher = teacher

    def handle(self, message: UserMessage) -> None:
        """Take a turn; an error is told and does not end the session."""
        text = message.text.strip()
        if not text:
            return
        if text == RESTART:
            message.text = self._restart
        try:
            self._processor.handle_message(message)
        except ConversationAbandoned:
            self._online.taught.close(message.sender_id)
            message.text = text = RESTART
            self.handle(message)
            return
        except RasaCoreError as error:
            # What the store has not got is kept here; the conversation goes on from what the store has.
            self._online.taught.close(message.sender_id)
            self._teacher.show(f"Error: {error}")
            return
        if text == RESTART:
            self._teacher.show("(a new conversation begins)")


class TeachingProcessor(MessageProcessor):
    """Logs an action that runs in the caller's code as executed, and asks for the events that it returns."""

    teacher: Teacher

    def run_action(  # noqa: D102
        self,
        action_name: str,
        tracker: DialogueStateTracker,
        dispatcher: Dispatcher,
        prediction: Prediction | None = None,
    ) -> None:
        if self.runner.runs_here(action_name):
            super().run_action(action_name, tracker, dispatcher, prediction)
            return
        policy = None if prediction is None else prediction.policy
        confidence = None if prediction is None else prediction.confidence
        tracker.update(ActionExecuted(action_name, policy, confidence))
        for event in self._ask_events(action_name):
            tracker.update(event)

    def _ask_events(self, action: str) -> Iterator[Event]:
        """Yield the events that are typed, each at once, so that none is lost."""
        self.teacher.show(
            f"{action} runs in code of your own and is taken as done. What events does it return? "
            'One a line, such as slot{"city": "Porto"}; an empty line ends them.'
        )
        while line := ask(self.teacher, "event: "):
            try:
                events = read_events(line)
                self.check(None, events)
            except (RasaCoreError, ValueError) as error:
                self.teacher.show(str(error))
            else:
                yield from events


def read_events(line: str) -> list[Event]:
    """Read events as they stand in a story line, with or without its bullet.

    Raises
    ------
    EventError, StoryParseError
        If the line says anything else.
    """
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


# -- the end of a session


def offer_file(teacher: Teacher, taught: Sequence[DialogueStateTracker]) -> bool:
    """Show what was taught and offer to append it to a file; return False if nothing was taught.

    Where no answer is to be had, it is appended to the file that is offered.
    """
    if not taught:
        teacher.show("Nothing was taught.")
        return False
    text = "\n".join(story_text(tracker.applied_events(), tracker.sender_id) for tracker in taught)
    teacher.show(f"This was taught:\n\n{text}")
    is_done = False
    while not is_done:
        answer = _answer(teacher, f"File to append it to (Enter: {DEFAULT_FILE}, {NO_FILE}: none)? ")
        is_done = answer == NO_FILE or _append(teacher, answer or DEFAULT_FILE, text) or answer is None
    return True


def _append(teacher: Teacher, path: str, text: str) -> bool:
    try:
        append_stories(path, text)
    except (OSError, StoryParseError) as error:
        reason = getattr(error, "strerror", None) or error
        teacher.show(f"cannot write {path!r}: {reason}.")
        return False
    teacher.show(f"Appended to {path!r}.")
    return True


def _wants_training(teacher: Teacher) -> bool:
    answer = _answer(teacher, "Train on all stories, the old and the new, now (y/N)? ")
    return (answer or "").lower() in ("y", "yes")


def _answer(teacher: Teacher, question: str) -> str | None:
    """Return the answer; None if there is none to be had."""
    try:
        return ask(teacher, question)
    except (TeachingEnded, ConversationAbandoned, KeyboardInterrupt):
        return None
