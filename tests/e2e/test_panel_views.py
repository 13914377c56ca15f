"""The control panel in a browser, over real servers: what each view shows of them, and what each
action does to them. A script answers for a model; `test_panel_page.py` has what is rare."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from playwright.sync_api import Browser, expect
from pytest_httpserver import HTTPServer
from tests.e2e.panel_browser import Panel, chromium, opened
from tests.e2e.process import PATIENCE_SECONDS, environment
from tests.e2e.wiring import Wire
from tests.unit.catalog.gguf_files import model
from werkzeug import Request, Response

from nearfield.features.metrics.store import RecordStore
from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.routing.consent import Consent
from nearfield.routing.ledger import Sending
from nearfield.routing.store import Store

HOSTILE = "<b onmouseover=alert(1)>\u202etxt"
ANSWERS = [
    {"match": r"def add\(a, b\):\s*$", "text": "return a + b\n"},
    {"match": "slowly", "text": "word ", "hang": True},
    {"match": "", "text": "The total is rounded down."},
]
BILLING = '''"""Bills."""


def round_bill(total: float) -> float:
    """Round a bill down to whole cents."""
    return int(total * 100) / 100
'''
SENT = (1200, (("aws_key", 1),), "0" * 64)
"""Bytes, what was replaced, the digest."""
RECORDS = 100_000
DAY_SECONDS = 86_400


class Home:
    """A user's settings and data, the servers of editors, and the panel's."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.environ = environment(folder / "home") | {
            "NEARFIELD_CACHE_DIR": str(folder / "cache"),
            "NEARFIELD_DATA_DIR": str(folder / "data"),
            **variables,
        }
        self.data = folder / "data"
        self.config = Path(self.environ["NEARFIELD_CONFIG_DIR"]) / "config.toml"
        self.config.parent.mkdir(parents=True)
        self.work = folder / "shop"
        self.work.mkdir()
        (self.work / "billing.py").write_text(BILLING)
        roles = {role: ["fake"] for role in ("complete", "code", "chat")}
        self.configure(
            {
                "providers": {"fake": {"kind": "scripted", "options": {"answers": ANSWERS}}},
                "routing": {"roles": roles},
                "engine": {"enabled": False},
            }
        )
        self.processes: list[subprocess.Popen[str]] = []
        self.wires: list[Wire] = []

    def configure(self, settings: Mapping[str, Any]) -> None:
        self.config.write_bytes(tomli_w.dumps(settings).encode())

    def settings(self) -> dict[str, Any]:
        return tomllib.loads(self.config.read_text(encoding="utf-8"))

    def panel(self, port: int = 0) -> str:
        """Start `nearfield panel`; returns its address with the token."""
        command = [sys.executable, "-m", "nearfield", "panel", "--no-open", "--json"]
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout
        return str(json.loads(process.stdout.readline())["address"])

    def stop_panel(self) -> None:
        process = self.processes.pop()
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        assert process.stdout
        process.stdout.close()

    def editor(self, folder: Path | None = None) -> Wire:
        """Start an editor's server on a folder."""
        root = folder or self.work
        wire = Wire(self.environ, "--stdio")
        self.wires.append(wire)
        wire.initialize(
            {},
            workspaceFolders=[{"uri": root.as_uri(), "name": root.name}],
            clientInfo={"name": "neovim"},
        )
        return wire

    def run(self, *arguments: str) -> Any:
        """Run a command; returns its JSON."""
        command = [sys.executable, "-m", "nearfield", *arguments, "--json"]
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS * 2
        )
        return json.loads(done.stdout or "null")

    def end(self) -> None:
        for wire in self.wires:
            wire.end()
        while self.processes:
            self.stop_panel()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of the module."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A user's home without a model."""
    home = Home(tmp_path)
    yield home
    home.end()


@pytest.fixture
def panel(home: Home, browser: Browser) -> Iterator[Panel]:
    """A tab on a panel that has just been started."""
    with opened(browser, home.panel()) as panel:
        panel.connected()
        yield panel


def until(condition: Callable[[], object]) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


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


