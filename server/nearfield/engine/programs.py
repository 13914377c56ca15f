"""The programs that can be the engine's worker, each on a library of its own.

They take the same commands and send the same events (`frames`), so that `client` starts, watches
and restarts all of them alike.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerProgram:
    """A worker's module, the package that it needs, and the words for a person: how to get the
    package, and what to do about a worker that keeps dying."""

    module: str
    package: str
    name: str
    install: str
    mend: str

    def installed(self) -> bool:
        """Return whether the package is there; without importing it, which takes a while."""
        return importlib.util.find_spec(self.package) is not None


LLAMA = WorkerProgram(
    "nearfield.engine.worker",
    "llama_cpp",
    "The embedded engine",
    'Run `pip install "nearfield[local]"` (needs cmake and a C++ compiler).',
    "Its llama.cpp may not suit this processor, or the memory is short. Run `pip install"
    " --force-reinstall --no-cache-dir llama-cpp-python`, or `nearfield doctor`.",
)
OPENVINO = WorkerProgram(
    "nearfield.engine.openvino_worker",
    "openvino_genai",
    "OpenVINO",
    'Run `pip install "nearfield[openvino]"`.',
    "The model's file may be damaged, the device's driver too old, or the memory short. Try the"
    ' option device = "CPU", or `nearfield doctor`.',
)
ONNX = WorkerProgram(
    "nearfield.engine.onnx_worker",
    "onnxruntime_genai",
    "ONNX Runtime GenAI",
    'Run `pip install "nearfield[onnx]"`.',
    "The model's files may be damaged, or the memory short. Try the option"
    ' device = "CPU", or `nearfield doctor`.',
)
