from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from policy_bot import local_domain, remote_domain, stories

from rasa_core import model_folder as model
from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.exceptions import DomainError, MissingModelError, ModelError
from rasa_core.model_folder import DIALOGUE_MODEL, read_model, write_model
from rasa_core.policies import FallbackPolicy, MemoizationPolicy, PolicyEnsemble
from rasa_core.policies.rasa2 import RasaMappingPolicy
from rasa_core.support import folders as directories
from rasa_core.support.folders import replace_directory

TESTS = Path(__file__).resolve().parent


@pytest.fixture
def domain() -> Domain:
    return local_domain()


@pytest.fixture
def ensemble(domain: Domain) -> PolicyEnsemble:
    made = PolicyEnsemble([MemoizationPolicy(), FallbackPolicy(fallback_action_name="utter_bye")])
    made.train(stories(domain), domain)
    return made


@pytest.fixture
def written(tmp_path: Path, domain: Domain, ensemble: PolicyEnsemble) -> Path:
    """Return the path of a model."""
    write_model(tmp_path / "models" / "bot", domain, ensemble, "## story\n", {"input": "abc"})
    return tmp_path / "models" / "bot"


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def fill_with(text: str):
    def fill(folder: Path) -> None:
        (folder / "metadata.json").write_text(text)

    return fill


class TestWriting:
    def test_a_model_has_these_files(self, written) -> None:
        assert list(files(written)) == [
            "domain.yml",
            "metadata.json",
            "policy_0_MemoizationPolicy/memorized_turns.json",
            "policy_0_MemoizationPolicy/training_turns.npz",
            "policy_1_FallbackPolicy/fallback_policy.json",
            "stories.md",
        ]

    def test_what_was_written_can_be_read(self, written, domain) -> None:
        read_domain, ensemble, metadata, *_ = read_model(written)
        assert read_domain.as_dict() == domain.as_dict()
        assert [type(policy) for policy in ensemble.policies] == [MemoizationPolicy, FallbackPolicy]
        assert metadata["fingerprints"] == {"domain": domain.fingerprint(), "input": "abc"}
        assert read_model(written).stories == "## story\n"

    def test_the_same_model_is_the_same_bytes(self, written, tmp_path) -> None:
        domain, ensemble, *_ = read_model(written)
        write_model(tmp_path / "again", domain, ensemble, "## story\n", {"input": "abc"})
        assert files(tmp_path / "again") == files(written)

    def test_stories_may_hold_any_text_and_half_characters_are_escaped(self, tmp_path, domain, ensemble) -> None:
        write_model(tmp_path / "bot", domain, ensemble, "* say{'x': '\ud83d é'}\n")
        assert read_model(tmp_path / "bot").stories == "* say{'x': '\\ud83d é'}\n"

    def test_stories_may_be_missing(self, written) -> None:
        (written / "stories.md").unlink()
        assert read_model(written).stories == ""

    def test_rights_follow_the_umask(self, tmp_path, domain, ensemble) -> None:
        before = os.umask(0o027)
        try:
            write_model(tmp_path / "bot", domain, ensemble)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "bot").stat().st_mode) == 0o750


