"""`nearfield embed`: vectors of arguments and of lines."""

from __future__ import annotations

import io
import json
import math
import sys

import pytest
import typer

from nearfield.cli.embed import embed


def test_arguments_and_lines_become_unit_vectors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "".join(f"text {number}\n\n" for number in range(40))
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    embed(["read a file", "-", "open and read a file"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 42 and {len(row) for row in rows} == {384}
    assert all(math.isclose(math.hypot(*row), 1, abs_tol=1e-3) for row in rows)
    near = sum(a * b for a, b in zip(rows[0], rows[-1], strict=True))
    assert near > sum(a * b for a, b in zip(rows[0], rows[5], strict=True))


def test_json_names_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    embed(["a", "b"], as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["dimensions"] == len(found["vectors"][0]) and len(found["vectors"]) == 2
    assert "MiniLM" in found["model"]


def test_an_empty_text_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        embed([" "])
    assert raised.value.code == 2
    assert "A text is empty" in capsys.readouterr().err


def test_no_line_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n\n"))
    with pytest.raises(typer.Exit) as raised:
        embed(["-"])
    assert raised.value.exit_code == 1
