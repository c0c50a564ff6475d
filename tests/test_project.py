"""A project is trained if its files have changed, and only then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rasa_core import Agent
from rasa_core.exceptions import DomainError, ModelError, StoryParseError
from rasa_core.policies import FallbackPolicy, MemoizationPolicy
from rasa_core.project import Project
from rasa_core.server.served_model import ServedModel
from rasa_core.tracker_store.memory import InMemoryTrackerStore

pytestmark = pytest.mark.usefixtures("brief_trainings")

DOMAIN = """\
action_factory: remote
intents: [greet, bye]
actions: [utter_hello, utter_bye]
templates:
  utter_hello: Hello!
"""

STORIES = """\
## hello
* greet
  - utter_hello
## bye
* bye
  - utter_bye
"""


def write(folder: Path, domain: str = DOMAIN, stories: str = STORIES) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "domain.yml").write_text(domain)
    (folder / "stories.md").write_text(stories)
    return folder


def train(folder: Path, **options: bool) -> list[str]:
    said: list[str] = []
    Project(folder).train_if_changed(say=said.append, **options)
    return said


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = write(tmp_path_factory.mktemp("projects") / "bot")
    return folder, train(folder)


@pytest.fixture
def project(trained: tuple[Path, list[str]], tmp_path: Path) -> Path:
    """A trained project of the test's own."""
    return Path(shutil.copytree(trained[0], tmp_path / "bot"))


def test_training_says_what_it_reads_and_writes(trained: tuple[Path, list[str]]) -> None:
    said = "\n".join(trained[1])
    assert "2 intents, 0 entities, 0 slots, 2 actions" in said
    assert "2 stories" in said
    assert "trained in" in said
    assert str(trained[0] / "models" / "dialogue") in said


def test_the_model_does_what_the_stories_say(trained: tuple[Path, list[str]]) -> None:
    agent = Agent.load(trained[0] / "models" / "dialogue")
    assert agent.start_message_handling("/bye")["next_action"] == "utter_bye"


def test_nothing_is_trained_when_nothing_has_changed(project: Path) -> None:
    before = (project / "models" / "dialogue").stat().st_ino
    assert train(project)[-1].endswith("the model is up to date")
    assert (project / "models" / "dialogue").stat().st_ino == before


def test_new_words_reach_the_model_without_training(project: Path) -> None:
    weights = project / "models" / "dialogue" / "policy_1_KerasPolicy" / "weights.npz"
    before = weights.read_bytes()
    write(project, DOMAIN.replace("Hello!", "Good day!"))
    said = train(project)
    assert not any("trained in" in line for line in said)
    assert weights.read_bytes() == before
    assert Agent.load(project / "models" / "dialogue").handle_message("/greet")[0]["text"] == "Good day!"  # type: ignore[index]
    assert Project(project).is_current()


def test_new_words_reach_a_model_whose_stories_are_gone_by_training(project: Path) -> None:
    (project / "models" / "dialogue" / "stories.md").unlink()
    write(project, DOMAIN.replace("Hello!", "Good day!"))
    said = train(project)
    assert any("trained in" in line for line in said)
    assert Agent.load(project / "models" / "dialogue").handle_message("/greet")[0]["text"] == "Good day!"  # type: ignore[index]


@pytest.mark.parametrize(
    ("domain", "stories"),
    [
        pytest.param(DOMAIN, STORIES + "* greet\n  - utter_hello\n", id="a story"),
        pytest.param(DOMAIN.replace("[greet, bye]", "[greet, bye, thank]"), STORIES, id="an intent"),
        pytest.param(DOMAIN.replace("utter_bye]", "utter_bye, search]"), STORIES, id="an action"),
        pytest.param(DOMAIN + "slots: {city: {type: text}}\n", STORIES, id="a slot"),
    ],
)
def test_a_change_that_matters_makes_the_model_old(project: Path, domain: str, stories: str) -> None:
    write(project, domain, stories)
    assert not Project(project).is_current()


def test_a_damaged_model_is_trained_anew(project: Path) -> None:
    (project / "models" / "dialogue" / "metadata.json").write_text("{")
    assert not Project(project).is_current()


def test_a_folder_of_stories_counts_with_all_its_files(project: Path) -> None:
    (project / "stories").mkdir()
    (project / "stories.md").rename(project / "stories" / "a.md")
    domain = Agent.load(project / "models" / "dialogue").domain
    before = Project(project).fingerprint(domain)
    (project / "stories" / "b.md").write_text("## more\n* greet\n  - utter_bye\n")
    assert Project(project).fingerprint(domain) != before


