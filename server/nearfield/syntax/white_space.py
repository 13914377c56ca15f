"""The white space that a file format requires, independent of a file's content.

Make recognizes a recipe by its TABs, gofmt and git write TABs, YAML refuses them, and in a table
TABs are data. If a format leaves it open, the file decides, and without indentation in the file
the custom of its language.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import StrEnum


class White(StrEnum):
    """The rule for the white space at the start of lines."""

    FREE = "free"  # no rule: the file decides
    TABS = "tabs"  # TABs alone
    TABS_FIRST = "tabs first"  # TABs stay, and come first where the file does not use spaces
    RECIPES = "recipes"  # TABs before a rule's recipe; elsewhere as written
    SPACES = "spaces"  # no TABs
    KEPT = "kept"  # as written: it is content


@dataclass(frozen=True, slots=True)
class Format:
    """A file's format: its rule, and the usual width of one level of indentation."""

    white: White = White.FREE
    step: int = 4


FREE = Format()
"""A format without a rule, of a language without a known custom."""

_WHITE = {
    White.TABS: "go go.mod go.work gomod gowork gotmpl",
    White.TABS_FIRST: "gitconfig git-config git_config gitmodules caddyfile gdscript dts devicetree"
    " kconfig",
    White.RECIPES: "makefile make gnumakefile automake mk bsdmakefile",
    White.SPACES: "yaml yml dockercompose docker-compose github-actions-workflow ansible haskell"
    " literate haskell fsharp elm nim purescript idris agda dhall",
    White.KEPT: "tsv tab-separated-values text/tab-separated-values",
}
_BY_LANGUAGE = {name: white for white, names in _WHITE.items() for name in names.split()}
_BY_NAME = (
    (
        re.compile(r"(?:^|[/\\])(?:gnu|bsd)?makefile(?:\.\w+)?$|\.(?:mk|mak|make)$", re.IGNORECASE),
        White.RECIPES,
    ),
    (re.compile(r"\.go$|(?:^|[/\\])go\.(?:mod|work)$"), White.TABS),
    (
        re.compile(
            r"(?:^|[/\\])\.git(?:modules|config)$|[/\\]\.git[/\\]config$|[/\\]git[/\\]config$"
            r"|(?:^|[/\\])Caddyfile$|\.gd$|\.dtsi?$|(?:^|[/\\])Kconfig(?:\.\w+)?$"
        ),
        White.TABS_FIRST,
    ),
    (re.compile(r"\.(?:tsv|tab)$", re.IGNORECASE), White.KEPT),
    (re.compile(r"\.(?:ya?ml|l?hs|fsx?|fsi|elm|nims?|nimble|purs)$"), White.SPACES),
)
_TWO_COLUMNS = frozenset(
    {
        *("javascript", "javascriptreact", "typescript", "typescriptreact", "vue", "svelte"),
        *("json", "jsonc", "yaml", "html", "xml", "css", "scss", "less", "graphql", "markdown"),
        *("ruby", "crystal", "elixir", "haskell", "nim", "dart", "lua", "scala", "clojure"),
        *("lisp", "ocaml", "nix", "r", "julia", "terraform", "hcl", "vhdl"),
    }
)
"""Languages that usually indent by two columns."""


@functools.lru_cache(maxsize=256)
def format_of(language: str, path: str | None) -> Format:
    """Return the format of a file by its language id ("" when unknown) and its path."""
    step = 2 if language in _TWO_COLUMNS else 4
    white = _BY_LANGUAGE.get(language)
    if white is None and path:
        white = next((white for name, white in _BY_NAME if name.search(path)), None)
    return Format(white or White.FREE, step)


_RULE = re.compile(r"[^\s#:=][^#:=]*::?(?![:=])")
_SECTION = re.compile(r"\s*\[[^\]]*\]\s*$")


def is_rule(line: str) -> bool:
    """Return whether `line` of a makefile is the head of a rule, which a recipe follows."""
    return _RULE.match(line) is not None


def recipe_line(line: str, above: str) -> str:
    """Return `line` of a makefile, with a TAB if it belongs to a recipe. `above` is the visible
    line before it. A continued line stays as it is."""
    if not line.startswith(" ") or not line.strip() or above.endswith("\\"):
        return line
    in_recipe = above.startswith("\t") or is_rule(above)
    return "\t" + line.lstrip(" ") if in_recipe else line


def opens_section(line: str) -> bool:
    """Return whether `line` of a git configuration begins a section with indented keys."""
    return _SECTION.match(line) is not None
