"""Compare the models on this machine with what the hub publishes under the same name today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nearfield.catalog.hub import Hub
from nearfield.catalog.models import Catalog, HubSource, ModelEntry
from nearfield.errors import CatalogError


@dataclass(frozen=True, slots=True)
class Freshness:
    """A model that is here. `here` and `published` are SHA-256; `problem` says why the hub's is not
    known, "" where it is. `pinned` models have their hash in the catalogue: a new file on the hub
    is used only once the catalogue names it."""

    name: str
    here: str
    published: str = ""
    problem: str = ""
    pinned: bool = False

    @property
    def is_outdated(self) -> bool:
        """Return whether the hub has another file under the name."""
        return bool(self.published) and self.published != self.here


def freshness(catalog: Catalog, environ: Mapping[str, str]) -> list[Freshness]:
    """Return the state of every model that came from the hub, or could have. Sends the names of
    their files to the hub and nothing else. Reads the hashes that were checked when they came."""
    with Hub(environ) as hub:
        return [
            _of(catalog, entry, source, hub)
            for entry in catalog.installed()
            for source in [one for one in entry.sources if isinstance(one, HubSource)][:1]
        ]


def _of(catalog: Catalog, entry: ModelEntry, source: HubSource, hub: Hub) -> Freshness:
    record = catalog.cached_file(entry).verified()
    here = record.sha256 if record is not None else entry.sha256
    pinned = bool(entry.sha256)
    try:
        published = hub.look_up(source).expected.sha256
    except CatalogError as error:
        return Freshness(entry.name, here, problem=error.message, pinned=pinned)
    return Freshness(entry.name, here, published, pinned=pinned)
