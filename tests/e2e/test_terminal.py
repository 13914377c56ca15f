"""Every command with hostile data, on a terminal and in a pipe: nothing but text comes out.

The table names every command there is, so that a new one is covered the day it is written.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import typer
from tests.e2e.prepared import STARTED, forked
from tests.e2e.test_cli import Shell

from nearfield.cli.main import COMMANDS, build

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b]0;PWNED\x07\x1b[8m\x1b[31m\x9b2J\u202eRTL\u2066\x08\r\x7f"
MARKUP = "[red]x[/red][link=http://evil.test]y[/link]"
SGR = re.compile(rb"\x1b\[([0-9;]*)m")
CURSOR = re.compile(rb"\x1b\[\?25[lh]|\x1b\[[0-9]*[A-G]|\x1b\[2?K|\r")
"""What a spinner and a bar draw with."""

SCRIPT = f"""
[engine]
enabled = false
[routing.roles]
complete = ["fake"]
[providers.fake]
kind = "scripted"
model = {{name}}
[[providers.fake.options.answers]]
match = ""
text = {{answer}}
[providers."ev{MARKUP}il"]
kind = "openai_compatible"
model = {{name}}
base_url = "http://127.0.0.1:9/{{path}}"
"""

TOLD = """
import sys
from nearfield.routing.consent import Consent
from nearfield.routing.ledger import Sending
from nearfield.routing.store import Store
evil = sys.stdin.read()
store = Store()
files, redactions = ((evil, 1, 2),), ((evil, 1),)
number = store.begin(Sending(evil, evil, evil, evil, evil, files, 3, redactions, "", evil))
store.finish(number, evil, None, None, None)
store.say("/" + evil, evil, evil, Consent.WORKSPACE)
"""


def quoted(text: str) -> str:
    """A TOML string."""
    return '"' + "".join(f"\\u{ord(c):04x}" for c in text) + '"'


COMMANDS_WITH_DATA: dict[str, tuple[str, ...]] = {
    "pause": ("pause",),
    "resume": ("resume",),
    "complete": ("complete", "a.py:2:5"),
    "explain": ("explain", "a.py:5:3"),
    "review": ("review", "a.py"),
    "fix": ("fix", "a.py:2", "--problem", EVIL.replace("\x00", "")),
    "refactor": ("refactor", "a.py:2", EVIL),
    "document": ("document", "a.py:2"),
    "test": ("test", "a.py:2"),
    "commit-message": ("commit-message",),
    "ask": ("ask", EVIL),
    "acp": ("acp",),
    "mcp": ("mcp",),
    "panel": ("panel", "--no-open", "--port", EVIL),
    "chat": ("chat", "--no-tools"),
    "chats list": ("chats", "list", "--all"),
    "chats export": ("chats", "export", EVIL),
    "chats delete": ("chats", "delete", EVIL),
    "serve": ("serve", "--tcp", EVIL),
    "doctor": ("doctor", "--quick"),
    "index": ("index", "--no-vectors"),
    "search": ("search", "zebra"),
    "embed": ("embed", EVIL),
    "provenance show": ("provenance", "show", "a.py"),
    "provenance verify": ("provenance", "verify"),
    "stats": ("stats", "--since", EVIL),
    "trial start": ("trial", "start", EVIL, EVIL),
    "trial status": ("trial", "status"),
    "trial end": ("trial", "end"),
    "trial adopt": ("trial", "adopt", EVIL),
    "team add": ("team", "add", EVIL, "--role", EVIL),
    "team list": ("team", "list"),
    "team revoke": ("team", "revoke", EVIL),
    "team usage": ("team", "usage"),
    "team check": ("team", "check", EVIL),
    "models list": ("models", "list"),
    "models pull": ("models", "pull", EVIL),
    "models add": ("models", "add", EVIL, EVIL),
    "models remove": ("models", "remove", EVIL),
    "models use": ("models", "use", "complete", EVIL),
    "models load": ("models", "load", EVIL),
    "models unload": ("models", "unload", EVIL),
    "models search": ("models", "search", EVIL),
    "models outdated": ("models", "outdated"),
    "models bench": ("models", "bench", EVIL, EVIL, "--repository", EVIL),
    "models tune": ("models", "tune", EVIL, "--repository", EVIL, "--name", EVIL),
    "setup": ("setup", "--no-servers"),
    "models recommend": ("models", "recommend"),
    "providers list": ("providers", "list"),
    "providers probe": ("providers", "probe", EVIL),
    "providers models": ("providers", "models", EVIL),
    "providers add": ("providers", "add", EVIL),
    "providers load": ("providers", "load", EVIL, EVIL),
    "providers unload": ("providers", "unload", EVIL, EVIL),
    "providers pull": ("providers", "pull", EVIL, EVIL),
    "route explain": ("route", "explain", EVIL),
    "config path": ("config", "path"),
    "config show": ("config", "show"),
    "config set": ("config", "set", f"providers.{EVIL}.kind", EVIL),
    "config unset": ("config", "unset", EVIL),
    "keys set": ("keys", "set", EVIL),
    "keys list": ("keys", "list"),
    "keys remove": ("keys", "remove", EVIL),
    "consent allow": ("consent", "allow", EVIL),
    "consent deny": ("consent", "deny", EVIL),
    "consent revoke": ("consent", "revoke", EVIL),
    "consent list": ("consent", "list"),
    "audit": ("audit",),
    "audit list": ("audit", "list"),
    "audit show": ("audit", "show", "1"),
    "audit export": ("audit", "export", "-"),
    "audit prune": ("audit", "prune", "--before", EVIL),
}
FURTHER: tuple[tuple[str, ...], ...] = (
    (EVIL,),
    ("ask", f"--{EVIL}", "x"),
    ("complete", f"{EVIL}:1:1"),
    ("complete", "--log-level", EVIL, "a.py:1:1"),
    ("index", "--explain", EVIL),
    ("index", "--explain", f"b{EVIL}zebra.py"),
    ("ask", "--tools", "hi"),
    ("ask", "--task", EVIL, "hi"),
    ("audit", "show", EVIL),
    ("provenance", f"b{EVIL}zebra.py", "--trailer"),
    ("audit", "--calls"),
    ("config", "show", "--workspace", EVIL, "--json"),
    ("search", "zebra", "--json"),
    ("index", "--no-vectors", "--json"),
    ("explain", "a.py:5:3", "--json"),
    ("fix", "a.py:2", "--json"),
    ("fix", "a.py:2", "--tests", EVIL),
    ("explain", f"b{EVIL}zebra.py:1:5"),
    ("explain", os.fsdecode(b"c\xffzebra.py:1:5")),
    ("review", os.fsdecode(b"c\xffzebra.py")),
    ("ask", os.fsdecode(b"is \xff text?")),
    ("--help",),
)
TABLE = (*COMMANDS_WITH_DATA.values(), *FURTHER)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A workspace, settings, a model and records that hold control sequences wherever they can."""
    shell = Shell(tmp_path_factory.mktemp("hostile"))
    shell.environ |= {"PYTHONUTF8": "1", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    says = f"model says {EVIL}{MARKUP} in three good words."
    shell.settings(SCRIPT.format(name=quoted("model" + EVIL), answer=quoted(says), path="v1"))
    folder = shell.folder
    (folder / ".git").mkdir()
    code = f"def zebra(price):\n    \n    '''Says {EVIL}{MARKUP} quux.'''  # {EVIL}\n\nzebra(3)\n"
    (folder / "a.py").write_text(code, newline="")
    (folder / f"b{EVIL}zebra.py").write_text("def zebranamed(x):\n    return x\n")
    (folder / os.fsdecode(b"c\xffzebra.py")).write_text("def zebrabytes(x):\n    return x\n")
    ignored = folder / f"sub{EVIL}"
    ignored.mkdir()
    (ignored / ".gitignore").write_text("*.py\n")
    (ignored / "x.py").write_text("x = 1\n")
    (folder / ".nearfield.toml").write_text(
        f"[files]\n{quoted('key' + EVIL)} = 1\nexclude = [{quoted('!' + EVIL)}]\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", TOLD], input=EVIL, text=True, env=shell.environ, capture_output=True
    )
    assert told.returncode == 0, told.stderr
    return shell


