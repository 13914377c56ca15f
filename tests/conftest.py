"""Fixtures that every kind of test shares: the real models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearfield.catalog.models import Catalog


def _model(name: str, variable: str) -> Path:
    """The model's verified file. `make test` fetches it; a bare `pytest` may lack it, and then the
    tests that need it are skipped with the command that helps, but never under CI."""
    if given := os.environ.get(variable):
        return Path(given)
    path = Catalog.load().local_path(name)
    if path is None:
        message = f"{name} is not on this machine: run `nearfield models pull {name}`"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def small_model() -> Path:
    """SmolLM2-135M-Instruct: no FIM tokens, quick."""
    return _model(Catalog.load().small, "NEARFIELD_TEST_SMALL_MODEL")


@pytest.fixture(scope="session")
def default_model() -> Path:
    """Qwen2.5-Coder-0.5B-Instruct."""
    return _model(Catalog.load().default, "NEARFIELD_TEST_DEFAULT_MODEL")
