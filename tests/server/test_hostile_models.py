"""A hostile model over ``POST /load`` runs no code, and takes no more memory than others, or is refused."""

from __future__ import annotations

import gc
import io
import json
import stat
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server_answers import error_of
from werkzeug.test import Client, TestResponse

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.policies import FallbackPolicy, MemoizationPolicy, NGramPolicy
from rasa_core.policies.keras_policy import FORMAT
from rasa_core.policies.network import PolicyNetwork
from rasa_core.server import create_app, uploads
from rasa_core.support import stored_models

DOMAIN = """
intents: [greet]
slots: {mood: {type: text}}
templates: {utter_greet: [{text: hey}]}
actions: [utter_greet]
"""
Files = dict[str, bytes]
TURNS = "policy_0_MemoizationPolicy"


@pytest.fixture
def sound(tmp_path: Path) -> Files:
    """Return the files of a model of three policies of this package."""
    (tmp_path / "stories.md").write_text("## greet\n* greet\n    - utter_greet\n")
    agent = Agent(Domain.from_yaml(DOMAIN), [MemoizationPolicy(), NGramPolicy(), FallbackPolicy()])
    agent.train(agent.load_data(tmp_path / "stories.md"))
    agent.persist(tmp_path / "sound")
    folder = tmp_path / "sound"
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def client(trained: Path) -> Client:
    return Client(create_app(trained, tracker_store="memory://", enable_load=True))


def send(client: Client, archive: bytes) -> TestResponse:
    return client.post("/load", data={"model": (io.BytesIO(archive), "model.zip")})


def zipped(files: Files, **more: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content in {**files, **more}.items():
            writer.writestr(name, content)
    return archive.getvalue()


def refused(client: Client, archive: bytes, why: str, status: int = 400) -> None:
    before = client.get("/version").get_json()["core_model"]
    response = send(client, archive)
    assert response.status_code == status
    assert why in error_of(response)
    assert client.get("/version").get_json()["core_model"] == before


def described(files: Files, change: Callable[[dict[str, Any]], object]) -> Files:
    """Return the model with other metadata."""
    content = json.loads(files["metadata.json"])
    change(content)
    return {**files, "metadata.json": json.dumps(content).encode()}


def test_sound_model_is_served(client: Client, sound: Files) -> None:
    assert send(client, zipped(sound)).status_code == 200
    assert client.post("/conversations/x/parse", data='{"query": "/greet"}').get_json()["next_action"] == "utter_greet"


@pytest.mark.parametrize(
    "text",
    [
        DOMAIN.replace("type: text", "type: evil_module.Evil"),
        DOMAIN.replace("[utter_greet]", "[utter_greet, evil_module.Evil]"),
    ],
    ids=["slot", "action"],
)
def test_no_module_is_imported(
    client: Client, sound: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)

    refused(client, zipped({**sound, "domain.yml": text.encode()}), "has not imported evil_module")

    assert "evil_module" not in sys.modules
    assert not (tmp_path / "ran").exists()


def test_class_that_this_process_has_imported_is_used(
    client: Client, sound: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moods.py").write_text("from rasa_core.slots import TextSlot\nclass Mood(TextSlot): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    text = DOMAIN.replace("type: text", "type: moods.Mood")
    __import__("moods")
    files = described(
        {**sound, "domain.yml": text.encode()},
        lambda content: content["fingerprints"].update(domain=Domain.from_yaml(text).fingerprint()),
    )

    assert send(client, zipped(files)).status_code == 200
    assert client.get("/conversations/x/tracker").get_json()["slots"] == {"mood": None}


@pytest.mark.parametrize(
    "name",
    [
        "evil.py",
        ".hidden",
        "domain.yaml",
        f"{TURNS}/evil.py",
        f"{TURNS}/model.pkl",
        "other/weights.npz",
        "__pycache__/x",
    ],
)
def test_file_that_no_model_has_is_refused(client: Client, sound: Files, name: str) -> None:
    refused(client, zipped(sound, **{name: b"x"}), "is no file of a model")


def test_deep_folders_are_refused(client: Client, sound: Files) -> None:
    refused(client, zipped(sound, **{"a/b/c/d": b"x"}), "so deep in folders")


def test_list_of_very_many_folders_is_not_read(client: Client, sound: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILES", 20)
    refused(client, zipped(sound, **{f"{number:0200}/": b"" for number in range(100)}), "lists more than the 20 files")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK])
def test_what_is_no_plain_file_is_refused(client: Client, sound: Files, kind: int) -> None:
    archive = io.BytesIO(zipped(sound))
    with zipfile.ZipFile(archive, "a") as writer:
        special = zipfile.ZipInfo(f"{TURNS}/weights.npz")
        special.external_attr = (kind | 0o777) << 16
        writer.writestr(special, "/etc/passwd")
    refused(client, archive.getvalue(), "is a link or leads outside")


def test_one_name_twice_is_refused(client: Client, sound: Files) -> None:
    archive = io.BytesIO(zipped(sound))
    with zipfile.ZipFile(archive, "a") as writer, pytest.warns(UserWarning, match="Duplicate name"):
        writer.writestr("domain.yml", "intents: [evil]")
    refused(client, archive.getvalue(), "two files have one name")


@pytest.mark.parametrize("folder", ["..", "../model", "/etc", "a/b", ""])
def test_policy_elsewhere_is_refused(client: Client, sound: Files, folder: str) -> None:
    files = described(sound, lambda content: content["policies"][0].update(folder=folder))

    assert send(client, zipped(files)).status_code == 400


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda content: content.update(policies=[]), "no file of a model"),
        (lambda content: content["policies"][0].update(threshold=float("nan")), "threshold is a number"),
        (lambda content: content["policies"][0].update(priority="high"), "Train the model again"),
        (lambda content: content["policies"][0].update({"class": "os.system"}), "is not known here"),
    ],
    ids=["policies of no name", "threshold", "priority", "class"],
)
def test_metadata_that_decide_nothing_are_refused(
    client: Client, sound: Files, change: Callable[[dict[str, Any]], object], why: str
) -> None:
    refused(client, zipped(described(sound, change)), why)


