"""The terminal of interactive training: somebody talks to the bot, is asked at each step, and keeps what was taught."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rasa_core.channels.console import ConsoleInputChannel
from rasa_core.exceptions import RasaCoreError, StoryParseError, did_you_mean
from rasa_core.processor import MessageProcessor
from rasa_core.stories.appending import append_stories
from rasa_core.teaching.learning import Learner
from rasa_core.teaching.questions import Answer, Choice, Question
from rasa_core.teaching.session import TeachingSession
from rasa_core.trackers.event_log import story_text

if TYPE_CHECKING:
    from rasa_core.agent import Agent
    from rasa_core.channels.channel import InputChannel, UserMessage
    from rasa_core.trackers import DialogueStateTracker

RESTART: Final = "/restart"
STOP: Final = "/stop"
DEFAULT_FILE: Final = "stories.md"
NO_FILE: Final = "-"

_WELCOME: Final = f"""\
Talk to the bot. Before each of its actions you are asked whether it is the right one.
{RESTART} begins another conversation. /stop, Ctrl+D and Ctrl+C end the training; nothing that was taught is lost."""
_MENU: Final = {
    "1": ("confirm", "this is right"),
    "2": ("correct_action", "wrong: choose the action"),
    "3": ("correct_intent", "the message was understood wrongly: choose the intent"),
    "4": ("undo", "take the last step back"),
    "0": ("stop", "stop, and write down what was taught"),
}
_EVENTS: Final = (
    "{} runs in code of your own and is taken as done. What events does it return?\n"
    'One a line, such as slot{{"city": "Porto"}}; an empty line ends them. '
)


class TeachingEnded(Exception):
    """The teacher wants to stop, or cannot be asked any more."""


class ConversationAbandoned(Exception):
    """The teacher wants to begin another conversation."""


class Teacher:
    """Somebody at the terminal; the end of the input and Ctrl+C are the end of teaching."""

    def show(self, text: str) -> None:
        """Show one or more lines."""
        print(text, flush=True)

    def ask(self, question: str) -> str:
        """Return the answer, a line; raise `TeachingEnded` if there are no more answers."""
        try:
            return input(question)
        except (EOFError, KeyboardInterrupt):
            print(flush=True)
            raise TeachingEnded from None


def ask(teacher: Teacher, question: Question) -> Answer:
    """Let the teacher answer a question that is not for a message.

    Raises
    ------
    TeachingEnded, ConversationAbandoned
        If the answer is ``0`` or ``/stop``, or ``/restart``.
    """
    if question.state == "events":
        line = _line(teacher, _EVENTS.format(question.action))
        return Answer("report_event", line) if line else Answer("no_more_events")
    menu = [key for key in _MENU if key != "4" or question.can_undo]
    teacher.show("\n".join([*question.lines(), *(f"  {key}  {_MENU[key][1]}" for key in menu)]))
    keys = ", ".join(menu[:-1])
    while True:
        key = _line(teacher, f"{keys} or 0? ")
        if key == "0":
            raise TeachingEnded
        if key not in menu:
            teacher.show(f"{key[:80]!r} is none of {keys} and 0.")
        elif key in "14":
            return Answer(_MENU[key][0])
        elif name := _choose(teacher, *(("action", question.actions) if key == "2" else ("intent", question.intents))):
            return Answer(_MENU[key][0], name)


def _line(teacher: Teacher, prompt: str) -> str:
    line = teacher.ask(prompt).strip()
    if line == STOP:
        raise TeachingEnded
    if line == RESTART:
        raise ConversationAbandoned
    return line


def _choose(teacher: Teacher, what: str, choices: Sequence[Choice]) -> str | None:
    """Let the teacher choose by number or name; None for an empty answer, which is to go back."""
    names = [choice.name for choice in choices]
    width = max(map(len, names), default=0)
    rows = (f"  {number:3}  {one.name:{width}}  {one.probability:.2f}" for number, one in enumerate(choices, 1))
    teacher.show("\n".join(rows))
    while True:
        answer = _line(teacher, f"Which {what}, by number or name (Enter: back)? ")
        if not answer:
            return None
        if answer in names:
            return answer
        if answer.isdecimal() and 1 <= int(answer[:9]) <= len(names):
            return names[int(answer[:9]) - 1]
        teacher.show(f"There is no {what} {answer[:80]!r} in the domain.{did_you_mean(answer, names)}")


class _Lessons:
    """The sessions of all conversations that a channel brings."""

    def __init__(self, agent: Agent, learner: Learner, teacher: Teacher, turns: int) -> None:
        self._processor = MessageProcessor(agent.interpreter, agent.policy_ensemble, agent.domain, agent.tracker_store)
        self._learner, self._teacher, self._turns = learner, teacher, turns
        self._sessions: dict[str, TeachingSession] = {}

    def handle(self, message: UserMessage) -> None:
        """Take a turn, after what was left of an earlier one."""
        sender_id, text = message.sender_id, message.text.strip()
        if not text:
            return
        if sender_id not in self._sessions:
            session = TeachingSession(self._processor, self._learner, sender_id, turns=self._turns)
            self._sessions[sender_id] = session
        for answer in (None, Answer("restart") if text == RESTART else Answer("say", text)):
            if answer is not None:
                self._give(answer, message)
            while (question := self._sessions[sender_id].next()).state != "message":
                try:
                    self._give(ask(self._teacher, question), message)
                except ConversationAbandoned:
                    self._give(Answer("restart"), message)

    def _give(self, answer: Answer, message: UserMessage) -> None:
        """Give an answer; an error is told and does not end the lessons."""
        try:
            self._sessions[message.sender_id].answer(answer, channel=message.output_channel)
        except RasaCoreError as error:
            self._teacher.show(f"Error: {error}")
        else:
            if answer.kind == "restart":
                self._teacher.show("(a new conversation begins)")

    def stories(self) -> list[DialogueStateTracker]:
        """Return what was taught in all of them."""
        return list({story.sender_id: story for one in self._sessions.values() for story in one.stories()}.values())


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

    Messages come from the channel, which calls its handler in this thread; without one, from the terminal. `options`
    are those of `Agent.train`, for training on all conversations in the end; without training trackers there is none.

    Returns
    -------
    list of DialogueStateTracker
        What was taught and not trained on in the end; corrections have been learnt all the same.
    """
    agent.turns()  # Raises if there is nothing that could predict.
    teacher = teacher or Teacher()
    learner = Learner(agent.policy_ensemble, training_trackers, teacher.show)
    lessons = _Lessons(agent, learner, teacher, max_visual_history)
    # A conversation of its own, lest one that the store has from before becomes part of the stories.
    channel = input_channel or ConsoleInputChannel(f"online-{uuid.uuid4().hex}")
    try:
        teacher.show(_WELCOME)
        channel.start_sync_listening(lessons.handle)
    except (TeachingEnded, KeyboardInterrupt):
        pass
    except BaseException:
        _offer_file(teacher, lessons.stories())
        raise
    taught = lessons.stories()
    _offer_file(teacher, taught)
    # To train on nothing but what was taught would be to forget all the rest.
    if not taught or not training_trackers or not _wants_training(teacher):
        return taught
    teacher.show("Training ...")
    agent.train([*training_trackers, *taught], **(options or {}))
    learner.apply_corrections()
    return []


