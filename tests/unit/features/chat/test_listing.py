"""Which questions ask for files, and the files that they are answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.features.chat import folder as folder_module
from nearfield.features.chat import listing as module
from nearfield.features.chat.folder import Folder
from nearfield.features.chat.listing import listing

FILES = ("cart.py", "prices.py", "tests/test_cart.py", "web/app.ts", "web/go.mod", "notes.toml")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    for name in (*FILES, ".env", "build.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text("build.py\n")
    (tmp_path / ".git").mkdir()
    return Folder(str(tmp_path))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("List all Python files in this project.", ["cart.py", "prices.py", "tests/test_cart.py"]),
        ("Which Python files are there in tests?", ["tests/test_cart.py"]),
        ("show me the files in web/", ["web/app.ts", "web/go.mod"]),
        ("How many TypeScript files are there?", ["web/app.ts"]),
        ("What .toml files are there?", ["notes.toml"]),
        ("list the rust files", []),
        ("please list the files", [".gitignore", *FILES]),
    ],
)
def test_the_files_that_are_asked_for_are_listed(
    folder: Folder, question: str, expected: list[str]
) -> None:
    found = listing(folder, question)
    assert found is not None
    first, *shown = found[0].split("\n")
    assert sorted(shown) == sorted(expected)
    assert f"has {len(expected)} " in first


@pytest.mark.parametrize(
    "question",
    [
        "Which files use price_of?",
        "In which file is the price computed?",
        "list the files that import prices",
        "What files are responsible for prices?",
        "How many files does the index read at once for a question?",
        "Show me the cart.",
        "Which file has the settings?",
        "Write a function that lists files.",
    ],
)
def test_other_questions_are_left_to_the_index(folder: Folder, question: str) -> None:
    assert listing(folder, question) is None


def test_a_long_list_ends_with_its_count(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED_FILES", 2)
    found = listing(folder, "List the files")
    assert found is not None
    assert found[0].endswith("\n… and 5 more")
    assert found[1] == "7 files: .gitignore, cart.py, … and 5 more"


def test_a_huge_workspace_is_not_listed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "MAX_LISTED", 3)
    assert listing(folder, "List the files") is None
