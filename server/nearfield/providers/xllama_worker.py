"""`python -m nearfield.providers.xllama_worker`: llama.cpp's server out of the xllamacpp wheel.

It takes the few arguments of `llama-server` that `managed.py` gives, so that both are started
alike, and the key from the same variable, `LLAMA_API_KEY`. It ends when its standard input does.
"""

from __future__ import annotations

import argparse
import os
import threading
from importlib import import_module
from typing import Any

from nearfield.providers.parent_watchdog import when_parent_goes

# The wheel is one compiled module without types.
_wheel: Any = import_module("xllamacpp")

QUIET = 1
"""llama.cpp's log level for errors; with more it would log prompts."""


def arguments() -> argparse.ArgumentParser:
    """Return the arguments, named as llama-server's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ctx-size", type=int, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--cache-reuse", type=int, default=0)
    parser.add_argument("--n-gpu-layers", type=int, default=-1)
    for flag in ("--metrics", "--jinja"):
        parser.add_argument(flag, action="store_true")
    return parser


def parameters(given: argparse.Namespace) -> Any:
    """Return the arguments as the wheel takes them."""
    params = _wheel.CommonParams()
    params.model.path = given.model
    params.model_alias = {given.alias}
    params.hostnames = [given.host]
    params.port = given.port
    params.n_ctx = given.ctx_size
    params.n_parallel = given.parallel
    params.cpuparams.n_threads = given.threads
    params.cpuparams_batch.n_threads = given.threads
    params.n_batch = given.batch_size
    params.n_cache_reuse = given.cache_reuse
    params.n_gpu_layers = given.n_gpu_layers
    params.endpoint_slots = True
    params.endpoint_metrics = given.metrics
    params.endpoint_props = False
    params.use_jinja = given.jinja
    params.ui = False
    params.verbosity = QUIET
    key = os.environ.get("LLAMA_API_KEY", "")
    params.api_keys = [key] if key else []
    return params


def main() -> None:
    """Serve until standard input ends."""
    gone = threading.Event()
    when_parent_goes(gone.set)
    server = _wheel.Server(parameters(arguments().parse_args()))
    gone.wait()
    # The server's destructor waits for running generations, which are no longer wanted.
    del server
    os._exit(0)


if __name__ == "__main__":
    main()
