"""Changes of the user's own TOML files, as small as they can be.

One statement is replaced, added or taken out; comments, order and every other line stay. A change
is written only when the file then says exactly what was wanted, and a file that cannot be parsed is
never written over.
"""

from __future__ import annotations

import re
import threading
import tomllib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from nearfield.config.keys import Key, dotted
from nearfield.config.paths import data_dir
from nearfield.errors import ConfigError
from nearfield.files.locks import locked
from nearfield.files.private import private_folder, write_atomically
from nearfield.files.read import UnreadableFile, read_text

LOCK = "settings.lock"
_ours = threading.RLock()
MAX_BYTES = 1_000_000
"""A larger settings file is not read, so it is not written either."""

_STATEMENT = re.compile(
    r"""[ \t]*((?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[ \t]*\.[ \t]*)+)[ \t]*="""
)
_HEADER = re.compile(r"[ \t]*(\[\[?)[^\n]*")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A header or a statement: its lines, the table it is in, and its name in there. `path` is the
    whole key; a header has no `name`."""

    start: int
    end: int
    table: Key
    name: Key = ()

    @property
    def path(self) -> Key:
        return (*self.table, *self.name)


@contextmanager
def changing() -> Generator[None]:
    """Keep other changes out, of this process and of others, while a file is read and written
    again; may be nested. Raises `ConfigError`."""
    place = data_dir() / LOCK
    with ExitStack() as held:
        held.enter_context(_ours)
        try:
            private_folder(place.parent)
            held.enter_context(locked(place, nested=True))
        except OSError as error:
            raise ConfigError(f"{place} cannot be locked: {error.strerror}.") from error
        yield


def read_tables(path: Path) -> dict[str, Any]:
    """Return what the file says, empty when it is not there. Raises `ConfigError`."""
    return _read(path)[1]


def put(path: Path, key: Key, value: Any) -> None:
    """Let the file say `value` at `key`: a setting, or a whole table. Raises `ConfigError`."""
    with changing():
        text, tables = _read(path)
        expected = with_value(tables, key, value, path)
        for candidate in _with(_lines(text), key, value):
            if _says(candidate, expected):
                _write(path, candidate)
                return
    raise ConfigError(
        f"{path} writes {dotted(key)} in a form that cannot be changed here.", "Change it there."
    )


def drop(path: Path, key: Key) -> bool:
    """Take `key`, with all that is below it, out of the file; False when it is not there. Raises
    `ConfigError`."""
    with changing():
        text, tables = _read(path)
        expected = _without(tables, key)
        if expected == tables:
            return False
        candidate = _joined(_dropped(_lines(text), key))
        if not _says(candidate, expected):
            raise ConfigError(
                f"{path} writes {dotted(key)} in a form that cannot be taken out here.",
                "Take it out there.",
            )
        _write(path, candidate)
    return True


def with_value(tables: Mapping[str, Any], key: Key, value: Any, path: Path) -> dict[str, Any]:
    """Return a copy of `tables` with `value` at `key`. Raises `ConfigError` where `path`, the file
    they are from, has something else than a table on the way."""
    if len(key) == 1:
        return {**tables, key[0]: value}
    inner = tables.get(key[0], {})
    if not isinstance(inner, dict):
        raise ConfigError(f"{path}: {key[0]} must be a table.", "Correct it first.")
    return {**tables, key[0]: with_value(inner, key[1:], value, path)}


def _without(tables: Mapping[str, Any], key: Key) -> dict[str, Any]:
    found = dict(tables)
    inner = found.get(key[0])
    if len(key) == 1:
        found.pop(key[0], None)
    elif isinstance(inner, dict):
        found[key[0]] = _without(inner, key[1:])
    return found


def _with(lines: list[str], key: Key, value: Any) -> Iterator[str]:
    """Yield the text with `value` at `key`, in each form that the file could take it."""
    pieces = list(_pieces(lines))
    for piece in pieces:
        if not piece.name or key[: len(piece.path)] != piece.path:
            continue
        said = value
        if piece.path != key:  # it is in an inline table
            said = with_value(_value(lines, piece), key[len(piece.path) :], value, Path())
        again = _said_again(lines, piece, said)
        yield _joined(lines[: piece.start], [again], lines[piece.end :])
    # A table that was there goes as a whole.
    lines = _dropped(lines, key)
    pieces = [] if isinstance(value, dict) else list(_pieces(lines))
    # After the last statement of its table, or of those that name the table with dots.
    for piece in reversed(pieces):
        if not piece.name and piece.table == key[:-1]:
            yield _joined(lines[: piece.end], [_statement(key[-1:], value)], lines[piece.end :])
        elif piece.name and piece.path[:-1] == key[:-1]:
            name = (*piece.name[:-1], key[-1])
            yield _joined(lines[: piece.end], [_statement(name, value)], lines[piece.end :])
    table = value if isinstance(value, dict) else {key[-1]: value}
    added = list(_table(key if isinstance(value, dict) else key[:-1], table))
    yield _joined(lines, [""] if lines and lines[-1].strip() else [], added)


def _table(key: Key, table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table with its header, and of those in it."""
    inner = {name: value for name, value in table.items() if isinstance(value, dict)}
    if len(inner) < len(table) or not table:
        if key:
            yield f"[{'.'.join(map(_bare, key))}]"
        yield from (_statement((name,), table[name]) for name in table if name not in inner)
    for number, (name, value) in enumerate(inner.items()):
        if number or len(inner) < len(table):
            yield ""
        yield from _table((*key, name), value)


