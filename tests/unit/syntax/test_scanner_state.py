"""No text makes a grammar's scanner write outside its memory; ordinary texts keep their tree."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tree_sitter

from nearfield.syntax.checked import PARSER_BYTES, CheckedGrammar
from nearfield.syntax.languages import LANGUAGES, Language
from nearfield.syntax.parser import (
    MAX_STATE_BYTES,
    ParseCache,
    max_state_bytes,
    parse,
    safe_grammar,
)
from nearfield.types import Edit, Span

ROWS = {row.name: row for row in LANGUAGES}


def stairs(head: str, count: int, sign: str = " ", step: int = 1) -> str:
    return "\n".join(sign * (step * n) + head for n in range(count)) + "\n"


OVERFLOWING = [
    ("yaml", "- " * 255),
    ("yaml", "? " * 300 + "a"),
    ("yaml", stairs("a:", 258)),
    ("yaml", stairs("-", 400, step=2)),
    ("yaml", stairs("- a:", 140, step=3)),
    ("yaml", stairs("a:", 258).replace("\n", "\r")),
    ("yaml", "a:\r\n" + "-\t" * 300),
    ("python", stairs("if a:", 600) + " " * 601 + "f'{x}'\n"),
    ("python", stairs("if a:", 600, "\t") + "\t" * 601 + "x = 'a'\n"),
    ("python", "\n".join("\t" * (n // 8) + " " * (n % 8) + "if a:" for n in range(600)) + " 'a'"),
    ("python", "".join(" \\\n" * n + "if a:\n" for n in range(560)) + " \\\n" * 561 + "'a'\n"),
    ("python", stairs("if a:", 600).replace("\n", "\r\n") + " " * 601 + '"""a"""'),
    ("ruby", '"#{' * 203 + "<<RUBY\n"),
    ("ruby", "%(" * 203 + "<<RUBY\n" + "x = [<<JSON, <<YAML]\n"),
    ("ruby", "f(" + ", ".join(["<<" + "A" * 13] * 60) + ")\n"),
    ("ruby", "f(<<'" + "A" * 1_019 + "')\n"),
    ("ruby", "f(<<" + "A" * 300 + ", <<B)\n"),
]
DEEP = {
    "javascript": ("`${", "f(", "<a>", "a?.[", "/["),
    "typescript": ("a<", "`${", "type A = [", "enum A {"),
    "typescriptreact": ("<a>", "<a b={", "a<"),
    "go": ("(", "func() {", "[]", "`"),
    "rust": ("vec![", "r#", "/*", "a::<", "|x|"),
    "java": ("(", "A<", '"""', "class A {"),
    "c": ("{", "#if A\n", "(*", "/*"),
    "cpp": ("A<", 'R"a(', 'R"' + "a" * 300, "template<"),
    "csharp": ('$"{', '$$"""{{', '"', "a<"),
    "php": ("<?php <<<A\n", '<?php "{$a[', "<?php <<<" + "A" * 400 + "\n"),
    "shellscript": ("$(", "<<A ", "<<" + "B" * 300 + " ", "case a in\n", "((", "${"),
    "lua": ("[[", "{", "--[=[", "function()"),
    "kotlin": ('"${', '"""${', "/*", "{"),
    "swift": ('"\\(', "#", "/*", "{"),
    "scala": ('s"${', "object A:\n ", "{", "/*"),
    "html": ("<div>", "<x-y>", "<" + "x" * 300 + "-y>", "<p>"),
    "css": ("a{", ":not(", "@media a{"),
    "json": ("[", '{"a":', '"'),
    "toml": ("a=[", "[[a]]\n", '"""'),
    "markdown": ("> ", "- ", "1. ", "```\n", "<div>\n", "* > "),
    "sql": ("select (", "$a$", "case when ", "/*"),
    "yaml": ("- ", "[", "{a: ", "a: ", "!t ", "- |\n "),
    "python": ("(", "f'{", "lambda:", "if a:\n ", "not "),
    "ruby": ('"#{', "%w(", "<<A ", "def a\n", "`"),
}
CHILD = """
import sys, ast
from nearfield.syntax.languages import LANGUAGES
from nearfield.syntax.parser import parse
from nearfield.types import Edit, Span
rows = {row.name: row for row in LANGUAGES}
for line in sys.stdin:
    name, text = ast.literal_eval(line)
    print(name, repr(text[:60]), len(text), flush=True)
    parsed = parse(rows[name], text)
    for at in (0, len(text)):
        for edit in (Edit(Span(at, min(at + 30, len(text))), "'"),):
            if parsed is not None:
                parsed.edited(edit)
"""


