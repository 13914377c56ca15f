"""The user's own files: models that they registered, and which model serves which role.

Both files are the user's, so they are changed as little as possible: one line where that is enough,
which keeps comments, and otherwise rewritten with every other key as it was. A file that cannot
be parsed is never written over.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from nearfield.catalog.disk import write_atomically
from nearfield.catalog.models import (
    MAX_CATALOGUE_BYTES,
    ROLES,
    ModelEntry,
    user_catalogue_file,
)
from nearfield.config.paths import user_config_file
from nearfield.errors import ConfigError
from nearfield.files.read import UnreadableFile, read_text


def register(entry: ModelEntry, environ: Mapping[str, str] | None = None) -> Path:
    """Add the entry to the user's catalogue, over one of the same name; returns that file's path.

    Raises `ConfigError` when the entry is wrong or the file cannot be read or written.
    """
    if wrong := "; ".join(entry.problems()):
        raise ConfigError(f"{entry.name} cannot be added: {wrong}.")
    path = user_catalogue_file(environ)
    text, tables = _read(path)
    table = msgspec.to_builtins(entry)
    table = {key: value for key, value in table.items() if key not in ("name", "origin")}
    models = _table(tables, "models", path)
    expected = {**tables, "models": {**models, entry.name: table}}
    appended = text + ("\n" if text else "") + tomli_w.dumps({"models": {entry.name: table}})
    _write(path, appended, expected)
    return path


def unregister(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Take the entry out of the user's catalogue; False when it was not there.

    Raises `ConfigError` when the file cannot be read or written.
    """
    path = user_catalogue_file(environ)
    _, tables = _read(path)
    models = _table(tables, "models", path)
    if name not in models:
        return False
    kept = {other: table for other, table in models.items() if other != name}
    _write(path, None, {**tables, "models": kept})
    return True


def use(role: str, model: str, environ: Mapping[str, str] | None = None) -> Path:
    """Let a model serve a role by a line in the user's `config.toml`, `[models] ROLE`; returns that
    file's path.

    `model` is a catalogue name, a path or "" (the best one that is here), not checked here. Raises
    `ConfigError` when the role is unknown or the file cannot be read or written.
    """
    if role not in ROLES:
        raise ConfigError(f"There is no role {role!r}.", f"The roles are {', '.join(ROLES)}.")
    section, key = "models", role
    path = user_config_file(environ)
    text, tables = _read(path)
    expected = {**tables, section: {**_table(tables, section, path), key: model}}
    _write(path, _with_setting(text, section, key, model), expected)
    return path


def _with_setting(text: str, section: str, key: str, value: str) -> str:
    """`text` with `key = "value"` in `[section]`, as a person would write it there."""
    line = tomli_w.dumps({key: value})
    header = re.search(rf"^[ \t]*\[{section}\][^\n]*(\n|\Z)", text, re.MULTILINE)
    if header is None:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}[{section}]\n{line}"
    start = header.end()
    following = re.search(r"^[ \t]*\[", text[start:], re.MULTILINE)
    end = start + following.start() if following else len(text)
    body, found = re.subn(
        rf"^[ \t]*{key}[ \t]*=[^\n]*(\n|\Z)", lambda _: line, text[start:end], flags=re.MULTILINE
    )
    newline = "" if header[0].endswith("\n") else "\n"
    return text[:start] + newline + ("" if found else line) + body + text[end:]


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a file's text and tables, empty when it is not there. Raises `ConfigError`."""
    try:
        text = read_text(path, MAX_CATALOGUE_BYTES).replace("\r\n", "\n")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        return "", {}
    except (UnreadableFile, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}).", "Correct it first; it was left as it is."
        ) from error


def _table(tables: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    table: object = tables.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name} must be a table.", "Correct it first.")
    return table


def _write(path: Path, text: str | None, expected: dict[str, Any]) -> None:
    """Write `text` if it says what is `expected`, else the latter in full. Raises `ConfigError`."""
    if text is None or not _says(text, expected):
        text = tomli_w.dumps(expected)
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror or error}).",
            "Make its folder writable, or set NEARFIELD_CONFIG_DIR to one that is.",
        ) from error


def _says(text: str, expected: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        return False
