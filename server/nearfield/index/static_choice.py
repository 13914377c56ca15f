"""Which static embedding makes the first vectors: the user's, or the one that is shipped.

It is chosen once, by the process that opens a workspace, and its indexer is told: who writes
vectors and who searches them have to agree. What cannot be used is said, and the shipped one takes
its place.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from nearfield.catalog.models import SEARCH, TABLE, TOKENIZER, Catalog
from nearfield.errors import CatalogError, NearfieldError
from nearfield.index.static_embedder import (
    CONFIG,
    SHIPPED,
    SHIPPED_DIMENSIONS,
    StaticEmbedder,
)

PROBE = "read a file"


class StaticChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A static embedding. `folder` is "" for the shipped one; `name` tells its vectors from those
    of any other; `ours` says that nobody writes into its files. `problem` is why the user's wish
    was not followed, in a sentence for a person, "" when it was."""

    folder: str = ""
    name: str = SHIPPED
    dimensions: int = SHIPPED_DIMENSIONS
    ours: bool = True
    problem: str = ""

    def embedder(self) -> StaticEmbedder:
        """A new one; its files are read with the first text."""
        if not self.folder:
            return StaticEmbedder.shipped()
        return StaticEmbedder(Path(self.folder), self.name, self.dimensions, mapped=self.ours)


def chosen(wish: str, catalog: Catalog | None = None) -> StaticChoice:
    """What `index.static_model` names, "" for the shipped one; that one too where what is named
    cannot be used. May hash and read files, so call it off the event loop."""
    if not wish:
        return StaticChoice()
    try:
        return named(wish, catalog)
    except NearfieldError as error:
        said = f"index.static_model = {wish!r} cannot be used: {error}"
        return StaticChoice(problem=f"{said} The shipped one is used.")


def named(wish: str, catalog: Catalog | None = None) -> StaticChoice:
    """A name of the catalogue, or a folder's path; tried with a few words. Raises `NearfieldError`
    with what to do."""
    if is_path(wish):
        return _tried(_of_folder(Path(wish).expanduser()))
    return _tried(_of_catalogue(wish, Catalog.load() if catalog is None else catalog))


def is_path(wish: str) -> bool:
    """Return whether a setting means a folder, and no name of the catalogue."""
    return wish.startswith(("~", ".")) or "/" in wish or "\\" in wish


def _of_catalogue(wish: str, catalog: Catalog) -> StaticChoice:
    entry = catalog.get(wish)
    if not entry.is_static:
        raise CatalogError(
            "It is no static embedding.", f"Choose one of `nearfield models list --role {SEARCH}`."
        )
    path = catalog.local_path(wish)
    if path is None:
        raise CatalogError("It is not on this machine.", f"Run `nearfield models pull {wish}`.")
    records = [shelf.verified() for shelf in catalog.cached_files(entry)]
    content = " ".join(record.sha256 for record in records if record is not None)
    return StaticChoice(folder=str(path.parent), name=f"{wish}-{_digest(content)}", dimensions=0)


def _of_folder(folder: Path) -> StaticChoice:
    """A folder of the user's own. Its files are not hashed, which would take too long for what is
    done with each window: it counts as another one when they are replaced."""
    if not folder.is_absolute():
        raise CatalogError(f"{folder} is no whole path.", "Begin it with / or ~.")
    seen = [str(folder.resolve())]
    for name in (TABLE, TOKENIZER, CONFIG):
        try:
            stat = (folder / name).stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            if name == CONFIG:
                continue  # it has defaults
            raise _no_file(folder, name) from error
        except OSError as error:
            raise CatalogError(f"{folder / name} cannot be read ({error.strerror}).") from error
        seen.append(f"{stat.st_size} {stat.st_mtime_ns}")
    name = f"folder-{_digest(' '.join(seen))}"
    return StaticChoice(folder=str(folder), name=name, dimensions=0, ours=False)


def _no_file(folder: Path, name: str) -> CatalogError:
    if not folder.is_dir():
        return CatalogError(f"There is no folder {folder}.", "Give the folder of a model.")
    return CatalogError(
        f"{folder} has no {name}.", f"A folder in model2vec's format has {TABLE} and {TOKENIZER}."
    )


def _tried(choice: StaticChoice) -> StaticChoice:
    """The same with its dimensions. Raises `NotStatic`."""
    embedder = choice.embedder()
    embedder.embed([PROBE])
    return msgspec.structs.replace(choice, dimensions=embedder.dimensions)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