def survives(texts: list[tuple[str, str]]) -> None:
    """All of `texts` are parsed and edited in a process of their own, which lives."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="".join(f"{one!r}\n" for one in texts),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout[-300:] + ended.stderr[-300:]
    assert len(ended.stdout.splitlines()) == len(texts)


def written(language: Language, text: str) -> int:
    """How many bytes the scanner writes at most."""
    measured = CheckedGrammar(language)
    tree_sitter.Parser(measured.grammar).parse(text.encode())
    return measured.largest


def test_texts_that_write_past_the_end_harm_nothing() -> None:
    survives(OVERFLOWING)


@pytest.mark.parametrize("count", [260, 1_100])
def test_every_grammar_survives_deep_nesting(count: int) -> None:
    assert set(DEEP) == set(ROWS)
    survives([(name, one * count) for name, openers in DEEP.items() for one in openers])


@pytest.mark.parametrize(("name", "text"), OVERFLOWING)
def test_the_bound_covers_the_written_bytes(name: str, text: str) -> None:
    assert max_state_bytes(ROWS[name], text) > MAX_STATE_BYTES
    assert written(ROWS[name], text) <= max_state_bytes(ROWS[name], text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("yaml", "- " * 254),
        ("yaml", stairs("a:", 258)),
        ("python", stairs("if a:", 600) + " " * 601 + "'a'\n"),
        ("ruby", '"#{' * 203 + "<<RUBY\n"),
    ],
)
def test_the_texts_above_do_write_past_the_end(name: str, text: str) -> None:
    """If this fails the grammar has been mended, and its bound can go."""
    assert written(ROWS[name], text) > PARSER_BYTES


ORDINARY = [
    ("yaml", stairs("a:", 40, step=2) + "b: 1\n"),
    ("yaml", "a:\n" + "".join(f"{' ' * n}- b: c\n" for n in range(2, 100, 2))),
    ("yaml", "a: |\n" + "".join(f"{' ' * (n % 70 + 2)}text: - more\n" for n in range(900))),
    ("yaml", "a:\n  - 'b: c, d: e - f'\n" * 400 + "b: '" + "x: y - z " * 25 + "'\n"),
    ("python", stairs("if a:", 200) + " " * 201 + "pass\n"),
    ("python", stairs("if a:", 90, "\t") + "\t" * 91 + "pass\n"),
    ("python", "f(a,\n" + "".join(f"{' ' * n}b,\n" for n in range(250)) + ")\n"),
    ("ruby", "def f\n  x = <<~SQL\n    select '#{a}'\n  SQL\nend\n" * 20),
]


@pytest.mark.parametrize(("name", "text"), ORDINARY)
def test_ordinary_code_passes_the_bounds(name: str, text: str) -> None:
    assert written(ROWS[name], text) <= max_state_bytes(ROWS[name], text) <= MAX_STATE_BYTES
    assert parse(ROWS[name], text) is not None


def test_a_long_ruby_file_with_heredocs_has_its_tree() -> None:
    text = "def f\n  x = <<~SQL\n    select '#{a}'\n  SQL\nend\n" * 400
    assert max_state_bytes(ROWS["ruby"], text) > MAX_STATE_BYTES
    safe, parsed = safe_grammar(ROWS["ruby"], text), parse(ROWS["ruby"], text)
    assert safe is not None
    assert parsed is not None
    assert not parsed.root.has_error
    assert parsed.root.child_count == 400
    again = parsed.edited(Edit(Span(0, 0), "# a\n"))
    assert again is not None
    assert not again.root.has_error


def test_edits_that_lead_there_end_without_a_tree() -> None:
    yaml, cache = ROWS["yaml"], ParseCache()
    text, trees = "a: 1\n", 0
    for count in (40, 80, 120, 160, 260, 120, 40):
        text = "- " * count + "a\n"
        parsed = cache.parse("u", yaml, text)
        assert (parsed is not None) == (max_state_bytes(yaml, text) <= MAX_STATE_BYTES)
        assert parsed is None or parsed.text == text
        trees += parsed is not None
    assert 0 < trees < 7  # and there is one again once it is ordinary again


def test_an_edit_in_a_view_is_checked_as_well() -> None:
    parsed = parse(ROWS["yaml"], "a: 1\n")
    assert parsed is not None
    assert parsed.edited(Edit(Span(0, 0), "- " * 300)) is None
