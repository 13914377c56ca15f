"""Whether any text ends the process that parses it: odd texts for every grammar, and odd edits.

    python tests/bench/grammar_fuzz.py [--inputs N] [--language NAME]... [--seed N] [--json]

A text is made of the grammar's own openers, words and closers: nested deeply, repeated, left open,
indented in stairs, or cut and mixed with random bytes. It is parsed as an editor's document is, and
again after each of some edits, in a process that is watched: one that ends by a signal is a crash,
and the next one goes on behind the text that it died of.

Beside that the state that the grammar's scanner writes down after each token is measured, with a
buffer that is large enough: `most` is the largest of the texts that are parsed as they are, `worst`
that of all (a scanner is lent 1,024 bytes), and `slack` by how many bytes the bound of
`nearfield.syntax.parser` was above the truth at least; below 0 the bound is wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from nearfield.syntax.checked import PARSER_BYTES, CheckedGrammar
from nearfield.syntax.languages import LANGUAGES
from nearfield.syntax.parser import (
    MAX_STATE_BYTES,
    Parsed,
    max_state_bytes,
    parse,
    safe_grammar,
    tree_of,
)
from nearfield.types import Edit, Span

EDITS = 3
INPUT_SECONDS = 60.0
"""A text for which a process takes longer counts as a crash: parsing ends after two seconds."""

COMMON = ("(", ")", "[", "]", "{", "}", "<", ">", '"', "'", "`", "\\", "\n", "\r\n", "\t", " ", ",")
PIECES: dict[str, tuple[str, ...]] = {
    "python": (
        *("if a:\n", "def f():\n", "class A:\n", "f'{", 'f"{', 'rb"', "'''", '"""', "f'''{"),
        *("lambda:", "match a:\n", "else:\n", "# c\n", "\\\n", "\f", "x = ", "not ", "a.b", "}"),
    ),
    "javascript": (
        "`${",
        "}`",
        "f(",
        "=>",
        "<a>",
        "</a>",
        "/[",
        "/*",
        "//",
        "if (a) {",
        "x?.",
        "<!--",
    ),
    "typescript": ("`${", "}`", "a<", "type A = ", "enum A {", "f(", "abstract ", "!", "as ", "/*"),
    "typescriptreact": ("<a>", "</a>", "<a b={", "`${", "}`", "a<", "&", "{", "f(", "/*"),
    "go": (
        "func f() {",
        "`",
        "'a'",
        "/*",
        "struct {",
        "map[",
        "chan ",
        "case ",
        "package a\n",
        ":=",
    ),
    "rust": (
        "r#",
        '"',
        "#",
        "/*",
        "*/",
        "'a",
        "vec![",
        "fn f() {",
        "::<",
        "b'",
        "|x|",
        "macro_rules! a {",
    ),
    "java": ("class A {", '"""', "/*", "a<", "@A(", "->", "new A() {", "switch (a) {", "\\{"),
    "c": ("#if A\n", "#define A \\\n", "#endif\n", "struct {", "/*", "if (a) {", "(*", "L'", "##"),
    "cpp": (
        'R"a(',
        ')a"',
        'R"' + "a" * 17,
        "template <",
        "A<",
        "::",
        "#if A\n",
        "/*",
        "[=](",
        'u8R"(',
    ),
    "csharp": (
        '$"{',
        '"""',
        '$$"""{{',
        '@"',
        '$@"{',
        "}",
        "#if A\n",
        "a<",
        "=>",
        "class A {",
        "/*",
    ),
    "ruby": (
        *(
            "<<A",
            "<<~B",
            "<<-'C'",
            "A\n",
            "B\n",
            '"#{',
            "%w(",
            "%q{",
            "%(",
            "def a\n",
            "end\n",
            "do |x|\n",
        ),
        *(
            "}",
            '<<"long word"',
            "<<" + "W" * 90,
            "/#{",
            ":'",
            "`#{",
            "=begin\n",
            "=end\n",
            "__END__\n",
            "?a",
        ),
    ),
    "php": (
        "<?php ",
        "?>",
        "<<<A\n",
        "<<<'A'\n",
        "A;\n",
        '"{$',
        '"${',
        "$a->",
        "function f() {",
        "/*",
        "<<<" + "A" * 99,
    ),
    "shellscript": (
        *(
            "<<A\n",
            "<<-A\n",
            "<<'A'\n",
            "A\n",
            "$(",
            "$((",
            "${",
            "`",
            "case a in\n",
            "a)",
            ";;",
            "esac\n",
            "[[ ",
        ),
        *(
            "if a; then\n",
            "fi\n",
            "<(",
            "@(",
            '"$(',
            "$'",
            "for a in b; do\n",
            "done\n",
            "{a..b}",
            "<<" + "A" * 99,
        ),
    ),
    "lua": (
        "[[",
        "]]",
        "[==[",
        "]==]",
        "--[[",
        "--[=[",
        "function()",
        "end ",
        "{",
        "if a then ",
        "[" + "=" * 99 + "[",
    ),
    "kotlin": ('"${', '"""${', "}", "fun f() {", "/*", "*/", "$$", "a<", "@a ", "{ x ->", "`"),
    "swift": (
        '"\\(',
        '#"',
        '"#',
        '"""',
        '#"""',
        "/*",
        "*/",
        "{ x in",
        "#if A\n",
        "#endif\n",
        "a<",
        "##",
    ),
    "scala": (
        's"${',
        '"""',
        "}",
        "object A:\n",
        "def f =\n",
        "if a then\n",
        "case a =>\n",
        "end A\n",
        "/*",
        "*/",
        "'{",
        "//",
    ),
    "html": (
        "<div>",
        "</div>",
        "<x-y>",
        "</x-y>",
        "<script>",
        "</script>",
        "<style>",
        "<!--",
        "<p>",
        "<br>",
        "<" + "x" * 300 + ">",
        "<li>",
    ),
    "css": ("a{", "}", "a:", "/*", "*/", "@media a {", ":not(", "--a:", "url(", ">", "&", "a::b"),
    "json": ("[", "]", "{", "}", '"a":', '"', "\\u0000", "1,", "null,", "//", "/*", "1e9"),
    "yaml": (
        *(
            "- ",
            "? ",
            ": ",
            "a: ",
            "a",
            "| \n",
            "> \n",
            "#c\n",
            "!t ",
            "&a ",
            "*a ",
            "--- ",
            "...\n",
            "%X\n",
        ),
        *("'", '"b": ', "? a : ", "|", "-", "<<: ", "é: ", "a : ", "!<", "|2\n", "-\t"),
    ),
    "toml": (
        "a=",
        "[a]\n",
        "[[a]]\n",
        '"""',
        "'''",
        "{a=",
        "[",
        "]",
        "\n",
        "1979-05-27",
        "a.b.",
        "#",
    ),
    "markdown": (
        *(
            "> ",
            "- ",
            "1. ",
            "```\n",
            "~~~\n",
            "# ",
            "|a",
            "|-",
            "<div>\n",
            "    ",
            "\t",
            "* ",
            "+ ",
            "---\n",
            "+++\n",
        ),
        *("[a]: ", "<!--", "<script>\n", "10) ", "`" * 300, "~" * 300, "===\n", "\n", "&amp;"),
    ),
    "sql": (
        "select ",
        "(",
        "$$",
        "$a$",
        "$" + "b" * 99 + "$",
        "--",
        "/*",
        "*/",
        "case when ",
        "create function f() returns int as $$",
        "'",
        "union ",
    ),
}


