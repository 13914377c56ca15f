"""The tree follows the document, whatever is edited, and is the tree of a fresh parse."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Sequence

import pytest
import tree_sitter
from hypothesis import given, settings
from hypothesis import strategies as st

import nearfield.syntax.parser as parser_module
from nearfield.syntax.languages import LANGUAGES, grammar, language_for
from nearfield.syntax.parser import ParseCache, Parsed, parse
from nearfield.types import Edit, Span

PYTHON = next(row for row in LANGUAGES if row.name == "python")

SOURCES = {
    "python": "import os\n\n\nclass A:\n"
    "    '''Doc 🦀.'''\n\n    def f(self, x):\n        return f'{x}é'\n\n\n"
    "A().f(1)\n",
    "typescript": "import a from 'a';\nfunction f(x: number) {\n  return `é${x}🦀`;\n}\nf(1);\n",
    "go": 'package main\n\nfunc f(x int) string {\n\treturn "🦀"\n}\n',
    "rust": "fn f(x: u8) -> u8 {\n    let y = x + 1;\n    y\n}\n",
    "json": '{"a": [1, 2, {"é": "🦀"}]}\n',
}
PIECES = st.sampled_from(
    [
        "x",
        "é",
        "🦀",
        "\n",
        "\r\n",
        "(",
        ")",
        "{",
        "}",
        '"',
        "'",
        "    ",
        "\t",
        ":",
        ";",
        "# a",
        "",
        "return 1\n",
    ]
)


def fresh(parsed: Parsed) -> Parsed:
    again = parse(parsed.language, parsed.text)
    assert again is not None
    return again


def agree(parsed: Parsed) -> None:
    """The view is consistent, and its tree covers the text as a fresh one does."""
    again = fresh(parsed)
    assert parsed.source == again.source
    assert parsed.root.end_byte == again.root.end_byte
    assert parsed.root.end_point == again.root.end_point
    if not again.root.has_error:
        assert not parsed.root.has_error
        assert str(parsed.root) == str(again.root)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(SOURCES)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), PIECES), max_size=8),
)
def test_incremental_parse_equals_fresh_parse(
    name: str, edits: list[tuple[float, int, str]]
) -> None:
    language = language_for(name)
    text = SOURCES[name]
    cache = ParseCache()
    parsed = cache.parse("file:///a", language, text)
    undo: list[str] = []
    for where, length, piece in edits:
        start = int(where * len(text))
        undo.append(text)
        text = text[:start] + piece + text[start + length :]
        parsed = cache.parse("file:///a", language, text)
        assert parsed is not None
        agree(parsed)
    for text in reversed(undo):
        parsed = cache.parse("file:///a", language, text)
        assert parsed is not None
        agree(parsed)


@given(st.text("aé🦀\n\ud800", max_size=20), st.data())
def test_offsets_and_bytes_are_inverse(text: str, data: st.DataObject) -> None:
    parsed = parse(PYTHON, text)
    assert parsed is not None
    offset = data.draw(st.integers(0, len(text)))
    assert parsed.byte(offset) == len(text[:offset].encode("utf-8", "surrogatepass"))
    assert parsed.offset(parsed.byte(offset)) == offset


def test_path_to_goes_from_the_root_to_the_leaf() -> None:
    parsed = parse(PYTHON, SOURCES["python"])
    assert parsed is not None
    path = [node.type for node in parsed.path_to(parsed.text.index("return"))]
    assert path[0] == "module"
    assert path[-1] == "return"
    assert [t for t in path if t.endswith("definition")] == [
        "class_definition",
        "function_definition",
    ]


def test_edited_leaves_the_view_alone() -> None:
    parsed = parse(PYTHON, "x = 1\n")
    assert parsed is not None
    before = str(parsed.root)
    worse = parsed.edited(Edit(Span(5, 5), "+ ("))
    assert worse is not None
    assert worse.errors(Span(0, len(worse.text))) > 0
    assert str(parsed.root) == before
    assert parsed.errors(Span(0, 6)) == 0


@pytest.mark.parametrize("text", ["x" * 2_000_000, "[" + "1, " * 700_000, "a\n" * 2_500_000])
def test_texts_beyond_the_bounds_have_no_tree(text: str) -> None:
    cache = ParseCache()
    assert cache.parse("file:///a", PYTHON, text) is None
    assert cache.parse("file:///a", PYTHON, text + "x") is None
    assert cache.parse("file:///a", PYTHON, "x = 1\n") is not None


def test_a_line_that_grows_too_long_loses_the_tree_and_gets_it_back() -> None:
    cache = ParseCache()
    assert cache.parse("file:///a", PYTHON, "x = 1\n") is not None
    assert cache.parse("file:///a", PYTHON, "x = '" + "a" * 200_000 + "'\n") is None
    assert cache.parse("file:///a", PYTHON, "x = 1\n") is not None


def test_a_parse_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_module, "PARSE_SECONDS", 0.0)
    monkeypatch.setattr(parser_module, "PARSE_SECONDS_A_MB", 0.0)
    assert parse(PYTHON, "x = 1\n" * 50_000) is None


def test_an_unknown_language_has_no_tree_and_another_language_starts_over() -> None:
    cache = ParseCache()
    assert cache.parse("file:///a", None, "x") is None
    assert cache.parse("file:///a", PYTHON, "x = 1\n") is not None
    parsed = cache.parse("file:///a", language_for("go"), "package a\n")
    assert parsed is not None
    assert parsed.language.name == "go"


def test_the_cache_forgets_the_oldest_document() -> None:
    cache = ParseCache(max_documents=2)
    first = cache.parse("a", PYTHON, "x = 1\n")
    cache.parse("b", PYTHON, "x = 1\n")
    cache.parse("c", PYTHON, "x = 1\n")
    assert cache.parse("a", PYTHON, "x = 1\n") is not first


def test_threads_may_parse_the_same_document() -> None:
    cache = ParseCache()
    text = SOURCES["python"] * 20
    failures: list[str] = []

    def work(number: int) -> None:
        for i in range(30):
            mine = text + f"value_{number} = {i}\n"
            parsed = cache.parse("file:///a", PYTHON, mine)
            if parsed is None or parsed.text != mine or parsed.root.has_error:
                failures.append(f"{number}/{i}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_keystroke_in_a_long_file_reads_less_than_half_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buffers, pieces = parser_module._buffers, 0  # pyright: ignore[reportPrivateUsage]

    def counted() -> Sequence[bytearray]:
        nonlocal pieces
        pieces += 1
        return buffers()

    monkeypatch.setattr(parser_module, "_buffers", counted)
    text = SOURCES["python"] * 2_000
    cache = ParseCache()
    cache.parse("file:///a", PYTHON, text)
    whole, pieces = pieces, 0
    middle = text.index("f(1)", len(text) // 2) + 2
    for i in range(1, 8):
        cache.parse("file:///a", PYTHON, text[:middle] + "1" * i + text[middle:])
    assert pieces / 7 < whole / 2


def test_errors_are_counted_however_deep_they_nest() -> None:
    """An open parenthesis after a wrong target makes one chain of all the lines below."""
    line = "    value = compute(left, right)\n"
    text = "def f():\n" + line * 1500 + "    a / b = compute(\n" + line * 1500
    parsed = parse(PYTHON, text)
    assert parsed is not None
    assert parsed.errors(Span(0, len(text)))


def test_the_texts_that_were_parsed_are_let_go_of() -> None:
    """The binding keeps whatever it is given to read."""
    body = "def f(x):\n    return 'é🦀'\n" * 2_000
    parse(PYTHON, body)
    tracemalloc.start()
    try:
        for number in range(20):
            assert parse(PYTHON, f"{body}# {number}") is not None
        gc.collect()
        kept, _most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < len(body.encode()) * 2, "of twenty"


@pytest.mark.parametrize("length", [0, 1, 15, 16, 127, 128, 2_049, 40_000])
def test_every_piece_of_a_text_is_read(length: int) -> None:
    text = ("# é🦀漢\nx = 1\n" * (length // 12 + 1))[:length]
    parsed = parse(PYTHON, text)
    plain = tree_sitter.Parser(grammar(PYTHON)).parse(text.encode())
    assert parsed is not None and str(parsed.root) == str(plain.root_node)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("python", "x = " + "(\n" * 5_000 + "1" + "\n)" * 5_000),
        ("python", "x = (1" + "\n+1" * 20_000 + ")\n"),
        ("python", "x = (" + "not\n" * 20_000 + "a)\n"),
        ("javascript", "x = " + "[\n" * 5_000 + "\n]" * 5_000),
        ("javascript", "if (a) {}\n" + "else if (b) {}\n" * 9_000),
        (
            "javascript",
            "f();\n" * 20_000
            + "[" * 1_900
            + "]" * 1_900
            + "[" * 4_500
            + "]" * 4_500
            + ";\n"
            + "f();\n" * 20_000,
        ),
        ("json", '{"a":\n' * 2_500),
        ("typescript", "a<\n" * 20_000),
    ],
)
def test_a_text_nested_too_deeply_has_no_tree(name: str, text: str) -> None:
    language = language_for(name)
    assert language is not None
    assert parse(language, text) is None


def test_a_long_flat_text_has_a_tree() -> None:
    json = language_for("json")
    assert json is not None
    assert parse(PYTHON, "".join(f"v{n} = {n}\n" for n in range(60_000))) is not None
    assert parse(json, "[\n" + ",\n".join(["[[[1]]]"] * 60_000) + "]") is not None


def test_after_a_text_without_a_tree_the_next_parses_are_spared_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = ParseCache()
    deep = "x = " + "(" * 5_000 + ")" * 5_000 + "\n"
    assert cache.parse("u", PYTHON, deep) is None

    def again(*_: object) -> None:
        pytest.fail("it was parsed again")

    monkeypatch.setattr(parser_module, "_parsed", again)
    assert cache.parse("u", PYTHON, deep + "y = 1\n") is None
    monkeypatch.undo()
    later = time.monotonic() + 600
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert cache.parse("u", PYTHON, "y = 1\n") is not None
