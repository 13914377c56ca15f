"""The control panel in a browser, over real servers: what each view shows of them, and what each
action does to them. A script answers for a model; `test_panel_page.py` has what is rare;
the views with more actions have modules of their own."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from pytest_httpserver import HTTPServer
from tests.e2e.panel_browser import Panel, opened
from tests.e2e.panel_home import CONTENT, HOSTILE, Home, record_suggestions, until
from tests.unit.catalog.gguf_files import hub_entry, linked

from nearfield.catalog.models import Catalog

RECORDS = 100_000
DAY_SECONDS = 86_400


def test_now_follows_an_editor_that_completes(home: Home, panel: Panel) -> None:
    page = panel.page
    expect(page.get_by_text("No server is running.")).to_be_visible()
    editor = home.editor()
    server = page.get_by_role("region", name="neovim in shop")
    expect(server).to_contain_text("ready")
    uri = editor.open("def add(a, b):\n    ")
    assert editor.ghost(uri, 1, 4)
    requests = server.get_by_role("table", name="The last requests")
    expect(requests.get_by_role("row").nth(1)).to_contain_text("shown")
    expect(requests).to_contain_text("ms")
    expect(server).to_contain_text("fake")

    server.get_by_role("button", name="Pause").click()
    expect(server).to_contain_text("paused")
    assert editor.ask("nearfield/status")["state"] == "paused"
    server.get_by_role("button", name="Resume").click()
    until(lambda: editor.ask("nearfield/status")["state"] == "ready")

    editor.end()
    expect(page.get_by_text("No server is running.")).to_be_visible()


def test_a_running_answer_is_cancelled(home: Home, panel: Panel) -> None:
    editor = home.editor()
    asked = editor.request("nearfield/chat", {"message": "say it slowly"})
    cancel = panel.page.get_by_role("button", name="Cancel: ")
    expect(cancel).to_be_visible()
    cancel.click()
    answer = editor.answer(asked)
    assert answer.get("error") or answer["result"]["finish"] != "stop"
    expect(cancel).to_have_count(0)


def test_two_windows_are_shown_together_and_apart(home: Home, panel: Panel) -> None:
    other = home.work.parent / HOSTILE
    other.mkdir()
    first, second = home.editor(), home.editor(other)
    page = panel.page
    together = page.get_by_role("region", name="All together")
    expect(together.locator("dd").first).to_have_text("2")
    expect(page.get_by_role("region", name="neovim in ")).to_have_count(2)
    expect(page.get_by_role("heading", name="<b onmouseover=alert(1)>\\u202etxt")).to_be_visible()
    assert page.locator("main b").count() == 0
    together.get_by_role("button", name="Pause all").click()
    for editor in (first, second):
        until(lambda editor=editor: editor.ask("nearfield/status")["state"] == "paused")


def test_a_restarted_server_is_found_again(home: Home, browser: Browser) -> None:
    address = home.panel()
    port = int(address.split(":")[2].split("/")[0])
    with opened(browser, address) as panel:
        panel.connected()
        panel.show("privacy")
        home.stop_panel()
        lost = panel.page.get_by_text("The server does not answer.")
        expect(lost).to_be_visible()
        home.panel(port)
        expect(lost).to_have_count(0)
        panel.connected()
        panel.show("routing")
        expect(panel.page.get_by_role("table", name="Endpoints")).to_contain_text("fake")


def test_a_chat_is_read_gone_on_with_exported_and_deleted(home: Home, panel: Panel) -> None:
    editor = home.editor()
    question = f"How is a bill rounded? {HOSTILE}"
    editor.ask("nearfield/chat", {"message": question, "workspace": str(home.work)})
    page = panel.show("chats")
    page.get_by_role("button", name="Open How is a bill rounded?").click()
    chat = page.get_by_role("region", name="Opened chat")
    expect(chat.get_by_role("article")).to_have_count(1)
    expect(chat).to_contain_text("The total is rounded down.")
    expect(chat).to_contain_text("<b onmouseover=alert(1)>\\u202etxt")

    chat.get_by_label("Go on with it").fill("and up?")
    chat.get_by_role("button", name="Ask").click()
    expect(chat.get_by_role("article")).to_have_count(2)
    expect(chat.get_by_role("article").nth(1)).to_contain_text("and up?")

    with page.expect_download() as downloading:
        page.get_by_role("button", name="Export How").click()
    text = Path(downloading.value.path()).read_text(encoding="utf-8")
    assert "The total is rounded down." in text
    assert downloading.value.suggested_filename.endswith(".md")

    page.get_by_role("button", name="Delete How").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No chat is kept.")).to_be_visible()
    assert not home.run("chats", "list")


def test_the_index_is_shown_searched_and_bounded(home: Home, panel: Panel) -> None:
    editor = home.editor()
    until(lambda: editor.ask("nearfield/status")["index"]["state"] == "ready")
    page = panel.show("index")
    folder = page.get_by_role("region", name=str(home.work))
    expect(folder.locator("dd").first).to_contain_text("1")
    page.get_by_label("Search for").fill("round_bill")
    page.get_by_role("button", name="Search", exact=True).click()
    hit = page.get_by_role("listitem").filter(has_text="billing.py:").first
    expect(hit).to_contain_text("round_bill")
    expect(hit).to_contain_text(" for ")

    page.get_by_label("Pattern").fill("generated/")
    page.get_by_role("button", name="Leave out").click()
    until(lambda: home.settings().get("index", {}).get("exclude") == ["generated/"])
    page.get_by_role("button", name="Remove generated/").click()
    until(lambda: not home.settings().get("index", {}).get("exclude"))

    folder.get_by_role("button", name="Pause").click()
    until(lambda: editor.ask("nearfield/status")["index"]["state"] == "paused")
    folder.get_by_role("button", name="Resume").click()
    until(lambda: editor.ask("nearfield/status")["index"]["state"] == "ready")
    (home.work / "orders.py").write_text("def place_order(item):\n    return item\n")
    folder.get_by_role("button", name="Update").click()
    until(lambda: editor.ask("nearfield/status")["index"]["files"] == 2)


def built(home: Home) -> set[int]:
    """When the files of indexes were changed last; one may go while it is looked at, and the next
    one may have its number on the disk."""
    found: set[int] = set()
    for file in (home.data.parent / "cache").rglob("*.db"):
        with suppress(FileNotFoundError):
            found.add(file.stat().st_ctime_ns)
    return found


def test_an_index_without_a_server_is_rebuilt_without_what_is_left_out(
    home: Home, panel: Panel
) -> None:
    (home.work / "generated").mkdir()
    (home.work / "generated" / "client.py").write_text("def made_by_a_tool():\n    return 1\n")
    home.run("index", str(home.work))
    page = panel.show("index")
    folder = page.get_by_role("region", name=str(home.work))
    page.get_by_label("Pattern").fill("generated/")
    page.get_by_role("button", name="Leave out").click()
    until(lambda: home.settings().get("index", {}).get("exclude") == ["generated/"])
    before = built(home)
    folder.get_by_role("button", name="Rebuild").click()
    page.get_by_role("dialog").get_by_role("button", name="Rebuild").click()
    until(lambda: built(home) not in (set(), before))
    expect(folder.get_by_role("button", name="Rebuild")).to_be_enabled()
    page.get_by_text("Why is a file in it, or not?").click()
    page.get_by_label("File in this folder").fill("generated/client.py")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(folder.get_by_role("paragraph").filter(has_text="client.py")).to_contain_text("not")
    assert home.run("index", str(home.work))["files"] == 1


def test_the_checks_the_log_and_the_report_are_there(home: Home, panel: Panel) -> None:
    home.editor()
    page = panel.show("health")
    expect(page.get_by_text("Nothing was checked yet.")).to_be_visible()
    page.get_by_role("button", name="Check", exact=True).click()
    checks = page.get_by_role("table", name="Checks")
    expect(checks.get_by_role("row").nth(3)).to_be_visible()
    expect(page.get_by_role("button", name="Check", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Make the report").click()
    report = page.locator("pre[aria-label=Report]")
    expect(report).not_to_be_empty()
    assert str(home.work) not in report.inner_text()
    panel.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.split() == report.inner_text().split()


def test_a_remedy_fetches_the_model_that_a_check_misses(
    tmp_path: Path, httpserver: HTTPServer, browser: Browser
) -> None:
    """The default model's entry is replaced by the user's own, so that the hub of the test has
    it."""
    home = Home(tmp_path, HF_ENDPOINT=httpserver.url_for("").rstrip("/"))
    default = Catalog.load({}).default
    (home.config.parent / "catalog.toml").write_text(hub_entry(default), encoding="utf-8")
    home.configure({"engine": {"enabled": False}})
    path = "/maker/tiny/resolve/main/tiny.gguf"
    httpserver.expect_request(path).respond_with_data(CONTENT, headers=linked(CONTENT))
    try:
        with opened(browser, home.panel()) as panel:
            page = panel.show("health")
            page.get_by_role("button", name="Check", exact=True).click()
            remedy = page.get_by_role("button", name="Fetch the default model")
            remedy.click()
            until(lambda: home.run("models", "list", "--installed"))
            expect(page.get_by_role("button", name="Check", exact=True)).to_be_enabled()
            page.get_by_role("button", name="Check", exact=True).click()
            # With the engine off no model can answer, so a remedy stays; the model is there.
            row = page.get_by_role("row").filter(has_text="verified")
            expect(row).to_have_count(1)
            (installed,) = home.run("models", "list", "--installed")
            assert installed["name"] == default
    finally:
        home.end()


def test_a_hundred_thousand_suggestions_are_summed(home: Home, browser: Browser) -> None:
    languages = ("python", "rust", HOSTILE)
    record_suggestions(home.data, RECORDS, language=languages, situation=("typing",), model=("m",))
    with opened(browser, home.panel()) as panel:
        page = panel.show("suggestions")
        figures = page.get_by_role("region", name="All")
        expect(figures.locator("dd").nth(0)).to_contain_text("100,000")
        expect(figures.locator("dd").nth(1)).to_contain_text("25,000")
        expect(page.get_by_role("region", name="By language")).to_contain_text("<b onmouseover")
        expect(page.locator("canvas")).to_have_count(2)
        page.get_by_role("slider").fill("-0.5")
        page.get_by_role("button", name="Save -0.5").click()
        until(lambda: home.settings().get("completion") == {"min_confidence": -0.5})


def test_another_site_and_another_name_get_nothing(home: Home, browser: Browser) -> None:
    address = home.panel()
    base, token = address.split("#token=")
    with opened(browser, address) as panel:
        panel.connected()
        refused = panel.page.request.get(
            f"{base}api/now", headers={"Authorization": f"Bearer {token}", "Host": "evil.test"}
        )
        assert refused.status == 403
        assert panel.page.request.get(f"{base}api/now").status == 401
        foreign = panel.page.request.get(
            f"{base}api/now",
            headers={"Authorization": f"Bearer {token}", "Origin": "https://evil.test"},
        )
        assert foreign.status == 403


@pytest.mark.model
def test_a_real_model_is_seen_at_work_unloaded_and_loaded(
    home: Home, browser: Browser, small_model: Path
) -> None:
    patient = {"deadline_ms": 60_000, "invoked_deadline_ms": 60_000}
    own = {"complete": str(small_model), "chat": str(small_model)}
    home.configure({"models": own, "completion": patient})
    with opened(browser, home.panel()) as panel:
        page = panel.page
        editor = home.editor()
        uri = editor.open("def fib(n):\n    if n < 2:\n        return n\n    return fi\n")
        editor.ghost(uri, 3, 13)
        server = page.get_by_role("region", name="neovim in shop")
        figures = server.locator("dl").first
        expect(figures).to_contain_text(re.compile(r"Writes\s*[\d.]+ tokens/s"))
        expect(figures).to_contain_text(re.compile(r"In memory\s*\d+\sMB"))
        requests = server.get_by_role("table", name="The last requests")
        expect(requests.get_by_role("row").nth(1)).to_contain_text(re.compile(r"\d+ tokens"))

        asked = editor.request("nearfield/chat", {"message": "Count from one to two hundred."})
        running = server.get_by_role("table", name="Requests that run now")
        expect(running).to_contain_text("chat")
        expect(running).to_contain_text("local")
        running.get_by_role("button", name="Cancel: chat").click()
        editor.answer(asked)
        expect(running).to_have_count(0)

        roles = server.get_by_role("table", name="Roles")
        server.get_by_role("button", name="Unload all").click()
        expect(roles.get_by_text("not loaded").first).to_be_visible()
        expect(roles.get_by_text("loaded", exact=True)).to_have_count(0)
        roles.get_by_role("button", name="Load the model of complete").click()
        expect(roles.get_by_text("loaded", exact=True).first).to_be_visible()
