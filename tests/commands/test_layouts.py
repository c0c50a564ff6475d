"""Projects with odd layouts: files of any name, custom code beside them, stories with small mistakes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import forked
import pytest
from click.testing import CliRunner

from rasa_core.agent import Agent
from rasa_core.commands import check, review, story, train
from rasa_core.commands.train import remember
from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError
from rasa_core.project import Project
from rasa_core.project.layout import find_domain, find_nlu_data
from rasa_core.support import own_code
from rasa_core.support.own_code import remembered
from rasa_core.support.text_edits import EditError

ROOT = Path(__file__).parents[2]

DOMAIN = "intents: [greet]\nactions: [utter_hello]\ntemplates: {utter_hello: [{text: Hello!}]}\n"
STORIES = "## hello\n* greet\n  - utter_hello\n"
WITHOUT_NETWORK = {"config.yml": "policies: [MemoizationPolicy]\n"}
"""Trains in no time."""
NLU = "## intent:greet\n- hello\n- hi\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def called(module: str, *arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the installed script does: with the script's folder on the path, and not the current one."""
    script = f"import sys; sys.path[0] = {str(ROOT)!r}\nfrom {module} import command\ncommand(prog_name='rasa-core')"
    return forked.run(script, *arguments, folder=folder, **environment)


TESTS = ("e2e_stories.md", "data/stories_test.md", "conversation_tests.md", "test_stories.md", "docs/how.md")
OTHERS = ("models/d/domain.yml", "models/d/stories.md", "tests/test_x.md", "failed_stories.md", "out/domain.yml")
IN_MODELS = {name: DOMAIN if name.endswith(".yml") else STORIES for name in OTHERS} | {"out/policy_metadata.json": "{}"}
ENDPOINTS = {"endpoints.yml": "nlu:\n  url: x\nactions: y\n", "README.md": "# bot\n* greet\n- x"}


@pytest.mark.parametrize(
    ("domain", "stories", "others"),
    [
        pytest.param("weather_domain.yml", ["stories.md"], {}, id="name of the domain"),
        pytest.param("config/domain.yml", ["data/stories.md"], {}, id="folder of the domain"),
        pytest.param("domain.yml", ["data/core/a.md", "data/core/b.md"], {}, id="folder of the stories"),
        pytest.param("domain.yml", ["weather_story.md"], {}, id="name of the stories"),
        pytest.param("domain.yml", ["stories.md"], {"old/domain.yml": DOMAIN}, id="domain.yml wins"),
        pytest.param("domain.yml", ["x.md"], IN_MODELS, id="not in models and tests"),
        pytest.param("d.yaml", ["s.md"], ENDPOINTS, id="other YAML"),
        pytest.param("domain.yml", ["data/s.md"], {"stories.md": " \n", "stories/.keep": ""}, id="empty named ones"),
        pytest.param("domain.yml", ["data/a/s.md"], dict.fromkeys(TESTS, STORIES), id="stories of tests"),
    ],
)
def test_domain_and_stories_are_found_by_what_they_hold(
    tmp_path: Path, domain: str, stories: list[str], others: dict[str, str]
) -> None:
    files = {domain: DOMAIN, **dict.fromkeys(stories, STORIES), **others, "data/nlu.md": NLU}
    project = Project(write(tmp_path, files))

    found = project.stories if isinstance(project.stories, list) else [project.stories]
    assert project.domain_file == tmp_path / domain
    assert found == [tmp_path / name for name in stories]


