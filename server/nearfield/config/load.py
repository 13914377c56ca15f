"""Puts the settings together from where they come, and says what was wrong with them.

    defaults < user's config.toml < environment < the editor's settings, then a workspace's
    .nearfield.toml, which may only restrict (`restrict`)

`load` never raises and never refuses to start: what cannot be used is left out, one `Problem` each,
and the value of the next source below is used instead (promise 6).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from nearfield.config import environment
from nearfield.config.check import Checked, Finding, check_table
from nearfield.config.keys import (
    ANY_NAME,
    Key,
    Leaf,
    Table,
    UnknownKeyError,
    dotted,
    find,
    leaves,
    nearest,
)
from nearfield.config.paths import user_config_file, workspace_config_file
from nearfield.config.problem import Problem
from nearfield.config.restrict import Refused, rule_for
from nearfield.config.schema import Config
from nearfield.files.read import UnreadableFile, read_regular
from nearfield.files.toml import UnusableToml, parse_toml

__all__ = ["EDITOR", "ROLES", "Loaded", "Problem", "load"]

EDITOR = "the editor's settings"
DEFAULT = "default"
ROLES = ("complete", "edit", "fast", "code", "large", "review", "embed")
EMBEDDED = "embedded"

# A settings file is a page or two; a larger one is a mistake or an attack, and is not parsed.
MAX_USER_BYTES = 1_000_000
# A repository's costs at most 50 ms and 10 MB, whatever it holds; tests/unit/config/test_bounds.py.
MAX_WORKSPACE_BYTES = 16_384
LONGEST_KEY = 100
"""Characters of a key that a problem names."""
# What editors put beside the settings into `initializationOptions`; none of it is a setting.
NOT_SETTINGS = frozenset({"client_capabilities", "editor_info", "editor_plugin_info", "trace"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force. `problems` has one entry for each thing that could not be used;
    `sources` says for each key that is not at its default where its value comes from."""

    config: Config
    problems: tuple[Problem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class _Merge:
    """The values so far, the sources they come from, and what was found wrong on the way."""

    values: dict[Key, Any]
    sources: dict[Key, str]
    findings: list[Finding]

    def add(self, checked: Checked) -> None:
        """Let a higher source override what is there."""
        self.values |= checked.values
        self.sources |= checked.places
        self.findings += checked.findings

    def restrict(self, checked: Checked, source: str) -> None:
        """Apply what a workspace wishes where it restricts, and refuse the rest."""
        self.findings += checked.findings
        for key, wish in checked.values.items():
            leaf = find(key)
            now = self.values.get(key, leaf.default if isinstance(leaf, Leaf) else None)
            result = rule_for(leaf.pattern)(now, wish)
            if isinstance(result, Refused):
                self.findings.append(Finding(source, key, result.why))
                result = now if result.instead is None else result.instead
            if result != now:
                self.values[key] = result
                self.sources[key] = source


def load(
    workspace: Path | None = None,
    client: object = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """The settings for `workspace` (a folder, None without one) and what `client`, the editor,
    sent: a table, or None. `environ` defaults to the process's. Reads at most two small files;
    never raises."""
    environ = os.environ if environ is None else environ
    merge = _Merge({}, {}, [])
    merge.add(environment.implied(environ))
    user_file = user_config_file(environ)
    merge.add(_read_file(user_file, MAX_USER_BYTES))
    merge.add(environment.read(environ))
    merge.add(_from_client(client))
    if workspace is not None:
        workspace_file = workspace_config_file(workspace)
        said = _read_file(workspace_file, MAX_WORKSPACE_BYTES, inside=workspace)
        merge.restrict(said, str(workspace_file))
    _drop_providers_without_kind(merge)
    _check_roles(merge)
    config = msgspec.convert(_nested(merge.values), Config)
    problems = tuple(_problem(finding, config) for finding in merge.findings)
    return Loaded(config, problems, {dotted(key): merge.sources[key] for key in merge.values})


def _read_file(path: Path, max_bytes: int, inside: Path | None = None) -> Checked:
    """What a settings file says; an absent one says nothing. `inside` is the folder that it must
    not lead out of by links."""
    source = str(path)
    try:
        if inside is not None and not _stays(path, inside):
            return Checked(findings=[Finding(source, (), "it is a link that leads elsewhere")])
        content = read_regular(path, max_bytes)
        return check_table(parse_toml(content), source)
    except FileNotFoundError:
        return Checked()
    except UnreadableFile as error:
        wrong = error.message.removeprefix(f"{path.name} ").removesuffix(".")
        return Checked(findings=[Finding(source, (), f"it {wrong}")])
    except UnusableToml as error:
        return Checked(findings=[Finding(source, (), error.message)])


def _stays(path: Path, folder: Path) -> bool:
    """Return whether `path`, links followed, is below `folder`."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):
        return True  # reading it says what is wrong


def _from_client(client: object) -> Checked:
    """What the editor says."""
    if client is None:
        return Checked()
    if not isinstance(client, Mapping):
        return Checked(findings=[Finding(EDITOR, (), "they are not a table")])
    try:
        return check_table(_client_table(client), EDITOR)
    except RecursionError:
        return Checked(findings=[Finding(EDITOR, (), "they are nested too deeply")])


def _client_table(client: Mapping[str, Any], key: Key = ()) -> dict[str, Any]:
    """The editor's settings in the schema's spelling: `nearfield.` taken off, dotted keys
    unfolded, `deadlineMs` read as `deadline_ms`, null (an editor's "not set") left out. Names of
    the user's choice stay as they are."""
    inner = client.get("nearfield")
    if not key and isinstance(inner, Mapping):
        client = inner
    table: dict[str, Any] = {}
    for name, value in client.items():
        here = key
        for part in str(name).removeprefix("nearfield.").split("."):
            here = (*here, _snake(part) if _is_ours(here) else part)
        if value is None or here[0] in NOT_SETTINGS:
            continue
        plain = _client_table(value, here) if isinstance(value, Mapping) else value
        _put_nested(table, here[len(key) :], plain)
    return table


def _is_ours(key: Key) -> bool:
    """Return whether the names in the table at `key` are the schema's, not the user's choice."""
    try:
        found = find(key)
    except UnknownKeyError:
        return False
    return isinstance(found, Table) and found.names is not None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: f"_{m[1].lower()}", name)


def _put_nested(table: dict[str, Any], key: Key, value: Any) -> None:
    for name in key[:-1]:
        inner = table.setdefault(name, {})
        if not isinstance(inner, dict):
            inner = table[name] = {}
        table = inner
    present = table.get(key[-1])
    if isinstance(present, dict) and isinstance(value, Mapping):
        present |= value
    else:
        table[key[-1]] = value


def _drop_providers_without_kind(merge: _Merge) -> None:
    """A provider whose kind is unknown cannot be built; say so and leave it out whole."""
    named = {key[1]: merge.sources[key] for key in merge.values if key[0] == "providers"}
    for name, source in named.items():
        if ("providers", name, "kind") not in merge.values:
            wrong = "this provider has no usable kind"
            merge.findings.append(Finding(source, ("providers", name), wrong))
            for key in [key for key in merge.values if key[:2] == ("providers", name)]:
                del merge.values[key]


def _check_roles(merge: _Merge) -> None:
    """Say which roles, and which providers in them, do not exist; leave those out."""
    known = {EMBEDDED, *(key[1] for key in merge.values if key[0] == "providers")}
    for key in [key for key in merge.values if key[:2] == ("routing", "roles")]:
        source = merge.sources[key]
        if key[2] not in ROLES:
            close = nearest(key[2], ROLES)
            meant = f', did you mean "{close}"?' if close else ""
            merge.findings.append(Finding(source, key, f"there is no such role{meant}"))
            del merge.values[key]
            continue
        missing = [entry for entry in merge.values[key] if entry.partition("/")[0] not in known]
        for entry in missing:
            wrong = f'there is no provider "{entry}"'
            merge.findings.append(Finding(source, key, wrong))
        if missing:
            merge.values[key] = [entry for entry in merge.values[key] if entry not in missing]


def _nested(values: Mapping[Key, Any]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in values.items():
        _put_nested(table, key, value)
    return table


def _problem(finding: Finding, config: Config) -> Problem:
    key = dotted(finding.key)
    shown = key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}…"
    return Problem(finding.source, shown, finding.wrong, _used(finding.key, config))


def _used(key: Key, config: Config) -> str:
    """What is in force for a key that could not be used as it was given."""
    if not key:
        return "it is ignored"
    try:
        leaf = find(key)
    except UnknownKeyError:
        return "it is ignored"
    if not isinstance(leaf, Leaf) or ANY_NAME in leaf.pattern:
        return "it is ignored"
    return f"using {show(value_of(config, key))}"


def value_of(config: Config, key: Key) -> Any:
    """The value in force at a key without names of the user's choice."""
    value: Any = config
    for name in key:
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def show(value: Any) -> str:
    """A setting's value as TOML would have it."""
    return msgspec.json.encode(value).decode()


def effective(config: Config) -> dict[Key, Any]:
    """Every key that has a value, with the value in force, in the schema's order."""
    result: dict[Key, Any] = {}
    for leaf in leaves():
        for key in _named(config, leaf.pattern):
            result[key] = value_of(config, key)
    return result


def _named(config: Config, pattern: Key) -> list[Key]:
    """The keys that a pattern stands for in `config`."""
    found: list[Key] = [()]
    for part in pattern:
        if part == ANY_NAME:
            found = [(*key, str(name)) for key in found for name in value_of(config, key)]
        else:
            found = [(*key, part) for key in found]
    return found
