"""The page of the inspector in a real browser, with methods for what a user does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

T = TypeVar("T")

ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync"),
)
PATIENCE = 8.0


class Page:
    """A tab of a browser, on the page of some server."""

    def __init__(self, chromium: str, driver: str) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.size(1100, 800)
        self.address = ""

    def quit(self) -> None:
        self.driver.quit()

    def renew(self) -> None:
        """Go away from any server, and forget what the console had."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")

    def open(self, address: str, where: str = "") -> None:
        """Open the page of a server; `where` is the part behind the #."""
        self.address = address
        self.driver.get(f"{address}/{'#' + where if where else ''}")

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": name}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def run(self, script: str, *given: Any) -> Any:
        return self.driver.execute_script(script, *given)

    # -- looking

    def until(self, look: Callable[[], T], patience: float = PATIENCE) -> T:
        """Call `look` until it returns a true value, and return that."""

        def tried(driver: object) -> T | None:
            try:
                return look()
            except (StaleElementReferenceException, IndexError):
                return None

        each = 0.02 if patience <= PATIENCE else 0.1  # To look takes time from a training that is waited for.
        found: T = WebDriverWait(self.driver, patience, each).until(tried, f"{self.text()[:2000]}")
        return found

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility())"
        return list(self.run(f"{script}.map((one) => one.innerText)", selector))

    def text(self) -> str:
        try:
            return str(self.run("return document.body.innerText"))
        except WebDriverException:
            return ""

    def wait_for(self, text: str, selector: str = "body", patience: float = PATIENCE) -> None:
        self.until(lambda: any(text in found for found in self.texts(selector)), patience)

    def problems(self) -> list[str]:
        """Return the errors in the console, except for requests that a server refused or did not answer."""
        entries = self.driver.get_log("browser")
        return [
            entry["message"]
            for entry in entries
            if entry["source"] != "network" and entry["level"] in ("WARNING", "SEVERE")
        ]

    def foreign_requests(self) -> list[str]:
        """Return the addresses of other servers that the page has asked."""
        names = self.run("return performance.getEntriesByType('resource').map((one) => one.name)")
        return [name for name in names if not name.startswith((self.address, "blob:", "data:"))]

    # -- doing

    def click(self, text: str, selector: str = "button, a, summary, [role=button], label") -> None:
        """Click the element with a text."""

        def find() -> WebElement | None:
            for element in self.all(selector):
                if element.is_displayed() and element.is_enabled() and element.text.strip() == text:
                    return element
            return None

        self.until(find).click()

    def type(self, text: str, selector: str, *, clear: bool = True) -> WebElement:
        field = self.until(
            lambda: next(one for one in [*self.all(selector), None] if one is None or one.is_displayed())
        )
        assert field is not None
        if clear:
            field.clear()
        if text.isascii():
            field.send_keys(text)
        else:  # The driver types no characters above U+FFFF.
            self.run("arguments[0].value += arguments[1]", field, text)
        return field

    def say(self, text: str) -> None:
        """Say something to the bot, and wait until it has answered."""
        before = len(self.all(".step.user"))
        self.type(text, "#message").submit()
        self.until(lambda: len(self.all(".step.user")) > before and not self.all(".busy"))

    def steps(self) -> list[str]:
        """Return the shown steps of the conversation: names of actions and slots, and texts of messages."""
        # What is new has no text before it is drawn, which only then is known to be in view.
        frames = "requestAnimationFrame(() => requestAnimationFrame(() => arguments[0]()))"
        self.driver.execute_async_script(frames)
        return self.texts(".step.action b, .step .bubble > .said, .step .chip.slot, .step .rule")

    # -- what a loop of the page is made of

    def choose(self, selector: str, value: str) -> None:
        """Choose in the visible one of some select fields."""
        script = """
            const field = [...document.querySelectorAll(arguments[0])].find((one) => one.checkVisibility());
            if (!field) return false;
            field.value = arguments[1];
            field.dispatchEvent(new Event("change", {bubbles: true}));
            return field.value === arguments[1];
        """
        self.until(lambda: self.run(script, selector, value))

    def pick(self, selector: str, text: str) -> None:
        """Click the last step that a selector names and that has a text."""
        script = """
            const [selector, text] = arguments;
            const all = [...document.querySelectorAll(selector)].filter((one) => one.textContent.includes(text));
            all.at(-1)?.dispatchEvent(new MouseEvent("click", {bubbles: true}));
            return all.length;
        """
        self.until(lambda: self.run(script, selector, text))

    def correct_action(self, wrong: str, right: str) -> None:
        """Say of the last action of a name that another one is right."""
        self.pick(".step.action", wrong)
        self.wait_for("What each policy says", ".panel")
        self.click("This action was wrong")
        self.choose(".correction select", right)
        self.click("This one is right")
        self.until(lambda: right in self.steps())

    def correct_message(self, text: str, intent: str, entity: str, value: str) -> None:
        """Say what the last message of a text means, with an entity whose words are marked."""
        self.pick(".step.user", text)
        self.click("This was understood wrongly")
        self.choose(".correction select", intent)
        words = "const field = document.querySelector('.correction textarea'), at = field.value.indexOf(arguments[0]);"
        self.run(f"{words} field.setSelectionRange(at, at + arguments[0].length)", value)
        self.type(entity, ".correction input[list]")
        self.click("Mark")
        self.wait_for(f"{entity}: {value}", ".entities")
        self.click("This is what was meant")
        self.until(lambda: "%E2%86%92" in self.driver.current_url)

    def set_slot(self, name: str, value: str) -> None:
        """Say in the answer for an action what a slot is set to."""
        script = """
            const choice = document.querySelector(".answer > .row select");
            if (!choice) return false;
            choice.value = arguments[0];
            choice.dispatchEvent(new Event("change"));
            return true;
        """
        self.until(lambda: self.run(script, name))
        self.type(value, ".answer .rows .row:last-child input")

    def write(self, *without: str) -> str:
        """Save the proposed files, without some kinds, and return the change that is shown before."""
        self.until(lambda: self.all(".save input[type=checkbox]"))
        for kind in without:
            self.run("document.getElementById(`save-${arguments[0]}`).checked = false", kind)
        self.click("Show the change")
        # The server checks the whole project first, which a busy machine takes long for.
        self.until(lambda: [text for text in self.texts(".result button") if text.startswith("Write it")], patience=90)
        change = "\n".join(self.texts(".diff"))
        self.run("[...document.querySelectorAll('.result button')].at(-1).click()")
        self.wait_for("Written", ".result, .notice", patience=90)
        return change

    def train_and_compare(self) -> dict[str, str]:
        """Train a model and compare it; return the counts by their labels."""
        self.click("Train and prove")
        self.click("Train")
        self.wait_for("The model is trained.", patience=180)
        self.click("Compare")
        self.wait_for("replayed", ".comparison", patience=120)
        return {text.split("\n")[1]: text.split("\n")[0] for text in self.texts(".count")}

    def serve(self) -> None:
        """Serve the newly trained model."""
        self.click("Serve it")
        self.until(lambda: len(self.texts(".models li")) == 2 and "serves" in self.texts(".models li")[0])

    def go_back(self) -> None:
        """Serve the previous model again."""
        self.click("Train and prove")
        self.click("Go back to it")
        self.until(lambda: "serves" in self.texts(".models li")[1])
