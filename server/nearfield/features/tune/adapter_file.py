"""Write a LoRA adapter as a GGUF file, as convert_lora_to_gguf.py of llama.cpp writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearfield.features.tune import needs
from nearfield.files.private import private_draft, private_folder


def write_adapter(
    target: Path, architecture: str, name: str, alpha: float, matrices: Mapping[str, Any]
) -> None:
    """Write the arrays `matrices` (rank by columns and rows by rank, float32), by their names in
    the file, to `target`, which the user alone may read. Raises `OSError` and `ConfigError`."""
    private_folder(target.parent)
    draft = private_draft(target.parent, ".gguf")
    try:
        writer = needs.gguf().GGUFWriter(draft, architecture)
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", alpha)
        writer.add_name(name)
        for tensor, values in matrices.items():
            writer.add_tensor(tensor, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
