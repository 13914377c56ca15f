"""The panel's view Privacy, over real servers: what left, consents, budgets, and local only."""

from __future__ import annotations

from decimal import Decimal

from playwright.sync_api import Browser, Page, expect
from tests.e2e.panel_browser import opened
from tests.e2e.panel_home import HOSTILE, Home, until

from nearfield.routing.consent import Consent
from nearfield.routing.ledger import Sending
from nearfield.routing.store import Store

SENT = (1200, (("aws_key", 1),), "0" * 64)
"""Bytes, what was replaced, the digest."""


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
    store.close()


def test_what_is_set_here_decides_who_may_be_asked(home: Home, browser: Browser) -> None:
    """Consents, the switch and a budget, each by what the router then says of a long question."""
    store = Store(home.data / "nearfield.db")
    work, other = str(home.work), str(home.work.parent)
    for folder in (work, other):
        store.say(folder, "claude", "anthropic", Consent.WORKSPACE)
    home.environ["ANTHROPIC_API_KEY"] = "sk-of-these-tests-0123456789"
    settings = home.settings()
    settings["providers"]["claude"] = {"kind": "anthropic", "model": "claude-sonnet-5"}
    roles = {"code": ["claude", "fake"]}
    settings["routing"] = {"strategy": "hybrid", "escalate": "auto", "roles": roles}
    home.configure(settings)

    def cloud() -> str:
        """Return what would happen at the cloud's turn, or why it has none."""
        asked = ("route", "explain", "how? " * 300, "--task", "code", "--workspace", work)
        found = home.run(*asked)
        turns = {turn["provider"]: turn["use"] for turn in found["turns"]}
        return str(turns.get("claude") or dict(found["left_out"])["claude"])

    def sure(page: Page, name: str) -> None:
        page.get_by_role("dialog").get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog")).to_have_count(0)

    with opened(browser, home.panel()) as panel:
        page = panel.show("privacy")
        assert cloud() == "is asked"
        page.get_by_text("Set limits").click()
        page.get_by_label("Day, hard ($)").fill("0.0001")
        page.get_by_role("button", name="Save Day, hard").click()
        expect(page.get_by_role("region", name="Money")).to_contain_text("hard limit $0.0001")
        assert home.settings()["budget"] == {"daily_hard": 0.0001}
        assert "limit" in cloud()
        page.get_by_label("Day, hard ($)").fill("0")
        page.get_by_role("button", name="Save Day, hard").click()
        until(lambda: home.settings()["budget"] == {"daily_hard": 0})

        page.get_by_role("button", name="Revoke all").click()
        sure(page, "Revoke")
        expect(page.get_by_text("None was given.")).to_be_visible()
        assert store.said() == []
        assert cloud() != "is asked"

        switch = page.get_by_role("switch", name="Local only")
        expect(switch).to_have_attribute("aria-checked", "false")
        switch.click()
        expect(switch).to_have_attribute("aria-checked", "true")
        assert home.settings()["routing"]["strategy"] == "local_only"
        assert "local_only" in cloud()
    home.stop_panel()
    with opened(browser, home.panel()) as panel:
        page = panel.show("privacy")
        switch = page.get_by_role("switch", name="Local only")
        expect(switch).to_have_attribute("aria-checked", "true")
        switch.click()
        sure(page, "Allow")
        expect(switch).to_have_attribute("aria-checked", "false")
        assert home.settings()["routing"]["strategy"] == "hybrid"
    store.close()
