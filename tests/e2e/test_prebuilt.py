"""A machine without llama-cpp-python: the prebuilt wheel completes, with no setting."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import needs
from tests.e2e.prepared import STARTED
from tests.e2e.process import PATIENT
from tests.e2e.wiring import StartWire

pytestmark = pytest.mark.model

AT_ONCE = {**PATIENT, "debounce_ms": 0}
FIBONACCI = "def fib(n):\n    if n < 2:\n        return n\n    return fib"


@pytest.fixture
def without(environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment in which llama-cpp-python is not there, and no llama-server on PATH."""
    needs("xllamacpp")
    folder = tmp_path / "hidden"
    folder.mkdir()
    # What `sys.modules` has as None is neither found nor imported.
    hide = 'import sys\n\nsys.modules["llama_cpp"] = None\n'
    (folder / "sitecustomize.py").write_text(hide)
    environ |= {"PYTHONPATH": str(folder), "PATH": str(folder)}
    return environ


def test_completes_by_the_wheel(
    wire: StartWire, without: dict[str, str], small_model: Path
) -> None:
    del without
    w = wire("--stdio", program=STARTED)
    w.initialize({"models": {"complete": str(small_model)}, "completion": AT_ONCE})
    uri = w.open(FIBONACCI)
    (item,) = w.ghost(uri, 3, len(FIBONACCI.split("\n")[3]))
    assert "(n" in item["insertText"]
    status = w.ask("nearfield/status")
    assert (status["state"], status["provider"]) == ("ready", "llama_server")
    assert status["model"] == small_model.stem
    roles = {row["role"]: row["provider"] for row in status["roles"]}
    assert roles["complete"] == roles["code"] == "llama_server"
    (trace,) = w.ask("nearfield/trace", {"last": 1})
    assert trace["provider"] == "llama_server"


def test_doctor_names_the_engine_and_a_faster_one(without: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nearfield", "doctor", "--quick", "--json"],
        env=without, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    rows: dict[str, dict[str, Any]] = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["engine"]["state"] == "note"
    assert "xllamacpp" in rows["engine"]["found"]
    assert "nearfield[local]" in rows["engine"]["todo"]


@pytest.mark.parametrize("engine", ["compiled", "prebuilt"])
def test_chats_are_as_warm_as_the_user_says(
    engine: str, request: pytest.FixtureRequest, environ: dict[str, str], small_model: Path
) -> None:
    """The same question gets the same answer at 0, and another one at 2, also from the cache."""
    if engine == "prebuilt":
        request.getfixturevalue("without")
    environ |= {"LOCAL_LLM_MODEL_PATH": str(small_model), "NO_COLOR": "1"}
    ask = [sys.executable, "-m", "nearfield", "ask", "--max-tokens", "24", "Tell of a dragon."]
    said = [
        subprocess.run(
            ask, env={**environ, "LOCAL_LLM_TEMPERATURE": heat},
            capture_output=True, text=True, timeout=120, check=True,
        ).stdout
        for heat in ("0", "2", "0")
    ]  # fmt: skip
    assert said[0] == said[2] != said[1]
