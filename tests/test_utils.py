from __future__ import annotations

import argparse
import logging
import random
import tempfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rasa_core import utils
from rasa_core.conversation import DefaultTopic, Topic
from rasa_core.exceptions import DomainError
from rasa_core.slots import Slot, TextSlot


def test_one_hot_is_one_at_the_index() -> None:
    np.testing.assert_array_equal(utils.one_hot(1, 3, np.int64), np.array([0, 1, 0]))


@pytest.mark.parametrize("index", [-1, 3])
def test_one_hot_refuses_an_index_outside(index: int) -> None:
    with pytest.raises(ValueError, match=f"the index {index} is outside a vector of length 3"):
        utils.one_hot(index, 3)


def test_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("\ufeffgrüße: [1, 2]", encoding="utf-8")

    assert utils.read_file(path) == "grüße: [1, 2]"
    assert utils.read_yaml_file(path) == {"grüße": [1, 2]}


def test_objects_are_written_as_json(tmp_path: Path) -> None:
    utils.dump_obj_as_json_to_file(tmp_path / "a.json", {"a": [1]})

    assert utils.read_yaml_file(tmp_path / "a.json") == {"a": [1]}


def test_a_folder_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "a.txt").write_text("a", encoding="utf-8")

    with zipfile.ZipFile(utils.zip_folder(tmp_path / "folder")) as archive:
        assert archive.read("inner/a.txt") == b"a"


def test_classes_have_a_dotted_path_and_back() -> None:
    path = utils.module_path_from_instance(TextSlot("a"))

    assert path == "rasa_core.slots.TextSlot"
    assert utils.class_from_module_path(path) is TextSlot


def test_a_path_to_no_class_is_an_error() -> None:
    with pytest.raises(DomainError, match=r"cannot find the class 'rasa_core\.slots\.Nothing'"):
        utils.class_from_module_path("rasa_core.slots.Nothing")


def test_text_is_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    utils.print_color("hi", utils.bcolors.OKGREEN)

    assert capsys.readouterr().out == "\033[92mhi\033[0m\n"


@pytest.mark.parametrize(
    ("arguments", "level"),
    [([], logging.ERROR), (["-v"], logging.INFO), (["--verbose"], logging.INFO), (["--debug"], 10)],
)
def test_arguments_set_the_log_level(arguments: list[str], level: int) -> None:
    parser = argparse.ArgumentParser()
    utils.add_logging_option_arguments(parser, default=logging.ERROR)

    assert parser.parse_args(arguments).loglevel == level


def test_logging_goes_to_the_console_and_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[logging.Handler] = []
    monkeypatch.setattr(logging.root, "handlers", handlers)
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    utils.configure_colored_logging("INFO")
    utils.configure_file_logging("WARNING", tmp_path / "rasa_core.log")
    utils.configure_file_logging("WARNING", None)
    logging.getLogger("bot").info("not for the file")
    logging.getLogger("bot").warning("for both")
    for handler in handlers:
        handler.close()

    assert len(handlers) == 2
    assert (tmp_path / "rasa_core.log").read_text(encoding="utf-8").endswith("bot  for both\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, True), (1.0, True), ("1", False), (1.5, False), (None, False), ("test", False), (float("inf"), False)],
    ids=repr,
)
def test_whole_numbers_are_told(value: object, expected: bool) -> None:
    assert utils.is_int(value) is expected


def test_the_folder_of_a_file_is_made(tmp_path: Path) -> None:
    for _ in range(2):
        utils.create_dir_for_file(tmp_path / "a" / "b" / "file.txt")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_part_of_a_list_is_taken_at_random_but_the_same_for_a_seed() -> None:
    values = list(range(10))
    taken = utils.subsample_array(values, 4, can_modify_incoming_array=False, rand=random.Random(1))

    assert values == list(range(10))
    assert len(set(taken)) == 4
    assert taken == utils.subsample_array(values, 4, rand=random.Random(1)) == values[:4]


def test_arrays_can_be_keys() -> None:
    array = np.array([1.0, 2.0])
    loose, tight = utils.HashableNDArray(array), utils.HashableNDArray(array, tight=True)
    other = utils.HashableNDArray(np.array([1.0, 3.0]))

    assert {loose: 1, other: 2}[tight] == 1
    assert loose.unwrap() is array
    assert tight.unwrap() is not array
    assert loose != other
    assert utils.is_training_data_empty(np.empty((0, 3)))


@pytest.mark.parametrize(
    ("limit", "ellipsis", "shown"), [(10, True, "mystring"), (6, True, "mys..."), (3, False, "mys")]
)
def test_a_text_is_cut(limit: int, ellipsis: bool, shown: str) -> None:
    assert utils.cap_length("mystring", limit, append_ellipsis=ellipsis) == shown


def test_topics_are_stacked() -> None:
    first, second = topics = [Topic("first"), Topic("second")]
    stack = utils.TopicStack(topics, [], DefaultTopic)
    assert (stack.top, stack.pop(), len(stack)) == (DefaultTopic, None, 0)
    for topic in (first, "second", first):
        stack.push(topic)
    assert list(stack) == [second, first]
    assert (stack.pop(), stack.top) == (first, second)


def test_an_unknown_topic_is_refused() -> None:
    with pytest.raises(ValueError, match=r"there is no topic 'third'; known are 'first'\."):
        utils.TopicStack([Topic("first")], [], DefaultTopic).push("third")


def test_arguments_are_told_apart() -> None:
    assert utils.extract_args({"a": 1, "b": 2}, {"a", "c"}) == ({"a": 1}, {"b": 2})


def test_subclasses_of_subclasses_are_found() -> None:
    class Child(TextSlot):
        pass

    assert {TextSlot, Child} <= set(utils.all_subclasses(Slot))


def test_small_helpers() -> None:
    class Asked:
        count = 0

        @utils.lazyproperty
        def answer(self) -> int:
            self.count += 1
            return 42

    asked = Asked()
    assert (asked.answer, asked.answer, asked.count) == (42, 42, 1)
    assert utils.str_range_list(1, 3) == ["1", "2"]
    assert len(utils.generate_id("x", 5)) == 6
    assert utils.generate_id() != utils.generate_id()


def test_a_text_is_written(tmp_path: Path) -> None:
    utils.dump_obj_as_str_to_file(tmp_path / "a.txt", "grüße")

    assert utils.read_file(tmp_path / "a.txt") == "grüße"


def test_somebody_is_asked_until_the_answer_is_one_of_those(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter(["9", "2"])
    monkeypatch.setattr(utils, "input", lambda _: next(answers))

    assert utils.request_input(["1", "2", "3", "4"], "which? ") == "2"
    assert "Type one of: 1, 2, 3, ..." in capsys.readouterr().out


def test_threads_are_waited_for() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.set)
    thread.start()
    utils.wait_for_threads([thread])

    assert not thread.is_alive()
