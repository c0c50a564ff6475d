"""Calling a function of the user's own, whichever of two lists of arguments it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def call_either(function: Callable[..., object], arguments: tuple[Any, ...], others: tuple[Any, ...]) -> object:
    """Call `function` with `arguments`, or with `others` if it cannot be called with the first."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return function(*others)
    except ValueError:  # It is not written in Python, and does not tell.
        pass
    return function(*arguments)
