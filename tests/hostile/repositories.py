"""Hostile repositories: one builder for each kind of trap, in one table.

Each builder fills a folder and returns the files that commands and requests are tried on. Whatever
it plants, three things hold for every command and every request: it ends, its cost is bounded, and
neither `OUTSIDE` (the content of a file beside the repository) nor a trap's program leaves a trace.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

OUTSIDE = "outside_marker_7f3a"
"""Stands in a file beside the repository, which links in the repository lead to."""

TRAPPED = "trap-was-sprung"
"""The name of the file, beside the repository, that a trap would create."""

PLAIN = "def plain_function(first, second):\n    return first + second\n"

Build = Callable[[Path], list[str]]


def deep_and_odd_texts(root: Path) -> list[str]:
    """Texts that are deep, long or unbalanced, in every language with a grammar."""
    texts = {
        "deep.yaml": "\n".join(" " * depth + "key:" for depth in range(400)) + " 1\n",
        "dashes.yaml": "- " * 600 + "end\n",
        "flow.yaml": "a: " + "[{" * 3_000,
        "blocks.py": "\n".join(" " * d + "while x:" for d in range(1_500))
        + "\n"
        + " " * 1_500
        + "y",
        "tabs.py": "\n".join("\t" * depth + "def f():" for depth in range(300)) + "\n",
        "brackets.py": "x = " + "([{" * 20_000,
        "strings.py": "x = " + "f'{" * 3_000 + "\n",
        "calls.js": "f(`${" * 5_000,
        "generics.ts": "let a: " + "A<" * 20_000,
        "tags.html": "".join(f"<custom-{'x' * 60}-{n}>" for n in range(3_000)),
        "raw.rs": "fn f() { r" + "#" * 5_000 + '"',
        "raw.cpp": 'auto s = R"' + "d" * 3_000 + "(",
        "here.sh": "".join(f"cat <<'{'E' * 40}{n}'\n" for n in range(300)),
        "here.rb": "x = [" + "<<~A, " * 2_000 + "]\n",
        "here.php": "<?php\n$a = <<<" + "B" * 4_000 + "\n",
        "quotes.md": "> " * 3_000 + "- " * 2_000 + "x\n",
        "braces.c": "int f() " + "{" * 50_000,
        "lambda.java": "class A { Object f() { return " + "x -> " * 10_000,
        "nested.json": '{"a":' * 30_000,
        "arrays.toml": "a = " + "[" * 30_000,
        "paren.go": "package p\nfunc f() { x := " + "(" * 30_000,
        "long.lua": "--[" + "=" * 5_000 + "[",
        "strings.swift": "let x = " + "#" * 3_000 + '"',
        "strings.kt": "val x = " + '"${' * 4_000,
        "strings.scala": "val x = " + 's"""${' * 3_000,
        "deep.css": "a{" * 20_000,
        "deep.sql": "SELECT " + "(SELECT " * 8_000,
        "deep.cs": "class A { string s = " + '$"{' * 4_000,
        "one_line.py": "values = [" + "1234567, " * 200_000 + "]\n",
        "many_lines.py": "value = 1\n" * 60_000,
        "bytes.py": bytes(range(256)).decode("latin-1") * 40,
        "separators.py": "a = 1\u2028b = 2\x0cc = 3\x85d = 4\x1ce = 5\n" * 50,
    }
    for name, text in texts.items():
        (root / name).write_text(text, "utf-8", errors="surrogateescape")
    return list(texts)


def odd_files(root: Path) -> list[str]:
    """Links out of the repository, devices, FIFOs, sockets, odd names and broken encodings."""
    outside = root.parent / "outside.py"
    outside.write_text(f"def {OUTSIDE}(): return 1\n")
    (root / "link.py").symlink_to(outside)
    (root / "folder").symlink_to(root.parent)
    (root / "loop").symlink_to(root)
    (root / "zero.py").symlink_to("/dev/zero")
    (root / "environ.py").symlink_to("/proc/self/environ")
    os.mkfifo(root / "fifo.py")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.path.relpath(root / "socket.py"))
    listening.close()
    (root / "tests").mkdir()
    (root / "tests" / "test_plain.py").symlink_to(outside)
    os.mkfifo(root / "tests" / "test_fifo.py")
    (root / "pyproject.toml").symlink_to("/dev/zero")
    (root / "package.json").symlink_to(outside)
    odd = (
        b"new\nline.py",
        b"\x1b[2J\x1b]0;x\x07.py",
        b"inv\xff\xfe.py",
        b"-rf.py",
        b"*.py",
        b" .py",
    )
    for name in (*odd, "\u202egnp.py".encode(), b"n" * 250 + b".py"):
        (root / os.fsdecode(name)).write_text(PLAIN)
    (root / "utf16.py").write_bytes(PLAIN.encode("utf-16"))
    (root / "latin.py").write_bytes(b"# caf\xe9\n" + PLAIN.encode())
    (root / "nul.py").write_bytes(b"x = 1\n" + b"\0" * 5_000)
    (root / "huge.py").write_bytes(b"x = 1\n" * 500_000)
    (root / "plain.py").write_text(PLAIN)
    return [
        "plain.py",
        "link.py",
        "fifo.py",
        "zero.py",
        "utf16.py",
        "nul.py",
        "-rf.py",
        "tests/test_plain.py",
    ]


