"""The common parts of evaluation reports: text that fits a terminal, JSON, and files."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rasa_core.drawing.svg import Drawing, shorten, write_drawing
from rasa_core.evaluation.metrics import Evaluation, LabelScores, Pair, spreads_of
from rasa_core.exceptions import RasaCoreError
from rasa_core.support.folders import whole_file
from rasa_core.support.strict_json import encode

SHOWN_MISTAKES: Final = 10
LONGEST_NAME: Final = 60
_SHORTEST_NAME: Final = 6
_NARROWEST: Final = 40

Row = Sequence[str]
Write = Callable[[str | Path], Iterator[str]]
"""A function that writes a file, and yields lines about it."""


@dataclass(frozen=True, slots=True)
class Report:
    """The report of an evaluation.

    Attributes
    ----------
    lines : list of str
        The report as text.
    content : dict
        The report as an object of JSON.
    limited : dict of str to dict
        The figures that can be compared with limits, by their name in a sentence; each has a figure for each evaluated
        thing by its name, ``""`` if there is only one.
    files : dict of str to callable
        The functions that write files, by the names of their options.
    """

    lines: list[str]
    content: dict[str, Any]
    limited: Mapping[str, Mapping[str, float]]
    files: Mapping[str, Write]

    def write(self, paths: Mapping[str, Any]) -> Iterator[str]:
        """Write the files that have a path, and yield lines about them; raise `RasaCoreError` if that fails."""
        for option, write in self.files.items():
            if paths.get(option) is not None:
                yield from write(paths[option])

    def below(self, limits: Mapping[str, float | None]) -> list[str]:
        """Return a text about each figure that is below its limit; None means no limit."""
        return [
            f"the {what} {value:.4f} is below {least:g}{f': {name}' if name else ''}."
            for what, least in limits.items()
            for name, value in self.limited[what].items()
            if least is not None and value < least
        ]


def picture(draw: Callable[[], Drawing], sentence: str) -> Write:
    """Return a function that writes a picture and yields `sentence`, with the path in place of ``{}``."""

    def write(path: str | Path) -> Iterator[str]:
        write_drawing(draw(), path)
        yield sentence.format(path)

    return write


def write_text(text: str, path: str | Path, what: str) -> None:
    """Write `what` into a file; raise `RasaCoreError` if that is not possible."""
    try:
        with whole_file(path, permissions=0o666) as file:
            file.buffer.write(text.encode())
    except OSError as error:
        raise RasaCoreError(f"cannot write the {what} to {str(path)!r}: {error.strerror or error}.") from error


def in_comment(text: str) -> str:
    """Return text in one line that does not end the comment around it."""
    return text.replace("-->", "-- >").replace("\n", " ")


# -- numbers


def rounded(share: float, digits: int = 4) -> str:
    """Return a share as text; one that is almost 1 is not rounded up to it, so that 1 means all."""
    return f"{min(share, 1 - 10**-digits) if share < 1.0 else share:.{digits}f}"


def in_percent(share: float) -> str:
    """Return a share as a percentage; one that is almost 100 % is not rounded up to it."""
    return f"{min(share, 0.999) if share < 1.0 else share:.1%}"


# -- JSON


def scores_as_json(what: str, scores: Sequence[LabelScores]) -> list[dict[str, Any]]:
    """Return scores as JSON; `what` is the key of the label, which is None if there is none."""
    contents = map(asdict, scores)
    return [{what: content.pop("label") or None, **content} for content in contents]


def mistakes_as_json(predicted: str, mistakes: Sequence[tuple[Pair, int]]) -> list[dict[str, Any]]:
    """Return mistakes as JSON; `predicted` is the key of the predicted label, which is None if it has no name."""
    return [{"expected": pair[0], predicted: pair[1] or None, "count": count} for pair, count in mistakes]


# -- text


def in_blocks(*blocks: Sequence[str]) -> list[str]:
    """Return the lines of all blocks that have any, with an empty line between them."""
    return [line for block in blocks if block for line in ("", *block)][1:]


def table(headings: Row, rows: Sequence[Row], *, names: int = 1, longest: int = LONGEST_NAME) -> list[str]:
    """Return rows as lines in columns; the first `names` of them hold text, the others numbers.

    Text of more than `longest` characters is cut. No lines if there are no rows.
    """
    if not rows:
        return []
    width = width_of_terminal()
    heads: list[Row] = [headings]
    if width is not None and sum(_widths(headings, rows)) + 2 * len(headings) - 2 > width:
        words = [heading.split() or [""] for heading in headings]
        depth = max(map(len, words))
        heads = list(zip(*([""] * (depth - len(each)) + each for each in words), strict=True))
        numbers = [max(map(len, column)) + 2 for column in zip(*(row[names:] for row in (*heads, *rows)), strict=True)]
        longest = min(longest, max(_SHORTEST_NAME, (width - sum(numbers) - 2 * (names - 1)) // max(names, 1)))
    cut = [[shorten(cell, longest) if place < names else cell for place, cell in enumerate(row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*heads, *cut, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < names else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (*heads, *cut)
    ]


def _widths(headings: Row, rows: Sequence[Row]) -> list[int]:
    return [max(map(len, column)) for column in zip(headings, *rows, strict=True)]


def scores_table(what: str, predicted: str, scores: Sequence[LabelScores], none: str = "") -> list[str]:
    """Return the scores of labels in a table; `none` stands for the label without a name."""
    rows = [
        (one.label or none, *map(rounded, (one.precision, one.recall, one.f1)), str(one.support), str(one.predicted))
        for one in scores
    ]
    return table((what, "Precision", "Recall", "F1", "Expected", predicted), rows)


def folds_table(
    found: Sequence[Evaluation], headings: Mapping[str, str], sizes: Mapping[str, Sequence[int]]
) -> list[str]:
    """Return a table with a line for each fold, their mean, and their standard deviation.

    Parameters
    ----------
    headings
        Name of a figure to its heading.
    sizes
        Further columns: heading to a number for each fold.
    """
    rows = [
        (str(number), *map(str, counted), *figures_of(one.figures, headings))
        for number, (one, *counted) in enumerate(zip(found, *sizes.values(), strict=True), 1)
    ]
    if not rows:
        return []
    spreads = spreads_of(found)
    for name in ("mean", "deviation"):
        shown = {figure: getattr(spread, name) for figure, spread in spreads.items()}
        rows.append((name, *("" for _ in sizes), *figures_of(shown, headings)))
    return table(("Fold", *sizes, *headings.values()), rows)


def figures_of(figures: Mapping[str, float], headings: Mapping[str, str]) -> list[str]:
    """Return those figures that have a heading, in the order of the headings, as text."""
    return [rounded(figures[name]) for name in headings]


def mistakes_table(
    predicted: str, mistakes: Sequence[tuple[Pair, int]], none: str = "", longest: int = LONGEST_NAME
) -> list[str]:
    """Return the most frequent mistakes in a table, and how many more there are."""
    rows = [(expected, found or none, str(count)) for (expected, found), count in mistakes[:SHOWN_MISTAKES]]
    return [*table(("Expected", predicted, "Times"), rows, names=2, longest=longest), *_more(len(mistakes))]


def failure_lines(title: str, entries: Sequence[tuple[str, str]]) -> list[str]:
    """Return two lines for each failure, its place and what was wrong, and the number of further failures."""
    lines = [line for where, what in entries[:SHOWN_MISTAKES] for line in (f"  {where}", f"    {what}")]
    return [title, *lines, *_more(len(entries))] if entries else []


def better_and_worse(name: str, first: str, better: Sequence[str], worse: Sequence[str]) -> list[str]:
    """Return lines with the messages or stories in which a model is better, and worse, than the first one."""
    lines = [f"{name}, against {first}: {len(better)} better, {len(worse)} worse"]
    for title, found in (("better", better), ("worse", worse)):
        lines += [f"  {title}: {one}" for one in found[:SHOWN_MISTAKES]]
        lines += [f"  {title}: {line}" for line in _more(len(found))]
    return lines


def fitted(lines: Iterable[str], width: int | None) -> Iterator[str]:
    """Yield lines of at most `width` characters: longer ones are broken between words, and go on indented."""
    for line in lines:
        if width is None or len(line) <= width:
            yield line
            continue
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        yield from textwrap.wrap(
            line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
        )


def width_of_terminal() -> int | None:
    """Return the number of characters in a line of the terminal; None if the output is not a terminal."""
    if "COLUMNS" not in os.environ and not (sys.stdout is not None and sys.stdout.isatty()):
        return None
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def _more(count: int) -> list[str]:
    return [f"and {count - SHOWN_MISTAKES} more"] if count > SHOWN_MISTAKES else []


def one_line(text: str) -> str:
    """Return a text without line ends and control characters of a terminal, since users may type any text."""
    return text if text.isprintable() else "".join(one if one.isprintable() else encode(one)[1:-1] for one in text)
