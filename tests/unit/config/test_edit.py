"""The user's files are changed by one statement, and say exactly what was wanted."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield.config import edit
from nearfield.config.edit import drop, put, read_tables
from nearfield.errors import ConfigError
from nearfield.files import locks


@pytest.fixture(autouse=True, scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for the lock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEARFIELD_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


FULL = """\
# Mine.
log.level = "debug" # loud
[routing]
# Which one.
strategy = "local_first"   # for now

[routing.roles]
code = [ # in this order
  "a",
  "b", # "c"
]
[providers.a]
kind = "ollama"
options = { context_tokens = 4096 } # small
# The other.
[providers.b]
kind = "scripted"
[[providers.b.options.answers]]
text = '''
[routing]
strategy = "no"
'''
"""


def test_nothing_but_the_statement_changes(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for key, value, old, new in (
        (("log", "level"), "info", '"debug" # loud', '"info" # loud'),
        (("log", "x"), 1, '"debug" # loud\n', '"debug" # loud\nlog.x = 1\n'),
        (("routing", "strategy"), "hybrid", '"local_first"   #', '"hybrid"   #'),
        (("routing", "escalate"), "ask", "# for now\n", '# for now\nescalate = "ask"\n'),
        (
            ("routing", "roles", "code"), ["b"],
            '[ # in this order\n  "a",\n  "b", # "c"\n]', '["b"]',
        ),
        (
            ("providers", "a", "options", "user"), "me",
            "{ context_tokens = 4096 }", '{ context_tokens = 4096, user = "me" }',
        ),
        (("providers", "b", "model"), "m", '"scripted"\n', '"scripted"\nmodel = "m"\n'),
        (("files", "exclude"), ["a"], "'''\n\"\"\"", ""),
    ):  # fmt: skip
        path.write_text(FULL)
        put(path, key, value)
        found = path.read_text()
        if key[0] == "files":
            assert found == f'{FULL}\n[files]\nexclude = ["a"]\n'
        else:
            assert found == FULL.replace(old, new), key


def test_a_table_is_added_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    put(path, ("providers", "a"), {"kind": "ollama", "options": {"context_tokens": 8}})
    put(path, ("log", "level"), "info")
    put(path, ("providers", "a"), {"kind": "scripted"})
    assert path.read_text() == '[log]\nlevel = "info"\n\n[providers.a]\nkind = "scripted"\n'


def test_what_is_dropped_is_gone_with_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(FULL)
    assert drop(path, ("providers", "b"))
    assert path.read_text() == FULL[: FULL.index("[providers.b]")]
    assert drop(path, ("providers", "a", "options", "context_tokens"))
    assert "options = {} # small\n# The other.\n" in path.read_text()
    assert drop(path, ("log", "level"))
    assert path.read_text().startswith("# Mine.\n[routing]\n")
    assert not drop(path, ("log", "level"))


_NAMES = st.text(min_size=1, max_size=8)
_VALUES = st.one_of(
    st.booleans(),
    st.integers(-9, 9),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=3),
)


_KEYS = st.tuples(_NAMES, _NAMES) | st.tuples(_NAMES, _NAMES, _NAMES)


@settings(max_examples=50)
@given(said=st.lists(st.tuples(_KEYS, _VALUES), max_size=6))
def test_whatever_is_put_is_read_again(
    said: list[tuple[tuple[str, ...], Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("edit") / "config.toml"
    path.write_text(FULL)
    expected: dict[str, Any] = tomllib.loads(FULL)
    for key, value in said:
        inner = expected
        for name in key[:-1]:
            inner = inner.setdefault(name, {}) if isinstance(inner, dict) else inner
        if not isinstance(inner, dict):
            with pytest.raises(ConfigError):
                put(path, key, value)
            continue
        inner[key[-1]] = value
        put(path, key, value)
    assert read_tables(path) == expected
    assert path.read_text().startswith("# Mine.\n")


@pytest.mark.parametrize("broken", [b"[models", b"\xff", b"models = 3\n"])
def test_a_file_that_cannot_be_read_is_left_alone(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(broken)
    with pytest.raises(ConfigError, match="Correct it first"):
        put(path, ("models", "complete"), "m")
    assert path.read_bytes() == broken


def test_a_link_to_the_file_stays_one(tmp_path: Path) -> None:
    real, path = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    real.write_text("[log]\n")
    path.symlink_to(real)
    put(path, ("log", "level"), "info")
    assert path.is_symlink()
    assert real.read_text() == '[log]\nlevel = "info"\n'


def test_changes_at_once_all_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "config.toml", edit.read_text

    def slowly(*arguments: Any) -> str:
        text = read(*arguments)
        time.sleep(0.01)  # others run between reading and writing
        return text

    monkeypatch.setattr(edit, "read_text", slowly)
    names = [f"n{number}" for number in range(8)]

    def set_one(name: str) -> None:
        put(path, ("a", name), 1)

    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(set_one, names))
    assert read_tables(path) == {"a": dict.fromkeys(names, 1)}


def test_a_change_waits_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "WAIT_SECONDS", 0.01)
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path))
    with FileLock(tmp_path / edit.LOCK), pytest.raises(ConfigError, match="Another process"):
        put(tmp_path / "config.toml", ("a",), 1)
    with edit.changing():
        put(tmp_path / "config.toml", ("a",), 1)
    assert read_tables(tmp_path / "config.toml") == {"a": 1}
