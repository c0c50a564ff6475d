"""Interactive training on the terminal: a person talks to the bot, corrects what it does, and saves stories."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rasa_core.channels.console import ConsoleInputChannel
from rasa_core.exceptions import RasaCoreError, did_you_mean
from rasa_core.processor import MessageProcessor
from rasa_core.stories.edits import with_story
from rasa_core.support.text_edits import Edit, EditError, content_of, write_edits
from rasa_core.teaching.corrections import story_of
from rasa_core.teaching.learning import Learner
from rasa_core.teaching.questions import Answer, Choice, Question
from rasa_core.teaching.session import TeachingSession

if TYPE_CHECKING:
    from rasa_core.agent import Agent
    from rasa_core.channels.channel import InputChannel, UserMessage
    from rasa_core.domain import Domain
    from rasa_core.trackers import DialogueStateTracker

RESTART, STOP = "/restart", "/stop"
DEFAULT_FILE, DEFAULT_RASA_FILE, NO_FILE = "stories.md", "data/stories.yml", "-"

_WELCOME: Final = f"""\
Talk to the bot. Before each of its actions you are asked whether it is the right one.
{RESTART} begins another conversation. {STOP}, Ctrl+D and Ctrl+C end the training; nothing that was taught is lost."""
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
    """The teacher wants to stop, or there is no more input."""


class ConversationAbandoned(Exception):
    """The teacher wants to start another conversation."""


class Teacher:
    """The person at the terminal; the end of the input or Ctrl+C ends the teaching."""

    def show(self, text: str) -> None:
        """Show one or more lines."""
        print(text, flush=True)

    def ask(self, question: str) -> str:
        """Return one line as the answer; raise `TeachingEnded` if there is no more input."""
        try:
            return input(question)
        except (EOFError, KeyboardInterrupt):
            print(flush=True)
            raise TeachingEnded from None


def ask(teacher: Teacher, question: Question) -> Answer:
    """Return the teacher's answer to a question; questions for a message are not asked here.

    Raises
    ------
    TeachingEnded, ConversationAbandoned
        If the answer is ``0`` or ``/stop`` (`TeachingEnded`), or ``/restart`` (`ConversationAbandoned`).
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
    """Return the teacher's choice by number or name; None for an empty answer, which goes back."""
    width = max((len(choice.name) for choice in choices), default=0)
    rows = (f"  {number:3}  {one.name:{width}}  {one.probability:.2f}" for number, one in enumerate(choices, 1))
    teacher.show("\n".join(rows))
    names = {choice.name: choice.name for choice in choices}
    numbers = {str(number): choice.name for number, choice in enumerate(choices, 1)}
    while answer := _line(teacher, f"Which {what}, by number or name (Enter: back)? "):
        chosen = names.get(answer) or numbers.get(answer)  # Names first, since an action may have the name "2".
        if chosen is not None:
            return chosen
        teacher.show(f"There is no {what} {answer[:80]!r} in the domain.{did_you_mean(answer, names)}")
    return None


def _take_turn(session: TeachingSession, message: UserMessage, teacher: Teacher) -> None:
    """Answer the questions of a session, with what an earlier turn has left open, until it waits for a message."""
    said: Answer | None = Answer("restart") if message.text.strip() == RESTART else Answer("say", message.text.strip())
    while (question := session.next()).state != "message" or said is not None:
        if said is not None and question.state == "message":
            answer, said = said, None
        else:
            try:
                answer = ask(teacher, question)
            except ConversationAbandoned:
                answer = Answer("restart")
        try:
            session.answer(answer, channel=message.output_channel)
        except RasaCoreError as error:  # The error is shown, and the question is asked again.
            teacher.show(f"Error: {error}")
        else:
            if answer.kind == "restart":
                teacher.show("(a new conversation begins)")


