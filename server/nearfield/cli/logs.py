"""Set up logging to standard error, as standard output carries the protocol.

Records hold ids, sizes, timings and decisions, never code (promise 10). Libraries that log the
bytes on their wires stay at warnings at every log level: their bodies are the user's code.
"""

from __future__ import annotations

import logging

LEVELS = ("error", "warning", "info", "debug")

# These log requests, answers or whole messages at info or debug.
WIRE_LOGGERS = ("pygls", "httpx", "httpcore", "urllib3")


def setup(level: str) -> None:
    """Log to standard error from `level`, one of `LEVELS`, upwards. Calling it again changes the
    level."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()  # standard error, which `guard` has replaced
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        )
        root.addHandler(handler)
    logging.getLogger("nearfield").setLevel(level.upper())
    root.setLevel(logging.WARNING)
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
