"""Read what a user says about a model of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from nearfield.catalog.adapters import check_adapter
from nearfield.catalog.disk import is_file, is_gguf
from nearfield.catalog.gguf import require_whole
from nearfield.catalog.models import Catalog, HubSource, ModelEntry, PathSource
from nearfield.catalog.templates import CHAT_OF_FILE, FIM_AUTO
from nearfield.errors import ConfigError, HashMismatch
from nearfield.files.links import resolved

# What most models of the last years were trained with at least; the engine reads the true figure
# from the file.
ASSUMED_CONTEXT = 8192

_ON_HUB = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>.+\.gguf)", re.IGNORECASE)
_HUB_PAGE = re.compile(
    r"/(?P<repo>[\w.-]+/[\w.-]+)/(?:resolve|blob)/(?P<revision>[^/]+)/(?P<file>.+\.gguf)",
    re.IGNORECASE,
)
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf", re.IGNORECASE)


def is_part(file: str) -> bool:
    """Return whether a file on the hub is one of several that are a model together."""
    return _PART.search(file) is not None


def registration(
    name: str, source: str, known: ModelEntry | None, stated: Mapping[str, Any]
) -> ModelEntry:
    """Return the entry for `source`: a GGUF file on this machine, OWNER/REPO/FILE on the hub, or
    the address of such a file.

    `stated` are the fields that the user gave. What they did not give comes from `known`, the entry
    of that name, when there is one: its own file, fetched in another way, has to have its hash.
    Raises `ConfigError`.
    """
    found = _source(source)
    file = Path(found.path if isinstance(found, PathSource) else found.file).name
    if known is None:
        known = ModelEntry(
            title=name,
            sources=[found],
            file=file,
            licence="unknown",
            context=ASSUMED_CONTEXT,
            roles=["complete", "chat"],
            fim=FIM_AUTO,
            chat=CHAT_OF_FILE,
        )
    fields: dict[str, Any] = {**stated, "name": name, "origin": "user", "sources": [found]}
    if stated.get("edit_form") and not stated.get("roles"):
        fields["roles"] = [*known.roles, "edit"]
    if isinstance(found, HubSource):
        fields["file"] = file
    entry = msgspec.structs.replace(known, **fields)
    try:
        return msgspec.convert(msgspec.to_builtins(entry), ModelEntry)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name} cannot be added: {error}.") from error


def adapted(
    name: str, adapter: str, base: str, scale: float, catalog: Catalog, stated: Mapping[str, Any]
) -> ModelEntry:
    """Return the entry of a model that a LoRA adapter changes: a file here, for the model
    of the entry `base`, which is here too.

    Raises `ConfigError` where the adapter is for another model, and `CatalogError`.
    """
    entry, path = catalog.get(base), catalog.local_path(base)
    if path is None:
        raise ConfigError(f"{base} is not here.", f"Run `nearfield models pull {base}` first.")
    if entry.adapter or entry.beside:
        raise ConfigError(f"{base} is no model that an adapter can change here.")
    file = resolved(Path(adapter).expanduser())
    check_adapter(file, path)
    fields: dict[str, Any] = {
        "title": f"{entry.title} with {file.name}",
        **stated,
        "name": name,
        "origin": "user",
        "sources": [PathSource(str(resolved(path)))],
        "base": base,
        "adapter": str(file),
        "adapter_scale": scale,
        "preferred": False,
    }
    try:
        changed = msgspec.structs.replace(entry, **fields)
        return msgspec.convert(msgspec.to_builtins(changed), ModelEntry)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name} cannot be added: {error}.") from error


def _source(text: str) -> PathSource | HubSource:
    """Return the file that `text` names. Raises `ConfigError`."""
    if is_file(text):
        path = Path(text).expanduser()
        if not is_gguf(path):
            raise ConfigError(
                f"{path} is not a GGUF file: it does not begin with 'GGUF'.",
                "Models for llama.cpp end in .gguf; other formats have to be converted first.",
            )
        try:
            require_whole(path)
        except HashMismatch as error:
            raise ConfigError(f"{path} cannot be used: {error}", "Fetch it again.") from error
        return PathSource(str(resolved(path)))
    address = urlsplit(text)
    if address.scheme in ("http", "https"):
        if page := _HUB_PAGE.fullmatch(unquote(address.path)):
            return _on_hub(HubSource(page["repo"], page["file"], page["revision"]))
    elif not text.startswith(("/", "~")) and (found := _ON_HUB.fullmatch(text)):
        return _on_hub(HubSource(found["repo"], found["file"]))
    raise ConfigError(
        f"{text} is neither a file on this machine nor a GGUF file on the hub.",
        "Give a path, or OWNER/REPO/FILE.gguf.",
    )


def _on_hub(source: HubSource) -> HubSource:
    if not {"", ".", ".."}.isdisjoint([*source.file.split("/"), *source.repo.split("/")]):
        raise ConfigError(f"{source.repo}/{source.file} leads out of a repository of the hub.")
    if is_part(source.file):
        raise ConfigError(
            f"{source.file} is one part of a model, and only models in one file are fetched.",
            "Take another file, or fetch all parts yourself and add the first by its path.",
        )
    return source
