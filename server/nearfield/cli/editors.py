"""The editors on this machine, and the lines that make each of them use Nearfield."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield.features.doctor.checks import PROGRAMS

PLUGINS = Path(__file__).parents[3] / "editors"
"""Our plugins, where Nearfield runs from a clone of its repository."""


@dataclass(frozen=True, slots=True)
class EditorSetup:
    """For the editor `name`: what to write into or do at `where`."""

    name: str
    where: str
    lines: str


def steps(command: Path, path: str | None = None) -> list[EditorSetup]:
    """Return one for each editor whose program is on `path`, or on the PATH; `command` is
    `nearfield`."""
    here = {
        name: [one for one in them if shutil.which(one, path=path)]
        for name, them in PROGRAMS.items()
    }
    others = [make(command) for name, make in _MAKERS.items() if here[name]]
    return [*(_vs_code(program, command) for program in here["VS Code"]), *others]


def _vs_code(program: str, command: Path) -> EditorSetup:
    packed = PLUGINS / "vscode" / "nearfield.vsix"
    make = f"make -C {shlex.quote(str(PLUGINS.parent))} vscode"
    lines = f"{make} && {program} --install-extension {shlex.quote(str(packed))}"
    if not PLUGINS.is_dir():
        lines = "Extensions: Install from VSIX… (the README says how to pack it)"
    setting = f'"nearfield.server.path": {_quoted(command)}'
    return EditorSetup(
        f"VS Code ({program})", f"run this, then put {setting} into your settings", lines
    )


def _neovim(command: Path) -> EditorSetup:
    plugin = PLUGINS / "neovim"
    lines = (
        f"vim.opt.runtimepath:prepend({_quoted(plugin)})\n"
        f"require('nearfield').setup({{ cmd = {{ {_quoted(command)}, 'serve' }} }})"
    )
    if not plugin.is_dir():
        lines = (
            f"vim.lsp.config('nearfield', {{ cmd = {{ {_quoted(command)}, 'serve' }},"
            " root_markers = { '.git' } })\n"
            "vim.lsp.enable('nearfield')"
        )
    return EditorSetup("Neovim", "init.lua", lines)


def _helix(command: Path) -> EditorSetup:
    lines = (
        "[language-server.nearfield]\n"
        f"command = {_quoted(command)}\n"
        'args = ["serve"]\n'
        "\n"
        "[[language]]\n"
        'name = "python"\n'
        'language-servers = ["pyright", "nearfield"]'
    )
    return EditorSetup("Helix", "languages.toml", lines)


def _emacs(command: Path) -> EditorSetup:
    lines = (
        "(with-eval-after-load 'eglot\n"
        "  (add-to-list 'eglot-server-programs\n"
        f'               \'((python-mode go-mode rust-mode) . ({_quoted(command)} "serve"))))'
    )
    return EditorSetup("Emacs", "init.el; then M-x eglot", lines)


def _zed(command: Path) -> EditorSetup:
    settings = {
        "lsp": {"pylsp": {"binary": {"path": str(command), "arguments": ["serve"]}}},
        "languages": {"Python": {"language_servers": ["pyright", "pylsp"]}},
    }
    return EditorSetup("Zed", "settings.json (the README has ghost text too)", _json(settings))


def _sublime(command: Path) -> EditorSetup:
    client = {"enabled": True, "command": [str(command), "serve"], "selector": "source"}
    settings = {"clients": {"nearfield": client}}
    return EditorSetup("Sublime Text (package LSP)", "LSP.sublime-settings", _json(settings))


def _kate(command: Path) -> EditorSetup:
    server = {"command": [str(command), "serve"], "highlightingModeRegex": "^Python$"}
    settings = {"servers": {"python": server}}
    return EditorSetup("Kate", "Settings, LSP Client, User Server Settings", _json(settings))


_MAKERS = {
    "Neovim": _neovim,
    "Helix": _helix,
    "Emacs": _emacs,
    "Zed": _zed,
    "Sublime Text": _sublime,
    "Kate": _kate,
}


def _quoted(path: Path) -> str:
    """Return it as a string of Lua, Lisp, TOML and JSON, which agree on what a usual path holds."""
    return json.dumps(str(path), ensure_ascii=False)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
