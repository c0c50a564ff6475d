"""Helpers for storing models: arrays of numbers, classes that are registered by name, and errors with the file name."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from rasa_core.exceptions import ModelError, did_you_mean

# The errors of JSON, NumPy and zipfile for a damaged file, or for a file with another structure.
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


MAX_ARRAYS: Final = 1000
_BYTES_AN_ENTRY: Final = 1000  # Limit for an entry in the list of files, whose names are at most some hundred bytes.
_END_OF_ZIP: Final = b"PK\x05\x06"
_LONG_END_OF_ZIP: Final = b"PK\x06\x07"
_END: Final = 22  # Bytes of the end record of a zip file, which a comment may follow.
_LONG_END: Final = 20
_TAIL: Final = _LONG_END + _END + 65_535


@contextmanager
def reading(what: str, file: str | Path) -> Iterator[None]:
    """Turn errors of a missing, damaged or foreign `file` into `ModelError`; `what` is the expected content."""
    try:
        yield
    except ModelError:
        raise
    except _DAMAGED as error:
        raise ModelError(f"cannot read {what} {str(file)!r}: {_told(error)}. Train the model again.") from error


def _told(error: Exception) -> str:
    """Return what an error says, in words; those of Python about wrong types would tell nothing of the file."""
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, TypeError | AttributeError | IndexError) and "keyword argument" not in str(error):
        return "its content is not built as this version expects"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or repr(error)).rstrip(".")


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of numbers as ``.npz``; the same arrays give the same bytes."""
    # NumPy dates all members of the archive 1980, so the bytes do not depend on the time.
    options: dict[str, Any] = dict(arrays)
    np.savez(path, **options)


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file; raise `ModelError` if it is damaged, or contains objects."""
    with reading("the arrays in", path), open(path, "rb") as file:
        size_of_arrays(file)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def size_of_arrays(file: IO[bytes]) -> int:
    """Return how many bytes of memory the arrays of an ``.npz`` file need, without reading them.

    NumPy allocates memory for the shape in an array's header before it reads the data, so the header must fit the data.

    Raises
    ------
    ValueError
        If the header of an array does not fit its data, or an array contains objects.
    """
    check_list(file, MAX_ARRAYS)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
            raise ValueError("an array is packed in a way that NumPy does not use")
        if len({member.filename for member in members}) < len(members):
            raise ValueError("two arrays have one name")
        for member in members:
            with archive.open(member) as content:
                shape, dtype = _claimed(content)
                held = member.file_size - content.tell()
            if dtype.hasobject or any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != held:
                claim = "objects" if dtype.hasobject else f"the shape {str(shape)[:80]}"
                raise ValueError(f"{member.filename[:80]!r} claims {claim}, and holds {held} bytes")
        return sum(member.file_size for member in members)


def check_list(archive: IO[bytes], most: int) -> None:
    """Raise `ValueError` if a zip file lists more than `most` files; `zipfile` would read the whole list at once."""
    length = archive.seek(0, 2)
    archive.seek(max(0, length - _TAIL))
    tail = archive.read()
    # The end record is looked for as `zipfile` does, since its own bytes may look like a second record.
    at_end = tail[-_END:].startswith(_END_OF_ZIP) and tail.endswith(b"\0\0")
    end = len(tail) - _END if at_end else tail.rfind(_END_OF_ZIP)
    if end < 0 or len(tail) < end + _END:
        return  # Not a zip file; opening it raises the fitting error.
    (size,) = struct.unpack_from("<L", tail, end + 12)
    # ZIP64 is only needed for more than 65,535 files or 4 GB, and is refused.
    if size > most * _BYTES_AN_ENTRY or tail[max(0, end - _LONG_END) : end].startswith(_LONG_END_OF_ZIP):
        raise ValueError(f"it lists more than the {most} files that it may hold")


def _claimed(content: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the dtype in the header of an array."""
    version = np.lib.format.read_magic(content)
    if version != (1, 0):  # The header of this version has at most 64 KiB; this package writes no other version.
        raise ValueError(f"an array has the version {version}, which is none of a model")
    shape, _, dtype = np.lib.format.read_array_header_1_0(content)
    return shape, dtype


class KnownByName:
    """Base of classes that models name: each subclass is registered by its name; of equal names, the last is used."""

    registry: ClassVar[dict[str, type[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Start a registry for a direct subclass, and add further subclasses to the registry of their base."""
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
            The file that names the class.
        module
            The module that defined the class when the model was written; it is named in the error, but never imported.
        others
            Further names that the error may suggest.

        Raises
        ------
        ModelError
            If there is no such subclass.
        """
        if name not in cls.registry:
            where = f" ({module})" if module else ""
            raise ModelError(
                f"{file}: the class {name!r} is not known here.{did_you_mean(name, sorted({*cls.registry, *others}))} "
                f"If it is your own, import the module that defines it{where} before you load the model; "
                "on the command line, name that module with --import."
            )
        return cls.registry[name]
