"""A turn passes through few files, so that its code can be read in an hour."""

from __future__ import annotations

from pathlib import Path

from benchmarks.path_of_a_turn import path_of_a_parse, train

MOST_OF_THE_SERVER = 9


def test_a_parse_enters_few_files_of_the_server(tmp_path: Path) -> None:
    entered = [file for file in path_of_a_parse(train(tmp_path)) if file.startswith("server/")]

    assert entered[0] == "server/app.py"
    assert len(entered) <= MOST_OF_THE_SERVER, entered
