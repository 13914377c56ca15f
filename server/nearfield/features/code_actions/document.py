"""Documentation of a unit: a docstring or a comment in its language's convention, and no other
change.

Only the words of the comment are taken from the answer, and of those only what the code bears out
(`doc_check`). Its marks, indentation and place are decided here, so the code cannot change and no
answer can end the comment early.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

import tree_sitter

from nearfield.errors import EditRefused
from nearfield.features.code_actions import check
from nearfield.features.code_actions.answer import HOLDERS, blocks
from nearfield.features.code_actions.around import comment_above, docstring_in
from nearfield.features.code_actions.doc_check import CodeFacts, facts_of, true_words
from nearfield.features.code_actions.fit import AnswerRejected, Fitting
from nearfield.features.code_actions.layout import layout_of
from nearfield.features.code_actions.prompts import listed
from nearfield.features.code_actions.proposal import ProposedEdit
from nearfield.files.lines import LINE_END, line_start, split_lines
from nearfield.syntax.definitions import named_scopes, node_of, outermost, parameters
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse
from nearfield.types import Edit, Span

__all__ = ["Documenting", "why_undocumentable"]

MAX_COLUMNS = 96
"""Width of a comment's lines with their indentation; longer ones are wrapped."""
MAX_LINES = 40
_TRIPLE = re.compile(r"[rRuU]?(\"\"\"|''')(.*?)\1", re.S)
_MARKS = re.compile(
    r"^[ \t]*(?:/\*\*?|\*/|\*(?!\*)|///?|#(?!!)|---?)?[ \t]?|(?<![ \t])[ \t]*+\*/[ \t]*$"
)
_NAMES = {
    "python": "a docstring",
    "javascript": "a JSDoc comment",
    "typescript": "a TSDoc comment",
    "typescriptreact": "a TSDoc comment",
    "java": "a Javadoc comment",
    "kotlin": "a KDoc comment",
    "scala": "a Scaladoc comment",
    "php": "a PHPDoc comment",
    "c": "a Doxygen comment",
    "cpp": "a Doxygen comment",
    "csharp": "an XML documentation comment",
    "rust": "a doc comment",
    "swift": "a doc comment",
    "go": "a doc comment",
    "ruby": "a YARD comment",
    "lua": "a LuaDoc comment",
}
_CONVENTIONS = (
    ("Sphinx", re.compile(r"^[ \t]*:param\b", re.M)),
    ("NumPy", re.compile(r"^[ \t]*Parameters[ \t]*\n[ \t]*-{3,}", re.M)),
)
"""Conventions of Python's docstrings, by what only they have."""
_HEADING = re.compile(r"(?:Args|Arguments|Returns|Raises|Yields|Parameters|Attributes):[ \t]*\Z")
_SENTENCES = frozenset({"go", "rust", "swift"})
"""Languages whose comments describe parameters in sentences, if at all."""
_RECEIVERS = frozenset({"self", "cls", "this"})
_LINES = {"go": "//", "rust": "///", "swift": "///", "csharp": "///", "ruby": "#", "lua": "---"}
_STARRED = frozenset(
    {"c", "cpp", "java", "javascript", "kotlin", "php", "scala", "typescript", "typescriptreact"}
)


def why_undocumentable(fitting: Fitting) -> str:
    """Return why the unit cannot be documented, "" if it can."""
    if fitting.language is None or not fitting.unit.name:
        return "there is no function or class here"
    if fitting.language.name == "python":
        found = docstring_in(fitting.shown, fitting) is not None
    else:
        found = comment_above(fitting.text, fitting.parsed, fitting.unit) is not None
    return f"`{fitting.unit.name}` is documented already" if found else ""


