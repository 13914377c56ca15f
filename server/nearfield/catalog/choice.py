"""The choice of the model on this machine that serves a role.

The user's setting decides. Without one the best installed model does: for `complete` a base model
that fills in the middle before an instruct model, in a size that this machine carries; for `chat`
the model that completes, when it can chat too, as a second model takes memory of its own.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nearfield.catalog.disk import is_file
from nearfield.catalog.gguf import require_whole
from nearfield.catalog.models import Catalog, ModelEntry
from nearfield.catalog.recommend import Machine, rank, this_machine
from nearfield.catalog.templates import CHAT_OF_FILE, FIM_AUTO
from nearfield.config.schema import Models
from nearfield.errors import CatalogError, HashMismatch
from nearfield.types import EditForm


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter's file, and how strongly it changes the model."""

    path: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The file that serves a role. `entry` is None for a file that the user named by its path.

    `problem` says, in a sentence for a person, why the user's setting was not followed; "" when it
    was, or when there is none.
    """

    path: Path
    entry: ModelEntry | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """The name to show."""
        return self.entry.name if self.entry else self.path.stem

    @property
    def adapter(self) -> Adapter | None:
        """The adapter that changes it, None without one."""
        if self.entry is None or not self.entry.adapter:
            return None
        return Adapter(str(Path(self.entry.adapter).expanduser()), self.entry.adapter_scale)

    def is_same(self, other: ModelChoice) -> bool:
        """Return whether both are one model, loaded once."""
        return (self.path, self.adapter) == (other.path, other.adapter)

    @property
    def fim(self) -> str:
        """The infilling template's name, "auto" (see the file's vocabulary) or ""."""
        return self.entry.fim if self.entry else FIM_AUTO

    @property
    def edit_form(self) -> EditForm:
        """The form in which it predicts next edits."""
        return self.entry.edit_form if self.entry else EditForm.NONE

    @property
    def chat(self) -> str:
        """The chat template's name, "gguf" (the file's own) or ""."""
        return self.entry.chat if self.entry else CHAT_OF_FILE


def wished(role: str, models: Models) -> str:
    """Return the user's setting for `role`, "" for none."""
    return {"chat": models.chat, "edit": models.edit}.get(role, models.complete)


def choose(
    role: str, models: Models, catalog: Catalog | None = None, machine: Machine | None = None
) -> ModelChoice:
    """Return the model for `role` ("complete", "edit" or "chat").

    May hash a file that was not checked since it changed, so call it off the event loop. Raises
    `CatalogError`, with what to do, when no model on this machine can serve the role.
    """
    catalog = Catalog.load() if catalog is None else catalog
    problem = ""
    if wish := wished(role, models):
        try:
            return named(wish, catalog)
        except CatalogError as error:
            problem = f"models.{role} = {wish!r} cannot be used: {error}"
    elif role in ("chat", "edit"):
        with suppress(CatalogError):
            completing = choose("complete", models, catalog, machine)
            if completing.entry is None or role in completing.entry.roles:
                # What is wrong with `complete` is said where that is asked for.
                return replace(completing, problem="")
    here, damage = _here(role, catalog)
    said = " ".join([problem, *damage]).strip()
    if not here:
        hint = (
            "Run `nearfield setup`, which chooses models for this machine, or `nearfield models"
            f" pull` to fetch the default one, {catalog.default}."
        )
        raise CatalogError(said or f"No model for {role} is on this machine.", hint)
    best = here[0] if len(here) == 1 else _best(here, role, machine or this_machine(catalog))
    return ModelChoice(best.path, best.entry, f"{said} {best.name} is used." if said else "")


def named(wish: str, catalog: Catalog) -> ModelChoice:
    """Return the model that the user named, a catalogue entry or a file. Raises `CatalogError`."""
    if wish not in catalog.entries and ("/" in wish or "\\" in wish or wish.endswith(".gguf")):
        if not is_file(wish):
            raise CatalogError(f"There is no file {wish}.")
        path = Path(wish).expanduser()
        require_whole(path)
        return ModelChoice(path)
    entry = catalog.get(wish)
    path = catalog.local_path(wish)
    if path is None:
        raise CatalogError("It is not on this machine.", f"Run `nearfield models pull {wish}`.")
    return ModelChoice(path, entry)


def _here(role: str, catalog: Catalog) -> tuple[list[ModelChoice], list[str]]:
    """Return the models that can serve the role now, and what is wrong with files that cannot."""
    here: list[ModelChoice] = []
    damage: list[str] = []
    for entry in catalog.entries.values():
        try:
            path = catalog.local_path(entry.name) if role in entry.roles else None
        except HashMismatch as error:
            damage.append(str(error))
        else:
            here += [ModelChoice(path, entry)] if path else []
    return here, damage


def _best(here: list[ModelChoice], role: str, machine: Machine) -> ModelChoice:
    """Return the best model that the machine carries, or the smallest when it carries none."""
    known = [(choice, choice.entry) for choice in here if choice.entry is not None]
    fitting = [(choice, entry) for choice, entry in known if machine.carries(entry, role)]
    if fitting:
        return max(fitting, key=lambda pair: rank(pair[1], role))[0]
    return min(known, key=lambda pair: (pair[1].memory_mb, pair[1].parameters_m))[0]
