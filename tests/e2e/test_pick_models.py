"""The models that an editor can pick, over the protocol."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from pytest_httpserver import HTTPServer
from tests.e2e.process import PATIENCE_SECONDS, script, to_pick_from
from tests.e2e.wiring import StartWire, Wire


def test_models_are_listed_picked_and_refused(
    wire: StartWire, environ: dict[str, str], tmp_path: Path, httpserver: HTTPServer
) -> None:
    file = Path(environ["NEARFIELD_CONFIG_DIR"]) / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(tomli_w.dumps(to_pick_from(httpserver)))
    w = wire("--stdio")
    w.initialize({}, workspaceFolders=[{"uri": tmp_path.as_uri(), "name": "work"}])

    roles = w.ask("nearfield/models/list", {})
    assert roles["groups"] == []
    assert {one["role"] for one in roles["roles"]} >= {"complete", "chat", "code", "large"}
    groups = listed(w, "code")
    assert groups["embedded"]["problem"]
    assert [one["name"] for one in groups["ollama"]["models"]] == ["ollama", "ollama/chat:1b"]
    (claude,) = groups["claude"]["models"]
    assert "nearfield consent allow claude" in claude["refused"]

    now = w.ask("nearfield/models/use", {"role": "code", "name": "ollama/chat:1b"})
    assert now == {
        "role": "code", "model": "ollama/chat:1b", "missing": False, "outside": False, "note": "",
    }  # fmt: skip
    assert tomllib.loads(file.read_text())["routing"]["roles"]["code"][0] == "ollama/chat:1b"
    groups = listed(w, "code")
    assert [one["title"] for one in groups["ollama"]["models"] if one["current"]] == ["chat:1b"]

    before = file.read_text()
    for params, sentence in (
        ({"role": "code", "name": "claude"}, "outside this machine"),
        ({"role": "cook", "name": "ollama"}, "no role 'cook'"),
        ({"role": "code", "name": "nosuch"}, "nosuch"),
        ({"role": "code"}, "name"),
    ):
        refused = w.answer(w.request("nearfield/models/use", params))
        assert sentence in refused["error"]["message"]
    assert file.read_text() == before


def listed(w: Wire, role: str) -> dict[str, dict[str, Any]]:
    """The groups by their provider, once the Ollama has said in time which models it has."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = w.ask("nearfield/models/list", {"role": role})["groups"]
        groups = {one["provider"]: one for one in found}
        if not groups["ollama"]["problem"]:
            return groups
        assert time.monotonic() < end, groups["ollama"]["problem"]


def test_a_question_in_the_first_second_waits_for_the_providers(wire: StartWire) -> None:
    w = wire("--stdio")
    roles = {"code": ["fake"]}
    w.initialize(script([{"text": "hello"}], routing={"roles": roles}), ready=False)
    assert w.ask("nearfield/chat", {"message": "hi"})["text"] == "hello"
