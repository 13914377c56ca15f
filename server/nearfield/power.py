"""The source of the machine's power."""

from __future__ import annotations

import psutil


def is_on_battery() -> bool:
    """Return whether the machine is unplugged; False without a battery, or where unknown."""
    # Missing on some systems, and in their type stubs.
    sensors = getattr(psutil, "sensors_battery", None)
    battery = sensors() if sensors is not None else None
    return battery is not None and battery.power_plugged is False
