"""The files of a model: reading gives the same model, and errors name what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_nlu import small_model

from rasa_core.exceptions import ModelError
from rasa_core.nlu.model import FILE_NAME, WEIGHTS_NAME, NLUModel
from rasa_core.support.stored_models import read_arrays, write_arrays


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nlu") / "model"
    small_model().persist(folder)
    return folder


@pytest.fixture
def copy(written, tmp_path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "model"))


def test_a_model_written_again_has_the_same_bytes(written, tmp_path) -> None:
    NLUModel.load(written).persist(tmp_path / "again")
    for name in (FILE_NAME, WEIGHTS_NAME):
        assert (tmp_path / "again" / name).read_bytes() == (written / name).read_bytes()


def test_a_model_takes_the_place_of_another(copy) -> None:
    (copy / WEIGHTS_NAME).write_bytes(b"")
    small_model().persist(copy)
    assert NLUModel.load(copy).intents == small_model().intents
    assert [path.name for path in copy.parent.iterdir()] == ["model"]


def test_what_is_no_model_is_left_alone(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="is not an NLU model; it is left alone"):
        small_model().persist(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_missing_model_is_named(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"no-such.* holds no NLU model.*Train one"):
        NLUModel.load(tmp_path / "no-such")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 99}', b"\xff", b"[" * 100_000])
def test_a_damaged_description_is_named(copy, content: bytes) -> None:
    (copy / FILE_NAME).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{FILE_NAME}.*Train the model again"):
        NLUModel.load(copy)


@pytest.mark.parametrize("name", ["intents", "words", "synonyms", "temperature", "lookups", "fingerprint"])
def test_a_part_of_the_description_that_is_missing_is_named(copy, name: str) -> None:
    description = json.loads((copy / FILE_NAME).read_text())
    del description[name]
    (copy / FILE_NAME).write_text(json.dumps(description))
    with pytest.raises(ModelError, match=rf"'{name}' in .*{FILE_NAME}.*Train the model again"):
        NLUModel.load(copy)


@pytest.mark.parametrize("values", [{"lisbon": 99}, {"lisbon": "0"}, {"lisbon": True}, ["lisbon"]], ids=str)
def test_values_that_are_of_no_entity_are_named(copy, values: object) -> None:
    description = json.loads((copy / FILE_NAME).read_text())
    (copy / FILE_NAME).write_text(json.dumps({**description, "values": values}))
    with pytest.raises(ModelError, match=rf"'values' in .*{FILE_NAME}.*Train the model again"):
        NLUModel.load(copy)


def test_a_model_that_was_trained_before_values_were_known_is_read(copy) -> None:
    description = json.loads((copy / FILE_NAME).read_text())
    description.pop("values", None)
    (copy / FILE_NAME).write_text(json.dumps(description))
    assert NLUModel.load(copy).parse("in Lisbon")["intent"]["name"]


@pytest.mark.parametrize("size", [0, 100, 50_000])
def test_weights_that_are_cut_are_named(copy, size: int) -> None:
    (copy / WEIGHTS_NAME).write_bytes((copy / WEIGHTS_NAME).read_bytes()[:size])
    with pytest.raises(ModelError, match=rf"{WEIGHTS_NAME}.*Train the model again"):
        NLUModel.load(copy)


@pytest.mark.parametrize("name", ["words", "tags_kernel", "letter_intents", "transitions", "intents_bias"])
@pytest.mark.parametrize("damage", ["missing", "of another size", "not a number"])
def test_a_weight_that_does_not_fit_is_named(copy, name: str, damage: str) -> None:
    arrays = read_arrays(copy / WEIGHTS_NAME)
    array = arrays.pop(name)
    if damage == "of another size":
        arrays[name] = array[1:]
    elif damage == "not a number":
        arrays[name] = np.full_like(array, np.nan)
    write_arrays(copy / WEIGHTS_NAME, arrays)
    with pytest.raises(ModelError, match=rf"'{name}' in .*{WEIGHTS_NAME}.*Train the model again"):
        NLUModel.load(copy)


def test_serving_loads_no_framework(written) -> None:
    code = (
        "import sys; from rasa_core.nlu.model import NLUModel; "
        "assert NLUModel.load(sys.argv[1]).parse('hello there')['intent']['name'] == 'greet'; "
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(written)], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "numpy" in loaded
    assert loaded & {"keras", "jax", "jaxlib", "tensorflow", "torch", "scipy"} == set()
