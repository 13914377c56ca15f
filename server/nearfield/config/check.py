"""Checks what one source says, key by key, against the schema.

Nothing is raised: a table of unknown shape comes in, the keys that can be used come out, and every
other one becomes a `Finding`. A bad key costs itself alone, never its section or its file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

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

# Names of earlier versions, which users have in their shells' profiles.
STRATEGY_ALIASES = {
    "local_fallback": "local_first",
    "claude_only": "cloud_only",
}
RETIRED: dict[Key, str] = {
    ("completion", "next_edit_model"): "it is gone: next edits are predicted by the model of the "
    'role "edit"',
    ("routing", "complex_from"): "it is gone: tasks are judged by their length, see "
    '"routing.complex_chars"',
    ("routing", "hedge_queue"): "it is gone: no two providers are asked at once any more",
    ("index", "embedder"): "it is gone: the index's vectors are those of the model that is shipped",
    ("index", "static_model"): "it is gone: the table that is shipped makes the first vectors",
}
"""Settings of earlier versions, each with a hint for users who still have it."""
# A table deeper than this is no settings file; Python's own limit is far above.
MAX_DEPTH = 12
MAX_FINDINGS = 50
"""In one source; with more of them the rest of it is not looked at."""
MAX_SUGGESTIONS = 5
"""Maximum number of suggestions for unknown keys in one source; each takes some milliseconds."""
MAX_NAMES = 200
"""Entries of one table whose names are the user's choice."""
MOST = 2**53
"""Numbers beyond this are not used: JSON, which shows settings to editors and to the panel, holds
neither larger ones exactly nor infinity."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at `key` in `source`; `load` turns it into a `SettingsProblem`."""

    source: str
    key: Key
    wrong: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A source's settings: `values` holds every usable leaf, converted to the schema's type, and
    `places` the source of each.
    """

    values: dict[Key, Any] = field(default_factory=dict[Key, Any])
    places: dict[Key, str] = field(default_factory=dict[Key, str])
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def has_given_up(self) -> bool:
        """Return whether too much is wrong to look further."""
        return len(self.findings) > MAX_FINDINGS

    def put(self, key: Key, value: Any, source: str, *, text: bool = False) -> None:
        """Check `value` for `key` and keep it, or record what is wrong. `text`: the value is a text
        to be parsed as the key's type, as in the environment.
        """
        if self.has_given_up:
            return
        try:
            found = find(key)
        except UnknownKeyError as unknown:
            self._unknown(key, unknown, source)
            return
        if text and isinstance(value, str):
            value = _from_text(value, found)
        if isinstance(found, Leaf):
            self._leaf(key, found, value, source)
        elif not isinstance(value, Mapping):
            kind = _KINDS.get(type(value), "something else")
            self.findings.append(Finding(source, key, f"expected a table, got {kind}"))
        elif len(key) > MAX_DEPTH:
            self.findings.append(Finding(source, key, "the tables are nested too deeply"))
        elif found.names is None and len(value) > MAX_NAMES:
            self.findings.append(Finding(source, key, f"it has more than {MAX_NAMES} entries"))
        else:
            for name, inner in value.items():
                self.put((*key, str(name)), inner, source)
                if len(self.findings) == MAX_FINDINGS:
                    wrong = f"{MAX_FINDINGS} settings are wrong, and the rest is not looked at"
                    self.findings.append(Finding(source, (), wrong))

    def _leaf(self, key: Key, leaf: Leaf, value: Any, source: str) -> None:
        if key == ("routing", "strategy") and isinstance(value, str):
            lower = value.strip().lower()
            value = STRATEGY_ALIASES.get(lower, lower)
        try:
            converted = msgspec.convert(value, leaf.type, strict=True)
        except msgspec.ValidationError as error:
            self.findings.append(Finding(source, key, _explained(leaf, value, error)))
            return
        if not all(name.isprintable() and name for name in key):
            self.findings.append(Finding(source, key, "a name is empty or cannot be shown"))
        elif wrong := _unusable(value):
            self.findings.append(Finding(source, key, wrong))
        else:
            self.values[key] = converted
            self.places[key] = source

    def _unknown(self, key: Key, unknown: UnknownKeyError, source: str) -> None:
        if key in RETIRED:
            self.findings.append(Finding(source, key, RETIRED[key]))
            return
        meant = ""
        if len(self.findings) < MAX_SUGGESTIONS:
            # Perhaps it was put in the wrong table.
            elsewhere = (leaf.pattern for leaf in leaves() if leaf.pattern[-1] == key[-1])
            meant = unknown.close() or next(
                (dotted(one) for one in elsewhere if ANY_NAME not in one), ""
            )
        wrong = "there is no such setting"
        if meant:
            wrong = f'{wrong}, did you mean "{meant}"?'
        self.findings.append(Finding(source, key, wrong))


def _unusable(value: Any, depth: int = 0) -> str:
    """Return why a value of the right type cannot be used, "" where it can."""
    if isinstance(value, Mapping | list):
        if depth > MAX_DEPTH:
            return "it is nested too deeply"
        inner = value.values() if isinstance(value, Mapping) else value
        return next((wrong for one in inner if (wrong := _unusable(one, depth + 1))), "")
    # Of no number every comparison is false.
    if isinstance(value, int | float) and not abs(value) <= MOST:
        return "it has a number that is too large, or none"
    return ""


def check_table(table: Mapping[str, Any], source: str) -> Checked:
    """Check a whole table of settings, `{"completion": {...}, ...}`."""
    checked = Checked()
    checked.put((), table, source)
    return checked


def _explained(leaf: Leaf, value: Any, error: msgspec.ValidationError) -> str:
    """Return what is wrong with `value`, in a person's words; never the value itself."""
    choices = tuple(get_args(leaf.type)) if get_origin(leaf.type) is Literal else ()
    if choices and isinstance(value, str):
        close = nearest(value.lower(), choices)
        meant = f', did you mean "{close}"?' if close else ""
        listed = ", ".join(f'"{choice}"' for choice in choices)
        return f"expected one of {listed}{meant}"
    text = str(error)
    place = ""
    if " - at `" in text:
        text, _, at = text.partition(" - at `")
        place = f" at {at.strip('`').removeprefix('$')}" if at.startswith("$[") else ""
    text = text[:1].lower() + text[1:]
    for value, plain in _VALUES:
        text = value.sub(plain, text)
    for name, plain in _PLAIN:
        text = text.replace(name, plain)
    return f"{text}{place}{_meant(leaf, text)}"


