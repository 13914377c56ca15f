"""Which model on this machine serves a role.

The user's setting decides. Without one the best installed model does: for `complete` a base model
that fills in the middle before an instruct model, in a size that this machine carries; for `chat`
the model that completes, when it can chat too, as that takes no second load of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearfield.catalog.disk import is_gguf
from nearfield.catalog.models import Catalog, ModelEntry
from nearfield.catalog.recommend import Machine, rank, this_machine
from nearfield.catalog.templates import CHAT_OF_FILE, FIM_AUTO
from nearfield.config.schema import Models
from nearfield.errors import CatalogError, HashMismatch


@dataclass(frozen=True, slots=True)
class Choice:
    """The file that serves a role. `entry` is None for a file that the user named by its path.

    `problem` says, in a sentence for a person, why the user's setting was not followed; "" when it
    was, or when there is none.
    """

    path: Path
    entry: ModelEntry | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """How the model is shown."""
        return self.entry.name if self.entry else self.path.stem

    @property
    def fim(self) -> str:
        """The infilling template's name, "auto" (see the file's vocabulary) or ""."""
        return self.entry.fim if self.entry else FIM_AUTO

    @property
    def chat(self) -> str:
        """The chat template's name, "gguf" (the file's own) or ""."""
        return self.entry.chat if self.entry else CHAT_OF_FILE


def choose(
    role: str, models: Models, catalog: Catalog | None = None, machine: Machine | None = None
) -> Choice:
    """The model for `role` ("complete" or "chat").

    May hash a file that was not checked since it changed, so call it off the event loop. Raises
    `CatalogError`, with what to do, when no model on this machine can serve the role.
    """
    catalog = Catalog.load() if catalog is None else catalog
    problems: list[str] = []
    for wish in _wishes(role, models):
        try:
            choice = _named(wish, catalog)
        except CatalogError as error:
            problems.append(f"models.{role} = {wish!r} cannot be used: {error}")
            continue
        if role == "complete" or wish == models.chat or _can_chat(choice):
            return choice
    best, damage = _best(role, catalog, machine)
    problems += damage
    said = " ".join(problems)
    if best is None:
        hint = f"Run `nearfield models pull` to fetch the default model, {catalog.default}."
        raise CatalogError(said or "No model is on this machine.", hint)
    path = catalog.local_path(best.name)
    assert path is not None  # noqa: S101 (`_best` offers only models that are here)
    return Choice(path, best, problem=f"{said} {best.name} is used." if said else "")


def _wishes(role: str, models: Models) -> Iterator[str]:
    """The settings that speak about the role, the most telling first."""
    if role == "chat" and models.chat:
        yield models.chat
    elif models.complete:
        yield models.complete


def _can_chat(choice: Choice) -> bool:
    return choice.entry is None or "chat" in choice.entry.roles


def _named(wish: str, catalog: Catalog) -> Choice:
    """What the user named: a catalogue entry or a file. Raises `CatalogError`."""
    if wish not in catalog.entries and ("/" in wish or "\\" in wish or wish.endswith(".gguf")):
        path = Path(wish).expanduser()
        if not path.is_file():
            raise CatalogError(f"There is no file {path}.")
        if not is_gguf(path):
            raise HashMismatch(f"{path} is not a GGUF file: it does not begin with 'GGUF'.")
        return Choice(path)
    entry = catalog.get(wish)
    path = catalog.local_path(wish)
    if path is None:
        raise CatalogError("It is not on this machine.", f"Run `nearfield models pull {wish}`.")
    return Choice(path, entry)


def _best(
    role: str, catalog: Catalog, machine: Machine | None
) -> tuple[ModelEntry | None, list[str]]:
    """The best usable model, and what is wrong with the files that are not."""
    here: list[ModelEntry] = []
    damage: list[str] = []
    for entry in catalog.entries.values():
        try:
            if role in entry.roles and catalog.local_path(entry.name) is not None:
                here.append(entry)
        except HashMismatch as error:
            damage.append(str(error))
    if len(here) < 2:
        return (here[0] if here else None), damage
    machine = this_machine(catalog) if machine is None else machine
    fitting = [entry for entry in here if machine.carries(entry, role)]
    if fitting:
        return max(fitting, key=lambda entry: rank(entry, role)), damage
    return min(here, key=lambda entry: (entry.memory_mb, entry.parameters_m)), damage
