"""From a model's answer to the edit of a unit: a table of documents, answers and outcomes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nearfield.features.code_actions.fit import UNCHANGED, UNSOLVED, AnswerRejected, Fitting
from nearfield.features.code_actions.hunks import applied
from nearfield.syntax.definitions import unit_at
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Span


def fitting(
    language: str,
    code: str,
    *,
    free: bool = False,
    loose: bool = False,
    repair: bool = False,
    layout: bool = False,
    wrong: str = "",
) -> Fitting:
    """The unit at `|` in `code`; `wrong` is the text that a problem is about."""
    place = code.index("|")
    text = code.replace("|", "", 1)
    row = language_for(language)
    parsed = parse(row, text) if row else None
    unit = unit_at(parsed, text, Span(place, place))
    at = text.index(wrong) if wrong else -1
    problems = (Span(at, at + len(wrong)),) if wrong else ()
    return Fitting(text, parsed, unit, free, loose, repair=repair, layout=layout, problems=problems)


def check(language: str, code: str, answer: str, expected: str, **how: Any) -> None:
    """What the document becomes by `answer`."""
    found = fitting(language, code, **how)
    changes = found.changes(answer)
    assert applied(found.text, [change.edit for change in changes]) == expected


ADD = "import os\n\n\ndef add(a, b):\n    return a |- b\n\n\nx = 1\n"
ADDED = "import os\n\n\ndef add(a, b):\n    return a + b\n\n\nx = 1\n"
GOOD = "def add(a, b):\n    return a + b"
FORMS = {
    "a fenced block": f"```python\n{GOOD}\n```",
    "prose around it": f"Sure! Here it is:\n\n```python\n{GOOD}\n```\n\nIt adds now.",
    "bare code": GOOD,
    "bare code under prose": f"Here is the corrected function:\n{GOOD}",
    "a fence that is not closed": f"```python\n{GOOD}",
    "a fence without a language": f"```\n{GOOD}\n```",
    "tildes": f"~~~\n{GOOD}\n~~~",
    "an example of its use below": f"```python\n{GOOD}\n\nprint(add(1, 2))\n```",
    "the whole file": f"```python\nimport os\n\n\n{GOOD}\n\n\nx = 1\n```",
    "the wrong block first": f"```\npip install x\n```\n```python\n{GOOD}\n```",
    "carriage returns": f"```python\r\n{GOOD}\r\n```".replace("\n", "\r\n").replace("\r\r", "\r"),
    "two spaces for a step": "```python\ndef add(a, b):\n  return a + b\n```",
    "indented as a whole": "```python\n    def add(a, b):\n        return a + b\n```",
    "types that were not asked for": "```python\ndef add(a: int, b: int) -> int:\n    return a + b\n```",
    "a remark of its own": "```python\ndef add(a, b):\n    return a + b  # was a - b\n```",
}  # fmt: skip


@pytest.mark.parametrize("answer", FORMS.values(), ids=FORMS.keys())
def test_the_forms_that_answers_have(answer: str) -> None:
    expected = ADDED
    if "was a - b" in answer:
        expected = ADDED.replace("a + b\n", "a + b  # was a - b\n")
    check("python", ADD, answer, expected)


METHOD = '''class A:
\t@property
\tdef total(self, xs: list[int]) -> int:
\t\t"""Sum them.