def teach(
    agent: Agent,
    training_trackers: Sequence[DialogueStateTracker],
    input_channel: InputChannel | None = None,
    max_visual_history: int = 3,
    options: Mapping[str, Any] | None = None,
    *,
    teacher: Teacher | None = None,
    file: str | None = None,
) -> list[DialogueStateTracker]:
    """Let a person talk to a trained agent and correct it, and save the taught conversations as stories.

    Messages come from the channel, which calls its handler in this thread, or else from the terminal. In the end the
    agent is trained on all conversations with `options`, which are those of `Agent.train`; without training trackers it
    is not trained. The stories are appended to `file`, by default one in the working folder, unless the teacher names
    another file.

    Returns
    -------
    list of DialogueStateTracker
        The taught conversations that were not trained on in the end. The single corrections were learnt nevertheless.
    """
    agent.turns()  # Raises `ModelError` if the agent has no policies.
    teacher = teacher or Teacher()
    file = file or (DEFAULT_FILE if agent.domain.rasa is None else DEFAULT_RASA_FILE)
    learner = Learner(agent.policy_ensemble, training_trackers, teacher.show)
    # A runner of its own: the agent's runner may run actions, but here the teacher enters their results.
    processor = agent.processor
    if agent.domain.rasa is None:
        processor = MessageProcessor(agent.interpreter, agent.policy_ensemble, agent.domain, agent.tracker_store)
    sessions: dict[str, TeachingSession] = {}

    def handle(message: UserMessage) -> None:
        if not message.text.strip():
            return
        if message.sender_id not in sessions:
            session = TeachingSession(processor, learner, message.sender_id, turns=max_visual_history)
            sessions[message.sender_id] = session
        _take_turn(sessions[message.sender_id], message, teacher)

    def stories() -> list[DialogueStateTracker]:
        return list({story.sender_id: story for one in sessions.values() for story in one.stories()}.values())

    # A new sender_id, so that no earlier conversation in the store becomes a part of the stories.
    channel = input_channel or ConsoleInputChannel(f"online-{uuid.uuid4().hex}")
    try:
        teacher.show(_WELCOME)
        channel.start_sync_listening(handle)
    except (TeachingEnded, KeyboardInterrupt):
        pass
    except BaseException:  # After any error, the stories that a person has taught are saved.
        _offer_file(teacher, stories(), agent.domain, file)
        raise
    taught = stories()
    _offer_file(teacher, taught, agent.domain, file)
    if not taught or not training_trackers:  # Training on the taught stories alone would forget all others.
        return taught
    wanted = _last_answer(teacher, "Train on all stories, the old and the new, now (y/N)? ") or ""
    if wanted.lower() not in ("y", "yes"):
        return taught
    teacher.show("Training ...")
    agent.train([*training_trackers, *taught], **(options or {}))
    learner.apply_corrections()
    return []


def _offer_file(teacher: Teacher, taught: Sequence[DialogueStateTracker], domain: Domain, usual: str) -> None:
    """Show the taught stories, and ask for the file to append them to; an empty answer means the `usual` file."""
    if not taught:
        teacher.show("Nothing was taught.")
        return
    teacher.show(f"This was taught:\n\n{_with_stories(b'', usual, taught, domain).decode()}")
    answer: str | None = ""
    while answer is not None:  # Until a file is written, or there is no more input.
        answer = _last_answer(teacher, f"File to append it to (Enter: {usual}, {NO_FILE}: none)? ")
        path = answer or usual
        if path == NO_FILE:
            return
        try:
            file = Path(os.path.expanduser(path))
            if path != usual and not file.parent.is_dir():  # The path is probably mistyped.
                raise EditError(f"there is no folder {str(file.parent)!r}.")
            before = content_of(file)
            write_edits([Edit(file, before, _with_stories(before, path, taught, domain))])
        except EditError as error:
            teacher.show(f"cannot write {path!r}: {error}")
        else:
            teacher.show(f"Appended to {path!r}.")
            return


def _with_stories(content: bytes, name: str, taught: Sequence[DialogueStateTracker], domain: Domain) -> bytes:
    """Return the content of a story file with the taught stories appended."""
    for story in taught:
        events = story.applied_events() if domain.rasa is None else story_of(story, domain)
        content = with_story(content, name, story.sender_id, events)
    return content


def _last_answer(teacher: Teacher, question: str) -> str | None:
    """Return the answer; None if there is no more input."""
    try:
        return _line(teacher, question)
    except (TeachingEnded, ConversationAbandoned, KeyboardInterrupt):
        return None
