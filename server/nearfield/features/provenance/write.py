"""Turns what was accepted into records, and writes them. Everything here blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nearfield.catalog.disk import hash_file
from nearfield.catalog.models import Catalog
from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import EMBEDDED
from nearfield.errors import NearfieldError
from nearfield.features.accepted import Accepted, Origin
from nearfield.features.assemble import LATER
from nearfield.features.provenance.chain import Fields
from nearfield.features.provenance.lines import MAX_LINES, accepted_rows, keyed, line_hash
from nearfield.features.provenance.signing import SigningKey
from nearfield.features.provenance.store import ProvenanceStore
from nearfield.files.lines import split_lines
from nearfield.routing.router import OWN_MODEL, STAND_INS
from nearfield.routing.withhold import Withheld

OWN_ENGINE = frozenset({EMBEDDED, *LATER, *STAND_INS.values()})
"""The providers whose model is a file on this machine."""


class Writer:
    """Writes records, signed by the user's key if it is at hand."""

    def __init__(self, folder: Path | None = None) -> None:
        self._store = ProvenanceStore(folder)
        self._key = SigningKey()
        self._hashed: dict[tuple[str, int, int], str] = {}

    def write(
        self, accepted: Sequence[Accepted], configs: FolderConfigs, keyring_seconds: float
    ) -> int:
        """Write records; return how many. Files that are ignored or withheld get none. Raises
        `ProvenanceUnusable`."""
        told = [one for one in accepted if not _is_left_out(one, configs)]
        if not told:
            return 0
        # Before the files are locked, as hashing a model takes a second or more.
        hashes = {one.origin: self._model_hash(one.origin, configs) for one in told}

        def make(secret: bytes) -> list[Fields]:
            made = [record_of(secret, one, hashes[one.origin]) for one in told]
            return [one for one in made if one]

        return self._store.append(make, self._key.get(keyring_seconds))

    def _model_hash(self, origin: Origin, configs: FolderConfigs) -> str:
        """Return the SHA-256 of a model's file, "" where it is not known: of a server's model."""
        config, model = configs.user, origin.model
        name = origin.provider
        is_own = name in OWN_ENGINE or name.startswith(OWN_MODEL)
        if not model or not is_own or name in config.providers:
            return ""
        try:
            catalog = Catalog.load()
            if model in catalog.entries:
                entry = catalog.get(model)
                known = catalog.cached_file(entry).verified()
                return known.sha256 if known is not None else entry.sha256
            models = config.models
            paths = (Path(one).expanduser() for one in (models.complete, models.edit, models.chat))
            named = next((path for path in paths if path.stem == model and path.is_file()), None)
            return self._hash_of(named) if named is not None else ""
        except (NearfieldError, OSError):
            return ""

    def _hash_of(self, path: Path) -> str:
        """Return the SHA-256 of a file, which is read once while it does not change."""
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in self._hashed:
            self._hashed[key] = hash_file(path)
        return self._hashed[key]


def record_of(secret: bytes, accepted: Accepted, model_hash: str) -> Fields:
    """Return the fields of a record, none if no line was written; never any text of the file."""
    lines = split_lines(accepted.after)
    rows = accepted_rows(accepted)[:MAX_LINES]
    text = "\n".join(lines[row] for row in rows)
    if not text.strip():
        return {}
    origin = accepted.origin
    return {
        "at": round(accepted.at, 3),
        "id": accepted.id,
        "kind": accepted.kind,
        "file": accepted.path,
        "rows": [rows[0], rows[-1]],
        "lines": [line_hash(secret, lines[row]) for row in rows],
        "text": keyed(secret, text),
        "provider": origin.provider,
        "model": origin.model,
        "model_sha256": model_hash,
        "prompt": keyed(secret, origin.prompt) if origin.prompt else "",
    }


def _is_left_out(accepted: Accepted, configs: FolderConfigs) -> bool:
    config = configs.of(accepted.root)
    try:
        withheld = Withheld([*config.privacy.withhold, *config.files.exclude])
    except ValueError:
        return True  # as nothing is sent then either
    return withheld.why(accepted.root or "", accepted.path) is not None