class Documenting:
    """Turns answers into the comment of one unit. It parses, so use it off the event loop."""

    def __init__(self, fitting: Fitting) -> None:
        """Raise `EditRefused` if there is nothing to document."""
        language, parsed = fitting.language, fitting.parsed
        if why := why_undocumentable(fitting):
            raise EditRefused(f"Nothing is documented: {re.sub('`[^`]*`', 'it', why)}.")
        if language is None or parsed is None:
            raise EditRefused("Nothing is documented: the language has no grammar here.")
        self._fitting, self._language, self._parsed = fitting, language, parsed
        self._layout = layout_of(fitting.text, language)
        self._place = self._find_place()
        node = node_of(parsed, fitting.unit)
        self._facts = CodeFacts() if node is None else facts_of(parsed, node)
        self.parameters = () if node is None else self._described(parsed, node)
        """The names that the comment should have an entry for, in order."""

    @property
    def style(self) -> str:
        """The name of the comment in this language, in Python with the file's own convention."""
        if self._language.name != "python":
            return _NAMES.get(self._language.name, "a comment")
        found = (name for name, pattern in _CONVENTIONS if pattern.search(self._fitting.text))
        return f"a docstring in {next(found, 'Google')} style"

    def whole_changes(self, text: str) -> tuple[ProposedEdit, ...]:
        """Return `changes`. Raises `AnswerRejected` also if a parameter has no entry."""
        words = self._words(text)
        missing = [name for name in self.parameters if not _has_entry(words, name)]
        if words and missing:
            raise AnswerRejected(f"it has no entry for {listed(missing)}")
        return self._inserted(words)

    def _described(self, parsed: Parsed, node: tree_sitter.Node) -> tuple[str, ...]:
        if self._language.name in _SENTENCES or node.type not in self._language.functions:
            return ()
        names = (name.lstrip("*&.$") for name in parameters(parsed, node))
        return tuple(name for name in names if name.isidentifier() and name not in _RECEIVERS)

    def changes(self, text: str) -> tuple[ProposedEdit, ...]:
        """Return the edit that inserts the comment of the answer `text`. Raises
        `AnswerRejected`."""
        return self._inserted(self._words(text))

    def _inserted(self, words: list[str]) -> tuple[ProposedEdit, ...]:
        if not words:
            raise AnswerRejected(f"there is no {self.style.split(' ', 1)[1]} in it")
        if len(words) > MAX_LINES:
            raise AnswerRejected("the comment is too long")
        rows = self._marked(words)
        indent, newline = self._place.indent, self._layout.newline
        written = "".join(f"{indent}{row}".rstrip() + newline for row in rows)
        edit = Edit(Span(self._place.offset, self._place.offset), written)
        after = self._parsed.edited(edit)
        if after is None or after.all_errors > self._parsed.all_errors:
            raise AnswerRejected(check.first_error(after))
        return (ProposedEdit(edit),)

    def _find_place(self) -> _CommentPlace:
        unit, text = self._fitting.unit, self._fitting.text
        if self._language.name != "python":
            return _CommentPlace(unit.span.start, unit.indent)
        node = node_of(self._parsed, unit)
        body = node.child_by_field_name("body") if node else None
        colon = next((c for c in reversed(node.children) if c.type == ":"), None) if node else None
        if body is None or colon is None or body.start_point.row == colon.start_point.row:
            raise EditRefused("A definition on one line cannot hold a docstring.")
        start = self._parsed.offset(body.start_byte)
        line = line_start(text, start)
        below = LINE_END.search(text, self._parsed.offset(colon.end_byte))
        return _CommentPlace(below.end() if below else line, text[line:start])

    def _words(self, text: str) -> list[str]:
        """Return the lines of the comment in an answer, without marks; [] if there is none."""
        for block in blocks(text):
            if self._language.name == "python":
                docstring = _TRIPLE.search(block)
                found = docstring[2] if docstring else ""
            else:
                found = _comment(block, self._language, self._fitting.unit.name)
            lines = split_lines(found.expandtabs(4))
            words = textwrap.dedent("\n".join(["", *lines[1:]])).split("\n")[1:]
            kept = [lines[0].strip(), *(word.rstrip() for word in words)] if lines else []
            while kept and not kept[0]:
                del kept[0]
            while kept and not kept[-1].strip():
                del kept[-1]
            width = MAX_COLUMNS - len(self._place.indent) - 4
            if self._language.name == "python":
                kept = _indented(kept)
            kept = true_words(kept, self._facts)
            if kept:
                return [row for line in kept for row in _wrapped(line, width)]
        return []

    def _marked(self, words: list[str]) -> list[str]:
        """Return the comment with its marks, from column 0."""
        name = self._language.name
        if name == "python":
            return _python(words)
        if name in _STARRED:
            safe = [word.replace("*/", "* /") for word in words]
            return ["/**", *(f" * {word}".rstrip() for word in safe), " */"]
        mark = _LINES.get(name) or self._language.comment
        if not mark:
            raise AnswerRejected("this language has no comments")
        if name == "go":
            words = _go(words, self._fitting.unit.name)
        if name == "csharp" and not any(word.lstrip().startswith("<") for word in words):
            words = ["<summary>", *words, "</summary>"]
        return [f"{mark} {word}".rstrip() for word in words]


