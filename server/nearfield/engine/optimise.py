"""The process that optimises a model: `python -m nearfield.engine.optimise`; see `optimise_frames`.

It writes the variant, compares it with its source, and leaves the judgement and all files to the
command that started it. Like the worker it ends at once when its standard input does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import threading
from pathlib import Path

import msgspec
import numpy as np
import psutil

from nearfield.engine.bindings import c
from nearfield.engine.comparison import compare
from nearfield.engine.importance import BATCH, Importance, collect
from nearfield.engine.llama import COMPUTE_OVERHEAD, Model, Silence, check_file, check_memory
from nearfield.engine.optimise_frames import (
    WRITE_FAILED,
    Compared,
    Event,
    Job,
    Progressed,
    Refused,
)
from nearfield.errors import NearfieldError, Unsupported

_TENSOR_OF = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")


class Log(Silence):
    """llama.cpp's log, read for how far the quantiser is: it says "[  12/ 290]" at each tensor."""

    def _log(self, _level: int, text: bytes, _data: object) -> None:
        super()._log(_level, text, _data)
        if found := _TENSOR_OF.match(text.decode("utf-8", "replace")):
            told("writing", int(found[1]) / int(found[2]))


def send(event: Event) -> None:
    """One line to the command."""
    os.write(_OUT, msgspec.json.encode(event) + b"\n")


def told(phase: str, done: float) -> None:
    """Say how far a phase is."""
    send(Progressed(phase, round(min(done, 1.0), 3)))


def run(job: Job, log: Silence) -> Compared | Refused:
    """Do the job. Raises `NearfieldError` for a model that cannot be loaded or evaluated."""
    if job.gpu and c.llama_supports_gpu_offload():
        raise Unsupported(
            "The engine computes on a GPU, which has fast kernels for all types.",
            "With engine.gpu_layers = 0 it computes on the processor.",
        )
    need = 2 * (check_file(Path(job.source)) + COMPUTE_OVERHEAD)
    check_memory(need, job.memory_limit)
    before = Model(Path(job.source), 0, lambda _: None, log)
    importance = _importance(job, before)
    if code := _write(job, importance):
        return Refused(WRITE_FAILED, f"llama.cpp gave up (code {code}): {' '.join(log.lines[-2:])}")
    after = Model(Path(job.target), 0, lambda _: None, log)
    compared = compare(
        before,
        after,
        job.cases,
        rounds=job.rounds,
        infill=job.infill,
        threads=job.threads,
        progress=lambda x: told("comparing", x),
    )
    after.close()
    before.close()
    return compared


def _importance(job: Job, model: Model) -> Importance:
    """The importance matrix; empty without texts, or where it cannot be collected."""
    tokens = [t for text in job.texts for t in model.tokenize(text)][: job.importance_tokens]
    if len(tokens) < BATCH:
        return {}
    wanted = frozenset(job.change)
    try:
        return collect(model, tokens, wanted, job.threads, lambda x: told("reading", x))
    except Unsupported:
        # The comparison decides whether the variant is good enough without one.
        return {}


def _write(job: Job, importance: Importance) -> int:
    """Let llama.cpp write the target; its return code, 0 for success."""
    params = c.llama_model_quantize_default_params()
    params.nthread = job.threads
    params.allow_requantize = True
    params.ftype = getattr(c, f"LLAMA_FTYPE_MOSTLY_{job.kind}")
    changed, kind = set(job.change), getattr(c, f"GGML_TYPE_{job.kind}")
    types = {n: kind if n in changed else t for n, t in job.tensors.items()}
    params.token_embedding_type = types.get("token_embd.weight", params.token_embedding_type)
    params.output_tensor_type = types.get("output.weight", params.token_embedding_type)
    overrides = (c.llama_model_tensor_override * (len(types) + 1))()
    for override, (name, number) in zip(overrides, types.items(), strict=False):
        override.pattern = f"^{re.escape(name)}$".encode()
        override.type = number
    params.tt_overrides = overrides
    # Both arrays end with an entry that is all zeros; `kept` holds what they point at.
    kept = [np.ascontiguousarray(values) for values in importance.values()]
    matrix = (c.llama_model_imatrix_data * (len(kept) + 1))()
    for entry, name, values in zip(matrix, importance, kept, strict=False):
        entry.name = name.encode()
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = values.size
    if kept:
        params.imatrix = matrix
    return int(
        c.llama_model_quantize(job.source.encode(), job.target.encode(), ctypes.byref(params))
    )


def _be_modest() -> None:
    """Let everything else on the machine go first: this takes minutes."""
    low = getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 10)
    psutil.Process().nice(low)


def _end_with_input(target: Path) -> None:
    """End when the command does, leaving nothing."""
    while sys.stdin.buffer.read(1):
        pass
    with contextlib.suppress(OSError):
        target.unlink(missing_ok=True)
    os._exit(1)


# Whatever a library prints must not get between the lines.
_OUT = os.dup(1)


def main() -> None:
    """Read the job, do it, say how it came out."""
    os.dup2(2, 1)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    target = Path(job.target)
    threading.Thread(target=_end_with_input, args=(target,), name="input", daemon=True).start()
    _be_modest()
    log = Log()
    c.llama_backend_init()
    try:
        send(run(job, log))
    except NearfieldError as error:
        send(Refused(type(error).__name__, error.message, error.hint))
    # The input's thread still reads: an ordinary end would wait for its lock.
    os._exit(0)


if __name__ == "__main__":
    main()
