"""The token of the HTTP frontend: made once, private, and in no place that others can write to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfield.config.paths import DATA_DIR_VARIABLE
from nearfield.errors import ConfigError
from nearfield.features.token import FILE, VARIABLE, token


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {DATA_DIR_VARIABLE: str(tmp_path / "data")}


def test_the_token_is_made_once_and_kept_private(environ: dict[str, str], tmp_path: Path) -> None:
    first, second = token(environ), token(environ)
    assert first.fresh
    assert not second.fresh
    assert first.value == second.value
    assert len(first.value) >= 40
    assert [path.name for path in (tmp_path / "data").iterdir()] == [FILE]
    assert (tmp_path / "data" / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("broken", ["readable", "short", "link", "pipe"])
def test_a_file_that_cannot_be_trusted_is_replaced(
    environ: dict[str, str], tmp_path: Path, broken: str
) -> None:
    first = token(environ)
    path = tmp_path / "data" / FILE
    if broken == "readable":
        path.chmod(0o644)
    elif broken == "short":
        path.write_text("abc\n")
    else:
        kept = path.rename(tmp_path / "elsewhere")
        os.mkfifo(path, 0o600) if broken == "pipe" else path.symlink_to(kept)
    second = token(environ)
    assert second.fresh
    assert second.value != first.value
    assert path.is_file()
    assert not path.is_symlink()


def test_the_environments_token_is_preferred(environ: dict[str, str], tmp_path: Path) -> None:
    given = token({**environ, VARIABLE: "a-token-of-my-own"})
    assert given.value == "a-token-of-my-own"
    assert not (tmp_path / "data").exists()
    assert given.matches("a-token-of-my-own")
    assert not given.matches("a-token-of-my-owm")
    assert not given.matches("")


@pytest.mark.parametrize("bad", ["short", "sixteen chars ä or more", "sixteen\tchars or more"])
def test_a_weak_token_is_refused(environ: dict[str, str], bad: str) -> None:
    with pytest.raises(ConfigError, match=VARIABLE):
        token({**environ, VARIABLE: bad})


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept"):
        token({DATA_DIR_VARIABLE: str(tmp_path / "file" / "data")})
