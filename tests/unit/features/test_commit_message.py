"""Commit messages: of what is staged, in pieces that fit, by the rules, in the usual style."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Cache, Config, Engine, ProviderSettings, Routing
from nearfield.errors import NearfieldError
from nearfield.features.commit_message import MAX_PIECES, SYSTEM, commit_messages, repeats, tidy
from nearfield.features.offers import Offers
from nearfield.features.trace import TraceLog
from nearfield.providers.scripted import Scripted
from nearfield.routing.router import Router
from nearfield.routing.store import Store


def git(root: Path, *words: str) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    me = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *me, *words], cwd=root, env=environ, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    made.mkdir()
    git(made, "init", "-q")
    return made


def stage(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)
    git(root, "add", "-f", name)


@dataclass
class Writer:
    """A service with a script for a model."""

    configs: FolderConfigs
    router: Router | None
    model: Scripted
    offers: Offers = field(default_factory=Offers)
    traces: TraceLog = field(default_factory=TraceLog)

    def told(self, number: int = -1) -> str:
        request: Any = self.model.calls[number].request
        return "\n".join(message.content for message in request.messages)


StartWriter = Callable[..., Writer]


@pytest_asyncio.fixture
async def writer(tmp_path: Path) -> AsyncGenerator[StartWriter]:
    routers: list[Router] = []

    def start(*answers: dict[str, Any], context: int = 8192) -> Writer:
        options = {"answers": list(answers), "context_tokens": context}
        config = Config(
            engine=Engine(enabled=False),
            cache=Cache(enabled=False),
            routing=Routing(roles={"fast": ["fake"]}),
            providers={"fake": ProviderSettings(kind="scripted", options=options)},
        )
        model = Scripted("fake", config.providers["fake"])
        routers.append(Router(config, {"fake": model}, Store(tmp_path / "ledger.db")))
        return Writer(FolderConfigs(config), routers[-1], model)

    yield start
    for router in routers:
        await router.aclose()


async def test_a_message_for_what_is_staged(writer: StartWriter, root: Path) -> None:
    stage(root, "a.py", "x = 1\n")
    git(root, "commit", "-qm", "Add the first number")
    stage(root, "a.py", "x = 1\ny = 2\n")
    (root / "b.py").write_text("not_staged = 1\n")
    (root / "a.py").write_text("x = 1\ny = 2\nlater = 3\n")
    w = writer({"text": "Add y."})
    found = await commit_messages(w, root)
    assert (found.messages, found.model) == (["Add y"], "scripted")
    assert "+y = 2" in w.told() and "Add the first number" in w.told()
    assert "not_staged" not in w.told() and "later" not in w.told()


async def test_nothing_staged_is_said_without_asking(writer: StartWriter, root: Path) -> None:
    w = writer({"text": "Add y."})
    with pytest.raises(NearfieldError, match="Nothing is staged"):
        await commit_messages(w, root)
    assert len(w.model.calls) == 0


async def test_no_repository_is_said(writer: StartWriter, tmp_path: Path) -> None:
    with pytest.raises(NearfieldError):
        await commit_messages(writer(), tmp_path)


async def test_withheld_files_count_as_changed_only(writer: StartWriter, root: Path) -> None:
    stage(root, ".gitignore", "*.log\n")
    stage(root, ".nearfieldignore", "private.py\n")
    for name in ("a.py", ".env", "private.py", "x.log"):
        stage(root, name, f"word_{name} = 1\n")
    w = writer({"text": "Add files"})
    found = await commit_messages(w, root)
    assert "word_a.py" in w.told()
    for name in (".env", "private.py", "x.log"):
        assert f"word_{name}" not in w.told()
    assert "3 more files changed." in w.told()
    assert found.notes == ["3 of the staged files are not shown to models."]


async def test_a_folder_of_a_repository_shows_no_files_above_it(
    writer: StartWriter, root: Path
) -> None:
    stage(root, "above.py", "word_above = 1\n")
    stage(root, "sub/a.py", "word_below = 1\n")
    w = writer({"text": "Add files"})
    await commit_messages(w, root / "sub")
    assert "word_below" in w.told() and "word_above" not in w.told()
    assert "1 more file changed." in w.told()


NAMES = ["ü.py", "a b.py", 'q"uote.py', "tab\t.py", "new\nline.py", "-dash.py", "diff --git a b"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(os.name == "nt", reason="names of POSIX")
async def test_odd_names_do_not_confuse_it(name: str, writer: StartWriter, root: Path) -> None:
    (root / name).write_text("diff --git c d\n+++ /etc/passwd\nword = 1\n")
    stage(root, ".env", "hunter2\n")
    git(root, "add", "--", name)
    w = writer({"text": "Add it"})
    await commit_messages(w, root)
    assert "+word = 1" in w.told() and "hunter2" not in w.told()


async def test_a_large_diff_is_summed_up_piece_by_piece(writer: StartWriter, root: Path) -> None:
    for name in ("a.py", "b.py"):
        stage(root, name, "".join(f"{name[0]}_{i} = {i}\n" for i in range(400)))
    w = writer(
        {"match": "short line", "text": "adds numbers"}, {"text": "Add numbers"}, context=2048
    )
    found = await commit_messages(w, root)
    assert (found.messages, found.notes) == (["Add numbers"], [])
    assert "- a.py: adds numbers" in w.told() and "- b.py: adds numbers" in w.told()
    assert len(w.model.calls) > 3
    limit = 2048 * 3
    assert all(len(w.told(i)) < limit for i in range(len(w.model.calls)))


async def test_a_huge_diff_is_read_in_part(writer: StartWriter, root: Path) -> None:
    for number in range(MAX_PIECES + 5):
        stage(root, f"{number:02}.py", "x = 1\n" * 900)
    w = writer({"match": "short line", "text": "adds"}, {"text": "Add files"}, context=4096)
    found = await commit_messages(w, root)
    assert len(w.model.calls) == MAX_PIECES + 1
    assert found.notes == [f"Only the first {MAX_PIECES} parts of the diff were read."]


@pytest.mark.parametrize(
    ("subjects", "style", "conventional"),
    [
        (["feat: one", "fix(x): two"], "auto", True),
        (["Add one", "fix: two"], "auto", False),
        ([], "auto", False),
        ([], "conventional", True),
        (["feat: one"], "plain", False),
    ],
)
async def test_the_style(
    subjects: list[str], style: Any, conventional: bool, writer: StartWriter, root: Path
) -> None:
    for number, subject in enumerate(subjects):
        stage(root, "a.py", f"x = {number}\n")
        git(root, "commit", "-qm", subject)
    stage(root, "a.py", "y = 1\n")
    w = writer({"text": "feat: add y"})
    await commit_messages(w, root, style=style)
    assert ("conventional commits" in w.told()) == conventional


async def test_others_on_request(writer: StartWriter, root: Path) -> None:
    stage(root, "a.py", "x = 1\n")
    answers = {"match": r"another message than:\n- Add x\Z", "text": "Begin with x"}
    w = writer(answers, {"match": "another", "text": "Add x"}, {"text": "Add x"})
    found = await commit_messages(w, root, count=3)
    assert found.messages == ["Add x", "Begin with x"]


TIDIED = [
    ("Add x", "Add x"),
    ('"Add x."', "Add x"),
    ("```\nAdd x\n```", "Add x"),
    ("Here is a commit message:\n\nAdd x", "Add x"),
    ("Commit message: Add x", "Add x"),
    ("Add x\n\nBecause y.\n", "Add x\n\nBecause y."),
    ("Add " + "word " * 40, ("Add " + "word " * 40)[:72].rpartition(" ")[0]),
    ("", ""),
    ("```\n```", ""),
]


@pytest.mark.parametrize(("answer", "message"), TIDIED)
def test_only_the_message_is_taken(answer: str, message: str) -> None:
    assert tidy(answer) == message


@pytest.mark.parametrize(
    ("message", "is_said_again"),
    [
        (tidy(SYSTEM), True),
        ("One line of at most 72 characters that says in the imperative what the", True),
        ("Fix the parser\n\nIt was wrong.", True),
        ("Fix the parser of dates", False),
    ],
)
def test_what_the_model_was_told_is_no_message(message: str, *, is_said_again: bool) -> None:
    assert repeats(message, ["Add a door", "Fix the parser"]) is is_said_again
