"""The order in which checkpoints can be visited, and the ways that lead back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def order_checkpoints(leads: Mapping[str, Iterable[str]]) -> tuple[list[str], frozenset[tuple[str, str]]]:
    """Sort checkpoints topologically, after cutting cycles.

    A depth-first search from each name in turn; it keeps its own stack, as graphs may be deep. The result
    depends on the order of the input alone.

    Parameters
    ----------
    leads
        Name of a checkpoint to the names that can be reached from it in one step.

    Returns
    -------
    tuple
        All names, each behind those that lead to it; and the cut edges ``(from, to)``, which close a cycle.
    """
    finished: dict[str, None] = {}
    entered: set[str] = set()
    back: set[tuple[str, str]] = set()
    for root in leads:
        if root in entered:
            continue
        entered.add(root)
        stack = [(root, iter(reversed(list(leads[root]))))]
        while stack:
            name, onward = stack[-1]
            for target in onward:
                if target not in entered:
                    entered.add(target)
                    stack.append((target, iter(reversed(list(leads.get(target, ()))))))
                    break
                if target not in finished:
                    back.add((name, target))
            else:
                finished[name] = None
                stack.pop()
    return list(reversed(finished)), frozenset(back)
