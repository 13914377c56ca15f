"""The white space of a suggestion: what its format asks, what its file shows, what the model wrote.

Tables: a document with the cursor at "█", what the model writes, what is shown.
"""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from nearfield.features.code_actions.fit import Fitting
from nearfield.features.code_actions.hunks import applied
from nearfield.features.completion.postprocess import Shaper
from nearfield.syntax.definitions import unit_at
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.syntax.white_space import White, format_of
from nearfield.types import Snapshot, Span


def shown(language: str, path: str, marked: str, said: str) -> str:
    text = marked.replace("█", "")
    row = language_for(language, path)
    parsed = parse(row, text) if row else None
    snapshot = Snapshot(f"file://{path}", language, 1, text, path)
    shaped = Shaper(snapshot, parsed, marked.index("█")).finish(said)
    return shaped.text or f"-{shaped.reason}"


SPACED = "SOURCES = a.c \\\n          b.c \\\n          c.c\n\n"

FORMATS = [
    # language, path, document, what the model writes, what is shown
    ("makefile", "/w/Makefile", SPACED + "all: $(SOURCES)\n█", "\tcc -o $@ $^\n\techo a\n", "\tcc -o $@ $^\n\techo a"),
    ("makefile", "/w/Makefile", SPACED + "all: $(SOURCES)\n█", "    cc -o $@ $^\n    echo a\n", "\tcc -o $@ $^\n\techo a"),
    ("makefile", "/w/Makefile", "█", "all: a.c\n\tcc -o a a.c\n", "all: a.c\n\tcc -o a a.c"),
    ("makefile", "/w/Makefile", "█", "all: a.c\n  cc -o a a.c\n", "all: a.c\n\tcc -o a a.c"),
    ("makefile", "/w/Makefile", SPACED + "all:\n\tcc \\\n█", "\t    -o $@ \\\n\t    $^\n", "\t    -o $@ \\\n\t    $^"),
    ("makefile", "/w/Makefile", SPACED + "FLAGS = -a \\\n█", "        -b \\\n        -c\n", "        -b \\\n        -c"),
    ("makefile", "/w/Makefile", SPACED + "all:\n\t█", "\tcc a.c\n", "cc a.c"),
    ("", "/w/rules.mk", SPACED + "a b: c\n█", "  touch $@\n", "\ttouch $@"),
    ("makefile", "/w/Makefile", SPACED + "X := 1\n█", "ifeq ($(X),1)\n  Y = 2\nendif\n", "ifeq ($(X),1)\n  Y = 2"),
    ("go", "/w/a.go", "package a\n\n/*\n   spaces\n   spaces\n   spaces\n*/\nfunc f(a int) int {\n\t█\n}\n", "if a > 1 {\n\t\treturn a\n\t}\n", "if a > 1 {\n\t\treturn a\n\t}"),
    ("go", "/w/a.go", "package a\n\nfunc f(a int) int {\n█\n}\n", "    if a > 1 {\n        return a\n    }\n", "\tif a > 1 {\n\t\treturn a\n\t}"),
    ("go.mod", "/w/go.mod", "module a\n\nrequire (\n█\n)\n", "    b v1.0.0\n", "\tb v1.0.0"),
    ("", "/w/.gitmodules", '[submodule "a"]\n█', "\tpath = a\n\turl = b\n", "\tpath = a\n\turl = b"),
    ("", "/w/.gitmodules", '[submodule "a"]\n█', "    path = a\n    url = b\n", "\tpath = a\n\turl = b"),
    ("", "/w/.gitmodules", '# a\n#   b\n  # c\n  # d\n[submodule "a"]\n█', "\tpath = a\n", "\tpath = a"),
    ("git-config", "/w/config", "[user]\n    name = a\n    email = b\n[core]\n█", "    editor = c\n", "    editor = c"),
    ("shellscript", "/w/a.sh", "if a; then\n    b\n    c\nfi\ncat █", "<<-EOF\n\thello\n\tEOF\n", "<<-EOF\n\thello\n\tEOF"),
    ("shellscript", "/w/a.sh", "if a; then\n    b\n    cat <<-EOF\n█", "\thello\n\tEOF\n", "\thello\n\tEOF"),
    ("shellscript", "/w/a.sh", "f() {\n    cat <<-'EOF'\n\tone\n█\n\tEOF\n    d\n}\n", "\ttwo\n", "\ttwo"),
    ("dockerfile", "/w/Dockerfile", "RUN <<-EOF\n█", "\tapt-get update\n\tEOF\n", "\tapt-get update\n\tEOF"),
    ("tsv", "/w/a.tsv", "a\tb\n  1\t2\n  3\t4\n█", "\t6\t\n7\t8\n", "\t6\t\n7\t8"),
    ("", "/w/a.tsv", "a\tb\n█", "\t6\n", "\t6"),
    ("yaml", "/w/a.yaml", "\t# no\n\t# no\na:\n█", "\tb: 1\n\tc: 2\n", "  b: 1\n  c: 2"),
    ("haskell", "/w/A.hs", "main = do\n█", "\tprint 1\n", "  print 1"),
    # text inside a string keeps its own
    ("python", "/w/a.py", "def f():\n    return █\n", '"""\n\tone\n\ttwo\n"""\n', '"""\n\tone\n\ttwo\n"""'),
    ("javascript", "/w/a.js", "function f() {\n  a();\n  return █\n}\n", "`\n\tone\n`;\n", "`\n\tone\n`;"),
    ("go", "/w/a.go", "package a\n\nvar s = █\n", "`\n    one\n`\n", "`\n    one\n`"),
    ("elixir", "/w/a.ex", "defmodule A do\n  @doc █", '"""\n\ta\n  """\n', '"""\n\ta\n  """'),
    ("ruby", "/w/a.rb", "def f\n  g(1)\n  x = █\nend\n", "<<~SQL\n\tselect 1\n  SQL\n", "<<~SQL\n\tselect 1\n  SQL"),
    ("php", "/w/a.php", "<?php\nfunction f() {\n    $x = █\n}\n", "<<<EOT\n\ta\n\tEOT;\n", "<<<EOT\n\ta\n\tEOT;"),
    # what is no here-document
    ("shellscript", "/w/a.sh", "f() {\n    a\n    █\n}\n", "x=$((1 << y))\n\tb\n", "x=$((1 << y))\n    b"),
    ("cpp", "/w/a.cpp", "void f() {\n    a();\n    █\n}\n", "if (a) {\n\tcout << END;\n\t}\n", "if (a) {\n    cout << END;\n    }"),
    # the file decides where the format leaves it open
    ("python", "/w/a.py", "if a:\n\tb()\n\tc()\n█", "if b:\n    c()\n", "if b:\n\tc()"),
    ("python", "/w/a.py", "if a:\n\t█", "if b:\n        c()\n", "if b:\n\t\tc()"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "path", "marked", "said", "expected"), FORMATS)
