"""A folder is copied as a whole, or an error names the missing file and the reason."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_disk import SmallDisk

from rasa_core.exceptions import ModelError
from rasa_core.support.folders import check_writable, clear_left, copy_folder, replace_directory


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


def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    script = f"""if True:
        from pathlib import Path
        from rasa_core.support.folders import workplace_in
        with workplace_in(Path({str(tmp_path)!r}), ".bot.new-") as folder:
            (folder / "file").write_text("x")
            print(folder, flush=True)
            input()
    """
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    young = tmp_path / ".bot.new-young"
    young.mkdir()
    os.utime(left, (0, 0))

    clear_left(tmp_path, ".bot.new-")
    assert left.is_dir()  # Its process is at work, however long that takes.

    process.kill()
    process.communicate()
    clear_left(tmp_path, ".bot.new-")
    assert not left.exists()
    assert young.is_dir()  # Somebody may have made it just now.


def test_what_another_name_or_a_link_stands_for_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").write_text("x")
    (tmp_path / ".bot.new-link").symlink_to(tmp_path / "own")
    (tmp_path / ".bots.new-other").mkdir()
    for path in (".bot.new-link", ".bots.new-other"):
        os.utime(tmp_path / path, (0, 0), follow_symlinks=False)

    clear_left(tmp_path, ".bot.new-")

    assert (tmp_path / "own" / "file").is_file()
    assert (tmp_path / ".bots.new-other").is_dir()


def test_a_model_that_is_written_makes_room_first_unless_it_is_missing(tmp_path: Path) -> None:
    left = tmp_path / ".bot.new-x"
    (left / "bot.old").mkdir(parents=True)
    os.utime(left, (0, 0))

    replace_directory(tmp_path / "bot", lambda folder: (folder / "a").touch(), ["a"])
    assert left.exists()  # It may have had what was there before.

    replace_directory(tmp_path / "bot", lambda folder: (folder / "a").touch(), ["a"])
    assert not left.exists()


def test_who_stands_in_a_folder_stands_in_the_one_that_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "model")
    for content in ("first", "second"):
        replace_directory(".", lambda folder, text=content: (folder / "known").write_text(text), {"known"})
        assert Path("known").read_text() == content
