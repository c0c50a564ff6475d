"""``rasa-core check`` as a user calls it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rasa_core.checks import MOST_PLACES
from rasa_core.commands.main import main

ROOT = Path(__file__).parents[2]

DOMAIN = """
action_factory: remote
intents: [a, b]
actions: [x, y]
"""
CLEAN = "## one\n* a\n- x\n* b\n- y\n"
WARNED = CLEAN + "## two\n* b\n- y\n> gone\n"
WRONG = CLEAN + "## two\n* a\n- y\n## three\n* a\n- xx\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "domain.yml").write_text(DOMAIN, encoding="utf-8")
    return tmp_path


def checked(project: Path, stories: str, *flags: str) -> Result:
    (project / "stories.md").write_text(stories, encoding="utf-8")
    return CliRunner().invoke(main, ["check", str(project), *flags])


def test_a_project_without_mistakes_ends_well(project: Path) -> None:
    finished = checked(project, CLEAN)
    assert (finished.exit_code, finished.output) == (0, "0 errors, 0 warnings.\n")


def test_a_domain_that_is_no_text_is_a_finding(project: Path) -> None:
    (project / "domain.yml").write_bytes(b"intents:\n- gr\xfc\xdfe\n")
    finished = checked(project, CLEAN)
    assert finished.exit_code == 1
    assert f"{project / 'domain.yml'}:2: error: this is not UTF-8; save the file in that encoding. [domain]" in (
        finished.output
    )


def test_an_unknown_factory_is_told_with_its_line(project: Path) -> None:
    (project / "domain.yml").write_text(DOMAIN.replace("remote", "remotely"), encoding="utf-8")
    assert "domain.yml:2: error: unknown action_factory 'remotely'. Did you mean 'remote'?" in (
        checked(project, CLEAN).output
    )


def test_nlu_data_under_a_misspelled_heading_is_told(project: Path) -> None:
    (project / "nlu.md").write_text("some text\n\n## intnt:a\n- hey\n- hello\n", encoding="utf-8")
    (project / "notes.md").write_text("# Plan: more\n- intents\n", encoding="utf-8")
    output = checked(project, CLEAN).output
    file = project / "nlu.md"
    told = "the file is not read: '## intnt:a' begins no NLU data. Did you mean 'intent'? [not-read]"
    assert output == f"{file}:3: warning: {told}\n0 errors, 1 warning.\n"


def test_warnings_alone_are_no_failure(project: Path) -> None:
    finished = checked(project, WARNED)
    assert finished.exit_code == 0
    assert f'{project / "stories.md"}:8: warning: in "two": no story goes on' in finished.output
    assert finished.output.endswith("\n0 errors, 1 warning.\n")


def test_strict_makes_warnings_errors(project: Path) -> None:
    finished = checked(project, WARNED, "--strict")
    assert finished.exit_code == 1
    assert ":8: error: " in finished.output
    assert finished.output.endswith("\n1 error, 0 warnings.\n")


def test_errors_fail_with_all_places(project: Path) -> None:
    finished = checked(project, WRONG)
    file = project / "stories.md"
    assert finished.exit_code == 1
    assert f'\n    {file}:3 "one": x\n    {file}:8 "two": y\n    {file}:11 "three": x\n' in finished.output
    assert f"{file}:11: error: in \"three\": the domain has no action 'xx'. " in finished.output
    assert finished.output.endswith("\n2 errors, 0 warnings.\n")


def test_names_that_code_settings_or_buttons_use_need_no_story(project: Path) -> None:
    (project / "domain.yml").write_text(
        "intents: [a, b, affirm, gone]\nentities: [size, lost]\nslots: {seats: {type: text}, empty: {type: text}}\n"
        "templates: {x: [{text: x, buttons: [{title: Yes, payload: '/affirm{}'}]}], y: [y], said: [s], mute: [m]}\n"
        "actions: [x, y, utter_sorry]\naction_factory: remote\n"
    )
    (project / "actions.py").write_text("FIELDS = [EntityFormField('size', 'seats')]\nsay('said')\n")
    (project / "config.yml").write_text(
        "policies: [MemoizationPolicy, {name: FallbackPolicy, fallback_action_name: utter_sorry}]\n"
    )
    output = checked(project, "## one\n* a\n- x\n* b\n- y\n").output
    assert re.findall(r"no (?:story|action) (?:uses|says) the \w+ '(\w+)'", output) == ["gone", "lost", "empty", "mute"]


def test_what_cannot_be_read_is_told_with_its_column(project: Path) -> None:
    file = project / "stories.md"
    assert f"{file}:3:2: error: the line begins with en dash" in checked(project, "## one\n* a\n \u2013 x\n").output


def test_of_very_many_places_the_first_of_each_action_are_shown(project: Path) -> None:
    stories = "".join(f"## s{number}\n* a\n- x\n* b\n" for number in range(50)) + "## other\n* a\n- y\n"
    output = checked(project, stories).output
    assert output.count(": x\n") == MOST_PLACES
    assert "    and 45 more: x (--format json has all)\n" in output
    assert '"other": y\n' in output


def test_json_is_one_object_with_all_findings(project: Path) -> None:
    finished = checked(project, WRONG, "--format", "json")
    found = json.loads(finished.output)["findings"]
    assert finished.exit_code == 1
    assert [(one["kind"], one["severity"]) for one in found] == [
        ("contradiction", "error"),
        ("undeclared-action", "error"),
    ]
    file = str(project / "stories.md")
    assert found[1]["places"] == [{"file": file, "line": 11, "story": "three", "note": None}]
    assert [place["note"] for place in found[0]["places"]] == ["x", "y", "x"]


def test_max_history_decides_what_is_the_same(project: Path) -> None:
    stories = "## one\n* a\n- x\n* b\n- y\n## two\n* b\n- y\n* b\n- x\n"
    assert "With max_history 2 they differ" in checked(project, stories, "--max-history", "1").output
    assert checked(project, stories, "--max-history", "2").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "the project '.' has no domain", id="nothing"),
        pytest.param(["missing"], "Directory 'missing' does not exist", id="no folder"),
        pytest.param(["."], "has no domain; looked for domain.yml", id="no project"),
        pytest.param([".", "--max-history", "0"], "0 is not in the range x>=1", id="no history"),
        pytest.param([".", "--format", "xml"], "'xml' is not one of 'text', 'json'", id="unknown format"),
    ],
)
def test_a_wrong_call_is_told(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = CliRunner().invoke(main, ["check", *arguments])
    assert finished.exit_code == 2
    assert message in finished.output


def test_the_module_runs_without_training_and_says_nothing_else(project: Path) -> None:
    (project / "stories.md").write_text(WARNED + "a line\n", encoding="utf-8")
    code = (
        "import runpy, sys\n"
        "try:\n    sys.argv.insert(1, 'check'); runpy.run_module('rasa_core.commands', run_name='__main__')\n"
        "finally:\n    assert not {'keras', 'jax', 'tensorflow'} & set(sys.modules)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, str(project)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "skipped 'a line'" in finished.stdout
    assert finished.stdout.endswith("\n0 errors, 2 warnings.\n")


def test_what_is_read_is_logged_if_asked_for(project: Path) -> None:
    assert "INFO: " in checked(project, CLEAN, "-v").output


def test_help_shows_an_example() -> None:
    text = CliRunner().invoke(main, ["check", "--help"]).output
    assert "rasa-core check examples/remote --strict" in text
    assert "--max-history" in text


def test_the_documentation_shows_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = (ROOT / "docs" / "check.rst").read_text(encoding="utf-8")

    def block(language: str) -> str:
        found = re.search(rf"code-block:: {language}\n\n((?:   .*\n|\n)+)", document)
        assert found is not None
        return textwrap.dedent(found[1]).strip() + "\n"

    (tmp_path / "domain.yml").write_text(block("yaml"), encoding="utf-8")
    (tmp_path / "stories.md").write_text(block("md"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    finished = CliRunner().invoke(main, ["check", "."])
    assert (finished.exit_code, finished.output) == (1, block("text"))


# -- what training would refuse, and what nobody reads


def found_in(folder: Path, **files: str) -> list[str]:
    """Return the findings for a project of these files, as lines without its folder."""
    slots = "slots:\n  vip: {type: bool}\n"
    own = {
        "domain.yml": f"intents: [greet]\n{slots}actions: [utter_hi]\ntemplates: {{utter_hi: Hi!}}\n",
        "stories/all.md": '## hi\n* greet\n  - slot{"vip": true}\n  - utter_hi\n',
    }
    for name, text in {**own, **files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    output = CliRunner().invoke(main, ["check", str(folder)]).output
    return [line.replace(f"{folder}/", "") for line in output.splitlines()[:-1]]


def test_a_project_without_mistakes_has_none(tmp_path: Path) -> None:
    assert found_in(tmp_path) == []


def test_a_value_that_policies_take_for_none_is_told(tmp_path: Path) -> None:
    story = '## hi\n* greet\n  - slot{"vip": false}\n  - utter_hi\n'
    [told] = found_in(tmp_path, **{"stories/all.md": story})
    assert told.startswith("stories/all.md:3: warning: ")
    assert "unset: true" in told
    domain = (tmp_path / "domain.yml").read_text().replace("type: bool", "type: bool, unset: true")
    assert found_in(tmp_path, **{"stories/all.md": story, "domain.yml": domain}) == []


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("policies:\n- name: Fallback\n", "config.yml:2: error: there is no policy 'Fallback'"),
        (
            "policies:\n- name: FallbackPolicy\n  fallback_action_name: utter_h\n",
            "config.yml:3: error: the domain has no",
        ),
        ("policies: [\n", "config.yml"),
        ("pipeline:\n- name: KeywordIntentClasifier\n", "config.yml:2: error: the component 'KeywordIntentClasifier'"),
    ],
)
def test_what_config_yml_has_wrong_is_told(tmp_path: Path, config: str, message: str) -> None:
    [told] = found_in(tmp_path, **{"config.yml": config})
    assert told.startswith(message)
    assert told.endswith("[configuration]")


def test_the_history_is_that_of_the_memory_in_config_yml(tmp_path: Path) -> None:
    stories = "## start\n* greet\n  - utter_hi\n" + "## other\n* greet\n  - utter_hi\n  - utter_hi\n"
    one = {"config.yml": "policies:\n- name: MemoizationPolicy\n  max_history: 1\n"}
    told = found_in(tmp_path, **{**one, "stories/all.md": stories})
    assert any("the last state)" in line for line in told)


def test_a_link_among_the_stories_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    found_in(tmp_path)
    (tmp_path / "stories" / "more.md").symlink_to("nowhere.md")
    assert found_in(tmp_path) == ["stories/more.md: error: the link leads nowhere. [unreadable]"]


def test_a_model_that_training_would_not_replace_is_told(tmp_path: Path) -> None:
    found_in(tmp_path)
    (tmp_path / "models" / "dialogue").mkdir(parents=True)
    (tmp_path / "models" / "dialogue" / "policy_metadata.json").write_text("{}")
    [told] = found_in(tmp_path)
    assert told.startswith("models/dialogue: error: ")
    assert "something that is no model of this version" in told
    assert "with: mv models/dialogue models/dialogue-by-hand" in told
    assert "Serve it" not in told
    assert told.endswith("[foreign-model]")


def test_all_parts_of_a_domain_are_looked_at_though_one_is_wrong(tmp_path: Path) -> None:
    domain = """intents: [greet, greet]
