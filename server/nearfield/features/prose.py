"""Foreign prose (docstrings, comments, answers of models) as Markdown that does nothing.

An editor that renders Markdown fetches images, offers links and may show HTML; the address of an
image alone can leak code. So the text is parsed as CommonMark with tables, and the output is
written from the tree: paragraphs, headings, lists, quotes, emphasis, code and rules. An image
becomes its description, a link its text and its address as code; everything else is text, with all
markup escaped. Addresses are code, because some editors turn bare ones into links. A table is shown
as code. The output renders the same in CommonMark, GitHub's Markdown, marked and markdown-it, with
any options.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from nearfield.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

__all__ = ["code_block", "code_span", "prose", "words"]

MAX_CHARS = 8_000
"""Enough for a hover. The parser takes about 20 ms for it."""
MAX_DEPTH = 12
"""Maximum depth of lists, quotes and emphasis."""

_LANGUAGE = re.compile(r"[a-z][a-z0-9+#_-]{0,19}", re.IGNORECASE)
_DRAWN = frozenset({"mermaid", "math", "latex", "tex", "plantuml", "dot", "html", "svg", "vega"})
"""Languages of code blocks that some editors render as pictures."""
_DOCTEST = re.compile(r"\s*>>> ")

_BREAK = re.compile(r"[^\S\n]*\n\s*")
_TICKS = re.compile(r"`+")
_RUN = re.compile(r"[^\s()<>\[\]{}\"'`,;*]+")
_ADDRESS = re.compile(
    r"//|[^\s.]\.[^\W\d_]{2}|[^\s@]@[^\s@]|__|www\."
    r"|^(?:mailto|command|javascript|vbscript|data|file|tel|xmpp|vscode[\w-]*):",
    re.IGNORECASE,
)
_EDGES = ".:!?"
"""Punctuation that does not belong to an address if it is at its end."""
_MARKS = re.compile(
    r"\\(?=[!-/:-@\[-`{-~\n]|\Z)"  # would escape what follows
    r"|`"
    r"|(?<!\s)\*|\*(?!\s)|(?<![^\W_])_|_(?![^\W_])"  # not `2 * 3` and `snake_case`
    r"|\](?=[(:\[])|(?<=[!^])\["
    r"|<(?=[a-z/!?])|&(?=#?\w{1,32};)|(?<!\s)~",
    re.IGNORECASE,
)
_LINE_START = re.compile(
    r"^(?:(?=#{1,6}(?:\s|$))|(?=[>\[])|(?=[-+*](?:\s|$))|(?=[=-]+\s*$)|(?=[|:-][\s|:-]*$)"
    r"|(?=~)|(?=:\s)|(?P<number>\d{1,9})(?=[.)](?:\s|$)))",
    re.MULTILINE,
)


def prose(text: str) -> str:
    """Return `text`, which may be Markdown, as Markdown that does nothing."""
    return _Page(printable(text[:MAX_CHARS]).replace("\r\n", "\n")).markdown()


def words(text: str) -> str:
    """Return `text`, which is not Markdown, as one line of a paragraph."""
    return _Inline().text(" ".join(printable(text).split())).markdown()


def code_span(code: str) -> str:
    """Return `code` on one line as a code span, with any backquotes."""
    code = " ".join(printable(code).split())
    if not code:
        return ""
    ticks = "`"
    while ticks in _TICKS.findall(code):
        ticks += "`"
    # A backquote at the edge needs a space between, which is not shown.
    edge = " " if code[0] == "`" or code[-1] == "`" else ""
    return f"{ticks}{edge}{code}{edge}{ticks}"


def code_block(code: str, language: str = "") -> str:
    """Return `code` in a fence that it cannot close, with `language` if it is one to highlight."""
    longest = max((len(run) for run in _TICKS.findall(code)), default=0)
    fence = "`" * max(3, longest + 1)
    known = _LANGUAGE.fullmatch(language) and language.lower() not in _DRAWN
    return f"{fence}{language if known else ''}\n{code}\n{fence}"


@cache
def _parser() -> MarkdownIt:
    # Imported when the first hover is shown, not when the server starts.
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_DEPTH}).enable("table")


class _Page:
    """A text's tree, written block by block."""

    def __init__(self, text: str) -> None:
        from markdown_it.tree import SyntaxTreeNode

        self._lines = text.split("\n")
        self._tree = SyntaxTreeNode(_parser().parse(text))

    def markdown(self) -> str:
        """Return the text as Markdown."""
        return "\n\n".join(self._blocks(self._tree.children))

    def _blocks(self, nodes: Sequence[SyntaxTreeNode]) -> list[str]:
        blocks: list[str] = []
        for number, node in enumerate(nodes):
            # A list right after another one would be read as part of it.
            again = number > 0 and nodes[number - 1].type == node.type
            if block := self._block(node, again):
                blocks.append(block)
        return blocks

    def _block(self, node: SyntaxTreeNode, again: bool) -> str:
        match node.type:
            case "paragraph":
                return self._inline(node)
            case "heading":
                line = _BREAK.sub(" ", self._inline(node))
                return f"{'#' * int(node.tag[1])} {line}" if line else ""
            case "fence" | "code_block":
                info = node.info.split()
                return code_block(node.content.removesuffix("\n"), info[0] if info else "")
            case "hr":
                return "---"
            case "blockquote":
                return self._quote(node)
            case "bullet_list":
                return self._list(node, ["+ " if again else "- "] * len(node.children))
            case "ordered_list":
                start = int(node.attrs.get("start", 1))
                end = ") " if again else ". "
                return self._list(node, [f"{start + n}{end}" for n in range(len(node.children))])
            case _:
                return self._source(node)

    def _source(self, node: SyntaxTreeNode, language: str = "") -> str:
        """Return the lines of `node` as they were written, as code."""
        first, end = node.map or (0, 0)
        return code_block("\n".join(line.strip() for line in self._lines[first:end]), language)

    def _quote(self, node: SyntaxTreeNode) -> str:
        if node.map and _DOCTEST.match(self._lines[node.map[0]]):
            return self._source(node, "python")
        inner = "\n\n".join(self._blocks(node.children))
        return "\n".join(f"> {line}".rstrip() for line in inner.split("\n")) if inner else ""

    def _list(self, node: SyntaxTreeNode, markers: Iterable[str]) -> str:
        items: list[str] = []
        tight = True
        for marker, item in zip(markers, node.children, strict=True):
            hidden = all(one.hidden for one in item.children if one.type == "paragraph")
            tight = tight and hidden
            inner = ("\n" if hidden else "\n\n").join(self._blocks(item.children))
            indent = " " * len(marker)
            lines = [f"{indent}{line}" if line else "" for line in inner.split("\n")]
            items.append((marker + "\n".join(lines)[len(marker) :]).rstrip())
        return ("\n" if tight else "\n\n").join(items)

    @staticmethod
    def _inline(node: SyntaxTreeNode) -> str:
        line = _Inline()
        for inline in node.children:
            line.add(inline.children)
        return line.markdown()


