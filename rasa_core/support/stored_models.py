"""What models are stored with: arrays of numbers, classes that are known by name, and errors that name the file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError, did_you_mean

# What JSON, NumPy and the zip format below it raise for a file that is damaged, or for content of another shape.
_DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    TypeError,
    AttributeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def reading(what: str, file: str | Path) -> Iterator[None]:
    """Turn what a missing, damaged or foreign `file` raises into `ModelError`, which says `what` it should hold."""
    try:
        yield
    except ModelError:
        raise
    except _DAMAGED as error:
        raise ModelError(f"cannot read {what} {str(file)!r}: {error!r}. Train the model again.") from error


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of numbers as ``.npz``; the same arrays give the same bytes."""
    options: dict[str, Any] = dict(arrays)
    np.savez(path, **options)


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file; raise `ModelError` if it is damaged, or holds objects."""
    with reading("the arrays in", path), open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


class KnownByName:
    """Base of classes that models name: a subclass is known as soon as it is defined, the one defined last wins."""

    registry: ClassVar[dict[str, type[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Begin a registry for a direct subclass, and enter other subclasses into that of their base."""
        super().__init_subclass__(**kwargs)
        if KnownByName in cls.__bases__:
            cls.registry = {}
        else:
            cls.registry[cls.__name__] = cls

    @classmethod
    def named(cls, name: str, file: Path, module: str | None = None, others: Iterable[str] = ()) -> type[Any]:
        """Return the subclass with this name.

        Parameters
        ----------
        file
            What names it.
        module
            Which module defined it when the model was written; told if the class is not known, never imported.
        others
            More names that may be meant.

        Raises
        ------
        ModelError
            If there is none.
        """
        if name not in cls.registry:
            where = f" ({module})" if module else ""
            raise ModelError(
                f"{file}: the class {name!r} is not known here.{did_you_mean(name, sorted({*cls.registry, *others}))} "
                f"If it is your own, import the module that defines it{where} before you load the model; "
                "on the command line, name that module with --import."
            )
        return cls.registry[name]
