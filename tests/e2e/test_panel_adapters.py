"""A LoRA adapter is added to a role from the panel, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.e2e.panel_browser import Panel
from tests.e2e.panel_home import Home, until
from tests.engine.families import write_adapter
from tests.unit.catalog.gguf_files import model


@pytest.fixture
def home(home: Home, tmp_path: Path) -> Home:
    """A user's home with a model whose tensor `a` is 32 by 2."""
    (tmp_path / "base.gguf").write_bytes(model())
    home.run("models", "add", "base", str(tmp_path / "base.gguf"))
    return home


def test_an_adapter_is_added_to_a_role(home: Home, panel: Panel, tmp_path: Path) -> None:
    good, bad = tmp_path / "My Style.gguf", tmp_path / "other.gguf"
    write_adapter(good, "tiny", {"a": (32, 2)})
    write_adapter(bad, "qwen2", {"a": (32, 2)})
    page = panel.show("models")
    form = page.get_by_role("region", name="Add a LoRA adapter")
    form.get_by_label("File of the adapter").fill(str(bad))
    form.get_by_role("button", name="Add").click()
    expect(page.locator(".notice")).to_contain_text("other.gguf is for qwen2, not tiny.")
    form.get_by_label("File of the adapter").fill(str(good))
    form.get_by_label("Scale").fill("0.5")
    form.get_by_label("For the role").select_option("complete")
    form.get_by_role("button", name="Add").click()
    until(lambda: home.settings().get("models") == {"complete": "my-style"})
    [mine] = [row for row in home.run("models", "list") if row["name"] == "my-style"]
    assert (mine["base"], mine["adapter"], mine["adapter_scale"]) == ("base", str(good), 0.5)
    assert "complete" in mine["used_for"]
