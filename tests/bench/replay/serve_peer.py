"""llama.cpp's server out of the xllamacpp wheel, with the options that llama.vim recommends.

    python serve_peer.py MODEL THREADS PORT BATCH

Ends when its standard input does.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

CONTEXT = 8192
REUSE = 256


def main() -> None:
    """Serve."""
    model, threads, port, batch = sys.argv[1:]
    wheel: Any = import_module("xllamacpp")
    params = wheel.CommonParams()
    params.model.path = model
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    params.n_batch = params.n_ubatch = int(batch)
    params.n_cache_reuse = REUSE
    params.verbosity = 1
    server = wheel.Server(params)
    sys.stdin.read()
    del server
    os._exit(0)


if __name__ == "__main__":
    main()
