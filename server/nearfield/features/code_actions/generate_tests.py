"""Tests for a unit: a model's answer becomes a new test file, or the end of an existing one.

The framework and the place are the project's own (`frameworks`). The import of the tested code is
written here, because small models guess it, and so are the imports of other names that it uses
(`names`). A test with an unknown name is left out, as is a copy of the tested code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tree_sitter

from nearfield.errors import EditRefused
from nearfield.features.code_actions import check
from nearfield.features.code_actions.answer import blocks
from nearfield.features.code_actions.fit import AnswerRejected, Fitting
from nearfield.features.code_actions.frameworks import (
    Suite,
    is_test,
    module_of,
    relative_module,
    suite_for,
)
from nearfield.features.code_actions.hunks import applied
from nearfield.features.code_actions.imports import go_packages, import_edit
from nearfield.features.code_actions.layout import layout_of
from nearfield.features.code_actions.names import (
    Definitions,
    NameSource,
    exported,
    free_names,
)
from nearfield.features.code_actions.prompts import listed
from nearfield.features.code_actions.proposal import ProposedEdit
from nearfield.files.lines import split_lines
from nearfield.files.read import UnreadableFile
from nearfield.files.uris import uri_beside
from nearfield.index.files import readable
from nearfield.syntax.definitions import named_scopes
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse
from nearfield.types import Edit, Snapshot, Span

__all__ = ["OpenText", "PlannedTests", "plan_tests"]

OpenText = Callable[[str], Snapshot | None]
"""Returns the document at a path as the editor holds it, None if it is not open."""

_IS_TEST = {
    "python": re.compile(r"^[ \t]*(?:async )?def test|^class \w*Test", re.MULTILINE),
    "go": re.compile(r"^func Test\w*\(", re.MULTILINE),
    "ecma": re.compile(r"\b(?:it|test)(?:\.\w+)*\("),
}
_ASSERT = 'import assert from "node:assert";'
_ECMA_IMPORTS = {
    "vitest": 'import { describe, expect, it, test } from "vitest";',
    "node:test": f'import {{ describe, it, test }} from "node:test";\n{_ASSERT}',
    "mocha": _ASSERT,
}
_WORD = re.compile(r"[^\W\d]\w*")
MAX_BYTES = 1_000_000
"""Maximum size of an existing test file."""
_SCRIPTS = frozenset({"javascript", "javascriptreact", "typescript", "typescriptreact"})
_KEYWORDS = frozenset({"as", "const", "from", "import", "require", "type"})
_GUARD = re.compile(r"if __name__|unittest\.main|pytest\.main")


@dataclass(frozen=True)
class PlannedTests:
    """The symbol to test, the suite, and the test file `uri`, whose text is `before` ("" for a new
    one). `binding` is the statement that imports the symbol, `source` the text of its module,
    `names` finds others."""

    name: str
    symbol: str
    language: Language
    suite: Suite
    binding: str
    before: str
    version: int | None
    uri: str
    source: str = ""
    names: NameSource | None = None

    @property
    def is_new(self) -> bool:
        """Return whether the test file does not exist yet."""
        return not self.suite.exists

    def changes(self, text: str) -> tuple[ProposedEdit, ...]:
        """Return the edits of the test file that the answer `text` means. Raises
        `AnswerRejected`."""
        block = max(blocks(text), key=len, default="")
        parsed = parse(self.language, block)
        if parsed is None or not self._tests_something(block):
            raise AnswerRejected(f"there are no tests with {self.suite.framework} in it")
        if parsed.root.has_error:
            raise AnswerRejected(check.first_error(parsed))
        imports, tests = self._sorted(parsed)
        if not self._tests_something("\n".join(tests)) or self.symbol not in "\n".join(tests):
            raise AnswerRejected(f"no test of it calls `{self.symbol}`")
        imports, tests = self._resolved(imports, tests)
        return self._extended(imports, tests) if self.before else self._whole(imports, tests)

    def _tests_something(self, code: str) -> bool:
        name = self.language.name
        pattern = _IS_TEST.get(name, _IS_TEST["ecma"])
        if self.suite.framework == "unittest" and "TestCase" not in code:
            return False
        return pattern.search(code) is not None

    def _sorted(self, parsed: Parsed) -> tuple[list[str], list[str]]:
        """Return the imports and the other statements of an answer, without those that do not
        belong in a test file."""
        imports: list[str] = []
        tests: list[str] = []
        remark = ""
        for child in parsed.root.named_children:
            text = parsed.source[child.start_byte : child.end_byte].decode("utf-8", "replace")
            if child.type in self.language.comments:
                remark += text.rstrip("\n") + "\n"
                continue
            if child.type in self.language.imports:
                imports += self._import(child, text)
            elif not self._is_foreign(parsed, child, text):
                tests.append(remark + text.rstrip())
            remark = ""
        used = set(_WORD.findall("\n".join(tests)))
        if self.language.name != "go":  # the types of its library alone are known to be right
            imports = [one for one in imports if used & set(_WORD.findall(one)) - _KEYWORDS]
        return imports, tests

    def _import(self, node: tree_sitter.Node, text: str) -> list[str]:
        """Return the imports of a statement that a test file may have: not that of the tested code,
        which is written here, and not that of a module that the model made up."""
        if node.type == "package_clause":
            return []
        if self.language.name == "go":
            return [f'import "{path}"' for path in re.findall(r'"([^"]+)"', text)]
        words = re.findall(r"[\w$]+", text)
        if self.suite.framework in words and not self._is_python:
            return []  # it is imported here, with everything that a test may need
        made_up = re.search(r"your_|my_module|\bmodule\b|from ['\"]\.", text)
        return [] if self.symbol in words or made_up else [text.strip()]

    def _resolved(self, imports: list[str], tests: list[str]) -> tuple[list[str], list[str]]:
        """Return the imports with those of names that the tests lack, and the tests whose names are
        all known. Raises `AnswerRejected` if that is none."""
        if self.names is None:
            return self._with_exports(imports, tests), tests
        imports = [one for one in imports if self.names.has_module(one)]
        head = [*self._framework(tests), self.binding, self.before]
        lacking = free_names("\n".join([*head, *imports, *tests]))
        imports = [*imports, *self.names.imports(lacking)]
        lacking = free_names("\n".join([*head, *imports, *tests]))
        whole = [one for one in tests if not set(lacking) & set(_WORD.findall(one))]
        if not self._tests_something("\n".join(whole)) or self.symbol not in "\n".join(whole):
            raise AnswerRejected(f"{listed(lacking)} is not defined")
        return imports, whole

    def _with_exports(self, imports: list[str], tests: list[str]) -> list[str]:
        """Return the imports with one of what else the tests use of the tested module."""
        if self.language.name not in _SCRIPTS:
            return imports
        code = "\n".join(tests)
        bound = {*_WORD.findall("\n".join(imports)), self.symbol, *_defined(self.language, code)}
        names = [name for name in exported(self.source) if name not in bound]
        names = [name for name in names if re.search(rf"(?<![\w$.]){re.escape(name)}\b", code)]
        form = re.search(r"(from|= require\()(.*)", self.binding)
        if not names or form is None:
            return imports
        listed = ", ".join(names)
        if form[1] == "from":
            return [*imports, f"import {{ {listed} }} from{form[2]}"]
        return [*imports, f"const {{ {listed} }} = require({form[2]}"]

    def _is_foreign(self, parsed: Parsed, node: tree_sitter.Node, text: str) -> bool:
        """Return whether a statement repeats the tested code, or runs the tests."""
        names = {name for name, found in named_scopes(parsed) if _is_within(found, node)}
        if self.symbol in names and not self._tests_something(text):
            return True
        called = re.match(r"\s*test\w*\(\)", text)
        return bool(_GUARD.search(text) or (called and self.language.name == "python"))

    def _whole(self, imports: list[str], tests: list[str]) -> tuple[ProposedEdit, ...]:
        """Return the edit of a new file."""
        gap = "\n\n\n" if self.language.name == "python" else "\n\n"
        header = list(dict.fromkeys([*self._framework(tests), *imports]))
        head = "\n".join(header)
        if self.binding:
            head = f"{head}\n\n{self.binding}" if head and self._is_python else (
                f"{head}\n{self.binding}" if head else self.binding
            )  # fmt: skip
        if self.language.name == "go":
            wanted = go_packages("\n".join(tests), "")
            # Unused imports are errors, so of others only packages with a dot in their path count.
            others = [one for one in dict.fromkeys(imports) if one not in wanted and "." in one]
            head = "\n".join([self.binding, "", *wanted, *others])
        text = gap.join([head, *tests]) + "\n"
        parsed = parse(self.language, text)
        if parsed is None or parsed.root.has_error:
            raise AnswerRejected(check.first_error(parsed))
        return (ProposedEdit(Edit(Span(0, 0), text), confirm=True),)

    def _extended(self, imports: list[str], tests: list[str]) -> tuple[ProposedEdit, ...]:
        """Return the edits that add new tests at the end, and their imports at the top."""
        parsed = parse(self.language, self.before)
        if parsed is None:
            raise AnswerRejected("the test file cannot be parsed")
        known = {name for name, _ in named_scopes(parsed)}
        fresh = [one for one in tests if not known & _defined(self.language, one)]
        if not fresh:
            raise AnswerRejected("these tests are there already")
        newline = layout_of(self.before, self.language).newline
        binding = [self.binding]
        if self.language.name == "go":
            binding = go_packages("\n".join(fresh), self.before)
            imports = []
        wanted = [*self._framework(fresh), *imports, *binding]
        if self.language.name in _SCRIPTS:
            wanted = [self._lacking(parsed, one, "\n".join(fresh)) for one in wanted]
        flat = re.sub(r"\s+", " ", self.before)
        missing = [
            one for one in dict.fromkeys(wanted)
            if one and re.sub(r"\s+", " ", one) not in flat and not self._is_bound(one)
        ]  # fmt: skip
        gap = newline * (3 if self._is_python else 2)
        body = gap.join(one.replace("\n", newline) for one in fresh)
        stripped = self.before.rstrip()
        end = Edit(Span(len(stripped), len(self.before)), gap + body + newline)
        header = import_edit(parsed, missing, newline)
        edits = [edit for edit in (header, end) if edit is not None]
        after = parse(self.language, applied(self.before, edits))
        if after is None or (after.root.has_error and not parsed.root.has_error):
            raise AnswerRejected(check.first_error(after))
        return tuple(ProposedEdit(edit, confirm=True) for edit in edits)

    @staticmethod
    def _lacking(parsed: Parsed, statement: str, code: str) -> str:
        """Return an import in braces with the names that `code` uses and the file does not import,
        because importing a name twice is an error; "" without any."""
        braces = re.fullmatch(r"(import|const) \{([^{}]*)\} (.*)", statement.strip(), re.S)
        if braces is None or " as " in braces[2] or ":" in braces[2]:
            return statement
        bound: set[str] = set()
        for child in parsed.root.named_children:
            text = parsed.source[child.start_byte : child.end_byte].decode("utf-8", "replace")
            if child.type in parsed.language.imports or "require(" in text.split("\n", 1)[0]:
                bound |= set(_WORD.findall(text))
        used = set(_WORD.findall(code))
        names = [name.strip() for name in braces[2].split(",")]
        names = [name for name in names if name in used and name not in bound]
        return f"{braces[1]} {{ {', '.join(names)} }} {braces[3]}" if names else ""

    def _is_bound(self, statement: str) -> bool:
        """Return whether the test file imports the tested name already."""
        if statement != self.binding:
            return False
        pattern = rf"^\s*(?:from|import|const).*\b{re.escape(self.symbol)}\b"
        return re.search(pattern, self.before, re.MULTILINE) is not None

    def _framework(self, tests: list[str]) -> list[str]:
        """Return the imports of the framework that the tests need."""
        code = "\n".join(tests)
        if self._is_python:
            return [f"import {name}" for name in ("pytest", "unittest") if f"{name}." in code]
        if self.language.name == "go":
            return []
        return split_lines(_ECMA_IMPORTS.get(self.suite.framework, ""))

    @property
    def _is_python(self) -> bool:
        return self.language.name == "python"


def plan_tests(
    snapshot: Snapshot,
    fitting: Fitting,
    open_text: OpenText,
    exclude: Sequence[str] = (),
    definitions: Definitions = lambda name: (),
) -> PlannedTests:
    """Return the plan of tests for the unit, made without the files of `exclude`; `definitions`
    asks the index. Reads files, so call it off the event loop. Raises `EditRefused`."""
    language, unit = fitting.language, fitting.unit
    if language is None or not unit.name:
        raise EditRefused("There is no function or class here to test.")
    if snapshot.path is None:
        raise EditRefused("The document is no file yet.", "Save it, so that a test can import it.")
    if snapshot.is_cell:
        raise EditRefused("A test cannot import a notebook.", "Move the code to a module.")
    path = Path(snapshot.path)
    if is_test(language.name, path):
        raise EditRefused("This is a test already.")
    root = Path(snapshot.root) if snapshot.root else path.parent
    files = readable(root, exclude)
    suite = suite_for(language.name, path, root, files)
    symbol = unit.parent or unit.name
    document = open_text(str(suite.path))
    before, version = "", None
    uri = uri_beside(str(suite.path), snapshot.path, snapshot.uri)
    try:
        files.inside(suite.path)
        if document is not None:
            before, version, uri = document.text, document.version, document.uri
        elif suite.exists:
            found = files.text(suite.path, MAX_BYTES)
            if (
                not found.is_unambiguous
            ):  # an editor may take it for UTF-8 when it applies the edits
                raise EditRefused(
                    f"The test file that is there is in {found.encoding}, not in UTF-8."
                )
            before = found.text
    except UnreadableFile as error:
        raise EditRefused(f"The tests cannot be written: {error.message}") from error
    name = f"{unit.parent}.{unit.name}" if unit.parent else unit.name
    binding = _binding(snapshot, language, symbol, path, root, suite)
    names = None
    if language.name == "python":
        names = NameSource(module_of(path, root), snapshot.text, root, definitions)
    return PlannedTests(
        name, symbol, language, suite, binding, before, version, uri, snapshot.text, names
    )


def _binding(
    snapshot: Snapshot, language: Language, symbol: str, path: Path, root: Path, suite: Suite
) -> str:
    """Return the statement that makes `symbol` known in the test file."""
    if language.name == "python":
        return f"from {module_of(path, root)} import {symbol}"
    if language.name == "go":
        found = re.search(r"^package \w+", snapshot.text, re.MULTILINE)
        return found[0] if found else "package main"
    module = relative_module(path, suite.path)
    escaped = re.escape(symbol)
    if re.search(rf"\bexport default (?:async )?(?:function|class) {escaped}\b", snapshot.text):
        return f'import {symbol} from "{module}";'
    if re.search(r"\bmodule\.exports\b|^exports\.", snapshot.text, re.MULTILINE):
        return f'const {{ {symbol} }} = require("{module}");'
    exported = rf"\bexport (?:async |abstract )?(?:function\*?|class|const|let) {escaped}\b"
    if not re.search(rf"{exported}|\bexport \{{[^}}]*\b{escaped}\b", snapshot.text):
        raise EditRefused(
            "What is to be tested is not exported.", "Export it, so that a test can import it."
        )
    return f'import {{ {symbol} }} from "{module}";'


def _defined(language: Language, code: str) -> set[str]:
    parsed = parse(language, code)
    found = named_scopes(parsed) if parsed else []
    return {name for name, node in found if node.parent and node.parent.type != "block"}


def _is_within(inner: tree_sitter.Node, outer: tree_sitter.Node) -> bool:
    return outer.start_byte <= inner.start_byte and inner.end_byte <= outer.end_byte
