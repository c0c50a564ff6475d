"""Versions of a folder: each is written atomically, one is current, and the last five are kept."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from small_disk import SmallDisk

from rasa_core.exceptions import ModelError
from rasa_core.support.kept_versions import KEPT, KeptVersions, as_current, current_version

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def filled(text: str, *parts: str):
    def fill(folder: Path) -> str:
        for part in parts or ("one",):
            (folder / part).mkdir()
            (folder / part / "file").write_text(text)
        return f"{sum(map(ord, text)):08x}"

    return fill


@pytest.fixture
def versions(tmp_path: Path) -> KeptVersions:
    return KeptVersions(tmp_path / "kept", ("one", "two"))


def content(versions: KeptVersions, part: str = "one") -> str:
    return (versions.folder / part / "file").read_text()


def test_a_version_has_the_time_and_a_fingerprint_for_a_name_and_is_current(versions) -> None:
    name = versions.add(filled("a"), AT)
    assert name == "20260102-030405-00000061"
    assert versions.current == name == current_version(versions.folder)
    assert (versions.folder / "current").read_text() == f"{name}\n"
    assert content(versions) == "a"


def test_going_back_leads_all_parts_there(versions) -> None:
    first = versions.add(filled("a", "one", "two"), AT)
    second = versions.add(filled("b"), AT + timedelta(seconds=1))
    assert not (versions.folder / "two").exists()
    versions.use(first)
    assert (content(versions), content(versions, "two")) == ("a", "a")
    assert as_current(versions.folder / "one") == versions.folder / first / "one"
    assert versions.names() == [first, second]


def test_the_last_are_kept_and_the_current_one(versions) -> None:
    names = [versions.add(filled(str(number)), AT + timedelta(seconds=number)) for number in range(KEPT + 3)]
    assert versions.names() == names[-KEPT:]
    versions.use(names[-KEPT])
    versions.add(filled("new"), AT + timedelta(hours=1), use=False)
    versions.prune(1)
    assert names[-KEPT] in versions.names()


def test_what_fails_leaves_nothing(versions) -> None:
    name = versions.add(filled("a"), AT)

    def fail(folder: Path) -> str:
        (folder / "one").mkdir()
        raise OSError("no room")

    with pytest.raises(ModelError, match=r"cannot write a model into .*kept"):
        versions.add(fail, AT)
    assert sorted(path.name for path in versions.folder.iterdir()) == [name, "current", "one"]
    assert content(versions) == "a"


def test_what_was_broken_off_is_cleared_away(versions) -> None:
    versions.add(filled("a"), AT)
    (versions.folder / ".new-left").mkdir()
    os.utime(versions.folder / ".new-left", (0, 0))
    versions.add(filled("b"), AT)
    assert not (versions.folder / ".new-left").exists()


def test_a_version_that_somebody_else_is_making_meanwhile_is_left_alone(versions) -> None:
    def fill(folder: Path) -> str:
        filled("a")(folder)
        versions.add(filled("b"), AT + timedelta(seconds=1))
        return filled("a", "two")(folder)

    name = versions.add(fill, AT)
    assert sorted(path.name for path in (versions.folder / name).iterdir()) == ["one", "two"]
    assert len(versions.names()) == 2


def test_an_unknown_name_is_refused_with_the_nearest(versions) -> None:
    name = versions.add(filled("a"), AT)
    with pytest.raises(ModelError, match=f"no version '{name[:-1]}'.*Did you mean '{name}'"):
        versions.use(name[:-1])


@pytest.mark.parametrize("text", ["", "../elsewhere\n", "20260102-030405-00000061\n"])
def test_what_names_no_version_is_none(versions, text) -> None:
    versions.add(filled("a"), AT)
    shutil.rmtree(versions.folder / "20260102-030405-00000061")
    (versions.folder / "current").write_text(text)
    assert versions.current is None


def test_what_is_in_the_way_is_named(versions) -> None:
    (versions.folder / "one").mkdir(parents=True)
    with pytest.raises(ModelError, match="is in the way of a link"):
        versions.add(filled("a"), AT)


def test_a_full_disk_leaves_all_as_it_was(small_disk: SmallDisk) -> None:
    versions = KeptVersions(small_disk.path, ("one", "two"))
    first, second = (versions.add(filled(word), AT + timedelta(seconds=len(word))) for word in ("first", "second"))
    before = {path.name for path in small_disk.path.iterdir()}
    small_disk.fill()
    with pytest.raises(ModelError, match=f"cannot use {first} in .*: No space left on device. What was used before"):
        versions.use(first)
    small_disk.empty()
    assert {path.name for path in small_disk.path.iterdir()} == before
    assert (versions.current, content(versions)) == (second, "second")
    versions.use(first)
    assert (versions.current, content(versions)) == (first, "first")
