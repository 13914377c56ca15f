"""Which weights matter: the mean square of what each column of a matrix is multiplied with.

llama.cpp's quantiser keeps the columns with large inputs more exact when it is given these (an
"importance matrix"). They are collected by its own hook, which is called before and after every
node of the graph; only the multiplications with the wanted tensors are looked at.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp._ggml import libggml

from nearfield.engine.bindings import c
from nearfield.engine.llama import Model
from nearfield.errors import EngineError, Unsupported

Importance = dict[str, npt.NDArray[np.float32]]

BATCH = 256
OUTPUT_EVERY = 4
"""The last layer computes only what is asked for; every fourth token is enough of it and spares
most of the multiplication with the vocabulary, a quarter of a small model's work."""

_F32 = 0


class _Tensor(ctypes.Structure):
    """`struct ggml_tensor` of ggml.h, as far as its name; `_verified` checks it at run time."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("ne", ctypes.c_int64 * 4),
        ("nb", ctypes.c_size_t * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", ctypes.c_void_p * 10),
        ("view_src", ctypes.c_void_p),
        ("view_offs", ctypes.c_size_t),
        ("data", ctypes.c_void_p),
        ("name", ctypes.c_char * 64),
    )


def collect(
    model: Model,
    tokens: Sequence[int],
    wanted: frozenset[str],
    threads: int,
    progress: Callable[[float], None],
) -> Importance:
    """Read `tokens` and return, for each wanted tensor that took part, one value a column.

    Raises `Unsupported` when this build of llama.cpp lays its tensors out in another way,
    `EngineError` when it cannot evaluate.
    """
    collector = _Collector(wanted)
    params = c.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = BATCH
    params.n_threads = params.n_threads_batch = threads
    params.no_perf = True
    callback = c.ggml_backend_sched_eval_callback(collector.seen)
    params.cb_eval = callback
    context = c.llama_init_from_model(model.ptr, params)
    if not context:
        raise EngineError(f"llama.cpp could not make a context of {BATCH} tokens.")
    batch = c.llama_batch_init(BATCH, 0, 1)
    try:
        for start in range(0, len(tokens) - BATCH + 1, BATCH):
            _fill(batch, tokens[start : start + BATCH])
            c.llama_memory_clear(c.llama_get_memory(context), False)
            if code := c.llama_decode(context, batch):
                raise EngineError(f"llama.cpp could not evaluate {BATCH} tokens (code {code}).")
            if collector.strange:
                raise Unsupported("This llama.cpp's tensors are laid out in an unknown way.")
            progress((start + BATCH) / len(tokens))
    finally:
        c.llama_batch_free(batch)
        c.llama_free(context)
    return collector.means()


def _fill(batch: Any, tokens: Sequence[int]) -> None:
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i] = token
        batch.pos[i] = i
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = 0
        batch.logits[i] = (i + 1) % OUTPUT_EVERY == 0


class _Collector:
    """The hook and what it has seen. It never raises: an exception cannot pass through C."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = {name.encode(): name for name in wanted}
        self._sums: dict[str, npt.NDArray[np.float64]] = {}
        self._rows: dict[str, int] = {}
        self._checked = False
        self.strange = False
        self._description = libggml.ggml_op_desc
        self._description.argtypes = [ctypes.c_void_p]
        self._description.restype = ctypes.c_char_p
        self._name = libggml.ggml_get_name
        self._name.argtypes = [ctypes.c_void_p]
        self._name.restype = ctypes.c_void_p

    def seen(self, address: int, ask: bool, _data: object) -> bool:
        """Before a node (`ask`): whether it is to be shown. After it: look at it, and go on."""
        if self.strange or not self._verified(address):
            return not ask
        node = _Tensor.from_address(address)
        if self._description(address) != b"MUL_MAT" or not node.src[0] or not node.src[1]:
            return not ask
        weights, inputs = _Tensor.from_address(node.src[0]), _Tensor.from_address(node.src[1])
        name = self._wanted.get(weights.name)
        if name is None or inputs.type != _F32:
            return not ask
        if not ask:
            self._add(name, inputs)
        return True

    def _verified(self, address: int) -> bool:
        """Return whether the library finds a tensor's name where `_Tensor` does."""
        if not self._checked:
            self._checked = True
            self.strange = self._name(address) != address + _Tensor.name.offset
        return not self.strange

    def _add(self, name: str, inputs: _Tensor) -> None:
        columns, rows = int(inputs.ne[0]), int(inputs.ne[1])
        stride = int(inputs.nb[1]) // 4
        if inputs.nb[0] != 4 or stride < columns or inputs.ne[2] != 1 or inputs.ne[3] != 1:
            return
        pointer = ctypes.cast(inputs.data, ctypes.POINTER(ctypes.c_float))
        flat = np.ctypeslib.as_array(pointer, shape=((rows - 1) * stride + columns,))
        matrix = np.lib.stride_tricks.as_strided(flat, (rows, columns), (stride * 4, 4))
        squares = np.einsum("ij,ij->j", matrix, matrix, dtype=np.float64)
        if name in self._sums:
            self._sums[name] += squares
        else:
            self._sums[name] = squares
        self._rows[name] = self._rows.get(name, 0) + rows

    def means(self) -> Importance:
        """One array a tensor; a tensor whose figures are not all finite is left out."""
        found = {
            name: (total / self._rows[name]).astype(np.float32)
            for name, total in self._sums.items()
        }
        return {name: values for name, values in found.items() if np.isfinite(values).all()}
