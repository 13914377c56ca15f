"""A diagnostic of another language server, as a client has passed it on."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.types import Span

OWN_SOURCE = "nearfield review"
"""The source of the diagnostics that this server publishes."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A problem that another server reports. `source` names that server, `code` its rule ("" for
    unknown); `severity` is "error", "warning", "information" or "hint"."""

    span: Span
    message: str
    source: str = ""
    code: str = ""
    severity: str = "error"
