"""A teacher with scripted answers, and a channel with scripted messages."""

from __future__ import annotations

from collections.abc import Iterable

from rasa_core.channels import InputChannel, UserMessage
from rasa_core.channels.channel import MessageHandler
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.commands.teach import Teacher, TeachingEnded


class ScriptedTeacher(Teacher):
    """Gives one answer after another; has no more to say after the last."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.shown: list[str] = []

    def show(self, text: str) -> None:
        self.shown.append(text)

    def ask(self, question: str) -> str:
        self.shown.append(question)
        if not self.answers:
            raise TeachingEnded
        return self.answers.pop(0)

    @property
    def screen(self) -> str:
        return "\n".join(self.shown)


class ScriptedChannel(InputChannel):
    """Sends these messages; keeps what the bot says."""

    def __init__(self, messages: Iterable[str], sender_id: str = "pupil") -> None:
        self.texts = list(messages)
        self.sender_id = sender_id
        self.output = CollectingOutputChannel()

    def start_sync_listening(self, message_handler: MessageHandler) -> None:
        for text in self.texts:
            message_handler(UserMessage(text, self.output, self.sender_id))

    @property
    def said(self) -> list[str]:
        return [message["text"] for message in self.output.messages]
