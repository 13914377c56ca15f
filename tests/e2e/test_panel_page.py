"""The control panel's page, against a server that answers as each test says: what it shows and
asks in states that a real server is seldom in. `test_panel_views.py` has the real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from pytest_httpserver import HTTPServer
from tests.e2e.panel_answers import AT, HOSTILE, answers
from tests.e2e.panel_browser import NARROW, VIEWS, WIDE, Panel, opened
from tests.e2e.panel_home import until
from tests.e2e.panel_server import PAGE, TOKEN, FakeServer, fake_server

BYTES = 200_000
"""The most that the page may take, uncompressed."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that has something to show in each view."""
    with fake_server(answers()) as server:
        yield server


@pytest.fixture
def panel(browser: Browser, server: FakeServer) -> Iterator[Panel]:
    """A tab that is connected to it."""
    with opened(browser, server.address, TOKEN) as panel:
        panel.connected()
        yield panel


def test_the_page_is_small_and_has_the_licences_of_its_libraries() -> None:
    files = {file.name: file.stat().st_size for file in PAGE.iterdir()}
    licences = files.pop("licences.txt")
    assert set(files) == {"index.html", "panel.js", "panel.css", "favicon.svg"}
    assert 0 < sum(files.values()) < BYTES
    text = (PAGE / "licences.txt").read_text(encoding="utf-8")
    assert licences and all(name in text for name in ("preact", "@preact/signals", "uplot"))


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
@pytest.mark.parametrize("width", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view(
    browser: Browser, scheme: str, width: int, filled: bool
) -> None:
    with (
        fake_server(answers(filled=filled)) as server,
        opened(browser, server.address, TOKEN, width=width, color_scheme=scheme) as panel,
    ):
        panel.connected()
        found = {}
        for view in VIEWS:
            panel.show(view)
            panel.unfold()
            if findings := panel.findings():
                found[view] = findings
            wide = panel.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{view} is {wide} px wide in {width} px"
        assert found == {}


def test_the_token_is_in_no_address_and_no_referrer(browser: Browser, server: FakeServer) -> None:
    with opened(browser, server.address, TOKEN) as panel:
        panel.connected()
        assert panel.page.url == server.address
        for view in VIEWS:
            panel.show(view)
        # The empty tab, the page, and each view.
        assert panel.page.evaluate("history.length") <= 2 + len(VIEWS)
        panel.page.reload()
        panel.connected()
        assert TOKEN not in panel.page.url
        kept = panel.page.evaluate("JSON.stringify([document.cookie, {...localStorage}])")
        assert TOKEN not in kept
    assert server.seen
    for path, headers in server.seen:
        assert TOKEN not in path
        assert "Referer" not in headers
        assert "Cookie" not in headers
        if "/api/" in path:
            assert headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_code_is_exchanged_for_the_token_and_the_view_stays(
    browser: Browser, server: FakeServer
) -> None:
    with opened(browser, f"{server.address}#code=once&view=models") as panel:
        panel.connected()
        expect(panel.page).to_have_url(f"{server.address}#models")
        expect(panel.page.get_by_role("heading", level=1)).to_have_text("Models")
        for view in VIEWS:
            panel.show(view)
        assert len(server.streams) == 1, "another view is no other connection"


def test_a_tab_of_an_editor_has_the_page_in_a_frame(
    browser: Browser, server: FakeServer, httpserver: HTTPServer
) -> None:
    """As `editors/vscode/src/panel.ts` makes it: on another site, so perhaps without storage."""
    server.answers["health/report"] = {"text": "a report"}
    frame = f'<iframe allow="clipboard-write" src="{server.address}#token={TOKEN}"></iframe>'
    style = "<style>iframe { width: 1200px; height: 800px }</style>"
    httpserver.expect_request("/").respond_with_data(style + frame, content_type="text/html")
    context = browser.new_context()
    page = context.new_page()
    page.goto(httpserver.url_for("/"))
    inner = page.frame_locator("iframe")
    expect(inner.locator(".dot.good")).to_be_visible()
    for view in (*VIEWS, "health"):
        inner.get_by_role("link", name=view.capitalize(), exact=True).click()
        expect(inner.get_by_role("heading", level=1)).to_have_text(view.capitalize())
        expect(inner.get_by_text("no access token")).to_have_count(0)
    inner.get_by_role("button", name="Make the report").click()
    inner.get_by_role("button", name="Copy", exact=True).click()
    expect(inner.get_by_text("Copied.")).to_be_visible()
    assert len(server.streams) == 1
    context.close()


@pytest.mark.parametrize("fragment", ["", "#token=wrong", "#code=used"])
def test_without_a_good_token_the_page_says_where_to_get_one(
    browser: Browser, server: FakeServer, fragment: str
) -> None:
    with opened(browser, server.address + fragment) as panel:
        expect(panel.page.locator("main")).to_contain_text("nearfield panel")
        expect(panel.page.locator(".dot.bad")).to_be_visible()


def test_hostile_names_are_text_in_every_view(browser: Browser) -> None:
    with (
        fake_server(answers(HOSTILE)) as server,
        opened(browser, server.address, TOKEN) as panel,
    ):
        panel.connected()
        for view in VIEWS:
            page = panel.show(view)
            if view == "chats":
                page.get_by_role("button", name="Open").first.click()
                expect(page.get_by_role("heading", name="Opened chat")).to_be_visible()
            panel.unfold()
            assert "<img src=x onerror=alert(1)>\\u202egpj" in panel.text().replace("\n", ""), view
            assert page.locator("#page img, #page script").count() == 0


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "now"])
def test_an_error_is_shown_with_its_reason_and_can_be_tried_again(
    panel: Panel, server: FakeServer, view: str
) -> None:
    server.failing[view] = (503, "The disk is full.", "Delete something.")
    page = panel.show(view)
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("The disk is full. Delete something.")
    del server.failing[view]
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_refused_action_says_why_until_it_is_dismissed(panel: Panel, server: FakeServer) -> None:
    server.failing["now/pause"] = (502, "The editor did not answer.", "Restart it.")
    panel.page.get_by_role("button", name="Pause all").click()
    notice = panel.page.locator(".notice")
    expect(notice).to_contain_text("The editor did not answer.")
    expect(notice).to_contain_text("Restart it.")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)