def _meant(leaf: Leaf, text: str) -> str:
    """Return the field of a list's tables that an unknown one in `text` was probably meant to be,
    or all that there are."""
    field = _UNKNOWN_FIELD.search(text)
    tables = [one for one in get_args(leaf.type) if hasattr(one, "__struct_encode_fields__")]
    if field is None or not tables:
        return ""
    known: tuple[str, ...] = tables[0].__struct_encode_fields__
    close = nearest(field[1], known)
    return f', did you mean "{close}"?' if close else f"; there are {', '.join(known)}"


_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]+)`")

_VALUES = (
    (re.compile(r"invalid enum value '.*'"), "there is no such choice"),
    (re.compile(r" matching regex '.*'"), " of another form"),
)
_PLAIN = (
    ("`int`", "a whole number"),
    ("`float`", "a number"),
    ("`str`", "text"),
    ("`bool`", "true or false"),
    ("`array`", "a list"),
    ("`object`", "a table"),
    ("`null`", "nothing"),
)


_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}


def _from_text(text: str, found: Leaf | Table) -> Any:
    """Return the value that a variable's text means; the text itself where it means none."""
    if isinstance(found, Table) or text.lstrip().startswith("["):
        return _json(text)
    kind = get_args(found.type)[0] if get_origin(found.type) is Annotated else found.type
    if kind is Any:
        return _json(text)
    if get_origin(kind) is list:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool:
        meant = truth(text)
        return text if meant is None else meant
    if kind not in (int, float):
        return text
    try:
        return msgspec.convert(text.strip().lower(), kind, strict=False)
    except msgspec.ValidationError:
        return text


def truth(text: str) -> bool | None:
    """Return whether a variable's text means yes; None where it means neither yes nor no."""
    return _SPOKEN.get(text.strip().lower())


_SPOKEN = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
