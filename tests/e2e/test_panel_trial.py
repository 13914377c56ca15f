"""A trial of two models in the panel: begun, looked at, adopted and ended from the page."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import tomli_w
from playwright.sync_api import expect
from tests.e2e.panel_browser import Panel
from tests.e2e.panel_home import Home, until
from tests.unit.catalog.gguf_files import model

from nearfield.features.metrics.store import RecordStore
from nearfield.features.suggestion_record import SuggestionRecord, Taken
from nearfield.features.trial.trial import Trial, kept_trial


@pytest.fixture
def home(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A user's home with two models, one of which completes."""
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(home.data))
    for name in ("one", "two"):
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(model())
        home.run("models", "add", name, str(path), "--role", "complete")
    home.configure({"models": {"complete": "one"}, "engine": {"enabled": False}})
    return home


def running() -> Trial:
    """The trial that the page has begun."""
    until(lambda: (found := kept_trial()) is not None and found.is_running)
    trial = kept_trial()
    assert trial is not None
    return trial


def take(trial: Trial, taken: tuple[int, int]) -> None:
    """Record 40 document-days of ten suggestions for each model, `taken` of each ten taken."""
    store = RecordStore()
    store.save(
        [
            SuggestionRecord(
                at=time.time() - 1000,
                provider="embedded",
                model=("one", "two")[arm],
                ms=100.0,
                chars=10,
                taken=Taken.ACCEPTED if place < taken[arm] + day % 3 - 1 else Taken.SHOWN,
                trial=f"{trial.id} {arm} {day:012}",
            )
            for arm in (0, 1)
            for day in range(40)
            for place in range(10)
        ]
    )
    store.close()


def test_a_trial_is_begun_seen_and_ended(home: Home, panel: Panel) -> None:
    page = panel.show("trial")
    expect(page.get_by_text("There was no trial yet.")).to_be_visible()
    page.get_by_label("Against one").select_option("two")
    page.get_by_label("Days at most").fill("7")
    page.get_by_role("button", name="Start", exact=True).click()
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text("running")
    expect(result).to_contain_text("for up to 7 more days")
    expect(result).to_contain_text("Not enough yet: 0 and 0 document-days")
    trial = running()
    assert (trial.first, trial.second, trial.days) == ("one", "two", 7)
    page.get_by_role("button", name="End the trial").click()
    expect(result).to_contain_text("You ended it.")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    until(lambda: not getattr(kept_trial(), "is_running", True))
    # Begun elsewhere, it comes to the page by itself.
    home.run("trial", "start", "complete", "two")
    expect(result).to_contain_text("running")


def test_the_better_model_is_adopted(home: Home, panel: Panel) -> None:
    page = panel.show("trial")
    page.get_by_role("button", name="Start", exact=True).click()
    result = page.get_by_role("region", name="Result")
    expect(result).to_contain_text("running")
    take(running(), (2, 6))
    expect(result).to_contain_text("Suggestions of two are taken more often than those of one")
    expect(result).to_contain_text("It is decided.")
    row = result.get_by_role("row").filter(has_text="two")
    expect(row).to_contain_text("better")
    expect(row).to_contain_text("239 (60 %)")
    page.get_by_role("button", name="Adopt two").click()
    page.get_by_role("dialog").get_by_role("button", name="Adopt").click()
    until(lambda: home.settings()["models"] == {"complete": "two"})


def test_a_refusal_is_said(home: Home, panel: Panel) -> None:
    page = panel.show("trial")
    settings = {**home.settings(), "completion": {"record": False}}
    home.config.write_bytes(tomli_w.dumps(settings).encode())
    expect(page.get_by_text("Recording is off")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".notice")).to_contain_text("Nothing is recorded.")
    assert kept_trial() is None