@dataclass(frozen=True, slots=True)
class _CommentPlace:
    """The place of the comment's lines, and their indentation."""

    offset: int
    indent: str


def _indented(words: list[str]) -> list[str]:
    """Return the lines of a docstring with what models forget when they write it alone: entries
    below one of Google's headings are indented, and an empty line is above it."""
    found: list[str] = []
    is_flat = False
    for number, line in enumerate(words):
        is_heading = _HEADING.match(line) is not None
        if is_heading:
            below = next((one for one in words[number + 1 :] if one.strip()), "")
            is_flat = below[:1].strip() != "" and not _HEADING.match(below)
        elif not line.strip() and not _HEADING.match(words[number - 1]):
            is_flat = False
        if is_heading and found and found[-1].strip():
            found.append("")
        if is_heading and line.startswith(("Arguments", "Parameters")):
            found.append("Args:")
            continue
        found.append(f"    {line}" if is_flat and line.strip() and not is_heading else line)
    return found


def _has_entry(words: list[str], name: str) -> bool:
    """Return whether a line of a comment begins with `name`, behind marks, a tag and a type."""
    tag = r"(?:[@\\:<]param\w*(?:[ \t]+name=)?[ \t\"]*(?:\{[^}]*\}[ \t]*|\S+[ \t]+)?)?"
    entry = re.compile(rf"[ \t]*(?:[-*][ \t]+)?{tag}[`*$\[]*{re.escape(name)}(?!\w)")
    return any(entry.match(line) for line in words)


def _wrapped(line: str, width: int) -> list[str]:
    blank = line[: len(line) - len(line.lstrip())]
    wrapper = textwrap.TextWrapper(
        width, subsequent_indent=blank, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.wrap(line) or [""]


def _comment(block: str, language: Language, name: str) -> str:
    """Return the comment above the definition of `name` in `block`; all of a block that is only a
    comment."""
    for before, after in (("", ""), HOLDERS.get(language.name, ("", ""))):
        parsed = parse(language, before + block + after)
        if parsed is None:
            continue
        nodes = [node for one, node in named_scopes(parsed) if one == name]
        found = _above(parsed, outermost(nodes[0])) if nodes else _only(parsed)
        if found:
            lines = [_MARKS.sub("", line) for line in found.split("\n")]
            return "\n".join(lines).strip("\n")
    return ""


def _above(parsed: Parsed, node: tree_sitter.Node) -> str:
    texts: list[str] = []
    sibling = node.prev_sibling
    while sibling is not None and sibling.type in parsed.language.comments:
        raw = parsed.source[sibling.start_byte : sibling.end_byte]
        texts.insert(0, raw.decode("utf-8", "replace").rstrip("\n"))
        sibling = sibling.prev_sibling
    return "\n".join(texts)


def _only(parsed: Parsed) -> str:
    children = parsed.root.named_children
    if not children or any(child.type not in parsed.language.comments for child in children):
        return ""
    return parsed.text.strip("\n")


def _python(words: list[str]) -> list[str]:
    safe = [word.replace('"""', "'''") for word in words]
    prefix = "r" if any("\\" in word for word in safe) else ""
    if safe[-1].endswith('"'):
        safe[-1] += " "
    if len(safe) == 1:
        return [f'{prefix}"""{safe[0]}"""']
    return [f'{prefix}"""{safe[0]}', *safe[1:], '"""']


def _go(words: list[str], name: str) -> list[str]:
    """Return the words with the name first, as `go doc` wants it."""
    first = words[0]
    if first.startswith(name):
        return words
    return [f"{name} {first[:1].lower()}{first[1:]}", *words[1:]]
