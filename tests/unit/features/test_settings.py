"""Settings that are written: the file then says what was wanted, and can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nearfield.config.edit import MAX_BYTES
from nearfield.config.load import load
from nearfield.errors import ConfigError
from nearfield.features.settings import put

DEEP: Any = [[[[[[[[[[[[[[1]]]]]]]]]]]]]]
NAN = float("nan")
TABLES = '[[routing.rules]]\nuse = ["embedded"]\nname = "old"\n\n[log]\nlevel = "debug"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEARFIELD_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "config.toml"


@pytest.mark.parametrize("before", ["", TABLES, '[routing]\nrules = [{use = ["embedded"]}]\n'])
def test_rules_are_written_in_any_form(before: str, file: Path) -> None:
    file.write_text(before)
    put("routing.rules", '[{"use": ["embedded"], "min_chars": 5, "name": "new"}]', text=True)
    loaded = load()
    assert [(one.name, one.min_chars) for one in loaded.config.routing.rules] == [("new", 5)]
    assert loaded.config.log.level == ("debug" if before == TABLES else "info")


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("budget.compare_with", "x" * MAX_BYTES, "would not be read"),
        ("providers..kind", "scripted", "empty or cannot be shown"),
        ("providers.a\nb.kind", "scripted", "empty or cannot be shown"),
        ("budget.daily_hard", float("inf"), "too large, or none"),
        ("providers.p", {"kind": "scripted", "options": {"x": NAN}}, "too large, or none"),
        ("providers.p", {"kind": "scripted", "options": {"x": DEEP}}, "nested too deeply"),
    ],
)
def test_what_could_not_be_used_is_not_written(key: str, value: Any, why: str, file: Path) -> None:
    file.write_text(TABLES)
    with pytest.raises(ConfigError, match=why):
        put(key, value)
    assert file.read_text() == TABLES
