"""A model that is trained beside the one that serves."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
from pathlib import Path

import pytest
from small_disk import SmallDisk

from rasa_core.exceptions import ModelError
from rasa_core.project import Project
from rasa_core.server.inspector.candidate import Candidate, _began
from rasa_core.server.inspector.saving import copy_project
from rasa_core.support.progress import Progress

DOMAIN = 'intents: [greet]\ntemplates: {utter_hello: ["Hello!"]}\nactions: [utter_hello]\n'


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    folder = tmp_path / "bot"
    folder.mkdir()
    (folder / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (folder / "stories.md").write_text("## hello\n* greet\n  - utter_hello\n", encoding="utf-8")
    (folder / "config.yml").write_text("policies:\n- name: MemoizationPolicy\n", encoding="utf-8")
    Project(folder).train_if_changed(say=lambda line: None)
    return Candidate(folder, Project)


def wait_for(candidate: Candidate) -> str:
    """Wait until a training has ended, and return how."""
    for thread in threading.enumerate():
        if thread.name == "training":
            thread.join(60)
    return str(candidate.state()["state"])


def test_of_files_that_have_not_changed_nothing_new_serves(candidate: Candidate) -> None:
    before = Project(candidate.project).models.versions.names()
    candidate.start()
    assert wait_for(candidate) == "trained"
    assert candidate.serve() == before[-1]
    assert Project(candidate.project).models.versions.names() == before
    assert candidate.state()["state"] == "none"


def test_there_is_one_at_a_time_and_it_ends_when_it_is_discarded(candidate: Candidate) -> None:
    candidate.start()
    with pytest.raises(ModelError, match="is being trained now"):
        candidate.start()
    with pytest.raises(ModelError, match="still being trained"):
        candidate.serve()
    candidate.discard()
    wait_for(candidate)
    assert not candidate.folder.exists()
    with pytest.raises(ModelError, match="no model has been trained"):
        candidate.serve()


def test_what_is_wrong_with_the_files_stands_in_the_log_and_is_not_served(candidate: Candidate) -> None:
    (candidate.project / "stories.md").write_text("* greet\n  - utter_hello\n", encoding="utf-8")
    candidate.start()
    assert wait_for(candidate) == "failed"
    assert "Error: stories.md:1:" in candidate.state()["log"][-1]
    with pytest.raises(ModelError, match="the training failed"):
        candidate.serve()


def test_how_far_a_network_is_stands_in_the_state(candidate: Candidate, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rasa_core"):
        Progress("training KerasPolicy, epoch", 28, stream=io.StringIO()).step(28, {"loss": 0.25, "accuracy": 1.0})
    candidate.folder.mkdir(parents=True)
    job = {"pid": os.getpid(), "began": _began(os.getpid()), "started": time.time()}
    (candidate.folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    (candidate.folder / "log.txt").write_text(f"INFO: {caplog.messages[-1]}\n", encoding="utf-8")

    state = candidate.state()

    assert (state["state"], state["progress"]) == ("training", {"epoch": 28, "epochs": 28, "loss": 0.25})
    assert state["log"][0].startswith("training KerasPolicy, epoch 28/28")


def test_what_is_found_of_one_model_is_not_told_of_the_next(candidate: Candidate) -> None:
    def begin(started: float) -> None:
        candidate.folder.mkdir(parents=True, exist_ok=True)
        (candidate.folder / "job.json").write_text(json.dumps({"pid": 0, "began": None, "started": started}))

    begin(1.0)
    (candidate.folder / "result.json").write_text(json.dumps({"code": 0, "ended": 2.0}))
    candidate.check_trained()
    candidate.keep_comparison({"state": "comparing"})
    assert candidate.state()["comparison"] == {"state": "comparing"}

    candidate.discard()
    candidate.keep_comparison({"state": "compared"})
    assert not candidate.folder.exists()
    begin(3.0)
    candidate.keep_comparison({"state": "compared"})
    assert candidate.state()["comparison"] is None


def test_a_copy_has_all_that_is_the_bot_s_own_whatever_its_folders_are_called(tmp_path: Path) -> None:
    own = [
        "data/build/stories.yml",
        "env/nlu.md",
        "results/x.md",
        "data/models/rules.yml",
        "actions/dist/a.py",
        "c.dbx",
    ]
    made = ["models/dialogue/a", "data/.git/x", "tools/pyvenv.cfg", "conda/conda-meta/x", "a/__pycache__/x", ".env"]
    for name in (*own, *made, "talks.db", "talks.db-wal", "data/talks.db-index", "talks.db-index-shm"):
        path = tmp_path / "bot" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    copy_project(tmp_path / "bot", tmp_path / "copy")
    found = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert sorted(path.relative_to(tmp_path / "copy").as_posix() for path in found) == sorted(own)


@pytest.mark.parametrize("filled_when", ["a bot is copied", "its training has begun"])
def test_a_training_that_a_full_disk_stops_gives_back_its_room(
    small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, filled_when: str
) -> None:
    folder = small_disk.path / "bot"
    folder.mkdir()
    (folder / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    (folder / "stories.md").write_text("## hello\n* greet\n  - utter_hello\n", encoding="utf-8")
    candidate, begin, begun = Candidate(folder, Project), Candidate._begin, []

    def fill(name: str, content: object) -> None:
        small_disk.fill()
        Path(candidate.folder, name).write_bytes(bytes(5000))

    def begin_and_note(self: Candidate) -> object:
        begun.append(begin(self))
        return begun[-1]

    if filled_when == "a bot is copied":
        (folder / "long.md").write_bytes(bytes(40_000))
    monkeypatch.setattr(candidate, "_write", fill)
    monkeypatch.setattr(Candidate, "_begin", begin_and_note)
    with pytest.raises(OSError, match="No space left on device"):
        candidate.start()
    assert not candidate.folder.exists()
    assert candidate.state()["state"] == "none"
    assert [process.poll() is None for process in begun] == [False] * (filled_when != "a bot is copied")