class _Inline:
    """The content of a paragraph: text, which is escaped as a whole, and our own markup."""

    def __init__(self) -> None:
        self._pieces: list[tuple[str, bool]] = []

    def text(self, text: str) -> _Inline:
        """Add text."""
        if self._pieces and not self._pieces[-1][1]:
            text = self._pieces.pop()[0] + text
        self._pieces.append((text, False))
        return self

    def _mark(self, markup: str) -> None:
        self._pieces.append((markup, True))

    def add(self, nodes: Iterable[SyntaxTreeNode]) -> None:
        """Add the allowed parts of `nodes`."""
        for node in nodes:
            match node.type:
                case "softbreak" | "hardbreak":
                    self.text("\n")
                case "code_inline":
                    self._mark(code_span(node.content))
                case "em" | "strong":
                    mark = "*" if node.type == "em" else "**"
                    self._mark(mark)
                    self.add(node.children)
                    self._mark(mark)
                case "link":
                    self._link(node)
                case "image":
                    self.add(node.children)
                case _:
                    self.text(node.content)

    def _link(self, node: SyntaxTreeNode) -> None:
        address = str(node.attrs.get("href", ""))
        said = "".join(one.content for one in node.walk() if one.type in ("text", "code_inline"))
        self.add(node.children)
        if said and re.match(r"https?://", address) and said != address:
            self.text(" (")
            self._mark(code_span(address))
            self.text(")")

    def markdown(self) -> str:
        """Return the paragraph as Markdown."""
        whole = ""
        for piece, ours in self._pieces:
            whole = _joined(whole, piece if ours else _escaped(piece, first=not whole.strip()))
        return whole.strip()


def _escaped(text: str, *, first: bool) -> str:
    """Return `text` with all markup escaped. `first`: it begins a line."""
    text = _BREAK.sub("\n", text)
    whole, position = "", 0
    for run in _RUN.finditer(text):
        address = run[0].rstrip(_EDGES)
        if not _ADDRESS.search(address):
            continue
        whole += _plain(text[position : run.start()], first and not position)
        whole = _joined(whole, code_span(address))
        position = run.start() + len(address)
    return whole + _plain(text[position:], first and not position)


def _joined(left: str, right: str) -> str:
    """Return both, with a space between two runs of backquotes."""
    return f"{left} {right}" if left.endswith("`") and right.startswith("`") else left + right


def _plain(text: str, first: bool) -> str:
    lines = _MARKS.sub(_escape, text.lstrip() if first else text)
    head, _, tail = lines.partition("\n") if not first else ("", "", lines)
    shown = _LINE_START.sub(_at_line_start, tail) if tail else ""
    return shown if first else head + ("\n" if "\n" in lines else "") + shown


def _escape(found: re.Match[str]) -> str:
    # Not "\\<": some programs look for tags without reading Markdown.
    return "&lt;" if found[0] == "<" else f"\\{found[0]}"


def _at_line_start(found: re.Match[str]) -> str:
    return f"{found['number'] or ''}\\"
