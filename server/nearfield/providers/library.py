"""The parts that providers share whose model a library runs in a worker of the engine's kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec
from msgspec import Meta

from nearfield.catalog.choice import ModelChoice
from nearfield.catalog.templates import fim_template
from nearfield.config.schema import Engine
from nearfield.engine.client import EngineClient
from nearfield.engine.programs import WorkerProgram
from nearfield.providers.embedded import WorkerProvider
from nearfield.providers.families import edit_form_of, template_of
from nearfield.types import CHAT_TEMPERATURE, Capabilities, FimTemplate


class LibraryOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options that all of them take."""

    device: str = "AUTO"
    context_size: Annotated[int, Meta(ge=512)] = 8192
    """Tokens that its KV cache holds, and the most of one request."""
    threads: Annotated[int, Meta(ge=0)] = 0
    """CPU threads; 0 takes the physical cores."""
    memory_limit_mb: Annotated[int, Meta(ge=0)] = 0
    """The most that the model may take (MiB); 0 takes three quarters of the machine's memory."""
    fim_template: str = ""
    """A catalogue name of a FIM form; empty goes by the catalogue, the name or the vocabulary."""
    edit_form: str = ""
    """The form of next-edit prompts, as in `ServerOptions`."""
    chat: bool = True
    """Whether the model chats."""
    chat_temperature: Annotated[float, Meta(ge=0, le=2)] = CHAT_TEMPERATURE
    """Temperature of chats whose request names none."""


class LibraryProvider(WorkerProvider):
    """A model that a library generates with by itself."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`."""
        return replace(super().capabilities, tools=False)


def provider(
    name: str, choice: ModelChoice, options: LibraryOptions, program: WorkerProgram
) -> LibraryProvider:
    """Return the provider `name`, whose model `program` runs. Raises `ConfigError`."""
    engine = EngineClient(
        Engine(
            threads=options.threads,
            context_size=options.context_size,
            memory_limit_mb=options.memory_limit_mb,
        ),
        program=program,
        device=options.device,
    )
    return LibraryProvider(
        engine,
        model=choice.name,
        path=choice.path,
        template=_template(name, choice, options.fim_template),
        chats=options.chat,
        edit_form=edit_form_of(name, choice.name, options.edit_form),
        temperature=options.chat_temperature,
        name=name,
    )


def _template(name: str, choice: ModelChoice, wish: str) -> FimTemplate | None:
    """Return the FIM form; None leaves it to the vocabulary. Raises `ConfigError`."""
    known = fim_template(choice.fim) if choice.entry and not wish else None
    return known or template_of(name, choice.path.name, wish)
