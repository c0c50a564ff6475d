"""What processors that were written for 0.9 ask the interpreter of messages that name their intent."""

from __future__ import annotations

from typing import Any

PREFIXES = ("/", "_")


class AsksOfOld:
    """Static methods of 0.9; each is answered by ``parse``, which a subclass has."""

    @staticmethod
    def allowed_prefixes() -> str:
        """Return the signs that may stand before the name of an intent."""
        return "".join(PREFIXES)

    @staticmethod
    def is_using_deprecated_format(text: str) -> bool:
        """Tell whether the entities stand in brackets, and not in braces."""
        return "[" in text.partition("{")[0]

    @classmethod
    def extract_intent_and_entities(cls, user_input: str) -> tuple[str | None, list[dict[str, Any]]]:
        """Return the name of the intent, and the entities."""
        reader: Any = cls()
        parsed = reader.parse(user_input)
        return parsed["intent"]["name"], parsed["entities"]

    deprecated_extraction = extract_intent_and_entities
