"""Ignore patterns match what git matches: git itself is the judge."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from nearfield.files.ignore import lines_of
from nearfield.files.patterns import Patterns, TextGlob

PAIRS = 10_000
PIECES = [
    *(b"abc.A*?[]!^-/"[at : at + 1] for at in range(13)),
    *(b"*", b"*", b"/", b"**", b"**/", b"/**", b"/**/", b"[ab]", b"[!a]", b"[^b-]", b"[]-]", b"[!]a]"),
    *(b"[a-c]", b"[c-a]", b"[[:alpha:]]", b"[[:nope:]]", b"[[:digit:]a-b]", b"[\\]]", b"[\\a-b]", b"[["),
    *(b"\\", b"\\*", b"\\/", b"\\!", b"\\#", b"\\ ", b" ", b"  ", b"#", b"\t", b"\r", b"[/]", b"[!/]"),
    *("\u00e9".encode(), "\u00c9".encode(), b"\xff", b"{a,b}", b"$", b"(", b"+", b"~", b"|"),
]  # fmt: skip
LETTERS = [
    *(b"a", b"b", b"c", b".", b"A", b"ab", b"/", b"/", b"-", b"]", b"*", b"\\", b" ", b"#", b"x"),
    *("\u00e9".encode(), b"\xff", b"\t", b"\r", b"!", b"[", b"^"),
]
# Git 2.52 lets no `**` begin behind a literal start any more.
NEW_GIT = re.compile(rb"!?/?[^*?\[\\]*[^*?\[\\/]\*\*")


def git_version() -> tuple[int, ...]:
    said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.findall(r"\d+", said)[:2]))


def judged(root: Path, paths: Sequence[bytes]) -> list[bool]:
    """Whether git ignores each of `paths`."""
    said = subprocess.run(
        ["git", "-C", root, "check-ignore", "--stdin", "-z", "-v", "-n", "--no-index"],
        input=b"".join(path + b"\0" for path in paths), capture_output=True,
    )  # fmt: skip
    assert said.returncode <= 1, said.stderr
    fields = said.stdout.split(b"\0")[:-1]
    assert fields[3::4] == list(paths)
    found = zip(fields[::4], fields[2::4], strict=True)
    return [bool(source) and not pattern.startswith(b"!") for source, pattern in found]


def ours(content: bytes, path: bytes) -> bool:
    patterns = Patterns(lines_of(content))
    steps = path.split(b"/")
    for count in range(1, len(steps) + 1):
        line = patterns.match(b"/".join(steps[:count]), folder=count < len(steps))
        if line is not None and not line.negated:
            return True
    return False


def rules(choose: random.Random) -> bytes:
    lines = [b"".join(choose.choices(PIECES, k=choose.randint(1, 8))) for _ in range(40)]
    if git_version() >= (2, 52):
        lines = [line for line in lines if not NEW_GIT.match(line)]
    kept = lines[: choose.choice([1, 1, 1, 3])] or [b"a"]
    return choose.choice([b"", b"", b"\xef\xbb\xbf"]) + choose.choice([b"\n", b"\r\n"]).join(kept)


def near(pattern: bytes, choose: random.Random) -> bytes:
    """A path that `pattern` may speak of."""
    path = pattern.lstrip(b"!/")
    for sign, texts in (
        (b"**", [b"", b"a", b"a/b", b"b/"]), (b"*", [b"", b"b", b"ab"]), (b"?", [b"c", b"a"]),
        (b"[ab]", [b"a"]), (b"[!a]", [b"c"]), (b"[a-c]", [b"b"]), (b"[[:alpha:]]", [b"A", b"b"]),
        (b"\\", [b""]),
    ):  # fmt: skip
        path = path.replace(sign, choose.choice(texts))
    return path


def a_path(content: bytes, choose: random.Random) -> bytes:
    pattern = choose.choice(content.split(b"\n"))
    random_one = b"".join(choose.choices(LETTERS, k=choose.randint(1, 6)))
    path = near(pattern, choose) if choose.random() < 0.6 else random_one
    path += b"/x" * (choose.random() < 0.3)
    steps = [one for one in path.split(b"/") if one not in (b"", b".", b"..", b".git")]
    return b"/".join(steps) or b"a"


def compared(root: Path, cases: Iterable[tuple[bytes, Sequence[bytes]]]) -> tuple[int, int]:
    """How many paths were compared, and how many of them are ignored: each rule file stands in a
    folder of its own, which needs no repository of its own."""
    subprocess.run(["git", "init", "-q", root], check=True)
    asked: list[tuple[bytes, bytes]] = []
    whole: list[bytes] = []
    for number, (content, paths) in enumerate(cases):
        folder = root / str(number)
        folder.mkdir()
        (folder / ".gitignore").write_bytes(content)
        asked += ((content, path) for path in paths)
        whole += (b"%d/%b" % (number, path) for path in paths)
    verdicts = judged(root, whole)
    wrong = [
        (content, path, verdict)
        for (content, path), verdict in zip(asked, verdicts, strict=True)
        if ours(content, path) is not verdict
    ]
    assert not wrong, wrong[:10]
    return len(asked), sum(verdicts)


@pytest.mark.parametrize("seed", [1, 2])
def test_random_patterns_and_paths_as_git(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    contents = [rules(choose) for _ in range(PAIRS // 10)]
    cases = [(content, [a_path(content, choose) for _ in range(5)]) for content in contents]
    count, ignored = compared(tmp_path, cases)
    assert count == PAIRS // 2 and count * 0.15 < ignored < count * 0.85


def test_every_byte_in_every_class_as_git(tmp_path: Path) -> None:
    names = b"alnum alpha blank cntrl digit graph lower print punct space upper xdigit".split()
    classes = [b"[[:%b:]]" % name for name in names]
    classes += [b"[!a]", b"[^a]", b"[!-~]", b"[\x80-\xff]", b"[]-a]", b"[a-]", b"[--0]", b"[+--]"]
    every = [bytes([byte]) for byte in range(1, 256) if byte not in b"./\n"]
    compared(tmp_path, [(b"x" + one_of, [b"x" + byte for byte in every]) for one_of in classes])


ODD = [
    (b"foo\\ \n", b"foo "), (b"foo\\\\ \n", b"foo\\"), (b"foo  \n", b"foo"), (b"a\t\n", b"a\t"),
    (b"\\#a\n#b\n", b"#a"), (b"\\!a\n", b"!a"), (b"a\r\n", b"a"), (b"a\r\r\n", b"a\r"), (b"a\r", b"a"),
    (b"a", b"a"), (b"a\\\n", b"a\\"), (b"a\\", b"a"), (b"[a\n", b"[a"), (b"a[]\n", b"a[]"), (b"/\n", b"a"),
    (b"**\n", b"a/b"), (b"**/\n", b"a/b"), (b"/**\n", b"a"), (b"a/**\n", b"a/b/c"), (b"a/**\n", b"a"),
    (b"**/a/**/b\n", b"x/a/b"), (b"**/a/**/b\n", b"a/x/y/b"), (b"a/**/**/b\n", b"a/b"), (b"a**b/c\n", b"axb/c"),
    (b"a/*/b\n", b"a/x/y/b"), (b"a/**\\/b\n", b"a/b"), (b"**\\/b\n", b"x/b"), (b"a\\/b\n", b"a/b"),
    (b"a/\n!a/b\n", b"a/b"), (b"*\n!*/\n!*.c\n", b"d/x.c"), (b"*\n!a\n", b"a"), (b"a/b/\n", b"a/b"), (b"a/b/\n", b"a/b/c"),
    (b"*.[oa]\n!keep.o\n", b"d/keep.o"), (b"x/*.c\n", b"x/y/a.c"), (b"\xef\xbb\xbfa\n", b"a"), (b"a\n\xef\xbb\xbfb\n", b"b"),
    (b"a*/b*/c*\n", b"a/b/c"), (b"*a*a*b\n", b"aab"), (b"*ab*ab\n", b"abab"), (b"*ab*ab\n", b"xabx"), (b"??\n", "\u00e9".encode()),
    (b"[!/]x\n", b"ax"), (b"d/[!/]x\n", b"d/ax"), (b"[[:alpha:]\n", b"a"), (b"[[:al:]]\n", b"a"), (b"[[.a.]]\n", b"a"),
]  # fmt: skip


def test_odd_lines_as_git(tmp_path: Path) -> None:
    compared(tmp_path, [(content, [path]) for content, path in ODD])


# Where a pattern begins, what it repeats, where it ends; and the same of a path.
HARD: dict[str, tuple[bytes, bytes, bytes, bytes, bytes]] = {
    "stars in a name": (b"", b"*a", b"*b", b"aaaa", b""),
    "stars and classes": (b"", b"*[ab]?", b"*[!ab]", b"abab", b""),
    "folders": (b"/", b"**/a/", b"b", b"a/a/a/a/", b"c"),
    "folders of stars": (b"/", b"**/*a*b/", b"c", b"aaa/aaa/", b"c"),
    "a long ending": (b"*", b"a", b"[b]", b"aaaa", b""),
}


@pytest.mark.parametrize("kind", HARD)
def test_no_pattern_backtracks(kind: str) -> None:
    """A matcher that tries every way to divide the path would not end within years."""
    before, repeated, after, path, end = HARD[kind]
    patterns = Patterns([before + repeated * 512 + after])
    assert patterns.match(path * 512 + end, folder=False) is None


def test_a_folded_match_ignores_the_case_of_letters() -> None:
    patterns = Patterns([b"Private/", b"*.KEY", b"[a-c]?X", b"docs/Internal.md"], fold=True)
    assert patterns.match(b"PRIVATE", folder=True)
    for path in (b"a.Key", b"Bax", b"DOCS/internal.MD"):
        assert patterns.match(path, folder=False), path


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [("*.py", "a/b.py", True), ("test_*", "test_a", True), ("[", "[", False), ("*a*b", "aab", True)],
)  # fmt: skip
def test_a_glob_for_a_whole_text(glob: str, text: str, fits: bool) -> None:
    assert TextGlob(glob).matches(text) is fits
