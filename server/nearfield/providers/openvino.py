"""Models that OpenVINO runs on this machine, on a CPU, a GPU or an NPU of Intel's.

    [providers.npu]
    kind = "openvino"
    model = "qwen2.5-coder-1.5b-instruct"
    options = { device = "NPU" }

`model` is a name of the catalogue, a GGUF file, or a folder with `openvino_model.xml`. Options are
those of `OpenVinoOptions`. A worker of the engine's kind runs it: loaded at the start, started
again when it dies, unloaded after `engine.idle_unload_minutes`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from nearfield.catalog.choice import ModelChoice, named
from nearfield.catalog.models import Catalog
from nearfield.catalog.openvino import require_readable
from nearfield.catalog.templates import fim_template
from nearfield.config.schema import Engine
from nearfield.engine.client import EngineClient
from nearfield.engine.programs import OPENVINO
from nearfield.errors import ConfigError, ExtraMissing
from nearfield.providers.embedded import WorkerProvider
from nearfield.providers.families import edit_form_of, template_of
from nearfield.providers.options import ProviderArgs
from nearfield.types import CHAT_TEMPERATURE, Capabilities, FimTemplate


class OpenVinoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of an openvino."""

    device: Annotated[str, Meta(pattern=r"^(AUTO|CPU|NPU|GPU(\.\d+)?)$")] = "AUTO"
    """Where it runs: "CPU", "GPU", "GPU.1" or "NPU"; "AUTO" takes a GPU, else the CPU."""
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


class OpenVino(WorkerProvider):
    """See the module's docstring."""

    @property
    def capabilities(self) -> Capabilities:
        """See `Provider`."""
        return replace(super().capabilities, tools=False)


def build(args: ProviderArgs) -> OpenVino:
    """Return the provider; the model's header is read. Raises `ConfigError` where OpenVINO is not
    installed or no model is named, `CatalogError` for one that is not there, and `ModelLoadFailed`
    for one that OpenVINO cannot read."""
    options = args.options(OpenVinoOptions)
    if not OPENVINO.installed():
        raise ExtraMissing(f"The provider {args.name}", "openvino")
    if not args.settings.model:
        raise ConfigError(
            f"The provider {args.name} names no model.",
            "Set model to a name of the catalogue, a GGUF file, or a folder in OpenVINO's form.",
        )
    choice = _choice(args.settings.model)
    require_readable(choice.path)
    engine = EngineClient(
        Engine(
            threads=options.threads,
            context_size=options.context_size,
            memory_limit_mb=options.memory_limit_mb,
        ),
        program=OPENVINO,
        device=options.device,
    )
    return OpenVino(
        engine,
        model=choice.name,
        path=choice.path,
        template=_template(args.name, choice, options.fim_template),
        chats=options.chat,
        edit_form=edit_form_of(args.name, choice.name, options.edit_form),
        temperature=options.chat_temperature,
        name=args.name,
    )


def _choice(model: str) -> ModelChoice:
    """Return the named model, or the folder of that path. Raises `CatalogError`."""
    folder = Path(model).expanduser()
    return ModelChoice(folder) if folder.is_dir() else named(model, Catalog.load())


def _template(name: str, choice: ModelChoice, wish: str) -> FimTemplate | None:
    """Return the FIM form; None leaves it to the vocabulary. Raises `ConfigError`."""
    known = fim_template(choice.fim) if choice.entry and not wish else None
    return known or template_of(name, choice.path.name, wish)
