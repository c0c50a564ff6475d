"""``rasa-core check`` looks at the NLU data of a project too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rasa_core.commands.main import main

DOMAIN = "action_factory: remote\nintents: [greet, order]\nentities: [dish]\nactions: [x]\n"
STORIES = '## one\n* greet\n- x\n* order{"dish": "soup"}\n- x\n'
NLU = "## intent:greet\n- a\n- b\n- c\n## intent:order\n- one\n- two [x](dish)\n- three\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in {"domain.yml": DOMAIN, "stories.md": STORIES, "nlu.md": NLU}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def found_in(project: Path) -> list[tuple[str, str, str]]:
    """Return kind, severity and first place of each finding."""
    finished = CliRunner().invoke(main, ["check", str(project), "--format", "json"])
    findings = json.loads(finished.stdout)["findings"]
    assert finished.exit_code == any(found["severity"] == "error" for found in findings)
    places = [(Path(found["places"][0]["file"]), found["places"][0]["line"]) for found in findings]
    return [
        (found["kind"], found["severity"], f"{file.relative_to(project)}:{line}")
        for found, (file, line) in zip(findings, places, strict=True)
    ]


def test_data_without_mistakes_have_no_findings(project: Path) -> None:
    assert found_in(project) == []


def test_data_are_found_in_the_folder_and_below_data_and_nlu(project: Path) -> None:
    for name in ("more.yml", "data/b.md", "nlu/c/d.md", "models/e.md", "data/.f.md"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("## synonym:x\n- same\n## intent:greet\n- a\n", encoding="utf-8")
    (project / "more.yml").write_text("nlu:\n- intent: greet\n  examples: |\n    - a\n", encoding="utf-8")
    finished = CliRunner().invoke(main, ["check", str(project), "--format", "json"])
    (found,) = json.loads(finished.stdout)["findings"]
    files = [Path(place["file"]).relative_to(project).as_posix() for place in found["places"]]
    assert (found["kind"], files) == ("repeated-example", ["data/b.md", "more.yml", "nlu.md", "nlu/c/d.md"])


def test_what_cannot_be_read_is_told_and_everything_else_is_checked(project: Path) -> None:
    (project / "data").mkdir()
    (project / "data" / "wrong.md").write_text("## intent:greet\n- [x](y\n- ok\nok\n", encoding="utf-8")
    (project / "nlu.md").write_text(f"{NLU}- three\n", encoding="utf-8")
    assert found_in(project) == [
        ("left-out", "warning", "data/wrong.md:2"),
        ("left-out", "warning", "data/wrong.md:4"),
        ("repeated-example", "warning", "nlu.md:8"),
    ]


def test_names_that_only_one_of_domain_and_data_has_are_told(project: Path) -> None:
    (project / "nlu.md").write_text(NLU.replace("order", "ordre").replace("dish", "dihs"), encoding="utf-8")
    assert found_in(project) == [
        ("intent-without-examples", "warning", "domain.yml:None"),
        ("intent-not-in-domain", "warning", "nlu.md:6"),
        ("entity-not-in-domain", "warning", "nlu.md:7"),
    ]


def test_the_intent_that_begins_anew_needs_no_examples(project: Path) -> None:
    (project / "domain.yml").write_text(DOMAIN.replace("[greet,", "[restart, greet,"), encoding="utf-8")
    (project / "stories.md").write_text(f"{STORIES}* restart\n- x\n", encoding="utf-8")
    assert found_in(project) == []


def test_a_project_without_nlu_data_is_not_asked_for_examples(project: Path) -> None:
    (project / "nlu.md").unlink()
    assert found_in(project) == []