def test_the_format_of_a_document_is_recognised(
    language: str, path: str, marked: str, said: str, expected: str
) -> None:
    assert shown(language, path, marked, said) == expected


HEADS = [
    # language, the lines in front of the cursor's, what the model writes behind their indentation,
    # where the body has to begin
    ("fsharp", "type Box(width: int) =\n    member this.Double =\n    ", "    width * 2\n", 8),
    ("fsharp", "let f x =\n  match x with\n  | 1 ->\n  ", "  0\n", 4),
    ("elixir", "defmodule Shop do\n  def total(items), do:\n  ", "  sum(items)\n", 4),
    ("elixir", "defmodule Shop do\n  Enum.map(xs, fn x ->\n  ", "  x + 1\n", 4),
    ("haskell", "class Shape a where\n  area s = case s of\n  ", "  Box -> 1\n", 4),
    ("haskell", "main = do\n  let\n  ", "  x = 1\n", 4),
    ("elm", "view model =\n    div []\n    ", "    [ text model ]\n", 8),
    (
        "nim",
        "type Box = object\nproc area(b: Box): int =\n  if b.w > 0 and\n  ",
        "    b.h > 0:\n",
        6,
    ),
    ("crystal", "class Shop\n  property total : Int32 do\n  ", "  0\n", 4),
    ("vhdl", "architecture a of b is\n  process (clk) is\n  ", "  begin\n", 4),
    ("verilog", "module a;\n  always @(posedge clk)\n  ", "  q <= d;\n", 4),
    ("pascal", "procedure F;\nbegin\n  if a then\n  ", "  b();\n", 4),
    ("ada", "procedure F is\nbegin\n   loop\n   ", "   null;\n", 6),
    ("ocaml", "let f x =\n  let g y =\n  ", "  y + 1 in\n", 4),
    ("erlang", "f(X) ->\n    case X of\n    ", "    1 -> a\n", 8),
    ("julia", "module A\n  function f(x)\n  ", "  x + 1\n", 4),
    ("matlab", "function y = f(x)\n    if x > 0\n    ", "    y = 1;\n", 8),
    ("fortran", "program a\n  do i = 1, 3\n  ", "  print *, i\n", 4),
    ("dart", "void f() {\n  rows.forEach((row) =>\n  ", "  print(row));\n", 4),
    ("groovy", "def f() {\n    rows.each { row ->\n    ", "    println row\n", 8),
    ("zig", "fn f() void {\n    const x =\n    ", "    g();\n", 8),
    ("r", "f <- function(x) {\n  y <- x |>\n  ", "  sort()\n", 4),
    ("coffeescript", "f = (x) ->\n  g = (y) ->\n  ", "  y + 1\n", 4),
    ("clojure", "(defn f [x]\n  (let [y 1]\n  ", "  (+ x y)))\n", 4),
    ("terraform", "locals {\n  x = concat(a,\n  ", "  b)\n", 4),
    ("cmake", "if(A)\n  foreach(x IN LISTS y)\n  ", "  message(x)\n", 4),
    ("vb", "Module A\n    Sub F()\n    ", "    G()\n", 8),
    ("tcl", "proc f {} {\n    foreach x $xs \\\n    ", "    {puts $x}\n", 8),
    ("pug", "body\n  ul\n  ", "  li one\n", 4),
    ("xml", "<a>\n  <b>\n  ", "  <c/>\n", 4),
    ("vue", "<template>\n  <ul>\n  ", "  <li>one</li>\n", 4),
    ("svelte", "<main>\n  {#each rows as row}\n  ", "  <p>{row}</p>\n", 4),
    # with a grammar, where the tree is broken at the cursor or says nothing
    ("html", "<body>\n  <ul>\n  ", "  <li>one</li>\n", 4),
    ("swift", "func f() {\n    rows.forEach { row in\n    ", "    print(row)\n", 8),
    ("kotlin", "fun f() {\n    rows.forEach { row ->\n    ", "    println(row)\n", 8),
    ("kotlin", "fun f() {\n    val x =\n    ", "    g()\n", 8),
    ("javascript", "function f() {\n  const g = (x) =>\n  ", "  x + 1;\n", 4),
    ("javascript", "function f() {\n  if (a)\n  ", "  b();\n", 4),
    ("typescript", "type A =\n  | B\nfunction f() {\n  return a\n  ", "  .b();\n", 4),
    ("rust", "fn f() {\n    rows.iter().for_each(|row|\n    ", '    println!("{row}"));\n', 8),
    ("rust", "fn f() {\n    let x =\n    ", "    g();\n", 8),
    ("c", "int f(int a) {\n    if (a)\n    ", "    return 1;\n", 8),
    ("java", "class A {\n    void f() {\n        for (int i : is)\n        ", "    g(i);\n", 12),
    ("csharp", "class A {\n    int F(int a) =>\n    ", "    a + 1;\n", 8),
    ("cpp", "int f() {\n    return a\n    ", "    + b;\n", 8),
    ("go", "package a\n\nfunc f() {\n\tx := a +\n\t", "\tb\n", 8),
    ("scala", "object A {\n  def f(x: Int) = x match\n  ", "  case 1 => 2\n", 4),
    ("ruby", "def f\n  x = [1].\n  ", "  map(&:to_s)\n", 4),
    ("lua", "function f()\n  local x = a or\n  ", "  b\n", 4),
    ("shellscript", "f() {\n  a |\n  ", "  b\n", 4),
    ("php", "<?php\nfunction f() {\n    $x = fn($y) =>\n    ", "    $y + 1;\n", 8),
    ("python", "class Box:\n    def double(self):\n    ", "    return 2\n", 8),
    ("python", "x = f(\n    a,\n    b=g(c,\n    ", "    d),\n", 8),
    ("sql", "select a\nfrom b\n  where c = 1\n  ", "  and d = 2\n", 4),
    ("css", "a {\n  background:\n  ", "  red;\n", 4),
    ("yaml", "a:\n  b:\n  ", "  c: 1\n", 4),
]


