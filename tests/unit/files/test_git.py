"""Git says what is asked, and starts nothing that a repository names."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.repository import git as run
from tests.repository import make_repository

import nearfield
from nearfield.errors import NearfieldError
from nearfield.files import git
from nearfield.files.git import Git, GitFailed
from nearfield.files.git_diff import changed_files
from nearfield.index.here import commit_of, index_time, listed
from nearfield.index.shared import name_of

posix = pytest.mark.skipif(os.name == "nt", reason="the traps are shell scripts")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and a file that was changed since."""
    folder = make_repository(tmp_path / "repository", {"a.py": "a = 1\n"})
    (folder / "a.py").write_text("a = 2\n")
    (folder / "new.py").write_text("n = 1\n")
    return folder


class Trap:
    """A program that leaves a mark where it is run."""

    def __init__(self, folder: Path) -> None:
        self.mark = folder / "mark"
        self.program = folder / "trap"
        self.program.write_text(f"#!/bin/sh\ntouch '{self.mark}'\n")
        self.program.chmod(0o755)

    def named(self, repository: Path, *keys: str) -> None:
        with (repository / ".git/config").open("a") as config:
            for key in keys:
                section, _, name = key.rpartition(".")
                kind, dot, inner = section.partition(".")
                head = f'{kind} "{inner}"' if dot else kind
                config.write(f'[{head}]\n\t{name} = "{self.program}"\n')


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path)


def everything(repository: Path) -> None:
    """All that Nearfield asks git, as far as git answers."""
    for words in (
        ("diff", "HEAD"), ("diff", "--name-only", "HEAD", "--"), ("diff", "--stat", "HEAD"),
        ("ls-files", "--others", "--exclude-standard", "-z"), ("ls-files", "-m"),
        ("rev-parse", "HEAD"), ("config", "--get", "remote.origin.url"),
    ):  # fmt: skip
        git.said(repository, *words)
    commit_of(repository)
    index_time(repository)
    name_of(repository)
    listed(repository, "diff", "--name-only", "-z", "HEAD", "--")
    with contextlib.suppress(NearfieldError):
        asyncio.run(changed_files(repository))


def attributes(repository: Path, text: str) -> None:
    (repository / ".gitattributes").write_text(text)


def filters(trap: Trap, repository: Path) -> None:
    attributes(repository, "*.py filter=evil\n")
    trap.named(repository, "filter.evil.clean", "filter.evil.smudge", "filter.evil.process")


def filters_of_odd_names(trap: Trap, repository: Path) -> None:
    attributes(repository, "*.py filter=a=b.C\n")
    trap.named(repository, "filter.a=b.C.clean", "filter.a=b.C.process")


def filters_without_a_name(trap: Trap, repository: Path) -> None:
    attributes(repository, "*.py filter= diff=\n")
    trap.named(repository, "filter..clean", "filter..process", "diff..command", "diff..textconv")


def filters_in_an_included_file(trap: Trap, repository: Path) -> None:
    (repository / ".git/info/attributes").write_text("* filter=Evil.Two\n")
    trap.named(repository, "filter.Evil.Two.clean")
    (repository / ".git/config").rename(repository / ".git/more")
    (repository / ".git/config").write_text(
        '[core]\nrepositoryformatversion = 0\n[includeIf "gitdir:**/.git"]\npath = more\n'
    )


def drivers_of_diffs(trap: Trap, repository: Path) -> None:
    attributes(repository, "*.py diff=evil\n")
    trap.named(repository, "diff.evil.command", "diff.evil.textconv", "diff.external")


def monitors_and_hooks(trap: Trap, repository: Path) -> None:
    trap.named(repository, "core.fsmonitor")
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "pre-auto-gc"):
        (repository / ".git/hooks" / name).write_bytes(trap.program.read_bytes())
        (repository / ".git/hooks" / name).chmod(0o755)


def hooks_elsewhere(trap: Trap, repository: Path) -> None:
    folder = trap.program.parent / "hooks"
    folder.mkdir()
    (folder / "post-index-change").write_bytes(trap.program.read_bytes())
    (folder / "post-index-change").chmod(0o755)
    run(repository, "config", "core.hooksPath", str(folder))


