"""LoRA adapters: small GGUF files that change a model, checked against the model they are for."""

from __future__ import annotations

from pathlib import Path

from nearfield.catalog.gguf import GgufHeader, header
from nearfield.errors import ConfigError, HashMismatch

_A, _B = ".lora_a", ".lora_b"


def check_adapter(adapter: Path, base: Path) -> None:
    """Raise `ConfigError`, which says why, unless `adapter` is a LoRA adapter for the model in the
    file `base`. Reads both headers."""
    try:
        found, model = header(adapter), header(base)
    except HashMismatch as error:
        raise ConfigError(error.message, "Give an adapter as a GGUF file.") from error
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}.") from error
    if found.texts.get("general.type") != "adapter" or found.texts.get("adapter.type") != "lora":
        raise ConfigError(
            f"{adapter.name} is no LoRA adapter.",
            "convert_lora_to_gguf.py of llama.cpp makes one of what PEFT has written.",
        )
    kinds = [one.texts.get("general.architecture", "") for one in (found, model)]
    if kinds[0] != kinds[1]:
        raise ConfigError(f"{adapter.name} is for {kinds[0] or 'another kind'}, not {kinds[1]}.")
    if wrong := _misfit(found, model):
        raise ConfigError(
            f"{adapter.name} does not fit {base.name}: {wrong}.", "It is for another model."
        )


def _misfit(adapter: GgufHeader, model: GgufHeader) -> str:
    """Return what does not fit, "" where all does."""
    parts = [name for name in adapter.shapes if name.endswith((_A, _B))]
    # llama.cpp leaves changes of norms out.
    others = [name for name in adapter.shapes if not name.endswith((_A, _B, "_norm.weight"))]
    names = {name.removesuffix(_A).removesuffix(_B) for name in parts}
    if others or not names:
        return f"it has {others[0][:60]}" if others else "it changes nothing"
    for name in sorted(names):
        low, high = adapter.shapes.get(name + _A, ()), adapter.shapes.get(name + _B, ())
        weights = model.shapes.get(name)
        if weights is None:
            return f"the model has no {name[:60]}"
        if len(low) != 2 or len(high) != 2 or low[1] != high[0]:
            return f"its two parts of {name[:60]} are no pair"
        # The table of words is looked up, so that its parts are the other way round.
        wanted = (weights[1], weights[0]) if name == "token_embd.weight" else weights
        if len(weights) != 2 or (low[0], high[1]) != tuple(wanted):
            return f"its {name[:60]} is {low[0]} by {high[1]}, the model's {_by(weights)}"
    return ""


def _by(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape))
