"""The page of the inspector in a real browser, as somebody uses it."""

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
        """Return what `look` finds as soon as that is something."""

        def tried(driver: object) -> T | None:
            try:
                return look()
            except (StaleElementReferenceException, IndexError):
                return None

        found: T = WebDriverWait(self.driver, patience, 0.02).until(tried, f"{self.text()[:2000]}")
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
        """Return what the console has of errors, but for requests that a server refused or did not answer."""
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
        """Click what bears a text."""

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
        """Return the names of what is shown of the conversation: of actions and slots, and what was said."""
        return self.texts(".step.action b, .step .bubble > .said, .step .chip.slot, .step .rule")
