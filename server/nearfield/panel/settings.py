"""The settings: every one with its meaning, its source and its default; set and taken out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from nearfield.config import edit
from nearfield.config.keys import ANY_NAME, Leaf, dotted, find
from nearfield.config.load import Loaded, load
from nearfield.config.paths import user_config_file
from nearfield.errors import ConfigError
from nearfield.features.settings import NOT_SET, SettingRow, drop, in_force, put, with_unnamed
from nearfield.panel.view import Query, Read, ViewAction


class SetBody(msgspec.Struct, frozen=True):
    """A setting and its value."""

    key: str
    value: Any


class KeyBody(msgspec.Struct, frozen=True):
    """A setting."""

    key: str


class SettingsView:
    """See the module."""

    def reads(self) -> Mapping[str, Read]:
        """See `View`."""
        return {"settings": self._settings}

    def actions(self) -> Mapping[str, ViewAction]:
        """See `View`."""
        return {
            "settings/set": ViewAction(SetBody, self._set),
            "settings/unset": ViewAction(KeyBody, self._unset),
        }

    async def _settings(self, query: Query) -> dict[str, Any]:
        return await asyncio.to_thread(_list, query.get("workspace", ""))

    async def _set(self, body: SetBody) -> dict[str, Any]:
        path, overruled = await asyncio.to_thread(put, body.key, body.value)
        note = f"{overruled[0]} says otherwise, and counts more." if overruled else ""
        return {"key": body.key, "config": str(path), "note": note}

    async def _unset(self, body: KeyBody) -> dict[str, Any]:
        path, was_there = await asyncio.to_thread(drop, body.key)
        return {"key": body.key, "config": str(path), "removed": was_there}


def loaded_for(workspace: str) -> Loaded:
    """Return the settings of a workspace folder, of the user alone for "". Raises `ConfigError`
    for what is no folder."""
    if not workspace:
        return load()
    root = Path(workspace)
    if not root.is_absolute() or not root.is_dir():
        raise ConfigError(f"{workspace[:200]} is no folder.", "Give an absolute path.")
    return load(root)


def problems_of(loaded: Loaded) -> list[dict[str, str]]:
    """Return the settings that could not be used."""
    return [
        {name: getattr(problem, name) for name in ("source", "key", "wrong", "used")}
        for problem in loaded.problems
    ]


def _list(workspace: str) -> dict[str, Any]:
    loaded, path = loaded_for(workspace), user_config_file()
    try:
        said: Mapping[str, Any] = edit.read_tables(path)
    except ConfigError:
        said = {}  # it is among the problems
    rows = [_row(row, said) for row in with_unnamed(in_force(loaded))]
    return {"config": str(path), "settings": rows, "problems": problems_of(loaded)}


def _row(row: SettingRow, said: Mapping[str, Any]) -> dict[str, Any]:
    found = find(row.key)
    leaf = found if isinstance(found, Leaf) else None
    default = None if leaf is None or leaf.default is msgspec.NODEFAULT else leaf.default
    value: Any = said
    for name in row.key:
        value = value.get(name) if isinstance(value, dict) else None
    return {
        "key": dotted(row.key),
        "section": row.key[0],
        "value": row.value,
        "default": default,
        "source": "" if row.source == NOT_SET else row.source,
        "set": value is not None,
        "doc": leaf.doc if leaf is not None else "",
        "form": _form(leaf.type) if leaf is not None else {"kind": "json"},
        "named": leaf is not None and ANY_NAME in leaf.pattern,
    }


def _form(kind: Any) -> dict[str, Any]:
    """Return the form in which a value of a setting's type is written."""
    bounds: dict[str, Any] = {}
    if get_origin(kind) is Annotated:
        kind, *notes = get_args(kind)
        for note in notes:
            for name, of in (("ge", "min"), ("gt", "min"), ("le", "max"), ("lt", "max")):
                if (limit := getattr(note, name, None)) is not None:
                    bounds[of] = limit
    if get_origin(kind) is Literal:
        return {"kind": "choice", "choices": list(get_args(kind))}
    if get_origin(kind) is list and get_args(kind)[0] is str:
        return {"kind": "list"}
    names = {bool: "bool", int: "int", float: "float", str: "text"}
    return {"kind": names.get(kind, "json"), **bounds}