@pytest.mark.parametrize(("language", "text", "said", "column"), HEADS)
def test_a_body_keeps_the_models_indentation(
    language: str, text: str, said: str, column: int
) -> None:
    got = shown(language, f"/w/a.{language}", text + "█", said)
    first = (text.rpartition("\n")[2] + got).split("\n")[0].expandtabs(4)
    assert not got.startswith("-"), got
    assert len(first) - len(first.lstrip()) == column


ENDED = [
    # where a statement surely ended above, what stands on the line already is not said twice
    ("python", "def f():\n    x = 1\n    █\n", "    y = 2\n", "y = 2"),
    ("python", "def f():\n    █\n", "    y = 2\n        return y\n", "y = 2\n    return y"),
    ("javascript", "function f() {\n  g()\n  █\n}\n", "  h()\n", "h()"),
    ("javascript", "function f() {\n  g();\n  █\n}\n", "  h();\n", "h();"),
    ("rust", "fn f() {\n    g();\n    █\n}\n", "    h();\n", "h();"),
    ("kotlin", "fun f() {\n    g()\n    █\n}\n", "    h()\n", "h()"),
    ("swift", "func f() {\n    g()\n    █\n}\n", "    h()\n", "h()"),
    ("c", "int f() {\n    g();\n    █\n}\n", "    h();\n", "h();"),
    ("go", "package a\n\nfunc f() {\n\tg()\n\t█\n}\n", "\th()\n", "h()"),
    ("html", "<ul>\n  <li>a</li>\n  █\n</ul>\n", "  <li>b</li>\n", "<li>b</li>"),
    ("json", '{\n  "a": 1,\n  █\n}\n', '  "b": 2\n', '"b": 2'),
]