class TestReplacing:
    def test_nothing_of_the_old_model_is_left(self, written, domain) -> None:
        write_model(written, domain, PolicyEnsemble([FallbackPolicy()]))
        assert list(files(written)) == [
            "domain.yml",
            "metadata.json",
            "policy_0_FallbackPolicy/fallback_policy.json",
            "stories.md",
        ]
        assert [path.name for path in written.parent.iterdir()] == ["bot"]

    @pytest.mark.parametrize("name", ["metadata.json", "policy_metadata.json", None])
    def test_a_model_of_any_age_and_an_empty_folder_are_replaced(self, tmp_path, name) -> None:
        (tmp_path / "bot").mkdir()
        if name is not None:
            (tmp_path / "bot" / name).write_text("{}")
        replace_directory(tmp_path / "bot", fill_with("new"), DIALOGUE_MODEL)
        assert files(tmp_path / "bot") == {"metadata.json": b"new"}

    def test_a_folder_that_is_no_model_is_left_alone(self, tmp_path, domain, ensemble) -> None:
        (tmp_path / "thesis.tex").write_text("a year of work")
        with pytest.raises(ModelError, match=r"exists and is not a model; it is left alone. Choose another"):
            write_model(tmp_path, domain, ensemble)
        assert files(tmp_path) == {"thesis.tex": b"a year of work"}

    def test_a_file_is_left_alone(self, tmp_path, domain, ensemble) -> None:
        (tmp_path / "bot").write_text("notes")
        with pytest.raises(ModelError, match="is not a model"):
            write_model(tmp_path / "bot", domain, ensemble)

    def test_a_path_that_cannot_be_written_is_named(self, tmp_path, domain, ensemble) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(ModelError, match=r"cannot write a model to .*file/bot"):
            write_model(tmp_path / "file" / "bot", domain, ensemble)

    @pytest.mark.parametrize("error", [ValueError("cannot be written"), OSError("disk full")])
    def test_a_failure_half_way_leaves_the_old_model(self, written, domain, monkeypatch, error) -> None:
        def fail(self, path: str) -> None:
            raise error

        monkeypatch.setattr(FallbackPolicy, "persist", fail)
        before = files(written)
        with pytest.raises(ValueError, match=r"cannot be written|disk full.*What was there is unchanged"):
            write_model(written, domain, PolicyEnsemble([MemoizationPolicy(), FallbackPolicy()]))
        assert files(written) == before
        assert [path.name for path in written.parent.iterdir()] == ["bot"]

    def test_a_link_goes_on_pointing_to_the_model(self, written, tmp_path) -> None:
        (tmp_path / "current").symlink_to(written)
        replace_directory(tmp_path / "current", fill_with("new"), DIALOGUE_MODEL)
        assert (tmp_path / "current").is_symlink()
        assert files(written) == {"metadata.json": b"new"}

    def test_a_relative_path_is_one_too(self, written, monkeypatch) -> None:
        monkeypatch.chdir(written.parent)
        replace_directory(Path("bot"), fill_with("new"), DIALOGUE_MODEL)
        assert files(written) == {"metadata.json": b"new"}

    def test_a_folder_that_cannot_be_put_in_place_is_an_error(self, tmp_path, monkeypatch) -> None:
        def fail(self: Path, target: Path) -> Path:
            raise OSError("no space")

        monkeypatch.setattr(Path, "rename", fail)
        with pytest.raises(ModelError, match=r"cannot write a model to .*bot': no space"):
            replace_directory(tmp_path / "bot", fill_with("new"), DIALOGUE_MODEL)
        assert list(tmp_path.iterdir()) == []

    def test_a_system_without_an_exchange_manages_too(self, written, monkeypatch) -> None:
        monkeypatch.setattr(directories.ctypes, "CDLL", lambda name: object())
        replace_directory(written, fill_with("new"), DIALOGUE_MODEL)
        assert files(written) == {"metadata.json": b"new"}


class TestWithoutAnAtomicExchange:
    @pytest.fixture(autouse=True)
    def _no_exchange(self, monkeypatch) -> None:
        monkeypatch.setattr(directories, "_exchange", lambda one, other: False)

    def test_a_model_is_replaced_in_two_steps(self, written) -> None:
        replace_directory(written, fill_with("new"), DIALOGUE_MODEL)
        assert files(written) == {"metadata.json": b"new"}
        assert [path.name for path in written.parent.iterdir()] == ["bot"]

    def test_the_old_model_comes_back_if_the_second_step_fails(self, written, monkeypatch) -> None:
        rename, before = Path.rename, files(written)

        def fail_for_new(self: Path, target: Path) -> Path:
            if self.name == "bot" and ".new-" in self.parent.name:
                raise OSError("no")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", fail_for_new)
        with pytest.raises(ModelError, match=r"no. What was there is unchanged"):
            replace_directory(written, fill_with("new"), DIALOGUE_MODEL)
        assert files(written) == before

    def test_the_old_model_can_be_found_if_the_process_dies_between(self, written) -> None:
        workplace = written.with_name(".bot.new-x")
        workplace.mkdir()
        written.rename(workplace / "bot.old")
        with pytest.raises(ModelError, match=r"bot' is missing: writing it was interrupted.*bot\.old'; move it"):
            read_model(written)


REPLACE_FOR_EVER = f"""
import sys
sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]
from policy_bot import local_domain, stories
from rasa_core.agent import Agent
from rasa_core.policies import FallbackPolicy, MemoizationPolicy
agent = Agent(local_domain(), [MemoizationPolicy(), FallbackPolicy()])
agent.train(stories(agent.domain))
print("ready", flush=True)
while True:
    agent.persist(sys.argv[1])
"""


