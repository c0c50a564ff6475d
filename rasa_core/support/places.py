"""Places in files, which errors, findings and explanations name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A file, or a line in it.

    Attributes
    ----------
    file : str or None
        The path as the user gave it; None for text that is not from a file.
    line : int or None
        Counted from 1; None for the whole file.
    name : str or None
        The name of the item at this place, such as the name of a story.
    column : int or None
        Counted from 1.
    note : str or None
        A note about the place in a list of several places.
    """

    file: str | None
    line: int | None = None
    name: str | None = None
    column: int | None = None
    note: str | None = None

    def __str__(self) -> str:
        """Return ``file:line:column "name": note``, as far as these are known."""
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        where = f"line {where}" if self.file is None and self.line is not None else where
        text = f'{where} "{self.name}"'.lstrip() if self.name else where
        return f"{text}: {self.note}" if self.note else text

    @property
    def order(self) -> tuple[str, int, int, str]:
        """The key by which places are sorted: file, line, column and note."""
        return self.file or "", self.line or 0, self.column or 0, self.note or ""