@pytest.mark.parametrize(
    "text",
    [
        '"intents": [greet]\n"actions": [utter_greet]\n',
        "{intents: [greet], actions: [utter_greet]}",
        "  intents:\n  - greet\n  actions:\n  - utter_greet\n",
    ],
    ids=["quoted", "in one line", "indented"],
)
def test_a_domain_is_found_however_its_keys_are_written(tmp_path: Path, text: str) -> None:
    assert find_domain(write(tmp_path, {"bot.yml": text, "other.yml": "intents of mine: []"})) == tmp_path / "bot.yml"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["nlu_data/a.md"], ["nlu_data/a.md"]),
        (["bot/nlu.md", "bot/more/nlu.md"], ["bot/more/nlu.md", "bot/nlu.md"]),
        (["Data/NLU.MD"], ["Data/NLU.MD"]),
        (["data/a.md", "old/nlu.md"], ["data/a.md"]),
        (["nlu.md", "old/nlu.md"], ["nlu.md"]),
        (["split/nlu.md", "split/test_nlu.md"], ["split/nlu.md"]),
        (["tests/nlu.md", "docs/nlu.md", "models/nlu/nlu.md", ".old/nlu.md"], []),
    ],
    ids=lambda names: "+".join(names) or "none",
)
def test_nlu_data_is_found_in_any_folder_where_the_usual_ones_have_none(
    tmp_path: Path, files: list[str], expected: list[str]
) -> None:
    write(tmp_path, dict.fromkeys(files, NLU))
    assert [path.relative_to(tmp_path).as_posix() for path in find_nlu_data(tmp_path)] == expected


def test_nlu_data_of_another_bot_below_is_left_to_it(tmp_path: Path) -> None:
    write(tmp_path, {"domain.yml": DOMAIN, "bots/a/domain.yml": DOMAIN, "bots/a/data/nlu.md": NLU, "my/nlu.md": NLU})
    assert find_nlu_data(tmp_path) == [tmp_path / "my" / "nlu.md"]
    assert find_nlu_data(tmp_path / "bots") == [tmp_path / "bots" / "a" / "data" / "nlu.md"]


def test_nlu_data_is_found_behind_a_link_and_in_another_encoding(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"nlu.md": NLU})
    (tmp_path / "bot" / "data").mkdir(parents=True)
    (tmp_path / "bot" / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "bot" / "data" / "wide.md").write_text(NLU, encoding="utf-16")
    assert [path.name for path in find_nlu_data(tmp_path / "bot")] == ["nlu.md", "wide.md"]


def test_several_domains_are_listed(tmp_path: Path) -> None:
    write(tmp_path, {"one.yml": DOMAIN, "b/two.yml": DOMAIN, "stories.md": STORIES})

    with pytest.raises(ModelError, match=r"several domains: .*/b/two\.yml, .*/one\.yml\. Name one with -d"):
        Project(tmp_path)
    assert Project(tmp_path, domain="one.yml").domain_file == tmp_path / "one.yml"


def test_a_story_file_of_another_folder_makes_the_model_old(tmp_path: Path) -> None:
    project = Project(write(tmp_path, {"domain.yml": DOMAIN, "a_story.md": STORIES, "core/b.md": STORIES}))
    domain = Domain.from_yaml(DOMAIN)
    before = project.fingerprint(domain)
    write(tmp_path, {"core/b.md": STORIES + "- utter_hello\n"})
    assert project.fingerprint(domain) != before


ACTIONS = """\
from rasa_core.actions import Action

class ActionHello(Action):
    def name(self):
        return "action_hello"

    def run(self, dispatcher, tracker, domain):
        dispatcher.utter_message("Hello from here")
        return []
"""
WITH_ACTION = "intents: [greet]\nactions: [{}.ActionHello]\n"
ACTION_STORY = "## hello\n* greet\n  - action_hello\n"


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("actions.py", "actions"),
        ("actions/hello.py", "actions.hello"),
        ("bot.py", "__main__"),
        ("my/bot.py", "__main__"),
    ],
)
def test_actions_beside_the_bot_are_found_by_the_installed_command(tmp_path: Path, file: str, module: str) -> None:
    files = {"domain.yml": WITH_ACTION.format(module), "stories.md": ACTION_STORY, file: ACTIONS, **WITHOUT_NETWORK}
    bot = write(tmp_path / "bot", files)

    trained = called("rasa_core.commands.train", "bot", folder=tmp_path)
    assert trained.returncode == 0, trained.stderr
    talked = forked.run(
        "import runpy\nrunpy.run_module('rasa_core.run', run_name='__main__', alter_sys=True)",
        *("-d", str(bot / "models" / "dialogue")),
        folder=tmp_path,
        given="/greet\n/stop\n",
    )
    assert talked.returncode == 0, talked.stderr
    assert "Hello from here" in talked.stdout


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        pytest.param(
            "import no_such_package.part\n", "needs the package 'no_such_package', which is not installed", id="package"
        ),
        pytest.param("x = 1\nx.y\n", "actions.py:2) fails: AttributeError: 'int' object has", id="error"),
        pytest.param("def f(:\n", "actions.py:1) fails: SyntaxError", id="syntax"),
        pytest.param("import sys\nsys.exit(3)\n", "actions.py:2) fails: SystemExit: 3", id="exit"),
        pytest.param("", "class 'actions.ActionHello': module 'actions' has no attribute", id="no class"),
    ],
)
def test_an_action_module_that_fails_says_why_and_where(tmp_path: Path, code: str, problem: str) -> None:
    write(tmp_path, {"domain.yml": WITH_ACTION.format("actions"), "stories.md": ACTION_STORY, "actions.py": code})

    finished = called("rasa_core.commands.train", ".", folder=tmp_path)

    assert finished.returncode == 1
    assert problem in finished.stderr
    assert "domain.yml:2: " in finished.stderr
    assert "Traceback" not in finished.stderr


