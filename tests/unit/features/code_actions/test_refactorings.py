"""Rename, inline and extract without a model: tables of code before and after. `«…»` is the
selection, `|` the cursor; None says that nothing is safe there."""

from __future__ import annotations

import pytest

from nearfield.errors import EditRefused
from nearfield.features.code_actions.hunks import applied
from nearfield.features.code_actions.proposal import ActionRequest
from nearfield.features.code_actions.refactorings import offered, refactored
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Snapshot, Span


def check(action: str, language: str, code: str, expected: str | None, name: str = "") -> None:
    """Do `action` on `code`; it is offered exactly where it does something."""
    if "|" in code:
        start = end = code.index("|")
        text = code.replace("|", "", 1)
    else:
        start, end = code.index("«"), code.index("»") - 1
        text = code.replace("«", "").replace("»", "")
    row = language_for(language)
    assert row is not None
    parsed = parse(row, text)
    span = Span(start, end)
    snapshot = Snapshot("file:///a", language, 1, text)
    request = ActionRequest(action, snapshot, span, instruction=name)
    is_offered = action in [one.action for one in offered(parsed, span) if not one.why]
    assert is_offered == (expected is not None)
    if expected is None:
        with pytest.raises(EditRefused):
            refactored(request, parsed)
        return
    assert applied(text, [change.edit for change in refactored(request, parsed)]) == expected


RENAMES = {
    "a local variable": (
        "python",
        "def f(a):\n    x| = a\n    return x + a.x + g(x=x)\n",
        "def f(a):\n    new_ = a\n    return new_ + a.x + g(x=new_)\n",
    ),
    "a parameter": ("python", "def f(a|):\n    return a\n", "def f(new_):\n    return new_\n"),
    "from a use in a closure": (
        "python",
        "def f(a):\n    def g():\n        return a|\n    return g\n",
        "def f(new_):\n    def g():\n        return new_\n    return g\n",
    ),
    "a parameter that a call names": ("python", "def f(a|):\n    return a\nf(a=1)\n", None),
    "a global": ("python", "x = 1\ndef f():\n    return x|\n", None),
    "declared global": ("python", "def f():\n    global x\n    x| = 1\n", None),
    "shadowed in a closure": (
        "python",
        "def f(a|):\n    def g(a):\n        return a\n    return g(a)\n",
        None,
    ),
    "with eval about": ("python", "def f(a|):\n    return eval('a')\n", None),
    "an attribute": ("python", "def f(a):\n    return a.b|\n", None),
    "in JavaScript": (
        "javascript",
        "function f(a) {\n  const x| = a.x;\n  return `${x}` + x;\n}\n",
        "function f(a) {\n  const new_ = a.x;\n  return `${new_}` + new_;\n}\n",
    ),
    "in a short property": (
        "javascript",
        "function f(a) {\n  const x| = a;\n  return {x};\n}\n",
        None,
    ),
    "declared in two blocks": (
        "javascript",
        "function f(a) {\n  if (a) { let x| = 1; g(x); }\n  let x = 2;\n  return x;\n}\n",
        None,
    ),
    "a typed parameter": (
        "typescript",
        "function f(a|: number): number {\n  return a * 2;\n}\n",
        "function f(new_: number): number {\n  return new_ * 2;\n}\n",
    ),
    "in Go": (
        "go",
        "package m\nfunc f(a int) int {\n\tx| := a\n\tx++\n\treturn x\n}\n",
        "package m\nfunc f(a int) int {\n\tnew_ := a\n\tnew_++\n\treturn new_\n}\n",
    ),
}


@pytest.mark.parametrize("case", RENAMES.values(), ids=RENAMES.keys())
def test_rename_changes_every_use(case: tuple[str, str, str | None]) -> None:
    check("rename", *case, name="new_")


@pytest.mark.parametrize("name", ["", "two words", "1st", "return", "a", "len"])
def test_rename_refuses_a_name_that_cannot_be_used(name: str) -> None:
    row = language_for("python")
    assert row is not None
    text = "def f(a, b):\n    return len(a) + b\n"
    request = ActionRequest(
        "rename", Snapshot("file:///a", "python", 1, text), Span(9, 9), instruction=name
    )
    with pytest.raises(EditRefused):
        refactored(request, parse(row, text))


INLINES = {
    "a sum": (
        "python",
        "def f(a):\n    x| = a + 1\n    return x * x\n",
        "def f(a):\n    return (a + 1) * (a + 1)\n",
    ),
    "a name": ("python", "def f(a):\n    x| = a\n    return x\n", "def f(a):\n    return a\n"),
    "a call": ("python", "def f(a):\n    x| = g(a)\n    return x\n", None),
    "an attribute": ("python", "def f(a):\n    x| = a.b\n    a.b = 2\n    return x\n", None),
    "given a value twice": ("python", "def f(a):\n    x| = a\n    x = 2\n    return x\n", None),
    "of what changes": ("python", "def f(a):\n    x| = a\n    a = 2\n    return x + a\n", None),
    "a global in it": ("python", "def f(a):\n    x| = a + G\n    return x\n", None),
    "never used": ("python", "def f(a):\n    x| = a\n    return a\n", None),
    "used beyond its block": (
        "python",
        "def f(a):\n    if a:\n        x| = a\n    return x\n",
        None,
    ),
    "in TypeScript": (
        "typescript",
        "function f(a: number) {\n  const x| = a - 1;\n  return x;\n}\n",
        "function f(a: number) {\n  return (a - 1);\n}\n",
    ),
    "in Go": (
        "go",
        "package m\nfunc f(a int) int {\n\tx| := a * 2\n\treturn x\n}\n",
        "package m\nfunc f(a int) int {\n\treturn (a * 2)\n}\n",
    ),
    "received from a channel": (
        "go",
        "package m\nfunc f(a chan int) int {\n\tx| := <-a\n\treturn x\n}\n",
        None,
    ),
}


