"""What all tests share: which of them run, the real models, how long an example may take."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings
from tests.e2e.prepared import end_prepared

from nearfield.catalog.models import Catalog

# A busy machine stalls for longer than any example takes; what is slow is measured by the benches.
settings.register_profile("nearfield", deadline=None)
settings.load_profile("nearfield")

ON_REQUEST = ("hub", "plugin", "tune")
"""Marks of tests that need what no checkout has; they run only when `-m` names the mark."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that run on request, and let `-m` decide about those that it names."""
    named = set(re.findall(r"\w+", str(config.getoption("markexpr") or "")))
    left_out = [item for item in items if _needs_request(item, named)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_configure() -> None:
    """Let what the tests start be interrupted, also where a shell runs the tests in the background
    and so has them ignore that signal: what they start would, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure() -> None:
    """End what the tests have shared."""
    end_prepared()


def _needs_request(item: pytest.Item, named: Collection[str]) -> bool:
    return any(item.get_closest_marker(mark) and mark not in named for mark in ON_REQUEST)


def _model(name: str, variable: str) -> Path:
    """The model's verified file. `make test` fetches it; a bare `pytest` may lack it, and then the
    tests that need it are skipped with the command that helps, but never under CI."""
    if given := os.environ.get(variable):
        return Path(given)
    path = Catalog.load().local_path(name)
    if path is None:
        missing(f"{name} is not on this machine: run `nearfield models pull {name} --mirror`")
    return path


def missing(message: str) -> NoReturn:
    """Skip the test, or fail it under CI."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message, allow_module_level=True)


def needs(module: str) -> None:
    """Skip the test where a package is not installed, or fail it under CI."""
    if find_spec(module) is None:
        missing(f"{module} is not installed: run scripts/setup")


@pytest.fixture(scope="session")
def small_model() -> Path:
    """SmolLM2-135M-Instruct: no FIM tokens, quick."""
    return _model(Catalog.load().small, "NEARFIELD_TEST_SMALL_MODEL")


@pytest.fixture(scope="session")
def default_model() -> Path:
    """Qwen2.5-Coder-0.5B-Instruct."""
    return _model(Catalog.load().default, "NEARFIELD_TEST_DEFAULT_MODEL")
