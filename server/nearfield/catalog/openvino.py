"""OpenVINO on this machine: its devices, and whether it can read a model.

A model is judged by its header, before some gigabytes are read for nothing.
What its reader of GGUF files knows is in openvino.genai's `gguf_utils` (2026.4): another quantised
type ends there as "gguf_tensor_to_f16 failed".
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from nearfield.catalog.gguf import header
from nearfield.catalog.models import Catalog, ModelEntry
from nearfield.catalog.recommend import rank
from nearfield.errors import CatalogError, HashMismatch, ModelLoadFailed

ARCHITECTURES = ("llama", "qwen2", "qwen3")
TENSOR_TYPES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 8: "Q8_0", 12: "Q4_K", 14: "Q6_K"}
"""The types that it reads, by their numbers in ggml.h."""
REFUSED = {6: "Q5_0", 7: "Q5_1", 10: "Q2_K", 11: "Q3_K", 13: "Q5_K", 15: "Q8_K"}
"""The names of common types that it does not read."""
FOLDER_MODEL = "openvino_model.xml"
ASK_SECONDS = 30.0
"""Drivers that have not said by then which devices they have are not asked again."""


def require_readable(path: Path) -> None:
    """Raise `ModelLoadFailed`, which says what to use instead, for a model that cannot be read."""
    if path.is_dir():
        if not (path / FOLDER_MODEL).is_file():
            raise ModelLoadFailed(
                f"The folder {path} has no {FOLDER_MODEL}.",
                "OpenVINO takes a GGUF file, or a folder that `optimum-cli export openvino` made.",
            )
        return
    try:
        told = header(path)
    except (HashMismatch, OSError) as error:
        raise ModelLoadFailed(f"OpenVINO cannot read {path.name}: {error}") from error
    architecture = told.texts.get("general.architecture", "")
    if architecture not in ARCHITECTURES:
        raise ModelLoadFailed(
            f"OpenVINO does not read GGUF files of the architecture {architecture or '(none)'}.",
            f"It reads {', '.join(ARCHITECTURES)}; others have to be folders in its own form.",
        )
    unknown = sorted(told.types - set(TENSOR_TYPES))
    if unknown:
        names = ", ".join(REFUSED.get(one, f"of number {one}") for one in unknown)
        raise ModelLoadFailed(
            f"OpenVINO cannot read {path.name}: it has tensors of the type {names}.",
            f"It reads {', '.join(TENSOR_TYPES.values())}. Of the catalogue's models"
            " qwen2.5-coder-1.5b-instruct can be read.",
        )


def readable_here(catalog: Catalog) -> str:
    """Return the best of the catalogue's models on this machine that OpenVINO can read, "" for
    none."""
    found: list[ModelEntry] = []
    for entry in catalog.installed():
        with suppress(CatalogError, ModelLoadFailed):
            if path := catalog.local_path(entry.name):
                require_readable(path)
                found.append(entry)
    return max(found, key=lambda entry: rank(entry, "complete")).name if found else ""


@cache
def devices() -> dict[str, str]:
    """Return the devices that OpenVINO finds, with their full names; none where it is not
    installed or fails. A child process asks, as its drivers stay in a process that they enter."""
    if find_spec("openvino_genai") is None:
        return {}
    command = [sys.executable, "-m", "nearfield.engine.openvino_worker", "--devices"]
    try:
        said = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_SECONDS,
            check=True,
        ).stdout
        return dict(json.loads(said))
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