def programs_of_the_core(trap: Trap, repository: Path) -> None:
    trap.named(
        repository, "core.pager", "core.editor", "core.sshCommand", "core.askPass",
        "core.gitProxy", "core.alternateRefsCommand", "pager.diff", "pager.config", "alias.x",
        "credential.helper", "gpg.program", "gpg.ssh.program", "interactive.diffFilter",
        "sequence.editor", "uploadpack.packObjectsHook", "merge.evil.driver", "diff.guitool",
    )  # fmt: skip
    run(repository, "config", "alias.diff", f"!{trap.program}")
    run(repository, "config", "alias.ls-files", f"!{trap.program}")


def objects_to_be_fetched(trap: Trap, repository: Path) -> None:
    """A partial clone lacks an object, and its remote is a program."""
    for key, value in (
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "evil"),
        ("remote.evil.promisor", "true"), ("remote.evil.url", f"ext::{trap.program}"),
        ("remote.evil.partialclonefilter", "blob:none"), ("protocol.ext.allow", "always"),
        ("protocol.allow", "always"), ("remote.evil.uploadpack", str(trap.program)),
    ):  # fmt: skip
        run(repository, "config", key, value)
    said = subprocess.run(
        ["git", "rev-parse", "HEAD:a.py"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (repository / ".git/objects" / said[:2] / said[2:]).unlink()


def an_embedded_repository(trap: Trap, repository: Path) -> None:
    """The folder looks like a repository without a tree, with a configuration of its own."""
    inner = repository / "inner"
    run(repository, "init", "-q", "--bare", str(inner))
    with (inner / "config").open("a") as config:
        config.write(
            f'[core]\n\tfsmonitor = "{trap.program}"\n\tbare = false\n\tworktree = "{inner}"\n'
        )
        config.write('[filter "evil"]\n\tclean = "' + str(trap.program) + '"\n')
    everything(inner)


def a_submodule(trap: Trap, repository: Path) -> None:
    inner = repository / "inner"
    run(repository, "init", "-q", str(inner))
    (inner / "x.py").write_text("x = 1\n")
    run(inner, "add", ".")
    run(inner, "commit", "-qm", "inner")
    run(repository, "add", "inner")
    run(repository, "commit", "-qm", "with it")
    (inner / "x.py").write_text("x = 2\n")
    attributes(inner, "*.py filter=evil diff=evil\n")
    trap.named(inner, "filter.evil.clean", "core.fsmonitor", "diff.evil.command")


TRAPS = [
    filters, filters_of_odd_names, filters_without_a_name, filters_in_an_included_file,
    drivers_of_diffs, monitors_and_hooks, hooks_elsewhere, programs_of_the_core,
    objects_to_be_fetched, an_embedded_repository, a_submodule,
]  # fmt: skip


QUIET = (programs_of_the_core, an_embedded_repository)
"""What git has started in other versions, or by other commands."""


@posix
@pytest.mark.parametrize("laid", TRAPS)
def test_a_repository_starts_nothing(
    repository: Path, trap: Trap, laid: Callable[[Trap, Path], None]
) -> None:
    laid(trap, repository)
    everything(repository)
    assert not trap.mark.exists()


@posix
@pytest.mark.parametrize("laid", [trap for trap in TRAPS if trap not in QUIET])
def test_the_traps_are_traps(
    repository: Path, trap: Trap, laid: Callable[[Trap, Path], None]
) -> None:
    """Where nothing is turned off the mark is left, so that the test above proves something."""
    laid(trap, repository)
    subprocess.run(["git", "diff", "HEAD"], cwd=repository, capture_output=True)
    subprocess.run(["git", "status"], cwd=repository, capture_output=True)
    assert trap.mark.exists()


@posix
def test_the_environment_starts_nothing(
    repository: Path, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "GIT_EXTERNAL_DIFF", "GIT_PAGER", "PAGER", "GIT_EDITOR", "GIT_SSH", "GIT_SSH_COMMAND",
        "GIT_ASKPASS", "SSH_ASKPASS", "GIT_PROXY_COMMAND",
    ):  # fmt: skip
        monkeypatch.setenv(name, str(trap.program))
    monkeypatch.setenv("GIT_DIR", str(trap.program.parent / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(trap.program))
    monkeypatch.setenv("GIT_TRACE", str(trap.mark))
    assert listed(repository, "diff", "--name-only", "-z", "HEAD", "--") == ["a.py"]
    assert not trap.mark.exists()


@posix
def test_no_git_of_the_folder_itself_is_run(
    repository: Path, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "bin").mkdir()
    (repository / "bin/git").write_bytes(trap.program.read_bytes())
    (repository / "bin/git").chmod(0o755)
    (repository / "git").write_bytes(trap.program.read_bytes())
    (repository / "git").chmod(0o755)
    monkeypatch.chdir(repository)
    monkeypatch.setenv(
        "PATH", os.pathsep.join((str(repository / "bin"), "", ".", os.environ["PATH"]))
    )
    assert commit_of(repository)
    assert not trap.mark.exists()


def test_without_git_the_error_says_so(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitFailed, match="could not be started"):
        Git(repository).run("rev-parse", "HEAD")
    assert git.said(repository, "rev-parse", "HEAD") is None


def test_a_tree_elsewhere_is_not_looked_at(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key.py").write_text("k = 1\n")
    run(repository, "config", "core.worktree", str(tmp_path / "secret"))
    assert listed(repository, "ls-files", "--others", "-z") is None


@posix
@pytest.mark.parametrize("name", ["config", "HEAD", "index", "info/exclude"])
def test_a_blocked_git_is_ended(repository: Path, name: str) -> None:
    (repository / ".git" / name).unlink()
    os.mkfifo(repository / ".git" / name)
    for words in (("diff", "HEAD"), ("ls-files", "--others", "--exclude-standard")):
        git.said(repository, *words, seconds=0.3)


def test_too_much_output_is_refused(repository: Path) -> None:
    (repository / "a.py").write_text("x = 1\n" * 10_000)
    with pytest.raises(GitFailed, match="more than can be used"):
        Git(repository, most=10_000).run("diff", "HEAD")


@posix
async def test_cancelling_ends_git(repository: Path) -> None:
    (repository / ".git/info/exclude").unlink()
    os.mkfifo(repository / ".git/info/exclude")
    words = ("ls-files", "--others", "--exclude-standard")
    asking = asyncio.create_task(git.asked(repository, *words, seconds=60))
    while not _running(repository):
        await asyncio.sleep(0.02)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    while _running(repository):
        await asyncio.sleep(0.02)


def _running(folder: Path) -> bool:
    """Whether a git lists files in `folder`."""
    import psutil

    return any(
        process.info["cwd"] == str(folder) and "ls-files" in (process.info["cmdline"] or ())
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.status() != psutil.STATUS_ZOMBIE
    )


# --- a contract over the package ---

STARTS_PROCESSES = {
    "catalog/openvino.py", "catalog/recommend.py", "catalog/wheels.py", "engine/client.py",
    "features/chat/shell.py", "files/git.py", "index/parser_process.py", "index/service.py",
    "providers/server_process.py", "providers/parent_watchdog.py", "testing/connection.py",
}  # fmt: skip
STARTERS = {
    "Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput",
    "create_subprocess_exec", "create_subprocess_shell", "system", "popen", "posix_spawn",
}  # fmt: skip


def starts(tree: ast.Module) -> list[ast.Call]:
    """The calls that start a process."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("subprocess", "asyncio", "os")
        and node.func.attr in STARTERS
        and (node.func.value.id, node.func.attr) != ("asyncio", "run")
    ]


def test_processes_are_started_in_known_places_and_git_in_one() -> None:
    package = Path(nearfield.__file__).parent
    found: set[str] = set()
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.module == "subprocess"), (
                f"{name} hides what it starts: import the module, not its functions"
            )
        calls = starts(tree)
        if calls:
            found.add(name)
        words = {
            node.value
            for call in calls
            for node in ast.walk(call)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert "git" not in words, f"{name} runs git: files/git.py does that for everybody"
    assert found <= STARTS_PROCESSES, f"new places: look at each, and add it here ({sys.version})"
