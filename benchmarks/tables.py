"""Prints the table of a benchmark, and computes quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence


def quantile(values: Sequence[float], fraction: float) -> float:
    """Return the smallest value that at least `fraction` of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under heads; the first column to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    print(title)
    for number, row in enumerate(cells):
        print(
            "  ".join(
                cell.ljust(width) if not at else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
        if number == 0:
            print("  ".join("-" * width for width in widths))
