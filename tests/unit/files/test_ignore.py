"""One answer to "is this ignored?", as git answers it, and closed where nobody can know."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nearfield.files import ignore
from nearfield.files.ignore import IgnoreRules, SettingsRules, holds_keys
from nearfield.routing.withhold import Withheld

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a configuration of git's."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for name in ("XDG_CONFIG_HOME", "USERPROFILE", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository."""
    folder = tmp_path / "top"
    git(tmp_path, "init", "-q", "top")
    return folder


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def why(root: Path, path: str, *patterns: str) -> str:
    ruling = IgnoreRules(root, patterns).why(path)
    return ruling.reason if ruling else ""


# --- git is the judge of whole trees ---

NAMES = ["a", "b", "c", "build", "x.log", "keep.log", "y.py"]
RULES = [
    *("*.log", "!keep.log", "build/", "/a", "a/b", "a/**", "**/c", "!c", "*", "!*/", "!y.py", "b/*"),
    *("/build/*.py", "!/build/", "x.*", "c/", "!a/b", "a/**/y.py", "[ab]", "?", "#b", "", "  "),
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_random_trees_as_git(top: Path, home: Path, seed: int) -> None:
    choose = random.Random(seed)

    def some() -> str:
        return "\n".join(choose.choices(RULES, k=choose.randint(1, 4)))

    folders = ["", "a/", "a/b/", "build/", "b/", "b/c/", "c/a/"]
    write(top, {f"{folder}.gitignore": some() for folder in folders if choose.random() < 0.6})
    write(top, {".git/info/exclude": some() if choose.random() < 0.5 else ""})
    write(home, {".config/git/ignore": some() if choose.random() < 0.3 else ""})
    for folder in folders:
        (top / folder).mkdir(parents=True, exist_ok=True)
    paths = sorted({folder + name for folder in folders for name in NAMES})
    files = [path for path in paths if not (top / path).is_dir()]
    write(top, dict.fromkeys(files, ""))
    asked = "\0".join(files) + "\0"
    said = subprocess.run(
        ["git", "-C", top, "check-ignore", "--stdin", "-z", "--no-index"],
        input=asked, capture_output=True, text=True,
    ).stdout  # fmt: skip
    ignored = set(said.split("\0"))
    rules = IgnoreRules(top)
    assert [p for p in files if (rules.why(p) is not None) != (p in ignored)] == []
    # A package of it as the workspace: the same answers.
    below = IgnoreRules(top / "a")
    inside = [path.removeprefix("a/") for path in files if path.startswith("a/")]
    assert [p for p in inside if (below.why(p) is not None) != (f"a/{p}" in ignored)] == []


# --- where rules come from ---

SOURCES: dict[str, tuple[dict[str, str], str]] = {
    ".gitignore of the workspace": ({"top/app/.gitignore": "p.py"}, ".gitignore"),
    ".gitignore above it": ({"top/.gitignore": "p.py"}, "{top}/.gitignore"),
    "a path above it": ({"top/.gitignore": "/app/p.py"}, "{top}/.gitignore"),
    "the workspace's own folder": ({"top/.gitignore": "app/"}, "{top}/.gitignore"),
    "everything": ({"top/.gitignore": "*"}, "{top}/.gitignore"),
    "our own file above it": ({"top/.nearfieldignore": "p.py"}, "{top}/.nearfieldignore"),
    "info/exclude": ({"top/.git/info/exclude": "p.py"}, "{top}/.git/info/exclude"),
    "git's place": ({"home/.config/git/ignore": "p.py"}, "{home}/.config/git/ignore"),
    "a setting": (
        {"home/.gitconfig": "[core]\n\texcludesFile = ~/ours ; mine\n", "home/ours": "p.py"},
        "{home}/ours",
    ),
    "a setting in quotes": (
        {"home/.config/git/config": '[Core] excludesfile = "~/our\\"s"', 'home/our"s': "p.py"},
        '{home}/our"s',
    ),
    "an included setting": (
        {
            "home/.gitconfig": "[include]\npath = more\n",
            "home/more": "[core]\nexcludesFile=~/ours",
            "home/ours": "p.py",
        },
        "{home}/ours",
    ),
    "a setting for some repositories": (
        {
            "home/.gitconfig": '[includeIf "gitdir:**/top/.git"]\npath = more\n',
            "home/more": "[core]\nexcludesFile=~/ours",
            "home/ours": "p.py",
        },
        "{home}/ours",
    ),
    "a setting for others": (
        {
            "home/.gitconfig": '[includeIf "gitdir:~/work/"]\npath = more\n',
            "home/more": "[core]\nexcludesFile=~/ours",
            "home/ours": "p.py",
        },
        "",
    ),
    "a setting of the repository": (
        {"top/.git/config": "[core]\nexcludesFile = ours\n", "top/ours": "p.py"},
        "{top}/ours",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SOURCES)
def test_every_rule_file_of_git_counts(tmp_path: Path, top: Path, home: Path, case: str) -> None:
    files, source = SOURCES[case]
    write(tmp_path, {"top/app/q.py": "", **files})
    source = source.format(top=top, home=home)
    assert why(top / "app", "p.py") == (f"excluded by {source}" if source else "")
    assert bool(Withheld().why(str(top / "app"), "p.py")) is bool(source)


def test_a_worktree_and_a_submodule_have_rules_of_their_own(tmp_path: Path, top: Path) -> None:
    write(top, {"a.py": "", ".gitignore": "inner.py\n"})
    git(top, "add", ".")
    git(top, "commit", "-qm", "one")
    git(top, "worktree", "add", "-q", str(tmp_path / "tree"))
    write(top, {".git/info/exclude": "mine.py\n"})
    assert why(tmp_path / "tree", "mine.py") == f"excluded by {top / '.git/info/exclude'}"
    git(
        top,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        str(tmp_path / "tree"),
        "m",
    )
    (top / "m/.gitignore").unlink()
    assert why(top, "m/inner.py") == ""
    assert why(top, "inner.py") == "excluded by .gitignore"


def test_letter_case_as_the_repository_says(top: Path) -> None:
    write(top, {".gitignore": "Private/\n*.Log\n", ".nearfieldignore": "own.py\n"})
    rules = IgnoreRules(top)
    for path in ("private/a.py", "a.LOG", "OWN.py"):
        assert rules.why(path) is None
        assert rules.why(path, any_case=True)
    git(top, "config", "core.ignoreCase", "true")
    assert rules.why("private/a.py") and rules.why("a.LOG") and not rules.why("OWN.py")


# --- encodings of rule files ---


@pytest.mark.parametrize("name", [".gitignore", ".nearfieldignore"])
@pytest.mark.parametrize(
    "raw",
    [
        b"private.py\nx\n", b"private.py\r\nx\r\n", b"\xef\xbb\xbfprivate.py\nx\n",
        "\ufeffprivate.py\r\nx\r\n".encode("utf-16-le"), "\ufeffprivate.py\nx".encode("utf-16-be"),
        b"caf\xe9.py\nprivate.py",
    ],
)  # fmt: skip
def test_rules_in_every_encoding_that_people_write(top: Path, name: str, raw: bytes) -> None:
    write(top, {name: raw})
    assert why(top, "private.py") == f"excluded by {name}"
    assert why(top, "open.py") == ""


# --- what cannot be read closes ---


def as_fifo(path: Path) -> None:
    os.mkfifo(path)


def as_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def as_lost_link(path: Path) -> None:
    path.symlink_to("nowhere")


def as_loop(path: Path) -> None:
    path.symlink_to(path.name)


def as_link_out(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def as_huge(path: Path) -> None:
    path.write_bytes(b"a\n" * (ignore.MAX_RULE_BYTES // 2 + 1))


def as_wildcards(path: Path) -> None:
    path.write_bytes(b"*a?*b*\n" * 5_000)


def as_no_text(path: Path) -> None:
    path.write_bytes("private.py\n".encode("utf-16-le"))


CLOSING = [as_fifo, as_device, as_lost_link, as_loop, as_huge, as_wildcards, as_no_text]


@posix
@pytest.mark.parametrize("name", [".gitignore", ".nearfieldignore"])
@pytest.mark.parametrize("make", [*CLOSING, as_link_out])
def test_a_rule_file_that_cannot_be_read_closes(top: Path, name: str, make: object) -> None:
    (top / "sub").mkdir()
    assert callable(make)
    make(top / "sub" / name)
    said = why(top, "sub/deep/a.py")
    assert said.startswith(f"excluded by sub/{name}, which cannot be read (it ")
    assert why(top, "a.py") == "", "nothing beside it is closed"
    below = Withheld().why(str(top / "sub"), "a.py")
    assert below is not None and f"{name} cannot be read" in below.sentence


@posix
@pytest.mark.parametrize("make", CLOSING)
def test_unreadable_rules_outside_the_tree_exclude_everything(
    top: Path, home: Path, make: object
) -> None:
    assert callable(make)
    (top / ".git/info/exclude").unlink()
    make(top / ".git/info/exclude")
    assert why(top, "a.py").startswith("excluded by .git/info/exclude, which cannot be read")
    (top / ".git/info/exclude").unlink()
    (home / ".config/git").mkdir(parents=True)
    make(home / ".config/git/ignore")
    assert why(top, "a.py").startswith(f"excluded by {home}/.config/git/ignore, which cannot")


@posix
@pytest.mark.parametrize("name", [".git/config", ".gitconfig"])
def test_a_configuration_that_cannot_be_read_closes(top: Path, home: Path, name: str) -> None:
    file = (top if name.startswith(".git/") else home) / name
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    assert "config, which cannot be read (it is not a regular file)" in why(top, "a.py")


@posix
def test_rules_without_rights_close(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(top, {"sub/.gitignore": "x\n"})
    opened = os.open

    def refused(path: Any, *more: Any, **named: Any) -> int:
        if str(path).endswith("sub/.gitignore"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, *more, **named)

    # Root, as whom containers run tests, may read a file without rights.
    monkeypatch.setattr(os, "open", refused)
    assert "cannot be read" in why(top, "sub/a.py")


@posix
def test_a_folder_without_a_repository_keeps_the_rules_above(top: Path) -> None:
    write(top, {".gitignore": "*.key.py\n"})
    for number, make in enumerate((as_fifo, as_device, as_lost_link, as_huge)):
        (top / str(number)).mkdir()
        make(top / str(number) / ".git")
        assert why(top, f"{number}/a.key.py") == "excluded by .gitignore"
    write(top, {"4/.git": "gitdir: ../../nowhere\n", "5/.gitignore/x": ""})
    assert why(top, "4/a.key.py") == "excluded by .gitignore"
    assert why(top, "5/a.py") == "", "a folder holds no rules"


def test_a_link_inside_the_repository_is_followed(top: Path) -> None:
    write(top, {"rules": "p.py\n", "sub/q.py": ""})
    try:
        (top / "sub/.gitignore").symlink_to("../rules")
    except OSError:
        pytest.skip("links need a privilege here")
    assert why(top, "sub/p.py") == "excluded by sub/.gitignore"


def test_deep_folders_full_of_rules_are_bounded(top: Path) -> None:
    folder = ""
    for _ in range(40):
        folder += "d/"
        write(top, {f"{folder}.gitignore": "*a?*b*\n" * 100})
    assert "has too many wildcards" in why(top, folder + "x.py")


def test_more_rules_than_can_be_held_are_cheap() -> None:
    """The work is counted in patterns that are tried: none of these."""
    kinds = (b"name%d", b"*.end%d", b"/a/b%d")
    many = ignore.RuleFile((kind % number for number in range(9_000) for kind in kinds), 0)
    assert many.exact.wildcard_bytes == 0
    assert many.exact.match(b"x/name8999", folder=False)
    assert many.exact.match(b"a/b7", folder=False)
    assert many.exact.match(b"y.end12", folder=False)


# --- now, and from many threads ---


def test_a_change_counts_at_once(top: Path) -> None:
    rules = IgnoreRules(top)
    for text, wanted in (("a.py\n", True), ("b.py\n", False), ("a.py\n", True)):
        write(top, {".gitignore": text})
        assert bool(rules.why("a.py")) is wanted
    (top / ".gitignore").unlink()
    assert not rules.why("a.py")


def test_threads_share_one(top: Path) -> None:
    write(top, {".gitignore": "*.log\n", "sub/.gitignore": "!keep.log\n"})
    rules = IgnoreRules(top)
    answers: list[tuple[bool, bool]] = []

    def ask() -> None:
        answers.extend(
            (rules.why("sub/a.log") is None, rules.why("sub/keep.log") is None) for _ in range(50)
        )

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(False, True)] * 400


# --- settings and names of keys ---


def test_patterns_of_the_settings(top: Path) -> None:
    write(top, {".gitignore": "!a.py\n"})
    ruling = IgnoreRules(top, ["a.py", "private/"]).why("private/x/y.py")
    assert ruling is not None and ruling.kind == "settings"
    assert why(top, "a.py", "a.py") == "excluded by the settings"
    rules = SettingsRules(["docs/", "*.tmp", "!keep.tmp"])
    assert rules.match("docs/x/a.md") and rules.match("x/a.tmp") and not rules.match("x/keep.tmp")


@pytest.mark.parametrize("added", ["x\n!a.py", "\ufeff!a.py", "x\r!a.py", "x\0!a.py"])
def test_no_pattern_of_a_workspace_hides_another_one(added: str) -> None:
    assert SettingsRules(["a.py", added]).match("a.py")


@pytest.mark.parametrize("patterns", [["*a?*b*"] * 5_000, ["a" * 1_000] * 1_000])
def test_too_many_patterns_of_the_settings_close(top: Path, patterns: list[str]) -> None:
    assert SettingsRules(patterns).match("x.py")
    assert "the settings, which cannot be read" in why(top, "x.py", *patterns)


def test_a_pattern_that_matches_nothing_is_reported_to_the_guard() -> None:
    assert SettingsRules(["a", "x["]).invalid == ["x["]
    with pytest.raises(ValueError, match=r"x\["):
        Withheld(["x["])


@pytest.mark.parametrize(
    ("path", "holds"),
    [(".env", True), (".ENV", True), ("x/.aws/config", True), ("x/.docker/config.json", True),
     ("/home/u/.ssh/known", True), ("id_rsa.pub", False), ("a/main.py", False)],
)  # fmt: skip
def test_names_of_keys(path: str, holds: bool) -> None:
    assert holds_keys(path) is holds


def test_the_guard_asks_about_files_outside_the_workspace_too(tmp_path: Path, top: Path) -> None:
    write(tmp_path, {"top/.gitignore": "p.py\n", "top/p.py": "", "other/q.py": ""})
    for workspace in ("", str(tmp_path / "other")):
        assert Withheld().why(workspace, str(top / "p.py"))
        assert not Withheld().why(workspace, str(top / "q.py"))


def test_a_link_to_an_ignored_file_stays_with_it(top: Path) -> None:
    write(top, {".gitignore": "p.py\n", "p.py": ""})
    try:
        (top / "open.py").symlink_to("p.py")
    except OSError:
        pytest.skip("links need a privilege here")
    assert Withheld().why(str(top), "open.py")
    assert Withheld().why(str(top), str(top / "open.py"))


def test_a_link_that_leads_out_of_the_workspace_may_not_leave(tmp_path: Path) -> None:
    top, other = tmp_path / "top", tmp_path / "other"
    top.mkdir()
    other.mkdir()
    (other / "plan.py").write_text("")
    (top / "plan.py").symlink_to(other / "plan.py")
    (top / "folder").symlink_to(other)
    (top / "own.py").write_text("")
    (top / "alias.py").symlink_to(top / "own.py")
    (tmp_path / "linked").symlink_to(top)
    for workspace in (top, tmp_path / "linked"):
        for name, leaves in {
            "plan.py": False, "folder/plan.py": False, "own.py": True, "alias.py": True,
        }.items():  # fmt: skip
            for path in (name, str(workspace / name)):
                ruling = Withheld().why(str(workspace), path)
                assert (ruling is None) is leaves, (workspace, path)
                assert leaves or (ruling is not None and "out of the workspace" in ruling.sentence)