@pytest.mark.parametrize("case", INLINES.values(), ids=INLINES.keys())
def test_inline_replaces_every_use(case: tuple[str, str, str | None]) -> None:
    check("inline_variable", *case)


VARIABLES = {
    "a part of a sum": (
        "python",
        "def f(a):\n    return «a * 2» + 1\n",
        "def f(a):\n    extracted = a * 2\n    return extracted + 1\n",
    ),
    "a condition": (
        "python",
        "def f(a):\n    if «a > 2»:\n        return 1\n",
        "def f(a):\n    extracted = a > 2\n    if extracted:\n        return 1\n",
    ),
    "what a loop goes over": (
        "python",
        "def f(a):\n    for x in «sorted(a)»:\n        g(x)\n",
        "def f(a):\n    extracted = sorted(a)\n    for x in extracted:\n        g(x)\n",
    ),
    "a name that is taken": (
        "python",
        "def f(extracted):\n    return «g(extracted)» + 1\n",
        "def f(extracted):\n    extracted2 = g(extracted)\n    return extracted2 + 1\n",
    ),
    "the right of an and": ("python", "def f(a):\n    return a and «a.b»\n", None),
    "the condition of a while": ("python", "def f(a):\n    while «g(a)»:\n        h()\n", None),
    "in a comprehension": ("python", "def f(a):\n    return [«x + 1» for x in a]\n", None),
    "what is assigned to": ("python", "def f(a):\n    «a.b» = 1\n", None),
    "half an expression": ("python", "def f(a):\n    return a «* 2»\n", None),
    "an awaited one": ("python", "async def f(a):\n    return «await a» + 1\n", None),
    "a whole statement": ("python", "def f(a):\n    «g(a)»\n", None),
    "in JavaScript": (
        "javascript",
        "function f(a) {\n  return g(«a * 2»);\n}\n",
        "function f(a) {\n  const extracted = a * 2;\n  return g(extracted);\n}\n",
    ),
    "behind &&": ("javascript", "function f(a) {\n  return a && «a.b.c»;\n}\n", None),
    "in a branch without braces": ("javascript", "function f(a) {\n  if (a) g(«a.b»);\n}\n", None),
    "in Go": (
        "go",
        "package m\nfunc f(a int) int {\n\treturn «a * 2» + 1\n}\n",
        "package m\nfunc f(a int) int {\n\textracted := a * 2\n\treturn extracted + 1\n}\n",
    ),
    "of a name that the if binds": (
        "go",
        "package m\nfunc f() {\n\tif x := g(); «x + 1» > 2 {\n\t\th()\n\t}\n}\n",
        None,
    ),
}


@pytest.mark.parametrize("case", VARIABLES.values(), ids=VARIABLES.keys())
def test_extract_a_variable(case: tuple[str, str, str | None]) -> None:
    check("extract_variable", *case)


FUNCTIONS = {
    "with input and output": (
        "python",
        "def f(a):\n    «b = a + 1\n    c = b * 2»\n    return c\n",
        "def extracted_part(a):\n    b = a + 1\n    c = b * 2\n    return c\n\n\n"
        "def f(a):\n    c = extracted_part(a)\n    return c\n",
    ),
    "of a method, with two outputs": (
        "python",
        "class A:\n    def f(self):\n        «b = self.x\n        c = b»\n        return b + c\n",
        "def extracted_part(self):\n    b = self.x\n    c = b\n    return b, c\n\n\n"
        "class A:\n    def f(self):\n        b, c = extracted_part(self)\n        return b + c\n",
    ),
    "with a return in it": ("python", "def f(a):\n    «if a:\n        return 1»\n    g()\n", None),
    "with a yield in it": ("python", "def f(a):\n    «yield a\n    g()»\n", None),
    "that adds to what is outside": ("python", "def f(a):\n    «a += 1»\n    return a\n", None),
    "half a statement": ("python", "def f(a):\n    if a:\n        «g()\n    h()»\n", None),
    "outside of a function": ("python", "«x = 1\ny = 2»\n", None),
    "in JavaScript": (
        "javascript",
        "function f(a) {\n  «const b = a + 1;\n  g(b);»\n  return b;\n}\n",
        "function extracted_part(a) {\n  const b = a + 1;\n  g(b);\n  return b;\n}\n\n"
        "function f(a) {\n  const b = extracted_part(a);\n  return b;\n}\n",
    ),
    "with this in it": ("javascript", "function f(a) {\n  «g(this.x);\n  h();»\n}\n", None),
    "in TypeScript, which needs types": (
        "typescript",
        "function f(a: number) {\n  «g(a);»\n}\n",
        None,
    ),
    "in Go, which needs types": ("go", "package m\nfunc f(n int) {\n\t«g(n)»\n\th()\n}\n", None),
    "that gives a value to what is outside": (
        "python",
        "def f(n):\n    «n = 2»\n    return n\n",
        None,
    ),
}


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_extract_a_function(case: tuple[str, str, str | None]) -> None:
    check("extract_function", *case)


def test_a_language_with_types_says_why_statements_cannot_become_a_function() -> None:
    row = language_for("go")
    assert row is not None
    text = "package m\nfunc f(n int) int {\n\tb := g(n)\n\treturn b\n}\n"
    start = text.index("b :=")
    [found] = offered(parse(row, text), Span(start, text.index("\n\treturn")))
    assert found.action == "extract_function"
    assert "needs types" in found.why


def test_nothing_is_offered_in_a_file_that_does_not_parse() -> None:
    check("rename", "python", "def f(a|):\n    return (a\n", None)