def test_model_without_policies_is_refused(client: Client, sound: Files) -> None:
    files = described(sound, lambda content: content.update(policies=[]))
    refused(client, zipped({name: text for name, text in files.items() if "/" not in name}), "it has no policies")


def test_more_policies_than_can_be_asked_are_refused(client: Client, sound: Files) -> None:
    many = described(sound, lambda content: content.update(policies=content["policies"] * 50))

    refused(client, zipped(many), "it has 150 policies")


def test_policies_that_share_a_folder_are_refused(client: Client, sound: Files) -> None:
    twice = described(sound, lambda content: content.update(policies=content["policies"] * 2))

    refused(client, zipped(twice), "two policies have one folder")


@pytest.mark.parametrize("place", ["turns", "ambiguous"])
def test_histories_whose_endings_would_fill_the_memory_are_refused(client: Client, sound: Files, place: str) -> None:
    name = f"{TURNS}/memorized_turns.json"
    content = json.loads(sound[name])
    history = [0] * 10_000
    content[place].append([history, "utter_greet"] if place == "turns" else history)

    refused(client, zipped({**sound, name: json.dumps(content).encode()}), "the endings of what it remembers have")


def test_action_that_the_domain_lacks_is_refused(client: Client, sound: Files) -> None:
    options = {"nlu_threshold": 0.3, "core_threshold": 0.3, "fallback_action_name": "action_evil"}
    refused(
        client, zipped({**sound, "policy_2_FallbackPolicy/fallback_policy.json": json.dumps(options).encode()}), "evil"
    )


