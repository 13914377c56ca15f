"""Commands: what may be started, with what, and that nothing runs on."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.unit.features.chat.conftest import StartTalk, call

from nearfield.features.chat.protocol import Allow, ToolRefused
from nearfield.features.chat.shell import allowed, clean_environment, run

PYTHON = Path(sys.executable).name


def tools(folder: Path, *names: str) -> dict[str, str]:
    """An environment whose path has programs of those names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


TRICKS: dict[str, tuple[list[str], str]] = {
    "not listed": (["rm", "-rf", "."], "allows only these commands: pytest, git status"),
    "another subcommand": (["git", "push"], "allows only"),
    "a shell string": (["git status; rm -rf ."], "allows only"),
    "the words in one": (["git status"], "allows only"),
    "by a path": (["./pytest"], "allows only"),
    "by an absolute path": (["/bin/pytest"], "allows only"),
    "a zero byte": (["pytest", "a\0b"], "zero byte"),
    "capitals": (["PyTest"], "allows only"),
}


@pytest.mark.parametrize("case", TRICKS)
def test_forbidden_commands_are_refused(case: str, tmp_path: Path) -> None:
    command, why = TRICKS[case]
    environ = tools(tmp_path / "bin", "pytest", "git", "rm")
    with pytest.raises(ToolRefused, match=why):
        allowed(command, ["pytest", "git status"], tmp_path / "work", environ)


@pytest.mark.skipif(os.name == "nt", reason="programs are named otherwise there")
def test_programs_are_found_outside_the_workspace(tmp_path: Path) -> None:
    work = tmp_path / "work"
    here, there = tools(work / "bin", "pytest"), tools(tmp_path / "bin", "pytest")
    found = allowed(["pytest", "-q"], ["pytest"], work, there)
    assert found == str(tmp_path / "bin/pytest")
    both = {"PATH": os.pathsep.join([".", here["PATH"], there["PATH"]])}
    assert allowed(["pytest"], ["pytest"], work, both) == found
    with pytest.raises(ToolRefused, match="no program"):
        allowed(["pytest"], ["pytest"], work, here)
    (tmp_path / "links").mkdir()
    (tmp_path / "links/pytest").symlink_to(work / "bin/pytest")
    with pytest.raises(ToolRefused, match="lies in the workspace"):
        allowed(["pytest"], ["pytest"], work, {"PATH": str(tmp_path / "links")})


def test_the_environment_is_clean(tmp_path: Path) -> None:
    given = {
        "PATH": "/usr/bin",
        "HOME": "/h",
        "OPENAI_API_KEY": "k",
        "LD_PRELOAD": "x",
        "PYTHONPATH": "y",
    }
    kept = clean_environment(tmp_path, given)
    assert (kept["HOME"], kept["PATH"]) == ("/h", "/usr/bin")
    assert not {"OPENAI_API_KEY", "LD_PRELOAD", "PYTHONPATH"} & set(kept)


async def python(tmp_path: Path, code: str, timeout_s: float = 20.0) -> tuple[int | None, str]:
    return await run([sys.executable, "-c", code], tmp_path, timeout_s, tmp_path / "other")


@pytest.mark.asyncio
async def test_runs_in_the_folder_without_input(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), repr(sys.stdin.read())); sys.exit(3)"
    assert await python(tmp_path, code) == (3, f"{tmp_path} ''")


@pytest.mark.asyncio
async def test_keeps_the_end_of_long_output(tmp_path: Path) -> None:
    _, output = await python(tmp_path, "print('x' * 50_000); print('the end')")
    assert len(output) < 17_000
    assert output.endswith("the end")


SPAWN = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    "open('pid', 'w').write(str(child.pid)); "
)


async def child_of(tmp_path: Path) -> int:
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.02)
    return int((tmp_path / "pid").read_text())


def gone(pid: int) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["itself", "timeout", "cancel", "flood"])
async def test_nothing_runs_on(end: str, tmp_path: Path) -> None:
    rest = {"itself": "print('done')", "flood": "[print('x' * 99_999) for _ in range(999)]"}
    going = asyncio.ensure_future(
        python(
            tmp_path, SPAWN + rest.get(end, "time.sleep(600)"), 5.0 if end == "timeout" else 60.0
        )
    )
    child = await child_of(tmp_path)
    if end == "cancel":
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
    elif end == "itself":
        assert (await going)[0] == 0
    else:
        with pytest.raises(
            ToolRefused, match="longer than 5 s" if end == "timeout" else "wrote more"
        ):
            await going
    assert gone(child)


@pytest.mark.asyncio
@pytest.mark.parametrize("says", [Allow.NO, Allow.ONCE])
async def test_is_asked_for_with_its_words(says: Allow, talk: StartTalk) -> None:
    t = talk(
        {"result": ".", "text": "ok"},
        {"tool_calls": [call("executeShell", command=["git", "--version"])]},
        functions=["executeShell"],
        shell_commands=["git"],
    )
    t.person.says = says
    reply = await t.say("go")
    [question] = t.person.asked
    assert (question.title, question.each_time) == ("run: git --version", True)
    assert ("git version" in reply.calls[0].result) is (says is Allow.ONCE)


TITLES = {
    "lines": ("a\nLet the model run: ls?\r\nb", '"a⏎Let the model run: ls?⏎b"'),
    "turned writing": ("\u202egnp.sh", "\ufffdgnp.sh"),
    "a terminal's signs": ("\x1b[2J", "\u241b[2J"),
    "too long to be seen": ("x" * 3_000, None),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", TITLES)
async def test_the_question_shows_all_of_the_call_on_one_line(case: str, talk: StartTalk) -> None:
    argument, shown = TITLES[case]
    t = talk(
        {"result": ".", "text": "ok"},
        {"tool_calls": [call("executeShell", command=["git", argument])]},
        functions=["executeShell"],
        shell_commands=["git"],
    )
    t.person.says = Allow.NO
    reply = await t.say("go")
    assert [one.title for one in t.person.asked] == ([f"run: git {shown}"] if shown else [])
    assert reply.calls[0].state == "denied"
    assert ("too long for the user" in reply.calls[0].result) is (shown is None)


@pytest.mark.asyncio
async def test_what_is_not_allowed_is_refused_before_the_user_is_asked(talk: StartTalk) -> None:
    t = talk(
        {"result": ".", "text": "ok"},
        {"tool_calls": [call("executeShell", command=["curl", "evil.test"])]},
        functions=["executeShell"],
        shell_commands=["git"],
    )
    t.person.says = Allow.ONCE
    reply = await t.say("go")
    assert t.person.asked == []
    assert "only these commands: git" in reply.calls[0].result
    [row] = t.store.calls()
    assert row.outcome.startswith("denied")
