"""Merging of the settings' sources, and a report of what was wrong with them.

    defaults < user's config.toml < environment < the editor's settings, then a workspace's
    .nearfield.toml, which may only restrict (`restrict`)

Loading never raises and never refuses to start: what cannot be used is left out, one
`SettingsProblem` each, and the value of the next source below is used instead (promise 6).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
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
from nearfield.config.provider_names import provider_of
from nearfield.config.restrict import Refusal
from nearfield.config.schema import EMBEDDED, ROLES, Config, RoutingRule
from nearfield.files.links import real_inside
from nearfield.files.read import UnreadableFile, read_regular
from nearfield.files.toml import UnusableToml, parse_toml

EDITOR = "the editor's settings"
DEFAULT = "default"

# A settings file is a page or two; a larger one is a mistake or an attack, and is not parsed.
MAX_USER_BYTES = 1_000_000
# A repository's costs at most 50 ms and 10 MB, whatever it holds; tests/unit/config/test_bounds.py.
MAX_WORKSPACE_BYTES = 16_384
MAX_KEY_CHARS = 100
"""Characters of a key that a problem names."""
# What editors put beside the settings into `initializationOptions`; none of it is a setting.
NOT_SETTINGS = frozenset({"client_capabilities", "editor_info", "editor_plugin_info", "trace"})


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """A setting, or one file, that could not be used as it is.

    `source` says where it was found (a file's path, a variable's name, "the editor"), `key` is the
    setting (dotted; "" for a whole file). `wrong` says what is wrong with it, `used` what is in
    force instead. None of them holds a value that could be a secret.
    """

    source: str
    key: str
    wrong: str
    used: str

    def __str__(self) -> str:
        place = f"{self.source}: {self.key}" if self.key else self.source
        return f"{place}: {self.wrong}; {self.used}."


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force. `problems` has an entry for each unusable setting; `sources` the
    source of each key that is not at its default.
    """

    config: Config
    problems: tuple[SettingsProblem, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class _Merge:
    """The merged values, their sources, and the problems found."""

    values: dict[Key, Any] = field(default_factory=dict[Key, Any])
    sources: dict[Key, str] = field(default_factory=dict[Key, str])
    findings: list[Finding] = field(default_factory=list[Finding])

    def add(self, checked: Checked) -> None:
        """Let a higher source override what is there."""
        self.values |= checked.values
        self.sources |= checked.places
        self.findings += checked.findings

    def restricted(self, checked: Checked) -> _Merge:
        """Return a copy that a workspace's wishes have restricted; the other wishes are refused."""
        found = _Merge(dict(self.values), dict(self.sources), self.findings + checked.findings)
        for key, wish in checked.values.items():
            leaf = find(key)
            if not isinstance(leaf, Leaf):
                continue
            now = found.values.get(key, leaf.default)
            result = leaf.rule(now, wish)
            if isinstance(result, Refusal):
                found.findings.append(Finding(checked.places[key], key, result.why))
                result = now if result.instead is None else result.instead
            if result != now:
                found.values[key] = result
                found.sources[key] = checked.places[key]
        return found

    def loaded(self) -> Loaded:
        """Return the settings, without providers and roles that cannot be built."""
        self._drop_providers_without_kind()
        self._check_roles()
        self._check_rules()
        table: dict[str, Any] = {}
        for key, value in self.values.items():
            _put_nested(table, key, value)
        config = msgspec.convert(table, Config)
        problems = tuple(_problem(finding, config) for finding in self.findings)
        return Loaded(config, problems, {dotted(key): self.sources[key] for key in self.values})

    def _drop_providers_without_kind(self) -> None:
        """Leave out, whole, each provider whose kind is unknown: it cannot be built."""
        named = {key[1]: self.sources[key] for key in self.values if key[0] == "providers"}
        for name, source in named.items():
            if ("providers", name, "kind") not in self.values:
                wrong = "this provider has no usable kind"
                self.findings.append(Finding(source, ("providers", name), wrong))
                for key in [key for key in self.values if key[:2] == ("providers", name)]:
                    del self.values[key]

    def _check_roles(self) -> None:
        """Leave out roles that do not exist, and providers in them that do not."""
        known = self._providers()
        for key in [key for key in self.values if key[:2] == ("routing", "roles")]:
            source = self.sources[key]
            if key[2] not in ROLES:
                close = nearest(key[2], ROLES)
                meant = f', did you mean "{close}"?' if close else ""
                self.findings.append(Finding(source, key, f"there is no such role{meant}"))
                del self.values[key]
                continue
            missing = [one for one in self.values[key] if provider_of(one, known) not in known]
            for entry in missing:
                self.findings.append(Finding(source, key, f'there is no provider "{entry}"'))
            if missing:
                self.values[key] = [entry for entry in self.values[key] if entry not in missing]

    def _check_rules(self) -> None:
        """Leave out rules that name a provider which does not exist."""
        key = ("routing", "rules")
        if key not in self.values:
            return
        kept: list[RoutingRule] = []
        known = self._providers()
        for number, rule in enumerate(self.values[key], 1):
            unknown = [one for one in rule.use if provider_of(one, known) not in known]
            if unknown and not (len(rule.use) == 1 and unknown[0] in ROLES):
                wrong = f'there is no provider or role "{unknown[0]}" for rule {number}'
                self.findings.append(Finding(self.sources[key], key, wrong))
            else:
                kept.append(rule)
        self.values[key] = kept

    def _providers(self) -> set[str]:
        return {EMBEDDED, *(key[1] for key in self.values if key[0] == "providers")}


def load(
    workspace: Path | None = None,
    client: object = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Return the settings for `workspace` (a folder, None without one). `client` is the table that
    the editor sent, or None; `environ` defaults to the process's. Reads at most two small files."""
    merge = _merged(client, os.environ if environ is None else environ)
    return (merge if workspace is None else _in_folder(merge, workspace)).loaded()


def file_problems(table: Mapping[str, Any], source: str) -> tuple[SettingsProblem, ...]:
    """Return what could not be used if the user's file said `table` and nothing else said more."""
    merge = _Merge()
    merge.add(check_table(table, source))
    return merge.loaded().problems


def load_folders(folders: Sequence[str], client: object) -> tuple[Loaded, dict[str, Loaded]]:
    """Return the user's settings, and the settings of each workspace folder; the user's are read
    once.
    """
    merge = _merged(client, os.environ)
    # Each folder's is a copy, and so has to be made before the user's drops what cannot be built.
    found = {folder: _in_folder(merge, Path(folder)).loaded() for folder in folders}
    return merge.loaded(), found


def _merged(client: object, environ: Mapping[str, str]) -> _Merge:
    """Return the merge of every source but a workspace's."""
    merge = _Merge()
    merge.add(environment.implied(environ))
    merge.add(_read_file(user_config_file(environ), MAX_USER_BYTES))
    merge.add(environment.read(environ))
    if isinstance(client, Mapping):
        try:
            merge.add(check_table(_client_table(client), EDITOR))
        except RecursionError:
            merge.findings.append(Finding(EDITOR, (), "they are nested too deeply"))
    elif client is not None:
        merge.findings.append(Finding(EDITOR, (), "they are not a table"))
    return merge


def _in_folder(merge: _Merge, folder: Path) -> _Merge:
    said = _read_file(workspace_config_file(folder), MAX_WORKSPACE_BYTES, inside=folder)
    return merge.restricted(said)


def _read_file(path: Path, max_bytes: int, inside: Path | None = None) -> Checked:
    """Return the settings of a file; an absent one has none. `inside` is the folder that it must
    not lead out of by links."""
    source = str(path)
    try:
        if inside is not None and _leads_out(path, inside):
            return Checked(findings=[Finding(source, (), "it is a link that leads elsewhere")])
        return check_table(parse_toml(read_regular(path, max_bytes)), source)
    except FileNotFoundError:
        return Checked()
    except UnreadableFile as error:
        wrong = error.message.removeprefix(f"{path.name} ").removesuffix(".")
        return Checked(findings=[Finding(source, (), f"it {wrong}")])
    except UnusableToml as error:
        return Checked(findings=[Finding(source, (), error.message)])


def _leads_out(path: Path, folder: Path) -> bool:
    try:
        return real_inside(path, folder) is None
    except (OSError, ValueError):
        return False  # reading it says what is wrong


def _client_table(client: Mapping[str, Any], key: Key = ()) -> dict[str, Any]:
    """Return the editor's settings in the schema's spelling: `nearfield.` taken off, dotted keys
    unfolded, `deadlineMs` read as `deadline_ms`, null (an editor's "not set") left out. Names of
    the user's choice stay as they are."""
    inner = client.get("nearfield")
    if not key and isinstance(inner, Mapping):
        client = inner
    table: dict[str, Any] = {}
    for name, value in client.items():
        here = key
        for part in str(name).removeprefix("nearfield.").split("."):
            here = (*here, _snake_case(part) if _is_ours(here) else part)
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


def _snake_case(name: str) -> str:
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


def _problem(finding: Finding, config: Config) -> SettingsProblem:
    key = dotted(finding.key)
    shown = key if len(key) <= MAX_KEY_CHARS else f"{key[:MAX_KEY_CHARS]}…"
    used = "it is ignored"
    try:
        leaf = find(finding.key)
    except UnknownKeyError:
        leaf = None
    if isinstance(leaf, Leaf) and ANY_NAME not in leaf.pattern:
        used = f"using {show(value_of(config, finding.key))}"
    return SettingsProblem(finding.source, shown, finding.wrong, used)


def value_of(config: Config, key: Key) -> Any:
    """Return the value in force at a key without names of the user's choice."""
    value: Any = config
    for name in key:
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def show(value: Any) -> str:
    """Return a setting's value as TOML has it."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict):
        return "{ " + ", ".join(f"{key} = {show(inner)}" for key, inner in plain.items()) + " }"
    if isinstance(plain, list):
        return "[" + ", ".join(show(inner) for inner in plain) + "]"
    return msgspec.json.encode(plain).decode()


def effective(config: Config) -> dict[Key, Any]:
    """Return every key that has a value, with the value in force, in the schema's order."""
    result: dict[Key, Any] = {}
    for leaf in leaves():
        keys: list[Key] = [()]
        for part in leaf.pattern:
            if part == ANY_NAME:
                keys = [(*key, str(name)) for key in keys for name in value_of(config, key)]
            else:
                keys = [(*key, part) for key in keys]
        result |= {key: value_of(config, key) for key in keys}
    return result
