"""Messages that name their intent, as 0.9 reads them: the interpreter's methods of 0.9, and entities in brackets."""

from __future__ import annotations

from typing import Any

PREFIXES = ("/", "_")


class AsksOfOld:
    """Methods of 0.9 for a subclass with ``parse``, which they use."""

    @staticmethod
    def allowed_prefixes() -> str:
        """Return the characters that may precede the name of an intent."""
        return "".join(PREFIXES)

    @staticmethod
    def is_using_deprecated_format(text: str) -> bool:
        """Tell whether the entities are written in brackets instead of braces."""
        return "[" in text.partition("{")[0]

    @classmethod
    def extract_intent_and_entities(cls, user_input: str) -> tuple[str | None, list[dict[str, Any]]]:
        """Return the name of the intent, and the entities."""
        reader: Any = cls()
        parsed = reader.parse(user_input)
        return parsed["intent"]["name"], parsed["entities"]

    deprecated_extraction = extract_intent_and_entities


def bracketed_entities(written: str) -> list[tuple[str, str]]:
    """Read ``entity=value,other=value``; a comma with no entity behind it belongs to the value before it.

    `ValueError`, with a clause that says what is wrong, is raised for anything else.
    """
    entities: list[tuple[str, str]] = []
    for part in filter(str.strip, written.split(",")):
        entity, equals, value = part.partition("=")
        if entities and not equals:
            entities[-1] = entities[-1][0], f"{entities[-1][1]},{part}"
        elif not equals or not entity.strip():
            raise ValueError(f"{part.strip()[:80]!r} is not like entity=value")
        else:
            entities.append((entity.strip(), value))
    return [(entity, value.strip().strip("\"'")) for entity, value in entities]
