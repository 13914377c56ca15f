"""The test framework of a project and the place of its tests, found from its own files.

Reads names of files and the beginnings of a few, within bounds; nothing is run or imported.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from nearfield.errors import EditRefused
from nearfield.files.read import UnreadableFile
from nearfield.files.workspace import WorkspaceFiles
from nearfield.types import Snippet, SnippetKind

__all__ = ["TESTED", "Suite", "is_test", "module_of", "relative_module", "suite_for"]

MAX_ENTRIES = 20_000
"""File names of a project that are looked at."""
MAX_FILES_READ = 12
"""Test files that are read for their style."""
MAX_READ_BYTES = 64_000
MAX_EXAMPLE_LINES = 30
MAX_EXAMPLE_CHARS = 1500
_SKIPPED = frozenset(
    {"node_modules", "vendor", "target", "build", "dist", "venv", "site-packages", "__pycache__"}
)
_ECMA = {"javascript", "typescript", "typescriptreact"}
TESTED = frozenset({"python", "go", *_ECMA})
"""Languages for which tests can be written."""
_PATTERNS = {
    "python": re.compile(r"test_.+\.py|.+_test\.py"),
    "go": re.compile(r".+_test\.go"),
    "ecma": re.compile(r".+\.(?:test|spec)\.[cm]?[jt]sx?"),
}
_SAMPLES = {
    "pytest": "def test_add():\n    assert add(1, 2) == 3",
    "unittest": "class AddTest(unittest.TestCase):\n    def test_add(self):\n"
    "        self.assertEqual(add(1, 2), 3)",
    "the testing package": "func TestAdd(t *testing.T) {\n\tif got := Add(1, 2); got != 3 {\n"
    '\t\tt.Errorf("Add(1, 2) = %d, want 3", got)\n\t}\n}',
    "node:test": 'test("adds", () => {\n  assert.strictEqual(add(1, 2), 3);\n});',
    "mocha": 'it("adds", () => {\n  assert.strictEqual(add(1, 2), 3);\n});',
    "ava": 'test("adds", (t) => {\n  t.is(add(1, 2), 3);\n});',
}
_EXPECT = 'test("adds", () => {\n  expect(add(1, 2)).toBe(3);\n});'
"""Examples of a test, for a model, in a project without tests."""
_RUNNERS = ("vitest", "jest", "mocha", "jasmine", "ava")
_NO_EXAMPLE = Snippet("", "", SnippetKind.SIMILAR)


@dataclass(frozen=True, slots=True)
class Suite:
    """`framework` as a model knows it. `path` is the test file of a source file, which `exists` or
    would be new. `example` is the beginning of a test file of the project, or one of Nearfield's,
    which has no path."""

    framework: str
    path: Path
    exists: bool
    example: Snippet = _NO_EXAMPLE


def suite_for(language: str, path: Path, root: Path, files: WorkspaceFiles) -> Suite:
    """Return the suite for tests of the source file at `path`. Raises `EditRefused` for a language
    whose conventions are not known here."""
    if language == "python":
        suite = _python(path, root, files)
    elif language == "go":
        suite = _go(path, files)
    elif language in _ECMA:
        suite = _ecma(path, root, files)
    else:
        what = language or "this language"
        raise EditRefused(f"How tests are written in {what} is not known here.")
    if suite.example.text:
        return suite
    sample = _SAMPLES.get(suite.framework, _EXPECT)
    return replace(suite, example=Snippet("", sample, SnippetKind.SIMILAR))


def is_test(language: str, path: Path) -> bool:
    """Return whether the file at `path` is a test file."""
    pattern = _PATTERNS.get("ecma" if language in _ECMA else language)
    return pattern is not None and pattern.fullmatch(path.name) is not None


def _python(path: Path, root: Path, files: WorkspaceFiles) -> Suite:
    tests = _tests(root, _PATTERNS["python"])
    heads = {one: _head(files, one) for one in tests[:MAX_FILES_READ]}
    texts = heads.values()
    plain = sum("import pytest" in text or bool(_PYTEST.search(text)) for text in texts)
    classes = sum("unittest.TestCase" in text or "(TestCase)" in text for text in texts)
    framework = "unittest" if classes > plain else "pytest"
    names = (f"test_{path.stem}.py", f"{path.stem}_test.py")
    own = next((one for one in tests if one.name in names), None)
    if own is not None:
        return Suite(framework, own, True, _example(files, own))
    like = next((one for one, text in heads.items() if "def test" in text), None)
    behind = sum(one.name.endswith("_test.py") for one in tests)
    name = names[1] if behind > len(tests) - behind else names[0]
    place = _python_folder(path, root, tests) / name
    return Suite(framework, place, False, _example(files, like))


_PYTEST = re.compile(r"^(?:async )?def test_", re.MULTILINE)


def _python_folder(path: Path, root: Path, tests: list[Path]) -> Path:
    """Return the source's folder if it has tests, else a folder below `tests`, of the same name if
    there is one."""
    if any(one.parent == path.parent for one in tests):
        return path.parent
    top = next((root / name for name in ("tests", "test") if (root / name).is_dir()), None)
    if top is None:
        return tests[0].parent if tests else root / "tests"
    inner = list(path.parent.relative_to(root).parts)
    for start in range(len(inner) + 1):
        for sub in (Path(*inner[start:]), Path("unit", *inner[start:])):
            folder = top / sub
            if folder.is_dir() and folder != top:
                return folder
    return top


def _go(path: Path, files: WorkspaceFiles) -> Suite:
    own = path.with_name(f"{path.stem}_test.go")
    siblings = sorted(path.parent.glob("*_test.go"))
    example = _example(files, siblings[0] if siblings else None)
    return Suite("the testing package", own, os.path.lexists(own), example)


def _ecma(path: Path, root: Path, files: WorkspaceFiles) -> Suite:
    tests = _tests(root, _PATTERNS["ecma"])
    heads = {one: _head(files, one) for one in tests[:MAX_FILES_READ]}
    names = [f"{path.stem}.{infix}{path.suffix}" for infix in ("test", "spec")]
    own = next((one for one in tests if one.name in names), None)
    framework = _runner(path, root, files, "\n".join(heads.values()))
    if own is not None:
        return Suite(framework, own, True, _example(files, own))
    like = next((one for one in heads if re.search(r"\b(?:it|test)\(", heads[one])), None)
    specs = sum(".spec." in one.name for one in tests)
    name = names[1] if specs > len(tests) - specs else names[0]
    place = _ecma_folder(path, root, tests) / name
    return Suite(framework, place, False, _example(files, like))


def _ecma_folder(path: Path, root: Path, tests: list[Path]) -> Path:
    folders = [one.parent.name for one in tests]
    if folders.count("__tests__") * 2 > len(folders) and folders:
        return path.parent / "__tests__"
    for name in ("tests", "test"):
        top = root / name
        if any(one.is_relative_to(top) for one in tests):
            return top
    return path.parent


def _runner(path: Path, root: Path, files: WorkspaceFiles, tests: str) -> str:
    """Return the runner that the nearest package.json names, else the one that the tests import."""
    for folder in (path.parent, *path.parent.parents):
        found = _package(_head(files, folder / "package.json"))
        for name in _RUNNERS:
            if name in found:
                return name
        if found or folder == root:
            break
    quoted = tests.replace("'", '"')
    named = (name for name in (*_RUNNERS, "node:test") if f'"{name}"' in quoted)
    return next(named, "node:test")


def _package(text: str) -> set[str]:
    """Return the names in a package.json's dependencies and scripts."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return set()
    if not isinstance(value, dict):
        return set()
    found: set[str] = {"package.json"} if value else set()
    for key in ("devDependencies", "dependencies"):
        if isinstance(value.get(key), dict):
            found |= set(value[key])
    scripts = value.get("scripts")
    if isinstance(scripts, dict):
        found |= set(re.findall(r"[a-z]+", str(scripts.get("test", ""))))
    return found


