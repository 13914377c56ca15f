"""Whether the machine runs on its battery: then only what somebody waits for is worth its power."""

from __future__ import annotations

import psutil


def on_battery() -> bool:
    """Whether the machine is unplugged; False where there is no battery, or nobody can tell."""
    # Missing on some systems, and in their type stubs.
    sensors = getattr(psutil, "sensors_battery", None)
    battery = sensors() if sensors is not None else None
    return battery is not None and battery.power_plugged is False
