"""Statements of a documentation comment, compared with the code that it documents.

Models write sections by habit: errors that nothing raises, parameters of another function, a
value that nothing returns. Such entries are left out, and the headings that they leave empty. The
sections of Google's, NumPy's and Sphinx's docstrings are known, tags (`@param`, `\\param`, YARD),
XML, and the headings and lists of Rust and Swift. What the tree cannot tell is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.syntax.definitions import parameters
from nearfield.syntax.parser import Parsed

__all__ = ["CodeFacts", "facts_of", "true_words"]

_KINDS = {
    "parameters": "args arguments arg argument parameters parameter params param keyword kwarg",
    "raises": "raises raise throws throw exceptions exception errors error",
    "returns": "returns return rtype result",
    "yields": "yields yield",
    "panics": "panics",
}
_KIND = {word: kind for kind, words in _KINDS.items() for word in words.split()}
_SECTION = re.compile(
    r"(?P<blank>[ \t]*)(?P<mark>#{1,4}[ \t]+|-[ \t]+|\*\*)?"
    r"(?P<word>[A-Za-z]+)(?:[ \t]+(?:Args|Arguments|Parameters))?(?:\*\*)?(?P<colon>:)?(?:\*\*)?"
    r"[ \t]*(?P<rest>.*)"
)
_TAG = re.compile(r"[ \t]*[@\\:](?P<word>[A-Za-z]+)\b(?P<rest>.*)")
_XML = re.compile(r"[ \t]*<(?P<word>[a-z]+)(?:[ \t]+(?:name|cref)=\"(?P<name>[^\"]*)\")?[ \t]*/?>")
_ENTRY = re.compile(r"[ \t]*(?:[-*][ \t]+)?[`*]*(?P<name>[$\w][\w.:\\]*)")
_RULE = re.compile(r"[ \t]*[-=~]{3,}[ \t]*\Z")
_RAISED = re.compile(r"\b(?:raise|throw)\b[ \t]*(?:new[ \t]+)?([\w.:\\]*)")
_RETURNED = re.compile(r"\breturn\b[ \t]*(?!None\b|;|\}|\)|$)\S", re.M)
_INDEXED = r"(?!(?:return|in|yield|and|or|not|else|if|is|assert|await|case)\b)(?<!\w)[\w)\]]+ \["
_IMPLIED = {
    "KeyError": _INDEXED,
    "IndexError": _INDEXED,
    "ZeroDivisionError": r" (?://?|%) ",
    "AssertionError": r"\bassert\b",
}
"""Errors that an operation raises without a statement for it."""
_EXPLICIT = frozenset(
    {"python", "javascript", "javascriptreact", "typescript", "typescriptreact", "java", "c",
     "cpp", "csharp", "php", "go", "lua"}
)  # fmt: skip
"""Languages in which a value is returned by a statement alone."""
_IDENTIFIER = re.compile(r"[$\w]+\Z")


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """Parameters, exceptions and result of a function; None where the tree does not tell."""

    parameters: frozenset[str] | None = None
    raises: frozenset[str] | None = None
    returns: bool | None = None
    yields: bool | None = None
    panics: bool | None = None

    def allows(self, kind: str, name: str) -> bool:
        """Return whether an entry may be true."""
        last = re.split(r"[.:\\]+", name.strip("`*$&"))[-1]
        match kind:
            case "parameters":
                first = re.split(r"[.\[]", name.strip("`*$&."))[0]
                return self.parameters is None or first in self.parameters
            case "raises":
                if self.raises is None or (self.raises and not last):
                    return True
                return last in self.raises
            case "returns":
                return self.returns is not False
            case "yields":
                return self.yields is not False
            case _:
                return self.panics is not False


def facts_of(parsed: Parsed, node: tree_sitter.Node) -> CodeFacts:
    """Return the facts of a definition; none of a class."""
    if node.type not in parsed.language.functions:
        return CodeFacts()
    name = parsed.language.name
    body = node.child_by_field_name("body")
    code = "".join(_code(parsed, node, node))
    head = parsed.source[node.start_byte : body.start_byte if body else node.end_byte]
    given = [one.lstrip("*&.$") for one in parameters(parsed, node)]
    is_plain = all(map(_IDENTIFIER.match, given)) and b"**" not in head
    yields = bool(re.search(r"\byield\b", code))
    returns = None
    if name in _EXPLICIT and body is not None:
        is_expression = "arrow" in node.type and "block" not in body.type
        declared = b"->" in head and not re.search(rb"->\s*None\b", head)
        returns = bool(_RETURNED.search(code)) or yields or is_expression or declared
    elif name == "rust":
        returns = b"->" in head
    return CodeFacts(
        frozenset(given) if is_plain else None,
        _raised(code, head.decode("utf-8", "replace"), name),
        returns,
        yields if name == "python" else None,
        _panics(code) if name == "rust" else None,
    )


def true_words(words: list[str], facts: CodeFacts) -> list[str]:
    """Return the lines of a comment without entries that the code does not bear out."""
    kept: list[str] = []
    for block in _blocks(words):
        kept += block.kept(facts)
    while kept and not kept[-1].strip():
        del kept[-1]
    return kept


@dataclass(frozen=True, slots=True)
class _CommentBlock:
    """Lines of a comment: a section with a heading of `head` lines and its entries, or text. The
    heading's own entry, `Returns: a number`, is `inline`."""

    lines: list[str]
    kind: str = ""
    head: int = 0
    inline: str | None = None

    def kept(self, facts: CodeFacts) -> list[str]:
        """Return the lines that may be true."""
        if not self.kind:
            return self.lines
        if self.inline is not None:
            return self.lines if facts.allows(self.kind, self.inline) else []
        if self.kind in ("returns", "yields", "panics"):
            return self.lines if facts.allows(self.kind, "") else []
        body = self.lines[self.head :]
        depth = min((_depth(line) for line in body if line.strip()), default=0)
        kept: list[str] = []
        has_entry = holds = False
        for line in body:
            if line.strip() and _depth(line) == depth:
                found = _ENTRY.match(line)
                names = re.split(r"\s*,\s*", line.split(":", 1)[0]) if found else []
                first = [match["name"] for name in names if (match := _ENTRY.match(name))]
                # Sentences are no entries.
                is_entry = bool(found) and self._is_entry(line)
                holds = not is_entry or any(facts.allows(self.kind, name) for name in first)
                has_entry = has_entry or (holds and is_entry)
            if holds or not line.strip():
                kept.append(line)
        said = any(line.strip() for line in kept)
        fits = facts.allows(self.kind, "") if self.kind == "raises" else True
        if not has_entry and not (said and fits and self._is_prose(body, depth)):
            return [""] if self.lines[-1:] == [""] else []
        return [*self.lines[: self.head], *kept]

    @staticmethod
    def _is_entry(line: str) -> bool:
        return (
            re.match(r"\s*(?:[-*]\s+)?[`*$]*[\w.\\]+[`*]*\s*(?:$|[:,(\[]|-\s|--|—)", line)
            is not None
        )

    def _is_prose(self, body: list[str], depth: int) -> bool:
        return not any(self._is_entry(line) for line in body if _depth(line) == depth)