def test_a_process_that_is_killed_while_writing_leaves_a_model(written) -> None:
    for delay in range(5):
        command = [sys.executable, "-c", REPLACE_FOR_EVER, str(written)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                for _ in range(1 + 7 * delay):
                    read_model(written)  # Always the old one or the new, also while it is replaced.
            finally:
                process.send_signal(signal.SIGKILL)
        assert len(read_model(written)[1].policies) == 2


def test_readers_never_see_parts_of_two_models(tmp_path, domain) -> None:
    one = PolicyEnsemble([FallbackPolicy(0.1)])
    two = PolicyEnsemble([FallbackPolicy(0.2), FallbackPolicy(0.2)])
    written = [(one, "## one\n"), (two, "## two\n")]
    models = []
    for number, (ensemble, text) in enumerate(written):
        write_model(tmp_path / str(number), domain, ensemble, text)
        models.append((len(ensemble.policies), text, Agent.load(tmp_path / str(number)).model_fingerprint))
    write_model(tmp_path / "bot", domain, *written[0])
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            write_model(tmp_path / "bot", domain, *written[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        agent = Agent.load(tmp_path / "bot")
        seen.add((len(agent.policy_ensemble.policies), agent._stories, agent.model_fingerprint))
    writer.join()
    assert seen <= set(models)


class TestReadingErrors:
    def test_a_model_that_never_stands_still_is_an_error(self, written, monkeypatch) -> None:
        monkeypatch.setattr(model, "_identity", lambda folder: object())
        with pytest.raises(ModelError, match="was replaced again and again while it was read"):
            read_model(written)

    def test_a_missing_model_is_named(self, tmp_path) -> None:
        with pytest.raises(MissingModelError, match=r"the model .*nowhere' does not exist. Train one, or check"):
            read_model(tmp_path / "nowhere")

    def test_programs_train_where_they_find_no_model(self, tmp_path) -> None:
        (tmp_path / "empty").mkdir()
        for name in ("nowhere", "empty"):
            with pytest.raises(FileNotFoundError, match=name):
                Agent.load(tmp_path / name)

    def test_a_file_is_no_model(self, tmp_path) -> None:
        (tmp_path / "bot.zip").write_text("")
        with pytest.raises(ModelError, match=r"bot.zip' is a file, not a model directory. Train one"):
            read_model(tmp_path / "bot.zip")

    def test_a_folder_without_metadata_is_no_model(self, tmp_path) -> None:
        with pytest.raises(ModelError, match=r"no metadata.json. Train one, or check the path"):
            read_model(tmp_path)

    def test_the_folder_of_a_bot_is_told_with_the_place_of_its_model(self, tmp_path) -> None:
        (tmp_path / "models" / "dialogue").mkdir(parents=True)
        (tmp_path / "models" / "dialogue" / "metadata.json").write_text("{}")
        with pytest.raises(ModelError, match=r"It is the folder of a bot, whose model is in models/dialogue\."):
            read_model(tmp_path)

    def test_a_missing_domain_is_named(self, written) -> None:
        (written / "domain.yml").unlink()
        with pytest.raises(ModelError, match=r"has no domain.yml. Copy your domain there, or train again"):
            read_model(written)

    def test_a_broken_domain_is_named_with_its_line(self, written) -> None:
        (written / "domain.yml").write_text("intents:\n- greet\nactions: 3\n")
        with pytest.raises(DomainError, match=r"domain.yml:3:10: actions: is a list"):
            read_model(written)

    def test_a_missing_policy_is_named(self, written) -> None:
        (written / "policy_1_FallbackPolicy" / "fallback_policy.json").unlink()
        with pytest.raises(ModelError, match=r"policy_1_FallbackPolicy/fallback_policy.json.*[Tt]rain"):
            read_model(written)

    def test_missing_options_of_a_policy_are_named(self, tmp_path, domain) -> None:
        kept = RasaMappingPolicy({"greet": "utter_greet"})
        write_model(tmp_path / "model", domain, PolicyEnsemble([kept, RasaMappingPolicy()]), "")
        file = tmp_path / "model" / "policy_0_RasaMappingPolicy" / "policy.json"
        file.unlink()
        with pytest.raises(ModelError, match=r"lacks the file policy_0_RasaMappingPolicy/policy.json. Copy the whole"):
            read_model(tmp_path / "model")

    def test_a_domain_with_other_slots_needs_training(self, written) -> None:
        file = written / "domain.yml"
        file.write_text(file.read_text().replace("\nslots:\n", "\nslots:\n  mood: {type: text}\n"))
        with pytest.raises(ModelError, match=r"has changed since it was trained: you MUST retrain the policies"):
            read_model(written)

    def test_a_domain_with_other_texts_needs_none(self, written) -> None:
        file = written / "domain.yml"
        file.write_text(file.read_text().replace("which cuisine?", "what would you like?"))
        domain, *_ = read_model(written)
        assert domain.templates["utter_ask_cuisine"] == [{"text": "what would you like?"}]

    def test_actions_may_move_to_the_callers_code(self, written) -> None:
        domain, *_ = read_model(written, "remote")
        assert type(domain.action_for_name("action_search")) is type(remote_domain().action_for_name("action_search"))


class TestFingerprint:
    def test_a_copy_has_the_same_and_other_stories_give_another(self, written, tmp_path, domain, ensemble) -> None:
        shutil.copytree(written, tmp_path / "copy")
        write_model(tmp_path / "other", domain, ensemble, "## another story\n", {"input": "abc"})
        prints = [read_model(path).fingerprint for path in (written, tmp_path / "copy", tmp_path / "other")]
        assert prints[0] == prints[1] != prints[2]

    def test_a_template_that_was_changed_by_hand_gives_another(self, written) -> None:
        before = read_model(written).fingerprint
        text = (written / "domain.yml").read_text(encoding="utf-8")
        assert "templates:" in text
        (written / "domain.yml").write_text(text.replace("templates:", "templates:\n  utter_new: [{text: new}]"))
        assert read_model(written).fingerprint != before

    def test_reading_a_model_does_not_read_where_training_turns_stand(self, written) -> None:
        before = read_model(written).fingerprint
        for file in written.rglob("*.npz"):
            file.unlink()
        assert read_model(written).fingerprint == before
