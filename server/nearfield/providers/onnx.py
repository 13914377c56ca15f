"""Models that ONNX Runtime GenAI runs on this machine, such as Phi-3 and Phi-4.

    [providers.phi]
    kind = "onnx"
    model = "~/models/phi-4-mini-instruct-onnx/cpu_and_mobile/cpu-int4-rtn-block-32"

`model` is a folder with `genai_config.json`. Options are those of `OnnxOptions` and
`LibraryOptions`. A worker of the engine's kind runs it: loaded at the start, started again when it
dies, unloaded after `engine.idle_unload_minutes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nearfield.catalog.choice import ModelChoice
from nearfield.engine.programs import ONNX
from nearfield.errors import ConfigError, ExtraMissing, ModelLoadFailed
from nearfield.providers.library import LibraryOptions, LibraryProvider, provider
from nearfield.providers.options import ProviderArgs

ABOUT = "genai_config.json"


class OnnxOptions(LibraryOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME.options]` of an onnx."""

    device: Literal["AUTO", "CPU"] = "AUTO"
    """Where it runs: "CPU", or where the folder says ("AUTO")."""


def build(args: ProviderArgs) -> LibraryProvider:
    """Return the provider. Raises `ConfigError` where ONNX Runtime GenAI is not installed or no
    model is named, and `ModelLoadFailed` for a folder without one."""
    options = args.options(OnnxOptions)
    if not ONNX.installed():
        raise ExtraMissing(f"The provider {args.name}", "onnx")
    hint = f"Set model to a folder with {ABOUT}, such as one of microsoft/Phi-4-mini-instruct-onnx."
    if not args.settings.model:
        raise ConfigError(f"The provider {args.name} names no model.", hint)
    folder = Path(args.settings.model).expanduser()
    if not (folder / ABOUT).is_file():
        what = f"has no {ABOUT}" if folder.is_dir() else "is not there"
        raise ModelLoadFailed(f"The folder {folder} {what}.", hint)
    return provider(args.name, ModelChoice(folder), options, ONNX)
