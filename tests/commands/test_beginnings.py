from __future__ import annotations

import sys

import pytest

from rasa_core.commands import console_module, evaluate, train, visualize, with_whole_flags


@pytest.mark.parametrize(
    ("command", "written", "meant"),
    [
        (train.command, "--dom d --stor=s.md --ou m", "--domain d --stories=s.md --out m"),
        (train.command, "--epoch 3 --aug 0 --onl", "--epochs 3 --augmentation 0 --online"),
        (train.command, "-s s.md --epochs 3 -- --dom", "-s s.md --epochs 3 -- --dom"),
        (train.command, "--d d", "--d d"),
        (train.command, "--nothing", "--nothing"),
        (evaluate.command, "--max 3 --fai f.txt --outp None", "--max_stories 3 --failed f.txt --output None"),
        (visualize.command, "--max=2", "--max_history=2"),
    ],
)
def test_a_flag_may_be_written_by_its_beginning(command, written: str, meant: str) -> None:
    assert with_whole_flags(command, written.split()) == meant.split()


def test_the_commands_of_old_take_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "--dom", "nowhere.yml", "--stor", "s.md", "--ou", "model"])
    with pytest.raises(SystemExit, match="1"):
        console_module("train")
    assert "nowhere.yml" in capsys.readouterr().err