@pytest.mark.parametrize(
    ("remove", "message"),
    [
        ("domain.yml", "has no domain; looked for .*domain.yml"),
        ("stories.md", "has no stories; looked for .*stories.md"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, remove: str, message: str) -> None:
    folder = write(tmp_path / "bot")
    (folder / remove).unlink()
    with pytest.raises(ModelError, match=message):
        Project(folder)


@pytest.mark.parametrize(("what", "kind"), [("domain", "domain file"), ("stories", "file or folder of stories")])
def test_a_file_that_is_named_and_not_there_is_told(tmp_path: Path, what: str, kind: str) -> None:
    with pytest.raises(ModelError, match=f"there is no {kind} 'gone', neither here nor in the project"):
        Project(write(tmp_path), **{what: "gone"})


def test_nlu_data_without_intents_makes_no_interpreter_and_that_is_told(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "config.yml").write_text("policies: [MemoizationPolicy]\n")
    (tmp_path / "nlu.md").write_text("## synonym:Lisbon\n- Lisboa\n")
    assert train(tmp_path)[-1] == "the NLU data has no examples of intents: there is no interpreter of typed text"
    assert Project(tmp_path).interpreter is None


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'nowhere' does not exist"):
        Project("nowhere")


def test_errors_in_files_name_file_and_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "bot", stories="## hello\n* greet\n  - slot{}\n")
    with pytest.raises(StoryParseError, match=r"stories\.md:3"):
        train(folder)
    write(folder, domain="intents: [greet, greet]\n")
    with pytest.raises(DomainError, match=r"domain\.yml:1"):
        train(folder)


_FAILING = """\
import sys, threading
from rasa_core.exceptions import StoryParseError
from rasa_core.project import Project
try:
    Project(sys.argv[1]).train_if_changed(lenient=True)
except StoryParseError:
    print([thread.name for thread in threading.enumerate()])
"""


def test_stories_that_fail_leave_no_import_behind_on_which_the_process_would_crash(tmp_path: Path) -> None:
    folder = write(tmp_path / "bot", stories="## hello\n* greet\n  - slot{}\n")
    root = str(Path(__file__).resolve().parents[1])
    ran = subprocess.run(
        [sys.executable, "-c", _FAILING, folder],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "['MainThread']"), ran.stderr


def test_the_same_files_give_the_same_model(trained: tuple[Path, list[str]], tmp_path: Path) -> None:
    folder = write(tmp_path / "bot")
    train(folder)

    def content(of: Path) -> dict[str, bytes]:
        model = of / "models" / "dialogue"
        return {str(path.relative_to(model)): path.read_bytes() for path in model.rglob("*") if path.is_file()}

    assert content(folder) == content(trained[0])


def test_metadata_is_readable_and_names_what_was_trained(trained: tuple[Path, list[str]]) -> None:
    metadata = json.loads((trained[0] / "models" / "dialogue" / "metadata.json").read_text())
    assert metadata["format"] == 1
    assert [policy["class"] for policy in metadata["policies"]] == [
        "MemoizationPolicy",
        "KerasPolicy",
        "FallbackPolicy",
    ]
    assert set(metadata["fingerprints"]) == {"domain", "stories", "training_input"}


# -- versions of the model, and models that are none of the project's


@pytest.fixture
def linked(trained: tuple[Path, list[str]], tmp_path: Path) -> Path:
    """A trained project of the test's own, with its versions as they are."""
    return Path(shutil.copytree(trained[0], tmp_path / "linked", symlinks=True))


def test_a_model_is_a_version_to_which_the_old_paths_lead(linked: Path) -> None:
    models = Project(linked).models
    [about] = models.list()
    assert about.is_current
    assert os.readlink(models.dialogue) == f"{about.name}/dialogue"
    assert set(about.files) == {"domain.yml", "stories.md"}
    assert about.figures["stories"] == 2


def test_a_change_makes_a_new_version_and_going_back_is_one_step(linked: Path) -> None:
    write(linked, DOMAIN.replace("Hello!", "Good day!"))
    train(linked)
    models = Project(linked).models
    first, second = models.list()
    assert (second.is_current, second.changed) == (True, ["domain.yml"])
    models.versions.use(first.name)
    assert Agent.load(models.dialogue).handle_message("/greet")[0]["text"] == "Hello!"  # type: ignore[index]


def test_a_model_without_versions_becomes_one_before_another_is_made(project: Path) -> None:
    for left in [*(project / "models").glob("2*"), project / "models" / "current"]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    write(project, DOMAIN.replace("Hello!", "Good day!"))
    train(project)
    assert [about.is_current for about in Project(project).models.list()] == [False, True]


def by_hand(folder: Path) -> Path:
    agent = Agent(folder / "domain.yml", [MemoizationPolicy(), FallbackPolicy()])
    agent.train(agent.load_data(folder / "stories.md", augmentation_factor=0))
    agent.persist(folder / "models" / "dialogue")
    return folder / "models" / "dialogue"


def test_a_model_that_was_made_by_hand_is_never_replaced(tmp_path: Path) -> None:
    folder = write(tmp_path / "bot")
    model = by_hand(folder)
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    with pytest.raises(ModelError, match=r"MemoizationPolicy, FallbackPolicy, which this project did not make.*mv "):
        Project(folder).train_if_changed(say=lambda line: None, force=True)
    assert {path: path.read_bytes() for path in model.rglob("*") if path.is_file()} == before


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """A project whose policies count, so that it is trained in no time."""
    folder = write(tmp_path / "counted")
    (folder / "config.yml").write_text("policies:\n- MemoizationPolicy\n- name: FallbackPolicy\n")
    return folder


def test_config_yml_says_which_policies_there_are(counted: Path) -> None:
    said = train(counted)
    metadata = json.loads((counted / "models" / "dialogue" / "metadata.json").read_text())
    assert [policy["class"] for policy in metadata["policies"]] == ["MemoizationPolicy", "FallbackPolicy"]
    assert "FallbackPolicy runs action_listen where a message is understood with less than 0.30" in "\n".join(said)
    assert Project(counted).is_current()


def test_another_policy_in_config_yml_makes_the_model_old(counted: Path) -> None:
    train(counted)
    (counted / "config.yml").write_text("imports: []\npolicies:\n- MemoizationPolicy\n- name: FallbackPolicy\n")
    assert Project(counted).is_current()
    (counted / "config.yml").write_text("policies:\n- MemoizationPolicy\n")
    assert not Project(counted).is_current()


def test_mistakes_in_config_yml_are_told_before_anything_is_trained(counted: Path) -> None:
    (counted / "config.yml").write_text("policies:\n- name: FallbackPolicy\n  fallback_action_name: utter_helo\n")
    with pytest.raises(ModelError, match=r"config\.yml:3: the domain has no action 'utter_helo'"):
        train(counted)


def test_what_is_not_understood_is_told(counted: Path) -> None:
    write(counted, DOMAIN.replace("utter_bye]", "utter_bye, utter_default]"))
    train(counted)
    agent = Agent.load(counted / "models" / "dialogue")
    answer = agent.start_message_handling("/greet@0.1")
    assert (answer["next_action"], answer["policy"], answer["understood"]) == ("utter_default", "FallbackPolicy", 0.1)
    assert answer["info"].startswith("The message was not understood: it may mean 'greet' with a confidence of 0.100")


def test_a_guess_does_not_wipe_a_conversation(counted: Path) -> None:
    train(counted)
    agent = Agent.load(counted / "models" / "dialogue")
    agent.start_message_handling("/greet")
    assert agent.start_message_handling("/restart@0.05")["next_action"] == "action_listen"
    assert agent.start_message_handling("/restart@0.9")["next_action"] == "action_restart"


def test_a_served_project_follows_the_current_version(counted: Path) -> None:
    train(counted)
    served = ServedModel(counted / "models" / "dialogue", tracker_store=InMemoryTrackerStore(None))
    before = served.agent()
    write(counted, DOMAIN.replace("Hello!", "Good day!"))
    train(counted)
    served._next_look = 0.0
    assert served.agent().domain.templates["utter_hello"][0]["text"] == "Good day!"
    first = Project(counted).models.list()[0]
    Project(counted).models.versions.use(first.name)
    served._next_look = 0.0
    assert served.agent().domain.templates["utter_hello"][0]["text"] == "Hello!"
    assert served.agent() is not before


NLU_ALONE = """\
nlu:
- intent: greet
  examples: "- hello\\n"
- intent: faq/price
  examples: "- what of [tea](drink)\\n"
"""


@pytest.mark.parametrize("file", ["data/nlu.yml", "nlu.yml"])
def test_nlu_data_alone_is_a_bot_that_understands(tmp_path: Path, file: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / file).write_text(NLU_ALONE)
    (tmp_path / "config.yml").write_text("pipeline: [{name: KeywordIntentClassifier}]\n")

    said = train(tmp_path)

    assert f"{tmp_path / file}: 2 messages of 2 intents, 1 entity" in said
    assert "there are neither stories nor rules: the bot understands messages, and falls back at each of them." in said
    project = Project(tmp_path)
    assert project.is_current()
    assert {"greet", "faq"} < set(project.load_domain().intents)
    assert project.load_domain().entities == ["drink"]
    agent = Agent.load(project.model, str(project.nlu_model))
    assert agent.turns().understand("hello")["intent"]["name"] == "greet"
    assert agent.handle_message("hello") == []
    assert agent.read_tracker("default").is_listening()
    (tmp_path / file).unlink()
    with pytest.raises(ModelError, match="has no domain"):
        Project(tmp_path)
