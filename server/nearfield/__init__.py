"""Nearfield: AI completions, code actions and hovers in any editor, from your own machine first."""

from __future__ import annotations

__version__ = "0.2.0"
