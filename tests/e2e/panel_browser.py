"""A browser with the panel's page in it."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect
from tests.e2e import browser
from tests.e2e.process import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
AXE = ROOT / "panel/node_modules/axe-core/axe.min.js"
VIEWS = (
    *("now", "models", "routing", "suggestions", "trial", "index", "privacy", "chats", "health"),
)
WIDE, NARROW = 1280, 390
expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@contextmanager
def chromium() -> Generator[Browser]:
    """Yield a browser; axe is installed where it is missing."""
    if not AXE.exists():
        subprocess.run([ROOT / "scripts/setup-node", "panel"], check=True)
    with browser.chromium() as found:
        yield found


class Panel:
    """One tab. `wrong` has what the browser complains about: refused scripts, failures in them."""

    def __init__(self, browser: Browser, address: str, token: str = "", **options: Any) -> None:
        width = options.pop("width", WIDE)
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", **options
        )
        self.context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.address = address
        self.page.goto(address + (f"#token={token}" if token else ""))

    def _said(self, message: Any) -> None:
        # What the network refuses is for the page to say, which its tests look at.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.wrong.append(message.text)

    def connected(self) -> None:
        """Wait until the event stream is open."""
        expect(self.page.locator(".dot.good")).to_be_visible()

    def show(self, view: str) -> Page:
        """Go to a view, and wait until it has its data or says why not."""
        self.page.get_by_role("link", name=view.capitalize(), exact=True).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(view.capitalize())
        expect(self.page.locator("main [aria-busy=true]")).to_have_count(0)
        return self.page

    def unfold(self) -> None:
        """Open everything that can be opened in the view."""
        self.page.evaluate(
            "for (const one of document.querySelectorAll('main details')) one.open = true"
        )

    def findings(self) -> list[str]:
        """Return what axe finds: its rules with the elements."""
        if self.page.evaluate("typeof axe") == "undefined":
            self.page.evaluate(AXE.read_text("utf-8"))
        found: Any = self.page.evaluate("async () => (await axe.run()).violations")
        return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]

    def text(self) -> str:
        """Return all that the view shows."""
        return self.page.locator("main").inner_text()

    def close(self) -> None:
        """Close the tab; raises where the browser has complained."""
        self.context.close()
        assert self.wrong == []


@contextmanager
def opened(browser: Browser, address: str, token: str = "", **options: Any) -> Generator[Panel]:
    """A tab with the page, until the end of the block."""
    panel = Panel(browser, address, token, **options)
    try:
        yield panel
    except BaseException:
        panel.context.close()
        raise
    panel.close()