def _value(lines: Sequence[str], piece: _Piece) -> Any:
    """Return what a statement says."""
    value: Any = tomllib.loads("\n".join(lines[piece.start : piece.end]))
    for name in piece.name:
        value = value[name]
    return value


def _said_again(lines: Sequence[str], piece: _Piece, value: Any) -> str:
    """Return the statement with another value, its indentation and the comment behind it."""
    first = lines[piece.start]
    indent = first[: len(first) - len(first.lstrip())]
    comment = ""
    if piece.end == piece.start + 1:
        for match in re.finditer(r"[ \t]*#", first):
            if _parses(first[: match.start()]):
                comment = first[match.start() :]
                break
    return f"{indent}{_statement(piece.name, value)}{comment}"


def _dropped(lines: Sequence[str], key: Key) -> list[str]:
    """Return the lines without the statements and tables at `key` and below it."""
    gone: set[int] = set()
    changed: dict[int, str] = {}
    pieces = list(_pieces(lines))
    for number, piece in enumerate(pieces):
        if piece.name and len(piece.path) < len(key) and key[: len(piece.path)] == piece.path:
            # It is in an inline table.
            kept = _without(_value(lines, piece), key[len(piece.path) :])
            changed[piece.start] = _said_again(lines, piece, kept)
            gone.update(range(piece.start + 1, piece.end))
        if piece.path[: len(key)] != key:
            continue
        end = piece.end
        if not piece.name:
            # A table's comments go with it, but for those right above the next one.
            following = (other for other in pieces[number + 1 :] if not other.name)
            end = next((other.start for other in following), len(lines))
            while end > piece.end and lines[end - 1].lstrip().startswith("#"):
                end -= 1
        gone.update(range(piece.start, end))
    return [changed.get(at, line) for at, line in enumerate(lines) if at not in gone]


def _pieces(lines: Sequence[str]) -> Iterator[_Piece]:
    """Yield the headers and statements of a text that parses."""
    table: Key = ()
    at = 0
    while at < len(lines):
        start, line = at, lines[at]
        at += 1
        if header := _HEADER.match(line):
            table = _names(tomllib.loads(line))
            if header[1] == "[[":
                table = (*table, "")  # its entries have no names
            yield _Piece(start, at, table)
        elif statement := _STATEMENT.match(line):
            while at < len(lines) and not _parses("\n".join(lines[start:at])):
                at += 1
            yield _Piece(start, at, table, _names(tomllib.loads(f"{statement[1]} = 0")))


def _names(table: Any) -> Key:
    """Return the way to the one leaf of `table`, through lists of one table."""
    found: list[str] = []
    while isinstance(table, dict | list) and table:
        if isinstance(table, dict):
            (name,) = table
            found.append(name)
            table = table[name]
        else:
            (table,) = table
    return tuple(found)


def _statement(name: Key, value: Any) -> str:
    return f"{'.'.join(map(_bare, name))} = {_inline(value)}"


def _inline(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        entries = (f"{_bare(name)} = {_inline(inner)}" for name, inner in value.items())
        return f"{{ {', '.join(entries)} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def _bare(name: str) -> str:
    """Return a name as a key is written, in quotes where it needs them."""
    return tomli_w.dumps({name: 0}).removesuffix(" = 0\n")


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _joined(*pieces: Sequence[str]) -> str:
    return "".join(f"{line}\n" for piece in pieces for line in piece)


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _says(text: str, expected: dict[str, Any]) -> bool:
    return _parses(text) and _pruned(tomllib.loads(text)) == _pruned(expected)


def _pruned(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables without the empty ones, which say nothing."""
    found = {k: _pruned(v) if isinstance(v, Mapping) else v for k, v in tables.items()}
    return {name: value for name, value in found.items() if value != {}}


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = read_text(path, MAX_BYTES).replace("\r\n", "\n")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        return "", {}
    except (UnreadableFile, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}).", "Correct it first; it was left as it is."
        ) from error


def _write(path: Path, text: str) -> None:
    content = text.encode()
    if len(content) > MAX_BYTES:
        raise ConfigError(
            f"{path} would hold more than {MAX_BYTES} bytes, and would not be read.",
            "Nothing was written.",
        )
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror or error}).",
            "Make its folder writable, or set NEARFIELD_CONFIG_DIR to one that is.",
        ) from error
