"""The panel's view Routing, over real servers: who answers, endpoints, keys, and settings."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect
from pytest_httpserver import HTTPServer
from tests.e2e.file_keyring import VARIABLE, FileKeyring
from tests.e2e.panel_browser import ROOT, Panel, opened
from tests.e2e.panel_home import Home, until

from nearfield.routing.consent import Consent
from nearfield.routing.store import Store

KEY = "sk-of-these-tests-0123456789"
CLAUDE = {"kind": "anthropic", "model": "claude-sonnet-5"}


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


def test_a_key_goes_into_the_keyring_and_from_there_to_its_server(
    tmp_path: Path, httpserver: HTTPServer, browser: Browser
) -> None:
    kept = tmp_path / "keyring.json"
    variables = {
        VARIABLE: str(kept),
        "PYTHON_KEYRING_BACKEND": f"{FileKeyring.__module__}.{FileKeyring.__name__}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    home = Home(tmp_path, **variables)
    with_key = {"Authorization": f"Bearer {KEY}"}
    models = {"data": [{"id": "first-7b"}, {"id": "second-7b"}]}
    httpserver.expect_request("/v1/models", headers=with_key).respond_with_json(models)
    team = {"kind": "openai_compatible", "model": "first-7b", "base_url": httpserver.url_for("/v1")}
    settings = home.settings()
    home.configure(settings | {"providers": {**settings["providers"], "team": team}})
    try:
        with opened(browser, home.panel()) as panel:
            page = panel.show("routing")
            row = page.get_by_role("table", name="Endpoints").get_by_role("row", name="team")
            expect(row).to_contain_text("none")
            page.get_by_role("button", name="Key for team").click()
            page.get_by_label("Key for team", exact=True).and_(page.locator("input")).fill(KEY)
            page.get_by_role("button", name="Save", exact=True).click()
            expect(row).to_contain_text("in the keyring")
            assert json.loads(kept.read_text())["team"] == KEY
            assert KEY not in home.config.read_text(encoding="utf-8")
            assert KEY not in page.content()

            page.get_by_role("button", name="Models of team").click()
            page.get_by_role("button", name="Ask its server").click()
            expect(page.get_by_role("listitem").filter(has_text="second-7b")).to_be_visible()
            row.get_by_role("button", name="Check team").click()
            expect(row).to_contain_text("ready")

            page.get_by_role("button", name="Key for team").click()
            page.get_by_role("button", name="Remove the key").click()
            page.get_by_role("dialog").get_by_role("button", name="Remove").click()
            expect(row).to_contain_text("none")
            assert "team" not in json.loads(kept.read_text())
    finally:
        home.end()


@contextmanager
def listening(port: int, path: str, answer: object) -> Generator[None]:
    """A server at its usual port."""
    server = HTTPServer(host="127.0.0.1", port=port)
    server.expect_request(path).respond_with_json(answer)
    server.start()
    try:
        yield
    finally:
        server.clear()
        server.stop()


def test_servers_at_their_usual_ports_are_found_and_added(home: Home, panel: Panel) -> None:
    tags = {"models": [{"name": "qwen2.5-coder:7b", "model": "qwen2.5-coder:7b", "size": 5}]}
    listed = {"data": [{"id": "qwen2.5-coder-3b"}]}
    with listening(11434, "/api/tags", tags), listening(30000, "/v1/models", listed):
        page = panel.show("routing")
        page.get_by_role("button", name="Look for servers on this machine").click()
        found = page.get_by_role("table", name="Servers on this machine")
        for name, model in (("ollama", "qwen2.5-coder:7b"), ("sglang", "qwen2.5-coder-3b")):
            row = found.get_by_role("row", name=name)
            expect(row).to_contain_text(f"best: {model}")
            row.get_by_role("button", name=f"Add {name}").click()
            expect(row).to_contain_text("in your settings")
        written = home.settings()["providers"]
        assert written["ollama"] == {"kind": "ollama", "model": "qwen2.5-coder:7b"}
        assert written["sglang"]["kind"] == "openai_compatible"
        assert written["sglang"]["options"] == {"preset": "sglang"}
        page.get_by_role("button", name="Models of sglang").click()
        page.get_by_role("button", name="Ask its server").click()
        expect(page.get_by_role("listitem").filter(has_text="qwen2.5-coder-3b")).to_be_visible()
        assert home.run("providers", "models", "ollama")


def test_a_request_is_explained_for_a_file_without_being_sent(home: Home, browser: Browser) -> None:
    store = Store(home.data / "nearfield.db")
    store.say(str(home.work), "claude", "anthropic", Consent.WORKSPACE)
    home.environ["ANTHROPIC_API_KEY"] = KEY
    settings = home.settings()
    settings["providers"]["claude"] = CLAUDE
    settings["routing"] = {"strategy": "hybrid", "roles": {"code": ["claude", "fake"]}}
    home.configure(settings)
    secret = home.work / "deploy.py"
    secret.write_text('KEY = "AKIAIOSFODNN7EXAMPLF"\n')
    home.editor()
    with opened(browser, home.panel()) as panel:
        page = panel.show("routing")
        page.get_by_label("As it is for").select_option(str(home.work))
        explain = page.get_by_role("region", name="What would happen")
        explain.get_by_label("Task").select_option("explain")
        explain.get_by_label("Length in characters").fill("9000")
        for file, said in ((home.work / "billing.py", "nothing"), (secret, "1")):
            explain.get_by_label("File").fill(str(file))
            explain.get_by_role("button", name="Explain").click()
            cloud = explain.get_by_role("row", name="claude")
            expect(cloud.get_by_role("cell", name=said, exact=True)).to_be_visible()
            expect(cloud).to_contain_text("$0.0")
            expect(explain.get_by_role("row", name="fake")).to_contain_text("free")
        assert store.count() == 0
    store.close()
