"""All functions: our own, and those of other installed packages.

A package offers functions as entry points of the group `nearfield.functions`, each a `ChatFunction`
(see `tool_schema`) or a sequence of them. One that cannot be loaded is left out and logged by its
name; a name that is already taken keeps its first owner.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from nearfield.features.chat.code_tools import ON_CODE
from nearfield.features.chat.file_tools import ON_FILES
from nearfield.features.chat.protocol import ChatFunction
from nearfield.features.chat.shell import execute_shell

GROUP = "nearfield.functions"

log = logging.getLogger(__name__)

OWN: tuple[ChatFunction, ...] = (*ON_FILES, execute_shell, *ON_CODE)


@cache
def known() -> MappingProxyType[str, ChatFunction]:
    """Every function by its name; looked for once."""
    return MappingProxyType(gathered(entry_points(group=GROUP)))


def gathered(points: Iterable[EntryPoint]) -> dict[str, ChatFunction]:
    """Return our own functions and those of `points`."""
    found = {one.name: one for one in OWN}
    for point in points:
        for one in _loaded(point):
            if one.name in found:
                log.warning("the function %s of %s: the name is taken", one.name, point.value)
            else:
                found[one.name] = one
    return found


def chosen(setting: Sequence[str], request: Sequence[str] | None) -> dict[str, ChatFunction]:
    """Return the functions that may be called: allowed by both the settings and the request."""
    functions = known()
    names = [name for name in setting if request is None or name in request]
    return {name: functions[name] for name in dict.fromkeys(names) if name in functions}


def _loaded(point: EntryPoint) -> list[ChatFunction]:
    try:
        value: Any = point.load()
    except Exception as error:  # noqa: BLE001 - another package's import may raise anything
        log.warning("the functions of %s cannot be loaded: %s", point.value, type(error).__name__)
        return []
    values: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
    wrong = [one for one in values if not isinstance(one, ChatFunction)]
    if wrong:
        log.warning("%s offers something that is no function", point.value)
    return [one for one in values if isinstance(one, ChatFunction)]
