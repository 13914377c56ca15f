"""The panel's list of models that can be picked, and picking one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.config.load import load
from nearfield.errors import ConfigError, NotPermitted
from nearfield.panel.jobs import Jobs
from nearfield.panel.models import ModelsView, RoleOfModel

SETTINGS = """
[engine]
enabled = false

[routing]
strategy = "local_first"

[providers.here]
kind = "scripted"
model = "small"

[providers.claude]
kind = "anthropic"
model = "claude-sonnet-5"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"NEARFIELD_{name}_DIR", str(tmp_path))
    (tmp_path / "config.toml").write_text(SETTINGS)


async def test_models_are_listed_and_picked_as_in_editors() -> None:
    view = ModelsView(Jobs())
    found = await view.reads()["models/picks"]({"role": "code"})
    groups = {one.provider: one for one in found.groups}
    assert [one.name for one in groups["here"].models] == ["here"]
    assert "consent allow claude" in groups["claude"].models[0].refused
    use = view.actions()["models/use"].do
    now = await use(RoleOfModel("code", "here"))
    assert (now["model"], now["installed"]) == ("here", True)
    assert load().config.routing.roles["code"][0] == "here"
    with pytest.raises(NotPermitted, match="claude is outside this machine"):
        await use(RoleOfModel("code", "claude"))
    with pytest.raises(ConfigError, match="no role"):
        await view.reads()["models/picks"]({"role": "cook"})