def _blocks(words: list[str]) -> Iterator[_CommentBlock]:
    """Yield the parts of a comment in order."""
    at = 0
    while at < len(words):
        block = _tagged(words, at) or _marked_up(words, at) or _section(words, at)
        block = block or _CommentBlock(words[at : at + 1])
        yield block
        at += len(block.lines)


def _tagged(words: list[str], at: int) -> _CommentBlock | None:
    """Return the entry of a tag, such as `@param` or `:raises`, with the lines that go on."""
    found = _TAG.match(words[at])
    if found is None or (kind := _kind_of_tag(found["word"])) == "":
        return None
    rest = re.sub(r"\{[^}]*\}|\[[^\]=]*\](?=[ \t]+\w)", " ", found["rest"]).strip()
    sphinx = words[at].lstrip().startswith(":")
    told = rest.split(":", 1)[0].split() if sphinx else rest.split()
    named = told[-1] if sphinx and told else next(iter(told), "")
    if kind == "parameters" and not sphinx:
        # PHP and some others write the type first.
        named = next((one for one in told[:3] if one.startswith("$")), named)
    if kind == "raises" and (marked := re.match(r"[ \t]*[{\[]([^}\]]*)", found["rest"])):
        named = marked[1]
    end = at + 1
    while end < len(words) and words[end].strip() and not _starts(words, end):
        end += 1
    return _CommentBlock(words[at:end], kind, 0, re.sub(r"=.*", "", named.strip("[]-,")))


