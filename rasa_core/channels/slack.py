"""The connector for Slack of Rasa Core 0.9, which is left out; to import it says what to do."""

from __future__ import annotations

from rasa_core.channels.channel import connector_left_out

raise connector_left_out("slack")
