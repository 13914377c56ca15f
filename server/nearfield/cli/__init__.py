"""The command line: one module a command, each of which imports what it needs when it runs."""

from __future__ import annotations

from nearfield.cli.main import main

__all__ = ["main"]
