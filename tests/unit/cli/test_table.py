"""Tables: nothing is cut, however narrow the terminal, and nothing is obeyed."""

from __future__ import annotations

import re

import pytest

from nearfield.cli.table import Kind, print_table

COLUMNS: dict[str, Kind] = {"model": "name", "what became of it": "words", "bytes": "number"}
ROW = ("a-model-of-some-length", "refused: the arguments are wrong", "1234567")


def printed(
    columns: int | None,
    row: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """What is printed on a terminal of so many columns; None for a pipe."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: columns is not None, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns or 20))
    print_table(COLUMNS, [row])
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.mark.parametrize("columns", [None, 20, 40, 60, 200])
def test_nothing_is_cut(
    columns: int | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = printed(columns, ROW, capsys, monkeypatch)
    assert ROW[0] in said
    assert ROW[2] in said
    assert all(word in said for word in ROW[1].split())
    assert "…" not in said


@pytest.mark.parametrize(("columns", "lines"), [(None, 2), (20, 2), (52, 3), (200, 2)])
def test_words_are_folded_where_that_helps(
    columns: int | None,
    lines: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert len(printed(columns, ROW, capsys, monkeypatch).splitlines()) == lines


def test_nothing_is_obeyed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = printed(None, ("[bold]a[/bold]", "a\x1b]0;title\x07\nb", "1"), capsys, monkeypatch)
    assert "[bold]a[/bold]" in said
    assert "\x1b" not in said
    assert len(said.splitlines()) == 2
