"""A small model for the tests of the engine's parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nearfield.engine.bindings import c
from nearfield.engine.llama import Model, Silence

SILENCE = Silence()
"""Kept: llama.cpp goes on calling it after the model is gone."""


@pytest.fixture(scope="module")
def model(small_model: Path) -> Iterator[Model]:
    """The model alone, without a lane."""
    c.llama_backend_init()
    model = Model(small_model, 0, lambda _: None, SILENCE)
    yield model
    model.close()
