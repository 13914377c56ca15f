"""Names that were changed at one place, and what tells that something else is meant there now."""

from __future__ import annotations

import pytest
from tests.unit.features.next_edit.editing import Typist, shown

PYTHON = """\
def _found(names, text: str):
    kept = [one for one in names if one in text]
    kept = sorted(kept)
    return kept or text


def main(names):
    print(_found(names, "a"))
    print(_found(names, "b"))
    return _found(names, "c")
"""
TYPESCRIPT = """\
function parts(text: string, most: number): string[] {
  const found = text.split(",");
  return found.slice(0, most).concat(text);
}
"""
GO = """\
package parts

func Parts(text string, most int) []string {
	found := strings.Split(text, ",")
	return append(found[:most], text)
}
"""
TEXTS = {"python": PYTHON, "typescript": TYPESCRIPT, "go": GO}


@pytest.mark.parametrize(
    ("language", "old", "new", "line", "expected"),
    [
        # the old name is written anew: the first place means another thing, the others do not
        ("python", "names", "words", "    names = list(words)\n", []),
        ("python", "names", "words", "    others = list(words)\n", [3]),
        ("python", "names", "words", "    self.names = list(words)\n", [3]),
        ("python", "names", "words", '    other("names")\n', [3]),
        ("typescript", "text", "line", "  const text = line.trim();\n", []),
        ("typescript", "text", "line", "  const trimmed = line.trim();\n", [3, 4]),
        ("go", "text", "line", "\ttext := strings.TrimSpace(line)\n", []),
        ("go", "text", "line", "\ttrimmed := strings.TrimSpace(line)\n", [5, 6]),
    ],
)
def test_writing_the_old_name_again_is_no_rename(
    language: str, old: str, new: str, line: str, expected: list[int]
) -> None:
    typist = Typist(TEXTS[language], language)
    typist.retype(old, new, 0)
    assert typist.offered()
    below = typist.text.index("\n", typist.offset) + 1
    typist.edit(below, below, line)
    found = [line for line, was, _ in shown(typist.offered(), typist.text) if was == old]
    assert found == expected


def test_a_renaming_that_was_undone_may_become_another_one() -> None:
    typist = Typist(PYTHON)
    typist.retype("text", "word")
    (first, *_) = typist.offered()
    assert typist.edits.dismiss(first.id)
    assert typist.offered() == ()
    typist.retype("word", "text")
    assert typist.offered() == ()
    # The one that was dismissed stays away.
    typist.retype("text", "word")
    assert typist.offered() == ()
    typist.retype("word", "text")
    typist.retype("text", "line")
    found = shown(typist.offered(), typist.text)
    assert found == [(2, "text", "line"), (4, "text", "line")]


def test_the_same_name_in_another_function_is_another() -> None:
    typist = Typist(PYTHON)
    typist.retype("names", "words", 0)
    end = len(typist.text)
    typist.edit(end, end, "\n\ndef more(names):\n    return names\n")
    assert [line for line, _, _ in shown(typist.offered(), typist.text)] == [2]


def test_adding_a_type_after_a_rename_keeps_the_offers() -> None:
    typist = Typist(PYTHON)
    typist.retype("names", "words", 0)
    typist.type(": list[str]")
    assert [line for line, _, _ in shown(typist.offered(), typist.text)] == [2]


@pytest.mark.parametrize(
    ("old", "nth", "new", "lines"),
    [
        # a value that is given later
        ("kept", 1, "ordered", []),
        # a use that is only spelled otherwise, and one that is not
        ("_found", 1, "found", [1, 9, 10]),
        ("_found", 1, "other", []),
    ],
)
def test_replacing_one_use_offers_only_what_it_renames(
    old: str, nth: int, new: str, lines: list[int]
) -> None:
    typist = Typist(PYTHON)
    typist.retype(old, new, nth)
    assert sorted(line for line, _, _ in shown(typist.offered(), typist.text)) == lines


def test_a_rename_stops_where_the_variable_is_reassigned() -> None:
    text = "def f(path):\n    log(path)\n    path = Path(path)\n    return path\n"
    typist = Typist(text)
    typist.retype("path", "name", 0)
    wanted = "def f(name):\n    log(name)\n    path = Path(name)\n    return path\n"
    assert typist.accept_all() == wanted
    counted = "def f(n):\n    n += 1\n    return n\n"
    typist = Typist(counted)
    typist.retype("n", "count", 0)
    assert typist.accept_all() == counted.replace("(n)", "(count)").replace(
        "n += 1", "count += 1"
    ).replace("return n", "return count")


def test_two_uses_that_were_changed_alike_tell_of_the_definition() -> None:
    typist = Typist(PYTHON)
    typist.retype("_found", "other", 1)
    assert typist.offered() == ()
    typist.retype("_found", "other", 1)
    assert sorted(line for line, _, _ in shown(typist.offered(), typist.text)) == [1, 10]


def test_a_list_of_parameters_that_is_being_written_changes_no_calls() -> None:
    """The call passes by place what has the new parameter's name: it fits already, or will."""
    typist = Typist("def f(a, b=1, c=2):\n    pass\n\n\ndef g(b, c):\n    f(1, b, c)\n")
    typist.offset = typist.find("a,") + 2
    typist.type(" c,")
    assert typist.offered() == ()


@pytest.mark.parametrize(
    ("language", "text", "old", "lines"),
    [
        (
            "python",
            "from json import loads as parse\n\n\ndef loads(text):\n    return parse(text)\n\n\n"
            'loads("1")\n',
            "loads",
            [8],
        ),
        (
            "typescript",
            'import { read as parse } from "fs";\n\nfunction read(text: string) {\n'
            '  return parse(text);\n}\n\nread("1");\n',
            "read",
            [7],
        ),
    ],
)
def test_an_import_alias_keeps_the_imported_name(
    language: str, text: str, old: str, lines: list[int]
) -> None:
    typist = Typist(text, language)
    typist.retype(old, f"_{old}", 1)
    assert [line for line, _, _ in shown(typist.offered(), typist.text)] == lines