POLICY = """\
from rasa_core.policies import MemoizationPolicy

class OwnPolicy(MemoizationPolicy):
    pass
"""
TRAIN = """\
from rasa_core.agent import Agent
from rasa_core.commands.train import remember
from my_parts import OwnPolicy

agent = Agent("domain.yml", policies=[OwnPolicy()])
agent.train(agent.load_data("stories.md"))
agent.persist("models/dialogue")
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bot whose model has a custom policy, which only its training script imports."""
    folder = tmp_path_factory.mktemp("own")
    write(folder, {"domain.yml": DOMAIN, "stories.md": STORIES, "my_parts.py": POLICY, "train.py": TRAIN})
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "train.py"], cwd=folder, env=environment, check=True, capture_output=True)
    return folder


EVALUATE = ("-d", "models/dialogue", "-s", "stories.md", "--failed", "failed.md")


def test_a_class_that_is_not_known_is_named_with_the_remedy(own: Path) -> None:
    finished = called("rasa_core.commands.evaluate", *EVALUATE, folder=own)

    assert finished.returncode == 1
    assert "the class 'OwnPolicy' is not known here" in finished.stderr
    assert "the module that defines it (my_parts)" in finished.stderr
    assert "--import" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("how", ["option", "file", "variable", "config"])
def test_a_module_of_the_users_own_is_imported(own: Path, how: str) -> None:
    given = {"option": ("--import", "my_parts"), "file": ("--import", "my_parts.py")}.get(how, ())
    environment = {"RASA_CORE_IMPORT": "my_parts"} if how == "variable" else {}
    if how == "config":
        (own / "config.yml").write_text("language: en  # kept\nimports:\n- my_parts\n")
    try:
        finished = called("rasa_core.commands.evaluate", *EVALUATE, *given, folder=own, **environment)
    finally:
        (own / "config.yml").unlink(missing_ok=True)

    assert finished.returncode == 0, finished.stderr
    assert "OwnPolicy" in finished.stdout


@pytest.mark.parametrize("module", ["run", "restore", "visualize"])
def test_every_command_takes_modules(own: Path, module: str) -> None:
    dump = own / "dump.json"
    dump.write_text('{"sender_id": "a", "events": []}')
    arguments = {
        "run": ["-d", "models/dialogue", "-o", "log.txt"],
        "restore": ["dump.json", "-d", "models/dialogue"],
        "visualize": ["-d", "domain.yml", "-s", "stories.md", "-o", "stories.svg"],
    }[module]
    finished = called(f"rasa_core.commands.{module}", *arguments, "--import", "my_parts", folder=own)

    assert finished.returncode == 0, finished.stderr


def test_training_remembers_what_it_imported(own: Path, tmp_path: Path) -> None:
    for name in ("domain.yml", "stories.md", "my_parts.py"):
        (tmp_path / name).write_text((own / name).read_text())
    before = f"# mine\nlanguage: en\n{WITHOUT_NETWORK['config.yml']}"
    (tmp_path / "config.yml").write_text(before)

    finished = called("rasa_core.commands.train", str(tmp_path), "--import", "my_parts", folder=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "config.yml").read_text() == f"{before}imports:\n- my_parts\n"
    again = called("rasa_core.commands.train", str(tmp_path), folder=tmp_path)
    assert (again.returncode, "up to date" in again.stdout) == (0, True)


