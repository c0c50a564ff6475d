"""A correction by real clicks: talk, see the reason, correct, save, train, compare, serve, and go back.

`test_inspector_week` goes the same way with a bot whose actions run in its own process.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from inspector_bot import served, write_form_project
from page import Page

from rasa_core.project import Project
from rasa_core.server import create_app

REMOTE = Path(__file__).resolve().parents[3] / "examples" / "remote"
EXAMPLES = """\
## intent:find_concerts
- concerts in [Lisbon](city)
- any [jazz](genre) gigs in [Porto](city)
- who plays in [Paris](city)

## intent:find_venues
- venues in [Porto](city)
- rooms for music in [Lisbon](city)

## intent:goodbye
- bye
- see you
"""


def trained(folder: Path) -> Project:
    """Return a project with its first model."""
    project = Project(folder)
    project.train_if_changed(say=lambda line: None)
    return project


def test_a_bot_whose_actions_run_elsewhere_learns_to_understand_typed_text(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "remote"
    folder.mkdir()
    for name in ("domain.yml", "stories.md"):
        shutil.copy(REMOTE / name, folder)
    (folder / "config.yml").write_text("policies:\n- name: MemoizationPolicy\n  max_history: 5\n", encoding="utf-8")
    project = trained(folder)
    first = project.models.versions.current
    (folder / "nlu.md").write_text(EXAMPLES, encoding="utf-8")
    text = "\U0001f3b5 gimme fado gigs around Coimbra"
    with served(create_app(project.model, tracker_store="memory://", inspect=folder)) as address:
        page.open(address, "/talk/bea")
        page.say("/greet")
        page.pick(".step.action", "utter_greet")
        page.wait_for("Why utter_greet?", ".panel")
        assert "stories.md" in page.texts(".panel .snippet")[0]
        page.say(text)
        assert "find_concerts" not in page.texts(".step.user")[-1]

        page.correct_message(text, "find_concerts", "city", "Coimbra")
        page.click("Nothing found")
        page.until(lambda: "utter_nothing_found" in page.steps())
        change = page.write()
        assert "+- \U0001f3b5 gimme fado gigs around [Coimbra](city)" in change
        assert '+* find_concerts{"city": "Coimbra"}' in change

        counts = page.train_and_compare()
        assert counts["worse"] == "0"
        assert "find_concerts" in page.texts(".comparison")[0]  # How the message is understood by the new model.
        page.serve()
        page.open(address, "/talk/again")
        page.say(text)
        assert "find_concerts" in page.texts(".step.user")[-1]
        page.wait_for("search_concerts", ".answer")
        page.go_back()
        page.open(address, "/talk/back")
        page.say(text)
        assert "find_concerts" not in page.texts(".step.user")[-1]
    assert Project(folder).models.versions.current == first


def test_a_bot_of_rasa_3_with_a_form_whose_actions_the_page_answers(page: Page, tmp_path: Path) -> None:
    folder = write_form_project(tmp_path / "pizza", runs_elsewhere=True)
    project = trained(folder)
    first = project.models.versions.current
    with served(create_app(project.model, tracker_store="memory://", inspect=folder)) as address:
        page.open(address, "/talk/dora")
        page.say("/greet")
        page.say("/order")
        page.wait_for("validate_pizza_form", ".answer")
        assert "It sees the answer to the form before that counts" in page.texts(".answer")[0]
        page.click("Done")
        page.until(lambda: "Which size?" in page.steps())
        assert "The form pizza_form begins" in page.steps()
        page.say("a large pizza")
        page.correct_message("a large pizza", "inform", "size", "large")
        page.set_slot("size", "XXL")
        page.click("Nothing found")  # There is no such size, and so the form asks again.
        page.until(lambda: page.steps()[-2:] == ["Which size?", "waits for the user"])
        page.say('/inform{"size": "large"}')
        page.set_slot("size", "LARGE")
        page.click("Done")
        page.wait_for("action_order", ".answer")
        page.click("It failed")
        page.type("no oven", "#answer-reason").submit()
        page.until(lambda: "A LARGE one." in page.steps())
        assert "failed: no oven" in page.text()
        page.pick(".step.action", "utter_done")
        page.wait_for("Why utter_done?", ".panel")
        assert "rules.yml" in page.texts(".panel .snippet")[0]
        page.click("Close")
        change = page.write("nlu")
        assert "- size: LARGE" in change
        assert "failed: true" in change

        page.open(address, "/talk/edd")
        page.say("/bye")
        page.correct_action("action_default_fallback", "utter_bye")
        page.click("This one is right")  # What comes next: the bot listens.
        page.until(lambda: page.steps()[-1] == "waits for the user")
        change = page.write()
        assert "+- rule:" in change
        assert "utter_bye" in (folder / "data" / "rules.yml").read_text(encoding="utf-8")

        counts = page.train_and_compare()
        assert counts["worse"] == "0"
        assert "action_default_fallback" in page.texts(".comparison")[0]
        page.serve()
        page.open(address, "/talk/again")
        page.say("/bye")
        assert "utter_bye" in page.steps()
        page.go_back()
        page.open(address, "/talk/back")
        page.say("/bye")
        assert "utter_bye" not in page.steps()
    assert Project(folder).models.versions.current == first
