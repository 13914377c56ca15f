"""The control panel in a real VS Code: a tab of its own with the server's page in it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Frame, expect
from tests.editors.conftest import StartVSCode
from tests.editors.vscode import PATIENCE_SECONDS, Window
from tests.processes import running

pytestmark = pytest.mark.editor


def page_in(window: Window) -> Frame:
    """The panel's page, once its tab shows it."""

    def found() -> bool:
        return any("/panel/" in frame.url for frame in window.page.frames)

    window.until(found, lambda: None)
    return next(frame for frame in window.page.frames if "/panel/" in frame.url)


def test_the_panel_opens_in_a_tab_pauses_this_window_and_ends_with_its_tab(
    vscode: StartVSCode,
) -> None:
    window = vscode({"a.py": "x = 1\n"})
    window.open("a.py")
    window.ready()
    window.command("Open Panel")
    page = page_in(window)
    patience = PATIENCE_SECONDS * 1000
    expect(page.get_by_role("heading", level=1)).to_have_text("Now", timeout=patience)
    page.get_by_role("button", name="Pause").first.click(timeout=patience)
    window.picture("panel")
    window.sees("paused", lambda: window.status)
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Models", timeout=patience)
    # Asked for again, it is the same tab. Keys in the page are the page's own.
    tab = window.page.locator(".editor").get_by_role("tab", name="Nearfield")
    tab.click()
    window.command("Open Panel")
    assert sum("/panel/" in frame.url for frame in window.page.frames) == 1
    (served,) = running("panel", "--no-open")
    tab.click(button="middle")
    window.until(lambda: not served.is_running(), lambda: None)
    assert not any("/panel/" in frame.url for frame in window.page.frames)
