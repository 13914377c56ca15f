"""Models that OpenVINO runs on this machine, on a CPU, a GPU or an NPU of Intel's.

    [providers.npu]
    kind = "openvino"
    model = "qwen2.5-coder-1.5b-instruct"
    options = { device = "NPU" }

`model` is a name of the catalogue, a GGUF file, or a folder with `openvino_model.xml`. Options are
those of `OpenVinoOptions` and `LibraryOptions`. A worker of the engine's kind runs it: loaded at
the start, started again when it dies, unloaded after `engine.idle_unload_minutes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from nearfield.catalog.choice import ModelChoice, named
from nearfield.catalog.models import Catalog
from nearfield.catalog.openvino import require_readable
from nearfield.engine.programs import OPENVINO
from nearfield.errors import ConfigError, ExtraMissing
from nearfield.providers.library import LibraryOptions, LibraryProvider, provider
from nearfield.providers.options import ProviderArgs


class OpenVinoOptions(LibraryOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of an openvino."""

    device: Annotated[str, Meta(pattern=r"^(AUTO|CPU|NPU|GPU(\.\d+)?)$")] = "AUTO"
    """Where it runs: "CPU", "GPU", "GPU.1" or "NPU"; "AUTO" takes a GPU, else the CPU."""


def build(args: ProviderArgs) -> LibraryProvider:
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
    return provider(args.name, choice, options, OPENVINO)


def _choice(model: str) -> ModelChoice:
    """Return the named model, or the folder of that path. Raises `CatalogError`."""
    folder = Path(model).expanduser()
    return ModelChoice(folder) if folder.is_dir() else named(model, Catalog.load())
