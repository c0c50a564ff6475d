"""Example messages of intents, to be shown in a picture: read from NLU data in Markdown or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rasa_core.events import UserUttered
from rasa_core.exceptions import RasaCoreError

_ENTITY: Final = re.compile(r"\[([^\]]+)\]\(([^):]+)(?::[^)]*)?\)")
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_ITEM_MARKS: Final = ("- ", "* ", "+ ")
_INTENT_HEADING: Final = "intent:"


@dataclass(frozen=True, slots=True)
class Example:
    """A message, and the names of the entities in it."""

    text: str
    entities: frozenset[str]


class ExampleError(RasaCoreError, ValueError):
    """NLU data cannot be read."""


class ExampleMessages:
    """Messages that people might send for an intent.

    Parameters
    ----------
    examples
        Intent to its examples, the best first.
    """

    def __init__(self, examples: Mapping[str, list[Example]]) -> None:
        self._examples = examples

    @classmethod
    def read(cls, source: str | Path | Mapping[str, Iterable[str]]) -> ExampleMessages:
        """Read an NLU file or folder, or take a mapping of intents to messages.

        Raises
        ------
        ExampleError
            If a file cannot be read, or there is no example in any.
        """
        if isinstance(source, Mapping):
            pairs = [(intent, _example(text)) for intent, texts in source.items() for text in texts]
        else:
            pairs = [pair for path in _files(Path(source)) for pair in _read_file(path)]
        examples: dict[str, list[Example]] = {}
        for intent, example in pairs:
            examples.setdefault(intent, []).append(example)
        if not examples:
            raise ExampleError(
                f"there are no examples of intents in {str(source)!r}; expected ## intent:greet and - hello."
            )
        return cls(examples)

    def for_message(self, message: UserUttered) -> str | None:
        """Return the first example of the intent, with the same entities if possible; None without any."""
        found = self._examples.get(message.intent.get("name") or "", [])
        wanted = {str(entity.get("entity")) for entity in message.entities}
        return next(
            (example.text for example in found if example.entities == wanted),
            found[0].text if found else None,
        )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in (".md", ".json") and file.is_file())


def _read_file(path: Path) -> Iterator[tuple[str, Example]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ExampleError(f"cannot read the NLU data {str(path)!r}: {error}.") from error
    return _read_json(path, text) if text.lstrip().startswith("{") else _read_markdown(text)


def _read_markdown(text: str) -> Iterator[tuple[str, Example]]:
    intent = None
    for line in map(str.strip, _COMMENT.sub("", text).splitlines()):
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
            intent = heading.removeprefix(_INTENT_HEADING).strip() if heading.startswith(_INTENT_HEADING) else None
        elif intent and line.startswith(_ITEM_MARKS):
            yield intent, _example(line[2:].strip())


def _example(annotated: str) -> Example:
    return Example(_ENTITY.sub(r"\1", annotated), frozenset(name.strip() for _, name in _ENTITY.findall(annotated)))


def _read_json(path: Path, text: str) -> Iterator[tuple[str, Example]]:
    try:
        for one in json.loads(text)["rasa_nlu_data"]["common_examples"]:
            names = frozenset(str(entity["entity"]) for entity in one.get("entities") or [])
            if one.get("intent"):
                yield str(one["intent"]), Example(str(one["text"]), names)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        expected = '{"rasa_nlu_data": {"common_examples": [{"text": ..., "intent": ...}]}}'
        raise ExampleError(f"cannot read the NLU data {str(path)!r}: {error!r}; expected {expected}.") from error
