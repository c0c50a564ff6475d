"""``rasa_core.channels.socketio`` of later versions, which is left out; to import it says what to do."""

from __future__ import annotations

from rasa_core.compat import later

raise later.left_out("channels.socketio")