def test_routing_is_explained_and_changed(home: Home, panel: Panel) -> None:
    page = panel.show("routing")
    explain = page.get_by_role("region", name="What would happen")
    explain.get_by_role("button", name="Explain").click()
    expect(explain.get_by_role("table")).to_contain_text("fake")

    page.get_by_label("Which models may answer").select_option("local_first")
    until(lambda: home.settings()["routing"].get("strategy") == "local_first")

    page.get_by_role("button", name="Change the candidates for complete").click()
    page.get_by_role("button", name="Take out fake").click()
    page.get_by_role("button", name="Save this order").click()
    until(lambda: home.settings()["routing"]["roles"].get("complete") == [])

    page.get_by_text("Add an endpoint").click()
    form = page.get_by_role("region", name="Endpoints")
    form.get_by_label("Kind").select_option("ollama")
    form.get_by_label("Name").fill("team")
    form.get_by_label("Address").fill("http://127.0.0.1:9")
    form.get_by_role("button", name="Add", exact=True).click()
    until(lambda: "team" in home.settings()["providers"])
    page.get_by_role("button", name="Check team").click()
    expect(form.get_by_role("row", name="team")).to_contain_text("unavailable")
    page.get_by_role("button", name="Remove team").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    until(lambda: "team" not in home.settings()["providers"])


def test_a_setting_is_saved_and_a_bad_value_is_refused_with_the_reason(
    home: Home, panel: Panel
) -> None:
    page = panel.show("routing")
    page.get_by_label("Find in all").fill("completion.min_confidence")
    field = page.get_by_label("completion.min_confidence", exact=True)
    save = page.get_by_role("region", name="Settings").get_by_role("button", name="Save")
    field.fill("7")
    save.click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert "completion" not in home.settings()
    field.fill("-0.4")
    save.click()
    until(lambda: home.settings().get("completion") == {"min_confidence": -0.4})
    page.get_by_role("button", name="Default for completion.min_confidence").click()
    until(lambda: not home.settings().get("completion"))


def test_privacy_shows_what_left_and_takes_consent_back(home: Home, browser: Browser) -> None:
    store = Store(home.data / "nearfield.db")
    work = str(home.work)
    store.say(work, "claude", "api.anthropic.com", Consent.WORKSPACE)
    for number in range(60):
        files = ((f"{number}{HOSTILE}.py", 1, 20),)
        sending = Sending(
            work, "claude", "claude-sonnet-5", "api.anthropic.com", "chat", files, *SENT
        )
        entry = store.begin(sending)
        store.finish(entry, "answered", 1100, 210, Decimal("0.0064"))
    home.configure(home.settings() | {"routing": {"strategy": "local_first"}})
    with opened(browser, home.panel()) as panel:
        page = panel.show("privacy")
        sent = page.get_by_role("table", name="Requests that left")
        expect(sent.get_by_role("row")).to_have_count(51)
        expect(sent).to_contain_text("59<b onmouseover=alert(1)>\\u202etxt.py")
        expect(sent).to_contain_text("lines 1\u201320")
        page.get_by_role("button", name="Older ones").click()
        expect(sent.get_by_role("row")).to_have_count(61)
        expect(page.get_by_role("region", name="Money")).to_contain_text("$0.38")

        page.get_by_role("button", name="Revoke claude in").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        until(lambda: store.said() == [])
        expect(page.get_by_text("None was given.")).to_be_visible()

        switch = page.get_by_role("switch", name="Local only")
        expect(switch).to_have_attribute("aria-checked", "false")
        switch.click()
        expect(switch).to_have_attribute("aria-checked", "true")
        assert home.settings()["routing"]["strategy"] == "local_only"
        switch.click()
        page.get_by_role("dialog").get_by_role("button", name="Allow").click()
        expect(switch).to_have_attribute("aria-checked", "false")
        assert home.settings()["routing"]["strategy"] == "local_first"

        page.get_by_text("Set limits").click()
        page.get_by_label("Day, hard ($)").fill("5")
        page.get_by_role("button", name="Save Day, hard").click()
        until(lambda: home.settings().get("budget") == {"daily_hard": 5})
    store.close()


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
    until(lambda: editor.ask("nearfield/status")["index"]["files"])
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
    expect(folder.get_by_role("button", name="Resume")).to_be_visible()
    folder.get_by_role("button", name="Update").click()
    expect(folder.get_by_role("button", name="Update")).to_be_enabled()


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


