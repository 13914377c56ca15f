"""The libraries of the extra `tune`, imported where they are used: PyTorch is large, and most
installations have none."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from nearfield.errors import ConfigError


def torch() -> Any:
    """Return PyTorch. Raises `ConfigError` where it is not installed."""
    return _library("torch")


def gguf() -> Any:
    """Return the package `gguf`. Raises `ConfigError` where it is not installed."""
    return _library("gguf")


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"Tuning needs {name}, which is not installed.",
            'Run `pip install "nearfield[tune]"`; docs/models.md says how large it is.',
        ) from error
