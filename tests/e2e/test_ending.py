"""A command of a chat ends with the chat, also where a signal ends that in the terminal."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.e2e.process import PATIENCE_SECONDS
from tests.e2e.test_cli import Shell

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals"),
]

PYTHON = Path(sys.executable).name
WAITS = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(300)"
SETTINGS = f"""
[engine]
enabled = false
[index]
enabled = false
[chat]
functions = ["executeShell"]
shell_commands = ["{PYTHON}"]
[providers.fake]
kind = "scripted"
[[providers.fake.options.answers]]
tool_calls = [{{name = "executeShell", arguments = {{command = ["{PYTHON}", "-c", "{WAITS}"]}}}}]
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    made.settings(SETTINGS)
    (tmp_path / ".git").mkdir()
    return made


def _wait_for(terminal: int, text: bytes) -> None:
    seen, end = b"", time.monotonic() + PATIENCE_SECONDS
    while text not in seen:
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], seen
        seen += os.read(terminal, 65_536)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("arguments", "stage"),
    [
        (("chat",), "a line"),
        (("chat",), "the question"),
        (("chat",), "the command"),
        (("ask", "--tools", "go"), "the question"),
        (("ask", "--tools", "go"), "the command"),
    ],
    ids=lambda one: one if isinstance(one, str) else one[0],
)
def test_a_signal_ends_the_chat_and_its_command(
    shell: Shell, arguments: tuple[str, ...], number: signal.Signals, stage: str
) -> None:
    import pty

    terminal, other_end = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "nearfield", *arguments],
        cwd=shell.folder, env=shell.environ, stdin=other_end, stdout=other_end, stderr=other_end,
        start_new_session=True,
    )  # fmt: skip
    os.close(other_end)
    pid = shell.folder / "pid"
    try:
        if arguments == ("chat",):
            _wait_for(terminal, b"> ")
            if stage != "a line":
                os.write(terminal, b"go\n")
        if stage != "a line":
            _wait_for(terminal, b"Let the model run")
        if stage == "the command":
            os.write(terminal, b"yes\n")
            end = time.monotonic() + PATIENCE_SECONDS
            while not (pid.exists() and pid.read_text()) and time.monotonic() < end:
                time.sleep(0.05)
        child.send_signal(number)
        assert child.wait(PATIENCE_SECONDS) == -number
        assert stage != "the command" or not psutil.pid_exists(int(pid.read_text()))
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