def test_a_module_that_does_not_exist_is_told(own: Path) -> None:
    finished = called("rasa_core.commands.evaluate", *EVALUATE, "--import", "no_such", folder=own)

    assert finished.returncode == 1
    assert f"there is no module 'no_such'; looked in {own}" in finished.stderr


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("my_part", "Did you mean 'my_parts'?"),
        ("my_parts.OwnPolicy", "Name the module, 'my_parts', since 'OwnPolicy' is something in it."),
        ("my_parts:OwnPolicy", "Name the module, 'my_parts', since 'OwnPolicy' is something in it."),
        ("code/parts", "Name the module, 'code.parts'."),
    ],
)
def test_what_was_meant_by_the_name_of_a_module_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setattr(
        own_code, "_folders", {str(write(tmp_path, {"my_parts.py": POLICY, "code/parts.py": ""})): None}
    )
    with pytest.raises(ImportError, match=re.escape(meant)):
        own_code.import_module(given)


@pytest.mark.parametrize("command", [check.command, story.command, review.command])
def test_commands_that_read_a_bot_or_its_store_take_modules(command: click.Command) -> None:
    assert "--import" in [flag for parameter in command.params for flag in parameter.opts]


def test_a_module_may_be_given_to_a_check(own: Path) -> None:
    finished = called("rasa_core.commands.check", ".", "--import", "no_such", folder=own)
    assert "there is no module 'no_such'" in finished.stderr


SLIPS = [
    pytest.param(
        "* grete\n  - utter_hello\n", "2", "the domain has no intent 'grete'. Did you mean 'greet'", id="intent"
    ),
    pytest.param("* greet\n  - utter_helo\n", "3", "the domain has no action 'utter_helo'. Did you mean", id="action"),
    pytest.param("* greet\n  utter_hello\n", '3 "s"', "skipped 'utter_hello'", id="no dash"),
    pytest.param("* greet\n  + utter_hello\n", '3 "s"', "skipped '+ utter_hello'", id="plus"),
    pytest.param('* greet{"a" "b"}\n  - utter_hello\n', '2 "s"', "what stands in braces is not a JSON", id="braces"),
    pytest.param("> nowhere\n* greet\n  - utter_hello\n", "1", "no story ends with the checkpoint", id="checkpoint"),
]


@pytest.mark.parametrize(("story", "place", "problem"), SLIPS)
def test_a_turn_that_cannot_be_used_stops_training_and_check(
    tmp_path: Path, story: str, place: str, problem: str
) -> None:
    write(tmp_path, {"domain.yml": DOMAIN, "stories.md": f"## s\n{story}"})

    for arguments in (["."], ["-d", "domain.yml", "-s", "stories.md", "-o", "m"]):
        trained = called("rasa_core.commands.train", *arguments, folder=tmp_path)
        assert (trained.returncode, (tmp_path / "m").exists()) == (1, False)
        assert re.search(rf"stories\.md:{place[0]}.*{re.escape(problem)}", trained.stderr)
        assert "train with --lenient" in trained.stderr
    checked = called("rasa_core.commands.check", ".", folder=tmp_path)
    assert checked.returncode == 1
    assert re.search(rf"stories\.md:{place[0]}: error: .*{re.escape(problem)}", checked.stdout)


def test_lenient_training_warns_and_leaves_out_what_cannot_be_used(tmp_path: Path) -> None:
    slips = "## s\n* grete\n  - utter_helo\n  utter_hello\n## t\n> nowhere\n* greet\n"
    write(tmp_path, {"domain.yml": DOMAIN, "stories.md": STORIES + slips, **WITHOUT_NETWORK})

    trained = called("rasa_core.commands.train", ".", "--lenient", folder=tmp_path)

    assert trained.returncode == 0, trained.stderr
    for line, problem in ((5, "no intent 'grete'"), (6, "no action 'utter_helo'"), (7, "skipped 'utter_hello'")):
        assert re.search(rf"stories\.md:{line}.*{problem}", trained.stderr)
    agent = Agent.load(tmp_path / "models" / "dialogue")
    assert agent.start_message_handling("/greet")["next_action"] == "utter_hello"