def test_a_lost_server_is_noticed_and_its_restart_brings_everything_up_to_date(
    panel: Panel, server: FakeServer
) -> None:
    panel.show("models")
    server.failing["events"] = (503, "It is starting.", "")
    server.drop()
    lost = panel.page.get_by_text("The server does not answer.")
    expect(lost).to_be_visible()
    expect(panel.page.get_by_role("rowheader", name=re.compile("half")).first).to_be_visible()
    server.started = AT + 60
    server.answers["models"]["models"] = []
    del server.failing["events"]
    panel.page.get_by_role("button", name="Try now").click()
    expect(lost).to_have_count(0)
    expect(panel.page.get_by_text("No model matches.")).to_be_visible()


def test_what_has_changed_is_fetched_again(panel: Panel, server: FakeServer) -> None:
    panel.show("privacy")
    expect(panel.page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    server.answers["privacy"]["local_only"] = True
    server.tell("changed", {"views": ["privacy"]})
    expect(panel.page.get_by_role("switch")).to_have_attribute("aria-checked", "true")


def test_an_event_that_cannot_be_read_is_no_failure_of_the_page(
    panel: Panel, server: FakeServer
) -> None:
    server.tell("later", {"versions": "may say more"})
    server.tell("now", server.answers["now"] | {"servers": []})
    expect(panel.page.get_by_text("No server is running.")).to_be_visible()


def test_a_download_shows_its_progress_is_paused_and_resumed(
    panel: Panel, server: FakeServer
) -> None:
    job: dict[str, Any] = {"id": "j1", "kind": "pull", "title": "Fetch half", "about": "half"}
    job |= {"state": "running", "step": "fetching", "done": 160_000_000, "total": 398_000_000}
    job |= {"unit": "bytes", "started": AT, "ended": None, "result": None, "error": None}
    server.replies["models/pull"] = {"job": job}
    server.replies["jobs/stop"] = {"job": job | {"state": "stopped", "ended": AT + 1}}
    page = panel.show("models")
    row = page.get_by_role("row", name=re.compile("^half"))
    row.get_by_role("button", name="Resume half").click()
    expect(row.get_by_role("progressbar")).to_have_attribute("value", "160000000")
    server.tell("job", job | {"done": 200_000_000})
    expect(row).to_contain_text("200 MB of 398 MB")
    row.get_by_role("button", name="Pause").click()
    again = job | {"id": "j2", "started": AT + 2}
    server.replies["models/pull"] = {"job": again}
    row.get_by_role("button", name="Resume half").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()
    error = {"message": "The hub cannot be reached.", "hint": "Try again."}
    server.tell("job", again | {"state": "failed", "error": error})
    expect(row).to_contain_text("The hub cannot be reached. Try again.")
    assert server.posted == [
        ("models/pull", {"name": "half"}),
        ("jobs/stop", {"id": "j1"}),
        ("models/pull", {"name": "half"}),
    ]


ACTIONS = [
    ("now", "Pause all", "", "now/pause", {"server": ""}),
    ("now", "Resume", "", "now/resume", {"server": "4712-1"}),
    ("now", "Unload all", "", "now/unload", {"server": "4711-1", "role": ""}),
    ("now", "Unload the model of edit", "", "now/unload", {"server": "4711-1", "role": "edit"}),
    ("now", "Cancel: chat", "", "now/cancel", {"server": "4711-1", "request": 17}),
    ("models", "Verify qwen2.5-coder-0.5b", "", "models/verify", {"name": "qwen2.5-coder-0.5b"}),
    ("models", "Remove half", "Remove", "models/remove", {"name": "half"}),
    ("models", "Fetch huge", "Fetch it nevertheless", "models/pull", {"name": "huge"}),
    ("routing", "Check ollama", "", "routing/probe", {"name": "ollama", "workspace": ""}),
    ("routing", "Remove ollama", "Remove", "routing/endpoint/remove", {"name": "ollama"}),
    ("routing", "Look for servers on this machine", "", "routing/detect", {}),
    ("routing", "Default for routing.hedge_ms", "", "settings/unset", {"key": "routing.hedge_ms"}),
    (
        "index",
        "Pause the index of /home/u/shop",
        "",
        "index/pause",
        {"root": "/home/u/shop", "on": True},
    ),
    (
        "index",
        "Update the index of /home/u/site",
        "",
        "index/rebuild",
        {"root": "/home/u/site", "fresh": False},
    ),
    (
        "index",
        "Rebuild the index of /home/u/shop",
        "Rebuild",
        "index/rebuild",
        {"root": "/home/u/shop", "fresh": True},
    ),
    ("index", "Remove generated/", "", "index/include", {"pattern": "generated/"}),
    ("privacy", "Local only", "", "privacy/local_only", {"on": True}),
    ("privacy", "Revoke all", "Revoke", "privacy/revoke", {"workspace": None, "provider": None}),
    (
        "privacy",
        "Revoke claude in /home/u/shop",
        "Revoke",
        "privacy/revoke",
        {"workspace": "/home/u/shop", "provider": "claude"},
    ),
    ("chats", "Delete How is a bill rounded?", "Delete", "chats/delete", {"id": "c1"}),
    ("health", "Check", "", "health/check", {"workspace": "", "measured": False}),
    ("health", "Check and measure", "", "health/check", {"workspace": "", "measured": True}),
    ("health", "Fetch the default model", "", "models/pull", {"name": "half"}),
]

JOB = {"id": "j", "kind": "x", "title": "", "about": "", "state": "done", "step": "", "done": 0}
REPLIES: dict[str, Any] = {
    "now/unload": {"providers": ["embedded"]},
    "now/cancel": {"cancelled": True},
    "models/remove": {"freed_bytes": 1},
    "routing/probe": {"name": "ollama", "model": "m", "state": "ready", "detail": "it answers"},
    "routing/detect": {"servers": []},
    "privacy/local_only": {"strategy": "local_only"},
    "privacy/revoke": {"revoked": 1},
}


def test_each_action_asks_where_something_is_lost_and_is_sent_once(
    panel: Panel, server: FakeServer
) -> None:
    started = {
        "job": JOB | {"total": None, "unit": "", "started": AT, "ended": AT} | {"error": None}
    }
    for _, _, _, path, _ in ACTIONS:
        server.replies[path] = REPLIES.get(path, started)
    for view, name, sure, path, body in ACTIONS:
        page = panel.show(view)
        role = "switch" if name == "Local only" else "button"
        server.posted.clear()
        page.get_by_role(role, name=name, exact=True).first.click()
        if sure:
            dialog = page.get_by_role("dialog")
            dialog.get_by_role("button", name="Cancel").click()
            expect(dialog).to_have_count(0)
            assert server.posted == []
            page.get_by_role(role, name=name, exact=True).first.click()
            dialog.get_by_role("button", name=sure).click()
            expect(dialog).to_have_count(0)
        until(lambda: server.posted)
        expect(page.locator("main [aria-busy=true]")).to_have_count(0)
        assert server.posted == [(path, body)], name


def test_a_setting_that_is_refused_says_why_beside_it(panel: Panel, server: FakeServer) -> None:
    server.failing["settings/set"] = (400, "It is 0 or more.", "")
    page = panel.show("routing")
    page.get_by_label("routing.hedge_ms", exact=True).fill("-1")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("It is 0 or more.")
    del server.failing["settings/set"]
    server.replies["settings/set"] = {"note": "The environment says otherwise."}
    page.get_by_label("routing.hedge_ms", exact=True).fill("40")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("The environment says otherwise.")
    assert server.posted == [("settings/set", {"key": "routing.hedge_ms", "value": 40})]


def test_the_threshold_is_moved_by_the_keyboard_and_saved(panel: Panel, server: FakeServer) -> None:
    server.replies["settings/set"] = {"note": ""}
    page = panel.show("suggestions")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^-0\.65: "))
    page.get_by_role("button", name="Save -0.65").click()
    expect(page.locator(".notice")).to_be_visible()
    key = "completion.min_confidence"
    assert server.posted == [("settings/set", {"key": key, "value": -0.65})]


def test_the_keyboard_reaches_each_view_and_a_reader_hears_its_title(panel: Panel) -> None:
    page = panel.page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_role("link", name="Privacy").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page).to_have_title("Privacy · Nearfield")
    page.get_by_role("button", name="Revoke all").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Now")


def test_the_colours_follow_the_system_until_the_user_chooses(
    browser: Browser, server: FakeServer
) -> None:
    with opened(browser, server.address, TOKEN, color_scheme="dark") as panel:
        page = panel.page
        root = page.locator("html")
        expect(root).to_have_attribute("data-theme", "dark")
        page.get_by_role("button", name="Colours").click()
        expect(root).to_have_attribute("data-theme", "light")
        page.reload()
        expect(root).to_have_attribute("data-theme", "light")
        page.emulate_media(color_scheme="light")
        for _ in range(2):
            page.get_by_role("button", name="Colours").click()
        page.emulate_media(color_scheme="dark")
        expect(root).to_have_attribute("data-theme", "dark")


def test_the_page_names_no_other_host() -> None:
    allowed = {"www.w3.org"}
    for file in PAGE.iterdir():
        if file.name != "licences.txt":
            text = file.read_text(encoding="utf-8")
            assert set(re.findall(r"https?://([\w.-]+)", text)) <= allowed, file.name


def test_the_sources_are_not_installed() -> None:
    assert not list(Path(PAGE).rglob("*.ts*"))
