"""The table of languages is true: ids, extensions, and node types that the grammars really have."""

from __future__ import annotations

import pytest
import tree_sitter

from nearfield.syntax.languages import LANGUAGES, Language, grammar, language_for


@pytest.mark.parametrize("row", LANGUAGES, ids=lambda row: row.name)
def test_every_node_type_of_a_row_exists_in_its_grammar(row: Language) -> None:
    found = grammar(row)
    named = row.functions | row.classes | row.blocks | row.imports | row.strings | row.comments
    assert {t for t in named if found.id_for_node_kind(t, True) is None} == set()


@pytest.mark.parametrize("row", LANGUAGES, ids=lambda row: row.name)
def test_every_grammar_parses(row: Language) -> None:
    tree = tree_sitter.Parser(grammar(row)).parse(b"x\n")
    assert tree.root_node.end_byte >= 1


def test_no_id_and_no_extension_is_claimed_twice() -> None:
    ids = [key for row in LANGUAGES for key in (row.name, *row.aliases)]
    extensions = [key for row in LANGUAGES for key in row.extensions]
    assert sorted(set(ids)) == sorted(ids)
    assert sorted(set(extensions)) == sorted(extensions)


@pytest.mark.parametrize(
    ("language_id", "path", "expected"),
    [
        ("python", None, "python"),
        ("Python", None, "python"),
        ("", "/a/b.rs", "rust"),
        ("plaintext", "/a/b.rs", "rust"),
        ("typescriptreact", "/a/b.tsx", "typescriptreact"),
        ("typescript", "/a/b.tsx", "typescriptreact"),
        ("typescript", "/a/b.ts", "typescript"),
        ("javascriptreact", None, "javascript"),
        ("shellscript", None, "shellscript"),
        ("bash", None, "shellscript"),
        ("jsonc", None, "json"),
        ("csharp", None, "csharp"),
        ("c", "/a/b.h", "c"),
        ("cpp", "/a/b.h", "cpp"),
        ("", "/a/B.PY", "python"),
        ("plaintext", "/a/b.txt", None),
        ("", None, None),
        ("brainfuck", "/a/noextension", None),
    ],
)
def test_language_for(language_id: str, path: str | None, expected: str | None) -> None:
    row = language_for(language_id, path)
    assert (row.name if row else None) == expected