slots:
  city: {type: txt}
templates:
  utter_hi: Hi!
  utter_no: [{buttons: 3}]
actions: [utter_hi, utter_no, utter_helo]
"""
    told = [line for line in found_in(tmp_path, **{"domain.yml": domain}) if line.endswith("[domain]")]
    assert [line.split(": ")[0] for line in told] == [f"domain.yml:{number}" for number in (1, 3, 6, 6, 7)]
    assert "unknown slot type 'txt'" in told[1]
    assert "action 'utter_helo' is neither a template" in told[4]


def test_actions_are_not_missed_among_templates_that_cannot_be_read(tmp_path: Path) -> None:
    domain = "intents: [greet]\ntemplates: [utter_hi]\nactions: [utter_hi]\n"
    [told] = [line for line in found_in(tmp_path, **{"domain.yml": domain}) if line.endswith("[domain]")]
    assert told.startswith("domain.yml:2: error: ")


def test_models_of_old_are_all_told(tmp_path: Path) -> None:
    found_in(tmp_path, **{"nlu.md": "## intent:greet\n- hi\n- hello\n- hey\n"})
    for folder, file in (("dialogue", "policy_metadata.json"), ("nlu/default/current", "metadata.json")):
        (tmp_path / "models" / folder).mkdir(parents=True)
        (tmp_path / "models" / folder / file).write_text("{}")
    dialogue, nlu = (line for line in found_in(tmp_path) if "[foreign-model]" in line)
    assert dialogue.startswith("models/dialogue: error: models/dialogue holds something that is no model of this")
    assert nlu.startswith("models/nlu: error: models/nlu holds something that is no model of this version")
    assert "with: mv models/nlu models/nlu-by-hand" in nlu
    assert "Serve it" not in nlu


STORY = "## start\n* greet\n  - utter_hi\n"


def test_stories_that_are_not_read_since_others_were_found_first_are_told(tmp_path: Path) -> None:
    more = {"data/stories.md": STORY, "stories (copy).md": STORY, "data/nlu.md": "## intent:greet\n- hi\n- hey\n- ho\n"}
    elsewhere = {"tests/one.md": STORY, "failed_stories.md": STORY, "README.md": "# A bot\n* says hi\n- to all\n"}
    told = found_in(tmp_path, **{**more, **elsewhere})
    said = "warning: it holds stories too, and is not read, since the project has stories; name what to read with -s."
    assert [line for line in told if "[not-read]" in line] == [
        f"{name}: {said} [not-read]" for name in ("data/stories.md", "stories (copy).md")
    ]