def test_a_hundred_thousand_suggestions_are_summed(home: Home, browser: Browser) -> None:
    now = time.time()
    store = RecordStore(home.data / "suggestions.db")
    store.save(
        [
            SuggestionRecord(
                at=now - 28 * DAY_SECONDS * (1 - number / RECORDS) - 600,
                method="textDocument/inlineCompletion",
                language=("python", "rust", HOSTILE)[number % 3],
                situation="typing",
                model="m",
                ms=number % 700,
                confidence=-(number % 100) / 100,
                chars=20,
                taken=Taken.ACCEPTED if number % 4 == 0 else Taken.SHOWN,
                saved=20 if number % 4 == 0 else 0,
            )
            for number in range(RECORDS)
        ]
    )
    store.close()
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


CONTENT = model() + bytes(range(256)) * 4000
OWN = """
[models.tiny]
title = "Tiny"
sources = [{ kind = "hub", repo = "maker/tiny", file = "tiny.gguf" }]
file = "tiny.gguf"
licence = "MIT"
context = 4096
roles = ["complete", "chat"]
chat = "gguf"
fim = "qwen"
memory_mb = 10
"""


def test_a_model_is_fetched_with_a_pause_verified_used_and_removed(
    tmp_path: Path, httpserver: HTTPServer, browser: Browser
) -> None:
    endpoint = httpserver.url_for("").rstrip("/")
    no_index = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    home = Home(tmp_path, HF_ENDPOINT=endpoint, **no_index)
    (home.config.parent / "catalog.toml").write_text(OWN, encoding="utf-8")
    go_on, begun = threading.Event(), threading.Event()
    asked: list[str] = []

    def resolve(request: Request) -> Response:
        """Give half of what is asked for, and the rest when the test says so."""
        first = int(request.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        asked.append(f"{request.method} {first}")
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        headers = {
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(len(CONTENT)),
            "Accept-Ranges": "bytes",
            "Content-Length": str(len(CONTENT) - first),
        }
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"

        def pieces() -> Iterator[bytes]:
            yield CONTENT[first : first + len(CONTENT) // 2]
            begun.set()
            go_on.wait(PATIENCE_SECONDS)
            yield CONTENT[first + len(CONTENT) // 2 :]

        return Response(pieces(), headers=headers, status=206 if first else 200)

    httpserver.expect_request("/maker/tiny/resolve/main/tiny.gguf").respond_with_handler(resolve)
    try:
        with opened(browser, home.panel()) as panel:
            page = panel.show("models")
            page.get_by_label("Find").fill("tiny")
            row = page.get_by_role("table", name="Models").get_by_role("row", name="Tiny tiny")
            row.get_by_role("button", name="Fetch tiny", exact=True).click()
            expect(row.locator("progress")).to_have_attribute("value", re.compile("[1-9]"))
            row.get_by_role("button", name="Pause").click()
            expect(row).to_contain_text("stopping", ignore_case=True)
            go_on.set()
            expect(row.get_by_role("button", name="Resume tiny", exact=True)).to_be_visible()
            row.get_by_role("button", name="Resume tiny", exact=True).click()
            expect(row).to_contain_text("installed")
            assert home.run("models", "list", "--installed")[0]["name"] == "tiny"

            row.get_by_role("button", name="Verify tiny", exact=True).click()
            expect(row.get_by_role("button", name="Verify tiny", exact=True)).to_be_visible()
            row.get_by_label("Use tiny for a role").select_option("complete")
            until(lambda: "tiny" in home.config.read_text(encoding="utf-8"))
            row.get_by_role("button", name="Remove tiny", exact=True).click()
            page.get_by_role("dialog").get_by_role("button", name="Remove").click()
            until(lambda: not home.run("models", "list", "--installed"))
    finally:
        go_on.set()
        home.end()


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
        expect(figures).to_contain_text(re.compile(r"In memory\s*\d+ MB"))
        requests = server.get_by_role("table", name="The last requests")
        expect(requests.get_by_role("row").nth(1)).to_contain_text(re.compile(r"\d+ tokens"))

        asked = editor.request("nearfield/chat", {"message": "Count from one to two hundred."})
        running = server.get_by_role("table", name="Requests that run now")
        expect(running).to_contain_text("chat")
        expect(running).to_contain_text("local")
        running.get_by_role("button", name="Cancel").first.click()
        editor.answer(asked)
        expect(running).to_have_count(0)

        roles = server.get_by_role("table", name="Roles")
        server.get_by_role("button", name="Unload all").click()
        expect(roles.get_by_text("not loaded").first).to_be_visible()
        expect(roles.get_by_text("loaded", exact=True)).to_have_count(0)
        roles.get_by_role("button", name="Load the model of complete").click()
        expect(roles.get_by_text("loaded", exact=True).first).to_be_visible()