def _tests(root: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the test files below `root`, in a stable order, within the bound. Follows no links."""
    seen, found = 0, list[Path]()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _SKIPPED
        )
        for name in sorted(names):
            seen += 1
            if seen > MAX_ENTRIES:
                return found
            if pattern.fullmatch(name):
                found.append(Path(folder, name))
    return found


def _head(files: WorkspaceFiles, path: Path) -> str:
    """Return the beginning of a file, "" if it cannot be read."""
    try:
        return files.beginning(path, MAX_READ_BYTES).decode("utf-8-sig", "replace")
    except UnreadableFile:
        return ""


def _example(files: WorkspaceFiles, path: Path | None) -> Snippet:
    """Return the beginning of a test file, which shows the form of a test; no text if it is
    long."""
    if path is None:
        return _NO_EXAMPLE
    lines = _head(files, path).replace("\r\n", "\n").split("\n")[:MAX_EXAMPLE_LINES]
    text = "\n".join(lines)
    shown = text.strip("\n") if len(text) < MAX_EXAMPLE_CHARS else ""
    return Snippet(str(path), shown, SnippetKind.SIMILAR)


def module_of(path: Path, root: Path) -> str:
    """Return Python's import name of the module at `path`."""
    top = path.parent
    while (top / "__init__.py").exists() and top != top.parent:
        top = top.parent
    parts = path.relative_to(top).with_suffix("").parts
    if len(parts) == 1 and path.is_relative_to(root):
        # A folder without `__init__.py` below the root is a package too, unless it is `src`.
        inner = path.relative_to(root).with_suffix("").parts
        parts = inner[1:] if inner[0] in ("src", "lib") else inner
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def relative_module(source: Path, test: Path) -> str:
    """Return the path under which a JavaScript test imports the module at `source`."""
    shared = os.path.relpath(source.with_suffix(""), test.parent)
    posix = PurePosixPath(*Path(shared).parts).as_posix()
    return posix if posix.startswith(".") else f"./{posix}"
