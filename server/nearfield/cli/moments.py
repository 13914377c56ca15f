"""Times as the commands read and write them."""

from __future__ import annotations

import re
import time
from datetime import datetime

from nearfield.cli.output import fail

_AGO = re.compile(r"(\d{1,9})\s*([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(at: float) -> str:
    """A time as people read it, in their own zone; "unknown" for one that no calendar has."""
    try:
        return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "unknown"


def since(text: str) -> float:
    """Seconds since the epoch of "7d" (ago; m, h, d, w) or "2024-05-31"; ends the command when it
    is neither."""
    if ago := _AGO.fullmatch(text.strip()):
        return max(0.0, time.time() - int(ago[1]) * _SECONDS[ago[2]])
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        fail(f"{text!r} is no time.", 'Write "12h", "7d" or a date as 2024-05-31.')
