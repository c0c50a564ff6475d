"""The connector ``rocketchat`` of later versions, which is left out; to import it says what to do."""

from __future__ import annotations

from rasa_core.channels.channel import left_out

raise left_out("rocketchat")