def _offer_file(teacher: Teacher, taught: Sequence[DialogueStateTracker]) -> None:
    """Show what was taught and offer to append it to a file: to the one that is offered where there is no answer."""
    if not taught:
        teacher.show("Nothing was taught.")
        return
    text = "\n".join(story_text(story.applied_events(), story.sender_id) for story in taught)
    teacher.show(f"This was taught:\n\n{text}")
    answer: str | None = ""
    while answer is not None:
        answer = _last_answer(teacher, f"File to append it to (Enter: {DEFAULT_FILE}, {NO_FILE}: none)? ")
        if answer == NO_FILE:
            return
        path = answer or DEFAULT_FILE
        try:
            append_stories(path, text)
        except (OSError, StoryParseError) as error:
            teacher.show(f"cannot write {path!r}: {getattr(error, 'strerror', None) or error}.")
        else:
            teacher.show(f"Appended to {path!r}.")
            return


def _wants_training(teacher: Teacher) -> bool:
    answer = _last_answer(teacher, "Train on all stories, the old and the new, now (y/N)? ")
    return answer is not None and answer.lower() in ("y", "yes")


def _last_answer(teacher: Teacher, question: str) -> str | None:
    """Return the answer; None if there is none to be had."""
    try:
        return _line(teacher, question)
    except (TeachingEnded, ConversationAbandoned, KeyboardInterrupt):
        return None