def _kind_of_tag(word: str) -> str:
    if word == "type":  # Sphinx: the type of a parameter
        return "parameters"
    return _KIND.get(word.lower(), "") if word.lower() not in ("error", "errors", "result") else ""


def _marked_up(words: list[str], at: int) -> _CommentBlock | None:
    """Return an element of XML documentation."""
    found = _XML.match(words[at])
    if found is None or found["word"] not in ("param", "exception", "returns"):
        return None
    kind = _KIND[found["word"]]
    end = at + 1
    is_closed = f"</{found['word']}>" in words[at] or words[at].rstrip().endswith("/>")
    while not is_closed and end < len(words):
        is_closed = f"</{found['word']}>" in words[end]
        end += 1
    return _CommentBlock(words[at:end], kind, 0, found["name"] or "")


def _section(words: list[str], at: int) -> _CommentBlock | None:
    """Return a section with its heading."""
    found = _SECTION.match(words[at])
    if found is None or (kind := _KIND.get(found["word"].lower(), "")) == "":
        return None
    if not found["word"][0].isupper():
        return None
    is_ruled = at + 1 < len(words) and _RULE.match(words[at + 1]) is not None
    is_markdown = (found["mark"] or "").startswith("#")
    if not (is_ruled or is_markdown or found["colon"] or found["mark"] == "- "):
        return None
    depth = len(found["blank"])
    if found["mark"] == "- " and not found["colon"]:  # Swift: `- Parameter name: …`
        named = found["rest"].split(":", 1)[0]
        return _CommentBlock(words[at : at + 1], kind, 0, named.strip())
    end = at + 1 + is_ruled
    while end < len(words):
        line = words[end]
        if line.strip():
            if is_ruled:
                is_over = _is_heading(words, end)
            elif is_markdown:
                is_over = line.lstrip().startswith("#")
            else:
                is_over = _depth(line) <= depth or (not found["rest"] and _starts(words, end))
            if is_over:
                break
        end += 1
    if found["rest"]:
        first = found["rest"].split(":", 1)[0] if ":" in found["rest"] else found["rest"].split()[0]
        named = first if _IDENTIFIER.match(first.strip("`")) else ""
        return _CommentBlock(words[at:end], kind, 0, named.strip("`"))
    return _CommentBlock(words[at:end], kind, 1 + is_ruled)


def _is_heading(words: list[str], at: int) -> bool:
    return at + 1 < len(words) and _RULE.match(words[at + 1]) is not None


def _starts(words: list[str], at: int) -> bool:
    """Return whether an entry or a section begins at a line."""
    line = words[at]
    return line.lstrip()[:1] in ("@", "\\", ":") or _XML.match(line) is not None


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def _code(parsed: Parsed, node: tree_sitter.Node, function: tree_sitter.Node) -> Iterator[str]:
    """Yield the words of a function without its strings, comments and inner functions, each behind
    a blank or a line break."""
    row = function.start_point.row
    pending = [node]
    while pending:
        one = pending.pop()
        if one != function and one.type in parsed.language.functions:
            continue
        if one.type in parsed.language.comments or one.type in parsed.language.strings:
            yield ' ""' if one.start_point.row == row else '\n""'
        elif not one.children:
            text = parsed.source[one.start_byte : one.end_byte].decode("utf-8", "replace")
            yield ("\n" if one.start_point.row != row else " ") + text
        else:
            pending.extend(reversed(one.children))
            continue
        row = one.end_point.row


def _raised(code: str, head: str, language: str) -> frozenset[str] | None:
    """Return the names of the errors that code raises; None where one is not named."""
    joined = re.sub(r"[ ]?([.\\]|::)[ ]?", r"\1", code)
    names = [re.split(r"[.:\\]+", name)[-1] for name in _RAISED.findall(joined)]
    if language == "rust":
        return None if "Result" in head else frozenset()
    if any(not name[:1].isupper() for name in names):
        return None
    declared = re.findall(r"\w+", head.partition(" throws ")[2])
    implied = [error for error, pattern in _IMPLIED.items() if re.search(pattern, code)]
    return frozenset([*names, *declared, *implied])


def _panics(code: str) -> bool:
    return bool(re.search(r"\b(?:panic|unwrap|expect|assert\w*|unreachable|todo)\b|\[", code))