@pytest.mark.parametrize(("language", "marked", "said", "expected"), ENDED)
def test_the_cursors_indentation_is_not_repeated(
    language: str, marked: str, said: str, expected: str
) -> None:
    assert shown(language, f"/w/a.{language}", marked, said) == expected


@pytest.mark.parametrize(
    ("language", "path", "white"),
    [
        ("makefile", None, White.RECIPES),
        ("plaintext", "/w/GNUmakefile", White.RECIPES),
        ("", "C:\\w\\Makefile.am", White.RECIPES),
        ("", "/w/a.mk", White.RECIPES),
        ("", "/w/makefile.py", White.RECIPES),
        ("python", "/w/a.py", White.FREE),
        ("", "/w/.git/config", White.TABS_FIRST),
        ("", "/w/cargo.config", White.FREE),
        ("", "/w/go.sum", White.FREE),
        ("", "/w/data.TSV", White.KEPT),
        ("", None, White.FREE),
    ],
)
def test_format_by_name(language: str, path: str | None, white: White) -> None:
    assert format_of(language, path).white is white
    assert format_of(language, path and PurePosixPath(path).as_posix()).white is white


ACTIONS = [
    # language, path, document with the unit at "|", the answer's code, the document afterwards
    ("makefile", "/w/Makefile", SPACED + "|clean:\n\trm a\n", "clean:\n    rm -f a\n    rm b", SPACED + "clean:\n\trm -f a\n\trm b\n"),
    ("makefile", "/w/Makefile", SPACED + "|clean:\n\trm a\n", "clean: all\n\trm -f $@ \\\n\t    b", SPACED + "clean: all\n\trm -f $@ \\\n\t    b\n"),
    ("", "/w/.gitmodules", '|[submodule "a"]\n\tpath = a\n', '[submodule "a"]\n    path = b\n    url = c', '[submodule "a"]\n\tpath = b\n\turl = c\n'),
    ("go", "/w/a.go", "package a\n\nfunc f() {\n    |a()\n}\n", "func f() {\n    a()\n    if x {\n        b()\n    }\n}", "package a\n\nfunc f() {\n\ta()\n\tif x {\n\t\tb()\n\t}\n}\n"),
    ("shellscript", "/w/a.sh", "f() {\n    |a\n    b\n}\n", "f() {\n    cat <<-EOF\n\tone\n\t  two\n\tEOF\n}", "f() {\n    cat <<-EOF\n\tone\n\t  two\n\tEOF\n}\n"),
    ("python", "/w/a.py", "def f():\n    |return 1\n", 'def f():\n    return """\n\ta\n"""', 'def f():\n    return """\n\ta\n"""\n'),
]  # fmt: skip


@pytest.mark.parametrize(("language", "path", "marked", "answer", "expected"), ACTIONS)
def test_an_action_keeps_the_format(
    language: str, path: str, marked: str, answer: str, expected: str
) -> None:
    text, place = marked.replace("|", "", 1), marked.index("|")
    row = language_for(language, path)
    parsed = parse(row, text) if row else None
    unit = unit_at(parsed, text, Span(place, place))
    found = Fitting(text, parsed, unit, format=format_of(language, path))
    changes = found.changes(f"```\n{answer}\n```")
    assert applied(text, [change.edit for change in changes]) == expected