@dataclass(slots=True)
class Found:
    """What came of one language's inputs. `none` counts those without a tree, `refused` of them
    those that the scanner's bound kept from it."""

    language: str
    inputs: int = 0
    crashed: int = 0
    refused: int = 0
    none: int = 0
    most: int = 0
    worst: int = 0
    slack: int = PARSER_BYTES
    slowest_ms: float = 0.0


def text_of(language: str, rng: random.Random) -> str:
    """One odd text."""
    pieces = PIECES[language]
    kind = rng.randrange(7)
    if kind == 0:  # one construct, nested deeply or left open
        opener = "".join(rng.choices(pieces, k=rng.randint(1, 3)))
        closer = rng.choice((*COMMON, ""))
        count = rng.choice((50, 254, 300, 600, 2_000))
        return opener * count + rng.choice(("", "a", "\n")) + closer * count
    if kind == 1:  # stairs
        step, sign = rng.choice((1, 1, 2, 3)), rng.choice((" ", " ", "\t"))
        rows = rng.choice((40, 130, 260, 520, 700))
        heads = rng.choices(pieces, k=3)
        tail = "\n" + "".join(rng.choices((*pieces, *COMMON), k=9))
        return "\n".join(sign * (step * n) + heads[n % 3].rstrip("\n") for n in range(rows)) + tail
    if kind == 2:  # up and down, several pieces a line
        rows = list[str]()
        width = 0
        for _ in range(rng.randint(1, 200)):
            width = max(0, width + rng.choice((0, 1, 1, 2, 4, 8, -1, -3, -20)))
            rows.append(" " * width + "".join(rng.choices(pieces, k=rng.choice((1, 2, 5, 30)))))
        return rng.choice(("\n", "\n", "\r\n", "\r")).join(rows)
    if kind == 3:  # random bytes among pieces
        noise = rng.randbytes(rng.choice((20, 300, 3_000))).decode("latin-1")
        return "".join(rng.choice(pieces) + noise[n : n + 7] for n in range(0, len(noise), 7))
    if kind == 4:  # long words behind an opener
        word = rng.choice("aB_é\u4e2d\U0001f980\0#=$\"'") * rng.choice((255, 256, 1_100, 5_000))
        return "".join(piece + word for piece in rng.choices(pieces, k=rng.randint(1, 5)))
    if kind == 5:  # anything, also of the other languages
        every = (*pieces, *COMMON, *PIECES[rng.choice(sorted(PIECES))])
        return "".join(rng.choices(every, k=rng.choice((30, 300, 3_000))))
    few = rng.choices((*pieces, *COMMON), k=2)  # two in turn
    return "".join(few) * rng.choice((100, 500, 3_000))