\t\tAll of them.
\t\t"""
\t\t# start here
\t\tn = 1  # wrong

\t\tfor x in xs:
\t\t\tn |+= x
\t\treturn n  # done

\tdef other(self): pass
'''


def test_comments_docstring_decorator_and_types_stay() -> None:
    answer = "def total(self, xs):\n    n = 0\n    for x in xs:\n        n += x\n    return n"
    check("python", METHOD, answer, METHOD.replace("|", "").replace("n = 1", "n = 0"))


def test_another_docstring_is_not_taken_over() -> None:
    answer = 'def total(self, xs):\n    """Other."""\n    n = 0\n    for x in xs:\n        n += x\n    return n'
    check("python", METHOD, answer, METHOD.replace("|", "").replace("n = 1", "n = 0"))


def test_the_requested_lines_may_change() -> None:
    answer = '```python\ndef add(first, second):\n    """Add."""\n    return first + second\n```'
    check(
        "python", ADD, answer,
        'import os\n\n\ndef add(first, second):\n    """Add."""\n    return first + second\n\n\nx = 1\n',
        free=True, loose=True,
    )  # fmt: skip


TS = """class A {\r
  // adds\r
  async add(a: number, b: number): Promise<number> {\r
    // why\r
    const x = a |- b; // the sum\r
    return x;\r
  }\r
}\r
"""


@pytest.mark.parametrize(
    "answer",
    [
        "async add(a, b) {\n    const x = a + b;\n    return x;\n}",
        "class A {\n    async add(a: number, b: number): Promise<number> {\n"
        "        const x = a + b;\n        return x;\n    }\n}",
        "add(a: number, b: number) {\n\tconst x = a + b;\n\treturn x;\n}",
    ],
)
def test_a_method_with_carriage_returns(answer: str) -> None:
    check("typescript", TS, f"```ts\n{answer}\n```", TS.replace("|- b", "+ b"))


def test_an_arrow_function_stays_an_arrow_function() -> None:
    code = "export const f = (a: number): number => {\n  return |a\n};\n"
    answer = "```ts\nfunction f(a: number) {\n    return a + 1\n}\n```"
    expected = "export const f = (a: number): number => {\n  return a + 1\n};\n"
    check("typescript", code, answer, expected)


GO = 'package m\n\n// Say says it.\nfunc Say(a int) string {\n\treturn |""\n}\n'


def test_go_gets_its_tabs_and_its_import() -> None:
    answer = "```go\npackage m\n\nfunc Say(a int) string {\n    return fmt.Sprint(a)\n}\n```"
    found = fitting("go", GO)
    changes = found.changes(answer)
    assert [change.confirm for change in changes] == [True, False]
    assert applied(found.text, [change.edit for change in changes]) == GO.replace(
        '|""', "fmt.Sprint(a)"
    ).replace("package m\n", 'package m\n\nimport "fmt"\n')


def test_needed_imports_and_helpers_are_added() -> None:
    answer = (
        "```python\nimport os\nimport math\nimport sys\n\ndef half(a):\n    return a / 2\n\n"
        "def unused():\n    pass\n\ndef add(a, b):\n    return half(math.floor(a)) + b\n```"
    )
    found = fitting("python", ADD)
    changes = found.changes(answer)
    assert [change.confirm for change in changes] == [True, True, False]
    assert applied(found.text, [change.edit for change in changes]) == (
        "import os\nimport math\n\n\ndef half(a):\n    return a / 2\n\n\n"
        "def add(a, b):\n    return half(math.floor(a)) + b\n\n\nx = 1\n"
    )


def test_a_file_that_mixes_steps_stays_python() -> None:
    code = (
        'def f(s):\n    """Doc."""\n    if s:\n      return |1\n    for a in s:\n      if a:\n'
        "        return 2\n    return 3\n"
    )
    answer = 'def f(s):\n    """Doc."""\n    if not s:\n        return 1\n    return 3\n'
    expected = 'def f(s):\n    """Doc."""\n    if not s:\n        return 1\n    return 3\n'
    check("python", code, answer, expected)


MIXED = "def f(s):\n    if s:\n      return |1\n\n    for a in s:\n\n      if a:\n        return 2\n    return 3\n"


def test_an_answer_that_mixes_steps_as_the_file_does() -> None:
    check("python", MIXED, MIXED.replace("|1", "4"), MIXED.replace("|1", "4"))
    own = MIXED.replace("return |1", "|return 1")
    check(
        "python",
        own,
        own.replace("|return 1", "return 1").replace("if a", "if not a"),
        own.replace("|", "").replace("if a", "if not a"),
    )


REPEATED = {
    "a comment": "def f(a):\n    # why\n    return |a\n",
    "an empty line": "def f(a):\n    b = 1\n\n    return |a\n",
    "both, and more": "def f(a):\n    b = 1\n\n    # why\n    # how\n    return |a\n",
}


@pytest.mark.parametrize("code", REPEATED.values(), ids=REPEATED.keys())
def test_lines_above_a_changed_line_are_not_doubled(code: str) -> None:
    expected = code.replace("|a", "a + 1")
    check("python", code, expected, expected)


def test_text_in_a_string_is_not_laid_out() -> None:
    code = 'def f(a):\n    s = """\n  two\n    four\n"""\n    return |a\n'
    answer = 'def f(a):\n    s = """\n  two\n    four\n"""\n    return a + 1\n'
    check("python", code, answer, code.replace("|a", "a + 1"))


def test_mixed_line_ends_stay_as_they_are() -> None:
    code = "def f(a):\r\n    b = a\n    c = |b\r\n    return c\n"
    answer = "def f(a):\n    b = a\n    c = b + 1\n    return c\n"
    check("python", code, answer, code.replace("|b", "b + 1"))


def test_a_language_without_a_grammar() -> None:
    check("cobol", "ADD 1\nSUB |1\n", "```\nADD 1\nSUB 2\n```", "ADD 1\nSUB 2\n")


LONG = "class A:\n    def f(self):\n        return 1\n\n    x = |1\n\n    def g(self):\n        return 2\n"
REFUSALS = {
    "nothing": (ADD, "", "no `add`"),
    "prose alone": (ADD, "I think that the function is fine as it is.", "no `add`"),
    "another function": (ADD, "```python\ndef sub(a, b):\n    return a\n```", "no `add`"),
    "the same": (ADD, "```python\ndef add(a, b):\n    return a - b\n```", UNCHANGED),
    "the same in mixed steps": (MIXED, MIXED.replace("|", ""), UNCHANGED),
    "the same with a remark": (ADD, "# Fixed!\ndef add(a, b):\n\n    return a - b\n", UNCHANGED),
    "it does not parse": (ADD, "```python\ndef add(a, b):\n    return (a + b\n```", "syntax|missing"),
    "other parameters": (ADD, "```python\ndef add(a, c):\n    return a + c\n```", "must begin with"),
    "left out": (
        ADD, "```python\ndef add(a, b):\n    # ... existing code ...\n    return a + b\n```", "left out",
    ),
    "a method is gone": (
        LONG, "```python\nclass A:\n    x = 2\n\n    def g(self):\n        return 2\n```", "`f`",
    ),
    "a method is another": (
        LONG,
        "```python\nclass A:\n    def f(self, y):\n        return 1\n\n    def g(self):\n        return 2\n```",
        "`f` must be declared as before",
    ),
}  # fmt: skip


LOCAL = "def add(a, b):\n    def both():\n        return a |- b\n    return both()\n"


def test_an_unused_inner_function_may_be_removed() -> None:
    # The cursor is at the outer one.
    code = LOCAL.replace("|", "").replace("def add", "def |add")
    check("python", code, GOOD, f"{GOOD}\n")
    with pytest.raises(AnswerRejected, match="`both` is missing"):
        fitting("python", code).changes("def add(a, b):\n    return both() + 1\n")


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_unusable_answers_are_refused(case: tuple[str, str, str]) -> None:
    code, answer, complaint = case
    with pytest.raises(AnswerRejected) as caught:
        fitting("python", code).changes(answer)
    assert re.search(complaint, str(caught.value))


def test_a_file_that_is_broken_elsewhere_can_be_worked_on() -> None:
    code = "def add(a, b):\n    return a |- b\n\n\ndef broken(:\n    pass\n"
    check("python", code, GOOD, code.replace("|- b", "+ b"))


UNITS = {
    "a function": ("python", "def f():\n    a = |1\n", "f"),
    "a decorator": ("python", "@|d\ndef f():\n    a = 1\n", "f"),
    "the innermost": ("python", "def f():\n    def g():\n        |a\n    b\n", "g"),
    "a lambda is none": ("python", "def f():\n    return g(lambda: |a)\n", "f"),
    "a class": ("python", "class A:\n    x = |1\n", "A"),
    "a statement of a file": ("python", "x = 1\ny = |2\n", ""),
    "a callback": ("javascript", "function f() {\n  g(() => { |a });\n}\n", "f"),
    "a constant that is a function": ("typescript", "export const |f = () => {\n  a;\n};\n", "f"),
    "a function in a line with others": ("javascript", "g(function f() { |a; });\n", ""),
    "a Go method": ("go", "package m\nfunc (t T) f() {\n\t|a()\n}\n", "f"),
    "a Rust method": ("rust", "impl T {\n    fn f(&self) {\n        |a();\n    }\n}\n", "f"),
    "a C function": ("c", "static int *f(int a) {\n  return |0;\n}\n", "f"),
    "a Java method": ("java", "class A {\n  void f() {\n    |a();\n  }\n}\n", "f"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNITS.values(), ids=UNITS.keys())
def test_the_smallest_unit(case: tuple[str, str, str]) -> None:
    language, code, name = case
    found = fitting(language, code)
    assert found.unit.name == name
    text = found.unit.text(found.text)
    assert found.text.startswith(text, found.unit.span.start)
    assert not text.endswith("\n")


GUARD = "    if items is None:\n        items = []\n"
DEFAULTS = {
    "a mutable default": (
        "python",
        "def f(x, items=[]):\n    items.append(x)\n    return| items\n",
        f"def f(x, items=None):\n{GUARD}    items.append(x)\n    return items",
        f"def f(x, items=None):\n{GUARD}    items.append(x)\n    return items\n",
    ),
    "with a type that follows its value": (
        "python",
        "def f(x: int, items: list[int] = []) -> None:\n    items|.append(x)\n",
        f"def f(x, items: list[int] | None = None):\n{GUARD}    items.append(x)",
        f"def f(x: int, items: list[int] | None = None) -> None:\n{GUARD}    items.append(x)\n",
    ),
    "with a type that the answer leaves out": (
        "python",
        "def f(items: list = []):\n    return| items\n",
        f"def f(items=None):\n{GUARD}    return items",
        f"def f(items: list = None):\n{GUARD}    return items\n",
    ),
    "of a method, beside one that stays": (
        "python",
        "class A:\n    def f(self, n=1, at={}):\n        at|[n] = 1\n",
        "def f(self, n=1, at=None):\n    at = at or {}\n    at[n] = 1",
        "class A:\n    def f(self, n=1, at=None):\n        at = at or {}\n        at[n] = 1\n",
    ),
    "of TypeScript": (
        "typescript",
        "export function f(a: number, step = 0): number {\n  return| a / step;\n}\n",
        "function f(a, step = 1) {\n  return a / step;\n}",
        "export function f(a: number, step = 1): number {\n  return a / step;\n}\n",
    ),
}


@pytest.mark.parametrize("case", DEFAULTS.values(), ids=DEFAULTS.keys())
def test_a_repair_may_change_default_values(case: tuple[str, str, str, str]) -> None:
    language, code, answer, expected = case
    check(language, code, f"```\n{answer}\n```", expected, repair=True)


def test_what_is_no_repair_keeps_default_values() -> None:
    code = "def f(x, n=1):\n    return| x - n\n"
    check(
        "python", code, "def f(x, n=2):\n    return x + n", code.replace("|", "").replace("-", "+")
    )


UNREPAIRED = {
    "a remark alone": (
        "def f(a):\n    return| a\n", "def f(a):\n    # fixed\n    return a", "", UNCHANGED,
    ),
    "other white space alone": (
        "def f(a):\n    return| a-1\n", "def f(a):\n    return a - 1", "", UNCHANGED,
    ),
    "a default value that stays as it was": (
        "def f(x, items=[]):\n    return| items\n",
        "def f(x, items=[]):\n    items = items or []\n    return items",
        "[]",
        UNSOLVED,
    ),
    "a syntax error that stays": (
        "def f(a):\n    x = (\n    return| a\n", "def f(a):\n    x = (\n    return a + 1", "", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREPAIRED.values(), ids=UNREPAIRED.keys())
def test_an_edit_that_changes_nothing_of_the_problem_is_no_repair(
    case: tuple[str, str, str, str],
) -> None:
    code, answer, wrong, complaint = case
    with pytest.raises(AnswerRejected, match=complaint or None):
        fitting("python", code, repair=True, wrong=wrong).changes(f"```python\n{answer}\n```")


def test_a_repair_of_layout_may_change_layout_alone() -> None:
    check(
        "python",
        "def f(a):\n    return| a-1\n",
        "def f(a):\n    return a - 1",
        "def f(a):\n    return a - 1\n",
        repair=True,
        layout=True,
    )
