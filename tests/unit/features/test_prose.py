"""Foreign prose in an editor: rendered as clients render it, there is no picture, link or HTML."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from nearfield.features.hover.facts import Facts
from nearfield.features.hover.markdown import page
from nearfield.features.hover.subject import Subject, SubjectKind
from nearfield.features.prose import MAX_CHARS, code_block, code_span, prose, words
from nearfield.types import Span

EVIL = "http://evil.test/x.png"
NASTY = (
    f"![a]({EVIL})", f"![a][y]\n\n[y]: {EVIL}", f"![y]\n\n[y]: {EVIL}", f"[click]({EVIL})",
    f"[click][y]\n\n[y]: {EVIL}", f"[y][]\n\n[y]: {EVIL}", f"[y]\n\n> [y]: {EVIL}",
    f"- [y]: {EVIL}\n\n[y]", f"[y]: <{EVIL}> 'title'\n[y]", f"[y]:\n{EVIL}\n\n![x][y]",
    "<img src=http://evil.test>", "<IMG\nSRC=http://evil.test\n>", "<!-- --><b onclick=x>",
    "<script>alert(1)</script>", "<?php ?>", "<!DOCTYPE html>", "<![CDATA[ x ]]>", "</p><p>",
    "<details open><summary>x</summary>", "<a href='command:evil'>x</a>", "<svg/onload=x>",
    "<http://evil.test>", "<mailto:a@evil.test>", "<a@evil.test>", "<command:evil?%5B1%5D>",
    "http://evil.test", "see https://evil.test/a_b_c.", "www.evil.test", "ftp://evil.test",
    "evil.test", "evil.com/x", "a@evil.test", "mailto:a@evil.test", "//evil.test/x", "x.рф",
    "command:workbench.action.terminal.new", "javascript:alert(1)", "vscode://x/y",
    f"\\`![a[b]c]({EVIL})`", f"`` ` ![a]({EVIL})", f"`\n\n![a]({EVIL})\n\n`", f"\\\\![a]({EVIL})",
    f"\\![a]({EVIL})", f"!\\[a]({EVIL})", f"![a\\]({EVIL})", f"![a]\\({EVIL})", f"![a](<{EVIL}>)",
    f"![a\nb]({EVIL})", f"![a](\n{EVIL}\n)", f"![a]({EVIL} \"t\")", f"![![a]({EVIL})]({EVIL})",
    f"[![a]({EVIL})]({EVIL})", "[a](command:x)", f"*[a*]({EVIL})", f"**![**a]({EVIL})",
    f"&lt;img src={EVIL}&gt;", f"&#60;img src={EVIL}>", f"&#33;&#91;a&#93;&#40;{EVIL}&#41;",
    f"&excl;[a]({EVIL})", f"!&lbrack;a&rbrack;({EVIL})", "&amp;lt;img&amp;gt;", "&#10;&#10;# a",
    f"x&#10;&#10;![a]({EVIL})", f"```\n![a]({EVIL})", f"```\n```\n![a]({EVIL})\n```",
    f"~~~\n![a]({EVIL})\n~~~~\n[b]({EVIL})", f"````\n```\n````\n![a]({EVIL})",
    f"```x![a]({EVIL})\ny\n```", f"```mermaid\ngraph\nclick A \"{EVIL}\"\n```", f"    ![a]({EVIL})",
    f"\t![a]({EVIL})", f"> ![a]({EVIL})\nlazy [b]({EVIL})", f"- a\n\n      ![a]({EVIL})",
    f"1) ![a]({EVIL})\n2) <b>", f"# ![a]({EVIL}) #", f"![a]({EVIL})\n===", f"a | b\n--|--\n![a]({EVIL}) | <b>",
    f"| a |\n|:-:|\n| [b]({EVIL}) |", f"[^1]\n\n[^1]: ![a]({EVIL})", f"^[note ![a]({EVIL})]",
    "> [!WARNING]\n> Run this.", f"- [ ] ![a]({EVIL})\n- [x] b", "$$\\href{http://evil.test}{x}$$",
    f"[a]({EVIL}", "![a](data:image/png;base64,AAAA)", "![a](file:///etc/passwd)", "[[wiki]]",
    f"{'[' * 60}a{']' * 60}({EVIL})", f"{'> ' * 60}![a]({EVIL})", f"{'- ' * 60}![a]({EVIL})",
    f"{'*' * 60}a{'*' * 60}", f"{'![' * 60}a{'](b)' * 60}", "a\u2028![b](c)", "a\x0b![b](c)",
    f"!\u200b[a]({EVIL})", f"![a]\u202e({EVIL})", f"{{{{ ![a]({EVIL}) }}}}", "`a` ![b](c) `d",
    "*a `*` [b](c)*", "!`[a](b)", f"x!\n[a]({EVIL})", f"!*[a]({EVIL})*", f"![](x)[a]({EVIL})",
    f"!![](x)[a]({EVIL})", f"[![](x)](y)({EVIL})", f"[a]![](x)({EVIL})", f"<![](x)img src={EVIL}>",
    f"<*i*mg src={EVIL}>", "http:![](x)//evil.test", "www![](x).evil.test", "w*w*w.evil.test",
    f"[a][![](x)]: {EVIL}", f"[y![](x)]: {EVIL}\n\n[y]", "evil![](x).com", "a![](x)@evil.test",
    "``a`b``http://evil.test", "`a`http://evil.test`b`www.evil.test", "\\`http://evil.test", "~a~ ~~b~~",
)  # fmt: skip

CLIENTS = {
    "CommonMark": MarkdownIt("commonmark", {"html": True}),
    "GitHub": MarkdownIt("gfm-like", {"html": True}),
    "typographer": MarkdownIt("default", {"html": True, "linkify": True, "typographer": True})
    .enable(["linkify"]),
}  # fmt: skip
ALLOWED = frozenset(
    [
        "paragraph_open",
        "paragraph_close",
        "heading_open",
        "heading_close",
        "bullet_list_open",
        "bullet_list_close",
        "ordered_list_open",
        "ordered_list_close",
        "list_item_open",
        "list_item_close",
        "blockquote_open",
        "blockquote_close",
        "fence",
        "hr",
        "inline",
        "text",
        "softbreak",
        "code_inline",
        "em_open",
        "em_close",
        "strong_open",
        "strong_close",
        "text_special",
    ]
)


def tokens(client: MarkdownIt, text: str) -> list[Token]:
    found: list[Token] = []
    for token in client.parse(text):
        found += (token, *(token.children or ()))
    return found


def check(shown: str) -> None:
    for name, client in CLIENTS.items():
        types = {token.type for token in tokens(client, shown)}
        assert types <= ALLOWED, (name, types - ALLOWED, shown)


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_nothing_is_fetched_offered_or_run(text: str) -> None:
    for whole in (
        text,
        f"Says *so*.\n\n{text}\n\nAnd goes on.",
        f"- a\n- {text}",
        f"Adds {text} up.",
    ):
        check(prose(whole))
        check(words(whole))


PIECES = st.sampled_from(
    [
        *"[]()!<>`*_\\&~#|:-=+ \n.@/^$1aé'\"{}", "![", "](", "]: ", "http://evil.test", "www.",
        "evil.com", "<img ", "&lt;", "&#91;", "\n\n", "\n> ", "\n- ", "\n1. ", "\n    ", "```", "~~~",
        "![](x)", "**", "\n---|---\n", "[y]: http://e.test\n\n", "\\[", "mailto:", "\t", "&#10;",
    ]
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
@example("")
def test_whatever_is_written(text: str) -> None:
    check(prose(text))
    check(words(text))


@given(st.text(alphabet="`a \n~\\[]", max_size=30))
def test_code_stays_code(code: str) -> None:
    for client in CLIENTS.values():
        (block,) = client.parse(code_block(code, "python"))
        assert (block.type, block.content) == ("fence", code + "\n")
        if code.strip():
            found = tokens(client, f"x {code_span(code)} y")
            spans = [one.content for one in found if one.type in ("text", "code_inline")]
            assert spans == ["x ", " ".join(code.split()), " y"]


def texts(text: str) -> str:
    """What is read when `text` is rendered."""
    parts = [
        "\n" if token.type in ("softbreak", "paragraph_close") else token.content
        for token in tokens(CLIENTS["CommonMark"], text)
        if token.type != "inline"
    ]
    return " ".join("".join(parts).split())


READ = (
    "Return the price of `item`, in cents.",
    "It is 2 * 3 * 4, or a*b, snake_case and __init__ of C:\\Users\\n, 50 % & more; AT&T, <= 3.",
    "See os.path.join, list[int], dict[str, list[int]] | None and Vec<T> -> &str!",
    "Uses $HOME, ~/bin, #1, @param x, [optional] and (see below): done. 1) first",
    "*args and **kwargs; `a` or ``b`c``.",
    ":param x: the value\n:returns: nothing",
    "e.g. this, i.e. that... and so on; v1.2.3",
    "3. is a number, - is a dash, + a plus, = an equals sign",
)


@pytest.mark.parametrize("text", READ)
def test_prose_reads_as_it_was_written(text: str) -> None:
    assert texts(words(text)) == " ".join(text.split())


KEPT = [
    ("It adds.\n\nAnd *ends* **well**.", "It adds.\n\nAnd *ends* **well**."),
    ("Args:\n    x: the value", "Args:\nx: the value"),
    ("Title\n=====\n\nText", "# Title\n\nText"),
    ("- a\n- b\n  1. c\n  2. d\n", "- a\n- b\n  1. c\n  2. d"),
    ("- a\n\n- b", "- a\n\n- b"),
    ("- a\n\n  ```py\n  x\n  ```", "- a\n\n  ```py\n  x\n  ```"),
    ("> quoted\n> so", "> quoted\n> so"),
    ("```python\nx = '![a](b)'\n```", "```python\nx = '![a](b)'\n```"),
    ("Code:\n\n    x = 1\n\n    y = 2", "Code:\n\n```\nx = 1\n\ny = 2\n```"),
    (">>> add(1, 2)\n3\n\nMore.", "```python\n>>> add(1, 2)\n3\n```\n\nMore."),
    ("| a | b |\n|---|---|\n| 1 | 2 |", "```\n| a | b |\n|---|---|\n| 1 | 2 |\n```"),
    ("See [the manual](https://docs.test/a).", "See the manual (`https://docs.test/a`)."),
    ("See https://docs.test/a_(b), or <https://x.test>.",
     "See `https://docs.test/a_`(b), or `https://x.test`."),
    ("A picture: ![of a cat](https://x.test/cat.png)", "A picture: of a cat"),
    ("```mermaid\ngraph\n```", "```\ngraph\n```"),
    ("a\u202eb\x1b[0m", "a�b␛[0m"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), KEPT)
def test_allowed_markdown_keeps_its_form(text: str, shown: str) -> None:
    assert prose(text) == shown


def test_a_page_of_hostile_names_is_harmless() -> None:
    for evil in NASTY:
        facts = Facts(f"n`{evil}", evil, evil, f"a`{evil}`.py", 3, doc=evil)
        for kind in (SubjectKind.NAME, SubjectKind.KEY, SubjectKind.PROBLEM, SubjectKind.REGEX):
            subject = Subject(kind, evil, Span(0, 1), evil, Span(0, 1))
            for known in (facts, None):
                check(page(subject, known, f"py`\n{evil}", prose(evil), evil))


@pytest.mark.parametrize("piece", ["[", "![", "`a", "*", "> ", "<", "](", "a.b ", "&", "**_", "- "])
def test_a_huge_text_is_cut_before_it_is_read(piece: str) -> None:
    assert len(prose(piece * 100_000)) < 4 * MAX_CHARS + 100
