"""The names of the Redis store's keys."""

from __future__ import annotations

from rasa_core.exceptions import StoreError

_ESCAPES = str.maketrans({"%": "%25", "{": "%7B", "}": "%7D"})
_NO_NAME = "%"  # Nothing else is written so; Redis takes no empty hash tag.


class Keys:
    """The names of the keys that start with `prefix`.

    Those of one conversation have its id in a hash tag, and so stand in one slot of a Redis Cluster. What would
    end a hash tag is escaped; no two ids give the same name.
    """

    def __init__(self, prefix: str) -> None:
        if not prefix or not prefix.isascii() or not prefix.isprintable() or set(prefix) & set("{}"):
            raise StoreError(f"key_prefix is printable ASCII text without {{ and }}, not {prefix!r}.")
        self._prefix = prefix
        self.layout = f"{prefix}:layout".encode()
        self.ids = f"{prefix}:ids".encode()

    def _name(self, sender_id: str, part: str) -> bytes:
        return f"{self._prefix}:{{{sender_id.translate(_ESCAPES) or _NO_NAME}}}:{part}".encode()

    def head(self, sender_id: str) -> bytes:
        """Return the key of the head: a hash."""
        return self._name(sender_id, "head")

    def events(self, sender_id: str) -> bytes:
        """Return the key of the log: a list."""
        return self._name(sender_id, "events")

    def answers(self, sender_id: str) -> list[bytes]:
        """Return the keys of the answers: a hash, and sorted sets by when they were created and stored."""
        return [self._name(sender_id, part) for part in ("answers", "answers:created", "answers:stored")]

    def lease(self, sender_id: str) -> bytes:
        """Return the key of the lease: a string."""
        return self._name(sender_id, "lease")

    def all_of(self, sender_id: str) -> list[bytes]:
        """Return the keys of everything that is stored of a conversation."""
        return [self.head(sender_id), self.events(sender_id), *self.answers(sender_id)]
