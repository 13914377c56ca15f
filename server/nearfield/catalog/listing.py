"""Lists for the user: the catalogue and what the hub has, and what each would be like here."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nearfield.catalog.choice import choose
from nearfield.catalog.disk import is_file
from nearfield.catalog.gguf import require_whole
from nearfield.catalog.models import Catalog, ModelEntry
from nearfield.catalog.recommend import MIB, Advice, Machine
from nearfield.catalog.registration import is_part
from nearfield.config.schema import Models
from nearfield.errors import CatalogError, ConfigError, HashMismatch
from nearfield.files.links import resolved

if TYPE_CHECKING:
    from nearfield.catalog.hub import FoundRepository, PublishedFile

LOADED_SHARE = 1.2
"""Memory of a loaded model, in sizes of its file: the default context takes the rest."""

_QUANTISATION = re.compile(r"(?i)(i?q\d(?:_[a-z0-9]+)*|bf16|f16|f32)(?=\.gguf$|-\d{5}-of-)")


def model_rows(catalog: Catalog, machine: Machine, models: Models) -> list[dict[str, Any]]:
    """Return every model, by the settings of `[models]`. May hash files that were not checked
    since they changed."""
    used = _used(catalog, models)
    return [_row(catalog, entry, used, machine) for entry in catalog.entries.values()]


def usable(catalog: Catalog, wish: str) -> tuple[str, bool]:
    """Return the value of the setting that lets a model serve a role, and whether the model has to
    be fetched first. `wish` is a name, the path of a file, or "" for the best one here. Raises
    `UnknownModel`, and `ConfigError` for a file that is no whole model."""
    if wish in catalog.entries:
        return wish, catalog.local_path(wish) is None
    if wish and is_file(wish):
        file = resolved(Path(wish).expanduser())
        try:
            require_whole(file)
        except HashMismatch as error:
            raise ConfigError(error.message, "Give the path of a .gguf file.") from error
        return str(file), False
    if wish:
        catalog.get(wish)
    return wish, False


def advice_row(item: Advice) -> dict[str, Any]:
    """Return what is recommended for a role, as programs read it."""
    return {
        "role": item.role,
        "model": item.entry.name,
        "installed": item.installed,
        "memory_mb": item.entry.memory_mb,
        "bytes": item.entry.bytes or None,
        "hub_only": item.entry.hub_only,
        "otherwise": item.otherwise or None,
        "reason": item.reason,
    }


def repository_row(found: FoundRepository) -> dict[str, Any]:
    """Return a repository that a search has found, as programs read it."""
    row = asdict(found)
    row["gated"] = row.pop("is_gated")
    return row


def file_row(published: PublishedFile, machine: Machine) -> dict[str, Any]:
    """Return a file of the hub, as programs read it, and whether it fits this machine."""
    found = _QUANTISATION.search(published.file)
    memory = int(published.bytes * LOADED_SHARE)
    return {
        "file": published.file,
        "bytes": published.bytes,
        "quantisation": found[1].upper() if found else "",
        "memory_mb": memory // MIB,
        "fits": memory <= machine.budget,
        "part": is_part(published.file),
    }


def _used(catalog: Catalog, models: Models) -> dict[str, list[str]]:
    """Return the roles that each model serves now."""
    used: dict[str, list[str]] = {}
    for role in ("complete", "edit", "chat"):
        try:
            choice = choose(role, models, catalog)
        except CatalogError:
            continue  # Nothing here serves the role, which is what the list then shows.
        if role != "edit" or choice.edit_form:
            used.setdefault(choice.name, []).append(role)
    return used


def _row(
    catalog: Catalog, entry: ModelEntry, used: dict[str, list[str]], machine: Machine
) -> dict[str, Any]:
    """Describe a model, also what it would be like on this machine."""
    problem = ""
    try:
        path = catalog.local_path(entry.name)
    except CatalogError as error:
        path, problem = None, str(error)
    return {
        **{field: getattr(entry, field) for field in entry.__struct_fields__},
        "sources": msgspec.to_builtins(entry.sources),
        "bytes": (catalog.bytes_here(entry, path) if path else 0) or entry.bytes or None,
        "about_bytes": entry.about_bytes or None,
        "sha256": entry.sha256 or None,
        "installed": path is not None,
        "path": str(path) if path else None,
        "used_for": used.get(entry.name, []) if path else [],
        "problem": problem or None,
        "here": _here(entry, machine),
    }


def _here(entry: ModelEntry, machine: Machine) -> dict[str, Any]:
    return {
        "fits": machine.fits(entry),
        "in_time_for": [role for role in entry.roles if machine.carries(entry, role)],
        "tokens_per_second": machine.tokens_per_second(entry),
    }