def ignore_rules(root: Path) -> list[str]:
    """Rule files that take for ever to match, to read, or that cannot be read."""
    (root / ".gitignore").write_text(
        "*a" * 20 + "*b\n" + "**/" * 40 + "x\n" + "[" * 500 + "\n" + "?" * 300
    )
    (root / ".nearfield.toml").write_text(
        '[files]\nexclude = ["' + "*c" * 30 + '*d", "**/**/**/e*e*e*e*e*e*f"]\n'
    )
    for name in ("fifo", "zero", "folder", "utf16", "loop", "many"):
        (root / name).mkdir()
        (root / name / "plain.py").write_text(PLAIN)
    os.mkfifo(root / "fifo" / ".gitignore")
    (root / "zero" / ".nearfieldignore").symlink_to("/dev/zero")
    (root / "folder" / ".nearfieldignore").mkdir()
    (root / "utf16" / ".gitignore").write_bytes("plain.py\n".encode("utf-16"))
    (root / "loop" / ".gitignore").symlink_to(".gitignore")
    (root / "many" / ".gitignore").write_text("".join(f"*{n}*x*y*z\n" for n in range(30_000)))
    (root / ("a" * 120 + ".py")).write_text(PLAIN)
    (root / ("c" * 120 + ".py")).write_text(PLAIN)
    return ["a" * 120 + ".py", "c" * 120 + ".py", "fifo/plain.py", "zero/plain.py", "many/plain.py"]


def settings_of_a_size(root: Path) -> list[str]:
    """A settings file that is small and costs much: one key of many thousand parts."""
    (root / ".nearfield.toml").write_text(".".join(["a"] * 20_000) + " = 1\n")
    (root / "plain.py").write_text(PLAIN)
    return ["plain.py"]


def deep_settings(root: Path) -> list[str]:
    """A settings file of deep arrays, and project files likewise."""
    (root / ".nearfield.toml").write_text("a = " + "[" * 50_000 + "\n")
    (root / "pyproject.toml").write_text("[tool." + ".".join(["b"] * 20_000) + "]\n")
    (root / "package.json").write_text('{"a":' * 50_000)
    (root / "plain.py").write_text(PLAIN)
    return ["plain.py"]


def settings_from_outside(root: Path) -> list[str]:
    """A settings file that never ends, and a `.git` that never answers."""
    (root / ".nearfield.toml").symlink_to("/dev/zero")
    os.mkfifo(root / ".git")
    (root / "plain.py").write_text(PLAIN)
    return ["plain.py"]


def git_traps(root: Path) -> list[str]:
    """A repository whose configuration and attributes name programs."""
    trap = root.parent / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch '{root.parent / TRAPPED}'\ncat\n")
    trap.chmod(0o755)
    _git(root, "init", "-q")
    (root / "plain.py").write_text(PLAIN)
    _git(root, "add", "plain.py")
    _git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
    (root / "plain.py").write_text(PLAIN + PLAIN.replace("plain_function", "other"))
    (root / ".gitattributes").write_text("*.py filter=f diff=d merge=m\n")
    named = f"'{trap}'"
    for key in (
        *("core.fsmonitor", "core.editor", "core.pager", "core.sshCommand", "core.askPass"),
        *(
            "diff.external",
            "diff.d.textconv",
            "diff.d.command",
            "filter.f.clean",
            "filter.f.smudge",
        ),
        *("filter.f.process", "merge.m.driver", "gpg.program", "credential.helper", "alias.status"),
        *("pager.diff", "pager.log", "interactive.diffFilter", "sequence.editor"),
    ):
        _git(root, "config", key, named)
    hooks = root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "pre-commit", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).write_text(trap.read_text())
        (hooks / name).chmod(0o755)
    return ["plain.py"]


def secrets_without_end(root: Path) -> list[str]:
    """Texts on which a pattern for secrets could go over every place again and again."""
    block = base64.b64encode(hashlib.shake_256(b"seed").digest(60_000)).decode()
    wrapped = "\n".join(block[at : at + 64] for at in range(0, len(block), 64))
    texts = {
        "wrapped.py": f"# private key begin\nDATA = '''\n{wrapped}\n'''\n" + PLAIN,
        "assigned.py": "password = " * 8_000 + "\n" + PLAIN,
        "quoted.py": "secret: '" * 8_000 + "\n" + PLAIN,
        "dashes.py": "-----BEGIN " * 6_000 + "\n" + PLAIN,
        "address.py": "x = 'postgres://" + "a:" * 20_000 + "'\n" + PLAIN,
        "blank.py": "token" + " " * 60_000 + "=\n" + PLAIN,
    }
    for name, text in texts.items():
        (root / name).write_text(text)
    return list(texts)


def prose_with_teeth(root: Path) -> list[str]:
    """Docstrings and names that are markup, control sequences or orders to a model."""
    evil = (
        "![x](https://evil.example/a.png) <img src=https://evil.example/b.png> [ref]\n"
        "    <script>alert(1)</script> [go](command:workbench.action.terminal.new)\n"
        "    \x1b[2J\x1b]0;title\x07 \x9b31m \u202e hidden\n"
        "    [ref]: https://evil.example/c 'x'\n"
    )
    (root / "prose.py").write_text(f'def prose(a):\n    """{evil}"""\n    return a\n\n\nprose(1)\n')
    (root / "names.py").write_text("class \x1b[31mRed:\n    pass\n" + PLAIN)
    return ["prose.py", "names.py"]


REPOSITORIES: dict[str, Build] = {
    build.__name__: build
    for build in (
        deep_and_odd_texts,
        odd_files,
        ignore_rules,
        settings_of_a_size,
        deep_settings,
        settings_from_outside,
        git_traps,
        secrets_without_end,
        prose_with_teeth,
    )
}


def _git(root: Path, *words: str) -> None:
    quiet = {"PATH": os.environ["PATH"], "HOME": str(root.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "-C", str(root), *words], check=True, env=quiet, capture_output=True)
