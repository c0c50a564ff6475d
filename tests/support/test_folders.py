"""A folder is copied whole, or one error says which file is missing and why."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from small_disk import SmallDisk

from rasa_core.exceptions import ModelError
from rasa_core.support.folders import check_writable, copy_folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "below").mkdir(parents=True)
    for name in ("a", "b", "below/c"):
        (folder / name).write_bytes(bytes(5000))
    return folder


def test_a_folder_is_copied_with_what_is_below_it(source: Path, tmp_path: Path) -> None:
    copy_folder(source, tmp_path / "copy", ignore=lambda folder, names: {"b"})
    assert sorted(path.name for path in (tmp_path / "copy").rglob("*")) == ["a", "below", "c"]


def test_of_a_full_disk_one_file_is_told(source: Path, small_disk: SmallDisk) -> None:
    small_disk.fill()
    with pytest.raises(OSError, match="No space left on device") as caught:
        copy_folder(source, small_disk.path / "copy")
    assert caught.value.errno == errno.ENOSPC
    assert str(caught.value.filename).startswith(str(small_disk.path))


def test_a_link_to_nothing_is_told(source: Path, tmp_path: Path) -> None:
    (source / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(OSError, match="No such file or directory") as caught:
        copy_folder(source, tmp_path / "copy")
    assert caught.value.filename == str(source / "gone")


def test_a_full_disk_is_told_before_anything_takes_time(small_disk: SmallDisk) -> None:
    check_writable(small_disk.path / "models")
    small_disk.fill()
    with pytest.raises(ModelError, match=r"cannot write models into .*: No space left on device"):
        check_writable(small_disk.path / "models")