@pytest.mark.parametrize(
    "value",
    ["&a [x, x, x, x, x, x, x, x, x, x]", "[" * 60 + "]" * 60],
    ids=["aliases", "nesting"],
)
def test_yaml_without_measure_is_refused(client: Client, sound: Files, value: str) -> None:
    lines = [f"x0: {value}".replace("&a", "&a0")]
    lines += [f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9) if "&a" in value]
    answer = send(client, zipped({**sound, "domain.yml": "\n".join([*lines, DOMAIN]).encode()}))

    assert answer.status_code == 400
    assert "aliases stand for more" in error_of(answer) or "nested more than 50 deep" in error_of(answer)


def arrays_of(name: str, head: bytes, content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr(name, b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + content)
    return archive.getvalue()


HEAD = "{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}\n"


@pytest.mark.parametrize(
    ("descr", "order", "shape"),
    [
        ("'<f4'", False, "(1000000000000,)"),
        ("'<f4'", True, "(1000000, 1000000)"),
        ("'<f4'", False, "(-1, -1)"),
        ("'|O'", False, "(1,)"),
        ("[('a', '|O')]", False, "(1,)"),
        ("'<U1000000'", False, "(1000000,)"),
        ("'<f4'", False, "(0,)"),
    ],
)
def test_array_is_as_large_as_it_claims(client: Client, sound: Files, descr: str, order: bool, shape: str) -> None:
    arrays = arrays_of("text.npy", HEAD.format(descr, order, shape).encode(), b"\0" * 8)
    refused(client, zipped({**sound, f"{TURNS}/training_turns.npz": arrays}), "claims")


def test_arrays_that_unpack_to_too_much_are_not_read(
    client: Client, sound: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_UNPACKED", 1_000_000)
    arrays = arrays_of("text.npy", HEAD.format("'|u1'", False, "(2000000,)").encode(), b"\0" * 2_000_000)
    assert len(arrays) < 10_000

    refused(client, zipped({**sound, f"{TURNS}/training_turns.npz": arrays}), "bytes of arrays; of a zip file of")


def test_others_come_first_while_a_model_is_read(client: Client, sound: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    check = uploads.check_predictions
    monkeypatch.setattr(
        uploads,
        "check_predictions",
        lambda *model: (seen.append((sys.getswitchinterval(), gc.isenabled())), check(*model)),
    )
    before = sys.getswitchinterval()

    assert send(client, zipped(sound)).status_code == 200
    refused(client, zipped({**sound, "domain.yml": b"["}), "domain.yml")

    assert seen == [(uploads.SWITCH_INTERVAL, False)]
    assert (sys.getswitchinterval(), gc.isenabled()) == (before, True)


def test_little_that_was_sent_unpacks_to_little(client: Client, sound: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LEAST_TEXT", 100_000)
    monkeypatch.setattr(uploads, "LEAST_ARRAYS", 100_000)
    bomb = b"[" + b"0," * 500_000 + b"0]"
    assert len(zipped({**sound, f"{TURNS}/memorized_turns.json": bomb})) < 10_000

    refused(client, zipped({**sound, f"{TURNS}/memorized_turns.json": bomb}), "of text; of a zip file of")
    refused(client, zipped({**sound, "stories.md": bomb}), "of text; of a zip file of")
    arrays = arrays_of("text.npy", HEAD.format("'|u1'", False, "(2000000,)").encode(), b"\0" * 2_000_000)
    refused(client, zipped({**sound, f"{TURNS}/training_turns.npz": arrays}), "bytes of arrays; of a zip file of")


@pytest.mark.parametrize("name", ["domain.yml", "metadata.json"])
def test_what_is_read_whole_is_no_larger_than_in_a_model(client: Client, sound: Files, name: str) -> None:
    refused(client, zipped({**sound, name: sound[name] + b" " * 2_000_000}), f"'{name}' has")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_takes_memory_of_its_own_is_not_read(client: Client, sound: Files, kind: int) -> None:
    archive = io.BytesIO(zipped({name: content for name, content in sound.items() if name != "stories.md"}))
    with zipfile.ZipFile(archive, "a") as writer:
        writer.writestr("stories.md", sound["stories.md"], kind)
    refused(client, archive.getvalue(), "packed in a way that is not read here")


def test_list_of_very_many_arrays_is_not_read(client: Client, sound: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_models, "MAX_ARRAYS", 2)
    arrays = io.BytesIO()
    with zipfile.ZipFile(arrays, "w") as writer:
        for number in range(20):
            writer.writestr(f"{number:0200}.npy", b"")
    refused(client, zipped({**sound, f"{TURNS}/training_turns.npz": arrays.getvalue()}), "more than the 2 files")


@pytest.mark.parametrize(
    ("before", "size", "comment"),
    [
        (b"", b"PK\5\6", b""),  # A size that looks like the end of a zip file.
        (b"", b"\xff\xff\xff\x7f", b"a comment"),
        (struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1), b"\1\0\0\0", b"\0" * 65_535),  # As far up as it may stand.
    ],
    ids=["a size like an end", "a comment", "ZIP64"],
)
def test_end_of_a_list_is_looked_for_where_it_is_read(before: bytes, size: bytes, comment: bytes) -> None:
    end = struct.pack("<4s4H4sLH", b"PK\5\6", 0, 0, 1, 1, size, 0, len(comment)) + comment
    with pytest.raises(ValueError, match="lists more than the 10 files"):
        stored_models.check_list(io.BytesIO(b"x" * 100 + before + end), 10)


def network_model(sound: Files, layers: list[tuple[Any, Any]], tmp_path: Path, **options: object) -> Files:
    PolicyNetwork(layers).save(tmp_path / "weights.npz")
    content = {
        **{"format": FORMAT, "epochs": 1, "rnn_size": 32, "trained": True, "actions": None, "calibration": None},
        "history_featurizer": {"max_history": 2, "names": [["now", "no entities"]]},
        **options,
    }
    known = {"class": "KerasPolicy", "folder": "net", "module": "rasa_core.policies.keras_policy"}
    files = described(sound, lambda metadata: metadata["policies"].append(known))
    return {
        **files,
        "net/keras_policy.json": json.dumps(content).encode(),
        "net/weights.npz": (tmp_path / "weights.npz").read_bytes(),
    }


def layer(inputs: int, units: int, value: float = 0.0) -> tuple[Any, Any]:
    return np.full((inputs, units), value, np.float32), np.zeros(units, np.float32)


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([layer(1, 3, float("nan"))], "layer 0 of the network"),
        ([layer(1, 3, float("inf"))], "layer 0 of the network"),
        ([layer(1, 4)], "4 actions"),
        ([layer(7, 3)], "7 features"),
    ],
    ids=["nan", "infinite", "other actions", "other features"],
)
def test_weights_that_do_not_fit_are_refused(
    client: Client, sound: Files, tmp_path: Path, layers: list[tuple[Any, Any]], why: str
) -> None:
    assert send(client, zipped(network_model(sound, [layer(1, 3)], tmp_path))).status_code == 200
    refused(client, zipped(network_model(sound, layers, tmp_path)), why)


def test_architecture_comes_from_no_model(client: Client, sound: Files, tmp_path: Path) -> None:
    files = network_model(sound, [layer(1, 3)], tmp_path, shapes=[[1_000_000], [1_000_000]])
    refused(client, zipped(files), "of an architecture that KerasPolicy does not have")


def test_answers_name_no_folder_of_the_server(client: Client, sound: Files, trained: Path) -> None:
    for broken in ({"metadata.json": b"{"}, {"domain.yml": b"intents: 3"}, {f"{TURNS}/memorized_turns.json": b"x"}):
        response = send(client, zipped({**sound, **broken}))
        assert response.status_code == 400
        assert str(trained.parent) not in error_of(response)
