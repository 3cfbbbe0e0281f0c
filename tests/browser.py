"""A real browser without a window, for the pages that people read."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NEEDED: Final = (
    "Chromium or Chrome is needed to test the console: install it (on Debian 'apt-get install chromium'), or"
    " name it by BATCHMILL_TEST_BROWSER; see CONTRIBUTING.md."
)
# What the policy of a page forbids is told to the page, beside the console.
_NOTE_VIOLATIONS: Final = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
});
"""


def path_of_browser() -> str:
    """Where one is; fails, and says what to install, when there is none."""
    given = os.environ.get("BATCHMILL_TEST_BROWSER")
    found = given or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(NEEDED, pytrace=False)
    return found


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """The browser, for as many visitors as there are."""
    # As root a browser refuses to make a sandbox of its own; it visits nothing but our pages.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path_of_browser(), args=options)
        yield browser
        await browser.close()


@dataclass
class Visitor:
    """A person in front of a page, who hears of all that goes wrong in it."""

    page: Page
    context: BrowserContext
    faults: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    """Parts of faults that the story provokes."""

    def listen(self) -> None:
        """From now on note errors, failed requests, and requests to other hosts."""
        self.page.on("console", lambda said: self._note(said.type in ("error", "warning"), said.text))
        self.page.on("pageerror", lambda error: self._note(True, f"uncaught: {error}"))
        self.page.on("request", lambda request: self._note(not _is_ours(request.url), request.url))

    def _note(self, bad: bool, what: str) -> None:
        if bad and not any(part in what for part in self.expected):
            self.faults.append(what)

    async def violations(self) -> list[str]:
        """What the page tried in spite of its policy."""
        found: list[str] = await self.page.evaluate("window.violations ?? []")
        return found

    async def width(self) -> int:
        """How wide the page is, whatever the window shows of it."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth"))


def _is_ours(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "blob:", "data:"))


@asynccontextmanager
async def visit(browser: Browser, base_url: str, **options: Any) -> AsyncIterator[Visitor]:
    """Somebody whose browser has no cookie yet; nothing may have gone wrong when they leave."""
    context = await browser.new_context(base_url=base_url, **options)
    await context.add_init_script(_NOTE_VIOLATIONS)
    visitor = Visitor(await context.new_page(), context)
    visitor.page.set_default_timeout(20_000)
    visitor.listen()
    yield visitor
    assert await visitor.violations() == []
    assert visitor.faults == []
    await context.close()
