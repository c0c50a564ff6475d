"""Channels: input channels deliver users' messages, and output channels send the bot's messages."""

from __future__ import annotations

from rasa_core.channels.channel import HttpInputChannel as HttpInputChannel
from rasa_core.channels.channel import HttpInputComponent as HttpInputComponent
from rasa_core.channels.channel import InputChannel as InputChannel
from rasa_core.channels.channel import OutputChannel as OutputChannel
from rasa_core.channels.channel import UserMessage as UserMessage
from rasa_core.channels.direct import CollectingOutputChannel as CollectingOutputChannel
from rasa_core.compat import later

__all__ = [
    "CollectingOutputChannel",
    "HttpInputChannel",
    "HttpInputComponent",
    "InputChannel",
    "OutputChannel",
    "UserMessage",
]


__getattr__ = later.of_module(__name__)
