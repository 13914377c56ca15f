"""The user's settings: read for the eye, without secrets, and written one by one.

Nothing is written that could not be used, and no key or password: a settings file is shown, copied
and committed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from nearfield.config import edit
from nearfield.config.check import Checked
from nearfield.config.keys import ANY_NAME, Key, Leaf, dotted, field_leaves, find, leaves
from nearfield.config.load import DEFAULT, Loaded, effective, file_problems, load
from nearfield.config.paths import user_config_file
from nearfield.config.schema import Config, ProviderSettings
from nearfield.config.secret_words import says_secret
from nearfield.errors import ConfigError
from nearfield.providers.registry import build

HIDDEN = "(hidden)"
NOT_SET = "not set; you choose the name"
_HOW = "`nearfield config show --docs` prints every setting."
_PROVIDER = "Begin with its kind: `nearfield config set providers.NAME.kind ollama`."


class SettingRow(NamedTuple):
    """A setting in force, as it may be seen."""

    key: Key
    value: Any
    source: str


def in_force(loaded: Loaded) -> list[SettingRow]:
    """Return every setting that has a value."""
    return [
        SettingRow(key, shown(key, value), loaded.sources.get(dotted(key), DEFAULT))
        for key, value in effective(loaded.config).items()
    ]


def doc_of(key: Key) -> str:
    """Return what a setting means."""
    found = find(key)
    return found.doc if isinstance(found, Leaf) else ""


def with_unnamed(rows: Sequence[SettingRow]) -> list[SettingRow]:
    """Return `rows`, and one for each setting whose name the user chooses and has not."""
    there = {found.pattern for row in rows if isinstance(found := find(row.key), Leaf)}
    unnamed = [
        SettingRow(leaf.pattern, None, NOT_SET)
        for leaf in leaves()
        if ANY_NAME in leaf.pattern and leaf.pattern not in there
    ]
    sections = list(field_leaves(Config))
    return sorted([*rows, *unnamed], key=lambda row: sections.index(row.key[0]))


def put(key: str, value: Any, *, text: bool = False) -> tuple[Path, list[str]]:
    """Write a setting into the user's file; comments and every other line stay. With `text` the
    value is a text that means one. Return the file, and the sources that say otherwise and count
    more. Raises `ConfigError`, and nothing is written, for a setting that there is not, a value
    that it cannot have, and a key or password."""
    path, parts = user_config_file(), _parts(key)
    _refuse_secret(parts, value)
    checked = Checked()
    checked.put(parts, value, "", text=text)
    for finding in checked.findings:
        raise ConfigError(f"{dotted(finding.key)}: {finding.wrong}.", _HOW)
    if not checked.values:
        raise ConfigError(f"{key} holds nothing.", _HOW)
    values = {leaf: msgspec.to_builtins(said) for leaf, said in checked.values.items()}
    before = edit.read_tables(path)
    after = before
    for leaf, said in values.items():
        after = edit.with_value(after, leaf, said, path)
    known = set(file_problems(before, str(path)))
    for problem in file_problems(after, str(path)):
        if problem not in known:
            hint = _PROVIDER if problem.key.startswith("providers.") else _HOW
            raise ConfigError(f"{problem.key}: {problem.wrong}.", hint)
    for name in {leaf[1] for leaf in checked.values if leaf[0] == "providers"}:
        build(name, msgspec.convert(after["providers"][name], ProviderSettings))
    for leaf, said in values.items():
        edit.put(path, leaf, said)
    loaded = load()
    sources = [loaded.sources.get(dotted(leaf), DEFAULT) for leaf in checked.values]
    return path, [source for source in sources if source not in (str(path), DEFAULT)]


def drop(key: str) -> tuple[Path, bool]:
    """Take a setting, or a table, out of the user's file. Return the file, and whether it was
    there. Raises `ConfigError`."""
    path = user_config_file()
    return path, edit.drop(path, _parts(key))


def _parts(key: str) -> Key:
    return tuple(key.removeprefix("nearfield.").split("."))


def _refuse_secret(key: Key, value: Any) -> None:
    """Raise `ConfigError` for a key or a password."""
    if key[0] != "providers" or len(key) < 3:
        return
    hint = (
        f"Run `nearfield keys set {key[1]}`, which keeps it in the system's keyring, or put the"
        f" name of an environment variable into providers.{key[1]}.options.api_key_env."
    )
    if key[-1].endswith("_env"):
        if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(value)):
            raise ConfigError(f"{'.'.join(key)} takes the name of a variable, not a key.", hint)
    elif key[-1] != "headers" and HIDDEN in str(shown(key, value)):
        raise ConfigError(f"{'.'.join(key)} would hold a key or a password.", hint)


def shown(key: tuple[str, ...], value: Any) -> Any:
    """The value as it may be seen: without secrets in options and without passwords in URLs."""
    if key[0] == "providers" and _is_hidden(key[-1]):
        return HIDDEN
    if key[0] == "providers" and isinstance(value, Mapping):
        return {str(inner): shown((*key, str(inner)), held) for inner, held in value.items()}
    if key[0] == "providers" and isinstance(value, list):
        return [shown(key, held) for held in value]
    if isinstance(value, str) and "://" in value:
        scheme, _, rest = value.partition("://")
        server, slash, path = rest.partition("/")
        user, at, host = server.rpartition("@")
        return f"{scheme}://{HIDDEN if user else ''}{at}{host}{slash}{path.partition('?')[0]}"
    return value


def _is_hidden(name: str) -> bool:
    """Return whether a provider's value under `name` may be a key; a variable's name is none."""
    name = name.lower()
    if name.endswith("_env"):
        return False
    return says_secret(name) is not None or name == "key" or "header" in name
