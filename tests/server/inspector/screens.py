"""Pictures of each view of the page, in both colour schemes: ``python screens.py PROJECT FOLDER [WIDTH ...]``.

The project is a trained one; ``examples/remote`` is what the documents show. A copy of it is served.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from inspector_bot import served
from page import Page
from werkzeug.test import Client

from rasa_core.server import create_app

SCHEMES = ("light", "dark")
DOCUMENTED = 1000
HEIGHT = 700
TYPED = ("hello there", "I am looking for a jazz concert in Lisbon")


def prepare(caller: Client) -> None:
    """Let some users talk to the bot."""
    for number in range(1, 9):
        for text in ("/greet", "/find_concerts" if number % 2 else "/thank", "/goodbye"):
            caller.post(f"/conversations/user-{number}/say", json={"text": text})
    for text in TYPED:
        caller.post("/conversations/anna/say", json={"text": text})
    action = caller.get("/conversations/anna/timeline").json["waits"].get("action")
    caller.post("/conversations/anna/act", json={"action": action, "error": "no network"} if action else {})
    caller.put("/conversations/user-3/review", json={"reviewed": True, "note": "fine", "tags": ["concerts"]})


def talk(page: Page, address: str) -> None:
    page.open(address, "/talk/user-1?at=2")
    page.wait_for("Why utter_greet?")


def conversations(page: Page, address: str) -> None:
    page.open(address, "/conversations?reviewed=all")
    page.until(lambda: len(page.all(".item")) > 5)


def correct(page: Page, address: str) -> None:
    page.open(address, "/talk/user-2?save=1")
    page.click("Show the change")
    page.wait_for("Write it", ".result")


def prove(page: Page, address: str) -> None:
    page.open(address, "/prove")
    page.wait_for("Train a model")
    if not page.all(".comparison table"):
        page.click("Train")
        page.wait_for("The model is trained.", patience=900)
        page.click("Compare")
    page.wait_for("were replayed", ".comparison", patience=60)
    page.run("document.querySelector('.comparison').closest('.card').scrollIntoView()")


def story_map(page: Page, address: str) -> None:
    page.open(address, "/map/user-1")
    page.wait_for("never leave")
    page.pick(".map .node.lit", "utter_ask_city")
    page.wait_for("utter_ask_city", ".panel .snippet")


VIEWS: dict[str, Callable[[Page, str], None]] = {
    "talk": talk,
    "conversations": conversations,
    "correct": correct,
    "prove": prove,
    "map": story_map,
}


def main(project: str, folder: str, *widths: str) -> None:
    """Make the pictures."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    chosen = [int(width) for width in widths] or [DOCUMENTED]
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        copied = Path(place) / Path(project).resolve().name
        shutil.copytree(project, copied, symlinks=True)
        stories = copied / "stories.md"  # So that a new model does something else.
        stories.write_text(stories.read_text(encoding="utf-8").replace("- utter_welcome", "- utter_goodbye"))
        nlu = copied / "models" / "nlu"
        model = copied / "models" / "dialogue"
        app = create_app(model, str(nlu) if nlu.is_dir() else None, tracker_store="memory://", inspect=copied)
        prepare(Client(app))
        page = Page(str(shutil.which("chromium")), str(shutil.which("chromedriver")))
        try:
            with served(app) as address:
                for width in chosen:
                    page.size(width, HEIGHT)
                    for scheme in SCHEMES:
                        page.scheme(scheme)
                        for name, show in VIEWS.items():
                            page.renew()
                            show(page, address)
                            end = "" if chosen == [DOCUMENTED] else f"-{width}"
                            page.driver.save_screenshot(str(target / f"{name}-{scheme}{end}.png"))
        finally:
            page.quit()


if __name__ == "__main__":
    main(*sys.argv[1:])