def under_pty(shell: Shell, *arguments: str) -> bytes:
    """What a terminal would be sent, within a minute."""
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(
        forked(*arguments), cwd=shell.folder, env=shell.environ | {"TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    out, end = b"", time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if not select.select([leader], [], [], 0.5)[0]:
                continue
            try:
                piece = os.read(leader, 65_536)
            except OSError:  # Linux says so that the other end is closed
                break
            if not piece:
                break
            out += piece
    finally:
        process.kill()
        process.wait()
        os.close(leader)
    return out


def forbidden(out: bytes, *, terminal: bool) -> list[str]:
    """What is in `out` beside text; on a terminal our own colours and the drawing of bars are."""
    if terminal:
        out = CURSOR.sub(b"", SGR.sub(lambda m: m[0] if m[1] == b"8" else b"", out))
    text = out.decode("utf-8", "surrogateescape")
    return [
        ascii(text[max(0, found.start() - 30) : found.end() + 10])
        for found in re.finditer(
            "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]", text
        )
    ]


def names(app: typer.Typer, before: str = "") -> Iterator[str]:
    """Every command of `app` and of its groups."""
    for command in app.registered_commands:
        assert command.callback is not None
        yield before + (command.name or command.callback.__name__)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        if group.typer_instance.info.invoke_without_command is True:
            yield before + str(group.name)
        yield from names(group.typer_instance, f"{before}{group.name} ")


def test_the_table_names_every_command() -> None:
    assert set(names(build([]))) == set(COMMANDS_WITH_DATA)
    assert {name.split()[0] for name in COMMANDS_WITH_DATA} == set(COMMANDS)


@pytest.mark.parametrize("arguments", TABLE, ids=lambda words: ascii(" ".join(words))[:40])
def test_a_terminal_gets_text_and_our_colours(hostile: Shell, arguments: tuple[str, ...]) -> None:
    out = under_pty(hostile, *arguments)
    assert b"Traceback" not in out
    assert not forbidden(out, terminal=True)


IN_PIPES = (
    *((arguments, "ascii") for arguments in TABLE),
    (("config", "show", "--docs"), "cp1252"),
    (("ask", EVIL), "cp1252"),
    (("search", "zebra"), "utf-8"),
)


@pytest.mark.parametrize(
    ("arguments", "encoding"), IN_PIPES, ids=lambda words: ascii(" ".join(words))[:40]
)
def test_a_pipe_gets_text_in_its_encoding(
    hostile: Shell, arguments: tuple[str, ...], encoding: str
) -> None:
    ran = subprocess.run(
        [*STARTED, *arguments],
        env=hostile.environ | {"PYTHONIOENCODING": encoding},
        cwd=hostile.folder, capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    for out in (ran.stdout, ran.stderr):
        assert b"Traceback" not in out, out[-3000:]
        assert not forbidden(out.decode(encoding).encode(), terminal=False)


ENDS = (
    "config show --docs | head -n 1",
    "config show --docs | true",
    "models list | true",
    "doctor --quick | head -n 1",
    "ask hi | true",
    "audit list --json | head -c 5",
    "config show 2>&- >&-",
    "config show --docs >/dev/full",
    "--help | true",
    "nonsense 2>&1 | true",
)


@pytest.mark.parametrize("line", ENDS)
def test_a_closed_reader_is_no_error(hostile: Shell, line: str) -> None:
    ran = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m nearfield {line}"],
        env=hostile.environ, cwd=hostile.folder, capture_output=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    for word in (b"Traceback", b"Exception ignored", b"BrokenPipe"):
        assert word not in ran.stderr
    if "full" in line:
        assert b"could not be written: No space left" in ran.stderr
        assert ran.returncode == 3


def test_standard_input_that_is_no_text_is_refused(hostile: Shell) -> None:
    ran = subprocess.run(
        [*STARTED, "ask", "-"],
        env=hostile.environ | {"PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"},
        cwd=hostile.folder, capture_output=True, timeout=120, input=b"\xff",
    )  # fmt: skip
    assert ran.returncode == 2
    assert b"not UTF-8" in ran.stderr
