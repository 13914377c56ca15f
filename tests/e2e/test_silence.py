"""Why nothing is shown is said: in the status, when it changes, and by `nearfield doctor --why`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.e2e.process import script
from tests.e2e.test_cli import Shell
from tests.e2e.wiring import StartWire, ghost_params

CODE = "def add(a, b):\n    \n"
UNSURE = {"text": "return a + b\n", "logprob": -5.0}
DEAD = {"kind": "openai_compatible", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
AWAY = {"kind": "openai_compatible", "model": "m", "base_url": "http://192.0.2.1/v1"}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("", script([{"text": "return a + b\n"}])),
    ("unsure", script([UNSURE])),
    ("empty", script([])),
    ("whitespace", script([{"text": "  "}])),
    ("syntax", script([{"text": "return ) a (\n"}])),
    ("not_ready", script([{"error": "NotReady"}])),
    ("rate_limited", script([{"error": "RateLimited"}])),
    ("unauthorised", script([{"error": "Unauthorised"}])),
    ("context_too_long", script([{"error": "ContextTooLong"}])),
    ("bad_answer", script([{"error": "BadAnswer"}])),
    ("deadline", script([{"text": "x", "hang": True}], completion={"deadline_ms": 300})),
    ("disabled", script(completion={"enabled": False})),
    ("language", script(completion={"disabled_languages": ["python"]})),
    ("excluded", script(files={"exclude": ["*.py"]})),
    ("too_big", script(files={"max_bytes": 5})),
    ("unreachable", script(providers={"fake": {**DEAD, "options": {"infill": "suffix"}}})),
    ("no_consent", script(providers={"fake": {**AWAY, "options": {"infill": "suffix"}}})),
    ("no_provider", script(routing={"roles": {"complete": []}}, providers={})),
]


@pytest.mark.parametrize(("reason", "options"), CASES, ids=[case[0] or "shown" for case in CASES])
def test_the_status_and_doctor_say_why(
    wire: StartWire, tmp_path: Path, reason: str, options: dict[str, Any]
) -> None:
    w = wire("--stdio")
    options = {"index": {"enabled": False}, **options}
    w.initialize(options, ready=False)
    settled = ("ready", "unavailable")
    w.until(lambda m: m.get("method") == "nearfield/status" and m["params"]["state"] in settled)
    uri = w.open(CODE)
    # Asked by typing: who asks by a key is shown more.
    asked = w.request("textDocument/inlineCompletion", ghost_params(uri, 1, 4, kind=2))
    shown = w.answer(asked)["result"]["items"]
    assert bool(shown) is not bool(reason)
    last = w.ask("nearfield/status")["last"]
    assert last["reason"] == reason
    assert last["sentence"]
    told = w.until(
        lambda m: m.get("method") == "nearfield/status" and (m["params"]["last"] or {}) == last
    ) if reason else {"params": {"last": last}}  # fmt: skip
    assert told["params"]["last"]["advice"] == last["advice"]
    shell = Shell(tmp_path)
    shell.settings(tomli_w.dumps(options))
    shell.source.write_text(CODE)
    ran = shell.run("doctor", "--why", "app.py:2:5", "--json")
    assert ran.returncode == (1 if reason else 0), ran.stderr
    found = json.loads(ran.stdout)
    assert (found["reason"], found["advice"]) == (reason, last["advice"])


def test_paused_is_said(wire: StartWire) -> None:
    w = wire("--stdio")
    w.initialize(script())
    uri = w.open(CODE)
    w.ask("workspace/executeCommand", {"command": "nearfield.pause"})
    assert w.ghost(uri, 1, 4) == []
    assert w.ask("nearfield/status")["last"]["reason"] == "paused"
