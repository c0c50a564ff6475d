"""One browser for all tests of the page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from page import Page
from programs import missing

INSTALL = "install it with: apt-get install chromium chromium-driver"


@pytest.fixture(scope="session")
def browser() -> Iterator[Page]:
    """Return a page in a Chromium without a window."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing("chromium" if chromium is None else "chromedriver", INSTALL)
    page = Page(chromium, driver)
    yield page
    page.quit()


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """Return the page; when a test is over, it must have said nothing to the console, and asked no other server."""
    browser.renew()
    yield browser
    assert browser.problems() == []
    assert browser.foreign_requests() == []
