"""`nearfield test --run`: what is run, and what is said of it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from nearfield.cli.try_tests import run_new_tests, run_tests, without

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(("right", "code", "words"), [("2", 0, "pass"), ("3", 1, "do not all")])
async def test_tests_are_run_on_the_code_of_the_workspace(
    right: str, code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(BIN))
    root = tmp_path / "a project"
    root.mkdir()
    (root / "m.py").write_text("def total(x):\n    return x + 1\n")
    text = f"from m import total\n\n\ndef test_total():\n    assert total(1) == {right}\n"
    ran = await run_tests("test_m.py", text, root)
    assert ran.exit_code == code, ran.output
    assert words in ran.words
    assert not (root / "test_m.py").exists()


async def test_what_cannot_be_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no program 'pytest'" in (await run_tests("test_m.py", "", tmp_path)).words
    assert "only tests in Python" in (await run_tests("m.test.ts", "", tmp_path)).words


async def test_nothing_is_read_in_the_folder_of_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(BIN))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "conftest.py").write_text("raise SystemExit('trapped')\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --trapped\n")
    ran = await run_tests("test_m.py", "def test_m():\n    pass\n", tmp_path / "work")
    assert ran.exit_code == 0, ran.output


GOOD = "def test_good():\n    assert total(1) == 2\n"
BAD = "def test_bad():\n    assert total(1) == 3\n"
LIAR = (
    "def test_liar():\n    print('test_m.py:' + '9' * 5000 + ': in total')\n"
    "    assert total(1) == 3\n"
)
MIXED = (
    "def test_mixed():\n    assert total(2) == 3\n    # wrong, and the remark goes as well\n"
    "    assert total(\n        1\n    ) == 3\n    assert total(0) == 1\n    assert total(0) == 2\n"
)
MENDED = "def test_mixed():\n    assert total(2) == 3\n    assert total(0) == 1\n"
HEAD = "from m import total\n\n\n"


@pytest.mark.parametrize(
    ("before", "new", "kept", "left_out"),
    [
        (None, HEAD + BAD + "\n\n" + GOOD, HEAD + GOOD, ("test_bad",)),
        (None, HEAD + BAD, HEAD + BAD, ()),
        (None, HEAD + LIAR + "\n\n" + GOOD, HEAD + GOOD, ("test_liar",)),
        (HEAD + BAD, HEAD + BAD + "\n\n" + GOOD, HEAD + BAD + "\n\n" + GOOD, ()),
        (
            None,
            HEAD + MIXED,
            HEAD + MENDED,
            ("test_mixed: assert total(1) == 3", "test_mixed: assert total(0) == 2"),
        ),
    ],
    ids=[
        "a new test that fails is left out",
        "no test would be left",
        "its output names a line that there is not",
        "it was there before",
        "assertions that fail are left out, one after the other",
    ],
)
async def test_only_new_tests_that_fail_are_left_out(
    before: str | None,
    new: str,
    kept: str,
    left_out: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(BIN))
    (tmp_path / "m.py").write_text("def total(x):\n    return x + 1\n")
    text, ran = await run_new_tests("test_m.py", before, new, tmp_path)
    assert (text, ran.left_out) == (kept, left_out), ran.output
    assert all(name in ran.words for name in left_out)


@pytest.mark.parametrize(
    ("body", "line", "rest"),
    [
        (["assert a", "with pytest.raises(E):", "    b()"], 3, ["assert a"]),
        (["self.assertEqual(a, 1)", "assert b"], 2, ["assert b"]),
        (["x = a()", "assert x", "assert b"], 2, None),
        (["assert a", "for x in b:", "    assert x"], 4, None),
        (["assert a"], 2, None),
    ],
    ids=["expected error", "unittest", "what others need", "a loop", "the only one"],
)
async def test_only_an_assertion_that_nothing_needs_goes_alone(
    body: list[str], line: int, rest: list[str] | None
) -> None:
    other = "def test_b():\n    assert b\n"

    def file(lines: list[str]) -> str:
        return "\n    ".join(["def test_a():", *lines]) + "\n\n\n" + other

    found = without(file(body), frozenset({"test_a"}), frozenset({line}))
    assert found is not None
    assert found.text == (other if rest is None else file(rest))


@pytest.mark.parametrize(
    ("text", "names", "rest"),
    [
        (
            "class TestA:\n    def test_a(self):\n        pass\n\n\ndef test_b():\n    pass\n",
            {"test_a"},
            "def test_b():\n    pass\n",
        ),
        (
            "class TestA:\n    def test_a(self):\n        pass\n\n"
            "    def test_c(self):\n        pass\n",
            {"test_a"},
            "class TestA:\n    def test_c(self):\n        pass\n",
        ),
        (
            "@mark\ndef test_a():\n    pass\n\n\ndef test_b():\n    pass\n",
            {"test_a"},
            "def test_b():\n    pass\n",
        ),
        ("def test_a():\n    pass\n", {"test_a"}, None),
        ("def test_a(:\n", {"test_a"}, None),
    ],
    ids=["class", "method", "decorated", "the last one", "no Python"],
)
async def test_a_test_is_taken_out_whole(text: str, names: set[str], rest: str | None) -> None:
    found = without(text, frozenset(names))
    assert (found and found.text) == rest
