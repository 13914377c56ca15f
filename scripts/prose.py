"""Check the prose of the sources: docstrings, comments, documentation, and names.

The rules are those of docs/glossary.md: its table "Not used", and the words that a docstring does
not open with. A sentence of a docstring has at most `MAX_WORDS` words. A class has a name that no
other class of the server has, a leading underscore aside. Prints a line per finding,
`PATH:LINE: message`, and exits with 1 if there is any.

Usage: scripts/prose.py [PATH…]     by default the server, the scripts and the documentation
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = ROOT / "docs" / "glossary.md"
PLACES = (
    "server",
    "scripts",
    "docs",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
)
MAX_WORDS = 30
SERVER = ROOT / "server"

CONSTANT = re.compile(r"_?(MOST|LONGEST|LARGEST|LEAST|FEWEST|SHORTEST)_[A-Z_]+|[A-Z_]+_(AT_MOST|S)")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Rules:
    """The banned phrases with their replacements, and the openers, as the glossary lists them."""

    def __init__(self, glossary: str) -> None:
        rows = re.findall(r"^\| `(.+)` \| (.+) \|$", glossary, re.MULTILINE)
        self._banned = [(re.compile(p.replace(r"\|", "|"), re.IGNORECASE), to) for p, to in rows]
        openers = re.search(r"does not open with \*(.+?)\* or \*(\w+)\*", glossary, re.DOTALL)
        if not self._banned or not openers:
            raise ValueError(f"{GLOSSARY} lacks its table or the list of openers")
        self._openers = {*re.split(r",\s+", openers[1]), openers[2]}

    def text(self, text: str) -> Iterator[str]:
        """Yield a message for each banned phrase in `text`."""
        for pattern, instead in self._banned:
            for match in pattern.finditer(text):
                yield f"'{match[0]}': {instead}"

    def docstring(self, text: str) -> Iterator[str]:
        """Yield what is wrong with the form of a docstring."""
        opener = re.match(r"\w+", text)
        if opener and opener[0] in self._openers:
            yield f"opens with '{opener[0]}': open with a noun or a verb"
        prose = re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)  # without preformatted lines
        for sentence in re.split(r"(?<=[.!?:;])\s+|\n\s*\n|\n\s*[-*|>]", prose):
            if (words := len(sentence.split())) > MAX_WORDS:
                yield f"a sentence of {words} words: '{' '.join(sentence.split()[:6])} …'"


def check(path: Path, rules: Rules) -> Iterator[tuple[int, str]]:
    """Yield line and message of each finding in one file."""
    source = path.read_text("utf-8")
    if path.suffix == ".md":
        for number, line in enumerate(source.splitlines(), 1):
            yield from ((number, message) for message in rules.text(line))
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            line = node.body[0].lineno
            yield from ((line, message) for message in rules.docstring(text))
        match node:
            case ast.Name(id=name, ctx=ast.Store()) if CONSTANT.fullmatch(name):
                yield node.lineno, f"{name}: name it MAX_…, MIN_…, …_SECONDS or …_BYTES"
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield from ((node.lineno, message) for message in rules.text(text))
            case _:
                pass
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from ((token.start[0], message) for message in rules.text(token.string))


def same_class_names(paths: Iterable[Path]) -> Iterator[str]:
    """Yield a finding for each class whose name an earlier one of these files' classes has."""
    first: dict[str, str] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                place = f"{path}:{node.lineno}"
                other = first.setdefault(node.name.lstrip("_"), place)
                if other != place:
                    yield f"{place}: the name of the class {node.name} is taken by {other}"


def main() -> None:
    """Check the named files and folders."""
    rules = Rules(GLOSSARY.read_text("utf-8"))
    named = [Path(argument) for argument in sys.argv[1:]]
    places = named or [ROOT / place for place in PLACES]
    files = {f for place in places for f in ([place] if place.is_file() else place.rglob("*.*"))}
    found = [
        f"{path}:{line}: {message}"
        for path in sorted(files)
        if path.suffix in {".py", ".md"} and path != GLOSSARY
        for line, message in check(path, rules)
    ]
    found += same_class_names(sorted(f for f in files if SERVER in f.parents and f.suffix == ".py"))
    if found:
        print(*found, sep="\n")
        sys.exit(f"{len(found)} findings; docs/glossary.md has the rules")


if __name__ == "__main__":
    main()