def edits_of(language: str, text: str, rng: random.Random) -> list[Edit]:
    """Edits that put pieces in and take stretches out, each in the text after the one before."""
    edits: list[Edit] = []
    length = len(text)
    for _ in range(EDITS):
        start = rng.randint(0, length)
        end = min(length, start + rng.choice((0, 0, 1, 30, length // 3)))
        new = "".join(rng.choices((*PIECES[language], *COMMON), k=rng.choice((0, 1, 3, 300))))
        edits.append(Edit(Span(start, end), new))
        length += len(new) - (end - start)
    return edits


def state_bytes(measured: CheckedGrammar, text: str) -> int:
    """The largest state that the scanner writes while `text` is parsed."""
    measured.largest = 0
    tree_of(measured.grammar, text.encode("utf-8", "surrogatepass"), None)
    return measured.largest


def child(name: str, seed: int, first: int, last: int) -> None:
    """Go through inputs `first:last`, and say of each that it begins and what came of it."""
    language = next(row for row in LANGUAGES if row.name == name)
    measured = CheckedGrammar(language)
    for number in range(first, last):
        print(number, flush=True)
        rng = random.Random(f"{name} {seed} {number}")
        text = text_of(name, rng)
        began = time.monotonic()
        parsed = parse(language, text)
        facts: dict[str, Any] = {
            "none": parsed is None,
            "refused": safe_grammar(language, text) is None,
        }
        texts = [text]
        for edit in edits_of(name, text, rng) if parsed is not None else ():
            after: Parsed | None = parsed.edited(edit) if parsed is not None else None
            parsed = after or parsed
            assert parsed is not None
            texts.append(parsed.text)
        facts["ms"] = (time.monotonic() - began) * 1_000
        facts["states"] = [
            (state_bytes(measured, one), max_state_bytes(language, one))
            for one in texts[:1] + texts[-1:]
        ]
        print(json.dumps(facts), flush=True)


def fuzz(name: str, seed: int, inputs: int) -> Found:
    """All inputs of one language, in as many processes as it takes."""
    found = Found(name, inputs)
    at = 0
    while at < inputs:
        command = [sys.executable, __file__, "--child", name, str(seed), str(at), str(inputs)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    take(found, json.loads(line))
                else:
                    at = int(line)
        if process.returncode == 0:
            break
        print(f"{name}: input {at} of seed {seed} ended with {process.returncode}", file=sys.stderr)
        found.crashed += 1
        at += 1
    return found


def take(found: Found, facts: dict[str, Any]) -> None:
    """Add what came of one input."""
    found.none += facts["none"]
    found.refused += facts["refused"]
    found.slowest_ms = max(found.slowest_ms, facts["ms"])
    for most, bound in facts["states"]:
        if bound <= MAX_STATE_BYTES:
            found.most = max(found.most, most)
            found.slack = min(found.slack, bound - most) if bound else found.slack
        found.worst = max(found.worst, most)


def main() -> None:
    """Parse the arguments, run, print."""
    if sys.argv[1:2] == ["--child"]:
        name, seed, first, last = sys.argv[2:]
        child(name, int(seed), int(first), int(last))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="of all languages together")
    parser.add_argument("--language", action="append", choices=sorted(PIECES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = options.language or [row.name for row in LANGUAGES]
    rows = [fuzz(name, options.seed, -(-options.inputs // len(names))) for name in names]
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    print(f"{'language':16} inputs crashed refused no-tree most worst slack slowest")
    for row in rows:
        slack = str(row.slack) if row.slack < PARSER_BYTES else "-"
        print(
            f"{row.language:16} {row.inputs:6} {row.crashed:7} {row.refused:7} {row.none:7}"
            f" {row.most:4} {row.worst:5} {slack:>5} {row.slowest_ms:5.0f} ms"
        )


if __name__ == "__main__":
    main()