RASA = {
    "domain.yml": "version: '3.1'\nintents: [greet, bye]\nresponses: {utter_hello: [{text: Hello!}]}\n",
    "config.yml": "policies: [RulePolicy, MemoizationPolicy]\n",
    "data/a.yml": "rules: [{rule: hello, steps: [{intent: greet}, {action: utter_hello}]}]\n",
}
LEFT_OPEN = {**WITHOUT_NETWORK, "domain.yml": DOMAIN.replace("[greet]", "[greet, bye]"), "bot/a.md": STORIES}


@pytest.mark.parametrize(
    ("files", "file"),
    [
        pytest.param(LEFT_OPEN, "bot/a.md", id="0.9"),
        pytest.param({**RASA, "data/b.yml": "stories: []\n"}, "data/b.yml", id="Rasa 3"),
        pytest.param(RASA, "data/a.yml", id="rules alone"),
    ],
)
def test_what_is_taught_goes_into_the_stories_of_the_project_wherever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], file: str
) -> None:
    folder = write(tmp_path / "bot", files)
    monkeypatch.chdir(tmp_path)
    answers = "/bye\n2\nutter_hello\n0\n\n"
    result = CliRunner().invoke(train.command, [str(folder), "--online"], input=answers)
    assert (result.exit_code, list(tmp_path.iterdir())) == (0, [folder]), result.output
    assert "utter_hello" in (folder / file).read_text().split("bye")[-1]
    agent = Agent.load(folder / "models" / "dialogue")
    assert agent.start_message_handling("/bye")["next_action"] == "utter_hello"


@pytest.mark.parametrize(
    ("before", "known", "after"),
    [
        ("", [], "imports:\n- new.part\n"),
        ("language: en", [], "language: en\nimports:\n- new.part\n"),
        ("imports: old  # mine\nlanguage: en\n", ["old"], "imports:\n- old\n- new.part\nlanguage: en\n"),
        ("imports: [old]\n", ["old"], "imports:\n- old\n- new.part\n"),
        (
            "imports:\n  - old\n  - projects/other\nx: 1\n",
            ["old"],
            "imports:\n  - old\n  - projects/other\n  - new.part\nx: 1\n",
        ),
        ("imports:\n- new.part\n", ["new.part"], "imports:\n- new.part\n"),
        ("imports:\n# mine\n- old  # too\n\nx: 1", ["old"], "imports:\n# mine\n- old  # too\n- new.part\n\nx: 1"),
        ("imports: [old,\n  older]\nx: 1\n", ["old", "older"], "imports:\n- old\n- older\n- new.part\nx: 1\n"),
        ("x: 1\r\nimports:\r\n- old\r\n", ["old"], "x: 1\r\nimports:\r\n- old\r\n- new.part\r\n"),
        ("imports:\nx: 1\n", [], "imports:\n- new.part\nx: 1\n"),
        ("\ufeffx: 1\n", [], "\ufeffx: 1\nimports:\n- new.part\n"),
    ],
)
def test_modules_are_noted_beside_what_a_configuration_holds(
    tmp_path: Path, before: str, known: list[str], after: str
) -> None:
    (tmp_path / "config.yml").write_bytes(before.encode())

    assert remembered(tmp_path) == known
    remember(tmp_path, ["new.part"])
    assert (tmp_path / "config.yml").read_bytes().decode() == after
    assert "new.part" in remembered(tmp_path)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("{x: 1}\n", id="flow"),
        pytest.param("x: 1\n...\n", id="ended"),
        pytest.param("x: [\n", id="broken"),
        pytest.param("x: 2020-13-45\n", id="no such day"),
        pytest.param("x: !!timestamp y\n", id="no day"),
        pytest.param(f"x:\n {'- ' * 2000}y\n", id="deep"),
    ],
)
def test_a_configuration_to_which_nothing_can_be_added_stays_as_it_is(tmp_path: Path, before: str) -> None:
    (tmp_path / "config.yml").write_text(before)
    with pytest.raises(EditError, match="nothing can be added to it; write under imports: yourself new"):
        remember(tmp_path, ["new.part"])
    assert (tmp_path / "config.yml").read_text() == before
